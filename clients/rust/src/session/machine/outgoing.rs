//! Frames on their way to the object: kept until it has them, numbered by being counted.
//!
//! ```text
//!   1 … acknowledged │ … written                │ …
//!       gone         │ may have taken effect    │ has not
//! ```
//! A resume says exactly how many have taken effect, those on their way over the lost connection
//! included: what was written beyond that has not, and is written again.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::super::receipt::{Assurance, Unsettled};
use crate::frame::Frame;

/// Where a frame's fate is told.
pub(crate) type Teller = oneshot::Sender<Result<Assurance, Unsettled>>;

/// Most that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) messages_max: usize,
    pub(crate) size_max_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Of the frames behind the acknowledged ones, oldest first.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    bounds: Bounds,
    /// Counts since the session began.
    acknowledged: u64,
    written: u64,
}

#[derive(Debug)]
struct Kept {
    frame: Frame,
    teller: Teller,
}

/// Whether an acknowledgement says more than the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Some,
    None,
}

/// There is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// An acknowledgement of what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FromTheFuture {
    pub(crate) written: u64,
}

impl Outgoing {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            kept: VecDeque::new(),
            kept_bytes: 0,
            bounds,
            acknowledged: 0,
            written: 0,
        }
    }

    /// Takes one more, unless that is beyond the bounds.
    pub(crate) fn push(&mut self, frame: Frame, teller: Teller) -> Result<(), Full> {
        let size_bytes = self.kept_bytes + frame.size_bytes();
        if self.kept.len() >= self.bounds.messages_max || size_bytes > self.bounds.size_max_bytes {
            return Err(Full);
        }
        self.kept_bytes = size_bytes;
        self.kept.push_back(Kept { frame, teller });
        Ok(())
    }

    /// The next to write on this connection, which counts as written from now on.
    pub(crate) fn next(&mut self) -> Option<&Frame> {
        let at = usize::try_from(self.written - self.acknowledged).expect("no more than are kept");
        let kept = self.kept.get(at)?;
        self.written += 1;
        Some(&kept.frame)
    }

    /// The object has so many of this session; whether that is news.
    pub(crate) fn acknowledge(&mut self, count: u64) -> Result<News, FromTheFuture> {
        if count > self.written {
            return Err(FromTheFuture {
                written: self.written,
            });
        }
        let news = if count > self.acknowledged {
            News::Some
        } else {
            News::None
        };
        self.settle(count, Assurance::Durable);
        Ok(news)
    }

    /// A new connection goes on behind `count`.
    pub(crate) fn resume(&mut self, count: u64) -> Result<News, Misfit> {
        if count < self.acknowledged {
            return Err(Misfit::TakenBack {
                acknowledged: self.acknowledged,
            });
        }
        let news = self.acknowledge(count).map_err(Misfit::FromTheFuture)?;
        self.written = count;
        Ok(news)
    }

    /// On a plain session nothing is acknowledged: what was written is gone.
    pub(crate) fn settle_written(&mut self) {
        self.settle(self.written, Assurance::Written);
    }

    /// Another session begins. What may have taken effect in this one is handed back, the rest
    /// belongs to the new one.
    pub(crate) fn reset(&mut self) -> Vec<Frame> {
        let tried =
            usize::try_from(self.written - self.acknowledged).expect("no more than are kept");
        let back = self.hand_back(tried, Unsettled::Reset);
        (self.acknowledged, self.written) = (0, 0);
        back
    }

    /// No session follows: everything is handed back.
    pub(crate) fn end(&mut self) -> Vec<Frame> {
        self.hand_back(self.kept.len(), Unsettled::Closed)
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many are kept.
    pub(crate) fn pending(&self) -> usize {
        self.kept.len()
    }

    fn settle(&mut self, count: u64, assurance: Assurance) {
        while self.acknowledged < count {
            let kept = self
                .kept
                .pop_front()
                .expect("what is not acknowledged is kept");
            self.kept_bytes -= kept.frame.size_bytes();
            self.acknowledged += 1;
            // Nobody may be waiting for it.
            let _unheard = kept.teller.send(Ok(assurance));
        }
    }

    fn hand_back(&mut self, frames: usize, why: Unsettled) -> Vec<Frame> {
        let back = self.kept.drain(..frames).map(|kept| {
            self.kept_bytes -= kept.frame.size_bytes();
            let _unheard = kept.teller.send(Err(why));
            kept.frame
        });
        back.collect()
    }
}

/// What a server says to have received fits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    FromTheFuture(FromTheFuture),
    /// It has acknowledged more before.
    TakenBack {
        acknowledged: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        messages_max: 4,
        size_max_bytes: 10,
    };

    fn push(
        outgoing: &mut Outgoing,
        text: &str,
    ) -> oneshot::Receiver<Result<Assurance, Unsettled>> {
        let (teller, receipt) = oneshot::channel();
        outgoing.push(text.into(), teller).unwrap();
        receipt
    }

    fn written(outgoing: &mut Outgoing) -> Vec<String> {
        std::iter::from_fn(|| {
            outgoing
                .next()
                .map(|frame| frame.as_text().unwrap().to_owned())
        })
        .collect()
    }

    #[test]
    fn what_the_server_has_not_received_is_written_again() {
        let mut outgoing = Outgoing::new(BOUNDS);
        let mut receipts: Vec<_> = ["a", "b", "c"].map(|text| push(&mut outgoing, text)).into();
        assert_eq!(written(&mut outgoing), ["a", "b", "c"]);
        assert_eq!(outgoing.resume(1), Ok(News::Some));
        assert_eq!(receipts[0].try_recv().unwrap(), Ok(Assurance::Durable));
        assert!(receipts[1].try_recv().is_err());
        assert_eq!(written(&mut outgoing), ["b", "c"]);
    }

    #[test]
    fn a_reset_hands_back_what_was_tried_and_keeps_the_rest() {
        let mut outgoing = Outgoing::new(BOUNDS);
        let mut tried = push(&mut outgoing, "a");
        assert_eq!(written(&mut outgoing), ["a"]);
        let mut untried = push(&mut outgoing, "b");
        assert_eq!(outgoing.reset(), [Frame::from("a")]);
        assert_eq!(tried.try_recv().unwrap(), Err(Unsettled::Reset));
        assert!(untried.try_recv().is_err());
        assert_eq!(written(&mut outgoing), ["b"]);
        assert_eq!(outgoing.acknowledge(1), Ok(News::Some));
    }

    #[test]
    fn what_a_resume_says_has_not_arrived_is_not_handed_back() {
        let mut outgoing = Outgoing::new(BOUNDS);
        let _receipts = ["a", "b"].map(|text| push(&mut outgoing, text));
        assert_eq!(written(&mut outgoing), ["a", "b"]);
        outgoing.resume(0).unwrap();
        outgoing.next();
        assert_eq!(outgoing.reset(), [Frame::from("a")]);
        assert_eq!(written(&mut outgoing), ["b"]);
    }

    #[test]
    fn both_bounds_hold_and_acknowledgements_make_room() {
        let mut outgoing = Outgoing::new(BOUNDS);
        let refused = |outgoing: &mut Outgoing, text: &str| {
            outgoing.push(text.into(), oneshot::channel().0) == Err(Full)
        };
        let _receipt = push(&mut outgoing, "123456789");
        assert!(refused(&mut outgoing, "12"), "bytes");
        let _receipts = ["a", "", ""].map(|text| push(&mut outgoing, text));
        assert!(refused(&mut outgoing, ""), "messages");
        written(&mut outgoing);
        outgoing.acknowledge(1).unwrap();
        let _receipt = push(&mut outgoing, "123456789");
    }

    #[test]
    fn acknowledgements_from_the_future_and_taken_back_ones_are_noticed() {
        let mut outgoing = Outgoing::new(BOUNDS);
        let _receipts = ["a", "b"].map(|text| push(&mut outgoing, text));
        outgoing.next();
        assert_eq!(outgoing.acknowledge(2), Err(FromTheFuture { written: 1 }));
        assert_eq!(outgoing.acknowledge(1), Ok(News::Some));
        assert_eq!(outgoing.acknowledge(0), Ok(News::None), "late, and no news");
        assert_eq!(
            outgoing.resume(0),
            Err(Misfit::TakenBack { acknowledged: 1 })
        );
    }
}
