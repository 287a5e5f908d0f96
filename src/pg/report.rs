//! The report of a run: reads the history and the catalogue with the caller's own rights, `aliaport_report`
//! writes it.

use aliaport_report::{
    ForeignKey, Format, Noted, RejectedGroup, Report, Run, Sample, Table, Warning, values_of,
};
use pgrx::JsonB;
use pgrx::prelude::*;

use crate::pg::planning::bad_argument;
use crate::pg::record::history;
use crate::pg::server::error::{Error, Result, unexpected};
use crate::pg::server::spi;

/// Rejected rows shown for each reason.
const SAMPLES: i32 = 5;

/// RFC 3339 in UTC, whatever the session's time zone and DateStyle are.
const INSTANT: &str = "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'";

/// The report of run `run_id`, or of the latest, in the format of that name.
pub fn report(run_id: Option<i64>, format: &str) -> Result<String> {
    let format = Format::parse(format).ok_or_else(|| bad_argument("format", format, &Format::WORDS))?;
    history::require_current()?;
    let run = run(run_id)?;
    let (tables, noted) = tables(&run)?;
    let foreign_keys = foreign_keys(run.run_id)?;
    let rejected = rejected(run.run_id)?;
    Report::new(run, tables, foreign_keys, noted, rejected).render(format).map_err(unexpected)
}

fn run(run_id: Option<i64>) -> Result<Run> {
    let sql = format!(
        "SELECT run_id, pg_catalog.to_char(started_at AT TIME ZONE 'UTC', {INSTANT}), \
         pg_catalog.to_char(finished_at AT TIME ZONE 'UTC', {INSTANT}), \
         (extract(epoch FROM finished_at OPERATOR(pg_catalog.-) started_at) OPERATOR(pg_catalog.*) 1000000)::bigint, \
         path, source_fingerprint, source_bytes, target_schema::text, mode, dry_run, options, status, rows_imported, \
         rows_rejected, error, invoked_by::text, on_error, orphans, database::text, server_version \
         FROM aliaport.run WHERE $1 IS NULL OR run_id OPERATOR(pg_catalog.=) $1 \
         ORDER BY run_id DESC LIMIT 1"
    );
    let found = spi::rows(&sql, &[run_id.into()], |row| {
        Ok(Run {
            run_id: row.get(1)?.unwrap_or(0),
            started_at: row.get(2)?.unwrap_or_default(),
            finished_at: row.get(3)?,
            elapsed_us: row.get(4)?,
            path: row.get(5)?.unwrap_or_default(),
            source_fingerprint: row.get(6)?,
            source_bytes: row.get(7)?,
            target_schema: row.get(8)?,
            mode: row.get(9)?.unwrap_or_default(),
            dry_run: row.get(10)?.unwrap_or(false),
            options: row.get::<JsonB>(11)?.map_or(serde_json::Value::Null, |o| o.0),
            status: row.get(12)?.unwrap_or_default(),
            rows_imported: row.get(13)?,
            rows_rejected: row.get(14)?,
            error: row.get(15)?,
            invoked_by: row.get(16)?.unwrap_or_default(),
            on_error: row.get(17)?,
            orphans: row.get(18)?,
            database: row.get(19)?,
            server_version: row.get(20)?,
        })
    })?;
    found.into_iter().next().ok_or_else(|| match run_id {
        Some(id) => Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, format!("there is no run {id}"))
            .detail("aliaport.run has no row with that run_id that the caller may see.")
            .hint("Look at SELECT run_id, started_at, path FROM aliaport.run, or leave run_id out for the latest run."),
        None => Error::new(PgSqlErrorCode::ERRCODE_NO_DATA, "there is no run to report on")
            .detail("aliaport.run has no row that the caller may see.")
            .hint("Import a file with aliaport_import first; a run that was rolled back leaves no row."),
    })
}

/// The run's tables in load order, and their warnings. A name without a schema is in the run's target schema.
fn tables(run: &Run) -> Result<(Vec<Table>, Vec<Noted>)> {
    let rows = spi::rows(
        &format!(
            "SELECT t.load_order, t.table_name, t.schema_name, t.relation_name, c.oid IS NOT NULL, t.source_rows, t.imported_rows, \
             t.rejected_rows, t.target_rows, t.orphan_rows, t.content_match, t.sequence_next, \
             (extract(epoch FROM t.elapsed) OPERATOR(pg_catalog.*) 1000000)::bigint, t.status, t.detail \
             FROM ({PLACED}) AS t \
             LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) t.schema_name \
             LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid \
               AND c.relname OPERATOR(pg_catalog.=) t.relation_name \
             ORDER BY t.load_order"
        ),
        &[run.run_id.into()],
        |row| {
            let detail = row.get::<JsonB>(15)?.map_or(serde_json::Value::Null, |d| d.0);
            let number = |name: &str| detail.get(name).and_then(serde_json::Value::as_i64);
            let table = Table {
                load_order: row.get(1)?.unwrap_or(0),
                table_name: row.get(2)?.unwrap_or_default(),
                schema: row.get(3)?.unwrap_or_default(),
                name: row.get(4)?.unwrap_or_default(),
                exists: row.get(5)?.unwrap_or(false),
                source_rows: row.get(6)?,
                imported_rows: row.get(7)?,
                updated_rows: number("updated"),
                deleted_rows: number("deleted"),
                rejected_rows: row.get(8)?,
                source_table: detail.get("source").and_then(serde_json::Value::as_str).map(str::to_owned),
                rejected_for_value: None,
                rejected_for_parent: None,
                target_rows: row.get(9)?,
                orphan_rows: row.get(10)?,
                content_match: row.get(11)?,
                sequence_next: row.get(12)?,
                elapsed_us: row.get(13)?,
                status: row.get(14)?.unwrap_or_default(),
                created: detail.get("created").and_then(serde_json::Value::as_bool),
                error: detail.get("error").filter(|e| e.is_object()).cloned(),
            };
            let noted = noted(&table.table_name, &detail);
            Ok((table, noted))
        },
    )?;
    let (tables, noted): (Vec<Table>, Vec<Vec<Noted>>) = rows.into_iter().unzip();
    Ok((tables, noted.into_iter().flatten().collect()))
}

/// run_table with its names taken apart.
const PLACED: &str = "SELECT t.*, \
     CASE pg_catalog.cardinality(p.parts) WHEN 1 THEN r.target_schema::text ELSE p.parts[1] END AS schema_name, \
     p.parts[pg_catalog.cardinality(p.parts)] AS relation_name \
     FROM aliaport.run_table t JOIN aliaport.run r USING (run_id), \
     LATERAL (SELECT pg_catalog.parse_ident(t.table_name) AS parts) p \
     WHERE t.run_id OPERATOR(pg_catalog.=) $1";

fn noted(table: &str, detail: &serde_json::Value) -> Vec<Noted> {
    let warnings = detail.get("warnings").and_then(serde_json::Value::as_array);
    let text = |warning: &serde_json::Value, name: &str| {
        warning.get(name).and_then(serde_json::Value::as_str).map(str::to_owned)
    };
    warnings
        .into_iter()
        .flatten()
        .map(|w| Noted {
            code: text(w, "code").unwrap_or_default(),
            severity: text(w, "severity").unwrap_or_else(|| "warning".to_owned()),
            warning: Warning {
                table_name: table.to_owned(),
                column_name: text(w, "column"),
                message: text(w, "message").unwrap_or_default(),
                sql: text(w, "sql"),
                count: w.get("count").and_then(serde_json::Value::as_i64),
            },
        })
        .collect()
}

/// The foreign keys between the run's tables that are there now.
fn foreign_keys(run_id: i64) -> Result<Vec<ForeignKey>> {
    let columns = |numbers: &str, table: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM ROWS FROM (pg_catalog.unnest(k.{numbers})) WITH ORDINALITY AS u(n, i) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) k.{table} AND a.attnum OPERATOR(pg_catalog.=) u.n \
             ORDER BY u.i)"
        )
    };
    spi::rows(
        &format!(
            "WITH here AS (SELECT c.oid, t.load_order FROM ({PLACED}) AS t \
               JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) t.schema_name \
               JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid \
                 AND c.relname OPERATOR(pg_catalog.=) t.relation_name) \
             SELECT k.conname::text, child.load_order, {}, parent.load_order, {}, k.convalidated \
             FROM pg_catalog.pg_constraint k \
             JOIN here child ON child.oid OPERATOR(pg_catalog.=) k.conrelid \
             JOIN here parent ON parent.oid OPERATOR(pg_catalog.=) k.confrelid \
             WHERE k.contype OPERATOR(pg_catalog.=) 'f' \
             ORDER BY child.load_order, parent.load_order, k.conname COLLATE \"C\"",
            columns("conkey", "conrelid"),
            columns("confkey", "confrelid"),
        ),
        &[run_id.into()],
        |row| {
            Ok(ForeignKey {
                name: row.get(1)?.unwrap_or_default(),
                child: row.get(2)?.unwrap_or(0),
                columns: row.get(3)?.unwrap_or_default(),
                parent: row.get(4)?.unwrap_or(0),
                parent_columns: row.get(5)?.unwrap_or_default(),
                validated: row.get(6)?.unwrap_or(true),
            })
        },
    )
}

/// What was set aside, with the first few of each kind by key. Only keys are sorted: rows may be large.
fn rejected(run_id: i64) -> Result<Vec<RejectedGroup>> {
    let samples = spi::rows(
        "WITH ranked AS (SELECT r.ctid AS place, \
             pg_catalog.count(*) OVER (PARTITION BY table_name, column_name, sqlstate, action) AS found, \
             pg_catalog.row_number() OVER (PARTITION BY table_name, column_name, sqlstate, action ORDER BY source_key) AS n \
           FROM aliaport.rejected_row r WHERE run_id OPERATOR(pg_catalog.=) $1) \
         SELECT r.table_name, r.column_name, r.sqlstate, r.action, k.found, r.source_key, r.storage_class, \
           v.names, v.texts, \
           pg_catalog.left(r.reason, 2000) \
         FROM ranked k JOIN aliaport.rejected_row r ON r.ctid OPERATOR(pg_catalog.=) k.place \
         CROSS JOIN LATERAL (SELECT pg_catalog.array_agg(m.key) AS names, \
             pg_catalog.array_agg(pg_catalog.left(CASE pg_catalog.jsonb_typeof(m.value) \
               WHEN 'object' THEN 'X' OPERATOR(pg_catalog.||) pg_catalog.quote_literal(m.value OPERATOR(pg_catalog.->>) 'hex') \
               ELSE m.value OPERATOR(pg_catalog.#>>) '{}' END, 400)) AS texts \
           FROM pg_catalog.jsonb_each(r.row_data) AS m WHERE pg_catalog.strpos(r.column_name, m.key) OPERATOR(pg_catalog.>) 0) AS v \
         WHERE k.n OPERATOR(pg_catalog.<=) $2 \
         ORDER BY r.table_name COLLATE \"C\", r.column_name COLLATE \"C\", r.sqlstate COLLATE \"C\", r.action COLLATE \"C\", k.n",
        &[run_id.into(), SAMPLES.into()],
        |row| {
            let group = RejectedGroup {
                table_name: row.get(1)?.unwrap_or_default(),
                column_name: row.get(2)?,
                sqlstate: row.get(3)?.unwrap_or_default(),
                action: row.get(4)?.unwrap_or_default(),
                count: row.get(5)?.unwrap_or(0),
                samples: Vec::new(),
            };
            let names = row.get::<Vec<String>>(8)?.unwrap_or_default();
            let texts = row.get::<Vec<Option<String>>>(9)?.unwrap_or_default();
            let values: Vec<(String, Option<String>)> = names.into_iter().zip(texts).collect();
            let sample = Sample {
                source_key: row.get::<JsonB>(6)?.map_or(serde_json::Value::Null, |k| k.0),
                storage_class: row.get(7)?,
                value: group.column_name.as_deref().and_then(|names| values_of(names, &values)),
                reason: row.get(10)?.unwrap_or_default(),
            };
            Ok((group, sample))
        },
    )?;
    let mut groups: Vec<RejectedGroup> = Vec::new();
    for (group, sample) in samples {
        let of = |g: &RejectedGroup| {
            (g.table_name.clone(), g.column_name.clone(), g.sqlstate.clone(), g.action.clone())
        };
        match groups.last_mut().filter(|last| of(last) == of(&group)) {
            Some(last) => last.samples.push(sample),
            None => groups.push(RejectedGroup { samples: vec![sample], ..group }),
        }
    }
    Ok(groups)
}
