//! Where the tokens of a SQL text begin and end, as far as keywords and parentheses have to be told from what
//! lies in comments, strings and quoted names (<https://sqlite.org/lang_keywords.html>). What they mean is
//! the grammar's business.

/// One token. White space and comments are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword, an unquoted name or a number.
    Word(&'a str),
    /// A string or a quoted name, its quotes included.
    Quoted(&'a str),
    /// A quote without its end; the last token.
    Unclosed,
    /// Any other character.
    Sign(char),
}

impl Token<'_> {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    /// The name that a word, a quoted name or a string says.
    pub(crate) fn name(&self) -> Option<String> {
        match *self {
            Token::Word(word) => Some(word.to_owned()),
            Token::Quoted(text) => {
                let mut characters = text.chars();
                let open = characters.next()?;
                let close = closing(open)?;
                characters.next_back();
                let inner = characters.as_str();
                Some(if open == '[' {
                    inner.to_owned()
                } else {
                    inner.replace(&format!("{close}{close}"), &close.to_string())
                })
            }
            _ => None,
        }
    }
}

/// The tokens of a text, in order.
pub(crate) fn tokens(sql: &str) -> Tokens<'_> {
    Tokens { rest: sql }
}

pub(crate) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                return;
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space_and_comments();
        let first = self.rest.chars().next()?;
        if let Some(close) = closing(first) {
            let Some(length) = quoted_length(self.rest, close, first != '[') else {
                self.rest = "";
                return Some(Token::Unclosed);
            };
            return Some(Token::Quoted(self.take(length)));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        if is_word(first) {
            let length = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            return Some(Token::Word(self.take(length)));
        }
        self.take(first.len_utf8());
        Some(Token::Sign(first))
    }
}

/// What ends a quote that begins so.
fn closing(open: char) -> Option<char> {
    match open {
        '\'' | '"' | '`' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

/// The length of the quoted text at the start, both quotes included. A doubled quote stands for itself.
fn quoted_length(text: &str, close: char, can_double: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find(close)? + 1;
        if can_double && text.get(at..)?.starts_with(close) {
            at += 1;
        } else {
            return Some(at);
        }
    }
}

/// Whether a text can stand between two parentheses without reaching out of them.
pub(crate) fn is_one_expression(sql: &str) -> bool {
    let mut depth = 0_u64;
    for token in tokens(sql) {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return false,
            },
            Token::Sign(';') | Token::Unclosed => return false,
            _ => {}
        }
    }
    depth == 0 && !sql.contains('\0')
}

/// What a `CREATE TABLE` statement says that no PRAGMA tells at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableOptions {
    pub is_without_rowid: bool,
    pub is_strict: bool,
    pub is_autoincrement: bool,
}

/// Reads the options of a `CREATE TABLE` statement that SQLite itself has accepted.
///
/// `AUTOINCREMENT` is a keyword that can be no name without quotes; the others follow the last parenthesis.
pub(crate) fn table_options(sql: &str) -> TableOptions {
    let mut options = TableOptions::default();
    let mut depth = 0_u64;
    let mut tail = Vec::new();
    for token in tokens(sql) {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => {
                depth = depth.saturating_sub(1);
                tail.clear();
            }
            _ if depth > 0 => options.is_autoincrement |= token.is_word("autoincrement"),
            _ => tail.push(token),
        }
    }
    options.is_strict = tail.iter().any(|token| token.is_word("strict"));
    options.is_without_rowid =
        tail.windows(2).any(|pair| matches!(pair, [a, b] if a.is_word("without") && b.is_word("rowid")));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_where_they_count_and_nowhere_else() {
        let none = TableOptions::default();
        let cases = [
            (
                "CREATE TABLE t(a INTEGER PRIMARY KEY autoINCREMENT)",
                TableOptions { is_autoincrement: true, ..none },
            ),
            ("CREATE TABLE t(a INTEGER PRIMARY KEY /* AUTOINCREMENT */)", none),
            ("CREATE TABLE t(a TEXT DEFAULT 'AUTOINCREMENT', \"autoincrement\" -- AUTOINCREMENT\n)", none),
            ("CREATE TABLE t(a PRIMARY KEY) WITHOUT ROWID", TableOptions { is_without_rowid: true, ..none }),
            (
                "CREATE TABLE [a)b](a PRIMARY KEY) strict -- )\n, without /**/ rowid",
                TableOptions { is_without_rowid: true, is_strict: true, ..none },
            ),
            ("CREATE TABLE strict(a CHECK (a <> ')'))", none),
            ("CREATE TABLE \"without rowid\"(\"strict\", [rowid], `x``)` INT)", none),
        ];
        for (sql, expected) in cases {
            assert_eq!(table_options(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_filter_cannot_reach_out_of_its_parentheses() {
        for good in ["a > 1", "(a) OR ')' = b", "a = '(' -- )", "x IN (1, 2)", "\"a(\" = [b)] /* ( */"] {
            assert!(is_one_expression(good), "{good}");
        }
        for bad in ["1) LIMIT (1", "a; b", "(a", "'", "a = 'b", "1)", "a\0"] {
            assert!(!is_one_expression(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_unquoted() {
        let names: Vec<_> =
            tokens("a \"b\"\"c\" `d``e` [f\"g] 'h''i' 'é'").filter_map(|t| t.name()).collect();
        assert_eq!(names, ["a", "b\"c", "d`e", "f\"g", "h'i", "é"]);
    }
}
