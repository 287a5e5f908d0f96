//! Where rows wait that cannot go straight into their table: a temporary table with the target's types,
//! filled by the bulk path and not written to the log.
//!
//! What has to be known about the rows before they meet the target's own is found out here, set-wise: keys
//! that are there already, missing parents, and in mode sync what differs. Then one statement a table moves
//! them, so that everything that an INSERT does happens: defaults, domains, partition routing, row security,
//! indexes, triggers.

use aliaport_plan::plan::TablePlan;
use aliaport_rows::identifier::{QualifiedName, quote};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::schema;
use crate::pg::server::error::{Error, Result, unexpected};
use crate::pg::server::spi;

/// A stage. It lives until [`Stage::drop`], or until its (sub)transaction fails.
pub struct Stage {
    /// The temporary table.
    pub table: QualifiedName,
    /// Its OID.
    pub relation: pg_sys::Oid,
    /// The rows that go into it are for this table.
    pub target: pg_sys::Oid,
    /// The columns in the plan's order: attribute, and the base type where the target's type is a domain.
    columns: Vec<(String, Option<String>)>,
}

impl Stage {
    /// Makes the stage of a table. `number` tells the stages of one import apart.
    pub fn create(plan: &TablePlan, target: pg_sys::Oid, number: usize) -> Result<Self> {
        require_temporary()?;
        let table =
            QualifiedName { schema: "pg_temp".to_owned(), name: format!("aliaport_import_stage_{number}") };
        let names: Vec<String> = plan.columns.iter().map(|c| c.target.clone()).collect();
        let columns = spi::rows(
            "WITH RECURSIVE base AS ( \
                 SELECT a.attname, a.attnum, a.atttypid AS typid, a.atttypmod AS typmod, a.attcollation, false AS is_domain \
                 FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname::text = ANY ($2) AND NOT a.attisdropped \
               UNION ALL \
                 SELECT b.attname, b.attnum, t.typbasetype, t.typtypmod, b.attcollation, true \
                 FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd') \
             SELECT b.attname::text, pg_catalog.format_type(b.typid, b.typmod), b.is_domain, \
                    ' COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname) \
             FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid \
             LEFT JOIN pg_catalog.pg_collation c ON c.oid = b.attcollation \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
             WHERE t.typtype <> 'd' ORDER BY pg_catalog.array_position($2, b.attname::text)",
            &[target.into(), names.into()],
            |row| {
                Ok((
                    row.get::<String>(1)?.unwrap_or_default(),
                    row.get::<String>(2)?.unwrap_or_default(),
                    row.get::<bool>(3)?.unwrap_or(false),
                    row.get::<String>(4)?.unwrap_or_default(),
                ))
            },
        )?;
        let definitions: Vec<String> = columns
            .iter()
            .map(|(name, base, _, collation)| format!("{} {base}{collation}", quote(name)))
            .collect();
        spi::run(&format!("CREATE TEMPORARY TABLE {table} ({})", definitions.join(", ")))?;
        let relation = spi::one::<pg_sys::Oid>(
            "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
            &[table.to_string().into()],
        )?
        .ok_or_else(|| unexpected("absence of a temporary table"))?;
        let columns =
            columns.into_iter().map(|(name, base, is_domain, _)| (name, is_domain.then_some(base))).collect();
        Ok(Stage { table, relation, target, columns })
    }

    /// The columns, quoted, with commas between them.
    pub fn columns(&self) -> String {
        self.each_column("")
    }

    /// The same with a prefix such as `s.` before each.
    pub fn each_column(&self, prefix: &str) -> String {
        self.columns.iter().map(|(c, _)| format!("{prefix}{}", quote(c))).collect::<Vec<_>>().join(", ")
    }

    /// The target's own columns in the types of the stage: a domain's values as its base type has them.
    pub fn target_columns(&self, prefix: &str) -> String {
        let one = |(name, base): &(String, Option<String>)| match base {
            Some(base) => format!("{prefix}{}::{base} AS {}", quote(name), quote(name)),
            None => format!("{prefix}{}", quote(name)),
        };
        self.columns.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Moves every row into the target with one INSERT.
    pub fn insert_all(&self, target: &QualifiedName) -> Result<i64> {
        let columns = self.columns();
        // OVERRIDING SYSTEM VALUE: keys are kept, also where the target's identity is GENERATED ALWAYS.
        spi::count_for_caller(&format!(
            "INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {}",
            self.table
        ))
    }

    /// Drops the temporary table.
    pub fn drop(self) -> Result<()> {
        spi::run(&format!("DROP TABLE {}", self.table))
    }
}

/// Refuses a caller who may not make temporary tables, with the statement that lets him.
fn require_temporary() -> Result<()> {
    let lacking = spi::one::<String>(
        "SELECT pg_catalog.current_database()::text \
         WHERE NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')",
        &[],
    )?;
    let Some(database) = lacking else { return Ok(()) };
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied to create temporary tables in database \"{database}\""),
    )
    .detail("Rows for a table that has rows already, or that needs what only an INSERT does, wait in a temporary table.")
    .hint(format!(
        "As the database's owner, run GRANT TEMPORARY ON DATABASE {} TO {};",
        quote(&database),
        schema::caller()?
    )))
}
