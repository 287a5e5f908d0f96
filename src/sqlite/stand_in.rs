//! What only the application has, and the file's schema calls: functions and collations.
//!
//! SQLite compiles no statement on a table without knowing the functions in the expressions that it needs for
//! it, and sorts no key without its collation. Reading stored values needs neither, so something stands in
//! for both under their names: a function that fails when it is called, and a collation that compares bytes.
//! A virtual column that calls such a function cannot be computed here, and is refused by its name; a stored
//! one is read as it was stored. What SQLite has compared by a collation that stands in is noticed: a filter
//! or a virtual column that does so would have another result in the application.
#![allow(unsafe_code)] // registers C functions

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aliaport_plan::catalogue::{Catalogue, Generated, Table};
use rusqlite::ffi;

use crate::error::{SourceError, SourceErrorKind};
use crate::harden;
use crate::source::Source;
use crate::statement::{Statement, quoted};
use crate::tokenizer::{Token, tokens};

/// SQLite's own limit of a function's name, in bytes.
const LONGEST_NAME: usize = 255;

/// What the functions that stand in give instead of failing, if anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leniency(Arc<AtomicU8>);

/// What a function that stands in gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stub {
    Null = 1,
    EmptyText = 2,
}

/// The collations that stand in.
#[derive(Debug, Default)]
pub(crate) struct Collations {
    names: Mutex<Vec<String>>,
    /// The number in `names`, from 1, of the one by which values were compared last; 0 where none was.
    compared: AtomicUsize,
}

/// What SQLite keeps for one collation.
struct Collation {
    number: usize,
    all: Arc<Collations>,
}

/// What SQLite keeps for one function.
struct Function {
    name: String,
    leniency: Leniency,
}

/// A virtual column that cannot be computed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncomputable {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// SQLite's own words, a sentence.
    pub reason: String,
}

impl Source {
    /// Registers a function for each name that the schema's statements call and that SQLite does not have, or
    /// that must not be called.
    pub(crate) fn stand_in_for_functions(&mut self) -> Result<(), SourceError> {
        let mut names = BTreeSet::new();
        let mut statement =
            Statement::prepare(self, "SELECT sql FROM main.sqlite_schema WHERE type IN ('table', 'index')")?;
        while statement.step()? {
            called(&statement.text(0).unwrap_or_default(), &mut names);
        }
        drop(statement);
        names.retain(|name| !harden::is_known_function(name));
        let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
        for name in &names {
            let Ok(c_name) = CString::new(name.as_str()) else { continue };
            let function = Box::new(Function { name: name.clone(), leniency: self.leniency().clone() });
            // SAFETY: the connection is open, the name ends with a NUL byte, and the function's own data is
            // SQLite's from here on, to be freed by `forget`, which it calls also where this fails. Then the
            // function stays unknown, an error of whatever needs it.
            unsafe {
                ffi::sqlite3_create_function_v2(
                    self.handle(),
                    c_name.as_ptr(),
                    -1,
                    flags,
                    Box::into_raw(function).cast(),
                    Some(call),
                    None,
                    None,
                    Some(forget),
                );
            }
        }
        harden::admit(self.connection_mut(), names)
            .map_err(|error| SourceError::from_rusqlite(self.path(), &error))
    }

    /// Compares bytes for each collation that only the application has (`LOCALIZED` of Android, ...). A scan
    /// never compares, but SQLite wants to know the collation of every key of a table without rowid.
    pub(crate) fn stand_in_for_collations(&mut self) {
        let all = Arc::as_ptr(self.collations()).cast_mut().cast();
        // SAFETY: the connection is open; the source keeps `all` for longer than the connection.
        unsafe { ffi::sqlite3_collation_needed(self.handle(), all, Some(collation)) };
    }

    /// The collation that only the application has by which values were compared since this was asked last.
    pub(crate) fn compared_by(&self) -> Option<String> {
        match self.collations().compared.load(Ordering::Relaxed) {
            0 => None,
            number => {
                self.collations().compared.store(0, Ordering::Relaxed);
                let names = self.collations().names.lock().unwrap_or_else(PoisonError::into_inner);
                names.get(number - 1).cloned()
            }
        }
    }

    /// Fails where the value of a virtual column hangs on a collation that only the application has.
    pub(crate) fn refuse_comparison(&self) -> Result<(), SourceError> {
        let Some(name) = self.compared_by() else { return Ok(()) };
        Err(SourceError::with_message(
            SourceErrorKind::NotAvailable,
            self.path(),
            "a generated column of the SQLite file cannot be computed".to_owned(),
        )
        .with_detail(format!("It compares by the collation {name}, which only the application has.")))
    }

    /// Virtual columns that cannot be computed, because they call a function that only the application has or
    /// that must not be called, or compare by a collation that only the application has.
    ///
    /// # Errors
    /// What reading can meet.
    pub fn uncomputable(&self, catalogue: &Catalogue) -> Result<Vec<Uncomputable>, SourceError> {
        let mut found = Vec::new();
        for table in &catalogue.tables {
            for (i, column) in table.columns.iter().enumerate() {
                if let Some(error) = self.why_uncomputable(table, i)? {
                    let reason = error.detail().unwrap_or_default();
                    found.push(Uncomputable {
                        table: table.name.clone(),
                        column: column.name.clone(),
                        reason,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Refuses the first of these columns that cannot be computed.
    pub(crate) fn require_computable(&self, table: &Table, columns: &[usize]) -> Result<(), SourceError> {
        for &column in columns {
            if let Some(error) = self.why_uncomputable(table, column)? {
                return Err(error);
            }
        }
        Ok(())
    }

    fn why_uncomputable(&self, table: &Table, column: usize) -> Result<Option<SourceError>, SourceError> {
        let Some(column) = table.columns.get(column).filter(|c| c.generated == Generated::Virtual) else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT {} FROM main.{} NOT INDEXED LIMIT 1",
            quoted(self, &column.name)?,
            quoted(self, &table.name)?
        );
        let _ = self.compared_by();
        let tried = Statement::prepare(self, &sql).and_then(|mut statement| {
            statement.step()?;
            self.refuse_comparison()
        });
        Ok(tried.err().filter(|error| *error.kind() == SourceErrorKind::NotAvailable).map(|error| {
            error.with_primary(format!(
                "generated column \"{}\" of SQLite table \"{}\" cannot be computed",
                column.name, table.name
            ))
        }))
    }

    /// Runs `check` with functions that give this.
    pub(crate) fn leniently<R>(&self, given: Stub, check: impl FnOnce() -> R) -> R {
        self.leniency().0.store(given as u8, Ordering::Relaxed);
        let result = check();
        self.leniency().0.store(0, Ordering::Relaxed);
        result
    }
}

/// The names that a parenthesis follows, folded: functions, and words for which it does no harm to have one.
fn called(sql: &str, names: &mut BTreeSet<String>) {
    let mut before: Option<Token<'_>> = None;
    for token in tokens(sql) {
        if token == Token::Sign('(')
            && let Some(name) = before.and_then(|token| token.name())
            && (1..=LONGEST_NAME).contains(&name.len())
        {
            names.insert(name.to_ascii_lowercase());
        }
        before = Some(token);
    }
}

/// Fails, unless it is to give something; NULL is what it gives until something else is said.
unsafe extern "C" fn call(
    context: *mut ffi::sqlite3_context,
    _count: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite's own context, with the data that the function was registered with, which lives as long
    // as the function.
    let function = unsafe { &*ffi::sqlite3_user_data(context).cast::<Function>() };
    let given = function.leniency.0.load(Ordering::Relaxed);
    if given == Stub::EmptyText as u8 {
        // SAFETY: as above; a text of no bytes, which is static.
        unsafe { ffi::sqlite3_result_text(context, c"".as_ptr(), 0, ffi::SQLITE_STATIC()) };
    }
    if given != 0 {
        return;
    }
    let message = format!(
        "{}() is a function that only the application has, or that must not be called",
        function.name
    );
    // SAFETY: as above; the message has that many bytes and is copied.
    unsafe {
        let length = c_int::try_from(message.len()).unwrap_or(0);
        ffi::sqlite3_result_error(context, message.as_ptr().cast(), length);
        ffi::sqlite3_result_error_code(context, ffi::SQLITE_AUTH);
    }
}

unsafe extern "C" fn forget(function: *mut c_void) {
    // SAFETY: made by Box::into_raw, and SQLite gives it up once.
    drop(unsafe { Box::from_raw(function.cast::<Function>()) });
}

unsafe extern "C" fn collation(
    all: *mut c_void,
    db: *mut ffi::sqlite3,
    _encoding: c_int,
    name: *const c_char,
) {
    // SAFETY: SQLite's own arguments, the first one the pointer of `stand_in_for_collations` to what an Arc
    // holds, whose count grows by the one that the collation's own data keeps. That data is SQLite's from
    // here on, to be freed by `forget_collation`; where this fails SQLite does not call that, and reports the
    // collation as missing.
    unsafe {
        let all = all.cast_const().cast::<Collations>();
        Arc::increment_strong_count(all);
        let all = Arc::from_raw(all);
        let number = {
            let mut names = all.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.push(CStr::from_ptr(name).to_string_lossy().into_owned());
            names.len()
        };
        let data = Box::into_raw(Box::new(Collation { number, all }));
        let code = ffi::sqlite3_create_collation_v2(
            db,
            name,
            ffi::SQLITE_UTF8,
            data.cast(),
            Some(compare_bytes),
            Some(forget_collation),
        );
        if code != ffi::SQLITE_OK {
            forget_collation(data.cast());
        }
    }
}

unsafe extern "C" fn forget_collation(collation: *mut c_void) {
    // SAFETY: made by Box::into_raw, and given up once.
    drop(unsafe { Box::from_raw(collation.cast::<Collation>()) });
}

unsafe extern "C" fn compare_bytes(
    collation: *mut c_void,
    left_length: c_int,
    left: *const c_void,
    right_length: c_int,
    right: *const c_void,
) -> c_int {
    // SAFETY: the data that the collation was registered with, which lives as long as the collation.
    let collation = unsafe { &*collation.cast::<Collation>() };
    collation.all.compared.store(collation.number, Ordering::Relaxed);
    let bytes = |start: *const c_void, length: c_int| match usize::try_from(length) {
        // SAFETY: SQLite's texts with their lengths in bytes.
        Ok(length) if length > 0 => unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) },
        _ => &[],
    };
    bytes(left, left_length).cmp(bytes(right, right_length)) as c_int
}
