//! Does the server's table of locks have room for what an import makes?
//!
//! Each relation that a transaction makes stays locked until its end: the table, its TOAST table with the
//! index of that, every index and every sequence. All sessions share one table of locks, whose size is fixed
//! when the server starts. An import of thousands of tables that runs out of it does so after minutes, so it
//! is counted before the first table is made.
#![allow(unsafe_code)] // reads one of the server's numbers

use aliaport_plan::finding::{Finding, Locks, Server};
use aliaport_plan::plan::{Action, Plan, TablePlan};
use aliaport_rows::pg_type::PgType;
use pgrx::prelude::*;

use super::error::{Error, Result};
use super::spi;

/// What the table can hold beyond its nominal size: a tenth that PostgreSQL adds to its estimate, and what
/// other tables of shared memory leave (some 100 kB are kept for that, a lock takes about 270 bytes).
const SLOP: i64 = 1000;

/// What an import needs and the server has.
struct Room(Locks);

impl Room {
    fn needed_by(plan: &Plan) -> Result<Room> {
        let setting = |name: &str| {
            spi::one::<i64>(
                "SELECT pg_catalog.current_setting($1)::pg_catalog.int8",
                &[name.to_owned().into()],
            )
        };
        // SAFETY: a number that is set when the server starts.
        let backends = i64::from(unsafe { pg_sys::MaxBackends });
        let relations = plan.steps.iter().filter(|step| {
            matches!(step.action, Action::CreateIndex | Action::AddPrimaryKey | Action::AddUnique)
        });
        let made = || plan.tables.iter().filter(|t| t.is_created);
        let needed = relations.count() + made().map(relations_of).sum::<usize>();
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        let each = setting("max_locks_per_transaction")?.unwrap_or(64);
        let sessions = backends + setting("max_prepared_transactions")?.unwrap_or(0);
        let nominal = each.saturating_mul(sessions);
        Ok(Room(Locks {
            tables: made().count(),
            needed,
            nominal,
            each,
            sessions,
            is_too_small: needed > nominal + nominal / 10 + SLOP,
        }))
    }

    /// Whether it may not work: other sessions need locks, too.
    fn is_tight(&self) -> bool {
        self.0.needed > self.0.nominal - self.0.nominal / 4
    }

    /// The setting with which half of the table stays free for others.
    fn enough(&self) -> i64 {
        (self.0.needed * 2 / self.0.sessions.max(1) + 1).max(self.0.each)
    }

    fn remedy(&self) -> String {
        format!("ALTER SYSTEM SET max_locks_per_transaction = {}", self.enough())
    }
}

/// The relations of a new table but its indexes: itself, its sequence, its TOAST table and the index of that.
fn relations_of(table: &TablePlan) -> usize {
    let is_toastable = |pg_type: &PgType| {
        matches!(
            pg_type,
            PgType::Text
                | PgType::Varchar(None)
                | PgType::Citext
                | PgType::Bytea
                | PgType::Json
                | PgType::Jsonb
        )
    };
    let toast = if table.columns.iter().any(|c| is_toastable(&c.pg_type)) { 2 } else { 0 };
    1 + usize::from(!table.sequences.is_empty()) + toast
}

/// Raises 53200 where the import cannot come to its end.
pub fn require(plan: &Plan) -> Result<()> {
    let room = Room::needed_by(plan)?;
    if !room.0.is_too_small {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
        "the import needs more locks than the server has room for",
    )
    .detail(format!("{}.", room.0))
    .hint(format!(
        "Run {}; and restart the server, or import in several runs with options.include, each in a transaction of its own.",
        room.remedy()
    )))
}

/// What is to be said of the locks before an import, if anything, and the statement that makes room.
pub fn warning(plan: &Plan) -> Result<Option<(Finding, String)>> {
    let room = Room::needed_by(plan)?;
    if !room.is_tight() {
        return Ok(None);
    }
    let remedy = room.remedy();
    Ok(Some((Finding::new(Server::Locks(room.0)), remedy)))
}
