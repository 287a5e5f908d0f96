//! Which indexes and constraints would the import make today that the tables lack which are there? Each is a
//! warning with the statement that makes it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::catalogue::Generated;
use crate::ddl::{self, Clause, ColumnDefinition};
use crate::expr;
use crate::finding::{Drift, Finding, Wanted};
use crate::name::{Names, join_columns, spell};
use crate::option::Options;
use crate::plan::{Elsewhere, Missing, Plan, Refers};
use crate::target::{Structure, Target, TargetIndex};
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::pg_type::PgType;

use super::draft::{Columns, Draft, Role};
use super::foreign::Foreign;
use super::keys::{self, KeyDraft, KeyKind};
use super::request::same;
use super::{refers, table};

/// Expressions over a table: those that are wanted, and those that it has instead.
type Pair = (Vec<String>, Vec<String>);

/// An index or constraint that the table of a draft seems not to have.
pub(super) struct Found {
    pub draft: usize,
    pub finding: Finding,
    pub perhaps: Vec<Pair>,
    /// The foreign key that is missing.
    pub refers: Option<Refers>,
}

/// What the import would make if it made the tables that are there, and what they have not.
pub(super) fn missing(
    drafts: &mut [Draft<'_>],
    created: &[KeyDraft],
    foreign: &Foreign,
    options: &Options,
    target: &Target,
    schemas: &mut HashMap<String, Names>,
    elsewhere: &mut Vec<Elsewhere>,
) -> Vec<Found> {
    if !target.past.is_told {
        return Vec::new();
    }
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
        of_table.generated();
        out.append(&mut of_table.out);
    }
    out.extend(refers::compare(drafts, foreign, options, target, &structures, &unique, elsewhere));
    out
}

/// Gives what was found its table's place in the plan.
pub(super) fn place(plan: &mut Plan, found: Vec<Found>, order: &[usize]) {
    for Found { draft, finding, perhaps, refers } in found {
        if let Some(table) = order.iter().position(|&i| i == draft) {
            plan.missing.push(Missing { table, finding, perhaps, refers });
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
    fn push(&mut self, why: Drift, column: Option<&str>, statement: String, perhaps: Vec<Pair>) {
        let mut finding = self.draft.finding(why).with_statement(statement);
        finding.column = column.map(str::to_owned);
        self.out.push(Found { draft: self.number, finding, perhaps, refers: None });
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
        let target = self.draft.target.clone();
        for mut key in keys::wanted(self.number, self.draft, foreign, options) {
            let mut perhaps = Vec::new();
            let other_primary = self.structure.indexes.iter().any(|i| i.is_primary);
            let wanted = match &key.kind {
                KeyKind::Primary(columns) | KeyKind::Unique(columns) if self.has_unique(columns) => continue,
                KeyKind::Primary(columns) if other_primary => {
                    let columns = columns.clone();
                    key.kind = KeyKind::Unique(columns.clone());
                    Wanted::UniquePrimaryKey(columns)
                }
                KeyKind::Primary(columns) => Wanted::PrimaryKey(columns.clone()),
                KeyKind::Unique(columns) => Wanted::Unique(columns.clone()),
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
                    Wanted::Index(String::new())
                }
            };
            key.name_in(&mut self.names, &self.draft.target.name);
            if let KeyKind::Primary(columns) | KeyKind::Unique(columns) = &key.kind {
                unique.push((target.clone(), columns.iter().cloned().collect()));
            }
            let wanted = match wanted {
                Wanted::Index(_) => Wanted::Index(key.name.clone()),
                wanted => wanted,
            };
            let statement = key.step(&target).sql;
            self.push(Drift::Missing(wanted, target.clone()), None, statement, perhaps);
        }
    }

    /// Checks that are not there. What a type of the target says as well, as an enum or a boolean does, is
    /// not asked for.
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
                .map(|(_, c)| (vec![check.expression.clone()], vec![c.clone()]))
                .collect();
            // A check that has another condition than it had takes the place of the old one.
            let declared = check.name.as_ref().map(|name| spell(name, options.identifiers));
            let old = self.structure.checks.iter().find(|(name, _)| Some(name) == declared.as_ref());
            let name = match (old, declared) {
                (Some((name, _)), _) => name.clone(),
                (None, Some(name)) => self.names.assign(&name).0,
                (None, None) => {
                    self.names.make(&self.draft.target.name, &join_columns([check.column.as_str()]), "check")
                }
            };
            let mut statement = ddl::add_check(&self.draft.target, &name, &check.expression);
            if old.is_some() {
                statement = ddl::instead_of(&self.draft.target, &name, &statement);
            }
            let why = Drift::Missing(Wanted::Check(check.expression), self.draft.target.clone());
            self.push(why, None, statement, perhaps);
        }
    }

    /// Generated columns that the target computes in another way. Their values are never written, so nobody
    /// else would see it.
    fn generated(&mut self) {
        for (attribute, there) in &self.structure.generated {
            let column =
                self.draft.columns.iter().find(|c| c.role != Role::Skipped && c.target == *attribute);
            let Some(column) = column.filter(|c| c.column.generated != Generated::No) else { continue };
            let declared = self.draft.sql.columns.iter().find(|c| same(&c.name, &column.column.name));
            let Some((text, tree)) = declared.and_then(|c| c.generated.as_ref()) else { continue };
            let Ok(wanted) = expr::generated(tree, &Columns::ordinary(self.draft), &column.pg_type) else {
                continue;
            };
            let name = column.column.name.clone();
            let cast = |sql: &str| vec![format!("({sql})::{}", column.pg_type)];
            let perhaps = vec![(cast(&wanted), cast(there))];
            let definition =
                ColumnDefinition::new(attribute, &column.pg_type, Clause::Generated(wanted), false);
            let add = ddl::add_columns(&self.draft.target, &[definition]);
            let statement = ddl::column_instead_of(&self.draft.target, attribute, &add);
            let target = self.draft.target.clone();
            let why = Drift::OtherExpression(attribute.clone(), target, there.clone(), text.clone());
            self.push(why, Some(&name), statement, perhaps);
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
            let statement = ddl::set_not_null(&self.draft.target, &column);
            let why = Drift::Missing(Wanted::NotNull(column), self.draft.target.clone());
            self.push(why, Some(&source), statement, Vec::new());
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

/// Whether an index that is there can be the wanted one: equal in all but expressions, which stand for each
/// other wherever both have one. An index that is read backwards is the same index.
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
