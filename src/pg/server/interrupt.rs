//! Cancel and statement_timeout, on both sides of the SQLite library.
//!
//! PostgreSQL's `CHECK_FOR_INTERRUPTS` raises an error, and an error that is raised below SQLite is swallowed
//! by SQLite. So a callback only reads the flags that mean "stop" ([`is_cancelled`]); after SQLite has
//! returned, [`check`] raises.
//!
//! PostgreSQL looks whether the client is still there (`client_connection_check_interval`) where it checks
//! for interrupts. While SQLite works that does not happen, so the callback looks as well.
#![allow(unsafe_code)] // reads PostgreSQL's global flags, looks at the client's socket

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

/// Set while a reader thread should end although the backend is not being cancelled (any more): PostgreSQL
/// clears its own flag when it raises the error.
static STOP_READER: AtomicBool = AtomicBool::new(false);

/// True when the backend has been asked to cancel the query or to end, or when the reader thread should end.
/// Never raises; safe inside SQLite's callbacks and in the reader thread.
///
/// `InterruptPending` would be wrong here: it is also set for work that does not end the query.
pub fn is_cancelled() -> bool {
    // SAFETY: both are plain sig_atomic_t variables that signal handlers set; a volatile read of either is
    // what PostgreSQL's own macros do.
    let by_signal = unsafe {
        (&raw const pg_sys::QueryCancelPending).read_volatile() != 0
            || (&raw const pg_sys::ProcDiePending).read_volatile() != 0
    };
    by_signal || STOP_READER.load(Ordering::Relaxed) || has_lost_client()
}

/// True when the client is gone and the server was asked to notice. Looks no more often than it was asked to.
#[cfg(target_os = "linux")]
fn has_lost_client() -> bool {
    thread_local! {
        static LAST_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    // SAFETY: plain integers that signal handlers and the main loop set; see above.
    let (is_due, interval) = unsafe {
        (
            (&raw const pg_sys::CheckClientConnectionPending).read_volatile() != 0,
            (&raw const pg_sys::client_connection_check_interval).read_volatile(),
        )
    };
    if !is_due {
        return false;
    }
    let interval = Duration::from_millis(u64::try_from(interval).unwrap_or(0));
    let is_early = LAST_LOOK.get().is_some_and(|last| last.elapsed() < interval);
    // SAFETY: a system call without arguments, and a number that is set when the backend starts. Only the
    // backend's own thread has the process's number; the threads of a load leave the look to it.
    let is_backend = unsafe { libc::syscall(libc::SYS_gettid) == i64::from(pg_sys::MyProcPid) };
    if is_early || !is_backend {
        return false;
    }
    LAST_LOOK.set(Some(Instant::now()));
    // SAFETY: a process without a client has no port. A port begins with its socket, a C int (`struct Port`
    // in libpq-be.h, PostgreSQL 14 to 18); poll() looks at it and waits for nothing.
    unsafe {
        let port = pg_sys::MyProcPort;
        if port.is_null() {
            return false;
        }
        let mut look = libc::pollfd { fd: *port.cast::<libc::c_int>(), events: libc::POLLRDHUP, revents: 0 };
        let is_gone = libc::poll(&raw mut look, 1, 0) > 0
            && look.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0;
        if is_gone {
            // What PostgreSQL's own look notes; `check` ends the backend.
            pg_sys::ClientConnectionLost = 1;
            pg_sys::InterruptPending = 1;
        }
        is_gone
    }
}

/// PostgreSQL notices a client that is gone on Linux only, too, in most of its versions.
#[cfg(not(target_os = "linux"))]
fn has_lost_client() -> bool {
    false
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
