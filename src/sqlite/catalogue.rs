//! What the file declares: `sqlite_schema` and the PRAGMAs, put into [`Catalogue`].
//!
//! `PRAGMA table_list` is not used: it compiles every view and connects every virtual table of the file. What
//! it tells more than the others stands at the end of the `CREATE TABLE` statement.

use std::collections::{HashMap, HashSet};

use aliaport_plan::catalogue::{
    Catalogue, Column, ForeignKey, Generated, Index, IndexOrigin, IndexTerm, OtherKind, OtherObject, Table,
};
use aliaport_rows::value::Value;

use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;
use crate::statement::{Statement, encoding, quoted};
use crate::tokenizer;
use crate::virtual_table::VirtualTable;

/// One row of `sqlite_schema`.
struct Object {
    kind: String,
    /// What can be shown of it where it is not UTF-8.
    name: Result<String, String>,
    table: String,
    sql: String,
    /// 0 for what has no pages: views, triggers, and virtual tables.
    root_page: u32,
}

impl Source {
    /// The encoding of the database's texts, as `PRAGMA encoding` says it.
    ///
    /// # Errors
    /// What reading can meet.
    pub fn encoding(&self) -> Result<String, SourceError> {
        encoding(self)
    }

    /// Reads what the file declares of one table or view, its name in whatever case of ASCII; `None` where
    /// there is none that can be read.
    ///
    /// # Errors
    /// What reading can meet.
    pub fn relation(&self, name: &str) -> Result<Option<(Table, RelationKind)>, SourceError> {
        relation(self, name)
    }

    /// Reads what the file declares.
    ///
    /// # Errors
    /// `InvalidName` for a table, column or index whose name is no text; else what reading can meet.
    pub fn catalogue(&self) -> Result<Catalogue, SourceError> {
        let objects = objects(self)?;
        let shadows = shadow_tables(&objects);
        let index_sql = index_statements(&objects);
        let sequences = sequences(self, &objects)?;
        let mut catalogue = Catalogue { encoding: encoding(self)?, ..Catalogue::default() };
        for object in &objects {
            let other = |kind, table: &str| OtherObject {
                kind,
                name: object.lossy_name(),
                table: table.to_owned(),
                sql: object.sql.clone(),
            };
            let name = object.lossy_name();
            match object.kind.as_str() {
                "table" if is_own(&name) => {}
                // Somebody has renamed it behind SQLite's back.
                "table" if is_internal(&name) => catalogue.others.push(other(OtherKind::Reserved, &name)),
                "table" if object.root_page == 0 => {
                    // Only a virtual table's rows are elsewhere. SQLite finds the database malformed when it
                    // reads another one.
                    if !tokenizer::tokens(&object.sql).nth(1).is_some_and(|token| token.is_word("virtual")) {
                        return Err(SourceError::new(SourceErrorKind::Damaged, self.path())
                            .with_detail(format!("Table \"{name}\" has no page of its own in the file.")));
                    }
                    catalogue.others.push(other(OtherKind::VirtualTable, &name));
                }
                "table" => match shadows.get(&folded(&name)) {
                    Some(owner) => catalogue.others.push(other(OtherKind::ShadowTable, owner)),
                    None => {
                        // The rest of the file must not suffer from one name.
                        let Ok(name) = &object.name else {
                            catalogue.others.push(other(OtherKind::Unnameable, &name));
                            continue;
                        };
                        let Some((mut table, unnameable)) = table(self, name, &object.sql, &index_sql)?
                        else {
                            catalogue.others.push(other(OtherKind::Unnameable, name));
                            continue;
                        };
                        table.sequence = sequences.get(name).copied();
                        table.root_page = object.root_page;
                        catalogue.others.extend(unnameable.into_iter().map(|index| OtherObject {
                            kind: OtherKind::Unnameable,
                            name: index,
                            table: name.clone(),
                            sql: String::new(),
                        }));
                        catalogue.tables.push(table);
                    }
                },
                "view" => catalogue.others.push(other(OtherKind::View, &name)),
                "trigger" => catalogue.others.push(other(OtherKind::Trigger, &object.table)),
                _ => {}
            }
        }
        Ok(catalogue)
    }
}

impl Object {
    fn lossy_name(&self) -> String {
        match &self.name {
            Ok(name) | Err(name) => name.clone(),
        }
    }
}

/// The statements of indexes, by their names, folded.
fn index_statements(objects: &[Object]) -> HashMap<String, &str> {
    objects
        .iter()
        .filter(|object| object.kind == "index" && !object.sql.is_empty())
        .map(|object| (folded(&object.lossy_name()), object.sql.as_str()))
        .collect()
}

/// What a name of the schema stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A table with rows of its own.
    Table,
    /// A view: its columns have no constraints.
    View,
    /// A virtual table, which is not read here.
    Virtual,
}

/// One table or view of this name.
fn relation(source: &Source, name: &str) -> Result<Option<(Table, RelationKind)>, SourceError> {
    let literal = format!("'{}'", name.replace('\'', "''"));
    let sql = format!(
        "SELECT type, name, tbl_name, sql, rootpage FROM main.sqlite_schema \
         WHERE tbl_name = {literal} COLLATE NOCASE AND type IN ('table', 'view', 'index') ORDER BY rowid"
    );
    if name.contains('\0') {
        return Ok(None);
    }
    let found = objects_of(source, &sql)?;
    let Some(object) = found.iter().find(|o| o.kind != "index") else { return Ok(None) };
    let Ok(name) = &object.name else { return Ok(None) };
    let index_sql = index_statements(&found);
    let kind = match (object.kind.as_str(), object.root_page) {
        ("view", _) => RelationKind::View,
        (_, 0) => RelationKind::Virtual,
        _ => RelationKind::Table,
    };
    if kind == RelationKind::Table {
        let Some((mut table, _)) = table(source, name, &object.sql, &index_sql)? else { return Ok(None) };
        table.root_page = object.root_page;
        return Ok(Some((table, kind)));
    }
    let mut table = Table { name: name.clone(), sql: object.sql.clone(), ..Table::default() };
    if kind == RelationKind::View && !columns(source, &mut table)? {
        return Ok(None);
    }
    Ok(Some((table, kind)))
}

fn objects(source: &Source) -> Result<Vec<Object>, SourceError> {
    objects_of(source, "SELECT type, name, tbl_name, sql, rootpage FROM main.sqlite_schema ORDER BY rowid")
}

fn objects_of(source: &Source, sql: &str) -> Result<Vec<Object>, SourceError> {
    let mut statement = Statement::prepare(source, sql)?;
    let mut objects = Vec::new();
    while statement.step()? {
        objects.push(Object {
            kind: statement.text(0).unwrap_or_default().to_ascii_lowercase(),
            name: exact_text(statement.value(1)),
            table: statement.text(2).unwrap_or_default(),
            sql: statement.text(3).unwrap_or_default(),
            root_page: match statement.value(4) {
                Value::Null => 0,
                // What does not fit is damaged; it is no virtual table.
                Value::Integer(page) => u32::try_from(page).unwrap_or(u32::MAX),
                // SQLite takes the digits of any value.
                _ => statement.text(4).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX),
            },
        });
    }
    Ok(objects)
}

/// The tables in which virtual tables keep their data: from their names, folded, to the virtual table's.
fn shadow_tables(objects: &[Object]) -> HashMap<String, String> {
    let mut shadows = HashMap::new();
    for object in objects.iter().filter(|object| object.kind == "table" && object.root_page == 0) {
        let name = object.lossy_name();
        for suffix in VirtualTable::parse(&object.sql).suffixes() {
            shadows.insert(folded(&format!("{name}_{suffix}")), name.clone());
        }
    }
    shadows
}

/// `sqlite_sequence`: what AUTOINCREMENT gave last, by table.
fn sequences(source: &Source, objects: &[Object]) -> Result<HashMap<String, i64>, SourceError> {
    let mut sequences = HashMap::new();
    if !objects.iter().any(|object| object.kind == "table" && object.lossy_name() == "sqlite_sequence") {
        return Ok(sequences);
    }
    // Anyone may write to it: a table can have no row, several, or one that is no number.
    let mut statement = Statement::prepare(source, "SELECT name, seq FROM main.sqlite_sequence")?;
    while statement.step()? {
        if let (Ok(name), Value::Integer(value)) = (exact_text(statement.value(0)), statement.value(1)) {
            let last = sequences.entry(name).or_insert(value);
            *last = value.max(*last);
        }
    }
    Ok(sequences)
}

/// A table, and its indexes that have a name that is no text; `None` where a column has such a name.
fn table(
    source: &Source,
    name: &str,
    sql: &str,
    index_sql: &HashMap<String, &str>,
) -> Result<Option<(Table, Vec<String>)>, SourceError> {
    let options = tokenizer::table_options(sql);
    let mut table = Table {
        name: name.to_owned(),
        sql: sql.to_owned(),
        has_rowid: !options.is_without_rowid,
        is_strict: options.is_strict,
        is_autoincrement: options.is_autoincrement,
        ..Table::default()
    };
    if !columns(source, &mut table)? {
        return Ok(None);
    }
    let (indexes, unnameable) = indexes(source, &table, index_sql)?;
    table.indexes = indexes;
    table.foreign_keys = foreign_keys(source, &table)?;
    table.rowid_alias = rowid_alias(&table);
    Ok(Some((table, unnameable)))
}

/// The column that is another name of the rowid: the whole key, declared exactly INTEGER. `INTEGER PRIMARY
/// KEY DESC` is none, by an old mistake that SQLite keeps, and then the key has an index
/// (<https://sqlite.org/lang_createtable.html#rowid>).
fn rowid_alias(table: &Table) -> Option<usize> {
    let &[column] = table.primary_key.as_slice() else { return None };
    let is_integer = table.columns.get(column)?.declared_type.eq_ignore_ascii_case("integer");
    let has_index = table.indexes.iter().any(|index| index.origin == IndexOrigin::PrimaryKey);
    (table.has_rowid && is_integer && !has_index).then_some(column)
}

/// False where a column has a name that is no text.
fn columns(source: &Source, table: &mut Table) -> Result<bool, SourceError> {
    // cid, name, type, notnull, dflt_value, pk, hidden
    let mut statement =
        Statement::prepare(source, &format!("PRAGMA main.table_xinfo({})", quoted(source, &table.name)?))?;
    let mut key = Vec::new();
    while statement.step()? {
        let Ok(name) = exact_text(statement.value(1)) else { return Ok(false) };
        if statement.integer(5) > 0 {
            key.push((statement.integer(5), table.columns.len()));
        }
        table.columns.push(Column {
            name,
            declared_type: statement.text(2).unwrap_or_default(),
            is_not_null: statement.integer(3) != 0,
            default: statement.text(4),
            generated: match statement.integer(6) {
                2 => Generated::Virtual,
                3 => Generated::Stored,
                _ => Generated::No,
            },
        });
    }
    key.sort_unstable();
    table.primary_key = key.into_iter().map(|(_, column)| column).collect();
    Ok(true)
}

fn indexes(
    source: &Source,
    table: &Table,
    index_sql: &HashMap<String, &str>,
) -> Result<(Vec<Index>, Vec<String>), SourceError> {
    // seq, name, unique, origin, partial
    let mut statement =
        Statement::prepare(source, &format!("PRAGMA main.index_list({})", quoted(source, &table.name)?))?;
    let mut indexes = Vec::new();
    let mut unnameable = Vec::new();
    while statement.step()? {
        let name = match exact_text(statement.value(1)) {
            Ok(name) => name,
            Err(lossy) => {
                unnameable.push(lossy);
                continue;
            }
        };
        indexes.push(Index {
            sql: index_sql.get(&folded(&name)).map(|sql| (*sql).to_owned()),
            is_unique: statement.integer(2) != 0,
            origin: match statement.text(3).as_deref() {
                Some("pk") => IndexOrigin::PrimaryKey,
                Some("u") => IndexOrigin::Unique,
                _ => IndexOrigin::Statement,
            },
            is_partial: statement.integer(4) != 0,
            terms: index_terms(source, table, &name)?,
            name,
        });
    }
    // The PRAGMA lists the latest first.
    indexes.reverse();
    Ok((indexes, unnameable))
}

fn index_terms(source: &Source, table: &Table, index: &str) -> Result<Vec<IndexTerm>, SourceError> {
    // seqno, cid, name, desc, coll, key
    let mut statement =
        Statement::prepare(source, &format!("PRAGMA main.index_xinfo({})", quoted(source, index)?))?;
    let mut terms = Vec::new();
    while statement.step()? {
        // The others are what the index carries along to find the row.
        if statement.integer(5) == 0 {
            continue;
        }
        let column = usize::try_from(statement.integer(1)).ok();
        terms.push(IndexTerm {
            column: column.filter(|column| *column < table.columns.len()),
            is_descending: statement.integer(3) != 0,
            collation: statement.text(4).unwrap_or_default(),
        });
    }
    Ok(terms)
}

fn foreign_keys(source: &Source, table: &Table) -> Result<Vec<ForeignKey>, SourceError> {
    // id, seq, table, from, to, on_update, on_delete, match
    let mut statement = Statement::prepare(
        source,
        &format!("PRAGMA main.foreign_key_list({})", quoted(source, &table.name)?),
    )?;
    let mut keys: Vec<ForeignKey> = Vec::new();
    let mut broken = HashSet::new();
    while statement.step()? {
        let id = statement.integer(0);
        if keys.last().is_none_or(|key| key.id != id) {
            keys.push(ForeignKey {
                id,
                parent: statement.text(2).unwrap_or_default(),
                on_update: statement.text(5).unwrap_or_default(),
                on_delete: statement.text(6).unwrap_or_default(),
                ..ForeignKey::default()
            });
        }
        let from = statement.text(3).unwrap_or_default();
        let column = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&from));
        match (keys.last_mut(), column) {
            (Some(key), Some(column)) => {
                key.columns.push(column);
                key.parent_columns.extend(statement.text(4));
            }
            _ => {
                broken.insert(id);
            }
        }
    }
    keys.retain(|key| !broken.contains(&key.id));
    // Ids count down from the last declared.
    keys.sort_by_key(|key| std::cmp::Reverse(key.id));
    Ok(keys)
}

/// The text of a name, or what can be shown of one that is none.
fn exact_text(value: Value<'_>) -> Result<String, String> {
    match value {
        Value::Text(bytes) | Value::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")),
        },
        _ => Ok(String::new()),
    }
}

/// The tables that SQLite makes for itself.
fn is_own(name: &str) -> bool {
    let own = ["sqlite_sequence", "sqlite_stat1", "sqlite_stat2", "sqlite_stat3", "sqlite_stat4"];
    own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// SQLite keeps names that begin so for itself: `sqlite_sequence`, `sqlite_stat1`, ...
fn is_internal(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

/// Names are equal when they differ in the case of ASCII letters only.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
