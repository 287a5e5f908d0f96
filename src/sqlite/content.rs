//! Does a file hold what it held before? A digest of every page of the snapshot.
//!
//! Nothing cheaper tells it for certain. `PRAGMA data_version` counts within one connection; the header's
//! change counter stands still while commits go to the `-wal`, and anybody can write another number there;
//! times can be set, and two files can share theirs.
//!
//! SQLite's online backup (<https://sqlite.org/c3ref/backup_finish.html>) reads the pages through the pager
//! of the source's own read transaction, so it sees the file and as much of the `-wal` as the import will
//! see, whoever writes or checkpoints meanwhile. The copy goes to a file that is not there
//! ([`crate::page_sum`]).
#![allow(unsafe_code)] // the backup's C functions

use std::ffi::c_int;

use rusqlite::ffi;

use crate::error::{SourceError, SourceErrorKind};
use crate::page_sum;
use crate::source::Source;

/// Pages between two looks at the caller's wish to stop: a few milliseconds.
const PAGES_PER_STEP: c_int = 1024;

impl Source {
    /// A text that is the same for two snapshots whose pages are, the file header's counters aside: the
    /// number of pages, their size and the sum of their 128-bit hashes. Reads every page once. `None` where
    /// that fails.
    ///
    /// Equal texts are no proof against somebody who makes two files for it: XXH3 is no cryptographic hash.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn content(&self) -> Result<Option<String>, SourceError> {
        let Some(copy) = page_sum::open() else { return Ok(None) };
        // SAFETY: both connections are open, different, and used by this thread only; the backup is finished
        // below, on every way out, before either is closed.
        let pages = unsafe {
            let backup =
                ffi::sqlite3_backup_init(copy.handle(), c"main".as_ptr(), self.handle(), c"main".as_ptr());
            if backup.is_null() {
                return Ok(None);
            }
            let mut code = ffi::SQLITE_OK;
            while code == ffi::SQLITE_OK && !self.is_cancelled() {
                code = ffi::sqlite3_backup_step(backup, PAGES_PER_STEP);
            }
            let pages = u64::try_from(ffi::sqlite3_backup_pagecount(backup)).unwrap_or(0);
            ffi::sqlite3_backup_finish(backup);
            (code == ffi::SQLITE_DONE).then_some(pages)
        };
        if self.is_cancelled() {
            return Err(SourceError::new(SourceErrorKind::Interrupted, self.path()));
        }
        Ok(pages.and_then(|pages| copy.content(pages)))
    }
}
