//! Does a `-wal` begin with a header by which SQLite would read frames of it?

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// <https://sqlite.org/fileformat2.html#walformat>
pub(crate) const HEADER: usize = 32;

/// False where SQLite takes none of the file's frames, whatever they are: they are too few bytes, or behind
/// no header.
///
/// A header of a version that SQLite does not know is one: it will say so itself.
pub(crate) fn may_have_frames(file: &File, size: u64) -> io::Result<bool> {
    let mut header = [0u8; HEADER];
    if size <= HEADER as u64 {
        return Ok(false);
    }
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(is_header(&header)),
        // It was cut meanwhile.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Magic number, page size and checksum are those of a header.
pub(crate) fn is_header(header: &[u8; HEADER]) -> bool {
    let mut words = header.chunks_exact(4).map(|bytes| {
        let bytes = bytes.try_into().unwrap_or_default();
        (u32::from_be_bytes(bytes), u32::from_le_bytes(bytes))
    });
    let mut next = || words.next().unwrap_or_default();
    let all: [(u32, u32); 8] = std::array::from_fn(|_| next());
    let [(magic, _), _, (page_size, _), _, _, _, (first, _), (second, _)] = all;
    // The last bit of the magic number says in which order the bytes of a word are summed up.
    let is_big_endian = magic & 1 == 1;
    let mut sums = (0u32, 0u32);
    for pair in all.chunks_exact(2).take(3) {
        let word = |at: usize| {
            let (big, little) = pair.get(at).copied().unwrap_or_default();
            if is_big_endian { big } else { little }
        };
        sums.0 = sums.0.wrapping_add(word(0)).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(word(1)).wrapping_add(sums.0);
    }
    magic & !1 == 0x377f_0682
        && page_size.is_power_of_two()
        && (512..=65_536).contains(&page_size)
        && sums == (first, second)
}
