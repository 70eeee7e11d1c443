//! The machine by itself: one transition after the other, in a time of its own.

mod model;

use std::time::Duration;

use super::*;
use tokio::sync::oneshot;

pub(super) fn settings() -> Settings {
    Settings {
        style: Style::Resumable,
        protocols: vec!["chat".to_owned()],
        bounds: Bounds {
            messages_max: 100,
            size_max_bytes: 10_000,
        },
        backoff: Backoff::default(),
        ping_interval: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(10),
        close_timeout: Duration::from_secs(5),
    }
}

const NOW: Time = Time::from_secs(1);

fn machine() -> Machine {
    Machine::new(settings(), fastrand::Rng::with_seed(7))
}

fn control(json: &str) -> Frame {
    Frame::Text(format!("\u{10}{json}"))
}

fn welcome(token: &str, more: &str) -> Frame {
    control(&format!(
        r#"{{"type":"welcome","session":"1","token":"{token}",{more}}}"#
    ))
}

/// A machine with an open session.
fn open() -> Machine {
    let mut machine = machine();
    machine.command();
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(welcome("T1", r#""resumed":false,"received":0"#), NOW);
    events(&mut machine);
    machine
}

fn send(
    machine: &mut Machine,
    text: &str,
) -> oneshot::Receiver<Result<super::super::Assurance, super::super::Unsettled>> {
    let (teller, receipt) = oneshot::channel();
    machine.send(text.into(), teller).unwrap();
    receipt
}

fn events(machine: &mut Machine) -> Vec<Event> {
    std::iter::from_fn(|| machine.event()).collect()
}

fn writes(machine: &mut Machine, now: Time) -> Vec<Wire> {
    std::iter::from_fn(|| machine.next_write(now)).collect()
}

fn text(text: &str) -> Wire {
    Wire::Text(text.to_owned())
}

fn lose(machine: &mut Machine) {
    machine.lost(Failure::Io("reset".to_owned()), NOW);
}

/// Lets the pause pass; what is offered then.
fn offered(machine: &mut Machine) -> Vec<String> {
    let at = machine.deadline(NOW).unwrap();
    machine.timer(at);
    match machine.command() {
        Some(Command::Connect(offered)) => offered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_written_before_the_welcome() {
    let mut machine = machine();
    let offered = vec![PROTOCOL.to_owned(), "chat".to_owned()];
    assert_eq!(machine.command(), Some(Command::Connect(offered)));
    let _receipt = send(&mut machine, "early");
    machine.connected(Some(PROTOCOL), NOW);
    assert_eq!(writes(&mut machine, NOW), []);
    machine.received(welcome("T1", r#""resumed":false,"received":0"#), NOW);
    assert_eq!(writes(&mut machine, NOW), [text("early")]);
    let state = |state| Event::State(state);
    assert_eq!(
        events(&mut machine),
        [
            state(State::Connecting),
            state(State::Open { resumed: false })
        ]
    );
}

#[test]
fn a_resume_tells_what_was_taken_and_writes_what_was_not() {
    let mut machine = open();
    let _receipts = ["a", "b"].map(|text| send(&mut machine, text));
    assert_eq!(writes(&mut machine, NOW), [text("a"), text("b")]);
    for data in ["1", "2"] {
        machine.received(data.into(), NOW);
    }
    machine.received(control(r#"{"type":"skip","n":3}"#), NOW);
    lose(&mut machine);
    assert_eq!(
        offered(&mut machine),
        [PROTOCOL, "abide.resume.T1.5", "chat"]
    );
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(welcome("T2", r#""resumed":true,"received":1"#), NOW);
    assert_eq!(writes(&mut machine, NOW), [text("b")]);
    lose(&mut machine);
    assert_eq!(
        offered(&mut machine)[1],
        "abide.resume.T2.5",
        "the last token counts"
    );
}

#[test]
fn a_reset_hands_back_and_begins_anew() {
    let mut machine = open();
    let _receipt = send(&mut machine, "a");
    writes(&mut machine, NOW);
    machine.received("1".into(), NOW);
    lose(&mut machine);
    let _receipt = send(&mut machine, "b");
    events(&mut machine);
    offered(&mut machine);
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(
        welcome("T2", r#""resumed":false,"received":0,"reset":"expired""#),
        NOW,
    );
    let reset = Event::Reset(Reset {
        reason: ResetReason::Expired,
        unacknowledged: vec!["a".into()],
    });
    assert_eq!(
        events(&mut machine),
        [reset, Event::State(State::Open { resumed: false })]
    );
    assert_eq!(
        writes(&mut machine, NOW),
        [text("b")],
        "what was never tried goes to the new one"
    );
    lose(&mut machine);
    assert_eq!(offered(&mut machine)[1], "abide.resume.T2.0");
}

#[test]
fn acknowledgements_are_written_in_time() {
    let mut machine = open();
    machine.received("1".into(), NOW);
    events(&mut machine);
    assert_eq!(writes(&mut machine, NOW), []);
    let due = machine.deadline(NOW).unwrap();
    assert_eq!(due, NOW + Duration::from_secs(1));
    assert_eq!(writes(&mut machine, due), [control::ack(1)]);
    // A socket that takes nothing must not make a clock that never stops.
    machine.received("2".into(), due);
    events(&mut machine);
    let late = due + Duration::from_secs(2);
    assert!(machine.deadline(late).unwrap() > late);
}

#[test]
fn saved_is_told_once_for_all_that_was() {
    let mut machine = open();
    let mut receipts = ["a", "b", "c"].map(|text| send(&mut machine, text));
    writes(&mut machine, NOW);
    for n in [1, 1, 2] {
        machine.received(control(&format!(r#"{{"type":"ack","n":{n}}}"#)), NOW);
    }
    let saved = Event::Saved {
        acknowledged: 2,
        pending: 1,
    };
    assert_eq!(events(&mut machine), [saved]);
    assert!(receipts[1].try_recv().is_ok() && receipts[2].try_recv().is_err());
}

#[test]
fn silence_is_asked_and_then_given_up() {
    let mut machine = open();
    let mut now = NOW;
    let mut pings = 0;
    let gave_up = loop {
        now = machine.deadline(now).unwrap();
        machine.timer(now);
        if machine.command() == Some(Command::Drop) {
            break now;
        }
        assert_eq!(writes(&mut machine, now), [control::ping()]);
        pings += 1;
    };
    assert_eq!((pings, gave_up), (2, NOW + Duration::from_secs(45)));
    assert!(matches!(
        events(&mut machine)[..],
        [Event::State(State::Reconnecting { .. })]
    ));
}

#[test]
fn an_answer_is_a_sign_of_life() {
    let mut machine = open();
    let mut now = NOW;
    for _ in 0..20 {
        now = machine.deadline(now).unwrap();
        machine.timer(now);
        writes(&mut machine, now);
        machine.received(control(r#"{"type":"pong"}"#), now);
        assert_eq!(machine.command(), None);
    }
    assert_eq!(events(&mut machine), []);
}

#[test]
fn an_application_that_does_not_read_is_no_dead_server() {
    let mut machine = open();
    machine.received("1".into(), NOW);
    let mut now = NOW;
    for _ in 0..20 {
        now = machine.deadline(now).unwrap();
        machine.timer(now);
        writes(&mut machine, now);
        assert_eq!(machine.command(), None);
    }
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let mut machine = machine();
    machine.command();
    machine.timer(Duration::from_secs(10));
    assert_eq!(machine.command(), Some(Command::Drop));
    assert!(matches!(machine.link, Link::Waiting { .. }));
}

#[test]
fn what_the_protocol_forbids_ends_the_session() {
    let wrong = [
        r#"{"type":"ack","n":1}"#,
        r#"{"type":"welcome","session":"1","token":"T","resumed":false,"received":0}"#,
        r#"{"type":"ack"}"#,
    ];
    for json in wrong {
        let mut machine = open();
        machine.received(control(json), NOW);
        assert_eq!(machine.command(), Some(Command::Close(1002)), "{json}");
        assert!(machine.is_closed(), "{json}");
    }
    let mut early = machine();
    early.command();
    early.connected(Some(PROTOCOL), NOW);
    early.received("data".into(), NOW);
    assert_eq!(early.command(), Some(Command::Close(1002)));
}

#[test]
fn a_server_that_takes_back_an_acknowledgement_is_noticed() {
    let mut machine = open();
    let _receipt = send(&mut machine, "a");
    writes(&mut machine, NOW);
    machine.received(control(r#"{"type":"ack","n":1}"#), NOW);
    lose(&mut machine);
    offered(&mut machine);
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(welcome("T2", r#""resumed":true,"received":0"#), NOW);
    assert!(machine.is_closed());
}

#[test]
fn another_connection_takes_the_session_and_this_one_does_not_fight() {
    let mut machine = open();
    let closed = Failure::Closed {
        code: 4001,
        reason: String::new(),
    };
    machine.lost(closed, NOW);
    assert!(machine.is_closed());
    assert_eq!(machine.command(), None);
}

#[test]
fn a_refused_token_is_offered_once() {
    let mut machine = open();
    lose(&mut machine);
    events(&mut machine);
    offered(&mut machine);
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(
        control(r#"{"type":"error","code":"invalid-resume-token","status":403}"#),
        NOW,
    );
    let closed = Failure::Closed {
        code: 1008,
        reason: String::new(),
    };
    machine.lost(closed, NOW);
    assert_eq!(offered(&mut machine), [PROTOCOL, "chat"]);
    machine.connected(Some(PROTOCOL), NOW);
    events(&mut machine);
    machine.received(welcome("T2", r#""resumed":false,"received":0"#), NOW);
    assert!(
        matches!(&events(&mut machine)[0], Event::Reset(reset) if reset.reason == ResetReason::Refused)
    );
}

#[test]
fn a_presence_is_shown_again_on_every_connection_and_only_the_newest() {
    let mut machine = open();
    machine.present(Some(1.into()));
    machine.present(Some(2.into()));
    let shown = control::presence(Some(&2.into()));
    assert_eq!(writes(&mut machine, NOW), std::slice::from_ref(&shown));
    lose(&mut machine);
    offered(&mut machine);
    machine.connected(Some(PROTOCOL), NOW);
    machine.received(welcome("T1", r#""resumed":true,"received":0"#), NOW);
    assert_eq!(writes(&mut machine, NOW), [shown]);
}

#[test]
fn a_close_waits_for_acknowledgements_but_not_for_ever() {
    let mut machine = open();
    let _receipt = send(&mut machine, "a");
    machine.finish(NOW);
    assert_eq!(
        machine.send("b".into(), oneshot::channel().0),
        Err(Refusal::Closed)
    );
    assert_eq!(writes(&mut machine, NOW), [text("a")]);
    assert_eq!(machine.command(), None);
    machine.received(control(r#"{"type":"ack","n":1}"#), NOW);
    assert_eq!(machine.command(), Some(Command::Close(1000)));

    let mut deaf = open();
    let _receipt = send(&mut deaf, "a");
    deaf.finish(NOW);
    deaf.timer(NOW + Duration::from_secs(5));
    assert_eq!(deaf.command(), Some(Command::Close(1000)));
    let ended = events(&mut deaf);
    assert!(
        matches!(&ended[..], [Event::State(State::Closed(ended))] if ended.unacknowledged == ["a".into()]),
        "{ended:?}"
    );
}

#[test]
fn a_plain_session_has_no_control_messages() {
    let plain = Settings {
        style: Style::Plain,
        ..settings()
    };
    let mut machine = Machine::new(plain, fastrand::Rng::with_seed(7));
    assert_eq!(
        machine.command(),
        Some(Command::Connect(vec!["chat".to_owned()]))
    );
    machine.connected(Some("chat"), NOW);
    let mut receipt = send(&mut machine, "\u{10}{}");
    assert_eq!(writes(&mut machine, NOW), [text("\u{10}{}")]);
    assert_eq!(
        receipt.try_recv().unwrap(),
        Ok(super::super::Assurance::Written)
    );
    events(&mut machine);
    machine.received("\u{10}x".into(), NOW);
    assert_eq!(events(&mut machine), [Event::Message("\u{10}x".into())]);
    let _receipt = send(&mut machine, "later");
    lose(&mut machine);
    offered(&mut machine);
    events(&mut machine);
    machine.connected(Some("chat"), NOW);
    assert!(
        matches!(&events(&mut machine)[0], Event::Reset(reset) if reset.unacknowledged.is_empty())
    );
    assert_eq!(writes(&mut machine, NOW), [text("later")]);
}
