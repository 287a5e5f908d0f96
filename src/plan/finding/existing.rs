//! What the target has already.

use std::fmt;

use aliaport_rows::identifier::{QualifiedName, quote};

use super::{Code, Finding, Topic};

/// What the target has already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Existing {
    /// A migration tool's own table, which has rows.
    Bookkeeping,
    /// This attribute of this table is generated.
    Generated(String, QualifiedName),
    /// This table, to which no full-text search is added.
    NoSearch(QualifiedName),
}

/// Why a migration tool's table is skipped.
pub const SKIPPED: &str = "migration bookkeeping that the target has already";

impl Topic for Existing {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Existing::Bookkeeping => Code::Bookkeeping,
            Existing::Generated(..) | Existing::NoSearch(_) => Code::NotCarried,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Existing::Bookkeeping => write!(f, "{} is skipped: {SKIPPED}", of.noun()),
            Existing::Generated(attribute, target) => write!(
                f,
                "column {} of {target} is generated: the values of SQLite column \"{}\" are not written",
                quote(attribute),
                of.column_name()
            ),
            Existing::NoSearch(target) => {
                write!(f, "no full-text search is added to {target}, because it exists already")
            }
        }
    }
}
