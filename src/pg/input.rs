//! A type's own input function, for types that have no converter here.
#![allow(unsafe_code)] // calls a function through PostgreSQL's function manager

use pgrx::pg_sys;

/// A type's input function, looked up once a column.
pub struct Input {
    function: pg_sys::FmgrInfo,
    io_param: pg_sys::Oid,
    typmod: i32,
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
        Input { function, io_param, typmod }
    }

    /// Reads a value into `context`. The text holds no NUL: the converter refused it. Raises what the type raises.
    pub fn read(&mut self, text: &[u8], context: pg_sys::MemoryContext) -> pg_sys::Datum {
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
