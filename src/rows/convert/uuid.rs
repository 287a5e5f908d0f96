//! `uuid`: the texts that `uuid_in` takes, and blobs of 16 bytes.

use super::{Converted, Lossy, ValueError};
use crate::value::{Cell, Value};

/// The order of the bytes of a uuid in a blob (`columns.<c>.uuid`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UuidBytes {
    /// Nobody has said; read as [`UuidBytes::Rfc`], and counted.
    #[default]
    Unsaid,
    /// That of RFC 4122: the order of the digits in the text.
    Rfc,
    /// That of .NET's `Guid` and of Windows: the first three groups of digits begin with their last byte.
    Guid,
}

impl UuidBytes {
    /// The order that a word of the options names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "rfc" => Some(UuidBytes::Rfc),
            "guid" => Some(UuidBytes::Guid),
            _ => None,
        }
    }
}

/// The same uuid in the other order of bytes.
#[must_use]
pub(crate) fn swapped([a, b, c, d, e, f, g, h, rest @ ..]: [u8; 16]) -> [u8; 16] {
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

pub(super) fn convert(order: UuidBytes, value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let mut lossy = None;
    let uuid = match value {
        Value::Text(text) => parse(text).ok_or_else(|| ValueError::syntax("uuid", value))?,
        Value::Blob(bytes) => {
            let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| ValueError::class(&"uuid", false, value))?;
            lossy = (order == UuidBytes::Unsaid).then_some(Lossy::UuidBytes);
            if order == UuidBytes::Guid { swapped(bytes) } else { bytes }
        }
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"uuid", false, value));
        }
    };
    Ok(Converted { cell: Cell::Uuid(uuid), lossy })
}

/// The rule of `string_to_uuid` (src/backend/utils/adt/uuid.c): 32 hexadecimal digits, a hyphen allowed after
/// every four, and braces around it all.
fn parse(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        whole => whole,
    };
    let mut uuid = [0u8; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let (&[high, low], after) = rest.split_first_chunk::<2>()?;
        *byte = (hex_digit(high)? << 4) | hex_digit(low)?;
        rest = after;
        if index % 2 == 1 && index < 15 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
    }
    rest.is_empty().then_some(uuid)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_uuid_is_32_digits_with_hyphens_only_between_groups_of_four() {
        let expected =
            [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_guid_has_its_first_three_groups_the_other_way_round() {
        // What .NET's Guid.ToByteArray gives for the text.
        let bytes: [u8; 16] =
            [0xa0, 0x96, 0x8a, 0xdd, 0xc1, 0x61, 0xd1, 0x43, 0xa5, 0x64, 0x7d, 0xab, 0x42, 0xcd, 0xbf, 0xb9];
        let expected = parse(b"dd8a96a0-61c1-43d1-a564-7dab42cdbfb9").unwrap();
        assert_eq!(convert(UuidBytes::Guid, Value::Blob(&bytes)).unwrap().cell, Cell::Uuid(expected));
        assert_eq!(UuidBytes::parse("guid"), Some(UuidBytes::Guid));
        assert_eq!(UuidBytes::parse("unsaid"), None);
    }

    proptest! {
        #[test]
        fn a_blob_of_16_bytes_is_the_uuid_that_its_digits_spell(bytes in any::<[u8; 16]>()) {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(parse(digits.as_bytes()), Some(bytes));
            let rfc = convert(UuidBytes::Rfc, Value::Blob(&bytes)).unwrap();
            prop_assert_eq!(rfc, Converted::exact(Cell::Uuid(bytes)));
            let unsaid = convert(UuidBytes::Unsaid, Value::Blob(&bytes)).unwrap();
            prop_assert_eq!(unsaid, Converted { lossy: Some(Lossy::UuidBytes), ..rfc });
            let guid = convert(UuidBytes::Guid, Value::Blob(&bytes)).unwrap();
            prop_assert_eq!(guid, Converted::exact(Cell::Uuid(swapped(bytes))));
            prop_assert_eq!(swapped(swapped(bytes)), bytes);
        }
    }
}
