//! What the columns of a table really hold, counted in one pass.

use aliaport_plan::catalogue::Table;
use aliaport_plan::profile::{ColumnProfile, TableProfile};
use aliaport_plan::value::Value;

use crate::error::SourceError;
use crate::source::Source;

pub(crate) fn profile(source: &Source, table: &Table) -> Result<TableProfile, SourceError> {
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let mut profile = TableProfile { rows: 0, columns: vec![ColumnProfile::default(); columns.len()] };
    let mut reader = source.rows(table, &columns)?;
    while let Some(row) = reader.next()? {
        profile.rows += 1;
        for (i, column) in profile.columns.iter_mut().enumerate() {
            count(column, row.value(i));
        }
    }
    Ok(profile)
}

fn count(column: &mut ColumnProfile, value: Value<'_>) {
    match value {
        Value::Null => column.nulls += 1,
        Value::Integer(value) => {
            column.integers += 1;
            let (low, high) = column.integer_range.unwrap_or((value, value));
            column.integer_range = Some((low.min(value), high.max(value)));
        }
        Value::Real(_) => column.reals += 1,
        Value::Text(bytes) => {
            column.texts += 1;
            let length = if bytes.is_ascii() {
                bytes.len()
            } else if let Ok(text) = std::str::from_utf8(bytes) {
                text.chars().count()
            } else {
                column.invalid_utf8 += 1;
                bytes.len()
            };
            column.longest_text = column.longest_text.max(length as u64);
            column.nul_characters += u64::from(bytes.contains(&0));
        }
        Value::Blob(_) => column.blobs += 1,
    }
}
