//! A finding: one thing that a DBA should know before or after a run, with an address.
//!
//! It is facts: what it is about ([`Subject`]), and why it is told ([`Why`]), by topic. Code and severity
//! follow from these, and so does the sentence: `Display` of a finding, in the topic's file, is the one place
//! that writes it, and nothing reads it to decide.

mod blocker;
mod code;
mod content;
mod demand;
mod drift;
mod existing;
mod load;
mod lossy;
mod naming;
mod next_key;
mod server;
mod subject;
mod typing;
mod uncarried;

use crate::suggestion::Suggestion;
use std::fmt::{self, Display};

pub use blocker::{Blocker, MAX_COLUMNS, PlanErrorKind};
pub use code::Code;
pub use content::{Allowed, Content, Damage, KeyName, Orphan};
pub use demand::Demand;
pub use drift::{Drift, Wanted};
pub use existing::{Existing, SKIPPED};
pub use load::Load;
pub use naming::Naming;
pub use next_key::NextKey;
pub use server::{Locks, Server};
pub use subject::Subject;
pub use typing::Typing;
pub use uncarried::{Cause, MAX_KEY_COLUMNS, Uncarried};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing to decide.
    Info,
    /// Needs a decision: something is not carried over or not identical.
    Warning,
    /// The import would fail.
    Error,
}

impl Severity {
    /// The word that the SQL surface shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// The facts of one topic.
trait Topic {
    fn code(&self, of: &Finding) -> Code;

    fn severity(&self, _of: &Finding) -> Severity {
        Severity::Warning
    }

    /// Writes the sentence, without a full stop, like a PostgreSQL primary message.
    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident;)*) => {
        /// Why a finding is told, by topic.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Why {
            $($(#[$doc])* $topic($topic),)*
        }

        impl Why {
            fn topic(&self) -> &dyn Topic {
                match self {
                    $(Why::$topic(why) => why,)*
                }
            }
        }

        $(impl From<$topic> for Why {
            fn from(why: $topic) -> Self {
                Why::$topic(why)
            }
        })*
    };
}

topics! {
    /// What would keep a plan from being made.
    Blocker;
    /// What an inspection finds in the rows of the source.
    Content;
    /// What tables that are there ask of rows.
    Demand;
    /// Tables that are there differ from what the import would make.
    Drift;
    /// What the target has already.
    Existing;
    /// What became of rows on their way into a table.
    Load;
    /// A name is not the wanted one.
    Naming;
    /// What gives a column its next key.
    NextKey;
    /// The database and the server.
    Server;
    /// A column's type, or how its values compare.
    Typing;
    /// Something of the source has no counterpart.
    Uncarried;
}

/// One thing found while planning or loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The SQLite table it is about, where there is one.
    pub table: Option<String>,
    /// The SQLite column it is about, where there is one.
    pub column: Option<String>,
    /// What of them.
    pub subject: Subject,
    /// Why.
    pub why: Why,
    /// How many rows or objects, where it was counted.
    pub count: Option<u64>,
    /// The statement for PostgreSQL that settles it, where one does, without a semicolon; the sentence ends
    /// in it.
    pub statement: Option<String>,
    /// What can be run, or is said, in place of the statement.
    pub instead: Option<String>,
    /// What helps, where that is more than a statement.
    pub advice: Option<Suggestion>,
}

impl Finding {
    /// A finding about nothing but itself.
    #[must_use]
    pub fn new(why: impl Into<Why>) -> Self {
        Finding {
            table: None,
            column: None,
            subject: Subject::Table,
            why: why.into(),
            count: None,
            statement: None,
            instead: None,
            advice: None,
        }
    }

    /// A finding about a table.
    #[must_use]
    pub fn of(table: &str, why: impl Into<Why>) -> Self {
        Finding { table: Some(table.to_owned()), ..Finding::new(why) }
    }

    /// The same finding, about one column.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// The same finding, about one object.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Finding { subject, ..self }
    }

    /// The same finding of so many rows, values or objects.
    #[must_use]
    pub fn counted(self, count: u64) -> Self {
        Finding { count: Some(count), ..self }
    }

    /// The same finding with the statement that settles it.
    #[must_use]
    pub fn with_statement(self, statement: String) -> Self {
        Finding { statement: Some(statement), ..self }
    }

    /// The same finding, with what helps.
    #[must_use]
    pub fn helped_by(self, remedy: Suggestion) -> Self {
        Finding { advice: Some(remedy), ..self }
    }

    /// What kind of finding it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.why.topic().code(self)
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.why.topic().severity(self)
    }

    /// What to do, where that is known.
    #[must_use]
    pub fn suggestion(&self) -> Option<Suggestion> {
        let run = |statement| Suggestion::postgresql().run(statement);
        self.advice.clone().or_else(|| self.remedy().map(run))
    }

    /// What to run.
    #[must_use]
    pub fn remedy(&self) -> Option<&String> {
        self.instead.as_ref().or(self.statement.as_ref())
    }

    /// The statement of an object of the schema that is not carried over, in which the sentence ends.
    #[must_use]
    pub fn sql(&self) -> Option<&str> {
        match (&self.subject, &self.why) {
            (Subject::Object(..), Why::Uncarried(of)) => Some(of.sql.as_str()).filter(|sql| !sql.is_empty()),
            _ => None,
        }
    }

    fn table_name(&self) -> &str {
        self.table.as_deref().unwrap_or_default()
    }

    fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or_default()
    }

    /// What it is about, as the sentence begins.
    fn noun(&self) -> impl Display {
        fmt::from_fn(|f| self.subject.tell(self, f))
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.topic().tell(self, f)?;
        match &self.statement {
            Some(statement) => write!(f, ": {statement}"),
            None => Ok(()),
        }
    }
}

/// `1 row`, `2 rows`.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
