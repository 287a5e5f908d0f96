//! Is this text Turkish?

/// The Turkish alphabet in its order, in lower case.
pub const ALPHABET: &str = "abcçdefgğhıijklmnoöprsştuüvyz";

/// Whether a text has a letter that hardly any other language writes: `ğ`, `Ğ`, `ı`, `İ`, `ş` or `Ş` (`ç`,
/// `ö` and `ü` say nothing: German and French have them). The text need not be UTF-8.
#[must_use]
pub fn has_turkish_letter(text: &[u8]) -> bool {
    // Mostly there is nothing but ASCII, and that is told sixteen bytes at a time.
    !text.is_ascii()
        && text.windows(2).any(|pair| matches!(pair, [0xc4, 0x9e | 0x9f | 0xb0 | 0xb1] | [0xc5, 0x9e | 0x9f]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_that_are_turkish_count() {
        for text in ["Işık", "İğneada", "ŞİŞLİ", "çağ"] {
            assert!(has_turkish_letter(text.as_bytes()), "{text}");
        }
        for text in ["", "Istanbul", "Müller", "façade", "Łódź", "Ångström", "日本"] {
            assert!(!has_turkish_letter(text.as_bytes()), "{text}");
        }
    }
}
