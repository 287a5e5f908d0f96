//! Are the source's keys and foreign keys still enforced, and will the next key be a free one?

use std::collections::BTreeSet;

use aliaport_plan::catalogue::{ForeignKey, Index, IndexOrigin};
use aliaport_plan::finding::{Cause, Finding, Subject, Uncarried, Why};
use aliaport_plan::name::{clip, spell};
use aliaport_plan::option::Options;
use aliaport_plan::plan::{ForeignKeyPlan, SequencePlan};
use aliaport_rows::identifier::{quote, quote_list};
use aliaport_rows::pg_type::PgType;
use aliaport_sqlite::KeyEnd;
use pgrx::pg_sys;

use super::CheckResult;
use super::against::Against;
use super::validated_table::ValidatedTable;
use crate::pg::server::count::counted;
use crate::pg::server::error::Result;
use crate::pg::server::spi;
use crate::pg::table::foreign_key::is_partition_copy;
use crate::pg::table::orphan;
use crate::pg::table::sequence::{self, Behind, Sequence};

/// Bytes that PostgreSQL keeps of a name (`NAMEDATALEN` - 1).
const MAX_NAME: usize = 63;

/// A unique index of the target, or the constraint that has one.
struct StoredIndex {
    definition: String,
    name: String,
    is_valid: bool,
    is_partial: bool,
    /// Attribute names, or an expression in parentheses.
    terms: Vec<String>,
}

/// What the source declares to be unique.
struct DeclaredKey {
    definition: String,
    /// By plan column; `None` where a term is an expression or the index has a condition: it is found by its
    /// name.
    columns: Option<Vec<String>>,
    /// Attributes that compare without regard to case in the source.
    folded: BTreeSet<String>,
    /// The name of an index that is found by it, in the source and in the target.
    name: String,
    target_name: String,
    /// A column of it that the target does not have any more.
    lost: Option<String>,
}

/// A check for each key of the source whose columns are imported.
pub fn unique(against: &Against, subject: &ValidatedTable<'_>) -> Result<Vec<CheckResult>> {
    let keys = keys(&against.opened.options, subject);
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let indexes = unique_indexes(subject.oid)?;
    keys.into_iter().map(|key| unique_check(against, subject, key, &indexes)).collect()
}

fn unique_check(
    against: &Against,
    subject: &ValidatedTable<'_>,
    key: DeclaredKey,
    indexes: &[StoredIndex],
) -> Result<CheckResult> {
    if let Some(lost) = key.lost {
        let detail = Some(format!("the target has no column {}", quote(&lost)));
        return Ok(CheckResult { source: Some(key.definition), detail, ..subject.check("unique") });
    }
    let found: Vec<&StoredIndex> = indexes.iter().filter(|i| is_for(i, &key)).collect();
    let index = found.iter().find(|i| i.is_valid).or(found.first());
    let detail = match (index, &key.columns) {
        (Some(index), _) if !index.is_valid => Some("the index is not valid".to_owned()),
        (Some(index), _) if !key.folded.is_empty() && index.terms.iter().any(|t| key.folded.contains(t)) => {
            Some("the source compares without regard to case".to_owned())
        }
        (Some(_), _) => None,
        (None, None) => {
            let refusal = against.refusal(&subject.table.name, &key.name);
            Some(refusal.unwrap_or_else(|| "the target has no unique index of this name".to_owned()))
        }
        (None, Some(columns)) => {
            let again = duplicates(subject, columns)?;
            let values = match again {
                0 => "its values are unique all the same".to_owned(),
                n => format!(
                    "{} there more than once",
                    if n == 1 { "1 value is".to_owned() } else { format!("{n} values are") }
                ),
            };
            Some(format!("the target has no such key; {values}"))
        }
    };
    Ok(CheckResult {
        source: Some(key.definition),
        target: index.map(|i| i.definition.clone()),
        ok: index.is_some_and(|i| i.is_valid),
        detail,
        ..subject.check("unique")
    })
}

/// The keys that the source declares, the primary key first. A column that the options leave out takes its
/// keys with it.
fn keys(options: &Options, subject: &ValidatedTable<'_>) -> Vec<DeclaredKey> {
    let table = subject.table;
    let attribute = |source: usize| Some(subject.plan.columns.get(subject.column(source)?)?.target.clone());
    let folded = |index: &Index| {
        let terms = index.terms.iter().filter(|t| t.collation.eq_ignore_ascii_case("NOCASE"));
        terms.filter_map(|t| attribute(t.column?)).collect()
    };
    let key = |what: &str, columns: &[usize], index: Option<&Index>| {
        let mut lost = None;
        let mut names = Vec::with_capacity(columns.len());
        for &column in columns {
            names.push(match (attribute(column), subject.lost(column)) {
                (Some(name), _) => name,
                (None, Some(name)) => lost.insert(name.to_owned()).clone(),
                (None, None) => return None,
            });
        }
        Some(DeclaredKey {
            definition: format!("{what} ({})", quote_list(names.iter().map(String::as_str))),
            columns: Some(names),
            folded: index.map(folded).unwrap_or_default(),
            name: String::new(),
            target_name: String::new(),
            lost,
        })
    };
    let mut keys = Vec::new();
    if !table.primary_key.is_empty() {
        let index = table.indexes.iter().find(|i| i.origin == IndexOrigin::PrimaryKey);
        keys.extend(key("PRIMARY KEY", &table.primary_key, index));
    }
    for index in table.indexes.iter().filter(|i| i.is_unique) {
        let is_wanted = match index.origin {
            IndexOrigin::PrimaryKey => false,
            IndexOrigin::Unique => true,
            IndexOrigin::Statement => options.indexes,
        };
        if !is_wanted {
            continue;
        }
        let plain: Option<Vec<usize>> = index.terms.iter().map(|t| t.column).collect();
        match plain.filter(|_| !index.is_partial) {
            Some(columns) => keys.extend(key("UNIQUE", &columns, Some(index))),
            None => {
                let what = if index.is_partial { "with a condition" } else { "on an expression" };
                let spelled = spell(&index.name, options.identifiers);
                keys.push(DeclaredKey {
                    definition: format!("unique index {} {what}", quote(&index.name)),
                    columns: None,
                    folded: BTreeSet::new(),
                    name: index.name.clone(),
                    target_name: clip(&spelled, MAX_NAME).to_owned(),
                    lost: None,
                });
            }
        }
    }
    keys
}

fn unique_indexes(relation: pg_sys::Oid) -> Result<Vec<StoredIndex>> {
    spi::rows(
        "SELECT COALESCE(pg_catalog.pg_get_constraintdef(k.oid), pg_catalog.pg_get_indexdef(i.indexrelid)), c.relname::pg_catalog.text, \
                i.indisvalid AND i.indisready AND i.indislive, i.indpred IS NOT NULL, \
                ARRAY(SELECT COALESCE(a.attname::pg_catalog.text, '(' || pg_catalog.pg_get_indexdef(i.indexrelid, t.n::pg_catalog.int4, true) || ')') \
                      FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS t(attnum, n) \
                      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = t.attnum AND t.attnum > 0 \
                      WHERE t.n <= i.indnkeyatts ORDER BY t.n) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') \
         WHERE i.indrelid = $1 AND i.indisunique ORDER BY i.indisprimary DESC, k.oid IS NULL, i.indexrelid",
        &[relation.into()],
        |row| {
            Ok(StoredIndex {
                definition: row.get::<String>(1)?.unwrap_or_default(),
                name: row.get::<String>(2)?.unwrap_or_default(),
                is_valid: row.get::<bool>(3)?.unwrap_or(false),
                is_partial: row.get::<bool>(4)?.unwrap_or(true),
                terms: row.get::<Vec<String>>(5)?.unwrap_or_default(),
            })
        },
    )
}

/// Whether an index of the target makes a key of the source unique.
fn is_for(index: &StoredIndex, key: &DeclaredKey) -> bool {
    let Some(columns) = &key.columns else { return index.name.eq_ignore_ascii_case(&key.target_name) };
    // The order of the columns does not matter. lower() is what NOCASE becomes.
    let is_term = |column: &String| {
        index.terms.iter().any(|term| {
            term == column
                || key.folded.contains(column) && term.starts_with("(lower(") && term.contains(&quote(column))
        })
    };
    let distinct: BTreeSet<&String> = columns.iter().collect();
    !index.is_partial && distinct.len() == index.terms.len() && columns.iter().all(is_term)
}

/// How many values of these columns the target has more than once.
fn duplicates(subject: &ValidatedTable<'_>, columns: &[String]) -> Result<i64> {
    // Of some types only the text is sure to have an equality.
    let has_equality = |name: &String| {
        let column = subject.plan.columns.iter().find(|c| &c.target == name);
        column.is_some_and(|c| !matches!(c.pg_type, PgType::Json | PgType::Other { .. }))
    };
    let term = |c| {
        if has_equality(c) {
            quote(c)
        } else {
            format!("CASE WHEN {0} IS NOT NULL THEN pg_catalog.concat({0}) END", quote(c))
        }
    };
    let names: Vec<String> = columns.iter().map(term).collect();
    let not_null: Vec<String> = names.iter().map(|n| format!("{n} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING pg_catalog.count(*) > 1) d",
        subject.from,
        not_null.join(" AND "),
        names.join(", ")
    );
    Ok(spi::one::<i64>(&sql, &[])?.unwrap_or(0))
}

/// A foreign key of the target.
struct StoredForeignKey {
    definition: String,
    is_validated: bool,
    parent: (String, String),
    /// Attributes and what they refer to.
    columns: BTreeSet<(String, String)>,
}

/// A check for each foreign key of the source.
pub fn foreign_keys(against: &Against, subject: &ValidatedTable<'_>) -> Result<Vec<CheckResult>> {
    if subject.table.foreign_keys.is_empty() {
        return Ok(Vec::new());
    }
    let references = references(subject.oid)?;
    let mut checks = Vec::new();
    let mut seen: Vec<&ForeignKeyPlan> = Vec::new();
    for (place, key) in subject.table.foreign_keys.iter().enumerate() {
        let names: Vec<&str> = key
            .columns
            .iter()
            .filter_map(|c| subject.table.columns.get(*c))
            .map(|c| c.name.as_str())
            .collect();
        let plan = subject.plan.foreign_keys.iter().find(|p| {
            p.parent_source.eq_ignore_ascii_case(&key.parent)
                && p.source_columns == names
                && !seen.contains(p)
        });
        let source = source_orphans(against, subject, key)?;
        match plan {
            Some(plan) => {
                seen.push(plan);
                checks.push(foreign_key(against, subject, plan, source, &references)?);
            }
            None => checks.extend(not_carried(against, subject, place, &names, source)),
        }
    }
    Ok(checks)
}

fn foreign_key(
    against: &Against,
    subject: &ValidatedTable<'_>,
    plan: &ForeignKeyPlan,
    source: Option<u64>,
    references: &[StoredForeignKey],
) -> Result<CheckResult> {
    let columns: BTreeSet<(String, String)> =
        plan.columns.iter().cloned().zip(plan.parent_columns.iter().cloned()).collect();
    let parent = (plan.parent.schema.clone(), plan.parent.name.clone());
    let found = references.iter().filter(|r| r.parent == parent && r.columns == columns);
    let reference = found.max_by_key(|r| r.is_validated);
    let what = format!("{} -> {}", plan.label, plan.parent_source);
    if against.plan.tables.iter().any(|t| t.is_created && t.target == plan.parent) {
        let detail = Some(format!("{what}: the target has no table {}", plan.parent));
        return Ok(CheckResult {
            source: source.map(|n| n.to_string()),
            detail,
            ..subject.check("foreign_key")
        });
    }
    let target = target_orphans(subject, plan)?;
    let is_wanted = against.opened.options.foreign_key_constraints;
    let (is_enforced, why) = match reference {
        Some(reference) if reference.is_validated => (true, reference.definition.clone()),
        Some(reference) => {
            (false, format!("{what}: the constraint is not validated: {}", reference.definition))
        }
        None if !is_wanted => (true, format!("{what}: no constraint, as the options say")),
        None => (false, format!("{what}: the target has no such constraint")),
    };
    Ok(CheckResult {
        source: source.map(|n| n.to_string()),
        target: Some(target.to_string()),
        ok: is_enforced && target == 0,
        detail: Some(if target > 0 {
            format!("{why}; {} without a parent", counted(target, "row"))
        } else {
            why
        }),
        ..subject.check("foreign_key")
    })
}

/// A key that the plan does not have. What the options leave out is not asked for.
fn not_carried(
    against: &Against,
    subject: &ValidatedTable<'_>,
    place: usize,
    names: &[&str],
    source: Option<u64>,
) -> Option<CheckResult> {
    let key = subject.table.foreign_keys.get(place)?;
    let options = &against.opened.options;
    let is_skipped = |c: &usize| subject.column(*c).is_none() && subject.lost(*c).is_none();
    let is_left_out = key.columns.iter().any(is_skipped)
        || !options.includes(&key.parent)
        || refers_to_skipped(against, key);
    if is_left_out {
        return None;
    }
    let label = format!("{}.{}", subject.table.name, names.join(","));
    let is_it = |f: &&Finding| matches!(f.subject, Subject::ForeignKey(of, _) if of == place);
    let finding = subject.plan.findings.iter().find(is_it);
    let is_declared_twice =
        |f: &Finding| matches!(&f.why, Why::Uncarried(Uncarried { cause: Cause::DeclaredTwice, .. }));
    Some(CheckResult {
        source: source.map(|n| n.to_string()),
        target: None,
        ok: finding.is_some_and(is_declared_twice),
        detail: Some(
            finding.map_or_else(|| format!("foreign key {label} is not carried over"), ToString::to_string),
        ),
        ..subject.check("foreign_key")
    })
}

/// Whether options leave out a column that a key refers to.
fn refers_to_skipped(against: &Against, key: &ForeignKey) -> bool {
    let Some(parent) = against.opened.catalogue.table_named(&key.parent) else {
        return false;
    };
    let is_skipped =
        |name: &str| against.opened.options.column(&parent.name, name).is_some_and(|column| column.skip);
    if key.parent_columns.is_empty() {
        let mut own = parent.primary_key.iter().filter_map(|&c| parent.columns.get(c));
        own.any(|column| is_skipped(&column.name))
    } else {
        key.parent_columns.iter().any(|name| is_skipped(name))
    }
}

/// Orphans in the source; `None` where its parent or a column of it does not exist.
fn source_orphans(against: &Against, subject: &ValidatedTable<'_>, key: &ForeignKey) -> Result<Option<u64>> {
    let catalogue = &against.opened.catalogue;
    let Some(parent) = catalogue.table_named(&key.parent) else {
        return Ok(None);
    };
    let columns = if key.parent_columns.is_empty() {
        Some(parent.primary_key.clone())
    } else {
        let place = |name: &String| parent.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        key.parent_columns.iter().map(place).collect()
    };
    let Some(columns) = columns.filter(|c: &Vec<usize>| c.len() == key.columns.len() && !c.is_empty()) else {
        return Ok(None);
    };
    let filter = against.opened.options.table(&parent.name).and_then(|o| o.filter.as_deref());
    let child =
        KeyEnd { table: subject.table, columns: &key.columns, filter: subject.plan.filter.as_deref() };
    let parent = KeyEnd { table: parent, columns: &columns, filter };
    Ok(Some(against.opened.source.count_orphans(child, parent)?))
}

/// Orphans in the target, whether or not a constraint says that there are none.
fn target_orphans(subject: &ValidatedTable<'_>, key: &ForeignKeyPlan) -> Result<u64> {
    let not_null: Vec<String> = key.columns.iter().map(|c| format!("c.{} IS NOT NULL", quote(c))).collect();
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
        subject.from,
        not_null.join(" AND "),
        key.parent,
        orphan::same_key(&subject.plan.target, key, "p", "c")?
    );
    Ok(spi::one_for_caller::<i64>(&sql, &[])?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

fn references(relation: pg_sys::Oid) -> Result<Vec<StoredForeignKey>> {
    spi::rows(
        concat!(
            "SELECT pg_catalog.pg_get_constraintdef(k.oid), k.convalidated, n.nspname::pg_catalog.text, p.relname::pg_catalog.text, \
                ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
                ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n) \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class p ON p.oid = k.confrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace \
         WHERE k.conrelid = $1 AND k.contype = 'f' AND NOT (",
            is_partition_copy!(),
            ") ORDER BY k.oid"
        ),
        &[relation.into()],
        |row| {
            let columns = row.get::<Vec<String>>(5)?.unwrap_or_default();
            let parent_columns = row.get::<Vec<String>>(6)?.unwrap_or_default();
            Ok(StoredForeignKey {
                definition: row.get::<String>(1)?.unwrap_or_default(),
                is_validated: row.get::<bool>(2)?.unwrap_or(false),
                parent: (
                    row.get::<String>(3)?.unwrap_or_default(),
                    row.get::<String>(4)?.unwrap_or_default(),
                ),
                columns: columns.into_iter().zip(parent_columns).collect(),
            })
        },
    )
}

/// A check of each sequence behind a column; one that says so where SQLite gives out keys and nothing does
/// here.
pub fn sequences(against: &Against, subject: &ValidatedTable<'_>) -> Result<Vec<CheckResult>> {
    let mut checks = Vec::new();
    for plan in &subject.plan.sequences {
        if let Behind::Sequence(oid) = sequence::behind(&subject.plan.target.to_string(), &plan.column)? {
            checks.extend(sequence_check(against, subject, plan, oid)?);
        }
    }
    if checks.is_empty() {
        checks.extend(without_sequence(subject)?);
    }
    Ok(checks)
}

fn sequence_check(
    against: &Against,
    subject: &ValidatedTable<'_>,
    plan: &SequencePlan,
    oid: pg_sys::Oid,
) -> Result<Option<CheckResult>> {
    let Some(sequence) = Sequence::read(oid, subject.plan, &plan.column)? else { return Ok(None) };
    let mut used = sequence::used_in_source(&against.opened.source, subject.table, subject.plan, plan)?;
    let in_source = used.range;
    used.extend(sequence::used_in_target(subject.plan, plan)?);
    let extreme = |range: Option<(i64, i64)>| {
        range.map(|(least, most)| if sequence.counts_up() { most } else { least })
    };
    let (name, column, next) = (sequence.displayed_name()?, quote(&plan.column), sequence.next());
    let is_past = |next: i64| match extreme(used.range) {
        Some(key) if sequence.counts_up() => next > key,
        Some(key) => next < key,
        None => true,
    };
    let begins_anew = sequence.begins_anew(&used);
    let detail = match next {
        Some(next) if is_past(next) && sequence.is_held(next) && begins_anew => format!(
            "{name} feeds column {column}, and begins anew when it has come to its end (CYCLE), with keys that are in use"
        ),
        Some(next) if is_past(next) && sequence.is_held(next) => format!("{name} feeds column {column}"),
        Some(next) if is_past(next) => {
            format!("{name} will give {next} next, which column {column} cannot hold")
        }
        Some(_) => {
            let key = extreme(used.range).map_or_else(|| "none".to_owned(), |key| key.to_string());
            format!("{name} will give column {column} keys that are in use, or were in SQLite, up to {key}")
        }
        None if sequence.is_readable() => {
            format!("{name} is used up: column {column} gets no more keys from it")
        }
        None => format!("the caller may not read {name}, which feeds column {column}"),
    };
    Ok(Some(CheckResult {
        source: extreme(in_source).map(|key| key.to_string()),
        target: next.map(|next| next.to_string()),
        ok: !begins_anew && next.is_some_and(|next| is_past(next) && sequence.is_held(next)),
        detail: Some(detail),
        ..subject.check("sequence")
    }))
}

/// Where SQLite gives out keys and the target does not: an INSERT without a key worked there and fails here.
/// A key that refers to a parent is given by the application.
fn without_sequence(subject: &ValidatedTable<'_>) -> Result<Option<CheckResult>> {
    let table = subject.table;
    let Some(alias) = table.rowid_alias.filter(|a| !table.foreign_keys.iter().any(|k| k.columns.contains(a)))
    else {
        return Ok(None);
    };
    let Some(plan) = subject.column(alias).and_then(|c| subject.plan.columns.get(c)) else { return Ok(None) };
    let has_default = spi::one::<bool>(
        "SELECT atthasdef OR attidentity <> '' FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = $2",
        &[subject.oid.into(), plan.target.clone().into()],
    )?;
    if has_default == Some(true) {
        return Ok(None);
    }
    Ok(Some(CheckResult {
        source: Some("the rowid".to_owned()),
        detail: Some(format!("column {} has neither a sequence nor another default", quote(&plan.target))),
        ..subject.check("sequence")
    }))
}
