//! Everything that differs between PostgreSQL 14 and 18, and nothing else.
#![allow(unsafe_code)] // calls functions whose signature depends on the version

use pgrx::pg_sys;

use super::error::{Result, unexpected};

/// `MarkGUCPrefixReserved`: an unknown `aliaport_import.*` setting is an error from PostgreSQL 15 on, a
/// warning before.
pub fn reserve_guc_prefix() {
    let prefix = c"aliaport_import".as_ptr();
    // SAFETY: called from _PG_init with a static C string, after all our settings are defined.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(prefix);
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(prefix);
    }
}

/// The attribute at `index` (0-based) of a tuple descriptor. PostgreSQL 18 moved the array behind the compact
/// attributes.
///
/// # Safety
/// `descriptor` is valid and `index` is below its `natts`.
pub unsafe fn attribute(descriptor: pg_sys::TupleDesc, index: usize) -> pg_sys::Form_pg_attribute {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*descriptor).attrs.as_mut_ptr().add(index);
        #[cfg(feature = "pg18")]
        return pg_sys::TupleDescAttr(descriptor, index as i32);
    }
}

/// Begins a scan of an index for keys that `index_rescan` gives.
///
/// # Safety
/// Both relations are open, and the snapshot is registered for as long as the scan.
pub unsafe fn index_beginscan(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: the caller's promise; nothing is counted where there is no place to count it.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return pg_sys::index_beginscan(heap, index, snapshot, keys, 0);
        #[cfg(feature = "pg18")]
        return pg_sys::index_beginscan(heap, index, snapshot, std::ptr::null_mut(), keys, 0);
    }
}

/// Frees what evaluating one row's constraints allocated (`ResetPerTupleExprContext`).
///
/// # Safety
/// `estate` is valid.
pub unsafe fn reset_per_tuple(estate: *mut pg_sys::EState) {
    // SAFETY: the caller's promise; the context exists once an expression was evaluated.
    unsafe {
        let context = (*estate).es_per_tuple_exprcontext;
        if !context.is_null() {
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
        }
    }
}

/// True in a transaction that may not write, as every one on a standby.
pub fn is_read_only() -> bool {
    // SAFETY: a global of the backend that is always valid to read.
    unsafe { pg_sys::XactReadOnly }
}

/// True on a server that follows another.
pub fn is_standby() -> bool {
    // SAFETY: reads shared memory that every backend is attached to.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// The type that a text names, and its modifier, as the parser finds it under the search_path. Raises where
/// there is none.
pub fn parse_type(name: &str) -> Result<(pg_sys::Oid, i32)> {
    let name = std::ffi::CString::new(name).map_err(|_| unexpected("NUL byte in the name of a type"))?;
    let (mut oid, mut typmod) = (pg_sys::InvalidOid, -1);
    // SAFETY: the string and both out-pointers are valid; without a place for soft errors the call raises.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        pg_sys::parseTypeString(name.as_ptr(), &mut oid, &mut typmod, false);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        pg_sys::parseTypeString(name.as_ptr(), &mut oid, &mut typmod, std::ptr::null_mut());
    }
    Ok((oid, typmod))
}

/// Makes what this command wrote visible to the next one.
pub fn command_counter_increment() {
    // SAFETY: called between statements inside a function, as PostgreSQL's SPI does.
    unsafe { pg_sys::CommandCounterIncrement() }
}

/// Keeps other sessions from writing to a relation until the end of the transaction; they go on reading.
pub fn lock_against_writers(relation: pg_sys::Oid) {
    // SAFETY: waits for the lock or raises; the OID may be that of any relation.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::ShareRowExclusiveLock as pg_sys::LOCKMODE) }
}

/// The same, but several transactions may hold it at once.
pub fn lock_against_changes(relation: pg_sys::Oid) {
    // SAFETY: as above.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::ShareLock as pg_sys::LOCKMODE) }
}

/// True in a transaction that keeps one snapshot: REPEATABLE READ and SERIALIZABLE.
pub fn has_old_snapshot() -> bool {
    // SAFETY: a global of the backend that is always valid to read; IsolationUsesXactSnapshot() is this
    // comparison.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Has every cached plan that reads a relation made again. On a server that follows another nothing can be
/// told to others, and nothing need be.
pub fn plan_again(relation: pg_sys::Oid) {
    if !is_standby() {
        // SAFETY: inside a transaction; the relation exists or is forgotten anyway.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) }
    }
}

/// What a path over a foreign table has.
pub struct ForeignPathParts {
    /// Rows that it gives.
    pub rows: f64,
    /// What its first row costs.
    pub startup_cost: f64,
    /// What all rows cost.
    pub total_cost: f64,
    /// In which order, NIL for none.
    pub pathkeys: *mut pg_sys::List,
    /// The relations whose columns it takes as parameters.
    pub required_outer: pg_sys::Relids,
    /// For whoever makes the plan of it.
    pub private: *mut pg_sys::List,
}

/// A path over a foreign table.
///
/// # Safety
/// The pointers are the planner's own.
pub unsafe fn foreign_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    parts: &ForeignPathParts,
) -> *mut pg_sys::Path {
    let nothing: *mut core::ffi::c_void = std::ptr::null_mut();
    let ForeignPathParts { rows, startup_cost, total_cost, pathkeys, required_outer, private } = *parts;
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            nothing.cast(),
            rows,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            nothing.cast(),
            private,
        );
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            nothing.cast(),
            rows,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            nothing.cast(),
            nothing.cast(),
            private,
        );
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            nothing.cast(),
            rows,
            0,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            nothing.cast(),
            nothing.cast(),
            private,
        );
        path.cast()
    }
}

/// What a path over something that is computed from a foreign table is made of.
#[derive(Debug)]
pub struct UpperPathParts {
    /// Rows that it gives.
    pub rows: f64,
    /// What its first row costs.
    pub startup_cost: f64,
    /// What all rows cost.
    pub total_cost: f64,
    /// A path to the same rows, or NULL.
    pub outer: *mut pg_sys::Path,
    /// For whoever makes the plan of it.
    pub private: *mut pg_sys::List,
}

/// Such a path.
///
/// # Safety
/// The pointers are the planner's own.
pub unsafe fn foreign_upper_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
    parts: &UpperPathParts,
) -> *mut pg_sys::Path {
    let UpperPathParts { rows, startup_cost, total_cost, outer, private } = *parts;
    let nothing = std::ptr::null_mut::<pg_sys::List>();
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            startup_cost,
            total_cost,
            nothing,
            outer,
            private,
        );
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            startup_cost,
            total_cost,
            nothing,
            outer,
            nothing,
            private,
        );
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            0,
            startup_cost,
            total_cost,
            nothing,
            outer,
            nothing,
            private,
        );
        path.cast()
    }
}

/// GROUP BY and DISTINCT, since PostgreSQL 16 without what is there twice.
///
/// # Safety
/// The planner's own pointer.
pub unsafe fn grouping_clauses(root: *mut pg_sys::PlannerInfo) -> (*mut pg_sys::List, *mut pg_sys::List) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        return ((*(*root).parse).groupClause, (*(*root).parse).distinctClause);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        return ((*root).processed_groupClause, (*root).processed_distinctClause);
    }
}
