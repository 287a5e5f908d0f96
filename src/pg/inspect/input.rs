//! Values that only a type's own input function can judge: types without a converter, and domains with their
//! checks.
//!
//! An error of such a function has to be caught in a subtransaction, so values are tried many at a time, and
//! one by one only where one of them is bad.

use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Cell;
use pgrx::prelude::*;
use serde_json::Value as Json;

use super::InspectedTable;
use crate::pg::heap::input::Input;
use crate::pg::server::error::Result;
use crate::pg::server::spi;
use crate::pg::server::subxact::{self, AtEnd};
use crate::pg::table::{code, target};
use aliaport_plan::finding::Code;

/// Values tried together.
const BATCH: usize = 1000;

/// A value to be tried, with what is needed to report it.
pub struct Pending {
    text: Vec<u8>,
    /// The sample's entry.
    pub entry: Json,
    /// The row.
    pub rowid: Option<i64>,
}

/// A value that the type refused.
pub struct Refused {
    /// The code of the interface.
    pub code: Code,
    /// What the type says.
    pub message: String,
    /// The value.
    pub pending: Pending,
}

/// The input function of one column.
pub struct InputCheck {
    oid: pg_sys::Oid,
    typmod: i32,
    pending: Vec<Pending>,
}

impl InputCheck {
    /// The check of a column, where it needs one and the type exists.
    ///
    /// None where it would run code that is not PostgreSQL's, which goes to `untried` with the column's
    /// number: that is run by who writes such a value, not by who looks at a file.
    pub fn for_column(
        subject: &InspectedTable<'_>,
        number: usize,
        untried: &mut Vec<(usize, String)>,
    ) -> Result<Option<InputCheck>> {
        let Some(column) = subject.plan.columns.get(number) else { return Ok(None) };
        let found = if subject.plan.is_created {
            let PgType::Other { name, .. } = &column.pg_type else { return Ok(None) };
            spi::rows("SELECT pg_catalog.to_regtype($1)::oid, -1", &[name.clone().into()], |row| {
                Ok((row.get::<pg_sys::Oid>(1)?, row.get::<i32>(2)?))
            })?
        } else {
            let goal = &subject.plan.target;
            let Some(relation) = target::relation_oid(&goal.schema, &goal.name)? else { return Ok(None) };
            spi::rows(
                "SELECT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a \
                 JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped AND (t.typtype = 'd' OR $3)",
                &[relation.into(), column.target.clone().into(), column.pg_type.needs_input().into()],
                |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<i32>(2)?)),
            )?
        };
        let Some((Some(oid), typmod)) = found.into_iter().next() else { return Ok(None) };
        if let Some(code) = code::of_type(oid)? {
            untried.push((number, code));
            return Ok(None);
        }
        Ok(Some(InputCheck { oid, typmod: typmod.unwrap_or(-1), pending: Vec::new() }))
    }

    /// Notes a value; cells that are not made of text or whole numbers are left to the import.
    pub fn add(
        &mut self,
        cell: &Cell<'_>,
        pg_type: &PgType,
        entry: impl FnOnce() -> Json,
        rowid: Option<i64>,
    ) {
        let text = match (cell, pg_type) {
            (Cell::Input(text), _) => text.to_vec(),
            (Cell::Varlena(text), PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Citext) => {
                text.to_vec()
            }
            (Cell::Int2(v), _) => v.to_string().into_bytes(),
            (Cell::Int4(v), _) => v.to_string().into_bytes(),
            (Cell::Int8(v), _) => v.to_string().into_bytes(),
            _ => return,
        };
        self.pending.push(Pending { text, entry: entry(), rowid });
    }

    /// Tries what was noted, where that is enough for a batch or `is_last` says so.
    pub fn settle(&mut self, is_last: bool) -> Result<Vec<Refused>> {
        if self.pending.is_empty() || (self.pending.len() < BATCH && !is_last) {
            return Ok(Vec::new());
        }
        let pending = std::mem::take(&mut self.pending);
        if self.read(&pending).is_ok() {
            return Ok(Vec::new());
        }
        let mut refused = Vec::new();
        for value in pending {
            let Err(error) = self.read(std::slice::from_ref(&value)) else { continue };
            let code = code_of(error.code());
            refused.push(Refused { code, message: error.into_report().message().to_owned(), pending: value });
        }
        Ok(refused)
    }

    fn read(&self, values: &[Pending]) -> Result<()> {
        // What an input function keeps between calls must not outlive an error in one.
        subxact::within(AtEnd::Undo, || {
            let mut input = Input::of_subtransaction(self.oid, self.typmod);
            for value in values {
                input.try_out(&value.text);
            }
            Ok(())
        })
    }
}

fn code_of(code: PgSqlErrorCode) -> Code {
    match code {
        PgSqlErrorCode::ERRCODE_STRING_DATA_RIGHT_TRUNCATION => Code::TooLong,
        PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE => Code::OutOfRange,
        PgSqlErrorCode::ERRCODE_INVALID_DATETIME_FORMAT | PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW => {
            Code::BadDatetime
        }
        PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION => Code::NullInNotNull,
        _ => Code::TypeMismatch,
    }
}
