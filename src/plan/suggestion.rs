//! What to do about a finding, as `aliaport_inspect` shows it: text that can be given to a program as it
//! stands.

use std::fmt;

use aliaport_rows::identifier::comment;

/// The program that a suggestion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The `sqlite3` program, on the source file.
    Sqlite,
    /// psql, or any other client of this database.
    Postgresql,
}

/// Statements and remarks, after a line that names the program that runs them.
///
/// A statement stands by itself only where it may be run without a decision: it settles the finding and
/// changes nothing that the finding does not name. All else is a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    tool: Tool,
    lines: Vec<String>,
}

impl Suggestion {
    /// An empty one, for SQLite.
    #[must_use]
    pub fn sqlite() -> Self {
        Suggestion { tool: Tool::Sqlite, lines: Vec::new() }
    }

    /// An empty one, for PostgreSQL.
    #[must_use]
    pub fn postgresql() -> Self {
        Suggestion { tool: Tool::Postgresql, lines: Vec::new() }
    }

    /// Adds a statement, which has no semicolon at its end.
    #[must_use]
    pub fn run(mut self, statement: impl fmt::Display) -> Self {
        self.lines.push(format!("{statement};"));
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, remark: impl AsRef<str>) -> Self {
        self.lines.push(comment(remark.as_ref()));
        self
    }

    /// Adds a remark where there is one.
    #[must_use]
    pub fn note_some(self, remark: Option<String>) -> Self {
        match remark {
            Some(remark) => self.note(remark),
            None => self,
        }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.tool {
            Tool::Sqlite => "-- sqlite",
            Tool::Postgresql => "-- postgresql",
        })?;
        self.lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_statements_is_a_comment() {
        let text = Suggestion::sqlite().note("cut at\nthe end").run("VACUUM").note_some(None).to_string();
        assert_eq!(text, "-- sqlite\n-- cut at\n-- the end\nVACUUM;");
    }
}
