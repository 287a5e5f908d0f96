//! Which options are there, and is a value one of them?

use std::fmt::Write as _;

use serde_json::Value;

use super::{OptionError, nearest};
use crate::policy::{Identifiers, IntegerWidth, NoCase, Orphans, Verify};
use aliaport_rows::convert::NumberUnit;

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// `true` or `false`
    Flag,
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// One of these strings.
    Word(&'static [&'static str]),
}

/// One key of the `options` argument.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The way to the key; a segment in angle brackets stands for any name.
    pub path: &'static [&'static str],
    /// What it takes.
    pub kind: OptionKind,
    /// The default as JSON; empty where leaving the key out means "as the source has it".
    pub default: &'static str,
    /// One sentence for the manual.
    pub text: &'static str,
}

const fn spec(
    path: &'static [&'static str],
    kind: OptionKind,
    default: &'static str,
    text: &'static str,
) -> OptionSpec {
    OptionSpec { path, kind, default, text }
}

const ON_DELETE: &[&str] = &["no action", "restrict", "cascade", "set null", "set default"];

/// Every key of the `options` argument, in the order of the manual.
pub const OPTIONS: &[OptionSpec] = &[
    spec(&["include"], OptionKind::Texts, "[\"*\"]", "Globs on SQLite table names; only these are imported."),
    spec(&["exclude"], OptionKind::Texts, "[]", "Globs on SQLite table names that are left out."),
    spec(&["timezone"], OptionKind::Text, "\"UTC\"", "The time zone of naive datetimes, any IANA name."),
    spec(
        &["identifiers"],
        OptionKind::Word(Identifiers::WORDS),
        "\"preserve\"",
        "How names are written in PostgreSQL.",
    ),
    spec(
        &["integer"],
        OptionKind::Word(IntegerWidth::WORDS),
        "\"bigint\"",
        "The type of a column declared INTEGER or INT that is not a rowid alias.",
    ),
    spec(
        &["nocase"],
        OptionKind::Word(NoCase::WORDS),
        "\"lower_index\"",
        "What becomes of COLLATE NOCASE: unique indexes and indexes on lower(), type citext, or nothing.",
    ),
    spec(
        &["foreign_keys", "<table.column>", "on_delete"],
        OptionKind::Word(ON_DELETE),
        "",
        "ON DELETE of the constraint, instead of the declared one.",
    ),
    spec(
        &["foreign_keys", "<table.column>", "orphans"],
        OptionKind::Word(Orphans::WORDS),
        "",
        "What happens to this foreign key's orphans, instead of the argument orphans.",
    ),
    spec(
        &["tables", "<table>", "target"],
        OptionKind::Text,
        "",
        "The target table, with or without a schema; a name that has a dot is written in double quotes.",
    ),
    spec(
        &["tables", "<table>", "where"],
        OptionKind::Text,
        "",
        "A condition in SQLite's SQL: only these rows are imported.",
    ),
    spec(
        &["tables", "<table>", "columns", "<column>", "type"],
        OptionKind::Text,
        "",
        "The PostgreSQL type of a column that the import creates.",
    ),
    spec(
        &["tables", "<table>", "columns", "<column>", "target"],
        OptionKind::Text,
        "",
        "The target column's name.",
    ),
    spec(
        &["tables", "<table>", "columns", "<column>", "skip"],
        OptionKind::Flag,
        "false",
        "Leave the column out.",
    ),
    spec(
        &["tables", "<table>", "columns", "<column>", "number"],
        OptionKind::Word(NumberUnit::WORDS),
        "\"auto\"",
        "What a number in a date, time or interval column counts.",
    ),
    spec(
        &["tables", "<table>", "columns", "<column>", "uuid"],
        OptionKind::Word(&["rfc", "guid"]),
        "",
        "The order of the bytes in a blob that is a uuid: that of its text, or that of .NET's Guid.",
    ),
    spec(
        &["search", "<table>", "columns"],
        OptionKind::Texts,
        "",
        "Text columns that go into a generated tsvector column with a GIN index.",
    ),
    spec(&["search", "<table>", "config"], OptionKind::Text, "\"simple\"", "The text search configuration."),
    spec(
        &["triggers"],
        OptionKind::Word(&["off", "on"]),
        "\"off\"",
        "Whether user triggers of existing tables fire for the rows loaded.",
    ),
    spec(
        &["verify"],
        OptionKind::Word(Verify::WORDS),
        "\"content\"",
        "What is compared after the load: every value, the number of rows, or nothing.",
    ),
    spec(
        &["indexes"],
        OptionKind::Flag,
        "true",
        "Create the source's indexes; keys and what a foreign key needs are made in any case.",
    ),
    spec(
        &["foreign_key_constraints"],
        OptionKind::Flag,
        "true",
        "Create the source's foreign keys as constraints.",
    ),
    spec(
        &["sync_delete"],
        OptionKind::Flag,
        "true",
        "Mode sync deletes rows whose key has vanished from the source; false is refused in the other modes.",
    ),
    spec(
        &["samples"],
        OptionKind::Count(1, 10_000),
        "5",
        "Rows that the sample of a finding of aliaport_inspect shows.",
    ),
    spec(
        &["force"],
        OptionKind::Flag,
        "false",
        "Modes replace and sync import again although the source has not changed since the last run; true is refused in the other modes.",
    ),
];

/// The options as a Markdown table, for the manual.
#[must_use]
pub fn manual() -> String {
    let mut out = String::from("| option | takes | default | meaning |\n|---|---|---|---|\n");
    for option in OPTIONS {
        let default = if option.default.is_empty() { String::new() } else { format!("`{}`", option.default) };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} |",
            option.path.join("."),
            takes(option.kind),
            option.text
        );
    }
    out
}

fn takes(kind: OptionKind) -> String {
    match kind {
        OptionKind::Flag => "true or false".to_owned(),
        OptionKind::Text => "a string".to_owned(),
        OptionKind::Texts => "an array of strings".to_owned(),
        OptionKind::Count(least, most) => format!("a whole number from {least} to {most}"),
        OptionKind::Word(words) => one_of(words),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Walks a value and [`OPTIONS`] together. `path` is the way in OPTIONS, `shown` the way as the caller wrote
/// it.
pub(super) fn check(value: &Value, path: &mut Vec<&'static str>, shown: &str) -> Result<(), OptionError> {
    let below = || OPTIONS.iter().filter(|o| o.path.len() > path.len() && o.path.starts_with(path));
    if let Some(leaf) = OPTIONS.iter().find(|o| o.path == path.as_slice()) {
        return check_leaf(value, leaf, shown);
    }
    let mut allowed: Vec<&'static str> = below().filter_map(|o| o.path.get(path.len()).copied()).collect();
    allowed.dedup();
    let Some(object) = value.as_object() else {
        let message = if shown.is_empty() {
            format!("options must be an object, not {}", json_kind(value))
        } else {
            format!("option \"{shown}\" must be an object, not {}", json_kind(value))
        };
        return Err(OptionError::new(message, allowed_keys(&allowed)));
    };
    for (key, value) in object {
        let name = if shown.is_empty() { key.clone() } else { format!("{shown}.{key}") };
        let segment = allowed.iter().copied().find(|a| a.starts_with('<') || a == key);
        let Some(segment) = segment else {
            let perhaps = nearest(key, allowed.iter().copied())
                .map(|near| format!("Perhaps you meant \"{near}\". "))
                .unwrap_or_default();
            return Err(OptionError::new(
                format!("unrecognized option \"{name}\""),
                format!("{perhaps}{}", allowed_keys(&allowed)),
            ));
        };
        path.push(segment);
        let result = check(value, path, &name);
        path.pop();
        result?;
    }
    Ok(())
}

fn allowed_keys(allowed: &[&str]) -> String {
    match allowed {
        [name] if name.starts_with('<') => {
            format!("Its keys are names, written as {}.", name.trim_matches(['<', '>']))
        }
        _ => format!("Allowed keys are {}.", one_of(allowed).replace(" or ", " and ")),
    }
}

fn check_leaf(value: &Value, spec: &OptionSpec, shown: &str) -> Result<(), OptionError> {
    let fits = match spec.kind {
        OptionKind::Flag => value.is_boolean(),
        OptionKind::Text | OptionKind::Word(_) => value.is_string(),
        OptionKind::Count(least, most) => value.as_u64().is_some_and(|n| (least..=most).contains(&n)),
        OptionKind::Texts => value.as_array().is_some_and(|a| a.iter().all(Value::is_string)),
    };
    if !fits {
        let wanted = match spec.kind {
            OptionKind::Flag => "a boolean",
            OptionKind::Texts => "an array of strings",
            OptionKind::Count(..) => "a whole number in its bounds",
            OptionKind::Text | OptionKind::Word(_) => "a string",
        };
        let found = match value {
            Value::Array(_) if spec.kind == OptionKind::Texts => "an array of other values",
            Value::Number(_) if matches!(spec.kind, OptionKind::Count(..)) => "another number",
            _ => json_kind(value),
        };
        return Err(OptionError::new(
            format!("option \"{shown}\" must be {wanted}, not {found}"),
            format!("It takes {}.", takes(spec.kind)),
        ));
    }
    if let (OptionKind::Word(words), Some(given)) = (spec.kind, value.as_str())
        && !words.contains(&given)
    {
        let perhaps = nearest(given, words.iter().copied())
            .map(|near| format!("Perhaps you meant \"{near}\". "))
            .unwrap_or_default();
        return Err(bad_value(shown, given, format!("{perhaps}Valid values are {}.", one_of(words))));
    }
    Ok(())
}

pub(super) fn bad_value(shown: &str, given: &str, hint: String) -> OptionError {
    OptionError::new(format!("invalid value for option \"{shown}\": \"{}\"", shorten(given, 100)), hint)
}

/// At most `limit` characters of a text, with an ellipsis where something was cut.
#[must_use]
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
