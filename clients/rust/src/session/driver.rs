//! The task of a session: it does what the machine says, and tells it what happens.

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::future::poll_fn;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::machine::{Command, Failure, Time};
use super::socket::{Happened, Reading, Socket};
use super::{Event, Owner, Shared};
use crate::address::Address;

pub(super) struct Driver {
    shared: Arc<Shared>,
    /// Gone when nobody can send any more.
    owner: Weak<Owner>,
    events: mpsc::Sender<Event>,
    address: Arc<Address>,
    url: Arc<str>,
    link: Link,
}

type Opening = Pin<Box<dyn Future<Output = Result<(Socket, Option<String>), Failure>> + Send>>;

enum Link {
    None,
    Opening(Opening),
    Open(Box<Socket>),
}

/// What a connection, or the attempt to make one, has to tell.
enum Told {
    Opened(Box<Socket>, Option<String>),
    Happened(Happened),
}

/// Why the driver goes on.
enum Step {
    /// The machine may have something to do.
    Woken,
    Told(Told),
    Timer,
    /// Nobody sends and nobody reads.
    Abandoned,
    Over,
}

/// What the machine waits for.
struct Look {
    deadline: Option<Time>,
    has_event: bool,
    is_closed: bool,
    is_ending: bool,
}

impl Look {
    fn at(shared: &Shared) -> Self {
        let machine = shared.machine.lock();
        Self {
            deadline: machine.deadline(shared.now()),
            has_event: machine.has_event(),
            is_closed: machine.is_closed(),
            is_ending: machine.is_ending(),
        }
    }
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        owner: Weak<Owner>,
        events: mpsc::Sender<Event>,
        address: Arc<Address>,
        url: String,
    ) -> Self {
        Self {
            shared,
            owner,
            events,
            address,
            url: url.into(),
            link: Link::None,
        }
    }

    /// Until the session is over and all of it is told.
    pub(super) async fn run(mut self) {
        loop {
            self.obey().await;
            match self.next().await {
                Step::Over => return,
                Step::Woken => {}
                Step::Told(told) => self.tell(told),
                Step::Timer => self.shared.machine.lock().timer(self.shared.now()),
                Step::Abandoned => self.shared.machine.lock().finish(self.shared.now()),
            }
        }
    }

    /// Waits for whatever comes next.
    async fn next(&mut self) -> Step {
        let state = Look::at(&self.shared);
        if state.is_closed && !state.has_event {
            return Step::Over;
        }
        let Self {
            shared,
            owner,
            events,
            link,
            ..
        } = self;
        let timer = async {
            match state.deadline {
                Some(at) => sleep_until(shared.began + at).await,
                None => pending().await,
            }
        };
        let abandoned = async {
            events.closed().await;
            // The last sender wakes this task when it goes.
            if owner.strong_count() > 0 {
                pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = shared.wake.notified() => Step::Woken,
            permit = events.reserve(), if state.has_event => {
                let event = shared.machine.lock().event();
                // Where nobody reads, events are dropped.
                if let (Ok(permit), Some(event)) = (permit, event) {
                    permit.send(event);
                }
                Step::Woken
            }
            told = poll_fn(|cx| poll(link, shared, cx)) => Step::Told(told),
            () = timer => Step::Timer,
            () = abandoned, if !state.is_ending => Step::Abandoned,
        }
    }

    /// Does what the machine wants done with the connection.
    async fn obey(&mut self) {
        loop {
            let command = self.shared.machine.lock().command();
            match command {
                None => return,
                Some(Command::Drop) => self.link = Link::None,
                Some(Command::Connect(offered)) => {
                    let (address, url) = (self.address.clone(), self.url.clone());
                    let opening = async move { Socket::open(&address, &url, &offered).await };
                    self.link = Link::Opening(Box::pin(opening));
                }
                Some(Command::Close(code)) => {
                    if let Link::Open(socket) = std::mem::replace(&mut self.link, Link::None) {
                        socket.close(code).await;
                    }
                }
            }
        }
    }

    fn tell(&mut self, told: Told) {
        let now = self.shared.now();
        let mut machine = self.shared.machine.lock();
        match told {
            Told::Opened(socket, protocol) => {
                self.link = Link::Open(socket);
                machine.connected(protocol.as_deref(), now);
            }
            Told::Happened(Happened::Message(frame)) => machine.received(frame, now),
            Told::Happened(Happened::Sign) => machine.heard(now),
            Told::Happened(Happened::Lost(failure)) => {
                self.link = Link::None;
                machine.lost(failure, now);
            }
        }
    }
}

/// Moves the connection forward until there is something to tell.
fn poll(link: &mut Link, shared: &Shared, cx: &mut Context<'_>) -> Poll<Told> {
    match link {
        Link::None => Poll::Pending,
        Link::Opening(opening) => opening.as_mut().poll(cx).map(|opened| match opened {
            Ok((socket, protocol)) => Told::Opened(Box::new(socket), protocol),
            Err(failure) => Told::Happened(Happened::Lost(failure)),
        }),
        Link::Open(socket) => {
            let mut machine = shared.machine.lock();
            // What is not told yet holds up the reading: that bounds what waits to be told.
            let reading = if machine.has_event() {
                Reading::Held
            } else {
                Reading::On
            };
            let now = shared.now();
            socket
                .poll(cx, || machine.next_write(now), reading)
                .map(Told::Happened)
        }
    }
}
