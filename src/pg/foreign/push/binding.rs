//! Which value of SQLite stands for a parameter of PostgreSQL?
//!
//! There is always one. A parameter that no stored value can equal (NaN, an infinity, a fraction of a second
//! that the column's form does not have) becomes a value at its place in SQLite's order, so that every
//! comparison with it goes as in PostgreSQL.
#![allow(unsafe_code)] // reads datums and arrays as the executor gives them

use std::ffi::CStr;
use std::fmt;
use std::str::FromStr;

use aliaport_rows::census::{Form, Proof};
use aliaport_rows::value::Value;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::Value as Json;

/// A value for SQLite.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// NULL
    Null,
    /// INTEGER
    Integer(i64),
    /// REAL
    Real(f64),
    /// TEXT
    Text(String),
    /// BLOB
    Blob(Vec<u8>),
}

impl Bound {
    /// The value as the rooms of the source take it.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Bound::Null => Value::Null,
            Bound::Integer(v) => Value::Integer(*v),
            Bound::Real(v) => Value::Real(*v),
            Bound::Text(v) => Value::Text(v.as_bytes()),
            Bound::Blob(v) => Value::Blob(v),
        }
    }
}

/// How a parameter becomes a value. It is written into a plan as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What is made of it.
    pub way: Way,
    /// The parameter's type; of an array, that of its elements.
    pub source: pg_sys::Oid,
}

/// What is made of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The value itself.
    Same,
    /// A point in time as a text in this form.
    Placed(Form),
    /// An array as a JSON array of such values.
    List,
    /// An array of points in time as a JSON array of texts in this form.
    PlacedList(Form),
    /// A number that no stored double falls below which becomes this one when it is rounded to so many
    /// decimal places.
    Low(Option<i16>),
    /// The same from above.
    High(Option<i16>),
    /// What the texts begin with that a LIKE pattern can match.
    PrefixStart,
    /// The first text after all of these.
    PrefixEnd,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.source.to_u32())?;
        let scale = |scale: Option<i16>| scale.map_or(String::new(), |scale| scale.to_string());
        match self.way {
            Way::Same => f.write_str("same:"),
            Way::Placed(form) => write!(f, "placed:{form}"),
            Way::List => f.write_str("list:"),
            Way::PlacedList(form) => write!(f, "placed list:{form}"),
            Way::Low(places) => write!(f, "low:{}", scale(places)),
            Way::High(places) => write!(f, "high:{}", scale(places)),
            Way::PrefixStart => f.write_str("prefix start:"),
            Way::PrefixEnd => f.write_str("prefix end:"),
        }
    }
}

impl FromStr for Binding {
    type Err = ();

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Binding, ()> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or(());
        let source = next()?.parse::<u32>().map_err(drop)?.into();
        let (way, rest) = (next()?, next()?);
        let form = || match rest.parse() {
            Ok(Proof::Instant(form)) => Ok(form),
            _ => Err(()),
        };
        let scale = || if rest.is_empty() { Ok(None) } else { rest.parse().map(Some).map_err(drop) };
        let way = match way {
            "same" => Way::Same,
            "placed" => Way::Placed(form()?),
            "list" => Way::List,
            "placed list" => Way::PlacedList(form()?),
            "low" => Way::Low(scale()?),
            "high" => Way::High(scale()?),
            "prefix start" => Way::PrefixStart,
            "prefix end" => Way::PrefixEnd,
            _ => return Err(()),
        };
        Ok(Binding { way, source })
    }
}

/// A parameter as Rust has it.
#[derive(Clone, Debug, PartialEq)]
enum Parameter {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Microseconds since 2000; the ends of `i64` are the infinities.
    Instant(i64),
}

impl Binding {
    /// The value that stands for a parameter.
    ///
    /// # Safety
    /// Unless it is NULL, the datum is a valid one of the type that the binding was made for.
    pub unsafe fn bind(&self, datum: pg_sys::Datum, is_null: bool) -> Bound {
        match self.way {
            // A comparison with an array that is NULL is NULL, as one with an element that is.
            Way::List | Way::PlacedList(_) if is_null => Bound::Text("[null]".to_owned()),
            _ if is_null => Bound::Null,
            Way::List | Way::PlacedList(_) => {
                // SAFETY: the caller's promise: an array of elements of this type.
                let elements = unsafe { elements(datum, self.source) };
                let elements: Vec<Json> = elements.into_iter().map(|element| self.json(element)).collect();
                Bound::Text(Json::Array(elements).to_string())
            }
            // SAFETY: the caller's promise.
            _ => match unsafe { read(datum, self.source) } {
                Some(parameter) => self.one(parameter),
                None => Bound::Null,
            },
        }
    }

    fn one(&self, parameter: Parameter) -> Bound {
        match (self.way, parameter) {
            // All numbers of SQLite are less than this, as all of PostgreSQL are less than NaN.
            (_, Parameter::Real(v)) if v.is_nan() => Bound::Text(String::new()),
            (Way::Low(places), Parameter::Real(v)) => Bound::Real(below(v, places)),
            (Way::High(places), Parameter::Real(v)) => Bound::Real(-below(-v, places)),
            (Way::PrefixStart, Parameter::Text(pattern)) => Bound::Text(prefix(&pattern)),
            (Way::PrefixEnd, Parameter::Text(pattern)) => match following(prefix(&pattern)) {
                Some(end) => Bound::Text(end),
                // Greater than every text.
                None => Bound::Blob(Vec::new()),
            },
            (Way::Placed(form) | Way::PlacedList(form), Parameter::Instant(micros)) => {
                Bound::Text(form.place(micros))
            }
            (_, Parameter::Boolean(v)) => Bound::Integer(v.into()),
            (_, Parameter::Integer(v) | Parameter::Instant(v)) => Bound::Integer(v),
            (_, Parameter::Real(v)) => Bound::Real(v),
            (_, Parameter::Text(v)) => Bound::Text(v),
            (_, Parameter::Bytes(v)) => Bound::Blob(v),
        }
    }

    fn json(&self, element: Option<Parameter>) -> Json {
        match element.map(|element| self.one(element)) {
            Some(Bound::Integer(v)) => Json::from(v),
            Some(Bound::Text(v)) => Json::from(v),
            // There are no lists of others.
            Some(Bound::Real(_) | Bound::Blob(_) | Bound::Null) | None => Json::Null,
        }
    }
}

/// The greatest double that is certainly not greater than anything which rounds to `v`, to a double first and
/// to decimal places then.
fn below(v: f64, places: Option<i16>) -> f64 {
    let width = places.map_or(0.0, |places| 10f64.powi(-i32::from(places)));
    (v.next_down() - width).next_down()
}

/// The beginning of a LIKE pattern that stands for itself.
fn prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' | '_' => break,
            // A backslash at the end is an error of the pattern, for PostgreSQL to raise.
            '\\' => prefix.extend(rest.next()),
            c => prefix.push(c),
        }
    }
    prefix
}

/// The first text after all that begin with a prefix, by code points.
fn following(mut prefix: String) -> Option<String> {
    while let Some(last) = prefix.pop() {
        // There are no characters between these two.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

/// # Safety
/// The datum is a valid one of the type.
unsafe fn read(datum: pg_sys::Datum, source: pg_sys::Oid) -> Option<Parameter> {
    // SAFETY: the caller's promise, for all of the conversions.
    unsafe {
        Some(match source {
            pg_sys::BOOLOID => Parameter::Boolean(bool::from_datum(datum, false)?),
            pg_sys::INT2OID => Parameter::Integer(i16::from_datum(datum, false)?.into()),
            pg_sys::INT4OID => Parameter::Integer(i32::from_datum(datum, false)?.into()),
            pg_sys::INT8OID => Parameter::Integer(i64::from_datum(datum, false)?),
            pg_sys::FLOAT4OID => Parameter::Real(f32::from_datum(datum, false)?.into()),
            pg_sys::FLOAT8OID => Parameter::Real(f64::from_datum(datum, false)?),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Parameter::Text(String::from_datum(datum, false)?),
            pg_sys::BYTEAOID => Parameter::Bytes(Vec::<u8>::from_datum(datum, false)?),
            pg_sys::DATEOID => {
                // Days since 2000; the ends of i32 are the infinities.
                Parameter::Instant(match i32::from_datum(datum, false)? {
                    i32::MIN => i64::MIN,
                    i32::MAX => i64::MAX,
                    days => i64::from(days).saturating_mul(86_400_000_000),
                })
            }
            pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => {
                Parameter::Instant(i64::from_datum(datum, false)?)
            }
            pg_sys::NUMERICOID => {
                let text = pg_sys::OidOutputFunctionCall(pg_sys::F_NUMERIC_OUT.into(), datum);
                Parameter::Real(CStr::from_ptr(text).to_str().ok()?.parse().ok()?)
            }
            _ => return None,
        })
    }
}

/// # Safety
/// The datum is a valid array with elements of the type.
unsafe fn elements(datum: pg_sys::Datum, element: pg_sys::Oid) -> Vec<Option<Parameter>> {
    let (mut length, mut is_by_value, mut alignment) = (0, false, 0);
    let (mut datums, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    // SAFETY: the caller's promise; all out-pointers are valid, and the two arrays have `count` elements.
    unsafe {
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut is_by_value, &mut alignment);
        pg_sys::deconstruct_array(
            array,
            element,
            length.into(),
            is_by_value,
            alignment,
            &mut datums,
            &mut nulls,
            &mut count,
        );
        let count = usize::try_from(count).unwrap_or(0);
        (0..count).map(|i| if *nulls.add(i) { None } else { read(*datums.add(i), element) }).collect()
    }
}
