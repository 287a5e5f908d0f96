//! What must hold when something goes wrong: values are dropped, subtransactions leave no trace, errors keep
//! what they say, a cancel is never swallowed.
#![allow(unsafe_code)] // reads and sets PostgreSQL's globals

use std::cell::Cell;
use std::rc::Rc;

use aliaport_rows::row::OnError;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::server::error::{self, Error, Result};
use crate::pg::server::held::Held;
use crate::pg::server::subxact::{AtEnd, within};
use crate::pg::server::{interrupt, spi};

/// Counts how often it is dropped.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Where PostgreSQL allocates, what owns its resources, and how deep its subtransactions are.
fn surroundings() -> (pg_sys::MemoryContext, pg_sys::ResourceOwner, i32) {
    // SAFETY: globals of the backend, and a function that reads one.
    unsafe {
        (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner, pg_sys::GetCurrentTransactionNestLevel())
    }
}

fn count_of_rows() -> i64 {
    spi::one_for_caller::<i64>("SELECT count(*) FROM trace", &[]).unwrap().unwrap()
}

fn insert() -> Result<()> {
    spi::run_for_caller("INSERT INTO trace VALUES (1)")
}

fn fail() -> Result<()> {
    insert()?;
    spi::run_for_caller("SELECT 1 / 0")
}

/// What pg_cancel_backend() makes the signal handler do.
fn request_cancel() {
    // SAFETY: plain flags that a signal handler may set at any time.
    unsafe {
        pg_sys::QueryCancelPending = 1;
        pg_sys::InterruptPending = 1;
    }
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn a_held_value_is_dropped_once_by_scope_error_and_end_of_memory() {
        let drops = Rc::new(Cell::new(0));
        {
            let held = Held::new(Counted(Rc::clone(&drops)));
            assert_eq!(Rc::strong_count(&held.0), 2);
            assert_eq!(drops.get(), 0);
        }
        assert_eq!(drops.get(), 1, "at the end of its scope");

        let error = within(AtEnd::Keep, || {
            let _held = Held::new(Counted(Rc::clone(&drops)));
            spi::run_for_caller("SELECT 1 / 0")
        });
        assert!(error.is_err());
        assert_eq!(drops.get(), 2, "when a PostgreSQL error unwinds");

        // pg_terminate_backend does not unwind: all that happens is that the transaction's memory goes.
        std::mem::forget(Held::new(Counted(Rc::clone(&drops))));
        assert_eq!(drops.get(), 2);
        // SAFETY: the newest child of the transaction's context is the one that was made above, and nothing
        // is left that uses it.
        unsafe {
            let newest = (*pg_sys::TopTransactionContext).firstchild;
            assert_eq!(std::ffi::CStr::from_ptr((*newest).name), c"aliaport_import source");
            pg_sys::MemoryContextDelete(newest);
        }
        assert_eq!(drops.get(), 3, "when the memory of the transaction goes");
    }

    #[pg_test]
    fn a_subtransaction_leaves_its_surroundings_as_they_were() {
        spi::run_for_caller("CREATE TEMPORARY TABLE trace (n int)").unwrap();
        let before = surroundings();
        within(AtEnd::Keep, insert).unwrap();
        assert_eq!((surroundings(), count_of_rows()), (before, 1), "kept");
        within(AtEnd::Undo, insert).unwrap();
        assert_eq!((surroundings(), count_of_rows()), (before, 1), "undone");
        let error = within(AtEnd::Keep, fail).unwrap_err();
        assert_eq!(error.code(), PgSqlErrorCode::ERRCODE_DIVISION_BY_ZERO);
        assert_eq!((surroundings(), count_of_rows()), (before, 1), "a PostgreSQL error");
        let ours = || insert().and_then(|()| Err::<(), Error>(error::unexpected("test")));
        assert!(within(AtEnd::Keep, ours).is_err());
        assert_eq!((surroundings(), count_of_rows()), (before, 1), "an error of ours");
        let nested = within(AtEnd::Keep, || {
            insert()?;
            assert!(within(AtEnd::Keep, fail).is_err());
            insert()
        });
        nested.unwrap();
        assert_eq!((surroundings(), count_of_rows()), (before, 3), "an error in an inner one");
    }

    #[pg_test]
    fn an_error_gets_a_place_and_keeps_its_code_message_and_hint() {
        let place = || "SQLite table \"t\", rowid 7.".to_owned();
        let raise = |using: &str| {
            let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514' {using}; END $$");
            within(AtEnd::Undo, || error::located(OnError::Abort, place, || spi::run_for_caller(&sql)))
                .unwrap_err()
        };
        let full = raise(", DETAIL = 'Why.', HINT = 'What to do.'");
        assert_eq!(full.code(), PgSqlErrorCode::ERRCODE_CHECK_VIOLATION);
        let report = full.into_report();
        assert_eq!(report.message(), "no");
        assert_eq!(report.detail(), Some("Why. SQLite table \"t\", rowid 7."));
        assert_eq!(report.hint(), Some("What to do."));
        let bare = raise("").into_report();
        assert_eq!(bare.detail(), Some("SQLite table \"t\", rowid 7."));
        assert!(bare.hint().is_some_and(|hint| !hint.is_empty()), "every error says what to do next");
        assert_eq!(error::located(OnError::Abort, place, || 5), 5);
    }

    #[pg_test]
    fn only_a_cancel_or_the_end_of_the_backend_stops_a_scan() {
        assert!(!interrupt::is_cancelled());
        // SAFETY: plain flags that a signal handler may set at any time. They are taken back before anything
        // looks at them.
        unsafe {
            // Set for work that does not end the query, too.
            pg_sys::InterruptPending = 1;
            assert!(!interrupt::is_cancelled());
            pg_sys::ProcDiePending = 1;
            assert!(interrupt::is_cancelled());
            pg_sys::ProcDiePending = 0;
            pg_sys::InterruptPending = 0;
        }
        assert!(!interrupt::is_cancelled());
        interrupt::stop_reader();
        assert!(interrupt::is_cancelled());
        interrupt::let_reader_run();
        assert!(!interrupt::is_cancelled());
        interrupt::check();
    }

    #[pg_test(error = "canceling statement due to user request")]
    fn a_cancel_passes_through_a_subtransaction_and_a_place() {
        request_cancel();
        assert!(interrupt::is_cancelled());
        let _ = within(AtEnd::Keep, || {
            error::located(OnError::Abort, || "here".to_owned(), interrupt::check);
            Ok(())
        });
    }
}
