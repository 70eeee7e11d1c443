//! Four objects that do the least their kind can do, so that the server is what is measured.

use abide::MessageRate;
use abide::prelude::*;

/// A durable number: each increment is a commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: u64,
}

#[actor]
impl Counter {
    /// Adds one and returns the new value.
    #[call]
    fn increment(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    /// Keeps the processor busy for so many rounds of about a nanosecond, then adds one.
    #[call]
    fn work(&mut self, rounds: u64) -> u64 {
        let mut number = self.value;
        for _ in 0..rounds {
            // Knuth's linear congruential generator: each round waits for the one before.
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
        }
        std::hint::black_box(number);
        self.value += 1;
        self.value
    }

    /// The current value.
    #[call]
    fn get(&self) -> u64 {
        self.value
    }
}

/// Sends every frame back; a turn without a commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Echo {}

#[actor]
impl Echo {
    /// Takes every session: without this callback an object has none.
    fn connected(&mut self, session: &Session, _request: &ConnectRequest) {
        // How fast a driver can be served is the question.
        session.limit_rate(MessageRate::UNLIMITED);
    }

    fn message(&mut self, session: &Session, frame: Frame) {
        session.send(frame);
    }
}

/// Sends every frame to all members, the sender too.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Room {}

#[actor]
impl Room {
    /// Takes every session: without this callback an object has none.
    fn connected(&mut self, session: &Session, _request: &ConnectRequest) {
        // How fast a driver can be served is the question.
        session.limit_rate(MessageRate::UNLIMITED);
    }

    fn message(&mut self, ctx: &mut Context<Self>, _session: &Session, frame: Frame) {
        ctx.broadcast(frame);
    }
}

/// Shows every session under the name that is its query, and tells it who else is here.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Lobby {}

/// What people show of themselves.
#[derive(Debug, Serialize)]
struct Who<'a> {
    name: &'a str,
    colour: &'a str,
}

#[actor]
impl Lobby {
    fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        let (name, colour) = (&*request.query, "#a0b1c2");
        session.present_as(name, &Who { name, colour })?;
        session.watch_presence();
        Ok(())
    }
}
