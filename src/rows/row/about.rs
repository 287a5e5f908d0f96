//! What is said of a row: where it is, what it holds, and why it cannot be stored.

use std::sync::Arc;

use serde_json::{Map, json};

use super::{RowError, SetAside};
use crate::column::{ColumnPlan, RowPlan};
use crate::convert::jsonb::object;
use crate::convert::{ValueError, display_value};
use crate::pg_type::PgType;
use crate::sqlstate::SqlState;
use crate::value::{Row, Value};

/// What messages say of a table's rows.
#[derive(Debug)]
pub struct About {
    pub(super) table: String,
    pub(super) columns: Vec<ColumnPlan>,
    /// The columns in the order in which jsonb keeps them.
    order: Vec<usize>,
    /// The columns of the source's key.
    pub(super) key: Vec<usize>,
}

impl About {
    pub(super) fn new(table: &RowPlan<'_>) -> Self {
        let columns = table.columns;
        let name = |i: &usize| columns.get(*i).map_or("", |c| c.source.as_str());
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by(|a, b| object::order(name(a), name(b)));
        About {
            table: table.source.to_owned(),
            columns: columns.to_vec(),
            order,
            key: table.key.iter().filter_map(|name| columns.iter().position(|c| &c.source == name)).collect(),
        }
    }

    /// The types of the columns.
    pub(crate) fn types(&self) -> Vec<&PgType> {
        self.columns.iter().map(|c| &c.pg_type).collect()
    }

    pub(super) fn entry(
        &self,
        row: &Row<'_>,
        column: usize,
        error: Option<&ValueError>,
        is_rejected: bool,
        row_data: Arc<Vec<u8>>,
    ) -> SetAside {
        let (sqlstate, reason) = self.reason(column, error);
        SetAside {
            source_key: self.key_json(row),
            column: Some(self.columns[column].source.clone()),
            storage_class: match row.value(column) {
                Value::Unreadable(_) => None,
                value => Some(value.storage_class().as_str()),
            },
            sqlstate,
            reason,
            is_rejected,
            row_data,
            lossy: Vec::new(),
        }
    }

    /// A row that no page holds; no single value is to blame.
    #[cold]
    pub(super) fn too_wide(&self, row: &Row<'_>, row_data: Arc<Vec<u8>>) -> SetAside {
        SetAside {
            source_key: self.key_json(row),
            column: None,
            storage_class: None,
            sqlstate: TOO_WIDE,
            reason: too_wide(),
            is_rejected: true,
            row_data,
            lossy: Vec::new(),
        }
    }

    /// The same as the error that it is under [`super::OnError::Abort`].
    #[cold]
    pub(super) fn too_wide_error(&self, row: &Row<'_>) -> RowError {
        RowError {
            sqlstate: TOO_WIDE,
            message: too_wide(),
            detail: format!("SQLite table \"{}\", {}.", self.table, self.place(row)),
            hint: "Leave columns out with the option skip, or import with on_error => 'reject' to set the row aside in aliaport.rejected_row."
                .to_owned(),
            wider: None,
        }
    }

    fn reason(&self, column: usize, error: Option<&ValueError>) -> (SqlState, String) {
        match error {
            Some(error) => (error.sqlstate(), error.to_string()),
            None => (
                SqlState::NOT_NULL_VIOLATION,
                format!(
                    "null value in column \"{}\" violates not-null constraint",
                    self.columns[column].target
                ),
            ),
        }
    }

    pub(super) fn error(&self, row: &Row<'_>, column: usize, error: Option<&ValueError>) -> RowError {
        let (sqlstate, message) = self.reason(column, error);
        let mut detail = self.held(row, column);
        if let Some(more) = error.and_then(ValueError::detail) {
            detail.push(' ');
            detail.push_str(&more);
        }
        let hint = match error {
            Some(error) => error.hint(&self.table, &self.columns[column].source),
            None => "Repair the row in SQLite, or import with on_error => 'reject' to set it aside in aliaport.rejected_row.".to_owned(),
        };
        let wider = error.and_then(ValueError::better_type).map(|first| (column, first));
        RowError { sqlstate, message, detail, hint, wider }
    }

    /// A tuple was formed that does not hold what it should.
    #[cold]
    pub(crate) fn misformed(&self, row: &Row<'_>, column: Option<usize>) -> RowError {
        RowError {
            sqlstate: SqlState::INTERNAL_ERROR,
            message: "unexpected content of a formed tuple".to_owned(),
            detail: match column {
                Some(column) => self.held(row, column),
                None => format!("SQLite table \"{}\", {}.", self.table, self.place(row)),
            },
            hint: "This is a bug in aliaport_import; nothing was imported. aliaport_import.tuple_images = off lets PostgreSQL form the tuples."
                .to_owned(),
            wider: None,
        }
    }

    /// Where a value is, what it is, and where it should go.
    fn held(&self, row: &Row<'_>, column: usize) -> String {
        let plan = &self.columns[column];
        let value = row.value(column);
        let declared = if plan.declared_type.is_empty() {
            "without a declared type".to_owned()
        } else {
            format!("declared {}", plan.declared_type)
        };
        let held = match value {
            Value::Null => "NULL".to_owned(),
            Value::Unreadable(reason) => format!("what SQLite cannot compute ({reason})"),
            other => format!("{} {}", other.storage_class().as_str(), quoted(&other)),
        };
        format!(
            "SQLite table \"{}\", {}, column \"{}\" ({declared}) holds {held}; the target type is {}.",
            self.table,
            self.place(row),
            plan.source,
            plan.pg_type
        )
    }

    /// `rowid 12`, `rowid 12 (id = 12)` or `key (a, b) = (1, x)`.
    fn place(&self, row: &Row<'_>) -> String {
        let key = || {
            let names: Vec<&str> = self.key.iter().map(|i| self.columns[*i].source.as_str()).collect();
            let values: Vec<String> = self.key.iter().map(|i| display_value(row.value(*i))).collect();
            format!("({}) = ({})", names.join(", "), values.join(", "))
        };
        match (row.rowid(), self.key.is_empty()) {
            (Some(rowid), true) => format!("rowid {rowid}"),
            (Some(rowid), false) => format!("rowid {rowid}, key {}", key()),
            (None, false) => format!("key {}", key()),
            (None, true) => "a row without a key".to_owned(),
        }
    }

    pub(super) fn key_json(&self, row: &Row<'_>) -> serde_json::Value {
        let mut map = Map::new();
        if let Some(rowid) = row.rowid() {
            map.insert("rowid".to_owned(), json!(rowid));
        }
        for i in &self.key {
            map.insert(self.columns[*i].source.clone(), value_json(row.value(*i)));
        }
        serde_json::Value::Object(map)
    }

    /// Every column's original value, as a whole value of type jsonb.
    pub(super) fn row_data(&self, row: &Row<'_>) -> Result<Arc<Vec<u8>>, RowError> {
        let members: Vec<_> = self
            .order
            .iter()
            .filter_map(|i| Some((self.columns.get(*i)?.source.as_str(), row.value(*i))))
            // What cannot be read has no value.
            .filter(|(_, value)| !matches!(value, Value::Unreadable(_)))
            .collect();
        object::write(&members).map(Arc::new).map_err(|_| self.too_long(row))
    }

    /// A row that cannot be set aside.
    #[cold]
    fn too_long(&self, row: &Row<'_>) -> RowError {
        RowError {
            sqlstate: SqlState::PROGRAM_LIMIT_EXCEEDED,
            message: "a row is too long to be set aside in aliaport.rejected_row".to_owned(),
            detail: format!(
                "SQLite table \"{}\", {}: its values take more than the 255 MB that a value of type jsonb can hold. \
                 A blob takes twice its length there.",
                self.table,
                self.place(row)
            ),
            hint: "Repair the row in SQLite, or leave it out with the option where of its table; \
                   on_error => 'abort' says what is wrong with it."
                .to_owned(),
            wider: None,
        }
    }
}

/// The code of a row that no page holds.
const TOO_WIDE: SqlState = SqlState::PROGRAM_LIMIT_EXCEEDED;

fn too_wide() -> String {
    format!("row is too big: more than {} bytes stay in the page", crate::width::WIDEST)
}

fn quoted(value: &Value<'_>) -> String {
    match value {
        Value::Text(_) => format!("\"{}\"", display_value(*value)),
        other => display_value(*other),
    }
}

/// A value as `aliaport.rejected_row` keeps it: texts as they are, blobs and texts that jsonb cannot hold as
/// hex.
#[must_use]
pub fn value_json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Null | Value::Unreadable(_) => serde_json::Value::Null,
        Value::Integer(i) => json!(i),
        // JSON has no infinities; SQLite's own spelling is kept as text.
        Value::Real(r) if r.is_infinite() => json!(if r > 0.0 { "Inf" } else { "-Inf" }),
        Value::Real(r) => json!(r),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => json!(text),
            _ => json!({ "hex": hex(bytes) }),
        },
        Value::Blob(bytes) => json!({ "hex": hex(bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
