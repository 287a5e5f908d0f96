//! What of the source has no counterpart in PostgreSQL.

use std::fmt;

use aliaport_rows::pg_type::PgType;

use super::{Code, Finding, Severity, Subject, Topic};
use crate::expr::NotCarried;
use crate::grammar::GrammarError;

/// The most columns that an index or a key can have (`INDEX_MAX_KEYS`).
/// <https://www.postgresql.org/docs/current/limits.html>
pub const MAX_KEY_COLUMNS: usize = 32;

/// Something of the source has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uncarried {
    /// Why.
    pub cause: Cause,
    /// How SQLite's SQL says it, where that is shown.
    pub sql: String,
}

/// Why something of the source has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The import makes no such objects.
    Kind,
    /// Its expression has no PostgreSQL form.
    Expression(NotCarried),
    /// Its statement cannot be read.
    Grammar(GrammarError),
    /// It has so many columns.
    Columns(usize),
    /// It has so many terms.
    Terms(usize),
    /// This column is left out.
    LeftOut(String),
    /// This column is of type json.
    NoEquality(String),
    /// Nobody knows one of its terms.
    UnknownTerm,
    /// One of its columns is left out.
    TermLeftOut,
    /// Nobody knows its condition.
    UnknownCondition,
    /// PostgreSQL has no such collation.
    NoCollation,
    /// PostgreSQL's constraints only refuse.
    Refuses,
    /// A foreign key like it is made already.
    DeclaredTwice,
    /// The source does not have this parent.
    ParentMissing(String),
    /// This parent is left out of the import, and not in the target.
    ParentLeftOut(String),
    /// This parent has no primary key to refer to.
    ParentWithoutKey(String),
    /// This parent has no such column.
    ParentWithoutColumn(String, String),
    /// It has so many columns, and the key of this parent has so many.
    OtherWidth(usize, String, usize),
    /// No key of this parent covers these columns.
    NoUniqueKey(String, Vec<String>),
    /// This column of this table is left out.
    ColumnLeftOut(String, String),
    /// This column of this type cannot refer to this parent, whose column is of that one.
    Types(Box<[(String, PgType); 2]>),
    /// This column is generated.
    Generated(String),
}

impl Uncarried {
    /// Without its SQL.
    #[must_use]
    pub fn new(cause: Cause) -> Self {
        Uncarried { cause, sql: String::new() }
    }
}

impl Topic for Uncarried {
    fn code(&self, _of: &Finding) -> Code {
        match self.cause {
            Cause::ParentMissing(_) | Cause::ParentLeftOut(_) => Code::MissingParentTable,
            Cause::ParentWithoutKey(_)
            | Cause::ParentWithoutColumn(..)
            | Cause::OtherWidth(..)
            | Cause::NoUniqueKey(..) => Code::UnindexedParent,
            _ => Code::NotCarried,
        }
    }

    fn severity(&self, _of: &Finding) -> Severity {
        if self.cause == Cause::DeclaredTwice { Severity::Info } else { Severity::Warning }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cause == Cause::DeclaredTwice {
            return write!(f, "{} is declared twice and made once", of.noun());
        }
        write!(f, "{} {} not carried over", of.noun(), of.subject.is())?;
        self.cause.tell(of, f)?;
        if self.sql.is_empty() { Ok(()) } else { write!(f, ": {}", self.sql) }
    }
}

/// What SQLite does where PostgreSQL refuses the statement.
fn instead_of_refusing(subject: &Subject) -> &'static str {
    let Subject::Conflict(conflict) = subject else { return "does not" };
    match conflict.resolution {
        "REPLACE" if conflict.constraint == "NOT NULL" => "stores the default instead of NULL",
        "REPLACE" => "replaces the old row",
        "IGNORE" => "leaves the new row out",
        "FAIL" => "keeps what the statement has done before",
        _ => "rolls the transaction back",
    }
}

impl Cause {
    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Kind | Cause::NoCollation | Cause::DeclaredTwice => Ok(()),
            Cause::Expression(why) => write!(f, ": {why}"),
            Cause::Grammar(why) => write!(f, ": {why}"),
            Cause::Columns(n) => write!(f, ": it has {n} columns, PostgreSQL allows {MAX_KEY_COLUMNS}"),
            Cause::Terms(n) => write!(f, ": it has {n} terms, PostgreSQL allows {MAX_KEY_COLUMNS}"),
            Cause::LeftOut(column) => write!(f, ": column \"{column}\" is left out"),
            Cause::NoEquality(column) => {
                write!(f, ": column \"{column}\" is of type json, which has no equality")
            }
            Cause::UnknownTerm => f.write_str(": one of its terms is not known"),
            Cause::TermLeftOut => f.write_str(": one of its columns is left out"),
            Cause::UnknownCondition => f.write_str(": its condition is not known"),
            Cause::Refuses => {
                write!(
                    f,
                    ": PostgreSQL refuses the statement where SQLite {}",
                    instead_of_refusing(&of.subject)
                )
            }
            Cause::ParentMissing(parent) => {
                write!(f, ": its parent \"{parent}\" does not exist in the source")
            }
            Cause::ParentLeftOut(parent) => {
                write!(f, ": its parent \"{parent}\" is left out of this import and not in the target")
            }
            Cause::ParentWithoutKey(parent) => write!(f, ": \"{parent}\" has no primary key"),
            Cause::ParentWithoutColumn(parent, column) => {
                write!(f, ": \"{parent}\" has no column \"{column}\"")
            }
            Cause::OtherWidth(own, parent, theirs) => {
                write!(f, ": it has {own} columns and the key of \"{parent}\" has {theirs}")
            }
            Cause::NoUniqueKey(parent, columns) => write!(
                f,
                ": no primary key or unique constraint of \"{parent}\" covers exactly {}",
                columns.join(", ")
            ),
            Cause::ColumnLeftOut(column, table) => {
                write!(f, ": column \"{column}\" of \"{table}\" is left out")
            }
            Cause::Types(of) => {
                let [(column, pg_type), (parent, parent_type)] = &**of;
                write!(
                    f,
                    ": column \"{column}\" of type {pg_type} cannot refer to \"{parent}\" of type {parent_type}"
                )
            }
            Cause::Generated(column) => {
                write!(f, ": column \"{column}\" is generated and its actions would write to it")
            }
        }
    }
}
