//! What a numeric's payload says: the way back, for tests and for whoever compares stored values.

use super::{
    INFINITY, LONG_NEGATIVE, LONG_SCALE_MASK, NAN, NEGATIVE_INFINITY, SHORT, SHORT_NEGATIVE, SHORT_SCALE_MAX,
    SHORT_SCALE_SHIFT,
};

/// A payload taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded<'a> {
    /// Not a number.
    Nan,
    /// An infinity; true for the negative one.
    Infinity(bool),
    /// A finite number.
    Finite(Finite<'a>),
}

/// A finite number of a payload: `digits` in base 10000, the first of which counts `10000^weight`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finite<'a> {
    /// Below zero.
    pub is_negative: bool,
    /// Decimal places that PostgreSQL shows.
    pub display_scale: u16,
    /// The power of 10000 of the first digit.
    pub weight: i16,
    digits: &'a [u8],
}

/// Takes a payload apart; `None` if it is none.
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Decoded<'_>> {
    let (header, rest) = payload.split_first_chunk::<2>()?;
    let header = u16::from_ne_bytes(*header);
    Some(match header {
        NAN => Decoded::Nan,
        INFINITY => Decoded::Infinity(false),
        NEGATIVE_INFINITY => Decoded::Infinity(true),
        // The two high bits say "special", and there are no others.
        _ if header & NAN == NAN => return None,
        _ if header & SHORT != 0 => Decoded::Finite(Finite {
            is_negative: header & SHORT_NEGATIVE != 0,
            display_scale: (header >> SHORT_SCALE_SHIFT) & SHORT_SCALE_MAX,
            // Seven bits, extended to sixteen with their sign.
            weight: ((header << 9) as i16) >> 9,
            digits: rest,
        }),
        _ => {
            let (weight, digits) = rest.split_first_chunk::<2>()?;
            Decoded::Finite(Finite {
                is_negative: header & LONG_NEGATIVE != 0,
                display_scale: header & LONG_SCALE_MASK,
                weight: i16::from_ne_bytes(*weight),
                digits,
            })
        }
    })
}

impl<'a> Finite<'a> {
    /// The digits, each 0 to 9999.
    pub fn digits(&self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator + Clone + use<'a> {
        self.digits.as_chunks::<2>().0.iter().map(|word| u16::from_ne_bytes(*word))
    }
}

/// The text that `numeric_out` gives for a payload; `None` if it is none.
#[must_use]
pub fn to_text(payload: &[u8]) -> Option<String> {
    let finite = match decode(payload)? {
        Decoded::Nan => return Some("NaN".to_owned()),
        Decoded::Infinity(false) => return Some("Infinity".to_owned()),
        Decoded::Infinity(true) => return Some("-Infinity".to_owned()),
        Decoded::Finite(finite) => finite,
    };
    let weight = i32::from(finite.weight);
    let digits: Vec<u16> = finite.digits().collect();
    let digit =
        |power: i32| usize::try_from(weight - power).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let mut text = if finite.is_negative { "-".to_owned() } else { String::new() };
    text.push_str(&digit(weight.max(0)).to_string());
    for power in (0..weight.max(0)).rev() {
        text.push_str(&format!("{:04}", digit(power)));
    }
    let places = usize::from(finite.display_scale);
    if places > 0 {
        text.push('.');
        let start = text.len();
        let mut power = -1;
        while text.len() < start + places {
            text.push_str(&format!("{:04}", digit(power)));
            power -= 1;
        }
        text.truncate(start + places);
    }
    Some(text)
}
