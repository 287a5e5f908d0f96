//! `numeric`: the bytes are those that PostgreSQL stores, from texts, integers and doubles.

use aliaport_rows::convert::Rules;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Value;
use pgrx::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;

use super::server::{Oracle, float8out};
use super::texts::{for_all, like, one_of, spoiled};

/// Precision and scale of the columns that are tried; `None` is plain numeric.
const SHAPES: &[Option<(u16, i16)>] = &[
    None,
    Some((15, 2)),
    Some((18, 4)),
    Some((5, 5)),
    Some((38, 10)),
    Some((1, 0)),
    Some((19, 0)),
    Some((20, 19)),
    Some((1000, 500)),
    // From PostgreSQL 15 on a scale can be negative or larger than the precision.
    #[cfg(not(feature = "pg14"))]
    Some((3, -2)),
    #[cfg(not(feature = "pg14"))]
    Some((2, 6)),
    #[cfg(not(feature = "pg14"))]
    Some((1000, -1000)),
    #[cfg(not(feature = "pg14"))]
    Some((1000, 1000)),
];

fn columns() -> impl Iterator<Item = Oracle> {
    SHAPES.iter().map(|shape| Oracle::new(PgType::Numeric { precision_scale: *shape }, &Rules::default()))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => like("[ \t]?[-+]?[0-9]{1,12}(\\.[0-9]{0,8})?[ \n]?"),
        3 => like("[-+]?[0-9]{0,45}\\.?[0-9]{0,45}"),
        3 => like("[-+]?(0{0,5}[0-9]{1,6})?\\.?[0-9]{0,9}[eE][-+]?[0-9]{1,3}"),
        2 => like("[-+]?[09]{1,30}\\.?[0459]{0,30}"),
        1 => like("[-+]?[0-9]{1,3}(\\.[0-9]{1,3})?[eE][-+]?[0-9]{4,7}"),
        2 => one_of(&[
            "NaN", "nan", "-nan", "+NaN", " NaN ", "nanx", "inf", "-inf", "+inf", "Infinity", "-INFINITY", "infinit", "infinityx", "", " ", ".", "-",
            "+", "e5", ".e5", "1e", "1e+", "1e-", "--1", "+-1", "- 1", "1 2", "1,5", "0x10", "0b1", "0o7", "1_000", "1e5.5", "1e 5", "1 e5", "1e5 ",
            "-0", "-0.000", "0e50", "0e-50", "0e-16383", "0e-16384", "1e131071", "1e131072", "9.9e131071", "1e-16383", "1e-16384", "0e131072",
            "1e1073741823", "1e1073741822", "1e-1073741823", "1e99999999999999999999", "1e-99999999999999999999", "0.0000000000001e131080",
            "9999999999999.995", "9999999999999.994", "0.99999", "0.999995", "0.9999949", "99999999999999999999.5", "0.005", "0.015", "-0.005",
            "0.0049999999999999999999999999", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        ]),
    ]
}

/// What PostgreSQL 16 and later read besides (hexadecimal, octal and binary integers, underscores) and no
/// longer read (white space after the `e`); our rule is that of 15.
fn is_other_syntax(text: &str) -> bool {
    cfg!(any(feature = "pg16", feature = "pg17", feature = "pg18"))
        && (text.contains(['_', 'x', 'X', 'o', 'O', 'b', 'B']) || text.to_ascii_lowercase().contains("e "))
}

/// Doubles as applications have them: amounts, sums of amounts, and any bits at all.
fn double() -> impl Strategy<Value = f64> {
    let amount = (any::<i64>(), 1..=18u32, 0..=8u32)
        .prop_map(|(n, digits, places)| (n % 10i64.pow(digits)) as f64 / 10f64.powi(places as i32));
    prop_oneof![
        6 => amount.clone(),
        2 => (amount.clone(), amount).prop_map(|(a, b)| a + b),
        1 => (any::<i32>(), 0..=10u32).prop_map(|(n, places)| (f64::from(n) + 0.5) / 10f64.powi(places as i32)),
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("SQLite stores no NaN", |v| !v.is_nan()),
        1 => select(vec![
            0.0, -0.0, 1.005, 2.675, 0.1 + 0.2, 1e15, 1e16, 1e22, 1e23, 4_503_599_627_370_497.5, 9_007_199_254_740_993.0, 5e-324, f64::MAX,
            f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, 0.5, 0.005, 0.015, 0.045, 9_999_999_999_999.99, 9_999_999_999_999.995,
            9_999_999_999_999.996,
        ]),
    ]
}

/// How many digits of a decimal are zeros at its ends.
fn zeros(decimal: &str) -> usize {
    let digits: String = decimal.split('e').next().unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.len() - digits.trim_matches('0').len()
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn oracle_numeric_of_texts() {
        for mut oracle in columns() {
            for_all(1500, text(), |text| {
                let case = oracle.case(&text);
                let is_fine =
                    case.is_equal() || case.is_too_large_to_be_looked_at() || is_other_syntax(&text);
                if is_fine { Ok(()) } else { Err(oracle.describe(&case)) }
            });
            for_all(800, spoiled(text(), "0123456789.eE+- Naif_x\t"), |text| {
                let case = oracle.case(&text);
                let is_fine =
                    case.is_equal() || case.is_too_large_to_be_looked_at() || is_other_syntax(&text);
                if is_fine { Ok(()) } else { Err(oracle.describe(&case)) }
            });
        }
    }

    #[pg_test]
    fn oracle_numeric_of_doubles() {
        for mut oracle in columns() {
            for_all(4000, double(), |v| {
                let theirs = float8out(v);
                // PostgreSQL does not always find the shortest decimal (1e23); Rust does.
                let shortest = format!("{v:e}");
                let digits =
                    |text: &str| text.split('e').next().unwrap().bytes().filter(u8::is_ascii_digit).count();
                let text = if v.is_finite() && digits(&shortest) < digits(&theirs) - zeros(&theirs) {
                    shortest
                } else {
                    theirs
                };
                let case = oracle.case_of(Value::Real(v), &text);
                if case.is_equal() { Ok(()) } else { Err(oracle.describe(&case)) }
            });
        }
    }

    #[pg_test]
    fn oracle_numeric_of_integers() {
        let integer = prop_oneof![
            any::<i64>(),
            (any::<i64>(), 0..=18u32).prop_map(|(n, digits)| n % 10i64.pow(digits)),
            (0..=18u32, -1..=1i64, any::<bool>()).prop_map(|(power, near, is_negative)| {
                let n = 10i64.pow(power) + near;
                if is_negative { -n } else { n }
            }),
            select(vec![i64::MIN, i64::MAX, 0]),
        ];
        for mut oracle in columns() {
            for_all(1500, integer.clone(), |v| {
                let case = oracle.case_of(Value::Integer(v), &v.to_string());
                if case.is_equal() { Ok(()) } else { Err(oracle.describe(&case)) }
            });
        }
    }
}
