//! The rows of one table that are not wanted as they are: where they are and what is the matter with them, in
//! a temporary table, so that any number of them takes no memory of the backend.

use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::sqlstate::SqlState;

use crate::pg::heap::readback;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{memory, spi};

/// Places that one query fetches.
const PAGE: usize = 16 << 10;

/// What is the matter with rows, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The SQLite column to name.
    pub column: String,
    /// Why.
    pub reason: String,
    /// The code that `abort` would have raised.
    pub sqlstate: SqlState,
    /// Attributes to clear; empty where the row is rejected.
    pub clear: Vec<String>,
}

/// Rows that are not wanted as they are.
#[derive(Debug)]
pub struct Unwanted {
    /// Holds their places (`place`, unique).
    table: QualifiedName,
    /// The number of a row's kind, as an expression over that table.
    kind: String,
    kinds: Vec<Kind>,
}

/// A row's place, and the number of its kind.
pub type Marked = (readback::RowPlace, usize);

impl Unwanted {
    /// An empty set for the table with this number, of these kinds.
    pub fn new(number: usize, kinds: Vec<Kind>) -> Result<Self> {
        let table = temporary("unwanted", number);
        spi::run(&format!(
            "CREATE TEMPORARY TABLE {table} (place pg_catalog.tid PRIMARY KEY, kind pg_catalog.int4)"
        ))?;
        Ok(Unwanted { table, kind: "kind".to_owned(), kinds })
    }

    /// What is in a temporary table already, whose column `place` is unique.
    pub fn in_table(table: QualifiedName, kind: String, kinds: Vec<Kind>) -> Self {
        Unwanted { table, kind, kinds }
    }

    /// Adds the rows that a query gives, as place and number of the kind; those that are there already stay
    /// as they are.
    pub fn add(&self, query: &str) -> Result<()> {
        spi::run(&format!("INSERT INTO {} {query} ON CONFLICT DO NOTHING", self.table))
    }

    /// Adds rows, as place and number of the kind.
    pub fn add_places(&self, rows: Vec<(String, i32)>) -> Result<()> {
        let (places, kinds): (Vec<String>, Vec<i32>) = rows.into_iter().unzip();
        memory::briefly(|| {
            spi::run_with(
                &format!(
                    "INSERT INTO {} SELECT place::pg_catalog.tid, kind \
                     FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS u (place, kind) ON CONFLICT DO NOTHING",
                    self.table
                ),
                &[places.into(), kinds.into()],
            )
        })
    }

    /// How many rows there are.
    pub fn count(&self) -> Result<i64> {
        let sql = format!("SELECT pg_catalog.count(*) FROM {}", self.table);
        Ok(spi::one::<i64>(&sql, &[])?.unwrap_or(0))
    }

    /// What is the matter with rows of the kind with this number.
    pub fn kind(&self, number: usize) -> Option<&Kind> {
        self.kinds.get(number)
    }

    /// Up to `limit` rows after the place `after`, in the order of their places.
    pub fn after(&self, mut after: Option<readback::RowPlace>, limit: usize) -> Result<Vec<Marked>> {
        let mut found: Vec<Marked> = Vec::new();
        while found.len() < limit {
            let page = PAGE.min(limit - found.len());
            // Block and offset begin at 0 and 1.
            let (block, offset) = after.unwrap_or_default();
            let sql = format!(
                "SELECT m.place::pg_catalog.text, {} FROM {} AS m WHERE m.place OPERATOR(pg_catalog.>) $1::pg_catalog.tid \
                 ORDER BY m.place LIMIT {page}",
                self.kind, self.table
            );
            let rows = spi::rows(&sql, &[format!("({block},{offset})").into()], |row| {
                Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<i32>(2)?.unwrap_or(-1)))
            })?;
            let is_last = rows.len() < page;
            for (ctid, kind) in rows {
                let place = place(&ctid).ok_or_else(|| unexpected(format!("place {ctid} of a row")))?;
                let kind =
                    usize::try_from(kind).map_err(|_| unexpected("row that is unwanted for no reason"))?;
                found.push((place, kind));
                after = Some(place);
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Clears what is to be cleared in the table `rows`, and deletes the rejected rows of it. Gives the
    /// number of rejected rows.
    pub fn apply(&self, rows: &QualifiedName) -> Result<i64> {
        spi::run(&format!("ANALYZE {}", self.table))?;
        let with = |clear: &[String]| {
            let same = self.kinds.iter().enumerate().filter(|(_, kind)| kind.clear == clear);
            let numbers = same.map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(", ");
            format!(
                "c.ctid OPERATOR(pg_catalog.=) u.place AND u.kind OPERATOR(pg_catalog.=) ANY (ARRAY[{numbers}])"
            )
        };
        let marked = format!("(SELECT place, {} AS kind FROM {}) AS u", self.kind, self.table);
        let mut done: Vec<&[String]> = vec![&[]];
        for kind in &self.kinds {
            if done.contains(&kind.clear.as_slice()) {
                continue;
            }
            done.push(&kind.clear);
            let assignments: Vec<String> =
                kind.clear.iter().map(|c| format!("{} = NULL", quote(c))).collect();
            spi::run_for_caller(&format!(
                "UPDATE ONLY {rows} AS c SET {} FROM {marked} WHERE {}",
                assignments.join(", "),
                with(&kind.clear)
            ))?;
        }
        if self.kinds.iter().all(|kind| !kind.clear.is_empty()) {
            return Ok(0);
        }
        spi::count_for_caller(&format!("DELETE FROM ONLY {rows} AS c USING {marked} WHERE {}", with(&[])))
    }

    /// Drops the temporary table.
    pub fn drop(self) -> Result<()> {
        spi::run(&format!("DROP TABLE {}", self.table))
    }
}

/// The name of a temporary table of ours.
pub fn temporary(what: &str, number: usize) -> QualifiedName {
    QualifiedName { schema: "pg_temp".to_owned(), name: format!("aliaport_import_{what}_{number}") }
}

/// `(12,3)` as block and offset.
fn place(ctid: &str) -> Option<readback::RowPlace> {
    let (block, offset) = ctid.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((block.parse().ok()?, offset.parse().ok()?))
}
