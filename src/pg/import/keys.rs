//! Keys and sequences, added after the rows are there.

use aliaport_plan::finding::{Finding, Load, NextKey};
use aliaport_plan::plan::{SequencePlan, Step, TablePlan};
use aliaport_plan::policy::Orphans;
use aliaport_plan::sequence::Used;
use aliaport_rows::identifier::{quote, quote_literal};
use aliaport_rows::row::OnError;
use pgrx::prelude::*;

use super::Import;
use crate::pg::server::error::{self, Error, Result, unexpected};
use crate::pg::server::{spi, subxact};
use crate::pg::table::orphan;
use crate::pg::table::sequence::{self, Behind, Sequence};
use crate::pg::table::unique::UniqueIndex;

/// Rows of a table that are looked through in about the time that a subtransaction takes.
const FEW_ROWS: i64 = 10_000;

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
            row.warn(Load::Duplicates, rejected);
        }
        self.build_index(index, step)
    }

    /// Builds the index of a key, or an ordinary one. A row's key may be too long for an index: of a unique
    /// one that is an error which names the row, any other index is left out with a warning.
    pub(super) fn build_index(&mut self, index: usize, step: &Step) -> Result<()> {
        // The end of a subtransaction takes longer the more tables the run has made, so there is one only
        // where an error has an answer.
        let sets_aside = step.unique.is_some() && self.request.on_error != OnError::Abort;
        let table = self.plan.tables.get(index);
        if !sets_aside && table.is_some_and(|table| fits_an_index(table, &step.terms)) {
            return self.statement(step);
        }
        let Err(error) = subxact::within(subxact::AtEnd::Keep, || self.statement(step)) else {
            return Ok(());
        };
        let Some(table) = self.plan.tables.get(index) else { return Err(error) };
        if error.code() != PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED {
            return Err(error);
        }
        let key = row_of_longest(table, &step.terms)?;
        if step.unique.is_some() {
            let row = key.map_or_else(|| "a row".to_owned(), |key| format!("the row with {key}"));
            return Err(Error::new(error.code(), error.message())
                .detail(format!("In SQLite table \"{}\" {row} has too long a key for {}.", table.source, step.object))
                .hint("Shorten the value in SQLite, leave the row out with the option where of its table, or leave indexes out with options.indexes = false."));
        }
        if let Some(row) = self.rows.get_mut(index) {
            let why = Load::IndexLeftOut(step.object.clone(), error.message().to_owned(), key);
            row.warnings.push(Finding::of(&table.source, why));
        }
        Ok(())
    }

    /// Refuses a caller who may not move the sequences of the tables that are there.
    pub(super) fn require_sequences(&self) -> Result<()> {
        for plan in self.plan.tables.iter().filter(|t| !t.is_created) {
            for SequencePlan { column, .. } in &plan.sequences {
                if let Behind::Sequence(oid) = sequence::behind(&plan.target.to_string(), column)?
                    && let Some(sequence) = Sequence::read(oid, plan, column)?
                {
                    sequence.require_update(plan, column)?;
                }
            }
        }
        Ok(())
    }

    /// What feeds the columns of all tables: looked at once, when every table is there.
    fn look_at_sequences(&mut self) -> Result<()> {
        if self.fed.is_empty() {
            for (index, plan) in self.plan.tables.iter().enumerate() {
                for sequence in &plan.sequences {
                    let behind = sequence::behind(&plan.target.to_string(), &sequence.column)?;
                    self.fed.push((index, sequence, behind));
                }
            }
        }
        Ok(())
    }

    /// Moves the sequences of a table past every key that the source or the target has in the columns that
    /// they feed, in this table and in every other one.
    pub(super) fn set_sequences(&mut self, index: usize) -> Result<()> {
        self.look_at_sequences()?;
        let plan = self.plan.tables.get(index).ok_or_else(|| unexpected("table number in a step"))?;
        let mut next = None;
        let mut warnings = Vec::new();
        for (_, of, behind) in self.fed.iter().filter(|(table, _, _)| *table == index) {
            let source = plan.columns.iter().find(|c| c.target == of.column).map(|c| c.source.clone());
            let warn = |why| {
                let mut finding = Finding::of(&plan.source, why);
                finding.column.clone_from(&source);
                finding
            };
            let (column, target) = (of.column.clone(), plan.target.clone());
            let oid = match behind {
                Behind::Sequence(oid) => *oid,
                Behind::Nothing => continue,
                Behind::Default(default) => {
                    let default = default.clone();
                    warnings.push(warn(NextKey::NotMoved { column, target, default, is_foretold: false }));
                    continue;
                }
                Behind::Function(default) => {
                    warnings.push(warn(NextKey::Unknown(column, target, default.clone())));
                    continue;
                }
            };
            let Some(sequence) = Sequence::read(oid, plan, &of.column)? else { continue };
            let mut used = Used::default();
            let mut users = 0;
            for (user, of, behind) in &self.fed {
                if matches!(behind, Behind::Sequence(other) if *other == oid) {
                    users += 1;
                    used.extend(self.used_by(*user, of)?);
                }
            }
            let position = sequence.place(used, sequence.columns <= users, plan.is_created);
            // A sequence that was there is not given back by the undoing of a dry run where the caller does
            // not own it.
            if !self.request.dry_run || plan.is_created {
                sequence.put(position, plan.is_created)?;
            }
            next = next.or(position.next);
            if let Some(end) = position.end {
                warnings.push(warn(NextKey::Ends(column, sequence.name, position.next, end)));
            }
        }
        if let Some(row) = self.rows.get_mut(index) {
            row.sequence_next = next;
            // One step a sequence comes here, and each does all of them.
            row.warnings.retain(|w| !warnings.contains(w));
            row.warnings.append(&mut warnings);
        }
        Ok(())
    }

    /// Keeps in mind which keys the source has, for when it cannot be asked any more.
    pub(super) fn remember_keys(&mut self) -> Result<()> {
        // A table that has failed in a dry run may not be there, and its sequences are not set.
        for (index, plan) in self.plan.tables.iter().enumerate().filter(|(i, _)| !self.failed.contains(i)) {
            for sequence in &plan.sequences {
                let subject = self.subject(index)?;
                let used = sequence::used_in_source(self.source, subject.table, subject.plan, sequence)?;
                self.keys_in_source.insert((index, sequence.column.clone()), used);
            }
        }
        Ok(())
    }

    /// The keys in use in one column.
    fn used_by(&self, index: usize, sequence: &SequencePlan) -> Result<Used> {
        let subject = self.subject(index)?;
        let mut used = match self.keys_in_source.get(&(index, sequence.column.clone())) {
            Some(used) => *used,
            None => sequence::used_in_source(self.source, subject.table, subject.plan, sequence)?,
        };
        // What a table that the run made holds, came from the source.
        if !subject.plan.is_created {
            used.extend(sequence::used_in_target(subject.plan, sequence)?);
        }
        Ok(used)
    }

    /// Adds a foreign key and lets PostgreSQL validate it set-wise.
    pub(super) fn add_foreign_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Some(table) = self.plan.tables.get(index) else {
            return Err(unexpected("table number in a step"));
        };
        // Without a parent that could be pointed at, a dry run knows nothing of the key.
        if table.foreign_keys.iter().any(|k| quote(&k.name) == step.object && self.is_lost(k)) {
            return Ok(());
        }
        let key = table
            .foreign_keys
            .iter()
            .find(|k| quote(&k.name) == step.object)
            .ok_or_else(|| unexpected(format!("absence of foreign key {}", step.object)))?;
        let count = || orphan::count(&self.view(index)?, key, &self.parent_of(key)?);
        // Few rows are counted before: the end of a subtransaction takes longer the more tables the run has
        // made.
        let count = if self.rows.get(index).is_some_and(|row| row.target_rows <= FEW_ROWS) {
            let place = || format!("SQLite table \"{}\", statement: {}.", table.source, step.sql);
            let count = error::located(self.request.on_error, place, count)?;
            if count == 0 {
                return self.statement(step);
            }
            count
        } else {
            let Err(error) = subxact::within(subxact::AtEnd::Keep, || spi::run(&step.sql)) else {
                return Ok(());
            };
            if error.code() != PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION {
                return Err(
                    error.detail(format!("SQLite table \"{}\", statement: {}.", table.source, step.sql))
                );
            }
            count()?
        };
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
            row.warn(Load::OrphansNotValid, count);
        }
        Ok(())
    }
}

/// Whether no row of the table can have too long a key for a B-tree over these terms.
fn fits_an_index(table: &TablePlan, terms: &[String]) -> bool {
    // A third of a page without its header, and what stands before a key's values.
    const LONGEST: usize = pg_sys::BLCKSZ as usize / 3 - 100;
    let width = |term: &String| {
        table.columns.iter().find(|c| quote(&c.target) == *term).and_then(|c| c.pg_type.longest())
    };
    !terms.is_empty()
        && terms.iter().try_fold(0, |sum, term| Some(sum + width(term)?)).is_some_and(|sum| sum <= LONGEST)
}

/// The key of the row whose terms in an index are the longest, as `id = 7`; of a table without a key what its
/// columns begin with. PostgreSQL names the row by its place only, in a message for people.
fn row_of_longest(plan: &TablePlan, terms: &[String]) -> Result<Option<String>> {
    let key: Vec<_> = plan.columns.iter().filter(|c| plan.source_key.contains(&c.source)).collect();
    let shown = if key.is_empty() { plan.columns.iter().take(4).collect() } else { key };
    let parts: Vec<String> = shown
        .iter()
        .map(|c| {
            let name = quote_literal(&c.target);
            format!(
                "pg_catalog.format('%s = %s', {name}, pg_catalog.left(pg_catalog.concat({}), 60))",
                quote(&c.target)
            )
        })
        .collect();
    let sql = format!(
        "SELECT pg_catalog.concat_ws(', ', {}) FROM ONLY {} ORDER BY pg_catalog.pg_column_size(ROW({})) DESC LIMIT 1",
        parts.join(", "),
        plan.target,
        terms.join(", ")
    );
    spi::one::<String>(&sql, &[])
}
