//! The time zone of naive date-times: what its wall clock shows, and which instant a wall clock reading
//! means.
//!
//! The rules are the IANA database that is built in, not the operating system's, so that two servers give the
//! same result.

use std::fmt;
use std::sync::Arc;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND};

/// Days in 400 Gregorian years, after which weekdays and leap years repeat.
const DAYS_PER_CYCLE: i64 = 146_097;

/// The first day of year 9600 as days since 2000-01-01: from there on the rules of the same day in the cycle
/// before it count, because the time-zone library ends with year 9999. Zone rules do not change any more in
/// years so late.
const LAST_CYCLE_START: i64 = 19 * DAYS_PER_CYCLE;

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800;

/// A year whose rules are those that go on for ever.
const LATE_YEAR: i16 = 9000;

/// How often a wall clock shows a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It means one instant.
    Once,
    /// The clock was set forward across it.
    Never,
    /// The clock was set back across it.
    Twice,
}

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

    /// The instant at which the zone's wall clock shows `local`, both in microseconds since 2000-01-01
    /// 00:00:00, and how sure that is.
    ///
    /// A reading that the clock skips counts by the offset before the change (02:30 becomes 03:30 by the new
    /// offset), one that it shows twice by the offset after it, as PostgreSQL's `DetermineTimeZoneOffset`
    /// decides. `None` beyond the range of an i64.
    #[must_use]
    pub fn to_utc(&self, local: i64) -> Option<(i64, Clock)> {
        let Some(named) = &self.named else { return Some((local, Clock::Once)) };
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
        let (offset, clock) = match named.rules.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset, Clock::Once),
            AmbiguousOffset::Gap { before, .. } => (before, Clock::Never),
            AmbiguousOffset::Fold { after, .. } => (after, Clock::Twice),
        };
        let utc = local.checked_sub(i64::from(offset.seconds()) * MICROS_PER_SECOND)?;
        Some((utc, clock))
    }

    /// The offset, in seconds east of UTC, of a time that has no date: the zone's standard time by its newest
    /// rules. True where the zone has another one in summer, so that the time may have meant that.
    #[must_use]
    pub fn standard_offset(&self) -> (i64, bool) {
        let Some(named) = &self.named else { return (0, false) };
        // Any year so late does: rules that are known for certain years only have ended by then.
        let offset_in = |month| {
            let instant = civil::date(LATE_YEAR, month, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC);
            instant.map_or(0, |at| i64::from(named.rules.to_offset(at.timestamp()).seconds()))
        };
        let (january, july) = (offset_in(1), offset_in(7));
        (january.min(july), january != july)
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

    #[test]
    fn a_time_without_a_date_has_the_standard_offset() {
        let offset = |name: &str| Zone::parse(name).unwrap().standard_offset();
        assert_eq!(offset("UTC"), (0, false));
        assert_eq!(offset("Europe/Istanbul"), (10_800, false));
        assert_eq!(offset("Asia/Kolkata"), (19_800, false));
        assert_eq!(offset("Europe/Berlin"), (3_600, true));
        assert_eq!(offset("Australia/Sydney"), (36_000, true));
        assert_eq!(offset("America/New_York"), (-18_000, true));
    }

    proptest! {
        #[test]
        fn what_the_clock_shows_at_an_instant_means_an_instant_at_which_it_shows_that(
            utc in calendar::FIRST_TIMESTAMP + MICROS_PER_DAY..calendar::TIMESTAMP_END - MICROS_PER_DAY,
            name in prop_oneof![Just("Europe/Istanbul"), Just("America/New_York"), Just("Australia/Lord_Howe")],
        ) {
            let zone = Zone::parse(name).unwrap();
            let local = zone.to_local(utc).unwrap();
            let (again, clock) = zone.to_utc(local).unwrap();
            prop_assert_eq!(zone.to_local(again), Some(local));
            prop_assert_eq!(again == utc || clock == Clock::Twice, true);
            prop_assert_ne!(clock, Clock::Never);
            // Only where the clock was set back can it be another instant, and then a later one.
            prop_assert!((0..=3_600 * MICROS_PER_SECOND).contains(&(again - utc)));
        }
    }
}
