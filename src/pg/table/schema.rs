//! Which schema does an import go to, and may the caller put tables there?

use pgrx::prelude::*;

use crate::pg::server::error::{Error, Result};
use crate::pg::server::spi;

/// The schema an import goes to: the argument, else `current_schema()`.
///
/// # Errors
/// 3F000 where the named schema does not exist or the search_path has none.
pub fn schema_of_argument(argument: Option<&str>) -> Result<String> {
    let name = match argument {
        Some(name) => name.to_owned(),
        None => spi::one_for_caller::<String>("SELECT pg_catalog.current_schema()::pg_catalog.text", &[])?
            .ok_or_else(|| {
                Error::new(
                    PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME,
                    "no schema has been selected to import into",
                )
                .detail("No schema of the search_path exists.")
                .hint("Name one with target_schema, or set the search_path.")
            })?,
    };
    require_schema(&name)?;
    Ok(name)
}

/// Checks that tables may be put into a schema, as far as the schema itself decides it.
///
/// # Errors
/// 0A000 for a temporary schema, 42501 for one of the system or of this extension and for one without USAGE,
/// 3F000 for one that is not there.
pub fn require_schema(name: &str) -> Result<()> {
    // pg_temp is an alias, and every name that begins with pg_ is the system's.
    if ["pg_temp", "pg_toast_temp"].iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("cannot import into temporary schema \"{name}\""),
        )
        .detail("Its tables would end with the session, and the history would speak of tables that nobody can see.")
        .hint(
            "Name another schema with target_schema, for instance one that CREATE SCHEMA staging; makes and DROP SCHEMA staging CASCADE; takes away.",
        ));
    }
    if name.starts_with("pg_") || name == "information_schema" || name == "aliaport" {
        let whose = if name == "aliaport" { "aliaport_import's history" } else { "PostgreSQL's own objects" };
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied to import into schema \"{name}\""),
        )
        .detail(format!("That schema holds {whose}."))
        .hint("Name another schema with target_schema, or in the target of a table in options.tables."));
    }
    let has_usage = spi::one::<bool>(
        "SELECT pg_catalog.has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1",
        &[name.to_owned().into()],
    )?;
    let quoted = aliaport_rows::identifier::quote(name);
    match has_usage {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for schema {name}"),
        )
        .detail("The role that imports lacks USAGE on it.")
        .hint(format!("As the schema's owner, run GRANT USAGE ON SCHEMA {quoted} TO {};", caller()?))),
        None => Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME,
            format!("schema \"{name}\" does not exist"),
        )
        .detail("The import makes tables, not schemas.")
        .hint(format!("Run CREATE SCHEMA {quoted}; first."))),
    }
}

/// The role that imports, as a GRANT names it.
pub fn caller() -> Result<String> {
    let name = spi::one::<String>("SELECT CURRENT_USER::text", &[])?.unwrap_or_default();
    Ok(aliaport_rows::identifier::quote(&name))
}

/// The schemas of the caller's search_path, those included that PostgreSQL adds.
pub fn schemas_of_caller() -> Result<Vec<String>> {
    let schemas = spi::one_for_caller::<Vec<String>>(
        "SELECT pg_catalog.current_schemas(true)::pg_catalog.text[]",
        &[],
    )?;
    Ok(schemas.unwrap_or_default())
}
