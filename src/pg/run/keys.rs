//! Keys and sequences, added after the rows are there.

use aliaport_plan::finding::Finding;
use aliaport_plan::name::quote;
use aliaport_plan::option::Orphans;
use aliaport_plan::plan::Step;
use pgrx::prelude::*;

use super::Import;
use crate::pg::error::{Error, Result, unexpected};
use crate::pg::unique::UniqueIndex;
use crate::pg::{finish, orphan, spi, subxact};

impl Import<'_> {
    /// Makes a unique key; rows that stand in its way are set aside.
    pub(super) fn add_unique_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Err(error) = self.build_index(index, step) else { return Ok(()) };
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
            operators: Vec::new(),
            columns: Vec::new(),
        };
        let Some(unwanted) = demand.repeated(index, &table.target.to_string())? else { return Err(error) };
        let rejected = self.set_aside(index, unwanted)?;
        if let Some(row) = self.rows.get_mut(index) {
            row.warn("duplicate_key", "rows with a key that is there already were set aside", rejected);
        }
        self.build_index(index, step)
    }

    /// Builds the index of a key, or an ordinary one. A row's key may be too long for an index: of a unique one that is an error
    /// which names the row, any other index is left out with a warning.
    pub(super) fn build_index(&mut self, index: usize, step: &Step) -> Result<()> {
        let Err(error) = subxact::within(subxact::Outcome::Keep, || self.statement(step)) else {
            return Ok(());
        };
        let Some(table) = self.plan.tables.get(index) else { return Err(error) };
        if error.code() != PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED {
            return Err(error);
        }
        let row = match error.detail_text().and_then(tuple_named) {
            Some(ctid) => finish::row_at(table, &ctid)?.map(|key| format!("the row with {key}")),
            None => None,
        };
        let row = row.unwrap_or_else(|| "a row".to_owned());
        if step.unique.is_some() {
            return Err(Error::new(error.code(), error.message())
                .detail(format!("In SQLite table \"{}\" {row} has too long a key for {}.", table.source, step.object))
                .hint("Shorten the value in SQLite, leave the row out with options.tables.<table>.where, or leave indexes out with options.indexes = false."));
        }
        let message = format!(
            "index {} of table \"{}\" is not carried over: {} (for {row})",
            step.object,
            table.source,
            error.message()
        );
        if let Some(row) = self.rows.get_mut(index) {
            row.warnings.push(Finding::warning("not_carried", &table.source, message));
        }
        Ok(())
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
        let count = orphan::count(&self.view(index)?, key, &self.parent_of(key)?)?;
        if key.orphans.unwrap_or(self.request.orphans) != Orphans::Keep {
            self.has_orphans = true;
            if let Some(row) = self.rows.get_mut(index) {
                row.orphan_rows += count;
                row.has_fatal_orphans = true;
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

/// The ctid in "Index row references tuple (3,2) in relation ..." (`_bt_check_third_page` of nbtutils.c).
fn tuple_named(detail: &str) -> Option<String> {
    let from = detail.get(detail.find("tuple (")? + "tuple ".len()..)?;
    Some(from.get(..=from.find(')')?)?.to_owned())
}
