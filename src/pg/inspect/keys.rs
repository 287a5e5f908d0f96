//! Rows that a unique key or a foreign key of the target would refuse.

use aliaport_plan::catalogue::Table;
use aliaport_plan::ddl;
use aliaport_plan::finding::{Allowed, Content, Finding, Orphan};
use aliaport_plan::inspect::{
    self, KeyHasher, LISTED, Orphaned, Repeated, UniqueKey, can_repeat, is_repairable, rowid_name,
    unique_keys,
};
use aliaport_plan::plan::ForeignKeyPlan;
use aliaport_plan::policy::{NoCase, Orphans};
use aliaport_rows::convert::{Converter, Scratch};
use aliaport_rows::value::Row;
use aliaport_sqlite::Reference;
use serde_json::Value as Json;

use super::content::Seen;
use super::sample::{Key, values_of};
use super::{InspectedTable, Observation, references};
use crate::pg::server::error::Result;
use crate::pg::server::interrupt;
use crate::pg::table::as_replica::{self, Touch};
use crate::pg::table::{foreign_key, relax, target};

/// Keys compared in one pass: 256 MB of hashes. A larger table is read several times, each time for a part of
/// the hashes.
const KEYS_A_PASS: u64 = 32 << 20;

/// Rows between two looks at the interrupt flags.
const ROWS_BETWEEN_CHECKS: u64 = 1000;

/// Rows that repeat a unique key, for the keys that the pass over the table does not rule out.
pub fn repeated(subject: &InspectedTable<'_>, content: &Seen) -> Result<Vec<Observation>> {
    let plan = subject.plan;
    let relation = subject
        .target
        .relations
        .iter()
        .find(|r| r.schema == plan.target.schema && r.name == plan.target.name);
    let mut out = Vec::new();
    for key in unique_keys(subject.table, plan, relation, &subject.inspected.options) {
        if can_repeat(&key, plan, &content.classes) {
            out.extend(repeated_key(subject, content, &key)?);
        }
    }
    Ok(out)
}

/// The columns of one key, and how their values are hashed.
struct Hashing<'a> {
    subject: &'a InspectedTable<'a>,
    key: &'a UniqueKey,
    converters: Vec<Converter>,
    scratch: Scratch,
    hasher: KeyHasher,
}

impl Hashing<'_> {
    /// The hash of a row whose columns from `first` on are the key's; `None` where a value is NULL or bad,
    /// which is another observation.
    fn hash(&mut self, row: &Row<'_>, first: usize) -> Option<u64> {
        let mut is_whole = true;
        for (i, converter) in self.converters.iter().enumerate() {
            let column = self.subject.plan.columns.get(*self.key.columns.get(i)?)?;
            let fold = *self.key.folds.get(i)?;
            is_whole &= match converter.convert(row.value(first + i), &mut self.scratch) {
                Ok(converted) => self.hasher.add(&converted.cell, &column.pg_type, fold),
                Err(_) => false,
            };
        }
        let hash = self.hasher.finish();
        is_whole.then_some(hash)
    }
}

fn repeated_key(
    subject: &InspectedTable<'_>,
    content: &Seen,
    key: &UniqueKey,
) -> Result<Option<Observation>> {
    let converters = key.columns.iter().filter_map(|&c| subject.converter(c)).collect();
    let mut hashing =
        Hashing { subject, key, converters, scratch: Scratch::default(), hasher: KeyHasher::default() };
    let own: Vec<usize> = key.columns.iter().filter_map(|&c| subject.columns.get(c).copied()).collect();
    let filter = subject.plan.filter.as_deref();
    let mut repeated = Repeated::default();
    let parts = content.rows.div_ceil(KEYS_A_PASS).max(1);
    for part in 0..parts {
        let mut reader = subject.opened.source.rows_where(subject.table, &own, filter)?;
        let mut read = 0u64;
        while let Some(row) = reader.next()? {
            // The high bits, so that a part is not every n-th bucket of the set.
            if let Some(hash) = hashing.hash(&row, 0)
                && (hash >> 32) % parts == part
            {
                repeated.add(hash);
            }
            read += 1;
            if read.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                interrupt::check();
            }
        }
        repeated.settle();
        interrupt::check();
    }
    if repeated.surplus == 0 {
        return Ok(None);
    }
    let names: Vec<&str> =
        key.columns.iter().filter_map(|&c| subject.plan.columns.get(c)).map(|c| c.source.as_str()).collect();
    let (samples, rowids) = repeated_samples(subject, &mut hashing, &own, &repeated)?;
    // Only the target has it.
    let is_stricter = !key.is_enforced && !subject.plan.is_created;
    let drop = match is_stricter {
        true => {
            let attributes = key.columns.iter().filter_map(|&c| subject.plan.columns.get(c));
            let attributes: Vec<String> = attributes.map(|c| c.target.clone()).collect();
            relax::unique_key(subject.plan, &attributes)?
        }
        false => None,
    };
    let types = key.columns.iter().filter_map(|&c| subject.plan.columns.get(c)).map(|c| c.pg_type.clone());
    let why = Content::Repeated {
        key: key.what.clone(),
        is_folded: key.is_folded(),
        types: types.collect(),
        is_stricter,
    };
    let finding = Finding::of(&subject.plan.source, why).in_column(&names.join(", "));
    Ok(Some(Observation {
        finding: finding.counted(repeated.surplus),
        sample: Some(Json::Array(samples)),
        suggestion: Some(inspect::of_repeated(
            subject.table,
            &names,
            &rowids,
            repeated.surplus,
            drop.as_deref(),
        )),
    }))
}

/// The first rows whose key is there more than once, in the order of the scan.
fn repeated_samples(
    subject: &InspectedTable<'_>,
    hashing: &mut Hashing<'_>,
    own: &[usize],
    repeated: &Repeated,
) -> Result<(Vec<Json>, Vec<i64>)> {
    let key = Key::of_source_key(subject.plan, subject.inspected.options.samples);
    let mut columns: Vec<usize> = key.positions().filter_map(|p| subject.columns.get(p).copied()).collect();
    let first = columns.len();
    columns.extend(own);
    let key = key.first();
    let (mut samples, mut rowids) = (Vec::new(), Vec::new());
    let mut reader =
        subject.opened.source.rows_where(subject.table, &columns, subject.plan.filter.as_deref())?;
    let mut read = 0u64;
    while let Some(row) = reader.next()? {
        if hashing.hash(&row, first).is_some_and(|hash| repeated.repeated.contains(&hash)) {
            samples.push(key.entry(&row, values_of((first..columns.len()).map(|i| row.value(i)))));
            rowids.extend(row.rowid());
            if samples.len() == key.limit {
                break;
            }
        }
        read += 1;
        if read.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
        }
    }
    Ok((samples, rowids))
}

/// Rows whose parent is missing in the source, a foreign key after the other. [`super::references`] has those
/// whose parents are elsewhere.
pub fn orphans(subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
    let mut out = Vec::new();
    for key in &subject.plan.foreign_keys {
        if references::is_to_imported(subject, key)
            && let Some(parent) = subject.opened.catalogue.table_named(&key.parent_source)
        {
            out.extend(orphans_of(subject, key, parent)?);
        }
        interrupt::check();
    }
    Ok(out)
}

fn orphans_of(
    subject: &InspectedTable<'_>,
    key: &ForeignKeyPlan,
    parent: &Table,
) -> Result<Option<Observation>> {
    let position = |table: &Table, name: &String| table.columns.iter().position(|c| c.name == *name);
    let own: Option<Vec<usize>> = key.source_columns.iter().map(|n| position(subject.table, n)).collect();
    let theirs: Option<Vec<usize>> = key.parent_source_columns.iter().map(|n| position(parent, n)).collect();
    let (Some(own), Some(theirs)) = (own, theirs) else { return Ok(None) };
    let options = &subject.inspected.options;
    let reference = Reference {
        child: subject.table,
        columns: &own,
        child_filter: subject.plan.filter.as_deref(),
        parent,
        parent_columns: &theirs,
        parent_filter: options.table(&parent.name).and_then(|t| t.filter.as_deref()),
        // citext compares without regard to case; everything else does not, whatever SQLite declares.
        is_nocase: options.nocase == NoCase::Citext,
    };
    let WithoutParent { count, samples, rowids, is_exact } = without_parent(subject, &reference)?;
    if count == 0 {
        return Ok(None);
    }
    let in_the_way = refuses_all(subject, key)?;
    let allowed = allowed(subject, key, in_the_way.is_none());
    let not_null = |name: &String| {
        subject.plan.columns.iter().any(|c| c.source == *name && c.is_not_null)
            || subject.table.columns.iter().any(|c| c.name == *name && c.is_not_null)
    };
    let is_nullable = !key.source_columns.iter().any(not_null);
    let orphan = Orphan::InSource(key.label.clone(), key.parent_source.clone());
    let declared = subject.table.foreign_keys.iter().position(|k| k.columns == own);
    Ok(Some(Observation {
        finding: orphans_found(subject, key, orphan, allowed, count),
        sample: Some(Json::Array(samples)),
        suggestion: Some(inspect::of_orphans(&Orphaned {
            child: &subject.plan.source,
            columns: &key.source_columns,
            parent: &key.parent_source,
            parent_columns: &key.parent_source_columns,
            rowid: rowid_name(subject.table).as_deref(),
            rowids: &rowids,
            count,
            can_be_cleared: is_nullable
                && (is_exact || count == rowids.len() as u64)
                && declared.is_some()
                && is_repairable(&subject.opened.catalogue, subject.table, &own, declared),
            is_nullable,
            label: &key.label,
            in_the_way: in_the_way.as_deref(),
        })),
    }))
}

/// What is found of rows without a parent.
pub fn orphans_found(
    subject: &InspectedTable<'_>,
    key: &ForeignKeyPlan,
    orphan: Orphan,
    allowed: Allowed,
    count: u64,
) -> Finding {
    let finding = Finding::of(&subject.plan.source, Content::Orphans(orphan, allowed));
    finding.in_column(&key.source_columns.join(", ")).counted(count)
}

/// Whether rows may stay without a parent, or be set aside; `can_be_kept` where nothing refuses them.
pub fn allowed(subject: &InspectedTable<'_>, key: &ForeignKeyPlan, can_be_kept: bool) -> Allowed {
    match key.orphans {
        Some(Orphans::Reject | Orphans::Null) => Allowed::ByOptions,
        Some(Orphans::Keep) if can_be_kept => Allowed::ByOptions,
        // No constraint is made, so nothing refuses them.
        _ if subject.plan.is_created && !key.is_created => Allowed::WithoutConstraint,
        _ => Allowed::No,
    }
}

/// The rows of a table that a key of it sends nowhere.
struct WithoutParent {
    count: u64,
    /// The first of them.
    samples: Vec<Json>,
    rowids: Vec<i64>,
    /// What SQLite takes for orphans are these rows and no others.
    is_exact: bool,
}

fn without_parent(subject: &InspectedTable<'_>, reference: &Reference<'_>) -> Result<WithoutParent> {
    let sample_key = Key::of_source_key(subject.plan, subject.inspected.options.samples);
    let mut columns: Vec<usize> =
        sample_key.positions().filter_map(|p| subject.columns.get(p).copied()).collect();
    let first = columns.len();
    columns.extend(reference.columns);
    let sample_key = sample_key.first();
    // A value that its column cannot hold is another observation: it points nowhere.
    let converters: Vec<Option<Converter>> = reference
        .columns
        .iter()
        .map(|c| subject.columns.iter().position(|p| p == c).and_then(|p| subject.converter(p)))
        .collect();
    let mut scratch = Scratch::default();
    let (count, samples, rowids) = (0u64, Vec::new(), Vec::new());
    let mut found = WithoutParent { count, samples, rowids, is_exact: true };
    let mut reader = subject.opened.source.orphans(reference, &columns)?;
    while let Some(row) = reader.next()? {
        let is_bad = converters.iter().enumerate().any(|(i, converter)| {
            converter.as_ref().is_some_and(|c| c.convert(row.value(first + i), &mut scratch).is_err())
        });
        if is_bad {
            found.is_exact = false;
            continue;
        }
        found.count += 1;
        if found.rowids.len() < LISTED {
            found.rowids.extend(row.rowid());
        }
        if found.samples.len() < sample_key.limit {
            found
                .samples
                .push(sample_key.entry(&row, values_of((first..columns.len()).map(|i| row.value(i)))));
        }
        if found.count.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            interrupt::check();
        }
    }
    Ok(found)
}

/// The statement that drops the constraint of a table that is there, where that refuses orphans also under
/// `orphans => 'keep'`: as long as it is valid, and where PostgreSQL itself checks each row that is written.
pub fn refuses_all(subject: &InspectedTable<'_>, key: &ForeignKeyPlan) -> Result<Option<String>> {
    let goal = &subject.plan.target;
    if subject.plan.is_created {
        return Ok(None);
    }
    let (Some(relation), Some(constraint)) =
        (target::relation_oid(&goal.schema, &goal.name)?, foreign_key::enforced_foreign_key(goal, key)?)
    else {
        return Ok(None);
    };
    let is_kept = !constraint.is_valid
        && as_replica::is_possible(relation, subject.inspected.options.triggers, Touch::Write)?;
    Ok((!is_kept).then(|| ddl::drop_constraint(goal, &constraint.name)))
}
