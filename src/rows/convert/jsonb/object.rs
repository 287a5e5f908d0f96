//! An object of a row's own values, written at once: no tree and no text of it is made before, so that a long
//! value is copied once.

use super::{
    ENTRY_CONTAINER, ENTRY_HAS_OFFSET, ENTRY_NULL, ENTRY_NUMERIC, ENTRY_STRING, OBJECT, STRIDE, json,
    length_header, push_number,
};
use crate::value::Value;

/// The name under which bytes stand that jsonb has no other form for.
const HEX: &[u8] = b"hex";

/// More than one object of jsonb can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The whole `jsonb` value, its length header included, of an object. `members` are in jsonb's order of keys
/// ([`order`]).
///
/// Texts are strings, and blobs and texts that jsonb cannot hold are objects `{"hex": "..."}`.
pub(crate) fn write(members: &[(&str, Value<'_>)]) -> Result<Vec<u8>, TooLong> {
    let count = members.len();
    let keys: usize = members.iter().map(|(key, _)| key.len()).sum();
    // Most numbers take 16 bytes at most.
    let values: usize = members.iter().map(|(_, value)| shortest(*value).saturating_add(16)).sum();
    let expected = 8usize.saturating_add(count * 8).saturating_add(keys).saturating_add(values);
    let mut object = Object { out: Vec::new(), entries: 8, written: 0, total: 0, digits: Vec::new() };
    object.room(expected.saturating_sub(count * 16))?;
    object.out.reserve_exact(expected);
    object.out.extend_from_slice(&[0; 4]);
    object.out.extend_from_slice(&(u32::try_from(count).map_err(|_| TooLong)? | OBJECT).to_ne_bytes());
    object.out.resize(8 + count * 8, 0);
    for (key, _) in members {
        object.out.extend_from_slice(key.as_bytes());
        object.entry(ENTRY_STRING, key.len())?;
    }
    for (_, value) in members {
        object.value(*value)?;
    }
    let length = u32::try_from(object.out.len()).map_err(|_| TooLong)?;
    object.set(0, length_header(length));
    Ok(object.out)
}

/// The order in which jsonb keeps the keys of an object.
pub(crate) fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// How long a value is at least.
fn shortest(value: Value<'_>) -> usize {
    match value {
        Value::Text(bytes) => bytes.len(),
        Value::Blob(bytes) => bytes.len().saturating_mul(2).saturating_add(24),
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Unreadable(_) => 0,
    }
}

struct Object {
    out: Vec<u8>,
    /// Where the entries begin.
    entries: usize,
    written: u32,
    /// The length of keys and values so far.
    total: usize,
    digits: Vec<u8>,
}

impl Object {
    fn value(&mut self, value: Value<'_>) -> Result<(), TooLong> {
        let start = self.out.len();
        let kind = match value {
            Value::Null | Value::Unreadable(_) => ENTRY_NULL,
            Value::Integer(number) => self.push_numeric(&number.to_string())?,
            // JSON has no infinities; SQLite's own spelling is kept as text.
            Value::Real(number) if number.is_infinite() => {
                self.out.extend_from_slice(if number > 0.0 { b"Inf" } else { b"-Inf" });
                ENTRY_STRING
            }
            Value::Real(number) => self.push_numeric(&serde_json::Value::from(number).to_string())?,
            Value::Text(bytes) if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0) => {
                self.room(bytes.len())?;
                self.out.extend_from_slice(bytes);
                ENTRY_STRING
            }
            Value::Text(bytes) | Value::Blob(bytes) => self.hex(bytes)?,
        };
        self.entry(kind, self.out.len() - start)
    }

    fn push_numeric(&mut self, text: &str) -> Result<u32, TooLong> {
        if push_number(text.as_bytes(), &mut self.digits, &mut self.out) {
            Ok(ENTRY_NUMERIC)
        } else if text == "null" {
            // SQLite has no NaN.
            Ok(ENTRY_NULL)
        } else {
            Err(TooLong)
        }
    }

    /// An object with one member, whose value is a string.
    fn hex(&mut self, bytes: &[u8]) -> Result<u32, TooLong> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let length = bytes.len().saturating_mul(2);
        self.room(length)?;
        self.out.reserve_exact(length + 24);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
        for word in [1 | OBJECT, ENTRY_STRING | HEX.len() as u32 | ENTRY_HAS_OFFSET, length as u32] {
            self.out.extend_from_slice(&word.to_ne_bytes());
        }
        self.out.extend_from_slice(HEX);
        let start = self.out.len();
        self.out.resize(start + length, 0);
        if let Some(digits) = self.out.get_mut(start..) {
            for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
                pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
        Ok(ENTRY_CONTAINER)
    }

    /// Whether so many bytes more can be in it.
    fn room(&self, bytes: usize) -> Result<(), TooLong> {
        if self.out.len().saturating_add(bytes) > json::MAX_LENGTH { Err(TooLong) } else { Ok(()) }
    }

    fn entry(&mut self, kind: u32, length: usize) -> Result<(), TooLong> {
        self.total += length;
        if self.total > json::MAX_LENGTH {
            return Err(TooLong);
        }
        let entry = if self.written.is_multiple_of(STRIDE) {
            kind | self.total as u32 | ENTRY_HAS_OFFSET
        } else {
            kind | length as u32
        };
        self.set(self.entries + 4 * self.written as usize, entry);
        self.written += 1;
        Ok(())
    }

    fn set(&mut self, at: usize, word: u32) {
        if let Some(slot) = self.out.get_mut(at..at + 4) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scratch, convert};
    use super::{TooLong, order, write};
    use crate::row::value_json;
    use crate::value::{Cell, Value};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Held {
        Null,
        Integer(i64),
        Real(f64),
        Text(Vec<u8>),
        Blob(Vec<u8>),
    }

    impl Held {
        fn value(&self) -> Value<'_> {
            match self {
                Held::Null => Value::Null,
                Held::Integer(number) => Value::Integer(*number),
                Held::Real(number) => Value::Real(*number),
                Held::Text(bytes) => Value::Text(bytes),
                Held::Blob(bytes) => Value::Blob(bytes),
            }
        }
    }

    fn held() -> impl Strategy<Value = Held> {
        prop_oneof![
            Just(Held::Null),
            any::<i64>().prop_map(Held::Integer),
            any::<f64>().prop_filter("SQLite has no NaN", |r| !r.is_nan()).prop_map(Held::Real),
            (-1000i64..1000).prop_map(|n| Held::Real(n as f64 / 8.0)),
            "\\PC{0,20}".prop_map(|text| Held::Text(text.into_bytes())),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Held::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Held::Blob),
        ]
    }

    proptest! {
        /// The same bytes as the text of the object gives when it is read.
        #[test]
        fn is_what_its_text_is(row in prop::collection::btree_map("[a-zé\" ]{1,12}", held(), 0..70)) {
            let text = serde_json::Value::Object(
                row.iter().map(|(key, held)| (key.clone(), value_json(held.value()))).collect(),
            )
            .to_string();
            let mut scratch = Scratch::default();
            let expected = match convert(Value::Text(text.as_bytes()), &mut scratch).unwrap().cell {
                Cell::Varlena(bytes) => bytes,
                other => panic!("{other:?}"),
            };
            let mut members: Vec<_> = row.iter().map(|(key, held)| (key.as_str(), held.value())).collect();
            members.sort_by(|(a, _), (b, _)| order(a, b));
            let written = write(&members).unwrap();
            prop_assert_eq!(&written[4..], expected);
            prop_assert_eq!(&written[..4], &super::length_header(written.len() as u32).to_ne_bytes());
        }
    }

    #[test]
    fn what_no_object_can_hold_is_refused_before_it_is_copied() {
        let half = vec![b'x'; 1 << 27];
        assert_eq!(write(&[("b", Value::Blob(&half))]), Err(TooLong));
        assert_eq!(write(&[("a", Value::Text(&half)), ("b", Value::Text(&half))]), Err(TooLong));
        // 256 MB of hex digits.
        let bad = vec![0xff; 1 << 27];
        assert_eq!(write(&[("a", Value::Text(&bad))]), Err(TooLong));
        assert!(write(&[("a", Value::Text(&half)), ("b", Value::Text(&half[..half.len() - 100]))]).is_ok());
    }
}
