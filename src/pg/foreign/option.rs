//! The options of servers, foreign tables and their columns.

use std::path::Path;
use std::time::Duration;

use aliaport_plan::option::nearest;
use aliaport_rows::convert::{NumberUnit, Zone};
use aliaport_rows::row::OnError;
use aliaport_rows::words;
use pgrx::prelude::*;

use crate::pg::server::error::{Error, Result};
use crate::pg::server::{access, encoding, guc};

words! {
    /// What becomes of a value of a foreign table that its column cannot hold.
    pub enum BadValue {
        /// The query ends with the value's own error.
        Abort = "abort",
        /// The value is NULL; where the column is NOT NULL the row is left out.
        Null = "null",
        /// The row is left out.
        Skip = "skip",
    }
}

impl From<BadValue> for OnError {
    fn from(bad_value: BadValue) -> OnError {
        match bad_value {
            BadValue::Abort => OnError::Abort,
            BadValue::Null => OnError::Null,
            BadValue::Skip => OnError::Reject,
        }
    }
}

/// What options belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// `CREATE SERVER`
    Server,
    /// `CREATE FOREIGN TABLE`
    Table,
    /// One of its columns.
    Column,
    /// Anything else, which takes none.
    Other,
}

impl Object {
    /// Their names.
    pub fn options(self) -> &'static [&'static str] {
        match self {
            Object::Server => &["path", "timezone", "busy_timeout"],
            Object::Table => &["table_name", "on_error"],
            Object::Column => &["column_name", "number"],
            Object::Other => &[],
        }
    }
}

/// A server's options.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerOptions {
    /// The file.
    pub path: String,
    /// The time zone of naive datetimes.
    pub zone: Zone,
    /// How long to wait for a writer; the setting decides where it is not given.
    pub busy_timeout: Option<Duration>,
}

impl ServerOptions {
    /// Reads a server's options.
    pub fn parse(options: &[(String, String)]) -> Result<Self> {
        let Some(path) = value_of(options, "path") else {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "option \"path\" of the server is missing",
            )
            .detail("A server of aliaport_fdw stands for one SQLite file.")
            .hint("Give the full path of the file on the database server: OPTIONS (path '/data/app.db')."));
        };
        let zone = value_of(options, "timezone").unwrap_or("UTC");
        let zone = Zone::parse(zone).map_err(|error| {
            bad_value(
                "timezone",
                zone,
                format!("{error}."),
                "Give a name of the IANA database, for instance Europe/Istanbul.",
            )
        })?;
        let busy_timeout = value_of(options, "busy_timeout").map(|text| {
            text.parse::<u32>().ok().filter(|ms| i32::try_from(*ms).is_ok()).ok_or_else(|| {
                bad_value(
                    "busy_timeout",
                    text,
                    "It is a number of milliseconds, 0 to 2147483647.".to_owned(),
                    "Give a whole number, for instance 5000; 0 does not wait.",
                )
            })
        });
        let busy_timeout = busy_timeout.transpose()?.map(|ms| Duration::from_millis(ms.into()));
        Ok(ServerOptions { path: path.to_owned(), zone, busy_timeout })
    }

    /// How long to wait for a writer.
    pub fn patience(&self) -> Duration {
        self.busy_timeout.unwrap_or_else(guc::busy_timeout)
    }
}

/// A table's options: the SQLite table's name, where it is another one, and what becomes of bad values.
pub fn of_table(options: &[(String, String)]) -> Result<(Option<&str>, BadValue)> {
    let bad = word(options, "on_error", BadValue::WORDS, BadValue::parse)?.unwrap_or(BadValue::Abort);
    Ok((value_of(options, "table_name"), bad))
}

/// A column's options: the SQLite column's name, where it is another one, and what numbers count.
pub fn of_column(options: &[(String, String)]) -> Result<(Option<&str>, NumberUnit)> {
    let number = word(options, "number", NumberUnit::WORDS, NumberUnit::parse)?.unwrap_or_default();
    Ok((value_of(options, "column_name"), number))
}

/// The value of an option.
pub fn value_of<'o>(options: &'o [(String, String)], name: &str) -> Option<&'o str> {
    options.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Checks what CREATE and ALTER are given, as it would be afterwards.
pub fn validate(options: &[(String, String)], object: Object) -> Result<()> {
    encoding::require_utf8()?;
    let known = object.options();
    for (name, _) in options {
        if !known.contains(&name.as_str()) {
            return Err(unknown(name, known, object));
        }
    }
    match object {
        Object::Server => {
            let path = ServerOptions::parse(options)?.path;
            access::source_path(&path).map(drop)
        }
        Object::Table => of_table(options).map(drop),
        Object::Column => of_column(options).map(drop),
        Object::Other => Ok(()),
    }
}

/// What a path says, without looking at it.
pub fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// An option that is none.
fn unknown(name: &str, known: &[&str], object: Object) -> Error {
    unknown_of(
        name,
        known,
        match object {
            Object::Server => "A server of aliaport_fdw",
            Object::Table => "A foreign table of aliaport_fdw",
            Object::Column => "A column of a foreign table of aliaport_fdw",
            Object::Other => "What is no server, foreign table or column of aliaport_fdw",
        },
    )
}

/// The same of whatever takes these options.
pub fn unknown_of(name: &str, known: &[&str], whose: &str) -> Error {
    let error =
        Error::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, format!("invalid option \"{name}\""));
    let allowed = match known.split_last() {
        None => {
            return error
                .detail(format!("{whose} takes no options."))
                .hint("Leave the option out: the path belongs to the server, all others to it, its tables and their columns.");
        }
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    };
    let error = error.detail(format!("{whose} takes the options {allowed}."));
    match nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!("Perhaps you meant the option \"{near}\".")),
        None => error.hint("Leave the option out, or write one of these."),
    }
}

fn word<T>(
    options: &[(String, String)],
    name: &str,
    words: &[&str],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>> {
    let Some(given) = value_of(options, name) else { return Ok(None) };
    let hint = match nearest(given, words.iter().copied()) {
        Some(near) => format!("Perhaps you meant '{near}'."),
        None => format!("Write '{}', or leave the option out.", words.first().copied().unwrap_or_default()),
    };
    match parse(given) {
        Some(value) => Ok(Some(value)),
        None => Err(bad_value(name, given, format!("Allowed are {}.", words.join(", ")), &hint)),
    }
}

/// A value that an option does not take.
pub fn bad_value(name: &str, given: &str, detail: String, hint: &str) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("invalid value for option \"{name}\": \"{given}\""),
    )
    .detail(detail)
    .hint(hint)
}
