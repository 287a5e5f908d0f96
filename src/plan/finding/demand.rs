//! What tables that are there ask of rows, and the source does not.

use std::fmt;

use aliaport_rows::identifier::{QualifiedName, quote};

use super::{Code, Finding, Severity, Topic, counted};

/// What a table that is there asks, in words of PostgreSQL's where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// Rows break a rule of this table: what PostgreSQL would say.
    Rule(QualifiedName, String),
    /// Rows repeat a key of this unique index of this table.
    Repeated(String, QualifiedName),
    /// Rows have a key of this unique index that is in this table already.
    Taken(String, QualifiedName),
    /// This rule of the rewriter does something else with rows of this table.
    Instead(String, QualifiedName),
    /// Of this table, something cannot be known before the rows are there.
    Untold(QualifiedName, String),
}

impl Topic for Demand {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Demand::Rule(..) => Code::TargetCheck,
            Demand::Repeated(..) | Demand::Taken(..) => Code::DuplicateKey,
            Demand::Instead(..) => Code::TargetRule,
            Demand::Untold(..) => Code::NotForeseen,
        }
    }

    fn severity(&self, _of: &Finding) -> Severity {
        match self {
            Demand::Untold(..) => Severity::Info,
            _ => Severity::Error,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = of.count.unwrap_or_default();
        let rows = counted(count, "row", "rows");
        let (s, have) = if count == 1 { ("s", "has") } else { ("", "have") };
        let table = of.table_name();
        match self {
            Demand::Rule(target, reason) => write!(
                f,
                "{rows} of table \"{table}\" break{s} a rule of {target}, which the source does not have: {reason}"
            ),
            Demand::Repeated(index, target) => {
                write!(f, "{rows} of table \"{table}\" repeat{s} a key of unique index {index} of {target}")
            }
            Demand::Taken(index, target) => write!(
                f,
                "{rows} of table \"{table}\" {have} a key of unique index {index} that is in {target} already"
            ),
            Demand::Instead(rule, target) => {
                write!(f, "rule {} of {target} does something else instead of an INSERT", quote(rule))
            }
            Demand::Untold(target, what) => {
                write!(f, "not foreseen of {target}, before the rows are there: {what}")
            }
        }
    }
}
