//! How a cancel reaches SQLite: between its instructions, and in our own waits.

use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Virtual machine instructions between two looks at the flag: some ten microseconds, and not measurable in a
/// scan.
const INSTRUCTIONS: i32 = 1000;

/// The longest time that a wait goes without looking.
const STEP: Duration = Duration::from_millis(20);

/// The caller's wish to stop, as a flag that is read.
///
/// The callback only reads: a panic in it would be swallowed by rusqlite and the cancel with it.
#[derive(Clone, Copy)]
pub(crate) struct Interrupt {
    is_cancelled: fn() -> bool,
}

impl Interrupt {
    pub(crate) fn new(is_cancelled: fn() -> bool) -> Self {
        Self { is_cancelled }
    }

    pub(crate) fn is_cancelled(self) -> bool {
        (self.is_cancelled)()
    }

    /// Makes every statement of the connection end with `SQLITE_INTERRUPT` soon after a cancel.
    pub(crate) fn install(self, connection: &mut Connection) -> rusqlite::Result<()> {
        connection.progress_handler(INSTRUCTIONS, Some(self.is_cancelled))
    }

    /// Sleeps; false when a cancel ended it early.
    pub(crate) fn sleep(self, duration: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.is_cancelled() {
                return false;
            }
            let left = duration.saturating_sub(start.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(STEP));
        }
    }
}
