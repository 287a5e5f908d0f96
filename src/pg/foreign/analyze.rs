//! ANALYZE of a foreign table: a sample for the planner's statistics, and the census of every column.
//!
//! The census needs every row, so the sample comes from the same pass.
#![allow(unsafe_code)] // the callbacks of ANALYZE

use std::hash::{BuildHasher, Hasher, RandomState};

use aliaport_rows::batch::Rows;
use aliaport_rows::census::Census;
use aliaport_rows::convert::{Converter, Scratch};
use aliaport_rows::row::{CellSink, OnError};
use aliaport_rows::value::{Cell, Row, StorageClass, Value};
use aliaport_sqlite::{RelationKind, Selection, TableScan};
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use super::census::{self, ColumnCensus};
use super::definition::DefinedColumn;
use super::error::of_query;
use super::remote::{self, Opened};
use super::slot::Slot;
use crate::pg::server::error::Result;
use crate::pg::server::{compat, interrupt, settings};

/// Bytes of rows that are read at once.
const BATCH: usize = 256 << 10;
/// What PostgreSQL takes for the width of a row before it knows better.
const ROW_BYTES: f64 = 100.0;

/// Says who takes the sample, and how large the table is.
#[pg_guard]
pub unsafe extern "C-unwind" fn analyze_foreign_table(
    relation: pg_sys::Relation,
    sampler: *mut pg_sys::AcquireSampleRowsFunc,
    pages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: the relation is open.
    let oid = unsafe { (*relation).rd_id };
    let rows = match remote::open(oid).and_then(|opened| super::cost::tuples(&opened)) {
        Ok(rows) => rows,
        // ANALYZE of a whole database goes on with the other tables.
        Err(error) => {
            error.into_report().report(PgLogLevel::WARNING);
            return false;
        }
    };
    // SAFETY: both are places for results.
    unsafe {
        *sampler = Some(acquire_sample_rows);
        *pages = (rows * ROW_BYTES / f64::from(pg_sys::BLCKSZ)).clamp(1.0, f64::from(u32::MAX - 1)) as u32;
    }
    true
}

/// Takes the sample and the census.
#[pg_guard]
unsafe extern "C-unwind" fn acquire_sample_rows(
    relation: pg_sys::Relation,
    _level: i32,
    rows: *mut pg_sys::HeapTuple,
    most: i32,
    total: *mut f64,
    dead: *mut f64,
) -> i32 {
    // SAFETY: the relation is open, and there is room for as many tuples as are asked for.
    unsafe {
        let sample = sample(relation, rows, usize::try_from(most).unwrap_or(0)).unwrap_or_else(|e| e.raise());
        *total = sample.total;
        *dead = 0.0;
        i32::try_from(sample.taken).unwrap_or(most)
    }
}

struct Sample {
    /// How many tuples were put where they were asked for.
    taken: usize,
    /// Rows that a query would see.
    total: f64,
}

/// What becomes of one column's values.
struct Lane<'t> {
    column: &'t DefinedColumn,
    converter: Converter,
    census: Census,
    counts: ColumnCensus,
}

/// # Safety
/// As for the callback.
unsafe fn sample(relation: pg_sys::Relation, into: *mut pg_sys::HeapTuple, most: usize) -> Result<Sample> {
    // SAFETY: the caller's promise.
    let (oid, descriptor) = unsafe { ((*relation).rd_id, (*relation).rd_att) };
    // SAFETY: as above.
    let attributes = usize::try_from(unsafe { (*descriptor).natts }).unwrap_or(0);
    let opened = remote::open(oid)?;
    opened.source().settle().map_err(of_query)?;
    let zone = &opened.definition.server.options.zone;
    let (mut lanes, mut places) = (Vec::new(), Vec::new());
    for column in &opened.definition.columns {
        let Some(place) = opened.place(column) else { continue };
        let rules = column.plan.rules(zone);
        lanes.push(Lane {
            column,
            converter: Converter::new(&column.plan.pg_type, &rules),
            census: Census::new(&column.plan.pg_type),
            counts: ColumnCensus { attnum: column.attnum, ..ColumnCensus::default() },
        });
        places.push(place);
    }
    let mut values = vec![pg_sys::Datum::null(); attributes];
    let mut nulls = vec![true; attributes];
    let columns: Vec<&DefinedColumn> = lanes.iter().map(|lane| lane.column).collect();
    // SAFETY: the arrays live as long as the slot, and the current context is ANALYZE's own.
    let mut slot = unsafe {
        let arrays = (values.as_mut_ptr(), nulls.as_mut_ptr(), attributes);
        Slot::new(arrays, (&opened.definition, OnError::Null), &columns, pg_sys::CurrentMemoryContext)
    };
    let mut state = Reservoir::new(most);
    let (mut seen, mut total) = (0_u64, 0_u64);
    let mut scratch = Scratch::default();
    each_row(&opened, &places, |row| {
        seen += 1;
        let place = state.place_for(seen);
        if place.is_some() {
            slot.begin_row();
        }
        let mut is_left_out = false;
        for (at, lane) in lanes.iter_mut().enumerate() {
            let value = row.value(at);
            lane.counts.count(value);
            let converted = lane.converter.convert(value, &mut scratch).ok();
            let cell = converted.as_ref().map(|converted| &converted.cell);
            lane.census.see(value, cell);
            if cell.is_none() {
                lane.counts.bad += 1;
            }
            let is_null = matches!(cell, None | Some(Cell::Null));
            is_left_out |= match opened.definition.on_error {
                OnError::Abort => false,
                OnError::Reject => cell.is_none() || is_null && lane.column.plan.is_not_null,
                OnError::Null => is_null && lane.column.plan.is_not_null,
            };
            if let (Some(_), Some(cell)) = (place, cell) {
                slot.cell(at, cell);
            }
        }
        total += u64::from(!is_left_out);
        if let Some(place) = place {
            // SAFETY: the arrays have an entry an attribute; there is room for `most` tuples, and those that
            // there are were made here.
            unsafe {
                let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                let place = into.add(place);
                if seen > most as u64 {
                    pg_sys::heap_freetuple(*place);
                }
                *place = tuple;
            }
        }
        Ok(())
    })?;
    opened.source().verify_unchanged().map_err(of_query)?;
    let counts = lanes.into_iter().map(|lane| ColumnCensus { proof: lane.census.proof(), ..lane.counts });
    // A domain's check is the domain's own affair: what it lets through says nothing of the form.
    let counts: Vec<ColumnCensus> = counts.collect();
    census::write(&opened, seen, &counts)?;
    compat::plan_again(oid);
    Ok(Sample { taken: usize::try_from(seen).unwrap_or(most).min(most), total: total as f64 })
}

/// Reads every row of these columns.
fn each_row(opened: &Opened, places: &[usize], mut each: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
    let table = &opened.file_table.table;
    let zone = &opened.definition.server.options.zone;
    if opened.file_table.kind == RelationKind::View {
        let selection = Selection::new(opened.source(), table, places).map_err(of_query)?;
        let mut query = opened.connection.query(&selection, "")?;
        query.begin(&[]).map_err(of_query)?;
        while let Some(row) = query.next().map_err(of_query)? {
            settings::in_zone(zone, || each(&row))?;
            interrupt::check();
        }
        return Ok(());
    }
    let mut scan = TableScan::open(opened.connection.source(), table, places).map_err(of_query)?;
    let mut rows = Rows::default();
    let mut read = 0;
    loop {
        rows.restart(read + 1);
        let is_last = scan.fill(&mut rows, BATCH).map_err(of_query)?;
        rows.check_texts();
        settings::in_zone(zone, || rows.iter().try_for_each(|row| each(&row)))?;
        read += rows.len() as u64;
        interrupt::check();
        if is_last {
            return Ok(());
        }
    }
}

impl ColumnCensus {
    fn count(&mut self, value: Value<'_>) {
        *(match value.storage_class() {
            StorageClass::Null => &mut self.nulls,
            StorageClass::Integer => &mut self.integers,
            StorageClass::Real => &mut self.reals,
            StorageClass::Text => &mut self.texts,
            StorageClass::Blob => &mut self.blobs,
        }) += 1;
    }
}

/// Chooses rows so that each has the same chance.
struct Reservoir {
    most: u64,
    state: u64,
}

impl Reservoir {
    fn new(most: usize) -> Self {
        Reservoir { most: most as u64, state: RandomState::new().build_hasher().finish() | 1 }
    }

    /// Where the row of this number, from 1, goes; `None` where it is not taken.
    fn place_for(&mut self, number: u64) -> Option<usize> {
        let place = if number <= self.most { number - 1 } else { self.random() % number };
        if place < self.most { usize::try_from(place).ok() } else { None }
    }

    /// xorshift64*
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }
}
