//! What an embedded store can be told.

use std::time::Duration;

use crate::engine::EngineKind;
use crate::limits::COMMIT_SIZE_MAX_BYTES_DEFAULT;

/// Settings of a [`LogStore`](crate::LogStore). Values outside their range are brought to its
/// nearer end when the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The engine. A folder made with one is refused with another. Default: sled.
    pub engine: EngineKind,
    /// Memory the engine may use to cache its pages, bytes. Default 128 MiB, at least 1 MiB.
    /// It is outside the overlay's bound.
    pub engine_cache_size_bytes: u64,
    /// Size of a log segment, bytes. Default 32 MiB, 1 MiB to 1 GiB. A larger one rolls less
    /// often; up to two spares of this size are kept ready.
    pub segment_size_bytes: u64,
    /// Size of the first segment of a new store, bytes: it is filled with zeros while the caller
    /// of `open` waits. Default 512 KiB, at least 64 KiB.
    pub first_segment_size_bytes: u64,
    /// Largest encoded commit, bytes. Default 8 MiB, at most a quarter of a segment.
    pub commit_size_max_bytes: usize,
    /// Commits waiting for the log, bytes; above it [`Store::room`](crate::Store::room) waits.
    /// Default 64 MiB.
    pub queue_size_max_bytes: u64,
    /// Commits in the log and not yet in the engine, bytes of memory as estimated; above it
    /// [`Store::room`](crate::Store::room) waits. From half of it on, groups are slowed down
    /// more and more. Default 128 MiB, at least four checkpoints.
    pub overlay_size_max_bytes: u64,
    /// Commits gathered before they are moved to the engine, bytes of memory as estimated.
    /// Default 16 MiB. A larger one saves engine writes of rows that change often, and takes
    /// longer to replay after a crash.
    pub checkpoint_size_bytes: u64,
    /// Longest time a commit waits for its checkpoint. Default 10 s. Bounds the replay of a
    /// store with few writes.
    pub checkpoint_age: Duration,
    /// Free space below which commits are refused, bytes. Default 64 MiB. The engine may use half
    /// of it to finish the checkpoints it owes.
    pub disk_reserve_bytes: u64,
    /// How long states are kept to go back to. Default 7 days.
    pub history_age: Duration,
    /// What history may take on disk, bytes, bases included; 0 keeps none. Default 0. When it is
    /// less than four times the engine, it has no bases and serves incremental backups only.
    pub history_size_bytes: u64,
    /// Threads that read the engine. Default 4, 1 to 64. Each read holds one while it waits for the disk.
    pub reader_threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: EngineKind::default(),
            engine_cache_size_bytes: 128 << 20,
            segment_size_bytes: 32 << 20,
            first_segment_size_bytes: 512 << 10,
            commit_size_max_bytes: COMMIT_SIZE_MAX_BYTES_DEFAULT,
            queue_size_max_bytes: 64 << 20,
            overlay_size_max_bytes: 128 << 20,
            checkpoint_size_bytes: 16 << 20,
            checkpoint_age: Duration::from_secs(10),
            disk_reserve_bytes: 64 << 20,
            history_age: Duration::from_secs(7 * 86_400),
            history_size_bytes: 0,
            reader_threads: 4,
        }
    }
}

impl Options {
    /// The options with every value inside its range.
    pub(crate) fn clamped(mut self) -> Self {
        self.engine_cache_size_bytes = self.engine_cache_size_bytes.max(1 << 20);
        self.segment_size_bytes = self.segment_size_bytes.clamp(1 << 20, 1 << 30);
        self.first_segment_size_bytes = self
            .first_segment_size_bytes
            .clamp(64 << 10, self.segment_size_bytes);
        let quarter = usize::try_from(self.segment_size_bytes / 4).unwrap_or(usize::MAX);
        self.commit_size_max_bytes = self.commit_size_max_bytes.min(quarter);
        self.overlay_size_max_bytes = self
            .overlay_size_max_bytes
            .max(4 * self.checkpoint_size_bytes);
        self.reader_threads = self.reader_threads.clamp(1, 64);
        self
    }
}
