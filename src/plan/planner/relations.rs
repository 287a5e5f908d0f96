//! Where do the tables of a source go in the target?

use std::collections::HashMap;

use aliaport_rows::identifier::QualifiedName;

use super::error::PlanError;
use super::home::{self, Home, Wish};
use crate::catalogue::{Catalogue, Table};
use crate::finding::Blocker;
use crate::name::spell;
use crate::option::Options;
use crate::target::{Target, TargetRelation};

/// The table that is there for a table of the source, if one is.
pub(super) type Found<'a> = Result<Option<&'a TargetRelation>, PlanError>;

/// Where the tables of a source go in the target, those that are left out of the import included.
pub(super) struct Relations<'a> {
    homes: HashMap<&'a str, Found<'a>>,
}

impl<'a> Relations<'a> {
    pub fn in_target(catalogue: &'a Catalogue, target: &'a Target, options: &Options) -> Self {
        let exact: HashMap<(&str, &str), &'a TargetRelation> =
            target.relations.iter().map(|r| ((r.schema.as_str(), r.name.as_str()), r)).collect();
        let mut names = home::Names::default();
        for relation in target.relations.iter().filter(|r| r.schema == target.schema) {
            // Only what can be a target may be meant by a name in another case.
            names.add(&relation.name, is_table(relation));
        }
        for filled in target.past.filled.iter().filter(|f| f.target.schema == target.schema) {
            names.filled(&filled.source, &filled.target.name, filled.run_id);
        }
        // Of two that have the same right to a name the one that takes part has it.
        let mut tables: Vec<&'a Table> = catalogue.tables.iter().collect();
        tables.sort_by_key(|t| !options.includes(&t.name));
        let asked = |table: &Table| options.table(&table.name).and_then(|t| t.target.as_ref());
        let is_elsewhere =
            |table: &Table| asked(table).and_then(|(s, _)| s.as_ref()).is_some_and(|s| *s != target.schema);
        let (elsewhere, here): (Vec<_>, Vec<_>) = tables.into_iter().partition(|t| is_elsewhere(t));
        let wishes: Vec<Wish<'_>> = here
            .iter()
            .map(|table| Wish {
                source: &table.name,
                spelled: spell(&table.name, options.identifiers),
                asked: asked(table).map(|(_, name)| name.as_str()),
            })
            .collect();
        let relation = |name: &str| exact.get(&(target.schema.as_str(), name)).copied();
        let found = here.iter().zip(names.share(&wishes)).map(|(&table, home)| {
            let relation = match home {
                Home::There(name) => Ok(relation(name)),
                Home::New => Ok(None),
                Home::Shared(name, other) => {
                    let other = here.get(other).copied().unwrap_or(table);
                    let name = QualifiedName { schema: target.schema.clone(), name: name.to_owned() };
                    // The one that the options send there is the one that can go elsewhere.
                    let is_sent = asked(other).is_some() && asked(table).is_none();
                    let (one, sent) = if is_sent { (table, other) } else { (other, table) };
                    Err(both_go_to(&one.name, &sent.name, &name))
                }
            };
            (table.name.as_str(), relation)
        });
        let mut homes: HashMap<_, _> = found.collect();
        for table in elsewhere {
            let relation = asked(table).and_then(|(schema, name)| {
                exact.get(&(schema.as_deref().unwrap_or(&target.schema), name.as_str())).copied()
            });
            homes.insert(table.name.as_str(), Ok(relation));
        }
        Relations { homes }
    }

    /// Where a table's rows go, if that exists.
    pub fn of_table(&self, table: &Table) -> Found<'a> {
        self.homes.get(table.name.as_str()).cloned().unwrap_or(Ok(None))
    }
}

pub(super) fn both_go_to(one: &str, other: &str, target: &QualifiedName) -> PlanError {
    PlanError::new(
        other,
        Blocker::SharedTable(one.to_owned(), target.clone()),
        "Name another target in options.tables, or exclude one of them.",
    )
}

pub(super) fn is_table(relation: &TargetRelation) -> bool {
    matches!(relation.kind, 'r' | 'p')
}
