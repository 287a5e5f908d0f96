//! What the search for falling rows knows of one table and of its keys.

use std::collections::BTreeSet;

use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::sqlstate::SqlState;

use crate::pg::server::error::Result;
use crate::pg::table::operator;
use crate::pg::table::orphan::{self, View};
use crate::pg::table::unwanted::Kind;

/// A foreign key whose orphans are rejected or cleared.
pub(super) struct Key<'a> {
    pub plan: &'a ForeignKeyPlan,
    /// The rows that it may point at, as a FROM item.
    pub parent: String,
    /// The parent's number, where it is one of the run's tables.
    pub parent_number: Option<usize>,
    /// An orphan is rejected, not cleared.
    pub is_rejecting: bool,
    /// The last look by which a row of the parent fell that this key knows of.
    pub seen: i32,
    /// A copy of the referencing columns with an index.
    pub copy: Option<QualifiedName>,
    /// Keys that several rows of the parent have, with their number; none where each is there once. `None`:
    /// not known yet.
    pub repeated: Option<Option<QualifiedName>>,
}

/// What is known of one table.
pub(super) struct Looks<'a> {
    pub table: &'a TablePlan,
    pub rows: QualifiedName,
    pub keys: Vec<Key<'a>>,
    /// Attributes that a key of `keys`, of any table, points at.
    pub referenced: Vec<&'a str>,
    /// Rows that are not wanted as they are: place, hits (a bit a key), is_rejected.
    pub marks: Option<QualifiedName>,
    /// What vanished with them: look, place, the hits of a row that stays, the referenced attributes (r0, r1,
    /// ...).
    pub vanished: Option<QualifiedName>,
    pub looks: u32,
    pub is_due: bool,
    /// The keys along which rows fall level by level; see [`chain`]. `None`: not known yet.
    pub circle: Option<Vec<(usize, usize)>>,
}

impl Looks<'_> {
    /// A bit string with a bit a key.
    pub fn bits(&self, is_set: impl Fn(usize) -> bool) -> String {
        let bits: String = (0..self.keys.len()).map(|i| if is_set(i) { '1' } else { '0' }).collect();
        format!("B'{bits}'")
    }

    /// The numbers of the referenced attributes that a key points at.
    pub fn positions(&self, key: &ForeignKeyPlan) -> Vec<usize> {
        key.parent_columns.iter().filter_map(|c| self.referenced.iter().position(|r| r == c)).collect()
    }

    /// The condition that what a key points at has vanished with the row `alias`: the row goes, or a column
    /// of it is cleared.
    pub fn is_lost(&self, key: &ForeignKeyPlan, alias: &str) -> String {
        let clearing = |i: usize| {
            self.keys.get(i).is_some_and(|k| {
                !k.is_rejecting && k.plan.columns.iter().any(|c| key.parent_columns.contains(c))
            })
        };
        if !(0..self.keys.len()).any(clearing) {
            return format!("{alias}.cleared IS NULL");
        }
        format!(
            "({alias}.cleared IS NULL OR ({alias}.cleared OPERATOR(pg_catalog.&) {}) OPERATOR(pg_catalog.<>) {})",
            self.bits(clearing),
            self.bits(|_| false)
        )
    }

    /// The condition that the row `e` has not been treated by this key so far, nor rejected.
    pub fn is_unmarked(&self, key: &ForeignKeyPlan, marks: &QualifiedName) -> String {
        // A key that shares a column with one that was cleared points nowhere.
        let cleared = self.bits(|i| {
            self.keys.get(i).is_some_and(|k| k.plan.columns.iter().any(|c| key.columns.contains(c)))
        });
        format!(
            "NOT EXISTS (SELECT 1 FROM {marks} u WHERE u.place OPERATOR(pg_catalog.=) e.place \
             AND (u.is_rejected OR (u.hits OPERATOR(pg_catalog.&) {cleared}) OPERATOR(pg_catalog.<>) {}))",
            self.bits(|_| false)
        )
    }

    /// The operators between the columns that a key of this table points at and its own.
    pub fn operators(&self, key: &ForeignKeyPlan) -> Result<Vec<String>> {
        let columns = key.parent_columns.iter().zip(&key.columns);
        columns.map(|(p, c)| operator::equal((&key.parent, p), (&self.table.target, c))).collect()
    }

    /// What is the matter with rows whose keys with a 1 in `hits` point at a missing parent.
    pub fn kind(&self, hits: &str, is_rejected: bool) -> Kind {
        let hit = || self.keys.iter().zip(hits.bytes()).filter(|(_, bit)| *bit == b'1').map(|(k, _)| k.plan);
        let columns: Vec<&str> = hit().flat_map(|k| &k.source_columns).map(String::as_str).collect();
        let cleared: BTreeSet<&String> = hit().flat_map(|k| &k.columns).collect();
        let clear = self.table.columns.iter().map(|c| &c.target).filter(|c| cleared.contains(c));
        Kind {
            column: columns.join(", "),
            reason: hit().next().map_or_else(String::new, |first| {
                format!("no row in \"{}\" has the key that {} points at", first.parent_source, first.label)
            }),
            sqlstate: SqlState::FOREIGN_KEY_VIOLATION,
            clear: if is_rejected { Vec::new() } else { clear.cloned().collect() },
        }
    }
}

pub(super) fn count(table: &Looks<'_>, key: &Key<'_>) -> Result<i64> {
    let view = View { table: table.table, rows: table.rows.clone(), keys: Vec::new() };
    orphan::count(&view, key.plan, &key.parent)
}

pub(super) fn is_nullable(table: &TablePlan, key: &ForeignKeyPlan) -> bool {
    key.columns.iter().all(|name| table.columns.iter().any(|c| &c.target == name && !c.is_not_null))
}
