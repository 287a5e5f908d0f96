//! Which target table, and which of its columns, does each source table stand against?
//!
//! The answer is the plan of an import that would add rows to the tables that are there: names are matched as the import
//! matches them, and every type is the target's. What has gone from the target since the import is a check that fails, not an
//! error, so columns that are missing are left out of the plan and remembered.

use aliaport_plan::build::{self, Mode, PlanErrorKind, Request};
use aliaport_plan::catalogue::Table;
use aliaport_plan::finding::Finding;
use aliaport_plan::option::Options;
use aliaport_plan::plan::{Plan, QualifiedName};
use aliaport_plan::profile::Profiles;
use aliaport_plan::target::Target;

use super::super::error::{Result, unexpected};
use super::super::planning::{self, Opened};

/// A source and what it stands against.
pub struct Against {
    /// The source, its catalogue and the options.
    pub opened: Opened,
    /// One table a source table; those that are missing in the target count as created.
    pub plan: Plan,
    /// Columns of the source that the target does not have: table and column.
    pub missing: Vec<(String, String)>,
    target: Target,
}

/// Opens the file at `path` and matches its tables with those of `schema`.
pub fn open(path: &str, schema: &str, options: &serde_json::Value) -> Result<Against> {
    let opened = planning::open(path, options)?;
    let mut target = planning::target(&opened.catalogue, &opened.options, schema)?;
    // A column of the target without a source is no obstacle to a comparison.
    for column in target.relations.iter_mut().flat_map(|r| &mut r.columns) {
        column.has_default = true;
    }
    let mut options = opened.options.clone();
    let mut missing = Vec::new();
    let plan = loop {
        // Types come from the target, so there is nothing to profile.
        let request = Request { mode: Mode::Append, options: &options };
        match build::build(&opened.catalogue, &Profiles::new(), &target, &request) {
            Ok(plan) => break plan,
            Err(error) if error.kind() == PlanErrorKind::MissingColumn && missing.is_empty() => {
                for (table, column) in error.findings().into_iter().filter_map(address) {
                    skip(&mut options, &table, &column);
                    missing.push((table, column));
                }
                if missing.is_empty() {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    Ok(Against { opened, plan, missing, target })
}

fn address(finding: Finding) -> Option<(String, String)> {
    Some((finding.table?, finding.column?))
}

fn skip(options: &mut Options, table: &str, column: &str) {
    let known = options.tables.keys().find(|k| k.eq_ignore_ascii_case(table)).cloned();
    let entry = options.tables.entry(known.unwrap_or_else(|| table.to_owned()));
    let columns = &mut entry.or_default().columns;
    let known = columns.keys().find(|k| k.eq_ignore_ascii_case(column)).cloned();
    let entry = columns.entry(known.unwrap_or_else(|| column.to_owned()));
    entry.or_default().skip = true;
}

impl Against {
    /// A source table by its name.
    pub fn table(&self, name: &str) -> Result<&Table> {
        let found = self.opened.catalogue.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| unexpected("table that the source does not have"))
    }

    /// The target's table of this name, quoted; else one whose name differs in case only.
    pub fn relation(&self, schema: &str, name: &str) -> Option<String> {
        let of_schema =
            || self.target.relations.iter().filter(|r| r.schema == schema && matches!(r.kind, 'r' | 'p'));
        let found = of_schema().find(|r| r.name == name);
        let found = found.or_else(|| of_schema().find(|r| r.name.to_lowercase() == name.to_lowercase()))?;
        Some(QualifiedName { schema: found.schema.clone(), name: found.name.clone() }.to_string())
    }
}
