//! What to do with a SQLite database in PostgreSQL: the pure room.
//!
//! Nothing here opens a file, asks a clock or knows a database library. Data comes in as plain structs
//! ([`catalogue::Catalogue`], [`profile::Profiles`]) and leaves as plain structs ([`plan::Plan`]), so every
//! rule can be tested in seconds without a server.

pub mod catalogue;
pub mod ddl;
pub mod decl;
pub mod expr;
pub mod finding;
pub mod grammar;
pub mod inspect;
pub mod mapping;
pub mod name;
pub mod option;
pub mod order;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod profile;
pub mod sequence;
pub mod suggestion;
pub mod target;
