//! Rows whose tuples PostgreSQL forms itself, without threads: where a type has only its own input function,
//! or where it was asked for.
#![allow(unsafe_code)] // calls PostgreSQL's table access functions

use std::cell::Cell as Shared;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::value::Cell;
use aliaport_sqlite::SendReader;
use pgrx::pg_sys;

use super::{BATCH_BYTES, BATCH_ROWS, Heap, LoadPosition, Loaded, Policy, row_error};
use crate::pg::heap::datum;
use crate::pg::record::progress;
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;
use aliaport_rows::row::{CellSink, Fate};

impl Heap {
    /// Loads without a thread: cells become datums, and PostgreSQL forms the tuples.
    pub(super) fn load_datums(
        &mut self,
        mut reader: SendReader<'_>,
        plan: &TablePlan,
        policy: &mut Policy<'_>,
        at: &Shared<LoadPosition>,
    ) -> Result<Loaded> {
        let mut converter = policy.converter(plan);
        let (mut read, mut rejected) = (0, 0);
        while let Some(row) = reader.next()? {
            read += 1;
            at.set(LoadPosition { read, rowid: row.rowid(), is_exact: true });
            match converter.convert(&row, self).map_err(row_error)? {
                Fate::Kept => {}
                Fate::SetAside => rejected += 1,
            }
            if self.filled >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
                at.set(LoadPosition { is_exact: false, ..at.get() });
                self.flush();
                interrupt::check();
                progress::rows(read);
            }
            let aside = converter.take_set_aside();
            if !aside.is_empty() {
                (policy.set_aside)(aside)?;
            }
        }
        at.set(LoadPosition { is_exact: false, ..at.get() });
        self.flush();
        Ok(Loaded {
            source_rows: read,
            imported_rows: read - rejected,
            rejected_rows: rejected,
            stored: None,
            converter,
        })
    }

    /// Writes the batch of datums.
    pub fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        // SAFETY: the first `filled` slots hold virtual tuples whose datums live in the arena or the batch
        // context, both of which outlive the call. table_multi_insert allocates in the current context, which
        // is reset afterwards.
        unsafe {
            let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
            pg_sys::table_multi_insert(
                self.relation,
                self.slots.as_mut_ptr(),
                self.filled as i32,
                self.command,
                self.options,
                self.bulk_insert,
            );
            for slot in &self.slots[..self.filled] {
                pg_sys::ExecClearTuple(*slot);
            }
            pg_sys::MemoryContextSwitchTo(outer);
            pg_sys::MemoryContextReset(self.batch_context);
        }
        self.arena.reset();
        self.filled = 0;
        self.bytes = 0;
    }
}

impl CellSink for Heap {
    fn begin_row(&mut self) {
        // SAFETY: `filled` is below BATCH_ROWS, because a full batch is flushed before the next row. A slot
        // is made the first time it is needed and has one entry an attribute.
        unsafe {
            let slot = &mut self.slots[self.filled];
            if slot.is_null() {
                *slot = pg_sys::table_slot_create(self.relation, std::ptr::null_mut());
            } else {
                pg_sys::ExecClearTuple(*slot);
            }
            let attributes = (*(*self.relation).rd_att).natts as usize;
            std::slice::from_raw_parts_mut((**slot).tts_isnull, attributes).fill(true);
        }
    }

    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let value = match (cell, &mut self.inputs[column]) {
            (Cell::Null, _) => return,
            // SAFETY: the batch context lives until the heap is closed.
            (Cell::Input(text), Some((input, _))) => unsafe {
                self.last_read = input.read_cell(text, self.batch_context);
                self.last_read
            },
            (cell, _) => match datum::to_datum(cell, &mut self.arena) {
                Some(value) => value,
                None => return,
            },
        };
        self.bytes += match cell {
            Cell::Varlena(payload) | Cell::Input(payload) => payload.len() + 4,
            _ => 8,
        };
        let index = self.columns[column].index;
        // SAFETY: a slot that is there was made by `begin_row`, and `index` is below its number of
        // attributes.
        unsafe {
            let slot = self.slots[self.filled];
            if slot.is_null() {
                return;
            }
            *(*slot).tts_values.add(index) = value;
            *(*slot).tts_isnull.add(index) = false;
        }
    }

    fn written(&mut self, column: usize) -> &[u8] {
        self.written.clear();
        if let Some(Some((_, output))) = self.inputs.get_mut(column) {
            // SAFETY: the last value was read for this column a moment ago, into the batch context, which is
            // reset when a whole batch has been written only. The text is copied before it is freed.
            unsafe {
                let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
                let text = output.write(self.last_read);
                self.written.extend_from_slice(text);
                pg_sys::pfree(text.as_ptr().cast_mut().cast());
                pg_sys::MemoryContextSwitchTo(outer);
            }
        }
        &self.written
    }

    fn end_row(&mut self) {
        let slot = self.slots[self.filled];
        if slot.is_null() {
            return;
        }
        // SAFETY: `begin_row` made and cleared the slot and set every attribute to NULL, and `cell` filled
        // those that have a value, so a virtual tuple can be stored.
        unsafe {
            pg_sys::ExecStoreVirtualTuple(slot);
            if let Some(checks) = &self.checks {
                checks.verify(self.relation, slot);
            }
        }
        self.filled += 1;
    }
}
