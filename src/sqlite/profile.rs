//! What the columns of a table really hold, counted in one pass.

use aliaport_plan::catalogue::{Generated, Table};
use aliaport_plan::profile::{ColumnProfile, TableProfile};
use aliaport_rows::value::Value;

use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;

impl Source {
    /// Counts what the columns really hold, in one pass over the table.
    ///
    /// # Errors
    /// What reading can meet.
    pub fn profile(&self, table: &Table) -> Result<TableProfile, SourceError> {
        let all: Vec<usize> = (0..table.columns.len()).collect();
        profile_columns(self, table, &all).or_else(|error| {
            // A virtual column may call a function that only the application has: then nobody can read it,
            // and it counts as empty. The others are there.
            let is_stored = |i: &usize| {
                table.columns.get(*i).is_some_and(|column| column.generated != Generated::Virtual)
            };
            let stored: Vec<usize> = all.iter().copied().filter(is_stored).collect();
            if *error.kind() == SourceErrorKind::NotAvailable && stored.len() < all.len() {
                profile_columns(self, table, &stored)
            } else {
                Err(error)
            }
        })
    }
}

fn profile_columns(source: &Source, table: &Table, columns: &[usize]) -> Result<TableProfile, SourceError> {
    let mut profile = TableProfile { rows: 0, columns: vec![ColumnProfile::default(); table.columns.len()] };
    let mut reader = source.rows(table, columns)?;
    while let Some(row) = reader.next()? {
        profile.rows += 1;
        for (i, column) in columns.iter().enumerate() {
            if let Some(column) = profile.columns.get_mut(*column) {
                count(column, row.value(i));
            }
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
        // It has no class.
        Value::Unreadable(_) => {}
    }
}
