//! From a value as SQLite stores it to the bytes that PostgreSQL stores: which is right, which is bad, what
//! is lost on the way.
//!
//! This is the product's hot path. A [`Converter`] is made once per column; [`Converter::convert`] allocates
//! nothing per value (what does not fit the cell lies in the caller's [`Scratch`]) and never calls
//! PostgreSQL. Each type has a file of its own; all of them follow the type's own input function in
//! PostgreSQL 15, so that a value lands exactly as a dump and restore would have brought it.

use crate::pg_type::{PgType, Shape};
use crate::value::{Cell, Value};

mod array;
mod boolean;
mod bounds;
mod bytea;
pub(crate) mod calendar;
mod composite;
mod date;
mod datetime;
mod decimal;
mod element;
mod enumeration;
mod epoch;
mod error;
mod inet;
mod integer;
mod interval;
pub mod json;
pub(crate) mod jsonb;
mod literal;
mod lossy;
mod moments;
mod money;
pub mod numeric;
mod other;
mod real;
mod text;
mod time;
mod timestamp;
mod timetz;
mod uuid;
mod wider;
mod zone;

pub use epoch::NumberUnit;
pub use error::{ValueError, ValueErrorKind, display_value, retyped, retyping};
pub use lossy::Lossy;
pub use moments::Moments;
pub(crate) use numeric::EXACT_POWERS;
pub use uuid::UuidBytes;
pub(crate) use uuid::swapped;
pub use wider::Wider;
pub use zone::{Clock, Zone, ZoneError};

/// What the options say about a column's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The zone of date-times that carry no offset (`options.timezone`); UTC by default.
    pub zone: Zone,
    /// How a number in a date or time column is read (`columns.<c>.number`).
    pub number: NumberUnit,
    /// In which order the bytes of a uuid stand in a blob (`columns.<c>.uuid`).
    pub uuid: UuidBytes,
}

/// A converter for one column.
#[derive(Clone, Debug)]
pub struct Converter {
    kind: Kind,
}

/// The values that a converter gives back as they are, for a caller that would rather not ask it: what most
/// values of many tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// INTEGER is [`Cell::Int8`].
    Int8,
    /// INTEGER in range is [`Cell::Int4`].
    Int4,
    /// INTEGER 0 and 1 are [`Cell::Bool`].
    Boolean,
    /// REAL is [`Cell::Float8`].
    Float8,
    /// None.
    Nothing,
}

/// What is decided once per column.
#[derive(Clone, Debug)]
enum Kind {
    Boolean,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric(numeric::Target),
    Text(text::Target),
    Bytea,
    Date(Rules),
    Time(time::Target),
    Timestamp(timestamp::Target),
    Uuid(UuidBytes),
    Inet(inet::Target),
    Json,
    Jsonb,
    Enum(enumeration::Target),
    Array(array::Target),
    Range(bounds::Target),
    Composite(composite::Target),
    Domain(Box<element::Element>),
    Interval(interval::Target),
    TimeTz(timetz::Target),
    Money(money::Target),
    Other(other::Target),
}

impl Kind {
    fn of_other(name: &str, shape: &Shape, rules: &Rules) -> Kind {
        match shape {
            Shape::Array { element, delimiter } => {
                Kind::Array(array::Target::new(name, element, *delimiter, rules))
            }
            Shape::Range(bound) => Kind::Range(bounds::Target::new(name, bound, false, rules)),
            Shape::Multirange(bound) => Kind::Range(bounds::Target::new(name, bound, true, rules)),
            Shape::Composite(fields) => Kind::Composite(composite::Target::new(name, fields, rules)),
            Shape::Domain(base) => Kind::Domain(Box::new(element::Element::new(base, rules))),
            Shape::Whole => interval::Target::parse(name, rules.number)
                .map(Kind::Interval)
                .or_else(|| timetz::Target::parse(name, rules).map(Kind::TimeTz))
                .or_else(|| money::Target::parse(name).map(Kind::Money))
                .unwrap_or_else(|| Kind::Other(other::Target::new(name))),
        }
    }
}

/// Memory that conversions use and reuse: one per converter, or one for all columns if each cell is consumed
/// before the next value.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The texts that come are known to be valid UTF-8 without NUL.
    pub(crate) has_valid_texts: bool,
    /// The bytes of a [`Cell::Varlena`] or [`Cell::Input`] that are not the source's own.
    bytes: Vec<u8>,
    /// Decimal digits of a number that does not fit 64 bits.
    digits: Vec<u8>,
    /// The parsed JSON document.
    document: json::Document,
    /// Containers that the jsonb encoder has not finished.
    frames: Vec<jsonb::Frame>,
    /// The memory of the parts of a larger value.
    parts: Option<Box<Scratch>>,
}

/// A cell, and what was lost on the way to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Converted<'a> {
    /// The value as PostgreSQL stores it.
    pub cell: Cell<'a>,
    /// Set where the cell is not simply the source's value; such values are counted as warnings.
    pub lossy: Option<Lossy>,
}

impl Scratch {
    /// Checks that a text of the source is valid UTF-8 and holds no NUL, where that is not known already.
    #[inline]
    fn check_text(&self, text: &[u8]) -> Result<(), ValueError> {
        if self.has_valid_texts { Ok(()) } else { text::check(text) }
    }

    /// Memory for the parts of a value, to be given back after it. Nothing is known of their texts.
    fn part(&mut self) -> Box<Scratch> {
        self.parts.take().unwrap_or_default()
    }

    fn give_back(&mut self, parts: Box<Scratch>) {
        self.parts = Some(parts);
    }
}

impl<'a> Converted<'a> {
    fn exact(cell: Cell<'a>) -> Self {
        Converted { cell, lossy: None }
    }
}

impl Converter {
    /// The converter for a column of a type.
    #[must_use]
    pub fn new(pg_type: &PgType, rules: &Rules) -> Converter {
        let kind = match pg_type {
            PgType::Boolean => Kind::Boolean,
            PgType::SmallInt => Kind::Int2,
            PgType::Integer => Kind::Int4,
            PgType::BigInt => Kind::Int8,
            PgType::Real => Kind::Float4,
            PgType::DoublePrecision => Kind::Float8,
            PgType::Numeric { precision_scale } => Kind::Numeric(numeric::Target::new(*precision_scale)),
            PgType::Text | PgType::Varchar(None) | PgType::Citext => Kind::Text(text::Target::unlimited()),
            PgType::Varchar(Some(limit)) => Kind::Text(text::Target::varchar(*limit)),
            PgType::Char(limit) => Kind::Text(text::Target::char(*limit)),
            PgType::Bytea => Kind::Bytea,
            PgType::Date => Kind::Date(rules.clone()),
            PgType::Time(precision) => Kind::Time(time::Target::new(*precision, rules)),
            PgType::Timestamp(precision) => Kind::Timestamp(timestamp::Target::new(false, *precision, rules)),
            PgType::TimestampTz(precision) => {
                Kind::Timestamp(timestamp::Target::new(true, *precision, rules))
            }
            PgType::Json => Kind::Json,
            PgType::Jsonb => Kind::Jsonb,
            PgType::Uuid => Kind::Uuid(rules.uuid),
            PgType::Inet => Kind::Inet(inet::Target::Inet),
            PgType::Cidr => Kind::Inet(inet::Target::Cidr),
            PgType::Enum { name, labels } => Kind::Enum(enumeration::Target::new(name, labels)),
            PgType::Other { name, shape } => Kind::of_other(name, shape, rules),
        };
        Converter { kind }
    }

    /// Which values of this column need no work.
    #[must_use]
    pub fn plain(&self) -> Plain {
        match self.kind {
            Kind::Int8 => Plain::Int8,
            Kind::Int4 => Plain::Int4,
            Kind::Boolean => Plain::Boolean,
            Kind::Float8 => Plain::Float8,
            _ => Plain::Nothing,
        }
    }

    /// Converts one value. NULL becomes NULL; whether the column may hold it is for the caller to check.
    ///
    /// # Errors
    /// The column's type cannot hold the value.
    #[inline]
    pub fn convert<'a>(
        &'a self,
        value: Value<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<Converted<'a>, ValueError> {
        match value {
            Value::Null => return Ok(Converted::exact(Cell::Null)),
            Value::Unreadable(reason) => return Err(ValueError::unreadable(reason)),
            _ => {}
        }
        match &self.kind {
            Kind::Boolean => boolean::convert(value),
            Kind::Int2 => integer::to_int2(value),
            Kind::Int4 => integer::to_int4(value),
            Kind::Int8 => integer::to_int8(value),
            Kind::Float4 => real::to_float4(value),
            Kind::Float8 => real::to_float8(value),
            Kind::Numeric(target) => numeric::convert(target, value, scratch),
            Kind::Text(target) => text::convert(target, value, scratch),
            Kind::Bytea => bytea::convert(value),
            Kind::Date(rules) => date::convert(rules, value),
            Kind::Time(target) => time::convert(target, value),
            Kind::Timestamp(target) => timestamp::convert(target, value),
            Kind::Uuid(order) => uuid::convert(*order, value),
            Kind::Inet(target) => inet::convert(*target, value, scratch),
            Kind::Json => json::convert(value, scratch),
            Kind::Jsonb => jsonb::convert(value, scratch),
            Kind::Enum(target) => enumeration::convert(target, value),
            Kind::Array(target) => array::convert(target, value, scratch),
            Kind::Range(target) => bounds::convert(target, value, scratch),
            Kind::Composite(target) => composite::convert(target, value, scratch),
            Kind::Domain(base) => {
                let mut parts = scratch.part();
                scratch.bytes.clear();
                let written = base.write(value, &mut parts, &mut scratch.bytes);
                scratch.give_back(parts);
                Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy: written? })
            }
            Kind::Interval(target) => interval::convert(target, value, scratch),
            Kind::TimeTz(target) => timetz::convert(target, value, scratch),
            Kind::Money(target) => money::convert(target, value, scratch),
            Kind::Other(target) => other::convert(target, value, scratch),
        }
    }
}

#[cfg(test)]
mod tests;
