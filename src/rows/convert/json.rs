//! `json`: the text as it is, if it is JSON; and the parser that `jsonb` builds on.
//!
//! The verdicts are those of PostgreSQL's parser (src/common/jsonapi.c): `json` does not look into `\u`
//! escapes, `jsonb` refuses `\u0000` and surrogates that are not pairs. The parser does not recurse.

use super::{Converted, Scratch, ValueError, ValueErrorKind, decimal, display_value, numeric};
use crate::value::{Cell, Value};

/// How deep arrays and objects may be nested. PostgreSQL 15 with its default `max_stack_depth` of 2 MB reads
/// 12000 levels and gives up before 14000; half of that leaves room for whatever else is on the stack when a
/// dump is read back.
pub const MAX_DEPTH: usize = 6000;

/// The longest string that a `jsonb` entry can describe (`JENTRY_OFFLENMASK`).
pub(super) const MAX_LENGTH: usize = 0x0fff_ffff;

/// How many elements and pairs PostgreSQL's `jsonb_in` takes: `JB_MAX_ELEMS` and `JB_MAX_PAIRS` of
/// src/include/utils/jsonb.h on 64 bits.
const MAX_ELEMENTS: usize = 0x3fff_ffff / 32;
const MAX_PAIRS: usize = 0x3fff_ffff / 72;

/// Scratch space kept between documents, at most, in entries: one huge document must not hold its memory for
/// the rest of the run.
const KEPT_ITEMS: usize = 1 << 16;

pub(super) fn convert<'a>(value: Value<'a>, scratch: &'a mut Scratch) -> Result<Converted<'a>, ValueError> {
    match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            scratch.document.check(bytes)?;
            Ok(Converted::exact(Cell::Varlena(bytes)))
        }
        Value::Integer(_) | Value::Real(_) => {
            write_number(value, "json", &mut scratch.bytes)?;
            Ok(Converted::exact(Cell::Varlena(&scratch.bytes)))
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => Err(ValueError::class(&"json", false, value)),
    }
}

/// Writes a number as a JSON document. Infinities are none.
pub(super) fn write_number(
    value: Value,
    type_name: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    out.clear();
    match value {
        Value::Integer(v) => decimal::write_integer(v, out),
        Value::Real(v) if v.is_finite() => decimal::write_float(v, out),
        _ => return Err(ValueError::syntax(type_name, value)),
    }
    Ok(())
}

/// A part of the text, or of the unescaped bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    length: u32,
    is_unescaped: bool,
}

/// One value of a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Span),
    String(Span),
    /// So many items from the first on.
    Array {
        first: u32,
        count: u32,
    },
    /// The same; keys are sorted and unique.
    Object {
        first: u32,
        count: u32,
    },
}

/// An element of an array, or a pair of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    key: Span,
    value: Node,
    /// Tells equal keys apart.
    order: u32,
}

/// An array or object that is not closed yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_object: bool,
    /// The key whose value is being read.
    key: Span,
    /// Its first item in `pending`.
    first: usize,
}

/// A parsed document, and the memory that parsing needs.
#[derive(Debug, Default)]
pub(super) struct Document {
    open: Vec<Open>,
    /// Items of open containers, innermost last.
    pending: Vec<Item>,
    /// Items of closed containers.
    items: Vec<Item>,
    /// Strings that had escapes.
    unescaped: Vec<u8>,
    /// Some object had a key more than once.
    pub(super) has_duplicate: bool,
}

impl Document {
    /// Checks that a text, which is valid UTF-8, is JSON.
    pub(super) fn check(&mut self, text: &[u8]) -> Result<(), ValueError> {
        Parser::<false>::new(self, text)?.document().map(|_| ())
    }

    /// Parses a text, which is valid UTF-8, and returns its value.
    pub(super) fn parse(&mut self, text: &[u8]) -> Result<Node, ValueError> {
        Parser::<true>::new(self, text)?.document()
    }

    /// Items of an array or object.
    pub(super) fn items(&self, first: u32, count: u32) -> &[Item] {
        self.items.get(first as usize..first as usize + count as usize).unwrap_or_default()
    }

    /// The bytes of a string or number.
    pub(super) fn bytes<'a>(&'a self, text: &'a [u8], span: Span) -> &'a [u8] {
        span.bytes_in(text, &self.unescaped)
    }
}

impl Item {
    pub(super) fn key(&self) -> Span {
        self.key
    }

    pub(super) fn value(&self) -> Node {
        self.value
    }
}

impl Span {
    fn bytes_in<'a>(self, text: &'a [u8], unescaped: &'a [u8]) -> &'a [u8] {
        let whole = if self.is_unescaped { unescaped } else { text };
        whole.get(self.start as usize..self.start as usize + self.length as usize).unwrap_or_default()
    }
}

/// Reads a text; builds a document of it if `BUILD`, else only checks.
struct Parser<'a, const BUILD: bool> {
    document: &'a mut Document,
    text: &'a [u8],
    at: usize,
}

impl<'a, const BUILD: bool> Parser<'a, BUILD> {
    fn new(document: &'a mut Document, text: &'a [u8]) -> Result<Self, ValueError> {
        // Spans count in 32 bits; PostgreSQL's own limit is 1 GB.
        if text.len() > 0x3fff_ffff {
            return Err(size("JSON document exceeds the maximum size of 1 GB"));
        }
        document.open.clear();
        for items in [&mut document.pending, &mut document.items] {
            items.clear();
            items.shrink_to(KEPT_ITEMS);
        }
        document.unescaped.clear();
        document.unescaped.shrink_to(KEPT_ITEMS);
        document.has_duplicate = false;
        Ok(Parser { document, text, at: 0 })
    }

    fn document(mut self) -> Result<Node, ValueError> {
        loop {
            self.blanks();
            let value = match self.peek() {
                Some(b'{') => {
                    self.enter(true)?;
                    if self.skip(b'}') {
                        self.leave()?
                    } else {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(false)?;
                    if self.skip(b']') {
                        self.leave()?
                    } else {
                        continue;
                    }
                }
                Some(b'"') => Node::String(self.string()?),
                Some(b'-' | b'0'..=b'9') => Node::Number(self.scan_number()?),
                Some(b't') => self.word(b"true", Node::Bool(true))?,
                Some(b'f') => self.word(b"false", Node::Bool(false))?,
                Some(b'n') => self.word(b"null", Node::Null)?,
                _ => return Err(self.unexpected("a JSON value")),
            };
            if let Some(root) = self.finish(value)? {
                return Ok(root);
            }
        }
    }

    /// After a value: stores it in the open container, and closes those that end here. The document's value
    /// if it was the last.
    fn finish(&mut self, mut value: Node) -> Result<Option<Node>, ValueError> {
        loop {
            self.blanks();
            let Some(open) = self.document.open.last() else {
                return if self.at == self.text.len() {
                    Ok(Some(value))
                } else {
                    Err(self.unexpected("end of input"))
                };
            };
            if BUILD {
                // Each takes an entry of four bytes in the payload: stop before a hostile document takes all
                // memory.
                let order = self.document.pending.len();
                if order + self.document.items.len() > MAX_LENGTH / 4 {
                    return Err(size("total size of jsonb elements exceeds the maximum of 268435455 bytes"));
                }
                let order = order as u32;
                self.document.pending.push(Item { key: open.key, value, order });
            }
            match (self.peek(), open.is_object) {
                (Some(b','), is_object) => {
                    self.at += 1;
                    if is_object {
                        self.blanks();
                        self.key()?;
                    }
                    return Ok(None);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    value = self.leave()?;
                }
                (_, true) => return Err(self.unexpected("\",\" or \"}\"")),
                (_, false) => return Err(self.unexpected("\",\" or \"]\"")),
            }
        }
    }

    /// Opens an array or object and skips to what is in it.
    fn enter(&mut self, is_object: bool) -> Result<(), ValueError> {
        if self.document.open.len() >= MAX_DEPTH {
            return Err(ValueError::new(ValueErrorKind::JsonDepth));
        }
        let first = self.document.pending.len();
        self.document.open.push(Open { is_object, key: Span::default(), first });
        self.at += 1;
        self.blanks();
        Ok(())
    }

    /// Closes the innermost array or object and makes a value of it.
    fn leave(&mut self) -> Result<Node, ValueError> {
        let Some(open) = self.document.open.pop() else { return Ok(Node::Null) };
        if !BUILD {
            return Ok(Node::Null);
        }
        let Document { pending, items, unescaped, has_duplicate, .. } = &mut *self.document;
        let first = items.len() as u32;
        if !open.is_object {
            let count = pending.len() - open.first;
            if count > MAX_ELEMENTS {
                return Err(size("number of jsonb array elements exceeds the maximum allowed (33554431)"));
            }
            items.extend_from_slice(pending.get(open.first..).unwrap_or_default());
            pending.truncate(open.first);
            return Ok(Node::Array { first, count: count as u32 });
        }
        let pairs = pending.get_mut(open.first..).unwrap_or_default();
        if pairs.len() > MAX_PAIRS {
            return Err(size("number of jsonb object pairs exceeds the maximum allowed (14913080)"));
        }
        // Shorter keys first, then bytewise (lengthCompareJsonbPair); of equal keys the last comes last.
        let text = self.text;
        let bytes = |pair: &Item| pair.key.bytes_in(text, unescaped);
        let by_key =
            |a: &Item, b: &Item| a.key.length.cmp(&b.key.length).then_with(|| bytes(a).cmp(bytes(b)));
        pairs.sort_unstable_by(|a, b| by_key(a, b).then(a.order.cmp(&b.order)));
        let mut rest = pairs.iter().peekable();
        while let Some(pair) = rest.next() {
            if rest.peek().is_some_and(|next| by_key(pair, next).is_eq()) {
                *has_duplicate = true;
            } else {
                items.push(*pair);
            }
        }
        pending.truncate(open.first);
        let count = items.len() as u32 - first;
        Ok(Node::Object { first, count })
    }

    /// Reads `key :` of the innermost object.
    fn key(&mut self) -> Result<(), ValueError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        let key = self.string()?;
        if let Some(open) = self.document.open.last_mut() {
            open.key = key;
        }
        self.blanks();
        if self.skip(b':') { Ok(()) } else { Err(self.unexpected("\":\"")) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8], value: Node) -> Result<Node, ValueError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.unexpected("a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), ValueError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn scan_number(&mut self) -> Result<Span, ValueError> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        let mut exponent = self.at;
        if self.skip(b'e') || self.skip(b'E') {
            if !self.skip(b'+') {
                self.skip(b'-');
            }
            exponent = self.at;
            self.digits()?;
        }
        let span = self.span(start);
        // Any shorter number fits. One that does not is an error even where a later pair with the same key
        // replaces it.
        let may_overflow = self.at - exponent > 3 || span.length > 1000;
        if BUILD && may_overflow {
            let fits =
                numeric::append_json_number(span.bytes_in(self.text, &[]), &mut Vec::new(), &mut Vec::new());
            if !fits {
                let shown = display_value(Value::Text(self.text));
                return Err(ValueError::new(ValueErrorKind::NumericFormat { shown }));
            }
        }
        Ok(span)
    }

    /// The text from a position to here.
    fn span(&self, start: usize) -> Span {
        Span { start: start as u32, length: (self.at - start) as u32, is_unescaped: false }
    }

    /// Reads a string; the span is what is between the quotes.
    fn string(&mut self) -> Result<Span, ValueError> {
        self.at += 1;
        let start = self.at;
        self.plain();
        let span =
            if self.peek() == Some(b'"') { self.span(start) } else { self.string_with_escapes(start)? };
        self.at += 1;
        if BUILD && span.length as usize > MAX_LENGTH {
            return Err(size("string too long to represent as jsonb string"));
        }
        Ok(span)
    }

    /// Skips to the next quote, backslash or control character, eight bytes at a time.
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (words, _) = rest.as_chunks::<8>();
        let mut skipped = 0;
        for word in words {
            let word = u64::from_le_bytes(*word);
            // The lowest set bit of each term is right; a borrow only disturbs bytes above it.
            let is_zero = |v: u64| v.wrapping_sub(ONES) & !v & HIGHS;
            let quotes = is_zero(word ^ (ONES * u64::from(b'"')));
            let backslashes = is_zero(word ^ (ONES * u64::from(b'\\')));
            let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let found = quotes | backslashes | controls;
            if found != 0 {
                self.at += skipped + found.trailing_zeros() as usize / 8;
                return;
            }
            skipped += 8;
        }
        let tail = rest.get(skipped..).unwrap_or_default();
        self.at += skipped
            + tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(tail.len());
    }

    /// Reads the rest of a string from its first escape, up to the closing quote.
    fn string_with_escapes(&mut self, start: usize) -> Result<Span, ValueError> {
        let first = self.document.unescaped.len();
        let mut copied = start;
        let mut high = None;
        loop {
            if BUILD {
                let plain = self.text.get(copied..self.at).unwrap_or_default();
                if high.is_some() && !plain.is_empty() {
                    return Err(self.bad_surrogate());
                }
                self.document.unescaped.extend_from_slice(plain);
            }
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut high)?,
                Some(control) => {
                    return Err(self.wrong(&format!("Character with value 0x{control:02x} must be escaped")));
                }
                None => return Err(self.unexpected("\"\\\"\"")),
            }
            copied = self.at;
            self.plain();
        }
        if high.is_some() {
            return Err(self.bad_surrogate());
        }
        if !BUILD {
            return Ok(self.span(start));
        }
        let length = self.document.unescaped.len() - first;
        Ok(Span { start: first as u32, length: length as u32, is_unescaped: true })
    }

    /// Reads one escape. `high` is the first half of a surrogate pair whose second must come next.
    fn escape(&mut self, high: &mut Option<u32>) -> Result<(), ValueError> {
        let byte = match self.text.get(self.at + 1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(high),
            _ => return Err(self.wrong("The escape sequence is invalid")),
        };
        self.at += 2;
        if BUILD {
            if high.is_some() {
                return Err(self.bad_surrogate());
            }
            self.document.unescaped.push(byte);
        }
        Ok(())
    }

    fn unicode_escape(&mut self, high: &mut Option<u32>) -> Result<(), ValueError> {
        let mut unit = 0;
        for at in self.at + 2..self.at + 6 {
            match self.text.get(at).and_then(|byte| char::from(*byte).to_digit(16)) {
                Some(digit) => unit = unit * 16 + digit,
                None => return Err(self.wrong("\"\\u\" must be followed by four hexadecimal digits")),
            }
        }
        self.at += 6;
        if !BUILD {
            return Ok(());
        }
        let code_point = match (unit, high.take()) {
            (0xd800..=0xdbff, None) => {
                *high = Some(unit);
                return Ok(());
            }
            (0xdc00..=0xdfff, Some(high)) => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            (0xd800..=0xdfff, _) | (_, Some(_)) => return Err(self.bad_surrogate()),
            (0, None) => return Err(ValueError::new(ValueErrorKind::JsonNul)),
            (unit, None) => unit,
        };
        let character = char::from_u32(code_point).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut buffer = [0u8; 4];
        self.document.unescaped.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        Ok(())
    }

    #[cold]
    fn bad_surrogate(&self) -> ValueError {
        self.wrong("A Unicode surrogate must be half of a pair")
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> ValueError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return self.wrong(&format!("Expected {expected}, but the document ends"));
        }
        // A few characters are enough to find the place.
        let found = String::from_utf8_lossy(rest.get(..64).unwrap_or(rest));
        let mut shown = String::new();
        for c in found.chars().take(12) {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        self.wrong(&format!("Expected {expected}, but found \"{shown}\""))
    }

    #[cold]
    fn wrong(&self, what: &str) -> ValueError {
        ValueError::new(ValueErrorKind::Json { detail: format!("{what}, at byte {}.", self.at) })
    }
}

#[cold]
pub(super) fn size(message: &'static str) -> ValueError {
    ValueError::new(ValueErrorKind::JsonSize { message })
}

#[cfg(test)]
mod tests;
