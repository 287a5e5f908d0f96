//! What earlier runs left behind in a target, and what its tables enforce: read before a plan, settled after
//! it, recorded after a run.
//!
//! `aliaport.imported_table` has a row for every table that holds imported rows. Within the database that
//! wrote it a table is known by its OID and a column by its number, so renaming neither makes nor hides
//! drift; in a database that was restored from a dump they are known by their names.

use std::collections::HashMap;

use aliaport_plan::plan::Plan;
use aliaport_plan::policy::Mode;
use aliaport_plan::target::{
    FilledColumn, FilledTable, Past, Structure, Target, TargetForeignKey, TargetIndex, TargetTerm,
};
use aliaport_rows::identifier::QualifiedName;
use pgrx::JsonB;
use serde_json::{Value as Json, json};

use super::foreign_key::is_partition_copy;
use crate::pg::record::history;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// The tables that earlier runs filled. A database whose extension has not been updated yet has none in mode
/// create, which goes on without.
pub fn filled(mode: Mode) -> Result<Vec<FilledTable>> {
    match history::require_current() {
        Err(_) if mode == Mode::Create => Ok(Vec::new()),
        current => {
            current?;
            read_filled()
        }
    }
}

/// What a plan in this mode needs to know of the past. Mode create fills new and empty tables only, so
/// nothing is told there.
pub fn past_of(path: &str, filled: Vec<FilledTable>, target: &Target, mode: Mode) -> Result<Past> {
    let path = path.to_owned();
    Ok(match mode {
        Mode::Create => Past { is_told: false, path, filled, structures: structures(target)? },
        Mode::Append | Mode::Replace | Mode::Sync => {
            Past { is_told: true, path, filled, structures: structures(target)? }
        }
    })
}

/// A row of aliaport.imported_table with the table that it is about now.
const FOUND: &str = "aliaport.imported_table AS f \
     JOIN LATERAL (SELECT c.oid, c.relname, c.relnamespace, \
           f.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) \
             AND c.oid = f.relation AS is_same \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS m ON m.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND (c.oid = f.relation \
             AND f.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) \
           OR m.nspname = f.schema_name AND c.relname = f.table_name) \
         ORDER BY 4 DESC LIMIT 1) AS c ON true \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace";

fn read_filled() -> Result<Vec<FilledTable>> {
    let column = |what: &str| {
        format!(
            "ARRAY(SELECT {what} FROM pg_catalog.jsonb_to_recordset(f.columns) AS x (source text, target text, number int2, filled bool) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               AND CASE WHEN c.is_same THEN a.attnum = x.number ELSE a.attname = x.target END ORDER BY a.attnum)"
        )
    };
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, f.source_table, f.filled_by, GREATEST(f.filled_by, f.missed_by), {}, {}, {}, \
                (SELECT r.path FROM aliaport.run AS r WHERE r.run_id = GREATEST(f.filled_by, f.missed_by)) \
         FROM {FOUND} ORDER BY f.schema_name, f.table_name",
        column("x.source"),
        column("a.attname::text"),
        column("x.filled"),
    );
    spi::as_history_owner(|| {
        spi::rows(&sql, &[], |row| {
            let sources = row.get::<Vec<String>>(6)?.unwrap_or_default();
            let targets = row.get::<Vec<String>>(7)?.unwrap_or_default();
            let filled = row.get::<Vec<bool>>(8)?.unwrap_or_default();
            let columns = sources.into_iter().zip(targets).zip(filled);
            Ok(FilledTable {
                target: QualifiedName {
                    schema: row.get::<String>(1)?.unwrap_or_default(),
                    name: row.get::<String>(2)?.unwrap_or_default(),
                },
                source: row.get::<String>(3)?.unwrap_or_default(),
                run_id: row.get::<i64>(4)?.unwrap_or(0),
                last_seen: row.get::<i64>(5)?.unwrap_or(0),
                path: row.get::<String>(9)?.unwrap_or_default(),
                columns: columns
                    .map(|((source, target), is_filled)| FilledColumn { source, target, is_filled })
                    .collect(),
            })
        })
    })
}

/// Indexes and constraints of the target's tables whose columns were looked at.
fn structures(target: &Target) -> Result<Vec<(QualifiedName, Structure)>> {
    let tables = target.relations.iter().filter(|r| matches!(r.kind, 'r' | 'p') && !r.columns.is_empty());
    let mut found: Vec<(QualifiedName, Structure)> = tables
        .map(|r| {
            let attributes = r.columns.iter().map(|c| c.name.clone()).collect();
            let name = QualifiedName { schema: r.schema.clone(), name: r.name.clone() };
            (name, Structure { attributes, ..Structure::default() })
        })
        .collect();
    if found.is_empty() {
        return Ok(found);
    }
    let schemas: Vec<String> = found.iter().map(|(name, _)| name.schema.clone()).collect();
    let names: Vec<String> = found.iter().map(|(name, _)| name.name.clone()).collect();
    let place: HashMap<(String, String), usize> =
        schemas.iter().cloned().zip(names.iter().cloned()).enumerate().map(|(i, name)| (name, i)).collect();
    let at = |schema: Option<String>, name: Option<String>| {
        place.get(&(schema.unwrap_or_default(), name.unwrap_or_default())).copied()
    };
    let these = "pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS w (nspname, relname) \
           ON w.nspname = n.nspname::text AND w.relname = c.relname::text";
    let indexes = spi::rows(
        &format!(
            "SELECT n.nspname::text, c.relname::text, i.indisunique, i.indisprimary, m.amname::text, \
               ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, false) FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k ORDER BY k), \
               ARRAY(SELECT a.attname::text FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k \
                     LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] AND a.attnum > 0 ORDER BY k), \
               ARRAY(SELECT i.indoption[k]::int & 1 = 1 FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k ORDER BY k), \
               pg_catalog.pg_get_expr(i.indpred, i.indrelid) \
             FROM {these} JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisvalid \
             JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am AS m ON m.oid = x.relam ORDER BY i.indexrelid"
        ),
        &[schemas.clone().into(), names.clone().into()],
        |row| {
            let texts = row.get::<Vec<String>>(6)?.unwrap_or_default();
            let attributes = row.get::<Vec<Option<String>>>(7)?.unwrap_or_default();
            let orders = row.get::<Vec<bool>>(8)?.unwrap_or_default();
            let terms = texts.into_iter().zip(attributes).zip(orders);
            let index = TargetIndex {
                is_unique: row.get::<bool>(3)?.unwrap_or(false),
                is_primary: row.get::<bool>(4)?.unwrap_or(false),
                method: row.get::<String>(5)?.unwrap_or_default(),
                terms: terms
                    .map(|((sql, attribute), is_descending)| TargetTerm { attribute, sql, is_descending })
                    .collect(),
                predicate: row.get::<String>(9)?,
            };
            Ok((at(row.get(1)?, row.get(2)?), index))
        },
    )?;
    for (at, index) in indexes {
        if let Some((_, structure)) = at.and_then(|at| found.get_mut(at)) {
            structure.indexes.push(index);
        }
    }
    let constraints = spi::rows(
        &format!(
            "SELECT n.nspname::text, c.relname::text, k.conname::text, \
               CASE WHEN k.contype = 'c' THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) END, pn.nspname::text, p.relname::text, \
               ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, n) \
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
               ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, n) \
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n), \
               k.confupdtype::text, k.confdeltype::text, \
               CASE WHEN k.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END, \
               k.confmatchtype = 'f', {} \
             FROM {these} JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid \
             LEFT JOIN pg_catalog.pg_class AS p ON p.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace \
             ORDER BY k.oid",
            is_partition_copy!()
        ),
        &[schemas.clone().into(), names.clone().into()],
        |row| {
            let parent = row.get::<String>(5)?.zip(row.get::<String>(6)?);
            let children = row.get::<Vec<String>>(7)?.unwrap_or_default();
            let parents = row.get::<Vec<String>>(8)?.unwrap_or_default();
            let name = row.get::<String>(3)?.unwrap_or_default();
            let on_update = action(row.get::<String>(9)?);
            let on_delete = action(row.get::<String>(10)?);
            let deferrable = row.get::<String>(11)?.unwrap_or_default();
            let is_match_full = row.get::<bool>(12)?.unwrap_or(false);
            let is_copy = row.get::<bool>(13)?.unwrap_or(false);
            let key = parent.filter(|_| !is_copy).map(|(schema, parent)| TargetForeignKey {
                name: name.clone(),
                pairs: children.into_iter().zip(parents).collect(),
                parent: QualifiedName { schema, name: parent },
                on_update,
                on_delete,
                deferrable,
                is_match_full,
            });
            Ok((at(row.get(1)?, row.get(2)?), name, row.get::<String>(4)?, key))
        },
    )?;
    for (at, name, check, key) in constraints {
        if let Some((_, structure)) = at.and_then(|at| found.get_mut(at)) {
            structure.checks.extend(check.map(|check| (name.clone(), check)));
            structure.constraint_names.push(name);
            structure.foreign_keys.extend(key);
        }
    }
    let generated = spi::rows(
        &format!(
            "SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
             FROM {these} JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated <> '' AND NOT a.attisdropped \
             JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum ORDER BY a.attrelid, a.attnum"
        ),
        &[schemas.into(), names.into()],
        |row| {
            let name = row.get::<String>(3)?.unwrap_or_default();
            Ok((at(row.get(1)?, row.get(2)?), (name, row.get::<String>(4)?.unwrap_or_default())))
        },
    )?;
    for (at, column) in generated {
        if let Some((_, structure)) = at.and_then(|at| found.get_mut(at)) {
            structure.generated.push(column);
        }
    }
    Ok(found)
}

/// What `pg_constraint` says of an action, in SQL's words.
fn action(code: Option<String>) -> String {
    let words = match code.as_deref() {
        Some("r") => "RESTRICT",
        Some("c") => "CASCADE",
        Some("n") => "SET NULL",
        Some("d") => "SET DEFAULT",
        _ => "NO ACTION",
    };
    words.to_owned()
}

/// Records which columns of which tables a run filled. The caller's transaction takes it back with the rows.
pub fn record(run_id: i64, plan: &Plan) -> Result<()> {
    let tables: Vec<Json> = plan
        .tables
        .iter()
        .map(|table| {
            let written = table.columns.iter().map(|c| (&c.source, &c.target, true));
            let kept = plan.kept.iter().filter(|k| k.table == table.target);
            let columns = written.chain(kept.map(|k| (&k.source, &k.target, k.is_filled)));
            json!({
                "schema_name": table.target.schema,
                "table_name": table.target.name,
                "source_table": table.source,
                "columns": columns
                    .map(|(source, target, filled)| json!({ "source": source, "target": target, "filled": filled }))
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    let tables = || JsonB(Json::Array(tables.clone()));
    let vanished: Vec<Json> = plan
        .vanished
        .iter()
        .map(|name| json!({ "schema_name": name.schema, "table_name": name.name }))
        .collect();
    spi::as_history_owner(|| {
        spi::run_with(
            "DELETE FROM aliaport.imported_table AS f \
             USING pg_catalog.jsonb_to_recordset($1) AS g (schema_name text, table_name text), pg_catalog.pg_class AS c, \
               pg_catalog.pg_namespace AS n, pg_catalog.pg_database AS d \
             WHERE n.nspname = g.schema_name AND c.relnamespace = n.oid AND c.relname = g.table_name \
               AND d.datname = pg_catalog.current_database() \
               AND (f.schema_name = g.schema_name AND f.table_name = g.table_name OR f.database = d.oid AND f.relation = c.oid)",
            &[tables().into()],
        )?;
        spi::run_with(
            "INSERT INTO aliaport.imported_table \
             SELECT n.nspname, c.relname, d.oid, c.oid, g.source_table, \
               COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('source', x.source, 'target', x.target, 'number', a.attnum, \
                             'filled', x.filled) \
                           ORDER BY a.attnum) \
                         FROM pg_catalog.jsonb_to_recordset(g.columns) AS x (source text, target text, filled bool) \
                         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = x.target AND NOT a.attisdropped), '[]'), \
               $2, NULL \
             FROM pg_catalog.jsonb_to_recordset($1) AS g (schema_name text, table_name text, source_table text, columns jsonb) \
             JOIN pg_catalog.pg_namespace AS n ON n.nspname = g.schema_name \
             JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = g.table_name AND c.relpersistence <> 't' \
             JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database() \
             ON CONFLICT (schema_name, table_name) DO UPDATE SET database = excluded.database, relation = excluded.relation, \
               source_table = excluded.source_table, columns = excluded.columns, filled_by = excluded.filled_by, missed_by = NULL",
            &[tables().into(), run_id.into()],
        )?;
        if vanished.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE aliaport.imported_table AS t SET missed_by = $2 \
             FROM (SELECT f.schema_name, f.table_name, n.nspname, c.relname FROM {FOUND}) AS k, \
               pg_catalog.jsonb_to_recordset($1) AS g (schema_name text, table_name text) \
             WHERE t.schema_name = k.schema_name AND t.table_name = k.table_name \
               AND k.nspname = g.schema_name AND k.relname = g.table_name"
        );
        spi::run_with(&sql, &[JsonB(Json::Array(vanished.clone())).into(), run_id.into()])
    })
}
