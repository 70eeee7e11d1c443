//! Random operations: **every message is written in order, written again from where the client is, or
//! told of as left out; both sides count the same; the bounds hold.**

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::proptest;

use super::through::Paper;
use super::{MAX_BYTES, RETAINED_MAX_BYTES, SESSION_BYTES, poll, text};
use crate::memory::Memory;
use crate::session::outbound::{AttachError, Enqueued, Outbound};
use crate::session::{Bursts, Class, Delivery, Frame, Outgoing, Written};

#[derive(Debug, Clone)]
enum Step {
    Send {
        class: u8,
        size: usize,
    },
    Control,
    /// What is sent from now on is a burst of its own.
    Burst,
    /// What comes of frames that are written through from now on.
    Socket(Written),
    /// So many times; the wire is lent when there is nothing more.
    Write(usize),
    /// So many of what was written arrive.
    Arrive(usize),
    Acknowledge,
    /// The connection is lost with all that has not arrived.
    Lose,
    Return,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<u8>(), 0..150_usize).prop_map(|(class, size)| Step::Send { class, size }),
        1 => proptest::strategy::Just(Step::Control),
        4 => proptest::strategy::Just(Step::Burst),
        1 => proptest::strategy::Just(Step::Socket(Written::Whole)),
        1 => proptest::strategy::Just(Step::Socket(Written::Held)),
        4 => (0..6_usize).prop_map(Step::Write),
        4 => (0..8_usize).prop_map(Step::Arrive),
        2 => proptest::strategy::Just(Step::Acknowledge),
        1 => proptest::strategy::Just(Step::Lose),
        2 => proptest::strategy::Just(Step::Return),
        1 => proptest::strategy::Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The queue, the wire and the client, with what is known of each message.
struct Model {
    memory: Memory,
    outbound: Outbound,
    bursts: Bursts,
    /// What is written through goes here on its way to the wire.
    paper: Arc<Paper>,
    /// By number less one.
    sent: Vec<Class>,
    /// What was written on this connection and has not arrived.
    wire: VecDeque<Outgoing>,
    /// The client's count.
    received: u64,
    is_away: bool,
}

impl Model {
    fn new() -> Self {
        let memory = Memory::new(usize::MAX / 2);
        let outbound = Outbound::resumable(MAX_BYTES, RETAINED_MAX_BYTES, &memory);
        let paper = Arc::new(Paper::default());
        outbound.set_wire(Some(paper.clone()));
        Self {
            outbound,
            memory,
            bursts: Bursts::default(),
            paper,
            sent: Vec::new(),
            wire: VecDeque::new(),
            received: 0,
            is_away: false,
        }
    }

    /// `false` when the session is over.
    fn step(&mut self, step: &Step) -> bool {
        match *step {
            Step::Send { class, size } => return self.send(class, size),
            Step::Control => _ = self.outbound.control(text("control")),
            Step::Burst => self.bursts.begin(),
            Step::Socket(answer) => self.paper.answer(answer),
            Step::Write(times) => {
                self.outbound.take_wire_back();
                for _ in 0..times {
                    match poll(&self.outbound) {
                        Some(written) => self.wire.push_back(written),
                        None => self.outbound.lend_wire(),
                    }
                }
            }
            Step::Arrive(count) => {
                for _ in 0..count.min(self.wire.len()) {
                    let arrived = self.wire.pop_front().expect("as many as there are");
                    self.arrive(arrived);
                }
            }
            Step::Acknowledge if self.is_away => {}
            Step::Acknowledge => self
                .outbound
                .acknowledge(self.received)
                .expect("it was received"),
            Step::Lose => self.lose(),
            Step::Return => return self.come_back(),
            Step::Restart => {
                // The image is made before the connection ends: more may be written, and arrive.
                let image = self.outbound.image().expect("it is not over");
                self.wire.extend(poll(&self.outbound));
                while let Some(arrived) = self.wire.pop_front() {
                    self.arrive(arrived);
                }
                self.outbound =
                    Outbound::restore(image, MAX_BYTES, RETAINED_MAX_BYTES, &self.memory);
                self.is_away = true;
            }
        }
        true
    }

    fn send(&mut self, class: u8, size: usize) -> bool {
        let number = self.sent.len() + 1;
        let mut payload = number.to_string().into_bytes();
        payload.resize(size.max(payload.len()), b' ');
        let frame = Frame::from(payload);
        let delivery = match class % 4 {
            0 | 1 => Delivery::from(frame),
            2 => frame.latest(format!("key{}", class % 3)),
            _ => frame.lossy(),
        };
        self.sent.push(delivery.class.clone());
        let enqueued = self.outbound.write_or_send(&delivery, &self.bursts);
        let through = self.paper.take();
        let is_written = enqueued == Enqueued::Written;
        assert_eq!(through.len(), usize::from(is_written), "{enqueued:?}");
        self.wire.extend(through.into_iter().map(Outgoing::Frame));
        if enqueued == Enqueued::Dropped {
            assert_eq!(
                self.sent[number - 1],
                Class::Lossy,
                "only lossy ones are dropped"
            );
        }
        enqueued != Enqueued::TooSlow
    }

    fn arrive(&mut self, arrived: Outgoing) {
        match arrived {
            Outgoing::Frame(Frame::Binary(payload)) => {
                self.received += 1;
                let number = std::str::from_utf8(&payload).expect("as sent");
                assert_eq!(
                    number.trim_end(),
                    self.received.to_string(),
                    "both count the same"
                );
            }
            Outgoing::Skip(count) => {
                for _ in 0..count {
                    self.received += 1;
                    self.assert_left_out(self.received);
                }
            }
            Outgoing::Control(_) => {}
            other => panic!("nothing of this is sent here: {other:?}"),
        }
    }

    /// Only what is lossy, or not the newest of its key.
    fn assert_left_out(&self, number: u64) {
        let index = usize::try_from(number).expect("small") - 1;
        match &self.sent[index] {
            Class::Reliable => panic!("{number} must arrive"),
            Class::Lossy => {}
            newest @ Class::Latest(_) => assert!(
                self.sent[index + 1..].contains(newest),
                "{number} is the newest of its key"
            ),
        }
    }

    fn lose(&mut self) {
        if !self.is_away {
            assert!(self.outbound.detach());
            self.is_away = true;
            self.wire.clear();
        }
    }

    fn come_back(&mut self) -> bool {
        if !self.is_away {
            return true;
        }
        match self.outbound.attach(self.received) {
            Ok(_) => {
                self.is_away = false;
                self.outbound.set_wire(Some(self.paper.clone()));
                true
            }
            // Its bound was reached; the client begins anew.
            Err(AttachError::Behind) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn assert_bounds(&self) {
        let (waiting, held) = (self.outbound.waiting_bytes(), self.outbound.held_bytes());
        assert!(waiting <= MAX_BYTES);
        assert!(held - waiting <= RETAINED_MAX_BYTES);
        assert_eq!(self.memory.used_bytes(), SESSION_BYTES + held);
    }

    /// The client catches up, and then has all there is.
    fn finish(mut self) {
        if !self.come_back() {
            return;
        }
        while let Some(written) = poll(&self.outbound) {
            self.wire.push_back(written);
        }
        while let Some(arrived) = self.wire.pop_front() {
            self.arrive(arrived);
        }
        assert_eq!(
            self.received,
            self.sent.len() as u64,
            "everything is accounted for"
        );
        assert_eq!(self.outbound.waiting_bytes(), 0);
        self.outbound.acknowledge(self.received).expect("received");
        assert_eq!(self.outbound.held_bytes(), 0);
    }
}

proptest! {
    #[test]
    fn every_message_is_accounted_for(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            if !model.step(step) {
                return Ok(());
            }
            model.assert_bounds();
        }
        model.finish();
    }
}
