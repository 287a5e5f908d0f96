//! What helps? A statement for the SQLite file, an option of the import, or both.
//!
//! What stands before ` -- ` is SQL for SQLite that can be run as it is; what follows is the other way out.

use serde_json::{Value as Json, json};

use crate::catalogue::{Catalogue, Table};
use crate::finding::{Cause, Code, Finding, Severity, Subject, Uncarried, Why};
use aliaport_rows::convert::{Lossy, retyping};
use aliaport_rows::identifier::{QualifiedName, comment, quote, quote_literal};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::StorageClass;

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
    /// The rowid as SQLite's SQL names it.
    pub rowid: Option<String>,
}

/// What is known of the values under one code.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// How many there are.
    pub count: u64,
    /// Rowids of the first of them.
    pub rowids: &'a [i64],
    /// The first one's storage class.
    pub class: StorageClass,
    /// The first one is an empty text.
    pub is_empty: bool,
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

/// What helps against values that a column cannot hold, or NULLs that it must not.
#[must_use]
pub fn of_value(code: Code, place: &Place<'_>, values: Values<'_>, retype: &Retype) -> String {
    let table = sqlite_name(place.table);
    let column = sqlite_name(place.column);
    if code == Code::TypeMismatch && values.class == StorageClass::Null {
        // A generated column that SQLite cannot compute, and which it does not show either.
        return format!(
            "-- repair the columns that it is computed from in these rows, import with on_error => 'reject' or 'null', or with options => {}",
            column_option(place.table, place.column, "skip", &json!(true))
        );
    }
    let is_text = matches!(
        place.pg_type,
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Citext | PgType::Json | PgType::Jsonb
    );
    let sql = match (code, place.pg_type) {
        (Code::NullInNotNull, _) => format!("DELETE FROM {table} WHERE {column} IS NULL;"),
        (Code::TooLong, PgType::Varchar(Some(n)) | PgType::Char(n)) => {
            format!("UPDATE {table} SET {column} = substr({column}, 1, {n}) WHERE length({column}) > {n};")
        }
        // SQLite's length() ends at a NUL, and so do its text functions: what follows it goes.
        (Code::NulCharacter, _) => format!(
            "UPDATE {table} SET {column} = substr({column}, 1, length({column})) WHERE instr({column}, char(0)) > 0;"
        ),
        _ if values.is_empty && !place.is_not_null => {
            format!("UPDATE {table} SET {column} = NULL WHERE {column} = '';")
        }
        (Code::TypeMismatch, _) if is_text && values.class == StorageClass::Blob => {
            format!("UPDATE {table} SET {column} = CAST({column} AS TEXT) WHERE typeof({column}) = 'blob';")
        }
        (Code::BadJson, _) if !place.is_not_null && values.class == StorageClass::Text => {
            format!("UPDATE {table} SET {column} = NULL WHERE NOT json_valid({column});")
        }
        _ => look_at(&table, &column, place.rowid.as_deref(), values.rowids),
    };
    let more = if values.count > values.rowids.len() as u64 && sql.starts_with("SELECT *") {
        format!("the first of {}; ", values.count)
    } else {
        String::new()
    };
    let policy = match code {
        Code::NullInNotNull => "give them a value, or import with on_error => 'reject'".to_owned(),
        _ => "or import with on_error => 'reject' or 'null'".to_owned(),
    };
    let retype = match retype {
        Retype::To(word) if place.is_created => {
            format!(", or with options => {}", column_option(place.table, place.column, "type", &json!(word)))
        }
        Retype::To(word) => format!(", or {} first", retyping(place.target, &place.attribute, word)),
        Retype::Held(by) => format!(". {}", held(by)),
        Retype::Nothing => String::new(),
    };
    let label = match place.pg_type {
        PgType::Enum { name, .. } if code == Code::TypeMismatch => {
            format!(", or ALTER TYPE {name} ADD VALUE '...' first")
        }
        _ => String::new(),
    };
    let or = format!("{more}{policy}{label}{retype}");
    format!("{sql} {}", comment(&or))
}

/// The type that would keep values as they are which land otherwise, where another type helps.
#[must_use]
pub fn lossless_type(lossy: Lossy, pg_type: &PgType) -> Option<&'static str> {
    Some(match (lossy, pg_type) {
        (Lossy::EpochNumber | Lossy::UuidBytes, _) => return None,
        // Local times stay as they are.
        (Lossy::TimeGap | Lossy::TimeFold, PgType::TimestampTz(_)) => "timestamp",
        (_, PgType::Numeric { .. } | PgType::Real | PgType::DoublePrecision) => "numeric",
        (_, PgType::Date) => "timestamptz",
        (_, PgType::Jsonb) => "json",
        _ => "text",
    })
}

/// What helps against values that land but are not the same. `held_by` keeps a column that is there from
/// being given another type.
#[must_use]
pub fn of_lossy(place: &Place<'_>, lossy: Lossy, held_by: &[String]) -> String {
    let option =
        |key, word| format!("options => {}", column_option(place.table, place.column, key, &json!(word)));
    match lossless_type(lossy, place.pg_type) {
        None if lossy == Lossy::EpochNumber => option("number", "unix_s"),
        None => option("uuid", "guid"),
        Some(word) if place.is_created => option("type", word),
        Some(_) if !held_by.is_empty() => comment(&held(held_by)),
        Some(word) => {
            format!("ALTER TABLE {} ALTER COLUMN {} TYPE {word}", place.target, quote(&place.attribute))
        }
    }
}

/// What helps against rows whose parent is missing: clears the reference where it may be NULL, else deletes
/// the row. `in_the_way` is the statement that drops the constraint without which `orphans => 'keep'` could
/// keep them.
#[must_use]
pub fn of_orphans(
    child: &str,
    columns: &[String],
    parent: &str,
    parent_columns: &[String],
    is_nullable: bool,
    label: &str,
    in_the_way: Option<&str>,
) -> String {
    let child_name = sqlite_name(child);
    let own: Vec<String> = columns.iter().map(|c| format!("{child_name}.{}", sqlite_name(c))).collect();
    let not_null: Vec<String> = own.iter().map(|c| format!("{c} IS NOT NULL")).collect();
    let equal: Vec<String> =
        own.iter().zip(parent_columns).map(|(c, p)| format!("p.{} = {c}", sqlite_name(p))).collect();
    let condition = format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
        not_null.join(" AND "),
        sqlite_name(parent),
        equal.join(" AND ")
    );
    let repair = if is_nullable {
        let cleared: Vec<String> = columns.iter().map(|c| format!("{} = NULL", sqlite_name(c))).collect();
        format!("UPDATE {child_name} SET {} WHERE {condition};", cleared.join(", "))
    } else {
        format!("DELETE FROM {child_name} WHERE {condition};")
    };
    let word = if is_nullable { "null" } else { "reject" };
    let option = quote_literal(&json!({"foreign_keys": {label: {"orphans": word}}}).to_string());
    let or = match in_the_way {
        None => format!(
            "or import with orphans => 'reject', 'null' or 'keep', for this key alone with options => {option}"
        ),
        Some(drop) => format!(
            "or import with orphans => 'reject' or 'null', for this key alone with options => {option}; 'keep' needs {drop}; before"
        ),
    };
    format!("{repair} {}", comment(&or))
}

/// What helps against rows that repeat a key.
#[must_use]
pub fn of_repeated(table: &Table, columns: &[&str], rowids: &[i64]) -> String {
    let columns: Vec<String> = columns.iter().map(|c| sqlite_name(c)).collect();
    let name = sqlite_name(&table.name);
    let sql = look_at(&name, &columns.join(", "), rowid_name(table).as_deref(), rowids);
    format!("{sql} -- repair or delete all but one of each key, or import with on_error => 'reject'")
}

/// What helps against something that the plan found.
#[must_use]
pub fn of_finding(finding: &Finding, catalogue: &Catalogue) -> Option<String> {
    let table = finding.table.as_deref()?;
    let column = finding.column.as_deref();
    match finding.code() {
        // Less than a warning is the name of an index or a constraint, for which there is no option.
        Code::IdentifierTooLong | Code::CaseCollision | Code::Renamed if finding.severity() >= Severity::Warning => Some(match column {
            Some(column) => {
                format!("options => {}", column_option(table, column, "target", &json!("another_name")))
            }
            None => {
                format!("options => {}", quote_literal(&json!({"tables": {table: {"target": "another_name"}}}).to_string()))
            }
        }),
        Code::TypeMismatch if finding.severity() == Severity::Warning => {
            let (table_name, name) = (sqlite_name(table), sqlite_name(column?));
            let then = format!(
                "then repair the odd ones, or name the type with options => {}",
                column_option(table, column?, "type", &json!("..."))
            );
            Some(format!(
                "SELECT typeof({name}), count(*), min({name}), max({name}) FROM {table_name} GROUP BY 1; {}",
                comment(&then)
            ))
        }
        Code::NoCase => Some(
            "compare lower(column COLLATE \"C\") in the application's queries, as the indexes do, or import with options => '{\"nocase\":\"citext\"}'"
                .to_owned(),
        ),
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
            Some(format!(
                "CREATE UNIQUE INDEX {} ON {} ({});",
                sqlite_name(&index),
                sqlite_name(&parent.name),
                columns.join(", ")
            ))
        }
        Code::MissingParentTable => Some(match finding.why {
            Why::Uncarried(Uncarried { cause: Cause::ParentLeftOut(_), .. }) => {
                "include the parent in this import, or import it first".to_owned()
            }
            _ => "restore the parent table in SQLite, or drop the foreign key there".to_owned(),
        }),
        Code::Bookkeeping => Some("nothing: the target's own stays as it is".to_owned()),
        _ => None,
    }
}

/// A query that shows the rows.
fn look_at(table: &str, columns: &str, rowid: Option<&str>, rowids: &[i64]) -> String {
    match rowid.filter(|_| !rowids.is_empty()) {
        Some(rowid) => {
            let list: Vec<String> = rowids.iter().map(i64::to_string).collect();
            format!("SELECT * FROM {table} WHERE {rowid} IN ({});", list.join(", "))
        }
        None => format!("SELECT {columns}, count(*) FROM {table} GROUP BY {columns};"),
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
            rowid: Some("rowid".to_owned()),
        }
    }

    #[test]
    fn an_option_in_a_remedy_is_one_that_the_import_takes() {
        let target = QualifiedName { schema: "s".to_owned(), name: "t".to_owned() };
        let values = Values { count: 9, rowids: &[1, 2], class: StorageClass::Text, is_empty: false };
        for (code, pg_type) in [
            (Code::BadBoolean, PgType::Boolean),
            (Code::OutOfRange, PgType::SmallInt),
            (Code::OutOfRange, PgType::Numeric { precision_scale: Some((4, 2)) }),
            (Code::InvalidUtf8, PgType::Text),
            (Code::TypeMismatch, PgType::Text),
        ] {
            let retype = Retype::To(another_type(code, &pg_type).unwrap());
            let remedy = of_value(code, &place(&pg_type, &target), values, &retype);
            let literal = remedy.split_once("options => '").unwrap().1.strip_suffix('\'').unwrap();
            let parsed: Json = serde_json::from_str(&literal.replace("''", "'")).unwrap();
            let options = Options::parse(&parsed).unwrap();
            assert!(options.column("O.BRIEN", "it's").is_some_and(|c| c.pg_type.is_some()), "{remedy}");
        }
        for lossy in Lossy::ALL {
            let remedy = of_lossy(&place(&PgType::Date, &target), lossy, &[]);
            let literal = remedy.split_once("options => '").unwrap().1.strip_suffix('\'').unwrap();
            Options::parse(&serde_json::from_str(&literal.replace("''", "'")).unwrap()).unwrap();
        }
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
