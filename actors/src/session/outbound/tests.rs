//! Single rules here, and random operations against a model of a client that counts.

mod model;
mod through;

use std::task::{Context, Poll, Waker};

use super::{
    AttachError, Enqueued, FRAME_OVERHEAD_BYTES, Outbound, RESUMABLE_BYTES, Resumable,
    SESSION_BYTES,
};
use crate::memory::Memory;
use crate::session::{Close, Delivery, Frame, Outgoing, Text};

const MAX_BYTES: usize = 1_000;
const RETAINED_MAX_BYTES: usize = 600;

fn memory() -> Memory {
    Memory::new(usize::MAX / 2)
}

fn plain() -> Outbound {
    Outbound::plain(MAX_BYTES, &memory())
}

fn resumable() -> Outbound {
    Outbound::resumable(MAX_BYTES, RETAINED_MAX_BYTES, &memory())
}

fn poll(outbound: &Outbound) -> Option<Outgoing> {
    match outbound.poll(&Context::from_waker(Waker::noop())) {
        Poll::Ready(outgoing) => Some(outgoing),
        Poll::Pending => None,
    }
}

fn drain(outbound: &Outbound) -> Vec<Outgoing> {
    std::iter::from_fn(|| poll(outbound)).collect()
}

fn frame(text: &str) -> Outgoing {
    Outgoing::Frame(text.into())
}

fn text(text: &str) -> Text {
    Text::try_from(bytes::Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn latest(key: &str, text: &str) -> Delivery {
    Frame::from(text).latest(key)
}

fn lossy(text: &str) -> Delivery {
    Frame::from(text).lossy()
}

/// So large that five of them are one too many.
fn large() -> Vec<u8> {
    vec![7; MAX_BYTES / 5 - FRAME_OVERHEAD_BYTES + 1]
}

#[test]
fn a_session_that_uses_nothing_special_is_as_small_as_ever() {
    // Of this the view of the wire is 32.
    assert!(size_of::<Outbound>() <= 160, "{}", size_of::<Outbound>());
    let memory = memory();
    let outbound = Outbound::plain(MAX_BYTES, &memory);
    assert_eq!(memory.used_bytes(), SESSION_BYTES);
    outbound.send("hello".into());
    assert_eq!(
        memory.used_bytes(),
        SESSION_BYTES + 5 + FRAME_OVERHEAD_BYTES
    );
    assert!(matches!(outbound.queue.lock().line, super::Line::Frames(_)));
    assert_eq!(drain(&outbound), [frame("hello")]);
    assert_eq!(memory.used_bytes(), SESSION_BYTES);
    outbound.end();
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn what_a_session_that_can_be_resumed_has_more_is_counted() {
    let more = size_of::<Resumable>() + size_of::<crate::session::Link>();
    // Two allocations, each rounded up to 16 bytes behind a header of as many.
    assert!(more + 2 * 32 <= RESUMABLE_BYTES, "{more}");
}

#[test]
fn only_the_newest_of_a_key_is_sent_and_it_goes_to_the_end() {
    let outbound = plain();
    outbound.send(latest("a", "a1"));
    outbound.send("said".into());
    outbound.send(latest("b", "b1"));
    assert_eq!(outbound.send(latest("a", "a2")), Enqueued::Replaced);
    assert_eq!(
        drain(&outbound),
        [frame("said"), frame("b1"), frame("a2")],
        "and a plain client is not told of the hole"
    );
    assert_eq!(outbound.send(latest("a", "a3")), Enqueued::Queued);
    assert_eq!(outbound.left_out(), (0, 1));
}

#[test]
fn a_queue_full_of_one_key_never_fills_up() {
    let outbound = plain();
    for n in 0..10_000 {
        let sent = outbound.send(latest("score", &n.to_string()));
        assert!(matches!(sent, Enqueued::Queued | Enqueued::Replaced));
    }
    assert_eq!(drain(&outbound), [frame("9999")]);
}

#[test]
fn lossy_frames_leave_half_of_the_room_to_what_must_arrive() {
    let outbound = plain();
    let lossy = || Frame::from(large()).lossy();
    assert_eq!(outbound.send(lossy()), Enqueued::Queued);
    assert_eq!(outbound.send(lossy()), Enqueued::Queued);
    assert_eq!(outbound.send(lossy()), Enqueued::Dropped);
    assert_eq!(outbound.send(large().into()), Enqueued::Queued);
    assert_eq!(outbound.send(large().into()), Enqueued::Queued);
    assert_eq!(outbound.send(lossy()), Enqueued::Dropped);
    assert_eq!(outbound.left_out(), (2, 0));
    assert_eq!(drain(&outbound).len(), 4);
}

#[test]
fn what_must_arrive_and_does_not_fit_ends_the_session() {
    for class in [Delivery::from, |frame: Frame| frame.latest("key")] {
        let memory = memory();
        let outbound = Outbound::resumable(MAX_BYTES, RETAINED_MAX_BYTES, &memory);
        for _ in 0..4 {
            outbound.send(large().into());
        }
        assert_eq!(outbound.send(class(large().into())), Enqueued::TooSlow);
        assert_eq!(memory.used_bytes(), SESSION_BYTES, "nothing is held for it");
        assert_eq!(outbound.send("more".into()), Enqueued::Ended);
        let [Outgoing::Close(close)] = &drain(&outbound)[..] else {
            panic!("the close is all that is left");
        };
        assert_eq!(close.code, Close::TRY_AGAIN_LATER);
        assert!(outbound.has_ended());
    }
}

#[test]
fn a_client_that_counts_is_told_of_holes_in_one_run() {
    let outbound = resumable();
    outbound.send("one".into());
    outbound.send(latest("a", "a1"));
    outbound.send(latest("b", "b1"));
    outbound.send(latest("a", "a2"));
    outbound.send(latest("b", "b2"));
    assert_eq!(
        drain(&outbound),
        [frame("one"), Outgoing::Skip(2), frame("a2"), frame("b2")]
    );
    assert!(outbound.detach());
    assert_eq!(outbound.send(lossy("at nobody")), Enqueued::Dropped);
    assert_eq!(outbound.attach(5), Ok(0));
    assert_eq!(drain(&outbound), [Outgoing::Skip(1)], "also at the end");
    assert_eq!(outbound.sent(), 6);
}

#[test]
fn what_was_not_received_is_sent_again_without_what_is_old_by_now() {
    let outbound = resumable();
    outbound.send("one".into());
    outbound.send(lossy("two"));
    outbound.send(latest("key", "three"));
    outbound.send("four".into());
    assert_eq!(drain(&outbound).len(), 4);
    outbound.acknowledge(1).unwrap();
    assert!(outbound.detach());
    outbound.send(latest("key", "five"));
    assert_eq!(drain(&outbound), [], "nobody is there to take it");
    assert_eq!(outbound.attach(1), Ok(0));
    let expected = [Outgoing::Skip(2), frame("four"), frame("five")];
    assert_eq!(drain(&outbound), expected);
    // Lost again, before the client has read more than the hole.
    assert!(outbound.detach());
    assert_eq!(outbound.attach(3), Ok(0));
    assert_eq!(drain(&outbound), expected[1..]);
}

#[test]
fn counts_that_cannot_be_change_nothing() {
    let outbound = resumable();
    outbound.send("one".into());
    assert_eq!(
        outbound.acknowledge(1).unwrap_err().sent,
        0,
        "not written yet"
    );
    outbound.send("two".into());
    drain(&outbound);
    outbound.acknowledge(1).unwrap();
    outbound.acknowledge(0).unwrap();
    assert_eq!(outbound.acknowledge(3).unwrap_err().sent, 2);
    assert!(outbound.detach());
    let from_the_future = outbound.attach(3).unwrap_err();
    assert!(matches!(from_the_future, AttachError::FromTheFuture(of) if of.sent == 2));
    assert_eq!(outbound.attach(0), Err(AttachError::Behind));
    assert_eq!(outbound.attach(1), Ok(0));
    assert_eq!(drain(&outbound), [frame("two")]);
}

/// 1. A client has got two messages. 2. More is sent than its queue holds, and the session is over.
/// 3. Its acknowledgement arrives before it has read that: it is told what happened, not that it is wrong.
#[test]
fn an_acknowledgement_that_crosses_the_end_is_no_error() {
    let outbound = resumable();
    outbound.send("one".into());
    outbound.send("two".into());
    drain(&outbound);
    while outbound.send(large().into()) != Enqueued::TooSlow {}
    outbound.acknowledge(2).unwrap();
    let Some(Outgoing::Close(close)) = poll(&outbound) else {
        panic!("the session is not over")
    };
    assert_eq!(close.code, Close::TRY_AGAIN_LATER);
    outbound.acknowledge(2).unwrap();
}

#[test]
fn beyond_its_bound_the_oldest_retained_are_forgotten() {
    let outbound = resumable();
    for _ in 0..4 {
        outbound.send(large().into());
        drain(&outbound);
    }
    assert!(outbound.held_bytes() <= RETAINED_MAX_BYTES);
    assert_eq!(outbound.waiting_bytes(), 0);
    assert!(outbound.detach());
    assert_eq!(outbound.attach(1), Err(AttachError::Behind));
    assert_eq!(outbound.attach(2), Ok(0));
    assert_eq!(drain(&outbound).len(), 2);
}

#[test]
fn too_much_for_a_client_that_is_away_ends_its_session() {
    let outbound = resumable();
    assert!(outbound.detach());
    for _ in 0..4 {
        assert_eq!(outbound.send(large().into()), Enqueued::Queued);
    }
    assert_eq!(poll(&outbound), None);
    assert_eq!(outbound.send(large().into()), Enqueued::TooSlow);
    assert_eq!(outbound.attach(0), Err(AttachError::Over));
    assert!(
        matches!(poll(&outbound), Some(Outgoing::Close(_))),
        "who waits hears of it"
    );
    assert!(!resumable_after_end().detach());
}

fn resumable_after_end() -> Outbound {
    let outbound = resumable();
    outbound.end();
    outbound
}

#[test]
fn control_messages_keep_their_place_and_end_with_the_connection() {
    let outbound = resumable();
    outbound.control(text("welcome"));
    outbound.send("one".into());
    outbound.control(text("here"));
    outbound.control(text("and here"));
    outbound.send("two".into());
    let control = |said: &str| Outgoing::Control(text(said));
    assert_eq!(poll(&outbound), Some(control("welcome")));
    assert_eq!(poll(&outbound), Some(frame("one")));
    outbound.acknowledge(1).unwrap();
    assert_eq!(poll(&outbound), Some(control("here")));
    assert!(outbound.detach());
    assert_eq!(outbound.control(text("to nobody")), Enqueued::Dropped);
    assert_eq!(outbound.attach(1), Ok(0));
    assert_eq!(drain(&outbound), [frame("two")]);

    let plain = plain();
    plain.send("one".into());
    plain.control(text("here"));
    plain.send("two".into());
    assert_eq!(drain(&plain), [frame("one"), control("here"), frame("two")]);
}

#[test]
fn the_client_is_told_how_far_all_it_sent_has_settled() {
    let outbound = resumable();
    outbound.begin_turn();
    outbound.end_turn();
    assert_eq!(
        drain(&outbound),
        [Outgoing::Readable],
        "the gate has yet to open"
    );
    outbound.pass();
    assert_eq!(drain(&outbound), [], "one before it has not settled");
    outbound.begin_turn();
    outbound.settle();
    assert_eq!(drain(&outbound), [Outgoing::Ack(2)]);
    assert!(outbound.detach());
    let settled = || outbound.is_settled();
    assert!(!settled());
    outbound.end_turn();
    assert!(!settled());
    outbound.settle();
    assert!(settled());
    assert_eq!(outbound.attach(0), Ok(3), "which the welcome says");
    assert_eq!(drain(&outbound), []);
}

#[test]
fn a_message_that_never_reached_the_object_was_not_received() {
    let outbound = resumable();
    outbound.pass();
    outbound.begin_turn();
    outbound.hand_back();
    assert!(outbound.detach());
    assert_eq!(outbound.attach(0), Ok(1));
}

#[test]
fn thousands_of_keys_cost_no_more_each_than_a_few() {
    let outbound = Outbound::resumable(64 << 20, 64 << 20, &memory());
    let keys: Vec<String> = (0..20_000).map(|n| format!("cursor/{n}")).collect();
    for round in 0..5 {
        for key in &keys {
            outbound.send(latest(key, if round == 4 { "last" } else { "before" }));
        }
    }
    assert_eq!(outbound.left_out(), (0, 80_000));
    let sent = drain(&outbound);
    assert_eq!(sent[0], Outgoing::Skip(80_000));
    assert_eq!(sent.len(), 20_001);
}

/// Counts how often whoever polls is woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn whatever_there_is_to_do_wakes_the_transport() {
    let outbound = resumable();
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let wakes = |act: &dyn Fn()| {
        while outbound.poll(&Context::from_waker(&waker)).is_ready() {}
        let before = woken.0.load(std::sync::atomic::Ordering::Relaxed);
        act();
        woken.0.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    assert_eq!(wakes(&|| _ = outbound.send("one".into())), 1);
    assert_eq!(wakes(&|| _ = outbound.control(text("two"))), 1);
    assert_eq!(wakes(&|| outbound.begin_turn()), 0);
    assert_eq!(wakes(&|| outbound.end_turn()), 1, "read the next one");
    assert_eq!(wakes(&|| outbound.settle()), 1, "there is an ack to write");
    assert_eq!(wakes(&|| outbound.pass()), 1, "and another");
    assert_eq!(wakes(&|| outbound.close(Close::new(1000, ""))), 1);
}
