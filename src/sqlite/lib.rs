//! Where the data comes from: opens, hardens, snapshots, describes and scans one SQLite file without touching
//! it.
//!
//! A [`Source`] is one read transaction on one file. Nothing is ever written: not to the file, not to its
//! `-wal` or `-shm`, and no file appears beside it (`vfs` says how). What the file declares comes out as
//! [`aliaport_plan::catalogue::Catalogue`], what it holds as [`aliaport_rows::value::Value`]s; what to do
//! with either is decided elsewhere.
//!
//! A file is treated as hostile: its schema is code that SQLite runs (`harden`), its names and texts are
//! bytes.

mod btree;
mod careful;
mod catalogue;
mod content;
mod count;
mod error;
mod estimate;
#[cfg(feature = "fixture")]
pub mod fixture;
mod harden;
mod integrity;
mod interrupt;
mod keep;
mod key_range;
mod location;
mod lock;
mod open_file;
mod orphan;
mod page_sum;
mod pages;
mod profile;
mod query;
mod reference;
mod rows;
mod send_reader;
mod shm;
mod source;
mod stand_in;
mod state;
mod statement;
mod tokenizer;
mod utf16;
mod vfs;
mod virtual_table;
mod wal;

pub use catalogue::RelationKind;
pub use error::{SourceError, SourceErrorKind};
pub use location::{Kind, Location};
pub use orphan::KeyEnd;
pub use query::{Query, Selection, TableScan};
pub use reference::Reference;
pub use rows::RowReader;
pub use send_reader::SendReader;
pub use source::{OpenOptions, Source};
pub use stand_in::Uncomputable;

#[cfg(test)]
mod tests;
