//! The audit before an import: what is wrong with the source, and with the server for it.

use aliaport_plan::finding::Severity;

use super::error::Result;

/// One row of `aliaport_inspect`.
#[derive(Clone, Debug)]
pub struct Observation {
    /// error: the import would fail; warning: needs a decision; info.
    pub severity: Severity,
    /// One of the codes of the interface.
    pub code: &'static str,
    /// The SQLite table.
    pub table: Option<String>,
    /// The SQLite column.
    pub column: Option<String>,
    /// Rows concerned.
    pub count: Option<u64>,
    /// Up to five keys or rowids with the offending value.
    pub sample: Option<serde_json::Value>,
    /// One sentence without a full stop.
    pub message: String,
    /// What to do; SQL where there is some.
    pub suggestion: Option<String>,
}

/// Looks at the file at `path` as if it were to be imported into `schema`. Writes nothing.
pub fn inspect(_path: &str, _schema: &str, _options: &serde_json::Value) -> Result<Vec<Observation>> {
    Ok(Vec::new())
}
