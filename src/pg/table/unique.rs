//! The unique keys that a table has, and the rows of a run that stand in their way: found set-wise, before
//! PostgreSQL would stop at the first of them.

use aliaport_plan::plan::{TablePlan, UniqueTerms};
use aliaport_rows::identifier::quote;
use aliaport_rows::sqlstate::SqlState;
use pgrx::pg_sys;

use super::operator;
use super::unwanted::{Kind, Unwanted};
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// One unique index of a table.
#[derive(Clone, Debug)]
pub struct UniqueIndex {
    /// Its name, quoted as PostgreSQL's own messages quote it.
    pub name: String,
    /// What it demands.
    pub unique: UniqueTerms,
    /// NULLS NOT DISTINCT: two rows with NULL are duplicates.
    pub nulls_are_equal: bool,
    /// Of each term, the operator of its class that says that two keys are equal, as `OPERATOR(schema.=)`.
    pub operators: Vec<String>,
    /// Every attribute that a term or the condition names.
    pub columns: Vec<String>,
}

/// The unique indexes of a relation that PostgreSQL enforces.
pub fn indexes(relation: pg_sys::Oid) -> Result<Vec<UniqueIndex>> {
    spi::rows(
        "SELECT c.relname::text, \
                ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false) \
                      FROM pg_catalog.generate_series(1, i.indnkeyatts) AS n ORDER BY n), \
                pg_catalog.pg_get_expr(i.indpred, i.indrelid), \
                COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum > 0 \
                      AND (a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]) \
                           OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                                      AND d.objid = i.indexrelid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                                      AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))), \
                ARRAY(SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) \
                      FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) WITH ORDINALITY AS u(class, n) \
                      JOIN pg_catalog.pg_opclass k ON k.oid = u.class \
                      JOIN pg_catalog.pg_amop m ON m.amopfamily = k.opcfamily AND m.amoplefttype = k.opcintype \
                        AND m.amoprighttype = k.opcintype AND m.amopstrategy = 3 \
                      JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
                      ORDER BY u.n) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indislive ORDER BY i.indisprimary DESC, i.indexrelid",
        &[relation.into()],
        |row| {
            Ok(UniqueIndex {
                name: format!("\"{}\"", row.get::<String>(1)?.unwrap_or_default()),
                unique: UniqueTerms {
                    terms: row.get::<Vec<String>>(2)?.unwrap_or_default(),
                    predicate: row.get::<String>(3)?,
                },
                nulls_are_equal: row.get::<bool>(4)?.unwrap_or(false),
                columns: row.get::<Vec<String>>(5)?.unwrap_or_default(),
                operators: row.get::<Vec<String>>(6)?.unwrap_or_default(),
            })
        },
    )
}

impl UniqueIndex {
    fn condition(&self) -> String {
        let mut conditions: Vec<String> = match self.nulls_are_equal {
            true => Vec::new(),
            false => self.unique.terms.iter().map(|t| format!("({t}) IS NOT NULL")).collect(),
        };
        conditions.extend(self.unique.predicate.iter().map(|p| format!("({p})")));
        if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
    }

    /// The rows in `rows`, the table with this number or its stage, that repeat the key of an earlier one
    /// there; none where each is there once.
    pub fn repeated(&self, number: usize, rows: &str) -> Result<Option<Unwanted>> {
        let (terms, condition) = (self.unique.terms.join(", "), self.condition());
        // Telling that there are none takes no sort.
        let any = format!(
            "SELECT EXISTS (SELECT 1 FROM ONLY {rows} WHERE {condition} GROUP BY {terms} HAVING pg_catalog.count(*) > 1)"
        );
        if spi::one::<bool>(&any, &[])? != Some(true) {
            return Ok(None);
        }
        let unwanted = Unwanted::new(number, vec![self.kind()])?;
        unwanted.add(&format!(
            "SELECT ctid, 0 FROM (SELECT ctid, pg_catalog.row_number() OVER (PARTITION BY {terms} ORDER BY ctid) AS n \
             FROM ONLY {rows} WHERE {condition}) AS d WHERE n > 1"
        ))?;
        Ok(Some(unwanted))
    }

    /// Adds to `unwanted` the rows in `rows`, the table with this number or its stage, whose key a row of
    /// `others` (a FROM item) has.
    pub fn taken(
        &self,
        unwanted: Option<Unwanted>,
        number: usize,
        rows: &str,
        others: &str,
    ) -> Result<Option<Unwanted>> {
        let taken = format!("FROM ({}) AS s", self.places_taken("ctid", &format!("ONLY {rows}"), others));
        if spi::one::<i64>(&format!("SELECT pg_catalog.count(*) {taken}"), &[])?.unwrap_or(0) == 0 {
            return Ok(unwanted);
        }
        let unwanted = match unwanted {
            Some(unwanted) => unwanted,
            None => Unwanted::new(number, vec![self.kind()])?,
        };
        unwanted.add(&format!("SELECT s.place, 0 {taken}"))?;
        Ok(Some(unwanted))
    }

    /// The query for what the expression `place` gives of the rows of a FROM item whose key a row of another
    /// has.
    pub fn places_taken(&self, place: &str, rows: &str, others: &str) -> String {
        let condition = self.condition();
        let named: Vec<String> =
            self.unique.terms.iter().enumerate().map(|(i, t)| format!("{t} AS k{i}")).collect();
        let named = named.join(", ");
        let equal: Vec<String> = (0..self.unique.terms.len())
            .map(|i| {
                let operator = self.operators.get(i).map_or(operator::OWN, String::as_str);
                match self.nulls_are_equal {
                    true => format!("(o.k{i} {operator} s.k{i} OR o.k{i} IS NULL AND s.k{i} IS NULL)"),
                    false => format!("o.k{i} {operator} s.k{i}"),
                }
            })
            .collect();
        // A join and no EXISTS: not every engine that keeps rows elsewhere understands that.
        format!(
            "SELECT DISTINCT s.place FROM (SELECT {place} AS place, {named} FROM {rows} WHERE {condition}) AS s \
             JOIN (SELECT {named} FROM {others} WHERE {condition}) AS o ON {}",
            equal.join(" AND ")
        )
    }

    /// The query for what the expression `place` gives of the rows of a FROM item that this key speaks of,
    /// with a hash of their keys: equal keys have equal ones.
    pub fn hashes(&self, place: &str, rows: &str) -> String {
        format!(
            "SELECT {place}, pg_catalog.hash_record_extended(ROW({}), 0) FROM {rows} WHERE {}",
            self.unique.terms.join(", "),
            self.condition()
        )
    }

    /// It is over columns alone, all rows, and NULLs differ.
    pub fn is_plain(&self) -> bool {
        let is_column = |term: &String| self.columns.iter().any(|c| quote(c) == *term);
        !self.nulls_are_equal && self.unique.predicate.is_none() && self.unique.terms.iter().all(is_column)
    }

    /// True where the source fills every attribute that the key needs.
    pub fn is_over(&self, plan: &TablePlan) -> bool {
        self.columns.iter().all(|c| plan.columns.iter().any(|p| p.target == *c))
    }

    /// What is the matter with rows that stand in the way of this key.
    fn kind(&self) -> Kind {
        Kind {
            column: self.unique.terms.iter().map(|t| plain(t)).collect::<Vec<_>>().join(", "),
            reason: format!("duplicate key value violates unique constraint {}", self.name),
            sqlstate: SqlState::UNIQUE_VIOLATION,
            clear: Vec::new(),
        }
    }
}

/// A column's name without its quotes; an expression as it is.
fn plain(term: &str) -> String {
    let inner = term.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner.map(|inner| inner.replace("\"\"", "\u{0}")) {
        Some(name) if !name.contains('"') => name.replace('\u{0}', "\""),
        _ => term.to_owned(),
    }
}

/// The attributes of a relation on which rows exclude one another: those of its unique indexes and exclusion
/// constraints.
pub fn guarded(relation: pg_sys::Oid) -> Result<Vec<String>> {
    spi::rows(
        "SELECT DISTINCT a.attname::text FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0 \
         WHERE i.indrelid = $1 AND (i.indisunique OR i.indisexclusion) \
           AND (a.attnum = ANY (i.indkey::pg_catalog.int2[]) \
                OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND d.objid = i.indexrelid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))",
        &[relation.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}
