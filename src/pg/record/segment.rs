//! The shared memory of one run: the row of `aliaport.run` that it would leave if it failed, as JSON, and how
//! far it has come.
//!
//! It is a dynamic shared memory segment of its own, made when the run begins, so it needs no
//! `shared_preload_libraries` and a crash of the server clears it like any other. [`super::failure`] has the
//! row written; [`super::progress`] shows the rest.
#![allow(unsafe_code)] // reads and writes shared memory

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

use pgrx::pg_sys;
use serde_json::{Value as Json, json};

/// Room for what is learnt after the beginning: the error, and what the source looks like.
const ROOM: usize = 32 * 1024;
/// Bytes of an error's text that are kept.
const ERROR_BYTES: usize = 8 * 1024;
/// Says that a segment is one of ours: another session finds it by a number in `pg_locks`, which anybody can
/// put there.
const MAGIC: u64 = u64::from_be_bytes(*b"aliarun1");
/// Words of a table's name: two identifiers of 63 bytes with their quotes and the dot fit.
const NAME_WORDS: usize = 24;

thread_local! {
    /// The segments of the runs that are under way in this backend, the innermost last: a trigger of a target
    /// may import. They belong to their runs; of those that have ended nothing is left here but the entry.
    static RUNNING: RefCell<Vec<Weak<Segment>>> = const { RefCell::new(Vec::new()) };
}

/// What is at the segment's beginning; the JSON follows.
#[repr(C)]
struct Header {
    magic: u64,
    database: pg_sys::Oid,
    role: pg_sys::Oid,
    pid: i32,
    state: AtomicU32,
    capacity: u32,
    length: AtomicU32,
    live: Live,
}

/// How far a run has come. One process writes, others read at any time; single numbers may be a moment apart.
#[repr(C)]
#[derive(Default)]
pub struct Live {
    /// `run_id`.
    pub run_id: AtomicI64,
    /// When it began, in microseconds since 1970.
    pub started_at: AtomicI64,
    /// What it does, as `progress::Phase`.
    pub phase: AtomicU32,
    /// Rows of the current table, done and expected; -1 where nothing tells.
    pub rows_done: AtomicI64,
    /// See above.
    pub rows_total: AtomicI64,
    /// Rows of the tables before it, and of all tables; -1 where nothing tells.
    pub rows_before: AtomicI64,
    /// See above.
    pub rows_overall: AtomicI64,
    /// The size of the source in bytes.
    pub source_bytes: AtomicI64,
    /// Steps behind and steps of all, weighed.
    pub work_done: AtomicI64,
    /// See above.
    pub work_total: AtomicI64,
    /// The weight of the current step.
    pub work_step: AtomicI64,
    /// Odd while the name is being written.
    name_version: AtomicU32,
    name_length: AtomicU32,
    name: [AtomicU64; NAME_WORDS],
}

impl Live {
    /// Says which table is at work; an overlong name is cut.
    pub fn set_table(&self, name: &str) {
        let room = NAME_WORDS * 8;
        let length = (0..=name.len().min(room)).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
        let version = self.name_version.load(Ordering::Relaxed);
        self.name_version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, bytes) in self.name.iter().zip(name.as_bytes()[..length].chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.name_length.store(length as u32, Ordering::Relaxed);
        self.name_version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The table at work; `None` where there is none, or where it changes all the time.
    pub fn table(&self) -> Option<String> {
        for _ in 0..100 {
            let version = self.name_version.load(Ordering::Acquire);
            let mut bytes = Vec::with_capacity(NAME_WORDS * 8);
            bytes.extend(self.name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()));
            bytes.truncate(self.name_length.load(Ordering::Relaxed) as usize);
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.name_version.load(Ordering::Relaxed) == version {
                return String::from_utf8(bytes).ok().filter(|name| !name.is_empty());
            }
        }
        None
    }
}

/// How far the worker that writes the row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No worker has looked yet; the segment is pinned once one was asked for.
    Waiting = 0,
    /// A worker has read the row and taken the pin back.
    Read = 1,
    /// The row is written, or the server's log says why not.
    Settled = 2,
}

/// A segment that this process has mapped, for as long as the value lives. Without a pin and another mapping
/// it is gone then.
#[derive(Debug)]
pub struct Segment {
    segment: *mut pg_sys::dsm_segment,
    header: *mut Header,
}

impl Segment {
    /// A new one with `row` in it, for a worker of the current database. None where none can be had.
    pub fn new(row: &Json) -> Option<Rc<Self>> {
        let capacity = row.to_string().len() + ROOM;
        // SAFETY: a mapping that is pinned belongs to no resource owner, so it stays until `drop` or the end
        // of the process. The address is aligned to a page and has room for the header and the JSON.
        let new = unsafe {
            // A single-user server has no shared memory.
            if !pg_sys::IsUnderPostmaster {
                return None;
            }
            let segment = pg_sys::dsm_create(
                size_of::<Header>() + capacity,
                pg_sys::DSM_CREATE_NULL_IF_MAXSEGMENTS as i32,
            );
            if segment.is_null() {
                return None;
            }
            pg_sys::dsm_pin_mapping(segment);
            let header: *mut Header = pg_sys::dsm_segment_address(segment).cast();
            header.write(Header {
                magic: MAGIC,
                database: pg_sys::MyDatabaseId,
                role: pg_sys::GetSessionUserId(),
                pid: pg_sys::MyProcPid,
                state: AtomicU32::new(State::Waiting as u32),
                capacity: u32::try_from(capacity).unwrap_or(0),
                length: AtomicU32::new(0),
                live: Live::default(),
            });
            Rc::new(Segment { segment, header })
        };
        new.write(row);
        RUNNING.with_borrow_mut(|running| {
            running.retain(|segment| segment.strong_count() > 0);
            running.push(Rc::downgrade(&new));
        });
        Some(new)
    }

    /// The segment of the innermost run of this backend.
    pub fn current() -> Option<Rc<Self>> {
        RUNNING.with_borrow(|running| running.iter().rev().find_map(Weak::upgrade))
    }

    /// The segments of all runs of this backend, which then count as ended. Raises nothing, whenever it is
    /// called.
    pub fn take_all() -> Vec<Rc<Self>> {
        let all = RUNNING.with(|running| {
            running.try_borrow_mut().map(|mut r| std::mem::take(&mut *r)).unwrap_or_default()
        });
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Maps the segment of another process. None where it is gone or is none of ours.
    pub fn attach(handle: pg_sys::dsm_handle) -> Option<Self> {
        // SAFETY: a handle may be any number. The header is looked at only where the segment has room for
        // one. The mapping does not end before `drop`: without that it would end with the resource owner.
        unsafe {
            let segment = pg_sys::dsm_attach(handle);
            if segment.is_null() {
                return None;
            }
            pg_sys::dsm_pin_mapping(segment);
            let header: *mut Header = pg_sys::dsm_segment_address(segment).cast();
            if pg_sys::dsm_segment_map_length(segment) < size_of::<Header>() || (*header).magic != MAGIC {
                pg_sys::dsm_detach(segment);
                return None;
            }
            Some(Segment { segment, header })
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: mapped and initialised for as long as the value lives, and the reference borrows from that.
        unsafe { &*self.header }
    }

    fn text(&self) -> *mut u8 {
        // SAFETY: the JSON follows the header within the segment.
        unsafe { self.header.add(1).cast() }
    }

    /// Writes the row over what was there. A long error is cut.
    pub fn write(&self, row: &Json) {
        let mut row = row.clone();
        let mut keep = ERROR_BYTES;
        loop {
            if let Some(error) = row["error"].as_str()
                && error.len() > keep
            {
                let end = (0..=keep).rev().find(|&i| error.is_char_boundary(i)).unwrap_or(0);
                row["error"] = json!(format!("{}...", &error[..end]));
            }
            let text = row.to_string();
            if text.len() <= self.header().capacity as usize {
                // SAFETY: there is room, and nobody else reads before a worker is asked for.
                unsafe { self.text().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
                self.header().length.store(text.len() as u32, Ordering::Release);
                return;
            }
            if keep == 0 {
                return;
            }
            keep /= 2;
        }
    }

    /// The row.
    pub fn row(&self) -> Json {
        let length = self.header().length.load(Ordering::Acquire) as usize;
        // SAFETY: so many bytes were written by `write`.
        let text = unsafe { std::slice::from_raw_parts(self.text(), length) };
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// How far the run has come.
    pub fn live(&self) -> &Live {
        &self.header().live
    }

    /// The database whose history wants the row.
    pub fn database(&self) -> pg_sys::Oid {
        self.header().database
    }

    /// The session's role.
    pub fn role(&self) -> pg_sys::Oid {
        self.header().role
    }

    /// The process that imports.
    pub fn pid(&self) -> i32 {
        self.header().pid
    }

    /// How far the worker has come.
    pub fn state(&self) -> State {
        match self.header().state.load(Ordering::Acquire) {
            0 => State::Waiting,
            1 => State::Read,
            _ => State::Settled,
        }
    }

    /// Says how far the worker has come.
    pub fn set_state(&self, state: State) {
        self.header().state.store(state as u32, Ordering::Release);
    }

    /// What another process attaches by.
    pub fn handle(&self) -> pg_sys::dsm_handle {
        // SAFETY: mapped.
        unsafe { pg_sys::dsm_segment_handle(self.segment) }
    }

    /// Keeps the segment when this process goes.
    pub fn pin(&self) {
        // SAFETY: mapped, and pinned once.
        unsafe { pg_sys::dsm_pin_segment(self.segment) }
    }

    /// Takes [`Segment::pin`] back, in whichever process.
    pub fn unpin(&self) {
        // SAFETY: mapped, and pinned.
        unsafe { pg_sys::dsm_unpin_segment(self.handle()) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` or `attach`, and nobody has a reference into it any more. A value that is
        // still there when the process ends is on a stack that is never unwound, so this does not come after
        // PostgreSQL has detached everything.
        unsafe { pg_sys::dsm_detach(self.segment) }
    }
}
