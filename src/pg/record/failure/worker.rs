//! The background worker that writes the row of a failed run.
//!
//! It runs as the bootstrap superuser for as long as it takes to become the owner of the history's tables,
//! calls one statement with parameters under our own search_path, and ends. Nothing of what it reads is
//! executed.
#![allow(unsafe_code)] // the entry point of a process, and its transaction

use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::Value as Json;

use super::tell_log;
use crate::pg::record::history;
use crate::pg::record::segment::{Segment, State};
use crate::pg::server::error::{self, Result};
use crate::pg::server::spi;

/// How long the worker waits for a lock on the history, for instance that of an ALTER EXTENSION.
const LOCK_TIMEOUT: &std::ffi::CStr = c"60s";

/// Where PostgreSQL starts the worker; the argument is the handle of the segment.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn aliaport_import_failed_run(handle: pg_sys::Datum) {
    // SAFETY: the first calls of a background worker, in the order that PostgreSQL's documentation gives. No
    // name stands for the bootstrap superuser: the history's owner might not be allowed to log in.
    let segment = unsafe {
        pg_sys::BackgroundWorkerUnblockSignals();
        let Some(segment) = Segment::attach(handle.value() as pg_sys::dsm_handle) else { return };
        segment.set_state(State::Read);
        segment.unpin();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(segment.database(), pg_sys::InvalidOid, 0);
        segment
    };
    let row = segment.row();
    if let Err(error) = write(&row) {
        tell_log(&row, error.message());
    }
    segment.set_state(State::Settled);
}

fn write(row: &Json) -> Result<()> {
    // SAFETY: a transaction of a process that has none; every way out of `attempt` ends it. The database may
    // be read-only by default, which is meant for its users.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::XactReadOnly = false;
        pg_sys::SetConfigOption(
            c"lock_timeout".as_ptr(),
            LOCK_TIMEOUT.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
    let written = error::attempt(|| spi::as_history_owner(|| history::write(row)));
    // SAFETY: ends what was begun above.
    unsafe {
        if written.is_ok() {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        } else {
            pg_sys::AbortCurrentTransaction();
        }
    }
    written
}
