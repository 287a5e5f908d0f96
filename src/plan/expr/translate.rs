//! From SQLite's expression tree to a PostgreSQL [`Term`], operator by operator.

use super::term::{Affinity, Kind, Literal, Term};
use super::{NotCarried, Scope, comparison, function, pattern};
use crate::grammar::{BinaryOp, Expr, Quoting, UnaryOp};

/// The longest chain of `||`, which PostgreSQL's parser makes as deep a tree as it is long.
const LONGEST_CONCATENATION: usize = 200;

/// What an expression may use.
#[derive(Clone, Copy)]
pub(super) struct Translator<'a> {
    /// The columns it can name.
    pub scope: &'a dyn Scope,
    /// A DEFAULT is computed once for a new row: it may ask for the time and for random bytes, and since it
    /// reads no column, its floating-point arithmetic cannot leave the range.
    pub is_default: bool,
}

impl Translator<'_> {
    pub(super) fn translate(&self, expr: &Expr) -> Result<Term, NotCarried> {
        self.piece(expr)?.bounded()
    }

    pub(super) fn condition(&self, expr: &Expr) -> Result<Term, NotCarried> {
        self.translate(expr)?.truth()
    }

    // The recursion goes through here, so that nothing is formatted here: a debug build would hold all
    // temporaries of all arms on the stack at each level.
    fn piece(&self, expr: &Expr) -> Result<Term, NotCarried> {
        match expr {
            Expr::Null => Ok(Term::null()),
            Expr::Integer(value) => Ok(Term::integer(*value)),
            Expr::Real(value) => Term::real(*value),
            Expr::Text(value) => Term::text(value),
            Expr::Blob(bytes) => Ok(Term::blob(bytes)),
            Expr::CurrentDate | Expr::CurrentTime | Expr::CurrentTimestamp => function::time(*self, expr),
            Expr::Column(name, quoting) => self.column(name, *quoting),
            Expr::Unary(op, operand) => self.unary(*op, operand),
            Expr::Binary(op, left, right) => self.binary(*op, left, right),
            Expr::And(operands) => self.chain(operands, " AND "),
            Expr::Or(operands) => self.chain(operands, " OR "),
            Expr::Concat(operands) => self.concat(operands),
            Expr::IsNull(operand) => Ok(null_test(&self.translate(operand)?, "IS NULL")),
            Expr::IsNotNull(operand) => Ok(null_test(&self.translate(operand)?, "IS NOT NULL")),
            Expr::Between { value, is_not, low, high } => {
                Ok(not_if(*is_not, self.between(value, low, high)?))
            }
            Expr::In { value, is_not, list } => Ok(not_if(*is_not, comparison::within(*self, value, list)?)),
            Expr::Pattern { value, is_not, op, pattern, escape } => {
                let value = self.translate(value)?;
                Ok(not_if(*is_not, pattern::matches(&value, *op, pattern, escape.as_deref())?))
            }
            Expr::Case { base, branches, otherwise } => {
                self.case(base.as_deref(), branches, otherwise.as_deref())
            }
            Expr::Cast(operand, type_name) => cast(self.translate(operand)?, type_name, self.is_default),
            Expr::Collate(operand, collation) => Ok(self.translate(operand)?.with_collation(collation, true)),
            Expr::Call(name, arguments) => function::call(*self, name, arguments),
            Expr::Unsupported(what) => Err(unsupported(what)),
        }
    }

    fn between(&self, value: &Expr, low: &Expr, high: &Expr) -> Result<Term, NotCarried> {
        let value = self.translate(value)?;
        let low = comparison::compare(BinaryOp::Ge, &value, &self.translate(low)?)?;
        let high = comparison::compare(BinaryOp::Le, &value, &self.translate(high)?)?;
        Ok(Term::condition(format!("{} AND {}", low.operand(), high.operand())))
    }

    fn column(&self, name: &str, quoting: Quoting) -> Result<Term, NotCarried> {
        if let Some((attribute, pg_type)) = self.scope.column(name) {
            let term = Term::column(&attribute, &pg_type);
            // A column's BINARY counts too: on the left it outranks the right side's collation.
            let collation = self.scope.collation(name).unwrap_or_else(|| "BINARY".to_owned());
            return Ok(term.with_collation(&collation, false));
        }
        match quoting {
            Quoting::Double => Term::text(name),
            Quoting::Bare if name.eq_ignore_ascii_case("true") => Ok(Term::integer(1)),
            Quoting::Bare if name.eq_ignore_ascii_case("false") => Ok(Term::integer(0)),
            Quoting::Bare | Quoting::Certain => {
                Err(NotCarried::new(format!("column \"{name}\" has no PostgreSQL form here")))
            }
        }
    }

    /// True where the expression is the keyword TRUE or FALSE and not a column of that name.
    fn truth_keyword(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Column(name, Quoting::Bare) if self.scope.column(name).is_none() => {
                match name.to_ascii_lowercase().as_str() {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn unary(&self, op: UnaryOp, operand: &Expr) -> Result<Term, NotCarried> {
        match op {
            UnaryOp::Not => Ok(not(&self.condition(operand)?)),
            UnaryOp::Plus => Ok(self.translate(operand)?.with_affinity(Affinity::None)),
            UnaryOp::Minus => negated(self.translate(operand)?.into_number()),
            UnaryOp::BitNot => complement(self.translate(operand)?),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Term, NotCarried> {
        match op {
            BinaryOp::Is | BinaryOp::IsNot => {
                let test = match (self.truth_keyword(right), op) {
                    (None, _) => return self.comparison(op, left, right),
                    (Some(true), BinaryOp::Is) => "IS TRUE",
                    (Some(false), BinaryOp::Is) => "IS FALSE",
                    (Some(true), _) => "IS NOT TRUE",
                    (Some(false), _) => "IS NOT FALSE",
                };
                Ok(null_test(&self.condition(left)?, test))
            }
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                self.comparison(op, left, right)
            }
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Rem
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => {
                let left = self.translate(left)?.into_number();
                let right = self.translate(right)?.into_number();
                if self.is_default && (left.kind == Kind::Float || right.kind == Kind::Float) {
                    return float_arithmetic(op, &left, &right);
                }
                arithmetic(op, left, right)
            }
            BinaryOp::Arrow | BinaryOp::ArrowText => {
                Err(NotCarried::new("a JSON operator gives a value whose type depends on the document"))
            }
        }
    }

    fn comparison(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Term, NotCarried> {
        if let Some(term) = comparison::of_type_names(*self, op, left, right)? {
            return Ok(term);
        }
        comparison::compare(op, &self.translate(left)?, &self.translate(right)?)
    }

    fn chain(&self, operands: &[Expr], op: &str) -> Result<Term, NotCarried> {
        let operands: Vec<Term> = operands.iter().map(|o| self.condition(o)).collect::<Result<_, _>>()?;
        // Of a conjunction every operand has to be never false, of a disjunction one.
        let never_false = match op {
            " AND " => operands.iter().all(|o| o.never_false),
            _ => operands.iter().any(|o| o.never_false),
        };
        let sql: Vec<String> = operands.iter().map(Term::operand).collect();
        Ok(Term::condition(sql.join(op)).never_false(never_false))
    }

    fn concat(&self, operands: &[Expr]) -> Result<Term, NotCarried> {
        if operands.len() > LONGEST_CONCATENATION {
            return Err(NotCarried::new("the expression becomes too long"));
        }
        if operands.iter().any(function::has_collate) {
            return Err(NotCarried::new("COLLATE inside a concatenation has no PostgreSQL form here"));
        }
        let mut sql = Vec::with_capacity(operands.len());
        for operand in operands {
            let text = self.translate(operand)?.to_text()?;
            // Two NULL literals would leave PostgreSQL without a type.
            sql.push(if text.kind == Kind::Null { text.cast("text") } else { text.operand() });
        }
        Ok(Term::compound(sql.join(" || "), Kind::Text))
    }

    fn case(
        &self,
        base: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<Term, NotCarried> {
        let values = branches.iter().map(|(_, then)| then).chain(otherwise);
        if values.chain(base).any(function::has_collate) {
            return Err(NotCarried::new("COLLATE inside CASE has no PostgreSQL form here"));
        }
        let base = base.map(|base| self.translate(base)).transpose()?;
        let mut conditions = Vec::with_capacity(branches.len());
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (when, then) in branches {
            conditions.push(match &base {
                Some(base) => comparison::compare(BinaryOp::Eq, base, &self.translate(when)?)?,
                None => self.condition(when)?,
            });
            results.push(self.translate(then)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.translate(otherwise)?);
        }
        choice(&conditions, results)
    }
}

/// <https://sqlite.org/lang_expr.html#castexpr>
fn cast(operand: Term, type_name: &str, is_default: bool) -> Result<Term, NotCarried> {
    let collation = operand.collation.clone();
    let mut term = match (affinity_of(type_name), &operand.kind) {
        (_, Kind::Null) => operand.plain(),
        (CastTo::Text, _) => operand.to_text()?.with_affinity(Affinity::Text),
        (CastTo::Integer | CastTo::Numeric, Kind::Bool | Kind::Int { .. }) => {
            operand.into_number().with_affinity(Affinity::Numeric)
        }
        (CastTo::Integer, Kind::Float) if is_default => {
            let sql = format!("trunc({})::bigint", operand.cast("double precision"));
            Term::atom(sql, Kind::BIGINT).with_affinity(Affinity::Numeric)
        }
        (CastTo::Real, Kind::Float) => operand.with_affinity(Affinity::Numeric),
        (CastTo::Real, Kind::Bool | Kind::Int { .. }) => {
            Term::atom(operand.into_number().cast("double precision"), Kind::Float)
                .with_affinity(Affinity::Numeric)
        }
        (_, kind) => {
            let message = format!("CAST of {} to \"{type_name}\" has other rules in PostgreSQL", kind.name());
            return Err(NotCarried::new(message));
        }
    };
    // A CAST keeps its operand's collation.
    term.collation = collation;
    Ok(term)
}

/// CASE: as many results as conditions, or one more for ELSE.
pub(super) fn choice(conditions: &[Term], results: Vec<Term>) -> Result<Term, NotCarried> {
    let (results, kind) = unified(results)?;
    if kind == Kind::Null {
        return Ok(Term::null());
    }
    let mut results = results.into_iter();
    let mut sql = "CASE".to_owned();
    for condition in conditions {
        let then = results.next().map(|t| t.sql).unwrap_or_default();
        sql.push_str(&format!(" WHEN {} THEN {then}", condition.sql));
    }
    if let Some(otherwise) = results.next() {
        sql.push_str(&format!(" ELSE {}", otherwise.sql));
    }
    sql.push_str(" END");
    Ok(Term::atom(sql, kind))
}

/// What CAST converts to.
enum CastTo {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// <https://sqlite.org/datatype3.html#determination_of_column_affinity>
fn affinity_of(type_name: &str) -> CastTo {
    let name = type_name.to_ascii_uppercase();
    let has = |part: &str| name.contains(part);
    if has("INT") {
        CastTo::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        CastTo::Text
    } else if has("BLOB") || name.is_empty() {
        CastTo::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        CastTo::Real
    } else {
        CastTo::Numeric
    }
}

fn unsupported(what: &str) -> NotCarried {
    NotCarried::new(format!("{what} has no PostgreSQL form here"))
}

/// IS NULL, IS TRUE and the like.
fn null_test(operand: &Term, test: &str) -> Term {
    Term::condition(format!("{} {test}", operand.operand()))
}

fn not_if(is_not: bool, condition: Term) -> Term {
    if is_not { not(&condition) } else { condition }
}

/// NOT of a condition.
fn not(condition: &Term) -> Term {
    Term::condition(format!("NOT {}", condition.operand()))
}

/// Values that stand for one another (branches of CASE, arguments of COALESCE), with one kind for all.
pub(super) fn unified(terms: Vec<Term>) -> Result<(Vec<Term>, Kind), NotCarried> {
    let kinds: Vec<&Kind> = terms.iter().map(|t| &t.kind).filter(|k| **k != Kind::Null).collect();
    let Some(first) = kinds.first() else {
        return Ok((terms, Kind::Null));
    };
    let is_integer = |k: &&Kind| matches!(k, Kind::Bool | Kind::Int { .. } | Kind::Wide);
    let kind = if kinds.iter().all(|k| k == first) && !matches!(first, Kind::Int { .. }) {
        (*first).clone()
    } else if kinds.iter().all(is_integer) {
        let mut range = (i64::MAX, i64::MIN);
        let mut wide = false;
        let mut bigint = false;
        for kind in &kinds {
            match kind {
                Kind::Int { min, max, is_bigint } => {
                    range = (range.0.min(*min), range.1.max(*max));
                    bigint |= is_bigint;
                }
                Kind::Wide => wide = true,
                _ => range = (range.0.min(0), range.1.max(1)),
            }
        }
        if wide { Kind::Wide } else { Kind::Int { min: range.0, max: range.1, is_bigint: bigint } }
    } else if kinds.iter().all(|k| is_integer(k) || **k == Kind::Numeric) {
        Kind::Numeric
    } else if terms.iter().all(comparison::is_exact_in_double) {
        Kind::Float
    } else {
        let other = kinds.iter().find(|k| *k != first).unwrap_or(first);
        let message = format!("a value is either {} or {}", first.name(), other.name());
        return Err(NotCarried::new(message));
    };
    let terms = terms.into_iter().map(|t| if kind == Kind::Bool { t } else { t.into_number() });
    Ok((terms.collect(), kind))
}

fn complement(term: Term) -> Result<Term, NotCarried> {
    let term = term.into_number();
    match term.kind {
        Kind::Int { .. } => Ok(Term::compound(format!("~ {}", bigint(&term)), Kind::BIGINT)),
        _ => Err(no_arithmetic(&term.kind)),
    }
}

fn no_arithmetic(kind: &Kind) -> NotCarried {
    NotCarried::new(format!("arithmetic with {} differs in PostgreSQL", kind.name()))
}

/// The term as a 64-bit operand: PostgreSQL computes `integer + integer` in 32 bits.
pub(super) fn bigint(term: &Term) -> String {
    match term.kind {
        Kind::Int { is_bigint: true, .. } => term.operand(),
        _ => term.cast("bigint"),
    }
}

fn negated(term: Term) -> Result<Term, NotCarried> {
    match (&term.kind, &term.literal) {
        (_, Some(Literal::Integer(value))) if *value != i64::MIN => Ok(Term::integer(-*value)),
        (_, Some(Literal::Real(value))) => Term::real(-*value),
        (Kind::Int { min, max, .. }, _) if *min != i64::MIN => {
            let kind = Kind::Int { min: -*max, max: -*min, is_bigint: true };
            Ok(Term::compound(format!("- {}", bigint(&term)), kind))
        }
        (Kind::Int { .. } | Kind::Wide, _) => {
            Ok(Term::compound(format!("- {}", term.cast("numeric")), Kind::Wide))
        }
        (Kind::Float | Kind::Numeric, _) => Ok(Term::compound(format!("- {}", term.operand()), term.kind)),
        (Kind::Null, _) => Ok(Term::null()),
        (kind, _) => Err(no_arithmetic(kind)),
    }
}

/// Integer arithmetic.
///
/// SQLite computes in 64 bits and goes on in floating point where a sum, difference or product does not fit;
/// PostgreSQL raises an error there. Where the operands' ranges allow that, it is computed in `numeric`,
/// exactly. The two differ only beyond 64 bits, by SQLite's rounding.
fn arithmetic(op: BinaryOp, left: Term, right: Term) -> Result<Term, NotCarried> {
    if left.kind == Kind::Null || right.kind == Kind::Null {
        return Ok(Term::null());
    }
    let wide = matches!(op, BinaryOp::Add | BinaryOp::Sub);
    if wide && (left.kind == Kind::Wide || right.kind == Kind::Wide) {
        let symbol = if op == BinaryOp::Add { "+" } else { "-" };
        return match (&left.kind, &right.kind) {
            (Kind::Wide | Kind::Int { .. }, Kind::Wide | Kind::Int { .. }) => {
                Ok(Term::compound(format!("{} {symbol} {}", left.operand(), right.operand()), Kind::Wide))
            }
            (Kind::Wide, kind) | (kind, _) => Err(no_arithmetic(kind)),
        };
    }
    let (a, b) = match (&left.kind, &right.kind) {
        (Kind::Int { min: a, max: b, .. }, Kind::Int { min: c, max: d, .. }) => {
            ((i128::from(*a), i128::from(*b)), (i128::from(*c), i128::from(*d)))
        }
        (Kind::Int { .. }, kind) | (kind, _) => return Err(no_arithmetic(kind)),
    };
    let corners = |f: fn(i128, i128) -> i128| {
        let all = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
        (all.iter().copied().min().unwrap_or(0), all.iter().copied().max().unwrap_or(0))
    };
    let (symbol, range) = match op {
        BinaryOp::Add => ("+", corners(|x, y| x + y)),
        BinaryOp::Sub => ("-", corners(|x, y| x - y)),
        BinaryOp::Mul => ("*", corners(|x, y| x * y)),
        BinaryOp::Div => return division(&left, &right, a, b),
        BinaryOp::Rem => return Ok(remainder(&left, &right, a, b)),
        BinaryOp::BitAnd | BinaryOp::BitOr => {
            let symbol = if op == BinaryOp::BitAnd { "&" } else { "|" };
            let kind = if a.0 >= 0 && b.0 >= 0 {
                Kind::Int { min: 0, max: i64::MAX, is_bigint: true }
            } else {
                Kind::BIGINT
            };
            return Ok(Term::compound(format!("{} {symbol} {}", bigint(&left), bigint(&right)), kind));
        }
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => {
            // PostgreSQL takes the distance modulo 64.
            let Some(Literal::Integer(distance @ 0..=63)) = right.literal else {
                return Err(NotCarried::new("a shift by other than 0 to 63 bits differs in PostgreSQL"));
            };
            let symbol = if op == BinaryOp::ShiftLeft { "<<" } else { ">>" };
            return Ok(Term::compound(format!("{} {symbol} {distance}", bigint(&left)), Kind::BIGINT));
        }
        _ => return Err(NotCarried::new("this operator has no PostgreSQL form here")),
    };
    if let (Ok(min), Ok(max)) = (i64::try_from(range.0), i64::try_from(range.1)) {
        if left.literal.is_some() && right.literal.is_some() {
            return Ok(Term::integer(min));
        }
        let kind = Kind::Int { min, max, is_bigint: true };
        return Ok(Term::compound(format!("{} {symbol} {}", bigint(&left), bigint(&right)), kind));
    }
    Ok(Term::compound(format!("{} {symbol} {}", left.cast("numeric"), right.operand()), Kind::Wide))
}

/// Both round towards zero; x / 0 is NULL in SQLite.
fn division(left: &Term, right: &Term, a: (i128, i128), b: (i128, i128)) -> Result<Term, NotCarried> {
    if let Some(Literal::Integer(0)) = right.literal {
        return Ok(Term::null());
    }
    let largest = a.0.abs().max(a.1.abs());
    let can_overflow = a.0 == i128::from(i64::MIN) && b.0 <= -1 && b.1 >= -1;
    let divisor = nonzero(right, b);
    if can_overflow {
        return Ok(Term::atom(format!("div({}, {divisor})", left.cast("numeric")), Kind::Wide));
    }
    let bound = i64::try_from(largest).unwrap_or(i64::MAX);
    let min = if a.0 >= 0 && b.0 >= 0 { 0 } else { -bound };
    // Only without overflow, so that -bound is at most one short of the smallest quotient.
    let min = if min == -i64::MAX { i64::MIN } else { min };
    let kind = Kind::Int { min, max: bound, is_bigint: true };
    Ok(Term::compound(format!("{} / {divisor}", bigint(left)), kind))
}

/// The sign is the dividend's in both.
fn remainder(left: &Term, right: &Term, a: (i128, i128), b: (i128, i128)) -> Term {
    if let Some(Literal::Integer(0)) = right.literal {
        return Term::null();
    }
    let bound = (b.0.abs().max(b.1.abs()) - 1).max(0);
    let bound = i64::try_from(bound).unwrap_or(i64::MAX);
    let kind = Kind::Int {
        min: if a.0 >= 0 { 0 } else { -bound },
        max: if a.1 <= 0 { 0 } else { bound },
        is_bigint: true,
    };
    Term::compound(format!("{} % {}", bigint(left), nonzero(right, b)), kind)
}

/// A divisor that is NULL instead of zero.
fn nonzero(divisor: &Term, range: (i128, i128)) -> String {
    if range.0 > 0 || range.1 < 0 {
        return bigint(divisor);
    }
    format!("NULLIF({}, 0)", bigint(divisor))
}

fn float_arithmetic(op: BinaryOp, left: &Term, right: &Term) -> Result<Term, NotCarried> {
    let symbol = match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div if !matches!(right.literal, Some(Literal::Integer(0))) => "/",
        _ => return Err(no_arithmetic(&Kind::Float)),
    };
    for side in [left, right] {
        if !matches!(side.kind, Kind::Float | Kind::Int { .. }) {
            return Err(no_arithmetic(&side.kind));
        }
    }
    let sql = format!("{} {symbol} {}", left.cast("double precision"), right.cast("double precision"));
    Ok(Term::compound(sql, Kind::Float))
}
