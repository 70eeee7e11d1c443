//! A store that serves: backups under load, history that outlives the log's segments, retention.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use abide_storage::fault::{DiskFault, DiskOperation, PowerSwitch};
use abide_storage::{Backup, EngineKind, HistoryReport, Options, Step, Target, Timestamp, history};

use crate::restored::compare;
use crate::written::{Written, object, options};

/// With history of everything.
fn remembering(engine: EngineKind) -> Options {
    Options {
        history_age: Duration::from_secs(1_000_000),
        history_size_bytes: 1 << 30,
        ..options(engine)
    }
}

impl Written {
    fn history(&self) -> HistoryReport {
        self.store.as_ref().unwrap().history().unwrap()
    }

    /// Commits until a condition holds, which a thread of the store brings about. Looks now and then
    /// only: nothing of history is removed while somebody reads it.
    async fn commit_until(&mut self, condition: impl Fn(&HistoryReport) -> bool) {
        for _ in 0..500 {
            for _ in 0..10 {
                self.commit_large().await;
            }
            if condition(&self.history()) {
                return;
            }
        }
        panic!("it never came: {:?}", self.history());
    }

    async fn compare_from(&mut self, from: &std::path::Path, first: u64, count: usize) {
        for _ in 0..count {
            let sequence = self.random.u64(first..=self.last_commit());
            let expected = self.states[usize::try_from(sequence).unwrap()].clone();
            compare(from, Target::Sequence(sequence), &self.options, &expected).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_every_acknowledged_commit() {
    for engine in [EngineKind::Sled, EngineKind::Redb] {
        let mut written = Written::new(options(engine), 20);
        let folder = tempfile::tempdir().unwrap();
        let backups = folder.path().join("backups");
        written.start().await;
        written.commits(300).await;
        for round in 0..3 {
            let (store, to) = (written.store.clone().unwrap(), backups.clone());
            let acknowledged = written.last_commit();
            let backup = thread::spawn(move || {
                let mut steps = Vec::new();
                let report = store.backup(&Backup::to(to), &mut |progress| {
                    steps.push(progress.step);
                    assert!(progress.permille <= 1_000);
                });
                (report.unwrap(), steps)
            });
            while !backup.is_finished() {
                written.commit().await;
            }
            let (report, steps) = backup.join().unwrap();
            assert!(report.last_commit >= acknowledged);
            assert_eq!(steps.contains(&Step::Base), report.base_rows.is_some());
            assert!(round > 0 || report.base_rows.is_some());
        }
        written.shutdown().await;
        for span in history(&backups).unwrap().spans {
            for sequence in [span.first, (span.first + span.last) / 2, span.last] {
                let expected = &written.states[usize::try_from(sequence).unwrap()];
                let target = Target::Sequence(sequence);
                compare(&backups, target, &written.options, expected).await;
            }
        }
    }
}

#[tokio::test]
async fn history_goes_back_behind_the_segments_of_the_log() {
    for engine in [EngineKind::Sled, EngineKind::Redb] {
        let mut written = Written::new(remembering(engine), 21);
        written.start().await;
        // Several segments have been used again by then.
        written
            .commit_until(|report| report.size_bytes > 4 << 20)
            .await;
        let spans = written.history().spans;
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert_eq!((spans[0].first, spans[0].last), (0, written.last_commit()));
        let store = written.store.clone().unwrap();
        let image = store.object_at(&object(0), Target::Sequence(7)).unwrap();
        assert_eq!(image.unwrap().version.0, written.states[7].versions[0]);
        drop(store);
        written.crash();
        assert!(!written.path().join("log/000000000001.log").exists());
        let path = written.path().to_path_buf();
        written.compare_from(&path, 0, 3).await;
        let spans = history(&path).unwrap().spans;
        assert_eq!((spans[0].first, spans[0].last), (0, written.last_commit()));

        // A backup of it needs no base but its first one, however long it waits.
        let backups = tempfile::tempdir().unwrap();
        written.backup(backups.path());
        written.start().await;
        let before = written.history().size_bytes;
        written
            .commit_until(|report| report.size_bytes > before + (3 << 20))
            .await;
        written.shutdown().await;
        let report = written.backup(backups.path());
        assert_eq!(report.base_rows, None);
        let path = backups.path().to_path_buf();
        let first = history(&path).unwrap().spans[0].first;
        written.compare_from(&path, first, 3).await;
    }
}

#[tokio::test]
async fn the_oldest_history_goes_when_a_newer_base_has_its_age() {
    let options = Options {
        history_age: Duration::from_millis(200),
        ..remembering(EngineKind::Redb)
    };
    let mut written = Written::new(options, 22);
    written.start().await;
    // Time passes by a millisecond with each commit.
    written.commit_until(|report| report.bases > 0).await;
    written
        .commit_until(|report| report.spans[0].first > 0)
        .await;
    let spans = written.history().spans;
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].last, written.last_commit());
    let (first, time) = (spans[0].first, spans[0].first_time);
    let now = *written.times.last().unwrap();
    assert!(
        now.0 - time.0 >= 200,
        "what is younger than the age is kept: {time:?} at {now:?}"
    );
    written.shutdown().await;
    let path = written.path().to_path_buf();
    written.compare_from(&path, first, 3).await;
}

#[tokio::test]
async fn the_size_of_history_is_bounded() {
    let limit = 6 << 20;
    let options = Options {
        history_size_bytes: limit,
        engine_cache_size_bytes: 1 << 20,
        ..remembering(EngineKind::Redb)
    };
    let mut written = Written::new(options, 23);
    written.start().await;
    written
        .commit_until(|report| report.spans.first().is_none_or(|span| span.first > 0))
        .await;
    for _ in 0..100 {
        written.commit_large().await;
        let size_bytes = written.history().size_bytes;
        // One file and one base may be on top until the next look.
        assert!(size_bytes < limit + (4 << 20), "{size_bytes} bytes");
    }
    written.shutdown().await;
}

/// Service goes on, and a new base ends the gap.
#[tokio::test]
async fn a_gap_in_history_ends_with_a_new_base() {
    let mut written = Written::new(remembering(EngineKind::Redb), 24);
    written.start().await;
    written.commit_until(|report| report.size_bytes > 0).await;
    written.shutdown().await;
    // As if the disk had refused it.
    let history_folder = written.path().join("history");
    for entry in std::fs::read_dir(&history_folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "commits")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(history(written.path()).unwrap().spans, []);
    written.start().await;
    written.commit_until(|report| report.bases > 0).await;
    let spans = written.history().spans;
    assert_eq!(spans.last().unwrap().last, written.last_commit());
    written.shutdown().await;
    let path = written.path().to_path_buf();
    written.compare_from(&path, spans[0].first, 2).await;
}

/// It would take space beyond the limit until a next base, which may be days away.
#[tokio::test]
async fn what_a_kill_left_of_a_base_goes_with_the_next_start() {
    let mut written = Written::new(remembering(EngineKind::Redb), 27);
    written.start().await;
    written.crash();
    let draft = written.path().join("history/base.tmp");
    std::fs::write(&draft, "half").unwrap();
    written.start().await;
    let patience = async {
        while draft.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience)
        .await
        .unwrap();
    written.shutdown().await;
}

/// An error of the disk while commits are copied into history is none of the service's.
#[tokio::test]
async fn service_goes_on_when_history_cannot_be_written() {
    let mut written = Written::new(remembering(EngineKind::Redb), 26);
    written.start().await;
    written.commits(10).await;
    // Only history creates files under load, but for spares, which are made in another way then.
    for nth in 1..30 {
        written
            .disk
            .fault_at(DiskOperation::Create, nth, DiskFault::DiskFull);
    }
    for _ in 0..60 {
        if !written.try_commit_large().await {
            // A segment could not be made: refused, with no effect, until there is space.
            written.crash();
            written.recover().await;
        }
    }
    written.shutdown().await;
    written.start().await;
}

/// The power goes at any operation of the disk, those of the history thread among them.
#[tokio::test]
async fn history_survives_a_loss_of_power_at_any_operation() {
    for round in 0..25_u64 {
        let mut written = Written::new(remembering(EngineKind::Redb), 100 + round);
        written.start().await;
        written.disk.set_switch(PowerSwitch::after(40 + round * 17));
        while written.try_commit_large().await {}
        written.crash();
        written.disk.lose_power(round);
        written.disk.set_switch(PowerSwitch::never());

        // The last commit was not acknowledged: it may be there.
        written.recover().await;
        written.commits(3).await;
        let spans = written.history().spans;
        assert_eq!(spans.len(), 1, "round {round}: {spans:?}");
        assert_eq!((spans[0].first, spans[0].last), (0, written.last_commit()));
        written.shutdown().await;
        if round % 5 == 0 {
            let path = written.path().to_path_buf();
            written.compare_from(&path, 0, 1).await;
        }
    }
}

/// A store with a clock that is set back writes no time before the last one.
#[tokio::test]
async fn times_never_go_back() {
    let mut written = Written::new(remembering(EngineKind::Redb), 25);
    written.start().await;
    written.commits(5).await;
    let before = written.history().spans[0].last_time;
    written.disk.set_time(Some(Timestamp(1)));
    written.commit_at_disk_time().await;
    assert_eq!(written.history().spans[0].last_time, before);
    written.crash();
    written.start().await;
    written.disk.set_time(Some(Timestamp(1)));
    written.commit_at_disk_time().await;
    assert_eq!(written.history().spans[0].last_time, before);
    let store: &Arc<_> = written.store.as_ref().unwrap();
    assert_eq!(store.metrics().durable_sequence, 7);
}
