//! What is compared by a collation that only the application has.

use super::*;
use crate::KeyEnd;

/// Keys in another order than that of their bytes, by a collation that nobody here knows.
fn made(path: &std::path::Path) {
    database(
        path,
        "PRAGMA foreign_keys = off;
         CREATE TABLE w(name TEXT COLLATE nocase PRIMARY KEY, n INT) WITHOUT ROWID;
         CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE nocase UNIQUE CHECK (name <> ''), g AS (name < 'n0100'));
         CREATE TABLE c(id INTEGER PRIMARY KEY, w TEXT REFERENCES w(name), t TEXT REFERENCES t(name));
         WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 299)
         INSERT INTO w SELECT printf('%s%04d', iif(i % 2, 'n', 'N'), i), i FROM r;
         INSERT INTO t(id, name) SELECT n, name FROM w; INSERT INTO c SELECT n, name, name FROM w;
         INSERT INTO c VALUES (1000, 'x', 'y');",
    );
    let mut bytes = std::fs::read(path).unwrap();
    while let Some(at) = bytes.windows(6).position(|word| word == b"nocase") {
        bytes[at..at + 6].copy_from_slice(b"turkce");
    }
    std::fs::write(path, bytes).unwrap();
}

fn place(table: &Table, name: &str) -> usize {
    table.columns.iter().position(|column| column.name == name).unwrap()
}

#[test]
fn no_row_is_looked_up_in_an_order_of_the_applications_own() {
    let (_folder, folder) = folder();
    let path = folder.join("a.db");
    made(&path);
    let source = open(&path);
    let rows = |name: &str, filter: &str| {
        let table = table(&source, name);
        let mut reader = source.rows_where(&table, &[0], Some(filter))?;
        let mut count = 0;
        while reader.next()?.is_some() {
            count += 1;
        }
        Ok::<u64, SourceError>(count)
    };
    assert_eq!(rows("w", "name COLLATE BINARY >= 'n'").unwrap(), 150);
    assert_eq!(rows("w", "name COLLATE BINARY = 'n0007'").unwrap(), 1);
    assert_eq!(rows("w", "n < 10 AND name LIKE 'n%'").unwrap(), 10);
    for (name, filter) in
        [("w", "name = 'n0007'"), ("t", "name > 'n0007'"), ("t", "name IN ('n0007', 'n0008')")]
    {
        let error = rows(name, filter).unwrap_err();
        assert_eq!(kind(error), SourceErrorKind::InvalidFilter, "{name} {filter}");
    }
    let error = rows("t", "name = 'n0007'").unwrap_err();
    assert!(error.detail().unwrap().contains("collation turkce"), "{error:?}");
    // What the filter does not compare is no business of it.
    assert_eq!(rows("t", "id < 10").unwrap(), 10);
}

#[test]
fn orphans_are_counted_past_such_an_order() {
    let (_folder, folder) = folder();
    let path = folder.join("a.db");
    made(&path);
    let source = open(&path);
    let child = table(&source, "c");
    for (parent, filter, orphans) in [
        ("w", None, 1),
        ("t", None, 1),
        ("w", Some("n >= 100"), 101),
        ("t", Some("id >= 100"), 101),
        ("t", Some("name COLLATE BINARY >= 'n'"), 151),
    ] {
        let parents = table(&source, parent);
        let (column, name) = ([place(&child, parent)], [place(&parents, "name")]);
        let count = |child_filter, filter| {
            source.count_orphans(
                KeyEnd { table: &child, columns: &column, filter: child_filter },
                KeyEnd { table: &parents, columns: &name, filter },
            )
        };
        assert_eq!(count(None, filter).unwrap(), orphans, "{parent} {filter:?}");
        let error = count(None, Some("name >= 'n0100'")).unwrap_err();
        assert_eq!(kind(error), SourceErrorKind::InvalidFilter, "{parent}");
    }
}

#[test]
fn a_column_that_compares_so_cannot_be_computed() {
    let (_folder, folder) = folder();
    let path = folder.join("a.db");
    made(&path);
    let source = open(&path);
    let found = source.uncomputable(&source.catalogue().unwrap()).unwrap();
    assert_eq!(found.iter().map(|u| (u.table.as_str(), u.column.as_str())).collect::<Vec<_>>(), [("t", "g")]);
    assert!(found[0].reason.contains("collation turkce"), "{found:?}");
    let t = table(&source, "t");
    assert!(source.rows(&t, &[place(&t, "g")]).and_then(|mut rows| rows.next().map(drop)).is_err());
    // The check of the file compares, which is no business of the rows that are read after it.
    assert!(source.integrity_check(10).unwrap().is_empty());
    assert!(source.rows(&t, &[0]).and_then(|mut rows| rows.next().map(|row| row.is_some())).unwrap());
}
