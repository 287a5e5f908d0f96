//! The source is never touched: same files, same bytes, same times, whatever state it is found in.

use super::*;

const FILL: &str = "CREATE TABLE t(a, b);
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO t SELECT i, randomblob(500) FROM n;";

/// Uses the source and compares the folder before, during and after.
fn assert_untouched(path: &Path, rows: usize) {
    let before = contents(path.parent().unwrap());
    let source = open(path);
    assert_eq!(integers(&source, "t").len(), rows);
    use_fully(&source);
    assert!(before == contents(path.parent().unwrap()), "changed while it was open");
    drop(source);
    assert!(before == contents(path.parent().unwrap()), "changed by closing it");
}

#[test]
fn rollback_mode() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    assert_untouched(&path, 200);
    assert_eq!(contents(&folder).len(), 1);
}

#[test]
fn persistent_journal() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, &format!("PRAGMA journal_mode = persist; {FILL}"));
    assert!(beside(&path, "-journal").exists());
    assert_untouched(&path, 200);
}

#[test]
fn wal_mode_closed_cleanly() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, &format!("PRAGMA journal_mode = wal; {FILL}"));
    assert_eq!(contents(&folder).len(), 1);
    assert_untouched(&path, 200);
    assert_eq!(contents(&folder).len(), 1);
}

/// As a copy of the two files of a running application.
#[test]
fn wal_without_shm() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let original = folder.join("original");
    let mut writer = Writer::start(&original);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
    writer.run(&FILL.replace('\n', " "));
    std::fs::copy(&original, &path).unwrap();
    std::fs::copy(beside(&original, "-wal"), beside(&path, "-wal")).unwrap();
    writer.crash();
    for name in ["original", "original-wal", "original-shm"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    // All rows are in the -wal.
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    assert_untouched(&path, 200);
    assert_eq!(contents(&folder).len(), 2);
}

#[test]
fn stale_shm() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
    writer.run(&FILL.replace('\n', " "));
    writer.crash();
    assert_eq!(contents(&folder).len(), 3);
    assert_untouched(&path, 200);
    // Also with nothing but the -shm left.
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    std::fs::remove_file(&path).unwrap();
    database(&folder.join("b.db"), &format!("PRAGMA journal_mode = wal; {FILL}"));
    std::fs::rename(folder.join("b.db"), &path).unwrap();
    assert_eq!(contents(&folder).len(), 2);
    assert_untouched(&path, 200);
}

#[test]
fn live_writer_that_rests() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
    writer.run(&FILL.replace('\n', " "));
    assert_untouched(&path, 200);
    // Everything checkpointed, and the -wal started anew.
    writer.run("PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM t WHERE a = 1;");
    assert_untouched(&path, 199);
    writer.run("PRAGMA wal_checkpoint(PASSIVE); DELETE FROM t WHERE a = 2;");
    assert_untouched(&path, 198);
    writer.close();
    assert_untouched(&path, 198);
}

#[test]
fn a_statement_that_would_write_is_refused() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, FILL);
    let before = contents(&folder);
    let source = open(&path);
    for sql in [
        "DELETE FROM t",
        "CREATE TABLE u(a)",
        "CREATE TEMP TABLE u(a)",
        "ATTACH 'x' AS x",
        "VACUUM",
        "PRAGMA journal_mode = wal",
        "PRAGMA user_version = 3",
        "PRAGMA query_only = 0",
        "COMMIT",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_user_version",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
    ] {
        let result =
            crate::statement::Statement::prepare(&source, sql).and_then(|mut statement| statement.step());
        assert!(result.is_err(), "{sql}");
    }
    // More than a sort can hold in the page cache: no temporary file either.
    let table = table(&source, "t");
    let filter = "a IN (SELECT x.a FROM t AS x, t AS y ORDER BY x.b || y.b LIMIT 5)";
    let mut reader = source.rows_where(&table, &[0], Some(filter)).unwrap();
    while reader.next().unwrap().is_some() {}
    assert!(before == contents(&folder));
}
