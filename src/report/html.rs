//! The report as one self-contained page: no script, nothing fetched, and a policy in its head that says so.

use std::fmt::Write as _;

use super::escape::{html as esc, html_lines, short};
use super::grid::{self, Cell, Grid, Role, Tone};
use super::quantity::{counted, grouped};
use super::summary::{self, signed, slug};
use super::{Report, style, svg};

/// The longest message shown.
const MESSAGE: usize = 600;

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
    let class = tone(grid::tone_of(&run.status));
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
    contents(out, report)?;
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

/// The heading of a section, which links can name.
fn heading(title: &str) -> String {
    format!("<h2 id=\"{}\">{title}</h2>", slug(title))
}

fn foreign_keys(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.foreign_keys.is_empty() {
        return Ok(());
    }
    let graph = svg::graph(report);
    writeln!(out, "<section>{}", heading(summary::KEYS))?;
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
    writeln!(out, "<section>{}", heading(summary::TABLES))?;
    write_grid(out, &grid::tables(report))?;
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

/// A table; on a phone each of its lines becomes a card.
fn write_grid(out: &mut String, grid: &Grid) -> std::fmt::Result {
    out.push_str("<div class=\"wide\"><table class=\"cards\"><thead><tr>");
    for column in &grid.columns {
        let class = match column.role {
            Role::Order | Role::Number | Role::Bar(_) => " class=\"num\"",
            _ => "",
        };
        write!(out, "<th{class}>{}</th>", column.label)?;
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &grid.rows {
        write_row(out, grid, row)?;
    }
    out.push_str("</tbody>");
    if let Some(total) = &grid.total {
        out.push_str("<tfoot>");
        write_row(out, grid, total)?;
        out.push_str("</tfoot>");
    }
    writeln!(out, "</table></div>")
}

fn write_row(out: &mut String, grid: &Grid, row: &[Cell]) -> std::fmt::Result {
    out.push_str("<tr>");
    for (column, cell) in grid.columns.iter().zip(row) {
        let label = column.label;
        let of_role = match column.role {
            Role::Order => "num soft order ",
            Role::Name => "name ",
            Role::Number | Role::Bar(_) => "num ",
            Role::Word => "",
            Role::Long => "all ",
        };
        let class = format!("{of_role}{}{}", tone(cell.tone), if cell.text.is_empty() { " no" } else { "" });
        write!(out, "<td class=\"{}\"", class.trim())?;
        match column.role {
            Role::Order => {}
            // The card's heading has the number of the line in front.
            Role::Name => {
                let order = grid.columns.iter().zip(row).find(|(c, _)| c.role == Role::Order);
                if let Some((_, order)) = order.filter(|(_, order)| !order.text.is_empty()) {
                    write!(out, " data-n=\"{}\"", esc(&order.text))?;
                }
            }
            _ => write!(out, " data-l=\"{label}\"")?,
        }
        let text = esc(&cell.text);
        if cell.is_code {
            write!(out, "><code>{text}</code>")?
        } else {
            write!(out, ">{text}")?
        }
        if let Role::Bar(class) = column.role {
            out.push_str(&bar(class, cell.share));
        }
        out.push_str("</td>");
    }
    writeln!(out, "</tr>")
}

/// The class of the style sheet.
fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Soft => "soft",
        Tone::Good => "ok",
        Tone::Warning => "warn",
        Tone::Bad => "bad",
    }
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
    writeln!(out, "<section>{}", heading(summary::WARNINGS))?;
    for (n, group) in report.warnings.iter().enumerate() {
        let class = match group.severity.as_str() {
            "info" => "soft",
            "error" => "bad",
            _ => "warn",
        };
        write!(
            out,
            "<h3 id=\"{}-{n}\"><code class=\"{class}\">{}</code></h3>",
            slug(summary::WARNINGS),
            esc(&group.code)
        )?;
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
                esc(&entry.place()),
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
        "<section>{}\n<p>{}</p><p class=\"soft\">Whole rows are in <code>aliaport.rejected_row</code>, \
         <code>run_id = {}</code>. Samples hold values of the source.</p>",
        heading(summary::rejected_title(&report.run)),
        summary::why_rejected(report),
        report.run.run_id
    )?;
    for (n, group) in report.rejected.iter().enumerate() {
        write!(
            out,
            "<h3 id=\"{}-{n}\"><code>{}</code>: {} <span class=\"soft\">({})</span></h3>",
            slug(summary::rejected_title(&report.run)),
            esc(&group.place()),
            group.what(&report.run),
            esc(&group.sqlstate)
        )?;
        write_grid(out, &grid::samples(group, MESSAGE))?;
        let more = group.count - signed(group.samples.len());
        if more > 0 {
            writeln!(out, "<p class=\"soft\">and {} more</p>", grouped(more))?;
        }
    }
    writeln!(out, "</section>")
}

/// Links to the sections of a long page, and to what is in them.
fn contents(out: &mut String, report: &Report) -> std::fmt::Result {
    if !summary::is_long(report) {
        return Ok(());
    }
    out.push_str("<nav aria-label=\"Contents\"><ul>\n");
    for section in summary::sections(report) {
        write!(out, "<li><a href=\"#{}\">{}</a>", slug(section.title), section.title)?;
        if !section.entries.is_empty() {
            out.push_str("<ul>");
            for (n, (name, count)) in section.entries.iter().enumerate() {
                let anchor = format!("{}-{n}", slug(section.title));
                write!(
                    out,
                    "<li><a href=\"#{anchor}\">{}</a> <span class=\"soft\">{count}</span></li>",
                    esc(name)
                )?;
            }
            out.push_str("</ul>");
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul></nav>")
}

fn not_carried(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.not_carried.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>{}\n<ul>", heading(summary::NOT_CARRIED))?;
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
        "<section>{}\n<p class=\"soft\">What nextval() gave next when the run ended.</p><div class=\"columns\">",
        heading(summary::SEQUENCES)
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
    writeln!(out, "<section>{}\n<p>{}</p>", heading(summary::BACK), esc(&back.summary))?;
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
