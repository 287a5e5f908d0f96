//! What has a source gained or lost since its tables were filled or made? In modes append, replace and sync nothing of that passes in
//! silence: a column without a counterpart ends the plan with the statement that mends it, everything else is a warning with
//! the statement.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{Catalogue, Generated};
use crate::ddl::{self, Clause, ColumnDefinition, ForeignKeyDefinition};
use crate::expr;
use crate::finding::Finding;
use crate::name::{Names, join_columns, quote, quote_literal, spell};
use crate::option::{Options, is_glob};
use crate::pg_type::PgType;
use crate::plan::{KeptColumn, Missing, Plan, QualifiedName};
use crate::target::{FilledTable, Structure, Target, TargetIndex};

use super::Mode;
use super::draft::{Columns, Draft, Role};
use super::error::{PlanError, PlanErrorKind};
use super::foreign::Foreign;
use super::keys::{self, KeyDraft, KeyKind};
use super::request::same;
use super::table;

/// Expressions over a table: those that are wanted, and those that it has instead.
type Pair = (Vec<String>, Vec<String>);

/// An index or constraint that the table of a draft seems not to have.
pub(super) struct Found {
    draft: usize,
    finding: Finding,
    perhaps: Vec<Pair>,
}

/// Source columns that have no counterpart in their existing tables, as one error whose hint is the statements that add them.
///
/// Gives those columns the names that they would have, so the drafts are good for nothing else afterwards.
pub(super) fn missing_columns(
    drafts: &mut [Draft<'_>],
    target: &Target,
    options: &Options,
) -> Option<PlanError> {
    let mut items = Vec::new();
    let mut remedies = Vec::new();
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
            let message = format!(
                "column \"{name}\" of SQLite table \"{table}\" has no column {} in {}",
                quote(&column.target),
                draft.target
            );
            items.push((table.clone(), Some(name.clone()), message));
            let statement = ddl::add_columns(&draft.target, std::slice::from_ref(&definition));
            remedies.push(format!("-- postgresql\n{statement};"));
            definitions.push(definition);
            skip(&mut skipped, &table, name);
        }
        statements.push(format!("{};", ddl::add_columns(&draft.target, &definitions)));
        let gone = vanished(draft, target, options);
        if let ([column], [old]) = (definitions.as_slice(), gone.as_slice()) {
            renamed.push(format!(
                " If \"{}\" was renamed in SQLite, run {}; instead.",
                old.source,
                ddl::rename_column(&draft.target, &old.target, &column.name)
            ));
        }
    }
    let what = if items.len() == 1 { "the column" } else { "the columns" };
    let hint = format!(
        "{} -- Or leave {what} out with options => {}.{}",
        statements.join(" "),
        skip_option(skipped),
        renamed.concat()
    );
    let summary = format!("{} columns of the source have no column in the target", items.len());
    Some(PlanError::of(PlanErrorKind::MissingColumn, items, summary, &hint)?.with_remedies(remedies))
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

/// How ADD COLUMN writes a column that the table does not have. NOT NULL only where the rows that are there get a value.
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
    let mut items = Vec::new();
    let mut remedies = Vec::new();
    let mut drops = Vec::new();
    let mut skipped = Map::new();
    for draft in drafts.iter_mut() {
        let table = draft.table.name.clone();
        for lost in lost(draft, target, options) {
            if lost.is_filled && lost.is_accepted {
                let fate = match mode {
                    Mode::Replace => "its old values go with the rows that are replaced",
                    Mode::Create | Mode::Append | Mode::Sync => "it keeps the values that it has",
                };
                let message = format!(
                    "column {} of {}, which earlier runs filled from \"{}\", is not written: {fate}",
                    quote(&lost.target),
                    draft.target,
                    lost.source
                );
                draft.warn_column("column_vanished", &lost.source, message);
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
            let message = format!(
                "column {} of {} was filled from column \"{}\" of SQLite table \"{table}\", which the source does not have any more",
                quote(&lost.target),
                draft.target,
                lost.source
            );
            items.push((table.clone(), Some(lost.source.clone()), message));
            let drop = format!("{};", ddl::drop_column(&draft.target, &lost.target));
            let mut keep = Map::new();
            skip(&mut keep, &table, &lost.source);
            remedies.push(format!(
                "-- postgresql\n{drop}\n-- This gives its values up. To go on without it import with options => {}.",
                skip_option(keep)
            ));
            drops.push(drop);
            skip(&mut skipped, &table, &lost.source);
        }
    }
    let what = if items.len() == 1 { "the column" } else { "the columns" };
    let stay = if mode == Mode::Replace { "but loses the old values" } else { "and keeps the values" };
    let hint = format!(
        "{} -- This gives the values up. To leave {what} in place, which writes no new values {stay}, import with options => {}.",
        drops.join(" "),
        skip_option(skipped)
    );
    let summary = format!("{} columns that earlier runs filled are not in the source any more", items.len());
    if let Some(error) = PlanError::of(PlanErrorKind::VanishedColumn, items, summary, &hint) {
        return Err(error.with_remedies(remedies));
    }
    vanished_tables(drafts, catalogue, target, options, plan);
    Ok(())
}

/// Tables that were filled together with those that are filled now, and that the source does not have any more. Other files may go to
/// the same schema, so a table alone says nothing.
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
    for table in past.iter().filter(|t| !is_drafted(t) && together.contains(&t.last_seen) && !is_given_up(t))
    {
        let message = format!(
            "table {} was filled from SQLite table \"{}\" by run {}, and the source does not have it any more; its rows stay as they are",
            table.target, table.source, table.run_id
        );
        let finding = Finding::warning("table_vanished", &table.source, message);
        plan.findings.push(finding.with_statement(ddl::drop_table(&table.target)));
        plan.vanished.push(table.target.clone());
    }
}

/// What the import would make if it made the tables that are there, and what they have not.
pub(super) fn missing(
    drafts: &mut [Draft<'_>],
    created: &[KeyDraft],
    foreign: &Foreign,
    options: &Options,
    target: &Target,
    schemas: &mut HashMap<String, Names>,
) -> Vec<Found> {
    let mut out = Vec::new();
    let structures: HashMap<&QualifiedName, &Structure> =
        target.past.structures.iter().map(|(name, structure)| (name, structure)).collect();
    // Columns that are unique, or will be when what is missing has been made: for foreign keys.
    let mut unique: Vec<(QualifiedName, BTreeSet<String>)> = Vec::new();
    for key in created {
        if let (KeyKind::Primary(columns) | KeyKind::Unique(columns), Some(draft)) =
            (&key.kind, drafts.get(key.draft))
        {
            unique.push((draft.target.clone(), columns.iter().cloned().collect()));
        }
    }
    for relation in &target.relations {
        let name = QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() };
        unique.extend(relation.keys.iter().map(|key| (name.clone(), key.iter().cloned().collect())));
    }
    for (i, draft) in drafts.iter_mut().enumerate() {
        let Some(structure) = structures.get(&draft.target).filter(|_| !draft.is_created()) else { continue };
        let mut names = schemas.entry(draft.target.schema.clone()).or_default().clone();
        for name in &structure.constraint_names {
            names.occupy(name);
        }
        let mut of_table = OfTable { number: i, draft, structure, names, out: Vec::new() };
        of_table.keys(foreign, options, &mut unique);
        of_table.checks(options);
        of_table.not_nulls();
        out.append(&mut of_table.out);
    }
    if options.foreign_key_constraints {
        for key in foreign.keys.iter().filter(|k| !k.plan.is_created) {
            let Some(draft) = drafts.get(key.child) else { continue };
            let Some(structure) = structures.get(&draft.target) else { continue };
            let pairs: BTreeSet<(&String, &String)> =
                key.plan.columns.iter().zip(&key.plan.parent_columns).collect();
            let is_there = structure.foreign_keys.iter().any(|k| {
                k.parent == key.plan.parent
                    && k.pairs.iter().map(|(c, p)| (c, p)).collect::<BTreeSet<_>>() == pairs
            });
            let referenced: BTreeSet<String> = key.plan.parent_columns.iter().cloned().collect();
            if is_there || !unique.iter().any(|(t, columns)| *t == key.plan.parent && *columns == referenced)
            {
                continue;
            }
            let mut names = Names::new();
            for name in &structure.constraint_names {
                names.occupy(name);
            }
            let name = match &key.declared_name {
                Some(name) => names.assign(&spell(name, options.identifiers)).0,
                None => {
                    let joined = join_columns(key.plan.columns.iter().map(String::as_str));
                    names.make(&draft.target.name, &joined, "fkey")
                }
            };
            let statement = ddl::add_foreign_key(
                &draft.target,
                &ForeignKeyDefinition {
                    name: &name,
                    columns: &key.plan.columns,
                    parent: &key.plan.parent,
                    parent_columns: &key.plan.parent_columns,
                    on_update: &key.on_update,
                    on_delete: &key.on_delete,
                    deferrable: key.deferrable,
                },
            );
            let message = format!("foreign key {} is missing on {}", key.plan.label, draft.target);
            let finding = Finding::warning("constraint_missing", &draft.table.name, message);
            out.push(Found {
                draft: key.child,
                finding: finding.with_statement(statement),
                perhaps: Vec::new(),
            });
        }
    }
    out
}

/// Gives what was found its table's place in the plan.
pub(super) fn place(plan: &mut Plan, found: Vec<Found>, order: &[usize]) {
    for Found { draft, finding, perhaps } in found {
        if let Some(table) = order.iter().position(|&i| i == draft) {
            plan.missing.push(Missing { table, finding, perhaps });
        }
    }
}

struct OfTable<'d, 'a> {
    number: usize,
    draft: &'d mut Draft<'a>,
    structure: &'d Structure,
    /// Taken names of the schema's relations and of the table's constraints.
    names: Names,
    out: Vec<Found>,
}

impl OfTable<'_, '_> {
    fn push(&mut self, code: &'static str, message: String, statement: String, perhaps: Vec<Pair>) {
        let finding = Finding::warning(code, &self.draft.table.name, message).with_statement(statement);
        self.out.push(Found { draft: self.number, finding, perhaps });
    }

    fn has_unique(&self, columns: &[String]) -> bool {
        self.structure.indexes.iter().any(|i| i.is_unique && is_over(i, columns))
    }

    fn keys(
        &mut self,
        foreign: &Foreign,
        options: &Options,
        unique: &mut Vec<(QualifiedName, BTreeSet<String>)>,
    ) {
        let table = self.draft.table.name.clone();
        let target = self.draft.target.clone();
        for mut key in keys::wanted(self.number, self.draft, foreign, options) {
            let mut perhaps = Vec::new();
            let other_primary = self.structure.indexes.iter().any(|i| i.is_primary);
            let what = match &key.kind {
                KeyKind::Primary(columns) | KeyKind::Unique(columns) if self.has_unique(columns) => continue,
                KeyKind::Primary(columns) if other_primary => {
                    let what = format!("uniqueness of the primary key ({})", columns.join(", "));
                    key.kind = KeyKind::Unique(columns.clone());
                    what
                }
                KeyKind::Primary(columns) => format!("primary key ({})", columns.join(", ")),
                KeyKind::Unique(columns) => format!("unique constraint ({})", columns.join(", ")),
                KeyKind::Index(wanted) => {
                    let like: Vec<&TargetIndex> =
                        self.structure.indexes.iter().filter(|i| is_alike(wanted, i)).collect();
                    if like.iter().any(|i| expressions(i).is_empty()) {
                        continue;
                    }
                    let mut asked: Vec<String> = wanted
                        .terms
                        .iter()
                        .filter(|t| is_expression(t, &self.structure.attributes))
                        .map(|t| term(t).0.to_owned())
                        .collect();
                    asked.extend(wanted.predicate.clone());
                    perhaps.extend(like.iter().map(|i| (asked.clone(), expressions(i))));
                    "index".to_owned()
                }
            };
            key.name_in(&mut self.names, &self.draft.target.name);
            if let KeyKind::Primary(columns) | KeyKind::Unique(columns) = &key.kind {
                unique.push((target.clone(), columns.iter().cloned().collect()));
            }
            let (code, message) = match &key.kind {
                KeyKind::Index(_) => (
                    "index_missing",
                    format!("index {} of table \"{table}\" is missing on {target}", quote(&key.name)),
                ),
                _ => ("constraint_missing", format!("{what} of table \"{table}\" is missing on {target}")),
            };
            let statement = key.step(&target).sql;
            self.push(code, message, statement, perhaps);
        }
    }

    /// Checks that are not there. What a type of the target says as well, as an enum or a boolean does, is not asked for.
    fn checks(&mut self, options: &Options) {
        let (carried, _) = table::carried_checks(self.draft);
        for check in carried {
            let says_it = |&i: &usize| {
                self.draft.attribute(i).is_some_and(|c| {
                    let relation = self.draft.relation;
                    let column = relation.and_then(|r| r.columns.iter().find(|r| r.name == c.target));
                    matches!(c.pg_type, PgType::Enum { .. } | PgType::Boolean | PgType::Json | PgType::Jsonb)
                        || column.is_none_or(|r| r.domain.is_some())
                })
            };
            if check.seen.iter().any(says_it) {
                continue;
            }
            let perhaps = self
                .structure
                .checks
                .iter()
                .map(|c| (vec![check.expression.clone()], vec![c.clone()]))
                .collect();
            let name = match &check.name {
                Some(name) => self.names.assign(&spell(name, options.identifiers)).0,
                None => {
                    self.names.make(&self.draft.target.name, &join_columns([check.column.as_str()]), "check")
                }
            };
            let message = format!(
                "check ({}) of table \"{}\" is missing on {}",
                check.expression, self.draft.table.name, self.draft.target
            );
            let statement = ddl::add_check(&self.draft.target, &name, &check.expression);
            self.push("constraint_missing", message, statement, perhaps);
        }
    }

    fn not_nulls(&mut self) {
        let lacking: Vec<(String, String)> = self
            .draft
            .columns
            .iter()
            .filter(|c| c.role == Role::Written && c.column.is_not_null && !c.is_not_null)
            .map(|c| (c.column.name.clone(), c.target.clone()))
            .collect();
        for (source, column) in lacking {
            let message = format!(
                "NOT NULL of column \"{source}\" of table \"{}\" is missing on column {} of {}",
                self.draft.table.name,
                quote(&column),
                self.draft.target
            );
            let statement = ddl::set_not_null(&self.draft.target, &column);
            self.push("constraint_missing", message, statement, Vec::new());
            if let Some(found) = self.out.last_mut() {
                found.finding.column = Some(source);
            }
        }
    }
}

/// Whether an index is over just these columns and over all rows.
fn is_over(index: &TargetIndex, columns: &[String]) -> bool {
    let wanted: HashSet<&String> = columns.iter().collect();
    let found: Option<HashSet<&String>> = index.terms.iter().map(|t| t.attribute.as_ref()).collect();
    index.predicate.is_none() && found.is_some_and(|f| f == wanted)
}

/// A term of an index that is to be made, and whether its order is descending.
fn term(sql: &str) -> (&str, bool) {
    match sql.strip_suffix(" DESC") {
        Some(term) => (term, true),
        None => (sql, false),
    }
}

fn is_expression(sql: &str, attributes: &[String]) -> bool {
    !attributes.iter().any(|a| quote(a) == term(sql).0)
}

/// Whether an index that is there can be the wanted one: equal in all but expressions, which stand for each other wherever both have
/// one. An index that is read backwards is the same index.
fn is_alike(wanted: &ddl::IndexDefinition, index: &TargetIndex) -> bool {
    let method = if wanted.method.is_empty() { "btree" } else { wanted.method };
    let orders: BTreeSet<bool> =
        wanted.terms.iter().zip(&index.terms).map(|(w, i)| term(w).1 == i.is_descending).collect();
    method == index.method
        && (index.is_unique || !wanted.is_unique)
        && wanted.terms.len() == index.terms.len()
        && orders.len() <= 1
        && wanted.predicate.is_some() == index.predicate.is_some()
        && wanted.terms.iter().zip(&index.terms).all(|(w, i)| match &i.attribute {
            Some(attribute) => quote(attribute) == term(w).0,
            None => true,
        })
}

/// The expressions and the condition of an index, which only PostgreSQL can compare.
fn expressions(index: &TargetIndex) -> Vec<String> {
    let terms = index.terms.iter().filter(|t| t.attribute.is_none()).map(|t| t.sql.clone());
    terms.chain(index.predicate.clone()).collect()
}
