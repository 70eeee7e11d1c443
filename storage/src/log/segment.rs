//! The header of a segment.
//!
//! ```text
//!   0          8        12      16       24               32     40     48
//! +----------+--------+-------+--------+----------------+------+------+--------- … ------+
//! | abidelog | format | crc   | number | first sequence | salt | size | zeros up to 4,096|
//! +----------+--------+-------+--------+----------------+------+------+--------- … ------+
//! ```
//!
//! Little-endian. The CRC-32C covers the 48 bytes with its own field as zero. Records start at
//! 4,096: no write of a record touches the page of the header.
//!
//! Format 2 begins the payload of each record with a time (`record.rs`); format 1 had none.
//!
//! **readable-forever**: the format stands before everything that a later one may change, and
//! covers the records (`record.rs`) and the commits in them. A newer format is refused by name;
//! an older one must stay readable.

/// Where the first record of a segment starts, bytes.
pub(super) const HEADER_SIZE_BYTES: usize = 4_096;

const MAGIC: &[u8; 8] = b"abidelog";
/// The format this release writes.
pub(super) const FORMAT: u32 = 2;
/// The first format whose records say when they were written.
const FORMAT_WITH_TIMES: u32 = 2;
const USED_SIZE_BYTES: usize = 48;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// How its records are laid out; every one up to [`FORMAT`] can be read.
    pub(super) format: u32,
    /// Position of the segment in the log, from 1; also the name of its file.
    pub(super) number: u64,
    /// Sequence of the first commit in it.
    pub(super) first_sequence: u64,
    /// Random. Starts the CRC of every record, so that neither records of the segment's former
    /// use nor bytes that a client chose can pass for records.
    pub(super) salt: u64,
    /// Size of the file, bytes.
    pub(super) size_bytes: u64,
}

/// Why the first bytes of a file are no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderError {
    Damaged,
    NewerFormat { found: u32, supported: u32 },
}

impl SegmentHeader {
    /// Whether its records say when they were written.
    pub(super) fn has_times(&self) -> bool {
        self.format >= FORMAT_WITH_TIMES
    }

    pub(super) fn encode(&self) -> [u8; HEADER_SIZE_BYTES] {
        let mut bytes = [0; HEADER_SIZE_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.format.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.size_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..USED_SIZE_BYTES]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut used: [u8; USED_SIZE_BYTES] = bytes
            .get(..USED_SIZE_BYTES)
            .and_then(|used| used.try_into().ok())
            .ok_or(HeaderError::Damaged)?;
        if &used[..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        let u32_at = |at: usize| u32::from_le_bytes(used[at..at + 4].try_into().expect("4 bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(used[at..at + 8].try_into().expect("8 bytes"));
        // The format is looked at before the CRC: a newer one may compute it in another way.
        let (found, crc) = (u32_at(8), u32_at(12));
        if found == 0 {
            return Err(HeaderError::Damaged);
        }
        if found > FORMAT {
            return Err(HeaderError::NewerFormat {
                found,
                supported: FORMAT,
            });
        }
        let header = Self {
            format: found,
            number: u64_at(16),
            first_sequence: u64_at(24),
            salt: u64_at(32),
            size_bytes: u64_at(40),
        };
        used[12..16].fill(0);
        if crc32c::crc32c(&used) == crc {
            Ok(header)
        } else {
            Err(HeaderError::Damaged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            format: 2,
            number: 1,
            first_sequence: 2,
            salt: 3,
            size_bytes: 4,
        }
    }

    /// These bytes are on disks: a change here is a new format number.
    #[test]
    fn golden_header() {
        let expected = [
            b"abidelog\x02\0\0\0".as_slice(),
            &crc32c::crc32c(
                b"abidelog\x02\0\0\0\0\0\0\0\
                \x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0",
            )
            .to_le_bytes(),
            b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0",
        ]
        .concat();
        assert_eq!(header().encode()[..USED_SIZE_BYTES], expected);
        assert_eq!(SegmentHeader::decode(&header().encode()), Ok(header()));
        let before = SegmentHeader {
            format: 1,
            ..header()
        };
        assert_eq!(SegmentHeader::decode(&before.encode()), Ok(before));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..USED_SIZE_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_named_as_such() {
        let mut bytes = header().encode();
        bytes[8] = 3;
        let error = HeaderError::NewerFormat {
            found: 3,
            supported: 2,
        };
        assert_eq!(SegmentHeader::decode(&bytes), Err(error));
    }
}
