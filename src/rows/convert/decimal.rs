//! Numbers as decimal text: integers, and the shortest decimal that reads back as the same double.

/// The shortest decimal that reads back as a finite number: `mantissa * 10^exponent`, the mantissa without
/// trailing zeros and at most 17 digits long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shortest {
    pub(super) mantissa: u64,
    pub(super) exponent: i32,
}

impl Shortest {
    /// Of the magnitude of a finite number.
    pub(super) fn of_magnitude<F: zmij::Float>(v: F) -> Self {
        let mut buffer = zmij::Buffer::new();
        let mut mantissa = 0u64;
        let mut exponent = 0i32;
        let mut is_fraction = false;
        let mut bytes = buffer.format_finite(v).bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    exponent -= i32::from(is_fraction);
                }
                b'.' => is_fraction = true,
                b'e' => {
                    let mut is_negative = false;
                    let mut written = 0i32;
                    for byte in bytes.by_ref() {
                        match byte {
                            b'-' => is_negative = true,
                            b'0'..=b'9' => written = written * 10 + i32::from(byte - b'0'),
                            _ => {}
                        }
                    }
                    exponent += if is_negative { -written } else { written };
                }
                _ => {}
            }
        }
        if mantissa == 0 {
            return Shortest { mantissa: 0, exponent: 0 };
        }
        while mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent += 1;
        }
        Shortest { mantissa, exponent }
    }
}

/// Appends the decimal text of an integer.
pub(super) fn write_integer(v: i64, out: &mut Vec<u8>) {
    if v < 0 {
        out.push(b'-');
    }
    let mut buffer = [0u8; 20];
    out.extend_from_slice(digits_of(v.unsigned_abs(), &mut buffer));
}

/// The decimal digits of a number, written to the end of a buffer.
pub(super) fn digits_of(mut v: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for slot in buffer.iter_mut().rev() {
        *slot = b'0' + (v % 10) as u8;
        v /= 10;
        start -= 1;
        if v == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

/// The text of a double in the form of `float8out`, from its shortest decimal: `12.5`, `100`, `1e+20`.
pub(super) fn to_text(v: f64) -> String {
    let mut bytes = Vec::with_capacity(24);
    write_float(v, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Appends what [`to_text`] gives.
///
/// The digits are the shortest that read back as `v`. PostgreSQL's own differ in very few cases (it prints
/// 1e23 as 9.999999999999999e+22, because it does not use the ends of the rounding interval); both read back
/// as the same double.
pub(super) fn write_float(v: f64, out: &mut Vec<u8>) {
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if v.is_sign_negative() {
        out.push(b'-');
    }
    if v.is_infinite() {
        out.extend_from_slice(b"Infinity");
        return;
    }
    let shortest = Shortest::of_magnitude(v.abs());
    let mut buffer = [0u8; 20];
    let digits = digits_of(shortest.mantissa, &mut buffer);
    // Digits before the decimal point.
    let point = digits.len() as i32 + shortest.exponent;
    match point {
        // The bounds of %.15g, as in double_to_shortest_decimal_bufn (src/common/d2s.c).
        -3..=0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
        1..=15 => {
            let (whole, fraction) = digits.split_at(digits.len().min(point as usize));
            out.extend_from_slice(whole);
            out.resize(out.len() + point as usize - whole.len(), b'0');
            if !fraction.is_empty() {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            out.extend_from_slice(first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
            let exponent = point - 1;
            out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
            if exponent.unsigned_abs() < 10 {
                out.push(b'0');
            }
            let mut buffer = [0u8; 20];
            out.extend_from_slice(digits_of(u64::from(exponent.unsigned_abs()), &mut buffer));
        }
    }
}
