//! A reader that may move to another thread.
#![allow(unsafe_code)] // says what the compiler cannot see: nobody else uses the connection meanwhile

use aliaport_plan::catalogue::Table;
use aliaport_rows::batch::{Full, Rows};
use aliaport_rows::value::Row;

use crate::error::{SourceError, SourceErrorKind};
use crate::pages::{Given, Next, PageScan};
use crate::rows::RowReader;
use crate::source::Source;

/// A [`RowReader`] that has its source for itself, so that it can be sent to a thread.
pub struct SendReader<'s> {
    source: &'s Source,
    /// The table's name.
    table: String,
    reader: RowReader<'s>,
    /// Where [`SendReader::fill`] need not go through SQLite.
    pages: Option<PageScan>,
}

// SAFETY: the reader holds pointers into a SQLite connection that was opened without a mutex, which only one
// thread at a time may use. The exclusive borrow of the source, which lasts as long as the reader, keeps
// every other use away; the source itself is Send, and SQLite does not care which thread it is.
unsafe impl Send for SendReader<'_> {}

impl Source {
    /// The rows of a table like [`Source::rows_where`], in a reader that may be sent to a thread.
    ///
    /// # Errors
    /// As [`Source::rows_where`].
    pub fn rows_to_send(
        &mut self,
        table: &Table,
        columns: &[usize],
        filter: Option<&str>,
    ) -> Result<SendReader<'_>, SourceError> {
        SendReader::open(self, table, columns, filter)
    }
}

impl<'s> SendReader<'s> {
    /// The same for a source that is not borrowed exclusively: it must stay in its thread.
    pub(crate) fn open(
        source: &'s Source,
        table: &Table,
        columns: &[usize],
        filter: Option<&str>,
    ) -> Result<Self, SourceError> {
        let reader = source.rows_where(table, columns, filter)?;
        let pages = match filter {
            None if reader.gives_rowids() => PageScan::open(source, table, columns)?,
            _ => None,
        };
        Ok(SendReader { source, table: table.name.clone(), reader, pages })
    }
}

impl SendReader<'_> {
    /// Reads the next row; `None` after the last. The row before it is gone then.
    ///
    /// # Errors
    /// As [`RowReader::next`].
    #[allow(clippy::should_implement_trait)] // an iterator cannot lend
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SourceError> {
        self.reader.next()
    }

    /// Goes through SQLite from here on, which is the slower way to the same rows. Before the first row.
    #[must_use]
    pub fn through_sqlite(mut self) -> Self {
        self.pages = None;
        self
    }

    /// True where rows come from the file's pages, without SQLite's virtual machine.
    #[must_use]
    pub fn reads_pages(&self) -> bool {
        self.pages.is_some()
    }

    /// Copies rows until they take `bytes` or more of memory; true after the last row. Not to be mixed with
    /// [`SendReader::next`].
    ///
    /// # Errors
    /// As [`RowReader::next`], and `TooBig` where a row has more bytes than a copy can hold.
    pub fn fill(&mut self, rows: &mut Rows, bytes: usize) -> Result<bool, SourceError> {
        let source = self.source;
        while let Some(pages) = &mut self.pages {
            if rows.size() >= bytes {
                return Ok(false);
            }
            match pages.next(rows, || source.is_cancelled()) {
                Next::Row => {}
                Next::End => {
                    let given = pages.given();
                    return self.compare_count(given).map(|()| true);
                }
                Next::HandOver => {
                    let given = pages.given();
                    self.pages = None;
                    self.skip(given)?;
                }
                Next::Cancelled => {
                    return Err(SourceError::new(SourceErrorKind::Interrupted, source.path()));
                }
            }
        }
        while rows.size() < bytes {
            let Some(row) = self.reader.next()? else { return Ok(true) };
            if let Err(Full) = rows.push(&row) {
                return Err(self.reader.too_big());
            }
        }
        Ok(false)
    }

    /// Holds what the pages gave to their end against SQLite's own count.
    fn compare_count(&self, given: Given) -> Result<(), SourceError> {
        let counted = self.source.count_rows(&self.table)?;
        if counted == given.rows { Ok(()) } else { Err(self.differs(given, counted)) }
    }

    /// Brings SQLite to the row after those that the pages gave: it goes through them from the first one,
    /// since a rowid need not be where it belongs in a damaged file, and they have to be the same.
    fn skip(&mut self, given: Given) -> Result<(), SourceError> {
        let mut seen = Given::default();
        while seen.rows < given.rows {
            let Some(row) = self.reader.next()? else { break };
            seen.add(row.rowid().unwrap_or_default());
        }
        if seen == given { Ok(()) } else { Err(self.differs(given, seen.rows)) }
    }

    #[cold]
    fn differs(&self, given: Given, rows: u64) -> SourceError {
        let rows = if rows == given.rows { "others".to_owned() } else { rows.to_string() };
        self.source.damaged(format!(
            "Table \"{}\": its pages gave {} rows, and SQLite's second look at them gave {rows}.",
            self.table, given.rows
        ))
    }
}
