//! Generated rows of every type, loaded in each of the ways there are: as tuple images, by one converter and
//! by three, from pages and through SQLite, as datums, and by an INSERT. All must store the same, set the
//! same rows aside, and have the digest that was sent; and the digest must see any change.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::column::ColumnPlan;
use aliaport_rows::convert::{NumberUnit, UuidBytes, Zone};
use aliaport_rows::digest::TableDigest;
use aliaport_rows::identifier::QualifiedName;
use aliaport_sqlite::{OpenOptions, Source, fixture};
use pgrx::pg_sys;
use pgrx::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;

use super::texts::{for_all, like, one_of};
use crate::pg::heap::load::{self, Loaded, Policy};
use crate::pg::heap::readback;
use crate::pg::server::{compat, interrupt, spi};
use crate::pg::table::stage::Stage;
use crate::pg::table::target;
use aliaport_rows::row::{OnError, Refusals};

/// The schema of the target tables, and their columns: one of every type that has a converter.
const SCHEMA: &str = "round";
const COLUMNS: &[(&str, &str)] = &[
    ("k", "bigint NOT NULL"),
    ("b", "boolean"),
    ("i2", "smallint"),
    ("i4", "integer"),
    ("i8", "bigint"),
    ("f4", "real"),
    ("f8", "double precision"),
    ("n", "numeric"),
    ("n2", "numeric(15,2)"),
    ("s", "text"),
    ("v", "varchar(8)"),
    ("c", "char(8)"),
    ("x", "bytea"),
    ("d", "date"),
    ("t", "time"),
    ("t3", "time(3)"),
    ("ts", "timestamp"),
    ("tz", "timestamptz"),
    ("j", "json"),
    ("jb", "jsonb"),
    ("u", "uuid"),
    ("e", "round.state"),
];

/// A value as SQL that makes SQLite store exactly it.
#[derive(Clone)]
enum Stored {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Stored {
    fn sql(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Stored::Null => "NULL".to_owned(),
            // The smallest integer cannot be written as one.
            Stored::Integer(i64::MIN) => "-9223372036854775807 - 1".to_owned(),
            Stored::Integer(v) => v.to_string(),
            Stored::Real(v) if v.is_infinite() => if *v < 0.0 { "-9e999" } else { "9e999" }.to_owned(),
            Stored::Real(v) => format!("{v:e}"),
            Stored::Text(text) => format!("CAST(x'{}' AS TEXT)", hex(text.as_bytes())),
            Stored::Blob(bytes) => format!("x'{}'", hex(bytes)),
        }
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.60}", self.sql())
    }
}

fn text(texts: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Stored> {
    texts.prop_map(Stored::Text).boxed()
}

fn integer(range: RangeInclusive<i64>) -> BoxedStrategy<Stored> {
    range.prop_map(Stored::Integer).boxed()
}

fn real() -> BoxedStrategy<Stored> {
    prop_oneof![
        3 => (any::<i32>(), 0..=4i32).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places)),
        1 => -1e12..1e12f64,
        1 => select(vec![0.0, 0.5, -1.25, 1e15, 123_456_789.125]),
    ]
    .prop_map(Stored::Real)
    .boxed()
}

/// Values that a column takes, of every storage class that it takes.
fn good(column: &str) -> BoxedStrategy<Stored> {
    let date = like("(1[89]|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])");
    let clock = like("([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?");
    let stamp = || {
        prop_oneof![
            3 => text((date.clone(), one_of(&[" ", "T"]), clock.clone(), one_of(&["", "", "Z", "+03:00", "-0330"])).prop_map(|(d, s, t, z)| d + &s + &t + &z)),
            1 => text(date.clone()),
            1 => integer(0..=4_000_000_000),
            1 => (2_000_000.0..2_800_000.0f64).prop_map(Stored::Real),
        ]
        .boxed()
    };
    let long = prop_oneof![
        6 => like("[a-zçğış€ ]{0,20}"),
        1 => like("[a-z]{120,130}"),
        // Stored out of line: one that compresses well, one that does not.
        1 => (2000..30_000usize).prop_map(|n| "ab".repeat(n)),
        1 => prop::collection::vec(32..127u8, 2000..9000).prop_map(|bytes| String::from_utf8(bytes).unwrap()),
    ];
    match column {
        "b" => prop_oneof![integer(0..=1), text(one_of(&["true", "f", "yes", "OFF", "1"]))].boxed(),
        "i2" => prop_oneof![integer(-32_768..=32_767), text(like("-?[0-9]{1,4}")), Just(Stored::Real(3.0))].boxed(),
        "i4" => prop_oneof![integer(-2_147_483_648..=2_147_483_647), text(like("-?[0-9]{1,9}"))].boxed(),
        "i8" => integer(i64::MIN..=i64::MAX),
        "f4" => prop_oneof![integer(-1000..=1000), text(like("-?[0-9]{1,3}\\.[0-9]{1,3}")), (-1e6..1e6f64).prop_map(Stored::Real)].boxed(),
        "f8" => prop_oneof![real(), integer(i64::MIN..=i64::MAX), text(like("-?[0-9]{1,9}\\.[0-9]{1,9}"))].boxed(),
        "n" => prop_oneof![real(), integer(i64::MIN..=i64::MAX), text(like("-?[0-9]{1,30}(\\.[0-9]{1,30})?"))].boxed(),
        "n2" => prop_oneof![real(), integer(-999_999..=999_999), text(like("-?[0-9]{1,13}(\\.[0-9]{1,3})?"))].boxed(),
        "s" => prop_oneof![4 => text(long), 1 => real(), 1 => integer(i64::MIN..=i64::MAX)].boxed(),
        "v" => prop_oneof![4 => text(like("[a-zçğış€ ]{0,8}")), 1 => integer(0..=1000)].boxed(),
        "c" => prop_oneof![4 => text(like("[a-zçğış€]{0,5} {0,3}")), 1 => integer(0..=1000)].boxed(),
        "x" => prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Stored::Blob),
            1 => prop::collection::vec(any::<u8>(), 2000..5000).prop_map(Stored::Blob),
            1 => text(like("[a-z\\\\]{0,20}")),
        ]
        .boxed(),
        "d" => prop_oneof![4 => text(date.clone()), 1 => stamp()].boxed(),
        "t" | "t3" => prop_oneof![text(clock.clone()), text((date.clone(), clock.clone()).prop_map(|(d, t)| d + " " + &t))].boxed(),
        "ts" | "tz" => stamp(),
        "j" | "jb" => prop_oneof![
            4 => text(one_of(&["null", "[]", "{}", "{\"b\": 1, \"a\": [null, \"ş\"]}", "{\"a\":1,\"a\":2}", "1.50", "\"\\u0041\"", " [1,2 , 3] "])),
            1 => text((0..3000usize).prop_map(|n| format!("[{}0]", "12345.678, ".repeat(n)))),
            1 => integer(i64::MIN..=i64::MAX),
        ]
        .boxed(),
        "u" => prop_oneof![
            text(like("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")),
            text(like("[0-9A-F]{32}")),
            any::<[u8; 16]>().prop_map(|bytes| Stored::Blob(bytes.to_vec())),
        ]
        .boxed(),
        "e" => text(one_of(&["DRAFT", "CLOSED", "çekek"])),
        other => panic!("{other}"),
    }
}

/// Anything that SQLite stores; now and then a column takes it.
fn anything() -> BoxedStrategy<Stored> {
    prop_oneof![
        integer(i64::MIN..=i64::MAX),
        real(),
        text(like("[a-z0-9 -]{0,12}")),
        text(one_of(&["", "nul\0inside", "2023-02-30", "{\"a\"", "\"\\u0000\"", "1e400"])),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Stored::Blob),
        Just(Stored::Real(f64::INFINITY)),
    ]
    .boxed()
}

/// A row, but for its key; so many of a hundred values are NULL.
fn row(nulls: u32) -> impl Strategy<Value = Vec<Stored>> {
    COLUMNS[1..]
        .iter()
        .map(|(name, _)| {
            prop_oneof![99 - nulls => good(name), nulls => Just(Stored::Null), 1 => anything()].boxed()
        })
        .collect::<Vec<_>>()
}

/// A SQLite database in the server's folder for temporary files, removed with this value.
struct Database {
    path: PathBuf,
}

impl Database {
    /// With so many copies of the rows; keys are counted from 0.
    fn new(rows: &[Vec<Stored>], copies: usize) -> Self {
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let path = folder.join(format!("aliaport_import_test_{}.db", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        // Without declared types, so that no affinity changes a value.
        let mut statements = vec![format!("CREATE TABLE t ({}, interval)", names.join(", "))];
        for (key, row) in rows.iter().enumerate() {
            let values: Vec<String> = row.iter().map(Stored::sql).collect();
            statements.push(format!("INSERT INTO t VALUES ({key}, {}, '1 day')", values.join(", ")));
        }
        let (count, rest) = (rows.len(), names[1..].join(", "));
        for copy in 1..copies {
            statements.push(format!(
                "INSERT INTO t SELECT k + {}, {rest}, interval FROM t WHERE k < {count}",
                copy * count
            ));
        }
        fixture::create(&path, &statements).unwrap();
        Database { path }
    }

    fn open(&self) -> Source {
        let options =
            OpenOptions { busy_timeout: Duration::from_secs(1), is_cancelled: interrupt::is_cancelled };
        Source::open(&self.path, options).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The tables that are loaded as if the run had made them: their rows are looked at right after they were
/// written. `plain` lacks the column whose values are not hashed as they are stored.
const NEW: &[&str] = &["arrived", "plain"];

/// Makes the target tables: `images`, `arrived` and `executed` alike, `datums` with a column more, whose type
/// has no converter and so keeps the load from forming tuples itself.
fn make_tables() {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, pg_type)| format!("{name} {pg_type}")).collect();
    let plain = columns[..columns.len() - 1].join(", ");
    let columns = columns.join(", ");
    spi::run_for_caller(&format!(
        "CREATE SCHEMA {SCHEMA}; CREATE TYPE {SCHEMA}.state AS ENUM ('DRAFT', 'CLOSED', 'çekek'); \
         CREATE TABLE {SCHEMA}.images ({columns}); CREATE TABLE {SCHEMA}.executed ({columns}); \
         CREATE TABLE {SCHEMA}.arrived ({columns}); CREATE TABLE {SCHEMA}.plain ({plain}); \
         CREATE TABLE {SCHEMA}.datums ({columns}, interval interval)"
    ))
    .unwrap();
}

fn empty_tables() {
    spi::run_for_caller("TRUNCATE round.images, round.arrived, round.plain, round.executed, round.datums")
        .unwrap();
}

/// A table and the plan that fills all its columns.
fn planned(table: &str) -> (pg_sys::Oid, TablePlan) {
    let existing = target::read(SCHEMA, &[SCHEMA.to_owned()], |_| true, |_| true).unwrap();
    let relation = existing.relations.iter().find(|relation| relation.name == table).unwrap();
    let columns = relation.columns.iter().map(|column| ColumnPlan {
        source: column.name.clone(),
        declared_type: String::new(),
        target: column.name.clone(),
        pg_type: column.pg_type.clone(),
        is_not_null: column.is_not_null,
        number: NumberUnit::Auto,
        uuid: UuidBytes::Unsaid,
    });
    let plan = TablePlan {
        source: "t".to_owned(),
        target: QualifiedName { schema: SCHEMA.to_owned(), name: table.to_owned() },
        is_created: false,
        columns: columns.collect(),
        has_rowid: true,
        source_key: vec!["k".to_owned()],
        sync_key: Vec::new(),
        filter: None,
        foreign_keys: Vec::new(),
        sequences: Vec::new(),
        findings: Vec::new(),
    };
    (target::relation_oid(SCHEMA, table).unwrap().unwrap(), plan)
}

/// What a load came to.
#[derive(Debug, PartialEq)]
struct Result {
    read: u64,
    written: u64,
    rejected: u64,
    /// Key, column, SQLSTATE.
    set_aside: Vec<(String, Option<String>, String)>,
    lossy: Vec<(String, &'static str, u64)>,
}

/// Loads a table; checks that its digest is what was sent.
fn load(database: &Database, table: &str) -> std::result::Result<Result, String> {
    let (oid, plan) = planned(table);
    let mut source = database.open();
    let catalogue = source.catalogue().unwrap();
    let columns: Vec<usize> = (0..plan.columns.len()).collect();
    let mut set_aside = Vec::new();
    let zone = Zone::parse("Europe/Istanbul").unwrap();
    let loaded: Loaded = {
        let mut keep = |entries: Vec<aliaport_rows::row::SetAside>| {
            set_aside.extend(
                entries.into_iter().map(|e| (e.source_key.to_string(), e.column, e.sqlstate.to_string())),
            );
            Ok(())
        };
        let policy = Policy {
            on_error: OnError::Reject,
            zone: &zone,
            refusals: Arc::new(Refusals::new()),
            too_wide: Arc::default(),
            with_digest: true,
            set_aside: &mut keep,
            matcher: None,
        };
        let reader = source.rows_to_send(&catalogue.tables[0], &columns, None).unwrap();
        if table == "executed" {
            let stage = Stage::create(&plan, oid, 0).unwrap();
            let loaded = load::bulk(reader, &plan, stage.relation, true, policy).unwrap();
            compat::command_counter_increment();
            stage.insert_all(&plan.target).unwrap();
            stage.drop().unwrap();
            loaded
        } else {
            let loaded = load::bulk(reader, &plan, oid, NEW.contains(&table), policy).unwrap();
            let stored = (table != "datums").then(|| *loaded.converter.digest());
            if loaded.stored != stored {
                return Err(format!("{table}: {stored:?} was sent, {:?} arrived", loaded.stored));
            }
            loaded
        }
    };
    compat::command_counter_increment();
    let stored = readback::digest(oid, &plan).unwrap();
    if stored != *loaded.converter.digest() {
        return Err(format!("{table}: sent {:?}, stored {stored:?}", loaded.converter.digest()));
    }
    Ok(Result {
        read: loaded.source_rows,
        written: loaded.imported_rows,
        rejected: loaded.rejected_rows,
        set_aside,
        lossy: loaded
            .converter
            .lossy()
            .map(|(column, lossy, n)| (column.target.clone(), lossy.code(), n))
            .collect(),
    })
}

/// The keys of rows that two tables do not have alike, byte by byte.
fn different(one: &str, other: &str) -> Vec<String> {
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT one::text || ' / ' || other::text FROM (SELECT {columns} FROM {SCHEMA}.{one}) one \
         FULL JOIN (SELECT {columns} FROM {SCHEMA}.{other}) other USING (k) WHERE (one *= other) IS NOT TRUE LIMIT 3"
    );
    spi::rows_for_caller(&sql, &[], |row| row.get::<String>(1))
        .unwrap()
        .into_iter()
        .map(|text| format!("{text:?}"))
        .collect()
}

fn all_ways_agree(rows: &[Vec<Stored>], copies: usize) -> std::result::Result<(), String> {
    empty_tables();
    let database = Database::new(rows, copies);
    let images = load(&database, "images")?;
    let datums = load(&database, "datums")?;
    let executed = load(&database, "executed")?;
    spi::run_for_caller("SET aliaport_import.converters = 3").unwrap();
    let arrived = load(&database, "arrived")?;
    spi::run_for_caller("SET aliaport_import.read_pages = off").unwrap();
    let plain = load(&database, "plain")?;
    spi::run_for_caller("RESET aliaport_import.converters; RESET aliaport_import.read_pages").unwrap();
    if plain.written < arrived.written || plain.read != arrived.read {
        return Err(format!("plain {plain:?}, arrived {arrived:?}"));
    }
    if images.read != (rows.len() * copies) as u64 || images.read != images.written + images.rejected {
        return Err(format!("{} rows, {copies} times: {images:?}", rows.len()));
    }
    if images != executed || images != datums || images != arrived {
        return Err(format!(
            "images {images:?}, datums {datums:?}, executed {executed:?}, arrived {arrived:?}"
        ));
    }
    let in_order = "SELECT count(*) = 0 FROM (SELECT k, lag(k) OVER (ORDER BY ctid) AS before FROM round.arrived) AS a WHERE k < before";
    if spi::one_for_caller::<bool>(in_order, &[]).unwrap() != Some(true) {
        return Err("rows are not in the order of the source".to_owned());
    }
    for (one, other) in [("images", "datums"), ("images", "executed"), ("images", "arrived")] {
        let different = different(one, other);
        if !different.is_empty() {
            return Err(format!("{one}, {other}: {different:?}"));
        }
    }
    // The same rows have the same digest, whatever else is in the table.
    let (_, plan) = planned("images");
    let digest =
        |table: &str| readback::digest(target::relation_oid(SCHEMA, table).unwrap().unwrap(), &plan).unwrap();
    if ["datums", "executed", "arrived"].iter().any(|table| digest(table) != digest("images")) {
        return Err("digests differ".to_owned());
    }
    Ok(())
}

/// For each column, two values that are near each other, and yet not the same.
const CHANGES: &[(&str, &str, &str)] = &[
    ("b", "true", "false"),
    ("i2", "1", "257"),
    ("i4", "1", "65537"),
    ("i8", "1", "4294967297"),
    ("i8", "-9223372036854775807", "9223372036854775807"),
    ("f4", "0.1", "0.10000001"),
    ("f8", "0.1", "0.10000000000000002"),
    ("f8", "9007199254740992", "9007199254740994"),
    ("n", "1.5", "1.50"),
    ("n", "12345678901234567890123.0000000001", "12345678901234567890123.0000000002"),
    ("n", "'NaN'", "'Infinity'"),
    ("n", "10000", "1"),
    ("n2", "1.25", "1.26"),
    ("n2", "1.25", "-1.25"),
    ("s", "'a'", "'A'"),
    ("s", "'a'", "'a '"),
    ("s", "''", "NULL"),
    ("s", "repeat('a', 50000)", "repeat('a', 50000) || 'b'"),
    ("v", "'a'", "'a '"),
    ("c", "'a'", "' a'"),
    ("x", "'\\x00'", "'\\x0000'"),
    ("x", "''", "NULL"),
    ("d", "'2023-01-01'", "'2023-01-02'"),
    ("d", "'0001-01-01'", "'0001-01-01 BC'"),
    ("d", "'infinity'", "'-infinity'"),
    ("t", "'00:00'", "'24:00'"),
    ("t", "'12:00:00.000001'", "'12:00:00.000002'"),
    ("t3", "'12:00:00.001'", "'12:00:00.002'"),
    ("ts", "'2023-01-01 12:00:00.000001'", "'2023-01-01 12:00:00.000002'"),
    ("ts", "'infinity'", "'-infinity'"),
    ("tz", "'2023-01-01 12:00:00+00'", "'2023-01-01 12:00:00+01'"),
    ("j", "'{\"a\":1}'", "'{\"a\": 1}'"),
    ("jb", "'[1]'", "'[1.0]'"),
    ("jb", "'null'", "NULL"),
    ("jb", "'\"1\"'", "'1'"),
    ("u", "'00000000-0000-0000-0000-000000000001'", "'10000000-0000-0000-0000-000000000000'"),
    ("e", "'DRAFT'", "'CLOSED'"),
];

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn tuples_are_formed_by_the_reader_unless_a_type_has_no_converter() {
        make_tables();
        for (table, expected) in [("images", true), ("datums", false)] {
            let (oid, plan) = planned(table);
            assert_eq!(load::takes_images(oid, &plan).unwrap(), expected, "{table}");
        }
    }

    #[pg_test]
    fn every_way_to_load_stores_the_same_rows() {
        make_tables();
        for_all(25, prop::collection::vec(row(19), 0..60), |rows| all_ways_agree(&rows, 1));
    }

    #[pg_test]
    fn every_way_to_load_stores_the_same_rows_in_many_batches() {
        make_tables();
        // More bytes than a batch has, and more rows.
        for_all(1, prop::collection::vec(row(19), 40..60), |rows| all_ways_agree(&rows, 30));
        for_all(1, prop::collection::vec(row(98), 40..60), |rows| all_ways_agree(&rows, 70));
    }

    #[pg_test]
    fn the_digest_sees_every_change_of_one_value() {
        make_tables();
        let (oid, plan) = planned("images");
        let digest = || -> TableDigest {
            compat::command_counter_increment();
            readback::digest(oid, &plan).unwrap()
        };
        spi::run_for_caller("INSERT INTO round.images (k) VALUES (1), (2)").unwrap();
        for (column, one, other) in CHANGES {
            let set = |value: &str| {
                spi::run_for_caller(&format!("UPDATE round.images SET {column} = {value} WHERE k = 1"))
                    .unwrap()
            };
            set(one);
            let before = digest();
            set(other);
            assert_ne!(digest(), before, "{column}: {one} became {other}");
            set(one);
            assert_eq!(digest(), before, "{column}: {one} again");
            set("NULL");
            assert_ne!(digest(), before, "{column}: {one} became NULL");
        }
        for (name, _) in &COLUMNS[1..] {
            assert!(CHANGES.iter().any(|(column, ..)| column == name), "{name} is not tried");
        }
        // A value in the wrong column or the wrong row.
        let moved = |before: &str, after: &str| {
            spi::run_for_caller(before).unwrap();
            let digest_before = digest();
            spi::run_for_caller(after).unwrap();
            assert_ne!(digest(), digest_before, "{after}");
        };
        moved("UPDATE round.images SET i4 = 5, i8 = 7", "UPDATE round.images SET i4 = 7, i8 = 5");
        moved("UPDATE round.images SET i4 = k", "UPDATE round.images SET i4 = 3 - k");
        moved("UPDATE round.images SET s = 'ab', v = 'c'", "UPDATE round.images SET s = 'a', v = 'bc'");
        moved("SELECT 1", "INSERT INTO round.images SELECT * FROM round.images WHERE k = 1");
    }

    /// What a trigger changes on the way is not what was sent: a dry run says so, an import refuses.
    #[pg_test]
    fn a_value_that_a_trigger_changes_is_reported() {
        make_tables();
        spi::run_for_caller(
            "CREATE FUNCTION round.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.s := upper(NEW.s); RETURN NEW; END $$; \
             CREATE TRIGGER shout BEFORE INSERT ON round.executed FOR EACH ROW EXECUTE FUNCTION round.shout()",
        )
        .unwrap();
        let row = |text: &str| {
            let mut row = vec![Stored::Null; COLUMNS.len() - 1];
            row[8] = Stored::Text(text.to_owned());
            row
        };
        assert_eq!(COLUMNS[9].0, "s");
        assert_eq!(load(&Database::new(&[row("A")], 1), "executed").map(|loaded| loaded.written), Ok(1));
        empty_tables();
        let difference = load(&Database::new(&[row("A"), row("a")], 1), "executed").unwrap_err();
        assert!(difference.starts_with("executed: sent"), "{difference}");
        empty_tables();
        let database = Database::new(&[row("a")], 1);
        let sql = format!(
            "SELECT status || ' ' || content_match FROM aliaport_import('{}', '{SCHEMA}', mode => 'append', dry_run => true, \
             options => '{{\"triggers\": \"on\", \"tables\": {{\"t\": {{\"target\": \"{SCHEMA}.executed\", \"columns\": {{\"interval\": {{\"skip\": true}}}}}}}}}}')",
            database.path.display()
        );
        assert_eq!(spi::one_for_caller::<String>(&sql, &[]).unwrap().as_deref(), Some("failed false"));
    }
}
