//! Arrays of any type: PostgreSQL's own literals go to the array's input function as they are, JSON arrays, which ORMs write where
//! a database has no arrays, become such literals first.
//!
//! The two are told apart by the first character: a literal begins with `{` or with bounds (`[0:1]={a,b}`, which is no JSON), a JSON array
//! with `[`. Everything else is for the input function to refuse.

use super::json::{Document, Node};
use super::{Converted, Scratch, ValueError, text};
use crate::value::{Cell, Value};

/// How deep arrays may be nested: `MAXDIM` of PostgreSQL's src/include/c.h.
const MAX_DIMENSIONS: usize = 6;

/// How deep a document inside an array of JSON may be nested.
const MAX_DEPTH: usize = 64;

/// One array type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    /// Its elements are JSON documents.
    is_of_json: bool,
}

impl Target {
    /// The array type of this name; `None` for another type. Elements of type box are separated by semicolons, and JSON has no
    /// boxes; elements of type json keep the order of their keys and their blanks, which the parser does not.
    pub(super) fn of(name: &str) -> Option<Self> {
        let element = name.strip_suffix("[]")?.trim_end_matches("[]").trim();
        (!matches!(element, "box" | "json"))
            .then(|| Target { name: name.to_owned(), is_of_json: element == "jsonb" })
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let Value::Text(bytes) = value else { return Err(ValueError::class(&target.name, false, value)) };
    scratch.check_text(bytes)?;
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    let root = if is_list { scratch.document.parse(bytes).ok() } else { None };
    let Some(Node::Array { first, count }) = root else { return Ok(Converted::exact(Cell::Input(bytes))) };
    scratch.bytes.clear();
    let writer = Writing { target, document: &scratch.document, text: bytes };
    if !writer.list(first, count, 1, &mut scratch.bytes) {
        return Err(ValueError::class(&target.name, false, value));
    }
    Ok(Converted::exact(Cell::Input(&scratch.bytes)))
}

struct Writing<'a> {
    target: &'a Target,
    document: &'a Document,
    text: &'a [u8],
}

impl Writing<'_> {
    /// Writes a list as an array literal. False where the array cannot hold one of the elements.
    fn list(&self, first: u32, count: u32, depth: usize, out: &mut Vec<u8>) -> bool {
        out.push(b'{');
        for (i, item) in self.document.items(first, count).iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            let is_written = match item.value() {
                Node::Null => {
                    out.extend_from_slice(b"NULL");
                    true
                }
                node if self.target.is_of_json => {
                    let mut document = Vec::new();
                    let is_written = self.json(node, 1, &mut document);
                    quote(&document, out);
                    is_written
                }
                Node::Array { first, count } => {
                    depth < MAX_DIMENSIONS && self.list(first, count, depth + 1, out)
                }
                Node::Bool(is_true) => {
                    out.extend_from_slice(if is_true { b"true" } else { b"false" });
                    true
                }
                Node::Number(span) => {
                    out.extend_from_slice(self.document.bytes(self.text, span));
                    true
                }
                Node::String(span) => {
                    let string = self.document.bytes(self.text, span);
                    quote(string, out);
                    text::check(string).is_ok()
                }
                Node::Object { .. } => false,
            };
            if !is_written {
                return false;
            }
        }
        out.push(b'}');
        true
    }

    /// Writes an element that is a JSON document itself.
    fn json(&self, node: Node, depth: usize, out: &mut Vec<u8>) -> bool {
        let string = |span, out: &mut Vec<u8>| {
            let text = String::from_utf8_lossy(self.document.bytes(self.text, span));
            serde_json::to_writer(out, &*text).is_ok()
        };
        match node {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(is_true) => out.extend_from_slice(if is_true { b"true" } else { b"false" }),
            Node::Number(span) => out.extend_from_slice(self.document.bytes(self.text, span)),
            Node::String(span) => return string(span, out),
            Node::Array { .. } | Node::Object { .. } if depth > MAX_DEPTH => return false,
            Node::Array { first, count } | Node::Object { first, count } => {
                let is_object = matches!(node, Node::Object { .. });
                out.push(if is_object { b'{' } else { b'[' });
                for (i, item) in self.document.items(first, count).iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    if is_object {
                        if !string(item.key(), out) {
                            return false;
                        }
                        out.push(b':');
                    }
                    if !self.json(item.value(), depth + 1, out) {
                        return false;
                    }
                }
                out.push(if is_object { b'}' } else { b']' });
            }
        }
        true
    }
}

/// Writes an element in quotes, which may hold anything.
fn quote(element: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(name: &str, text: &str) -> Option<String> {
        let mut scratch = Scratch::default();
        match convert(&Target::of(name).unwrap(), Value::Text(text.as_bytes()), &mut scratch).ok()?.cell {
            Cell::Input(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_becomes_a_literal_and_a_literal_stays_one() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("text[]", r#"["a", "b c", null, "NULL", ""]"#, Some(r#"{"a","b c",NULL,"NULL",""}"#)),
            ("text[]", r#" ["a\"b", "c\\d", "{e,f}", "\u011f"]"#, Some(r#"{"a\"b","c\\d","{e,f}","ğ"}"#)),
            ("text[]", "[]", Some("{}")),
            ("text[]", "{a,\"b\"}", Some("{a,\"b\"}")),
            ("text[]", "[0:1]={a,b}", Some("[0:1]={a,b}")),
            ("text[]", "a,b", Some("a,b")),
            ("text[]", r#"[{"a": 1}]"#, None),
            // No text of PostgreSQL holds a NUL: left for the input function to refuse.
            ("text[]", r#"["a\u0000"]"#, Some(r#"["a\u0000"]"#)),
            ("numeric(9,2)[]", "[1, 2.50, 12345678901234567890]", Some("{1,2.50,12345678901234567890}")),
            ("integer[]", "[[1, 2], [3, 4]]", Some("{{1,2},{3,4}}")),
            ("integer[]", "[[[[[[[1]]]]]]]", None),
            ("boolean[]", "[true, false, null]", Some("{true,false,NULL}")),
            (
                "jsonb[]",
                r#"[{"b": [1.0, "x\"y"], "a": null}, "s", null]"#,
                Some(r#"{"{\"a\":null,\"b\":[1.0,\"x\\\"y\"]}","\"s\"",NULL}"#),
            ),
        ];
        for (name, given, expected) in table {
            assert_eq!(converted(name, given).as_deref(), *expected, "{name} {given}");
        }
        let mut scratch = Scratch::default();
        assert!(convert(&Target::of("text[]").unwrap(), Value::Integer(1), &mut scratch).is_err());
        assert!(Target::of("text").is_none() && Target::of("box[]").is_none());
    }
}
