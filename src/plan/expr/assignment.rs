//! An expression whose value a column takes: generated columns, and defaults that are computed.

use super::NotCarried;
use super::term::{Kind, Term};
use aliaport_rows::pg_type::PgType;

/// The expression in a form that PostgreSQL assigns to a column of a type, as SQLite's affinity would convert
/// it.
///
/// No cast to `varchar(n)` or `numeric(p,s)` is written: a cast would cut silently what an assignment
/// rejects.
pub(super) fn assigned(term: Term, pg_type: &PgType) -> Result<String, NotCarried> {
    match (pg_type, &term.kind) {
        (_, Kind::Null) => Ok("NULL".to_owned()),
        (PgType::Boolean, Kind::Bool) => Ok(term.sql),
        (PgType::Boolean, Kind::Int { min: 0.., max: ..=1, .. }) => Ok(term.truth()?.sql),
        (PgType::SmallInt | PgType::Integer | PgType::BigInt, Kind::Bool | Kind::Int { .. } | Kind::Wide)
        | (
            PgType::DoublePrecision,
            Kind::Bool | Kind::Int { .. } | Kind::Wide | Kind::Float | Kind::Numeric,
        )
        | (PgType::Numeric { .. }, Kind::Bool | Kind::Int { .. } | Kind::Wide | Kind::Numeric) => {
            Ok(term.into_number().sql)
        }
        (PgType::Text | PgType::Varchar(_) | PgType::Citext, Kind::Text | Kind::Bool | Kind::Int { .. }) => {
            Ok(term.to_text()?.sql)
        }
        (PgType::Bytea, Kind::Bytea) => Ok(term.sql),
        (pg_type, Kind::Opaque(own, _)) if pg_type == own => Ok(term.sql),
        (pg_type, kind) => Err(NotCarried::new(format!(
            "the expression gives {} where the column is {pg_type}",
            kind.name()
        ))),
    }
}
