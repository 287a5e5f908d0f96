//! A Rust value that a PostgreSQL memory context owns.
//!
//! `pg_terminate_backend` ends a backend without unwinding the Rust stack, so whatever holds a file or a lock
//! must not rely on `Drop` alone. A [`Held`] value hangs on a memory context below the transaction's: it is
//! dropped when the handle goes out of scope (return, error, cancel) or else when the context is deleted
//! (termination), and only once.
#![allow(unsafe_code)] // hands ownership of one allocation to a memory context's reset callback

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;

use super::in_sqlite;

/// Owns a `T` through a memory context of its own below `TopTransactionContext`.
///
/// `'static`, because the context may drop the value long after what it borrowed is gone.
pub struct Held<T: 'static> {
    context: pg_sys::MemoryContext,
    value: *mut Kept<T>,
}

/// What is dropped, unless a thread that the ending process could not stop may still be using it.
struct Kept<T>(ManuallyDrop<T>);

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if !in_sqlite::is_lost() {
            // SAFETY: dropped once, here; nobody has the value any more.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

impl<T: 'static> Held<T> {
    /// Moves `value` under the current transaction. Must run inside a transaction (every SQL function does).
    pub fn new(value: T) -> Self {
        // SAFETY: TopTransactionContext exists while a function runs; the new context is a child of it, so it
        // cannot outlive the transaction. The name is a static C string, as the call requires.
        let context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopTransactionContext,
                c"aliaport_import source".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            )
        };
        let value = PgMemoryContexts::For(context).leak_and_drop_on_delete(Kept(ManuallyDrop::new(value)));
        Held { context, value }
    }
}

impl<T: 'static> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `value` was made by `new` and is dropped only by the deletion of `context`: by our `drop`,
        // after which no handle exists, or by the end of the transaction, which no Rust frame that holds a
        // handle survives.
        unsafe { &(*self.value).0 }
    }
}

impl<T: 'static> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the handle is borrowed exclusively and is the only one.
        unsafe { &mut (*self.value).0 }
    }
}

impl<T: 'static> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: the context is ours and alive (see `deref`), nothing else allocates in it, and it is never
        // current.
        unsafe { pg_sys::MemoryContextDelete(self.context) }
    }
}
