//! Types that have no converter here: the value's text goes to the type's own input function.

use super::{Converted, Scratch, ValueError, real, text};
use crate::value::{Cell, Value};

/// One such type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
}

impl Target {
    pub(super) fn new(name: &str) -> Self {
        Target { name: name.to_owned() }
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    match value {
        Value::Text(bytes) => {
            text::check(bytes)?;
            Ok(Converted::exact(Cell::Input(bytes)))
        }
        Value::Integer(v) => {
            scratch.bytes.clear();
            text::write_integer(v, &mut scratch.bytes);
            Ok(Converted::exact(Cell::Input(&scratch.bytes)))
        }
        Value::Real(v) => {
            scratch.bytes.clear();
            real::write_text(v, &mut scratch.bytes);
            Ok(Converted::exact(Cell::Input(&scratch.bytes)))
        }
        Value::Null | Value::Blob(_) => Err(ValueError::class(&target.name, false, value)),
    }
}
