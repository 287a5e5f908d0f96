//! Statements of the import that fire no trigger, as a replica applies what was checked elsewhere.
//!
//! PostgreSQL checks a foreign key row by row, in triggers. Within an import keys are checked set-wise, when every table has its
//! rows ([`super::reference`]): a cycle cannot be loaded in any other way, and no ON DELETE action may destroy rows that the
//! source still has.

use pgrx::pg_sys;

use super::error::Result;
use super::spi;

/// Whether the triggers of a relation, PostgreSQL's own ones for its foreign keys included, can be left out for rows that the
/// import writes.
///
/// Not where user triggers are to fire; not where a rule rewrites the statement; not under row security, because the check that
/// stands in for the triggers would not see every row; not with a deferrable key, which a trigger enforces; not with a foreign key
/// over periods (PostgreSQL 18), whose parent may be several rows together.
pub fn is_possible(relation: pg_sys::Oid, triggers: bool) -> Result<bool> {
    Ok(spi::one::<bool>(
        "SELECT NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid) \
             AND NOT ($2 AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND (t.tgrelid = c.oid \
                             OR t.tgrelid IN (SELECT relid::oid FROM pg_catalog.pg_partition_tree(c.oid::regclass))))) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid \
                             AND k.contype IN ('p', 'u', 'x') AND k.condeferrable) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE (k.conrelid = c.oid OR k.confrelid = c.oid) \
                             AND k.contype = 'f' AND (pg_catalog.to_jsonb(k) ->> 'conperiod')::pg_catalog.bool) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[relation.into(), triggers.into()],
    )?
    .unwrap_or(false))
}

/// Runs `f` with triggers and rules left out, but for those that are enabled ALWAYS or for replicas. An error needs no
/// restoring: the end of the (sub)transaction resets the setting.
pub fn quietly<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    spi::with_setting(c"session_replication_role", c"replica", f)
}
