//! Tables that are there differ from what the import would make.

use std::fmt;

use aliaport_rows::identifier::{QualifiedName, quote};

use super::{Code, Finding, Topic};

/// How a table that is there differs from the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Drift {
    /// This is missing on this table.
    Missing(Wanted, QualifiedName),
    /// A foreign key of this label is so in the source, and this constraint of this table otherwise.
    OtherForeignKey {
        /// The key of the source.
        label: String,
        /// How it is there.
        ours: String,
        /// The constraint.
        constraint: String,
        /// Its table.
        target: QualifiedName,
        /// How that is.
        theirs: String,
    },
    /// A foreign key refers to another table than the constraint does.
    OtherParent {
        /// The key of the source.
        label: String,
        /// Its parent.
        parent_source: String,
        /// The constraint.
        constraint: String,
        /// Its table.
        target: QualifiedName,
        /// The parent of that.
        parent: QualifiedName,
    },
    /// This attribute of this table is computed so, and in the source so.
    OtherExpression(String, QualifiedName, String, String),
    /// This attribute of this table is not written, although earlier runs filled it; it is emptied with the
    /// rows that are replaced, or keeps its values.
    Unwritten(String, QualifiedName, bool),
    /// This table was filled by this run, and the source does not have it any more.
    TableVanished(QualifiedName, i64),
}

/// What a table that is there should have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// An index, by the name that it would have.
    Index(String),
    /// The primary key over these columns.
    PrimaryKey(Vec<String>),
    /// A unique key over the columns of the primary key, where the target has another one.
    UniquePrimaryKey(Vec<String>),
    /// A unique constraint over these columns.
    Unique(Vec<String>),
    /// A CHECK of this condition.
    Check(String),
    /// NOT NULL of this attribute.
    NotNull(String),
    /// A foreign key, by its label.
    ForeignKey(String),
}

impl Topic for Drift {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Drift::Missing(Wanted::Index(_), _) => Code::IndexMissing,
            Drift::Unwritten(..) => Code::ColumnVanished,
            Drift::TableVanished(..) => Code::TableVanished,
            _ => Code::ConstraintMissing,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = of.table_name();
        match self {
            Drift::Missing(wanted, target) => {
                let columns = |what: &str, columns: &[String]| format!("{what} ({})", columns.join(", "));
                let what = match wanted {
                    Wanted::Index(name) => format!("index {}", quote(name)),
                    Wanted::PrimaryKey(names) => columns("primary key", names),
                    Wanted::UniquePrimaryKey(names) => columns("uniqueness of the primary key", names),
                    Wanted::Unique(names) => columns("unique constraint", names),
                    Wanted::Check(condition) => format!("check ({condition})"),
                    Wanted::NotNull(attribute) => {
                        return write!(
                            f,
                            "NOT NULL of {} is missing on column {} of {target}",
                            of.noun(),
                            quote(attribute)
                        );
                    }
                    Wanted::ForeignKey(label) => {
                        return write!(f, "foreign key {label} is missing on {target}");
                    }
                };
                write!(f, "{what} of table \"{table}\" is missing on {target}")
            }
            Drift::OtherForeignKey { label, ours, constraint, target, theirs } => write!(
                f,
                "foreign key {label} is {ours} in the source, and constraint {} of {target} is {theirs}",
                quote(constraint)
            ),
            Drift::OtherParent { label, parent_source, constraint, target, parent } => write!(
                f,
                "foreign key {label} refers to \"{parent_source}\" in the source, and constraint {} of {target} to {parent}, whose rows decide what can be imported",
                quote(constraint)
            ),
            Drift::OtherExpression(attribute, target, there, source) => write!(
                f,
                "column {} of {target} is computed as {there}, and {} as {source}",
                quote(attribute),
                of.noun()
            ),
            Drift::Unwritten(attribute, target, is_emptied) => {
                let fate = if *is_emptied {
                    "its old values go with the rows that are replaced"
                } else {
                    "it keeps the values that it has"
                };
                write!(
                    f,
                    "column {} of {target}, which earlier runs filled from \"{}\", is not written: {fate}",
                    quote(attribute),
                    of.column_name()
                )
            }
            Drift::TableVanished(target, run) => write!(
                f,
                "table {target} was filled from SQLite table \"{table}\" by run {run}, and the source does not have it any more; its rows stay as they are"
            ),
        }
    }
}
