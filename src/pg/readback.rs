//! Reads a loaded table back from its heap and computes the same digest that the load computed of what it sent.
#![allow(unsafe_code)] // scans a table with PostgreSQL's table access functions

use std::ops::ControlFlow;

use aliaport_plan::digest::{RowHasher, TableDigest};
use aliaport_plan::pg_type::PgType;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::value::Cell;
use pgrx::pg_sys;

use super::datum;
use super::error::Result;
use super::interrupt;
use super::relation::{self, Column};

/// Rows between two resets of the memory that detoasting uses, and between two looks at the interrupt flags.
const ROWS_BETWEEN_RESETS: u64 = 256;
/// The same in bytes, for rows with large values.
const BYTES_BETWEEN_RESETS: pg_sys::Size = 16 << 20;

/// The digest of every visible row of the table `oid`, as the columns of `plan` see it.
pub fn digest(oid: pg_sys::Oid, plan: &TablePlan) -> Result<TableDigest> {
    let mut digest = TableDigest::default();
    rows(oid, plan, |_, row| digest.merge(&row))?;
    Ok(digest)
}

/// A row's place in its table: block and offset (`ctid`).
pub type Place = (u32, u16);

/// Every visible row of the table `oid` in the order of the heap, with the digest of that row alone.
pub fn rows(oid: pg_sys::Oid, plan: &TablePlan, mut each: impl FnMut(Place, TableDigest)) -> Result<()> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    let mut hasher = RowHasher::new(&types);
    visit(oid, plan, Sight::Latest, |row| {
        for column in 0..types.len() {
            hasher.read_back(column, &row.cell(column));
        }
        let mut digest = TableDigest::default();
        hasher.end_row(&mut digest);
        each(row.place(), digest);
        ControlFlow::Continue(())
    })
}

/// Which rows of a table are visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What is committed now, and all that this transaction has done so far.
    Latest,
    /// What the statement sees that called us, as every query of SPI in it does that only reads.
    Statement,
}

/// One row of a table, valid while it is visited.
pub struct StoredRow<'a> {
    slot: *mut pg_sys::TupleTableSlot,
    columns: &'a [Column],
    types: &'a [&'a PgType],
}

impl StoredRow<'_> {
    /// Its place in the heap.
    pub fn place(&self) -> Place {
        // SAFETY: the slot holds a row while a StoredRow exists.
        let tid = unsafe { (*self.slot).tts_tid };
        ((u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid)
    }

    /// The value of the plan's column with this number; NULL where there is none.
    pub fn cell(&self, column: usize) -> Cell<'_> {
        let (Some(at), Some(pg_type)) = (self.columns.get(column), self.types.get(column)) else {
            return Cell::Null;
        };
        // SAFETY: `visit` has taken the row apart, so both arrays have an entry for each attribute; the type and the storage
        // are the attribute's own. The cell borrows from self, which is gone before the slot's next row.
        unsafe {
            if *(*self.slot).tts_isnull.add(at.index) {
                return Cell::Null;
            }
            datum::to_cell(*(*self.slot).tts_values.add(at.index), pg_type, at.storage)
        }
    }
}

/// Shows every visible row of the table `oid` to `each`, in the order of the heap, until that breaks off. `each` must not
/// keep anything that PostgreSQL allocates.
pub fn visit(
    oid: pg_sys::Oid,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    // SAFETY: the relation exists; all that is opened here is closed below or, on an error, by the end of the
    // (sub)transaction. A slot's values are valid until the next tuple is fetched; each is used before that. A function call
    // has an active snapshot.
    unsafe {
        let open = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns = relation::columns(open, plan)?;
        let snapshot = pg_sys::RegisterSnapshot(match sight {
            Sight::Latest => pg_sys::GetLatestSnapshot(),
            Sight::Statement => pg_sys::GetActiveSnapshot(),
        });
        let scan = pg_sys::table_beginscan(open, snapshot, 0, std::ptr::null_mut());
        let slot = pg_sys::table_slot_create(open, std::ptr::null_mut());
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"aliaport_import read back".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let outer = pg_sys::MemoryContextSwitchTo(context);
        let mut rows: u64 = 0;
        while pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
            pg_sys::slot_getallattrs(slot);
            if each(&StoredRow { slot, columns: &columns, types: &types }).is_break() {
                break;
            }
            rows += 1;
            if rows.is_multiple_of(ROWS_BETWEEN_RESETS) || (*context).mem_allocated > BYTES_BETWEEN_RESETS {
                pg_sys::MemoryContextReset(context);
                interrupt::check();
            }
        }
        pg_sys::MemoryContextSwitchTo(outer);
        pg_sys::MemoryContextDelete(context);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
    Ok(())
}
