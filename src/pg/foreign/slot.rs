//! Cells become the values of a slot.
#![allow(unsafe_code)] // writes into a slot's arrays, calls input functions and domain checks

use std::ptr;

use aliaport_rows::convert::display_value;
use aliaport_rows::row::{CellSink, OnError};
use aliaport_rows::value::{Cell, Value};
use pgrx::pg_sys;

use super::definition::{DefinedColumn, Definition};
use super::error::remedy;
use crate::pg::heap::datum::{self, Arena};
use crate::pg::heap::input::Input;
use crate::pg::server::error;
use crate::pg::server::subxact;

/// Where a column goes, and what its type wants to look at itself.
struct Place {
    /// `attnum - 1`
    index: usize,
    /// The SQLite column, and the type, for messages.
    names: (String, String),
    base: (pg_sys::Oid, i32),
    /// Reads a [`Cell::Input`].
    input: Option<Input>,
    /// The domain, where the column's type is one.
    domain: Option<pg_sys::Oid>,
    is_not_null: bool,
}

/// Writes rows into the arrays of a slot.
pub struct Slot {
    values: *mut pg_sys::Datum,
    is_null: *mut bool,
    attributes: usize,
    places: Vec<Place>,
    /// Holds what datums of the row at hand point to.
    arena: Arena,
    /// What domains keep between checks lives here.
    context: pg_sys::MemoryContext,
    domains: Vec<*mut core::ffi::c_void>,
    on_error: OnError,
    hint: String,
    table: String,
    /// The row at hand is to be left out.
    is_refused: bool,
}

impl Slot {
    /// For these columns, in the order in which their cells come.
    ///
    /// # Safety
    /// The arrays have an entry for each attribute for as long as the result is used, and so does `context`,
    /// which is current.
    pub unsafe fn new(
        (values, is_null, attributes): (*mut pg_sys::Datum, *mut bool, usize),
        (definition, on_error): (&Definition, OnError),
        columns: &[&DefinedColumn],
        context: pg_sys::MemoryContext,
    ) -> Self {
        let place = |column: &&DefinedColumn| Place {
            index: usize::try_from(column.attnum - 1).unwrap_or(usize::MAX),
            names: (column.plan.source.clone(), column.plan.pg_type.to_string()),
            base: column.base,
            input: is_read_by_input(column).then(|| Input::of_type(column.base.0, column.base.1)),
            domain: column.is_domain.then_some(column.type_oid),
            is_not_null: column.plan.is_not_null,
        };
        Slot {
            values,
            is_null,
            attributes,
            places: columns.iter().map(place).collect(),
            arena: Arena::default(),
            context,
            domains: vec![ptr::null_mut(); columns.len()],
            on_error,
            hint: remedy(definition),
            table: definition.table.clone(),
            is_refused: false,
        }
    }

    /// Whether rows have to be read under fixed settings.
    pub fn has_inputs(&self) -> bool {
        self.places.iter().any(|place| place.input.is_some() || place.domain.is_some())
    }

    /// Whether the row that was written last has to be left out.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Goes on with another slot.
    ///
    /// # Safety
    /// As for [`Slot::new`].
    pub unsafe fn aim(&mut self, values: *mut pg_sys::Datum, is_null: *mut bool) {
        self.values = values;
        self.is_null = is_null;
    }

    /// What the type itself has to read or to check.
    #[cold]
    fn by_type(&mut self, column: usize, cell: &Cell<'_>) -> Option<pg_sys::Datum> {
        let result = match self.on_error {
            OnError::Abort => {
                let (name, pg_type) = self.places.get(column).map(|p| p.names.clone()).unwrap_or_default();
                let shown = shown(cell);
                let table = self.table.clone();
                let hint = self.hint.clone();
                let place = |_| {
                    format!(
                        "Column \"{name}\" of SQLite table \"{table}\" holds {shown}; the target type is {pg_type}."
                    )
                };
                Ok(error::located_with_step(
                    place,
                    |_| hint.clone(),
                    || self.read_or_check(column, cell, false),
                ))
            }
            OnError::Null | OnError::Reject => {
                subxact::within(subxact::AtEnd::Undo, || Ok(self.read_or_check(column, cell, true)))
            }
        };
        match result {
            Ok(value) => value,
            Err(error) if error::is_about_a_row(error.code()) => {
                let is_not_null = self.places.get(column).is_some_and(|place| place.is_not_null);
                self.is_refused |= self.on_error == OnError::Reject || is_not_null;
                None
            }
            Err(error) => error.raise(),
        }
    }

    /// Raises what the type raises. `is_in_subtransaction`: what its functions keep must not outlive it.
    fn read_or_check(
        &mut self,
        column: usize,
        cell: &Cell<'_>,
        is_in_subtransaction: bool,
    ) -> Option<pg_sys::Datum> {
        let place = self.places.get_mut(column)?;
        let (oid, typmod) = place.base;
        // SAFETY: the current context is that of the row at hand, which is reset after it was used.
        let value = unsafe {
            let context = pg_sys::CurrentMemoryContext;
            match (cell, &mut place.input) {
                (Cell::Input(text), Some(_)) if is_in_subtransaction => {
                    Some(Input::of_subtransaction(oid, typmod).read(text, context))
                }
                (Cell::Input(text), Some(input)) => Some(input.read(text, context)),
                _ => datum::to_datum(cell, &mut self.arena),
            }
        };
        if let Some(domain) = place.domain {
            let mut fresh = ptr::null_mut();
            // SAFETY: the value is of the domain's base type; what is kept between calls lives in the scan's
            // context, or in that of the subtransaction.
            unsafe {
                let (kept, context) = match self.domains.get_mut(column) {
                    Some(kept) if !is_in_subtransaction => (kept, self.context),
                    _ => (&mut fresh, pg_sys::CurTransactionContext),
                };
                let (datum, is_null) = (value.unwrap_or(pg_sys::Datum::null()), value.is_none());
                pg_sys::domain_check(datum, is_null, domain, kept, context);
            }
        }
        value
    }
}

/// Whether a column's cells are texts that only its type can read.
fn is_read_by_input(column: &DefinedColumn) -> bool {
    column.plan.pg_type.storage() == aliaport_rows::pg_type::Storage::Opaque
}

fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Input(text) | Cell::Varlena(text) => format!("\"{}\"", display_value(Value::Text(text))),
        Cell::Null => "NULL".to_owned(),
        Cell::Int2(v) => v.to_string(),
        Cell::Int4(v) => v.to_string(),
        Cell::Int8(v) => v.to_string(),
        Cell::Float4(v) => v.to_string(),
        Cell::Float8(v) => v.to_string(),
        Cell::Bool(v) => v.to_string(),
        _ => "a value".to_owned(),
    }
}

impl CellSink for Slot {
    #[inline]
    fn begin_row(&mut self) {
        self.arena.reset();
        self.is_refused = false;
        // SAFETY: the array has so many entries, as `new` was promised.
        unsafe { std::slice::from_raw_parts_mut(self.is_null, self.attributes) }.fill(true);
    }

    #[inline(always)] // a caller that knows the kind of cell gets a few instructions
    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let Some(place) = self.places.get(column) else { return };
        let index = place.index;
        let value = if place.domain.is_some() || matches!(cell, Cell::Input(_)) {
            self.by_type(column, cell)
        } else {
            datum::to_datum(cell, &mut self.arena)
        };
        if let Some(value) = value
            && index < self.attributes
        {
            // SAFETY: the arrays have so many entries, as `new` was promised.
            unsafe {
                *self.values.add(index) = value;
                *self.is_null.add(index) = false;
            }
        }
    }

    #[inline]
    fn end_row(&mut self) {}
}
