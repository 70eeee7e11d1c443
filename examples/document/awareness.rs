//! Who is in a document, and where their cursors are: told among clients, never stored.
//!
//! A Yjs client tells its state under its own number and repeats it every 15 seconds. It also
//! repeats what it has heard of others, so who brought a state is not always whose it is. What is
//! certain is the first message of a session: it has one entry, the client's own. That number is
//! kept as the session's attachment, which outlives the activation, and when the session ends the
//! client of that number has left.

use std::collections::HashMap;

use abide::prelude::*;

use super::protocol::Presence;

/// Clients remembered at once, those that have left included: a late echo must not revive them.
const CLIENTS_MAX: usize = 1_000;
/// All states together: they are sent to each newcomer as one frame.
const STATES_SIZE_MAX_BYTES: usize = 128 * 1024;

/// The client a session speaks for; the session's attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owned {
    /// Its number in the Yjs document.
    pub(crate) client: u64,
    /// The newest clock heard of it: to say that it has left, one must name it.
    pub(crate) clock: u64,
}

/// What is known of the clients of a document.
#[derive(Debug, Default)]
pub(crate) struct Awareness {
    clients: HashMap<u64, Client>,
    states_size_bytes: usize,
}

#[derive(Debug)]
struct Client {
    clock: u64,
    state: State,
    /// The session it belongs to, or the one that brought it.
    session: SessionId,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Here(Box<str>),
    /// It was here before the activation slept, and has not spoken since.
    Unheard,
    Left,
}

impl Awareness {
    /// What the attachments of the open sessions still tell after hibernation.
    pub(crate) fn restored(owned: impl IntoIterator<Item = (SessionId, Owned)>) -> Self {
        let unheard = |(session, Owned { client, clock })| {
            (
                client,
                Client {
                    clock,
                    state: State::Unheard,
                    session,
                },
            )
        };
        Self {
            clients: owned.into_iter().map(unheard).collect(),
            states_size_bytes: 0,
        }
    }

    /// Takes in what a session tells; answers the part that is news, to be passed on.
    pub(crate) fn hear<'a>(
        &mut self,
        session: SessionId,
        all: Vec<Presence<'a>>,
    ) -> Vec<Presence<'a>> {
        all.into_iter()
            .filter(|presence| self.hear_one(session, presence))
            .collect()
    }

    fn hear_one(&mut self, session: SessionId, presence: &Presence<'_>) -> bool {
        let known = self.clients.get(&presence.client);
        let known = known.map(|known| (known.session, known.learns_from(presence)));
        let session = match known {
            // That somebody unknown has left is no news.
            None if presence.state.is_none() || !self.has_place() => return false,
            None => session,
            Some((owner, true)) => owner,
            Some((_, false)) => return false,
        };
        let size_bytes = presence.state.map_or(0, str::len);
        if self.states_size_bytes + size_bytes > STATES_SIZE_MAX_BYTES {
            return false;
        }
        self.set(presence, session);
        true
    }

    /// Notes whose client this is. One that had left comes back with the clock it left with when
    /// only its connection was lost, so from its owner that clock is news again.
    pub(crate) fn belongs(&mut self, session: SessionId, client: u64) {
        if let Some(known) = self.clients.get_mut(&client) {
            known.session = session;
            if known.state == State::Left {
                known.state = State::Unheard;
            }
        }
    }

    /// The newest clock heard of a client.
    pub(crate) fn clock(&self, client: u64) -> Option<u64> {
        self.clients.get(&client).map(|known| known.clock)
    }

    /// The session has ended: its clients have left. Answers what to tell the others.
    pub(crate) fn leave(&mut self, session: SessionId) -> Vec<Presence<'static>> {
        let mut gone = Vec::new();
        for (&client, known) in &mut self.clients {
            if known.session == session && known.state != State::Left {
                if let State::Here(state) = &known.state {
                    self.states_size_bytes -= state.len();
                }
                known.state = State::Left;
                gone.push(Presence {
                    client,
                    clock: known.clock,
                    state: None,
                });
            }
        }
        gone
    }

    /// Everybody who is here.
    pub(crate) fn here(&self) -> Vec<Presence<'_>> {
        let here = self
            .clients
            .iter()
            .filter_map(|(&client, known)| match &known.state {
                State::Here(state) => Some(Presence {
                    client,
                    clock: known.clock,
                    state: Some(state),
                }),
                State::Unheard | State::Left => None,
            });
        here.collect()
    }

    fn set(&mut self, presence: &Presence<'_>, session: SessionId) {
        let state = presence
            .state
            .map_or(State::Left, |state| State::Here(state.into()));
        self.states_size_bytes += presence.state.map_or(0, str::len);
        let client = Client {
            clock: presence.clock,
            state,
            session,
        };
        let before = self.clients.insert(presence.client, client);
        if let Some(Client {
            state: State::Here(state),
            ..
        }) = before
        {
            self.states_size_bytes -= state.len();
        }
    }

    /// **bounded**: those who have left are forgotten first; then newcomers are not shown.
    fn has_place(&mut self) -> bool {
        if self.clients.len() >= CLIENTS_MAX {
            self.clients.retain(|_, known| known.state != State::Left);
        }
        self.clients.len() < CLIENTS_MAX
    }
}

impl Client {
    fn learns_from(&self, presence: &Presence<'_>) -> bool {
        let repeats = presence.clock == self.clock;
        match self.state {
            _ if presence.clock > self.clock => true,
            State::Unheard => repeats,
            // Whoever says so of another leaves the clock as it is.
            State::Here(_) => repeats && presence.state.is_none(),
            State::Left => false,
        }
    }
}
