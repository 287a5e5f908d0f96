//! Which target table, and which of its columns, does each source table stand against?
//!
//! The answer is the plan of an import that would add rows to the tables that are there: names are matched as
//! the import matches them, and every type is the target's. What has gone from the target since the import is
//! a check that fails, not an error, so columns that are missing are left out of the plan and remembered. A
//! name that PostgreSQL does not take (too long, or another one's) is looked for as the import would have
//! changed it.

use std::collections::HashSet;

use aliaport_plan::catalogue::Table;
use aliaport_plan::finding::{Finding, Subject, Why};
use aliaport_plan::option::{Options, TableOption};
use aliaport_plan::plan::Plan;
use aliaport_plan::planner::{self, PlanErrorKind, Request};
use aliaport_plan::policy::Mode;
use aliaport_plan::profile::Profiles;
use aliaport_plan::target::Target;
use aliaport_rows::identifier::QualifiedName;

use crate::pg::planning::{self, Opened};
use crate::pg::server::error::{Result, unexpected};

/// A source and what it stands against.
pub struct Against {
    /// The source, its catalogue and the options.
    pub opened: Opened,
    /// One table a source table; those that are missing in the target count as created.
    pub plan: Plan,
    /// Columns of the source that the target does not have: table and column.
    pub missing: Vec<(String, String)>,
    fresh: Plan,
    target: Target,
}

/// Opens the file at `path` and matches its tables with those of `schema`.
pub fn open(path: &str, schema: &str, options: &serde_json::Value) -> Result<Against> {
    let opened = planning::open(path, options)?;
    let mut target = planning::target(path, &opened.catalogue, &opened.options, schema, Mode::Create)?;
    // A column of the target without a source is no obstacle to a comparison.
    for column in target.relations.iter_mut().flat_map(|r| &mut r.columns) {
        column.has_default = true;
    }
    let fresh = fresh(&opened, &target);
    let mut matching = Matching {
        fresh: &fresh,
        options: opened.options.clone(),
        tried: HashSet::new(),
        missing: Vec::new(),
    };
    let plan = loop {
        // Types come from the target, so there is nothing to profile.
        let request = Request { mode: Mode::Append, options: &matching.options };
        match planner::plan(&opened.catalogue, &Profiles::new(), &target, &request) {
            Ok(plan) => {
                if !matching.has_renamed_tables(&plan, &target) {
                    break plan;
                }
            }
            Err(error) if error.kind() == PlanErrorKind::MissingColumn => {
                if !matching.has_renamed_columns(error.findings()) {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let missing = matching.missing;
    Ok(Against { opened, plan, missing, fresh, target })
}

/// The plan of an import into an empty schema: what a table or a column is called there whose own name
/// PostgreSQL does not take, and why something is not carried over. Empty where there can be no such plan.
fn fresh(opened: &Opened, target: &Target) -> Plan {
    let empty = Target { relations: Vec::new(), ..target.clone() };
    let request = Request { mode: Mode::Create, options: &opened.options };
    planner::plan(&opened.catalogue, &Profiles::new(), &empty, &request).unwrap_or_default()
}

/// Options that grow until every table and column has found its counterpart, or is known to have none.
struct Matching<'a> {
    fresh: &'a Plan,
    options: Options,
    tried: HashSet<(String, Option<String>)>,
    missing: Vec<(String, String)>,
}

impl Matching<'_> {
    /// Names the targets that an import would have made for tables that are not there under their own names.
    /// False where there is nothing new to try.
    fn has_renamed_tables(&mut self, plan: &Plan, target: &Target) -> bool {
        let mut is_any = false;
        for table in plan.tables.iter().filter(|t| t.is_created) {
            let Some(made) = self.fresh.tables.iter().find(|t| t.source == table.source).map(|t| &t.target)
            else {
                continue;
            };
            let is_there = target.relations.iter().any(|r| r.schema == made.schema && r.name == made.name);
            if is_there && self.tried.insert((table.source.clone(), None)) {
                self.table(&table.source).target = Some((Some(made.schema.clone()), made.name.clone()));
                is_any = true;
            }
        }
        is_any
    }

    /// The same for columns; those that have been tried are left out. False where no column is named.
    fn has_renamed_columns(&mut self, findings: &[Finding]) -> bool {
        let mut is_any = false;
        for (table, column) in findings.iter().filter_map(|f| f.table.clone().zip(f.column.clone())) {
            is_any = true;
            let made = self.fresh.tables.iter().find(|t| t.source == table);
            let made =
                made.and_then(|t| t.columns.iter().find(|c| c.source == column)).map(|c| c.target.clone());
            let is_new = self.tried.insert((table.clone(), Some(column.clone())));
            let columns = &mut self.table(&table).columns;
            let known = columns.keys().find(|k| k.eq_ignore_ascii_case(&column)).cloned();
            let entry = columns.entry(known.unwrap_or_else(|| column.clone())).or_default();
            match made.filter(|made| is_new && entry.target.is_none() && *made != column) {
                Some(made) => entry.target = Some(made),
                None => {
                    entry.skip = true;
                    self.missing.push((table, column));
                }
            }
        }
        is_any
    }

    fn table(&mut self, name: &str) -> &mut TableOption {
        let known = self.options.tables.keys().find(|k| k.eq_ignore_ascii_case(name)).cloned();
        self.options.tables.entry(known.unwrap_or_else(|| name.to_owned())).or_default()
    }
}

impl Against {
    /// A source table by its name.
    pub fn table(&self, name: &str) -> Result<&Table> {
        let found = self.opened.catalogue.table_named(name);
        found.ok_or_else(|| unexpected("table that the source does not have"))
    }

    /// Why an index of a source table is not carried over, if it is not.
    pub fn refusal(&self, table: &str, index: &str) -> Option<String> {
        let plan = self.fresh.tables.iter().find(|t| t.source == table)?;
        let is_it = |f: &&Finding| match &f.subject {
            Subject::Index(name) | Subject::Unique(name, _) => {
                name == index && matches!(f.why, Why::Uncarried(_))
            }
            _ => false,
        };
        plan.findings.iter().find(is_it).map(ToString::to_string)
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
