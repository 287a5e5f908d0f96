//! The two ends of a conversion: a [`Value`] as SQLite stores it and a [`Cell`] as PostgreSQL will store it.
//!
//! Neither owns memory: a value borrows from SQLite's row, a cell borrows from the value or from the
//! converter's scratch space, and both are consumed before the next row is read.

use crate::batch::{Copied, Rows};

/// One stored value with SQLite's storage class (<https://sqlite.org/datatype3.html>, section 2).
///
/// `Text` is bytes, not `str`: SQLite does not check what an application stores as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The NULL storage class.
    Null,
    /// A signed 64-bit integer.
    Integer(i64),
    /// An IEEE 754 double. SQLite never stores a NaN (it becomes NULL); infinities are possible.
    Real(f64),
    /// Text in UTF-8 as SQLite hands it out, possibly invalid, possibly with NUL bytes.
    Text(&'a [u8]),
    /// A blob.
    Blob(&'a [u8]),
    /// What SQLite cannot compute: the expression of a generated column fails on the row. The text is what
    /// SQLite says.
    Unreadable(&'a str),
}

/// SQLite's storage class of a value, for messages and for the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageClass {
    /// NULL
    Null,
    /// INTEGER
    Integer,
    /// REAL
    Real,
    /// TEXT
    Text,
    /// BLOB
    Blob,
}

impl Value<'_> {
    /// The storage class of this value.
    #[must_use]
    pub fn storage_class(&self) -> StorageClass {
        match self {
            Value::Null => StorageClass::Null,
            Value::Integer(_) => StorageClass::Integer,
            Value::Real(_) => StorageClass::Real,
            Value::Text(_) => StorageClass::Text,
            Value::Blob(_) => StorageClass::Blob,
            // It has none.
            Value::Unreadable(_) => StorageClass::Null,
        }
    }
}

impl StorageClass {
    /// The name that SQLite's `typeof()` gives.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StorageClass::Null => "null",
            StorageClass::Integer => "integer",
            StorageClass::Real => "real",
            StorageClass::Text => "text",
            StorageClass::Blob => "blob",
        }
    }
}

/// One row of a table, valid until its reader goes on to the next.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    values: Values<'r>,
    rowid: Option<i64>,
}

/// Where the values of a row are.
#[derive(Clone, Copy, Debug)]
enum Values<'r> {
    /// With the source.
    Read(&'r [Value<'r>]),
    /// In a copy of some rows, which has the bytes of their texts and blobs.
    Copied(&'r [Copied], &'r Rows),
}

impl<'r> Row<'r> {
    /// A row with these values, and its rowid where it has one that can be asked for.
    #[must_use]
    pub fn new(values: &'r [Value<'r>], rowid: Option<i64>) -> Self {
        Row { values: Values::Read(values), rowid }
    }

    #[inline]
    pub(crate) fn copied(values: &'r [Copied], rows: &'r Rows, rowid: Option<i64>) -> Self {
        Row { values: Values::Copied(values, rows), rowid }
    }

    /// The value of the `i`-th column that was asked for; NULL where there is none.
    #[inline]
    #[must_use]
    pub fn value(&self, i: usize) -> Value<'r> {
        match self.values {
            Values::Read(values) => values.get(i).copied().unwrap_or(Value::Null),
            Values::Copied(values, rows) => values.get(i).map_or(Value::Null, |copied| copied.value(rows)),
        }
    }

    /// Every text in it is known to be valid UTF-8 without NUL.
    #[inline]
    pub(crate) fn has_valid_texts(&self) -> bool {
        match self.values {
            Values::Read(_) => false,
            Values::Copied(_, rows) => rows.has_valid_texts(),
        }
    }

    /// The rowid; `None` where the table has none, or has columns of all the names it could be asked for by.
    #[must_use]
    pub fn rowid(&self) -> Option<i64> {
        self.rowid
    }

    /// How many columns were asked for.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.values {
            Values::Read(values) => values.len(),
            Values::Copied(values, _) => values.len(),
        }
    }

    /// No columns were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One attribute value in PostgreSQL's own representation, typed by the column it goes to.
///
/// Fixed-width variants hold what the `Datum` holds. [`Cell::Varlena`] is the payload of a variable-length
/// datum without its length header: text, varchar, bytea, jsonb and numeric in their on-disk form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// A native enum: the OID of the label.
    Enum(u32),
    /// `date`: days since 2000-01-01 (PostgreSQL's epoch).
    Date(i32),
    /// `time`: microseconds since midnight, 0 to `86_400_000_000` inclusive (24:00:00).
    Time(i64),
    /// `timestamp` and `timestamptz`: microseconds since 2000-01-01 00:00:00 (for timestamptz: in UTC).
    Timestamp(i64),
    /// `uuid`
    Uuid([u8; 16]),
    /// The payload of a varlena datum, without header.
    Varlena(&'a [u8]),
    /// Text that only the type's own input function can read (a type that has no converter here).
    Input(&'a [u8]),
}
