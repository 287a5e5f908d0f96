//! Of damaged pages a scan of the file gives what SQLite gives, the same rows in the same order or the same
//! error: a differential fuzz, in one process. What is damaged, and how, follows from the number of the case.
//!
//! `ALIAPORT_DAMAGE=first..end` runs other cases than `cargo test` does, for instance a million, or one again
//! that failed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::pages::{Read, Scanned, read};
use super::*;

/// SplitMix64.
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Any number, small ones more often.
    fn any_number(&self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }
}

/// Cases that damage the same database.
const CASES_A_BASE: u64 = 128;

/// Makes the sound database of these cases, a table t with rows of all kinds.
fn base(path: &Path, seed: u64) {
    let random = Random(Cell::new(seed));
    let page_size = random.pick(&[512, 512, 512, 512, 1024, 1024, 4096]);
    let auto_vacuum = random.pick(&[0, 0, 1, 2]);
    let connection = Connection::open(path).unwrap();
    let settings = format!(
        "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA journal_mode = off; PRAGMA synchronous = off; VACUUM"
    );
    connection.execute_batch(&settings).unwrap();
    drop(connection);
    if auto_vacuum == 0 && random.below(4) == 0 {
        let mut bytes = std::fs::read(path).unwrap();
        let reserved = random.below(33);
        bytes[20] = reserved as u8;
        bytes[105..107].copy_from_slice(&((page_size - reserved) as u16).to_be_bytes());
        std::fs::write(path, bytes).unwrap();
    }
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off; BEGIN").unwrap();
    let mut columns = vec![random.pick(&["id INTEGER PRIMARY KEY", "id INTEGER", "id"]).to_owned()];
    // Sometimes so many that the header has a length of two bytes.
    let width = if random.below(12) == 0 { 140 } else { 1 + random.below(6) };
    columns.extend(
        (0..width)
            .map(|i| format!("c{i} {}", random.pick(&["", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC"]))),
    );
    connection
        .execute_batch(&format!("CREATE TABLE t ({}); CREATE TABLE other (a, b)", columns.join(", ")))
        .unwrap();
    let rows = match random.below(16) {
        _ if width > 10 => 8,
        0 => 300,
        _ => 5 + random.below(45),
    };
    let is_deep = random.below(3) == 0;
    let added = random.pick(&["", "", "added", "added REAL DEFAULT 7", "added DEFAULT NULL"]);
    let (mut rowid, added_at) = (0i64, random.below(rows));
    for row in 0..rows {
        rowid = rowid
            .wrapping_add(1 + if is_deep { random.any_number() as i64 >> 8 } else { random.below(3) as i64 });
        let mut values = vec![];
        for _ in 0..width {
            values.push(match random.below(10) {
                0 => "NULL".to_owned(),
                1 => "0".to_owned(),
                2 => "1".to_owned(),
                3 | 4 => format!("{}", random.any_number() as i64),
                5 => format!("{}.25", random.below(100_000)),
                6 => format!("x'{}'", "1f".repeat(random.below(24))),
                7 if width < 10 && random.below(6) == 0 => {
                    format!("'{}'", "çğ".repeat(random.below(2 * page_size)))
                }
                8 => "9e999 - 9e999".to_owned(),
                _ => format!("'{}'", "abcdefghijklmnopqrstuvwxyz".repeat(2).split_at(random.below(40)).0),
            });
        }
        if row == added_at && !added.is_empty() {
            connection.execute_batch(&format!("ALTER TABLE t ADD COLUMN {added}")).unwrap();
        }
        if random.below(8) == 0 {
            connection.execute_batch("INSERT INTO other VALUES (1, 'somebody else''s')").unwrap();
        }
        let names: Vec<String> = (0..width).map(|i| format!("c{i}")).collect();
        let sql = format!(
            "INSERT OR IGNORE INTO t (rowid, {}) VALUES ({rowid}, {})",
            names.join(", "),
            values.join(", ")
        );
        connection.execute_batch(&sql).unwrap();
    }
    if random.below(2) == 0 {
        connection
            .execute_batch("DELETE FROM t WHERE abs(rowid) % 7 = 0; DELETE FROM other WHERE rowid % 2")
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn varint(bytes: &[u8], at: usize) -> (u64, usize) {
    let mut value = 0u64;
    for length in 1..=9 {
        let byte = bytes.get(at + length - 1).copied().unwrap_or(0);
        if length == 9 {
            return (value << 8 | u64::from(byte), 9);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return (value, length);
        }
    }
    unreachable!()
}

/// A number in as many bytes as are asked for, up to 9, or as it needs.
fn encoded(value: u64, length: usize) -> Vec<u8> {
    if length == 9 || value >> 56 != 0 {
        let mut bytes: Vec<u8> = (0..8).map(|i| (value >> (8 + 7 * (7 - i))) as u8 | 0x80).collect();
        bytes.push(value as u8);
        return bytes;
    }
    let needed = (1..=8).find(|n| value >> (7 * n) == 0).unwrap_or(8).max(length);
    (0..needed)
        .map(|i| (value >> (7 * (needed - 1 - i))) as u8 & 0x7f | if i + 1 < needed { 0x80 } else { 0 })
        .collect()
}

/// A database and what can be damaged in it, as it was when it was sound.
struct Database {
    bytes: Vec<u8>,
    page_size: usize,
    usable: usize,
    pages: u32,
    interior: Vec<u32>,
    leaves: Vec<u32>,
    /// Where a pointer to an overflow page stands, first ones and those along a chain.
    overflow: Vec<usize>,
    /// Of the leaves: the place of the pointer, and of the cell.
    cells: Vec<(usize, usize)>,
    /// Of the interior pages.
    keys: Vec<(usize, usize)>,
    maps: bool,
}

impl Database {
    fn parse(bytes: &[u8], root: u32) -> Self {
        let page_size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let mut database = Database {
            bytes: bytes.to_vec(),
            page_size,
            usable: page_size - usize::from(bytes[20]),
            pages: (bytes.len() / page_size) as u32,
            interior: vec![],
            leaves: vec![],
            overflow: vec![],
            cells: vec![],
            keys: vec![],
            maps: bytes[55] != 0,
        };
        let mut next = vec![root];
        while let Some(number) = next.pop() {
            let start = database.start(number);
            let is_leaf = bytes[start] == 13;
            let first = start + if is_leaf { 8 } else { 12 };
            let pointers = (0..usize::from(database.u16(start + 3))).map(|i| first + 2 * i);
            let cells: Vec<(usize, usize)> =
                pointers.map(|at| (at, start + usize::from(database.u16(at)))).collect();
            if is_leaf {
                database.leaves.push(number);
                for (_, cell) in &cells {
                    database.chain(*cell);
                }
                database.cells.extend(cells);
            } else {
                database.interior.push(number);
                next.push(database.u32(start + 8));
                next.extend(cells.iter().map(|(_, cell)| database.u32(*cell)));
                database.keys.extend(cells);
            }
        }
        database
    }

    fn chain(&mut self, cell: usize) {
        let (size, a) = varint(&self.bytes, cell);
        let (_, b) = varint(&self.bytes, cell + a);
        let (size, usable) = (size as usize, self.usable);
        if size <= usable - 35 {
            return;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let fitting = least + (size - least) % (usable - 4);
        let mut at = cell + a + b + if fitting <= usable - 35 { fitting } else { least };
        while self.overflow.len() < 1000 {
            self.overflow.push(at);
            match self.u32(at) {
                0 => break,
                page => at = self.start(page),
            }
        }
    }

    /// Whether other pages than those of the table, its declaration among them, are not as they were.
    fn differs_elsewhere(&self, damaged: &[u8]) -> bool {
        let chained: Vec<u32> = self.overflow.iter().map(|at| (at / self.page_size) as u32 + 1).collect();
        let is_own =
            |number| [&self.interior, &self.leaves, &chained].iter().any(|pages| pages.contains(&number));
        let (was, is) = (self.bytes.chunks(self.page_size), damaged.chunks(self.page_size));
        self.bytes.len() != damaged.len()
            || (1..).zip(was.zip(is)).any(|(number, (was, is))| was != is && !is_own(number))
    }

    fn start(&self, number: u32) -> usize {
        (number as usize - 1) * self.page_size
    }

    fn u16(&self, at: usize) -> u16 {
        self.bytes.get(at..at + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes
            .get(at..at + 4)
            .map_or(0, |bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn put(&mut self, at: usize, with: &[u8]) {
        for (place, byte) in with.iter().enumerate() {
            if let Some(old) = self.bytes.get_mut(at + place) {
                *old = *byte;
            }
        }
    }

    fn any_page(&self, random: &Random) -> u32 {
        let number = 1 + random.below(self.pages as usize) as u32;
        random.pick(&[
            0,
            1,
            2,
            number,
            number,
            number,
            number,
            self.pages,
            self.pages + 1,
            1 << 31,
            u32::MAX,
            (1 << 30) / self.page_size as u32 + 1,
        ])
    }

    fn tree_page(&self, random: &Random) -> u32 {
        if !self.interior.is_empty() && random.below(3) == 0 {
            random.pick(&self.interior)
        } else {
            random.pick(&self.leaves)
        }
    }

    fn cell(&self, random: &Random) -> Option<(usize, usize)> {
        (!self.cells.is_empty()).then(|| random.pick(&self.cells))
    }
}

type Damage = fn(&mut Database, &Random) -> Option<()>;

/// The ways to damage a database; `None` where there is nothing of the kind.
const DAMAGES: &[(&str, Damage)] = &[
    ("none", |_, _| Some(())),
    ("bytes", |d, r| {
        for _ in 0..r.pick(&[1, 1, 2, 8]) {
            let at = d.start(d.tree_page(r)) + r.below(d.page_size);
            d.put(at, &[r.next() as u8]);
        }
        Some(())
    }),
    ("bit", |d, r| {
        let at = d.start(d.tree_page(r)) + r.below(d.page_size);
        let bit = d.bytes.get(at)? ^ 1 << r.below(8);
        d.put(at, &[bit]);
        Some(())
    }),
    ("kind of page", |d, r| {
        let kind = r.pick(&[13, 5, 10, 2, 0, 1, 12, r.next() as u8]);
        d.put(d.start(d.tree_page(r)), &[kind]);
        Some(())
    }),
    ("kind of every leaf below", |d, r| {
        let page = r.pick(d.interior.get(..).filter(|pages| !pages.is_empty())?);
        d.put(d.start(page), &[r.pick(&[13, 10, 2])]);
        Some(())
    }),
    ("number of cells", |d, r| {
        let at = d.start(d.tree_page(r)) + 3;
        let count = usize::from(d.u16(at));
        let most = (d.page_size - 8) / 6;
        let count = r.pick(&[
            0,
            0,
            1,
            count.saturating_sub(1),
            count + 1,
            count + 2,
            count + 50,
            most,
            most + 1,
            65_535,
        ]);
        d.put(at, &(count as u16).to_be_bytes());
        Some(())
    }),
    ("free space", |d, r| {
        let at = d.start(d.tree_page(r)) + r.pick(&[1, 2, 5, 6, 7]);
        d.put(at, &[r.next() as u8]);
        Some(())
    }),
    ("right-most child", |d, r| {
        let page = r.pick(d.interior.get(..).filter(|pages| !pages.is_empty())?);
        let child = r.pick(&[d.any_page(r), page, r.pick(&d.leaves), r.pick(&d.interior)]);
        d.put(d.start(page) + 8, &child.to_be_bytes());
        Some(())
    }),
    ("child", |d, r| {
        let (_, key) = r.pick(d.keys.get(..).filter(|keys| !keys.is_empty())?);
        let child = r.pick(&[d.any_page(r), r.pick(&d.leaves), r.pick(&d.leaves), r.pick(&d.interior)]);
        d.put(key, &child.to_be_bytes());
        Some(())
    }),
    ("children swapped", |d, r| {
        let (one, two) = (r.pick(d.keys.get(..).filter(|keys| !keys.is_empty())?).1, r.pick(&d.keys).1);
        let (a, b) = (d.u32(one).to_be_bytes(), d.u32(two).to_be_bytes());
        d.put(one, &b);
        d.put(two, &a);
        Some(())
    }),
    ("key", |d, r| {
        let (_, key) = r.pick(d.keys.get(..).filter(|keys| !keys.is_empty())?);
        let length = r.below(10);
        d.put(key + 4, &encoded(r.any_number(), length));
        Some(())
    }),
    ("pointer to a cell", |d, r| {
        let (pointer, _) = if !d.keys.is_empty() && r.below(4) == 0 { r.pick(&d.keys) } else { d.cell(r)? };
        let old = d.u16(pointer);
        let near = old.wrapping_add(r.pick(&[1, 2, 3, u16::MAX, u16::MAX - 1]));
        let edge = r.pick(&[0, 2, 8, 12, 100, 108, d.usable, d.page_size]).wrapping_sub(r.below(7)) as u16;
        let high = old | r.pick(&[0x8000, d.page_size as u16]);
        d.put(pointer, &r.pick(&[near, edge, edge, r.next() as u16, high]).to_be_bytes());
        Some(())
    }),
    ("pointers to cells swapped", |d, r| {
        let ((one, _), (two, _)) = (d.cell(r)?, d.cell(r)?);
        let (a, b) = (d.u16(one).to_be_bytes(), d.u16(two).to_be_bytes());
        d.put(one, &b);
        if r.below(3) > 0 {
            d.put(two, &a);
        }
        Some(())
    }),
    ("size of a record", |d, r| {
        let (_, cell) = d.cell(r)?;
        let (size, length) = varint(&d.bytes, cell);
        let size = r.pick(&[
            size.wrapping_add(1),
            size.saturating_sub(1),
            size.wrapping_add(3),
            size.saturating_sub(3),
            0,
            1,
            2,
            3,
            4,
            d.usable as u64 - 35,
            d.usable as u64 - 34,
            1 << 20,
            1_000_000_000,
            1 << 31,
            size | 1 << 32,
            u64::MAX,
        ]);
        let length = r.pick(&[length, length, length, length + 1, 8, 9]);
        d.put(cell, &encoded(size, length));
        Some(())
    }),
    ("rowid", |d, r| {
        let (_, cell) = d.cell(r)?;
        let at = cell + varint(&d.bytes, cell).1;
        let (rowid, length) = varint(&d.bytes, at);
        // Mostly in as many bytes as it has, so that the record stays where it is.
        let most = if length >= 9 { u64::MAX } else { (1 << (7 * length)) - 1 };
        let rowid = r.pick(&[
            0,
            1,
            rowid.wrapping_add(1),
            rowid.wrapping_sub(1),
            u64::MAX,
            1 << 63,
            r.next(),
            most,
            most,
        ]) & most;
        let length = r.pick(&[length, length, length, length, 9]);
        d.put(at, &encoded(rowid, length));
        Some(())
    }),
    ("cell written anew", |d, r| {
        let (_, cell) = d.cell(r)?;
        let types: Vec<u64> =
            (0..r.below(6)).map(|_| r.pick(&[0, 1, 2, 7, 8, 9, 10, 12, 13, 15, 40])).collect();
        let header: Vec<u8> =
            types.iter().flat_map(|kind| encoded(*kind, r.pick(&[1, 1, 1, 2, 9]))).collect();
        let length = r.pick(&[1, 1, 1, 2, 9]);
        let off = r.pick(&[0, 0, 0, 0, 1, u64::MAX]);
        let body: u64 =
            types.iter().map(|kind| serial_size(*kind)).sum::<u64>() + r.pick(&[0, 0, 0, 1]) * 200;
        let record =
            [&encoded(((header.len() + length) as u64).wrapping_add(off), length)[..], &header[..]].concat();
        let size = (record.len() as u64 + body).wrapping_add(r.pick(&[0, 0, 0, 0, 1, u64::MAX]));
        let size = encoded(size, r.pick(&[1, 1, 2, 8, 9]));
        let rowid = encoded(r.any_number(), r.pick(&[1, 1, 3, 8, 9]));
        d.put(cell, &[size, rowid, record].concat());
        Some(())
    }),
    ("header of a record", |d, r| {
        let record = record(d, r)?;
        let (header, length) = varint(&d.bytes, record);
        let value = r.pick(&[
            0,
            1,
            2,
            3,
            header.wrapping_add(1),
            header.wrapping_add(2),
            header.saturating_sub(1),
            127,
            98_307,
            1 << 32,
            r.any_number(),
        ]);
        d.put(record, &encoded(value, r.pick(&[length, length, 1, 9])));
        Some(())
    }),
    ("type of a value", |d, r| {
        let record = record(d, r)?;
        let (header, mut at) = varint(&d.bytes, record);
        let mut places = vec![];
        while (at as u64) < header.min(1000) {
            places.push(at);
            at += varint(&d.bytes, record + at).1;
        }
        let place = record
            + if r.below(3) == 0 {
                *places.last()?
            } else {
                r.pick(places.get(..).filter(|p| !p.is_empty())?)
            };
        let (old, length) = varint(&d.bytes, place);
        let kind = r.pick(&[
            0,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            9,
            10,
            10,
            11,
            12,
            13,
            old.wrapping_add(1),
            old.saturating_sub(1),
            old.wrapping_add(2),
            old.saturating_sub(2),
            1 << 33,
            u64::MAX,
            r.any_number(),
        ]);
        d.put(place, &encoded(kind, r.pick(&[length, length, 1, 2, 9])));
        Some(())
    }),
    ("chain", |d, r| {
        let at = r.pick(d.overflow.get(..).filter(|chain| !chain.is_empty())?);
        let itself = (at / d.page_size) as u32 + 1;
        let elsewhere = d.u32(r.pick(&d.overflow));
        let next = r.pick(&[0, itself, elsewhere, elsewhere, d.any_page(r)]);
        d.put(at, &next.to_be_bytes());
        Some(())
    }),
    ("pointer map", |d, r| {
        if !d.maps {
            return None;
        }
        let map = d.start(2 + r.below(2) as u32 * (d.usable as u32 / 5 + 1));
        let page =
            if d.overflow.is_empty() { r.below(40) as u32 + 3 } else { d.u32(r.pick(&d.overflow)).max(3) };
        let at = map + 5 * (page as usize - 3);
        match r.below(3) {
            0 => d.put(at, &[r.pick(&[0, 1, 2, 3, 4, 4, 4, 5, 6, 255])]),
            1 => d.put(at + 1, &d.any_page(r).to_be_bytes()),
            _ => {
                d.put(at, &[4]);
                d.put(at + 1, &(page - 1).to_be_bytes());
            }
        }
        Some(())
    }),
    ("page over another", |d, r| {
        let (from, to) = (1 + r.below(d.pages as usize) as u32, d.tree_page(r));
        let copied = d.bytes.get(d.start(from)..d.start(from) + d.page_size)?.to_vec();
        let kept = d.bytes.get(d.start(to)..d.start(to) + d.page_size)?.to_vec();
        d.put(d.start(to), &copied);
        if from > 1 && r.below(2) == 0 {
            d.put(d.start(from), &kept);
        }
        Some(())
    }),
    ("page filled", |d, r| {
        let byte = r.pick(&[0, 13, 5, 255]);
        d.put(d.start(d.tree_page(r)), &vec![byte; d.page_size]);
        Some(())
    }),
    ("count of pages", |d, r| {
        let count =
            r.pick(&[0, 1, d.pages - 1, d.pages.saturating_sub(3), d.pages + 1, d.pages * 2, u32::MAX]);
        d.put(28, &count.to_be_bytes());
        if r.below(2) == 0 {
            let counter = d.u32(24);
            d.put(92, &counter.wrapping_add(r.below(2) as u32).to_be_bytes());
        }
        Some(())
    }),
    ("header", |d, r| {
        let at = r.pick(&[16, 17, 18, 19, 20, 20, 20, 21, 24, 32, 36, 44, 52, 55, 55, 56, 64, 92, 96])
            + r.below(2);
        d.put(at, &[r.pick(&[0, 1, 2, 4, 8, 32, 33, 255, r.next() as u8])]);
        Some(())
    }),
    ("length of the file", |d, r| {
        let end = match r.below(4) {
            0 => r.below(d.bytes.len()),
            1 => d.start(1 + r.below(d.pages as usize) as u32),
            2 => d.bytes.len().saturating_sub(r.below(100)),
            _ => d.bytes.len() + r.below(2 * d.page_size),
        };
        d.bytes.resize(end.max(100), 0);
        Some(())
    }),
];

/// Bytes of a value with one of the shorter serial types.
fn serial_size(serial: u64) -> u64 {
    match serial {
        0 | 8..=11 => 0,
        5 => 6,
        6 | 7 => 8,
        1..=4 => serial,
        _ => (serial - 12) / 2,
    }
}

/// Where some record begins.
fn record(database: &Database, random: &Random) -> Option<usize> {
    let (_, cell) = database.cell(random)?;
    let rowid = cell + varint(&database.bytes, cell).1;
    Some(rowid + varint(&database.bytes, rowid).1)
}

/// Some of the columns in some order, mostly all of them.
fn some(columns: usize, random: &Random) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..columns).collect();
    match random.below(4) {
        0 | 1 => {}
        2 => chosen.retain(|_| random.below(2) == 0),
        _ => (1..chosen.len()).for_each(|i| chosen.swap(i, random.below(i + 1))),
    }
    chosen
}

/// The table as the damaged file declares it, where it can be opened and read.
fn declared(path: &Path) -> Option<Table> {
    let catalogue = Source::open(path, options()).and_then(|source| source.catalogue()).ok()?;
    catalogue.tables.into_iter().find(|table| table.name == "t")
}

fn cases() -> Range<u64> {
    let Ok(range) = std::env::var("ALIAPORT_DAMAGE") else { return 0..20_000 };
    let bounds = range.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("ALIAPORT_DAMAGE is first..end, not {range}"))
}

/// What came of the cases, of one kind and of all.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    cases: u64,
    /// Read to the end from the pages.
    pages: u64,
    /// SQLite went on, and had no error.
    went_on: u64,
    errors: u64,
}

#[test]
fn damaged_pages_are_read_as_sqlite_reads_them() {
    let cases = cases();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let share = (cases.end - cases.start).div_ceil(threads).next_multiple_of(CASES_A_BASE);
    let parts = (0..threads).map(|i| cases.start + i * share..cases.end.min(cases.start + (i + 1) * share));
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    std::thread::scope(|scope| {
        let parts: Vec<_> = parts.map(|part| scope.spawn(|| run(part))).collect();
        for (kind, part) in parts.into_iter().flat_map(|part| part.join().unwrap()) {
            let all = seen.entry(kind).or_default();
            all.cases += part.cases;
            all.pages += part.pages;
            all.went_on += part.went_on;
            all.errors += part.errors;
        }
    });
    if std::env::var_os("ALIAPORT_DAMAGE").is_some() {
        eprintln!("{seen:#?}");
    }
    // The fuzz itself must not get blunt.
    let all = seen.get("all").copied().unwrap_or_default();
    if cases.end - cases.start >= 20_000 {
        assert_eq!(seen.len(), DAMAGES.len() + 1, "every kind was tried: {seen:?}");
        assert!([all.pages, all.went_on, all.errors].iter().all(|part| *part > all.cases / 10), "{all:?}");
    }
}

fn run(cases: Range<u64>) -> BTreeMap<&'static str, Seen> {
    let (_guard, folder) = folder();
    let path = folder.join("a.db");
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    let mut sound: Option<(u64, Database, Table)> = None;
    for case in cases {
        let of_base = case / CASES_A_BASE;
        let (_, database, table) = match sound.take() {
            Some(kept) if kept.0 == of_base => sound.insert(kept),
            _ => {
                let _ = std::fs::remove_file(&path);
                base(&path, of_base);
                let table = declared(&path).unwrap();
                let database = Database::parse(&std::fs::read(&path).unwrap(), table.root_page);
                sound.insert((of_base, database, table))
            }
        };
        let random = Random(Cell::new(case ^ 0x5851_f42d_4c95_7f2d));
        let kept = database.bytes.clone();
        let mut kinds = vec![];
        for _ in 0..random.pick(&[1, 1, 1, 1, 2, 3]) {
            let (kind, damage) = random.pick(DAMAGES);
            if damage(database, &random).is_some() {
                kinds.push(kind);
            }
        }
        let damaged = std::mem::replace(&mut database.bytes, kept);
        std::fs::write(&path, &damaged).unwrap();
        let table = if database.differs_elsewhere(&damaged) { declared(&path) } else { Some(table.clone()) };
        let Some(table) = table else { continue };
        let columns = some(table.columns.len(), &random);
        let (expected, _) = read(&path, &table, &columns, false);
        let (direct, went_on) = read(&path, &table, &columns, true);
        assert!(
            direct == expected,
            "case {case}, {kinds:?}, columns {columns:?}: {}",
            difference(&(direct, went_on), &expected)
        );
        for kind in kinds.into_iter().chain(["all"]) {
            let seen = seen.entry(kind).or_default();
            seen.cases += 1;
            seen.pages += u64::from(direct.is_ok() && !went_on);
            seen.went_on += u64::from(direct.is_ok() && went_on);
            seen.errors += u64::from(direct.is_err());
        }
    }
    seen
}

fn difference((direct, went_on): &Read, expected: &Scanned) -> String {
    let rows = |scanned: &Scanned| scanned.as_ref().map(Vec::len).map_err(|kind| *kind);
    let mut text = format!("{:?} and {:?} rows, SQLite went on: {went_on}", rows(direct), rows(expected));
    if let (Ok(direct), Ok(expected)) = (direct, expected)
        && let Some(at) = direct.iter().zip(expected).position(|(one, other)| one != other)
    {
        let ((rowid, one), (other_rowid, other)) = (&direct[at], &expected[at]);
        let values = one.iter().zip(other).enumerate().find(|(_, (one, other))| one != other);
        text += &format!(", row {at}: rowids {rowid:?} and {other_rowid:?}, values {values:?}");
    }
    text
}
