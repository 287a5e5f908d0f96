//! `boolean`, the integers, the floating-point types, `uuid`, the character types and enums.

use aliaport_rows::convert::Rules;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Value;
use pgrx::prelude::*;
use proptest::prelude::*;

use super::server::{Oracle, float8out};
use super::texts::{for_all, like, one_of, spoiled};
use crate::pg::server::spi;

/// Runs texts through a type; `is_deviation` says where PostgreSQL differs on purpose.
fn agree(pg_type: PgType, cases: u32, texts: impl Strategy<Value = String>, is_deviation: fn(&str) -> bool) {
    let mut oracle = Oracle::new(pg_type, &Rules::default());
    for_all(cases, texts, |text| {
        let case = oracle.case(&text);
        let is_fine = case.is_equal() || case.is_too_large_to_be_looked_at() || is_deviation(&text);
        if is_fine { Ok(()) } else { Err(oracle.describe(&case)) }
    });
}

fn nowhere(_: &str) -> bool {
    false
}

/// What PostgreSQL 16 and later read besides: other bases, and underscores between digits. Our rule is that
/// of 15.
fn is_newer_integer(text: &str) -> bool {
    cfg!(any(feature = "pg16", feature = "pg17", feature = "pg18"))
        && text.contains(['_', 'x', 'X', 'o', 'O', 'b', 'B'])
}

/// Hexadecimal floats and `nan(...)`, which `strtod` of the C library adds. Whether a server has them depends
/// on its C library.
fn is_of_the_c_library(text: &str) -> bool {
    text.contains(['x', 'X', '('])
}

fn boolean() -> impl Strategy<Value = String> {
    prop_oneof![
        like(
            "[ \t\n]?(t|f|y|n|o|1|0|tr|tru|true|TRUE|fa|fals|false|ye|yes|no|on|of|off|On|OFF|2|01|10|00|-1|\\+1|1\\.0|T|F|N|Y)[ \r]?"
        ),
        one_of(&[
            "",
            " ",
            "maybe",
            "truee",
            "yess",
            "offf",
            "onn",
            "nope",
            "null",
            "ja",
            "evet",
            "true false"
        ]),
        like("[tfynou01rasel]{0,6}"),
    ]
}

fn integer() -> impl Strategy<Value = String> {
    prop_oneof![
        like("[ \t]?[-+]?[0-9]{1,5}[ \n]?"),
        like("[-+]?[0-9]{8,20}"),
        (any::<i64>(), 0..=62u32).prop_map(|(n, shift)| (n >> shift).to_string()),
        one_of(&[
            "",
            " ",
            "-",
            "+",
            "--1",
            "+-1",
            "- 1",
            "1 2",
            "1.0",
            "1e3",
            "0x1f",
            "0b1",
            "0o7",
            "1_000",
            "32767",
            "32768",
            "-32768",
            "-32769",
            "2147483647",
            "2147483648",
            "-2147483648",
            "-2147483649",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "00000000000000000000000000000001",
            "-0",
            "99999999999999999999x",
            "x99999999999999999999",
            "\u{a0}1",
            "١",
        ]),
    ]
}

fn float() -> impl Strategy<Value = String> {
    prop_oneof![
        like("[ \t]?[-+]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][-+]?[0-9]{1,3})?[ \n]?"),
        any::<u64>().prop_map(|bits| format!("{:e}", f64::from_bits(bits))),
        any::<u32>().prop_map(|bits| format!("{:e}", f32::from_bits(bits))),
        like("[1-9]\\.?[0-9]{15,40}"),
        like("[0-9]\\.[0-9]{1,17}[eE](-3[0-9]{2}|\\+?3[0-9]{2}|-4[0-9]|\\+?3[0-9])"),
        one_of(&[
            "",
            " ",
            ".",
            "-",
            "+",
            "e5",
            ".5",
            "5.",
            "-.5e-3",
            "1e",
            "1e+",
            "1e 5",
            "1 e5",
            "1,5",
            "1_0",
            "nan",
            "NaN",
            "-nan",
            "+nan",
            "nanx",
            "inf",
            "-inf",
            "+INF",
            "infinity",
            "-Infinity",
            "infinit",
            "1e400",
            "-1e400",
            "1e-400",
            "0e999999",
            "1e99999999999999999999",
            "5e-324",
            "2e-324",
            "3e-324",
            "1e-45",
            "7e-46",
            "8e-46",
            "3.4028235e38",
            "3.4028236e38",
            "3.40282357e38",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "2.2250738585072011e-308",
            "9007199254740993",
            "9007199254740992.9999999999999999999",
            "0.1",
            "16777217",
        ]),
    ]
}

fn uuid() -> impl Strategy<Value = String> {
    prop_oneof![
        like("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        like("[0-9a-fA-F]{32}"),
        like("\\{[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\\}"),
        like("([0-9a-f]{4}-?){7}[0-9a-f]{4}"),
    ]
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        like("[0-9]{1,3}(\\.[0-9]{1,3}){0,4}\\.?(/[0-9]{0,3})?"),
        like("(10|172|192|224|239|240|255)(\\.(0|1|16|255)){0,3}(/([0-9]|[12][0-9]|3[0-3]))?"),
        like("0[xX][0-9a-fA-F]{0,9}(/[0-9]{1,2})?"),
        like("[0-9]{1,2}/429496[0-9]{4}"),
        like(":{0,2}([0-9a-fA-F]{0,4}:){0,8}[0-9a-fA-F]{0,5}(/[0-9]{0,3})?"),
        like("([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}:?(/(0|64|127|128))?"),
        like("([0-9a-f]{0,4}:){2,6}[0-9]{0,3}(\\.[0-9]{0,3}){0,4}(/[0-9]{1,3})?"),
        any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
        any::<[u16; 8]>().prop_map(|words| std::net::Ipv6Addr::from(words.map(|w| if w % 3 == 0 {
            w
        } else {
            0
        }))
        .to_string()),
    ]
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    /// A type that has a converter is known by its OID, and nothing else about it differs from the catalogue.
    #[pg_test]
    fn types_are_those_of_the_catalogue() {
        let sql = "SELECT oid, format_type(oid, -1), typlen, CASE typalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END \
                   FROM pg_type WHERE typtype = 'b'";
        let found = spi::rows_for_caller(sql, &[], |row| {
            let oid = row.get::<pgrx::pg_sys::Oid>(1)?.unwrap().to_u32();
            Ok((
                oid,
                row.get::<String>(2)?.unwrap(),
                row.get::<i16>(3)?.unwrap(),
                row.get::<i32>(4)?.unwrap(),
            ))
        })
        .unwrap();
        let mut known = 0;
        for (oid, name, length, align) in found {
            let Some(pg_type) = PgType::of_oid(oid, -1) else { continue };
            assert_eq!(pg_type.to_string(), name);
            let attributes = aliaport_rows::digest::attributes(&[&pg_type]).unwrap();
            assert_eq!((attributes[0].length, i32::from(attributes[0].align)), (length, align), "{name}");
            known += 1;
        }
        assert_eq!(known, 19);
    }

    #[pg_test]
    fn oracle_inet() {
        for pg_type in [PgType::Inet, PgType::Cidr] {
            agree(pg_type.clone(), 8000, address(), nowhere);
            agree(pg_type, 4000, spoiled(address(), "0123456789abfxX.:/ %"), nowhere);
        }
    }

    #[pg_test]
    fn oracle_boolean() {
        agree(PgType::Boolean, 5000, boolean(), nowhere);
        agree(PgType::Boolean, 3000, spoiled(boolean(), "tfynoseru01 "), nowhere);
    }

    #[pg_test]
    fn oracle_integer() {
        for pg_type in [PgType::SmallInt, PgType::Integer, PgType::BigInt] {
            agree(pg_type.clone(), 4000, integer(), is_newer_integer);
            agree(pg_type, 2000, spoiled(integer(), "0123456789-+ .ex_\u{b}"), is_newer_integer);
        }
    }

    #[pg_test]
    fn oracle_float() {
        for pg_type in [PgType::DoublePrecision, PgType::Real] {
            agree(pg_type.clone(), 8000, float(), is_of_the_c_library);
            agree(pg_type, 4000, spoiled(float(), "0123456789.eE+- infa\t"), is_of_the_c_library);
        }
    }

    #[pg_test]
    fn oracle_uuid() {
        agree(PgType::Uuid, 3000, uuid(), nowhere);
        agree(PgType::Uuid, 3000, spoiled(uuid(), "0123456789abcdefgG-{} "), nowhere);
    }

    #[pg_test]
    fn oracle_text() {
        let text = || {
            prop_oneof![
                like("[a-z ]{0,12}"),
                like("[a-zçğıİöşüß€😀 \t]{0,12}"),
                like("[abç]{0,4} {0,12}"),
                any::<String>().prop_map(|text| text.replace('\0', "")),
            ]
        };
        assert_eq!(
            spi::one_for_caller::<String>("SELECT current_setting('server_encoding')", &[])
                .unwrap()
                .as_deref(),
            Some("UTF8")
        );
        for pg_type in
            [PgType::Text, PgType::Varchar(None), PgType::Varchar(Some(1)), PgType::Varchar(Some(5))]
        {
            agree(pg_type, 2000, text(), nowhere);
        }
        for length in [1, 5, 300] {
            agree(PgType::Char(length), 2000, text(), nowhere);
        }
    }

    /// A number in a text column has the text that PostgreSQL would show for it.
    #[pg_test]
    fn oracle_text_of_numbers() {
        let mut oracle = Oracle::new(PgType::Text, &Rules::default());
        for_all(3000, any::<i64>(), |v| {
            let case = oracle.case_of(Value::Integer(v), &v.to_string());
            if case.is_equal() { Ok(()) } else { Err(oracle.describe(&case)) }
        });
        let double = prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (any::<i32>(), 0..=9i32).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places)),
            // Around the ends of the notation without an exponent.
            (1..1_000_000u32, 8..=18i32).prop_map(|(n, places)| f64::from(n) * 10f64.powi(places)),
            (1..1000u32, 3..=9i32).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places)),
        ];
        for_all(3000, double.prop_filter("SQLite stores no NaN", |v| !v.is_nan()), |v| {
            let text = float8out(v);
            let case = oracle.case_of(Value::Real(v), &text);
            // PostgreSQL does not always find the shortest decimal (1e23); Rust does.
            let ours = String::from_utf8(case.ours.as_ref().unwrap().bytes.clone()).unwrap();
            let is_shorter = ours.len() < text.len() && ours.parse() == Ok(v);
            if case.is_equal() || is_shorter { Ok(()) } else { Err(oracle.describe(&case)) }
        });
    }

    #[pg_test]
    fn oracle_enum() {
        spi::run_for_caller("CREATE TYPE state AS ENUM ('DRAFT', 'draft', 'in progress', 'çekek', '', '1')")
            .unwrap();
        let labels = spi::rows_for_caller("SELECT enumlabel::text, oid FROM pg_enum WHERE enumtypid = 'state'::regtype ORDER BY enumsortorder", &[], |row| {
            Ok((row.get::<String>(1)?.unwrap(), row.get::<pgrx::pg_sys::Oid>(2)?.unwrap().to_u32()))
        })
        .unwrap();
        let label = || one_of(&["DRAFT", "draft", "in progress", "çekek", "", "1", "Draft", " draft", "2"]);
        let pg_type = PgType::Enum { name: "state".to_owned(), labels };
        agree(pg_type.clone(), 200, label(), nowhere);
        agree(pg_type, 500, spoiled(label(), "draftDRAFT çe1"), nowhere);
    }
}
