//! Where what a run sets aside waits until the run has ended: in memory while it is little, else in a
//! temporary file.
//!
//! A store belongs to whatever was current when it was made, so it outlives a subtransaction that is begun
//! and undone later: a dry run fills it inside of one and hands it over after that.
#![allow(unsafe_code)] // calls PostgreSQL's tuple store

use std::sync::Arc;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{interrupt, memory, spi};
use aliaport_rows::row::SetAside;

/// Kilobytes that wait in memory at most; `work_mem`, where that is less.
const MEMORY: i32 = 4096;

/// Columns of a stored entry, all of them text but the last.
const COLUMNS: usize = 8;

/// The last: the row's values, which are of type jsonb.
const ROW_DATA: usize = COLUMNS - 1;

/// One entry as it is stored.
#[derive(Debug)]
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
    /// Every column's original value: a whole value of type jsonb, or nothing.
    pub row_data: Arc<Vec<u8>>,
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
            row_data: of.row_data,
        }
    }

    /// All but the row's values, in the order of the columns of `aliaport.rejected_row`.
    pub fn texts(self) -> [Option<String>; ROW_DATA] {
        [
            Some(self.table),
            Some(self.source_key),
            self.column,
            self.storage_class,
            Some(self.sqlstate),
            Some(self.reason),
            Some(self.action),
        ]
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
    /// An empty store. It lives until it is dropped, or until what is current now ends: memory context and
    /// resource owner.
    pub fn new() -> Self {
        // SAFETY: called inside a function call, so there are a memory context and a resource owner; the
        // descriptor is filled as far as it is wide, with strings that are copied.
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
                    if number == COLUMNS { pg_sys::JSONBOID } else { pg_sys::TEXTOID },
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
            let row_data = Arc::clone(&entry.row_data);
            let mut values = [pg_sys::Datum::null(); COLUMNS];
            let mut nulls = [true; COLUMNS];
            for ((value, is_null), text) in values.iter_mut().zip(&mut nulls).zip(entry.texts()) {
                if let Some(datum) = text.and_then(IntoDatum::into_datum) {
                    (*value, *is_null) = (datum, false);
                }
            }
            (values[ROW_DATA], nulls[ROW_DATA]) = (datum_of(&row_data), false);
            // SAFETY: both arrays have an entry for each attribute of the descriptor; the values are copied.
            // The store is the one that `new` made, and it keeps to the context and the resource owner that
            // were current there.
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

    /// Shows every entry to `each`, in order: without the row's values, which are the second argument, a
    /// whole value of type jsonb.
    pub fn each(&mut self, mut each: impl FnMut(Entry, &[u8]) -> Result<()>) -> Result<()> {
        // SAFETY: store and descriptor are those that `new` made. The slot's values are valid until the next
        // tuple is fetched; texts are copied before that, and the row's values are lent for the call only.
        // They are a varlena, which is as long as its header says, once it has a header of four bytes. An
        // error leaves the slot to the memory context it is in: it pins nothing.
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
                let entry = Entry {
                    table: whole(0)?,
                    source_key: whole(1)?,
                    column: text(2),
                    storage_class: text(3),
                    sqlstate: whole(4)?,
                    reason: whole(5)?,
                    action: whole(6)?,
                    row_data: Arc::default(),
                };
                if *(*slot).tts_isnull.add(ROW_DATA) {
                    return Err(unexpected("NULL in a row set aside"));
                }
                let stored = *(*slot).tts_values.add(ROW_DATA);
                memory::briefly(|| {
                    // Only a short header makes a copy.
                    let data = pg_sys::pg_detoast_datum(stored.cast_mut_ptr());
                    each(entry, std::slice::from_raw_parts(data.cast(), pgrx::varsize_4b(data)))
                })?;
                interrupt::check();
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        Ok(())
    }
}

/// A value of type jsonb as PostgreSQL takes it, for as long as `whole` lives. It is an empty object where
/// there are no bytes.
fn datum_of(whole: &[u8]) -> pg_sys::Datum {
    /// The header of the value, and that of its object: both are eight bytes and no member.
    #[repr(C)]
    struct Empty([u32; 2]);
    #[cfg(target_endian = "little")]
    static EMPTY: Empty = Empty([8 << 2, 0x2000_0000]);
    #[cfg(target_endian = "big")]
    static EMPTY: Empty = Empty([8, 0x2000_0000]);
    if whole.is_empty() {
        return pg_sys::Datum::from((&raw const EMPTY).cast::<u8>());
    }
    // Every allocation of some bytes is aligned to four, as PostgreSQL wants it, by the allocators that there
    // are.
    debug_assert!(whole.as_ptr().cast::<u32>().is_aligned());
    pg_sys::Datum::from(whole.as_ptr())
}

/// A value of type jsonb as an argument of a statement that runs while `whole` lives.
pub fn argument(whole: &[u8]) -> DatumWithOid<'_> {
    // SAFETY: the datum is of the type that is said with it, and lives as long as the argument.
    unsafe { DatumWithOid::new(datum_of(whole), pg_sys::JSONBOID) }
}

/// The same of an array of them, which is copied into the current memory context.
pub fn arguments(whole: &[Vec<u8>]) -> Result<DatumWithOid<'static>> {
    let count = i32::try_from(whole.len()).map_err(unexpected)?;
    let mut elements: Vec<pg_sys::Datum> = whole.iter().map(|data| datum_of(data)).collect();
    // SAFETY: so many elements of a varlena type that is aligned to four bytes; they are copied. The array
    // lives as long as the memory context, which the caller keeps until his statement has run.
    unsafe {
        let array = pg_sys::construct_array(
            elements.as_mut_ptr(),
            count,
            pg_sys::JSONBOID,
            -1,
            false,
            pg_sys::TYPALIGN_INT as std::ffi::c_char,
        );
        Ok(DatumWithOid::new(pg_sys::Datum::from(array), pg_sys::JSONBARRAYOID))
    }
}

/// A value of type jsonb as text.
pub fn text_of(whole: &[u8]) -> Result<String> {
    Ok(spi::one::<String>("SELECT $1::pg_catalog.text", &[argument(whole)])?.unwrap_or_default())
}

impl Drop for Store {
    fn drop(&mut self) {
        // After an error of PostgreSQL the end of the transaction clears all of it up, in its own order.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: made by `new`, freed once; the run that owns the store ends before the memory context and
        // the resource owner do that were current when it began.
        unsafe {
            pg_sys::tuplestore_end(self.state);
            pg_sys::MemoryContextDelete(self.context);
        }
    }
}
