//! Where what a run sets aside waits until the run has ended: in memory while it is little, else in a temporary file.
//!
//! A store belongs to whatever was current when it was made, so it outlives a subtransaction that is begun and undone later: a dry run
//! fills it inside of one and hands it over after that.
#![allow(unsafe_code)] // calls PostgreSQL's tuple store

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{interrupt, memory};
use aliaport_rows::row::SetAside;

/// Kilobytes that wait in memory at most; `work_mem`, where that is less.
const MEMORY: i32 = 4096;

/// Columns of a stored entry, all of them text.
const COLUMNS: usize = 8;

/// One entry as it is stored.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The SQLite table.
    pub table: String,
    /// The key, as JSON.
    pub source_key: String,
    /// The SQLite column with the bad value.
    pub column: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// The code that `abort` would have raised.
    pub sqlstate: String,
    /// The message that `abort` would have raised.
    pub reason: String,
    /// rejected or nulled.
    pub action: String,
    /// Every column's original value, as JSON.
    pub row_data: String,
}

impl Entry {
    /// An entry for a row of the SQLite table `table`.
    pub fn new(table: &str, of: SetAside) -> Self {
        Entry {
            table: table.to_owned(),
            source_key: of.source_key.to_string(),
            column: of.column,
            storage_class: of.storage_class.map(str::to_owned),
            sqlstate: of.sqlstate.to_string(),
            reason: of.reason,
            action: (if of.is_rejected { "rejected" } else { "nulled" }).to_owned(),
            row_data: of.row_data.to_string(),
        }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        let column = self.column.as_ref().map_or(0, String::len);
        self.table.len() + self.source_key.len() + column + self.reason.len() + self.row_data.len() + 32
    }
}

/// Entries in the order in which they came.
pub struct Store {
    state: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
    /// Holds both.
    context: pg_sys::MemoryContext,
}

impl Store {
    /// An empty store. It lives until it is dropped, or until what is current now ends: memory context and resource owner.
    pub fn new() -> Self {
        // SAFETY: called inside a function call, so there are a memory context and a resource owner; the descriptor is filled as far as
        // it is wide, with strings that are copied.
        unsafe {
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import rows set aside".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let outer = pg_sys::MemoryContextSwitchTo(context);
            let state = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem.min(MEMORY));
            let descriptor = pg_sys::CreateTemplateTupleDesc(COLUMNS as i32);
            for number in 1..=COLUMNS {
                pg_sys::TupleDescInitEntry(
                    descriptor,
                    number as pg_sys::AttrNumber,
                    std::ptr::null(),
                    pg_sys::TEXTOID,
                    -1,
                    0,
                );
            }
            pg_sys::MemoryContextSwitchTo(outer);
            Store { state, descriptor, context }
        }
    }

    /// Adds one entry.
    pub fn put(&mut self, entry: Entry) {
        memory::briefly(|| {
            let texts = [
                Some(entry.table),
                Some(entry.source_key),
                entry.column,
                entry.storage_class,
                Some(entry.sqlstate),
                Some(entry.reason),
                Some(entry.action),
                Some(entry.row_data),
            ];
            let mut values = [pg_sys::Datum::null(); COLUMNS];
            let mut nulls = [true; COLUMNS];
            for ((value, is_null), text) in values.iter_mut().zip(&mut nulls).zip(texts) {
                if let Some(datum) = text.and_then(IntoDatum::into_datum) {
                    (*value, *is_null) = (datum, false);
                }
            }
            // SAFETY: both arrays have an entry for each attribute of the descriptor; the values are copied. The store is the one that
            // `new` made, and it keeps to the context and the resource owner that were current there.
            unsafe {
                pg_sys::tuplestore_putvalues(
                    self.state,
                    self.descriptor,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
            }
        });
    }

    /// Shows every entry to `each`, in order.
    pub fn each(&mut self, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        // SAFETY: store and descriptor are those that `new` made. The slot's values are valid until the next tuple is fetched, and are
        // copied before that. An error leaves the slot to the memory context it is in: it pins nothing.
        unsafe {
            pg_sys::tuplestore_rescan(self.state);
            let slot =
                pg_sys::MakeSingleTupleTableSlot(self.descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
            while pg_sys::tuplestore_gettupleslot(self.state, true, false, slot) {
                pg_sys::slot_getallattrs(slot);
                let text = |index: usize| {
                    let is_null = *(*slot).tts_isnull.add(index);
                    memory::briefly(|| String::from_datum(*(*slot).tts_values.add(index), is_null))
                };
                let whole = |index: usize| text(index).ok_or_else(|| unexpected("NULL in a row set aside"));
                each(Entry {
                    table: whole(0)?,
                    source_key: whole(1)?,
                    column: text(2),
                    storage_class: text(3),
                    sqlstate: whole(4)?,
                    reason: whole(5)?,
                    action: whole(6)?,
                    row_data: whole(7)?,
                })?;
                interrupt::check();
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // After an error of PostgreSQL the end of the transaction clears all of it up, in its own order.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: made by `new`, freed once; the run that owns the store ends before the memory context and the resource owner do that
        // were current when it began.
        unsafe {
            pg_sys::tuplestore_end(self.state);
            pg_sys::MemoryContextDelete(self.context);
        }
    }
}
