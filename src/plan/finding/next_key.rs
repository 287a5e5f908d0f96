//! What gives a column its next key.

use std::fmt;

use aliaport_rows::identifier::{QualifiedName, quote};

use super::{Code, Finding, Topic};
use crate::sequence::End;

/// What is to be known of the next key of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NextKey {
    /// This attribute of this table, which is SQLite's rowid, has neither a sequence nor a default.
    Missing(String, QualifiedName),
    /// The sequence behind this attribute of this table is not moved because of this default; or will not be.
    NotMoved {
        /// The attribute.
        column: String,
        /// Its table.
        target: QualifiedName,
        /// Its default.
        default: String,
        /// The import has not been run yet.
        is_foretold: bool,
    },
    /// Nobody knows what this attribute of this table is given by this default.
    Unknown(String, QualifiedName, String),
    /// To this attribute, this sequence gives this value next, if any; and how it comes to no good.
    Ends(String, String, Option<i64>, End),
}

impl Topic for NextKey {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            NextKey::Missing(..) | NextKey::NotMoved { .. } | NextKey::Unknown(..) => Code::SequenceMissing,
            NextKey::Ends(..) => Code::SequenceExhausted,
        }
    }

    fn tell(&self, _of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextKey::Missing(attribute, target) => write!(
                f,
                "key column {} of {target} has neither a sequence nor a default, where SQLite gives a new row its next key",
                quote(attribute)
            ),
            NextKey::NotMoved { column, target, default, is_foretold } => {
                let was = if *is_foretold { "will not be" } else { "was not" };
                write!(
                    f,
                    "the sequence behind column \"{column}\" of {target} {was} moved past the keys, because its default is {default}"
                )
            }
            NextKey::Unknown(column, target, default) => write!(
                f,
                "whether the default {default} of key column \"{column}\" of {target} gives keys that are in use cannot be known: a sequence that it draws from is not moved past the keys"
            ),
            NextKey::Ends(column, sequence, _, End::BeginsAnew) => write!(
                f,
                "sequence {sequence} begins anew when it has come to its end (CYCLE), with keys that column \"{column}\" has by then"
            ),
            NextKey::Ends(column, sequence, next, End::Exhausted) => {
                write!(f, "sequence {sequence} cannot go on past the keys of column \"{column}\": it ")?;
                match next {
                    Some(next) => write!(f, "gives {next} next, which may be in use or does not fit"),
                    None => f.write_str("has no value left"),
                }
            }
        }
    }
}
