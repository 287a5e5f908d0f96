//! `money`: a plain decimal number, with two places.
//!
//! What stands for a currency, for thousands and for the decimal point is the locale's affair, so a text with
//! anything else than digits, a sign, a point and an exponent is a bad value: `12,5` would be 125 in one
//! locale and 12.50 in the next.

use super::{Converted, Lossy, Scratch, ValueError, ValueErrorKind, display_value, numeric};
use crate::value::{Cell, Value};

/// The type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    decimal: numeric::Target,
}

impl Target {
    /// The type of this name; `None` for another type.
    pub(super) fn parse(name: &str) -> Option<Self> {
        // 64 bits of hundredths: 19 digits.
        (name == "money").then(|| Target { decimal: numeric::Target::new(Some((19, 2))) })
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    if matches!(value, Value::Null | Value::Blob(_) | Value::Unreadable(_)) {
        return Err(ValueError::class(&"money", false, value));
    }
    let converted = numeric::convert(&target.decimal, value, scratch);
    let lossy = match converted {
        Ok(Converted { lossy, .. }) => lossy.map(|_| Lossy::NumericRounded),
        Err(error) => {
            return Err(match error.kind() {
                ValueErrorKind::Syntax { .. } => ValueError::syntax("money", value),
                _ => ValueError::range("money", value),
            });
        }
    };
    let text = numeric::to_text(&scratch.bytes).unwrap_or_default();
    let hundredths = text.replace('.', "").parse::<i64>();
    if hundredths.is_err() {
        // NaN is a number to numeric.
        let kind = if text == "NaN" {
            ValueErrorKind::Syntax { type_name: "money", shown: display_value(value) }
        } else {
            ValueErrorKind::Range { type_name: "money", shown: display_value(value) }
        };
        return Err(ValueError::new(kind));
    }
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(text.as_bytes());
    Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_decimal_is_money() {
        let read = |value| {
            let mut scratch = Scratch::default();
            let converted = convert(&Target::parse("money").unwrap(), value, &mut scratch)
                .map_err(|error| (error.sqlstate().word(), error.to_string()))?;
            let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
            Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
        };
        let text = |text: &'static str| Value::Text(text.as_bytes());
        let is = |text: &str, lossy| Ok((text.to_owned(), lossy));
        let rounded = Some(Lossy::NumericRounded);
        assert_eq!(read(text("12.5")), is("12.50", None));
        assert_eq!(read(text(" -0.005 ")), is("-0.01", rounded));
        assert_eq!(read(Value::Real(0.125)), is("0.13", rounded));
        assert_eq!(read(Value::Real(9.99)), is("9.99", None));
        assert_eq!(read(Value::Integer(-7)), is("-7.00", None));
        assert_eq!(read(text("92233720368547758.07")), is("92233720368547758.07", None));
        for bad in ["12,5", "$1.00", "1 000", "(5)", "", "NaN", "12.5-"] {
            assert_eq!(
                read(text(bad)),
                Err(("22P02", format!("invalid input syntax for type money: \"{bad}\"")))
            );
        }
        for large in [text("92233720368547758.08"), text("Infinity"), Value::Integer(i64::MAX)] {
            assert_eq!(read(large).unwrap_err().0, "22003");
        }
        assert_eq!(read(Value::Blob(b"1")).unwrap_err().0, "22P02");
        assert!(Target::parse("money[]").is_none());
    }
}
