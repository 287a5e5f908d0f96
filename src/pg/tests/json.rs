//! `json` and `jsonb`: the verdicts of PostgreSQL's parser, and for `jsonb` the bytes that `jsonb_in` stores.

use aliaport_rows::convert::Rules;
use aliaport_rows::convert::json::MAX_DEPTH;
use aliaport_rows::pg_type::PgType;
use pgrx::prelude::*;
use proptest::prelude::*;

use super::server::{Oracle, sqlstate};
use super::texts::{for_all, like, one_of, spoiled};

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => like("[a-zA-Z çğış€😀/]{0,6}"),
        2 => one_of(&["\\n", "\\t", "\\\\", "\\\"", "\\/", "\\b", "\\f", "\\r", "\\u0041", "\\u00e7", "\\u20ac", "\\uD83D\\uDE00", "\u{7f}"]),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => like("-?(0|[1-9][0-9]{0,4})"),
        2 => like("-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?"),
        2 => like("-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?[eE][-+]?[0-9]{1,3}"),
        1 => one_of(&["-0", "-0.0", "0.00", "0e5", "0E-5", "1e131071", "1e131072", "1e-16383", "1e-16384", "1e200000", "1e-99999999999", "1.50"]),
    ]
}

/// A document, with white space here and there.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![4 => string(), 4 => number_text(), 2 => one_of(&["null", "true", "false"])];
    let blank = || prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r")];
    let value = scalar.prop_recursive(4, 40, 8, move |value| {
        let key = prop_oneof![3 => string(), 2 => one_of(&["\"a\"", "\"b\"", "\"aa\"", "\"\"", "\"A\"", "\"\\u0061\""])];
        let array = (prop::collection::vec(value.clone(), 0..8), blank()).prop_map(|(items, blank)| {
            format!("[{blank}{}{blank}]", items.join(&format!(",{blank}")))
        });
        let object = (prop::collection::vec((key, value), 0..8), blank()).prop_map(|(pairs, blank)| {
            let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}{blank}:{blank}{value}")).collect();
            format!("{{{blank}{}{blank}}}", pairs.join(&format!("{blank},")))
        });
        prop_oneof![array, object]
    });
    // Every 32nd entry of a container is stored in another way.
    let long =
        (prop::collection::vec(number_text(), 30..70), any::<bool>()).prop_map(|(numbers, is_object)| {
            if is_object {
                let pairs: Vec<String> =
                    numbers.iter().enumerate().map(|(i, n)| format!("\"{}\":{n}", i * 7 % 67)).collect();
                format!("{{{}}}", pairs.join(","))
            } else {
                format!("[{}]", numbers.join(","))
            }
        });
    let value = prop_oneof![12 => value, 1 => long];
    (blank(), value, blank()).prop_map(|(before, value, after)| format!("{before}{value}{after}"))
}

fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => spoiled(document(), "{}[]\",:\\ue0123456789.+-tfn \n\t\u{1}\u{8}x/'"),
        1 => one_of(&[
            "", " ", "nul", "nullx", "True", "NaN", "Infinity", "-", "+1", ".5", "5.", "01", "-01", "1e", "1e+", "0x1", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"",
            "\"\\u12g4\"", "\"\\u0000\"", "{\"\\u0000\":1}", "\"\\ud800\"", "\"\\ud800\\ud800\"", "\"\\udc00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"", "[1,]", "[,1]",
            "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{1:2}", "{\"a\":1 \"b\":2}", "[}", "{]", "[[1]", "1 2", "'a'", "// x", "[1]//", "\u{feff}1", "\u{a0}1",
            "\"\u{2028}\"", "\"\t\"", "\"\n\"",
        ]),
        1 => like("[\\[\\]{}\",:0-9a-f. ]{0,12}"),
    ]
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn oracle_json() {
        for pg_type in [PgType::Jsonb, PgType::Json] {
            let mut oracle = Oracle::new(pg_type, &Rules::default());
            for_all(1000, document(), |text| {
                let case = oracle.case(&text);
                if case.is_equal() { Ok(()) } else { Err(oracle.describe(&case)) }
            });
            for_all(2500, odd(), |text| {
                let case = oracle.case(&text);
                // A number out of range and a mistake right behind it: who of the two comes first is no
                // matter.
                let is_bad_twice = case.ours.as_ref().err()
                    == Some(&PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
                    && case.theirs.as_ref().err()
                        == Some(&PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION);
                if case.is_equal() || is_bad_twice { Ok(()) } else { Err(oracle.describe(&case)) }
            });
        }
    }

    /// A document as deep as we take is one that PostgreSQL takes, so that a dump of it can be restored.
    #[pg_test]
    fn oracle_json_depth() {
        for pg_type in [PgType::Jsonb, PgType::Json] {
            let mut oracle = Oracle::new(pg_type, &Rules::default());
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let case = oracle.case(&deep(MAX_DEPTH));
                assert!(case.is_equal(), "{}", oracle.describe(&case));
                assert_eq!(oracle.case(&deep(MAX_DEPTH + 1)).ours.map_err(sqlstate).unwrap_err(), "54001");
            }
        }
    }
}
