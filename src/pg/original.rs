//! The source rows behind rows of the target, for what is set aside after the load.
//!
//! A target row carries no rowid of SQLite. But its digest is, by the proof that every import makes, the digest of the row that
//! was sent; so one more scan of the source finds the originals, whatever the table's keys are.

use std::collections::HashMap;

use aliaport_plan::catalogue::Table;
use aliaport_plan::convert::Zone;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::value::Cell;
use aliaport_sqlite::Source;
use pgrx::pg_sys;

use super::error::Result;
use super::orphan::Unwanted;
use super::row::{CellSink, Fate, OnError, RowConverter, SetAside};
use super::{interrupt, readback};

/// Takes cells and drops them: only the digest is wanted.
struct Nowhere;

impl CellSink for Nowhere {
    fn begin_row(&mut self) {}
    fn cell(&mut self, _: usize, _: &Cell<'_>) {}
    fn end_row(&mut self) {}
}

/// The rows of `unwanted` as `aliaport.rejected_row` keeps them. Must run before they are changed.
///
/// A row whose original is not found (it was changed by an earlier step) is recorded without its data.
pub fn set_aside(
    source: &Source,
    table: &Table,
    columns: &[usize],
    plan: &TablePlan,
    zone: &Zone,
    relation: pg_sys::Oid,
    unwanted: &[Unwanted],
) -> Result<Vec<SetAside>> {
    let wanted: HashMap<readback::Place, &Unwanted> =
        unwanted.iter().filter_map(|u| Some((place(&u.ctid)?, u))).collect();
    let mut by_digest: HashMap<u128, Vec<&Unwanted>> = HashMap::new();
    readback::rows(relation, plan, |at, digest| {
        if let Some(row) = wanted.get(&at) {
            by_digest.entry(digest.sum).or_default().push(row);
        }
    })?;
    let mut found = Vec::with_capacity(unwanted.len());
    let mut converter = RowConverter::new(plan, zone, OnError::Reject, true);
    let mut reader = source.rows_where(table, columns, plan.filter.as_deref())?;
    let mut read: u64 = 0;
    while let Some(row) = reader.next()? {
        let before = converter.digest().sum;
        if converter.convert(&row, &mut Nowhere).is_ok_and(|fate| fate == Fate::Kept) {
            let digest = converter.digest().sum.wrapping_sub(before);
            // Rows that are equal in every column are told apart by nobody; each original is used once.
            if let Some(row_of) = by_digest.get_mut(&digest).and_then(Vec::pop) {
                found.push(entry(row_of, converter.key_json(&row), converter.row_json(&row)));
            }
        }
        // What does not convert was set aside by the load already.
        converter.take_set_aside();
        read += 1;
        if read.is_multiple_of(4096) {
            interrupt::check();
            if found.len() == unwanted.len() {
                break;
            }
        }
    }
    for rest in by_digest.into_values().flatten() {
        found.push(entry(rest, serde_json::json!({}), serde_json::json!({})));
    }
    Ok(found)
}

fn entry(row: &Unwanted, source_key: serde_json::Value, row_data: serde_json::Value) -> SetAside {
    SetAside {
        source_key,
        column: Some(row.column.clone()),
        storage_class: None,
        sqlstate: row.sqlstate.to_owned(),
        reason: row.reason.clone(),
        is_rejected: row.clear.is_empty(),
        row_data,
    }
}

/// `(12,3)` as block and offset.
fn place(ctid: &str) -> Option<readback::Place> {
    let (block, offset) = ctid.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((block.parse().ok()?, offset.parse().ok()?))
}
