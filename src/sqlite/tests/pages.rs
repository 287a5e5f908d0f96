//! A scan of the file's pages gives what SQLite gives: over databases of every shape, and over damaged ones.

use std::os::unix::fs::FileExt;

use aliaport_rows::batch::Rows;
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
    Unreadable(String),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Owned::Null,
            Value::Integer(v) => Owned::Integer(v),
            Value::Real(v) => Owned::Real(v.to_bits()),
            Value::Text(bytes) => Owned::Text(bytes.to_vec()),
            Value::Blob(bytes) => Owned::Blob(bytes.to_vec()),
            Value::Unreadable(reason) => Owned::Unreadable(reason.to_owned()),
        }
    }
}

/// Rowid and values of each row, or the kind of the error.
pub(super) type Scanned = Result<Vec<(Option<i64>, Vec<Owned>)>, SourceErrorKind>;

/// What a scan gives, and whether SQLite had to go on somewhere.
pub(super) type Read = (Scanned, bool);

pub(super) fn read(path: &Path, table: &Table, columns: &[usize], is_direct: bool) -> Read {
    let mut source = match Source::open(path, options()) {
        Ok(source) => source,
        Err(error) => return (Err(kind(error)), false),
    };
    let mut reader = match source.rows_to_send(table, columns, None) {
        Ok(reader) => reader,
        Err(error) => return (Err(kind(error)), false),
    };
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
    // A database of one empty page can be given reserved bytes by hand: in its header, and where the content
    // of that page begins.
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
            prop_assert_eq!(&direct, &expected);
            let may_go_on = damage.is_some() || made.added.is_some_and(|default| !default.is_empty());
            prop_assert!(!went_on || may_go_on, "SQLite had to go on");
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
        let reader = source.rows_to_send(&table, columns, filter).unwrap();
        assert_eq!(reader.reads_pages(), expected, "{name}, {filter:?}");
    }
    let utf16 = folder.join("b.db");
    database(&utf16, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a)");
    let mut source = open(&utf16);
    let table = table(&source, "t");
    assert!(!source.rows_to_send(&table, &[0], None).unwrap().reads_pages());
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

/// A table of 600 rows of two bytes of rowid, one of which, late in the table, has no value of a column that
/// was added with a default: SQLite has to go on there.
fn with_a_row_for_sqlite(path: &Path) {
    database(
        path,
        "PRAGMA page_size = 512; CREATE TABLE t(a, b);
         WITH RECURSIVE n(i) AS (VALUES (1001) UNION ALL SELECT i + 1 FROM n WHERE i < 1600)
         INSERT INTO t (rowid, a, b) SELECT i, i, 'row ' || i FROM n;
         ALTER TABLE t ADD COLUMN c DEFAULT 7; UPDATE t SET c = 8 WHERE rowid <> 1500",
    );
}

/// Replaces the only bytes that are like this.
fn replace(path: &Path, old: &[u8], new: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    let [at] = places[..] else { panic!("{places:?}") };
    bytes[at..at + new.len()].copy_from_slice(new);
    std::fs::write(path, bytes).unwrap();
}

/// The cell of a row in `with_a_row_for_sqlite` up to its first value: the rowid, the header and the value.
fn cell(rowid: u16, stored_rowid: u16) -> Vec<u8> {
    let varint = [0x80 | (stored_rowid >> 7) as u8, stored_rowid as u8 & 0x7f];
    [&varint[..], &[4, 2, 29, 1], &rowid.to_be_bytes()].concat()
}

/// Rows may have rowids out of order in a damaged file, and SQLite reads them all the same.
#[test]
fn sqlite_goes_on_at_the_place_not_at_the_rowid() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    for (row, rowid) in [(1300, 16_000), (1499, 1001), (1499, 1700), (1500, 1), (1501, 1002)] {
        let _ = std::fs::remove_file(&path);
        with_a_row_for_sqlite(&path);
        let header = if row == 1500 { [3, 2, 29] } else { [4, 2, 29] };
        let (mut old, mut new) = (cell(row, row), cell(row, rowid));
        for cell in [&mut old, &mut new] {
            cell[2..5].copy_from_slice(&header);
            if row == 1500 {
                cell.remove(5);
            }
        }
        replace(&path, &old, &new);
        let table = table(&open(&path), "t");
        let (expected, _) = read(&path, &table, &[0, 1, 2], false);
        let rows = expected.as_ref().unwrap();
        assert_eq!(rows.len(), 600);
        assert!(!rows.is_sorted_by_key(|(rowid, _)| *rowid), "{row} {rowid}");
        assert_eq!(read(&path, &table, &[0, 1, 2], true), (expected, true), "{row} {rowid}");
    }
}

/// A file that changes in spite of its lock: what SQLite sees is not what the pages gave.
#[test]
fn other_rows_at_the_second_look_are_an_error() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let damage_while_read = |columns: &[usize], damage: &dyn Fn(&Path)| {
        let _ = std::fs::remove_file(&path);
        with_a_row_for_sqlite(&path);
        let mut source = open(&path);
        let table = table(&source, "t");
        let mut reader = source.rows_to_send(&table, columns, None).unwrap();
        let mut rows = Rows::default();
        rows.restart(1);
        // Not yet at the row that is for SQLite.
        assert!(!reader.fill(&mut rows, 10_000).unwrap() && reader.reads_pages());
        damage(&path);
        loop {
            rows.restart(1);
            match reader.fill(&mut rows, 10_000) {
                Ok(is_last) => assert!(!is_last, "nothing was noticed"),
                Err(error) => return error,
            }
        }
    };
    let another_rowid = |path: &Path| replace(path, &cell(1010, 1010), &cell(1010, 1011));
    let one_row_less = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let leaf = (1..).map(|page| page * 512).find(|start| bytes[*start] == 13).unwrap();
        bytes[leaf + 4] -= 1;
        std::fs::write(path, bytes).unwrap();
    };
    for (columns, damage) in [
        (&[0, 1, 2][..], &another_rowid as &dyn Fn(&Path)),
        (&[0, 1, 2][..], &one_row_less),
        // Without the column SQLite has to count only.
        (&[0, 1][..], &one_row_less),
    ] {
        let error = damage_while_read(columns, damage);
        let detail = error.detail().unwrap_or_default();
        assert_eq!(*error.kind(), SourceErrorKind::Damaged, "{error} {detail}");
        assert!(detail.starts_with("Table \"t\""), "{detail}");
    }
}

/// Of two ways to count SQLite takes the shorter one, which is an index unless it is told not to.
#[test]
fn rows_are_counted_in_the_table() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a, b); CREATE INDEX i ON t(a); CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID; CREATE INDEX j ON w(b);
         INSERT INTO t VALUES (1, 2), (3, 4); INSERT INTO w VALUES (1, 2), (3, 4), (5, 6);",
    );
    let connection = Connection::open(&path).unwrap();
    let root = |name: &str| {
        let sql = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{name}'");
        connection.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize
    };
    let mut bytes = std::fs::read(&path).unwrap();
    for index in ["i", "j"] {
        bytes[(root(index) - 1) * 4096 + 4] -= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let source = open(&path);
    assert_eq!((source.count_rows("t").unwrap(), source.count_rows("w").unwrap()), (2, 3));
    assert_eq!(kind(source.count_rows("missing").unwrap_err()), SourceErrorKind::InvalidName);
}

/// The page on which the bytes for file locks lie has no content, whatever stands there.
#[test]
fn nothing_is_read_from_the_page_of_the_locks() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    with_a_row_for_sqlite(&path);
    let (mut bytes, lock_page) = (std::fs::read(&path).unwrap(), (1u32 << 30) / 512 + 1);
    let is_interior = |start: usize| bytes[start] == 5;
    let interior = (1..bytes.len() / 512).map(|page| page * 512).find(|start| is_interior(*start)).unwrap();
    let cell = interior + usize::from(u16::from_be_bytes([bytes[interior + 12], bytes[interior + 13]]));
    let child = u32::from_be_bytes([bytes[cell], bytes[cell + 1], bytes[cell + 2], bytes[cell + 3]]) as usize;
    let leaf = bytes[(child - 1) * 512..child * 512].to_vec();
    for (page, is_read) in [(lock_page - 1, true), (lock_page, false), (lock_page + 1, true)] {
        bytes[cell..cell + 4].copy_from_slice(&page.to_be_bytes());
        bytes[28..32].copy_from_slice(&(lock_page + 2).to_be_bytes());
        let file = std::fs::File::create(&path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.set_len((u64::from(lock_page) + 2) * 512).unwrap();
        file.write_all_at(&leaf, u64::from(page - 1) * 512).unwrap();
        let table = table(&open(&path), "t");
        let (direct, _) = read(&path, &table, &[0, 1], true);
        assert_eq!(direct.is_ok(), is_read, "page {page}: {direct:?}");
        assert_eq!(direct, read(&path, &table, &[0, 1], false).0);
    }
}
