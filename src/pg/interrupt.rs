//! Cancel and statement_timeout, on both sides of the SQLite library.
//!
//! PostgreSQL's `CHECK_FOR_INTERRUPTS` raises an error, and an error that is raised below SQLite is swallowed by SQLite.
//! So a callback only reads the flags that mean "stop" ([`is_cancelled`]); after SQLite has returned, [`check`] raises.
#![allow(unsafe_code)] // reads two of PostgreSQL's global flags

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

/// Set while a reader thread should end although the backend is not being cancelled (any more): PostgreSQL clears its own
/// flag when it raises the error.
static STOP_READER: AtomicBool = AtomicBool::new(false);

/// True when the backend has been asked to cancel the query or to end, or when the reader thread should end. Never raises;
/// safe inside SQLite's callbacks and in the reader thread.
///
/// `InterruptPending` would be wrong here: it is also set for work that does not end the query.
pub fn is_cancelled() -> bool {
    // SAFETY: both are plain sig_atomic_t variables that signal handlers set; a volatile read of either is what
    // PostgreSQL's own macros do.
    let by_signal = unsafe {
        (&raw const pg_sys::QueryCancelPending).read_volatile() != 0
            || (&raw const pg_sys::ProcDiePending).read_volatile() != 0
    };
    by_signal || STOP_READER.load(Ordering::Relaxed)
}

/// Makes a step of SQLite that is under way in the reader thread end soon.
pub fn stop_reader() {
    STOP_READER.store(true, Ordering::Relaxed);
}

/// Takes [`stop_reader`] back.
pub fn let_reader_run() {
    STOP_READER.store(false, Ordering::Relaxed);
}

/// Raises 57014 (or ends the backend) if that was asked for. Only where no SQLite frame is below.
pub fn check() {
    pgrx::check_for_interrupts!();
}
