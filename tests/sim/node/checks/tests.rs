//! Each checker passes a history that is right, and refuses one of each kind that is wrong.

use abide_actors::testing::BEGINNING;

use super::*;
use crate::node::history::{Action, Operation, SetAlarm};

fn seen(turns: u64, last: u64, value: i64) -> Seen {
    Seen { turns, last, value }
}

fn operation(number: u64, begun: u64, ended: u64, outcome: Outcome) -> Operation {
    Operation {
        number,
        object: "a".to_owned(),
        action: Action::Add(1),
        begun,
        ended,
        outcome,
    }
}

/// Operations with what they showed, as the clients write it down.
fn history(operations: Vec<Operation>) -> History {
    let mut history = History::default();
    for operation in &operations {
        if let Outcome::Ok(seen) = operation.outcome {
            history.sighted("a", seen, operation.ended);
        }
    }
    history.operations = operations;
    history
}

fn audit(rang: u32) -> Vec<(String, Audit)> {
    let rang: BTreeMap<String, u32> = [("w1/0".to_owned(), rang)].into();
    let audit = Audit {
        seen: seen(1, 1, 1),
        rows: [1, 1],
        rang: rang.clone(),
        rang_rows: rang,
    };
    vec![("a".to_owned(), audit)]
}

fn attempt(at_ms: u64, retries: u32) -> Attempt {
    Attempt {
        object: "a".to_owned(),
        name: "w1/0".to_owned(),
        scheduled: BEGINNING,
        at: abide::Timestamp(BEGINNING.0 + at_ms),
        retries,
    }
}

/// What the checkers say, each once.
fn said(history: &History, notes: &Notes, audits: &[(String, Audit)]) -> Vec<&'static str> {
    let mut said: Vec<_> = check(history, notes, audits)
        .into_iter()
        .map(|violation| violation.of)
        .collect();
    said.sort_unstable();
    said.dedup();
    said
}

#[test]
fn a_history_in_order_passes() {
    let one = operation(1, 1, 2, Outcome::Ok(seen(1, 1, 1)));
    let two = operation(2, 3, 4, Outcome::Ok(seen(2, 2, 2)));
    let failed = operation(3, 5, 6, Outcome::Failed);
    let history = history(vec![one, two, failed]);
    assert_eq!(said(&history, &Notes::default(), &audit(0)), [""; 0]);
}

#[test]
fn values_that_fit_no_order_are_noticed() {
    let one = operation(1, 1, 2, Outcome::Ok(seen(1, 1, 1)));
    let lost = operation(2, 3, 4, Outcome::Ok(seen(2, 2, 1)));
    let said = said(&history(vec![one, lost]), &Notes::default(), &[]);
    assert_eq!(said, ["linearizability"]);
}

/// Each of many that may have happened doubles the search, and no choice of them explains the value.
#[test]
fn a_search_that_gives_up_does_not_pass() {
    let may_have = |bit: u64| Operation {
        action: Action::Add(2_i64 << bit),
        ..operation(bit + 1, 1, 2, Outcome::Unknown)
    };
    let odd = Operation {
        action: Action::Get,
        ..operation(100, 3, 4, Outcome::Ok(seen(1, 1, 1)))
    };
    let operations = (0..40).map(may_have).chain([odd]).collect();
    let said = said(&history(operations), &Notes::default(), &[]);
    assert_eq!(said, ["linearizability"]);
}

#[test]
fn a_turn_number_that_comes_twice_is_a_lost_write() {
    let first = operation(1, 1, 4, Outcome::Ok(seen(1, 1, 1)));
    let other = operation(2, 2, 3, Outcome::Ok(seen(1, 2, 1)));
    let said = said(&history(vec![first, other]), &Notes::default(), &[]);
    assert!(said.contains(&"durable-before-visible"), "{said:?}");
}

#[test]
fn an_object_that_goes_back_is_noticed() {
    let mut history = history(vec![operation(1, 5, 6, Outcome::Ok(seen(1, 1, 1)))]);
    // A frame has shown more before.
    history.sighted("a", seen(2, 9, 2), 3);
    history.sightings.sort_by_key(|sighting| sighting.at);
    let said = said(&history, &Notes::default(), &[]);
    assert_eq!(said, ["durable-before-visible"]);
}

#[test]
fn an_effect_of_what_has_failed_is_noticed() {
    let failed = operation(1, 1, 2, Outcome::Failed);
    let mut history = history(vec![failed]);
    history.sighted("a", seen(1, 1, 1), 3);
    assert_eq!(said(&history, &Notes::default(), &[]), ["all-or-nothing"]);
}

#[test]
fn half_an_object_is_noticed() {
    let (mut without_a_row, mut without_an_alarm) = (audit(0), audit(0));
    without_a_row[0].1.rows = [1, 0];
    without_an_alarm[0].1.rang_rows.clear();
    for audits in [without_a_row, without_an_alarm] {
        let said = said(&History::default(), &Notes::default(), &audits);
        assert_eq!(said, ["all-or-nothing"]);
    }
    let whole = Read {
        seen: seen(1, 1, 1),
        rows: [1, 1],
    };
    assert_eq!(read_is_whole("a", &whole), Ok(()));
    let half = Read {
        rows: [0, 1],
        ..whole
    };
    assert_eq!(of(read_is_whole("a", &half)), "all-or-nothing");
}

/// Of a verdict against one answer.
fn of(verdict: Result<(), Violation>) -> &'static str {
    verdict.unwrap_err().of
}

#[test]
fn an_alarm_rings_once_and_not_early_and_knows_its_failures() {
    let mut history = History::default();
    history.alarms.push(SetAlarm {
        object: "a".to_owned(),
        name: "w1/0".to_owned(),
        due_ms: Some(BEGINNING.0 + 10),
        is_refused: false,
    });
    let notes = |attempts| Notes {
        attempts,
        ..Notes::default()
    };
    let right = notes(vec![attempt(10, 0), attempt(2_010, 1)]);
    assert_eq!(said(&history, &right, &audit(1)), [""; 0]);
    let wrong = [
        (notes(vec![]), 0),
        (notes(vec![]), 2),
        (notes(vec![attempt(9, 0)]), 1),
        (notes(vec![attempt(10, 1), attempt(20, 0)]), 1),
    ];
    for (notes, rang) in wrong {
        let said = said(&history, &notes, &audit(rang));
        assert_eq!(said, ["alarm-at-least-once"], "{notes:?}, {rang}");
    }
}

#[test]
fn an_alarm_that_nobody_set_or_that_was_refused_does_not_ring() {
    let nobody = History::default();
    assert_eq!(
        said(&nobody, &Notes::default(), &audit(1)),
        ["alarm-at-least-once"]
    );
    let mut refused = History::default();
    refused.alarms.push(SetAlarm {
        object: "a".to_owned(),
        name: "w1/0".to_owned(),
        due_ms: None,
        is_refused: true,
    });
    assert_eq!(said(&refused, &Notes::default(), &audit(0)), [""; 0]);
    assert_eq!(
        said(&refused, &Notes::default(), &audit(1)),
        ["alarm-at-least-once"]
    );
    let mut of_a_failed_turn = audit(0);
    let audit = &mut of_a_failed_turn[0].1;
    for rang in [&mut audit.rang, &mut audit.rang_rows] {
        rang.insert("refused-7".to_owned(), 1);
    }
    let said = said(&refused, &Notes::default(), &of_a_failed_turn);
    assert_eq!(said, ["all-or-nothing"]);
}

#[test]
fn a_repeat_with_another_answer_is_noticed() {
    let first = seen(1, 1, 1);
    assert_eq!(repeat_is_the_same("a", first, first), Ok(()));
    let again = repeat_is_the_same("a", first, seen(2, 1, 2));
    assert_eq!(of(again), "idempotency");
}

#[test]
fn frames_that_are_missing_or_go_back_are_noticed() {
    let told = |number, turns| Told {
        number,
        seen: seen(turns, turns, 0),
    };
    let good = [told(1, 3), told(2, 3), told(3, 5)];
    let mut order = SessionOrder::default();
    for told in &good {
        assert_eq!(order.take("a", told), Ok(()));
    }
    for bad in [told(2, 5), told(3, 5), told(5, 5), told(4, 4)] {
        let mut order = SessionOrder::default();
        good.iter().for_each(|told| order.take("a", told).unwrap());
        assert_eq!(of(order.take("a", &bad)), "session-order", "{bad:?}");
    }
}

#[test]
fn counts_that_fall_or_come_from_the_future_are_noticed() {
    assert_eq!(count_may_be(2, 2, 4), Ok(2));
    assert_eq!(count_may_be(4, 2, 4), Ok(4));
    for bad in [1, 5] {
        assert_eq!(of(count_may_be(bad, 2, 4).map(drop)), "resume", "{bad}");
    }
}

#[test]
fn errors_that_no_fault_explains_are_noticed() {
    let namespace = abide::Namespace::new("subject").unwrap();
    let object = abide_storage::Object {
        id: abide::ObjectId::from_name(&namespace, "a"),
        namespace,
    };
    let full = |waiting| CallError::Overloaded {
        object: object.clone(),
        waiting,
    };
    assert_eq!(error_may_be(&full(MAILBOX_MESSAGES_MAX)), Ok(()));
    assert_eq!(of(error_may_be(&full(MAILBOX_MESSAGES_MAX + 1))), "bounded");
    assert_eq!(
        of(error_may_be(&CallError::Dropped)),
        "lossless-passivation"
    );
}

#[test]
fn turns_that_interleave_and_panics_are_told() {
    let notes = Notes {
        interleaved: ["a".to_owned()].into(),
        panics: vec!["a panic".to_owned()],
        ..Notes::default()
    };
    let said = said(&History::default(), &notes, &[]);
    assert_eq!(said, ["assertion", "one-turn"]);
}
