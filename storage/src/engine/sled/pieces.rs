//! Values over 4 KiB as several rows of sled.
//!
//! ```text
//! key                               → 0x00 | value                              up to 4 KiB
//! key                               → 0x01 | side | count (4) | size (8)        above
//! 0xf0 | key | side | number (4)    → 4 KiB of the value, the last one less
//! ```
//!
//! Numbers are big-endian in keys, little-endian in values. Two rows never share a piece's key:
//! of equal length, their keys would have to be equal too. The side changes with every value, so
//! that the pieces of the next value never touch those of the present one.

use super::EngineError;

/// Largest value that stays whole, and largest piece, bytes.
pub(super) const SIZE_MAX_BYTES: usize = 4_096;
/// Where the keys of pieces begin. No key of a row does.
pub(super) const PIECES: &[u8] = &[0xf0];

const INLINE: u8 = 0x00;
const CUT: u8 = 0x01;

/// What stands under a row's own key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    Inline(&'a [u8]),
    Cut {
        side: u8,
        count: u32,
        size_bytes: usize,
    },
}

impl<'a> Head<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline(value) => {
                let mut bytes = Vec::with_capacity(1 + value.len());
                bytes.push(INLINE);
                bytes.extend_from_slice(value);
                bytes
            }
            Self::Cut {
                side,
                count,
                size_bytes,
            } => {
                let mut bytes = vec![CUT, *side];
                bytes.extend_from_slice(&count.to_le_bytes());
                bytes.extend_from_slice(&(*size_bytes as u64).to_le_bytes());
                bytes
            }
        }
    }

    pub(super) fn decode(stored: &'a [u8]) -> Result<Self, EngineError> {
        match stored.split_first() {
            Some((&INLINE, value)) => Ok(Self::Inline(value)),
            Some((&CUT, &[side, ref numbers @ ..])) if numbers.len() == 12 => {
                let (count, size) = numbers.split_at(4);
                let size_bytes = u64::from_le_bytes(size.try_into().expect("8 bytes"));
                Ok(Self::Cut {
                    side,
                    count: u32::from_le_bytes(count.try_into().expect("4 bytes")),
                    size_bytes: usize::try_from(size_bytes).map_err(|_| damaged())?,
                })
            }
            _ => Err(damaged()),
        }
    }

    /// The side that the pieces of the next value go to.
    pub(super) fn other_side(&self) -> u8 {
        match self {
            Self::Inline(_) => 0,
            Self::Cut { side, .. } => side ^ 1,
        }
    }
}

/// Key of one piece.
pub(super) fn key(row: &[u8], side: u8, number: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(6 + row.len());
    bytes.extend_from_slice(PIECES);
    bytes.extend_from_slice(row);
    bytes.push(side);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

/// A piece that should be there is not.
pub(super) fn missing(row: &[u8], number: u32) -> EngineError {
    EngineError::Failed(format!(
        "piece {number} of a value with a key of {} bytes is missing",
        row.len()
    ))
}

fn damaged() -> EngineError {
    EngineError::Failed("a row begins with no known head".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes are on disks: a change here is a new folder format.
    #[test]
    fn golden_heads_and_keys() {
        assert_eq!(Head::Inline(b"ab").encode(), b"\0ab");
        let cut = Head::Cut {
            side: 1,
            count: 3,
            size_bytes: 0x2001,
        };
        assert_eq!(cut.encode(), b"\x01\x01\x03\0\0\0\x01\x20\0\0\0\0\0\0");
        assert_eq!(Head::decode(&cut.encode()).unwrap(), cut);
        assert_eq!(key(b"\x10k", 1, 2), b"\xf0\x10k\x01\0\0\0\x02");
    }

    #[test]
    fn damaged_heads_are_errors() {
        for bytes in [b"".as_slice(), b"\x02", b"\x01", b"\x01\x00\x01"] {
            assert!(Head::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
