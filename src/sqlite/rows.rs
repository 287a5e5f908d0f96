//! The rows of a table.

use aliaport_plan::catalogue::{IndexOrigin, Table};
use aliaport_rows::value::{Row, Value};

use crate::careful::{Careful, Recipe, may_come_from_expression};
use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;
use crate::statement::{Statement, quoted};
use crate::tokenizer;

impl Source {
    /// Reads these columns (indexes into `table.columns`) of all rows, in the order of the rowid or primary
    /// key.
    ///
    /// # Errors
    /// `InvalidName` for a column that is not there; else what reading can meet.
    pub fn rows(&self, table: &Table, columns: &[usize]) -> Result<RowReader<'_>, SourceError> {
        self.require_computable(table, columns)?;
        RowReader::open(self, table, columns, None)
    }

    /// Reads the rows for which `filter`, one SQLite expression, is true.
    ///
    /// # Errors
    /// `InvalidFilter` where it is none, names a column that is not there or calls a function that is not
    /// allowed.
    pub fn rows_where(
        &self,
        table: &Table,
        columns: &[usize],
        filter: Option<&str>,
    ) -> Result<RowReader<'_>, SourceError> {
        self.require_computable(table, columns)?;
        RowReader::open(self, table, columns, filter)
    }
}

/// The rows of a table, in the order of the rowid or, without one, of the primary key.
pub struct RowReader<'s> {
    statement: Statement<'s>,
    rowid: Rowid,
    /// How many columns were asked for.
    width: usize,
    has_filter: bool,
    /// Rows that were given.
    given: u64,
    /// Where a row may fail: how to read on.
    recipe: Option<Recipe>,
    /// Reads on, where one has failed.
    careful: Option<Box<Careful<'s>>>,
}

/// Where the rowid of a row is found in the statement's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rowid {
    None,
    /// Before the columns that were asked for.
    First,
    /// It is one of them.
    Column(usize),
}

impl<'s> RowReader<'s> {
    /// Goes to the next row; false after the last.
    #[inline]
    fn step(&mut self) -> Result<bool, SourceError> {
        match &mut self.careful {
            None => self.statement.step().or_else(|error| self.read_on(error)),
            Some(careful) => careful.step(),
        }
    }

    /// Goes to the row that has failed, where its columns can be told apart.
    #[cold]
    fn read_on(&mut self, error: SourceError) -> Result<bool, SourceError> {
        let recipe = self.recipe.take().filter(|_| may_come_from_expression(&error));
        let Some(recipe) = recipe else { return Err(error) };
        self.careful.insert(Box::new(Careful::after(self.statement.source(), recipe, self.given)?)).step()
    }

    /// Each row comes with its rowid.
    pub(crate) fn gives_rowids(&self) -> bool {
        !matches!(self.rowid, Rowid::None)
    }

    pub(crate) fn open(
        source: &'s Source,
        table: &Table,
        columns: &[usize],
        filter: Option<&str>,
    ) -> Result<Self, SourceError> {
        let (mut sql, rowid, terms) = select(source, table, columns)?;
        let recipe = Recipe::for_statement(source, table, columns, &terms, filter)?;
        // What others have compared is no business of this reader.
        let _ = source.compared_by();
        let Some(filter) = filter else {
            return Ok(Self {
                statement: Statement::prepare_rows(source, &sql)?,
                rowid,
                width: columns.len(),
                has_filter: false,
                given: 0,
                recipe,
                careful: None,
            });
        };
        let invalid = |detail: String| {
            SourceError::new(SourceErrorKind::InvalidFilter, source.path()).with_detail(detail)
        };
        // Else `1) LIMIT (1` would be one.
        if !tokenizer::is_one_expression(filter) {
            return Err(invalid("Its parentheses or quotes do not match.".to_owned()));
        }
        let plain = Statement::prepare(source, &sql);
        sql += &format!(" WHERE (\n{filter}\n)");
        match Statement::prepare_rows(source, &sql) {
            Ok(statement) => Ok(Self {
                statement,
                rowid,
                width: columns.len(),
                has_filter: true,
                given: 0,
                recipe,
                careful: None,
            }),
            // Without the filter it works: it is the filter.
            Err(error) if plain.is_ok() && error.may_come_from_sql() => {
                Err(error.into_kind(SourceErrorKind::InvalidFilter))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the next row; `None` after the last. The row before it is gone then.
    ///
    /// # Errors
    /// Everything that reading can meet; [`SourceErrorKind::Interrupted`] soon after a cancel. The reader is
    /// at its end after an error.
    #[allow(clippy::should_implement_trait)] // an iterator cannot lend
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SourceError> {
        let has_row = self.step().map_err(|error| match error {
            // The filter failed on this row.
            error if self.has_filter && error.may_come_from_sql() => {
                error.into_kind(SourceErrorKind::InvalidFilter)
            }
            error => error,
        })?;
        self.refuse_comparison()?;
        if !has_row {
            return Ok(None);
        }
        self.given += 1;
        let values = match &self.careful {
            Some(careful) => careful.values(),
            None => self.statement.values(),
        };
        Ok(Some(self.rowid.row(values, self.width)))
    }
}

impl Rowid {
    /// The row of so many columns that these values of a statement are.
    #[inline]
    pub(crate) fn row<'r>(self, values: &'r [Value<'r>], width: usize) -> Row<'r> {
        let integer = |at: usize| match values.get(at) {
            Some(Value::Integer(rowid)) => Some(*rowid),
            _ => None,
        };
        let (rowid, first) = match self {
            Rowid::None => (None, 0),
            Rowid::First => (integer(0), 1),
            Rowid::Column(at) => (integer(at), 0),
        };
        Row::new(values.get(first..first + width).unwrap_or_default(), rowid)
    }
}

impl RowReader<'_> {
    /// Fails where the filter's answer, or a value, hangs on a collation that only the application has.
    fn refuse_comparison(&self) -> Result<(), SourceError> {
        let source = self.statement.source();
        if self.has_filter { refuse_filter(source) } else { source.refuse_comparison() }
    }

    /// The error of a row that is too large to be copied.
    pub(crate) fn too_big(&self) -> SourceError {
        SourceError::new(SourceErrorKind::TooBig, self.statement.source().path())
    }
}

/// Fails where a filter has compared by a collation that only the application has, be it that SQLite has
/// looked rows up in their order.
pub(crate) fn refuse_filter(source: &Source) -> Result<(), SourceError> {
    let Some(name) = source.compared_by() else { return Ok(()) };
    let detail = format!(
        "It compares by the collation {name}, which only the application has: write COLLATE BINARY or COLLATE NOCASE where it compares."
    );
    Err(SourceError::new(SourceErrorKind::InvalidFilter, source.path()).with_detail(detail))
}

/// The statement that reads these columns of all rows, and where the rowid is in its result.
fn select(
    source: &Source,
    table: &Table,
    columns: &[usize],
) -> Result<(String, Rowid, Vec<String>), SourceError> {
    let (mut sql, rowid, terms) = select_in_any_order(source, table, columns)?;
    sql.push(' ');
    sql.push_str(&own_order(source, table)?);
    Ok((sql, rowid, terms))
}

/// The same; SQLite may read what it likes.
pub(crate) fn select_in_any_order(
    source: &Source,
    table: &Table,
    columns: &[usize],
) -> Result<(String, Rowid, Vec<String>), SourceError> {
    let mut terms = Vec::with_capacity(columns.len() + 1);
    for &index in columns {
        let Some(column) = table.columns.get(index) else {
            let message = format!("SQLite table \"{}\" has no column number {index}", table.name);
            return Err(SourceError::with_message(SourceErrorKind::InvalidName, source.path(), message));
        };
        terms.push(quoted(source, &column.name)?);
    }
    let rowid = rowid_of(source, table, columns, &mut terms)?;
    let sql = format!("SELECT {} FROM main.{}", terms.join(", "), quoted(source, &table.name)?);
    Ok((sql, rowid, terms))
}

/// What keeps SQLite from reading an index that holds all of the columns, in its order. Without a rowid the
/// table is an index itself, and `NOT INDEXED` does not keep the others away.
pub(crate) fn own_order(source: &Source, table: &Table) -> Result<String, SourceError> {
    let key = table.indexes.iter().find(|index| index.origin == IndexOrigin::PrimaryKey);
    match key {
        Some(key) if !table.has_rowid => Ok(format!("INDEXED BY {}", quoted(source, &key.name)?)),
        _ => Ok("NOT INDEXED".to_owned()),
    }
}

/// Decides where the rowid comes from, and adds it to the terms where it is not one of them.
fn rowid_of(
    source: &Source,
    table: &Table,
    columns: &[usize],
    terms: &mut Vec<String>,
) -> Result<Rowid, SourceError> {
    if let Some(at) = table.rowid_alias.and_then(|alias| columns.iter().position(|column| *column == alias)) {
        return Ok(Rowid::Column(at));
    }
    Ok(match rowid_name(source, table)? {
        // SQLite gives no more than 2,000 columns in a result.
        Some(name) if table.has_rowid && terms.len() < 2000 => {
            terms.insert(0, name);
            Rowid::First
        }
        _ => {
            if terms.is_empty() {
                terms.push("NULL".to_owned());
            }
            Rowid::None
        }
    })
}

/// What the rowid is asked for by; `None` where columns have all the names it could have.
pub(crate) fn rowid_name(source: &Source, table: &Table) -> Result<Option<String>, SourceError> {
    let is_free = |name: &&str| !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    Ok(match table.rowid_alias.and_then(|alias| table.columns.get(alias)) {
        Some(alias) => Some(quoted(source, &alias.name)?),
        None => ["rowid", "_rowid_", "oid"].into_iter().find(is_free).map(str::to_owned),
    })
}
