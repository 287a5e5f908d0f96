//! Each thing that is wrong with a file or in its way has its own kind, and no test leaves a file beside it.

use std::sync::Mutex;
use std::time::Instant;

use super::*;

const FILL: &str = "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
    INSERT INTO t SELECT i, randomblob(100) FROM n;";

fn open_error(path: &Path) -> SourceError {
    match Source::open(path, OpenOptions { busy_timeout: Duration::from_millis(200), ..options() }) {
        Ok(_) => panic!("{} can be opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn files_that_are_no_databases() {
    let (_guard, folder) = folder();
    let path = folder.join("f");
    let random: Vec<u8> = (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (content, expected) in [
        (b"".as_slice(), SourceErrorKind::Empty),
        (b"x", SourceErrorKind::NotADatabase),
        (b"id,name\n1,a\n", SourceErrorKind::NotADatabase),
        (&random, SourceErrorKind::NotADatabase),
        (&[0; 4096], SourceErrorKind::NotADatabase),
        (b"SQLite format 3\0", SourceErrorKind::NotADatabase),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = open_error(&path);
        assert_eq!(*error.kind(), expected, "{error} {:?}", error.detail());
        assert_eq!(contents(&folder).len(), 1);
    }
    assert_eq!(open_error(&path).to_string(), format!("\"{}\" is not a SQLite database", path.display()));
}

#[test]
fn a_file_that_was_cut_is_damaged() {
    let (_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, FILL);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(*open_error(&path).kind(), SourceErrorKind::Damaged);
    // The pages are there, but not what they should hold.
    let mut broken = whole.clone();
    broken[8192..].fill(0x5a);
    std::fs::write(&path, &broken).unwrap();
    let source = open(&path);
    assert!(!source.integrity_check(10).unwrap().is_empty());
    let table = table(&source, "t");
    assert_eq!(kind(source.profile(&table).unwrap_err()), SourceErrorKind::Damaged);
    drop(source);
    // A statement in the schema that SQLite cannot read.
    let at = whole.windows(12).position(|bytes| bytes == b"CREATE TABLE").unwrap();
    let mut broken = whole;
    broken[at] = b'X';
    std::fs::write(&path, &broken).unwrap();
    assert_eq!(*open_error(&path).kind(), SourceErrorKind::Damaged);
}

/// Every byte of a file can be wrong: an error, or other rows, but no panic and no endless loop.
#[test]
fn damaged_files_do_no_harm() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let (_guard, folder) = folder();
    let original = folder.join("original");
    database(
        &original,
        "PRAGMA page_size = 1024; PRAGMA foreign_keys = off; CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b REFERENCES w, g AS (a || b));
         CREATE TABLE w(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID; CREATE INDEX i ON t(lower(a)) WHERE b > 3;
         CREATE VIEW v AS SELECT * FROM t; CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('some words');
         WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60)
         INSERT INTO t(a, b) SELECT 'text ' || i, i / 2.0 FROM n;
         INSERT INTO w SELECT a, zeroblob(id * 100) FROM t;",
    );
    let whole = std::fs::read(&original).unwrap();
    let path = folder.join("damaged");
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut kinds = std::collections::HashMap::new();
    for round in 0..rounds {
        let mut bytes = whole.clone();
        for _ in 0..=random(8) {
            // Half of the damage where structure is dense: the header, the schema, the heads of pages.
            let at = match random(4) {
                0 => random(100),
                1 => random(3000),
                2 => random(bytes.len() / 1024) * 1024 + random(40),
                _ => random(bytes.len()),
            };
            bytes[at] = match random(3) {
                0 => 0xff,
                1 => 0,
                _ => random(256) as u8,
            };
        }
        if random(10) == 0 {
            bytes.truncate(random(whole.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        let read = || -> Result<(), SourceError> {
            let source = Source::open(&path, OpenOptions { busy_timeout: Duration::ZERO, ..options() })?;
            let integrity = source.integrity_check(20).map(drop);
            let catalogue = source.catalogue()?;
            for table in &catalogue.tables {
                source.profile(table)?;
                source.count_rows(&table.name)?;
            }
            integrity
        };
        let kind = read().map_or_else(|error| Some(*error.kind()), |()| None);
        assert_ne!(kind, Some(SourceErrorKind::Unexpected), "round {round}");
        *kinds.entry(kind).or_insert(0) += 1;
        assert!(start.elapsed() < Duration::from_secs(5), "round {round}");
    }
    assert_eq!(contents(&folder).len(), 2);
    assert!(kinds.len() >= 3, "{kinds:?}");
}

#[test]
fn paths_that_are_no_files() {
    let (_guard, folder) = folder();
    let missing = open_error(&folder.join("missing"));
    assert_eq!(*missing.kind(), SourceErrorKind::CannotOpen);
    assert!(missing.to_string().ends_with("missing\": No such file or directory"), "{missing}");
    assert_eq!(*open_error(&folder).kind(), SourceErrorKind::CannotOpen);
    assert_eq!(*open_error(Path::new("relative.db")).kind(), SourceErrorKind::CannotOpen);
    let target = folder.join("target");
    database(&target, FILL);
    let link = folder.join("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(*open_error(&link).kind(), SourceErrorKind::CannotOpen);
    // Nor through a folder that is a link.
    let sub = folder.join("sub");
    std::os::unix::fs::symlink(&folder, &sub).unwrap();
    assert_eq!(*open_error(&sub.join("target")).kind(), SourceErrorKind::CannotOpen);
    // A FIFO beside a database would wait for a writer for ever.
    for suffix in ["-wal", "-shm", "-journal"] {
        let fifo = beside(&target, suffix);
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let start = Instant::now();
        let _ = Source::open(&target, OpenOptions { busy_timeout: Duration::ZERO, ..options() });
        assert!(start.elapsed() < Duration::from_secs(2));
        std::fs::remove_file(fifo).unwrap();
    }
}

#[test]
fn permission_of_the_operating_system() {
    use std::os::unix::fs::PermissionsExt;
    let (_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, FILL);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        return; // root may read everything
    }
    assert_eq!(*open_error(&path).kind(), SourceErrorKind::PermissionDenied);
}

#[test]
fn a_locked_file_times_out() {
    let (_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, FILL);
    let mut writer = Writer::start(&path);
    writer.run("BEGIN EXCLUSIVE");
    let start = Instant::now();
    let error = open_error(&path);
    assert_eq!(*error.kind(), SourceErrorKind::Locked, "{:?}", error.detail());
    assert!((200..2000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    writer.run("UPDATE t SET a = a + 1; COMMIT");
    assert_eq!(integers(&open(&path), "t")[0], 2);
}

#[test]
fn a_hot_journal_is_named_and_left_alone() {
    let (_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, FILL);
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA cache_size = 5; BEGIN; UPDATE t SET b = randomblob(100);");
    // The writer is at work: its journal is not hot, but the pages it spilled need an exclusive lock.
    assert_eq!(*open_error(&path).kind(), SourceErrorKind::Locked);
    writer.crash();
    let before = contents(&folder);
    assert_eq!(before.len(), 2);
    let error = open_error(&path);
    assert_eq!(*error.kind(), SourceErrorKind::HotJournal, "{:?}", error.detail());
    assert!(before == contents(&folder));
}

/// What the callbacks of the tests below read; one at a time.
static CANCELLED: AtomicBool = AtomicBool::new(false);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn cancel_soon() -> (std::thread::JoinHandle<Instant>, OpenOptions) {
    CANCELLED.store(false, Ordering::Relaxed);
    let at = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(100));
        CANCELLED.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let is_cancelled = || CANCELLED.load(Ordering::Relaxed);
    (at, OpenOptions { busy_timeout: Duration::from_secs(30), is_cancelled })
}

#[test]
fn a_cancel_ends_every_long_read() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (_folder_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, &FILL.replace("2000", "300000"));
    type Read = fn(&Source, &Table) -> Result<(), SourceError>;
    let reads: [(&str, Read); 5] = [
        ("rows", |source, table| {
            let mut reader = source.rows(table, &[0, 1])?;
            while reader.next()?.is_some() {}
            Ok(())
        }),
        ("rows_where", |source, table| {
            let mut reader = source.rows_where(table, &[0], Some("b = 'nothing'"))?;
            while reader.next()?.is_some() {}
            Ok(())
        }),
        ("profile", |source, table| source.profile(table).map(drop)),
        ("count", |source, table| source.count_rows(&table.name).map(drop)),
        ("integrity_check", |source, _| source.integrity_check(5).map(drop)),
    ];
    for (name, read) in reads {
        // The best of three: the machine may be busy with something else.
        let late = (0..3).map(|_| {
            let (at, options) = cancel_soon();
            let source = Source::open(&path, options).unwrap();
            let table = table(&source, "t");
            let start = Instant::now();
            let error = loop {
                if let Err(error) = read(&source, &table) {
                    break error;
                }
                assert!(start.elapsed() < Duration::from_secs(20), "{name} does not end");
            };
            let late = at.join().unwrap().elapsed();
            assert_eq!(*error.kind(), SourceErrorKind::Interrupted, "{name}: {error}");
            // The source can still be used when the flag is down again.
            CANCELLED.store(false, Ordering::Relaxed);
            assert_eq!(source.count_rows("t").unwrap(), 300_000);
            late
        });
        let late = late.min().unwrap();
        assert!(late < Duration::from_millis(100), "{name}: {late:?}");
    }
}

#[test]
fn a_cancel_ends_the_wait_for_a_lock() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (_folder_guard, folder) = folder();
    let path = folder.join("f");
    database(&path, FILL);
    let mut writer = Writer::start(&path);
    writer.run("BEGIN EXCLUSIVE");
    let (at, options) = cancel_soon();
    let error = Source::open(&path, options).map(drop).unwrap_err();
    let late = at.join().unwrap().elapsed();
    assert_eq!(*error.kind(), SourceErrorKind::Interrupted);
    assert!(late < Duration::from_millis(500), "{late:?}");
}
