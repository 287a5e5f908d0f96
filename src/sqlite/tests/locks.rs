//! Locks of this process that are not ours stay, and ours hold against it. A raw POSIX lock stands in for
//! another SQLite in the process.
#![allow(unsafe_code)] // takes the lock

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::*;

const FILL: &str = "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2), (3, 4);";
/// Where SQLite has its shared locks.
const SHARED: (i64, i64) = (0x4000_0002, 510);

/// Takes a lock as another SQLite does: on a descriptor of its own, for the whole process.
fn posix_lock(path: &Path, kind: i32, (start, length): (i64, i64)) -> File {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: plain data, and a descriptor that is open.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = kind as libc::c_short;
        lock.l_start = start;
        lock.l_len = length;
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock), 0);
    }
    file
}

/// Whether this process has a POSIX lock there. The kernel answers for this moment; its list in /proc is read
/// in pieces and may leave out a lock while others come and go.
fn has_posix_lock(file: &File, (start, length): (i64, i64)) -> bool {
    // SAFETY: plain data, and a descriptor that is open.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        lock.l_start = start;
        lock.l_len = length;
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock), 0);
        i32::from(lock.l_type) != libc::F_UNLCK && u32::try_from(lock.l_pid) == Ok(std::process::id())
    }
}

fn descriptors_of(path: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|e| std::fs::read_link(e.unwrap().path()).ok());
    links.filter(|link| link == path).count()
}

#[test]
fn another_sqlite_of_the_process_keeps_its_locks() {
    for mode in ["delete", "wal"] {
        let (_guard, folder) = folder();
        let path = folder.join("a.db");
        let mut writer = Writer::start(&path);
        writer.run(&format!("PRAGMA journal_mode = {mode}; {FILL}"));
        let locked = if mode == "wal" { beside(&path, "-shm") } else { path.clone() };
        let range = if mode == "wal" { (123, 1) } else { SHARED };
        let file = posix_lock(&locked, libc::F_RDLCK, range);
        for _ in 0..20 {
            let source = open(&path);
            use_fully(&source);
            drop(source);
            assert!(has_posix_lock(&file, range), "{mode}: the lock is gone");
        }
        // Nor was there a descriptor for every one of them.
        assert!(descriptors_of(&locked) <= 2, "{mode}: {}", descriptors_of(&locked));
        if mode == "delete" {
            writer.run("PRAGMA busy_timeout = 0; BEGIN; UPDATE t SET a = a + 1000;");
            assert!(writer.fail("COMMIT").contains("locked"));
            writer.run("ROLLBACK");
        }
        // When the other one is through, nothing is kept for long.
        drop(file);
        drop(open(&path));
        writer.close();
    }
}

#[test]
fn ours_holds_against_another_sqlite_of_the_process() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    let source = open(&path);
    // Closing a descriptor gives back every POSIX lock of the process.
    drop(File::open(&path).unwrap());
    drop(Connection::open(&path).unwrap().query_row("SELECT a FROM t", [], |row| row.get::<_, i64>(0)));
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA busy_timeout = 0; BEGIN; UPDATE t SET a = a + 1000;");
    assert!(writer.fail("COMMIT").contains("locked"));
    writer.run("ROLLBACK");
    // Nor can one of the process itself write.
    let own = Connection::open(&path).unwrap();
    own.busy_timeout(Duration::ZERO).unwrap();
    assert!(own.execute_batch("UPDATE t SET a = a + 1000").unwrap_err().to_string().contains("locked"));
    assert_eq!(integers(&source, "t"), [1, 3]);
    drop(source);
    own.execute_batch("UPDATE t SET a = a + 1000").unwrap();
}

#[test]
fn a_writer_of_the_process_itself_is_not_waited_for() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    let own = Connection::open(&path).unwrap();
    own.execute_batch("BEGIN EXCLUSIVE; UPDATE t SET a = a + 1000").unwrap();
    let start = Instant::now();
    let error = Source::open(&path, OpenOptions { busy_timeout: Duration::from_secs(60), ..options() })
        .err()
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(*error.kind(), SourceErrorKind::Locked);
    assert!(error.is_held_by_this_process(), "{error} {:?}", error.detail());
    own.execute_batch("COMMIT").unwrap();
    assert_eq!(integers(&open(&path), "t"), [1001, 1003]);
    // Another process is named.
    let mut writer = Writer::start(&path);
    writer.run("BEGIN EXCLUSIVE");
    let error = Source::open(&path, OpenOptions { busy_timeout: Duration::ZERO, ..options() }).err().unwrap();
    assert!(
        error.detail().unwrap().contains(&format!("process {}.", writer.child.id())),
        "{:?}",
        error.detail()
    );
}
