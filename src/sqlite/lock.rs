//! Locks on parts of a file that belong to an open file description and not to the process (`F_OFD_SETLK`).
//!
//! A POSIX lock is the process's: whoever closes any descriptor of the file gives it back, and a second
//! SQLite in the same process (another extension's, say) neither sees it nor is stopped by it. A lock of an
//! open file description conflicts with the POSIX locks of every process, this one included, in the same way
//! as theirs do among each other, and ends with the descriptor.
#![allow(unsafe_code)] // fcntl

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Some bytes of a file, which need not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub start: i64,
    pub length: i64,
}

/// Who is in the way of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process, by its number.
    Process(u32),
    /// Whoever holds a lock of an open file description.
    Unknown,
}

/// What a lock request came to.
#[derive(Debug)]
pub(crate) enum Answer {
    Granted,
    /// Somebody holds a lock that excludes it.
    Held(Option<Holder>),
    Failed(io::Error),
}

/// Takes a shared lock, without waiting.
pub(crate) fn share(file: &File, range: Range) -> Answer {
    let Err(error) = call(file, libc::F_OFD_SETLK, &mut request(libc::F_RDLCK, range)) else {
        return Answer::Granted;
    };
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EAGAIN | libc::ETIMEDOUT | libc::EBUSY | libc::EINTR | libc::ENOLCK) => {
            Answer::Held(holder(file, libc::F_RDLCK, range).ok().flatten())
        }
        _ => Answer::Failed(error),
    }
}

/// Gives locks back. Nothing can be done where that fails; the descriptor's end does it too.
pub(crate) fn release(file: &File, range: Range) {
    let _ = call(file, libc::F_OFD_SETLK, &mut request(libc::F_UNLCK, range));
}

/// Who holds a lock of any kind there, other than through this very descriptor; and whether it is an
/// exclusive one.
pub(crate) fn held(file: &File, range: Range) -> io::Result<Option<bool>> {
    let mut lock = request(libc::F_WRLCK, range);
    call(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok((c_int::from(lock.l_type) != libc::F_UNLCK).then_some(c_int::from(lock.l_type) == libc::F_WRLCK))
}

fn holder(file: &File, kind: c_int, range: Range) -> io::Result<Option<Holder>> {
    let mut lock = request(kind, range);
    call(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok((c_int::from(lock.l_type) != libc::F_UNLCK).then(|| match u32::try_from(lock.l_pid) {
        Ok(process) if process > 0 => Holder::Process(process),
        _ => Holder::Unknown,
    }))
}

/// Locks of others that are looked behind.
const MOST_OTHERS: usize = 64;

/// Whether this process has POSIX locks anywhere in a file; `None` where the kernel does not tell, because
/// locks of others, of which it names one for each place, may stand before them.
pub(crate) fn process_holds(file: &File) -> Option<bool> {
    let mut places = vec![(0, i64::MAX)];
    let mut others = 0;
    while let Some((start, end)) = places.pop() {
        let mut lock = request(libc::F_WRLCK, Range { start, length: end - start });
        call(file, libc::F_OFD_GETLK, &mut lock).ok()?;
        if c_int::from(lock.l_type) == libc::F_UNLCK {
            continue;
        }
        if u32::try_from(lock.l_pid) == Ok(std::process::id()) {
            return Some(true);
        }
        others += 1;
        if others > MOST_OTHERS {
            return None;
        }
        let after = if lock.l_len == 0 { end } else { lock.l_start.saturating_add(lock.l_len) };
        places.extend([(start, lock.l_start), (after, end)].into_iter().filter(|(start, end)| start < end));
    }
    (others == 0).then_some(false)
}

fn request(kind: c_int, range: Range) -> libc::flock {
    // SAFETY: plain data. The process number must be 0 in a request of this family.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation)] // three small constants
    {
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
    }
    lock.l_start = range.start;
    lock.l_len = range.length;
    lock
}

fn call(file: &File, command: c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the three commands take a pointer to a lock that outlives the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut *lock) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
