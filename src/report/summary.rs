//! The words that every format shares.

use super::quantity::{bytes, counted, duration, grouped, instant, rate};
use super::{Report, Run};

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
        out.push_str(&format!(" {} set aside.", counted(rejected, "row was", "rows were")));
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
    if let Some(rate) = rate(run.rows_imported, run.elapsed_us) {
        figure("rows a second", grouped(rate), false);
    }
    out
}

/// A length as the type of counts.
pub fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
