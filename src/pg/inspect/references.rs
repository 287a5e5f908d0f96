//! Rows whose parent will not be there, by foreign keys whose parents the source alone cannot tell: keys of
//! the target that the source does not declare, and keys to tables that this import does not fill.
//!
//! Values are asked for in the target as texts of types whose input and comparison are PostgreSQL's own code.
//! Nothing is said of others.

use aliaport_plan::ddl;
use aliaport_plan::finding::Orphan;
use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_plan::policy::{Mode, NoCase};
use aliaport_plan::suggestion::Suggestion;
use aliaport_rows::convert::{Converter, Scratch};
use aliaport_rows::identifier::{QualifiedName, quote, quote_literal};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Value};
use aliaport_sqlite::{Reference, RowReader};
use pgrx::JsonB;
use serde_json::{Value as Json, json};

use super::sample::{Key, values_of};
use super::{InspectedTable, Observation, keys};
use crate::pg::heap::standing;
use crate::pg::server::error::Result;
use crate::pg::server::subxact::{self, AtEnd};
use crate::pg::server::{interrupt, spi};
use crate::pg::table::foreign_key;
use crate::pg::table::target;

/// Rows whose parents are looked for together.
const BATCH: usize = 1000;

/// Whether a key leads to a table that this import fills.
pub fn is_to_imported(subject: &InspectedTable<'_>, key: &ForeignKeyPlan) -> bool {
    subject.inspected.plan.tables.iter().any(|t| t.target == key.parent)
}

/// Rows that such keys refuse.
pub fn refused(subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
    let mut plan = subject.plan.clone();
    if !plan.is_created {
        foreign_key::add_foreign_keys(&mut plan)?;
    }
    let mut out = Vec::new();
    for (number, key) in plan.foreign_keys.iter().enumerate() {
        let is_declared = number < subject.plan.foreign_keys.len();
        if is_declared && is_to_imported(subject, key) {
            continue;
        }
        // What a column gets that the source does not have, is known when it is there.
        let Some(own) = places(key.columns.iter(), subject.plan, subject.table) else { continue };
        if let Some(missing) = ParentSearch::of_key(subject, key, &own)?.run()? {
            out.extend(observation(subject, key, is_declared, missing)?);
        }
        interrupt::check();
    }
    Ok(out)
}

/// The columns of the source, as indexes into the table's, that attributes come from; none where one is not
/// imported.
fn places<'n>(
    attributes: impl Iterator<Item = &'n String>,
    plan: &TablePlan,
    table: &aliaport_plan::catalogue::Table,
) -> Option<Vec<usize>> {
    attributes
        .map(|name| {
            let column = plan.columns.iter().find(|c| c.target == *name)?;
            table.columns.iter().position(|c| c.name == column.source)
        })
        .collect()
}

/// Rows without a parent.
#[derive(Default)]
struct Missing {
    count: u64,
    samples: Vec<Json>,
}

/// Where the parents of a key can be.
struct ParentSearch<'a> {
    subject: &'a InspectedTable<'a>,
    /// The referencing columns, as indexes into the source table's.
    own: &'a [usize],
    /// The source's table that the parents come from, and its columns.
    source: Option<(&'a TablePlan, &'a aliaport_plan::catalogue::Table, Vec<usize>)>,
    /// The query that finds those values that no row of the target has which stays there.
    standing: Option<String>,
    /// The target's rows count, and cannot be looked at.
    is_unknown: bool,
}

impl<'a> ParentSearch<'a> {
    fn of_key(subject: &'a InspectedTable<'a>, key: &'a ForeignKeyPlan, own: &'a [usize]) -> Result<Self> {
        let parent = subject.inspected.plan.tables.iter().find(|t| t.target == key.parent);
        let source = parent.and_then(|plan| {
            let table = subject.opened.catalogue.table_named(&plan.source)?;
            Some((plan, table, places(key.parent_columns.iter(), plan, table)?))
        });
        let stays = match (subject.mode, &source) {
            _ if parent.is_none() => true,
            (Mode::Append, _) | (Mode::Sync, None) => true,
            (Mode::Sync, Some(_)) => !subject.inspected.options.sync_delete,
            (Mode::Create | Mode::Replace, _) => false,
        };
        let mut search = ParentSearch { subject, own, source, standing: None, is_unknown: false };
        if stays && let Some(relation) = target::relation_oid(&key.parent.schema, &key.parent.name)? {
            search.standing = query(key, &standing::from(relation, &key.parent)?)?;
            search.is_unknown = search.standing.is_none();
        }
        Ok(search)
    }

    /// The rows without a parent; none where nothing can be said.
    fn run(&self) -> Result<Option<Missing>> {
        if self.is_unknown {
            return Ok(None);
        }
        let ParentSearch { subject, own, .. } = self;
        let sample_key = Key::of_source_key(subject.plan, subject.inspected.options.samples);
        let mut columns: Vec<usize> =
            sample_key.positions().filter_map(|p| subject.columns.get(p).copied()).collect();
        let first = columns.len();
        columns.extend(*own);
        let sample_key = sample_key.first();
        let converters: Vec<Option<(Converter, &PgType)>> = own
            .iter()
            .map(|c| {
                let position = subject.columns.iter().position(|p| p == c)?;
                Some((subject.converter(position)?, &subject.plan.columns.get(position)?.pg_type))
            })
            .collect();
        let mut reader = self.read(&columns)?;
        let mut missing = Missing::default();
        let mut pending: Vec<(Json, Json)> = Vec::new();
        let mut scratch = Scratch::default();
        let mut read = 0u64;
        while let Some(row) = reader.next()? {
            read += 1;
            if read.is_multiple_of(BATCH as u64) {
                interrupt::check();
            }
            let values: Vec<Value<'_>> = (first..columns.len()).map(|i| row.value(i)).collect();
            let mut texts = Vec::with_capacity(values.len());
            for (value, converter) in values.iter().zip(&converters) {
                let Some((converter, pg_type)) = converter else { return Ok(None) };
                // A bad value is another observation, and a NULL points nowhere.
                match converter.convert(*value, &mut scratch) {
                    Ok(converted) if converted.cell != Cell::Null => {
                        texts.push(text(&converted.cell, pg_type));
                    }
                    _ => break,
                }
            }
            if texts.len() < values.len() {
                continue;
            }
            let entry = |n: u64| {
                if n < sample_key.limit as u64 {
                    sample_key.entry(&row, values_of(values.iter().copied()))
                } else {
                    Json::Null
                }
            };
            if self.standing.is_none() {
                missing.add(entry(missing.count), sample_key.limit);
                continue;
            }
            let Some(texts) = texts.into_iter().collect::<Option<Vec<Json>>>() else { return Ok(None) };
            pending.push((Json::Array(texts), sample_key.entry(&row, values_of(values.iter().copied()))));
            if pending.len() == BATCH && !self.settle(&mut pending, &mut missing)? {
                return Ok(None);
            }
        }
        if !self.settle(&mut pending, &mut missing)? {
            return Ok(None);
        }
        Ok((missing.count > 0).then_some(missing))
    }

    /// These columns of the rows that may have no parent.
    fn read(&self, columns: &[usize]) -> Result<RowReader<'_>> {
        let subject = self.subject;
        let filter = subject.plan.filter.as_deref();
        let source = &subject.opened.source;
        Ok(match &self.source {
            Some((plan, parent, parent_columns)) => source.orphans(
                &Reference {
                    child: subject.table,
                    columns: self.own,
                    child_filter: filter,
                    parent,
                    parent_columns,
                    parent_filter: plan.filter.as_deref(),
                    is_nocase: subject.inspected.options.nocase == NoCase::Citext,
                },
                columns,
            )?,
            None => source.rows_where(subject.table, columns, filter)?,
        })
    }

    /// Looks for the parents of these rows; false where that cannot be done.
    fn settle(&self, pending: &mut Vec<(Json, Json)>, missing: &mut Missing) -> Result<bool> {
        let rows = std::mem::take(pending);
        let (Some(query), false) = (&self.standing, rows.is_empty()) else { return Ok(true) };
        let (values, entries): (Vec<Json>, Vec<Json>) = rows.into_iter().unzip();
        let values = Json::Array(values);
        let ask = || {
            spi::rows_for_caller(query, &[JsonB(values.clone()).into()], |row| {
                Ok(row.get::<i64>(1)?.and_then(|n| usize::try_from(n - 1).ok()))
            })
        };
        // What the caller may not read he is not told of.
        let Ok(found) = subxact::within(AtEnd::Undo, ask) else { return Ok(false) };
        for entry in found.into_iter().flatten().filter_map(|n| entries.get(n)) {
            missing.add(entry.clone(), self.subject.inspected.options.samples);
        }
        Ok(true)
    }
}

impl Missing {
    fn add(&mut self, entry: Json, limit: usize) {
        self.count += 1;
        if self.samples.len() < limit {
            self.samples.push(entry);
        }
    }
}

/// A value of a key as PostgreSQL writes it.
fn text(cell: &Cell<'_>, pg_type: &PgType) -> Option<Json> {
    match (cell, pg_type) {
        (Cell::Int2(n), _) => Some(json!(n.to_string())),
        (Cell::Int4(n), _) => Some(json!(n.to_string())),
        (Cell::Int8(n), PgType::BigInt) => Some(json!(n.to_string())),
        (Cell::Uuid(bytes), _) => Some(json!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())),
        (Cell::Varlena(bytes), PgType::Text | PgType::Varchar { .. }) => {
            std::str::from_utf8(bytes).ok().map(|t| json!(t))
        }
        _ => None,
    }
}

/// The query for the places of those values, of a JSON array of arrays, that no row of the parent has; none
/// where a referenced column is not of a type that PostgreSQL alone reads and compares.
fn query(key: &ForeignKeyPlan, parent: &str) -> Result<Option<String>> {
    let mut terms = Vec::new();
    for (number, column) in key.parent_columns.iter().enumerate() {
        let Some(pg_type) = plain_type(&key.parent, column)? else { return Ok(None) };
        terms.push(format!(
            "p.{} OPERATOR(pg_catalog.=) (u.v OPERATOR(pg_catalog.->>) {number})::{pg_type}",
            quote(column)
        ));
    }
    Ok(Some(format!(
        "SELECT u.n FROM pg_catalog.jsonb_array_elements($1) WITH ORDINALITY AS u (v, n) \
         WHERE NOT EXISTS (SELECT 1 FROM {parent} p WHERE {}) ORDER BY u.n",
        terms.join(" AND ")
    )))
}

fn plain_type(table: &QualifiedName, column: &str) -> Result<Option<String>> {
    spi::one::<String>(
        "SELECT pg_catalog.format('pg_catalog.%I', CASE t.typname WHEN 'varchar' THEN 'text' ELSE t.typname END) \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND NOT a.attisdropped \
           AND t.oid = ANY ('{int2,int4,int8,numeric,text,varchar,uuid}'::pg_catalog.regtype[])",
        &[table.to_string().into(), column.to_owned().into()],
    )
}

fn observation(
    subject: &InspectedTable<'_>,
    key: &ForeignKeyPlan,
    is_declared: bool,
    missing: Missing,
) -> Result<Option<Observation>> {
    let goal = &subject.plan.target;
    let in_the_way = keys::refuses_all(subject, key)?;
    let allowed = keys::allowed(subject, key, in_the_way.is_none());
    let Missing { count, samples } = missing;
    let parent = subject.inspected.plan.tables.iter().find(|t| t.target == key.parent);
    let left_out = parent
        .and_then(|plan| key.parent_columns.iter().find(|c| !plan.columns.iter().any(|p| p.target == **c)));
    let drop = Suggestion::postgresql().run(ddl::drop_constraint(goal, &key.name)).note(
        "or import with orphans => 'reject', which sets these rows aside, or 'null', which clears the reference",
    );
    let (constraint, referenced) = (key.name.clone(), key.parent.clone());
    let (orphan, suggestion) = if is_declared {
        let option =
            quote_literal(&json!({"foreign_keys": {key.label.clone(): {"orphans": "reject"}}}).to_string());
        (
            Orphan::InTarget(key.label.clone(), referenced),
            Suggestion::postgresql()
                .note(format!("include \"{}\" in this import, or import it first", key.parent_source))
                .note(format!(
                    "or import with orphans => 'reject' or 'null', for this key alone with options => {option}"
                )),
        )
    } else if let Some(column) = left_out {
        (Orphan::Unfilled(constraint, goal.clone(), column.clone(), referenced), drop)
    } else {
        (Orphan::Undeclared(constraint, goal.clone(), referenced), drop)
    };
    Ok(Some(Observation {
        finding: keys::orphans_found(subject, key, orphan, allowed, count),
        sample: Some(Json::Array(samples)),
        suggestion: Some(suggestion),
    }))
}
