//! Equal contents have equal digests, whatever the files look like; any commit changes it.

use std::io::{Seek, SeekFrom, Write};

use super::*;

const FILL: &str = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 700) \
    INSERT INTO t SELECT i, zeroblob(2000) FROM n;";

fn content(path: &Path) -> String {
    open(path).content().unwrap().unwrap()
}

#[test]
fn it_follows_the_snapshot_and_not_the_files() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;");
    writer.run(FILL);
    let before = content(&path);
    let source = open(&path);
    // A commit changes it for those who come later, and only for them.
    writer.run("UPDATE t SET b = 5 WHERE a = 600;");
    assert_eq!(source.content().unwrap().unwrap(), before);
    writer.run("PRAGMA wal_checkpoint(PASSIVE);");
    assert_eq!(source.content().unwrap().unwrap(), before);
    assert_eq!(integers(&source, "t").len(), 700);
    drop(source);
    let after = content(&path);
    assert_ne!(before, after);
    // Where the pages lie makes no difference.
    writer.run("PRAGMA wal_checkpoint(TRUNCATE);");
    assert_eq!(content(&path), after);
    writer.run("UPDATE t SET b = 6 WHERE a = 600;");
    assert_ne!(content(&path), after);
    writer.run("UPDATE t SET b = 5 WHERE a = 600;");
    assert_eq!(content(&path), after);
    writer.close();
    assert_eq!(content(&path), after);
}

#[test]
fn every_page_and_its_place_count() {
    for page_size in [512, 4096, 65536] {
        let (_guard, folder) = folder();
        let path = folder.join("a.db");
        database(&path, &format!("PRAGMA page_size = {page_size}; {FILL}"));
        let before = content(&path);
        assert!(before.contains(&format!("x{page_size}:")), "{before}");
        let size = std::fs::metadata(&path).unwrap().len();
        let mut bytes = std::fs::read(&path).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut put = |at: u64, byte: u8| {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        // The change counter says nothing, the user version does.
        put(27, 99);
        put(95, 99);
        assert_eq!(content(&path), before);
        for at in [63, page_size * 2 + 300, page_size * 3 - 1, size / 2, size - 1] {
            let was = bytes[usize::try_from(at).unwrap()];
            put(at, was ^ 1);
            assert_ne!(content(&path), before, "byte {at}");
            put(at, was);
            assert_eq!(content(&path), before, "byte {at}");
        }
        // Two pages that change places.
        let at = |page: u64| usize::try_from(page * page_size).unwrap();
        let (left, right) = bytes.split_at_mut(at(7));
        left[at(6)..].swap_with_slice(&mut right[..at(1)]);
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(content(&path), before);
    }
}
