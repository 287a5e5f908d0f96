//! One table's rows: which way they go in, what is recorded, and whether they arrived as they were sent.

use std::cell::RefCell;

use aliaport_plan::build::Mode;
use aliaport_plan::digest::TableDigest;
use aliaport_plan::finding::{Finding, Severity};
use aliaport_plan::name::quote;
use aliaport_plan::option::Verify;
use aliaport_plan::plan::TablePlan;
use pgrx::prelude::*;

use super::outcome::TableRow;
use super::{Import, Subject, signed};
use crate::pg::error::{self, Error, Result, unexpected};
use crate::pg::load::{self, Loaded, Policy};
use crate::pg::progress::{self, Phase};
use crate::pg::row::SetAside;
use crate::pg::target::{self, Path};
use crate::pg::{compat, executor, readback, spi};

impl Import<'_> {
    pub(super) fn load(&mut self, index: usize) -> Result<()> {
        let Subject { plan, table, columns, relation } = self.subject(index)?;
        let Some(row) = self.rows.get_mut(index) else { return Err(unexpected("table number in a step")) };
        let verify = self.options.verify;
        let path = target::path_of(relation, plan, self.options.triggers)?;
        // Rows that are there already count neither for nor against this run.
        let before = match (plan.is_created, verify) {
            (true, _) | (_, Verify::Count | Verify::None) => TableDigest::default(),
            (false, Verify::Content) => readback::digest(relation, plan)?,
        };
        let rejected = RefCell::new(0u64);
        let run = self.run;
        let mut collector = run.collector(&plan.source);
        let mut set_aside = |entries: Vec<SetAside>| {
            *rejected.borrow_mut() += entries.len() as u64;
            collector.put(entries)
        };
        let policy = Policy {
            on_error: self.request.on_error,
            zone: &self.zone,
            with_digest: verify == Verify::Content,
            set_aside: &mut set_aside,
        };
        progress::load_begins(relation);
        let reader = self.source.rows_exclusive(table, &columns, plan.filter.as_deref())?;
        let loaded = match path {
            Path::Executor => {
                // options.triggers = "off" also where only an INSERT will do. They are enabled again as they were; an error
                // undoes the disabling with everything else.
                let silenced =
                    if self.options.triggers { Vec::new() } else { target::enabled_triggers(relation)? };
                for (name, _) in &silenced {
                    spi::run(&format!("ALTER TABLE {} DISABLE TRIGGER {}", plan.target, quote(name)))?;
                }
                let loaded = executor::insert(reader, plan, relation, policy)?;
                progress::load_ends(loaded.source_rows);
                for (name, clause) in &silenced {
                    spi::run(&format!("ALTER TABLE {} {clause} {}", plan.target, quote(name)))?;
                }
                loaded
            }
            Path::Bulk { has_indexes } => {
                let is_new = plan.is_created || self.request.mode == Mode::Replace;
                let loaded = load::bulk(reader, plan, relation, is_new, policy)?;
                progress::load_ends(loaded.source_rows);
                compat::command_counter_increment();
                if has_indexes {
                    progress::phase(Phase::Index);
                    // Sorting all keys at once is faster than inserting them one by one, and checks uniqueness as well.
                    let place =
                        || format!("SQLite table \"{}\", while its indexes were rebuilt.", plan.source);
                    error::located(place, || spi::run(&format!("REINDEX TABLE {}", plan.target)))?;
                }
                loaded
            }
        };
        collector.finish()?;
        compat::command_counter_increment();
        row.path = Some(path.as_str());
        record(row, &loaded, rejected.into_inner());
        progress::phase(Phase::Verify);
        match verify {
            Verify::Content => {
                let mut expected = before;
                expected.merge(loaded.converter.digest());
                let after = match loaded.stored {
                    Some(stored) if stored == expected => stored,
                    // A difference is said only after PostgreSQL itself has read the table.
                    _ => readback::digest(relation, plan)?,
                };
                row.target_rows = signed(after.rows);
                row.content_match = Some(after == expected);
                row.digest = Some(*loaded.converter.digest());
                if after != expected && !self.request.dry_run {
                    return Err(content_error(plan, &loaded));
                }
            }
            // Nothing else can be in a table that was just made.
            Verify::None if plan.is_created => row.target_rows = row.imported_rows,
            Verify::Count | Verify::None => {
                let sql = format!("SELECT pg_catalog.count(*) FROM {}", plan.target);
                row.target_rows = spi::one::<i64>(&sql, &[])?.unwrap_or(0);
            }
        }
        Ok(())
    }
}

fn record(row: &mut TableRow, loaded: &Loaded, set_aside: u64) {
    row.source_rows = signed(loaded.source_rows);
    row.imported_rows = signed(loaded.imported_rows);
    row.rejected_rows = signed(loaded.rejected_rows);
    for (column, lossy, count) in loaded.converter.lossy() {
        row.warnings.push(Finding {
            severity: Severity::Warning,
            code: lossy.code(),
            table: None,
            column: Some(column.source.clone()),
            message: lossy.message().to_owned(),
            count: Some(count),
        });
    }
    let nulled = set_aside.saturating_sub(loaded.rejected_rows);
    row.warn("rejected", "rows were set aside in aliaport.rejected_row", signed(loaded.rejected_rows));
    row.warn("nulled", "values became NULL; their originals are in aliaport.rejected_row", signed(nulled));
}

/// The error of a table whose content is not what was sent.
fn content_error(plan: &TablePlan, loaded: &Loaded) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("table {} differs from SQLite table \"{}\" after the load", plan.target, plan.source),
    )
    .detail(format!(
        "The digest of the {} rows that were sent is {}; what was read back from the table gives another one.",
        loaded.imported_rows,
        loaded.converter.digest()
    ))
    .hint("A trigger or rule of the target changes values: import with options.triggers = \"off\", or look at its triggers.")
}
