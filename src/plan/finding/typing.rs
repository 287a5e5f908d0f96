//! The types of columns, and how their values compare.

use std::fmt;

use super::{Code, Finding, Severity, Topic};
use crate::expr::NotCarried;

/// What is to be known of a column's type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Typing {
    /// PostgreSQL has no numeric of this precision and scale.
    Unlimited(i64, i64),
    /// PostgreSQL has no varchar of this length.
    Unbounded(i64),
    /// A column of this declared type, or of none, holds so many integers, reals, texts and blobs.
    Mixed(String, [u64; 4]),
    /// It is COLLATE NOCASE, which is kept by indexes on lower() or not at all.
    NoCase(bool),
    /// It has a collation that PostgreSQL does not have.
    Collation(String),
    /// A generated column becomes an ordinary one: why, and its expression; none where that is not known.
    Ordinary(Option<(NotCarried, String)>),
}

impl Topic for Typing {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Typing::Unlimited(..) | Typing::Unbounded(_) | Typing::Mixed(..) => Code::TypeMismatch,
            Typing::NoCase(_) => Code::NoCase,
            Typing::Collation(_) | Typing::Ordinary(_) => Code::NotCarried,
        }
    }

    fn severity(&self, _of: &Finding) -> Severity {
        match self {
            Typing::Unlimited(..) | Typing::Unbounded(_) => Severity::Info,
            _ => Severity::Warning,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = of.noun();
        match self {
            Typing::Unlimited(precision, scale) => write!(
                f,
                "{noun}: precision {precision} and scale {scale} are beyond what PostgreSQL allows: the column becomes numeric without a limit"
            ),
            Typing::Unbounded(length) => write!(
                f,
                "{noun}: a length of {length} is beyond what PostgreSQL allows: the column becomes text"
            ),
            Typing::Mixed(declared, counts) => {
                let declared = match declared.as_str() {
                    "" => "no declared type".to_owned(),
                    declared => format!("type {declared}"),
                };
                let parts: Vec<String> = counts
                    .iter()
                    .zip(["integers", "reals", "texts", "blobs"])
                    .filter(|(n, _)| **n > 0)
                    .map(|(n, what)| format!("{n} {what}"))
                    .collect();
                write!(f, "{noun}: column with {declared} holds {}: it becomes text", parts.join(", "))
            }
            Typing::NoCase(has_indexes) => {
                let indexes = if *has_indexes { "; its indexes are on lower()" } else { "" };
                write!(f, "{noun} is COLLATE NOCASE and becomes case-sensitive{indexes}")
            }
            Typing::Collation(collation) => {
                write!(f, "{noun} is COLLATE {collation}, which is not carried over")
            }
            Typing::Ordinary(why) => {
                write!(f, "generated {noun} becomes an ordinary column with the values that it has now: ")?;
                match why {
                    Some((why, sql)) => write!(f, "{why}: {sql}"),
                    None => f.write_str("its expression could not be read"),
                }
            }
        }
    }
}
