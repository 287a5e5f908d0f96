//! Types that have no converter here: the value's text goes to the type's own input function.

use super::{Converted, Scratch, ValueError, ValueErrorKind, real, text};
use crate::value::{Cell, Value};

/// One such type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    /// The most bytes that the type keeps, where its input function cuts the rest without a word.
    limit: usize,
}

impl Target {
    pub(super) fn new(name: &str) -> Self {
        let limit = match name {
            "\"char\"" => 1,
            // NAMEDATALEN less the NUL.
            "name" => 63,
            _ => usize::MAX,
        };
        Target { name: name.to_owned(), limit }
    }

    fn input<'a>(&self, bytes: &'a [u8]) -> Result<Converted<'a>, ValueError> {
        if bytes.len() > self.limit {
            let kind =
                ValueErrorKind::TooLong { type_name: self.name.clone(), length: text::characters(bytes) };
            return Err(ValueError::new(kind));
        }
        Ok(Converted::exact(Cell::Input(bytes)))
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            target.input(bytes)
        }
        Value::Integer(v) => {
            scratch.bytes.clear();
            text::write_integer(v, &mut scratch.bytes);
            target.input(&scratch.bytes)
        }
        Value::Real(v) => {
            scratch.bytes.clear();
            real::write_text(v, &mut scratch.bytes);
            target.input(&scratch.bytes)
        }
        Value::Null | Value::Blob(_) => Err(ValueError::class(&target.name, false, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_type_would_cut_is_too_long() {
        let read = |name: &str, text: &str| {
            convert(&Target::new(name), Value::Text(text.as_bytes()), &mut Scratch::default())
                .map(|converted| converted.lossy.is_some())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("name", &"n".repeat(63)), Ok(false));
        assert_eq!(read("name", &"n".repeat(64)), Err("value too long for type name".to_owned()));
        assert_eq!(read("\"char\"", "ab"), Err("value too long for type \"char\"".to_owned()));
        assert_eq!(read("inet", &"n".repeat(64)), Ok(false));
    }
}
