//! What does a declared column type say? SQLite takes any words as a type; this reads them without judging
//! them.

/// SQLite's type affinity (<https://sqlite.org/datatype3.html>, section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Text that looks like a number becomes one, if nothing is lost.
    #[default]
    Numeric,
    /// As numeric, and 3.0 becomes 3.
    Integer,
    /// Integers become floating point.
    Real,
    /// Numbers become text.
    Text,
    /// Nothing is converted.
    Blob,
}

/// A declared type, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclType {
    /// The words outside the parentheses in ASCII upper case with one space between them; empty without a
    /// type.
    pub name: String,
    /// The integers in the parentheses; empty where there are none or where one of them is no integer.
    pub arguments: Vec<i64>,
    /// The affinity that SQLite gives the column.
    pub affinity: Affinity,
}

impl DeclType {
    /// Reads a declared type. Nothing is an error: what cannot be read as a number in parentheses is left
    /// out.
    #[must_use]
    pub fn parse(text: &str) -> DeclType {
        let (head, rest) = text.split_once('(').unwrap_or((text, ""));
        let (inside, tail) = rest.split_once(')').unwrap_or((rest, ""));
        let arguments: Option<Vec<i64>> = inside.split(',').map(|a| a.trim().parse().ok()).collect();
        let words = head.split_whitespace().chain(tail.split_whitespace());
        let name: Vec<String> =
            words.map(|w| w.trim_matches(['"', '\'', '`', '[', ']']).to_ascii_uppercase()).collect();
        DeclType {
            name: name.join(" ").trim().to_owned(),
            arguments: arguments.unwrap_or_default(),
            affinity: affinity(text),
        }
    }
}

/// The five rules of <https://sqlite.org/datatype3.html>, section 3.1, in their order.
#[must_use]
pub fn affinity(declared: &str) -> Affinity {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|w| upper.contains(w));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if upper.trim().is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn affinity_follows_the_table_of_section_3_1_1() {
        let examples: &[(&str, Affinity)] = &[
            ("INT INTEGER TINYINT SMALLINT MEDIUMINT BIGINT UNSIGNED_BIG_INT INT2 INT8", Affinity::Integer),
            (
                "CHARACTER(20) VARCHAR(255) NCHAR(55) NVARCHAR(100) TEXT CLOB NATIVE_CHARACTER(70)",
                Affinity::Text,
            ),
            ("BLOB", Affinity::Blob),
            ("REAL DOUBLE DOUBLE_PRECISION FLOAT", Affinity::Real),
            ("NUMERIC DECIMAL(10,5) BOOLEAN DATE DATETIME STRING", Affinity::Numeric),
            // The page names these two as surprises.
            ("FLOATING_POINT CHARINT", Affinity::Integer),
        ];
        for (names, expected) in examples {
            for name in names.split(' ') {
                let declared = name.replace('_', " ").to_lowercase();
                assert_eq!(DeclType::parse(&declared).affinity, *expected, "{declared}");
            }
        }
        assert_eq!(affinity(""), Affinity::Blob);
    }

    #[test]
    fn name_and_arguments_are_taken_apart() {
        let parse = |text| {
            let decl = DeclType::parse(text);
            (decl.name, decl.arguments)
        };
        assert_eq!(parse("  decimal ( 10 , +2 ) "), ("DECIMAL".to_owned(), vec![10, 2]));
        assert_eq!(parse("unsigned   big int"), ("UNSIGNED BIG INT".to_owned(), vec![]));
        assert_eq!(parse("timestamp(3) with time zone"), ("TIMESTAMP WITH TIME ZONE".to_owned(), vec![3]));
        assert_eq!(parse("varchar(max)"), ("VARCHAR".to_owned(), vec![]));
        assert_eq!(parse("\"varchar\"(-1"), ("VARCHAR".to_owned(), vec![-1]));
        assert_eq!(parse("char(99999999999999999999)"), ("CHAR".to_owned(), vec![]));
        assert_eq!(parse(""), (String::new(), vec![]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_type(text in "\\PC{0,40}") {
            let decl = DeclType::parse(&text);
            prop_assert_eq!(decl.name.trim(), &decl.name);
        }
    }
}
