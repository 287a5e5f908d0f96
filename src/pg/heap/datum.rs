//! Cells to datums and back, and the memory that by-reference datums of one batch live in.
#![allow(unsafe_code)] // reads and writes PostgreSQL's datum representation

use aliaport_rows::pg_type::Storage;
use aliaport_rows::value::Cell;
use pgrx::pg_sys;

/// Memory for the by-reference datums of one batch of rows. Chunks are never moved or shrunk while a batch is
/// in use.
#[derive(Default)]
pub struct Arena {
    chunks: Vec<Vec<u64>>,
    current: usize,
    used: usize,
}

/// Bytes in an ordinary chunk: a batch of ordinary rows fits in one.
const CHUNK: usize = 256 * 1024;

impl Arena {
    /// Forgets every datum. Chunks that a very large value needed are given back.
    pub fn reset(&mut self) {
        self.chunks.retain(|c| c.len() * 8 <= CHUNK);
        self.chunks.truncate(4);
        self.current = 0;
        self.used = 0;
    }

    /// `bytes` bytes, aligned to 8, valid until `reset`.
    fn take(&mut self, bytes: usize) -> *mut u8 {
        let words = bytes.div_ceil(8);
        while self.chunks.get(self.current).is_some_and(|c| self.used + words > c.len()) {
            self.current += 1;
            self.used = 0;
        }
        if self.current == self.chunks.len() {
            self.chunks.push(vec![0u64; words.max(CHUNK / 8)]);
        }
        let start = self.used;
        self.used += words;
        self.chunks[self.current][start..].as_mut_ptr().cast()
    }
}

/// The datum of a cell. By-reference ones live in `arena`. `None` for NULL and for [`Cell::Input`], which the
/// caller reads with the type's input function.
pub fn to_datum(cell: &Cell<'_>, arena: &mut Arena) -> Option<pg_sys::Datum> {
    Some(match *cell {
        Cell::Null | Cell::Input(_) => return None,
        Cell::Bool(b) => pg_sys::Datum::from(b),
        Cell::Int2(i) => pg_sys::Datum::from(i),
        Cell::Int4(i) | Cell::Date(i) => pg_sys::Datum::from(i),
        Cell::Int8(i) | Cell::Time(i) | Cell::Timestamp(i) => pg_sys::Datum::from(i),
        Cell::Float4(f) => pg_sys::Datum::from(f.to_bits()),
        Cell::Float8(f) => pg_sys::Datum::from(f.to_bits()),
        Cell::Enum(oid) => pg_sys::Datum::from(pg_sys::Oid::from(oid)),
        Cell::Uuid(bytes) => {
            let at = arena.take(16);
            // SAFETY: `take` returned 16 writable bytes that nothing else refers to.
            unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), 16) };
            pg_sys::Datum::from(at)
        }
        Cell::Varlena(payload) => {
            let size = payload.len() + pg_sys::VARHDRSZ;
            let at = arena.take(size);
            // SAFETY: `take` returned `size` writable bytes aligned to 8 that nothing else refers to; the
            // header says their length. Values above 1 GB never get here: SQLite is limited to less.
            unsafe {
                pgrx::set_varsize_4b(at.cast(), size as i32);
                at.add(pg_sys::VARHDRSZ).copy_from_nonoverlapping(payload.as_ptr(), payload.len());
            }
            pg_sys::Datum::from(at)
        }
    })
}

/// The cell that a stored datum holds; detoasted bytes live in the current memory context.
///
/// # Safety
/// `datum` must be a valid, non-NULL datum of a type that is stored so, and the result must not
/// be used after the memory of `datum` or of the current memory context is gone.
pub unsafe fn to_cell<'a>(datum: pg_sys::Datum, storage: Storage) -> Cell<'a> {
    let bits = datum.value();
    match storage {
        Storage::Bool => Cell::Bool(bits as u8 != 0),
        Storage::Int2 => Cell::Int2(bits as i16),
        Storage::Int4 => Cell::Int4(bits as i32),
        Storage::Int8 => Cell::Int8(bits as i64),
        Storage::Float4 => Cell::Float4(f32::from_bits(bits as u32)),
        Storage::Float8 => Cell::Float8(f64::from_bits(bits as u64)),
        Storage::Date => Cell::Date(bits as i32),
        Storage::Time => Cell::Time(bits as i64),
        Storage::Timestamp => Cell::Timestamp(bits as i64),
        Storage::Label => Cell::Enum(bits as u32),
        Storage::Uuid => {
            let mut bytes = [0u8; 16];
            // SAFETY: a uuid datum points to 16 bytes.
            unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(datum.cast_mut_ptr::<u8>(), 16) };
            Cell::Uuid(bytes)
        }
        Storage::Text | Storage::Bytes | Storage::Numeric | Storage::Own => {
            // SAFETY: the type is a varlena; detoasting returns a plain varlena, in place where it is one
            // already.
            unsafe {
                let plain = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                Cell::Varlena(std::slice::from_raw_parts(
                    pgrx::vardata_any(plain).cast::<u8>(),
                    pgrx::varsize_any_exhdr(plain),
                ))
            }
        }
        // Only its own functions know what is in it: see `output`.
        Storage::Opaque => Cell::Null,
    }
}
