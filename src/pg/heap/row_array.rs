//! Rows as they would be written, as an array of their table's row type: what a query can be asked about them
//! before there are any.
#![allow(unsafe_code)] // forms tuples and arrays

use aliaport_plan::plan::TablePlan;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Cell;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::datum::{self, Arena};
use super::relation::{self, Column};
use crate::pg::server::error::Result;

/// A batch of rows of one table.
pub struct RowArray {
    relation: pg_sys::Relation,
    /// None for a column that only its type's own input function could read, which stays NULL.
    columns: Vec<Option<Column>>,
    arena: Arena,
    /// The row that is being made, by attribute.
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    rows: Vec<pg_sys::Datum>,
    /// Holds the tuples of the batch.
    context: pg_sys::MemoryContext,
}

impl RowArray {
    /// Opens a table for rows of a plan.
    pub fn open(oid: pg_sys::Oid, plan: &TablePlan) -> Result<Self> {
        // SAFETY: the relation exists; it is closed by `close` or, on an error, by the end of the
        // transaction, as is the context, a child of the current one.
        unsafe {
            let relation = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            let columns = relation::columns(relation, plan)?;
            let is_known = |pg_type: &PgType| !matches!(pg_type, PgType::Other { .. });
            let columns = columns
                .into_iter()
                .zip(&plan.columns)
                .map(|(c, p)| is_known(&p.pg_type).then_some(c))
                .collect();
            let width = (*(*relation).rd_att).natts as usize;
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import rows".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            Ok(RowArray {
                relation,
                columns,
                arena: Arena::default(),
                values: vec![pg_sys::Datum::null(); width],
                nulls: vec![true; width],
                rows: Vec::new(),
                context,
            })
        }
    }

    /// Begins a row, of NULLs; one that was begun and not ended is forgotten.
    pub fn begin(&mut self) {
        self.nulls.fill(true);
    }

    /// Sets a value of the row, by the plan's column.
    pub fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let Some(Some(Column { index, .. })) = self.columns.get(column) else { return };
        let Some(value) = datum::to_datum(cell, &mut self.arena) else { return };
        if let (Some(slot), Some(is_null)) = (self.values.get_mut(*index), self.nulls.get_mut(*index)) {
            (*slot, *is_null) = (value, false);
        }
    }

    /// Ends the row.
    pub fn end(&mut self) {
        // SAFETY: both arrays have an entry an attribute, of the attribute's type, and by-reference values
        // live in the arena, which is not reset before `clear`. heap_form_tuple copies them, and labels the
        // tuple with the relation's row type, so that its header is a datum of that type.
        unsafe {
            let outer = pg_sys::MemoryContextSwitchTo(self.context);
            let tuple = pg_sys::heap_form_tuple(
                (*self.relation).rd_att,
                self.values.as_mut_ptr(),
                self.nulls.as_mut_ptr(),
            );
            self.rows.push(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data));
            pg_sys::MemoryContextSwitchTo(outer);
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Runs `f` with the rows as an argument of a query.
    pub fn as_argument<R>(&mut self, f: impl FnOnce(DatumWithOid<'_>) -> R) -> R {
        // SAFETY: the rows are datums of the relation's row type, a composite type: by reference, of any
        // length, aligned as a double. The array lives until `clear`, longer than the call.
        let argument = unsafe {
            let row_type = (*(*self.relation).rd_rel).reltype;
            let outer = pg_sys::MemoryContextSwitchTo(self.context);
            let array = pg_sys::construct_array(
                self.rows.as_mut_ptr(),
                self.rows.len() as i32,
                row_type,
                -1,
                false,
                b'd' as std::ffi::c_char,
            );
            pg_sys::MemoryContextSwitchTo(outer);
            DatumWithOid::new(pg_sys::Datum::from(array), pg_sys::get_array_type(row_type))
        };
        f(argument)
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.arena.reset();
        // SAFETY: nothing refers to what is in the context any more.
        unsafe { pg_sys::MemoryContextReset(self.context) };
    }

    /// Closes the table. Its lock is kept until the transaction ends.
    pub fn close(self) {
        // SAFETY: both were made by `open` and are released once.
        unsafe {
            pg_sys::MemoryContextDelete(self.context);
            pg_sys::table_close(self.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}
