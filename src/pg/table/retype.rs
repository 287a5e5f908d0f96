//! Which other type could a column have that refuses one of its values? One that takes all of them, where
//! nothing keeps the column from being given it.

use aliaport_plan::catalogue::Table;
use aliaport_plan::inspect::Retype;
use aliaport_plan::plan::{Plan, TablePlan};
use aliaport_rows::convert::Wider;
use aliaport_sqlite::Source;

use super::target;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{interrupt, spi};

/// Rows between two looks at the interrupt flags.
const ROWS_BETWEEN_CHECKS: u64 = 1000;

/// What may be said of another type for a column of a table of the plan. `first` is the narrowest type that
/// takes the value at hand.
pub fn find_wider_type(
    source: &Source,
    table: &Table,
    plan: &Plan,
    of: &TablePlan,
    column: usize,
    first: &str,
) -> Result<Retype> {
    let column = of.columns.get(column).ok_or_else(|| unexpected("column number of a bad value"))?;
    let place = table.columns.iter().position(|c| c.name == column.source);
    let place = place.ok_or_else(|| unexpected("column that the source does not have"))?;
    let mut wider = Wider::from(first);
    let mut rows = source.rows_where(table, &[place], of.filter.as_deref())?;
    let mut number: u64 = 0;
    while wider.narrowest().is_some()
        && let Some(row) = rows.next()?
    {
        wider.see(row.value(0));
        number += 1;
        if number.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
        }
    }
    let Some(better) = wider.narrowest() else { return Ok(Retype::Nothing) };
    if better == column.pg_type.to_string() {
        return Ok(Retype::Nothing);
    }
    let there = if of.is_created { Vec::new() } else { dependents(of, &column.target, better)? };
    let held = if there.is_empty() { keys(plan, of, &column.target, better) } else { there };
    Ok(if held.is_empty() { Retype::To(better) } else { Retype::Held(held) })
}

/// The foreign keys of a column that the source declares: both sides of a key need types that can be
/// compared.
fn keys(plan: &Plan, of: &TablePlan, attribute: &String, better: &str) -> Vec<String> {
    // Of an integer type every other one is a relative.
    if better == "bigint" {
        return Vec::new();
    }
    let own = of.foreign_keys.iter().filter(|k| k.columns.contains(attribute));
    let others = plan.tables.iter().flat_map(|t| &t.foreign_keys);
    let others = others.filter(|k| k.parent == of.target && k.parent_columns.contains(attribute));
    let mut labels: Vec<String> = own.chain(others).map(|k| format!("foreign key {}", k.label)).collect();
    labels.sort();
    labels.dedup();
    labels
}

/// What keeps a column that is there from being given another type by one statement: all that depends on it,
/// but for what PostgreSQL makes anew by itself.
pub fn dependents(of: &TablePlan, attribute: &str, better: &str) -> Result<Vec<String>> {
    let Some(relation) = target::relation_oid(&of.target.schema, &of.target.name)? else {
        return Ok(Vec::new());
    };
    spi::rows(
        "WITH it AS (SELECT c.oid, c.reloftype, a.attnum, a.attidentity, a.attinhcount FROM pg_catalog.pg_class c \
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped WHERE c.oid = $1), \
              object AS ( \
             SELECT d.classid, d.objid, d.objsubid FROM it JOIN pg_catalog.pg_depend d \
               ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = it.oid AND d.refobjsubid = it.attnum \
             WHERE NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = it.oid AND d.objsubid IN (0, it.attnum))) \
         SELECT CASE WHEN w.oid IS NOT NULL THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0) \
                     WHEN g.oid IS NOT NULL THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, g.adrelid, g.adnum) \
                     ELSE pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid) END \
         FROM object o LEFT JOIN pg_catalog.pg_attrdef g ON o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND g.oid = o.objid \
         LEFT JOIN pg_catalog.pg_rewrite w ON o.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = o.objid \
         WHERE o.classid <> 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND s.oid = o.objid AND s.relkind = 'S') \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE o.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass \
                           AND k.oid = o.objid AND k.contype IN ('p', 'u', 'n')) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class s ON s.oid = i.indexrelid \
                           JOIN pg_catalog.pg_am m ON m.oid = s.relam \
                           WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = o.objid AND m.amname = 'btree' \
                           AND i.indexprs IS NULL AND i.indpred IS NULL \
                           AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) AS u(oid) \
                                           JOIN pg_catalog.pg_opclass p ON p.oid = u.oid WHERE NOT p.opcdefault)) \
           AND NOT ($3 <> 'bytea' AND EXISTS (SELECT FROM it, pg_catalog.pg_attrdef f WHERE f.adrelid = it.oid AND f.adnum = it.attnum \
                           AND o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = o.objid)) \
         UNION SELECT 'its identity' FROM it WHERE attidentity <> '' AND $3 <> 'bigint' \
         UNION SELECT 'the table that it is inherited from' FROM it WHERE attinhcount > 0 \
         UNION SELECT 'the type that the table is made of' FROM it WHERE reloftype <> 0 \
         UNION SELECT 'the partition key' FROM it JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = it.oid \
               WHERE p.partexprs IS NOT NULL OR it.attnum = ANY (p.partattrs::pg_catalog.int2[]) \
         ORDER BY 1",
        &[relation.into(), attribute.to_owned().into(), better.to_owned().into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}
