//! Fixtures: folders with databases, and a writer in another process.
//!
//! The writer has to be another process: SQLite shares locks and shared memory between the connections of
//! one.

mod catalogue;
mod collation;
mod content;
mod corpus;
mod damage;
mod datetime;
mod errors;
mod folder;
mod locks;
mod orphan;
mod pages;
mod reference;
mod rows;
mod schema;
mod snapshot;
mod untouched;
mod wal;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aliaport_plan::catalogue::Table;
use aliaport_rows::value::Value;
use rusqlite::Connection;
use rusqlite::fallible_iterator::FallibleIterator;
use tempfile::TempDir;

use crate::{OpenOptions, Source, SourceError, SourceErrorKind};

/// A folder without symbolic links in its path.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

fn options() -> OpenOptions {
    OpenOptions { busy_timeout: Duration::from_secs(5), is_cancelled: || false }
}

fn open(path: &Path) -> Source {
    Source::open(path, options()).unwrap_or_else(|error| panic!("{error}: {:?}", error.detail()))
}

fn kind(error: SourceError) -> SourceErrorKind {
    *error.kind()
}

/// A database in rollback mode, closed.
fn database(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = off").unwrap();
    connection.execute_batch(sql).unwrap();
}

fn table(source: &Source, name: &str) -> Table {
    source.catalogue().unwrap().tables.into_iter().find(|table| table.name == name).unwrap()
}

/// The integers of a table's first column.
fn integers(source: &Source, name: &str) -> Vec<i64> {
    let table = table(source, name);
    let mut reader = source.rows(&table, &[0]).unwrap();
    let mut integers = Vec::new();
    while let Some(row) = reader.next().unwrap() {
        let Value::Integer(value) = row.value(0) else { panic!("{row:?}") };
        integers.push(value);
    }
    integers
}

/// Everything that an import does to a source.
fn use_fully(source: &Source) {
    let catalogue = source.catalogue().unwrap();
    for table in &catalogue.tables {
        assert_eq!(source.profile(table).unwrap().rows, source.count_rows(&table.name).unwrap());
    }
    source.integrity_check(10).unwrap();
    assert!(source.size_bytes() > 0);
    source.verify_unchanged().unwrap();
}

/// Name, bytes and time of every file of a folder.
fn contents(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let modified = entry.metadata().unwrap().modified().unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, (std::fs::read(entry.path()).unwrap(), modified))
        })
        .collect()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A process that has a database open and does what it is told.
struct Writer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Writer {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::writer_process", "--ignored", "--nocapture"])
            .env("WRITER_DATABASE", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, commands, answers }
    }

    /// SQL on one line, or `.hammer`, `.rest`; waits until it is done and returns the first value of its last
    /// row.
    fn run(&mut self, command: &str) -> String {
        let answer = self.ask(command);
        assert!(!answer.starts_with("error"), "{command}: {answer}");
        answer
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the writer died at {command}");
            if let Some((_, answer)) = line.split_once('@') {
                return answer.trim_end().to_owned();
            }
        }
    }

    /// As [`Writer::run`], for what must fail; returns the error.
    fn fail(&mut self, command: &str) -> String {
        let answer = self.ask(command);
        assert!(answer.starts_with("error"), "{command}: {answer}");
        answer
    }

    /// Ends without closing anything.
    fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes the database as an application does.
    fn close(mut self) {
        drop(self.commands);
        assert!(self.child.wait().unwrap().success());
    }
}

/// Not a test: the process behind [`Writer`].
#[test]
#[ignore = "run by other tests"]
fn writer_process() {
    let Some(path) = std::env::var_os("WRITER_DATABASE") else { return };
    let connection = Connection::open(&path).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("PRAGMA synchronous = off").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut hammer = None;
    for command in std::io::stdin().lines() {
        let command = command.unwrap();
        let answer = match command.as_str() {
            ".hammer" => {
                let (stop, path) = (Arc::clone(&stop), path.clone());
                hammer = Some(std::thread::spawn(move || write_until(&stop, Path::new(&path))));
                Ok("started".to_owned())
            }
            ".rest" => {
                stop.store(true, Ordering::Relaxed);
                Ok(hammer.take().unwrap().join().unwrap().to_string())
            }
            sql => last_value(&connection, sql),
        };
        let answer = answer.unwrap_or_else(|error| format!("error {error}"));
        let mut out = std::io::stdout().lock();
        writeln!(out, "@{answer}").unwrap();
        out.flush().unwrap();
    }
}

fn last_value(connection: &Connection, sql: &str) -> rusqlite::Result<String> {
    let mut answer = String::new();
    let mut batch = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = batch.next()? {
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            answer = format!("{:?}", row.get_ref(0)?);
        }
    }
    Ok(answer)
}

/// Changes every row of `t` and adds one, again and again, with checkpoints; returns how often.
fn write_until(stop: &AtomicBool, path: &Path) -> u64 {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("PRAGMA synchronous = off").unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let sql = "UPDATE t SET a = a + 1000; INSERT INTO t VALUES (-1, randomblob(3000));
                   DELETE FROM t WHERE rowid = 1 + abs(random()) % 50;
                   INSERT OR REPLACE INTO t(rowid, a, b) VALUES (1 + abs(random()) % 50, 5, randomblob(2000));";
        connection.execute_batch(sql).unwrap();
        if rounds % 5 == 4 {
            let mode = if rounds % 10 == 9 { "TRUNCATE" } else { "PASSIVE" };
            let _ = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        }
        rounds += 1;
    }
    rounds
}
