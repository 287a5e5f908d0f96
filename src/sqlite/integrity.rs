//! SQLite's own checks of a file, as far as they can go without what the application has registered.

use crate::careful::may_come_from_expression;
use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;
use crate::stand_in::Stub;
use crate::statement::{Statement, quoted};

impl Source {
    /// SQLite's own check of the whole file: up to `max` messages, none where all is well.
    ///
    /// # Errors
    /// What reading can meet; damage is a message, not an error, as far as SQLite can go on.
    pub fn integrity_check(&self, max: usize) -> Result<Vec<String>, SourceError> {
        // Compiling it asks for every collation that the file names.
        Statement::prepare(self, "PRAGMA main.integrity_check(1)")?;
        // It would call an index out of order that the application has in an order of its own.
        let pragma = if self.has_stand_in_collation()? { "quick_check" } else { "integrity_check" };
        match self.check(pragma, None, max) {
            Err(error) => self.check_otherwise(pragma, max, error),
            checked => checked,
        }
    }

    /// A check that computes generated columns has failed.
    fn check_otherwise(
        &self,
        pragma: &str,
        max: usize,
        error: SourceError,
    ) -> Result<Vec<String>, SourceError> {
        match error.kind() {
            SourceErrorKind::NotAvailable => self.check_the_rest(max),
            _ if may_come_from_expression(&error) => {
                let mut messages = Vec::new();
                for table in self.catalogue()?.tables {
                    messages.extend(self.check(pragma, Some(&table.name), max)?);
                }
                messages.truncate(max);
                Ok(messages)
            }
            _ => Err(error),
        }
    }

    /// What can be checked where a generated column or an index calls what is not there: the whole file
    /// without its indexes, and with them the tables that do not call it. (In a file that cannot be written
    /// to, SQLite does not even keep CHECKs in mind.)
    fn check_the_rest(&self, max: usize) -> Result<Vec<String>, SourceError> {
        let mut messages = self.leniently(Stub::Null, || self.check("quick_check", None, max))?;
        // What is only said of what a function gives is nothing to say.
        let others = self.leniently(Stub::EmptyText, || self.check("quick_check", None, max))?;
        messages.retain(|message| others.contains(message));
        for table in self.catalogue()?.tables {
            match self.check("integrity_check", Some(&table.name), max) {
                Ok(more) => {
                    for message in more {
                        if messages.len() < max && !messages.contains(&message) {
                            messages.push(message);
                        }
                    }
                }
                Err(error) if *error.kind() == SourceErrorKind::NotAvailable => {}
                Err(error) => return Err(error),
            }
        }
        Ok(messages)
    }

    /// The same without comparing indexes with their tables, which takes by far the longest; no index is read
    /// by an import.
    ///
    /// # Errors
    /// What reading can meet.
    pub fn quick_check(&self, max: usize) -> Result<Vec<String>, SourceError> {
        match self.check("quick_check", None, max) {
            Err(error) => self.check_otherwise("quick_check", max, error),
            checked => checked,
        }
    }

    /// Of the whole file, or of one table.
    fn check(&self, pragma: &str, table: Option<&str>, max: usize) -> Result<Vec<String>, SourceError> {
        let what = match table {
            Some(table) => quoted(self, table)?,
            None => max.clamp(1, 10_000).to_string(),
        };
        let mut statement = Statement::prepare(self, &format!("PRAGMA main.{pragma}({what})"))?;
        let mut messages = Vec::new();
        loop {
            match statement.step() {
                Ok(true) => {}
                Ok(false) => break,
                // A generated column of a row fails, which the look at the rows tells; what was found so far
                // of the table holds.
                Err(error)
                    if table.is_some()
                        && *error.kind() != SourceErrorKind::NotAvailable
                        && may_come_from_expression(&error) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            }
            if let Some(message) = statement.text(0)
                && message != "ok"
            {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    /// Whether a statement so far needed a collation that only the application has.
    fn has_stand_in_collation(&self) -> Result<bool, SourceError> {
        let mut list = Statement::prepare(self, "PRAGMA collation_list")?;
        while list.step()? {
            if !matches!(list.text(1).as_deref(), Some("BINARY" | "NOCASE" | "RTRIM")) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
