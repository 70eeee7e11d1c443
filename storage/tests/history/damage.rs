//! What is not as it was written is named, with file and place; what does not belong together is refused.

use std::fs;
use std::path::{Path, PathBuf};

use abide_storage::{
    Backup, EngineKind, HistoryError, Restore, Target, backup, history, restore, verify,
};

use crate::written::{Written, options};

/// Of a store whose log is so long that it goes back to the beginning.
fn patient() -> abide_storage::Options {
    abide_storage::Options {
        first_segment_size_bytes: 1 << 20,
        ..options(EngineKind::Redb)
    }
}

async fn backed_up(seed: u64, repository: &Path) -> Written {
    let mut written = Written::new(patient(), seed);
    written.start().await;
    written.commits(30).await;
    written.shutdown().await;
    written.backup(repository);
    written.start().await;
    written.commits(30).await;
    written.shutdown().await;
    written.backup(repository);
    written
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    paths
}

fn restore_to(repository: &Path, target: Target) -> Result<(), HistoryError> {
    let folder = tempfile::tempdir().unwrap();
    let request = Restore {
        target,
        options: options(EngineKind::Redb),
        ..Restore::new(repository, folder.path())
    };
    restore(&request, &mut |_| {}).map(|_| ())
}

#[tokio::test]
async fn every_flipped_byte_is_noticed_and_named() {
    let repository = tempfile::tempdir().unwrap();
    backed_up(7, repository.path()).await;
    let all = [
        files(repository.path(), "base"),
        files(repository.path(), "commits"),
    ]
    .concat();
    assert_eq!(all.len(), 2);
    for path in all {
        let sound = fs::read(&path).unwrap();
        let step = (sound.len() / 40).max(1);
        for at in (0..sound.len())
            .step_by(step)
            .chain([8, 12, 40, 95, 96, 100, 104])
        {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x41;
            fs::write(&path, bytes).unwrap();
            let told = match verify(repository.path(), &mut |_| {}) {
                Ok(report) => report.problems.join("\n"),
                Err(error) => error.to_string(),
            };
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(told.contains(name), "byte {at} of {name}: {told}");
            assert!(
                restore_to(repository.path(), Target::Latest).is_err(),
                "byte {at} of {name}"
            );
        }
        for size in [0, 50, 96, sound.len() - 1] {
            fs::write(&path, &sound[..size]).unwrap();
            assert!(
                verify(repository.path(), &mut |_| {}).is_err(),
                "{size} bytes"
            );
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(
        verify(repository.path(), &mut |_| {}).unwrap().problems,
        [""; 0]
    );
}

#[tokio::test]
async fn a_lost_file_is_a_gap_that_nothing_is_restored_across() {
    let repository = tempfile::tempdir().unwrap();
    backed_up(8, repository.path()).await;
    let commits = files(repository.path(), "commits");
    fs::remove_file(commits.last().unwrap()).unwrap();
    let error = restore_to(repository.path(), Target::Sequence(60)).unwrap_err();
    assert!(matches!(error, HistoryError::NotRetained { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("commit 60 is not retained: retained are"),
        "{error}"
    );
    restore_to(repository.path(), Target::Latest).unwrap();
    fs::remove_file(&files(repository.path(), "base")[0]).unwrap();
    let error = restore_to(repository.path(), Target::Latest).unwrap_err();
    assert!(error.to_string().contains("there is no base"), "{error}");
}

#[tokio::test]
async fn backups_of_another_store_are_not_mixed() {
    let repository = tempfile::tempdir().unwrap();
    backed_up(9, repository.path()).await;
    let other = tempfile::tempdir().unwrap();
    let mut written = backed_up(9, other.path()).await;
    let refused = backup(written.path(), &Backup::to(repository.path()), &mut |_| {});
    let error = refused.unwrap_err();
    assert!(
        matches!(error, HistoryError::OtherTimeline { .. }),
        "{error}"
    );

    // A restored store is a timeline of its own, though its commits go on.
    let folder = tempfile::tempdir().unwrap();
    let request = Restore {
        options: written.options.clone(),
        ..Restore::new(other.path(), folder.path())
    };
    restore(&request, &mut |_| {}).unwrap();
    let error = backup(folder.path(), &Backup::to(other.path()), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, HistoryError::OtherTimeline { .. }),
        "{error}"
    );

    // Nor is a folder that was put back from an older copy.
    let name = "history/TIMELINE";
    let mut young = Written::new(options(EngineKind::Redb), 10);
    young.start().await;
    young.commits(5).await;
    young.shutdown().await;
    fs::copy(written.path().join(name), young.path().join(name)).unwrap();
    let error = backup(young.path(), &Backup::to(other.path()), &mut |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            HistoryError::Ahead {
                found: 60,
                wanted: 5,
                ..
            }
        ),
        "{error}"
    );
    // Nor over a base alone, as a first backup leaves that was cut short.
    for path in files(other.path(), "commits") {
        fs::remove_file(path).unwrap();
    }
    let refused = backup(young.path(), &Backup::to(other.path()), &mut |_| {});
    assert!(
        matches!(refused, Err(HistoryError::Ahead { found: 30, .. })),
        "{refused:?}"
    );
    written.start().await;
}

#[tokio::test]
async fn only_folders_of_backups_are_taken_for_such() {
    let folder = tempfile::tempdir().unwrap();
    let written = backed_up(11, &folder.path().join("backups")).await;
    fs::write(folder.path().join("holiday.jpg"), "x").unwrap();
    for error in [
        backup(written.path(), &Backup::to(folder.path()), &mut |_| {}).unwrap_err(),
        history(folder.path()).unwrap_err(),
        verify(folder.path(), &mut |_| {}).unwrap_err(),
        restore_to(folder.path(), Target::Latest).unwrap_err(),
    ] {
        assert!(
            matches!(error, HistoryError::NotARepository { .. }),
            "{error}"
        );
    }
    let request = Restore::new(folder.path().join("backups"), folder.path());
    let error = restore(&request, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HistoryError::NotEmpty { .. }), "{error}");
    let timeline = folder.path().join("backups/TIMELINE");
    let text = fs::read_to_string(&timeline).unwrap();
    fs::write(&timeline, text.replace("format 1", "format 2")).unwrap();
    let error = history(&folder.path().join("backups")).unwrap_err();
    assert!(matches!(error, HistoryError::NewerFormat { .. }), "{error}");
}
