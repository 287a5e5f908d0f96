//! What will be done? A catalogue, what the target already has and what the caller asks for become a
//! [`Plan`].
//!
//! The parts, in the order in which they work: `request` checks the names in the options, `effect` that each
//! can have one, `relations` finds where tables go, `draft` finds each table's target and each column's type
//! with the names that `home` finds, `existing` matches them with tables that are there, `foreign` resolves
//! foreign keys, `table` settles what CREATE TABLE says, `keys` collects keys and indexes, `step` puts it all
//! in order.

mod draft;
mod drift;
mod effect;
mod error;
mod existing;
mod foreign;
mod foreign_table;
mod home;
mod keys;
mod missing;
mod refers;
mod relations;
mod request;
mod step;
mod table;

use std::collections::HashMap;

use crate::catalogue::{Catalogue, OtherKind, Table};
pub use crate::finding::PlanErrorKind;
use crate::finding::{Blocker, Cause, Existing, Finding, SKIPPED, Subject, Uncarried};
use crate::name::{Names, join_columns, spell};
use crate::option::Options;
use crate::order::load_order;
use crate::plan::{ForeignKeyPlan, Plan, TablePlan};
use crate::policy::Mode;
use crate::profile::Profiles;
use crate::suggestion::Suggestion;
use crate::target::Target;
use aliaport_rows::column::ColumnPlan;
use aliaport_rows::identifier::quote_literal;

use draft::{Draft, Drafting, Role, one_line};
pub use effect::check_mode as check_options;
pub use error::PlanError;
use foreign::Foreign;
pub use foreign_table::{ForeignColumn, ForeignTable, foreign_tables};
use relations::Relations;
use request::same;

/// Tables in which migration tools keep their own state. Where the target has its own, the source's must not
/// replace it.
const BOOKKEEPING: &[&str] = &[
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "__EFMigrationsHistory",
    "_prisma_migrations",
    "_sqlx_migrations",
    "alembic_version",
    "ar_internal_metadata",
    "DATABASECHANGELOG",
    "DATABASECHANGELOGLOCK",
    "django_migrations",
    "doctrine_migration_versions",
    "flyway_schema_history",
    "goose_db_version",
    "gorp_migrations",
    "knex_migrations",
    "knex_migrations_lock",
    "phinxlog",
    "refinery_schema_history",
    "schema_migrations",
    "SequelizeMeta",
    "south_migrationhistory",
];

/// Tables that migration tools and applications alike may have. Where they have rows, the HINT says what to
/// do if they are a tool's.
const LIKE_BOOKKEEPING: &[&str] = &[
    "aerich",
    "db_version",
    "migratehistory",
    "migration_lock",
    "migrations",
    "migrations_lock",
    "schema_info",
    "schema_migration",
    "schema_version",
    "seaql_migrations",
    "VersionInfo",
    "yoyo_lock",
];

/// Whether a table may be a migration tool's own.
fn is_like_bookkeeping(name: &str) -> bool {
    let is_named = name.to_ascii_lowercase().contains("migration") && !crate::option::is_glob(name);
    is_named || BOOKKEEPING.iter().chain(LIKE_BOOKKEEPING).any(|b| same(b, name))
}

/// What the caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What happens to rows that are there.
    pub mode: Mode,
    /// The checked options.
    pub options: &'a Options,
}

/// Whether a table's plan depends on what its columns hold: one of them has no or an unknown declared type.
/// Only these tables need an entry in the [`Profiles`] that [`plan`] takes, and only where the import
/// includes and creates them.
#[must_use]
pub fn needs_profile(table: &Table, options: &Options) -> bool {
    options.includes(&table.name) && crate::mapping::needs_profile(table, options)
}

/// Makes the plan.
///
/// # Errors
/// See [`PlanErrorKind`]: options that name what does not exist, and targets that cannot take the rows.
pub fn plan(
    catalogue: &Catalogue,
    profiles: &Profiles,
    target: &Target,
    request: &Request<'_>,
) -> Result<Plan, PlanError> {
    let options = request.options;
    request::check_names(catalogue, &target.past, options)?;
    effect::check_source(catalogue, &target.past, options)?;
    let relations = Relations::in_target(catalogue, target, options);
    let mut plan = Plan { timezone: options.timezone.clone(), ..Plan::default() };
    let tables = select(catalogue, &relations, options, &mut plan)?;

    let mut schemas: HashMap<String, Names> = HashMap::new();
    for relation in &target.relations {
        schemas.entry(relation.schema.clone()).or_default().occupy(&relation.name);
    }
    let drafting = Drafting { target, options, profiles, relations };
    let mut drafts = drafting.tables(&tables, &mut schemas)?;
    for draft in &drafts {
        request::check_uuids(draft, options)?;
    }
    drafts.iter().try_for_each(|draft| effect::check_draft(draft, options))?;
    check_mode(&drafts, request.mode)?;
    drift::check_lost(&mut drafts, catalogue, request.mode, target, options, &mut plan)?;

    let search = foreign::find_parents(catalogue, target, &drafting.relations, options, &mut drafts)?;
    for draft in &mut drafts {
        table::settle(draft, options)?;
    }
    let mut foreign = foreign::decide(search, options, &mut drafts);
    let sequences: Vec<_> = drafts
        .iter()
        .map(|d| if d.is_created() { table::reserve_sequence(d, &mut schemas) } else { None })
        .collect();
    let keys = keys::collect(&mut drafts, &foreign, options, &mut schemas);
    let mut constraints: Vec<Names> = vec![Names::new(); drafts.len()];
    for key in keys.iter().filter(|k| k.is_constraint()) {
        constraints[key.draft].occupy(&key.name);
    }
    let creates: Vec<String> = drafts
        .iter_mut()
        .zip(sequences)
        .zip(&mut constraints)
        .map(|((draft, sequence), names)| match draft.is_created() {
            true => table::create(draft, sequence, names, options, target),
            false => String::new(),
        })
        .collect();
    name_foreign_keys(&drafts, &mut foreign, &mut constraints, options);
    effect::check_actions(&foreign, &drafts, target, options)?;
    let missing =
        missing::missing(&mut drafts, &keys, &foreign, options, target, &mut schemas, &mut plan.elsewhere);

    let order = load_order(drafts.len(), &foreign.references);
    let parts =
        step::Parts { drafts: &drafts, order: &order, creates: &creates, keys: &keys, foreign: &foreign };
    plan.steps = parts.steps(&plan.skipped, request.mode, target.empty_by);
    finish(&mut plan, drafts, &order.order, foreign, request);
    missing::place(&mut plan, missing, &order.order);
    plan.findings.extend(others(catalogue, options));
    Ok(plan)
}

/// The tables to import; the others go to [`Plan::skipped`].
fn select<'a>(
    catalogue: &'a Catalogue,
    relations: &Relations<'_>,
    options: &Options,
    plan: &mut Plan,
) -> Result<Vec<&'a Table>, PlanError> {
    let mut selected = Vec::new();
    for table in &catalogue.tables {
        if !options.includes(&table.name) {
            plan.skipped.push((table.name.clone(), "left out by the options".to_owned()));
            continue;
        }
        let is_kept = BOOKKEEPING.iter().any(|b| same(b, &table.name))
            && relations.of_table(table)?.is_some_and(|r| relations::is_table(r) && !r.is_empty);
        if is_kept {
            effect::check_skipped(table, options)?;
            plan.findings.push(Finding::of(&table.name, Existing::Bookkeeping));
            plan.skipped.push((table.name.clone(), SKIPPED.to_owned()));
            continue;
        }
        selected.push(table);
    }
    Ok(selected)
}

/// What can be done about rows that mode create finds.
pub const OTHER_MODES: &str = "Use mode append to add rows, replace to put the source's rows in their place, or sync to make them equal.";

/// Whether existing tables can take part in the mode.
fn check_mode(drafts: &[Draft<'_>], mode: Mode) -> Result<(), PlanError> {
    let existing = drafts.iter().filter_map(|d| Some((d, d.relation?)));
    match mode {
        Mode::Append | Mode::Replace => Ok(()),
        Mode::Create => {
            let full = existing.filter(|(_, r)| !r.is_empty).map(|(d, _)| d);
            let findings: Vec<Finding> = full
                .map(|d| {
                    let name = d.table.name.as_str();
                    let remedy = match is_like_bookkeeping(name) {
                        true => Suggestion::postgresql().note(leave_out(&[name])).note(OTHER_MODES),
                        false => Suggestion::postgresql().note(OTHER_MODES),
                    };
                    d.finding(Blocker::HasRows(d.target.clone())).helped_by(remedy)
                })
                .collect();
            let names = findings.iter().filter_map(|f| f.table.as_deref());
            let likely: Vec<&str> = names.filter(|n| is_like_bookkeeping(n)).collect();
            let hint = match likely.is_empty() {
                true => OTHER_MODES.to_owned(),
                false => format!("{} {OTHER_MODES}", leave_out(&likely)),
            };
            PlanError::raise(PlanErrorKind::TargetNotEmpty, findings, &hint)
        }
        Mode::Sync => {
            let lacking = existing.filter(|(d, _)| sync_key(d).is_none()).map(|(d, _)| d);
            PlanError::raise(
                PlanErrorKind::NoKey,
                lacking.map(|d| d.finding(Blocker::NoKey(d.target.clone()))).collect(),
                "Use mode replace, or add a primary key (or a unique key whose columns are NOT NULL) over columns that the source has.",
            )
        }
    }
}

/// How tables that may be a migration tool's own are kept as they are.
fn leave_out(tables: &[&str]) -> String {
    let options = quote_literal(&serde_json::json!({ "exclude": tables }).to_string());
    format!(
        "If a migration tool keeps its history in {}, leave it out with options => {options}: the target has its own, which no other \
         mode would keep as it is.",
        tables.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(", ")
    )
}

/// The key by which mode sync tells the rows of an existing table apart: the primary key, else the first
/// unique key, that the source fills and that holds no NULL. Two rows with a NULL in a unique key are not the
/// same row, nor are they two.
fn sync_key<'d>(draft: &Draft<'d>) -> Option<&'d Vec<String>> {
    let relation = draft.relation?;
    let is_written =
        |name: &String| draft.columns.iter().any(|c| c.role == Role::Written && c.target == *name);
    let is_not_null = |name: &String| relation.columns.iter().any(|c| c.name == *name && c.is_not_null);
    relation.keys.iter().find(|key| key.iter().all(|name| is_written(name) && is_not_null(name)))
}

/// Names the constraints as declared, or as PostgreSQL would name them.
fn name_foreign_keys(drafts: &[Draft<'_>], foreign: &mut Foreign, names: &mut [Names], options: &Options) {
    for pass in [true, false] {
        for key in foreign.keys.iter_mut().filter(|k| k.declared_name.is_some() == pass) {
            let (Some(names), Some(draft)) = (names.get_mut(key.child), drafts.get(key.child)) else {
                continue;
            };
            key.plan.name = match &key.declared_name {
                Some(name) => names.assign(&spell(name, options.identifiers)).0,
                None => {
                    let columns = join_columns(key.plan.columns.iter().map(String::as_str));
                    names.make(&draft.target.name, &columns, "fkey")
                }
            };
        }
    }
}

/// Turns the drafts into the plan's tables, in load order.
fn finish(plan: &mut Plan, drafts: Vec<Draft<'_>>, order: &[usize], foreign: Foreign, request: &Request<'_>) {
    let mut foreign_keys: Vec<Vec<_>> = drafts.iter().map(|_| Vec::new()).collect();
    for key in foreign.keys {
        foreign_keys[key.child].push(key.plan);
    }
    let mut tables: Vec<Option<TablePlan>> = drafts
        .into_iter()
        .zip(foreign_keys)
        .map(|(draft, foreign_keys)| Some(table_plan(draft, foreign_keys, request)))
        .collect();
    plan.tables = order.iter().filter_map(|&i| tables.get_mut(i)?.take()).collect();
}

fn table_plan(draft: Draft<'_>, foreign_keys: Vec<ForeignKeyPlan>, request: &Request<'_>) -> TablePlan {
    let sync_key = match request.mode {
        Mode::Sync => sync_key(&draft).cloned().unwrap_or_default(),
        Mode::Create | Mode::Append | Mode::Replace => Vec::new(),
    };
    let sequences = step::sequences(&draft);
    let mut columns: Vec<ColumnPlan> = draft
        .columns
        .iter()
        .filter(|c| c.role == Role::Written)
        .map(|c| ColumnPlan {
            source: c.column.name.clone(),
            declared_type: c.column.declared_type.clone(),
            target: c.target.clone(),
            pg_type: c.pg_type.clone(),
            is_not_null: c.is_not_null,
            number: c.number,
            uuid: c.uuid,
        })
        .collect();
    if let Some(relation) = draft.relation {
        let places: HashMap<&str, usize> =
            relation.columns.iter().enumerate().map(|(i, c)| (c.name.as_str(), i)).collect();
        columns.sort_by_key(|c| places.get(c.target.as_str()).copied());
    }
    let key = draft.table.primary_key.iter().filter_map(|&i| draft.table.columns.get(i));
    TablePlan {
        source: draft.table.name.clone(),
        is_created: draft.relation.is_none(),
        columns,
        has_rowid: draft.table.has_rowid,
        source_key: key.map(|c| c.name.clone()).collect(),
        sync_key,
        filter: request.options.table(&draft.table.name).and_then(|t| t.filter.clone()),
        foreign_keys,
        sequences,
        target: draft.target,
        findings: draft.findings,
    }
}

/// Findings about views, triggers and virtual tables. A shadow table belongs to its virtual table and gets no
/// finding of its own.
fn others(catalogue: &Catalogue, options: &Options) -> Vec<Finding> {
    let of_kind = |kind| catalogue.others.iter().filter(move |o| o.kind == kind);
    let mut shadows: HashMap<String, u64> = HashMap::new();
    for shadow in of_kind(OtherKind::ShadowTable) {
        *shadows.entry(shadow.table.to_ascii_lowercase()).or_default() += 1;
    }
    let mut findings = Vec::new();
    for other in &catalogue.others {
        let count = match other.kind {
            OtherKind::VirtualTable => shadows.remove(&other.name.to_ascii_lowercase()).unwrap_or(0),
            OtherKind::ShadowTable => continue,
            OtherKind::View | OtherKind::Trigger | OtherKind::Unnameable | OtherKind::Reserved => 0,
        };
        // What is left out on purpose is no news.
        if !options.exclude.is_empty() && !options.includes(&other.table) {
            continue;
        }
        let why = Uncarried { cause: Cause::Kind, sql: one_line(&other.sql) };
        let subject = Subject::Object(other.kind, other.name.clone(), count);
        findings.push(Finding::of(&other.table, why).about(subject));
    }
    // What is left belongs to a virtual table that is not declared any more.
    let mut orphans: Vec<(String, u64)> = shadows.into_iter().collect();
    orphans.sort();
    for (table, count) in orphans {
        let is_declared = of_kind(OtherKind::VirtualTable).any(|o| same(&o.name, &table));
        if !is_declared {
            let subject = Subject::Object(OtherKind::ShadowTable, table.clone(), count);
            let finding = Finding::of(&table, Uncarried::new(Cause::Kind)).about(subject);
            findings.push(Finding { count: Some(count), ..finding });
        }
    }
    findings
}

#[cfg(test)]
mod tests;
