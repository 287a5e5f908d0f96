//! Ranges and multiranges: every bound is converted by the rules of its own type.

use super::element::Element;
use super::literal::{Cursor, Malformed, quote};
use super::{Converted, Lossy, Rules, Scratch, ValueError};
use crate::pg_type::PgType;
use crate::value::{Cell, Value};

/// One range or multirange type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    bound: Box<Element>,
    is_multirange: bool,
}

impl Target {
    pub(super) fn new(name: &str, bound: &PgType, is_multirange: bool, rules: &Rules) -> Self {
        Target { name: name.to_owned(), bound: Box::new(Element::new(bound, rules)), is_multirange }
    }
}

/// Why a text is no range.
enum Fault {
    Form,
    Value(ValueError),
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Fault::Form
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let Value::Text(bytes) = value else { return Err(ValueError::class(&target.name, false, value)) };
    scratch.check_text(bytes)?;
    let mut inner = scratch.part();
    let mut writing =
        Writing { bound: &target.bound, out: &mut scratch.bytes, lossy: None, part: Vec::new() };
    writing.out.clear();
    let mut cursor = Cursor::new(bytes);
    let read = if target.is_multirange {
        writing.ranges(&mut cursor, &mut inner)
    } else {
        writing.range(&mut cursor, &mut inner)
    };
    let lossy = writing.lossy;
    let read = read.and_then(|()| cursor.end().map_err(Fault::from));
    scratch.give_back(inner);
    match read {
        Ok(()) => Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy }),
        Err(Fault::Value(error)) => Err(error),
        Err(Fault::Form) => {
            let form = if target.is_multirange { "multirange" } else { "range" };
            Err(ValueError::malformed(form, value))
        }
    }
}

struct Writing<'w> {
    bound: &'w Element,
    out: &'w mut Vec<u8>,
    lossy: Option<Lossy>,
    part: Vec<u8>,
}

impl Writing<'_> {
    fn ranges(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        cursor.blanks();
        cursor.expect(b'{')?;
        self.out.push(b'{');
        cursor.blanks();
        if cursor.skip(b'}') {
            self.out.push(b'}');
            return Ok(());
        }
        loop {
            self.range(cursor, scratch)?;
            cursor.blanks();
            match cursor.next() {
                Some(b',') => self.out.push(b','),
                Some(b'}') => break,
                _ => return Err(Fault::Form),
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn range(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        cursor.blanks();
        if cursor.word(b"empty") {
            self.out.extend_from_slice(b"empty");
            return Ok(());
        }
        match cursor.next() {
            Some(open @ (b'[' | b'(')) => self.out.push(open),
            _ => return Err(Fault::Form),
        }
        self.bound(b",", cursor, scratch)?;
        cursor.expect(b',')?;
        self.out.push(b',');
        self.bound(b"])", cursor, scratch)?;
        match cursor.next() {
            Some(close @ (b']' | b')')) => self.out.push(close),
            _ => return Err(Fault::Form),
        }
        Ok(())
    }

    fn bound(&mut self, ends: &[u8], cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        // Any of the three ends a bound that is not in quotes.
        if !cursor.field(b",])", &mut self.part)? {
            return if cursor.peek().is_some_and(|byte| ends.contains(&byte)) {
                Ok(())
            } else {
                Err(Fault::Form)
            };
        }
        let mut written = Vec::new();
        let lossy = self.bound.write(Value::Text(&self.part), scratch, &mut written).map_err(Fault::Value)?;
        self.lossy = self.lossy.or(lossy);
        quote(&written, self.out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;

    fn read(pg_type: &PgType, is_multirange: bool, text: &str) -> Result<(String, Option<Lossy>), String> {
        let rules = Rules { zone: Zone::parse("Europe/Berlin").unwrap(), ..Rules::default() };
        let target = Target::new("r", pg_type, is_multirange, &rules);
        let mut scratch = Scratch::default();
        let converted = convert(&target, Value::Text(text.as_bytes()), &mut scratch)
            .map_err(|error| format!("{} {error}", error.sqlstate()))?;
        let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
        Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
    }

    #[test]
    fn bounds_are_converted_by_their_own_rules() {
        let is = |text: &str, lossy| Ok((text.to_owned(), lossy));
        let instants = PgType::TimestampTz(None);
        assert_eq!(
            read(&instants, false, " [2024-01-01 00:00:00,\"2024-07-01 00:00:00Z\") "),
            is("[\"2023-12-31 23:00:00.000000+00\",\"2024-07-01 00:00:00.000000+00\")", None)
        );
        let gap = Some(Lossy::TimeGap);
        assert_eq!(
            read(&instants, false, "(,2024-03-31 02:30:00]"),
            is("(,\"2024-03-31 01:30:00.000000+00\"]", gap)
        );
        assert_eq!(read(&instants, false, "EMPTY"), is("empty", None));
        assert_eq!(read(&instants, false, "(,)"), is("(,)", None));
        assert_eq!(
            read(&PgType::Date, false, "[0044-03-15 BC,infinity)"),
            is("[\"0044-03-15 BC\",\"infinity\")", None)
        );
        assert_eq!(
            read(&PgType::Numeric { precision_scale: None }, true, "{[1.50,2), [3,4]}"),
            is("{[\"1.50\",\"2\"),[\"3\",\"4\"]}", None)
        );
        assert_eq!(read(&PgType::Integer, true, "{ }"), is("{}", None));
        assert_eq!(read(&PgType::Text, false, "[a\\\"\"b\"\"c\",\"\"]"), is("[\"a\\\"b\\\"c\",\"\"]", None));
    }

    #[test]
    fn words_and_broken_ranges_are_bad_values() {
        for text in ["[now,)", "[2024-01-01,tomorrow)", "[01/02/2024,)"] {
            let word = read(&PgType::Date, false, text).unwrap_err();
            assert!(word.starts_with("22007 invalid input syntax for type date"), "{text} {word}");
        }
        for text in ["", "[", "[1", "[1,2", "[1,2)x", "1,2", "[1)", "[1,2,3)", "[\"1,2)", "[1,2)}", "x empty"]
        {
            let broken = read(&PgType::Integer, false, text).unwrap_err();
            assert_eq!(broken, format!("22P02 malformed range literal: \"{text}\""));
        }
        for text in ["", "{", "{[1,2)", "{[1,2),}", "[1,2)", "{[1,2)[3,4)}"] {
            let broken = read(&PgType::Integer, true, text).unwrap_err();
            assert_eq!(broken, format!("22P02 malformed multirange literal: \"{text}\""));
        }
    }
}
