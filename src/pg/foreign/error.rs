//! Errors of a query over foreign tables: those of an import, with what helps here.

use aliaport_rows::row::RowError;
use aliaport_sqlite::{SourceError, SourceErrorKind};
use pgrx::prelude::*;

use super::definition::Definition;
use crate::pg::server::error::{Error, Result, code};

/// An error of the file.
pub fn of_query(error: SourceError) -> Error {
    use SourceErrorKind as K;
    let hint = match error.kind() {
        K::Locked if error.is_held_by_this_process() => {
            Some("End the transaction of this session that has changed the file, then run the query again.")
        }
        K::Locked => Some(
            "Run the query again, or give the server the option busy_timeout to wait longer for the writer.",
        ),
        K::HotJournal => Some(
            "Open the file once with the application or the sqlite3 program, so that SQLite rolls the journal back; a foreign table never writes to the file.",
        ),
        K::ChangedDuringRead | K::Interrupted => Some("Run the query again."),
        K::ReadFailed => Some("Check the disk and the server's log, then run the query again."),
        K::OutOfMemory => Some("Free memory on the server, then run the query again."),
        K::TooBig => Some("PostgreSQL stores values up to 1 GB; drop the column from the foreign table."),
        K::InvalidFilter | K::InvalidName => {
            Some("Rename the table or column in SQLite, or drop the foreign table.")
        }
        K::NotAvailable => Some("Drop the column that calls it from the foreign table."),
        K::NotUnderstood => Some(
            "Open the file with the sqlite3 program and read the table there, or drop the foreign table.",
        ),
        K::NotADatabase | K::Empty | K::Damaged | K::PermissionDenied | K::CannotOpen | K::Unexpected => None,
    };
    let error = Error::from(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A value that its column cannot hold.
pub fn of_row(error: RowError, definition: &Definition) -> Error {
    Error::new(code(error.sqlstate), error.message).detail(error.detail).hint(remedy(definition))
}

/// What helps against values that their columns cannot hold.
pub fn remedy(definition: &Definition) -> String {
    format!(
        "Repair the value in SQLite, or run {} to read NULL in its place; with 'skip' such rows are left out.",
        definition.with_on_error("null").trim_end_matches(';')
    )
}

/// A column of a foreign table that the file does not have.
pub fn missing_column<T>(definition: &Definition, source: &str, target: &str) -> Result<T> {
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("column \"{source}\" of SQLite table \"{}\" does not exist", definition.table),
    )
    .detail(format!("Column \"{target}\" of foreign table {} is to be read from it.", definition.name))
    .hint("Correct the column's option column_name, or drop the column from the foreign table."))
}
