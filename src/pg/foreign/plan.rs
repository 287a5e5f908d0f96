//! The planner's side: how many rows, by which ways, and what SQLite is asked in each.
#![allow(unsafe_code)] // the planner's callbacks

use std::ptr;

use aliaport_rows::row::OnError;
use aliaport_sqlite::Selection;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::{PgList, pg_guard, pg_sys};

use super::column::Remote;
use super::cost::{self, Estimate};
use super::error::of_query;
use super::push;
use super::remote::{self, Opened};
use super::scan_plan::{self, ScanPlan};
use crate::pg::server::compat::{ForeignPathParts, foreign_path};
use crate::pg::server::error::Result;

/// Conditions that one statement has at most.
const MOST_CONDITIONS: usize = 100;

/// What is found out once and used for every path. The planner's memory owns it.
pub struct Planning {
    /// The foreign table, with its file.
    pub opened: Opened,
    /// What is known of its columns.
    pub remote: Remote,
    /// How many rows it has.
    pub tuples: f64,
    /// The columns that the query needs, but for those that only conditions of a path need.
    attributes: Vec<i16>,
    /// What SQLite decides of the conditions on this table alone.
    conditions: Vec<*mut pg_sys::RestrictInfo>,
    /// A generated column is read whose expression may fail on a row without ending the query: only the
    /// reader of an import goes on behind such a row.
    may_fail: bool,
}

impl Planning {
    /// What SQLite may decide of a condition.
    ///
    /// # Safety
    /// As for [`push::condition`].
    unsafe fn condition(
        &self,
        root: *mut pg_sys::PlannerInfo,
        rel: *mut pg_sys::RelOptInfo,
        clause: *mut pg_sys::Expr,
        first: usize,
    ) -> Result<std::result::Result<push::Pushed, push::Local>> {
        if self.may_fail {
            return Ok(Err(push::Local::ReadsGenerated));
        }
        // SAFETY: the caller's promise.
        unsafe { push::condition(root, rel, &self.remote, clause, first) }
    }
}

/// What is known of the table, for callbacks after the first.
///
/// # Safety
/// The relation is one that [`get_foreign_rel_size`] was called for in this planning.
pub unsafe fn planning<'a>(rel: *mut pg_sys::RelOptInfo) -> &'a Planning {
    // SAFETY: the caller's promise; the value lives as long as the planning.
    unsafe { &*(*rel).fdw_private.cast::<Planning>() }
}

/// How many rows.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relation: pg_sys::Oid,
) {
    // SAFETY: the planner's own pointers.
    unsafe { size(root, rel, relation).unwrap_or_else(|error| error.raise()) }
}

/// # Safety
/// As for the callback.
unsafe fn size(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relation: pg_sys::Oid,
) -> Result<()> {
    let opened = remote::open(relation)?;
    let remote = opened.remote()?;
    let tuples = cost::tuples(&opened)?;
    // SAFETY: the caller's promise.
    unsafe {
        let mut used = ptr::null_mut();
        let relid = (*rel).relid;
        pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), relid, &mut used);
        for info in PgList::<pg_sys::RestrictInfo>::from_pg((*rel).baserestrictinfo).iter_ptr() {
            pg_sys::pull_varattnos((*info).clause.cast(), relid, &mut used);
        }
        let attributes = attributes(&opened, used);
        let is_generated = |attnum| remote.column(attnum).is_some_and(|column| column.is_generated);
        let may_fail = remote.on_error != OnError::Abort
            && opened.columns_for(&attributes).iter().any(|column| is_generated(column.attnum));
        let mut planning = Planning { opened, remote, tuples, attributes, conditions: Vec::new(), may_fail };
        for info in PgList::<pg_sys::RestrictInfo>::from_pg((*rel).baserestrictinfo).iter_ptr() {
            if planning.condition(root, rel, info.cast(), 1)?.is_ok() {
                planning.conditions.push(info);
            }
        }
        (*rel).tuples = tuples;
        pg_sys::set_baserel_size_estimates(root, rel);
        // A key that the file declares, of which PostgreSQL knows nothing.
        let most = cost::look_up(root, rel, &planning, &planning.conditions).most_rows;
        (*rel).rows = (*rel).rows.min(most).max(1.0);
        let mut context = PgMemoryContexts::For(pg_sys::CurrentMemoryContext);
        (*rel).fdw_private = context.leak_and_drop_on_delete(planning).cast();
    }
    Ok(())
}

/// The attribute numbers in a set as `pull_varattnos` makes it.
///
/// # Safety
/// The set is valid.
unsafe fn attributes(opened: &Opened, set: *mut pg_sys::Bitmapset) -> Vec<i16> {
    let first = pg_sys::FirstLowInvalidHeapAttributeNumber;
    // SAFETY: the caller's promise.
    let has = |attnum: i32| unsafe { pg_sys::bms_is_member(attnum - first, set) };
    // 0 stands for the whole row.
    let is_whole = has(0);
    let all = opened.definition.columns.iter().map(|column| column.attnum);
    all.filter(|attnum| is_whole || has(i32::from(*attnum))).collect()
}

/// By which ways the rows can be read.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _relation: pg_sys::Oid,
) {
    // SAFETY: the planner's own pointers; `get_foreign_rel_size` came before.
    unsafe { paths(root, rel).unwrap_or_else(|error| error.raise()) }
}

/// # Safety
/// As for the callback.
unsafe fn paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let planning = planning(rel);
        let found = cost::look_up(root, rel, planning, &planning.conditions);
        let estimate = Estimate::of(planning, found, (*rel).rows);
        let parts = ForeignPathParts {
            rows: (*rel).rows,
            startup_cost: estimate.startup,
            total_cost: estimate.total,
            pathkeys: ptr::null_mut(),
            required_outer: (*rel).lateral_relids,
            private: ptr::null_mut(),
        };
        pg_sys::add_path(rel, foreign_path(root, rel, &parts));
        in_order(root, rel, planning, &parts)?;
        by_parameters(root, rel, planning)
    }
}

/// A path in the order that the query asks for, where an index of SQLite has it. Sorting is done as well here
/// as there.
///
/// # Safety
/// As for the callback.
unsafe fn in_order(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
    unordered: &ForeignPathParts,
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let pathkeys = (*root).query_pathkeys;
        if planning.may_fail {
            return Ok(());
        }
        let Some(ordered) = push::order::order(rel, &planning.remote, pathkeys)? else { return Ok(()) };
        let column = planning.opened.definition.columns.iter().find(|c| c.attnum == ordered.leading);
        let Some(place) = column.and_then(|column| planning.opened.place(column)) else { return Ok(()) };
        if !cost::has_order(planning, place) {
            return Ok(());
        }
        let parts = ForeignPathParts {
            // By way of the index each row is looked for.
            total_cost: unordered.total_cost * 2.0,
            pathkeys,
            private: scan_plan::order_to_list(&ordered.sql, ordered.needs_census)?,
            rows: unordered.rows,
            startup_cost: unordered.startup_cost,
            required_outer: unordered.required_outer,
        };
        pg_sys::add_path(rel, foreign_path(root, rel, &parts));
    }
    Ok(())
}

/// What decides whether a member of an equivalence class is looked for.
struct Sought {
    /// Members that were found before.
    done: Vec<*mut pg_sys::Expr>,
    /// The member at hand.
    current: *mut pg_sys::Expr,
}

#[pg_guard]
unsafe extern "C-unwind" fn is_sought(
    _root: *mut pg_sys::PlannerInfo,
    _rel: *mut pg_sys::RelOptInfo,
    _class: *mut pg_sys::EquivalenceClass,
    member: *mut pg_sys::EquivalenceMember,
    argument: *mut core::ffi::c_void,
) -> bool {
    // SAFETY: the argument is that of `by_parameters`; expressions are the planner's.
    unsafe {
        let sought = &mut *argument.cast::<Sought>();
        let expression = (*member).em_expr;
        if !sought.current.is_null() {
            return pg_sys::equal(expression.cast(), sought.current.cast());
        }
        if sought.done.iter().any(|done| pg_sys::equal(expression.cast(), done.cast())) {
            return false;
        }
        sought.current = expression;
        true
    }
}

/// Paths that are given the values of other tables' columns, one row of them after the other: where SQLite
/// finds the rows by a key or an index.
///
/// # Safety
/// As for the callback.
unsafe fn by_parameters(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
) -> Result<()> {
    let mut clauses: Vec<*mut pg_sys::RestrictInfo> = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        for info in PgList::<pg_sys::RestrictInfo>::from_pg((*rel).joininfo).iter_ptr() {
            if pg_sys::join_clause_is_movable_to(info, rel) {
                clauses.push(info);
            }
        }
        if (*rel).has_eclass_joins {
            let mut sought = Sought { done: Vec::new(), current: ptr::null_mut() };
            loop {
                sought.current = ptr::null_mut();
                let found = pg_sys::generate_implied_equalities_for_column(
                    root,
                    rel,
                    Some(is_sought),
                    (&raw mut sought).cast(),
                    (*rel).lateral_referencers,
                );
                if sought.current.is_null() {
                    break;
                }
                let found = PgList::<pg_sys::RestrictInfo>::from_pg(found);
                clauses.extend(found.iter_ptr().filter(|info| pg_sys::join_clause_is_movable_to(*info, rel)));
                sought.done.push(sought.current);
            }
        }
        let mut known: Vec<*mut pg_sys::ParamPathInfo> = Vec::new();
        for info in clauses {
            let outer = pg_sys::bms_union((*info).clause_relids, (*rel).lateral_relids);
            let outer = pg_sys::bms_del_member(outer, (*rel).relid as i32);
            if pg_sys::bms_num_members(outer) == 0 || planning.condition(root, rel, info.cast(), 1)?.is_err()
            {
                continue;
            }
            let param = pg_sys::get_baserel_parampathinfo(root, rel, outer);
            if known.contains(&param) {
                continue;
            }
            known.push(param);
            let mut pushed = planning.conditions.clone();
            for info in PgList::<pg_sys::RestrictInfo>::from_pg((*param).ppi_clauses).iter_ptr() {
                if planning.condition(root, rel, info.cast(), 1)?.is_ok() {
                    pushed.push(info);
                }
            }
            let found = cost::look_up(root, rel, planning, &pushed);
            // Without an index each row of the others would read all of this one.
            if !found.by_index {
                continue;
            }
            let rows = (*param).ppi_rows.min(found.most_rows).max(1.0);
            let estimate = Estimate::of(planning, found, rows);
            let parts = ForeignPathParts {
                rows,
                startup_cost: estimate.startup,
                total_cost: estimate.total,
                pathkeys: ptr::null_mut(),
                required_outer: (*param).ppi_req_outer,
                private: ptr::null_mut(),
            };
            pg_sys::add_path(rel, foreign_path(root, rel, &parts));
        }
    }
    Ok(())
}

/// The plan of the path that was chosen.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _relation: pg_sys::Oid,
    path: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: the planner's own pointers; `get_foreign_rel_size` came before.
    unsafe {
        if (*rel).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL {
            return push::upper::plan(path, targets, outer);
        }
        plan(root, rel, path, targets, clauses, outer).unwrap_or_else(|error| error.raise())
    }
}

/// # Safety
/// As for the callback.
unsafe fn plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> Result<*mut pg_sys::ForeignScan> {
    // SAFETY: the caller's promise.
    unsafe {
        let planning = planning(rel);
        let Planning { opened, attributes: needed, .. } = planning;
        let mut scan = ScanPlan::default();
        let mut parameters = PgList::<pg_sys::Expr>::new();
        let mut used = ptr::null_mut();
        let mut needs_census = false;
        if !(*path).fdw_private.is_null() {
            let (order, is_by_census) = scan_plan::order_from_list((*path).fdw_private)?;
            scan.order = Some(order);
            needs_census |= is_by_census;
        }
        let mut local = PgList::<pg_sys::Expr>::new();
        for info in PgList::<pg_sys::RestrictInfo>::from_pg(clauses).iter_ptr() {
            // Those that do not depend on the row are the business of a node above.
            if (*info).pseudoconstant {
                continue;
            }
            let clause = (*info).clause;
            pg_sys::pull_varattnos(clause.cast(), (*rel).relid, &mut used);
            local.push(clause);
            match planning.condition(root, rel, clause, parameters.len() + 1)? {
                // SQLite bounds how deep an expression is.
                Ok(_) if scan.conditions.len() >= MOST_CONDITIONS => {
                    scan.reasons.push(Some(format!("SQLite is given {MOST_CONDITIONS} conditions at most")));
                }
                Ok(pushed) => {
                    needs_census |= pushed.needs_census;
                    pushed.parameters.iter().for_each(|parameter| parameters.push(*parameter));
                    scan.push(pushed);
                    scan.reasons.push(None);
                }
                Err(reason) => scan.reasons.push(Some(reason.to_string())),
            }
        }
        scan.attributes = attributes(opened, used);
        scan.attributes
            .extend(needed.iter().filter(|n| !scan.attributes.contains(n)).copied().collect::<Vec<_>>());
        scan.attributes.sort_unstable();
        scan.stamp = needs_census.then(|| opened.stamp());
        scan.statement = statement(opened, &scan)?;
        Ok(pg_sys::make_foreignscan(
            targets,
            local.into_pg(),
            (*rel).relid,
            parameters.into_pg(),
            scan.to_list()?,
            ptr::null_mut(),
            ptr::null_mut(),
            outer,
        ))
    }
}

/// The statement as EXPLAIN shows it.
fn statement(opened: &Opened, scan: &ScanPlan) -> Result<String> {
    let columns = opened.columns_for(&scan.attributes);
    let columns = columns.iter().map(|column| opened.required_place(column)).collect::<Result<Vec<_>>>()?;
    let table = &opened.file_table.table;
    let selection = Selection::new(opened.source(), table, &columns).map_err(of_query)?;
    Ok(format!("{} {}", selection.sql, scan.tail(true)).trim_end().to_owned())
}
