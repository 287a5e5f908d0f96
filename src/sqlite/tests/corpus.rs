//! Real databases, where a folder with some is at hand: `CORPUS=folder cargo test -- --ignored every_file`.

use std::time::Instant;

use rusqlite::types::ValueRef;

use super::*;

#[test]
#[ignore = "needs a folder with databases in CORPUS"]
fn every_file_of_a_folder_is_read_and_left_alone() {
    let Some(folder) = std::env::var_os("CORPUS").map(PathBuf::from) else { return };
    let folder = folder.canonicalize().unwrap();
    let before = contents(&folder);
    let (mut files, mut tables, mut rows, mut failures) = (0, 0, 0, Vec::new());
    for name in before.keys().filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")) {
        files += 1;
        let read = || -> Result<(usize, u64), SourceError> {
            let source = Source::open(&folder.join(name), options())?;
            let catalogue = source.catalogue()?;
            let mut rows = 0;
            for table in &catalogue.tables {
                let profile = source.profile(table)?;
                assert_eq!(profile.rows, source.count_rows(&table.name)?, "{name} {}", table.name);
                assert_eq!(profile.columns.len(), table.columns.len());
                rows += profile.rows;
                let columns: Vec<usize> = (0..table.columns.len()).collect();
                let path = folder.join(name);
                let (direct, went_on) = super::pages::read(&path, table, &columns, true);
                assert_eq!(
                    (&direct, profile.rows),
                    (
                        &super::pages::read(&path, table, &columns, false).0,
                        direct.as_ref().unwrap().len() as u64
                    )
                );
                if went_on {
                    eprintln!("{name} {}: through SQLite", table.name);
                }
            }
            for message in source.integrity_check(20)? {
                eprintln!("{name}: {message}");
            }
            source.verify_unchanged()?;
            Ok((catalogue.tables.len(), rows))
        };
        match read() {
            Ok((file_tables, file_rows)) => {
                eprintln!("{name}: {file_tables} tables, {file_rows} rows");
                tables += file_tables;
                rows += file_rows;
            }
            Err(error) => failures.push(format!("{name}: {error}: {:?}", error.detail())),
        }
    }
    assert!(before == contents(&folder), "a file was touched");
    eprintln!("{files} files, {tables} tables, {rows} rows");
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
#[ignore = "measures: run in release mode"]
fn scan_speed() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let columns = "id INTEGER PRIMARY KEY, a INT, b INT, c INT, d BIGINT, e REAL, f REAL, g NUMERIC(10,2), h TEXT, i TEXT,
        j VARCHAR(40), k TEXT, l DATETIME, m DATETIME, n DATE, o BOOLEAN, p BOOLEAN, q JSON, r BLOB, s TEXT";
    database(
        &path,
        &format!(
            "CREATE TABLE t({columns});
             WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO t SELECT i, i % 100, i * 7, -i, i * 1000003, i / 3.0, i * 1e10, i / 100.0, 'name ' || i, 'city',
                 'x' || i || '@example.org', 'some longer text that is forty bytes ...' || i,
                 '2024-01-02 03:04:05.678901', '2024-01-02T03:04:05Z', '2024-01-02', i % 2, i % 3 = 0,
                 '{{\"a\":' || i || '}}', x'00112233445566778899', NULL FROM n;"
        ),
    );
    let source = open(&path);
    let table = table(&source, "t");
    let all: Vec<usize> = (0..20).collect();
    let plain = Connection::open(&path).unwrap();
    for _ in 0..3 {
        let timed = |what: &str, work: &mut dyn FnMut() -> usize| {
            let start = Instant::now();
            let result = work();
            eprintln!("{what}: {:?} ({result})", start.elapsed());
        };
        timed("rusqlite get_ref", &mut || {
            let mut statement = plain.prepare("SELECT * FROM t").unwrap();
            let mut rows = statement.query([]).unwrap();
            let mut bytes = 0;
            while let Some(row) = rows.next().unwrap() {
                for i in 0..20 {
                    if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref_unwrap(i) {
                        bytes += text.len();
                    }
                }
            }
            bytes
        });
        timed("rows", &mut || {
            let mut reader = source.rows(&table, &all).unwrap();
            let mut bytes = 0;
            while let Some(row) = reader.next().unwrap() {
                for i in 0..20 {
                    if let Value::Text(text) | Value::Blob(text) = row.value(i) {
                        bytes += text.len();
                    }
                }
            }
            bytes
        });
        timed("profile", &mut || source.profile(&table).unwrap().columns.len());
        timed("count_rows", &mut || source.count_rows("t").unwrap() as usize);
    }
}
