//! Where do rows go? Everything that talks to PostgreSQL. pgrx is named only below this module.
//!
//! `api` is the SQL surface and holds no logic. Below it is one folder a verb, and below these are storeys,
//! of which each uses only what is below it: [`planning`], [`table`], [`heap`], [`record`], [`server`].
//! tests/layering.rs checks the order, and lists the files that contain `unsafe`.

pub mod api;

mod foreign;
mod import;
mod inspect;
mod report;
mod validate;

mod planning;

mod heap;
mod record;
mod server;
mod table;

pub use server::guc;

#[cfg(feature = "pg_test")]
mod tests;
