//! SQLite tables as foreign tables: the foreign data wrapper `aliaport_fdw`.

#[allow(dead_code)] // what reads it is on its way
pub mod column;
#[allow(dead_code)] // so is what asks it
pub mod push;
