//! What PostgreSQL itself sees in a table: rows, NULLs, smallest and largest values, by one query a table.
//!
//! It is a second proof: content is compared by code of this extension on both sides.

use aliaport_rows::column::ColumnPlan;
use aliaport_rows::identifier::quote;
use aliaport_rows::range;

use super::CheckResult;
use super::as_sent::SourceSummary;
use super::validated_table::ValidatedTable;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// Columns that one query asks for: a result may have 1664, and a column takes up to seven.
const COLUMNS_A_QUERY: usize = 200;

/// What the target says.
pub struct Seen {
    /// Its rows.
    pub rows: u64,
    columns: Vec<SeenColumn>,
}

/// What it says of one column.
#[derive(Clone, Debug, Default)]
struct SeenColumn {
    /// Values that are not NULL.
    values: u64,
    range: Option<SeenRange>,
}

#[derive(Clone, Debug, Default)]
struct SeenRange {
    source: Option<(String, String)>,
    target: Option<(String, String)>,
    is_equal: bool,
}

/// Asks the target, and lets it compare with what the source's cells came to: equal values may be written in
/// two ways.
pub fn ask(subject: &ValidatedTable<'_>, tally: &SourceSummary) -> Result<Seen> {
    let mut seen = Seen { rows: 0, columns: Vec::with_capacity(subject.plan.columns.len()) };
    let mut ranges = tally.ranges.iter();
    for columns in subject.plan.columns.chunks(COLUMNS_A_QUERY) {
        let terms: Vec<String> = columns
            .iter()
            .map(|c| {
                let range = ranges.next().and_then(|r| r.as_ref()?.as_sql(&c.pg_type));
                terms(c, range)
            })
            .collect();
        let sql = format!("SELECT pg_catalog.count(*), {} FROM {}", terms.join(", "), subject.from);
        let found = spi::rows(&sql, &[], |row| {
            let count = |at| -> std::result::Result<u64, pgrx::spi::Error> {
                Ok(row.get::<i64>(at)?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
            };
            let pair = |at| -> std::result::Result<Option<(String, String)>, pgrx::spi::Error> {
                Ok(row.get::<String>(at)?.zip(row.get::<String>(at + 1)?))
            };
            let mut at = 2;
            let mut found = Vec::with_capacity(columns.len());
            for column in columns {
                let mut seen = SeenColumn { values: count(at)?, range: None };
                at += 1;
                if range::has_range(&column.pg_type) {
                    let is_equal = row.get::<bool>(at + 4)?.unwrap_or(false);
                    seen.range = Some(SeenRange { source: pair(at)?, target: pair(at + 2)?, is_equal });
                    at += 5;
                }
                found.push(seen);
            }
            Ok((count(1)?, found))
        })?;
        for (rows, columns) in found {
            seen.rows = rows;
            seen.columns.extend(columns);
        }
    }
    if subject.plan.columns.is_empty() {
        seen.rows = subject.count()?;
    }
    Ok(seen)
}

/// What a query asks for of one column. Types without a range have no min().
fn terms(column: &ColumnPlan, range: Option<(String, String)>) -> String {
    let name = quote(&column.target);
    let count = format!("pg_catalog.count({name})");
    if !range::has_range(&column.pg_type) {
        return count;
    }
    let (min, max) = (format!("pg_catalog.min({name})"), format!("pg_catalog.max({name})"));
    let (low, high, is_equal) = match range {
        Some((low, high)) => {
            let is_equal =
                format!("{min} OPERATOR(pg_catalog.=) {low} AND {max} OPERATOR(pg_catalog.=) {high}");
            (low, high, is_equal)
        }
        None => ("NULL".to_owned(), "NULL".to_owned(), format!("{min} IS NULL")),
    };
    format!(
        "{count}, ({low})::pg_catalog.text, ({high})::pg_catalog.text, ({min})::pg_catalog.text, ({max})::pg_catalog.text, {is_equal}"
    )
}

impl Seen {
    /// A check for each column that the source declares NOT NULL.
    pub fn not_null(&self, subject: &ValidatedTable<'_>, tally: &SourceSummary) -> Vec<CheckResult> {
        let mut checks = Vec::new();
        let columns = subject.plan.columns.iter().zip(&subject.columns).zip(&self.columns).zip(&tally.nulls);
        for (((plan, source), seen), nulls) in columns {
            let is_declared = subject.table.columns.get(*source).is_some_and(|c| c.is_not_null);
            if !is_declared && !subject.table.primary_key.contains(source) {
                continue;
            }
            let target = self.rows.saturating_sub(seen.values);
            let mut detail = format!("column {}", quote(&plan.target));
            if !plan.is_not_null {
                detail.push_str(" is not NOT NULL in the target");
            }
            checks.push(CheckResult {
                source: Some(nulls.to_string()),
                target: Some(target.to_string()),
                ok: target == *nulls && plan.is_not_null,
                detail: Some(detail),
                ..subject.check("not_null")
            });
        }
        checks
    }

    /// A check for each column whose type has a range.
    pub fn min_max(&self, subject: &ValidatedTable<'_>) -> Vec<CheckResult> {
        let show =
            |range: &Option<(String, String)>| range.as_ref().map(|(low, high)| format!("{low} .. {high}"));
        let columns = subject.plan.columns.iter().zip(&self.columns);
        columns
            .filter_map(|(plan, seen)| {
                let range = seen.range.as_ref()?;
                Some(CheckResult {
                    source: show(&range.source),
                    target: show(&range.target),
                    ok: range.is_equal,
                    detail: Some(format!("column {}", quote(&plan.target))),
                    ..subject.check("min_max")
                })
            })
            .collect()
    }
}
