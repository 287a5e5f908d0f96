//! Readers that own their source, for a caller whose scans outlive any borrow: a session keeps its
//! connection, and the statements that were prepared on it, from query to query.
#![allow(unsafe_code)] // a statement and the source that it borrows are in one value

use std::mem::ManuallyDrop;
use std::rc::Rc;

use aliaport_plan::catalogue::Table;
use aliaport_rows::batch::Rows;
use aliaport_rows::value::{Row, Value};
use rusqlite::ffi;

use crate::error::SourceError;
use crate::rows::{Rowid, select_in_any_order};
use crate::send_reader::SendReader;
use crate::source::Source;
use crate::statement::{Statement, quoted};

/// What a [`Query`] reads, as SQL without conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `SELECT ... FROM main."t"`
    pub sql: String,
    rowid: Rowid,
    width: usize,
}

impl Selection {
    /// Columns of a table or view, in this order.
    ///
    /// # Errors
    /// `InvalidName` for a column that is not there, or a name with a NUL byte.
    pub fn new(source: &Source, table: &Table, columns: &[usize]) -> Result<Self, SourceError> {
        source.require_computable(table, columns)?;
        let (sql, rowid, _) = select_in_any_order(source, table, columns)?;
        Ok(Selection { sql, rowid, width: columns.len() })
    }

    /// A whole statement that gives so many columns and no rowid.
    #[must_use]
    pub fn of_statement(sql: String, width: usize) -> Self {
        Selection { sql, rowid: Rowid::None, width }
    }
}

/// A prepared statement with parameters, and the row that it stands on.
pub struct Query {
    /// Dropped before the source that it borrows.
    statement: ManuallyDrop<Statement<'static>>,
    source: Rc<Source>,
    rowid: Rowid,
    width: usize,
    parameters: usize,
    text: String,
}

/// The parameters that a statement may have.
const MOST_PARAMETERS: usize = 1000;

impl Query {
    /// Compiles a selection with what follows it: `WHERE`, `ORDER BY`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn prepare(source: &Rc<Source>, selection: &Selection, tail: &str) -> Result<Self, SourceError> {
        let sql = format!("{} {tail}", selection.sql);
        // SAFETY: the source is on the heap and stays there for as long as `source` of the result, which is
        // dropped after the statement. The long lifetime never leaves this file.
        let borrowed: &'static Source = unsafe { &*Rc::as_ptr(source) };
        let statement = Statement::prepare_with_parameters(borrowed, &sql, MOST_PARAMETERS)?;
        let parameters = statement.parameters();
        Ok(Query {
            statement: ManuallyDrop::new(statement),
            source: Rc::clone(source),
            rowid: selection.rowid,
            width: selection.width,
            parameters,
            text: sql,
        })
    }

    /// What was compiled.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it reads what a selection does. The text does not tell: the first column of it may be a rowid
    /// that is asked for beside the columns, or one of them.
    #[must_use]
    pub fn reads(&self, selection: &Selection) -> bool {
        self.rowid == selection.rowid && self.width == selection.width
    }

    /// How many parameters it takes.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Begins with these values for the parameters, those that are too many left out.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&mut self, arguments: &[Value<'_>]) -> Result<(), SourceError> {
        // What others have compared is no business of this query.
        let _ = self.source.compared_by();
        self.statement.restart(arguments.get(..self.parameters).unwrap_or(arguments))
    }

    /// Reads the next row; `None` after the last. The row before it is gone then.
    ///
    /// # Errors
    /// Everything that reading can meet.
    #[allow(clippy::should_implement_trait)] // an iterator cannot lend
    #[inline]
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SourceError> {
        let has_row = self.statement.step()?;
        self.source.refuse_comparison()?;
        Ok(has_row.then(|| self.rowid.row(self.statement.values(), self.width)))
    }

    /// Gives back what a scan holds, for another one later.
    pub fn rest(&mut self) {
        // Begins anew without going on; nothing can fail in it, as there is nothing to bind.
        let _ = self.statement.restart(&[]);
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // SAFETY: dropped once, here, and before the source.
        unsafe { ManuallyDrop::drop(&mut self.statement) };
    }
}

/// All rows of a table, in batches, by the reader of an import.
pub struct TableScan {
    /// Dropped before the source that it borrows.
    reader: ManuallyDrop<SendReader<'static>>,
    _source: Rc<Source>,
}

impl TableScan {
    /// Begins a scan of these columns.
    ///
    /// # Errors
    /// As [`Source::rows`].
    pub fn open(source: &Rc<Source>, table: &Table, columns: &[usize]) -> Result<Self, SourceError> {
        // SAFETY: as in `Query::prepare`. The reader stays in this thread, as an Rc does.
        let borrowed: &'static Source = unsafe { &*Rc::as_ptr(source) };
        let reader = SendReader::open(borrowed, table, columns, None)?;
        Ok(TableScan { reader: ManuallyDrop::new(reader), _source: Rc::clone(source) })
    }

    /// Copies rows until they take `bytes` or more of memory; true after the last row.
    ///
    /// # Errors
    /// Everything that reading can meet.
    pub fn fill(&mut self, rows: &mut Rows, bytes: usize) -> Result<bool, SourceError> {
        self.reader.fill(rows, bytes)
    }
}

impl Drop for TableScan {
    fn drop(&mut self) {
        // SAFETY: dropped once, here, and before the source.
        unsafe { ManuallyDrop::drop(&mut self.reader) };
    }
}

impl Source {
    /// Lets statements read views. Their SELECTs may do what any expression of the schema may.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn allow_views(&self) -> Result<(), SourceError> {
        let switch = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW;
        let set = self.connection().set_db_config(switch, true);
        set.map(drop).map_err(|error| SourceError::from_rusqlite(self.path(), &error))
    }

    /// A name as SQLite's SQL.
    ///
    /// # Errors
    /// `InvalidName` for a NUL byte.
    pub fn quoted(&self, name: &str) -> Result<String, SourceError> {
        quoted(self, name)
    }
}

impl Statement<'_> {
    /// How many parameters it has: the greatest number of one.
    fn parameters(&self) -> usize {
        // SAFETY: the statement is prepared.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(self.raw()) };
        usize::try_from(count).unwrap_or(0)
    }
}
