//! How much may be on its way from the reader to the table: bytes, so that large values do not pile up.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a wait goes without looking whether it is still worth it.
const STEP: Duration = Duration::from_millis(20);

/// Bytes that were read and are not written yet.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: Mutex<usize>,
    has_room: Condvar,
    is_closed: AtomicBool,
}

impl Budget {
    /// Room for `limit` bytes, and for one batch more, however large.
    pub fn new(limit: usize) -> Self {
        Budget { limit, used: Mutex::new(0), has_room: Condvar::new(), is_closed: AtomicBool::new(false) }
    }

    /// Notes that so many bytes are on their way.
    pub fn take(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
    }

    /// Notes that so many bytes have arrived.
    pub fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes);
        if *used <= self.limit {
            self.has_room.notify_all();
        }
    }

    /// Waits until no more than the limit is on its way; false when nobody will make room any more.
    pub fn wait(&self) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > self.limit {
            if self.is_closed.load(SeqCst) {
                return false;
            }
            used = self.has_room.wait_timeout(used, STEP).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends every wait: nothing arrives any more.
    pub fn close(&self) {
        self.is_closed.store(true, SeqCst);
        self.has_room.notify_all();
    }
}
