//! A type's own output function, for types that have no converter here: a value of such a type counts by what
//! it writes.
//!
//! The stored bytes would not do: equal values may be stored differently, by whether they were compressed
//! before they became part of another value for instance. What a query shows is what has to be equal. The
//! settings that output functions follow are fixed ([`crate::pg::server::settings`]).
#![allow(unsafe_code)] // calls a function through PostgreSQL's function manager, in memory contexts of its own

use aliaport_plan::plan::TablePlan;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::row::CellSink;
use aliaport_rows::value::Cell;
use pgrx::pg_sys;

use super::input::Input;
use super::relation;
use crate::pg::server::error::Result;

/// A type's output function, looked up once a column.
pub struct Output {
    function: pg_sys::FmgrInfo,
}

impl Output {
    /// The output function of a type. What it keeps between calls lives in `context`.
    ///
    /// # Safety
    /// `context` is a memory context that lives as long as the result is used.
    pub unsafe fn of_type(oid: pg_sys::Oid, context: pg_sys::MemoryContext) -> Self {
        let mut function = pg_sys::FmgrInfo::default();
        let (mut function_oid, mut is_varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: catalogue look-ups inside a transaction; the out-pointers are valid, the context is the
        // caller's promise.
        unsafe {
            pg_sys::getTypeOutputInfo(oid, &mut function_oid, &mut is_varlena);
            pg_sys::fmgr_info_cxt(function_oid, &mut function, context);
        }
        Output { function }
    }

    /// What it writes of a value, without the NUL; it lies in the current memory context.
    ///
    /// # Safety
    /// `value` is a value of the type, not NULL; the result must not be used after the current memory context
    /// is gone or reset.
    pub unsafe fn write<'a>(&mut self, value: pg_sys::Datum) -> &'a [u8] {
        // SAFETY: the caller's promise; an output function returns a C string in the current memory context.
        unsafe { std::ffi::CStr::from_ptr(pg_sys::OutputFunctionCall(&mut self.function, value)) }.to_bytes()
    }
}

/// What a table would show of values that it is not given: a text goes into the type's input function, and
/// what that makes of it into the output function.
pub struct Echo {
    /// By column; none where the type has a converter.
    columns: Vec<Option<(Input, Output)>>,
    /// Of one value. It ends with the context that was current when this was made.
    context: pg_sys::MemoryContext,
    written: Vec<u8>,
}

impl Echo {
    /// For the columns of `plan`, as they are in the relation `oid`.
    pub fn new(oid: pg_sys::Oid, plan: &TablePlan) -> Result<Self> {
        let needs_types = plan.columns.iter().any(|c| c.pg_type.needs_input());
        let types = if needs_types { relation::base_types(oid, plan)? } else { Vec::new() };
        // SAFETY: the functions are kept for as long as the context that is current, of which the new one is
        // a child.
        unsafe {
            let home = pg_sys::CurrentMemoryContext;
            let of = |(pg_type, (oid, typmod)): (&PgType, &(pg_sys::Oid, i32))| {
                pg_type.needs_input().then(|| (Input::of_type(*oid, *typmod), Output::of_type(*oid, home)))
            };
            Ok(Echo {
                columns: plan.columns.iter().map(|c| &c.pg_type).zip(&types).map(of).collect(),
                context: pg_sys::AllocSetContextCreateInternal(
                    home,
                    c"aliaport_import echo".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                ),
                written: Vec::new(),
            })
        }
    }

    /// What a column would show of a text. Raises what the type raises.
    pub fn echo_text(&mut self, column: usize, text: &[u8]) -> &[u8] {
        self.written.clear();
        if let Some(Some((input, output))) = self.columns.get_mut(column) {
            // SAFETY: the context lives as long as self is used; what is written is copied before the context
            // is reset.
            unsafe {
                let value = input.read(text, self.context);
                let outer = pg_sys::MemoryContextSwitchTo(self.context);
                self.written.extend_from_slice(output.write(value));
                pg_sys::MemoryContextSwitchTo(outer);
                pg_sys::MemoryContextReset(self.context);
            }
        }
        &self.written
    }
}

/// Takes the cells of a row and keeps none: for a caller that wants the digest only.
impl CellSink for Echo {
    fn begin_row(&mut self) {}

    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        if let Cell::Input(text) = cell {
            self.echo_text(column, text);
        }
    }

    fn written(&mut self, _column: usize) -> &[u8] {
        &self.written
    }

    fn end_row(&mut self) {}
}
