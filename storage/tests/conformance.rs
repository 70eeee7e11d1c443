//! Every law on every store.

use abide_storage::conformance::{LogFixture, MemoryFixture};
use abide_storage::{EngineKind, Options};

fn options(engine: EngineKind) -> Options {
    Options {
        engine,
        ..Options::default()
    }
}

abide_storage::conformance!(memory_store, MemoryFixture::default());
abide_storage::conformance!(log_memory, LogFixture::new(options(EngineKind::Memory)));
abide_storage::conformance!(log_sled, LogFixture::new(options(EngineKind::Sled)));
abide_storage::conformance!(log_redb, LogFixture::new(options(EngineKind::Redb)));
// Once more with checkpoints all the time.
abide_storage::conformance!(
    tiny_memory,
    LogFixture::new(LogFixture::tiny(options(EngineKind::Memory)))
);
abide_storage::conformance!(
    tiny_sled,
    LogFixture::new(LogFixture::tiny(options(EngineKind::Sled)))
);
abide_storage::conformance!(
    tiny_redb,
    LogFixture::new(LogFixture::tiny(options(EngineKind::Redb)))
);
