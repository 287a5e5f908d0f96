//! What a value lost, or how it was read, on its way into a column: counted as warnings, never an error.

/// Why a stored value is not simply the source's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lossy {
    /// A number has more decimal places than `numeric(p,s)` keeps.
    NumericRounded,
    /// An integer or a decimal text that `double precision`, or any number that `real`, does not hold
    /// exactly.
    RealRounded,
    /// A fraction of a second finer than the column's precision (microseconds without one).
    SubMicrosecond,
    /// A number was read as a point in time. The value is right if the number means what it was taken for.
    EpochNumber,
    /// A `date` column was given a time of day other than midnight.
    TimeDropped,
    /// A `time` column was given a date.
    DateDropped,
    /// A `time` column was given a UTC offset.
    OffsetDropped,
    /// A text was stored in a `bytea` column as the bytes it consists of.
    TextAsBytes,
    /// Trailing blanks were cut: those beyond the column's length, as SQL demands; those of a text that
    /// `char(n)` fills up.
    BlanksCut,
    /// A JSON object has the same key more than once; `jsonb` keeps the last.
    DuplicateKey,
    /// A local time that the clocks of the time zone skip.
    TimeGap,
    /// A local time that the clocks of the time zone show twice.
    TimeFold,
    /// A time without date and offset, in a zone that has one offset in winter and another in summer.
    OffsetAssumed,
    /// An interval has fields that its column does not keep, such as seconds in `interval hour to minute`.
    FieldsDropped,
    /// A blob of 16 bytes was read as a uuid, in an order of bytes that nobody has named.
    UuidBytes,
}

impl Lossy {
    /// Every kind, in the order of declaration.
    pub const ALL: [Lossy; 15] = [
        Lossy::NumericRounded,
        Lossy::RealRounded,
        Lossy::SubMicrosecond,
        Lossy::EpochNumber,
        Lossy::TimeDropped,
        Lossy::DateDropped,
        Lossy::OffsetDropped,
        Lossy::TextAsBytes,
        Lossy::BlanksCut,
        Lossy::DuplicateKey,
        Lossy::TimeGap,
        Lossy::TimeFold,
        Lossy::OffsetAssumed,
        Lossy::FieldsDropped,
        Lossy::UuidBytes,
    ];

    /// The code of the warning, stable and greppable.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Lossy::NumericRounded => "numeric_rounded",
            Lossy::RealRounded => "real_rounded",
            Lossy::SubMicrosecond => "sub_microsecond",
            Lossy::EpochNumber => "epoch_number",
            Lossy::TimeDropped => "time_dropped",
            Lossy::DateDropped => "date_dropped",
            Lossy::OffsetDropped => "offset_dropped",
            Lossy::TextAsBytes => "text_as_bytes",
            Lossy::BlanksCut => "blanks_cut",
            Lossy::DuplicateKey => "duplicate_json_key",
            Lossy::TimeGap => "time_gap",
            Lossy::TimeFold => "time_fold",
            Lossy::OffsetAssumed => "offset_assumed",
            Lossy::FieldsDropped => "fields_dropped",
            Lossy::UuidBytes => "uuid_bytes",
        }
    }
}
