//! Tuple images: for any table layout and any row, the writer's bytes are those of `heap_form_tuple`.
#![allow(unsafe_code)] // makes tuple descriptors and forms tuples

use aliaport_rows::tuple::{Layout, Writer};
use aliaport_rows::value::Cell;
use pgrx::pg_sys::{self, BuiltinOid};
use pgrx::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;

use super::texts::for_all;
use crate::pg::heap::datum::{self, Arena};
use crate::pg::heap::{readback, relation};

/// Rows a layout.
const ROWS: usize = 3;

/// One column and its value in each row: some bits, and a length where the type has one.
#[derive(Clone, Debug)]
struct Column {
    kind: BuiltinOid,
    /// `SET STORAGE PLAIN`: no short headers.
    is_plain: bool,
    values: [Option<(u64, usize)>; ROWS],
}

/// Of every length and alignment that PostgreSQL has.
const KINDS: &[BuiltinOid] = &[
    BuiltinOid::BOOLOID,
    BuiltinOid::INT2OID,
    BuiltinOid::INT4OID,
    BuiltinOid::INT8OID,
    BuiltinOid::FLOAT4OID,
    BuiltinOid::FLOAT8OID,
    BuiltinOid::DATEOID,
    BuiltinOid::TIMEOID,
    BuiltinOid::TIMESTAMPTZOID,
    BuiltinOid::UUIDOID,
    BuiltinOid::TEXTOID,
    BuiltinOid::TEXTOID,
    BuiltinOid::NUMERICOID,
    BuiltinOid::JSONBOID,
    BuiltinOid::BYTEAOID,
    BuiltinOid::INT8ARRAYOID,
    BuiltinOid::INTERVALOID,
    BuiltinOid::MACADDROID,
    BuiltinOid::NAMEOID,
];

/// A value that owns what its cell points to, at an address as aligned as PostgreSQL's own.
struct Stored {
    kind: BuiltinOid,
    bits: u64,
    words: Vec<u64>,
    length: usize,
}

impl Stored {
    fn new(kind: BuiltinOid, bits: u64, length: usize) -> Self {
        let length = match kind {
            BuiltinOid::INTERVALOID => 16,
            BuiltinOid::MACADDROID => 6,
            BuiltinOid::NAMEOID => 64,
            _ => length,
        };
        Stored { kind, bits, words: vec![bits; length.div_ceil(8)], length }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `words` has at least `length` bytes, and any bytes are a u8.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    fn cell(&self) -> Cell<'_> {
        let bits = self.bits;
        match self.kind {
            BuiltinOid::BOOLOID => Cell::Bool(bits % 2 == 1),
            BuiltinOid::INT2OID => Cell::Int2(bits as i16),
            BuiltinOid::INT4OID => Cell::Int4(bits as i32),
            BuiltinOid::INT8OID => Cell::Int8(bits as i64),
            BuiltinOid::FLOAT4OID => Cell::Float4(f32::from_bits(bits as u32)),
            BuiltinOid::FLOAT8OID => Cell::Float8(f64::from_bits(bits)),
            BuiltinOid::DATEOID => Cell::Date(bits as i32),
            BuiltinOid::TIMEOID => Cell::Time(bits as i64),
            BuiltinOid::TIMESTAMPTZOID => Cell::Timestamp(bits as i64),
            BuiltinOid::UUIDOID => Cell::Uuid(u128::from(bits).to_ne_bytes()),
            _ => Cell::Varlena(self.bytes()),
        }
    }

    fn datum(&self, arena: &mut Arena) -> pg_sys::Datum {
        match self.kind {
            // By reference, but no varlena.
            BuiltinOid::INTERVALOID | BuiltinOid::MACADDROID | BuiltinOid::NAMEOID => {
                pg_sys::Datum::from(self.words.as_ptr().cast_mut())
            }
            _ => datum::to_datum(&self.cell(), arena).unwrap(),
        }
    }
}

fn layout() -> impl Strategy<Value = Vec<Column>> {
    // Around 126 bytes of payload the header changes.
    let length = prop_oneof![4 => 0..=12usize, 3 => 124..=130usize, 1 => 0..=4000usize];
    let value = (any::<u64>(), length);
    let column = (
        select(KINDS),
        prop::bool::weighted(0.2),
        prop::array::uniform3(value),
        prop::array::uniform3(any::<u8>()),
    )
        .prop_map(|(kind, is_plain, values, dice)| (kind, is_plain, values, dice));
    let columns = prop_oneof![
        8 => prop::collection::vec(column.clone(), 0..=40),
        1 => prop::collection::vec(column, 41..=200),
    ];
    // In 255: how many are NULL. Rows without any have another header.
    (columns, select(vec![0u8, 0, 20, 128, 250])).prop_map(|(columns, nulls)| {
        columns
            .into_iter()
            .map(|(kind, is_plain, values, dice)| {
                let value = |row: usize| (dice[row] >= nulls).then_some(values[row]);
                Column { kind, is_plain, values: [value(0), value(1), value(2)] }
            })
            .collect()
    })
}

/// Compares the images of a layout's rows with what the server forms.
fn compare(columns: &[Column]) -> Result<(), String> {
    // SAFETY: the descriptor has one entry a column; everything is allocated in the test's memory.
    let descriptor = unsafe {
        let descriptor = pg_sys::CreateTemplateTupleDesc(columns.len() as i32);
        for (i, column) in columns.iter().enumerate() {
            pg_sys::TupleDescInitEntry(descriptor, (i + 1) as i16, c"v".as_ptr(), column.kind.value(), -1, 0);
            let attribute = crate::pg::server::compat::attribute(descriptor, i);
            if column.is_plain && (*attribute).attlen == -1 {
                (*attribute).attstorage = b'p' as _;
            }
            #[cfg(feature = "pg18")]
            pg_sys::populate_compact_attribute(descriptor, i as i32);
        }
        descriptor
    };
    // SAFETY: the descriptor is complete.
    let mut writer = Writer::new(Layout::new(unsafe { relation::attributes_of(descriptor) }));
    let mut arena = Arena::default();
    for row in 0..ROWS {
        let stored: Vec<Option<Stored>> = columns
            .iter()
            .map(|c| c.values[row].map(|(bits, length)| Stored::new(c.kind, bits, length)))
            .collect();
        if row > 0 {
            // A row that is set aside half way leaves no trace.
            writer.begin_row();
            for (i, value) in stored.iter().enumerate().take(columns.len() / 2) {
                let _ = writer.cell(i, &value.as_ref().map_or(Cell::Null, Stored::cell));
            }
        }
        writer.begin_row();
        let mut values = vec![pg_sys::Datum::null(); columns.len()];
        let mut nulls = vec![true; columns.len()];
        for (i, value) in stored.iter().enumerate() {
            let Some(value) = value else { continue };
            values[i] = value.datum(&mut arena);
            nulls[i] = false;
            if !writer.cell(i, &value.cell()) {
                return Err(format!("column {} is refused", i + 1));
            }
        }
        writer.end_row();
        // SAFETY: values and nulls have one entry a column, and the values live until the end of this turn.
        let theirs = unsafe {
            let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            let bytes =
                std::slice::from_raw_parts((*tuple).t_data.cast::<u8>(), (*tuple).t_len as usize).to_vec();
            pg_sys::heap_freetuple(tuple);
            bytes
        };
        let (start, length) = *writer.images().spans().last().unwrap();
        let ours = &writer.images().bytes()[start..start + length];
        if start % 8 != 0 {
            return Err(format!("row {row} begins at {start}"));
        }
        if !readback::is_same_tuple(ours, &theirs) {
            let hex =
                |bytes: &[u8]| bytes.iter().take(200).map(|byte| format!("{byte:02x}")).collect::<String>();
            return Err(format!("row {row} is {}, not {}", hex(ours), hex(&theirs)));
        }
        // What finds a row in its page has to see every other byte of its bitmap and data, and a byte less.
        for at in (23..theirs.len()).step_by(theirs.len().div_ceil(50)) {
            let mut damaged = theirs.clone();
            damaged[at] ^= 1;
            if readback::is_same_tuple(ours, &damaged) || readback::is_same_tuple(ours, &theirs[..at]) {
                return Err(format!("row {row}: byte {at} does not count"));
            }
        }
        arena.reset();
    }
    if writer.images().len() != ROWS {
        return Err(format!("{} rows", writer.images().len()));
    }
    // SAFETY: nothing refers to the descriptor any more.
    unsafe { pg_sys::FreeTupleDesc(descriptor) };
    Ok(())
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn a_tuple_image_is_what_heap_form_tuple_makes_of_the_row() {
        for_all(1500, layout(), |columns| compare(&columns));
    }

    #[pg_test]
    fn a_tuple_image_has_room_for_every_column_of_the_widest_table() {
        let some =
            Column { kind: BuiltinOid::INT2OID, is_plain: false, values: [Some((7, 0)), None, Some((9, 0))] };
        let none = Column { values: [Some((1, 0)), Some((2, 0)), None], ..some.clone() };
        // MaxHeapAttributeNumber
        let columns: Vec<Column> = [some, none].into_iter().cycle().take(1600).collect();
        compare(&columns).unwrap();
    }
}
