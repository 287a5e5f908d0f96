//! A database file that is not there: what SQLite writes to it goes into a sum, and nothing is kept but the
//! first page.
//!
//! A connection through this file layer can be the destination of a backup. The pager writes each page once,
//! in whatever order its cache gives them up, so the sum of the pages' hashes does not depend on order. The
//! first page is the exception: it is written again for the commit's counters, so its last image is kept and
//! hashed in the end.
#![allow(unsafe_code)] // a VFS is a table of C functions

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::vfs;

/// The name under which the layer is registered.
const NAME: &CStr = c"aliaport_page_sum";

/// The byte that file locks use; the page it lies on is never used for anything else.
const PENDING_BYTE: u64 = 0x4000_0000;

/// The parts of the first page that say how often a file was written and by which SQLite: change counter,
/// schema cookie, version-valid-for and version number
/// (<https://sqlite.org/fileformat2.html#the_database_header>). The commit of the copy sets them anew.
const COUNTERS: [std::ops::Range<usize>; 3] = [24..28, 40..44, 92..100];

/// What was written.
#[derive(Default)]
struct Sum {
    page_size: usize,
    /// The first page as it was written last.
    first: Vec<u8>,
    /// The others: how many, and the sum of their hashes, each seeded with the page's place.
    others: u64,
    sum: u128,
    /// Something else than whole pages of one size was written.
    is_lost: bool,
}

/// SQLite's file object, with what belongs to it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// From `Box::into_raw`, until the file is closed.
    sum: *mut Sum,
}

/// A connection to a file that is not there.
pub(crate) struct PageSum(ptr::NonNull<ffi::sqlite3>);

/// Opens one; `None` where SQLite has no memory left for it.
pub(crate) fn open() -> Option<PageSum> {
    if !is_registered() {
        return None;
    }
    let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE | ffi::SQLITE_OPEN_NOMUTEX;
    let mut db: *mut ffi::sqlite3 = ptr::null_mut();
    // SAFETY: both texts end with a NUL byte; db is written in any case, and closed by the drop of PageSum.
    let (code, copy) = unsafe {
        let code = ffi::sqlite3_open_v2(c"sum".as_ptr(), &raw mut db, flags, NAME.as_ptr());
        (code, PageSum(ptr::NonNull::new(db)?))
    };
    // A small cache, so that pages are given up early.
    let settings = c"PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = 64; PRAGMA temp_store = memory;";
    // SAFETY: the connection is open; no callback, no place for a message.
    let set =
        |db| unsafe { ffi::sqlite3_exec(db, settings.as_ptr(), None, ptr::null_mut(), ptr::null_mut()) };
    (code == ffi::SQLITE_OK && set(copy.handle()) == ffi::SQLITE_OK).then_some(copy)
}

impl PageSum {
    /// The connection for SQLite's C functions.
    pub(crate) fn handle(&self) -> *mut ffi::sqlite3 {
        self.0.as_ptr()
    }

    /// What was written, where that is a whole database of so many pages.
    pub(crate) fn content(&self, pages: u64) -> Option<String> {
        // SAFETY: the connection is open and this thread's; its file is the one that our xOpen made, whose
        // sum lives until it is closed.
        let sum = unsafe {
            let file = vfs::file_of(self.handle(), ffi::SQLITE_FCNTL_FILE_POINTER);
            if file.is_null() || (*file).pMethods.is_null() {
                return None;
            }
            &*(*file.cast::<File>()).sum
        };
        let size = sum.page_size as u64;
        let has_pending_page = size > 0 && pages.checked_mul(size)? > PENDING_BYTE;
        let is_whole = !sum.is_lost
            && sum.first.len() == sum.page_size
            && pages == 1 + sum.others + u64::from(has_pending_page);
        let mut first = sum.first.clone();
        for counter in COUNTERS {
            first.get_mut(counter)?.fill(0);
        }
        let total = sum.sum.wrapping_add(xxh3_128_with_seed(&first, 0));
        is_whole.then(|| format!("{pages}x{size}:{total:032x}"))
    }
}

impl Drop for PageSum {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once; a backup to it has been finished.
        unsafe { ffi::sqlite3_close(self.handle()) };
    }
}

impl Sum {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        if self.page_size == 0 {
            self.page_size = bytes.len();
        }
        let is_page = bytes.len() == self.page_size
            && self.page_size.is_power_of_two()
            && offset.is_multiple_of(self.page_size as u64);
        if !is_page {
            self.is_lost = true;
        } else if offset == 0 {
            self.first.clear();
            self.first.extend_from_slice(bytes);
        } else {
            self.others += 1;
            self.sum = self.sum.wrapping_add(xxh3_128_with_seed(bytes, offset));
        }
    }
}

/// Registers the layer, once for the process and not as the default.
fn is_registered() -> bool {
    static IS_REGISTERED: OnceLock<bool> = OnceLock::new();
    *IS_REGISTERED.get_or_init(|| {
        let code = vfs::register_layer(NAME, |layer| {
            layer.szOsFile = size_of::<File>() as c_int;
            layer.xOpen = Some(open_file);
            layer.xDelete = Some(delete);
            layer.xAccess = Some(access);
        });
        code == ffi::SQLITE_OK
    })
}

/// Version 1: no shared memory, so no WAL mode, and no memory mapping.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(with_number),
    xFileSize: Some(file_size),
    xLock: Some(with_number),
    xUnlock: Some(with_number),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(vfs::file_control),
    xSectorSize: Some(vfs::sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open_file(
    _vfs: *mut ffi::sqlite3_vfs,
    _name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands in an object of szOsFile bytes; null methods tell it that there is nothing to
    // close.
    unsafe { (*file).pMethods = ptr::null() };
    if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
        return ffi::SQLITE_CANTOPEN; // a journal or a temporary file, which the settings rule out
    }
    // SAFETY: as above; flags_out is null or points to the caller's flags.
    unsafe {
        (*file.cast::<File>()).sum = Box::into_raw(Box::default());
        (*file).pMethods = &raw const METHODS;
        if !flags_out.is_null() {
            *flags_out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: made by open_file, closed once.
    unsafe {
        drop(Box::from_raw((*file.cast::<File>()).sum));
        (*file).pMethods = ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let (Ok(amount), Ok(offset)) = (usize::try_from(amount), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite's buffer has as many bytes as it says; the sum is this file's own, and a file has one
    // user at a time.
    unsafe {
        (*(*file.cast::<File>()).sum).write(std::slice::from_raw_parts(bytes.cast::<u8>(), amount), offset);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    bytes: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let (Ok(amount), Ok(offset)) = (usize::try_from(amount), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: as in `write`.
    let (buffer, sum) = unsafe {
        (std::slice::from_raw_parts_mut(bytes.cast::<u8>(), amount), &mut *(*file.cast::<File>()).sum)
    };
    buffer.fill(0);
    let is_empty = sum.page_size == 0;
    match offset.checked_add(amount).and_then(|end| sum.first.get(offset..end)) {
        Some(known) => {
            buffer.copy_from_slice(known);
            ffi::SQLITE_OK
        }
        None if is_empty => ffi::SQLITE_IOERR_SHORT_READ,
        None => {
            // A page that was given up is asked for again: it would be written twice.
            sum.is_lost = true;
            ffi::SQLITE_IOERR_READ
        }
    }
}

unsafe extern "C" fn file_size(_file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    // It is looked at before the copy begins.
    // SAFETY: SQLite's place for the result.
    unsafe { *size = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_file: *mut ffi::sqlite3_file, is_locked: *mut c_int) -> c_int {
    // SAFETY: SQLite's place for the result.
    unsafe { *is_locked = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn truncate(_file: *mut ffi::sqlite3_file, _size: ffi::sqlite3_int64) -> c_int {
    ffi::SQLITE_OK
}

/// Locks and syncs: nobody else is there.
unsafe extern "C" fn with_number(_file: *mut ffi::sqlite3_file, _number: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    0
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    _name: *const c_char,
    _what: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's place for the result.
    unsafe { *result = 0 };
    ffi::SQLITE_OK
}
