//! From a path to a plan: opens the source, reads both catalogues, and asks the plan room what to do.

use std::collections::HashSet;

use aliaport_plan::catalogue::{Catalogue, Table};
use aliaport_plan::name::{MAX_BYTES, clip, spell};
use aliaport_plan::option::{Options, nearest};
use aliaport_plan::plan::{Action, Plan};
use aliaport_plan::planner::{self, Request};
use aliaport_plan::policy::Mode;
use aliaport_plan::profile::Profiles;
use aliaport_plan::target::Target;
use aliaport_sqlite::{OpenOptions, Source, Uncomputable};
use pgrx::prelude::*;

use crate::pg::heap::pipeline;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::held::Held;
use crate::pg::server::{access, guc, interrupt, locks, spi, subxact};
use crate::pg::table::{column_type, missing, past, schema, target};

/// A source that is open, in its one snapshot, with the plan for it.
pub struct Planned {
    /// The open source.
    pub source: Held<Source>,
    /// What it declares.
    pub catalogue: Catalogue,
    /// What will be done.
    pub plan: Plan,
    /// The options, checked.
    pub options: Options,
    /// What the relations of the target's schemas were like before the plan was made, which takes no lock.
    pub shapes: target::Shapes,
}

/// A source that is open, in its one snapshot.
pub struct Opened {
    /// The open source.
    pub source: Held<Source>,
    /// What it declares.
    pub catalogue: Catalogue,
    /// The options, checked.
    pub options: Options,
}

/// Opens the file at `path` (checked first).
pub fn open(path: &str, options: &serde_json::Value) -> Result<Opened> {
    pipeline::refuse_nested()?;
    let location = access::source_path(path)?;
    let mut options = Options::parse(options)?;
    for (name, shape) in options.other_types() {
        if let Some(known) = column_type::type_of_caller(name)? {
            (*name, *shape) = known;
        } else if !is_serial(name) {
            return Err(Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
                .detail("A column's type in options.tables names it.")
                .hint(match column_type::extension_of(name)? {
                    Some(extension) => format!("Run CREATE EXTENSION {extension}; first."),
                    None => "Name a type that SELECT to_regtype('...') finds, with its schema where the search_path does not show it."
                        .to_owned(),
                }));
        }
    }
    for (table, search) in &options.search {
        require_config(table, &search.config)?;
    }
    let source = Source::open_at(
        location,
        OpenOptions { busy_timeout: guc::busy_timeout(), is_cancelled: interrupt::is_cancelled },
    )?;
    let source = Held::new(source);
    let catalogue = source.catalogue()?;
    Ok(Opened { source, catalogue, options })
}

/// Names that CREATE TABLE takes for a column with a sequence, and that are no types.
fn is_serial(name: &str) -> bool {
    ["smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"]
        .iter()
        .any(|s| name.eq_ignore_ascii_case(s))
}

/// Refuses a text search configuration that the database does not have.
fn require_config(table: &str, config: &str) -> Result<()> {
    let find = || {
        spi::one::<pgrx::pg_sys::Oid>(
            "SELECT $1::pg_catalog.regconfig::pg_catalog.oid",
            &[config.to_owned().into()],
        )
    };
    let Err(error) = subxact::within(subxact::AtEnd::Undo, find) else { return Ok(()) };
    let known = spi::one::<String>(
        "SELECT pg_catalog.string_agg(cfgname::pg_catalog.text, ', ' ORDER BY cfgname) FROM pg_catalog.pg_ts_config \
         WHERE cfgnamespace = 'pg_catalog'::pg_catalog.regnamespace",
        &[],
    )?;
    Err(Error::new(error.code(), format!("text search configuration \"{config}\" does not exist"))
        .detail(format!("Option \"search.{table}.config\" names it."))
        .hint(format!(
            "PostgreSQL's own are {}; others are named with their schema.",
            known.unwrap_or_default()
        )))
}

/// Has SQLite read the conditions of the options, so that a bad one is said before anything is done.
pub fn check_filters(source: &Source, catalogue: &Catalogue, plan: &Plan) -> Result<()> {
    for table in plan.tables.iter().filter(|t| t.filter.is_some()) {
        if let Some(read) = catalogue.tables.iter().find(|t| t.name == table.source) {
            source.rows_where(read, &[], table.filter.as_deref())?;
        }
    }
    Ok(())
}

/// What `schema`, and the other schemas that options name, hold already.
///
/// For the modes that tell drift, with what earlier runs left behind. `path` names the file as the caller
/// does.
pub fn target(
    path: &str,
    catalogue: &Catalogue,
    options: &Options,
    schema: &str,
    mode: Mode,
) -> Result<Target> {
    // Existing relations match by name, as declared or as the options spell it, without regard to case.
    let names = |table: &Table| {
        let spelled = spell(&table.name, options.identifiers);
        [table.name.to_lowercase(), clip(&spelled, MAX_BYTES).to_lowercase(), spelled.to_lowercase()]
    };
    let asked = options.tables.values().filter_map(|t| Some(t.target.as_ref()?.1.to_lowercase()));
    let (kept, left_out): (Vec<&Table>, Vec<&Table>) =
        catalogue.tables.iter().partition(|t| options.includes(&t.name));
    let kept: HashSet<String> = kept.into_iter().flat_map(names).chain(asked).collect();
    // What only tables that are left out may be called.
    let left_out: HashSet<String> =
        left_out.into_iter().flat_map(names).filter(|name| !kept.contains(name)).collect();
    let mut wanted: HashSet<String> = kept.union(&left_out).cloned().collect();
    let sources: HashSet<String> = catalogue.tables.iter().map(|t| t.name.to_lowercase()).collect();
    let filled = past::filled(mode)?;
    let made = filled.iter().filter(|f| sources.contains(&f.source.to_lowercase()));
    wanted.extend(made.map(|f| f.target.name.to_lowercase()));
    let mut schemas = options.target_schemas();
    schemas.iter().try_for_each(|schema| schema::require_schema(schema))?;
    schemas.push(schema.to_owned());
    let mut target = target::read(
        schema,
        &schemas,
        |name| wanted.contains(&name.to_lowercase()),
        |name| !left_out.contains(&name.to_lowercase()),
    )?;
    target.past = past::past_of(path, filled, &target, mode)?;
    Ok(target)
}

/// Opens the file at `path` (checked first) and plans its import into `schema`.
pub fn plan(path: &str, schema: &str, mode: Mode, options: &serde_json::Value) -> Result<Planned> {
    let Opened { source, catalogue, options } = open(path, options)?;
    planner::check_options(mode, &options)?;
    let mut profiles = Profiles::new();
    for table in &catalogue.tables {
        if planner::needs_profile(table, &options) {
            profiles.insert(table.name.clone(), source.profile(table)?);
        }
    }
    let mut schemas = options.target_schemas();
    schemas.push(schema.to_owned());
    let shapes = target::shapes(&schemas)?;
    let target = target(path, &catalogue, &options, schema, mode)?;
    let mut plan = planner::plan(&catalogue, &profiles, &target, &Request { mode, options: &options })?;
    refuse_uncomputable(&source, &catalogue, &plan)?;
    check_filters(&source, &catalogue, &plan)?;
    missing::settle(&mut plan)?;
    target::spare_heirs(&mut plan)?;
    if let Some((finding, remedy)) = locks::warning(&plan)?
        && let Some(first) = plan.steps.iter_mut().find(|step| step.action == Action::CreateTable)
    {
        let before = if first.note.is_empty() { "" } else { "; " };
        first.note = format!("{}{before}{}: {remedy}", first.note, finding);
    }
    Ok(Planned { source, catalogue, plan, options, shapes })
}

/// Refuses a plan that reads a generated column whose value is nowhere: SQLite computes it at each read, by a
/// function that is not here.
fn refuse_uncomputable(source: &Source, catalogue: &Catalogue, plan: &Plan) -> Result<()> {
    for Uncomputable { table, column, reason } in source.uncomputable(catalogue)? {
        let is_read =
            plan.tables.iter().any(|t| t.source == table && t.columns.iter().any(|c| c.source == column));
        if is_read {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION,
                format!("generated column \"{column}\" of SQLite table \"{table}\" cannot be computed"),
            )
            .detail(reason)
            .hint(format!(
                "Leave the column out with options => '{}', or make it STORED in SQLite.",
                skipping(&table, &column).replace('\'', "''")
            )));
        }
    }
    Ok(())
}

/// The options that leave a column out, as they are written.
pub fn skipping(table: &str, column: &str) -> String {
    serde_json::json!({ "tables": { table: { "columns": { column: { "skip": true } } } } }).to_string()
}

/// The mode's word, checked.
pub fn mode(word: &str) -> Result<Mode> {
    Mode::parse(&word.to_ascii_lowercase()).ok_or_else(|| match bad_argument("mode", word, Mode::WORDS) {
        error if nearest(word, Mode::WORDS.iter().copied()).is_some() => error,
        error => error.hint(
            "Write 'create' to fill new and empty tables, 'append' to add rows, 'replace' to put the source's rows in the place of those \
             that are there, or 'sync' to make the tables equal to the source.",
        ),
    })
}

/// A word that an argument does not take.
pub fn bad_argument(name: &str, word: &str, allowed: &[&str]) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("invalid value for {name}: \"{word}\""),
    )
    .detail(format!("Allowed are {}.", allowed.join(", ")))
    .hint(match nearest(word, allowed.iter().copied()) {
        Some(near) => format!("Perhaps you meant {name} => '{near}'."),
        None => format!(
            "Write one of these words, or leave {name} out: it is '{}' by default.",
            allowed.first().copied().unwrap_or_default()
        ),
    })
}
