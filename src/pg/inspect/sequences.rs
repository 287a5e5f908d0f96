//! Will the sequences of the target have keys left?

use aliaport_plan::finding::{Finding, NextKey};
use aliaport_plan::sequence::{Bounds, position};
use aliaport_rows::identifier::quote;

use aliaport_plan::suggestion::Suggestion;

use super::{InspectedTable, Observation};
use crate::pg::server::error::Result;
use crate::pg::table::sequence::{self, Behind, Sequence};

/// Sequences that have no value past the keys of the source.
pub fn observe(subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
    let mut out = Vec::new();
    let plan = subject.plan;
    for of in &plan.sequences {
        let used = sequence::used_in_source(&subject.opened.source, subject.table, plan, of)?;
        let column = plan.columns.iter().find(|c| c.target == of.column).map(|c| c.source.clone());
        let warn = |why, suggestion| {
            let finding = Finding::of(&plan.source, why);
            Observation::new(Finding { column: column.clone(), ..finding }, suggestion)
        };
        let (attribute, target) = (of.column.clone(), plan.target.clone());
        if plan.is_created {
            // An identity column's sequence is as its column.
            let holds = sequence::holds(plan, &of.column);
            let (least, most) = (1, holds.1);
            let bounds = Bounds { start: 1, least, most, increment: 1, cycles: false, holds };
            let place = position(&bounds, &used);
            if let Some(end) = place.end {
                let name = format!("of column {}", quote(&of.column));
                out.push(warn(NextKey::Ends(attribute, name, place.next, end), None));
            }
            continue;
        }
        match sequence::behind(&plan.target.to_string(), &of.column)? {
            Behind::Nothing => {}
            Behind::Default(default) => {
                let why = NextKey::NotMoved { column: attribute, target, default, is_foretold: true };
                out.push(warn(why, None));
            }
            Behind::Function(default) => {
                out.push(warn(NextKey::Unknown(attribute, target, default), None));
            }
            Behind::Sequence(oid) => {
                let Some(sequence) = Sequence::read(oid, plan, &of.column)? else { continue };
                let place = sequence.place(used, sequence.columns <= 1, false);
                if let Some(end) = place.end {
                    let remedy = sequence.remedy(plan, &of.column, &used, end);
                    let remedy = remedy.map(|statement| Suggestion::postgresql().run(statement));
                    out.push(warn(NextKey::Ends(attribute, sequence.name, place.next, end), remedy));
                }
            }
        }
    }
    Ok(out)
}
