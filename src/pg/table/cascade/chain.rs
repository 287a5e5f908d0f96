//! Rows that fall one after another, in one statement for thousands of levels.
//!
//! A list or a deep tree whose first row has no parent falls level by level, and a statement for each level
//! would take longer than all else. Where the tables that point at each other stand in a circle (one table
//! that points at itself is the smallest) and every orphan by these keys is rejected, a recursive query walks
//! down the levels, in the order in which [`Cascade`] would look at the tables.

use std::collections::BTreeSet;

use aliaport_rows::identifier::QualifiedName;

use super::{Cascade, temporary};
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::spi;

/// So many rows at a time are wide enough for a look of their own at each level.
const WIDE: i64 = 1000;

/// Rows that the first statement finds. Each further one finds more, up to a bound: PostgreSQL keeps them in
/// memory, to find each only once.
const ROWS_AT_FIRST: i32 = 2000;
const MORE_ROWS: i32 = 4;
const ROWS_AT_ONCE: i32 = 128_000;

/// Tables of ours for the walk.
#[derive(Clone)]
pub(super) struct Walk {
    /// The rows whose children come next: table number, place.
    front: QualifiedName,
    /// What a statement found: level, table number, key number, place. Rows in front and rows that begin a
    /// level have no key.
    found: QualifiedName,
}

impl Cascade<'_> {
    /// Marks what falls, level by level, because of rows that have fallen in tables that stand in a circle
    /// with this one. False where nothing did, or where the next level is to be looked at in the ordinary
    /// way.
    pub(super) fn walk(&mut self, number: usize) -> Result<bool> {
        let Some(keys) = self.circle(number)? else { return Ok(false) };
        let walk = self.walk_tables()?;
        let mut sources = Vec::new();
        for &(child, index) in &keys {
            let seen = self.key(child, index).map_or(-1, |(_, key)| key.seen);
            let parent = self.key(child, index).and_then(|(_, key)| key.parent_number);
            let Some(parent) = parent else { return Err(unexpected("key without a table")) };
            let Some(vanished) = self.vanished(parent)? else {
                return Err(unexpected("key that nobody has"));
            };
            sources.push(format!(
                "SELECT {parent} AS number, place FROM {vanished} WHERE look OPERATOR(pg_catalog.>) {seen}"
            ));
        }
        if !put_in_front(&walk, &sources)? {
            return Ok(false);
        }
        let steps = keys.iter().map(|&(child, index)| self.step(child, index)).collect::<Result<Vec<_>>>()?;
        let statement = spi::Statement::new(&sql(&walk, &steps), 1)?;
        let look = self.look;
        let mut has_fallen = false;
        let mut limit = ROWS_AT_FIRST;
        let is_finished = loop {
            spi::run(&format!("TRUNCATE {}", walk.found))?;
            statement.run(&[limit])?;
            let is_bottom = end_at_a_level(&walk)?;
            let fallen = self.mark_found(&walk, &keys)?;
            has_fallen |= fallen > 0;
            if fallen == 0 || is_bottom {
                break is_bottom;
            }
            spi::run(&format!("TRUNCATE {}", walk.front))?;
            spi::run(&format!(
                "INSERT INTO {} SELECT DISTINCT number, place FROM {1} WHERE key IS NOT NULL \
                 AND level OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(level) FROM {1} WHERE key IS NOT NULL)",
                walk.front, walk.found
            ))?;
            limit = limit.saturating_mul(MORE_ROWS).min(ROWS_AT_ONCE);
        };
        if !has_fallen {
            return Ok(false);
        }
        self.look += 1;
        for &(child, index) in &keys {
            if let Some(key) = self.tables.get_mut(child).and_then(|t| t.keys.get_mut(index)) {
                key.seen = if is_finished { look } else { look - 1 };
            }
            self.make_due_below(child);
        }
        Ok(is_finished)
    }

    /// The keys between the tables that stand in a circle with this one, where they may be walked along: by
    /// child's number and index.
    fn circle(&mut self, number: usize) -> Result<Option<Vec<(usize, usize)>>> {
        let known = self.tables.get(number).and_then(|t| t.circle.clone());
        let keys = match known {
            Some(keys) => keys,
            None => {
                let keys = self.find_circle(number)?;
                if let Some(table) = self.tables.get_mut(number) {
                    table.circle = Some(keys.clone());
                }
                keys
            }
        };
        // Another table of it that is due has lost parents elsewhere, and that comes first.
        let is_due = |child: usize| child != number && self.tables.get(child).is_some_and(|t| t.is_due);
        Ok((!keys.is_empty() && !keys.iter().any(|&(child, _)| is_due(child))).then_some(keys))
    }

    fn find_circle(&mut self, number: usize) -> Result<Vec<(usize, usize)>> {
        let points_at = |child: usize, parent: usize| {
            let keys = self.tables.get(child).map(|t| t.keys.as_slice()).unwrap_or_default();
            keys.iter().any(|key| key.parent_number == Some(parent))
        };
        let above = self.reached(number, points_at);
        let below = self.reached(number, |one, other| points_at(other, one));
        let within: Vec<usize> = above.into_iter().filter(|n| below.contains(n)).collect();
        let mut keys = Vec::new();
        for &child in &within {
            let Some(table) = self.tables.get(child) else { continue };
            let clears = |k: &super::Key<'_>| {
                !k.is_rejecting && k.plan.columns.iter().any(|c| table.referenced.contains(&c.as_str()))
            };
            let mut parents = Vec::new();
            for (index, key) in table.keys.iter().enumerate() {
                if let Some(parent) = key.parent_number.filter(|p| within.contains(p)) {
                    parents.push(parent);
                    if !key.is_rejecting {
                        return Ok(Vec::new());
                    }
                    keys.push((child, index));
                }
            }
            parents.dedup();
            if parents.len() > 1 || table.keys.iter().any(clears) {
                return Ok(Vec::new());
            }
        }
        for &(child, index) in &keys {
            let parent = self.key(child, index).and_then(|(_, key)| key.parent_number);
            let Some(parent) = parent else { continue };
            let Some(vanished) = self.vanished(parent)? else { continue };
            if self.repeated(child, index, &vanished)?.is_some() {
                return Ok(Vec::new());
            }
        }
        Ok(keys)
    }

    fn walk_tables(&mut self) -> Result<Walk> {
        if let Some(walk) = &self.walk {
            return Ok(walk.clone());
        }
        let walk = Walk { front: temporary("front", 0), found: temporary("found", 0) };
        spi::run(&format!(
            "CREATE TEMPORARY TABLE {} (number pg_catalog.int4, place pg_catalog.tid)",
            walk.front
        ))?;
        spi::run(&format!(
            "CREATE TEMPORARY TABLE {} (level pg_catalog.int8, number pg_catalog.int4, key pg_catalog.int4, place pg_catalog.tid)",
            walk.found
        ))?;
        self.others.extend([walk.front.clone(), walk.found.clone()]);
        Ok(self.walk.insert(walk).clone())
    }

    /// The rows that fall with the row `r` by one key.
    fn step(&mut self, child: usize, index: usize) -> Result<String> {
        let rows = self.copy(child, index, true)?;
        let marks = self.marks(child)?;
        let Some((table, key)) = self.key(child, index) else { return Err(unexpected("key number")) };
        let Some((number, parent)) = key.parent_number.and_then(|p| Some((p, self.tables.get(p)?))) else {
            return Err(unexpected("key without a table"));
        };
        let operators = table.operators(key.plan)?;
        let same = key.plan.parent_columns.iter().zip(&operators).enumerate();
        let same: Vec<String> =
            same.map(|(i, (c, same))| format!("f.{} {same} e.k{i}", super::quote(c))).collect();
        Ok(format!(
            "SELECT NULL::pg_catalog.int4, {child}, {index}, e.place FROM ONLY {} f JOIN {rows} e ON {} \
             WHERE r.number OPERATOR(pg_catalog.=) {number} AND f.ctid OPERATOR(pg_catalog.=) r.place AND {}",
            parent.rows,
            same.join(" AND "),
            table.is_unmarked(key.plan, &marks)
        ))
    }

    /// Marks what a statement found. Gives the number of rows that fell.
    fn mark_found(&mut self, walk: &Walk, keys: &[(usize, usize)]) -> Result<i64> {
        let mut children: Vec<usize> = keys.iter().map(|&(child, _)| child).collect();
        children.dedup();
        let mut fallen = 0;
        for child in children {
            let Some(table) = self.tables.get(child) else { continue };
            let arms: Vec<String> = keys
                .iter()
                .filter(|(c, _)| *c == child)
                .map(|&(_, i)| {
                    format!("WHEN key OPERATOR(pg_catalog.=) {i} THEN {}", table.bits(|bit| bit == i))
                })
                .collect();
            // By the keys that lost their parents first.
            let branch = format!(
                "SELECT place, CASE {} END AS hits FROM (SELECT place, key, level, pg_catalog.min(level) OVER (PARTITION BY place) AS first \
                 FROM {} WHERE number OPERATOR(pg_catalog.=) {child} AND key IS NOT NULL) AS w WHERE level OPERATOR(pg_catalog.=) first",
                arms.join(" "),
                walk.found
            );
            fallen += self.mark(child, &[branch], vec![self.look])?;
        }
        Ok(fallen)
    }

    /// The tables that can be reached from one, itself included.
    fn reached(&self, from: usize, leads: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(one) = next.pop() {
            next.extend((0..self.tables.len()).filter(|&other| leads(one, other) && reached.insert(other)));
        }
        reached
    }
}

/// Begins with the rows that these queries give, where they are few.
fn put_in_front(walk: &Walk, sources: &[String]) -> Result<bool> {
    spi::run(&format!("TRUNCATE {}", walk.front))?;
    // One more than is walked from tells that there are too many.
    let rows = spi::count(&format!(
        "INSERT INTO {} SELECT DISTINCT number, place FROM (SELECT number, place FROM ({}) AS s LIMIT {}) AS s",
        walk.front,
        sources.join(" UNION ALL "),
        WIDE + 1
    ))?;
    Ok(rows <= WIDE)
}

/// Takes away the last level, in whose middle the statement ended. Whether the one above it was an empty one,
/// so that nothing falls any more.
fn end_at_a_level(walk: &Walk) -> Result<bool> {
    spi::run(&format!(
        "DELETE FROM {0} WHERE level OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(level) FROM {0})",
        walk.found
    ))?;
    let is_empty = spi::one::<bool>(
        &format!(
            "SELECT max(level) > COALESCE(max(level) FILTER (WHERE key IS NOT NULL), 1) FROM {}",
            walk.found
        ),
        &[],
    )?;
    Ok(is_empty == Some(true))
}

/// The statement that walks down from the rows in front, until it has found as many as its parameter says.
///
/// Each level begins with a row that has a `tick` and nothing else, which that of the level before brings
/// forth, so that a row that is found again at a deeper level is no new one. Levels are counted by these
/// rows, in the order in which the recursion returns rows.
fn sql(walk: &Walk, steps: &[String]) -> String {
    format!(
        "WITH RECURSIVE r (tick, number, key, place) AS (\
           (SELECT 1, NULL::pg_catalog.int4, NULL::pg_catalog.int4, NULL::pg_catalog.tid \
            UNION ALL SELECT NULL, number, NULL, place FROM {}) \
           UNION SELECT s.tick, s.number, s.key, s.place FROM r, LATERAL (\
             SELECT r.tick OPERATOR(pg_catalog.+) 1, NULL::pg_catalog.int4, NULL::pg_catalog.int4, NULL::pg_catalog.tid \
             WHERE r.tick IS NOT NULL UNION ALL {}) AS s (tick, number, key, place)) \
         INSERT INTO {} SELECT pg_catalog.count(l.tick) OVER (ROWS UNBOUNDED PRECEDING), l.number, l.key, l.place \
         FROM (SELECT * FROM r LIMIT $1) AS l",
        walk.front,
        steps.join(" UNION ALL "),
        walk.found
    )
}
