//! What EXPLAIN shows of a scan: SQLite's statement, and which conditions stay in PostgreSQL, and why.
#![allow(unsafe_code)] // the callback of EXPLAIN

use std::ffi::{CStr, CString};

use pgrx::{PgList, pg_guard, pg_sys};

use super::scan_plan::ScanPlan;
use crate::pg::server::error::{Result, unexpected};

/// Adds the lines.
#[pg_guard]
pub unsafe extern "C-unwind" fn explain_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    explain: *mut pg_sys::ExplainState,
) {
    // SAFETY: the node and its plan are the executor's, the plan is ours.
    unsafe { lines(node, explain).unwrap_or_else(|error| error.raise()) }
}

/// # Safety
/// As for the callback.
unsafe fn lines(node: *mut pg_sys::ForeignScanState, explain: *mut pg_sys::ExplainState) -> Result<()> {
    // SAFETY: the caller's promise. The conditions of a plan stand in the order in which they were given
    // their reasons, and are deparsed as EXPLAIN does it for its own lines.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let scan = ScanPlan::from_list((*plan).fdw_private)?;
        property(c"SQLite", &scan.statement, explain)?;
        let context =
            pg_sys::set_deparse_context_plan((*explain).deparse_cxt, plan.cast(), std::ptr::null_mut());
        let conditions = PgList::<pg_sys::Node>::from_pg((*plan).scan.plan.qual);
        for (condition, reason) in conditions.iter_ptr().zip(&scan.reasons) {
            let Some(reason) = reason else { continue };
            let text = pg_sys::deparse_expression(condition, context, (*explain).verbose, false);
            let text = CStr::from_ptr(text).to_string_lossy();
            property(c"Stays Local", &format!("{text}: {reason}"), explain)?;
        }
        Ok(())
    }
}

/// # Safety
/// EXPLAIN is under way.
unsafe fn property(label: &CStr, text: &str, explain: *mut pg_sys::ExplainState) -> Result<()> {
    let text = CString::new(text).map_err(unexpected)?;
    // SAFETY: the caller's promise; the texts are copied.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), text.as_ptr(), explain) };
    Ok(())
}
