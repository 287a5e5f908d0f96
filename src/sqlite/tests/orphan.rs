//! Orphans are what SQLite's own check of its foreign keys finds.

use super::*;
use crate::KeyEnd;

/// Keys whose two sides differ in affinity, collation and number of columns, with and without an index of the
/// parent.
const SCHEMA: &str = "
    PRAGMA foreign_keys = off;
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, code NUMERIC UNIQUE, a, b TEXT, UNIQUE (a, b));
    CREATE TABLE c(
        p_id TEXT REFERENCES p, name BLOB REFERENCES p(name), code TEXT REFERENCES p(code), x INTEGER, y, self INTEGER REFERENCES c(rid),
        rid INTEGER PRIMARY KEY, FOREIGN KEY (y, x) REFERENCES p(b, a)
    );
    INSERT INTO p VALUES (1, 'Bir', '1.50', 1, '1'), (2, 'iki', 2, '1', '2'), (3, NULL, NULL, NULL, NULL), (4, '4', '4x', 2.5, '7');
    INSERT INTO c VALUES ('1', 'BIR', '1.5', 1, 1, 1, 1), ('01', 'iki ', '2.0', 1, '2', 9, 2), ('x', x'696b69', '4x', 1, NULL, NULL, 3),
        (NULL, NULL, NULL, NULL, 7, 2, 4), (3.0, 4, 1.5, 2.5, 7, 4, 5), ('3', 'Iki', '1.500', '2.5', '7', 5, 6), (5, 'üç', 3, 3, 3, 3, 7);
";

#[test]
fn orphans_are_those_that_sqlite_finds() {
    let (_folder, path) = folder();
    let file = path.join("orphan.db");
    database(&file, SCHEMA);
    let connection = Connection::open(&file).unwrap();
    let source = open(&file);
    let child = table(&source, "c");
    for key in &child.foreign_keys {
        let found: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check('c') WHERE fkid = ?", [key.id], |row| {
                row.get(0)
            })
            .unwrap();
        let parent = table(&source, &key.parent);
        let place = |name: &String| parent.columns.iter().position(|c| c.name == *name).unwrap();
        let columns: Vec<usize> = match key.parent_columns.as_slice() {
            [] => parent.primary_key.clone(),
            names => names.iter().map(place).collect(),
        };
        let ends = |filter| {
            let child = KeyEnd { table: &child, columns: &key.columns, filter };
            (child, KeyEnd { table: &parent, columns: &columns, filter: None })
        };
        let (here, there) = ends(None);
        assert_eq!(source.count_orphans(here, there).unwrap(), u64::try_from(found).unwrap(), "{key:?}");
        assert!(found > 0, "a key without orphans shows nothing: {key:?}");
        let (here, there) = ends(Some("false"));
        assert_eq!(source.count_orphans(here, there).unwrap(), 0);
        let (here, there) = ends(Some("true) OR (true"));
        assert_eq!(kind(source.count_orphans(here, there).unwrap_err()), SourceErrorKind::InvalidFilter);
    }
}
