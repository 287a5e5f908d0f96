//! Does this database store every text of SQLite? Only one in UTF-8 does.
//!
//! Everything here moves texts as UTF-8 between SQLite and PostgreSQL. In a database of another encoding the
//! bytes would stand there unconverted, so every function asks [`require_utf8`] before it reads anything, its
//! own arguments included.
#![allow(unsafe_code)] // asks for the database's encoding, and puts off the reading of arguments until it is known

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;

use aliaport_plan::name::clip;
use aliaport_rows::identifier::{quote, quote_literal};

use super::error::{Error, Result};
use super::spi;

/// Whether the database's encoding is UTF-8. SQL_ASCII is not: it takes any bytes, and promises nothing of
/// those it gives.
pub fn is_utf8() -> bool {
    // SAFETY: only reads what the backend has known since it connected to its database.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// Refuses a database that is not in UTF-8.
///
/// # Errors
/// 0A000, with the statement that makes a database in UTF-8 beside it.
pub fn require_utf8() -> Result<()> {
    if is_utf8() {
        return Ok(());
    }
    let Unfit { encoding, database, remedy } = Unfit::of_this_database()?;
    let database = database.map_or_else(|| "This database".to_owned(), |name| format!("Database \"{name}\""));
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("database encoding {encoding} is not supported"),
    )
    .detail(format!(
        "{database} stores texts in {encoding}, and the texts of a SQLite database need UTF-8. Nothing was read."
    ))
    .hint(format!("Run {remedy}; connect to that database, and run CREATE EXTENSION aliaport_import; there.")))
}

/// A database that cannot take the texts of SQLite.
pub struct Unfit {
    /// Its encoding.
    pub encoding: String,
    /// Its name, where that is readable in every encoding.
    pub database: Option<String>,
    /// The statement that makes a database in UTF-8 beside it.
    pub remedy: String,
}

impl Unfit {
    /// Looks at this database. Only bytes and ASCII are asked for: a text of this database is no text here.
    pub fn of_this_database() -> Result<Self> {
        let encoding = spi::one::<String>("SELECT pg_catalog.getdatabaseencoding()::pg_catalog.text", &[])?;
        let bytes = |sql: &str| -> Result<Option<String>> {
            let text = spi::one::<Vec<u8>>(sql, &[])?.and_then(|bytes| String::from_utf8(bytes).ok());
            Ok(text.filter(|text| text.is_ascii()))
        };
        let database = bytes(
            "SELECT pg_catalog.convert_to(pg_catalog.current_database()::pg_catalog.text, pg_catalog.getdatabaseencoding())",
        )?;
        // The database's own locale as the operating system has it in UTF-8; C is everywhere, and goes with
        // every encoding.
        let locale = bytes(
            "SELECT pg_catalog.convert_to(c.collcollate::pg_catalog.text, pg_catalog.getdatabaseencoding()) \
             FROM pg_catalog.pg_database d, pg_catalog.pg_collation c \
             WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() \
               AND c.collprovider OPERATOR(pg_catalog.=) 'c' \
               AND c.collencoding OPERATOR(pg_catalog.=) pg_catalog.pg_char_to_encoding('UTF8') \
               AND pg_catalog.split_part(c.collcollate::pg_catalog.text, '.', 1) \
                 OPERATOR(pg_catalog.=) pg_catalog.split_part(d.datcollate::pg_catalog.text, '.', 1) \
             ORDER BY c.collname LIMIT 1",
        )?;
        let remedy = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE {locale} LC_CTYPE {locale}",
            quote(&free_name(database.as_deref().unwrap_or("aliaport"))?),
            locale = quote_literal(locale.as_deref().unwrap_or("C")),
        );
        Ok(Unfit { encoding: encoding.unwrap_or_default(), database, remedy })
    }
}

/// A name like `base` that no database has.
fn free_name(base: &str) -> Result<String> {
    for number in 1.. {
        let suffix = if number == 1 { "_utf8".to_owned() } else { format!("_utf8_{number}") };
        let name = format!("{}{suffix}", clip(base, 63 - suffix.len()));
        let is_taken = spi::one::<bool>(
            "SELECT true FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
            &[name.clone().into()],
        )?;
        if is_taken.is_none() {
            return Ok(name);
        }
    }
    Ok(base.to_owned())
}

/// An argument of a function that SQL calls, read only where the database is in UTF-8: in another one its
/// text may be no text here, and reading it would fail before the function could say why.
pub struct Argument<T>(Option<T>);

impl<T> Argument<T> {
    /// The argument.
    ///
    /// # Errors
    /// 0A000, as [`require_utf8`].
    pub fn read(self) -> Result<T> {
        match self.0 {
            Some(value) => Ok(value),
            None => {
                Err(require_utf8().err().unwrap_or_else(|| super::error::unexpected("change of encoding")))
            }
        }
    }
}

// SAFETY: reads the argument exactly as T does, or not at all, which is always allowed.
unsafe impl<'fcx, T: ArgAbi<'fcx>> ArgAbi<'fcx> for Argument<T> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises that the argument is of T's SQL type.
        Argument(is_utf8().then(|| unsafe { T::unbox_arg_unchecked(arg) }))
    }
}

// SAFETY: the SQL type is that of T.
unsafe impl<T: SqlTranslatable> SqlTranslatable for Argument<T> {
    const TYPE_IDENT: &'static str = T::TYPE_IDENT;
    const TYPE_ORIGIN: TypeOrigin = T::TYPE_ORIGIN;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = T::ARGUMENT_SQL;
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> = T::RETURN_SQL;
}
