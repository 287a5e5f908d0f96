//! What stands between a query of a table and the rows that are stored in it.
//!
//! A proof is worth what a query would see. Rows in a table's own heap are what a query of it returns only
//! where PostgreSQL plans that query as a scan of this very heap: the heap of a hypertable, of a distributed
//! or of a reference table is never looked at, and rows that were put there are lost to everybody. So the
//! planner is asked, through all hooks, and what the catalogue knows of other extensions is believed as well,
//! because a setting may have switched their hooks off.
#![allow(unsafe_code)] // looks at the nodes of a plan

use aliaport_rows::identifier::QualifiedName;
use pgrx::pg_sys;
use pgrx::prelude::PgSqlErrorCode;

use crate::pg::server::error::{Result, gone};
use crate::pg::server::spi;

/// How a query finds the rows of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In its own heap, and nowhere else.
    Plain,
    /// In its own heap, and in those of tables that inherit from it, which no import fills.
    Inherited,
    /// In the heaps of its partitions.
    Partitioned,
    /// In a way that only the executor knows: another extension or a foreign server has its hand in it.
    Fronted {
        /// The relation's own rows are told from those of inheriting tables by ONLY.
        has_only: bool,
        /// The plan of a query is no scan of the relation's own heap or of its partitions' heaps.
        is_elsewhere: bool,
    },
}

impl Standing {
    /// Whether the rows are in heaps that PostgreSQL alone looks after, so that they may be read past the
    /// executor.
    pub fn is_stored_here(self) -> bool {
        !matches!(self, Standing::Fronted { .. })
    }

    /// Whether a query finds the rows anywhere but in the relation's own heap and those of its partitions:
    /// where others keep them, places (`ctid`) mean nothing, and others may change them past our locks.
    pub fn is_elsewhere(self) -> bool {
        matches!(self, Standing::Fronted { is_elsewhere: true, .. })
    }

    /// The relation as a FROM item or the object of a statement: with what holds its rows, without tables
    /// that inherit from it.
    pub fn from(self, name: &str) -> String {
        match self {
            Standing::Plain | Standing::Inherited | Standing::Fronted { has_only: true, .. } => {
                format!("ONLY {name}")
            }
            Standing::Partitioned | Standing::Fronted { has_only: false, .. } => name.to_owned(),
        }
    }
}

/// [`Standing::from`] of a relation.
pub fn from(relation: pg_sys::Oid, name: &QualifiedName) -> Result<String> {
    Ok(standing_of(relation)?.from(&name.to_string()))
}

/// Whether row security adds conditions to every query of the caller's.
pub fn is_restricted(relation: pg_sys::Oid) -> Result<bool> {
    Ok(facts(relation)?.is_restricted)
}

/// What the catalogue says of a relation.
struct RelationFacts {
    name: String,
    is_partitioned: bool,
    /// Its access method is PostgreSQL's heap; a partitioned table has none that counts.
    is_heap: bool,
    /// The relation, or a trigger or rule of it, belongs to an extension.
    is_foreign_work: bool,
    /// Row security adds conditions to every query of the caller's.
    is_restricted: bool,
    has_children: bool,
    /// All partitions are tables.
    has_table_leaves: bool,
}

/// How a query of the relation finds its rows.
pub fn standing_of(relation: pg_sys::Oid) -> Result<Standing> {
    let facts = facts(relation)?;
    let seen = if facts.is_restricted {
        // The plan of the caller's query has more in it than the table's rows. What is structure is known all
        // the same.
        match (facts.is_partitioned, facts.has_children) {
            (true, _) if facts.has_table_leaves => Some(Standing::Partitioned),
            (true, _) => None,
            (false, true) => Some(Standing::Inherited),
            (false, false) => Some(Standing::Plain),
        }
    } else {
        let scans = spi::with_plan(&format!("SELECT * FROM {}", facts.name), |statement| {
            let mut scans = Scans { statement, relations: Vec::new() };
            // SAFETY: the statement is a whole plan, which is not changed while it is looked at.
            let is_known = unsafe { statement.subplans.is_null() && scans.collect(statement.planTree) };
            is_known.then_some(scans.relations)
        })?;
        match scans {
            None => None,
            Some(_) if facts.is_partitioned => Some(Standing::Partitioned),
            Some(scans) if scans == [relation] => Some(Standing::Plain),
            Some(scans) if scans.contains(&relation) => Some(Standing::Inherited),
            // Its own heap is not looked at.
            Some(_) => None,
        }
    };
    Ok(match seen {
        Some(seen) if facts.is_heap && !facts.is_foreign_work => seen,
        seen => {
            Standing::Fronted { has_only: seen == Some(Standing::Inherited), is_elsewhere: seen.is_none() }
        }
    })
}

fn facts(relation: pg_sys::Oid) -> Result<RelationFacts> {
    let found = spi::rows_often(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind OPERATOR(pg_catalog.=) 'p', \
                c.relkind OPERATOR(pg_catalog.=) 'p' OR COALESCE(am.amname OPERATOR(pg_catalog.=) 'heap', false), \
                EXISTS (SELECT 1 FROM (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, c.oid AS object \
                                       UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid \
                                       FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid \
                                       UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, t.tgfoid \
                                       FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid \
                                       UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid \
                                       FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid) AS o \
                        JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) o.class::pg_catalog.oid \
                         AND d.objid OPERATOR(pg_catalog.=) o.object AND d.objsubid OPERATOR(pg_catalog.=) 0 \
                        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid \
                          AND d.deptype OPERATOR(pg_catalog.=) ANY ('{e,x}'::pg_catalog.\"char\"[])), \
                pg_catalog.row_security_active(c.oid), \
                EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhparent OPERATOR(pg_catalog.=) c.oid), \
                c.relkind OPERATOR(pg_catalog.<>) 'p' OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_partition_tree(c.oid) t \
                            JOIN pg_catalog.pg_class l ON l.oid OPERATOR(pg_catalog.=) t.relid::pg_catalog.oid \
                            WHERE t.isleaf AND l.relkind OPERATOR(pg_catalog.<>) ALL ('{r,p}'::pg_catalog.\"char\"[])) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         LEFT JOIN pg_catalog.pg_am am ON am.oid OPERATOR(pg_catalog.=) c.relam WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[relation.into()],
        |row| {
            Ok(RelationFacts {
                name: row.get::<String>(1)?.unwrap_or_default(),
                is_partitioned: row.get::<bool>(2)?.unwrap_or(false),
                is_heap: row.get::<bool>(3)?.unwrap_or(false),
                is_foreign_work: row.get::<bool>(4)?.unwrap_or(true),
                is_restricted: row.get::<bool>(5)?.unwrap_or(true),
                has_children: row.get::<bool>(6)?.unwrap_or(true),
                has_table_leaves: row.get::<bool>(7)?.unwrap_or(false),
            })
        },
    )?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| gone("a table of the target", PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE))
}

/// The relations that a plan scans from end to end.
struct Scans<'a> {
    statement: &'a pg_sys::PlannedStmt,
    relations: Vec<pg_sys::Oid>,
}

impl Scans<'_> {
    /// Adds what `plan` scans; false where it does anything but return every row of some relations.
    ///
    /// # Safety
    /// `plan` is NULL or a node of the statement.
    unsafe fn collect(&mut self, plan: *const pg_sys::Plan) -> bool {
        // SAFETY: the caller's promise; the tag of a node says which struct it begins.
        unsafe {
            if plan.is_null() || !(*plan).qual.is_null() || !(*plan).initPlan.is_null() {
                return false;
            }
            match (*plan).type_ {
                pg_sys::NodeTag::T_SeqScan => self.scans(plan.cast()),
                pg_sys::NodeTag::T_IndexOnlyScan => {
                    let scan = plan.cast::<pg_sys::IndexOnlyScan>();
                    (*scan).indexqual.is_null() && self.scans(plan.cast())
                }
                pg_sys::NodeTag::T_IndexScan => {
                    let scan = plan.cast::<pg_sys::IndexScan>();
                    (*scan).indexqual.is_null() && self.scans(plan.cast())
                }
                pg_sys::NodeTag::T_Append => {
                    let members = (*plan.cast::<pg_sys::Append>()).appendplans;
                    let count = if members.is_null() { 0 } else { (*members).length };
                    (0..count).all(|n| self.collect(pg_sys::list_nth(members, n).cast()))
                }
                // What PostgreSQL makes of a partitioned table without partitions: no row at all.
                pg_sys::NodeTag::T_Result => (*plan).lefttree.is_null(),
                _ => false,
            }
        }
    }

    /// # Safety
    /// `scan` is a scan node of the statement.
    unsafe fn scans(&mut self, scan: *const pg_sys::Scan) -> bool {
        // SAFETY: the caller's promise; a scan's number is that of an entry in the range table, counted from
        // 1.
        unsafe {
            let Ok(number) = i32::try_from((*scan).scanrelid) else { return false };
            let table = self.statement.rtable;
            if table.is_null() || number < 1 || number > (*table).length {
                return false;
            }
            let entry = pg_sys::list_nth(table, number - 1).cast::<pg_sys::RangeTblEntry>();
            self.relations.push((*entry).relid);
            (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
        }
    }
}
