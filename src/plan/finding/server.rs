//! The database and the server that an import goes to.

use std::fmt;

use aliaport_rows::identifier::quote;

use super::{Code, Finding, Severity, Topic, counted};

/// What is to be known of the database and its server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// It has this encoding, which is not UTF-8.
    Encoding(String),
    /// So many columns are read in this time zone, and shown in that of the session.
    OtherZone(usize, String, String),
    /// So many columns are read in this time zone.
    Zone(usize, String),
    /// Texts are not sorted as Turkish.
    Turkish {
        /// Columns that have such texts.
        columns: usize,
        /// Their tables.
        tables: usize,
        /// The database.
        database: String,
        /// A collation that sorts them.
        available: Option<String>,
    },
    /// So many connections are usable by workers of the application that open so many each, and some more
    /// at times.
    Connections(i64, i64, i64),
    /// The table of locks may be too small.
    Locks(Locks),
}

/// The locks that an import takes, and the room that the server has for them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Locks {
    /// Tables that are made.
    pub tables: usize,
    /// Locks that are taken at least.
    pub needed: i64,
    /// What the table of locks holds by its settings.
    pub nominal: i64,
    /// `max_locks_per_transaction`.
    pub each: i64,
    /// The number of sessions and prepared transactions that share the table.
    pub sessions: i64,
    /// The import cannot work, not even where nobody else holds a lock.
    pub is_too_small: bool,
}

impl fmt::Display for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tables with their indexes, sequences and TOAST tables take {} locks in one transaction, and the server has room for about {} \
             (max_locks_per_transaction {} for each of {} sessions)",
            self.tables, self.needed, self.nominal, self.each, self.sessions
        )
    }
}

impl Topic for Server {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Server::Encoding(_) => Code::ServerEncoding,
            Server::OtherZone(..) | Server::Zone(..) => Code::ServerTimezone,
            Server::Turkish { .. } => Code::ServerCollation,
            Server::Connections(..) | Server::Locks(_) => Code::ConnectionCapacity,
        }
    }

    fn severity(&self, _of: &Finding) -> Severity {
        match self {
            Server::Encoding(_) => Severity::Error,
            Server::Locks(locks) if locks.is_too_small => Severity::Error,
            Server::Zone(..) | Server::Turkish { available: Some(_), .. } => Severity::Info,
            Server::Connections(usable, pool, more) if usable / (pool + more) > 0 => Severity::Info,
            _ => Severity::Warning,
        }
    }

    fn tell(&self, _of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = |n: &usize| counted(*n as u64, "column", "columns");
        match self {
            Server::Encoding(encoding) => write!(
                f,
                "the encoding of this database is {encoding}, and an import needs UTF-8; the file was not looked at"
            ),
            Server::OtherZone(n, zone, session) => write!(
                f,
                "date-times without an offset are taken as {zone}, and a session with TimeZone {session} shows {} of type timestamp with time zone in its own",
                columns(n)
            ),
            Server::Zone(n, zone) => {
                write!(f, "date-times without an offset in {} are taken as {zone}", columns(n))
            }
            Server::Turkish { columns: n, tables, database, available } => {
                write!(
                    f,
                    "{} of {} hold{} Turkish text, which the default collation of database \"{database}\" does not sort and fold as Turkish",
                    columns(n),
                    counted(*tables as u64, "table", "tables"),
                    if *n == 1 { "s" } else { "" }
                )?;
                match available {
                    Some(name) => write!(f, "; collation {} does", quote(name)),
                    None => f.write_str(", and the server has no Turkish collation"),
                }
            }
            Server::Connections(usable, pool, more) => {
                let workers = usable / (pool + more);
                write!(
                    f,
                    "{usable} connections are usable (max_connections without the reserved ones, or the database's limit): \
                     enough for {workers} {} of the application with pool_size {pool} and max_overflow {more} each",
                    if workers == 1 { "worker" } else { "workers" }
                )
            }
            Server::Locks(locks) => write!(f, "{locks}"),
        }
    }
}
