//! Taking hold of the tables that are there: is the caller allowed to, are they as planned, which keys and
//! triggers do they have?

use std::collections::BTreeSet;

use aliaport_plan::finding::{Finding, Load};
use aliaport_plan::plan::TablePlan;
use aliaport_plan::planner::OTHER_MODES;
use aliaport_plan::policy::Mode;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::{Import, ImportedTable};
use crate::pg::server::error::{Error, Result};
use crate::pg::server::{compat, spi};
use crate::pg::table::trigger;
use crate::pg::table::{foreign_key, target};

impl Import<'_> {
    /// Makes sure of the tables that are there: nobody else writes to them, and what their foreign keys were
    /// like is known.
    pub(super) fn take_hold(&mut self) -> Result<()> {
        let mode = self.request.mode;
        let mut existing = Vec::new();
        for index in 0..self.plan.tables.len() {
            if self.plan.tables.get(index).is_some_and(|t| t.is_created) {
                continue;
            }
            let ImportedTable { plan, relation, .. } = self.subject(index)?;
            existing.push(relation);
            require_privileges(plan, relation, mode)?;
            // Rows that come or go between the comparison and the writing would be lost, or would not be what
            // was checked. Readers do not wait for this lock.
            compat::lock_against_writers(relation);
        }
        self.require_as_planned()?;
        self.references = foreign_key::find_foreign_keys(&existing)?;
        for reference in self.references.iter().filter(|r| !(r.is_of(&existing) && r.is_to(&existing))) {
            if compat::has_old_snapshot() {
                return Err(reference.refuse_old_snapshot());
            }
            // A parent outside of the import must stay until our rows that point at it can be seen. A child
            // outside needs no lock: whoever inserts one locks its parent's row.
            if !reference.is_to(&existing) {
                compat::lock_against_changes(reference.parent());
            }
        }
        if matches!(mode, Mode::Replace | Mode::Sync) && !self.truncates() {
            for reference in self.references.iter().filter(|r| r.is_to(&existing)) {
                reference.refuse_hidden()?;
            }
        }
        for index in 0..self.plan.tables.len() {
            if mode == Mode::Replace || self.plan.tables.get(index).is_some_and(|t| t.is_created) {
                continue;
            }
            let ImportedTable { plan, relation, .. } = self.subject(index)?;
            let Some(row) = self.rows.get_mut(index) else { continue };
            for reference in self.references.iter().filter(|r| r.is_of(&[relation])) {
                let Some(count) = reference.broken_before() else { continue };
                // Then they are the source's rows by the end, and are counted as such.
                let is_written = |column: &String| plan.columns.iter().any(|c| c.target == *column);
                if mode == Mode::Sync
                    && self.options.sync_delete
                    && reference.columns().iter().all(is_written)
                {
                    continue;
                }
                row.warn(Load::OrphansBefore(reference.name().to_owned()), count);
            }
        }
        Ok(())
    }

    /// The plan was made without a lock on any table. What another session has changed until the tables were
    /// locked ends the import.
    fn require_as_planned(&self) -> Result<()> {
        let there = || self.plan.tables.iter().filter(|t| !t.is_created);
        let schemas: BTreeSet<&String> = there().map(|t| &t.target.schema).collect();
        if schemas.is_empty() {
            return Ok(());
        }
        let now = target::shapes(&schemas.into_iter().cloned().collect::<Vec<_>>())?;
        for table in there() {
            let name = (table.target.schema.clone(), table.target.name.clone());
            if now.get(&name) != self.shapes.get(&name) {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                    format!("table {} was changed while the import began", table.target),
                )
                .detail("Another session has altered the table or its indexes since the import was planned.")
                .hint("Run the import again."));
            }
            if self.request.mode == Mode::Create && !target::is_empty(&table.target)? {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("target table {} has rows already", table.target),
                )
                .detail("Another session has written them since the import was planned. Mode create fills new and empty tables only.")
                .hint(OTHER_MODES));
            }
        }
        Ok(())
    }

    /// Says which user triggers do not fire although a statement like this one would fire them.
    pub(super) fn tell_silent_triggers(&mut self) -> Result<()> {
        if self.options.triggers {
            return Ok(());
        }
        // pg_trigger.h: INSERT is 4, DELETE 8, UPDATE 16, TRUNCATE 32.
        let kinds = match self.request.mode {
            Mode::Create | Mode::Append => 4,
            Mode::Replace if self.truncates() => 4 + 32,
            Mode::Replace => 4 + 8,
            Mode::Sync => 4 + 8 + 16,
        };
        for index in 0..self.plan.tables.len() {
            if self.plan.tables.get(index).is_none_or(|t| t.is_created) {
                continue;
            }
            let ImportedTable { plan, relation, .. } = self.subject(index)?;
            let names = trigger::firing_triggers(relation, kinds)?;
            if names.is_empty() {
                continue;
            }
            if let Some(row) = self.rows.get_mut(index) {
                let count = names.len() as u64;
                let why = Load::TriggersOff(plan.target.clone(), names);
                row.warnings.push(Finding::of(&plan.source, why).counted(count));
            }
        }
        Ok(())
    }
}

/// What the mode does to a table, the caller must be allowed to do, before anybody waits for it.
fn require_privileges(plan: &TablePlan, relation: pg_sys::Oid, mode: Mode) -> Result<()> {
    let needed = match mode {
        Mode::Create | Mode::Append => "pg_catalog.has_any_column_privilege(oid, 'INSERT')",
        Mode::Replace => {
            "pg_catalog.has_any_column_privilege(oid, 'INSERT') AND pg_catalog.has_table_privilege(oid, 'DELETE, TRUNCATE')"
        }
        Mode::Sync => {
            "pg_catalog.has_table_privilege(oid, 'SELECT') AND pg_catalog.has_any_column_privilege(oid, 'INSERT') \
             AND pg_catalog.has_any_column_privilege(oid, 'UPDATE') AND pg_catalog.has_table_privilege(oid, 'DELETE')"
        }
    };
    let words = match mode {
        Mode::Create | Mode::Append => "INSERT",
        Mode::Replace => "INSERT, and DELETE or TRUNCATE",
        Mode::Sync => "SELECT, INSERT, UPDATE and DELETE",
    };
    let (allowed, is_hidden) = spi::rows(
        &format!(
            "SELECT {needed}, pg_catalog.row_security_active(oid) FROM pg_catalog.pg_class WHERE oid = $1"
        ),
        &[relation.into()],
        |row| Ok((row.get::<bool>(1)?.unwrap_or(false), row.get::<bool>(2)?.unwrap_or(true))),
    )?
    .first()
    .copied()
    .unwrap_or((false, true));
    if !allowed {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {}", plan.target.name),
        )
        .detail(format!("Mode {} needs {words} on {}.", mode.as_str(), plan.target))
        .hint("Ask the owner of the table to grant the caller what is missing."));
    }
    if mode == Mode::Sync && is_hidden {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("table {} cannot be compared by this role", plan.target),
        )
        .detail(
            "Row-level security hides rows of it from the caller, so what they should become is not known.",
        )
        .hint("Import as the owner of the table or as a role with BYPASSRLS."));
    }
    Ok(())
}
