//! SQLite tables as foreign tables: the foreign data wrapper `aliaport_fdw`.
//!
//! [`option`] checks what CREATE and ALTER are given, [`definition`] reads what the catalogues say of a
//! table, [`connection`] has the file in the transaction's one snapshot, and [`remote`] brings the two
//! together. [`plan`] and [`cost`] work for the planner, which asks [`push`] what SQLite may decide;
//! [`scan_plan`] is what they hand to [`scan`], whose rows [`slot`] takes. [`analyze`] samples a table and
//! takes the [`census`] of its columns; [`schema`] writes the statements of IMPORT FOREIGN SCHEMA.

mod analyze;
mod census;
pub mod column;
mod connection;
mod cost;
mod definition;
mod error;
mod explain;
mod grouped;
mod handler;
mod modify;
mod option;
mod plan;
pub mod push;
mod remote;
mod scan;
mod scan_plan;
mod schema;
mod slot;
mod utility;

use pgrx::pg_sys;

use crate::pg::server::error::Result;
use option::Object;

/// `aliaport_fdw_handler()`
pub fn handler() -> pg_sys::Datum {
    handler::routine()
}

/// `aliaport_fdw_validator()`: the options are written `name=value`.
pub fn validate(options: &[String], catalogue: pg_sys::Oid) -> Result<()> {
    let object = match catalogue {
        pg_sys::ForeignServerRelationId => Object::Server,
        pg_sys::ForeignTableRelationId => Object::Table,
        pg_sys::AttributeRelationId => Object::Column,
        _ => Object::Other,
    };
    let split = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        (name.to_owned(), value.to_owned())
    };
    option::validate(&options.iter().map(split).collect::<Vec<_>>(), object)
}
