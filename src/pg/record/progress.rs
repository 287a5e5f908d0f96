//! How far a run has come, for other sessions: view `aliaport.progress`, and PostgreSQL's own
//! `pg_stat_progress_copy`.
//!
//! The numbers are in the run's shared memory ([`super::segment`]). Other sessions find it by an advisory
//! lock that the transaction holds, whose key is the segment's handle. They cannot see the catalogue entries
//! of tables that the import has just made, so the table's name is among the numbers.
#![allow(unsafe_code)] // calls PostgreSQL's progress reporting and asks for a role's memberships

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use aliaport_plan::plan::{Action, Plan, Step};
use pgrx::pg_sys;

use super::segment::{Live, Segment};
use crate::pg::server::count::signed;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// The class of advisory locks that tell where a run's shared memory is: "alip" in ASCII.
const LOCK_CLASS: i32 = 0x616c_6970;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opens the source, reads both catalogues, plans, makes or empties tables.
    Prepare = 0,
    /// Rows go from SQLite into a table.
    Load = 1,
    /// A table is read back and compared.
    Verify = 2,
    /// Keys and indexes are built.
    Index = 3,
    /// Orphans are looked for and foreign keys added.
    ForeignKeys = 4,
    /// Sequences are set, tables analysed.
    Finish = 5,
}

impl Phase {
    fn word(number: u32) -> &'static str {
        match number {
            0 => "prepare",
            1 => "load",
            2 => "verify",
            3 => "index",
            4 => "foreign keys",
            _ => "finish",
        }
    }

    fn for_action(action: Action) -> Self {
        match action {
            Action::Skip | Action::CreateTable | Action::Truncate => Phase::Prepare,
            Action::Load => Phase::Load,
            Action::AddPrimaryKey | Action::AddUnique | Action::CreateIndex => Phase::Index,
            Action::AddForeignKey => Phase::ForeignKeys,
            Action::SetSequence | Action::Analyze => Phase::Finish,
        }
    }
}

/// How long a step takes, in thousandths of what loading as many rows does: about what was measured with 20
/// columns.
fn weight(action: Action) -> i64 {
    match action {
        Action::Load => 1000,
        Action::AddPrimaryKey | Action::AddUnique | Action::CreateIndex => 150,
        Action::AddForeignKey => 50,
        Action::Analyze => 30,
        Action::Skip | Action::CreateTable | Action::Truncate | Action::SetSequence => 0,
    }
}

/// About how many rows the tables of a plan have, by SQLite name.
pub type Estimates = HashMap<String, u64>;

fn with(f: impl FnOnce(&Live)) {
    if let Some(segment) = Segment::current() {
        f(segment.live());
    }
}

/// The run has its number: other sessions may see it until the transaction ends.
pub fn begin(run_id: i64, started_at: f64) -> Result<()> {
    let Some(segment) = Segment::current() else { return Ok(()) };
    let live = segment.live();
    live.run_id.store(run_id, Relaxed);
    live.started_at.store((started_at * 1e6) as i64, Relaxed);
    for unknown in [&live.rows_total, &live.rows_overall] {
        unknown.store(-1, Relaxed);
    }
    spi::run_with(
        "SELECT pg_catalog.pg_advisory_xact_lock($1, $2)",
        &[LOCK_CLASS.into(), segment.handle().cast_signed().into()],
    )
}

/// The plan is made.
pub fn plan(plan: &Plan, estimates: &Estimates, source_bytes: u64) {
    with(|live| {
        // Rowids may span all 64 bits, and with them the estimate of each table.
        let mut tables = plan.tables.iter().map(|t| estimates.get(&t.source));
        let rows = tables.try_fold(0u64, |sum, rows| Some(sum.saturating_add(*rows?)));
        live.rows_overall.store(rows.map_or(-1, signed), Relaxed);
        live.source_bytes.store(signed(source_bytes), Relaxed);
        let work = plan.steps.iter().map(|s| work(s, plan, estimates)).fold(0, i64::saturating_add);
        live.work_total.store(work, Relaxed);
    });
}

fn work(step: &Step, plan: &Plan, estimates: &Estimates) -> i64 {
    let table = step.table.and_then(|t| plan.tables.get(t));
    let rows = table.and_then(|t| estimates.get(&t.source)).copied().unwrap_or(0);
    weight(step.action).saturating_mul(signed(rows).saturating_add(1))
}

/// A step begins, and the one before it has ended.
pub fn step(step: &Step, plan: &Plan, estimates: &Estimates) {
    with(|live| {
        live.work_done.fetch_add(live.work_step.load(Relaxed), Relaxed);
        live.work_step.store(work(step, plan, estimates), Relaxed);
        let table = step.table.and_then(|t| plan.tables.get(t));
        live.set_table(&table.map(|t| t.target.to_string()).unwrap_or_default());
        live.rows_done.store(0, Relaxed);
        let rows =
            if step.action == Action::Load { table.and_then(|t| estimates.get(&t.source)) } else { None };
        live.rows_total.store(rows.copied().map_or(-1, signed), Relaxed);
        phase(Phase::for_action(step.action));
    });
}

/// Something else is done to the same table.
pub fn phase(phase: Phase) {
    with(|live| live.phase.store(phase as u32, Relaxed));
}

/// Rows begin to go into the table `relation`.
pub fn load_begins(relation: pg_sys::Oid) {
    with(|live| {
        let command = pg_sys::PROGRESS_COPY_COMMAND_FROM.into();
        let kind = pg_sys::PROGRESS_COPY_TYPE_CALLBACK.into();
        // SAFETY: reports about this backend; the parameter numbers are those of the COPY command, the same
        // in every version.
        unsafe {
            pg_sys::pgstat_progress_start_command(
                pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY,
                relation,
            );
            pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_COMMAND as i32, command);
            pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_TYPE as i32, kind);
            let total = share_of_source(live, live.rows_total.load(Relaxed)).unwrap_or(0);
            pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_BYTES_TOTAL as i32, total);
        }
    });
}

/// So many rows of the current table were read from the source; called once a batch.
pub fn rows(read: u64) {
    with(|live| {
        let read = signed(read);
        live.rows_done.store(read, Relaxed);
        let bytes = share_of_source(live, read).unwrap_or(0);
        // SAFETY: as above.
        unsafe {
            pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_TUPLES_PROCESSED as i32, read);
            pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_BYTES_PROCESSED as i32, bytes);
        }
    });
}

/// The table's rows are all in.
pub fn load_ends(read: u64) {
    rows(read);
    with(|live| {
        live.rows_total.store(signed(read), Relaxed);
        live.rows_before.fetch_add(signed(read), Relaxed);
        // SAFETY: ends what `load_begins` started; an error in between does so by itself.
        unsafe { pg_sys::pgstat_progress_end_command() };
    });
}

/// The part of the source's bytes that so many rows stand for; `None` where the number of all rows is not
/// known.
fn share_of_source(live: &Live, rows: i64) -> Option<i64> {
    let overall = live.rows_overall.load(Relaxed);
    if overall <= 0 || rows < 0 {
        return None;
    }
    let bytes = live.source_bytes.load(Relaxed);
    Some(((bytes as f64 * rows as f64 / overall as f64) as i64).min(bytes))
}

/// What another session sees of a run.
pub struct Seen {
    /// `run_id`.
    pub run_id: i64,
    /// The phase's word.
    pub phase: &'static str,
    /// The target table at work.
    pub table: Option<String>,
    /// Rows of it done.
    pub rows_done: i64,
    /// Rows of it in all, about.
    pub rows_total: Option<i64>,
    /// The part of the source that is done, in bytes.
    pub bytes_done: Option<i64>,
    /// The source's size in bytes.
    pub bytes_total: i64,
    /// Unix seconds.
    pub started_at: f64,
    /// The part of the work that is done, from 0 to 1; `None` where nothing tells.
    pub fraction: Option<f64>,
}

/// Looks at the run of process `pid` whose lock has the key `handle`. None where it has ended, or where the
/// caller may not see that role's sessions, which PostgreSQL's own progress views do not show either.
pub fn look(pid: i32, handle: i32) -> Option<Seen> {
    let handle = handle.cast_unsigned();
    // A segment that this backend has mapped already must not be mapped again.
    let mine = Segment::current().filter(|s| s.handle() == handle);
    let other = if mine.is_some() || is_mine(pid) { None } else { Segment::attach(handle) };
    let segment = mine.as_deref().or(other.as_ref())?;
    (segment.pid() == pid && may_see(segment.role())).then(|| see(segment.live()))
}

fn is_mine(pid: i32) -> bool {
    // SAFETY: a plain number that is set when the backend starts.
    pid == unsafe { pg_sys::MyProcPid }
}

fn may_see(role: pg_sys::Oid) -> bool {
    // SAFETY: looks up role memberships in the catalogue, which a function call inside a transaction may do.
    unsafe {
        let me = pg_sys::GetUserId();
        let all = pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS);
        pg_sys::has_privs_of_role(me, all) || pg_sys::has_privs_of_role(me, role)
    }
}

fn see(live: &Live) -> Seen {
    let phase = live.phase.load(Relaxed);
    let (done, total) = (live.rows_done.load(Relaxed), live.rows_total.load(Relaxed));
    let is_loading = phase == Phase::Load as u32;
    let rows = live.rows_before.load(Relaxed) + if is_loading { done } else { 0 };
    let step = live.work_step.load(Relaxed) as f64;
    let part = if is_loading && total > 0 { (done as f64 / total as f64).min(1.0) } else { 0.0 };
    let work_total = live.work_total.load(Relaxed);
    let fraction = (work_total > 0)
        .then(|| ((live.work_done.load(Relaxed) as f64 + step * part) / work_total as f64).clamp(0.0, 1.0));
    Seen {
        run_id: live.run_id.load(Relaxed),
        phase: Phase::word(phase),
        table: live.table(),
        rows_done: done,
        // The estimate may have been too low.
        rows_total: (total >= 0).then(|| total.max(done)),
        bytes_done: share_of_source(live, rows),
        bytes_total: live.source_bytes.load(Relaxed),
        started_at: live.started_at.load(Relaxed) as f64 / 1e6,
        fraction,
    }
}
