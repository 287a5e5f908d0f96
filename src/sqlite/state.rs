//! What a source's files look like from outside: have they changed, and are they the same as last time?
//!
//! The database file is only ever looked at with `stat`: opening and closing it here would drop the locks
//! that another SQLite of this process holds on it (POSIX). The `-wal` carries no locks.

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::location::{Location, Stamp};
use crate::wal;

/// Two writes within this time can leave the same timestamp: the kernel's clock ticks every 1 to 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// The same for file systems that keep whole seconds.
const COARSE_TICK: Duration = Duration::from_millis(2100);

/// The database file and its `-wal` at one moment.
#[derive(Clone, Debug)]
pub(crate) struct FileState {
    file: Stamp,
    wal: Option<Wal>,
    taken: Duration,
}

#[derive(Clone, Debug)]
struct Wal {
    stamp: Stamp,
    /// As much as there is of the first 32 bytes: <https://sqlite.org/fileformat2.html#walformat>.
    header: Vec<u8>,
}

impl FileState {
    /// Looks at the files.
    ///
    /// # Errors
    /// What `stat` of the database file says; something that is no regular file is an error too.
    pub(crate) fn observe(location: &Location) -> std::io::Result<Self> {
        let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { file: location.stamp("")?, wal: Wal::observe(location), taken })
    }

    /// Whether the two looks saw the same, as far as looks can tell.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.file == other.file && self.has_wal() == other.has_wal()
    }

    /// Whether there is a `-wal`.
    pub(crate) fn has_wal(&self) -> bool {
        self.wal.is_some()
    }

    pub(crate) fn size(&self) -> u64 {
        self.file.size
    }

    /// Whether a snapshot taken between the two looks can still be trusted to be whole.
    ///
    /// Frames of the `-wal` are overwritten only after all of them were copied to the file, which shows in
    /// the file's times, and under another header.
    pub(crate) fn is_same_snapshot(&self, later: &Self) -> bool {
        let is_same_wal = match (&self.wal, &later.wal) {
            (Some(wal), later) if wal.may_have_frames() => {
                later.as_ref().is_some_and(|later| later.header == wal.header)
            }
            // No frames then: nothing of a later -wal is read.
            _ => true,
        };
        self.file == later.file && is_same_wal
    }

    /// How long to wait until another write is sure to leave another timestamp; zero when it is already.
    pub(crate) fn unsettled(&self) -> Duration {
        let mut wait = self.file.unsettled(self.taken);
        if let Some(wal) = &self.wal {
            wait = wait.max(wal.stamp.unsettled(self.taken));
        }
        wait
    }

    /// The same for the database file alone.
    pub(crate) fn file_unsettled(&self) -> Duration {
        self.file.unsettled(self.taken)
    }

    /// A text that differs whenever the content may differ; `header` is the file's first 100 bytes.
    ///
    /// A file that was written to a moment ago gets a text that equals no other.
    pub(crate) fn fingerprint(&self, header: Option<&[u8; 100]>) -> String {
        let word = |at: usize| {
            let bytes = header.and_then(|header| header.get(at..at + 4)).and_then(|b| b.try_into().ok());
            u32::from_be_bytes(bytes.unwrap_or_default())
        };
        let Stamp { inode, size, modified, .. } = self.file;
        // Offsets 24 and 40: https://sqlite.org/fileformat2.html#the_database_header
        let mut text =
            format!("size={size} mtime={modified} inode={inode} change={} schema={}", word(24), word(40));
        if let Some(wal) = &self.wal
            && wal.stamp.size > 0
        {
            let salts: String =
                wal.header.iter().skip(16).take(8).map(|byte| format!("{byte:02x}")).collect();
            text += &format!(" wal={}:{}:{salts}", wal.stamp.size, wal.stamp.modified);
        }
        if !self.unsettled().is_zero() {
            text += &format!(" unsettled={}", self.taken.as_nanos());
        }
        text
    }
}

impl Wal {
    fn observe(location: &Location) -> Option<Self> {
        let stamp = location.stamp("-wal").ok()?;
        let mut header = Vec::with_capacity(wal::HEADER);
        // Where it cannot be read, SQLite will say so.
        if let Ok(file) = location.open_wal() {
            let _ = file.take(wal::HEADER as u64).read_to_end(&mut header);
        }
        Some(Self { stamp, header })
    }

    fn may_have_frames(&self) -> bool {
        self.stamp.size > wal::HEADER as u64
            && self.header.as_slice().try_into().is_ok_and(|header| wal::is_header(&header))
    }
}

impl Stamp {
    fn unsettled(&self, now: Duration) -> Duration {
        let latest = self.modified.max(self.changed);
        let is_coarse = self.modified % 1_000_000_000 == 0 && self.changed % 1_000_000_000 == 0;
        let tick = if is_coarse { COARSE_TICK } else { TICK };
        // A time in the future was set by hand or by another clock: waiting would not help.
        let age = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX).saturating_sub(latest);
        match u64::try_from(age) {
            Ok(age) => tick.saturating_sub(Duration::from_nanos(age)),
            Err(_) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(seconds: u64, modified: i128, changed: i128) -> FileState {
        let stamp = Stamp { device: 1, inode: 2, size: 4096, modified, changed };
        FileState { file: stamp, wal: None, taken: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_write_that_might_not_show_is_waited_for() {
        const SECOND: i128 = 1_000_000_000;
        let wait = |modified, changed| state(100, modified, changed).unsettled();
        assert_eq!(wait(90 * SECOND + 1, 90 * SECOND + 1), Duration::ZERO);
        assert_eq!(wait(100 * SECOND - 5_000_000, 0), Duration::from_millis(15));
        // The clock of the last change of any kind cannot be set by hand.
        assert_eq!(wait(1, 100 * SECOND - 5_000_000), Duration::from_millis(15));
        assert_eq!(wait(200 * SECOND + 1, 50 * SECOND + 1), Duration::ZERO);
        // Whole seconds only: the file system may not know better.
        assert_eq!(wait(99 * SECOND, 99 * SECOND), Duration::from_millis(1100));
    }

    #[test]
    fn the_fingerprint_of_a_file_in_motion_equals_no_other() {
        let still = |seconds| state(seconds, 5, 5).fingerprint(None);
        assert_eq!(still(100), still(101));
        let moving =
            |seconds: u64| state(seconds, i128::from(seconds) * 1_000_000_000 - 1, 5).fingerprint(None);
        assert_ne!(moving(100), still(100));
        assert_ne!(moving(100), moving(101));
    }
}
