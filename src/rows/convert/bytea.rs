//! `bytea`: blobs as they are, texts as the bytes they consist of.

use super::{Converted, Lossy, ValueError};
use crate::value::{Cell, Value};

pub(super) fn convert(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    match value {
        Value::Blob(bytes) => Ok(Converted::exact(Cell::Varlena(bytes))),
        // Not through byteain: a text that happens to begin with \x would become other bytes.
        Value::Text(bytes) => Ok(Converted { cell: Cell::Varlena(bytes), lossy: Some(Lossy::TextAsBytes) }),
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Unreadable(_) => {
            Err(ValueError::class(&"bytea", false, value))
        }
    }
}
