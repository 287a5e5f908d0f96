//! Can an existing table take the rows, and in which of its columns?

use std::collections::HashMap;

use crate::catalogue::{Column, Generated, Table};
use crate::finding::{Blocker, Existing, Finding, NextKey, PlanErrorKind};
use crate::name::spell;
use crate::option::Options;
use crate::suggestion::Suggestion;
use crate::target::{FilledTable, Past, TargetColumn, TargetRelation};
use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::pg_type::PgType;

use super::draft::{Draft, Drafting, Role};
use super::drift;
use super::error::PlanError;
use super::home::{self, Home, Wish};

/// Which of the columns that are there each column of a table goes to.
///
/// # Errors
/// Where two go to one.
pub(super) fn columns<'a>(
    table: &Table,
    relation: &'a TargetRelation,
    past: &'a Past,
    options: &Options,
) -> Result<Vec<Option<&'a TargetColumn>>, PlanError> {
    let mut names = home::Names::default();
    for column in &relation.columns {
        names.add(&column.name, true);
    }
    // Names that an earlier run had to make, because the wanted ones were too long or taken.
    let is_it = |f: &&FilledTable| f.target.schema == relation.schema && f.target.name == relation.name;
    for column in past.filled.iter().filter(is_it).flat_map(|f| &f.columns) {
        names.filled(&column.source, &column.target, 0);
    }
    let is_fed = |column: &&Column| options.column(&table.name, &column.name).is_none_or(|o| !o.skip);
    let wishes: Vec<Wish<'_>> = table
        .columns
        .iter()
        .filter(is_fed)
        .map(|column| Wish {
            source: &column.name,
            spelled: spell(&column.name, options.identifiers),
            asked: options.column(&table.name, &column.name).and_then(|o| o.target.as_deref()),
        })
        .collect();
    let homes = names.share(&wishes);
    let by_name: HashMap<&str, &'a TargetColumn> =
        relation.columns.iter().map(|c| (c.name.as_str(), c)).collect();
    let mut found: HashMap<&str, &'a TargetColumn> = HashMap::new();
    for (wish, home) in wishes.iter().zip(&homes) {
        let name = match *home {
            Home::There(name) => Some(name),
            // A column that has come since, added as the hint of an error says it.
            Home::New if wish.asked.is_none() => names.made(wish, &homes),
            Home::New => None,
            Home::Shared(name, other) => {
                let target = QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() };
                let other = wishes.get(other).map_or("", |w| w.source);
                return Err(PlanError::new(
                    &table.name,
                    Blocker::SharedColumn(
                        [other.to_owned(), wish.source.to_owned()],
                        name.to_owned(),
                        target,
                    ),
                    "Name another target in options.tables, or skip one of them.",
                ));
            }
        };
        if let Some(column) = name.and_then(|n| by_name.get(n)) {
            found.insert(wish.source, column);
        }
    }
    Ok(table.columns.iter().map(|c| found.get(c.name.as_str()).copied()).collect())
}

impl<'a> Drafting<'a> {
    /// Finds the columns in a table that is there. What is missing is reported by
    /// [`Drafting::check_existing`] for all tables together.
    pub(super) fn match_columns(
        &self,
        draft: &mut Draft<'a>,
        relation: &'a TargetRelation,
    ) -> Result<(), PlanError> {
        let table = draft.table;
        let homes = columns(table, relation, &self.target.past, self.options)?;
        let mut findings = Vec::new();
        for (column, found) in draft.columns.iter_mut().zip(homes).filter(|(c, _)| c.role != Role::Skipped) {
            let source = column.column.name.as_str();
            let Some(found) = found else { continue };
            column.target.clone_from(&found.name);
            column.pg_type = found.pg_type.clone();
            column.is_not_null = found.is_not_null;
            let is_rowid =
                table.rowid_alias.is_some_and(|i| table.columns.get(i).is_some_and(|c| c.name == source));
            let is_integer = matches!(found.pg_type, PgType::BigInt | PgType::Integer | PgType::SmallInt);
            if is_rowid && is_integer && !(found.has_default || found.has_sequence || found.is_generated) {
                let why = NextKey::Missing(found.name.clone(), draft.target.clone());
                findings.push(Finding::of(&table.name, why).in_column(source));
            }
            if found.is_generated {
                column.role = Role::Generated(None);
                if column.column.generated == Generated::No {
                    let why = Existing::Generated(found.name.clone(), draft.target.clone());
                    findings.push(Finding::of(&table.name, why).in_column(source));
                }
            }
        }
        draft.findings.extend(findings);
        Ok(())
    }

    /// What existing tables lack, over all of them: an error names everything that has to be decided.
    pub(super) fn check_existing(&self, drafts: &mut [Draft<'a>]) -> Result<(), PlanError> {
        drift::missing_columns(drafts, self.target, self.options)?;
        let or = "give the column a default, or name its source in options.tables.<table>.columns.<column>.target.";
        let mut findings = Vec::new();
        let mut run = Vec::new();
        for draft in drafts.iter() {
            let Some(relation) = draft.relation else { continue };
            // What earlier runs filled and the source has lost is a question of its own.
            let undecided = drift::undecided(draft, self.target, self.options);
            for column in &relation.columns {
                let is_fed = draft.columns.iter().any(|c| c.role != Role::Skipped && c.target == column.name);
                if is_fed || undecided.contains(&column.name) {
                    continue;
                }
                let Some(relax) = drift::relaxed(draft, self.target, &column.name) else { continue };
                let remedy = match &relax {
                    Some(statement) => Suggestion::postgresql().run(statement).note(format!("or {or}")),
                    None => Suggestion::postgresql().note(or),
                };
                run.extend(relax.map(|statement| format!("{statement};")));
                let why = Blocker::RequiredColumn(column.name.clone(), draft.target.clone());
                findings.push(draft.finding(why).in_column(&column.name).helped_by(remedy));
            }
        }
        let hint = match run.as_slice() {
            [] => format!("The column cannot be left without values: {or}"),
            run => format!("{} -- Or {or}", run.join(" ")),
        };
        PlanError::raise(PlanErrorKind::RequiredColumn, findings, &hint)
    }
}
