//! `numeric` and `numeric(p,s)`: the payload that PostgreSQL's `make_result` writes, and back.
//!
//! A payload is a header and digits in base 10000, all 16-bit words in the machine's byte order
//! (src/backend/utils/adt/numeric.c). With the sign, the weight (the power of 10000 of the first digit) and
//! the display scale (decimal places shown), it takes one word in the short form, if the scale is at most 63
//! and the weight between -64 and 63, else two. Neither the first nor the last digit is zero.

use super::decimal::Shortest;
use super::{Converted, Lossy, Scratch, ValueError, ValueErrorKind, decimal, display_value, integer};
use crate::value::{Cell, Value};

mod payload;

pub use payload::{Decoded, Finite, decode, to_text};

const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE_SHIFT: u32 = 7;
const SHORT_SCALE_MAX: u16 = 63;
const SHORT_WEIGHT_MASK: u16 = 0x007f;
const LONG_NEGATIVE: u16 = 0x4000;
const LONG_SCALE_MASK: u16 = 0x3fff;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The largest display scale of any numeric (`NUMERIC_DSCALE_MAX`).
const SCALE_MAX: i64 = 0x3fff;

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    limit: Option<Limit>,
}

/// `numeric(precision, scale)`.
#[derive(Clone, Copy, Debug)]
struct Limit {
    precision: u16,
    scale: i16,
    /// Where a number of up to 19 digits at the column's scale is too large: `10^precision`, as far as that
    /// fits.
    end: u64,
    /// `10^scale`, where doubles hold it exactly; else 0.
    shift: f64,
}

impl Limit {
    /// The display scale of every value in the column.
    fn display_scale(&self) -> u16 {
        self.scale.max(0).unsigned_abs()
    }
}

impl Target {
    pub(super) fn new(precision_scale: Option<(u16, i16)>) -> Self {
        let limit = precision_scale.map(|(precision, scale)| Limit {
            precision,
            scale,
            end: 10u64.checked_pow(u32::from(precision)).unwrap_or(u64::MAX),
            shift: match usize::try_from(scale).ok().and_then(|scale| EXACT_POWERS.get(scale)) {
                Some(power) => *power,
                None => 0.0,
            },
        });
        Target { limit }
    }

    #[cold]
    fn overflow(limit: &Limit, is_infinite: bool, value: Value) -> ValueError {
        ValueError::new(ValueErrorKind::NumericOverflow {
            precision: limit.precision,
            scale: limit.scale,
            is_infinite,
            shown: display_value(value),
        })
    }
}

/// The powers of ten that doubles hold exactly.
pub(crate) const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[inline]
pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    scratch.bytes.clear();
    let lossy = match value {
        Value::Integer(v) => of_integer(target, v, scratch)?,
        Value::Real(v) => of_real(target, v, scratch)?,
        Value::Text(text) => of_text(target, text, scratch)?,
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"numeric", false, value));
        }
    };
    Ok(Converted { cell: Cell::Varlena(&scratch.bytes), lossy: lossy.then_some(Lossy::NumericRounded) })
}

fn of_integer(target: &Target, v: i64, scratch: &mut Scratch) -> Result<bool, ValueError> {
    let magnitude = v.unsigned_abs();
    match target.limit {
        Some(limit) if limit.scale < 0 => {
            let number = Number { is_negative: v < 0, exponent: 0, display_scale: 0 };
            write_rounded(target, number, magnitude, Value::Integer(v), scratch)
        }
        Some(limit) => {
            // Digits before the decimal point: the precision less the scale.
            let whole_digits = i32::from(limit.precision) - i32::from(limit.scale);
            let is_within = match u32::try_from(whole_digits) {
                Ok(digits) => 10u64.checked_pow(digits).is_none_or(|end| magnitude < end),
                Err(_) => magnitude == 0,
            };
            if !is_within {
                return Err(Target::overflow(&limit, false, Value::Integer(v)));
            }
            write_small(v < 0, magnitude, 0, limit.display_scale(), &mut scratch.bytes);
            Ok(false)
        }
        None => {
            write_small(v < 0, magnitude, 0, 0, &mut scratch.bytes);
            Ok(false)
        }
    }
}

/// The shortest decimal that reads back as the double, rounded half away from zero.
fn of_real(target: &Target, v: f64, scratch: &mut Scratch) -> Result<bool, ValueError> {
    if let Some(limit) = target.limit
        && limit.shift != 0.0
    {
        // If k / 10^s, rounded to a double, is v, and k has at most 15 digits, then k is the shortest decimal
        // of v, found without printing any: no two decimals of 15 digits share a double. The test also
        // catches what the multiplication rounded wrong.
        let scaled = v * limit.shift;
        if scaled.abs() < 1e15 {
            let k = (scaled + 0.5f64.copysign(scaled)) as i64;
            if k as f64 / limit.shift == v {
                if k.unsigned_abs() >= limit.end {
                    return Err(Target::overflow(&limit, false, Value::Real(v)));
                }
                let scale = limit.display_scale();
                write_small(k < 0, k.unsigned_abs(), u32::from(scale), scale, &mut scratch.bytes);
                return Ok(false);
            }
        }
    }
    if !v.is_finite() {
        let header = if v.is_nan() { NAN } else { infinity(v < 0.0) };
        return write_special(target, header, Value::Real(v), scratch);
    }
    let shortest = Shortest::of_magnitude(v.abs());
    let number = Number {
        is_negative: v < 0.0,
        exponent: i64::from(shortest.exponent),
        display_scale: (-i64::from(shortest.exponent)).max(0),
    };
    write_rounded(target, number, shortest.mantissa, Value::Real(v), scratch)
}

fn infinity(is_negative: bool) -> u16 {
    if is_negative { NEGATIVE_INFINITY } else { INFINITY }
}

/// Writes NaN or an infinity. Only the former fits a column with a precision.
fn write_special(
    target: &Target,
    header: u16,
    value: Value,
    scratch: &mut Scratch,
) -> Result<bool, ValueError> {
    if let (Some(limit), true) = (&target.limit, header != NAN) {
        return Err(Target::overflow(limit, true, value));
    }
    scratch.bytes.extend_from_slice(&header.to_ne_bytes());
    Ok(false)
}

/// A decimal number but for its digits, which are an integer.
#[derive(Clone, Copy, Debug)]
struct Number {
    is_negative: bool,
    /// The power of ten that the digits are multiplied with.
    exponent: i64,
    /// The display scale without a column's limit.
    display_scale: i64,
}

/// Writes `mantissa * 10^exponent`, rounded to the column's scale; true where that changed it.
fn write_rounded(
    target: &Target,
    number: Number,
    mantissa: u64,
    value: Value,
    scratch: &mut Scratch,
) -> Result<bool, ValueError> {
    let mut buffer = [0u8; 20];
    scratch.digits.clear();
    if mantissa != 0 {
        scratch.digits.extend_from_slice(decimal::digits_of(mantissa, &mut buffer));
    }
    write_digits(target, number, value, scratch)
}

/// Writes the decimal digits in `scratch.digits` (ASCII, the first not zero) times `10^exponent`, rounded to
/// the column's scale; true where that changed it.
fn write_digits(
    target: &Target,
    mut number: Number,
    value: Value,
    scratch: &mut Scratch,
) -> Result<bool, ValueError> {
    let Scratch { bytes, digits, .. } = scratch;
    let mut is_rounded = false;
    if let Some(limit) = target.limit {
        is_rounded = round(digits, &mut number.exponent, i64::from(limit.scale));
        let whole_digits = digits.len() as i64 + number.exponent;
        if !digits.is_empty() && whole_digits > i64::from(limit.precision) - i64::from(limit.scale) {
            return Err(Target::overflow(&limit, false, value));
        }
        number.display_scale = i64::from(limit.display_scale());
    }
    if !append_digits(number, digits, bytes) {
        return Err(ValueError::new(ValueErrorKind::NumericFormat { shown: display_value(value) }));
    }
    Ok(is_rounded)
}

/// Rounds digits half away from zero to so many decimal places (negative: to tens, hundreds, ...); true where
/// that changed the number.
fn round(digits: &mut Vec<u8>, exponent: &mut i64, scale: i64) -> bool {
    if *exponent >= -scale {
        return false;
    }
    let keep = digits.len() as i64 + *exponent + scale;
    let is_up = usize::try_from(keep).is_ok_and(|keep| digits.get(keep).is_some_and(|digit| *digit >= b'5'));
    let keep = keep.max(0) as usize;
    let is_changed = digits.iter().skip(keep).any(|digit| *digit != b'0');
    digits.truncate(keep);
    *exponent = -scale;
    if is_up {
        match digits.iter().rposition(|digit| *digit != b'9') {
            Some(last) => {
                if let Some(digit) = digits.get_mut(last) {
                    *digit += 1;
                }
                digits.iter_mut().skip(last + 1).for_each(|digit| *digit = b'0');
            }
            None => {
                // 999 becomes 1000.
                digits.iter_mut().for_each(|digit| *digit = b'0');
                digits.insert(0, b'1');
            }
        }
    }
    is_changed
}

/// Appends the payload of digits (ASCII, the first not zero) times `10^exponent`; false if no numeric can
/// hold it.
fn append_digits(number: Number, digits: &[u8], out: &mut Vec<u8>) -> bool {
    if number.display_scale > SCALE_MAX {
        return false;
    }
    let scale = number.display_scale as u16;
    // Digits before the decimal point; the first digit's group of four is the weight.
    let point = digits.len() as i64 + number.exponent;
    let weight = if digits.is_empty() { 0 } else { (point - 1).div_euclid(4) };
    let Ok(weight) = i16::try_from(weight) else { return false };
    append_header(number.is_negative && !digits.is_empty(), scale, weight, out);
    // The first group begins at a multiple of four before the point and may have fewer than four digits.
    let mut width = 4 - (4 * (i64::from(weight) + 1) - point).clamp(0, 3) as usize;
    let mut end = out.len();
    let mut rest = digits;
    while !rest.is_empty() {
        let (group, after) = rest.split_at(rest.len().min(width));
        let mut word = group.iter().fold(0u16, |word, digit| word * 10 + u16::from(digit - b'0'));
        for _ in group.len()..width {
            word *= 10;
        }
        out.extend_from_slice(&word.to_ne_bytes());
        if word != 0 {
            end = out.len();
        }
        rest = after;
        width = 4;
    }
    out.truncate(end);
    true
}

/// Appends the header: one word if it is enough, else two.
#[inline]
fn append_header(is_negative: bool, scale: u16, weight: i16, out: &mut Vec<u8>) {
    if scale <= SHORT_SCALE_MAX && (-64..=63).contains(&weight) {
        let sign = if is_negative { SHORT_NEGATIVE } else { 0 };
        // The weight as a number of seven bits in two's complement.
        let weight = weight as u16 & SHORT_WEIGHT_MASK;
        out.extend_from_slice(&(SHORT | sign | (scale << SHORT_SCALE_SHIFT) | weight).to_ne_bytes());
    } else {
        let sign = if is_negative { LONG_NEGATIVE } else { 0 };
        out.extend_from_slice(&(sign | scale).to_ne_bytes());
        out.extend_from_slice(&weight.to_ne_bytes());
    }
}

/// Appends the payload of `mantissa / 10^scale`, with a scale up to 22.
#[inline]
fn write_small(is_negative: bool, mantissa: u64, scale: u32, display_scale: u16, out: &mut Vec<u8>) {
    const FILL: [u64; 4] = [1, 1000, 100, 10];
    // Decimal places are filled up to a multiple of four.
    let fraction_groups = scale.div_ceil(4) as i16;
    let fill = FILL[scale as usize % 4];
    // Six groups of four digits hold any u64 times 1000. Filled from the end.
    let mut groups = [0u16; 6];
    let mut first = groups.len();
    match mantissa.checked_mul(fill) {
        Some(mut rest) => {
            while rest > 0 && first > 0 {
                first -= 1;
                groups[first] = (rest % 10_000) as u16;
                rest /= 10_000;
            }
        }
        None => {
            let mut rest = u128::from(mantissa) * u128::from(fill);
            while rest > 0 && first > 0 {
                first -= 1;
                groups[first] = (rest % 10_000) as u16;
                rest /= 10_000;
            }
        }
    }
    let mut end = groups.len();
    while end > first && groups[end - 1] == 0 {
        end -= 1;
    }
    let is_zero = end == first;
    let weight = if is_zero { 0 } else { (groups.len() - first) as i16 - 1 - fraction_groups };
    append_header(is_negative && !is_zero, display_scale, weight, out);
    for group in groups.iter().take(end).skip(first) {
        out.extend_from_slice(&group.to_ne_bytes());
    }
}

/// A number as `numeric_in` reads it.
enum Spelling {
    Special(u16),
    /// The digits are in the scratch space, or are this number where there are 18 at most.
    Finite(Number, Option<u64>),
}

fn of_text(target: &Target, text: &[u8], scratch: &mut Scratch) -> Result<bool, ValueError> {
    let value = Value::Text(text);
    match read(text, &mut scratch.digits) {
        Ok(Spelling::Special(header)) => write_special(target, header, value, scratch),
        Ok(Spelling::Finite(number, Some(mantissa))) => {
            let scale = -number.exponent;
            let display_scale = number.display_scale as u16;
            match target.limit {
                None if scale == number.display_scale && scale <= 22 => {
                    write_small(
                        number.is_negative,
                        mantissa,
                        scale as u32,
                        display_scale,
                        &mut scratch.bytes,
                    );
                    Ok(false)
                }
                _ => write_rounded(target, number, mantissa, value, scratch),
            }
        }
        Ok(Spelling::Finite(number, None)) => write_digits(target, number, value, scratch),
        Err(Fault::Syntax) => Err(ValueError::syntax("numeric", value)),
        Err(Fault::Format) => {
            Err(ValueError::new(ValueErrorKind::NumericFormat { shown: display_value(value) }))
        }
    }
}

enum Fault {
    Syntax,
    Format,
}

/// Reads what `numeric_in` of PostgreSQL 15 reads: `[sign] digits [. digits] [e [sign] digits]` with at least
/// one digit before the `e`, `NaN`, and infinities with or without sign, with white space around.
fn read(text: &[u8], digits: &mut Vec<u8>) -> Result<Spelling, Fault> {
    let text = integer::trim(text);
    if text.eq_ignore_ascii_case(b"nan") {
        return Ok(Spelling::Special(NAN));
    }
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Ok(Spelling::Special(infinity(is_negative)));
    }
    digits.clear();
    let mut mantissa = 0u64;
    let mut significant = 0usize;
    let mut has_digit = false;
    let mut is_fraction = false;
    let mut places = 0i64;
    let mut rest = unsigned;
    while let [byte, after @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                has_digit = true;
                places += i64::from(is_fraction);
                if significant > 0 || *byte != b'0' {
                    significant += 1;
                    if significant <= 18 {
                        mantissa = mantissa * 10 + u64::from(byte - b'0');
                    } else {
                        if significant == 19 {
                            let mut buffer = [0u8; 20];
                            digits.extend_from_slice(decimal::digits_of(mantissa, &mut buffer));
                        }
                        digits.push(*byte);
                    }
                }
            }
            b'.' if !is_fraction => is_fraction = true,
            _ => break,
        }
        rest = after;
    }
    if !has_digit {
        return Err(Fault::Syntax);
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', written @ ..] => read_exponent(written)?,
        _ => return Err(Fault::Syntax),
    };
    let exponent = exponent - places;
    let number = Number { is_negative, exponent, display_scale: (-exponent).max(0) };
    Ok(Spelling::Finite(number, (significant <= 18).then_some(mantissa)))
}

/// Reads an exponent. PostgreSQL 15 reads it with `strtol`, which takes white space before the sign.
fn read_exponent(text: &[u8]) -> Result<i64, Fault> {
    let (sign, digits) = match integer::trim(text) {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Syntax);
    }
    let limit = i64::from(i32::MAX / 2);
    let magnitude = digits.iter().fold(0i64, |v, byte| (v * 10 + i64::from(byte - b'0')).min(limit));
    if magnitude == limit { Err(Fault::Format) } else { Ok(sign * magnitude) }
}

/// Appends the payload of a JSON number, which is checked to be one; false if no numeric can hold it.
pub(super) fn append_json_number(text: &[u8], digits: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
    match read(text, digits) {
        Ok(Spelling::Finite(number, Some(mantissa))) => {
            if -number.exponent == number.display_scale && number.display_scale <= 22 {
                let scale = number.display_scale as u16;
                write_small(number.is_negative, mantissa, u32::from(scale), scale, out);
                return true;
            }
            let mut buffer = [0u8; 20];
            let digits = if mantissa == 0 { &[] } else { decimal::digits_of(mantissa, &mut buffer) };
            append_digits(number, digits, out)
        }
        Ok(Spelling::Finite(number, None)) => append_digits(number, digits, out),
        Ok(Spelling::Special(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
