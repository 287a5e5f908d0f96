//! `text`, `varchar(n)`, `char(n)`, `citext`: valid UTF-8 without NUL, and no longer than the column.

use super::{Converted, Lossy, Scratch, ValueError, ValueErrorKind, decimal};
use crate::value::{Cell, Value};

/// One text column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The length limit in characters; `u32::MAX` without one.
    limit: u32,
    /// `char(n)`: shorter texts are filled with blanks.
    is_padded: bool,
}

impl Target {
    pub(super) fn unlimited() -> Self {
        Target { limit: u32::MAX, is_padded: false }
    }

    pub(super) fn varchar(limit: u32) -> Self {
        Target { limit, is_padded: false }
    }

    pub(super) fn char(limit: u32) -> Self {
        Target { limit, is_padded: true }
    }

    fn type_name(&self) -> String {
        match (self.is_padded, self.limit) {
            (true, limit) => format!("character({limit})"),
            (false, u32::MAX) => "text".to_owned(),
            (false, limit) => format!("character varying({limit})"),
        }
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            // A text has at most as many characters as bytes.
            if bytes.len() <= target.limit as usize && !target.is_padded {
                return Ok(Converted::exact(Cell::Varlena(bytes)));
            }
            let (kept, lossy) = limit(target, bytes)?;
            if !target.is_padded {
                return Ok(Converted { cell: Cell::Varlena(kept), lossy });
            }
            // Blanks at the end cannot be told from those that fill the column up.
            let is_short = kept.ends_with(b" ") && characters(kept) < target.limit as usize;
            let lossy = if is_short { Some(Lossy::BlanksCut) } else { lossy };
            scratch.bytes.clear();
            scratch.bytes.extend_from_slice(kept);
            Ok(Converted { cell: pad(target, &mut scratch.bytes), lossy })
        }
        Value::Integer(v) => {
            scratch.bytes.clear();
            decimal::write_integer(v, &mut scratch.bytes);
            convert_digits(target, &mut scratch.bytes)
        }
        Value::Real(v) => {
            scratch.bytes.clear();
            decimal::write_float(v, &mut scratch.bytes);
            convert_digits(target, &mut scratch.bytes)
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            Err(ValueError::class(&target.type_name(), false, value))
        }
    }
}

fn convert_digits<'a>(target: &Target, digits: &'a mut Vec<u8>) -> Result<Converted<'a>, ValueError> {
    limit(target, digits)?;
    if target.is_padded {
        return Ok(Converted::exact(pad(target, digits)));
    }
    Ok(Converted::exact(Cell::Varlena(digits)))
}

/// The part of a valid text that the column keeps: all of it, or all but blanks beyond the limit, which SQL
/// says are cut in silence (`varchar_input` and `bpchar_input` in src/backend/utils/adt/varchar.c). Here they
/// are counted.
fn limit<'a>(target: &Target, text: &'a [u8]) -> Result<(&'a [u8], Option<Lossy>), ValueError> {
    let limit = target.limit as usize;
    if text.len() <= limit {
        return Ok((text, None));
    }
    let Some(end) = nth_character(text, limit) else { return Ok((text, None)) };
    let (kept, excess) = text.split_at(end);
    if excess.iter().all(|byte| *byte == b' ') {
        return Ok((kept, Some(Lossy::BlanksCut)));
    }
    let kind = ValueErrorKind::TooLong { type_name: target.type_name(), length: characters(text) };
    Err(ValueError::new(kind))
}

/// Fills a text that is within the limit with blanks up to it.
fn pad<'a>(target: &Target, text: &'a mut Vec<u8>) -> Cell<'a> {
    let missing = (target.limit as usize).saturating_sub(characters(text));
    text.resize(text.len() + missing, b' ');
    Cell::Varlena(text)
}

/// The number of characters in valid UTF-8.
pub(super) fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| is_character_start(**byte)).count()
}

/// Where the character with a number (from 0) begins; `None` if there are not so many.
fn nth_character(text: &[u8], n: usize) -> Option<usize> {
    text.iter().enumerate().filter(|(_, byte)| is_character_start(**byte)).nth(n).map(|(at, _)| at)
}

fn is_character_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Checks that a text is valid UTF-8 and holds no NUL.
///
/// # Errors
/// [`ValueErrorKind::Encoding`] with the first offending bytes.
#[inline]
pub(super) fn check(text: &[u8]) -> Result<(), ValueError> {
    if is_plain_ascii(text) { Ok(()) } else { check_unicode(text) }
}

fn check_unicode(text: &[u8]) -> Result<(), ValueError> {
    match std::str::from_utf8(text) {
        Ok(valid) if !valid.as_bytes().contains(&0) => Ok(()),
        Ok(_) => Err(encoding(text, text.len())),
        Err(fault) => Err(encoding(text, fault.valid_up_to())),
    }
}

/// The error for a text whose first `valid` bytes are UTF-8.
#[cold]
fn encoding(text: &[u8], valid: usize) -> ValueError {
    let (head, tail) = text.split_at(valid);
    let (offset, bytes) = match head.iter().position(|byte| *byte == 0) {
        Some(nul) => (nul, vec![0]),
        None => {
            // As many bytes as the first one announces, like PostgreSQL's report_invalid_encoding.
            let length = match tail.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf7) => 4,
                _ => 1,
            };
            (valid, tail.iter().copied().take(length).collect())
        }
    };
    ValueError::new(ValueErrorKind::Encoding { bytes, offset })
}

/// True where every byte is 1 to 127: eight at a time, because almost every text is, and `from_utf8` would
/// still leave the NULs to look for.
#[inline]
fn is_plain_ascii(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A byte's high bit in (w - ONES) | w is set if the byte is 0 or above 127. A borrow out of a zero byte
    // can only disturb bytes above it, and then the answer is no already.
    let suspicious = |word: u64| (word.wrapping_sub(ONES) | word) & HIGHS;
    let (blocks, rest) = text.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        if words.iter().fold(0, |seen, word| seen | suspicious(u64::from_le_bytes(*word))) != 0 {
            return false;
        }
    }
    let (words, tail) = rest.as_chunks::<8>();
    let seen = words.iter().fold(0, |seen, word| seen | suspicious(u64::from_le_bytes(*word)));
    seen == 0 && tail.iter().all(|byte| (1..128).contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(target: &Target, value: Value) -> Result<(String, Option<Lossy>), (&'static str, String)> {
        let mut scratch = Scratch::default();
        match convert(target, value, &mut scratch) {
            Ok(Converted { cell: Cell::Varlena(bytes), lossy }) => {
                Ok((String::from_utf8(bytes.to_vec()).unwrap(), lossy))
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.sqlstate().word(), error.to_string())),
        }
    }

    #[test]
    fn the_limit_counts_characters_and_only_blanks_may_exceed_it() {
        let varchar = Target::varchar(3);
        let char = Target::char(3);
        let text = |text: &'static str| Value::Text(text.as_bytes());
        assert_eq!(converted(&varchar, text("ağı")), Ok(("ağı".to_owned(), None)));
        assert_eq!(converted(&varchar, text("ağ    ")), Ok(("ağ ".to_owned(), Some(Lossy::BlanksCut))));
        assert_eq!(converted(&char, text("ğ")), Ok(("ğ  ".to_owned(), None)));
        assert_eq!(converted(&char, text("ğğğ ")), Ok(("ğğğ".to_owned(), Some(Lossy::BlanksCut))));
        assert_eq!(converted(&char, text("ğ ")), Ok(("ğ  ".to_owned(), Some(Lossy::BlanksCut))));
        assert_eq!(converted(&char, text("ğ  ")), Ok(("ğ  ".to_owned(), None)));
        assert_eq!(converted(&char, Value::Integer(-7)), Ok(("-7 ".to_owned(), None)));
        let too_long = |name: &str| Err(("22001", format!("value too long for type {name}(3)")));
        assert_eq!(converted(&varchar, text("ağıl")), too_long("character varying"));
        assert_eq!(converted(&varchar, text("abc \t")), too_long("character varying"));
        assert_eq!(converted(&varchar, Value::Integer(-123)), too_long("character varying"));
        assert_eq!(converted(&char, text("abcd")), too_long("character"));
    }

    #[test]
    fn numbers_become_their_shortest_text_and_blobs_are_refused() {
        let text = Target::unlimited();
        assert_eq!(converted(&text, Value::Integer(i64::MIN)), Ok((i64::MIN.to_string(), None)));
        assert_eq!(converted(&text, Value::Real(12.5)), Ok(("12.5".to_owned(), None)));
        assert_eq!(
            converted(&text, Value::Blob(b"abc")),
            Err(("22P02", "cannot store a blob value in type text: \"\\x616263\"".to_owned()))
        );
    }

    #[test]
    fn the_encoding_error_names_the_first_bad_bytes_and_where_they_are() {
        let error = check(b"Istanbul \xff").unwrap_err();
        assert_eq!(error.sqlstate(), "22021");
        assert_eq!(error.to_string(), "invalid byte sequence for encoding \"UTF8\": 0xff");
        assert_eq!(error.detail().as_deref(), Some("The text is not UTF-8 from byte 9 on."));
        let error = check(b"ab\0\xff").unwrap_err();
        assert_eq!(error.to_string(), "invalid byte sequence for encoding \"UTF8\": 0x00");
        assert_eq!(error.detail().as_deref(), Some("The text holds a NUL character at byte 2."));
        // A Latin-1 text.
        let error = check(b"t\xfcrk").unwrap_err();
        assert_eq!(error.to_string(), "invalid byte sequence for encoding \"UTF8\": 0xfc");
        // A surrogate in UTF-8, and a text cut in the middle of a character.
        assert!(check(b"\xed\xa0\x80").is_err());
        assert!(check("açık".as_bytes().get(..2).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn a_text_is_good_exactly_when_rust_says_utf8_and_no_nul(
            mut bytes in prop::collection::vec(prop_oneof![40 => 1u8..128, 1 => any::<u8>()], 0..100),
            flip in any::<prop::sample::Index>(),
            to in any::<u8>(),
        ) {
            if !bytes.is_empty() {
                let at = flip.index(bytes.len());
                bytes[at] = to;
            }
            let good = std::str::from_utf8(&bytes).is_ok() && !bytes.contains(&0);
            prop_assert_eq!(check(&bytes).is_ok(), good);
            prop_assert_eq!(is_plain_ascii(&bytes), bytes.iter().all(|b| *b != 0 && b.is_ascii()));
        }
    }
}
