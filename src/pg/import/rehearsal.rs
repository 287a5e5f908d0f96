//! A dry run: everything is done in a subtransaction that is undone, and what would end a real import at one
//! table does not keep the others from being tried.
//!
//! Each step of a table is a subtransaction of its own then. A table at which one failed takes no further
//! part: its keys are not made, and nothing is said of rows that point at it, because nobody knows which of
//! its rows there would be.

use super::Import;
use crate::pg::record::outcome::Outcome;
use crate::pg::server::count::signed;
use crate::pg::server::error::{Error, Result, unexpected};
use crate::pg::server::{spi, subxact};
use crate::pg::table::orphan;

impl Import<'_> {
    /// Does one thing for a table. In a dry run an error marks the table, which is passed over from then on.
    pub(super) fn tried(
        &mut self,
        index: Option<usize>,
        f: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let Some(index) = index.filter(|_| self.request.dry_run) else { return f(self) };
        if self.failed.contains(&index) {
            return Ok(());
        }
        let work = || {
            // Only a subtransaction that has written sees with each statement what the one before it has
            // made.
            spi::run("SELECT 1")?;
            f(self)
        };
        match subxact::within(subxact::AtEnd::Keep, work) {
            Ok(()) => Ok(()),
            Err(error) => self.fail_at(index, &error),
        }
    }

    fn fail_at(&mut self, index: usize, error: &Error) -> Result<()> {
        self.failed.insert(index);
        // Where the stage was made by what was undone, it is gone; else the end of the dry run takes it.
        self.staged.remove(&index);
        let Some(row) = self.rows.get_mut(index) else { return Ok(()) };
        row.failure = Some(error.to_json());
        self.count_unread(index);
        let Some(row) = self.rows.get_mut(index) else { return Ok(()) };
        // Nothing of it would land, and nothing that was begun is a result.
        (row.imported_rows, row.rejected_rows, row.lossy, row.sequence_next) = (0, 0, 0, None);
        (row.inserted, row.updated, row.deleted, row.unchanged) = (None, None, None, None);
        row.content_match = row.content_match.filter(|is_equal| !is_equal);
        Ok(())
    }

    /// Counts the rows of the source that a table was to get, where they were not read. One that cannot even
    /// be counted has its error already.
    fn count_unread(&mut self, index: usize) {
        if self.rows.get(index).is_some_and(|row| row.path.is_none())
            && !self.source.has_ended()
            && let Ok(rows) = self.count_source(index)
            && let Some(row) = self.rows.get_mut(index)
        {
            row.source_rows = rows;
        }
    }

    fn count_source(&self, index: usize) -> Result<i64> {
        let unknown = || unexpected("table number in a step");
        let plan = self.plan.tables.get(index).ok_or_else(unknown)?;
        let table = self.catalogue.tables.iter().find(|t| t.name == plan.source).ok_or_else(unknown)?;
        if plan.filter.is_none() {
            return Ok(signed(self.source.count_rows(&table.name)?));
        }
        let mut rows = self.source.rows_where(table, &[], plan.filter.as_deref())?;
        let mut count = 0;
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// What a dry run says of an error that no one table is to blame for. Nothing may be asked of the server
    /// here: an error of PostgreSQL has not been cleaned up after.
    pub(super) fn ended(mut self, error: Error) -> Result<Outcome> {
        let index = self.current.unwrap_or(0);
        let Some(row) = self.rows.get_mut(index) else { return Err(error) };
        row.failure = Some(error.to_json());
        self.failed.insert(index);
        (0..self.rows.len()).for_each(|index| self.count_unread(index));
        Ok(self.outcome())
    }

    /// Gives each table with orphans that end the import its own error.
    pub(super) fn fail_orphans(&mut self) -> Result<()> {
        if !self.request.dry_run {
            return Ok(());
        }
        // All of them first: a table that has failed is no parent any more.
        let mut errors = Vec::new();
        for index in 0..self.rows.len() {
            if self.rows.get(index).is_some_and(|r| r.has_fatal_orphans) && !self.failed.contains(&index) {
                errors.push((
                    index,
                    orphan::abort_error(
                        &[self.fatal_view(index)?],
                        self.request.orphans,
                        &self.plan.elsewhere,
                    )?,
                ));
            }
        }
        errors.iter().try_for_each(|(index, error)| self.fail_at(*index, error))
    }
}

/// What is in the tables that have failed, once everything is undone: what was in them before.
pub(super) fn count_failed(outcome: &mut Outcome) -> Result<()> {
    for row in outcome.rows.iter_mut().filter(|r| r.failure.is_some()) {
        row.target_rows = 0;
        if !row.is_created {
            let sql = format!("SELECT pg_catalog.count(*) FROM {}", row.target);
            row.target_rows = spi::one_for_caller::<i64>(&sql, &[])?.unwrap_or(0);
        }
    }
    Ok(())
}
