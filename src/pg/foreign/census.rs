//! What ANALYZE has found the columns of foreign tables to hold, and whether that still holds.

use std::collections::HashMap;

use aliaport_rows::census::Proof;
use pgrx::pg_sys;

use super::remote::Opened;
use crate::pg::server::error::Result;
use crate::pg::server::spi;

/// The census of one foreign table.
#[derive(Clone, Debug, Default)]
pub struct TableCensus {
    /// The state of the file that it was taken of.
    pub stamp: String,
    /// How many rows the table had.
    pub rows: f64,
    /// What is proven of its columns, by attribute number.
    pub proofs: HashMap<i16, Proof>,
}

impl TableCensus {
    /// What is proven of a column.
    pub fn proof(&self, attnum: i16) -> Option<Proof> {
        self.proofs.get(&attnum).copied()
    }
}

/// The census of a table, where it was taken of this state of the file.
pub fn of_snapshot(table: &Opened) -> Result<Option<TableCensus>> {
    let census = table.definition.census()?;
    Ok(census.filter(|census| census.stamp == table.stamp()))
}

/// The last census of a foreign table, of whatever state of the file.
pub fn read(relation: pg_sys::Oid) -> Result<Option<TableCensus>> {
    let found = spi::as_history_owner(|| {
        spi::rows_often(
            "SELECT c.stamp, c.row_count::float8, c.attnum, c.proof FROM aliaport.foreign_column c WHERE c.relation = $1",
            &[relation.into()],
            |row| {
                Ok((
                    row.get::<String>(1)?.unwrap_or_default(),
                    row.get::<f64>(2)?.unwrap_or_default(),
                    row.get::<i16>(3)?.unwrap_or_default(),
                    row.get::<String>(4)?,
                ))
            },
        )
    })?;
    let mut census: Option<TableCensus> = None;
    for (stamp, rows, attnum, proof) in found {
        let census = census.get_or_insert_with(|| TableCensus { stamp, rows, proofs: HashMap::new() });
        if let Some(proof) = proof.and_then(|proof| proof.parse().ok()) {
            census.proofs.insert(attnum, proof);
        }
    }
    Ok(census)
}
