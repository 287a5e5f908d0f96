//! The report as GitHub's Markdown, laid out to be read as plain text too.

use std::fmt::Write as _;

use super::escape::{markdown_code as code, markdown_text as text, short};
use super::quantity::{counted, duration, grouped, grouped_or_dash, rate, share};
use super::summary::{self, signed};
use super::{Report, Table};

/// Columns of a bar.
const BAR: usize = 12;

/// The longest message shown.
const MESSAGE: usize = 400;

/// The whole text.
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.run;
    writeln!(out, "# {}: {}\n", summary::title(run), summary::status(run))?;
    writeln!(out, "{}\n", summary::verdict(report))?;
    if let Some(error) = &run.error {
        writeln!(out, "> Error: {}\n", text(&short(error, 2000)))?;
    }
    writeln!(out, "| | |\n|---|---|")?;
    for (label, value) in summary::facts(report) {
        writeln!(out, "| {label} | {} |", code(&short(&value, 1000)))?;
    }
    for (label, value, _) in summary::figures(report) {
        writeln!(
            out,
            "| {}{} | {value} |",
            label.get(..1).unwrap_or_default().to_uppercase(),
            label.get(1..).unwrap_or_default()
        )?;
    }
    writeln!(out)?;
    tables(out, report)?;
    foreign_keys(out, report)?;
    warnings(out, report)?;
    rejected(out, report)?;
    not_carried(out, report)?;
    sequences(out, report)?;
    going_back(out, report)?;
    writeln!(
        out,
        "---\n\nTimes are in UTC. Foreign keys are as the database had them when this report was made, all else is as the run recorded it."
    )
}

fn tables(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.tables.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Tables\n")?;
    let any = |value: fn(&Table) -> Option<i64>| report.tables.iter().any(|t| value(t).unwrap_or(0) != 0);
    let has_updates = any(|t| t.updated_rows);
    let has_deletes = any(|t| t.deleted_rows);
    let mut head = vec!["#", "table", "source", "imported", ""];
    let mut marks = vec!["--:", "---", "--:", "--:", "---"];
    for (is_there, label) in [(has_updates, "of these updated"), (has_deletes, "deleted")] {
        if is_there {
            head.push(label);
            marks.push("--:");
        }
    }
    head.extend(["rejected", "orphans", "in the target", "content", "time", "", "rows/s", "status"]);
    marks.extend(["--:", "--:", "--:", "---", "--:", "---", "--:", "---"]);
    writeln!(out, "| {} |\n|{}|", head.join(" | "), marks.join("|"))?;
    let most_rows = report.tables.iter().filter_map(|t| t.imported_rows).max().unwrap_or(0);
    let most_time = report.tables.iter().filter_map(|t| t.elapsed_us).max().unwrap_or(0);
    for table in &report.tables {
        let mut cells = vec![
            table.load_order.to_string(),
            code(&table.table_name),
            grouped_or_dash(table.source_rows),
            grouped_or_dash(table.imported_rows),
            bar(share(table.imported_rows, most_rows)),
        ];
        if has_updates {
            cells.push(grouped_or_dash(table.updated_rows));
        }
        if has_deletes {
            cells.push(grouped_or_dash(table.deleted_rows));
        }
        cells.extend([
            grouped_or_dash(table.rejected_rows),
            grouped_or_dash(table.orphan_rows),
            grouped_or_dash(table.target_rows),
            match table.content_match {
                Some(true) => "equal".to_owned(),
                Some(false) => "**differs**".to_owned(),
                None => "–".to_owned(),
            },
            table.elapsed_us.map_or_else(|| "–".to_owned(), duration),
            bar(share(table.elapsed_us, most_time)),
            grouped_or_dash(rate(table.imported_rows, table.elapsed_us)),
            text(&table.status),
        ]);
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)?;
    for table in report.tables.iter().filter(|t| t.error.is_some()) {
        let error = table.error.as_ref();
        let field = |name: &str| error.and_then(|e| e.get(name)).and_then(|v| v.as_str()).unwrap_or_default();
        writeln!(
            out,
            "- {} would stop the import with {}: {}",
            code(&table.table_name),
            code(field("sqlstate")),
            text(&short(field("message"), MESSAGE))
        )?;
        for part in ["detail", "hint"].map(field).into_iter().filter(|p| !p.is_empty()) {
            writeln!(out, "  {}", text(&short(part, 2000)))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `share` from 0 to 1 as blocks; what is not zero shows.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 96
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.clamp(1, BAR * 8) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS.get(eighths % 8).copied().unwrap_or_default())
}

fn foreign_keys(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.foreign_keys.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Load order and foreign keys\n")?;
    writeln!(out, "| # | table | refers to |\n|--:|---|---|")?;
    let name =
        |order: i32| report.tables.iter().find(|t| t.load_order == order).map(|t| t.table_name.as_str());
    let mut free = Vec::new();
    for table in &report.tables {
        let mut parents = Vec::new();
        for key in report.foreign_keys.iter().filter(|k| k.child == table.load_order) {
            let parent = name(key.parent).unwrap_or_default();
            let note = match (key.parent.cmp(&key.child), key.validated) {
                (_, false) => " (NOT VALID)",
                (std::cmp::Ordering::Equal, _) => " (itself)",
                (std::cmp::Ordering::Greater, _) => " (circle)",
                _ => "",
            };
            parents.push(format!("{} by {}{note}", code(parent), code(&key.columns.join(", "))));
        }
        if parents.is_empty() {
            let is_parent = report.foreign_keys.iter().any(|k| k.parent == table.load_order);
            if !is_parent {
                free.push(code(&table.table_name));
                continue;
            }
        }
        writeln!(out, "| {} | {} | {} |", table.load_order, code(&table.table_name), parents.join(", "))?;
    }
    if !free.is_empty() {
        writeln!(out, "\nWithout foreign keys: {}.", free.join(", "))?;
    }
    writeln!(out)
}

fn warnings(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Warnings\n")?;
    for group in &report.warnings {
        write!(out, "### {}", code(&group.code))?;
        if group.severity != "warning" {
            write!(out, " ({})", text(&group.severity))?;
        }
        writeln!(out, "\n")?;
        if let Some(meaning) = group.meaning {
            writeln!(
                out,
                "{}{}.\n",
                meaning.get(..1).unwrap_or_default().to_uppercase(),
                meaning.get(1..).unwrap_or_default()
            )?;
        }
        for entry in &group.entries {
            let count = entry.count.map(|n| format!(" ({})", grouped(n))).unwrap_or_default();
            writeln!(out, "- {}: {}{count}", code(&entry.table_name), text(&short(&entry.message, MESSAGE)))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn rejected(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.rejected.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Rejected rows\n")?;
    writeln!(
        out,
        "Whole rows are in `aliaport.rejected_row`, `run_id = {}`. Samples hold values of the source.\n",
        report.run.run_id
    )?;
    writeln!(
        out,
        "| table | column | SQLSTATE | what | sample | value | reason |\n|---|---|---|---|---|---|---|"
    )?;
    for group in &report.rejected {
        let what = match group.action.as_str() {
            "nulled" => counted(group.count, "value became NULL", "values became NULL"),
            _ => counted(group.count, "row rejected", "rows rejected"),
        };
        let column = group.column_name.as_deref().map(code).unwrap_or_default();
        let head = [code(&group.table_name), column, code(&group.sqlstate), what];
        for (i, sample) in group.samples.iter().enumerate() {
            let head = if i == 0 { head.join(" | ") } else { " | | |".to_owned() };
            writeln!(
                out,
                "| {head} | {} | {} | {} |",
                code(&short(&sample.key(), 200)),
                code(&short(&sample.value_with_class(), 200)),
                text(&short(&sample.reason, MESSAGE))
            )?;
        }
    }
    writeln!(out)
}

fn not_carried(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.not_carried.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Not carried over\n")?;
    for object in &report.not_carried {
        write!(out, "- {}", text(&short(&object.message, MESSAGE)))?;
        match &object.sql {
            Some(sql) => writeln!(out, ": {}", code(&short(sql, 2000)))?,
            None => writeln!(out)?,
        }
    }
    writeln!(out)
}

fn sequences(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.sequences.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Sequences\n\n| table | next value |\n|---|--:|")?;
    for sequence in &report.sequences {
        writeln!(out, "| {} | {} |", code(&sequence.table_name), grouped(sequence.next_value))?;
    }
    writeln!(out)
}

fn going_back(out: &mut String, report: &Report) -> std::fmt::Result {
    let back = &report.going_back;
    writeln!(out, "## How to go back\n\n{}\n", back.summary)?;
    for (step, n) in back.steps.iter().zip(1..=signed(back.steps.len())) {
        // The fence is longer than any row of backticks in a name.
        let longest = step.sql.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(3.max(longest + 1));
        writeln!(out, "{n}. {}.\n\n   {fence}sql", step.when)?;
        for line in step.sql.lines() {
            writeln!(out, "   {line}")?;
        }
        writeln!(out, "   {fence}\n\n   {}\n", step.caution)?;
    }
    Ok(())
}
