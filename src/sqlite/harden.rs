//! What a connection to an untrusted file may do: read, by a short list of ways, within limits.
//!
//! The schema in the file is code: generated columns, index expressions, views and triggers call functions
//! when they are touched (<https://sqlite.org/security.html>). So views and triggers are off, schema
//! expressions may only call functions that SQLite marks as harmless, and an authorizer refuses every action,
//! PRAGMA and function that is not listed here.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use rusqlite::limits::Limit;

/// Sets the switches and limits, then closes the door behind itself.
pub(crate) fn harden(connection: &mut Connection) -> rusqlite::Result<()> {
    for (switch, value) in SWITCHES {
        connection.set_db_config(*switch, *value)?;
    }
    for (limit, value) in LIMITS {
        connection.set_limit(*limit, *value)?;
    }
    connection.execute_batch(SETTINGS)?;
    admit(connection, BTreeSet::new())
}

/// Lets these functions be called too, named in lower case.
pub(crate) fn admit(connection: &mut Connection, functions: BTreeSet<String>) -> rusqlite::Result<()> {
    connection.authorizer(Some(move |context: AuthContext<'_>| authorize(context.action, &functions)))
}

/// Whether a function, named in any case, is one of those that may be called in any file.
pub(crate) fn is_known_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

const SWITCHES: &[(DbConfig, bool)] = &[
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
    (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    // Values of parameters are no reason to compile a statement again, which the limit of their number
    // forbids.
    (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    // A misspelt "column" in a filter is an error, not a text. Schemas of old applications rely on it: DDL
    // keeps it.
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
];

const LIMITS: &[(Limit, i32)] = &[
    // PostgreSQL's own limit of a value is 1 GiB - 1; SQLite cuts this to its compiled-in 1,000,000,000.
    (Limit::SQLITE_LIMIT_LENGTH, 0x3fff_ffff),
    // 2,000 columns with long names and defaults make a statement of some 100 kB.
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 16 << 20),
    // integrity_check of 10,000 tables with 20 columns needs some 6,000,000 instructions.
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000_000),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 0),
];

/// `mmap_size`: a file that is cut while it is mapped kills the process, and with it every session of the
/// server.
const SETTINGS: &str = "
    PRAGMA query_only = 1;
    PRAGMA cell_size_check = 1;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
";

fn authorize(action: AuthAction<'_>, more: &BTreeSet<String>) -> Authorization {
    let is_allowed = match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Transaction {
            operation: TransactionOperation::Begin | TransactionOperation::Rollback,
        } => true,
        AuthAction::Pragma { pragma_name, pragma_value } => PRAGMAS.iter().any(|(name, takes_value)| {
            name.eq_ignore_ascii_case(pragma_name) && *takes_value == pragma_value.is_some()
        }),
        AuthAction::Function { function_name } => {
            is_known_function(function_name) || more.contains(&function_name.to_ascii_lowercase())
        }
        _ => false,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

/// The PRAGMAs that are used here, and whether with an argument: with one, some of them would set something.
const PRAGMAS: &[(&str, bool)] = &[
    ("collation_list", false),
    ("data_version", false),
    ("encoding", false),
    ("foreign_key_list", true),
    ("index_list", true),
    ("index_xinfo", true),
    ("integrity_check", true),
    ("journal_mode", false),
    ("page_count", false),
    ("page_size", false),
    ("quick_check", true),
    ("table_xinfo", true),
];

/// Functions that a filter, a default, a generated column or an index expression may call: SQLite's own that
/// compute a value from their arguments (<https://sqlite.org/lang_corefunc.html>, `lang_datefunc`, `json1`,
/// `lang_aggfunc`). Left out are those that reach outside (`load_extension`, `fts3_tokenizer`) or belong to
/// virtual tables.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "->", "->>", "abs", "avg", "char", "coalesce", "concat", "concat_ws", "count", "current_date",
    "current_time", "current_timestamp", "date", "datetime", "format", "glob", "group_concat", "hex", "if",
    "ifnull", "iif", "instr", "json", "json_array", "json_array_insert", "json_array_length",
    "json_error_position", "json_extract", "json_group_array", "json_group_object", "json_insert",
    "json_object", "json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set",
    "json_type", "json_valid", "jsonb", "jsonb_array", "jsonb_array_insert", "jsonb_extract",
    "jsonb_group_array", "jsonb_group_object", "jsonb_insert", "jsonb_object", "jsonb_patch", "jsonb_remove",
    "jsonb_replace", "jsonb_set", "julianday", "length", "like", "likelihood", "likely", "lower", "ltrim",
    "max", "min", "nullif", "octet_length", "printf", "quote", "random", "randomblob", "replace", "round",
    "rtrim", "sign", "soundex", "strftime", "string_agg", "substr", "substring", "subtype", "sum", "time",
    "timediff", "total", "trim", "typeof", "unhex", "unicode", "unistr", "unistr_quote", "unixepoch",
    "unlikely", "upper", "zeroblob",
];
