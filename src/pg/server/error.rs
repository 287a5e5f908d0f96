//! The one place that knows SQLSTATEs: turns every error of the other rooms into a PostgreSQL error with a
//! primary message in lower case, a DETAIL with the facts and a HINT with the next step.
//!
//! A PostgreSQL error that crosses a Rust frame loses its CONTEXT and its object names, so the place in the
//! source is carried here, in DETAIL, by [`located`].

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
use pgrx::prelude::*;

use aliaport_plan::option::OptionError;
use aliaport_plan::planner::PlanError;
use aliaport_rows::row::OnError;
use aliaport_rows::sqlstate::SqlState;
use aliaport_sqlite::{SourceError, SourceErrorKind};

/// An error that will be raised as a PostgreSQL ERROR. Boxed, because it travels through every `Result`.
#[derive(Debug)]
pub struct Error {
    code: PgSqlErrorCode,
    report: Box<ErrorReport>,
    wider: Option<Box<(usize, &'static str)>>,
}

/// The result of everything in this room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a code and a primary message.
    #[track_caller]
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        let report = Box::new(ErrorReport::new(code, message.into(), "aliaport_import"));
        Error { code, report, wider: None }
    }

    /// The same error with a DETAIL: whole sentences, facts only.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Error { report: Box::new(self.report.set_detail(detail)), ..self }
    }

    /// The same error with a HINT: what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Error { report: Box::new(self.report.set_hint(hint)), ..self }
    }

    /// The same error of a value for which another type may help: its column in the plan, and the narrowest
    /// type that takes it.
    #[must_use]
    pub fn of_value(self, wider: Option<(usize, &'static str)>) -> Self {
        Error { wider: wider.map(Box::new), ..self }
    }

    /// What [`Error::of_value`] was given.
    pub fn wider(&self) -> Option<(usize, &'static str)> {
        self.wider.as_deref().copied()
    }

    /// The SQLSTATE.
    pub fn code(&self) -> PgSqlErrorCode {
        self.code
    }

    /// The error as JSON, for rows that report it instead of raising it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "sqlstate": sqlstate(self.code).as_str(),
            "message": self.report.message(),
            "detail": self.report.detail(),
            "hint": self.report.hint(),
        })
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        self.report.message()
    }

    /// The DETAIL, if it has one.
    pub fn detail_text(&self) -> Option<&str> {
        self.report.detail()
    }

    /// What pgrx raises at the SQL boundary.
    pub fn into_report(self) -> ErrorReport {
        *self.report
    }

    /// Raises this error here and now, for places that PostgreSQL calls and that cannot return a `Result`.
    pub fn raise(self) -> ! {
        self.into_report().report(PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }
}

/// A bug of ours: a state that no input can cause.
#[track_caller]
pub fn unexpected(what: impl std::fmt::Display) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, format!("unexpected {what}"))
        .hint("This is a bug in aliaport_import; nothing was imported.")
}

/// The code of an error that was found without the server. One that pgrx has no name for is a data exception:
/// an input function's own.
pub fn code(sqlstate: SqlState) -> PgSqlErrorCode {
    match PgSqlErrorCode::from(sqlstate.packed()) {
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR if sqlstate != SqlState::INTERNAL_ERROR => {
            PgSqlErrorCode::ERRCODE_DATA_EXCEPTION
        }
        known => known,
    }
}

/// An object of the target that was there when the import or the look at it began, and is not any more.
pub fn gone(what: impl std::fmt::Display, code: PgSqlErrorCode) -> Error {
    Error::new(code, format!("{what} does not exist any more"))
        .detail("It was there a moment ago: another session has dropped or renamed it, or its schema.")
        .hint("Run it again when nobody changes the target.")
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        use PgSqlErrorCode as C;
        use SourceErrorKind as K;
        // A cancelled scan ends with SQLite's own INTERRUPT; PostgreSQL's error for it is the real one.
        if matches!(error.kind(), K::Interrupted) {
            super::interrupt::check();
        }
        let (code, hint) = match error.kind() {
            K::NotADatabase => (
                C::ERRCODE_BAD_COPY_FILE_FORMAT,
                "Give the path of a SQLite 3 database; an encrypted one has to be decrypted first.",
            ),
            K::Empty => (
                C::ERRCODE_BAD_COPY_FILE_FORMAT,
                "The file has no bytes: check the path, and that the application has written to this file.",
            ),
            K::Damaged => (
                C::ERRCODE_BAD_COPY_FILE_FORMAT,
                "Run PRAGMA integrity_check on the file with the sqlite3 program, or take a fresh copy with its .backup command.",
            ),
            K::Locked if error.is_held_by_this_process() => (
                C::ERRCODE_LOCK_NOT_AVAILABLE,
                "End the transaction of this session that has changed the file, then run the import again.",
            ),
            K::Locked => (
                C::ERRCODE_LOCK_NOT_AVAILABLE,
                "Run the import again, or raise aliaport_import.busy_timeout to wait longer for the writer.",
            ),
            K::HotJournal => (
                C::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "Open the file once with the application or the sqlite3 program, so that SQLite rolls the journal back; the import never writes to the source.",
            ),
            K::ChangedDuringRead => {
                (C::ERRCODE_T_R_SERIALIZATION_FAILURE, "Nothing was imported; run the import again.")
            }
            K::Interrupted => (C::ERRCODE_QUERY_CANCELED, "Run the import again."),
            K::PermissionDenied => (
                C::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "The operating-system user that runs the PostgreSQL server must be able to read the file and to search its folders.",
            ),
            K::CannotOpen => (
                C::ERRCODE_IO_ERROR,
                "Check that the file and the files beside it (-wal, -shm) are readable by the server's operating-system user.",
            ),
            K::ReadFailed => {
                (C::ERRCODE_IO_ERROR, "Check the disk and the server's log, then run the import again.")
            }
            K::OutOfMemory => {
                (C::ERRCODE_OUT_OF_MEMORY, "Free memory on the server, then run the import again.")
            }
            K::TooBig => (
                C::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "PostgreSQL stores values up to 1 GB; leave the column out with its option skip.",
            ),
            K::InvalidFilter => (
                C::ERRCODE_INVALID_PARAMETER_VALUE,
                "The option where of a table is a condition in SQLite's SQL over the columns of that table.",
            ),
            K::InvalidName => {
                (C::ERRCODE_INVALID_NAME, "Leave the table out with options.exclude, or rename it in SQLite.")
            }
            K::NotAvailable => (
                C::ERRCODE_UNDEFINED_FUNCTION,
                "Leave the column that calls the function out with its option skip, or the table with options.exclude.",
            ),
            K::NotUnderstood => (
                C::ERRCODE_BAD_COPY_FILE_FORMAT,
                "Open the file with the sqlite3 program and read the table there, or leave it out with options.exclude.",
            ),
            K::Unexpected => {
                (C::ERRCODE_INTERNAL_ERROR, "This is a bug in aliaport_import; nothing was imported.")
            }
        };
        let report = Error::new(code, error.to_string()).hint(hint);
        report.detail(error.detail().unwrap_or_else(|| match error.kind() {
            K::Empty => "It has 0 bytes.".to_owned(),
            _ => format!("The file is \"{}\".", error.path().display()),
        }))
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        let mut report = Error::new(code(error.sqlstate()), error.to_string());
        if let Some(detail) = error.detail() {
            report = report.detail(detail);
        }
        if let Some(hint) = error.hint() {
            report = report.hint(hint);
        }
        report
    }
}

impl From<OptionError> for Error {
    fn from(error: OptionError) -> Self {
        let report = Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, error.to_string())
            .detail("The argument options is checked before anything is read.");
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

/// Runs `f`; a PostgreSQL error in it is raised again with the same code, message and hint and with `place`
/// added to its DETAIL, and with the next step where it has no hint, by what the import does with bad rows.
/// Nothing is swallowed, so no subtransaction is needed.
pub fn located<R>(on_error: OnError, place: impl Fn() -> String, f: impl FnOnce() -> R) -> R {
    located_with_step(|_| place(), |code| next_step(code, on_error).to_owned(), f)
}

/// True where a row may be to blame: its data, a rule that it breaks, a limit that it passes, or what a
/// function of the target raised. A lack of memory, disk or locks has nothing to do with the row at hand.
pub fn is_about_a_row(code: PgSqlErrorCode) -> bool {
    ["22", "23", "42", "44", "54", "P0"].iter().any(|class| sqlstate(code).as_str().starts_with(class))
}

/// The same; the place may depend on the code, and `step` says what to do about an error that has no hint of
/// its own. Where it says nothing, whoever called this may.
pub fn located_with_step<R>(
    place: impl Fn(PgSqlErrorCode) -> String,
    step: impl Fn(PgSqlErrorCode) -> String,
    f: impl FnOnce() -> R,
) -> R {
    let report = match reported(f) {
        Ok(result) => return result,
        Err(report) => report,
    };
    let place = place(report.sql_error_code());
    let detail = match report.detail() {
        // Another extension's may end without a full stop.
        Some(detail) if detail.ends_with(['.', '\n']) => format!("{detail} {place}"),
        Some(detail) if !detail.is_empty() => format!("{detail}. {place}"),
        _ => place,
    };
    let mut error = Error::new(report.sql_error_code(), report.message().to_owned()).detail(detail);
    let hint = report.hint().map_or_else(|| step(report.sql_error_code()), str::to_owned);
    if !hint.is_empty() {
        error = error.hint(hint);
    }
    error.raise()
}

/// An error in words, for the history.
pub struct Told {
    code: PgSqlErrorCode,
    text: String,
}

impl Told {
    fn new(code: PgSqlErrorCode, message: &str, detail: Option<&str>, hint: Option<&str>) -> Self {
        let mut text = format!("{}: {message}", sqlstate(code));
        for (label, part) in [("DETAIL", detail), ("HINT", hint)] {
            if let Some(part) = part.filter(|p| !p.is_empty()) {
                text.push_str(&format!("\n{label}:  {part}"));
            }
        }
        Told { code, text }
    }

    /// True for a cancel or a timeout.
    pub fn is_cancel(&self) -> bool {
        is_cancel(self.code)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Runs `f`; an error, returned or raised, is told to `listener` and then goes on as it was.
pub fn observed<R>(f: impl FnOnce() -> Result<R>, listener: impl FnOnce(&Told)) -> Result<R> {
    match caught(f) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => {
            let report = &error.report;
            listener(&Told::new(error.code, report.message(), report.detail(), report.hint()));
            Err(error)
        }
        Err(caught) => {
            let (CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. }) = &*caught;
            listener(&Told::new(report.sql_error_code(), report.message(), report.detail(), report.hint()));
            caught.rethrow()
        }
    }
}

/// What to do about an error of PostgreSQL's that has no hint of its own.
pub fn next_step(code: PgSqlErrorCode, on_error: OnError) -> &'static str {
    // An import that sets bad rows aside need not be told to do so.
    if on_error != OnError::Abort && is_of_a_row(code) {
        return "Repair the row in SQLite, or leave it out with the option where of its table.";
    }
    use PgSqlErrorCode as C;
    match code {
        C::ERRCODE_UNIQUE_VIOLATION => {
            "Repair the source, or look at what the target holds already; with on_error => 'reject' a table that the import makes keeps the first row of each key."
        }
        C::ERRCODE_CHECK_VIOLATION => {
            "Repair the row in SQLite, import with on_error => 'reject' to set such rows aside in aliaport.rejected_row, or leave them out with the option where of their table."
        }
        C::ERRCODE_EXCLUSION_VIOLATION | C::ERRCODE_NOT_NULL_VIOLATION => {
            "Repair the row in SQLite, or leave it out with the option where of its table."
        }
        C::ERRCODE_INVALID_TEXT_REPRESENTATION
        | C::ERRCODE_INVALID_DATETIME_FORMAT
        | C::ERRCODE_DATETIME_FIELD_OVERFLOW
        | C::ERRCODE_INTERVAL_FIELD_OVERFLOW
        | C::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
        | C::ERRCODE_STRING_DATA_RIGHT_TRUNCATION
        | C::ERRCODE_ARRAY_ELEMENT_ERROR => {
            "Repair the value in SQLite, or import with on_error => 'reject' to set the row aside or 'null' to store NULL instead."
        }
        C::ERRCODE_FOREIGN_KEY_VIOLATION => "Import the parent's rows first, or repair the rows in SQLite.",
        C::ERRCODE_INSUFFICIENT_PRIVILEGE => {
            "Ask the owner of the table or schema to grant the caller what is missing."
        }
        C::ERRCODE_DISK_FULL | C::ERRCODE_OUT_OF_MEMORY => {
            "Make room on the server, then run the import again."
        }
        _ => "Nothing was imported; with dry_run => true the import can be tried without effect.",
    }
}

/// A row may be to blame, and not what it points at.
fn is_of_a_row(code: PgSqlErrorCode) -> bool {
    use PgSqlErrorCode as C;
    matches!(
        code,
        C::ERRCODE_UNIQUE_VIOLATION
            | C::ERRCODE_CHECK_VIOLATION
            | C::ERRCODE_EXCLUSION_VIOLATION
            | C::ERRCODE_NOT_NULL_VIOLATION
    ) || sqlstate(code).as_str().starts_with("22")
}

/// Runs `f` and hands over what was raised in it.
fn caught<R>(f: impl FnOnce() -> R) -> std::result::Result<R, Box<CaughtError>> {
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(f()))).catch_others(|caught| Err(Box::new(caught))).execute()
}

/// Runs `f` and hands over the error that was raised in it. A panic goes on up, and so does a cancel or a
/// shutdown, which says nothing about the place it happened to hit.
fn reported<R>(f: impl FnOnce() -> R) -> std::result::Result<R, Box<ErrorReportWithLevel>> {
    caught(f).map_err(|caught| match *caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
            if !is_cancel(report.sql_error_code()) =>
        {
            Box::new(report)
        }
        other => other.rethrow(),
    })
}

/// Runs `f`; an error of ours or of PostgreSQL comes back as `Err`, a cancel or the end of the backend goes
/// on up.
///
/// Whoever goes on after an error has to undo a subtransaction that was begun before.
pub fn attempt<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let report = match reported(f) {
        Ok(result) => return result,
        Err(report) => report,
    };
    let mut error = Error::new(report.sql_error_code(), report.message().to_owned());
    if let Some(detail) = report.detail() {
        error = error.detail(detail);
    }
    if let Some(hint) = report.hint() {
        error = error.hint(hint);
    }
    Err(error)
}

/// A code of the server.
pub fn sqlstate(code: PgSqlErrorCode) -> SqlState {
    SqlState::unpacked(code as i32)
}

/// True for a cancel, a statement timeout, a lock timeout during one, or the end of the backend.
pub fn is_cancel(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED
            | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
    )
}
