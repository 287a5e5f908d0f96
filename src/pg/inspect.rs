//! The inspection before an import: what is wrong with the source, and with the server for it.
//!
//! One call shows everything: what would stop the plan does not stop the inspection
//! (`aliaport_plan::inspect`). The parts: `integrity` is SQLite's own check of the file and of its CHECKs,
//! `content` the one pass over each table with the import's converters, `demands` what a table that is there
//! asks of each row, `keys` looks for repeated keys and
//! orphans, `references` for parents in the target, `sequences` for sequences without a key left, `server` at
//! this database.
//!
//! Only what concerns the file as a whole (missing, locked, damaged beyond reading) and the arguments is
//! raised as an error, as in the import.

mod content;
mod demands;
mod input;
mod integrity;
mod keys;
mod references;
mod sample;
mod sequences;
mod server;

pub use server::wrong_encoding;

use aliaport_plan::catalogue::{Catalogue, Table};
use aliaport_plan::finding::{Content, Finding};
use aliaport_plan::inspect;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::planner;
use aliaport_plan::policy::Mode;
use aliaport_plan::profile::Profiles;
use aliaport_plan::suggestion::Suggestion;
use aliaport_plan::target::Target;
use aliaport_rows::convert::{Converter, Zone};
use aliaport_rows::identifier::quote_literal;
use aliaport_sqlite::Uncomputable;

use crate::pg::planning;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::table::missing;

/// One row of `aliaport_inspect`.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What is found.
    pub finding: Finding,
    /// Up to five keys or rowids with the offending value.
    pub sample: Option<serde_json::Value>,
    /// What to do; SQL where there is some.
    pub suggestion: Option<Suggestion>,
}

impl Observation {
    fn new(finding: Finding, suggestion: Option<Suggestion>) -> Self {
        Observation { finding, sample: None, suggestion }
    }
}

/// Looks at the file at `path` as if it were to be imported into `schema` in this mode. Writes nothing.
///
/// Errors come first, then warnings, then what is only worth knowing; within each, the tables in the order in
/// which they would be loaded.
pub fn inspect(
    path: &str,
    schema: &str,
    mode: Mode,
    options: &serde_json::Value,
) -> Result<Vec<Observation>> {
    let mut opened = planning::open(path, options)?;
    planner::check_options(mode, &opened.options)?;
    let mut out = integrity::observe(&opened.source)?;
    out.extend(leave_uncomputable_out(&mut opened)?);
    let mut profiles = Profiles::new();
    for table in &opened.catalogue.tables {
        if planner::needs_profile(table, &opened.options) {
            profiles.insert(table.name.clone(), opened.source.profile(table)?);
        }
    }
    let target = planning::target(path, &opened.catalogue, &opened.options, schema, mode)?;
    let mut inspected = inspect::plan_despite(&opened.catalogue, &profiles, &target, &opened.options, mode)?;
    planning::check_filters(&opened.source, &opened.catalogue, &inspected.plan)?;
    missing::settle(&mut inspected.plan)?;
    missing::as_before(&mut inspected.plan)?;
    let obstacles = inspected.obstacles.iter();
    out.extend(obstacles.map(|o| Observation::new(o.finding.clone(), o.suggestion())));
    out.extend(inspected.plan.findings.iter().map(|f| finding(f, &opened.catalogue)));
    let mut seen = Vec::with_capacity(inspected.plan.tables.len());
    for plan in &inspected.plan.tables {
        out.extend(plan.findings.iter().map(|f| finding(f, &opened.catalogue)));
        let subject = InspectedTable::new(&opened, &target, &inspected, plan, mode)?;
        let content = content::scan(&subject)?;
        out.extend(content.observations(&subject)?);
        out.extend(integrity::checks(&subject)?);
        out.extend(keys::repeated(&subject, &content)?);
        out.extend(keys::orphans(&subject)?);
        out.extend(references::refused(&subject)?);
        out.extend(sequences::observe(&subject)?);
        seen.push(content);
    }
    out.extend(server::observe(&inspected, &seen)?);
    opened.source.verify_unchanged()?;
    out.sort_by_key(|o| std::cmp::Reverse(o.finding.severity()));
    Ok(out)
}

/// Generated columns that no import can read; the rest of the inspection leaves them out, as the import has
/// to.
fn leave_uncomputable_out(opened: &mut planning::Opened) -> Result<Vec<Observation>> {
    let mut out = Vec::new();
    for Uncomputable { table, column, reason } in opened.source.uncomputable(&opened.catalogue)? {
        let options = &mut opened.options;
        if !options.includes(&table) || options.column(&table, &column).is_some_and(|c| c.skip) {
            continue;
        }
        options.leave_out(&table, &column);
        let why = Content::Uncomputable(reason.trim_end_matches('.').to_owned());
        out.push(Observation::new(
            Finding::of(&table, why).in_column(&column),
            Some(Suggestion::postgresql().note(format!(
                "leave the column out with options => {}, or make it STORED in SQLite",
                quote_literal(&planning::skipping(&table, &column))
            ))),
        ));
    }
    Ok(out)
}

/// One table under inspection.
struct InspectedTable<'a> {
    opened: &'a planning::Opened,
    target: &'a Target,
    inspected: &'a inspect::Inspected,
    table: &'a Table,
    plan: &'a TablePlan,
    /// The plan's columns as indexes into the table's.
    columns: Vec<usize>,
    zone: Zone,
    mode: Mode,
}

impl<'a> InspectedTable<'a> {
    fn new(
        opened: &'a planning::Opened,
        target: &'a Target,
        inspected: &'a inspect::Inspected,
        plan: &'a TablePlan,
        mode: Mode,
    ) -> Result<Self> {
        let table = opened
            .catalogue
            .table_named(&plan.source)
            .ok_or_else(|| unexpected("table that the source does not have"))?;
        let columns =
            plan.source_columns(table).ok_or_else(|| unexpected("column that the source does not have"))?;
        let zone = Zone::parse(&inspected.plan.timezone).map_err(unexpected)?;
        Ok(InspectedTable { opened, target, inspected, table, plan, columns, zone, mode })
    }

    fn place(&self, column: usize) -> Option<inspect::Place<'a>> {
        let declared = self.table.columns.get(*self.columns.get(column)?)?;
        let column = self.plan.columns.get(column)?;
        Some(inspect::Place {
            table: &self.plan.source,
            column: &column.source,
            target: &self.plan.target,
            attribute: column.target.clone(),
            pg_type: &column.pg_type,
            is_created: self.plan.is_created,
            is_not_null: column.is_not_null || declared.is_not_null,
            is_repairable: self.is_repairable(&column.source) && declared.keeps_texts(),
            rowid: inspect::rowid_name(self.table),
        })
    }

    /// An UPDATE of this column in SQLite changes nothing else.
    fn is_repairable(&self, column: &str) -> bool {
        let place = self.table.columns.iter().position(|c| c.name == *column);
        place.is_some_and(|place| inspect::is_repairable(&self.opened.catalogue, self.table, &[place], None))
    }

    fn converter(&self, column: usize) -> Option<Converter> {
        let column = self.plan.columns.get(column)?;
        Some(Converter::new(&column.pg_type, &column.rules(&self.zone)))
    }
}

fn finding(finding: &Finding, catalogue: &Catalogue) -> Observation {
    let suggestion = finding.suggestion().or_else(|| inspect::of_finding(finding, catalogue));
    Observation::new(finding.clone(), suggestion)
}
