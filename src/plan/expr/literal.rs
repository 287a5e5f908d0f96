//! A constant DEFAULT as a literal of the column's PostgreSQL type.
//!
//! SQLite applies the column's affinity to a default as to any value, so `DEFAULT '0'` of an integer column
//! is the number. A default that would be no value of the PostgreSQL type is not carried over.

use super::term::{Literal, blob_literal, quoted};
use super::{NotCarried, instant};
use aliaport_rows::convert::{Converter, Rules, Scratch};
use aliaport_rows::pg_type::{PgType, Storage};
use aliaport_rows::value::{Cell, Value};

/// Nothing to carry: the column's default is NULL with or without it.
pub(super) type Default = Option<String>;

/// Whether a column of the type takes the value, and as it is.
fn is_taken(value: Value<'_>, pg_type: &PgType) -> bool {
    let converter = Converter::new(pg_type, &Rules::default());
    converter.convert(value, &mut Scratch::default()).is_ok_and(|converted| converted.lossy.is_none())
}

/// What a boolean column makes of a value.
fn boolean(value: Value<'_>) -> Option<String> {
    let converter = Converter::new(&PgType::Boolean, &Rules::default());
    match converter.convert(value, &mut Scratch::default()).ok()?.cell {
        Cell::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// `DEFAULT 5`
pub(super) fn integer(value: i64, pg_type: &PgType) -> Result<Default, NotCarried> {
    let shown = value.to_string();
    let sql = match pg_type.storage() {
        Storage::Text | Storage::Own | Storage::Label => {
            return text(&shown, pg_type).map_err(|_| unfit(&shown, pg_type));
        }
        _ if !is_taken(Value::Integer(value), pg_type) => None,
        Storage::Bool => boolean(Value::Integer(value)),
        Storage::Int2
        | Storage::Int4
        | Storage::Int8
        | Storage::Float4
        | Storage::Float8
        | Storage::Numeric => Some(shown.clone()),
        // A number is no value of these, though it may be read as one.
        Storage::Bytes
        | Storage::Date
        | Storage::Time
        | Storage::Timestamp
        | Storage::Uuid
        | Storage::Opaque => None,
    };
    found(sql, &shown, pg_type)
}

/// `DEFAULT 0.5`
pub(super) fn real(value: f64, pg_type: &PgType) -> Result<Default, NotCarried> {
    if !value.is_finite() {
        return Err(unfit("an infinite number", pg_type));
    }
    let shown = format!("{value:?}");
    let sql = match pg_type {
        PgType::Real | PgType::DoublePrecision => Some(shown.clone()),
        PgType::Numeric { .. } => is_taken(Value::Real(value), pg_type).then(|| value.to_string()),
        // "%!.15g" in SQLite, which is the shortest form only where that has no more digits and no exponent.
        PgType::Text | PgType::Varchar(_) | PgType::Citext
            if significant_digits(value) <= 15 && (1e-4..1e15).contains(&value.abs()) =>
        {
            return text(&shown, pg_type);
        }
        PgType::Boolean | PgType::SmallInt | PgType::Integer | PgType::BigInt => {
            // INTEGER affinity makes 1.0 the integer 1.
            return match whole(value) {
                Some(value) => integer(value, pg_type),
                None => Err(unfit(&shown, pg_type)),
            };
        }
        _ => None,
    };
    found(sql, &shown, pg_type)
}

/// `DEFAULT 'abc'`
pub(super) fn text(value: &str, pg_type: &PgType) -> Result<Default, NotCarried> {
    let typed = |literal: &str| Ok::<_, NotCarried>(format!("{}::{pg_type}", quoted(literal)?));
    let sql = match pg_type {
        PgType::SmallInt
        | PgType::Integer
        | PgType::BigInt
        | PgType::Real
        | PgType::DoublePrecision
        | PgType::Numeric { .. } => {
            return match text_as_number(value) {
                Some(Literal::Integer(value)) => integer(value, pg_type),
                Some(Literal::Real(value)) => real(value, pg_type),
                _ => Err(unfit(&shortened(value), pg_type)),
            };
        }
        // A text in a BLOB column stays a text; only of the empty one it is plain which bytes are meant.
        PgType::Bytea => value.is_empty().then(|| blob_literal(&[])),
        PgType::Date => instant::is_date(value).then(|| typed(value)).transpose()?,
        PgType::Time(_) => instant::is_time(value).then(|| typed(value)).transpose()?,
        PgType::Timestamp(_) => match instant::timestamp(value) {
            Some((wall_clock, zone)) if zone == "+00" => Some(typed(&wall_clock)?),
            _ => None,
        },
        PgType::TimestampTz(_) => {
            instant::timestamp(value).map(|(clock, zone)| typed(&format!("{clock}{zone}"))).transpose()?
        }
        PgType::Other { .. } => None,
        _ if value.contains('\0') => return quoted(value).map(Some),
        _ if !is_taken(Value::Text(value.as_bytes()), pg_type) => None,
        PgType::Text | PgType::Citext | PgType::Varchar(_) | PgType::Char(_) => Some(quoted(value)?),
        PgType::Boolean => boolean(Value::Text(value.as_bytes())),
        _ => Some(typed(value)?),
    };
    found(sql, &shortened(value), pg_type)
}

/// `DEFAULT X'00'`
pub(super) fn blob(bytes: &[u8], pg_type: &PgType) -> Result<Default, NotCarried> {
    match pg_type {
        PgType::Bytea => Ok(Some(blob_literal(bytes))),
        _ => Err(unfit("a blob", pg_type)),
    }
}

fn found(sql: Option<String>, shown: &str, pg_type: &PgType) -> Result<Default, NotCarried> {
    sql.map(Some).ok_or_else(|| unfit(shown, pg_type))
}

fn unfit(shown: &str, pg_type: &PgType) -> NotCarried {
    NotCarried::new(format!("default {shown} is no value of type {pg_type}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("'{}...'", text.get(..end).unwrap_or_default()),
        None => format!("'{text}'"),
    }
}

/// A text that SQLite's numeric affinity turns into a number: a decimal literal with spaces around it
/// (<https://sqlite.org/datatype3.html#type_affinity>).
pub(super) fn text_as_number(text: &str) -> Option<Literal> {
    let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let has_digits = !whole.is_empty() || fraction.is_some_and(|f| !f.is_empty());
    if !has_digits || !all_digits(whole) || !fraction.is_none_or(all_digits) {
        return None;
    }
    if exponent.is_some_and(|e| e.is_empty() || !all_digits(e)) {
        return None;
    }
    if fraction.is_none()
        && exponent.is_none()
        && let Ok(value) = text.parse()
    {
        return Some(Literal::Integer(value));
    }
    let value: f64 = text.parse().ok()?;
    // A REAL that is a whole number becomes an INTEGER in a column of INTEGER or NUMERIC affinity.
    Some(whole_number(value).map_or(Literal::Real(value), Literal::Integer))
}

fn whole_number(value: f64) -> Option<i64> {
    whole(value).filter(|_| value.abs() <= 9_007_199_254_740_992.0)
}

/// The integer that a double is exactly.
fn whole(value: f64) -> Option<i64> {
    if value.fract() != 0.0 || value.abs() > 9_007_199_254_740_992.0 {
        return None;
    }
    format!("{value:.0}").parse().ok()
}

/// Digits of the shortest decimal that is this double.
pub(super) fn significant_digits(value: f64) -> usize {
    let shown = format!("{value:e}");
    let mantissa = shown.split_once('e').map_or(shown.as_str(), |(mantissa, _)| mantissa);
    mantissa.bytes().filter(u8::is_ascii_digit).count()
}
