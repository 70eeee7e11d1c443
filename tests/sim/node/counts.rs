//! What the client of a session that outlives its connection counts, and what it may conclude.
//!
//! Pure: `lasting.rs` is the client. Its messages are additions, as those of a plain session.

use super::checks::{self, SessionOrder};
use super::history::{Action, Operation, Outcome, Violation};
use super::subject::{Seen, Told};

/// One of the client's messages.
#[derive(Debug)]
pub(super) struct Said {
    /// The operation's number.
    pub(super) number: u64,
    pub(super) by: i64,
    begun: u64,
    /// When the session told of its effect, and what it showed.
    told: Option<(u64, Seen)>,
    /// When the client heard that it is durable.
    acked: Option<u64>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Message n of the session is at n − 1.
    said: Vec<Said>,
    /// How many have taken effect, as the client was told.
    acked: usize,
    /// How many the connection there is now was given, or an earlier one and were counted.
    given: usize,
    /// How many any connection was given.
    given_ever: usize,
    /// Messages of the server that the client has.
    got: u64,
    order: SessionOrder,
}

impl Counts {
    pub(super) fn say(&mut self, number: u64, by: i64, begun: u64) {
        self.said.push(Said {
            number,
            by,
            begun,
            told: None,
            acked: None,
        });
    }

    /// The next message for the connection; it counts as given.
    pub(super) fn give(&mut self) -> Option<&Said> {
        let next = self.said.get(self.given)?;
        self.given += 1;
        self.given_ever = self.given_ever.max(self.given);
        Some(next)
    }

    pub(super) fn got(&self) -> u64 {
        self.got
    }

    /// How many are left to be acknowledged.
    pub(super) fn unsettled(&self) -> usize {
        self.said.len() - self.acked
    }

    /// Whether nothing is left to be acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled() == 0
    }

    /// The server says that so many have taken effect.
    pub(super) fn acknowledged(&mut self, count: u64, at: u64) -> Result<(), Violation> {
        let (least, most) = (self.acked, self.given_ever);
        let count = checks::count_may_be(count, least, most)?;
        let acked = &mut self.said[least..count];
        acked.iter_mut().for_each(|said| said.acked = Some(at));
        self.acked = count;
        Ok(())
    }

    /// The session goes on with a new connection: what has not taken effect is given again.
    pub(super) fn resumed(&mut self, received: u64, at: u64) -> Result<(), Violation> {
        let counted = self.acknowledged(received, at);
        self.given = self.acked;
        counted
    }

    /// The next message of the server.
    pub(super) fn take(&mut self, object: &str, told: &Told, at: u64) -> Result<(), Violation> {
        self.got += 1;
        let own = |said: &&mut Said| said.number == told.seen.last && said.told.is_none();
        if let Some(said) = self.said.iter_mut().find(own) {
            said.told = Some((at, told.seen));
        }
        self.order.take(object, told)
    }

    /// The session is over for its client; what it knows of each of its additions.
    pub(super) fn end(self, object: &str, now: u64) -> impl Iterator<Item = Operation> {
        let given_ever = self.given_ever;
        let said = self.said.into_iter().enumerate();
        said.map(move |(index, said)| {
            let known = said.told.map(|(at, _)| at).into_iter().chain(said.acked);
            Operation {
                number: said.number,
                object: object.to_owned(),
                action: Action::Add(said.by),
                begun: said.begun,
                ended: known.min().unwrap_or(now),
                outcome: match (said.told, said.acked) {
                    (Some((_, seen)), _) => Outcome::Ok(seen),
                    (None, Some(_)) => Outcome::Done,
                    (None, None) if index < given_ever => Outcome::Unknown,
                    (None, None) => Outcome::Failed,
                },
            }
        })
    }
}
