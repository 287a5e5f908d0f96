//! What a converter knows of rows that it has formed, beside their values.

use std::collections::HashSet;

/// What is known of the rows of a batch beside their values. Rows are named by their number in the scan.
#[derive(Debug, Default)]
pub struct Notes {
    /// Rows that have no tuple, in order.
    pub set_aside: Vec<u64>,
    /// Columns whose cells are not the source's values, and known not to be: what is lossy, what became NULL.
    pub excused: HashSet<(u64, usize)>,
}
