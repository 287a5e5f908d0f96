//! Statements of the import that fire no trigger, as a replica applies what was checked elsewhere.
//!
//! PostgreSQL checks a foreign key row by row, in triggers. Within an import keys are checked set-wise, when
//! every table has its rows ([`super::foreign_key`]): a cycle cannot be loaded in any other way, and no ON
//! DELETE action may destroy rows that the source still has.
//!
//! The caller need not be allowed to set this himself, and triggers of other tables stay silent as well. So
//! no code may run meanwhile that is not PostgreSQL's: neither triggers that fire for replicas, nor what an
//! INSERT or UPDATE evaluates ([`super::code`]); such statements run as anybody's. A DELETE evaluates
//! nothing.

use pgrx::pg_sys;

use super::code;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// What is done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Rows go.
    Delete,
    /// Rows are inserted or updated.
    Write,
}

/// Whether the triggers of a relation, PostgreSQL's own ones for its foreign keys included, can be left out
/// for rows that the import writes.
///
/// Not where user triggers are to fire; not where a rule rewrites the statement; not under row security,
/// because the check that stands in for the triggers would not see every row; not with a deferrable key,
/// which a trigger enforces; not with a foreign key over periods (PostgreSQL 18), whose parent may be several
/// rows together; and not where writing a row runs code that is not PostgreSQL's. User triggers that fire for
/// replicas, those of partitions included, are disabled by the caller meanwhile.
pub fn is_possible(relation: pg_sys::Oid, triggers: bool, touch: Touch) -> Result<bool> {
    let is_possible = spi::one::<bool>(
        "SELECT NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid) \
             AND NOT ($2 AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.tgrelid = ANY (ARRAY( \
                             SELECT c.oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree(c.oid::regclass))))) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid \
                             AND k.contype IN ('p', 'u', 'x') AND k.condeferrable) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE (k.conrelid = c.oid OR k.confrelid = c.oid) \
                             AND k.contype = 'f' AND (pg_catalog.to_jsonb(k) ->> 'conperiod')::pg_catalog.bool) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[relation.into(), triggers.into()],
    )?
    .unwrap_or(false);
    Ok(is_possible && (touch == Touch::Delete || code::of_relation(relation)?.is_none()))
}

/// Runs `f` with triggers and rules left out, but for those that are enabled ALWAYS or for replicas. An error
/// needs no restoring: the end of the (sub)transaction resets the setting.
pub fn quietly<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    spi::with_setting(c"session_replication_role", c"replica", f)
}
