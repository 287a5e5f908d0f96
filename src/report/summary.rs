//! The words that every format shares.

use super::quantity::{bytes, counted, duration, grouped, instant, percent, rate};
use super::{RejectedGroup, Report, Run, grid};

/// The section on tables.
pub const TABLES: &str = "Tables";
/// The section on foreign keys.
pub const KEYS: &str = "Load order and foreign keys";
/// The section on warnings.
pub const WARNINGS: &str = "Warnings";
/// The section on what has no counterpart.
pub const NOT_CARRIED: &str = "Not carried over";
/// The section on sequences.
pub const SEQUENCES: &str = "Sequences";
/// The last section.
pub const BACK: &str = "How to go back";

/// The title of the section on rejected rows.
pub fn rejected_title(run: &Run) -> &'static str {
    if run.dry_run { "Rows that would be rejected" } else { "Rejected rows" }
}

/// A section, for the contents.
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What is in it: name, possibly hostile, and how many.
    pub entries: Vec<(String, String)>,
}

/// The sections that the report has, in the order of the page.
pub fn sections(report: &Report) -> Vec<Section> {
    let warnings =
        report.warnings.iter().map(|g| (g.code.clone(), g.count.map_or_else(String::new, grouped)));
    let rejected = report.rejected.iter().map(|g| (g.place(), grouped(g.count)));
    [
        (KEYS, report.foreign_keys.is_empty(), Vec::new()),
        (TABLES, report.tables.is_empty(), Vec::new()),
        (WARNINGS, report.warnings.is_empty(), warnings.collect()),
        (rejected_title(&report.run), report.rejected.is_empty(), rejected.collect()),
        (NOT_CARRIED, report.not_carried.is_empty(), Vec::new()),
        (SEQUENCES, report.sequences.is_empty(), Vec::new()),
        (BACK, false, Vec::new()),
    ]
    .into_iter()
    .filter(|(_, is_empty, _)| !is_empty)
    .map(|(title, _, entries)| Section { title, entries })
    .collect()
}

/// The report is several screens long, so that it needs contents.
pub fn is_long(report: &Report) -> bool {
    report.rejected.len() > 4 || report.tables.len() > 20
}

/// What a link names a heading by, which is also what GitHub makes of it.
pub fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

/// Why rows were rejected, by what can be done about it.
pub fn why_rejected(report: &Report) -> String {
    let count = |is_it: &dyn Fn(&RejectedGroup) -> bool| -> i64 {
        report.rejected.iter().filter(|g| is_it(g)).map(|g| g.count).fold(0, i64::saturating_add)
    };
    let is_rejected = |g: &RejectedGroup| g.action != "nulled";
    let value = count(&|g| is_rejected(g) && !g.is_for_parent());
    let parent = count(&|g| is_rejected(g) && g.is_for_parent());
    let nulled = count(&|g| !is_rejected(g));
    let (is, are, turned) =
        if report.run.dry_run { ("would be", "would be", "would become") } else { ("was", "were", "became") };
    let mut out = Vec::new();
    if value > 0 {
        let be = if value == 1 { is } else { are };
        let (row, values) = if value == 1 { ("row", "a value") } else { ("rows", "values") };
        out.push(format!("{} {row} {be} rejected for {values} that the table cannot hold.", grouped(value)));
    }
    if parent > 0 {
        let (be, they, point) = if parent == 1 { (is, "it", "points") } else { (are, "they", "point") };
        out.push(format!(
            "{} {be} rejected because a row that {they} {point} at is missing, or is rejected as well: repair first what others \
             point at.",
            counted(parent, "row", "rows"),
        ));
    }
    if nulled > 0 {
        out.push(format!("{} {turned} NULL.", counted(nulled, "value", "values")));
    }
    out.join(" ")
}

/// The heading.
pub fn title(run: &Run) -> String {
    if run.dry_run {
        format!("SQLite import, run {}: dry run", run.run_id)
    } else {
        format!("SQLite import, run {}", run.run_id)
    }
}

/// The status in words.
pub fn status(run: &Run) -> &'static str {
    match (run.status.as_str(), run.dry_run) {
        ("ok", false) => "imported",
        ("ok", true) => "would be imported",
        ("warning", false) => "imported, with warnings",
        ("warning", true) => "would be imported, with warnings",
        ("unchanged", _) => "unchanged",
        (_, false) => "failed",
        (_, true) => "would fail",
    }
}

/// What came of the run, in two or three sentences.
pub fn verdict(report: &Report) -> String {
    let run = &report.run;
    match run.status.as_str() {
        "unchanged" => {
            return "The source is the same as in the last successful run, and so is the target: nothing had to be loaded."
                .to_owned();
        }
        "failed" if run.dry_run => {
            let failed = report.tables.iter().filter(|t| t.status == "failed").count();
            return match (failed, report.tables.len()) {
                (0, _) => "A real import would stop where this dry run did. Nothing was kept.".to_owned(),
                (failed, all) => format!(
                    "A real import would end with an error: {failed} of {} would not take their rows. Every table was tried, and nothing was kept.",
                    counted(signed(all), "table", "tables")
                ),
            };
        }
        "failed" => {
            return "The import stopped and was rolled back as a whole: the target is as it was before."
                .to_owned();
        }
        _ => {}
    }
    let mut out = format!(
        "{} in {}",
        counted(run.rows_imported.unwrap_or(0), "row", "rows"),
        counted(signed(report.tables.len()), "table", "tables")
    );
    out.push_str(if run.dry_run { " would be imported" } else { " imported" });
    if let Some(us) = run.elapsed_us {
        out.push_str(&format!(" in {}", duration(us)));
    }
    out.push_str(". ");
    out.push_str(&compared(report));
    let rejected = run.rows_rejected.unwrap_or(0);
    if rejected > 0 {
        let were = match (run.dry_run, rejected) {
            (true, _) => "would be",
            (false, 1) => "was",
            (false, _) => "were",
        };
        let rows = counted(rejected, "row", "rows");
        let all = report.tables.iter().filter_map(|t| t.source_rows).fold(0, i64::saturating_add);
        out.push_str(&format!(" {rows} {were} set aside, {} of all.", percent(rejected, all)));
    }
    if run.dry_run {
        out.push_str(" It was a dry run: nothing was kept.");
    }
    out
}

fn compared(report: &Report) -> String {
    let all = report.tables.len();
    let equal = report.tables.iter().filter(|t| t.content_match == Some(true)).count();
    let different = report.tables.iter().filter(|t| t.content_match == Some(false)).count();
    if all == 0 {
        "There was no table to compare.".to_owned()
    } else if different > 0 {
        format!(
            "In {} the values read back differ from what was sent.",
            counted(signed(different), "table", "tables")
        )
    } else if equal == all {
        "Every value was read back from every table and equals what was sent.".to_owned()
    } else if equal == 0 {
        "The values were not read back and compared.".to_owned()
    } else {
        format!(
            "In {} of {} tables every value was read back and equals what was sent.",
            grouped(signed(equal)),
            all
        )
    }
}

/// The facts beside the verdict: label and value, values possibly hostile.
pub fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let run = &report.run;
    let mut out = vec![("Source", run.path.clone())];
    if let Some(size) = run.source_bytes {
        out.push(("Size of the source", bytes(size)));
    }
    if let Some(database) = &run.database {
        out.push(("Database", database.clone()));
    }
    if let Some(version) = &run.server_version {
        out.push(("Server", format!("PostgreSQL {version}")));
    }
    if let Some(schema) = &run.target_schema {
        out.push(("Target schema", schema.clone()));
    }
    out.push(("Mode", run.mode.clone()));
    if let Some(word) = &run.on_error {
        out.push(("Bad values (on_error)", word.clone()));
    }
    if let Some(word) = &run.orphans {
        out.push(("Rows without a parent (orphans)", word.clone()));
    }
    out.push(("Began", instant(&run.started_at)));
    if let Some(end) = &run.finished_at {
        out.push(("Ended", instant(end)));
    }
    out.push(("Called by", run.invoked_by.clone()));
    if run.options.as_object().is_some_and(|o| !o.is_empty()) {
        out.push(("Options", run.options.to_string()));
    }
    out
}

/// The numbers at a glance: label, value, and whether it asks for attention.
pub fn figures(report: &Report) -> Vec<(&'static str, String, bool)> {
    let run = &report.run;
    let mut out = Vec::new();
    let mut figure = |label, value: String, alarming| out.push((label, value, alarming));
    if report.tables.is_empty() {
        // Zeros would say nothing: it failed early, or there was nothing to do.
        if let Some(us) = run.elapsed_us {
            figure("time", duration(us), false);
        }
        return out;
    }
    figure("tables", grouped(signed(report.tables.len())), false);
    if let Some(rows) = run.rows_imported {
        figure("rows imported", grouped(rows), false);
    }
    if let Some(rows) = run.rows_rejected {
        figure("rows rejected", grouped(rows), rows > 0);
    }
    let warnings: usize =
        report.warnings.iter().filter(|g| g.severity != "info").map(|g| g.entries.len()).sum();
    figure("warnings", grouped(signed(warnings)), warnings > 0);
    figure("not carried over", grouped(signed(report.not_carried.len())), !report.not_carried.is_empty());
    if let Some(us) = run.elapsed_us {
        figure("time", duration(us), false);
    }
    // Of few rows it says how long a transaction takes, not a row.
    if run.rows_imported >= Some(grid::MANY)
        && let Some(rate) = rate(run.rows_imported, run.elapsed_us)
    {
        figure("rows a second", grouped(rate), false);
    }
    out
}

/// A length as the type of counts.
pub fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
