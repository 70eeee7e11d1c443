//! A client of a session that outlives its connection (`docs/protocol.md`, without the socket): it loses
//! its connection, or believes so, comes back with two counts, and expects every message of either
//! direction once.

use std::future::poll_fn;
use std::time::Duration;

use abide::{Close, ConnectError, ConnectRequest, Deadline, Frame};
use abide_actors::{Connection, Incoming, Outgoing, Reset, Resumption, Token};
use tokio::time::sleep;

use super::checks;
use super::counts::Counts;
use super::history::Violation;
use super::line::FOREVER;
use super::machine::{NAMESPACE, Node};
use super::subject::{DURABLE, Told};
use super::workload::Client;

/// How often a client tries to come back before it gives up.
const TRIES_MAX: u32 = 20;

/// Messages said and not acknowledged, at most: when the session is lost nobody knows which of them have
/// taken effect, and the search for an order tries all that could be.
const UNSETTLED_MAX: usize = 2;

/// A session, with or without a connection.
struct Lasting {
    object: &'static str,
    token: Token,
    counts: Counts,
    on: Option<On>,
    /// A connection of before that nobody has closed.
    half_open: Option<Connection>,
    /// The process that served it last.
    life: u64,
}

/// A connection and whose it is.
struct On {
    connection: Connection,
    node: Node,
    is_readable: bool,
}

/// Whether a client says what it has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acknowledge {
    Yes,
    No,
}

impl Client<'_> {
    pub(super) async fn lasting_session(&mut self) {
        let Some(mut line) = self.open_lasting().await else {
            return;
        };
        let mut goes_on = true;
        for _ in 0..self.random.u8(3..10) {
            match self.random.u8(0..10) {
                0..4 if line.counts.unsettled() < UNSETTLED_MAX => self.say_once(&mut line),
                0..7 => {
                    let acknowledge = match self.random.bool() {
                        true => Acknowledge::Yes,
                        false => Acknowledge::No,
                    };
                    let time = Duration::from_millis(self.random.u64(1..80));
                    self.attend(&mut line, time, acknowledge).await;
                }
                7 => line.on = None,
                8 => line.half_open = line.on.take().map(|on| on.connection),
                _ => {
                    // Others write meanwhile, and this client does not read.
                    let pause = self.random.u64(1..100);
                    sleep(Duration::from_millis(pause)).await;
                }
            }
            goes_on = self.is_back(&mut line).await;
            if !goes_on {
                break;
            }
        }
        while goes_on && !line.counts.is_settled() {
            self.attend(&mut line, FOREVER, Acknowledge::Yes).await;
            if line.on.is_some() && !line.counts.is_settled() {
                let what = format!("nothing came of {:?} in {FOREVER:?}", line.counts);
                self.sim.violated("liveness", what);
                break;
            }
            goes_on = self.is_back(&mut line).await;
        }
        let now = self.sim.event(format_args!("client {} is done", self.name));
        let operations = line.counts.end(line.object, now);
        self.sim.history.borrow_mut().operations.extend(operations);
        if let Some(on) = line.on
            && self.random.bool()
        {
            on.connection.left(Close::new(Close::NORMAL, "enough"));
        }
    }

    /// The sessions of every third client live through an end of the process that nobody asked for.
    fn is_durable(&self) -> bool {
        self.name % 3 == 1
    }

    async fn open_lasting(&mut self) -> Option<Lasting> {
        let object = self.any_object();
        let (node, life) = self.node_and_life().await?;
        let connected = self.connect(&node, object, Resumption::New).await?;
        let connection = match connected {
            Ok(connection) => connection,
            Err(ConnectError::Call(error)) => {
                self.sim.judged(checks::error_may_be(&error));
                return None;
            }
            Err(_) => return None,
        };
        let welcome = connection.welcome()?;
        self.sim.event(format_args!(
            "client {} has a lasting session on {object}",
            self.name
        ));
        Some(Lasting {
            object,
            token: welcome.token,
            counts: Counts::default(),
            on: Some(On::new(connection, node)),
            half_open: None,
            life,
        })
    }

    async fn node_and_life(&self) -> Option<(Node, u64)> {
        let node = self.sim.node().await?;
        Some((node, self.sim.machine.borrow().lives()))
    }

    /// `None` when the process has ended before there was an answer.
    async fn connect(
        &self,
        node: &Node,
        object: &str,
        resumption: Resumption,
    ) -> Option<Result<Connection, ConnectError>> {
        let target = node.runtime.target(NAMESPACE, object);
        let target = target.expect("the namespace is there");
        let query = if self.is_durable() { DURABLE } else { "" };
        let request = ConnectRequest {
            query: query.to_owned(),
            resumption,
            ..ConnectRequest::default()
        };
        let deadline = Deadline::after(Duration::from_secs(5));
        tokio::select! {
            biased;
            () = node.is_gone.cancelled() => None,
            connected = node.runtime.connect(&target, request, deadline) => Some(connected),
        }
    }

    fn say_once(&mut self, line: &mut Lasting) {
        let (number, by) = (self.sim.next_number(), self.random.i64(1..1_000));
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: message Add({by}) on {}",
            self.name, line.object
        ));
        line.counts.say(number, by, begun);
    }

    /// Comes back when there is no connection; `false` when the session is over for this client.
    async fn is_back(&mut self, line: &mut Lasting) -> bool {
        for _ in 0..TRIES_MAX {
            if self.sim.is_over() {
                return false;
            }
            if line.on.is_some() {
                return true;
            }
            let pause = self.random.u64(0..60);
            sleep(Duration::from_millis(pause)).await;
            let Some((node, life)) = self.node_and_life().await else {
                return false;
            };
            let resumption = Resumption::Resume {
                token: line.token.clone(),
                received: line.counts.got(),
            };
            match self.connect(&node, line.object, resumption).await {
                None => {}
                Some(Ok(connection)) => return self.welcomed(line, connection, node, life),
                Some(Err(ConnectError::Call(error))) => {
                    self.sim.judged(checks::error_may_be(&error));
                }
                Some(Err(error)) => {
                    self.sim
                        .violated("resume", format!("{}: {error}", line.object));
                    return false;
                }
            }
        }
        false
    }

    fn welcomed(
        &mut self,
        line: &mut Lasting,
        connection: Connection,
        node: Node,
        life: u64,
    ) -> bool {
        let welcome = connection.welcome().expect("the session is no plain one");
        let at = self.sim.event(format_args!(
            "client {} is back: resumed {}, received {}, reset {:?}",
            self.name, welcome.resumed, welcome.received, welcome.reset
        ));
        if !welcome.resumed {
            // Faults may have ended it; but of a durable one nothing is forgotten that was not acknowledged.
            if self.is_durable() && welcome.reset == Some(Reset::Behind) {
                self.sim
                    .violated("resume", format!("{}: behind, though durable", line.object));
            }
            connection.left(Close::new(Close::NORMAL, "not the session that was lost"));
            return false;
        }
        self.sim.history.borrow_mut().resumes.count(line.life, life);
        line.life = life;
        self.sim.judged(line.counts.resumed(welcome.received, at));
        line.on = Some(On::new(connection, node));
        true
    }

    /// Gives and takes, until all that was said is acknowledged or the time is over.
    async fn attend(&mut self, line: &mut Lasting, time: Duration, acknowledge: Acknowledge) {
        let end = sleep(time);
        tokio::pin!(end);
        while let Some(on) = &mut line.on {
            on.give(&mut line.counts);
            let next = tokio::select! {
                biased;
                () = on.node.is_gone.cancelled() => break,
                next = poll_fn(|cx| on.connection.poll_outgoing(cx)) => next,
                () = &mut end => return,
            };
            let verdict = match next {
                Outgoing::Frame(frame) => {
                    let told: Told = frame
                        .as_text()
                        .and_then(|text| serde_json::from_str(text).ok())
                        .expect("a frame is what the object sends");
                    let at = self
                        .sim
                        .event(format_args!("client {} is told {told:?}", self.name));
                    let mut history = self.sim.history.borrow_mut();
                    history.sighted(line.object, told.seen, at);
                    line.counts.take(line.object, &told, at)
                }
                Outgoing::Ack(count) => {
                    let at = self
                        .sim
                        .event(format_args!("client {} hears ack {count}", self.name));
                    line.counts.acknowledged(count, at)
                }
                Outgoing::Readable => {
                    on.is_readable = true;
                    Ok(())
                }
                Outgoing::Skip(_) | Outgoing::Control(_) => {
                    let what = format!("nothing is left out on {}", line.object);
                    Err(Violation::new("session-order", what))
                }
                Outgoing::Close(close) => {
                    self.sim.event(format_args!(
                        "client {}: its lasting session on {} closes: {}",
                        self.name, line.object, close.code
                    ));
                    break;
                }
            };
            self.sim.judged(verdict);
            if acknowledge == Acknowledge::Yes
                && let Err(error) = on.connection.acknowledge(line.counts.got())
            {
                self.sim
                    .violated("resume", format!("{}: {error}", line.object));
            }
            if line.counts.is_settled() {
                return;
            }
        }
        line.on = None;
    }
}

impl On {
    fn new(connection: Connection, node: Node) -> Self {
        Self {
            connection,
            node,
            is_readable: true,
        }
    }

    /// Hands over the next message, if the server reads.
    fn give(&mut self, counts: &mut Counts) {
        while self.is_readable
            && let Some(said) = counts.give()
        {
            let frame = Frame::from(format!("{} {}", said.number, said.by));
            match self.connection.deliver(frame) {
                Incoming::Accepted => self.is_readable = false,
                // The node drains, and counts nothing more.
                Incoming::Ignored => {}
                Incoming::Answered(_) => unreachable!("it would not be counted"),
            }
        }
    }
}
