//! Comparisons: what SQLite's affinities and collations make of the two sides
//! (<https://sqlite.org/datatype3.html#comparison_expressions>).
//!
//! A comparison is carried only where both sides end up in one family of values. Between families SQLite
//! compares storage classes, which PostgreSQL has not.

use super::literal::{significant_digits, text_as_number};
use super::term::{Affinity, CollationName, Comparable, Kind, Literal, Term, quoted};
use super::translate::Translator;
use super::{NotCarried, instant};
use crate::grammar::{BinaryOp, Expr, Quoting};
use aliaport_rows::pg_type::PgType;

/// Integers up to here are exact in a double.
const EXACT_IN_DOUBLE: i64 = 1 << 53;

/// A comparison as a condition.
pub(super) fn compare(op: BinaryOp, left: &Term, right: &Term) -> Result<Term, NotCarried> {
    let (symbol, is_order) = match op {
        BinaryOp::Eq => ("=", false),
        BinaryOp::Ne => ("<>", false),
        BinaryOp::Lt => ("<", true),
        BinaryOp::Le => ("<=", true),
        BinaryOp::Gt => (">", true),
        BinaryOp::Ge => (">=", true),
        BinaryOp::Is => ("IS NOT DISTINCT FROM", false),
        BinaryOp::IsNot => ("IS DISTINCT FROM", false),
        _ => return Err(NotCarried::new("this operator has no PostgreSQL form here")),
    };
    let (left_sql, right_sql) = pair(is_order, left, right)?;
    let is_one = |t: &Term| t.literal == Some(Literal::Integer(1));
    let never_false =
        op == BinaryOp::Eq && ((left.never_false && is_one(right)) || (right.never_false && is_one(left)));
    Ok(Term::condition(format!("{left_sql} {symbol} {right_sql}")).never_false(never_false))
}

/// `value IN (list)`.
pub(super) fn within(translator: Translator<'_>, value: &Expr, list: &[Expr]) -> Result<Term, NotCarried> {
    if let Some(term) = type_name_within(translator, value, list)? {
        return Ok(term);
    }
    let value = translator.translate(value)?;
    if list.is_empty() {
        // False even of NULL, unlike any comparison.
        return Ok(Term::boolean(false));
    }
    let mut pairs = Vec::with_capacity(list.len());
    let mut literals = Vec::with_capacity(list.len());
    for item in list {
        // "x IN (y)" is "x = +y": the item's own affinity and collation do not count.
        let item = translator.translate(item)?.plain();
        if let (Kind::Opaque(PgType::Enum { labels, .. }, _), Some(Literal::Text(text))) =
            (&value.kind, &item.literal)
            && !labels.iter().any(|(label, _)| label == text)
        {
            continue;
        }
        literals.extend(item.literal.clone());
        pairs.push(pair(false, &value, &item)?);
    }
    let Some((first, _)) = pairs.first() else {
        return Err(NotCarried::new("no value of the list is a label of the enum type"));
    };
    let all = match &value.kind {
        Kind::Bool => [0, 1].iter().all(|n| literals.contains(&Literal::Integer(*n))),
        Kind::Opaque(PgType::Enum { labels, .. }, _) => {
            labels.iter().all(|(label, _)| literals.contains(&Literal::Text(label.clone())))
        }
        _ => false,
    };
    let term = if pairs.iter().all(|(left, _)| left == first) {
        let items: Vec<&str> = pairs.iter().map(|(_, right)| right.as_str()).collect();
        Term::condition(format!("{first} IN ({})", items.join(", ")))
    } else {
        let items: Vec<String> = pairs.iter().map(|(left, right)| format!("({left} = {right})")).collect();
        Term::condition(items.join(" OR "))
    };
    Ok(term.never_false(all))
}

/// The two operands, ready to stand around a comparison operator of PostgreSQL.
fn pair(is_order: bool, left: &Term, right: &Term) -> Result<(String, String), NotCarried> {
    if left.kind == Kind::Null || right.kind == Kind::Null {
        if [left, right].iter().any(|t| matches!(t.kind, Kind::Opaque(_, Comparable::Never))) {
            return Err(apart(left, right));
        }
        return Ok((left.operand(), right.operand()));
    }
    let collation = collation(left, right);
    let (left, right) = (converted(left, right)?, converted(right, left)?);
    match (&left.kind, &right.kind) {
        (Kind::Text, Kind::Text) => texts(is_order, &left, &right, &collation),
        (Kind::Bytea, Kind::Bytea) => Ok((left.operand(), right.operand())),
        (Kind::Opaque(a, comparable), Kind::Opaque(b, _)) if same_type(a, b) => {
            match (comparable, &collation) {
                (Comparable::Order, CollationName::Binary) => Ok((left.operand(), right.operand())),
                (Comparable::Equality, CollationName::Binary) if !is_order => {
                    Ok((left.operand(), right.operand()))
                }
                _ => Err(apart(&left, &right)),
            }
        }
        (Kind::Opaque(pg_type, _), Kind::Text) if collation == CollationName::Binary => {
            let literal = opaque_literal(is_order, pg_type, &right).ok_or_else(|| apart(&left, &right))?;
            Ok((left.operand(), literal?))
        }
        (Kind::Text, Kind::Opaque(pg_type, _)) if collation == CollationName::Binary => {
            let literal = opaque_literal(is_order, pg_type, &left).ok_or_else(|| apart(&left, &right))?;
            Ok((literal?, right.operand()))
        }
        (a, b) if a.is_number() && b.is_number() => numbers(left, right),
        _ => Err(apart(&left, &right)),
    }
}

fn apart(left: &Term, right: &Term) -> NotCarried {
    let message = format!("comparing {} with {} differs in PostgreSQL", left.kind.name(), right.kind.name());
    NotCarried::new(message)
}

/// One type, whatever the modifier.
fn same_type(a: &PgType, b: &PgType) -> bool {
    match (a, b) {
        (PgType::Time(_), PgType::Time(_))
        | (PgType::Timestamp(_), PgType::Timestamp(_))
        | (PgType::TimestampTz(_), PgType::TimestampTz(_)) => true,
        _ => a == b,
    }
}

/// A text literal as a value of the other side's type, where its text and the value are one to one.
///
/// Timestamps are not: `2024-01-01 00:00:00` and `2024-01-01 00:00:00.000` are one instant and two texts.
fn opaque_literal(is_order: bool, pg_type: &PgType, term: &Term) -> Option<Result<String, NotCarried>> {
    let Some(Literal::Text(text)) = &term.literal else {
        return None;
    };
    match pg_type {
        PgType::Date if instant::is_date(text) => Some(Ok(format!("'{text}'::date"))),
        PgType::Enum { labels, .. } if !is_order && labels.iter().any(|(label, _)| label == text) => {
            Some(quoted(text))
        }
        _ => None,
    }
}

/// What `term` is after the affinity of the side it is compared to is applied to it.
fn converted(term: &Term, other: &Term) -> Result<Term, NotCarried> {
    match (other.affinity, term.affinity) {
        (Affinity::Numeric, Affinity::None | Affinity::Text) if term.kind == Kind::Text => {
            if let Some(Literal::Text(text)) = &term.literal
                && let Some(number) = text_as_number(text)
            {
                return match number {
                    Literal::Integer(value) => Ok(Term::integer(value)),
                    Literal::Real(value) => Term::real(value),
                    Literal::Text(_) => Ok(term.clone()),
                };
            }
            Ok(term.clone())
        }
        (Affinity::Text, Affinity::None) if term.kind.is_number() => term.to_text(),
        _ => Ok(term.clone()),
    }
}

fn numbers(left: Term, right: Term) -> Result<(String, String), NotCarried> {
    match (&left.kind, &right.kind) {
        (Kind::Bool, Kind::Bool) => Ok((left.operand(), right.operand())),
        (Kind::Bool, Kind::Int { .. }) => match boolean(&right) {
            Some(right) => Ok((left.operand(), right)),
            None => numbers(left.into_number(), right),
        },
        (Kind::Int { .. }, Kind::Bool) => match boolean(&left) {
            Some(left) => Ok((left, right.operand())),
            None => numbers(left, right.into_number()),
        },
        (Kind::Bool, _) => numbers(left.into_number(), right),
        (_, Kind::Bool) => numbers(left, right.into_number()),
        (Kind::Float, Kind::Float) => Ok((left.operand(), right.operand())),
        (Kind::Float, other) => match float_partner(&left, other) {
            true => Ok((left.operand(), right.operand())),
            false => Err(apart(&left, &right)),
        },
        (other, Kind::Float) => match float_partner(&right, other) {
            true => Ok((left.operand(), right.operand())),
            false => Err(apart(&left, &right)),
        },
        _ => Ok((left.operand(), right.operand())),
    }
}

/// The numbers 0 and 1 as booleans: they sort alike.
fn boolean(term: &Term) -> Option<String> {
    match term.literal {
        Some(Literal::Integer(0)) => Some("false".to_owned()),
        Some(Literal::Integer(1)) => Some("true".to_owned()),
        _ => None,
    }
}

/// NULL, a double, or an integer that a double holds exactly: values that may stand for one another.
pub(super) fn is_exact_in_double(term: &Term) -> bool {
    match &term.kind {
        Kind::Null | Kind::Bool | Kind::Float => true,
        kind @ Kind::Int { .. } => float_partner(&Term::atom("", Kind::Float), kind),
        _ => false,
    }
}

/// Whether a double (a literal or not) can be compared to a number of another kind without rounding either.
fn float_partner(float: &Term, other: &Kind) -> bool {
    let is_exact = |value: i64| value.unsigned_abs() <= EXACT_IN_DOUBLE.unsigned_abs();
    match (&float.literal, other) {
        // The literal is a numeric to PostgreSQL, and its shortest decimal lies between the same integers.
        (Some(Literal::Real(value)), Kind::Int { .. } | Kind::Wide | Kind::Numeric) => {
            value.abs() <= 9_007_199_254_740_992.0 && significant_digits(*value) <= 15
        }
        (_, Kind::Int { min, max, .. }) => is_exact(*min) && is_exact(*max),
        _ => false,
    }
}

/// The left operand's collation goes first, an explicit one before a column's.
fn collation(left: &Term, right: &Term) -> CollationName {
    let collations = [&left.collation, &right.collation];
    let present = || collations.iter().copied().flatten();
    let chosen = present().find(|c| c.is_explicit).or_else(|| present().next());
    chosen.map_or(CollationName::Binary, |c| c.name.clone())
}

fn texts(
    is_order: bool,
    left: &Term,
    right: &Term,
    collation: &CollationName,
) -> Result<(String, String), NotCarried> {
    match collation {
        // Any deterministic collation is equal where the bytes are; the order is that of the bytes only in
        // "C".
        CollationName::Binary if is_order => {
            Ok((format!("{} COLLATE \"C\"", left.operand()), right.operand()))
        }
        CollationName::Binary => Ok((left.operand(), right.operand())),
        CollationName::NoCase => Ok((folded(left)?, folded(right)?)),
        CollationName::RTrim => {
            let order = if is_order { " COLLATE \"C\"" } else { "" };
            Ok((format!("rtrim({}, ' '){order}", left.sql), format!("rtrim({}, ' ')", right.sql)))
        }
        CollationName::Other(name) => {
            Err(NotCarried::new(format!("collation \"{name}\" is the application's own")))
        }
    }
}

/// Folded as NOCASE does: ASCII only, which is what `lower` does in collation "C". The result keeps that
/// collation, so that its order is NOCASE's too.
pub(super) fn folded(term: &Term) -> Result<String, NotCarried> {
    match &term.literal {
        Some(Literal::Text(text)) => quoted(&text.to_ascii_lowercase()),
        _ => Ok(format!("lower({} COLLATE \"C\")", term.operand())),
    }
}

/// `typeof(x) = 'text'` and the like, where what the column can hold decides it.
///
/// A column of type text may also stand for SQLite values that were numbers, so that only a verdict that lets
/// rows pass is carried: a type that the column cannot hold at all is never turned into a condition that is
/// always false.
pub(super) fn of_type_names(
    translator: Translator<'_>,
    op: BinaryOp,
    left: &Expr,
    right: &Expr,
) -> Result<Option<Term>, NotCarried> {
    let is_positive = match op {
        BinaryOp::Eq | BinaryOp::Is => true,
        BinaryOp::Ne | BinaryOp::IsNot => false,
        _ => return Ok(None),
    };
    let (argument, name) = match (typeof_argument(left), typeof_argument(right)) {
        (Some(argument), None) => (argument, right),
        (None, Some(argument)) => (argument, left),
        _ => return Ok(None),
    };
    let Some(name) = string(translator, name) else {
        return Ok(None);
    };
    let verdict = typeof_verdict(translator, argument, &[name])?;
    match (is_positive, verdict) {
        (true, verdict) => Ok(Some(verdict.positive()?)),
        (false, Verdict::Outside(term)) => Ok(Some(term)),
        (false, _) => Err(NotCarried::new("function \"typeof\" has no PostgreSQL form here")),
    }
}

fn type_name_within(
    translator: Translator<'_>,
    value: &Expr,
    list: &[Expr],
) -> Result<Option<Term>, NotCarried> {
    let Some(argument) = typeof_argument(value) else {
        return Ok(None);
    };
    let names: Option<Vec<String>> = list.iter().map(|item| string(translator, item)).collect();
    match names {
        Some(names) => typeof_verdict(translator, argument, &names)?.positive().map(Some),
        None => Ok(None),
    }
}

fn typeof_argument(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Call(name, arguments) if name == "typeof" => match arguments.as_slice() {
            [argument] => Some(argument),
            _ => None,
        },
        _ => None,
    }
}

fn string(translator: Translator<'_>, expr: &Expr) -> Option<String> {
    match expr {
        Expr::Text(text) => Some(text.clone()),
        Expr::Column(name, Quoting::Double) if translator.scope.column(name).is_none() => Some(name.clone()),
        _ => None,
    }
}

/// Whether what an expression can be is inside or outside a list of type names.
enum Verdict {
    /// All of it is named: the condition that says so.
    Inside(Term),
    /// Nothing of it is named: the condition that says so.
    Outside(Term),
    /// Some is and some is not.
    Open,
}

impl Verdict {
    fn positive(self) -> Result<Term, NotCarried> {
        match self {
            Verdict::Inside(term) => Ok(term),
            _ => Err(NotCarried::new("function \"typeof\" has no PostgreSQL form here")),
        }
    }
}

fn typeof_verdict(
    translator: Translator<'_>,
    argument: &Expr,
    names: &[String],
) -> Result<Verdict, NotCarried> {
    let term = translator.translate(argument)?;
    let possible: &[&str] = match &term.kind {
        Kind::Null => &[],
        Kind::Bool | Kind::Int { .. } => &["integer"],
        Kind::Text => &["text"],
        Kind::Bytea => &["blob"],
        Kind::Wide | Kind::Float | Kind::Numeric => &["integer", "real"],
        Kind::Opaque(..) => &["integer", "real", "text", "blob"],
    };
    let is_named = |name: &&str| names.iter().any(|n| n == name);
    let names_null = names.iter().any(|n| n == "null");
    let operand = term.operand();
    Ok(if possible.iter().all(is_named) {
        Verdict::Inside(if names_null {
            Term::boolean(true)
        } else {
            Term::condition(format!("{operand} IS NOT NULL"))
        })
    } else if !possible.iter().any(is_named) {
        Verdict::Outside(if names_null {
            Term::condition(format!("{operand} IS NOT NULL"))
        } else {
            Term::boolean(true)
        })
    } else {
        Verdict::Open
    })
}
