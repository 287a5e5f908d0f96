//! One table's rows: which way they go in, what is recorded, and whether they arrived as they were sent.

use std::cell::RefCell;
use std::sync::Arc;

use aliaport_plan::finding::{Finding, Load};
use aliaport_plan::inspect::{self, Retype};
use aliaport_plan::plan::TablePlan;
use aliaport_plan::policy::{Mode, Verify};
use aliaport_rows::convert::{display_value, retyped};
use aliaport_rows::digest::TableDigest;
use aliaport_rows::value::Value;
use pgrx::prelude::*;

use super::existing::Staged;
use super::{Import, ImportedTable};
use crate::pg::heap::load::{self, Loaded, Policy};
use crate::pg::heap::readback;
use crate::pg::heap::standing::{self, Standing};
use crate::pg::record::aside;
use crate::pg::record::outcome::TableRow;
use crate::pg::record::progress::{self, Phase};
use crate::pg::server::count::signed;
use crate::pg::server::error::{self, Error, Result, unexpected};
use crate::pg::server::{compat, memory, spi};
use crate::pg::table::load_path::{self, LoadPath};
use crate::pg::table::matched::{Found, Matching};
use crate::pg::table::stage::Stage;
use crate::pg::table::{broken_rules, retype, source_row, wide};
use aliaport_rows::row::{OnError, SetAside};

impl Import<'_> {
    pub(super) fn load(&mut self, index: usize) -> Result<()> {
        let ImportedTable { plan, table, columns, relation } = self.subject(index)?;
        let verify = self.options.verify;
        let way = load_path::PathNeeds {
            triggers: self.options.triggers,
            keeps_keys: self.request.on_error != OnError::Abort && !plan.is_created,
            sets_aside: self.request.on_error != OnError::Abort,
            spares_readers: self.request.mode != Mode::Create,
        };
        let path = load_path::path_of(relation, plan, way)?;
        let stage = match path {
            LoadPath::Bulk { .. } => {
                // Nothing but plain tables goes this way.
                self.standings.insert(index, Standing::Plain);
                None
            }
            LoadPath::Executor => {
                let what = "while a temporary table was made for its rows.";
                let place = || format!("SQLite table \"{}\", {what}", plan.source);
                Some(error::located(self.request.on_error, place, || Stage::create(plan, relation, index))?)
            }
        };
        let mut matching = match stage {
            Some(_) => self.begin_matching(index)?,
            None => None,
        };
        let Some(row) = self.rows.get_mut(index) else { return Err(unexpected("table number in a step")) };
        let rejected = RefCell::new(0u64);
        let run = self.run;
        let mut set_aside = |entries: Vec<SetAside>| {
            *rejected.borrow_mut() += entries.len() as u64;
            run.set_aside(&plan.source, entries)
        };
        let search = source_row::SourceRows {
            source: self.source,
            table,
            columns: &columns,
            plan,
            zone: &self.zone,
            on_error: self.request.on_error,
            relation: stage.as_ref().map_or(relation, |s| s.relation),
        };
        let refusals = Arc::new(search.refusals()?);
        let too_wide = Arc::new(wide::find_too_wide(&search, &refusals)?);
        let policy = Policy {
            on_error: self.request.on_error,
            zone: &self.zone,
            refusals,
            too_wide,
            with_digest: verify == Verify::Content,
            set_aside: &mut set_aside,
            matcher: matching.as_mut().map(|matching| &mut matching.matcher),
        };
        progress::load_begins(relation);
        let reader = self.source.rows_to_send(table, &columns, plan.filter.as_deref())?;
        // A table that was made or truncated by this run, and every stage: nothing else can see its rows.
        let is_new = plan.is_created || stage.is_some() || self.is_truncated;
        let into = stage.as_ref().map_or(relation, |s| s.relation);
        let loaded = match load::bulk(reader, plan, into, is_new, policy) {
            Ok(loaded) => loaded,
            Err(error) => return Err(self.advised(index, error)?),
        };
        progress::load_ends(loaded.source_rows);
        compat::command_counter_increment();
        if path == (LoadPath::Bulk { has_indexes: true }) {
            progress::phase(Phase::Index);
            // Sorting all keys at once is faster than inserting them one by one, and checks uniqueness as
            // well.
            let place = || format!("SQLite table \"{}\", while its indexes were rebuilt.", plan.source);
            let reindex = || spi::run_for_caller(&format!("REINDEX TABLE {}", plan.target));
            error::located(self.request.on_error, place, || memory::for_indexes(reindex))?;
            compat::command_counter_increment();
        }
        row.path = Some(path.as_str());
        record(row, &loaded, rejected.into_inner());
        row.digest = (verify == Verify::Content).then(|| *loaded.converter.digest());
        if let Some(stage) = stage {
            let matched = match matching.map(Matching::finish).transpose()? {
                Some(Found::Matched(matched)) => Some(matched),
                Some(Found::Ambiguous) => {
                    self.fill(index, &stage)?;
                    None
                }
                Some(Found::Nothing) | None => None,
            };
            compat::command_counter_increment();
            self.staged.insert(index, Staged::new(stage, matched));
            return self.settle_checks(index);
        }
        self.written.push(relation);
        if self.request.mode == Mode::Sync {
            (row.updated, row.deleted, row.unchanged) = (Some(0), Some(0), Some(0));
        }
        self.look_at_loaded(index, &loaded, is_new)?;
        // Under abort the load itself has checked every row.
        if self.request.on_error == OnError::Abort { Ok(()) } else { self.settle_checks(index) }
    }

    /// The proof of the bulk path. It fills empty tables only, so what is read back is what was sent.
    fn look_at_loaded(&mut self, index: usize, loaded: &Loaded, is_new: bool) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        progress::phase(Phase::Verify);
        match self.options.verify {
            Verify::Content => {
                let sent = *loaded.converter.digest();
                let after = match loaded.stored {
                    // Nothing else is in a table that was just made; in another one nothing else can be seen.
                    Some(stored) if stored == sent && (is_new || rows_seen(plan)? == signed(sent.rows)) => {
                        stored
                    }
                    // A difference is said only after PostgreSQL itself has read the table.
                    _ => readback::digest(relation, plan)?,
                };
                self.verify(index, sent, after)
            }
            // Nothing else can be in a table that was just made.
            Verify::None if plan.is_created => {
                if let Some(row) = self.rows.get_mut(index) {
                    row.target_rows = row.imported_rows;
                }
                Ok(())
            }
            // The table was empty.
            Verify::Count | Verify::None => self.count(index, 0),
        }
    }

    /// The error of a bad value, with a type in its HINT that takes all values of the column, or why it
    /// cannot have another one.
    fn advised(&self, index: usize, error: Error) -> Result<Error> {
        let Some((column, first)) = error.wider() else { return Ok(error) };
        let ImportedTable { plan, table, .. } = self.subject(index)?;
        let Some(of) = plan.columns.get(column) else { return Ok(error) };
        Ok(match retype::find_wider_type(self.source, table, self.plan, plan, column, first)? {
            Retype::Nothing => error,
            Retype::To(better) => {
                let existing = (!plan.is_created).then_some((&plan.target, of.target.as_str(), &of.pg_type));
                error.hint(retyped(&plan.source, &of.source, existing, better))
            }
            Retype::Held(by) => error.hint(format!(
                "Repair the value in SQLite, or set on_error to reject or null. {}.",
                inspect::held(&by)
            )),
        })
    }

    /// Sets the rows aside that break a check. No single value is to blame for that, so `on_error => 'null'`
    /// rejects them as well.
    fn settle_checks(&mut self, index: usize) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let rows = self.staged.get(&index).map_or(&plan.target, |s| &s.stage.table).clone();
        let place = || format!("SQLite table \"{}\", while its rows were checked.", plan.source);
        let find = || broken_rules::unwanted(index, &rows, relation, plan, self.options.triggers);
        let Some(unwanted) = error::located(self.request.on_error, place, find)? else { return Ok(()) };
        if self.request.on_error == OnError::Abort {
            let mut first = None;
            self.originals(index, &unwanted, Some(1), |entry| {
                first = Some(entry);
                Ok(())
            })?;
            return Err(check_error(plan, unwanted.count()?, first.as_ref()));
        }
        let rejected = self.set_aside(index, unwanted)?;
        if let Some(row) = self.rows.get_mut(index) {
            row.warn(Load::RejectedByCheck, rejected);
        }
        Ok(())
    }

    /// Compares what was read back from a table with what should be there.
    pub(super) fn verify(&mut self, index: usize, expected: TableDigest, after: TableDigest) -> Result<()> {
        let (Some(plan), Some(row)) = (self.plan.tables.get(index), self.rows.get_mut(index)) else {
            return Err(unexpected("table number in a step"));
        };
        row.target_rows = signed(after.rows);
        row.stored = Some(after);
        row.content_match = Some(after == expected);
        if after != expected {
            return Err(content_error(plan, &expected, &after, self.options.triggers));
        }
        Ok(())
    }

    /// Counts the rows of a table as a query of it does: the run's own, and the `others` that were there when
    /// they were written.
    ///
    /// # Errors
    /// 22000 where a query sees another number. Triggers that the options let fire may leave rows out, which
    /// the options may ask not to look at.
    pub(super) fn count(&mut self, index: usize, others: i64) -> Result<()> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        let Some(row) = self.rows.get_mut(index) else { return Err(unexpected("table number in a step")) };
        row.target_rows = rows_seen(plan)?;
        let expected = others + row.written();
        let is_left_to_triggers = self.options.triggers && self.options.verify == Verify::None;
        if row.target_rows == expected || is_left_to_triggers {
            return Ok(());
        }
        if standing::is_restricted(relation)? {
            row.warn(Load::RowSecurity, expected - row.target_rows);
            return Ok(());
        }
        Err(count_error(plan, expected, row.target_rows, self.options.triggers))
    }

    /// The last look: what another extension or a foreign server keeps is counted by a query when everything
    /// is done. Of all other tables the rows were compared where a query finds them.
    pub(super) fn look_again(&mut self) -> Result<()> {
        (0..self.plan.tables.len()).try_for_each(|index| {
            self.current = Some(index);
            self.tried(Some(index), |import| import.look_again_at(index))
        })
    }

    fn look_again_at(&mut self, index: usize) -> Result<()> {
        let plan = self.subject(index)?.plan;
        let standing = self.standing(index)?;
        let Some(row) = self.rows.get(index).filter(|_| !standing.is_stored_here()) else { return Ok(()) };
        let sql = format!("SELECT pg_catalog.count(*) FROM {}", standing.from(&plan.target.to_string()));
        let seen = spi::one_for_caller::<i64>(&sql, &[])?.unwrap_or(0);
        if seen == row.target_rows {
            return Ok(());
        }
        Err(count_error(plan, row.target_rows, seen, self.options.triggers))
    }
}

/// How many rows a query of a table counts.
pub(super) fn rows_seen(plan: &TablePlan) -> Result<i64> {
    let sql = format!("SELECT pg_catalog.count(*) FROM {}", plan.target);
    Ok(spi::one_for_caller::<i64>(&sql, &[])?.unwrap_or(0))
}

fn record(row: &mut TableRow, loaded: &Loaded, set_aside: u64) {
    row.source_rows = signed(loaded.source_rows);
    row.imported_rows = signed(loaded.imported_rows);
    row.rejected_rows = signed(loaded.rejected_rows);
    for (column, lossy, count) in loaded.converter.lossy() {
        row.lossy += count;
        let finding = Finding::new(Load::Lossy(lossy)).in_column(&column.source);
        row.warnings.push(finding.counted(count));
    }
    let nulled = set_aside.saturating_sub(loaded.rejected_rows);
    row.warn(Load::Rejected, signed(loaded.rejected_rows));
    row.warn(Load::Nulled, signed(nulled));
}

/// The error of rows that break a rule of their table: the first of them.
fn check_error(plan: &TablePlan, count: i64, first: Option<&SetAside>) -> Error {
    let code = PgSqlErrorCode::ERRCODE_CHECK_VIOLATION;
    let (reason, key, row) = match first {
        Some(e) => match aside::text_of(&e.row_data) {
            Ok(row) => (e.reason.clone(), e.source_key.to_string(), row),
            Err(error) => return error,
        },
        None => Default::default(),
    };
    let others = if count > 1 { format!(" It is the first of {count} such rows.") } else { String::new() };
    Error::new(code, reason)
        .detail(format!(
            "SQLite table \"{}\", key {key}; the row holds {}.{others}",
            plan.source,
            display_value(Value::Text(row.as_bytes()))
        ))
        .hint(error::next_step(code, OnError::Abort))
}

/// The error of a table whose content is not what was sent.
fn content_error(plan: &TablePlan, expected: &TableDigest, after: &TableDigest, triggers: bool) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("table {} differs from SQLite table \"{}\" after the load", plan.target, plan.source),
    )
    .detail(format!(
        "It should hold {} rows with the digest {expected}; what was read back are {} rows with another one.",
        expected.rows, after.rows
    ))
    .hint(who_did_it(triggers))
}

/// The error of a table that does not show the rows that were written.
fn count_error(plan: &TablePlan, expected: i64, seen: i64, triggers: bool) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!(
            "table {} does not show the rows of SQLite table \"{}\" after the load",
            plan.target, plan.source
        ),
    )
    .detail(format!("A query of it should count {expected} rows and counts {seen}."))
    .hint(who_did_it(triggers))
}

fn who_did_it(triggers: bool) -> &'static str {
    if triggers {
        "A trigger or rule of the target changes rows or leaves them out: import with options.triggers = \"off\", or look at its triggers."
    } else {
        "Something in front of the target's rows changes them or leaves them out: look at its rules, and at the extensions that it is made with."
    }
}
