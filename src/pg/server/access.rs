//! May this caller read this file? Everything is checked before the file is opened, and the role before the
//! path, so that a caller without the right learns nothing about the server's files.
#![allow(unsafe_code)] // asks PostgreSQL for the current role's memberships

use std::fs;
use std::io;
use std::path::Path;

use aliaport_sqlite::{Kind, Location};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::error::{Error, Result};
use super::guc;

/// Checks the caller's role and the path; returns where it leads, with symbolic links resolved.
///
/// The folder of the result is open, and it is the one that was checked: what becomes of the path afterwards
/// makes no difference.
///
/// # Errors
/// 42501 without `pg_read_server_files`, outside `aliaport_import.allowed_directories` or unreadable by the
/// server's operating-system user; 42602 for a relative path; 58P01 for a missing file; 42809 for anything
/// but a regular file.
pub fn source_path(path: &str) -> Result<Location> {
    require_read_server_files()?;
    if path.contains('\0') || !Path::new(path).is_absolute() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_NAME,
            format!("path must be absolute: \"{path}\""),
        )
        .detail("A relative path would be looked up in the server's data directory.")
        .hint("Give the full path of the file on the database server."));
    }
    let resolved = fs::canonicalize(path).map_err(|e| io_error(path, &e))?;
    require_allowed_directory(path, &resolved)?;
    // No link is followed from here on, so the folder is where the path says that was found to be allowed.
    let location = Location::resolve(&resolved).map_err(|e| exchanged(path, &e))?;
    let what = match location.kind().map_err(|e| io_error(path, &e))? {
        Kind::File => return Ok(location),
        Kind::Directory => "a directory",
        Kind::Pipe => "a named pipe",
        Kind::Socket => "a socket",
        Kind::Device => "a device",
        Kind::Link => "a symbolic link, and was none a moment ago",
    };
    Err(Error::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, format!("\"{path}\" is {what}"))
        .detail("Only a regular file can be a SQLite database.")
        .hint("Give the path of the database file itself."))
}

/// A folder of the path was exchanged for something else after the path had been resolved.
fn exchanged(path: &str, error: &io::Error) -> Error {
    if !matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) {
        return io_error(path, error);
    }
    Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("folders of \"{path}\" were exchanged while it was opened"),
    )
    .detail(
        "A folder of the path is a symbolic link, or no folder, and was a folder when the path was checked.",
    )
    .hint("Run the statement again when nobody moves these folders.")
}

/// Asks again for the right to a file that is open, by the path that was given and the one it was found at.
///
/// # Errors
/// 42501, as [`source_path`].
pub fn require_right(path: &str, resolved: &Path) -> Result<()> {
    require_read_server_files()?;
    require_allowed_directory(path, resolved)
}

/// Raises 42501 where the caller's role may not read the server's files.
pub fn require_read_server_files() -> Result<()> {
    // SAFETY: GetUserId only reads the current role; has_privs_of_role looks up role memberships in the
    // catalogue, which a function call inside a transaction may do.
    let allowed = unsafe {
        pg_sys::has_privs_of_role(pg_sys::GetUserId(), pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES))
    };
    if allowed {
        return Ok(());
    }
    Err(Error::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied to read a server file")
        .detail("Only roles with privileges of the \"pg_read_server_files\" role may read a SQLite file.")
        .hint("Ask a superuser to run GRANT pg_read_server_files TO the role that imports."))
}

fn require_allowed_directory(path: &str, resolved: &Path) -> Result<()> {
    let allowed = guc::allowed_directories();
    // Both sides are compared with symbolic links resolved; a directory that does not exist allows nothing.
    if allowed.is_empty()
        || allowed.iter().filter_map(|d| fs::canonicalize(d).ok()).any(|d| resolved.starts_with(d))
    {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("\"{path}\" is outside the allowed directories"),
    )
    .detail("With symbolic links resolved, the file is in none of the directories of aliaport_import.allowed_directories.")
    .hint("Move the file there, or ask a superuser to change aliaport_import.allowed_directories."))
}

fn io_error(path: &str, error: &io::Error) -> Error {
    let (code, reason, hint) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
            PgSqlErrorCode::ERRCODE_UNDEFINED_FILE,
            "No such file or directory",
            "The path is on the database server, not on the client.",
        ),
        io::ErrorKind::PermissionDenied => (
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "Permission denied",
            "The operating-system user that runs the PostgreSQL server must be able to read the file and to search its folders.",
        ),
        _ => {
            (PgSqlErrorCode::ERRCODE_IO_ERROR, "input/output error", "Check the path and the server's disk.")
        }
    };
    Error::new(code, format!("could not open SQLite file \"{path}\": {reason}"))
        .detail(format!("The operating system says: {error}."))
        .hint(hint)
}
