//! The schema is a text that anybody may have written: what it calls need not exist here, and it need not
//! make sense.

use super::*;
use crate::KeyEnd;

/// Changes what the schema says after SQLite has made it.
fn rewritten(path: &Path, sql: &str, change: &str) {
    database(path, sql);
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("PRAGMA writable_schema = on; {change}")).unwrap();
}

#[test]
fn what_only_the_application_has_stops_nothing_that_does_not_call_it() {
    let (_guard, folder) = folder();
    let own = "UPDATE sqlite_schema SET sql = replace(sql, 'lower(', 'my_f(')";
    let dangerous = "UPDATE sqlite_schema SET sql = replace(sql, 'lower(', 'load_extension(')";
    let collation = "UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'my_order')";
    for (number, (columns, more, change, uncomputable)) in [
        ("a, b TEXT DEFAULT (lower('X'))", "", own, false),
        ("a, b TEXT CHECK (lower(b) IS NOT NULL)", "", own, false),
        ("a, b TEXT CHECK (lower(b) IS NOT NULL)", "", dangerous, false),
        ("a, b TEXT, g AS (lower(b)) STORED", "", own, false),
        ("a, b TEXT, g NOT NULL AS (lower(b))", "", own, true),
        ("a, b TEXT, g AS (lower(b))", "CREATE INDEX i ON t(g)", own, true),
        ("a, b TEXT", "CREATE INDEX i ON t(lower(b))", own, false),
        ("a, b TEXT", "CREATE INDEX i ON t(b) WHERE lower(b) > 'a'", own, false),
        ("a, b TEXT", "CREATE UNIQUE INDEX i ON t(lower(b)) WHERE lower(a) > 'a'", own, false),
        ("a, b TEXT", "CREATE VIEW v AS SELECT lower(b) FROM t", own, false),
        ("a, b TEXT", "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT lower(new.b); END", own, false),
        ("a, b TEXT COLLATE NOCASE UNIQUE", "", collation, false),
        ("a, b TEXT", "CREATE INDEX i ON t(b COLLATE NOCASE)", collation, false),
        ("a, b TEXT COLLATE NOCASE, PRIMARY KEY(b)) WITHOUT ROWID; CREATE TABLE u(a", "", collation, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.join(number.to_string());
        let rows = "INSERT INTO t(a, b) VALUES (1, 'B'), (2, 'a'), (3, 'C')";
        rewritten(&path, &format!("CREATE TABLE t({columns}); {more}; {rows}"), change);
        let what = format!("{columns}; {more}");
        let source = open(&path);
        let catalogue = source.catalogue().unwrap();
        let table = catalogue.tables.iter().find(|table| table.name == "t").unwrap();
        let profile = source.profile(table).unwrap();
        assert_eq!((profile.rows, profile.columns[1].texts), (3, 3), "{what}");
        assert_eq!(source.count_rows("t").unwrap(), 3);
        let mut numbers = integers(&source, "t");
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3], "{what}");
        let found = source.uncomputable(&catalogue).unwrap();
        assert_eq!(
            found.iter().map(|f| f.column.as_str()).collect::<Vec<_>>(),
            if uncomputable { vec!["g"] } else { vec![] }
        );
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let read = || -> Result<usize, SourceError> {
            let mut reader = source.rows(table, &all)?;
            let mut texts = 0;
            while let Some(row) = reader.next()? {
                texts += (1..all.len()).filter(|i| matches!(row.value(*i), Value::Text(_))).count();
            }
            Ok(texts)
        };
        match read() {
            // What was stored is there, computed by nobody.
            Ok(texts) => assert_eq!((uncomputable, texts), (false, 3 * (all.len() - 1)), "{what}"),
            Err(error) => {
                assert!(uncomputable, "{what}: {error} {:?}", error.detail());
                assert_eq!(*error.kind(), SourceErrorKind::NotAvailable);
                assert!(error.to_string().contains("column \"g\""), "{error}");
            }
        }
        assert_eq!(source.integrity_check(10).unwrap(), [""; 0], "{what}");
        assert!(source.quick_check(10).is_ok());
    }
}

/// Whatever stands in the schema: no panic, no endless loop, and no error that would be taken for a bug of
/// ours.
#[test]
fn no_schema_is_a_bug_of_ours() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let (_guard, folder) = folder();
    let original = folder.join("original");
    database(
        &original,
        "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE COLLATE NOCASE, g AS (lower(a)), s AS (a || 'x') STORED);
         CREATE TABLE c(id INTEGER PRIMARY KEY, p_id INT REFERENCES p(id), d TEXT DEFAULT (upper('x')) CHECK (length(d) < 9), UNIQUE(p_id, d));
         CREATE TABLE w(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID; CREATE INDEX i ON p(lower(a)) WHERE id > 3;
         CREATE VIEW v AS SELECT * FROM p; CREATE TRIGGER r AFTER INSERT ON p BEGIN DELETE FROM c; END;
         CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('some words');
         WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO p(a) SELECT 'text ' || i FROM n;
         INSERT INTO c SELECT id, id, 'x' FROM p; INSERT INTO w SELECT a, id FROM p; ANALYZE;",
    );
    let whole = std::fs::read(&original).unwrap();
    let path = folder.join("f");
    let mut state = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(3_u64);
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let pieces = [
        "(",
        ")",
        ",",
        "'",
        "\"",
        ";",
        "--",
        "/*",
        "[",
        "]",
        "NULL",
        "my_f(a)",
        "load_extension('x')",
        "CREATE ",
        "SELECT 1",
        "AS (g)",
        "AS (id)",
        "COLLATE nowhere",
        "WITHOUT ROWID",
        "STRICT",
        "REFERENCES nowhere(x)",
        "REFERENCES p(g)",
        "PRIMARY KEY",
        "UNIQUE",
        "AUTOINCREMENT",
        "CHECK (1/0)",
        "\u{fffd}",
        "x'00'",
        "1e999",
        "CHECK (x IN (SELECT 1))",
        "USING nowhere",
        "ON CONFLICT REPLACE",
    ];
    let mut kinds = std::collections::HashMap::new();
    for round in 0..rounds {
        std::fs::write(&path, &whole).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA writable_schema = on; PRAGMA synchronous = off; PRAGMA journal_mode = off")
            .unwrap();
        for _ in 0..=random(2) {
            let row = 1 + random(16);
            let (at, piece) = (1 + random(90), pieces[random(pieces.len())].replace('\'', "''"));
            let set = match random(14) {
                0..=3 => format!("sql = substr(sql, 1, {at}) || '{piece}' || substr(sql, {at} + 1)"),
                4 => format!("sql = substr(sql, 1, {at}) || substr(sql, {at} + {})", random(9)),
                5 => format!(
                    "sql = replace(sql, 'lower', '{}')",
                    ["my_f", "randomblob", "load_extension", "count"][random(4)]
                ),
                6 => format!("rootpage = {}", [0_i64, 1, -1, 2, 3, 5, 1 << 40, 999][random(8)]),
                7 => format!(
                    "rootpage = (SELECT rootpage FROM sqlite_schema WHERE rowid = {})",
                    1 + random(16)
                ),
                8 => format!(
                    "type = '{}'",
                    ["table", "index", "view", "trigger", "TABLE", "nonsense", ""][random(7)]
                ),
                9 => format!("tbl_name = '{}'", ["p", "c", "w", "nowhere", "", "sqlite_schema"][random(6)]),
                10 => {
                    format!("name = '{}'", ["p", "P", "c", "sqlite_x", "", "sqlite_sequence", "v"][random(7)])
                }
                11 => format!(
                    "name = {}",
                    ["NULL", "x'ff'", "'a' || char(0) || 'b'", "7", "zeroblob(3)", "printf('%.70000c', 'n')"]
                        [random(6)]
                ),
                12 => format!(
                    "sql = {}",
                    [
                        "NULL",
                        "''",
                        "x'ff00'",
                        "7",
                        "sql || char(0) || sql",
                        "sql || ' ' || sql",
                        "printf('%.200000c', '(')"
                    ][random(7)]
                ),
                _ => "sql = replace(sql, 'NOCASE', 'my_order')".to_owned(),
            };
            let _ = connection.execute_batch(&format!("UPDATE sqlite_schema SET {set} WHERE rowid = {row}"));
        }
        drop(connection);
        let read = || -> Result<(), SourceError> {
            let source = Source::open(&path, OpenOptions { busy_timeout: Duration::ZERO, ..options() })?;
            let mut first = source.integrity_check(20).map(drop);
            let mut note = |result: Result<(), SourceError>| {
                if let Err(error) = &result {
                    assert_ne!(
                        *error.kind(),
                        SourceErrorKind::Unexpected,
                        "round {round}: {error} {:?}",
                        error.detail()
                    );
                    first = Err(SourceError::new(*error.kind(), error.path()));
                }
            };
            let catalogue = source.catalogue()?;
            note(source.uncomputable(&catalogue).map(drop));
            for table in &catalogue.tables {
                note(source.profile(table).map(drop));
                note(source.count_rows(&table.name).map(drop));
                let _ = source.estimated_rows(table);
                for key in &table.foreign_keys {
                    if let Some(parent) = catalogue.tables.iter().find(|t| t.name == key.parent) {
                        let child = KeyEnd { table, columns: &key.columns, filter: None };
                        let columns: Vec<usize> = (0..key.columns.len().min(parent.columns.len())).collect();
                        if columns.len() == key.columns.len() {
                            note(
                                source
                                    .count_orphans(
                                        child,
                                        KeyEnd { table: parent, columns: &columns, filter: None },
                                    )
                                    .map(drop),
                            );
                        }
                    }
                }
                let all: Vec<usize> = (0..table.columns.len()).collect();
                let scan = |filter: Option<&str>| -> Result<(), SourceError> {
                    let mut reader = source.rows_where(table, &all, filter)?;
                    while reader.next()?.is_some() {}
                    Ok(())
                };
                note(scan(None));
                note(scan(Some("1")));
            }
            note(source.content().map(drop));
            first
        };
        let kind = read().map_or_else(|error| Some(*error.kind()), |()| None);
        assert_ne!(kind, Some(SourceErrorKind::Unexpected), "round {round}: {:?}", read().err());
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert!(kinds.len() >= 3, "{kinds:?}");
}
