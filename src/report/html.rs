//! The report as one self-contained page: no script, nothing fetched, and a policy in its head that says so.

use std::fmt::Write as _;

use super::escape::{html as esc, html_lines, short};
use super::quantity::{counted, duration, grouped, grouped_or_dash, rate, share};
use super::summary::{self, signed};
use super::{Report, Table, style, svg};

/// The longest message shown.
const MESSAGE: usize = 600;

/// One of a table's numbers.
type Count = fn(&Table) -> Option<i64>;

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(32 * 1024);
    // Writing to a String cannot fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.run;
    let title = esc(&summary::title(run));
    let class = class(&run.status);
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}: {}</title>\n<style>{}</style>\n</head>\n<body>",
        summary::status(run),
        style::SHEET
    )?;
    writeln!(
        out,
        "<header><h1>{title}</h1><span class=\"badge {class}\">{}</span></header>\n<p class=\"verdict\">{}</p>",
        summary::status(run),
        esc(&summary::verdict(report))
    )?;
    if let Some(error) = &run.error {
        writeln!(
            out,
            "<div class=\"error\" role=\"alert\"><strong>Error.</strong> {}</div>",
            html_lines(&short(error, 4000))
        )?;
    }
    out.push_str("<dl class=\"figures\">");
    for (label, value, is_alarming) in summary::figures(report) {
        let class = if is_alarming { " class=\"warn\"" } else { "" };
        write!(out, "<div><dt>{label}</dt><dd{class}>{value}</dd></div>")?;
    }
    out.push_str("</dl>\n<dl class=\"facts\">");
    for (label, value) in summary::facts(report) {
        write!(out, "<dt>{label}</dt><dd>{}</dd>", esc(&short(&value, 2000)))?;
    }
    out.push_str("</dl>\n");
    foreign_keys(out, report)?;
    tables(out, report)?;
    warnings(out, report)?;
    rejected(out, report)?;
    not_carried(out, report)?;
    sequences(out, report)?;
    going_back(out, report)?;
    writeln!(
        out,
        "<footer>Times are in UTC. Foreign keys are as the database had them when this report was made, all else is as the run \
         recorded it. Made by aliaport_import.</footer>\n</body>\n</html>"
    )
}

fn class(status: &str) -> &'static str {
    match status {
        "ok" | "unchanged" => "ok",
        "warning" => "warn",
        _ => "bad",
    }
}

fn foreign_keys(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.foreign_keys.is_empty() {
        return Ok(());
    }
    let graph = svg::graph(report);
    writeln!(out, "<section><h2>Load order and foreign keys</h2>")?;
    if let Some(picture) = &graph.picture {
        let line = |class: &str, words: &str| {
            format!(
                "<span><svg width=\"34\" height=\"9\" aria-hidden=\"true\"><g class=\"k{class}\"><path d=\"M0 4.5h28\"/>\
                 <path class=\"a\" d=\"M34 4.5l-7 -3.5v7z\"/></g></svg>{words}</span>"
            )
        };
        out.push_str("<div class=\"key\"><span>Parents are loaded first and stand left of their children; the number is the load order.</span>");
        out.push_str(&line("", "foreign key, from parent to child"));
        if graph.has_circle {
            out.push_str(&line(" c", "closes a circle"));
        }
        if graph.has_not_valid {
            out.push_str(&line(" v", "NOT VALID: rows were not checked"));
        }
        if graph.has_itself {
            out.push_str("<span>↻ refers to itself</span>");
        }
        writeln!(out, "</div>\n<div class=\"picture\" tabindex=\"0\">{picture}</div>")?;
    }
    if !graph.free.is_empty() {
        let names: Vec<String> = graph
            .free
            .iter()
            .filter_map(|&t| report.tables.get(t))
            .map(|t| format!("<code>{}</code>", esc(&t.table_name)))
            .collect();
        writeln!(out, "<p class=\"soft\">Without foreign keys: {}.</p>", names.join(", "))?;
    }
    let name = |order: i32| {
        report.tables.iter().find(|t| t.load_order == order).map_or_else(String::new, |t| esc(&t.table_name))
    };
    write!(
        out,
        "<details><summary>{}</summary><ul>",
        counted(signed(report.foreign_keys.len()), "foreign key", "foreign keys")
    )?;
    for key in &report.foreign_keys {
        write!(
            out,
            "<li><code>{} ({})</code> refers to <code>{} ({})</code>{}</li>",
            name(key.child),
            esc(&key.columns.join(", ")),
            name(key.parent),
            esc(&key.parent_columns.join(", ")),
            if key.validated { "" } else { " <span class=\"warn\">NOT VALID</span>" }
        )?;
    }
    writeln!(out, "</ul></details></section>")
}

fn tables(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.tables.is_empty() {
        return Ok(());
    }
    let sum = |value: Count| -> i64 { report.tables.iter().filter_map(value).fold(0, i64::saturating_add) };
    // What is zero everywhere is no column.
    let optional: Vec<(&str, Count)> = [
        ("of these updated", (|t: &Table| t.updated_rows) as Count),
        ("deleted", |t| t.deleted_rows),
        ("rejected", |t| t.rejected_rows),
        ("orphans", |t| t.orphan_rows),
    ]
    .into_iter()
    .filter(|(_, value)| sum(*value) != 0)
    .collect();
    out.push_str(
        "<section><h2>Tables</h2>\n<div class=\"wide\"><table class=\"cards\"><thead><tr><th class=\"num\">#</th><th>table</th>\
         <th class=\"num\">rows in the source</th><th class=\"num\">imported</th>",
    );
    for (label, _) in &optional {
        write!(out, "<th class=\"num\">{label}</th>")?;
    }
    out.push_str(
        "<th class=\"num\">in the target</th><th>content</th><th class=\"num\">time</th><th class=\"num\">rows/s</th><th>status</th></tr></thead>\n<tbody>",
    );
    let most_rows = report.tables.iter().filter_map(|t| t.imported_rows).max().unwrap_or(0);
    let most_time = report.tables.iter().filter_map(|t| t.elapsed_us).max().unwrap_or(0);
    for table in &report.tables {
        write!(
            out,
            "<tr><td class=\"num soft order\">{}</td><td class=\"name\" data-n=\"{}\"><code>{}</code></td>",
            table.load_order,
            table.load_order,
            esc(&table.table_name)
        )?;
        cell(out, "rows in the source", &grouped_or_dash(table.source_rows), "")?;
        cell(
            out,
            "imported",
            &grouped_or_dash(table.imported_rows),
            &bar("bar", share(table.imported_rows, most_rows)),
        )?;
        for (label, value) in &optional {
            cell(out, label, &grouped_or_dash(value(table)), "")?;
        }
        cell(out, "in the target", &grouped_or_dash(table.target_rows), "")?;
        let (class, words) = match table.content_match {
            Some(true) => ("ok", "equal"),
            Some(false) => ("bad", "differs"),
            None => ("soft", "–"),
        };
        write!(out, "<td class=\"{class}\" data-l=\"content\">{words}</td>")?;
        let time = table.elapsed_us.map_or_else(|| "–".to_owned(), duration);
        cell(out, "time", &time, &bar("bar t", share(table.elapsed_us, most_time)))?;
        cell(out, "rows/s", &grouped_or_dash(rate(table.imported_rows, table.elapsed_us)), "")?;
        writeln!(
            out,
            "<td data-l=\"status\"><span class=\"{}\">{}</span></td></tr>",
            self::class(&table.status),
            esc(&table.status)
        )?;
    }
    write!(out, "</tbody><tfoot><tr><td class=\"no\"></td><td class=\"name\">all tables</td>")?;
    cell(out, "rows in the source", &grouped(sum(|t| t.source_rows)), "")?;
    cell(out, "imported", &grouped(sum(|t| t.imported_rows)), "")?;
    for (label, value) in &optional {
        cell(out, label, &grouped(sum(*value)), "")?;
    }
    cell(out, "in the target", &grouped(sum(|t| t.target_rows)), "")?;
    out.push_str("<td class=\"no\"></td>");
    cell(out, "time", &duration(sum(|t| t.elapsed_us)), "")?;
    out.push_str("<td class=\"no\"></td><td class=\"no\"></td></tr></tfoot></table></div>\n");
    for table in report.tables.iter().filter(|t| t.error.is_some()) {
        let field = |name: &str| {
            table.error.as_ref().and_then(|e| e.get(name)).and_then(|v| v.as_str()).unwrap_or_default()
        };
        write!(
            out,
            "<div class=\"error\"><strong><code>{}</code> would stop the import with {}:</strong> {}",
            esc(&table.table_name),
            esc(field("sqlstate")),
            esc(&short(field("message"), MESSAGE))
        )?;
        for part in ["detail", "hint"].map(field).into_iter().filter(|p| !p.is_empty()) {
            write!(out, "\n{}", html_lines(&short(part, 4000)))?;
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</section>")
}

fn cell(out: &mut String, label: &str, value: &str, bar: &str) -> std::fmt::Result {
    write!(out, "<td class=\"num\" data-l=\"{label}\">{value}{bar}</td>")
}

/// `share` from 0 to 1; what is not zero shows.
fn bar(class: &str, share: f64) -> String {
    if share <= 0.0 {
        return String::new();
    }
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 100 5\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect x=\"0\" width=\"{:.1}\" height=\"5\"/></svg>",
        (share * 100.0).max(1.0),
    )
}

fn warnings(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section><h2>Warnings</h2>")?;
    for group in &report.warnings {
        let class = match group.severity.as_str() {
            "info" => "soft",
            "error" => "bad",
            _ => "warn",
        };
        write!(out, "<h3><code class=\"{class}\">{}</code></h3>", esc(&group.code))?;
        if let Some(meaning) = group.meaning {
            write!(out, "<p class=\"soft\">{}</p>", esc(meaning))?;
        }
        out.push_str("<ul>");
        for entry in &group.entries {
            let count =
                entry.count.map(|n| format!(" <strong>({})</strong>", grouped(n))).unwrap_or_default();
            write!(
                out,
                "<li><code>{}</code>: {}{count}</li>",
                esc(&entry.table_name),
                esc(&short(&entry.message, MESSAGE))
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</section>")
}

fn rejected(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.rejected.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section><h2>Rejected rows</h2>\n<p class=\"soft\">Whole rows are in <code>aliaport.rejected_row</code>, \
         <code>run_id = {}</code>. Samples hold values of the source.</p>",
        report.run.run_id
    )?;
    for group in &report.rejected {
        let what = match group.action.as_str() {
            "nulled" => counted(group.count, "value became NULL", "values became NULL"),
            _ => counted(group.count, "row rejected", "rows rejected"),
        };
        let column = group.column_name.as_deref().map(|c| format!(".{}", esc(c))).unwrap_or_default();
        write!(
            out,
            "<h3><code>{}{column}</code>: {what} <span class=\"soft\">({})</span></h3>\
             <div class=\"wide\"><table class=\"cards\"><thead><tr><th>row</th><th>value</th><th>reason</th></tr></thead><tbody>",
            esc(&group.table_name),
            esc(&group.sqlstate)
        )?;
        for sample in &group.samples {
            write!(
                out,
                "<tr><td class=\"all\" data-l=\"row\"><code>{}</code></td><td class=\"all\" data-l=\"value\"><code>{}</code></td><td class=\"all\" data-l=\"reason\">{}</td></tr>",
                esc(&short(&sample.key(), 200)),
                esc(&short(&sample.value_with_class(), 300)),
                esc(&short(&sample.reason, MESSAGE))
            )?;
        }
        out.push_str("</tbody></table></div>");
        let more = group.count - signed(group.samples.len());
        if more > 0 {
            write!(out, "<p class=\"soft\">and {} more</p>", grouped(more))?;
        }
        out.push('\n');
    }
    writeln!(out, "</section>")
}

fn not_carried(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.not_carried.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section><h2>Not carried over</h2>\n<ul>")?;
    for object in &report.not_carried {
        write!(out, "<li>{}", esc(&short(&object.message, MESSAGE)))?;
        if let Some(sql) = &object.sql {
            write!(out, "<pre>{}</pre>", html_lines(&short(sql, 4000)))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul></section>")
}

fn sequences(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.sequences.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section><h2>Sequences</h2>\n<p class=\"soft\">What nextval() gave next when the run ended.</p><div class=\"columns\">"
    )?;
    for sequence in &report.sequences {
        writeln!(
            out,
            "<div><code>{}</code><span class=\"num\">{}</span></div>",
            esc(&sequence.table_name),
            grouped(sequence.next_value)
        )?;
    }
    writeln!(out, "</div></section>")
}

fn going_back(out: &mut String, report: &Report) -> std::fmt::Result {
    let back = &report.going_back;
    writeln!(out, "<section><h2>How to go back</h2>\n<p>{}</p>", esc(&back.summary))?;
    for step in &back.steps {
        writeln!(
            out,
            "<div class=\"step\"><h3>{}</h3><pre>{}</pre><p class=\"soft\">{}</p></div>",
            esc(&step.when),
            html_lines(&step.sql),
            esc(&step.caution)
        )?;
    }
    writeln!(out, "</section>")
}
