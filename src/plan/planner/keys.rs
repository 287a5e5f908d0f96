//! Which primary keys, unique constraints and indexes are made after the load, and what are they called?
//!
//! NOCASE: uniqueness goes to `lower(column COLLATE "C")`, because the "C" collation folds ASCII letters
//! only, as NOCASE does. DESC stays DESC with PostgreSQL's default place for NULLs, although SQLite's NULLs
//! are smaller than any value: an index has to fit the ORDER BY of the application's queries, which say
//! nothing of NULLs, and it answers every other question alike.

use std::collections::{HashMap, HashSet};

use crate::catalogue::{Index, IndexOrigin};
use crate::ddl::{self, IndexDefinition};
use crate::expr;
use crate::finding::{Cause, Finding, MAX_KEY_COLUMNS, Naming, Subject, Typing, Uncarried};
use crate::grammar::{self, IndexSql};
use crate::name::{Change, Names, join_columns, spell};
use crate::option::Options;
use crate::plan::{Action, Step, UniqueTerms};
use crate::policy::NoCase;
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::pg_type::PgType;

use super::draft::{Columns, Draft, is_text, one_line};
use super::foreign::{ColumnSet, Foreign, column_set};

/// A key or an index that will be made.
pub(super) struct KeyDraft {
    /// The table, as an index into the drafts.
    pub draft: usize,
    pub kind: KeyKind,
    /// The name that the source gives it, spelled as the options ask.
    wanted: Option<String>,
    /// Its name as the source has it, for findings.
    source_name: String,
    /// What PostgreSQL would make its name of: column names joined, and the label.
    made_of: (String, &'static str),
    note: String,
    /// Given last.
    pub name: String,
}

/// What kind of key it is, with its columns or terms.
pub(super) enum KeyKind {
    Primary(Vec<String>),
    Unique(Vec<String>),
    Index(IndexDefinition),
}

impl KeyDraft {
    /// Constraints share a namespace with the table's other constraints, too.
    pub fn is_constraint(&self) -> bool {
        !matches!(self.kind, KeyKind::Index(_))
    }

    /// Gives it its name, which no other relation of the schema may have.
    pub fn name_in(&mut self, names: &mut Names, table: &str) {
        self.name = match &self.wanted {
            Some(wanted) => names.assign(wanted).0,
            None => names.make(table, &self.made_of.0, self.made_of.1),
        };
    }

    pub fn step(&self, table: &QualifiedName) -> Step {
        let (action, object, sql) = match &self.kind {
            KeyKind::Primary(columns) => {
                (Action::AddPrimaryKey, quote(&self.name), ddl::add_primary_key(table, &self.name, columns))
            }
            KeyKind::Unique(columns) => {
                (Action::AddUnique, quote(&self.name), ddl::add_unique(table, &self.name, columns))
            }
            KeyKind::Index(index) => {
                let named = IndexDefinition { name: self.name.clone(), ..index.clone() };
                let object = QualifiedName { schema: table.schema.clone(), name: self.name.clone() };
                (Action::CreateIndex, object.to_string(), ddl::create_index(table, &named))
            }
        };
        let terms = self.terms();
        Step { action, object, sql, note: self.note.clone(), table: None, unique: self.unique(), terms }
    }

    /// Its terms without their order.
    fn terms(&self) -> Vec<String> {
        match &self.kind {
            KeyKind::Primary(columns) | KeyKind::Unique(columns) => {
                columns.iter().map(|c| quote(c)).collect()
            }
            KeyKind::Index(index) => {
                index.terms.iter().map(|t| t.strip_suffix(" DESC").unwrap_or(t).to_owned()).collect()
            }
        }
    }

    /// What must be unique.
    fn unique(&self) -> Option<UniqueTerms> {
        let predicate = match &self.kind {
            KeyKind::Primary(_) | KeyKind::Unique(_) => None,
            KeyKind::Index(index) if index.is_unique => index.predicate.clone(),
            KeyKind::Index(_) => return None,
        };
        Some(UniqueTerms { terms: self.terms(), predicate })
    }
}

/// Collects the keys and indexes of the tables that are created, in catalogue order and named.
pub(super) fn collect(
    drafts: &mut [Draft<'_>],
    foreign: &Foreign,
    options: &Options,
    schemas: &mut HashMap<String, Names>,
) -> Vec<KeyDraft> {
    let mut keys = Vec::new();
    for (i, draft) in drafts.iter_mut().enumerate().filter(|(_, d)| d.is_created()) {
        let mut of_table = OfTable { number: i, draft, needed: &foreign.needed, options, keys: Vec::new() };
        of_table.primary_key();
        of_table.indexes();
        of_table.collations();
        of_table.search();
        keys.append(&mut of_table.keys);
    }
    name_all(drafts, &mut keys, schemas);
    keys
}

/// The keys and indexes that a table which is there would have if the import made it, without names. Nothing
/// is said of those that cannot be made.
pub(super) fn wanted(
    number: usize,
    draft: &mut Draft<'_>,
    foreign: &Foreign,
    options: &Options,
) -> Vec<KeyDraft> {
    let said = draft.findings.len();
    let mut of_table = OfTable { number, draft, needed: &foreign.needed, options, keys: Vec::new() };
    of_table.primary_key();
    of_table.indexes();
    let keys = of_table.keys;
    draft.findings.truncate(said);
    keys
}

/// Names all keys: those that the source names first, in all tables, so that a made name never takes theirs.
fn name_all(drafts: &mut [Draft<'_>], keys: &mut [KeyDraft], schemas: &mut HashMap<String, Names>) {
    for pass in [true, false] {
        for key in keys.iter_mut().filter(|k| k.wanted.is_some() == pass) {
            let Some(draft) = drafts.get_mut(key.draft) else { continue };
            let names = schemas.entry(draft.target.schema.clone()).or_default();
            let Some(wanted) = &key.wanted else {
                let (columns, label) = &key.made_of;
                key.name = names.make(&draft.target.name, columns, label);
                continue;
            };
            let (name, change) = names.assign(wanted);
            if !matches!(change, Change::None | Change::Reserved) {
                let subject = match key.is_constraint() {
                    true => Subject::Constraint(key.source_name.clone()),
                    false => Subject::Index(key.source_name.clone()),
                };
                draft.tell(Naming(change, name.clone()), subject, None);
            }
            key.name = name;
        }
    }
}

struct OfTable<'d, 'a> {
    number: usize,
    draft: &'d mut Draft<'a>,
    needed: &'d HashSet<(usize, ColumnSet)>,
    options: &'d Options,
    keys: Vec<KeyDraft>,
}

impl OfTable<'_, '_> {
    fn push(&mut self, kind: KeyKind, declared: Option<&str>, made_of: (String, &'static str), note: String) {
        self.keys.push(KeyDraft {
            draft: self.number,
            kind,
            wanted: declared.map(|n| spell(n, self.options.identifiers)),
            source_name: declared.unwrap_or_default().to_owned(),
            made_of,
            note,
            name: String::new(),
        });
    }

    fn refuse(&mut self, subject: Subject, cause: Cause) {
        self.draft.tell(Uncarried::new(cause), subject, None);
    }

    /// The attributes of a key, or why there cannot be one.
    fn attributes(&self, columns: &[usize]) -> Result<Vec<String>, Cause> {
        if columns.len() > MAX_KEY_COLUMNS {
            return Err(Cause::Columns(columns.len()));
        }
        let attribute = |&i: &usize| {
            let Some(column) = self.draft.attribute(i) else {
                let name = self.draft.table.columns.get(i).map_or("", |c| c.name.as_str());
                return Err(Cause::LeftOut(name.to_owned()));
            };
            if column.pg_type == PgType::Json {
                return Err(Cause::NoEquality(column.column.name.clone()));
            }
            Ok(column.target.clone())
        };
        columns.iter().map(attribute).collect()
    }

    /// Whether the column's comparison under a collation has to be made by lower().
    fn is_folded(&self, column: usize, collation: &str) -> bool {
        self.options.nocase == NoCase::LowerIndex
            && collation.eq_ignore_ascii_case("NOCASE")
            && self.draft.attribute(column).is_some_and(|c| is_text(&c.pg_type))
    }

    fn column_term(&self, column: usize, collation: &str, is_descending: bool) -> Option<String> {
        let name = quote(&self.draft.attribute(column)?.target);
        let term = if self.is_folded(column, collation) { lowered(&name) } else { name };
        Some(if is_descending { format!("{term} DESC") } else { term })
    }

    fn primary_key(&mut self) {
        let table = self.draft.table;
        if table.primary_key.is_empty() {
            return;
        }
        let columns = match self.attributes(&table.primary_key) {
            Ok(columns) => columns,
            Err(cause) => return self.refuse(Subject::PrimaryKey, cause),
        };
        let declared = self.draft.sql.primary_key.as_ref().and_then(|k| k.name.clone());
        let joined = join_columns(columns.iter().map(String::as_str));
        self.push(KeyKind::Primary(columns), declared.as_deref(), (String::new(), "pkey"), String::new());
        // The index of the key tells its collations; a rowid alias has none, and is an integer.
        let index = table.indexes.iter().find(|i| i.origin == IndexOrigin::PrimaryKey);
        if let Some(terms) = index.and_then(|i| self.folded_terms(i)) {
            let index = IndexDefinition { is_unique: true, terms, ..IndexDefinition::default() };
            let note = "the primary key is unique without regard to case (COLLATE NOCASE)".to_owned();
            self.push(KeyKind::Index(index), None, (joined, "key"), note);
        }
    }

    /// The terms of a unique index if one of them has to be folded.
    fn folded_terms(&self, index: &Index) -> Option<Vec<String>> {
        let is_any = index.terms.iter().any(|t| t.column.is_some_and(|c| self.is_folded(c, &t.collation)));
        if !is_any {
            return None;
        }
        index.terms.iter().map(|t| self.column_term(t.column?, &t.collation, false)).collect()
    }

    fn indexes(&mut self) {
        let table = self.draft.table;
        for index in &table.indexes {
            let columns: Option<Vec<usize>> = index.terms.iter().map(|t| t.column).collect();
            match index.origin {
                IndexOrigin::PrimaryKey => {}
                IndexOrigin::Unique => {
                    if let Some(columns) = columns.filter(|c| *c != table.primary_key) {
                        self.unique(index, &columns);
                    }
                }
                IndexOrigin::Statement => {
                    let is_needed = index.is_unique
                        && !index.is_partial
                        && columns.as_ref().is_some_and(|c| self.is_needed(c));
                    if self.options.indexes || is_needed {
                        self.statement(index, columns.as_deref(), is_needed);
                    }
                }
            }
        }
    }

    fn is_needed(&self, columns: &[usize]) -> bool {
        self.needed.contains(&(self.number, column_set(columns)))
    }

    fn unique(&mut self, index: &Index, columns: &[usize]) {
        let attributes = match self.attributes(columns) {
            Ok(attributes) => attributes,
            Err(cause) => {
                let columns = columns.iter().filter_map(|&c| self.draft.table.columns.get(c));
                let names = columns.map(|c| c.name.clone()).collect();
                return self.refuse(Subject::Unique(index.name.clone(), names), cause);
            }
        };
        let declared = self.draft.sql.uniques.iter().find(|k| {
            k.columns.len() == columns.len()
                && k.columns.iter().zip(columns).all(|(n, &c)| self.draft.column_named(n) == Some(c))
        });
        let declared = declared.and_then(|k| k.name.clone());
        let joined = join_columns(attributes.iter().map(String::as_str));
        let mut declared = declared.as_deref();
        if let Some(terms) = self.folded_terms(index) {
            let note = "unique without regard to case (COLLATE NOCASE)".to_owned();
            let index = IndexDefinition { is_unique: true, terms, ..IndexDefinition::default() };
            self.push(KeyKind::Index(index), declared, (joined.clone(), "key"), note);
            if !self.is_needed(columns) {
                return;
            }
            declared = None;
        }
        self.push(KeyKind::Unique(attributes), declared, (joined, "key"), String::new());
    }

    fn statement(&mut self, index: &Index, columns: Option<&[usize]>, is_needed: bool) {
        match self.definition(index) {
            Ok(definition) => {
                let is_key = columns.is_some_and(|c| c == self.draft.table.primary_key)
                    && definition.predicate.is_none();
                let note = if is_key { "same columns as the primary key" } else { "" };
                let is_folded = self.folded_terms(index).is_some();
                self.push(
                    KeyKind::Index(definition),
                    Some(&index.name),
                    (String::new(), "idx"),
                    note.to_owned(),
                );
                // A foreign key needs the plain columns to be unique.
                if is_folded
                    && is_needed
                    && let Some(Ok(attributes)) = columns.map(|c| self.attributes(c))
                {
                    let joined = join_columns(attributes.iter().map(String::as_str));
                    self.push(KeyKind::Unique(attributes), None, (joined, "key"), String::new());
                }
            }
            Err(cause) => {
                let sql = index.sql.as_deref().map(one_line).unwrap_or_default();
                self.draft.tell(Uncarried { cause, sql }, Subject::Index(index.name.clone()), None);
            }
        }
    }

    fn definition(&self, index: &Index) -> Result<IndexDefinition, Cause> {
        let plain: Vec<usize> = index.terms.iter().filter_map(|t| t.column).collect();
        self.attributes(&plain)?;
        if index.terms.len() > MAX_KEY_COLUMNS {
            return Err(Cause::Terms(index.terms.len()));
        }
        let needs_sql = index.is_partial || plain.len() < index.terms.len();
        let sql = match &index.sql {
            Some(sql) if needs_sql => grammar::index(sql).map_err(Cause::Grammar)?,
            _ => IndexSql::default(),
        };
        let scope = Columns::all(self.draft);
        let mut terms = Vec::with_capacity(index.terms.len());
        for (i, term) in index.terms.iter().enumerate() {
            let text = match term.column {
                Some(column) => self.column_term(column, &term.collation, term.is_descending),
                None => {
                    let read = sql.terms.get(i).ok_or(Cause::UnknownTerm)?;
                    let text = expr::index_term(&read.expr, &scope).map_err(Cause::Expression)?;
                    let is_folded = self.options.nocase == NoCase::LowerIndex
                        && term.collation.eq_ignore_ascii_case("NOCASE");
                    let text = if is_folded { lowered(&format!("({text})")) } else { format!("({text})") };
                    Some(if term.is_descending { format!("{text} DESC") } else { text })
                }
            };
            terms.push(text.ok_or(Cause::TermLeftOut)?);
        }
        let predicate = match &sql.predicate {
            Some((_, expr)) => Some(expr::predicate(expr, &scope).map_err(Cause::Expression)?),
            None if index.is_partial => return Err(Cause::UnknownCondition),
            None => None,
        };
        Ok(IndexDefinition { name: String::new(), is_unique: index.is_unique, method: "", terms, predicate })
    }

    /// What is said of collations that PostgreSQL compares differently.
    fn collations(&mut self) {
        let mut found: Vec<Finding> = Vec::new();
        for column in self.draft.columns.iter().filter(|c| c.role != super::draft::Role::Skipped) {
            let Some(collation) = column.collation.as_deref().filter(|_| is_text(&column.pg_type)) else {
                continue;
            };
            let why = match collation {
                "NOCASE" => Typing::NoCase(self.options.nocase == NoCase::LowerIndex),
                _ => Typing::Collation(collation.to_owned()),
            };
            found.push(self.draft.finding(why).in_column(&column.column.name));
        }
        for index in &self.draft.table.indexes {
            let of = || match index.origin {
                IndexOrigin::Statement => Subject::Index(index.name.clone()),
                IndexOrigin::Unique => Subject::Unique(index.name.clone(), Vec::new()),
                IndexOrigin::PrimaryKey => Subject::PrimaryKey,
            };
            for term in &index.terms {
                let is_declared = term.column.and_then(|c| self.draft.columns.get(c)).is_some_and(|c| {
                    c.collation.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(&term.collation))
                });
                let is_known = term.collation.is_empty()
                    || ["BINARY", "NOCASE"].iter().any(|c| c.eq_ignore_ascii_case(&term.collation));
                if !is_declared && !is_known {
                    let subject = Subject::Collation(term.collation.clone(), Box::new(of()));
                    found.push(self.draft.finding(Uncarried::new(Cause::NoCollation)).about(subject));
                }
            }
        }
        self.draft.findings.append(&mut found);
    }

    /// The index of a full-text search column, which [`super::table`] adds as the last one.
    fn search(&mut self) {
        let Some(column) = self.draft.search.as_ref().map(|(name, _)| name.clone()) else { return };
        let index =
            IndexDefinition { method: "gin", terms: vec![quote(&column)], ..IndexDefinition::default() };
        self.push(KeyKind::Index(index), None, (column, "idx"), "full-text search".to_owned());
    }
}

/// NOCASE folds ASCII letters only, and so does lower() under the "C" collation.
fn lowered(term: &str) -> String {
    format!("lower({term} COLLATE \"C\")")
}
