//! The only way to catch a PostgreSQL error and go on: inside a subtransaction.
//!
//! Catching without one leaves half-made index entries behind (measured: two rows with one primary key). It
//! is used once a statement, never once a row.
#![allow(unsafe_code)] // starts and ends subtransactions, and restores what PostgreSQL code restores around them

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::pg_sys;

use super::error::{self, Result};

/// What the subtransaction should leave behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Keep what `f` did.
    Keep,
    /// Undo what `f` did, whether or not it succeeded.
    Undo,
}

/// Runs `f` in a subtransaction. On success its work is kept or undone as `at_end` says. An error of ours or
/// of PostgreSQL undoes it and comes back as `Err`. A cancel undoes it as well and goes on unwinding: a
/// subtransaction that was left open would be the session's current one after the statement.
///
/// Reads in `f` see what the statement saw that called us, and nothing that was made since, until `f` has
/// written something.
pub fn within<R>(at_end: AtEnd, f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: both are globals of the backend that are always valid to read; they are put back below because
    // ending a subtransaction switches both, as PostgreSQL's own procedural languages do.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: a function call is inside a transaction; a NULL name makes an unnamed subtransaction.
    unsafe {
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
    }
    let restore = || {
        // SAFETY: `context` and `owner` outlive the subtransaction: they were current before it began.
        unsafe {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        }
    };
    let undo = || {
        // SAFETY: the subtransaction begun above is the current one; PostgreSQL has cleaned up after the
        // error, if any.
        unsafe { pg_sys::RollbackAndReleaseCurrentSubTransaction() };
        restore();
    };
    let result = match catch_unwind(AssertUnwindSafe(|| error::attempt(f))) {
        Ok(result) => result,
        Err(cancel) => {
            undo();
            resume_unwind(cancel);
        }
    };
    match &result {
        Ok(_) if at_end == AtEnd::Keep => {
            // SAFETY: the subtransaction begun above is the current one and has not failed.
            unsafe { pg_sys::ReleaseCurrentSubTransaction() };
            restore();
        }
        _ => undo(),
    }
    result
}
