//! Random commits, stops, crashes and backups; then every state that is retained comes back.
//! Takes ten seconds on a busy machine: each state opens real folders.

use std::path::Path;

use abide_storage::{
    BackupMode, EngineKind, HistoryError, Section, Span, Target, Timestamp, history, object_at,
};

use crate::restored::compare;
use crate::written::{OBJECTS, Written, object, options};

/// Backups of a stopped folder, between rounds of commits.
async fn round(engine: EngineKind, seed: u64) {
    let mut written = Written::new(options(engine), seed);
    let repository = tempfile::tempdir().unwrap();
    let backups = repository.path().join("backups");
    for _ in 0..4 {
        written.start().await;
        let count = written.random.usize(10..120);
        written.commits(count).await;
        if written.random.bool() {
            written.shutdown().await;
        } else {
            written.crash();
        }
        if written.random.u8(0..3) > 0 {
            let report = written.backup(&backups);
            assert_eq!(report.last_commit, written.last_commit());
        }
    }
    written.backup(&backups);
    // More than one when a part of the log went before it was backed up.
    let spans = history(&backups).unwrap().spans;
    assert_eq!(spans.last().unwrap().last, written.last_commit());
    for span in spans {
        check_span(&mut written, &backups, span).await;
    }
    compare(&backups, Target::Latest, &written.options, written.now()).await;
}

/// States of a span by sequence and by time, its ends among them.
async fn check_span(written: &mut Written, backups: &Path, span: Span) {
    let (first, last) = (span.first, span.last);
    let mut sequences = vec![first, last];
    sequences.extend((0..3).map(|_| written.random.u64(first..=last)));
    for sequence in sequences {
        let expected = &written.states[usize::try_from(sequence).unwrap()];
        let target = Target::Sequence(sequence);
        compare(backups, target, &written.options, expected).await;
    }
    let sequence = written.random.u64(first..=last);
    check_objects(written, backups, sequence);
    // To a time: exactly the commits written by then.
    for _ in 0..2 {
        let (from, to) = (span.first_time.0, span.last_time.0);
        let time = Timestamp(written.random.u64(from..=to));
        let sequence = written.times.iter().rposition(|at| *at <= time).unwrap();
        let expected = &written.states[sequence];
        let target = Target::Time(time);
        compare(backups, target, &written.options, expected).await;
    }
}

/// Each object alone, as of one commit.
fn check_objects(written: &Written, from: &Path, sequence: u64) {
    let expected = &written.states[usize::try_from(sequence).unwrap()];
    for number in 0..OBJECTS {
        let target = Target::Sequence(sequence);
        let image = object_at(from, &object(number), target).unwrap();
        let version = expected.versions[number as usize];
        assert_eq!(image.is_some(), version > 0);
        let Some(image) = image else { continue };
        assert_eq!(image.version.0, version);
        let found: Vec<_> = image.section(Section::Data).collect();
        let wanted = expected.rows.iter();
        let wanted = wanted.filter(|((of, _), _)| *of == number);
        let wanted: Vec<_> = wanted.map(|((_, key), value)| (key, value)).collect();
        assert_eq!(found, wanted, "object {number} at {sequence}");
    }
}

#[tokio::test]
async fn every_retained_state_comes_back_over_sled() {
    for seed in 0..2 {
        round(EngineKind::Sled, seed).await;
    }
}

#[tokio::test]
async fn every_retained_state_comes_back_over_redb() {
    for seed in 10..12 {
        round(EngineKind::Redb, seed).await;
    }
}

/// A backup made with one engine makes a folder of another.
#[tokio::test]
async fn a_restore_chooses_its_engine() {
    let mut written = Written::new(options(EngineKind::Sled), 1);
    written.start().await;
    written.commits(50).await;
    written.shutdown().await;
    let repository = tempfile::tempdir().unwrap();
    written.backup(repository.path());
    let other = options(EngineKind::Redb);
    compare(repository.path(), Target::Latest, &other, written.now()).await;
}

/// A data folder is its own history for as far as its log goes back.
#[tokio::test]
async fn a_stopped_folder_is_restored_elsewhere_at_any_commit() {
    let mut written = Written::new(options(EngineKind::Sled), 2);
    written.start().await;
    written.commits(40).await;
    written.shutdown().await;
    for sequence in [0_u64, 1, 17, 40] {
        let expected = &written.states[usize::try_from(sequence).unwrap()];
        let target = Target::Sequence(sequence);
        compare(written.path(), target, &written.options, expected).await;
    }
    let request = abide_storage::Restore {
        target: Target::Sequence(41),
        ..abide_storage::Restore::new(written.path(), written.path().join("new"))
    };
    let error = abide_storage::restore(&request, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HistoryError::NotRetained { .. }), "{error}");
    assert!(
        error.to_string().contains("everything up to commit 40"),
        "{error}"
    );
    assert!(!written.path().join("new").exists(), "nothing was made");
}

#[tokio::test]
async fn a_full_backup_adds_a_base_and_no_commit_twice() {
    let mut written = Written::new(options(EngineKind::Sled), 3);
    written.start().await;
    written.commits(30).await;
    written.shutdown().await;
    let repository = tempfile::tempdir().unwrap();
    written.backup(repository.path());
    let request = abide_storage::Backup {
        mode: BackupMode::Full,
        ..abide_storage::Backup::to(repository.path())
    };
    let report = abide_storage::backup(written.path(), &request, &mut |_| {}).unwrap();
    assert!(report.base_rows.is_some());
    assert_eq!((report.commits, report.last_commit), (0, 30));
    assert_eq!(
        history(repository.path()).unwrap().bases,
        1,
        "the same name: 30 to 30"
    );
    compare(
        repository.path(),
        Target::Latest,
        &written.options,
        written.now(),
    )
    .await;
}
