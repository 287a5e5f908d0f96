//! All converters at once: what a hostile file can do to them, and what their errors say.

use proptest::prelude::*;

use super::*;

fn converters() -> Vec<(PgType, Converter)> {
    let types = [
        PgType::Boolean,
        PgType::SmallInt,
        PgType::Integer,
        PgType::BigInt,
        PgType::Real,
        PgType::DoublePrecision,
        PgType::Numeric { precision_scale: None },
        PgType::Numeric { precision_scale: Some((15, 2)) },
        PgType::Numeric { precision_scale: Some((1000, 1000)) },
        PgType::Numeric { precision_scale: Some((1, -1000)) },
        PgType::Text,
        PgType::Varchar(Some(3)),
        PgType::Char(3),
        PgType::Citext,
        PgType::Bytea,
        PgType::Date,
        PgType::Time(Some(0)),
        PgType::Timestamp(Some(6)),
        PgType::TimestampTz(None),
        PgType::Json,
        PgType::Jsonb,
        PgType::Uuid,
        PgType::Enum { name: "e".to_owned(), labels: vec![("a".to_owned(), 1)] },
        PgType::Inet,
        PgType::Cidr,
        PgType::other("macaddr"),
        PgType::other("interval day to second(3)"),
        PgType::other("time(0) with time zone"),
        PgType::other("money"),
        shaped(Shape::Array {
            element: Box::new(PgType::Numeric { precision_scale: Some((6, 2)) }),
            delimiter: b',',
        }),
        shaped(Shape::Array { element: Box::new(PgType::Jsonb), delimiter: b',' }),
        shaped(Shape::Array { element: Box::new(PgType::other("box")), delimiter: b';' }),
        shaped(Shape::Range(Box::new(PgType::TimestampTz(None)))),
        shaped(Shape::Multirange(Box::new(PgType::Integer))),
        shaped(Shape::Composite(vec![PgType::Date, PgType::Text])),
        shaped(Shape::Domain(Box::new(PgType::BigInt))),
    ];
    let rules = [
        Rules::default(),
        Rules {
            zone: Zone::parse("America/New_York").unwrap(),
            number: NumberUnit::UnixMicros,
            ..Rules::default()
        },
        Rules {
            zone: Zone::parse("Asia/Kathmandu").unwrap(),
            number: NumberUnit::Julian,
            ..Rules::default()
        },
    ];
    types
        .iter()
        .flat_map(|pg_type| rules.iter().map(|rules| (pg_type.clone(), Converter::new(pg_type, rules))))
        .collect()
}

fn shaped(shape: Shape) -> PgType {
    PgType::Other { name: "t".to_owned(), shape }
}

fn check(value: Value) -> Result<(), TestCaseError> {
    let mut scratch = Scratch::default();
    for (pg_type, converter) in converters() {
        if let Err(error) = converter.convert(value, &mut scratch) {
            prop_assert_eq!(error.sqlstate().word().len(), 5);
            let message = error.to_string();
            prop_assert!(!message.ends_with('.') && !message.contains('\0'), "{} {}", pg_type, message);
            prop_assert!(error.hint("t", "c").ends_with('.'));
            if let Some(detail) = error.detail() {
                prop_assert!(detail.ends_with('.') && !detail.contains('\0'), "{} {}", pg_type, detail);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_value_makes_a_converter_panic(
        integer in any::<i64>(),
        bits in any::<u64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        text in "[-+0-9eE.:TZ a\\{\\}\\[\\]\",\\\\]{0,40}",
    ) {
        check(Value::Null)?;
        check(Value::Integer(integer))?;
        check(Value::Real(f64::from_bits(bits)))?;
        check(Value::Blob(&bytes))?;
        check(Value::Text(&bytes))?;
        check(Value::Text(text.as_bytes()))?;
    }
}

#[test]
fn the_edges_of_numbers_make_no_converter_panic() {
    for v in [0, 1, -1, i64::MIN, i64::MAX, i64::MIN + 1, 100_000_000_000, 99_999_999_999_999_999] {
        check(Value::Integer(v)).unwrap();
    }
    let infinite = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let finite = [0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 9.3e18, -9.3e18, 1e15, 1e-5];
    for v in infinite.into_iter().chain(finite) {
        check(Value::Real(v)).unwrap();
    }
}

#[test]
fn nothing_is_bad_about_null_and_no_blob_becomes_text() {
    let mut scratch = Scratch::default();
    for (pg_type, converter) in converters() {
        assert_eq!(converter.convert(Value::Null, &mut scratch).unwrap(), Converted::exact(Cell::Null));
        let blob = converter.convert(Value::Blob(b"1"), &mut scratch);
        assert_eq!(blob.is_ok(), pg_type == PgType::Bytea, "{pg_type}");
        let empty = converter.convert(Value::Text(b""), &mut scratch);
        let takes_empty = matches!(
            pg_type,
            PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Citext | PgType::Bytea
        ) || pg_type == PgType::other("macaddr");
        assert_eq!(empty.is_ok(), takes_empty, "{pg_type}");
    }
}
