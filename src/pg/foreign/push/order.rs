//! Which order can SQLite put rows in?
#![allow(unsafe_code)] // reads the planner's pathkeys

use pgrx::{PgList, pg_sys};

use super::operator::{family_of_type, opfamily};
use super::sql::{Kind, Operand};
use super::{column_of, is_alike, kind_of};
use crate::pg::foreign::column::{Remote, RemoteColumn};
use crate::pg::server::error::Result;

/// An order for SQLite.
#[derive(Debug)]
pub struct Ordered {
    /// What stands after ORDER BY.
    pub sql: String,
    /// It holds only as long as the census does.
    pub needs_census: bool,
    /// The column that it begins with.
    pub leading: i16,
}

/// The ORDER BY that puts rows of a base relation in the order of pathkeys; nothing where SQLite cannot.
///
/// # Safety
/// The pointers are the planner's own.
pub unsafe fn order(
    baserel: *mut pg_sys::RelOptInfo,
    remote: &Remote,
    pathkeys: *mut pg_sys::List,
) -> Result<Option<Ordered>> {
    let mut ordered = Ordered { sql: String::new(), needs_census: false, leading: 0 };
    // SAFETY: the caller's promise: a list of pathkeys.
    for key in unsafe { PgList::<pg_sys::PathKey>::from_pg(pathkeys) }.iter_ptr() {
        // SAFETY: as above.
        let Some((column, collation)) = (unsafe { column_of_key(baserel, remote, key) }) else {
            return Ok(None);
        };
        // SAFETY: a valid pathkey.
        let (is_descending, has_nulls_first) =
            unsafe { (strategy(key) == pg_sys::BTGreaterStrategyNumber as i32, (*key).pk_nulls_first) };
        let Ok((kind, true)) = kind_of(column) else { return Ok(None) };
        let is_text = kind == Kind::Text;
        if kind == Kind::Boolean
            || column.is_generated
            || is_text && !(remote.is_utf8 && is_alike(collation, true)?)
        {
            return Ok(None);
        }
        let Some(operand) = Operand::new(&column.name, column.affinity, kind) else { return Ok(None) };
        let comma = if ordered.sql.is_empty() { "" } else { ", " };
        if ordered.sql.is_empty() {
            ordered.leading = column.attnum;
        }
        let direction = if is_descending { "DESC" } else { "ASC" };
        let nulls = if has_nulls_first { "FIRST" } else { "LAST" };
        ordered.sql.push_str(&format!("{comma}{} {direction} NULLS {nulls}", operand.sql()));
        ordered.needs_census |= column.is_by_census;
    }
    Ok((!ordered.sql.is_empty()).then_some(ordered))
}

/// # Safety
/// A valid pathkey.
unsafe fn strategy(key: *mut pg_sys::PathKey) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*key).pk_strategy;
        // Comparisons have the numbers of a b-tree's strategies.
        #[cfg(feature = "pg18")]
        return (*key).pk_cmptype as i32;
    }
}

/// The column of ours that a pathkey sorts by, in the default order of its type, and the collation.
///
/// # Safety
/// Valid pointers of the planner.
unsafe fn column_of_key(
    baserel: *mut pg_sys::RelOptInfo,
    remote: &Remote,
    key: *mut pg_sys::PathKey,
) -> Option<(&RemoteColumn, pg_sys::Oid)> {
    // SAFETY: the caller's promise.
    unsafe {
        let class = (*key).pk_eclass;
        if (*class).ec_has_volatile {
            return None;
        }
        let relids = (*baserel).relids;
        PgList::<pg_sys::EquivalenceMember>::from_pg((*class).ec_members).iter_ptr().find_map(|member| {
            if !pg_sys::bms_equal((*member).em_relids, relids) {
                return None;
            }
            let column = column_of(remote, (*baserel).relid, (*member).em_expr.cast())?;
            let family = family_of_type(column.type_oid)?;
            (opfamily(family) == (*key).pk_opfamily).then_some((column, (*class).ec_collation))
        })
    }
}
