//! How many of the client's messages have taken effect.
//!
//! Messages are handed over one by one, and settle later: when their turn is durable. Those that are
//! answered below the object settle at once. What is told is the number up to which *all* have settled.

use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Taken {
    handed_over: u64,
    /// Numbers of those in mailbox, turn or gate, growing. As many as an object may have commits under way.
    under_way: VecDeque<u64>,
    /// What the client was told last.
    told: u64,
}

impl Taken {
    /// Goes on from there: all up to it have settled, and the client will be told so when it comes.
    pub(super) fn from(settled: u64) -> Self {
        Self {
            handed_over: settled,
            under_way: VecDeque::new(),
            told: settled,
        }
    }

    pub(super) fn hand_over(&mut self) {
        self.handed_over += 1;
        self.under_way.push_back(self.handed_over);
    }

    /// One that never reached the object; the client will send it again.
    pub(super) fn hand_back(&mut self) {
        let last = self.under_way.pop_back();
        assert_eq!(
            last,
            Some(self.handed_over),
            "only the message handed over last can be handed back"
        );
        self.handed_over -= 1;
    }

    /// One that is over and done with as soon as it is there.
    pub(super) fn pass(&mut self) {
        self.handed_over += 1;
    }

    /// The oldest under way is handled and durable; turns of one session settle in order.
    pub(super) fn settle(&mut self) {
        let settled = self.under_way.pop_front();
        assert!(settled.is_some(), "only a message under way can settle");
    }

    pub(super) fn is_settled(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Messages of the client so far.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over
    }

    /// All of the client's messages up to this one have taken effect.
    pub(super) fn settled(&self) -> u64 {
        self.under_way
            .front()
            .map_or(self.handed_over, |first| first - 1)
    }

    /// What the client has yet to be told, once.
    pub(super) fn tell(&mut self) -> Option<u64> {
        let settled = self.settled();
        (settled > self.told).then(|| {
            self.told = settled;
            settled
        })
    }

    /// The client learns the number by other means: a welcome says it.
    pub(super) fn told_by_welcome(&mut self) {
        self.told = self.settled();
    }
}
