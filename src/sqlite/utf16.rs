//! Texts of a UTF-16 database that are no UTF-16.
//!
//! SQLite converts to UTF-8 without looking: half of a surrogate pair takes whatever follows it as its other
//! half, so that two wrong characters become one that nobody wrote. Such a text must come out of here as what
//! it is: not a text.

/// `None` for well-formed UTF-16; else the text with each lone surrogate in the three bytes that UTF-8 would
/// have for it, which no reader of UTF-8 takes. The bytes are in this machine's order; an odd last one is no
/// part of the text.
pub(crate) fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    let units = || bytes.chunks_exact(2).map(|unit| unit.try_into().map_or(0, u16::from_ne_bytes));
    if char::decode_utf16(units()).all(|character| character.is_ok()) {
        return None;
    }
    let mut text = Vec::with_capacity(bytes.len());
    for character in char::decode_utf16(units()) {
        match character {
            Ok(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                // 1110xxxx 10xxxxxx 10xxxxxx
                text.extend([0xE0 | high >> 4, 0x80 | (high & 0xF) << 2 | low >> 6, 0x80 | low & 0x3F]);
            }
        }
    }
    Some(text)
}
