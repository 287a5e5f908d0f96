//! What does SQLite itself say about the file, and about rows that its CHECKs forbid?

use aliaport_plan::finding::{Content, Damage, Finding};
use aliaport_plan::inspect::{carried_checks, rowid_name, sqlite_name};
use aliaport_plan::suggestion::Suggestion;
use aliaport_sqlite::{Source, SourceError, SourceErrorKind};
use serde_json::Value as Json;

use super::sample::{Key, values_of};
use super::{InspectedTable, Observation};
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;

/// Messages to ask for. SQLite has one a row for some kinds, so they are counted by kind.
const MESSAGES: usize = 1000;

/// The largest file, in bytes, whose indexes are compared with their tables. That looks up every row in every
/// index, costs as much as the import itself, and the import reads no index.
const COMPARED_BYTES: u64 = 128 << 20;

/// The messages of `PRAGMA integrity_check`, alike ones together; of a large file those of `quick_check`,
/// with a word about it.
pub fn observe(source: &Source) -> Result<Vec<Observation>> {
    let is_small = source.size_bytes() <= COMPARED_BYTES;
    let messages = if is_small { source.integrity_check(MESSAGES)? } else { source.quick_check(MESSAGES)? };
    let is_cut = messages.len() >= MESSAGES;
    let mut kinds: Vec<(String, String, u64)> = Vec::new();
    for message in messages {
        // One message can have several lines.
        for line in message.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("***")) {
            let kind: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
            match kinds.iter_mut().find(|(k, _, _)| *k == kind) {
                Some((_, _, count)) => *count += 1,
                None => kinds.push((kind, line.to_owned(), 1)),
            }
        }
    }
    let mut out: Vec<Observation> =
        kinds.into_iter().map(|(_, first, count)| observation(&first, count, is_cut)).collect();
    if !is_small {
        let remedy = Suggestion::sqlite().run("PRAGMA integrity_check");
        out.push(Observation::new(Finding::new(Content::LargeFile), Some(remedy)));
    }
    Ok(out)
}

fn observation(message: &str, count: u64, is_cut: bool) -> Observation {
    let (damage, suggestion) = verdict(message);
    let mut message = message.to_owned();
    // A sentence of ours begins in lower case; an abbreviation or a table's name does not change.
    if message.starts_with("Tree ") || message.starts_with("Page ") || message.starts_with("Freelist") {
        message.replace_range(..1, &message[..1].to_ascii_lowercase());
    }
    let finding = Finding::new(Content::Damage(damage, message, is_cut)).counted(count);
    Observation::new(finding, Some(suggestion))
}

/// What a message says, and what helps. The texts are those of `btree.c` and `pragma.c`: SQLite has nothing
/// else to tell it by.
fn verdict(message: &str) -> (Damage, Suggestion) {
    let sqlite = Suggestion::sqlite;
    let after = |words: &str| message.split_once(words).map(|(_, name)| name.to_owned());
    let index = after("missing from index ")
        .or_else(|| after("wrong # of entries in index "))
        .or_else(|| after("values differ from index "))
        .or_else(|| {
            after("rowid not at end-of-record for row")
                .and_then(|m| m.split_once("of index ").map(|p| p.1.to_owned()))
        });
    let damage = if let Some(index) = index {
        Damage::Index(index)
    } else if message.starts_with("non-unique entry in index ") {
        Damage::Repeated
    } else if message.starts_with("NULL value in ") || message.contains(" value in ") {
        Damage::Values
    } else if message.ends_with("never used") || message.starts_with("Freelist") {
        Damage::Unused
    } else {
        Damage::Other
    };
    let remedy = match &damage {
        Damage::Index(index) => sqlite().run(format!("REINDEX {}", sqlite_name(index))),
        Damage::Repeated => {
            sqlite().note("delete all but one row of each key, then REINDEX; see duplicate_key")
        }
        Damage::Values => sqlite().note("repair the rows; see null_in_not_null and type_mismatch"),
        Damage::Unused => sqlite().run("VACUUM"),
        Damage::Other => sqlite()
            .note("make a clean copy with the command .recover of the sqlite3 program and import that"),
    };
    (damage, remedy)
}

/// Rows that a CHECK forbids which the import makes: PostgreSQL refuses them (23514).
pub fn checks(subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
    let checks = carried_checks(subject.table, subject.plan);
    // Mostly no row fails any of them, and one pass says so.
    let any: Vec<String> = checks.iter().map(|check| violated(&check.text)).collect();
    if any.is_empty() || matches!(failing(subject, &any.join(" OR "), None)?, Some((0, _))) {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for (check, condition) in checks.iter().zip(&any) {
        let column = subject
            .table
            .columns
            .iter()
            .position(|c| check.column.as_ref().is_some_and(|name| c.name == *name));
        let Some((count @ 1.., samples)) = failing(subject, condition, column)? else { continue };
        let text: String = check.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let keys = rowid_name(subject.table).unwrap_or_else(|| "*".to_owned());
        let finding = Finding::of(&subject.plan.source, Content::Check(check.text.clone())).counted(count);
        out.push(Observation {
            finding: Finding { column: check.column.clone(), ..finding },
            sample: Some(Json::Array(samples)),
            suggestion: Some(
                Suggestion::sqlite()
                    .run(format!(
                        "SELECT {keys} FROM {} WHERE {}",
                        sqlite_name(&subject.plan.source),
                        // A comment in it ends with its line.
                        if check.text.contains("--") { condition.clone() } else { format!("NOT ({text})") }
                    ))
                    .note("repair these rows, or import with on_error => 'reject' to set them aside"),
            ),
        });
    }
    Ok(out)
}

/// A CHECK fails where its condition is false; NULL passes.
fn violated(text: &str) -> String {
    format!("NOT (\n{text}\n)")
}

/// How many rows satisfy a condition, and the first of them; `None` where SQLite cannot say: the condition
/// calls a function that only the application has, or writes a text in double quotes.
fn failing(
    subject: &InspectedTable<'_>,
    condition: &str,
    column: Option<usize>,
) -> Result<Option<(u64, Vec<Json>)>> {
    let key = Key::of_source_key(subject.plan, subject.inspected.options.samples);
    let mut columns: Vec<usize> = key.positions().filter_map(|p| subject.columns.get(p).copied()).collect();
    let first = columns.len();
    columns.extend(column);
    let key = key.first();
    let condition = match &subject.plan.filter {
        Some(filter) => format!("(\n{filter}\n) AND ({condition})"),
        None => condition.to_owned(),
    };
    let unknown = |error: SourceError| match error.kind() {
        SourceErrorKind::InvalidFilter => Ok(None),
        _ => Err(error.into()),
    };
    let mut reader = match subject.opened.source.rows_where(subject.table, &columns, Some(&condition)) {
        Ok(reader) => reader,
        Err(error) => return unknown(error),
    };
    let (mut count, mut samples) = (0u64, Vec::new());
    loop {
        match reader.next() {
            Ok(Some(row)) => {
                count += 1;
                if samples.len() < key.limit {
                    samples.push(key.entry(&row, values_of((first..columns.len()).map(|i| row.value(i)))));
                }
            }
            Ok(None) => break,
            Err(error) => return unknown(error),
        }
        if count.is_multiple_of(1000) {
            interrupt::check();
        }
    }
    Ok(Some((count, samples)))
}
