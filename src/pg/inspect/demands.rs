//! What does a table that is there ask of each row that the source does not know of?
//!
//! CHECKs, partitions, unique keys over expressions or parts of the rows, and, in mode append, the keys that
//! are in use: PostgreSQL's own conditions are evaluated over the rows as they would be written, a batch at a
//! time, before there are any. What cannot be told so is said.

use std::collections::HashSet;

use aliaport_plan::finding::{Demand, Finding};
use aliaport_plan::policy::Mode;
use aliaport_plan::suggestion::Suggestion;
use aliaport_rows::column::ColumnPlan;
use aliaport_rows::identifier::quote;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Cell;
use pgrx::pg_sys;
use serde_json::Value as Json;

use super::{InspectedTable, Observation};
use crate::pg::heap::row_array::RowArray;
use crate::pg::heap::standing;
use crate::pg::server::error::Result;
use crate::pg::server::spi;
use crate::pg::server::subxact::{self, AtEnd};
use crate::pg::table::broken_rules::{self, Rule};
use crate::pg::table::unique::{self, UniqueIndex};
use crate::pg::table::{code, relax, target, trigger};

/// Rows that are asked about together.
const BATCH: usize = 1000;

/// Keys that are held to find those that come again.
const KEYS: usize = 4 << 20;

/// What a table asks, and the rows of a batch.
pub struct Demands<'a> {
    subject: &'a InspectedTable<'a>,
    rows: RowArray,
    /// Of each row of the batch, what a sample shows of it.
    pending: Vec<Json>,
    questions: Vec<Question>,
    /// What cannot be told before the rows are there.
    untold: Vec<String>,
}

/// The attribute with the number of a row. No table that this room makes has such a name.
const PLACE: &str = "\"aliaport_import place\"";

/// One question that is asked of every batch.
struct Question {
    what: Asked,
    query: String,
    /// The hashes of the keys that were seen.
    seen: HashSet<i64>,
    broken: Vec<Broken>,
}

enum Asked {
    /// Which rule does a row break?
    Rules(Vec<Rule>),
    /// What is the hash of its key?
    Repeated(UniqueIndex),
    /// Is its key in use?
    Taken(UniqueIndex),
}

/// The rows that one rule or key refuses.
#[derive(Default)]
struct Broken {
    count: u64,
    samples: Vec<Json>,
}

impl Broken {
    fn add(&mut self, entry: &Json, limit: usize) {
        self.count += 1;
        if self.samples.len() < limit {
            self.samples.push(entry.clone());
        }
    }
}

impl<'a> Demands<'a> {
    /// None where the import makes the table, or it asks nothing that is not looked at elsewhere.
    pub fn of_table(subject: &'a InspectedTable<'a>) -> Result<Option<Self>> {
        let plan = subject.plan;
        if plan.is_created {
            return Ok(None);
        }
        let goal = &plan.target;
        let Some(relation) = target::relation_oid(&goal.schema, &goal.name)? else { return Ok(None) };
        let mut untold = exclusions(relation)?;
        let rules = broken_rules::rules_of_table(relation, plan)?;
        let keys = unique::indexes(relation)?;
        let is_asked = subject.mode == Mode::Append && !keys.is_empty();
        if rules.is_empty() && !is_asked && keys.iter().all(UniqueIndex::is_plain) && untold.is_empty() {
            return Ok(None);
        }
        let mut questions = Vec::new();
        let from = from_item(relation)?;
        let changes = subject.inspected.options.triggers && trigger::has_before_triggers(relation)?;
        if let Some(code) = code::of_relation(relation)? {
            untold.push(format!(
                "its checks and keys, because writing a row runs {code}, which is not PostgreSQL's own"
            ));
        } else if changes {
            untold.push(
                "its checks and keys, because its triggers may change rows before they are written"
                    .to_owned(),
            );
        } else {
            let is_known = |c: &ColumnPlan| !matches!(c.pg_type, PgType::Other { .. });
            let (known, others): (Vec<Rule>, Vec<Rule>) =
                rules.into_iter().partition(|rule| rule.is_over(plan, is_known));
            untold
                .extend(others.into_iter().map(|rule| format!("the rule of this message: {}", rule.reason)));
            if !known.is_empty() {
                let query = broken_rules::breaking(&known, PLACE, &from);
                questions.push(Question::new(query, known.len(), Asked::Rules(known)));
            }
            for key in keys {
                let is_known = |name: &String| plan.columns.iter().any(|c| c.target == *name && is_known(c));
                if !key.is_over(plan) || !key.columns.iter().all(is_known) {
                    untold.push(format!("unique index {}", key.name));
                    continue;
                }
                if subject.mode == Mode::Append {
                    let query = key.places_taken(PLACE, &from, &standing::from(relation, goal)?);
                    questions.push(Question::new(query, 1, Asked::Taken(key.clone())));
                }
                if !key.is_plain() {
                    questions.push(Question::new(key.hashes(PLACE, &from), 1, Asked::Repeated(key)));
                }
            }
        }
        let rows = RowArray::open(relation, plan)?;
        Ok(Some(Demands { subject, rows, pending: Vec::new(), questions, untold }))
    }

    /// Begins a row.
    pub fn begin(&mut self) {
        self.rows.begin();
    }

    /// Sets a value of the row.
    pub fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        self.rows.cell(column, cell);
    }

    /// Ends a row whose values are good; one with a bad value is another observation.
    pub fn end(&mut self, entry: impl FnOnce() -> Json) -> Result<()> {
        if self.questions.is_empty() {
            return Ok(());
        }
        self.rows.end();
        self.pending.push(entry());
        if self.rows.len() < BATCH { Ok(()) } else { self.settle() }
    }

    fn settle(&mut self) -> Result<()> {
        let Demands { rows, pending, questions, untold, subject } = self;
        if pending.is_empty() {
            return Ok(());
        }
        let mut failed = Vec::new();
        for (number, question) in questions.iter_mut().enumerate() {
            let ask = || {
                rows.as_argument(|argument| {
                    spi::rows(&question.query, &[argument], |row| {
                        let place = row.get::<i64>(1)?.and_then(|n| usize::try_from(n - 1).ok());
                        // Rules have numbers, keys hashes.
                        let second = match &question.what {
                            Asked::Rules(_) => row.get::<i32>(2)?.map(i64::from),
                            Asked::Repeated(_) => row.get::<i64>(2)?,
                            Asked::Taken(_) => Some(0),
                        };
                        Ok((place, second.unwrap_or(0)))
                    })
                })
            };
            match subxact::within(AtEnd::Undo, ask) {
                Ok(mut found) => {
                    found.sort_unstable();
                    question.note(&found, pending, subject.inspected.options.samples);
                }
                // What the caller may not read, or what a row makes an operator raise, the import says.
                Err(error) => failed.push((number, error.into_report().message().to_owned())),
            }
            if question.seen.len() > KEYS {
                failed.push((number, "there are too many keys to hold".to_owned()));
            }
        }
        for (number, why) in failed.into_iter().rev() {
            untold.push(format!("{}: {why}", questions.remove(number).name()));
        }
        pending.clear();
        rows.clear();
        Ok(())
    }

    /// What was found.
    pub fn observations(mut self) -> Result<Vec<Observation>> {
        self.settle()?;
        let subject = self.subject;
        let mut out = Vec::new();
        for question in &self.questions {
            out.extend(question.observations(subject)?);
        }
        for what in self.untold {
            let finding =
                Finding::of(&subject.plan.source, Demand::Untold(subject.plan.target.clone(), what));
            let remedy = Suggestion::postgresql().note("aliaport_import() with dry_run => true tries it");
            out.push(Observation::new(finding, Some(remedy)));
        }
        self.rows.close();
        Ok(out)
    }
}

impl Question {
    fn new(query: String, kinds: usize, what: Asked) -> Self {
        let broken = (0..kinds).map(|_| Broken::default()).collect();
        Question { what, query, seen: HashSet::new(), broken }
    }

    fn name(&self) -> String {
        match &self.what {
            Asked::Rules(_) => "its checks and partitions".to_owned(),
            Asked::Repeated(key) => format!("repeated keys of unique index {}", key.name),
            Asked::Taken(key) => format!("keys of unique index {} that are in use", key.name),
        }
    }

    fn note(&mut self, found: &[(Option<usize>, i64)], pending: &[Json], limit: usize) {
        for (place, second) in found {
            let Some(entry) = place.and_then(|place| pending.get(place)) else { continue };
            let kind = match &self.what {
                Asked::Rules(_) => usize::try_from(*second).unwrap_or_default(),
                Asked::Taken(_) => 0,
                Asked::Repeated(_) if self.seen.insert(*second) => continue,
                Asked::Repeated(_) => 0,
            };
            if let Some(broken) = self.broken.get_mut(kind) {
                broken.add(entry, limit);
            }
        }
    }

    fn observations(&self, subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
        let mut out = Vec::new();
        for (number, Broken { count, samples }) in self.broken.iter().enumerate() {
            if *count == 0 {
                continue;
            }
            let plan = subject.plan;
            let goal = plan.target.clone();
            let ask = Suggestion::postgresql();
            let (why, column, suggestion) = match &self.what {
                Asked::Rules(rules) => {
                    let Some(rule) = rules.get(number) else { continue };
                    let suggestion = match &rule.remedy {
                        Some(remedy) => ask.run(remedy),
                        None => ask.note("make room for these rows, or repair them in SQLite"),
                    };
                    (Demand::Rule(goal, rule.reason.clone()), rule.columns.clone(), suggestion)
                }
                Asked::Repeated(key) => {
                    let suggestion = match relax::index(plan, key)? {
                        Some(drop) => ask.run(drop),
                        None => ask.note("repair all but one row of each key in SQLite"),
                    };
                    (Demand::Repeated(key.name.clone(), goal), sources(subject, key), suggestion)
                }
                Asked::Taken(key) => {
                    let suggestion = ask.note(
                        "import with mode => 'sync' to make the tables equal, or 'replace' to put the source's rows in the place of the target's",
                    );
                    (Demand::Taken(key.name.clone(), goal), sources(subject, key), suggestion)
                }
            };
            let finding = Finding::of(&plan.source, why).counted(*count);
            out.push(Observation {
                finding: Finding { column: Some(column).filter(|c| !c.is_empty()), ..finding },
                sample: Some(Json::Array(samples.clone())),
                suggestion: Some(
                    suggestion.note("or import with on_error => 'reject', which sets these rows aside"),
                ),
            });
        }
        Ok(out)
    }
}

/// The SQLite columns of a key.
fn sources(subject: &InspectedTable<'_>, key: &UniqueIndex) -> String {
    let of =
        |name: &String| subject.plan.columns.iter().find(|c| c.target == *name).map(|c| c.source.as_str());
    key.columns.iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

/// The argument of a query as a FROM item with the table's columns and [`PLACE`].
fn from_item(relation: pg_sys::Oid) -> Result<String> {
    let names = spi::rows(
        "SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[relation.into()],
        |row| Ok(quote(&row.get::<String>(1)?.unwrap_or_default())),
    )?;
    Ok(format!("pg_catalog.unnest($1) WITH ORDINALITY AS rows_to_come ({}, {PLACE})", names.join(", ")))
}

/// The exclusion constraints of a table, of which nothing is known before all rows are there.
fn exclusions(relation: pg_sys::Oid) -> Result<Vec<String>> {
    spi::rows(
        "SELECT pg_catalog.format('exclusion constraint %I', k.conname) FROM pg_catalog.pg_constraint k \
         WHERE k.conrelid = $1 AND k.contype = 'x' ORDER BY k.conname",
        &[relation.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )
}

/// Rules of the query rewriter that put something in the place of an INSERT.
pub fn instead_rules(subject: &InspectedTable<'_>) -> Result<Vec<Observation>> {
    let goal = &subject.plan.target;
    if subject.plan.is_created {
        return Ok(Vec::new());
    }
    let names = spi::rows(
        "SELECT r.rulename::text FROM pg_catalog.pg_rewrite r WHERE r.ev_class = pg_catalog.to_regclass($1) AND r.ev_type = '3' \
           AND r.is_instead AND r.ev_enabled <> 'D' AND r.ev_enabled <> 'R' ORDER BY r.rulename",
        &[goal.to_string().into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )?;
    let observation = |name: String| {
        let rule = quote(&name);
        let remedy = Suggestion::postgresql()
            .run(format!("ALTER TABLE {goal} DISABLE RULE {rule}"))
            .note(format!("and after the import: ALTER TABLE {goal} ENABLE RULE {rule};"));
        Observation::new(Finding::of(&subject.plan.source, Demand::Instead(name, goal.clone())), Some(remedy))
    };
    Ok(names.into_iter().map(observation).collect())
}
