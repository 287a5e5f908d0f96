//! Numeric payloads against independent decimal arithmetic.

use proptest::prelude::*;

use super::*;

fn converted(precision_scale: Option<(u16, i16)>, value: Value) -> Result<(String, bool), String> {
    let mut scratch = Scratch::default();
    match convert(&Target::new(precision_scale), value, &mut scratch) {
        Ok(Converted { cell: Cell::Varlena(payload), lossy }) => {
            if let Decoded::Finite(finite) = decode(payload).unwrap() {
                assert_ne!(finite.digits().next(), Some(0), "a leading zero digit");
                assert_ne!(finite.digits().last(), Some(0), "a trailing zero digit");
                if finite.digits().len() == 0 {
                    assert_eq!((finite.weight, finite.is_negative), (0, false));
                }
            }
            Ok((to_text(payload).unwrap(), lossy.is_some()))
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(format!("{} {error}", error.sqlstate())),
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes())
}

fn exact(number: &str) -> Result<(String, bool), String> {
    Ok((number.to_owned(), false))
}

fn rounded(number: &str) -> Result<(String, bool), String> {
    Ok((number.to_owned(), true))
}

#[test]
fn payloads_are_those_that_postgresql_stores() {
    // From heap pages of PostgreSQL 15, as 16-bit words.
    let words = |precision_scale, value| {
        let mut scratch = Scratch::default();
        convert(&Target::new(precision_scale), value, &mut scratch).unwrap();
        let (words, _) = scratch.bytes.as_chunks::<2>();
        words.iter().map(|word| u16::from_ne_bytes(*word)).collect::<Vec<u16>>()
    };
    assert_eq!(words(None, Value::Integer(0)), [0x8000]);
    assert_eq!(words(Some((15, 2)), Value::Real(0.0)), [0x8100]);
    assert_eq!(words(Some((15, 2)), Value::Real(1234.5)), [0x8100, 1234, 5000]);
    assert_eq!(words(Some((15, 2)), Value::Real(-0.01)), [0xa17f, 100]);
    assert_eq!(words(None, Value::Integer(10_000)), [0x8001, 1]);
    assert_eq!(words(None, text("1e300")), [0x0000, 75, 1]);
    assert_eq!(words(None, text("1e-70")), [70, 65518, 100]);
    assert_eq!(words(None, text("NaN")), [0xc000]);
    assert_eq!(words(None, text("-inf")), [0xf000]);
}

#[test]
fn a_real_goes_through_its_shortest_decimal() {
    let money = Some((15, 2));
    assert_eq!(converted(money, Value::Real(1.005)), rounded("1.01"));
    assert_eq!(converted(money, Value::Real(2.675)), rounded("2.68"));
    assert_eq!(converted(money, Value::Real(-2.675)), rounded("-2.68"));
    assert_eq!(converted(money, Value::Real(0.1 + 0.2)), rounded("0.30"));
    assert_eq!(converted(money, Value::Real(0.1)), exact("0.10"));
    assert_eq!(converted(money, Value::Real(-0.0)), exact("0.00"));
    assert_eq!(converted(money, Value::Real(-0.001)), rounded("0.00"));
    assert_eq!(converted(money, Value::Real(9_999_999_999_999.99)), exact("9999999999999.99"));
    // The nearest double is that of ...74.41 as well: beyond 15 digits a division cannot tell.
    assert_eq!(converted(Some((20, 2)), Value::Real(86_465_567_342_274.4)), exact("86465567342274.40"));
    assert_eq!(converted(money, Value::Real(1e13)), Err("22003 numeric field overflow".to_owned()));
    assert_eq!(converted(None, Value::Real(12.5)), exact("12.5"));
    assert_eq!(converted(None, Value::Real(100.0)), exact("100"));
    assert_eq!(converted(None, Value::Real(1e20)), exact("100000000000000000000"));
    assert_eq!(converted(None, Value::Real(1e-7)), exact("0.0000001"));
    assert_eq!(converted(None, Value::Real(f64::INFINITY)), exact("Infinity"));
    assert_eq!(converted(money, Value::Real(f64::INFINITY)), Err("22003 numeric field overflow".to_owned()));
}

#[test]
fn texts_are_read_as_numeric_in_reads_them() {
    assert_eq!(converted(None, text(" +1.50 ")), exact("1.50"));
    assert_eq!(converted(None, text("-.5")), exact("-0.5"));
    assert_eq!(converted(None, text("5.")), exact("5"));
    assert_eq!(converted(None, text("1.5e+3")), exact("1500"));
    assert_eq!(converted(None, text("1.50e-3")), exact("0.00150"));
    assert_eq!(converted(None, text("1e 5")), exact("100000"));
    assert_eq!(converted(None, text("-0.00")), exact("0.00"));
    assert_eq!(converted(None, text("0e1000")), exact("0"));
    assert_eq!(converted(Some((3, 1)), text("99.95")), Err("22003 numeric field overflow".to_owned()));
    assert_eq!(converted(Some((4, 1)), text("99.95")), rounded("100.0"));
    assert_eq!(converted(Some((3, 1)), text("99.90")), exact("99.9"));
    assert_eq!(converted(Some((3, 5)), text("0.00123")), exact("0.00123"));
    assert_eq!(converted(Some((3, 5)), text("0.05")), Err("22003 numeric field overflow".to_owned()));
    assert_eq!(converted(Some((3, -2)), text("12350")), rounded("12400"));
    assert_eq!(converted(Some((3, -2)), Value::Integer(12_345)), rounded("12300"));
    assert_eq!(
        converted(Some((3, -2)), Value::Integer(99_950)),
        Err("22003 numeric field overflow".to_owned())
    );
    assert_eq!(converted(Some((15, 2)), text("1e-1000000")), rounded("0.00"));
    for bad in ["", " ", ".", "e5", "1e", "1e+", "1.2.3", "-nan", "0x10", "1_000", "1,5", "+-1", "12a"] {
        let expected = Err(format!("22P02 invalid input syntax for type numeric: \"{bad}\""));
        assert_eq!(converted(None, text(bad)), expected);
    }
    for beyond in ["1e131072", "1e-16384", "1e1073741823", "1e99999999999999999999"] {
        assert_eq!(converted(None, text(beyond)), Err("22003 value overflows numeric format".to_owned()));
    }
    assert_eq!(converted(None, text("1e131071")).unwrap().0.len(), 131_072);
    assert_eq!(converted(None, text("1e-16383")).unwrap().0.len(), 16_385);
}

/// `digits / 10^places` rounded to a scale, by integer arithmetic: the number as text, and whether it
/// changed.
fn oracle(digits: i128, places: u32, precision: u32, scale: u32) -> Option<(String, bool)> {
    let (scaled, changed) = if places <= scale {
        (digits * 10i128.pow(scale - places), false)
    } else {
        let unit = 10i128.pow(places - scale);
        let half_up = (digits.abs() + unit / 2) / unit * digits.signum();
        (half_up, digits % unit != 0)
    };
    if scaled.abs() >= 10i128.pow(precision) {
        return None;
    }
    let sign = if scaled < 0 { "-" } else { "" };
    let magnitude = format!("{:0width$}", scaled.abs(), width = scale as usize + 1);
    let (whole, fraction) = magnitude.split_at(magnitude.len() - scale as usize);
    let point = if scale > 0 { "." } else { "" };
    Some((format!("{sign}{whole}{point}{fraction}"), changed))
}

proptest! {
    #[test]
    fn a_text_rounds_like_integer_arithmetic(
        digits in prop_oneof![any::<i64>().prop_map(i128::from), -(10i128.pow(24))..10i128.pow(24), -2000i128..2000],
        places in 0u32..12,
        precision in 1u32..30,
        scale in 0u32..12,
    ) {
        prop_assume!(scale <= precision);
        let (number, _) = oracle(digits, places, 38, places).unwrap();
        let expected = oracle(digits, places, precision, scale).ok_or("22003 numeric field overflow".to_owned());
        let limit = Some((precision as u16, scale as i16));
        prop_assert_eq!(converted(limit, text(&number)), expected);
        prop_assert_eq!(converted(None, text(&number)), exact(&number));
    }

    #[test]
    fn a_real_rounds_like_its_shortest_decimal(
        v in prop_oneof![
            any::<f64>(),
            -1e6f64..1e6,
            (-1_000_000_000i64..1_000_000_000).prop_map(|k| k as f64 / 1000.0),
            (-1_000_000i64..1_000_000, 0u32..8).prop_map(|(k, s)| k as f64 / 10f64.powi(s as i32)),
        ],
        scale in 0i16..25,
    ) {
        // Rust prints the shortest decimal without an exponent.
        let printed = format!("{v}");
        let printed = if v.is_finite() { printed } else { "NaN".to_owned() };
        let v = if v.is_finite() { v } else { f64::NAN };
        let limit = Some((400, scale));
        prop_assert_eq!(converted(limit, Value::Real(v)), converted(limit, text(&printed)));
        let unlimited = converted(None, text(&printed)).map(|(number, _)| {
            (if number.trim_start_matches('-') == "0" { "0".to_owned() } else { number }, false)
        });
        prop_assert_eq!(converted(None, Value::Real(v)), unlimited);
    }

    #[test]
    fn an_integer_is_itself_or_too_large(v in any::<i64>(), shift in 0u32..63, whole in 1u32..20, scale in 0u32..6) {
        let v = v >> shift;
        let limit = Some(((whole + scale) as u16, scale as i16));
        let expected = oracle(i128::from(v), 0, whole + scale, scale).ok_or("22003 numeric field overflow".to_owned());
        prop_assert_eq!(converted(limit, Value::Integer(v)), expected);
        prop_assert_eq!(converted(None, Value::Integer(v)), exact(&v.to_string()));
    }

    #[test]
    fn any_payload_can_be_taken_apart(payload in prop::collection::vec(any::<u8>(), 0..20)) {
        let _ = to_text(&payload);
    }
}
