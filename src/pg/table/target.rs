//! What the target schema holds already, read from PostgreSQL's catalogue.

use std::collections::HashMap;

use aliaport_plan::plan::{Action, Plan};
use aliaport_plan::target::{EmptyBy, Past, Target, TargetColumn, TargetRelation};
use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::pg_type::PgType;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::sequence::{calls_a_function, column_default};
use super::{column_type, schema};
use crate::pg::heap::standing;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::{guc, spi};

/// The OID of a relation by its exact name.
pub fn relation_oid(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    spi::one::<pg_sys::Oid>(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
        &[schema.to_owned().into(), name.to_owned().into()],
    )
}

/// A table's name as regclass will print it, whether or not the table is there yet: qualified where no schema
/// of the search_path shows it, or another one hides it.
pub fn printed_name(table: &QualifiedName) -> Result<String> {
    let path = schema::schemas_of_caller()?;
    let is_visible = spi::one::<bool>(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.unnest($3) WITH ORDINALITY AS u(schema, n) \
                            JOIN pg_catalog.pg_namespace s ON s.nspname = u.schema \
                            JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = $2 \
                            WHERE u.n < pg_catalog.array_position($3, $1)) \
         WHERE $1 = ANY ($3)",
        &[table.schema.clone().into(), table.name.clone().into(), path.into()],
    )?;
    Ok(if is_visible == Some(true) {
        quote_as_needed(&table.name)?
    } else {
        format!("{}.{}", quote_as_needed(&table.schema)?, quote_as_needed(&table.name)?)
    })
}

/// A relation's name as regclass prints it for the caller.
pub fn regclass(relation: pg_sys::Oid) -> Result<String> {
    let printed =
        spi::one_for_caller::<String>("SELECT $1::pg_catalog.regclass::pg_catalog.text", &[relation.into()])?;
    Ok(printed.unwrap_or_default())
}

fn quote_as_needed(name: &str) -> Result<String> {
    Ok(spi::one::<String>("SELECT pg_catalog.quote_ident($1)", &[name.to_owned().into()])?
        .unwrap_or_default())
}

/// Reads the relations of `schemas`, with the columns and keys of those that `is_wanted` names. Whether a
/// table is empty is looked at only where `is_filled` says that rows may go there (a look needs SELECT, takes
/// a lock and reads a page), all others count as not empty.
pub fn read(
    schema: &str,
    schemas: &[String],
    is_wanted: impl Fn(&str) -> bool,
    is_filled: impl Fn(&str) -> bool,
) -> Result<Target> {
    let server_version =
        spi::one::<i32>("SELECT pg_catalog.current_setting('server_version_num')::int", &[])?;
    let mut relations = spi::rows(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = ANY ($1) AND c.relkind IN ('r','p','v','m','f','S','i','I','c') ORDER BY c.oid",
        &[schemas.to_vec().into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                TargetRelation {
                    schema: row.get::<String>(2)?.unwrap_or_default(),
                    name: row.get::<String>(3)?.unwrap_or_default(),
                    kind: row.get::<String>(4)?.and_then(|k| k.chars().next()).unwrap_or('?'),
                    is_empty: false,
                    columns: Vec::new(),
                    keys: Vec::new(),
                },
            ))
        },
    )?;
    let mut empty_by = guc::replace_method();
    for (oid, relation) in &mut relations {
        if !matches!(relation.kind, 'r' | 'p' | 'v' | 'm' | 'f') || !is_wanted(&relation.name) {
            continue;
        }
        relation.columns = columns(*oid)?;
        relation.keys = keys(*oid)?;
        if matches!(relation.kind, 'r' | 'p') && is_filled(&relation.name) {
            let name = QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() };
            require_select(*oid, &name)?;
            relation.is_empty = is_empty(&name)?;
            if !is_deletable(*oid)? {
                empty_by = EmptyBy::Truncate;
            }
        }
    }
    let citext_schema = spi::one::<String>(
        "SELECT n.nspname::text FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' \
         JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid \
         WHERE t.typname = 'citext' AND e.extname = 'citext'",
        &[],
    )?;
    Ok(Target {
        citext_schema,
        schema: schema.to_owned(),
        server_version: server_version.and_then(|v| u32::try_from(v).ok()).unwrap_or(0),
        relations: relations.into_iter().map(|(_, relation)| relation).collect(),
        empty_by,
        past: Past::default(),
    })
}

/// Has mode replace empty a table that others inherit from without these: their rows are not the import's.
pub fn spare_heirs(plan: &mut Plan) -> Result<()> {
    if !plan.steps.iter().any(|step| step.action == Action::Truncate) {
        return Ok(());
    }
    let there: Vec<(usize, QualifiedName)> = plan
        .tables
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.is_created)
        .map(|(i, t)| (i, t.target.clone()))
        .collect();
    let mut items = Vec::with_capacity(there.len());
    for (_, name) in &there {
        items.push(match relation_oid(&name.schema, &name.name)? {
            Some(relation) if has_heirs(relation)? => standing::from(relation, name)?,
            _ => name.to_string(),
        });
    }
    for step in plan.steps.iter_mut().filter(|step| step.action == Action::Truncate) {
        step.sql = match step.table {
            Some(table) => {
                let Some(at) = there.iter().position(|(i, _)| *i == table) else { continue };
                format!("DELETE FROM {}", items.get(at).map_or("", String::as_str))
            }
            None => format!("TRUNCATE TABLE {}", items.join(", ")),
        };
    }
    Ok(())
}

/// Whether other tables inherit from an ordinary table.
fn has_heirs(relation: pg_sys::Oid) -> Result<bool> {
    let heirs = spi::one::<bool>(
        "SELECT c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[relation.into()],
    )?;
    Ok(heirs == Some(true))
}

/// Whether a table has rows decides what an import may do and which way it takes, so the caller must be
/// allowed to know.
fn require_select(relation: pg_sys::Oid, name: &QualifiedName) -> Result<()> {
    let allowed = spi::one::<bool>(
        "SELECT pg_catalog.has_any_column_privilege($1::pg_catalog.oid, 'SELECT')",
        &[relation.into()],
    )?;
    if allowed != Some(false) {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for table {}", name.name),
    )
    .detail(format!("Whether {name} has rows has to be known, and the caller lacks SELECT on it."))
    .hint(format!("As the table's owner, run GRANT SELECT ON {name} TO {};", schema::caller()?)))
}

/// What relations are like, by schema and name, as texts to compare: which relation it is, its columns, its
/// keys.
pub type Shapes = HashMap<(String, String), String>;

/// The shapes of every table in some schemas.
pub fn shapes(schemas: &[String]) -> Result<Shapes> {
    let found = spi::rows(
        "SELECT n.nspname::text, c.relname::text, pg_catalog.concat_ws(' ', c.oid, c.relkind, c.relam, \
             (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, \
                         a.atthasdef, a.attidentity, a.attgenerated, a.attisdropped), ';' ORDER BY a.attnum) \
              FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
             (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', i.indexrelid, i.indisunique, i.indisprimary, i.indisvalid), ';' ORDER BY i.indexrelid) \
              FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid)) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        &[schemas.to_vec().into()],
        |row| {
            let (schema, name) =
                (row.get::<String>(1)?.unwrap_or_default(), row.get::<String>(2)?.unwrap_or_default());
            Ok(((schema, name), row.get::<String>(3)?.unwrap_or_default()))
        },
    )?;
    Ok(found.into_iter().collect())
}

/// Whether a table holds no row that this transaction sees.
pub fn is_empty(name: &QualifiedName) -> Result<bool> {
    Ok(spi::one_for_caller::<bool>(&format!("SELECT NOT EXISTS (SELECT 1 FROM {name})"), &[])?
        .unwrap_or(false))
}

/// Whether a table was analyzed, and no more rows have changed since, with those that this transaction has
/// `changed`, than autovacuum would wait for before it analyzes the table again.
pub fn has_statistics_for(relation: pg_sys::Oid, changed: i64) -> Result<bool> {
    let found = spi::rows_often(
        // Autovacuum never looks at a partitioned table.
        "SELECT c.relkind = 'r' AND c.reltuples >= 0 \
             AND $2 + pg_catalog.pg_stat_get_mod_since_analyze(c.oid) \
                 <= COALESCE(o.threshold, pg_catalog.current_setting('autovacuum_analyze_threshold')::pg_catalog.float8) \
                  + COALESCE(o.scale, pg_catalog.current_setting('autovacuum_analyze_scale_factor')::pg_catalog.float8) * c.reltuples \
         FROM pg_catalog.pg_class c, \
              LATERAL (SELECT pg_catalog.max(option_value::pg_catalog.float8) FILTER (WHERE option_name = 'autovacuum_analyze_threshold') AS threshold, \
                              pg_catalog.max(option_value::pg_catalog.float8) FILTER (WHERE option_name = 'autovacuum_analyze_scale_factor') AS scale \
                       FROM pg_catalog.pg_options_to_table(c.reloptions)) AS o \
         WHERE c.oid = $1",
        &[relation.into(), changed.into()],
        |row| Ok(row.get::<bool>(1)?.unwrap_or(false)),
    )?;
    Ok(found.first().copied().unwrap_or(false))
}

/// Whether a DELETE of the caller's takes every row of a table with it. TRUNCATE needs a privilege of its own
/// instead, knows no row security and no rules, and every access method has it.
fn is_deletable(relation: pg_sys::Oid) -> Result<bool> {
    Ok(spi::one::<bool>(
        "SELECT pg_catalog.has_table_privilege(oid, 'DELETE') AND NOT relhasrules AND NOT pg_catalog.row_security_active(oid) \
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_am am WHERE am.oid = relam AND am.amname <> 'heap') \
         FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.into()],
    )?
    .unwrap_or(false))
}

/// The columns of a relation, in attribute order.
pub fn columns(relation: pg_sys::Oid) -> Result<Vec<TargetColumn>> {
    spi::rows(
        concat!(
        "WITH RECURSIVE base AS ( \
             SELECT a.attnum, a.atttypid AS typid, a.atttypmod AS typmod, a.attnotnull AS is_not_null \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
           UNION ALL \
             SELECT b.attnum, t.typbasetype, t.typtypmod, b.is_not_null OR t.typnotnull \
             FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd') \
         SELECT a.attname::text, b.typid, b.typmod, b.is_not_null, \
                CASE WHEN b.typid <> a.atttypid THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END, \
                a.atthasdef OR a.attidentity <> '' OR f.tree IS NOT NULL, a.attidentity::text, a.attgenerated::text, \
                pg_catalog.format_type(b.typid, b.typmod), t.typtype::text, t.typname::text, \
                pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname) IS NOT NULL \
                  OR COALESCE(f.text LIKE '%nextval(%', false) \
                  OR t.typcategory IN ('N', 'S') AND EXISTS (SELECT FROM pg_catalog.pg_index i \
                         WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])) AND ",
            calls_a_function!("f.tree"),
            " \
         FROM base b \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = b.typid ",
            column_default!(),
            " WHERE t.typtype <> 'd' ORDER BY a.attnum"
        ),
        &[relation.into()],
        |row| {
            let type_oid = row.get::<pg_sys::Oid>(2)?.unwrap_or(pg_sys::InvalidOid);
            let generated = row.get::<String>(8)?.unwrap_or_default();
            Ok((
                type_oid,
                row.get::<i32>(3)?.unwrap_or(-1),
                row.get::<String>(9)?.unwrap_or_default(),
                row.get::<String>(10)?.unwrap_or_default(),
                row.get::<String>(11)?.unwrap_or_default(),
                TargetColumn {
                    name: row.get::<String>(1)?.unwrap_or_default(),
                    pg_type: PgType::Text,
                    domain: row.get::<String>(5)?,
                    is_not_null: row.get::<bool>(4)?.unwrap_or(false),
                    has_default: row.get::<bool>(6)?.unwrap_or(false),
                    is_identity_always: row.get::<String>(7)?.is_some_and(|i| i == "a"),
                    is_generated: !generated.is_empty(),
                    has_sequence: row.get::<bool>(12)?.unwrap_or(false),
                },
            ))
        },
    )?
    .into_iter()
    .map(|(oid, typmod, printed, kind, type_name, mut column)| {
        column.pg_type = column_type::pg_type(oid, typmod, printed, &kind, &type_name, column_type::DEEPEST)?;
        Ok(column)
    })
    .collect()
}

fn keys(relation: pg_sys::Oid) -> Result<Vec<Vec<String>>> {
    spi::rows(
        "SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                      WHERE k.n <= i.indnkeyatts ORDER BY k.n) \
         FROM pg_catalog.pg_index i \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid \
           AND i.indpred IS NULL AND i.indexprs IS NULL \
         ORDER BY i.indisprimary DESC, i.indexrelid",
        &[relation.into()],
        |row| Ok(row.get::<Vec<String>>(1)?.unwrap_or_default()),
    )
}

/// The partitions of a table at every level.
pub fn partitions(relation: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    spi::rows(
        "SELECT relid::oid FROM pg_catalog.pg_partition_tree($1::oid::pg_catalog.regclass) WHERE relid <> $1 ORDER BY level, relid",
        &[relation.into()],
        |row| Ok(row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid)),
    )
}
