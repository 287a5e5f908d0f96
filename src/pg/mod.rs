//! Where rows go: everything that talks to PostgreSQL. pgrx is named only below this module.
//!
//! `api` is the SQL surface and holds no logic. It calls `run` (import) and `planning` (inspect, plan), which call one
//! module per subject. Nothing points back up. Only the files listed in tests/layering.rs contain `unsafe`.

pub mod api;
pub mod guc;

mod access;
mod aside;
mod cascade;
mod check;
mod code;
mod compat;
mod datum;
mod encoding;
mod error;
mod failure;
mod guard;
mod history;
mod input;
mod inspect;
mod interrupt;
mod load;
mod locks;
mod memory;
mod missing;
mod operator;
mod original;
mod orphan;
mod output;
mod past;
mod planning;
mod progress;
mod quiet;
mod readback;
mod reader;
mod reference;
mod refusal;
mod relation;
mod report;
mod run;
mod segment;
mod sequence;
mod settings;
mod spi;
mod stage;
mod standing;
mod subxact;
mod sync;
mod target;
mod unique;
mod unwanted;
mod validate;

// The one subject of this room that knows nothing of PostgreSQL, and so lives where it can be tested without.
use aliaport_rows::row;

#[cfg(feature = "pg_test")]
mod tests;
