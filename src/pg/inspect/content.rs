//! The one pass over a table: every value goes through the import's own converter, and what would go wrong is
//! counted.
//!
//! Values that land but are not the same are `type_mismatch`: the interface has no code for each way to
//! differ. They are a warning where something is lost and info where only the reading was chosen (a number as
//! a time, a text as bytes).

use aliaport_plan::finding::{Code, Content, Finding};
use aliaport_plan::inspect::{self, Classes, LISTED, Retype, Shapes, Values, code_of, has_turkish_letter};
use aliaport_plan::suggestion::Suggestion;
use aliaport_rows::convert::{Converter, Lossy, Moments, NumberUnit, Scratch, ValueError};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Row, StorageClass, Value};
use aliaport_rows::width::Width;
use serde_json::Value as Json;

use super::demands::{self, Demands};
use super::input::{InputCheck, Refused};
use super::sample::{Key, value_of};
use super::{InspectedTable, Observation};
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;
use crate::pg::table::{relax, retype};

/// Rows between two looks at the interrupt flags.
const ROWS_BETWEEN_CHECKS: u64 = 1000;

/// What one pass found.
pub struct Seen {
    /// Rows read.
    pub rows: u64,
    /// One entry a column of the plan: what kinds of values it holds.
    pub classes: Vec<Classes>,
    /// One entry a column of the plan: some of its texts are Turkish.
    pub turkish: Vec<bool>,
    tallies: Vec<Vec<Tally>>,
    /// Rows that no page holds.
    too_wide: Tally,
    /// Columns whose values were not tried, and the code that would have run.
    untried: Vec<(usize, String)>,
    /// What the table that is there asks, and rows do not have.
    demanded: Vec<Observation>,
}

/// What happens to a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It cannot be stored.
    Bad(Code),
    /// It is stored, but not the same.
    Changed(Lossy),
}

/// The values of one column that meet one fate.
struct Tally {
    fate: Fate,
    /// Entries that its sample takes.
    limit: usize,
    count: u64,
    samples: Vec<Json>,
    /// The first [`LISTED`] of them.
    rowids: Vec<i64>,
    /// The storage class of all of them, where it is one.
    class: Option<StorageClass>,
    shapes: Shapes,
    /// What the numbers among them are as moments.
    moments: Moments,
    /// The type's own input function refused them.
    is_refused: bool,
    /// What is wrong with the first one.
    message: String,
}

impl Tally {
    fn new(fate: Fate, limit: usize) -> Self {
        Tally {
            fate,
            limit,
            count: 0,
            samples: Vec::new(),
            rowids: Vec::new(),
            class: None,
            shapes: Shapes::default(),
            moments: Moments::default(),
            is_refused: false,
            message: String::new(),
        }
    }

    fn with_fate(tallies: &mut Vec<Tally>, fate: Fate, limit: usize) -> &mut Tally {
        let at = tallies.iter().position(|t| t.fate == fate).unwrap_or_else(|| {
            tallies.push(Tally::new(fate, limit));
            tallies.len() - 1
        });
        &mut tallies[at]
    }

    #[cold]
    fn add(&mut self, key: &Key, row: &Row<'_>, value: Value<'_>, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.count == 1 {
            self.class = Some(value.storage_class());
            self.message = message();
        }
        self.class = self.class.filter(|class| *class == value.storage_class());
        self.shapes.add(value);
        if self.rowids.len() < LISTED {
            self.rowids.extend(row.rowid());
        }
        if self.samples.len() < self.limit {
            self.samples.push(key.entry(row, value_of(value)));
        }
    }

    fn add_refused(&mut self, refused: Refused) {
        self.count += 1;
        if self.count == 1 {
            self.is_refused = true;
            self.message = refused.message;
        }
        if self.rowids.len() < LISTED {
            self.rowids.extend(refused.pending.rowid);
        }
        if self.samples.len() < self.limit {
            self.samples.push(refused.pending.entry);
        }
    }
}

/// Reads all rows that the import would read.
pub fn scan(subject: &InspectedTable<'_>) -> Result<Seen> {
    let plan = subject.plan;
    let width = plan.columns.len();
    let converters: Vec<Converter> = (0..width).filter_map(|i| subject.converter(i)).collect();
    let mut untried = Vec::new();
    let mut inputs: Vec<Option<InputCheck>> =
        (0..width).map(|i| InputCheck::for_column(subject, i, &mut untried)).collect::<Result<_>>()?;
    let has_inputs = inputs.iter().any(Option::is_some);
    let mut demands = Demands::of_table(subject)?;
    let limit = subject.inspected.options.samples;
    let key = Key::of_source_key(plan, limit);
    let mut scratch = Scratch::default();
    let mut content = Seen {
        rows: 0,
        classes: vec![Classes::default(); width],
        turkish: vec![false; width],
        tallies: (0..width).map(|_| Vec::new()).collect(),
        too_wide: Tally::new(Fate::Bad(Code::RowTooWide), limit),
        untried,
        demanded: Vec::new(),
    };
    let mut row_width = Width::new(width, true);
    let mut reader =
        subject.opened.source.rows_where(subject.table, &subject.columns, plan.filter.as_deref())?;
    while let Some(row) = reader.next()? {
        row_width.restart();
        let mut is_good = true;
        if let Some(demands) = &mut demands {
            demands.begin();
        }
        for (i, converter) in converters.iter().enumerate() {
            let value = row.value(i);
            content.classes[i].add(value.storage_class());
            if let Value::Text(text) = value
                && !content.turkish[i]
            {
                content.turkish[i] = has_turkish_letter(text);
            }
            match converter.convert(value, &mut scratch) {
                Ok(converted) => {
                    row_width.add(&converted.cell);
                    if let Some(demands) = &mut demands {
                        demands.cell(i, &converted.cell);
                    }
                    if converted.cell == Cell::Null && plan.columns[i].is_not_null {
                        is_good = false;
                        let tally =
                            Tally::with_fate(&mut content.tallies[i], Fate::Bad(Code::NullInNotNull), limit);
                        tally.add(&key, &row, value, String::new);
                    }
                    if let Some(lossy) = converted.lossy {
                        content.classes[i].add_lossy(lossy);
                        let tally = Tally::with_fate(&mut content.tallies[i], Fate::Changed(lossy), limit);
                        tally.add(&key, &row, value, String::new);
                        if lossy == Lossy::EpochNumber {
                            tally.moments.see(value, &converted.cell);
                        }
                    }
                    if let Some(input) = &mut inputs[i] {
                        let entry = || key.entry(&row, value_of(value));
                        input.add(&converted.cell, &plan.columns[i].pg_type, entry, row.rowid());
                    }
                }
                Err(error) => {
                    is_good = false;
                    bad(&mut content.tallies[i], &plan.columns[i].pg_type, &error, &key, &row, value)
                }
            }
        }
        if let Some(demands) = &mut demands
            && is_good
        {
            demands.end(|| key.entry(&row, Json::Null))?;
        }
        if row_width.is_too_wide() {
            content.too_wide.add(&key, &row, Value::Null, String::new);
        }
        content.rows += 1;
        if content.rows.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
            if has_inputs {
                settle(&mut inputs, &mut content.tallies, limit, false)?;
            }
        }
    }
    settle(&mut inputs, &mut content.tallies, limit, true)?;
    content.demanded = demands::instead_rules(subject)?;
    if let Some(demands) = demands {
        content.demanded.extend(demands.observations()?);
    }
    Ok(content)
}

#[cold]
fn bad(
    tallies: &mut Vec<Tally>,
    pg_type: &PgType,
    error: &ValueError,
    key: &Key,
    row: &Row<'_>,
    value: Value<'_>,
) {
    Tally::with_fate(tallies, Fate::Bad(code_of(error, pg_type)), key.limit)
        .add(key, row, value, || error.to_string());
}

fn settle(
    inputs: &mut [Option<InputCheck>],
    tallies: &mut [Vec<Tally>],
    limit: usize,
    is_last: bool,
) -> Result<()> {
    for (input, tallies) in inputs.iter_mut().zip(tallies) {
        let Some(input) = input else { continue };
        for refused in input.settle(is_last)? {
            Tally::with_fate(tallies, Fate::Bad(refused.code), limit).add_refused(refused);
        }
    }
    Ok(())
}

impl Seen {
    /// What was found, column by column.
    pub fn observations(&self, subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
        let columns = self.tallies.iter().enumerate();
        let untried = self.untried.iter().filter_map(|(column, code)| not_tried(subject, *column, code));
        let mut out = Vec::new();
        for (column, tallies) in columns {
            for tally in tallies {
                out.extend(observation(subject, column, tally)?);
            }
        }
        out.extend(untried);
        out.extend(self.demanded.iter().cloned());
        let Tally { count, samples, .. } = &self.too_wide;
        if *count > 0 {
            out.push(Observation {
                finding: Finding::of(&subject.plan.source, Content::TooWide).counted(*count),
                sample: Some(Json::Array(samples.clone())),
                suggestion: Some(
                    Suggestion::postgresql()
                        .note("import with on_error => 'reject', which sets these rows aside")
                        .note("or leave columns out with their option skip"),
                ),
            });
        }
        Ok(out)
    }
}

/// Of a column whose type runs somebody's code.
fn not_tried(subject: &InspectedTable<'_>, column: usize, code: &str) -> Option<Observation> {
    let place = subject.place(column)?;
    let finding = Finding::of(place.table, Content::Untried(code.to_owned())).in_column(place.column);
    let remedy = "aliaport_import() with dry_run => true tries them with the rights of its caller";
    Some(Observation::new(finding, Some(Suggestion::postgresql().note(remedy))))
}

fn observation(subject: &InspectedTable<'_>, column: usize, tally: &Tally) -> Result<Option<Observation>> {
    let Some(place) = subject.place(column) else { return Ok(None) };
    let InspectedTable { opened, table, inspected, plan, .. } = subject;
    let values = Values {
        count: tally.count,
        rowids: &tally.rowids,
        class: tally.class,
        shapes: tally.shapes,
        is_utf8: opened.catalogue.encoding == "UTF-8",
        are_jsonb: tally.shapes.blobs == tally.count && are_jsonb(subject, column, tally.fate)?,
    };
    // One that takes every value of the column as it is.
    let retype = |first: Option<&str>| match first.filter(|_| !tally.is_refused) {
        Some(first) => retype::find_wider_type(&opened.source, table, &inspected.plan, plan, column, first),
        None => Ok(Retype::Nothing),
    };
    let (why, suggestion) = match tally.fate {
        Fate::Bad(Code::NullInNotNull) => {
            let relaxing = relax::not_null(plan, &place.attribute)?;
            let own = subject.columns.get(column).and_then(|c| table.columns.get(*c));
            let is_stricter = !plan.is_created && own.is_some_and(|c| !c.is_not_null);
            let stricter = is_stricter.then(|| (plan.target.clone(), place.attribute.clone()));
            (Content::Null(stricter), Some(inspect::of_null(&place, values, &relaxing)))
        }
        Fate::Bad(code) => {
            let retype = retype(inspect::another_type(code, place.pg_type))?;
            let why = Content::Refused(code, place.pg_type.clone(), tally.message.clone());
            (why, Some(inspect::of_value(code, &place, values, &retype)))
        }
        Fate::Changed(Lossy::EpochNumber) => {
            let is_said = plan.columns.get(column).is_none_or(|c| c.number != NumberUnit::Auto);
            let is_doubtful = !is_said && (tally.moments.look_like_days() || tally.moments.are_mixed());
            let moments = (!is_said).then_some(&tally.moments);
            let suggestion = inspect::of_lossy(&place, Lossy::EpochNumber, &Retype::Nothing, moments);
            (Content::Numbers { reach: tally.moments.reach(), is_doubtful }, suggestion)
        }
        Fate::Changed(lossy) => {
            let retype = retype(inspect::lossless_type(lossy, place.pg_type))?;
            (Content::Changed(lossy), inspect::of_lossy(&place, lossy, &retype, None))
        }
    };
    Ok(Some(Observation {
        finding: Finding::of(place.table, why).in_column(place.column).counted(tally.count),
        sample: Some(Json::Array(tally.samples.clone())),
        suggestion,
    }))
}

/// Whether all blobs of a column of JSON are what SQLite's jsonb() writes.
fn are_jsonb(subject: &InspectedTable<'_>, column: usize, fate: Fate) -> Result<bool> {
    let place = subject.columns.get(column).copied();
    let Some(own) = place.and_then(|c| subject.table.columns.get(c)) else { return Ok(false) };
    if fate != Fate::Bad(Code::BadJson) {
        return Ok(false);
    }
    let name = inspect::sqlite_name(&own.name);
    let others = format!("typeof({name}) = 'blob' AND NOT json_valid({name}, 8)");
    let mut rows = subject.opened.source.rows_where(subject.table, &[], Some(&others))?;
    Ok(rows.next()?.is_none())
}
