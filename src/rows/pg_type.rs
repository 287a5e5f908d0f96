//! The PostgreSQL types a column can have, their SQL spelling, and what the load needs to know of them.

use std::fmt;

/// A column's PostgreSQL type with its type modifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PgType {
    /// `boolean`
    Boolean,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `double precision`
    DoublePrecision,
    /// `numeric` or `numeric(precision, scale)`.
    Numeric {
        /// Precision 1 to 1000 and scale -1000 to 1000 (0 to precision before PostgreSQL 15); `None` without
        /// limit.
        precision_scale: Option<(u16, i16)>,
    },
    /// `text`
    Text,
    /// `varchar(n)`, n in characters (1 to 10485760); `None` without limit.
    Varchar(Option<u32>),
    /// `char(n)`, n in characters, blank-padded.
    Char(u32),
    /// `citext`
    Citext,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`, with the number of fractional digits (0 to 6) where one is declared.
    Time(Option<u8>),
    /// `timestamp without time zone`, with the number of fractional digits (0 to 6) where one is declared.
    Timestamp(Option<u8>),
    /// `timestamp with time zone`, with the number of fractional digits (0 to 6) where one is declared.
    TimestampTz(Option<u8>),
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `uuid`
    Uuid,
    /// A native enum of the target.
    Enum {
        /// The type as SQL prints it.
        name: String,
        /// Its labels with their OIDs, in sort order.
        labels: Vec<(String, u32)>,
    },
    /// Any other type of the target: values go through its own input function.
    Other {
        /// The type as SQL prints it, with its modifier.
        name: String,
        /// What its values are made of.
        shape: Shape,
    },
}

/// What the values of a type that has its own input function are made of. The parts of a value are converted
/// by the rules of their own types before the input function sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Nothing that is known here.
    #[default]
    Whole,
    /// An array.
    Array {
        /// The type of its elements, a domain as its base type.
        element: Box<PgType>,
        /// What stands between two elements: a comma, for `box[]` a semicolon.
        delimiter: u8,
    },
    /// A range with bounds of this type.
    Range(Box<PgType>),
    /// A multirange, whose ranges have bounds of this type.
    Multirange(Box<PgType>),
    /// A row of fields of these types.
    Composite(Vec<PgType>),
    /// A domain over this type.
    Domain(Box<PgType>),
}

/// How values of a type are stored: what a cell, a datum and a tuple of it are made of. A new type says so
/// here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// One byte, 0 or 1.
    Bool,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// A single, four bytes.
    Float4,
    /// A double, eight bytes.
    Float8,
    /// Days since 2000-01-01, four bytes.
    Date,
    /// Microseconds since midnight, eight bytes.
    Time,
    /// Microseconds since 2000-01-01, eight bytes.
    Timestamp,
    /// The OID of an enum's label, four bytes.
    Label,
    /// Sixteen bytes.
    Uuid,
    /// A varlena.
    Varlena,
    /// Nothing that is known here: its own functions read and write it.
    Opaque,
}

impl PgType {
    /// How its values are stored.
    #[must_use]
    pub fn storage(&self) -> Storage {
        match self {
            PgType::Boolean => Storage::Bool,
            PgType::SmallInt => Storage::Int2,
            PgType::Integer => Storage::Int4,
            PgType::BigInt => Storage::Int8,
            PgType::Real => Storage::Float4,
            PgType::DoublePrecision => Storage::Float8,
            PgType::Date => Storage::Date,
            PgType::Time(_) => Storage::Time,
            PgType::Timestamp(_) | PgType::TimestampTz(_) => Storage::Timestamp,
            PgType::Enum { .. } => Storage::Label,
            PgType::Uuid => Storage::Uuid,
            PgType::Numeric { .. }
            | PgType::Text
            | PgType::Varchar(_)
            | PgType::Char(_)
            | PgType::Citext
            | PgType::Bytea
            | PgType::Json
            | PgType::Jsonb => Storage::Varlena,
            PgType::Other { .. } => Storage::Opaque,
        }
    }

    /// A type of which no more than its name is known.
    #[must_use]
    pub fn other(name: impl Into<String>) -> PgType {
        PgType::Other { name: name.into(), shape: Shape::Whole }
    }

    /// The most bytes that a value takes, its alignment included; `None` where there is no bound that is
    /// known here.
    #[must_use]
    pub fn longest(&self) -> Option<usize> {
        match self {
            PgType::Boolean
            | PgType::SmallInt
            | PgType::Integer
            | PgType::BigInt
            | PgType::Real
            | PgType::DoublePrecision
            | PgType::Date
            | PgType::Time(_)
            | PgType::Timestamp(_)
            | PgType::TimestampTz(_)
            | PgType::Uuid
            | PgType::Enum { .. } => Some(24),
            // A character of UTF-8 has up to four bytes, the length in front of them four, and the alignment
            // up to seven.
            PgType::Varchar(Some(n)) | PgType::Char(n) => {
                usize::try_from(*n).ok()?.checked_mul(4)?.checked_add(11)
            }
            PgType::Numeric { .. }
            | PgType::Text
            | PgType::Varchar(None)
            | PgType::Citext
            | PgType::Bytea
            | PgType::Json
            | PgType::Jsonb
            | PgType::Other { .. } => None,
        }
    }

    /// Whether the name of a type that has its own input function is one of some.
    fn has_name(&self, of: impl Fn(&str) -> bool) -> bool {
        matches!(self, PgType::Other { name, shape: Shape::Whole } if of(name))
    }

    /// `interval`, with whatever fields and precision.
    #[must_use]
    pub fn is_interval(&self) -> bool {
        self.has_name(|name| {
            name.strip_prefix("interval").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']))
        })
    }

    /// `time with time zone`, with whatever precision.
    #[must_use]
    pub fn is_timetz(&self) -> bool {
        self.has_name(|name| {
            name.starts_with("time ") && name.ends_with(" with time zone")
                || name.starts_with("time(") && name.ends_with(" with time zone")
                || name == "timetz"
                || name.starts_with("timetz(")
        })
    }
}

impl fmt::Display for PgType {
    /// The spelling that `format_type` gives, so that a plan reads like `\d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PgType::Boolean => f.write_str("boolean"),
            PgType::SmallInt => f.write_str("smallint"),
            PgType::Integer => f.write_str("integer"),
            PgType::BigInt => f.write_str("bigint"),
            PgType::Real => f.write_str("real"),
            PgType::DoublePrecision => f.write_str("double precision"),
            PgType::Numeric { precision_scale: None } => f.write_str("numeric"),
            PgType::Numeric { precision_scale: Some((p, s)) } => write!(f, "numeric({p},{s})"),
            PgType::Text => f.write_str("text"),
            PgType::Varchar(None) => f.write_str("character varying"),
            PgType::Varchar(Some(n)) => write!(f, "character varying({n})"),
            PgType::Char(n) => write!(f, "character({n})"),
            PgType::Citext => f.write_str("citext"),
            PgType::Bytea => f.write_str("bytea"),
            PgType::Date => f.write_str("date"),
            PgType::Time(p) => with_precision(f, "time", *p, " without time zone"),
            PgType::Timestamp(p) => with_precision(f, "timestamp", *p, " without time zone"),
            PgType::TimestampTz(p) => with_precision(f, "timestamp", *p, " with time zone"),
            PgType::Json => f.write_str("json"),
            PgType::Jsonb => f.write_str("jsonb"),
            PgType::Uuid => f.write_str("uuid"),
            PgType::Enum { name, .. } | PgType::Other { name, .. } => f.write_str(name),
        }
    }
}

fn with_precision(f: &mut fmt::Formatter<'_>, head: &str, precision: Option<u8>, tail: &str) -> fmt::Result {
    match precision {
        None => write!(f, "{head}{tail}"),
        Some(p) => write!(f, "{head}({p}){tail}"),
    }
}
