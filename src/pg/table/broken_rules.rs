//! The rows that break a rule of their table: CHECK constraints, checks of domains, and partition bounds.
//!
//! `on_error => 'reject'` sets such rows aside. They are found set-wise, by the conditions that PostgreSQL
//! itself prints, where the load has put them: in their table, or in the stage from which they will be
//! inserted.

use aliaport_plan::plan::TablePlan;
use aliaport_rows::column::ColumnPlan;
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::sqlstate::SqlState;
use pgrx::pg_sys;

use super::trigger;
use super::unwanted::{Kind, Unwanted};
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// One rule, as a condition that is true for a row that breaks it.
pub struct Rule {
    condition: String,
    /// The attributes it speaks of.
    attributes: Vec<String>,
    /// The SQLite columns it speaks of, for `aliaport.rejected_row`.
    pub columns: String,
    /// The message that PostgreSQL would raise.
    pub reason: String,
    /// The statement that takes the rule away, or makes room for the rows.
    pub remedy: Option<String>,
}

impl Rule {
    /// True where the source fills every attribute that the rule needs, with values that `is_known` says are
    /// known.
    pub fn is_over(&self, plan: &TablePlan, is_known: impl Fn(&ColumnPlan) -> bool) -> bool {
        self.attributes.iter().all(|a| plan.columns.iter().any(|c| c.target == *a && is_known(c)))
    }
}

/// The CHECK constraints of the table `relation`.
fn constraints(relation: pg_sys::Oid, plan: &TablePlan) -> Result<Vec<Rule>> {
    let found = spi::rows(
        // A NOT ENFORCED constraint, which PostgreSQL 18 has, is not looked at; in the order of names, as
        // PostgreSQL checks.
        "SELECT k.conname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid), k.conrelid::regclass::text, \
                ARRAY(SELECT COALESCE(a.attname::text, '') FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, n) \
                      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n), \
                CASE WHEN p.isleaf AND p.level > 0 THEN pg_catalog.pg_get_partition_constraintdef(p.relid::oid) END, c.relname::text, \
                CASE WHEN k.coninhcount = 0 THEN pg_catalog.format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) END \
         FROM (SELECT $1::oid AS relid, false AS isleaf, 0 AS level \
               UNION ALL SELECT relid::oid, isleaf, level FROM pg_catalog.pg_partition_tree($1::oid::regclass) WHERE isleaf AND level > 0) AS p \
         JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_constraint k ON k.conrelid = p.relid AND k.contype = 'c' \
         WHERE (p.level = 0 OR k.coninhcount = 0) \
           AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) \
         ORDER BY p.level, k.conname",
        &[relation.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<Vec<String>>(4)?.unwrap_or_default(),
                row.get::<String>(5)?,
                row.get::<String>(6)?.unwrap_or_default(),
                row.get::<String>(7)?,
            ))
        },
    )?;
    Ok(found
        .into_iter()
        .map(|(name, expression, columns, partition, table, remedy)| Rule {
            condition: match partition {
                Some(bound) => format!("({bound}) AND ({expression}) IS FALSE"),
                None => format!("({expression}) IS FALSE"),
            },
            columns: sources(plan, &columns),
            attributes: columns,
            remedy,
            reason: format!("new row for relation \"{table}\" violates check constraint \"{name}\""),
        })
        .collect())
}

/// The checks of the domains of the written columns, those of a domain's own base first, as PostgreSQL
/// checks.
fn domains(relation: pg_sys::Oid, plan: &TablePlan) -> Result<Vec<Rule>> {
    let found = spi::rows(
        "WITH RECURSIVE d AS ( \
             SELECT a.attnum, a.attname, a.atttypid AS typid, 0 AS depth FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
           UNION ALL \
             SELECT d.attnum, d.attname, t.typbasetype, d.depth + 1 FROM d JOIN pg_catalog.pg_type t ON t.oid = d.typid WHERE t.typtype = 'd') \
         SELECT d.attname::text, k.conname::text, pg_catalog.pg_get_expr(k.conbin, 0), pg_catalog.format_type(d.typid, NULL), \
                pg_catalog.format('ALTER DOMAIN %s DROP CONSTRAINT %I', pg_catalog.format_type(d.typid, NULL), k.conname) \
         FROM d JOIN pg_catalog.pg_constraint k ON k.contypid = d.typid AND k.contype = 'c' \
         ORDER BY d.attnum, d.depth DESC, k.conname",
        &[relation.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<String>(3)?.unwrap_or_default(),
                row.get::<String>(4)?.unwrap_or_default(),
                row.get::<String>(5)?,
            ))
        },
    )?;
    Ok(found
        .into_iter()
        .filter(|(column, ..)| is_written(plan, column))
        .map(|(column, name, expression, domain, remedy)| Rule {
            // VALUE is no reserved word: outside of a domain it is a column of that name.
            condition: format!(
                "EXISTS (SELECT FROM (SELECT {} AS value) AS v WHERE ({expression}) IS FALSE)",
                quote(&column)
            ),
            columns: sources(plan, std::slice::from_ref(&column)),
            attributes: vec![column],
            remedy,
            reason: format!("value for domain {domain} violates check constraint \"{name}\""),
        })
        .collect())
}

/// The rule that a row of a partitioned table needs a partition; none where the table is not partitioned, or
/// has a default partition.
fn partitions(relation: pg_sys::Oid, plan: &TablePlan) -> Result<Option<Rule>> {
    let found = spi::rows(
        "SELECT c.relname::text, \
                (SELECT pg_catalog.string_agg('(' || COALESCE(pg_catalog.pg_get_partition_constraintdef(t.relid::oid), 'true') || ')', ' OR ') \
                 FROM pg_catalog.pg_partition_tree(c.oid::regclass) t WHERE t.isleaf AND t.level > 0), \
                ARRAY(SELECT COALESCE(a.attname::text, '') FROM pg_catalog.pg_partition_tree(c.oid::regclass) t \
                      JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.relid::oid \
                      CROSS JOIN LATERAL pg_catalog.unnest(p.partattrs::int2[]) AS u(attnum) \
                      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = u.attnum AND u.attnum > 0), \
                (SELECT pg_catalog.format('CREATE TABLE %I.%I PARTITION OF %I.%I DEFAULT', n.nspname, c.relname || '_default', n.nspname, c.relname) \
                 FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE p.partrelid = c.oid AND p.partstrat <> 'h' AND pg_catalog.to_regclass(pg_catalog.format('%I.%I', n.nspname, c.relname || '_default')) IS NULL \
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid::regclass) t WHERE NOT t.isleaf AND t.level > 0)) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind = 'p'",
        &[relation.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?,
                row.get::<Vec<String>>(3)?.unwrap_or_default(),
                row.get::<String>(4)?,
            ))
        },
    )?;
    let Some((table, bounds, columns, remedy)) = found.into_iter().next() else { return Ok(None) };
    // Without any partition no row has one.
    let bounds = bounds.unwrap_or_else(|| "false".to_owned());
    Ok(Some(Rule {
        condition: format!("({bounds}) IS NOT TRUE"),
        columns: sources(plan, &columns),
        attributes: columns,
        remedy,
        reason: format!("no partition of relation \"{table}\" found for row"),
    }))
}

/// The number (0-based) of the first rule that a row breaks, as an SQL expression; NULL where it breaks none.
///
/// A CASE, because no planner proves anything from one: with `constraint_exclusion = on` a condition that
/// contradicts a CHECK of the table would be taken for never true.
fn first_broken(rules: &[Rule]) -> String {
    let arms: Vec<String> =
        rules.iter().enumerate().map(|(i, rule)| format!("WHEN {} THEN {i}", rule.condition)).collect();
    format!("CASE {} END", arms.join(" "))
}

/// Every rule of the table `relation` that a row of the plan must keep, but for the checks of domains.
pub fn rules_of_table(relation: pg_sys::Oid, plan: &TablePlan) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = partitions(relation, plan)?.into_iter().collect();
    rules.extend(constraints(relation, plan)?);
    Ok(rules)
}

/// The query for the rows of a FROM item that break one of the rules, each with what the expression `place`
/// gives of it and the number of the first rule that it breaks.
pub fn breaking(rules: &[Rule], place: &str, rows: &str) -> String {
    format!(
        "SELECT d.place, d.broken FROM (SELECT {place} AS place, {} AS broken FROM {rows}) AS d WHERE d.broken IS NOT NULL",
        first_broken(rules)
    )
}

/// The rows of `rows`, which are the table `relation` itself (the one with this number) or a stage for it,
/// that break one of its rules; none where no row does.
///
/// A BEFORE trigger may still change a staged row, so where one `may_fire` what the table demands is left to
/// the INSERT; a domain's check comes before every trigger.
pub fn unwanted(
    number: usize,
    rows: &QualifiedName,
    relation: pg_sys::Oid,
    plan: &TablePlan,
    may_fire: bool,
) -> Result<Option<Unwanted>> {
    let is_stored = *rows == plan.target;
    let mut rules = domains(relation, plan)?;
    if is_stored || !(may_fire && trigger::has_before_triggers(relation)?) {
        rules.extend(rules_of_table(relation, plan)?);
    }
    // Before the INSERT the values of columns that are not written are not known; of a rule over them
    // PostgreSQL speaks then.
    rules.retain(|rule| is_stored || rule.is_over(plan, |_| true));
    if rules.is_empty() {
        return Ok(None);
    }
    let broken = breaking(&rules, "ctid::pg_catalog.text", &format!("ONLY {rows}"));
    let mut found: Option<Unwanted> = None;
    spi::pages(
        &broken,
        |row| Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<i32>(2)?.unwrap_or(-1))),
        |page| {
            let unwanted = match found.take() {
                Some(unwanted) => unwanted,
                // A check violation, all of them, to PostgreSQL.
                None => Unwanted::new(
                    number,
                    rules
                        .iter()
                        .map(|rule| Kind {
                            column: rule.columns.clone(),
                            reason: rule.reason.clone(),
                            sqlstate: SqlState::CHECK_VIOLATION,
                            clear: Vec::new(),
                        })
                        .collect(),
                )?,
            };
            unwanted.add_places(page)?;
            found = Some(unwanted);
            Ok(())
        },
    )?;
    Ok(found)
}

fn is_written(plan: &TablePlan, attribute: &str) -> bool {
    plan.columns.iter().any(|c| c.target == attribute)
}

/// The names that the columns have in SQLite.
fn sources(plan: &TablePlan, attributes: &[String]) -> String {
    let names: Vec<&str> = attributes
        .iter()
        .map(|a| plan.columns.iter().find(|c| &c.target == a).map_or(a.as_str(), |c| c.source.as_str()))
        .collect();
    names.join(", ")
}
