//! A session as a state machine: events in, writes and commands out, no I/O and no clock.
//!
//! ```text
//!            ┌────────── lost, refused with a hint ──────────┐
//!            ▼                                               │
//!   Waiting ──► Connecting ──► Greeting ──► Open ────────────┤
//!            pause        101         welcome                └──► Closed
//! ```
//! Both ends count data messages from one. `outgoing` keeps ours until they are acknowledged,
//! `incoming` counts the server's; a resume tells the one and is told the other. When the server
//! cannot go on it says so (*reset*), and a session without a past begins.
//!
//! The driver's part: do what [`Machine::command`] says, write what [`Machine::next_write`] gives,
//! report what happens, call [`Machine::timer`] at [`Machine::deadline`], and read no more from the
//! connection while an event is [waiting](Machine::has_event) to be told: that bounds them.

mod fate;
mod incoming;
mod messages;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

pub(crate) use self::fate::Failure;
use self::fate::{Fate, fate};
use self::incoming::Incoming;
pub(crate) use self::outgoing::{Bounds, Teller};
use self::outgoing::{Full, Outgoing};
use super::control::{self, PROTOCOL, Wire};
use super::event::{EndReason, Ended, Event, Reset, ResetReason, State};
use crate::backoff::{Backoff, jitter};
use crate::frame::Frame;
use crate::problem::Problem;

/// Since the session was opened.
pub(crate) type Time = Duration;

/// After a restart that the server announced, clients come back within this time.
const RESTART_SPREAD: Duration = Duration::from_secs(1);

/// Pings in a row without any answer after which the connection is dead.
const UNANSWERED_MAX: u32 = 2;

/// What a session is to be.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) style: Style,
    /// Subprotocols of the application.
    pub(crate) protocols: Vec<String>,
    pub(crate) bounds: Bounds,
    pub(crate) backoff: Backoff,
    pub(crate) ping_interval: Duration,
    /// For the connection and its handshake, and for the welcome.
    pub(crate) connect_timeout: Duration,
    /// For the acknowledgements of what was sent before a close.
    pub(crate) close_timeout: Duration,
}

/// Whether sessions outlive their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `abide.v1`.
    Resumable,
    /// Any WebSocket session.
    Plain,
}

/// What the driver is to do with the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make one, and offer these subprotocols.
    Connect(Vec<String>),
    /// Give it up, or the attempt to make it.
    Drop,
    /// Send a close frame with this code, then give it up.
    Close(u16),
}

/// A frame is not sent, and nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

#[derive(Debug)]
pub(crate) struct Machine {
    settings: Settings,
    link: Link,
    outgoing: Outgoing,
    incoming: Incoming,
    /// What resumes the session; `None` before the first welcome.
    token: Option<String>,
    /// Of the application's subprotocols, the one that was chosen.
    protocol: Option<String>,
    /// Whether a session has been open, so that the next one is a reset.
    begun: bool,
    /// Why the server is about to close, said before it does.
    refusal: Option<Box<Problem>>,
    /// The state shown to others, and whether this connection has told it.
    presence: Option<(Option<Value>, Told)>,
    /// Attempts in a row that did not lead to a lasting connection.
    failures: u32,
    /// When a close that waits for acknowledgements waits no more.
    finishing: Option<Time>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    random: fastrand::Rng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

#[derive(Debug)]
enum Link {
    Waiting {
        until: Time,
    },
    Connecting {
        until: Time,
    },
    /// The socket is open, the welcome has not come.
    Greeting {
        until: Time,
    },
    Open {
        since: Time,
        heard: Time,
        ping: Ping,
    },
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    /// When to look whether one is needed.
    at: Time,
    unanswered: u32,
    due: bool,
}

impl Machine {
    /// A session that begins at time zero by connecting.
    pub(crate) fn new(settings: Settings, random: fastrand::Rng) -> Self {
        let mut machine = Self {
            link: Link::Waiting { until: Time::ZERO },
            outgoing: Outgoing::new(settings.bounds),
            incoming: Incoming::default(),
            settings,
            token: None,
            protocol: None,
            begun: false,
            refusal: None,
            presence: None,
            failures: 0,
            finishing: None,
            commands: VecDeque::new(),
            events: VecDeque::from([Event::State(State::Connecting)]),
            random,
        };
        machine.connect(Time::ZERO);
        machine
    }

    // ── What the application wants ──────────────────────────────────────────────────────────

    /// Takes a frame to be sent as soon as that is possible.
    pub(crate) fn send(&mut self, frame: Frame, teller: Teller) -> Result<(), Refusal> {
        if self.is_ending() {
            return Err(Refusal::Closed);
        }
        let pushed = self.outgoing.push(frame, teller);
        pushed.map_err(|Full| Refusal::Full)
    }

    /// Shows this state to others from now on, through reconnects too; `None` for no more.
    pub(crate) fn present(&mut self, state: Option<Value>) {
        self.presence = Some((state, Told::No));
    }

    /// Ends the session once everything sent is acknowledged, or after the close timeout.
    pub(crate) fn finish(&mut self, now: Time) {
        if !self.is_ending() {
            self.finishing = Some(now + self.settings.close_timeout);
            self.finish_if_possible(now);
        }
    }

    // ── What the driver asks ────────────────────────────────────────────────────────────────

    /// What to do with the connection; to be asked after everything that happens.
    pub(crate) fn command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    pub(crate) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.link, Link::Closed)
    }

    /// Whether it is closed, or a close waits for acknowledgements.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_closed() || self.finishing.is_some()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// How many frames are sent and not settled.
    pub(crate) fn pending(&self) -> usize {
        self.outgoing.pending()
    }

    /// When [`timer`](Self::timer) is to be called.
    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        let link = match &self.link {
            Link::Waiting { until } | Link::Connecting { until } | Link::Greeting { until } => {
                *until
            }
            // An acknowledgement that is due already waits for the socket, not for the clock.
            Link::Open { ping, .. } => match self.incoming.due().filter(|due| *due > now) {
                Some(due) => due.min(ping.at),
                None => ping.at,
            },
            Link::Closed => return None,
        };
        Some(self.finishing.map_or(link, |until| until.min(link)))
    }

    /// The next message to write, control before data.
    pub(crate) fn next_write(&mut self, now: Time) -> Option<Wire> {
        let Link::Open { ping, .. } = &mut self.link else {
            return None;
        };
        let resumable = self.settings.style == Style::Resumable;
        if std::mem::take(&mut ping.due) {
            return Some(if resumable {
                control::ping()
            } else {
                Wire::Ping
            });
        }
        if resumable {
            if let Some((state, told @ Told::No)) = &mut self.presence {
                *told = Told::Yes;
                return Some(control::presence(state.as_ref()));
            }
            if let Some(taken) = self.incoming.acknowledge(now) {
                return Some(control::ack(taken));
            }
            return self.outgoing.next().map(control::escape);
        }
        let wire = self.outgoing.next().map(control::plain)?;
        self.outgoing.settle_written();
        self.finish_if_possible(now);
        Some(wire)
    }

    // ── What happened ───────────────────────────────────────────────────────────────────────

    /// The handshake is done, and this subprotocol was agreed on.
    pub(crate) fn connected(&mut self, protocol: Option<&str>, now: Time) {
        if !matches!(self.link, Link::Connecting { .. }) {
            return;
        }
        match self.settings.style {
            Style::Plain => {
                if self.begun {
                    self.begin_anew(ResetReason::Plain);
                }
                self.protocol = protocol.map(str::to_owned);
                self.open(State::Open { resumed: false }, now);
            }
            Style::Resumable if protocol == Some(PROTOCOL) => {
                let until = now + self.settings.connect_timeout;
                self.link = Link::Greeting { until };
            }
            Style::Resumable => {
                let said = format!("the server does not speak {PROTOCOL}");
                self.give_up(EndReason::NotSupported(said));
            }
        }
    }

    /// A message came.
    pub(crate) fn received(&mut self, frame: Frame, now: Time) {
        self.heard(now);
        match self.settings.style {
            Style::Plain if matches!(self.link, Link::Open { .. }) => {
                self.events.push_back(Event::Message(frame));
            }
            Style::Plain => {}
            Style::Resumable => self.received_resumable(control::read(frame), now),
        }
    }

    /// Something came that is no message, such as a pong.
    pub(crate) fn heard(&mut self, now: Time) {
        if let Link::Open { heard, ping, .. } = &mut self.link {
            *heard = now;
            ping.unanswered = 0;
        }
    }

    /// There is no connection, or no more.
    pub(crate) fn lost(&mut self, failure: Failure, now: Time) {
        if matches!(self.link, Link::Waiting { .. } | Link::Closed) {
            return;
        }
        let refusal = self.refusal.take();
        match fate(failure, refusal) {
            Fate::Over(reason) => self.end(reason),
            Fate::Restart { reason } => {
                let pause = jitter(RESTART_SPREAD, &mut self.random);
                self.wait(pause, reason, now);
            }
            Fate::Forget { reason } if self.token.take().is_some() => {
                self.retry(Duration::ZERO, reason, now);
            }
            Fate::Forget { reason } => {
                let code = 1008;
                self.end(EndReason::Closed { code, reason });
            }
            Fate::Again { least, reason } => self.retry(least, reason, now),
        }
    }

    /// It is [`deadline`](Self::deadline), or later.
    pub(crate) fn timer(&mut self, now: Time) {
        self.finish_if_possible(now);
        match &self.link {
            Link::Waiting { until } if *until <= now => self.connect(now),
            Link::Connecting { until } | Link::Greeting { until } if *until <= now => {
                self.commands.push_back(Command::Drop);
                self.retry(
                    Duration::ZERO,
                    "the server did not answer in time".to_owned(),
                    now,
                );
            }
            Link::Open { ping, .. } if ping.at <= now => self.look_for_life(now),
            _ => {}
        }
    }

    // ── One transition each ─────────────────────────────────────────────────────────────────

    fn connect(&mut self, now: Time) {
        let mut offered = Vec::new();
        if self.settings.style == Style::Resumable {
            offered.push(PROTOCOL.to_owned());
            let resume = self.token.as_ref();
            offered.extend(resume.map(|token| control::resume(token, self.incoming.taken())));
        }
        offered.extend(self.settings.protocols.iter().cloned());
        let until = now + self.settings.connect_timeout;
        self.link = Link::Connecting { until };
        self.commands.push_back(Command::Connect(offered));
    }

    fn begin_anew(&mut self, reason: ResetReason) {
        self.incoming.reset();
        let unacknowledged = self.outgoing.reset();
        self.events.push_back(Event::Reset(Reset {
            reason,
            unacknowledged,
        }));
    }

    /// Frames may go; `state` is what is told of it.
    fn open(&mut self, state: State, now: Time) {
        self.begun = true;
        self.refusal = None;
        // The message that told it may have been lost with the connection.
        if let Some((_, told)) = &mut self.presence {
            *told = Told::No;
        }
        self.link = Link::Open {
            since: now,
            heard: now,
            ping: Ping {
                at: now + self.settings.ping_interval,
                unanswered: 0,
                due: false,
            },
        };
        self.tell_state(state);
    }

    /// Asks whether anybody is there, and gives up when nobody has answered for too long.
    fn look_for_life(&mut self, now: Time) {
        let interval = self.settings.ping_interval;
        let Link::Open { heard, ping, .. } = &mut self.link else {
            return;
        };
        if !self.events.is_empty() {
            // The application holds up the reading, so nobody can know.
            ping.at = now + interval;
        } else if *heard + interval > now {
            ping.at = *heard + interval;
        } else if ping.unanswered >= UNANSWERED_MAX {
            self.commands.push_back(Command::Drop);
            self.retry(
                Duration::ZERO,
                "the server did not answer to pings".to_owned(),
                now,
            );
        } else {
            ping.unanswered += 1;
            ping.due = true;
            ping.at = now + interval;
        }
    }

    fn retry(&mut self, least: Duration, reason: String, now: Time) {
        // A connection that lasted was no failure; one that is lost at once, again and again, is.
        if let Link::Open { since, .. } = &self.link
            && *since + self.settings.backoff.max <= now
        {
            self.failures = 0;
        }
        let pause = self.settings.backoff.pause(self.failures, &mut self.random);
        self.failures += 1;
        self.wait(pause.max(least), reason, now);
    }

    fn wait(&mut self, pause: Duration, reason: String, now: Time) {
        self.link = Link::Waiting { until: now + pause };
        self.tell_state(State::Reconnecting {
            after: pause,
            reason,
        });
        self.finish_if_possible(now);
    }

    /// A close that was asked for happens when nothing is left to be acknowledged, or it is too late.
    fn finish_if_possible(&mut self, now: Time) {
        let Some(until) = self.finishing else { return };
        let is_over = until <= now;
        match &self.link {
            Link::Closed => {}
            Link::Open { .. } if is_over || self.outgoing.pending() == 0 => {
                self.commands.push_back(Command::Close(1000));
                self.end(EndReason::Local);
            }
            // Without a connection nothing can be said; a session that was begun waits to be told.
            _ if is_over || (self.outgoing.pending() == 0 && !self.begun) => {
                self.commands.push_back(Command::Drop);
                self.end(EndReason::Local);
            }
            _ => {}
        }
    }

    fn violated(&mut self, said: &str) {
        self.commands.push_back(Command::Close(1002));
        self.end(EndReason::ProtocolError(said.to_owned()));
    }

    fn give_up(&mut self, reason: EndReason) {
        self.commands.push_back(Command::Drop);
        self.end(reason);
    }

    fn end(&mut self, reason: EndReason) {
        self.link = Link::Closed;
        let unacknowledged = self.outgoing.end();
        self.tell_state(State::Closed(Ended {
            reason,
            unacknowledged,
        }));
    }

    // ── What is told: the newest of a row of the same is enough ─────────────────────────────

    fn tell_state(&mut self, state: State) {
        // An application that does not look misses nothing by not seeing every attempt.
        if let (Some(Event::State(last)), State::Reconnecting { .. }) =
            (self.events.back_mut(), &state)
            && matches!(last, State::Reconnecting { .. })
        {
            *last = state;
        } else {
            self.events.push_back(Event::State(state));
        }
    }

    fn tell_saved(&mut self) {
        let saved = Event::Saved {
            acknowledged: self.outgoing.acknowledged(),
            pending: self.outgoing.pending(),
        };
        match self.events.back_mut() {
            Some(last @ Event::Saved { .. }) => *last = saved,
            _ => self.events.push_back(saved),
        }
    }
}
