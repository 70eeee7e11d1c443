//! **readable-forever**: the bytes of everything in a folder of history. They are on disks: a change here is a new
//! format number.

use std::path::Path;
use std::sync::Arc;

use super::base;
use super::container::{Content, Draft, Header};
use super::groups::{self, GroupWriter, Origin};
use super::repository::{Repository, Timeline};
use crate::engine::Row;
use crate::id::Timestamp;
use crate::log::{Disk, Group, RealDisk};

const TIMELINE: Timeline = Timeline([7; 16]);

/// Numbers without four equal bytes in a row, which would be compressed.
const FIRST: u64 = 0x0102_0304_0506_0708;
const TIME: u64 = 0x1112_1314_1516_1718;
const COUNT: u32 = 0x2122_2324;

fn number(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}

/// A file of one block of literals, which LZ4 leaves as they are behind one byte of their length.
fn file(content: u8, [first, last]: [u64; 2], times: [u64; 2], raw: &[u8]) -> Vec<u8> {
    let block = match raw.len() {
        size @ ..15 => [&[u8::try_from(size).unwrap() << 4][..], raw].concat(),
        size => [&[0xf0, u8::try_from(size - 15).unwrap()][..], raw].concat(),
    };
    let size = |size: usize| u32::try_from(size).unwrap().to_le_bytes();
    let sizes = [size(block.len()), size(raw.len())].concat();
    // Where the block stands comes first: the file's first sequence, and 96.
    let sum = [&number(first)[..], &number(96), &sizes, &block].concat();
    let sum = crc32c::crc32c(&sum).to_le_bytes();
    let block = [&sizes[..], &sum, &block].concat();
    let header = |crc: [u8; 4]| {
        [
            b"abidehis\x01\0\0\0".as_slice(),
            &crc,
            &[content, 0, 0, 0, 0, 0, 0, 0],
            &[7; 16],
            &number(first),
            &number(last),
            &number(times[0]),
            &number(times[1]),
            // Generation, items, size.
            &number(9),
            &number(1),
            &number(96 + block.len() as u64),
        ]
        .concat()
    };
    let crc = crc32c::crc32c(&header([0; 4])).to_le_bytes();
    [header(crc), block].concat()
}

fn written(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn golden_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Repository::open_or_create(disk.clone(), folder.path(), TIMELINE).unwrap();
    let text = std::fs::read_to_string(folder.path().join("TIMELINE")).unwrap();
    let expected = "abide history\nformat 1\ntimeline 07070707070707070707070707070707\n";
    assert_eq!(text, expected);
    let opened = Repository::open(disk, folder.path()).unwrap().unwrap();
    assert_eq!(opened.timeline, TIMELINE);
}

#[test]
fn golden_commits() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin {
        timeline: TIMELINE,
        generation: 9,
    };
    let mut writer = GroupWriter::new(&RealDisk, folder.path(), origin);
    let group = Group {
        first_sequence: FIRST,
        count: COUNT,
        time: Timestamp(TIME),
        payload: "abc".into(),
    };
    writer.push(&group).unwrap();
    writer.finish().unwrap();
    let name = "00072623859790382856-00072623860346268203.commits";
    let item = [
        &number(FIRST)[..],
        &number(TIME),
        &COUNT.to_le_bytes(),
        &[3, 0, 0, 0],
        b"abc",
    ]
    .concat();
    let last = FIRST + u64::from(COUNT) - 1;
    let expected = file(1, [FIRST, last], [TIME, TIME], &item);
    assert_eq!(written(folder.path(), name), expected);

    let mut read = Vec::new();
    let path = folder.path().join(name);
    groups::read_file(&RealDisk, &path, (0, u64::MAX), &mut |group| {
        read.push(group);
        Ok(())
    })
    .unwrap();
    assert_eq!(read, [group]);
}

#[test]
fn golden_base() {
    let folder = tempfile::tempdir().unwrap();
    let mut draft = Draft::create(&RealDisk, folder.path(), Content::Rows, 5).unwrap();
    base::push(&mut draft, b"\x10k", b"value").unwrap();
    let header = Header {
        content: Content::Rows,
        timeline: TIMELINE,
        first: 5,
        last: 6,
        first_time: Timestamp(3),
        last_time: Timestamp(4),
        generation: 9,
        items: 0,
        size_bytes: 0,
    };
    draft.finish(header).unwrap();
    let name = "00000000000000000005-00000000000000000006.base";
    let item = [&[2, 0, 5, 0, 0, 0][..], b"\x10kvalue"].concat();
    assert_eq!(written(folder.path(), name), file(2, [5, 6], [3, 4], &item));

    let mut read = Vec::new();
    base::read(&RealDisk, &folder.path().join(name), &mut |rows| {
        read.extend(rows);
        Ok(())
    })
    .unwrap();
    let row = Row {
        key: "\x10k".into(),
        value: Some("value".into()),
    };
    assert_eq!(read, [row]);
}
