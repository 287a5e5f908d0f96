//! Which CHECKs say that a column holds 0 or 1, which makes an integer column a boolean.

use crate::grammar::{BinaryOp, CheckSql, Expr, Quoting};

/// The column of which the CHECK says exactly that it is 0, 1 or NULL.
pub(super) fn column(check: &CheckSql) -> Option<String> {
    two_valued_column(&check.expr)
}

fn two_valued_column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::In { value, is_not: false, list } => {
            let column = name(value)?;
            let numbers: Option<Vec<i64>> = list.iter().map(literal_number).collect();
            is_both(&numbers?).then_some(column)
        }
        Expr::Or(operands) => {
            // A NULL passes any CHECK, so that "c IS NULL OR" adds nothing.
            let (nulls, others): (Vec<&Expr>, Vec<&Expr>) =
                operands.iter().partition(|o| matches!(o, Expr::IsNull(_)));
            let (column, is_boolean) = match others.as_slice() {
                [only] => (two_valued_column(only)?, true),
                [first, ..] => {
                    let column = equality(first)?.0;
                    let pairs: Option<Vec<(String, i64)>> = others.iter().map(|o| equality(o)).collect();
                    let pairs = pairs?;
                    let numbers: Vec<i64> = pairs.iter().map(|(_, number)| *number).collect();
                    let is_one_column = pairs.iter().all(|(other, _)| other.eq_ignore_ascii_case(&column));
                    (column, is_one_column && is_both(&numbers))
                }
                [] => return None,
            };
            let is_same = |o: &&Expr| match o {
                Expr::IsNull(inner) => name(inner).is_some_and(|n| n.eq_ignore_ascii_case(&column)),
                _ => false,
            };
            (is_boolean && nulls.iter().all(is_same)).then_some(column)
        }
        _ => None,
    }
}

/// `c = 0`, either way round.
fn equality(expr: &Expr) -> Option<(String, i64)> {
    match expr {
        Expr::Binary(BinaryOp::Eq, left, right) => {
            name(left).zip(literal_number(right)).or_else(|| name(right).zip(literal_number(left)))
        }
        _ => None,
    }
}

fn name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(name, _) => Some(name.clone()),
        _ => None,
    }
}

fn literal_number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Integer(value) => Some(*value),
        Expr::Column(name, Quoting::Bare) if name.eq_ignore_ascii_case("true") => Some(1),
        Expr::Column(name, Quoting::Bare) if name.eq_ignore_ascii_case("false") => Some(0),
        _ => None,
    }
}

fn is_both(numbers: &[i64]) -> bool {
    numbers.contains(&0) && numbers.contains(&1) && numbers.iter().all(|n| (0..=1).contains(n))
}
