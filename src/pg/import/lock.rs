//! One import into a schema at a time.

use pgrx::prelude::*;

use crate::pg::server::error::{Error, Result};
use crate::pg::server::spi;

/// One import into a schema at a time, until the end of the transaction. Nobody waits, so the order of
/// several schemas does not matter.
pub fn schema(schema: &str) -> Result<()> {
    // The class of advisory locks that is ours: "alia" in ASCII.
    const LOCK_CLASS: i32 = 0x616c_6961;
    let got = spi::one::<bool>(
        "SELECT pg_catalog.pg_try_advisory_xact_lock($1, oid::int) FROM pg_catalog.pg_namespace WHERE nspname = $2",
        &[LOCK_CLASS.into(), schema.to_owned().into()],
    )?;
    if got == Some(true) {
        return Ok(());
    }
    // Whoever may import may know who else does: pg_stat_activity alone would not tell a plain role.
    let holder = spi::as_history_owner(|| {
        spi::one::<String>(
            "SELECT pg_catalog.format('Process %s (role %s) has been importing into it since %s.', l.pid, coalesce(a.usename, 'unknown'), \
                 coalesce((SELECT p.started_at FROM aliaport.progress AS p WHERE p.pid = l.pid LIMIT 1), a.xact_start)) \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             JOIN pg_catalog.pg_namespace n ON n.nspname = $2 AND l.objid = n.oid \
             WHERE l.locktype = 'advisory' AND l.classid = $1::oid AND l.objsubid = 2 AND l.granted \
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) LIMIT 1",
            &[LOCK_CLASS.into(), schema.to_owned().into()],
        )
    })?;
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        format!("another import into schema \"{schema}\" is running"),
    )
    .detail(holder.unwrap_or_else(|| "It ended a moment ago.".to_owned()))
    .hint("Wait for it to end, or import into another schema."))
}
