//! The plan's type for one of PostgreSQL's, whatever it is made of.

use aliaport_rows::pg_type::{PgType, Shape};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::server::error::{Error, Result};
use crate::pg::server::{compat, spi};

/// What the database knows of a type that the caller names: how it is called, with its schema where it is not
/// PostgreSQL's own, and what its values are made of; `None` where there is no such type. The caller's
/// search_path finds it, as in a CREATE TABLE of his; statements of ours would not.
pub fn type_of_caller(name: &str) -> Result<Option<(String, Shape)>> {
    let args = || [name.to_owned().into()];
    let is_own = spi::one::<bool>("SELECT pg_catalog.to_regtype($1) IS NOT NULL", &args())? == Some(true);
    if !is_own
        && spi::one_for_caller::<bool>("SELECT pg_catalog.to_regtype($1) IS NOT NULL", &args())? != Some(true)
    {
        return Ok(None);
    }
    let (oid, typmod) = compat::parse_type(name)?;
    if is_pseudo_type(oid)? {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_TABLE_DEFINITION,
            format!("type \"{name}\" is a pseudo-type, which no column can have"),
        )
        .detail("A column's type in options.tables names it.")
        .hint("Name a type that a table's column can have."));
    }
    let printed = if is_own {
        Some(name.to_owned())
    } else {
        spi::one::<String>("SELECT pg_catalog.format_type($1, $2)", &[oid.into(), typmod.into()])?
    };
    Ok(Some((printed.unwrap_or_default(), shape(oid, typmod, DEEPEST)?)))
}

/// The extension that a type which is not there is called like, where the server has it and the database has
/// not.
pub fn extension_of(name: &str) -> Result<Option<String>> {
    let base = name.split(['[', '(']).next().unwrap_or_default();
    let base = base.rsplit('.').next().unwrap_or_default().trim().trim_matches('"').to_lowercase();
    spi::one::<String>(
        "SELECT pg_catalog.quote_ident(name) FROM pg_catalog.pg_available_extensions WHERE name = $1 AND installed_version IS NULL",
        &[base.into()],
    )
}

fn is_pseudo_type(oid: pg_sys::Oid) -> Result<bool> {
    Ok(spi::one::<bool>("SELECT typtype = 'p' FROM pg_catalog.pg_type WHERE oid = $1", &[oid.into()])?
        == Some(true))
}

/// The plan room's type for one of PostgreSQL's.
pub(super) fn pg_type(
    oid: pg_sys::Oid,
    typmod: i32,
    printed: String,
    kind: &str,
    type_name: &str,
    depth: u32,
) -> Result<PgType> {
    Ok(match PgType::of_oid(oid.to_u32(), typmod) {
        Some(known) => known,
        None if kind == "e" => PgType::Enum { name: printed, labels: labels(oid)? },
        None if type_name == "citext" => PgType::Citext,
        None => PgType::Other { name: printed, shape: shape(oid, typmod, depth)? },
    })
}

/// How deep the parts of a type are looked at. Nobody nests types so deep.
pub(super) const DEEPEST: u32 = 16;

/// What the values of a type are made of; `typmod` is that of an array's elements.
fn shape(oid: pg_sys::Oid, typmod: i32, depth: u32) -> Result<Shape> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(Shape::Whole) };
    let found = spi::rows(
        "SELECT CASE WHEN t.typinput = 'pg_catalog.array_in'::pg_catalog.regproc THEN t.typelem END, \
                (SELECT e.typdelim::pg_catalog.text FROM pg_catalog.pg_type e WHERE e.oid = t.typelem), \
                (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid), \
                (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid), \
                t.typtype::pg_catalog.text, t.typrelid \
         FROM pg_catalog.pg_type t WHERE t.oid = $1",
        &[oid.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?,
                row.get::<String>(2)?,
                row.get::<pg_sys::Oid>(3)?,
                row.get::<pg_sys::Oid>(4)?,
                row.get::<String>(5)?.unwrap_or_default(),
                row.get::<pg_sys::Oid>(6)?.unwrap_or(pg_sys::InvalidOid),
            ))
        },
    )?;
    let Some((element, delimiter, bound, bound_of_many, kind, relation)) = found.into_iter().next() else {
        return Ok(Shape::Whole);
    };
    if let Some(element) = element {
        let delimiter = delimiter.and_then(|d| d.bytes().next()).unwrap_or(b',');
        return Ok(Shape::Array { element: Box::new(part(element, typmod, depth)?), delimiter });
    }
    if let Some(bound) = bound {
        return Ok(Shape::Range(Box::new(part(bound, -1, depth)?)));
    }
    if let Some(bound) = bound_of_many {
        return Ok(Shape::Multirange(Box::new(part(bound, -1, depth)?)));
    }
    match kind.as_str() {
        "d" => Ok(Shape::Domain(Box::new(part(oid, -1, depth)?))),
        "c" => {
            let fields = spi::rows(
                "SELECT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
                 ORDER BY a.attnum",
                &[relation.into()],
                |row| {
                    let oid = row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid);
                    Ok((oid, row.get::<i32>(2)?.unwrap_or(-1)))
                },
            )?;
            let fields = fields.into_iter().map(|(oid, typmod)| part(oid, typmod, depth));
            Ok(Shape::Composite(fields.collect::<Result<_>>()?))
        }
        _ => Ok(Shape::Whole),
    }
}

/// The type of a part of a value; a domain as its base type.
fn part(oid: pg_sys::Oid, typmod: i32, depth: u32) -> Result<PgType> {
    let found = spi::rows(
        "WITH RECURSIVE base AS ( \
             SELECT $1 AS typid, $2 AS typmod \
           UNION ALL \
             SELECT t.typbasetype, t.typtypmod FROM base b \
             JOIN pg_catalog.pg_type t ON t.oid = b.typid \
             WHERE t.typtype = 'd') \
         SELECT b.typid, b.typmod, pg_catalog.format_type(b.typid, b.typmod), t.typtype::pg_catalog.text, t.typname::pg_catalog.text \
         FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid \
         WHERE t.typtype <> 'd'",
        &[oid.into(), typmod.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                row.get::<i32>(2)?.unwrap_or(-1),
                row.get::<String>(3)?.unwrap_or_default(),
                row.get::<String>(4)?.unwrap_or_default(),
                row.get::<String>(5)?.unwrap_or_default(),
            ))
        },
    )?;
    let Some((oid, typmod, printed, kind, type_name)) = found.into_iter().next() else {
        return Ok(PgType::other("unknown"));
    };
    pg_type(oid, typmod, printed, &kind, &type_name, depth)
}

fn labels(oid: pg_sys::Oid) -> Result<Vec<(String, u32)>> {
    spi::rows(
        "SELECT enumlabel::text, oid FROM pg_catalog.pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder",
        &[oid.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<pg_sys::Oid>(2)?.map_or(0, pg_sys::Oid::to_u32),
            ))
        },
    )
}
