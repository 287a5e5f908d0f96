//! The smallest and the greatest whole number of a column, over every row of the table: what a sequence has
//! to go past.

use aliaport_plan::catalogue::Table;
use aliaport_rows::value::Value;

use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;
use crate::statement::{Statement, quoted};

impl Source {
    /// The smallest and the greatest number in a column (an index into `table.columns`); `None` where it
    /// holds none. A text or a fraction counts as the number that it begins with: too much is better than too
    /// little. The rowid is looked up, any other column is read once.
    ///
    /// # Errors
    /// `InvalidName` for a column that is not there; else what reading can meet.
    pub fn key_range(&self, table: &Table, column: usize) -> Result<Option<(i64, i64)>, SourceError> {
        let Some(declared) = table.columns.get(column) else {
            let message = format!("SQLite table \"{}\" has no column number {column}", table.name);
            return Err(SourceError::with_message(SourceErrorKind::InvalidName, self.path(), message));
        };
        let (name, from) = (quoted(self, &declared.name)?, quoted(self, &table.name)?);
        let sql = if table.rowid_alias == Some(column) {
            // Each of them alone is a step to one end of the tree.
            format!("SELECT (SELECT min({name}) FROM main.{from}), (SELECT max({name}) FROM main.{from})")
        } else {
            format!(
                "SELECT min(k), max(k) FROM (SELECT CAST({name} AS INTEGER) AS k \
                 FROM main.{from} WHERE typeof({name}) = 'integer' OR typeof({name}) IN ('real', 'text') AND abs(CAST({name} AS REAL)) < 9.2e18)"
            )
        };
        let mut statement = Statement::prepare(self, &sql)?;
        statement.step()?;
        Ok(match (statement.value(0), statement.value(1)) {
            (Value::Integer(least), Value::Integer(most)) => Some((least, most)),
            _ => None,
        })
    }
}
