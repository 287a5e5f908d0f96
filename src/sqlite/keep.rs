//! Files that must not be closed: closing any descriptor of a file drops every POSIX lock that the process
//! has on it.
//!
//! Our own locks are of another kind ([`crate::lock`]), so each POSIX lock of this process is somebody
//! else's: of another SQLite in the same backend, whose transaction would go on without it. As long as there
//! is one, a file is kept open here instead of being closed, and is used again when the same file is opened
//! again.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use crate::lock;

/// More files than that are kept only where they are known to be locked.
const MOST: usize = 16;

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

struct Kept {
    device: u64,
    inode: u64,
    file: File,
}

/// A file that was kept and is this one.
pub(crate) fn take(device: u64, inode: u64) -> Option<File> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let place = kept.iter().position(|k| (k.device, k.inode) == (device, inode))?;
    Some(kept.swap_remove(place).file)
}

/// Closes a file, now or when that harms nobody. It holds no lock of ours any more.
pub(crate) fn close(file: File) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(metadata) = file.metadata() {
        kept.push(Kept { device: metadata.dev(), inode: metadata.ino(), file });
    }
    let mut listed = None;
    let mut superfluous = kept.len().saturating_sub(MOST);
    kept.retain(|k| {
        lock::process_holds(&k.file).unwrap_or_else(|| {
            let stays = match listed.get_or_insert_with(locked_inodes) {
                // The numbers in the list are the kernel's own, which those of `stat` need not be on every
                // file system.
                Some(inodes) => inodes.contains(&k.inode) || !inodes.is_empty() && superfluous == 0,
                None => superfluous == 0,
            };
            superfluous -= usize::from(!stays && superfluous > 0);
            stays
        })
    });
}

/// How often the list of locks is read.
const READINGS: usize = 8;

/// The inodes on which this process has POSIX locks; `None` where the kernel does not tell.
///
/// The kernel hands out its list in pieces and finds its place again by counting, so a lock that another
/// process gives back meanwhile hides the one behind it. What any of several readings shows counts.
fn locked_inodes() -> Option<Vec<u64>> {
    let own = std::process::id().to_string();
    // 1: POSIX  ADVISORY  READ 1234 fe:00:5515495 0 EOF
    let inode = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let at = words.iter().position(|word| *word == "POSIX")?;
        let is_own = *words.get(at + 3)? == own;
        is_own.then(|| words.get(at + 4).and_then(|w| w.rsplit(':').next()?.parse().ok()).unwrap_or(0))
    };
    let mut inodes = Vec::new();
    for _ in 0..READINGS {
        inodes.extend(std::fs::read_to_string("/proc/locks").ok()?.lines().filter_map(inode));
    }
    Some(inodes)
}
