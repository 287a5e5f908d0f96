//! Do the foreign keys of the tables that are there say what the source says of them now?

use std::collections::{BTreeSet, HashMap};

use crate::ddl;
use crate::finding::{Drift, Wanted};
use crate::name::{Names, join_columns, spell};
use crate::option::Options;
use crate::plan::{Elsewhere, Refers};
use crate::target::{Structure, Target, TargetForeignKey};
use aliaport_rows::identifier::{QualifiedName, comment, quote};

use super::draft::Draft;
use super::foreign::{Foreign, ForeignDraft};
use super::missing::Found;

/// A table's columns that have a key.
type Unique = (QualifiedName, BTreeSet<String>);

/// Referencing and referenced attributes, whatever their order.
fn pairs<'k>(children: &'k [String], parents: &'k [String]) -> BTreeSet<(&'k str, &'k str)> {
    children.iter().map(String::as_str).zip(parents.iter().map(String::as_str)).collect()
}

fn is_to_same(there: &TargetForeignKey, key: &ForeignDraft) -> bool {
    let those: BTreeSet<(&str, &str)> = there.pairs.iter().map(|(c, p)| (c.as_str(), p.as_str())).collect();
    there.parent == key.plan.parent && those == pairs(&key.plan.columns, &key.plan.parent_columns)
}

fn is_of_same(there: &TargetForeignKey, key: &ForeignDraft) -> bool {
    let those: BTreeSet<&str> = there.pairs.iter().map(|(c, _)| c.as_str()).collect();
    those == key.plan.columns.iter().map(String::as_str).collect()
}

/// What distinguishes two foreign keys between the same columns: how it is in the source, and how in the
/// target.
fn differences(there: &TargetForeignKey, key: &ForeignDraft) -> Option<(String, String)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let when = |deferrable: &str| match deferrable.trim() {
        "" => "NOT DEFERRABLE".to_owned(),
        deferrable => deferrable.to_owned(),
    };
    for (event, wanted, is) in
        [("DELETE", &key.on_delete, &there.on_delete), ("UPDATE", &key.on_update, &there.on_update)]
    {
        if wanted != is {
            ours.push(format!("ON {event} {wanted}"));
            theirs.push(format!("ON {event} {is}"));
        }
    }
    if key.deferrable != there.deferrable {
        ours.push(when(key.deferrable));
        theirs.push(when(&there.deferrable));
    }
    if there.is_match_full && there.pairs.len() > 1 {
        ours.push("MATCH SIMPLE".to_owned());
        theirs.push("MATCH FULL".to_owned());
    }
    (!ours.is_empty()).then(|| (ours.join(" "), theirs.join(" ")))
}

/// The option that asks for another ON DELETE than the constraint has that is there: its key, and the
/// statement that changes it.
pub(super) fn other_action(
    foreign: &Foreign,
    drafts: &[Draft<'_>],
    target: &Target,
    options: &Options,
) -> Option<(String, String, String)> {
    foreign.keys.iter().filter(|k| !k.plan.is_created).find_map(|key| {
        options.foreign_key(&key.plan.label)?.on_delete?;
        let draft = drafts.get(key.child)?;
        let (_, structure) = target.past.structures.iter().find(|(name, _)| *name == draft.target)?;
        let same: Vec<_> = structure.foreign_keys.iter().filter(|k| is_to_same(k, key)).collect();
        let there = same.first().filter(|_| same.iter().all(|k| k.on_delete != key.on_delete))?;
        let statement = ddl::instead_of(&draft.target, &there.name, &key.add(&draft.target, &there.name));
        Some((key.plan.label.clone(), there.on_delete.clone(), statement))
    })
}

/// Foreign keys that a table lacks or has otherwise. Those that the target has and the source does not know
/// go to `elsewhere`.
pub(super) fn compare(
    drafts: &[Draft<'_>],
    foreign: &Foreign,
    options: &Options,
    target: &Target,
    structures: &HashMap<&QualifiedName, &Structure>,
    unique: &[Unique],
    elsewhere: &mut Vec<Elsewhere>,
) -> Vec<Found> {
    let mut out = Vec::new();
    for (child, draft) in drafts.iter().enumerate().filter(|(_, d)| !d.is_created()) {
        let Some(structure) = structures.get(&draft.target) else { continue };
        let keys: Vec<&ForeignDraft> = foreign.keys.iter().filter(|k| k.child == child).collect();
        let unknown: Vec<&TargetForeignKey> =
            structure.foreign_keys.iter().filter(|t| !keys.iter().any(|k| is_to_same(t, k))).collect();
        for key in &keys {
            let of_key = OfKey { draft, key, structure, unknown: &unknown, drafts, unique };
            if options.foreign_key_constraints {
                out.extend(of_key.found(options));
            }
        }
        for there in unknown {
            let moved = keys.iter().find(|k| is_of_same(there, k));
            let drop = ddl::drop_constraint(&draft.target, &there.name);
            let remedy = match moved {
                None => format!(
                    "The source has no such foreign key any more: to go by the source, run {drop}; and import again."
                ),
                Some(key) => {
                    let parent = drafts.iter().find(|d| d.target == key.plan.parent);
                    let rename = parent.filter(|d| d.is_created() && d.target.schema == there.parent.schema);
                    let rename = rename.filter(|_| is_gone(&there.parent, drafts, target)).map(|d| {
                        format!(
                            " If {} was renamed in SQLite, run ALTER TABLE {} RENAME TO {}; instead.",
                            quote(&there.parent.name),
                            there.parent,
                            quote(&d.target.name)
                        )
                    });
                    format!(
                        "In the source {} refers to \"{}\": run {drop}; and import again, which then says how to add the key that the source has.{}",
                        key.plan.label,
                        key.plan.parent_source,
                        rename.unwrap_or_default()
                    )
                }
            };
            elsewhere.push(Elsewhere {
                table: draft.target.clone(),
                constraint: there.name.clone(),
                parent: there.parent.clone(),
                remedy,
            });
        }
    }
    out
}

/// Whether nothing of the source goes to a table any more.
fn is_gone(table: &QualifiedName, drafts: &[Draft<'_>], target: &Target) -> bool {
    target.past.filled.iter().any(|f| f.target == *table) && !drafts.iter().any(|d| d.target == *table)
}

struct OfKey<'d, 'a> {
    draft: &'d Draft<'a>,
    key: &'d ForeignDraft,
    structure: &'d Structure,
    /// Foreign keys of the target that the source does not declare.
    unknown: &'d [&'d TargetForeignKey],
    drafts: &'d [Draft<'a>],
    unique: &'d [Unique],
}

impl OfKey<'_, '_> {
    fn found(&self, options: &Options) -> Option<Found> {
        let OfKey { draft, key, structure, .. } = self;
        let there: Vec<&TargetForeignKey> =
            structure.foreign_keys.iter().filter(|t| is_to_same(t, key)).collect();
        if there.iter().any(|t| differences(t, key).is_none()) {
            return None;
        }
        let (label, target) = (key.plan.label.clone(), draft.target.clone());
        let is_new = self.drafts.iter().any(|d| d.is_created() && d.target == key.plan.parent);
        if let Some((old, (ours, theirs))) = there.first().and_then(|t| Some((t, differences(t, key)?))) {
            let why = Drift::OtherForeignKey { label, ours, constraint: old.name.clone(), target, theirs };
            let statement = ddl::instead_of(&draft.target, &old.name, &key.add(&draft.target, &old.name));
            return Some(self.finding(why, statement, None));
        }
        let referenced: BTreeSet<String> = key.plan.parent_columns.iter().cloned().collect();
        if !self.unique.iter().any(|(t, columns)| *t == key.plan.parent && *columns == referenced) {
            return None;
        }
        if let Some(old) = self.unknown.iter().find(|t| is_of_same(t, key)) {
            let why = Drift::OtherParent {
                label,
                parent_source: key.plan.parent_source.clone(),
                constraint: old.name.clone(),
                target,
                parent: old.parent.clone(),
            };
            let add = key.add(&draft.target, &old.name);
            let statement = ddl::instead_of(&draft.target, &old.name, &add);
            let drop = ddl::drop_constraint(&draft.target, &old.name);
            let before = format!("{drop};\n{}", comment(&format!("after the import: {add}")));
            return Some(self.finding(why, statement, is_new.then_some(before)));
        }
        let mut names = Names::new();
        for name in &structure.constraint_names {
            names.occupy(name);
        }
        let name = match &key.declared_name {
            Some(name) => names.assign(&spell(name, options.identifiers)).0,
            None => {
                let joined = join_columns(key.plan.columns.iter().map(String::as_str));
                names.make(&draft.target.name, &joined, "fkey")
            }
        };
        let why = Drift::Missing(Wanted::ForeignKey(label), target);
        let statement = key.add(&draft.target, &name);
        let before = is_new.then(|| comment(&format!("after the import: {statement}")));
        Some(self.finding(why, statement, before))
    }

    fn finding(&self, why: Drift, statement: String, before: Option<String>) -> Found {
        Found {
            draft: self.key.child,
            finding: self.draft.finding(why).with_statement(statement),
            perhaps: Vec::new(),
            refers: Some(Refers { key: self.key.plan.clone(), before }),
        }
    }
}
