//! How are names and texts written in SQL?

use std::fmt::{self, Write as _};

/// A schema-qualified PostgreSQL name, unquoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QualifiedName {
    /// The schema.
    pub schema: String,
    /// The relation.
    pub name: String,
}

/// Keywords that cannot stand everywhere unquoted: reserved, function-or-type and column-name keywords of
/// PostgreSQL 14 to 18 together, sorted. One too many only costs two quotes.
/// <https://www.postgresql.org/docs/current/sql-keywords-appendix.html>
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Writes an identifier as PostgreSQL's `quote_identifier` does: bare where that is safe, else in double
/// quotes.
#[must_use]
pub fn quote(name: &str) -> String {
    let mut bytes = name.bytes();
    let is_safe = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && KEYWORDS.binary_search(&name).is_err();
    if is_safe { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Writes identifiers with commas between them.
#[must_use]
pub fn quote_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// Writes a string constant, also where `standard_conforming_strings` is off.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Writes a comment of SQL. Each of its lines is one, so that a line break in a name does not end it, whether
/// PostgreSQL reads it (to which a carriage return is one, too) or SQLite.
#[must_use]
pub fn comment(text: &str) -> String {
    let lines: Vec<String> = text.split(['\n', '\r']).map(|line| format!("-- {line}")).collect();
    lines.join("\n")
}

impl fmt::Display for QualifiedName {
    /// Schema and name, quoted where necessary; the name alone where the schema is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.schema.is_empty() {
            f.write_str(&quote(&self.schema))?;
            f.write_char('.')?;
        }
        f.write_str(&quote(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_quoted_as_quote_identifier_does() {
        assert!(KEYWORDS.is_sorted(), "the list is searched by halves");
        let bare = ["work_order", "_x1", "name", "type", "value", "oid"];
        assert!(bare.iter().all(|n| quote(n) == *n));
        for (name, quoted) in [
            ("Cari", "\"Cari\""),
            ("user", "\"user\""),
            ("order", "\"order\""),
            ("between", "\"between\""),
            ("left", "\"left\""),
            ("system_user", "\"system_user\""),
            ("1st", "\"1st\""),
            ("a b", "\"a b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("açıklama", "\"açıklama\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote(name), quoted);
        }
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn no_line_of_a_comment_is_anything_else() {
        assert_eq!(comment("one"), "-- one");
        assert_eq!(comment("a \"b\nDROP TABLE c;\r--\" d"), "-- a \"b\n-- DROP TABLE c;\n-- --\" d");
    }

    proptest! {
        #[test]
        fn a_quoted_name_reads_back(name in "\\PC{1,12}") {
            let quoted = quote(&name);
            if quoted.starts_with('"') {
                let inside = &quoted[1..quoted.len() - 1];
                prop_assert_eq!(inside.replace("\"\"", "\u{1}").contains('"'), false);
                prop_assert_eq!(inside.replace("\"\"", "\""), name);
            } else {
                prop_assert_eq!(quoted, name);
            }
        }
    }
}
