//! Numbers as people read them.

/// `1234567` as `1,234,567`.
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('-');
    }
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number, or a dash where there is none.
pub fn grouped_or_dash(n: Option<i64>) -> String {
    n.map_or_else(|| "–".to_owned(), grouped)
}

/// `1 row`, `2,000 rows`.
pub fn counted(n: i64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(n)) }
}

/// Microseconds as `850 µs`, `12.3 ms`, `4.56 s`, `3 min 20 s` or `2 h 05 min`.
#[allow(clippy::cast_precision_loss)] // below a minute there are at most eight digits
pub fn duration(us: i64) -> String {
    let us = us.max(0);
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{:.2} s", us as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{} min {:02} s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{} h {:02} min", grouped(us / 3_600_000_000), us / 60_000_000 % 60),
    }
}

/// Bytes as PostgreSQL's pg_size_pretty counts them (1 kB is 1024 bytes), with one decimal.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub fn bytes(n: i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if n < 1024 {
        return counted(n.max(0), "byte", "bytes");
    }
    let mut size = n as f64 / 1024.0;
    let mut unit = "kB";
    for next in UNITS.into_iter().skip(1) {
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    format!("{size:.1} {unit}")
}

/// Rows a second, `None` where the time is too short to say.
pub fn rate(rows: Option<i64>, us: Option<i64>) -> Option<i64> {
    let (rows, us) = (rows?, us?);
    if rows <= 0 || us < 1_000 {
        return None;
    }
    i64::try_from(i128::from(rows) * 1_000_000 / i128::from(us)).ok()
}

/// `2025-03-01T09:00:03.123456Z` as `2025-03-01 09:00:03 UTC`.
pub fn instant(rfc3339: &str) -> String {
    let seconds = rfc3339.get(..19).unwrap_or(rfc3339);
    format!("{} UTC", seconds.replacen('T', " ", 1))
}

/// How much of `largest` is `n`, from 0 to 1.
#[allow(clippy::cast_precision_loss)] // the length of a bar
pub fn share(n: Option<i64>, largest: i64) -> f64 {
    match n {
        Some(n) if n > 0 && largest > 0 => (n as f64 / largest as f64).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// `part` of `whole` in percent: `36 %`, `0.4 %`, and `under 0.1 %` for what is not nothing.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub fn percent(part: i64, whole: i64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        s if s < 0.1 => "under 0.1 %".to_owned(),
        s if s < 10.0 => format!("{s:.1} %"),
        // What is left is never rounded away.
        s if part < whole => format!("{:.0} %", s.min(99.0)),
        _ => "100 %".to_owned(),
    }
}

/// The same as PostgreSQL reads it in a setting, with microseconds.
pub fn precise(rfc3339: &str) -> String {
    rfc3339.replacen('T', " ", 1).replacen('Z', "+00", 1)
}
