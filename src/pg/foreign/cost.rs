//! How many rows a foreign table has, and what it costs to read some of them.
#![allow(unsafe_code)] // looks at the planner's conditions

use aliaport_plan::catalogue::Index;
use aliaport_sqlite::RelationKind;
use pgrx::{PgList, pg_sys};

use super::error::of_query;
use super::plan::Planning;
use super::remote::Opened;
use crate::pg::server::error::Result;

/// Rows of a view, of which nothing tells how many it has.
const OF_A_VIEW: f64 = 1000.0;
/// What the first row costs: the snapshot, the statement.
const STARTUP: f64 = 10.0;
/// What a row costs that SQLite looks at, and a value that is converted, in units of `cpu_tuple_cost`.
const ROW: f64 = 2.0;
const VALUE: f64 = 0.3;
/// What a search in an index costs, in the same.
const SEARCH: f64 = 30.0;

/// About how many rows the table has: by the census, by the rowids or SQLite's own statistics, or counted.
pub fn tuples(opened: &Opened) -> Result<f64> {
    if opened.file_table.kind == RelationKind::View {
        let census = opened.definition.census()?;
        return Ok(census.map_or(OF_A_VIEW, |census| census.rows));
    }
    if let Some(census) = super::census::of_snapshot(opened)? {
        return Ok(census.rows);
    }
    let table = &opened.file_table.table;
    match opened.source().estimated_rows(table) {
        Some(rows) => Ok(rows as f64),
        None => Ok(opened.source().count_rows(&table.name).map_err(of_query)? as f64),
    }
}

/// How SQLite would find the rows for some conditions.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// By a key or an index, not by looking at all rows.
    pub by_index: bool,
    /// No more rows than this can come out.
    pub most_rows: f64,
    /// Rows that it looks at.
    pub looked_at: f64,
}

/// How SQLite would find the rows for these conditions, all of which it decides.
///
/// # Safety
/// The planner's own pointers; the conditions belong to the relation.
pub unsafe fn look_up(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
    conditions: &[*mut pg_sys::RestrictInfo],
) -> Found {
    let table = &planning.opened.file_table.table;
    let mut found = Found { by_index: false, most_rows: planning.tuples, looked_at: planning.tuples };
    let (mut equal, mut compared): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for info in conditions {
        // SAFETY: the caller's promise.
        let Some((place, is_equality)) = (unsafe { compared_column(rel, planning, *info) }) else { continue };
        compared.push(place);
        if is_equality {
            equal.push(place);
        }
    }
    let is_found_by = |first: usize| compared.contains(&first);
    let leading = |index: &Index| index.terms.first().and_then(|term| term.column);
    let usable = table.indexes.iter().filter(|index| !index.is_partial);
    let by_rowid = table.rowid_alias.is_some_and(is_found_by);
    let firsts: Vec<usize> = usable.clone().filter_map(leading).chain(table.rowid_alias).collect();
    found.by_index = by_rowid || firsts.iter().copied().any(is_found_by);
    let is_unique = table.rowid_alias.is_some_and(|alias| equal.contains(&alias))
        || usable.filter(|index| index.is_unique).any(|index| {
            index.terms.iter().all(|term| term.column.is_some_and(|column| equal.contains(&column)))
        });
    if is_unique {
        found.most_rows = 1.0;
        found.looked_at = 1.0;
    } else if found.by_index {
        let mut list = PgList::<pg_sys::RestrictInfo>::new();
        for info in conditions {
            // SAFETY: the caller's promise.
            let column = unsafe { compared_column(rel, planning, *info) };
            if column.is_some_and(|(place, _)| firsts.contains(&place)) {
                list.push(*info);
            }
        }
        // SAFETY: a list of the planner's conditions.
        let part = unsafe {
            pg_sys::clauselist_selectivity(
                root,
                list.into_pg(),
                (*rel).relid as i32,
                pg_sys::JoinType::JOIN_INNER,
                std::ptr::null_mut(),
            )
        };
        found.looked_at = (planning.tuples * part).max(1.0);
    }
    found
}

/// Whether an index has the file's rows in the order of a column's bytes.
pub fn has_order(planning: &Planning, place: usize) -> bool {
    let table = &planning.opened.file_table.table;
    let leads = |index: &Index| {
        index
            .terms
            .first()
            .is_some_and(|term| term.column == Some(place) && term.collation.eq_ignore_ascii_case("binary"))
    };
    table.rowid_alias == Some(place) || table.indexes.iter().any(|index| !index.is_partial && leads(index))
}

/// The column of the file's table that a condition compares with something, and whether for equality.
///
/// # Safety
/// The planner's own pointers.
unsafe fn compared_column(
    rel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
    info: *mut pg_sys::RestrictInfo,
) -> Option<(usize, bool)> {
    // SAFETY: the caller's promise; the kind of a node is looked at before it is taken for one.
    unsafe {
        let clause = (*info).clause.cast::<pg_sys::Node>();
        let (operator, arguments) = match (*clause).type_ {
            pg_sys::NodeTag::T_OpExpr => {
                let clause = clause.cast::<pg_sys::OpExpr>();
                ((*clause).opno, (*clause).args)
            }
            pg_sys::NodeTag::T_ScalarArrayOpExpr => {
                let clause = clause.cast::<pg_sys::ScalarArrayOpExpr>();
                ((*clause).opno, (*clause).args)
            }
            _ => return None,
        };
        let sides = PgList::<pg_sys::Node>::from_pg(arguments);
        let of_column = |mut side: *mut pg_sys::Node| {
            while (*side).type_ == pg_sys::NodeTag::T_RelabelType {
                side = (*side.cast::<pg_sys::RelabelType>()).arg.cast();
            }
            let var = side.cast::<pg_sys::Var>();
            let is_own = (*side).type_ == pg_sys::NodeTag::T_Var && (*var).varno as u32 == (*rel).relid;
            is_own.then(|| (*var).varattno)
        };
        let attnum = sides.iter_ptr().find_map(of_column)?;
        let column = planning.opened.definition.columns.iter().find(|c| c.attnum == attnum)?;
        let place = planning.opened.place(column)?;
        let name = pg_sys::get_opname(operator);
        let is_equality = !name.is_null() && std::ffi::CStr::from_ptr(name) == c"=";
        Some((place, is_equality))
    }
}

/// What a path costs.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Before its first row.
    pub startup: f64,
    /// In all.
    pub total: f64,
}

impl Estimate {
    /// Of a path that looks at these rows and gives so many.
    pub fn of(planning: &Planning, found: Found, rows: f64) -> Estimate {
        // SAFETY: a setting of the backend that is always valid to read.
        let unit = unsafe { pg_sys::cpu_tuple_cost };
        let width = planning.remote.columns.len() as f64;
        let search = if found.by_index { SEARCH } else { 0.0 };
        let startup = STARTUP * unit;
        let total = startup + unit * (search + found.looked_at * ROW + rows * (1.0 + width * VALUE));
        Estimate { startup, total }
    }
}
