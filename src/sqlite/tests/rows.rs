//! Rows come out as SQLite stores them, in the table's own order.

use rusqlite::types::ValueRef;

use super::*;

/// Every storage class, sizes around SQLite's own borders (inline, overflow pages), and texts that are none.
fn fill_with_everything(connection: &Connection) {
    connection.execute_batch("CREATE TABLE t(a, b TEXT, c REAL, d INTEGER, e BLOB)").unwrap();
    let mut statement = connection.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)").unwrap();
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for i in 0..300_u64 {
        let length = [0, 1, 30, 500, 5000, 70_000][(random() % 6) as usize];
        let text: String =
            (0..length).map(|_| char::from_u32(32 + (random() % 700) as u32).unwrap()).collect();
        let blob: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        let mixed = match i % 5 {
            0 => rusqlite::types::Value::Null,
            1 => rusqlite::types::Value::Integer(i64::MIN + i as i64),
            2 => rusqlite::types::Value::Real(f64::from_bits(random() << 31 | random())),
            3 => rusqlite::types::Value::Text(text.clone()),
            _ => rusqlite::types::Value::Blob(blob.clone()),
        };
        statement.execute((mixed, text, random() as f64 / 7.0, random() as i64, blob)).unwrap();
    }
    connection
        .execute_batch(
            "INSERT INTO t VALUES (9e999, CAST(x'41ff42' AS TEXT), -9e999, 5, zeroblob(9));
             INSERT INTO t VALUES (CAST(x'410042' AS TEXT), '', 1, 9223372036854775807, x'');
             DELETE FROM t WHERE rowid % 7 = 0",
        )
        .unwrap();
}

#[test]
fn values_are_those_that_rusqlite_reads() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let (_guard, folder) = folder();
        let path = folder.join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&format!("PRAGMA encoding = '{encoding}'")).unwrap();
        fill_with_everything(&connection);
        let source = open(&path);
        let catalogue = source.catalogue().unwrap();
        assert_eq!(catalogue.encoding, encoding);
        let mut reader = source.rows(&catalogue.tables[0], &[4, 3, 2, 1, 0]).unwrap();
        let mut statement = connection.prepare("SELECT rowid, e, d, c, b, a FROM t ORDER BY rowid").unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while let Some(expected) = rows.next().unwrap() {
            let row = reader.next().unwrap().unwrap();
            assert_eq!(row.rowid(), Some(expected.get_unwrap(0)));
            assert_eq!(row.len(), 5);
            for i in 0..5 {
                let same = match (row.value(i), expected.get_ref_unwrap(i + 1)) {
                    (Value::Null, ValueRef::Null) => true,
                    (Value::Integer(a), ValueRef::Integer(b)) => a == b,
                    (Value::Real(a), ValueRef::Real(b)) => a.to_bits() == b.to_bits(),
                    (Value::Text(a), ValueRef::Text(b)) | (Value::Blob(a), ValueRef::Blob(b)) => a == b,
                    _ => false,
                };
                assert!(same, "{encoding}, row {count}, column {i}");
            }
            count += 1;
        }
        assert!(count > 200);
        assert!(reader.next().unwrap().is_none());
        assert!(reader.next().unwrap().is_none(), "begins again");
    }
}

#[test]
fn text_that_is_no_utf16_stays_no_text() {
    for (encoding, is_little) in [("UTF-16le", true), ("UTF-16be", false)] {
        let (_guard, folder) = folder();
        let path = folder.join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t(a)")).unwrap();
        let texts: [&[u16]; 5] =
            [&[0x61, 0xD83D, 0xDE00], &[0x61, 0xD800, 0x62], &[0x61, 0xD800], &[0xDE00, 0xD83D], &[0x131]];
        for text in texts {
            let hex: String = text
                .iter()
                .map(|unit| if is_little { unit.swap_bytes() } else { *unit })
                .map(|unit| format!("{unit:04x}"))
                .collect();
            connection.execute_batch(&format!("INSERT INTO t VALUES (CAST(x'{hex}' AS TEXT))")).unwrap();
        }
        let source = open(&path);
        let mut reader = source.rows(&table(&source, "t"), &[0]).unwrap();
        let mut read = Vec::new();
        while let Some(row) = reader.next().unwrap() {
            let Value::Text(text) = row.value(0) else { panic!("{:?}", row.value(0)) };
            read.push(text.to_vec());
        }
        let expected: [&[u8]; 5] = [
            "a😀".as_bytes(),
            b"a\xED\xA0\x80b",
            b"a\xED\xA0\x80",
            b"\xED\xB8\x80\xED\xA0\xBD",
            "ı".as_bytes(),
        ];
        assert_eq!(read, expected, "{encoding}");
    }
}

#[test]
fn the_order_is_the_tables_own() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a, b, wide TEXT, wider TEXT); CREATE INDEX i ON t(b);
         INSERT INTO t(a, b) VALUES (1, 9), (2, 8), (3, 7);
         CREATE TABLE w(b TEXT, a INT, PRIMARY KEY (b, a)) WITHOUT ROWID; CREATE INDEX j ON w(a);
         INSERT INTO w VALUES ('y', 1), ('x', 3), ('x', 2);
         CREATE TABLE c(k TEXT COLLATE nocase PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO c VALUES ('a', 1), ('B', 2);",
    );
    // Now with a collation that only the application has.
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(14).position(|bytes| bytes == b"COLLATE nocase").unwrap();
    std::fs::write(&path, [&bytes[..at + 8], b"turkce", &bytes[at + 14..]].concat()).unwrap();
    let source = open(&path);
    let read = |name: &str, columns: &[usize]| {
        let mut reader = source.rows(&table(&source, name), columns).unwrap();
        let mut seen = Vec::new();
        while let Some(row) = reader.next().unwrap() {
            seen.push(format!("{:?} {:?}", row.rowid(), row.value(0)));
        }
        seen
    };
    assert_eq!(read("t", &[1]), ["Some(1) Integer(9)", "Some(2) Integer(8)", "Some(3) Integer(7)"]);
    assert_eq!(read("w", &[1]), ["None Integer(2)", "None Integer(3)", "None Integer(1)"]);
    assert_eq!(read("c", &[1]), ["None Integer(1)", "None Integer(2)"]);
    assert!(source.integrity_check(10).unwrap().is_empty());
}

#[test]
fn the_rowid_is_found_behind_columns_of_its_names() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE a(ROWID, x); INSERT INTO a(_rowid_, rowid, x) VALUES (7, 'r', 'x');
         CREATE TABLE b(\"RowId\", _rowid_); INSERT INTO b(oid, rowid) VALUES (8, 'r');
         CREATE TABLE c(rowid, _rowid_, oid); INSERT INTO c VALUES (1, 2, 3);
         CREATE TABLE d(rowid, _rowid_, oid INTEGER PRIMARY KEY); INSERT INTO d VALUES (1, 2, 9);
         CREATE TABLE e(x, id INTEGER PRIMARY KEY); INSERT INTO e VALUES ('x', 10);",
    );
    let source = open(&path);
    for (name, columns, rowid, values) in [
        ("a", vec![0, 1], Some(7), 2),
        ("b", vec![0], Some(8), 1),
        ("c", vec![0, 1, 2], None, 3),
        ("c", vec![], None, 0),
        ("d", vec![0, 2], Some(9), 2),
        ("d", vec![0, 1], Some(9), 2),
        ("e", vec![0], Some(10), 1),
        ("e", vec![1], Some(10), 1),
        ("e", vec![], Some(10), 0),
    ] {
        let mut reader = source.rows(&table(&source, name), &columns).unwrap();
        let row = reader.next().unwrap().unwrap();
        assert_eq!((row.rowid(), row.len()), (rowid, values), "{name} {columns:?}");
    }
}

#[test]
fn a_filter_is_one_expression_over_the_table() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a, \"b c\"); INSERT INTO t VALUES (1, '{\"x\":1}'), (2, '{}'), (3, 'no')",
    );
    let source = open(&path);
    let table = table(&source, "t");
    let count = |filter: &str| {
        let mut reader = source.rows_where(&table, &[0], Some(filter))?;
        let mut count = 0;
        while reader.next()?.is_some() {
            count += 1;
        }
        Ok::<_, SourceError>(count)
    };
    assert_eq!(count("a >= 2").unwrap(), 2);
    assert_eq!(count("a = 1 OR a = 3 -- the odd ones").unwrap(), 2);
    assert_eq!(count("a < 3 AND \"b c\" ->> 'x' = 1").unwrap(), 1);
    assert_eq!(count("a IN (SELECT max(a) FROM t)").unwrap(), 1);
    assert_eq!(count("date('2024-01-01', '+1 day') < 'x' AND lower('A') = 'a'").unwrap(), 3);
    for bad in [
        "1) LIMIT (1",
        "a = ",
        "",
        "nothing = 1",
        "\"nothing\" = 1",
        "a; DELETE FROM t",
        "load_extension('x')",
        "a = ?",
        "json('no')",
        "\"b c\" ->> 'x' = 1", // fails at the third row
        "EXISTS (SELECT 1 FROM sqlite_dbpage)",
    ] {
        let error = count(bad).unwrap_err();
        assert_eq!(*error.kind(), SourceErrorKind::InvalidFilter, "{bad}: {error} {:?}", error.detail());
    }
}

#[test]
fn two_thousand_columns_can_be_read() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let columns: Vec<String> = (0..2000).map(|i| format!("\"column number {i}\" TEXT DEFAULT 'x'")).collect();
    database(&path, &format!("CREATE TABLE t({}); INSERT INTO t DEFAULT VALUES;", columns.join(", ")));
    let source = open(&path);
    let table = table(&source, "t");
    assert_eq!(source.profile(&table).unwrap().columns[1999].texts, 1);
    let mut reader = source.rows(&table, &(0..1999).collect::<Vec<_>>()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rowid(), Some(1));
    assert_eq!(kind(source.rows(&table, &[2000]).map(drop).unwrap_err()), SourceErrorKind::InvalidName);
}

#[test]
fn the_profile_counts_what_is_there() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a); INSERT INTO t VALUES (NULL), (5), (-3), (2.5), ('é€'), (CAST(x'ffff' AS TEXT)),
         (CAST(x'610062' AS TEXT)), (x'00');",
    );
    let source = open(&path);
    let profile = source.profile(&table(&source, "t")).unwrap();
    assert_eq!(profile.rows, 8);
    let expected = aliaport_plan::profile::ColumnProfile {
        nulls: 1,
        integers: 2,
        reals: 1,
        texts: 3,
        blobs: 1,
        integer_range: Some((-3, 5)),
        longest_text: 3,
        invalid_utf8: 1,
        nul_characters: 1,
    };
    assert_eq!(profile.columns, [expected]);
}

/// The import may leave such a column out; the profile must not stop because of it.
#[test]
fn a_generated_column_that_cannot_be_computed_stops_nobody_else() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a, g AS (lower(a)), s AS (a || 'x') STORED); INSERT INTO t(a) VALUES ('A')",
    );
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|bytes| bytes == b"lower").unwrap();
    std::fs::write(&path, [&bytes[..at], b"ownfn", &bytes[at + 5..]].concat()).unwrap();
    let source = open(&path);
    let table = table(&source, "t");
    let error = source.rows(&table, &[0, 1]).map(drop).unwrap_err();
    assert!(error.detail().unwrap().contains("ownfn"), "{error}");
    let profile = source.profile(&table).unwrap();
    let texts: Vec<u64> = profile.columns.iter().map(|column| column.texts).collect();
    assert_eq!((profile.rows, texts), (1, vec![1, 0, 1]));
}

#[test]
fn any_path_can_be_opened() {
    use std::os::unix::ffi::OsStrExt;
    let (_guard, folder) = folder();
    for name in [
        b"a b?c#d%41&e=f.db".as_slice(),
        b"file:x?mode=memory",
        b":memory:",
        b"\xff\xfe",
        "é'\"\n".as_bytes(),
    ] {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        let plain = folder.join("plain");
        database(&plain, "PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (42)");
        std::fs::rename(plain, &path).unwrap();
        assert_eq!(integers(&open(&path), "t"), [42]);
    }
    assert_eq!(contents(&folder).len(), 5);
}

/// So it is when PostgreSQL ends a backend: nothing on the stack is dropped, but the source is, by its memory
/// context.
#[test]
fn a_source_closes_over_a_reader_that_was_never_dropped() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
    let source = open(&path);
    let t = table(&source, "t");
    let mut reader = source.rows(&t, &[0]).unwrap();
    reader.next().unwrap();
    std::mem::forget(reader);
    drop(source);
    // The lock is gone with it.
    let mut writer = Writer::start(&path);
    writer.run("PRAGMA busy_timeout = 0; DELETE FROM t;");
}

#[test]
fn a_source_can_be_used_in_another_thread() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
    let source = open(&path);
    let source = std::thread::spawn(move || {
        assert_eq!(integers(&source, "t"), [1, 2]);
        source
    })
    .join()
    .unwrap();
    assert_eq!(integers(&source, "t"), [1, 2]);
}
