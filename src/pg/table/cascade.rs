//! Which rows of a run point at a missing parent, which point at those, and so on, and what the policies make
//! of them.
//!
//! Nothing is changed meanwhile: rows that are to go, or whose reference is to be cleared, are marked in
//! temporary tables, and so are the keys that vanish with them. The first look at a table joins all of its
//! rows with their parents, one anti-join a key. Each further one joins only the keys that have vanished
//! since the last, so that the whole takes time in proportion to the rows. Where a table is looked at again
//! and again (a chain of rows that fall one after another), the join goes through an index.
//!
//! Where rows of a table fall one after another because they point at each other, [`chain`] goes down many
//! levels at once.
//!
//! Tables are looked at in load order, and a table at once again where its own rows fall. A row is treated
//! when the first of its parents is found missing, by all of its keys that point nowhere by then.

mod chain;
mod looks;

use std::collections::{BTreeSet, HashMap};

use aliaport_plan::policy::Orphans;
use aliaport_rows::identifier::{QualifiedName, quote};

use self::looks::{Key, Looks, count, is_nullable};
use super::operator;
use super::orphan::{self, View};
use super::unwanted::{Unwanted, temporary};
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{interrupt, spi};

/// Looks at a table by joins with all of its rows; from then on an index is worth its making.
const LOOKS_WITHOUT_INDEX: u32 = 4;

/// Settings for looks at few keys: through the indexes, whatever the planner thinks of tables that have grown
/// since it saw them.
const BY_INDEX: &[(&std::ffi::CStr, &std::ffi::CStr)] = &[
    (c"enable_hashjoin", c"off"),
    (c"enable_mergejoin", c"off"),
    (c"enable_seqscan", c"off"),
    (c"jit", c"off"),
    (c"plan_cache_mode", c"force_generic_plan"),
];

/// The search for rows that fall.
pub struct Cascade<'a> {
    tables: Vec<Looks<'a>>,
    /// The number of the look that comes next.
    look: i32,
    statements: HashMap<String, spi::Statement>,
    others: Vec<QualifiedName>,
    walk: Option<chain::Walk>,
}

impl<'a> Cascade<'a> {
    /// The tables of a run, in load order.
    pub fn new(views: Vec<View<'a>>, default: Orphans) -> Self {
        let targets: Vec<&QualifiedName> = views.iter().map(|v| &v.table.target).collect();
        let mut tables: Vec<Looks<'a>> = views
            .iter()
            .map(|view| {
                let treated = view.keys.iter().filter_map(|(plan, parent)| {
                    let policy = plan.orphans.unwrap_or(default);
                    matches!(policy, Orphans::Reject | Orphans::Null).then(|| Key {
                        plan,
                        parent: parent.clone(),
                        parent_number: targets.iter().position(|t| **t == plan.parent),
                        is_rejecting: policy == Orphans::Reject || !is_nullable(view.table, plan),
                        seen: -1,
                        copy: None,
                        repeated: None,
                    })
                });
                Looks {
                    table: view.table,
                    rows: view.rows.clone(),
                    keys: treated.collect(),
                    referenced: Vec::new(),
                    marks: None,
                    vanished: None,
                    looks: 0,
                    is_due: true,
                    circle: None,
                }
            })
            .collect();
        let mut referenced: Vec<BTreeSet<&'a str>> = vec![BTreeSet::new(); tables.len()];
        for key in tables.iter().flat_map(|t| &t.keys) {
            if let Some(of) = key.parent_number.and_then(|p| referenced.get_mut(p)) {
                of.extend(key.plan.parent_columns.iter().map(String::as_str));
            }
        }
        for (table, referenced) in tables.iter_mut().zip(referenced) {
            table.referenced = referenced.into_iter().collect();
        }
        Cascade { tables, look: 0, statements: HashMap::new(), others: Vec::new(), walk: None }
    }

    /// Marks until nothing falls any more. What is not wanted, by the table's number.
    pub fn run(mut self) -> Result<Vec<(usize, Unwanted)>> {
        while let Some(number) = self.due() {
            if self.tables.get(number).is_some_and(|t| t.looks >= LOOKS_WITHOUT_INDEX) {
                spi::with_settings(BY_INDEX, || {
                    while self.due() == Some(number) {
                        if !self.walk(number)? {
                            self.look_at(number)?;
                        }
                    }
                    Ok(())
                })?;
            } else {
                self.look_at(number)?;
            }
        }
        self.finish()
    }

    fn due(&self) -> Option<usize> {
        self.tables.iter().position(|t| t.is_due)
    }

    /// Looks at one table: for rows that have lost a parent since it was looked at last.
    fn look_at(&mut self, number: usize) -> Result<()> {
        interrupt::check();
        let Some(table) = self.tables.get_mut(number) else { return Err(unexpected("table number")) };
        table.is_due = false;
        table.looks += 1;
        let (is_first, by_index) = (table.looks == 1, table.looks > LOOKS_WITHOUT_INDEX);
        let mut branches = Vec::new();
        let mut arguments = vec![self.look];
        for index in 0..self.tables.get(number).map_or(0, |t| t.keys.len()) {
            if is_first {
                branches.extend(self.first_orphans(number, index)?);
            }
            branches.extend(self.new_orphans(number, index, by_index, &mut arguments)?);
        }
        let fallen = if branches.is_empty() { 0 } else { self.mark(number, &branches, arguments)? };
        self.look += 1;
        if fallen > 0 {
            self.make_due_below(number);
        }
        Ok(())
    }

    /// Rows of a table have fallen: those that point at it come next.
    fn make_due_below(&mut self, number: usize) {
        for table in &mut self.tables {
            table.is_due |= table.keys.iter().any(|k| k.parent_number == Some(number));
        }
    }

    /// The rows of a table that have no parent to begin with, by one of its keys; none where every row has
    /// one.
    fn first_orphans(&self, number: usize, index: usize) -> Result<Option<String>> {
        let Some((table, key)) = self.key(number, index) else { return Ok(None) };
        if count(table, key)? == 0 {
            return Ok(None);
        }
        Ok(Some(format!(
            "SELECT c.ctid AS place, {} AS hits FROM ONLY {} c WHERE {}",
            table.bits(|i| i == index),
            table.rows,
            orphan::condition(&table.table.target, key.plan, &key.parent)?
        )))
    }

    /// The rows of a table that point at a key which has vanished since the last look, by one of its keys.
    fn new_orphans(
        &mut self,
        number: usize,
        index: usize,
        by_index: bool,
        arguments: &mut Vec<i32>,
    ) -> Result<Option<String>> {
        let look = self.look;
        let Some((_, key)) = self.key(number, index) else { return Ok(None) };
        let Some(parent_number) = key.parent_number else { return Ok(None) };
        let Some(vanished) = self.tables.get(parent_number).and_then(|p| p.vanished.clone()) else {
            return Ok(None);
        };
        let repeated = self.repeated(number, index, &vanished)?;
        let rows = self.copy(number, index, by_index)?;
        let marks = self.marks(number)?;
        let (Some((table, key)), Some(parent)) = (self.key(number, index), self.tables.get(parent_number))
        else {
            return Ok(None);
        };
        let at = parent.positions(key.plan);
        let same = table.operators(key.plan)?;
        let same = at.iter().zip(&same).enumerate().map(|(i, (r, same))| format!("f.r{r} {same} e.k{i}"));
        let same: Vec<String> = same.collect();
        let is_lost = parent.is_lost(key.plan, "f");
        let still_there = match repeated {
            Some(repeated) => {
                let equal = |one: &str| -> Result<String> {
                    let of = &parent.table.target;
                    let terms = at.iter().enumerate().map(|(i, r)| {
                        let column = parent.referenced.get(*r).copied().unwrap_or_default();
                        Ok(format!("{one}.r{r} {} d.k{i}", operator::equal((of, column), (of, column))?))
                    });
                    Ok(terms.collect::<Result<Vec<_>>>()?.join(" AND "))
                };
                format!(
                    " AND NOT EXISTS (SELECT 1 FROM {repeated} d WHERE {} AND d.n OPERATOR(pg_catalog.>) \
                     (SELECT pg_catalog.count(DISTINCT x.place) FROM {vanished} x WHERE {} AND {}))",
                    equal("f")?,
                    equal("x")?,
                    parent.is_lost(key.plan, "x")
                )
            }
            None => String::new(),
        };
        arguments.push(key.seen);
        let branch = format!(
            "SELECT e.place, {} AS hits FROM {vanished} f JOIN {rows} e ON {} WHERE f.look OPERATOR(pg_catalog.>) ${} AND {is_lost} \
             AND {}{still_there}",
            table.bits(|i| i == index),
            same.join(" AND "),
            arguments.len(),
            table.is_unmarked(key.plan, &marks),
        );
        if let Some(key) = self.tables.get_mut(number).and_then(|t| t.keys.get_mut(index)) {
            key.seen = look - 1;
        }
        Ok(Some(branch))
    }

    /// Marks the rows that `branches` find. Gives the number of rows that keys vanish with.
    fn mark(&mut self, number: usize, branches: &[String], arguments: Vec<i32>) -> Result<i64> {
        let marks = self.marks(number)?;
        let vanished = self.vanished(number)?;
        let Some(table) = self.tables.get(number) else { return Err(unexpected("table number")) };
        let none = table.bits(|_| false);
        let rejecting = table.bits(|i| table.keys.get(i).is_some_and(|k| k.is_rejecting));
        let marking = format!(
            "WITH h AS (SELECT place, pg_catalog.bit_or(hits) AS hits FROM ({}) AS b GROUP BY place), \
             m AS (INSERT INTO {marks} AS u (place, hits, is_rejected) \
                   SELECT place, hits, (hits OPERATOR(pg_catalog.&) {rejecting}) OPERATOR(pg_catalog.<>) {none} FROM h \
                   ON CONFLICT (place) DO UPDATE SET is_rejected = excluded.is_rejected, hits = \
                       CASE WHEN excluded.is_rejected THEN excluded.hits ELSE u.hits OPERATOR(pg_catalog.|) excluded.hits END \
                   RETURNING place, hits, is_rejected)",
            branches.join(" UNION ALL ")
        );
        let sql = match vanished {
            Some(vanished) => {
                let values: Vec<String> =
                    table.referenced.iter().map(|c| format!(", c.{}", quote(c))).collect();
                // What is cleared may be what others point at.
                let clearing = table.bits(|i| {
                    table.keys.get(i).is_some_and(|k| {
                        k.plan.columns.iter().any(|c| table.referenced.contains(&c.as_str()))
                    })
                });
                format!(
                    "{marking} INSERT INTO {vanished} SELECT $1, m.place, CASE WHEN NOT m.is_rejected THEN m.hits END{} \
                     FROM m JOIN ONLY {} c ON c.ctid OPERATOR(pg_catalog.=) m.place \
                     WHERE m.is_rejected OR (m.hits OPERATOR(pg_catalog.&) {clearing}) OPERATOR(pg_catalog.<>) {none}",
                    values.concat(),
                    table.rows
                )
            }
            None => format!("{marking} SELECT 1 FROM m WHERE $1 IS NULL"),
        };
        let statement = match self.statements.get(&sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = spi::Statement::new(&sql, arguments.len())?;
                self.statements.insert(sql, statement.clone());
                statement
            }
        };
        statement.run(&arguments)
    }

    fn key(&self, number: usize, index: usize) -> Option<(&Looks<'a>, &Key<'a>)> {
        let table = self.tables.get(number)?;
        Some((table, table.keys.get(index)?))
    }

    /// The table of the marks, made where it is not there yet.
    fn marks(&mut self, number: usize) -> Result<QualifiedName> {
        let Some(table) = self.tables.get_mut(number) else { return Err(unexpected("table number")) };
        if let Some(marks) = &table.marks {
            return Ok(marks.clone());
        }
        let marks = temporary("marks", number);
        spi::run(&format!(
            "CREATE TEMPORARY TABLE {marks} (place pg_catalog.tid PRIMARY KEY, hits pg_catalog.\"bit\"({}), is_rejected pg_catalog.bool)",
            table.keys.len()
        ))?;
        Ok(table.marks.insert(marks).clone())
    }

    /// The table of what vanishes with a table's rows, made where it is not there yet; none where nothing
    /// points at them.
    fn vanished(&mut self, number: usize) -> Result<Option<QualifiedName>> {
        let Some(table) = self.tables.get_mut(number) else { return Err(unexpected("table number")) };
        if table.vanished.is_some() || table.referenced.is_empty() {
            return Ok(table.vanished.clone());
        }
        let vanished = temporary("vanished", number);
        let columns: Vec<String> =
            table.referenced.iter().enumerate().map(|(i, c)| format!(", {} AS r{i}", quote(c))).collect();
        spi::run(&format!(
            "CREATE TEMPORARY TABLE {vanished} AS SELECT 0 AS look, ctid AS place, {}::pg_catalog.\"bit\"({}) AS cleared{} \
             FROM ONLY {} WITH NO DATA",
            table.bits(|_| false),
            table.keys.len(),
            columns.concat(),
            table.rows
        ))?;
        spi::run(&format!("CREATE INDEX ON {vanished} (look)"))?;
        self.others.push(vanished.clone());
        Ok(table.vanished.insert(vanished).clone().into())
    }

    /// The rows of a table with the columns of one of its keys (k0, k1, ...), as a FROM item.
    fn copy(&mut self, number: usize, index: usize, by_index: bool) -> Result<String> {
        let Some((table, key)) = self.key(number, index) else { return Err(unexpected("key number")) };
        if let Some(copy) = &key.copy {
            return Ok(copy.to_string());
        }
        let names = || key.plan.columns.iter().enumerate();
        let columns: Vec<String> = names().map(|(i, c)| format!(", {} AS k{i}", quote(c))).collect();
        let present: Vec<String> = names().map(|(_, c)| format!("{} IS NOT NULL", quote(c))).collect();
        let rows = format!(
            "SELECT ctid AS place{} FROM ONLY {} WHERE {}",
            columns.concat(),
            table.rows,
            present.join(" AND ")
        );
        if !by_index {
            return Ok(format!("({rows})"));
        }
        let copy = temporary(&format!("children_{index}"), number);
        let indexed: Vec<String> = names().map(|(i, _)| format!("k{i}")).collect();
        spi::run_for_caller(&format!("CREATE TEMPORARY TABLE {copy} AS {rows}"))?;
        spi::run(&format!("CREATE INDEX ON {copy} ({})", indexed.join(", ")))?;
        spi::run(&format!("ANALYZE {copy}"))?;
        self.others.push(copy.clone());
        if let Some(key) = self.tables.get_mut(number).and_then(|t| t.keys.get_mut(index)) {
            key.copy = Some(copy.clone());
        }
        Ok(copy.to_string())
    }

    /// The parents' keys that several rows have, with their number (k0, k1, ..., n); none where there are no
    /// such keys.
    fn repeated(
        &mut self,
        number: usize,
        index: usize,
        vanished: &QualifiedName,
    ) -> Result<Option<QualifiedName>> {
        let Some((_, key)) = self.key(number, index) else { return Err(unexpected("key number")) };
        if let Some(known) = &key.repeated {
            return Ok(known.clone());
        }
        let quoted: Vec<String> = key.plan.parent_columns.iter().map(|c| format!("p.{}", quote(c))).collect();
        let present: Vec<String> = quoted.iter().map(|c| format!("{c} IS NOT NULL")).collect();
        let repeated = format!(
            "FROM {} p WHERE {} GROUP BY {} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1",
            key.parent,
            present.join(" AND "),
            quoted.join(", ")
        );
        let mut known = None;
        if spi::one_for_caller::<bool>(&format!("SELECT EXISTS (SELECT 1 {repeated})"), &[])? == Some(true) {
            let table = temporary(&format!("repeated_{index}"), number);
            let columns: Vec<String> =
                quoted.iter().enumerate().map(|(i, c)| format!("{c} AS k{i}, ")).collect();
            let indexed: Vec<String> = (0..quoted.len()).map(|i| format!("k{i}")).collect();
            spi::run_for_caller(&format!(
                "CREATE TEMPORARY TABLE {table} AS SELECT {}pg_catalog.count(*) AS n {repeated}",
                columns.concat()
            ))?;
            spi::run(&format!("CREATE INDEX ON {table} ({})", indexed.join(", ")))?;
            let parent = key.parent_number.and_then(|p| self.tables.get(p));
            let at: Vec<String> = parent
                .map(|p| p.positions(key.plan))
                .unwrap_or_default()
                .iter()
                .map(|r| format!("r{r}"))
                .collect();
            spi::run(&format!("CREATE INDEX ON {vanished} ({})", at.join(", ")))?;
            self.others.push(table.clone());
            known = Some(table);
        }
        if let Some(key) = self.tables.get_mut(number).and_then(|t| t.keys.get_mut(index)) {
            key.repeated = Some(known.clone());
        }
        Ok(known)
    }

    /// Drops what was needed on the way, and says what the marks mean.
    fn finish(self) -> Result<Vec<(usize, Unwanted)>> {
        drop(self.statements);
        for table in &self.others {
            spi::run(&format!("DROP TABLE {table}"))?;
        }
        let mut found = Vec::new();
        for (number, table) in self.tables.iter().enumerate() {
            let Some(marks) = &table.marks else { continue };
            let combinations = spi::rows(
                &format!("SELECT DISTINCT hits::pg_catalog.text, is_rejected FROM {marks} ORDER BY 1, 2"),
                &[],
                |row| Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<bool>(2)?.unwrap_or(true))),
            )?;
            if combinations.is_empty() {
                spi::run(&format!("DROP TABLE {marks}"))?;
                continue;
            }
            let arms: Vec<String> = combinations
                .iter()
                .enumerate()
                .map(|(i, (hits, is_rejected))| {
                    let not = if *is_rejected { "" } else { "NOT " };
                    format!("WHEN {not}is_rejected AND hits OPERATOR(pg_catalog.=) B'{hits}' THEN {i}")
                })
                .collect();
            let kinds =
                combinations.iter().map(|(hits, is_rejected)| table.kind(hits, *is_rejected)).collect();
            let kind = format!("CASE {} END", arms.join(" "));
            found.push((number, Unwanted::in_table(marks.clone(), kind, kinds)));
        }
        Ok(found)
    }
}
