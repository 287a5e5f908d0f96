use super::*;
use proptest::prelude::*;

/// Names and values that try to leave their place in HTML, SVG, Markdown, a table's cell or a line.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style></pre></title></svg><b>",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "a|b\\|c",
    "`code` ``` ~~~",
    "**bold** _it_ [x](http://evil.example) ![i](//evil.example/i.png) <http://evil.example>",
    "www.evil.example",
    "line\nbreak\r\n# heading\n- item\n| cell |",
    "\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{0}\u{7}\u{1b}[31m\u{85}",
    "İğneada Çekek 船 😀",
    "$x$ @team #1 {{x}}",
];

/// A report in which every text is one of `texts`, in turn.
fn report_of(texts: &[String]) -> Report {
    let mut at = 0;
    let mut text = || {
        at += 1;
        texts[(at - 1) % texts.len()].clone()
    };
    let run = Run {
        run_id: 7,
        started_at: "2025-03-01T09:00:03.123456Z".to_owned(),
        finished_at: Some("2025-03-01T09:01:04.000001Z".to_owned()),
        elapsed_us: Some(60_876_545),
        path: text(),
        source_fingerprint: Some(text()),
        source_bytes: Some(1 << 31),
        target_schema: Some(text()),
        mode: "create".to_owned(),
        dry_run: false,
        options: serde_json::json!({ text(): text() }),
        status: "warning".to_owned(),
        rows_imported: Some(1_234_567),
        rows_rejected: Some(2),
        error: Some(text()),
        invoked_by: text(),
        on_error: Some(text()),
        orphans: Some(text()),
        database: Some(text()),
        server_version: Some(text()),
    };
    let tables: Vec<Table> = (1..=6)
        .map(|load_order| Table {
            load_order,
            table_name: text(),
            schema: text(),
            name: text(),
            exists: true,
            source_rows: Some(1000),
            imported_rows: Some(1000),
            rejected_rows: Some(1),
            target_rows: Some(1000),
            orphan_rows: Some(0),
            content_match: Some(true),
            sequence_next: Some(1001),
            elapsed_us: Some(1500),
            status: text(),
            error: Some(
                serde_json::json!({"sqlstate": text(), "message": text(), "detail": text(), "hint": text()}),
            ),
            ..Table::default()
        })
        .collect();
    let keys = [(2, 1), (3, 1), (3, 2), (4, 4), (1, 5)]
        .map(|(child, parent)| ForeignKey {
            name: text(),
            child,
            columns: vec![text()],
            parent,
            parent_columns: vec![text()],
            validated: child != 3,
        })
        .to_vec();
    let noted = (0..8)
        .map(|i| Noted {
            code: if i % 2 == 0 { "not_carried".to_owned() } else { text() },
            severity: text(),
            warning: Warning {
                table_name: text(),
                column_name: Some(text()),
                message: format!("{}: CREATE {}", text(), text()),
                sql: Some(text()),
                count: Some(3),
            },
        })
        .collect();
    let rejected = vec![RejectedGroup {
        table_name: text(),
        column_name: Some(text()),
        sqlstate: text(),
        action: "rejected".to_owned(),
        count: 9,
        samples: vec![Sample {
            source_key: serde_json::json!({ text(): text() }),
            storage_class: Some("text".to_owned()),
            value: Some(text()),
            reason: text(),
        }],
    }];
    Report::new(run, tables, keys, noted, rejected)
}

fn plain() -> Report {
    report_of(&["x".to_owned()])
}

/// Reads a page as tags and text and checks that every tag is closed in its order. Gives each element's name
/// and attributes' names.
fn elements(page: &str) -> Result<Vec<String>, String> {
    const VOID: [&str; 3] = ["meta", "!DOCTYPE", "br"];
    let mut open: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').ok_or("a tag without an end")? + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            if expected != Some(name) {
                return Err(format!("</{name}> closes {expected:?}"));
            }
            continue;
        }
        let is_closed = tag.ends_with('/');
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        let mut attributes: Vec<&str> = Vec::new();
        let mut left = tag.trim_end_matches('/')[name.len()..].trim();
        while name != "!DOCTYPE" && !left.is_empty() {
            let (attribute, value) = left.split_once("=\"").ok_or(format!("attribute in <{tag}>"))?;
            attributes.push(attribute);
            left = value.split_once('"').ok_or(format!("quote in <{tag}>"))?.1.trim_start();
        }
        found.push(format!("{name} {}", attributes.join(" ")));
        if !is_closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(found) } else { Err(format!("left open: {open:?}")) }
}

fn check(texts: &[String]) -> Result<(), TestCaseError> {
    for groups in [1, 12] {
        let mut report = report_of(texts);
        report.rejected = vec![report.rejected[0].clone(); groups];
        let mut known = plain();
        known.rejected = vec![known.rejected[0].clone(); groups];
        check_page(&report, &known)?;
    }
    Ok(())
}

/// Nothing of a report with hostile texts is anything but what one without them has.
fn check_page(report: &Report, known: &Report) -> Result<(), TestCaseError> {
    let page = report.render(Format::Html).unwrap();
    let built = elements(&page).map_err(TestCaseError::fail)?;
    // No text makes an element or an attribute: they are those of a report without any hostile text. How many
    // `pre`, warnings' groups and so on there are depends on the texts, which elements there are does not.
    let mut kinds = built.clone();
    kinds.sort();
    kinds.dedup();
    let known: Vec<String> = elements(&known.render(Format::Html).unwrap()).unwrap();
    for kind in kinds {
        prop_assert!(known.contains(&kind), "new element: {}", kind);
    }
    prop_assert!(!page.contains("<script"));
    // Every link stays on the page, and leads somewhere.
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().unwrap_or_default();
        let is_there = target.starts_with('#') && page.contains(&format!(" id=\"{}\"", &target[1..]));
        prop_assert!(is_there, "link to {}", target);
    }
    prop_assert_eq!(page.contains("<nav"), report.rejected.len() > 4);
    let markdown = report.render(Format::Markdown).unwrap();
    for text in [&page, &markdown] {
        prop_assert!(!text.chars().any(|c| escape::is_hidden(c) && c != '\n'), "a hidden character is left");
    }
    // Nothing of HTML but code elements, and every line is of the report's own making.
    let bare = markdown.replace("<code>", "").replace("</code>", "");
    let mut in_fence = false;
    for line in bare.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            prop_assert!(!line.contains('<'), "HTML in Markdown: {line}");
            prop_assert!(
                line.is_empty()
                    || [
                        "# ", "## ", "### `", "### ", "| ", "|-", "- ", "> ", "   ", "  ", "---", "Whole",
                        "Without", "Times", "The ", "There", "What"
                    ]
                    .iter()
                    .any(|b| line.starts_with(b))
                    || line.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()),
                "line: {line}"
            );
            if line.starts_with('|') {
                let row = cells(line);
                prop_assert!([2, 3, 12].contains(&row), "{} cells: {}", row, line);
            }
        }
    }
    prop_assert!(!in_fence);
    Ok(())
}

/// Cells of a table's row as GitHub's parser counts them: a backslash takes the next character with it.
fn cells(line: &str) -> usize {
    let mut pipes = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '|' => pipes += 1,
            _ => {}
        }
    }
    pipes - 1
}

#[test]
fn hostile_texts_stay_texts() {
    for &hostile in HOSTILE {
        if let Err(e) = check(&[hostile.to_owned()]) {
            panic!("{hostile:?}: {e}");
        }
    }
}

#[test]
fn numbers_and_times_are_readable() {
    use super::quantity::*;
    assert_eq!(
        [0, 999, 1000, -1_234_567, i64::MIN].map(grouped),
        ["0", "999", "1,000", "-1,234,567", "-9,223,372,036,854,775,808"]
    );
    assert_eq!(
        [0, 999, 1_500, 99_999, 850_000, 4_560_000, 60_000_000, 3_599_999_999, 7_500_000_000].map(duration),
        [
            "0 µs",
            "999 µs",
            "1.5 ms",
            "100.0 ms",
            "850 ms",
            "4.56 s",
            "1 min 00 s",
            "59 min 59 s",
            "2 h 05 min"
        ]
    );
    assert_eq!(
        [1, 1023, 1024, 1 << 20, 1_610_612_736].map(bytes),
        ["1 byte", "1,023 bytes", "1.0 kB", "1.0 MB", "1.5 GB"]
    );
    assert_eq!(instant("2025-03-01T09:00:03.123456Z"), "2025-03-01 09:00:03 UTC");
    assert_eq!(rate(Some(3_000_000), Some(2_000_000)), Some(1_500_000));
    assert_eq!(rate(Some(5), Some(10)), None);
    assert_eq!(
        [(1, 5000), (1, 300), (216, 600), (999, 1000), (7, 7), (1, 0)].map(|(n, of)| percent(n, of)),
        ["under 0.1 %", "0.3 %", "36 %", "99 %", "100 %", "100 %"]
    );
}

#[test]
fn the_way_back_fits_the_run() {
    let ways = |mode: &str, status: &str, dry_run: bool| {
        let mut tables = plain().tables;
        tables.truncate(3);
        for (table, name) in tables.iter_mut().zip(["a", "b", "C"]) {
            (table.schema, table.name, table.created) = ("s".to_owned(), name.to_owned(), Some(name != "b"));
        }
        let run = Run { mode: mode.to_owned(), status: status.to_owned(), dry_run, ..plain().run };
        Report::new(run, tables, vec![], vec![], vec![]).going_back.steps
    };
    let create = ways("create", "ok", false);
    assert_eq!(create[0].sql, "ROLLBACK;");
    assert_eq!(create[1].sql, "BEGIN;\nDROP TABLE\n    s.\"C\",\n    s.a;\nTRUNCATE\n    s.b;\nCOMMIT;");
    let sync = ways("sync", "warning", false);
    assert_eq!(sync.len(), 2);
    assert!(
        sync[1].sql.starts_with("recovery_target_time = '2025-03-01 09:01:04.000001+00'"),
        "{}",
        sync[1].sql
    );
    assert!(ways("create", "failed", false).is_empty());
    assert_eq!(
        ways("create", "ok", true)[0].sql,
        "SELECT * FROM aliaport_import('x', target_schema => 'x', mode => 'create', on_error => 'x', orphans => 'x', \
         options => '{\"x\":\"x\"}');"
    );
    assert!(ways("create", "failed", true).is_empty());
    assert!(ways("sync", "unchanged", false).is_empty());
}

#[test]
fn rejected_rows_are_told_apart_and_those_of_them_that_are_not_seen_are_not() {
    let group = |sqlstate: &str, action: &str, count| RejectedGroup {
        table_name: "Trip".to_owned(),
        sqlstate: sqlstate.to_owned(),
        action: action.to_owned(),
        count,
        ..RejectedGroup::default()
    };
    let rejected =
        vec![group("22P02", "rejected", 4), group("23503", "rejected", 212), group("22008", "nulled", 9)];
    let trip = |source: &str, rejected| Table {
        source_table: Some(source.to_owned()),
        source_rows: Some(600),
        rejected_rows: Some(rejected),
        ..Table::default()
    };
    let tables = vec![trip("Trip", 216), trip("trip2", 0), trip("Trip", 217)];
    let report = Report::new(plain().run, tables, vec![], vec![], rejected);
    let parts: Vec<_> = report.tables.iter().map(|t| (t.rejected_for_value, t.rejected_for_parent)).collect();
    assert_eq!(parts, [(Some(4), Some(212)), (Some(0), Some(0)), (None, None)]);
    let why = summary::why_rejected(&report);
    assert_eq!(
        why,
        "4 rows were rejected for values that the table cannot hold. 212 rows were rejected because a row that they point at is \
         missing, or is rejected as well: repair first what others point at. 9 values became NULL."
    );
    let share = |report: &Report| {
        let grid = grid::tables(report);
        let at = grid.columns.iter().position(|c| c.label == "share lost").unwrap();
        grid.rows.iter().map(|row| row[at].text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(share(&report), ["36 %", "", "36 %"]);
}

#[test]
fn warnings_are_grouped_and_objects_lose_their_sql_to_a_field_of_its_own() {
    let noted = |code: &str, message: &str, count| Noted {
        code: code.to_owned(),
        severity: "warning".to_owned(),
        warning: Warning { message: message.to_owned(), count, ..Warning::default() },
    };
    // A name may hold anything, also what looks like a statement.
    let mut object =
        noted("not_carried", "view \"a: CREATE b\" is not carried over: CREATE VIEW v AS SELECT 1", None);
    object.warning.sql = Some("CREATE VIEW v AS SELECT 1".to_owned());
    let report = Report::new(
        plain().run,
        vec![],
        vec![],
        vec![
            noted("nocase", "a", None),
            noted("nulled", "b", Some(2)),
            object,
            noted("not_carried", "collation X of index \"a: CREATE b\" is not carried over", None),
            noted("nulled", "c", Some(2)),
            noted("nulled", "c", Some(1)),
            noted("nocase", "a", None),
        ],
        vec![],
    );
    let groups: Vec<(&str, Option<i64>, usize)> =
        report.warnings.iter().map(|g| (g.code.as_str(), g.count, g.entries.len())).collect();
    assert_eq!(groups, [("nocase", None, 1), ("nulled", Some(5), 2)]);
    assert_eq!(report.not_carried[0].message, "view \"a: CREATE b\" is not carried over");
    assert_eq!(report.not_carried[0].sql.as_deref(), Some("CREATE VIEW v AS SELECT 1"));
    assert_eq!(report.not_carried[1].message, "collation X of index \"a: CREATE b\" is not carried over");
    assert_eq!(report.not_carried[1].sql, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_leaves_its_place(
        texts in prop::collection::vec(prop_oneof![
            prop::sample::select(HOSTILE).prop_map(str::to_owned),
            "[<>&\"'`|\\\\*_~\\[\\]()#!@:/\\n\\r\\t \u{202e}\u{200b}a-z0-9.-]{0,40}",
            any::<String>(),
        ], 1..12)
    ) {
        check(&texts)?;
    }
}
