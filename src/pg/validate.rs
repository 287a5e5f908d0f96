//! The proof after an import, usable days later: compares a source with the tables that were made from it.
//!
//! [`against`] finds the table that each source table stands against and [`subject`] what is needed to read
//! both, [`excused`] what the import set aside on purpose. [`content`] reads both sides once, by [`as_sent`]
//! and `readback`, and a second time only where they differ, to name the keys; [`aggregate`] asks the target
//! what PostgreSQL itself sees in it; [`constraint`] looks at keys, foreign keys and sequences. Nothing is
//! written.

mod against;
mod aggregate;
mod as_sent;
mod constraint;
mod content;
mod excused;
mod validated_table;

use aliaport_plan::catalogue::Table;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::policy::Verify;
use aliaport_rows::convert::Zone;

use self::against::Against;
use self::content::Compared;
use self::excused::LastRun;
use self::validated_table::ValidatedTable;
use crate::pg::server::count::counted;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{interrupt, spi};

/// One row of `aliaport_validate`.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The target table as regclass prints it.
    pub table: String,
    /// rows | content | not_null | unique | foreign_key | sequence | min_max
    pub check: &'static str,
    /// What the source says.
    pub source: Option<String>,
    /// What the target says.
    pub target: Option<String>,
    /// They agree, in everything.
    pub ok: bool,
    /// The keys that differ, or why nothing could be compared.
    pub detail: Option<String>,
}

/// Compares the file at `path` with the tables of `schema`. Writes nothing.
///
/// `options.verify` other than `content` leaves out the checks that have to read every value.
pub fn validate(path: &str, schema: &str, options: &serde_json::Value) -> Result<Vec<CheckResult>> {
    let against = against::open(path, schema, options)?;
    let zone = Zone::parse(&against.plan.timezone).map_err(unexpected)?;
    let last_run = LastRun::from_history(path, schema)?;
    let mut checks = Vec::new();
    for (source, reason) in &against.plan.skipped {
        // What the options leave out is not asked for.
        if against.opened.options.includes(source) {
            checks.push(skipped(&against, schema, source, reason)?);
        }
    }
    for plan in &against.plan.tables {
        let table = against.table(&plan.source)?;
        match ValidatedTable::in_target(&against, plan, table)? {
            Some(subject) => compare(&against, &subject, &zone, last_run.as_ref(), &mut checks)?,
            None => checks.push(missing(&against, plan, table)?),
        }
        interrupt::check();
    }
    against.opened.source.verify_unchanged()?;
    Ok(checks)
}

/// All checks of one table that is there.
fn compare(
    against: &Against,
    subject: &ValidatedTable<'_>,
    zone: &Zone,
    last_run: Option<&LastRun>,
    checks: &mut Vec<CheckResult>,
) -> Result<()> {
    let with_content = against.opened.options.verify == Verify::Content;
    if with_content {
        let aside = excused::Aside::from_history(last_run, subject.plan)?;
        let compared = content::compare(&against.opened.source, subject, zone, &aside)?;
        let seen = aggregate::ask(subject, &compared.tally)?;
        checks.push(rows(subject, compared.source.rows + compared.rejected, seen.rows, &compared, last_run));
        checks.push(compared.check(subject, last_run));
        checks.extend(seen.not_null(subject, &compared.tally));
        constraints(against, subject, checks)?;
        checks.extend(seen.min_max(subject));
    } else {
        let source = count(against, subject.table, subject.plan)?;
        let target = subject.count()?;
        let compared =
            Compared::of_rejected(excused::Aside::from_history(last_run, subject.plan)?.rejected());
        checks.push(rows(subject, source, target, &compared, last_run));
        constraints(against, subject, checks)?;
    }
    Ok(())
}

fn constraints(against: &Against, subject: &ValidatedTable<'_>, checks: &mut Vec<CheckResult>) -> Result<()> {
    checks.extend(constraint::unique(against, subject)?);
    checks.extend(constraint::foreign_keys(against, subject)?);
    checks.extend(constraint::sequences(against, subject)?);
    Ok(())
}

/// Rows that the import set aside may be in the target by now: somebody repaired them there.
fn rows(
    subject: &ValidatedTable<'_>,
    source: u64,
    target: u64,
    compared: &Compared,
    last_run: Option<&LastRun>,
) -> CheckResult {
    let expected = source.saturating_sub(compared.rejected);
    let mut facts = Vec::new();
    if target < expected {
        facts.push(format!("the target has {} fewer than it should", counted(expected - target, "row")));
    } else if target > source {
        facts.push(format!("the target has {} more than the source", counted(target - source, "row")));
    }
    facts.extend(last_run.and_then(|run| run.describe_set_aside(compared.rejected, 0)));
    CheckResult {
        source: Some(source.to_string()),
        target: Some(target.to_string()),
        ok: (expected..=source).contains(&target),
        detail: joined(facts),
        ..subject.check("rows")
    }
}

/// The only check of a table that is not there.
fn missing(against: &Against, plan: &TablePlan, table: &Table) -> Result<CheckResult> {
    Ok(CheckResult {
        table: plan.target.to_string(),
        check: "rows",
        source: Some(count(against, table, plan)?.to_string()),
        target: None,
        ok: false,
        detail: Some("the target has no such table".to_owned()),
    })
}

/// The only check of a table that the import leaves to the target.
fn skipped(against: &Against, schema: &str, source: &str, reason: &str) -> Result<CheckResult> {
    let rows = against.opened.source.count_rows(source)?;
    let relation = against.relation(schema, source);
    let target = match &relation {
        Some(relation) => {
            spi::one_for_caller::<i64>(&format!("SELECT pg_catalog.count(*) FROM {relation}"), &[])?
        }
        None => None,
    };
    let table = match relation {
        Some(relation) => regclass(&relation)?,
        None => aliaport_rows::identifier::quote(source),
    };
    Ok(CheckResult {
        table,
        check: "rows",
        source: Some(rows.to_string()),
        target: target.map(|n| n.to_string()),
        ok: true,
        detail: Some(format!("not compared: {reason}")),
    })
}

/// The rows of a source table that its filter lets through.
fn count(against: &Against, table: &Table, plan: &TablePlan) -> Result<u64> {
    let source = &against.opened.source;
    if plan.filter.is_none() {
        return Ok(source.count_rows(&table.name)?);
    }
    let mut rows = source.rows_where(table, &[], plan.filter.as_deref())?;
    let mut count = 0;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A relation as regclass prints it.
fn regclass(relation: &str) -> Result<String> {
    let printed = spi::one_for_caller::<String>(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.text",
        &[relation.to_owned().into()],
    )?;
    Ok(printed.unwrap_or_else(|| relation.to_owned()))
}

fn joined(facts: Vec<String>) -> Option<String> {
    (!facts.is_empty()).then(|| facts.join("; "))
}
