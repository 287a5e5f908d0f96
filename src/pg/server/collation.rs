//! In which order a collation puts texts.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;

use super::error::Result;
use super::spi;

thread_local! {
    /// What was found of each collation: neither a collation nor a database changes its locale.
    static FOUND: RefCell<HashMap<u32, bool>> = RefCell::new(HashMap::new());
}

/// True where the order of a collation is that of the bytes of UTF-8, which is that of the code points.
pub fn is_order_of_bytes(collation: pg_sys::Oid) -> Result<bool> {
    let key = collation.to_u32();
    if let Some(found) = FOUND.with_borrow(|found| found.get(&key).copied()) {
        return Ok(found);
    }
    // Columns that not every release has are asked for by way of a document. The C.UTF-8 of an operating
    // system orders by code points, as C does; so do all locales of the provider that PostgreSQL 17 brings.
    let found = spi::one::<bool>(
        "SELECT CASE l.provider WHEN 'b' THEN true \
                WHEN 'c' THEN l.name IN ('C', 'POSIX', 'C.UTF-8', 'C.UTF8', 'C.utf8') ELSE false END \
         FROM (SELECT coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), d.datcollate::text FROM pg_database d \
               WHERE d.datname = current_database() AND $1 = 100::oid \
               UNION ALL SELECT c.collprovider::text, c.collcollate::text FROM pg_collation c \
               WHERE c.oid = $1 AND c.collprovider <> 'd') l (provider, name)",
        &[collation.into()],
    )?
    .unwrap_or(false);
    FOUND.with_borrow_mut(|all| all.insert(key, found));
    Ok(found)
}
