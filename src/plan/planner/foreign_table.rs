//! What foreign tables over a file look like: an import's names and types, nothing made, nothing moved.

use std::collections::HashMap;

use crate::catalogue::Catalogue;
use crate::expr;
use crate::option::Options;
use crate::profile::Profiles;
use crate::target::Target;
use aliaport_rows::pg_type::PgType;

use super::draft::{Drafting, Role};
use super::error::PlanError;
use super::relations::Relations;
use super::table;

/// A foreign table that stands for a SQLite table.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignTable {
    /// The SQLite table's name.
    pub source: String,
    /// Its own name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<ForeignColumn>,
}

/// One of its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignColumn {
    /// The SQLite column's name.
    pub source: String,
    /// Its own name.
    pub name: String,
    /// Its type.
    pub pg_type: PgType,
    /// No value may be NULL.
    pub is_not_null: bool,
    /// The default's expression, where PostgreSQL has one that means the same.
    pub default: Option<String>,
    /// The expression of a generated column, where PostgreSQL has it.
    pub generated: Option<String>,
}

/// Makes the foreign tables for every table of the catalogue that the options include.
///
/// # Errors
/// Names that cannot be told apart, tables with too many columns.
pub fn foreign_tables(
    catalogue: &Catalogue,
    profiles: &Profiles,
    options: &Options,
    server_version: u32,
) -> Result<Vec<ForeignTable>, PlanError> {
    let target = Target { server_version, ..Target::default() };
    let relations = Relations::in_target(catalogue, &target, options);
    let drafting = Drafting { target: &target, options, profiles, relations };
    let included: Vec<_> = catalogue.tables.iter().filter(|t| options.includes(&t.name)).collect();
    let mut drafts = drafting.tables(&included, &mut HashMap::new())?;
    let mut tables = Vec::with_capacity(drafts.len());
    for draft in &mut drafts {
        table::settle(draft, options)?;
        let columns = draft.columns.iter().filter(|column| column.role != Role::Skipped);
        let columns = columns.map(|column| ForeignColumn {
            source: column.column.name.clone(),
            name: column.target.clone(),
            pg_type: column.pg_type.clone(),
            is_not_null: column.is_not_null,
            default: match (&column.column.default, &column.role) {
                (Some(text), Role::Written) => expr::default(text, &column.pg_type).unwrap_or_default(),
                _ => None,
            },
            generated: match &column.role {
                Role::Generated(expression) => expression.clone(),
                Role::Written | Role::Skipped => None,
            },
        });
        tables.push(ForeignTable {
            source: draft.table.name.clone(),
            name: draft.target.name.clone(),
            columns: columns.collect(),
        });
    }
    Ok(tables)
}
