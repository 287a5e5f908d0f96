//! The rooms of ARCHITECTURE: who may name whom, and which files may say `unsafe`.
//!
//! Cargo enforces most of it; this says so in one readable failure, before somebody adds the dependency.
//! It reads manifests and sources and uses nothing of the crate, so it links without PostgreSQL.
#![allow(clippy::panic, clippy::unwrap_used)] // a test says by panicking what is wrong

use std::fs;
use std::path::{Path, PathBuf};

/// The only files that may contain `unsafe`. A file that no longer does leaves the list.
const MAY_BE_UNSAFE: &[&str] = &[
    "src/pg/foreign/analyze.rs",
    "src/pg/foreign/connection.rs",
    "src/pg/foreign/cost.rs",
    "src/pg/foreign/definition.rs",
    "src/pg/foreign/explain.rs",
    "src/pg/foreign/handler.rs",
    "src/pg/foreign/modify.rs",
    "src/pg/foreign/plan.rs",
    "src/pg/foreign/push.rs",
    "src/pg/foreign/push/binding.rs",
    "src/pg/foreign/push/grouping.rs",
    "src/pg/foreign/push/operator.rs",
    "src/pg/foreign/push/order.rs",
    "src/pg/foreign/push/upper.rs",
    "src/pg/foreign/scan.rs",
    "src/pg/foreign/scan_plan.rs",
    "src/pg/foreign/schema.rs",
    "src/pg/foreign/slot.rs",
    "src/pg/foreign/utility.rs",
    "src/pg/heap/datum.rs",
    "src/pg/heap/input.rs",
    "src/pg/heap/load.rs",
    "src/pg/heap/load/constraints.rs",
    "src/pg/heap/load/datums.rs",
    "src/pg/heap/load/images.rs",
    "src/pg/heap/matching.rs",
    "src/pg/heap/output.rs",
    "src/pg/heap/pipeline.rs",
    "src/pg/heap/readback.rs",
    "src/pg/heap/relation.rs",
    "src/pg/heap/row_array.rs",
    "src/pg/heap/standing.rs",
    "src/pg/record/aside.rs",
    "src/pg/record/failure.rs",
    "src/pg/record/failure/worker.rs",
    "src/pg/record/progress.rs",
    "src/pg/record/segment.rs",
    "src/pg/server/access.rs",
    "src/pg/server/compat.rs",
    "src/pg/server/encoding.rs",
    "src/pg/server/held.rs",
    "src/pg/server/interrupt.rs",
    "src/pg/server/locks.rs",
    "src/pg/server/memory.rs",
    "src/pg/server/settings.rs",
    "src/pg/server/spi.rs",
    "src/pg/server/subxact.rs",
    "src/pg/table/operator.rs",
    "src/pg/tests/guards.rs",
    "src/pg/tests/server.rs",
    "src/pg/tests/tuples.rs",
    "src/sqlite/content.rs",
    "src/sqlite/count.rs",
    "src/sqlite/send_reader.rs",
    "src/sqlite/location.rs",
    "src/sqlite/lock.rs",
    "src/sqlite/pages.rs",
    "src/sqlite/query.rs",
    "src/sqlite/shm.rs",
    "src/sqlite/page_sum.rs",
    "src/sqlite/source.rs",
    "src/sqlite/stand_in.rs",
    "src/sqlite/statement.rs",
    "src/sqlite/tests/folder.rs",
    "src/sqlite/tests/locks.rs",
    "src/sqlite/vfs.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Rust source below `folder`, as a path relative to the repository.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The line without its `//` comment. Good enough for sources in which no string holds `//` before a
/// forbidden word.
fn code(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

/// Lines of the manifest's sections on dependencies that name one of `crates`.
fn dependencies_named(manifest: &str, crates: &[&str]) -> Vec<String> {
    let mut in_dependencies = false;
    let mut found = Vec::new();
    for (line, number) in read(&root().join(manifest)).lines().zip(1..) {
        if line.starts_with('[') {
            // [workspace.dependencies] only fixes versions: it makes nobody depend on anything.
            in_dependencies = line.contains("dependencies") && !line.starts_with("[workspace");
        } else if in_dependencies {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim().trim_matches('"');
            if crates.contains(&name) {
                found.push(format!("{manifest}:{number}: {line}"));
            }
        }
    }
    found
}

/// Lines of code of one source that name one of `words`.
fn lines_with(path: &Path, words: &[&str]) -> Vec<String> {
    read(&root().join(path))
        .lines()
        .zip(1..)
        .filter(|(line, _)| words.iter().any(|word| has_word(code(line), word)))
        .map(|(line, number)| format!("{}:{number}: {}", path.display(), line.trim()))
        .collect()
}

/// The same of every source below `folder`.
fn lines_below(folder: &str, words: &[&str]) -> Vec<String> {
    sources(folder).iter().flat_map(|path| lines_with(path, words)).collect()
}

/// The inner rooms, and which of the others each may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("src/rows", &[]),
    ("src/plan", &["aliaport_rows"]),
    ("src/report", &["aliaport_rows", "aliaport_plan"]),
    ("src/sqlite", &["aliaport_rows", "aliaport_plan"]),
];

#[test]
fn each_room_knows_only_those_below_it() {
    const SQLITE: [&str; 2] = ["rusqlite", "libsqlite3-sys"];
    const SERVER: [&str; 4] = ["pgrx", "pgrx-tests", "pgrx-pg-sys", "pg_sys"];
    let rooms = ["aliaport_rows", "aliaport_plan", "aliaport_report", "aliaport_sqlite"];
    let mut wrong = Vec::new();
    for (folder, may) in ROOMS {
        let own = folder.replace("src/", "aliaport_");
        let mut others: Vec<&str> = rooms.into_iter().filter(|r| *r != own && !may.contains(r)).collect();
        others.extend(SERVER);
        if *folder != "src/sqlite" {
            others.extend(SQLITE);
        }
        wrong.extend(dependencies_named(&format!("{folder}/Cargo.toml"), &others));
        wrong.extend(lines_below(folder, &others));
    }
    wrong.extend(dependencies_named("Cargo.toml", &SQLITE));
    wrong.extend(lines_below("src/pg", &SQLITE));
    wrong.extend(lines_with(Path::new("src/lib.rs"), &SQLITE));
    assert!(wrong.is_empty(), "a room names what is not below it:\n{}", wrong.join("\n"));
}

/// The storeys of `src/pg` from below. A module uses its own folder and what is below it; those of one line
/// know nothing of each other.
const STOREYS: &[&[&str]] = &[
    &["server"],
    &["record"],
    &["heap"],
    &["table"],
    &["planning"],
    &["foreign", "import", "inspect", "validate", "report"],
    &["api"],
    &["tests"],
];

#[test]
fn each_storey_uses_only_those_below_it() {
    let floor = |name: &str| STOREYS.iter().position(|storey| storey.contains(&name));
    let mut wrong = Vec::new();
    for path in sources("src/pg") {
        let own = path.iter().nth(2).unwrap().to_string_lossy().replace(".rs", "");
        let own_floor = floor(&own).unwrap_or_else(|| panic!("{own} is in no storey of STOREYS"));
        for (line, number) in read(&root().join(&path)).lines().zip(1..) {
            let complaint = || format!("{}:{number}: {}", path.display(), line.trim());
            // `crate::pg::name` is the one way to name another storey, so that this test sees all of it.
            let is_at_top = path.iter().count() == 3;
            let is_hidden = code(line).contains("super::super")
                || code(line).contains("crate::pg::{") && own != "api"
                || is_at_top && code(line).replace("super::*", "").contains("super::");
            if is_hidden {
                wrong.push(complaint());
            }
            for (at, found) in code(line).match_indices("crate::pg::") {
                let rest = &code(line)[at + found.len()..];
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                if name != own && floor(name).is_some_and(|floor| floor >= own_floor) {
                    wrong.push(complaint());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a storey uses what is not below it:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_decided_and_told_reads_no_file_no_clock_and_no_environment() {
    let outside = ["std::fs", "std::env", "std::process", "std::net", "std::time"];
    let mut wrong = Vec::new();
    for path in ["src/rows", "src/plan", "src/report"].into_iter().flat_map(sources) {
        let text = read(&root().join(&path));
        // Tests come last in a file, or are a file of their own; they may read what they like.
        let lines = text.lines().zip(1..).take_while(|(line, _)| *line != "#[cfg(test)]");
        if !path.ends_with("tests.rs") {
            wrong.extend(
                lines
                    .filter(|(line, _)| outside.iter().any(|word| code(line).contains(word)))
                    .map(|(line, number)| format!("{}:{number}: {}", path.display(), line.trim())),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "what these rooms give depends on their arguments only; but:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn unsafe_is_where_it_is_expected() {
    let mut unexpected = Vec::new();
    let mut needless = MAY_BE_UNSAFE.to_vec();
    for path in sources("src") {
        // The word alone: `unsafe_code` in an attribute is another one.
        let mut lines = lines_with(&path, &["unsafe"]);
        // A word of the page's Content-Security-Policy, not of Rust.
        lines.retain(|line| !line.contains("'unsafe-inline'"));
        if lines.is_empty() {
            continue;
        }
        let name = path.to_string_lossy().replace('\\', "/");
        if MAY_BE_UNSAFE.contains(&name.as_str()) {
            needless.retain(|n| *n != name);
        } else {
            unexpected.extend(lines);
        }
    }
    assert!(
        unexpected.is_empty(),
        "unsafe code outside of the files of MAY_BE_UNSAFE:\n{}",
        unexpected.join("\n")
    );
    assert!(needless.is_empty(), "MAY_BE_UNSAFE lists files without unsafe code: {needless:?}");
}

#[test]
fn comments_end_before_column_110() {
    let mut long = Vec::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        for (line, number) in read(&root().join(&path)).lines().zip(1..) {
            let text = line.trim_start();
            // A row of a table cannot be broken, nor can an address.
            let is_whole = text.contains(" | ") || text.contains("://");
            if text.starts_with("//") && !is_whole && line.chars().count() > 110 {
                long.push(format!("{}:{number}: {text}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "comments that are too long to read:\n{}", long.join("\n"));
}

/// The string literals of Rust code, without what escapes stand for.
fn literals(text: &str) -> Vec<String> {
    let (mut found, mut chars) = (Vec::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            // A character literal of a quote would begin a string for us.
            '\'' if chars.as_str().starts_with("\"'") => {
                chars.next();
                chars.next();
            }
            '"' => {
                let mut literal = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    if c == '\\' {
                        literal.extend(chars.next().filter(|c| *c == '"'))
                    } else {
                        literal.push(c)
                    }
                }
                found.push(literal);
            }
            _ => {}
        }
    }
    found
}

/// `text` without what stands between `open` and the next `close`.
fn without(text: &str, open: &str, close: char) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(open) {
        kept.push_str(&rest[..at]);
        kept.push(' ');
        let inner = &rest[at + open.len()..];
        rest = inner.find(close).map_or("", |end| &inner[end + close.len_utf8()..]);
    }
    kept + rest
}

/// What an SQL text leaves to the search_path: an operator, a cast, a function.
fn unqualified(sql: &str) -> Option<String> {
    let sql = without(&without(&without(sql, "'", '\''), "OPERATOR(", ')'), "{", '}').replace("(*)", "()");
    // What UPDATE and ON CONFLICT assign: the second word after SET or a comma.
    let words: Vec<&str> = sql.split_whitespace().collect();
    let is_assignment = |i: usize| {
        words[i] == "="
            && i >= 2
            && words.contains(&"SET")
            && (words[i - 2] == "SET" || words[i - 2].ends_with(','))
    };
    let sql = (0..words.len()).filter(|i| !is_assignment(*i)).map(|i| words[i]).collect::<Vec<_>>().join(" ");
    if let Some(at) = sql.find(|c| "=<>+/%~|&^!@#*".contains(c)).or_else(|| sql.find(" - ")) {
        return Some(sql[at..].to_owned());
    }
    for words in [" IN (", " BETWEEN ", " LIKE ", " SIMILAR ", "NULLIF", "DISTINCT FROM"] {
        if sql.contains(words) {
            return Some(words.to_owned());
        }
    }
    let of_catalog = |rest: &str| rest.starts_with("pg_catalog.") || rest.trim_start().is_empty();
    if let Some((_, rest)) =
        sql.match_indices("::").map(|(at, _)| ("", &sql[at + 2..])).find(|(_, r)| !of_catalog(r))
    {
        return Some(format!("::{rest}"));
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    sql.match_indices('(').find_map(|(at, _)| {
        let before = &sql[..at];
        let name = &before[before.rfind(|c| !is_name(c)).map_or(0, |i| i + 1)..];
        (!name.is_empty() && !name.starts_with("pg_catalog.")).then(|| format!("{name}("))
    })
}

/// Statements under the caller's search_path name operators, functions and types with their schema. The rest
/// of what we say to PostgreSQL runs under our own (`spi.rs`); tests/session/test_planted.py looks at both
/// from outside.
#[test]
fn statements_under_the_callers_search_path_leave_it_nothing() {
    assert_eq!(
        unqualified("SELECT pg_catalog.count(*) FROM ONLY {} c WHERE a OPERATOR(pg_catalog.=) 'b = c'"),
        None
    );
    for wrong in ["a = b", "a::text", "count(*)", "a IN (1)", "a - b", "x IS DISTINCT FROM y"] {
        assert!(unqualified(&format!("SELECT {wrong} FROM t")).is_some(), "{wrong}");
    }
    let mut wrong = Vec::new();
    for path in sources("src/pg") {
        if path.ends_with("spi.rs") || path.to_string_lossy().contains("/tests/") {
            continue;
        }
        let text: String =
            read(&root().join(&path)).lines().map(|line| format!("{}\n", code(line))).collect();
        let starts: Vec<usize> = text.match_indices("fn ").map(|(at, _)| at).chain([text.len()]).collect();
        for function in starts
            .windows(2)
            .map(|w| &text[w[0]..w[1]])
            .filter(|f| f.contains("_for_caller") || f.contains("Statement::new"))
        {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            let is_sql = |literal: &&String| {
                ["SELECT", "INSERT", "UPDATE", "DELETE", "WHERE", "JOIN"].iter().any(|w| has_word(literal, w))
            };
            for literal in literals(function).iter().filter(is_sql) {
                if let Some(what) = unqualified(literal) {
                    wrong.push(format!("{}: {name}: {what}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "what the search_path decides:\n{}", wrong.join("\n"));
}
