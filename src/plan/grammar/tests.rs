//! What is read of statements, and which are refused.

use super::*;
use proptest::prelude::*;

#[test]
fn constraints_of_columns_and_of_the_table_come_in_one_list_with_their_names() {
    let sql = r#"CREATE TABLE "Cari" ( -- customers
            [id] INTEGER CONSTRAINT pk PRIMARY KEY,
            `code` VARCHAR(20) COLLATE NOCASE CONSTRAINT "u 1" UNIQUE CHECK ( length(code) > 0 ) DEFAULT ('x)'),
            parent INT REFERENCES "Cari"("id") ON DELETE CASCADE MATCH FULL DEFERRABLE INITIALLY DEFERRED,
            twice INT GENERATED ALWAYS AS (parent * 2) STORED,
            CONSTRAINT c2 CHECK (parent <> id /* ) */),
            UNIQUE ('code' COLLATE BINARY DESC, parent),
            CONSTRAINT fk FOREIGN KEY (parent, code) REFERENCES other DEFERRABLE
        ) STRICT"#;
    let table = table(sql).unwrap();
    assert_eq!(table.primary_key, Some(KeySql { name: Some("pk".into()), columns: vec!["id".into()] }));
    let uniques: Vec<_> = table.uniques.iter().map(|u| (u.name.as_deref(), u.columns.join(","))).collect();
    assert_eq!(uniques, [(Some("u 1"), "code".to_owned()), (None, "code,parent".to_owned())]);
    let checks: Vec<_> =
        table.checks.iter().map(|c| (c.name.as_deref(), c.column.as_deref(), c.text.as_str())).collect();
    assert_eq!(
        checks,
        [(None, Some("code"), "length(code) > 0"), (Some("c2"), None, "parent <> id /* ) */")]
    );
    let keys: Vec<_> = table.foreign_keys.iter().map(|k| (k.name.as_deref(), k.deferrable)).collect();
    assert_eq!(keys, [(None, Deferrable::InitiallyDeferred), (Some("fk"), Deferrable::InitiallyImmediate)]);
    assert_eq!(table.foreign_keys[0].parent_columns, ["id"]);
    assert_eq!(table.foreign_keys[0].match_type.as_deref(), Some("FULL"));
    assert!(table.foreign_keys[1].parent_columns.is_empty());
    let columns: Vec<_> = table.columns.iter().map(|c| (c.name.as_str(), c.collation.as_deref())).collect();
    assert_eq!(columns, [("id", None), ("code", Some("NOCASE")), ("parent", None), ("twice", None)]);
    assert_eq!(table.columns[3].generated.as_ref().map(|g| g.0.as_str()), Some("parent * 2"));
}

#[test]
fn an_index_gives_its_terms_and_its_predicate() {
    let sql = "CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE DESC, lower(b, ','), \"c\") WHERE a IN (1, 2);";
    let index = index(sql).unwrap();
    let terms: Vec<_> = index
        .terms
        .iter()
        .map(|t| (t.text.as_str(), t.collation.as_deref(), t.is_descending, t.expr.clone().into_name()))
        .collect();
    assert_eq!(
        terms,
        [
            ("a COLLATE NOCASE DESC", Some("NOCASE"), true, Some("a".to_owned())),
            ("lower(b, ',')", None, false, None),
            ("\"c\"", None, false, Some("c".to_owned())),
        ]
    );
    assert_eq!(index.predicate.unwrap().0, "a IN (1, 2)");
}

#[test]
fn what_cannot_be_read_is_an_error_with_a_position() {
    for (sql, expected) in [
        ("CREATE TABLE t(a", "unbalanced \"(\" at line 1, column 17"),
        ("CREATE TABLE t(a)\n)", "unbalanced \")\" at line 2, column 1"),
        ("CREATE TABLE t(\n  a INT CHECK (>))", "near \">\": syntax error at line 2, column 16"),
        ("CREATE TABLE t(a DEFAULT 'x)", "unterminated quoted string at line 1, column 26"),
        ("SELECT 1", "not a CREATE TABLE statement with a list of columns"),
        ("", "no statement"),
    ] {
        assert_eq!(table(sql).unwrap_err().to_string(), expected, "{sql}");
    }
    assert_eq!(expression("1), d CHECK (1").unwrap_err().to_string(), "unbalanced \")\" at line 1, column 2");
    assert_eq!(expression("1 +").unwrap_err().position(), Some((2, 1)));
}

#[test]
fn depth_and_length_end_in_an_error_or_in_an_unsupported_part_not_in_the_stack() {
    for count in [50, 199, 5_000, 200_000] {
        for (before, after) in
            [("(", ")"), ("- ", ""), ("NOT ", ""), ("", " + 1"), ("", " IN (1)"), ("f(", ")"), ("a AND ", "")]
        {
            let text = format!("{}a{}", before.repeat(count), after.repeat(count));
            let _ = expression(&text);
            let _ = table(&format!("CREATE TABLE t(a CHECK ({text}))"));
        }
        let cases = format!("{}1{}", "CASE WHEN ".repeat(count), " THEN 1 END".repeat(count));
        let _ = expression(&cases);
        // A declared type of many words costs the square of their number.
        let _ = table(&format!("CREATE TABLE t(a {})", "x ".repeat(count)));
    }
    assert!(table(&format!("CREATE TABLE t({})", "a,".repeat(400_000))).is_err());
}

/// SQLite's tokens in no order at all: most are errors, none may panic.
fn soup() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(vec![
        "CREATE",
        "TABLE",
        "INDEX",
        "t",
        "a",
        "(",
        ")",
        "(",
        ")",
        ",",
        "CHECK",
        "CHECK (",
        "DEFAULT",
        "CONSTRAINT",
        "PRIMARY KEY",
        "UNIQUE",
        "REFERENCES",
        "FOREIGN KEY",
        "NOT NULL",
        "COLLATE",
        "GENERATED ALWAYS AS (",
        "DEFERRABLE",
        "INITIALLY DEFERRED",
        "ON",
        "WHERE",
        "'x'",
        "\"y\"",
        "[z]",
        "`w`",
        "1",
        "1.5",
        "0x1f",
        "x'00'",
        "IN",
        "LIKE",
        "ESCAPE",
        "IS",
        "NOT",
        "NULL",
        "AND",
        "OR",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "CAST(",
        "AS",
        "||",
        "->>",
        "-",
        "+",
        "*",
        "?1",
        "$v",
        ";",
        "--c\n",
        "/* */",
        "WITHOUT ROWID",
        "STRICT",
        "SELECT",
        "WITH",
        "OVER",
        "FILTER",
        "WINDOW",
        "é",
        "EXISTS",
        "RAISE(",
        "VALUES",
        "IF NOT EXISTS",
        ".",
        "~",
        "''",
        "'",
    ]);
    proptest::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(tokens in soup(), noise in "\\PC{0,60}") {
        for text in [tokens.as_str(), noise.as_str()] {
            let _ = expression(text);
            for sql in [
                text.to_owned(),
                format!("CREATE TABLE t({text})"),
                format!("CREATE TABLE t(a {text})"),
                format!("CREATE INDEX i ON t({text}) WHERE {text}"),
            ] {
                let _ = table(&sql);
                let _ = index(&sql);
            }
        }
    }
}

/// Reads every `*.sql` below the folder that `ALIAPORT_DDL` names: one `CREATE TABLE` or `CREATE INDEX` a
/// file.
#[test]
#[ignore = "needs a folder of statements"]
fn statements_of_real_databases_are_read() {
    let folder = std::env::var("ALIAPORT_DDL").expect("ALIAPORT_DDL names a folder");
    let mut folders = vec![std::path::PathBuf::from(folder)];
    let (mut read, mut unread) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "sql") {
                let sql = std::fs::read_to_string(&path).unwrap();
                match table(&sql).map(drop).or_else(|error| index(&sql).map(drop).map_err(|_| error)) {
                    Ok(()) => read += 1,
                    Err(error) => unread.push(format!("{}: {error}", path.display())),
                }
            }
        }
    }
    assert!(unread.is_empty() && read > 0, "{read} read, not: {unread:#?}");
}
