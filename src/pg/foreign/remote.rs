//! A foreign table beside what the file has: where each column is read from, and what is known of its
//! values.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use aliaport_plan::catalogue::{Generated, Table};
use aliaport_plan::decl::affinity;
use aliaport_rows::census::Proof;
use aliaport_rows::column::ColumnPlan;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::row::OnError;
use aliaport_sqlite::{RelationKind, Source};

use super::census;
use super::column::{Remote, RemoteColumn};
use super::connection::{Connection, FileTable, connect};
use super::definition::{self, DefinedColumn, Definition};
use super::error::missing_column;
use crate::pg::server::error::Result;
use pgrx::pg_sys;

/// A foreign table with its file open.
pub struct Opened {
    /// What PostgreSQL says of it.
    pub definition: Rc<Definition>,
    /// The file, in the transaction's snapshot.
    pub connection: Rc<Connection>,
    /// What the file says of it.
    pub file_table: Rc<FileTable>,
}

/// Opens what a foreign table stands for. The caller's right is asked for.
pub fn open(relation: pg_sys::Oid) -> Result<Opened> {
    let definition = definition::of(relation)?;
    let connection = connect(&definition.server)?;
    let file_table = connection.table(&definition.table)?;
    Ok(Opened { definition, connection, file_table })
}

impl Opened {
    /// Where a column is among the file's table's; `None` where the file does not have it.
    pub fn place(&self, column: &DefinedColumn) -> Option<usize> {
        let columns = &self.file_table.table.columns;
        let name = &column.plan.source;
        columns
            .iter()
            .position(|c| c.name == *name)
            .or_else(|| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// The same; an error where the file does not have it.
    pub fn required_place(&self, column: &DefinedColumn) -> Result<usize> {
        match self.place(column) {
            Some(place) => Ok(place),
            None => missing_column(&self.definition, &column.plan.source, &column.plan.target),
        }
    }

    /// What conclusions from a census hold for: one state of the file, read by one definition of the table.
    pub fn stamp(&self) -> String {
        let Definition { server, table, columns, .. } = &*self.definition;
        let mut hasher = DefaultHasher::new();
        (&server.options.path, server.options.zone.name(), table).hash(&mut hasher);
        for column in columns {
            let types = (column.type_oid.to_u32(), column.typmod, column.plan.pg_type.to_string());
            (column.attnum, &column.plan.source, types, column.plan.number.as_str()).hash(&mut hasher);
        }
        format!("{} definition={:016x}", self.source().fingerprint(), hasher.finish())
    }

    /// The file.
    pub fn source(&self) -> &Source {
        self.connection.source()
    }

    /// The columns that a scan has to read for these attributes to be right, in attribute order.
    ///
    /// A row that is left out for a bad value is left out whichever columns are asked for.
    pub fn columns_for(&self, attributes: &[i16]) -> Vec<&DefinedColumn> {
        let always = |column: &DefinedColumn| match self.definition.on_error {
            OnError::Abort => false,
            OnError::Reject => true,
            OnError::Null => column.plan.is_not_null,
        };
        self.definition.columns.iter().filter(|c| attributes.contains(&c.attnum) || always(c)).collect()
    }

    /// How a column is converted, with what the file declares of it.
    pub fn column_plan(&self, column: &DefinedColumn, place: usize) -> ColumnPlan {
        let declared = self.file_table.table.columns.get(place);
        ColumnPlan {
            declared_type: declared.map(|c| c.declared_type.clone()).unwrap_or_default(),
            ..column.plan.clone()
        }
    }

    /// What the planner has to know, with the proofs that hold in this snapshot.
    pub fn remote(&self) -> Result<Remote> {
        let table = &self.file_table.table;
        let is_table = self.file_table.kind == RelationKind::Table;
        let counted = census::of_snapshot(self)?;
        let mut columns = Vec::with_capacity(self.definition.columns.len());
        for column in &self.definition.columns {
            let Some(place) = self.place(column) else { continue };
            let declared = table.columns.get(place);
            let declared_type = declared.map(|c| c.declared_type.as_str()).unwrap_or_default();
            let by_schema = if is_table && !column.is_domain {
                by_schema(table, place, declared_type, &column.plan.pg_type)
            } else {
                None
            };
            let by_census = counted.as_ref().and_then(|census| census.proof(column.attnum));
            columns.push(RemoteColumn {
                name: declared.map_or_else(|| column.plan.source.clone(), |c| c.name.clone()),
                attnum: column.attnum,
                type_oid: column.type_oid,
                typmod: column.typmod,
                affinity: is_table.then(|| affinity_of(table, declared_type)),
                is_generated: declared.is_some_and(|c| c.generated == Generated::Virtual),
                proven: by_schema.or(by_census),
                is_by_census: by_schema.is_none() && by_census.is_some(),
            });
        }
        let is_utf8 = self.connection.is_utf8()?;
        Ok(Remote { columns, on_error: self.definition.on_error, is_utf8 })
    }
}

/// STRICT tables have a type ANY that converts nothing, and that the rules of affinity would call numeric.
fn affinity_of(table: &Table, declared_type: &str) -> aliaport_plan::decl::Affinity {
    if table.is_strict && declared_type.eq_ignore_ascii_case("any") {
        return aliaport_plan::decl::Affinity::Blob;
    }
    affinity(declared_type)
}

/// What the schema alone promises of every value that is not NULL.
fn by_schema(table: &Table, place: usize, declared_type: &str, pg_type: &PgType) -> Option<Proof> {
    if table.rowid_alias == Some(place) {
        return (*pg_type == PgType::BigInt).then_some(Proof::Integer);
    }
    let is = |name: &str| declared_type.eq_ignore_ascii_case(name);
    match pg_type {
        PgType::BigInt if table.is_strict && (is("int") || is("integer")) => Some(Proof::Integer),
        PgType::DoublePrecision if table.is_strict && is("real") => Some(Proof::Real),
        PgType::Bytea if table.is_strict && is("blob") => Some(Proof::Bytes),
        _ => None,
    }
}
