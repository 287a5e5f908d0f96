//! Keys and sequences, added after the rows are there.

use aliaport_plan::name::quote;
use aliaport_plan::option::Orphans;
use aliaport_plan::plan::Step;
use pgrx::prelude::*;

use super::Import;
use crate::pg::error::{Result, unexpected};
use crate::pg::unique::UniqueIndex;
use crate::pg::{finish, orphan, spi, subxact};

impl Import<'_> {
    /// Makes a unique key; rows that stand in its way are set aside.
    pub(super) fn add_unique_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Err(error) = subxact::within(subxact::Outcome::Keep, || spi::run(&step.sql)) else {
            return Ok(());
        };
        let (Some(table), Some(unique)) = (self.plan.tables.get(index), &step.unique) else {
            return Err(error);
        };
        if error.code() != PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION {
            return Err(error);
        }
        let demand = UniqueIndex {
            name: step.object.clone(),
            unique: unique.clone(),
            nulls_are_equal: false,
            columns: Vec::new(),
        };
        let unwanted = demand.unwanted(demand.repeated(&table.target.to_string())?);
        let rejected = self.set_aside(index, &unwanted)?;
        if let Some(row) = self.rows.get_mut(index) {
            row.warn("duplicate_key", "rows with a key that is there already were set aside", rejected);
        }
        self.statement(step)
    }

    pub(super) fn set_sequence(&mut self, index: usize) -> Result<()> {
        let (Some(plan), Some(row)) = (self.plan.tables.get(index), self.rows.get_mut(index)) else {
            return Err(unexpected("table number in a step"));
        };
        if let Some(sequence) = &plan.sequence {
            row.sequence_next = finish::set_sequence(plan, sequence)?;
        }
        Ok(())
    }

    /// Adds a foreign key and lets PostgreSQL validate it set-wise.
    pub(super) fn add_foreign_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Some(table) = self.plan.tables.get(index) else {
            return Err(unexpected("table number in a step"));
        };
        let Err(error) = subxact::within(subxact::Outcome::Keep, || spi::run(&step.sql)) else {
            return Ok(());
        };
        if error.code() != PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION {
            return Err(error.detail(format!("SQLite table \"{}\", statement: {}.", table.source, step.sql)));
        }
        let key = table
            .foreign_keys
            .iter()
            .find(|k| quote(&k.name) == step.object)
            .ok_or_else(|| unexpected(format!("absence of foreign key {}", step.object)))?;
        let count = orphan::count(&table.target, key, &self.parent_of(key))?;
        if key.orphans.unwrap_or(self.request.orphans) != Orphans::Keep {
            self.has_orphans = true;
            if let Some(row) = self.rows.get_mut(index) {
                row.orphan_rows += count;
            }
            return Ok(());
        }
        spi::run(&format!("{} NOT VALID", step.sql))?;
        if let Some(row) = self.rows.get_mut(index) {
            row.orphan_rows += count;
            row.warn("orphan_rows", "rows point at a missing parent; their foreign key is NOT VALID", count);
        }
        Ok(())
    }
}
