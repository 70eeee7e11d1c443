//! One client: it sends, it listens, and its witness checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abide_client::{Client, Event, Events, Frame, Receipt, Session, State, Unsettled};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::report::Report;
use crate::witness::{Fault, Lives, Witness};

/// What the driver wants of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Send and listen.
    Load,
    /// Send nothing new, and settle.
    Settle,
    /// It is over.
    End,
}

/// What all clients share.
pub(crate) struct Common {
    pub(crate) report: Mutex<Report>,
    /// How often a session was opened or resumed.
    pub(crate) opened: AtomicUsize,
    /// Clients for which nothing is under way.
    pub(crate) settled: AtomicUsize,
    pub(crate) sabotage: Option<Sabotage>,
}

/// What the driver does wrong on purpose, to show that it notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// One line is not shown to the witness.
    DropLine,
    /// One line is shown twice.
    DoubleLine,
    /// One message is sent twice.
    DoubleMessage,
    /// One message is never sent.
    DropMessage,
}

/// What became of a client, to be compared with the object.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) number: u32,
    pub(crate) object: usize,
    pub(crate) sent: u64,
    pub(crate) last_line: u64,
    pub(crate) resets: u64,
}

/// Where and how a client works.
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) object: usize,
    /// Of the server, or of the proxy before it.
    pub(crate) address: String,
    /// Mean time between two messages.
    pub(crate) pause: Duration,
    pub(crate) lives: Lives,
}

type Numbered = std::pin::Pin<Box<dyn Future<Output = (u64, Result<(), Unsettled>)> + Send>>;

/// One client at work.
struct Work {
    place: Place,
    common: Arc<Common>,
    session: Session,
    witness: Witness,
    receipts: FuturesUnordered<Numbered>,
    random: fastrand::Rng,
    /// Counted as settled in `common`.
    is_settled: bool,
    /// Set off once.
    sabotage: Option<Sabotage>,
}

/// The name of an object.
pub(crate) fn object_name(object: usize) -> String {
    format!("object-{object}")
}

/// Works until the end.
pub(crate) async fn run(
    place: Place,
    witness: Witness,
    common: Arc<Common>,
    mut phase: watch::Receiver<Phase>,
) -> anyhow::Result<Account> {
    let client = Client::new(&place.address)?;
    let object = client.object("ledger", &object_name(place.object));
    let (session, mut events) = object
        .session()
        .query(&[
            ("client", place.number.to_string()),
            ("durable", (place.lives == Lives::ThroughKills).to_string()),
        ])?
        // A connection that died quietly is noticed within a short run too.
        .ping_interval(Duration::from_secs(5))
        .open();
    let mut work = Work {
        session,
        witness,
        receipts: FuturesUnordered::new(),
        random: fastrand::Rng::with_seed(u64::from(place.number)),
        is_settled: false,
        // One culprit is enough.
        sabotage: common.sabotage.filter(|_| place.number == 1),
        place,
        common,
    };
    work.until_the_end(&mut events, &mut phase).await;
    Ok(Account {
        number: work.place.number,
        object: work.place.object,
        sent: work.witness.sent(),
        last_line: work.witness.last(),
        resets: work.witness.resets,
    })
}

impl Work {
    async fn until_the_end(&mut self, events: &mut Events, phase: &mut watch::Receiver<Phase>) {
        let mut next_send = Instant::now() + self.pause();
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::End {
                return;
            }
            self.note_settled(now);
            tokio::select! {
                // Events first: what was acknowledged after a snapshot need not be in it.
                biased;
                event = events.next() => match event {
                    Some(event) => self.happened(event),
                    None => return self.fault(Fault::Unexpected("the session ended".to_owned())),
                },
                Some((number, settled)) = self.receipts.next() => {
                    if settled.is_ok() {
                        self.witness.acknowledged(number);
                        self.common.report.lock().acknowledged += 1;
                    }
                }
                () = sleep_until(next_send), if now == Phase::Load => {
                    next_send = Instant::now() + self.pause();
                    self.send();
                }
                changed = phase.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Anything up to twice the mean.
    fn pause(&mut self) -> Duration {
        self.place.pause.mul_f64(2.0 * self.random.f64())
    }

    fn send(&mut self) {
        let number = self.witness.send();
        match self.sabotage {
            Some(Sabotage::DropMessage) => {
                self.sabotage = None;
                self.witness.acknowledged(number);
                return;
            }
            Some(Sabotage::DoubleMessage) => {
                self.sabotage = None;
                self.send_numbered(number);
            }
            _ => {}
        }
        if !self.send_numbered(number) {
            self.witness.unsend();
        }
    }

    fn send_numbered(&mut self, number: u64) -> bool {
        let text = format!("{} {number}", self.place.number);
        let Ok(receipt) = self.session.send(text) else {
            self.common.report.lock().full += 1;
            return false;
        };
        self.receipts.push(Box::pin(settled(number, receipt)));
        true
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Message(frame) => self.message(&frame),
            Event::Reset(reset) => {
                let numbers = reset.unacknowledged.iter().filter_map(number);
                self.witness.reset(numbers);
                self.common.report.lock().resets += 1;
            }
            Event::State(State::Open { resumed }) => {
                self.common.opened.fetch_add(1, Ordering::Relaxed);
                self.common.report.lock().resumes += u64::from(resumed);
            }
            Event::State(State::Closed(ended)) => {
                self.fault(Fault::Unexpected(format!("closed: {:?}", ended.reason)));
            }
            _ => {}
        }
    }

    fn message(&mut self, frame: &Frame) {
        let text = frame.as_text().unwrap_or("no text");
        let times = match self.sabotage {
            Some(Sabotage::DropLine) if text.starts_with('l') => 0,
            Some(Sabotage::DoubleLine) if text.starts_with('l') => 2,
            _ => 1,
        };
        if times != 1 {
            self.sabotage = None;
        }
        for _ in 0..times {
            match self.witness.frame(text) {
                Ok(again) => {
                    for number in again {
                        self.common.report.lock().sent_again += 1;
                        self.send_numbered(number);
                    }
                }
                Err(fault) => self.fault(fault),
            }
        }
        self.common.report.lock().lines += 1;
    }

    fn note_settled(&mut self, phase: Phase) {
        let is_settled = phase == Phase::Settle && self.witness.is_settled();
        if is_settled == std::mem::replace(&mut self.is_settled, is_settled) {
            return;
        }
        if is_settled {
            self.common.settled.fetch_add(1, Ordering::Relaxed);
        } else {
            self.common.settled.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn fault(&self, fault: Fault) {
        let of = format!(
            "client {} of {}",
            self.place.number,
            object_name(self.place.object)
        );
        self.common.report.lock().fault(&of, &fault);
    }
}

async fn settled(number: u64, receipt: Receipt) -> (u64, Result<(), Unsettled>) {
    (number, receipt.await.map(|_| ()))
}

/// The number in a message of ours.
fn number(frame: &Frame) -> Option<u64> {
    frame.as_text()?.split(' ').nth(1)?.parse().ok()
}
