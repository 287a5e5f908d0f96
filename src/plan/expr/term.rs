//! A translated piece of an expression: its PostgreSQL text, and what has to be known to combine it with
//! another.

use super::NotCarried;
use aliaport_rows::pg_type::PgType;

/// The longest translation of one expression, in bytes. Some forms repeat an operand, so that nesting them
/// doubles.
const LONGEST: usize = 200_000;

/// A PostgreSQL expression that means what a SQLite expression means.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// The SQL text.
    pub sql: String,
    /// Can stand beside any operator without parentheses.
    pub is_atom: bool,
    /// What PostgreSQL takes its value for.
    pub kind: Kind,
    /// How SQLite converts what this is compared to.
    pub affinity: Affinity,
    /// The SQLite collation that a comparison takes from this.
    pub collation: Option<Collation>,
    /// The value, where it is a literal.
    pub literal: Option<Literal>,
    /// A boolean that is true or NULL whatever the columns hold.
    pub never_false: bool,
}

/// Families of PostgreSQL values, as far as SQLite's rules tell them apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// The literal NULL.
    Null,
    /// `boolean`; in SQLite an integer 0 or 1.
    Bool,
    /// `smallint`, `integer` or `bigint`.
    Int {
        /// The smallest value it can have.
        min: i64,
        /// The largest value it can have.
        max: i64,
        /// PostgreSQL computes it in 64 bits.
        is_bigint: bool,
    },
    /// `numeric` that holds an integer which may need more than 64 bits.
    Wide,
    /// `double precision`
    Float,
    /// `numeric`
    Numeric,
    /// `text` or `varchar`
    Text,
    /// `bytea`
    Bytea,
    /// Any other type; values of two equal ones can be compared as the second field says.
    Opaque(PgType, Comparable),
}

/// What may be compared between two values of one opaque type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparable {
    /// Nothing but NULL.
    Never,
    /// Equality.
    Equality,
    /// Equality and order.
    Order,
}

/// A literal's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Integer(i64),
    Real(f64),
    Text(String),
}

/// SQLite's type affinity, as comparisons use it
/// (<https://sqlite.org/datatype3.html#comparison_expressions>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// BLOB, or an expression without affinity.
    None,
    Text,
    /// INTEGER, REAL and NUMERIC.
    Numeric,
}

/// A SQLite collation, and whether a COLLATE operator names it, which outranks a column's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collation {
    pub name: CollationName,
    pub is_explicit: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CollationName {
    Binary,
    NoCase,
    RTrim,
    /// One that the application registers.
    Other(String),
}

impl CollationName {
    pub(super) fn parse(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "BINARY" => CollationName::Binary,
            "NOCASE" => CollationName::NoCase,
            "RTRIM" => CollationName::RTrim,
            _ => CollationName::Other(name.to_owned()),
        }
    }
}

impl Kind {
    /// All integers of 64 bits.
    pub(super) const BIGINT: Kind = Kind::Int { min: i64::MIN, max: i64::MAX, is_bigint: true };

    /// How the kind is named in a reason.
    pub(super) fn name(&self) -> String {
        match self {
            Kind::Null => "NULL".to_owned(),
            Kind::Bool => PgType::Boolean.to_string(),
            Kind::Int { .. } => "integer".to_owned(),
            Kind::Wide | Kind::Numeric => "numeric".to_owned(),
            Kind::Float => PgType::DoublePrecision.to_string(),
            Kind::Text => PgType::Text.to_string(),
            Kind::Bytea => PgType::Bytea.to_string(),
            Kind::Opaque(pg_type, _) => pg_type.to_string(),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Kind::Bool | Kind::Int { .. } | Kind::Wide | Kind::Float | Kind::Numeric)
    }
}

impl Term {
    fn new(sql: String, is_atom: bool, kind: Kind) -> Self {
        Term {
            sql,
            is_atom,
            kind,
            affinity: Affinity::None,
            collation: None,
            literal: None,
            never_false: false,
        }
    }

    /// Text that needs no parentheses anywhere: a name, a literal, a function call, CASE.
    pub(super) fn atom(sql: impl Into<String>, kind: Kind) -> Self {
        Term::new(sql.into(), true, kind)
    }

    /// Text that needs parentheses beside an operator.
    pub(super) fn compound(sql: impl Into<String>, kind: Kind) -> Self {
        Term::new(sql.into(), false, kind)
    }

    /// `boolean` made by an operator.
    pub(super) fn condition(sql: impl Into<String>) -> Self {
        Term::new(sql.into(), false, Kind::Bool)
    }

    pub(super) fn null() -> Self {
        Term::atom("NULL", Kind::Null)
    }

    pub(super) fn boolean(value: bool) -> Self {
        let mut term = Term::atom(if value { "true" } else { "false" }, Kind::Bool);
        term.literal = Some(Literal::Integer(value.into()));
        term.never_false = value;
        term
    }

    pub(super) fn integer(value: i64) -> Self {
        // A sign binds weaker than a cast.
        let sql = if value < 0 { format!("({value})") } else { value.to_string() };
        let is_bigint = i32::try_from(value).is_err();
        let mut term = Term::atom(sql, Kind::Int { min: value, max: value, is_bigint });
        term.literal = Some(Literal::Integer(value));
        term
    }

    pub(super) fn real(value: f64) -> Result<Self, NotCarried> {
        if !value.is_finite() {
            return Err(NotCarried::new("an infinite number has no PostgreSQL literal"));
        }
        let sql = if value.is_sign_negative() { format!("({value:?})") } else { format!("{value:?}") };
        let mut term = Term::atom(sql, Kind::Float);
        term.literal = Some(Literal::Real(value));
        Ok(term)
    }

    pub(super) fn text(value: &str) -> Result<Self, NotCarried> {
        let mut term = Term::atom(quoted(value)?, Kind::Text);
        term.literal = Some(Literal::Text(value.to_owned()));
        Ok(term)
    }

    pub(super) fn blob(bytes: &[u8]) -> Self {
        Term::atom(blob_literal(bytes), Kind::Bytea)
    }

    /// A column of a type.
    pub(super) fn column(attribute: &str, pg_type: &PgType) -> Self {
        let int = |min: i64, max: i64, is_bigint| Kind::Int { min, max, is_bigint };
        let (kind, affinity) = match pg_type {
            PgType::Boolean => (Kind::Bool, Affinity::Numeric),
            PgType::SmallInt => (int(i16::MIN.into(), i16::MAX.into(), false), Affinity::Numeric),
            PgType::Integer => (int(i32::MIN.into(), i32::MAX.into(), false), Affinity::Numeric),
            PgType::BigInt => (Kind::BIGINT, Affinity::Numeric),
            PgType::DoublePrecision => (Kind::Float, Affinity::Numeric),
            PgType::Numeric { .. } => (Kind::Numeric, Affinity::Numeric),
            PgType::Text | PgType::Varchar(_) | PgType::Citext => (Kind::Text, Affinity::Text),
            PgType::Bytea => (Kind::Bytea, Affinity::None),
            // Their canonical text sorts as they do.
            PgType::Date | PgType::Time(_) | PgType::Timestamp(_) | PgType::TimestampTz(_) => {
                (Kind::Opaque(pg_type.clone(), Comparable::Order), Affinity::None)
            }
            PgType::Uuid | PgType::Enum { .. } => {
                (Kind::Opaque(pg_type.clone(), Comparable::Equality), Affinity::None)
            }
            // real has fewer digits than the REAL it was made from; char(n) and the rest have rules of their
            // own. A type is compared once somebody has said how.
            _ => (Kind::Opaque(pg_type.clone(), Comparable::Never), Affinity::None),
        };
        let sql = match pg_type {
            // citext would compare without case in any language; SQLite's rule is the collation's.
            PgType::Citext => format!("{attribute}::text"),
            _ => attribute.to_owned(),
        };
        Term { affinity, ..Term::atom(sql, kind) }
    }

    pub(super) fn with_affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = affinity;
        self
    }

    pub(super) fn with_collation(mut self, name: &str, is_explicit: bool) -> Self {
        self.collation = Some(Collation { name: CollationName::parse(name), is_explicit });
        self
    }

    pub(super) fn never_false(mut self, never_false: bool) -> Self {
        self.never_false = never_false;
        self
    }

    /// The value of an expression that has neither affinity nor collation of its own, such as a function's
    /// argument.
    pub(super) fn plain(mut self) -> Self {
        self.affinity = Affinity::None;
        self.collation = None;
        self
    }

    /// The text as an operand.
    pub(super) fn operand(&self) -> String {
        if self.is_atom { self.sql.clone() } else { format!("({})", self.sql) }
    }

    /// The text cast to a type.
    pub(super) fn cast(&self, pg_type: &str) -> String {
        format!("{}::{pg_type}", self.operand())
    }

    /// A condition: what SQLite takes for true is a number that is not zero.
    pub(super) fn truth(self) -> Result<Self, NotCarried> {
        match (&self.kind, &self.literal) {
            (Kind::Bool, _) => Ok(self),
            (Kind::Null, _) => Ok(Term::atom("NULL::boolean", Kind::Bool).never_false(true)),
            (Kind::Int { .. }, Some(Literal::Integer(value))) => Ok(Term::boolean(*value != 0)),
            (Kind::Int { .. } | Kind::Wide | Kind::Float | Kind::Numeric, _) => {
                Ok(Term::condition(format!("{} <> 0", self.operand())))
            }
            (kind, _) => {
                Err(NotCarried::new(format!("a value of type {} is used as a condition", kind.name())))
            }
        }
    }

    /// The number that SQLite computes with where PostgreSQL has a boolean.
    pub(super) fn into_number(self) -> Self {
        match (&self.kind, &self.literal) {
            (Kind::Bool, Some(Literal::Integer(value))) => Term::integer(*value),
            (Kind::Bool, _) => {
                let kind = Kind::Int { min: 0, max: 1, is_bigint: false };
                Term { affinity: self.affinity, ..Term::atom(self.cast("integer"), kind) }
            }
            _ => self,
        }
    }

    /// The text that SQLite makes of the value where a text is needed.
    pub(super) fn to_text(&self) -> Result<Self, NotCarried> {
        match (&self.kind, &self.literal) {
            (Kind::Text | Kind::Null, _) => Ok(self.clone()),
            (Kind::Int { .. }, Some(Literal::Integer(value))) => Term::text(&value.to_string()),
            (Kind::Int { .. }, _) => Ok(Term::atom(self.cast("text"), Kind::Text)),
            (Kind::Bool, _) => self.clone().into_number().to_text(),
            (kind, _) => Err(NotCarried::new(format!("a value of type {} is used as text", kind.name()))),
        }
    }

    /// The same term, unless it has grown too long.
    pub(super) fn bounded(self) -> Result<Self, NotCarried> {
        if self.sql.len() > LONGEST {
            return Err(NotCarried::new("the expression becomes too long"));
        }
        Ok(self)
    }
}

/// A string constant. Backslashes stand for themselves: `standard_conforming_strings` is on since PostgreSQL
/// 9.1 and is a setting of the session that creates, not of those that use.
pub(super) fn quoted(text: &str) -> Result<String, NotCarried> {
    if text.contains('\0') {
        return Err(NotCarried::new("a NUL character has no PostgreSQL form"));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

pub(super) fn blob_literal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut sql = String::with_capacity(bytes.len() * 2 + 12);
    sql.push_str("'\\x");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("'::bytea");
    sql
}
