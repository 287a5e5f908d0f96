//! Rows copied out of their source, so that they can be converted by another thread while the source is read
//! on.

use crate::value::{Row, Value};

/// A value whose text or blob lies in the bytes of its [`Rows`]: where, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Copied {
    Null,
    Integer(i64),
    Real(f64),
    Text(u32, u32),
    Blob(u32, u32),
    Unreadable(u32, u32),
}

impl Copied {
    #[inline]
    pub(crate) fn value(self, rows: &Rows) -> Value<'_> {
        match self {
            Copied::Null => Value::Null,
            Copied::Integer(v) => Value::Integer(v),
            Copied::Real(v) => Value::Real(v),
            Copied::Text(start, length) => Value::Text(slice(&rows.texts, start, length)),
            Copied::Blob(start, length) => Value::Blob(slice(&rows.blobs, start, length)),
            Copied::Unreadable(start, length) => {
                Value::Unreadable(std::str::from_utf8(slice(&rows.blobs, start, length)).unwrap_or_default())
            }
        }
    }
}

#[inline]
fn slice(bytes: &[u8], start: u32, length: u32) -> &[u8] {
    let start = start as usize;
    bytes.get(start..start + length as usize).unwrap_or_default()
}

/// Appends bytes; where they begin, and how many there are.
#[inline]
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) -> Result<(u32, u32), Full> {
    let start = u32::try_from(kept.len()).map_err(|_| Full)?;
    let length = u32::try_from(bytes.len()).map_err(|_| Full)?;
    kept.extend_from_slice(bytes);
    Ok((start, length))
}

/// Some consecutive rows of a scan.
#[derive(Debug, Default)]
pub struct Rows {
    values: Vec<Copied>,
    /// All texts, one after the other, so that they can be checked at once.
    texts: Vec<u8>,
    blobs: Vec<u8>,
    /// A text begins with the middle of a character, perhaps that of which the text before has the beginning.
    has_split_character: bool,
    /// See [`Rows::check_texts`].
    has_valid_texts: bool,
    rowids: Vec<Option<i64>>,
    /// Columns of each row.
    width: usize,
    /// The number of the first row in the scan, from 1.
    first: u64,
}

/// There is no room for a row: its texts and blobs have more than 4 GB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Rows {
    /// Forgets the rows and keeps the memory, unless a large value made it large. The next row that is pushed
    /// has the number `first` in the scan, from 1.
    pub fn restart(&mut self, first: u64) {
        const KEEP: usize = 1 << 20;
        for bytes in [&mut self.texts, &mut self.blobs] {
            if bytes.capacity() > KEEP {
                *bytes = Vec::new();
            }
            bytes.clear();
        }
        (self.has_split_character, self.has_valid_texts) = (false, false);
        self.values.clear();
        self.rowids.clear();
        self.first = first;
    }

    /// Copies a row; all rows have as many columns as the first.
    ///
    /// # Errors
    /// [`Full`]; the row is left out.
    #[inline]
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), Full> {
        for column in 0..row.len() {
            if let Err(full) = self.put(row.value(column)) {
                self.abandon();
                return Err(full);
            }
        }
        self.end(row.rowid());
        Ok(())
    }

    /// Copies the next value of a row that is not complete yet.
    ///
    /// # Errors
    /// [`Full`]; the row has to be abandoned.
    #[inline]
    pub fn put(&mut self, value: Value<'_>) -> Result<(), Full> {
        let copied = match value {
            Value::Null => Copied::Null,
            Value::Integer(v) => Copied::Integer(v),
            Value::Real(v) => Copied::Real(v),
            Value::Text(bytes) => {
                self.has_split_character |= bytes.first().is_some_and(|byte| byte & 0xc0 == 0x80);
                let (start, length) = keep(&mut self.texts, bytes)?;
                Copied::Text(start, length)
            }
            Value::Blob(bytes) => {
                let (start, length) = keep(&mut self.blobs, bytes)?;
                Copied::Blob(start, length)
            }
            Value::Unreadable(reason) => {
                let (start, length) = keep(&mut self.blobs, reason.as_bytes())?;
                Copied::Unreadable(start, length)
            }
        };
        self.values.push(copied);
        Ok(())
    }

    /// Completes a row.
    #[inline]
    pub fn end(&mut self, rowid: Option<i64>) {
        if self.rowids.is_empty() {
            self.width = self.values.len();
        }
        self.rowids.push(rowid);
    }

    /// Forgets the values of a row that is not complete.
    pub fn abandon(&mut self) {
        self.values.truncate(self.rowids.len() * self.width);
    }

    /// Looks at all texts at once, which takes a fraction of what it takes one by one: whether every one is
    /// valid UTF-8 without NUL. Where one is not, each has to be looked at.
    pub fn check_texts(&mut self) {
        self.has_valid_texts = !self.has_split_character
            && memchr::memchr(0, &self.texts).is_none()
            && simdutf8::basic::from_utf8(&self.texts).is_ok();
    }

    /// Every text is known to be valid UTF-8 without NUL.
    #[inline]
    pub(crate) fn has_valid_texts(&self) -> bool {
        self.has_valid_texts
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rowids.len()
    }

    /// No rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rowids.is_empty()
    }

    /// Bytes of memory that the rows take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.texts.len()
            + self.blobs.len()
            + size_of_val(self.values.as_slice())
            + size_of_val(self.rowids.as_slice())
    }

    /// The number of the first row in the scan, from 1.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// One of the rows, from 0.
    #[inline]
    #[must_use]
    pub fn row(&self, at: usize) -> Option<Row<'_>> {
        let rowid = self.rowids.get(at)?;
        let start = at * self.width;
        Some(Row::copied(self.values.get(start..start + self.width).unwrap_or_default(), self, *rowid))
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rowids.iter().enumerate().map(|(at, rowid)| {
            let start = at * self.width;
            let values = self.values.get(start..start + self.width).unwrap_or_default();
            Row::copied(values, self, *rowid)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::tests::Owned;

    fn value() -> impl Strategy<Value = Owned> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            Just(Owned::Null),
            any::<i64>().prop_map(Owned::Integer),
            any::<i32>().prop_map(|v| Owned::Real(f64::from(v) / 8.0)),
            bytes().prop_map(Owned::Text),
            bytes().prop_map(Owned::Blob),
        ]
    }

    proptest! {
        #[test]
        fn texts_are_valid_when_each_of_them_is(
            texts in prop::collection::vec(
                prop_oneof![
                    6 => "[a-zçğıöşü€😀]{0,30}".prop_map(String::into_bytes),
                    1 => prop::sample::select(vec![&b"\xc5"[..], b"\x9f", b"\x00", b"\xff", b"a\x00", b"\xe2\x82", b"\xac"]).prop_map(<[u8]>::to_vec),
                ],
                0..12,
            ),
        ) {
            let mut rows = Rows::default();
            rows.restart(1);
            for text in &texts {
                prop_assert_eq!(rows.push(&Row::new(&[Value::Blob(b"\xff\x00"), Value::Text(text)], None)), Ok(()));
            }
            rows.check_texts();
            let each = texts.iter().all(|text| std::str::from_utf8(text).is_ok_and(|text| !text.contains('\0')));
            prop_assert_eq!(rows.has_valid_texts(), each);
        }

        #[test]
        fn rows_come_out_as_they_went_in(
            width in 0usize..5,
            rowids in prop::collection::vec(any::<Option<i64>>(), 0..20),
            pool in prop::collection::vec(value(), 100),
        ) {
            let mut rows = Rows::default();
            for first in [1, 1000] {
                rows.restart(first);
                for (at, rowid) in rowids.iter().enumerate() {
                    let values: Vec<Value<'_>> = (0..width).map(|i| pool[(at * width + i) % pool.len()].value()).collect();
                    prop_assert_eq!(rows.push(&Row::new(&values, *rowid)), Ok(()));
                }
                prop_assert_eq!((rows.len(), rows.first()), (rowids.len(), first));
                for ((at, rowid), row) in rowids.iter().enumerate().zip(rows.iter()) {
                    prop_assert_eq!((row.rowid(), row.len()), (*rowid, width));
                    for i in 0..width {
                        prop_assert_eq!(row.value(i), pool[(at * width + i) % pool.len()].value());
                    }
                }
            }
        }
    }
}
