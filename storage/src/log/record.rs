//! One group of commits in a segment.
//!
//! ```text
//!   0        4       8        12      16               24               32     40
//! +--------+-------+--------+-------+----------------+----------------+------+---------+---------+
//! | magic  | crc   | length | count | first sequence | segment number | time | payload | padding |
//! +--------+-------+--------+-------+----------------+----------------+------+---------+---------+
//! ```
//!
//! Little-endian. `time` is when the group was written, ms since 1970, never less than that of the group
//! before; segments of format 1 have none. `length` is the payload's with the time, `count` the number of commits in it, which have
//! consecutive sequences. The CRC-32C starts from the segment's salt and covers everything after
//! itself up to the end of the payload. Padding brings the next record to a multiple of 8.

use super::segment::SegmentHeader;
use crate::id::Timestamp;
use crate::teeth::{Tooth, broken};

/// Size of a record without time and payload, bytes.
pub(super) const HEADER_SIZE_BYTES: usize = 32;
/// Size of the time, bytes.
pub(super) const TIME_SIZE_BYTES: usize = 8;

/// No byte of it is zero and no two are equal: neither zeros nor text look like a record.
const MAGIC: [u8; 4] = [0xab, 0x1d, 0xe7, 0x09];
const ALIGNMENT_BYTES: usize = 8;

/// A valid record found in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) first_sequence: u64,
    pub(super) count: u32,
    /// When it was written; `None` in a segment of format 1.
    pub(super) time: Option<Timestamp>,
    pub(super) payload: &'a [u8],
    /// Space it takes in the segment, bytes.
    pub(super) size_bytes: usize,
}

/// Space a record of this length takes, bytes.
pub(super) fn size_bytes(length_bytes: usize) -> usize {
    (HEADER_SIZE_BYTES + length_bytes).next_multiple_of(ALIGNMENT_BYTES)
}

/// Starts a record: leaves room in `buffer` for its header; the payload is appended next.
pub(super) fn begin(buffer: &mut Vec<u8>, time: Timestamp) {
    buffer.clear();
    buffer.resize(HEADER_SIZE_BYTES, 0);
    buffer.extend_from_slice(&time.0.to_le_bytes());
}

/// Finishes the record that [`begin`] started, for the segment it will stand in.
pub(super) fn finish(
    buffer: &mut Vec<u8>,
    segment: &SegmentHeader,
    first_sequence: u64,
    count: u32,
) {
    let length = u32::try_from(buffer.len() - HEADER_SIZE_BYTES).expect("a group is below 4 GiB");
    buffer[..4].copy_from_slice(&MAGIC);
    buffer[8..12].copy_from_slice(&length.to_le_bytes());
    buffer[12..16].copy_from_slice(&count.to_le_bytes());
    buffer[16..24].copy_from_slice(&first_sequence.to_le_bytes());
    buffer[24..32].copy_from_slice(&segment.number.to_le_bytes());
    let crc = checksum(segment, &buffer[8..]);
    buffer[4..8].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT_BYTES), 0);
}

/// The valid record that starts at `offset` of the segment, if one does.
pub(super) fn read<'a>(
    segment: &SegmentHeader,
    bytes: &'a [u8],
    offset: usize,
) -> Option<Record<'a>> {
    let header = claimed(segment, bytes, offset)?;
    let covered = bytes
        .get(offset + 8..)?
        .get(..HEADER_SIZE_BYTES - 8 + header.length)?;
    let crc = u32::from_le_bytes(bytes[offset + 4..offset + 8].try_into().expect("4 bytes"));
    if checksum(segment, covered) != crc && !broken(Tooth::IgnoreChecksum) {
        return None;
    }
    let body = &covered[HEADER_SIZE_BYTES - 8..];
    let (time, payload) = if segment.has_times() {
        let (time, payload) = body.split_first_chunk::<TIME_SIZE_BYTES>()?;
        (Some(Timestamp(u64::from_le_bytes(*time))), payload)
    } else {
        (None, body)
    };
    Some(Record {
        first_sequence: header.first_sequence,
        count: header.count,
        time,
        payload,
        size_bytes: size_bytes(header.length),
    })
}

/// Bytes that the beginning of a record at `offset` claims for it, valid or not; 0 when no
/// record of this segment begins there.
pub(super) fn claimed_size_bytes(segment: &SegmentHeader, bytes: &[u8], offset: usize) -> u64 {
    let room = bytes.len().saturating_sub(offset);
    claimed(segment, bytes, offset).map_or(0, |header| size_bytes(header.length).min(room) as u64)
}

/// Space that the record with this header claims, bytes, valid or not; `None` when it is no header
/// of this segment.
pub(super) fn claimed_by_header(segment: &SegmentHeader, header: &[u8]) -> Option<usize> {
    claimed(segment, header, 0).map(|header| size_bytes(header.length))
}

/// First offset after `from` with a valid record of this segment whose sequence is at least
/// `first_sequence`.
pub(super) fn find_after(
    segment: &SegmentHeader,
    bytes: &[u8],
    from: usize,
    first_sequence: u64,
) -> Option<usize> {
    let first = (from + 1).next_multiple_of(ALIGNMENT_BYTES);
    (first..bytes.len())
        .step_by(ALIGNMENT_BYTES)
        .find(|&offset| {
            bytes[offset..].starts_with(&MAGIC)
                && read(segment, bytes, offset)
                    .is_some_and(|record| record.first_sequence >= first_sequence)
        })
}

struct Claimed {
    length: usize,
    count: u32,
    first_sequence: u64,
}

fn claimed(segment: &SegmentHeader, bytes: &[u8], offset: usize) -> Option<Claimed> {
    let header = bytes.get(offset..)?.get(..HEADER_SIZE_BYTES)?;
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    (header.starts_with(&MAGIC) && u64_at(24) == segment.number).then(|| Claimed {
        length: u32_at(8) as usize,
        count: u32_at(12),
        first_sequence: u64_at(16),
    })
}

fn checksum(segment: &SegmentHeader, covered: &[u8]) -> u32 {
    // CRC-32C is linear: the salt must go through it, not be added to the result.
    crc32c::crc32c_append(crc32c::crc32c(&segment.salt.to_le_bytes()), covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentHeader = SegmentHeader {
        format: 2,
        number: 5,
        first_sequence: 1,
        salt: 77,
        size_bytes: 1_024,
    };

    fn record(payload: &[u8], first_sequence: u64) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer, Timestamp(258));
        buffer.extend_from_slice(payload);
        finish(&mut buffer, &SEGMENT, first_sequence, 2);
        buffer
    }

    /// These bytes are on disks: a change here is a new format number of the segment.
    #[test]
    fn golden_record() {
        let bytes = record(b"abc", 9);
        let covered = [
            b"\x0b\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0".as_slice(),
            b"\x02\x01\0\0\0\0\0\0abc",
        ]
        .concat();
        let salted = [77_u64.to_le_bytes().as_slice(), &covered].concat();
        let crc = crc32c::crc32c(&salted).to_le_bytes();
        let expected = [&MAGIC, crc.as_slice(), &covered, &[0; 5]].concat();
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), size_bytes(11));
        let read = read(&SEGMENT, &bytes, 0).unwrap();
        assert_eq!(
            read,
            Record {
                first_sequence: 9,
                count: 2,
                time: Some(Timestamp(258)),
                payload: b"abc",
                size_bytes: 48,
            }
        );
    }

    /// What the first release wrote: no time before the payload.
    #[test]
    fn golden_record_of_format_1() {
        let segment = SegmentHeader {
            format: 1,
            ..SEGMENT
        };
        let covered = [
            b"\x03\0\0\0\x02\0\0\0\x09\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0".as_slice(),
            b"abc",
        ]
        .concat();
        let salted = [77_u64.to_le_bytes().as_slice(), &covered].concat();
        let crc = crc32c::crc32c(&salted).to_le_bytes();
        let bytes = [&MAGIC, crc.as_slice(), &covered, &[0; 5]].concat();
        let wanted = Record {
            first_sequence: 9,
            count: 2,
            time: None,
            payload: b"abc",
            size_bytes: 40,
        };
        assert_eq!(read(&segment, &bytes, 0), Some(wanted));
    }

    #[test]
    fn a_record_without_room_for_its_time_is_none() {
        let mut buffer = vec![0; HEADER_SIZE_BYTES];
        buffer.extend_from_slice(b"abc");
        finish(&mut buffer, &SEGMENT, 9, 2);
        assert_eq!(read(&SEGMENT, &buffer, 0), None);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = record(b"abc", 9);
        for bit in 0..(HEADER_SIZE_BYTES + TIME_SIZE_BYTES + 3) * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&SEGMENT, &bytes, 0), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_use_of_the_segment_is_none() {
        let bytes = record(b"abc", 9);
        assert_eq!(
            read(
                &SegmentHeader {
                    number: 6,
                    ..SEGMENT
                },
                &bytes,
                0
            ),
            None
        );
        assert_eq!(
            read(
                &SegmentHeader {
                    salt: 78,
                    ..SEGMENT
                },
                &bytes,
                0
            ),
            None
        );
    }

    #[test]
    fn later_records_are_found_by_sequence() {
        let mut bytes = vec![0; 64];
        bytes.extend(record(b"old", 3));
        bytes.extend(record(b"new", 9));
        assert_eq!(find_after(&SEGMENT, &bytes, 0, 3), Some(64));
        assert_eq!(
            find_after(&SEGMENT, &bytes, 0, 4),
            Some(64 + size_bytes(11))
        );
        assert_eq!(find_after(&SEGMENT, &bytes, 0, 10), None);
        assert_eq!(
            find_after(&SEGMENT, &bytes, 64, 3),
            Some(64 + size_bytes(11))
        );
    }
}
