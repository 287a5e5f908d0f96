//! Rows whose tuples were formed by threads ([`crate::pg::heap::pipeline`]): the backend only writes them,
//! and looks at what it has written.
#![allow(unsafe_code)] // calls PostgreSQL's table access and executor functions

use std::cell::Cell as Shared;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::pg_type::{PgType, Storage};
use aliaport_rows::prove::Inspector;
use aliaport_rows::tuple::{self, Writer};
use aliaport_rows::value::Cell;
use aliaport_sqlite::SendReader;
use pgrx::pg_sys;

use super::{BATCH_ROWS, Heap, LoadPosition, Loaded, Policy};
use crate::pg::heap::pipeline::{self, Batch};
use crate::pg::heap::readback::{Arrivals, is_same_tuple};
use crate::pg::heap::{datum, relation};
use crate::pg::record::progress;
use crate::pg::server::error::Result;
use crate::pg::server::guc;
use aliaport_rows::row::Former;

unsafe extern "C-unwind" {
    /// executor/execTuples.c, without pgrx's guard: for loops inside one.
    fn ExecStoreHeapTuple(
        tuple: pg_sys::HeapTuple,
        slot: *mut pg_sys::TupleTableSlot,
        should_free: bool,
    ) -> *mut pg_sys::TupleTableSlot;
}

impl Heap {
    pub(super) fn takes_images(&mut self, plan: &TablePlan) -> bool {
        let needs_input = plan.columns.iter().any(|c| c.pg_type.needs_input());
        guc::tuple_images() && !needs_input && self.images_are_right(plan)
    }

    /// Loads with the reader thread: tuples arrive formed.
    pub(super) fn load_images(
        &mut self,
        reader: SendReader<'_>,
        plan: &TablePlan,
        policy: &mut Policy<'_>,
        at: &Shared<LoadPosition>,
    ) -> Result<Loaded> {
        // SAFETY: the relation is open.
        let attributes = unsafe { relation::attributes(self.relation) };
        let positions: Vec<usize> = self.columns.iter().map(|c| c.index).collect();
        let layout = tuple::Layout::new(attributes.clone());
        let workers = (0..guc::converters())
            .map(|_| {
                let former = Former::new(Writer::new(layout.clone()), positions.clone());
                let converter = policy.converter(plan);
                if !policy.with_digest {
                    return pipeline::Worker { converter, former, inspector: None };
                }
                let inspector = Inspector::new(converter.about(), &attributes, &positions, policy.zone);
                let converter = converter.with_inspector(&attributes, &positions);
                pipeline::Worker { converter, former, inspector: Some(inspector) }
            })
            .collect();
        // A temporary table is only a stage: what counts is read back from where its rows go.
        // SAFETY: the relation is open.
        let is_stage =
            unsafe { (*(*self.relation).rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP };
        let mut arrivals = if policy.with_digest && !is_stage {
            // SAFETY: the relation is open, and the memory context of the call outlives the load.
            Some(unsafe { Arrivals::new(self.relation, plan)? })
        } else {
            None
        };
        let with_rowids = self.checks.is_some();
        let reader = if guc::read_pages() { reader } else { reader.through_sqlite() };
        let set_aside = &mut *policy.set_aside;
        let mut matcher = policy.matcher.as_deref_mut();
        if let Some(matcher) = &mut matcher {
            matcher.begin(&attributes, &positions);
        }
        let finished = pipeline::scan(reader, workers, with_rowids, |batch| {
            let (read, rowid) = batch.last;
            at.set(LoadPosition { read, rowid, is_exact: false });
            progress::rows(read);
            if let Some(matcher) = &mut matcher {
                matcher.leave_out(&mut batch.images)?;
            }
            self.write_images(batch, arrivals.as_mut(), at);
            if batch.set_aside.is_empty() {
                return Ok(());
            }
            set_aside(std::mem::take(&mut batch.set_aside))
        })?;
        // Rows that are all there as they were sent have the digest that was sent.
        let sent = *finished.converter.digest();
        let stored = arrivals.and_then(|arrivals| (arrivals.finish() == sent.rows).then_some(sent));
        Ok(Loaded {
            source_rows: finished.read,
            imported_rows: finished.read - finished.rejected,
            rejected_rows: finished.rejected,
            stored,
            converter: finished.converter,
        })
    }

    /// Compares images with what this server's `heap_form_tuple` makes of the same cells, once a table: with
    /// every column filled, and with every other column NULL.
    fn images_are_right(&mut self, plan: &TablePlan) -> bool {
        // SAFETY: the relation is open.
        let mut writer = Writer::new(tuple::Layout::new(unsafe { relation::attributes(self.relation) }));
        // SAFETY: the relation is open; values and nulls have one entry an attribute; the tuple lives in the
        // batch context and is compared before that is reset.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let natts = (*descriptor).natts as usize;
            for skip in [usize::MAX, 0, 1] {
                let mut values = vec![pg_sys::Datum::null(); natts];
                let mut nulls = vec![true; natts];
                writer.begin_row();
                for (i, column) in self.columns.iter().enumerate() {
                    if i % 2 == skip {
                        continue;
                    }
                    let cell = sample(&plan.columns[i].pg_type, i);
                    let Some(value) = datum::to_datum(&cell, &mut self.arena) else { return false };
                    values[column.index] = value;
                    nulls[column.index] = false;
                    if !writer.cell(column.index, &cell) {
                        return false;
                    }
                }
                writer.end_row();
                let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
                let formed = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                pg_sys::MemoryContextSwitchTo(outer);
                let theirs =
                    std::slice::from_raw_parts((*formed).t_data.cast::<u8>(), (*formed).t_len as usize);
                if !is_same_tuple(writer.last(), theirs) {
                    return false;
                }
            }
            pg_sys::MemoryContextReset(self.batch_context);
        }
        self.arena.reset();
        true
    }

    /// Writes formed tuples. The insert fills their header fields in place.
    #[allow(ffi_unwind_calls)] // inside pg_guard_ffi_boundary, which is where an error of PostgreSQL ends
    fn write_images(
        &mut self,
        batch: &mut Batch,
        mut arrivals: Option<&mut Arrivals>,
        at: &Shared<LoadPosition>,
    ) {
        let Batch { images, rowids, .. } = batch;
        // Rows are checked only where a bad one ends the import, so that none of the scan is missing here.
        let first = (at.get().read + 1).saturating_sub(rowids.len() as u64);
        let mut rows = (first..).zip(rowids.iter());
        let spans = images.spans().to_vec();
        let base = images.bytes_mut().as_mut_ptr();
        // The allocator aligns to 16 in practice; tuples must be aligned to 8, so a start that is not is
        // moved.
        let mut moved: Vec<u64> = Vec::new();
        let base = if base.align_offset(8) == 0 {
            base
        } else {
            moved.resize(images.size().div_ceil(8), 0);
            let to: *mut u8 = moved.as_mut_ptr().cast();
            // SAFETY: `moved` has at least as many bytes as the images, and the two do not overlap.
            unsafe { to.copy_from_nonoverlapping(base, images.size()) };
            to
        };
        for chunk in spans.chunks(BATCH_ROWS) {
            // SAFETY: every span lies within the images and begins at a multiple of 8 from an aligned base.
            // The slots are heap tuple slots of this table. TTS_FLAG_SHOULDFREE keeps the insert from copying
            // a tuple that it may use in place; it is cleared, and the pointer removed, before anything could
            // free it. An error in between leaves the slots to a memory context that is deleted without
            // looking into them.
            unsafe {
                let oid = (*self.relation).rd_id;
                self.tuples.clear();
                self.tuples.extend(chunk.iter().map(|(start, length)| pg_sys::HeapTupleData {
                    t_len: *length as u32,
                    t_self: pg_sys::ItemPointerData::default(),
                    t_tableOid: oid,
                    t_data: base.add(*start).cast(),
                }));
                while self.tuple_slots.len() < chunk.len() {
                    self.tuple_slots.push(pg_sys::MakeSingleTupleTableSlot(
                        (*self.relation).rd_att,
                        &raw const pg_sys::TTSOpsHeapTuple,
                    ));
                }
                let (tuples, slots) = (&mut self.tuples, &self.tuple_slots[..chunk.len()]);
                // A row with generated columns is formed again by PostgreSQL, and its slot owns it then.
                let is_ours = !self.checks.as_ref().is_some_and(|checks| checks.has_generated);
                let keep = if is_ours { pg_sys::TTS_FLAG_SHOULDFREE as u16 } else { 0 };
                // One guard for all rows: pgrx's own around each call costs as much as the call.
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    for (tuple, slot) in tuples.iter_mut().zip(slots) {
                        ExecStoreHeapTuple(tuple, *slot, false);
                        (**slot).tts_flags |= keep;
                    }
                });
                if let Some(checks) = &self.checks {
                    let batch = at.get();
                    for slot in slots {
                        if let Some((read, rowid)) = rows.next() {
                            at.set(LoadPosition { read, rowid: *rowid, is_exact: true });
                        }
                        checks.verify(self.relation, *slot);
                    }
                    at.set(batch);
                }
                let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
                pg_sys::table_multi_insert(
                    self.relation,
                    self.tuple_slots.as_mut_ptr(),
                    chunk.len() as i32,
                    self.command,
                    self.options,
                    self.bulk_insert,
                );
                let slots = &self.tuple_slots[..chunk.len()];
                if let Some(arrivals) = arrivals.as_deref_mut() {
                    arrivals.compare(self.relation, slots, &self.tuples);
                }
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    for slot in slots {
                        (**slot).tts_flags &= !keep;
                        if let Some(clear) = (*(**slot).tts_ops).clear {
                            clear(*slot);
                        }
                    }
                });
                pg_sys::MemoryContextSwitchTo(outer);
                pg_sys::MemoryContextReset(self.batch_context);
            }
        }
    }
}

/// A cell of a type, to try the layout with: varlenas are long in one column and short in the next.
fn sample(pg_type: &PgType, column: usize) -> Cell<'static> {
    match pg_type.storage() {
        Storage::Bool => Cell::Bool(true),
        Storage::Int2 => Cell::Int2(-2),
        Storage::Int4 => Cell::Int4(-3),
        Storage::Int8 => Cell::Int8(-4),
        Storage::Float4 => Cell::Float4(1.5),
        Storage::Float8 => Cell::Float8(2.5),
        Storage::Date => Cell::Date(8000),
        Storage::Time => Cell::Time(1),
        Storage::Timestamp => Cell::Timestamp(1),
        Storage::Uuid => Cell::Uuid([7; 16]),
        Storage::Label => Cell::Enum(1),
        // 126 bytes is the longest payload with a one-byte header.
        Storage::Text | Storage::Bytes | Storage::Numeric | Storage::Own | Storage::Opaque => {
            Cell::Varlena(&[b'x'; 127][..if column.is_multiple_of(3) { 127 } else { column % 127 }])
        }
    }
}
