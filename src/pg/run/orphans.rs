//! Rows that a policy does not want: they are recorded with their original values, then deleted or changed.

use aliaport_plan::option::Orphans;

use super::{Import, Subject};
use crate::pg::error::Result;
use crate::pg::progress::{self, Phase};
use crate::pg::{original, orphan};

impl Import<'_> {
    /// Records rows that are not wanted as they are, then deletes or changes them. Gives the number of rejected rows.
    pub(super) fn set_aside(&mut self, index: usize, unwanted: &[orphan::Unwanted]) -> Result<i64> {
        let Subject { plan, table, columns, relation } = self.subject(index)?;
        let entries =
            original::set_aside(self.source, table, &columns, plan, &self.zone, relation, unwanted)?;
        self.run.set_aside(&plan.source, entries)?;
        let deleted = orphan::apply(plan, unwanted)?;
        crate::pg::compat::command_counter_increment();
        if let Some(row) = self.rows.get_mut(index) {
            row.imported_rows -= deleted;
            row.rejected_rows += deleted;
            row.target_rows -= deleted;
        }
        Ok(deleted)
    }

    /// Treats orphans as the policies say, once, when every table is loaded and has its keys.
    ///
    /// A rejected row may have children of its own, so this repeats until no row is rejected any more.
    pub(super) fn settle_orphans(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.orphans_are_settled, true) {
            return Ok(());
        }
        progress::phase(Phase::ForeignKeys);
        loop {
            let mut rejected = 0;
            for index in 0..self.plan.tables.len() {
                let Some(table) = self.plan.tables.get(index) else { continue };
                let unwanted = orphan::unwanted(table, self.request.orphans)?;
                if unwanted.is_empty() {
                    continue;
                }
                let deleted = self.set_aside(index, &unwanted)?;
                let found = i64::try_from(unwanted.len()).unwrap_or(i64::MAX);
                if let Some(row) = self.rows.get_mut(index) {
                    row.orphan_rows += found;
                    row.warn("orphan_rows", "rows pointed at a missing parent", found);
                    row.warn("rejected", "orphans were set aside in aliaport.rejected_row", deleted);
                    row.warn("nulled", "references to a missing parent became NULL", found - deleted);
                }
                rejected += deleted;
            }
            if rejected == 0 {
                break;
            }
        }
        // Keys that an existing table has already are not added, so nothing else would check them.
        for (index, table) in self.plan.tables.iter().enumerate() {
            for key in table.foreign_keys.iter().filter(|k| !k.is_created) {
                let policy = key.orphans.unwrap_or(self.request.orphans);
                // Without constraints an orphan harms nothing; it is only counted.
                let is_enforced = !table.is_created || self.options.foreign_key_constraints;
                let count = orphan::count(&table.target, key)?;
                if count > 0 {
                    self.has_orphans |= is_enforced && (policy != Orphans::Keep || !table.is_created);
                    if let Some(row) = self.rows.get_mut(index) {
                        row.orphan_rows += count;
                        row.warn("orphan_rows", "rows point at a missing parent", count);
                    }
                }
            }
        }
        Ok(())
    }
}
