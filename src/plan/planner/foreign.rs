//! Which foreign keys can be made, and against what?

use std::collections::{HashMap, HashSet};

use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::pg_type::PgType;

use super::draft::{Draft, Role, is_text};
use super::error::PlanError;
use super::existing;
use super::relations::{Relations, is_table};
use super::request::{label, same};
use crate::catalogue::{Catalogue, ForeignKey, Table};
use crate::ddl::{self, ForeignKeyDefinition};
use crate::finding::{Cause, MAX_KEY_COLUMNS, Subject, Uncarried};
use crate::grammar::{Deferrable, ForeignKeySql};
use crate::mapping::Reason;
use crate::option::Options;
use crate::plan::ForeignKeyPlan;
use crate::target::{Target, TargetColumn, TargetRelation};

/// A foreign key that can be made.
pub(super) struct ForeignDraft {
    /// The referencing table, as an index into the drafts.
    pub child: usize,
    /// The name that the source declares.
    pub declared_name: Option<String>,
    pub on_delete: String,
    pub on_update: String,
    pub deferrable: &'static str,
    /// Its name is given later, when the keys have theirs.
    pub plan: ForeignKeyPlan,
}

impl ForeignDraft {
    /// The statement that adds it to a table under this name.
    pub fn add(&self, table: &QualifiedName, name: &str) -> String {
        ddl::add_foreign_key(
            table,
            &ForeignKeyDefinition {
                name,
                columns: &self.plan.columns,
                parent: &self.plan.parent,
                parent_columns: &self.plan.parent_columns,
                on_update: &self.on_update,
                on_delete: &self.on_delete,
                deferrable: self.deferrable,
            },
        )
    }
}

/// Columns of a table, as a set: positions in the catalogue in ascending order.
pub(super) type ColumnSet = Vec<usize>;

pub(super) fn column_set(columns: &[usize]) -> ColumnSet {
    let mut set = columns.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}

/// What the foreign keys of all tables come to.
#[derive(Default)]
pub(super) struct Foreign {
    pub keys: Vec<ForeignDraft>,
    /// Child and parent of every foreign key between drafted tables, carried or not, for the load order.
    pub references: Vec<(usize, usize)>,
    /// Columns that a foreign key refers to, which therefore need a plain unique key: draft and columns.
    pub needed: HashSet<(usize, ColumnSet)>,
}

/// Where a foreign key points.
enum Parent<'a> {
    /// A table of this import.
    Drafted(usize),
    /// A table of the source that is left out now and is in the target already.
    Existing(&'a TargetRelation, Vec<Option<&'a TargetColumn>>),
}

/// A foreign key as found in the catalogue, before it is known whether it can be made.
struct Found<'a> {
    child: usize,
    /// Its place among the child's foreign keys.
    place: usize,
    key: &'a ForeignKey,
    parent: Parent<'a>,
    parent_table: &'a Table,
    /// Positions in the parent table, in the order of the key's columns.
    parent_columns: Vec<usize>,
}

impl Found<'_> {
    /// Where the parent is.
    fn target(&self, drafts: &[Draft<'_>]) -> Option<QualifiedName> {
        match &self.parent {
            Parent::Drafted(i) => drafts.get(*i).map(|d| d.target.clone()),
            Parent::Existing(relation, _) => {
                Some(QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() })
            }
        }
    }

    /// Name and type in the target of a column of the parent; `None` where it is left out.
    fn referenced(&self, drafts: &[Draft<'_>], column: usize) -> Option<(String, PgType)> {
        match &self.parent {
            Parent::Drafted(i) => {
                let parent = drafts.get(*i)?.attribute(column)?;
                Some((parent.target.clone(), parent.pg_type.clone()))
            }
            Parent::Existing(_, columns) => {
                let column = columns.get(column).copied().flatten()?;
                Some((column.name.clone(), column.pg_type.clone()))
            }
        }
    }
}

/// The foreign keys whose parent and columns exist, in catalogue order, and the references for the load
/// order.
pub(super) struct Search<'a> {
    found: Vec<Found<'a>>,
    references: Vec<(usize, usize)>,
}

/// Finds what the foreign keys of all drafts point at. May change the type of a column that has no type of
/// its own to its parent's, so types are settled only after this.
pub(super) fn find_parents<'a>(
    catalogue: &'a Catalogue,
    target: &'a Target,
    relations: &Relations<'a>,
    options: &Options,
    drafts: &mut [Draft<'a>],
) -> Result<Search<'a>, PlanError> {
    let mut references = Vec::new();
    let drafted: HashMap<String, usize> =
        drafts.iter().enumerate().map(|(i, d)| (d.table.name.to_ascii_lowercase(), i)).collect();
    let declared: HashMap<String, &Table> =
        catalogue.tables.iter().map(|t| (t.name.to_ascii_lowercase(), t)).collect();
    let mut found = Vec::new();
    for child in 0..drafts.len() {
        let Some(table) = drafts.get(child).map(|d| d.table) else { continue };
        for (place, key) in table.foreign_keys.iter().enumerate() {
            let parent_name = key.parent.to_ascii_lowercase();
            let parent = match (drafted.get(&parent_name), declared.get(&parent_name)) {
                (Some(&i), _) => {
                    references.push((child, i));
                    Ok((Parent::Drafted(i), drafts.get(i).map_or(table, |d| d.table)))
                }
                (None, Some(&parent)) => match relations.of_table(parent)? {
                    Some(relation) if is_table(relation) => {
                        let columns = existing::columns(parent, relation, &target.past, options)?;
                        Ok((Parent::Existing(relation, columns), parent))
                    }
                    _ => Err(Cause::ParentLeftOut(key.parent.clone())),
                },
                (None, None) => Err(Cause::ParentMissing(key.parent.clone())),
            };
            let columns = parent.and_then(|(parent, table)| Ok((parent, table, parent_columns(key, table)?)));
            match columns {
                Ok((parent, parent_table, parent_columns)) => {
                    found.push(Found { child, place, key, parent, parent_table, parent_columns });
                }
                Err(cause) => refuse(&mut drafts[child], place, cause),
            }
        }
    }
    adopt_types(drafts, &found, options);
    Ok(Search { found, references })
}

/// Decides which foreign keys can be made, once every column's type and role is settled.
pub(super) fn decide(search: Search<'_>, options: &Options, drafts: &mut [Draft<'_>]) -> Foreign {
    let Search { found, references } = search;
    let mut foreign = Foreign { references, ..Foreign::default() };
    let mut seen: HashSet<(usize, &[usize], String, Vec<usize>)> = HashSet::new();
    for found in &found {
        let identity = (
            found.child,
            found.key.columns.as_slice(),
            found.parent_table.name.to_ascii_lowercase(),
            found.parent_columns.clone(),
        );
        if !seen.insert(identity) {
            let subject = Subject::ForeignKey(found.place, labelled(drafts, found));
            drafts[found.child].tell(Uncarried::new(Cause::DeclaredTwice), subject, None);
            continue;
        }
        match key(drafts, found, options) {
            Ok(draft) => {
                if let Parent::Drafted(i) = found.parent
                    && draft.plan.is_created
                {
                    foreign.needed.insert((i, column_set(&found.parent_columns)));
                }
                foreign.keys.push(draft);
            }
            Err(cause) => refuse(&mut drafts[found.child], found.place, cause),
        }
    }
    foreign
}

fn labelled(drafts: &[Draft<'_>], found: &Found<'_>) -> String {
    drafts.get(found.child).map(|d| label(d.table, found.key)).unwrap_or_default()
}

fn refuse(draft: &mut Draft<'_>, place: usize, cause: Cause) {
    let table = draft.table;
    let Some(key) = table.foreign_keys.get(place) else { return };
    let column = match key.columns.as_slice() {
        &[column] => table.columns.get(column).map(|c| c.name.as_str()),
        _ => None,
    };
    draft.tell(Uncarried::new(cause), Subject::ForeignKey(place, label(table, key)), column);
}

/// The referenced columns' positions; the parent's primary key where none are named.
fn parent_columns(key: &ForeignKey, parent: &Table) -> Result<Vec<usize>, Cause> {
    let columns = if key.parent_columns.is_empty() {
        if parent.primary_key.is_empty() {
            return Err(Cause::ParentWithoutKey(parent.name.clone()));
        }
        parent.primary_key.clone()
    } else {
        let find = |name: &String| {
            let position = parent.columns.iter().position(|c| same(&c.name, name));
            position.ok_or_else(|| Cause::ParentWithoutColumn(parent.name.clone(), name.clone()))
        };
        key.parent_columns.iter().map(find).collect::<Result<Vec<usize>, Cause>>()?
    };
    if columns.len() != key.columns.len() {
        return Err(Cause::OtherWidth(key.columns.len(), parent.name.clone(), columns.len()));
    }
    Ok(columns)
}

/// Gives a column without a type and without values the type of the column it refers to, and follows citext:
/// PostgreSQL compares neither text with bigint nor text with citext in a foreign key. Chains settle in a few
/// rounds.
fn adopt_types(drafts: &mut [Draft<'_>], found: &[Found<'_>], options: &Options) {
    for _ in 0..8 {
        let mut has_changed = false;
        for found in found {
            let Parent::Drafted(parent) = found.parent else { continue };
            for (&from, &to) in found.key.columns.iter().zip(&found.parent_columns) {
                let Some(parent_type) =
                    drafts.get(parent).and_then(|d| d.attribute(to)).map(|c| c.pg_type.clone())
                else {
                    continue;
                };
                let Some(draft) = drafts.get_mut(found.child).filter(|d| d.is_created()) else { continue };
                let Some(column) = draft.columns.get_mut(from) else { continue };
                let is_asked = options
                    .column(&draft.table.name, &column.column.name)
                    .is_some_and(|o| o.pg_type.is_some());
                let follows = column.reason == Reason::Empty
                    || (parent_type == PgType::Citext && is_text(&column.pg_type));
                if follows && !is_asked && column.pg_type != parent_type {
                    column.pg_type = parent_type;
                    has_changed = true;
                }
            }
        }
        if !has_changed {
            break;
        }
    }
}

fn key(drafts: &[Draft<'_>], found: &Found<'_>, options: &Options) -> Result<ForeignDraft, Cause> {
    let key = found.key;
    let no_such_draft = || Cause::ParentMissing(key.parent.clone());
    let child = drafts.get(found.child).ok_or_else(no_such_draft)?;
    let label = label(child.table, key);
    let asked = options.foreign_key(&label);
    let sql = declared(child, key);
    let on_delete = asked.and_then(|o| o.on_delete).unwrap_or_else(|| action(&key.on_delete));
    let on_update = action(&key.on_update);
    let mut columns = Vec::new();
    let mut parent_columns = Vec::new();
    let mut source_columns = Vec::new();
    let mut parent_source_columns = Vec::new();
    if key.columns.len() > MAX_KEY_COLUMNS {
        return Err(Cause::Columns(key.columns.len()));
    }
    for (&from, &to) in key.columns.iter().zip(&found.parent_columns) {
        let left_out = |table: &Table, column: usize| {
            let name = table.columns.get(column).map_or("", |c| c.name.as_str());
            Cause::ColumnLeftOut(name.to_owned(), table.name.clone())
        };
        let column = child.attribute(from).ok_or_else(|| left_out(child.table, from))?;
        let (parent_name, parent_type) =
            found.referenced(drafts, to).ok_or_else(|| left_out(found.parent_table, to))?;
        if !can_refer(&column.pg_type, &parent_type) {
            let parent = (found.parent_table.name.clone(), parent_type);
            return Err(Cause::Types(Box::new([
                (column.column.name.clone(), column.pg_type.clone()),
                parent,
            ])));
        }
        let writes_child =
            matches!(on_delete, "SET NULL" | "SET DEFAULT") || !matches!(on_update, "NO ACTION" | "RESTRICT");
        if writes_child && matches!(column.role, Role::Generated(_)) {
            return Err(Cause::Generated(column.column.name.clone()));
        }
        columns.push(column.target.clone());
        parent_columns.push(parent_name);
        source_columns.push(column.column.name.clone());
        parent_source_columns
            .push(found.parent_table.columns.get(to).map_or(String::new(), |c| c.name.clone()));
    }
    let is_created = options.foreign_key_constraints && child.is_created();
    // Where no constraint is made the key still says which rows are orphans.
    if is_created && !is_unique(drafts, found, &parent_columns) {
        return Err(Cause::NoUniqueKey(found.parent_table.name.clone(), parent_source_columns));
    }
    Ok(ForeignDraft {
        child: found.child,
        declared_name: sql.and_then(|s| s.name.clone()),
        on_delete: on_delete.to_owned(),
        on_update: on_update.to_owned(),
        deferrable: match sql.map(|s| s.deferrable).unwrap_or_default() {
            Deferrable::No => "",
            Deferrable::InitiallyImmediate => " DEFERRABLE",
            Deferrable::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
        },
        plan: ForeignKeyPlan {
            name: String::new(),
            columns,
            parent: found.target(drafts).ok_or_else(no_such_draft)?,
            parent_columns,
            label,
            parent_source: found.parent_table.name.clone(),
            source_columns,
            parent_source_columns,
            orphans: asked.and_then(|o| o.orphans),
            is_created,
        },
    })
}

/// What the CREATE TABLE statement says of a foreign key: the entry at the same place, if it is the same key,
/// else the first that is.
fn declared<'d>(draft: &'d Draft<'_>, key: &ForeignKey) -> Option<&'d ForeignKeySql> {
    let is_it = |sql: &&ForeignKeySql| {
        same(&sql.parent, &key.parent)
            && sql.columns.len() == key.columns.len()
            && sql.columns.iter().zip(&key.columns).all(|(name, &i)| draft.column_named(name) == Some(i))
    };
    let position = draft.table.foreign_keys.iter().position(|k| std::ptr::eq(k, key));
    let in_place = position.and_then(|p| draft.sql.foreign_keys.get(p)).filter(is_it);
    in_place.or_else(|| draft.sql.foreign_keys.iter().find(is_it))
}

/// An action in SQL's spelling; NO ACTION for anything that is none.
fn action(text: &str) -> &'static str {
    ["RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]
        .into_iter()
        .find(|a| text.eq_ignore_ascii_case(a))
        .unwrap_or("NO ACTION")
}

/// Whether the referenced columns have a key in PostgreSQL, or will have one.
fn is_unique(drafts: &[Draft<'_>], found: &Found<'_>, attributes: &[String]) -> bool {
    let relation = match &found.parent {
        Parent::Drafted(i) => drafts.get(*i).and_then(|d| d.relation),
        Parent::Existing(relation, _) => Some(*relation),
    };
    if let Some(relation) = relation {
        let wanted: HashSet<&str> = attributes.iter().map(String::as_str).collect();
        return relation.keys.iter().any(|k| k.iter().map(String::as_str).collect::<HashSet<_>>() == wanted);
    }
    let table = found.parent_table;
    let wanted = column_set(&found.parent_columns);
    // PostgreSQL refuses a column that is listed twice.
    if wanted.len() != found.parent_columns.len() {
        return false;
    }
    column_set(&table.primary_key) == wanted
        || table.indexes.iter().any(|index| {
            let columns: Option<Vec<usize>> = index.terms.iter().map(|t| t.column).collect();
            index.is_unique && !index.is_partial && columns.is_some_and(|c| column_set(&c) == wanted)
        })
}

/// Whether PostgreSQL has an equality operator for a foreign key from one type to another, in the operator
/// family of the parent's index or over an implicit cast to the parent's type (`ATAddForeignKeyConstraint`,
/// `pg_cast`).
fn can_refer(child: &PgType, parent: &PgType) -> bool {
    use PgType as T;
    let rank = |t: &T| match t {
        T::SmallInt | T::Integer | T::BigInt => Some(0),
        T::Numeric { .. } => Some(1),
        T::Real | T::DoublePrecision => Some(2),
        _ => None,
    };
    let is_date = |t: &T| matches!(t, T::Date | T::Timestamp(_) | T::TimestampTz(_));
    match (child, parent) {
        // Numbers widen implicitly and never narrow.
        _ if rank(child).is_some() && rank(parent).is_some() => rank(child) <= rank(parent),
        _ if is_date(child) && is_date(parent) => true,
        _ if is_text(child) && is_text(parent) => true,
        (T::Citext, p) if is_text(p) => true,
        (T::Time(_), T::Time(_)) => true,
        // No equality.
        (T::Json, T::Json) => false,
        (
            T::Enum { name: a, .. } | T::Other { name: a, .. },
            T::Enum { name: b, .. } | T::Other { name: b, .. },
        ) => a == b,
        (a, b) => a == b,
    }
}
