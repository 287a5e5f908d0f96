//! The fast way through a table: its pages as they are in the file, without SQLite's virtual machine in
//! between.
//!
//! Half of what a scan through SQLite costs is its virtual machine, one step a column. Here SQLite opens the
//! file, takes its lock, and keeps it: in rollback mode nobody can write to the file meanwhile, so all of the
//! snapshot is in it. The pages are read through SQLite's own file handle, which is the one that has the
//! lock. Whatever is not plain goes back to SQLite: databases with a `-wal` or in UTF-16, tables without
//! rowid or with generated columns, filters; and in the middle of a table, from the row on where a page or a
//! record is not as expected ([`Next::HandOver`]), be it damaged or only unusual. So no error comes from
//! here, and no row that SQLite would not give: what is read here is a part of what SQLite reads, and in the
//! same order (`btree`). Where it ends and where it hands over, `send_reader` holds it against SQLite.
#![allow(unsafe_code)] // reads through SQLite's file methods

use std::ffi::c_int;
use std::ptr;

use aliaport_plan::catalogue::{Generated, Table};
use aliaport_plan::decl::{Affinity, affinity};
use aliaport_rows::batch::Rows;
use aliaport_rows::value::Value;
use rusqlite::ffi;

use crate::btree::{self, Format, Leaf, Odd, Page, Reading, Wanted};
use crate::error::SourceError;
use crate::source::Source;

/// Pages that are read at once where a table's leaves follow one another in the file: 64 kB of the usual
/// size.
const AT_ONCE: u32 = 16;

/// How deep a b-tree may be: SQLite's own limit (`BTCURSOR_MAX_DEPTH`). More is a circle, or made to take
/// memory.
const MAX_DEPTH: usize = 20;

/// What comes next of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A row was copied.
    Row,
    /// There are no more.
    End,
    /// SQLite has to go on, after the rows that were given so far.
    HandOver,
    Cancelled,
}

/// Rows that a scan has given: as many, with these rowids in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub rows: u64,
    hash: u64,
}

impl Given {
    #[inline]
    pub(crate) fn add(&mut self, rowid: i64) {
        self.rows += 1;
        // Any odd number with bits all over it: a step is undone by no other rowid, and the order counts.
        self.hash = (self.hash.rotate_left(29) ^ rowid as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A scan of one table.
pub(crate) struct PageScan {
    file: File,
    /// By their place in the record.
    wanted: Vec<Wanted>,
    /// The order in which they were asked for, where that is another one.
    order: Vec<usize>,
    /// The children that are still to be read of each interior page on the way down, the next one last.
    path: Vec<Vec<u32>>,
    /// Pages of the b-tree so far: more than the file has would be a circle.
    visited: u32,
    /// The leaf at hand, its number, and the next one of its rows.
    leaf: Leaf,
    number: u32,
    index: u16,
    pages: Window,
    overflow: Window,
    maps: Window,
    /// A record that is in several pages.
    record: Vec<u8>,
    given: Given,
}

impl PageScan {
    /// A scan of these columns; `None` where the table is read through SQLite.
    pub(crate) fn open(
        source: &Source,
        table: &Table,
        columns: &[usize],
    ) -> Result<Option<Self>, SourceError> {
        let is_plain = source.is_all_in_file()
            && table.has_rowid
            && table.columns.iter().all(|column| column.generated == Generated::No);
        if !is_plain || crate::statement::encoding(source)? != "UTF-8" {
            return Ok(None);
        }
        // A record is read from its beginning to its end, once.
        let mut places: Vec<(usize, usize)> = columns.iter().copied().zip(0..).collect();
        places.sort_unstable();
        if !places.is_sorted_by(|one, other| one.0 < other.0) {
            return Ok(None);
        }
        let is_in_order = places.iter().map(|(_, at)| *at).eq(0..columns.len());
        let mut order = vec![0; if is_in_order { 0 } else { columns.len() }];
        for ((_, at), nth) in places.iter().zip(0..) {
            if let Some(of_column) = order.get_mut(*at) {
                *of_column = nth;
            }
        }
        let wanted = places.iter().filter_map(|&(place, _)| {
            let column = table.columns.get(place)?;
            let reading = match affinity(&column.declared_type) {
                _ if table.rowid_alias == Some(place) => Reading::Rowid,
                Affinity::Real => Reading::Real,
                _ => Reading::AsStored,
            };
            Some(Wanted { place, reading, may_be_missing: column.default.is_none() })
        });
        let wanted: Vec<Wanted> = wanted.collect();
        let Some(file) = File::open(source)? else { return Ok(None) };
        Ok((wanted.len() == columns.len()).then(|| PageScan {
            file,
            wanted,
            order,
            path: vec![vec![table.root_page]],
            visited: 0,
            leaf: Leaf::default(),
            number: 0,
            index: 0,
            pages: Window::default(),
            overflow: Window::default(),
            maps: Window::default(),
            record: Vec::new(),
            given: Given::default(),
        }))
    }

    /// Copies the next row. `is_cancelled` is asked once a page, and ends the scan early.
    #[inline]
    pub(crate) fn next(&mut self, rows: &mut Rows, is_cancelled: impl Fn() -> bool) -> Next {
        while self.index == self.leaf.count {
            if is_cancelled() {
                return Next::Cancelled;
            }
            match self.next_leaf() {
                Ok(true) => {}
                Ok(false) => return Next::End,
                Err(Odd) => return Next::HandOver,
            }
        }
        match self.row(rows) {
            Ok(rowid) => {
                self.index += 1;
                self.given.add(rowid);
                rows.end(Some(rowid));
                Next::Row
            }
            Err(Odd) => {
                rows.abandon();
                Next::HandOver
            }
        }
    }

    /// The rows so far.
    pub(crate) fn given(&self) -> Given {
        self.given
    }

    /// Goes to the next leaf; false after the last.
    fn next_leaf(&mut self) -> Result<bool, Odd> {
        while let Some(children) = self.path.last_mut() {
            let Some(number) = children.pop() else {
                self.path.pop();
                continue;
            };
            let is_root = self.visited == 0;
            self.visited += 1;
            if self.visited > self.file.page_count || self.path.len() > MAX_DEPTH {
                return Err(Odd);
            }
            let bytes = self.pages.page(&self.file, number)?;
            match btree::page(bytes, number, is_root, &self.file.format)? {
                Page::Interior(mut children) => {
                    children.reverse();
                    self.path.push(children);
                }
                Page::Leaf(leaf) => {
                    (self.leaf, self.number, self.index) = (leaf, number, 0);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    #[inline]
    fn row(&mut self, rows: &mut Rows) -> Result<i64, Odd> {
        let page = self.pages.page(&self.file, self.number)?;
        let cell = btree::cell(page, &self.leaf, self.index, &self.file.format)?;
        let record = match cell.overflow {
            None => cell.local,
            Some((missing, first)) => {
                // A damaged length must not ask for more memory than the file could fill.
                let size = cell.local.len() + missing;
                if size > self.file.page_count as usize * self.file.format.usable {
                    return Err(Odd);
                }
                self.record.clear();
                self.record.try_reserve_exact(size).map_err(|_| Odd)?;
                self.record.extend_from_slice(cell.local);
                let (mut missing, mut number) = (missing, first);
                loop {
                    let (next, bytes) = btree::overflow(self.overflow.page(&self.file, number)?)?;
                    let taken = bytes.get(..missing.min(bytes.len())).ok_or(Odd)?;
                    self.record.extend_from_slice(taken);
                    missing -= taken.len();
                    if missing == 0 {
                        break;
                    }
                    if self.file.has_pointer_maps {
                        self.maps.confirm(&self.file, number, next)?;
                    }
                    number = next;
                }
                &self.record
            }
        };
        if self.order.is_empty() {
            btree::record(record, cell.rowid, &self.wanted, |value| rows.put(value))?;
        } else {
            let mut values = Vec::with_capacity(self.order.len());
            btree::record(record, cell.rowid, &self.wanted, |value| {
                values.push(value);
                Ok(())
            })?;
            for nth in &self.order {
                rows.put(values.get(*nth).copied().unwrap_or(Value::Null))?;
            }
        }
        let rowid = cell.rowid;
        if self.record.capacity() > KEEP {
            self.record = Vec::new();
        }
        Ok(rowid)
    }
}

/// What a large record needed is given back.
const KEEP: usize = 1 << 20;

/// The database file, through SQLite's own handle.
struct File {
    /// SQLite's, open for as long as the connection. Used while nobody else uses the connection: see
    /// `send_reader`.
    handle: ptr::NonNull<ffi::sqlite3_file>,
    format: Format,
    /// As SQLite counts them, in this snapshot.
    page_count: u32,
    /// Auto-vacuum: some pages say for each of the others what it is.
    has_pointer_maps: bool,
}

impl File {
    fn open(source: &Source) -> Result<Option<File>, SourceError> {
        let page_size = usize::try_from(source.pragma_number("PRAGMA page_size")?).unwrap_or(0);
        let page_count = u32::try_from(source.pragma_number("PRAGMA page_count")?).unwrap_or(0);
        let Some(handle) = source.file() else { return Ok(None) };
        // What is reserved stands in the header.
        let Some(format) = Format::new(page_size, 0) else { return Ok(None) };
        let mut file = File { handle, format, page_count, has_pointer_maps: false };
        let mut header = [0; 100];
        if page_count == 0 || file.read(&mut header, 0).is_err() {
            return Ok(None);
        }
        // Section 1.3, "The Database Header": 1 stands for 65,536.
        let stated = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            stated => usize::from(stated),
        };
        if !header.starts_with(b"SQLite format 3\0") || stated != page_size {
            return Ok(None);
        }
        file.has_pointer_maps = header[52..56] != [0; 4];
        Ok(Format::new(page_size, header[20]).map(|format| File { format, ..file }))
    }

    /// Fills `bytes` from this offset on.
    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), Odd> {
        let amount = c_int::try_from(bytes.len()).map_err(|_| Odd)?;
        let offset = i64::try_from(offset).map_err(|_| Odd)?;
        // SAFETY: the file is open for as long as its connection, which outlives this by the borrow that
        // `send_reader` holds; bytes has room for `amount` bytes. Reading needs the lock that the read
        // transaction has.
        let code = unsafe {
            let file = self.handle.as_ptr();
            let methods = (*file).pMethods;
            let Some(read) = (!methods.is_null()).then(|| (*methods).xRead).flatten() else {
                return Err(Odd);
            };
            read(file, bytes.as_mut_ptr().cast(), amount, offset)
        };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(Odd) }
    }
}

/// Some consecutive pages.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// The first page, from 1; 0 before anything was read.
    first: u32,
    count: u32,
}

impl Window {
    /// The used part of a page.
    #[inline]
    fn page(&mut self, file: &File, number: u32) -> Result<&[u8], Odd> {
        if number.wrapping_sub(self.first) >= self.count {
            self.read(file, number)?;
        }
        let start = (number - self.first) as usize * file.format.page_size;
        self.bytes.get(start..start + file.format.usable).ok_or(Odd)
    }

    #[cold]
    fn read(&mut self, file: &File, number: u32) -> Result<(), Odd> {
        let lock_page = file.format.lock_page();
        if number == 0 || number > file.page_count || number == lock_page {
            return Err(Odd);
        }
        let follows = number == self.first.wrapping_add(self.count);
        let end = if number < lock_page { lock_page.min(file.page_count + 1) } else { file.page_count + 1 };
        let count = if follows { AT_ONCE.min(end - number) } else { 1 };
        self.count = 0;
        self.bytes.resize(count as usize * file.format.page_size, 0);
        file.read(&mut self.bytes, u64::from(number - 1) * file.format.page_size as u64)?;
        (self.first, self.count) = (number, count);
        Ok(())
    }

    /// See [`btree::confirms`].
    fn confirm(&mut self, file: &File, number: u32, next: u32) -> Result<(), Odd> {
        match file.format.after(number) {
            Some((guess, map, at)) if guess <= file.page_count => {
                btree::confirms(self.page(file, map)?, at, guess, number, next)
            }
            _ => Ok(()),
        }
    }
}
