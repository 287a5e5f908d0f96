//! What the import left out or cleared on purpose, as `aliaport.rejected_row` has it: no difference, but said.

use aliaport_rows::value::Row;
use std::collections::HashMap;

use aliaport_plan::plan::TablePlan;
use pgrx::JsonB;
use serde_json::Value as Json;

use super::of;
use crate::pg::server::error::Result;
use crate::pg::server::spi;
use aliaport_rows::row::value_json;

/// The last import of a path into a schema that was not undone.
pub struct LastRun {
    run_id: i64,
}

impl LastRun {
    /// Finds it; `None` without one, for instance where the database was restored without the extension's history.
    pub fn of(path: &str, schema: &str) -> Result<Option<Self>> {
        let run_id = spi::as_history_owner(|| {
            spi::one::<i64>(
                // The owner's rights are in force: an operator of the caller's search_path must not be called.
                "SELECT pg_catalog.max(run_id) FROM aliaport.run \
                 WHERE path OPERATOR(pg_catalog.=) $1 AND target_schema OPERATOR(pg_catalog.=) $2::pg_catalog.name AND NOT dry_run \
                   AND status OPERATOR(pg_catalog.=) ANY (ARRAY['ok', 'warning'])",
                &[path.to_owned().into(), schema.to_owned().into()],
            )
        })?;
        Ok(run_id.map(|run_id| LastRun { run_id }))
    }

    /// What it set aside, in words; `None` where that is nothing.
    pub fn words(&self, rows: u64, values: u64) -> Option<String> {
        let what = match (rows, values) {
            (0, 0) => return None,
            (rows, 0) => of(rows, "row"),
            (0, values) => of(values, "value"),
            (rows, values) => format!("{} and {}", of(rows, "row"), of(values, "value")),
        };
        let verb = if rows + values == 1 { "was" } else { "were" };
        Some(format!("{what} {verb} set aside by run {} (aliaport.rejected_row)", self.run_id))
    }
}

/// What one row is excused from.
#[derive(Clone, Debug, Default)]
pub struct Excuse {
    /// It need not be there.
    pub is_rejected: bool,
    /// These columns of the plan may be NULL.
    pub nulled: Vec<usize>,
}

/// What the last run set aside of one table, by the rows' keys.
pub struct Aside {
    /// The key's columns in the plan; empty where rows go by their rowid.
    key: Vec<usize>,
    excuses: HashMap<String, Excuse>,
}

impl Aside {
    /// Reads it.
    pub fn of(run: Option<&LastRun>, plan: &TablePlan) -> Result<Self> {
        let place = |name: &String| plan.columns.iter().position(|c| &c.source == name);
        // Part of a key is none.
        let key = plan.source_key.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default();
        let mut aside = Aside { key, excuses: HashMap::new() };
        let Some(run) = run else { return Ok(aside) };
        let entries = spi::as_history_owner(|| {
            spi::rows(
                "SELECT source_key, column_name, action OPERATOR(pg_catalog.=) 'rejected' FROM aliaport.rejected_row \
                 WHERE run_id OPERATOR(pg_catalog.=) $1 AND table_name OPERATOR(pg_catalog.=) $2",
                &[run.run_id.into(), plan.source.clone().into()],
                |row| {
                    Ok((
                        row.get::<JsonB>(1)?.map_or(Json::Null, |j| j.0),
                        row.get::<String>(2)?.unwrap_or_default(),
                        row.get::<bool>(3)?.unwrap_or(false),
                    ))
                },
            )
        })?;
        for (source_key, column, is_rejected) in entries {
            let Some(key) = aside.key_of_entry(&source_key, plan) else { continue };
            let excuse = aside.excuses.entry(key).or_default();
            if is_rejected {
                excuse.is_rejected = true;
            } else {
                // Several columns of one foreign key stand in one entry.
                let columns = place(&column).map(|c| vec![c]);
                let columns = columns
                    .unwrap_or_else(|| column.split(", ").filter_map(|c| place(&c.to_owned())).collect());
                excuse.nulled.extend(columns);
            }
        }
        Ok(aside)
    }

    fn key_of_entry(&self, source_key: &Json, plan: &TablePlan) -> Option<String> {
        if self.key.is_empty() {
            return source_key.get("rowid").map(|rowid| Json::Array(vec![rowid.clone()]).to_string());
        }
        let values = self.key.iter().map(|c| source_key.get(&plan.columns.get(*c)?.source).cloned());
        Some(Json::Array(values.collect::<Option<Vec<Json>>>()?).to_string())
    }

    /// What a source row is excused from.
    pub fn excuse(&self, row: &Row<'_>) -> Option<&Excuse> {
        if self.excuses.is_empty() {
            return None;
        }
        let values = if self.key.is_empty() {
            vec![Json::from(row.rowid()?)]
        } else {
            self.key.iter().map(|c| value_json(row.value(*c))).collect()
        };
        self.excuses.get(&Json::Array(values).to_string())
    }

    /// How many rows need not be there.
    pub fn rejected(&self) -> u64 {
        self.excuses.values().filter(|e| e.is_rejected).count() as u64
    }
}
