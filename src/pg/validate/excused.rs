//! What the import left out or cleared on purpose, as `aliaport.rejected_row` has it: no difference, but
//! said.

use std::collections::{HashMap, HashSet};

use aliaport_plan::plan::TablePlan;
use aliaport_rows::digest;
use aliaport_rows::identifier::quote_literal;
use aliaport_rows::row::value_json;
use aliaport_rows::value::Row;
use pgrx::JsonB;
use serde_json::Value as Json;

use crate::pg::server::count::counted;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::spi;

/// The last import of a path into a schema that was not undone.
pub struct LastRun {
    run_id: i64,
}

impl LastRun {
    /// Finds it; `None` without one, for instance where the database was restored without the extension's
    /// history.
    pub fn from_history(path: &str, schema: &str) -> Result<Option<Self>> {
        let run_id = spi::as_history_owner(|| {
            spi::one::<i64>(
                // The owner's rights are in force: an operator of the caller's search_path must not be
                // called.
                "SELECT pg_catalog.max(run_id) FROM aliaport.run \
                 WHERE path OPERATOR(pg_catalog.=) $1 AND target_schema OPERATOR(pg_catalog.=) $2::pg_catalog.name AND NOT dry_run \
                   AND status OPERATOR(pg_catalog.=) ANY (ARRAY['ok', 'warning'])",
                &[path.to_owned().into(), schema.to_owned().into()],
            )
        })?;
        Ok(run_id.map(|run_id| LastRun { run_id }))
    }

    /// What it set aside, in words; `None` where that is nothing.
    pub fn describe_set_aside(&self, rows: u64, values: u64) -> Option<String> {
        let what = match (rows, values) {
            (0, 0) => return None,
            (rows, 0) => counted(rows, "row"),
            (0, values) => counted(values, "value"),
            (rows, values) => format!("{} and {}", counted(rows, "row"), counted(values, "value")),
        };
        let verb = if rows + values == 1 { "was" } else { "were" };
        Some(format!("{what} {verb} set aside by run {} (aliaport.rejected_row)", self.run_id))
    }
}

/// What one row is excused from.
#[derive(Clone, Copy, Debug)]
pub struct Excuse<'a> {
    /// It need not be there.
    pub is_rejected: bool,
    /// These columns of the plan may be NULL.
    pub nulled: &'a [usize],
}

/// What the last run set aside of one table, by the hashes of the rows' keys: there may be millions.
pub struct Aside {
    /// The key's columns in the plan; empty where rows go by their rowid.
    key: Vec<usize>,
    rejected: HashSet<u128>,
    /// The number in `columns` of what may be NULL.
    nulled: HashMap<u128, u32>,
    columns: Vec<Vec<usize>>,
}

impl Aside {
    /// Reads it.
    pub fn from_history(run: Option<&LastRun>, plan: &TablePlan) -> Result<Self> {
        let place = |name: &String| plan.columns.iter().position(|c| &c.source == name);
        // Part of a key is none.
        let key = plan.source_key.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default();
        let mut aside = Aside { key, rejected: HashSet::new(), nulled: HashMap::new(), columns: Vec::new() };
        let Some(run) = run else { return Ok(aside) };
        let mut numbers = HashMap::new();
        spi::as_history_owner(|| {
            spi::pages(
                &format!(
                    "SELECT source_key, column_name, action OPERATOR(pg_catalog.=) 'rejected' FROM aliaport.rejected_row \
                     WHERE run_id OPERATOR(pg_catalog.=) {} AND table_name OPERATOR(pg_catalog.=) {}",
                    run.run_id,
                    quote_literal(&plan.source)
                ),
                |row| {
                    Ok((
                        row.get::<JsonB>(1)?.map_or(Json::Null, |j| j.0),
                        row.get::<String>(2)?.unwrap_or_default(),
                        row.get::<bool>(3)?.unwrap_or(false),
                    ))
                },
                |page| {
                    for (source_key, column, is_rejected) in page {
                        let Some(key) = aside.key_of_entry(&source_key, plan) else { continue };
                        if is_rejected {
                            aside.rejected.insert(key);
                            continue;
                        }
                        // Several columns of one foreign key stand in one entry, and several entries are of
                        // one row.
                        let known = aside.nulled.get(&key).and_then(|n| aside.columns.get(*n as usize));
                        let mut columns = known.cloned().unwrap_or_default();
                        match place(&column) {
                            Some(column) => columns.push(column),
                            None => columns.extend(column.split(", ").filter_map(|c| place(&c.to_owned()))),
                        }
                        let next = u32::try_from(aside.columns.len()).map_err(unexpected)?;
                        let number = *numbers.entry(columns).or_insert_with_key(|columns| {
                            aside.columns.push(columns.clone());
                            next
                        });
                        aside.nulled.insert(key, number);
                    }
                    Ok(())
                },
            )
        })?;
        Ok(aside)
    }

    fn key_of_entry(&self, source_key: &Json, plan: &TablePlan) -> Option<u128> {
        if self.key.is_empty() {
            return source_key.get("rowid").map(|rowid| hashed(vec![rowid.clone()]));
        }
        let values = self.key.iter().map(|c| source_key.get(&plan.columns.get(*c)?.source).cloned());
        Some(hashed(values.collect::<Option<Vec<Json>>>()?))
    }

    /// What a source row is excused from.
    pub fn excuse(&self, row: &Row<'_>) -> Option<Excuse<'_>> {
        if self.rejected.is_empty() && self.nulled.is_empty() {
            return None;
        }
        let values = if self.key.is_empty() {
            vec![Json::from(row.rowid()?)]
        } else {
            self.key.iter().map(|c| value_json(row.value(*c))).collect()
        };
        let key = hashed(values);
        let is_rejected = self.rejected.contains(&key);
        let nulled = self.nulled.get(&key).and_then(|number| self.columns.get(*number as usize));
        let nulled = nulled.map(Vec::as_slice);
        (is_rejected || nulled.is_some()).then(|| Excuse { is_rejected, nulled: nulled.unwrap_or_default() })
    }

    /// How many rows need not be there.
    pub fn rejected(&self) -> u64 {
        self.rejected.len() as u64
    }
}

fn hashed(key: Vec<Json>) -> u128 {
    digest::hash(Json::Array(key).to_string().as_bytes())
}
