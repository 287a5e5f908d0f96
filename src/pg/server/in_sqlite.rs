//! Is a thread of this process inside SQLite? A process that ends without unwinding joins no thread, and must
//! not close a file under one.
//!
//! There is never a second scan in a process, so these flags are that of the one.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::interrupt;

/// How long an ending process waits for its reader thread; a step of SQLite looks at its flag far more often.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// True while a reader thread may touch SQLite: not while it waits to hand a batch over.
static IS_READING: AtomicBool = AtomicBool::new(false);
/// Set when the process ends without unwinding: whoever waits to hand a batch over never goes on.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// Set when the process ends and its reader thread could not be stopped, for instance because the disk does
/// not answer.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A reader thread begins.
pub fn enter() {
    IS_READING.store(true, SeqCst);
}

/// The reader thread has ended, or was never started.
pub fn leave() {
    IS_READING.store(false, SeqCst);
}

/// Lets the reader thread wait for others. It comes back only while SQLite may be touched.
pub fn away<R>(wait: impl FnOnce() -> R) -> R {
    leave();
    let result = wait();
    enter();
    while IS_ENDING.load(SeqCst) {
        leave();
        std::thread::park();
    }
    result
}

/// Makes the reader thread leave SQLite alone for good. For a process that ends without unwinding: nobody
/// joins the thread, and the end of the transaction closes the source under it, or leaves it open where the
/// thread did not come back ([`is_lost`]).
pub fn halt() {
    IS_ENDING.store(true, SeqCst);
    interrupt::stop_reader();
    let begun = Instant::now();
    while IS_READING.load(SeqCst) && begun.elapsed() < LAST_PATIENCE {
        std::thread::sleep(Duration::from_micros(200));
    }
    IS_LOST.store(IS_READING.load(SeqCst), SeqCst);
}

/// Whether a thread may still be using what the end of the transaction would close under it.
pub fn is_lost() -> bool {
    IS_LOST.load(SeqCst)
}
