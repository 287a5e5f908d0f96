//! What is read is one moment of the database, or an error says that it is not.

use super::*;

const FILL: &str = "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
    INSERT INTO t SELECT i, randomblob(2000) FROM n;";

fn expected() -> Vec<i64> {
    (1..=500).collect()
}

#[test]
fn a_busy_writer_changes_nothing_in_the_snapshot() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal;");
    writer.run(FILL);
    let source = open(&path);
    writer.run(".hammer");
    for _ in 0..20 {
        assert_eq!(integers(&source, "t"), expected());
        std::thread::sleep(Duration::from_millis(20));
    }
    source.verify_unchanged().unwrap();
    // Snapshots taken in the middle of it are whole too: every row was changed by the same number of rounds.
    for _ in 0..50 {
        let source = open(&path);
        let first = integers(&source, "t");
        assert_eq!(first, integers(&source, "t"));
        assert!(source.integrity_check(5).unwrap().is_empty());
        source.verify_unchanged().unwrap();
    }
    let rounds: u64 = writer.run(".rest").parse().unwrap();
    assert!(rounds > 5, "{rounds}");
    assert_eq!(writer.run("PRAGMA integrity_check"), "Text([111, 107])");
    drop(source);
    assert!(writer.run("PRAGMA wal_checkpoint(TRUNCATE)").contains("Integer(0)"), "the reader left a lock");
}

#[test]
fn a_writer_that_arrives_unseen_is_noticed() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, &format!("PRAGMA journal_mode = wal; {FILL}"));
    let source = open(&path);
    let before = source.fingerprint();
    let mut writer = Writer::start(&path);
    // As long as all is in the -wal, the snapshot is whole.
    writer.run("PRAGMA wal_autocheckpoint = 0; UPDATE t SET a = a + 1000;");
    assert_eq!(integers(&source, "t"), expected());
    source.verify_unchanged().unwrap();
    writer.run("PRAGMA wal_checkpoint(PASSIVE);");
    assert_eq!(kind(source.verify_unchanged().unwrap_err()), SourceErrorKind::ChangedDuringRead);
    writer.close();
    let source = open(&path);
    assert_eq!(integers(&source, "t")[0], 1001);
    assert_ne!(before, source.fingerprint());
}

/// With a -shm of a crashed writer the reader holds a lock in it, which a new writer respects.
#[test]
fn a_writer_that_arrives_at_a_stale_shm_cannot_checkpoint() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
    writer.run(FILL);
    writer.crash();
    let source = open(&path);
    let mut writer = Writer::start(&path);
    writer.run("UPDATE t SET a = a + 1000;");
    // The text of the answer is SQLite's busy flag: the checkpoint did not finish.
    writer.run("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE);");
    writer.run("UPDATE t SET a = a + 1000;");
    assert_eq!(integers(&source, "t"), expected());
    source.verify_unchanged().unwrap();
    drop(source);
    assert_eq!(integers(&open(&path), "t")[0], 2001);
    writer.close();
}

#[test]
fn a_writer_in_rollback_mode_waits_for_the_reader() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    let source = open(&path);
    // Closing another connection of this process, or looking at its times, must not drop the lock.
    drop(open(&path));
    source.verify_unchanged().unwrap();
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA busy_timeout = 0; BEGIN; UPDATE t SET a = a + 1000;");
    assert!(writer.fail("COMMIT").contains("locked"));
    assert_eq!(integers(&source, "t"), expected());
    drop(source);
    writer.run("COMMIT");
    assert_eq!(integers(&open(&path), "t")[0], 1001);
}

#[test]
fn equal_fingerprints_mean_equal_content() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    std::thread::sleep(Duration::from_millis(30));
    let first = open(&path).fingerprint();
    assert_eq!(first, open(&path).fingerprint());
    database(&path, "UPDATE t SET a = 7 WHERE rowid = 3");
    std::thread::sleep(Duration::from_millis(30));
    let second = open(&path).fingerprint();
    assert_ne!(first, second);
    // In a -wal that does not grow any more a commit shows in its time.
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; UPDATE t SET a = 8;");
    writer.run("PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET a = 9 WHERE rowid = 1;");
    std::thread::sleep(Duration::from_millis(30));
    let third = open(&path).fingerprint();
    writer.run("UPDATE t SET a = 10 WHERE rowid = 1;");
    std::thread::sleep(Duration::from_millis(30));
    assert_ne!(third, open(&path).fingerprint());
}
