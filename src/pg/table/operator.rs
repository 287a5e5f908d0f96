//! Which operator says that two values of the caller's columns are equal?
//!
//! Written as `=` that would be whatever the search_path finds: for a citext column the wrong one, or one
//! that somebody has planted. So it is the one of the type's default operator class, which the type's keys
//! use, too, with its schema.
#![allow(unsafe_code)] // looks up types in PostgreSQL's caches

use std::ffi::CString;

use aliaport_rows::identifier::QualifiedName;
use pgrx::pg_sys;

use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// What stands between two values that only PostgreSQL's own operators can compare.
pub const OWN: &str = "OPERATOR(pg_catalog.=)";

/// The operator between a column of one relation and one of another, as `OPERATOR(schema.=)`.
///
/// Of columns whose types differ (or that are not there, which the statement will say) it is PostgreSQL's
/// own, which knows its types' relatives.
pub fn equal(one: (&QualifiedName, &str), other: (&QualifiedName, &str)) -> Result<String> {
    match (base_type(one), base_type(other)) {
        (Some(one), Some(other)) if one == other => equal_of(one),
        _ => Ok(OWN.to_owned()),
    }
}

/// The operator between two values of the type `oid`.
fn equal_of(oid: pg_sys::Oid) -> Result<String> {
    // SAFETY: a look-up in a cache, inside a transaction, by the OID of a type that a column has; the entry
    // lives as long as the process.
    let operator = unsafe { (*pg_sys::lookup_type_cache(oid, pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr };
    if operator == pg_sys::InvalidOid {
        return Ok(OWN.to_owned());
    }
    let found = spi::rows_often(
        "SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) \
         FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = $1",
        &[operator.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(found.into_iter().next().flatten().unwrap_or_else(|| OWN.to_owned()))
}

/// The type of a column, a domain as what it is over; `None` where there is no such column.
fn base_type((relation, column): (&QualifiedName, &str)) -> Option<pg_sys::Oid> {
    let schema = CString::new(relation.schema.as_str()).ok()?;
    let name = CString::new(relation.name.as_str()).ok()?;
    let column = CString::new(column).ok()?;
    // SAFETY: look-ups in the catalogue's caches, inside a transaction; each takes an invalid OID and gives
    // one back.
    unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        let relation = pg_sys::get_relname_relid(name.as_ptr(), schema);
        if relation == pg_sys::InvalidOid {
            return None;
        }
        let number = pg_sys::get_attnum(relation, column.as_ptr());
        if number <= 0 {
            return None;
        }
        Some(pg_sys::getBaseType(pg_sys::get_atttype(relation, number)))
    }
}
