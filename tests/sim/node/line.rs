//! A client of a session: it says some things, reads at its own pace, and goes.

use std::future::poll_fn;
use std::time::Duration;

use abide::{ConnectError, ConnectRequest, Deadline, Frame};
use abide_actors::{Connection, Incoming, Outgoing};
use tokio::time::{sleep, timeout};

use super::checks::{self, SessionOrder};
use super::history::Action;
use super::machine::{NAMESPACE, Node};
use super::subject::{Seen, Told};
use super::workload::{Client, Trouble};

/// After so much time without what it waits for a client says that nothing will come. Longer than
/// anything that may hold an answer back: a turn, a retry, a disk that is full.
pub(super) const FOREVER: Duration = Duration::from_secs(120);

/// An open session.
struct Line {
    connection: Connection,
    node: Node,
    object: &'static str,
    order: SessionOrder,
    has_ended: bool,
}

/// What came of waiting for a frame's addition.
enum Heard {
    Told(Seen),
    Ended,
}

impl Client<'_> {
    pub(super) async fn session(&mut self) {
        let object = self.any_object();
        let Some(node) = self.sim.node().await else {
            return;
        };
        let target = node
            .runtime
            .target(NAMESPACE, object)
            .expect("the namespace is there");
        let deadline = Deadline::after(Duration::from_secs(5));
        let connecting = node
            .runtime
            .connect(&target, ConnectRequest::default(), deadline);
        let connected = tokio::select! {
            biased;
            () = node.is_gone.cancelled() => return,
            connected = connecting => connected,
        };
        let connection = match connected {
            Ok(connection) => connection,
            Err(ConnectError::Call(error)) => return self.sim.judged(checks::error_may_be(&error)),
            Err(_) => return,
        };
        let mut line = Line {
            connection,
            node,
            object,
            order: SessionOrder::default(),
            has_ended: false,
        };
        self.sim.event(format_args!(
            "client {} has a session on {object}",
            self.name
        ));
        for _ in 0..self.random.u8(1..5) {
            if line.has_ended || self.sim.is_over() {
                break;
            }
            if self.random.u8(0..3) == 0 {
                // Others write meanwhile, and this client does not read.
                let pause = self.random.u64(1..150);
                sleep(Duration::from_millis(pause)).await;
            }
            self.say(&mut line).await;
        }
        if self.random.bool() && !line.has_ended {
            line.connection
                .closed(abide::Close::new(abide::Close::NORMAL, "enough"));
        }
    }

    /// Sends an addition as a frame, and waits until the session tells of it.
    async fn say(&mut self, line: &mut Line) {
        let (number, by) = (self.sim.next_number(), self.random.i64(1..1_000));
        let object = line.object;
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: frame Add({by}) on {object}",
            self.name
        ));
        let delivered = line
            .connection
            .deliver(Frame::from(format!("{number} {by}")));
        let outcome = match delivered {
            Incoming::Accepted => match self.hear(line, number).await {
                Heard::Told(seen) => Ok(seen),
                Heard::Ended => Err(Trouble::Unknown),
            },
            // The node drains: it was dropped.
            Incoming::Ignored => {
                line.has_ended = true;
                Err(Trouble::None)
            }
            Incoming::Answered(_) => Err(Trouble::Unknown),
        };
        self.ended(number, object, Action::Add(by), begun, outcome);
    }

    /// Reads until the frame was handled and its effect was told of.
    async fn hear(&mut self, line: &mut Line, number: u64) -> Heard {
        let (mut is_handled, mut told) = (false, None);
        while !is_handled || told.is_none() {
            let next = timeout(FOREVER, poll_fn(|cx| line.connection.poll_outgoing(cx)));
            let next = tokio::select! {
                biased;
                () = line.node.is_gone.cancelled() => {
                    line.has_ended = true;
                    return Heard::Ended;
                }
                next = next => next,
            };
            match next {
                Ok(Outgoing::Frame(frame)) => {
                    let frame: Told = frame
                        .as_text()
                        .and_then(|text| serde_json::from_str(text).ok())
                        .expect("a frame is what the object sends");
                    self.take(line, &frame);
                    if frame.seen.last == number {
                        told = Some(frame.seen);
                    }
                }
                Ok(Outgoing::Readable) => is_handled = true,
                Ok(Outgoing::Skip(_) | Outgoing::Control(_) | Outgoing::Ack(_)) => {
                    unreachable!("the session is plain, and nothing in it is left out")
                }
                Ok(Outgoing::Close(close)) => {
                    self.sim.event(format_args!(
                        "client {}: its session on {} closes: {}",
                        self.name, line.object, close.code
                    ));
                    line.has_ended = true;
                    break;
                }
                Err(_elapsed) => {
                    let what = format!("nothing came of a frame to {} in {FOREVER:?}", line.object);
                    self.sim.violated("liveness", what);
                    line.has_ended = true;
                    break;
                }
            }
        }
        told.map_or(Heard::Ended, Heard::Told)
    }

    fn take(&mut self, line: &mut Line, told: &Told) {
        let at = self
            .sim
            .event(format_args!("client {} is told {told:?}", self.name));
        self.sim
            .history
            .borrow_mut()
            .sighted(line.object, told.seen, at);
        self.sim.judged(line.order.take(line.object, told));
    }
}
