//! Why a plan cannot be made.

use std::fmt;

use crate::finding::{About, Code, Finding, Severity};
use aliaport_rows::sqlstate::SqlState;

/// The kinds of [`PlanError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// A plan that cannot be made. `Display` is the primary message; one error speaks for every table it
/// concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    kind: PlanErrorKind,
    /// What is wrong, once a table or column: table, column, sentence without a full stop.
    items: Vec<(String, Option<String>, String)>,
    /// The primary message where there is more than one item.
    summary: String,
    hint: String,
    /// What helps against each item alone, in the order of the items; empty where the hint says it for all.
    remedies: Vec<String>,
}

impl PlanError {
    pub(super) fn new(kind: PlanErrorKind, table: &str, message: String, hint: &str) -> Self {
        let items = vec![(table.to_owned(), None, message)];
        PlanError { kind, items, summary: String::new(), hint: hint.to_owned(), remedies: Vec::new() }
    }

    /// An error with an item for each table or column; `None` without items.
    pub(super) fn of_items(
        kind: PlanErrorKind,
        items: Vec<(String, Option<String>, String)>,
        summary: String,
        hint: &str,
    ) -> Option<Self> {
        (!items.is_empty()).then(|| PlanError {
            kind,
            items,
            summary,
            hint: hint.to_owned(),
            remedies: Vec::new(),
        })
    }

    /// The same error, with what helps against each item alone.
    pub(super) fn with_remedies(self, remedies: Vec<String>) -> Self {
        PlanError { remedies, ..self }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> PlanErrorKind {
        self.kind
    }

    /// Everything that is wrong, one sentence a line; `None` where the primary message says it all.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        if self.items.len() < 2 {
            return match self.kind {
                PlanErrorKind::Option => {
                    Some("What options ask for is done or refused, and never passed over in silence.".to_owned())
                }
                PlanErrorKind::TargetNotEmpty => Some("Mode create fills new and empty tables only.".to_owned()),
                PlanErrorKind::MissingColumn => {
                    Some("Its values would have nowhere to go, and nothing is left out in silence.".to_owned())
                }
                PlanErrorKind::VanishedColumn => {
                    Some("Its values would be lost or stay as they are from now on.".to_owned())
                }
                PlanErrorKind::RequiredColumn => {
                    Some("A new row would have NULL there, which the column refuses.".to_owned())
                }
                PlanErrorKind::MissingType => {
                    Some("The type is one of the extension citext, which this database has not installed.".to_owned())
                }
                PlanErrorKind::NoKey => Some(
                    "Mode sync tells rows apart by a key whose columns the source has and that holds no NULL."
                        .to_owned(),
                ),
                _ => None,
            };
        }
        let lines: Vec<String> = self.items.iter().map(|(_, _, message)| sentence(message)).collect();
        Some(lines.join("\n"))
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> SqlState {
        self.kind.sqlstate()
    }

    /// The same as findings, for `aliaport_inspect`.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let findings = self.items.iter().enumerate().map(|(i, (table, column, message))| Finding {
            severity: Severity::Error,
            code: self.kind.code(),
            about: About::Table,
            table: (!table.is_empty()).then(|| table.clone()),
            column: column.clone(),
            message: message.clone(),
            count: None,
            statement: self.remedies.get(i).cloned(),
        });
        findings.collect()
    }
}

/// A message as a whole sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.items.as_slice() {
            [(_, _, message)] => f.write_str(message),
            _ => f.write_str(&self.summary),
        }
    }
}

impl std::error::Error for PlanError {}
