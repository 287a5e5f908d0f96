//! What does a value become? The room below all others, and the hot path.
//!
//! Values as SQLite stores them, PostgreSQL's types, conversion between the two, heap tuples as bytes,
//! digests, and the proof that a tuple holds what its row held. Nothing here knows a database, a catalogue or
//! an option, so a converter cannot ask for one.

pub mod batch;
pub mod census;
pub mod column;
pub mod convert;
pub mod difference;
pub mod digest;
pub mod identifier;
pub mod pg_type;
pub mod prove;
pub mod range;
pub mod row;
pub mod sqlstate;
pub mod tuple;
pub mod value;
pub mod width;
pub mod words;
