//! The foreign keys that PostgreSQL enforces on tables of an import, between them and towards tables outside
//! of it, checked set-wise after the last row is written: what the triggers would have checked row by row.

use std::collections::BTreeSet;

use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_rows::identifier::{QualifiedName, quote};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::target;
use crate::pg::heap::standing;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::spi;

/// Whether the constraint `k` is what PostgreSQL makes beside a foreign key to a partitioned table for each
/// of its partitions. Its rows need not be in that very partition: only the key that it was made for says
/// what has to be where.
macro_rules! is_partition_copy {
    () => {
        "EXISTS (SELECT FROM pg_catalog.pg_constraint AS whole \
                 WHERE whole.oid = k.conparentid AND whole.contype = 'f' AND whole.confrelid <> k.confrelid)"
    };
}
pub(in crate::pg) use is_partition_copy;

/// One foreign key constraint.
pub struct TargetForeignKey {
    name: String,
    /// The referencing table.
    child: pg_sys::Oid,
    child_name: String,
    child_from: String,
    /// The referenced table.
    parent: pg_sys::Oid,
    parent_name: String,
    parent_from: String,
    columns: Vec<String>,
    parent_columns: Vec<String>,
    /// `OPERATOR(schema.=)`, the constraint's own.
    operators: Vec<String>,
    is_match_full: bool,
    /// The constraint with its schema, where it can be deferred and is not by itself.
    deferrable: Option<String>,
    /// Every row was known to have its parent before the run.
    is_valid: bool,
    /// Rows that broke it before the run: a constraint that is NOT VALID may have some.
    before: i64,
    /// Rows of the run that break it and that a policy keeps.
    kept: i64,
    /// Row security hides rows of one of the two tables from the caller.
    is_hidden: Option<pg_sys::Oid>,
}

/// The foreign keys of and to any of `relations`.
///
/// Of a key on a partitioned table the topmost constraint stands for those of its partitions.
pub fn find_foreign_keys(relations: &[pg_sys::Oid]) -> Result<Vec<TargetForeignKey>> {
    let mut found = spi::rows(
        "WITH RECURSIVE top AS ( \
             SELECT oid, conparentid FROM pg_catalog.pg_constraint \
             WHERE contype = 'f' AND (conrelid = ANY ($1) OR confrelid = ANY ($1)) \
           UNION \
             SELECT k.oid, k.conparentid FROM top JOIN pg_catalog.pg_constraint k ON k.oid = top.conparentid) \
         SELECT k.conname::text, k.conrelid, \
                pg_catalog.format('%I.%I', cn.nspname, c.relname), \
                k.confrelid, \
                pg_catalog.format('%I.%I', pn.nspname, p.relname), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n), \
                ARRAY(SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) \
                      FROM pg_catalog.unnest(k.conpfeqop) WITH ORDINALITY AS u(oid, n) \
                      JOIN pg_catalog.pg_operator o ON o.oid = u.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
                      ORDER BY u.n), \
                k.confmatchtype = 'f', k.convalidated, \
                CASE WHEN pg_catalog.row_security_active(c.oid) THEN c.oid \
                     WHEN pg_catalog.row_security_active(p.oid) THEN p.oid END, \
                CASE WHEN k.condeferrable AND NOT k.condeferred THEN pg_catalog.format('%I.%I', cn.nspname, k.conname) END \
         FROM top JOIN pg_catalog.pg_constraint k ON k.oid = top.oid \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
         JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
         WHERE k.conparentid = 0 AND NOT COALESCE((pg_catalog.to_jsonb(k) ->> 'conperiod')::pg_catalog.bool, false) \
           AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) \
         ORDER BY c.relname, k.oid",
        &[relations.to_vec().into()],
        |row| {
            Ok(TargetForeignKey {
                name: row.get::<String>(1)?.unwrap_or_default(),
                child: row.get::<pg_sys::Oid>(2)?.unwrap_or(pg_sys::InvalidOid),
                child_name: String::new(),
                child_from: row.get::<String>(3)?.unwrap_or_default(),
                parent: row.get::<pg_sys::Oid>(4)?.unwrap_or(pg_sys::InvalidOid),
                parent_name: String::new(),
                parent_from: row.get::<String>(5)?.unwrap_or_default(),
                columns: row.get::<Vec<String>>(6)?.unwrap_or_default(),
                parent_columns: row.get::<Vec<String>>(7)?.unwrap_or_default(),
                operators: row.get::<Vec<String>>(8)?.unwrap_or_default(),
                is_match_full: row.get::<bool>(9)?.unwrap_or(false),
                deferrable: row.get::<String>(12)?,
                is_valid: row.get::<bool>(10)?.unwrap_or(true),
                before: 0,
                kept: 0,
                is_hidden: row.get::<pg_sys::Oid>(11)?,
            })
        },
    )?;
    for reference in &mut found {
        reference.child_name = target::regclass(reference.child)?;
        reference.parent_name = target::regclass(reference.parent)?;
        reference.child_from = standing::standing_of(reference.child)?.from(&reference.child_from);
        reference.parent_from = standing::standing_of(reference.parent)?.from(&reference.parent_from);
        if !reference.is_valid && reference.is_hidden.is_none() {
            reference.before = reference.count()?;
        }
    }
    Ok(found)
}

impl TargetForeignKey {
    /// Whether it is a key of one of `relations`.
    pub fn is_of(&self, relations: &[pg_sys::Oid]) -> bool {
        relations.contains(&self.child)
    }

    /// Whether it is a key to one of `relations`.
    pub fn is_to(&self, relations: &[pg_sys::Oid]) -> bool {
        relations.contains(&self.parent)
    }

    /// Whether it is NOT VALID and demands of `relation` what `key` says.
    pub fn may_keep(&self, relation: pg_sys::Oid, parent: pg_sys::Oid, key: &ForeignKeyPlan) -> bool {
        let pairs = |columns: &[String], parents: &[String]| -> BTreeSet<(String, String)> {
            columns.iter().cloned().zip(parents.iter().cloned()).collect()
        };
        !self.is_valid
            && self.is_hidden.is_none()
            && self.child == relation
            && self.parent == parent
            && pairs(&self.columns, &self.parent_columns) == pairs(&key.columns, &key.parent_columns)
    }

    /// Lets rows of the run break it.
    pub fn keep(&mut self, rows: i64) {
        self.kept = rows;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name with the schema, where it is a key of `relation` that can wait.
    pub fn waiting_of(&self, relation: pg_sys::Oid) -> Option<&str> {
        self.deferrable.as_deref().filter(|_| self.child == relation)
    }

    /// The referenced table.
    pub fn parent(&self) -> pg_sys::Oid {
        self.parent
    }

    /// The error of a key that leads out of the import, in a transaction whose snapshot is older than the
    /// checks: what other sessions have changed since would not be seen.
    pub fn refuse_old_snapshot(&self) -> Error {
        Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("foreign key \"{}\" cannot be checked at this isolation level", self.name),
        )
        .detail(format!(
            "It leads from {} to {}, one of which is not part of the import, and the transaction does not see what others commit.",
            self.child_name, self.parent_name
        ))
        .hint("Run the import at isolation level READ COMMITTED.")
    }

    /// Rows that broke the key before the run, where it is NOT VALID.
    pub fn broken_before(&self) -> Option<i64> {
        (self.before > 0).then_some(self.before)
    }

    /// The referencing attributes.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The error of a key that cannot be checked, because row security hides rows of one of its tables.
    pub fn refuse_hidden(&self) -> Result<()> {
        let Some(table) = self.is_hidden else { return Ok(()) };
        let table = target::regclass(table)?;
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("foreign key \"{}\" cannot be checked by this role", self.name),
        )
        .detail(format!(
            "It leads from {} to {}, and row-level security hides rows of {table} from the caller.",
            self.child_name, self.parent_name
        ))
        .hint("Import as the owner of the tables or as a role with BYPASSRLS."))
    }

    /// The conditions of which a row that breaks the key meets one. Each is asked for alone: with OR between
    /// them a missing parent would be looked for row by row.
    fn broken(&self) -> Vec<String> {
        let nulls =
            |word: &str| self.columns.iter().map(|c| format!("c.{} IS {word}", quote(c))).collect::<Vec<_>>();
        let equal: Vec<String> = self
            .columns
            .iter()
            .zip(&self.parent_columns)
            .zip(&self.operators)
            .map(|((c, p), operator)| format!("p.{} {operator} c.{}", quote(p), quote(c)))
            .collect();
        let mut conditions = vec![format!(
            "{} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            nulls("NOT NULL").join(" AND "),
            self.parent_from,
            equal.join(" AND ")
        )];
        if self.is_match_full && self.columns.len() > 1 {
            let (null, not_null) = (nulls("NULL").join(" OR "), nulls("NOT NULL").join(" OR "));
            conditions.push(format!("({null}) AND ({not_null})"));
        }
        conditions
    }

    fn count(&self) -> Result<i64> {
        let mut total = 0;
        for broken in self.broken() {
            let sql = format!("SELECT pg_catalog.count(*) FROM {} c WHERE {broken}", self.child_from);
            total += spi::one_for_caller::<i64>(&sql, &[])?.unwrap_or(0);
        }
        Ok(total)
    }

    /// Raises 23503 where rows break the key that did not before the run and that no policy keeps. In a table
    /// that was emptied there are none of before.
    pub fn check(&self, is_emptied: bool) -> Result<()> {
        let before = if is_emptied { 0 } else { self.before } + self.kept;
        let count = self.count()?;
        if count <= before {
            return Ok(());
        }
        let shown: Vec<String> = self.columns.iter().map(|c| format!("c.{}", quote(c))).collect();
        let broken = self.broken().into_iter().map(|broken| {
            format!(
                "SELECT pg_catalog.left(pg_catalog.concat_ws(', ', {}), 100) AS shown FROM {} c WHERE {broken}",
                shown.join(", "),
                self.child_from
            )
        });
        let examples = spi::rows_for_caller(
            &format!(
                "SELECT DISTINCT shown FROM ({}) AS b LIMIT 3",
                broken.collect::<Vec<_>>().join(" UNION ALL ")
            ),
            &[],
            |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
        )?;
        let new = count - before;
        let rows = if new == 1 { "1 row".to_owned() } else { format!("{new} rows") };
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
            format!("{rows} of table {} would point at a missing row of {}", self.child_name, self.parent_name),
        )
        .detail(format!(
            "Foreign key \"{}\" ({}) references {} ({}); missing are, for instance: {}.",
            self.name,
            self.columns.join(", "),
            self.parent_name,
            self.parent_columns.join(", "),
            examples.join("; ")
        ))
        .hint(format!(
            "Delete or change these rows of {} first, import it too, or keep what the source does not have any more with mode sync and options.sync_delete = false.",
            self.child_name
        )))
    }
}

/// A constraint that demands what a foreign key says.
pub struct Enforced {
    /// Its name.
    pub name: String,
    /// Every row is known to have its parent. One that is NOT VALID refuses new rows all the same.
    pub is_valid: bool,
}

/// The constraint of the table `child` that demands what `key` says, if it has one: of several one that is
/// valid.
pub fn enforced_foreign_key(child: &QualifiedName, key: &ForeignKeyPlan) -> Result<Option<Enforced>> {
    let pairs: Vec<String> =
        key.columns.iter().zip(&key.parent_columns).map(|(c, p)| format!("{c}\u{1}{p}")).collect();
    let found = spi::rows(
        "SELECT k.conname::text, k.convalidated FROM pg_catalog.pg_constraint k \
         WHERE k.contype = 'f' AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) \
           AND k.conrelid = pg_catalog.to_regclass($1) AND k.confrelid = pg_catalog.to_regclass($2) \
           AND (SELECT pg_catalog.array_agg(c.attname::text || E'\\x01' || p.attname::text ORDER BY 1) \
                FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) AS u(child, parent) \
                JOIN pg_catalog.pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child \
                JOIN pg_catalog.pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.parent) \
             @> $3 AND pg_catalog.cardinality($3) = pg_catalog.cardinality(k.conkey) ORDER BY k.convalidated DESC, k.oid LIMIT 1",
        &[child.to_string().into(), key.parent.to_string().into(), pairs.into()],
        |row| {
            let name = row.get::<String>(1)?.unwrap_or_default();
            Ok(Enforced { name, is_valid: row.get::<bool>(2)?.unwrap_or(true) })
        },
    )?;
    Ok(found.into_iter().next())
}

/// Adds the foreign keys that the table `plan` stands for has in the target and that the source does not
/// declare, so that they are checked after the load like the others.
pub fn add_foreign_keys(plan: &mut TablePlan) -> Result<()> {
    let keys = spi::rows(
        concat!(
            "SELECT k.conname::text, pn.nspname::text, pc.relname::text, \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n) \
         FROM pg_catalog.pg_constraint k \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_class pc ON pc.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace \
         WHERE k.contype = 'f' AND n.nspname = $1 AND c.relname = $2 \
           AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) AND NOT (",
            is_partition_copy!(),
            ") ORDER BY k.oid"
        ),
        &[plan.target.schema.clone().into(), plan.target.name.clone().into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                QualifiedName {
                    schema: row.get::<String>(2)?.unwrap_or_default(),
                    name: row.get::<String>(3)?.unwrap_or_default(),
                },
                row.get::<Vec<String>>(4)?.unwrap_or_default(),
                row.get::<Vec<String>>(5)?.unwrap_or_default(),
            ))
        },
    )?;
    for (name, parent, columns, parent_columns) in keys {
        if plan
            .foreign_keys
            .iter()
            .any(|k| k.columns == columns && k.parent == parent && k.parent_columns == parent_columns)
        {
            continue;
        }
        let source_columns: Vec<String> = columns
            .iter()
            .map(|c| {
                plan.columns.iter().find(|p| &p.target == c).map_or_else(|| c.clone(), |p| p.source.clone())
            })
            .collect();
        plan.foreign_keys.push(ForeignKeyPlan {
            name,
            label: format!("{}.{}", plan.source, source_columns.join(", ")),
            parent_source: parent.name.clone(),
            parent_source_columns: parent_columns.clone(),
            parent,
            columns,
            parent_columns,
            source_columns,
            orphans: None,
            is_created: false,
        });
    }
    Ok(())
}
