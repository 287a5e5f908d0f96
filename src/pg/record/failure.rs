//! The row of a failed run, which its own transaction cannot keep.
//!
//! A background worker writes it (`failure/worker.rs`), which needs no `shared_preload_libraries`. What it
//! has to write is in a dynamic shared memory segment from the run's beginning, because a backend that is
//! being terminated neither unwinds nor may allocate: a callback at its exit only pins the segment and asks
//! for the worker.
//!
//! The process that failed waits for the worker, so that the session's next statement finds the row. It never
//! waits where the worker would have to wait for it, nor long, and it raises its own error afterwards
//! whatever became of the worker. Where no worker can be had, the server's log gets the row.
#![allow(unsafe_code)] // dynamic shared memory, background workers, a callback at the backend's exit

mod worker;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Value as Json;

use super::segment::{Segment, State};
use crate::pg::server::in_sqlite;

/// How long a failed import waits for its row at most. A worker takes some 10 ms; the rest is for a busy
/// machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same after a cancel, which has to end within a second.
const PATIENCE_OF_CANCEL: Duration = Duration::from_millis(500);
/// Milliseconds between two looks at a worker that has not said anything.
const GLANCE_MS: i64 = 20;

thread_local! {
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Why the import ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An error.
    Error,
    /// A cancel or a timeout.
    Cancel,
}

impl From<bool> for Cause {
    fn from(is_cancel: bool) -> Self {
        if is_cancel { Cause::Cancel } else { Cause::Error }
    }
}

/// What is to be written if a run does not come to its end. Dropped at the end of every run that can still
/// say something.
pub struct Will {
    /// None where there is no shared memory (a single-user server) or no segment is free.
    segment: Option<Rc<Segment>>,
}

impl Will {
    /// Puts `row` where a worker finds it.
    pub fn new(row: &Json) -> Self {
        IS_REGISTERED.with(|is_registered| {
            if !is_registered.replace(true) {
                // SAFETY: the callback is a function of this library, which is never unloaded. It is
                // registered once and stays: only the latest callback could be taken back.
                unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::null()) };
            }
        });
        Will { segment: Segment::new(row) }
    }

    /// More is known now.
    pub fn rewrite(&self, row: &Json) {
        if let Some(segment) = &self.segment {
            segment.write(row);
        }
    }

    /// The run has failed: has `row` written. Raises nothing.
    pub fn execute(&self, row: &Json, cause: Cause, is_waited_for: bool) {
        // SAFETY: an error was raised and its transaction is about to be aborted, which begins with just this
        // call. A lock that the error left behind must not be what the worker waits for.
        unsafe { pg_sys::LWLockReleaseAll() };
        let Some(segment) = &self.segment else { return tell_log(row, "no shared memory segment was free") };
        segment.write(row);
        let Some(handle) = start_worker(segment, is_waited_for) else {
            return tell_log(row, "no background worker slot was free (max_worker_processes)");
        };
        if !is_waited_for {
            return;
        }
        let patience = if cause == Cause::Cancel { PATIENCE_OF_CANCEL } else { PATIENCE };
        if wait(handle, patience) && segment.state() != State::Settled {
            if segment.state() == State::Waiting {
                segment.unpin();
            }
            tell_log(row, "the background worker could not start");
        }
    }
}

/// Asks for a worker that writes what is in `segment`. None where no slot is free.
fn start_worker(segment: &Segment, is_waited_for: bool) -> Option<*mut pg_sys::BackgroundWorkerHandle> {
    let mut handle = std::ptr::null_mut();
    segment.pin();
    let builder = BackgroundWorkerBuilder::new("aliaport_import failed run")
        .set_library("aliaport_import")
        .set_function("aliaport_import_failed_run")
        .enable_spi_access()
        .set_restart_time(None)
        .set_argument(Some(pg_sys::Datum::from(segment.handle())))
        // SAFETY: a plain number that is set when the backend starts.
        .set_notify_pid(if is_waited_for { unsafe { pg_sys::MyProcPid } } else { 0 });
    let mut worker = pg_sys::BackgroundWorker::from(&builder);
    // SAFETY: both pointers are valid for the call; PostgreSQL copies the worker's description.
    let is_started = unsafe { pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle) };
    if !is_started {
        segment.unpin();
    }
    is_started.then_some(handle)
}

/// Waits for the end of a worker without raising anything; false where it goes on.
///
/// A cancel or termination that comes in meanwhile ends the waiting and takes effect after the error that is
/// being raised.
fn wait(handle: *mut pg_sys::BackgroundWorkerHandle, patience: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience && !crate::pg::server::interrupt::is_cancelled() {
        let mut pid = 0;
        // SAFETY: the handle is the one that was just made; the latch is this process's own.
        unsafe {
            match pg_sys::GetBackgroundWorkerPid(handle, &raw mut pid) {
                pg_sys::BgwHandleStatus::BGWH_STOPPED => return true,
                pg_sys::BgwHandleStatus::BGWH_POSTMASTER_DIED => return false,
                _ => {}
            }
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                GLANCE_MS,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }
    false
}

/// The server's log is where the row goes when it can go nowhere else.
fn tell_log(row: &Json, why: &str) {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("the row of failed import run {} is not in aliaport.run: {why}", row["run_id"]),
        "aliaport_import",
    )
    .set_detail(format!("The row: {row}"))
    .report(PgLogLevel::LOG_SERVER_ONLY);
}

/// The backend ends while a run is under way: `pg_terminate_backend`, a lost client, a shutdown. Nothing is
/// waited for; on a shutdown the postmaster starts no worker any more, so the log is told in any case. What
/// comes next in this process is the abort of its transaction, which closes the source, so the reader thread
/// has to be out of it.
#[pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    in_sqlite::halt();
    for segment in Segment::take_all() {
        let mut row = segment.row();
        row["finished_at"] = super::history::now().into();
        segment.write(&row);
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("the session ended during import run {}", row["run_id"]),
            "aliaport_import",
        )
        .set_detail(format!("The row for aliaport.run: {row}"))
        .report(PgLogLevel::LOG_SERVER_ONLY);
        start_worker(&segment, false);
    }
}
