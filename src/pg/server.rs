//! The only words that we use to PostgreSQL: errors, SQL, settings, memory, interrupts. Nothing here knows
//! what an import is.

pub mod access;
pub mod collation;
pub mod compat;
pub mod count;
pub mod encoding;
pub mod error;
pub mod guc;
pub mod held;
pub mod in_sqlite;
pub mod interrupt;
pub mod locks;
pub mod memory;
pub mod settings;
pub mod spi;
pub mod subxact;
