//! A folder as one small file: stores keep much room for later, and that room is zeros.
//!
//! ```text
//! abide golden folder 1\n
//! file <path> <size in bytes>\n       every file, in order of path
//! at <offset> <length>\n<bytes>\n     its parts that are not zeros
//! end\n
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const TITLE: &str = "abide golden folder 1";
/// Zeros are left out in blocks of this size.
const BLOCK_SIZE_BYTES: usize = 64;

/// Packs every file of a folder but its lock.
pub(super) fn pack(folder: &Path, pack: &Path) {
    let mut paths = files(folder);
    paths.sort();
    let mut out = Vec::new();
    writeln!(out, "{TITLE}").unwrap();
    for path in paths {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
        if name == "LOCK" {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        writeln!(out, "file {name} {}", bytes.len()).unwrap();
        let zero = |at: usize| {
            bytes[at..]
                .iter()
                .take(BLOCK_SIZE_BYTES)
                .all(|byte| *byte == 0)
        };
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() && !zero(at) {
                at = bytes.len().min(at + BLOCK_SIZE_BYTES);
            }
            if at > start {
                writeln!(out, "at {start} {}", at - start).unwrap();
                out.extend_from_slice(&bytes[start..at]);
                out.push(b'\n');
            } else {
                at += BLOCK_SIZE_BYTES;
            }
        }
    }
    writeln!(out, "end").unwrap();
    fs::write(pack, out).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Makes the folder again, byte by byte.
pub(super) fn unpack(pack: &Path, folder: &Path) {
    let packed = fs::read(pack).unwrap();
    let mut rest = &packed[..];
    assert_eq!(line(&mut rest), TITLE);
    let mut file: Option<(PathBuf, Vec<u8>)> = None;
    loop {
        let line = line(&mut rest).to_owned();
        let words: Vec<_> = line.split(' ').collect();
        if words[0] != "at"
            && let Some((path, bytes)) = file.take()
        {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        match words[..] {
            ["file", name, size] => file = Some((folder.join(name), vec![0; number(size)])),
            ["at", offset, length] => {
                let (offset, length) = (number(offset), number(length));
                let (_, bytes) = file.as_mut().unwrap();
                bytes[offset..offset + length].copy_from_slice(&rest[..length]);
                rest = &rest[length + 1..];
            }
            ["end"] => return,
            _ => panic!("no line of a packed folder: {line:?}"),
        }
    }
}

fn line<'a>(rest: &mut &'a [u8]) -> &'a str {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    std::str::from_utf8(line).unwrap()
}

fn number(text: &str) -> usize {
    text.parse().unwrap()
}

#[test]
fn a_packed_folder_is_the_same_when_unpacked() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut bytes = vec![0; 10_000];
    bytes[0] = 1;
    bytes[5_000..5_100].fill(b'\n');
    bytes[9_999] = 2;
    let contents = [
        ("a", bytes),
        ("b/c", vec![0; 300]),
        ("b/d", vec![]),
        ("e", vec![7; 65]),
    ];
    for (name, bytes) in &contents {
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let packed = to.path().join("packed");
    pack(from.path(), &packed);
    unpack(&packed, &to.path().join("again"));
    for (name, bytes) in contents {
        assert_eq!(
            fs::read(to.path().join("again").join(name)).unwrap(),
            bytes,
            "{name}"
        );
    }
}
