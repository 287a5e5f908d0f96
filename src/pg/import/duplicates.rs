//! Rows that wait in a stage under a key that is taken: set aside where the policy says so, else an error
//! that names them.

use aliaport_plan::finding::Load;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::policy::Mode;
use aliaport_rows::identifier::quote;
use aliaport_rows::row::OnError;
use pgrx::prelude::*;

use super::orphans::staying;
use super::{Import, ImportedTable};
use crate::pg::heap::standing;
use crate::pg::server::error::{self, Error, Result, unexpected};
use crate::pg::table::unique::{self, UniqueIndex};
use crate::pg::table::unwanted::Unwanted;

impl Import<'_> {
    /// Sets aside rows in stages whose key is there already, where the policy says so; in mode sync a key
    /// that is there twice in the source ends the import in any case, because the table can be equal to one
    /// of the two only.
    pub(super) fn settle_duplicates(&mut self) -> Result<()> {
        let indexes: Vec<usize> = self.staged.keys().copied().collect();
        indexes.iter().try_for_each(|&i| self.tried(Some(i), |import| import.settle_duplicates_of(&[i])))
    }

    fn settle_duplicates_of(&mut self, indexes: &[usize]) -> Result<()> {
        for &index in indexes {
            let ImportedTable { plan, relation, .. } = self.subject(index)?;
            for demand in unique::indexes(relation)?.into_iter().filter(|u| u.is_over(plan)) {
                let is_sync_key = self.request.mode == Mode::Sync && is_key(&demand, plan);
                if self.request.on_error == OnError::Abort {
                    if is_sync_key && let Some(unwanted) = self.in_the_way(index, plan, &demand)? {
                        unwanted.drop()?;
                        return Err(self.duplicate_error(index, None)?);
                    }
                    continue;
                }
                let Some(unwanted) = self.in_the_way(index, plan, &demand)? else { continue };
                let rejected = self.set_aside(index, unwanted)?;
                if let Some(row) = self.rows.get_mut(index) {
                    row.warn(Load::Duplicates, rejected);
                }
            }
        }
        Ok(())
    }

    /// Staged rows whose key an earlier row of the stage, or a row that stays in the table, has already; none
    /// where none has.
    pub(super) fn in_the_way(
        &self,
        index: usize,
        plan: &TablePlan,
        demand: &UniqueIndex,
    ) -> Result<Option<Unwanted>> {
        let Some(staged) = self.staged.get(&index) else { return Ok(None) };
        let (table, relation) = (&staged.stage.table, staged.stage.target);
        let rows = table.to_string();
        let unwanted = demand.repeated(index, &rows)?;
        let others = match self.request.mode {
            Mode::Append => Some(standing::from(relation, &plan.target)?),
            Mode::Sync if !self.options.sync_delete && !is_key(demand, plan) => {
                Some(staying(plan, &standing::from(relation, &plan.target)?, table)?)
            }
            // By the key of sync rows were told apart already.
            Mode::Sync if !is_key(demand, plan) => self.same_rows(index)?,
            Mode::Create | Mode::Replace | Mode::Sync => None,
        };
        let place = || {
            format!("SQLite table \"{}\", while its keys were looked for in {}.", plan.source, plan.target)
        };
        match others {
            Some(others) => {
                error::located(self.request.on_error, place, || demand.taken(unwanted, index, &rows, &others))
            }
            None => Ok(unwanted),
        }
    }

    /// The error of keys that are there already, naming rows; `cause` is PostgreSQL's own, which names the
    /// first key.
    pub(super) fn duplicate_error(&mut self, index: usize, cause: Option<Error>) -> Result<Error> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        for demand in unique::indexes(relation)?.into_iter().filter(|u| u.is_over(plan)) {
            let Some(unwanted) = self.in_the_way(index, plan, &demand)? else { continue };
            let count = unwanted.count()?;
            let mut keys = Vec::new();
            self.originals(index, &unwanted, Some(3), |entry| {
                keys.push(entry.source_key.to_string());
                Ok(())
            })?;
            let rows = if count == 1 { "1 row has".to_owned() } else { format!("{count} rows have") };
            return Ok(Error::new(
                PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
                format!("duplicate key value violates unique constraint {}", demand.name),
            )
            .detail(format!(
                "SQLite table \"{}\": {rows} a key ({}) that is in {} already or twice in the source, for instance {}.",
                plan.source,
                demand.unique.terms.join(", "),
                plan.target,
                keys.join("; ")
            ))
            .hint("Repair the source, look at what the target holds already, or import with on_error => 'reject' to set such rows aside."));
        }
        Ok(cause.unwrap_or_else(|| unexpected("absence of duplicate keys")))
    }
}

/// Whether a unique index is the key by which mode sync tells rows apart.
fn is_key(demand: &UniqueIndex, plan: &TablePlan) -> bool {
    demand.unique.predicate.is_none()
        && demand.columns.len() == plan.sync_key.len()
        && demand.columns.iter().all(|c| plan.sync_key.contains(c))
        && demand.unique.terms.iter().all(|t| plan.sync_key.iter().any(|k| quote(k) == *t))
}
