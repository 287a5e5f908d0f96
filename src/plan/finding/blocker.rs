//! What keeps a plan from being made.

use std::fmt;

use PlanErrorKind as Kind;
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::sqlstate::SqlState;

use super::{Code, Finding, Severity, Topic};

/// The kinds of [`crate::planner::PlanError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanErrorKind {
    /// An option names a table, column or foreign key that the source does not have, or asks for what cannot
    /// be.
    Option,
    /// Mode create, and an existing table has rows.
    TargetNotEmpty,
    /// Source columns that an existing table does not have.
    MissingColumn,
    /// NOT NULL columns of an existing table without source and default.
    RequiredColumn,
    /// Columns of an existing table that an earlier run filled and the source does not have any more.
    VanishedColumn,
    /// The target is no table.
    WrongObject,
    /// Two columns go to one.
    DuplicateColumn,
    /// Two tables go to one.
    DuplicateTable,
    /// More columns than a table can have.
    TooManyColumns,
    /// Columns to be made whose type the database does not have.
    MissingType,
    /// Mode sync, and an existing table has no key by which rows could be told apart.
    NoKey,
}

impl PlanErrorKind {
    /// The SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    #[must_use]
    pub fn sqlstate(self) -> SqlState {
        match self {
            PlanErrorKind::Option => SqlState::INVALID_PARAMETER_VALUE,
            PlanErrorKind::TargetNotEmpty | PlanErrorKind::NoKey | PlanErrorKind::VanishedColumn => {
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            PlanErrorKind::MissingColumn => SqlState::UNDEFINED_COLUMN,
            PlanErrorKind::RequiredColumn => SqlState::NOT_NULL_VIOLATION,
            PlanErrorKind::WrongObject => SqlState::WRONG_OBJECT_TYPE,
            PlanErrorKind::DuplicateColumn => SqlState::DUPLICATE_COLUMN,
            PlanErrorKind::DuplicateTable => SqlState::DUPLICATE_TABLE,
            PlanErrorKind::TooManyColumns => SqlState::TOO_MANY_COLUMNS,
            PlanErrorKind::MissingType => SqlState::UNDEFINED_OBJECT,
        }
    }

    /// The code under which `aliaport_inspect` reports it.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            PlanErrorKind::Option => Code::NotCarried,
            // The name in the target is taken: by a table with rows of its own, or by what is no table.
            PlanErrorKind::TargetNotEmpty | PlanErrorKind::WrongObject => Code::TargetNotEmpty,
            PlanErrorKind::MissingColumn => Code::TargetMissingColumn,
            PlanErrorKind::RequiredColumn => Code::TargetRequiredColumn,
            PlanErrorKind::VanishedColumn => Code::ColumnVanished,
            PlanErrorKind::DuplicateColumn | PlanErrorKind::DuplicateTable => Code::CaseCollision,
            PlanErrorKind::TooManyColumns => Code::TooManyColumns,
            PlanErrorKind::MissingType => Code::TypeMismatch,
            PlanErrorKind::NoKey => Code::TargetWithoutKey,
        }
    }

    /// What is said of `count` of them together.
    #[must_use]
    pub fn summary(self, count: usize) -> String {
        let what = match self {
            Kind::TargetNotEmpty => "target tables have rows already",
            Kind::NoKey => "target tables have no primary or unique key for mode sync",
            Kind::MissingColumn => "columns of the source have no column in the target",
            Kind::RequiredColumn => "NOT NULL columns of the target have neither a source nor a default",
            Kind::VanishedColumn => "columns that earlier runs filled are not in the source any more",
            Kind::MissingType => "columns are to become citext, a type that does not exist",
            Kind::Option
            | Kind::WrongObject
            | Kind::DuplicateColumn
            | Kind::DuplicateTable
            | Kind::TooManyColumns => "things stand in the way of the import",
        };
        format!("{count} {what}")
    }
}

/// What would keep a plan from being made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blocker {
    /// An option that names what does not exist, or asks for what cannot be. It is raised, and never a
    /// finding of a run.
    Option(String),
    /// This target has rows.
    HasRows(QualifiedName),
    /// This target has no key by which rows could be told apart.
    NoKey(QualifiedName),
    /// The column would have this attribute, which this target does not have.
    MissingColumn(String, QualifiedName),
    /// This attribute of this target needs a value and gets none.
    RequiredColumn(String, QualifiedName),
    /// This attribute of this target was filled from the column, which the source does not have any more.
    VanishedColumn(String, QualifiedName),
    /// This target is of this kind (`pg_class.relkind`).
    WrongObject(QualifiedName, char),
    /// This column asks for this name, which another one has.
    TakenName(String, String),
    /// These two columns go to this attribute of this target.
    SharedColumn([String; 2], String, QualifiedName),
    /// This table goes to the same target.
    SharedTable(String, QualifiedName),
    /// The table would have so many columns.
    TooManyColumns(usize),
    /// The column would be citext, which is not there.
    MissingType,
}

/// Columns that a table can have (`MaxHeapAttributeNumber`).
/// <https://www.postgresql.org/docs/current/limits.html>
pub const MAX_COLUMNS: usize = 1600;

impl Blocker {
    /// The kind of error that it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Blocker::Option(_) => Kind::Option,
            Blocker::HasRows(_) => Kind::TargetNotEmpty,
            Blocker::NoKey(_) => Kind::NoKey,
            Blocker::MissingColumn(..) => Kind::MissingColumn,
            Blocker::RequiredColumn(..) => Kind::RequiredColumn,
            Blocker::VanishedColumn(..) => Kind::VanishedColumn,
            Blocker::WrongObject(..) => Kind::WrongObject,
            Blocker::TakenName(..) | Blocker::SharedColumn(..) => Kind::DuplicateColumn,
            Blocker::SharedTable(..) => Kind::DuplicateTable,
            Blocker::TooManyColumns(_) => Kind::TooManyColumns,
            Blocker::MissingType => Kind::MissingType,
        }
    }
}

fn kind_name(kind: char) -> &'static str {
    match kind {
        'v' => "a view",
        'm' => "a materialized view",
        'f' => "a foreign table",
        'S' => "a sequence",
        'i' | 'I' => "an index",
        'c' => "a composite type",
        _ => "another kind of object",
    }
}

impl Topic for Blocker {
    fn code(&self, _of: &Finding) -> Code {
        self.kind().code()
    }

    fn severity(&self, _of: &Finding) -> Severity {
        Severity::Error
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, column) = (of.table_name(), of.column_name());
        match self {
            Blocker::Option(message) => f.write_str(message),
            Blocker::HasRows(target) => write!(f, "target table {target} has rows already"),
            Blocker::NoKey(target) => {
                write!(f, "target table {target} has no primary or unique key for mode sync")
            }
            Blocker::MissingColumn(attribute, target) => write!(
                f,
                "column \"{column}\" of SQLite table \"{table}\" has no column {} in {target}",
                quote(attribute)
            ),
            Blocker::RequiredColumn(attribute, target) => write!(
                f,
                "column {} of {target} is NOT NULL and has neither a default nor a column in SQLite table \"{table}\"",
                quote(attribute)
            ),
            Blocker::VanishedColumn(attribute, target) => write!(
                f,
                "column {} of {target} was filled from column \"{column}\" of SQLite table \"{table}\", which the source does not have any more",
                quote(attribute)
            ),
            Blocker::WrongObject(target, kind) => {
                write!(f, "target {target} of SQLite table \"{table}\" is {}, not a table", kind_name(*kind))
            }
            Blocker::TakenName(column, name) => write!(
                f,
                "target \"{name}\" of column \"{column}\" of SQLite table \"{table}\" is the name of another column or a system column"
            ),
            Blocker::SharedColumn([other, column], attribute, target) => write!(
                f,
                "columns \"{other}\" and \"{column}\" of SQLite table \"{table}\" both go to column {} of {target}",
                quote(attribute)
            ),
            Blocker::SharedTable(other, target) => {
                write!(f, "SQLite tables \"{other}\" and \"{table}\" both go to {target}")
            }
            Blocker::TooManyColumns(count) => write!(
                f,
                "SQLite table \"{table}\" would have {count} columns, PostgreSQL allows {MAX_COLUMNS}"
            ),
            Blocker::MissingType => write!(
                f,
                "column \"{column}\" of SQLite table \"{table}\" is to become citext, a type that does not exist"
            ),
        }
    }
}
