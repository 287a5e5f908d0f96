//! Where a source lies: a folder that is held open, and a name in it.
//!
//! A path says another thing whenever somebody exchanges a folder of it for a symbolic link. So it is walked
//! once, from the root, folder by folder, each looked up in the one before and none of them a link; what was
//! checked of the path then holds for the folder that is held, and the database, its `-wal`, `-shm` and
//! `-journal` are all looked up in that folder, whatever becomes of the path.
#![allow(unsafe_code)] // looks names up in folders that are held open, for which the standard library has no words

use std::ffi::{CStr, CString, OsStr, OsString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A file's place. The folder stays open as long as this lives.
#[derive(Debug)]
pub struct Location {
    folder: OwnedFd,
    name: OsString,
    /// For messages only.
    path: PathBuf,
}

/// What is needed of a `stat`. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub modified: i128,
    pub changed: i128,
}

/// What lies at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl Location {
    /// Walks an absolute path without following a symbolic link anywhere.
    ///
    /// # Errors
    /// What the operating system says of a folder: one that is a symbolic link is not a directory.
    /// `InvalidInput` for a path that is not absolute, has a `..` or a NUL byte, or names no file.
    pub fn resolve(path: &Path) -> io::Result<Self> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let mut components = path.components();
        if components.next() != Some(Component::RootDir) {
            return Err(invalid("path must be absolute"));
        }
        let mut names = Vec::new();
        for component in components {
            let Component::Normal(name) = component else { return Err(invalid("path must not contain ..")) };
            names.push(name);
        }
        let Some(name) = names.pop() else { return Err(invalid("path names no file")) };
        c_name(name)?;
        let mut folder = open_folder(libc::AT_FDCWD, c"/")?;
        for name in names {
            folder = open_folder(folder.as_raw_fd(), &c_name(name)?)?;
        }
        Ok(Self { folder, name: name.to_owned(), path: path.to_owned() })
    }

    /// The path that was walked, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn kind(&self) -> io::Result<Kind> {
        Ok(look(self.folder.as_raw_fd(), &self.name_with("")?)?.0)
    }

    /// The regular file whose name is the database's with a suffix; anything else is an error.
    pub(crate) fn stamp(&self, suffix: &str) -> io::Result<Stamp> {
        match look(self.folder.as_raw_fd(), &self.name_with(suffix)?)? {
            (Kind::File, stamp) => Ok(stamp),
            _ => Err(io::Error::other("not a regular file")),
        }
    }

    /// Opens the `-wal`. The database and its `-shm` must not be opened here: they carry locks, see
    /// [`crate::keep`].
    pub(crate) fn open_wal(&self) -> io::Result<File> {
        open(self.folder.as_raw_fd(), &self.name_with("-wal")?)
    }

    fn name_with(&self, suffix: &str) -> io::Result<CString> {
        let mut name = self.name.clone();
        name.push(suffix);
        c_name(&name)
    }

    /// The name under which SQLite knows the file: the number of the folder's descriptor stands for its path.
    pub(crate) fn sqlite_name(&self) -> Vec<u8> {
        let mut name = format!("/{}/", self.folder.as_raw_fd()).into_bytes();
        name.extend_from_slice(self.name.as_bytes());
        name
    }
}

/// The folder and the name that [`Location::sqlite_name`], or one of SQLite's names beside it, stands for.
///
/// The folder is held by the [`Location`] as long as SQLite has a file with such a name.
pub(crate) fn parse_sqlite_name(name: &CStr) -> Option<(RawFd, CString)> {
    let rest = name.to_bytes().strip_prefix(b"/")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let (folder, name) = rest.split_at_checked(slash)?;
    let folder = std::str::from_utf8(folder).ok()?.parse().ok()?;
    let name = name.get(1..).filter(|name| !name.is_empty() && !name.contains(&b'/'))?;
    Some((folder, CString::new(name).ok()?))
}

/// What lies at a name of a folder; a symbolic link is not followed.
pub(crate) fn look(folder: RawFd, name: &CStr) -> io::Result<(Kind, Stamp)> {
    // SAFETY: `stat` is plain data that the call fills in; the name ends with a NUL byte.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstatat(folder, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat
    };
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Link,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Device,
    };
    #[allow(clippy::unnecessary_cast)] // their widths differ between platforms
    let stamp = Stamp {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    };
    Ok((kind, stamp))
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

/// Opens a regular file of a folder for reading. Anything else is an error, and nothing else is opened for
/// longer than a look at it takes.
pub(crate) fn open(folder: RawFd, name: &CStr) -> io::Result<File> {
    // Not to wait for the other end of a pipe.
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = File::from(open_at(folder, name, flags)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn open_folder(parent: RawFd, name: &CStr) -> io::Result<OwnedFd> {
    // Only to look names up in it, for which the right to search it is enough. A symbolic link is no
    // directory here.
    open_at(parent, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC)
}

fn open_at(folder: RawFd, name: &CStr, flags: c_int) -> io::Result<OwnedFd> {
    loop {
        // SAFETY: the name ends with a NUL byte; a descriptor that is not negative is new and nobody else's.
        let opened = unsafe {
            let descriptor = libc::openat(folder, name.as_ptr(), flags);
            (descriptor >= 0).then(|| OwnedFd::from_raw_fd(descriptor))
        };
        match opened {
            Some(descriptor) => return Ok(descriptor),
            None => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn c_name(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "path contains a NUL byte"))
}
