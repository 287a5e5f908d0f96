//! What follows the load: foreign keys with the orphans they find, and sequences.

use aliaport_plan::name::quote as quoted;
use aliaport_plan::plan::{ForeignKeyPlan, Plan, QualifiedName, SequencePlan, TablePlan};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::error::{Error, Result};
use super::spi;

/// How many rows of `child` point at a missing parent by this key, over the converted values in the target.
///
/// A row with a NULL among the referencing columns points nowhere (MATCH SIMPLE, the only kind SQLite has).
pub fn count_orphans(child: &QualifiedName, key: &ForeignKeyPlan) -> Result<i64> {
    let not_null: Vec<String> = key.columns.iter().map(|c| format!("c.{} IS NOT NULL", quoted(c))).collect();
    let equal: Vec<String> = key
        .columns
        .iter()
        .zip(&key.parent_columns)
        .map(|(c, p)| format!("p.{} OPERATOR(pg_catalog.=) c.{}", quoted(p), quoted(c)))
        .collect();
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM ONLY {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
        child,
        not_null.join(" AND "),
        key.parent,
        equal.join(" AND ")
    );
    Ok(spi::one::<i64>(&sql, &[])?.unwrap_or(0))
}

/// One foreign key that has orphans.
pub struct Orphaned {
    /// `work_order_item.work_order_id`
    pub label: String,
    /// The parent's SQLite name.
    pub parent: String,
    /// Rows without a parent.
    pub rows: i64,
    /// A few of the values that have no parent, as text.
    pub examples: Vec<String>,
}

/// Every foreign key of the plan that has orphans.
pub fn orphaned(plan: &Plan) -> Result<Vec<(usize, Orphaned)>> {
    let mut found = Vec::new();
    for (index, table) in plan.tables.iter().enumerate() {
        for key in &table.foreign_keys {
            let rows = count_orphans(&table.target, key)?;
            if rows > 0 {
                found.push((
                    index,
                    Orphaned {
                        label: key.label.clone(),
                        parent: key.parent_source.clone(),
                        rows,
                        examples: orphan_examples(table, key)?,
                    },
                ));
            }
        }
    }
    Ok(found)
}

fn orphan_examples(table: &TablePlan, key: &ForeignKeyPlan) -> Result<Vec<String>> {
    let not_null: Vec<String> = key.columns.iter().map(|c| format!("c.{} IS NOT NULL", quoted(c))).collect();
    let equal: Vec<String> = key
        .columns
        .iter()
        .zip(&key.parent_columns)
        .map(|(c, p)| format!("p.{} OPERATOR(pg_catalog.=) c.{}", quoted(p), quoted(c)))
        .collect();
    // The row's own key first, then what it points at: "id = 7 points at 999".
    let own: Vec<&str> = table
        .source_key
        .iter()
        .filter_map(|k| table.columns.iter().find(|c| &c.source == k))
        .map(|c| c.target.as_str())
        .collect();
    let text = |columns: Vec<&str>| {
        let parts: Vec<String> = columns.iter().map(|c| format!("c.{}::pg_catalog.text", quoted(c))).collect();
        format!("pg_catalog.concat_ws(', ', {})", parts.join(", "))
    };
    let points_at = text(key.columns.iter().map(String::as_str).collect());
    let shown = if own.is_empty() {
        points_at
    } else {
        format!(
            "pg_catalog.concat({}, {}, ' points at ', {points_at})",
            aliaport_plan::name::quote_literal(&format!("{} = ", own.join(", "))),
            text(own.clone())
        )
    };
    let sql = format!(
        "SELECT pg_catalog.left({shown}, 100) FROM ONLY {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {}) LIMIT 3",
        table.target,
        not_null.join(" AND "),
        key.parent,
        equal.join(" AND ")
    );
    spi::rows(&sql, &[], |row| Ok(row.get::<String>(1)?.unwrap_or_default()))
}

/// The error of `orphans => 'abort'`: every foreign key with its count.
pub fn orphan_error(found: &[(usize, Orphaned)]) -> Error {
    let total: i64 = found.iter().map(|(_, o)| o.rows).sum();
    let lines: Vec<String> = found
        .iter()
        .map(|(_, o)| {
            format!("{}: {} without a parent in \"{}\" (for instance {}).", o.label, rows(o.rows), o.parent, o.examples.join("; "))
        })
        .collect();
    Error::new(
        PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
        format!("{} of the source point at missing parents, over {} foreign keys", rows(total), found.len()),
    )
    .detail(lines.join("\n"))
    .hint("Repair the rows in SQLite, or import with orphans => 'reject' (set the rows aside), 'null' (clear the reference) or 'keep' (constraints stay NOT VALID).")
}

fn rows(n: i64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{n} rows") }
}

/// Sets the sequence behind a column so that `nextval()` never returns a key in use, and says what it will return.
///
/// The next key follows the greater of max(key) and `sqlite_sequence` (AUTOINCREMENT never reuses a key). An empty table
/// whose SQLite table never held a key starts at the sequence's start. `None` where the column has no sequence, or where
/// the sequence is used up.
pub fn set_sequence(table: &TablePlan, plan: &SequencePlan) -> Result<Option<i64>> {
    let relation = table.target.to_string();
    let Some(sequence) = sequence_of(&relation, &plan.column)? else { return Ok(None) };
    let max =
        spi::one::<i64>(&format!("SELECT pg_catalog.max({})::bigint FROM {relation}", quoted(&plan.column)), &[])?;
    let in_use = max.max(plan.high_water);
    let (start, minimum, limit) = spi::rows(
        "SELECT seqstart, seqmin, seqmax FROM pg_catalog.pg_sequence WHERE seqrelid = $1",
        &[sequence.into()],
        |row| Ok((row.get::<i64>(1)?.unwrap_or(1), row.get::<i64>(2)?.unwrap_or(1), row.get::<i64>(3)?.unwrap_or(i64::MAX))),
    )?
    .into_iter()
    .next()
    .unwrap_or((1, 1, i64::MAX));
    let (value, is_called, next) = match in_use {
        Some(n) if n >= limit => (limit, true, None),
        Some(n) if n >= minimum => (n, true, n.checked_add(1)),
        // Empty, or only keys below the sequence's range (SQLite allows negative ones).
        _ => (start, false, Some(start)),
    };
    spi::one_mut::<i64>(
        "SELECT pg_catalog.setval($1::oid::regclass, $2, $3)",
        &[sequence.into(), value.into(), is_called.into()],
    )?;
    Ok(next)
}

/// The sequence of a serial or identity column, or the one that its default takes from.
fn sequence_of(relation: &str, column: &str) -> Result<Option<pg_sys::Oid>> {
    spi::one::<pg_sys::Oid>(
        "SELECT COALESCE( \
           pg_catalog.pg_get_serial_sequence($1, $2)::regclass::oid, \
           (SELECT d2.refobjid FROM pg_catalog.pg_attrdef d \
              JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
              JOIN pg_catalog.pg_depend d2 ON d2.classid = 'pg_catalog.pg_attrdef'::regclass AND d2.objid = d.oid \
                AND d2.refclassid = 'pg_catalog.pg_class'::regclass \
              JOIN pg_catalog.pg_class s ON s.oid = d2.refobjid AND s.relkind = 'S' \
            WHERE d.adrelid = $1::regclass AND a.attname = $2 LIMIT 1))",
        &[relation.to_owned().into(), column.to_owned().into()],
    )
}
