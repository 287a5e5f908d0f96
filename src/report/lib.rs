//! What a team is told after a run: one struct, shown as Markdown, HTML or JSON.
//!
//! [`Report::new`] groups the facts of a run; [`Report::render`] writes them. Nothing here asks a clock: the
//! same history gives the same text, and every time in it is the run's own, in UTC. Names and values are the
//! source's and may be hostile; `escape` says how each format defuses them.

mod escape;
mod grid;
mod html;
mod layout;
mod markdown;
mod quantity;
mod rejected;
mod style;
mod summary;
mod svg;
mod undo;

use aliaport_plan::finding::Code;
use serde::Serialize;

pub use rejected::{RejectedGroup, Sample, values_of};
pub use undo::{GoingBack, Step};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GitHub's Markdown, readable as plain text too.
    Markdown,
    /// One self-contained page.
    Html,
    /// The struct [`Report`], field by field.
    Json,
}

impl Format {
    /// The words that [`Format::parse`] takes.
    pub const WORDS: [&'static str; 3] = ["markdown", "html", "json"];

    /// The format of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "markdown" => Some(Format::Markdown),
            "html" => Some(Format::Html),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// A run's row in `aliaport.run`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// The number of the run.
    pub run_id: i64,
    /// When it began: RFC 3339 in UTC with microseconds.
    pub started_at: String,
    /// When it ended, likewise; the commit came later.
    pub finished_at: Option<String>,
    /// From beginning to end, in microseconds.
    pub elapsed_us: Option<i64>,
    /// The SQLite file as the caller named it.
    pub path: String,
    /// What the file looked like.
    pub source_fingerprint: Option<String>,
    /// Its size in bytes.
    pub source_bytes: Option<i64>,
    /// The schema that tables went to.
    pub target_schema: Option<String>,
    /// create, append, replace or sync.
    pub mode: String,
    /// Everything was undone at the end.
    pub dry_run: bool,
    /// The argument `on_error`: abort, reject, ...; null: a run of 0.1.0, which did not record it.
    pub on_error: Option<String>,
    /// The argument `orphans`, likewise.
    pub orphans: Option<String>,
    /// The argument `options` as given.
    pub options: serde_json::Value,
    /// ok, warning, unchanged or failed.
    pub status: String,
    /// Rows written, over all tables.
    pub rows_imported: Option<i64>,
    /// Rows set aside, over all tables.
    pub rows_rejected: Option<i64>,
    /// What ended a failed run.
    pub error: Option<String>,
    /// The role that called it.
    pub invoked_by: String,
    /// The database that it was in.
    pub database: Option<String>,
    /// The server's version, as it calls itself.
    pub server_version: Option<String>,
}

/// A row of `aliaport.run_table`, with where the table is now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// 1-based; a parent comes before its children.
    pub load_order: i32,
    /// The table as the run recorded it.
    pub table_name: String,
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// It exists while the report is made.
    pub exists: bool,
    /// Rows in the SQLite table.
    pub source_rows: Option<i64>,
    /// Rows written: inserted and updated.
    pub imported_rows: Option<i64>,
    /// Of these, rows that mode sync updated.
    pub updated_rows: Option<i64>,
    /// Rows that mode sync deleted.
    pub deleted_rows: Option<i64>,
    /// Rows set aside.
    pub rejected_rows: Option<i64>,
    /// The SQLite table; null: a run of 0.1.0, which did not record it.
    pub source_table: Option<String>,
    /// Of the rows set aside, those that have a bad value; null: not known.
    pub rejected_for_value: Option<i64>,
    /// Of the rows set aside, those that point at a missing parent; null: not known.
    pub rejected_for_parent: Option<i64>,
    /// Rows in the target after the run.
    pub target_rows: Option<i64>,
    /// Rows that point at a missing parent, as found.
    pub orphan_rows: Option<i64>,
    /// Every value read back equals what was sent; null: not asked for.
    pub content_match: Option<bool>,
    /// What nextval() gave next after the run; null: no sequence.
    pub sequence_next: Option<i64>,
    /// Time spent on this table, in microseconds.
    pub elapsed_us: Option<i64>,
    /// ok, warning or failed.
    pub status: String,
    /// The run made this table; null: not recorded.
    pub created: Option<bool>,
    /// What would have stopped a real import at this table (dry runs).
    pub error: Option<serde_json::Value>,
}

/// A foreign key between two tables of the run, as the database's catalogue has it now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// `load_order` of the table that refers.
    pub child: i32,
    /// The referring columns.
    pub columns: Vec<String>,
    /// `load_order` of the table that is referred to.
    pub parent: i32,
    /// The columns referred to.
    pub parent_columns: Vec<String>,
    /// False: NOT VALID, the rows that were there are not checked.
    pub validated: bool,
}

/// One warning of a table's `detail`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Warning {
    /// The table as the run recorded it.
    pub table_name: String,
    /// The column, where it is about one.
    pub column_name: Option<String>,
    /// One sentence without a full stop.
    pub message: String,
    /// The statement of an object that is not carried over, with which the message ends.
    #[serde(skip)]
    pub sql: Option<String>,
    /// Rows, values or objects concerned, where counted.
    pub count: Option<i64>,
}

impl Warning {
    /// The table, and the column where it is about one.
    #[must_use]
    pub fn place(&self) -> String {
        rejected::place(&self.table_name, self.column_name.as_deref())
    }
}

/// All warnings of one code.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WarningGroup {
    /// The code, as `aliaport_inspect` and `detail` have it.
    pub code: String,
    /// What the code means, where it is one that this version knows.
    pub meaning: Option<&'static str>,
    /// info, warning or error.
    pub severity: String,
    /// The sum of the counts; null where nothing was counted.
    pub count: Option<i64>,
    /// In load order.
    pub entries: Vec<Warning>,
}

/// An object of the source that has no counterpart in the target.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NotCarried {
    /// What it is and why, without its SQL.
    pub message: String,
    /// Its SQL in SQLite, shortened by the run.
    pub sql: Option<String>,
}

/// The next value of a table's sequence, as the run left it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sequence {
    /// The table as the run recorded it.
    pub table_name: String,
    /// What nextval() gave next.
    pub next_value: i64,
}

/// A warning before it is grouped.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// Its code.
    pub code: String,
    /// info, warning or error.
    pub severity: String,
    /// The rest.
    pub warning: Warning,
}

/// Everything a report says. Format json is this struct.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Its tables in load order.
    pub tables: Vec<Table>,
    /// The foreign keys between them.
    pub foreign_keys: Vec<ForeignKey>,
    /// Warnings by code, those of `not_carried` left out.
    pub warnings: Vec<WarningGroup>,
    /// What was not carried over.
    pub not_carried: Vec<NotCarried>,
    /// Rows and values that were set aside, by table, column and reason.
    pub rejected: Vec<RejectedGroup>,
    /// Sequences with their next value.
    pub sequences: Vec<Sequence>,
    /// How the run is undone.
    pub going_back: GoingBack,
}

impl Report {
    /// Groups the facts of a run. `tables` are in load order.
    #[must_use]
    pub fn new(
        run: Run,
        mut tables: Vec<Table>,
        foreign_keys: Vec<ForeignKey>,
        noted: Vec<Noted>,
        rejected: Vec<RejectedGroup>,
    ) -> Self {
        let (lost, mut noted): (Vec<Noted>, Vec<Noted>) =
            noted.into_iter().partition(|n| n.code == "not_carried");
        if !rejected.is_empty() {
            // A section of their own tells of them.
            noted.retain(|n| ![Code::Rejected, Code::Nulled].map(Code::as_str).contains(&n.code.as_str()));
        }
        for table in &mut tables {
            tell_apart(table, &rejected);
        }
        let sequences = tables
            .iter()
            .filter_map(|t| Some(Sequence { table_name: t.table_name.clone(), next_value: t.sequence_next? }))
            .collect();
        Report {
            warnings: group(noted),
            not_carried: lost.into_iter().map(|n| not_carried(n.warning)).collect(),
            going_back: undo::going_back(&run, &tables),
            run,
            tables,
            foreign_keys,
            rejected,
            sequences,
        }
    }

    /// The text of the report.
    ///
    /// # Errors
    /// Only where a value cannot be written as JSON, which none of these types can cause.
    pub fn render(&self, format: Format) -> Result<String, serde_json::Error> {
        match format {
            Format::Markdown => Ok(markdown::page(self)),
            Format::Html => Ok(html::page(self)),
            Format::Json => serde_json::to_string_pretty(self),
        }
    }
}

/// The table's rejected rows by what they were rejected for.
fn tell_apart(table: &mut Table, rejected: &[RejectedGroup]) {
    let Some(source) = &table.source_table else { return };
    let of_it = rejected.iter().filter(|g| &g.table_name == source && g.action != "nulled");
    let (parent, value): (Vec<_>, Vec<_>) = of_it.partition(|g| g.is_for_parent());
    let sum = |groups: &[&RejectedGroup]| groups.iter().map(|g| g.count).fold(0, i64::saturating_add);
    // Whoever may not see all of them is told nothing of their parts.
    if sum(&parent).saturating_add(sum(&value)) == table.rejected_rows.unwrap_or(0) {
        table.rejected_for_parent = Some(sum(&parent));
        table.rejected_for_value = Some(sum(&value));
    }
}

/// By code, in the order of the first of each; what needs a decision comes before what is worth knowing.
fn group(noted: Vec<Noted>) -> Vec<WarningGroup> {
    let mut groups: Vec<WarningGroup> = Vec::new();
    for Noted { code, severity, warning } in noted {
        let group = match groups.iter().position(|g| g.code == code && g.severity == severity) {
            Some(at) => groups.get_mut(at),
            None => {
                let meaning = Code::parse(&code).map(Code::meaning);
                groups.push(WarningGroup { code, meaning, severity, ..WarningGroup::default() });
                groups.last_mut()
            }
        };
        if let Some(group) = group {
            if let Some(count) = warning.count {
                group.count = Some(group.count.unwrap_or(0).saturating_add(count));
            }
            // Told once, with what it comes to, however often it was found.
            let is_same = |w: &&mut Warning| {
                (&w.table_name, &w.column_name, &w.message)
                    == (&warning.table_name, &warning.column_name, &warning.message)
            };
            if let Some(same) = group.entries.iter_mut().find(is_same) {
                let counts = [same.count, warning.count];
                same.count = counts.into_iter().flatten().reduce(i64::saturating_add);
                continue;
            }
            group.entries.push(warning);
        }
    }
    groups.sort_by_key(|g| match g.severity.as_str() {
        "error" => 0,
        "info" => 2,
        _ => 1,
    });
    groups
}

/// The message of a schema object ends in its SQL, which stands apart in a report.
fn not_carried(warning: Warning) -> NotCarried {
    let Warning { message, sql, .. } = warning;
    let before = sql.as_ref().and_then(|sql| message.strip_suffix(sql.as_str())?.strip_suffix(": "));
    NotCarried { message: before.unwrap_or(&message).to_owned(), sql }
}

#[cfg(test)]
mod tests;
