//! DEFAULT clauses.

use super::assignment::assigned;
use super::translate::Translator;
use super::{NotCarried, Scope, instant, literal};
use crate::grammar::{BinaryOp, Expr, Quoting, UnaryOp};
use crate::pg_type::PgType;

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
    if is_random_uuid(expr) {
        match pg_type {
            PgType::Uuid => return Ok("gen_random_uuid()".to_owned()),
            PgType::Text if matches!(expr, Expr::Call(name, _) if name == "lower") => {
                return Ok("gen_random_uuid()::text".to_owned());
            }
            _ => {}
        }
    }
    let term = Translator { scope: &Nothing, is_default: true }.translate(expr)?;
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

/// The idiom that makes a version 4 UUID in SQLite: random hexadecimal digits between the fixed ones.
fn is_random_uuid(expr: &Expr) -> bool {
    let mut shape = String::new();
    shape_of(expr, &mut shape, 8).is_some() && shape == "????????-????-4???-v???-????????????"
}

/// The text that an expression makes, with `?` for a random hexadecimal digit and `v` for one of 8, 9, a and b.
fn shape_of(expr: &Expr, shape: &mut String, depth: u8) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match expr {
        Expr::Text(text) if text.len() <= 36 && !text.contains(['?', 'v']) => {
            shape.push_str(text);
            Some(())
        }
        Expr::Concat(operands) => operands.iter().try_for_each(|o| shape_of(o, shape, depth)),
        Expr::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("lower", [inner]) => shape_of(inner, shape, depth),
            ("hex", [inner]) => {
                let digits = usize::try_from(random_bytes(inner)?).ok()?.checked_mul(2)?;
                shape.push_str(&"?".repeat(digits));
                Some(())
            }
            ("substr" | "substring", [text, start, rest @ ..]) => match (text, start, rest) {
                (Expr::Text(text), start, [Expr::Integer(1)])
                    if text.eq_ignore_ascii_case("89ab") && is_one_of_four(start) =>
                {
                    shape.push('v');
                    Some(())
                }
                (text, Expr::Integer(start), rest) => {
                    let mut inner = String::new();
                    shape_of(text, &mut inner, depth)?;
                    let tail = inner.get(usize::try_from(start.checked_sub(1)?).ok()?..)?;
                    let tail = match rest {
                        [] => tail,
                        [Expr::Integer(length)] => tail.get(..usize::try_from(*length).ok()?)?,
                        _ => return None,
                    };
                    shape.push_str(tail);
                    Some(())
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn random_bytes(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Call(name, arguments) if name == "randomblob" => match arguments.as_slice() {
            [Expr::Integer(count @ 1..=16)] => Some(*count),
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
