//! Numbers, bytes and text as lib0 writes them: the alphabet of every Yjs message.
//!
//! A number is written in groups of seven bits, the lowest first, each byte but the last with its
//! high bit set. Bytes and text are preceded by their length. (lib0, `encoding.js`.)

use std::fmt;

use abide::prelude::*;

/// Largest number a Yjs client can hold: its numbers are JavaScript's.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Why a frame is not what a Yjs client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A kind of frame or message that this server does not take.
    Unsupported(&'static str),
    /// Right kind, wrong content.
    Content(&'static str),
}

impl Malformed {
    /// The code to close the session with.
    pub(crate) fn close_code(self) -> u16 {
        match self {
            Self::Unsupported(_) => Close::UNSUPPORTED,
            Self::Content(_) => Close::INVALID_PAYLOAD,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unsupported(problem) | Self::Content(problem)) = self;
        f.write_str(problem)
    }
}

/// Reads from untrusted bytes; never allocates, never panics.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return if number <= NUMBER_MAX {
                    Ok(number)
                } else {
                    Err(TOO_LARGE)
                };
            }
        }
        Err(TOO_LARGE)
    }

    /// The number that comes next, without taking it.
    pub(crate) fn peek_number(&self) -> Result<u64, Malformed> {
        Self(self.0).number()
    }

    /// A number of things that follow. Each takes a byte or more, so a count that the bytes left
    /// cannot hold is a lie, and nobody gets to reserve memory for it.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| TOO_LARGE)?;
        if count > self.0.len() {
            Err(TOO_SHORT)
        } else {
            Ok(count)
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let size = self.count()?;
        self.take(size)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Content("text is not UTF-8"))
    }
}

const TOO_SHORT: Malformed = Malformed::Content("the message ends too early");
const TOO_LARGE: Malformed = Malformed::Content("a number is too large");

/// Appends a number.
pub(crate) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends bytes, after their length.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
