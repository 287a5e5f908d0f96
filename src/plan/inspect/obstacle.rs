//! What would keep a plan from being made, all of it, and what is the plan without it?
//!
//! [`plan`] stops at the first kind of error, as an import must. An inspection shows everything in one call,
//! so each error is noted, its cause taken out of what is planned, and the plan made again.

use std::collections::{BTreeSet, HashSet};

use crate::catalogue::{Catalogue, Table};
use crate::finding::{Code, Finding, MAX_COLUMNS};
use crate::option::{Options, TableOption, entry};
use crate::plan::Plan;
use crate::planner::{PlanError, PlanErrorKind, Request, plan};
use crate::policy::Mode;
use crate::profile::Profiles;
use crate::suggestion::Suggestion;
use crate::target::{Target, TargetRelation};

/// One thing that an import with these options would fail on before it reads a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// What it is, with the code of the interface.
    pub finding: Finding,
    /// What to do about all of its kind, as whole sentences.
    pub hint: Option<String>,
}

impl Obstacle {
    /// What to do, as `aliaport_inspect` shows it.
    #[must_use]
    pub fn suggestion(&self) -> Option<Suggestion> {
        let of_hint = || Some(Suggestion::postgresql().note(self.hint.as_ref()?));
        self.finding.suggestion().or_else(of_hint)
    }
}

/// A plan that leaves the obstacles out.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What would be done without them.
    pub plan: Plan,
    /// What stands in the way of the plan that was asked for.
    pub obstacles: Vec<Obstacle>,
    /// The options under which the plan could be made.
    pub options: Options,
}

/// Plans an import although something stands in its way.
///
/// Rows in a target table are overlooked; a column that the target does not have is left out; a required
/// column is taken to have a default; a table whose target cannot be used gets one of its own; of too many
/// columns those are left out that no key needs; a type that is missing is taken to be there.
///
/// # Errors
/// A [`PlanErrorKind::Option`], which is the caller's mistake and says nothing of the source.
pub fn plan_despite(
    catalogue: &Catalogue,
    profiles: &Profiles,
    target: &Target,
    options: &Options,
    mode: Mode,
) -> Result<Inspected, PlanError> {
    let mut attempt = Attempt { catalogue, target: target.clone(), options: options.clone(), mode };
    let mut obstacles: Vec<Obstacle> = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let request = Request { mode: attempt.mode, options: &attempt.options };
        let error = match plan(catalogue, profiles, &attempt.target, &request) {
            Ok(mut plan) => {
                // What was left out to go on is an obstacle, and no decision of the caller's.
                let is_decided = |f: &Finding| {
                    let is_it = |o: &Obstacle| o.finding.table == f.table && o.finding.column == f.column;
                    f.code() != Code::ColumnVanished || !obstacles.iter().any(is_it)
                };
                plan.tables.iter_mut().for_each(|t| t.findings.retain(is_decided));
                return Ok(Inspected { plan, obstacles, options: attempt.options });
            }
            Err(error) => error,
        };
        let findings = error.findings().to_vec();
        let before = seen.len();
        seen.extend(findings.iter().map(|f| (f.table.clone(), f.column.clone(), f.why.clone())));
        // An error that comes back was not overcome.
        if seen.len() == before || !attempt.give_way(error.kind(), &findings) {
            return Err(error);
        }
        let hint = error.hint();
        obstacles.extend(findings.into_iter().map(|finding| Obstacle { finding, hint: hint.clone() }));
    }
}

/// What is planned, less and less of what was asked for.
struct Attempt<'a> {
    catalogue: &'a Catalogue,
    target: Target,
    options: Options,
    mode: Mode,
}

impl Attempt<'_> {
    /// Takes the cause of an error out of the way; false where nothing can be done.
    fn give_way(&mut self, kind: PlanErrorKind, findings: &[Finding]) -> bool {
        match kind {
            PlanErrorKind::Option => return false,
            PlanErrorKind::TargetNotEmpty | PlanErrorKind::NoKey => self.mode = Mode::Append,
            PlanErrorKind::MissingColumn | PlanErrorKind::VanishedColumn => {
                for finding in findings {
                    if let (Some(table), Some(column)) = (&finding.table, &finding.column) {
                        self.options.leave_out(table, column);
                        self.let_stay(table, column);
                    }
                }
            }
            // One error names every such column, so none is overlooked.
            PlanErrorKind::RequiredColumn => {
                for column in self.target.relations.iter_mut().flat_map(|r| &mut r.columns) {
                    column.has_default = true;
                }
            }
            PlanErrorKind::WrongObject | PlanErrorKind::DuplicateTable | PlanErrorKind::DuplicateColumn => {
                for table in findings.iter().filter_map(|f| f.table.as_deref()) {
                    self.move_away(table);
                }
            }
            // It is looked at as if it were there.
            PlanErrorKind::MissingType => self.target.citext_schema = Some(self.target.schema.clone()),
            PlanErrorKind::TooManyColumns => {
                for table in findings.iter().filter_map(|f| f.table.as_deref()) {
                    self.drop_columns(table);
                }
            }
        }
        true
    }

    /// Takes a column that an earlier run filled to need no values.
    fn let_stay(&mut self, table: &str, column: &str) {
        for filled in self.target.past.filled.iter().filter(|f| f.source.eq_ignore_ascii_case(table)) {
            let attributes = filled.columns.iter().filter(|c| c.source.eq_ignore_ascii_case(column));
            let is_it =
                |r: &&mut TargetRelation| r.schema == filled.target.schema && r.name == filled.target.name;
            let Some(relation) = self.target.relations.iter_mut().find(is_it) else { continue };
            for attribute in attributes {
                let columns = relation.columns.iter_mut().filter(|c| c.name == attribute.target);
                columns.for_each(|c| c.has_default = true);
            }
        }
    }

    /// Gives a table a target that nothing else has, and its columns their own names.
    fn move_away(&mut self, table: &str) {
        let is_taken = |target: &Target, name: &str| {
            target.relations.iter().any(|r| r.name.eq_ignore_ascii_case(name))
                || self.catalogue.table_named(name).is_some()
        };
        let mut number = 2;
        let fresh = loop {
            let name = format!("{table} ({number})");
            if !is_taken(&self.target, &name) {
                break name;
            }
            number += 1;
        };
        let option = entry::<TableOption>(&mut self.options.tables, table);
        option.target = Some((None, fresh));
        for column in option.columns.values_mut() {
            column.target = None;
        }
    }

    /// Leaves out columns, from the last, until the table fits. Columns of keys stay.
    fn drop_columns(&mut self, name: &str) {
        let Some(table) = self.catalogue.table_named(name) else {
            return;
        };
        // Full-text search adds a column.
        self.options.search.retain(|t, _| !t.eq_ignore_ascii_case(name));
        let is_left_out = |options: &Options, i: usize| {
            table.columns.get(i).and_then(|c| options.column(name, &c.name)).is_some_and(|o| o.skip)
        };
        let mut kept = (0..table.columns.len()).filter(|&i| !is_left_out(&self.options, i)).count();
        let needed = columns_of_keys(table);
        for (i, column) in table.columns.iter().enumerate().rev() {
            if kept <= MAX_COLUMNS {
                break;
            }
            if !needed.contains(&i) && !is_left_out(&self.options, i) {
                self.options.leave_out(name, &column.name);
                kept -= 1;
            }
        }
    }
}

fn columns_of_keys(table: &Table) -> BTreeSet<usize> {
    let indexed = table.indexes.iter().flat_map(|i| i.terms.iter().filter_map(|t| t.column));
    let referencing = table.foreign_keys.iter().flat_map(|k| k.columns.iter().copied());
    table.primary_key.iter().copied().chain(indexed).chain(referencing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Column;
    use crate::target::TargetColumn;
    use aliaport_rows::pg_type::PgType;

    fn table(name: &str, columns: &[&str]) -> Table {
        let columns = columns
            .iter()
            .map(|c| Column {
                name: (*c).to_owned(),
                declared_type: "INTEGER".to_owned(),
                ..Column::default()
            })
            .collect();
        Table { name: name.to_owned(), columns, has_rowid: true, ..Table::default() }
    }

    fn relation(name: &str, kind: char, columns: &[(&str, bool)]) -> TargetRelation {
        let column = |&(name, is_not_null): &(&str, bool)| TargetColumn {
            name: name.to_owned(),
            pg_type: PgType::SmallInt,
            domain: None,
            is_not_null,
            has_default: false,
            is_identity_always: false,
            is_generated: false,
            has_sequence: false,
        };
        TargetRelation {
            schema: "app".to_owned(),
            name: name.to_owned(),
            kind,
            is_empty: false,
            columns: columns.iter().map(column).collect(),
            keys: Vec::new(),
        }
    }

    fn codes(inspected: &Inspected) -> Vec<(Code, Option<&str>, Option<&str>)> {
        inspected
            .obstacles
            .iter()
            .map(|o| (o.finding.code(), o.finding.table.as_deref(), o.finding.column.as_deref()))
            .collect()
    }

    #[test]
    fn one_call_shows_every_obstacle_and_plans_with_the_types_of_the_target() {
        let wide: Vec<String> = (0..1700).map(|i| format!("c{i}")).collect();
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        let catalogue = Catalogue {
            tables: vec![
                table("a", &["id", "gone"]),
                table("b", &["id"]),
                table("v", &["id"]),
                table("wide", &wide),
                table("B2", &["x"]),
            ],
            ..Catalogue::default()
        };
        let target = Target {
            schema: "app".to_owned(),
            server_version: 150_000,
            citext_schema: None,
            relations: vec![
                relation("a", 'r', &[("id", false)]),
                relation("b", 'r', &[("id", false), ("needed", true)]),
                relation("v", 'v', &[("id", false)]),
            ],
            ..Target::default()
        };
        let options = serde_json::json!({"tables": {"b2": {"target": "b"}}});
        let options = Options::parse(&options).unwrap();
        let inspected = plan_despite(&catalogue, &Profiles::new(), &target, &options, Mode::Create).unwrap();
        let mut found = codes(&inspected);
        found.sort_by_key(|(code, table, column)| (code.as_str(), *table, *column));
        assert_eq!(
            found,
            [
                (Code::CaseCollision, Some("B2"), None),
                (Code::TargetMissingColumn, Some("a"), Some("gone")),
                (Code::TargetNotEmpty, Some("a"), None),
                (Code::TargetNotEmpty, Some("b"), None),
                (Code::TargetNotEmpty, Some("v"), None),
                (Code::TargetRequiredColumn, Some("b"), Some("needed")),
                (Code::TooManyColumns, Some("wide"), None),
            ]
        );
        let planned = |name: &str| inspected.plan.tables.iter().find(|t| t.source == name).unwrap();
        assert_eq!(inspected.plan.tables.len(), 5);
        assert_eq!(planned("a").columns.len(), 1);
        assert_eq!(planned("a").columns[0].pg_type, PgType::SmallInt);
        assert_eq!(planned("wide").columns.len(), 1600);
        assert!(planned("v").is_created);
    }

    #[test]
    fn a_mistake_in_the_options_stays_an_error() {
        let options = Options::parse(&serde_json::json!({"tables": {"nowhere": {}}})).unwrap();
        let error =
            plan_despite(&Catalogue::default(), &Profiles::new(), &Target::default(), &options, Mode::Create)
                .unwrap_err();
        assert_eq!(error.kind(), PlanErrorKind::Option);
    }
}
