//! Do the names in the options exist in the source? Everything here is SQLSTATE 22023.

use crate::catalogue::{Catalogue, ForeignKey, OtherKind, Table};
use crate::option::{Options, is_glob, nearest};
use crate::target::Past;
use aliaport_rows::convert::UuidBytes;
use aliaport_rows::pg_type::PgType;

use super::draft::{Draft, Role};
use super::error::PlanError;

/// Names listed in a hint at most: a hint is read, not searched.
const LISTED: usize = 50;

/// Checks every table, column and foreign key that the options name.
///
/// What earlier runs knew may be named to accept that it is gone: a table in "exclude", a column with "skip".
pub(super) fn check_names(catalogue: &Catalogue, past: &Past, options: &Options) -> Result<(), PlanError> {
    for (option, names) in [("include", &options.include), ("exclude", &options.exclude)] {
        for name in names.iter().filter(|n| !is_glob(n)) {
            // Leaving out a view or a virtual table is no mistake.
            let is_other = option == "exclude"
                && (catalogue.others.iter().any(|o| same(&o.name, name))
                    || past.filled.iter().any(|t| same(&t.source, name)));
            if !is_other {
                find_table(catalogue, option, name)?;
            }
        }
    }
    for (name, asked) in &options.tables {
        let table = find_table(catalogue, "tables", name)?;
        for (column, asked) in &asked.columns {
            let had = past.filled.iter().filter(|t| same(&t.source, &table.name)).flat_map(|t| &t.columns);
            if asked.skip && had.into_iter().any(|c| same(&c.source, column)) {
                continue;
            }
            find_column(table, &format!("tables.{name}.columns"), column)?;
        }
    }
    for (name, search) in &options.search {
        let table = find_table(catalogue, "search", name)?;
        for column in &search.columns {
            find_column(table, &format!("search.{name}.columns"), column)?;
        }
    }
    for key in options.foreign_keys.keys() {
        find_foreign_key(catalogue, key)?;
    }
    Ok(())
}

/// Checks that the order of a uuid's bytes is named for columns that hold uuids.
pub(super) fn check_uuids(draft: &Draft<'_>, options: &Options) -> Result<(), PlanError> {
    let Some(asked) = options.table(&draft.table.name) else { return Ok(()) };
    for column in draft.columns.iter().filter(|c| c.role == Role::Written) {
        let name = &column.column.name;
        let is_asked = asked.column(name).is_some_and(|c| c.uuid != UuidBytes::Unsaid);
        if is_asked && column.pg_type != PgType::Uuid {
            return Err(PlanError::option(
                &draft.table.name,
                format!(
                    "option \"tables.{}.columns.{name}.uuid\" has no effect, because the column is of type {}",
                    draft.table.name, column.pg_type
                ),
                "It names the order of the bytes of a uuid in a blob: remove it, or give the column type uuid.",
            ));
        }
    }
    Ok(())
}

/// A foreign key's address in messages and in options: `table.column`, or `table.column1,column2`.
pub(super) fn label(table: &Table, key: &ForeignKey) -> String {
    let columns: Vec<&str> =
        key.columns.iter().filter_map(|&i| table.columns.get(i)).map(|c| c.name.as_str()).collect();
    format!("{}.{}", table.name, columns.join(","))
}

/// Names compare as in SQLite: ASCII letters without regard to case.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn find_table<'a>(catalogue: &'a Catalogue, option: &str, name: &str) -> Result<&'a Table, PlanError> {
    if let Some(table) = catalogue.table_named(name) {
        return Ok(table);
    }
    let what = catalogue.others.iter().find(|o| same(&o.name, name)).map(|o| match o.kind {
        OtherKind::View => "a view",
        OtherKind::Trigger => "a trigger",
        OtherKind::VirtualTable => "a virtual table",
        OtherKind::ShadowTable => "part of a virtual table",
        OtherKind::Reserved => "a table with a name that SQLite keeps for its own",
        OtherKind::Unnameable => "an object with a name that is not valid UTF-8",
    });
    let message = match what {
        Some(what) => format!("option \"{option}\" names \"{name}\", which is {what} and is not imported"),
        None => format!("option \"{option}\" names SQLite table \"{name}\", which does not exist"),
    };
    Err(unknown(name, message, "tables", catalogue.tables.iter().map(|t| t.name.as_str())))
}

fn find_column(table: &Table, option: &str, name: &str) -> Result<(), PlanError> {
    if table.columns.iter().any(|c| same(&c.name, name)) {
        return Ok(());
    }
    let message = format!(
        "option \"{option}\" names column \"{name}\", which SQLite table \"{}\" does not have",
        table.name
    );
    Err(unknown(name, message, "columns", table.columns.iter().map(|c| c.name.as_str())))
}

fn find_foreign_key(catalogue: &Catalogue, wanted: &str) -> Result<(), PlanError> {
    // Blanks after a comma are how people write lists.
    let wanted: String = wanted.replace(", ", ",");
    let labels: Vec<String> =
        catalogue.tables.iter().flat_map(|t| t.foreign_keys.iter().map(move |k| label(t, k))).collect();
    if labels.iter().any(|l| same(l, &wanted)) {
        return Ok(());
    }
    let message =
        format!("option \"foreign_keys\" names \"{wanted}\", which is no foreign key of the source");
    Err(unknown(&wanted, message, "foreign keys", labels.iter().map(String::as_str)))
}

fn unknown<'a>(
    wanted: &str,
    message: String,
    what: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> PlanError {
    let perhaps = nearest(wanted, names.clone())
        .map(|near| format!("Perhaps you meant \"{near}\". "))
        .unwrap_or_default();
    let count = names.clone().count();
    let listed: Vec<String> = names.take(LISTED).map(|n| format!("\"{n}\"")).collect();
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    let hint = match count {
        0 => format!("{perhaps}The source has no {what}."),
        _ => format!("{perhaps}The source's {what} are {}{more}.", listed.join(", ")),
    };
    PlanError::option("", message, &hint)
}
