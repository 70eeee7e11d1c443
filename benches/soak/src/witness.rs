//! What one client may see, checked frame by frame: the accounts of the soak, without any I/O.
//!
//! - *lines*: of the object's lines none is missing, doubled or changed for as long as the session
//!   lives, whatever happened to its connections;
//! - *resets* come from crashes alone, and of durable sessions from nothing;
//! - *acknowledged*: what was acknowledged is in every later snapshot, and so is what was shown.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::restarts::Restarts;

/// Which client said which message in a line of an object.
type Said = (u32, u64);

/// What the clients of one object have seen of its lines: the same line is the same to all.
#[derive(Debug, Default)]
pub(crate) struct Page {
    lines: HashMap<u64, Said>,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Lines between these two never came.
    LinesLost { last: u64, got: u64 },
    /// A line came again.
    LineDoubled { last: u64, got: u64 },
    /// Two clients, or one before and after a crash, saw different things in one line.
    LineChanged { line: u64 },
    /// What was acknowledged is not in the snapshot.
    AcknowledgedLost { number: u64 },
    /// What was shown to a client is not in the snapshot.
    ShownLost { last: u64, lines: u64 },
    /// A session was over although no server was killed.
    ResetUnexplained { born: u32, run: u32 },
    /// A durable session was over.
    ResetOfDurable { born: u32, run: u32 },
    /// A frame that means nothing here.
    Unexpected(String),
    /// At the end something is not as it was sent.
    Totals(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinesLost { last, got } => write!(f, "after line {last} came line {got}"),
            Self::LineDoubled { last, got } => write!(f, "line {got} came after line {last}"),
            Self::LineChanged { line } => write!(f, "line {line} is not the same to all"),
            Self::AcknowledgedLost { number } => {
                write!(f, "message {number} was acknowledged and is lost")
            }
            Self::ShownLost { last, lines } => {
                write!(f, "line {last} was shown, and the object has only {lines}")
            }
            Self::ResetUnexplained { born, run } => {
                write!(
                    f,
                    "a session of run {born} was over in run {run}, and nothing was killed"
                )
            }
            Self::ResetOfDurable { born, run } => {
                write!(f, "a durable session of run {born} was over in run {run}")
            }
            Self::Unexpected(said) | Self::Totals(said) => f.write_str(said),
        }
    }
}

/// What a session lives through, beside lost connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    ThroughDrains,
    /// It is declared durable.
    ThroughKills,
}

/// The accounts of one client.
#[derive(Debug)]
pub(crate) struct Witness {
    page: Arc<Mutex<Page>>,
    restarts: Arc<Restarts>,
    lives: Lives,
    /// Messages sent, which are numbered from one on.
    sent: u64,
    unacknowledged: BTreeSet<u64>,
    /// Handed back by a reset, until the snapshot says which of them took effect.
    handed_back: BTreeSet<u64>,
    /// The last line seen, or counted by a snapshot; `None` before the first.
    last: Option<u64>,
    /// The run of the server in which the session was born.
    born: u32,
    awaiting: Awaiting,
    pub(crate) lines: u64,
    pub(crate) resets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    /// The first snapshot of all.
    First,
    /// The snapshot after a reset.
    Snapshot,
    Lines,
}

/// What an object says to a new session.
struct Snapshot {
    run: u32,
    lines: u64,
    upto: u64,
    beyond: BTreeSet<u64>,
}

impl Snapshot {
    /// Whether the object has heard this message of the client.
    fn heard(&self, number: u64) -> bool {
        number <= self.upto || self.beyond.contains(&number)
    }
}

impl Witness {
    pub(crate) fn new(page: Arc<Mutex<Page>>, restarts: Arc<Restarts>, lives: Lives) -> Self {
        Self {
            page,
            restarts,
            lives,
            sent: 0,
            unacknowledged: BTreeSet::new(),
            handed_back: BTreeSet::new(),
            last: None,
            born: 0,
            awaiting: Awaiting::First,
            lines: 0,
            resets: 0,
        }
    }

    /// The number of the next message, which is under way from now on.
    pub(crate) fn send(&mut self) -> u64 {
        self.sent += 1;
        self.unacknowledged.insert(self.sent);
        self.sent
    }

    /// The message was not taken after all.
    pub(crate) fn unsend(&mut self) {
        self.unacknowledged.remove(&self.sent);
        self.sent -= 1;
    }

    pub(crate) fn acknowledged(&mut self, number: u64) {
        self.unacknowledged.remove(&number);
    }

    /// The session began anew, and these were neither acknowledged nor never sent.
    pub(crate) fn reset(&mut self, handed_back: impl IntoIterator<Item = u64>) {
        self.resets += 1;
        self.handed_back.extend(handed_back);
        self.awaiting = Awaiting::Snapshot;
    }

    /// A frame came; the messages to send again.
    pub(crate) fn frame(&mut self, text: &str) -> Result<Vec<u64>, Fault> {
        let unexpected = || Fault::Unexpected(format!("nobody says {text:?}"));
        let mut words = text.split(' ');
        let kind = words.next();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        match kind {
            Some("l") => {
                let line = number().ok_or_else(unexpected)?;
                let client = number().and_then(|n| u32::try_from(n).ok());
                let said = (
                    client.ok_or_else(unexpected)?,
                    number().ok_or_else(unexpected)?,
                );
                self.line(line, said).map(|()| Vec::new())
            }
            Some("s") => {
                let run = number().and_then(|n| u32::try_from(n).ok());
                let (lines, upto) = (number(), number());
                let beyond = words.next().unwrap_or_default().split(',');
                let snapshot = Snapshot {
                    run: run.ok_or_else(unexpected)?,
                    lines: lines.ok_or_else(unexpected)?,
                    upto: upto.ok_or_else(unexpected)?,
                    beyond: beyond.filter_map(|word| word.parse().ok()).collect(),
                };
                self.snapshot(snapshot)
            }
            _ => Err(unexpected()),
        }
    }

    fn line(&mut self, line: u64, said: Said) -> Result<(), Fault> {
        let last = match (self.awaiting, self.last) {
            (Awaiting::Lines, Some(last)) => last,
            _ => {
                return Err(Fault::Unexpected(format!(
                    "line {line} before the snapshot"
                )));
            }
        };
        if line <= last {
            return Err(Fault::LineDoubled { last, got: line });
        }
        self.last = Some(line);
        self.lines += 1;
        if line > last + 1 {
            return Err(Fault::LinesLost { last, got: line });
        }
        let known = *self.page.lock().lines.entry(line).or_insert(said);
        if known != said {
            return Err(Fault::LineChanged { line });
        }
        Ok(())
    }

    /// The messages to send again, and what is wrong; the accounts go on from here in any case.
    fn snapshot(&mut self, snapshot: Snapshot) -> Result<Vec<u64>, Fault> {
        let wrong = self.check(&snapshot);
        self.awaiting = Awaiting::Lines;
        (self.last, self.born) = (Some(snapshot.lines), snapshot.run);
        let handed_back = std::mem::take(&mut self.handed_back).into_iter();
        let (done, again): (Vec<u64>, Vec<u64>) =
            handed_back.partition(|number| snapshot.heard(*number));
        for number in done {
            self.unacknowledged.remove(&number);
        }
        wrong.map(|()| again)
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let (born, run) = (self.born, snapshot.run);
        match self.awaiting {
            Awaiting::Lines => {
                let said = "a snapshot in the middle of a session".to_owned();
                return Err(Fault::Unexpected(said));
            }
            Awaiting::Snapshot if self.lives == Lives::ThroughKills => {
                return Err(Fault::ResetOfDurable { born, run });
            }
            Awaiting::Snapshot if !self.restarts.killed(born, run) => {
                return Err(Fault::ResetUnexplained { born, run });
            }
            Awaiting::First | Awaiting::Snapshot => {}
        }
        let lines = snapshot.lines;
        if let Some(last) = self.last.filter(|last| *last > lines) {
            return Err(Fault::ShownLost { last, lines });
        }
        let mut missing = (1..=self.sent).filter(|number| !snapshot.heard(*number));
        match missing.find(|number| !self.unacknowledged.contains(number)) {
            Some(number) => Err(Fault::AcknowledgedLost { number }),
            None => Ok(()),
        }
    }

    /// Whether everything sent is known to be durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.awaiting == Awaiting::Lines && self.unacknowledged.is_empty()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The last line seen.
    pub(crate) fn last(&self) -> u64 {
        self.last.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restarts::How;

    /// A witness with an open session in run zero, of an object with five lines.
    fn witness() -> Witness {
        let lives = Lives::ThroughDrains;
        let mut witness = Witness::new(Arc::default(), Arc::default(), lives);
        witness.restarts.started();
        assert_eq!(witness.frame("s 0 5 0 "), Ok(vec![]));
        witness
    }

    fn restarted(witness: &Witness, how: How) {
        witness.restarts.ended(how);
        witness.restarts.started();
    }

    #[test]
    fn lines_one_after_the_other_are_fine() {
        let mut witness = witness();
        for line in 6..10 {
            assert_eq!(witness.frame(&format!("l {line} 1 {line}")), Ok(vec![]));
        }
        assert_eq!((witness.last(), witness.lines), (9, 4));
    }

    #[test]
    fn a_dropped_line_is_noticed() {
        let mut witness = witness();
        assert_eq!(
            witness.frame("l 7 1 1"),
            Err(Fault::LinesLost { last: 5, got: 7 })
        );
    }

    #[test]
    fn a_doubled_line_is_noticed() {
        let mut witness = witness();
        witness.frame("l 6 1 1").unwrap();
        assert_eq!(
            witness.frame("l 6 1 1"),
            Err(Fault::LineDoubled { last: 6, got: 6 })
        );
    }

    #[test]
    fn a_line_that_others_saw_differently_is_noticed() {
        let mut first = witness();
        let mut second = witness();
        second.page = first.page.clone();
        first.frame("l 6 1 1").unwrap();
        assert_eq!(second.frame("l 6 2 1"), Err(Fault::LineChanged { line: 6 }));
    }

    #[test]
    fn a_reset_after_a_kill_hands_back_what_is_missing() {
        let mut witness = witness();
        for _ in 0..4 {
            witness.send();
        }
        witness.acknowledged(1);
        restarted(&witness, How::Killed);
        witness.reset([2, 3]);
        // Two took effect, three did not; four was never tried and goes by itself.
        assert_eq!(witness.frame("s 1 7 2 "), Ok(vec![3]));
        assert!(!witness.is_settled());
        witness.acknowledged(3);
        witness.acknowledged(4);
        assert!(witness.is_settled());
    }

    #[test]
    fn a_reset_without_a_kill_is_noticed() {
        for how in [None, Some(How::Drained)] {
            let mut witness = witness();
            let run = match how {
                Some(how) => {
                    restarted(&witness, how);
                    1
                }
                None => 0,
            };
            witness.reset([]);
            let noticed = Fault::ResetUnexplained { born: 0, run };
            assert_eq!(witness.frame(&format!("s {run} 5 0 ")), Err(noticed));
        }
    }

    #[test]
    fn a_reset_of_a_durable_session_is_noticed_whatever_was_killed() {
        let mut witness = witness();
        witness.lives = Lives::ThroughKills;
        restarted(&witness, How::Killed);
        witness.reset([]);
        let noticed = Fault::ResetOfDurable { born: 0, run: 1 };
        assert_eq!(witness.frame("s 1 5 0 "), Err(noticed));
    }

    #[test]
    fn what_was_acknowledged_before_it_was_durable_is_noticed() {
        let mut witness = witness();
        witness.send();
        witness.send();
        witness.acknowledged(1);
        witness.acknowledged(2);
        restarted(&witness, How::Killed);
        witness.reset([]);
        assert_eq!(
            witness.frame("s 1 6 1 "),
            Err(Fault::AcknowledgedLost { number: 2 })
        );
    }

    #[test]
    fn what_was_shown_before_it_was_durable_is_noticed() {
        let mut witness = witness();
        witness.frame("l 6 1 1").unwrap();
        restarted(&witness, How::Killed);
        witness.reset([]);
        assert_eq!(
            witness.frame("s 1 5 0 "),
            Err(Fault::ShownLost { last: 6, lines: 5 })
        );
    }

    #[test]
    fn a_number_heard_out_of_turn_is_heard() {
        let mut witness = witness();
        for _ in 0..3 {
            witness.send();
        }
        witness.acknowledged(3);
        restarted(&witness, How::Killed);
        witness.reset([1, 2]);
        assert_eq!(witness.frame("s 1 6 0 2,3"), Ok(vec![1]));
    }
}
