//! Is this database ready for the source, and this server for the application?

use aliaport_plan::finding::{Finding, Server};
use aliaport_plan::inspect::{ALPHABET, Inspected};
use aliaport_plan::suggestion::Suggestion;
use aliaport_rows::identifier::{quote, quote_literal};
use aliaport_rows::pg_type::PgType;
use serde_json::json;

use super::Observation;
use super::content::Seen;
use crate::pg::server::encoding::Unfit;
use crate::pg::server::error::Result;
use crate::pg::server::{locks, settings, spi};

/// Connections that one worker process of the application may open: SQLAlchemy's pool_size and max_overflow
/// as the application plans them for PostgreSQL.
const POOL_SIZE: i64 = 20;
const MAX_OVERFLOW: i64 = 10;

/// What to do where naive times are local ones.
const LOCAL_TIME: &str =
    "if the application writes local time, import with options => '{\"timezone\":\"...\"}' and its time zone";

/// `contents` has one entry a table of the plan.
pub fn observe(inspected: &Inspected, contents: &[Seen]) -> Result<Vec<Observation>> {
    let mut out = Vec::new();
    out.extend(timezone(inspected)?);
    out.extend(collation(inspected, contents)?);
    out.push(connections()?);
    if let Some((finding, remedy)) = locks::warning(&inspected.plan)? {
        let suggestion =
            Suggestion::postgresql().run(remedy).note("it takes effect when the server is started again");
        out.push(Observation::new(finding, Some(suggestion)));
    }
    Ok(out)
}

fn database() -> Result<String> {
    Ok(spi::one::<String>("SELECT pg_catalog.current_database()::text", &[])?.unwrap_or_default())
}

/// All that can be said in a database that is not in UTF-8.
pub fn wrong_encoding() -> Result<Observation> {
    let Unfit { encoding, remedy, .. } = Unfit::of_this_database()?;
    let remedy = Suggestion::postgresql()
        .run(remedy)
        .note("then connect to it and run CREATE EXTENSION aliaport_import;");
    Ok(Observation::new(Finding::new(Server::Encoding(encoding)), Some(remedy)))
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
    let zone = inspected.plan.timezone.clone();
    let remedy = Suggestion::postgresql();
    let (why, remedy) = if with_zone > 0 && !is_same_zone(&session, &zone) {
        let set = format!("ALTER DATABASE {} SET timezone = {}", quote(&database()?), quote_literal(&zone));
        let remedy = remedy.run(set).note(
            "new sessions show them so; sessions that are there, and roles with a setting of their own, do not",
        );
        (Server::OtherZone(with_zone, zone, session), remedy)
    } else {
        (Server::Zone(with_zone + without, zone), remedy)
    };
    Ok(Some(Observation::new(Finding::new(why), Some(remedy.note(LOCAL_TIME)))))
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
fn collation(inspected: &Inspected, contents: &[Seen]) -> Result<Option<Observation>> {
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
    let alter = |name: &str| {
        format!(
            "ALTER TABLE {} ALTER COLUMN {} TYPE {} COLLATE {name}",
            plan.target,
            quote(&column.target),
            column.pg_type
        )
    };
    let ask = Suggestion::postgresql();
    let remedy = match &available {
        Some(name) => ask
            .note(format!("after the import: {};", alter(&quote(name))))
            .note(format!("or ORDER BY ... COLLATE {} in queries", quote(name))),
        None => ask
            .note("on a server built with ICU: CREATE COLLATION turkish (provider = icu, locale = 'tr-TR');")
            .note(format!("after the import: {};", alter("turkish"))),
    };
    let why = Server::Turkish { columns: turkish.len(), tables, database: database()?, available };
    let examples = turkish.iter().take(5).map(|(t, c)| json!({"table": t.source, "column": c.source}));
    let sample = Some(examples.collect());
    Ok(Some(Observation { sample, ..Observation::new(Finding::new(why), Some(remedy)) }))
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
    let ask = Suggestion::postgresql();
    let remedy = if usable < each {
        ask.run(format!("ALTER SYSTEM SET max_connections = {}", each + 10))
            .note("it takes effect when the server is started again; or put PgBouncer in front")
    } else {
        ask.note(format!(
            "for more workers raise max_connections by {each} each and start the server again, or put PgBouncer in front"
        ))
    };
    let why = Server::Connections(usable, POOL_SIZE, MAX_OVERFLOW);
    Ok(Observation::new(Finding::new(why), Some(remedy)))
}
