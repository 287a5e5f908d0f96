//! The session's connections to SQLite files: one snapshot a transaction and server, and what can be kept
//! from one transaction to the next.
//!
//! A snapshot begins with the first query of a transaction that needs it and ends with the transaction, and
//! with it every lock. The connection and its prepared statements stay where nothing is locked by that and
//! the file has not changed since ([`Source::pause`]); DISCARD ALL gives them back.
#![allow(unsafe_code)] // registers callbacks at the end of transactions and around utility statements

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use aliaport_plan::catalogue::Table;
use aliaport_sqlite::{OpenOptions, Query, RelationKind, Selection, Source};
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use super::definition::Server;
use super::error::of_query;
use super::option::file_name;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::{access, encoding, interrupt};

/// An open file.
pub struct Connection {
    server: pg_sys::Oid,
    /// As the server's option has it.
    path: String,
    source: Rc<Source>,
    /// It has a snapshot, in the transaction at hand.
    has_snapshot: Cell<bool>,
    /// The session has it. Else it lives only as long as a scan that has not ended yet.
    is_kept: Cell<bool>,
    is_utf8: Cell<Option<bool>>,
    tables: RefCell<HashMap<String, Rc<FileTable>>>,
    /// Statements that no scan uses, by their text.
    queries: RefCell<HashMap<String, Vec<Query>>>,
}

/// What the file declares of a table or view.
#[derive(Debug)]
pub struct FileTable {
    /// Its columns, keys and indexes.
    pub table: Table,
    /// A view has no more than columns.
    pub kind: RelationKind,
}

/// Statements that a connection keeps at most.
const MOST_QUERIES: usize = 200;

thread_local! {
    static CONNECTIONS: RefCell<Vec<Rc<Connection>>> = const { RefCell::new(Vec::new()) };
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
    static NEXT_UTILITY: Cell<pg_sys::ProcessUtility_hook_type> = const { Cell::new(None) };
}

/// The snapshot of a server's file in this transaction. The caller's right to it is asked for each time.
///
/// # Errors
/// As an import of the file.
pub fn connect(server: &Server) -> Result<Rc<Connection>> {
    encoding::require_utf8()?;
    let path = server.options.path.as_str();
    let known =
        CONNECTIONS.with_borrow(|all| all.iter().find(|c| c.server == server.oid && c.path == path).cloned());
    if let Some(known) = &known
        && known.has_snapshot.get()
    {
        access::require_right(path, known.source.path())?;
        return Ok(Rc::clone(known));
    }
    register();
    let location = access::source_path(path)?;
    if let Some(known) = known {
        if known.source.is_at(&location) && known.source.resume() {
            known.has_snapshot.set(true);
            return Ok(known);
        }
        forget(&known);
    }
    let options =
        OpenOptions { busy_timeout: server.options.patience(), is_cancelled: interrupt::is_cancelled };
    let source = Source::open_at(location, options).map_err(of_query)?;
    source.allow_views().map_err(of_query)?;
    let connection = Rc::new(Connection {
        server: server.oid,
        path: path.to_owned(),
        source: Rc::new(source),
        has_snapshot: Cell::new(true),
        is_kept: Cell::new(true),
        is_utf8: Cell::new(None),
        tables: RefCell::default(),
        queries: RefCell::default(),
    });
    CONNECTIONS.with_borrow_mut(|all| all.push(Rc::clone(&connection)));
    Ok(connection)
}

fn forget(connection: &Rc<Connection>) {
    connection.is_kept.set(false);
    connection.queries.borrow_mut().clear();
    CONNECTIONS.with_borrow_mut(|all| all.retain(|c| !Rc::ptr_eq(c, connection)));
}

impl Connection {
    /// The file.
    pub fn source(&self) -> &Rc<Source> {
        &self.source
    }

    /// Its texts are in UTF-8.
    pub fn is_utf8(&self) -> Result<bool> {
        if let Some(known) = self.is_utf8.get() {
            return Ok(known);
        }
        let is_utf8 = self.source.encoding().map_err(of_query)? == "UTF-8";
        self.is_utf8.set(Some(is_utf8));
        Ok(is_utf8)
    }

    /// What the file declares of a table or view.
    ///
    /// # Errors
    /// 42P01 where there is none of this name, 0A000 for a virtual table.
    pub fn table(&self, name: &str) -> Result<Rc<FileTable>> {
        if let Some(known) = self.tables.borrow().get(name) {
            return Ok(Rc::clone(known));
        }
        let Some((table, kind)) = self.source.relation(name).map_err(of_query)? else {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
                format!("SQLite table \"{name}\" does not exist"),
            )
            .detail(format!("The file \"{}\" has no table or view of this name.", file_name(&self.path)))
            .hint("Correct the option table_name of the foreign table, or drop it and run IMPORT FOREIGN SCHEMA again."));
        };
        if kind == RelationKind::Virtual {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("SQLite table \"{name}\" is a virtual table"),
            )
            .detail("Its rows are made by a module of the application, which is not run here.")
            .hint("Read the tables in which the module keeps its data, for instance those that .tables of the sqlite3 program lists."));
        }
        let table = Rc::new(FileTable { table, kind });
        self.tables.borrow_mut().insert(name.to_owned(), Rc::clone(&table));
        Ok(table)
    }

    /// A prepared statement of this text, which may be one that an earlier scan has used.
    ///
    /// # Errors
    /// What SQLite says of it.
    pub fn query(&self, selection: &Selection, tail: &str) -> Result<Query> {
        let text = format!("{} {tail}", selection.sql);
        let kept = self.queries.borrow_mut().get_mut(&text).and_then(|queries| {
            let at = queries.iter().position(|query| query.reads(selection))?;
            Some(queries.swap_remove(at))
        });
        match kept {
            Some(query) => Ok(query),
            None => Query::prepare(&self.source, selection, tail).map_err(of_query),
        }
    }

    /// Takes a statement back that a scan has done with. Never fails: it is called where queries end.
    pub fn give_back(&self, mut query: Query) {
        query.rest();
        if !self.is_kept.get() {
            return;
        }
        if let Ok(mut queries) = self.queries.try_borrow_mut() {
            if queries.len() >= MOST_QUERIES {
                queries.clear();
            }
            queries.entry(query.text().to_owned()).or_default().push(query);
        }
    }
}

fn register() {
    if IS_REGISTERED.replace(true) {
        return;
    }
    // SAFETY: once a backend, with functions that are there as long as it is; the hook that was there is
    // called by ours.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
        NEXT_UTILITY.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(super::utility::process_utility);
    }
}

/// The hook that ours has taken the place of.
pub fn next_utility() -> pg_sys::ProcessUtility_hook_type {
    NEXT_UTILITY.get()
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(
    event: pg_sys::XactEvent::Type,
    _unused: *mut core::ffi::c_void,
) {
    use pg_sys::XactEvent as E;
    if matches!(event, E::XACT_EVENT_COMMIT | E::XACT_EVENT_ABORT | E::XACT_EVENT_PREPARE) {
        end_snapshots();
    }
}

/// Ends every snapshot; nothing in it raises.
fn end_snapshots() {
    CONNECTIONS.with_borrow_mut(|all| {
        all.retain(|connection| {
            if !connection.has_snapshot.replace(false) {
                return true;
            }
            // SAFETY: the transaction is over. A scan that an error has left is not gone on with: all that
            // becomes of it is that its memory is freed.
            let is_kept = unsafe { connection.source.pause() };
            if !is_kept {
                connection.is_kept.set(false);
                connection.queries.borrow_mut().clear();
            }
            is_kept
        });
    });
}

/// Closes every file. A scan that is under way in an open cursor goes on with its own.
pub fn close_all() {
    let all = CONNECTIONS.take();
    for connection in all {
        connection.is_kept.set(false);
        connection.queries.borrow_mut().clear();
    }
}
