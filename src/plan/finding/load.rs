//! What became of rows on their way into a table.

use std::fmt;

use aliaport_rows::convert::Lossy;
use aliaport_rows::identifier::{QualifiedName, quote};

use super::{Code, Finding, Topic, lossy};

/// What became of the rows, or the values, of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Load {
    /// Values landed and are not the same.
    Lossy(Lossy),
    /// Rows were set aside.
    Rejected,
    /// Rows were set aside that break a check.
    RejectedByCheck,
    /// Rows were set aside that point at a missing parent.
    RejectedOrphans,
    /// Rows were set aside whose key is there already.
    Duplicates,
    /// This index was not made: what PostgreSQL says of a row, with this key.
    IndexLeftOut(String, String, Option<String>),
    /// Values became NULL.
    Nulled,
    /// References to a missing parent became NULL.
    NulledReferences,
    /// Rows pointed at a missing parent, and do not any more.
    Orphans,
    /// Rows point at a missing parent.
    OrphansKept,
    /// Rows point at a missing parent, by a key that is NOT VALID.
    OrphansNotValid,
    /// Rows that were there before break this key.
    OrphansBefore(String),
    /// These triggers of this table did not fire.
    TriggersOff(QualifiedName, Vec<String>),
    /// The caller may not see all rows.
    RowSecurity,
    /// No statistics were gathered: what PostgreSQL says, and the statement.
    NotAnalyzed(String, String),
}

impl Topic for Load {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Load::Lossy(lossy) => Code::Lossy(*lossy),
            Load::Rejected | Load::RejectedByCheck | Load::RejectedOrphans => Code::Rejected,
            Load::Duplicates => Code::DuplicateKey,
            Load::Nulled | Load::NulledReferences => Code::Nulled,
            Load::Orphans | Load::OrphansKept | Load::OrphansNotValid | Load::OrphansBefore(_) => {
                Code::OrphanRows
            }
            Load::IndexLeftOut(..) => Code::NotCarried,
            Load::TriggersOff(..) => Code::TriggersOff,
            Load::RowSecurity => Code::RowSecurity,
            Load::NotAnalyzed(..) => Code::NotAnalyzed,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Load::Lossy(lossy) => lossy::landed(*lossy),
            Load::Rejected => "rows were set aside in aliaport.rejected_row",
            Load::RejectedByCheck => "rows that break a check were set aside in aliaport.rejected_row",
            Load::RejectedOrphans => "orphans were set aside in aliaport.rejected_row",
            Load::Duplicates => "rows with a key that is there already were set aside",
            Load::Nulled => "values became NULL; their originals are in aliaport.rejected_row",
            Load::NulledReferences => "references to a missing parent became NULL",
            Load::Orphans => "rows pointed at a missing parent",
            Load::OrphansKept => "rows point at a missing parent",
            Load::OrphansNotValid => "rows point at a missing parent; their foreign key is NOT VALID",
            Load::IndexLeftOut(index, message, row) => {
                let row = row.as_ref().map_or_else(|| "a row".to_owned(), |key| format!("the row with {key}"));
                return write!(
                    f,
                    "index {index} of table \"{}\" is not carried over: {message} (for {row})",
                    of.table_name()
                );
            }
            Load::OrphansBefore(key) => {
                return write!(
                    f,
                    "rows that were there before the run break foreign key \"{key}\", which is NOT VALID; they were left as they are"
                );
            }
            Load::TriggersOff(target, names) => {
                let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
                return write!(
                    f,
                    "triggers of {target} do not fire for the rows of this import (options.triggers is \"off\"): {}",
                    names.join(", ")
                );
            }
            Load::RowSecurity => {
                "row-level security hides rows of the table from the caller, who cannot count them"
            }
            Load::NotAnalyzed(message, statement) => {
                return write!(f, "no statistics were gathered ({message}): run {statement}");
            }
        })
    }
}
