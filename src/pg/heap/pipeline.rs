//! The threads of a load: one scans SQLite, one or more convert what it read and form heap tuples, as many
//! inspect those, while the backend writes the batch before.
//!
//! This is the only file that starts threads. They call nothing of PostgreSQL. They block every signal, so
//! that the backend's handlers run on the backend's own thread. The reader's last word goes to the backend
//! through the others; without it the end of a thread is an error, and so is a row that was read and not
//! converted: a panic can never look like the end of the data. All are joined on every way out, because a
//! scope owns them: before an error of the backend's side unwinds past [`scan`], the channels are closed and
//! [`interrupt::stop_reader`] tells a long step of SQLite to end.
//!
//! Rows stay in the order of the scan: batches go to the converters in turn, and are taken from them in turn.
//!
//! Inspecting is a step of its own because converting is what takes longest: on two cores the two are best
//! done side by side.
#![allow(unsafe_code)] // blocks signals around the start of the threads

mod budget;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use aliaport_rows::batch::Rows;
use aliaport_rows::digest::TableDigest;
use aliaport_rows::prove::Inspector;
use aliaport_rows::tuple::Images;
use aliaport_sqlite::{SendReader, SourceError};
use pgrx::prelude::PgSqlErrorCode;

use self::budget::Budget;
use crate::pg::server::error::{Error, Result, unexpected};
use crate::pg::server::{in_sqlite, interrupt};
use aliaport_rows::row::{Fate, Former, Notes, RowConverter, RowError, SetAside};

/// Bytes of copied rows after which a batch is handed over. As large as COPY's buffer it would pass the
/// channels too often; from 256 kB on nothing is gained, and what is worked on should stay within the
/// second-level cache.
const BATCH_BYTES: usize = 256 * 1024;
/// Bytes on their way: when the backend waits for the disk (each 16 MB of its ring of buffers it flushes
/// WAL), the threads go on. Memory is used for those that really wait.
const BYTES_AHEAD: usize = 8 << 20;
/// Batches that a channel holds; [`BYTES_AHEAD`] is less.
const BATCHES_AHEAD: usize = 2 * BYTES_AHEAD / BATCH_BYTES;
/// How long the backend waits for a batch before it looks at its interrupt flags.
const PATIENCE: Duration = Duration::from_millis(50);

/// True while a scan is under way in this process. [`in_sqlite`] and [`interrupt::stop_reader`] speak of that
/// scan: there is never a second one, because code of a target that runs while its rows are written (a
/// CHECK's function) cannot begin one ([`Scanning`]).
static IS_SCANNING: AtomicBool = AtomicBool::new(false);
/// The one scan of this process. Dropped when it has ended, on every way out but the end of the process.
struct Scanning;

impl Scanning {
    fn begin() -> Result<Self> {
        if IS_SCANNING.swap(true, SeqCst) { Err(nested()) } else { Ok(Scanning) }
    }
}

impl Drop for Scanning {
    fn drop(&mut self) {
        // What SQLite does next must not find the flag still set.
        interrupt::let_reader_run();
        IS_SCANNING.store(false, SeqCst);
    }
}

/// Raises 55000 in code that is called by the writing of a row of a scan.
///
/// # Errors
/// As said.
pub fn refuse_nested() -> Result<()> {
    if IS_SCANNING.load(SeqCst) { Err(nested()) } else { Ok(()) }
}

fn nested() -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "a SQLite file cannot be opened while another one is being loaded by the same session",
    )
    .detail("A function that a constraint or a generated column of the table calls, for a row that is being loaded, has asked for it.")
    .hint("Take that call out of the function, or take the constraint off for the import.")
}

/// Some rows, ready to be written.
pub struct Batch {
    /// Their heap tuples.
    pub images: Images,
    /// What was set aside since the batch before.
    pub set_aside: Vec<SetAside>,
    /// The last row in it: its number in the scan, and its rowid.
    pub last: (u64, Option<i64>),
    /// The rowids of all its tuples, where they were asked for.
    pub rowids: Vec<Option<i64>>,
    /// What it counts for in the budget.
    bytes: usize,
}

/// What the reader says to a converter.
enum Read {
    Rows(Rows),
    /// There are no more: so many were read, or this went wrong.
    End(std::result::Result<u64, SourceError>),
}

/// What a converter, and an inspector after it, says to the backend.
enum Message {
    Batch(Batch),
    /// Every row was read, and there were so many.
    Done(u64),
    Failed(Failure),
}

enum Failure {
    Source(SourceError),
    Row(RowError),
    /// A cell that does not fit its attribute: a bug.
    Form(usize),
}

/// What is known when every row has been read.
pub struct Finished {
    /// Digest and lossy counts.
    pub converter: RowConverter,
    /// Rows read from the source.
    pub read: u64,
    /// Rows set aside.
    pub rejected: u64,
}

/// What converts rows, forms their tuples and inspects them.
pub struct Worker {
    /// Converts.
    pub converter: RowConverter,
    /// Forms tuples.
    pub former: Former,
    /// Inspects them, where that was asked for.
    pub inspector: Option<Inspector>,
}

/// Reads `rows` to the end; `write` gets the batches in order, in the backend's own thread.
///
/// Each of `workers`, of which there must be one at least, has threads of its own. `with_rowids` fills
/// [`Batch::rowids`].
pub fn scan(
    rows: SendReader<'_>,
    workers: Vec<Worker>,
    with_rowids: bool,
    mut write: impl FnMut(&mut Batch) -> Result<()>,
) -> Result<Finished> {
    // Dropped after the scope has joined the threads.
    let _scanning = Scanning::begin()?;
    let budget = Budget::new(BYTES_AHEAD);
    std::thread::scope(|scope| {
        let (to_reader, memory) = sync_channel(workers.len() * BATCHES_AHEAD);
        let (mut to_converters, mut lines) = (Vec::new(), Vec::new());
        for Worker { converter, former, inspector } in workers {
            let (to_converter, from_reader) = sync_channel(BATCHES_AHEAD);
            let (to_next, from_converter) = sync_channel(BATCHES_AHEAD);
            let (to_former, from_backend) = sync_channel(BATCHES_AHEAD);
            let job = Conversion {
                converter,
                former,
                from_backend,
                read: 0,
                rejected: 0,
                rowids: with_rowids.then(Vec::new),
            };
            let converting = start(scope, "aliaport convert", move || job.run(&from_reader, &to_next))?;
            let (to_backend, from_worker) = sync_channel(BATCHES_AHEAD);
            let to_reader = to_reader.clone();
            let inspecting = start(scope, "aliaport inspect", move || {
                inspect(inspector, &from_converter, &to_reader, &to_backend)
            })?;
            to_converters.push(to_converter);
            lines.push(Line { converting, inspecting, from_worker, to_former });
        }
        let scan = Scan { rows, to_converters, memory, budget: &budget };
        in_sqlite::enter();
        let reader = start(scope, "aliaport reader", move || {
            scan.run();
            in_sqlite::leave();
        })
        .inspect_err(|_| in_sqlite::leave())?;
        // Dropped before the scope joins the threads, on return and on unwinding alike.
        let stop = StopThreads(&budget);
        let total = receive(&lines, &budget, &mut write);
        if total.is_err() {
            drop(stop);
        }
        let mut finished: Option<Finished> = None;
        let mut has_panicked = false;
        for Line { converting, inspecting, from_worker, to_former } in lines {
            drop((from_worker, to_former));
            let (Ok(mut part), Ok(digest)) = (converting.join(), inspecting.join()) else {
                has_panicked = true;
                continue;
            };
            part.converter.absorb_digest(&digest);
            match &mut finished {
                Some(whole) => whole.absorb(&part),
                none => *none = Some(part),
            }
        }
        has_panicked |= reader.join().is_err();
        if has_panicked {
            return Err(unexpected("panic in a thread of the load"));
        }
        let total = total?;
        finished
            .filter(|whole| whole.read == total)
            .ok_or_else(|| unexpected("row that was read and not converted"))
    })
}

/// A worker as the backend sees it.
struct Line<'s> {
    converting: ScopedJoinHandle<'s, Finished>,
    inspecting: ScopedJoinHandle<'s, TableDigest>,
    from_worker: Receiver<Message>,
    /// Memory goes back to be filled again.
    to_former: SyncSender<Images>,
}

impl Finished {
    fn absorb(&mut self, other: &Finished) {
        self.converter.absorb(&other.converter);
        self.read += other.read;
        self.rejected += other.rejected;
    }
}

struct StopThreads<'b>(&'b Budget);

impl Drop for StopThreads<'_> {
    fn drop(&mut self) {
        interrupt::stop_reader();
        self.0.close();
    }
}

/// Writes every batch; how many rows the reader has read.
fn receive(
    lines: &[Line<'_>],
    budget: &Budget,
    write: &mut impl FnMut(&mut Batch) -> Result<()>,
) -> Result<u64> {
    for Line { from_worker, to_former, .. } in lines.iter().cycle() {
        let message = loop {
            match from_worker.recv_timeout(PATIENCE) {
                Ok(message) => break message,
                Err(RecvTimeoutError::Timeout) => interrupt::check(),
                Err(RecvTimeoutError::Disconnected) => return Err(unexpected("end of a thread of the load")),
            }
        };
        match message {
            Message::Batch(mut batch) => {
                interrupt::check();
                write(&mut batch)?;
                // What a large value needed must not wait for the next batch; if the thread has ended, none
                // of it is needed.
                batch.images.clear();
                let _ = to_former.try_send(batch.images);
                budget.give_back(batch.bytes);
            }
            Message::Done(read) => return Ok(read),
            Message::Failed(Failure::Source(error)) => return Err(error.into()),
            Message::Failed(Failure::Row(error)) => return Err(super::load::row_error(error)),
            Message::Failed(Failure::Form(attribute)) => {
                return Err(unexpected(format!("cell for attribute {}", attribute.saturating_add(1))));
            }
        }
    }
    Err(unexpected("load without a converter"))
}

/// Starts a thread that blocks every signal.
fn start<'s, 'e, R: Send + 's>(
    scope: &'s Scope<'s, 'e>,
    name: &str,
    work: impl FnOnce() -> R + Send + 's,
) -> Result<ScopedJoinHandle<'s, R>> {
    with_signals_blocked(|| Builder::new().name(name.to_owned()).spawn_scoped(scope, work))
        .map_err(|e| cannot_start(&e))
}

fn cannot_start(error: &std::io::Error) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        "could not start a thread to read the source",
    )
    .detail(format!("The operating system says: {error}. The server's user may run no more processes and threads, or memory is short."))
    .hint("Raise the limit (TasksMax of the systemd unit, ulimit -u, pids.max of a container), or run SET aliaport_import.tuple_images = off, with which an import needs no threads and takes longer.")
}

/// Starts a thread such that it inherits a mask with every signal blocked.
fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    /// The mask to put back, also where `start` panics.
    struct Before(libc::sigset_t);
    impl Drop for Before {
        fn drop(&mut self) {
            // SAFETY: the set was filled by the call that blocked the signals.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: a set is plain data; both are filled by the calls before they are read.
    let _before = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before = Before(std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        // The guard exists only once there is something to put back: the call fills it or changes nothing.
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut before.0);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        before
    };
    start()
}

/// What the reader thread works on.
struct Scan<'s, 'b> {
    rows: SendReader<'s>,
    to_converters: Vec<SyncSender<Read>>,
    /// Memory that was used before.
    memory: Receiver<Rows>,
    budget: &'b Budget,
}

impl Scan<'_, '_> {
    /// Reads to the end, or until nobody listens any more.
    fn run(mut self) {
        let to_converters = std::mem::take(&mut self.to_converters);
        let mut read = 0;
        for to_converter in to_converters.iter().cycle() {
            let mut batch = self.memory.try_recv().unwrap_or_default();
            batch.restart(read + 1);
            let is_last = match self.rows.fill(&mut batch, BATCH_BYTES) {
                Ok(is_last) => is_last,
                Err(error) => {
                    let _ = to_converter.send(Read::End(Err(error)));
                    return;
                }
            };
            read += batch.len() as u64;
            if is_last && batch.is_empty() {
                let _ = to_converter.send(Read::End(Ok(read)));
                return;
            }
            batch.check_texts();
            let bytes = batch.size();
            let goes_on = in_sqlite::away(|| {
                self.budget.take(bytes);
                to_converter.send(Read::Rows(batch)).is_ok() && self.budget.wait()
            });
            if !goes_on {
                return;
            }
        }
    }
}

/// What a converter thread works on.
struct Conversion {
    converter: RowConverter,
    former: Former,
    /// Memory that was used before.
    from_backend: Receiver<Images>,
    read: u64,
    rejected: u64,
    rowids: Option<Vec<Option<i64>>>,
}

impl Conversion {
    /// Converts until there is no more, or nobody listens any more.
    fn run(
        mut self,
        from_reader: &Receiver<Read>,
        to_next: &SyncSender<(Message, Option<BatchOrigin>)>,
    ) -> Finished {
        while let Ok(read) = from_reader.recv() {
            let message = match read {
                Read::Rows(rows) => match self.convert(&rows) {
                    Ok(batch) => {
                        let notes = self.converter.take_notes().unwrap_or_default();
                        (Message::Batch(batch), Some(BatchOrigin { rows, notes }))
                    }
                    Err(failure) => (Message::Failed(failure), None),
                },
                Read::End(Ok(read)) => (Message::Done(read), None),
                Read::End(Err(error)) => (Message::Failed(Failure::Source(error)), None),
            };
            if to_next.send(message).is_err() {
                break;
            }
        }
        Finished { converter: self.converter, read: self.read, rejected: self.rejected }
    }

    fn convert(&mut self, rows: &Rows) -> std::result::Result<Batch, Failure> {
        self.converter.go_to(rows.first());
        let mut last = (self.read, None);
        for (row, number) in rows.iter().zip(rows.first()..) {
            self.read += 1;
            last = (number, row.rowid());
            match self.converter.convert(&row, &mut self.former).map_err(Failure::Row)? {
                Fate::Kept => {
                    if let Some(rowids) = &mut self.rowids {
                        rowids.push(last.1);
                    }
                }
                Fate::SetAside => self.rejected += 1,
            }
        }
        if let Some(attribute) = self.former.take_misfit() {
            return Err(Failure::Form(attribute));
        }
        Ok(Batch {
            // A row that was begun and then set aside must not be left at the end of the images.
            images: self.former.writer.replace(self.from_backend.try_recv().unwrap_or_default()),
            set_aside: self.converter.take_set_aside(),
            last,
            rowids: self.rowids.as_mut().map(std::mem::take).unwrap_or_default(),
            bytes: rows.size(),
        })
    }
}

/// What a batch was made of.
struct BatchOrigin {
    rows: Rows,
    notes: Notes,
}

/// What an inspector thread does: passes on what a converter says, after a look at it, and gives the memory
/// of the rows back. The digest of the tuples.
fn inspect(
    mut inspector: Option<Inspector>,
    from_converter: &Receiver<(Message, Option<BatchOrigin>)>,
    to_reader: &SyncSender<Rows>,
    to_backend: &SyncSender<Message>,
) -> TableDigest {
    while let Ok((mut message, source)) = from_converter.recv() {
        if let (Message::Batch(batch), Some(BatchOrigin { mut rows, notes })) = (&message, source) {
            let inspected = match &mut inspector {
                Some(inspector) => inspector.inspect(&rows, &batch.images, &notes),
                None => Ok(()),
            };
            // What a large value needed must not wait here for the next batch.
            rows.restart(0);
            let _ = to_reader.try_send(rows);
            if let Err(error) = inspected {
                message = Message::Failed(Failure::Row(error));
            }
        }
        if to_backend.send(message).is_err() {
            break;
        }
    }
    inspector.map_or_else(TableDigest::default, |inspector| inspector.digest())
}
