//! What a run came to: one validation row a table, and the words for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aliaport_plan::finding::{Code, Finding, Load, Severity};
use aliaport_plan::plan::{Action, TablePlan};
use aliaport_rows::convert::Lossy;
use aliaport_rows::digest::TableDigest;
use aliaport_rows::identifier::QualifiedName;
use serde_json::json;

/// What an earlier run said of a table that is as that run left it.
#[derive(Clone, Debug)]
pub(in crate::pg) struct Earlier {
    pub run_id: i64,
    pub status: &'static str,
    pub warnings: serde_json::Value,
    pub lossy: serde_json::Value,
}

impl Earlier {
    /// What it said of drift.
    pub(in crate::pg) fn drift(&self) -> BTreeSet<(Code, String)> {
        let warnings = self.warnings.as_array().into_iter().flatten();
        warnings
            .filter_map(|w| {
                Some((Code::parse(w.get("code")?.as_str()?)?, w.get("message")?.as_str()?.to_owned()))
            })
            .filter(|(code, _)| code.is_drift())
            .collect()
    }
}

/// One validation row.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// 1-based.
    pub load_order: i32,
    /// As regclass prints it.
    pub table_name: String,
    /// The SQLite table.
    source: String,
    /// Rows in the SQLite table.
    pub source_rows: i64,
    /// Rows written.
    pub imported_rows: i64,
    /// Rows set aside.
    pub rejected_rows: i64,
    /// Rows in the target afterwards.
    pub target_rows: i64,
    /// Rows that point at a missing parent.
    pub orphan_rows: i64,
    /// What was read back equals what was sent; `None` where nobody asked.
    pub content_match: Option<bool>,
    /// What `nextval()` will give.
    pub sequence_next: Option<i64>,
    /// Rows that were new to the table; `None`: all that were imported. The next ones are `None` where the
    /// mode does not count them.
    pub inserted: Option<i64>,
    /// Rows changed in place, or deleted and inserted again.
    pub updated: Option<i64>,
    /// Rows deleted.
    pub deleted: Option<i64>,
    /// Rows that mode sync found equal.
    pub unchanged: Option<i64>,
    /// Time spent on this table in all phases.
    pub elapsed: Duration,
    /// The run made this table: going back drops it.
    pub(in crate::pg) is_created: bool,
    /// Where it is.
    pub(in crate::pg) target: QualifiedName,
    /// The same by kind of step.
    seconds: BTreeMap<&'static str, f64>,
    pub(in crate::pg) warnings: Vec<Finding>,
    /// Values that landed and are not what the source has; rows that did not land are none.
    pub(in crate::pg) lossy: u64,
    /// How the rows got into the table; `None` until they are loaded.
    pub(in crate::pg) path: Option<&'static str>,
    pub(in crate::pg) digest: Option<TableDigest>,
    /// Its orphans will end the import.
    pub(in crate::pg) has_fatal_orphans: bool,
    /// What the whole table held when it was read back last; `None` where it was not.
    pub(in crate::pg) stored: Option<TableDigest>,
    /// What an earlier run said of the same rows, where this one found nothing to do.
    pub(in crate::pg) earlier: Option<Earlier>,
    /// What stopped a dry run at this table.
    pub(in crate::pg) failure: Option<serde_json::Value>,
}

impl TableRow {
    pub(in crate::pg) fn new(load_order: usize, table: &TablePlan) -> Self {
        TableRow {
            load_order: i32::try_from(load_order).unwrap_or(i32::MAX),
            table_name: table.target.to_string(),
            source: table.source.clone(),
            source_rows: 0,
            imported_rows: 0,
            rejected_rows: 0,
            target_rows: 0,
            orphan_rows: 0,
            content_match: None,
            sequence_next: None,
            inserted: None,
            updated: None,
            deleted: None,
            unchanged: None,
            elapsed: Duration::ZERO,
            seconds: BTreeMap::new(),
            is_created: table.is_created,
            target: table.target.clone(),
            warnings: table.findings.clone(),
            lossy: 0,
            path: None,
            digest: None,
            has_fatal_orphans: false,
            stored: None,
            earlier: None,
            failure: None,
        }
    }

    /// Adds the time that a step for this table took.
    pub(in crate::pg) fn took(&mut self, action: Action, time: Duration) {
        self.elapsed += time;
        *self.seconds.entry(action.as_str()).or_default() += time.as_secs_f64();
    }

    /// Tells what became of so many rows or values, unless there are none.
    pub(in crate::pg) fn warn(&mut self, why: Load, count: i64) {
        if count > 0 {
            let finding = Finding::new(why).counted(count.unsigned_abs());
            if finding.code() == Code::Nulled {
                self.lossy += count.unsigned_abs();
            }
            self.warnings.push(finding);
        }
    }

    /// Takes back what was counted of values that have not landed after all.
    pub(in crate::pg) fn forget_lossy(&mut self, column: &str, lossy: Lossy, count: u64) {
        self.lossy = self.lossy.saturating_sub(count);
        for warning in &mut self.warnings {
            if warning.code() == Code::Lossy(lossy) && warning.column.as_deref() == Some(column) {
                warning.count = warning.count.map(|counted| counted.saturating_sub(count));
            }
        }
        self.warnings.retain(|w| w.code() != Code::Lossy(lossy) || w.count != Some(0));
    }

    /// What is said of drift, by code and message.
    pub(in crate::pg) fn drift(&self) -> BTreeSet<(Code, String)> {
        let drift = self.warnings.iter().filter(|w| w.code().is_drift());
        drift.map(|w| (w.code(), w.to_string())).collect()
    }

    /// Says to the client that the table is loaded, how fast, and nothing where client_min_messages is above
    /// notice.
    pub(in crate::pg) fn notice(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let rate = (self.imported_rows as f64 / seconds.max(1e-6)).round();
        pgrx::notice!(
            "table {}: {} rows in {seconds:.3} s ({rate} rows/s)",
            self.table_name,
            self.imported_rows
        );
    }

    /// Rows that this run has put into the table and that were not there before.
    pub(in crate::pg) fn written(&self) -> i64 {
        self.inserted.unwrap_or(self.imported_rows)
    }

    /// Rows of a table that was there before which this run has inserted, updated or deleted; `None` where it
    /// was not compared.
    pub(in crate::pg) fn changed(&self) -> Option<i64> {
        Some(self.inserted? + self.updated? + self.deleted?)
    }

    /// `ok`, `warning` or `failed`.
    pub fn status(&self) -> &'static str {
        if self.content_match == Some(false) || self.failure.is_some() {
            "failed"
        } else if let Some(earlier) = &self.earlier {
            earlier.status
        } else if self.warnings.iter().any(|w| w.severity() >= Severity::Warning) {
            "warning"
        } else {
            "ok"
        }
    }

    /// The detail column of the result: [`TableRow::detail`] without what only the history is asked for, so
    /// that a terminal has room for the warnings.
    pub fn shown_detail(&self) -> serde_json::Value {
        let mut detail = self.detail();
        if let Some(detail) = detail.as_object_mut() {
            detail.retain(|name, _| {
                !matches!(name.as_str(), "created" | "digest" | "path" | "seconds" | "source")
            });
        }
        detail
    }

    /// The detail column of `aliaport.run_table`.
    pub fn detail(&self) -> serde_json::Value {
        let warnings: Vec<serde_json::Value> = self.warnings.iter().map(finding_json).collect();
        let mut detail = json!({
            "warnings": warnings,
            "source": self.source,
            "created": self.is_created,
            "inserted": self.inserted.unwrap_or(self.imported_rows),
            "lossy": self.lossy,
            "path": self.path,
            "seconds": self.seconds.iter().map(|(action, s)| ((*action).to_owned(), json!((s * 1e6).round() / 1e6))).collect::<serde_json::Map<_, _>>(),
            "digest": self.digest.as_ref().map(ToString::to_string),
        });
        if let Some(detail) = detail.as_object_mut() {
            for (name, count) in
                [("updated", self.updated), ("deleted", self.deleted), ("unchanged", self.unchanged)]
            {
                if let Some(count) = count {
                    detail.insert(name.to_owned(), json!(count));
                }
            }
            if let Some(earlier) = &self.earlier {
                detail.insert("unchanged_since".to_owned(), json!(earlier.run_id));
                detail.insert("warnings".to_owned(), earlier.warnings.clone());
                detail.insert("lossy".to_owned(), earlier.lossy.clone());
            }
            if let Some(failure) = &self.failure {
                detail.insert("error".to_owned(), failure.clone());
            }
        }
        detail
    }
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    let mut json = json!({
        "code": finding.code().as_str(),
        "severity": finding.severity().as_str(),
        "message": finding.to_string(),
        "column": finding.column,
        "count": finding.count,
    });
    if let (Some(sql), Some(json)) = (finding.sql(), json.as_object_mut()) {
        json.insert("sql".to_owned(), json!(sql));
    }
    if let (Some(json), Some(statement)) = (json.as_object_mut(), finding.remedy()) {
        json.insert("statement".to_owned(), json!(statement));
    }
    json
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One a table, in load order.
    pub rows: Vec<TableRow>,
    /// Size of the source in bytes.
    pub source_bytes: i64,
    /// What the source file looked like.
    pub source_fingerprint: String,
    /// The error of a dry run that would have failed.
    pub error: Option<String>,
    /// Nothing had changed since an earlier run, and nothing was done.
    pub is_unchanged: bool,
    /// What a later run needs to see that nothing has changed.
    pub state: Option<serde_json::Value>,
}

impl Outcome {
    /// `ok`, `warning`, `unchanged` or `failed`, for the history.
    pub fn status(&self) -> &'static str {
        if self.is_unchanged {
            "unchanged"
        } else if self.error.is_some() || self.rows.iter().any(|r| r.status() == "failed") {
            "failed"
        } else if self.rows.iter().any(|r| r.status() == "warning") {
            "warning"
        } else {
            "ok"
        }
    }
}
