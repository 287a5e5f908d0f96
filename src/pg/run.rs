//! One import from beginning to end, inside the caller's transaction: lock, plan, load, finish, verify, record.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use aliaport_plan::build::Mode;
use aliaport_plan::convert::Zone;
use aliaport_plan::digest::TableDigest;
use aliaport_plan::finding::{Finding, Severity};
use aliaport_plan::option::{Orphans, Verify};
use aliaport_plan::plan::{Action, Step, TablePlan};
use pgrx::prelude::*;
use serde_json::json;

use super::error::{self, Error, Result, unexpected};
use super::load::{self, Loaded, Policy};
use super::planning::{self, Planned};
use super::row::OnError;
use super::{access, executor, finish, history, readback, spi, subxact, target};

/// What the caller asked for, words checked.
pub struct Request<'a> {
    /// The path as given.
    pub path: &'a str,
    /// The schema as given; `None` means `current_schema()`.
    pub target_schema: Option<&'a str>,
    /// The mode.
    pub mode: Mode,
    /// Undo everything at the end.
    pub dry_run: bool,
    /// What happens to a bad value.
    pub on_error: OnError,
    /// What happens to an orphan.
    pub orphans: Orphans,
    /// The options as given.
    pub options: &'a serde_json::Value,
}

/// One validation row.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// 1-based.
    pub load_order: i32,
    /// As regclass prints it.
    pub table_name: String,
    /// Rows in the SQLite table.
    pub source_rows: i64,
    /// Rows written.
    pub imported_rows: i64,
    /// Rows set aside.
    pub rejected_rows: i64,
    /// Rows in the target afterwards.
    pub target_rows: i64,
    /// Rows that point at a missing parent.
    pub orphan_rows: i64,
    /// What was read back equals what was sent; `None` where nobody asked.
    pub content_match: Option<bool>,
    /// What `nextval()` will give.
    pub sequence_next: Option<i64>,
    /// Time spent on this table in all phases.
    pub elapsed: Duration,
    warnings: Vec<Finding>,
    path: &'static str,
    digest: Option<TableDigest>,
}

impl TableRow {
    fn new(load_order: usize, table: &TablePlan) -> Self {
        TableRow {
            load_order: i32::try_from(load_order).unwrap_or(i32::MAX),
            table_name: table.target.to_string(),
            source_rows: 0,
            imported_rows: 0,
            rejected_rows: 0,
            target_rows: 0,
            orphan_rows: 0,
            content_match: None,
            sequence_next: None,
            elapsed: Duration::ZERO,
            warnings: table.findings.clone(),
            path: "none",
            digest: None,
        }
    }

    /// `ok`, `warning` or `failed`.
    pub fn status(&self) -> &'static str {
        if self.content_match == Some(false) {
            "failed"
        } else if self.warnings.iter().any(|w| w.severity >= Severity::Warning) {
            "warning"
        } else {
            "ok"
        }
    }

    /// The detail column.
    pub fn detail(&self) -> serde_json::Value {
        let warnings: Vec<serde_json::Value> = self.warnings.iter().map(finding_json).collect();
        let lossy: u64 = self.warnings.iter().filter(|w| w.code != "not_carried").filter_map(|w| w.count).sum();
        json!({
            "warnings": warnings,
            "inserted": self.imported_rows,
            "lossy": lossy,
            "path": self.path,
            "digest": self.digest.as_ref().map(ToString::to_string),
        })
    }
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    json!({
        "code": finding.code,
        "severity": finding.severity.as_str(),
        "message": finding.message,
        "column": finding.column,
        "count": finding.count,
    })
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One a table, in load order.
    pub rows: Vec<TableRow>,
    /// Size of the source in bytes.
    pub source_bytes: i64,
    /// What the source file looked like.
    pub source_fingerprint: String,
    /// The error of a dry run that would have failed.
    pub error: Option<String>,
}

impl Outcome {
    /// `ok`, `warning` or `failed`, for the history.
    pub fn status(&self) -> &'static str {
        if self.error.is_some() || self.rows.iter().any(|r| r.status() == "failed") {
            "failed"
        } else if self.rows.iter().any(|r| r.status() == "warning") {
            "warning"
        } else {
            "ok"
        }
    }
}

/// Runs one import.
pub fn import(request: &Request<'_>) -> Result<Vec<TableRow>> {
    super::compat::prevent_if_read_only(c"aliaport_import()");
    // The role and the path come first: without the right to read files, nothing else is answered.
    access::source_path(request.path)?;
    let schema = target::schema(request.target_schema)?;
    lock(&schema)?;
    let facts = history::Facts {
        path: request.path,
        target_schema: &schema,
        mode: request.mode.as_str(),
        dry_run: request.dry_run,
        options: request.options,
        started_at: clock_timestamp(),
    };
    let run_id = history::begin(&facts)?;
    let work = || run(request, &schema, run_id);
    let outcome = if request.dry_run { subxact::within(subxact::Outcome::Undo, work)? } else { work()? };
    history::end(run_id, &outcome, !request.dry_run)?;
    Ok(outcome.rows)
}

fn clock_timestamp() -> TimestampWithTimeZone {
    pgrx::datum::datetime_support::clock_timestamp()
}

/// One import a target schema at a time, until the end of the transaction.
fn lock(schema: &str) -> Result<()> {
    // The class of advisory locks that is ours: "alia" in ASCII.
    const LOCK_CLASS: i32 = 0x616c_6961;
    let got = spi::one::<bool>(
        "SELECT pg_catalog.pg_try_advisory_xact_lock($1, oid::int) FROM pg_catalog.pg_namespace WHERE nspname = $2",
        &[LOCK_CLASS.into(), schema.to_owned().into()],
    )?;
    if got == Some(true) {
        return Ok(());
    }
    let holder = spi::one::<String>(
        "SELECT pg_catalog.format('Process %s (role %s) has been importing into it since %s.', l.pid, a.usename, a.xact_start) \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         JOIN pg_catalog.pg_namespace n ON n.nspname = $2 AND l.objid = n.oid \
         WHERE l.locktype = 'advisory' AND l.classid = $1::oid AND l.granted \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) LIMIT 1",
        &[LOCK_CLASS.into(), schema.to_owned().into()],
    )?;
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        format!("another import into schema \"{schema}\" is running"),
    )
    .detail(holder.unwrap_or_else(|| "It ended a moment ago.".to_owned()))
    .hint("Wait for it to end, or import into another schema."))
}

fn run(request: &Request<'_>, schema: &str, run_id: i64) -> Result<Outcome> {
    let planned = planning::plan(request.path, schema, request.mode, request.options)?;
    let mut import = Import::new(request, run_id, &planned)?;
    for step in &planned.plan.steps {
        import.step(step)?;
    }
    if !import.failed_keys.is_empty() {
        return Err(finish::orphan_error(&finish::orphaned(&planned.plan)?));
    }
    planned.source.verify_unchanged()?;
    import.complete()
}

/// The state of one import on its way through the plan's steps.
struct Import<'a> {
    request: &'a Request<'a>,
    run_id: i64,
    planned: &'a Planned,
    zone: Zone,
    rows: Vec<TableRow>,
    /// Foreign keys that could not be made, by the constraint's name.
    failed_keys: Vec<String>,
}

impl<'a> Import<'a> {
    fn new(request: &'a Request<'a>, run_id: i64, planned: &'a Planned) -> Result<Self> {
        let zone = Zone::parse(&planned.plan.timezone).map_err(unexpected)?;
        let mut rows: Vec<TableRow> =
            planned.plan.tables.iter().enumerate().map(|(i, t)| TableRow::new(i + 1, t)).collect();
        // What belongs to no table (views, virtual tables) is said in the first row: a run has no row of its own.
        if let Some(first) = rows.first_mut() {
            first.warnings.extend(planned.plan.findings.iter().cloned());
        }
        Ok(Import { request, run_id, planned, zone, rows, failed_keys: Vec::new() })
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let begun = Instant::now();
        match (step.action, step.table) {
            (Action::Skip, _) => return Ok(()),
            (Action::Load, Some(table)) => self.load(table)?,
            (Action::SetSequence, Some(table)) => self.set_sequence(table)?,
            (Action::AddForeignKey, Some(table)) => self.add_foreign_key(table, step)?,
            _ => {
                let place = || match step.table.and_then(|t| self.planned.plan.tables.get(t)) {
                    Some(table) => format!("SQLite table \"{}\", statement: {}.", table.source, step.sql),
                    None => format!("Statement: {}.", step.sql),
                };
                error::located(place, || spi::run(&step.sql))?;
            }
        }
        if let Some(row) = step.table.and_then(|t| self.rows.get_mut(t)) {
            row.elapsed += begun.elapsed();
        }
        Ok(())
    }

    fn load(&mut self, index: usize) -> Result<()> {
        let (Some(plan), Some(row)) = (self.planned.plan.tables.get(index), self.rows.get_mut(index)) else {
            return Err(unexpected("table number in a step"));
        };
        let verify = self.planned.options.verify;
        let relation = target::relation_oid(&plan.target.schema, &plan.target.name)?
            .ok_or_else(|| unexpected(format!("absence of relation {}", plan.target)))?;
        let table = self
            .planned
            .catalogue
            .tables
            .iter()
            .find(|t| t.name == plan.source)
            .ok_or_else(|| unexpected("table that the source does not have"))?;
        let columns: Vec<usize> = plan
            .columns
            .iter()
            .map(|c| table.columns.iter().position(|s| s.name == c.source))
            .collect::<Option<_>>()
            .ok_or_else(|| unexpected("column that the source does not have"))?;
        let use_executor = target::needs_executor(relation, self.planned.options.triggers)?;
        // Rows that are there already count neither for nor against this run.
        let before = match (plan.is_created, verify) {
            (true, _) | (_, Verify::Count | Verify::None) => TableDigest::default(),
            (false, Verify::Content) => readback::digest(relation, plan)?,
        };
        let rejected = RefCell::new(0u64);
        let run_id = self.run_id;
        let mut set_aside = |entries: Vec<_>| {
            *rejected.borrow_mut() += entries.len() as u64;
            history::set_aside(run_id, &plan.source, entries)
        };
        let policy = Policy {
            on_error: self.request.on_error,
            zone: &self.zone,
            with_digest: verify == Verify::Content,
            set_aside: &mut set_aside,
        };
        let reader = self.planned.source.rows_where(table, &columns, plan.filter.as_deref())?;
        let loaded = if use_executor {
            executor::insert(reader, plan, relation, policy)?
        } else {
            load::bulk(reader, plan, relation, plan.is_created, policy)?
        };
        super::compat::command_counter_increment();
        row.path = if use_executor { "executor" } else { "bulk" };
        record(row, &loaded, rejected.into_inner());
        match verify {
            Verify::Content => {
                let after = readback::digest(relation, plan)?;
                row.target_rows = signed(after.rows);
                let mut expected = before;
                expected.merge(loaded.converter.digest());
                row.content_match = Some(after == expected);
                row.digest = Some(*loaded.converter.digest());
                if after != expected && !self.request.dry_run {
                    return Err(content_error(plan, &loaded));
                }
            }
            Verify::Count | Verify::None => {
                let sql = format!("SELECT pg_catalog.count(*) FROM {}", plan.target);
                row.target_rows = spi::one::<i64>(&sql, &[])?.unwrap_or(0);
            }
        }
        Ok(())
    }

    fn set_sequence(&mut self, index: usize) -> Result<()> {
        let (Some(plan), Some(row)) = (self.planned.plan.tables.get(index), self.rows.get_mut(index)) else {
            return Err(unexpected("table number in a step"));
        };
        if let Some(sequence) = &plan.sequence {
            row.sequence_next = finish::set_sequence(plan, sequence)?;
        }
        Ok(())
    }

    /// Adds a foreign key and lets PostgreSQL validate it set-wise. Where that finds an orphan, the rest of the keys is still
    /// tried, because the error names every one of them.
    fn add_foreign_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let result = subxact::within(subxact::Outcome::Keep, || spi::run(&step.sql));
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.code() == PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION => {
                self.failed_keys.push(step.object.clone());
                Ok(())
            }
            Err(error) => {
                let source = self.planned.plan.tables.get(index).map_or("", |t| t.source.as_str());
                Err(error.detail(format!("SQLite table \"{source}\", statement: {}.", step.sql)))
            }
        }
    }

    fn complete(mut self) -> Result<Outcome> {
        for (row, table) in self.rows.iter_mut().zip(&self.planned.plan.tables) {
            row.table_name = spi::one::<String>(
                "SELECT pg_catalog.to_regclass($1)::text",
                &[table.target.to_string().into()],
            )?
            .unwrap_or_else(|| table.target.to_string());
        }
        Ok(Outcome {
            rows: self.rows,
            source_bytes: signed(self.planned.source.size_bytes()),
            source_fingerprint: self.planned.source.fingerprint(),
            error: None,
        })
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
    for (code, message, count) in [
        ("rejected", "rows were set aside in aliaport.rejected_row", loaded.rejected_rows),
        ("nulled", "values became NULL; their originals are in aliaport.rejected_row", nulled),
    ] {
        if count > 0 {
            row.warnings.push(Finding {
                severity: Severity::Warning,
                code,
                table: None,
                column: None,
                message: message.to_owned(),
                count: Some(count),
            });
        }
    }
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

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
