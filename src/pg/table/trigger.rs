//! The user's triggers that statements on a table fire.

use aliaport_rows::identifier::quote;
use pgrx::pg_sys;

use crate::pg::heap::standing;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// A user trigger that would fire.
pub struct EnabledTrigger {
    /// Its table, as SQL writes it without its partitions.
    table: String,
    name: String,
    /// The clause that enables it as it is now.
    clause: &'static str,
}

impl EnabledTrigger {
    /// The statement that keeps it from firing.
    pub fn disable(&self) -> String {
        format!("ALTER TABLE {} DISABLE TRIGGER {}", self.table, quote(&self.name))
    }

    /// The statement that enables it as it was.
    pub fn enable(&self) -> String {
        format!("ALTER TABLE {} {} {}", self.table, self.clause, quote(&self.name))
    }
}

/// What INSERT, DELETE and UPDATE fire, in the terms of [`firing_triggers`].
pub const OF_ROWS: i32 = 4 + 8 + 16;

/// What TRUNCATE fires.
pub const OF_TRUNCATE: i32 = 32;

/// The triggers `t` of a table `$1` and of all that is below it that statements of the kinds `$2` on the
/// table fire. pg_trigger.h: TRIGGER_TYPE_ROW is 1. An INSERT, DELETE or UPDATE fires what is for the whole
/// statement on the table that it names only; a TRUNCATE fires it on every table that it empties.
macro_rules! fired {
    () => {
        "t.tgrelid = ANY (ARRAY( \
             WITH RECURSIVE below AS (SELECT $1::oid AS oid UNION \
                 SELECT h.inhrelid FROM below JOIN pg_catalog.pg_inherits h ON h.inhparent = below.oid) SELECT oid FROM below)) \
         AND t.tgtype::int & $2 <> 0 AND (t.tgrelid = $1 OR t.tgtype::int & 1 = 1 OR t.tgtype::int & $2 & 32 <> 0) AND NOT t.tgisinternal"
    };
}

/// The user triggers of a table and of its partitions at every level that its statements of these kinds would
/// fire, as a replica's (see [`super::as_replica`]) or as ordinary ones. Each partition has its own copy of a
/// trigger of the table, which may be enabled otherwise.
///
/// By triggers of their own, extensions that keep a table's rows elsewhere guard its heap: those are not the
/// user's.
pub fn enabled_triggers(relation: pg_sys::Oid, kinds: i32, as_replica: bool) -> Result<Vec<EnabledTrigger>> {
    let is_elsewhere = standing::standing_of(relation)?.is_elsewhere();
    spi::rows(
        concat!(
            "SELECT pg_catalog.format('ONLY %I.%I', n.nspname, c.relname), t.tgname::text, t.tgenabled::text FROM pg_catalog.pg_trigger t \
         JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ",
            fired!(),
            " AND t.tgenabled IN ('A', CASE WHEN $3 THEN 'R' ELSE 'O' END) \
           AND NOT ($4 AND EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
                                   AND d.objid = t.tgfoid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
                                   AND d.deptype = 'e')) ORDER BY t.tgrelid, t.tgname"
        ),
        &[relation.into(), kinds.into(), as_replica.into(), is_elsewhere.into()],
        |row| {
            let clause = match row.get::<String>(3)?.as_deref() {
                Some("A") => "ENABLE ALWAYS TRIGGER",
                Some("R") => "ENABLE REPLICA TRIGGER",
                _ => "ENABLE TRIGGER",
            };
            Ok(EnabledTrigger {
                table: row.get::<String>(1)?.unwrap_or_default(),
                name: row.get::<String>(2)?.unwrap_or_default(),
                clause,
            })
        },
    )
}

/// The user triggers of a table and its partitions that statements of these kinds would fire in an ordinary
/// session. `kinds` is the sum of 4 for INSERT, 8 for DELETE, 16 for UPDATE and 32 for TRUNCATE, as in
/// `pg_trigger.tgtype`.
pub fn firing_triggers(relation: pg_sys::Oid, kinds: i32) -> Result<Vec<String>> {
    spi::rows(
        concat!(
            "SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t WHERE ",
            fired!(),
            " AND t.tgenabled IN ('O', 'A') ORDER BY 1"
        ),
        &[relation.into(), kinds.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}

/// Whether a trigger will see a row, and may change it, before the table's constraints do.
pub fn has_before_triggers(relation: pg_sys::Oid) -> Result<bool> {
    // pg_trigger.h: TRIGGER_TYPE_ROW is 1, _BEFORE 2, _INSERT 4.
    Ok(spi::one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = ANY (ARRAY(SELECT $1::oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree($1::oid::regclass))) \
           AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype::int & 7 = 7)",
        &[relation.into()],
    )?
    .unwrap_or(false))
}
