//! The source rows behind rows of the target, for what is set aside after the load.
//!
//! A target row carries no rowid of SQLite. But its digest is, by the proof that every import makes, the
//! digest of the row that was sent; so one more scan of the source finds the originals, whatever the table's
//! keys are.

use std::collections::HashSet;
use std::sync::Arc;

use aliaport_plan::catalogue::Table;
use aliaport_plan::plan::TablePlan;
use aliaport_rows::convert::{Lossy, Zone};
use aliaport_sqlite::Source;
use pgrx::pg_sys;

use super::unwanted::{Kind, Marked, Unwanted};
use super::wide;
use crate::pg::heap::output::Echo;
use crate::pg::heap::{load, readback, refusal};
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;
use aliaport_rows::row::{Fate, OnError, Refusals, RowConverter, SetAside};

/// Rows looked for in one scan: some 20 MB. Of more rows the source is read several times.
const ROWS_A_SCAN: usize = 1 << 19;

/// Where the rows of one table came from and where they are.
pub struct SourceRows<'a> {
    /// The file.
    pub source: &'a Source,
    /// The table in it.
    pub table: &'a Table,
    /// The columns of the plan in it.
    pub columns: &'a [usize],
    /// The table's plan.
    pub plan: &'a TablePlan,
    /// The time zone of naive datetimes.
    pub zone: &'a Zone,
    /// What the load made of bad values.
    pub on_error: OnError,
    /// The table or stage that the rows are in.
    pub relation: pg_sys::Oid,
}

/// A row as it was sent.
#[derive(Clone, Copy)]
struct Sent {
    /// Its digest, in two halves.
    digest: (u64, u64),
    kind: u32,
    /// Of the first of several equal rows: how many of them were found.
    found: u32,
}

impl SourceRows<'_> {
    /// Gives the rows of `unwanted`, or the `first` of them, as `aliaport.rejected_row` keeps them. Must run
    /// before they are changed.
    ///
    /// A row whose original is not found is given without its data.
    pub fn set_aside(
        &self,
        unwanted: &Unwanted,
        first: Option<usize>,
        mut each: impl FnMut(SetAside) -> Result<()>,
    ) -> Result<()> {
        let refusals = Arc::new(self.refusals()?);
        let too_wide = Arc::new(wide::find_too_wide(self, &refusals)?);
        let mut left = first.unwrap_or(usize::MAX);
        let mut last = None;
        while left > 0 {
            let marked = unwanted.after(last, left.min(ROWS_A_SCAN))?;
            let Some((place, _)) = marked.last() else { break };
            last = Some(*place);
            left -= marked.len();
            let mut each = |kind: u32, original: Original| {
                unwanted.kind(kind as usize).map_or(Ok(()), |k| each(self.entry(k, original)))
            };
            self.look_up(self.sent(marked)?, &refusals, &too_wide, &mut each)?;
        }
        Ok(())
    }

    /// Values that the input functions of their types refuse.
    pub fn refusals(&self) -> Result<Refusals> {
        if self.on_error == OnError::Abort {
            return Ok(Refusals::new());
        }
        refusal::find_refused(
            self.source,
            self.table,
            self.columns,
            self.plan,
            self.zone,
            self.relation,
            |_| true,
        )
    }

    /// The rows at these places, in the order of their digests.
    fn sent(&self, marked: Vec<Marked>) -> Result<Vec<Sent>> {
        let mut sent = Vec::with_capacity(marked.len());
        readback::rows(self.relation, self.plan, |at, digest| {
            let Ok(found) = marked.binary_search_by_key(&at, |(place, _)| *place) else { return };
            if let Some((_, kind)) = marked.get(found) {
                let digest = ((digest.sum >> 64) as u64, digest.sum as u64);
                sent.push(Sent { digest, kind: u32::try_from(*kind).unwrap_or(u32::MAX), found: 0 });
            }
        })?;
        sent.sort_unstable_by_key(|s| (s.digest, s.kind));
        Ok(sent)
    }

    fn look_up(
        &self,
        mut sent: Vec<Sent>,
        refusals: &Arc<Refusals>,
        too_wide: &Arc<HashSet<u64>>,
        each: &mut impl FnMut(u32, Original) -> Result<()>,
    ) -> Result<()> {
        let mut converter = RowConverter::new(&self.plan.row_plan(), self.zone, self.on_error, true)
            .with_refusals(Arc::clone(refusals))
            .with_too_wide(Arc::clone(too_wide))
            // What does not convert was set aside by the load already.
            .without_record();
        let mut echo = Echo::new(self.relation, self.plan)?;
        let mut reader = self.source.rows_where(self.table, self.columns, self.plan.filter.as_deref())?;
        let (mut read, mut found): (u64, usize) = (0, 0);
        while found < sent.len()
            && let Some(row) = reader.next()?
        {
            let before = converter.digest().sum;
            if converter.convert(&row, &mut echo).is_ok_and(|fate| fate == Fate::Kept) {
                let digest = converter.digest().sum.wrapping_sub(before);
                let digest = ((digest >> 64) as u64, digest as u64);
                // Rows that are equal in every column are told apart by nobody; each original is used once.
                let first = sent.partition_point(|s| s.digest < digest);
                let next = first + sent.get(first).map_or(0, |s| s.found as usize);
                if let Some(kind) = sent.get(next).filter(|s| s.digest == digest).map(|s| s.kind) {
                    if let Some(first) = sent.get_mut(first) {
                        first.found += 1;
                    }
                    found += 1;
                    let data = converter.row_data(&row).map_err(load::row_error)?;
                    let key = converter.key_json(&row);
                    each(kind, Original { key, row: data, lossy: converter.row_lossy().to_vec() })?;
                }
            }
            read += 1;
            if read.is_multiple_of(1024) {
                interrupt::check();
            }
        }
        for (index, rest) in sent.iter().enumerate() {
            let first = sent.partition_point(|s| s.digest < rest.digest);
            let is_found = sent.get(first).is_some_and(|s| index - first < s.found as usize);
            if !is_found {
                let key = serde_json::json!({});
                each(rest.kind, Original { key, row: Arc::default(), lossy: Vec::new() })?;
            }
        }
        Ok(())
    }

    fn entry(&self, kind: &Kind, original: Original) -> SetAside {
        let Original { key, row, mut lossy } = original;
        if !kind.clear.is_empty() {
            // The rest of the row stays.
            let is_cleared =
                |c: &usize| self.plan.columns.get(*c).is_some_and(|c| kind.clear.contains(&c.target));
            lossy.retain(|(column, _)| is_cleared(column));
        }
        SetAside {
            source_key: key,
            column: Some(kind.column.clone()),
            storage_class: None,
            sqlstate: kind.sqlstate,
            reason: kind.reason.clone(),
            is_rejected: kind.clear.is_empty(),
            row_data: row,
            lossy,
        }
    }
}

/// A row of the source: its key and its values, and what was lost of them on their way.
struct Original {
    key: serde_json::Value,
    row: Arc<Vec<u8>>,
    lossy: Vec<(usize, Lossy)>,
}
