//! What to do with a SQLite database in PostgreSQL: the pure room.
//!
//! Nothing here opens a file, asks a clock or knows a database library. Data comes in as plain structs
//! ([`catalogue::Catalogue`], [`value::Value`]) and leaves as plain structs ([`plan::Plan`], [`value::Cell`]), so every rule
//! can be tested in seconds without a server.

pub mod audit;
pub mod build;
pub mod catalogue;
pub mod convert;
pub mod ddl;
pub mod decl;
pub mod difference;
pub mod digest;
pub mod expr;
pub mod finding;
pub mod grammar;
pub mod inspect;
pub mod mapping;
pub mod name;
pub mod option;
pub mod order;
pub mod pg_type;
pub mod plan;
pub mod profile;
pub mod range;
pub mod report;
pub mod row;
pub mod rows;
pub mod sequence;
pub mod target;
pub mod tuple;
pub mod value;
pub mod width;
