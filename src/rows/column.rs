//! What becomes of the values of one column, and what a converter has to know of its table. Plain data.

use crate::convert::{NumberUnit, Rules, UuidBytes, Zone};
use crate::pg_type::PgType;

/// What happens to one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPlan {
    /// The SQLite column's name.
    pub source: String,
    /// The declared type as written in SQLite.
    pub declared_type: String,
    /// The PostgreSQL attribute's name.
    pub target: String,
    /// The type that values are converted to.
    pub pg_type: PgType,
    /// A NULL here is a bad value (23502): NOT NULL or part of the primary key.
    pub is_not_null: bool,
    /// What a number in a date or time column counts.
    pub number: NumberUnit,
    /// In which order the bytes of a uuid stand in a blob.
    pub uuid: UuidBytes,
}

impl ColumnPlan {
    /// The rules by which its values are converted, in a time zone.
    #[must_use]
    pub fn rules(&self, zone: &Zone) -> Rules {
        Rules { zone: zone.clone(), number: self.number, uuid: self.uuid }
    }
}

/// What a converter has to know of a table.
#[derive(Clone, Copy, Debug)]
pub struct RowPlan<'a> {
    /// The SQLite table's name, for messages.
    pub source: &'a str,
    /// Columns that are read and written, in the target's attribute order.
    pub columns: &'a [ColumnPlan],
    /// The SQLite names of the key's columns, in key order; empty without a declared key.
    pub key: &'a [String],
}
