//! Rows that a policy does not want: they are recorded with their original values, then deleted or changed.
//!
//! Policies touch the rows of this run, never those that a table had before: such rows are only where this
//! run put them, in a stage or in a table that was empty.

use std::collections::BTreeMap;

use aliaport_plan::finding::Load;
use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_plan::policy::{Mode, Orphans, Verify};
use aliaport_rows::identifier::{QualifiedName, quote, quote_list};

use super::{Import, ImportedTable};
use crate::pg::heap::{readback, standing};
use crate::pg::record::progress::{self, Phase};
use crate::pg::server::error::{Result, unexpected};
use crate::pg::table::as_replica::{self, Touch};
use crate::pg::table::cascade::Cascade;
use crate::pg::table::foreign_key::{self, TargetForeignKey};
use crate::pg::table::unwanted::Unwanted;
use crate::pg::table::{orphan, source_row, sync, target};
use aliaport_rows::row::SetAside;

impl<'a> Import<'a> {
    /// Records rows that are not wanted as they are, then deletes or changes them. Gives the number of
    /// rejected rows.
    pub(super) fn set_aside(&mut self, index: usize, unwanted: Unwanted) -> Result<i64> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let (rows, from) = match self.staged.get_mut(&index) {
            Some(staged) => {
                if staged.matched.is_some()
                    && staged.before.is_none()
                    && self.options.verify == Verify::Content
                {
                    staged.before = Some(readback::digest(staged.stage.relation, plan)?);
                }
                staged.is_changed = true;
                (staged.stage.table.clone(), staged.stage.relation)
            }
            None => (plan.target.clone(), relation),
        };
        let run = self.run;
        let mut lost = BTreeMap::new();
        self.originals(index, &unwanted, None, |entry| {
            for of in &entry.lossy {
                *lost.entry(*of).or_insert(0u64) += 1;
            }
            run.set_aside(&plan.source, [entry])
        })?;
        // The foreign keys of an existing table would refuse the row, or take its children with it without a
        // record.
        let deleted = if from == relation && !plan.is_created {
            self.on_table(plan, relation, Touch::Write, || unwanted.apply(&rows))?
        } else {
            unwanted.apply(&rows)?
        };
        unwanted.drop()?;
        crate::pg::server::compat::command_counter_increment();
        if let Some(row) = self.rows.get_mut(index) {
            row.imported_rows -= deleted;
            row.rejected_rows += deleted;
            row.target_rows -= deleted;
            for ((column, lossy), count) in lost {
                if let Some(column) = plan.columns.get(column) {
                    row.forget_lossy(&column.source, lossy, count);
                }
            }
        }
        Ok(deleted)
    }

    /// Looks up the originals of rows, or of the `first` of them.
    pub(super) fn originals(
        &self,
        index: usize,
        unwanted: &Unwanted,
        first: Option<usize>,
        each: impl FnMut(SetAside) -> Result<()>,
    ) -> Result<()> {
        let ImportedTable { plan, table, columns, relation } = self.subject(index)?;
        let search = source_row::SourceRows {
            source: self.source,
            table,
            columns: &columns,
            plan,
            zone: &self.zone,
            on_error: self.request.on_error,
            relation: self.staged.get(&index).map_or(relation, |s| s.stage.relation),
        };
        search.set_aside(unwanted, first, each)
    }

    /// What the error of orphans names: like [`Import::views`], without the keys whose orphans are kept.
    pub(super) fn fatal_views(&self) -> Result<Vec<orphan::View<'a>>> {
        (0..self.plan.tables.len()).map(|index| self.fatal_view(index)).collect()
    }

    pub(super) fn fatal_view(&self, index: usize) -> Result<orphan::View<'a>> {
        let mut view = self.view(index)?;
        view.keys.retain(|(key, _)| {
            let is_made = key.is_created && key.orphans.unwrap_or(self.request.orphans) == Orphans::Keep;
            !is_made && !self.kept.iter().any(|kept| std::ptr::eq(*kept, *key))
        });
        Ok(view)
    }

    /// What the orphan checks look at: every table, or the one with this number.
    pub(super) fn views(&self) -> Result<Vec<orphan::View<'a>>> {
        (0..self.plan.tables.len()).map(|index| self.view(index)).collect()
    }

    pub(super) fn view(&self, index: usize) -> Result<orphan::View<'a>> {
        let table = self.plan.tables.get(index).ok_or_else(|| unexpected("table number in a step"))?;
        let rows = self.staged.get(&index).map_or(&table.target, |s| &s.stage.table).clone();
        if self.failed.contains(&index) {
            return Ok(orphan::View { table, rows, keys: Vec::new() });
        }
        // A column that the source does not have is not in a stage; what PostgreSQL puts there is checked in
        // the end.
        let is_here =
            |key: &&ForeignKeyPlan| rows == table.target || key.columns.iter().all(|c| is_written(table, c));
        let keys = table
            .foreign_keys
            .iter()
            .filter(is_here)
            .filter(|key| self.is_known(key) && !self.is_lost(key))
            .map(|key| Ok((key, self.parent_of(key)?)))
            .collect::<Result<_>>()?;
        Ok(orphan::View { table, rows, keys })
    }

    fn staged_parent(&self, key: &ForeignKeyPlan) -> Option<(usize, &'a TablePlan, &QualifiedName)> {
        let index = self.plan.tables.iter().position(|t| t.target == key.parent)?;
        Some((index, self.plan.tables.get(index)?, &self.staged.get(&index)?.stage.table))
    }

    /// Whether a dry run goes on without the referenced table, so that nobody knows which of its rows there
    /// would be.
    pub(super) fn is_lost(&self, key: &ForeignKeyPlan) -> bool {
        self.failed.iter().any(|&i| self.plan.tables.get(i).is_some_and(|t| t.target == key.parent))
    }

    /// Whether the referenced columns can be foretold: a stage has only those of the source.
    fn is_known(&self, key: &ForeignKeyPlan) -> bool {
        self.staged_parent(key)
            .is_none_or(|(_, parent, _)| key.parent_columns.iter().all(|c| is_written(parent, c)))
    }

    /// The rows that a key may point at when the run has ended, as a FROM item.
    pub(super) fn parent_of(&self, key: &ForeignKeyPlan) -> Result<String> {
        let Some((index, parent, stage)) = self.staged_parent(key) else {
            return self.as_from_item(&key.parent);
        };
        let columns = quote_list(key.parent_columns.iter().map(String::as_str));
        Ok(match self.request.mode {
            Mode::Append => {
                format!(
                    "(SELECT {columns} FROM {} UNION ALL SELECT {columns} FROM {stage})",
                    self.as_from_item(&parent.target)?
                )
            }
            Mode::Sync if !self.options.sync_delete => {
                format!(
                    "(SELECT {columns} FROM {} UNION ALL SELECT {columns} FROM {stage})",
                    staying(parent, &self.as_from_item(&parent.target)?, stage)?
                )
            }
            // In mode create the table was empty, in mode replace it is by now.
            Mode::Create | Mode::Replace | Mode::Sync => match self.same_rows(index)? {
                Some(same) => {
                    format!("(SELECT {columns} FROM {same} UNION ALL SELECT {columns} FROM {stage})")
                }
                None => stage.to_string(),
            },
        })
    }

    /// A table of the target as a FROM item. Nothing inherits from one that the run has made.
    fn as_from_item(&self, table: &QualifiedName) -> Result<String> {
        let is_created = self.plan.tables.iter().any(|t| t.is_created && t.target == *table);
        match target::relation_oid(&table.schema, &table.name)? {
            Some(relation) if !is_created => standing::from(relation, table),
            _ => Ok(table.to_string()),
        }
    }

    /// Treats orphans as the policies say, once, when every table is loaded and has its keys; then moves the
    /// rows that wait in stages into their tables.
    pub(super) fn settle_orphans(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.orphans_are_settled, true) {
            return Ok(());
        }
        self.complete_stages()?;
        self.settle_duplicates()?;
        progress::phase(Phase::ForeignKeys);
        // Children first: an existing table may still refuse to lose a row that another points at.
        for (index, unwanted) in Cascade::new(self.views()?, self.request.orphans).run()?.into_iter().rev() {
            let found = unwanted.count()?;
            let deleted = self.set_aside(index, unwanted)?;
            if let Some(row) = self.rows.get_mut(index) {
                row.orphan_rows += found;
                row.warn(Load::Orphans, found);
                row.warn(Load::RejectedOrphans, deleted);
                row.warn(Load::NulledReferences, found - deleted);
            }
        }
        // Keys that an existing table has already are not added, so nothing else would look at them before
        // the end. By those whose orphans are rejected or cleared there are none by now.
        for (index, table) in self.plan.tables.iter().enumerate() {
            let view = self.view(index)?;
            for (key, parent) in view.keys.iter().filter(|(k, _)| !k.is_created) {
                let policy = key.orphans.unwrap_or(self.request.orphans);
                if matches!(policy, Orphans::Reject | Orphans::Null) {
                    continue;
                }
                let count = orphan::count(&view, key, parent)?;
                if count == 0 {
                    continue;
                }
                let mut fate = Load::OrphansKept;
                // Without constraints an orphan harms nothing; it is only counted.
                let is_fatal = match (policy, table.is_created) {
                    (Orphans::Keep, true) => false,
                    (Orphans::Keep, false) => match foreign_key::enforced_foreign_key(&table.target, key)? {
                        None => false,
                        Some(constraint) => {
                            fate = Load::OrphansNotValid;
                            constraint.is_valid || !self.keep(index, &view, key, parent, count)?
                        }
                    },
                    (_, is_created) => !is_created || self.options.foreign_key_constraints,
                };
                if !is_fatal {
                    self.kept.push(*key);
                }
                self.has_orphans |= is_fatal;
                if let Some(row) = self.rows.get_mut(index) {
                    row.has_fatal_orphans |= is_fatal;
                    row.orphan_rows += count;
                    row.warn(fate, count);
                }
            }
        }
        if self.has_orphans && !self.request.dry_run {
            return Ok(());
        }
        self.fail_orphans()?;
        self.apply()
    }
}

impl<'a> Import<'a> {
    /// Whether `orphans => 'keep'` can keep the orphans by a key whose constraint is NOT VALID, which stays
    /// so: where the rows are written past PostgreSQL's triggers, or where mode sync writes none of them.
    fn keep(
        &mut self,
        index: usize,
        view: &orphan::View<'a>,
        key: &ForeignKeyPlan,
        parent: &str,
        count: i64,
    ) -> Result<bool> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let Some(referenced) = target::relation_oid(&key.parent.schema, &key.parent.name)? else {
            return Ok(false);
        };
        let is_it = |r: &TargetForeignKey| r.may_keep(relation, referenced, key);
        if !self.references.iter().any(is_it) {
            return Ok(false);
        }
        let is_quiet = match self.staged.get(&index) {
            Some(_) => as_replica::is_possible(relation, self.options.triggers, Touch::Write)?,
            None => true,
        };
        if !is_quiet {
            if self.request.mode != Mode::Sync {
                return Ok(false);
            }
            let there = standing::from(relation, &plan.target)?;
            let unchanged = sync::with_same_reference(plan, key, &there)?;
            if orphan::count_of(view, key, parent, &format!("NOT {unchanged}"))? > 0 {
                return Ok(false);
            }
        }
        self.references.iter_mut().filter(|r| is_it(r)).for_each(|r| r.keep(count));
        Ok(true)
    }
}

fn is_written(table: &TablePlan, column: &str) -> bool {
    table.columns.iter().any(|c| c.target == column)
}

/// The rows of a table (`from`, a FROM item) that mode sync leaves there although the source does not have
/// them, as a FROM item `o`.
pub(super) fn staying(table: &TablePlan, from: &str, stage: &QualifiedName) -> Result<String> {
    let is_same = sync::same_key(table, "n", "o")?;
    let columns = quote_list(table.sync_key.iter().map(String::as_str));
    let is_none =
        table.sync_key.first().map_or_else(|| "true".to_owned(), |k| format!("n.{} IS NULL", quote(k)));
    // An anti-join to PostgreSQL, in words that engines with distributed tables understand, too.
    Ok(format!(
        "(SELECT o.* FROM {from} o LEFT JOIN (SELECT {columns} FROM {stage}) n ON {is_same} WHERE {is_none}) AS o"
    ))
}
