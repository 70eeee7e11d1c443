//! What is committed.

use bytes::Bytes;

const ROWS_PER_COMMIT: usize = 3;

/// What a commit looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) value_size_bytes: usize,
    pub(super) keys: u64,
}

/// The rows of a writer's next commit.
pub(super) fn rows(writer: usize, version: u64, shape: Shape) -> [(Bytes, Bytes); ROWS_PER_COMMIT] {
    std::array::from_fn(|row| {
        let number = (version * ROWS_PER_COMMIT as u64 + row as u64) % shape.keys;
        let key = format!("key {writer:05} {number:05}");
        let mut value = vec![number as u8; shape.value_size_bytes];
        value[..8].copy_from_slice(&version.to_le_bytes());
        (key.into(), value.into())
    })
}
