//! The file layer that cannot write: how SQLite reads a database without leaving a trace beside it.
//!
//! A plain read-only open of a database in WAL mode creates `-wal` and `-shm` and writes read marks into the
//! latter, and its locks are the process's, which any other SQLite of the process gives back by closing the
//! file. So the layer registered here opens, reads and locks by itself:
//!
//! - every file is opened read-only, in the folder of a [`Location`], nothing is created and nothing is
//!   deleted;
//! - locks are those of open file descriptions ([`crate::lock`]), at the places where SQLite's `unix` layer
//!   has its own, and no file is closed on which this process has others ([`crate::keep`]);
//! - a `-wal` that does not exist, or that has no header by which SQLite would read a frame of it, is an
//!   empty one;
//! - a `-shm` that exists is used as [`crate::shm`] says; where there is none, SQLite is told that shared
//!   memory cannot be set up, and builds its index of the `-wal` in its own memory. Then no writer can see
//!   the reader; `source` compares the file before and after.
//!
//! [`Location`]: crate::location::Location
#![allow(unsafe_code)] // a VFS is a table of C functions

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::ffi;

use crate::location::{self, Kind};
use crate::lock::{self, Holder};
use crate::open_file::{ALL, OpenFile, RESERVED, Role, open_database, open_wal};

/// The name under which the layer is registered.
pub(crate) const NAME: &CStr = c"aliaport";

/// The bits of an open's flags that say what kind of file it is.
const KIND: c_int = 0x000f_ff00;
const WRITING: c_int = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;

/// The longest time that SQLite sleeps between two of its own attempts, of which it makes a hundred. Those
/// who have a time limit and look for a cancel repeat the whole.
const SLEEP: Duration = Duration::from_millis(1);

/// Registers the layer, once for the process and not as the default.
///
/// # Errors
/// SQLite's result code.
pub(crate) fn register() -> Result<(), c_int> {
    static RESULT: OnceLock<c_int> = OnceLock::new();
    let code = *RESULT.get_or_init(|| {
        register_layer(NAME, |layer| {
            layer.szOsFile = size_of::<Handle>() as c_int;
            layer.xOpen = Some(open);
            layer.xDelete = Some(delete);
            layer.xAccess = Some(access);
            layer.xSleep = Some(sleep);
            layer.xGetLastError = Some(get_last_error);
        })
    });
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// Registers a layer that is SQLite's own `unix` but for what `change` sets, and not as the default. SQLite's
/// result code.
pub(crate) fn register_layer(name: &'static CStr, change: impl FnOnce(&mut ffi::sqlite3_vfs)) -> c_int {
    // SAFETY: initialises SQLite where that has not been done; returns null or a table that lives as long as
    // SQLite.
    let unix = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
    if unix.is_null() {
        return ffi::SQLITE_ERROR;
    }
    // SAFETY: `unix` is valid, see above, and the struct is plain data. Time and randomness stay as they are
    // there.
    let mut layer = unsafe { *unix };
    layer.zName = name.as_ptr();
    layer.pNext = ptr::null_mut();
    layer.xFullPathname = Some(full_pathname);
    change(&mut layer);
    // SAFETY: the table is leaked, so it lives as long as SQLite may use it.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 0) }
}

/// What the layer decided when the connection opened its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// There was no `-shm`: no other process can see this reader.
    pub without_shm: bool,
    /// There was no `-wal`. Only known after the first read.
    pub without_wal: bool,
    /// Who held the lock that could not be had last.
    pub holder: Option<Holder>,
}

/// What was decided for the connection's main database.
///
/// # Safety
/// `db` is an open connection that uses this layer, and no other thread uses it now.
pub(crate) unsafe fn opened(db: *mut ffi::sqlite3) -> Opened {
    // SAFETY: as the caller promises.
    let (database, wal) = unsafe {
        (
            opened_of(db, ffi::SQLITE_FCNTL_FILE_POINTER),
            // Without a -wal this is the handle of a journal, or one that is not open.
            opened_of(db, ffi::SQLITE_FCNTL_JOURNAL_POINTER),
        )
    };
    Opened {
        without_shm: database.is_some_and(|database| database.has_no_shm),
        without_wal: wal.is_some_and(|wal| wal.role == Role::Wal && wal.file.is_none()),
        holder: database.and_then(|database| database.holder),
    }
}

/// The first 100 bytes of the database file, read through the descriptor that SQLite has.
///
/// # Safety
/// As for [`opened`].
pub(crate) unsafe fn header(db: *mut ffi::sqlite3) -> Option<[u8; 100]> {
    // SAFETY: as the caller promises.
    let file = unsafe { opened_of(db, ffi::SQLITE_FCNTL_FILE_POINTER) }?.file.as_ref()?;
    let mut header = [0u8; 100];
    file.read_exact_at(&mut header, 0).is_ok().then_some(header)
}

/// One of the connection's files; null where it is not open.
///
/// # Safety
/// `db` is an open connection, of whatever layer, and no other thread uses it now.
pub(crate) unsafe fn file_of(db: *mut ffi::sqlite3, operation: c_int) -> *mut ffi::sqlite3_file {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: both operations write one pointer to their argument.
    let code = unsafe {
        ffi::sqlite3_file_control(db, c"main".as_ptr(), operation, (&raw mut file).cast::<c_void>())
    };
    if code == ffi::SQLITE_OK { file } else { ptr::null_mut() }
}

/// What this layer has of one of the connection's files.
///
/// # Safety
/// As for [`opened`], and SQLite does nothing with the connection while the result is used.
unsafe fn opened_of<'a>(db: *mut ffi::sqlite3, operation: c_int) -> Option<&'a OpenFile> {
    // SAFETY: as the caller promises.
    let file = unsafe { file_of(db, operation) };
    // SAFETY: a non-null result is a file object of the connection, which was opened with this layer; ours
    // are those with its methods, and their state lives until they are closed.
    unsafe {
        (!file.is_null() && ptr::eq((*file).pMethods, &raw const METHODS))
            .then(|| &*(*file.cast::<Handle>()).open)
    }
}

/// SQLite's file object, as this layer has it.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    open: *mut OpenFile,
}

/// The result code for an error of the operating system, which SQLite asks for next.
pub(crate) fn failed(error: &io::Error, code: c_int) -> c_int {
    // SAFETY: the address of this thread's errno.
    unsafe { *libc::__errno_location() = error.raw_os_error().unwrap_or(0) };
    code
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_database),
    xUnlock: Some(unlock_database),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands in an object of szOsFile bytes; null methods tell it that there is nothing to
    // close.
    unsafe { (*file).pMethods = ptr::null() };
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN; // a temporary file
    }
    // SAFETY: the name ends with a NUL byte.
    let Some((folder, name)) = location::parse_sqlite_name(unsafe { CStr::from_ptr(name) }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    let opened = match flags & KIND {
        ffi::SQLITE_OPEN_MAIN_DB if flags & WRITING == 0 => open_database(folder, name),
        ffi::SQLITE_OPEN_WAL => open_wal(folder, name),
        // To see whether the journal is hot.
        ffi::SQLITE_OPEN_MAIN_JOURNAL if flags & WRITING == 0 => {
            location::open(folder, &name).map(|file| OpenFile::new(Role::Journal, Some(file), folder, name))
        }
        // Temporary files are kept in memory, and nothing else is ever needed by a reader.
        _ => return ffi::SQLITE_CANTOPEN,
    };
    match opened {
        Ok(opened) => {
            // SAFETY: as above; flags_out is null or points to the caller's flags.
            unsafe {
                (*file.cast::<Handle>()).open = Box::into_raw(Box::new(opened));
                (*file).pMethods = &raw const METHODS;
                if !flags_out.is_null() {
                    *flags_out = ffi::SQLITE_OPEN_READONLY | (flags & KIND);
                }
            }
            ffi::SQLITE_OK
        }
        Err(error) => failed(&error, ffi::SQLITE_CANTOPEN),
    }
}

/// The state of a file object that SQLite hands in.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed; nothing else uses the result's target while the result
/// lives, because SQLite uses a connection in one thread at a time.
unsafe fn state<'a>(file: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: as the caller promises; made by Box::into_raw.
    unsafe { &mut *(*file.cast::<Handle>()).open }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: made by `open`, closed once.
    unsafe {
        drop(Box::from_raw((*file.cast::<Handle>()).open));
        (*file).pMethods = ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    bytes: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let (Ok(amount), Ok(offset)) = (usize::try_from(amount), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite's buffer has as many bytes as it says, and is nobody else's during the call.
    let buffer = unsafe { std::slice::from_raw_parts_mut(bytes.cast::<u8>(), amount) };
    // SAFETY: see `state`.
    match unsafe { state(file) }.read(buffer, offset) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(error) => failed(&error, ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: see `state`.
    match unsafe { state(file) }.size() {
        Ok(bytes) => {
            // SAFETY: SQLite's place for the result.
            unsafe { *size = i64::try_from(bytes).unwrap_or(i64::MAX) };
            ffi::SQLITE_OK
        }
        Err(error) => failed(&error, ffi::SQLITE_IOERR_FSTAT),
    }
}

unsafe extern "C" fn lock_database(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `state`.
    let open = unsafe { state(file) };
    match level {
        ffi::SQLITE_LOCK_NONE => ffi::SQLITE_OK,
        ffi::SQLITE_LOCK_SHARED if open.has_shared_lock => ffi::SQLITE_OK,
        ffi::SQLITE_LOCK_SHARED => open.share(),
        // To write, or to roll back what somebody else has written.
        _ => ffi::SQLITE_READONLY,
    }
}

unsafe extern "C" fn unlock_database(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `state`.
    let open = unsafe { state(file) };
    if level == ffi::SQLITE_LOCK_NONE && open.has_shared_lock {
        open.has_shared_lock = false;
        if let Some(file) = &open.file {
            lock::release(file, ALL);
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, is_locked: *mut c_int) -> c_int {
    // SAFETY: see `state`.
    let held = unsafe { state(file) }.file.as_ref().map_or(Ok(None), |file| lock::held(file, RESERVED));
    match held {
        Ok(held) => {
            // SAFETY: SQLite's place for the result.
            unsafe { *is_locked = c_int::from(held.is_some()) };
            ffi::SQLITE_OK
        }
        Err(error) => failed(&error, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK),
    }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    _extend: c_int,
    memory: *mut *mut c_void,
) -> c_int {
    // SAFETY: see `state`.
    let open = unsafe { state(file) };
    let (address, code) = if open.has_no_shm {
        (ptr::null_mut(), ffi::SQLITE_READONLY_CANTINIT)
    } else {
        match open.shm() {
            Ok(shm) => shm.region(region, size),
            Err(code) => (ptr::null_mut(), code),
        }
    };
    // SAFETY: SQLite's place for the result.
    unsafe { *memory = address };
    code
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see `state`.
    match &unsafe { state(file) }.shm {
        Some(shm) => shm.lock(first, count, flags),
        // Nobody is there to see it.
        None => ffi::SQLITE_OK,
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: see `state`.
    unsafe { state(file) }.shm = None;
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(
    _file: *mut ffi::sqlite3_file,
    _bytes: *const c_void,
    _amount: c_int,
    _offset: ffi::sqlite3_int64,
) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn truncate(_file: *mut ffi::sqlite3_file, _size: ffi::sqlite3_int64) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn sync(_file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    ffi::SQLITE_OK
}

pub(crate) unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

pub(crate) unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // Large values may be read past the page cache.
    ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    ffi::SQLITE_IOERR_DELETE
}

/// Is there a `-wal`, or a journal that has something in it?
unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    what: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: the name ends with a NUL byte.
    let found = location::parse_sqlite_name(unsafe { CStr::from_ptr(name) })
        .and_then(|(folder, name)| location::look(folder, &name).ok());
    let is_there = found.is_some_and(|(kind, stamp)| kind != Kind::File || stamp.size > 0);
    // SAFETY: SQLite's place for the result.
    unsafe { *result = c_int::from(is_there && what == ffi::SQLITE_ACCESS_EXISTS) };
    ffi::SQLITE_OK
}

/// The names of a [`Location`](crate::location::Location) are whole.
unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the name ends with a NUL byte; the result has room for `size` bytes.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if usize::try_from(size).is_ok_and(|size| name.len() <= size) {
            out.copy_from_nonoverlapping(name.as_ptr().cast(), name.len());
            return ffi::SQLITE_OK;
        }
    }
    ffi::SQLITE_CANTOPEN
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    let asked = Duration::from_micros(u64::try_from(microseconds).unwrap_or(0));
    std::thread::sleep(asked.min(SLEEP));
    microseconds
}

unsafe extern "C" fn get_last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    // SAFETY: the address of this thread's errno.
    unsafe { *libc::__errno_location() }
}
