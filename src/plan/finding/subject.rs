//! What is a finding about?

use std::fmt;

use super::Finding;
use crate::catalogue::OtherKind;
use crate::grammar::ConflictSql;

/// What of its table and column a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The column where it names one, else the table.
    #[default]
    Table,
    /// The column's DEFAULT.
    Default,
    /// What the table's CREATE TABLE says that no PRAGMA tells.
    Declarations,
    /// A CHECK constraint: its place among [`crate::grammar::TableSql::checks`], and its name.
    Check(usize, Option<String>),
    /// The primary key.
    PrimaryKey,
    /// A UNIQUE constraint: the index that holds it in the source, and its columns.
    Unique(String, Vec<String>),
    /// A constraint, by its name.
    Constraint(String),
    /// An index, by its name in the source.
    Index(String),
    /// The collation of a term of an index or a key.
    Collation(String, Box<Subject>),
    /// What SQLite does where a constraint is broken.
    Conflict(ConflictSql),
    /// A foreign key: its place among [`crate::catalogue::Table::foreign_keys`], and its label.
    ForeignKey(usize, String),
    /// A view, a trigger and so on, by its name; with the number of shadow tables of a virtual table.
    Object(OtherKind, String, u64),
}

impl Subject {
    /// `is` or `are`.
    pub(super) fn is(&self) -> &'static str {
        match self {
            Subject::Declarations | Subject::Object(OtherKind::ShadowTable, ..) => "are",
            _ => "is",
        }
    }

    pub(super) fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = of.table_name();
        match self {
            Subject::Table => match &of.column {
                Some(column) => write!(f, "column \"{column}\"")?,
                None => return write!(f, "table \"{table}\""),
            },
            Subject::Default => write!(f, "default of column \"{}\"", of.column_name())?,
            Subject::Declarations => f.write_str("checks, collations and constraint names")?,
            Subject::Check(_, None) => f.write_str("check")?,
            Subject::Check(_, Some(name)) => write!(f, "check \"{name}\"")?,
            Subject::PrimaryKey => f.write_str("primary key")?,
            Subject::Unique(_, columns) => write!(f, "unique constraint on {}", columns.join(", "))?,
            Subject::Constraint(name) => write!(f, "constraint \"{name}\"")?,
            Subject::Index(name) => write!(f, "index \"{name}\"")?,
            Subject::Collation(collation, of) => match &**of {
                Subject::Index(name) => write!(f, "collation {collation} of index \"{name}\"")?,
                Subject::PrimaryKey => write!(f, "collation {collation} of the primary key")?,
                _ => write!(f, "collation {collation} of a unique constraint")?,
            },
            Subject::Conflict(conflict) => write!(f, "{conflict}")?,
            Subject::ForeignKey(_, label) => return write!(f, "foreign key {label}"),
            Subject::Object(kind, name, shadows) => return object(f, *kind, name, *shadows, table),
        }
        write!(f, " of table \"{table}\"")
    }
}

fn object(f: &mut fmt::Formatter<'_>, kind: OtherKind, name: &str, shadows: u64, table: &str) -> fmt::Result {
    match kind {
        OtherKind::View => write!(f, "view \"{name}\""),
        OtherKind::Trigger => write!(f, "trigger \"{name}\" on \"{table}\""),
        OtherKind::VirtualTable => {
            write!(f, "virtual table \"{name}\"")?;
            match shadows {
                0 => Ok(()),
                1 => f.write_str(" with its shadow table"),
                n => write!(f, " with its {n} shadow tables"),
            }
        }
        OtherKind::ShadowTable => write!(f, "shadow tables of \"{name}\""),
        OtherKind::Reserved => write!(f, "table \"{name}\", which has a name that SQLite keeps for its own,"),
        OtherKind::Unnameable if name.eq_ignore_ascii_case(table) => {
            write!(f, "table \"{name}\", which has a name that is not valid UTF-8,")
        }
        OtherKind::Unnameable => write!(f, "index \"{name}\", whose name is not valid UTF-8,"),
    }
}
