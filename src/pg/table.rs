//! What is asked of one target table, and done to it, by SQL.

pub mod as_replica;
pub mod broken_rules;
pub mod cascade;
pub mod code;
pub mod column_type;
pub mod foreign_key;
pub mod load_path;
pub mod matched;
pub mod missing;
pub mod operator;
pub mod orphan;
pub mod past;
pub mod relax;
pub mod retype;
pub mod schema;
pub mod sequence;
pub mod source_row;
pub mod stage;
pub mod sync;
pub mod target;
pub mod trigger;
pub mod unique;
pub mod unwanted;
pub mod wide;
