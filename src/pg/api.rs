//! The SQL surface: unpack the arguments, call, pack the rows. No logic.
#![allow(clippy::result_large_err)] // ErrorReport is pgrx's, and the boundary takes nothing else

use std::ffi::CStr;

use aliaport_plan::policy::Orphans;
use pgrx::JsonB;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::import::{self, Request};
use crate::pg::planning::{self, bad_argument};
use crate::pg::record::progress;
use crate::pg::server::encoding::{self, Argument};
use crate::pg::server::error::{Error, Result};
use crate::pg::server::settings;
use crate::pg::table::schema;
use crate::pg::{foreign, inspect, report, validate};
use aliaport_rows::row::OnError;

#[allow(clippy::type_complexity)] // the column list is the contract
#[pg_extern(sql = false)]
fn aliaport_import(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    mode: Argument<Option<&str>>,
    dry_run: Option<bool>,
    on_error: Argument<Option<&str>>,
    orphans: Argument<Option<&str>>,
    options: Argument<Option<JsonB>>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(load_order, i32),
            name!(table_name, String),
            name!(source_rows, i64),
            name!(imported_rows, i64),
            name!(rejected_rows, i64),
            name!(target_rows, i64),
            name!(orphan_rows, i64),
            name!(content_match, Option<bool>),
            name!(sequence_next, Option<i64>),
            name!(elapsed, Interval),
            name!(status, String),
            name!(detail, JsonB),
        ),
    >,
    ErrorReport,
> {
    let import = || -> Result<_> {
        let path = required_path(path.read()?)?;
        let schema = schema_argument(target_schema.read()?)?;
        let options = options.read()?.map_or_else(empty_object, |o| o.0);
        let request = Request {
            path,
            target_schema: schema,
            mode: planning::mode(mode.read()?.unwrap_or("create"))?,
            dry_run: dry_run.unwrap_or(false),
            on_error: on_error_argument(on_error.read()?.unwrap_or("abort"))?,
            orphans: orphans_argument(orphans.read()?.unwrap_or("abort"))?,
            options: &options,
        };
        let rows = settings::fixed(&options, || import::import(&request))?;
        rows.into_iter()
            .map(|row| {
                let status = row.status().to_owned();
                let detail = JsonB(row.shown_detail());
                Ok((
                    row.load_order,
                    row.table_name,
                    row.source_rows,
                    row.imported_rows,
                    row.rejected_rows,
                    row.target_rows,
                    row.orphan_rows,
                    row.content_match,
                    row.sequence_next,
                    interval(row.elapsed)?,
                    status,
                    detail,
                ))
            })
            .collect::<Result<Vec<_>>>()
    };
    import().map(TableIterator::new).map_err(Error::into_report)
}

#[allow(clippy::type_complexity)] // the column list is the contract
#[pg_extern(sql = false)]
fn aliaport_plan(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    mode: Argument<Option<&str>>,
    options: Argument<Option<JsonB>>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(step, i32),
            name!(action, String),
            name!(object, String),
            name!(sql, String),
            name!(note, String),
        ),
    >,
    ErrorReport,
> {
    let plan = || -> Result<_> {
        let path = required_path(path.read()?)?;
        let schema = schema::schema_of_argument(schema_argument(target_schema.read()?)?)?;
        let options = options.read()?.map_or_else(empty_object, |o| o.0);
        let mode = planning::mode(mode.read()?.unwrap_or("create"))?;
        let planned = settings::fixed(&options, || planning::plan(path, &schema, mode, &options))?;
        Ok(planned
            .plan
            .steps
            .iter()
            .zip(1..)
            .map(|(s, n)| (n, s.action.as_str().to_owned(), s.object.clone(), s.sql.clone(), s.note.clone()))
            .collect::<Vec<_>>())
    };
    plan().map(TableIterator::new).map_err(Error::into_report)
}

#[allow(clippy::type_complexity)] // the column list is the contract
#[pg_extern(sql = false)]
fn aliaport_inspect_for(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    options: Argument<Option<JsonB>>,
    mode: Argument<Option<&str>>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(severity, String),
            name!(code, String),
            name!(table_name, Option<String>),
            name!(column_name, Option<String>),
            name!(row_count, Option<i64>),
            name!(sample, Option<JsonB>),
            name!(message, String),
            name!(suggestion, Option<String>),
        ),
    >,
    ErrorReport,
> {
    inspected(path, target_schema, options, Some(mode)).map(TableIterator::new).map_err(Error::into_report)
}

/// What the SQL definition of 0.1.0 names, with three arguments. It is called until `ALTER EXTENSION
/// aliaport_import UPDATE` has run.
#[allow(clippy::type_complexity)] // the column list is the contract
#[pg_extern(sql = false)]
fn aliaport_inspect(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    options: Argument<Option<JsonB>>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(severity, String),
            name!(code, String),
            name!(table_name, Option<String>),
            name!(column_name, Option<String>),
            name!(row_count, Option<i64>),
            name!(sample, Option<JsonB>),
            name!(message, String),
            name!(suggestion, Option<String>),
        ),
    >,
    ErrorReport,
> {
    inspected(path, target_schema, options, None).map(TableIterator::new).map_err(Error::into_report)
}

/// A row of `aliaport_inspect`.
type Found =
    (String, String, Option<String>, Option<String>, Option<i64>, Option<JsonB>, String, Option<String>);

fn inspected(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    options: Argument<Option<JsonB>>,
    mode: Option<Argument<Option<&str>>>,
) -> Result<Vec<Found>> {
    let found = if encoding::is_utf8() {
        let path = required_path(path.read()?)?;
        let word = mode.map(|mode| mode.read()).transpose()?.flatten();
        let mode = planning::mode(word.unwrap_or("create"))?;
        let schema = schema::schema_of_argument(schema_argument(target_schema.read()?)?)?;
        let options = options.read()?.map_or_else(empty_object, |o| o.0);
        settings::fixed(&options, || inspect::inspect(path, &schema, mode, &options))?
    } else {
        // Neither the names nor the values of the source have a form in this database.
        vec![inspect::wrong_encoding()?]
    };
    let row = |inspect::Observation { finding, sample, suggestion }| {
        let message = finding.to_string();
        (
            finding.severity().as_str().to_owned(),
            finding.code().of_inspect().to_string(),
            finding.table,
            finding.column,
            finding.count.and_then(|n| i64::try_from(n).ok()),
            sample.map(JsonB),
            message,
            suggestion.map(|s| s.to_string()),
        )
    };
    Ok(found.into_iter().map(row).collect())
}

#[allow(clippy::type_complexity)] // the column list is the contract
#[pg_extern(sql = false)]
fn aliaport_validate(
    path: Argument<Option<&str>>,
    target_schema: Argument<Option<&CStr>>,
    options: Argument<Option<JsonB>>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(table_name, String),
            name!(check_name, String),
            name!(source_value, Option<String>),
            name!(target_value, Option<String>),
            name!(ok, bool),
            name!(detail, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let validate = || -> Result<_> {
        let path = required_path(path.read()?)?;
        let schema = schema::schema_of_argument(schema_argument(target_schema.read()?)?)?;
        let options = options.read()?.map_or_else(empty_object, |o| o.0);
        Ok(settings::fixed(&options, || validate::validate(path, &schema, &options))?
            .into_iter()
            .map(|c| (c.table, c.check.to_owned(), c.source, c.target, c.ok, c.detail))
            .collect::<Vec<_>>())
    };
    validate().map(TableIterator::new).map_err(Error::into_report)
}

#[allow(clippy::type_complexity)] // the column list is the view's
#[pg_extern(sql = false)]
fn look_at_run(
    pid: i32,
    handle: i32,
) -> TableIterator<
    'static,
    (
        name!(run_id, i64),
        name!(phase, String),
        name!(table_name, Option<String>),
        name!(rows_done, i64),
        name!(rows_total, Option<i64>),
        name!(bytes_done, Option<i64>),
        name!(bytes_total, i64),
        name!(started_at, f64),
        name!(fraction, Option<f64>),
    ),
> {
    TableIterator::new(progress::look(pid, handle).map(|s| {
        (
            s.run_id,
            s.phase.to_owned(),
            s.table,
            s.rows_done,
            s.rows_total,
            s.bytes_done,
            s.bytes_total,
            s.started_at,
            s.fraction,
        )
    }))
}

#[pg_extern(sql = false)]
fn aliaport_report(
    run_id: Option<i64>,
    format: Argument<Option<&str>>,
) -> std::result::Result<String, ErrorReport> {
    let report = || report::report(run_id, format.read()?.unwrap_or("markdown"));
    report().map_err(Error::into_report)
}

#[pg_extern(sql = false)]
fn aliaport_fdw_handler() -> pgrx::Internal {
    pgrx::Internal::from(Some(foreign::handler()))
}

#[pg_extern(sql = false)]
fn aliaport_fdw_validator(
    options: Argument<Option<Vec<String>>>,
    catalogue: pgrx::pg_sys::Oid,
) -> std::result::Result<(), ErrorReport> {
    // CREATE EXTENSION makes the wrapper in every database: an inspection is to say what is wrong there.
    let is_wrapper = catalogue == pgrx::pg_sys::ForeignDataWrapperRelationId;
    if is_wrapper && !encoding::is_utf8() {
        return Ok(());
    }
    let validate = || foreign::validate(&options.read()?.unwrap_or_default(), catalogue);
    validate().map_err(Error::into_report)
}

#[pg_extern(sql = false)]
fn aliaport_import_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn required_path(path: Option<&str>) -> Result<&str> {
    path.ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, "path must not be null")
            .detail("There is no file to read.")
            .hint("Give the full path of a SQLite database on the database server.")
    })
}

fn schema_argument(name: Option<&CStr>) -> Result<Option<&str>> {
    name.map(CStr::to_str).transpose().map_err(crate::pg::server::error::unexpected)
}

fn on_error_argument(word: &str) -> Result<OnError> {
    OnError::parse(word).ok_or_else(|| bad_argument("on_error", word, OnError::WORDS))
}

fn orphans_argument(word: &str) -> Result<Orphans> {
    Orphans::parse(word).ok_or_else(|| bad_argument("orphans", word, Orphans::WORDS))
}

fn interval(elapsed: std::time::Duration) -> Result<Interval> {
    let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    Interval::new(0, 0, micros).map_err(crate::pg::server::error::unexpected)
}
