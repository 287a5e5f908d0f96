//! Rows that a table has already exactly as the source has them, and that therefore do not wait in its stage:
//! what is known of them is where the table's other rows are.

use std::cell::Cell;
use std::rc::Rc;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::identifier::QualifiedName;
use pgrx::pg_sys;

use super::unwanted::temporary;
use crate::pg::heap::matching::Matcher;
use crate::pg::heap::readback::RowPlace;
use crate::pg::heap::standing::{self, Standing};
use crate::pg::server::error::Result;
use crate::pg::server::{memory, spi};

/// What a load has found of its table. A stage that has one holds only the rows that the table does not have.
pub struct Matched {
    /// The places of the rows of the table that the source does not have as they are, in a temporary table;
    /// `None` where there are none.
    others: Option<QualifiedName>,
    /// Rows that are the same.
    pub same: u64,
}

/// A comparison that is under way.
pub struct Matching {
    /// Sees the rows of the load.
    pub matcher: Matcher,
    table: QualifiedName,
    is_made: Rc<Cell<bool>>,
}

/// Begins to compare the rows of the table with this number with those that will be loaded; `None` where all
/// have to be staged.
///
/// That is so where the rows are not all in the table's own heap, where the caller does not see all of them,
/// where no index finds a row by the key that sync goes by, and where rows may be there that an INSERT would
/// refuse: these are found in the stage.
pub fn begin(
    relation: pg_sys::Oid,
    standing: Standing,
    plan: &TablePlan,
    number: usize,
) -> Result<Option<Matching>> {
    if standing != Standing::Plain || standing::is_restricted(relation)? {
        return Ok(None);
    }
    let mut wanted = plan.sync_key.clone();
    wanted.sort_unstable();
    let is_it = |(_, columns): &(pg_sys::Oid, Vec<String>)| {
        let mut columns = columns.clone();
        columns.sort_unstable();
        columns == wanted
    };
    let Some((index, key)) = key_indexes(relation)?.into_iter().find(is_it) else { return Ok(None) };
    let table = temporary("others", number);
    let is_made = Rc::new(Cell::new(false));
    let keep = {
        let (table, is_made) = (table.clone(), Rc::clone(&is_made));
        Box::new(move |places: &[RowPlace]| {
            if !is_made.replace(true) {
                spi::run(&format!("CREATE TEMPORARY TABLE {table} (place pg_catalog.tid)"))?;
            }
            let places: Vec<String> =
                places.iter().map(|(block, offset)| format!("({block},{offset})")).collect();
            memory::briefly(|| {
                spi::run_with(
                    &format!(
                        "INSERT INTO {table} SELECT place::pg_catalog.tid FROM pg_catalog.unnest($1) AS u (place)"
                    ),
                    &[places.into()],
                )
            })
        })
    };
    let matcher = Matcher::new(relation, plan, index, &key, keep)?;
    Ok(Some(Matching { matcher, table, is_made }))
}

/// Unique indexes that say of every key where its row is, with their columns.
fn key_indexes(relation: pg_sys::Oid) -> Result<Vec<(pg_sys::Oid, Vec<String>)>> {
    spi::rows_often(
        // The index says the same as a join with the operators of the columns' types: default operator
        // classes, and the columns' own collations.
        "SELECT i.indexrelid, \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum \
                      WHERE u.n <= i.indnkeyatts ORDER BY u.n) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
         WHERE i.indrelid = $1 AND m.amname = 'btree' AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate \
           AND NOT i.indcheckxmin AND i.indpred IS NULL AND i.indexprs IS NULL \
           AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(i.indclass::pg_catalog.oid[]), \
                                                  pg_catalog.unnest(i.indcollation::pg_catalog.oid[]), \
                                                  pg_catalog.unnest(i.indkey::pg_catalog.int2[])) WITH ORDINALITY AS u(class, coll, attnum, n) \
                           JOIN pg_catalog.pg_opclass k ON k.oid = u.class \
                           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum \
                           WHERE u.n <= i.indnkeyatts AND (NOT k.opcdefault OR u.coll <> a.attcollation)) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = i.indrelid AND k.contype = 'c' AND NOT k.convalidated) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                           WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd') \
         ORDER BY i.indisprimary DESC, i.indexrelid",
        &[relation.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                row.get::<Vec<String>>(2)?.unwrap_or_default(),
            ))
        },
    )
}

impl Matching {
    /// Ends it when every row was loaded. `None` where the stage holds all of them.
    pub fn finish(self) -> Result<Found> {
        let Matching { matcher, table, is_made } = self;
        let (has_begun, is_ambiguous) = (matcher.has_begun(), matcher.is_ambiguous());
        let same = matcher.finish()?;
        let others = is_made.get().then_some(table);
        if let Some(others) = &others {
            spi::run(&format!("ANALYZE {others}"))?;
        }
        let matched = Matched { others, same };
        Ok(match (has_begun, is_ambiguous) {
            (false, _) => Found::Nothing,
            (true, true) => {
                matched.drop()?;
                Found::Ambiguous
            }
            (true, false) => Found::Matched(matched),
        })
    }
}

/// What came of a comparison.
pub enum Found {
    /// Nothing was compared: the stage has every row.
    Nothing,
    /// Two rows of the source have one key: every row has to be loaded.
    Ambiguous,
    /// The stage has the rows that the table does not have.
    Matched(Matched),
}

impl Matched {
    /// True where each row of the table is one of the source.
    pub fn is_all(&self) -> bool {
        self.others.is_none()
    }

    /// The rows that are the same in the table that `from` names, as a FROM item `o`.
    pub fn same_rows(&self, from: &str) -> String {
        match &self.others {
            None => format!("{from} AS o"),
            Some(others) => format!(
                "(SELECT t.* FROM {from} t WHERE NOT EXISTS (SELECT 1 FROM {others} m WHERE m.place OPERATOR(pg_catalog.=) t.ctid)) AS o"
            ),
        }
    }

    /// The rows `t` of the table that `from` names that are to be compared, as a FROM clause.
    pub fn other_rows(&self, from: &str) -> String {
        match &self.others {
            None => format!("{from} t WHERE false"),
            Some(others) => format!("{from} t JOIN {others} m ON t.ctid OPERATOR(pg_catalog.=) m.place"),
        }
    }

    /// Drops the temporary table.
    pub fn drop(self) -> Result<()> {
        self.others.map_or(Ok(()), |others| spi::run(&format!("DROP TABLE {others}")))
    }
}
