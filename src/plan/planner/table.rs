//! How does the CREATE TABLE of a table that is not there yet read? Generated columns, defaults, checks,
//! identity and full-text search.

use std::collections::HashMap;

use crate::catalogue::Generated;
use crate::ddl::{self, Clause, ColumnDefinition};
use crate::expr;
use crate::finding::{Cause, Existing, MAX_COLUMNS, Subject, Typing, Uncarried};
use crate::name::{Names, join_columns, spell};
use crate::option::{Options, SearchOption};
use crate::target::Target;
use aliaport_rows::identifier::{QualifiedName, quote, quote_literal};
use aliaport_rows::pg_type::PgType;

use super::draft::{Columns, Draft, Role, is_text, one_line, too_many_columns};
use super::error::PlanError;
use super::request::same;

/// Decides which generated columns PostgreSQL computes and adds the column of a full-text search. Names and
/// types of columns do not change after this.
pub(super) fn settle(draft: &mut Draft<'_>, options: &Options) -> Result<(), PlanError> {
    if draft.is_created() {
        carry_generated(draft);
        tell_conflicts(draft);
    }
    if let Some(search) = options.search_of(&draft.table.name) {
        add_search(draft, search, options)?;
    }
    Ok(())
}

/// A generated column that cannot be carried becomes an ordinary one, filled with the values that SQLite
/// computes.
fn carry_generated(draft: &mut Draft<'_>) {
    for position in 0..draft.columns.len() {
        let Some(column) = draft.attribute(position).filter(|c| c.column.generated != Generated::No) else {
            continue;
        };
        let name = column.column.name.clone();
        let sql = draft.sql.columns.iter().find(|c| same(&c.name, &name)).and_then(|c| c.generated.as_ref());
        let carried = match sql {
            Some((text, expr)) => expr::generated(expr, &Columns::ordinary(draft), &column.pg_type)
                .map_err(|why| Some((why, one_line(text)))),
            None => Err(None),
        };
        match carried {
            Ok(expression) => {
                if let Some(column) = draft.columns.get_mut(position) {
                    column.role = Role::Generated(Some(expression));
                }
            }
            Err(why) => draft.tell(Typing::Ordinary(why), Subject::Table, Some(&name)),
        }
    }
}

/// PostgreSQL's constraints only refuse: what SQLite would do with a row instead is said.
fn tell_conflicts(draft: &mut Draft<'_>) {
    let mut notes = Vec::new();
    for conflict in draft.sql.conflicts.clone() {
        let is_left_out =
            |name: &String| draft.column_named(name).is_none_or(|i| draft.attribute(i).is_none());
        if conflict.columns.iter().all(is_left_out) {
            continue;
        }
        notes.push(format!("without {conflict}"));
        let column = match conflict.columns.as_slice() {
            [column] => Some(column.clone()),
            _ => None,
        };
        draft.tell(Uncarried::new(Cause::Refuses), Subject::Conflict(conflict), column.as_deref());
    }
    draft.note = notes.join("; ");
}

fn add_search(draft: &mut Draft<'_>, search: &SearchOption, options: &Options) -> Result<(), PlanError> {
    let table = draft.table;
    if let Some(relation) = draft.relation {
        // A second import meets the column that the first one made.
        let has_one = relation.columns.iter().any(|c| {
            c.is_generated && matches!(&c.pg_type, PgType::Other { name, .. } if name == "tsvector")
        });
        if !has_one {
            draft.tell(Existing::NoSearch(draft.target.clone()), Subject::Table, None);
        }
        return Ok(());
    }
    let mut parts = Vec::new();
    for name in &search.columns {
        let column = draft.column_named(name).and_then(|i| draft.attribute(i));
        let why = match column {
            None => "is left out".to_owned(),
            Some(c) if matches!(c.role, Role::Generated(_)) => "is generated".to_owned(),
            Some(c) if !(is_text(&c.pg_type) || c.pg_type == PgType::Citext) => {
                format!("is of type {}", c.pg_type)
            }
            Some(c) => {
                parts.push(format!("coalesce({}::text, '')", quote(&c.target)));
                continue;
            }
        };
        return Err(PlanError::option(
            &table.name,
            format!("option \"search.{}.columns\" names column \"{name}\", which {why}", table.name),
            "Name text columns that are imported.",
        ));
    }
    let count = draft.columns.iter().filter(|c| c.role != Role::Skipped).count() + 1;
    if count > MAX_COLUMNS {
        return Err(too_many_columns(table, count));
    }
    let mut names = Names::of_columns();
    for column in &draft.columns {
        names.occupy(&column.target);
    }
    let (name, _) = names.assign(&spell("search", options.identifiers));
    let expression =
        format!("to_tsvector({}::regconfig, {})", quote_literal(&search.config), parts.join(" || ' ' || "));
    draft.search = Some((name, expression));
    Ok(())
}

/// The attribute that a sequence feeds: the rowid alias, where it is an integer.
pub(super) fn identity_column(draft: &Draft<'_>) -> Option<usize> {
    let position = draft.table.rowid_alias?;
    let column = draft.attribute(position)?;
    matches!(column.pg_type, PgType::BigInt | PgType::Integer | PgType::SmallInt).then_some(position)
}

/// Takes the name of the sequence that PostgreSQL will make for an identity column
/// (`generateSerialExtraStmts`), so that no key or index is given it. `Some` where the usual name is taken
/// and the sequence has to be named.
pub(super) fn reserve_sequence(
    draft: &Draft<'_>,
    schemas: &mut HashMap<String, Names>,
) -> Option<QualifiedName> {
    let column = draft.attribute(identity_column(draft)?)?;
    let usual = Names::new().make(&draft.target.name, &column.target, "seq");
    let names = schemas.entry(draft.target.schema.clone()).or_default();
    let name = names.make(&draft.target.name, &column.target, "seq");
    (name != usual).then(|| QualifiedName { schema: draft.target.schema.clone(), name })
}

/// The statement. `names` are the table's constraint names, in which the checks get theirs.
pub(super) fn create(
    draft: &mut Draft<'_>,
    sequence: Option<QualifiedName>,
    names: &mut Names,
    options: &Options,
    target: &Target,
) -> String {
    let checks = checks(draft, names, options);
    let identity = identity_column(draft);
    let mut definitions = Vec::new();
    let mut findings = Vec::new();
    for (i, column) in draft.columns.iter().enumerate() {
        let clause = match &column.role {
            Role::Skipped => continue,
            Role::Generated(Some(expression)) => Clause::Generated(expression.clone()),
            _ if identity == Some(i) => Clause::Identity(sequence.clone()),
            _ => match column
                .column
                .default
                .as_deref()
                .map(|text| (text, expr::default(text, &column.pg_type)))
            {
                None | Some((_, Ok(None))) => Clause::Nothing,
                Some((_, Ok(Some(expression)))) => Clause::Default(expression),
                Some((text, Err(why))) => {
                    let why = Uncarried { cause: Cause::Expression(why), sql: one_line(text) };
                    findings.push((column.column.name.clone(), why));
                    Clause::Nothing
                }
            },
        };
        let mut definition =
            ColumnDefinition::new(&column.target, &column.pg_type, clause, column.is_not_null);
        // The one type here that is not PostgreSQL's own: the search_path need not show it.
        if let (PgType::Citext, Some(schema)) = (&column.pg_type, &target.citext_schema) {
            definition.pg_type = format!("{}.citext", quote(schema));
        }
        definitions.push(definition);
    }
    if let Some((name, expression)) = &draft.search {
        definitions.push(ColumnDefinition {
            name: name.clone(),
            pg_type: "tsvector".to_owned(),
            clause: Clause::Generated(expression.clone()),
            is_not_null: false,
        });
    }
    for (column, why) in findings {
        draft.tell(why, Subject::Default, Some(&column));
    }
    ddl::create_table(&draft.target, &definitions, &checks)
}

/// A check in PostgreSQL's SQL.
pub(super) struct Carried {
    /// The name that the source declares.
    pub name: Option<String>,
    /// What PostgreSQL would name it after: the attribute, where it is about one only.
    pub column: String,
    pub expression: String,
    /// The columns that it reads.
    pub seen: Vec<usize>,
}

/// A check that PostgreSQL cannot have, its column, and why.
pub(super) type Refused = (Subject, Option<String>, Uncarried);

/// The checks that PostgreSQL can have, and the others.
pub(super) fn carried_checks(draft: &Draft<'_>) -> (Vec<Carried>, Vec<Refused>) {
    let mut carried = Vec::new();
    let mut refused = Vec::new();
    for (place, check) in draft.sql.checks.iter().enumerate() {
        let scope = Columns::all(draft);
        match expr::check(&check.expr, &scope) {
            // Never false, as 0 or 1 is of a boolean: the type says it better.
            Ok(expression) if expression == "true" => {}
            Ok(expression) => {
                let seen: Vec<usize> = scope.seen.take().into_iter().collect();
                // PostgreSQL names a check after its column where it has only one.
                let column = match seen.as_slice() {
                    &[one] => draft.attribute(one).map(|c| c.target.clone()).unwrap_or_default(),
                    _ => String::new(),
                };
                carried.push(Carried { name: check.name.clone(), column, expression, seen });
            }
            Err(why) => refused.push((
                Subject::Check(place, check.name.clone()),
                check.column.clone(),
                Uncarried { cause: Cause::Expression(why), sql: one_line(&check.text) },
            )),
        }
    }
    (carried, refused)
}

/// The checks that can be carried, named as declared or as PostgreSQL would name them.
fn checks(draft: &mut Draft<'_>, names: &mut Names, options: &Options) -> Vec<(String, String)> {
    let (carried, refused) = carried_checks(draft);
    for (check, column, why) in refused {
        draft.tell(why, check, column.as_deref());
    }
    // Declared names first, so that none of them is taken by a made one.
    let mut named: Vec<Option<String>> = carried
        .iter()
        .map(|c| c.name.as_ref().map(|n| names.assign(&spell(n, options.identifiers)).0))
        .collect();
    for (slot, check) in named.iter_mut().zip(&carried) {
        if slot.is_none() {
            *slot = Some(names.make(&draft.target.name, &join_columns([check.column.as_str()]), "check"));
        }
    }
    named.into_iter().flatten().zip(carried).map(|(name, check)| (name, check.expression)).collect()
}
