//! A finding: one thing that a DBA should know before or after a run, with an address.

mod code;

pub use code::Code;

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

/// What a finding is about, in a form that programs decide by: nothing reads a message to learn it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum About {
    /// What table and column say already.
    #[default]
    Table,
    /// A CHECK constraint, by its place among [`crate::grammar::TableSql::checks`].
    Check(usize),
    /// An index, by its name in the source.
    Index(String),
    /// A foreign key, by its place among [`crate::catalogue::Table::foreign_keys`], and why it is not made.
    ForeignKey(usize, NotReferring),
    /// An object of the schema that is not carried over, with its statement as the message ends in it.
    Statement(String),
}

/// Why a foreign key of the source is not made as it is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReferring {
    /// An equal one is made already.
    DeclaredTwice,
    /// The source has no such parent.
    ParentMissing,
    /// The import leaves the parent out, and the target does not have it.
    ParentLeftOut,
    /// No key of the parent covers the referenced columns.
    NoUniqueKey,
    /// PostgreSQL has no such foreign key: types, limits, or columns that are left out.
    Unsupported,
}

/// One thing found while planning or loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// What exactly it is about.
    pub about: About,
    /// The SQLite table it is about, where there is one.
    pub table: Option<String>,
    /// The SQLite column it is about, where there is one.
    pub column: Option<String>,
    /// One sentence without a full stop, like a PostgreSQL primary message.
    pub message: String,
    /// How many rows or objects, where it was counted.
    pub count: Option<u64>,
    /// The statement for PostgreSQL that settles it, where one does, without a semicolon.
    pub statement: Option<String>,
}

impl Finding {
    /// A warning about a table.
    #[must_use]
    pub fn warning(code: Code, table: &str, message: String) -> Self {
        Finding {
            severity: Severity::Warning,
            code,
            about: About::Table,
            table: Some(table.to_owned()),
            column: None,
            message,
            count: None,
            statement: None,
        }
    }

    /// The same finding, about one column.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// The same finding, about one object.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// The same finding with the statement that settles it, which is also part of the message.
    #[must_use]
    pub fn with_statement(mut self, statement: String) -> Self {
        self.message = format!("{}: {statement}", self.message);
        self.statement = Some(statement);
        self
    }
}
