//! A client as `docs/protocol.md` has it, without a socket: it counts, keeps, and comes back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{
    Close, ConnectError, ConnectRequest, Connection, Deadline, Frame, Incoming, Outgoing,
    Resumption, Runtime, Token, Welcome, Wire, Written,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// See the module's documentation.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) connection: Option<Connection>,
    /// What is on its way on this connection.
    wire: Arc<OnTheWire>,
    pub(crate) welcome: Welcome,
    /// Messages got, in order, in this session.
    pub(crate) got: Vec<String>,
    /// How many messages it has got, and was told that it will not get.
    pub(crate) count: u64,
    /// Messages that no ack has counted yet; the first of them has the number `acked` + 1.
    kept: VecDeque<String>,
    pub(crate) acked: u64,
    /// Of those that are kept, how many this connection was given.
    given: usize,
    is_readable: bool,
    pub(crate) close: Option<Close>,
}

/// Frames written where they were sent, which the client has yet to read.
#[derive(Default)]
struct OnTheWire(Mutex<Vec<Frame>>);

impl Wire for OnTheWire {
    fn write_now(&self, frame: &Frame) -> Written {
        self.0.lock().unwrap().push(frame.clone());
        Written::Whole
    }
}

/// Whether a client tells what it has got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    Yes,
    No,
}

/// Asks for a session.
pub(crate) async fn connect(
    node: &Runtime,
    name: &str,
    resumption: Resumption,
) -> Result<Connection, ConnectError> {
    let target = node.target("ledger", "book")?;
    let request = ConnectRequest {
        query: name.to_owned(),
        resumption,
        ..ConnectRequest::default()
    };
    node.connect(&target, request, Deadline::after(DEADLINE))
        .await
}

impl Client {
    pub(crate) async fn new(world: &World, name: &str) -> Self {
        Self::of(world.runtime(), name).await
    }

    pub(crate) async fn of(node: &Runtime, name: &str) -> Self {
        let connection = connect(node, name, Resumption::New).await.unwrap();
        let welcome = connection.welcome().unwrap();
        assert!(!welcome.resumed && welcome.reset.is_none() && welcome.received == 0);
        let wire = Arc::new(OnTheWire::default());
        connection.set_wire(wire.clone());
        Self {
            name: name.to_owned(),
            connection: Some(connection),
            wire,
            welcome,
            got: Vec::new(),
            count: 0,
            kept: VecDeque::new(),
            acked: 0,
            given: 0,
            is_readable: true,
            close: None,
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.welcome.token.clone()
    }

    pub(crate) fn resumption(&self) -> Resumption {
        Resumption::Resume {
            token: self.token(),
            received: self.count,
        }
    }

    /// Comes back, and does what the welcome says. `false`: it was a reset, and it begins anew.
    pub(crate) async fn resume(&mut self, world: &World) -> bool {
        self.resume_on(world.runtime()).await
    }

    pub(crate) async fn resume_on(&mut self, node: &Runtime) -> bool {
        let connection = connect(node, &self.name, self.resumption()).await.unwrap();
        self.welcomed(connection)
    }

    fn welcomed(&mut self, connection: Connection) -> bool {
        self.welcome = connection.welcome().unwrap();
        // What the old one has not brought by now never comes.
        self.wire = Arc::default();
        connection.set_wire(self.wire.clone());
        self.connection = Some(connection);
        (self.given, self.is_readable, self.close) = (0, true, None);
        if !self.welcome.resumed {
            assert_eq!(self.welcome.received, 0);
            self.forget();
            return false;
        }
        self.acknowledged(self.welcome.received);
        true
    }

    fn acknowledged(&mut self, number: u64) {
        let more = number.checked_sub(self.acked).expect("an ack never falls");
        let more = usize::try_from(more).unwrap();
        assert!(
            more <= self.kept.len(),
            "more is acknowledged than was sent"
        );
        self.kept.drain(..more);
        self.given = self.given.saturating_sub(more);
        self.acked = number;
    }

    /// Begins to count and to keep anew.
    pub(crate) fn forget(&mut self) {
        (self.got, self.kept) = (Vec::new(), VecDeque::new());
        (self.count, self.acked, self.given) = (0, 0, 0);
    }

    /// The network is gone.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
    }

    /// Sends when there is a connection that takes it, keeps it in any case.
    pub(crate) fn send(&mut self, text: impl Into<String>) {
        self.kept.push_back(text.into());
        self.give();
    }

    /// How many of its messages nobody has acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    fn give(&mut self) {
        while self.is_readable
            && let Some(text) = self.kept.get(self.given)
            && let Some(connection) = &mut self.connection
        {
            self.given += 1;
            match connection.deliver(text.as_str().into()) {
                Incoming::Accepted => self.is_readable = false,
                Incoming::Ignored => {}
                Incoming::Answered(_) => panic!("it would not be counted"),
            }
        }
    }

    /// Gives what it has, and takes one thing; `false` when there is none.
    pub(crate) fn take_one(&mut self, cx: &Context<'_>) -> bool {
        self.read_wire();
        self.give();
        let Some(connection) = &mut self.connection else {
            return false;
        };
        match connection.poll_outgoing(cx) {
            Poll::Ready(Outgoing::Frame(frame)) => self.take(&frame),
            Poll::Ready(Outgoing::Skip(n)) => self.count += n,
            Poll::Ready(Outgoing::Ack(number)) => self.acknowledged(number),
            Poll::Ready(Outgoing::Readable) => self.is_readable = true,
            Poll::Ready(Outgoing::Control(_)) => {}
            Poll::Ready(Outgoing::Close(close)) => {
                self.close = Some(close.clone());
                let connection = self.connection.take().unwrap();
                connection.closed(close);
            }
            Poll::Pending => return false,
        }
        true
    }

    /// Takes what is there, gives what it has, and acknowledges or not.
    pub(crate) async fn pump(&mut self, acknowledge: Acknowledge) {
        // Let the object do what it can without time passing.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while std::future::poll_fn(|cx| Poll::Ready(self.take_one(cx))).await {}
        if self.connection.is_none() {
            return;
        }
        if let Some(connection) = &self.connection {
            connection.lend_wire();
        }
        let count = self.count;
        if acknowledge == Acknowledge::Yes
            && let Some(connection) = &mut self.connection
        {
            connection.acknowledge(count).unwrap();
        }
    }

    /// Takes the wire back, and what is on it.
    fn read_wire(&mut self) {
        if let Some(connection) = &self.connection {
            connection.take_wire_back();
            let written = std::mem::take(&mut *self.wire.0.lock().unwrap());
            written.iter().for_each(|frame| self.take(frame));
        }
    }

    fn take(&mut self, frame: &Frame) {
        self.count += 1;
        self.got.push(frame.as_text().unwrap().to_owned());
    }

    /// Pumps until the object has had time for everything.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..40 {
            self.pump(Acknowledge::Yes).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
