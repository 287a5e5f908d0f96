//! The `-shm` of a database in WAL mode, for a reader that must not write to it.
//!
//! What SQLite's own `unix` layer does with the URI parameter `readonly_shm=1`, with locks of the open file
//! description instead of the process's: the file is mapped read-only, and only while somebody who may write
//! holds it (the lock on its last byte, "dead man's switch"), because nobody else keeps it in step with the
//! `-wal`. Otherwise SQLite is told so (`SQLITE_READONLY_CANTINIT`) and builds its index of the `-wal` in its
//! own memory, while read lock 0 keeps a writer that arrives later from checkpointing.
//! <https://sqlite.org/walformat.html#the_wal_index_file_format> has the places of the locks.
#![allow(unsafe_code)] // maps a file

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

use rusqlite::ffi;

use crate::keep;
use crate::lock::{self, Answer, Range};

/// Where the eight locks begin.
const LOCKS: i64 = 120;
const LOCK_COUNT: i64 = 8;
/// Held by everybody who has the file open as one of those who keep it right.
const SWITCH: Range = Range { start: LOCKS + LOCK_COUNT, length: 1 };

/// The file, open.
pub(crate) struct Shm {
    file: Option<File>,
    /// Somebody keeps it right, and we hold our share of the switch.
    is_reliable: bool,
    maps: Vec<Map>,
}

struct Map {
    start: *mut c_void,
    length: usize,
}

impl Shm {
    pub(crate) fn new(file: File) -> Self {
        Self { file: Some(file), is_reliable: false, maps: Vec::new() }
    }

    /// The address of a region, null where the file does not have it yet; with SQLite's result code.
    pub(crate) fn region(&mut self, region: c_int, size: c_int) -> (*mut c_void, c_int) {
        let nothing = ptr::null_mut();
        let (Ok(region), Ok(size), Some(file)) = (usize::try_from(region), usize::try_from(size), &self.file)
        else {
            return (nothing, ffi::SQLITE_IOERR_SHMMAP);
        };
        if !self.is_reliable {
            match lock::held(file, SWITCH) {
                Err(_) => return (nothing, ffi::SQLITE_IOERR_LOCK),
                Ok(None) => return (nothing, ffi::SQLITE_READONLY_CANTINIT),
                // Somebody is about to set it up.
                Ok(Some(true)) => return (nothing, ffi::SQLITE_BUSY),
                Ok(Some(false)) => {}
            }
            match lock::share(file, SWITCH) {
                Answer::Granted => self.is_reliable = true,
                Answer::Held(_) | Answer::Failed(_) => return (nothing, ffi::SQLITE_BUSY),
            }
        }
        // A mapping begins at a page of the machine, which can be larger than a region.
        let per_map = (page_size() / size.max(1)).max(1);
        let Some(length) = per_map.checked_mul(size).filter(|length| *length > 0) else {
            return (nothing, ffi::SQLITE_IOERR_SHMMAP);
        };
        while self.maps.len() <= region / per_map {
            let Some(offset) = self.maps.len().checked_mul(length) else {
                return (nothing, ffi::SQLITE_IOERR_SHMMAP);
            };
            let Ok(metadata) = file.metadata() else { return (nothing, ffi::SQLITE_IOERR_SHMSIZE) };
            // To read behind the end of a file would end the process.
            if metadata.len() < offset as u64 + length as u64 {
                return (nothing, ffi::SQLITE_READONLY);
            }
            let Ok(offset) = libc::off_t::try_from(offset) else {
                return (nothing, ffi::SQLITE_IOERR_SHMMAP);
            };
            // SAFETY: a new mapping at an address of the kernel's choice, of a descriptor that is open.
            let start = unsafe {
                libc::mmap(nothing, length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), offset)
            };
            if start == libc::MAP_FAILED {
                return (nothing, ffi::SQLITE_IOERR_SHMMAP);
            }
            self.maps.push(Map { start, length });
        }
        let Some(map) = self.maps.get(region / per_map) else { return (nothing, ffi::SQLITE_IOERR_SHMMAP) };
        // SAFETY: the mapping has `per_map` regions of `size` bytes.
        let address = unsafe { map.start.byte_add(region % per_map * size) };
        // It is there, and must not be written to.
        (address, ffi::SQLITE_READONLY)
    }

    /// Takes or gives back some of the eight locks. A reader takes none for itself alone.
    pub(crate) fn lock(&self, first: c_int, count: c_int, flags: c_int) -> c_int {
        let (first, count) = (i64::from(first), i64::from(count));
        let is_in_range = first >= 0 && count > 0 && first.saturating_add(count) <= LOCK_COUNT;
        let Some(file) = self.file.as_ref().filter(|_| is_in_range) else {
            return ffi::SQLITE_IOERR_SHMLOCK;
        };
        let range = Range { start: LOCKS + first, length: count };
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            lock::release(file, range);
            return ffi::SQLITE_OK;
        }
        if flags & ffi::SQLITE_SHM_SHARED == 0 {
            return ffi::SQLITE_BUSY;
        }
        match lock::share(file, range) {
            Answer::Granted => ffi::SQLITE_OK,
            Answer::Held(_) | Answer::Failed(_) => ffi::SQLITE_BUSY,
        }
    }
}

impl Drop for Shm {
    fn drop(&mut self) {
        for map in self.maps.drain(..) {
            // SAFETY: mapped by `region` with this length, and SQLite does not use it after it has given the
            // file up.
            unsafe { libc::munmap(map.start, map.length) };
        }
        if let Some(file) = self.file.take() {
            lock::release(&file, Range { start: 0, length: 0 });
            keep::close(file);
        }
    }
}

fn page_size() -> usize {
    // SAFETY: asks for a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
