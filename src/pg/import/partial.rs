//! Stages that hold only what a table does not have already, which is what mode sync loads. Rows that no
//! policy has anything to say about need no more; where one has, every row is staged after all.

use std::collections::HashSet;
use std::sync::Arc;

use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_plan::policy::{Mode, Orphans};
use aliaport_rows::identifier::quote;
use aliaport_rows::row::{OnError, Refusals};

use super::existing::Staged;
use super::{Import, ImportedTable};
use crate::pg::heap::load::{self, Policy};
use crate::pg::heap::standing;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{compat, spi};
use crate::pg::table::matched::{self, Matching};
use crate::pg::table::stage::Stage;
use crate::pg::table::{broken_rules, foreign_key, operator, orphan, source_row, unique, wide};

impl Import<'_> {
    /// Begins to compare the rows of a table with those that will be loaded, where only those that differ
    /// need to be staged.
    pub(super) fn begin_matching(&mut self, index: usize) -> Result<Option<Matching>> {
        if self.request.mode != Mode::Sync || !self.options.sync_delete {
            return Ok(None);
        }
        let standing = self.standing(index)?;
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        match plan.is_created {
            true => Ok(None),
            false => matched::begin(relation, standing, plan, index),
        }
    }

    /// The unchanged rows of a table whose stage does not have them, as a FROM item `o`.
    pub(super) fn same_rows(&self, index: usize) -> Result<Option<String>> {
        let Some(matched) = self.staged.get(&index).and_then(|s| s.matched.as_ref()) else { return Ok(None) };
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        Ok(Some(matched.same_rows(&standing::from(relation, &plan.target)?)))
    }

    /// Stages every row where a policy may have to look at rows that have not changed.
    pub(super) fn complete_stages(&mut self) -> Result<()> {
        let partial: Vec<usize> =
            self.staged.iter().filter(|(_, s)| s.matched.is_some()).map(|(&index, _)| index).collect();
        if partial.is_empty() || !self.must_see_all(&partial)? {
            return Ok(());
        }
        partial
            .into_iter()
            .try_for_each(|index| self.tried(Some(index), |import| import.complete_stage(index)))
    }

    /// Whether rows that have not changed may be in the way of others, or point at a row that goes.
    fn must_see_all(&self, partial: &[usize]) -> Result<bool> {
        if self.request.on_error != OnError::Abort {
            for &index in self.staged.keys() {
                let ImportedTable { plan, relation, .. } = self.subject(index)?;
                for demand in unique::indexes(relation)?.into_iter().filter(|u| u.is_over(plan)) {
                    if let Some(unwanted) = self.in_the_way(index, plan, &demand)? {
                        unwanted.drop()?;
                        return Ok(true);
                    }
                }
            }
        }
        for view in self.views()? {
            let child = self.plan.tables.iter().position(|t| std::ptr::eq(t, view.table));
            let child = child.ok_or_else(|| unexpected("table number in a step"))?;
            for (key, parent) in &view.keys {
                let policy = key.orphans.unwrap_or(self.request.orphans);
                let is_cascading = matches!(policy, Orphans::Reject | Orphans::Null);
                if is_cascading && orphan::count(&view, key, parent)? > 0 {
                    return Ok(true);
                }
                if partial.contains(&child) && self.leaves_orphans(child, view.table, key, parent)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether an unchanged row of a table points at a row that will not be there by this key.
    fn leaves_orphans(
        &self,
        child: usize,
        table: &TablePlan,
        key: &ForeignKeyPlan,
        parent: &str,
    ) -> Result<bool> {
        let Some(same) = self.same_rows(child)? else { return Ok(false) };
        let exists = |rows: &str| -> Result<bool> {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {rows})");
            Ok(spi::one_for_caller::<bool>(&sql, &[])?.unwrap_or(true))
        };
        let children = format!("(SELECT {} FROM {same}) AS c", columns_of("o", &key.columns));
        let is_enforced = foreign_key::enforced_foreign_key(&table.target, key)?.is_some_and(|c| c.is_valid);
        let staged = self.plan.tables.iter().position(|t| t.target == key.parent);
        if is_enforced {
            // Then every row had a parent before.
            let Some(number) = staged else { return Ok(false) };
            if let Some(Staged { stage, matched: Some(matched), .. }) = self.staged.get(&number) {
                if matched.is_all() {
                    return Ok(false);
                }
                let there = standing::from(stage.target, &key.parent)?;
                let equal = |c: &String| {
                    let operator = operator::equal((&key.parent, c), (&key.parent, c))?;
                    Ok(format!("s.{0} {operator} t.{0}", quote(c)))
                };
                let equal = key.parent_columns.iter().map(equal).collect::<Result<Vec<_>>>()?.join(" AND ");
                let lost = format!(
                    "(SELECT {} FROM {} WHERE NOT EXISTS (SELECT 1 FROM {} s WHERE {equal})) AS p",
                    columns_of("t", &key.parent_columns),
                    matched.other_rows(&there),
                    stage.table,
                );
                if !exists(&lost)? {
                    return Ok(false);
                }
                let points = orphan::same_key(&table.target, key, "p", "c")?;
                return exists(&format!("{lost} JOIN {children} ON {points}"));
            }
        }
        exists(&format!("{children} WHERE {}", orphan::condition(&table.target, key, parent)?))
    }

    /// Stages every row of a table, those that have not changed as well.
    pub(super) fn complete_stage(&mut self, index: usize) -> Result<()> {
        let Some(mut staged) = self.staged.remove(&index) else { return Ok(()) };
        if let Some(matched) = staged.matched.take() {
            matched.drop()?;
            self.fill(index, &staged.stage)?;
            if staged.is_changed {
                // What was set aside once is taken out again.
                let ImportedTable { plan, relation, .. } = self.subject(index)?;
                let (rows, triggers) = (&staged.stage.table, self.options.triggers);
                if let Some(unwanted) = broken_rules::unwanted(index, rows, relation, plan, triggers)? {
                    unwanted.apply(rows)?;
                    unwanted.drop()?;
                    compat::command_counter_increment();
                }
            }
        }
        self.staged.insert(index, staged);
        Ok(())
    }

    /// Fills a stage again, with every row. What the load has to say was said the first time.
    pub(super) fn fill(&mut self, index: usize, stage: &Stage) -> Result<()> {
        let ImportedTable { plan, table, columns, .. } = self.subject(index)?;
        spi::run(&format!("TRUNCATE {}", stage.table))?;
        let search = source_row::SourceRows {
            source: self.source,
            table,
            columns: &columns,
            plan,
            zone: &self.zone,
            on_error: self.request.on_error,
            relation: stage.relation,
        };
        let refusals: Arc<Refusals> = Arc::new(search.refusals()?);
        let too_wide: Arc<HashSet<u64>> = Arc::new(wide::find_too_wide(&search, &refusals)?);
        let policy = Policy {
            on_error: self.request.on_error,
            zone: &self.zone,
            refusals,
            too_wide,
            with_digest: false,
            set_aside: &mut |_| Ok(()),
            matcher: None,
        };
        let reader = self.source.rows_to_send(table, &columns, plan.filter.as_deref())?;
        load::bulk(reader, plan, stage.relation, true, policy)?;
        compat::command_counter_increment();
        Ok(())
    }
}

/// Columns of the row `of` by their names.
fn columns_of(of: &str, columns: &[String]) -> String {
    columns.iter().map(|c| format!("{of}.{}", quote(c))).collect::<Vec<_>>().join(", ")
}
