//! The rows of `aliaport.run`, `aliaport.run_table` and `aliaport.rejected_row`.
//!
//! A run takes its number when it begins and writes its row when it ends, and those of what it has set aside,
//! which waits in a [`Store`] until then. What it wrote is part of the caller's transaction. A run that fails
//! takes all of that back, so its row is written by another process ([`super::failure`]).

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::JsonB;
use serde_json::{Value as Json, json};

use super::aside::{self, Entry, Store};
use super::failure::Will;
use super::outcome::{Outcome, TableRow};
use super::progress;
use crate::pg::server::error::{Error, Result, Told, unexpected};
use crate::pg::server::{guc, memory, spi};
use aliaport_rows::row::SetAside;

/// Rows of `aliaport.rejected_row` that one statement writes, and bytes of their values after which it is
/// sent before that.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 1024 * 1024;

/// What a run was asked to do; known before it begins.
pub struct RunFacts<'a> {
    /// The path as the caller gave it.
    pub path: &'a str,
    /// The target schema.
    pub target_schema: &'a str,
    /// The mode's word.
    pub mode: &'a str,
    /// Whether everything is undone at the end.
    pub dry_run: bool,
    /// What happens to bad values, as a word.
    pub on_error: &'a str,
    /// What happens to orphans, as a word.
    pub orphans: &'a str,
    /// The options as the caller gave them.
    pub options: &'a Json,
}

/// One run on its way.
pub struct Run {
    id: i64,
    /// Its row of `aliaport.run` as far as it is known, times as Unix seconds.
    row: RefCell<Json>,
    will: Will,
    /// Whether this transaction may have written the row.
    holds_row: Cell<bool>,
    /// What becomes of them rows of `aliaport.rejected_row`, how many they are, and their bytes.
    store: RefCell<Store>,
    set_aside: Cell<u64>,
    set_aside_bytes: Cell<u64>,
}

impl Run {
    /// Takes the number of a run and makes ready what a failure would need.
    pub fn begin(facts: &RunFacts<'_>) -> Result<Self> {
        require_current()?;
        let id = spi::as_history_owner(|| {
            spi::one_mut::<i64>(
                "SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('aliaport.run', 'run_id')::pg_catalog.regclass)",
                &[],
            )
        })?
        .ok_or_else(|| unexpected("absence of the sequence of aliaport.run"))?;
        let (invoked_by, database, server_version) = spi::rows(
            "SELECT SESSION_USER::text, pg_catalog.current_database()::text, pg_catalog.current_setting('server_version')",
            &[],
            |row| Ok((row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)),
        )?
        .into_iter()
        .next()
        .unwrap_or_default();
        let started_at = now();
        let row = json!({
            "run_id": id,
            "started_at": started_at,
            "path": facts.path,
            "target_schema": facts.target_schema,
            "mode": facts.mode,
            "dry_run": facts.dry_run,
            "on_error": facts.on_error,
            "orphans": facts.orphans,
            "options": facts.options,
            "invoked_by": invoked_by,
            "database": database,
            "server_version": server_version,
            "status": "failed",
            "rows_imported": 0,
            "rows_rejected": 0,
            "error": "57P01: the session ended before the import did\n\
                      DETAIL:  Its process was terminated, lost its client, or the server was shut down: the server's log says which.",
        });
        let will = Will::new(&row);
        progress::begin(id, started_at)?;
        Ok(Run {
            id,
            row: RefCell::new(row),
            will,
            holds_row: Cell::new(false),
            store: RefCell::new(Store::new()),
            set_aside: Cell::new(0),
            set_aside_bytes: Cell::new(0),
        })
    }

    /// Its number.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The source is open: what it looks like.
    pub fn note_source(&self, bytes: i64, fingerprint: &str) {
        let mut row = self.row.borrow_mut();
        row["source_bytes"] = json!(bytes);
        row["source_fingerprint"] = json!(fingerprint);
        self.will.rewrite(&row);
    }

    /// Whether rows or values were set aside.
    pub fn has_set_aside(&self) -> bool {
        self.set_aside.get() > 0
    }

    /// Takes what is set aside of the SQLite table `table`. It stays, also where a subtransaction is undone
    /// meanwhile.
    ///
    /// # Errors
    /// 54000 beyond `aliaport_import.max_rejected_rows` or `aliaport_import.max_rejected_bytes`.
    pub fn set_aside(&self, table: &str, entries: impl IntoIterator<Item = SetAside>) -> Result<()> {
        let limits = (guc::max_rejected_rows(), guc::max_rejected_bytes());
        for entry in entries {
            let entry = Entry::new(table, entry);
            let size = entry.size();
            self.set_aside.set(self.set_aside.get() + 1);
            self.set_aside_bytes.set(self.set_aside_bytes.get() + size as u64);
            if let Some(limit) = limits.0.filter(|limit| self.set_aside.get() > *limit) {
                return Err(too_many(table, &limit.to_string(), "aliaport_import.max_rejected_rows"));
            }
            if let Some(limit) = limits.1.filter(|limit| self.set_aside_bytes.get() > *limit) {
                let limit = format!("{} MB of them", limit >> 20);
                return Err(too_many(table, &limit, "aliaport_import.max_rejected_bytes"));
            }
            self.store.borrow_mut().put(entry);
        }
        Ok(())
    }

    /// The run has ended: writes its row, those of its tables, and what was set aside. Of a dry run, after
    /// its work was undone.
    pub fn end(&self, outcome: &Outcome) -> Result<()> {
        {
            let mut row = self.row.borrow_mut();
            row["finished_at"] = json!(now());
            row["status"] = json!(outcome.status());
            row["source_bytes"] = json!(outcome.source_bytes);
            row["source_fingerprint"] = json!(outcome.source_fingerprint);
            row["rows_imported"] = json!(outcome.rows.iter().map(|r| r.imported_rows).sum::<i64>());
            row["rows_rejected"] = json!(outcome.rows.iter().map(|r| r.rejected_rows).sum::<i64>());
            row["error"] = json!(outcome.error.as_deref().map(without_nul));
            row["state"] = json!(outcome.state);
        }
        self.holds_row.set(true);
        spi::as_history_owner(|| {
            write(&self.row.borrow())?;
            for row in &outcome.rows {
                insert_table(self.id, row)?;
            }
            self.write_set_aside()
        })
    }

    /// Writes `aliaport.rejected_row`, a batch at a time.
    fn write_set_aside(&self) -> Result<()> {
        let (mut batch, mut rows_data, mut bytes) = (Vec::new(), Vec::new(), 0);
        self.store.borrow_mut().each(|entry, row_data| {
            let size = entry.size() + row_data.len();
            // A long row goes alone and is not copied.
            if bytes + size > BATCH_BYTES || batch.len() == BATCH_ROWS {
                insert_set_aside(self.id, std::mem::take(&mut batch), std::mem::take(&mut rows_data))?;
                bytes = 0;
            }
            if size > BATCH_BYTES {
                return insert_long_row(self.id, entry, row_data);
            }
            bytes += size;
            batch.push(entry);
            rows_data.push(row_data.to_vec());
            Ok(())
        })?;
        insert_set_aside(self.id, batch, rows_data)
    }

    /// The run has failed and its transaction will be undone: has the row written by another process.
    pub fn fail(&self, error: &Told) {
        let mut row = self.row.borrow_mut();
        row["finished_at"] = json!(now());
        row["error"] = json!(without_nul(&error.to_string()));
        // While our own transaction holds a row with this number, the other process has to wait for us.
        let is_waited_for = !self.holds_row.get();
        self.will.execute(&row, error.is_cancel().into(), is_waited_for);
    }
}

/// The history's tables and the functions' definitions come with the extension's version, the library with
/// the installed files.
///
/// # Errors
/// 55000 where the files are newer than what CREATE or ALTER EXTENSION has made of them in this database.
pub fn require_current() -> Result<()> {
    let installed = spi::one::<String>(
        "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'aliaport_import'",
        &[],
    )?;
    let library = env!("CARGO_PKG_VERSION");
    match installed {
        Some(installed) if installed != library => Err(Error::new(
            pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("extension aliaport_import is of version {installed} in this database, its library of version {library}"),
        )
        .detail("A new version was installed, and this database has not been told of it yet.")
        .hint("ALTER EXTENSION aliaport_import UPDATE; -- Run this in each database that has the extension.")),
        _ => Ok(()),
    }
}

/// The time as the rows of a run carry it: Unix seconds.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// PostgreSQL's jsonb takes no NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Writes the row of a run, or completes it. Called with the rights of the history's owner.
pub fn write(row: &Json) -> Result<()> {
    spi::run_with(
        "INSERT INTO aliaport.run AS old (run_id, started_at, finished_at, path, source_fingerprint, target_schema, mode, dry_run, \
             on_error, orphans, options, status, source_bytes, rows_imported, rows_rejected, error, invoked_by, state, database, \
             server_version) OVERRIDING SYSTEM VALUE \
         SELECT run_id, pg_catalog.to_timestamp(started_at), pg_catalog.to_timestamp(finished_at), path, source_fingerprint, \
             target_schema, mode, dry_run, on_error, orphans, options, status, source_bytes, rows_imported, rows_rejected, error, \
             invoked_by, NULLIF(state, 'null'), database, server_version \
         FROM pg_catalog.jsonb_to_record($1) AS new (run_id bigint, started_at float8, finished_at float8, path text, \
             source_fingerprint text, target_schema name, mode text, dry_run boolean, on_error text, orphans text, options jsonb, \
             status text, source_bytes bigint, rows_imported bigint, rows_rejected bigint, error text, invoked_by name, \
             state jsonb, database name, server_version text) \
         ON CONFLICT (run_id) DO UPDATE SET finished_at = excluded.finished_at, source_fingerprint = excluded.source_fingerprint, \
             status = excluded.status, source_bytes = excluded.source_bytes, rows_imported = excluded.rows_imported, \
             rows_rejected = excluded.rows_rejected, error = excluded.error, \
             state = excluded.state",
        &[JsonB(row.clone()).into()],
    )
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

fn insert_set_aside(run_id: i64, entries: Vec<Entry>, rows_data: Vec<Vec<u8>>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    memory::briefly(|| {
        let mut columns: [Vec<Option<String>>; 7] = Default::default();
        for entry in entries {
            for (column, text) in columns.iter_mut().zip(entry.texts()) {
                column.push(text);
            }
        }
        let mut arguments = vec![run_id.into()];
        arguments.extend(columns.map(Into::into));
        arguments.push(aside::arguments(&rows_data)?);
        drop(rows_data);
        spi::run_with(
            "INSERT INTO aliaport.rejected_row \
             SELECT $1, e.table_name, e.source_key::pg_catalog.jsonb, e.column_name, e.storage_class, e.sqlstate, e.reason, e.action, \
                 e.row_data \
             FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), \
                 pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9)) \
                 AS e (table_name, source_key, column_name, storage_class, sqlstate, reason, action, row_data)",
            &arguments,
        )
    })
}

/// The same of one row, whose values are lent.
fn insert_long_row(run_id: i64, entry: Entry, row_data: &[u8]) -> Result<()> {
    let mut arguments = vec![run_id.into()];
    arguments.extend(entry.texts().map(Into::into));
    arguments.push(aside::argument(row_data));
    let insert = || {
        spi::run_with(
            "INSERT INTO aliaport.rejected_row VALUES ($1, $2, $3::pg_catalog.jsonb, $4, $5, $6, $7, $8, $9)",
            &arguments,
        )
    };
    // pglz takes seconds for a hundred megabytes, and looks at no interrupt meanwhile; lz4 takes a tenth of
    // that.
    let has_lz4 = spi::one::<bool>(
        "SELECT 'lz4' = ANY (enumvals) FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression'",
        &[],
    )?;
    if has_lz4 == Some(true) {
        spi::with_setting(c"default_toast_compression", c"lz4", insert)
    } else {
        insert()
    }
}

fn too_many(table: &str, limit: &str, setting: &str) -> Error {
    Error::new(
        pgrx::PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("too many rows are set aside: more than {limit}"),
    )
    .detail(format!("The limit of {setting} was passed in SQLite table \"{table}\"."))
    .hint(format!("Look at the source with aliaport_inspect(), or raise {setting} (0: no limit)."))
}
