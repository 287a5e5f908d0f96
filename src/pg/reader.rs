//! The reader thread: scans SQLite, converts, and forms heap tuples, while the backend writes the batch before.
//!
//! This is the only file that starts a thread. The thread calls nothing of PostgreSQL. It blocks every signal, so that the
//! backend's handlers run on the backend's own thread. It says `Done` or `Failed` as its last word; without that word its end
//! is an error, so a panic in it can never look like the end of the data. It is joined on every way out, because a scope
//! owns it: before an error of the backend's side unwinds past [`scan`], the channel is closed and [`interrupt::stop_reader`]
//! tells a long step of SQLite to end.
#![allow(unsafe_code)] // blocks signals around the start of the thread

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use aliaport_plan::tuple::{Images, Writer};
use aliaport_sqlite::{ExclusiveReader, SourceError};

use super::error::{Result, unexpected};
use super::interrupt;
use super::row::{Fate, Former, RowConverter, RowError, SetAside};

/// Bytes of tuples after which a batch is handed over. As large as COPY's buffer it would pass the channel too often; from
/// 256 kB on nothing is gained, and it should stay within the second-level cache.
const BATCH_BYTES: usize = 256 * 1024;
/// Rows after which a batch is handed over: the most that one multi-insert takes.
const BATCH_ROWS: usize = 1000;
/// Batches on their way, 4 MB at most: when the backend waits for the disk (each 16 MB of its ring of buffers it flushes WAL), the
/// thread goes on. Memory is used for those that really wait.
const BATCHES_AHEAD: usize = 16;
/// How long the backend waits for a batch before it looks at its interrupt flags.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long an ending process waits for its reader thread; a step of SQLite looks at its flag far more often.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// True while a reader thread may touch SQLite: not while it waits to hand a batch over.
static IS_READING: AtomicBool = AtomicBool::new(false);
/// Set when the process ends without unwinding: whoever waits to hand a batch over never goes on.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Makes the reader thread leave SQLite alone for good. For a process that ends without unwinding: nobody joins the thread, and
/// the end of the transaction closes the source under it.
pub fn halt() {
    IS_ENDING.store(true, SeqCst);
    interrupt::stop_reader();
    let begun = Instant::now();
    while IS_READING.load(SeqCst) && begun.elapsed() < LAST_PATIENCE {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Says something to the backend; false when it does not listen any more.
fn hand_over(to_backend: &SyncSender<Message>, message: Message) -> bool {
    IS_READING.store(false, SeqCst);
    let is_taken = to_backend.send(message).is_ok();
    IS_READING.store(true, SeqCst);
    while IS_ENDING.load(SeqCst) {
        IS_READING.store(false, SeqCst);
        std::thread::park();
    }
    is_taken
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
}

/// What the backend's own thread does with the batches.
pub trait Backend {
    /// Writes a batch.
    fn write(&mut self, batch: &mut Batch) -> Result<()>;
    /// No batch is ready: a moment for work that can wait. False when there is none, so that the thread may sleep.
    fn idle(&mut self) -> bool;
}

/// What the thread says at the end.
enum Message {
    Batch(Batch),
    Done(Box<Finished>),
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

/// Reads `rows` to the end in a thread; `writer_side` gets the batches in order, in the backend's own thread.
///
/// `attributes` are the positions (0-based `attnum`) of the converter's columns, ascending. `with_rowids` fills [`Batch::rowids`].
pub fn scan(
    rows: ExclusiveReader<'_>,
    converter: RowConverter,
    writer: Writer,
    attributes: Vec<usize>,
    with_rowids: bool,
    writer_side: &mut impl Backend,
) -> Result<Finished> {
    // Dropped after the scope has joined the thread: what SQLite does next must not find the flag still set.
    let _go_on = LetReaderRun;
    std::thread::scope(|scope| {
        let (to_backend, from_reader) = sync_channel(BATCHES_AHEAD);
        let (to_reader, from_backend) = sync_channel(BATCHES_AHEAD + 2);
        let job = Job {
            rows,
            converter,
            form: Former::new(writer, attributes),
            read: 0,
            rejected: 0,
            rowids: with_rowids.then(Vec::new),
        };
        IS_READING.store(true, SeqCst);
        let thread = with_signals_blocked(|| {
            std::thread::Builder::new().name("aliaport reader".to_owned()).spawn_scoped(scope, move || {
                job.run(&to_backend, &from_backend);
                IS_READING.store(false, SeqCst);
            })
        })
        .map_err(|e| {
            IS_READING.store(false, SeqCst);
            unexpected(format!("failure to start a thread: {e}"))
        })?;
        // Dropped before the scope joins the thread, on return and on unwinding alike.
        let _stop = StopReader;
        let finished = receive(&from_reader, &to_reader, writer_side);
        drop(from_reader);
        if finished.is_err() {
            interrupt::stop_reader();
        }
        if thread.join().is_err() {
            return Err(unexpected("panic in the reader thread"));
        }
        finished
    })
}

struct LetReaderRun;

impl Drop for LetReaderRun {
    fn drop(&mut self) {
        interrupt::let_reader_run();
    }
}

struct StopReader;

impl Drop for StopReader {
    fn drop(&mut self) {
        interrupt::stop_reader();
    }
}

fn receive(
    from_reader: &Receiver<Message>,
    to_reader: &SyncSender<Images>,
    writer_side: &mut impl Backend,
) -> Result<Finished> {
    loop {
        let message = match from_reader.try_recv() {
            Err(TryRecvError::Empty) if writer_side.idle() => continue,
            Err(TryRecvError::Empty) => from_reader.recv_timeout(PATIENCE),
            Ok(message) => Ok(message),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(Message::Batch(mut batch)) => {
                interrupt::check();
                writer_side.write(&mut batch)?;
                // The memory goes back to be filled again; if the thread has ended, it is not needed.
                let _ = to_reader.try_send(batch.images);
            }
            Ok(Message::Done(finished)) => return Ok(*finished),
            Ok(Message::Failed(Failure::Source(error))) => return Err(error.into()),
            Ok(Message::Failed(Failure::Row(error))) => return Err(super::load::row_error(error)),
            Ok(Message::Failed(Failure::Form(attribute))) => {
                return Err(unexpected(format!("cell for attribute {}", attribute.saturating_add(1))));
            }
            Err(RecvTimeoutError::Timeout) => interrupt::check(),
            Err(RecvTimeoutError::Disconnected) => return Err(unexpected("end of the reader thread")),
        }
    }
}

/// Starts a thread such that it inherits a mask with every signal blocked.
fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    // SAFETY: both sets are initialised by the calls; the backend's own mask is put back right after the thread exists.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let started = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        started
    }
}

/// What the thread works on.
struct Job<'a> {
    rows: ExclusiveReader<'a>,
    converter: RowConverter,
    form: Former,
    read: u64,
    rejected: u64,
    rowids: Option<Vec<Option<i64>>>,
}

impl Job<'_> {
    fn run(mut self, to_backend: &SyncSender<Message>, from_backend: &Receiver<Images>) {
        let last_word = match self.scan(to_backend, from_backend) {
            Ok(true) => Message::Done(Box::new(Finished {
                converter: self.converter,
                read: self.read,
                rejected: self.rejected,
            })),
            // The backend has gone away: nobody is left to be told.
            Ok(false) => return,
            Err(failure) => Message::Failed(failure),
        };
        hand_over(to_backend, last_word);
    }

    /// True when every row has been sent, false when the backend does not listen any more.
    fn scan(
        &mut self,
        to_backend: &SyncSender<Message>,
        from_backend: &Receiver<Images>,
    ) -> std::result::Result<bool, Failure> {
        let mut last = (0, None);
        while let Some(row) = self.rows.next().map_err(Failure::Source)? {
            self.read += 1;
            last = (self.read, row.rowid());
            match self.converter.convert(&row, &mut self.form).map_err(Failure::Row)? {
                Fate::Kept => {
                    self.form.writer.end_row();
                    if let Some(rowids) = &mut self.rowids {
                        rowids.push(last.1);
                    }
                }
                Fate::SetAside => self.rejected += 1,
            }
            if let Some(attribute) = self.form.take_misfit() {
                return Err(Failure::Form(attribute));
            }
            let images = self.form.writer.images();
            if images.size() >= BATCH_BYTES || images.len() >= BATCH_ROWS {
                let empty = from_backend.try_recv().unwrap_or_default();
                if !self.send(to_backend, empty, last) {
                    return Ok(false);
                }
            }
        }
        Ok(self.send(to_backend, Images::default(), last))
    }

    fn send(&mut self, to_backend: &SyncSender<Message>, empty: Images, last: (u64, Option<i64>)) -> bool {
        // A row that was begun and then set aside must not be left at the end of the images.
        let images = self.form.writer.replace(empty);
        let rowids = self.rowids.as_mut().map(std::mem::take).unwrap_or_default();
        let batch = Batch { images, set_aside: self.converter.take_set_aside(), last, rowids };
        hand_over(to_backend, Message::Batch(batch))
    }
}
