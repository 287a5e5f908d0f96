//! The one pass over a table: every value goes through the import's own converter, and what would go wrong is
//! counted.
//!
//! Values that land but are not the same are `type_mismatch`: the interface has no code for each way to
//! differ. They are a warning where something is lost and info where only the reading was chosen (a number as
//! a time, a text as bytes).

use aliaport_plan::finding::{Code, Content, Finding};
use aliaport_plan::inspect::{self, Classes, Retype, Values, code_of, has_turkish_letter};
use aliaport_rows::convert::{Converter, Lossy, Scratch, ValueError};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Row, StorageClass, Value};
use aliaport_rows::width::Width;
use serde_json::Value as Json;

use super::input::{InputCheck, Refused};
use super::sample::{Key, SAMPLES, value_of};
use super::{InspectedTable, Observation};
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;
use crate::pg::table::retype;

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
    count: u64,
    samples: Vec<Json>,
    rowids: Vec<i64>,
    class: StorageClass,
    is_empty: bool,
    /// What is wrong with the first one.
    message: String,
}

impl Tally {
    fn new(fate: Fate) -> Self {
        Tally {
            fate,
            count: 0,
            samples: Vec::new(),
            rowids: Vec::new(),
            class: StorageClass::Null,
            is_empty: false,
            message: String::new(),
        }
    }

    fn with_fate(tallies: &mut Vec<Tally>, fate: Fate) -> &mut Tally {
        let at = tallies.iter().position(|t| t.fate == fate).unwrap_or_else(|| {
            tallies.push(Tally::new(fate));
            tallies.len() - 1
        });
        &mut tallies[at]
    }

    #[cold]
    fn add(&mut self, key: &Key, row: &Row<'_>, value: Value<'_>, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.count == 1 {
            self.class = value.storage_class();
            self.is_empty = value == Value::Text(b"");
            self.message = message();
        }
        if self.samples.len() < SAMPLES {
            self.samples.push(key.entry(row, value_of(value)));
            self.rowids.extend(row.rowid());
        }
    }

    fn add_refused(&mut self, refused: Refused) {
        self.count += 1;
        if self.count == 1 {
            self.class = StorageClass::Text;
            self.message = refused.message;
        }
        if self.samples.len() < SAMPLES {
            self.rowids.extend(refused.pending.rowid);
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
    let key = Key::of_source_key(plan);
    let mut scratch = Scratch::default();
    let mut content = Seen {
        rows: 0,
        classes: vec![Classes::default(); width],
        turkish: vec![false; width],
        tallies: (0..width).map(|_| Vec::new()).collect(),
        too_wide: Tally::new(Fate::Bad(Code::RowTooWide)),
        untried,
    };
    let mut row_width = Width::new(width, true);
    let mut reader =
        subject.opened.source.rows_where(subject.table, &subject.columns, plan.filter.as_deref())?;
    while let Some(row) = reader.next()? {
        row_width.restart();
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
                    if converted.cell == Cell::Null && plan.columns[i].is_not_null {
                        let tally = Tally::with_fate(&mut content.tallies[i], Fate::Bad(Code::NullInNotNull));
                        tally.add(&key, &row, value, String::new);
                    }
                    if let Some(lossy) = converted.lossy {
                        content.classes[i].add_lossy(lossy);
                        Tally::with_fate(&mut content.tallies[i], Fate::Changed(lossy)).add(
                            &key,
                            &row,
                            value,
                            String::new,
                        );
                    }
                    if let Some(input) = &mut inputs[i] {
                        let entry = || key.entry(&row, value_of(value));
                        input.add(&converted.cell, &plan.columns[i].pg_type, entry, row.rowid());
                    }
                }
                Err(error) => {
                    bad(&mut content.tallies[i], &plan.columns[i].pg_type, &error, &key, &row, value)
                }
            }
        }
        if row_width.is_too_wide() {
            content.too_wide.add(&key, &row, Value::Null, String::new);
        }
        content.rows += 1;
        if content.rows.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
            if has_inputs {
                settle(&mut inputs, &mut content.tallies, false)?;
            }
        }
    }
    settle(&mut inputs, &mut content.tallies, true)?;
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
    Tally::with_fate(tallies, Fate::Bad(code_of(error, pg_type))).add(key, row, value, || error.to_string());
}

fn settle(inputs: &mut [Option<InputCheck>], tallies: &mut [Vec<Tally>], is_last: bool) -> Result<()> {
    for (input, tallies) in inputs.iter_mut().zip(tallies) {
        let Some(input) = input else { continue };
        for refused in input.settle(is_last)? {
            Tally::with_fate(tallies, Fate::Bad(refused.code)).add_refused(refused);
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
        let Tally { count, samples, .. } = &self.too_wide;
        if *count > 0 {
            out.push(Observation {
                finding: Finding::of(&subject.plan.source, Content::TooWide).counted(*count),
                sample: Some(Json::Array(samples.clone())),
                suggestion: Some(
                    "-- leave columns out with their option skip, or import with on_error => 'reject' to set the rows aside"
                        .to_owned(),
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
    let remedy = "-- aliaport_import() with dry_run => true tries them with the rights of its caller";
    Some(Observation::new(finding, Some(remedy.to_owned())))
}

fn observation(subject: &InspectedTable<'_>, column: usize, tally: &Tally) -> Result<Option<Observation>> {
    let Some(place) = subject.place(column) else { return Ok(None) };
    let values =
        Values { count: tally.count, rowids: &tally.rowids, class: tally.class, is_empty: tally.is_empty };
    let (why, suggestion) = match tally.fate {
        Fate::Bad(code @ Code::NullInNotNull) => {
            (Content::Null, inspect::of_value(code, &place, values, &Retype::Nothing))
        }
        Fate::Bad(code) => {
            let InspectedTable { opened, table, inspected, plan, .. } = subject;
            let retype = match inspect::another_type(code, place.pg_type) {
                Some(first) => {
                    retype::find_wider_type(&opened.source, table, &inspected.plan, plan, column, first)?
                }
                None => Retype::Nothing,
            };
            let why = Content::Refused(code, place.pg_type.clone(), tally.message.clone());
            (why, inspect::of_value(code, &place, values, &retype))
        }
        Fate::Changed(lossy) => {
            let held_by = match inspect::lossless_type(lossy, place.pg_type).filter(|_| !place.is_created) {
                Some(word) => retype::dependents(subject.plan, &place.attribute, word)?,
                None => Vec::new(),
            };
            (Content::Changed(lossy), inspect::of_lossy(&place, lossy, &held_by))
        }
    };
    Ok(Some(Observation {
        finding: Finding::of(place.table, why).in_column(place.column).counted(tally.count),
        sample: Some(Json::Array(tally.samples.clone())),
        suggestion: Some(suggestion),
    }))
}
