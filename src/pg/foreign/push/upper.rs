//! Aggregates over a whole foreign table, computed by SQLite: the planner's side.
//!
//! A plan that stands on a census keeps a local aggregation beside it, for the case that a cached plan
//! outlives the census.
#![allow(unsafe_code)] // the planner's callbacks

use std::ptr;

use pgrx::{PgList, pg_guard, pg_sys};

use super::grouping::{Grouped, grouped};
use crate::pg::foreign::plan::{Planning, planning};
use crate::pg::foreign::scan_plan::{GroupedScan, ScanPlan};
use crate::pg::server::compat::{UpperPathParts, foreign_upper_path, grouping_clauses};
use crate::pg::server::error::Result;

/// By which ways what comes after scans and joins can be computed.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    _extra: *mut core::ffi::c_void,
) {
    // SAFETY: the planner's own pointers.
    unsafe { paths(root, stage, input, output).unwrap_or_else(|error| error.raise()) }
}

/// # Safety
/// As for the callback.
unsafe fn paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
) -> Result<()> {
    // SAFETY: the caller's promise. A base relation whose wrapper is ours has been planned by it before.
    unsafe {
        let query = (*root).parse;
        if (*input).reloptkind != pg_sys::RelOptKind::RELOPT_BASEREL
            || (*input).fdw_private.is_null()
            || (*input).cheapest_total_path.is_null()
            || (*query).hasTargetSRFs
            || !(*query).groupingSets.is_null()
            || !(*query).rowMarks.is_null()
        {
            return Ok(());
        }
        let (group_clause, distinct_clause) = grouping_clauses(root);
        let (clauses, target, having) = match stage {
            pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG => {
                (group_clause, (*output).reltarget, (*query).havingQual)
            }
            pg_sys::UpperRelationKind::UPPERREL_DISTINCT if !(*query).hasDistinctOn => {
                (distinct_clause, (*root).upper_targets[stage as usize], ptr::null_mut())
            }
            _ => return Ok(()),
        };
        if target.is_null() || (*target).exprs.is_null() {
            return Ok(());
        }
        let planned = planning(input);
        let Some(grouped) = grouped(root, input, &planned.remote, clauses, target, having)? else {
            return Ok(());
        };
        let rows = PgList::<pg_sys::Path>::from_pg((*output).pathlist).get_ptr(0).map_or(1.0, |p| (*p).rows);
        let input_path = (*input).cheapest_total_path;
        let outer = if grouped.needs_census {
            local_aggregation(root, input_path, output, grouped.tlist, clauses, rows)
        } else {
            ptr::null_mut()
        };
        // What SQLite reads it need not convert and hand over.
        let total_cost = (*input_path).total_cost / 2.0;
        let parts = UpperPathParts {
            rows,
            startup_cost: total_cost,
            total_cost: total_cost + rows * 0.01,
            outer,
            private: private(planned, grouped, having)?,
        };
        pg_sys::add_path(output, foreign_upper_path(root, output, target, &parts));
    }
    Ok(())
}

/// The same result by PostgreSQL.
///
/// # Safety
/// The planner's own pointers.
unsafe fn local_aggregation(
    root: *mut pg_sys::PlannerInfo,
    input: *mut pg_sys::Path,
    output: *mut pg_sys::RelOptInfo,
    tlist: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    rows: f64,
) -> *mut pg_sys::Path {
    // SAFETY: the caller's promise.
    unsafe {
        let target = pg_sys::set_pathtarget_cost_width(root, pg_sys::make_pathtarget_from_tlist(tlist));
        let strategy =
            if clauses.is_null() { pg_sys::AggStrategy::AGG_PLAIN } else { pg_sys::AggStrategy::AGG_HASHED };
        pg_sys::create_agg_path(
            root,
            output,
            input,
            target,
            strategy,
            pg_sys::AggSplit::AGGSPLIT_SIMPLE,
            clauses,
            ptr::null_mut(),
            &pg_sys::AggClauseCosts::default(),
            rows,
        )
        .cast()
    }
}

/// What the plan will need: the scan, the parameters' expressions, the columns of the result, and HAVING.
fn private(planned: &Planning, grouped: Grouped, having: *mut pg_sys::Node) -> Result<*mut pg_sys::List> {
    let opened = &planned.opened;
    let mut scan = ScanPlan::default();
    let mut parameters = PgList::<pg_sys::Expr>::new();
    for pushed in grouped.conditions {
        pushed.parameters.iter().for_each(|parameter| parameters.push(*parameter));
        scan.push(pushed);
    }
    let (selected, outputs): (Vec<String>, Vec<_>) = grouped.selected.into_iter().unzip();
    scan.stamp = grouped.needs_census.then(|| opened.stamp());
    scan.grouped = Some(GroupedScan {
        relation: opened.definition.relation,
        // A query of no columns has a row for each group all the same.
        select: if selected.is_empty() { "NULL".to_owned() } else { selected.join(", ") },
        group_by: grouped.group_by.join(", "),
        outputs,
    });
    let selection = scan.grouped_selection(opened)?.unwrap_or_default();
    scan.statement = format!("{selection} {}", scan.tail(true)).trim_end().to_owned();
    let mut all = PgList::<core::ffi::c_void>::new();
    all.push(scan.to_list()?.cast());
    all.push(parameters.into_pg().cast());
    all.push(grouped.tlist.cast());
    all.push(having.cast());
    Ok(all.into_pg())
}

/// The plan of a path that was made here.
///
/// # Safety
/// The planner's own pointers, of a path of [`get_foreign_upper_paths`].
pub unsafe fn plan(
    path: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: the caller's promise: the list has the four parts that `private` made. HAVING is a list of
    // conditions by now.
    unsafe {
        let all = (*path).fdw_private;
        let part = |at: i32| pg_sys::list_nth(all, at).cast::<pg_sys::List>();
        pg_sys::make_foreignscan(targets, part(3), 0, part(1), part(0), part(2), ptr::null_mut(), outer)
    }
}
