//! The fast way through a table: its pages as they are in the file, without SQLite's virtual machine in between.
//!
//! Half of what a scan through SQLite costs is its virtual machine, one step a column. Here SQLite opens the file, takes its lock, and keeps
//! it: in rollback mode nobody can write to the file meanwhile, so all of the snapshot is in it. The pages are read through
//! SQLite's own file handle, because opening the file again and closing it would drop the lock. Whatever is not plain goes back to
//! SQLite: databases with a `-wal` or in UTF-16, tables without rowid or with generated columns, filters; and in the middle of a table, from
//! the row on where a page or a record is not as expected ([`Next::HandOver`]), be it damaged or only unusual. So no error comes from here.
#![allow(unsafe_code)] // reads through SQLite's file methods

use std::ffi::{c_int, c_void};
use std::ptr;

use aliaport_plan::catalogue::{Generated, Table};
use aliaport_plan::decl::{Affinity, affinity};
use aliaport_plan::rows::Rows;
use aliaport_plan::value::Value;
use rusqlite::ffi;

use crate::btree::{self, Odd, Page, Reading, Wanted};
use crate::error::SourceError;
use crate::source::Source;

/// Pages that are read at once where a table's leaves follow one another in the file: 64 kB of the usual size.
const AT_ONCE: u32 = 16;

/// How deep a b-tree may be: SQLite's own limit (`BTCURSOR_MAX_DEPTH`). More is a circle, or made to take memory.
const MAX_DEPTH: usize = 20;

/// What comes next of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A row was copied.
    Row,
    /// There are no more.
    End,
    /// SQLite has to go on, after the row with this rowid; from the beginning without one.
    HandOver(Option<i64>),
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
    /// The leaf at hand, how many rows it has, and the next one of them.
    leaf: (u32, u16, u16),
    pages: Window,
    overflow: Window,
    /// A record that is in several pages.
    record: Vec<u8>,
    last: Option<i64>,
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
        if !is_plain || crate::catalogue::encoding(source)? != "UTF-8" {
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
            leaf: (0, 0, 0),
            pages: Window::default(),
            overflow: Window::default(),
            record: Vec::new(),
            last: None,
        }))
    }

    /// Copies the next row. `is_cancelled` is asked once a page, and ends the scan early.
    #[inline]
    pub(crate) fn next(&mut self, rows: &mut Rows, is_cancelled: impl Fn() -> bool) -> Next {
        while self.leaf.2 == self.leaf.1 {
            if is_cancelled() {
                return Next::HandOver(self.last);
            }
            match self.next_leaf() {
                Ok(true) => {}
                Ok(false) => return Next::End,
                Err(Odd) => return Next::HandOver(self.last),
            }
        }
        match self.row(rows) {
            Ok(rowid) => {
                self.leaf.2 += 1;
                self.last = Some(rowid);
                rows.end(Some(rowid));
                Next::Row
            }
            Err(Odd) => {
                rows.abandon();
                Next::HandOver(self.last)
            }
        }
    }

    /// Goes to the next leaf; false after the last.
    fn next_leaf(&mut self) -> Result<bool, Odd> {
        while let Some(children) = self.path.last_mut() {
            let Some(number) = children.pop() else {
                self.path.pop();
                continue;
            };
            self.visited += 1;
            if self.visited > self.file.page_count {
                return Err(Odd);
            }
            match btree::page(self.pages.page(&self.file, number)?, number)? {
                Page::Interior(mut children) => {
                    if self.path.len() > MAX_DEPTH {
                        return Err(Odd);
                    }
                    children.reverse();
                    self.path.push(children);
                }
                Page::Leaf(count) => {
                    self.leaf = (number, count, 0);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    #[inline]
    fn row(&mut self, rows: &mut Rows) -> Result<i64, Odd> {
        let (number, _, index) = self.leaf;
        let page = self.pages.page(&self.file, number)?;
        let cell = btree::cell(page, number, self.file.usable, index)?;
        let record = match cell.overflow {
            None => cell.local,
            Some((missing, first)) => {
                // A damaged length must not ask for more memory than the file could fill.
                if missing > self.file.page_count as usize * self.file.usable {
                    return Err(Odd);
                }
                self.record.clear();
                self.record.try_reserve_exact(cell.local.len() + missing).map_err(|_| Odd)?;
                self.record.extend_from_slice(cell.local);
                let (mut missing, mut number) = (missing, first);
                while missing > 0 {
                    let (next, bytes) = btree::overflow(self.overflow.page(&self.file, number)?)?;
                    let taken = bytes.get(..missing.min(bytes.len())).ok_or(Odd)?;
                    self.record.extend_from_slice(taken);
                    missing -= taken.len();
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
    /// SQLite's, open for as long as the connection. Used while nobody else uses the connection: see `exclusive`.
    handle: ptr::NonNull<ffi::sqlite3_file>,
    page_size: usize,
    /// Bytes of a page without those that are reserved at its end.
    usable: usize,
    page_count: u32,
}

impl File {
    fn open(source: &Source) -> Result<Option<File>, SourceError> {
        let page_size = usize::try_from(source.number("PRAGMA page_size")?).unwrap_or(0);
        let page_count = u32::try_from(source.number("PRAGMA page_count")?).unwrap_or(0);
        let mut handle: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the connection is open, and the operation writes one pointer to its argument.
        let code = unsafe {
            let operation = ffi::SQLITE_FCNTL_FILE_POINTER;
            let to = (&raw mut handle).cast::<c_void>();
            ffi::sqlite3_file_control(source.handle(), c"main".as_ptr(), operation, to)
        };
        let Some(handle) = ptr::NonNull::new(handle).filter(|_| code == ffi::SQLITE_OK) else {
            return Ok(None);
        };
        let mut file = File { handle, page_size, usable: page_size, page_count };
        let mut header = [0; 100];
        if page_count == 0 || file.read(&mut header, 0).is_err() {
            return Ok(None);
        }
        // Section 1.3, "The Database Header": 1 stands for 65,536.
        let stated = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            stated => usize::from(stated),
        };
        file.usable = page_size.saturating_sub(usize::from(header[20]));
        let is_plain = header.starts_with(b"SQLite format 3\0")
            && stated == page_size
            && (512..=65_536).contains(&page_size)
            // The least that the format allows.
            && file.usable >= 480;
        Ok(is_plain.then_some(file))
    }

    /// Fills `bytes` from this offset on.
    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), Odd> {
        let amount = c_int::try_from(bytes.len()).map_err(|_| Odd)?;
        let offset = i64::try_from(offset).map_err(|_| Odd)?;
        // SAFETY: the file is open for as long as its connection, which outlives this by the borrow that `exclusive` holds; bytes has
        // room for `amount` bytes. Reading needs the lock that the read transaction has.
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
        let start = (number - self.first) as usize * file.page_size;
        self.bytes.get(start..start + file.usable).ok_or(Odd)
    }

    #[cold]
    fn read(&mut self, file: &File, number: u32) -> Result<(), Odd> {
        if number == 0 || number > file.page_count {
            return Err(Odd);
        }
        let follows = number == self.first.wrapping_add(self.count);
        let count = if follows { AT_ONCE.min(file.page_count - number + 1) } else { 1 };
        self.count = 0;
        self.bytes.resize(count as usize * file.page_size, 0);
        file.read(&mut self.bytes, u64::from(number - 1) * file.page_size as u64)?;
        (self.first, self.count) = (number, count);
        Ok(())
    }
}
