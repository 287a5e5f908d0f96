//! What can go wrong with a source, in the words of a PostgreSQL message: which kind, and what SQLite said.

use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

use crate::lock::Holder;

/// What went wrong. One kind is one SQLSTATE in `src/pg/server/error.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// The first bytes are not SQLite's header; so it is with an encrypted file.
    NotADatabase,
    /// The file has no bytes at all.
    Empty,
    /// SQLite found the file's structure broken, or the file is shorter than its header says.
    Damaged,
    /// Another process held its lock for longer than the busy timeout.
    Locked,
    /// A crashed writer left a rollback journal; only a writer can undo what it holds.
    HotJournal,
    /// A writer arrived after the snapshot was taken and nothing could keep it from changing the pages still
    /// to be read.
    ChangedDuringRead,
    /// `is_cancelled` said so.
    Interrupted,
    /// The operating system refuses to open the file, its `-wal` or its `-shm` for reading.
    PermissionDenied,
    /// The file cannot be opened for another reason: missing, a symbolic link, not a regular file.
    CannotOpen,
    /// Reading failed below SQLite.
    ReadFailed,
    /// SQLite could not allocate memory.
    OutOfMemory,
    /// A value, a row or a statement exceeds SQLite's limits (1,000,000,000 bytes).
    TooBig,
    /// A table, column or index has a name that is no text (invalid UTF-8 or a NUL byte), or does not exist.
    InvalidName,
    /// The `where` filter is not an expression that SQLite can evaluate here.
    InvalidFilter,
    /// The schema needs a function that only the application has, or one that must not be called.
    NotAvailable,
    /// SQLite does not take a statement on a table as the schema declares it.
    NotUnderstood,
    /// What no file can cause: the detail has SQLite's own words.
    Unexpected,
}

/// An error of a source. `Display` is a PostgreSQL primary message: one line, lower case, no full stop.
#[derive(Debug)]
pub struct SourceError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: SourceErrorKind,
    path: PathBuf,
    /// Says more than the kind's own text can.
    message: Option<String>,
    detail: Option<String>,
    /// What SQLite itself said.
    words: Option<String>,
    os_error: Option<i32>,
    /// Who had the lock.
    holder: Option<Holder>,
}

impl SourceError {
    pub(crate) fn new(kind: SourceErrorKind, path: &Path) -> Self {
        let path = path.to_owned();
        Self(Box::new(Parts {
            kind,
            path,
            message: None,
            detail: None,
            words: None,
            os_error: None,
            holder: None,
        }))
    }

    /// An error with a primary message of its own.
    pub(crate) fn with_message(kind: SourceErrorKind, path: &Path, message: String) -> Self {
        let mut error = Self::new(kind, path);
        error.0.message = Some(message);
        error
    }

    pub(crate) fn with_detail(mut self, detail: String) -> Self {
        self.0.detail = Some(detail);
        self
    }

    /// The same facts under another kind: for a cause that SQLite cannot know.
    pub(crate) fn into_kind(mut self, kind: SourceErrorKind) -> Self {
        self.0.kind = kind;
        self.0.message = None;
        self
    }

    /// The same facts under another primary message.
    pub(crate) fn with_primary(mut self, message: String) -> Self {
        self.0.message = Some(message);
        self
    }

    /// It can be the fault of an expression in the statement.
    pub(crate) fn may_come_from_sql(&self) -> bool {
        matches!(self.0.kind, SourceErrorKind::NotAvailable | SourceErrorKind::NotUnderstood)
    }

    /// Says who holds the lock, where that is known and it is one that is in the way.
    pub(crate) fn held_by(mut self, holder: Option<Holder>) -> Self {
        if let (SourceErrorKind::Locked, Some(Holder::Process(process))) = (self.0.kind, holder) {
            self.0.holder = holder;
            let sentence = if self.is_held_by_this_process() {
                "The lock is held by this session itself, through another extension that reads or writes the file."
                    .to_owned()
            } else {
                format!("The lock is held by process {process}.")
            };
            let detail =
                self.0.detail.take().map_or(sentence.clone(), |detail| format!("{detail} {sentence}"));
            self.0.detail = Some(detail);
        }
        self
    }

    /// Waiting for the lock would be waiting for oneself.
    #[must_use]
    pub fn is_held_by_this_process(&self) -> bool {
        self.0.holder == Some(Holder::Process(std::process::id()))
    }

    /// An error that the operating system gave for the file itself.
    pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => SourceErrorKind::PermissionDenied,
            _ => SourceErrorKind::CannotOpen,
        };
        let mut result = Self::new(kind, path);
        result.0.os_error = error.raw_os_error();
        result
    }

    /// An error that SQLite gave: `code` is its extended result code, `os_error` the errno it remembers (0:
    /// none).
    pub(crate) fn from_sqlite(path: &Path, code: c_int, message: &str, os_error: i32) -> Self {
        let mut result = Self::new(kind_of(code, message, os_error), path);
        if matches!(code & 0xff, ffi::SQLITE_CANTOPEN | ffi::SQLITE_IOERR | ffi::SQLITE_PERM) && os_error != 0
        {
            result.0.os_error = Some(os_error);
        }
        result.0.words = Some(message.trim_end_matches('.').to_owned());
        result.0.detail = Some(format!("SQLite reports: {} (code {code}).", message.trim_end_matches('.')));
        result
    }

    pub(crate) fn from_rusqlite(path: &Path, error: &rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(error, message) => {
                let text = message.clone().unwrap_or_else(|| error.to_string());
                Self::from_sqlite(path, error.extended_code, &text, 0)
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                Self::from_sqlite(path, error.extended_code, msg, 0)
            }
            other => Self::new(SourceErrorKind::Unexpected, path).with_detail(format!("{other}.")),
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &SourceErrorKind {
        &self.0.kind
    }

    /// The file it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whole sentences with the facts, SQLite's own message and its extended result code among them.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        self.0.detail.clone()
    }

    /// What SQLite itself said, or else what is said of it.
    pub(crate) fn in_words_of_sqlite(&self) -> String {
        self.0.words.clone().unwrap_or_else(|| self.to_string())
    }

    /// The next step, where there is one to name.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.0.kind {
            SourceErrorKind::NotADatabase => Some("An encrypted file has to be decrypted first."),
            SourceErrorKind::Damaged => Some(
                "Run PRAGMA integrity_check on it, or make a clean copy with the command .recover of sqlite3.",
            ),
            SourceErrorKind::Locked if self.is_held_by_this_process() => {
                Some("End the transaction that has changed the file, then try again.")
            }
            SourceErrorKind::Locked => Some("Try again when the writer is done, or raise the busy timeout."),
            SourceErrorKind::HotJournal => Some(
                "Open the file once with the application or with sqlite3, which rolls the transaction back.",
            ),
            SourceErrorKind::ChangedDuringRead => Some(
                "Try again while the application runs (its -shm file then protects the snapshot), or stop it.",
            ),
            SourceErrorKind::PermissionDenied => Some(
                "The server's operating system user needs read permission on the file, its -wal and its -shm.",
            ),
            _ => None,
        }
    }

    /// The operating system's error number, where there is one.
    pub(crate) fn os_error(&self) -> Option<i32> {
        self.0.os_error
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.0.message {
            return f.write_str(message);
        }
        let path = self.0.path.display();
        match self.0.kind {
            SourceErrorKind::NotADatabase => write!(f, "\"{path}\" is not a SQLite database"),
            SourceErrorKind::Empty => write!(f, "SQLite file \"{path}\" is empty"),
            SourceErrorKind::Damaged => write!(f, "SQLite file \"{path}\" is damaged"),
            SourceErrorKind::Locked if self.is_held_by_this_process() => {
                write!(f, "SQLite file \"{path}\" is locked by this session")
            }
            SourceErrorKind::Locked => write!(f, "SQLite file \"{path}\" is locked by another process"),
            SourceErrorKind::HotJournal => {
                write!(f, "SQLite file \"{path}\" has an unfinished transaction in its rollback journal")
            }
            SourceErrorKind::ChangedDuringRead => {
                write!(f, "SQLite file \"{path}\" changed while it was read")
            }
            SourceErrorKind::Interrupted => write!(f, "reading SQLite file \"{path}\" was interrupted"),
            SourceErrorKind::PermissionDenied => {
                write!(f, "could not open SQLite file \"{path}\": Permission denied")
            }
            SourceErrorKind::CannotOpen => {
                write!(f, "could not open SQLite file \"{path}\"")?;
                write_os_error(f, self.0.os_error)
            }
            SourceErrorKind::ReadFailed => {
                write!(f, "could not read SQLite file \"{path}\"")?;
                write_os_error(f, self.0.os_error)
            }
            SourceErrorKind::OutOfMemory => write!(f, "out of memory while reading SQLite file \"{path}\""),
            SourceErrorKind::TooBig => write!(f, "value in SQLite file \"{path}\" is too big to be read"),
            SourceErrorKind::InvalidName => {
                write!(f, "SQLite file \"{path}\" has a name that is not valid text")
            }
            SourceErrorKind::InvalidFilter => write!(f, "filter is not a valid SQLite expression"),
            SourceErrorKind::NotAvailable => {
                write!(f, "SQLite file \"{path}\" needs a function that only its application has")
            }
            SourceErrorKind::NotUnderstood => {
                write!(f, "SQLite does not understand the schema of file \"{path}\"")
            }
            SourceErrorKind::Unexpected => write!(f, "unexpected error of SQLite file \"{path}\""),
        }
    }
}

impl std::error::Error for SourceError {}

/// `: No such file or directory`, as PostgreSQL's `%m` prints it.
fn write_os_error(f: &mut fmt::Formatter<'_>, os_error: Option<i32>) -> fmt::Result {
    let Some(number) = os_error else { return Ok(()) };
    let text = std::io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    write!(f, ": {text}")
}

/// The kind behind an extended result code (<https://sqlite.org/rescode.html>).
///
/// Every primary code is named: what a file can cause must not be taken for a bug of ours.
fn kind_of(code: c_int, message: &str, os_error: i32) -> SourceErrorKind {
    match code & 0xff {
        // FORMAT is not used by SQLite any more, and meant this.
        ffi::SQLITE_NOTADB | ffi::SQLITE_FORMAT => SourceErrorKind::NotADatabase,
        ffi::SQLITE_CORRUPT => SourceErrorKind::Damaged,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => SourceErrorKind::Locked,
        // The schema changed again and again while the statement was compiled.
        ffi::SQLITE_SCHEMA => SourceErrorKind::ChangedDuringRead,
        ffi::SQLITE_READONLY => match code {
            ffi::SQLITE_READONLY_ROLLBACK => SourceErrorKind::HotJournal,
            // A writer is about to set up the -shm, or died while it did; another writer will repair it.
            ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTINIT => SourceErrorKind::Locked,
            // Something beside the file asks for a write, which there never is.
            _ => SourceErrorKind::HotJournal,
        },
        ffi::SQLITE_INTERRUPT | ffi::SQLITE_ABORT => SourceErrorKind::Interrupted,
        ffi::SQLITE_PERM => SourceErrorKind::PermissionDenied,
        // EPERM and EACCES have these numbers on every system that PostgreSQL runs on.
        ffi::SQLITE_CANTOPEN if matches!(os_error, 1 | 13) => SourceErrorKind::PermissionDenied,
        ffi::SQLITE_CANTOPEN => SourceErrorKind::CannotOpen,
        ffi::SQLITE_IOERR => match code {
            ffi::SQLITE_IOERR_NOMEM => SourceErrorKind::OutOfMemory,
            // The file ends before a page that it says it has.
            ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_SHORT_READ => SourceErrorKind::Damaged,
            _ => SourceErrorKind::ReadFailed,
        },
        ffi::SQLITE_NOLFS => SourceErrorKind::ReadFailed,
        ffi::SQLITE_NOMEM => SourceErrorKind::OutOfMemory,
        // No temporary file is made: it is memory that is full.
        ffi::SQLITE_FULL => SourceErrorKind::OutOfMemory,
        ffi::SQLITE_TOOBIG => SourceErrorKind::TooBig,
        ffi::SQLITE_AUTH => SourceErrorKind::NotAvailable,
        // A header with a schema format of the future; SQLite has no code for it.
        ffi::SQLITE_ERROR if message == "unsupported file format" => SourceErrorKind::Damaged,
        // A statement of ours that does not compile or fails does so because of what the schema says.
        ffi::SQLITE_ERROR
        | ffi::SQLITE_CONSTRAINT
        | ffi::SQLITE_MISMATCH
        | ffi::SQLITE_RANGE
        | ffi::SQLITE_NOTFOUND
        | ffi::SQLITE_EMPTY => SourceErrorKind::NotUnderstood,
        // INTERNAL, MISUSE, NOTICE, WARNING, ROW, DONE, and what SQLite may invent.
        _ => SourceErrorKind::Unexpected,
    }
}
