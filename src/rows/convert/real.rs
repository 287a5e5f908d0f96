//! `double precision` and `real`.

use super::decimal::Shortest;
use super::{Converted, Lossy, ValueError, integer};
use crate::value::{Cell, Value};

pub(super) fn to_float8(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let (v, is_exact) = match value {
        Value::Real(v) => (v, true),
        Value::Integer(v) => {
            let nearest = v as f64;
            (nearest, nearest as i128 == i128::from(v))
        }
        Value::Text(text) => {
            parse::<f64>(text).map_err(|fault| fault.into_error("double precision", value))?
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"double precision", false, value));
        }
    };
    Ok(Converted { cell: Cell::Float8(v), lossy: (!is_exact).then_some(Lossy::RealRounded) })
}

pub(super) fn to_float4(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let (v, is_exact) = match value {
        Value::Real(v) => {
            let narrow = v as f32;
            // The rule of dtof (src/backend/utils/adt/float.c).
            if (narrow.is_infinite() && v.is_finite()) || (narrow == 0.0 && v != 0.0) {
                return Err(ValueError::range("real", value));
            }
            (narrow, f64::from(narrow) == v || v.is_nan())
        }
        Value::Integer(v) => {
            let nearest = v as f32;
            (nearest, nearest as i128 == i128::from(v))
        }
        Value::Text(text) => parse::<f32>(text).map_err(|fault| fault.into_error("real", value))?,
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"real", false, value));
        }
    };
    Ok(Converted { cell: Cell::Float4(v), lossy: (!is_exact).then_some(Lossy::RealRounded) })
}

enum Fault {
    Syntax,
    Range,
}

impl Fault {
    fn into_error(self, type_name: &'static str, value: Value) -> ValueError {
        match self {
            Fault::Syntax => ValueError::syntax(type_name, value),
            Fault::Range => ValueError::range(type_name, value),
        }
    }
}

/// What the two floating-point types differ in.
trait Binary: Copy + PartialEq + std::str::FromStr + zmij::Float {
    /// Decimals with at most so many digits read back from the nearest value as they were.
    const EXACT_DIGITS: usize;
    const ZERO: Self;
    const NAN: Self;
    fn is_infinite(self) -> bool;
    fn is_subnormal(self) -> bool;
}

impl Binary for f64 {
    const EXACT_DIGITS: usize = 15;
    const ZERO: f64 = 0.0;
    const NAN: f64 = f64::NAN;
    fn is_infinite(self) -> bool {
        self.is_infinite()
    }
    fn is_subnormal(self) -> bool {
        self.is_subnormal()
    }
}

impl Binary for f32 {
    const EXACT_DIGITS: usize = 6;
    const ZERO: f32 = 0.0;
    const NAN: f32 = f32::NAN;
    fn is_infinite(self) -> bool {
        self.is_infinite()
    }
    fn is_subnormal(self) -> bool {
        self.is_subnormal()
    }
}

/// Reads what `float8in` and `float4in` read, but for the hexadecimal floats that glibc's `strtod` adds. The
/// flag says whether the value's own shortest decimal is the number that the text spells.
fn parse<F: Binary>(text: &[u8]) -> Result<(F, bool), Fault> {
    let text = integer::trim(text);
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let decimal = scan_decimal(unsigned);
    let is_word =
        ["inf", "infinity", "nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word.as_bytes()));
    if decimal.is_none() && !is_word {
        return Err(Fault::Syntax);
    }
    let Ok(text) = std::str::from_utf8(text) else { return Err(Fault::Syntax) };
    let Ok(v) = text.parse::<F>() else { return Err(Fault::Syntax) };
    let Some(decimal) = decimal else {
        // A NaN's sign means nothing and must not make two NaNs differ.
        return Ok(if v.is_infinite() { (v, true) } else { (F::NAN, true) });
    };
    if v.is_infinite() || (v == F::ZERO && decimal.digits > 0) {
        return Err(Fault::Range);
    }
    if decimal.digits <= F::EXACT_DIGITS && !v.is_subnormal() {
        return Ok((v, true));
    }
    let shortest = Shortest::of_magnitude(v);
    let is_same =
        decimal.mantissa == Some(shortest.mantissa) && decimal.exponent == i64::from(shortest.exponent);
    Ok((v, is_same))
}

/// A decimal number as a text spells it.
struct Decimal {
    /// Significant digits, without leading and trailing zeros.
    digits: usize,
    /// Those digits as a number, where they are 18 at most.
    mantissa: Option<u64>,
    /// The power of ten of the last significant digit.
    exponent: i64,
}

/// Reads `digits [. digits] [e [sign] digits]` with at least one digit before the `e`.
fn scan_decimal(text: &[u8]) -> Option<Decimal> {
    let exponent_at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (number, exponent) = match exponent_at {
        None => (text, 0),
        Some(at) => (text.get(..at)?, scan_exponent(text.get(at + 1..)?)?),
    };
    let mut has_digit = false;
    let mut is_fraction = false;
    let mut fraction_digits = 0i64;
    let mut digits = 0usize;
    let mut zeros = 0usize;
    let mut mantissa = Some(0u64);
    for byte in number {
        match byte {
            b'.' if !is_fraction => is_fraction = true,
            b'0'..=b'9' => {
                has_digit = true;
                fraction_digits += i64::from(is_fraction);
                if *byte == b'0' {
                    zeros += usize::from(digits > 0);
                } else {
                    // The zeros in between turn out to be significant.
                    digits += zeros + 1;
                    mantissa = mantissa
                        .filter(|_| digits <= 18)
                        .and_then(|m| m.checked_mul(10u64.checked_pow(zeros as u32 + 1)?))
                        .map(|m| m + u64::from(byte - b'0'));
                    zeros = 0;
                }
            }
            _ => return None,
        }
    }
    if !has_digit {
        return None;
    }
    if digits == 0 {
        return Some(Decimal { digits: 0, mantissa: Some(0), exponent: 0 });
    }
    Some(Decimal { digits, mantissa, exponent: exponent - fraction_digits + zeros as i64 })
}

/// Reads `[sign] digits`; a number beyond a million counts as a million, which is out of every range.
fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |v, byte| (v * 10 + i64::from(byte - b'0')).min(1_000_000));
    Some(sign * magnitude)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decimal::to_text;
    use super::*;

    fn float8(text: &str) -> Result<(f64, Option<Lossy>), &'static str> {
        match to_float8(Value::Text(text.as_bytes())) {
            Ok(Converted { cell: Cell::Float8(v), lossy }) => Ok((v, lossy)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.sqlstate().word()),
        }
    }

    #[test]
    fn the_text_of_a_double_has_the_form_of_float8out() {
        for (v, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (12.5, "12.5"),
            (100.0, "100"),
            (-0.1, "-0.1"),
            (1e14, "100000000000000"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.0, "1.234567890123456e+15"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_01, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e20, "1e+20"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(to_text(v), text);
        }
    }

    #[test]
    fn a_text_that_a_double_cannot_keep_is_counted_or_refused() {
        for good in [
            "0.1",
            "1e308",
            " -12.50 ",
            ".5",
            "5.",
            "1E5",
            "0.30000000000000004",
            "00012e-3",
            "0e999",
            "1e-300",
        ] {
            assert_eq!(float8(good).unwrap().1, None, "{good}");
        }
        for rounded in
            ["9007199254740993", "0.1000000000000000055", "12345678901234567890", "1.23456789e-320"]
        {
            assert_eq!(float8(rounded).unwrap().1, Some(Lossy::RealRounded), "{rounded}");
        }
        for beyond in ["1e309", "-1e400", "1e-400", "1e99999999999999999999"] {
            assert_eq!(float8(beyond), Err("22003"), "{beyond}");
        }
        for bad in ["", " ", ".", "e5", "1e", "1e+", "1.2.3", "1 2", "0x10", "1_000", "nanx", "+-1", "1,5"] {
            assert_eq!(float8(bad), Err("22P02"), "{bad}");
        }
        assert!(float8("nAn").unwrap().0.is_nan());
        assert_eq!(float8(" -INF").unwrap().0, f64::NEG_INFINITY);
        assert_eq!(float8("Infinity").unwrap().0, f64::INFINITY);
    }

    #[test]
    fn an_integer_beyond_2_to_the_53_is_exact_only_where_the_double_is() {
        let lossy = |v| to_float8(Value::Integer(v)).unwrap().lossy;
        assert_eq!(lossy(1 << 53), None);
        assert_eq!(lossy((1 << 53) + 1), Some(Lossy::RealRounded));
        assert_eq!(lossy(i64::MIN), None);
        assert_eq!(lossy(i64::MAX), Some(Lossy::RealRounded));
    }

    #[test]
    fn real_refuses_what_it_cannot_hold_and_counts_what_it_rounds() {
        let float4 = |v| to_float4(Value::Real(v)).map(|c| c.lossy).map_err(|e| e.sqlstate().word());
        assert_eq!(float4(0.5), Ok(None));
        assert_eq!(float4(0.1), Ok(Some(Lossy::RealRounded)));
        assert_eq!(float4(1e39), Err("22003"));
        assert_eq!(float4(1e-50), Err("22003"));
        assert_eq!(float4(f64::INFINITY), Ok(None));
        let text = |t: &'static str| {
            to_float4(Value::Text(t.as_bytes())).map(|c| c.lossy).map_err(|e| e.sqlstate().word())
        };
        assert_eq!(text("0.1"), Ok(None));
        assert_eq!(text("16777217"), Ok(Some(Lossy::RealRounded)));
        assert_eq!(text("5e-46"), Err("22003"));
    }

    proptest! {
        #[test]
        fn the_text_of_every_double_reads_back_as_the_same_bits(bits in any::<u64>()) {
            let v = f64::from_bits(bits);
            let (read, lossy) = float8(&to_text(v)).unwrap();
            prop_assert_eq!(lossy, None);
            prop_assert!(read.to_bits() == bits || (v.is_nan() && read.is_nan()));
        }

        #[test]
        fn no_shorter_decimal_reads_back(v in any::<f64>().prop_filter("finite", |v| v.is_finite() && *v != 0.0)) {
            let shortest = Shortest::of_magnitude(v.abs());
            let same_length = format!("{:e}", v.abs());
            let digits = same_length.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
            prop_assert_eq!(shortest.mantissa.to_string().len(), digits);
            let read: f64 = format!("{}e{}", shortest.mantissa, shortest.exponent).parse().unwrap();
            prop_assert_eq!(read, v.abs());
        }
    }
}
