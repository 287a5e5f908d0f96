//! Rows that point at a missing parent: counted and named set-wise after the load, where values are compared
//! as PostgreSQL's constraints will compare them. What the policies make of them is in [`super::cascade`].

use aliaport_plan::plan::{Elsewhere, ForeignKeyPlan, TablePlan};
use aliaport_plan::policy::Orphans;
use aliaport_rows::identifier::{QualifiedName, quote as quoted};
use pgrx::prelude::*;

use super::foreign_key::Enforced;
use super::{foreign_key, operator};
use crate::pg::server::count::counted;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::spi;

/// Where the rows of one table of a run are at this moment, and the rows that they may point at when the run
/// has ended.
pub struct View<'a> {
    /// The table.
    pub table: &'a TablePlan,
    /// Holds the run's rows of it: the table itself or its stage.
    pub rows: QualifiedName,
    /// Its foreign keys that can be looked at, each with the referenced rows as a FROM item.
    pub keys: Vec<(&'a ForeignKeyPlan, String)>,
}

/// The condition that a row `c` of the child has no parent by this key.
///
/// A row with a NULL among the referencing columns points nowhere (MATCH SIMPLE, the only kind SQLite has).
pub fn condition(child: &QualifiedName, key: &ForeignKeyPlan, parent: &str) -> Result<String> {
    let mut terms: Vec<String> = key.columns.iter().map(|c| format!("c.{} IS NOT NULL", quoted(c))).collect();
    terms.push(format!("NOT EXISTS (SELECT 1 FROM {parent} p WHERE {})", same_key(child, key, "p", "c")?));
    Ok(format!("({})", terms.join(" AND ")))
}

/// The condition that a row of the parent has the key that a row of the table `child` points at, under these
/// names.
pub fn same_key(child: &QualifiedName, key: &ForeignKeyPlan, parent: &str, row: &str) -> Result<String> {
    let equal = |(c, p): (&String, &String)| {
        let operator = operator::equal((&key.parent, p), (child, c))?;
        Ok(format!("{parent}.{} {operator} {row}.{}", quoted(p), quoted(c)))
    };
    let terms: Vec<String> = key.columns.iter().zip(&key.parent_columns).map(equal).collect::<Result<_>>()?;
    Ok(terms.join(" AND "))
}

/// How many rows of a table point at a missing parent by this key.
pub fn count(view: &View<'_>, key: &ForeignKeyPlan, parent: &str) -> Result<i64> {
    count_of(view, key, parent, "true")
}

/// Likewise, of the rows `c` for which a condition is true.
pub fn count_of(view: &View<'_>, key: &ForeignKeyPlan, parent: &str, only: &str) -> Result<i64> {
    let condition = condition(&view.table.target, key, parent)?;
    let sql = format!("SELECT pg_catalog.count(*) FROM ONLY {} c WHERE {condition} AND {only}", view.rows);
    Ok(spi::one_for_caller::<i64>(&sql, &[])?.unwrap_or(0))
}

/// The error of `orphans => 'abort'`, and of 'keep' where a constraint is there that refuses them: every
/// foreign key with its count.
pub fn abort_error(views: &[View<'_>], default: Orphans, elsewhere: &[Elsewhere]) -> Result<Error> {
    let mut lines = Vec::new();
    let mut enforced = Vec::new();
    let mut total = 0;
    let mut remedies: Vec<&str> = Vec::new();
    let mut is_declared = false;
    for view in views {
        for (key, parent) in &view.keys {
            let rows = count(view, key, parent)?;
            if rows > 0 {
                total += rows;
                let is_it = |e: &&Elsewhere| {
                    e.table == view.table.target && e.constraint == key.name && e.parent == key.parent
                };
                match elsewhere.iter().find(is_it) {
                    Some(unknown) if !remedies.contains(&unknown.remedy.as_str()) => {
                        remedies.push(&unknown.remedy);
                    }
                    Some(_) => {}
                    None => is_declared = true,
                }
                if !view.table.is_created
                    && let Some(constraint) = foreign_key::enforced_foreign_key(&view.table.target, key)?
                {
                    enforced.push((view.table, *key, constraint));
                }
                lines.push(format!(
                    "{}: {} without a parent in \"{}\" (for instance {}).",
                    key.label,
                    counted(rows.unsigned_abs(), "row"),
                    key.parent_source,
                    examples(view, key, parent)?.join("; ")
                ));
            }
        }
    }
    let keys =
        if lines.len() == 1 { "one foreign key".to_owned() } else { format!("{} foreign keys", lines.len()) };
    let points = if total == 1 { "points" } else { "point" };
    let error = Error::new(
        PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
        format!(
            "{} of the source {points} at a missing parent, over {keys}",
            counted(total.unsigned_abs(), "row")
        ),
    );
    // The source's rows are right by the source's own keys, so no policy may touch them.
    if !remedies.is_empty() {
        let others = if is_declared {
            " For the other foreign keys repair the rows in SQLite, or import with another orphans policy."
        } else {
            ""
        };
        let names: Vec<String> =
            enforced.iter().map(|(t, _, c)| format!("{} of {}", quoted(&c.name), t.target)).collect();
        lines
            .push(format!("The target enforces {}, which the source does not declare so.", names.join(", ")));
        return Ok(error.detail(lines.join("\n")).hint(format!("{}{others}", remedies.join(" "))));
    }
    if !enforced.is_empty() {
        return Ok(enforced_error(error, lines, &enforced, default));
    }
    Ok(error.detail(lines.join("\n")).hint("Repair the rows in SQLite, or import with orphans => 'reject' (set the rows aside), 'null' (clear the reference) or 'keep' (constraints stay NOT VALID)."))
}

type EnforcedKey<'v> = (&'v TablePlan, &'v ForeignKeyPlan, Enforced);

/// The same error where constraints of the target refuse the rows.
fn enforced_error(
    error: Error,
    mut lines: Vec<String>,
    enforced: &[EnforcedKey<'_>],
    default: Orphans,
) -> Error {
    // What is there already is enforced: a constraint that is valid stays so, and where PostgreSQL itself
    // checks every row that is written, one that is NOT VALID refuses new orphans as well.
    let is_asked = |key: &ForeignKeyPlan| key.orphans.unwrap_or(default) == Orphans::Keep;
    let named = |(t, _, c): &EnforcedKey<'_>| {
        let how = if c.is_valid { "" } else { ", which is NOT VALID" };
        format!("{} of {}{how}", quoted(&c.name), t.target)
    };
    let names: Vec<String> = enforced.iter().map(named).collect();
    let cannot = match enforced.iter().find(|(_, key, _)| is_asked(key)) {
        Some((_, _, c)) if c.is_valid => ", so orphans => 'keep' cannot keep these rows",
        Some(_) => {
            ", and writing these rows runs triggers or code that is not PostgreSQL's, so that it checks each of them: orphans => 'keep' cannot keep them"
        }
        None => "",
    };
    lines.push(format!("The target enforces {} already{cannot}.", names.join(", ")));
    let in_the_way: Vec<String> = enforced
        .iter()
        .filter(|(_, key, c)| c.is_valid || is_asked(key))
        .map(|(t, _, c)| format!("ALTER TABLE {} DROP CONSTRAINT {};", t.target, quoted(&c.name)))
        .collect();
    let keep = if in_the_way.is_empty() {
        "'keep' keeps them, and the constraint stays NOT VALID.".to_owned()
    } else {
        format!(
            "To keep them, run {} import with orphans => 'keep', and add the constraint again with NOT VALID.",
            in_the_way.join(" ")
        )
    };
    let hint = format!(
        "Repair the rows in SQLite, or import with orphans => 'reject' (set the rows aside) or 'null' (clear the reference). {keep}"
    );
    error.detail(lines.join("\n")).hint(hint)
}

fn examples(view: &View<'_>, key: &ForeignKeyPlan, parent: &str) -> Result<Vec<String>> {
    let table = view.table;
    // The row's own key first, then what it points at: "id = 7 points at 999".
    let own: Vec<&str> = table
        .source_key
        .iter()
        .filter_map(|k| table.columns.iter().find(|c| &c.source == k))
        .map(|c| c.target.as_str())
        .collect();
    let text = |columns: &[&str]| {
        // Through the types' own output functions: a cast to text may be somebody's.
        let parts: Vec<String> = columns.iter().map(|c| format!("c.{}", quoted(c))).collect();
        format!("pg_catalog.concat_ws(', ', {})", parts.join(", "))
    };
    let points_at = text(&key.columns.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = if own.is_empty() {
        points_at
    } else {
        let names = aliaport_rows::identifier::quote_literal(&format!("{} = ", own.join(", ")));
        format!("pg_catalog.concat({names}, {}, ' points at ', {points_at})", text(&own))
    };
    let sql = format!(
        "SELECT pg_catalog.left({shown}, 100) FROM ONLY {} c WHERE {} LIMIT 3",
        view.rows,
        condition(&table.target, key, parent)?
    );
    spi::rows_for_caller(&sql, &[], |row| Ok(row.get::<String>(1)?.unwrap_or_default()))
}
