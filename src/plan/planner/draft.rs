//! Where does each table go, and what becomes of each column? The first half of a plan, before anything is
//! written as SQL.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use aliaport_rows::convert::{NumberUnit, UuidBytes};
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::pg_type::PgType;

use super::error::PlanError;
use super::relations::{Relations, both_go_to, is_table};
use super::request::same;
use crate::catalogue::{Column, Generated, Table};
use crate::decl::DeclType;
use crate::expr::{self, Scope};
use crate::finding::{Blocker, Cause, Finding, MAX_COLUMNS, Naming, PlanErrorKind, Subject, Uncarried, Why};
use crate::grammar::{self, TableSql};
use crate::mapping::{self, ColumnFacts, Reason};
use crate::name::{Change, Names, spell};
use crate::option::{Options, shorten};
use crate::policy::NoCase;
use crate::profile::{Profiles, TableProfile};
use crate::suggestion::Suggestion;
use crate::target::{Target, TargetRelation};

/// Characters of a statement that a finding shows.
const SHOWN: usize = 200;

/// A table on its way to a plan.
pub(super) struct Draft<'a> {
    pub table: &'a Table,
    /// What its CREATE TABLE says that no PRAGMA tells.
    pub sql: TableSql,
    pub target: QualifiedName,
    /// The relation that is there already.
    pub relation: Option<&'a TargetRelation>,
    /// One entry a column of the catalogue's table.
    pub columns: Vec<DraftColumn<'a>>,
    /// The generated column of a full-text search: name and expression.
    pub search: Option<(String, String)>,
    /// What the note of its CREATE TABLE says.
    pub note: String,
    pub findings: Vec<Finding>,
}

/// A column on its way to a plan.
pub(super) struct DraftColumn<'a> {
    pub column: &'a Column,
    /// The attribute's name.
    pub target: String,
    pub pg_type: PgType,
    pub reason: Reason,
    pub is_not_null: bool,
    /// The collation where it is not BINARY, in upper case.
    pub collation: Option<String>,
    pub number: NumberUnit,
    /// In which order the bytes of a uuid stand in a blob.
    pub uuid: UuidBytes,
    pub role: Role,
}

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Read and written.
    Written,
    /// Left out.
    Skipped,
    /// The target computes it; with the expression where the import creates the column.
    Generated(Option<String>),
}

impl<'a> Draft<'a> {
    pub fn is_created(&self) -> bool {
        self.relation.is_none()
    }

    /// The attribute's name of a column, unless the column is left out.
    pub fn attribute(&self, column: usize) -> Option<&DraftColumn<'a>> {
        self.columns.get(column).filter(|c| c.role != Role::Skipped)
    }

    /// A column by its SQLite name.
    pub fn column_named(&self, name: &str) -> Option<usize> {
        self.table.columns.iter().position(|c| same(&c.name, name))
    }

    /// A finding about the table.
    pub fn finding(&self, why: impl Into<Why>) -> Finding {
        Finding::of(&self.table.name, why)
    }

    /// Tells something of the table, of one of its columns or of an object that belongs to it.
    pub fn tell(&mut self, why: impl Into<Why>, subject: Subject, column: Option<&str>) {
        let finding = self.finding(why).about(subject);
        self.findings.push(Finding { column: column.map(str::to_owned), ..finding });
    }

    /// Tells a name that is not the wanted one.
    fn tell_name(&mut self, change: Change, column: Option<&str>, name: &str) {
        if change != Change::None {
            self.tell(Naming(change, name.to_owned()), Subject::Table, column);
        }
    }
}

/// The columns of a draft as expressions see them.
pub(super) struct Columns<'d, 'a> {
    draft: &'d Draft<'a>,
    /// PostgreSQL's generated columns cannot refer to each other.
    with_generated: bool,
    /// What was looked up and found.
    pub seen: RefCell<BTreeSet<usize>>,
}

impl<'d, 'a> Columns<'d, 'a> {
    pub fn all(draft: &'d Draft<'a>) -> Self {
        Columns { draft, with_generated: true, seen: RefCell::default() }
    }

    pub fn ordinary(draft: &'d Draft<'a>) -> Self {
        Columns { draft, with_generated: false, seen: RefCell::default() }
    }
}

impl Scope for Columns<'_, '_> {
    fn column(&self, name: &str) -> Option<(String, PgType)> {
        let position = self.draft.column_named(name)?;
        let column = self.draft.attribute(position)?;
        if !self.with_generated && column.column.generated != Generated::No {
            return None;
        }
        self.seen.borrow_mut().insert(position);
        Some((quote(&column.target), column.pg_type.clone()))
    }

    fn collation(&self, name: &str) -> Option<String> {
        let column = self.draft.attribute(self.draft.column_named(name)?)?;
        column.collation.clone().filter(|_| column.pg_type != PgType::Citext)
    }
}

/// Where a table's rows go.
#[derive(Clone)]
struct Goal<'a> {
    target: QualifiedName,
    relation: Option<&'a TargetRelation>,
    change: Change,
}

/// Everything that drafting a table needs.
pub(super) struct Drafting<'a> {
    pub target: &'a Target,
    pub options: &'a Options,
    pub profiles: &'a Profiles,
    pub relations: Relations<'a>,
}

impl<'a> Drafting<'a> {
    /// Drafts the tables: targets first, so that a name that is asked for or exists already goes before a
    /// made one.
    pub fn tables(
        &self,
        tables: &[&'a Table],
        schemas: &mut HashMap<String, Names>,
    ) -> Result<Vec<Draft<'a>>, PlanError> {
        let goals = self.goals(tables, schemas)?;
        let mut drafts = Vec::with_capacity(tables.len());
        for (&table, goal) in tables.iter().zip(goals) {
            drafts.push(self.table(table, goal)?);
        }
        self.check_types(&drafts)?;
        self.check_existing(&mut drafts)?;
        Ok(drafts)
    }

    /// The one type that a plan makes columns of and that is not PostgreSQL's own has to be there.
    fn check_types(&self, drafts: &[Draft<'a>]) -> Result<(), PlanError> {
        if self.target.citext_schema.is_some() {
            return Ok(());
        }
        let mut findings = Vec::new();
        for draft in drafts {
            let is_there =
                |name: &String| draft.relation.is_some_and(|r| r.columns.iter().any(|c| c.name == *name));
            let made = draft.columns.iter().filter(|c| c.role != Role::Skipped && !is_there(&c.target));
            findings.extend(made.filter(|c| c.pg_type == PgType::Citext).map(|c| {
                let finding = draft.finding(Blocker::MissingType).in_column(&c.column.name);
                finding.helped_by(Suggestion::postgresql().run("CREATE EXTENSION citext"))
            }));
        }
        let hint =
            "Run CREATE EXTENSION citext; and import again, or leave out the option that asks for the type.";
        PlanError::raise(PlanErrorKind::MissingType, findings, hint)
    }

    fn goals(
        &self,
        tables: &[&'a Table],
        schemas: &mut HashMap<String, Names>,
    ) -> Result<Vec<Goal<'a>>, PlanError> {
        let mut found: Vec<Option<Goal<'a>>> = vec![None; tables.len()];
        let mut claimed: HashMap<QualifiedName, &str> = HashMap::new();
        let mut wanted: Vec<(usize, (&str, String))> = Vec::new();
        for (i, &table) in tables.iter().enumerate() {
            let relation = self.relations.of_table(table)?;
            let asked = self.options.table(&table.name).and_then(|t| t.target.clone());
            let target = match (relation, asked) {
                (Some(relation), _) => {
                    QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() }
                }
                (None, Some((schema, name))) => {
                    QualifiedName { schema: schema.unwrap_or_else(|| self.target.schema.clone()), name }
                }
                (None, None) => {
                    wanted.push((i, (&table.name, spell(&table.name, self.options.identifiers))));
                    continue;
                }
            };
            if let Some(relation) = relation
                && !is_table(relation)
            {
                return Err(PlanError::new(
                    &table.name,
                    Blocker::WrongObject(target, relation.kind),
                    "Name another target in options.tables, or exclude the table.",
                ));
            }
            if let Some(other) = claimed.insert(target.clone(), &table.name) {
                return Err(both_go_to(other, &table.name, &target));
            }
            schemas.entry(target.schema.clone()).or_default().occupy(&target.name);
            found[i] = Some(Goal { target, relation, change: Change::None });
        }
        let names = schemas.entry(self.target.schema.clone()).or_default();
        let entries: Vec<(&str, String)> = wanted.iter().map(|(_, e)| e.clone()).collect();
        for ((i, _), (name, change)) in wanted.iter().zip(names.assign_all(&entries)) {
            let target = QualifiedName { schema: self.target.schema.clone(), name };
            found[*i] = Some(Goal { target, relation: None, change });
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn table(&self, table: &'a Table, goal: Goal<'a>) -> Result<Draft<'a>, PlanError> {
        let Goal { target, relation, change } = goal;
        let mut draft = Draft {
            table,
            sql: TableSql::default(),
            target,
            relation,
            columns: Vec::new(),
            search: None,
            note: String::new(),
            findings: Vec::new(),
        };
        draft.tell_name(change, None, &draft.target.name.clone());
        match grammar::table(&table.sql) {
            Ok(sql) => draft.sql = sql,
            Err(_) if table.sql.is_empty() => {}
            Err(error) => {
                let why = Uncarried { cause: Cause::Grammar(error), sql: one_line(&table.sql) };
                draft.tell(why, Subject::Declarations, None);
            }
        }
        let profile = self.profiles.get(&table.name);
        let booleans = expr::boolean_columns(&draft.sql);
        let referencing: BTreeSet<usize> =
            table.foreign_keys.iter().flat_map(|k| k.columns.iter().copied()).collect();
        for (i, column) in table.columns.iter().enumerate() {
            // A key that happens to be 0 or 1 is still a key: it has to compare with its parent.
            let is_boolean = !referencing.contains(&i) && booleans.iter().any(|b| same(b, &column.name));
            let (drafted, finding) = self.column(&draft, i, column, profile, is_boolean);
            draft.columns.push(drafted);
            draft.findings.extend(finding);
        }
        match relation {
            Some(relation) => self.match_columns(&mut draft, relation)?,
            None => self.name_columns(&mut draft)?,
        }
        Ok(draft)
    }

    fn column(
        &self,
        draft: &Draft<'a>,
        position: usize,
        column: &'a Column,
        profile: Option<&TableProfile>,
        has_boolean_check: bool,
    ) -> (DraftColumn<'a>, Option<Finding>) {
        let table = draft.table;
        let asked = self.options.column(&table.name, &column.name);
        let facts = ColumnFacts {
            is_rowid_alias: table.rowid_alias == Some(position),
            has_boolean_check,
            profile: profile.and_then(|p| p.columns.get(position)),
            server_version: self.target.server_version,
        };
        let mapped = mapping::map(&DeclType::parse(&column.declared_type), &facts, self.options);
        let sql = draft.sql.columns.iter().find(|c| same(&c.name, &column.name));
        let collation =
            sql.and_then(|c| c.collation.as_ref()).map(|c| c.to_ascii_uppercase()).filter(|c| c != "BINARY");
        let (mut pg_type, mut reason) = (mapped.pg_type, mapped.reason);
        if self.options.nocase == NoCase::Citext
            && collation.as_deref() == Some("NOCASE")
            && is_text(&pg_type)
        {
            pg_type = PgType::Citext;
        }
        let remark = mapped.remark.filter(|_| draft.is_created());
        let mut finding = remark.map(|remark| draft.finding(remark).in_column(&column.name));
        if let Some(asked) = asked.and_then(|a| a.pg_type.clone()) {
            (pg_type, reason, finding) = (asked, Reason::Option, None);
        }
        let drafted = DraftColumn {
            column,
            target: String::new(),
            pg_type,
            reason,
            is_not_null: column.is_not_null || table.primary_key.contains(&position),
            collation,
            number: asked.map(|a| a.number).unwrap_or_default(),
            uuid: asked.map(|a| a.uuid).unwrap_or_default(),
            role: if asked.is_some_and(|a| a.skip) { Role::Skipped } else { Role::Written },
        };
        (drafted, finding)
    }

    /// Names the columns of a table that is created.
    fn name_columns(&self, draft: &mut Draft<'a>) -> Result<(), PlanError> {
        let table = draft.table;
        let mut names = Names::of_columns();
        let mut wanted: Vec<(usize, (&str, String))> = Vec::new();
        for (i, column) in draft.columns.iter_mut().enumerate().filter(|(_, c)| c.role != Role::Skipped) {
            let source = &column.column.name;
            match self.options.column(&table.name, source).and_then(|o| o.target.clone()) {
                Some(name) => {
                    if names.has(&name) {
                        return Err(PlanError::new(
                            &table.name,
                            Blocker::TakenName(source.clone(), name),
                            "Name another target in options.tables.",
                        ));
                    }
                    names.occupy(&name);
                    column.target = name;
                }
                None => wanted.push((i, (source, spell(source, self.options.identifiers)))),
            }
        }
        let entries: Vec<(&str, String)> = wanted.iter().map(|(_, e)| e.clone()).collect();
        for ((i, (source, _)), (name, change)) in wanted.iter().zip(names.assign_all(&entries)) {
            draft.tell_name(change, Some(source), &name);
            if let Some(column) = draft.columns.get_mut(*i) {
                column.target = name;
            }
        }
        let count = draft.columns.iter().filter(|c| c.role != Role::Skipped).count();
        if count > MAX_COLUMNS {
            return Err(too_many_columns(table, count));
        }
        Ok(())
    }
}

pub(super) fn too_many_columns(table: &Table, count: usize) -> PlanError {
    let hint = "Skip columns in options.tables, or exclude the table.";
    PlanError::new(&table.name, Blocker::TooManyColumns(count), hint)
}

/// A statement for a message: in one line and not too long.
pub(super) fn one_line(sql: &str) -> String {
    // A hostile statement may be megabytes long; only its beginning is looked at.
    let head = shorten(sql, SHOWN * 4);
    shorten(&head.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN)
}

/// Types that NOCASE means something for.
pub(super) fn is_text(pg_type: &PgType) -> bool {
    matches!(pg_type, PgType::Text | PgType::Varchar(_) | PgType::Char(_))
}
