//! One import from beginning to end, inside the caller's transaction: lock, plan, load, finish, verify, record.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use aliaport_plan::build::Mode;
use aliaport_plan::catalogue::{Catalogue, Table};
use aliaport_plan::convert::Zone;
use aliaport_plan::digest::TableDigest;
use aliaport_plan::finding::{Finding, Severity};
use aliaport_plan::name::quote;
use aliaport_plan::option::{Options, Orphans, Verify};
use aliaport_plan::plan::{Action, Plan, Step, TablePlan};
use aliaport_sqlite::Source;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::json;

use super::error::{self, Error, Result, unexpected};
use super::load::{self, Loaded, Policy};
use super::planning::{self, Planned};
use super::row::{OnError, SetAside};
use super::target::Path;
use super::{access, executor, finish, history, original, orphan, readback, spi, subxact, target};

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
    /// How the rows got into the table; `None` until they are loaded.
    path: Option<&'static str>,
    digest: Option<TableDigest>,
    /// What stopped a dry run at this table.
    failure: Option<serde_json::Value>,
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
            path: None,
            digest: None,
            failure: None,
        }
    }

    fn warn(&mut self, code: &'static str, message: &str, count: i64) {
        if count > 0 {
            self.warnings.push(Finding {
                severity: Severity::Warning,
                code,
                table: None,
                column: None,
                message: message.to_owned(),
                count: u64::try_from(count).ok(),
            });
        }
    }

    /// `ok`, `warning` or `failed`.
    pub fn status(&self) -> &'static str {
        if self.content_match == Some(false) || self.failure.is_some() {
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
        let lossy: u64 =
            self.warnings.iter().filter(|w| w.code != "not_carried").filter_map(|w| w.count).sum();
        let mut detail = json!({
            "warnings": warnings,
            "inserted": self.imported_rows,
            "lossy": lossy,
            "path": self.path,
            "digest": self.digest.as_ref().map(ToString::to_string),
        });
        if let (Some(failure), Some(detail)) = (&self.failure, detail.as_object_mut()) {
            detail.insert("error".to_owned(), failure.clone());
        }
        detail
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
    refuse_unfinished(request)?;
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
    let Planned { mut source, catalogue, mut plan, options } =
        planning::plan(request.path, schema, request.mode, request.options)?;
    for table in plan.tables.iter_mut().filter(|t| !t.is_created) {
        target::add_foreign_keys(table)?;
    }
    let zone = Zone::parse(&plan.timezone).map_err(unexpected)?;
    let rows = plan.tables.iter().enumerate().map(|(i, t)| TableRow::new(i + 1, t)).collect();
    let mut import = Import {
        request,
        run_id,
        source: &mut source,
        catalogue: &catalogue,
        plan: &plan,
        options: &options,
        zone,
        rows,
        orphans_are_settled: false,
        has_orphans: false,
        current: None,
    };
    for finding in &plan.findings {
        // What belongs to no table that is loaded (views, virtual tables) is said in the first row: a run has none of its own.
        let index = plan.tables.iter().position(|t| Some(&t.source) == finding.table.as_ref()).unwrap_or(0);
        if let Some(row) = import.rows.get_mut(index) {
            row.warnings.push(finding.clone());
        }
    }
    if request.dry_run {
        // Inside the subtransaction that the caller undoes, so what was raised may be looked at.
        if let Err(error) = error::attempt(|| import.steps()) {
            return Ok(import.failed(&error));
        }
    } else {
        import.steps()?;
    }
    import.complete()
}

/// What the interface describes and this version does not do yet.
fn refuse_unfinished(request: &Request<'_>) -> Result<()> {
    if request.mode == Mode::Sync {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "mode \"sync\" is not supported yet",
        )
        .detail("This version of aliaport_import creates, appends and replaces.")
        .hint("Use mode => 'replace'."));
    }
    Ok(())
}

/// The state of one import on its way through the plan's steps.
struct Import<'a> {
    request: &'a Request<'a>,
    run_id: i64,
    source: &'a mut Source,
    catalogue: &'a Catalogue,
    plan: &'a Plan,
    options: &'a Options,
    zone: Zone,
    rows: Vec<TableRow>,
    orphans_are_settled: bool,
    /// The table of the step that runs.
    current: Option<usize>,
    /// Orphans were found that abort the import. The rest of the keys is still tried: the error names every one of them.
    has_orphans: bool,
}

/// One table of the plan with what is needed to read and write it.
struct Subject<'a> {
    plan: &'a TablePlan,
    table: &'a Table,
    columns: Vec<usize>,
    relation: pg_sys::Oid,
}

impl<'a> Import<'a> {
    fn subject(&self, index: usize) -> Result<Subject<'a>> {
        let plan = self.plan.tables.get(index).ok_or_else(|| unexpected("table number in a step"))?;
        let table = self
            .catalogue
            .tables
            .iter()
            .find(|t| t.name == plan.source)
            .ok_or_else(|| unexpected("table that the source does not have"))?;
        let columns = plan
            .columns
            .iter()
            .map(|c| table.columns.iter().position(|s| s.name == c.source))
            .collect::<Option<_>>()
            .ok_or_else(|| unexpected("column that the source does not have"))?;
        let relation = target::relation_oid(&plan.target.schema, &plan.target.name)?
            .ok_or_else(|| unexpected(format!("absence of relation {}", plan.target)))?;
        Ok(Subject { plan, table, columns, relation })
    }

    fn steps(&mut self) -> Result<()> {
        for step in &self.plan.steps {
            self.current = step.table;
            self.step(step)?;
        }
        self.settle_orphans()?;
        if self.has_orphans {
            self.current = None;
            return Err(orphan::abort_error(self.plan)?);
        }
        Ok(self.source.verify_unchanged()?)
    }

    /// What a dry run says instead of raising: the tables that were reached, and the one that stopped it.
    fn failed(mut self, error: &Error) -> Outcome {
        let culprit = self.current.or_else(|| self.rows.iter().position(|r| r.orphan_rows > 0)).unwrap_or(0);
        if let Some(row) = self.rows.get_mut(culprit) {
            row.failure = Some(error.to_json());
        }
        self.rows.retain(|r| r.path.is_some() || r.failure.is_some());
        Outcome { error: Some(error.message().to_owned()), ..self.outcome() }
    }

    fn outcome(&mut self) -> Outcome {
        Outcome {
            rows: std::mem::take(&mut self.rows),
            source_bytes: signed(self.source.size_bytes()),
            source_fingerprint: self.source.fingerprint(),
            error: None,
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        if step.action >= Action::AddForeignKey {
            self.settle_orphans()?;
        }
        let begun = Instant::now();
        match (step.action, step.table) {
            (Action::Skip, _) => return Ok(()),
            (Action::Load, Some(table)) => self.load(table)?,
            (Action::SetSequence, Some(table)) => self.set_sequence(table)?,
            (Action::AddForeignKey, Some(table)) => self.add_foreign_key(table, step)?,
            (_, Some(table)) if step.unique.is_some() && self.request.on_error != OnError::Abort => {
                self.add_unique_key(table, step)?;
            }
            _ => self.statement(step)?,
        }
        if let Some(row) = step.table.and_then(|t| self.rows.get_mut(t)) {
            row.elapsed += begun.elapsed();
        }
        Ok(())
    }

    fn statement(&self, step: &Step) -> Result<()> {
        let place = || match step.table.and_then(|t| self.plan.tables.get(t)) {
            Some(table) => format!("SQLite table \"{}\", statement: {}.", table.source, step.sql),
            None => format!("Statement: {}.", step.sql),
        };
        error::located(place, || spi::run(&step.sql))
    }

    /// Makes a unique key; rows that stand in its way are set aside.
    fn add_unique_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Err(error) = subxact::within(subxact::Outcome::Keep, || spi::run(&step.sql)) else {
            return Ok(());
        };
        let (Some(table), Some(unique)) = (self.plan.tables.get(index), &step.unique) else {
            return Err(error);
        };
        if error.code() != PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION {
            return Err(error);
        }
        let unwanted = orphan::duplicates(table, &step.object, unique)?;
        let rejected = self.set_aside(index, &unwanted)?;
        if let Some(row) = self.rows.get_mut(index) {
            row.warn("duplicate_key", "rows with a key that is there already were set aside", rejected);
        }
        self.statement(step)
    }

    /// Records rows that are not wanted as they are, then deletes or changes them. Gives the number of rejected rows.
    fn set_aside(&mut self, index: usize, unwanted: &[orphan::Unwanted]) -> Result<i64> {
        let Subject { plan, table, columns, relation } = self.subject(index)?;
        let entries =
            original::set_aside(self.source, table, &columns, plan, &self.zone, relation, unwanted)?;
        history::set_aside(self.run_id, &plan.source, entries)?;
        let deleted = orphan::apply(plan, unwanted)?;
        super::compat::command_counter_increment();
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
    fn settle_orphans(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.orphans_are_settled, true) {
            return Ok(());
        }
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

    fn load(&mut self, index: usize) -> Result<()> {
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
        let run_id = self.run_id;
        let mut set_aside = |entries: Vec<SetAside>| {
            *rejected.borrow_mut() += entries.len() as u64;
            history::set_aside(run_id, &plan.source, entries)
        };
        let policy = Policy {
            on_error: self.request.on_error,
            zone: &self.zone,
            with_digest: verify == Verify::Content,
            set_aside: &mut set_aside,
        };
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
                for (name, clause) in &silenced {
                    spi::run(&format!("ALTER TABLE {} {clause} {}", plan.target, quote(name)))?;
                }
                loaded
            }
            Path::Bulk { has_indexes } => {
                let is_new = plan.is_created || self.request.mode == Mode::Replace;
                let loaded = load::bulk(reader, plan, relation, is_new, policy)?;
                super::compat::command_counter_increment();
                if has_indexes {
                    // Sorting all keys at once is faster than inserting them one by one, and checks uniqueness as well.
                    let place =
                        || format!("SQLite table \"{}\", while its indexes were rebuilt.", plan.source);
                    error::located(place, || spi::run(&format!("REINDEX TABLE {}", plan.target)))?;
                }
                loaded
            }
        };
        super::compat::command_counter_increment();
        row.path = Some(path.as_str());
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
        let (Some(plan), Some(row)) = (self.plan.tables.get(index), self.rows.get_mut(index)) else {
            return Err(unexpected("table number in a step"));
        };
        if let Some(sequence) = &plan.sequence {
            row.sequence_next = finish::set_sequence(plan, sequence)?;
        }
        Ok(())
    }

    /// Adds a foreign key and lets PostgreSQL validate it set-wise.
    fn add_foreign_key(&mut self, index: usize, step: &Step) -> Result<()> {
        let Some(table) = self.plan.tables.get(index) else {
            return Err(unexpected("table number in a step"));
        };
        let Err(error) = subxact::within(subxact::Outcome::Keep, || spi::run(&step.sql)) else {
            return Ok(());
        };
        if error.code() != PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION {
            return Err(error.detail(format!("SQLite table \"{}\", statement: {}.", table.source, step.sql)));
        }
        let key = table
            .foreign_keys
            .iter()
            .find(|k| quote(&k.name) == step.object)
            .ok_or_else(|| unexpected(format!("absence of foreign key {}", step.object)))?;
        let count = orphan::count(&table.target, key)?;
        if key.orphans.unwrap_or(self.request.orphans) != Orphans::Keep {
            self.has_orphans = true;
            if let Some(row) = self.rows.get_mut(index) {
                row.orphan_rows += count;
            }
            return Ok(());
        }
        spi::run(&format!("{} NOT VALID", step.sql))?;
        if let Some(row) = self.rows.get_mut(index) {
            row.orphan_rows += count;
            row.warn("orphan_rows", "rows point at a missing parent; their foreign key is NOT VALID", count);
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Outcome> {
        for (row, table) in self.rows.iter_mut().zip(&self.plan.tables) {
            row.table_name = spi::one::<String>(
                "SELECT pg_catalog.to_regclass($1)::text",
                &[table.target.to_string().into()],
            )?
            .unwrap_or_else(|| table.target.to_string());
        }
        Ok(self.outcome())
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

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
