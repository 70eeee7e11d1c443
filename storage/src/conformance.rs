//! The laws of [`Store`] as functions, run against every implementation.
//!
//! ```
//! abide_storage::conformance!(memory, abide_storage::conformance::MemoryFixture::default());
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::commit::{LogStore, Options, Seams};
use crate::engine::Engine;
use crate::memory_store::MemoryStore;
use crate::store::{BoxFuture, Store};

mod activation;
pub mod laws;

pub use activation::{Activation, object, put};

/// A store that can be closed, killed and opened again.
pub trait Fixture: Send {
    /// The store as it is now. A law gives it back before it reopens.
    fn store(&self) -> Arc<dyn Store>;

    /// Shuts the store down and opens it again.
    fn reopen(&mut self) -> BoxFuture<'_, ()>;

    /// Kills the store, as far as one process can, and opens it again.
    fn crash(&mut self);
}

/// A [`MemoryStore`].
#[derive(Debug, Default)]
pub struct MemoryFixture {
    store: Arc<MemoryStore>,
}

impl Fixture for MemoryFixture {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.store.shutdown().await;
            self.crash();
        })
    }

    fn crash(&mut self) {
        self.store = Arc::new(self.store.crash());
    }
}

/// A [`LogStore`] in a temporary folder.
#[derive(Debug)]
pub struct LogFixture {
    folder: tempfile::TempDir,
    options: Options,
    /// An engine in memory that outlives the store, standing for its files.
    engine: Option<Arc<dyn Engine>>,
    store: Option<Arc<LogStore>>,
}

impl LogFixture {
    /// A new store with these options.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut fixture = Self {
            folder,
            options,
            engine: None,
            store: None,
        };
        fixture.open();
        fixture
    }

    /// The options with which every law sees checkpoints all the time.
    #[must_use]
    pub fn tiny(options: Options) -> Options {
        Options {
            segment_size_bytes: 1 << 20,
            first_segment_size_bytes: 64 << 10,
            checkpoint_size_bytes: 1 << 10,
            engine_cache_size_bytes: 4 << 20,
            reader_threads: 2,
            ..options
        }
    }

    /// The folder the store is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store, with all that it offers beyond the contract.
    ///
    /// # Panics
    /// Never, outside of reopening.
    #[must_use]
    pub fn log_store(&self) -> Arc<LogStore> {
        self.store
            .clone()
            .expect("the store is open between reopenings")
    }

    fn close(&mut self) {
        let store = self
            .store
            .take()
            .expect("the store is open between reopenings");
        assert_eq!(Arc::strong_count(&store), 1, "a law holds on to the store");
    }

    fn open(&mut self) {
        let seams = Seams {
            engine: self.engine.clone(),
            ..Seams::default()
        };
        let store = LogStore::open_with(self.folder.path(), self.options.clone(), seams);
        self.store = Some(store.unwrap_or_else(|error| panic!("{error}")));
    }
}

impl Fixture for LogFixture {
    fn store(&self) -> Arc<dyn Store> {
        self.log_store()
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.log_store().shutdown().await;
            self.close();
            self.open();
        })
    }

    fn crash(&mut self) {
        self.close();
        self.open();
    }
}

/// Makes a module of tests, one per law, each with a fresh fixture. The user needs tokio with
/// `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $fixture:expr) => {
        $crate::conformance! { @laws $name, $fixture,
            never_written_is_empty
            commits_survive_reopening
            commits_survive_a_crash
            reads_see_what_is_accepted
            the_last_write_of_a_row_wins
            deletions_hide_older_rows
            scans_keep_to_bounds_order_and_limit
            scans_merge_old_and_new_rows
            sections_and_objects_are_apart
            a_newer_opening_fences_the_older
            closing_fences_its_own_epoch_only
            epochs_grow_through_everything
            tickets_answer_in_order
            a_dropped_ticket_takes_nothing_back
            opening_shows_durable_commits_only
            alarms_are_listed_by_time
            objects_are_listed_by_namespace
            names_are_kept
            too_large_commits_leave_no_trace
            large_values_come_and_go
            many_objects_at_once
            room_is_there
            shutdown_refuses_commits
        }
    };
    (@laws $name:ident, $fixture:expr, $($law:ident)*) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    let mut fixture = $fixture;
                    $crate::conformance::laws::$law(&mut fixture).await;
                }
            )*
        }
    };
}
