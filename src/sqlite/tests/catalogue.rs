//! The catalogue says what the file declares, whatever the schema looks like.

use aliaport_plan::catalogue::{Generated, IndexOrigin, OtherKind};

use super::*;

fn catalogue_of(sql: &str) -> aliaport_plan::catalogue::Catalogue {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, sql);
    open(&path).catalogue().unwrap()
}

#[test]
fn every_property_of_a_table_is_found() {
    let catalogue = catalogue_of(
        r#"
        CREATE TABLE "odd "" name"("a ""b""" INTEGER PRIMARY KEY AUTOINCREMENT, [c d] VARCHAR( 20 ) NOT NULL DEFAULT 'x''y',
            `select` NUMERIC(10,2) DEFAULT (1 + 2), untyped, g AS ("c d" || 'x'), s TEXT AS (upper("c d")) STORED,
            UNIQUE ("c d", untyped));
        INSERT INTO "odd "" name"("c d") VALUES ('q');
        CREATE TABLE w(b TEXT COLLATE NOCASE, a INT, v, PRIMARY KEY (a DESC, b)) STRICT, WITHOUT ROWID;
    "#
        .replace("v,", "v ANY,")
        .as_str(),
    );
    let [odd, w] = catalogue.tables.as_slice() else { panic!("{catalogue:?}") };
    assert_eq!(odd.name, "odd \" name");
    assert!(odd.has_rowid && odd.is_autoincrement && !odd.is_strict);
    assert_eq!(
        (odd.rowid_alias, odd.primary_key.as_slice(), odd.sequence),
        (Some(0), [0].as_slice(), Some(1))
    );
    let columns: Vec<_> =
        odd.columns.iter().map(|c| (c.name.as_str(), c.declared_type.as_str(), c.generated)).collect();
    assert_eq!(
        columns,
        [
            ("a \"b\"", "INTEGER", Generated::No),
            ("c d", "VARCHAR( 20 )", Generated::No),
            ("select", "NUMERIC(10,2)", Generated::No),
            ("untyped", "", Generated::No),
            ("g", "", Generated::Virtual),
            ("s", "TEXT", Generated::Stored),
        ]
    );
    assert_eq!(odd.columns[1].default.as_deref(), Some("'x''y'"));
    assert_eq!(odd.columns[2].default.as_deref(), Some("1 + 2"));
    assert!(odd.columns[1].is_not_null && !odd.columns[2].is_not_null);
    let [unique] = odd.indexes.as_slice() else { panic!() };
    assert!(unique.is_unique && unique.origin == IndexOrigin::Unique && unique.sql.is_none());
    assert_eq!(unique.terms.iter().map(|term| term.column).collect::<Vec<_>>(), [Some(1), Some(3)]);

    assert!(!w.has_rowid && w.is_strict && w.rowid_alias.is_none());
    assert_eq!(w.primary_key, [1, 0]);
    let [key] = w.indexes.as_slice() else { panic!() };
    assert_eq!(key.origin, IndexOrigin::PrimaryKey);
    let terms: Vec<_> = key.terms.iter().map(|t| (t.column, t.is_descending, t.collation.as_str())).collect();
    assert_eq!(terms, [(Some(1), true, "BINARY"), (Some(0), false, "NOCASE")]);
}

#[test]
fn the_rowid_alias_is_integer_primary_key_and_nothing_else() {
    let catalogue = catalogue_of(
        "CREATE TABLE a(id integer, PRIMARY KEY (id)); CREATE TABLE b(id INT PRIMARY KEY);
         CREATE TABLE c(id INTEGER PRIMARY KEY DESC); CREATE TABLE d(id INTEGER PRIMARY KEY) WITHOUT ROWID;
         CREATE TABLE e(x INTEGER, y INTEGER, PRIMARY KEY (x, y)); CREATE TABLE f(id \"INTEGER\" PRIMARY KEY);
         CREATE TABLE g(id INTEGER, PRIMARY KEY (id DESC)); CREATE TABLE h(id INTEGER(8) PRIMARY KEY);",
    );
    let (guard, folder) = folder();
    let path = folder.join("oracle");
    let connection = Connection::open(&path).unwrap();
    for table in &catalogue.tables {
        // Only an alias turns NULL into a number.
        connection.execute_batch(&table.sql).unwrap();
        let name = &table.name;
        let insert = format!("INSERT INTO {name}({}) VALUES (NULL)", table.columns[0].name);
        let is_alias = connection.execute(&insert, []).is_ok()
            && connection
                .query_row(&format!("SELECT typeof({}) FROM {name}", table.columns[0].name), [], |row| {
                    row.get::<_, String>(0)
                })
                .unwrap()
                == "integer";
        assert_eq!(table.rowid_alias.is_some(), is_alias, "{}", table.sql);
    }
    drop(guard);
}

#[test]
fn indexes_and_foreign_keys_come_in_declaration_order() {
    let catalogue = catalogue_of(
        "CREATE TABLE p(a, b, PRIMARY KEY (a, b));
         CREATE TABLE c(x REFERENCES p ON DELETE CASCADE, y, z REFERENCES gone(q) ON UPDATE SET NULL,
             FOREIGN KEY (x, y) REFERENCES \"P\"(a, b) DEFERRABLE INITIALLY DEFERRED, FOREIGN KEY (y, z) REFERENCES p);
         CREATE INDEX i1 ON c(y DESC, lower(x)) WHERE z > 0;
         CREATE UNIQUE INDEX I2 ON c(z COLLATE nocase, x || y);",
    );
    let c = &catalogue.tables[1];
    let keys: Vec<_> = c
        .foreign_keys
        .iter()
        .map(|k| (k.parent.as_str(), k.columns.clone(), k.parent_columns.join(",")))
        .collect();
    assert_eq!(
        keys,
        [
            ("p", vec![0], String::new()),
            ("gone", vec![2], "q".to_owned()),
            ("P", vec![0, 1], "a,b".to_owned()),
            ("p", vec![1, 2], String::new()),
        ]
    );
    assert_eq!(
        (c.foreign_keys[0].on_delete.as_str(), c.foreign_keys[1].on_update.as_str()),
        ("CASCADE", "SET NULL")
    );
    let [i1, i2] = c.indexes.as_slice() else { panic!("{:?}", c.indexes) };
    assert!(i1.is_partial && !i1.is_unique && i1.sql.as_deref().unwrap().ends_with("WHERE z > 0"));
    let terms: Vec<_> = i1.terms.iter().map(|t| (t.column, t.is_descending)).collect();
    assert_eq!(terms, [(Some(1), true), (None, false)]);
    assert!(i2.is_unique && i2.terms[0].collation == "nocase" && i2.terms[1].column.is_none());
}

#[test]
fn what_is_no_ordinary_table_is_told_apart() {
    let catalogue = catalogue_of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO t VALUES (41, 1); DELETE FROM t;
         CREATE INDEX i ON t(x); ANALYZE;
         CREATE VIEW v AS SELECT no_such_function(x) FROM no_such_table;
         CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT no_such_function(1); END;
         CREATE VIRTUAL TABLE f USING fts5(body);
         CREATE TABLE external_content(id INTEGER PRIMARY KEY, body);
         CREATE VIRTUAL TABLE external USING fts5(body, content=external_content);
         CREATE VIRTUAL TABLE \"R t\" USING rtree(id, x0, x1);
         CREATE TABLE f_notes(x);
         PRAGMA writable_schema = 1;
         INSERT INTO sqlite_schema VALUES ('table', 'm', 'm', 0, 'CREATE VIRTUAL TABLE m USING no_such_module(a)');",
    );
    let names: Vec<_> = catalogue.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["t", "external_content", "f_notes"]);
    assert_eq!(catalogue.tables[0].sequence, Some(41));
    let others = |kind| {
        catalogue
            .others
            .iter()
            .filter(|o| o.kind == kind)
            .map(|o| (o.name.as_str(), o.table.as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(OtherKind::View), [("v", "v")]);
    assert_eq!(others(OtherKind::Trigger), [("r", "t")]);
    assert_eq!(others(OtherKind::VirtualTable).len(), 4);
    let shadows = others(OtherKind::ShadowTable);
    assert_eq!(shadows.len(), 5 + 4 + 3, "{shadows:?}");
    assert!(shadows.contains(&("R t_node", "R t")));
}

/// SQLite takes any bytes for a name; what cannot be said in PostgreSQL is left out and shown, and the rest
/// stays.
#[test]
fn names_that_are_no_text_are_left_out_and_shown() {
    let (_guard, folder) = folder();
    for (sql, shown, tables) in [
        ("CREATE TABLE \"bad~~name\"(a)", "bad\u{fffd}\u{fffd}name", 1),
        ("CREATE TABLE t(\"bad~~column\")", "t", 1),
        ("CREATE TABLE t(a); CREATE INDEX \"bad~~index\" ON t(a)", "bad\u{fffd}\u{fffd}index", 2),
    ] {
        let path = folder.join("a.db");
        let _ = std::fs::remove_file(&path);
        database(&path, &format!("CREATE TABLE whole(a); {sql}"));
        let bytes = std::fs::read(&path).unwrap();
        let bytes: Vec<u8> = bytes.iter().map(|byte| if *byte == b'~' { 0xff } else { *byte }).collect();
        std::fs::write(&path, bytes).unwrap();
        let catalogue = open(&path).catalogue().unwrap();
        assert_eq!(catalogue.tables.len(), tables, "{sql}");
        assert!(catalogue.tables.iter().all(|t| t.indexes.is_empty()), "{sql}");
        let left_out: Vec<_> = catalogue.others.iter().map(|o| (o.kind, o.name.as_str())).collect();
        assert_eq!(left_out, [(OtherKind::Unnameable, shown)]);
    }
    // A view of that kind does no harm.
    let path = folder.join("b.db");
    database(&path, "CREATE TABLE t(a); CREATE VIEW \"bad~~view\" AS SELECT '~' AS x FROM t");
    let bytes: Vec<u8> =
        std::fs::read(&path).unwrap().iter().map(|byte| if *byte == b'~' { 0xff } else { *byte }).collect();
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(open(&path).catalogue().unwrap().others[0].name, "bad\u{fffd}\u{fffd}view");
}

#[test]
fn a_missing_table_is_an_invalid_name() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(&path, "CREATE TABLE t(a)");
    let source = open(&path);
    assert_eq!(kind(source.count_rows("nothing").unwrap_err()), SourceErrorKind::InvalidName);
    assert_eq!(kind(source.count_rows("t\0").unwrap_err()), SourceErrorKind::InvalidName);
}

#[test]
#[ignore = "measures: run in release mode"]
fn ten_thousand_tables_take_a_second() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut sql = String::from("BEGIN;");
    for i in 0..10_000 {
        sql += &format!(
            "CREATE TABLE t{i}(id INTEGER PRIMARY KEY, a TEXT UNIQUE, b REFERENCES t0, c, d); CREATE INDEX i{i} ON t{i}(b, c);
             CREATE VIEW v{i} AS SELECT missing FROM t{i};"
        );
    }
    database(&path, &format!("{sql} COMMIT;"));
    let start = std::time::Instant::now();
    let source = open(&path);
    let opened = start.elapsed();
    assert_eq!(source.catalogue().unwrap().tables.len(), 10_000);
    let read = start.elapsed();
    source.integrity_check(10).unwrap();
    eprintln!("open {opened:?}, catalogue {read:?}, integrity_check {:?}", start.elapsed());
    assert!(read < Duration::from_secs(3));
}

/// SQLite cannot read such a table, so leaving it out with a word about virtual tables would lose it.
#[test]
fn an_ordinary_table_without_a_page_is_damage() {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    database(
        &path,
        "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE TABLE u(a); CREATE VIRTUAL TABLE v USING fts5(a);
         PRAGMA writable_schema = on; UPDATE sqlite_master SET rootpage = 0 WHERE name = 't'",
    );
    assert_eq!(open(&path).catalogue().map_err(kind), Err(SourceErrorKind::Damaged));
    database(&path, "PRAGMA writable_schema = on; DELETE FROM sqlite_master WHERE name = 't'");
    let catalogue = open(&path).catalogue().unwrap();
    assert!(catalogue.others.iter().any(|other| other.kind == OtherKind::VirtualTable && other.name == "v"));
}
