//! Where are the expressions in a statement's text, and is the text small and flat enough to be parsed?
//!
//! The parser's tree has no positions, and parts of it are freed recursively; so the tokens are read once
//! before.

use sqlite3_parser::dialect::TokenType;
use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::Tokenizer;

use super::{GrammarError, tree};

/// The longest statement that is read, in bytes: SQLite's own limit of a statement's length for most of its
/// life (<https://sqlite.org/limits.html>). The arena takes about a hundred times as much.
const LONGEST_STATEMENT: usize = 1_000_000;

/// The deepest nesting of parentheses. The parser's stack is on the heap, but a tree of parenthesised
/// expressions is freed recursively. SQLite itself stops at an expression depth of 1,000.
const DEEPEST_NESTING: usize = 200;

/// The most that words side by side may cost, as their number times their bytes. A declared type is a list of
/// words, and the parser copies it for each further word.
const LARGEST_WORD_RUN: usize = 50_000_000;

/// The most commas in a list outside inner parentheses. SQLite allows 2,000 columns; the parser compares each
/// column's name to all before it.
const LONGEST_LIST: usize = 3_000;

/// A statement's tokens.
pub(super) struct Outline<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
}

struct Token {
    start: usize,
    end: usize,
    kind: TokenType,
    /// How many parentheses are open before this token; a closing one has the depth of its opening one.
    depth: usize,
}

impl<'a> Outline<'a> {
    /// Reads all tokens.
    pub(super) fn scan(sql: &'a str) -> Result<Self, GrammarError> {
        if sql.len() > LONGEST_STATEMENT {
            return Err(GrammarError::new(format!("statement is longer than {LONGEST_STATEMENT} bytes")));
        }
        let mut scanner = Scanner::new(Tokenizer::new());
        let mut tokens = Vec::new();
        let mut depth = 0usize;
        let (mut run, mut run_bytes) = (0usize, 0usize);
        let mut commas = 0usize;
        loop {
            let (start, token, end) =
                scanner.scan(sql.as_bytes()).map_err(|error| tree::error(&error, sql))?;
            let Some((_, kind)) = token else {
                break;
            };
            let at = match kind {
                TokenType::TK_LP => {
                    depth += 1;
                    depth - 1
                }
                TokenType::TK_RP => {
                    let Some(outer) = depth.checked_sub(1) else {
                        return Err(GrammarError::at("unbalanced \")\"", sql, start));
                    };
                    depth = outer;
                    depth
                }
                _ => depth,
            };
            commas += usize::from(depth == 1 && kind == TokenType::TK_COMMA);
            if commas > LONGEST_LIST {
                return Err(GrammarError::at(
                    format!("more than {LONGEST_LIST} items in a list"),
                    sql,
                    start,
                ));
            }
            if depth > DEEPEST_NESTING {
                let message = format!("parentheses are nested more than {DEEPEST_NESTING} levels deep");
                return Err(GrammarError::at(message, sql, start));
            }
            let is_word = sql.as_bytes().get(start).is_some_and(|b| {
                b.is_ascii_alphabetic() || !b.is_ascii() || matches!(b, b'_' | b'"' | b'`' | b'[' | b'\'')
            });
            (run, run_bytes) = if is_word { (run + 1, run_bytes + (end - start)) } else { (0, 0) };
            if run.saturating_mul(run_bytes) > LARGEST_WORD_RUN {
                return Err(GrammarError::at("too many words side by side", sql, start));
            }
            tokens.push(Token { start, end, kind, depth: at });
        }
        if depth > 0 {
            return Err(GrammarError::at("unbalanced \"(\"", sql, sql.len()));
        }
        Ok(Outline { sql, tokens })
    }

    /// The texts between the parentheses that follow a reserved word directly inside the column list.
    pub(super) fn parenthesised_after(&self, word: &str) -> Vec<&'a str> {
        let mut texts = Vec::new();
        for (i, token) in self.tokens.iter().enumerate() {
            if token.depth == 1
                && self.is_word(token, word)
                && let Some(open) = self.tokens.get(i + 1).filter(|next| next.kind == TokenType::TK_LP)
            {
                texts.push(self.slice(open.end, self.closing(i + 1)));
            }
        }
        texts
    }

    /// The items of the first parenthesised list.
    pub(super) fn first_list(&self) -> Vec<&'a str> {
        let Some(open) = self.tokens.iter().position(|token| token.kind == TokenType::TK_LP) else {
            return Vec::new();
        };
        let end = self.closing(open);
        let mut texts = Vec::new();
        let mut start = self.tokens.get(open).map_or(0, |token| token.end);
        for token in self.tokens.iter().skip(open + 1).take_while(|token| token.start < end) {
            if token.depth == 1 && token.kind == TokenType::TK_COMMA {
                texts.push(self.slice(start, token.start));
                start = token.end;
            }
        }
        texts.push(self.slice(start, end));
        texts
    }

    /// The text from after a reserved word outside all parentheses to the end.
    pub(super) fn after(&self, word: &str) -> &'a str {
        let end = self
            .tokens
            .iter()
            .rev()
            .find(|token| token.kind != TokenType::TK_SEMI)
            .map_or(0, |token| token.end);
        let word = self.tokens.iter().find(|token| token.depth == 0 && self.is_word(token, word));
        word.map_or("", |word| self.slice(word.end, end))
    }

    fn is_word(&self, token: &Token, word: &str) -> bool {
        self.sql.get(token.start..token.end).is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    /// Where the parenthesis that token `open` opens is closed.
    fn closing(&self, open: usize) -> usize {
        let Some(opening) = self.tokens.get(open) else {
            return self.sql.len();
        };
        self.tokens
            .iter()
            .skip(open + 1)
            .find(|token| token.kind == TokenType::TK_RP && token.depth == opening.depth)
            .map_or(self.sql.len(), |token| token.start)
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.sql.get(start..end).unwrap_or_default().trim()
    }
}
