//! What is this called in PostgreSQL?
//!
//! The only way from a SQLite name to SQL text: [`Identifiers`] decides the spelling, [`Names`] keeps names
//! apart and within PostgreSQL's length, [`aliaport_rows::identifier::quote`] writes them.

use std::collections::{HashMap, HashSet};

use crate::policy::Identifiers;

/// The longest identifier in bytes (NAMEDATALEN - 1).
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
pub const MAX_BYTES: usize = 63;

/// Columns that every table has, so that no user column can have the name (`heap.c`, SysAtt).
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// Reads `table` or `schema.table`, with double quotes round a part that has a dot. Nothing is folded: the
/// names are given as they are. `None` where a part is empty or too long, or a quote is left open.
#[must_use]
pub fn parse_qualified(text: &str) -> Option<(Option<String>, String)> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                parts.last_mut()?.push('"');
            }
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            c => parts.last_mut()?.push(c),
        }
    }
    if is_quoted || parts.iter().any(|p| p.is_empty() || p.len() > MAX_BYTES || p.contains('\0')) {
        return None;
    }
    let name = parts.pop()?;
    match (parts.pop(), parts.is_empty()) {
        (schema, true) => Some((schema, name)),
        _ => None,
    }
}

/// The first bytes of a name, at most `limit`, cut between characters (as `pg_mbcliplen` does).
#[must_use]
pub fn clip(name: &str, limit: usize) -> &str {
    let mut end = limit.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

/// Whether [`Names::assign`] makes `name` of the wanted one where that is too long or a system column's, or
/// where others have it.
#[must_use]
pub fn is_made_of(name: &str, wanted: &str) -> bool {
    if SYSTEM_COLUMNS.contains(&wanted) && is_made_of(name, &format!("{wanted}_")) {
        return true;
    }
    let clipped = clip(wanted, MAX_BYTES);
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    name == clipped
        || name.rsplit_once('_').is_some_and(|(start, number)| {
            is_number(number) && start == clip(clipped, MAX_BYTES.saturating_sub(number.len() + 1))
        })
}

/// A name in the spelling that the option asks for; not yet cut.
#[must_use]
pub fn spell(name: &str, identifiers: Identifiers) -> String {
    match identifiers {
        Identifiers::Preserve => name.to_owned(),
        Identifiers::Lower => lower(name),
        Identifiers::SnakeCase => snake_case(name),
    }
}

/// Lower case. The Turkish capital dotted I becomes a plain i, where Unicode's rule without a language gives
/// two characters.
fn lower(name: &str) -> String {
    name.chars().flat_map(|c| if c == 'İ' { 'i' } else { c }.to_lowercase()).collect()
}

/// `WorkOrder`, `workOrder` and `Work Order` become `work_order`, `HTTPServer` becomes `http_server`.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            // Leading underscores stay (`_id`), any other run of separators becomes one.
            if (c == '_' && out.chars().all(|c| c == '_')) || !(out.is_empty() || out.ends_with('_')) {
                out.push('_');
            }
            continue;
        }
        let before = i.checked_sub(1).and_then(|p| chars.get(p));
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_numeric()
                    || (b.is_uppercase() && chars.get(i + 1).is_some_and(|n| n.is_lowercase()))
            });
        if starts_word && !out.ends_with('_') {
            out.push('_');
        }
        out.push_str(&lower(c.encode_utf8(&mut [0; 4])));
    }
    let end = if name.ends_with('_') { out.len() } else { out.trim_end_matches('_').len() };
    clip(&out, end).to_owned()
}

/// Why a name is not the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is the wanted one.
    None,
    /// It was longer than [`MAX_BYTES`].
    TooLong,
    /// Another object has the wanted name.
    Taken,
    /// It was empty or had a NUL character.
    Unusable,
    /// PostgreSQL keeps it for itself.
    Reserved,
}

/// The names that are taken in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
    /// The number to try next for a name that is taken: thousands of names with the same first 63 bytes stay
    /// linear.
    next: HashMap<String, u64>,
}

impl Names {
    /// An empty namespace.
    #[must_use]
    pub fn new() -> Self {
        Names::default()
    }

    /// The namespace of a table's columns, where the system columns are.
    #[must_use]
    pub fn of_columns() -> Self {
        Names { taken: SYSTEM_COLUMNS.iter().map(|&s| s.to_owned()).collect(), next: HashMap::new() }
    }

    /// Takes a name that exists already.
    pub fn occupy(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Whether a name is taken.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// Takes the wanted name, or the nearest one that is legal and free: cut to [`MAX_BYTES`] bytes, then
    /// with `_2`, `_3` and so on at the end. The same calls in the same order give the same names.
    pub fn assign(&mut self, wanted: &str) -> (String, Change) {
        let (usable, mut change) = if wanted.is_empty() || wanted.contains('\0') {
            let cleaned = wanted.replace('\0', "_");
            (if cleaned.is_empty() { "unnamed".to_owned() } else { cleaned }, Change::Unusable)
        } else if SYSTEM_COLUMNS.contains(&wanted) && self.has(wanted) {
            (format!("{wanted}_"), Change::Reserved)
        } else {
            (wanted.to_owned(), Change::None)
        };
        let clipped = clip(&usable, MAX_BYTES);
        if clipped.len() < usable.len() {
            change = Change::TooLong;
        }
        if self.taken.insert(clipped.to_owned()) {
            return (clipped.to_owned(), change);
        }
        if change == Change::None {
            change = Change::Taken;
        }
        let next = self.next.entry(clipped.to_owned()).or_insert(2);
        loop {
            let suffix = format!("_{next}");
            *next += 1;
            let name = format!("{}{suffix}", clip(clipped, MAX_BYTES - suffix.len()));
            if self.taken.insert(name.clone()) {
                return (name, change);
            }
        }
    }

    /// Takes names for a list of wanted ones, in its order, except that one that can be had unchanged goes to
    /// the entry whose `source` it is: of "Name" and "name", both wanting "name", the second gets it.
    pub fn assign_all<'a>(&mut self, wanted: &[(&'a str, String)]) -> Vec<(String, Change)> {
        let is_plain = |(source, name): &(&'a str, String)| *source == name;
        let mut names: Vec<Option<(String, Change)>> = vec![None; wanted.len()];
        for pass in [true, false] {
            for (slot, entry) in names.iter_mut().zip(wanted) {
                if is_plain(entry) == pass {
                    *slot = Some(self.assign(&entry.1));
                }
            }
        }
        names.into_iter().flatten().collect()
    }

    /// Takes a name made as PostgreSQL's `makeObjectName` and `ChooseRelationName` make it (`indexcmds.c`):
    /// the parts and the label joined by underscores, the longer part cut first, a number at the label's end
    /// until the name is free.
    pub fn make(&mut self, table: &str, columns: &str, label: &str) -> String {
        // A NUL cannot be in a SQLite name, so this key meets no other.
        let next = self.next.entry(make_object_name(table, columns, label) + "\0").or_insert(0);
        loop {
            let label = if *next == 0 { label.to_owned() } else { format!("{label}{next}") };
            *next += 1;
            let name = make_object_name(table, columns, &label);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// PostgreSQL's `makeObjectName` (`indexcmds.c`); an empty `columns` is left out.
fn make_object_name(table: &str, columns: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!columns.is_empty());
    let available = MAX_BYTES.saturating_sub(overhead);
    let (mut first, mut second) = (table.len(), columns.len());
    while first + second > available {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let mut name = clip(table, first).to_owned();
    if !columns.is_empty() {
        name.push('_');
        name.push_str(clip(columns, second));
    }
    name.push('_');
    name.push_str(label);
    name
}

/// Column names joined as PostgreSQL joins them for a constraint's name (`ChooseIndexNameAddition`).
#[must_use]
pub fn join_columns<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for column in columns {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(column);
        if joined.len() > MAX_BYTES {
            break;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn made_names_are_those_of_postgresql() {
        // Printed by PostgreSQL 15 for constraints without a name.
        let long = "a".repeat(50);
        let mut names = Names::new();
        assert_eq!(names.make("t", "", "pkey"), "t_pkey");
        assert_eq!(names.make("t", "a_b", "key"), "t_a_b_key");
        assert_eq!(names.make("t", "a_b", "key"), "t_a_b_key1");
        assert_eq!(names.make("t", "a_b", "key"), "t_a_b_key2");
        assert_eq!(
            names.make(&long, &"b".repeat(40), "fkey"),
            format!("{}_{}_fkey", "a".repeat(29), "b".repeat(28))
        );
        let (table, half) = ("ş".repeat(31), "ş".repeat(14));
        assert_eq!(names.make(&table, "x", "key"), format!("{}_x_key", "ş".repeat(28)));
        assert_eq!(names.make(&table, &table, "key"), format!("{half}_{half}_key"));
    }

    #[test]
    fn names_follow_the_spelling_that_is_asked_for() {
        for (name, lower, snake) in [
            ("WorkOrder", "workorder", "work_order"),
            ("MbTrip", "mbtrip", "mb_trip"),
            ("HTTPServer2Log", "httpserver2log", "http_server2_log"),
            ("Ad Soyad", "ad soyad", "ad_soyad"),
            ("İlçeAdı", "ilçeadı", "ilçe_adı"),
            ("work_order", "work_order", "work_order"),
            ("_Id", "_id", "_id"),
            ("__A-b__", "__a-b__", "__a_b_"),
            ("order-no.", "order-no.", "order_no"),
        ] {
            assert_eq!(spell(name, Identifiers::Preserve), name);
            assert_eq!(spell(name, Identifiers::Lower), lower);
            assert_eq!(spell(name, Identifiers::SnakeCase), snake, "{name}");
        }
    }

    #[test]
    fn a_name_that_fits_unchanged_keeps_it() {
        let wanted = [("Name", "name".to_owned()), ("name", "name".to_owned()), ("xmin", "xmin".to_owned())];
        let names = Names::of_columns().assign_all(&wanted);
        assert_eq!(
            names,
            [
                ("name_2".to_owned(), Change::Taken),
                ("name".to_owned(), Change::None),
                ("xmin_".to_owned(), Change::Reserved)
            ]
        );
        assert_eq!(Names::new().assign("").1, Change::Unusable);
    }

    #[test]
    fn a_qualified_name_is_read_with_quotes_only_where_needed() {
        let read = |text: &str| parse_qualified(text);
        assert_eq!(read("ops.audit_event"), Some((Some("ops".to_owned()), "audit_event".to_owned())));
        assert_eq!(read("Cari"), Some((None, "Cari".to_owned())));
        assert_eq!(read("\"a.b\".\"c\"\"d\""), Some((Some("a.b".to_owned()), "c\"d".to_owned())));
        for bad in ["", "a.", ".a", "a.b.c", "\"a", "a\0b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn assigned_names_never_collide_and_always_fit(
            wanted in prop::collection::vec("[aAşĞ]{0,3}|[aş]{58,70}|xmin|xmin_|\\PC{0,10}", 0..60),
            spelling in prop::sample::select(vec![Identifiers::Preserve, Identifiers::Lower, Identifiers::SnakeCase]),
        ) {
            let entries: Vec<(&str, String)> = wanted.iter().map(|w| (w.as_str(), spell(w, spelling))).collect();
            let mut names = Names::of_columns();
            let assigned = names.assign_all(&entries);
            prop_assert_eq!(assigned.len(), wanted.len());
            let mut seen: HashSet<String> = SYSTEM_COLUMNS.iter().map(|&s| s.to_owned()).collect();
            for ((name, change), (_, wanted)) in assigned.into_iter().zip(&entries) {
                let is_as_made = change == Change::Unusable || is_made_of(&name, wanted);
                prop_assert!(is_as_made, "{} of {}", name, wanted);
                prop_assert!(!name.is_empty() && name.len() <= MAX_BYTES && !name.contains('\0'));
                prop_assert!(seen.insert(name.clone()), "{} twice", name);
                prop_assert!(change != Change::None || entries.iter().any(|(_, w)| *w == name));
                let made = names.make(&name, &name, "key");
                prop_assert!(made.len() <= MAX_BYTES && seen.insert(made));
            }
        }
    }
}
