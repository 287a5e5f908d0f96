//! Native enums: a text that is exactly one of the labels.

use super::{Converted, ValueError, ValueErrorKind, display_value, text};
use crate::value::{Cell, Value};

/// One enum type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    /// In sort order, for messages.
    labels: Vec<String>,
    /// Sorted by label.
    by_label: Vec<(Box<[u8]>, u32)>,
}

impl Target {
    pub(super) fn new(name: &str, labels: &[(String, u32)]) -> Self {
        let mut by_label: Vec<(Box<[u8]>, u32)> =
            labels.iter().map(|(label, oid)| (label.as_bytes().into(), *oid)).collect();
        by_label.sort();
        Target {
            name: name.to_owned(),
            labels: labels.iter().map(|(label, _)| label.clone()).collect(),
            by_label,
        }
    }

    fn oid(&self, label: &[u8]) -> Option<u32> {
        let at = self.by_label.binary_search_by(|(known, _)| (**known).cmp(label)).ok()?;
        self.by_label.get(at).map(|(_, oid)| *oid)
    }
}

pub(super) fn convert<'a>(target: &Target, value: Value<'a>) -> Result<Converted<'a>, ValueError> {
    let oid = match value {
        Value::Text(text) => target.oid(text),
        // A label such as '1' in a column without text affinity.
        Value::Integer(v) => target.oid(v.to_string().as_bytes()),
        Value::Null | Value::Real(_) | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&target.name, false, value));
        }
    };
    match oid {
        Some(oid) => Ok(Converted::exact(Cell::Enum(oid))),
        None => {
            if let Value::Text(text) = value {
                text::check(text)?;
            }
            Err(unknown(target, value))
        }
    }
}

#[cold]
fn unknown(target: &Target, value: Value) -> ValueError {
    let quoted: Vec<String> = target.labels.iter().map(|label| format!("\"{label}\"")).collect();
    ValueError::new(ValueErrorKind::Label {
        type_name: target.name.clone(),
        shown: display_value(value),
        labels: quoted.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_exactly_and_an_unknown_one_names_those_there_are() {
        let labels = [("open".to_owned(), 10), ("closed".to_owned(), 11), ("açık".to_owned(), 12)];
        let target = Target::new("ops.status", &labels);
        for (label, oid) in &labels {
            assert_eq!(convert(&target, Value::Text(label.as_bytes())).unwrap().cell, Cell::Enum(*oid));
        }
        for text in ["Open", "open ", "", "ope", "openn"] {
            let error = convert(&target, Value::Text(text.as_bytes())).unwrap_err();
            assert_eq!(error.sqlstate(), "22P02");
            assert_eq!(error.to_string(), format!("invalid input value for enum ops.status: \"{text}\""));
            assert_eq!(error.detail().as_deref(), Some("The labels are \"open\", \"closed\", \"açık\"."));
        }
        assert_eq!(convert(&target, Value::Blob(b"open")).unwrap_err().sqlstate(), "22P02");
    }
}
