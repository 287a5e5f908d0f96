//! IMPORT FOREIGN SCHEMA: the statements that make a foreign table for each table of the file.
#![allow(unsafe_code)] // the callback, and the list of statements that it gives

use std::ffi::{CStr, CString};

use aliaport_plan::catalogue::{Catalogue, OtherKind};
use aliaport_plan::option::{Options, nearest};
use aliaport_plan::planner::{self, ForeignTable};
use aliaport_plan::policy::{Identifiers, IntegerWidth};
use aliaport_plan::profile::Profiles;
use aliaport_rows::identifier::{quote, quote_literal};
use pgrx::prelude::*;
use pgrx::{PgList, pg_guard, pg_sys};

use super::connection::{self, Connection};
use super::definition::{self, options};
use super::error::of_query;
use super::option::{bad_value, unknown_of, value_of};
use crate::pg::server::error::{Error, Result, unexpected};

/// The one schema that a SQLite file has.
const SCHEMA: &str = "main";

const OPTIONS: &[&str] =
    &["import_default", "import_not_null", "import_generated", "import_views", "integer", "identifiers"];

/// What the statement asks for.
struct Asked {
    has_defaults: bool,
    has_not_null: bool,
    has_generated: bool,
    has_views: bool,
    names: Options,
}

/// Gives one CREATE FOREIGN TABLE a table.
#[pg_guard]
pub unsafe extern "C-unwind" fn import_foreign_schema(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    server: pg_sys::Oid,
) -> *mut pg_sys::List {
    // SAFETY: the statement is the parser's; its names end with a NUL byte.
    unsafe { commands(statement, server).unwrap_or_else(|error| error.raise()) }
}

/// # Safety
/// As for the callback.
unsafe fn commands(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    server: pg_sys::Oid,
) -> Result<*mut pg_sys::List> {
    let text = |text: *const std::ffi::c_char| {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    // SAFETY: the caller's promise.
    let (remote, local, server_name, asked, kind, listed) = unsafe {
        let listed = PgList::<pg_sys::RangeVar>::from_pg((*statement).table_list);
        let listed: Vec<String> = listed.iter_ptr().map(|table| text((*table).relname)).collect();
        (
            text((*statement).remote_schema),
            text((*statement).local_schema),
            text((*statement).server_name),
            options((*statement).options),
            (*statement).list_type,
            listed,
        )
    };
    if remote != SCHEMA {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_FDW_SCHEMA_NOT_FOUND,
            format!("schema \"{remote}\" does not exist in a SQLite file"),
        )
        .detail("All tables of a SQLite file are in its schema main.")
        .hint(format!(
            "Run IMPORT FOREIGN SCHEMA main FROM SERVER {} INTO {};",
            quote(&server_name),
            quote(&local)
        )));
    }
    let asked = Asked::parse(&asked)?;
    let server = definition::server(server)?;
    let connection = connection::connect(&server)?;
    let catalogue = catalogue(&connection, &asked)?;
    let mut profiles = Profiles::new();
    for table in &catalogue.tables {
        if planner::needs_profile(table, &asked.names) {
            profiles.insert(table.name.clone(), connection.source().profile(table).map_err(of_query)?);
        }
    }
    // SAFETY: a number that is set when the server is built.
    let tables = planner::foreign_tables(&catalogue, &profiles, &asked.names, pg_sys::PG_VERSION_NUM)?;
    if kind == pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO {
        require_all(&listed, &tables)?;
    }
    let is_wanted = |table: &&ForeignTable| match kind {
        pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO => listed.contains(&table.name),
        pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_EXCEPT => !listed.contains(&table.name),
        _ => true,
    };
    let mut commands = PgList::<std::ffi::c_char>::new();
    for table in tables.iter().filter(is_wanted) {
        let command = CString::new(command(table, &local, &server_name, &asked)).map_err(unexpected)?;
        // SAFETY: the text is copied into the current context.
        commands.push(unsafe { pg_sys::pstrdup(command.as_ptr()) });
    }
    Ok(commands.into_pg())
}

impl Asked {
    fn parse(options: &[(String, String)]) -> Result<Asked> {
        if let Some((name, _)) = options.iter().find(|(name, _)| !OPTIONS.contains(&name.as_str())) {
            return Err(unknown_of(name, OPTIONS, "IMPORT FOREIGN SCHEMA"));
        }
        let flag = |name: &str, default: bool| match value_of(options, name) {
            None => Ok(default),
            Some("true" | "on" | "yes" | "1") => Ok(true),
            Some("false" | "off" | "no" | "0") => Ok(false),
            Some(other) => {
                Err(bad_value(name, other, "It is true or false.".to_owned(), "Write 'true' or 'false'."))
            }
        };
        let mut names = serde_json::Map::new();
        for (name, words) in [("integer", IntegerWidth::WORDS), ("identifiers", Identifiers::WORDS)] {
            let Some(value) = value_of(options, name) else { continue };
            if !words.contains(&value) {
                let near =
                    nearest(value, words.iter().copied()).or(words.first().copied()).unwrap_or_default();
                let hint = format!("Perhaps you meant '{near}'.");
                return Err(bad_value(name, value, format!("Allowed are {}.", words.join(", ")), &hint));
            }
            names.insert(name.to_owned(), value.into());
        }
        Ok(Asked {
            has_defaults: flag("import_default", false)?,
            has_not_null: flag("import_not_null", true)?,
            has_generated: flag("import_generated", true)?,
            has_views: flag("import_views", true)?,
            names: Options::parse(&serde_json::Value::Object(names))?,
        })
    }
}

/// The file's tables, and its views as tables of their columns. A view that cannot be read is a warning.
fn catalogue(connection: &Connection, asked: &Asked) -> Result<Catalogue> {
    let mut catalogue = connection.source().catalogue().map_err(of_query)?;
    let views: Vec<String> = catalogue
        .others
        .iter()
        .filter(|other| asked.has_views && other.kind == OtherKind::View)
        .map(|other| other.name.clone())
        .collect();
    for view in views {
        let read = connection.source().relation(&view).and_then(|found| match found {
            Some((table, _)) => connection.source().profile(&table).map(|_| Some(table)),
            None => Ok(None),
        });
        match read {
            Ok(Some(table)) => {
                // Its statement says nothing of its columns.
                let table = aliaport_plan::catalogue::Table { sql: String::new(), ..table };
                catalogue.tables.push(table);
            }
            Ok(None) => {}
            Err(error) if *error.kind() == aliaport_sqlite::SourceErrorKind::Interrupted => {
                return Err(of_query(error));
            }
            Err(error) => Error::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("SQLite view \"{view}\" is left out, because it cannot be read"),
            )
            .detail(error.detail().unwrap_or_else(|| error.to_string()))
            .hint("Open the file with the sqlite3 program and read the view there.")
            .into_report()
            .report(PgLogLevel::WARNING),
        }
    }
    Ok(catalogue)
}

/// Every name of LIMIT TO has to be one of a foreign table.
fn require_all(listed: &[String], tables: &[ForeignTable]) -> Result<()> {
    let Some(missing) = listed.iter().find(|name| tables.iter().all(|table| table.name != **name)) else {
        return Ok(());
    };
    let near = nearest(missing, tables.iter().map(|table| table.name.as_str()));
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
        format!("no foreign table would have the name \"{missing}\""),
    )
    .detail("LIMIT TO names foreign tables as the statement would call them.")
    .hint(match near {
        Some(near) => format!("Perhaps you meant {}.", quote(near)),
        None => {
            "Write names in double quotes where they are not in lower case, or leave LIMIT TO out.".to_owned()
        }
    }))
}

/// The statement for one table.
fn command(table: &ForeignTable, schema: &str, server: &str, asked: &Asked) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let mut text = format!("{} {}", quote(&column.name), column.pg_type);
            if column.name != column.source {
                text.push_str(&format!(" OPTIONS (column_name {})", quote_literal(&column.source)));
            }
            match (&column.generated, &column.default) {
                (Some(expression), _) if asked.has_generated => {
                    text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) STORED"));
                }
                (_, Some(expression)) if asked.has_defaults => {
                    text.push_str(&format!(" DEFAULT {expression}"));
                }
                _ => {}
            }
            if column.is_not_null && asked.has_not_null {
                text.push_str(" NOT NULL");
            }
            text
        })
        .collect();
    let name = if table.name == table.source {
        String::new()
    } else {
        format!(" OPTIONS (table_name {})", quote_literal(&table.source))
    };
    format!(
        "CREATE FOREIGN TABLE {}.{} ({}) SERVER {}{name}",
        quote(schema),
        quote(&table.name),
        columns.join(", "),
        quote(server)
    )
}
