//! Which way do the rows of a table take: past the executor, or with an INSERT?

use aliaport_plan::plan::TablePlan;
use pgrx::pg_sys;

use super::target;
use crate::pg::heap::standing::{self, Standing};
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// How rows get into a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPath {
    /// Straight into the heap.
    Bulk {
        /// The table has indexes, which must be rebuilt afterwards.
        has_indexes: bool,
    },
    /// Into a temporary table first, and then with an ordinary statement.
    Executor,
}

impl LoadPath {
    /// The word in `detail`.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadPath::Bulk { .. } => "bulk",
            LoadPath::Executor => "executor",
        }
    }
}

/// What decides about a table's path besides the table.
#[derive(Clone, Copy, Debug)]
pub struct PathNeeds {
    /// User triggers fire.
    pub triggers: bool,
    /// A row whose key is there already is set aside, so keys must be looked at before the row is written.
    pub keeps_keys: bool,
    /// Rows that break a constraint are looked for after the load, which finds no NULL in a generated column.
    pub sets_aside: bool,
    /// Other sessions must not wait for a rebuilt index: rows that are dead for us may live for them.
    pub spares_readers: bool,
}

/// Which path a table takes.
///
/// The bulk path does what it takes to fill a plain heap table that is empty and belongs to the caller: check
/// constraints as it goes, indexes and foreign keys set-wise afterwards, user triggers not at all. Everything
/// else that an INSERT does needs the INSERT: what another extension has put in front of the heap, rules, row
/// security, partitions and inheritance, virtual generated columns, domains, defaults of columns that the
/// source does not have, exclusion constraints, deferrable unique constraints, triggers that options let
/// fire; and so do rows that are there already, whose indexes it would cost more to rebuild, and tables of
/// other owners, which the caller may insert into but not reindex.
pub fn path_of(relation: pg_sys::Oid, plan: &TablePlan, way: PathNeeds) -> Result<LoadPath> {
    let written: Vec<String> = plan.columns.iter().map(|c| c.target.clone()).collect();
    let found = spi::rows_often(
        "SELECT c.relkind = 'r' AND NOT c.relispartition AND NOT c.relhassubclass AND NOT c.relhasrules \
             AND am.amname = 'heap' AND NOT pg_catalog.row_security_active(c.oid) \
             AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid \
                             AND (k.contype = 'x' OR k.contype IN ('p', 'u') AND k.condeferrable)) \
             AND NOT ($2 AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                               AND (a.attgenerated NOT IN ('', 's') OR $6 AND a.attgenerated <> '' AND a.attnotnull OR t.typtype = 'd' \
                                    OR (a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '') AND a.attname::text <> ALL ($3))), \
             EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid), \
             NOT ($4 AND EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique)) \
                 AND NOT ($5 AND pg_catalog.pg_relation_size(c.oid) > 0) \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.oid = $1",
        &[
            relation.into(),
            way.triggers.into(),
            written.into(),
            way.keeps_keys.into(),
            way.spares_readers.into(),
            way.sets_aside.into(),
        ],
        |row| {
            Ok((
                row.get::<bool>(1)?.unwrap_or(false),
                row.get::<bool>(2)?.unwrap_or(true),
                row.get::<bool>(3)?.unwrap_or(false),
            ))
        },
    )?;
    // A query of the table must see what is written past the executor.
    if found.first().is_none_or(|(is_plain, ..)| !is_plain)
        || standing::standing_of(relation)? != Standing::Plain
    {
        return Ok(LoadPath::Executor);
    }
    Ok(match found.first() {
        // A table that the import makes has no index yet.
        Some((true, false, _)) if plan.is_created => LoadPath::Bulk { has_indexes: false },
        // What an aborted import left behind is invisible, and a rebuilt index forgets it.
        Some((true, has_indexes, true)) if target::is_empty(&plan.target)? => {
            LoadPath::Bulk { has_indexes: *has_indexes }
        }
        _ => LoadPath::Executor,
    })
}
