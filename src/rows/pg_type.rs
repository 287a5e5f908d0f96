//! The PostgreSQL types a column can have, their SQL spelling, and what the load needs to know of them.

use std::fmt;

/// Declares [`PgType`]. A type without a modifier is one line: its name in SQL and its other names, how its
/// values are stored, and its OID (`pg_type.dat`) unless an extension makes it.
macro_rules! types {
    ($($(#[$doc:meta])* $plain:ident: $name:literal $(| $alias:literal)*, $storage:expr $(, $oid:literal)?;)*) => {
        /// A column's PostgreSQL type with its type modifier.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum PgType {
            $($(#[$doc])* $plain,)*
            /// `numeric` or `numeric(precision, scale)`.
            Numeric {
                /// Precision 1 to 1000 and scale -1000 to 1000 (0 to precision before PostgreSQL 15); `None`
                /// without limit.
                precision_scale: Option<(u16, i16)>,
            },
            /// `varchar(n)`, n in characters (1 to 10485760); `None` without limit.
            Varchar(Option<u32>),
            /// `char(n)`, n in characters, blank-padded.
            Char(u32),
            /// `time without time zone`, with the number of fractional digits (0 to 6) where one is declared.
            Time(Option<u8>),
            /// `timestamp without time zone`, with the number of fractional digits (0 to 6) where one is
            /// declared.
            Timestamp(Option<u8>),
            /// `timestamp with time zone`, with the number of fractional digits (0 to 6) where one is
            /// declared.
            TimestampTz(Option<u8>),
            /// A native enum of the target.
            Enum {
                /// The type as SQL prints it.
                name: String,
                /// Its labels with their OIDs, in sort order.
                labels: Vec<(String, u32)>,
            },
            /// Any other type of the target: values go through its own input function.
            Other {
                /// The type as SQL prints it, with its modifier.
                name: String,
                /// What its values are made of.
                shape: Shape,
            },
        }

        impl PgType {
            /// The type without a modifier that has this name, in lower case.
            #[must_use]
            pub fn of_name(name: &str) -> Option<PgType> {
                match name {
                    $($name $(| $alias)* => Some(PgType::$plain),)*
                    _ => None,
                }
            }

            /// The type that the catalogue has with this OID and modifier; `None` where none of PostgreSQL's
            /// own is known by it.
            #[must_use]
            pub fn of_oid(oid: u32, typmod: i32) -> Option<PgType> {
                match oid {
                    $($($oid => Some(PgType::$plain),)?)*
                    _ => Self::with_modifier(oid, typmod),
                }
            }

            /// How its values are stored.
            #[must_use]
            pub fn storage(&self) -> Storage {
                match self {
                    $(PgType::$plain => $storage,)*
                    PgType::Numeric { .. } => Storage::Numeric,
                    PgType::Varchar(_) | PgType::Char(_) => Storage::Text,
                    PgType::Time(_) => Storage::Time,
                    PgType::Timestamp(_) | PgType::TimestampTz(_) => Storage::Timestamp,
                    PgType::Enum { .. } => Storage::Label,
                    PgType::Other { .. } => Storage::Opaque,
                }
            }
        }

        impl fmt::Display for PgType {
            /// The spelling that `format_type` gives, so that a plan reads like `\d`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(PgType::$plain => f.write_str($name),)*
                    PgType::Numeric { precision_scale: None } => f.write_str("numeric"),
                    PgType::Numeric { precision_scale: Some((p, s)) } => write!(f, "numeric({p},{s})"),
                    PgType::Varchar(None) => f.write_str("character varying"),
                    PgType::Varchar(Some(n)) => write!(f, "character varying({n})"),
                    PgType::Char(n) => write!(f, "character({n})"),
                    PgType::Time(p) => with_precision(f, "time", *p, " without time zone"),
                    PgType::Timestamp(p) => with_precision(f, "timestamp", *p, " without time zone"),
                    PgType::TimestampTz(p) => with_precision(f, "timestamp", *p, " with time zone"),
                    PgType::Enum { name, .. } | PgType::Other { name, .. } => f.write_str(name),
                }
            }
        }
    };
}

types! {
    /// `boolean`
    Boolean: "boolean" | "bool", Storage::Bool, 16;
    /// `smallint`
    SmallInt: "smallint" | "int2", Storage::Int2, 21;
    /// `integer`
    Integer: "integer" | "int" | "int4", Storage::Int4, 23;
    /// `bigint`
    BigInt: "bigint" | "int8", Storage::Int8, 20;
    /// `real`
    Real: "real" | "float4", Storage::Float4, 700;
    /// `double precision`
    DoublePrecision: "double precision" | "float8", Storage::Float8, 701;
    /// `text`
    Text: "text", Storage::Text, 25;
    /// `citext`
    Citext: "citext", Storage::Text;
    /// `bytea`
    Bytea: "bytea", Storage::Bytes, 17;
    /// `date`
    Date: "date", Storage::Date, 1082;
    /// `json`
    Json: "json", Storage::Text, 114;
    /// `jsonb`
    Jsonb: "jsonb", Storage::Own, 3802;
    /// `uuid`
    Uuid: "uuid", Storage::Uuid, 2950;
    /// `inet`
    Inet: "inet", Storage::Own, 869;
    /// `cidr`
    Cidr: "cidr", Storage::Own, 650;
}

/// What the values of a type that has its own input function are made of. The parts of a value are converted
/// by the rules of their own types before the input function sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing that is known here.
    #[default]
    Whole,
    /// An array.
    Array {
        /// The type of its elements, a domain as its base type.
        element: Box<PgType>,
        /// What stands between two elements: a comma, for `box[]` a semicolon.
        delimiter: u8,
    },
    /// A range with bounds of this type.
    Range(Box<PgType>),
    /// A multirange, whose ranges have bounds of this type.
    Multirange(Box<PgType>),
    /// A row of fields of these types.
    Composite(Vec<PgType>),
    /// A domain over this type.
    Domain(Box<PgType>),
}

/// How values of a type are stored: what a cell, a datum and a tuple of it are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// One byte, 0 or 1.
    Bool,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// A single, four bytes.
    Float4,
    /// A double, eight bytes.
    Float8,
    /// Days since 2000-01-01, four bytes.
    Date,
    /// Microseconds since midnight, eight bytes.
    Time,
    /// Microseconds since 2000-01-01, eight bytes.
    Timestamp,
    /// The OID of an enum's label, four bytes.
    Label,
    /// Sixteen bytes.
    Uuid,
    /// A varlena of the text that the output function writes.
    Text,
    /// A varlena of the bytes themselves.
    Bytes,
    /// A varlena of the digits of a `numeric`.
    Numeric,
    /// A varlena in a form of the type's own.
    Own,
    /// Nothing that is known here: its own functions read and write it.
    Opaque,
}

impl PgType {
    /// A type of which no more than its name is known.
    #[must_use]
    pub fn other(name: impl Into<String>) -> PgType {
        PgType::Other { name: name.into(), shape: Shape::Whole }
    }

    /// The most bytes that a value takes, its alignment included; `None` where there is no bound that is
    /// known here.
    #[must_use]
    pub fn longest(&self) -> Option<usize> {
        match self {
            // A character of UTF-8 has up to four bytes, the length in front of them four, and the alignment
            // up to seven.
            PgType::Varchar(Some(n)) | PgType::Char(n) => {
                usize::try_from(*n).ok()?.checked_mul(4)?.checked_add(11)
            }
            _ if matches!(
                self.storage(),
                Storage::Text | Storage::Bytes | Storage::Numeric | Storage::Own | Storage::Opaque
            ) =>
            {
                None
            }
            _ => Some(24),
        }
    }

    /// The types of PostgreSQL's own that have a modifier.
    fn with_modifier(oid: u32, typmod: i32) -> Option<PgType> {
        let length = (typmod > 4).then(|| u32::try_from(typmod - 4).unwrap_or(1));
        let fraction = u8::try_from(typmod).ok();
        Some(match oid {
            1700 => PgType::Numeric {
                precision_scale: (typmod >= 4).then(|| {
                    // numeric.c: precision in the upper 16 bits, scale in the lower 11 as a signed number (15
                    // and later).
                    let packed = typmod - 4;
                    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
                    ((packed >> 16) as u16, scale as i16)
                }),
            },
            1043 => PgType::Varchar(length),
            1042 => PgType::Char(length?),
            1083 => PgType::Time(fraction),
            1114 => PgType::Timestamp(fraction),
            1184 => PgType::TimestampTz(fraction),
            _ => return None,
        })
    }

    /// Its values go through the type's own input function.
    #[must_use]
    pub fn needs_input(&self) -> bool {
        matches!(self, PgType::Other { .. })
    }

    /// Whether the name of a type that has its own input function is one of some.
    fn has_name(&self, of: impl Fn(&str) -> bool) -> bool {
        matches!(self, PgType::Other { name, shape: Shape::Whole } if of(name))
    }

    /// `interval`, with whatever fields and precision.
    #[must_use]
    pub fn is_interval(&self) -> bool {
        self.has_name(|name| {
            name.strip_prefix("interval").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']))
        })
    }

    /// `time with time zone`, with whatever precision.
    #[must_use]
    pub fn is_timetz(&self) -> bool {
        self.has_name(|name| {
            name.starts_with("time ") && name.ends_with(" with time zone")
                || name.starts_with("time(") && name.ends_with(" with time zone")
                || name == "timetz"
                || name.starts_with("timetz(")
        })
    }
}

fn with_precision(f: &mut fmt::Formatter<'_>, head: &str, precision: Option<u8>, tail: &str) -> fmt::Result {
    match precision {
        None => write!(f, "{head}{tail}"),
        Some(p) => write!(f, "{head}({p}){tail}"),
    }
}
