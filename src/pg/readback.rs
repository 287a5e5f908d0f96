//! Reads a loaded table back from its heap and computes the same digest that the load computed of what it sent.
#![allow(unsafe_code)] // scans a table with PostgreSQL's table access functions

use aliaport_plan::digest::{RowHasher, TableDigest};
use aliaport_plan::pg_type::PgType;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::value::Cell;
use pgrx::pg_sys;

use super::datum;
use super::error::Result;
use super::{interrupt, relation};

/// Rows between two resets of the memory that detoasting uses, and between two looks at the interrupt flags.
const ROWS_BETWEEN_RESETS: u64 = 256;

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
    // SAFETY: the relation exists; all that is opened here is closed below or, on an error, by the end of the
    // (sub)transaction. A slot's values are valid until the next tuple is fetched; each is used before that.
    unsafe {
        let open = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns = relation::columns(open, plan)?;
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
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
            for (i, column) in columns.iter().enumerate() {
                let cell = if *(*slot).tts_isnull.add(column.index) {
                    Cell::Null
                } else {
                    datum::to_cell(*(*slot).tts_values.add(column.index), types[i], column.storage)
                };
                hasher.read_back(i, &cell);
            }
            let mut digest = TableDigest::default();
            hasher.end_row(&mut digest);
            let tid = &(*slot).tts_tid;
            each(
                ((u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid),
                digest,
            );
            rows += 1;
            if rows.is_multiple_of(ROWS_BETWEEN_RESETS) {
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
