//! The report's tables, made once for every format: what stands in which column, and what of it stands out.

use super::quantity::{duration, grouped, grouped_or_dash, percent, rate, share};
use super::{RejectedGroup, Report, Table};

/// Below this many rows, rows a second say nothing.
pub const MANY: i64 = 100_000;

/// What a column holds, which decides how it is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The number of the line.
    Order,
    /// What the line is about.
    Name,
    /// To the right.
    Number,
    /// A number with a bar of this class below it.
    Bar(&'static str),
    /// A word or two.
    Word,
    /// As long as it takes.
    Long,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub label: &'static str,
    /// What it holds.
    pub role: Role,
}

/// How a cell stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// It does not.
    #[default]
    Plain,
    /// Less than others.
    Soft,
    /// As it should be.
    Good,
    /// To be looked at.
    Warning,
    /// Not as it should be.
    Bad,
}

/// One cell. Its text may be hostile.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// It is a name or a value, not words of the report.
    pub is_code: bool,
    /// How it stands out.
    pub tone: Tone,
    /// The length of the bar, from 0 to 1.
    pub share: f64,
}

/// A table of a report.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// From left to right.
    pub columns: Vec<Column>,
    /// A cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// The last line, where there is one.
    pub total: Option<Vec<Cell>>,
}

impl Cell {
    fn words(text: impl Into<String>) -> Self {
        Cell { text: text.into(), ..Cell::default() }
    }

    fn code(text: impl Into<String>) -> Self {
        Cell { text: text.into(), is_code: true, ..Cell::default() }
    }

    fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Cell { text: text.into(), tone, ..Cell::default() }
    }

    /// A number that should be zero: where it is not, it stands out, and where it is, the others do.
    fn loss(count: Option<i64>) -> Self {
        match count {
            Some(0) => Cell::toned("0", Tone::Soft),
            Some(n) => Cell::toned(grouped(n), Tone::Bad),
            None => Cell::toned("–", Tone::Soft),
        }
    }
}

/// How a status stands out.
#[must_use]
pub fn tone_of(status: &str) -> Tone {
    match status {
        "ok" | "unchanged" => Tone::Good,
        "warning" => Tone::Warning,
        _ => Tone::Bad,
    }
}

/// One of a table's numbers.
type Count = fn(&Table) -> Option<i64>;

/// The tables of the run in load order.
pub fn tables(report: &Report) -> Grid {
    let all = &report.tables;
    let sum = |value: Count| -> i64 { all.iter().filter_map(value).fold(0, i64::saturating_add) };
    let column = |label, role| Column { label, role };
    let mut grid = Grid {
        columns: vec![
            column("#", Role::Order),
            column("table", Role::Name),
            column("rows in the source", Role::Number),
            column("imported", Role::Bar("bar")),
        ],
        rows: all
            .iter()
            .map(|t| {
                vec![
                    Cell::words(t.load_order.to_string()),
                    Cell::code(&t.table_name),
                    Cell::words(grouped_or_dash(t.source_rows)),
                    Cell {
                        share: share(t.imported_rows, most(all, |t| t.imported_rows)),
                        ..Cell::words(grouped_or_dash(t.imported_rows))
                    },
                ]
            })
            .collect(),
        total: None,
    };
    let mut total = vec![
        Cell::default(),
        Cell::words("all tables"),
        Cell::words(grouped(sum(|t| t.source_rows))),
        Cell::words(grouped(sum(|t| t.imported_rows))),
    ];
    let mut add = |label, role, cells: &dyn Fn(&Table) -> Cell, last: Cell| {
        grid.columns.push(column(label, role));
        for (row, table) in grid.rows.iter_mut().zip(all) {
            row.push(cells(table));
        }
        total.push(last);
    };
    // What is zero everywhere is no column.
    for (label, value) in
        [("of these updated", (|t: &Table| t.updated_rows) as Count), ("deleted", |t| t.deleted_rows)]
    {
        if sum(value) != 0 {
            let cell = |t: &Table| Cell::words(grouped_or_dash(value(t)));
            add(label, Role::Number, &cell, Cell::words(grouped(sum(value))));
        }
    }
    if sum(|t| t.rejected_rows) != 0 {
        // Which rows are set aside for what is known where the run has kept the name of the source's table.
        let is_told_apart =
            all.iter().all(|t| t.rejected_rows.unwrap_or(0) == 0 || t.rejected_for_value.is_some());
        let apart: [(&str, Count); 2] = [
            ("set aside for a value", |t| t.rejected_for_value),
            ("for a missing parent", |t| t.rejected_for_parent),
        ];
        let together: [(&str, Count); 1] = [("set aside", |t| t.rejected_rows)];
        for &(label, value) in if is_told_apart { &apart[..] } else { &together[..] } {
            let cell = |t: &Table| Cell::loss(value(t).or(Some(0)));
            add(label, Role::Number, &cell, Cell::loss(Some(sum(value))));
        }
        let lost = |rejected: Option<i64>, rows: Option<i64>| match rejected {
            Some(n) if n > 0 => Cell::toned(percent(n, rows.unwrap_or(0)), Tone::Bad),
            _ => Cell::default(),
        };
        let last = lost(Some(sum(|t| t.rejected_rows)), Some(sum(|t| t.source_rows)));
        add("share lost", Role::Number, &|t| lost(t.rejected_rows, t.source_rows), last);
    }
    // Orphans that were set aside stand there already.
    if all.iter().any(|t| t.orphan_rows.unwrap_or(0) != t.rejected_for_parent.unwrap_or(0)) {
        let cell = |t: &Table| match t.orphan_rows {
            Some(n) if n > 0 => Cell::toned(grouped(n), Tone::Warning),
            other => Cell::toned(grouped_or_dash(other), Tone::Soft),
        };
        add("orphans", Role::Number, &cell, Cell::words(grouped(sum(|t| t.orphan_rows))));
    }
    let in_target = |t: &Table| Cell::words(grouped_or_dash(t.target_rows));
    add("in the target", Role::Number, &in_target, Cell::words(grouped(sum(|t| t.target_rows))));
    let content = |t: &Table| match t.content_match {
        Some(true) => Cell::toned("equal", Tone::Good),
        Some(false) => Cell::toned("differs", Tone::Bad),
        None => Cell::toned("–", Tone::Soft),
    };
    add("content", Role::Word, &content, Cell::default());
    let longest = most(all, |t| t.elapsed_us);
    let time = |t: &Table| Cell {
        share: share(t.elapsed_us, longest),
        ..Cell::words(t.elapsed_us.map_or_else(|| "–".to_owned(), duration))
    };
    add("time", Role::Bar("bar t"), &time, Cell::words(duration(sum(|t| t.elapsed_us))));
    if most(all, |t| t.imported_rows) >= MANY {
        let cell = |t: &Table| Cell::words(grouped_or_dash(rate(t.imported_rows, t.elapsed_us)));
        add("rows/s", Role::Number, &cell, Cell::default());
    }
    add("status", Role::Word, &|t| Cell::toned(&t.status, tone_of(&t.status)), Cell::default());
    grid.total = Some(total);
    grid
}

fn most(tables: &[Table], value: Count) -> i64 {
    tables.iter().filter_map(value).max().unwrap_or(0)
}

/// The samples of what was set aside for one reason; texts are shown up to so many characters.
pub fn samples(group: &RejectedGroup, limit: usize) -> Grid {
    use super::escape::short;
    let column = |label| Column { label, role: Role::Long };
    Grid {
        columns: ["row", "value", "reason"].map(column).to_vec(),
        rows: group
            .samples
            .iter()
            .map(|sample| {
                vec![
                    Cell::code(short(&sample.key(), 200)),
                    Cell::code(short(&sample.value_with_class(), 300)),
                    Cell::words(short(&sample.reason, limit)),
                ]
            })
            .collect(),
        total: None,
    }
}

/// Sequences with their next value.
pub fn sequences(report: &Report) -> Grid {
    Grid {
        columns: vec![
            Column { label: "table", role: Role::Name },
            Column { label: "next value", role: Role::Number },
        ],
        rows: report
            .sequences
            .iter()
            .map(|s| vec![Cell::code(&s.table_name), Cell::words(grouped(s.next_value))])
            .collect(),
        total: None,
    }
}
