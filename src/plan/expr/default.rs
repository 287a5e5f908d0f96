//! DEFAULT clauses.

use super::assignment::assigned;
use super::term::Kind;
use super::translate::Translator;
use super::{NotCarried, Scope, instant, literal};
use crate::grammar::{BinaryOp, Expr, Quoting, UnaryOp};
use aliaport_rows::pg_type::PgType;

/// A DEFAULT sees no columns.
struct Nothing;

impl Scope for Nothing {
    fn column(&self, _: &str) -> Option<(String, PgType)> {
        None
    }
}

pub(super) fn translated(expr: &Expr, pg_type: &PgType) -> Result<Option<String>, NotCarried> {
    match expr {
        Expr::Null => return Ok(None),
        Expr::Integer(value) => return literal::integer(*value, pg_type),
        Expr::Real(value) => return literal::real(*value, pg_type),
        Expr::Text(value) => return literal::text(value, pg_type),
        Expr::Blob(bytes) => return literal::blob(bytes, pg_type),
        // DEFAULT takes a name without quotes or in any quotes for a string, and TRUE and FALSE for numbers.
        Expr::Column(name, Quoting::Bare) if name.eq_ignore_ascii_case("true") => {
            return literal::integer(1, pg_type);
        }
        Expr::Column(name, Quoting::Bare) if name.eq_ignore_ascii_case("false") => {
            return literal::integer(0, pg_type);
        }
        Expr::Column(name, _) => return literal::text(name, pg_type),
        Expr::Unary(UnaryOp::Plus, inner) => return translated(inner, pg_type),
        _ => {}
    }
    computed(expr, pg_type).map(Some)
}

fn computed(expr: &Expr, pg_type: &PgType) -> Result<String, NotCarried> {
    // DEFAULT takes "b_expr" of PostgreSQL's grammar, which has neither AT TIME ZONE nor AND.
    let parenthesised = |sql: String| if sql == "now()" { sql } else { format!("({sql})") };
    if let Some(moment) = instant::moment(without_cast(expr)) {
        return moment?.of_type(pg_type).map(parenthesised);
    }
    let shape = shape_of(expr);
    if shape.as_deref() == Some("????????-????-4???-v???-????????????") {
        match pg_type {
            PgType::Uuid => return Ok("gen_random_uuid()".to_owned()),
            PgType::Text | PgType::Varchar(None | Some(36..)) if is_lower(expr) => {
                return Ok("gen_random_uuid()::text".to_owned());
            }
            _ => {}
        }
    }
    let term = Translator { scope: &Nothing, is_default: true }.translate(expr)?;
    // A default that can leave the column's range would make INSERT fail where SQLite's does not.
    let fits = match (pg_type, &term.kind) {
        (PgType::SmallInt, Kind::Int { min, max, .. }) => {
            i16::try_from(*min).is_ok() && i16::try_from(*max).is_ok()
        }
        (PgType::Integer, Kind::Int { min, max, .. }) => {
            i32::try_from(*min).is_ok() && i32::try_from(*max).is_ok()
        }
        (PgType::SmallInt | PgType::Integer | PgType::BigInt, Kind::Wide) => false,
        (PgType::Numeric { precision_scale: Some(_) }, Kind::Bool) => true,
        (PgType::Numeric { precision_scale: Some(_) }, _) => false,
        (PgType::Varchar(Some(length)), Kind::Text) => {
            shape.is_some_and(|s| u32::try_from(s.chars().count()).is_ok_and(|n| n <= *length))
        }
        (PgType::Varchar(Some(_)), _) => false,
        _ => true,
    };
    if !fits {
        return Err(NotCarried::new(format!("the expression may give a value that {pg_type} cannot hold")));
    }
    assigned(term, pg_type).map(parenthesised)
}

/// `CAST(strftime('%s', 'now') AS INTEGER)` is Unix seconds, whatever type the column has.
fn without_cast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(inner, to) if to.to_ascii_uppercase().contains("INT") => match instant::moment(inner) {
            Some(Ok(moment)) if moment.form == instant::Form::Unix => inner,
            _ => expr,
        },
        _ => expr,
    }
}

/// The text that an expression makes, with `?` for a random hexadecimal digit and `v` for one of 8, 9, a and
/// b: what is needed to know a text's length, and the idiom that makes a version 4 UUID in SQLite.
fn shape_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Text(text) if text.len() <= 100 && !text.contains(['?', 'v']) => Some(text.clone()),
        Expr::Concat(operands) if operands.len() <= 20 => operands.iter().map(shape_of).collect(),
        Expr::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("lower", [inner]) => shape_of(inner),
            ("hex", [inner]) => Some("??".repeat(random_bytes(inner)?)),
            ("substr" | "substring", [Expr::Text(text), start, Expr::Integer(1)])
                if text.eq_ignore_ascii_case("89ab") && is_one_of_four(start) =>
            {
                Some("v".to_owned())
            }
            ("substr" | "substring", [text, Expr::Integer(start), rest @ ..]) => {
                let shape = shape_of(text)?;
                let tail = shape.get(usize::try_from(start.checked_sub(1)?).ok()?..)?;
                match rest {
                    [] => Some(tail.to_owned()),
                    [Expr::Integer(length)] => tail.get(..usize::try_from(*length).ok()?).map(str::to_owned),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// All of the expression is folded to lower case, whichever way it is put together.
fn is_lower(expr: &Expr) -> bool {
    match expr {
        Expr::Text(text) => *text == text.to_ascii_lowercase(),
        Expr::Concat(operands) => operands.iter().all(is_lower),
        Expr::Call(name, _) if name == "lower" => true,
        Expr::Call(name, arguments) if name == "substr" || name == "substring" => {
            arguments.first().is_some_and(is_lower)
        }
        _ => false,
    }
}

fn random_bytes(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Call(name, arguments) if name == "randomblob" => match arguments.as_slice() {
            [Expr::Integer(count @ 1..=64)] => usize::try_from(*count).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// `abs(random()) % 4 + 1`, either way round.
fn is_one_of_four(expr: &Expr) -> bool {
    let Expr::Binary(BinaryOp::Add, left, right) = expr else {
        return false;
    };
    let is_remainder = |e: &Expr| match e {
        Expr::Binary(BinaryOp::Rem, dividend, divisor) => {
            **divisor == Expr::Integer(4)
                && **dividend
                    == Expr::Call("abs".to_owned(), vec![Expr::Call("random".to_owned(), Vec::new())])
        }
        _ => false,
    };
    (**left == Expr::Integer(1) && is_remainder(right)) || (**right == Expr::Integer(1) && is_remainder(left))
}
