//! What `sample` shows of a row: its rowid, its key, and the value in question.

use aliaport_plan::plan::TablePlan;
use aliaport_rows::convert::display_value;
use aliaport_rows::value::{Row, Value};
use serde_json::{Map, Value as Json, json};

use aliaport_rows::row::value_json;

/// Bytes of a value that a sample shows in full.
const SHOWN_BYTES: usize = 100;

/// Where a table's key stands in the rows that are read.
pub struct Key {
    /// Entries that a sample takes.
    pub limit: usize,
    columns: Vec<(usize, String)>,
}

impl Key {
    /// The key's columns among those that the plan reads, in the plan's order of columns.
    pub fn of_source_key(plan: &TablePlan, limit: usize) -> Self {
        let position = |name: &String| plan.columns.iter().position(|c| c.source == *name);
        Key {
            limit,
            columns: plan.source_key.iter().filter_map(|k| Some((position(k)?, k.clone()))).collect(),
        }
    }

    /// The key's positions in the plan's columns.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|(position, _)| *position)
    }

    /// The same key in rows that begin with its columns.
    pub fn first(&self) -> Self {
        let columns = self.columns.iter().enumerate().map(|(i, (_, name))| (i, name.clone())).collect();
        Key { limit: self.limit, columns }
    }

    /// One entry.
    pub fn entry(&self, row: &Row<'_>, value: Json) -> Json {
        let mut map = Map::new();
        if let Some(rowid) = row.rowid() {
            map.insert("rowid".to_owned(), json!(rowid));
        }
        for (position, name) in &self.columns {
            map.insert(name.clone(), value_of(row.value(*position)));
        }
        map.insert("value".to_owned(), value);
        Json::Object(map)
    }
}

/// A value as a sample shows it: as `aliaport.rejected_row` keeps it, if it is short.
pub fn value_of(value: Value<'_>) -> Json {
    match value {
        Value::Text(bytes) if bytes.len() > SHOWN_BYTES => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => json!(display_value(value)),
            _ => cut(bytes),
        },
        Value::Blob(bytes) if bytes.len() > SHOWN_BYTES => cut(bytes),
        value => value_json(value),
    }
}

/// Several values; one stands alone.
pub fn values_of<'v>(values: impl Iterator<Item = Value<'v>>) -> Json {
    let mut values: Vec<Json> = values.map(value_of).collect();
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Json::Array(values)
        }
        None => Json::Null,
    }
}

/// The beginning of what is no text, and its length.
fn cut(bytes: &[u8]) -> Json {
    let mut entry = value_json(Value::Blob(bytes.get(..SHOWN_BYTES / 2).unwrap_or(bytes)));
    if let Json::Object(map) = &mut entry {
        map.insert("bytes".to_owned(), json!(bytes.len()));
    }
    entry
}
