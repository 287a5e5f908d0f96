//! What PostgreSQL's catalogues say of a foreign table: kept in the session until one of them changes.
#![allow(unsafe_code)] // reads catalogue entries and lists of options, registers callbacks

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

use aliaport_rows::column::ColumnPlan;
use aliaport_rows::convert::UuidBytes;
use aliaport_rows::identifier::{QualifiedName, quote};
use aliaport_rows::row::OnError;
use pgrx::{PgList, pg_guard, pg_sys};

use super::census::{self, TableCensus};
use super::option::{self, ServerOptions};
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::spi;
use crate::pg::table::target;

/// A foreign server.
#[derive(Debug)]
pub struct Server {
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// Its options.
    pub options: ServerOptions,
}

/// A foreign table.
#[derive(Debug)]
pub struct Definition {
    /// Its OID.
    pub relation: pg_sys::Oid,
    /// What it is called.
    pub name: QualifiedName,
    /// Its server.
    pub server: Rc<Server>,
    /// What it is called in SQLite.
    pub table: String,
    /// What becomes of bad values.
    pub on_error: OnError,
    /// The option is given, so that a statement has to SET it.
    pub has_on_error: bool,
    /// Its columns, dropped ones left out.
    pub columns: Vec<DefinedColumn>,
    /// Read when it is asked for.
    census: RefCell<Option<Option<TableCensus>>>,
}

/// A column of a foreign table.
#[derive(Debug)]
pub struct DefinedColumn {
    /// Its attribute number.
    pub attnum: i16,
    /// Its type, the domain itself where it is one.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// What values are read as: the domain's base type.
    pub base: (pg_sys::Oid, i32),
    /// Its type is a domain.
    pub is_domain: bool,
    /// How values are converted. `source` is the SQLite column's name.
    pub plan: ColumnPlan,
}

impl Definition {
    /// The last census of the table.
    pub fn census(&self) -> Result<Option<TableCensus>> {
        if let Some(known) = self.census.borrow().as_ref() {
            return Ok(known.clone());
        }
        let read = census::read(self.relation)?;
        self.census.replace(Some(read.clone()));
        Ok(read)
    }

    /// The statement that makes bad values something else than an error.
    pub fn with_on_error(&self, word: &str) -> String {
        let verb = if self.has_on_error { "SET" } else { "ADD" };
        format!(
            "ALTER FOREIGN TABLE {}.{} OPTIONS ({verb} on_error '{word}');",
            quote(&self.name.schema),
            quote(&self.name.name)
        )
    }
}

thread_local! {
    static KNOWN: RefCell<HashMap<pg_sys::Oid, Rc<Definition>>> = RefCell::default();
    /// What a callback has found out of date; callbacks may come at any time, also while KNOWN is in use.
    static STALE: RefCell<Vec<pg_sys::Oid>> = RefCell::default();
    static IS_ALL_STALE: Cell<bool> = const { Cell::new(false) };
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// What is known of a foreign table of ours.
pub fn of(relation: pg_sys::Oid) -> Result<Rc<Definition>> {
    register();
    forget_stale();
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&relation).cloned()) {
        return Ok(known);
    }
    let definition = Rc::new(read(relation)?);
    KNOWN.with_borrow_mut(|known| known.insert(relation, Rc::clone(&definition)));
    Ok(definition)
}

fn forget_stale() {
    if IS_ALL_STALE.replace(false) {
        KNOWN.with_borrow_mut(HashMap::clear);
    }
    let stale = STALE.take();
    if !stale.is_empty() {
        KNOWN.with_borrow_mut(|known| stale.iter().for_each(|relation| drop(known.remove(relation))));
    }
}

fn register() {
    if IS_REGISTERED.replace(true) {
        return;
    }
    // SAFETY: registered once a backend, with functions that are there as long as it is.
    unsafe {
        let none = pg_sys::Datum::from(0usize);
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), none);
        for cache in [
            pg_sys::SysCacheIdentifier::FOREIGNSERVEROID,
            pg_sys::SysCacheIdentifier::TYPEOID,
            pg_sys::SysCacheIdentifier::ENUMOID,
            pg_sys::SysCacheIdentifier::NAMESPACEOID,
        ] {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(catalogue_changed), none);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_unused: pg_sys::Datum, relation: pg_sys::Oid) {
    if relation == pg_sys::InvalidOid {
        IS_ALL_STALE.set(true);
    } else {
        // Only what is known is noted: a session changes many relations.
        let is_known = KNOWN.try_with(|known| known.try_borrow().map_or(true, |k| k.contains_key(&relation)));
        if is_known.unwrap_or(false) {
            STALE.with_borrow_mut(|stale| stale.push(relation));
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn catalogue_changed(_unused: pg_sys::Datum, _cache: i32, _hash: u32) {
    IS_ALL_STALE.set(true);
}

/// A server's entry and options.
pub fn server(oid: pg_sys::Oid) -> Result<Rc<Server>> {
    // SAFETY: the call raises where there is no such server, and returns a copy of its entry.
    let options = unsafe { options((*pg_sys::GetForeignServer(oid)).options) };
    Ok(Rc::new(Server { oid, options: ServerOptions::parse(&options)? }))
}

fn read(relation: pg_sys::Oid) -> Result<Definition> {
    // SAFETY: the call raises where the relation is no foreign table.
    let (server_oid, table_options) = unsafe {
        let table = pg_sys::GetForeignTable(relation);
        ((*table).serverid, options((*table).options))
    };
    let server = server(server_oid)?;
    let (schema, name) = spi::rows_often(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[relation.into()],
        |row| Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<String>(2)?.unwrap_or_default())),
    )?
    .pop()
    .ok_or_else(|| unexpected("absence of a foreign table"))?;
    let numbers = spi::rows_often(
        "SELECT attname::text, attnum, atttypid, atttypmod FROM pg_catalog.pg_attribute \
         WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        &[relation.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<i16>(2)?.unwrap_or_default(),
                row.get::<pg_sys::Oid>(3)?.unwrap_or(pg_sys::InvalidOid),
                row.get::<i32>(4)?.unwrap_or(-1),
            ))
        },
    )?;
    let mut columns = Vec::with_capacity(numbers.len());
    for (attribute, column) in numbers.into_iter().zip(target::columns(relation)?) {
        let (name, attnum, type_oid, typmod) = attribute;
        if name != column.name {
            return Err(unexpected("order of a foreign table's columns"));
        }
        // SAFETY: the relation and the attribute exist.
        let options = unsafe { options(pg_sys::GetForeignColumnOptions(relation, attnum)) };
        let (source, number) = option::of_column(&options)?;
        let mut base_typmod = typmod;
        // SAFETY: the type exists; the out-pointer is valid.
        let base = unsafe { pg_sys::getBaseTypeAndTypmod(type_oid, &mut base_typmod) };
        let plan = ColumnPlan {
            source: source.unwrap_or(&name).to_owned(),
            declared_type: String::new(),
            target: name,
            pg_type: column.pg_type,
            is_not_null: column.is_not_null,
            number,
            uuid: UuidBytes::default(),
        };
        let is_domain = column.domain.is_some();
        let base = (base, base_typmod);
        columns.push(DefinedColumn { attnum, type_oid, typmod, base, is_domain, plan });
    }
    let (table, bad_value) = option::of_table(&table_options)?;
    Ok(Definition {
        relation,
        table: table.unwrap_or(&name).to_owned(),
        name: QualifiedName { schema, name },
        server,
        on_error: bad_value.into(),
        has_on_error: option::value_of(&table_options, "on_error").is_some(),
        columns,
        census: RefCell::default(),
    })
}

/// The options in a list of the catalogue: names and values.
///
/// # Safety
/// The list is NIL or one of `DefElem`s, as `untransformRelOptions` makes them.
pub unsafe fn options(list: *mut pg_sys::List) -> Vec<(String, String)> {
    // SAFETY: the caller's promise.
    unsafe {
        let list = PgList::<pg_sys::DefElem>::from_pg(list);
        list.iter_ptr().map(|option| (text((*option).defname), text(pg_sys::defGetString(option)))).collect()
    }
}

/// # Safety
/// NULL or a C string.
unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
