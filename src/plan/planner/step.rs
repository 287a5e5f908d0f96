//! In which order does everything happen? Steps run by kind over the whole plan: tables exist before any row,
//! rows before keys, keys before what refers to them.

use std::collections::HashMap;

use crate::ddl;
use crate::order::LoadOrder;
use crate::plan::{Action, SequencePlan, Step};
use crate::target::EmptyBy;
use aliaport_rows::identifier::quote;

use super::draft::{Draft, Role};
use super::foreign::Foreign;
use super::keys::KeyDraft;
use super::{Mode, table};

/// What the steps are made of.
pub(super) struct Parts<'p, 'a> {
    pub drafts: &'p [Draft<'a>],
    /// By number of the drafts.
    pub order: &'p LoadOrder,
    /// CREATE TABLE of each draft that is created.
    pub creates: &'p [String],
    pub keys: &'p [KeyDraft],
    pub foreign: &'p Foreign,
}

impl Parts<'_, '_> {
    /// Writes the steps. A step's table is its draft's place in the load order.
    pub fn steps(&self, skipped: &[(String, String)], mode: Mode, empty_by: EmptyBy) -> Vec<Step> {
        let mut steps: Vec<Step> = skipped
            .iter()
            .map(|(name, reason)| step(Action::Skip, quote(name), String::new(), reason.clone(), None))
            .collect();
        let ordered: Vec<Ordered<'_>> = self
            .order
            .order
            .iter()
            .enumerate()
            .filter_map(|(place, &i)| Some((place, i, self.drafts.get(i)?)))
            .collect();
        for &(place, i, draft) in ordered.iter().filter(|(_, _, d)| d.is_created()) {
            let sql = self.creates.get(i).cloned().unwrap_or_default();
            let note = draft.note.clone();
            steps.push(step(Action::CreateTable, draft.target.to_string(), sql, note, Some(place)));
        }
        if mode == Mode::Replace {
            steps.extend(emptying(&ordered, empty_by));
        }
        steps.extend(self.loads(&ordered));
        let mut place_of = vec![0; self.drafts.len()];
        for &(place, i, _) in &ordered {
            place_of[i] = place;
        }
        steps.extend(self.constraints(&place_of));
        for &(place, _, draft) in &ordered {
            for sequence in sequences(draft) {
                let note = match sequence.high_water {
                    Some(seq) => format!("after the largest key, and after {seq} (AUTOINCREMENT)"),
                    None => "after the largest key".to_owned(),
                };
                let object = format!("{}.{}", draft.target, quote(&sequence.column));
                steps.push(step(Action::SetSequence, object, String::new(), note, Some(place)));
            }
        }
        for &(place, _, draft) in &ordered {
            let sql = ddl::analyze(&draft.target);
            steps.push(step(Action::Analyze, draft.target.to_string(), sql, String::new(), Some(place)));
        }
        steps
    }

    fn loads(&self, ordered: &[Ordered<'_>]) -> Vec<Step> {
        let mut in_cycle: HashMap<usize, &[usize]> = HashMap::new();
        for cycle in &self.order.cycles {
            in_cycle.extend(cycle.iter().map(|&i| (i, cycle.as_slice())));
        }
        let name = |&i: &usize| self.drafts.get(i).map(|d| d.table.name.as_str());
        let load = |&(place, i, draft): &Ordered<'_>| {
            let note = in_cycle.get(&i).map_or(String::new(), |cycle| {
                let names: Vec<&str> = cycle.iter().filter_map(name).take(10).collect();
                format!("foreign keys form a cycle: {}", names.join(", "))
            });
            step(Action::Load, draft.target.to_string(), String::new(), note, Some(place))
        };
        ordered.iter().map(load).collect()
    }

    /// Keys and indexes, then foreign keys, by the place of their tables.
    fn constraints(&self, place_of: &[usize]) -> Vec<Step> {
        let mut sorted: Vec<&KeyDraft> = self.keys.iter().collect();
        // A stable sort: within a table the primary key, unique constraints and indexes stay in catalogue
        // order.
        sorted.sort_by_key(|k| place_of[k.draft]);
        let of_key = |k: &&KeyDraft| {
            let target = &self.drafts.get(k.draft)?.target;
            Some(Step { table: Some(place_of[k.draft]), ..k.step(target) })
        };
        let mut steps: Vec<Step> = sorted.iter().filter_map(of_key).collect();
        steps.sort_by_key(|s| (s.table, s.action));
        let mut made: Vec<_> = self.foreign.keys.iter().filter(|k| k.plan.is_created).collect();
        made.sort_by_key(|k| place_of[k.child]);
        steps.extend(made.into_iter().filter_map(|key| {
            let sql = key.add(&self.drafts.get(key.child)?.target, &key.plan.name);
            let (object, note) = (quote(&key.plan.name), key.plan.label.clone());
            Some(step(Action::AddForeignKey, object, sql, note, Some(place_of[key.child])))
        }));
        steps
    }
}

/// A draft with its place in the load order, and its number.
type Ordered<'d> = (usize, usize, &'d Draft<'d>);

fn step(action: Action, object: String, sql: String, note: String, table: Option<usize>) -> Step {
    Step { action, object, sql, note, table, unique: None, terms: Vec::new() }
}

/// How mode replace empties the tables that are there.
fn emptying(ordered: &[Ordered<'_>], empty_by: EmptyBy) -> Vec<Step> {
    let existing = || ordered.iter().filter(|(_, _, draft)| !draft.is_created());
    let targets: Vec<_> = existing().map(|(_, _, draft)| &draft.target).collect();
    match empty_by {
        EmptyBy::Truncate if targets.is_empty() => Vec::new(),
        EmptyBy::Truncate => {
            let note = "together, because they may refer to each other".to_owned();
            vec![step(Action::Truncate, ddl::list(&targets), ddl::truncate(&targets), note, None)]
        }
        EmptyBy::Delete => existing()
            .rev()
            .map(|&(place, _, draft)| {
                let note = "other sessions read the old rows until COMMIT".to_owned();
                let sql = ddl::delete_all(&draft.target);
                step(Action::Truncate, draft.target.to_string(), sql, note, Some(place))
            })
            .collect(),
    }
}

/// The sequences to set: the identity that the import makes, or those behind columns that are written to.
pub(super) fn sequences(draft: &Draft<'_>) -> Vec<SequencePlan> {
    let plan = |position: usize| {
        let high_water = draft.table.sequence.filter(|_| draft.table.rowid_alias == Some(position));
        Some(SequencePlan { column: draft.attribute(position)?.target.clone(), high_water })
    };
    let Some(relation) = draft.relation else {
        return table::identity_column(draft).and_then(plan).into_iter().collect();
    };
    let is_fed = |name: &str| draft.columns.iter().position(|c| c.role == Role::Written && c.target == name);
    let mut fed: Vec<usize> =
        relation.columns.iter().filter(|c| c.has_sequence).filter_map(|c| is_fed(&c.name)).collect();
    // The key first: its next value is the one that is shown.
    fed.sort_by_key(|i| !draft.table.primary_key.contains(i));
    fed.into_iter().filter_map(plan).collect()
}
