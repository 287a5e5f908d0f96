//! An expression as a tree that owns its parts, with names and literals already unquoted.
//!
//! The tree is never deeper than [`DEEPEST`] levels, so whoever walks it may recurse.

use sqlite3_parser::ast::{self, LikeOperator, Literal, Name, Operator, Stmt, UnaryOperator};
use sqlite3_parser::lexer::sql::{Error, Parser};
use sqlite3_parser::{Bump, FallibleIterator};

use super::{GrammarError, line_and_column};

/// Levels of an expression that are read; what is below becomes [`Expr::Unsupported`]. Chains of AND, OR and
/// `||` are one level, however long.
pub const DEEPEST: usize = 60;

/// A SQLite expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `NULL`
    Null,
    /// An integer that fits 64 bits, hexadecimal and negative ones included.
    Integer(i64),
    /// Any other number; may be infinite (`9e999`).
    Real(f64),
    /// A string literal.
    Text(String),
    /// A blob literal.
    Blob(Vec<u8>),
    /// `CURRENT_DATE`
    CurrentDate,
    /// `CURRENT_TIME`
    CurrentTime,
    /// `CURRENT_TIMESTAMP`
    CurrentTimestamp,
    /// A column, or what SQLite makes of a name that is no column: see [`Quoting`].
    Column(String, Quoting),
    /// A sign, `~` or `NOT`.
    Unary(UnaryOp, Box<Expr>),
    /// A binary operator that is neither AND nor OR nor `||`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// Two or more operands of AND.
    And(Vec<Expr>),
    /// Two or more operands of OR.
    Or(Vec<Expr>),
    /// Two or more operands of `||`.
    Concat(Vec<Expr>),
    /// `IS NULL`, `ISNULL`
    IsNull(Box<Expr>),
    /// `IS NOT NULL`, `NOTNULL`, `NOT NULL`
    IsNotNull(Box<Expr>),
    /// `BETWEEN`
    Between {
        /// The value.
        value: Box<Expr>,
        /// `NOT BETWEEN`
        is_not: bool,
        /// The lower bound.
        low: Box<Expr>,
        /// The upper bound.
        high: Box<Expr>,
    },
    /// `IN` with a list.
    In {
        /// The value.
        value: Box<Expr>,
        /// `NOT IN`
        is_not: bool,
        /// The list, which may be empty in SQLite.
        list: Vec<Expr>,
    },
    /// `LIKE` or `GLOB`.
    Pattern {
        /// The value.
        value: Box<Expr>,
        /// With `NOT`.
        is_not: bool,
        /// Which one.
        op: PatternOp,
        /// The pattern.
        pattern: Box<Expr>,
        /// The expression after ESCAPE.
        escape: Option<Box<Expr>>,
    },
    /// `CASE`
    Case {
        /// What the conditions are compared to, where there is one.
        base: Option<Box<Expr>>,
        /// WHEN and THEN.
        branches: Vec<(Expr, Expr)>,
        /// ELSE
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST`, with the type as written.
    Cast(Box<Expr>, String),
    /// `COLLATE`, with the collation's name as written.
    Collate(Box<Expr>, String),
    /// A function call, with the name in lower case.
    Call(String, Vec<Expr>),
    /// Something that has no form here; the text says what, as in "a subquery".
    Unsupported(&'static str),
}

/// How a name is written, which decides what it is when no column has it
/// (<https://sqlite.org/quirks.html#double_quoted_string_literals_are_accepted>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Without quotes: TRUE and FALSE are numbers when no column has that name.
    Bare,
    /// In double quotes: a string when no column has that name.
    Double,
    /// In brackets or backticks, or after a table's name: always a column.
    Certain,
}

/// A unary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `+`, which does nothing but hide a column's affinity.
    Plus,
    /// `NOT`
    Not,
    /// `~`
    BitNot,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `=`, `==`
    Eq,
    /// `<>`, `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `IS`
    Is,
    /// `IS NOT`
    IsNot,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `->`
    Arrow,
    /// `->>`
    ArrowText,
}

/// LIKE or GLOB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternOp {
    /// `LIKE`
    Like,
    /// `GLOB`
    Glob,
}

impl Expr {
    /// The column's name, where a name is meant: in a list of columns SQLite takes a string too.
    #[must_use]
    pub fn into_name(self) -> Option<String> {
        match self {
            Expr::Column(name, _) | Expr::Text(name) => Some(name),
            _ => None,
        }
    }
}

impl From<&ast::Expr<'_>> for Expr {
    fn from(expr: &ast::Expr<'_>) -> Self {
        convert(expr, DEEPEST)
    }
}

/// The first statement of a text.
pub(super) fn statement<'a>(bump: &'a Bump, sql: &'a str) -> Result<Stmt<'a>, GrammarError> {
    match Parser::new(bump, sql.as_bytes()).next() {
        Ok(Some(ast::Cmd::Stmt(statement))) => Ok(statement),
        Ok(_) => Err(GrammarError::new("no statement")),
        Err(failure) => Err(error(&failure, sql)),
    }
}

/// The parser's error in our words.
pub(super) fn error(error: &Error, sql: &str) -> GrammarError {
    let (message, position) = match error {
        Error::UnrecognizedToken(p) => ("unrecognized token".to_owned(), p),
        Error::UnterminatedLiteral(p) => ("unterminated quoted string".to_owned(), p),
        Error::UnterminatedBracket(p) => ("unterminated \"[\"".to_owned(), p),
        Error::UnterminatedBlockComment(p) => ("unterminated comment".to_owned(), p),
        Error::ParserError(inner, p) => (inner.to_string(), p),
        Error::BadVariableName(p)
        | Error::BadNumber(p)
        | Error::ExpectedEqualsSign(p)
        | Error::MalformedBlobLiteral(p)
        | Error::MalformedHexInteger(p) => ("malformed token".to_owned(), p),
        other => (other.to_string(), &None),
    };
    let position = match position {
        Some(p) => Some((p.line, p.column)),
        None => Some(line_and_column(sql, sql.len())),
    };
    GrammarError { message, position }
}

/// A name without its quotes.
pub(super) fn unquoted_name(name: &Name<'_>) -> String {
    unquoted(name.0)
}

/// SQLite's `sqlite3Dequote`: the quote that opens closes, doubled it stands for itself; `[` is closed by
/// `]`.
fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match text.chars().next() {
        Some(quote @ ('"' | '\'' | '`')) => match inner(quote) {
            Some(inner) => inner.replace(&format!("{quote}{quote}"), &quote.to_string()),
            None => text.to_owned(),
        },
        Some('[') => text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

fn convert(expr: &ast::Expr<'_>, depth: usize) -> Expr {
    let Some(depth) = depth.checked_sub(1) else {
        return Expr::Unsupported("an expression that is nested too deeply");
    };
    let boxed = |e: &ast::Expr<'_>| Box::new(convert(e, depth));
    let list = |es: &[ast::Expr<'_>]| es.iter().map(|e| convert(e, depth)).collect::<Vec<_>>();
    match expr {
        ast::Expr::Between { lhs, not, start, end } => {
            Expr::Between { value: boxed(lhs), is_not: *not, low: boxed(start), high: boxed(end) }
        }
        ast::Expr::Binary(_, Operator::And, _) => Expr::And(chain(expr, Operator::And, depth)),
        ast::Expr::Binary(_, Operator::Or, _) => Expr::Or(chain(expr, Operator::Or, depth)),
        ast::Expr::Binary(_, Operator::Concat, _) => Expr::Concat(chain(expr, Operator::Concat, depth)),
        ast::Expr::Binary(left, Operator::Is, right) if is_null(right) => Expr::IsNull(boxed(left)),
        ast::Expr::Binary(left, Operator::IsNot, right) if is_null(right) => Expr::IsNotNull(boxed(left)),
        ast::Expr::Binary(left, op, right) => match binary_op(*op) {
            Some(op) => Expr::Binary(op, boxed(left), boxed(right)),
            None => Expr::Unsupported("this operator"),
        },
        ast::Expr::Case { base, when_then_pairs, else_expr } => Expr::Case {
            base: base.map(boxed),
            branches: when_then_pairs.iter().map(|(w, t)| (convert(w, depth), convert(t, depth))).collect(),
            otherwise: else_expr.map(boxed),
        },
        ast::Expr::Cast { expr, type_name } => {
            Expr::Cast(boxed(expr), type_name.as_ref().map_or(String::new(), |t| t.name.to_owned()))
        }
        ast::Expr::Collate(expr, collation) => Expr::Collate(boxed(expr), unquoted(collation)),
        ast::Expr::DoublyQualified(_, _, name) | ast::Expr::Qualified(_, name) => {
            Expr::Column(unquoted_name(name), Quoting::Certain)
        }
        ast::Expr::Exists(_)
        | ast::Expr::Subquery(_)
        | ast::Expr::InSelect { .. }
        | ast::Expr::InTable { .. } => Expr::Unsupported("a subquery"),
        ast::Expr::FunctionCall { name, distinctness: None, args, order_by: None, filter_over: None } => {
            Expr::Call(unquoted(name.0).to_ascii_lowercase(), list(args.unwrap_or_default()))
        }
        ast::Expr::FunctionCall { .. } | ast::Expr::FunctionCallStar { .. } => {
            Expr::Unsupported("an aggregate or window function")
        }
        ast::Expr::Id(id) => name(id.0),
        ast::Expr::Name(id) => name(id.0),
        ast::Expr::InList { lhs, not, rhs } => {
            Expr::In { value: boxed(lhs), is_not: *not, list: list(rhs.unwrap_or_default()) }
        }
        ast::Expr::IsNull(expr) => Expr::IsNull(boxed(expr)),
        ast::Expr::NotNull(expr) => Expr::IsNotNull(boxed(expr)),
        ast::Expr::Like { lhs, not, op, rhs, escape } => {
            let (value, pattern, escape) = (boxed(lhs), boxed(rhs), escape.map(boxed));
            match op {
                LikeOperator::Like => {
                    Expr::Pattern { value, is_not: *not, op: PatternOp::Like, pattern, escape }
                }
                LikeOperator::Glob => {
                    Expr::Pattern { value, is_not: *not, op: PatternOp::Glob, pattern, escape }
                }
                LikeOperator::Match => Expr::Unsupported("the operator MATCH"),
                LikeOperator::Regexp => Expr::Unsupported("the operator REGEXP"),
            }
        }
        ast::Expr::Literal(literal) => convert_literal(literal),
        // No level of the tree; the statement's outline bounds how deep parentheses nest.
        ast::Expr::Parenthesized(inner) => match inner.as_slice() {
            [inner] => convert(inner, depth + 1),
            _ => Expr::Unsupported("a row value"),
        },
        ast::Expr::Raise(..) => Expr::Unsupported("RAISE"),
        ast::Expr::Unary(UnaryOperator::Negative, inner) => negative(inner, depth),
        ast::Expr::Unary(op, inner) => {
            let op = match op {
                UnaryOperator::BitwiseNot => UnaryOp::BitNot,
                UnaryOperator::Not => UnaryOp::Not,
                UnaryOperator::Positive | UnaryOperator::Negative => UnaryOp::Plus,
            };
            Expr::Unary(op, boxed(inner))
        }
        ast::Expr::Variable(_) => Expr::Unsupported("a parameter"),
    }
}

/// The operands of a chain of one associative operator, read along its left edge without recursion: a parser
/// makes `a OR b OR c` lean to the left.
fn chain(expr: &ast::Expr<'_>, op: Operator, depth: usize) -> Vec<Expr> {
    let mut operands = Vec::new();
    let mut rest = expr;
    while let ast::Expr::Binary(left, found, right) = rest {
        if *found != op {
            break;
        }
        operands.push(convert(right, depth));
        rest = left;
    }
    operands.push(convert(rest, depth));
    operands.reverse();
    operands
}

fn is_null(expr: &ast::Expr<'_>) -> bool {
    matches!(expr, ast::Expr::Literal(Literal::Null))
}

fn binary_op(op: Operator) -> Option<BinaryOp> {
    Some(match op {
        Operator::Equals => BinaryOp::Eq,
        Operator::NotEquals => BinaryOp::Ne,
        Operator::Less => BinaryOp::Lt,
        Operator::LessEquals => BinaryOp::Le,
        Operator::Greater => BinaryOp::Gt,
        Operator::GreaterEquals => BinaryOp::Ge,
        Operator::Is => BinaryOp::Is,
        Operator::IsNot => BinaryOp::IsNot,
        Operator::Add => BinaryOp::Add,
        Operator::Subtract => BinaryOp::Sub,
        Operator::Multiply => BinaryOp::Mul,
        Operator::Divide => BinaryOp::Div,
        Operator::Modulus => BinaryOp::Rem,
        Operator::BitwiseAnd => BinaryOp::BitAnd,
        Operator::BitwiseOr => BinaryOp::BitOr,
        Operator::LeftShift => BinaryOp::ShiftLeft,
        Operator::RightShift => BinaryOp::ShiftRight,
        Operator::ArrowRight => BinaryOp::Arrow,
        Operator::ArrowRightShift => BinaryOp::ArrowText,
        Operator::And | Operator::Or | Operator::Concat => return None,
    })
}

fn name(text: &str) -> Expr {
    let quoting = match text.as_bytes().first() {
        Some(b'"') => Quoting::Double,
        Some(b'[' | b'`') => Quoting::Certain,
        _ => Quoting::Bare,
    };
    Expr::Column(unquoted(text), quoting)
}

fn convert_literal(literal: &Literal<'_>) -> Expr {
    match literal {
        Literal::Numeric(text) => number_literal(text, false),
        Literal::String(text) => Expr::Text(unquoted(text)),
        Literal::Blob(digits) => blob(digits),
        Literal::Keyword(_) => Expr::Unsupported("this keyword"),
        Literal::Null => Expr::Null,
        Literal::CurrentDate => Expr::CurrentDate,
        Literal::CurrentTime => Expr::CurrentTime,
        Literal::CurrentTimestamp => Expr::CurrentTimestamp,
    }
}

/// `-9223372036854775808` is an integer although its digits alone are not, so a sign belongs to a bare
/// literal.
fn negative(inner: &ast::Expr<'_>, depth: usize) -> Expr {
    match inner {
        ast::Expr::Literal(Literal::Numeric(text)) => number_literal(text, true),
        _ => Expr::Unary(UnaryOp::Minus, Box::new(convert(inner, depth))),
    }
}

/// <https://sqlite.org/lang_expr.html#literal_values_constants_>: digits that do not fit 64 bits are a REAL;
/// hexadecimal ones are the two's complement; `_` may separate digits.
fn number_literal(text: &str, is_negative: bool) -> Expr {
    let digits = text.replace('_', "");
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return match u64::from_str_radix(hexadecimal, 16) {
            Ok(bits) if is_negative => Expr::Integer(bits.cast_signed().wrapping_neg()),
            Ok(bits) => Expr::Integer(bits.cast_signed()),
            Err(_) => Expr::Unsupported("a hexadecimal number of more than 64 bits"),
        };
    }
    let signed = if is_negative { format!("-{digits}") } else { digits };
    if let Ok(integer) = signed.parse() {
        return Expr::Integer(integer);
    }
    match signed.parse() {
        Ok(real) => Expr::Real(real),
        Err(_) => Expr::Unsupported("this number"),
    }
}

fn blob(digits: &str) -> Expr {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()))
        .collect();
    bytes.map_or(Expr::Unsupported("this blob"), Expr::Blob)
}
