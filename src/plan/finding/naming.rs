//! Names that are not the wanted ones.

use std::fmt;

use aliaport_rows::identifier::quote;

use super::{Code, Finding, Severity, Subject, Topic};
use crate::name::Change;

/// A name is not the wanted one: why, and the name that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Naming(pub Change, pub String);

/// There is no option for the name of an index or a constraint, so there is nothing to decide.
fn is_of_key(of: &Finding) -> bool {
    matches!(of.subject, Subject::Constraint(_) | Subject::Index(_))
}

impl Topic for Naming {
    fn code(&self, of: &Finding) -> Code {
        match self.0 {
            Change::TooLong => Code::IdentifierTooLong,
            Change::Taken if !is_of_key(of) => Code::CaseCollision,
            Change::None | Change::Taken | Change::Unusable | Change::Reserved => Code::Renamed,
        }
    }

    fn severity(&self, of: &Finding) -> Severity {
        if is_of_key(of) { Severity::Info } else { Severity::Warning }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Naming(change, name) = self;
        let what = match (change, is_of_key(of)) {
            (Change::TooLong, _) => "is longer than the 63 bytes of a PostgreSQL name",
            (Change::Taken, false) => "would be the name of another",
            (Change::Taken, true) => "has the name of another relation of its schema",
            (Change::None | Change::Unusable, false) => "is no name in PostgreSQL",
            (Change::None | Change::Unusable, true) => "has a name that PostgreSQL does not take",
            (Change::Reserved, _) => "is a system column of every PostgreSQL table",
        };
        write!(f, "{} {what}: it becomes {}", of.noun(), quote(name))
    }
}
