//! One table on both sides: what is needed to read it and to tell its rows apart.

use aliaport_plan::catalogue::Table;
use aliaport_plan::plan::TablePlan;
use aliaport_rows::column::ColumnPlan;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::CheckResult;
use super::against::Against;
use crate::pg::heap::{relation, standing};
use crate::pg::server::error::{Error, Result, unexpected};
use crate::pg::server::spi;
use crate::pg::table::{code, target};

/// A table that is there on both sides.
pub struct ValidatedTable<'a> {
    /// Target, columns and types.
    pub plan: &'a TablePlan,
    /// What the source declares.
    pub table: &'a Table,
    /// The plan's columns as indexes into the source table's.
    pub columns: Vec<usize>,
    /// The columns by which rows are told apart, as indexes into the plan's; empty where there are none.
    pub key: Vec<usize>,
    /// The target.
    pub oid: pg_sys::Oid,
    /// The target as a FROM clause names it: without tables that inherit from it, which no import fills.
    pub from: String,
    /// By column of the plan, why its values are not compared: the code that reading them would run, which is
    /// not PostgreSQL's. That is run by who writes such a value, not by who looks at it.
    pub not_compared: Vec<Option<String>>,
    /// Columns of the source that the target lacks.
    pub missing: Vec<&'a str>,
    /// The target as regclass prints it.
    name: String,
}

impl<'a> ValidatedTable<'a> {
    /// Finds the target of `plan`; `None` where it is not there.
    ///
    /// # Errors
    /// 42501 where the caller may not read all of it.
    pub fn in_target(against: &'a Against, plan: &'a TablePlan, table: &'a Table) -> Result<Option<Self>> {
        if plan.is_created {
            return Ok(None);
        }
        let found = spi::rows(
            "SELECT c.oid, \
                    pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.row_security_active(c.oid) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[plan.target.schema.clone().into(), plan.target.name.clone().into()],
            |row| {
                Ok((
                    row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                    row.get::<bool>(2)?.unwrap_or(false),
                    row.get::<bool>(3)?.unwrap_or(true),
                ))
            },
        )?;
        let Some((oid, may_read, is_restricted)) = found.into_iter().next() else {
            return Ok(None);
        };
        let name = target::regclass(oid)?;
        may_read_all(&name, may_read, is_restricted)?;
        let columns =
            plan.source_columns(table).ok_or_else(|| unexpected("column that the source does not have"))?;
        let missing =
            against.missing.iter().filter(|(t, _)| *t == plan.source).map(|(_, c)| c.as_str()).collect();
        let not_compared = not_compared(oid, plan)?;
        Ok(Some(ValidatedTable {
            key: key(table, &columns, &not_compared),
            from: standing::from(oid, &plan.target)?,
            plan,
            table,
            columns,
            oid,
            not_compared,
            missing,
            name,
        }))
    }

    /// A check of this table that has found nothing yet.
    pub fn check(&self, check: &'static str) -> CheckResult {
        CheckResult { table: self.name.clone(), check, source: None, target: None, ok: false, detail: None }
    }

    /// The rows of the target.
    pub fn count(&self) -> Result<u64> {
        let rows =
            spi::one_for_caller::<i64>(&format!("SELECT pg_catalog.count(*) FROM {}", self.from), &[])?;
        Ok(rows.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    /// The name of a column of the source that the target does not have any more.
    pub fn lost(&self, source: usize) -> Option<&str> {
        let name = self.table.columns.get(source)?.name.as_str();
        self.missing.contains(&name).then_some(name)
    }

    /// The plan's column that the source table's column goes to.
    pub fn column(&self, source: usize) -> Option<usize> {
        self.columns.iter().position(|c| *c == source)
    }
}

/// A heap is read without the executor, which would check these.
fn may_read_all(name: &str, may_read: bool, is_restricted: bool) -> Result<()> {
    if !may_read {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {name}"),
        )
        .detail("A comparison reads every column of every table that the source has, too.")
        .hint(format!("Ask its owner to run GRANT SELECT ON {name} TO the role that compares.")));
    }
    if is_restricted {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("row-level security hides rows of table {name}"),
        )
        .detail("A comparison of the rows that the policies let through would call the others missing.")
        .hint("Compare as the table's owner, or as a role with BYPASSRLS."));
    }
    Ok(())
}

/// The code of others that a value of each column of the plan would run that is read by the input function of
/// its type.
fn not_compared(oid: pg_sys::Oid, plan: &TablePlan) -> Result<Vec<Option<String>>> {
    let has_converter = |column: &ColumnPlan| !column.pg_type.needs_input();
    if plan.columns.iter().all(has_converter) {
        return Ok(vec![None; plan.columns.len()]);
    }
    let types = relation::base_types(oid, plan)?;
    let code = |(column, (pg_type, _)): (&ColumnPlan, &(pg_sys::Oid, i32))| {
        if has_converter(column) { Ok(None) } else { code::of_type(*pg_type) }
    };
    plan.columns.iter().zip(&types).map(code).collect()
}

/// The declared primary key, else the first unique key: what a person would look a row up by. Only columns
/// that are compared can be part of it.
fn key(table: &Table, columns: &[usize], not_compared: &[Option<String>]) -> Vec<usize> {
    let place = |source: usize| {
        let place = columns.iter().position(|c| *c == source)?;
        not_compared.get(place)?.is_none().then_some(place)
    };
    let places = |key: &[usize]| {
        key.iter().map(|c| place(*c)).collect::<Option<Vec<usize>>>().filter(|k| !k.is_empty())
    };
    places(&table.primary_key)
        .or_else(|| {
            table.indexes.iter().filter(|i| i.is_unique && !i.is_partial).find_map(|index| {
                places(&index.terms.iter().map(|t| t.column).collect::<Option<Vec<usize>>>()?)
            })
        })
        .unwrap_or_default()
}
