//! Which CHECK constraints of the source will the target enforce?
//!
//! SQLite can hold rows that its own constraints forbid: they came in under `PRAGMA
//! ignore_check_constraints`, or the constraint was written into the schema later. `PRAGMA integrity_check`
//! would say so, but a connection that only reads does not read CHECKs.

use crate::catalogue::Table;
use crate::expr::{is_boolean_check, is_json_check};
use crate::finding::Subject;
use crate::grammar;
use crate::plan::TablePlan;

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedCheck {
    /// The expression as SQLite's SQL.
    pub text: String,
    /// The column whose definition holds it.
    pub column: Option<String>,
}

/// The CHECK constraints of a table that the import makes, without those that a type says better.
#[must_use]
pub fn carried_checks(table: &Table, plan: &TablePlan) -> Vec<CarriedCheck> {
    let Ok(sql) = grammar::table(&table.sql) else { return Vec::new() };
    if !plan.is_created {
        return Vec::new();
    }
    let is_refused = |place: usize| {
        plan.findings.iter().any(|f| matches!(f.subject, Subject::Check(of, _) if of == place))
    };
    sql.checks
        .into_iter()
        .enumerate()
        .filter(|(place, check)| {
            is_boolean_check(check).is_none() && is_json_check(check).is_none() && !is_refused(*place)
        })
        .map(|(_, check)| CarriedCheck { text: check.text, column: check.column })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, Column};
    use crate::option::Options;
    use crate::planner::{Request, plan};
    use crate::policy::Mode;
    use crate::profile::Profiles;
    use crate::target::Target;

    #[test]
    fn a_check_that_is_not_made_or_is_a_type_is_not_looked_at() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            declared_type: "INTEGER".to_owned(),
            ..Column::default()
        };
        // The text of a check that is made begins one that is not.
        let sql = "CREATE TABLE t (a INTEGER CHECK (a >\n 0), b INTEGER CHECK (b IN (0, 1)), CHECK (a > 0 AND soundex(a) <> ''))";
        let table = Table {
            name: "t".to_owned(),
            sql: sql.to_owned(),
            columns: vec![column("a"), column("b")],
            ..Table::default()
        };
        let catalogue = Catalogue { tables: vec![table], ..Catalogue::default() };
        let options = Options::default();
        let request = Request { mode: Mode::Create, options: &options };
        let target = Target { schema: "s".to_owned(), server_version: 150_000, ..Target::default() };
        let mut plan = plan(&catalogue, &Profiles::new(), &target, &request).unwrap();
        let made = carried_checks(&catalogue.tables[0], &plan.tables[0]);
        assert_eq!(made, [CarriedCheck { text: "a >\n 0".to_owned(), column: Some("a".to_owned()) }]);
        plan.tables[0].is_created = false;
        assert_eq!(carried_checks(&catalogue.tables[0], &plan.tables[0]), []);
    }
}
