//! How to go back from a run: the statements a DBA would run, with what each costs.

use serde::Serialize;

use super::escape::is_hidden;
use super::quantity::counted;
use super::{Run, Table};
use aliaport_rows::identifier::{quote, quote_literal};

/// How a run is undone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GoingBack {
    /// What there is to undo, in one sentence.
    pub summary: String,
    /// What can be done, the least costly first.
    pub steps: Vec<Step>,
}

/// One way back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Step {
    /// In which situation.
    pub when: String,
    /// What to run, or the settings to recover with.
    pub sql: String,
    /// What it costs and what to look at first.
    pub caution: String,
}

/// The way back from `run`.
pub fn going_back(run: &Run, tables: &[Table]) -> GoingBack {
    let nothing = |summary: &str| GoingBack { summary: summary.to_owned(), steps: Vec::new() };
    if run.dry_run {
        let summary = "There is nothing to undo: a dry run takes everything back at its end.";
        let steps = if run.status == "failed" { Vec::new() } else { vec![in_earnest(run)] };
        return GoingBack { steps, ..nothing(summary) };
    }
    match run.status.as_str() {
        "failed" => {
            return nothing("There is nothing to undo: the failed import was rolled back as a whole.");
        }
        "unchanged" => return nothing("There is nothing to undo: the run wrote no rows."),
        _ => {}
    }
    let mut steps = vec![Step {
        when: "While the transaction of the import is still open".to_owned(),
        sql: "ROLLBACK;".to_owned(),
        caution: "It undoes the whole import, tables and history included; after COMMIT it does nothing."
            .to_owned(),
    }];
    if run.mode == "create" {
        steps.extend(drop_tables(tables));
    }
    steps.push(recover(run));
    GoingBack {
        summary:
            "The SQLite file was not changed: the application can be pointed back at it, without what it has \
                  written to PostgreSQL since."
                .to_owned(),
        steps,
    }
}

/// The call that a dry run was the rehearsal of.
fn in_earnest(run: &Run) -> Step {
    let mut arguments = vec![literal(&run.path)];
    let options = run.options.as_object().filter(|o| !o.is_empty()).map(|_| run.options.to_string());
    let named = [
        ("target_schema", run.target_schema.clone()),
        ("mode", Some(run.mode.clone())),
        ("on_error", run.on_error.clone()),
        ("orphans", run.orphans.clone()),
        ("options", options),
    ];
    for (name, value) in named {
        arguments.extend(value.map(|value| format!("{name} => {}", literal(&value))));
    }
    Step {
        when: "To import in earnest, as it was rehearsed".to_owned(),
        sql: format!("SELECT * FROM aliaport_import({});", arguments.join(", ")),
        caution:
            "The file is read anew: what has changed in it since the rehearsal is imported as it is then."
                .to_owned(),
    }
}

/// A string literal that shows all it has, as [`identifier`] does.
fn literal(text: &str) -> String {
    if !text.chars().any(is_hidden) {
        return quote_literal(text);
    }
    let mut out = "U&'".to_owned();
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            c if is_hidden(c) => out.push_str(&format!("\\+{:06X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Children first, in one statement, so that circles of foreign keys are no obstacle.
fn drop_tables(tables: &[Table]) -> Option<Step> {
    let there = || tables.iter().rev().filter(|t| t.exists);
    let (made, emptied): (Vec<&Table>, Vec<&Table>) = there().partition(|t| t.created != Some(false));
    let mut sql = Vec::new();
    let mut caution = String::new();
    if !made.is_empty() {
        sql.push(format!("DROP TABLE\n    {};", list(&made)));
        caution.push_str(
            "There is no CASCADE on purpose: where a view or another table has come to depend on one of these, PostgreSQL \
             refuses and says so. ",
        );
    }
    if !emptied.is_empty() {
        sql.push(format!("TRUNCATE\n    {};", list(&emptied)));
        caution.push_str("Tables that were there before, without rows, are emptied; their sequences go on from where they are. ");
    }
    if sql.is_empty() {
        return None;
    }
    caution.push_str("Rows that were written since the import are lost with the tables: look before COMMIT.");
    if made.iter().any(|t| t.created.is_none()) {
        caution.push_str(
            " The history does not say which tables were there before the import; empty such a table with TRUNCATE instead.",
        );
    }
    let gone = tables.len() - there().count();
    if gone > 0 {
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        caution.push_str(&format!(
            " {} of the run left out, because not there any more.",
            counted(gone, "table", "tables")
        ));
    }
    Some(Step {
        when: "After COMMIT, before anything else was written".to_owned(),
        sql: format!("BEGIN;\n{}\nCOMMIT;", sql.join("\n")),
        caution,
    })
}

fn recover(run: &Run) -> Step {
    let until = run.finished_at.as_deref().unwrap_or(&run.started_at);
    let caution = match run.mode.as_str() {
        "create" => "For when tables have been written to since, and their rows must not be lost unseen. ",
        "append" => {
            "The rows that were added are not told apart from those that were there, so no DELETE can find them. "
        }
        _ => "The rows that were there before are gone from these tables. ",
    };
    Step {
        when: if run.mode == "create" {
            "After COMMIT, when the tables are in use already".to_owned()
        } else {
            "After COMMIT".to_owned()
        },
        sql: format!(
            "recovery_target_time = '{}'\nrecovery_target_action = 'pause'",
            super::quantity::precise(until)
        ),
        caution: format!(
            "{caution}Restore the last base backup on a second server with these settings (the import had not been committed at \
             that time), and copy the tables back with pg_dump and pg_restore; or restore a dump that was made before the run. \
             Recovery goes back for the whole cluster, so not in place."
        ),
    }
}

fn list(tables: &[&Table]) -> String {
    let names: Vec<String> =
        tables.iter().map(|t| format!("{}.{}", identifier(&t.schema), identifier(&t.name))).collect();
    names.join(",\n    ")
}

/// A quoted identifier that shows all it has: what cannot be seen is written as an escape in `U&"..."`.
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
fn identifier(name: &str) -> String {
    if !name.chars().any(is_hidden) {
        return quote(name);
    }
    let mut out = "U&\"".to_owned();
    for c in name.chars() {
        match c {
            '"' => out.push_str("\"\""),
            '\\' => out.push_str("\\\\"),
            c if is_hidden(c) => out.push_str(&format!("\\+{:06X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_shows_all_it_has() {
        assert_eq!(identifier("work_order"), "work_order");
        assert_eq!(identifier("Cari\""), "\"Cari\"\"\"");
        assert_eq!(identifier("a\u{202e}b\n\\\""), "U&\"a\\+00202Eb\\+00000A\\\\\"\"\"");
    }
}
