//! `jsonb`: the payload that `jsonb_in` stores, byte for byte (src/include/utils/jsonb.h,
//! src/backend/utils/adt/jsonb_util.c).
//!
//! A container is a header word (count and kind), one entry word for each element, or for each key and then
//! each value, and their data. An entry holds the type and the length of its data, every 32nd the offset of
//! its end instead. Containers and numbers begin at multiples of four; the padding counts as theirs.

pub(crate) mod object;

use super::json::{self, Document, Node, size};
use super::{Converted, Lossy, Scratch, ValueError, ValueErrorKind, display_value, numeric};
use crate::value::{Cell, Value};

const SCALAR: u32 = 0x1000_0000;
const OBJECT: u32 = 0x2000_0000;
const ARRAY: u32 = 0x4000_0000;

const ENTRY_STRING: u32 = 0x0000_0000;
const ENTRY_NUMERIC: u32 = 0x1000_0000;
const ENTRY_FALSE: u32 = 0x2000_0000;
const ENTRY_TRUE: u32 = 0x3000_0000;
const ENTRY_NULL: u32 = 0x4000_0000;
const ENTRY_CONTAINER: u32 = 0x5000_0000;
const ENTRY_TYPE: u32 = 0x7000_0000;
const ENTRY_HAS_OFFSET: u32 = 0x8000_0000;

/// Every so manieth entry holds an offset (`JB_OFFSET_STRIDE`).
const STRIDE: u32 = 32;

/// Output kept between documents, in bytes.
const KEPT_BYTES: usize = 1 << 20;

pub(super) fn convert<'a>(value: Value<'a>, scratch: &'a mut Scratch) -> Result<Converted<'a>, ValueError> {
    let mut number = [0u8; 32];
    let text = match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            bytes
        }
        Value::Integer(_) | Value::Real(_) => {
            json::write_number(value, "json", &mut scratch.bytes)?;
            // Its text is 24 bytes at most.
            let length = scratch.bytes.len().min(number.len());
            let (head, _) = number.split_at_mut(length);
            head.copy_from_slice(scratch.bytes.get(..length).unwrap_or_default());
            &*head
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"jsonb", false, value));
        }
    };
    let root = scratch.document.parse(text)?;
    scratch.bytes.clear();
    scratch.bytes.shrink_to(KEPT_BYTES);
    let Scratch { bytes, digits, document, frames, .. } = scratch;
    let mut encoder = Encoder { text, document, out: bytes, digits, frames };
    encoder.encode(root).map_err(|fault| fault.into_error(value))?;
    let lossy = document.has_duplicate.then_some(Lossy::DuplicateKey);
    Ok(Converted { cell: Cell::Varlena(bytes), lossy })
}

/// A container that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    is_object: bool,
    /// Its items in the document.
    first: u32,
    count: u32,
    /// Values written so far.
    written: u32,
    /// Where its padding begins.
    base: usize,
    /// Where its entries begin.
    entries: usize,
    /// The length of its data so far.
    total: usize,
}

/// A number that no numeric can hold, or data too long for an entry.
enum Fault {
    Number,
    Size(&'static str),
}

impl Fault {
    fn into_error(self, value: Value) -> ValueError {
        match self {
            Fault::Number => ValueError::new(ValueErrorKind::NumericFormat { shown: display_value(value) }),
            Fault::Size(message) => size(message),
        }
    }
}

const ARRAY_SIZE: Fault =
    Fault::Size("total size of jsonb array elements exceeds the maximum of 268435455 bytes");
const OBJECT_SIZE: Fault =
    Fault::Size("total size of jsonb object elements exceeds the maximum of 268435455 bytes");

struct Encoder<'a> {
    text: &'a [u8],
    document: &'a Document,
    out: &'a mut Vec<u8>,
    digits: &'a mut Vec<u8>,
    frames: &'a mut Vec<Frame>,
}

impl Encoder<'_> {
    fn encode(&mut self, root: Node) -> Result<(), Fault> {
        self.frames.clear();
        if !self.open(root)? {
            // A scalar is an array of one element that says so.
            self.word(1 | ARRAY | SCALAR);
            let mut frame = Frame {
                is_object: false,
                first: 0,
                count: 1,
                written: 0,
                base: 0,
                entries: self.out.len(),
                total: 0,
            };
            self.word(0);
            let (kind, length) = self.scalar(root)?;
            return self.entry(&mut frame, 0, kind, length);
        }
        while let Some(mut frame) = self.frames.pop() {
            let items = self.document.items(frame.first, frame.count);
            let mut is_done = true;
            while let Some(item) = items.get(frame.written as usize) {
                let value = item.value();
                if let Node::Array { .. } | Node::Object { .. } = value {
                    // The value's own frame comes first; its entry is written when it is done.
                    self.frames.push(frame);
                    self.open(value)?;
                    is_done = false;
                    break;
                }
                let (kind, length) = self.scalar(value)?;
                self.value_entry(&mut frame, kind, length)?;
            }
            if is_done {
                let length = self.out.len() - frame.base;
                if length > json::MAX_LENGTH {
                    return Err(if frame.is_object { OBJECT_SIZE } else { ARRAY_SIZE });
                }
                if let Some(mut parent) = self.frames.pop() {
                    self.value_entry(&mut parent, ENTRY_CONTAINER, length)?;
                    self.frames.push(parent);
                }
            }
        }
        Ok(())
    }

    /// Starts a container: its header, room for its entries, and an object's keys. False for a scalar.
    fn open(&mut self, value: Node) -> Result<bool, Fault> {
        let (is_object, first, count) = match value {
            Node::Array { first, count } => (false, first, count),
            Node::Object { first, count } => (true, first, count),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => return Ok(false),
        };
        let base = self.out.len();
        self.pad();
        self.word(count | if is_object { OBJECT } else { ARRAY });
        let entries = self.out.len();
        let words = if is_object { 2 * count as usize } else { count as usize };
        self.out.resize(entries + 4 * words, 0);
        let mut frame = Frame { is_object, first, count, written: 0, base, entries, total: 0 };
        if is_object {
            let document = self.document;
            for (index, item) in document.items(first, count).iter().enumerate() {
                let key = document.bytes(self.text, item.key());
                self.out.extend_from_slice(key);
                self.entry(&mut frame, index as u32, ENTRY_STRING, key.len())?;
            }
        }
        self.frames.push(frame);
        Ok(true)
    }

    /// Writes a scalar's data; its type and length.
    fn scalar(&mut self, value: Node) -> Result<(u32, usize), Fault> {
        let start = self.out.len();
        let kind = match value {
            Node::Bool(false) => ENTRY_FALSE,
            Node::Bool(true) => ENTRY_TRUE,
            Node::String(span) => {
                self.out.extend_from_slice(self.document.bytes(self.text, span));
                ENTRY_STRING
            }
            Node::Number(span) => {
                if !push_number(self.document.bytes(self.text, span), self.digits, self.out) {
                    return Err(Fault::Number);
                }
                ENTRY_NUMERIC
            }
            // Containers never come here.
            Node::Null | Node::Array { .. } | Node::Object { .. } => ENTRY_NULL,
        };
        Ok((kind, self.out.len() - start))
    }

    /// Writes the entry of the frame's next value.
    fn value_entry(&mut self, frame: &mut Frame, kind: u32, length: usize) -> Result<(), Fault> {
        let index = if frame.is_object { frame.count + frame.written } else { frame.written };
        frame.written += 1;
        self.entry(frame, index, kind, length)
    }

    fn entry(&mut self, frame: &mut Frame, index: u32, kind: u32, length: usize) -> Result<(), Fault> {
        frame.total += length;
        if frame.total > json::MAX_LENGTH {
            return Err(if frame.is_object { OBJECT_SIZE } else { ARRAY_SIZE });
        }
        let entry = if index.is_multiple_of(STRIDE) {
            (kind & ENTRY_TYPE) | frame.total as u32 | ENTRY_HAS_OFFSET
        } else {
            kind | length as u32
        };
        self.set_word(frame.entries + 4 * index as usize, entry);
        Ok(())
    }

    fn pad(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    fn word(&mut self, word: u32) {
        self.out.extend_from_slice(&word.to_ne_bytes());
    }

    fn set_word(&mut self, at: usize, word: u32) {
        if let Some(slot) = self.out.get_mut(at..at + 4) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

/// Appends a number as a numeric with its own length header, which counts itself; false if no numeric can
/// hold it.
fn push_number(number: &[u8], digits: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
    out.resize(out.len().next_multiple_of(4), 0);
    let header = out.len();
    out.extend_from_slice(&[0; 4]);
    if !numeric::append_json_number(number, digits, out) {
        return false;
    }
    let length = length_header((out.len() - header) as u32).to_ne_bytes();
    if let Some(slot) = out.get_mut(header..header + 4) {
        slot.copy_from_slice(&length);
    }
    true
}

/// A varlena header of four bytes (`SET_VARSIZE_4B`): on little-endian machines the two lowest bits say what
/// kind it is, on big-endian ones the two highest.
fn length_header(length: u32) -> u32 {
    if cfg!(target_endian = "little") { length << 2 } else { length & 0x3fff_ffff }
}

#[cfg(test)]
mod tests;
