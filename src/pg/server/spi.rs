//! The only file that calls SPI. SQL errors do not come back as `Err` from SPI: they unwind to the caller's
//! caller and end the statement, which is what an import wants.
//!
//! Statements of ours find functions, operators and types in pg_catalog and nowhere else ([`run`], [`rows`],
//! [`one`] and their like): what somebody has put into a schema of the caller's search_path must not be
//! called by them, and less so with the caller's rights. Everything that they name in another schema is
//! written with that schema.
//!
//! What touches the caller's own tables may run code that belongs to those (defaults, checks, triggers,
//! policies), and that finds its names by the caller's search_path, as it does in a statement typed by hand:
//! [`run_for_caller`] and its like. Such a statement says `OPERATOR(pg_catalog.=)` and `pg_catalog.text`
//! itself; tests/layering.rs looks at each of them.
#![allow(unsafe_code)] // switches the current role and settings for a while, looks at plans and at rows as the executor gives them

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiHeapTupleData, SpiTupleTable};

use super::error::{Result, unexpected};

/// What the rows of a statement of ours see of names. pg_temp comes last, as it would come first where nobody
/// names it.
const SEARCH_PATH: &std::ffi::CStr = c"pg_catalog, pg_temp";

type SpiResult<T> = std::result::Result<T, pgrx::spi::Error>;

/// Runs `f` with names found in pg_catalog only.
fn ours<R>(f: impl FnOnce() -> SpiResult<R>) -> Result<R> {
    with_setting(c"search_path", SEARCH_PATH, || f().map_err(unexpected))
}

/// Runs one statement that returns nothing of interest.
pub fn run(sql: &str) -> Result<()> {
    run_with(sql, &[])
}

/// Runs one statement with parameters.
pub fn run_with(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    ours(|| Spi::connect_mut(|client| client.update(sql, None, args).map(drop)))
}

/// Runs one statement; the number of rows that it wrote.
pub fn count(sql: &str) -> Result<i64> {
    let written = ours(|| Spi::connect_mut(|client| client.update(sql, None, &[]).map(|rows| rows.len())))?;
    Ok(i64::try_from(written).unwrap_or(i64::MAX))
}

/// Reads rows without marking the transaction as writing; `row` turns each into a value of ours.
pub fn rows<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>> {
    ours(|| Spi::connect(|client| collect(client.select(sql, None, args)?, row)))
}

/// The same as [`rows`] for a query that is run for table after table: it is planned once a session. `sql`
/// names no object of the user's, so that there are few of these.
pub fn rows_often<T>(
    sql: &'static str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>> {
    ours(|| {
        Spi::connect(|client| {
            let plan = PLANS.with_borrow(|plans| plans.get(sql).cloned());
            let plan = match plan {
                Some(plan) => plan,
                None => {
                    let types: Vec<PgOid> = args.iter().map(|arg| PgOid::from(arg.oid())).collect();
                    let plan = Rc::new(client.prepare(sql, &types)?.keep());
                    PLANS.with_borrow_mut(|plans| plans.insert(sql, Rc::clone(&plan)));
                    plan
                }
            };
            collect(client.select(&*plan, None, args)?, row)
        })
    })
}

/// A statement over the caller's tables, planned once and run many times. Its parameters are integers.
#[derive(Clone)]
pub struct Statement(Rc<OwnedPreparedStatement>);

impl Statement {
    /// Prepares a statement with so many parameters.
    pub fn new(sql: &str, parameters: usize) -> Result<Self> {
        let types = vec![PgOid::from(pg_sys::INT4OID); parameters];
        Spi::connect_mut(|client| client.prepare_mut(sql, &types).map(|plan| Statement(Rc::new(plan.keep()))))
            .map_err(unexpected)
    }

    /// Runs it; the number of rows it wrote.
    pub fn run(&self, arguments: &[i32]) -> Result<i64> {
        let arguments: Vec<DatumWithOid<'_>> = arguments.iter().map(|&argument| argument.into()).collect();
        Spi::connect_mut(|client| {
            client
                .update(&*self.0, None, &arguments)
                .map(|rows| i64::try_from(rows.len()).unwrap_or(i64::MAX))
        })
        .map_err(unexpected)
    }
}

/// The first column of the first row.
pub fn one<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Option<T>> {
    ours(|| Spi::connect(|client| first(client.select(sql, Some(1), args)?)))
}

/// The same for a statement that writes (INSERT ... RETURNING, setval).
pub fn one_mut<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Option<T>> {
    ours(|| Spi::connect_mut(|client| first(client.update(sql, Some(1), args)?)))
}

/// Runs one statement on the caller's tables, with his search_path for the code that belongs to them.
pub fn run_for_caller(sql: &str) -> Result<()> {
    run_for_caller_with(sql, &[])
}

/// The same with parameters.
pub fn run_for_caller_with(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    Spi::connect_mut(|client| client.update(sql, None, args).map(drop)).map_err(unexpected)
}

/// The same; the number of rows that it wrote.
pub fn count_for_caller(sql: &str) -> Result<i64> {
    Spi::connect_mut(|client| {
        client.update(sql, None, &[]).map(|rows| i64::try_from(rows.len()).unwrap_or(i64::MAX))
    })
    .map_err(unexpected)
}

/// Reads rows of the caller's tables, with his search_path for the policies that belong to them.
pub fn rows_for_caller<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>> {
    Spi::connect(|client| collect(client.select(sql, None, args)?, row)).map_err(unexpected)
}

/// The first column of the first row.
pub fn one_for_caller<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Option<T>> {
    Spi::connect(|client| first(client.select(sql, Some(1), args)?)).map_err(unexpected)
}

/// Rows that are too many to be kept, or that are asked for with expressions as PostgreSQL prints them under
/// the search_path of [`rows`]. So they are read back under that one, and functions in them find their names
/// by the caller's. `each` gets them a page at a time.
pub fn pages<T>(
    sql: &str,
    mut row: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<T>,
    mut each: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<()> {
    const ROWS_AT_ONCE: i64 = 10_000;
    let name = ours(|| Spi::connect(|client| Ok(client.try_open_cursor(sql, &[])?.detach_into_name())))?;
    loop {
        // A connection a page, which takes its rows with it.
        let page = Spi::connect(|client| {
            // An error that a function raises leaves the cursor to the end of the (sub)transaction.
            let mut cursor = ManuallyDrop::new(client.find_cursor(&name)?);
            let page = collect(cursor.fetch(ROWS_AT_ONCE)?, &mut row)?;
            if page.is_empty() {
                drop(ManuallyDrop::into_inner(cursor));
            }
            Ok(page)
        })
        .map_err(|e: pgrx::spi::Error| unexpected(e))?;
        if page.is_empty() {
            return Ok(());
        }
        each(page)?;
    }
}

fn collect<T>(
    table: SpiTupleTable<'_>,
    mut row: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> SpiResult<Vec<T>> {
    let mut out = Vec::with_capacity(table.len());
    for tuple in table {
        out.push(row(&tuple)?);
    }
    Ok(out)
}

fn first<T: FromDatum + IntoDatum>(table: SpiTupleTable<'_>) -> SpiResult<Option<T>> {
    if table.is_empty() { Ok(None) } else { table.first().get_one() }
}

thread_local! {
    /// The plans of [`rows_often`]. They are always run under the same search_path: under another one
    /// PostgreSQL would plan them again.
    static PLANS: RefCell<HashMap<&'static str, Rc<OwnedPreparedStatement>>> = RefCell::default();
}

/// Lets `f` look at the plan of a query, which has gone through rewriter and planner as anybody's query
/// would, hooks of other extensions included.
pub fn with_plan<R>(query: &str, f: impl FnOnce(&pg_sys::PlannedStmt) -> R) -> Result<R> {
    let text = CString::new(query).map_err(unexpected)?;
    let seen = Spi::connect(|_| {
        // SAFETY: SPI is connected; the text outlives the call. A plan that was not saved has one cached plan
        // that nobody else owns, whose statements are PlannedStmts for a query that is no utility statement;
        // both are released after `f`, which cannot keep what it borrows. An error leaves both to the end of
        // the connection to SPI.
        unsafe {
            let plan = pg_sys::SPI_prepare(text.as_ptr(), 0, std::ptr::null_mut());
            if plan.is_null() {
                return None;
            }
            let cached = pg_sys::SPI_plan_get_cached_plan(plan);
            let seen = if cached.is_null() || (*cached).stmt_list.is_null() {
                None
            } else {
                let statement = pg_sys::list_nth((*cached).stmt_list, 0).cast::<pg_sys::PlannedStmt>();
                Some(f(&*statement))
            };
            if !cached.is_null() {
                pg_sys::ReleaseCachedPlan(cached, std::ptr::null_mut());
            }
            pg_sys::SPI_freeplan(plan);
            seen
        }
    });
    seen.ok_or_else(|| unexpected("absence of a plan"))
}

/// What the executor hands each row to.
#[repr(C)]
struct Receiver<'a> {
    /// First, because PostgreSQL knows only this.
    head: pg_sys::DestReceiver,
    each: &'a mut dyn FnMut(*mut pg_sys::TupleTableSlot) -> ControlFlow<()>,
}

#[pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    receiver: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: the only receivers with this function are those of `each_row`, whose first field PostgreSQL has
    // a pointer to and which live until the query has ended.
    let receiver = unsafe { &mut *receiver.cast::<Receiver<'_>>() };
    (receiver.each)(slot).is_continue()
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(
    _receiver: *mut pg_sys::DestReceiver,
    _operation: core::ffi::c_int,
    _descriptor: pg_sys::TupleDesc,
) {
}

#[pg_guard]
unsafe extern "C-unwind" fn end(_receiver: *mut pg_sys::DestReceiver) {}

/// Runs a query as anybody's, and shows each row that it returns in the executor's own slot until `each`
/// breaks off: no row is kept.
///
/// With `sees_statement` it sees what the calling statement sees, else also all that this transaction has
/// done so far.
pub fn each_row(
    query: &str,
    sees_statement: bool,
    each: &mut dyn FnMut(*mut pg_sys::TupleTableSlot) -> ControlFlow<()>,
) -> Result<()> {
    let text = CString::new(query).map_err(unexpected)?;
    let code = Spi::connect(|_| {
        let mut receiver = Receiver {
            head: pg_sys::DestReceiver {
                receiveSlot: Some(receive),
                rStartup: Some(begin),
                rShutdown: Some(end),
                rDestroy: Some(end),
                // Any destination that SPI does not look into.
                mydest: pg_sys::CommandDest::DestTuplestore,
            },
            each,
        };
        let options = pg_sys::SPIExecuteOptions {
            read_only: sees_statement,
            must_return_tuples: true,
            dest: (&raw mut receiver).cast(),
            ..Default::default()
        };
        // SAFETY: SPI is connected; text, options and receiver outlive the call.
        unsafe { pg_sys::SPI_execute_extended(text.as_ptr(), &raw const options) }
    });
    if code == pg_sys::SPI_OK_SELECT as i32 {
        Ok(())
    } else {
        Err(unexpected(format!("result {code} of a query")))
    }
}

/// Runs `f` as the owner of the history tables, so that a role with EXECUTE alone can import and yet cannot
/// write history by hand. The search_path is ours meanwhile: a caller's could put operators of his own under
/// the owner's rights. An error needs no restoring: the end of the (sub)transaction resets both.
pub fn as_history_owner<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let owner: pg_sys::Oid =
        one(
            // Not by 'aliaport.run'::regclass, which needs USAGE on the schema.
            "SELECT c.relowner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'aliaport' AND c.relname = 'run'",
            &[],
        )?
        .ok_or_else(|| unexpected("absence of aliaport.run"))?;
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the out-pointers are valid; LOCAL_USERID_CHANGE is what PostgreSQL's own SECURITY DEFINER code
    // sets.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(
            owner,
            context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32 | pg_sys::SECURITY_NOFORCE_RLS as i32,
        );
    }
    let result = with_setting(c"search_path", SEARCH_PATH, f);
    // SAFETY: puts back what was read above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    result
}

/// Runs `f` with a setting that ends with it. An error needs no restoring: the end of the (sub)transaction
/// resets it.
pub fn with_setting<R>(
    name: &std::ffi::CStr,
    value: &std::ffi::CStr,
    f: impl FnOnce() -> Result<R>,
) -> Result<R> {
    with_settings(&[(name, value)], f)
}

/// The same with several settings.
pub fn with_settings<R>(
    settings: &[(&std::ffi::CStr, &std::ffi::CStr)],
    f: impl FnOnce() -> Result<R>,
) -> Result<R> {
    // SAFETY: GUC_ACTION_SAVE below a nest level is how PostgreSQL sets a function's settings; the strings
    // outlive the calls, which copy them.
    let nest_level = unsafe {
        let nest_level = pg_sys::NewGUCNestLevel();
        for (name, value) in settings {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        nest_level
    };
    let result = f();
    // SAFETY: ends the nest level begun above.
    unsafe { pg_sys::AtEOXact_GUC(false, nest_level) };
    result
}
