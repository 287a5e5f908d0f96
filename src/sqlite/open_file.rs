//! What the file layer has of one open file: where it reads, and which locks it holds.

use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

use rusqlite::ffi;

use crate::location::{self, Kind};
use crate::lock::{self, Answer, Holder, Range};
use crate::shm::Shm;
use crate::vfs::failed;
use crate::{keep, wal};

/// Where SQLite keeps the locks of a database file: <https://sqlite.org/fileformat2.html#the_lock_byte_page>.
pub(crate) const PENDING: Range = Range { start: 0x4000_0000, length: 1 };

pub(crate) const RESERVED: Range = Range { start: PENDING.start + 1, length: 1 };

pub(crate) const SHARED: Range = Range { start: PENDING.start + 2, length: 510 };

pub(crate) const ALL: Range = Range { start: PENDING.start, length: 512 };

/// What a file object has.
pub(crate) struct OpenFile {
    pub(crate) role: Role,
    /// None for a `-wal` that does not exist.
    pub(crate) file: Option<File>,
    /// Where it was looked up.
    pub(crate) folder: RawFd,
    pub(crate) name: CString,
    pub(crate) has_shared_lock: bool,
    pub(crate) holder: Option<Holder>,
    /// There was no `-shm` when the database was opened, and so there is none for the connection.
    pub(crate) has_no_shm: bool,
    pub(crate) shm: Option<Shm>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Database,
    Wal,
    Journal,
}

impl OpenFile {
    pub(crate) fn size(&self) -> io::Result<u64> {
        let Some(file) = &self.file else { return Ok(0) };
        let size = file.metadata()?.len();
        // SQLite asks for it where it is about to read the -wal from its beginning. One that begins with no
        // header for frames has none; to compare it with the header that was not there, as SQLite does in its
        // way without a -shm, would go on for ever.
        if self.role == Role::Wal && !wal::may_have_frames(file, size)? {
            return Ok(0);
        }
        Ok(size)
    }

    /// Fills the buffer from the file; what lies behind its end is zeros, and false.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let mut done = 0;
        while let (Some(file), Some(rest)) = (&self.file, buffer.get_mut(done..).filter(|b| !b.is_empty())) {
            match file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match buffer.get_mut(done..) {
            Some(rest) if !rest.is_empty() => {
                rest.fill(0);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// The shared lock of a reader: a writer that waits for readers to go lets no new one come.
    pub(crate) fn share(&mut self) -> c_int {
        let Some(file) = self.file.as_ref() else { return ffi::SQLITE_IOERR_RDLOCK };
        for (range, is_kept) in [(PENDING, false), (SHARED, true)] {
            match lock::share(file, range) {
                Answer::Granted => {}
                Answer::Held(holder) => {
                    lock::release(file, PENDING);
                    self.holder = holder;
                    return ffi::SQLITE_BUSY;
                }
                Answer::Failed(error) => {
                    lock::release(file, PENDING);
                    return failed(&error, ffi::SQLITE_IOERR_RDLOCK);
                }
            }
            if is_kept {
                lock::release(file, PENDING);
            }
        }
        self.has_shared_lock = true;
        ffi::SQLITE_OK
    }

    pub(crate) fn shm(&mut self) -> Result<&mut Shm, c_int> {
        if self.shm.is_none() {
            let mut name = self.name.as_bytes().to_vec();
            name.extend_from_slice(b"-shm");
            let name = CString::new(name).map_err(|_| ffi::SQLITE_CANTOPEN)?;
            let file =
                open_locked(self.folder, &name).map_err(|error| failed(&error, ffi::SQLITE_CANTOPEN))?;
            self.shm = Some(Shm::new(file));
        }
        self.shm.as_mut().ok_or(ffi::SQLITE_CANTOPEN)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let (Some(file), Role::Database) = (self.file.take(), self.role) {
            lock::release(&file, ALL);
            keep::close(file);
        }
    }
}

/// Opens a file that others may hold locks on.
pub(crate) fn open_locked(folder: RawFd, name: &CStr) -> io::Result<File> {
    let (kind, stamp) = location::look(folder, name)?;
    if kind != Kind::File {
        return Err(io::Error::other("not a regular file"));
    }
    match keep::take(stamp.device, stamp.inode) {
        Some(file) => Ok(file),
        None => location::open(folder, name),
    }
}

impl OpenFile {
    pub(crate) fn new(role: Role, file: Option<File>, folder: RawFd, name: CString) -> Self {
        let (has_shared_lock, has_no_shm) = (false, false);
        Self { role, file, folder, name, has_shared_lock, holder: None, has_no_shm, shm: None }
    }
}

pub(crate) fn open_database(folder: RawFd, name: CString) -> io::Result<OpenFile> {
    let mut shm = name.as_bytes().to_vec();
    shm.extend_from_slice(b"-shm");
    let has_no_shm = match location::look(folder, &CString::new(shm)?) {
        Ok((Kind::File, _)) => false,
        Ok(_) => return Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    let file = open_locked(folder, &name)?;
    let mut opened = OpenFile::new(Role::Database, Some(file), folder, name);
    opened.has_no_shm = has_no_shm;
    Ok(opened)
}

pub(crate) fn open_wal(folder: RawFd, name: CString) -> io::Result<OpenFile> {
    let file = match location::open(folder, &name) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(OpenFile::new(Role::Wal, file, folder, name))
}
