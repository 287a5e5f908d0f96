//! The rows of `aliaport.run`, `aliaport.run_table` and `aliaport.rejected_row`.

use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;

use super::error::Result;
use super::row::SetAside;
use super::run::outcome::{Outcome, TableRow};
use super::spi;

/// What a run was asked to do; known before it begins.
pub struct Facts<'a> {
    /// The path as the caller gave it.
    pub path: &'a str,
    /// The target schema.
    pub target_schema: &'a str,
    /// The mode's word.
    pub mode: &'a str,
    /// Whether everything is undone at the end.
    pub dry_run: bool,
    /// The options as the caller gave them.
    pub options: &'a serde_json::Value,
    /// When the run began.
    pub started_at: TimestampWithTimeZone,
}

/// Reserves the number of a run, so that rows that are set aside on the way can carry it.
pub fn begin(facts: &Facts<'_>) -> Result<i64> {
    spi::as_history_owner(|| {
        spi::one_mut::<i64>(
            "INSERT INTO aliaport.run (started_at, path, target_schema, mode, dry_run, options, status, invoked_by) \
             VALUES ($1, $2, $3::name, $4, $5, $6, 'failed', SESSION_USER) RETURNING run_id",
            &[
                facts.started_at.into(),
                facts.path.to_owned().into(),
                facts.target_schema.to_owned().into(),
                facts.mode.to_owned().into(),
                facts.dry_run.into(),
                JsonB(facts.options.clone()).into(),
            ],
        )
    })
    .map(|id| id.unwrap_or(0))
}

/// Completes the row of a run and writes its tables.
pub fn end(run_id: i64, outcome: &Outcome, with_tables: bool) -> Result<()> {
    spi::as_history_owner(|| {
        spi::run_with(
            "UPDATE aliaport.run SET finished_at = pg_catalog.clock_timestamp(), source_fingerprint = $2, \
             status = $3, source_bytes = $4, rows_imported = $5, rows_rejected = $6, error = $7 WHERE run_id OPERATOR(pg_catalog.=) $1",
            &[
                run_id.into(),
                outcome.source_fingerprint.clone().into(),
                outcome.status().to_owned().into(),
                outcome.source_bytes.into(),
                outcome.rows.iter().map(|r| r.imported_rows).sum::<i64>().into(),
                outcome.rows.iter().map(|r| r.rejected_rows).sum::<i64>().into(),
                outcome.error.clone().into(),
            ],
        )?;
        if with_tables {
            for row in &outcome.rows {
                insert_table(run_id, row)?;
            }
        }
        Ok(())
    })
}

fn insert_table(run_id: i64, row: &TableRow) -> Result<()> {
    spi::run_with(
        "INSERT INTO aliaport.run_table VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, pg_catalog.make_interval(secs => $11), $12, $13)",
        &[
            run_id.into(),
            row.load_order.into(),
            row.table_name.clone().into(),
            row.source_rows.into(),
            row.imported_rows.into(),
            row.rejected_rows.into(),
            row.target_rows.into(),
            row.orphan_rows.into(),
            row.content_match.into(),
            row.sequence_next.into(),
            row.elapsed.as_secs_f64().into(),
            row.status().to_owned().into(),
            JsonB(row.detail()).into(),
        ],
    )
}

/// Writes what a load set aside.
pub fn set_aside(run_id: i64, table: &str, entries: Vec<SetAside>) -> Result<()> {
    spi::as_history_owner(|| {
        for entry in entries {
            spi::run_with(
                "INSERT INTO aliaport.rejected_row VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    run_id.into(),
                    table.to_owned().into(),
                    JsonB(entry.source_key).into(),
                    entry.column.into(),
                    entry.storage_class.map(str::to_owned).into(),
                    entry.sqlstate.into(),
                    entry.reason.into(),
                    (if entry.is_rejected { "rejected" } else { "nulled" }).to_owned().into(),
                    JsonB(entry.row_data).into(),
                ],
            )?;
        }
        Ok(())
    })
}
