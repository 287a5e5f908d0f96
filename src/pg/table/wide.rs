//! Which rows are too wide for a page, found before the load.
//!
//! Only tables of some hundred columns can have such rows. What a row becomes when its long values are
//! compressed and moved out of line is PostgreSQL's to say: a row that may be too wide is inserted into an
//! empty copy of the table, in a subtransaction that is undone.

use std::collections::HashSet;
use std::sync::Arc;

use aliaport_rows::width::Width;
use pgrx::prelude::*;

use super::source_row::SourceRows;
use crate::pg::heap::load::Heap;
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::subxact::{self, AtEnd};
use crate::pg::server::{interrupt, spi};
use aliaport_rows::row::{Fate, Refusals, RowConverter};

/// The copy.
const COPY: &str = "pg_temp.aliaport_import_wide";

/// The numbers, from 1, of the rows of a scan that are too wide.
pub fn find_too_wide(search: &SourceRows<'_>, refusals: &Arc<Refusals>) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    let attributes = search.plan.columns.len();
    if !Width::is_possible(attributes) {
        return Ok(found);
    }
    subxact::within(AtEnd::Undo, || {
        spi::run(&format!(
            "CREATE TEMPORARY TABLE aliaport_import_wide (LIKE {} INCLUDING STORAGE)",
            spi::one::<String>(
                "SELECT $1::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text",
                &[search.relation.into()]
            )?
            .unwrap_or_default()
        ))?;
        let copy =
            spi::one::<pg_sys::Oid>("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[COPY.into()])?
                .ok_or_else(|| unexpected("absence of a temporary table"))?;
        let converter = || {
            RowConverter::new(&search.plan.row_plan(), search.zone, search.on_error, false)
                .with_refusals(Arc::clone(refusals))
                .without_record()
        };
        let (mut first, mut second) = (converter(), converter());
        let mut width = Width::new(attributes, false);
        let mut reader =
            search.source.rows_where(search.table, search.columns, search.plan.filter.as_deref())?;
        let mut number = 0;
        while let Some(row) = reader.next()? {
            number += 1;
            let fate = first.convert(&row, &mut width);
            if number % 1024 == 0 {
                interrupt::check();
            }
            if !fate.is_ok_and(|fate| fate == Fate::Kept) || !width.is_too_wide() {
                continue;
            }
            let tried = subxact::within(AtEnd::Undo, || {
                let mut heap = Heap::open(copy, search.plan, false, false)?;
                second.go_to(number);
                // It was kept a moment ago.
                let _ = second.convert(&row, &mut heap);
                heap.flush();
                heap.close();
                Ok(())
            });
            match tried {
                Err(error) if error.code() == PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED => {
                    found.insert(number);
                }
                tried => tried?,
            }
        }
        Ok(())
    })?;
    Ok(found)
}
