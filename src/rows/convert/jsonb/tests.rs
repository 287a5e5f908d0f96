//! Jsonb payloads against a decoder of their own and serde_json.

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::*;

fn encoded(value: Value) -> Result<(Vec<u8>, Option<Lossy>), &'static str> {
    let mut scratch = Scratch::default();
    match convert(value, &mut scratch) {
        Ok(Converted { cell: Cell::Varlena(payload), lossy }) => Ok((payload.to_vec(), lossy)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.sqlstate().word()),
    }
}

fn word(payload: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(payload[at..at + 4].try_into().unwrap())
}

/// Reads a container that begins at a position, as PostgreSQL does: with `getJsonbOffset` and
/// `getJsonbLength`.
fn decoded(payload: &[u8], at: usize) -> Tree {
    let header = word(payload, at);
    let count = (header & 0x0fff_ffff) as usize;
    let is_object = header & OBJECT != 0;
    let words = if is_object { 2 * count } else { count };
    let data = at + 4 + 4 * words;
    let entry = |index: usize| word(payload, at + 4 + 4 * index);
    let start = |index: usize| {
        let mut offset = 0;
        for before in (0..index).rev() {
            offset += entry(before) & 0x0fff_ffff;
            if entry(before) & ENTRY_HAS_OFFSET != 0 {
                break;
            }
        }
        data + offset as usize
    };
    let end = |index: usize| match entry(index) & ENTRY_HAS_OFFSET {
        0 => start(index) + (entry(index) & 0x0fff_ffff) as usize,
        _ => data + (entry(index) & 0x0fff_ffff) as usize,
    };
    let text = |index| String::from_utf8(payload[start(index)..end(index)].to_vec()).unwrap();
    let value = |index| match entry(index) & ENTRY_TYPE {
        ENTRY_STRING => Tree::String(text(index)),
        ENTRY_FALSE => Tree::Bool(false),
        ENTRY_TRUE => Tree::Bool(true),
        ENTRY_NULL => Tree::Null,
        ENTRY_NUMERIC => {
            let at = start(index).next_multiple_of(4);
            assert_eq!(word(payload, at), length_header((end(index) - at) as u32));
            let number = numeric::to_text(&payload[at + 4..end(index)]).unwrap();
            serde_json::from_str(&number).unwrap()
        }
        _ => decoded(payload, start(index).next_multiple_of(4)),
    };
    if !is_object {
        let elements: Vec<Tree> = (0..count).map(value).collect();
        return if header & SCALAR != 0 { elements[0].clone() } else { Tree::Array(elements) };
    }
    let keys: Vec<String> = (0..count).map(text).collect();
    for pair in keys.windows(2) {
        assert!((pair[0].len(), &pair[0]) < (pair[1].len(), &pair[1]), "keys out of order: {pair:?}");
    }
    Tree::Object((0..count).map(|index| (keys[index].clone(), value(count + index))).collect())
}

fn trees() -> impl Strategy<Value = Tree> {
    let string = prop_oneof!["[a-cçğ\"\\\\\n\u{1f600}]{0,6}", "[a-z]{0,40}"];
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::from),
        (-1_000_000i64..1_000_000, 1u32..6).prop_map(|(k, s)| Tree::from(k as f64 / f64::from(10u32.pow(s)))),
        string.clone().prop_map(Tree::String),
    ];
    leaf.prop_recursive(6, 200, 70, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..70).prop_map(Tree::Array),
            prop::collection::vec((string.clone(), inner), 0..70)
                .prop_map(|pairs| Tree::Object(pairs.into_iter().collect())),
        ]
    })
}

#[test]
fn payloads_are_those_that_postgresql_stores() {
    // From heap pages of PostgreSQL 15, as 32-bit words.
    let words = |text: &str| {
        let (payload, _) = encoded(Value::Text(text.as_bytes())).unwrap();
        payload
            .chunks(4)
            .map(|chunk| chunk.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b)))
            .collect::<Vec<u32>>()
    };
    if cfg!(target_endian = "little") {
        assert_eq!(words("{}"), [0x2000_0000]);
        assert_eq!(words("\"a\""), [0x5000_0001, 0x8000_0001, 0x61]);
        assert_eq!(
            words(r#"{"bb": [1], "a": null}"#),
            [
                0x2000_0002,
                0x8000_0001,
                0x0000_0002,
                0x4000_0000,
                0x5000_0011,
                0x0062_6261,
                0x4000_0001,
                0x9000_0008,
                0x0000_0020,
                0x0001_8000,
            ]
        );
    }
}

#[test]
fn every_32nd_entry_holds_an_offset_instead_of_a_length() {
    let (payload, _) = encoded(Value::Text(format!("[{}\"a\"]", "true,".repeat(64)).as_bytes())).unwrap();
    let offsets: Vec<usize> =
        (0..65).filter(|index| word(&payload, 4 + 4 * index) & ENTRY_HAS_OFFSET != 0).collect();
    assert_eq!(offsets, [0, 32, 64]);
    // Of an object's entries the keys count first.
    let pairs: Vec<String> = (10..50).map(|key| format!("\"{key}\": null")).collect();
    let (payload, _) = encoded(Value::Text(format!("{{{}}}", pairs.join(",")).as_bytes())).unwrap();
    let entry = |index: usize| word(&payload, 4 + 4 * index);
    assert_eq!(entry(32), ENTRY_STRING | ENTRY_HAS_OFFSET | 66);
    assert_eq!(entry(33), ENTRY_STRING | 2);
    assert_eq!(entry(64), ENTRY_NULL | ENTRY_HAS_OFFSET | 80);
}

#[test]
fn of_equal_keys_the_last_stays_and_the_loss_is_counted() {
    let (payload, lossy) = encoded(Value::Text(br#"{"a": 1, "b": 2, "\u0061": 3}"#)).unwrap();
    assert_eq!(decoded(&payload, 0), serde_json::json!({"a": 3, "b": 2}));
    assert_eq!(lossy, Some(Lossy::DuplicateKey));
}

#[test]
fn numbers_are_documents_and_infinities_and_blobs_are_not() {
    assert_eq!(decoded(&encoded(Value::Integer(-5)).unwrap().0, 0), serde_json::json!(-5));
    assert_eq!(encoded(Value::Real(1e20)), encoded(Value::Text(b"100000000000000000000")));
    assert_eq!(encoded(Value::Real(f64::INFINITY)), Err("22P02"));
    assert_eq!(encoded(Value::Blob(b"1")), Err("22P02"));
    assert_eq!(encoded(Value::Text(b"1e200000")), Err("22003"));
    assert_eq!(encoded(Value::Text(b"")), Err("22P02"));
}

proptest! {
    #[test]
    fn a_document_decodes_to_what_serde_json_reads(tree in trees()) {
        let text = tree.to_string();
        let (payload, lossy) = encoded(Value::Text(text.as_bytes())).unwrap();
        prop_assert_eq!(lossy, None);
        prop_assert_eq!(decoded(&payload, 0), tree);
    }

    #[test]
    fn white_space_and_escapes_make_no_difference(tree in trees()) {
        let pretty = serde_json::to_string_pretty(&tree).unwrap();
        let mut escaped = String::new();
        for c in tree.to_string().chars() {
            if c.is_ascii() {
                escaped.push(c);
            } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04X}")));
            }
        }
        let plain = encoded(Value::Text(tree.to_string().as_bytes())).unwrap();
        prop_assert_eq!(&encoded(Value::Text(pretty.as_bytes())).unwrap(), &plain);
        prop_assert_eq!(&encoded(Value::Text(escaped.as_bytes())).unwrap(), &plain);
    }
}
