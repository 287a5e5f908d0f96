//! The table of callbacks.
#![allow(unsafe_code)] // makes a node of PostgreSQL's

use pgrx::{AllocatedByRust, PgBox, pg_sys};

use super::{analyze, explain, modify, plan, push, scan, schema};

/// What PostgreSQL calls for foreign tables of ours. Scans are not parallel: the snapshot is one
/// connection's, and a worker would have another one.
pub fn routine() -> pg_sys::Datum {
    // SAFETY: allocates a node of this kind, all of whose fields are NULL, in the current context.
    let mut routine =
        unsafe { PgBox::<pg_sys::FdwRoutine, AllocatedByRust>::alloc_node(pg_sys::NodeTag::T_FdwRoutine) };
    routine.GetForeignRelSize = Some(plan::get_foreign_rel_size);
    routine.GetForeignPaths = Some(plan::get_foreign_paths);
    routine.GetForeignPlan = Some(plan::get_foreign_plan);
    routine.GetForeignUpperPaths = Some(push::upper::get_foreign_upper_paths);
    routine.BeginForeignScan = Some(scan::begin_foreign_scan);
    routine.IterateForeignScan = Some(scan::iterate_foreign_scan);
    routine.ReScanForeignScan = Some(scan::rescan_foreign_scan);
    routine.EndForeignScan = Some(scan::end_foreign_scan);
    routine.ExplainForeignScan = Some(explain::explain_foreign_scan);
    routine.AnalyzeForeignTable = Some(analyze::analyze_foreign_table);
    routine.ImportForeignSchema = Some(schema::import_foreign_schema);
    routine.PlanForeignModify = Some(modify::plan_foreign_modify);
    routine.IsForeignRelUpdatable = Some(modify::is_foreign_rel_updatable);
    routine.ExecForeignInsert = Some(modify::exec_foreign_insert);
    routine.ExecForeignTruncate = Some(modify::exec_foreign_truncate);
    pg_sys::Datum::from(routine.into_pg())
}
