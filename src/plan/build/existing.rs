//! Can an existing table take the rows, and in which of its columns?

use std::collections::HashMap;

use crate::catalogue::Generated;
use crate::finding::Finding;
use crate::name::{MAX_BYTES, clip, is_made_of, quote, spell};
use crate::pg_type::PgType;
use crate::target::{TargetColumn, TargetRelation};

use super::draft::{Draft, Drafting, Role};
use super::drift;
use super::error::{PlanError, PlanErrorKind};
use super::request::same;

impl<'a> Drafting<'a> {
    /// Finds the columns in a table that is there. What is missing is reported by [`Drafting::check_existing`] for all
    /// tables together.
    pub(super) fn match_columns(
        &self,
        draft: &mut Draft<'a>,
        relation: &'a TargetRelation,
    ) -> Result<(), PlanError> {
        let table = draft.table;
        let mut by_name: HashMap<&str, &TargetColumn> = HashMap::new();
        let mut folded: HashMap<String, Vec<&TargetColumn>> = HashMap::new();
        for column in &relation.columns {
            by_name.insert(&column.name, column);
            folded.entry(column.name.to_lowercase()).or_default().push(column);
        }
        // Names that an earlier run had to make, because the wanted ones were too long or taken.
        let past = self.target.past.filled.iter();
        let past: Vec<_> = past
            .filter(|f| f.target == draft.target && same(&f.source, &table.name))
            .flat_map(|f| &f.columns)
            .collect();
        let mut claimed: HashMap<&str, &str> = HashMap::new();
        let mut findings = Vec::new();
        for column in draft.columns.iter_mut().filter(|c| c.role != Role::Skipped) {
            let source = column.column.name.as_str();
            let found = match self.options.column(&table.name, source).and_then(|o| o.target.as_deref()) {
                Some(name) => by_name.get(name).copied(),
                None => {
                    let spelled = spell(source, self.options.identifiers);
                    let cut = clip(&spelled, MAX_BYTES);
                    let made =
                        past.iter().find(|c| same(&c.source, source) && is_made_of(&c.target, &spelled));
                    let names = [Some(source), made.map(|c| c.target.as_str()), Some(&spelled), Some(cut)];
                    let exact = names.into_iter().flatten().find_map(|n| by_name.get(n).copied());
                    exact.or_else(|| {
                        [source, &spelled].iter().find_map(|n| {
                            match folded.get(&n.to_lowercase())?.as_slice() {
                                [column] => Some(*column),
                                _ => None,
                            }
                        })
                    })
                }
            };
            let Some(found) = found else { continue };
            if let Some(other) = claimed.insert(&found.name, source) {
                return Err(PlanError::new(
                    PlanErrorKind::DuplicateColumn,
                    &table.name,
                    format!(
                        "columns \"{other}\" and \"{source}\" of SQLite table \"{}\" both go to column {} of {}",
                        table.name,
                        quote(&found.name),
                        draft.target
                    ),
                    "Name another target in options.tables, or skip one of them.",
                ));
            }
            column.target.clone_from(&found.name);
            column.pg_type = found.pg_type.clone();
            column.is_not_null = found.is_not_null;
            let is_rowid =
                table.rowid_alias.is_some_and(|i| table.columns.get(i).is_some_and(|c| c.name == source));
            let is_integer = matches!(found.pg_type, PgType::BigInt | PgType::Integer | PgType::SmallInt);
            if is_rowid && is_integer && !(found.has_default || found.has_sequence || found.is_generated) {
                let message = format!(
                    "key column {} of {} has neither a sequence nor a default, where SQLite gives a new row its next key",
                    quote(&found.name),
                    draft.target
                );
                findings.push(Finding::warning("sequence_missing", &table.name, message).in_column(source));
            }
            if found.is_generated {
                column.role = Role::Generated(None);
                if column.column.generated == Generated::No {
                    let message = format!(
                        "column {} of {} is generated: the values of SQLite column \"{source}\" are not written",
                        quote(&found.name),
                        draft.target
                    );
                    findings.push(Finding::warning("not_carried", &table.name, message).in_column(source));
                }
            }
        }
        draft.findings.extend(findings);
        Ok(())
    }

    /// What existing tables lack, over all of them: an error names everything that has to be decided.
    pub(super) fn check_existing(&self, drafts: &mut [Draft<'a>]) -> Result<(), PlanError> {
        if let Some(error) = drift::missing_columns(drafts, self.target, self.options) {
            return Err(error);
        }
        let mut required = Vec::new();
        for draft in drafts.iter() {
            let Some(relation) = draft.relation else { continue };
            let table = &draft.table.name;
            for column in &relation.columns {
                let is_fed = draft.columns.iter().any(|c| c.role != Role::Skipped && c.target == column.name);
                if column.is_not_null && !column.has_default && !column.is_generated && !is_fed {
                    required.push((
                        table.clone(),
                        Some(column.name.clone()),
                        format!(
                            "column {} of {} is NOT NULL and has neither a default nor a column in SQLite table \"{table}\"",
                            quote(&column.name),
                            draft.target
                        ),
                    ));
                }
            }
        }
        let summary =
            format!("{} NOT NULL columns of the target have neither a source nor a default", required.len());
        let hint = "Give the column a default or drop NOT NULL, or name its source in options.tables.<table>.columns.";
        PlanError::of(PlanErrorKind::RequiredColumn, required, summary, hint).map_or(Ok(()), Err)
    }
}
