//! What an inspection finds in the rows of the source.

use std::fmt;

use aliaport_rows::convert::Lossy;
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::width::WIDEST;

use super::{Code, Finding, Severity, Topic, counted, lossy};
use crate::option::shorten;

/// Characters of a CHECK that are shown.
const SHOWN: usize = 200;

/// What is wrong with rows and values of the source, as many as the finding counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Values cannot be stored in this type, the first of them because of this.
    Refused(Code, PgType, String),
    /// Values are NULL, and must not be; in the target alone where this column of it takes none and the one
    /// of SQLite does.
    Null(Option<(QualifiedName, String)>),
    /// Numbers will be read as moments, from the first to the last of these, by a unit that is in doubt.
    Numbers {
        /// The first and the last moment, where they become moments.
        reach: Option<(String, String)>,
        /// Their sizes suggest more than one unit, or digits of a date.
        is_doubtful: bool,
    },
    /// Values will land and not be the same.
    Changed(Lossy),
    /// Values were not tried, because that runs this code.
    Untried(String),
    /// SQLite cannot compute a generated column: why.
    Uncomputable(String),
    /// Rows are too wide for a page.
    TooWide,
    /// Rows break this CHECK.
    Check(String),
    /// Rows repeat a key.
    Repeated {
        /// Which one.
        key: KeyName,
        /// Without regard to case.
        is_folded: bool,
        /// What its values are converted to.
        types: Vec<PgType>,
        /// The source does not have the key.
        is_stricter: bool,
    },
    /// Rows have no parent, and whether that is allowed.
    Orphans(Orphan, Allowed),
    /// What SQLite says of the file: of as many alike, or of more where it was cut short.
    Damage(Damage, String, bool),
    /// The file is too large for its indexes to be compared.
    LargeFile,
}

/// A key that is unique in the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyName {
    /// The primary key.
    Primary,
    /// An index of the source, by its name.
    Index(String),
    /// A UNIQUE constraint of the source, by its columns.
    Unique(Vec<String>),
    /// A key of this table of the target, by its columns.
    Target(Vec<String>, QualifiedName),
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyName::Primary => f.write_str("the primary key"),
            KeyName::Index(name) => write!(f, "unique index \"{name}\""),
            KeyName::Unique(columns) => write!(f, "the unique constraint on ({})", columns.join(", ")),
            KeyName::Target(columns, target) => {
                write!(f, "the unique key ({}) of {target}", columns.join(", "))
            }
        }
    }
}

/// By which key rows have no parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Orphan {
    /// A key of this label; this table of the source has no such row.
    InSource(String, String),
    /// A key of this label; this table of the target has no such row, and is not filled.
    InTarget(String, QualifiedName),
    /// This constraint of this table, to this column of that one, which is not filled.
    Unfilled(String, QualifiedName, String, QualifiedName),
    /// This constraint of this table to that one, which the source does not declare.
    Undeclared(String, QualifiedName, QualifiedName),
}

/// Why rows without a parent do not end the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// They do.
    No,
    /// The options say so.
    ByOptions,
    /// No constraint is made.
    WithoutConstraint,
}

/// What is broken in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// This index, which an import does not read.
    Index(String),
    /// Rows repeat a key.
    Repeated,
    /// Values that their columns forbid.
    Values,
    /// Pages that are not used.
    Unused,
    /// Anything else.
    Other,
}

impl Topic for Content {
    fn code(&self, _of: &Finding) -> Code {
        match self {
            Content::Refused(code, ..) => *code,
            Content::Null(_) => Code::NullInNotNull,
            // The interface has no code for each way to differ.
            Content::Changed(_) | Content::Numbers { .. } | Content::Untried(_) => Code::TypeMismatch,
            Content::Uncomputable(_) => Code::NotCarried,
            Content::TooWide => Code::RowTooWide,
            Content::Repeated { is_folded: true, .. } => Code::CaseCollision,
            Content::Repeated { is_folded: false, .. } => Code::DuplicateKey,
            Content::Orphans(..) => Code::OrphanRows,
            Content::Check(_) | Content::Damage(..) | Content::LargeFile => Code::Integrity,
        }
    }

    fn severity(&self, _of: &Finding) -> Severity {
        match self {
            Content::Changed(lossy) => lossy::severity(*lossy),
            Content::Numbers { is_doubtful: true, .. } => Severity::Warning,
            Content::Numbers { is_doubtful: false, .. } => Severity::Info,
            Content::Untried(_) | Content::LargeFile => Severity::Info,
            Content::Orphans(_, Allowed::ByOptions | Allowed::WithoutConstraint) => Severity::Warning,
            // The import reads tables, never an index of a table with rowid; and NOT NULL and the types of
            // STRICT tables are for the pass over the rows to judge by the target's columns.
            Content::Damage(Damage::Index(_) | Damage::Values | Damage::Unused, ..) => Severity::Warning,
            _ => Severity::Error,
        }
    }

    fn tell(&self, of: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = of.count.unwrap_or_default();
        let values = || counted(count, "value", "values");
        let rows = || counted(count, "row", "rows");
        let (s, are) = if count == 1 { ("s", "is") } else { ("", "are") };
        let table = of.table_name();
        match self {
            Content::Refused(_, pg_type, first) => {
                let colon = if count == 1 { ":" } else { ", the first:" };
                write!(f, "{} of {} cannot be stored in type {pg_type}{colon} {first}", values(), of.noun())
            }
            Content::Null(None) => {
                write!(f, "{} of {} {are} NULL, which the target does not take", values(), of.noun())
            }
            Content::Null(Some((target, attribute))) => write!(
                f,
                "{} of {} {are} NULL, which {target}.{} does not take, although the column of SQLite does",
                values(),
                of.noun(),
                quote(attribute)
            ),
            Content::Numbers { reach, .. } => {
                write!(f, "{} of {} {}", values(), of.noun(), lossy::will_land(Lossy::EpochNumber))?;
                match reach {
                    Some((first, last)) if first == last => {
                        write!(f, ", and become{s} {first}")
                    }
                    Some((first, last)) => write!(f, ", from {first} to {last}"),
                    None => Ok(()),
                }
            }
            Content::Changed(lossy) => {
                write!(f, "{} of {} {}", values(), of.noun(), lossy::will_land(*lossy))
            }
            Content::Untried(code) => write!(
                f,
                "values of {} were not tried in their type: that runs {code}, which is not PostgreSQL's own",
                of.noun()
            ),
            Content::Uncomputable(reason) => {
                write!(f, "generated column \"{}\" cannot be computed: {reason}", of.column_name())
            }
            Content::TooWide => write!(
                f,
                "{} of {} {are} wider than the {WIDEST} bytes that a page holds, also with long values out of line",
                rows(),
                of.noun()
            ),
            Content::Check(text) => {
                let text = shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN);
                write!(f, "{} of table \"{table}\" violate{s} CHECK ({text})", rows())
            }
            Content::Repeated { key, is_folded, types, is_stricter } => {
                let how = if *is_folded { "without regard to case " } else { "" };
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{} of table \"{table}\" {how}repeat{s} a value of {key} once converted to {}{}",
                    rows(),
                    types.join(", "),
                    if *is_stricter { ": the source does not have this key" } else { "" }
                )
            }
            Content::Orphans(orphan, allowed) => {
                let rows = rows();
                match orphan {
                    Orphan::InSource(label, parent) => write!(
                        f,
                        "{rows} of foreign key {label} point{s} at a row that \"{parent}\" does not have"
                    )?,
                    Orphan::InTarget(label, parent) => write!(
                        f,
                        "{rows} of foreign key {label} point{s} at a row that {parent} does not have, and this import does not fill it"
                    )?,
                    Orphan::Unfilled(constraint, goal, column, parent) => write!(
                        f,
                        "{rows} of \"{table}\" point{s} by constraint {} of {goal} at column {} of {parent}, which this import does not fill",
                        quote(constraint),
                        quote(column)
                    )?,
                    Orphan::Undeclared(constraint, goal, parent) => write!(
                        f,
                        "{rows} of \"{table}\" point{s} at a row that {parent} will not have, by constraint {} of {goal}, which the source does not declare so",
                        quote(constraint)
                    )?,
                }
                f.write_str(match allowed {
                    Allowed::No => "",
                    Allowed::ByOptions => ", which options allow",
                    Allowed::WithoutConstraint => "; no constraint is made",
                })
            }
            Content::Damage(_, message, is_cut) => {
                write!(f, "SQLite's integrity_check says: {message}")?;
                match (count, is_cut) {
                    (1, _) => Ok(()),
                    (_, true) => write!(f, " (the first of at least {count} alike)"),
                    (_, false) => write!(f, " (the first of {count} alike)"),
                }
            }
            Content::LargeFile => f.write_str(
                "the file is large, so its indexes, which an import does not read, were not compared with their tables",
            ),
        }
    }
}
