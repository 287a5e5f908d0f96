//! The graph of foreign keys as inline SVG.

use std::fmt::Write as _;

use super::Report;
use super::escape::{html, is_hidden, short, visible};
use super::layout::{Layout, Line, Shape, layout};
use super::quantity::counted;

/// More boxes than this make no picture.
const MOST: usize = 300;

/// A name is cut to this many characters' width.
const NAME: usize = 26;

/// What the text around the picture has to say.
pub struct Graph {
    /// The `<svg>` element; `None`: no foreign key to draw, or too many tables.
    pub picture: Option<String>,
    /// Tables without foreign keys, by their place in the report.
    pub free: Vec<usize>,
    /// Some line closes a circle.
    pub has_circle: bool,
    /// Some table refers to itself.
    pub has_itself: bool,
    /// Some constraint is NOT VALID.
    pub has_not_valid: bool,
}

/// One drawn line: all foreign keys from one table to another.
struct Edge {
    parent: usize,
    child: usize,
    keys: Vec<usize>,
    is_valid: bool,
}

/// Draws the foreign keys of `report`.
pub fn graph(report: &Report) -> Graph {
    let place = |order: i32| report.tables.iter().position(|t| t.load_order == order);
    let mut edges: Vec<Edge> = Vec::new();
    let mut itself = vec![false; report.tables.len()];
    let mut joined = vec![false; report.tables.len()];
    for (k, key) in report.foreign_keys.iter().enumerate() {
        let (Some(parent), Some(child)) = (place(key.parent), place(key.child)) else { continue };
        joined[parent] = true;
        joined[child] = true;
        if parent == child {
            itself[parent] = true;
            continue;
        }
        match edges.iter_mut().find(|e| e.parent == parent && e.child == child) {
            Some(edge) => {
                edge.keys.push(k);
                edge.is_valid &= key.validated;
            }
            None => edges.push(Edge { parent, child, keys: vec![k], is_valid: key.validated }),
        }
    }
    let shown: Vec<usize> = (0..report.tables.len()).filter(|&t| joined[t]).collect();
    let mut graph = Graph {
        picture: None,
        free: (0..report.tables.len()).filter(|&t| !joined[t]).collect(),
        has_circle: edges.iter().any(|e| e.parent > e.child),
        has_itself: itself.iter().any(|&i| i),
        has_not_valid: report.foreign_keys.iter().any(|k| !k.validated),
    };
    if shown.is_empty() || shown.len() > MOST {
        return graph;
    }
    let number_of = |t: usize| shown.iter().position(|&s| s == t).unwrap_or(usize::MAX);
    let pairs: Vec<(usize, usize)> =
        edges.iter().map(|e| (number_of(e.parent), number_of(e.child))).collect();
    let widths: Vec<f64> = shown.iter().map(|&t| (measure(&name(report, t)) + 46.0).max(120.0)).collect();
    // A page is about one and a half times as wide as a screen is high.
    let tallest = 9.max(shown.len().isqrt() * 3 / 2);
    let drawn = layout(&widths, &pairs, Shape { box_height: 42.0, gap: 10.0, tallest });
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report, &drawn, &shown, &edges, &itself);
    graph.picture = Some(out);
    graph
}

/// The name as the box shows it: without the schema that all tables share.
fn name(report: &Report, table: usize) -> String {
    let Some(table) = report.tables.get(table) else { return String::new() };
    let is_in_target = report.run.target_schema.as_deref() == Some(table.schema.as_str());
    let full = if is_in_target { table.name.clone() } else { format!("{}.{}", table.schema, table.name) };
    // Cut by width: a wide character takes two columns.
    let full = visible(&full);
    let mut kept = String::new();
    let mut width = 0;
    for c in full.chars() {
        width += if is_wide(c) { 2 } else { 1 };
        if width > NAME {
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    kept
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

/// An upper bound for the width of a text at 13 units in common sans-serif fonts.
fn measure(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            c if is_wide(c) || is_hidden(c) => 14.0,
            'i' | 'l' | 'j' | '.' | ',' | '\'' | ' ' | 'f' | 't' | 'r' => 5.4,
            'm' | 'w' | 'M' | 'W' | '…' | '⟨' | '⟩' => 13.0,
            'A'..='Z' => 10.0,
            _ => 8.3,
        })
        .sum()
}

fn write(
    out: &mut String,
    report: &Report,
    drawn: &Layout,
    shown: &[usize],
    edges: &[Edge],
    itself: &[bool],
) -> std::fmt::Result {
    let (width, height) = (drawn.width + 16.0, drawn.height + 16.0);
    write!(
        out,
        "<svg class=\"graph\" viewBox=\"-8 -8 {width:.0} {height:.0}\" style=\"max-width:{width:.0}px;min-width:{:.0}px\" role=\"img\" \
         aria-label=\"Foreign keys between {}\">",
        // Smaller letters than two thirds nobody reads: then the picture scrolls.
        width * 0.66,
        counted(super::summary::signed(shown.len()), "table", "tables")
    )?;
    for line in &drawn.lines {
        let Some(edge) = edges.get(line.edge) else { continue };
        let class = match (line.is_turned, edge.is_valid) {
            (true, _) => "k c",
            (_, false) => "k v",
            _ => "k",
        };
        write!(
            out,
            "<g class=\"{class}\"><title>{}</title><path d=\"{}\"/>",
            html(&title(report, edge)),
            path(line)
        )?;
        // The tip is at the child, wherever that stands.
        let (tip, back) = match (line.points.first(), line.points.last()) {
            (Some(&first), _) if line.is_turned => (first, 7.0),
            (_, Some(&last)) => (last, -7.0),
            _ => continue,
        };
        let (x, y) = tip;
        write!(out, "<path class=\"a\" d=\"M{x:.1} {y:.1}l{back} -3.5v7z\"/></g>")?;
    }
    for (place, &t) in drawn.places.iter().zip(shown) {
        let Some(table) = report.tables.get(t) else { continue };
        let class = match table.status.as_str() {
            "ok" => "b ok",
            "warning" => "b warn",
            _ => "b bad",
        };
        let rows = table.imported_rows.map_or_else(String::new, |n| counted(n, "row", "rows"));
        let (x, y, w, h) = (place.x, place.y, place.width, place.height);
        write!(
            out,
            "<g class=\"{class}\"><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"6\"/>\
             <path d=\"M{:.1} {:.1}v{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text><text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}{}</text>\
             <text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            html(&short(&table.table_name, 200)),
            x + 5.0,
            y + 7.0,
            h - 14.0,
            x + 13.0,
            y + 18.0,
            html(&name(report, t)),
            x + 13.0,
            y + 33.0,
            rows,
            if itself.get(t) == Some(&true) { " · ↻ itself" } else { "" },
            x + w - 8.0,
            y + 18.0,
            table.load_order,
        )?;
        out.push_str("</g>");
    }
    out.push_str("</svg>");
    Ok(())
}

/// The foreign keys that a line stands for, for those who point at it.
fn title(report: &Report, edge: &Edge) -> String {
    let table = |t: usize| report.tables.get(t).map_or("", |t| t.table_name.as_str());
    let keys: Vec<String> = edge
        .keys
        .iter()
        .filter_map(|&k| report.foreign_keys.get(k))
        .map(|k| {
            format!(
                "{} ({}) → {} ({}){}",
                table(edge.child),
                k.columns.join(", "),
                table(edge.parent),
                k.parent_columns.join(", "),
                if k.validated { "" } else { " NOT VALID" }
            )
        })
        .collect();
    short(&keys.join("; "), 600)
}

fn path(line: &Line) -> String {
    let mut out = String::new();
    for (i, pair) in line.points.chunks(2).enumerate() {
        if let [(x1, y1), (x2, y2)] = *pair {
            let bend = (x2 - x1) / 2.0;
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "{}{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}",
                if i == 0 { "M" } else { "L" },
                x1 + bend,
                x2 - bend
            );
        }
    }
    out
}
