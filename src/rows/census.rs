//! What do all values of a column have in common? What a query may conclude from how SQLite stores them.
//!
//! SQLite compares and sorts what it stores, PostgreSQL what the converters make of it. A column is proven
//! where the two are the same thing: where each cell, written back in the column's form, is the stored value
//! byte for byte. So a time zone, a rounded fraction, a text among numbers or a second spelling of one
//! instant need no rules of their own.

use std::fmt;
use std::str::FromStr;

use crate::convert::calendar::{Date, MICROS_PER_DAY, MICROS_PER_SECOND, date_of_days};
use crate::pg_type::PgType;
use crate::value::{Cell, Value};

/// What is known of every value of a column that is not NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// INTEGER, and in the range of the column's type.
    Integer,
    /// INTEGER 0 or 1.
    Boolean,
    /// REAL.
    Real,
    /// TEXT, valid and not longer than the column allows.
    Text,
    /// BLOB.
    Bytes,
    /// TEXT in one form of dates or points in time, whose order is that of time.
    Instant(Form),
}

/// A way to write a point in time, years 0001 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The last part that is written.
    finest: Finest,
    /// Between date and time stands a `T`, not a blank.
    has_t: bool,
    /// What follows the time.
    offset: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finest {
    Day,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offset {
    Nothing,
    Z,
    Hours,
    HoursAndMinutes,
}

/// Greater than every text in a form, and put behind one greater than it and less than the next.
const AFTER: u8 = b'~';

const FIRST: i64 = days_before(1);
const END: i64 = days_before(10_000);

/// Midnight of the first of January, microseconds since 2000.
const fn days_before(year: i64) -> i64 {
    let past = year - 1;
    (past * 365 + past / 4 - past / 100 + past / 400 - 730_119) * MICROS_PER_DAY
}

impl Finest {
    const ALL: [Finest; 5] =
        [Finest::Day, Finest::Minute, Finest::Second, Finest::Millisecond, Finest::Microsecond];

    fn micros(self) -> i64 {
        match self {
            Finest::Day => MICROS_PER_DAY,
            Finest::Minute => 60 * MICROS_PER_SECOND,
            Finest::Second => MICROS_PER_SECOND,
            Finest::Millisecond => 1000,
            Finest::Microsecond => 1,
        }
    }

    /// Without a `T`.
    fn picture(self) -> &'static str {
        match self {
            Finest::Day => "YYYY-MM-DD",
            Finest::Minute => "YYYY-MM-DD HH:MM",
            Finest::Second => "YYYY-MM-DD HH:MM:SS",
            Finest::Millisecond => "YYYY-MM-DD HH:MM:SS.fff",
            Finest::Microsecond => "YYYY-MM-DD HH:MM:SS.ffffff",
        }
    }
}

impl Offset {
    const ALL: [Offset; 4] = [Offset::Nothing, Offset::Z, Offset::Hours, Offset::HoursAndMinutes];

    fn text(self) -> &'static str {
        match self {
            Offset::Nothing => "",
            Offset::Z => "Z",
            Offset::Hours => "+00",
            Offset::HoursAndMinutes => "+00:00",
        }
    }
}

impl Form {
    /// `YYYY-MM-DD`
    pub const DAY: Form = Form { finest: Finest::Day, has_t: false, offset: Offset::Nothing };

    /// Every form there is.
    pub fn all() -> impl Iterator<Item = Form> {
        Finest::ALL
            .into_iter()
            .flat_map(|finest| {
                Offset::ALL.into_iter().flat_map(move |offset| {
                    [false, true].into_iter().map(move |has_t| Form { finest, has_t, offset })
                })
            })
            .filter(|form| form.finest != Finest::Day || *form == Form::DAY)
    }

    /// The form that a text would have by its length and its marks; digits are not looked at.
    fn of(text: &[u8]) -> Option<Form> {
        if text.len() == 10 {
            return Some(Form::DAY);
        }
        let has_t = *text.get(10)? == b'T';
        let tail = text.get(11..)?;
        let offset = *Offset::ALL
            .iter()
            .skip(1)
            .rev()
            .find(|o| tail.ends_with(o.text().as_bytes()))
            .unwrap_or(&Offset::Nothing);
        let finest = match tail.len() - offset.text().len() {
            5 => Finest::Minute,
            8 => Finest::Second,
            12 => Finest::Millisecond,
            15 => Finest::Microsecond,
            _ => return None,
        };
        Some(Form { finest, has_t, offset })
    }

    /// Where a point in time, in microseconds since 2000, stands among the texts of this form: as its own
    /// text, or as one that is greater than those of all earlier points and less than those of all later
    /// ones. The ends of `i64` are the infinities.
    #[must_use]
    pub fn place(self, micros: i64) -> String {
        if micros < FIRST {
            return String::new();
        }
        let mut text = Vec::with_capacity(33);
        if micros < END {
            self.write(micros, &mut text);
        }
        if micros >= END || micros.rem_euclid(self.finest.micros()) != 0 {
            text.push(AFTER);
        }
        // All of it is ASCII.
        String::from_utf8(text).unwrap_or_default()
    }

    /// Writes a point in time that is in range, without what is finer than the form.
    fn write(self, micros: i64, text: &mut Vec<u8>) {
        let Date { year, month, day } = date_of_days(micros.div_euclid(MICROS_PER_DAY));
        let year = year as i64;
        digits::<4>(year, text);
        text.push(b'-');
        digits::<2>(month.into(), text);
        text.push(b'-');
        digits::<2>(day.into(), text);
        if self.finest == Finest::Day {
            return;
        }
        let micros = micros.rem_euclid(MICROS_PER_DAY);
        let seconds = micros / MICROS_PER_SECOND;
        text.push(if self.has_t { b'T' } else { b' ' });
        digits::<2>(seconds / 3600, text);
        text.push(b':');
        digits::<2>(seconds / 60 % 60, text);
        if self.finest != Finest::Minute {
            text.push(b':');
            digits::<2>(seconds % 60, text);
        }
        let fraction = micros % MICROS_PER_SECOND;
        match self.finest {
            Finest::Millisecond => {
                text.push(b'.');
                digits::<3>(fraction / 1000, text);
            }
            Finest::Microsecond => {
                text.push(b'.');
                digits::<6>(fraction, text);
            }
            Finest::Day | Finest::Minute | Finest::Second => {}
        }
        text.extend_from_slice(self.offset.text().as_bytes());
    }

    /// The text is what this form makes of the point in time.
    fn is_form_of(self, text: &[u8], micros: i64, scratch: &mut Vec<u8>) -> bool {
        if !(FIRST..END).contains(&micros) || micros.rem_euclid(self.finest.micros()) != 0 {
            return false;
        }
        scratch.clear();
        self.write(micros, scratch);
        scratch == text
    }
}

fn digits<const N: usize>(number: i64, text: &mut Vec<u8>) {
    let mut rest = number;
    let mut written = [b'0'; N];
    for digit in written.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.extend_from_slice(&written);
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let picture = self.finest.picture();
        let (date, time) = picture.split_once(' ').unwrap_or((picture, ""));
        let between = if time.is_empty() {
            ""
        } else if self.has_t {
            "T"
        } else {
            " "
        };
        write!(f, "{date}{between}{time}{}", self.offset.text())
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Integer => f.write_str("integer"),
            Proof::Boolean => f.write_str("0 or 1"),
            Proof::Real => f.write_str("real"),
            Proof::Text => f.write_str("text"),
            Proof::Bytes => f.write_str("blob"),
            Proof::Instant(form) => form.fmt(f),
        }
    }
}

impl FromStr for Proof {
    type Err = ();

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Proof, ()> {
        match text {
            "integer" => Ok(Proof::Integer),
            "0 or 1" => Ok(Proof::Boolean),
            "real" => Ok(Proof::Real),
            "text" => Ok(Proof::Text),
            "blob" => Ok(Proof::Bytes),
            _ => Form::all().find(|form| form.to_string() == text).map(Proof::Instant).ok_or(()),
        }
    }
}

/// Looks at every value of one column, one after the other.
#[derive(Clone, Debug)]
pub struct Census {
    /// What the values so far may still be; `None` once one is something else.
    may_be: Option<MayBe>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MayBe {
    /// This.
    Proven(Proof),
    /// Points in time, of which none has come.
    AnyInstant,
}

impl Census {
    /// Of a column of a type, before the first value.
    #[must_use]
    pub fn new(pg_type: &PgType) -> Census {
        let may_be = match pg_type {
            PgType::SmallInt | PgType::Integer | PgType::BigInt => Some(MayBe::Proven(Proof::Integer)),
            PgType::Boolean => Some(MayBe::Proven(Proof::Boolean)),
            PgType::DoublePrecision => Some(MayBe::Proven(Proof::Real)),
            PgType::Text | PgType::Varchar(_) => Some(MayBe::Proven(Proof::Text)),
            PgType::Bytea => Some(MayBe::Proven(Proof::Bytes)),
            PgType::Date | PgType::Timestamp(_) | PgType::TimestampTz(_) => Some(MayBe::AnyInstant),
            _ => None,
        };
        Census { may_be, scratch: Vec::new() }
    }

    /// Takes a value and what the column's converter made of it, which is nothing where it refused the value.
    pub fn see(&mut self, value: Value<'_>, cell: Option<&Cell<'_>>) {
        let Some(may_be) = self.may_be else { return };
        if matches!(value, Value::Null) {
            return;
        }
        self.may_be = cell.and_then(|cell| self.after(may_be, value, cell));
    }

    fn after(&mut self, may_be: MayBe, value: Value<'_>, cell: &Cell<'_>) -> Option<MayBe> {
        let is_same = match (value, cell) {
            (Value::Integer(v), Cell::Int8(c)) => v == *c,
            (Value::Integer(v), Cell::Int4(c)) => v == i64::from(*c),
            (Value::Integer(v), Cell::Int2(c)) => v == i64::from(*c),
            (Value::Integer(v), Cell::Bool(c)) => v == i64::from(*c),
            (Value::Real(v), Cell::Float8(c)) => v.to_bits() == c.to_bits(),
            (Value::Text(v), Cell::Varlena(c)) => may_be == MayBe::Proven(Proof::Text) && v == *c,
            (Value::Blob(v), Cell::Varlena(c)) => v == *c,
            (Value::Text(v), Cell::Date(c)) => {
                return self.instant(may_be, v, i64::from(*c) * MICROS_PER_DAY);
            }
            (Value::Text(v), Cell::Timestamp(c)) => return self.instant(may_be, v, *c),
            _ => false,
        };
        is_same.then_some(may_be)
    }

    fn instant(&mut self, may_be: MayBe, text: &[u8], micros: i64) -> Option<MayBe> {
        let form = match may_be {
            MayBe::Proven(Proof::Instant(form)) => form,
            MayBe::AnyInstant => Form::of(text)?,
            MayBe::Proven(_) => return None,
        };
        form.is_form_of(text, micros, &mut self.scratch).then_some(MayBe::Proven(Proof::Instant(form)))
    }

    /// What holds of all values that were seen.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        match self.may_be? {
            MayBe::Proven(proof) => Some(proof),
            // No value but NULL: any form will do.
            MayBe::AnyInstant => Some(Proof::Instant(Form::DAY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::{Converter, Rules, Scratch, Zone};

    fn proof(pg_type: &PgType, zone: &str, values: &[Value]) -> Option<Proof> {
        let rules = Rules { zone: Zone::parse(zone).unwrap(), ..Rules::default() };
        let (converter, mut scratch) = (Converter::new(pg_type, &rules), Scratch::default());
        let mut census = Census::new(pg_type);
        for value in values {
            let converted = converter.convert(*value, &mut scratch).ok();
            census.see(*value, converted.as_ref().map(|c| &c.cell));
        }
        census.proof()
    }

    fn texts(pg_type: &PgType, zone: &str, texts: &[&str]) -> Option<String> {
        let values: Vec<Value> = texts.iter().map(|text| Value::Text(text.as_bytes())).collect();
        proof(pg_type, zone, &values).map(|proof| proof.to_string())
    }

    #[test]
    fn a_column_is_proven_where_each_value_is_what_it_becomes() {
        use Value::{Blob, Integer, Null, Real, Text};
        for (pg_type, values, proven) in [
            (PgType::BigInt, &[Null, Integer(i64::MIN), Integer(i64::MAX)][..], Some(Proof::Integer)),
            (PgType::BigInt, &[], Some(Proof::Integer)),
            (PgType::BigInt, &[Integer(1), Real(2.0)], None),
            (PgType::BigInt, &[Integer(1), Text(b"2")], None),
            (PgType::SmallInt, &[Integer(1), Integer(99_999)], None),
            (PgType::Boolean, &[Integer(0), Integer(1)], Some(Proof::Boolean)),
            (PgType::Boolean, &[Integer(0), Text(b"t")], None),
            (PgType::DoublePrecision, &[Real(-0.0), Real(f64::INFINITY)], Some(Proof::Real)),
            (PgType::DoublePrecision, &[Real(1.0), Integer(1)], None),
            (PgType::Text, &[Text(b""), Text("\u{e9}".as_bytes())], Some(Proof::Text)),
            (PgType::Text, &[Text(b"a\0")], None),
            (PgType::Text, &[Integer(5)], None),
            (PgType::Varchar(Some(2)), &[Text(b"ab "), Text(b"ab")], None),
            (PgType::Char(2), &[Text(b"ab")], None),
            (PgType::Bytea, &[Blob(b"\0"), Blob(b"")], Some(Proof::Bytes)),
            (PgType::Bytea, &[Text(b"a")], None),
            (PgType::Numeric { precision_scale: None }, &[Integer(1)], None),
            (PgType::TimestampTz(None), &[Null], Some(Proof::Instant(Form::DAY))),
            (PgType::TimestampTz(None), &[Integer(1_700_000_000)], None),
        ] {
            assert_eq!(proof(&pg_type, "UTC", values), proven, "{pg_type} {values:?}");
        }
    }

    #[test]
    fn points_in_time_are_proven_in_one_form_whose_order_is_that_of_time() {
        let naive = PgType::Timestamp(None);
        let zoned = PgType::TimestampTz(None);
        let one = "2024-01-05 10:00:00";
        let some = |form: &str| Some(form.to_owned());
        assert_eq!(texts(&naive, "Europe/Istanbul", &[one]), some("YYYY-MM-DD HH:MM:SS"));
        assert_eq!(texts(&zoned, "UTC", &[one]), some("YYYY-MM-DD HH:MM:SS"));
        // The clock of a zone goes back once a year.
        assert_eq!(texts(&zoned, "Europe/Istanbul", &[one]), None);
        assert_eq!(
            texts(&zoned, "Europe/Istanbul", &["2024-01-05T10:00:00.123Z"]),
            some("YYYY-MM-DDTHH:MM:SS.fffZ")
        );
        assert_eq!(texts(&naive, "Europe/Istanbul", &["2024-01-05T10:00:00Z"]), None);
        assert_eq!(texts(&zoned, "UTC", &["2024-01-05 10:00+00:00"]), some("YYYY-MM-DD HH:MM+00:00"));
        assert_eq!(texts(&zoned, "UTC", &["2024-01-05 10:00:00+03:00"]), None);
        assert_eq!(texts(&PgType::Date, "UTC", &["0001-01-01", "9999-12-31"]), some("YYYY-MM-DD"));
        assert_eq!(texts(&naive, "UTC", &["2024-01-05"]), some("YYYY-MM-DD"));
        for other in [
            "2024-01-05T10:00:00",
            "2024-01-05 10:00:00.5",
            "2024-01-05 24:00:00",
            "2024-01-05 23:59:60",
            "2024-01-05",
            " 2024-01-05 10:00:00",
            "infinity",
            "10000-01-05 10:00:00",
        ] {
            assert_eq!(texts(&naive, "UTC", &[one, other]), None, "{other}");
            assert_eq!(texts(&naive, "UTC", &[other, one]), None, "{other}");
        }
        // Rounded to what the column keeps.
        assert_eq!(texts(&PgType::Timestamp(Some(0)), "UTC", &["2024-01-05 10:00:00.600"]), None);
        assert_eq!(texts(&PgType::Date, "UTC", &["2024-01-05 10:00:00"]), None);
    }

    #[test]
    fn every_proof_is_read_as_it_is_written() {
        let simple = [Proof::Integer, Proof::Boolean, Proof::Real, Proof::Text, Proof::Bytes];
        for proof in simple.into_iter().chain(Form::all().map(Proof::Instant)) {
            assert_eq!(proof.to_string().parse(), Ok(proof));
        }
        assert_eq!("".parse::<Proof>(), Err(()));
    }

    fn micros() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            Just(i64::MIN),
            Just(i64::MAX),
            FIRST - 3..FIRST + 3,
            END - 3..END + 3,
            (-1000i64..1000).prop_map(|day| day * MICROS_PER_DAY),
            -5_000_000i64..5_000_000,
        ]
    }

    proptest! {
        #[test]
        fn texts_stand_in_the_order_of_time_whatever_the_form(a in micros(), b in micros()) {
            for form in Form::all() {
                // Only one of the two is stored, and it has the form.
                if !(FIRST..END).contains(&a) {
                    continue;
                }
                let a = a - a.rem_euclid(form.finest.micros());
                let (stored, asked) = (form.place(a), form.place(b));
                prop_assert_eq!(stored.as_bytes().cmp(asked.as_bytes()), a.cmp(&b), "{} {} {}", form, stored, asked);
            }
        }

        #[test]
        fn what_is_proven_is_what_is_placed(a in FIRST..END) {
            for form in Form::all() {
                let a = a - a.rem_euclid(form.finest.micros());
                let text = form.place(a);
                prop_assert_eq!(texts(&PgType::TimestampTz(None), "UTC", &[&text]), Some(form.to_string()));
            }
        }
    }
}
