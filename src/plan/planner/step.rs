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
        let Parts { drafts, order: LoadOrder { order, cycles }, creates, keys, foreign } = *self;
        let mut steps = Vec::new();
        let step = |action, object: String, sql: String, note: String, table| Step {
            action,
            object,
            sql,
            note,
            table,
            unique: None,
            terms: Vec::new(),
        };
        for (name, reason) in skipped {
            steps.push(step(Action::Skip, quote(name), String::new(), reason.clone(), None));
        }
        let ordered: Vec<(usize, usize, &Draft<'_>)> =
            order.iter().enumerate().filter_map(|(place, &i)| Some((place, i, drafts.get(i)?))).collect();
        for &(place, i, draft) in ordered.iter().filter(|(_, _, d)| d.is_created()) {
            let sql = creates.get(i).cloned().unwrap_or_default();
            let note = draft.note.clone();
            steps.push(step(Action::CreateTable, draft.target.to_string(), sql, note, Some(place)));
        }
        let existing: Vec<_> =
            ordered.iter().filter(|(_, _, d)| !d.is_created()).map(|(_, _, d)| &d.target).collect();
        if mode == Mode::Replace && empty_by == EmptyBy::Truncate && !existing.is_empty() {
            let note = "together, because they may refer to each other".to_owned();
            steps.push(step(Action::Truncate, ddl::list(&existing), ddl::truncate(&existing), note, None));
        }
        if mode == Mode::Replace && empty_by == EmptyBy::Delete {
            for &(place, _, draft) in ordered.iter().rev().filter(|(_, _, d)| !d.is_created()) {
                let note = "other sessions read the old rows until COMMIT".to_owned();
                let sql = ddl::delete_all(&draft.target);
                steps.push(step(Action::Truncate, draft.target.to_string(), sql, note, Some(place)));
            }
        }
        let mut in_cycle: HashMap<usize, &[usize]> = HashMap::new();
        for cycle in cycles {
            in_cycle.extend(cycle.iter().map(|&i| (i, cycle.as_slice())));
        }
        for &(place, i, draft) in &ordered {
            let note = match in_cycle.get(&i) {
                Some(cycle) => {
                    let names: Vec<&str> = cycle
                        .iter()
                        .filter_map(|&c| drafts.get(c))
                        .map(|d| d.table.name.as_str())
                        .take(10)
                        .collect();
                    format!("foreign keys form a cycle: {}", names.join(", "))
                }
                None => String::new(),
            };
            steps.push(step(Action::Load, draft.target.to_string(), String::new(), note, Some(place)));
        }
        let mut place_of = vec![0; drafts.len()];
        for &(place, i, _) in &ordered {
            place_of[i] = place;
        }
        let mut sorted: Vec<&KeyDraft> = keys.iter().collect();
        // A stable sort: within a table the primary key, unique constraints and indexes stay in catalogue
        // order.
        sorted.sort_by_key(|k| place_of[k.draft]);
        let mut key_steps: Vec<Step> = sorted
            .iter()
            .filter_map(|k| {
                Some(Step { table: Some(place_of[k.draft]), ..k.step(&drafts.get(k.draft)?.target) })
            })
            .collect();
        key_steps.sort_by_key(|s| (s.table, s.action));
        steps.append(&mut key_steps);
        let mut made: Vec<_> = foreign.keys.iter().filter(|k| k.plan.is_created).collect();
        made.sort_by_key(|k| place_of[k.child]);
        for key in made {
            let Some(draft) = drafts.get(key.child) else { continue };
            let sql = key.add(&draft.target, &key.plan.name);
            let place = Some(place_of[key.child]);
            steps.push(step(
                Action::AddForeignKey,
                quote(&key.plan.name),
                sql,
                key.plan.label.clone(),
                place,
            ));
        }
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
