//! What an INSERT does to each row before it is stored, and a multi-insert does not: generated columns, CHECK
//! and NOT NULL.
#![allow(unsafe_code)] // calls PostgreSQL's executor

use pgrx::pg_sys;

unsafe extern "C-unwind" {
    /// executor/nodeModifyTable.c, which pgrx has no binding for; the same in PostgreSQL 14 to 18. Leaves a
    /// tuple of its own in the slot.
    fn ExecComputeStoredGenerated(
        result_relation: *mut pg_sys::ResultRelInfo,
        estate: *mut pg_sys::EState,
        slot: *mut pg_sys::TupleTableSlot,
        command: pg_sys::CmdType::Type,
    );
}

/// The checks of one open table.
pub(super) struct Checks {
    /// Rows have stored generated columns, which are computed before they are checked.
    pub(super) has_generated: bool,
    /// A row that breaks a constraint ends the import; else such rows are looked for afterwards.
    is_checked: bool,
    estate: *mut pg_sys::EState,
    result_relation: *mut pg_sys::ResultRelInfo,
}

impl Checks {
    /// The checks of an open relation, where it has any: generated columns, and, if `is_checked`,
    /// constraints.
    ///
    /// # Safety
    /// `relation` is open, and stays open until [`Checks::close`].
    pub(super) unsafe fn open(relation: pg_sys::Relation, is_checked: bool) -> Option<Checks> {
        // SAFETY: the caller's promise; what is made here is released by `close` or by the end of the
        // (sub)transaction.
        unsafe {
            let constraints = (*(*relation).rd_att).constr;
            let has_generated = !constraints.is_null() && (*constraints).has_generated_stored;
            let has_checks = !constraints.is_null() && (*constraints).num_check > 0;
            (is_checked && has_checks || has_generated).then(|| {
                let estate = pg_sys::CreateExecutorState();
                let result_relation = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
                pg_sys::InitResultRelInfo(result_relation, relation, 0, std::ptr::null_mut(), 0);
                Checks { has_generated, is_checked, estate, result_relation }
            })
        }
    }

    /// Computes generated columns, then raises where a CHECK constraint is false (23514) or a NOT NULL is
    /// broken (23502).
    ///
    /// # Safety
    /// `slot` holds a row of `relation`, which is the one these checks were made for.
    pub(super) unsafe fn verify(&self, relation: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the caller's promise; the executor state lives until the heap is closed.
        unsafe {
            (*slot).tts_tableOid = (*relation).rd_id;
            if self.has_generated {
                #[allow(ffi_unwind_calls)] // inside the guard
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    ExecComputeStoredGenerated(
                        self.result_relation,
                        self.estate,
                        slot,
                        pg_sys::CmdType::CMD_INSERT,
                    );
                });
            }
            if self.is_checked {
                pg_sys::ExecConstraints(self.result_relation, slot, self.estate);
            }
            crate::pg::server::compat::reset_per_tuple(self.estate);
        }
    }

    pub(super) fn close(self) {
        // SAFETY: made by `of`, released once.
        unsafe { pg_sys::FreeExecutorState(self.estate) };
    }
}
