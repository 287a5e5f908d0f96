//! The plan: what will be done, in order, with every name and type decided. Plain data; [`crate::planner`]
//! makes it.

use crate::catalogue::Table;
use crate::finding::Finding;
use crate::policy::Orphans;
use aliaport_rows::column::{ColumnPlan, RowPlan};
use aliaport_rows::identifier::QualifiedName;

/// Everything an import will do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Tables in load order: a parent before its children, except inside a cycle.
    pub tables: Vec<TablePlan>,
    /// Statements of the whole plan in the order in which they run.
    pub steps: Vec<Step>,
    /// Tables of the source that are left out, with the reason (bookkeeping, excluded).
    pub skipped: Vec<(String, String)>,
    /// Findings that belong to no table that is loaded (views, virtual tables, ...).
    pub findings: Vec<Finding>,
    /// The time zone of naive datetimes, checked.
    pub timezone: String,
    /// What the import would make on tables that are there and that seem not to have it.
    pub missing: Vec<Missing>,
    /// Columns that earlier runs filled and that this one does not write, as the options say.
    pub kept: Vec<KeptColumn>,
    /// Tables that earlier runs filled and the source does not have any more.
    pub vanished: Vec<QualifiedName>,
    /// Foreign keys of existing tables that the source does not declare.
    pub elsewhere: Vec<Elsewhere>,
}

/// An index or a constraint that an existing table seems not to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// The table of [`Plan::tables`].
    pub table: usize,
    /// What is said of it.
    pub finding: Finding,
    /// Lists of expressions over the table: what is wanted, and what the table has instead. Where PostgreSQL
    /// reads both lists of a pair alike, nothing is missing.
    pub perhaps: Vec<(Vec<String>, Vec<String>)>,
    /// The foreign key that is missing or has to be another one.
    pub refers: Option<Refers>,
}

/// A foreign key that an existing table has not, or has otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Refers {
    /// What it demands.
    pub key: ForeignKeyPlan,
    /// What can be done before the import, where that makes the referenced table first.
    pub before: Option<String>,
}

/// A foreign key of an existing table that the source does not declare, or declares with another parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The referencing table.
    pub table: QualifiedName,
    /// Its name.
    pub constraint: String,
    /// The referenced table.
    pub parent: QualifiedName,
    /// What to do where its parents are not there, as whole sentences.
    pub remedy: String,
}

/// A column that earlier runs filled and this one does not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptColumn {
    /// Its table.
    pub table: QualifiedName,
    /// The SQLite column that its values came from.
    pub source: String,
    /// The attribute.
    pub target: String,
    /// It keeps its values.
    pub is_filled: bool,
}

/// What happens to one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePlan {
    /// The SQLite table's name.
    pub source: String,
    /// Where its rows go.
    pub target: QualifiedName,
    /// True where the import makes the table, false where it is there already.
    pub is_created: bool,
    /// Columns that are read and written, in the target's attribute order.
    pub columns: Vec<ColumnPlan>,
    /// False for `WITHOUT ROWID`.
    pub has_rowid: bool,
    /// The SQLite names of the source's key columns in key order; empty without a declared key.
    pub source_key: Vec<String>,
    /// The attributes by which mode sync tells the rows of an existing table apart; empty in other modes and
    /// for new tables.
    pub sync_key: Vec<String>,
    /// A condition in SQLite's SQL: only the rows that satisfy it are read.
    pub filter: Option<String>,
    /// The foreign keys that the source declares and the target can hold, with what is needed to count
    /// orphans.
    pub foreign_keys: Vec<ForeignKeyPlan>,
    /// The sequences that have to be set, that of the key first.
    pub sequences: Vec<SequencePlan>,
    /// What is not identical or not carried over.
    pub findings: Vec<Finding>,
}

impl TablePlan {
    /// What its rows' converter has to know.
    #[must_use]
    pub fn row_plan(&self) -> RowPlan<'_> {
        RowPlan { source: &self.source, columns: &self.columns, key: &self.source_key }
    }

    /// Where the plan's columns are among those of the source's table, in the plan's order; `None` where it
    /// lacks one.
    #[must_use]
    pub fn source_columns(&self, table: &Table) -> Option<Vec<usize>> {
        self.columns.iter().map(|c| table.columns.iter().position(|s| s.name == c.source)).collect()
    }

    /// Whether the filter is sure to choose the same rows of the same source another time. It is not where it
    /// names, as whatever, what asks for the time or for a random number; a date function may do so with its
    /// argument.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        const ASKING: [&str; 12] = [
            "current_date",
            "current_time",
            "current_timestamp",
            "date",
            "datetime",
            "julianday",
            "random",
            "randomblob",
            "strftime",
            "time",
            "timediff",
            "unixepoch",
        ];
        let filter = self.filter.as_deref().unwrap_or_default();
        let mut words = filter.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        !words.any(|word| ASKING.iter().any(|name| name.eq_ignore_ascii_case(word)))
    }
}

/// One foreign key.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKeyPlan {
    /// The constraint's name.
    pub name: String,
    /// Referencing attributes in the target.
    pub columns: Vec<String>,
    /// The referenced table.
    pub parent: QualifiedName,
    /// Referenced attributes, in the order of `columns`.
    pub parent_columns: Vec<String>,
    /// The SQLite spelling for messages: `work_order_item.work_order_id`.
    pub label: String,
    /// The referenced SQLite table.
    pub parent_source: String,
    /// Referencing columns in SQLite, in the order of `columns`.
    pub source_columns: Vec<String>,
    /// Referenced columns in SQLite, in the order of `columns`.
    pub parent_source_columns: Vec<String>,
    /// What happens to orphans, where options say so for this key; else the argument of the import decides.
    pub orphans: Option<Orphans>,
    /// True where a step of the plan makes the constraint (its object is `name`, quoted); false for an
    /// existing table and where options ask for no constraints.
    pub is_created: bool,
}

/// A sequence to set after the load.
#[derive(Clone, Debug, PartialEq)]
pub struct SequencePlan {
    /// The attribute that the sequence feeds.
    pub column: String,
    /// `sqlite_sequence.seq`, where the column is the rowid: AUTOINCREMENT never reuses a key up to it.
    pub high_water: Option<i64>,
}

/// One statement of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What kind of statement it is.
    pub action: Action,
    /// The object it is about, as SQL prints it.
    pub object: String,
    /// The statement without a final semicolon; empty for steps that are not SQL (load, skip).
    pub sql: String,
    /// Why, or what is noteworthy; empty where nothing is.
    pub note: String,
    /// The table of [`Plan::tables`] it belongs to.
    pub table: Option<usize>,
    /// What must be unique for the statement to succeed; `None` where it asks for no uniqueness.
    pub unique: Option<UniqueTerms>,
    /// The terms of the index that it makes, as SQL without their order; empty where it makes none.
    pub terms: Vec<String>,
}

/// What a primary key, a unique constraint or a unique index demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueTerms {
    /// The key's terms as SQL, without their order. A row with a NULL among them is never a duplicate.
    pub terms: Vec<String>,
    /// The condition of a partial index as SQL.
    pub predicate: Option<String>,
}

/// The kinds of [`Step`], in the order in which they run (per plan, not per table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A source table that is left out.
    Skip,
    /// CREATE TABLE
    CreateTable,
    /// TRUNCATE of every table that is there, or DELETE of each one's rows
    Truncate,
    /// The bulk load.
    Load,
    /// ALTER TABLE ... ADD PRIMARY KEY
    AddPrimaryKey,
    /// ALTER TABLE ... ADD UNIQUE
    AddUnique,
    /// CREATE INDEX
    CreateIndex,
    /// ALTER TABLE ... ADD FOREIGN KEY
    AddForeignKey,
    /// setval()
    SetSequence,
    /// ANALYZE
    Analyze,
}

impl Action {
    /// The word that `aliaport_plan` shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Skip => "skip",
            Action::CreateTable => "create_table",
            Action::Truncate => "truncate",
            Action::Load => "load",
            Action::AddPrimaryKey => "add_primary_key",
            Action::AddUnique => "add_unique",
            Action::CreateIndex => "create_index",
            Action::AddForeignKey => "add_foreign_key",
            Action::SetSequence => "set_sequence",
            Action::Analyze => "analyze",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_may_choose_other_rows_another_time_is_not_repeatable() {
        let filtered = |filter: Option<&str>| TablePlan {
            source: String::new(),
            target: QualifiedName { schema: String::new(), name: String::new() },
            is_created: false,
            columns: Vec::new(),
            has_rowid: true,
            source_key: Vec::new(),
            sync_key: Vec::new(),
            filter: filter.map(str::to_owned),
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            findings: Vec::new(),
        };
        for filter in [
            "created_at >= '2025-01-01'",
            "update_date IS NOT NULL",
            "randomised = 1",
            "a IN (SELECT max(b) FROM u)",
        ] {
            assert!(filtered(Some(filter)).is_repeatable(), "{filter}");
        }
        assert!(filtered(None).is_repeatable());
        for filter in [
            "created_at >= date('now', '-30 days')",
            "a > STRFTIME('%s')",
            "a > \"datetime\"()",
            "a < [unixepoch]()",
            "a < CURRENT_TIMESTAMP",
            "Random()%2",
            "b<>`randomblob`(4)",
            "a/*x*/>/**/julianday/**/()",
        ] {
            assert!(!filtered(Some(filter)).is_repeatable(), "{filter}");
        }
    }
}
