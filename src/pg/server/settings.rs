//! The settings under which values are read and written, whatever the session's own are.
//!
//! Input and output functions of PostgreSQL follow settings: DateStyle decides what 01/02/2024 is,
//! IntervalStyle what -1 02:03:04, lc_monetary what 12,5. A file must become the same rows in every session,
//! so the verbs of this extension run under settings of their own, and so does what runs within them:
//! defaults, CHECK constraints and triggers of the target. The session's come back afterwards.
#![allow(unsafe_code)] // sets configuration parameters for as long as a function runs

use std::cell::RefCell;
use std::ffi::{CStr, CString};

use aliaport_rows::convert::Zone;
use pgrx::pg_sys;

use super::error::Result;
use super::spi;

/// PostgreSQL's defaults of what its parser and the input and output functions of its types follow, but for
/// TimeZone.
const FIXED: [(&CStr, &CStr); 13] = [
    (c"array_nulls", c"on"),
    (c"backslash_quote", c"safe_encoding"),
    (c"bytea_output", c"hex"),
    (c"datestyle", c"ISO, YMD"),
    (c"extra_float_digits", c"1"),
    (c"intervalstyle", c"postgres"),
    (c"lc_monetary", c"C"),
    (c"lc_numeric", c"C"),
    (c"quote_all_identifiers", c"off"),
    (c"standard_conforming_strings", c"on"),
    (c"transform_null_equals", c"off"),
    (c"xmlbinary", c"base64"),
    (c"xmloption", c"content"),
];

thread_local! {
    /// The TimeZone of the session that called the verb that runs.
    static SESSION_ZONE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The session's own TimeZone, while settings are fixed.
pub fn session_time_zone() -> String {
    SESSION_ZONE.with_borrow(Clone::clone)
}

/// Runs `f` under fixed settings, with the time zone that `options` name. An error needs no restoring: the
/// end of the (sub)transaction resets them.
pub fn fixed<R>(options: &serde_json::Value, f: impl FnOnce() -> Result<R>) -> Result<R> {
    let zone = time_zone(options);
    let of_session = spi::one::<String>("SELECT pg_catalog.current_setting('TimeZone')", &[])?;
    SESSION_ZONE.set(of_session.unwrap_or_default());
    under(&zone, f)
}

/// Runs `f` under fixed settings and in a time zone, for input functions that a scan calls.
pub fn in_zone<R>(zone: &Zone, f: impl FnOnce() -> R) -> R {
    under(&known_zone(Some(zone)), f)
}

fn under<R>(zone: &CStr, f: impl FnOnce() -> R) -> R {
    // SAFETY: begins a nest level, which is ended below or by the end of the (sub)transaction.
    let nest_level = unsafe { pg_sys::NewGUCNestLevel() };
    for (name, value) in FIXED {
        set(name, value);
    }
    set(c"timezone", zone);
    let result = f();
    // SAFETY: ends the nest level begun above. `true` keeps what a trigger has set for the session, as
    // PostgreSQL does at the end of a function with settings of its own.
    unsafe { pg_sys::AtEOXact_GUC(true, nest_level) };
    result
}

fn set(name: &CStr, value: &CStr) {
    // SAFETY: GUC_ACTION_SAVE below a nest level is how PostgreSQL sets a function's settings; both strings
    // outlive the call, which copies them. A value that is not allowed raises an error.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// The zone of `options.timezone`. The converters give every time an offset of their own, from the zone rules
/// that are built in; so it does not matter for them if this server does not know the zone, nor that a name
/// which is no zone is refused later.
fn time_zone(options: &serde_json::Value) -> CString {
    let named = options.get("timezone").and_then(serde_json::Value::as_str).unwrap_or("UTC");
    known_zone(Zone::parse(named).ok().as_ref())
}

/// The zone's name, where this server knows it.
fn known_zone(zone: Option<&Zone>) -> CString {
    let zone = zone.and_then(|zone| CString::new(zone.name()).ok());
    // SAFETY: the name is NUL-terminated; the call only looks it up.
    zone.filter(|name| unsafe { !pg_sys::pg_tzset(name.as_ptr()).is_null() })
        .unwrap_or_else(|| c"UTC".to_owned())
}
