//! A damaged log.

use std::fs;

use abide_storage::{Loss, RepairReport};

use crate::damaged::{Damaged, versions};

fn told(report: &RepairReport) -> String {
    report
        .steps
        .iter()
        .map(|step| format!("{step}\n"))
        .collect()
}

/// The third object's third commit is lost: the object goes back to its second version, though a fourth can be read. The
/// others lose nothing.
#[tokio::test]
async fn a_damaged_record_costs_the_objects_in_it_and_no_others() {
    let damaged = Damaged::in_log().await;
    let segment = damaged.segments().pop().unwrap();
    let records = Damaged::records(&segment);
    assert_eq!(
        records.len(),
        24,
        "a record for each commit of both sessions"
    );
    Damaged::flip(&segment, records[14] + 50);
    let report = damaged.repaired();
    let told = told(&report);
    assert!(told.contains("commits 15 to 15"), "{told}");
    assert!(told.contains("its commits after version 2"), "{told}");
    assert_eq!(report.lossy_count, 2, "{told}");
    assert_eq!(versions(damaged.path()).await, [4, 4, 2, 4, 4, 4]);
}

/// Nobody can name an object whose last commit is lost.
#[tokio::test]
async fn an_object_whose_last_commit_is_lost_goes_back_unnamed() {
    let damaged = Damaged::in_log().await;
    let segment = damaged.segments().pop().unwrap();
    let records = Damaged::records(&segment);
    Damaged::flip(&segment, records[20] + 50);
    let report = damaged.repaired();
    assert_eq!(report.steps_count, 1, "{}", told(&report));
    assert!(told(&report).contains("goes back without being named"));
    assert_eq!(versions(damaged.path()).await, [4, 4, 3, 4, 4, 4]);
}

#[tokio::test]
async fn a_header_whose_salt_is_whole_costs_nothing() {
    let damaged = Damaged::in_segments().await;
    let segment = &damaged.segments()[1];
    Damaged::flip(segment, 16);
    let report = damaged.repaired();
    assert_eq!(report.lossy_count, 0, "{}", told(&report));
    assert_eq!(versions(damaged.path()).await, [4; 6]);
}

#[tokio::test]
async fn a_header_without_its_salt_costs_the_segment() {
    let damaged = Damaged::in_segments().await;
    let segments = damaged.segments();
    assert!(segments.len() > 2, "{segments:?}");
    Damaged::flip(&segments[1], 35);
    let report = damaged.repaired();
    assert!(report.lossy_count > 0, "{}", told(&report));
    assert!(told(&report).contains("and with it all records"));
    let versions = versions(damaged.path()).await;
    assert!(
        versions.iter().all(|version| (2..=4).contains(version)),
        "{versions:?}"
    );
    assert!(versions.contains(&2), "{versions:?}");
}

#[tokio::test]
async fn a_missing_segment_in_the_middle_is_a_gap_of_known_length() {
    let damaged = Damaged::in_segments().await;
    fs::remove_file(&damaged.segments()[1]).unwrap();
    let report = damaged.repaired();
    assert!(told(&report).contains("the commits before it are missing"));
    assert!(versions(damaged.path()).await.contains(&2));
}

/// The engine has it all, and nobody can say that there was not more.
#[tokio::test]
async fn a_missing_log_is_a_gap_of_unknown_length() {
    let damaged = Damaged::in_engine().await;
    for segment in damaged.segments() {
        fs::remove_file(segment).unwrap();
    }
    let report = damaged.repaired();
    assert_eq!(report.steps_count, 1, "{}", told(&report));
    let Loss::Some(loss) = &report.steps[0].loss else {
        panic!("{report:?}");
    };
    assert!(loss.contains("cannot be known"), "{loss}");
    assert_eq!(versions(damaged.path()).await, [2; 6]);
}
