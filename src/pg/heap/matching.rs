//! Which rows that are being loaded are in a table already, exactly as they are? In mode sync only the others
//! need to be staged.
//!
//! Rows of the source meet the rows of the table in the order in which its heap has them: as an earlier run
//! wrote them, which is the order of the source. So the next row of the source is nearly always the next
//! row of the heap. Where it is not, the row is looked up by its key, and the walk goes on behind the row
//! that was found. This costs one pass over the heap and one look-up for each row that is elsewhere,
//! whatever the type of the key is and in whatever order the source is read, and it takes memory only for
//! pages with rows that have not been met.
//!
//! A row is the same where every column has the same stored image. What remains are the places of the rows
//! that differ or that nothing in the source corresponds to.
#![allow(unsafe_code)] // reads pages and searches an index of a table that is locked against writers

use std::collections::HashMap;
use std::ops::Range;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::tuple::deform::{Deformer, Stored};
use aliaport_rows::tuple::{Attribute, Images};
use aliaport_rows::value::Cell;
use pgrx::pg_sys;

use super::datum::{self, Arena};
use super::readback::{RowPlace, is_same_tuple, span_of};
use super::relation::{self, Column};
use crate::pg::server::error::{Result, unexpected};
use crate::pg::server::{compat, interrupt};

/// Bytes of a page.
const PAGE: usize = pg_sys::BLCKSZ as usize;
/// Tuples of a page at most (`MaxHeapTuplesPerPage` of the largest page), in words of bits.
const WORDS: usize = PAGE.div_ceil(28 * 64);
/// Places that are handed over at once.
const PLACES: usize = 16 << 10;

/// What receives places.
type Keep = Box<dyn FnMut(&[RowPlace]) -> Result<()>>;

/// A bit for each tuple of a page.
type Bits = [u64; WORDS];

unsafe extern "C-unwind" {
    /// access/heapam.h, without pgrx's guard: for loops inside one.
    fn HeapTupleSatisfiesVisibility(
        tuple: pg_sys::HeapTuple,
        snapshot: pg_sys::Snapshot,
        buffer: pg_sys::Buffer,
    ) -> bool;
}

/// Meets the rows of one table.
pub struct Matcher {
    types: Vec<PgType>,
    columns: Vec<Column>,
    /// Of the tuples that come in, once there are any.
    deformer: Option<Deformer>,
    /// They have the table's attributes in the table's order, so that equal bytes are equal values.
    is_alike: bool,
    table: Table,
    search: Search,
    walk: Walk,
    /// What detoasting and keys take.
    context: pg_sys::MemoryContext,
    /// Places of rows that differ, or that the source does not have.
    others: Vec<RowPlace>,
    /// Receives them.
    keep: Keep,
    /// Rows that are the same.
    same: u64,
    /// A key came twice, or one that cannot be looked up.
    is_ambiguous: bool,
}

/// The table, open.
struct Table {
    relation: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    strategy: pg_sys::BufferAccessStrategy,
    /// Holds a tuple of the page that is at hand.
    slot: *mut pg_sys::TupleTableSlot,
    blocks: pg_sys::BlockNumber,
}

/// Looks rows up by their key.
struct Search {
    index: pg_sys::Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    keys: Vec<pg_sys::ScanKeyData>,
    /// The plan's columns in the order of the index.
    columns: Vec<usize>,
    arena: Arena,
}

/// Where the walk through the heap is.
struct Walk {
    /// A copy of the page at hand, so that no other process writes to it. Words, because tuples are aligned.
    page: Vec<u64>,
    block: Option<pg_sys::BlockNumber>,
    /// Its tuples that had not been met when it was read: number and place.
    tuples: Vec<(u16, Range<usize>)>,
    /// The next of them.
    next: usize,
    /// Those that have still not been met.
    unmet: Bits,
    /// The same of other pages that were looked at; none where nothing is left.
    left: HashMap<pg_sys::BlockNumber, Bits>,
    /// A bit for each page that was looked at.
    seen: Vec<u64>,
}

/// What two rows have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alike {
    No,
    Key,
    Whole,
}

impl Matcher {
    /// For the rows of the table `oid`, which the caller has locked against writers. `key` are the columns
    /// by which rows are told apart, in the order of the unique index `index`. `keep` receives the places
    /// of rows that are not in the source as they are.
    pub fn new(
        oid: pg_sys::Oid,
        plan: &TablePlan,
        index: pg_sys::Oid,
        key: &[String],
        keep: Keep,
    ) -> Result<Self> {
        let position = |name: &String| plan.columns.iter().position(|c| c.target == *name);
        let key: Option<Vec<usize>> = key.iter().map(position).collect();
        let key = key.ok_or_else(|| unexpected("key column that the source does not fill"))?;
        // SAFETY: both relations exist and are locked; everything that is opened here is closed by `finish`
        // or, on an error, by the end of the (sub)transaction. Reading begins with a scan that notes for
        // SERIALIZABLE that the table is read.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let open = pg_sys::table_open(oid, lock);
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot());
            let noted = pg_sys::table_beginscan(open, snapshot, 0, std::ptr::null_mut());
            pg_sys::table_endscan(noted);
            let main = pg_sys::ForkNumber::MAIN_FORKNUM;
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(open, main);
            // As a sequential scan does: a large table must not push everything else out.
            let is_large = i64::from(blocks) > i64::from(pg_sys::NBuffers) / 4;
            let strategy = match is_large {
                true => pg_sys::GetAccessStrategy(pg_sys::BufferAccessStrategyType::BAS_BULKREAD),
                false => std::ptr::null_mut(),
            };
            let columns = relation::columns(open, plan)?;
            let slot = pg_sys::MakeSingleTupleTableSlot((*open).rd_att, &raw const pg_sys::TTSOpsHeapTuple);
            let table = Table { relation: open, snapshot, strategy, slot, blocks };
            let search = Search::open(&table, index, key)?;
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import matching".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            Ok(Matcher {
                types: plan.columns.iter().map(|c| c.pg_type.clone()).collect(),
                columns,
                deformer: None,
                is_alike: false,
                walk: Walk::new(blocks),
                table,
                search,
                context,
                others: Vec::new(),
                keep,
                same: 0,
                is_ambiguous: false,
            })
        }
    }

    /// Says how the rows are formed that will come: for a table with these attributes, of which the plan's
    /// columns are at `positions`.
    pub fn begin(&mut self, attributes: &[Attribute], positions: &[usize]) {
        // SAFETY: the relation is open.
        let stored = unsafe { relation::attributes(self.table.relation) };
        self.is_alike = positions.iter().copied().eq(0..attributes.len())
            && self.columns.iter().map(|c| c.index).eq(0..attributes.len())
            && stored.starts_with(attributes);
        self.deformer = Some(Deformer::new(attributes, positions.iter().copied().zip(&self.types)));
    }

    /// Takes the rows out of `images` that the table has already.
    pub fn leave_out(&mut self, images: &mut Images) -> Result<()> {
        let Some(deformer) = self.deformer.take() else { return Ok(()) };
        let mut failure = Ok(());
        images.retain(|image| {
            if failure.is_err() || self.is_ambiguous {
                return true;
            }
            match self.is_there(image, &deformer) {
                Ok(is_there) => !is_there,
                Err(error) => {
                    failure = Err(error);
                    true
                }
            }
        });
        self.deformer = Some(deformer);
        // SAFETY: nothing of what the rows took is used any more.
        unsafe { pg_sys::MemoryContextReset(self.context) };
        self.search.arena.reset();
        failure?;
        self.hand_over(PLACES)
    }

    /// Whether rows have come that were looked at: the load forms no tuples where a type has only its own
    /// input function.
    pub fn has_begun(&self) -> bool {
        self.deformer.is_some()
    }

    /// Whether two rows of the source have one key, or a row has none, so that rows were left out that are
    /// needed.
    pub fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Whether the table has just this row.
    fn is_there(&mut self, image: &[u8], deformer: &Deformer) -> Result<bool> {
        let at_hand = self.walk.at_hand(&self.table);
        if let Some((number, span)) = &at_hand
            && self.is_alike
            && is_same_tuple(image, self.walk.bytes(span))
        {
            self.walk.meet(*number);
            self.same += 1;
            return Ok(true);
        }
        let mut cells = Vec::with_capacity(self.types.len());
        deformer
            .deform(image, |_, stored| {
                cells.push(match stored {
                    Stored::Cell(cell) => cell,
                    Stored::Toasted(_) => Cell::Null,
                });
            })
            .map_err(|_| unexpected("shape of a formed tuple"))?;
        if let Some((number, span)) = at_hand {
            self.table.store(self.walk.bytes(&span), self.walk.block.unwrap_or(0), number);
            // SAFETY: the slot holds a tuple of the table; the copy of its page stays until it is compared.
            let alike = unsafe { self.compare(&cells, self.table.slot) };
            if alike != Alike::No {
                self.walk.meet(number);
                return Ok(self.note(alike, (self.walk.block.unwrap_or(0), number)));
            }
        }
        let Some(place) = self.search.find(&cells, &mut self.is_ambiguous) else { return Ok(false) };
        if !self.walk.go_to(&self.table, place) {
            self.is_ambiguous = true;
            return Ok(false);
        }
        // SAFETY: the index scan's slot holds the row that it has just found.
        let alike = unsafe { self.compare(&cells, self.search.slot) };
        Ok(self.note(alike, place))
    }

    /// Notes a row of the table that has the key of a row of the source; whether it is that row.
    fn note(&mut self, alike: Alike, place: RowPlace) -> bool {
        if alike == Alike::Whole {
            self.same += 1;
            return true;
        }
        self.others.push(place);
        false
    }

    /// Compares a row of the source with one of the table.
    ///
    /// # Safety
    /// `slot` holds a row of the table.
    unsafe fn compare(&self, cells: &[Cell<'_>], slot: *mut pg_sys::TupleTableSlot) -> Alike {
        // SAFETY: the caller's promise; the slot is taken apart first, so that both arrays have an entry
        // for each attribute. What is detoasted lives in the context until the batch ends, and is compared
        // before.
        unsafe {
            pg_sys::slot_getallattrs(slot);
            let outer = pg_sys::MemoryContextSwitchTo(self.context);
            let is_same = |column: usize| {
                let (Some(at), Some(pg_type), Some(cell)) =
                    (self.columns.get(column), self.types.get(column), cells.get(column))
                else {
                    return false;
                };
                let stored = match *(*slot).tts_isnull.add(at.index) {
                    true => Cell::Null,
                    false => datum::to_cell(*(*slot).tts_values.add(at.index), pg_type.storage()),
                };
                is_same_cell(cell, &stored)
            };
            let alike = match self.search.columns.iter().all(|column| is_same(*column)) {
                false => Alike::No,
                true if (0..self.columns.len()).all(is_same) => Alike::Whole,
                true => Alike::Key,
            };
            pg_sys::MemoryContextSwitchTo(outer);
            if (*self.context).mem_allocated > MEMORY {
                pg_sys::MemoryContextReset(self.context);
            }
            alike
        }
    }

    /// Hands the places over that were found, where there are so many.
    fn hand_over(&mut self, enough: usize) -> Result<()> {
        if self.others.len() < enough.max(1) {
            return Ok(());
        }
        let keep = &mut *self.keep;
        self.others.chunks(PLACES).try_for_each(keep)?;
        self.others.clear();
        Ok(())
    }

    /// Looks at the pages that the walk has not come to, and closes the table. Gives the number of rows that
    /// are the same.
    pub fn finish(mut self) -> Result<u64> {
        self.walk.leave();
        for block in 0..self.table.blocks {
            if self.is_ambiguous || !self.has_begun() {
                break;
            }
            let unmet = match self.walk.is_seen(block) {
                true => self.walk.left.remove(&block),
                false => {
                    interrupt::check();
                    self.walk.read(&self.table, block);
                    self.walk.block = None;
                    Some(self.walk.unmet)
                }
            };
            if let Some(unmet) = unmet {
                self.others.extend(numbers(&unmet).map(|number| (block, number)));
                self.hand_over(PLACES)?;
            }
        }
        self.hand_over(1)?;
        // SAFETY: everything was opened by `new` and is closed once; the lock is kept until the transaction
        // ends.
        unsafe {
            self.search.close();
            pg_sys::ExecDropSingleTupleTableSlot(self.table.slot);
            if !self.table.strategy.is_null() {
                pg_sys::FreeAccessStrategy(self.table.strategy);
            }
            pg_sys::UnregisterSnapshot(self.table.snapshot);
            pg_sys::table_close(self.table.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            pg_sys::MemoryContextDelete(self.context);
        }
        Ok(self.same)
    }
}

/// Bytes that detoasting may take before they are freed.
const MEMORY: pg_sys::Size = 16 << 20;

/// Whether two cells have the same stored image.
fn is_same_cell(one: &Cell<'_>, other: &Cell<'_>) -> bool {
    match (one, other) {
        // -0 is not 0, and a NaN is itself.
        (Cell::Float4(a), Cell::Float4(b)) => a.to_bits() == b.to_bits(),
        (Cell::Float8(a), Cell::Float8(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// The numbers of the tuples whose bits are set.
fn numbers(bits: &Bits) -> impl Iterator<Item = u16> {
    let bits = *bits;
    (1..=u16::try_from(WORDS * 64).unwrap_or(u16::MAX)).filter(move |number| has(&bits, *number))
}

/// The word and the bit of a tuple's number, which begins at 1.
fn bit(number: u16) -> (usize, u64) {
    let at = usize::from(number).saturating_sub(1);
    (at / 64, 1 << (at % 64))
}

fn has(bits: &Bits, number: u16) -> bool {
    let (word, bit) = bit(number);
    bits.get(word).is_some_and(|word| word & bit != 0)
}

fn set(bits: &mut Bits, number: u16) {
    let (word, bit) = bit(number);
    if let Some(word) = bits.get_mut(word) {
        *word |= bit;
    }
}

fn clear(bits: &mut Bits, number: u16) {
    let (word, bit) = bit(number);
    if let Some(word) = bits.get_mut(word) {
        *word &= !bit;
    }
}

impl Table {
    /// Puts a tuple of this table into the slot, without a copy.
    fn store(&mut self, tuple: &[u8], block: pg_sys::BlockNumber, number: u16) {
        // SAFETY: the bytes are a whole tuple of this table at an aligned address, which stay until the next
        // one is stored. The slot does not own the header, which is copied into its own by the call's slot
        // kind: a heap tuple slot keeps the pointer only until it is taken apart, which happens before this
        // memory is gone.
        unsafe {
            let header = pg_sys::palloc0(size_of::<pg_sys::HeapTupleData>()).cast::<pg_sys::HeapTupleData>();
            (*header).t_len = tuple.len() as u32;
            (*header).t_self = item_pointer(block, number);
            (*header).t_tableOid = (*self.relation).rd_id;
            (*header).t_data = tuple.as_ptr().cast_mut().cast();
            // The slot frees the header with the next tuple.
            pg_sys::ExecStoreHeapTuple(header, self.slot, true);
        }
    }
}

fn item_pointer(block: pg_sys::BlockNumber, number: u16) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 },
        ip_posid: number,
    }
}

impl Search {
    /// # Safety
    /// The table is open, and the index is one of its own.
    unsafe fn open(table: &Table, index: pg_sys::Oid, columns: Vec<usize>) -> Result<Self> {
        // SAFETY: the caller's promise; an index has an entry in these arrays for each of its columns.
        unsafe {
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            let mut keys = vec![pg_sys::ScanKeyData::default(); columns.len()];
            for (n, key) in keys.iter_mut().enumerate() {
                let family = *(*index).rd_opfamily.add(n);
                let of = *(*index).rd_opcintype.add(n);
                let strategy = pg_sys::BTEqualStrategyNumber as i16;
                let operator = pg_sys::get_opfamily_member(family, of, of, strategy);
                if operator == pg_sys::InvalidOid {
                    return Err(unexpected("absence of an index's operator"));
                }
                pg_sys::ScanKeyEntryInitialize(
                    key,
                    0,
                    (n + 1) as i16,
                    strategy as u16,
                    of,
                    *(*index).rd_indcollation.add(n),
                    pg_sys::get_opcode(operator),
                    pg_sys::Datum::null(),
                );
            }
            let scan = compat::index_beginscan(table.relation, index, table.snapshot, keys.len() as i32);
            let slot = pg_sys::table_slot_create(table.relation, std::ptr::null_mut());
            Ok(Search { index, scan, slot, keys, columns, arena: Arena::default() })
        }
    }

    /// The place of the row with the key of these cells, which is in the slot then.
    fn find(&mut self, cells: &[Cell<'_>], is_ambiguous: &mut bool) -> Option<RowPlace> {
        for (key, column) in self.keys.iter_mut().zip(&self.columns) {
            let Some(datum) = cells.get(*column).and_then(|cell| datum::to_datum(cell, &mut self.arena))
            else {
                *is_ambiguous = true;
                return None;
            };
            key.sk_argument = datum;
        }
        // SAFETY: the scan is open, and the keys' values live in the arena until the batch ends.
        unsafe {
            let count = self.keys.len() as i32;
            pg_sys::index_rescan(self.scan, self.keys.as_mut_ptr(), count, std::ptr::null_mut(), 0);
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            if !pg_sys::index_getnext_slot(self.scan, forward, self.slot) {
                return None;
            }
            let tid = (*self.slot).tts_tid;
            Some(((u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid))
        }
    }

    /// # Safety
    /// It is closed once.
    unsafe fn close(&self) {
        // SAFETY: opened by `open`.
        unsafe {
            pg_sys::index_endscan(self.scan);
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::index_close(self.index, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}

impl Walk {
    fn new(blocks: pg_sys::BlockNumber) -> Self {
        let mut walk = Walk {
            page: vec![0; PAGE / 8],
            block: None,
            tuples: Vec::new(),
            next: 0,
            unmet: Bits::default(),
            left: HashMap::new(),
            seen: vec![0; (blocks as usize).div_ceil(64)],
        };
        walk.tuples.reserve(WORDS * 64);
        walk
    }

    fn bytes(&self, span: &Range<usize>) -> &[u8] {
        // SAFETY: the page has PAGE bytes, and any bytes are a u8.
        let page = unsafe { std::slice::from_raw_parts(self.page.as_ptr().cast::<u8>(), PAGE) };
        page.get(span.clone()).unwrap_or_default()
    }

    fn is_seen(&self, block: pg_sys::BlockNumber) -> bool {
        self.seen.get(block as usize / 64).is_some_and(|word| word & (1 << (block % 64)) != 0)
    }

    /// The next row of the heap that has not been met. It goes on with the next page where this one has none;
    /// where there is none any more, or the walk has not begun on one, it stays.
    fn at_hand(&mut self, table: &Table) -> Option<(u16, Range<usize>)> {
        loop {
            while let Some((number, span)) = self.tuples.get(self.next) {
                if has(&self.unmet, *number) {
                    return Some((*number, span.clone()));
                }
                self.next += 1;
            }
            let mut block = self.block.map_or(0, |block| block + 1);
            while block < table.blocks && self.is_seen(block) && !self.left.contains_key(&block) {
                block += 1;
            }
            if block >= table.blocks {
                return None;
            }
            self.turn_to(table, block);
        }
    }

    fn meet(&mut self, number: u16) {
        clear(&mut self.unmet, number);
        self.next += 1;
    }

    /// Meets the row at a place, and goes on behind it. False where it has been met before.
    fn go_to(&mut self, table: &Table, (block, number): RowPlace) -> bool {
        if self.block != Some(block) {
            self.turn_to(table, block);
        }
        let was_met = !has(&self.unmet, number);
        clear(&mut self.unmet, number);
        self.next = self.tuples.partition_point(|(known, _)| *known <= number);
        !was_met
    }

    /// Makes another page the one at hand.
    fn turn_to(&mut self, table: &Table, block: pg_sys::BlockNumber) {
        self.leave();
        self.read(table, block);
    }

    /// Remembers what is left on the page at hand.
    fn leave(&mut self) {
        if let Some(block) = self.block.take()
            && self.unmet.iter().any(|word| *word != 0)
        {
            self.left.insert(block, self.unmet);
        }
        self.tuples.clear();
        self.next = 0;
    }

    /// Reads a page: all of its rows, or those that are left of it.
    #[allow(ffi_unwind_calls)] // inside pg_guard_ffi_boundary, which is where an error of PostgreSQL ends
    fn read(&mut self, table: &Table, block: pg_sys::BlockNumber) {
        let left = match self.is_seen(block) {
            true => Some(self.left.remove(&block).unwrap_or_default()),
            false => None,
        };
        if let Some(word) = self.seen.get_mut(block as usize / 64) {
            *word |= 1 << (block % 64);
        }
        self.block = Some(block);
        self.unmet = Bits::default();
        self.tuples.clear();
        self.next = 0;
        let (tuples, unmet) = (&mut self.tuples, &mut self.unmet);
        let copy = self.page.as_mut_ptr().cast::<u8>();
        // SAFETY: the block exists: nobody takes any away while the table is locked. The buffer is pinned and
        // locked while its page is looked at and copied; a tuple's visibility is asked for where it is, which
        // may set its hint bits. The closure owns nothing that an error would leak, and `tuples` has room for
        // every number that it can push.
        unsafe {
            let main = pg_sys::ForkNumber::MAIN_FORKNUM;
            let normal = pg_sys::ReadBufferMode::RBM_NORMAL;
            let buffer = pg_sys::ReadBufferExtended(table.relation, main, block, normal, table.strategy);
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as _);
            let page = pg_sys::BufferGetPage(buffer).cast::<u8>();
            let oid = (*table.relation).rd_id;
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                for number in 1..=(WORDS * 64) as u16 {
                    if left.is_some_and(|left| !has(&left, number)) {
                        continue;
                    }
                    let Some(span) = span_of(page, number) else { continue };
                    let mut tuple = pg_sys::HeapTupleData {
                        t_len: span.len() as u32,
                        t_self: item_pointer(block, number),
                        t_tableOid: oid,
                        t_data: page.add(span.start).cast(),
                    };
                    if left.is_some() || HeapTupleSatisfiesVisibility(&mut tuple, table.snapshot, buffer) {
                        set(unmet, number);
                        tuples.push((number, span));
                    }
                }
            });
            copy.copy_from_nonoverlapping(page, PAGE);
            pg_sys::UnlockReleaseBuffer(buffer);
        }
    }
}
