//! Files that must not be closed: closing any descriptor of a file drops every POSIX lock that the process has on it.
//!
//! Our own locks are of another kind ([`crate::lock`]), so each POSIX lock of this process is somebody else's: of another SQLite in the
//! same backend, whose transaction would go on without it. As long as there is one, a file is kept open here instead of being closed,
//! and is used again when the same file is opened again.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

/// More files than that are kept only where their inodes are known to be locked.
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
    match locked_inodes() {
        Some(inodes) if inodes.is_empty() => kept.clear(),
        inodes => {
            if let Ok(metadata) = file.metadata() {
                kept.push(Kept { device: metadata.dev(), inode: metadata.ino(), file });
            }
            // The numbers in the list of locks are the kernel's own, which those of `stat` need not be on every file system.
            let inodes = inodes.unwrap_or_default();
            let mut superfluous = kept.len().saturating_sub(MOST);
            kept.retain(|k| {
                let goes = superfluous > 0 && !inodes.contains(&k.inode);
                superfluous -= usize::from(goes);
                !goes
            });
        }
    }
}

/// The inodes on which this process has POSIX locks; `None` where the kernel does not tell.
fn locked_inodes() -> Option<Vec<u64>> {
    let list = std::fs::read_to_string("/proc/locks").ok()?;
    let own = std::process::id().to_string();
    // 1: POSIX  ADVISORY  READ 1234 fe:00:5515495 0 EOF
    let inode = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let at = words.iter().position(|word| *word == "POSIX")?;
        let is_own = *words.get(at + 3)? == own;
        is_own.then(|| words.get(at + 4).and_then(|w| w.rsplit(':').next()?.parse().ok()).unwrap_or(0))
    };
    Some(list.lines().filter_map(inode).collect())
}
