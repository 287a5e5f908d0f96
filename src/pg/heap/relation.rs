//! What an open relation's descriptor says about its attributes.
#![allow(unsafe_code)] // reads a relation's tuple descriptor

use aliaport_plan::plan::TablePlan;
use aliaport_rows::tuple::Attribute;
use pgrx::pg_sys;
use pgrx::prelude::PgSqlErrorCode;

use crate::pg::server::error::{Result, gone, unexpected};

/// Where a planned column is in the table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// `attnum - 1`.
    pub index: usize,
    /// Its type, the domain itself where it is one.
    pub type_oid: pg_sys::Oid,
    /// `atttypmod`
    pub typmod: i32,
}

/// The columns of `plan` in `relation`, in the plan's order.
///
/// # Safety
/// `relation` is open.
pub unsafe fn columns(relation: pg_sys::Relation, plan: &TablePlan) -> Result<Vec<Column>> {
    plan.columns
        .iter()
        .map(|column| {
            let name = std::ffi::CString::new(column.target.as_str())
                .map_err(|_| unexpected("NUL byte in an attribute name"))?;
            // SAFETY: the relation is open, so its descriptor is valid; the number is that of a live
            // attribute.
            unsafe {
                let number = pg_sys::get_attnum((*relation).rd_id, name.as_ptr());
                if number <= 0 {
                    let attribute = format!("column \"{}\" of relation {}", column.target, plan.target);
                    return Err(gone(attribute, PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN));
                }
                let index = (number - 1) as usize;
                let attribute = crate::pg::server::compat::attribute((*relation).rd_att, index);
                Ok(Column { index, type_oid: (*attribute).atttypid, typmod: (*attribute).atttypmod })
            }
        })
        .collect()
}

/// The columns of a query's result, in its order.
///
/// # Safety
/// `descriptor` is valid.
pub unsafe fn result_columns(descriptor: pg_sys::TupleDesc) -> Vec<Column> {
    // SAFETY: the caller's promise; indexes are below natts.
    unsafe {
        (0..(*descriptor).natts as usize)
            .map(|index| {
                let attribute = crate::pg::server::compat::attribute(descriptor, index);
                Column { index, type_oid: (*attribute).atttypid, typmod: (*attribute).atttypmod }
            })
            .collect()
    }
}

/// The types and type modifiers of the columns of `plan` in the relation `oid`, a domain as its base type, in
/// the plan's order.
pub fn base_types(oid: pg_sys::Oid, plan: &TablePlan) -> Result<Vec<(pg_sys::Oid, i32)>> {
    // SAFETY: the relation exists; it is closed again below and its lock kept.
    unsafe {
        let open = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns = columns(open, plan)?;
        pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
        Ok(columns
            .iter()
            .map(|column| {
                let mut typmod = column.typmod;
                (pg_sys::getBaseTypeAndTypmod(column.type_oid, &mut typmod), typmod)
            })
            .collect())
    }
}

/// How every attribute of `relation` is stored, dropped ones included.
///
/// # Safety
/// `relation` is open.
pub unsafe fn attributes(relation: pg_sys::Relation) -> Vec<Attribute> {
    // SAFETY: the caller's promise.
    unsafe { attributes_of((*relation).rd_att) }
}

/// The same of a tuple descriptor.
///
/// # Safety
/// `descriptor` is valid.
pub unsafe fn attributes_of(descriptor: pg_sys::TupleDesc) -> Vec<Attribute> {
    // SAFETY: the caller's promise; indexes are below natts.
    unsafe {
        (0..(*descriptor).natts as usize)
            .map(|index| {
                let attribute = crate::pg::server::compat::attribute(descriptor, index);
                Attribute {
                    length: (*attribute).attlen,
                    // pg_type.h: TYPALIGN_CHAR, _SHORT, _INT, _DOUBLE.
                    align: match (*attribute).attalign as u8 {
                        b'c' => 1,
                        b's' => 2,
                        b'i' => 4,
                        _ => 8,
                    },
                    is_packable: (*attribute).attlen == -1 && (*attribute).attstorage as u8 != b'p',
                }
            })
            .collect()
    }
}
