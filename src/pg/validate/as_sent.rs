//! A source row as an import would send it: converted, hashed as `aliaport_rows::digest` says, and never a
//! reason to stop.

use aliaport_plan::plan::TablePlan;
use aliaport_rows::convert::{Converted, Converter, Scratch, ValueError, Zone, display_value};
use aliaport_rows::digest::{RowHasher, TableDigest};
use aliaport_rows::identifier::quote;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::range::{self, Range};
use aliaport_rows::row::Refusals;
use aliaport_rows::value::{Cell, Row, Value};
use aliaport_sqlite::Source;

use super::validated_table::ValidatedTable;
use crate::pg::heap::output::Echo;
use crate::pg::heap::refusal;
use crate::pg::server::error::Result;

/// What the source's rows come to, column by column.
#[derive(Clone, Debug, Default)]
pub struct SourceSummary {
    /// NULLs.
    pub nulls: Vec<u64>,
    /// Smallest and largest value of the types that have one.
    pub ranges: Vec<Option<Range>>,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The hash of all columns. It equals no stored row's where a value cannot be stored.
    pub row: u128,
    /// Every value has a place in the target.
    pub is_storable: bool,
}

/// What the input functions of types make of a row's values.
struct InputSide<'a> {
    echo: Echo,
    refusals: Refusals,
    not_compared: &'a [Option<String>],
}

impl InputSide<'_> {
    /// What counts of a value in a column of the row with this number, from 0, once its converter has looked
    /// at it; `None` where the converter or the type refuses it.
    fn counts<'c>(
        &'c mut self,
        number: u64,
        column: usize,
        converted: std::result::Result<Converted<'c>, ValueError>,
    ) -> Option<Converted<'c>> {
        let Converted { cell, lossy } = converted.ok()?;
        let cell = match cell {
            Cell::Input(_) if self.refusals.contains_key(&(number + 1, column)) => return None,
            Cell::Input(_) if self.not_compared.get(column).is_some_and(Option::is_some) => NOT_COMPARED,
            Cell::Input(text) => Cell::Varlena(self.echo.echo_text(column, text)),
            cell => cell,
        };
        Some(Converted { cell, lossy })
    }
}

/// What stands for any value that is not NULL and is not compared, on both sides.
pub const NOT_COMPARED: Cell<'static> = Cell::Varlena(&[]);

/// Converts and hashes rows.
pub struct Sender<'a> {
    plan: &'a TablePlan,
    key: &'a [usize],
    converters: Vec<Converter>,
    has_range: Vec<bool>,
    /// Of the types without a converter.
    input: InputSide<'a>,
    scratch: Scratch,
    row_hasher: RowHasher,
    key_hasher: RowHasher,
    column_hashers: Vec<RowHasher>,
}

impl<'a> Sender<'a> {
    /// For one table.
    pub fn new(source: &Source, subject: &'a ValidatedTable<'_>, zone: &Zone) -> Result<Self> {
        let plan = subject.plan;
        let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
        let hasher = |types: &[&PgType]| RowHasher::new(types).with_zone(zone);
        let not_compared = &subject.not_compared;
        let is_compared = |column: usize| not_compared.get(column).is_some_and(Option::is_none);
        let refusals = refusal::find_refused(
            source,
            subject.table,
            &subject.columns,
            plan,
            zone,
            subject.oid,
            is_compared,
        )?;
        Ok(Sender {
            plan,
            key: &subject.key,
            converters: plan.columns.iter().map(|c| Converter::new(&c.pg_type, &c.rules(zone))).collect(),
            has_range: types.iter().map(|t| range::has_range(t)).collect(),
            input: InputSide { echo: Echo::new(subject.oid, plan)?, refusals, not_compared },
            scratch: Scratch::default(),
            row_hasher: hasher(&types),
            key_hasher: hasher(&key_types(subject)),
            column_hashers: types.iter().map(|t| hasher(&[t])).collect(),
        })
    }

    /// The hash of the key of the row with this number, from 0; `None` where the table has none.
    pub fn key(&mut self, number: u64, row: &Row<'_>) -> Option<u128> {
        if self.key.is_empty() {
            return None;
        }
        for (place, &column) in self.key.iter().enumerate() {
            let Some(converter) = self.converters.get_mut(column) else { continue };
            let value = row.value(column);
            match self.input.counts(number, column, converter.convert(value, &mut self.scratch)) {
                Some(sent) => self.key_hasher.sent(place, value, &sent.cell, sent.lossy.is_some()),
                None => self.key_hasher.sent(place, Value::Null, &Cell::Null, false),
            }
        }
        Some(end_row(&mut self.key_hasher))
    }

    /// Converts and hashes the row with this number, from 0, as if the columns `nulled` held NULL; `tally`
    /// counts it.
    pub fn row(
        &mut self,
        number: u64,
        row: &Row<'_>,
        nulled: &[usize],
        mut tally: Option<&mut SourceSummary>,
    ) -> Sent {
        let mut is_storable = true;
        for (column, converter) in self.converters.iter_mut().enumerate() {
            let value = if nulled.contains(&column) { Value::Null } else { row.value(column) };
            let converted = converter.convert(value, &mut self.scratch);
            let Some(Converted { cell, lossy }) = self.input.counts(number, column, converted) else {
                is_storable = false;
                self.row_hasher.sent(column, Value::Null, &Cell::Null, false);
                continue;
            };
            self.row_hasher.sent(column, value, &cell, lossy.is_some());
            if matches!(cell, Cell::Null) {
                is_storable &= self.plan.columns.get(column).is_some_and(|c| !c.is_not_null);
            }
            let Some(tally) = tally.as_deref_mut() else { continue };
            if matches!(cell, Cell::Null) {
                if let Some(nulls) = tally.nulls.get_mut(column) {
                    *nulls += 1;
                }
            } else if self.has_range.get(column) == Some(&true)
                && let Some(range) = tally.ranges.get_mut(column)
            {
                range::widen(range, &cell);
            }
        }
        let row = end_row(&mut self.row_hasher);
        Sent { row: if is_storable { row } else { row.wrapping_add(1) }, is_storable }
    }

    /// The hash of each column of the row with this number, from 0; `None` for a value that cannot be stored.
    pub fn columns(&mut self, number: u64, row: &Row<'_>, nulled: &[usize]) -> Vec<Option<u128>> {
        let Sender { converters, column_hashers, plan, input, scratch, .. } = self;
        let columns = converters.iter_mut().zip(column_hashers).zip(&plan.columns).enumerate();
        columns
            .map(|(column, ((converter, hasher), plan))| {
                let value = if nulled.contains(&column) { Value::Null } else { row.value(column) };
                let Converted { cell, lossy } =
                    input.counts(number, column, converter.convert(value, scratch))?;
                if matches!(cell, Cell::Null) && plan.is_not_null {
                    return None;
                }
                hasher.sent(0, value, &cell, lossy.is_some());
                Some(end_row(hasher))
            })
            .collect()
    }

    /// The values of the key as a person writes them: `7`, `(1, x)`.
    pub fn describe_key(&self, row: &Row<'_>) -> String {
        key_values(&self.key.iter().map(|c| display_value(row.value(*c))).collect::<Vec<_>>())
    }

    /// A tally of no rows.
    pub fn tally(&self) -> SourceSummary {
        SourceSummary { nulls: vec![0; self.converters.len()], ranges: vec![None; self.converters.len()] }
    }
}

/// The key's columns as a person writes them, by their names in the target: `id`, `(a, b)`. `None` where
/// there is none.
pub fn key_words(subject: &ValidatedTable<'_>) -> Option<String> {
    let columns = subject.key.iter().filter_map(|c| subject.plan.columns.get(*c));
    let names: Vec<String> = columns.map(|c| quote(&c.target)).collect();
    (!names.is_empty()).then(|| key_values(&names))
}

/// One value alone, several in parentheses.
pub fn key_values(values: &[String]) -> String {
    match values {
        [value] => value.clone(),
        values => format!("({})", values.join(", ")),
    }
}

/// The types of the key's columns.
pub fn key_types<'a>(subject: &ValidatedTable<'a>) -> Vec<&'a PgType> {
    subject.key.iter().filter_map(|c| subject.plan.columns.get(*c)).map(|c| &c.pg_type).collect()
}

/// The hash of the row that a hasher holds.
pub fn end_row(hasher: &mut RowHasher) -> u128 {
    let mut digest = TableDigest::default();
    hasher.end_row(&mut digest);
    digest.sum
}
