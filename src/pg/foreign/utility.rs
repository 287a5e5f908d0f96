//! DISCARD ALL gives back what the session keeps of SQLite files.
#![allow(unsafe_code)] // stands in the chain of a hook of PostgreSQL's

use pgrx::{pg_guard, pg_sys};

use super::connection;

/// Runs a utility statement, and looks afterwards whether it was DISCARD ALL.
#[allow(clippy::too_many_arguments)] // PostgreSQL's
#[pg_guard]
pub unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const core::ffi::c_char,
    is_read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are passed on as they came, and the statement is looked at before it runs.
    unsafe {
        let node = (*statement).utilityStmt;
        let is_discard_all = !node.is_null()
            && (*node).type_ == pg_sys::NodeTag::T_DiscardStmt
            && (*node.cast::<pg_sys::DiscardStmt>()).target == pg_sys::DiscardMode::DISCARD_ALL;
        match connection::next_utility() {
            #[allow(ffi_unwind_calls)] // the boundary turns an error of PostgreSQL's into a panic of ours
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                next(statement, query, is_read_only, context, parameters, environment, receiver, completion)
            }),
            None => pg_sys::standard_ProcessUtility(
                statement,
                query,
                is_read_only,
                context,
                parameters,
                environment,
                receiver,
                completion,
            ),
        }
        if is_discard_all {
            connection::close_all();
        }
    }
}
