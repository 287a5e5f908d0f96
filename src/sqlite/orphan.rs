//! Rows that point at a missing parent, counted by SQLite itself.

use aliaport_plan::catalogue::Table;

use crate::error::{SourceError, SourceErrorKind};
use crate::rows::refuse_filter;
use crate::source::Source;
use crate::statement::{Statement, quoted};
use crate::tokenizer;

/// One end of a foreign key.
#[derive(Clone, Copy, Debug)]
pub struct KeyEnd<'a> {
    /// The table.
    pub table: &'a Table,
    /// The key's columns, as indexes into the table's.
    pub columns: &'a [usize],
    /// Only rows for which this SQLite expression is true are there.
    pub filter: Option<&'a str>,
}

impl KeyEnd<'_> {
    /// The columns as k0, k1 and so on, in a subquery that SQLite merges into the one around it.
    fn subquery(&self, source: &Source) -> Result<String, SourceError> {
        let mut terms = Vec::with_capacity(self.columns.len());
        for (i, &column) in self.columns.iter().enumerate() {
            let Some(column) = self.table.columns.get(column) else {
                let message = format!("SQLite table \"{}\" has no column number {column}", self.table.name);
                return Err(SourceError::with_message(SourceErrorKind::InvalidName, source.path(), message));
            };
            terms.push(format!("{} AS k{i}", quoted(source, &column.name)?));
        }
        let mut sql = format!("SELECT {} FROM main.{}", terms.join(", "), quoted(source, &self.table.name)?);
        if let Some(filter) = self.filter {
            if !tokenizer::is_one_expression(filter) {
                return Err(SourceError::new(SourceErrorKind::InvalidFilter, source.path())
                    .with_detail("Its parentheses or quotes do not match.".to_owned()));
            }
            sql += &format!(" WHERE (\n{filter}\n)");
        }
        Ok(sql)
    }
}

impl Source {
    /// Counts the rows of `child` whose columns are all there and equal those of no row of `parent`.
    ///
    /// Values compare as SQLite's own foreign keys do, by the affinity and the collation of the parent's
    /// column alone (<https://sqlite.org/foreignkeys.html>, section 3): so that stands to the left, and a
    /// plus takes the affinity from the child's. By a collation that only the application has nobody else can
    /// compare: then it is byte by byte.
    ///
    /// # Errors
    /// `InvalidName` for a column that is not there; else what reading can meet.
    pub fn count_orphans(&self, child: KeyEnd<'_>, parent: KeyEnd<'_>) -> Result<u64, SourceError> {
        let terms = |term: &dyn Fn(usize) -> String| {
            (0..child.columns.len()).map(term).collect::<Vec<_>>().join(" AND ")
        };
        let (children, parents) = (child.subquery(self)?, parent.subquery(self)?);
        let count = |collation: &str| {
            // A join and not a subquery of each row: SQLite makes an index for it where the parent has none.
            let sql = format!(
                "SELECT count(*) FROM ({children}) AS c LEFT JOIN ({parents}) AS p ON {} WHERE {} AND p.k0 IS NULL",
                terms(&|i| format!("p.k{i}{collation} = +c.k{i}")),
                terms(&|i| format!("c.k{i} IS NOT NULL")),
            );
            let mut statement = Statement::prepare(self, &sql)?;
            statement.step()?;
            Ok(u64::try_from(statement.integer(0)).unwrap_or(0))
        };
        let _ = self.compared_by();
        let orphans = count("")?;
        if self.compared_by().is_none() {
            return Ok(orphans);
        }
        // Nor is anything looked up in an index whose order only the application knows.
        let orphans = count(" COLLATE BINARY")?;
        refuse_filter(self)?;
        Ok(orphans)
    }
}
