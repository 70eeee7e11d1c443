//! What the fuzzers drive of history: reading one of its files, whatever it holds.

use std::path::{Path, PathBuf};

use super::container::{Content, Header, forge};
use super::{base, groups};
use crate::log::fuzzing::{Files, Input};

const BLOCKS_MAX: u8 = 3;
/// Where the header has the two numbers that are the name of the file.
const FIRST_AT: usize = 40;
const LAST_AT: usize = 48;

/// Reads a file of history. The first byte says which:
///
/// - its bytes are these: reading ends, in an answer;
/// - its checksums are right, and the numbers of the header and what is in the blocks are these bytes:
///   likewise, and what is handed out follows each other.
pub fn history_file(data: &[u8]) {
    let mut input = Input(data);
    let content = match input.byte() % 4 {
        0 | 1 => Content::Commits,
        _ => Content::Rows,
    };
    let (name, bytes) = match data.first() {
        Some(first) if first % 2 == 1 => forged(content, input),
        _ => raw(content, input.0),
    };
    let path = Path::new("history").join(name);
    let disk = Files::new([(path.clone(), bytes)]);
    let answers = [read_commits(&disk, &path), read_rows(&disk, &path)];
    for answer in answers.into_iter().flatten() {
        assert!(answer.len() < 1_000, "{answer}");
    }
}

fn raw(content: Content, bytes: &[u8]) -> (PathBuf, Vec<u8>) {
    let number = |at: usize| {
        let bytes = bytes
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let name = Header::made_up(content, (number(FIRST_AT), number(LAST_AT)), 0).file_name();
    (name.into(), bytes.to_vec())
}

fn forged(content: Content, mut input: Input<'_>) -> (PathBuf, Vec<u8>) {
    let first = input.or_else_chosen(1);
    let last = input.or_else_chosen(first);
    let items = input.or_else_chosen(1);
    let mut blocks = Vec::new();
    for _ in 0..input.byte() % BLOCKS_MAX + 1 {
        let size = input.byte();
        blocks.push(input.take(size).to_vec());
    }
    let (name, bytes) = forge(Header::made_up(content, (first, last), items), &blocks);
    (name.into(), bytes)
}

fn read_commits(disk: &Files, path: &Path) -> Option<String> {
    let mut next = None;
    let read = groups::read_file(disk, path, (0, u64::MAX), &mut |group| {
        assert!(next.is_none_or(|next| next == group.first_sequence));
        next = Some(group.last_sequence() + 1);
        Ok(())
    });
    read.err().map(|error| error.to_string())
}

fn read_rows(disk: &Files, path: &Path) -> Option<String> {
    let mut last_key = None;
    let read = base::read(disk, path, &mut |rows| {
        for row in rows {
            assert!(last_key.as_ref().is_none_or(|last| *last < row.key));
            last_key = Some(row.key);
        }
        Ok(())
    });
    read.err().map(|error| error.to_string())
}

/// A file of each kind as it is, and with numbers that are lies.
#[must_use]
pub fn history_file_seeds() -> Vec<Vec<u8>> {
    let group = |first: u64, payload: &[u8]| {
        let size = u32::try_from(payload.len()).expect("a few bytes");
        let numbers = [first.to_le_bytes(), 9_u64.to_le_bytes()].concat();
        let sizes = [1_u32.to_le_bytes(), size.to_le_bytes()].concat();
        [&numbers, &sizes, payload].concat()
    };
    let row = |key: &[u8], value: &[u8]| {
        let key_size = u16::try_from(key.len()).expect("a few bytes");
        let value_size = u32::try_from(value.len()).expect("a few bytes");
        let sizes = [&key_size.to_le_bytes()[..], &value_size.to_le_bytes()].concat();
        [&sizes, key, value].concat()
    };
    let commits = [group(1, b"one"), group(2, b"two")].concat();
    let rows = [row(b"a", b"1"), row(b"b", b"2")].concat();
    let whole = |content: Content, block: &Vec<u8>| {
        let (_, bytes) = forge(
            Header::made_up(content, (1, 2), 2),
            std::slice::from_ref(block),
        );
        bytes
    };
    let chosen = |kind: u8, numbers: &[u8], block: &[u8]| {
        let size = u8::try_from(block.len()).expect("a small block");
        [&[kind], numbers, &[0, size], block].concat()
    };
    vec![
        [&[0], &whole(Content::Commits, &commits)[..]].concat(),
        [&[2], &whole(Content::Rows, &rows)[..]].concat(),
        chosen(1, &[0, 0xf0, 2, 0xf0, 2], &commits),
        chosen(3, &[0, 0xf0, 2, 0xf0, 2], &rows),
        chosen(1, &[0xf0, 0xff, 0, 0, 0], &group(u64::MAX, b"last")),
    ]
}
