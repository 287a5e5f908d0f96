//! The report as GitHub's Markdown, laid out to be read as plain text too.

use std::fmt::Write as _;

use super::Report;
use super::escape::{markdown_code as code, markdown_text as text, short};
use super::grid::{self, Grid, Role, Tone};
use super::quantity::grouped;
use super::summary::{self, signed, slug};

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
    if summary::is_long(report) {
        for section in summary::sections(report) {
            writeln!(out, "- [{}](#{})", section.title, slug(section.title))?;
        }
        writeln!(out)?;
    }
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
    writeln!(out, "## {}\n", summary::TABLES)?;
    write_grid(out, &grid::tables(report))?;
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

/// A table. A bar has a column of its own, so that it can be read as plain text.
fn write_grid(out: &mut String, grid: &Grid) -> std::fmt::Result {
    let mut head = Vec::new();
    let mut marks = Vec::new();
    for column in &grid.columns {
        head.push(column.label);
        marks.push(match column.role {
            Role::Order | Role::Number | Role::Bar(_) => "--:",
            _ => "---",
        });
        if matches!(column.role, Role::Bar(_)) {
            head.push("");
            marks.push("---");
        }
    }
    writeln!(out, "| {} |\n|{}|", head.join(" | "), marks.join("|"))?;
    for row in grid.rows.iter().chain(&grid.total) {
        let mut cells = Vec::new();
        for (column, cell) in grid.columns.iter().zip(row) {
            let words = if cell.is_code { code(&cell.text) } else { text(&cell.text) };
            cells.push(if cell.tone == Tone::Bad { format!("**{words}**") } else { words });
            if matches!(column.role, Role::Bar(_)) {
                cells.push(bar(cell.share));
            }
        }
        writeln!(out, "| {} |", cells.join(" | "))?;
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
    writeln!(out, "## {}\n", summary::KEYS)?;
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
    writeln!(out, "## {}\n", summary::WARNINGS)?;
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
            writeln!(out, "- {}: {}{count}", code(&entry.place()), text(&short(&entry.message, MESSAGE)))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn rejected(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.rejected.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {}\n\n{}\n", summary::rejected_title(&report.run), summary::why_rejected(report))?;
    writeln!(
        out,
        "Whole rows are in `aliaport.rejected_row`, `run_id = {}`. Samples hold values of the source.\n",
        report.run.run_id
    )?;
    for group in &report.rejected {
        let what = group.what(&report.run);
        writeln!(out, "### {}: {what} ({})\n", code(&group.place()), code(&group.sqlstate))?;
        write_grid(out, &grid::samples(group, MESSAGE))?;
        let more = group.count - signed(group.samples.len());
        if more > 0 {
            writeln!(out, "\nAnd {} more.", grouped(more))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn not_carried(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.not_carried.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {}\n", summary::NOT_CARRIED)?;
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
    writeln!(out, "## {}\n", summary::SEQUENCES)?;
    write_grid(out, &grid::sequences(report))?;
    writeln!(out)
}

fn going_back(out: &mut String, report: &Report) -> std::fmt::Result {
    let back = &report.going_back;
    writeln!(out, "## {}\n\n{}\n", summary::BACK, back.summary)?;
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
