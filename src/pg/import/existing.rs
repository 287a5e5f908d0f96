//! Tables that had something before the run, or that need what only an INSERT does: how they are emptied, and
//! given the rows that wait in their stages.
//!
//! Within one run: they are taken hold of ([`super::hold`]); keys that are there twice are found
//! ([`super::duplicates`]), then missing parents ([`super::orphans`]), both in the stages; then vanished rows
//! go, children first; then rows are updated and inserted, parents first; then every foreign key that the
//! target has is checked, and every table is read back.

use std::collections::BTreeMap;
use std::time::Instant;

use aliaport_plan::plan::{Action, Step, TablePlan};
use aliaport_plan::policy::{Mode, Verify};
use aliaport_rows::digest::TableDigest;
use aliaport_rows::identifier::quote;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::table::rows_seen;
use super::{Import, ImportedTable};
use crate::pg::heap::{readback, standing};
use crate::pg::server::count::signed;
use crate::pg::server::error::{self, Error, Result, unexpected};
use crate::pg::server::{compat, spi, subxact};
use crate::pg::table::as_replica::{self, Touch};
use crate::pg::table::matched::Matched;
use crate::pg::table::stage::Stage;
use crate::pg::table::sync::{self, Difference};
use crate::pg::table::trigger;
use crate::pg::table::{code, target};

/// A table whose rows wait.
pub(super) struct Staged {
    pub stage: Stage,
    /// A policy deleted or changed rows in the stage, so that they are not what was sent any more.
    pub is_changed: bool,
    /// Set where rows that the table has already are not in the stage.
    pub matched: Option<Matched>,
    /// The digest of a stage that has rows of its table only, before it was changed.
    pub before: Option<TableDigest>,
}

impl Staged {
    pub fn new(stage: Stage, matched: Option<Matched>) -> Self {
        Staged { stage, is_changed: false, matched, before: None }
    }

    /// What is to be in the table in the end: `sent`, as far as nothing was changed since.
    fn expected(&self, plan: &TablePlan, sent: Option<TableDigest>) -> Result<Option<TableDigest>> {
        if !self.is_changed {
            return Ok(sent);
        }
        let now = readback::digest(self.stage.relation, plan)?;
        Ok(match (&self.matched, sent, self.before) {
            (Some(_), Some(sent), Some(before)) => Some(TableDigest {
                rows: sent.rows.wrapping_sub(before.rows).wrapping_add(now.rows),
                sum: sent.sum.wrapping_sub(before.sum).wrapping_add(now.sum),
            }),
            _ => Some(now),
        })
    }
}

impl Import<'_> {
    pub(super) fn truncates(&self) -> bool {
        self.plan.steps.iter().any(|s| s.action == Action::Truncate && s.table.is_none())
    }

    /// Runs statements on an existing table: without its triggers where the import stands in for them, else
    /// as anybody's, but without user triggers unless options ask for them.
    pub(super) fn on_table<R>(
        &self,
        plan: &TablePlan,
        relation: pg_sys::Oid,
        touch: Touch,
        f: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let triggers = self.options.triggers;
        let is_quiet = as_replica::is_possible(relation, triggers, touch)?;
        if !is_quiet && touch == Touch::Write {
            // PostgreSQL checks the keys row by row then; those that can wait for the rows of a cycle wait.
            self.let_wait(relation)?;
        }
        if is_quiet && !plan.is_created {
            // Nobody enables another trigger for replicas meanwhile. The table itself has been locked from
            // the beginning.
            target::partitions(relation)?.into_iter().for_each(compat::lock_against_writers);
        }
        // They are enabled again as they were; an error undoes the disabling with everything else. A table
        // that the import makes has none.
        let has_none = triggers || plan.is_created;
        let silenced = if has_none {
            Vec::new()
        } else {
            trigger::enabled_triggers(relation, trigger::OF_ROWS, is_quiet)?
        };
        silenced.iter().try_for_each(|trigger| spi::run(&trigger.disable()))?;
        let result = if is_quiet { as_replica::quietly(f)? } else { f()? };
        silenced.iter().try_for_each(|trigger| spi::run(&trigger.enable()))?;
        Ok(result)
    }

    /// Puts off the foreign keys of a table that can be put off, until [`Import::apply`] ends.
    fn let_wait(&self, relation: pg_sys::Oid) -> Result<()> {
        let keys: Vec<&str> = self.references.iter().filter_map(|r| r.waiting_of(relation)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        self.put_off.borrow_mut().extend(keys.iter().map(|key| (*key).to_owned()));
        spi::run(&format!("SET CONSTRAINTS {} DEFERRED", keys.join(", ")))
    }

    /// Has the foreign keys checked that were put off.
    fn wait_no_longer(&self) -> Result<()> {
        let keys: Vec<String> = std::mem::take(&mut *self.put_off.borrow_mut()).into_iter().collect();
        if keys.is_empty() {
            return Ok(());
        }
        spi::run(&format!("SET CONSTRAINTS {} IMMEDIATE", keys.join(", ")))
    }

    /// The error of a foreign key that was checked before the rows were there that it needs, because code of
    /// the table `relation` keeps the import from checking it in the end; any other error as it is.
    fn order_error(&self, plan: &TablePlan, relation: pg_sys::Oid, error: Error) -> Result<Error> {
        if error.code() != PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION {
            return Ok(error);
        }
        let Some(code) = code::of_relation(relation)? else { return Ok(error) };
        let waiting: Vec<pg_sys::Oid> = self.staged.values().map(|s| s.stage.target).collect();
        let Some(key) = self.references.iter().find(|r| r.is_of(&[relation]) && r.is_to(&waiting)) else {
            return Ok(error);
        };
        Ok(Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("table {} cannot be filled before the rows that its foreign keys point at", plan.target),
        )
        .detail(format!(
            "PostgreSQL says: {}. Foreign keys are checked row by row here, because writing a row runs {code}, which is not PostgreSQL's own.",
            error.message()
        ))
        .hint(format!(
            "As the table's owner, run ALTER TABLE {} ALTER CONSTRAINT {} DEFERRABLE; and import again: the key is then checked at the end.",
            plan.target,
            quote(key.name())
        )))
    }

    /// Mode replace where TRUNCATE empties the tables, all at once. No key is checked by triggers then, and
    /// no code runs but theirs.
    pub(super) fn truncate_all(&self, step: &Step) -> Result<()> {
        let mut relations = Vec::new();
        for index in (0..self.plan.tables.len()).filter(|_| !self.options.triggers) {
            if self.plan.tables.get(index).is_some_and(|t| !t.is_created) {
                relations.push(self.subject(index)?.relation);
            }
        }
        if relations.is_empty() {
            return self.statement(step);
        }
        // Where others keep the rows, triggers of theirs empty what stands behind the table.
        let mut is_quiet = true;
        for relation in &relations {
            target::partitions(*relation)?.into_iter().for_each(compat::lock_against_writers);
            is_quiet = is_quiet && !standing::standing_of(*relation)?.is_elsewhere();
        }
        let mut silenced = Vec::new();
        for relation in relations {
            silenced.extend(trigger::enabled_triggers(relation, trigger::OF_TRUNCATE, is_quiet)?);
        }
        silenced.iter().try_for_each(|trigger| spi::run(&trigger.disable()))?;
        if is_quiet {
            as_replica::quietly(|| self.statement(step))?
        } else {
            self.statement(step)?
        }
        silenced.iter().try_for_each(|trigger| spi::run(&trigger.enable()))
    }

    /// Mode replace: the old rows go.
    pub(super) fn delete_all(&mut self, index: usize, step: &Step) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let place = || format!("SQLite table \"{}\", statement: {}.", plan.source, step.sql);
        let deleted = error::located(self.request.on_error, place, || {
            self.on_table(plan, relation, Touch::Delete, || spi::count_for_caller(&step.sql))
        })?;
        compat::command_counter_increment();
        if let Some(row) = self.rows.get_mut(index) {
            row.deleted = Some(deleted);
        }
        if deleted > 0 {
            self.shrunk.push(relation);
        }
        Ok(())
    }

    /// Moves the rows that wait in stages into their tables, and checks what came of it.
    pub(super) fn apply(&mut self) -> Result<()> {
        let staged = self.staged.keys().copied().collect::<Vec<_>>();
        let mut differences: BTreeMap<usize, Difference> = BTreeMap::new();
        if self.request.mode == Mode::Sync {
            for &index in &staged {
                if self.is_equal(index) {
                    continue;
                }
                self.timed(index, |import| {
                    let plan = import.subject(index)?.plan;
                    let Some(staged) = import.staged.get(&index) else { return Ok(()) };
                    let (stage, matched) = (&staged.stage, staged.matched.as_ref());
                    let difference = sync::compare(stage, matched, plan, index, import.options.sync_delete)?;
                    differences.insert(index, difference);
                    Ok(())
                })?;
            }
            for &index in staged.iter().rev() {
                let Some(difference) = differences.get(&index) else { continue };
                self.timed(index, |import| import.delete(index, difference))?;
            }
        }
        let is_untouched = self.written.is_empty() && staged.iter().all(|&index| self.is_equal(index));
        for &index in &staged {
            self.timed(index, |import| import.write(index, differences.get(&index), is_untouched))?;
        }
        self.wait_no_longer()?;
        self.check_references()?;
        self.current = None;
        for (_, difference) in differences {
            difference.drop()?;
        }
        for (_, staged) in std::mem::take(&mut self.staged) {
            staged.stage.drop()?;
            staged.matched.map_or(Ok(()), Matched::drop)?;
        }
        Ok(())
    }

    fn timed(&mut self, index: usize, f: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        self.current = Some(index);
        self.tried(Some(index), f)?;
        compat::command_counter_increment();
        if let Some(row) = self.rows.get_mut(index) {
            row.took(Action::Load, begun.elapsed());
        }
        Ok(())
    }

    fn delete(&mut self, index: usize, difference: &Difference) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        if difference.only_target + difference.moved == 0 {
            return Ok(());
        }
        let place = || {
            format!("SQLite table \"{}\", while vanished rows of {} were deleted.", plan.source, plan.target)
        };
        let deleted = error::located(self.request.on_error, place, || {
            self.on_table(plan, relation, Touch::Delete, || difference.delete())
        })?;
        self.shrunk.push(relation);
        if let Some(row) = self.rows.get_mut(index) {
            row.deleted = Some(deleted);
        }
        Ok(())
    }

    /// Whether the load has found every row of the source in the table, and nothing else.
    fn is_equal(&self, index: usize) -> bool {
        let imported = self.rows.get(index).map(|r| r.imported_rows);
        let matched = self.staged.get(&index).and_then(|s| s.matched.as_ref());
        matched.is_some_and(|matched| matched.is_all() && imported == Some(signed(matched.same)))
    }

    fn write(&mut self, index: usize, difference: Option<&Difference>, is_untouched: bool) -> Result<()> {
        if self.is_equal(index) {
            return self.leave(index, is_untouched);
        }
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let verify = self.options.verify;
        let Some(staged) = self.staged.get(&index) else { return Err(unexpected("absence of a stage")) };
        // Only mode append finds rows that stay beside the run's.
        let before = match (self.request.mode, verify) {
            (Mode::Append, Verify::Content) => readback::digest(relation, plan)?,
            _ => TableDigest::default(),
        };
        let others = if verify == Verify::Content { 0 } else { rows_seen(plan)? };
        let sent = self.rows.get(index).and_then(|r| r.digest);
        let sent = if verify == Verify::Content { staged.expected(plan, sent)? } else { sent };
        let wait = self.rows.get(index).map_or(0, |r| r.imported_rows);
        let place = || {
            format!(
                "SQLite table \"{}\", while its {wait} rows were written to {}.",
                plan.source, plan.target
            )
        };
        // What the catalogue says of the table is asked outside of the subtransaction, which does not see yet
        // what the run has made.
        let written = self.on_table(plan, relation, Touch::Write, || {
            subxact::within(subxact::AtEnd::Keep, || {
                error::located(self.request.on_error, place, || match difference {
                    Some(difference) if difference.is_none() => Ok((0, 0)),
                    Some(difference) => difference.write(&staged.stage, &plan.target),
                    None => Ok((staged.stage.insert_all(&plan.target)?, 0)),
                })
            })
        });
        let (inserted, updated) = match written {
            Ok(counts) => counts,
            Err(error) if error.code() == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
                // The other row may be one that has not changed.
                self.complete_stage(index)?;
                return Err(self.duplicate_error(index, Some(error))?);
            }
            Err(error) => return Err(self.order_error(plan, relation, error)?),
        };
        compat::command_counter_increment();
        if inserted + updated > 0 {
            self.written.push(relation);
        }
        if updated > 0 {
            self.shrunk.push(relation);
        }
        if let (Some(row), Some(difference)) = (self.rows.get_mut(index), difference) {
            row.unchanged =
                Some(row.imported_rows - difference.only_source - difference.changed - difference.moved);
            row.imported_rows = inserted + updated;
            row.inserted = Some(inserted);
            row.updated = Some(updated);
            row.deleted = row.deleted.or(Some(0));
        }
        match (verify, sent) {
            (Verify::Content, Some(sent)) if self.request.mode != Mode::Sync || self.options.sync_delete => {
                let mut expected = before;
                expected.merge(&sent);
                let after = readback::digest(relation, plan)?;
                self.verify(index, expected, after)
            }
            (Verify::Content, _) => self.verify_kept(index),
            // Rows that were moved are written again.
            _ => self.count(index, others + difference.map_or(0, |d| d.moved)),
        }
    }

    /// Leaves a table as it is, which the source equals. Where the run writes nothing (`is_untouched`), its
    /// rows were read and compared a moment ago.
    fn leave(&mut self, index: usize, is_untouched: bool) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let Some(row) = self.rows.get_mut(index) else { return Err(unexpected("table number in a step")) };
        row.unchanged = Some(std::mem::take(&mut row.imported_rows));
        (row.inserted, row.updated, row.deleted) = (Some(0), Some(0), Some(0));
        let sent = row.digest;
        match (self.options.verify, sent) {
            (Verify::Content, Some(sent)) => {
                let after = if is_untouched { sent } else { readback::digest(relation, plan)? };
                self.verify(index, sent, after)
            }
            _ => self.count(index, rows_seen(plan)?),
        }
    }

    /// The proof of a sync that keeps vanished rows: every row of the source is in the table as it was sent.
    fn verify_kept(&mut self, index: usize) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let stored = readback::digest(relation, plan)?;
        let Some(staged) = self.staged.get(&index) else { return Ok(()) };
        // Its number must not meet the first comparison's.
        let again = sync::compare(&staged.stage, None, plan, index + self.plan.tables.len(), false)?;
        let is_equal = again.is_none();
        let missing = again.only_source + again.changed + again.moved;
        again.drop()?;
        if let Some(row) = self.rows.get_mut(index) {
            row.target_rows = signed(stored.rows);
            row.stored = Some(stored);
            row.content_match = Some(is_equal);
        }
        if is_equal {
            return Ok(());
        }
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
            format!("table {} differs from SQLite table \"{}\" after the load", plan.target, plan.source),
        )
        .detail(format!("{missing} rows of the source are not in it as they were sent."))
        .hint("A trigger or rule of the target changes values: import with options.triggers = \"off\", or look at its triggers."))
    }

    /// Checks the foreign keys that the target had before, where this run wrote or deleted past PostgreSQL's
    /// own triggers.
    fn check_references(&mut self) -> Result<()> {
        let references = std::mem::take(&mut self.references);
        let ends: Vec<pg_sys::Oid> = (0..self.plan.tables.len())
            .map(|i| self.subject(i).map_or(pg_sys::InvalidOid, |s| s.relation))
            .collect();
        for reference in &references {
            if !reference.is_of(&self.written) && !reference.is_to(&self.shrunk) {
                continue;
            }
            // The table to name if it fails: the one that points, else the one that is pointed at from
            // outside.
            self.current = (ends.iter().position(|&oid| reference.is_of(&[oid])))
                .or_else(|| ends.iter().position(|&oid| reference.is_to(&[oid])));
            let is_emptied = self.request.mode == Mode::Replace && reference.is_of(&self.written);
            // What a failed table would hold is not known.
            if self
                .failed
                .iter()
                .filter_map(|&i| ends.get(i))
                .any(|&end| reference.is_of(&[end]) || reference.is_to(&[end]))
            {
                continue;
            }
            let current = self.current;
            self.tried(current, |_| reference.check(is_emptied))?;
        }
        Ok(())
    }
}
