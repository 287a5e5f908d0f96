//! What follows the load: sequences, and the foreign keys that an existing table already has.

use aliaport_plan::name::quote as quoted;
use aliaport_plan::plan::{SequencePlan, TablePlan};
use pgrx::pg_sys;

use super::error::Result;
use super::spi;

/// Sets the sequence behind a column so that `nextval()` never returns a key in use, and says what it will return.
///
/// The next key follows the greater of max(key) and `sqlite_sequence` (AUTOINCREMENT never reuses a key). An empty table
/// whose SQLite table never held a key starts at the sequence's start. `None` where the column has no sequence, or where
/// the sequence is used up.
pub fn set_sequence(table: &TablePlan, plan: &SequencePlan) -> Result<Option<i64>> {
    let relation = table.target.to_string();
    let Some(sequence) = sequence_of(&relation, &plan.column)? else { return Ok(None) };
    let (start, least, most, increment) = spi::rows_often(
        "SELECT seqstart, seqmin, seqmax, seqincrement FROM pg_catalog.pg_sequence WHERE seqrelid = $1",
        &[sequence.into()],
        |row| {
            Ok((
                row.get::<i64>(1)?.unwrap_or(1),
                row.get::<i64>(2)?.unwrap_or(1),
                row.get::<i64>(3)?.unwrap_or(i64::MAX),
                row.get::<i64>(4)?.unwrap_or(1),
            ))
        },
    )?
    .into_iter()
    .next()
    .unwrap_or((1, 1, i64::MAX, 1));
    // A sequence that counts down goes on below the smallest key.
    let counts_up = increment > 0;
    let extreme = if counts_up { "max" } else { "min" };
    let key = spi::one::<i64>(
        &format!("SELECT pg_catalog.{extreme}({})::bigint FROM {relation}", quoted(&plan.column)),
        &[],
    )?;
    let in_use = if counts_up { key.max(plan.high_water) } else { key };
    let (value, is_called) = match in_use {
        Some(n) if counts_up && n >= least => (n.min(most), true),
        Some(n) if !counts_up && n <= most => (n.max(least), true),
        // Empty, or only keys outside of the sequence's range (SQLite allows negative ones).
        _ => (start, false),
    };
    let next = if is_called { value.checked_add(increment) } else { Some(value) };
    let next = next.filter(|n| (least..=most).contains(n));
    spi::one_mut::<i64>(
        "SELECT pg_catalog.setval($1::oid::regclass, $2, $3)",
        &[sequence.into(), value.into(), is_called.into()],
    )?;
    Ok(next)
}

/// What `nextval()` of the sequence behind a column will give. `None` where there is none, it is used up, it does not count upwards, or
/// the caller may not read it.
pub fn next_value(table: &TablePlan, plan: &SequencePlan) -> Result<Option<i64>> {
    let Some(sequence) = sequence_of(&table.target.to_string(), &plan.column)? else { return Ok(None) };
    let name = spi::one::<String>(
        "SELECT $1::regclass::text WHERE pg_catalog.has_sequence_privilege($1, 'SELECT')",
        &[sequence.into()],
    )?;
    let Some(name) = name else { return Ok(None) };
    // A plain read: nothing is drawn.
    let next = spi::one::<i64>(
        &format!(
            "SELECT n::bigint FROM {name} AS s, pg_catalog.pg_sequence AS q, LATERAL (VALUES ( \
               CASE WHEN s.is_called THEN s.last_value::numeric + q.seqincrement ELSE s.last_value END)) AS v (n) \
             WHERE q.seqrelid = $1 AND q.seqincrement > 0 AND v.n BETWEEN q.seqmin AND q.seqmax"
        ),
        &[sequence.into()],
    )?;
    Ok(next)
}

/// A relation's name with its schema.
pub fn qualified_name(relation: pg_sys::Oid) -> Result<String> {
    let name = spi::one::<String>("SELECT $1::regclass::text", &[relation.into()])?;
    Ok(name.unwrap_or_default())
}

/// The sequence of a serial or identity column, or the one that its default takes from.
pub fn sequence_of(relation: &str, column: &str) -> Result<Option<pg_sys::Oid>> {
    let found = spi::rows_often(
        "SELECT COALESCE( \
           pg_catalog.pg_get_serial_sequence($1, $2)::regclass::oid, \
           (SELECT d2.refobjid FROM pg_catalog.pg_attrdef d \
              JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
              JOIN pg_catalog.pg_depend d2 ON d2.classid = 'pg_catalog.pg_attrdef'::regclass AND d2.objid = d.oid \
                AND d2.refclassid = 'pg_catalog.pg_class'::regclass \
              JOIN pg_catalog.pg_class s ON s.oid = d2.refobjid AND s.relkind = 'S' \
            WHERE d.adrelid = $1::regclass AND a.attname = $2 LIMIT 1))",
        &[relation.to_owned().into(), column.to_owned().into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    Ok(found.into_iter().next().flatten())
}

/// The key of the row at `ctid`, as `id = 7`; of a table without a key what its columns begin with.
pub fn row_at(plan: &TablePlan, ctid: &str) -> Result<Option<String>> {
    let key: Vec<_> = plan.columns.iter().filter(|c| plan.source_key.contains(&c.source)).collect();
    let shown = if key.is_empty() { plan.columns.iter().take(4).collect() } else { key };
    let parts: Vec<String> = shown
        .iter()
        .map(|c| {
            let name = aliaport_plan::name::quote_literal(&c.target);
            format!(
                "pg_catalog.format('%s = %s', {name}, pg_catalog.left(pg_catalog.concat({}), 60))",
                quoted(&c.target)
            )
        })
        .collect();
    let sql = format!(
        "SELECT pg_catalog.concat_ws(', ', {}) FROM ONLY {} WHERE ctid = $1::pg_catalog.tid",
        parts.join(", "),
        plan.target
    );
    spi::one::<String>(&sql, &[ctid.to_owned().into()])
}
