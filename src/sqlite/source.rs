//! One SQLite file, opened for reading, hardened, in one read transaction from open to drop.
#![allow(unsafe_code)] // opening with all that SQLite knows of a failure, and what rusqlite does not wrap

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use crate::error::{SourceError, SourceErrorKind};
use crate::harden::harden;
use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::stand_in::{Collations, Leniency};
use crate::state::FileState;
use crate::statement::Statement;
use crate::vfs;

/// How to open a source.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How long to wait for a writer that holds its lock.
    pub busy_timeout: Duration,
    /// Asked every few microseconds while SQLite works and every 20 ms while it waits. It only reads flags:
    /// it must not panic, nor call anything that could.
    pub is_cancelled: fn() -> bool,
}

/// One SQLite file and one snapshot of it. Dropping it ends the snapshot and closes the file.
///
/// It can move to another thread, but is used by one at a time.
pub struct Source {
    connection: Connection,
    /// The size, where the snapshot has ended.
    ended: Option<u64>,
    /// What functions of the connection look at.
    leniency: Leniency,
    /// After the connection, which keeps a pointer to them.
    collations: Arc<Collations>,
    /// After the connection, which looks names up in its folder until it is closed.
    location: Arc<Location>,
    /// The files as they were before the snapshot, where no lock protects it.
    unlocked_state: Option<FileState>,
    fingerprint: RefCell<String>,
    /// The files as they were when the snapshot was taken, and what SQLite knew of others' writes.
    seen: Seen,
    interrupt: Interrupt,
    /// The snapshot has no page that is elsewhere than in the file.
    is_all_in_file: bool,
}

/// By what a snapshot is known to be the one before.
struct Seen {
    files: FileState,
    /// Changes when another connection has written, as `PRAGMA data_version` tells.
    data_version: Cell<i64>,
    is_wal: bool,
}

/// The smallest page that a database can have. SQLite takes a file of one byte for an empty database.
const SMALLEST: u64 = 512;
/// A journal that looks hot can belong to a writer that is just done; after this time it does not.
const HOT_JOURNAL_PATIENCE: Duration = Duration::from_millis(300);
/// A file that was written to a moment ago is waited for even without a busy timeout: once, normally.
const SETTLING_PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts to get a lock.
const RETRY: Duration = Duration::from_millis(20);

impl Source {
    /// Opens the file and takes the snapshot that everything else reads.
    ///
    /// The path is absolute, and free of symbolic links (else `CannotOpen`).
    ///
    /// # Errors
    /// Every kind but `InvalidFilter` and `TooBig`. `Locked` comes after the busy timeout.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Source, SourceError> {
        let location = Location::resolve(path).map_err(|error| SourceError::from_io(path, &error))?;
        Self::open_at(location, options)
    }

    /// Opens the file that is there now, whatever its path says meanwhile.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_at(location: Location, options: OpenOptions) -> Result<Source, SourceError> {
        let interrupt = Interrupt::new(options.is_cancelled);
        let start = Instant::now();
        let location = Arc::new(location);
        let path = location.path();
        let uri = uri(&location)?;
        vfs::register().map_err(|code| {
            SourceError::from_sqlite(path, code, "the file layer could not be registered", 0)
        })?;
        loop {
            if interrupt.is_cancelled() {
                return Err(SourceError::new(SourceErrorKind::Interrupted, path));
            }
            let before = FileState::observe(&location).map_err(|error| SourceError::from_io(path, &error))?;
            if before.size() == 0 {
                return Err(SourceError::new(SourceErrorKind::Empty, path));
            }
            if before.size() < SMALLEST {
                return Err(SourceError::new(SourceErrorKind::NotADatabase, path)
                    .with_detail(format!("It has {} bytes, less than the smallest page.", before.size())));
            }
            // Every attempt opens the file anew: what lies beside it, and so the way to read it, can have
            // changed.
            let (wait, patience, error) = match Self::attempt(&location, &uri, interrupt, before) {
                Ok(source) => return Ok(source),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Unsettled(wait)) => {
                    let error = SourceError::new(SourceErrorKind::ChangedDuringRead, path);
                    (wait, options.busy_timeout.max(SETTLING_PATIENCE), error)
                }
                Err(Failure::Passing(error)) if *error.kind() == SourceErrorKind::HotJournal => {
                    (RETRY, options.busy_timeout.min(HOT_JOURNAL_PATIENCE), error)
                }
                Err(Failure::Passing(error)) => (RETRY, options.busy_timeout, error),
            };
            if start.elapsed() >= patience {
                return Err(error);
            }
            if !interrupt.sleep(wait) {
                return Err(SourceError::new(SourceErrorKind::Interrupted, path));
            }
        }
    }

    /// Opens the file once and starts the read transaction.
    fn attempt(
        location: &Arc<Location>,
        uri: &CStr,
        interrupt: Interrupt,
        before: FileState,
    ) -> Result<Self, Failure> {
        let path = location.path();
        let connection = connect(path, uri).map_err(Failure::classify)?;
        let mut source = Source {
            connection,
            ended: None,
            leniency: Leniency::default(),
            collations: Arc::default(),
            location: Arc::clone(location),
            unlocked_state: None,
            fingerprint: RefCell::default(),
            seen: Seen { files: before.clone(), data_version: Cell::new(0), is_wal: true },
            interrupt,
            is_all_in_file: false,
        };
        let result = source.begin(interrupt);
        // SAFETY: the connection was opened with this layer and belongs to this thread now.
        let (opened, header) = unsafe { (vfs::opened(source.handle()), vfs::header(source.handle())) };
        let after = FileState::observe(location)
            .map_err(|error| Failure::Fatal(SourceError::from_io(path, &error)))?;
        let is_wal = match result {
            Ok(is_wal) => is_wal,
            // Whatever it was: it may come from a writer at work that did not know of us.
            Err(error) if opened.without_shm && !before.is_same_snapshot(&after) => {
                return Err(Failure::Passing(error));
            }
            Err(error) => return Err(Failure::classify(error.held_by(opened.holder))),
        };
        if is_wal && opened.without_shm {
            if !before.file_unsettled().is_zero() {
                return Err(Failure::Unsettled(before.file_unsettled()));
            }
            if !before.is_same_snapshot(&after) {
                let error = SourceError::new(SourceErrorKind::ChangedDuringRead, path);
                return Err(Failure::Passing(error));
            }
            source.unlocked_state = Some(before.clone());
        } else if is_wal && opened.without_wal && after.has_wal() {
            // A writer came between SQLite's look at the -wal and its look at the -shm: they do not belong
            // together.
            return Err(Failure::Passing(SourceError::new(SourceErrorKind::Locked, path)));
        }
        source.is_all_in_file = !is_wal || (opened.without_wal && opened.without_shm);
        source.fingerprint = RefCell::new(before.fingerprint(header.as_ref()));
        source.seen.is_wal = is_wal;
        Ok(source)
    }

    /// Ends the snapshot and keeps the connection with its statements, for [`Source::resume`]. False where
    /// that would leave a lock behind, or cannot be done: then the source has to be dropped, which ends it.
    ///
    /// A database in WAL mode is never kept: its other users could not clear its `-wal` away.
    ///
    /// # Safety
    /// No row that a reader of this source has given is used any more.
    #[must_use]
    pub unsafe fn pause(&self) -> bool {
        // SAFETY: the connection is open; a statement that is reset has no row, which nobody uses any more.
        unsafe {
            let mut statement = ffi::sqlite3_next_stmt(self.handle(), ptr::null_mut());
            while !statement.is_null() {
                ffi::sqlite3_reset(statement);
                statement = ffi::sqlite3_next_stmt(self.handle(), statement);
            }
        }
        !self.seen.is_wal
            && self.unlocked_state.is_none()
            && self.data_version().is_ok_and(|version| {
                self.seen.data_version.set(version);
                Statement::prepare(self, "ROLLBACK").and_then(|mut end| end.step()).is_ok()
            })
    }

    /// Takes the snapshot again that [`Source::pause`] has ended; false where the file is not the same any
    /// more, or cannot be read just now. Then the source has to be dropped, and another one opened.
    #[must_use]
    pub fn resume(&self) -> bool {
        let Ok(files) = FileState::observe(&self.location) else { return false };
        let is_same = files.is_same_file(&self.seen.files) && self.take_again().unwrap_or(false);
        if is_same {
            // SAFETY: the connection was opened with this layer and belongs to this thread.
            let header = unsafe { vfs::header(self.handle()) };
            self.fingerprint.replace(files.fingerprint(header.as_ref()));
        }
        is_same
    }

    fn take_again(&self) -> Result<bool, SourceError> {
        Statement::prepare(self, "BEGIN")?.step()?;
        Statement::prepare(self, "SELECT 1 FROM sqlite_schema LIMIT 1")?.step()?;
        Ok(self.data_version()? == self.seen.data_version.get())
    }

    fn data_version(&self) -> Result<i64, SourceError> {
        self.pragma_number("PRAGMA data_version")
    }

    /// Hardens the connection and takes the snapshot; true where it is one of a database in WAL mode.
    fn begin(&mut self, interrupt: Interrupt) -> Result<bool, SourceError> {
        let path = self.location.path();
        let setup = interrupt.install(&mut self.connection).and_then(|()| harden(&mut self.connection));
        setup.map_err(|error| SourceError::from_rusqlite(path, &error))?;
        self.stand_in_for_collations();
        Statement::prepare(self, "BEGIN")?.step()?;
        // The first read takes the lock and, in WAL mode, the snapshot.
        Statement::prepare(self, "SELECT 1 FROM sqlite_schema LIMIT 1")?.step()?;
        self.stand_in_for_functions()?;
        let mut mode = Statement::prepare(self, "PRAGMA journal_mode")?;
        mode.step()?;
        Ok(mode.text(0).is_some_and(|mode| mode.eq_ignore_ascii_case("wal")))
    }

    /// The size of the database in this snapshot, in bytes; 0 where SQLite cannot tell.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        if let Some(bytes) = self.ended {
            return bytes;
        }
        let number = |pragma| {
            self.pragma_number(pragma).ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
        };
        number("PRAGMA page_count").saturating_mul(number("PRAGMA page_size"))
    }

    /// The number that a PRAGMA gives.
    pub(crate) fn pragma_number(&self, pragma: &str) -> Result<i64, SourceError> {
        let mut statement = Statement::prepare(self, pragma)?;
        statement.step()?;
        Ok(statement.integer(0))
    }

    /// Makes sure, after the last row, that all rows came from one snapshot.
    ///
    /// Locks guarantee that for a database in rollback mode and for one in WAL mode with a `-shm` beside it.
    /// A database in WAL mode that nobody had open has no place for locks without writing: there the file's
    /// times must be the same.
    ///
    /// # Errors
    /// `ChangedDuringRead`.
    pub fn verify_unchanged(&self) -> Result<(), SourceError> {
        let Some(unlocked_state) = &self.unlocked_state else { return Ok(()) };
        let changed = || SourceError::new(SourceErrorKind::ChangedDuringRead, self.path());
        match FileState::observe(&self.location) {
            Ok(now) if unlocked_state.is_same_snapshot(&now) => Ok(()),
            Ok(_) => Err(changed().with_detail(
                "The database is in WAL mode and no other process had it open when the import began."
                    .to_owned(),
            )),
            Err(error) => Err(changed().with_detail(format!("It cannot be looked at any more: {error}."))),
        }
    }

    /// Makes sure, as [`Source::verify_unchanged`] does, and gives every lock back: nothing can be read any
    /// more. Size and fingerprint stay.
    ///
    /// # Errors
    /// `ChangedDuringRead`.
    pub fn end_snapshot(&mut self) -> Result<(), SourceError> {
        self.verify_unchanged()?;
        let bytes = self.size_bytes();
        // One to nothing takes its place.
        let nothing =
            Connection::open_in_memory().map_err(|error| SourceError::from_rusqlite(self.path(), &error))?;
        finalize_all(self.handle());
        drop(std::mem::replace(&mut self.connection, nothing));
        self.ended = Some(bytes);
        self.unlocked_state = None;
        Ok(())
    }

    /// Whether the snapshot has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// A short text that tells two states of the file apart, for the history of runs: equal texts, equal
    /// content.
    ///
    /// Taken before the snapshot, so that a change in between makes it older than what was read, never
    /// newer.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.fingerprint.borrow().clone()
    }

    /// Waits until the fingerprint is one that another look at the same file has, too: it is not for a moment
    /// after the file was written to.
    ///
    /// # Errors
    /// `Interrupted`, and what looking at the file can meet.
    pub fn settle(&self) -> Result<(), SourceError> {
        let observe =
            || FileState::observe(&self.location).map_err(|error| SourceError::from_io(self.path(), &error));
        let wait = observe()?.unsettled();
        if !wait.is_zero() && !self.interrupt.sleep(wait + RETRY) {
            return Err(SourceError::new(SourceErrorKind::Interrupted, self.path()));
        }
        let now = observe()?;
        if now.is_same_file(&self.seen.files) {
            // SAFETY: the connection was opened with this layer and belongs to this thread.
            let header = unsafe { vfs::header(self.handle()) };
            self.fingerprint.replace(now.fingerprint(header.as_ref()));
        }
        Ok(())
    }

    /// Where it lies, for messages, and to ask for rights again.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.location.path()
    }

    /// Whether a path that was walked again leads to this file.
    #[must_use]
    pub fn is_at(&self, location: &Location) -> bool {
        let place = |location: &Location| location.stamp("").map(|stamp| (stamp.device, stamp.inode)).ok();
        place(&self.location).is_some_and(|own| place(location) == Some(own))
    }

    /// Whether every page of the snapshot is in the database file: locks or, in WAL mode without a `-wal`,
    /// [`Source::verify_unchanged`] make sure that it stays like that.
    pub(crate) fn is_all_in_file(&self) -> bool {
        self.is_all_in_file
    }

    pub(crate) fn collations(&self) -> &Arc<Collations> {
        &self.collations
    }

    pub(crate) fn leniency(&self) -> &Leniency {
        &self.leniency
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.interrupt.is_cancelled()
    }

    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// SQLite's handle of the database file, open for as long as the connection.
    pub(crate) fn file(&self) -> Option<ptr::NonNull<ffi::sqlite3_file>> {
        // SAFETY: the connection was opened with this layer, and a source is used by one thread at a time.
        ptr::NonNull::new(unsafe { vfs::file_of(self.handle(), ffi::SQLITE_FCNTL_FILE_POINTER) })
    }

    /// Whether the file declares such a table or view; false where that cannot be told.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.connection.table_exists(Some("main"), name).unwrap_or(false)
    }

    /// The connection for SQLite's C functions.
    pub(crate) fn handle(&self) -> *mut ffi::sqlite3 {
        // SAFETY: every use of the handle in this crate keeps to what a borrow of the connection may do.
        unsafe { self.connection.handle() }
    }

    /// The error that SQLite reported last, on this connection, with this result code.
    pub(crate) fn error(&self, code: c_int) -> SourceError {
        // SAFETY: the connection is open.
        let error = unsafe { error_of(self.path(), self.handle(), code) };
        self.unless_changed(error)
    }

    /// An error of a file whose parts contradict one another.
    pub(crate) fn damaged(&self, detail: String) -> SourceError {
        self.unless_changed(SourceError::new(SourceErrorKind::Damaged, self.path()).with_detail(detail))
    }

    /// The same error, or the change of the file that it may come from.
    fn unless_changed(&self, error: SourceError) -> SourceError {
        let may_come_from_a_change = matches!(
            error.kind(),
            SourceErrorKind::Damaged
                | SourceErrorKind::NotADatabase
                | SourceErrorKind::ReadFailed
                | SourceErrorKind::NotUnderstood
                | SourceErrorKind::Unexpected
        );
        if may_come_from_a_change && self.verify_unchanged().is_err() {
            return error.into_kind(SourceErrorKind::ChangedDuringRead);
        }
        error
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A PostgreSQL backend that is terminated runs no Drop on its stack: a reader can be left over
        // there, and closing the connection would fail because of it.
        finalize_all(self.handle());
    }
}

/// Ends the statements of a connection that is about to be closed.
fn finalize_all(db: *mut ffi::sqlite3) {
    // SAFETY: readers borrow the source, which its owner has for itself now, so none of them is in use any
    // more.
    unsafe {
        loop {
            let left_over = ffi::sqlite3_next_stmt(db, ptr::null_mut());
            if left_over.is_null() {
                break;
            }
            ffi::sqlite3_finalize(left_over);
        }
    }
}

/// Why an attempt to open did not succeed.
enum Failure {
    Fatal(SourceError),
    /// It may be gone in a moment.
    Passing(SourceError),
    /// The file was written to a moment ago, and another write might not show in its times yet.
    Unsettled(Duration),
}

impl Failure {
    fn classify(error: SourceError) -> Self {
        // 2: ENOENT. The -shm or the -journal was there for the first look and gone for the second.
        let has_vanished = *error.kind() == SourceErrorKind::CannotOpen && error.os_error() == Some(2);
        match error.kind() {
            // Nobody else can end that wait.
            SourceErrorKind::Locked if error.is_held_by_this_process() => Failure::Fatal(error),
            SourceErrorKind::Locked | SourceErrorKind::HotJournal => Failure::Passing(error),
            _ if has_vanished => Failure::Passing(error),
            _ => Failure::Fatal(error),
        }
    }
}

/// Opens the file by its URI, read-only, through the layer that cannot write.
fn connect(path: &Path, uri: &CStr) -> Result<Connection, SourceError> {
    let flags = ffi::SQLITE_OPEN_READONLY
        | ffi::SQLITE_OPEN_URI
        | ffi::SQLITE_OPEN_NOMUTEX
        | ffi::SQLITE_OPEN_PRIVATECACHE
        | ffi::SQLITE_OPEN_EXRESCODE;
    let mut db: *mut ffi::sqlite3 = ptr::null_mut();
    // SAFETY: both texts end with a NUL byte; db is written in any case.
    let code = unsafe { ffi::sqlite3_open_v2(uri.as_ptr(), &raw mut db, flags, vfs::NAME.as_ptr()) };
    if db.is_null() {
        return Err(SourceError::new(SourceErrorKind::OutOfMemory, path));
    }
    if code != ffi::SQLITE_OK {
        // SAFETY: a handle is given on failure too, to be asked and closed.
        return Err(unsafe {
            let error = error_of(path, db, code);
            ffi::sqlite3_close(db);
            error
        });
    }
    // SAFETY: the handle is open and nobody else's; the callbacks are static.
    unsafe {
        // Virtual tables are not read, so a hostile one cannot get at the code of its module either.
        ffi::sqlite3_drop_modules(db, ptr::null_mut());
        Connection::from_handle_owned(db).map_err(|error| SourceError::from_rusqlite(path, &error))
    }
}

/// What SQLite has to say about a failure.
///
/// # Safety
/// `db` is a connection that is open, or that failed to open and is not closed yet.
unsafe fn error_of(path: &Path, db: *mut ffi::sqlite3, code: c_int) -> SourceError {
    // SAFETY: as the caller promises. The message ends with a NUL byte and stays until the next call.
    unsafe {
        let message = if ffi::sqlite3_extended_errcode(db) == code {
            ffi::sqlite3_errmsg(db)
        } else {
            ffi::sqlite3_errstr(code)
        };
        let message = if message.is_null() {
            String::new()
        } else {
            CStr::from_ptr(message).to_string_lossy().into_owned()
        };
        SourceError::from_sqlite(path, code, &message, ffi::sqlite3_system_errno(db))
    }
}

/// `file:` with every byte escaped that means something in a URI, so that any name can be opened.
fn uri(location: &Location) -> Result<CString, SourceError> {
    let mut uri = Vec::from(b"file://");
    for byte in location.sqlite_name() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(byte),
            _ => uri.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    CString::new(uri).map_err(|_| SourceError::new(SourceErrorKind::CannotOpen, location.path()))
}
