//! One statement and its rows, read with SQLite's C functions: the fast path of a scan.
//!
//! `sqlite3_column_value` with `sqlite3_value_*` reads a row of 20 columns 1.5 times as fast as rusqlite's
//! `get_ref`.
#![allow(unsafe_code)] // rusqlite gives no access to its statements

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use aliaport_rows::value::Value;
use rusqlite::ffi;

use crate::error::{SourceError, SourceErrorKind};
use crate::source::Source;
use crate::utf16;

// SQLite's, as sqlite3.h declares them; rusqlite's bindings leave out all that is UTF-16.
unsafe extern "C" {
    fn sqlite3_value_text16(value: *mut ffi::sqlite3_value) -> *const c_void;
    fn sqlite3_value_bytes16(value: *mut ffi::sqlite3_value) -> c_int;
}

/// One prepared statement and the row it stands on.
pub(crate) struct Statement<'s> {
    source: &'s Source,
    raw: NonNull<ffi::sqlite3_stmt>,
    /// The current row. The slices are SQLite's and really live until the next call of [`Statement::step`]:
    /// they are cleared there first, and handed out for the time of a borrow of `self` only.
    values: Vec<Value<'static>>,
    /// Columns of a row; 0 before the first.
    count: c_int,
    /// See [`Statement::distance`].
    stride: Option<usize>,
    /// The database is in UTF-16, and its texts are looked at before SQLite converts them.
    is_utf16: bool,
    /// Columns and texts of the current row that are no UTF-16; `values` has slices of them.
    malformed: Vec<(c_int, Vec<u8>)>,
    /// Why values of the current row cannot be computed; `values` has references to them.
    unreadable: Vec<String>,
    is_done: bool,
}

impl<'s> Statement<'s> {
    /// Compiles one statement.
    ///
    /// # Errors
    /// What SQLite says; [`SourceErrorKind::InvalidFilter`] where a second statement follows.
    pub(crate) fn prepare(source: &'s Source, sql: &str) -> Result<Self, SourceError> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| SourceError::new(SourceErrorKind::TooBig, source.path()))?;
        let mut raw: *mut ffi::sqlite3_stmt = ptr::null_mut();
        let mut tail: *const c_char = ptr::null();
        // SAFETY: the connection is open; sql has `length` bytes; both results are written before they are
        // read.
        let code = unsafe {
            let db = source.handle();
            ffi::sqlite3_prepare_v3(db, sql.as_ptr().cast(), length, 0, &raw mut raw, &raw mut tail)
        };
        if code != ffi::SQLITE_OK {
            return Err(source.error(code));
        }
        let Some(raw) = NonNull::new(raw) else {
            return Err(SourceError::new(SourceErrorKind::Unexpected, source.path()));
        };
        let statement = Self {
            source,
            raw,
            values: Vec::new(),
            count: 0,
            stride: None,
            is_utf16: false,
            malformed: Vec::new(),
            unreadable: Vec::new(),
            is_done: false,
        };
        let read = (tail as usize).wrapping_sub(sql.as_ptr() as usize);
        if sql.get(read..).is_some_and(|rest| !rest.trim().is_empty()) {
            return Err(SourceError::new(SourceErrorKind::InvalidFilter, source.path())
                .with_detail("It ends before its last word.".to_owned()));
        }
        Ok(statement)
    }

    /// As [`Statement::prepare`], for the values of a table: a text that is no UTF-16 comes out as no UTF-8.
    pub(crate) fn prepare_rows(source: &'s Source, sql: &str) -> Result<Self, SourceError> {
        let is_utf16 = encoding(source)? != "UTF-8";
        let mut statement = Self::prepare(source, sql)?;
        statement.is_utf16 = is_utf16;
        Ok(statement)
    }

    /// As [`Statement::prepare_rows`], with so many parameters. No text of the caller's may be in it: a
    /// parameter of his own would be NULL.
    pub(crate) fn prepare_with_parameters(
        source: &'s Source,
        sql: &str,
        parameters: usize,
    ) -> Result<Self, SourceError> {
        let parameters = c_int::try_from(parameters).unwrap_or(c_int::MAX);
        let limit = |number| {
            // SAFETY: the connection is open.
            unsafe { ffi::sqlite3_limit(source.handle(), ffi::SQLITE_LIMIT_VARIABLE_NUMBER, number) }
        };
        let before = limit(parameters);
        let statement = Self::prepare_rows(source, sql);
        limit(before);
        statement
    }

    /// Starts again, with these values for the parameters.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn restart(&mut self, arguments: &[Value<'_>]) -> Result<(), SourceError> {
        self.values.clear();
        self.unreadable.clear();
        self.is_done = false;
        let raw = self.raw.as_ptr();
        // SAFETY: the statement is prepared, and nothing of its row is used any more. What reset returns is
        // the error of the last step.
        unsafe { ffi::sqlite3_reset(raw) };
        for (value, number) in arguments.iter().zip(1..) {
            // SAFETY: as above; SQLite copies the bytes before the call returns.
            let code = unsafe {
                match *value {
                    Value::Null | Value::Unreadable(_) => ffi::sqlite3_bind_null(raw, number),
                    Value::Integer(integer) => ffi::sqlite3_bind_int64(raw, number, integer),
                    Value::Real(real) => ffi::sqlite3_bind_double(raw, number, real),
                    Value::Text(bytes) => ffi::sqlite3_bind_text(
                        raw,
                        number,
                        bytes.as_ptr().cast(),
                        c_int::try_from(bytes.len()).unwrap_or(c_int::MAX),
                        ffi::SQLITE_TRANSIENT(),
                    ),
                    Value::Blob(bytes) => ffi::sqlite3_bind_blob(
                        raw,
                        number,
                        bytes.as_ptr().cast(),
                        c_int::try_from(bytes.len()).unwrap_or(c_int::MAX),
                        ffi::SQLITE_TRANSIENT(),
                    ),
                }
            };
            if code != ffi::SQLITE_OK {
                return Err(self.source.error(code));
            }
        }
        Ok(())
    }

    /// What it reads.
    pub(crate) fn source(&self) -> &'s Source {
        self.source
    }

    /// SQLite's handle of it.
    pub(crate) fn raw(&self) -> *mut ffi::sqlite3_stmt {
        self.raw.as_ptr()
    }

    /// Sets a value of the current row, which SQLite does not compute.
    pub(crate) fn set_unreadable(&mut self, column: usize, reason: String) {
        if let Some(value) = self.values.get_mut(column) {
            // SAFETY: the text is on the heap, and self.unreadable keeps it until values is cleared.
            *value = Value::Unreadable(unsafe { &*std::ptr::from_ref(reason.as_str()) });
            self.unreadable.push(reason);
        }
    }

    /// Goes to the next row; false after the last.
    ///
    /// # Errors
    /// What SQLite says; running out of memory while a text is converted to UTF-8 is an error too, not a
    /// NULL.
    pub(crate) fn step(&mut self) -> Result<bool, SourceError> {
        self.values.clear();
        if self.is_done {
            return Ok(false);
        }
        let raw = self.raw.as_ptr();
        // SAFETY: the statement is prepared and not finalised before drop.
        match unsafe { ffi::sqlite3_step(raw) } {
            ffi::SQLITE_ROW => {}
            code => {
                // Another step would start from the beginning.
                self.is_done = true;
                return if code == ffi::SQLITE_DONE { Ok(false) } else { Err(self.source.error(code)) };
            }
        }
        if self.count == 0 {
            // SAFETY: as above; the statement stands on a row.
            self.count = unsafe { ffi::sqlite3_data_count(raw) };
            self.stride = self.distance();
            self.values.reserve_exact(usize::try_from(self.count).unwrap_or(0));
        }
        if self.is_utf16 {
            self.find_malformed();
        }
        // SAFETY: as above; a row has a first column.
        let first = unsafe { ffi::sqlite3_column_value(raw, 0) };
        for column in 0..self.count {
            let value = match self.stride {
                // SAFETY: column is in range, and `distance` has seen that the values of a row stand at this
                // distance.
                Some(stride) => unsafe { first.byte_add(column as usize * stride) },
                // SAFETY: column is in range.
                None => unsafe { ffi::sqlite3_column_value(raw, column) },
            };
            // SAFETY: the value is SQLite's until the next step, which clears self.values first.
            match unsafe { read(value) } {
                Some(value) => self.values.push(value),
                None => {
                    self.is_done = true;
                    return Err(SourceError::new(SourceErrorKind::OutOfMemory, self.source.path()));
                }
            }
        }
        for (column, text) in &self.malformed {
            if let Some(value) = self.values.get_mut(*column as usize) {
                // SAFETY: the bytes are on the heap, and self.malformed keeps them until values is cleared.
                *value = Value::Text(unsafe { std::slice::from_raw_parts(text.as_ptr(), text.len()) });
            }
        }
        Ok(true)
    }

    /// Keeps the texts of the current row that are no UTF-16. Only before they are read: reading converts
    /// them.
    #[cold]
    fn find_malformed(&mut self) {
        self.malformed.clear();
        for column in 0..self.count {
            // SAFETY: the statement stands on a row, the column is in range, and nothing of its value was
            // read yet.
            if let Some(text) = unsafe { malformed(ffi::sqlite3_column_value(self.raw.as_ptr(), column)) } {
                self.malformed.push((column, text));
            }
        }
    }

    /// Bytes from one value of the current row to the next, where they are all at the same distance.
    ///
    /// `OP_ResultRow` takes a row from consecutive registers (<https://www.sqlite.org/opcode.html>), which
    /// are an array in memory, so one call finds them all: `sqlite3_column_value` costs more than reading an
    /// integer. Should another SQLite arrange them otherwise, this is `None`, and each value is asked for.
    fn distance(&self) -> Option<usize> {
        let raw = self.raw.as_ptr();
        // SAFETY: the statement stands on a row, and columns are in range. Only addresses are compared.
        let address = |column| unsafe { ffi::sqlite3_column_value(raw, column) as usize };
        if self.count < 2 {
            return Some(0);
        }
        let distance = address(1).checked_sub(address(0))?;
        let is_even = (2..self.count).all(|column| address(column) == address(column - 1) + distance);
        is_even.then_some(distance)
    }

    /// The values of the current row; none before the first and after the last.
    pub(crate) fn values(&self) -> &[Value<'_>] {
        &self.values
    }

    /// One value of the current row; NULL where there is no such column.
    pub(crate) fn value(&self, column: usize) -> Value<'_> {
        self.values.get(column).copied().unwrap_or(Value::Null)
    }

    /// The value of a text column, invalid UTF-8 replaced, cut at a NUL byte as SQLite itself reads its
    /// schema.
    pub(crate) fn text(&self, column: usize) -> Option<String> {
        match self.value(column) {
            Value::Text(bytes) | Value::Blob(bytes) => {
                let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => None,
        }
    }

    /// The value of an integer column; 0 where it is none.
    pub(crate) fn integer(&self, column: usize) -> i64 {
        match self.value(column) {
            Value::Integer(value) => value,
            _ => 0,
        }
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: prepared by prepare, finalised here only. The result repeats the error of the last step.
        unsafe { ffi::sqlite3_finalize(self.raw.as_ptr()) };
    }
}

/// The bytes of a text that is no UTF-16; `None` for any other value, and where SQLite had no memory.
///
/// # Safety
/// `value` belongs to the current row of a statement. What was read of it before is no longer valid.
unsafe fn malformed(value: *mut ffi::sqlite3_value) -> Option<Vec<u8>> {
    // SAFETY: the value is valid, as the caller promises; the length is asked for after the text.
    unsafe {
        if ffi::sqlite3_value_type(value) != ffi::SQLITE_TEXT {
            return None;
        }
        let text = NonNull::new(sqlite3_value_text16(value).cast_mut())?;
        utf16::malformed(slice(text.cast(), sqlite3_value_bytes16(value)))
    }
}

/// Reads one value; `None` when SQLite had no memory to convert it.
///
/// # Safety
/// `value` belongs to the current row of a statement, and the result is not used after its next step.
#[inline]
unsafe fn read(value: *mut ffi::sqlite3_value) -> Option<Value<'static>> {
    // SAFETY: the value is valid, as the caller promises. The length is asked for after the text or blob:
    // converting to UTF-8 changes it. A pointer that is not null has that many bytes.
    unsafe {
        Some(match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_INTEGER => Value::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_value_double(value)),
            ffi::SQLITE_TEXT => {
                let text = ffi::sqlite3_value_text(value);
                Value::Text(slice(NonNull::new(text.cast_mut())?, ffi::sqlite3_value_bytes(value)))
            }
            ffi::SQLITE_BLOB => {
                let blob = ffi::sqlite3_value_blob(value).cast::<u8>();
                let length = ffi::sqlite3_value_bytes(value);
                match NonNull::new(blob.cast_mut()) {
                    Some(blob) => Value::Blob(slice(blob, length)),
                    // A blob of no bytes has no address.
                    None if length == 0 => Value::Blob(&[]),
                    None => return None,
                }
            }
            _ => Value::Null,
        })
    }
}

/// # Safety
/// `start` points to `length` bytes that stay for as long as the result is used.
#[inline]
unsafe fn slice(start: NonNull<u8>, length: c_int) -> &'static [u8] {
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(start.as_ptr(), usize::try_from(length).unwrap_or(0)) }
}

/// The encoding of the database's texts, as `PRAGMA encoding` says it.
pub(crate) fn encoding(source: &Source) -> Result<String, SourceError> {
    let mut statement = Statement::prepare(source, "PRAGMA encoding")?;
    statement.step()?;
    Ok(statement.text(0).unwrap_or_default())
}

/// A name as SQL: in double quotes, those inside doubled.
///
/// # Errors
/// [`SourceErrorKind::InvalidName`] for a NUL byte, at which SQLite would stop to read.
pub(crate) fn quoted(source: &Source, name: &str) -> Result<String, SourceError> {
    if name.contains('\0') {
        let message = format!("name \"{}\" contains a NUL byte", name.replace('\0', "\\0"));
        return Err(SourceError::with_message(SourceErrorKind::InvalidName, source.path(), message));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}
