//! The file layer that cannot write: how SQLite reads a database without leaving a trace beside it.
//!
//! A plain read-only open of a database in WAL mode creates `-wal` and `-shm` and writes read marks into the latter.
//! The layer registered here is SQLite's own `unix` layer with another way to open files:
//!
//! - every file is opened read-only, nothing is created and nothing is deleted;
//! - a `-wal` that does not exist is read as an empty one;
//! - where there is no `-shm`, SQLite is told that shared memory cannot be set up (`SQLITE_READONLY_CANTINIT`, the
//!   answer it knows from the URI parameter `readonly_shm`), so it builds its index of the `-wal` in its own memory.
//!
//! In that last case no writer can see the reader; `source` then compares the file before and after.
//! A `-shm` that does exist is mapped read-only by `readonly_shm=1`: with a live writer the reader takes shared locks
//! on a read mark, which protects its snapshot; without one SQLite falls back to its own memory by itself, holding
//! read lock 0, which keeps a writer that arrives later from checkpointing.
//! Locks on the database file itself stay as they are in `unix`.
#![allow(unsafe_code)] // a VFS is a table of C functions

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use rusqlite::ffi;

/// The name under which the layer is registered.
pub(crate) const NAME: &CStr = c"aliaport";

/// What an absent `-wal` is read as: SQLite sees a file of no bytes.
const NO_WAL: &CStr = c"/dev/null";

/// The bits of an open's flags that say what kind of file it is.
const KIND: c_int = 0x000f_ff00;
const WRITING: c_int = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;

/// SQLite's `unix` layer. Set once, before the layer that uses it is registered.
static UNIX: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// The methods of a database file whose shared memory cannot be set up.
static WITHOUT_SHM: Methods = Methods(OnceLock::new());
/// The methods of a `-wal` that does not exist: those of `unix`, at an address that tells the file apart.
static WITHOUT_WAL: Methods = Methods(OnceLock::new());

/// Registers the layer, once for the process and not as the default.
///
/// # Errors
/// SQLite's result code.
pub(crate) fn register() -> Result<(), c_int> {
    static RESULT: OnceLock<c_int> = OnceLock::new();
    let code = *RESULT.get_or_init(|| {
        // SAFETY: initialises SQLite where that has not been done; returns null or a table that lives as long as SQLite.
        let unix = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
        if unix.is_null() {
            return ffi::SQLITE_ERROR;
        }
        UNIX.store(unix, Ordering::Release);
        // SAFETY: `unix` is valid, see above, and the struct is plain data.
        let mut layer = unsafe { *unix };
        layer.zName = NAME.as_ptr();
        layer.pNext = ptr::null_mut();
        layer.xOpen = Some(open);
        layer.xDelete = Some(delete);
        // SAFETY: the table is leaked, so it lives as long as SQLite may use it.
        unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 0) }
    });
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// What the layer decided when the connection opened its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// There was no `-shm`: no other process can see this reader.
    pub without_shm: bool,
    /// There was no `-wal`. Only known after the first read.
    pub without_wal: bool,
}

/// What was decided for the connection's main database.
///
/// # Safety
/// `db` is an open connection that uses this layer, and no other thread uses it now.
pub(crate) unsafe fn opened(db: *mut ffi::sqlite3) -> Opened {
    let is_marked = |operation: c_int, methods: &Methods| {
        // SAFETY: as the caller promises.
        let file = unsafe { file_of(db, operation) };
        // SAFETY: a non-null result of file_of is a valid file object of the connection.
        !file.is_null() && methods.is(unsafe { (*file).pMethods })
    };
    Opened {
        without_shm: is_marked(ffi::SQLITE_FCNTL_FILE_POINTER, &WITHOUT_SHM),
        without_wal: is_marked(ffi::SQLITE_FCNTL_JOURNAL_POINTER, &WITHOUT_WAL),
    }
}

/// The first 100 bytes of the database file, read through SQLite's own descriptor: closing another one would drop
/// this process's locks on the file (POSIX).
///
/// # Safety
/// As for [`opened`].
pub(crate) unsafe fn header(db: *mut ffi::sqlite3) -> Option<[u8; 100]> {
    // SAFETY: as the caller promises.
    let file = unsafe { file_of(db, ffi::SQLITE_FCNTL_FILE_POINTER) };
    if file.is_null() {
        return None;
    }
    // SAFETY: `file` is valid; pMethods is null or a valid table while the file is open.
    let read = unsafe { (*file).pMethods.as_ref() }?.xRead?;
    let mut header = [0u8; 100];
    // SAFETY: the buffer has as many bytes as are asked for.
    let code = unsafe { read(file, header.as_mut_ptr().cast(), 100, 0) };
    (code == ffi::SQLITE_OK).then_some(header)
}

/// One of the connection's files; null where it is not open.
///
/// # Safety
/// As for [`opened`].
pub(crate) unsafe fn file_of(db: *mut ffi::sqlite3, operation: c_int) -> *mut ffi::sqlite3_file {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: both operations write one pointer to their argument.
    let code = unsafe {
        ffi::sqlite3_file_control(db, c"main".as_ptr(), operation, (&raw mut file).cast::<c_void>())
    };
    if code == ffi::SQLITE_OK { file } else { ptr::null_mut() }
}

/// A changed copy of the methods of `unix`, made at the first use.
struct Methods(OnceLock<(usize, ffi::sqlite3_io_methods)>);

impl Methods {
    /// Gives the file the changed methods; false where it does not have the methods that were copied.
    ///
    /// # Safety
    /// `file` was just opened by `unix`.
    unsafe fn put_on(
        &'static self,
        file: *mut ffi::sqlite3_file,
        change: fn(&mut ffi::sqlite3_io_methods),
    ) -> bool {
        // SAFETY: a file that was opened has methods.
        let original = unsafe { (*file).pMethods };
        let (address, methods) = self.0.get_or_init(|| {
            // SAFETY: as above; the struct is plain data.
            let mut methods = unsafe { *original };
            change(&mut methods);
            (original as usize, methods)
        });
        if *address != original as usize {
            return false;
        }
        // SAFETY: the new table is static and differs from the old one in functions of the same contract only.
        unsafe { (*file).pMethods = methods };
        true
    }

    fn is(&self, methods: *const ffi::sqlite3_io_methods) -> bool {
        self.0.get().is_some_and(|(_, own)| ptr::eq(own, methods))
    }
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands in an object of szOsFile bytes; null methods tell it that there is nothing to close.
    unsafe { (*file).pMethods = ptr::null() };
    let unix = UNIX.load(Ordering::Acquire);
    // SAFETY: set before this function could be called, and valid as long as SQLite is.
    let Some(open) = (unsafe { (*unix).xOpen }) else { return ffi::SQLITE_CANTOPEN };
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN; // a temporary file
    }
    // SAFETY: the name ends with a NUL byte; the URI parameters lie behind it.
    let path = unsafe { CStr::from_ptr(name) };
    // `unix` looks at the kind of a journal only to give a new one the owner of its database. As root it would do so
    // to an old one too; a super-journal is the kind that it opens read-only without that.
    let untouched = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_SUPER_JOURNAL;
    match flags & KIND {
        ffi::SQLITE_OPEN_MAIN_DB if flags & WRITING == 0 && what_lies(path, "") == Lies::File => {
            // SAFETY: the call's own arguments, passed on to the layer they are meant for.
            let code = unsafe { open(unix, name, file, flags, flags_out) };
            if code != ffi::SQLITE_OK {
                return code;
            }
            let is_usable = match what_lies(path, "-shm") {
                Lies::File => true,
                // SAFETY: the file was opened by `unix` just now.
                Lies::Nothing => unsafe { WITHOUT_SHM.put_on(file, take_shm_away) },
                Lies::Else => false,
            };
            // SAFETY: as above.
            if is_usable { code } else { unsafe { close_again(file) } }
        }
        ffi::SQLITE_OPEN_WAL => {
            let lies = what_lies(path, "");
            let name = match lies {
                Lies::File => name,
                Lies::Nothing => NO_WAL.as_ptr(),
                Lies::Else => return ffi::SQLITE_CANTOPEN,
            };
            // SAFETY: as above; NO_WAL is static.
            let code = unsafe { open(unix, name, file, untouched, ptr::null_mut()) };
            if code != ffi::SQLITE_OK {
                return code;
            }
            // SAFETY: the file was opened by `unix` just now.
            if lies == Lies::Nothing && !unsafe { WITHOUT_WAL.put_on(file, |_| ()) } {
                // SAFETY: as above.
                return unsafe { close_again(file) };
            }
            if !flags_out.is_null() {
                // SAFETY: not null, then it points to the caller's flags.
                unsafe { *flags_out = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_WAL };
            }
            code
        }
        // To see whether the journal is hot.
        ffi::SQLITE_OPEN_MAIN_JOURNAL if flags & WRITING == 0 && what_lies(path, "") == Lies::File => {
            // SAFETY: as above.
            unsafe { open(unix, name, file, untouched, flags_out) }
        }
        // Temporary files are kept in memory, and nothing else is ever needed by a reader.
        _ => ffi::SQLITE_CANTOPEN,
    }
}

/// Undoes an open that cannot be used.
///
/// # Safety
/// `file` was just opened by `unix`.
unsafe fn close_again(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: an open file has methods, and this is its only close.
    unsafe {
        if let Some(close) = (*(*file).pMethods).xClose {
            close(file);
        }
        (*file).pMethods = ptr::null();
    }
    ffi::SQLITE_CANTOPEN
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    ffi::SQLITE_IOERR_DELETE
}

/// What lies at a path.
#[derive(PartialEq)]
enum Lies {
    Nothing,
    /// A regular file, or something that cannot be looked at: opening it reports the error.
    File,
    /// A directory, a symbolic link, or a FIFO, whose open would wait for a writer that never comes.
    Else,
}

fn what_lies(name: &CStr, suffix: &str) -> Lies {
    let mut path = OsString::from(OsStr::from_bytes(name.to_bytes()));
    path.push(suffix);
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Lies::Else,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Lies::Nothing,
        _ => Lies::File,
    }
}

fn take_shm_away(methods: &mut ffi::sqlite3_io_methods) {
    methods.xShmMap = Some(shm_map);
    methods.xShmLock = Some(shm_lock);
    methods.xShmBarrier = Some(shm_barrier);
    methods.xShmUnmap = Some(shm_unmap);
}

unsafe extern "C" fn shm_map(
    _file: *mut ffi::sqlite3_file,
    _region: c_int,
    _size: c_int,
    _extend: c_int,
    memory: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite's pointer to the place for the result.
    unsafe { *memory = ptr::null_mut() };
    ffi::SQLITE_READONLY_CANTINIT
}

unsafe extern "C" fn shm_lock(
    _file: *mut ffi::sqlite3_file,
    _offset: c_int,
    _n: c_int,
    _flags: c_int,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    // SQLite compares copies of its own memory behind this barrier; one thread needs none, a fence costs nothing.
    std::sync::atomic::fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(_file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    ffi::SQLITE_OK
}
