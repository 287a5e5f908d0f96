//! Arrays of any type: every element is converted by the rules of its own type. PostgreSQL's own literals are
//! read, and JSON arrays, which ORMs write where a database has no arrays.
//!
//! The two are told apart by the first character: a literal begins with `{` or with bounds (`[0:1]={a,b}`,
//! which is no JSON), a JSON array with `[`.

use super::element::{Element, Fault, Numbers, by_parts};
use super::json::{Document, Node};
use super::literal::Cursor;
use super::{Converted, Lossy, Rules, Scratch, ValueError};
use crate::pg_type::PgType;
use crate::value::Value;

/// How deep arrays may be nested: `MAXDIM` of PostgreSQL's src/include/c.h.
const MAX_DIMENSIONS: usize = 6;

/// How deep a document inside an array of JSON may be nested.
const MAX_DEPTH: usize = 64;

/// One array type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    element: Box<Element>,
    numbers: Numbers,
    delimiter: u8,
    list: List,
}

/// What a JSON array is to an array type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// The array.
    Elements,
    /// The array, of JSON documents.
    Documents,
    /// Nothing: JSON has no boxes, and the documents of a `json[]` would lose their blanks and the order of
    /// their keys.
    Nothing,
}

impl Target {
    pub(super) fn new(name: &str, element: &PgType, delimiter: u8, rules: &Rules) -> Self {
        let list = match element {
            PgType::Jsonb => List::Documents,
            PgType::Json => List::Nothing,
            _ if delimiter != b',' => List::Nothing,
            _ => List::Elements,
        };
        Target {
            name: name.to_owned(),
            element: Box::new(Element::new(element, rules)),
            numbers: Element::numbers(element),
            delimiter,
            list,
        }
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    by_parts(&target.name, "array", value, scratch, |text, document, scratch, out| {
        let is_list = target.list != List::Nothing && text.trim_ascii_start().first() == Some(&b'[');
        let root = if is_list { document.parse(text).ok() } else { None };
        let part = Vec::new();
        let mut writing =
            Writing { target, scratch, lossy: None, part, out, lengths: [None; MAX_DIMENSIONS] };
        match root {
            Some(Node::Array { first, count }) => writing.list(document, text, first, count, 1)?,
            _ => writing.literal(text)?,
        }
        // The documents of a list are taken from a document in which every key stands once.
        let is_repeated = target.list == List::Documents && root.is_some() && document.has_duplicate;
        Ok(if is_repeated { Some(Lossy::DuplicateKey) } else { writing.lossy })
    })
}

struct Writing<'w> {
    target: &'w Target,
    scratch: &'w mut Scratch,
    lossy: Option<Lossy>,
    part: Vec<u8>,
    out: &'w mut Vec<u8>,
    /// How many items the lists of each level have, which is the same in all of one level.
    lengths: [Option<usize>; MAX_DIMENSIONS],
}

impl Writing<'_> {
    /// Notes how many items a list has, its level counted from 1.
    fn close(&mut self, depth: usize, count: usize) -> Result<(), Fault> {
        self.out.push(b'}');
        match depth.checked_sub(1).and_then(|level| self.lengths.get_mut(level)) {
            Some(known) if known.is_none_or(|known| known == count) => {
                *known = Some(count);
                Ok(())
            }
            _ => Err(Fault::Form),
        }
    }

    /// Writes an element that is not NULL.
    fn element(&mut self, value: Value<'_>) -> Result<(), Fault> {
        let Writing { target, scratch, lossy, part, out, .. } = self;
        target.element.write_quoted(value, scratch, part, lossy, out)
    }

    /// Reads a literal of PostgreSQL's, with or without bounds, and writes it again.
    fn literal(&mut self, text: &[u8]) -> Result<(), Fault> {
        let mut cursor = Cursor::new(text);
        cursor.blanks();
        if cursor.peek() == Some(b'[') {
            // What the bounds say is for the input function to check.
            let is_bounds =
                |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'[' | b']' | b':' | b'-' | b'+' | b' ');
            let length = cursor.rest.iter().take_while(|byte| is_bounds(byte)).count();
            let (bounds, rest) = cursor.rest.split_at(length);
            self.out.extend_from_slice(bounds);
            cursor.rest = rest;
            cursor.expect(b'=')?;
            self.out.push(b'=');
            cursor.blanks();
        }
        self.braces(&mut cursor, 1)?;
        Ok(cursor.end()?)
    }

    fn braces(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Fault> {
        cursor.expect(b'{')?;
        if depth > MAX_DIMENSIONS {
            return Err(Fault::Form);
        }
        self.out.push(b'{');
        cursor.blanks();
        if cursor.skip(b'}') {
            return self.close(depth, 0);
        }
        let mut element = Vec::new();
        let mut count = 0;
        loop {
            cursor.blanks();
            count += 1;
            if cursor.peek() == Some(b'{') {
                self.braces(cursor, depth + 1)?;
                cursor.blanks();
            } else if cursor.element(self.target.delimiter, &mut element)? {
                self.element(Value::Text(&element))?;
            } else {
                self.out.extend_from_slice(b"NULL");
            }
            match cursor.next() {
                Some(byte) if byte == self.target.delimiter => self.out.push(byte),
                Some(b'}') => break,
                _ => return Err(Fault::Form),
            }
        }
        self.close(depth, count)
    }

    /// Writes a JSON array as an array literal.
    fn list(
        &mut self,
        document: &Document,
        text: &[u8],
        first: u32,
        count: u32,
        depth: usize,
    ) -> Result<(), Fault> {
        self.out.push(b'{');
        for (i, item) in document.items(first, count).iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            match item.value() {
                Node::Null => self.out.extend_from_slice(b"NULL"),
                node if self.target.list == List::Documents => {
                    let mut written = Vec::new();
                    let reading = Reading { document, text };
                    if !reading.json(node, 1, &mut written) {
                        return Err(Fault::Element);
                    }
                    self.element(Value::Text(&written))?;
                }
                Node::Array { first, count } if depth < MAX_DIMENSIONS => {
                    self.list(document, text, first, count, depth + 1)?;
                }
                Node::Array { .. } | Node::Object { .. } => return Err(Fault::Element),
                Node::Bool(is_true) => {
                    self.element(Value::Text(if is_true { b"true" } else { b"false" }))?;
                }
                Node::Number(span) => self.element(self.number_value(document.bytes(text, span)))?,
                Node::String(span) => self.element(Value::Text(document.bytes(text, span)))?,
            }
        }
        self.close(depth, count as usize)
    }

    /// A JSON number as SQLite would have stored it, where that is what the element's type wants.
    fn number_value<'t>(&self, digits: &'t [u8]) -> Value<'t> {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        match (self.target.numbers, text.parse::<i64>(), text.parse::<f64>()) {
            (Numbers::Number, Ok(v), _) => Value::Integer(v),
            (Numbers::Number, Err(_), Ok(v)) if v.is_finite() => Value::Real(v),
            _ => Value::Text(digits),
        }
    }
}

/// A parsed document and its text.
struct Reading<'a> {
    document: &'a Document,
    text: &'a [u8],
}

impl Reading<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;
    use crate::value::Cell;

    fn read(element: &PgType, text: &str) -> Result<(String, Option<Lossy>), String> {
        let rules = Rules { zone: Zone::parse("Europe/Berlin").unwrap(), ..Rules::default() };
        let target = Target::new("a", element, b',', &rules);
        let mut scratch = Scratch::default();
        let converted = convert(&target, Value::Text(text.as_bytes()), &mut scratch)
            .map_err(|error| format!("{} {error}", error.sqlstate()))?;
        let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
        Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
    }

    const MONEY: PgType = PgType::Numeric { precision_scale: Some((6, 2)) };

    #[test]
    fn json_and_literals_become_literals_with_every_element_in_quotes() {
        let any = PgType::Numeric { precision_scale: None };
        let table: &[(&PgType, &str, &str)] = &[
            (&PgType::Text, r#"["a", "b c", null, "NULL", ""]"#, r#"{"a","b c",NULL,"NULL",""}"#),
            (&PgType::Text, r#" ["a\"b", "c\\d", "{e,f}", "\u011f"]"#, r#"{"a\"b","c\\d","{e,f}","ğ"}"#),
            (&PgType::Text, "[]", "{}"),
            (&PgType::Text, " { a b , \"c\\\"d\" ,null, e\\  } ", r#"{"a b","c\"d",NULL,"e "}"#),
            (&PgType::Text, r#"{nul\l,"null"}"#, r#"{"null","null"}"#),
            (&PgType::Text, "[0:1]={a,b}", r#"[0:1]={"a","b"}"#),
            (&PgType::Text, r#"["now", 1.50, true]"#, r#"{"now","1.50","true"}"#),
            (&any, "[1, 2.50, 12345678901234567890]", r#"{"1","2.50","12345678901234567890"}"#),
            (&PgType::Integer, "[[1, 2.0], [3, 4]]", r#"{{"1","2"},{"3","4"}}"#),
            (&PgType::Integer, "{{1,2},{3,4}}", r#"{{"1","2"},{"3","4"}}"#),
            (&PgType::Boolean, "[true, 0, null]", r#"{"t","f",NULL}"#),
            (&PgType::Date, r#"["2024-01-31", "infinity"]"#, r#"{"2024-01-31","infinity"}"#),
            (&PgType::TimestampTz(None), "{2024-01-01}", r#"{"2023-12-31 23:00:00.000000+00"}"#),
            (&PgType::Bytea, r#"{"\\x6162"}"#, r#"{"\\x6162"}"#),
            (
                &PgType::Uuid,
                "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
                r#"{"a0eebc999c0b4ef8bb6d6bb9bd380a11"}"#,
            ),
            (&PgType::Json, r#"{"{\"b\": 1}"}"#, r#"{"{\"b\": 1}"}"#),
            (
                &PgType::Jsonb,
                r#"[{"b": [1.0, "x\"y"], "a": null}, "s", null]"#,
                r#"{"{\"a\":null,\"b\":[1.0,\"x\\\"y\"]}","\"s\"",NULL}"#,
            ),
        ];
        for (element, given, expected) in table {
            assert_eq!(read(element, given), Ok(((*expected).to_owned(), None)), "{element} {given}");
        }
    }

    #[test]
    fn what_an_element_loses_is_counted() {
        let lossy = |element: &PgType, text: &str| read(element, text).unwrap();
        let is = |text: &str, lossy| (text.to_owned(), Some(lossy));
        assert_eq!(lossy(&MONEY, "[1.239, 99.996]"), is(r#"{"1.24","100.00"}"#, Lossy::NumericRounded));
        assert_eq!(lossy(&PgType::Varchar(Some(2)), r#"["ab  "]"#), is(r#"{"ab"}"#, Lossy::BlanksCut));
        let rounded = lossy(&PgType::Timestamp(Some(0)), r#"["2024-12-31 23:59:59.7"]"#);
        assert_eq!(rounded, is(r#"{"2025-01-01 00:00:00.000000"}"#, Lossy::SubMicrosecond));
        let epoch = lossy(&PgType::TimestampTz(None), "[1700000000]");
        assert_eq!(epoch, is(r#"{"2023-11-14 22:13:20.000000+00"}"#, Lossy::EpochNumber));
        assert_eq!(lossy(&PgType::TimestampTz(None), "{2024-03-31 02:30:00}").1, Some(Lossy::TimeGap));
        assert_eq!(lossy(&PgType::TimestampTz(None), "{2024-10-27 02:30:00}").1, Some(Lossy::TimeFold));
        assert_eq!(lossy(&PgType::Jsonb, r#"[{"a":1,"a":2}]"#).1, Some(Lossy::DuplicateKey));
        assert_eq!(lossy(&PgType::Real, "[0.123456789]").1, Some(Lossy::RealRounded));
        assert_eq!(lossy(&PgType::Date, r#"["2024-01-01 12:00:00"]"#).1, Some(Lossy::TimeDropped));
        assert_eq!(lossy(&PgType::other("interval(0)"), r#"["00:00:01.5"]"#).1, Some(Lossy::SubMicrosecond));
    }

    #[test]
    fn an_element_that_its_type_does_not_take_is_a_bad_value() {
        for (element, text, sqlstate) in [
            (PgType::Date, r#"["today"]"#, "22007"),
            (PgType::TimestampTz(None), r#"["2024-01-01T00:00:00Z", "now"]"#, "22007"),
            (PgType::Timestamp(None), "{now}", "22007"),
            (PgType::Date, r#"["01/02/2024"]"#, "22007"),
            (PgType::Date, "{yesterday}", "22007"),
            (PgType::other("time with time zone"), "{now}", "22007"),
            (MONEY, "[12345.6]", "22003"),
            (MONEY, r#"["1,5"]"#, "22P02"),
            (PgType::other("money"), r#"["12,5"]"#, "22P02"),
            (PgType::Text, r#"[{"a": 1}]"#, "22P02"),
            (PgType::Text, "a,b", "22P02"),
            (PgType::Text, r#"["a\u0000"]"#, "22P02"),
            (PgType::Text, "{a", "22P02"),
            (PgType::Text, "{a}b", "22P02"),
            (PgType::Text, "{a,}", "22P02"),
            (PgType::Text, "{a\"b\"}", "22P02"),
            (PgType::Text, "[1:1]{a}", "22P02"),
            (PgType::Integer, "[[[[[[[1]]]]]]]", "22P02"),
            (PgType::Integer, "{{{{{{{1}}}}}}}", "22P02"),
            (PgType::Json, r#"[{"a": 1}]"#, "22P02"),
            (PgType::Integer, "{{1,2},{3}}", "22P02"),
            (PgType::Integer, "[[1, 2], [3]]", "22P02"),
        ] {
            let error = read(&element, text).unwrap_err();
            assert!(error.starts_with(sqlstate), "{element} {text}: {error}");
        }
        let target = Target::new("a", &PgType::Text, b',', &Rules::default());
        assert!(convert(&target, Value::Integer(1), &mut Scratch::default()).is_err());
    }
}
