//! What of the drift that a plan suspects is so, and do the statements that are told of it run as they stand?

use aliaport_plan::ddl;
use aliaport_plan::finding::{Drift, Why};
use aliaport_plan::plan::{Missing, Plan, Refers};
use aliaport_rows::identifier::{QualifiedName, comment};
use pgrx::pg_sys;
use serde_json::Value as Json;

use super::{orphan, target};
use crate::pg::heap::standing;
use crate::pg::server::error::Result;
use crate::pg::server::subxact::{self, AtEnd};
use crate::pg::server::{compat, spi};

/// Adds to the findings of each table of the plan what is missing on it for certain. What is left in
/// [`Plan::missing`] are the foreign keys, whose statements may have to be looked at again after the load.
pub fn settle(plan: &mut Plan) -> Result<()> {
    'missing: for missing in std::mem::take(&mut plan.missing) {
        let Some(table) = plan.tables.get_mut(missing.table) else { continue };
        for (wanted, there) in &missing.perhaps {
            if are_alike(&table.target, wanted, there)? {
                continue 'missing;
            }
        }
        table.findings.push(missing.finding.clone());
        if missing.refers.is_some() {
            plan.missing.push(missing);
        }
    }
    for finding in &mut plan.findings {
        if let Why::Drift(Drift::TableVanished(table, _)) = &finding.why {
            finding.instead = held(table)?;
        }
    }
    Ok(())
}

/// Gives the findings of foreign keys the statements that can be run before the import.
pub fn as_before(plan: &mut Plan) -> Result<()> {
    for missing in std::mem::take(&mut plan.missing) {
        let Some(refers) = &missing.refers else { continue };
        let statement = match &refers.before {
            Some(before) => Some(before.clone()),
            None => statement(plan, &missing, refers)?,
        };
        let findings = plan.tables.get_mut(missing.table).map(|t| &mut t.findings);
        if let Some(finding) = findings.and_then(|f| f.iter_mut().find(|f| **f == missing.finding)) {
            finding.instead = statement;
        }
    }
    Ok(())
}

/// The statement that makes a foreign key, by the rows that are there now: where some have no parent it makes
/// it NOT VALID.
pub fn statement(plan: &Plan, missing: &Missing, refers: &Refers) -> Result<Option<String>> {
    let (Some(table), Some(statement)) = (plan.tables.get(missing.table), &missing.finding.statement) else {
        return Ok(missing.finding.statement.clone());
    };
    let Some(child) = target::relation_oid(&table.target.schema, &table.target.name)? else {
        return Ok(Some(statement.clone()));
    };
    let key = &refers.key;
    let is_broken = || -> Result<bool> {
        // Else nothing here would see what the run has made: the rows, and the referenced table where that is
        // new. A standby makes nothing.
        if !compat::is_standby() {
            spi::run("SELECT 1")?;
        }
        let Some(parent) = target::relation_oid(&key.parent.schema, &key.parent.name)? else {
            return Ok(true);
        };
        let parent = standing::from(parent, &key.parent)?;
        let condition = orphan::condition(&table.target, key, &parent)?;
        let rows = standing::from(child, &table.target)?;
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {rows} c WHERE {condition})");
        Ok(spi::one_for_caller::<bool>(&sql, &[])? != Some(false))
    };
    // What the caller may not read, or PostgreSQL cannot compare, is not known to hold.
    if matches!(subxact::within(AtEnd::Undo, is_broken), Ok(false)) {
        return Ok(Some(statement.clone()));
    }
    Ok(Some(match takes_keys_not_valid(child)? {
        false => comment(&format!("{statement} -- which needs the rows without a parent repaired first")),
        true => format!("{statement} NOT VALID"),
    }))
}

/// Whether a relation may have a foreign key that is NOT VALID: a partitioned one only from PostgreSQL 18 on.
fn takes_keys_not_valid(relation: pg_sys::Oid) -> Result<bool> {
    let is_partitioned = "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = $1";
    Ok(cfg!(feature = "pg18") || spi::one::<bool>(is_partitioned, &[relation.into()])? != Some(true))
}

/// What is said instead of the DROP TABLE of a table that others depend on, if they do.
fn held(table: &QualifiedName) -> Result<Option<String>> {
    let Some(relation) = target::relation_oid(&table.schema, &table.name)? else { return Ok(None) };
    let dependents = dependents(relation)?;
    Ok((!dependents.is_empty()).then(|| {
        comment(&format!(
            "{} fails as long as these depend on it: {}",
            ddl::drop_table(table),
            dependents.join(", ")
        ))
    }))
}

/// What keeps a table from being dropped without CASCADE: what depends on it, on its columns, its row type or
/// its sequences, and does not go with it.
fn dependents(relation: pg_sys::Oid) -> Result<Vec<String>> {
    spi::rows(
        "WITH owned AS ( \
             SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid AS classid, c.oid FROM pg_catalog.pg_class c \
             WHERE c.oid = $1 OR c.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d \
                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                   AND d.refobjid = $1 AND d.deptype IN ('a', 'i')) \
           UNION ALL \
             SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::oid, t.oid FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_type r ON r.oid = c.reltype JOIN pg_catalog.pg_type t ON t.oid IN (r.oid, r.typarray) WHERE c.oid = $1 \
           UNION ALL \
             SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass::oid, k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1) \
         SELECT DISTINCT CASE WHEN w.ev_class IS NOT NULL THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0) \
                              ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END \
         FROM owned o JOIN pg_catalog.pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.oid AND d.deptype = 'n' \
         LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid \
         WHERE NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = $1) AND w.ev_class IS DISTINCT FROM $1 \
           AND NOT EXISTS (SELECT FROM owned s WHERE s.classid = d.classid AND s.oid = d.objid) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef a WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass \
                           AND a.oid = d.objid AND a.adrelid = $1) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass \
                           AND p.oid = d.objid AND p.polrelid = $1) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass \
                           AND t.oid = d.objid AND t.tgrelid = $1) ORDER BY 1",
        &[relation.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}

/// Whether PostgreSQL reads two lists of expressions over a table alike. It is asked how it would compute
/// both in one query, which is planned and not run, so that both are read, simplified and printed by the same
/// rules.
fn are_alike(table: &QualifiedName, wanted: &[String], there: &[String]) -> Result<bool> {
    if wanted.len() != there.len() {
        return Ok(false);
    }
    let list: Vec<String> = wanted.iter().chain(there).map(|sql| format!("({sql})")).collect();
    let sql =
        format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {} FROM ONLY {table}", list.join(", "));
    let plan = subxact::within(AtEnd::Undo, || spi::one_mut::<pgrx::Json>(&sql, &[]));
    // What PostgreSQL cannot read over this table is not what it has.
    let Ok(Some(pgrx::Json(plan))) = plan else { return Ok(false) };
    let output = plan.pointer("/0/Plan/Output").and_then(Json::as_array);
    Ok(output.is_some_and(|o| o.len() == list.len() && o[..wanted.len()] == o[wanted.len()..]))
}
