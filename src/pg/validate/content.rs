//! Does the target hold what the source holds? One look at every row of both sides, and where they differ a
//! second one at the rows concerned, to name their keys.

use std::collections::HashMap;
use std::ops::ControlFlow;

use aliaport_rows::convert::Zone;
use aliaport_rows::difference::{Differences, Sums, Suspects};
use aliaport_rows::digest::{RowHasher, TableDigest};
use aliaport_rows::identifier::quote;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Row};
use aliaport_sqlite::Source;

use super::as_sent::{NOT_COMPARED, Sender, SourceSummary, end_row, key_types, key_values, key_words};
use super::excused::{Aside, LastRun};
use super::validated_table::ValidatedTable;
use super::{CheckResult, joined};
use crate::pg::heap::readback::{self, Sight, StoredRow};
use crate::pg::server::count::counted;
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;

/// Keys that are named of each kind of difference.
const NAMED: usize = 10;

/// Characters that are shown of each value of a key.
const KEY_CHARACTERS: usize = 100;

/// Rows of the source between two looks at the interrupt flags.
const ROWS_BETWEEN_CHECKS: u64 = 4096;

/// What a row of the target is known by: its number in the scan, so that the first ones are shown, and the
/// hash of all its columns, by which it is found again: it may be anywhere, and elsewhere in the next scan.
/// Rows with one hash have the same columns.
type At = (u64, u128);

/// What a comparison came to.
#[derive(Default)]
pub struct Compared {
    /// Rows of the source without those that were set aside.
    pub source: TableDigest,
    /// Rows of the target.
    pub target: TableDigest,
    /// Rows of the source that the import set aside.
    pub rejected: u64,
    /// Values of the source that it set aside.
    pub nulled: u64,
    /// Rows of the source that the target's columns cannot hold.
    pub unstorable: u64,
    /// What the source's columns hold.
    pub tally: SourceSummary,
    differences: Option<Named>,
}

/// Differences with the names of their keys.
struct Named {
    found: Differences<At>,
    missing: Vec<String>,
    extra: Vec<String>,
    changed: Vec<String>,
    /// The key's columns as a person writes them; `None` where the table has none.
    key: Option<String>,
}

/// Compares one table on both sides.
pub fn compare(
    source: &Source,
    subject: &ValidatedTable<'_>,
    zone: &Zone,
    aside: &Aside,
) -> Result<Compared> {
    let mut sender = Sender::new(source, subject, zone)?;
    let mut compared = Compared { tally: sender.tally(), ..Compared::default() };
    let mut sums = Sums::default();
    each_source_row(source, subject, |number, row| {
        let (key, excuse) = (sender.key(number, row), aside.excuse(row));
        let Some(excuse) = excuse else {
            let sent = sender.row(number, row, &[], Some(&mut compared.tally));
            compared.source.merge(&TableDigest { rows: 1, sum: sent.row });
            compared.unstorable += u64::from(!sent.is_storable);
            sums.add(key.unwrap_or(sent.row), sent.row);
            return ControlFlow::Continue(());
        };
        if excuse.is_rejected {
            compared.rejected += 1;
        } else {
            compared.nulled += excuse.nulled.len() as u64;
            let sent = sender.row(number, row, excuse.nulled, Some(&mut compared.tally));
            compared.source.merge(&TableDigest { rows: 1, sum: sent.row });
            compared.unstorable += u64::from(!sent.is_storable);
            sums.add(key.unwrap_or(sent.row), sent.row);
        }
        ControlFlow::Continue(())
    })?;
    let mut stored = Stored::new(subject);
    each_target_row(subject, |row| {
        let (key, hash) = stored.row(row);
        compared.target.merge(&TableDigest { rows: 1, sum: hash });
        sums.subtract(key, hash);
        ControlFlow::Continue(())
    })?;
    if let Some(suspects) = sums.differing() {
        drop(sums);
        let found = look_again(source, subject, &mut sender, aside, suspects)?;
        compared.differences = Some(name(source, subject, &mut sender, aside, found)?);
    }
    Ok(compared)
}

/// The second look: rows whose sums differ, by their keys.
fn look_again(
    source: &Source,
    subject: &ValidatedTable<'_>,
    sender: &mut Sender<'_>,
    aside: &Aside,
    mut suspects: Suspects<At>,
) -> Result<Differences<At>> {
    // What a row that was set aside may be in the target instead, as the difference that it makes.
    let mut excused = HashMap::new();
    each_source_row(source, subject, |number, row| {
        let key = sender.key(number, row);
        if key.is_some_and(|key| !suspects.has(key)) {
            return ControlFlow::Continue(());
        }
        let excuse = aside.excuse(row);
        let sent = match excuse {
            Some(excuse) if excuse.is_rejected => 0,
            _ => {
                let sent = sender.row(number, row, excuse.map_or(&[], |e| e.nulled), None).row;
                suspects.add(key.unwrap_or(sent), sent, number);
                sent
            }
        };
        if let Some(excuse) = excuse {
            let original = sender.row(number, row, &[], None).row;
            let key = key.unwrap_or(if excuse.is_rejected { original } else { sent });
            if suspects.has(key) {
                excused.insert(key, sent.wrapping_sub(original));
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut stored = Stored::new(subject);
    let mut number = 0;
    each_target_row(subject, |row| {
        number += 1;
        if stored.key(row).is_none_or(|key| suspects.has(key)) {
            let (key, hash) = stored.row(row);
            suspects.subtract(key, hash, (number, hash));
        }
        ControlFlow::Continue(())
    })?;
    Ok(suspects.differences(!subject.key.is_empty(), NAMED, &excused))
}

/// Names the keys of what differs, and the columns.
fn name(
    source: &Source,
    subject: &ValidatedTable<'_>,
    sender: &mut Sender<'_>,
    aside: &Aside,
    found: Differences<At>,
) -> Result<Named> {
    let key = key_words(subject);
    let (mut missing, mut extra, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    if key.is_some() {
        let mut wanted = found.missing_at.len() + found.changed_at.len();
        let mut sent = HashMap::new();
        if wanted > 0 {
            each_source_row(source, subject, |number, row| {
                if found.missing_at.contains(&number) {
                    missing.push(sender.describe_key(row));
                } else if found.changed_at.iter().any(|c| c.number == number) {
                    let nulled = aside.excuse(row).map_or(&[][..], |e| e.nulled);
                    sent.insert(number, (sender.describe_key(row), sender.columns(number, row, nulled)));
                } else {
                    return ControlFlow::Continue(());
                }
                wanted -= 1;
                if wanted == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        let stored = stored_columns(subject, found.changed_at.iter().map(|c| c.place).collect())?;
        for at in &found.changed_at {
            let (Some((words, sent)), Some(stored)) = (sent.get(&at.number), stored.get(&at.place.1)) else {
                continue;
            };
            let mut why: Vec<String> = sent
                .iter()
                .zip(stored)
                .zip(&subject.plan.columns)
                .filter(|((sent, stored), _)| **sent != Some(**stored))
                .map(|(_, column)| column.target.clone())
                .collect();
            if at.source != at.target {
                why.push(format!(
                    "{} in the source, {} in the target",
                    counted(at.source.into(), "row"),
                    counted(at.target.into(), "row")
                ));
            }
            changed.push(format!("{words} [{}]", why.join(", ")));
        }
        extra = stored_keys(subject, &found.extra_at)?;
    }
    Ok(Named { found, missing, extra, changed, key })
}

/// The keys of some rows of the target.
fn stored_keys(subject: &ValidatedTable<'_>, rows: &[At]) -> Result<Vec<String>> {
    let mut keys = Vec::with_capacity(rows.len());
    each_stored_row(subject, rows.to_vec(), |_hash, row| {
        let value = |column: &usize| match row.text(*column) {
            Some(text) => text.chars().take(KEY_CHARACTERS).collect(),
            None => "NULL".to_owned(),
        };
        keys.push(key_values(&subject.key.iter().map(value).collect::<Vec<String>>()));
    })?;
    Ok(keys)
}

/// The hash of each column of some rows of the target.
fn stored_columns(subject: &ValidatedTable<'_>, rows: Vec<At>) -> Result<HashMap<u128, Vec<u128>>> {
    let mut hashers: Vec<RowHasher> =
        subject.plan.columns.iter().map(|c| RowHasher::new(&[&c.pg_type])).collect();
    let mut stored = HashMap::new();
    each_stored_row(subject, rows, |hash, row| {
        let columns = hashers.iter_mut().enumerate().map(|(column, hasher)| {
            hasher.read_back(0, &cell(subject, row, column));
            end_row(hasher)
        });
        stored.insert(hash, columns.collect());
    })?;
    Ok(stored)
}

/// Shows one row of the target for each hash of `wanted`.
fn each_stored_row(
    subject: &ValidatedTable<'_>,
    rows: Vec<At>,
    mut each: impl FnMut(u128, &StoredRow<'_>),
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut wanted: Vec<u128> = rows.into_iter().map(|(_, hash)| hash).collect();
    let mut stored = Stored::new(subject);
    each_target_row(subject, |row| {
        let (_, hash) = stored.row(row);
        if let Some(index) = wanted.iter().position(|h| *h == hash) {
            wanted.swap_remove(index);
            each(hash, row);
        }
        if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// Reads the source until `each` breaks off; rows are numbered from 0.
fn each_source_row(
    source: &Source,
    subject: &ValidatedTable<'_>,
    mut each: impl FnMut(u64, &Row<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut rows = source.rows_where(subject.table, &subject.columns, subject.plan.filter.as_deref())?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        if each(number, &row).is_break() {
            break;
        }
        number += 1;
        if number.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
        }
    }
    Ok(())
}

/// Reads the target until `each` breaks off.
fn each_target_row(
    subject: &ValidatedTable<'_>,
    each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<()> {
    readback::visit(subject.oid, subject.plan, Sight::Statement, each)
}

/// What counts of a value of the target.
fn cell<'r>(subject: &ValidatedTable<'_>, row: &'r StoredRow<'_>, column: usize) -> Cell<'r> {
    match row.cell(column) {
        Cell::Null => Cell::Null,
        _ if subject.not_compared.get(column).is_some_and(Option::is_some) => NOT_COMPARED,
        cell => cell,
    }
}

/// Hashes rows as the target stores them.
struct Stored<'a> {
    subject: &'a ValidatedTable<'a>,
    row_hasher: RowHasher,
    key_hasher: RowHasher,
}

impl<'a> Stored<'a> {
    fn new(subject: &'a ValidatedTable<'a>) -> Self {
        let types: Vec<&PgType> = subject.plan.columns.iter().map(|c| &c.pg_type).collect();
        Stored {
            subject,
            row_hasher: RowHasher::new(&types),
            key_hasher: RowHasher::new(&key_types(subject)),
        }
    }

    fn key(&mut self, row: &StoredRow<'_>) -> Option<u128> {
        if self.subject.key.is_empty() {
            return None;
        }
        for (place, &column) in self.subject.key.iter().enumerate() {
            self.key_hasher.read_back(place, &cell(self.subject, row, column));
        }
        Some(end_row(&mut self.key_hasher))
    }

    /// The hashes of the key and of the row; of the row twice where there is no key.
    fn row(&mut self, row: &StoredRow<'_>) -> (u128, u128) {
        for column in 0..self.subject.plan.columns.len() {
            self.row_hasher.read_back(column, &cell(self.subject, row, column));
        }
        let hash = end_row(&mut self.row_hasher);
        (self.key(row).unwrap_or(hash), hash)
    }
}

impl Compared {
    /// What is known without a look at the rows.
    pub fn of_rejected(rejected: u64) -> Self {
        Compared { rejected, ..Compared::default() }
    }

    /// The check.
    pub fn check(&self, subject: &ValidatedTable<'_>, last_run: Option<&LastRun>) -> CheckResult {
        let mut facts: Vec<String> =
            subject.missing.iter().map(|c| format!("the target has no column {}", quote(c))).collect();
        let is_equal = self.differences.as_ref().is_none_or(|d| d.found.is_none());
        if let Some(differences) = self.differences.as_ref().filter(|_| !is_equal) {
            facts.extend(differences.describe());
        }
        match self.unstorable {
            0 => {}
            1 => facts.push(
                "1 row of the source holds a value that its column in the target cannot hold".to_owned(),
            ),
            n => facts.push(format!(
                "{n} rows of the source hold values that their columns in the target cannot hold"
            )),
        }
        let mut is_whole = true;
        for (column, code) in subject.plan.columns.iter().zip(&subject.not_compared) {
            let Some(code) = code else { continue };
            is_whole = false;
            facts.push(format!(
                "values of column {} were not compared: reading them runs {code}, which is not PostgreSQL's own",
                quote(&column.target)
            ));
        }
        facts.extend(last_run.and_then(|run| run.describe_set_aside(self.rejected, self.nulled)));
        CheckResult {
            source: Some(self.source.to_string()),
            target: Some(self.target.to_string()),
            ok: is_equal && is_whole && subject.missing.is_empty(),
            detail: joined(facts),
            ..subject.check("content")
        }
    }
}

impl Named {
    fn describe(&self) -> Vec<String> {
        let found = &self.found;
        let kinds = [
            (found.missing, "missing in the target", &self.missing),
            (found.extra, "only in the target", &self.extra),
            (found.changed, "with other values in the target", &self.changed),
        ];
        let mut facts: Vec<String> = kinds
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, kind, keys)| {
                let more = if count > keys.len() as u64 { ", ..." } else { "" };
                // Of a table that differs almost everywhere only a part was looked at.
                let rows = if found.is_complete {
                    counted(count, "row")
                } else {
                    format!("at least {}", counted(count, "row"))
                };
                match &self.key {
                    Some(key) => format!("{rows} {kind}: {key} = {}{more}", keys.join(", ")),
                    None => format!("{rows} {kind}"),
                }
            })
            .collect();
        if self.key.is_none() {
            facts.push("the table has no key to name rows by".to_owned());
        }
        facts
    }
}
