//! A part of a larger value (an array's element, a range's bound, a row's field), converted by the rules of
//! its own type and written as text that its input function reads in one way only.

use std::io::Write as _;

use super::json::Document;
use super::literal::{Malformed, quote};
use super::{Converted, Converter, Lossy, Rules, Scratch, ValueError, calendar, decimal, numeric, text};
use crate::convert::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::pg_type::{PgType, Storage};
use crate::value::{Cell, Value};

/// A part's type.
#[derive(Clone, Debug)]
pub(super) struct Element {
    converter: Converter,
    form: Form,
}

/// How a converted part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// From its cell.
    Cell,
    /// The same, with the offset of UTC.
    Instant,
    /// From its payload.
    Numeric,
    /// As the source has it, once the converter has taken it.
    AsIs,
    /// As the source has it, without a converter: `byteain` takes texts apart in its own way.
    Unread,
}

/// What a number in a JSON array becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// A text, so that no digit is lost.
    Text,
    /// An integer or a double, as SQLite would have stored it.
    Number,
}

/// Why a text is no value made of parts.
pub(super) enum Fault {
    /// It has not the form at all.
    Form,
    /// A part that it cannot hold, such as an object.
    Element,
    Value(ValueError),
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Fault::Form
    }
}

/// Converts a text part by part: `read` writes what the input function is to read, and says what was lost.
/// `form` is what the text is not where it has not the form.
pub(super) fn by_parts<'a>(
    type_name: &str,
    form: &'static str,
    value: Value<'a>,
    scratch: &'a mut Scratch,
    read: impl FnOnce(&[u8], &mut Document, &mut Scratch, &mut Vec<u8>) -> Result<Option<Lossy>, Fault>,
) -> Result<Converted<'a>, ValueError> {
    let Value::Text(bytes) = value else { return Err(ValueError::class(&type_name, false, value)) };
    scratch.check_text(bytes)?;
    let mut parts = scratch.part();
    let mut out = std::mem::take(&mut scratch.bytes);
    out.clear();
    let read = read(bytes, &mut scratch.document, &mut parts, &mut out);
    scratch.bytes = out;
    scratch.give_back(parts);
    match read {
        Ok(lossy) => Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy }),
        Err(Fault::Value(error)) => Err(error),
        Err(Fault::Element) => Err(ValueError::class(&type_name, false, value)),
        Err(Fault::Form) => Err(ValueError::malformed(form, value)),
    }
}

impl Element {
    pub(super) fn new(pg_type: &PgType, rules: &Rules) -> Self {
        let form = match pg_type.storage() {
            Storage::Timestamp if matches!(pg_type, PgType::TimestampTz(_)) => Form::Instant,
            Storage::Numeric => Form::Numeric,
            Storage::Own | Storage::Label => Form::AsIs,
            Storage::Bytes => Form::Unread,
            Storage::Bool
            | Storage::Int2
            | Storage::Int4
            | Storage::Int8
            | Storage::Float4
            | Storage::Float8
            | Storage::Date
            | Storage::Time
            | Storage::Timestamp
            | Storage::Uuid
            | Storage::Text
            | Storage::Opaque => Form::Cell,
        };
        Element { converter: Converter::new(pg_type, rules), form }
    }

    /// How its converter wants numbers of a JSON document.
    pub(super) fn numbers(pg_type: &PgType) -> Numbers {
        match pg_type.storage() {
            Storage::Bool
            | Storage::Int2
            | Storage::Int4
            | Storage::Int8
            | Storage::Date
            | Storage::Time
            | Storage::Timestamp => Numbers::Number,
            Storage::Opaque if pg_type.is_interval() || pg_type.is_timetz() => Numbers::Number,
            Storage::Float4
            | Storage::Float8
            | Storage::Label
            | Storage::Uuid
            | Storage::Text
            | Storage::Bytes
            | Storage::Numeric
            | Storage::Own
            | Storage::Opaque => Numbers::Text,
        }
    }

    /// Appends a part that is not NULL to `out`, in double quotes, and notes what it lost. `written` is
    /// memory for it.
    pub(super) fn write_quoted(
        &self,
        value: Value<'_>,
        scratch: &mut Scratch,
        written: &mut Vec<u8>,
        lossy: &mut Option<Lossy>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        written.clear();
        *lossy = lossy.or(self.write(value, scratch, written).map_err(Fault::Value)?);
        quote(written, out);
        Ok(())
    }

    /// Appends a part that is not NULL to `out`, and says what it lost.
    pub(super) fn write(
        &self,
        value: Value<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Option<Lossy>, ValueError> {
        if let (Form::Unread, Value::Text(bytes)) = (self.form, value) {
            text::check(bytes)?;
            out.extend_from_slice(bytes);
            return Ok(None);
        }
        let Converted { cell, lossy } = self.converter.convert(value, scratch)?;
        match (self.form, value, cell) {
            (Form::AsIs, Value::Text(bytes), _) => out.extend_from_slice(bytes),
            (Form::Numeric, _, Cell::Varlena(payload)) => {
                let decimal = numeric::to_text(payload).unwrap_or_default();
                out.extend_from_slice(decimal.as_bytes());
            }
            _ => write_cell(&cell, self.form == Form::Instant, out),
        }
        Ok(lossy)
    }
}

/// Writes a cell as its type's output function does under DateStyle ISO.
fn write_cell(cell: &Cell<'_>, is_instant: bool, out: &mut Vec<u8>) {
    match *cell {
        Cell::Null => {}
        Cell::Bool(is_true) => out.push(if is_true { b't' } else { b'f' }),
        Cell::Int2(v) => decimal::write_integer(i64::from(v), out),
        Cell::Int4(v) => decimal::write_integer(i64::from(v), out),
        Cell::Int8(v) => decimal::write_integer(v, out),
        Cell::Float4(v) => {
            // The shortest decimal of a single is not that of the double that it is, but both read back as
            // it.
            decimal::write_float(f64::from(v), out);
        }
        Cell::Float8(v) => decimal::write_float(v, out),
        Cell::Enum(oid) => decimal::write_integer(i64::from(oid), out),
        Cell::Date(i32::MIN) | Cell::Timestamp(i64::MIN) => out.extend_from_slice(b"-infinity"),
        Cell::Date(i32::MAX) | Cell::Timestamp(i64::MAX) => out.extend_from_slice(b"infinity"),
        Cell::Date(days) => {
            let is_bc = write_date(i64::from(days), out);
            out.extend_from_slice(if is_bc { b" BC" } else { b"" });
        }
        Cell::Time(micros) => write_time(micros, out),
        Cell::Timestamp(micros) => {
            let is_bc = write_date(micros.div_euclid(MICROS_PER_DAY), out);
            out.push(b' ');
            write_time(micros.rem_euclid(MICROS_PER_DAY), out);
            out.extend_from_slice(if is_instant { b"+00" } else { b"" });
            out.extend_from_slice(if is_bc { b" BC" } else { b"" });
        }
        Cell::Uuid(bytes) => {
            for byte in bytes {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{byte:02x}");
            }
        }
        Cell::Varlena(payload) | Cell::Input(payload) => out.extend_from_slice(payload),
    }
}

/// Appends `YYYY-MM-DD`, and says whether the year is one before Christ.
fn write_date(days: i64, out: &mut Vec<u8>) -> bool {
    let date = calendar::date_of_days(days);
    let is_bc = date.year < 1;
    let year = if is_bc { 1 - date.year } else { date.year };
    let _ = write!(out, "{year:04}-{:02}-{:02}", date.month, date.day);
    is_bc
}

fn write_time(micros: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let _ = write!(out, "{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}
