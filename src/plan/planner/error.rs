//! Why a plan cannot be made.

use std::fmt;

use crate::finding::{Blocker, Finding, PlanErrorKind};
use aliaport_rows::sqlstate::SqlState;

/// A plan that cannot be made. `Display` is the primary message; one error speaks for every table it
/// concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    kind: PlanErrorKind,
    /// What is wrong, once a table or column, each with what helps against it alone unless the hint says it
    /// for all.
    findings: Vec<Finding>,
    hint: String,
}

impl PlanError {
    pub(super) fn new(table: &str, blocker: Blocker, hint: &str) -> Self {
        let kind = blocker.kind();
        let table = Some(table.to_owned()).filter(|t| !t.is_empty());
        PlanError { kind, findings: vec![Finding { table, ..Finding::new(blocker) }], hint: hint.to_owned() }
    }

    /// The error of an option.
    pub(super) fn option(table: &str, message: String, hint: &str) -> Self {
        PlanError::new(table, Blocker::Option(message), hint)
    }

    /// An error with a finding for each table or column, which are of one kind; nothing without findings.
    pub(super) fn raise(kind: PlanErrorKind, findings: Vec<Finding>, hint: &str) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(PlanError { kind, findings, hint: hint.to_owned() }) }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> PlanErrorKind {
        self.kind
    }

    /// Everything that is wrong, one sentence a line; `None` where the primary message says it all.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        if self.findings.len() < 2 {
            return match self.kind {
                PlanErrorKind::Option => {
                    Some("What options ask for is done or refused, and never passed over in silence.".to_owned())
                }
                PlanErrorKind::TargetNotEmpty => Some("Mode create fills new and empty tables only.".to_owned()),
                PlanErrorKind::MissingColumn => {
                    Some("Its values would have nowhere to go, and nothing is left out in silence.".to_owned())
                }
                PlanErrorKind::VanishedColumn => {
                    Some("Its values would be lost or stay as they are from now on.".to_owned())
                }
                PlanErrorKind::RequiredColumn => {
                    Some("A new row would have NULL there, which the column refuses.".to_owned())
                }
                PlanErrorKind::MissingType => {
                    Some("The type is one of the extension citext, which this database has not installed.".to_owned())
                }
                PlanErrorKind::NoKey => Some(
                    "Mode sync tells rows apart by a key whose columns the source has and that holds no NULL."
                        .to_owned(),
                ),
                _ => None,
            };
        }
        let lines: Vec<String> = self.findings.iter().map(|f| sentence(&f.to_string())).collect();
        Some(lines.join("\n"))
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> SqlState {
        self.kind.sqlstate()
    }

    /// The same as findings, for `aliaport_inspect`.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// A message as a whole sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.as_slice() {
            [finding] => write!(f, "{finding}"),
            findings => f.write_str(&self.kind.summary(findings.len())),
        }
    }
}

impl std::error::Error for PlanError {}
