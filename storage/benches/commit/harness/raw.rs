//! The bare file system: the limit of a log on this disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use abide_storage::Row;

/// A file filled with zeros, written round and round.
pub(super) struct RawFile {
    file: File,
    offset: u64,
    buffer: Vec<u8>,
}

const RAW_SIZE_BYTES: u64 = 256 << 20;
/// What Abide's log adds to a commit of three rows: its own header and those of the rows.
const COMMIT_HEADER_SIZE_BYTES: usize = 60;
const ROW_HEADER_SIZE_BYTES: usize = 8;

impl RawFile {
    pub(super) fn create(path: &Path) -> Self {
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(path)
            .unwrap();
        let zeros = vec![0; 1 << 20];
        for offset in (0..RAW_SIZE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset).unwrap();
        }
        file.sync_all().unwrap();
        Self {
            file,
            offset: 0,
            buffer: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, group: &[Vec<Row>]) {
        let Self {
            file,
            offset,
            buffer,
        } = self;
        buffer.clear();
        for rows in group {
            buffer.extend_from_slice(&[1; COMMIT_HEADER_SIZE_BYTES]);
            for row in rows {
                buffer.extend_from_slice(&[2; ROW_HEADER_SIZE_BYTES]);
                buffer.extend_from_slice(&row.key);
                buffer.extend_from_slice(row.value.as_ref().unwrap());
            }
        }
        if *offset + buffer.len() as u64 > RAW_SIZE_BYTES {
            *offset = 0;
        }
        file.write_all_at(buffer, *offset).unwrap();
        file.sync_data().unwrap();
        *offset += buffer.len() as u64;
    }
}
