//! Frames that are written where they are sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use parking_lot::Mutex;

use super::{MAX_BYTES, RETAINED_MAX_BYTES, Woken};
use super::{drain, frame, large, latest, lossy, memory, plain, poll, resumable, text};
use crate::registry::Limits;
use crate::session::outbound::{AttachError, Enqueued, Line, Outbound};
use crate::session::{
    Bursts, Close, Delivery, Frame, Link, Outgoing, Secret, SessionCore, SessionId, Wire, Written,
};

/// A wire that notes what was written to it.
pub(super) struct Paper {
    written: Mutex<Vec<Frame>>,
    answer: Mutex<Written>,
}

impl Default for Paper {
    fn default() -> Self {
        Self {
            written: Mutex::default(),
            answer: Mutex::new(Written::Whole),
        }
    }
}

impl Paper {
    /// What comes of the frames from now on.
    pub(super) fn answer(&self, written: Written) {
        *self.answer.lock() = written;
    }

    pub(super) fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut self.written.lock())
    }
}

impl Wire for Paper {
    fn write_now(&self, frame: &Frame) -> Written {
        self.written.lock().push(frame.clone());
        *self.answer.lock()
    }
}

/// A session whose wire is lent.
struct Lent {
    outbound: Outbound,
    paper: Arc<Paper>,
    bursts: Bursts,
}

impl Lent {
    fn new(outbound: Outbound) -> Self {
        let paper = Arc::new(Paper::default());
        outbound.set_wire(Some(paper.clone()));
        assert_eq!(poll(&outbound), None);
        outbound.lend_wire();
        Self {
            outbound,
            paper,
            bursts: Bursts::default(),
        }
    }

    /// Sends in a burst of its own.
    fn send(&self, delivery: impl Into<Delivery>) -> Enqueued {
        self.bursts.begin();
        self.send_more(delivery)
    }

    /// Sends in the same burst.
    fn send_more(&self, delivery: impl Into<Delivery>) -> Enqueued {
        self.outbound.write_or_send(&delivery.into(), &self.bursts)
    }

    fn drain(&self) -> Vec<Outgoing> {
        drain(&self.outbound)
    }
}

#[test]
fn what_nothing_is_before_is_written_at_once_whatever_its_class() {
    for session in [plain(), resumable()].map(Lent::new) {
        for delivery in ["said".into(), latest("key", "newest"), lossy("seen")] {
            assert_eq!(session.send(delivery), Enqueued::Written);
        }
        let written = session.paper.take();
        assert_eq!(written, ["said".into(), "newest".into(), "seen".into()]);
        assert_eq!(session.drain(), [], "it is not written twice");
        assert_eq!(session.outbound.waiting_bytes(), 0);
    }
}

/// **bounded**, of a durable session: nothing is forgotten, so the client has to acknowledge before more is
/// written.
#[test]
fn a_durable_session_waits_for_its_client_whoever_writes() {
    let session = Lent::new(resumable());
    session.outbound.make_durable();
    assert_eq!(session.send(large()), Enqueued::Written);
    assert_eq!(session.send(large()), Enqueued::Written);
    assert_eq!(session.send(large()), Enqueued::Queued);
    assert_eq!(session.drain(), []);
    session.outbound.acknowledge(1).unwrap();
    assert_eq!(session.drain().len(), 1);
    assert_eq!(session.send(large()), Enqueued::Queued);
    assert_eq!(session.drain(), []);
    // What was sent before it comes before a close, acknowledged or not.
    let close = Close::new(Close::NORMAL, "enough");
    session.outbound.close(close.clone());
    let left = session.drain();
    assert_eq!((left.len(), &left[1]), (2, &Outgoing::Close(close)));
}

#[test]
fn a_plain_session_is_left_as_small_as_it_was() {
    let session = Lent::new(plain());
    session.send(latest("key", "newest"));
    let queue = session.outbound.queue.lock();
    assert!(matches!(queue.line, Line::Frames(_)));
}

#[test]
fn what_was_written_through_is_numbered_and_retained() {
    let session = Lent::new(resumable());
    session.send("one");
    session.send(lossy("two"));
    session.send(latest("key", "three"));
    session.send(latest("key", "four"));
    let outbound = &session.outbound;
    assert_eq!(outbound.sent(), 4);
    assert!(outbound.acknowledge(5).is_err());
    assert!(outbound.detach());
    assert_eq!(outbound.attach(0), Ok(0));
    let again = [frame("one"), Outgoing::Skip(2), frame("four")];
    assert_eq!(session.drain(), again);
    outbound.acknowledge(4).unwrap();
    assert_eq!(outbound.held_bytes(), 0);
}

#[test]
fn what_was_written_through_is_retained_up_to_the_bound() {
    let session = Lent::new(resumable());
    for _ in 0..100 {
        session.send(large());
        let held = session.outbound.held_bytes();
        assert!(held <= RETAINED_MAX_BYTES, "{held}");
    }
    assert!(session.outbound.detach());
    assert_eq!(session.outbound.attach(0), Err(AttachError::Behind));
}

#[test]
fn nothing_overtakes_what_waits() {
    for session in [plain(), resumable()].map(Lent::new) {
        session.outbound.send("first".into());
        assert_eq!(session.send("second"), Enqueued::Queued);
        assert_eq!(session.paper.take(), []);
        assert_eq!(session.drain(), [frame("first"), frame("second")]);
        session.outbound.control(text("control"));
        assert_eq!(session.send("third"), Enqueued::Queued);
        let control = Outgoing::Control(text("control"));
        assert_eq!(session.drain(), [control, frame("third")]);
        assert_eq!(session.send("fourth"), Enqueued::Written);
    }
}

#[test]
fn the_wire_is_the_transports_own_unless_it_is_lent() {
    let session = Lent::new(plain());
    session.outbound.take_wire_back();
    assert_eq!(session.send("queued"), Enqueued::Queued);
    assert_eq!(session.drain(), [frame("queued")]);
    session.outbound.lend_wire();
    // What is held is the transport's to write on, and nothing may follow meanwhile.
    session.paper.answer(Written::Held);
    assert_eq!(session.send("held"), Enqueued::Written);
    assert_eq!(session.send("behind it"), Enqueued::Queued);
    assert_eq!(session.paper.take(), ["held".into()]);
    assert_eq!(session.drain(), [frame("behind it")]);
}

#[test]
fn the_transport_is_woken_for_what_is_held_and_for_nothing_else() {
    let session = Lent::new(plain());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let poll = session.outbound.poll(&Context::from_waker(&waker));
    assert!(poll.is_pending());
    session.send("whole");
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    session.paper.answer(Written::Held);
    session.send("held");
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
}

#[test]
fn of_one_burst_a_session_gets_one_frame_and_the_others_wait_for_each_other() {
    let session = Lent::new(plain());
    assert_eq!(session.send("one"), Enqueued::Written);
    assert_eq!(session.send_more("two"), Enqueued::Queued);
    assert_eq!(session.send_more("three"), Enqueued::Queued);
    assert_eq!(session.drain(), [frame("two"), frame("three")]);
    assert_eq!(session.send_more("four"), Enqueued::Queued);
    assert_eq!(session.drain(), [frame("four")]);
    assert_eq!(session.send("five"), Enqueued::Written);
    assert_eq!(session.paper.take(), ["one".into(), "five".into()]);
}

#[test]
fn a_burst_is_written_through_to_so_many_sessions_and_no_more() {
    let sessions: Vec<_> = (0..1_100).map(|_| Lent::new(plain())).collect();
    let bursts = Bursts::default();
    bursts.begin();
    for session in &sessions {
        session.outbound.write_or_send(&"all".into(), &bursts);
    }
    let written = sessions.iter().filter(|s| !s.paper.take().is_empty());
    assert_eq!(written.count(), 1_024);
    let queued = sessions.iter().filter(|s| !s.drain().is_empty());
    assert_eq!(queued.count(), 76);
}

#[test]
fn nothing_is_written_to_a_connection_that_is_no_more() {
    let session = Lent::new(resumable());
    assert!(session.outbound.detach());
    assert_eq!(session.send("while away"), Enqueued::Queued);
    assert_eq!(session.outbound.attach(0), Ok(0));
    assert_eq!(session.drain(), [frame("while away")]);
    // The new connection has no wire, or one of its own.
    session.outbound.lend_wire();
    assert_eq!(session.send("back"), Enqueued::Queued);
    assert_eq!(session.paper.take(), []);
    let held_by = Arc::strong_count(&session.paper);
    assert_eq!(held_by, 1, "the old socket can be closed");

    let ended = Lent::new(plain());
    ended.outbound.end();
    assert_eq!(ended.send("late"), Enqueued::Ended);
    assert_eq!(ended.paper.take(), []);
    assert_eq!(Arc::strong_count(&ended.paper), 1);
}

/// Only who has the session in hand lends its wire, since nobody else could take it back.
#[test]
fn the_wire_goes_with_the_session_whoever_takes_it() {
    let link = Link::new(Secret([7; 16]));
    let session = SessionCore::resumable(SessionId(1), link, &Limits::default(), &memory());
    let (paper, bursts) = (Arc::new(Paper::default()), Bursts::default());
    let send = |text: &str| {
        bursts.begin();
        let enqueued = session.outbound.write_or_send(&text.into(), &bursts);
        (enqueued, paper.take().len())
    };
    let lend = |hold| {
        let lent = session.while_held(hold, || session.outbound.lend_wire());
        lent.is_some()
    };
    let old = session.first_hold();
    session.outbound.set_wire(Some(paper.clone()));
    assert!(lend(old));
    assert_eq!(send("one"), (Enqueued::Written, 1));

    // A client that cannot have it takes it from nobody, and the wire is lent again.
    session.claim(9).unwrap_err();
    assert_eq!(send("one more"), (Enqueued::Queued, 0));
    assert_eq!(drain(&session.outbound), [frame("one more")]);
    assert!(lend(old));

    let claimed = session.claim(2).unwrap();
    let (new, _) = session.take_up(claimed, 2).unwrap();
    session.outbound.set_wire(Some(paper.clone()));
    assert!(!lend(old), "it writes to another socket");
    assert_eq!(send("two"), (Enqueued::Queued, 0));
    assert_eq!(drain(&session.outbound), [frame("two")]);
    assert!(lend(new));
    assert_eq!(send("three"), (Enqueued::Written, 1));

    assert!(session.freeze(), "a drain begins to store it");
    assert!(!lend(new));
    assert_eq!(send("four"), (Enqueued::Queued, 0));
}

#[test]
fn nothing_is_written_behind_a_close() {
    let session = Lent::new(plain());
    session.outbound.close(Close::new(Close::NORMAL, ""));
    assert_eq!(session.send("late"), Enqueued::Ended);
    assert_eq!(session.paper.take(), []);
}

#[test]
fn a_frame_larger_than_the_queue_is_too_large_for_the_wire_as_well() {
    let session = Lent::new(plain());
    assert_eq!(session.send(large()), Enqueued::Written);
    assert_eq!(session.send(vec![0; MAX_BYTES]), Enqueued::TooSlow);
    assert_eq!(session.paper.take().len(), 1);
}
