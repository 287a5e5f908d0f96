//! Which texts are JSON, and what is read of them.

use proptest::prelude::*;

use super::*;

fn verdict(text: &str, is_jsonb: bool) -> &'static str {
    let mut document = Document::default();
    let result =
        if is_jsonb { document.parse(text.as_bytes()).map(|_| ()) } else { document.check(text.as_bytes()) };
    result.map_or_else(|error| error.sqlstate().word(), |()| "ok")
}

#[test]
fn escapes_matter_to_jsonb_only() {
    for (text, json, jsonb) in [
        (r#""\u0000""#, "ok", "22P05"),
        (r#"{"\u0000": 1}"#, "ok", "22P05"),
        (r#""\ud83d\ude00""#, "ok", "ok"),
        (r#""\ud83d""#, "ok", "22P02"),
        (r#""\ud83d x\ude00""#, "ok", "22P02"),
        (r#""\ud83d\n""#, "ok", "22P02"),
        (r#""\ud83d\ud83d""#, "ok", "22P02"),
        (r#""\ude00""#, "ok", "22P02"),
        (r#""\u12g4""#, "22P02", "22P02"),
        (r#""\x""#, "22P02", "22P02"),
        ("\"\t\"", "22P02", "22P02"),
        ("\"abcdefghijk\u{1f}\"", "22P02", "22P02"),
    ] {
        assert_eq!((verdict(text, false), verdict(text, true)), (json, jsonb), "{text}");
    }
}

#[test]
fn nesting_is_limited_without_recursion() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(verdict(&nested(MAX_DEPTH), true), "ok");
    assert_eq!(verdict(&nested(MAX_DEPTH + 1), true), "54001");
    assert_eq!(verdict(&"[{\"a\":".repeat(1_000_000), false), "54001");
}

#[test]
fn the_error_says_what_was_expected_and_where() {
    let mut document = Document::default();
    let mut detail = |text: &str| document.check(text.as_bytes()).unwrap_err().detail().unwrap();
    assert_eq!(detail("{\"a\": }"), "Expected a JSON value, but found \"}\", at byte 6.");
    assert_eq!(detail("[1, 2"), "Expected \",\" or \"]\", but the document ends, at byte 5.");
    assert_eq!(detail("{'a': 1}"), "Expected a string, but found \"'a': 1}\", at byte 1.");
    assert_eq!(detail("1 2"), "Expected end of input, but found \"2\", at byte 2.");
}

proptest! {
    #[test]
    fn a_text_is_json_exactly_where_serde_json_says_so(
        text in prop_oneof![
            r#"[\[\]{}:,"0-9eE+\-. a\\]{0,12}"#,
            r#"(\{"[ab]{0,2}": ?|\[|,|\]|\}|1|-0|0\.5e1|01|true|null|"x"|"\\u0041"|"\\n"| ){0,9}"#,
        ],
    ) {
        // It takes the same language but for \u escapes, which jsonb treats alike, and numbers that
        // overflow a double.
        let expected = serde_json::from_str::<serde_json::Value>(&text);
        let is_overflow = expected.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assume!(!is_overflow);
        prop_assert_eq!(verdict(&text, true) == "ok", expected.is_ok(), "{}", text);
        prop_assert_eq!(verdict(&text, false) == "ok", expected.is_ok(), "{}", text);
    }
}
