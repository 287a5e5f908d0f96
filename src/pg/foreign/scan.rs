//! The executor's side: a scan from its first row to its last, and again.
//!
//! What a scan holds lives in a value that the query's memory context owns, so it goes with the query
//! however that ends, and nothing of it is in the plan.
#![allow(unsafe_code)] // the executor's callbacks

use std::rc::Rc;

use aliaport_rows::batch::Rows;
use aliaport_rows::column::{ColumnPlan, RowPlan};
use aliaport_rows::row::{Fate, RowConverter};
use aliaport_rows::value::{Row, Value};
use aliaport_sqlite::{Query, RelationKind, Selection, TableScan};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::{PgList, pg_guard, pg_sys};

use super::connection::{Connection, FileTable};
use super::definition::Definition;
use super::error::{of_query, of_row};
use super::grouped::with_sums;
use super::push::binding::Binding;
use super::remote::{self, Opened};
use super::scan_plan::{GroupedScan, ScanPlan};
use super::slot::Slot;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::{compat, settings};

/// Bytes of rows that are read at once at the beginning of a scan, which may need no more, and at most.
const FIRST_BATCH: usize = 16 << 10;
const LARGEST_BATCH: usize = 256 << 10;

/// A scan that is under way.
struct Scan {
    connection: Rc<Connection>,
    definition: Rc<Definition>,
    file_table: Rc<FileTable>,
    /// What is read, as positions in the file's table.
    columns: Vec<usize>,
    way: Way,
    converter: RowConverter,
    slot: Slot,
    has_inputs: bool,
    /// Which columns are sums that come in two halves; empty for none.
    sums: Vec<bool>,
    texts: Vec<String>,
    is_done: bool,
}

/// How rows come.
enum Way {
    /// By the reader of an import, many at a time.
    Table(Box<Batches>),
    /// By a statement.
    Query(Box<Statement>),
}

#[derive(Default)]
struct Batches {
    scan: Option<TableScan>,
    rows: Rows,
    /// The next row of the batch.
    at: usize,
    /// How many bytes the next batch is to have.
    bytes: usize,
    read: u64,
    is_last: bool,
}

struct Statement {
    /// Taken when the scan ends.
    query: Option<Query>,
    bindings: Vec<Binding>,
    /// What computes the parameters: `ExprState`s, in the query's context.
    expressions: Vec<*mut pg_sys::ExprState>,
    is_begun: bool,
}

impl Drop for Scan {
    fn drop(&mut self) {
        if let Way::Query(statement) = &mut self.way
            && let Some(query) = statement.query.take()
        {
            self.connection.give_back(query);
        }
    }
}

/// Prepares a scan.
#[pg_guard]
pub unsafe extern "C-unwind" fn begin_foreign_scan(node: *mut pg_sys::ForeignScanState, flags: i32) {
    if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
        return;
    }
    // SAFETY: the executor's node, whose relation is open and whose plan is ours.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let Some(scan) = begin(node, plan).unwrap_or_else(|error| error.raise()) else { return };
        let context = PgMemoryContexts::For((*(*node).ss.ps.state).es_query_cxt);
        (*node).fdw_state = PgMemoryContexts::leak_and_drop_on_delete(&mut { context }, scan).cast();
    }
}

/// Nothing where the plan's other way has to be gone: SQLite cannot compute any more what it was to compute.
///
/// # Safety
/// As for the callback.
unsafe fn begin(node: *mut pg_sys::ForeignScanState, plan: *mut pg_sys::ForeignScan) -> Result<Option<Scan>> {
    // SAFETY: the caller's promise.
    let (scan_plan, natts) = unsafe {
        let natts = (*(*(*node).ss.ss_ScanTupleSlot).tts_tupleDescriptor).natts;
        (ScanPlan::from_list((*plan).fdw_private)?, usize::try_from(natts).unwrap_or(0))
    };
    let opened = remote::open(match &scan_plan.grouped {
        Some(grouped) => grouped.relation,
        // SAFETY: the scan of a relation has it open.
        None => unsafe { (*(*node).ss.ss_currentRelation).rd_id },
    })?;
    let has_census = holds(&scan_plan, &opened)?;
    if scan_plan.grouped.is_some() && !has_census {
        return Ok(None);
    }
    let computed = scan_plan.grouped.as_ref().map(|grouped| grouped.columns(&opened)).transpose()?;
    let wanted = match &computed {
        Some(computed) => computed.iter().collect(),
        None => opened.columns_for(&scan_plan.attributes),
    };
    let mut columns = Vec::with_capacity(wanted.len());
    let mut plans: Vec<ColumnPlan> = Vec::with_capacity(wanted.len());
    for column in &wanted {
        if computed.is_some() {
            plans.push(column.plan.clone());
            continue;
        }
        let place = opened.required_place(column)?;
        plans.push(opened.column_plan(column, place));
        columns.push(place);
    }
    let table = &opened.file_table.table;
    let key: Vec<String> =
        table.primary_key.iter().filter_map(|i| Some(table.columns.get(*i)?.name.clone())).collect();
    let row_plan = RowPlan { source: &table.name, columns: &plans, key: &key };
    let definition = Rc::clone(&opened.definition);
    let converter = RowConverter::new(&row_plan, &definition.server.options.zone, definition.on_error, false)
        .without_record();
    let tail = scan_plan.tail(has_census);
    let grouped_selection = scan_plan.grouped_selection(&opened)?;
    let way =
        if grouped_selection.is_none() && tail.is_empty() && opened.file_table.kind == RelationKind::Table {
            Way::Table(Box::new(Batches { bytes: FIRST_BATCH, ..Batches::default() }))
        } else {
            let selection = match grouped_selection {
                Some(sql) => Selection::of_statement(sql, plans.len()),
                None => Selection::new(opened.source(), table, &columns).map_err(of_query)?,
            };
            let query = opened.connection.query(&selection, &tail)?;
            // SAFETY: fdw_exprs are the parameters' expressions, as `plan` made them.
            let expressions = unsafe {
                let states = pg_sys::ExecInitExprList((*plan).fdw_exprs, node.cast());
                PgList::<pg_sys::ExprState>::from_pg(states).iter_ptr().collect()
            };
            Way::Query(Box::new(Statement {
                query: Some(query),
                bindings: scan_plan.bindings,
                expressions,
                is_begun: false,
            }))
        };
    // SAFETY: the slot's arrays have one entry an attribute and live as long as the query.
    let slot = unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        let context = (*(*node).ss.ps.state).es_query_cxt;
        let outer = pg_sys::MemoryContextSwitchTo(context);
        let made = Slot::new(
            ((*slot).tts_values, (*slot).tts_isnull, natts),
            (&definition, definition.on_error),
            &wanted,
            context,
        );
        pg_sys::MemoryContextSwitchTo(outer);
        made
    };
    let has_inputs = slot.has_inputs();
    let Opened { connection, file_table, .. } = opened;
    let sums = scan_plan.grouped.as_ref().map(GroupedScan::sums).unwrap_or_default();
    Ok(Some(Scan {
        connection,
        definition,
        file_table,
        columns,
        way,
        converter,
        slot,
        has_inputs,
        sums,
        texts: Vec::new(),
        is_done: false,
    }))
}

/// Whether what the plan concluded from the census still holds.
fn holds(plan: &ScanPlan, opened: &Opened) -> Result<bool> {
    let Some(stamp) = &plan.stamp else { return Ok(true) };
    if *stamp == opened.stamp() {
        return Ok(true);
    }
    // A cached plan that is made again will not conclude it again.
    compat::plan_again(opened.definition.relation);
    if plan.order.is_some() {
        return Err(Error::new(
            pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            "SQLite file has changed since the query was planned",
        )
        .detail(format!("The plan relies on what ANALYZE found in foreign table {}.", opened.definition.name))
        .hint("Run the query again: it is planned anew."));
    }
    Ok(false)
}

/// The next row.
#[pg_guard]
pub unsafe extern "C-unwind" fn iterate_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's node; its state was made by `begin_foreign_scan` and lives as long as the
    // query.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        if (*node).fdw_state.is_null() {
            return next_of((*node).ss.ps.lefttree).unwrap_or(slot);
        }
        let scan = &mut *(*node).fdw_state.cast::<Scan>();
        scan.slot.aim((*slot).tts_values, (*slot).tts_isnull);
        let is_there = scan.next((*node).ss.ps.ps_ExprContext).unwrap_or_else(|error| error.raise());
        if is_there {
            pg_sys::ExecStoreVirtualTuple(slot);
        }
        slot
    }
}

/// The next row of another node, as `ExecProcNode` gives it; nothing where there is no node.
///
/// # Safety
/// A node of the executor's that has begun, or NULL.
unsafe fn next_of(node: *mut pg_sys::PlanState) -> Option<*mut pg_sys::TupleTableSlot> {
    // SAFETY: the caller's promise.
    unsafe {
        let next = node.as_ref()?.ExecProcNode?;
        if !(*node).chgParam.is_null() {
            pg_sys::ExecReScan(node);
        }
        #[allow(ffi_unwind_calls)] // the boundary turns an error of PostgreSQL's into a panic of ours
        Some(pg_sys::ffi::pg_guard_ffi_boundary(|| next(node)))
    }
}

/// Begins again, perhaps with other parameters.
#[pg_guard]
pub unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above; a node below begins again by itself.
    unsafe {
        if let Some(scan) = (*node).fdw_state.cast::<Scan>().as_mut() {
            scan.again();
        }
    }
}

/// The scan is over. What it holds goes with the query's memory; a statement is given back here, so that the
/// next query has it.
#[pg_guard]
pub unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above; after EXPLAIN there is no state.
    unsafe {
        let state = (*node).fdw_state.cast::<Scan>();
        if state.is_null() {
            return;
        }
        (*state).end();
        (*state).connection.source().verify_unchanged().unwrap_or_else(|error| of_query(error).raise());
    }
}

impl Scan {
    fn again(&mut self) {
        self.is_done = false;
        match &mut self.way {
            Way::Table(batches) => {
                batches.scan = None;
                (batches.at, batches.read, batches.is_last) = (0, 0, false);
                batches.rows.restart(1);
            }
            Way::Query(statement) => statement.is_begun = false,
        }
    }

    fn end(&mut self) {
        self.is_done = true;
        match &mut self.way {
            Way::Table(batches) => **batches = Batches::default(),
            Way::Query(statement) => {
                if let Some(query) = statement.query.take() {
                    self.connection.give_back(query);
                }
            }
        }
    }

    /// Puts the next row into the slot; false after the last.
    ///
    /// # Safety
    /// The expression context is the node's.
    unsafe fn next(&mut self, context: *mut pg_sys::ExprContext) -> Result<bool> {
        if self.is_done {
            return Ok(false);
        }
        let Scan {
            connection,
            definition,
            file_table,
            columns,
            way,
            converter,
            slot,
            has_inputs,
            sums,
            texts,
            is_done,
        } = self;
        let zone = &definition.server.options.zone;
        loop {
            let row = match way {
                Way::Table(batches) => {
                    batches.next(|| TableScan::open(connection.source(), &file_table.table, columns))?
                }
                Way::Query(statement) => {
                    // SAFETY: the caller's promise.
                    unsafe { statement.begin(context)? };
                    match &mut statement.query {
                        Some(query) => query.next().map_err(of_query)?,
                        None => None,
                    }
                }
            };
            let Some(row) = row else {
                *is_done = true;
                connection.source().verify_unchanged().map_err(of_query)?;
                return Ok(false);
            };
            let whole;
            let row = if sums.is_empty() {
                row
            } else {
                whole = with_sums(&row, sums, texts);
                Row::new(&whole, None)
            };
            let fate = if *has_inputs {
                settings::in_zone(zone, || converter.convert(&row, slot))
            } else {
                converter.convert(&row, slot)
            };
            match fate.map_err(|error| of_row(error, definition))? {
                Fate::Kept if !slot.is_refused() => return Ok(true),
                Fate::Kept | Fate::SetAside => {}
            }
        }
    }
}

impl Batches {
    #[inline]
    fn next(
        &mut self,
        open: impl FnOnce() -> std::result::Result<TableScan, aliaport_sqlite::SourceError>,
    ) -> Result<Option<aliaport_rows::value::Row<'_>>> {
        if self.at >= self.rows.len() {
            if self.is_last {
                return Ok(None);
            }
            self.read(open)?;
        }
        self.at += 1;
        Ok(self.rows.row(self.at - 1))
    }

    #[cold]
    fn read(
        &mut self,
        open: impl FnOnce() -> std::result::Result<TableScan, aliaport_sqlite::SourceError>,
    ) -> Result<()> {
        self.rows.restart(self.read + 1);
        self.at = 0;
        let scan = match &mut self.scan {
            Some(scan) => scan,
            None => self.scan.insert(open().map_err(of_query)?),
        };
        self.is_last = scan.fill(&mut self.rows, self.bytes).map_err(of_query)?;
        self.rows.check_texts();
        self.read += self.rows.len() as u64;
        self.bytes = (self.bytes * 2).clamp(FIRST_BATCH, LARGEST_BATCH);
        Ok(())
    }
}

impl Statement {
    /// Binds the parameters, where that has not been done since the last rescan.
    ///
    /// # Safety
    /// The expression context is the node's.
    unsafe fn begin(&mut self, context: *mut pg_sys::ExprContext) -> Result<()> {
        if self.is_begun {
            return Ok(());
        }
        self.is_begun = true;
        let mut bound = Vec::with_capacity(self.bindings.len());
        for (expression, binding) in self.expressions.iter().zip(&self.bindings) {
            let mut is_null = false;
            // SAFETY: the expressions were initialised for this node; a binding was made for the type of its
            // expression.
            bound.push(unsafe {
                let datum = pg_sys::ExecEvalExprSwitchContext(*expression, context, &mut is_null);
                binding.bind(datum, is_null)
            });
        }
        let values: Vec<Value<'_>> = bound.iter().map(super::push::binding::Bound::as_value).collect();
        match &mut self.query {
            Some(query) => query.begin(&values).map_err(of_query),
            None => Ok(()),
        }
    }
}
