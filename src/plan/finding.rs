//! A finding: one thing that a DBA should know before or after a run, with an address.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing to decide.
    Info,
    /// Needs a decision: something is not carried over or not identical.
    Warning,
    /// The import would fail.
    Error,
}

impl Severity {
    /// The word that the SQL surface shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing found while planning or loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The code of INTERFACE (`not_carried`, `type_mismatch`, ...), stable and greppable.
    pub code: &'static str,
    /// The SQLite table it is about, where there is one.
    pub table: Option<String>,
    /// The SQLite column it is about, where there is one.
    pub column: Option<String>,
    /// One sentence without a full stop, like a PostgreSQL primary message.
    pub message: String,
    /// How many rows or objects, where it was counted.
    pub count: Option<u64>,
}

impl Finding {
    /// A warning about a table.
    #[must_use]
    pub fn warning(code: &'static str, table: &str, message: String) -> Self {
        Finding {
            severity: Severity::Warning,
            code,
            table: Some(table.to_owned()),
            column: None,
            message,
            count: None,
        }
    }

    /// The same finding, about one column.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }
}
