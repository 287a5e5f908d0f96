//! What columns really hold, counted in one pass over a table by `aliaport_sqlite`.

use std::collections::HashMap;

/// The profiles of some tables of a source, by SQLite table name.
pub type Profiles = HashMap<String, TableProfile>;

/// One table's profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableProfile {
    /// Rows seen.
    pub rows: u64,
    /// One entry a column of the catalogue's table, in its order.
    pub columns: Vec<ColumnProfile>,
}

/// One column's profile: how many values of each storage class, and their ranges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnProfile {
    /// NULLs.
    pub nulls: u64,
    /// INTEGER values.
    pub integers: u64,
    /// REAL values.
    pub reals: u64,
    /// TEXT values.
    pub texts: u64,
    /// BLOB values.
    pub blobs: u64,
    /// Smallest and largest INTEGER value.
    pub integer_range: Option<(i64, i64)>,
    /// The longest TEXT value in characters (bytes where it is not UTF-8).
    pub longest_text: u64,
    /// TEXT values that are not UTF-8.
    pub invalid_utf8: u64,
    /// TEXT values with a NUL byte in them.
    pub nul_characters: u64,
}
