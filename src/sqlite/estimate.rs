//! How many rows a table has, without counting them.

use aliaport_plan::catalogue::Table;

use crate::rows::rowid_name;
use crate::source::Source;
use crate::statement::{Statement, quoted};

impl Source {
    /// About how many rows the table has, for a progress display; `None` where nothing tells.
    ///
    /// The range of the rowid, which is what two looks at the B-tree give and too much where rows were
    /// deleted; for a table WITHOUT ROWID what the last ANALYZE counted.
    #[must_use]
    pub fn estimated_rows(&self, table: &Table) -> Option<u64> {
        let name = quoted(self, &table.name).ok()?;
        let sql = if table.has_rowid {
            let rowid = rowid_name(self, table).ok()??;
            // Each subquery alone is one step to the first or the last entry.
            format!(
                "SELECT coalesce((SELECT max({rowid}) FROM main.{name}) - (SELECT min({rowid}) FROM main.{name}) + 1, 0)"
            )
        } else {
            let text = table.name.replace('\'', "''");
            format!(
                "SELECT max(CAST(substr(stat, 1, instr(stat || ' ', ' ') - 1) AS INTEGER)) FROM main.sqlite_stat1 WHERE tbl = '{text}'"
            )
        };
        // Without sqlite_stat1 the statement does not even compile: nothing is known then.
        let mut statement = Statement::prepare(self, &sql).ok()?;
        statement.step().ok()?;
        let rows = u64::try_from(statement.integer(0)).ok()?;
        // NULL reads as 0, and stands for the absence of statistics.
        (table.has_rowid || rows > 0).then_some(rows)
    }
}
