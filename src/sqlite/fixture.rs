//! Makes databases for the tests of the other rooms, which must not name SQLite's library. Not part of what
//! is installed.

use std::path::Path;

use rusqlite::Connection;

/// Makes a database at `path`, where no file is yet, with statements that need no parameters.
///
/// # Errors
/// SQLite's message.
pub fn create(path: &Path, statements: &[String]) -> Result<(), String> {
    let run = || {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off; BEGIN")?;
        // Not as one text: SQLite copies what is left of it for each statement.
        for statement in statements {
            connection.execute_batch(statement)?;
        }
        connection.execute_batch("COMMIT")
    };
    run().map_err(|error: rusqlite::Error| error.to_string())
}
