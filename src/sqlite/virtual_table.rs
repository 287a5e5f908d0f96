//! Which tables belong to a virtual table: its module keeps its data there, and they mean nothing without it.
//!
//! SQLite knows that only of the modules that it was built with, so it is decided by the names that modules
//! use. An ordinary table must not be taken for one: it would not be imported.

use crate::tokenizer::{Token, tokens};

/// A virtual table's statement, as far as it matters here.
pub(crate) struct VirtualTable {
    module: String,
    /// The arguments that are `key=value`, keys in lower case, values as they are written.
    settings: Vec<(String, String)>,
}

impl VirtualTable {
    /// Reads `CREATE VIRTUAL TABLE name USING module(arguments)`.
    pub(crate) fn parse(sql: &str) -> Self {
        let mut rest = tokens(sql).skip_while(|token| !token.is_word("using")).skip(1);
        let module = rest.next().and_then(|token| token.name()).unwrap_or_default().to_ascii_lowercase();
        let mut settings = Vec::new();
        let mut argument: Vec<Token<'_>> = Vec::new();
        for token in rest.chain([Token::Sign(',')]) {
            if !matches!(token, Token::Sign('(' | ')' | ',')) {
                argument.push(token);
                continue;
            }
            if let [key, Token::Sign('='), value, ..] = argument.as_slice()
                && let (Some(key), Some(value)) = (key.name(), value.name())
            {
                settings.push((key.to_ascii_lowercase(), value));
            }
            argument.clear();
        }
        Self { module, settings }
    }

    /// What follows `<name>_` in the names of its tables.
    pub(crate) fn suffixes(&self) -> Vec<&'static str> {
        let setting =
            |key: &str| self.settings.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
        // The texts are elsewhere, in a table of the application or nowhere: <https://sqlite.org/fts5.html>,
        // 4.4.
        let has_content = setting("content").is_none();
        match self.module.as_str() {
            "fts1" | "fts2" => vec!["content", "term", "segments", "segdir"],
            // content= is an option of FTS4; FTS3 takes it for a column.
            "fts3" => vec!["content", "segments", "segdir", "stat"],
            "fts4" => {
                let mut suffixes = vec!["segments", "segdir", "stat", "docsize"];
                suffixes.extend(has_content.then_some("content"));
                suffixes
            }
            "fts5" => {
                let mut suffixes = vec!["data", "idx", "config"];
                suffixes.extend(has_content.then_some("content"));
                suffixes.extend((setting("columnsize") != Some("0")).then_some("docsize"));
                suffixes
            }
            "rtree" | "rtree_i32" | "geopoly" => vec!["node", "parent", "rowid"],
            "spellfix1" => vec!["vocab"],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_with_the_texts_of_an_index_are_the_applications() {
        let suffixes = |sql: &str| {
            let mut suffixes = VirtualTable::parse(sql).suffixes();
            suffixes.sort_unstable();
            suffixes
        };
        assert_eq!(
            suffixes("CREATE VIRTUAL TABLE d USING fts5(a, b)"),
            ["config", "content", "data", "docsize", "idx"]
        );
        assert_eq!(
            suffixes("CREATE VIRTUAL TABLE d USING FTS5(a, content = 'd_content', columnsize=0)"),
            ["config", "data", "idx"]
        );
        let fts3 = ["content", "segdir", "segments", "stat"];
        assert_eq!(suffixes("CREATE VIRTUAL TABLE d USING fts3"), fts3);
        assert_eq!(suffixes("CREATE VIRTUAL TABLE d USING fts3(a, content=\"t\")"), fts3);
        assert_eq!(
            suffixes("CREATE VIRTUAL TABLE \"using fts5\" USING \"fts4\"(content=\"\", a)"),
            ["docsize", "segdir", "segments", "stat"]
        );
        assert_eq!(suffixes("CREATE VIRTUAL TABLE r USING rtree(id, a, b)"), ["node", "parent", "rowid"]);
        assert!(suffixes("CREATE VIRTUAL TABLE s USING VirtualSpatialIndex()").is_empty());
    }
}
