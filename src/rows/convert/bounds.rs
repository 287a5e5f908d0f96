//! Ranges and multiranges: every bound is converted by the rules of its own type.

use super::element::{Element, Fault, by_parts};
use super::literal::Cursor;
use super::{Converted, Lossy, Rules, Scratch, ValueError};
use crate::pg_type::PgType;
use crate::value::Value;

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

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let form = if target.is_multirange { "multirange" } else { "range" };
    by_parts(&target.name, form, value, scratch, |text, _, scratch, out| {
        let (part, written) = (Vec::new(), Vec::new());
        let mut writing = Writing { bound: &target.bound, scratch, out, lossy: None, part, written };
        let mut cursor = Cursor::new(text);
        if target.is_multirange {
            writing.ranges(&mut cursor)?
        } else {
            writing.range(&mut cursor)?
        }
        cursor.end()?;
        Ok(writing.lossy)
    })
}

struct Writing<'w> {
    bound: &'w Element,
    scratch: &'w mut Scratch,
    out: &'w mut Vec<u8>,
    lossy: Option<Lossy>,
    part: Vec<u8>,
    written: Vec<u8>,
}

impl Writing<'_> {
    fn ranges(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        cursor.blanks();
        cursor.expect(b'{')?;
        self.out.push(b'{');
        cursor.blanks();
        if cursor.skip(b'}') {
            self.out.push(b'}');
            return Ok(());
        }
        loop {
            self.range(cursor)?;
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

    fn range(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        cursor.blanks();
        if cursor.word(b"empty") {
            self.out.extend_from_slice(b"empty");
            return Ok(());
        }
        match cursor.next() {
            Some(open @ (b'[' | b'(')) => self.out.push(open),
            _ => return Err(Fault::Form),
        }
        self.bound(b",", cursor)?;
        cursor.expect(b',')?;
        self.out.push(b',');
        self.bound(b"])", cursor)?;
        match cursor.next() {
            Some(close @ (b']' | b')')) => self.out.push(close),
            _ => return Err(Fault::Form),
        }
        Ok(())
    }

    fn bound(&mut self, ends: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        // Any of the three ends a bound that is not in quotes.
        if !cursor.field(b",])", &mut self.part)? {
            return if cursor.peek().is_some_and(|byte| ends.contains(&byte)) {
                Ok(())
            } else {
                Err(Fault::Form)
            };
        }
        let Writing { bound, scratch, out, lossy, part, written } = self;
        bound.write_quoted(Value::Text(part), scratch, written, lossy, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;
    use crate::value::Cell;

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
