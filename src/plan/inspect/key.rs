//! Which unique keys could PostgreSQL refuse although SQLite holds them unique, and which rows repeat a key?
//!
//! SQLite compares what it stores, PostgreSQL what was converted: '1' and 1 are two keys in a column without
//! a type and one in `text`; '2025-01-01' and '2025-01-01 00:00:00' are one `timestamp`; a target may have
//! keys that the source lacks. Conversions that keep different values different need no look at the rows;
//! where one may not, the converted keys of all rows are hashed and the hashes compared.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

use crate::catalogue::{IndexOrigin, Table};
use crate::finding::KeyName;
use crate::option::Options;
use crate::plan::TablePlan;
use crate::policy::NoCase;
use crate::target::TargetRelation;
use aliaport_rows::convert::Lossy;
use aliaport_rows::convert::numeric::{Decoded, decode};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, StorageClass};

/// A key that is unique in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// Positions in [`TablePlan::columns`], in key order.
    pub columns: Vec<usize>,
    /// How each column's texts compare.
    pub folds: Vec<Fold>,
    /// What it is.
    pub what: KeyName,
    /// SQLite holds the same columns unique.
    pub is_enforced: bool,
}

/// How texts of a key compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fold {
    /// As they are.
    Exact,
    /// Without regard to the case of ASCII letters: `lower()` under the "C" collation.
    Ascii,
    /// Without regard to case: `citext`. The database's locale decides in the end.
    Unicode,
}

impl UniqueKey {
    /// Whether two keys that differ in case are one.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.folds.iter().any(|f| *f != Fold::Exact)
    }
}

/// The unique keys that the rows of a table will have to satisfy, without those that a rowid alias makes
/// certain.
#[must_use]
pub fn unique_keys(
    table: &Table,
    plan: &TablePlan,
    relation: Option<&TargetRelation>,
    options: &Options,
) -> Vec<UniqueKey> {
    let position = |column: usize| {
        let name = &table.columns.get(column)?.name;
        plan.columns.iter().position(|c| c.source == *name)
    };
    let own = own_keys(table);
    let mut keys: Vec<UniqueKey> = Vec::new();
    let mut push = |columns: Vec<usize>, is_nocase: &[bool], what: KeyName, is_enforced: bool| {
        let fold = |(&column, is_nocase): (&usize, &bool)| match plan.columns.get(column).map(|c| &c.pg_type)
        {
            Some(PgType::Citext) => Fold::Unicode,
            Some(PgType::Text | PgType::Varchar(_) | PgType::Char(_))
                if *is_nocase && options.nocase == NoCase::LowerIndex =>
            {
                Fold::Ascii
            }
            _ => Fold::Exact,
        };
        let folds: Vec<Fold> = columns.iter().zip(is_nocase).map(fold).collect();
        if !keys.iter().any(|k| k.columns == columns && k.folds == folds) {
            keys.push(UniqueKey { columns, folds, what, is_enforced });
        }
    };
    match relation.filter(|_| !plan.is_created) {
        Some(relation) => {
            for key in &relation.keys {
                let columns: Option<Vec<usize>> =
                    key.iter().map(|name| plan.columns.iter().position(|c| c.target == *name)).collect();
                let Some(columns) = columns.filter(|c| !c.is_empty()) else { continue };
                let is_enforced = own.iter().any(|own| {
                    own.columns.iter().all(|&c| position(c).is_some_and(|p| columns.contains(&p)))
                });
                let what = KeyName::Target(key.clone(), plan.target.clone());
                let exact = vec![false; columns.len()];
                push(columns, &exact, what, is_enforced);
            }
        }
        None => {
            for key in &own {
                // An index that is not made refuses nothing.
                if key.is_statement && !options.indexes {
                    continue;
                }
                let columns: Option<Vec<usize>> = key.columns.iter().map(|&c| position(c)).collect();
                if let Some(columns) = columns {
                    push(columns, &key.is_nocase, key.what.clone(), true);
                }
            }
        }
    }
    let alias = table.rowid_alias.and_then(position);
    keys.retain(|k| !k.is_enforced || alias.is_none() || k.columns.as_slice() != [alias.unwrap_or_default()]);
    keys
}

/// A unique key that the source declares.
struct OwnKey {
    columns: Vec<usize>,
    is_nocase: Vec<bool>,
    what: KeyName,
    is_statement: bool,
}

fn own_keys(table: &Table) -> Vec<OwnKey> {
    let mut keys = Vec::new();
    if !table.primary_key.is_empty() {
        let index = table.indexes.iter().find(|i| i.origin == IndexOrigin::PrimaryKey);
        let is_nocase = |&column: &usize| {
            let term = index.and_then(|i| i.terms.iter().find(|t| t.column == Some(column)));
            term.is_some_and(|t| t.collation.eq_ignore_ascii_case("NOCASE"))
        };
        keys.push(OwnKey {
            columns: table.primary_key.clone(),
            is_nocase: table.primary_key.iter().map(is_nocase).collect(),
            what: KeyName::Primary,
            is_statement: false,
        });
    }
    let declared = |i: &&crate::catalogue::Index| {
        i.is_unique && !i.is_partial && i.origin != IndexOrigin::PrimaryKey && !i.terms.is_empty()
    };
    for index in table.indexes.iter().filter(declared) {
        let columns: Option<Vec<usize>> = index.terms.iter().map(|t| t.column).collect();
        let Some(columns) = columns else { continue };
        let names = columns.iter().filter_map(|&c| table.columns.get(c)).map(|c| c.name.clone());
        let what = match index.origin {
            IndexOrigin::Statement => KeyName::Index(index.name.clone()),
            _ => KeyName::Unique(names.collect()),
        };
        keys.push(OwnKey {
            is_nocase: index.terms.iter().map(|t| t.collation.eq_ignore_ascii_case("NOCASE")).collect(),
            columns,
            what,
            is_statement: index.origin == IndexOrigin::Statement,
        });
    }
    keys
}

/// Which storage classes a column's values have, and whether one was changed on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    bits: u8,
    is_lossy: bool,
}

impl Classes {
    /// Notes a value.
    #[inline]
    pub fn add(&mut self, class: StorageClass) {
        self.bits |= 1 << class as u8;
    }

    /// Notes a value that lands but is not the same.
    pub fn add_lossy(&mut self, lossy: Lossy) {
        // These say how a value was read, not that it was cut.
        self.is_lossy |= !matches!(lossy, Lossy::EpochNumber | Lossy::TextAsBytes | Lossy::UuidBytes);
    }

    fn has(self, class: StorageClass) -> bool {
        self.bits & (1 << class as u8) != 0
    }

    fn is_empty(self) -> bool {
        self.bits & !(1 << StorageClass::Null as u8) == 0
    }
}

/// Whether converting may have made two keys one, or nothing in the source keeps them apart. `classes` has
/// one entry a column of the plan.
#[must_use]
pub fn can_repeat(key: &UniqueKey, plan: &TablePlan, classes: &[Classes]) -> bool {
    let may_merge = |&column: &usize| {
        let (Some(column), Some(&classes)) = (plan.columns.get(column), classes.get(column)) else {
            return true;
        };
        let has_text = classes.has(StorageClass::Text);
        let has_number = classes.has(StorageClass::Integer) || classes.has(StorageClass::Real);
        classes.is_lossy
            || match &column.pg_type {
                // SQLite compares 1 and 1.0 as equal already.
                PgType::SmallInt
                | PgType::Integer
                | PgType::BigInt
                | PgType::Real
                | PgType::DoublePrecision
                | PgType::Numeric { .. } => has_text,
                PgType::Text | PgType::Varchar(_) | PgType::Enum { .. } => has_text && has_number,
                PgType::Bytea => has_text && classes.has(StorageClass::Blob),
                // More than one spelling of one value.
                _ => !classes.is_empty(),
            }
    };
    !key.is_enforced || key.columns.iter().any(may_merge)
}

/// Hashes the converted cells of one key, column by column.
#[derive(Default)]
pub struct KeyHasher {
    hasher: Xxh3,
}

impl KeyHasher {
    /// Adds a column's cell; equal values of the type give equal hashes. False for NULL, which equals
    /// nothing.
    pub fn add(&mut self, cell: &Cell<'_>, pg_type: &PgType, fold: Fold) -> bool {
        match cell {
            Cell::Null => return false,
            Cell::Bool(v) => self.word(u64::from(*v)),
            Cell::Int2(v) => self.word(*v as u64),
            Cell::Int4(v) => self.word(*v as u64),
            Cell::Int8(v) => self.word(*v as u64),
            // The two zeros are equal.
            Cell::Float4(v) => self.word((f64::from(*v) + 0.0).to_bits()),
            Cell::Float8(v) => self.word((*v + 0.0).to_bits()),
            Cell::Enum(v) => self.word(u64::from(*v)),
            Cell::Date(v) => self.word(*v as u64),
            Cell::Time(v) | Cell::Timestamp(v) => self.word(*v as u64),
            Cell::Uuid(v) => self.bytes(v),
            Cell::Varlena(payload) => match pg_type {
                PgType::Numeric { .. } => self.numeric(payload),
                // Blanks at the end do not count.
                PgType::Char(_) => self.text(without_blanks(payload), fold),
                _ => self.text(payload, fold),
            },
            Cell::Input(text) => self.bytes(text),
        }
        true
    }

    /// The hash of what was added, and a fresh start.
    pub fn finish(&mut self) -> u64 {
        let hash = self.hasher.digest();
        self.hasher.reset();
        hash
    }

    fn word(&mut self, word: u64) {
        self.hasher.update(&word.to_le_bytes());
    }

    /// With the length first, so that ('a', 'bc') and ('ab', 'c') differ.
    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.hasher.update(bytes);
    }

    fn text(&mut self, text: &[u8], fold: Fold) {
        match (fold, std::str::from_utf8(text)) {
            (Fold::Exact, _) => self.bytes(text),
            (Fold::Unicode, Ok(text)) => self.bytes(text.to_lowercase().as_bytes()),
            _ => self.bytes(&text.to_ascii_lowercase()),
        }
    }

    /// 1.0 and 1.00 are equal, though they are stored differently.
    fn numeric(&mut self, payload: &[u8]) {
        match decode(payload) {
            Some(Decoded::Finite(number)) => {
                let digits = number.digits();
                self.word(u64::from(number.is_negative && digits.len() > 0));
                self.word(if digits.len() == 0 { 0 } else { number.weight as u64 });
                self.word(digits.len() as u64);
                for digit in digits {
                    self.hasher.update(&digit.to_le_bytes());
                }
            }
            _ => self.bytes(payload),
        }
    }
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let length = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    text.get(..length).unwrap_or(text)
}

/// The hashes of a table's keys, and which of them come more than once.
#[derive(Debug, Default)]
pub struct Repeated {
    hashes: Vec<u64>,
    /// Hashes of keys that more than one row has.
    pub repeated: HashSet<u64>,
    /// Rows beyond the first of each key.
    pub surplus: u64,
}

impl Repeated {
    /// Notes a row's key.
    pub fn add(&mut self, hash: u64) {
        self.hashes.push(hash);
    }

    /// Finds what is repeated among the keys noted since the last call, and forgets them. Keys of one value
    /// must be noted between the same two calls.
    pub fn settle(&mut self) {
        self.hashes.sort_unstable();
        for same in self.hashes.chunk_by(|a, b| a == b).filter(|same| same.len() > 1) {
            self.surplus += same.len() as u64 - 1;
            self.repeated.extend(same.first());
        }
        self.hashes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Column, Index, IndexTerm};
    use aliaport_rows::column::ColumnPlan;
    use aliaport_rows::convert::{Converter, Rules, Scratch};
    use aliaport_rows::identifier::QualifiedName;
    use aliaport_rows::value::Value;

    fn hash(pg_type: &PgType, value: Value, fold: Fold) -> u64 {
        let converter = Converter::new(pg_type, &Rules::default());
        let mut scratch = Scratch::default();
        let cell = converter.convert(value, &mut scratch).unwrap().cell;
        let mut hasher = KeyHasher::default();
        assert!(hasher.add(&cell, pg_type, fold));
        hasher.finish()
    }

    #[test]
    fn values_that_postgresql_calls_equal_have_one_hash_and_others_do_not() {
        let numeric = PgType::Numeric { precision_scale: None };
        let (a, b) = (Fold::Ascii, Fold::Unicode);
        let e = Fold::Exact;
        type Case<'a> = (&'a PgType, &'a [u8], &'a [u8], Fold, bool);
        let cases: &[Case<'_>] = &[
            (&numeric, b"1.0", b"1.00", e, true),
            (&numeric, b"0", b"-0.000", e, true),
            (&numeric, b"10000", b"1", e, false),
            (&PgType::Timestamp(None), b"2025-01-01", b"2025-01-01 00:00:00.000", e, true),
            (
                &PgType::Uuid,
                b"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                b"a0eebc999c0b4ef8bb6d6bb9bd380a11",
                e,
                true,
            ),
            (&PgType::Char(4), b"ab", b"ab  ", e, true),
            (&PgType::Text, b"ab", b"ab ", e, false),
            (&PgType::Text, b"Ab", b"aB", e, false),
            (&PgType::Text, b"Ab", b"aB", a, true),
            (&PgType::Text, "Ç".as_bytes(), "ç".as_bytes(), a, false),
            (&PgType::Citext, "Ç".as_bytes(), "ç".as_bytes(), b, true),
            (&PgType::DoublePrecision, b"0", b"-0", e, true),
        ];
        for (pg_type, left, right, fold, is_equal) in cases {
            let equal = hash(pg_type, Value::Text(left), *fold) == hash(pg_type, Value::Text(right), *fold);
            assert_eq!(equal, *is_equal, "{pg_type} {left:?} {right:?}");
        }
    }

    #[test]
    fn rows_beyond_the_first_of_a_key_are_counted() {
        let mut rows = Repeated::default();
        for part in [&[1u64, 5, 3, 5, 5][..], &[2, 2, 4]] {
            part.iter().for_each(|&hash| rows.add(hash));
            rows.settle();
        }
        assert_eq!((rows.surplus, rows.repeated), (3, HashSet::from([5, 2])));
    }

    fn plan(types: &[(&str, PgType)]) -> TablePlan {
        let column = |(name, pg_type): &(&str, PgType)| ColumnPlan {
            source: (*name).to_owned(),
            declared_type: String::new(),
            target: name.to_lowercase(),
            pg_type: pg_type.clone(),
            is_not_null: false,
            number: aliaport_rows::convert::NumberUnit::default(),
            uuid: aliaport_rows::convert::UuidBytes::default(),
        };
        TablePlan {
            source: "t".to_owned(),
            target: QualifiedName { schema: "s".to_owned(), name: "t".to_owned() },
            is_created: true,
            columns: types.iter().map(column).collect(),
            has_rowid: true,
            source_key: Vec::new(),
            sync_key: Vec::new(),
            filter: None,
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn only_keys_that_a_conversion_can_merge_or_that_the_target_adds_are_looked_at() {
        let mut plan = plan(&[("Id", PgType::BigInt), ("Day", PgType::Date), ("Name", PgType::Text)]);
        let column = |name: &str| Column { name: name.to_owned(), ..Column::default() };
        let unique = |column: usize, collation: &str| Index {
            is_unique: true,
            origin: IndexOrigin::Unique,
            terms: vec![IndexTerm {
                column: Some(column),
                is_descending: false,
                collation: collation.to_owned(),
            }],
            ..Index::default()
        };
        let table = Table {
            columns: vec![column("Id"), column("Day"), column("Name")],
            primary_key: vec![0],
            rowid_alias: Some(0),
            indexes: vec![unique(1, "BINARY"), unique(2, "NOCASE")],
            ..Table::default()
        };
        let options = Options::default();
        let keys = unique_keys(&table, &plan, None, &options);
        let shape: Vec<_> = keys.iter().map(|k| (k.columns.clone(), k.folds.clone())).collect();
        assert_eq!(shape, [(vec![1], vec![Fold::Exact]), (vec![2], vec![Fold::Ascii])]);

        let mut classes = [Classes::default(); 3];
        classes.iter_mut().for_each(|c| c.add(StorageClass::Text));
        let looked_at: Vec<bool> = keys.iter().map(|k| can_repeat(k, &plan, &classes)).collect();
        assert_eq!(looked_at, [true, false]);
        classes[2].add(StorageClass::Integer);
        assert!(can_repeat(&keys[1], &plan, &classes));

        plan.is_created = false;
        let relation = TargetRelation {
            schema: "s".to_owned(),
            name: "t".to_owned(),
            kind: 'r',
            is_empty: true,
            columns: Vec::new(),
            keys: vec![
                vec!["id".to_owned()],
                vec!["name".to_owned(), "missing".to_owned()],
                vec!["name".to_owned()],
            ],
        };
        plan.columns[2].pg_type = PgType::Varchar(Some(9));
        let keys = unique_keys(&Table { indexes: Vec::new(), ..table }, &plan, Some(&relation), &options);
        assert_eq!(keys.iter().map(|k| (&k.columns, k.is_enforced)).collect::<Vec<_>>(), [(&vec![2], false)]);
    }
}
