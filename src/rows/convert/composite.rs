//! Rows as values: every field is converted by the rules of its own type.

use super::element::{Element, by_parts};
use super::literal::Cursor;
use super::{Converted, Rules, Scratch, ValueError};
use crate::pg_type::PgType;
use crate::value::Value;

/// One composite type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    fields: Vec<Element>,
}

impl Target {
    pub(super) fn new(name: &str, fields: &[PgType], rules: &Rules) -> Self {
        let fields = fields.iter().map(|field| Element::new(field, rules)).collect();
        Target { name: name.to_owned(), fields }
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    by_parts(&target.name, "record", value, scratch, |text, _, scratch, out| {
        let mut cursor = Cursor::new(text);
        let (mut part, mut written, mut lossy) = (Vec::new(), Vec::new(), None);
        out.push(b'(');
        cursor.blanks();
        cursor.expect(b'(')?;
        for (index, field) in target.fields.iter().enumerate() {
            if index > 0 {
                cursor.expect(b',')?;
                out.push(b',');
            }
            if cursor.field(b",)", &mut part)? {
                field.write_quoted(Value::Text(&part), scratch, &mut written, &mut lossy, out)?;
            }
        }
        cursor.expect(b')')?;
        out.push(b')');
        cursor.end()?;
        Ok(lossy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Lossy;
    use crate::value::Cell;

    #[test]
    fn fields_are_converted_by_their_own_rules() {
        let fields =
            [PgType::Numeric { precision_scale: Some((6, 2)) }, PgType::TimestampTz(None), PgType::Text];
        let target = Target::new("booking", &fields, &Rules::default());
        let read = |text: &'static str| {
            let mut scratch = Scratch::default();
            let converted = convert(&target, Value::Text(text.as_bytes()), &mut scratch)
                .map_err(|error| format!("{} {error}", error.sqlstate()))?;
            let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
            Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
        };
        let is = |text: &str, lossy| Ok((text.to_owned(), lossy));
        assert_eq!(
            read("(1.239,2024-01-01,\"now, \"\"then\"\"\")"),
            is(r#"("1.24","2024-01-01 00:00:00.000000+00","now, \"then\"")"#, Some(Lossy::NumericRounded))
        );
        assert_eq!(read(" (,, )"), is(r#"(,," ")"#, None));
        assert_eq!(read("(,,)"), is("(,,)", None));
        let word: Result<_, String> = read("(1,now,x)");
        assert!(word.unwrap_err().starts_with("22007 "));
        for text in ["", "(1,2024-01-01)", "(1,2024-01-01,x,y)", "1,2024-01-01,x", "(1,2024-01-01,x", "(,,)x"]
        {
            assert_eq!(read(text), Err(format!("22P02 malformed record literal: \"{text}\"")));
        }
    }
}
