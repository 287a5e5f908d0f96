//! What a caller may ask for, and the words in which anything else is refused.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// To write it anew: copy what the failure shows on the left.
#[test]
fn the_manual_in_docs_is_the_table_of_options() {
    let manual = manual();
    let docs = include_str!("../../../docs/options.md");
    assert!(docs.ends_with(&manual), "docs/options.md should end with:\n{manual}");
}

fn refused(value: Value) -> (String, String) {
    let error = Options::parse(&value).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

/// The option object with one key set, names put in for the placeholders.
fn nested(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, segment| json!({ segment.trim_matches(['<', '>']): inner }))
}

/// Some valid values of an option, the default first.
fn values(spec: &OptionSpec) -> Vec<Value> {
    let mut values: Vec<Value> = serde_json::from_str(spec.default).into_iter().collect();
    match spec.kind {
        OptionKind::Flag => values.extend([json!(true), json!(false)]),
        OptionKind::Count(least, most) => values.extend([json!(least), json!(most)]),
        OptionKind::Texts => values.push(json!(["a", "b*"])),
        OptionKind::Word(words) => values.extend(words.iter().map(|w| json!(w))),
        OptionKind::Text => values.push(match spec.path.last() {
            Some(&"timezone") => json!("Europe/Istanbul"),
            _ => json!("text"),
        }),
    }
    values
}

#[test]
fn every_option_takes_what_the_table_says_and_refuses_the_rest() {
    for spec in OPTIONS {
        for value in values(spec) {
            let mut object = nested(spec.path, value.clone());
            if spec.path[0] == "search" {
                // Required beside any other key.
                object["search"]["table"].as_object_mut().unwrap().entry("columns").or_insert(json!(["c"]));
            }
            assert!(Options::parse(&object).is_ok(), "{object}");
        }
        for bad in [json!(null), json!(7), json!([1]), json!({"a": 1})] {
            let bad = if matches!(spec.kind, OptionKind::Count(..)) && bad == 7 { json!(0) } else { bad };
            let (message, hint) = refused(nested(spec.path, bad));
            let shown = spec.path.join(".").replace(['<', '>'], "");
            assert!(message.starts_with(&format!("option \"{shown}\" must be ")), "{message}");
            assert!(!hint.is_empty());
        }
        if let OptionKind::Word(words) = spec.kind {
            let (message, hint) = refused(nested(spec.path, json!("nonsense")));
            assert!(message.ends_with(": \"nonsense\""), "{message}");
            assert!(words.iter().all(|w| hint.contains(w)), "{hint}");
        }
    }
}

#[test]
fn defaults_are_those_of_the_table() {
    let mut object = serde_json::Map::new();
    for spec in OPTIONS.iter().filter(|o| o.path.len() == 1) {
        object.insert(spec.path[0].to_owned(), serde_json::from_str(spec.default).unwrap());
    }
    let mut parsed = Options::parse(&Value::Object(object)).unwrap();
    // Everything is what no list at all means, too.
    assert_eq!(std::mem::take(&mut parsed.include), ["*"]);
    parsed.include_set = GlobSet::empty();
    assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_and_all_that_are_allowed() {
    let (message, hint) = refused(json!({"inclde": []}));
    assert_eq!(message, "unrecognized option \"inclde\"");
    assert!(
        hint.starts_with("Perhaps you meant \"include\". Allowed keys are \"include\", \"exclude\", "),
        "{hint}"
    );
    let (message, hint) = refused(json!({"tables": {"audit": {"columns": {"ip": {"skpi": true}}}}}));
    assert_eq!(message, "unrecognized option \"tables.audit.columns.ip.skpi\"");
    assert_eq!(
        hint,
        "Perhaps you meant \"skip\". Allowed keys are \"type\", \"target\", \"skip\", \"number\" and \"uuid\"."
    );
    let (message, _) = refused(json!(["include"]));
    assert_eq!(message, "options must be an object, not an array");
    let (message, hint) = refused(json!({"tables": {"t": {"columns": {"c": {"type": "int; drop"}}}}}));
    assert_eq!(message, "invalid value for option \"tables.t.columns.c.type\": \"int; drop\"");
    assert_eq!(hint, "Give the name of a PostgreSQL type.");
    assert_eq!(
        refused(json!({"timezone": "Mars/Olympus"})).0,
        "invalid value for option \"timezone\": \"Mars/Olympus\""
    );
    assert!(refused(json!({"include": ["a[b"]})).1.starts_with("The glob is not valid: "));
    assert_eq!(refused(json!({"tables": {"T": {}, "t": {}}})).0, "option \"tables.t\" is given twice");
    assert_eq!(refused(json!({"search": {"t": {}}})).0, "option \"search.t.columns\" is required");
}

#[test]
fn names_in_options_compare_as_sqlite_compares_names() {
    let options = Options::parse(&json!({
        "include": ["Work_*", "odd[name"], "exclude": ["work_tmp"],
        "tables": {"Cari": {"target": "ops.cari", "columns": {"ID": {"skip": true}}}},
        "foreign_keys": {"a.x, y": {"on_delete": "set null", "orphans": "keep"}}
    }));
    // A name with a glob character in it has to be escaped.
    assert!(options.is_err());
    let options = Options::parse(&json!({
        "include": ["Work_*", "odd[[]name"], "exclude": ["work_tmp"],
        "tables": {"Cari": {"target": "ops.cari", "columns": {"ID": {"skip": true}}}},
        "foreign_keys": {"a.x, y": {"on_delete": "set null", "orphans": "keep"}}
    }))
    .unwrap();
    assert!(options.includes("WORK_ORDER") && options.includes("odd[name"));
    assert!(!options.includes("work_TMP") && !options.includes("cari"));
    assert!(options.column("cari", "id").unwrap().skip);
    assert_eq!(options.target_schemas(), ["ops"]);
    let key = options.foreign_key("A.X,Y").unwrap();
    assert_eq!((key.on_delete, key.orphans), (Some("SET NULL"), Some(Orphans::Keep)));
}

#[test]
fn the_manual_has_a_line_for_every_option() {
    assert_eq!(manual().lines().count(), OPTIONS.len() + 2);
}

proptest! {
    #[test]
    fn a_key_with_one_slip_is_recognised(
        which in 0..OPTIONS.len(), at in any::<prop::sample::Index>(), letter in "[a-z]",
    ) {
        let key = OPTIONS[which].path[0];
        let mut slip = key.to_owned();
        slip.insert_str(at.index(key.len()), &letter);
        let keys: Vec<&str> = OPTIONS.iter().map(|o| o.path[0]).collect();
        prop_assert_eq!(nearest(&slip, keys), Some(key));
    }
}
