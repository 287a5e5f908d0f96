//! Nothing is ever written to the file: what a write is told, and when.
#![allow(unsafe_code)] // the callbacks of writes

use pgrx::prelude::*;
use pgrx::{PgList, pg_guard, pg_sys};

use super::definition;
use crate::pg::server::error::Error;

/// Refuses INSERT, UPDATE and DELETE before anything is read.
#[pg_guard]
pub unsafe extern "C-unwind" fn plan_foreign_modify(
    root: *mut pg_sys::PlannerInfo,
    plan: *mut pg_sys::ModifyTable,
    result_relation: pg_sys::Index,
    _subplan: i32,
) -> *mut pg_sys::List {
    // SAFETY: the planner's own pointers; the index is that of an entry of the range table.
    let (relation, operation) = unsafe {
        let entry = *(*root).simple_rte_array.add(result_relation as usize);
        ((*entry).relid, (*plan).operation)
    };
    refuse(relation, operation)
}

/// COPY FROM and rows that are routed to a partition come here without a plan; so does whoever asks what can
/// be updated, and is told: nothing.
#[pg_guard]
pub unsafe extern "C-unwind" fn is_foreign_rel_updatable(relation: pg_sys::Relation) -> i32 {
    // SAFETY: the relation is open. Only a statement that writes to it holds this lock on it.
    unsafe {
        if pg_sys::CheckRelationLockedByMe(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE, false) {
            refuse((*relation).rd_id, pg_sys::CmdType::CMD_INSERT)
        }
    }
    0
}

/// Is never called: it is there so that PostgreSQL asks [`is_foreign_rel_updatable`] first.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_insert(
    _state: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    _slot: *mut pg_sys::TupleTableSlot,
    _plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own pointers.
    refuse(unsafe { (*(*result).ri_RelationDesc).rd_id }, pg_sys::CmdType::CMD_INSERT)
}

/// Refuses TRUNCATE.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_truncate(
    relations: *mut pg_sys::List,
    _behavior: pg_sys::DropBehavior::Type,
    _restart_sequences: bool,
) {
    // SAFETY: a list of open relations.
    let first = unsafe {
        let relations = PgList::<pg_sys::RelationData>::from_pg(relations);
        relations.head().map(|relation| (*relation).rd_id)
    };
    refuse(first.unwrap_or(pg_sys::InvalidOid), pg_sys::CmdType::CMD_NOTHING)
}

fn refuse(relation: pg_sys::Oid, operation: pg_sys::CmdType::Type) -> ! {
    let what = match operation {
        pg_sys::CmdType::CMD_INSERT => "insert into",
        pg_sys::CmdType::CMD_UPDATE => "update",
        pg_sys::CmdType::CMD_DELETE => "delete from",
        _ => "truncate",
    };
    let name = definition::of(relation).map(|d| (d.name.clone(), d.table.clone()));
    let (name, table) = match name {
        Ok(found) => found,
        Err(error) => error.raise(),
    };
    Error::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("cannot {what} foreign table \"{}\"", name.name),
    )
    .detail("Foreign tables of aliaport_fdw only read: the SQLite file is never written to.")
    .hint(format!(
        "Write to SQLite table \"{table}\" with the application, or copy the rows first: CREATE TABLE {} AS TABLE {name};",
        copy_of(&name)
    ))
    .raise()
}

/// A name for a table with the rows of a foreign table.
fn copy_of(name: &aliaport_rows::identifier::QualifiedName) -> aliaport_rows::identifier::QualifiedName {
    aliaport_rows::identifier::QualifiedName {
        schema: name.schema.clone(),
        name: format!("{}_copy", aliaport_plan::name::clip(&name.name, 58)),
    }
}
