//! How could a table that is there be made to take what it refuses? The statement, or what keeps it from
//! helping.

use aliaport_plan::ddl;
use aliaport_plan::inspect::Relaxing;
use aliaport_plan::plan::TablePlan;
use aliaport_rows::identifier::quote;

use super::target;
use super::unique::UniqueIndex;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// What lets a column take NULL.
pub fn not_null(plan: &TablePlan, attribute: &str) -> Result<Relaxing> {
    if plan.is_created {
        let is_key = plan
            .source_key
            .iter()
            .any(|k| plan.columns.iter().any(|c| c.source == *k && c.target == *attribute));
        return Ok(Relaxing::IsMade { is_key });
    }
    let goal = &plan.target;
    let Some(relation) = target::relation_oid(&goal.schema, &goal.name)? else {
        return Ok(Relaxing::Held("it is gone".to_owned()));
    };
    let found = spi::rows(
        "SELECT CASE WHEN a.attidentity <> '' THEN 'it is an identity' \
                     WHEN a.attinhcount > 0 THEN 'the table that it is inherited from has it so' END, \
                CASE WHEN NOT a.attnotnull THEN pg_catalog.format_type(a.atttypid, NULL) END, \
                p.conname::text, \
                ARRAY(SELECT pg_catalog.quote_ident(k.attname) FROM pg_catalog.unnest(p.conkey) WITH ORDINALITY AS u(n, o) \
                      JOIN pg_catalog.pg_attribute k ON k.attrelid = a.attrelid AND k.attnum = u.n ORDER BY u.o), \
                (SELECT pg_catalog.format('constraint %I of %s points at its primary key', f.conname, f.conrelid::regclass) \
                 FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conindid = p.conindid ORDER BY f.oid LIMIT 1) \
         FROM pg_catalog.pg_attribute a \
         LEFT JOIN pg_catalog.pg_constraint p ON p.conrelid = a.attrelid AND p.contype = 'p' AND a.attnum = ANY (p.conkey) \
         WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped",
        &[relation.into(), attribute.to_owned().into()],
        |row| {
            Ok((
                row.get::<String>(1)?,
                row.get::<String>(2)?,
                row.get::<String>(3)?,
                row.get::<Vec<String>>(4)?.unwrap_or_default(),
                row.get::<String>(5)?,
            ))
        },
    )?;
    let drop = format!("ALTER TABLE {goal} ALTER COLUMN {} DROP NOT NULL", quote(attribute));
    Ok(match found.into_iter().next() {
        Some((Some(why), ..)) | Some((None, _, Some(_), _, Some(why))) => Relaxing::Held(why),
        Some((None, None, Some(key), columns, None)) => Relaxing::By(format!(
            "{}, ALTER COLUMN {} DROP NOT NULL, ADD UNIQUE ({})",
            ddl::drop_constraint(goal, &key),
            quote(attribute),
            columns.join(", ")
        )),
        Some((None, Some(domain), ..)) => Relaxing::By(format!("ALTER DOMAIN {domain} DROP NOT NULL")),
        _ => Relaxing::By(drop),
    })
}

/// The statement that takes a unique key away from a table that is there; none where a foreign key needs it.
pub fn unique_key(plan: &TablePlan, key: &[String]) -> Result<Option<String>> {
    let goal = &plan.target;
    let Some(relation) = target::relation_oid(&goal.schema, &goal.name)? else { return Ok(None) };
    let found = spi::rows(
        "SELECT k.conname::text, c.relname::text, \
                EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid) \
                OR EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u') \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indislive AND i.indpred IS NULL AND i.indexprs IS NULL \
           AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute a \
                WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])) \
             = (SELECT pg_catalog.array_agg(n ORDER BY n) FROM pg_catalog.unnest($2) AS n)",
        &[relation.into(), key.to_vec().into()],
        |row| {
            Ok((
                row.get::<String>(1)?,
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<bool>(3)?.unwrap_or(true),
            ))
        },
    )?;
    if found.is_empty() || found.iter().any(|(_, _, is_held)| *is_held) {
        return Ok(None);
    }
    let drops: Vec<String> =
        found.iter().map(|(constraint, index, _)| drop(plan, constraint.as_deref(), index)).collect();
    Ok(Some(drops.join("; ")))
}

/// The statement that drops this index; none where a foreign key needs it.
pub fn index(plan: &TablePlan, index: &UniqueIndex) -> Result<Option<String>> {
    let goal = &plan.target;
    let Some(relation) = target::relation_oid(&goal.schema, &goal.name)? else { return Ok(None) };
    let found = spi::rows(
        "SELECT k.conname::text, c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u') \
         WHERE i.indrelid = $1 AND '\"' || c.relname || '\"' = $2 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.oid) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)",
        &[relation.into(), index.name.clone().into()],
        |row| Ok((row.get::<String>(1)?, row.get::<String>(2)?.unwrap_or_default())),
    )?;
    Ok(found.first().map(|(constraint, index)| drop(plan, constraint.as_deref(), index)))
}

fn drop(plan: &TablePlan, constraint: Option<&str>, index: &str) -> String {
    match constraint {
        Some(name) => ddl::drop_constraint(&plan.target, name),
        None => format!("DROP INDEX {}.{}", quote(&plan.target.schema), quote(index)),
    }
}
