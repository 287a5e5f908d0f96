//! Both sides of the digest through real converters.

use proptest::prelude::*;

use super::cross_check::{PackedDate, date_of_days, eight_digits};
use super::*;
use crate::convert::{Converter, Rules, Scratch};

fn types() -> Vec<PgType> {
    let labels = vec![("open".to_owned(), 70), ("closed".to_owned(), 50), ("1".to_owned(), 60)];
    vec![
        PgType::Boolean,
        PgType::SmallInt,
        PgType::Integer,
        PgType::BigInt,
        PgType::Real,
        PgType::DoublePrecision,
        PgType::Numeric { precision_scale: None },
        PgType::Numeric { precision_scale: Some((15, 2)) },
        PgType::Numeric { precision_scale: Some((30, 18)) },
        PgType::Numeric { precision_scale: Some((4, -2)) },
        PgType::Text,
        PgType::Varchar(Some(5)),
        PgType::Char(5),
        PgType::Citext,
        PgType::Bytea,
        PgType::Date,
        PgType::Time(None),
        PgType::Time(Some(3)),
        PgType::Timestamp(None),
        PgType::Timestamp(Some(0)),
        PgType::TimestampTz(None),
        PgType::TimestampTz(Some(3)),
        PgType::Json,
        PgType::Jsonb,
        PgType::Uuid,
        PgType::Enum { name: "status".to_owned(), labels },
        PgType::Inet,
        PgType::Cidr,
        PgType::other("macaddr"),
    ]
}

/// A value that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Owned {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Owned::Null => Value::Null,
            Owned::Integer(v) => Value::Integer(*v),
            Owned::Real(v) => Value::Real(*v),
            Owned::Text(bytes) => Value::Text(bytes),
            Owned::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

fn values() -> impl Strategy<Value = Owned> {
    let date = "(19|20|00)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
    let time = "([01][0-9]|2[0-4]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]{1,7})?";
    let text = prop_oneof![
        "[a-zçğ ]{0,7}",
        "[a-z]{250,260}",
        Just("open".to_owned()),
        Just("1".to_owned()),
        "-?[0-9]{1,20}(\\.[0-9]{1,10})?",
        date,
        time,
        (date, "[ T]", time, prop_oneof!["", "Z", "\\+03:00"])
            .prop_map(|(d, t, n, z)| format!("{d}{t}{n}{z}")),
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-fA-F]{32}",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(/[0-9]{1,2})?",
        "[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(/[0-9]{1,3})?",
        Just("infinity".to_owned()),
        Just("{\"b\": [1, 2.50], \"a\": null}".to_owned()),
    ];
    prop_oneof![
        Just(Owned::Null),
        (-2i64..3).prop_map(Owned::Integer),
        any::<i64>().prop_map(Owned::Integer),
        (any::<i64>(), 0u32..64).prop_map(|(v, shift)| Owned::Integer(v.checked_shr(shift).unwrap_or(0))),
        any::<f64>().prop_map(Owned::Real),
        (-2i64..3).prop_map(|v| Owned::Real(v as f64)),
        (-100_000_000_000i64..100_000_000_000, 0i32..8)
            .prop_map(|(k, s)| Owned::Real(k as f64 / 10f64.powi(s))),
        (any::<i64>(), 0i32..20).prop_map(|(k, s)| Owned::Real(k as f64 / 10f64.powi(s))),
        text.prop_map(|text| Owned::Text(text.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Owned::Blob),
        prop::array::uniform16(any::<u8>()).prop_map(|bytes| Owned::Blob(bytes.to_vec())),
    ]
}

fn digest_of(fill: impl FnOnce(&mut RowHasher), hasher: &mut RowHasher) -> TableDigest {
    let mut digest = TableDigest::default();
    fill(hasher);
    hasher.end_row(&mut digest);
    digest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_a_converter_makes_reads_back_as_it_was_sent(
        value in values(),
        zone in prop_oneof![Just("UTC"), Just("Europe/Istanbul")],
        is_told in any::<bool>(),
    ) {
        let types = types();
        let borrowed: Vec<&PgType> = types.iter().collect();
        let rules = Rules { zone: Zone::parse(zone).unwrap(), ..Rules::default() };
        let mut sender = RowHasher::new(&borrowed);
        if is_told {
            sender = sender.with_zone(&rules.zone);
        }
        let mut reader = RowHasher::new(&borrowed);
        for (column, pg_type) in types.iter().enumerate() {
            let converter = Converter::new(pg_type, &rules);
            let mut scratch = Scratch::default();
            let Ok(converted) = converter.convert(value.value(), &mut scratch) else { continue };
            let sent = digest_of(
                |hasher| hasher.sent(column, value.value(), &converted.cell, converted.lossy.is_some()),
                &mut sender,
            );
            let stored = digest_of(|hasher| hasher.read_back(column, &converted.cell), &mut reader);
            prop_assert_eq!(sent, stored, "{} {:?}", pg_type, converted);
        }
    }

    #[test]
    fn two_cells_that_differ_never_have_the_same_digest(
        a in values(),
        b in values(),
        column in 0usize..26,
    ) {
        let types = types();
        let borrowed: Vec<&PgType> = types.iter().collect();
        let converter = Converter::new(&types[column], &Rules::default());
        let (mut first, mut second) = (Scratch::default(), Scratch::default());
        let (Ok(a), Ok(b)) = (converter.convert(a.value(), &mut first), converter.convert(b.value(), &mut second))
        else {
            return Ok(());
        };
        let mut hasher = RowHasher::new(&borrowed);
        let of_a = digest_of(|hasher| hasher.read_back(column, &a.cell), &mut hasher);
        let of_b = digest_of(|hasher| hasher.read_back(column, &b.cell), &mut hasher);
        let is_same = match (a.cell, b.cell) {
            (Cell::Float8(a), Cell::Float8(b)) => a.to_bits() == b.to_bits(),
            (Cell::Float4(a), Cell::Float4(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        };
        prop_assert_eq!(of_a == of_b, is_same);
    }
}

#[test]
fn one_digit_changed_in_storage_changes_the_digest() {
    let numeric = PgType::Numeric { precision_scale: Some((15, 2)) };
    let converter = Converter::new(&numeric, &Rules::default());
    let mut hasher = RowHasher::new(&[&numeric]);
    for v in [0.01, 1234.56, -1234.56, 9_999_999_999_999.99, 100.0, 0.0] {
        let mut scratch = Scratch::default();
        let converted = converter.convert(Value::Real(v), &mut scratch).unwrap();
        let sent = digest_of(|h| h.sent(0, Value::Real(v), &converted.cell, false), &mut hasher);
        let Cell::Varlena(payload) = converted.cell else { panic!() };
        for at in 0..payload.len() {
            for bit in 0..8 {
                let mut damaged = payload.to_vec();
                damaged[at] ^= 1 << bit;
                let stored = digest_of(|h| h.read_back(0, &Cell::Varlena(&damaged)), &mut hasher);
                assert_ne!(sent, stored, "{v} with bit {bit} of byte {at} changed");
            }
        }
    }
}

#[test]
fn a_wrong_conversion_is_noticed_where_the_source_says_what_must_be_stored() {
    let types = [
        PgType::BigInt,
        PgType::Numeric { precision_scale: None },
        PgType::Text,
        PgType::TimestampTz(None),
        PgType::Date,
        PgType::Boolean,
        PgType::Uuid,
    ];
    let borrowed: Vec<&PgType> = types.iter().collect();
    let mut hasher = RowHasher::new(&borrowed).with_zone(&Zone::utc());
    // 0.6
    let numeric: Vec<u8> = [0x80ffu16, 6000].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let wrong: [(usize, Value, Cell); 7] = [
        (0, Value::Integer(1), Cell::Int8(2)),
        (1, Value::Real(0.5), Cell::Varlena(&numeric)),
        (2, Value::Text(b"a"), Cell::Varlena(b"b")),
        // An hour too late, and a day.
        (3, Value::Text(b"2000-01-01 00:00:00"), Cell::Timestamp(3_600_000_000)),
        (4, Value::Text(b"2000-03-01"), Cell::Date(59)),
        (5, Value::Integer(1), Cell::Bool(false)),
        (6, Value::Text(b"00000000-0000-0000-0000-00000000000A"), Cell::Uuid([0; 16])),
    ];
    for (column, value, cell) in wrong {
        let sent = digest_of(|h| h.sent(column, value, &cell, false), &mut hasher);
        let stored = digest_of(|h| h.read_back(column, &cell), &mut hasher);
        assert_ne!(sent, stored, "{value:?} as {cell:?}");
    }
}

#[test]
fn the_order_of_rows_does_not_matter_but_every_row_counts() {
    let (a, b) = (PgType::Text, PgType::Text);
    let mut hasher = RowHasher::new(&[&a, &b]);
    let mut digest = |rows: &[[&str; 2]]| {
        let mut digest = TableDigest::default();
        for row in rows {
            for (column, text) in row.iter().enumerate() {
                hasher.read_back(column, &Cell::Varlena(text.as_bytes()));
            }
            hasher.end_row(&mut digest);
        }
        digest
    };
    assert_eq!(digest(&[["a", "b"], ["c", "d"]]), digest(&[["c", "d"], ["a", "b"]]));
    assert_ne!(digest(&[["a", "b"]]), digest(&[["b", "a"]]));
    assert_ne!(digest(&[["ab", ""]]), digest(&[["a", "b"]]));
    assert_ne!(digest(&[["a", "b"], ["a", "b"]]), digest(&[]));
    let mut parts = digest(&[["a", "b"]]);
    parts.merge(&digest(&[["c", "d"]]));
    assert_eq!(parts, digest(&[["a", "b"], ["c", "d"]]));
    assert_eq!(parts.to_string().len(), 32);
}

proptest! {
    #[test]
    fn the_two_calendars_agree(days in -2_451_545i64..2_145_031_949) {
        let date = crate::convert::calendar::date_of_days(days);
        let packed = i64::from(date.year) * 10_000 + i64::from(date.month) * 100 + i64::from(date.day);
        prop_assert_eq!(date_of_days(days), PackedDate(packed));
    }

    #[test]
    fn eight_digits_are_their_number_and_nothing_else_is(text in "[0-9]{8}", at in 0usize..8, byte in any::<u8>()) {
        let mut digits: [u8; 8] = text.as_bytes().try_into().unwrap();
        prop_assert_eq!(eight_digits(u64::from_le_bytes(digits)), text.parse().ok());
        digits[at] = byte;
        prop_assert_eq!(eight_digits(u64::from_le_bytes(digits)).is_some(), byte.is_ascii_digit());
    }
}
