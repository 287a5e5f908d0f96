//! Which rows point at a parent that is not there?

use super::*;
use crate::Reference;

/// The rowids of the orphans of a table's only foreign key.
fn orphans(source: &Source, child: &str, parent: &str, change: impl FnOnce(&mut Reference<'_>)) -> Vec<i64> {
    let (child, parent) = (table(source, child), table(source, parent));
    let key = &child.foreign_keys[0];
    let find = |name: &String| parent.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)).unwrap();
    let parent_columns: Vec<usize> = key.parent_columns.iter().map(find).collect();
    let mut reference = Reference {
        child: &child,
        columns: &key.columns,
        child_filter: None,
        parent: &parent,
        parent_columns: &parent_columns,
        parent_filter: None,
        is_nocase: false,
    };
    change(&mut reference);
    let mut reader = source.orphans(&reference, &[0]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = reader.next().unwrap() {
        found.push(row.rowid().unwrap());
    }
    found
}

/// The same by SQLite's own check, which compares as the parent's collations say.
fn as_sqlite_checks(path: &Path, child: &str) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(&format!("PRAGMA foreign_key_check({child})")).unwrap();
    let mut rows: Vec<i64> = statement.query([]).unwrap().map(|row| row.get(1)).collect().unwrap();
    rows.sort_unstable();
    rows
}

#[test]
fn an_orphan_has_a_whole_reference_and_no_parent_that_equals_it() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "PRAGMA foreign_keys = off;
         CREATE TABLE p(id INTEGER PRIMARY KEY, kod TEXT COLLATE NOCASE UNIQUE, x, y, UNIQUE (x, y));
         INSERT INTO p VALUES (1, 'a', 1, 'k'), (2, NULL, NULL, 'k'), (3, 'B', 2, NULL);
         CREATE TABLE by_id(p REFERENCES p(id));
         INSERT INTO by_id VALUES (1), ('1'), (NULL), (9), ('x'), (1.0), (3);
         CREATE TABLE by_kod(kod REFERENCES p(kod));
         INSERT INTO by_kod VALUES ('a'), ('A'), ('b'), (NULL), ('');
         CREATE TABLE by_both(x, y, FOREIGN KEY (x, y) REFERENCES p(x, y));
         INSERT INTO by_both VALUES (1, 'k'), (1, 'l'), (NULL, 'l'), (2, NULL), (2, 'k');",
    );
    let source = open(&path);
    for child in ["by_id", "by_both"] {
        assert_eq!(orphans(&source, child, "p", |_| {}), as_sqlite_checks(&path, child), "{child}");
    }
    // The affinity of the parent's column applies, as in SQLite's own check.
    assert_eq!(orphans(&source, "by_id", "p", |_| {}), [4, 5]);
    // A NULL among the parents hides nothing; NOCASE counts only where it is asked for.
    assert_eq!(orphans(&source, "by_kod", "p", |_| {}), [2, 3, 5]);
    assert_eq!(orphans(&source, "by_kod", "p", |r| r.is_nocase = true), [5]);
    assert_eq!(orphans(&source, "by_both", "p", |_| {}), [2, 5]);
    assert_eq!(
        orphans(&source, "by_id", "p", |r| r.parent_filter = Some("id > 1 -- all but the first")),
        [1, 2, 4, 5, 6]
    );
    assert_eq!(orphans(&source, "by_id", "p", |r| r.child_filter = Some("p = 9 OR p IS NULL")), [4]);
}

#[test]
fn a_filter_that_ends_its_parentheses_is_refused() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id))");
    let source = open(&path);
    let (child, parent) = (table(&source, "c"), table(&source, "p"));
    let reference = Reference {
        child: &child,
        columns: &[0],
        child_filter: Some("1) OR (1"),
        parent: &parent,
        parent_columns: &[0],
        parent_filter: None,
        is_nocase: false,
    };
    let error = source.orphans(&reference, &[0]).map(drop).unwrap_err();
    assert_eq!(kind(error), SourceErrorKind::InvalidFilter);
    let error = source.orphans(&Reference { child_filter: None, columns: &[7], ..reference }, &[0]);
    assert_eq!(kind(error.map(drop).unwrap_err()), SourceErrorKind::InvalidName);
}
