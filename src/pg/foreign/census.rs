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

/// What was counted of one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnCensus {
    /// Its attribute number.
    pub attnum: i16,
    /// Values of each storage class.
    pub nulls: i64,
    /// INTEGER
    pub integers: i64,
    /// REAL
    pub reals: i64,
    /// TEXT
    pub texts: i64,
    /// BLOB
    pub blobs: i64,
    /// Values that the column cannot hold.
    pub bad: i64,
    /// What holds of all of them.
    pub proof: Option<Proof>,
}

/// Puts a census in the place of the one before.
pub fn write(table: &Opened, rows: u64, columns: &[ColumnCensus]) -> Result<()> {
    let relation = table.definition.relation;
    let stamp = table.stamp();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    spi::as_history_owner(|| {
        spi::run_with(
            "DELETE FROM aliaport.foreign_column f WHERE f.relation = $1 \
             OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = f.relation)",
            &[relation.into()],
        )?;
        for column in columns {
            spi::run_with(
                "INSERT INTO aliaport.foreign_column (relation, attnum, analyzed_at, stamp, row_count, nulls, integers, reals, texts, blobs, bad, proof) \
                 VALUES ($1, $2, pg_catalog.clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                &[
                    relation.into(),
                    column.attnum.into(),
                    stamp.clone().into(),
                    rows.into(),
                    column.nulls.into(),
                    column.integers.into(),
                    column.reals.into(),
                    column.texts.into(),
                    column.blobs.into(),
                    column.bad.into(),
                    column.proof.map(|proof| proof.to_string()).into(),
                ],
            )?;
        }
        Ok(())
    })
}
