//! What the tests ask the server directly: what a type's own input function makes of a text, and how its
//! output function shows a value.
#![allow(unsafe_code)] // calls functions of types through PostgreSQL's function manager

use aliaport_rows::convert::{Converter, Rules, Scratch};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Value};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::heap::datum::{self, Arena};
use crate::pg::heap::input::Input;
use crate::pg::server::{error, spi, subxact};

/// A stored value, or the SQLSTATE of its refusal.
pub type Verdict = Result<Stored, PgSqlErrorCode>;

/// A stored value: its bytes without length header, and its datum, valid until the next case.
#[derive(Clone, Debug)]
pub struct Stored {
    pub bytes: Vec<u8>,
    datum: pg_sys::Datum,
}

/// Our verdict on a value, and that of the type's input function on its text.
#[derive(Clone, Debug)]
pub struct Case {
    pub ours: Verdict,
    pub theirs: Verdict,
}

impl Case {
    /// The same bytes, or the same SQLSTATE.
    pub fn is_equal(&self) -> bool {
        match (&self.ours, &self.theirs) {
            (Ok(ours), Ok(theirs)) => ours.bytes == theirs.bytes,
            (Err(ours), Err(theirs)) => ours == theirs,
            _ => false,
        }
    }

    /// Both refuse: PostgreSQL because the digits read so far are too many, before it sees that what follows
    /// them is no number.
    pub fn is_too_large_to_be_looked_at(&self) -> bool {
        self.ours.as_ref().err() == Some(&PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION)
            && self.theirs.as_ref().err() == Some(&PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
    }
}

/// One column type: our converter and PostgreSQL's functions for it.
pub struct Oracle {
    pg_type: PgType,
    converter: Converter,
    scratch: Scratch,
    arena: Arena,
    input: Input,
    output: pg_sys::Oid,
    /// Values of one case.
    context: pg_sys::MemoryContext,
}

impl Oracle {
    pub fn new(pg_type: PgType, rules: &Rules) -> Self {
        // A column says what the type's spelling means, modifier included.
        spi::run_for_caller(&format!("CREATE TEMPORARY TABLE oracle (v {pg_type})")).unwrap();
        let attribute = |column: &str| {
            format!(
                "SELECT {column} FROM pg_attribute WHERE attrelid = 'pg_temp.oracle'::regclass AND attname = 'v'"
            )
        };
        let oid: pg_sys::Oid = spi::one_for_caller(&attribute("atttypid"), &[]).unwrap().unwrap();
        let typmod: i32 = spi::one_for_caller(&attribute("atttypmod"), &[]).unwrap().unwrap();
        spi::run_for_caller("DROP TABLE pg_temp.oracle").unwrap();
        let mut output = pg_sys::InvalidOid;
        let mut is_varlena = false;
        // SAFETY: a catalogue look-up inside a transaction with valid out-pointers; the context is a child of
        // the transaction's.
        let context = unsafe {
            pg_sys::getTypeOutputInfo(oid, &mut output, &mut is_varlena);
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopTransactionContext,
                c"oracle".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        // What the input function keeps between calls must outlive the SPI connection of whoever made this
        // oracle. SAFETY: the context was made above.
        let outer = unsafe { pg_sys::MemoryContextSwitchTo(pg_sys::TopTransactionContext) };
        let input = Input::of_type(oid, typmod);
        // SAFETY: `outer` was current before.
        unsafe { pg_sys::MemoryContextSwitchTo(outer) };
        let converter = Converter::new(&pg_type, rules);
        let (scratch, arena) = (Scratch::default(), Arena::default());
        Oracle { pg_type, converter, scratch, arena, input, output, context }
    }

    /// Both verdicts on a text, which has no NUL in it.
    pub fn case(&mut self, text: &str) -> Case {
        self.case_of(Value::Text(text.as_bytes()), text)
    }

    /// Our verdict on a value, and that of the input function on a text that means the same.
    pub fn case_of(&mut self, value: Value<'_>, text: &str) -> Case {
        // SAFETY: the context is ours; what it held belongs to the case before.
        unsafe { pg_sys::MemoryContextReset(self.context) };
        let theirs = self.read(text);
        Case { ours: self.convert(value), theirs }
    }

    /// What the type's input function makes of a text.
    pub fn read(&mut self, text: &str) -> Verdict {
        let Oracle { input, context, .. } = self;
        // SAFETY: the context is ours.
        let read =
            subxact::within(subxact::AtEnd::Undo, || Ok(unsafe { input.read(text.as_bytes(), *context) }));
        read.map(|datum| self.stored(datum)).map_err(|e| e.code())
    }

    fn convert(&mut self, value: Value<'_>) -> Verdict {
        self.arena.reset();
        let converted =
            self.converter.convert(value, &mut self.scratch).map_err(|e| error::code(e.sqlstate()))?;
        let datum = datum::to_datum(&converted.cell, &mut self.arena)
            .expect("a cell that is neither NULL nor text for input");
        Ok(self.stored(datum))
    }

    fn stored(&self, datum: pg_sys::Datum) -> Stored {
        // SAFETY: the datum is a value of this type, made just now.
        let cell = unsafe { datum::to_cell(datum, self.pg_type.storage()) };
        Stored { bytes: bytes(&cell), datum }
    }

    /// A case for a failure's message.
    pub fn describe(&self, case: &Case) -> String {
        let show = |verdict: &Verdict| match verdict {
            Ok(stored) => {
                // SAFETY: the datum is a value of this type that lives until the next case; the output
                // function returns a C string.
                let text = unsafe {
                    std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(self.output, stored.datum))
                };
                let hex: String = stored.bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
                format!("{} ({hex})", text.to_string_lossy())
            }
            Err(code) => format!("error {}", sqlstate(*code)),
        };
        format!("as {}: we have {}, PostgreSQL has {}", self.pg_type, show(&case.ours), show(&case.theirs))
    }
}

/// The five characters of a code.
pub fn sqlstate(code: PgSqlErrorCode) -> String {
    // MAKE_SQLSTATE of src/include/utils/elog.h: six bits a character.
    (0..5).map(|i| char::from(((code as i32 >> (6 * i)) & 0x3f) as u8 + b'0')).collect()
}

/// What `timestamptz::timestamp` gives: the wall clock of the session's time zone.
pub fn local_time(stored: &Stored) -> Result<i64, PgSqlErrorCode> {
    let datum = stored.datum;
    // SAFETY: the datum is a timestamptz.
    let call = || unsafe { pg_sys::DirectFunctionCall1Coll(Some(timestamp_of), pg_sys::InvalidOid, datum) };
    subxact::within(subxact::AtEnd::Undo, || Ok(call())).map(|d| d.value() as i64).map_err(|e| e.code())
}

/// # Safety
/// As for every function of PostgreSQL's calling convention.
unsafe extern "C-unwind" fn timestamp_of(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::timestamptz_timestamp(call) }
}

/// What `float8out` shows.
pub fn float8out(v: f64) -> String {
    // SAFETY: the function returns a C string in the current memory context.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::float8out_internal(v)) }.to_string_lossy().into_owned()
}

/// The bytes of a cell; all NaNs are one.
fn bytes(cell: &Cell<'_>) -> Vec<u8> {
    match *cell {
        Cell::Null | Cell::Input(_) => Vec::new(),
        Cell::Bool(v) => vec![u8::from(v)],
        Cell::Int2(v) => v.to_ne_bytes().to_vec(),
        Cell::Int4(v) | Cell::Date(v) => v.to_ne_bytes().to_vec(),
        Cell::Int8(v) | Cell::Time(v) | Cell::Timestamp(v) => v.to_ne_bytes().to_vec(),
        Cell::Float4(v) => if v.is_nan() { f32::NAN } else { v }.to_ne_bytes().to_vec(),
        Cell::Float8(v) => if v.is_nan() { f64::NAN } else { v }.to_ne_bytes().to_vec(),
        Cell::Enum(v) => v.to_ne_bytes().to_vec(),
        Cell::Uuid(v) => v.to_vec(),
        Cell::Varlena(v) => v.to_vec(),
    }
}
