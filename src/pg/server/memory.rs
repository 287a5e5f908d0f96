//! How much memory the steps after a load may take, and how long.
#![allow(unsafe_code)] // reads three of the backend's settings, makes memory contexts

use std::ffi::CString;

use pgrx::pg_sys;

use super::error::{Result, unexpected};
use super::spi;

/// What one process needs to sort with for PostgreSQL to let it take part in an index build, in kilobytes
/// (`plan_create_index_workers`).
const PARTICIPANT: i32 = 32 << 10;

/// PostgreSQL's own default of `maintenance_work_mem`, in kilobytes.
const DEFAULT: i32 = 64 << 10;

/// Runs `f` with as much memory for a hash or a sort as building an index may take.
pub fn as_maintenance<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: both are integers of the backend that are always valid to read.
    let kilobytes = unsafe { pg_sys::work_mem.max(pg_sys::maintenance_work_mem) };
    spi::with_setting(c"work_mem", &text(kilobytes)?, f)
}

/// Runs `f`, which builds indexes.
///
/// Where `maintenance_work_mem` is what PostgreSQL comes with, as many processes sort as there are cores and
/// `max_parallel_maintenance_workers` allows, each with the least that lets it, so that the backend stays
/// small also where it sorts alone. What somebody has chosen stays.
pub fn for_indexes<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: as above.
    let (kilobytes, workers) =
        unsafe { (pg_sys::maintenance_work_mem, pg_sys::max_parallel_maintenance_workers) };
    if kilobytes != DEFAULT {
        return f();
    }
    let others = std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
    let participants = workers.min(i32::try_from(others).unwrap_or(workers)).max(0).saturating_add(1);
    spi::with_setting(c"maintenance_work_mem", &text(participants.saturating_mul(PARTICIPANT))?, f)
}

/// Runs `f` and frees at once what it has allocated of PostgreSQL's memory, arguments of a statement for
/// instance. Nothing of that may be in its result.
pub fn briefly<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the context is a child of the current one, which is current again afterwards; an error leaves
    // it to that one's end.
    unsafe {
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"aliaport_import step".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let outer = pg_sys::MemoryContextSwitchTo(context);
        let result = f();
        pg_sys::MemoryContextSwitchTo(outer);
        pg_sys::MemoryContextDelete(context);
        result
    }
}

fn text(kilobytes: i32) -> Result<CString> {
    CString::new(kilobytes.to_string()).map_err(unexpected)
}
