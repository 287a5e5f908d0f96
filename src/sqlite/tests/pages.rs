//! A scan of the file's pages gives what SQLite gives: over databases of every shape, and over damaged ones.

use aliaport_plan::rows::Rows;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A value that owns its bytes; REAL by its bits, as -0.0 and 0.0 are two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    Null,
    Integer(i64),
    Real(u64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Owned::Null,
            Value::Integer(v) => Owned::Integer(v),
            Value::Real(v) => Owned::Real(v.to_bits()),
            Value::Text(bytes) => Owned::Text(bytes.to_vec()),
            Value::Blob(bytes) => Owned::Blob(bytes.to_vec()),
        }
    }
}

/// Rowid and values of each row, or the kind of the error; whether SQLite had to go on somewhere.
pub(super) type Read = (Result<Vec<(Option<i64>, Vec<Owned>)>, SourceErrorKind>, bool);

pub(super) fn read(path: &Path, table: &Table, columns: &[usize], is_direct: bool) -> Read {
    let mut source = open(path);
    let mut reader = source.rows_exclusive(table, columns, None).unwrap();
    if !is_direct {
        reader = reader.through_sqlite();
    }
    let (mut found, mut rows) = (Vec::new(), Rows::default());
    loop {
        rows.restart(found.len() as u64 + 1);
        let is_last = match reader.fill(&mut rows, 10_000) {
            Ok(is_last) => is_last,
            Err(error) => return (Err(kind(error)), false),
        };
        for row in rows.iter() {
            found.push((row.rowid(), (0..row.len()).map(|i| Owned::from(row.value(i))).collect()));
        }
        if is_last {
            return (Ok(found), !reader.reads_pages());
        }
    }
}

/// Some rows of a table `t (a, b, ...)`.
#[derive(Clone, Debug)]
struct Made {
    page_size: i64,
    reserved: u8,
    auto_vacuum: i64,
    types: Vec<&'static str>,
    rows: Vec<(i64, Vec<rusqlite::types::Value>)>,
    /// A column that comes later, and its default.
    added: Option<&'static str>,
}

fn made() -> impl Strategy<Value = Made> {
    use rusqlite::types::Value as Stored;
    let size = || prop_oneof![6 => 0..20usize, 3 => 20..600usize, 1 => 600..20_000usize];
    let value = prop_oneof![
        1 => Just(Stored::Null),
        2 => (any::<i64>(), 0..64u32).prop_map(|(v, shift)| Stored::Integer(v >> shift)),
        1 => select(vec![0, 1, 127, 128, -128, -129, 32_767, 8_388_608, i64::MIN]).prop_map(Stored::Integer),
        1 => any::<f64>().prop_map(Stored::Real),
        1 => any::<i32>().prop_map(|v| Stored::Real(f64::from(v))),
        2 => size().prop_map(|n| Stored::Text("çğ a".chars().cycle().take(n).collect())),
        1 => (size(), any::<u8>()).prop_map(|(n, byte)| Stored::Blob(vec![byte; n])),
    ];
    let types = select(vec![
        "",
        "INTEGER",
        "REAL",
        "DOUBLE PRECISION",
        "TEXT",
        "NUMERIC(10,2)",
        "BLOB",
        "FLOATING POINT",
    ]);
    (
        (select(vec![512, 1024, 4096, 65_536]), prop_oneof![3 => Just(0), 1 => 1..32u8], 0..3i64),
        prop::collection::vec(types, 1..6),
        prop::collection::vec((any::<i64>(), 0..64u32, prop::collection::vec(value, 6)), 0..120),
        select(vec![None, None, Some(""), Some("DEFAULT 7"), Some("DEFAULT NULL")]),
    )
        .prop_map(|((page_size, reserved, auto_vacuum), types, rows, added)| Made {
            page_size,
            reserved,
            auto_vacuum,
            types,
            rows: rows.into_iter().map(|(rowid, shift, values)| (rowid >> shift, values)).collect(),
            added,
        })
}

fn build(path: &Path, made: &Made) {
    let connection = Connection::open(path).unwrap();
    let Made { page_size, auto_vacuum, types, .. } = made;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA synchronous = off"
        ))
        .unwrap();
    // A database of one empty page can be given reserved bytes by hand: in its header, and where the content of that page begins.
    connection.execute_batch("VACUUM").unwrap();
    drop(connection);
    let mut bytes = std::fs::read(path).unwrap();
    if *auto_vacuum == 0 && !bytes.is_empty() {
        bytes[20] = made.reserved;
        bytes[105..107].copy_from_slice(&((page_size - i64::from(made.reserved)) as u16).to_be_bytes());
        std::fs::write(path, bytes).unwrap();
    }
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = off").unwrap();
    let columns: Vec<String> = types.iter().enumerate().map(|(i, t)| format!("c{i} {t}")).collect();
    connection.execute_batch(&format!("CREATE TABLE t ({}); BEGIN", columns.join(", "))).unwrap();
    let insert = |rows: &[(i64, Vec<rusqlite::types::Value>)]| {
        for (rowid, values) in rows {
            let names: Vec<String> = (0..types.len()).map(|i| format!("c{i}")).collect();
            let marks = vec!["?"; types.len() + 1].join(", ");
            let sql = format!("INSERT OR REPLACE INTO t (rowid, {}) VALUES ({marks})", names.join(", "));
            let parameters = std::iter::once(rusqlite::types::Value::Integer(*rowid))
                .chain(values.iter().take(types.len()).cloned());
            connection.prepare(&sql).unwrap().execute(rusqlite::params_from_iter(parameters)).unwrap();
        }
    };
    let (before, after) = made.rows.split_at(made.rows.len() / 2);
    insert(before);
    if let Some(default) = made.added {
        connection.execute_batch(&format!("ALTER TABLE t ADD COLUMN added {default}")).unwrap();
    }
    insert(after);
    connection.execute_batch("DELETE FROM t WHERE rowid % 5 = 0; COMMIT").unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn pages_hold_what_sqlite_reads(made in made(), damage in prop::option::weighted(0.5, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4))) {
        let (_guard, folder) = folder();
        let path = folder.join("a.db");
        build(&path, &made);
        if let Some(damage) = &damage {
            let mut bytes = std::fs::read(&path).unwrap();
            for (at, byte) in damage {
                // Neither the header nor the schema: then it is another database.
                let body = made.page_size as usize..bytes.len().max(made.page_size as usize + 1);
                if let Some(byte_of) = bytes.get_mut(body.start + at.index(body.len())) {
                    *byte_of = *byte;
                }
            }
            std::fs::write(&path, bytes).unwrap();
        }
        let table = table(&open(&path), "t");
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let some: Vec<usize> = all.iter().copied().skip(1).step_by(2).collect();
        let shuffled: Vec<usize> = all.iter().copied().skip(2).chain(all.iter().copied().take(2)).rev().collect();
        for columns in [&all, &some, &shuffled] {
            let (direct, went_on) = read(&path, &table, columns, true);
            let (expected, _) = read(&path, &table, columns, false);
            match damage {
                None => {
                    prop_assert_eq!(&direct, &expected);
                    let may_go_on = made.added.is_some_and(|default| !default.is_empty());
                    prop_assert!(!went_on || may_go_on, "SQLite had to go on");
                }
                // What SQLite refuses may be read up to another row, and a tree that is out of order from another one.
                Some(_) => if let (Ok(direct), Ok(expected)) = (&direct, &expected) && !went_on {
                    prop_assert_eq!(direct, expected);
                }
            }
        }
    }
}

#[test]
fn what_is_not_plain_is_read_through_sqlite() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE plain(a); CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID; CREATE TABLE g(a, b AS (a + 1));
         CREATE TABLE shadowed(rowid, _rowid_, oid);",
    );
    let mut source = open(&path);
    for (name, columns, filter, expected) in [
        ("plain", &[0][..], None, true),
        ("plain", &[0][..], Some("a > 1"), false),
        ("w", &[0][..], None, false),
        ("g", &[0, 1][..], None, false),
        ("shadowed", &[0, 1, 2][..], None, false),
    ] {
        let table = table(&source, name);
        let reader = source.rows_exclusive(&table, columns, filter).unwrap();
        assert_eq!(reader.reads_pages(), expected, "{name}, {filter:?}");
    }
    let utf16 = folder.join("b.db");
    database(&utf16, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a)");
    let mut source = open(&utf16);
    let table = table(&source, "t");
    assert!(!source.rows_exclusive(&table, &[0], None).unwrap().reads_pages());
}

/// A writer's pages are in its `-wal`, so the file alone is not the snapshot.
#[test]
fn a_wal_is_read_through_sqlite() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        .unwrap();
    let table = table(&open(&path), "t");
    let expected = (Ok(vec![(Some(1), vec![Owned::Integer(1)])]), true);
    assert_eq!(read(&path, &table, &[0], true), expected);
    drop(connection);
    // Closed, the `-wal` is gone, and its pages are in the file.
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(read(&path, &table, &[0], true), (expected.0, false));
}
