//! Can every option have an effect? One that cannot is a mistake of the caller's: SQLSTATE 22023, before
//! anything is read.
//!
//! An option that asks for what is there already is no mistake: an import that is repeated every night keeps
//! its options.

use crate::catalogue::{Catalogue, Table};
use crate::finding::{Finding, Subject};
use crate::option::{ColumnOption, Options, TableOption};
use crate::target::{Past, Target, TargetColumn};
use aliaport_rows::convert::{NumberUnit, UuidBytes};
use aliaport_rows::pg_type::{PgType, Shape};

use super::draft::{Draft, DraftColumn, Role};
use super::error::PlanError;
use super::foreign::Foreign;
use super::request::same;
use super::{Mode, refers};
use aliaport_rows::identifier::quote;

/// What needs the source alone: globs that no table has, and options of tables and foreign keys that are not
/// imported.
pub(super) fn check_source(catalogue: &Catalogue, past: &Past, options: &Options) -> Result<(), PlanError> {
    let tables = || catalogue.tables.iter().map(|t| t.name.as_str());
    let others = || catalogue.others.iter().map(|o| o.name.as_str());
    if let Some(pattern) = options.unmatched_includes(|| Box::new(tables())).first() {
        return Err(without_match("include", pattern, "the import has no tables from it", catalogue));
    }
    // What an earlier run filled may be left out for good by the name that it had.
    let gone = || past.filled.iter().map(|t| t.source.as_str());
    // A table that `include` does not name may be excluded too: a list of what is never imported is kept
    // beside changing lists of what is.
    let known = || tables().chain(others()).chain(gone());
    if let Some(pattern) = options.unmatched_excludes(|| Box::new(known())).first() {
        return Err(without_match("exclude", pattern, "nothing is left out by it", catalogue));
    }
    if tables().count() > 0 && !tables().any(|name| options.includes(name)) {
        let names: Vec<&str> = tables().take(20).collect();
        return Err(error(
            "",
            "options \"include\" and \"exclude\" leave no table to import".to_owned(),
            format!("Let one of the source's tables take part: {}.", names.join(", ")),
        ));
    }
    for (name, asked) in &options.tables {
        if options.includes(name) {
            continue;
        }
        // What refers to a table that is left out has to know where that is.
        let is_parent = catalogue
            .tables
            .iter()
            .any(|t| options.includes(&t.name) && t.foreign_keys.iter().any(|k| same(&k.parent, name)));
        if let Some(key) = without_effect(asked, is_parent) {
            return Err(left_out(&format!("tables.{name}{key}"), name));
        }
    }
    if let Some(name) = options.search.keys().find(|name| !options.includes(name)) {
        return Err(left_out(&format!("search.{name}"), name));
    }
    for key in options.foreign_keys.keys() {
        let wanted = key.replace(", ", ",");
        let child = catalogue.tables.iter().find(|t| has_key(t, &wanted));
        if let Some(child) = child.filter(|t| !options.includes(&t.name)) {
            return Err(left_out(&format!("foreign_keys.{key}"), &child.name));
        }
    }
    let of_constraint = options.foreign_keys.iter().find(|(_, asked)| asked.on_delete.is_some());
    if let Some((key, _)) = of_constraint.filter(|_| !options.foreign_key_constraints) {
        return Err(error(
            "",
            format!(
                "option \"foreign_keys.{key}.on_delete\" has no effect, because \"foreign_key_constraints\" is false"
            ),
            "Remove one of the two options.".to_owned(),
        ));
    }
    Ok(())
}

/// What needs a table's columns with their types, and whether the table is there.
pub(super) fn check_draft(draft: &Draft<'_>, options: &Options) -> Result<(), PlanError> {
    let Some(asked) = options.table(&draft.table.name) else { return Ok(()) };
    for column in draft.columns.iter().filter(|c| c.role != Role::Skipped) {
        if let Some(asked) = asked.column(&column.column.name) {
            check_column(draft, column, asked)?;
        }
    }
    Ok(())
}

/// Options that mean something in some modes only.
///
/// # Errors
/// Where one is given that has no effect in this mode.
pub fn check_mode(mode: Mode, options: &Options) -> Result<(), PlanError> {
    let asked = [
        ("sync_delete", "false", !options.sync_delete && mode != Mode::Sync),
        ("force", "true", options.force && !matches!(mode, Mode::Replace | Mode::Sync)),
    ];
    match asked.into_iter().find(|(_, _, is_in_vain)| *is_in_vain) {
        None => Ok(()),
        Some((option, value, _)) => Err(error(
            "",
            format!("option \"{option}\" = {value} has no effect in mode {}", mode.as_str()),
            match option {
                "force" => {
                    "Remove it: only modes replace and sync leave out what would change nothing.".to_owned()
                }
                _ => "Remove it, or import in mode sync: no other mode looks for rows that have vanished."
                    .to_owned(),
            },
        )),
    }
}

/// Foreign keys that are not made, and an ON DELETE for a constraint that is there and has another one.
pub(super) fn check_actions(
    foreign: &Foreign,
    drafts: &[Draft<'_>],
    target: &Target,
    options: &Options,
) -> Result<(), PlanError> {
    for key in options.foreign_keys.keys() {
        let wanted = key.replace(", ", ",");
        if foreign.keys.iter().any(|k| same(&k.plan.label, &wanted)) {
            continue;
        }
        // Why it is not one is what the findings say of it.
        let Some(draft) = drafts.iter().find(|d| has_key(d.table, &wanted)) else { continue };
        let place = draft
            .table
            .foreign_keys
            .iter()
            .position(|k| same(&super::request::label(draft.table, k), &wanted));
        let is_it = |f: &&Finding| matches!(f.subject, Subject::ForeignKey(at, _) if Some(at) == place);
        let why = draft.findings.iter().find(is_it).map(ToString::to_string).unwrap_or_default();
        return Err(error(
            &draft.table.name,
            format!("option \"foreign_keys.{key}\" has no effect, because {why}"),
            "Remove the option, or let what the foreign key needs take part.".to_owned(),
        ));
    }
    match refers::other_action(foreign, drafts, target, options) {
        None => Ok(()),
        Some((key, is, statement)) => Err(error(
            "",
            format!(
                "option \"foreign_keys.{key}.on_delete\" has no effect, because the constraint exists and is ON DELETE {is}"
            ),
            format!("Remove the option, or change the constraint first: {statement};"),
        )),
    }
}

fn check_column(draft: &Draft<'_>, column: &DraftColumn<'_>, asked: &ColumnOption) -> Result<(), PlanError> {
    let table = &draft.table.name;
    let option = format!("tables.{table}.columns.{}", column.column.name);
    let there = draft.relation.and_then(|r| r.columns.iter().find(|c| c.name == column.target));
    if let (Some(wanted), Some(there)) = (&asked.pg_type, there)
        && !is_of_type(there, wanted)
    {
        let is = there.domain.clone().unwrap_or_else(|| there.pg_type.to_string());
        return Err(error(
            table,
            format!(
                "option \"{option}.type\" has no effect, because column {} of {} exists and is of type {is}",
                quote(&column.target),
                draft.target
            ),
            format!(
                "Remove the option, or change the column first: ALTER TABLE {} ALTER COLUMN {} TYPE {wanted} USING {}::{wanted};",
                draft.target,
                quote(&column.target),
                quote(&column.target)
            ),
        ));
    }
    if asked.number != NumberUnit::Auto && !reads_numbers(&column.pg_type, asked.number) {
        return Err(error(
            table,
            format!(
                "option \"{option}.number\" has no effect, because the column is of type {}",
                column.pg_type
            ),
            "It says what a number in a date, time or interval column counts: remove it, or give the column such a type."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Options of a table that is skipped after all: migration bookkeeping that the target has already.
pub(super) fn check_skipped(table: &Table, options: &Options) -> Result<(), PlanError> {
    let name = &table.name;
    let option =
        match (options.table(name).and_then(|asked| without_effect(asked, true)), options.search_of(name)) {
            (Some(key), _) => format!("tables.{name}{key}"),
            (None, Some(_)) => format!("search.{name}"),
            (None, None) => return Ok(()),
        };
    Err(error(
        name,
        format!(
            "option \"{option}\" has no effect, because the table is migration bookkeeping that the target has already"
        ),
        "Remove the option: the target's own rows stay as they are.".to_owned(),
    ))
}

/// The first thing that is asked for a table and means nothing where the table is not imported, as the end of
/// its path.
fn without_effect(asked: &TableOption, is_parent: bool) -> Option<String> {
    if asked.filter.is_some() {
        return Some(".where".to_owned());
    }
    if asked.target.is_some() && !is_parent {
        return Some(".target".to_owned());
    }
    asked.columns.iter().find_map(|(column, asked)| {
        let has_more = asked.skip
            || asked.pg_type.is_some()
            || asked.number != NumberUnit::Auto
            || asked.uuid != UuidBytes::Unsaid;
        (has_more || (asked.target.is_some() && !is_parent)).then(|| format!(".columns.{column}"))
    })
}

fn has_key(table: &Table, label: &str) -> bool {
    table.foreign_keys.iter().any(|key| same(&super::request::label(table, key), label))
}

/// Whether a column that is there has the type that is asked for. A type that only the server knows is known
/// by its name.
fn is_of_type(column: &TargetColumn, wanted: &PgType) -> bool {
    let bare = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or(name);
        last.replace('"', "").to_lowercase()
    };
    let wanted_name = bare(&wanted.to_string());
    is_same(&column.pg_type, wanted)
        || bare(&column.pg_type.to_string()) == wanted_name
        || column.domain.as_deref().is_some_and(|domain| bare(domain) == wanted_name)
}

/// Whether two types are one, whichever way they are spelt: `timestamptz[]` is `timestamp with time zone[]`.
fn is_same(a: &PgType, b: &PgType) -> bool {
    match (a, b) {
        (
            PgType::Other { shape: Shape::Array { element: a, .. }, .. },
            PgType::Other { shape: Shape::Array { element: b, .. }, .. },
        ) => is_same(a, b),
        (a, b) => a == b,
    }
}

/// Whether a number in a column of this type, or in a JSON array in it, can be counted in this unit.
fn reads_numbers(pg_type: &PgType, unit: NumberUnit) -> bool {
    match pg_type {
        PgType::Date | PgType::Time(_) | PgType::Timestamp(_) | PgType::TimestampTz(_) => true,
        PgType::Other { shape: Shape::Array { element: inner, .. } | Shape::Domain(inner), .. } => {
            reads_numbers(inner, unit)
        }
        // No span of time is a day of the calendar.
        other => other.is_timetz() || (other.is_interval() && unit != NumberUnit::Julian),
    }
}

fn without_match(option: &str, pattern: &str, what: &str, catalogue: &Catalogue) -> PlanError {
    let some: Vec<String> = catalogue.tables.iter().take(20).map(|t| format!("\"{}\"", t.name)).collect();
    let more = if catalogue.tables.len() > some.len() { " and more" } else { "" };
    error(
        "",
        format!("option \"{option}\" has \"{pattern}\", which matches no table of the source: {what}"),
        match some.is_empty() {
            true => "The source has no tables.".to_owned(),
            false => format!("The source's tables are {}{more}.", some.join(", ")),
        },
    )
}

fn left_out(option: &str, table: &str) -> PlanError {
    error(
        table,
        format!(
            "option \"{option}\" has no effect, because \"include\" and \"exclude\" leave SQLite table \"{table}\" out"
        ),
        "Remove the option, or let the table take part.".to_owned(),
    )
}

fn error(table: &str, message: String, hint: String) -> PlanError {
    PlanError::option(table, message, &hint)
}
