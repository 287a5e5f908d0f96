//! Which columns and tables has a source gained or lost since its tables were filled or made? In modes
//! append, replace and sync nothing of that passes in silence: a column without a counterpart ends the plan
//! with the statement that mends it, a table is a warning with the statement. What its indexes and
//! constraints have come to is for `missing` to say.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{Catalogue, Generated};
use crate::ddl::{self, Clause, ColumnDefinition};
use crate::expr;
use crate::finding::{Blocker, Drift, Finding, PlanErrorKind, Subject};
use crate::name::{Names, spell};
use crate::option::{Options, is_glob};
use crate::plan::{KeptColumn, Plan};
use crate::suggestion::Suggestion;
use crate::target::{FilledTable, Target};
use aliaport_rows::identifier::{QualifiedName, comment, quote, quote_literal};
use aliaport_rows::pg_type::PgType;

use super::draft::{Columns, Draft, Role};
use super::error::PlanError;
use super::request::same;
use super::{Mode, table};

/// Source columns that have no counterpart in their existing tables, as one error whose hint is the
/// statements that add them.
///
/// Gives those columns the names that they would have, so the drafts are good for nothing else afterwards.
pub(super) fn missing_columns(
    drafts: &mut [Draft<'_>],
    target: &Target,
    options: &Options,
) -> Result<(), PlanError> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut statements = Vec::new();
    let mut skipped = Map::new();
    let mut renamed = Vec::new();
    for draft in drafts.iter_mut() {
        let Some(relation) = draft.relation else { continue };
        let table = draft.table.name.clone();
        let lacking: Vec<usize> = (0..draft.columns.len())
            .filter(|&i| draft.attribute(i).is_some_and(|c| c.target.is_empty()))
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let mut names = Names::of_columns();
        for column in &relation.columns {
            names.occupy(&column.name);
        }
        for &i in &lacking {
            let Some(column) = draft.columns.get_mut(i) else { continue };
            let name = &column.column.name;
            let asked = options.column(&table, name).and_then(|o| o.target.clone());
            column.target = asked.unwrap_or_else(|| names.assign(&spell(name, options.identifiers)).0);
        }
        let mut definitions = Vec::new();
        for &i in &lacking {
            let (Some(column), Some(definition)) = (draft.columns.get(i), definition(draft, i, target))
            else {
                continue;
            };
            let name = &column.column.name;
            let statement = ddl::add_columns(&draft.target, std::slice::from_ref(&definition));
            let why = Blocker::MissingColumn(column.target.clone(), draft.target.clone());
            let finding = draft.finding(why).in_column(name);
            findings.push(finding.helped_by(Suggestion::postgresql().run(statement)));
            definitions.push(definition);
            skip(&mut skipped, &table, name);
        }
        statements.push(format!("{};", ddl::add_columns(&draft.target, &definitions)));
        let gone = vanished(draft, target, options);
        if let ([column], [old]) = (definitions.as_slice(), gone.as_slice()) {
            let rename = ddl::rename_column(&draft.target, &old.target, &column.name);
            renamed.push(format!(" If \"{}\" was renamed in SQLite, run {rename}; instead.", old.source));
            if let Some(last) = findings.last_mut() {
                let instead =
                    format!("If \"{}\" was renamed in SQLite, run this instead:\n{rename};", old.source);
                last.advice = last.advice.take().map(|suggestion| suggestion.note(instead));
            }
        }
    }
    let what = if findings.len() == 1 { "the column" } else { "the columns" };
    let or = format!("Or leave {what} out with options => {}.{}", skip_option(skipped), renamed.concat());
    let hint = format!("{} {}", statements.join(" "), comment(&or));
    PlanError::raise(PlanErrorKind::MissingColumn, findings, &hint)
}

/// Adds a column to the options that skip what the error names.
fn skip(options: &mut Map<String, Json>, table: &str, column: &str) {
    let entry = options.entry(table).or_insert_with(|| json!({ "columns": {} }));
    if let Some(columns) = entry.get_mut("columns").and_then(Json::as_object_mut) {
        columns.insert(column.to_owned(), json!({ "skip": true }));
    }
}

fn skip_option(tables: Map<String, Json>) -> String {
    quote_literal(&json!({ "tables": tables }).to_string())
}

/// How ADD COLUMN writes a column that the table does not have. NOT NULL only where the rows that are there
/// get a value.
fn definition(draft: &Draft<'_>, position: usize, target: &Target) -> Option<ColumnDefinition> {
    let column = draft.attribute(position)?;
    let declared = column.column;
    let generated = || {
        let sql = draft.sql.columns.iter().find(|c| same(&c.name, &declared.name))?;
        let (_, expression) = sql.generated.as_ref()?;
        expr::generated(expression, &Columns::ordinary(draft), &column.pg_type).ok()
    };
    let clause = if table::identity_column(draft) == Some(position) {
        Clause::Identity(None)
    } else if declared.generated != Generated::No {
        generated().map_or(Clause::Nothing, Clause::Generated)
    } else {
        let default = declared.default.as_deref().and_then(|text| expr::default(text, &column.pg_type).ok());
        default.flatten().map_or(Clause::Nothing, Clause::Default)
    };
    let is_empty = draft.relation.is_some_and(|r| r.is_empty);
    let is_not_null = column.is_not_null && (is_empty || matches!(clause, Clause::Default(_)));
    let mut definition = ColumnDefinition::new(&column.target, &column.pg_type, clause, is_not_null);
    if let (PgType::Citext, Some(schema)) = (&column.pg_type, &target.citext_schema) {
        definition.pg_type = format!("{}.citext", quote(schema));
    }
    Some(definition)
}

fn filled<'t>(target: &'t Target, name: &QualifiedName) -> Option<&'t FilledTable> {
    target.past.filled.iter().find(|t| t.target == *name)
}

/// A column that earlier runs filled and this one does not write.
struct Lost {
    source: String,
    target: String,
    /// It has values of theirs.
    is_filled: bool,
    /// The options say so.
    is_accepted: bool,
}

fn lost(draft: &Draft<'_>, target: &Target, options: &Options) -> Vec<Lost> {
    let (Some(relation), Some(filled)) = (draft.relation, filled(target, &draft.target)) else {
        return Vec::new();
    };
    let fed: HashSet<&str> =
        draft.columns.iter().filter(|c| c.role != Role::Skipped).map(|c| c.target.as_str()).collect();
    filled
        .columns
        .iter()
        .filter(|c| !fed.contains(c.target.as_str()) && relation.columns.iter().any(|r| r.name == c.target))
        .map(|c| {
            let is_skipped = options.column(&draft.table.name, &c.source).is_some_and(|o| o.skip);
            // The source has it still, so options or names send it elsewhere.
            let is_elsewhere = draft.table.columns.iter().any(|s| same(&s.name, &c.source));
            Lost {
                source: c.source.clone(),
                target: c.target.clone(),
                is_filled: c.is_filled,
                is_accepted: is_skipped || is_elsewhere,
            }
        })
        .collect()
}

fn vanished(draft: &Draft<'_>, target: &Target, options: &Options) -> Vec<Lost> {
    let lost = lost(draft, target, options).into_iter();
    lost.filter(|l| l.is_filled && !l.is_accepted).collect()
}

/// The attributes that [`check_lost`] will ask a decision about.
pub(super) fn undecided(draft: &Draft<'_>, target: &Target, options: &Options) -> Vec<String> {
    if !target.past.is_told {
        return Vec::new();
    }
    vanished(draft, target, options).into_iter().map(|l| l.target).collect()
}

/// Whether a column refuses the NULL that a new row would have in it, and the statement that lets it take
/// one. A key's column and one of a domain do not let go of it.
pub(super) fn relaxed(draft: &Draft<'_>, target: &Target, column: &str) -> Option<Option<String>> {
    let there = draft.relation?.columns.iter().find(|c| c.name == column)?;
    if !there.is_not_null || there.has_default || there.is_generated {
        return None;
    }
    let structures = &target.past.structures;
    let is_key = structures.iter().filter(|(name, _)| *name == draft.target).any(|(_, s)| {
        let keys = s.indexes.iter().filter(|i| i.is_primary);
        keys.flat_map(|k| &k.terms).any(|t| t.attribute.as_deref() == Some(column))
    });
    Some((!is_key && there.domain.is_none()).then(|| ddl::drop_not_null(&draft.target, column)))
}

/// Columns and tables that earlier runs filled and this one does not.
///
/// # Errors
/// Where the source has lost a column and nobody has said what shall become of its values.
pub(super) fn check_lost(
    drafts: &mut [Draft<'_>],
    catalogue: &Catalogue,
    mode: Mode,
    target: &Target,
    options: &Options,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    if !target.past.is_told {
        return Ok(());
    }
    let mut findings = Vec::new();
    let mut drops = Vec::new();
    let mut relaxes = Vec::new();
    let mut can_stay = true;
    let mut skipped = Map::new();
    for draft in drafts.iter_mut() {
        let table = draft.table.name.clone();
        for lost in lost(draft, target, options) {
            if lost.is_filled && lost.is_accepted {
                let is_emptied = mode == Mode::Replace;
                let why = Drift::Unwritten(lost.target.clone(), draft.target.clone(), is_emptied);
                draft.tell(why, Subject::Table, Some(&lost.source));
            }
            if lost.is_accepted || !lost.is_filled {
                plan.kept.push(KeptColumn {
                    table: draft.target.clone(),
                    source: lost.source,
                    target: lost.target,
                    is_filled: lost.is_filled && mode != Mode::Replace,
                });
                continue;
            }
            let drop = ddl::drop_column(&draft.target, &lost.target);
            let mut keep = Map::new();
            skip(&mut keep, &table, &lost.source);
            let keep = skip_option(keep);
            let stay = match relaxed(draft, target, &lost.target) {
                None => format!("To go on without it import with options => {keep}."),
                Some(Some(relax)) => {
                    relaxes.push(format!("{relax};"));
                    format!(
                        "It is NOT NULL. To go on without it run {relax}; and import with options => {keep}."
                    )
                }
                // Without a value no row could be written.
                Some(None) => {
                    can_stay = false;
                    "It cannot be left without values, because it is part of a key or NOT NULL by its domain."
                        .to_owned()
                }
            };
            let why = Blocker::VanishedColumn(lost.target.clone(), draft.target.clone());
            let remedy =
                Suggestion::postgresql().run(&drop).note(format!("This gives its values up. {stay}"));
            findings.push(draft.finding(why).in_column(&lost.source).helped_by(remedy));
            drops.push(format!("{drop};"));
            skip(&mut skipped, &table, &lost.source);
        }
    }
    let what = if findings.len() == 1 { "the column" } else { "the columns" };
    let stay = if mode == Mode::Replace { "but loses the old values" } else { "and keeps the values" };
    let drops = drops.join(" ");
    let first = match relaxes.as_slice() {
        [] => String::new(),
        relaxes => format!("first run {} and then ", relaxes.join(" ")),
    };
    let hint = if can_stay {
        let instead = format!(
            "This gives the values up. To leave {what} in place, which writes no new values {stay}, {first}import with options => {}.",
            skip_option(skipped)
        );
        format!("{drops} {}", comment(&instead))
    } else {
        format!("{drops} -- This gives the values up: without a value in {what} no row could be written.")
    };
    PlanError::raise(PlanErrorKind::VanishedColumn, findings, &hint)?;
    vanished_tables(drafts, catalogue, target, options, plan);
    Ok(())
}

/// Tables that were filled together with those that are filled now, or from a file of this name, and that the
/// source does not have any more. Other files may go to the same schema, so a table alone says nothing.
fn vanished_tables(
    drafts: &[Draft<'_>],
    catalogue: &Catalogue,
    target: &Target,
    options: &Options,
    plan: &mut Plan,
) {
    let is_drafted = |t: &FilledTable| drafts.iter().any(|d| d.target == t.target);
    let past = &target.past.filled;
    let together: BTreeSet<i64> = past.iter().filter(|t| is_drafted(t)).map(|t| t.run_id).collect();
    let is_given_up = |t: &FilledTable| {
        options.exclude.iter().any(|name| !is_glob(name) && same(name, &t.source))
            || catalogue.tables.iter().any(|s| same(&s.name, &t.source))
    };
    // The same file may fill other schemas by other calls.
    let is_here = |t: &FilledTable| {
        t.target.schema == target.schema || drafts.iter().any(|d| d.target.schema == t.target.schema)
    };
    let is_of_file = |t: &FilledTable| !t.path.is_empty() && t.path == target.past.path && is_here(t);
    let is_ours = |t: &FilledTable| together.contains(&t.last_seen) || is_of_file(t);
    for table in past.iter().filter(|t| !is_drafted(t) && is_ours(t) && !is_given_up(t)) {
        let why = Drift::TableVanished(table.target.clone(), table.run_id);
        let finding = Finding::of(&table.source, why);
        plan.findings.push(finding.with_statement(ddl::drop_table(&table.target)));
        plan.vanished.push(table.target.clone());
    }
}
