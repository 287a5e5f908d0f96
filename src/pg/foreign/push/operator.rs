//! Which operators of pg_catalog mean in SQLite what they mean in PostgreSQL?
#![allow(unsafe_code)] // looks operators up in the catalogue

use pgrx::pg_sys;

use super::sql::Comparison;

/// Types whose values are compared with one another, by what lies behind their operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Boolean,
    Integer,
    Real,
    Numeric,
    Text,
    Bytes,
    /// Points in time without a time zone.
    Clock,
    /// Points in time with one. What is without one becomes one by a setting of the session.
    Zoned,
}

/// `text ~~ text`
pub(super) const LIKE: pg_sys::Oid = pg_sys::Oid::from_u32(pg_sys::OID_TEXT_LIKE_OP);

/// The b-tree operator families, by their fixed OIDs (src/include/catalog/pg_opfamily.dat).
pub(super) fn opfamily(family: Family) -> pg_sys::Oid {
    pg_sys::Oid::from_u32(match family {
        Family::Boolean => 424,
        Family::Integer => 1976,
        Family::Real => 1970,
        Family::Numeric => 1988,
        Family::Text => 1994,
        Family::Bytes => 428,
        Family::Clock | Family::Zoned => 434,
    })
}

/// OIDs below come with PostgreSQL.
const FIRST_NORMAL_OID: u32 = 16_384;

/// The family of a type.
pub(super) fn family_of_type(oid: pg_sys::Oid) -> Option<Family> {
    Some(match oid {
        pg_sys::BOOLOID => Family::Boolean,
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => Family::Integer,
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => Family::Real,
        pg_sys::NUMERICOID => Family::Numeric,
        pg_sys::TEXTOID | pg_sys::VARCHAROID => Family::Text,
        pg_sys::BYTEAOID => Family::Bytes,
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID => Family::Clock,
        pg_sys::TIMESTAMPTZOID => Family::Zoned,
        _ => return None,
    })
}

/// What an operator compares, and how.
pub(super) fn comparison(opno: pg_sys::Oid) -> Option<(Family, Comparison)> {
    ordering(opno).or_else(|| {
        // SAFETY: looks the operator up in the catalogue.
        let negator = unsafe { pg_sys::get_negator(opno) };
        match ordering(negator) {
            Some((family, Comparison::Equal)) if is_built_in(opno) => Some((family, Comparison::NotEqual)),
            _ => None,
        }
    })
}

/// The same for the five operators of a b-tree.
pub(super) fn ordering(opno: pg_sys::Oid) -> Option<(Family, Comparison)> {
    if !is_built_in(opno) {
        return None;
    }
    // SAFETY: as above; both places are valid.
    let (left, right) = unsafe {
        let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        pg_sys::op_input_types(opno, &mut left, &mut right);
        (family_of_type(left)?, family_of_type(right)?)
    };
    if left != right {
        return None;
    }
    // SAFETY: as above.
    let strategy = unsafe { pg_sys::get_op_opfamily_strategy(opno, opfamily(left)) };
    Some((left, Comparison::of_strategy(strategy)?))
}

fn is_built_in(opno: pg_sys::Oid) -> bool {
    (1..FIRST_NORMAL_OID).contains(&opno.to_u32())
}
