//! Rows and values that a run set aside, grouped, with samples.

use serde::Serialize;

/// What was set aside for one reason in one column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RejectedGroup {
    /// The SQLite table.
    pub table_name: String,
    /// The SQLite column, where one is to blame.
    pub column_name: Option<String>,
    /// The code that on_error => 'abort' would have raised.
    pub sqlstate: String,
    /// rejected: the row was left out; nulled: the value became NULL.
    pub action: String,
    /// How many.
    pub count: i64,
    /// The first few, by key.
    pub samples: Vec<Sample>,
}

/// One row that was set aside.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// The key's columns, and "rowid" where the table has one.
    pub source_key: serde_json::Value,
    /// SQLite's storage class of the value.
    pub storage_class: Option<String>,
    /// The value in the column, shortened; null: NULL, or no one column is to blame.
    pub value: Option<String>,
    /// Why.
    pub reason: String,
}

impl Sample {
    /// The key as `id = 2, rowid = 2`.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.source_key {
            serde_json::Value::Object(parts) if !parts.is_empty() => {
                let parts: Vec<String> = parts.iter().map(|(k, v)| format!("{k} = {}", plain(v))).collect();
                parts.join(", ")
            }
            serde_json::Value::Object(_) => "no key".to_owned(),
            other => plain(other),
        }
    }

    /// The value with its storage class, `text "x"`; nothing where no column is to blame.
    #[must_use]
    pub fn shown(&self) -> String {
        match (&self.value, self.storage_class.as_deref()) {
            (Some(value), Some(class @ "text")) => format!("{class} \"{value}\""),
            (Some(value), Some(class)) => format!("{class} {value}"),
            (Some(value), None) => value.clone(),
            (None, _) => "NULL".to_owned(),
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
