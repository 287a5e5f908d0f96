//! LIKE and GLOB.
//!
//! SQLite's LIKE ignores the case of ASCII letters and of no others, has no escape character unless one is
//! given, and is otherwise PostgreSQL's. So the value is folded in collation "C" and the pattern here; ILIKE
//! would fold by locale. GLOB minds case and has character classes, which become a regular expression.

use super::NotCarried;
use super::comparison::folded;
use super::term::{Kind, Literal, Term, quoted};
use crate::grammar::{Expr, PatternOp};

/// The longest pattern: SQLite's own limit (`SQLITE_MAX_LIKE_PATTERN_LENGTH`), in bytes.
const LONGEST_PATTERN: usize = 50_000;

/// One element of a pattern.
enum Element {
    /// This character.
    Character(char),
    /// Any one character.
    One,
    /// Any number of characters.
    Many,
    /// One of a class, ready for a bracket expression.
    Class(String),
}

/// `value LIKE pattern` or `value GLOB pattern`.
pub(super) fn matches(
    value: &Term,
    op: PatternOp,
    pattern: &Expr,
    escape: Option<&Expr>,
) -> Result<Term, NotCarried> {
    let word = match op {
        PatternOp::Like => "LIKE",
        PatternOp::Glob => "GLOB",
    };
    let Expr::Text(pattern) = pattern else {
        return Err(NotCarried::new(format!("{word} with a pattern that is not a string literal")));
    };
    if pattern.len() > LONGEST_PATTERN {
        return Err(NotCarried::new(format!("{word} with a pattern of more than {LONGEST_PATTERN} bytes")));
    }
    let value = value.to_text()?.plain();
    if value.kind == Kind::Null {
        return Ok(Term::atom("NULL::boolean", Kind::Bool));
    }
    let malformed = || NotCarried::new(format!("{word} with a malformed pattern"));
    match op {
        PatternOp::Like => {
            let elements = like(pattern, escape).ok_or_else(malformed)?;
            let has_letters = pattern.bytes().any(|b| b.is_ascii_alphabetic());
            let operand = if has_letters { folded(&value)? } else { value.operand() };
            Ok(Term::condition(format!(
                "{operand} LIKE {}",
                quoted(&like_pattern(&elements).to_ascii_lowercase())?
            )))
        }
        PatternOp::Glob => {
            let elements = glob(pattern).ok_or_else(malformed)?;
            if !elements.iter().any(|e| matches!(e, Element::Class(_))) {
                return Ok(Term::condition(format!(
                    "{} LIKE {}",
                    operand(&value),
                    quoted(&like_pattern(&elements))?
                )));
            }
            // Collation "C" has neither equivalence classes nor an order of its own for ranges.
            Ok(Term::condition(format!("{} COLLATE \"C\" ~ {}", operand(&value), quoted(&regex(&elements))?)))
        }
    }
}

/// A literal alone has no type that LIKE could be chosen by.
fn operand(value: &Term) -> String {
    match value.literal {
        Some(Literal::Text(_)) => value.cast("text"),
        _ => value.operand(),
    }
}

fn like(pattern: &str, escape: Option<&Expr>) -> Option<Vec<Element>> {
    let escape = match escape {
        None => None,
        Some(Expr::Text(text)) => {
            let mut characters = text.chars();
            let escape = characters.next()?;
            // SQLite wants exactly one. An escape that is a wildcard itself has rules of its own.
            if characters.next().is_some() || matches!(escape, '%' | '_') {
                return None;
            }
            Some(escape)
        }
        Some(_) => return None,
    };
    let mut elements = Vec::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        elements.push(match c {
            c if Some(c) == escape => Element::Character(characters.next()?),
            '%' => Element::Many,
            '_' => Element::One,
            c => Element::Character(c),
        });
    }
    Some(elements)
}

/// A pattern for PostgreSQL's LIKE with its default escape, a backslash.
fn like_pattern(elements: &[Element]) -> String {
    let mut pattern = String::new();
    for element in elements {
        match element {
            Element::Character(c @ ('%' | '_' | '\\')) => pattern.extend(['\\', *c]),
            Element::Character(c) => pattern.push(*c),
            Element::One => pattern.push('_'),
            Element::Many => pattern.push('%'),
            Element::Class(_) => {}
        }
    }
    pattern
}

/// `patternCompare` of SQLite's func.c, the part for `[`: `^` negates, a `]` that comes first is a member,
/// `-` between two members is a range. Only ASCII members are taken.
fn glob(pattern: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        elements.push(match c {
            '*' => Element::Many,
            '?' => Element::One,
            '[' => {
                let negation = if characters.next_if_eq(&'^').is_some() { "^" } else { "" };
                let mut ranges = Vec::new();
                let mut member = characters.next()?;
                let mut is_first = true;
                // The member before a "-" that makes it a range; neither a range's end nor a "]" that comes
                // first can start one.
                let mut before: Option<char> = None;
                while is_first || member != ']' {
                    let starts_with_bracket = is_first && member == ']';
                    is_first = false;
                    if !member.is_ascii_graphic() && member != ' ' {
                        return None;
                    }
                    let next = characters.next()?;
                    match before {
                        Some(low) if member == '-' && next != ']' => {
                            if !next.is_ascii_graphic() && next != ' ' {
                                return None;
                            }
                            if low <= next {
                                // The range holds its first member, which is there already.
                                ranges.pop();
                                ranges.push((low, next));
                            }
                            before = None;
                            member = characters.next()?;
                        }
                        _ => {
                            ranges.push((member, member));
                            before = Some(member).filter(|_| !starts_with_bracket);
                            member = next;
                        }
                    }
                }
                if ranges.is_empty() {
                    return None;
                }
                Element::Class(format!("[{negation}{}]", bracket(&ranges)))
            }
            c => Element::Character(c),
        });
    }
    Some(elements)
}

/// The inside of a bracket expression, with every member that is not a letter or digit escaped.
fn bracket(ranges: &[(char, char)]) -> String {
    let escaped = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") };
    ranges
        .iter()
        .map(|(low, high)| match low == high {
            true => escaped(*low),
            false => format!("{}-{}", escaped(*low), escaped(*high)),
        })
        .collect()
}

/// An advanced regular expression over the whole value. Neither `.` nor `^` and `$` mind line breaks there.
fn regex(elements: &[Element]) -> String {
    let mut regex = "^".to_owned();
    for element in elements {
        match element {
            Element::Character(c) if c.is_ascii() && !c.is_ascii_alphanumeric() => regex.extend(['\\', *c]),
            Element::Character(c) => regex.push(*c),
            Element::One => regex.push('.'),
            Element::Many => regex.push_str(".*"),
            Element::Class(class) => regex.push_str(class),
        }
    }
    regex.push('$');
    regex
}
