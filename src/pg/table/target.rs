//! What the target schema holds already, read from PostgreSQL's catalogue.

use std::collections::HashMap;

use aliaport_plan::plan::{Action, ForeignKeyPlan, Plan, TablePlan};
use aliaport_plan::target::{EmptyBy, Past, Target, TargetColumn, TargetRelation};
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::pg_type::{PgType, Shape};
use pgrx::pg_sys;

use pgrx::prelude::*;

use super::foreign_key::is_partition_copy;
use super::sequence::{calls_a_function, column_default};
use crate::pg::heap::standing::{self, Standing};
use crate::pg::server::error::{Error, Result};
use crate::pg::server::{compat, guc, spi};

/// The schema an import goes to: the argument, else `current_schema()`.
///
/// # Errors
/// 3F000 where the named schema does not exist or the search_path has none.
pub fn schema(argument: Option<&str>) -> Result<String> {
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

/// The OID of a relation by its exact name.
pub fn relation_oid(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    spi::one::<pg_sys::Oid>(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
        &[schema.to_owned().into(), name.to_owned().into()],
    )
}

/// A table's name as regclass will print it, whether or not the table is there yet: qualified where no schema
/// of the search_path shows it, or another one hides it.
pub fn printed_name(table: &QualifiedName) -> Result<String> {
    let path = schemas_of_caller()?;
    let is_visible = spi::one::<bool>(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.unnest($3) WITH ORDINALITY AS u(schema, n) \
                            JOIN pg_catalog.pg_namespace s ON s.nspname = u.schema \
                            JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = $2 \
                            WHERE u.n < pg_catalog.array_position($3, $1)) \
         WHERE $1 = ANY ($3)",
        &[table.schema.clone().into(), table.name.clone().into(), path.into()],
    )?;
    Ok(if is_visible == Some(true) {
        quote_as_needed(&table.name)?
    } else {
        format!("{}.{}", quote_as_needed(&table.schema)?, quote_as_needed(&table.name)?)
    })
}

/// The schemas of the caller's search_path, those included that PostgreSQL adds.
fn schemas_of_caller() -> Result<Vec<String>> {
    let schemas = spi::one_for_caller::<Vec<String>>(
        "SELECT pg_catalog.current_schemas(true)::pg_catalog.text[]",
        &[],
    )?;
    Ok(schemas.unwrap_or_default())
}

/// A relation's name as regclass prints it for the caller.
pub fn regclass(relation: pg_sys::Oid) -> Result<String> {
    let printed =
        spi::one_for_caller::<String>("SELECT $1::pg_catalog.regclass::pg_catalog.text", &[relation.into()])?;
    Ok(printed.unwrap_or_default())
}

/// What the database knows of a type that the caller names: how it is called, with its schema where it is not
/// PostgreSQL's own, and what its values are made of; `None` where there is no such type. The caller's
/// search_path finds it, as in a CREATE TABLE of his; statements of ours would not.
pub fn type_of_caller(name: &str) -> Result<Option<(String, Shape)>> {
    let args = || [name.to_owned().into()];
    let is_own = spi::one::<bool>("SELECT pg_catalog.to_regtype($1) IS NOT NULL", &args())? == Some(true);
    if !is_own
        && spi::one_for_caller::<bool>("SELECT pg_catalog.to_regtype($1) IS NOT NULL", &args())? != Some(true)
    {
        return Ok(None);
    }
    let (oid, typmod) = compat::parse_type(name)?;
    if is_pseudo_type(oid)? {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_TABLE_DEFINITION,
            format!("type \"{name}\" is a pseudo-type, which no column can have"),
        )
        .detail("A column's type in options.tables names it.")
        .hint("Name a type that a table's column can have."));
    }
    let printed = if is_own {
        Some(name.to_owned())
    } else {
        spi::one::<String>("SELECT pg_catalog.format_type($1, $2)", &[oid.into(), typmod.into()])?
    };
    Ok(Some((printed.unwrap_or_default(), shape(oid, typmod, DEEPEST)?)))
}

/// The extension that a type which is not there is called like, where the server has it and the database has
/// not.
pub fn extension_of(name: &str) -> Result<Option<String>> {
    let base = name.split(['[', '(']).next().unwrap_or_default();
    let base = base.rsplit('.').next().unwrap_or_default().trim().trim_matches('"').to_lowercase();
    spi::one::<String>(
        "SELECT pg_catalog.quote_ident(name) FROM pg_catalog.pg_available_extensions WHERE name = $1 AND installed_version IS NULL",
        &[base.into()],
    )
}

fn is_pseudo_type(oid: pg_sys::Oid) -> Result<bool> {
    Ok(spi::one::<bool>("SELECT typtype = 'p' FROM pg_catalog.pg_type WHERE oid = $1", &[oid.into()])?
        == Some(true))
}

fn quote_as_needed(name: &str) -> Result<String> {
    Ok(spi::one::<String>("SELECT pg_catalog.quote_ident($1)", &[name.to_owned().into()])?
        .unwrap_or_default())
}

/// Reads the relations of `schemas`, with the columns and keys of those that `is_wanted` names. Whether a
/// table is empty is looked at only where `is_filled` says that rows may go there (a look needs SELECT, takes
/// a lock and reads a page), all others count as not empty.
pub fn read(
    schema: &str,
    schemas: &[String],
    is_wanted: impl Fn(&str) -> bool,
    is_filled: impl Fn(&str) -> bool,
) -> Result<Target> {
    let server_version =
        spi::one::<i32>("SELECT pg_catalog.current_setting('server_version_num')::int", &[])?;
    let mut relations = spi::rows(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = ANY ($1) AND c.relkind IN ('r','p','v','m','f','S','i','I','c') ORDER BY c.oid",
        &[schemas.to_vec().into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                TargetRelation {
                    schema: row.get::<String>(2)?.unwrap_or_default(),
                    name: row.get::<String>(3)?.unwrap_or_default(),
                    kind: row.get::<String>(4)?.and_then(|k| k.chars().next()).unwrap_or('?'),
                    is_empty: false,
                    columns: Vec::new(),
                    keys: Vec::new(),
                },
            ))
        },
    )?;
    let mut empty_by = guc::replace_method();
    for (oid, relation) in &mut relations {
        if !matches!(relation.kind, 'r' | 'p' | 'v' | 'm' | 'f') || !is_wanted(&relation.name) {
            continue;
        }
        relation.columns = columns(*oid)?;
        relation.keys = keys(*oid)?;
        if matches!(relation.kind, 'r' | 'p') && is_filled(&relation.name) {
            let name = QualifiedName { schema: relation.schema.clone(), name: relation.name.clone() };
            require_select(*oid, &name)?;
            relation.is_empty = is_empty(&name)?;
            if !is_deletable(*oid)? {
                empty_by = EmptyBy::Truncate;
            }
        }
    }
    let citext_schema = spi::one::<String>(
        "SELECT n.nspname::text FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' \
         JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid \
         WHERE t.typname = 'citext' AND e.extname = 'citext'",
        &[],
    )?;
    Ok(Target {
        citext_schema,
        schema: schema.to_owned(),
        server_version: server_version.and_then(|v| u32::try_from(v).ok()).unwrap_or(0),
        relations: relations.into_iter().map(|(_, relation)| relation).collect(),
        empty_by,
        past: Past::default(),
    })
}

/// Has mode replace empty a table that others inherit from without these: their rows are not the import's.
pub fn spare_heirs(plan: &mut Plan) -> Result<()> {
    if !plan.steps.iter().any(|step| step.action == Action::Truncate) {
        return Ok(());
    }
    let there: Vec<(usize, QualifiedName)> = plan
        .tables
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.is_created)
        .map(|(i, t)| (i, t.target.clone()))
        .collect();
    let mut items = Vec::with_capacity(there.len());
    for (_, name) in &there {
        items.push(match relation_oid(&name.schema, &name.name)? {
            Some(relation) if has_heirs(relation)? => standing::from(relation, name)?,
            _ => name.to_string(),
        });
    }
    for step in plan.steps.iter_mut().filter(|step| step.action == Action::Truncate) {
        step.sql = match step.table {
            Some(table) => {
                let Some(at) = there.iter().position(|(i, _)| *i == table) else { continue };
                format!("DELETE FROM {}", items.get(at).map_or("", String::as_str))
            }
            None => format!("TRUNCATE TABLE {}", items.join(", ")),
        };
    }
    Ok(())
}

/// Whether other tables inherit from an ordinary table.
fn has_heirs(relation: pg_sys::Oid) -> Result<bool> {
    let heirs = spi::one::<bool>(
        "SELECT c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[relation.into()],
    )?;
    Ok(heirs == Some(true))
}

/// Whether a table has rows decides what an import may do and which way it takes, so the caller must be
/// allowed to know.
fn require_select(relation: pg_sys::Oid, name: &QualifiedName) -> Result<()> {
    let allowed = spi::one::<bool>(
        "SELECT pg_catalog.has_any_column_privilege($1::pg_catalog.oid, 'SELECT')",
        &[relation.into()],
    )?;
    if allowed != Some(false) {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for table {}", name.name),
    )
    .detail(format!("Whether {name} has rows has to be known, and the caller lacks SELECT on it."))
    .hint(format!("As the table's owner, run GRANT SELECT ON {name} TO {};", caller()?)))
}

/// What relations are like, by schema and name, as texts to compare: which relation it is, its columns, its
/// keys.
pub type Shapes = HashMap<(String, String), String>;

/// The shapes of every table in some schemas.
pub fn shapes(schemas: &[String]) -> Result<Shapes> {
    let found = spi::rows(
        "SELECT n.nspname::text, c.relname::text, pg_catalog.concat_ws(' ', c.oid, c.relkind, c.relam, \
             (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, \
                         a.atthasdef, a.attidentity, a.attgenerated, a.attisdropped), ';' ORDER BY a.attnum) \
              FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
             (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', i.indexrelid, i.indisunique, i.indisprimary, i.indisvalid), ';' ORDER BY i.indexrelid) \
              FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid)) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        &[schemas.to_vec().into()],
        |row| {
            let (schema, name) =
                (row.get::<String>(1)?.unwrap_or_default(), row.get::<String>(2)?.unwrap_or_default());
            Ok(((schema, name), row.get::<String>(3)?.unwrap_or_default()))
        },
    )?;
    Ok(found.into_iter().collect())
}

/// Whether a table holds no row that this transaction sees.
pub fn is_empty(name: &QualifiedName) -> Result<bool> {
    Ok(spi::one_for_caller::<bool>(&format!("SELECT NOT EXISTS (SELECT 1 FROM {name})"), &[])?
        .unwrap_or(false))
}

/// Whether a DELETE of the caller's takes every row of a table with it. TRUNCATE needs a privilege of its own
/// instead, knows no row security and no rules, and every access method has it.
fn is_deletable(relation: pg_sys::Oid) -> Result<bool> {
    Ok(spi::one::<bool>(
        "SELECT pg_catalog.has_table_privilege(oid, 'DELETE') AND NOT relhasrules AND NOT pg_catalog.row_security_active(oid) \
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_am am WHERE am.oid = relam AND am.amname <> 'heap') \
         FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.into()],
    )?
    .unwrap_or(false))
}

fn columns(relation: pg_sys::Oid) -> Result<Vec<TargetColumn>> {
    spi::rows(
        concat!(
        "WITH RECURSIVE base AS ( \
             SELECT a.attnum, a.atttypid AS typid, a.atttypmod AS typmod, a.attnotnull AS is_not_null \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
           UNION ALL \
             SELECT b.attnum, t.typbasetype, t.typtypmod, b.is_not_null OR t.typnotnull \
             FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd') \
         SELECT a.attname::text, b.typid, b.typmod, b.is_not_null, \
                CASE WHEN b.typid <> a.atttypid THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END, \
                a.atthasdef OR a.attidentity <> '' OR f.tree IS NOT NULL, a.attidentity::text, a.attgenerated::text, \
                pg_catalog.format_type(b.typid, b.typmod), t.typtype::text, t.typname::text, \
                pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname) IS NOT NULL \
                  OR COALESCE(f.text LIKE '%nextval(%', false) \
                  OR t.typcategory IN ('N', 'S') AND EXISTS (SELECT FROM pg_catalog.pg_index i \
                         WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])) AND ",
            calls_a_function!("f.tree"),
            " \
         FROM base b \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = b.typid ",
            column_default!(),
            " WHERE t.typtype <> 'd' ORDER BY a.attnum"
        ),
        &[relation.into()],
        |row| {
            let type_oid = row.get::<pg_sys::Oid>(2)?.unwrap_or(pg_sys::InvalidOid);
            let generated = row.get::<String>(8)?.unwrap_or_default();
            Ok((
                type_oid,
                row.get::<i32>(3)?.unwrap_or(-1),
                row.get::<String>(9)?.unwrap_or_default(),
                row.get::<String>(10)?.unwrap_or_default(),
                row.get::<String>(11)?.unwrap_or_default(),
                TargetColumn {
                    name: row.get::<String>(1)?.unwrap_or_default(),
                    pg_type: PgType::Text,
                    domain: row.get::<String>(5)?,
                    is_not_null: row.get::<bool>(4)?.unwrap_or(false),
                    has_default: row.get::<bool>(6)?.unwrap_or(false),
                    is_identity_always: row.get::<String>(7)?.is_some_and(|i| i == "a"),
                    is_generated: !generated.is_empty(),
                    has_sequence: row.get::<bool>(12)?.unwrap_or(false),
                },
            ))
        },
    )?
    .into_iter()
    .map(|(oid, typmod, printed, kind, type_name, mut column)| {
        column.pg_type = pg_type(oid, typmod, printed, &kind, &type_name, DEEPEST)?;
        Ok(column)
    })
    .collect()
}

fn keys(relation: pg_sys::Oid) -> Result<Vec<Vec<String>>> {
    spi::rows(
        "SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                      WHERE k.n <= i.indnkeyatts ORDER BY k.n) \
         FROM pg_catalog.pg_index i \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid \
           AND i.indpred IS NULL AND i.indexprs IS NULL \
         ORDER BY i.indisprimary DESC, i.indexrelid",
        &[relation.into()],
        |row| Ok(row.get::<Vec<String>>(1)?.unwrap_or_default()),
    )
}

/// The plan room's type for one of PostgreSQL's.
fn pg_type(
    oid: pg_sys::Oid,
    typmod: i32,
    printed: String,
    kind: &str,
    type_name: &str,
    depth: u32,
) -> Result<PgType> {
    Ok(match PgType::of_oid(oid.to_u32(), typmod) {
        Some(known) => known,
        None if kind == "e" => PgType::Enum { name: printed, labels: labels(oid)? },
        None if type_name == "citext" => PgType::Citext,
        None => PgType::Other { name: printed, shape: shape(oid, typmod, depth)? },
    })
}

/// How deep the parts of a type are looked at. Nobody nests types so deep.
const DEEPEST: u32 = 16;

/// What the values of a type are made of; `typmod` is that of an array's elements.
fn shape(oid: pg_sys::Oid, typmod: i32, depth: u32) -> Result<Shape> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(Shape::Whole) };
    let found = spi::rows(
        "SELECT CASE WHEN t.typinput = 'pg_catalog.array_in'::pg_catalog.regproc THEN t.typelem END, \
                (SELECT e.typdelim::pg_catalog.text FROM pg_catalog.pg_type e WHERE e.oid = t.typelem), \
                (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid), \
                (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid), \
                t.typtype::pg_catalog.text, t.typrelid \
         FROM pg_catalog.pg_type t WHERE t.oid = $1",
        &[oid.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?,
                row.get::<String>(2)?,
                row.get::<pg_sys::Oid>(3)?,
                row.get::<pg_sys::Oid>(4)?,
                row.get::<String>(5)?.unwrap_or_default(),
                row.get::<pg_sys::Oid>(6)?.unwrap_or(pg_sys::InvalidOid),
            ))
        },
    )?;
    let Some((element, delimiter, bound, bound_of_many, kind, relation)) = found.into_iter().next() else {
        return Ok(Shape::Whole);
    };
    if let Some(element) = element {
        let delimiter = delimiter.and_then(|d| d.bytes().next()).unwrap_or(b',');
        return Ok(Shape::Array { element: Box::new(part(element, typmod, depth)?), delimiter });
    }
    if let Some(bound) = bound {
        return Ok(Shape::Range(Box::new(part(bound, -1, depth)?)));
    }
    if let Some(bound) = bound_of_many {
        return Ok(Shape::Multirange(Box::new(part(bound, -1, depth)?)));
    }
    match kind.as_str() {
        "d" => Ok(Shape::Domain(Box::new(part(oid, -1, depth)?))),
        "c" => {
            let fields = spi::rows(
                "SELECT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
                 ORDER BY a.attnum",
                &[relation.into()],
                |row| {
                    let oid = row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid);
                    Ok((oid, row.get::<i32>(2)?.unwrap_or(-1)))
                },
            )?;
            let fields = fields.into_iter().map(|(oid, typmod)| part(oid, typmod, depth));
            Ok(Shape::Composite(fields.collect::<Result<_>>()?))
        }
        _ => Ok(Shape::Whole),
    }
}

/// The type of a part of a value; a domain as its base type.
fn part(oid: pg_sys::Oid, typmod: i32, depth: u32) -> Result<PgType> {
    let found = spi::rows(
        "WITH RECURSIVE base AS ( \
             SELECT $1 AS typid, $2 AS typmod \
           UNION ALL \
             SELECT t.typbasetype, t.typtypmod FROM base b \
             JOIN pg_catalog.pg_type t ON t.oid = b.typid \
             WHERE t.typtype = 'd') \
         SELECT b.typid, b.typmod, pg_catalog.format_type(b.typid, b.typmod), t.typtype::pg_catalog.text, t.typname::pg_catalog.text \
         FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid \
         WHERE t.typtype <> 'd'",
        &[oid.into(), typmod.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                row.get::<i32>(2)?.unwrap_or(-1),
                row.get::<String>(3)?.unwrap_or_default(),
                row.get::<String>(4)?.unwrap_or_default(),
                row.get::<String>(5)?.unwrap_or_default(),
            ))
        },
    )?;
    let Some((oid, typmod, printed, kind, type_name)) = found.into_iter().next() else {
        return Ok(PgType::other("unknown"));
    };
    pg_type(oid, typmod, printed, &kind, &type_name, depth)
}

fn labels(oid: pg_sys::Oid) -> Result<Vec<(String, u32)>> {
    spi::rows(
        "SELECT enumlabel::text, oid FROM pg_catalog.pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder",
        &[oid.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<pg_sys::Oid>(2)?.map_or(0, pg_sys::Oid::to_u32),
            ))
        },
    )
}

/// How rows get into a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPath {
    /// Straight into the heap.
    Bulk {
        /// The table has indexes, which must be rebuilt afterwards.
        has_indexes: bool,
    },
    /// Into a temporary table first, and then with an ordinary statement.
    Executor,
}

impl LoadPath {
    /// The word in `detail`.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadPath::Bulk { .. } => "bulk",
            LoadPath::Executor => "executor",
        }
    }
}

/// What decides about a table's path besides the table.
#[derive(Clone, Copy, Debug)]
pub struct PathNeeds {
    /// User triggers fire.
    pub triggers: bool,
    /// A row whose key is there already is set aside, so keys must be looked at before the row is written.
    pub keeps_keys: bool,
    /// Rows that break a constraint are looked for after the load, which finds no NULL in a generated column.
    pub sets_aside: bool,
    /// Other sessions must not wait for a rebuilt index: rows that are dead for us may live for them.
    pub spares_readers: bool,
}

/// Which path a table takes.
///
/// The bulk path does what it takes to fill a plain heap table that is empty and belongs to the caller: check
/// constraints as it goes, indexes and foreign keys set-wise afterwards, user triggers not at all. Everything
/// else that an INSERT does needs the INSERT: what another extension has put in front of the heap, rules, row
/// security, partitions and inheritance, virtual generated columns, domains, defaults of columns that the
/// source does not have, exclusion constraints, deferrable unique constraints, triggers that options let
/// fire; and so do rows that are there already, whose indexes it would cost more to rebuild, and tables of
/// other owners, which the caller may insert into but not reindex.
pub fn path_of(relation: pg_sys::Oid, plan: &TablePlan, way: PathNeeds) -> Result<LoadPath> {
    let written: Vec<String> = plan.columns.iter().map(|c| c.target.clone()).collect();
    let found = spi::rows_often(
        "SELECT c.relkind = 'r' AND NOT c.relispartition AND NOT c.relhassubclass AND NOT c.relhasrules \
             AND am.amname = 'heap' AND NOT pg_catalog.row_security_active(c.oid) \
             AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid \
                             AND (k.contype = 'x' OR k.contype IN ('p', 'u') AND k.condeferrable)) \
             AND NOT ($2 AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                               AND (a.attgenerated NOT IN ('', 's') OR $6 AND a.attgenerated <> '' AND a.attnotnull OR t.typtype = 'd' \
                                    OR (a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '') AND a.attname::text <> ALL ($3))), \
             EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid), \
             NOT ($4 AND EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique)) \
                 AND NOT ($5 AND pg_catalog.pg_relation_size(c.oid) > 0) \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.oid = $1",
        &[
            relation.into(),
            way.triggers.into(),
            written.into(),
            way.keeps_keys.into(),
            way.spares_readers.into(),
            way.sets_aside.into(),
        ],
        |row| {
            Ok((
                row.get::<bool>(1)?.unwrap_or(false),
                row.get::<bool>(2)?.unwrap_or(true),
                row.get::<bool>(3)?.unwrap_or(false),
            ))
        },
    )?;
    // A query of the table must see what is written past the executor.
    if found.first().is_none_or(|(is_plain, ..)| !is_plain)
        || standing::standing_of(relation)? != Standing::Plain
    {
        return Ok(LoadPath::Executor);
    }
    Ok(match found.first() {
        // A table that the import makes has no index yet.
        Some((true, false, _)) if plan.is_created => LoadPath::Bulk { has_indexes: false },
        // What an aborted import left behind is invisible, and a rebuilt index forgets it.
        Some((true, has_indexes, true)) if is_empty(&plan.target)? => {
            LoadPath::Bulk { has_indexes: *has_indexes }
        }
        _ => LoadPath::Executor,
    })
}

/// A user trigger that would fire.
pub struct EnabledTrigger {
    /// Its table, as SQL writes it without its partitions.
    table: String,
    name: String,
    /// The clause that enables it as it is now.
    clause: &'static str,
}

impl EnabledTrigger {
    /// The statement that keeps it from firing.
    pub fn disable(&self) -> String {
        format!("ALTER TABLE {} DISABLE TRIGGER {}", self.table, quote(&self.name))
    }

    /// The statement that enables it as it was.
    pub fn enable(&self) -> String {
        format!("ALTER TABLE {} {} {}", self.table, self.clause, quote(&self.name))
    }
}

/// What INSERT, DELETE and UPDATE fire, in the terms of [`firing_triggers`].
pub const OF_ROWS: i32 = 4 + 8 + 16;

/// What TRUNCATE fires.
pub const OF_TRUNCATE: i32 = 32;

/// The triggers `t` of a table `$1` and of all that is below it that statements of the kinds `$2` on the
/// table fire. pg_trigger.h: TRIGGER_TYPE_ROW is 1. An INSERT, DELETE or UPDATE fires what is for the whole
/// statement on the table that it names only; a TRUNCATE fires it on every table that it empties.
macro_rules! fired {
    () => {
        "t.tgrelid = ANY (ARRAY( \
             WITH RECURSIVE below AS (SELECT $1::oid AS oid UNION \
                 SELECT h.inhrelid FROM below JOIN pg_catalog.pg_inherits h ON h.inhparent = below.oid) SELECT oid FROM below)) \
         AND t.tgtype::int & $2 <> 0 AND (t.tgrelid = $1 OR t.tgtype::int & 1 = 1 OR t.tgtype::int & $2 & 32 <> 0) AND NOT t.tgisinternal"
    };
}

/// The user triggers of a table and of its partitions at every level that its statements of these kinds would
/// fire, as a replica's (see [`super::as_replica`]) or as ordinary ones. Each partition has its own copy of a
/// trigger of the table, which may be enabled otherwise.
///
/// By triggers of their own, extensions that keep a table's rows elsewhere guard its heap: those are not the
/// user's.
pub fn enabled_triggers(relation: pg_sys::Oid, kinds: i32, as_replica: bool) -> Result<Vec<EnabledTrigger>> {
    let is_elsewhere = standing::standing_of(relation)?.is_elsewhere();
    spi::rows(
        concat!(
            "SELECT pg_catalog.format('ONLY %I.%I', n.nspname, c.relname), t.tgname::text, t.tgenabled::text FROM pg_catalog.pg_trigger t \
         JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ",
            fired!(),
            " AND t.tgenabled IN ('A', CASE WHEN $3 THEN 'R' ELSE 'O' END) \
           AND NOT ($4 AND EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
                                   AND d.objid = t.tgfoid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
                                   AND d.deptype = 'e')) ORDER BY t.tgrelid, t.tgname"
        ),
        &[relation.into(), kinds.into(), as_replica.into(), is_elsewhere.into()],
        |row| {
            let clause = match row.get::<String>(3)?.as_deref() {
                Some("A") => "ENABLE ALWAYS TRIGGER",
                Some("R") => "ENABLE REPLICA TRIGGER",
                _ => "ENABLE TRIGGER",
            };
            Ok(EnabledTrigger {
                table: row.get::<String>(1)?.unwrap_or_default(),
                name: row.get::<String>(2)?.unwrap_or_default(),
                clause,
            })
        },
    )
}

/// The partitions of a table at every level.
pub fn partitions(relation: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    spi::rows(
        "SELECT relid::oid FROM pg_catalog.pg_partition_tree($1::oid::pg_catalog.regclass) WHERE relid <> $1 ORDER BY level, relid",
        &[relation.into()],
        |row| Ok(row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid)),
    )
}

/// The user triggers of a table and its partitions that statements of these kinds would fire in an ordinary
/// session. `kinds` is the sum of 4 for INSERT, 8 for DELETE, 16 for UPDATE and 32 for TRUNCATE, as in
/// `pg_trigger.tgtype`.
pub fn firing_triggers(relation: pg_sys::Oid, kinds: i32) -> Result<Vec<String>> {
    spi::rows(
        concat!(
            "SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t WHERE ",
            fired!(),
            " AND t.tgenabled IN ('O', 'A') ORDER BY 1"
        ),
        &[relation.into(), kinds.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}

/// Whether a trigger will see a row, and may change it, before the table's constraints do.
pub fn has_before_triggers(relation: pg_sys::Oid) -> Result<bool> {
    // pg_trigger.h: TRIGGER_TYPE_ROW is 1, _BEFORE 2, _INSERT 4.
    Ok(spi::one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = ANY (ARRAY(SELECT $1::oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree($1::oid::regclass))) \
           AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype::int & 7 = 7)",
        &[relation.into()],
    )?
    .unwrap_or(false))
}

/// A constraint that demands what a foreign key says.
pub struct Enforced {
    /// Its name.
    pub name: String,
    /// Every row is known to have its parent. One that is NOT VALID refuses new rows all the same.
    pub is_valid: bool,
}

/// The constraint of the table `child` that demands what `key` says, if it has one: of several one that is
/// valid.
pub fn enforced_foreign_key(child: &QualifiedName, key: &ForeignKeyPlan) -> Result<Option<Enforced>> {
    let pairs: Vec<String> =
        key.columns.iter().zip(&key.parent_columns).map(|(c, p)| format!("{c}\u{1}{p}")).collect();
    let found = spi::rows(
        "SELECT k.conname::text, k.convalidated FROM pg_catalog.pg_constraint k \
         WHERE k.contype = 'f' AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) \
           AND k.conrelid = pg_catalog.to_regclass($1) AND k.confrelid = pg_catalog.to_regclass($2) \
           AND (SELECT pg_catalog.array_agg(c.attname::text || E'\\x01' || p.attname::text ORDER BY 1) \
                FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) AS u(child, parent) \
                JOIN pg_catalog.pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child \
                JOIN pg_catalog.pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.parent) \
             @> $3 AND pg_catalog.cardinality($3) = pg_catalog.cardinality(k.conkey) ORDER BY k.convalidated DESC, k.oid LIMIT 1",
        &[child.to_string().into(), key.parent.to_string().into(), pairs.into()],
        |row| {
            let name = row.get::<String>(1)?.unwrap_or_default();
            Ok(Enforced { name, is_valid: row.get::<bool>(2)?.unwrap_or(true) })
        },
    )?;
    Ok(found.into_iter().next())
}

/// Adds the foreign keys that the table `plan` stands for has in the target and that the source does not
/// declare, so that they are checked after the load like the others.
pub fn add_foreign_keys(plan: &mut TablePlan) -> Result<()> {
    let keys = spi::rows(
        concat!(
            "SELECT k.conname::text, pn.nspname::text, pc.relname::text, \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, n) \
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n) \
         FROM pg_catalog.pg_constraint k \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_class pc ON pc.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace \
         WHERE k.contype = 'f' AND n.nspname = $1 AND c.relname = $2 \
           AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) AND NOT (",
            is_partition_copy!(),
            ") ORDER BY k.oid"
        ),
        &[plan.target.schema.clone().into(), plan.target.name.clone().into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                QualifiedName {
                    schema: row.get::<String>(2)?.unwrap_or_default(),
                    name: row.get::<String>(3)?.unwrap_or_default(),
                },
                row.get::<Vec<String>>(4)?.unwrap_or_default(),
                row.get::<Vec<String>>(5)?.unwrap_or_default(),
            ))
        },
    )?;
    for (name, parent, columns, parent_columns) in keys {
        if plan
            .foreign_keys
            .iter()
            .any(|k| k.columns == columns && k.parent == parent && k.parent_columns == parent_columns)
        {
            continue;
        }
        let source_columns: Vec<String> = columns
            .iter()
            .map(|c| {
                plan.columns.iter().find(|p| &p.target == c).map_or_else(|| c.clone(), |p| p.source.clone())
            })
            .collect();
        plan.foreign_keys.push(ForeignKeyPlan {
            name,
            label: format!("{}.{}", plan.source, source_columns.join(", ")),
            parent_source: parent.name.clone(),
            parent_source_columns: parent_columns.clone(),
            parent,
            columns,
            parent_columns,
            source_columns,
            orphans: None,
            is_created: false,
        });
    }
    Ok(())
}
