//! SQLite's scalar functions (<https://sqlite.org/lang_corefunc.html>) that `pg_catalog` has too, or can say.

use super::term::{CollationName, Kind, Literal, Term};
use super::translate::{Translator, bigint, choice, unified};
use super::{NotCarried, comparison, instant};
use crate::grammar::{BinaryOp, Expr};
use aliaport_rows::pg_type::PgType;

/// The most bytes that a DEFAULT draws with randomblob().
const MOST_RANDOM_BYTES: i64 = 128;

/// A call by its lower-case name.
pub(super) fn call(translator: Translator<'_>, name: &str, arguments: &[Expr]) -> Result<Term, NotCarried> {
    match (name, arguments) {
        ("date", [argument]) if !translator.is_default => return date_of(translator, argument),
        ("date" | "time" | "datetime" | "strftime" | "unixepoch" | "julianday", _) => {
            return time(translator, &Expr::Call(name.to_owned(), arguments.to_vec()));
        }
        ("lower", [Expr::Call(inner, blob)]) if inner == "hex" => {
            if let [blob] = blob.as_slice() {
                return lower_hexadecimal(translator, blob);
            }
        }
        _ => {}
    }
    if arguments.iter().any(has_collate) {
        return Err(NotCarried::new("COLLATE inside a function's arguments has no PostgreSQL form here"));
    }
    let mut terms = Vec::with_capacity(arguments.len());
    for argument in arguments {
        terms.push(translator.translate(argument)?);
    }
    of_terms(translator.is_default, name, terms)
}

fn of_terms(is_default: bool, name: &str, terms: Vec<Term>) -> Result<Term, NotCarried> {
    match (name, terms.as_slice()) {
        ("length", [x]) if x.kind == Kind::Bytea => {
            Ok(integer(format!("octet_length({})", x.sql), 0, i32::MAX))
        }
        ("length", [x]) => Ok(integer(format!("length({})", x.to_text()?.sql), 0, i32::MAX)),
        ("octet_length", [x]) if x.kind == Kind::Text => {
            Ok(integer(format!("octet_length({})", x.sql), 0, i32::MAX))
        }
        ("lower" | "upper", [x]) => {
            // ASCII only, in both.
            Ok(text(format!("{name}({} COLLATE \"C\")", typed_text(x)?)))
        }
        ("trim", [x]) => Ok(text(format!("btrim({})", x.to_text()?.sql))),
        ("ltrim" | "rtrim", [x]) => Ok(text(format!("{name}({})", x.to_text()?.sql))),
        ("trim", [x, set]) => Ok(text(format!("btrim({}, {})", x.to_text()?.sql, set.to_text()?.sql))),
        ("ltrim" | "rtrim", [x, set]) => {
            Ok(text(format!("{name}({}, {})", x.to_text()?.sql, set.to_text()?.sql)))
        }
        // With nothing to look for SQLite does not look at the third argument, which could be NULL.
        ("replace", [x, from, to]) if is_text(from, 1) || is_text(to, 0) => {
            Ok(text(format!("replace({}, {}, {})", x.to_text()?.sql, from.to_text()?.sql, to.to_text()?.sql)))
        }
        ("instr", [x, part]) if x.kind == Kind::Text && part.kind == Kind::Text => {
            Ok(integer(format!("strpos({}, {})", x.sql, part.sql), 0, i32::MAX))
        }
        ("substr" | "substring", [x, rest @ ..]) => substring(x, rest),
        ("abs", [x]) => absolute(x),
        ("coalesce", [_, _, ..]) | ("ifnull", [_, _]) => {
            let (terms, kind) = unified(terms)?;
            if kind == Kind::Null {
                return Ok(Term::null());
            }
            Ok(Term::atom(format!("COALESCE({})", joined(&terms)), kind))
        }
        ("nullif", [x, y]) => null_if(x, y),
        ("iif" | "if", [condition, _] | [condition, _, _]) => {
            choice(&[condition.clone().truth()?], terms.get(1..).unwrap_or_default().to_vec())
        }
        ("min" | "max", [_, _, ..]) => extreme(name, terms),
        ("likely" | "unlikely", [x]) => Ok(x.clone()),
        ("json_valid", [x]) => match &x.kind {
            // True of any value of the type, NULL of NULL.
            Kind::Opaque(PgType::Json | PgType::Jsonb, _) => {
                let sql = format!("NULLIF({} IS NOT NULL, false)", x.operand());
                Ok(Term::atom(sql, Kind::Bool).never_false(true))
            }
            kind => Err(no_form_of(name, kind)),
        },
        // Of NULL it is the empty text; random bytes are never NULL.
        ("hex", [x]) if x.kind == Kind::Bytea && is_default => {
            Ok(text(format!("upper(encode({}, 'hex'))", x.sql)))
        }
        ("hex", [x]) if x.kind == Kind::Bytea => {
            Ok(text(format!("COALESCE(upper(encode({}, 'hex')), '')", x.sql)))
        }
        ("randomblob", [Term { literal: Some(Literal::Integer(count)), .. }]) if is_default => {
            random_bytes(*count)
        }
        // All of 64 bits, as SQLite's.
        ("random", []) if is_default => {
            let bytes = random_bytes(8)?;
            let sql = format!("('x' || encode({}, 'hex'))::bit(64)::bigint", bytes.sql);
            Ok(Term::atom(sql, Kind::BIGINT))
        }
        _ => Err(no_form(name)),
    }
}

/// The current time, which only a DEFAULT may ask for: SQLite forbids it elsewhere, and so does an index
/// here.
pub(super) fn time(translator: Translator<'_>, expr: &Expr) -> Result<Term, NotCarried> {
    let name = match expr {
        Expr::Call(name, _) => name,
        _ => "CURRENT_TIMESTAMP",
    };
    if !translator.is_default {
        return Err(no_form(name));
    }
    let moment = instant::moment(expr).ok_or_else(|| no_form(name))??;
    match moment.form {
        // strftime('%s') is a text of digits; whoever computes with it or stores it sees the number.
        instant::Form::Unix => {
            Ok(Term::atom(moment.unix(), Kind::Int { min: 0, max: 1 << 40, is_bigint: true }))
        }
        instant::Form::Julian => Ok(Term::atom(moment.julian(), Kind::Float)),
        _ => Ok(text(moment.text()?.0)),
    }
}

fn no_form(name: &str) -> NotCarried {
    NotCarried::new(format!("function \"{name}\" has no PostgreSQL form here"))
}

fn no_form_of(name: &str, kind: &Kind) -> NotCarried {
    NotCarried::new(format!("function \"{name}\" of type {} has no PostgreSQL form here", kind.name()))
}

fn integer(sql: String, min: i32, max: i32) -> Term {
    Term::atom(sql, Kind::Int { min: min.into(), max: max.into(), is_bigint: false })
}

fn text(sql: String) -> Term {
    Term::atom(sql, Kind::Text)
}

fn joined(terms: &[Term]) -> String {
    terms.iter().map(|t| t.sql.as_str()).collect::<Vec<_>>().join(", ")
}

/// Text with a type, which a literal has not before COLLATE.
fn typed_text(term: &Term) -> Result<String, NotCarried> {
    let text = term.to_text()?;
    Ok(match (&text.kind, &text.literal) {
        (Kind::Null, _) | (_, Some(Literal::Text(_))) => text.cast("text"),
        _ => text.operand(),
    })
}

/// A string literal of at least so many bytes.
fn is_text(term: &Term, least: usize) -> bool {
    matches!(&term.literal, Some(Literal::Text(text)) if text.len() >= least)
}

/// An explicit COLLATE travels up through functions and `||` in SQLite.
pub(super) fn has_collate(expr: &Expr) -> bool {
    match expr {
        Expr::Collate(..) => true,
        Expr::Concat(operands) | Expr::Call(_, operands) => operands.iter().any(has_collate),
        Expr::Unary(_, operand) | Expr::Cast(operand, _) => has_collate(operand),
        Expr::Case { base, branches, otherwise } => {
            base.as_deref().is_some_and(has_collate)
                || branches.iter().any(|(when, then)| has_collate(when) || has_collate(then))
                || otherwise.as_deref().is_some_and(has_collate)
        }
        _ => false,
    }
}

/// `date(x)` of a column that holds days.
fn date_of(translator: Translator<'_>, argument: &Expr) -> Result<Term, NotCarried> {
    let term = translator.translate(argument)?;
    match &term.kind {
        Kind::Opaque(PgType::Date, _) => Ok(term.plain()),
        // The wall clock's day needs no zone; an instant's day would.
        Kind::Opaque(PgType::Timestamp(_), comparable) => {
            Ok(Term::atom(term.cast("date"), Kind::Opaque(PgType::Date, *comparable)))
        }
        kind => Err(no_form_of("date", kind)),
    }
}

/// A start of 1 or more and a length of 0 or more mean the same in both; a negative start counts from the
/// end.
fn substring(x: &Term, rest: &[Term]) -> Result<Term, NotCarried> {
    // Of an empty blob SQLite gives NULL, so blobs are left out.
    let source = x.to_text()?;
    let at_least = |term: &Term, bound: i64| match &term.kind {
        Kind::Int { min, max, .. } => *min >= bound && i32::try_from(*max).is_ok(),
        _ => false,
    };
    // substr() takes 32-bit numbers.
    let number = |term: &Term| match term.kind {
        Kind::Int { is_bigint: true, .. } => term.cast("integer"),
        _ => term.sql.clone(),
    };
    let source_sql = typed_text(&source)?;
    match rest {
        [start] if at_least(start, 1) => {
            Ok(Term::atom(format!("substr({source_sql}, {})", number(start)), source.kind))
        }
        [start, length] if at_least(start, 1) && at_least(length, 0) => Ok(Term::atom(
            format!("substr({source_sql}, {}, {})", number(start), number(length)),
            source.kind,
        )),
        [Term { literal: Some(Literal::Integer(start @ -1_000_000_000..=-1)), .. }]
            if source.kind == Kind::Text =>
        {
            Ok(Term::atom(format!("right({source_sql}, {})", -start), Kind::Text))
        }
        _ => Err(NotCarried::new("function \"substr\" with this start or length differs in PostgreSQL")),
    }
}

fn absolute(x: &Term) -> Result<Term, NotCarried> {
    match &x.kind {
        // Of the smallest 64-bit integer both raise an error; of the literal PostgreSQL would while it plans.
        Kind::Int { min, max, .. } if *max != i64::MIN => {
            let largest = min.saturating_abs().max(max.saturating_abs());
            Ok(Term::atom(format!("abs({})", bigint(x)), Kind::Int { min: 0, max: largest, is_bigint: true }))
        }
        Kind::Float | Kind::Numeric if x.literal.is_none() => {
            Ok(Term::atom(format!("abs({})", x.sql), x.kind.clone()))
        }
        kind => Err(no_form_of("abs", kind)),
    }
}

/// NULLIF compares as `=` does.
fn null_if(x: &Term, y: &Term) -> Result<Term, NotCarried> {
    let collation = [x, y].into_iter().find_map(|t| t.collation.as_ref());
    if collation.is_some_and(|c| c.name != CollationName::Binary) {
        return Err(NotCarried::new("function \"nullif\" with a collation has no PostgreSQL form here"));
    }
    if x.kind == Kind::Null || y.kind == Kind::Null {
        return Ok(x.clone().plain());
    }
    let comparison = comparison::compare(BinaryOp::Eq, x, y)?;
    if comparison.sql != format!("{} = {}", x.operand(), y.operand()) {
        return Err(no_form_of("nullif", &x.kind));
    }
    Ok(Term::atom(format!("NULLIF({}, {})", x.sql, y.sql), x.kind.clone()))
}

/// NULL when any argument is, where LEAST and GREATEST leave NULLs out.
fn extreme(name: &str, terms: Vec<Term>) -> Result<Term, NotCarried> {
    let (terms, kind) = unified(terms)?;
    if !kind.is_number() {
        return Err(no_form_of(name, &kind));
    }
    let function = if name == "min" { "LEAST" } else { "GREATEST" };
    let all = format!("{function}({})", joined(&terms));
    let nullable: Vec<String> =
        terms.iter().filter(|t| t.literal.is_none()).map(|t| format!("{} IS NULL", t.operand())).collect();
    if nullable.is_empty() {
        return Ok(Term::atom(all, kind));
    }
    Ok(Term::atom(format!("CASE WHEN {} THEN NULL ELSE {all} END", nullable.join(" OR ")), kind))
}

/// `lower(hex(x))`, which is `encode` as it is.
fn lower_hexadecimal(translator: Translator<'_>, blob: &Expr) -> Result<Term, NotCarried> {
    let blob = translator.translate(blob)?;
    match blob.kind {
        // Random bytes are never NULL; of NULL hex() is the empty text.
        Kind::Bytea if translator.is_default => Ok(text(format!("encode({}, 'hex')", blob.sql))),
        Kind::Bytea => Ok(text(format!("COALESCE(encode({}, 'hex'), '')", blob.sql))),
        kind => Err(no_form_of("hex", &kind)),
    }
}

/// Random bytes from `pg_catalog` alone: of a version 4 UUID the last seven bytes are all random (RFC 9562,
/// 5.4: the version is in byte 6, the variant in byte 8), and each call draws anew.
fn random_bytes(count: i64) -> Result<Term, NotCarried> {
    // SQLite takes anything below 1 for 1.
    let mut left = count.max(1);
    if left > MOST_RANDOM_BYTES {
        return Err(NotCarried::new(format!("randomblob() of more than {MOST_RANDOM_BYTES} bytes")));
    }
    let mut parts = Vec::new();
    while left > 0 {
        let part = left.min(7);
        parts.push(format!("substr(uuid_send(gen_random_uuid()), 10, {part})"));
        left -= part;
    }
    Ok(if parts.len() == 1 {
        Term::atom(parts.concat(), Kind::Bytea)
    } else {
        Term::atom(format!("({})", parts.join(" || ")), Kind::Bytea)
    })
}
