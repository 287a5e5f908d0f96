//! The executor's path: rows reach the table through an ordinary INSERT, so that everything an INSERT does happens:
//! triggers, stored generated columns, defaults, domains, partition routing, row security, index maintenance, privileges.
//!
//! The converted rows go into a tuplestore (it spills to temporary files at work_mem) which SPI shows to the INSERT as a
//! transient relation, the way a trigger sees its transition table. One statement a table, so statement triggers fire once.
#![allow(unsafe_code)] // fills a tuplestore and registers it with SPI

use std::cell::Cell as Shared;

use aliaport_plan::name::quote;
use aliaport_plan::pg_type::PgType;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::value::Cell;
use aliaport_sqlite::ExclusiveReader;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::datum::{self, Arena};
use super::error::{self, Result, unexpected};
use super::input::Input;
use super::interrupt;
use super::load::{self, Loaded, Policy};
use super::progress;
use super::relation;
use super::row::{CellSink, Fate, RowConverter};

/// The name under which the INSERT sees the rows.
const TRANSIENT: &str = "aliaport_import_rows";

/// Rows between two looks at the interrupt flags.
const ROWS_BETWEEN_CHECKS: u64 = 1000;

/// Loads every row that `reader` gives with one INSERT into the table `relation`.
pub fn insert(
    mut reader: ExclusiveReader<'_>,
    plan: &TablePlan,
    relation: pg_sys::Oid,
    policy: Policy<'_>,
) -> Result<Loaded> {
    let mut converter = RowConverter::new(plan, policy.zone, policy.on_error, policy.with_digest);
    let at = Shared::new((0u64, None));
    let mut rejected_rows = 0;
    let is_read = Shared::new(false);
    let place = || match is_read.get() {
        false => load::place(&plan.source, at.get()),
        true => format!("SQLite table \"{}\", while its {} rows were inserted.", plan.source, at.get().0),
    };
    error::located(place, || {
        Spi::connect_mut(|client| -> Result<()> {
            let mut rows = Rows::new(relation, plan)?;
            let mut read = 0;
            while let Some(row) = reader.next()? {
                read += 1;
                at.set((read, row.rowid()));
                match converter.convert(&row, &mut rows).map_err(load::row_error)? {
                    Fate::Kept => rows.put(),
                    Fate::SetAside => rejected_rows += 1,
                }
                if read.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                    interrupt::check();
                    progress::rows(read);
                }
                let aside = converter.take_set_aside();
                if !aside.is_empty() {
                    (policy.set_aside)(aside)?;
                }
            }
            is_read.set(true);
            rows.register()?;
            let columns: Vec<String> = plan.columns.iter().map(|c| quote(&c.target)).collect();
            let columns = columns.join(", ");
            // OVERRIDING SYSTEM VALUE: keys are kept, also where the target's identity is GENERATED ALWAYS.
            let sql = format!(
                "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {TRANSIENT}",
                plan.target
            );
            client.update(&sql, None, &[]).map(drop).map_err(unexpected)?;
            rows.end();
            Ok(())
        })
    })?;
    let (source_rows, _) = at.get();
    Ok(Loaded {
        source_rows,
        imported_rows: source_rows - rejected_rows,
        rejected_rows,
        stored: None,
        converter,
    })
}

/// The tuplestore and the row that is being filled.
struct Rows {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    inputs: Vec<Option<Input>>,
    arena: Arena,
    row_context: pg_sys::MemoryContext,
    count: u64,
}

impl Rows {
    fn new(relation: pg_sys::Oid, plan: &TablePlan) -> Result<Self> {
        // SAFETY: runs inside an SPI connection, whose memory context owns the descriptor, the store and the row context
        // until the connection ends. The relation exists; it is closed again below and its lock kept.
        unsafe {
            let open = pg_sys::table_open(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
            let positions = relation::columns(open, plan)?;
            let descriptor = pg_sys::CreateTemplateTupleDesc(plan.columns.len() as i32);
            let mut inputs = Vec::with_capacity(plan.columns.len());
            for (i, column) in positions.iter().enumerate() {
                let attribute = super::compat::attribute((*open).rd_att, column.index);
                let mut typmod = column.typmod;
                // A domain stands here as its base type; the INSERT's own coercion checks the domain's constraints.
                let base = pg_sys::getBaseTypeAndTypmod(column.type_oid, &mut typmod);
                pg_sys::TupleDescInitEntry(
                    descriptor,
                    (i + 1) as pg_sys::AttrNumber,
                    (*attribute).attname.data.as_ptr(),
                    base,
                    typmod,
                    0,
                );
                inputs.push(
                    matches!(plan.columns[i].pg_type, PgType::Other { .. })
                        .then(|| Input::of_type(base, typmod)),
                );
            }
            pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
            let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
            let row_context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            Ok(Rows {
                store,
                descriptor,
                values: vec![pg_sys::Datum::null(); plan.columns.len()],
                nulls: vec![true; plan.columns.len()],
                inputs,
                arena: Arena::default(),
                row_context,
                count: 0,
            })
        }
    }

    /// Copies the current row into the store.
    fn put(&mut self) {
        // SAFETY: `values` and `nulls` have one entry an attribute of `descriptor`; the store copies what they refer to.
        unsafe {
            pg_sys::tuplestore_putvalues(
                self.store,
                self.descriptor,
                self.values.as_mut_ptr(),
                self.nulls.as_mut_ptr(),
            );
            pg_sys::MemoryContextReset(self.row_context);
        }
        self.count += 1;
    }

    /// Gives back the memory and the temporary files; after an error the end of the (sub)transaction does.
    fn end(self) {
        // SAFETY: made by `new`, ended once; the statement that read it has ended.
        unsafe { pg_sys::tuplestore_end(self.store) }
    }

    /// Makes the rows visible to the statements of this SPI connection.
    fn register(&self) -> Result<()> {
        let name = std::ffi::CString::new(TRANSIENT).map_err(unexpected)?;
        // SAFETY: SPI keeps the pointers until the connection ends, so all of them are allocated in its memory context.
        let code = unsafe {
            let relation: *mut pg_sys::EphemeralNamedRelationData =
                pg_sys::palloc0(size_of::<pg_sys::EphemeralNamedRelationData>()).cast();
            (*relation).md.name = pg_sys::pstrdup(name.as_ptr());
            (*relation).md.reliddesc = pg_sys::InvalidOid;
            (*relation).md.tupdesc = self.descriptor;
            (*relation).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*relation).md.enrtuples = self.count as f64;
            (*relation).reldata = self.store.cast();
            pg_sys::SPI_register_relation(relation)
        };
        if code == pg_sys::SPI_OK_REL_REGISTER as i32 {
            Ok(())
        } else {
            Err(unexpected(format!("result {code} of SPI_register_relation")))
        }
    }
}

impl CellSink for Rows {
    fn begin_row(&mut self) {
        self.nulls.fill(true);
        self.arena.reset();
    }

    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let value = match (cell, &mut self.inputs[column]) {
            (Cell::Null, _) => return,
            (Cell::Input(text), Some(input)) => input.read(text, self.row_context),
            (cell, _) => match datum::to_datum(cell, &mut self.arena) {
                Some(value) => value,
                None => return,
            },
        };
        self.values[column] = value;
        self.nulls[column] = false;
    }
}
