//! Rows and values that a run set aside, grouped, with samples.

use serde::Serialize;

use super::Run;
use super::quantity::counted;

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
    /// The value in the column, shortened, or those of several columns, `a = 1, b = 2`; null: NULL, or no
    /// column is to blame.
    pub value: Option<String>,
    /// Why.
    pub reason: String,
}

impl RejectedGroup {
    /// The table, and the column where one is to blame.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.table_name, self.column_name.as_deref())
    }

    /// What happened to how many.
    #[must_use]
    pub fn what(&self, run: &Run) -> String {
        let n = self.count;
        match (self.action.as_str(), run.dry_run) {
            ("nulled", false) => counted(n, "value became NULL", "values became NULL"),
            ("nulled", true) => counted(n, "value would become NULL", "values would become NULL"),
            (_, false) => counted(n, "row rejected", "rows rejected"),
            (_, true) => counted(n, "row would be rejected", "rows would be rejected"),
        }
    }

    /// The row is whole, but what it points at is not there, or was rejected itself.
    #[must_use]
    pub fn is_for_parent(&self) -> bool {
        self.sqlstate == "23503"
    }
}

/// `table.column`, or the table alone.
#[must_use]
pub fn place(table: &str, column: Option<&str>) -> String {
    column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"))
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
    pub fn value_with_class(&self) -> String {
        match (&self.value, self.storage_class.as_deref()) {
            (Some(value), Some(class @ "text")) => format!("{class} \"{value}\""),
            (Some(value), Some(class)) => format!("{class} {value}"),
            (Some(value), None) => value.clone(),
            (None, Some(_)) => "NULL".to_owned(),
            // No value was looked at, so none is to blame.
            (None, None) => String::new(),
        }
    }
}

/// The values of the columns that `names` lists, which a run writes with commas between them, out of the
/// `values` of the row: of one column its value as it is, of several with their names. Names may hold commas
/// themselves, so the longest that fits goes first. `None` where a name is not the row's, or where the one
/// column holds NULL.
#[must_use]
pub fn values_of(names: &str, values: &[(String, Option<String>)]) -> Option<String> {
    if let Some((_, value)) = values.iter().find(|(name, _)| name == names) {
        return value.clone();
    }
    let mut found: Vec<String> = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let fits = |name: &str| {
            let after = rest.strip_prefix(name)?;
            if after.is_empty() { Some(after) } else { after.strip_prefix(", ") }
        };
        let (name, value, after) = values
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .filter_map(|(name, value)| Some((name, value, fits(name)?)))
            .max_by_key(|(name, _, _)| name.len())?;
        found.push(format!("{name} = {}", value.as_deref().unwrap_or("NULL")));
        rest = after;
    }
    (!found.is_empty()).then(|| found.join(", "))
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_for_every_column_that_is_named_and_null_only_where_it_is() {
        let row: Vec<(String, Option<String>)> =
            [("a", Some("1")), ("b", None), ("a, b", Some("odd")), ("c", Some("x"))]
                .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
                .to_vec();
        let shown = |names| values_of(names, &row);
        assert_eq!(shown("a").as_deref(), Some("1"));
        assert_eq!(shown("b"), None);
        assert_eq!(shown("c, a").as_deref(), Some("c = x, a = 1"));
        assert_eq!(shown("c, b").as_deref(), Some("c = x, b = NULL"));
        // The name of one column is not that of two.
        assert_eq!(shown("a, b").as_deref(), Some("odd"));
        assert_eq!(shown("c, a, b").as_deref(), Some("c = x, a, b = odd"));
        // An expression, or a column that is gone.
        assert_eq!(shown("lower(c)"), None);
        assert_eq!(shown("c, d"), None);
        assert_eq!(Sample::default().value_with_class(), "");
        let null = Sample { storage_class: Some("null".to_owned()), ..Sample::default() };
        assert_eq!(null.value_with_class(), "NULL");
    }
}
