//! The time zone of naive date-times: what its wall clock shows, and which instant a wall clock reading means.
//!
//! The rules are the IANA database that is built in, not the operating system's, so that two servers give the same result.

use std::fmt;
use std::sync::Arc;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND};

/// Days in 400 Gregorian years, after which weekdays and leap years repeat.
const DAYS_PER_CYCLE: i64 = 146_097;

/// The first day of year 9600 as days since 2000-01-01: from there on the rules of the same day in the cycle before it count,
/// because the time-zone library ends with year 9999. Zone rules do not change any more in years so late.
const LAST_CYCLE_START: i64 = 19 * DAYS_PER_CYCLE;

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800;

/// A time zone.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    // None is UTC, which needs no library call.
    named: Option<Arc<Named>>,
}

#[derive(Debug)]
struct Named {
    name: String,
    rules: TimeZone,
}

/// A time zone name that is not in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    name: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time zone \"{}\" not recognized", self.name)
    }
}

impl std::error::Error for ZoneError {}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Zone { named: None }
    }

    /// The zone of an IANA name such as `Europe/Istanbul`, in any case.
    ///
    /// # Errors
    /// The name is not in the database (22023).
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        const UTC: [&str; 9] =
            ["UTC", "Etc/UTC", "Z", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Universal"];
        if UTC.iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
            return Ok(Zone::utc());
        }
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| ZoneError { name: name.to_owned() })?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Zone { named: Some(Arc::new(Named { name, rules })) })
    }

    /// The zone's name as the database spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.named.as_ref().map_or("UTC", |named| &named.name)
    }

    /// True where no conversion is needed.
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.named.is_none()
    }

    /// The instant at which the zone's wall clock shows `local`; both in microseconds since 2000-01-01 00:00:00.
    ///
    /// A reading that the clock skips counts by the offset before the change (02:30 becomes 03:30 by the new offset), one that it shows
    /// twice by the offset after it, as PostgreSQL's `DetermineTimeZoneOffset` decides. `None` beyond the range of an i64.
    #[must_use]
    pub fn to_utc(&self, local: i64) -> Option<i64> {
        let Some(named) = &self.named else { return Some(local) };
        let day = local.div_euclid(MICROS_PER_DAY);
        let micros = local.rem_euclid(MICROS_PER_DAY);
        let date = calendar::date_of_days(within_rules(day));
        let seconds = (micros / MICROS_PER_SECOND) as i32;
        let reading = civil::DateTime::new(
            i16::try_from(date.year).ok()?,
            date.month as i8,
            date.day as i8,
            (seconds / 3600) as i8,
            (seconds / 60 % 60) as i8,
            (seconds % 60) as i8,
            0,
        )
        .ok()?;
        let offset = match named.rules.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        };
        local.checked_sub(i64::from(offset.seconds()) * MICROS_PER_SECOND)
    }

    /// What the zone's wall clock shows at an instant; both in microseconds since 2000-01-01 00:00:00.
    ///
    /// `None` beyond the range of an i64.
    #[must_use]
    pub fn to_local(&self, utc: i64) -> Option<i64> {
        let Some(named) = &self.named else { return Some(utc) };
        let day = within_rules(utc.div_euclid(MICROS_PER_DAY));
        let second = utc.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
        let instant = jiff::Timestamp::from_second(day * 86_400 + second + UNIX_TO_2000).ok()?;
        let offset = named.rules.to_offset(instant);
        utc.checked_add(i64::from(offset.seconds()) * MICROS_PER_SECOND)
    }
}

/// A day that has the same rules and that the time-zone library knows.
fn within_rules(day: i64) -> i64 {
    if day < LAST_CYCLE_START {
        day
    } else {
        LAST_CYCLE_START - DAYS_PER_CYCLE + (day - LAST_CYCLE_START) % DAYS_PER_CYCLE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_iana_database_in_any_case() {
        assert_eq!(Zone::parse("europe/istanbul").unwrap().name(), "Europe/Istanbul");
        assert!(Zone::parse("etc/utc").unwrap().is_utc());
        assert_eq!(Zone::default(), Zone::parse("UTC").unwrap());
        for name in ["", "Europe/Nowhere", "+03", "EST5EDT4,M3", "../../etc/passwd"] {
            let error = Zone::parse(name).unwrap_err();
            assert_eq!(error.to_string(), format!("time zone \"{name}\" not recognized"));
        }
    }

    proptest! {
        #[test]
        fn what_the_clock_shows_at_an_instant_means_an_instant_at_which_it_shows_that(
            utc in calendar::FIRST_TIMESTAMP + MICROS_PER_DAY..calendar::TIMESTAMP_END - MICROS_PER_DAY,
            name in prop_oneof![Just("Europe/Istanbul"), Just("America/New_York"), Just("Australia/Lord_Howe")],
        ) {
            let zone = Zone::parse(name).unwrap();
            let local = zone.to_local(utc).unwrap();
            let again = zone.to_utc(local).unwrap();
            prop_assert_eq!(zone.to_local(again), Some(local));
            // Only where the clock was set back can it be another instant, and then a later one.
            prop_assert!((0..=3_600 * MICROS_PER_SECOND).contains(&(again - utc)));
        }
    }
}
