//! Which rows point at a parent that is not there?

use aliaport_plan::catalogue::Table;

use crate::error::{SourceError, SourceErrorKind};
use crate::rows::RowReader;
use crate::source::Source;
use crate::statement::quoted;
use crate::tokenizer;

/// A foreign key between two tables of the source.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// The table whose rows point.
    pub child: &'a Table,
    /// Its referencing columns, as indexes into its columns.
    pub columns: &'a [usize],
    /// Only rows for which this is true count as children.
    pub child_filter: Option<&'a str>,
    /// The table that is pointed at; it can be the same.
    pub parent: &'a Table,
    /// The referenced columns, in the order of `columns`.
    pub parent_columns: &'a [usize],
    /// Only rows for which this is true count as parents.
    pub parent_filter: Option<&'a str>,
    /// Texts compare without regard to the case of ASCII letters; else byte by byte, whatever collation is
    /// declared.
    pub is_nocase: bool,
}

impl Source {
    /// Reads these columns of the rows whose reference is whole (no NULL in it) and matches no parent.
    ///
    /// One pass over the child. Parents are looked up in their index where that compares like the reference,
    /// else in one that SQLite makes once for the query.
    ///
    /// # Errors
    /// `InvalidName` for a column that is not there, `InvalidFilter` for a filter that is no expression; else
    /// what reading can meet.
    pub fn orphans(
        &self,
        reference: &Reference<'_>,
        columns: &[usize],
    ) -> Result<RowReader<'_>, SourceError> {
        for filter in [reference.child_filter, reference.parent_filter].into_iter().flatten() {
            if !tokenizer::is_one_expression(filter) {
                return Err(SourceError::new(SourceErrorKind::InvalidFilter, self.path()));
            }
        }
        let condition = condition(self, reference)?;
        RowReader::open(self, reference.child, columns, Some(&condition))
    }
}

fn condition(source: &Source, reference: &Reference<'_>) -> Result<String, SourceError> {
    let own = names(source, reference.child, reference.columns)?;
    let theirs = names(source, reference.parent, reference.parent_columns)?;
    // The left side's collation decides, and an explicit one leaves its affinity as it is.
    let collation = if reference.is_nocase { "NOCASE" } else { "BINARY" };
    let mut terms: Vec<String> = Vec::new();
    if let Some(filter) = reference.child_filter {
        terms.push(format!("(\n{filter}\n)"));
    }
    terms.extend(own.iter().map(|name| format!("{name} IS NOT NULL")));
    let left: Vec<String> = own.iter().map(|name| format!("{name} COLLATE {collation}")).collect();
    let right: Vec<String> = theirs.iter().map(|name| format!("p.{name}")).collect();
    let table = format!("main.{}", quoted(source, &reference.parent.name)?);
    let from = match reference.parent_filter {
        Some(filter) => format!("(SELECT * FROM {table} WHERE (\n{filter}\n))"),
        None => table,
    };
    // One NULL among the parents would make every NOT IN unknown. Without this condition SQLite can use their
    // index.
    let nullable: Vec<String> = reference
        .parent_columns
        .iter()
        .zip(&right)
        .filter(|(column, _)| can_be_null(reference.parent, **column))
        .map(|(_, name)| format!("{name} IS NOT NULL"))
        .collect();
    let where_clause =
        if nullable.is_empty() { String::new() } else { format!(" WHERE {}", nullable.join(" AND ")) };
    terms.push(format!(
        "({}) NOT IN (SELECT {} FROM {from} AS p{where_clause})",
        left.join(", "),
        right.join(", ")
    ));
    Ok(terms.join(" AND "))
}

fn can_be_null(table: &Table, column: usize) -> bool {
    table.rowid_alias != Some(column) && !table.columns.get(column).is_some_and(|c| c.is_not_null)
}

fn names(source: &Source, table: &Table, columns: &[usize]) -> Result<Vec<String>, SourceError> {
    columns
        .iter()
        .map(|&index| match table.columns.get(index) {
            Some(column) => quoted(source, &column.name),
            None => Err(SourceError::with_message(
                SourceErrorKind::InvalidName,
                source.path(),
                format!("SQLite table \"{}\" has no column number {index}", table.name),
            )),
        })
        .collect()
}
