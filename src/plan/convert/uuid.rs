//! `uuid`: the texts that `uuid_in` takes, and blobs of 16 bytes.

use super::{Converted, ValueError};
use crate::value::{Cell, Value};

pub(super) fn convert(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let uuid = match value {
        Value::Text(text) => parse(text).ok_or_else(|| ValueError::syntax("uuid", value))?,
        Value::Blob(bytes) => {
            <[u8; 16]>::try_from(bytes).map_err(|_| ValueError::class(&"uuid", false, value))?
        }
        Value::Null | Value::Integer(_) | Value::Real(_) => {
            return Err(ValueError::class(&"uuid", false, value));
        }
    };
    Ok(Converted::exact(Cell::Uuid(uuid)))
}

/// The rule of `string_to_uuid` (src/backend/utils/adt/uuid.c): 32 hexadecimal digits, a hyphen allowed after every four, and braces
/// around it all.
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

    proptest! {
        #[test]
        fn a_blob_of_16_bytes_is_the_uuid_that_its_digits_spell(bytes in any::<[u8; 16]>()) {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(parse(digits.as_bytes()), Some(bytes));
            prop_assert_eq!(convert(Value::Blob(&bytes)).unwrap().cell, Cell::Uuid(bytes));
        }
    }
}
