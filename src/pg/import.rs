//! One import from beginning to end, inside the caller's transaction: lock, plan, load, finish, verify,
//! record.
//!
//! Here is the order of things; each kind of step is in a file of its own below.

mod duplicates;
mod existing;
mod hold;
mod keys;
mod lock;
mod orphans;
mod partial;
mod rehearsal;
mod table;
mod unchanged;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use aliaport_plan::catalogue::{Catalogue, Table};
use aliaport_plan::finding::Load;
use aliaport_plan::option::Options;
use aliaport_plan::plan::{Action, ForeignKeyPlan, Plan, SequencePlan, Step, TablePlan};
use aliaport_plan::policy::{Mode, Orphans};
use aliaport_plan::sequence::Used;
use aliaport_rows::convert::Zone;
use aliaport_sqlite::Source;
use pgrx::pg_sys;
use pgrx::prelude::PgSqlErrorCode;

use self::existing::Staged;
use crate::pg::heap::pipeline;
use crate::pg::heap::standing::{self, Standing};
use crate::pg::planning::{self, Planned};
use crate::pg::record::outcome::{Outcome, TableRow};
use crate::pg::record::{history, progress};
use crate::pg::server::count::signed;
use crate::pg::server::error::{self, Error, Result, unexpected};
use crate::pg::server::{access, compat, locks, memory, spi, subxact};
use crate::pg::table::foreign_key::TargetForeignKey;
use crate::pg::table::sequence::Behind;
use crate::pg::table::{foreign_key, missing, orphan, past, schema, target};
use aliaport_rows::row::OnError;

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

/// Runs one import.
pub fn import(request: &Request<'_>) -> Result<Vec<TableRow>> {
    require_writable()?;
    // The role comes first: without the right to read files, nothing else is answered and no run begins.
    access::require_read_server_files()?;
    pipeline::refuse_nested()?;
    let schema = schema::schema_of_argument(request.target_schema)?;
    let run = history::Run::begin(&history::RunFacts {
        path: request.path,
        target_schema: &schema,
        mode: request.mode.as_str(),
        dry_run: request.dry_run,
        on_error: request.on_error.as_str(),
        orphans: request.orphans.as_str(),
        options: request.options,
    })?;
    let whole = || {
        let outcome = begun(request, &schema, &run)?;
        run.end(&outcome)?;
        Ok(outcome.rows)
    };
    error::observed(whole, |error| run.fail(error))
}

/// Refuses a transaction that may not write.
fn require_writable() -> Result<()> {
    if !compat::is_read_only() {
        return Ok(());
    }
    let (detail, hint) = if compat::is_standby() {
        (
            "This server is a standby, and takes no writes of its own.",
            "Connect to the primary server and import there.",
        )
    } else {
        (
            "The import writes tables and its history, also in a dry run.",
            "Begin the transaction with BEGIN READ WRITE;, or look at default_transaction_read_only; aliaport_inspect() and aliaport_plan() work here.",
        )
    };
    Err(Error::new(
        pgrx::PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        "cannot execute aliaport_import() in a read-only transaction",
    )
    .detail(detail)
    .hint(hint))
}

/// From here on a failure leaves a row in `aliaport.run`.
fn begun(request: &Request<'_>, schema: &str, run: &history::Run) -> Result<Outcome> {
    access::source_path(request.path)?;
    lock::schema(schema)?;
    let work = || work(request, schema, run);
    if !request.dry_run {
        return work();
    }
    let mut outcome = subxact::within(subxact::AtEnd::Undo, work)?;
    rehearsal::count_failed(&mut outcome)?;
    Ok(outcome)
}

fn work(request: &Request<'_>, schema: &str, run: &history::Run) -> Result<Outcome> {
    let Planned { mut source, catalogue, mut plan, options, shapes } =
        planning::plan(request.path, schema, request.mode, request.options)?;
    let schemas: BTreeSet<&str> = plan.tables.iter().map(|t| t.target.schema.as_str()).collect();
    schemas.into_iter().filter(|other| *other != schema).try_for_each(lock::schema)?;
    run.note_source(signed(source.size_bytes()), &source.fingerprint());
    locks::require(&plan)?;
    for table in plan.tables.iter_mut().filter(|t| !t.is_created) {
        foreign_key::add_foreign_keys(table)?;
    }
    let estimates = estimates(&source, &catalogue, &plan);
    progress::plan(&plan, &estimates, source.size_bytes());
    let zone = Zone::parse(&plan.timezone).map_err(unexpected)?;
    let mut rows: Vec<TableRow> =
        plan.tables.iter().enumerate().map(|(i, t)| TableRow::new(i + 1, t)).collect();
    for (row, table) in rows.iter_mut().zip(&plan.tables) {
        row.table_name = target::printed_name(&table.target)?;
    }
    let mut import = Import {
        request,
        schema,
        run,
        source: &mut source,
        catalogue: &catalogue,
        plan: &plan,
        options: &options,
        shapes: &shapes,
        estimates,
        zone,
        rows,
        orphans_are_settled: false,
        has_orphans: false,
        is_truncated: false,
        staged: BTreeMap::new(),
        kept: Vec::new(),
        references: Vec::new(),
        put_off: RefCell::default(),
        written: Vec::new(),
        shrunk: Vec::new(),
        current: None,
        fed: Vec::new(),
        keys_in_source: BTreeMap::new(),
        content: None,
        is_unchanged: false,
        standings: BTreeMap::new(),
        failed: BTreeSet::new(),
    };
    for finding in &plan.findings {
        // What belongs to no table that is loaded (views, virtual tables) is said in the first row: a run has
        // none of its own.
        let index = plan.tables.iter().position(|t| Some(&t.source) == finding.table.as_ref()).unwrap_or(0);
        match import.rows.get_mut(index) {
            Some(row) => row.warnings.push(finding.clone()),
            // Nothing is loaded, so the result has no row to say it in.
            None => pgrx::warning!("{finding}"),
        }
    }
    if request.dry_run {
        // Inside the subtransaction that the caller undoes, so what was raised may be looked at.
        if let Err(error) = error::attempt(|| import.steps()) {
            return import.ended(error);
        }
    } else {
        import.steps()?;
    }
    import.complete()
}

/// The state of one import on its way through the plan's steps.
struct Import<'a> {
    request: &'a Request<'a>,
    schema: &'a str,
    run: &'a history::Run,
    source: &'a mut Source,
    catalogue: &'a Catalogue,
    plan: &'a Plan,
    options: &'a Options,
    /// What the tables were like that are there, when the plan was made.
    shapes: &'a target::Shapes,
    estimates: progress::Estimates,
    zone: Zone,
    rows: Vec<TableRow>,
    orphans_are_settled: bool,
    /// The table of the step that runs.
    current: Option<usize>,
    /// Orphans were found that abort the import. The rest of the keys is still tried: the error names every
    /// one of them.
    has_orphans: bool,
    /// The target tables were emptied by TRUNCATE.
    is_truncated: bool,
    /// Tables whose rows wait in a stage until orphans are settled, by number.
    staged: BTreeMap<usize, Staged>,
    /// Foreign keys whose orphans do not end the import, although nothing was done about them.
    kept: Vec<&'a ForeignKeyPlan>,
    /// The foreign keys that the target had before the run.
    references: Vec<TargetForeignKey>,
    /// Foreign keys that were put off by the run, with their schemas.
    put_off: RefCell<BTreeSet<String>>,
    /// Relations that got new or changed rows.
    written: Vec<pg_sys::Oid>,
    /// Relations that lost rows or changed them.
    shrunk: Vec<pg_sys::Oid>,
    /// What feeds the columns that have a sequence: table, sequence, and what was found. Empty until it is
    /// asked for.
    fed: Vec<(usize, &'a SequencePlan, Behind)>,
    /// The keys that the source had in such columns when it was let go of, by table number and column.
    keys_in_source: BTreeMap<(usize, String), Used>,
    /// The digest of the source's pages, where the run can be compared with others.
    content: Option<String>,
    /// There is nothing to do.
    is_unchanged: bool,
    /// How queries find the rows of tables, by number, where the planner has been asked.
    standings: BTreeMap<usize, Standing>,
    /// Tables that would have ended a real import, by number: a dry run goes on without them.
    failed: BTreeSet<usize>,
}

/// One table of the plan with what is needed to read and write it.
struct ImportedTable<'a> {
    plan: &'a TablePlan,
    table: &'a Table,
    columns: Vec<usize>,
    relation: pg_sys::Oid,
}

impl<'a> Import<'a> {
    fn subject(&self, index: usize) -> Result<ImportedTable<'a>> {
        let plan = self.plan.tables.get(index).ok_or_else(|| unexpected("table number in a step"))?;
        let table = self
            .catalogue
            .tables
            .iter()
            .find(|t| t.name == plan.source)
            .ok_or_else(|| unexpected("table that the source does not have"))?;
        let columns =
            plan.source_columns(table).ok_or_else(|| unexpected("column that the source does not have"))?;
        let relation = target::relation_oid(&plan.target.schema, &plan.target.name)?.ok_or_else(|| {
            error::gone(format!("relation {}", plan.target), PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE)
        })?;
        Ok(ImportedTable { plan, table, columns, relation })
    }

    /// How queries find the rows of a table.
    fn standing(&mut self, index: usize) -> Result<Standing> {
        if let Some(known) = self.standings.get(&index) {
            return Ok(*known);
        }
        let standing = standing::standing_of(self.subject(index)?.relation)?;
        self.standings.insert(index, standing);
        Ok(standing)
    }

    fn steps(&mut self) -> Result<()> {
        // Before the tables are locked: it takes a look at every page.
        self.look_at_source()?;
        self.take_hold()?;
        if self.find_unchanged()? {
            return Ok(());
        }
        self.require_sequences()?;
        self.tell_silent_triggers()?;
        for (number, step) in self.plan.steps.iter().enumerate() {
            self.let_go_of_source(self.plan.steps.get(number..).unwrap_or_default())?;
            self.current = step.table;
            self.tried(step.table, |import| import.step(step))?;
        }
        self.settle_orphans()?;
        if self.has_orphans && self.request.dry_run {
            self.fail_orphans()?;
        } else if self.has_orphans {
            self.current = None;
            return Err(orphan::abort_error(
                &self.fatal_views()?,
                self.request.orphans,
                &self.plan.elsewhere,
            )?);
        }
        self.look_again()?;
        Ok(self.source.verify_unchanged()?)
    }

    /// Gives the source's locks back when none of the steps to come can need a row of it: indexes and foreign
    /// keys take longest. Where a policy may still set rows aside, their originals are read again, from the
    /// same snapshot.
    fn let_go_of_source(&mut self, steps: &[Step]) -> Result<()> {
        // A key of a row in a stage can be there already, and the error says which row that is.
        let is_needed = steps.iter().any(|s| s.action == Action::Load)
            || (!self.orphans_are_settled && (!self.staged.is_empty() || self.may_set_aside()));
        if is_needed || self.source.has_ended() {
            return Ok(());
        }
        self.remember_keys()?;
        Ok(self.source.end_snapshot()?)
    }

    fn may_set_aside(&self) -> bool {
        let sets_aside = |policy| matches!(policy, Orphans::Reject | Orphans::Null);
        self.request.on_error != OnError::Abort
            || self.plan.tables.iter().any(|table| {
                table.foreign_keys.iter().any(|key| sets_aside(key.orphans.unwrap_or(self.request.orphans)))
            })
    }

    fn outcome(&mut self) -> Outcome {
        let error = self.failed.first().and_then(|&i| self.rows.get(i)?.failure.as_ref());
        let error = error.and_then(|e| e.get("message")?.as_str()).map(str::to_owned);
        Outcome {
            rows: std::mem::take(&mut self.rows),
            source_bytes: signed(self.source.size_bytes()),
            source_fingerprint: self.source.fingerprint(),
            error,
            is_unchanged: self.is_unchanged,
            state: None,
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        if step.action >= Action::AddForeignKey {
            self.settle_orphans()?;
        }
        progress::step(step, self.plan, &self.estimates);
        let begun = Instant::now();
        match (step.action, step.table) {
            (Action::Skip, _) => return Ok(()),
            // The counts that ANALYZE reports (n_live_tup, last_analyze) are not undone with the transaction.
            (Action::Analyze, _) if self.request.dry_run => return Ok(()),
            (Action::Analyze, Some(table)) => self.analyze(table, step)?,
            (Action::Truncate, Some(table)) => self.delete_all(table, step)?,
            (Action::Load, Some(table)) => self.load(table)?,
            (Action::SetSequence, Some(table)) => self.set_sequences(table)?,
            (Action::AddForeignKey, Some(table)) => self.add_foreign_key(table, step)?,
            (_, Some(table)) if step.unique.is_some() && self.request.on_error != OnError::Abort => {
                self.add_unique_key(table, step)?;
            }
            (Action::Truncate, None) => {
                self.truncate_all(step)?;
                self.is_truncated = true;
            }
            (Action::AddPrimaryKey | Action::AddUnique | Action::CreateIndex, Some(table)) => {
                self.build_index(table, step)?;
            }
            _ => self.statement(step)?,
        }
        if let Some(row) = step.table.and_then(|t| self.rows.get_mut(t)) {
            let time = begun.elapsed();
            row.took(step.action, time);
            if step.action == Action::Load {
                row.notice(time);
            }
        }
        Ok(())
    }

    fn statement(&self, step: &Step) -> Result<()> {
        let place = || match step.table.and_then(|t| self.plan.tables.get(t)) {
            Some(table) => format!("SQLite table \"{}\", statement: {}.", table.source, step.sql),
            None => format!("Statement: {}.", step.sql),
        };
        // TRUNCATE fires triggers and ANALYZE evaluates the indexes of the caller's tables. The rest makes
        // objects of names that are written in full, and of expressions that must not find their operators
        // anywhere else.
        let run = || match step.action {
            Action::Truncate | Action::Analyze => spi::run_for_caller(&step.sql),
            _ => spi::run(&step.sql),
        };
        error::located(self.request.on_error, place, || match step.action {
            Action::AddPrimaryKey | Action::AddUnique | Action::CreateIndex => memory::for_indexes(run),
            _ => run(),
        })
    }

    /// Gathers statistics, in mode sync only where more has changed than autovacuum would wait for. Where
    /// another extension keeps the rows it may refuse to do so in a transaction that has written them: that
    /// is said, and no reason to undo the import.
    fn analyze(&mut self, index: usize, step: &Step) -> Result<()> {
        if let Some(row) = self.rows.get(index)
            && self.request.mode == Mode::Sync
            && let Some(changed) = row.changed()
            && target::has_statistics_for(self.subject(index)?.relation, changed)?
        {
            return Ok(());
        }
        if !self.standing(index)?.is_elsewhere() {
            return self.statement(step);
        }
        let Err(error) = subxact::within(subxact::AtEnd::Keep, || self.statement(step)) else {
            return Ok(());
        };
        if let Some(row) = self.rows.get_mut(index) {
            row.warn(Load::NotAnalyzed(error.message().to_owned(), step.sql.clone()), 1);
        }
        Ok(())
    }

    /// Foreign keys that existing tables lack: the rows decide how the statement reads that makes them.
    fn settle_missing(&mut self) -> Result<()> {
        if self.is_unchanged {
            return Ok(());
        }
        for missing in &self.plan.missing {
            let (Some(refers), Some(row)) = (&missing.refers, self.rows.get_mut(missing.table)) else {
                continue;
            };
            let statement = missing::statement(self.plan, missing, refers)?;
            if let Some(warning) = row.warnings.iter_mut().find(|w| **w == missing.finding) {
                warning.instead = statement;
            }
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Outcome> {
        self.settle_missing()?;
        let state = self.state()?;
        if !self.request.dry_run {
            past::record(self.run.id(), self.plan)?;
        }
        Ok(Outcome { state, ..self.outcome() })
    }
}

/// About how many rows the plan's tables have. A filter leaves some out, nobody knows how many.
fn estimates(source: &Source, catalogue: &Catalogue, plan: &Plan) -> progress::Estimates {
    let loaded = plan.tables.iter().filter(|t| t.filter.is_none());
    loaded
        .filter_map(|t| {
            let table = catalogue.tables.iter().find(|s| s.name == t.source)?;
            Some((t.source.clone(), source.estimated_rows(table)?))
        })
        .collect()
}
