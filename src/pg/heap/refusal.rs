//! Which values the input functions of the target's types refuse, found before the load.
//!
//! Under `on_error => 'reject'` and 'null' a bad value must not end the import, and PostgreSQL 14 and 15 have
//! no input functions that return an error instead of raising it. So the columns that only such a function
//! can read are scanned once ahead: a batch of their values is read in a subtransaction, which is undone; a
//! batch that fails is halved until the culprits stand alone.

use aliaport_plan::catalogue::Table;
use aliaport_plan::plan::TablePlan;
use aliaport_rows::convert::{Converter, Scratch, ValueError, Zone};
use aliaport_rows::row::Refusals;
use aliaport_rows::value::Cell;
use aliaport_sqlite::Source;
use pgrx::pg_sys;

use super::input::Input;
use super::relation;
use crate::pg::server::error::{Result, sqlstate};
use crate::pg::server::{interrupt, subxact};

/// Values in a batch at most, and bytes of text after which a batch ends.
const BATCH_VALUES: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;

/// One value that waits for its verdict.
struct Waiting {
    row: u64,
    column: usize,
    text: Vec<u8>,
}

/// The values of `table` that the input functions of the columns of `relation` refuse, of the plan's columns
/// that are `wanted`; none where every type has a converter.
pub fn find_refused(
    source: &Source,
    table: &Table,
    columns: &[usize],
    plan: &TablePlan,
    zone: &Zone,
    relation: pg_sys::Oid,
    wanted: impl Fn(usize) -> bool,
) -> Result<Refusals> {
    let mut refusals = Refusals::new();
    let asked: Vec<(usize, Converter)> = plan
        .columns
        .iter()
        .enumerate()
        .filter(|(i, c)| c.pg_type.needs_input() && wanted(*i))
        .map(|(i, c)| (i, Converter::new(&c.pg_type, &c.rules(zone))))
        .collect();
    if asked.is_empty() {
        return Ok(refusals);
    }
    let types = relation::base_types(relation, plan)?;
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut scratch = Scratch::default();
    let mut reader = source.rows_where(table, columns, plan.filter.as_deref())?;
    let mut number = 0;
    while let Some(row) = reader.next()? {
        number += 1;
        for (column, converter) in &asked {
            // What the converter refuses is bad already.
            if let Ok(converted) = converter.convert(row.value(*column), &mut scratch)
                && let Cell::Input(text) = converted.cell
            {
                bytes += text.len();
                batch.push(Waiting { row: number, column: *column, text: text.to_vec() });
            }
        }
        if batch.len() >= BATCH_VALUES || bytes >= BATCH_BYTES {
            judge(&batch, &types, &mut refusals);
            batch.clear();
            bytes = 0;
            interrupt::check();
        }
    }
    judge(&batch, &types, &mut refusals);
    Ok(refusals)
}

fn judge(batch: &[Waiting], types: &[(pg_sys::Oid, i32)], refusals: &mut Refusals) {
    if batch.is_empty() {
        return;
    }
    // What an input function keeps between calls must not outlive an error in one.
    let Err(error) = subxact::within(subxact::AtEnd::Undo, || {
        let mut inputs: Vec<Option<Input>> = types.iter().map(|_| None).collect();
        for waiting in batch {
            let (Some(slot), Some((oid, typmod))) =
                (inputs.get_mut(waiting.column), types.get(waiting.column))
            else {
                continue;
            };
            slot.get_or_insert_with(|| Input::of_subtransaction(*oid, *typmod)).try_out(&waiting.text);
        }
        Ok(())
    }) else {
        return;
    };
    match batch {
        [waiting] => {
            let detail = error.detail_text().unwrap_or_default().to_owned();
            let refusal = ValueError::refused(sqlstate(error.code()), error.message().to_owned(), detail);
            refusals.insert((waiting.row, waiting.column), refusal);
        }
        _ => {
            let (first, second) = batch.split_at(batch.len() / 2);
            judge(first, types, refusals);
            judge(second, types, refusals);
        }
    }
}
