//! Is what was formed what the source holds? Takes heap tuples apart again and holds every value against the
//! row that it came from.
//!
//! Together with a look at the table after the insert, which finds the same bytes there, this is the proof
//! that every value arrived: of the value itself, not of what a converter made of it, as far as
//! [`CrossCheck`] reaches.

use std::sync::Arc;

use crate::batch::Rows;
use crate::convert::Zone;
use crate::digest::{self, CrossCheck, TableDigest};
use crate::pg_type::PgType;
use crate::row::{About, Notes, RowError};
use crate::tuple::deform::{Deformer, Stored};
use crate::tuple::{Attribute, Images};
use crate::value::Row;

/// Inspects the tuples of one table.
pub struct Inspector {
    about: Arc<About>,
    deformer: Deformer,
    cross_check: CrossCheck,
    hashes_tuples: bool,
    digest: TableDigest,
}

impl Inspector {
    /// For tuples with these attributes, of which the columns are at `positions` (0-based `attnum`,
    /// ascending). The zone is that of the converters' rules.
    #[must_use]
    pub fn new(about: Arc<About>, attributes: &[Attribute], positions: &[usize], zone: &Zone) -> Self {
        let types: Vec<&PgType> = about.types();
        let columns = positions.iter().copied().zip(types.iter().copied());
        Inspector {
            deformer: Deformer::new(attributes, columns),
            cross_check: CrossCheck::new(&types).with_zone(zone),
            hashes_tuples: digest::hashes_tuples(&types, attributes, positions),
            digest: TableDigest::default(),
            about,
        }
    }

    /// Inspects the tuples of some rows.
    ///
    /// # Errors
    /// The first that does not hold what the source holds: a bug.
    pub fn inspect(&mut self, rows: &Rows, images: &Images, notes: &Notes) -> Result<(), RowError> {
        let mut set_aside = notes.set_aside.iter().peekable();
        let mut tuples = images.iter();
        for (row, number) in rows.iter().zip(rows.first()..) {
            if set_aside.next_if_eq(&&number).is_some() {
                continue;
            }
            let Some(image) = tuples.next() else { return Err(self.about.misformed(&row, None)) };
            let is_excused = |column| !notes.excused.is_empty() && notes.excused.contains(&(number, column));
            if let Err(column) = self.tuple(&row, image, is_excused) {
                return Err(self.about.misformed(&row, column));
            }
            if self.hashes_tuples {
                self.digest.add_tuple(image);
            }
        }
        if tuples.next().is_some()
            && let Some(row) = rows.iter().last()
        {
            return Err(self.about.misformed(&row, None));
        }
        Ok(())
    }

    /// Of a tuple that is not what it should be, the column where that shows.
    #[inline]
    fn tuple(
        &self,
        row: &Row<'_>,
        image: &[u8],
        is_excused: impl Fn(usize) -> bool,
    ) -> Result<(), Option<usize>> {
        let mut wrong = None;
        let deformed = self.deformer.deform(image, |column, stored| {
            let agrees = match &stored {
                Stored::Cell(cell) => self.cross_check.agrees(column, row.value(column), cell),
                Stored::Toasted(_) => false,
            };
            if !agrees && !is_excused(column) {
                wrong = wrong.or(Some(column));
            }
        });
        match (wrong, deformed) {
            (None, Ok(())) => Ok(()),
            (column, _) => Err(column),
        }
    }

    /// The digest of the tuples so far, where they are hashed as they are; else of none.
    #[must_use]
    pub fn digest(&self) -> TableDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::column::{ColumnPlan, RowPlan};
    use crate::convert::{NumberUnit, UuidBytes};
    use crate::row::{Fate, Former, OnError, RowConverter};
    use crate::tuple::{Layout, Writer};
    use crate::value::Value;

    const TYPES: &[PgType] = &[
        PgType::BigInt,
        PgType::Boolean,
        PgType::Text,
        PgType::Numeric { precision_scale: Some((15, 2)) },
        PgType::TimestampTz(None),
        PgType::Date,
        PgType::DoublePrecision,
        PgType::Jsonb,
        PgType::Bytea,
    ];

    fn columns() -> Vec<ColumnPlan> {
        let column = |(i, pg_type): (usize, &PgType)| ColumnPlan {
            source: format!("c{i}"),
            declared_type: String::new(),
            target: format!("c{i}"),
            pg_type: pg_type.clone(),
            is_not_null: i == 0,
            number: NumberUnit::Auto,
            uuid: UuidBytes::Unsaid,
        };
        TYPES.iter().enumerate().map(column).collect()
    }

    fn row_plan(columns: &[ColumnPlan]) -> RowPlan<'_> {
        RowPlan { source: "t", columns, key: &[] }
    }

    /// One row's values: what each column takes, NULL, or what none does.
    fn row() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let good = (
            any::<i64>().prop_map(|v| v.to_string()),
            "[01]",
            "[a-zçğı]{0,150}",
            "-?[0-9]{1,9}\\.[0-9]{1,3}",
            "20[0-9]{2}-0[1-9]-[12][0-9] [01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?",
            "20[0-9]{2}-0[1-9]-[12][0-9]",
            "-?[0-9]{1,9}\\.5",
            prop::sample::select(vec!["[1, 2]", "{\"a\": \"ş\"}", "null"]).prop_map(str::to_owned),
            "[a-z]{0,9}",
        );
        let good = good.prop_map(|(a, b, c, d, e, f, g, h, i)| {
            [a, b, c, d, e, f, g, h, i].map(String::into_bytes).to_vec()
        });
        (good, prop::option::weighted(0.2, 1..TYPES.len()), prop::option::weighted(0.1, 0..TYPES.len()))
            .prop_map(|(mut row, null, bad)| {
                if let Some(null) = null {
                    row[null] = b"NULL".to_vec();
                }
                if let Some(bad) = bad {
                    row[bad] = b"\xff".to_vec();
                }
                row
            })
    }

    /// As a column of that type would be filled in SQLite.
    fn value<'a>(pg_type: &PgType, text: &'a [u8]) -> Value<'a> {
        let number = || std::str::from_utf8(text).unwrap_or_default().parse::<f64>().ok();
        match pg_type {
            _ if text == b"NULL" => Value::Null,
            PgType::BigInt | PgType::Boolean => std::str::from_utf8(text)
                .ok()
                .and_then(|t| t.parse().ok())
                .map_or(Value::Text(text), Value::Integer),
            PgType::Numeric { .. } | PgType::DoublePrecision => {
                number().map_or(Value::Text(text), Value::Real)
            }
            PgType::Bytea if text != b"\xff" => Value::Blob(text),
            _ => Value::Text(text),
        }
    }

    proptest! {
        #[test]
        fn what_is_formed_is_accepted_and_what_is_damaged_is_not(
            texts in prop::collection::vec(row(), 1..12),
            on_error in prop::sample::select(vec![OnError::Reject, OnError::Null]),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (columns, zone) = (columns(), Zone::utc());
            let types: Vec<&PgType> = TYPES.iter().collect();
            let attributes = digest::attributes(&types).unwrap();
            let positions: Vec<usize> = (0..TYPES.len()).collect();
            let mut rows = Rows::default();
            rows.restart(100);
            for (texts, rowid) in texts.iter().zip(1..) {
                let values: Vec<Value<'_>> = TYPES.iter().zip(texts).map(|(t, text)| value(t, text)).collect();
                rows.push(&Row::new(&values, Some(rowid))).unwrap();
            }
            let mut converter = RowConverter::new(&row_plan(&columns), &zone, on_error, true).with_inspector(&attributes, &positions);
            let mut former = Former::new(Writer::new(Layout::new(attributes.clone())), positions.clone());
            converter.go_to(rows.first());
            let mut kept = 0;
            for row in rows.iter() {
                kept += u64::from(converter.convert(&row, &mut former).unwrap() == Fate::Kept);
            }
            let mut images = former.writer.replace(Images::default());
            let notes = converter.take_notes().unwrap();
            let inspect = |images: &Images, notes: &Notes| {
                let mut inspector = Inspector::new(converter.about(), &attributes, &positions, &zone);
                inspector.inspect(&rows, images, notes).map(|()| inspector.digest())
            };
            let whole = inspect(&images, &notes).map_err(|e| TestCaseError::fail(format!("{}: {}", e.message, e.detail)))?;
            prop_assert_eq!(whole.rows, kept);
            if kept == 0 {
                return Ok(());
            }
            // One bit of what a tuple holds, its bitmap included. Where the source does not say what it must
            // be, the digest still tells.
            let (start, length) = images.spans()[at.index(images.len())];
            let damaged = start + 23 + at.index(length - 23);
            images.bytes_mut()[damaged] ^= 1 << bit;
            if let Ok(found) = inspect(&images, &notes) {
                prop_assert_ne!(found, whole);
            }
            images.bytes_mut()[damaged] ^= 1 << bit;
            // A tuple that is missing, or is another row's.
            let mut without = Notes { set_aside: notes.set_aside.clone(), excused: notes.excused.clone() };
            let first = (rows.first()..).find(|number| !notes.set_aside.contains(number)).unwrap();
            without.set_aside.push(first);
            without.set_aside.sort_unstable();
            prop_assert!(inspect(&images, &without).is_err());
        }
    }

    #[test]
    fn a_wrong_value_is_said_with_its_row_and_column() {
        let (columns, zone) = (columns(), Zone::utc());
        let types: Vec<&PgType> = TYPES.iter().collect();
        let attributes = digest::attributes(&types).unwrap();
        let positions: Vec<usize> = (0..TYPES.len()).collect();
        let mut converter = RowConverter::new(&row_plan(&columns), &zone, OnError::Abort, true)
            .with_inspector(&attributes, &positions);
        let mut former = Former::new(Writer::new(Layout::new(attributes.clone())), positions.clone());
        let mut rows = Rows::default();
        rows.restart(1);
        let mut values = vec![Value::Null; TYPES.len()];
        (values[0], values[4]) = (Value::Integer(7), Value::Text(b"2023-01-01 12:00:00"));
        rows.push(&Row::new(&values, Some(7))).unwrap();
        for row in rows.iter() {
            converter.convert(&row, &mut former).unwrap();
        }
        let mut images = former.writer.replace(Images::default());
        // The timestamp is what comes last.
        let end = images.size();
        images.bytes_mut()[end - 8] ^= 1;
        let mut inspector = Inspector::new(converter.about(), &attributes, &positions, &zone);
        let error = inspector.inspect(&rows, &images, &Notes::default()).unwrap_err();
        assert_eq!(
            (error.sqlstate.word(), error.message.as_str()),
            ("XX000", "unexpected content of a formed tuple")
        );
        assert_eq!(
            error.detail,
            "SQLite table \"t\", rowid 7, column \"c4\" (without a declared type) holds text \"2023-01-01 12:00:00\"; \
             the target type is timestamp with time zone."
        );
    }
}
