//! Which PostgreSQL type does a column get that the import creates, and why?
//!
//! The declared type decides; what the column holds decides only where the declaration says nothing.

use crate::catalogue::Table;
use crate::decl::{Affinity, DeclType};
use crate::finding::Typing;
use crate::option::Options;
use crate::policy::IntegerWidth;
use crate::profile::ColumnProfile;
use aliaport_rows::pg_type::{PgType, Shape};

/// The longest varchar and char that PostgreSQL takes, in characters (`MaxAttrSize`).
/// <https://www.postgresql.org/docs/current/datatype-character.html>
const MAX_VARCHAR: i64 = 10_485_760;

/// Integers up to 2^53 have an exact double; larger ones may not.
const MAX_EXACT: i64 = 1 << 53;

/// The first release whose numeric takes a scale outside 0 to precision.
const WIDE_SCALE_SINCE: u32 = 150_000;

/// Why a column has its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The declared type says so.
    Declared,
    /// It is the rowid (`INTEGER PRIMARY KEY`).
    RowidAlias,
    /// A CHECK allows 0 and 1 only.
    BooleanCheck,
    /// No or an unknown declared type: what the column holds says so.
    Content,
    /// No or an unknown declared type and no value: a guess by the affinity.
    Empty,
    /// An option says so.
    Option,
}

/// A column's type, why it has it, and what a DBA should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The type.
    pub pg_type: PgType,
    /// Why.
    pub reason: Reason,
    /// What is to be told of it.
    pub remark: Option<Typing>,
}

/// What is known of a column apart from its declared type.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColumnFacts<'a> {
    /// It is the rowid.
    pub is_rowid_alias: bool,
    /// A CHECK allows 0 and 1 only.
    pub has_boolean_check: bool,
    /// What it holds, where that was counted.
    pub profile: Option<&'a ColumnProfile>,
    /// `server_version_num` of the target.
    pub server_version: u32,
}

/// Decides a column's type.
#[must_use]
pub fn map(decl: &DeclType, facts: &ColumnFacts<'_>, options: &Options) -> Mapped {
    let plain = |pg_type, reason| Mapped { pg_type, reason, remark: None };
    if facts.is_rowid_alias {
        return plain(PgType::BigInt, Reason::RowidAlias);
    }
    let Some(family) = family(decl) else { return by_content(decl, facts.profile) };
    match family {
        Family::Integer | Family::Fixed(PgType::SmallInt | PgType::Integer | PgType::BigInt)
            if facts.has_boolean_check =>
        {
            plain(PgType::Boolean, Reason::BooleanCheck)
        }
        Family::Integer => {
            let pg_type = match options.integer {
                IntegerWidth::BigInt => PgType::BigInt,
                IntegerWidth::Integer => PgType::Integer,
            };
            plain(pg_type, Reason::Declared)
        }
        Family::Fixed(pg_type) => plain(pg_type, Reason::Declared),
        Family::Numeric => numeric(decl, facts.server_version),
        Family::Varchar => varchar(decl),
    }
}

/// Whether the type of one of a table's columns depends on what it holds.
#[must_use]
pub fn needs_profile(table: &Table, options: &Options) -> bool {
    table.columns.iter().enumerate().any(|(i, column)| {
        let asked = options.column(&table.name, &column.name);
        table.rowid_alias != Some(i)
            && !asked.is_some_and(|o| o.skip || o.pg_type.is_some())
            && family(&DeclType::parse(&column.declared_type)).is_none()
    })
}

enum Family {
    /// INTEGER and INT, whose width is an option.
    Integer,
    /// A type that has no arguments or whose arguments mean nothing here.
    Fixed(PgType),
    Numeric,
    Varchar,
}

/// The family of a type name; `None` for no or an unknown name. Fractional-second digits (`DATETIME(6)`) are
/// dropped on purpose: PostgreSQL would round to them, SQLite does not.
fn family(decl: &DeclType) -> Option<Family> {
    let is_unsigned = decl.name.split(' ').any(|w| w == "UNSIGNED");
    let words: Vec<&str> =
        decl.name.split(' ').filter(|w| !matches!(*w, "UNSIGNED" | "SIGNED" | "ZEROFILL")).collect();
    Some(match words.join(" ").as_str() {
        "INTEGER" | "INT" => Family::Integer,
        // UNSIGNED alone is MySQL's short form of INT UNSIGNED.
        "" if is_unsigned => Family::Integer,
        "BIGINT" | "BIG INT" | "INT8" | "INT64" | "UINT32" | "UINT64" | "LONG" | "BIGSERIAL" | "SERIAL8" => {
            Family::Fixed(PgType::BigInt)
        }
        "TINYINT" if decl.arguments == [1] => Family::Fixed(PgType::Boolean),
        "SMALLINT" if is_unsigned => Family::Fixed(PgType::Integer),
        "SMALLINT" | "TINYINT" | "INT2" | "INT16" | "SMALLSERIAL" => Family::Fixed(PgType::SmallInt),
        "MEDIUMINT" | "INT4" | "INT32" | "UINT16" | "SERIAL" => Family::Fixed(PgType::Integer),
        "BOOL" | "BOOLEAN" => Family::Fixed(PgType::Boolean),
        "REAL" | "FLOAT" | "DOUBLE" | "DOUBLE PRECISION" | "FLOAT4" | "FLOAT8" => {
            Family::Fixed(PgType::DoublePrecision)
        }
        "NUMERIC" | "DECIMAL" | "DEC" | "NUMBER" | "FIXED" | "MONEY" | "SMALLMONEY" | "CURRENCY" => {
            Family::Numeric
        }
        "VARCHAR"
        | "CHAR"
        | "NVARCHAR"
        | "NCHAR"
        | "CHARACTER"
        | "CHARACTER VARYING"
        | "CHAR VARYING"
        | "VARYING CHARACTER"
        | "NATIVE CHARACTER"
        | "NATIONAL CHARACTER"
        | "NATIONAL CHAR"
        | "NATIONAL CHARACTER VARYING"
        | "NATIONAL VARCHAR"
        | "VARCHAR2"
        | "NVARCHAR2" => Family::Varchar,
        "TEXT" | "CLOB" | "NTEXT" | "NCLOB" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "LONGVARCHAR"
        | "LONG VARCHAR" | "STRING" => Family::Fixed(PgType::Text),
        "DATE" => Family::Fixed(PgType::Date),
        "TIME" | "TIME WITHOUT TIME ZONE" => Family::Fixed(PgType::Time(None)),
        "DATETIME"
        | "TIMESTAMP"
        | "TIMESTAMPTZ"
        | "TIMESTAMP WITH TIME ZONE"
        | "DATETIME2"
        | "SMALLDATETIME"
        | "DATETIMEOFFSET" => Family::Fixed(PgType::TimestampTz(None)),
        "TIMESTAMP WITHOUT TIME ZONE" => Family::Fixed(PgType::Timestamp(None)),
        "JSON" | "JSONB" => Family::Fixed(PgType::Jsonb),
        "INET" => Family::Fixed(PgType::Inet),
        "CIDR" => Family::Fixed(PgType::Cidr),
        "UUID" | "GUID" | "UNIQUEIDENTIFIER" => Family::Fixed(PgType::Uuid),
        "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "BINARY" | "VARBINARY" | "BYTEA" | "IMAGE" => {
            Family::Fixed(PgType::Bytea)
        }
        _ => return None,
    })
}

fn numeric(decl: &DeclType, server_version: u32) -> Mapped {
    // NUMERIC(p) is NUMERIC(p,0) in SQL.
    let (precision_scale, remark) = match *decl.arguments.as_slice() {
        [] => (None, None),
        [precision] => limit(precision, 0, server_version),
        [precision, scale, ..] => limit(precision, scale, server_version),
    };
    Mapped { pg_type: PgType::Numeric { precision_scale }, reason: Reason::Declared, remark }
}

/// The type modifier, or none and why not.
/// <https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-NUMERIC-DECIMAL>
fn limit(precision: i64, scale: i64, server_version: u32) -> (Option<(u16, i16)>, Option<Typing>) {
    let scales = if server_version >= WIDE_SCALE_SINCE { -1000..=1000 } else { 0..=precision };
    match (u16::try_from(precision), i16::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=1000).contains(&p) && scales.contains(&scale) => (Some((p, s)), None),
        _ => (None, Some(Typing::Unlimited(precision, scale))),
    }
}

fn varchar(decl: &DeclType) -> Mapped {
    let mut remark = None;
    let pg_type = match decl.arguments.first() {
        None => PgType::Varchar(None),
        Some(&n) => match u32::try_from(n) {
            Ok(length) if (1..=MAX_VARCHAR).contains(&n) => PgType::Varchar(Some(length)),
            _ => {
                remark = Some(Typing::Unbounded(n));
                PgType::Text
            }
        },
    };
    Mapped { pg_type, reason: Reason::Declared, remark }
}

fn by_content(decl: &DeclType, profile: Option<&ColumnProfile>) -> Mapped {
    let held = profile.map(|p| (p.integers > 0, p.reals > 0, p.texts > 0, p.blobs > 0));
    let content = |pg_type| Mapped { pg_type, reason: Reason::Content, remark: None };
    let (Some(profile), Some(held)) = (profile, held) else { return by_affinity(decl) };
    match held {
        (false, false, false, false) => by_affinity(decl),
        (true, false, false, false) => content(PgType::BigInt),
        (false, true, false, false) => content(PgType::DoublePrecision),
        (true, true, false, false) => {
            let (low, high) = profile.integer_range.unwrap_or((i64::MIN, i64::MAX));
            let is_exact = low >= -MAX_EXACT && high <= MAX_EXACT;
            // An integer that a double cannot hold keeps all its digits in numeric.
            content(if is_exact {
                PgType::DoublePrecision
            } else {
                PgType::Numeric { precision_scale: None }
            })
        }
        (false, false, true, false) => content(PgType::Text),
        (false, false, false, true) => content(PgType::Bytea),
        _ => {
            let counts = [profile.integers, profile.reals, profile.texts, profile.blobs];
            Mapped { remark: Some(Typing::Mixed(decl.name.clone(), counts)), ..content(PgType::Text) }
        }
    }
}

fn by_affinity(decl: &DeclType) -> Mapped {
    let pg_type = match decl.affinity {
        Affinity::Integer => PgType::BigInt,
        Affinity::Real => PgType::DoublePrecision,
        Affinity::Numeric => PgType::Numeric { precision_scale: None },
        // A column of no type is most often text.
        Affinity::Text | Affinity::Blob => PgType::Text,
    };
    Mapped { pg_type, reason: Reason::Empty, remark: None }
}

/// The type that a caller names, by PostgreSQL's own names and aliases; any other name is taken as it is.
///
/// `None` where the text cannot be a type name or its modifier is out of range.
#[must_use]
pub fn named_type(text: &str) -> Option<PgType> {
    if !looks_like_a_type(text) {
        return None;
    }
    let decl = DeclType::parse(text);
    let other = || Some(PgType::other(text.trim()));
    let arguments = decl.arguments.as_slice();
    if let Some((element, _)) = text.split_once('[').filter(|_| !text.contains('"')) {
        let element = Box::new(named_type(element)?);
        let delimiter = if element.to_string() == "box" { b';' } else { b',' };
        return Some(PgType::Other {
            name: text.trim().to_owned(),
            shape: Shape::Array { element, delimiter },
        });
    }
    if text.contains(['[', '"', '.']) || (text.contains('(') && arguments.is_empty()) {
        return other();
    }
    let digits = || match arguments {
        [] => Some(None),
        [n] => u8::try_from(*n).ok().filter(|n| *n <= 6).map(Some),
        _ => None,
    };
    let length = || match arguments {
        [] => Some(None),
        [n] if (1..=MAX_VARCHAR).contains(n) => u32::try_from(*n).ok().map(Some),
        _ => None,
    };
    if let Some(plain) = PgType::of_name(&decl.name.to_ascii_lowercase()) {
        return arguments.is_empty().then_some(plain);
    }
    match decl.name.as_str() {
        // float(1) to float(24) is real, float(25) to float(53) double precision.
        "FLOAT" => match arguments {
            [] | [25..=53] => Some(PgType::DoublePrecision),
            [1..=24] => Some(PgType::Real),
            _ => None,
        },
        "NUMERIC" | "DECIMAL" | "DEC" => match *arguments {
            [] => Some(PgType::Numeric { precision_scale: None }),
            [p] | [p, 0] => limit(p, 0, u32::MAX).0.map(|l| PgType::Numeric { precision_scale: Some(l) }),
            [p, s] => limit(p, s, u32::MAX).0.map(|l| PgType::Numeric { precision_scale: Some(l) }),
            _ => None,
        },
        "VARCHAR" | "CHARACTER VARYING" | "CHAR VARYING" => length().map(PgType::Varchar),
        "CHAR" | "CHARACTER" => length().map(|n| PgType::Char(n.unwrap_or(1))),
        "TIME" | "TIME WITHOUT TIME ZONE" => digits().map(PgType::Time),
        "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => digits().map(PgType::Timestamp),
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => digits().map(PgType::TimestampTz),
        "TIMETZ" | "TIME WITH TIME ZONE" => digits().map(|digits| {
            let digits = digits.map(|n| format!("({n})")).unwrap_or_default();
            PgType::other(format!("time{digits} with time zone"))
        }),
        name if name == "MONEY" || name.split(' ').next() == Some("INTERVAL") => {
            Some(PgType::other(text.trim().to_ascii_lowercase()))
        }
        name => match range(name) {
            Some(shape) if arguments.is_empty() => {
                Some(PgType::Other { name: text.trim().to_ascii_lowercase(), shape })
            }
            _ => other(),
        },
    }
}

/// The range types of PostgreSQL's own.
fn range(name: &str) -> Option<Shape> {
    let (bound, is_range) = match name.strip_suffix("MULTIRANGE") {
        Some(bound) => (bound, false),
        None => (name.strip_suffix("RANGE")?, true),
    };
    let bound = Box::new(match bound {
        "INT4" => PgType::Integer,
        "INT8" => PgType::BigInt,
        "NUM" => PgType::Numeric { precision_scale: None },
        "TS" => PgType::Timestamp(None),
        "TSTZ" => PgType::TimestampTz(None),
        "DATE" => PgType::Date,
        _ => return None,
    });
    Some(if is_range { Shape::Range(bound) } else { Shape::Multirange(bound) })
}

/// A name, perhaps quoted and qualified, with a modifier and brackets at most: nothing that could end the
/// column definition it is put into.
fn looks_like_a_type(text: &str) -> bool {
    let mut is_quoted = false;
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\0' => return false,
            _ if is_quoted => {}
            '(' if depth == 0 => depth = 1,
            ')' if depth == 1 => depth = 0,
            ',' if depth == 1 => {}
            '-' | '+' if depth == 1 => {}
            '_' | '.' | ' ' | '[' | ']' | '$' => {}
            c if c.is_alphanumeric() => {}
            _ => return false,
        }
    }
    !is_quoted
        && depth == 0
        && text.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Column;
    use proptest::prelude::*;

    fn mapped(declared: &str, facts: &ColumnFacts<'_>) -> String {
        map(&DeclType::parse(declared), facts, &Options::default()).pg_type.to_string()
    }

    #[test]
    fn declared_types_map_as_the_manual_says() {
        let table: &[(&str, &str)] = &[
            ("bigint", "INTEGER;INT;BIGINT;UNSIGNED BIG INT;int8;INT UNSIGNED;INT(11);LONG"),
            ("smallint", "SMALLINT;TINYINT;TINYINT(4);TINYINT UNSIGNED;INT2"),
            ("integer", "MEDIUMINT;INT4;SMALLINT UNSIGNED"),
            ("boolean", "TINYINT(1);BOOL;BOOLEAN"),
            ("double precision", "REAL;FLOAT;DOUBLE;DOUBLE PRECISION;FLOAT(10,2)"),
            ("numeric", "NUMERIC;DECIMAL;NUMERIC(0);DECIMAL(1001,2);NUMERIC(-5,2);NUMERIC(5,99999)"),
            ("inet", "INET;inet"),
            ("cidr", "CIDR"),
            ("numeric(15,2)", "NUMERIC(15,2);decimal( 15, 2 )"),
            ("numeric(18,0)", "DECIMAL(18)"),
            ("character varying(20)", "VARCHAR(20);CHAR(20);NVARCHAR(20);NCHAR(20);CHARACTER VARYING(20)"),
            ("character varying", "VARCHAR;CHAR;VARCHAR(MAX)"),
            ("text", "TEXT;CLOB;LONGTEXT;CHAR(0);VARCHAR(-3);VARCHAR(10485761);STRING;TEXT(50)"),
            ("date", "DATE"),
            ("time without time zone", "TIME"),
            (
                "timestamp with time zone",
                "DATETIME;TIMESTAMP;DATETIME(6);TIMESTAMPTZ;timestamp with time zone",
            ),
            ("timestamp without time zone", "TIMESTAMP WITHOUT TIME ZONE"),
            ("jsonb", "JSON"),
            ("uuid", "UUID;uniqueidentifier"),
            ("bytea", "BLOB;VARBINARY(16)"),
        ];
        for (expected, names) in table {
            for declared in names.split(';') {
                assert_eq!(&mapped(declared, &ColumnFacts::default()), expected, "{declared}");
            }
        }
    }

    #[test]
    fn a_rowid_alias_is_bigint_and_a_boolean_check_makes_an_integer_boolean() {
        let narrow = Options { integer: IntegerWidth::Integer, ..Options::default() };
        let integer = DeclType::parse("INTEGER");
        let alias = ColumnFacts { is_rowid_alias: true, ..ColumnFacts::default() };
        assert_eq!(map(&integer, &alias, &narrow).pg_type, PgType::BigInt);
        assert_eq!(map(&integer, &ColumnFacts::default(), &narrow).pg_type, PgType::Integer);
        let checked = ColumnFacts { has_boolean_check: true, ..ColumnFacts::default() };
        assert_eq!(mapped("INTEGER", &checked), "boolean");
        assert_eq!(mapped("TEXT", &checked), "text");
    }

    #[test]
    fn the_scale_of_numeric_depends_on_the_server() {
        let at = |server_version| {
            mapped("NUMERIC(3,5)", &ColumnFacts { server_version, ..ColumnFacts::default() })
        };
        assert_eq!((at(140_010).as_str(), at(150_000).as_str()), ("numeric", "numeric(3,5)"));
    }

    #[test]
    fn content_decides_where_nothing_is_declared() {
        let held = |integers, reals, texts, blobs, range| {
            let profile = ColumnProfile {
                integers,
                reals,
                texts,
                blobs,
                integer_range: range,
                ..ColumnProfile::default()
            };
            let mapped = map(
                &DeclType::parse("WIDGET"),
                &ColumnFacts { profile: Some(&profile), ..ColumnFacts::default() },
                &Options::default(),
            );
            (mapped.pg_type.to_string(), matches!(mapped.remark, Some(Typing::Mixed(..))))
        };
        let is = |text: &str| (text.to_owned(), false);
        assert_eq!(held(3, 0, 0, 0, Some((1, 3))), is("bigint"));
        assert_eq!(held(3, 1, 0, 0, Some((1, 3))), is("double precision"));
        assert_eq!(held(3, 1, 0, 0, Some((1, MAX_EXACT + 1))), is("numeric"));
        assert_eq!(held(0, 0, 2, 0, None), is("text"));
        assert_eq!(held(0, 0, 0, 2, None), is("bytea"));
        assert_eq!(held(1, 0, 1, 0, Some((1, 1))), ("text".to_owned(), true));
        assert_eq!(held(0, 0, 0, 0, None), is("numeric"));
    }

    #[test]
    fn only_tables_with_an_unclear_column_are_profiled() {
        let table = |declared: &str| Table {
            name: "t".to_owned(),
            columns: vec![Column {
                name: "c".to_owned(),
                declared_type: declared.to_owned(),
                ..Column::default()
            }],
            ..Table::default()
        };
        assert!(needs_profile(&table(""), &Options::default()));
        assert!(needs_profile(&table("GEOMETRY"), &Options::default()));
        assert!(!needs_profile(&table("varchar(3)"), &Options::default()));
        let value =
            serde_json::json!({"tables": {"T": {"columns": {"C": {"type": "geometry(Point,4326)"}}}}});
        assert!(!needs_profile(&table("GEOMETRY"), &Options::parse(&value).unwrap()));
    }

    #[test]
    fn a_named_type_prints_as_postgresql_prints_it() {
        let table: &[(&str, Option<&str>)] = &[
            ("int", Some("integer")),
            ("VARCHAR(20)", Some("character varying(20)")),
            ("timestamp(3) with time zone", Some("timestamp(3) with time zone")),
            ("timestamptz", Some("timestamp with time zone")),
            ("decimal(10,2)", Some("numeric(10,2)")),
            ("char", Some("character(1)")),
            ("text[]", Some("text[]")),
            ("numeric(6,2)[][3]", Some("numeric(6,2)[][3]")),
            ("TIMETZ(3)", Some("time(3) with time zone")),
            ("INTERVAL DAY TO SECOND(3)", Some("interval day to second(3)")),
            ("TSTZRANGE", Some("tstzrange")),
            ("varchar(0)[]", None),
            ("geometry(Point,4326)", Some("geometry(Point,4326)")),
            ("my.\"Odd;Type\"", Some("my.\"Odd;Type\"")),
            ("varchar(0)", None),
            ("timestamp(7)", None),
            ("int); DROP TABLE x", None),
            ("text'", None),
            ("", None),
        ];
        for (given, expected) in table {
            assert_eq!(named_type(given).map(|t| t.to_string()).as_deref(), *expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn numbers_in_a_declaration_never_make_a_type_that_postgresql_refuses(
            p in any::<i64>(), s in any::<i64>(), small in -5_i64..1100, version in 130_000_u32..190_000,
        ) {
            for declared in [format!("NUMERIC({p},{s})"), format!("NUMERIC({small},{s})"), format!("DECIMAL({p},{small})")] {
                let facts = ColumnFacts { server_version: version, ..ColumnFacts::default() };
                if let PgType::Numeric { precision_scale: Some((p, s)) } =
                    map(&DeclType::parse(&declared), &facts, &Options::default()).pg_type
                {
                    prop_assert!((1..=1000).contains(&p) && (-1000..=1000).contains(&s));
                    prop_assert!(version >= 150_000 || (0..=i32::from(p)).contains(&i32::from(s)));
                }
            }
        }
    }
}
