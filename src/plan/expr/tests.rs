//! What each SQLite expression becomes. The translations were compared with both databases row by row when
//! they were written; these tables keep them as they are.

use super::*;
use crate::grammar;
use proptest::prelude::*;

/// A table with a column of each type.
struct Columns;

impl Scope for Columns {
    fn column(&self, name: &str) -> Option<(String, PgType)> {
        let pg_type = match name.to_ascii_lowercase().as_str() {
            "flag" | "flag2" => PgType::Boolean,
            "small" => PgType::SmallInt,
            "int" | "int2" => PgType::Integer,
            "big" | "big2" => PgType::BigInt,
            "float" => PgType::DoublePrecision,
            "num" => PgType::Numeric { precision_scale: Some((10, 2)) },
            "txt" | "txt2" | "nocase" | "rtrim" | "custom" => PgType::Text,
            "ci" => PgType::Citext,
            "blob" => PgType::Bytea,
            "day" | "day2" => PgType::Date,
            "ts" | "ts2" => PgType::Timestamp(None),
            "tz" | "tz2" => PgType::TimestampTz(None),
            "doc" => PgType::Jsonb,
            "uid" => PgType::Uuid,
            "mood" => mood(),
            _ => return None,
        };
        Some((format!("\"{}\"", name.to_ascii_lowercase()), pg_type))
    }

    fn collation(&self, name: &str) -> Option<String> {
        match name {
            "nocase" | "ci" => Some("NOCASE".to_owned()),
            "rtrim" => Some("RTRIM".to_owned()),
            "custom" => Some("turkish".to_owned()),
            _ => None,
        }
    }
}

fn mood() -> PgType {
    PgType::Enum { name: "mood".to_owned(), labels: vec![("sad".to_owned(), 1), ("ok".to_owned(), 2)] }
}

/// Compares each translation of a table of "SQLite => PostgreSQL" or "SQLite => ! reason".
fn compare(table: &str, translate: impl Fn(&Expr) -> Result<String, NotCarried>) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (sqlite, expected) = line.split_once(" => ").unwrap();
        let found = match translate(&grammar::expression(sqlite).unwrap()) {
            Ok(sql) => sql,
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, expected.trim(), "{sqlite}");
    }
}

#[test]
fn conditions_on_numbers() {
    compare(
        r#"
        big > 0 => "big" > 0
        big == 5 AND int != 6 => ("big" = 5) AND ("int" <> 6)
        BIG <> -1 => "big" <> (-1)
        big = '5' => "big" = 5
        big = 'abc' => ! comparing integer with text differs in PostgreSQL
        big = txt => ! comparing integer with text differs in PostgreSQL
        big < 0.5 => "big" < 0.5
        big = float => ! comparing integer with double precision differs in PostgreSQL
        int <= float => "int" <= "float"
        num BETWEEN 0 AND 0x10 => ("num" >= 0) AND ("num" <= 16)
        big NOT IN (1, '2', NULL) => NOT ("big" IN (1, 2, NULL))
        big IN () => false
        big IS NOT int => "big" IS DISTINCT FROM "int"
        big IS NULL => "big" IS NULL
        big ISNULL OR big NOTNULL => ("big" IS NULL) OR ("big" IS NOT NULL)
        big => "big" <> 0
        NOT big => NOT ("big" <> 0)
        txt => ! a value of type text is used as a condition
        (big, int) = (1, 2) => ! a row value has no PostgreSQL form here
        big = (SELECT 1) => ! a subquery has no PostgreSQL form here
        missing > 1 => ! column "missing" has no PostgreSQL form here
        t.big > 1 => "big" > 1
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn arithmetic_is_of_64_bits_or_exact() {
    compare(
        r#"
        int + int2 > 0 => ("int"::bigint + "int2"::bigint) > 0
        big + 1 > big2 => ("big"::numeric + 1) > "big2"
        big * 2 => ("big"::numeric * 2) <> 0
        1 + 1 = 2 => 2 = 2
        int / int2 = 1 => ("int"::bigint / NULLIF("int2"::bigint, 0)) = 1
        big / 2 = 1 => ("big" / 2::bigint) = 1
        big / big2 = 1 => div("big"::numeric, NULLIF("big2", 0)) = 1
        big % 2 = 1 => ("big" % 2::bigint) = 1
        big / 0 IS NULL => NULL IS NULL
        big & 1 => ("big" & 1::bigint) <> 0
        big << 3 = 8 => ("big" << 3) = 8
        big << int => ! a shift by other than 0 to 63 bits differs in PostgreSQL
        - int < 0 => (- "int"::bigint) < 0
        - big < 0 => (- "big"::numeric) < 0
        abs(int) < 5 => abs("int"::bigint) < 5
        float * 2 > 1 => ! arithmetic with double precision differs in PostgreSQL
        num + 1 > 1 => ! arithmetic with numeric differs in PostgreSQL
        (big IS NULL) + (int IS NULL) = 1 => (("big" IS NULL)::integer::bigint + ("int" IS NULL)::integer::bigint) = 1
        max(int, big) > 1 => CASE WHEN "int" IS NULL OR "big" IS NULL THEN NULL ELSE GREATEST("int", "big") END > 1
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn booleans_take_the_place_of_0_and_1() {
    compare(
        r#"
        flag => "flag"
        NOT flag => NOT "flag"
        flag = 1 => "flag" = true
        flag = '0' => "flag" = false
        flag = TRUE AND flag IS NOT FALSE => ("flag" = true) AND ("flag" IS NOT FALSE)
        flag > 0 => "flag" > false
        flag = 2 => "flag"::integer = 2
        flag IN (0, 1) => "flag" IN (false, true)
        flag + flag2 = 1 => ("flag"::integer::bigint + "flag2"::integer::bigint) = 1
        flag = big => "flag"::integer = "big"
        (big > 1) = flag => ("big" > 1) = "flag"
        big IS TRUE => ("big" <> 0) IS TRUE
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn texts_compare_by_bytes_or_by_their_collation() {
    compare(
        r#"
        txt = 'a''b' => "txt" = 'a''b'
        txt = 'a\b' => "txt" = 'a\b'
        txt = "a" OR txt = "txt2" => ("txt" = 'a') OR ("txt" = "txt2")
        txt = [a] => ! column "a" has no PostgreSQL form here
        txt < 'b' => "txt" COLLATE "C" < 'b'
        txt = 5 => "txt" = '5'
        txt = 0.5 => ! a value of type double precision is used as text
        nocase = 'ABC' => lower("nocase" COLLATE "C") = 'abc'
        nocase IN ('A', txt) => lower("nocase" COLLATE "C") IN ('a', lower("txt" COLLATE "C"))
        txt = nocase => "txt" = "nocase"
        txt = nocase COLLATE NOCASE => lower("txt" COLLATE "C") = lower("nocase" COLLATE "C")
        ci = 'Ab' => lower("ci"::text COLLATE "C") = 'ab'
        rtrim > 'a ' => rtrim("rtrim", ' ') COLLATE "C" > rtrim('a ', ' ')
        custom = 'i' => ! collation "turkish" is the application's own
        txt || big || '-' = 'a' => ("txt" || "big"::text || '-') = 'a'
        txt || float = 'a' => ! a value of type double precision is used as text
        length(txt) = 3 => length("txt") = 3
        length(big) = 3 => length("big"::text) = 3
        length(blob) <= 16 => octet_length("blob") <= 16
        lower(txt) = txt => lower("txt" COLLATE "C") = "txt"
        trim(txt) <> '' => btrim("txt") <> ''
        substr(txt, 1, 2) = 'ab' => substr("txt", 1, 2) = 'ab'
        substr(txt, -2) = 'ab' => right("txt", 2) = 'ab'
        substr(txt, 0, 2) = 'ab' => ! function "substr" with this start or length differs in PostgreSQL
        replace(txt, '-', txt2) = '' => replace("txt", '-', "txt2") = ''
        instr(txt, '@') > 1 => strpos("txt", '@') > 1
        coalesce(txt, '') = '' => COALESCE("txt", '') = ''
        coalesce(txt, 0) = '' => ! a value is either text or integer
        CASE WHEN big > 1 THEN 'x' ELSE txt END = 'x' => CASE WHEN "big" > 1 THEN 'x' ELSE "txt" END = 'x'
        CAST(big AS TEXT) = '1' => "big"::text = '1'
        CAST(txt AS INTEGER) = 1 => ! CAST of text to "INTEGER" has other rules in PostgreSQL
        hex(blob) = '00' => COALESCE(upper(encode("blob", 'hex')), '') = '00'
        blob = x'00ff' => "blob" = '\x00ff'::bytea
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn patterns_fold_ascii_in_like_and_nothing_in_glob() {
    compare(
        r#"
        txt LIKE 'A%_é' => lower("txt" COLLATE "C") LIKE 'a%_é'
        txt NOT LIKE '%@%' => NOT ("txt" LIKE '%@%')
        txt LIKE 'a\%' => lower("txt" COLLATE "C") LIKE 'a\\%'
        txt LIKE '5x%%' ESCAPE 'x' => lower("txt" COLLATE "C") LIKE '5\%%'
        txt LIKE '5x' ESCAPE 'x' => ! LIKE with a malformed pattern
        txt LIKE txt2 => ! LIKE with a pattern that is not a string literal
        big LIKE '1%' => "big"::text LIKE '1%'
        txt GLOB 'A*?_' => "txt" LIKE 'A%_\_'
        txt GLOB '[a-f0-9].[^]x]*' => "txt" COLLATE "C" ~ '^[a-f0-9]\.[^\]x].*$'
        txt NOT GLOB '*[^0-9]*' => NOT ("txt" COLLATE "C" ~ '^.*[^0-9].*$')
        txt GLOB '[a' => ! GLOB with a malformed pattern
        txt REGEXP 'a' => ! the operator REGEXP has no PostgreSQL form here
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn other_types_compare_with_themselves() {
    compare(
        r#"
        day >= day2 => "day" >= "day2"
        day > '2000-01-01' => "day" > '2000-01-01'::date
        day > '2000-02-30' => ! comparing date with text differs in PostgreSQL
        date(day) = day => "day" = "day"
        date(ts) = day => "ts"::date = "day"
        date(tz) = day => ! function "date" of type timestamp with time zone has no PostgreSQL form here
        ts2 >= ts => "ts2" >= "ts"
        ts >= '2000-01-01' => ! comparing timestamp without time zone with text differs in PostgreSQL
        ts = tz => ! comparing timestamp without time zone with timestamp with time zone differs in PostgreSQL
        ts < CURRENT_TIMESTAMP => ! function "CURRENT_TIMESTAMP" has no PostgreSQL form here
        strftime('%Y', ts) = '2000' => ! function "strftime" has no PostgreSQL form here
        mood = 'sad' => "mood" = 'sad'
        mood = 'bad' => ! comparing mood with text differs in PostgreSQL
        mood IN ('sad', 'bad') => "mood" IN ('sad')
        mood < 'sad' => ! comparing mood with text differs in PostgreSQL
        uid = 'x' => ! comparing uuid with text differs in PostgreSQL
        doc IS NOT NULL => "doc" IS NOT NULL
        doc = '{}' => ! comparing jsonb with text differs in PostgreSQL
        doc ->> '$.a' = 1 => ! a JSON operator gives a value whose type depends on the document
        "#,
        |e| predicate(e, &Columns),
    );
}

#[test]
fn a_check_that_cannot_be_false_is_true() {
    compare(
        r#"
        flag IN (0, 1) => true
        flag IN (1) => "flag" IN (true)
        json_valid(doc) => true
        json_valid(doc) = 1 OR doc IS NULL => true
        json_valid(doc) AND big > 0 => NULLIF("doc" IS NOT NULL, false) AND ("big" > 0)
        json_valid(txt) => ! function "json_valid" of type text has no PostgreSQL form here
        mood IN ('sad', 'ok', 'gone') => true
        typeof(big) IN ('integer', 'null') => true
        typeof(big) = 'integer' => "big" IS NOT NULL
        typeof(txt) <> 'blob' => true
        typeof(float) = 'real' => ! function "typeof" has no PostgreSQL form here
        typeof(txt) = 'integer' => ! function "typeof" has no PostgreSQL form here
        "#,
        |e| check(e, &Columns),
    );
}

#[test]
fn index_terms_are_immutable_and_in_parentheses() {
    compare(
        r#"
        lower(txt) => (lower("txt" COLLATE "C"))
        big % 10 => ("big" % 10::bigint)
        coalesce(big, 0) => (COALESCE("big", 0))
        date(ts) => ("ts"::date)
        json_extract(doc, '$.a') => ! function "json_extract" has no PostgreSQL form here
        random() => ! function "random" has no PostgreSQL form here
        date('now') => ! function "date" of type text has no PostgreSQL form here
        1 => ! a constant in an index has no PostgreSQL form here
        "#,
        |e| index_term(e, &Columns),
    );
}

#[test]
fn generated_columns_take_the_columns_type() {
    let sql = |text, pg_type| match generated(&grammar::expression(text).unwrap(), &Columns, &pg_type) {
        Ok(sql) => sql,
        Err(error) => format!("! {error}"),
    };
    assert_eq!(sql("txt || '-' || big", PgType::Varchar(Some(9))), r#""txt" || '-' || "big"::text"#);
    assert_eq!(sql("int * 2", PgType::BigInt), r#""int"::bigint * 2::bigint"#);
    assert_eq!(sql("big > 1", PgType::Boolean), r#""big" > 1"#);
    assert_eq!(sql("big > 1", PgType::BigInt), r#"("big" > 1)::integer"#);
    assert_eq!(sql("big", PgType::Text), r#""big"::text"#);
    assert_eq!(sql("big", PgType::Boolean), "! the expression gives integer where the column is boolean");
    assert_eq!(sql("txt", PgType::BigInt), "! the expression gives text where the column is bigint");
}

#[test]
fn defaults_are_values_of_the_columns_type() {
    let numeric = PgType::Numeric { precision_scale: Some((4, 2)) };
    let timestamp = PgType::Timestamp(None);
    let tz = PgType::TimestampTz(None);
    let text20 = PgType::Varchar(Some(20));
    for (text, pg_type, expected) in [
        ("NULL", &PgType::Text, "-"),
        ("1", &PgType::Boolean, "true"),
        ("'0'", &PgType::Boolean, "false"),
        ("FALSE", &PgType::Boolean, "false"),
        ("'off'", &PgType::Boolean, "false"),
        ("2", &PgType::Boolean, "! default 2 is no value of type boolean"),
        ("true", &PgType::BigInt, "1"),
        ("' +5 '", &PgType::BigInt, "5"),
        ("-9223372036854775808", &PgType::BigInt, "-9223372036854775808"),
        ("9223372036854775808", &PgType::BigInt, "! default 9.223372036854776e18 is no value of type bigint"),
        ("70000", &PgType::SmallInt, "! default 70000 is no value of type smallint"),
        ("1.0", &PgType::BigInt, "1"),
        ("1.5", &PgType::BigInt, "! default 1.5 is no value of type bigint"),
        ("''", &PgType::BigInt, "! default '' is no value of type bigint"),
        ("-0.25", &numeric, "-0.25"),
        ("0.125", &numeric, "! default 0.125 is no value of type numeric(4,2)"),
        ("123", &numeric, "! default 123 is no value of type numeric(4,2)"),
        (
            "9e999",
            &PgType::DoublePrecision,
            "! default an infinite number is no value of type double precision",
        ),
        ("5", &PgType::Text, "'5'"),
        ("1e3", &PgType::Text, "'1000.0'"),
        ("\"it's\"", &PgType::Text, "'it''s'"),
        ("bare", &PgType::Text, "'bare'"),
        ("'back\\'", &PgType::Text, "'back\\'"),
        (
            "'abcdefghijklmnopqrstuvwxyz'",
            &text20,
            "! default 'abcdefghijklmnopqrstuvwxyz' is no value of type character varying(20)",
        ),
        ("x'00FF'", &PgType::Bytea, "'\\x00ff'::bytea"),
        ("x'00FF'", &PgType::Text, "! default a blob is no value of type text"),
        ("'2024-02-29'", &PgType::Date, "'2024-02-29'::date"),
        ("'2023-02-29'", &PgType::Date, "! default '2023-02-29' is no value of type date"),
        ("'now'", &PgType::Date, "! default 'now' is no value of type date"),
        ("'2024-01-02 03:04:05'", &tz, "'2024-01-02 03:04:05+00'::timestamp with time zone"),
        ("'2024-01-02T03:04:05.5+03:30'", &tz, "'2024-01-02 03:04:05.5+03:30'::timestamp with time zone"),
        ("'2024-01-02T03:04Z'", &timestamp, "'2024-01-02 03:04'::timestamp without time zone"),
        (
            "'0000-01-01T00:00:00Z'",
            &tz,
            "! default '0000-01-01T00:00:00Z' is no value of type timestamp with time zone",
        ),
        ("'{\"a\": [1]}'", &PgType::Jsonb, "'{\"a\": [1]}'::jsonb"),
        ("'{'", &PgType::Jsonb, "! default '{' is no value of type jsonb"),
        ("'\"\\u0000\"'", &PgType::Jsonb, "! default '\"\\u0000\"' is no value of type jsonb"),
        (
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            &PgType::Uuid,
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
        ),
        ("'10.0.0.1/8'", &PgType::Inet, "'10.0.0.1/8'::inet"),
        ("'10.0.0.1/8'", &PgType::Cidr, "! default '10.0.0.1/8' is no value of type cidr"),
        ("5", &PgType::Inet, "! default 5 is no value of type inet"),
        ("16777217", &PgType::Real, "! default 16777217 is no value of type real"),
        ("'ok'", &mood(), "'ok'::mood"),
        ("'bad'", &mood(), "! default 'bad' is no value of type mood"),
        ("CURRENT_TIMESTAMP", &tz, "now()"),
        ("CURRENT_TIMESTAMP", &timestamp, "(now() AT TIME ZONE 'UTC')"),
        ("datetime('now', 'localtime')", &timestamp, "(LOCALTIMESTAMP)"),
        ("CURRENT_TIMESTAMP", &PgType::Text, "(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))"),
        (
            "CURRENT_TIMESTAMP",
            &PgType::Varchar(Some(10)),
            "! the current date and time is no value of type character varying(10)",
        ),
        ("CURRENT_TIMESTAMP", &PgType::BigInt, "! the current date and time is no value of type bigint"),
        ("date('now')", &PgType::Date, "((now() AT TIME ZONE 'UTC')::date)"),
        ("current_time", &PgType::Time(None), "((now() AT TIME ZONE 'UTC')::time)"),
        (
            "strftime('%Y-%m-%dT%H:%M:%fZ')",
            &PgType::Text,
            "(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))",
        ),
        ("strftime('%s', 'now')", &PgType::BigInt, "(floor(extract(epoch FROM now()))::bigint)"),
        ("CAST(strftime('%s','now') AS INT)", &tz, "now()"),
        (
            "(unixepoch() * 1000)",
            &PgType::BigInt,
            "(floor(extract(epoch FROM now()))::bigint * 1000::bigint)",
        ),
        (
            "(unixepoch() * 1000)",
            &PgType::Integer,
            "! the expression may give a value that integer cannot hold",
        ),
        (
            "date('now', '+7 days')",
            &PgType::Date,
            "(((now() + interval '604800 seconds') AT TIME ZONE 'UTC')::date)",
        ),
        (
            "date('now', '+1 month')",
            &PgType::Date,
            "! function \"date\" with modifier \"+1 month\" has no PostgreSQL form here",
        ),
        (
            "'r'||lower(hex(randomblob(7)))",
            &text20,
            "('r' || encode(substr(uuid_send(gen_random_uuid()), 10, 7), 'hex'))",
        ),
        (
            "lower(hex(randomblob(16)))",
            &text20,
            "! the expression may give a value that character varying(20) cannot hold",
        ),
        (
            "abs(random()) % 10",
            &PgType::SmallInt,
            "(abs(('x' || encode((substr(uuid_send(gen_random_uuid()), 10, 7) || substr(uuid_send(gen_random_uuid()), 10, 1)), 'hex'))::bit(64)::bigint) % 10::bigint)",
        ),
        (UUID, &PgType::Uuid, "gen_random_uuid()"),
        (UUID, &PgType::Text, "gen_random_uuid()::text"),
        ("printf('%d', 1)", &PgType::Text, "! function \"printf\" has no PostgreSQL form here"),
        ("other + 1", &PgType::BigInt, "! column \"other\" has no PostgreSQL form here"),
        ("1), d CHECK (1", &PgType::BigInt, "! unbalanced \")\" at line 1, column 2"),
    ] {
        let found = match default(text, pg_type) {
            Ok(Some(sql)) => sql,
            Ok(None) => "-".to_owned(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, expected, "{text} for {pg_type}");
    }
}

const UUID: &str = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || \
    '-' || substr('89AB', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

#[test]
fn only_checks_that_mean_0_and_1_make_a_boolean() {
    let column = |text: &str, found: fn(&CheckSql) -> Option<String>| {
        let table = grammar::table(&format!("CREATE TABLE t(a, \"A b\", CHECK ({text}))")).unwrap();
        found(&table.checks[0])
    };
    for text in [
        "a IN (0, 1)",
        "(a IN (1,0))",
        "a IN (FALSE, TRUE)",
        "a = 0 OR 1 = a",
        "a IS NULL OR a IN (0, 1)",
        "a = 1 OR a = 0 OR a IS NULL",
        "t.a IN (0, 1)",
    ] {
        assert_eq!(column(text, is_boolean_check).as_deref(), Some("a"), "{text}");
    }
    assert_eq!(column("\"A b\" IN (0, 1)", is_boolean_check).as_deref(), Some("A b"));
    for text in [
        "a IN (0, 1, 2)",
        "a IN (1)",
        "a IN (0, 0)",
        "a IN ('0', '1')",
        "a NOT IN (0, 1)",
        "a BETWEEN 0 AND 1",
        "a IN (0, 1) AND \"A b\" > 1",
        "a = 0 OR \"A b\" = 1",
        "\"A b\" IS NULL OR a IN (0, 1)",
        "a + 0 IN (0, 1)",
    ] {
        assert_eq!(column(text, is_boolean_check), None, "{text}");
    }
    assert_eq!(column("(JSON_VALID(\"a\") OR \"a\" IS NULL)", is_json_check).as_deref(), Some("a"));
    assert_eq!(column("json_valid(a) OR \"A b\" IS NULL", is_json_check), None);
}

/// Expressions of any shape over the columns above.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "flag",
        "small",
        "int",
        "big",
        "float",
        "num",
        "txt",
        "nocase",
        "rtrim",
        "blob",
        "day",
        "ts",
        "tz",
        "doc",
        "uid",
        "mood",
        "NULL",
        "0",
        "1",
        "-9223372036854775808",
        "9e999",
        "0.1",
        "'a'",
        "''",
        "x'00'",
        "TRUE",
        "\"q\"",
        "'[a-'",
        "CURRENT_TIMESTAMP",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(8, 64, 4, |inner| {
        let infix = proptest::sample::select(vec![
            "+", "-", "*", "/", "%", "&", "|", "<<", ">>", "||", "=", "<>", "<", ">=", "IS", "IS NOT", "AND",
            "OR", "LIKE", "GLOB", "->>",
        ]);
        let function = proptest::sample::select(vec![
            "length",
            "lower",
            "abs",
            "min",
            "max",
            "coalesce",
            "nullif",
            "iif",
            "substr",
            "replace",
            "trim",
            "hex",
            "typeof",
            "json_valid",
            "date",
            "strftime",
            "randomblob",
            "random",
            "instr",
            "unknown",
        ]);
        prop_oneof![
            (inner.clone(), infix, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (function, proptest::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} BETWEEN {b} AND {c})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("CASE {a} WHEN {b} THEN {c} ELSE {a} END")),
            (inner.clone(), proptest::collection::vec(inner.clone(), 0..4))
                .prop_map(|(a, list)| format!("({a} NOT IN ({}))", list.join(", "))),
            inner.clone().prop_map(|a| format!("CAST({a} AS INTEGER)")),
            inner.clone().prop_map(|a| format!("CAST({a} AS TEXT)")),
            inner.clone().prop_map(|a| format!("({a} COLLATE NOCASE)")),
            inner.prop_map(|a| format!("(NOT - ~ {a})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_expression_has_a_verdict_and_balanced_text(text in expressions()) {
        let expr = grammar::expression(&text).unwrap();
        let _ = default(&text, &PgType::Text);
        for sql in [
            check(&expr, &Columns),
            predicate(&expr, &Columns),
            index_term(&expr, &Columns),
            generated(&expr, &Columns, &PgType::BigInt),
        ].into_iter().flatten() {
            // No literal here has a quote or a parenthesis in it.
            prop_assert_eq!(sql.matches('(').count(), sql.matches(')').count());
            prop_assert!(sql.matches('\'').count() % 2 == 0);
            prop_assert!(sql.len() <= 200_002);
        }
    }
}

#[test]
fn a_deep_expression_has_a_verdict() {
    for (before, after) in [
        ("coalesce(big, ", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("max(big, ", ")"),
        ("big IN (", ")"),
        ("- ", ""),
        ("NOT ", ""),
        ("", " = 1"),
        ("", " BETWEEN 1 AND 2"),
    ] {
        for count in [20, 59, 190] {
            let text = format!("{}big{}", before.repeat(count), after.repeat(count));
            let expr = grammar::expression(&text).unwrap();
            let _ = check(&expr, &Columns);
            let _ = default(&text, &PgType::BigInt);
        }
    }
}
