//! What is a SQLite expression in PostgreSQL: the DEFAULTs, CHECKs, generated columns, index expressions and
//! predicates of a schema?
//!
//! The rule: a translation means the same for every value that the PostgreSQL columns can hold, else it is
//! [`NotCarried`] with a reason. SQLite decides by the types of values and by affinity, PostgreSQL by the
//! types of columns; so a comparison is carried only where both sides are of one family. Where the two differ
//! in an operator (division by zero, case folding, the order of texts), the translation says it in full.
//!
//! Known limits, on purpose:
//!
//! - Integer sums and products that need more than 64 bits are exact here, where SQLite goes on in floating
//!   point.
//! - Two dates or two times are compared as such, which is the order of SQLite's texts only while all are
//!   written in one format.
//! - Only functions and operators of `pg_catalog` are used; outside a DEFAULT only immutable ones.

mod assignment;
mod boolean;
mod comparison;
mod default;
mod function;
mod instant;
mod literal;
mod pattern;
mod term;
mod translate;

use std::fmt;

use crate::grammar::{self, CheckSql, Expr, TableSql};
use aliaport_rows::pg_type::PgType;
use translate::Translator;

/// The columns that an expression can name.
pub trait Scope {
    /// A SQLite column name (to be compared without ASCII case, as SQLite does) to the quoted PostgreSQL
    /// attribute and its type. `None` where there is no such column or where the expression must not use it:
    /// a generated column in another generated column's expression.
    fn column(&self, name: &str) -> Option<(String, PgType)>;

    /// The column's declared SQLite collation, where it is not BINARY: NOCASE, RTRIM or one of the
    /// application's own.
    fn collation(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// Why an expression has no PostgreSQL form. `Display` is one lower-case sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NotCarried {
    /// The reason, for instance `function "strftime" has no PostgreSQL form here`.
    pub reason: String,
}

impl NotCarried {
    fn new(reason: impl Into<String>) -> Self {
        NotCarried { reason: reason.into() }
    }
}

impl fmt::Display for NotCarried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NotCarried {}

/// A DEFAULT as `PRAGMA table_xinfo` gives it, for a column of a type; `None` for `DEFAULT NULL`.
///
/// What comes back stands after `DEFAULT` as it is.
///
/// # Errors
///
/// A default that is no value of the type, or an expression without a PostgreSQL form.
pub fn default(text: &str, pg_type: &PgType) -> Result<Option<String>, NotCarried> {
    let expr = grammar::expression(text).map_err(|error| NotCarried::new(error.to_string()))?;
    default::translated(&expr, pg_type)
}

/// A CHECK's expression, to stand between parentheses. `true` where it cannot be false of any value that the
/// columns can hold (`flag IN (0, 1)` of a boolean, `json_valid(data)` of a jsonb): such a CHECK need not be
/// made.
///
/// # Errors
///
/// An expression without a PostgreSQL form.
pub fn check(expr: &Expr, scope: &dyn Scope) -> Result<String, NotCarried> {
    let term = Translator { scope, is_default: false }.condition(expr)?;
    Ok(if term.never_false { "true".to_owned() } else { term.sql })
}

/// A generated column's expression, to stand between parentheses.
///
/// # Errors
///
/// An expression without a PostgreSQL form, or of another type than the column's.
pub fn generated(expr: &Expr, scope: &dyn Scope, pg_type: &PgType) -> Result<String, NotCarried> {
    assignment::assigned(Translator { scope, is_default: false }.translate(expr)?, pg_type)
}

/// An index expression, with parentheses around it. A plain column is the caller's, and so is the term's
/// collation.
///
/// # Errors
///
/// An expression without a PostgreSQL form.
pub fn index_term(expr: &Expr, scope: &dyn Scope) -> Result<String, NotCarried> {
    let term = Translator { scope, is_default: false }.translate(expr)?;
    if matches!(term.kind, term::Kind::Null) || term.literal.is_some() {
        return Err(NotCarried::new("a constant in an index has no PostgreSQL form here"));
    }
    Ok(format!("({})", term.sql))
}

/// A partial index's predicate, to stand after WHERE.
///
/// # Errors
///
/// An expression without a PostgreSQL form.
pub fn predicate(expr: &Expr, scope: &dyn Scope) -> Result<String, NotCarried> {
    Ok(Translator { scope, is_default: false }.condition(expr)?.sql)
}

/// The columns of which a CHECK says exactly that they hold 0, 1 or NULL, as the CHECK writes their names. An
/// integer column of these becomes boolean, and the CHECK need not be made.
#[must_use]
pub fn boolean_columns(table: &TableSql) -> Vec<String> {
    table.checks.iter().filter_map(is_boolean_check).collect()
}

/// The column of which a CHECK says exactly that it holds 0, 1 or NULL: `c IN (0, 1)`, `c = 0 OR c = 1`,
/// either with `c IS NULL OR`.
#[must_use]
pub fn is_boolean_check(check: &CheckSql) -> Option<String> {
    boolean::column(check)
}

/// The column of which a CHECK says exactly that it holds valid JSON or NULL: `json_valid(c)`, with or
/// without `c IS NULL OR` (Django's JSONField, whose declared type is `text`). As a json or jsonb column it
/// needs no CHECK.
#[must_use]
pub fn is_json_check(check: &CheckSql) -> Option<String> {
    let argument = |expr: &Expr| match expr {
        Expr::Call(name, arguments) if name == "json_valid" => match arguments.as_slice() {
            [Expr::Column(column, _)] => Some(column.clone()),
            _ => None,
        },
        _ => None,
    };
    let is_null = |expr: &Expr, column: &str| match expr {
        Expr::IsNull(inner) => matches!(&**inner, Expr::Column(name, _) if name.eq_ignore_ascii_case(column)),
        _ => false,
    };
    match &check.expr {
        Expr::Or(operands) => {
            let column = operands.iter().find_map(argument)?;
            let rest = || operands.iter().filter(|o| argument(o).is_none());
            (rest().count() + 1 == operands.len() && rest().all(|o| is_null(o, &column))).then_some(column)
        }
        expr => argument(expr),
    }
}

#[cfg(test)]
mod tests;
