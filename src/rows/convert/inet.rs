//! `inet` and `cidr`: the texts that `network_in` takes (src/backend/utils/adt/network.c and
//! inet_net_pton.c), with what is peculiar to it: an address of four octets may end with a dot, octets that
//! are not written are zero, a network without a netmask has that of its class.
//!
//! A number is no address: PostgreSQL has no such input either, and which of the two orders of bytes it has
//! would be a guess.

use super::{Converted, Scratch, ValueError, ValueErrorKind, display_value};
use crate::sqlstate::SqlState;
use crate::value::{Cell, Value};

/// Which of the two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An address, perhaps in a network.
    Inet,
    /// A network.
    Cidr,
}

/// An address of 4 or 16 bytes, and the bits of it that are the network's.
type Address<const N: usize> = (i32, [u8; N]);

pub(super) fn convert<'a>(
    target: Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let type_name = match target {
        Target::Inet => "inet",
        Target::Cidr => "cidr",
    };
    let Value::Text(text) = value else { return Err(ValueError::class(&type_name, false, value)) };
    scratch.check_text(text)?;
    scratch.bytes.clear();
    let is_written = if text.contains(&b':') {
        // `PGSQL_AF_INET6`
        write(3, v6(text), &mut scratch.bytes)
    } else {
        let address = if target == Target::Cidr { v4_network(text) } else { v4_host(text) };
        // `PGSQL_AF_INET`
        write(2, address, &mut scratch.bytes)
    };
    if !is_written {
        return Err(ValueError::syntax(type_name, value));
    }
    if target == Target::Cidr && has_host(&scratch.bytes) {
        return Err(ValueError::new(ValueErrorKind::Refused {
            sqlstate: SqlState::INVALID_TEXT_REPRESENTATION,
            message: format!("invalid cidr value: \"{}\"", display_value(value)),
            detail: "Value has bits set to right of mask.".to_owned(),
        }));
    }
    Ok(Converted::exact(Cell::Varlena(&scratch.bytes)))
}

/// Appends the stored form (`inet_struct` of src/include/utils/inet.h); false where there is none.
fn write<const N: usize>(family: u8, address: Option<Address<N>>, out: &mut Vec<u8>) -> bool {
    let Some((bits, bytes)) = address else { return false };
    let Ok(bits) = u8::try_from(bits) else { return false };
    out.extend_from_slice(&[family, bits]);
    out.extend_from_slice(&bytes);
    true
}

/// Whether a stored address has bits that are not the network's.
fn has_host(stored: &[u8]) -> bool {
    let [_, bits, address @ ..] = stored else { return false };
    let bits = usize::from(*bits);
    address.iter().enumerate().any(|(i, byte)| match bits.saturating_sub(i * 8) {
        8.. => false,
        kept => byte << kept != 0,
    })
}

/// An IPv4 address with up to four octets; those that are missing need a netmask that leaves them out.
fn v4_host(text: &[u8]) -> Option<Address<4>> {
    let (mut octets, mut count) = ([0; 4], 0);
    let mut rest = text;
    while rest.first().is_some_and(u8::is_ascii_digit) {
        let (octet, after) = octet(rest)?;
        *octets.get_mut(count)? = octet;
        count += 1;
        rest = match after {
            [b'.', after @ ..] => after,
            [] | [b'/', ..] => after,
            _ => return None,
        };
        if matches!(after, [b'/', ..]) {
            break;
        }
    }
    let bits = match v4_bits(rest)? {
        -1 if count == 4 => 32,
        -1 => return None,
        bits => bits,
    };
    (count > 0 && bits / 8 <= i32::try_from(count).ok()?).then_some((bits, octets))
}

/// An IPv4 network: octets in decimal or digits in hexadecimal, as many as there are.
fn v4_network(text: &[u8]) -> Option<Address<4>> {
    let (mut octets, mut count) = ([0; 4], 0);
    let mut rest = text;
    if let [b'0', b'x' | b'X', digits @ ..] = text
        && digits.first().is_some_and(u8::is_ascii_hexdigit)
    {
        let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, after) = digits.split_at_checked(length)?;
        for pair in digits.chunks(2) {
            let low = pair.get(1).map_or(Some(0), |low| hex_digit(*low))?;
            *octets.get_mut(count)? = hex_digit(*pair.first()?)? << 4 | low;
            count += 1;
        }
        rest = after;
    } else {
        loop {
            let (octet, after) = octet(rest)?;
            *octets.get_mut(count)? = octet;
            count += 1;
            match after {
                [b'.', after @ ..] => rest = after,
                _ => {
                    rest = after;
                    break;
                }
            }
        }
    }
    let bits = match v4_bits(rest)? {
        -1 => {
            let of_class = match octets[0] {
                240.. => 32,
                192..=223 => 24,
                128..=191 => 16,
                _ => 8,
            };
            let written = 8 * i32::try_from(count).ok()?;
            // All multicast addresses are one network.
            if octets[0] == 224 && written == 8 { 4 } else { written.max(of_class) }
        }
        bits => bits,
    };
    Some((bits, octets))
}

/// The decimal digits that a text begins with, as a byte; and what follows.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    let mut value = 0u8;
    for digit in digits {
        value = value.checked_mul(10)?.checked_add(digit - b'0')?;
    }
    (length > 0).then_some((value, rest))
}

/// The netmask of an IPv4 address at the end of its text, -1 where none is written. As the server counts in
/// 32 bits, a number too large for them starts again.
fn v4_bits(text: &[u8]) -> Option<i32> {
    match text {
        [] => Some(-1),
        [b'/', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let bits = digits
                .iter()
                .fold(0i32, |bits, digit| bits.wrapping_mul(10).wrapping_add(i32::from(digit - b'0')));
            (bits <= 32).then_some(bits)
        }
        _ => None,
    }
}

/// An IPv6 address: words of up to four hexadecimal digits, `::` for as many as are missing, perhaps an IPv4
/// address at the end.
fn v6(text: &[u8]) -> Option<Address<16>> {
    let (mut bytes, mut at) = ([0; 16], 0);
    let (mut gap, mut bits) = (None, 128);
    let (mut word, mut digits) = (0u16, 0);
    let mut rest = match text {
        [b':', rest @ ..] if rest.starts_with(b":") => rest,
        [b':', ..] => return None,
        text => text,
    };
    let mut token = rest;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if let Some(digit) = hex_digit(*byte) {
            (word, digits) = (word << 4 | u16::from(digit), digits + 1);
            if digits > 4 {
                return None;
            }
            continue;
        }
        match byte {
            b':' if digits == 0 && gap.is_none() => gap = Some(at),
            b':' if digits > 0 && !rest.is_empty() => {
                put(&mut bytes, &mut at, &word.to_be_bytes())?;
                (word, digits) = (0, 0);
            }
            b'.' => {
                let (octets, mask) = v4_tail(token)?;
                put(&mut bytes, &mut at, &octets)?;
                (bits, digits) = (mask.unwrap_or(128), 0);
                break;
            }
            b'/' => {
                bits = v6_bits(rest)?;
                break;
            }
            _ => return None,
        }
        token = rest;
    }
    if digits > 0 {
        put(&mut bytes, &mut at, &word.to_be_bytes())?;
    }
    if let Some(gap) = gap {
        let missing = bytes.len() - at;
        bytes.get_mut(gap..)?.rotate_right(missing);
        at = if missing > 0 { bytes.len() } else { 0 };
    }
    (at == bytes.len()).then_some((bits, bytes))
}

fn put(bytes: &mut [u8; 16], at: &mut usize, more: &[u8]) -> Option<()> {
    bytes.get_mut(*at..*at + more.len())?.copy_from_slice(more);
    *at += more.len();
    Some(())
}

/// The IPv4 address at the end of an IPv6 one, which may have a netmask: of up to four octets, of which all
/// but the last may be empty.
fn v4_tail(text: &[u8]) -> Option<([u8; 4], Option<i32>)> {
    let (mut octets, mut count) = ([0; 4], 0);
    let (address, mask) = match text.iter().position(|byte| *byte == b'/') {
        Some(at) => (text.get(..at)?, Some(v6_bits(text.get(at + 1..)?)?)),
        None => (text, None),
    };
    let parts = address.split(|byte| *byte == b'.');
    for part in parts {
        *octets.get_mut(count)? = if part.is_empty() { 0 } else { u8::try_from(number(part, 255)?).ok()? };
        count += 1;
    }
    (mask.is_some() || !address.ends_with(b".")).then_some((octets, mask))
}

fn v6_bits(text: &[u8]) -> Option<i32> {
    number(text, 128)
}

/// A decimal number of at least one digit and without zeros before it, up to a limit.
fn number(text: &[u8], limit: i32) -> Option<i32> {
    if !text.iter().all(u8::is_ascii_digit) || matches!(text, [] | [b'0', _, ..]) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number| *number <= limit)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: Target, text: &str) -> Result<Vec<u8>, (&'static str, String, Option<String>)> {
        let mut scratch = Scratch::default();
        match convert(target, Value::Text(text.as_bytes()), &mut scratch) {
            Ok(Converted { cell: Cell::Varlena(stored), lossy: None }) => Ok(stored.to_vec()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.sqlstate().word(), error.to_string(), error.detail())),
        }
    }

    #[test]
    fn an_address_is_its_family_its_netmask_and_its_bytes() {
        assert_eq!(read(Target::Inet, "192.168.0.1/24"), Ok(vec![2, 24, 192, 168, 0, 1]));
        assert_eq!(read(Target::Inet, "10/8"), Ok(vec![2, 8, 10, 0, 0, 0]));
        assert_eq!(read(Target::Cidr, "192.168.1"), Ok(vec![2, 24, 192, 168, 1, 0]));
        assert_eq!(read(Target::Cidr, "224"), Ok(vec![2, 4, 224, 0, 0, 0]));
        let mut mapped = vec![3, 128];
        mapped.extend([0; 10]);
        mapped.extend([255, 255, 10, 0, 0, 1]);
        assert_eq!(read(Target::Inet, "::ffff:10.0.0.1"), Ok(mapped));
    }

    #[test]
    fn what_is_no_address_is_refused_in_the_words_of_the_type() {
        for text in [
            "",
            "10.0.0.256",
            "10.0.0",
            "1.2.3.4/33",
            "::1/129",
            ":::",
            "1::2::3",
            "fe80::1%eth0",
            " 10.0.0.1",
        ] {
            let expected = format!("invalid input syntax for type inet: \"{text}\"");
            assert_eq!(read(Target::Inet, text), Err(("22P02", expected, None)));
        }
        let detail = Some("Value has bits set to right of mask.".to_owned());
        for text in ["10.0.0.1/24", "2001:db8::1/64"] {
            assert!(read(Target::Inet, text).is_ok());
            let expected = format!("invalid cidr value: \"{text}\"");
            assert_eq!(read(Target::Cidr, text), Err(("22P02", expected, detail.clone())));
        }
        let mut scratch = Scratch::default();
        for value in [Value::Integer(167_772_161), Value::Real(10.5), Value::Blob(&[10, 0, 0, 1])] {
            assert_eq!(convert(Target::Cidr, value, &mut scratch).unwrap_err().sqlstate().word(), "22P02");
        }
    }
}
