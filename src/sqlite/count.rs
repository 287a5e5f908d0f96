//! SQLite's own count of a table's rows, which checks every page of the table's b-tree and looks at no row:
//! some ten nanoseconds a row.
#![allow(unsafe_code)] // stands between SQLite and its file, so that a cancel ends the count

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use rusqlite::ffi;

use crate::error::{SourceError, SourceErrorKind};
use crate::interrupt::Interrupt;
use crate::source::Source;
use crate::statement::{Statement, quoted};

impl Source {
    /// Counts the rows of a table; a cancel ends it. It goes by the table alone: an index of it can be
    /// damaged and have other rows.
    ///
    /// # Errors
    /// `InvalidName` where there is no such table; else what reading can meet.
    pub fn count_rows(&self, table: &str) -> Result<u64, SourceError> {
        let sql = format!("SELECT count(*) FROM main.{} NOT INDEXED", quoted(self, table)?);
        let mut statement = match Statement::prepare(self, &sql) {
            Err(error) if *error.kind() == SourceErrorKind::NotUnderstood && !self.has_table(table) => {
                let message = format!("SQLite table \"{table}\" does not exist");
                return Err(SourceError::with_message(SourceErrorKind::InvalidName, self.path(), message));
            }
            prepared => prepared?,
        };
        let watch = Watch::begin(self);
        let counted = statement.step();
        drop(watch);
        counted?;
        Ok(u64::try_from(statement.integer(0)).unwrap_or(0))
    }
}

/// While it lives a cancel is noticed whenever SQLite reads a page. The count is one instruction of SQLite's
/// virtual machine, which looks at its flag between instructions only.
struct Watch {
    file: NonNull<ffi::sqlite3_file>,
    /// From `Box::into_raw`; the file's methods meanwhile.
    watched: *mut Watched,
}

/// The methods of a file with another way to read.
#[repr(C)]
struct Watched {
    /// What SQLite sees: it stands first, so a pointer to it is one to all.
    methods: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    interrupt: Interrupt,
}

impl Watch {
    /// `None` where there is no open file: then there is nothing to read.
    fn begin(source: &Source) -> Option<Self> {
        let file = source.file()?;
        // SAFETY: `file` is a file object of the open connection.
        let original = unsafe { (*file.as_ptr()).pMethods };
        // SAFETY: the methods of an open file are plain data and stay for as long as it is open.
        let mut methods = *unsafe { original.as_ref() }?;
        methods.xRead = Some(read);
        let watched = Box::into_raw(Box::new(Watched { methods, original, interrupt: source.interrupt() }));
        // SAFETY: only this thread uses the connection. The new methods are the old ones but for one, which
        // has the same contract, and they are taken off in `drop` before they are freed.
        unsafe { (*file.as_ptr()).pMethods = watched.cast() };
        Some(Watch { file, watched })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: the file is open for as long as its connection, and a watch lives for one step of a
        // statement. The box came from `Box::into_raw`, and after the assignment nobody has a pointer to it.
        unsafe {
            (*self.file.as_ptr()).pMethods = (*self.watched).original;
            drop(Box::from_raw(self.watched));
        }
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    bytes: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for a file that has the methods of a `Watched`, which is there for as long as
    // the file has them, and which nobody changes.
    let watched = unsafe { &*(*file).pMethods.cast::<Watched>() };
    if watched.interrupt.is_cancelled() {
        return ffi::SQLITE_INTERRUPT;
    }
    // SAFETY: the methods of `Watched::original` stay for as long as the file is open; the arguments are
    // SQLite's own.
    match unsafe { (*watched.original).xRead } {
        // SAFETY: as above.
        Some(read) => unsafe { read(file, bytes, amount, offset) },
        None => ffi::SQLITE_IOERR_READ,
    }
}
