//! A reader that may move to another thread.
#![allow(unsafe_code)] // says what the compiler cannot see: nobody else uses the connection meanwhile

use aliaport_plan::catalogue::Table;
use aliaport_plan::value::Row;

use crate::error::SourceError;
use crate::rows::RowReader;
use crate::source::Source;

/// A [`RowReader`] that has its source for itself, so that it can be sent to a thread.
pub struct ExclusiveReader<'s> {
    reader: RowReader<'s>,
}

// SAFETY: the reader holds pointers into a SQLite connection that was opened without a mutex, which only one thread at a time
// may use. The exclusive borrow of the source, which lasts as long as the reader, keeps every other use away; the source itself
// is Send, and SQLite does not care which thread it is.
unsafe impl Send for ExclusiveReader<'_> {}

impl Source {
    /// The rows of a table like [`Source::rows_where`], in a reader that may be sent to a thread.
    ///
    /// # Errors
    /// As [`Source::rows_where`].
    pub fn rows_exclusive(
        &mut self,
        table: &Table,
        columns: &[usize],
        filter: Option<&str>,
    ) -> Result<ExclusiveReader<'_>, SourceError> {
        Ok(ExclusiveReader { reader: self.rows_where(table, columns, filter)? })
    }
}

impl ExclusiveReader<'_> {
    /// Reads the next row; `None` after the last. The row before it is gone then.
    ///
    /// # Errors
    /// As [`RowReader::next`].
    #[allow(clippy::should_implement_trait)] // an iterator cannot lend
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SourceError> {
        self.reader.next()
    }
}
