//! Is this database ready for the source, and this server for the application?

use aliaport_plan::finding::{Code, Severity};
use aliaport_plan::inspect::{ALPHABET, Inspected};
use aliaport_rows::identifier::{quote, quote_literal};
use aliaport_rows::pg_type::PgType;
use serde_json::json;

use super::content::Content;
use super::{Observation, counted};
use crate::pg::server::encoding::Unfit;
use crate::pg::server::error::Result;
use crate::pg::server::{locks, settings, spi};

/// Connections that one worker process of the application may open: SQLAlchemy's pool_size and max_overflow
/// as the application plans them for PostgreSQL.
const POOL_SIZE: i64 = 20;
const MAX_OVERFLOW: i64 = 10;

/// `contents` has one entry a table of the plan.
pub fn observe(inspected: &Inspected, contents: &[Content]) -> Result<Vec<Observation>> {
    let mut out = Vec::new();
    out.extend(timezone(inspected)?);
    out.extend(collation(inspected, contents)?);
    out.push(connections()?);
    if let Some((finding, remedy)) = locks::warning(&inspected.plan)? {
        let suggestion = format!("-- postgresql\n{remedy} -- takes effect when the server is started again");
        out.push(Observation::of_all(
            finding.severity(),
            finding.code(),
            finding.to_string(),
            Some(suggestion),
        ));
    }
    Ok(out)
}

fn database() -> Result<String> {
    Ok(spi::one::<String>("SELECT pg_catalog.current_database()::text", &[])?.unwrap_or_default())
}

/// All that can be said in a database that is not in UTF-8.
pub fn wrong_encoding() -> Result<Observation> {
    let Unfit { encoding, remedy, .. } = Unfit::of_this_database()?;
    Ok(Observation::of_all(
        Severity::Error,
        Code::ServerEncoding,
        format!(
            "the encoding of this database is {encoding}, and an import needs UTF-8; the file was not looked at"
        ),
        Some(format!("{remedy} -- then connect to it and run CREATE EXTENSION aliaport_import;")),
    ))
}

/// Naive times are instants in `options.timezone`; the session's TimeZone only decides how `timestamptz` is
/// shown.
fn timezone(inspected: &Inspected) -> Result<Option<Observation>> {
    let types = || inspected.plan.tables.iter().flat_map(|t| &t.columns).map(|c| &c.pg_type);
    let with_zone = types().filter(|t| matches!(t, PgType::TimestampTz(_))).count();
    let without = types().filter(|t| matches!(t, PgType::Timestamp(_))).count();
    if with_zone + without == 0 {
        return Ok(None);
    }
    let session = settings::session_time_zone();
    let zone = &inspected.plan.timezone;
    let columns = |n: usize| counted(n as u64, "column", "columns");
    if with_zone > 0 && !is_same_zone(&session, zone) {
        return Ok(Some(Observation::of_all(
            Severity::Warning,
            Code::ServerTimezone,
            format!(
                "date-times without an offset are taken as {zone}, and a session with TimeZone {session} shows {} of type timestamp with time zone in its own",
                columns(with_zone)
            ),
            Some(format!(
                "ALTER DATABASE {} SET timezone = {}; or import with options => '{{\"timezone\":\"...\"}}' if the application writes local time",
                quote(&database()?),
                quote_literal(zone)
            )),
        )));
    }
    Ok(Some(Observation::of_all(
        Severity::Info,
        Code::ServerTimezone,
        format!("date-times without an offset in {} are taken as {zone}", columns(with_zone + without)),
        Some("options => '{\"timezone\":\"...\"}' if the application writes local time".to_owned()),
    )))
}

fn is_same_zone(a: &str, b: &str) -> bool {
    let is_utc = |zone: &str| {
        ["UTC", "Etc/UTC", "UCT", "Etc/UCT", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "Universal"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(zone))
    };
    a.eq_ignore_ascii_case(b) || (is_utc(a) && is_utc(b))
}

/// Whether Turkish text of the source will be sorted and folded as Turkish readers expect.
fn collation(inspected: &Inspected, contents: &[Content]) -> Result<Option<Observation>> {
    let plans = inspected.plan.tables.iter().zip(contents);
    let turkish: Vec<_> = plans
        .flat_map(|(plan, content)| {
            plan.columns
                .iter()
                .zip(&content.turkish)
                .filter(|(c, is_turkish)| **is_turkish && is_collatable(&c.pg_type))
                .map(move |(c, _)| (plan, c))
        })
        .collect();
    let Some((plan, column)) = turkish.first() else { return Ok(None) };
    let sorts = spi::one::<bool>(
        "SELECT pg_catalog.string_agg(l, '' ORDER BY l) = $1 AND pg_catalog.upper('i'::text) = 'İ' \
         FROM pg_catalog.regexp_split_to_table($1, '') AS l",
        &[ALPHABET.to_owned().into()],
    )?;
    if sorts == Some(true) {
        return Ok(None);
    }
    let available = spi::one::<String>(
        "SELECT c.collname::text FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
         WHERE n.nspname = 'pg_catalog' AND (c.collname = 'tr-x-icu' OR c.collname ~ '^tr_TR') \
           AND c.collencoding IN (-1, pg_catalog.pg_char_to_encoding(pg_catalog.getdatabaseencoding())) \
         ORDER BY c.collname <> 'tr-x-icu', c.collname LIMIT 1",
        &[],
    )?;
    let tables = turkish.iter().map(|(t, _)| &t.source).collect::<std::collections::BTreeSet<_>>().len();
    let what = format!(
        "{} of {} hold{} Turkish text, which the default collation of database \"{}\" does not sort and fold as Turkish",
        counted(turkish.len() as u64, "column", "columns"),
        counted(tables as u64, "table", "tables"),
        if turkish.len() == 1 { "s" } else { "" },
        database()?
    );
    let alter = |name: &str| {
        format!(
            "ALTER TABLE {} ALTER COLUMN {} TYPE {} COLLATE {name};",
            plan.target,
            quote(&column.target),
            column.pg_type
        )
    };
    let mut observation = match available {
        Some(name) => Observation::of_all(
            Severity::Info,
            Code::ServerCollation,
            format!("{what}; collation {} does", quote(&name)),
            Some(format!(
                "{} after the import, or ORDER BY ... COLLATE {} in queries",
                alter(&quote(&name)),
                quote(&name)
            )),
        ),
        None => Observation::of_all(
            Severity::Warning,
            Code::ServerCollation,
            format!("{what}, and the server has no Turkish collation"),
            Some(format!(
                "CREATE COLLATION turkish (provider = icu, locale = 'tr-TR'); {} after the import, on a server built with ICU or with the locale tr_TR.UTF-8",
                alter("turkish")
            )),
        ),
    };
    let examples = turkish.iter().take(5).map(|(t, c)| json!({"table": t.source, "column": c.source}));
    observation.sample = Some(examples.collect());
    Ok(Some(observation))
}

fn is_collatable(pg_type: &PgType) -> bool {
    matches!(pg_type, PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Citext)
}

/// How many workers of the application the server has connections for.
fn connections() -> Result<Observation> {
    // reserved_connections came with PostgreSQL 16. A limit of -1 is none.
    let usable = spi::one::<i64>(
        "SELECT LEAST( \
           pg_catalog.current_setting('max_connections')::int8 - pg_catalog.current_setting('superuser_reserved_connections')::int8 \
             - COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::int8, \
           NULLIF(d.datconnlimit, -1)::int8) \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
        &[],
    )?
    .unwrap_or(0)
    .max(0);
    let each = POOL_SIZE + MAX_OVERFLOW;
    let workers = usable / each;
    let message = format!(
        "{usable} connections are usable (max_connections without the reserved ones, or the database's limit): \
         enough for {workers} {} of the application with pool_size {POOL_SIZE} and max_overflow {MAX_OVERFLOW} each",
        if workers == 1 { "worker" } else { "workers" }
    );
    if workers == 0 {
        let suggestion = format!(
            "ALTER SYSTEM SET max_connections = {}; and restart, or put PgBouncer in front",
            each + 10
        );
        return Ok(Observation::of_all(
            Severity::Warning,
            Code::ConnectionCapacity,
            message,
            Some(suggestion),
        ));
    }
    let suggestion = format!(
        "for more workers ALTER SYSTEM SET max_connections ({each} each) and restart, or put PgBouncer in front"
    );
    Ok(Observation::of_all(Severity::Info, Code::ConnectionCapacity, message, Some(suggestion)))
}
