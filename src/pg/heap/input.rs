//! A type's own input function, for types that have no converter here.
#![allow(unsafe_code)] // calls a function through PostgreSQL's function manager

use aliaport_rows::column::ColumnPlan;
use aliaport_rows::convert::display_value;
use aliaport_rows::value::Value;
use pgrx::pg_sys;

use crate::pg::server::error;

/// A type's input function, looked up once a column.
pub struct Input {
    function: pg_sys::FmgrInfo,
    io_param: pg_sys::Oid,
    typmod: i32,
    /// `SQLite column "ip"`, and its type, for messages.
    names: Option<(String, String)>,
}

impl Input {
    /// The input function of a type. What it keeps between calls lives in the current memory context.
    pub fn of_type(oid: pg_sys::Oid, typmod: i32) -> Self {
        let mut function = pg_sys::FmgrInfo::default();
        let mut function_oid = pg_sys::InvalidOid;
        let mut io_param = pg_sys::InvalidOid;
        // SAFETY: catalogue look-ups inside a transaction; the out-pointers are valid.
        unsafe {
            pg_sys::getTypeInputInfo(oid, &mut function_oid, &mut io_param);
            pg_sys::fmgr_info(function_oid, &mut function);
        }
        Input { function, io_param, typmod, names: None }
    }

    /// The input function for a planned column, whose type (a domain's base) and type modifier are given.
    pub fn of_column(plan: &ColumnPlan, oid: pg_sys::Oid, typmod: i32) -> Self {
        let names = Some((plan.source.clone(), plan.pg_type.to_string()));
        Input { names, ..Self::of_type(oid, typmod) }
    }

    /// Reads a column's value into `context`; what the type raises gets the column and the value added.
    ///
    /// # Safety
    /// `context` is a memory context that exists.
    pub unsafe fn read_cell(&mut self, text: &[u8], context: pg_sys::MemoryContext) -> pg_sys::Datum {
        let names = self.names.take();
        let place = || {
            let (column, pg_type) = names.as_ref().map_or(("?", "?"), |(c, t)| (c.as_str(), t.as_str()));
            format!(
                "Column \"{column}\" holds text \"{}\"; the target type is {pg_type}.",
                display_value(Value::Text(text))
            )
        };
        // SAFETY: the caller's promise.
        let value =
            error::located_with_step(|_| place(), |_| String::new(), || unsafe { self.read(text, context) });
        self.names = names;
        value
    }

    /// The same, kept until the current subtransaction ends.
    pub fn of_subtransaction(oid: pg_sys::Oid, typmod: i32) -> Self {
        // SAFETY: the context exists inside a transaction; the one that was current is put back.
        unsafe {
            let outer = pg_sys::MemoryContextSwitchTo(pg_sys::CurTransactionContext);
            let input = Input::of_type(oid, typmod);
            pg_sys::MemoryContextSwitchTo(outer);
            input
        }
    }

    /// Reads a value only to see whether it raises. What it allocates is kept until the current
    /// subtransaction ends.
    pub fn try_out(&mut self, text: &[u8]) {
        // SAFETY: the context exists inside a transaction.
        unsafe { self.read(text, pg_sys::CurTransactionContext) };
    }

    /// Reads a value into `context`. The text holds no NUL: the converter refused it. Raises what the type
    /// raises.
    ///
    /// # Safety
    /// `context` is a memory context that exists.
    pub(in crate::pg) unsafe fn read(
        &mut self,
        text: &[u8],
        context: pg_sys::MemoryContext,
    ) -> pg_sys::Datum {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        // SAFETY: `bytes` is NUL-terminated and outlives the call; the result is allocated in `context`.
        unsafe {
            let outer = pg_sys::MemoryContextSwitchTo(context);
            let value = pg_sys::InputFunctionCall(
                &mut self.function,
                bytes.as_mut_ptr().cast(),
                self.io_param,
                self.typmod,
            );
            pg_sys::MemoryContextSwitchTo(outer);
            value
        }
    }
}
