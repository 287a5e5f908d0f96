//! What helps? A statement for the SQLite file, one for PostgreSQL, or an option of the import.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::catalogue::{Catalogue, Generated, OtherKind, Table};
use crate::finding::{Cause, Code, Finding, Severity, Subject, Uncarried, Why};
use crate::suggestion::Suggestion;
use aliaport_rows::convert::{Lossy, Moments, retyping};
use aliaport_rows::identifier::{QualifiedName, quote_literal};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{StorageClass, Value};

/// Where a bad value is, and where it was to go.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The SQLite table.
    pub table: &'a str,
    /// The SQLite column.
    pub column: &'a str,
    /// The table that its values go to.
    pub target: &'a QualifiedName,
    /// The attribute there.
    pub attribute: String,
    /// The type there.
    pub pg_type: &'a PgType,
    /// The import makes the table, so that options can change the type.
    pub is_created: bool,
    /// The column takes no NULL, in SQLite or in the target.
    pub is_not_null: bool,
    /// An UPDATE of the column in SQLite changes nothing else ([`is_repairable`]).
    pub is_repairable: bool,
    /// The rowid as SQLite's SQL names it.
    pub rowid: Option<String>,
}

/// Rows whose rowids a statement may list.
pub const LISTED: usize = 1000;

/// Rows whose rowids a remark may list.
const SHOWN: usize = 50;

/// What is known of the values under one code.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// How many there are.
    pub count: u64,
    /// Their rowids, the first [`LISTED`] of them.
    pub rowids: &'a [i64],
    /// The storage class that all of them have; none where they differ.
    pub class: Option<StorageClass>,
    /// What they look like.
    pub shapes: Shapes,
    /// All texts of the file are in UTF-8.
    pub is_utf8: bool,
    /// The blobs among them are JSON in SQLite's own binary form.
    pub are_jsonb: bool,
}

/// How many values of a column look like something that can be written otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shapes {
    /// Empty texts.
    pub empty: u64,
    /// Blobs that hold a text in UTF-8.
    pub texts: u64,
    /// Blobs of one byte that is 0 or 1.
    pub bits: u64,
    /// Blobs of any kind.
    pub blobs: u64,
}

impl Shapes {
    /// Notes a value.
    pub fn add(&mut self, value: Value<'_>) {
        match value {
            Value::Text(b"") => self.empty += 1,
            Value::Blob(bytes) => {
                self.blobs += 1;
                self.bits += u64::from(matches!(bytes, [0 | 1]));
                let text = std::str::from_utf8(bytes);
                self.texts += u64::from(text.is_ok_and(|text| !text.contains('\0')));
            }
            _ => {}
        }
    }
}

impl Values<'_> {
    fn are_listed(&self) -> bool {
        self.count == self.rowids.len() as u64
    }

    fn rows(&self) -> String {
        if self.count == 1 { "1 row".to_owned() } else { format!("{} rows", self.count) }
    }

    fn values(&self) -> String {
        if self.count == 1 { "1 value".to_owned() } else { format!("{} values", self.count) }
    }
}

/// Whether a column that takes no NULL could take them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relaxing {
    /// The import makes the table.
    IsMade {
        /// The column is one of the primary key's.
        is_key: bool,
    },
    /// This statement lets it.
    By(String),
    /// This keeps it from being let, as the end of a sentence that begins with `because`.
    Held(String),
}

/// What is known of another type for a column that refuses one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retype {
    /// This one takes all values of the column.
    To(&'static str),
    /// One would, but these depend on the column.
    Held(Vec<String>),
    /// None takes all of them.
    Nothing,
}

/// Why a column cannot have another type, as a sentence without a full stop.
#[must_use]
pub fn held(by: &[String]) -> String {
    const NAMED: usize = 5;
    let mut names: Vec<String> = by.iter().take(NAMED).cloned().collect();
    if by.len() > NAMED {
        names.push(format!("{} more", by.len() - NAMED));
    }
    let depend = if by.len() == 1 { "depends" } else { "depend" };
    format!("No other type can simply be given to the column, because {} {depend} on it", listed(&names))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The narrowest type that may take values with this code, where another type helps.
#[must_use]
pub fn another_type(code: Code, pg_type: &PgType) -> Option<&'static str> {
    match (code, pg_type) {
        (Code::NullInNotNull, _) => None,
        (Code::InvalidUtf8 | Code::NulCharacter, _) => Some("bytea"),
        (_, PgType::Boolean) => Some("smallint"),
        (_, PgType::SmallInt | PgType::Integer) => Some("bigint"),
        (_, PgType::BigInt | PgType::Numeric { .. }) => Some("numeric"),
        (_, PgType::Text) => Some("bytea"),
        // A label is added more easily than a column's type is changed.
        (_, PgType::Enum { .. }) => None,
        _ => Some("text"),
    }
}

/// An identifier as SQLite's SQL writes it: always in double quotes, in which no keyword is one.
#[must_use]
pub fn sqlite_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How SQLite's SQL names the rowid of a table; `None` where it has none or cannot be asked for it.
#[must_use]
pub fn rowid_name(table: &Table) -> Option<String> {
    if let Some(alias) = table.rowid_alias.and_then(|i| table.columns.get(i)) {
        return Some(sqlite_name(&alias.name));
    }
    let is_free = |name: &&&str| !table.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    let name = ["rowid", "_rowid_", "oid"].iter().find(is_free);
    name.filter(|_| table.has_rowid).map(|n| (*n).to_owned())
}

/// Whether an UPDATE of columns in SQLite changes what it names and nothing else, and cannot be refused: no
/// trigger fires, nothing is generated from them, and no CHECK, unique key or foreign key, but for the one at
/// the place `except`, depends on them.
#[must_use]
pub fn is_repairable(catalogue: &Catalogue, table: &Table, columns: &[usize], except: Option<usize>) -> bool {
    let is_it = |name: &str| name.eq_ignore_ascii_case(&table.name);
    let is_one = |name: &String| {
        columns.iter().filter_map(|&c| table.columns.get(c)).any(|c| c.name.eq_ignore_ascii_case(name))
    };
    let fires = catalogue.others.iter().any(|o| o.kind == OtherKind::Trigger && is_it(&o.table));
    let is_unique = |index: &crate::catalogue::Index| {
        let depends = |column: Option<usize>| column.is_none_or(|c| columns.contains(&c));
        index.is_unique && (index.is_partial || index.terms.iter().any(|t| depends(t.column)))
    };
    let refers = table.foreign_keys.iter().enumerate().any(|(place, key)| {
        Some(place) != except && key.columns.iter().any(|column| columns.contains(column))
    });
    let others = catalogue.tables.iter().flat_map(|t| &t.foreign_keys);
    let is_referenced = others.filter(|key| is_it(&key.parent)).any(|key| {
        // Without columns it is the primary key.
        key.parent_columns.iter().any(is_one)
    });
    let is_checked = crate::grammar::table(&table.sql).map_or(true, |sql| {
        let names: Vec<String> = columns
            .iter()
            .filter_map(|&c| table.columns.get(c))
            .map(|c| c.name.to_ascii_lowercase())
            .collect();
        sql.checks.iter().any(|check| {
            let text = check.text.to_ascii_lowercase();
            names.iter().any(|name| text.contains(name))
        })
    });
    !fires
        && !refers
        && !is_referenced
        && !is_checked
        && table.columns.iter().all(|c| c.generated == Generated::No)
        && !columns.iter().any(|c| table.primary_key.contains(c))
        && !table.indexes.iter().any(is_unique)
}

/// What helps against values that a column cannot hold.
#[must_use]
pub fn of_value(code: Code, place: &Place<'_>, values: Values<'_>, retype: &Retype) -> Suggestion {
    let table = sqlite_name(place.table);
    let column = sqlite_name(place.column);
    let policy = format!(
        "or import with on_error => 'reject', which sets {} aside, or 'null', which clears {}",
        values.rows(),
        values.values()
    );
    if code == Code::TypeMismatch && values.class == Some(StorageClass::Null) {
        // A generated column that SQLite cannot compute, and which it does not show either.
        return Suggestion::sqlite()
            .note("repair the columns that it is computed from in these rows")
            .note(policy)
            .note(format!(
                "or leave it out with options => {}",
                column_option(place.table, place.column, "skip", &json!(true))
            ));
    }
    // A type that takes all values of the column loses none.
    let (statement, option) = match retype {
        Retype::To(word) if place.is_created => (
            None,
            Some(format!("options => {}", column_option(place.table, place.column, "type", &json!(word)))),
        ),
        Retype::To(word) => (Some(retyping(place.target, &place.attribute, place.pg_type, word)), None),
        Retype::Held(_) | Retype::Nothing => (None, None),
    };
    let held = match retype {
        Retype::Held(by) => Some(held(by)),
        _ => None,
    };
    let label = match place.pg_type {
        PgType::Enum { name, .. } if code == Code::TypeMismatch => {
            Some(format!("or, in PostgreSQL: ALTER TYPE {name} ADD VALUE '...';"))
        }
        _ => None,
    };
    let repair = repair(code, place, &values, &table, &column);
    let shown = match (&repair, place.rowid.as_deref()) {
        (None, Some(_)) if !values.rowids.is_empty() && values.rowids.len() <= SHOWN => Some(format!(
            "or repair them in SQLite: {};",
            look_at(&table, &column, place.rowid.as_deref(), values.rowids)
        )),
        _ => None,
    };
    match (repair, statement, option) {
        (Some(Repair { sql, what, is_lossless: true }), statement, option) => Suggestion::sqlite()
            .note(what)
            .run(sql)
            .note_some(statement.map(|s| format!("or, in PostgreSQL: {s};")))
            .note_some(option.map(|o| format!("or import with {o}")))
            .note_some(held)
            .note(policy),
        (repair, Some(statement), _) => Suggestion::postgresql()
            .run(statement)
            .note_some(repair.map(|r| format!("or, in SQLite: {}; {}", r.sql, comment_of(&r.what))))
            .note_some(shown)
            .note(policy),
        (repair, None, Some(option)) => Suggestion::postgresql()
            .note(format!("import with {option}, which keeps every value"))
            .note_some(repair.map(|r| format!("or, in SQLite: {}; {}", r.sql, comment_of(&r.what))))
            .note_some(shown)
            .note(policy),
        (Some(repair), None, None) => Suggestion::sqlite()
            .note(repair.what)
            .run(repair.sql)
            .note_some(held)
            .note_some(label)
            .note(policy),
        (None, None, None) => Suggestion::sqlite()
            .note_some(first_of(&values))
            .run(look_at(&table, &column, place.rowid.as_deref(), values.rowids))
            .note("repair these values")
            .note_some(held)
            .note_some(label)
            .note(policy),
    }
}

/// A remark behind a statement that is one itself.
fn comment_of(what: &str) -> String {
    format!("-- {what}")
}

/// A statement for SQLite.
struct Repair {
    sql: String,
    /// What it does to the values.
    what: String,
    is_lossless: bool,
}

/// What can be done in SQLite about values of which it is known what they are.
fn repair(code: Code, place: &Place<'_>, values: &Values<'_>, table: &str, column: &str) -> Option<Repair> {
    if !place.is_repairable {
        return None;
    }
    let update = |to: String, rows: &str| format!("UPDATE {table} SET {column} = {to} WHERE {rows}");
    let is_text =
        matches!(place.pg_type, PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Citext);
    let number = values.values();
    Some(match (code, place.pg_type) {
        (Code::TooLong, PgType::Varchar(Some(n)) | PgType::Char(n))
            if values.class == Some(StorageClass::Text) =>
        {
            Repair {
                sql: update(format!("substr({column}, 1, {n})"), &format!("length({column}) > {n}")),
                what: format!("this cuts {number} to {n} characters"),
                is_lossless: false,
            }
        }
        (Code::NulCharacter, _) if values.is_utf8 => {
            // SQLite's text functions end at a NUL, those of blobs do not.
            let without = format!(
                "(WITH RECURSIVE r(b, t) AS (SELECT CAST({column} AS BLOB), '' UNION ALL \
                 SELECT substr(b, instr(b, x'00') + 1), t || CAST(substr(b, 1, instr(b, x'00') - 1) AS TEXT) FROM r WHERE instr(b, x'00') > 0) \
                 SELECT t || CAST(b AS TEXT) FROM r WHERE instr(b, x'00') = 0)"
            );
            Repair {
                sql: update(without, &format!("typeof({column}) = 'text' AND instr({column}, char(0)) > 0")),
                what: format!("this takes the character NUL out of {number} and leaves the rest"),
                is_lossless: true,
            }
        }
        (Code::BadBoolean, _) if values.shapes.bits == values.count => Repair {
            sql: update(format!("CAST(hex({column}) AS INTEGER)"), &format!("{column} IN (x'00', x'01')")),
            what: format!("this makes {number}, blobs of one bit, numbers"),
            is_lossless: true,
        },
        (Code::BadJson, _) if values.are_jsonb => Repair {
            sql: update(format!("json({column})"), &format!("typeof({column}) = 'blob'")),
            what: format!(
                "this makes {number}, JSON in SQLite's binary form, texts; it takes SQLite 3.45 or later"
            ),
            is_lossless: true,
        },
        _ if values.shapes.empty == values.count && !place.is_not_null => Repair {
            sql: update("NULL".to_owned(), &format!("{column} = ''")),
            what: format!("this makes {number}, empty texts, NULL"),
            is_lossless: true,
        },
        (Code::TypeMismatch, _) if is_text && values.shapes.texts == values.count => Repair {
            sql: update(format!("CAST({column} AS TEXT)"), &format!("typeof({column}) = 'blob'")),
            what: format!("this makes {number}, blobs that hold texts, texts"),
            is_lossless: true,
        },
        (Code::TypeMismatch, PgType::Text | PgType::Varchar(None) | PgType::Citext)
            if values.class == Some(StorageClass::Blob) =>
        {
            Repair {
                sql: update(format!("hex({column})"), &format!("typeof({column}) = 'blob'")),
                what: format!("this writes the bytes of {number} as hexadecimal digits"),
                is_lossless: false,
            }
        }
        _ => {
            let rowid = place.rowid.as_deref().filter(|_| values.are_listed() && !place.is_not_null)?;
            Repair {
                sql: update("NULL".to_owned(), &format!("{rowid} IN ({})", list(values.rowids))),
                what: format!("this clears {number}"),
                is_lossless: false,
            }
        }
    })
}

/// What helps against NULLs in a column that takes none. `is_stricter` where SQLite's own takes them.
#[must_use]
pub fn of_null(place: &Place<'_>, values: Values<'_>, relaxing: &Relaxing) -> Suggestion {
    let table = sqlite_name(place.table);
    // SQLite takes IS NULL for never true where the column is NOT NULL.
    let is_null = format!("typeof({}) = 'null'", sqlite_name(place.column));
    let rows = values.rows();
    let reject = format!("or import with on_error => 'reject', which sets {rows} aside");
    let (relaxed, held) = match relaxing {
        Relaxing::By(statement) => {
            return Suggestion::postgresql()
                .run(statement)
                .note(format!("or give {rows} a value in SQLite: SELECT * FROM {table} WHERE {is_null};"))
                .note(reject);
        }
        Relaxing::Held(why) => (None, Some(format!("the column cannot simply take NULL, because {why}"))),
        Relaxing::IsMade { is_key } => {
            let key = if *is_key { ", and with UNIQUE in place of PRIMARY KEY," } else { "" };
            let made = format!(
                "or make the table first with the statement of aliaport_plan() without this NOT NULL{key} and import into it"
            );
            (Some(made), None)
        }
    };
    Suggestion::sqlite()
        .run(format!("SELECT * FROM {table} WHERE {is_null}"))
        .note(format!("give {rows} a value"))
        .note_some(relaxed)
        .note_some(held)
        .note(reject)
        .note(format!("or delete {rows}: DELETE FROM {table} WHERE {is_null};"))
}

/// The type that would keep values as they are which land otherwise, where another type helps.
#[must_use]
pub fn lossless_type(lossy: Lossy, pg_type: &PgType) -> Option<&'static str> {
    Some(match (lossy, pg_type) {
        (Lossy::EpochNumber | Lossy::UuidBytes, _) => return None,
        // Local times stay as they are.
        (Lossy::TimeGap | Lossy::TimeFold, PgType::TimestampTz(_)) => "timestamp",
        (Lossy::SubMicrosecond, PgType::Timestamp(Some(_))) => "timestamp",
        (Lossy::SubMicrosecond, PgType::TimestampTz(Some(_))) => "timestamptz",
        (Lossy::SubMicrosecond, PgType::Time(Some(_))) => "time",
        (_, PgType::Numeric { .. } | PgType::Real | PgType::DoublePrecision) => "numeric",
        (_, PgType::Date) => "timestamptz",
        (_, PgType::Jsonb) => "json",
        _ => "text",
    })
}

/// What helps against values that land but are not the same. `number` is what numbers in a date or time
/// column look like, if the caller has not said what they count.
#[must_use]
pub fn of_lossy(
    place: &Place<'_>,
    lossy: Lossy,
    retype: &Retype,
    number: Option<&Moments>,
) -> Option<Suggestion> {
    let option = |key, word| {
        format!("import with options => {}", column_option(place.table, place.column, key, &json!(word)))
    };
    let ask = Suggestion::postgresql();
    Some(match (lossy, retype) {
        (Lossy::EpochNumber, _) if number?.look_like_days() => {
            let (table, column) = (sqlite_name(place.table), sqlite_name(place.column));
            let rows = format!("typeof({column}) = 'integer' AND {column} <> 0");
            let written = format!(
                "UPDATE {table} SET {column} = substr({column}, 1, 4) || '-' || substr({column}, 5, 2) || '-' || substr({column}, 7, 2) WHERE {rows}"
            );
            let ask = Suggestion::sqlite();
            if place.is_repairable {
                ask.note("this writes the numbers, which look like year, month and day, as dates")
                    .run(written)
            } else {
                ask.note("the numbers look like year, month and day; write them as dates")
            }
            .note(format!("or, if they do count seconds: {}", option("number", "unix_s")))
        }
        (Lossy::EpochNumber, _) => ask.note(option("number", number?.unit().as_str())),
        (Lossy::UuidBytes, _) => ask.note(option("uuid", "guid")),
        (_, Retype::To(word)) if place.is_created => ask.note(option("type", word)),
        (_, Retype::To(word)) => ask.run(retyping(place.target, &place.attribute, place.pg_type, word)),
        (_, Retype::Held(by)) => ask.note(held(by)),
        (_, Retype::Nothing) => return None,
    })
}

/// Orphans of a foreign key, as [`of_orphans`] needs to know them.
#[derive(Clone, Copy, Debug)]
pub struct Orphaned<'a> {
    /// The SQLite table that points.
    pub child: &'a str,
    /// Its referencing columns.
    pub columns: &'a [String],
    /// The table that is pointed at.
    pub parent: &'a str,
    /// Its referenced columns.
    pub parent_columns: &'a [String],
    /// The rowid of the child as SQLite's SQL names it.
    pub rowid: Option<&'a str>,
    /// The rowids of the first [`LISTED`] of the rows.
    pub rowids: &'a [i64],
    /// How many rows there are.
    pub count: u64,
    /// The reference may be cleared, and that changes nothing else.
    pub can_be_cleared: bool,
    /// The reference may be NULL.
    pub is_nullable: bool,
    /// What options call the key.
    pub label: &'a str,
    /// The statement that drops the constraint without which `orphans => 'keep'` could keep the rows.
    pub in_the_way: Option<&'a str>,
}

/// What helps against rows whose parent is missing.
#[must_use]
pub fn of_orphans(key: &Orphaned<'_>) -> Suggestion {
    let child = sqlite_name(key.child);
    let is_listed = key.count == key.rowids.len() as u64;
    let condition = match key.rowid.filter(|_| is_listed) {
        Some(rowid) => format!("{rowid} IN ({})", list(key.rowids)),
        None => without_parent(key, &child),
    };
    let rows = if key.count == 1 { "1 row".to_owned() } else { format!("{} rows", key.count) };
    let option =
        |word: &str| quote_literal(&json!({"foreign_keys": {key.label: {"orphans": word}}}).to_string());
    let keep = match key.in_the_way {
        None => {
            format!("import with orphans => 'keep', or for this key alone with options => {}", option("keep"))
        }
        Some(drop) => format!("to keep them run {drop}; in PostgreSQL and import with orphans => 'keep'"),
    };
    let others = if key.is_nullable {
        format!(
            "or with orphans => 'null', which clears the reference, or 'reject', which sets {rows} aside; for this key alone with options => {}",
            option("null")
        )
    } else {
        format!(
            "or with orphans => 'reject', which sets {rows} aside; for this key alone with options => {}",
            option("reject")
        )
    };
    if key.can_be_cleared {
        let cleared: Vec<String> = key.columns.iter().map(|c| format!("{} = NULL", sqlite_name(c))).collect();
        return Suggestion::sqlite()
            .note(format!("this clears the reference of {rows}"))
            .run(format!("UPDATE {child} SET {} WHERE {condition}", cleared.join(", ")))
            .note(format!("or {keep}"))
            .note(others);
    }
    Suggestion::sqlite()
        .note(keep)
        .note(others)
        .run(format!("SELECT * FROM {child} WHERE {condition}"))
        .note(format!("or delete {rows}: DELETE FROM {child} WHERE {condition};"))
}

fn without_parent(key: &Orphaned<'_>, child: &str) -> String {
    let own: Vec<String> = key.columns.iter().map(|c| format!("{child}.{}", sqlite_name(c))).collect();
    let not_null: Vec<String> = own.iter().map(|c| format!("{c} IS NOT NULL")).collect();
    let equal: Vec<String> = (own.iter().zip(key.parent_columns))
        .map(|(c, p)| format!("p.{} = {c} COLLATE BINARY", sqlite_name(p)))
        .collect();
    format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
        not_null.join(" AND "),
        sqlite_name(key.parent),
        equal.join(" AND ")
    )
}

/// What helps against rows that repeat a key. `drop` takes the key away where only the target has it.
#[must_use]
pub fn of_repeated(
    table: &Table,
    columns: &[&str],
    rowids: &[i64],
    surplus: u64,
    drop: Option<&str>,
) -> Suggestion {
    let columns: Vec<String> = columns.iter().map(|c| sqlite_name(c)).collect();
    let name = sqlite_name(&table.name);
    let select = look_at(&name, &columns.join(", "), rowid_name(table).as_deref(), rowids);
    let rows = if surplus == 1 { "1 row".to_owned() } else { format!("{surplus} rows") };
    let policy = format!(
        "or import with on_error => 'reject', which keeps the first row of each key and sets {rows} aside"
    );
    match drop {
        Some(drop) => Suggestion::postgresql()
            .run(drop)
            .note(format!("or keep the key and repair all but one row of each in SQLite: {select};"))
            .note(policy),
        None => Suggestion::sqlite().run(select).note("repair all but one row of each key").note(policy),
    }
}

/// What helps against something that the plan found.
#[must_use]
pub fn of_finding(finding: &Finding, catalogue: &Catalogue) -> Option<Suggestion> {
    let table = finding.table.as_deref()?;
    let column = finding.column.as_deref();
    match finding.code() {
        // Less than a warning is the name of an index or a constraint, for which there is no option.
        Code::IdentifierTooLong | Code::CaseCollision | Code::Renamed
            if finding.severity() >= Severity::Warning =>
        {
            let option = match column {
                Some(column) => column_option(table, column, "target", &json!("another_name")),
                None => quote_literal(&json!({"tables": {table: {"target": "another_name"}}}).to_string()),
            };
            Some(Suggestion::postgresql().note(format!("import with options => {option}")))
        }
        Code::TypeMismatch if finding.severity() == Severity::Warning => {
            let (table_name, name) = (sqlite_name(table), sqlite_name(column?));
            Some(
                Suggestion::sqlite()
                    .run(format!(
                        "SELECT typeof({name}), count(*), min({name}), max({name}) FROM {table_name} GROUP BY 1"
                    ))
                    .note(format!(
                        "then repair the odd ones, or name the type with options => {}",
                        column_option(table, column?, "type", &json!("..."))
                    )),
            )
        }
        Code::NoCase => {
            Some(Suggestion::postgresql().note("import with options => '{\"nocase\":\"citext\"}'").note(
                "or compare lower(column COLLATE \"C\") in the application's queries, as the indexes do",
            ))
        }
        Code::UnindexedParent => {
            let Subject::ForeignKey(place, _) = finding.subject else { return None };
            let key = catalogue.table_named(table)?.foreign_keys.get(place)?;
            let parent = catalogue.table_named(&key.parent)?;
            let is_known = |n: &String| parent.columns.iter().any(|c| c.name.eq_ignore_ascii_case(n));
            if key.parent_columns.is_empty() || !key.parent_columns.iter().all(is_known) {
                return None;
            }
            let columns: Vec<String> = key.parent_columns.iter().map(|c| sqlite_name(c)).collect();
            let index = format!("uq_{}_{}", parent.name, key.parent_columns.join("_"));
            Some(Suggestion::sqlite().run(format!(
                "CREATE UNIQUE INDEX {} ON {} ({})",
                sqlite_name(&index),
                sqlite_name(&parent.name),
                columns.join(", ")
            )))
        }
        Code::MissingParentTable => Some(match finding.why {
            Why::Uncarried(Uncarried { cause: Cause::ParentLeftOut(_), .. }) => {
                Suggestion::postgresql().note("include the parent in this import, or import it first")
            }
            _ => Suggestion::sqlite().note("restore the parent table, or drop the foreign key"),
        }),
        Code::Bookkeeping => Some(
            Suggestion::postgresql().note("nothing has to be done: the target's own rows stay as they are"),
        ),
        _ => None,
    }
}

/// Numbers with commas between them.
fn list(rowids: &[i64]) -> String {
    let mut out = String::new();
    for (n, rowid) in rowids.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{rowid}", if n == 0 { "" } else { ", " });
    }
    out
}

fn first_of(values: &Values<'_>) -> Option<String> {
    (!values.are_listed() && !values.rowids.is_empty())
        .then(|| format!("the first {} of {} rows", values.rowids.len(), values.count))
}

/// A query that shows the rows.
fn look_at(table: &str, columns: &str, rowid: Option<&str>, rowids: &[i64]) -> String {
    match rowid.filter(|_| !rowids.is_empty()) {
        Some(rowid) => format!("SELECT * FROM {table} WHERE {rowid} IN ({})", list(rowids)),
        None => format!("SELECT {columns}, count(*) FROM {table} GROUP BY {columns}"),
    }
}

/// `'{"tables":{"t":{"columns":{"c":{"type":"text"}}}}}'`
fn column_option(table: &str, column: &str, key: &str, value: &Json) -> String {
    quote_literal(&json!({"tables": {table: {"columns": {column: {key: value}}}}}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::Options;

    fn place<'a>(pg_type: &'a PgType, target: &'a QualifiedName) -> Place<'a> {
        Place {
            table: "o.brien",
            column: "it's",
            target,
            attribute: "it's".to_owned(),
            pg_type,
            is_created: true,
            is_not_null: false,
            is_repairable: false,
            rowid: Some("rowid".to_owned()),
        }
    }

    #[test]
    fn an_option_in_a_remedy_is_one_that_the_import_takes() {
        let target = QualifiedName { schema: "s".to_owned(), name: "t".to_owned() };
        let values = Values {
            count: 9,
            rowids: &[1, 2],
            class: Some(StorageClass::Text),
            shapes: Shapes::default(),
            is_utf8: true,
            are_jsonb: false,
        };
        let parsed = |remedy: String| {
            let line = remedy.lines().find(|line| line.contains("options => '")).unwrap().to_owned();
            let literal = line.split_once("options => '").unwrap().1.rsplit_once('\'').unwrap().0;
            let json: Json = serde_json::from_str(&literal.replace("''", "'")).unwrap();
            Options::parse(&json).unwrap()
        };
        for (code, pg_type) in [
            (Code::BadBoolean, PgType::Boolean),
            (Code::OutOfRange, PgType::SmallInt),
            (Code::OutOfRange, PgType::Numeric { precision_scale: Some((4, 2)) }),
            (Code::InvalidUtf8, PgType::Text),
            (Code::TypeMismatch, PgType::Text),
        ] {
            let retype = Retype::To(another_type(code, &pg_type).unwrap());
            let remedy = of_value(code, &place(&pg_type, &target), values, &retype).to_string();
            let options = parsed(remedy.clone());
            assert!(options.column("O.BRIEN", "it's").is_some_and(|c| c.pg_type.is_some()), "{remedy}");
        }
        for lossy in Lossy::ALL {
            let retype = lossless_type(lossy, &PgType::Date).map_or(Retype::Nothing, Retype::To);
            let moments = Moments::default();
            let remedy = of_lossy(&place(&PgType::Date, &target), lossy, &retype, Some(&moments)).unwrap();
            parsed(remedy.to_string());
        }
        let columns = ["it's".to_owned()];
        let mut key = Orphaned {
            child: "o.brien",
            columns: &columns,
            parent: "p",
            parent_columns: &columns,
            rowid: Some("rowid"),
            rowids: &[1],
            count: 1,
            can_be_cleared: false,
            is_nullable: false,
            label: "o.brien.it's",
            in_the_way: None,
        };
        for can_be_cleared in [false, true] {
            (key.can_be_cleared, key.is_nullable) = (can_be_cleared, can_be_cleared);
            let remedy = of_orphans(&key).to_string();
            assert!(remedy.find("keep") < remedy.find("DELETE").or(Some(usize::MAX)), "{remedy}");
            parsed(remedy);
        }
    }

    #[test]
    fn an_update_is_offered_only_where_nothing_depends_on_the_column() {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT CHECK (B <> ''), c TEXT UNIQUE, d TEXT REFERENCES p)";
        let column = |name: &str| crate::catalogue::Column { name: name.to_owned(), ..Default::default() };
        let unique = crate::catalogue::Index {
            is_unique: true,
            terms: vec![crate::catalogue::IndexTerm { column: Some(3), ..Default::default() }],
            ..Default::default()
        };
        let table = Table {
            name: "t".to_owned(),
            sql: sql.to_owned(),
            columns: ["id", "a", "b", "c", "d"].map(column).to_vec(),
            primary_key: vec![0],
            indexes: vec![unique],
            foreign_keys: vec![crate::catalogue::ForeignKey { columns: vec![4], ..Default::default() }],
            ..Table::default()
        };
        let mut catalogue = Catalogue { tables: vec![table.clone()], ..Catalogue::default() };
        let may = |catalogue: &Catalogue, column, except| is_repairable(catalogue, &table, &[column], except);
        let each: Vec<bool> = (0..5).map(|column| may(&catalogue, column, None)).collect();
        assert_eq!(each, [false, true, false, false, false]);
        assert!(may(&catalogue, 4, Some(0)));
        catalogue.others.push(crate::catalogue::OtherObject {
            kind: OtherKind::Trigger,
            name: "tr".to_owned(),
            table: "T".to_owned(),
            sql: String::new(),
        });
        assert!(!may(&catalogue, 1, None));
    }

    #[test]
    fn the_rowid_goes_by_a_name_that_is_free() {
        let column = |name: &str| crate::catalogue::Column { name: name.to_owned(), ..Default::default() };
        let mut table =
            Table { columns: vec![column("RowId"), column("x")], has_rowid: true, ..Table::default() };
        assert_eq!(rowid_name(&table).as_deref(), Some("_rowid_"));
        table.rowid_alias = Some(1);
        assert_eq!(rowid_name(&table).as_deref(), Some("\"x\""));
        table = Table { has_rowid: false, ..Table::default() };
        assert_eq!(rowid_name(&table), None);
    }
}
