//! Values that land and are not the same.

use aliaport_rows::convert::Lossy;

use super::Severity;

/// One sentence without a full stop that says what happened to the values.
pub(super) fn landed(lossy: Lossy) -> &'static str {
    match lossy {
        Lossy::NumericRounded => "numbers were rounded to the column's scale",
        Lossy::RealRounded => "numbers were rounded to the nearest floating-point value",
        Lossy::SubMicrosecond => "fractions of a second were rounded to the column's precision",
        Lossy::EpochNumber => "numbers were read as points in time",
        Lossy::TimeDropped => "the time of day was dropped in a date column",
        Lossy::DateDropped => "the date was dropped in a time column",
        Lossy::OffsetDropped => "the UTC offset was dropped in a time column",
        Lossy::TextAsBytes => "texts were stored as bytes",
        Lossy::BlanksCut => "trailing blanks were cut",
        Lossy::DuplicateKey => "of repeated keys in a JSON object only the last was kept",
        Lossy::TimeGap => "local times that the clocks skip were read by the offset before the change",
        Lossy::TimeFold => "local times that the clocks show twice were read by the offset after the change",
        Lossy::OffsetAssumed => "times without a date and an offset got the standard offset of the time zone",
        Lossy::FieldsDropped => "fields of an interval that the column does not keep were dropped",
        Lossy::UuidBytes => "blobs were read as uuids in the byte order of RFC 4122",
    }
}

/// How much it matters that values arrive differently. A number that is read as a point in time and a text
/// stored as its bytes are the same value, if they were meant so; the others lose something that was there.
pub(super) fn severity(lossy: Lossy) -> Severity {
    match lossy {
        Lossy::EpochNumber | Lossy::TextAsBytes => Severity::Info,
        Lossy::NumericRounded
        | Lossy::RealRounded
        | Lossy::SubMicrosecond
        | Lossy::TimeDropped
        | Lossy::DateDropped
        | Lossy::OffsetDropped
        | Lossy::BlanksCut
        | Lossy::DuplicateKey
        | Lossy::TimeGap
        | Lossy::TimeFold
        | Lossy::OffsetAssumed
        | Lossy::FieldsDropped
        | Lossy::UuidBytes => Severity::Warning,
    }
}

/// What will happen to such values, as the end of a sentence that begins with their number.
pub(super) fn will_land(lossy: Lossy) -> &'static str {
    match lossy {
        Lossy::NumericRounded => "will be rounded to the column's scale",
        Lossy::RealRounded => "will be rounded to the nearest floating-point value",
        Lossy::SubMicrosecond => "will lose a fraction of a second beyond the column's precision",
        Lossy::EpochNumber => "will be read as Unix or Julian time: a number in a date or time column",
        Lossy::TimeDropped => "will lose the time of day in a date column",
        Lossy::DateDropped => "will lose the date in a time column",
        Lossy::OffsetDropped => "will lose the UTC offset in a time column",
        Lossy::TextAsBytes => "will be stored as bytes: a text in a bytea column",
        Lossy::BlanksCut => "will lose trailing blanks",
        Lossy::DuplicateKey => "will keep only the last of repeated keys in a JSON object",
        Lossy::TimeGap => {
            "will be read by the offset before the change: local times that the clocks of the time zone skip"
        }
        Lossy::TimeFold => {
            "will be read by the offset after the change: local times that the clocks of the time zone show twice"
        }
        Lossy::OffsetAssumed => {
            "will get the standard offset of the time zone: times without a date and an offset"
        }
        Lossy::FieldsDropped => "will lose the fields of an interval that the column does not keep",
        Lossy::UuidBytes => "will be read in the byte order of RFC 4122: a blob of 16 bytes in a uuid column",
    }
}

/// What to do about values that landed and are not the same.
pub(super) fn remedy(lossy: Lossy) -> &'static str {
    match lossy {
        Lossy::NumericRounded => {
            "Name a `numeric` with more decimal places, or without a limit, with the option `type`."
        }
        Lossy::RealRounded => "Import the column as `numeric`, which keeps every digit.",
        Lossy::SubMicrosecond => "Import the column as `text` where the digits beyond microseconds matter.",
        Lossy::EpochNumber => {
            "Say with the option `number` what the numbers count, so that nothing is guessed."
        }
        Lossy::TimeDropped => "Import the column as `timestamp` or `timestamptz`.",
        Lossy::DateDropped | Lossy::OffsetDropped => "Import the column as `timestamptz`, or as `text`.",
        Lossy::TextAsBytes => {
            "Nothing has to be done where the column is meant to hold bytes; otherwise import it as `text`."
        }
        Lossy::BlanksCut => "Import the column as `text` where trailing blanks matter.",
        Lossy::DuplicateKey => "Import the column as `json`, which keeps the text as it is.",
        Lossy::TimeGap | Lossy::TimeFold => {
            "Import the column as `timestamp`, which keeps local times as they are, or check the option `timezone`."
        }
        Lossy::OffsetAssumed => "Import the column as `time`, which has no offset.",
        Lossy::FieldsDropped => "Name a plain `interval` with the option `type`.",
        Lossy::UuidBytes => "Say with the option `uuid` in which order the bytes stand.",
    }
}
