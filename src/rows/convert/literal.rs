//! The text of composite values, as `array_in`, `range_in`, `multirange_in` and `record_in` read it: taken
//! apart here, so that every part can be converted, and put together again with every part in quotes.
//!
//! What these functions would refuse is refused here, too, or left for them to refuse; what is taken apart
//! here means the same to them.

/// The text is not of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is left to read.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

/// White space as C's `isspace` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Cursor { rest }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.next();
        }
        is_next
    }

    pub(super) fn blanks(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.next();
        }
    }

    /// What is left is nothing but white space.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.skip(byte) { Ok(()) } else { Err(Malformed) }
    }

    /// Skips a word in any case.
    pub(super) fn word(&mut self, word: &[u8]) -> bool {
        match self.rest.split_at_checked(word.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(word) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads an array's element, up to `delimiter` or `}`, into `out`: false for NULL. White space around it
    /// does not count, unless it is in quotes or behind a backslash.
    pub(super) fn element(&mut self, delimiter: u8, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        out.clear();
        self.blanks();
        if self.skip(b'"') {
            loop {
                match self.next().ok_or(Malformed)? {
                    b'"' => break,
                    b'\\' => out.push(self.next().ok_or(Malformed)?),
                    byte => out.push(byte),
                }
            }
            self.blanks();
            return match self.peek() {
                Some(byte) if byte == delimiter || byte == b'}' => Ok(true),
                _ => Err(Malformed),
            };
        }
        // Up to here nothing may be cut: it was behind a backslash.
        let mut kept = 0;
        let mut has_backslash = false;
        loop {
            match self.peek().ok_or(Malformed)? {
                byte if byte == delimiter || byte == b'}' => break,
                b'"' | b'{' => return Err(Malformed),
                b'\\' => {
                    self.next();
                    out.push(self.next().ok_or(Malformed)?);
                    has_backslash = true;
                    kept = out.len();
                }
                byte => {
                    self.next();
                    out.push(byte);
                }
            }
        }
        while out.len() > kept && out.last().is_some_and(|byte| is_space(*byte)) {
            out.pop();
        }
        if out.is_empty() {
            return Err(Malformed);
        }
        Ok(has_backslash || !out.eq_ignore_ascii_case(b"NULL"))
    }

    /// Reads a range's bound or a row's field, up to one of `ends`, into `out`: false where there is none, or
    /// NULL. White space counts. Quotes may begin and end anywhere; two of them, or one behind a backslash,
    /// are one.
    pub(super) fn field(&mut self, ends: &[u8], out: &mut Vec<u8>) -> Result<bool, Malformed> {
        out.clear();
        if self.peek().is_some_and(|byte| ends.contains(&byte)) {
            return Ok(false);
        }
        let mut is_quoted = false;
        loop {
            match self.peek().ok_or(Malformed)? {
                byte if !is_quoted && ends.contains(&byte) => return Ok(true),
                b'\\' => {
                    self.next();
                    out.push(self.next().ok_or(Malformed)?);
                }
                b'"' => {
                    self.next();
                    if is_quoted && self.skip(b'"') {
                        out.push(b'"');
                    } else {
                        is_quoted = !is_quoted;
                    }
                }
                byte => {
                    self.next();
                    out.push(byte);
                }
            }
        }
    }
}

/// Appends a part in quotes, in which it may hold anything: all four functions read it alike.
pub(super) fn quote(part: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in part {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
