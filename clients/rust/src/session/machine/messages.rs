//! The messages of the server, and what each does to the session.

use super::outgoing::{FromTheFuture, Misfit, News};
use super::{Link, Machine, Time};
use crate::session::control::{FromServer, Received, Welcome};
use crate::session::event::{Event, ResetReason, State};

impl Machine {
    pub(super) fn received_resumable(&mut self, received: Received, now: Time) {
        match (&self.link, received) {
            (Link::Greeting { .. }, Received::Control(FromServer::Welcome(welcome))) => {
                self.welcome(welcome, now);
            }
            (
                Link::Greeting { .. } | Link::Open { .. },
                Received::Control(FromServer::Error(problem)),
            ) => {
                self.refusal = Some(problem);
            }
            (Link::Greeting { .. } | Link::Open { .. }, Received::Control(FromServer::Unknown)) => {
            }
            (Link::Greeting { .. }, _) => self.violated("the first message is no welcome"),
            (Link::Open { .. }, Received::Data(frame)) => {
                self.incoming.took(frame.size_bytes(), now);
                self.events.push_back(Event::Message(frame));
            }
            (Link::Open { .. }, Received::Malformed(said)) => self.violated(&said),
            (Link::Open { .. }, Received::Control(control)) => self.control(control, now),
            (Link::Waiting { .. } | Link::Connecting { .. } | Link::Closed, _) => {}
        }
    }

    fn welcome(&mut self, welcome: Welcome, now: Time) {
        if welcome.resumed {
            if self.token.is_none() {
                return self.violated("a session was resumed that was never begun");
            }
            match self.outgoing.resume(welcome.received) {
                Ok(News::Some) => self.tell_saved(),
                Ok(News::None) => {}
                Err(misfit) => return self.violated(&misfit.to_string()),
            }
            // The handshake has told the server the count.
            self.incoming.settled();
        } else if self.begun {
            let reason = match welcome.reset.as_deref() {
                Some("expired") => ResetReason::Expired,
                Some("behind") => ResetReason::Behind,
                Some(other) => ResetReason::Other(other.to_owned()),
                None => ResetReason::Refused,
            };
            self.begin_anew(reason);
        }
        self.token = Some(welcome.token);
        self.protocol = welcome.protocol;
        let resumed = welcome.resumed;
        self.open(State::Open { resumed }, now);
        self.finish_if_possible(now);
    }

    fn control(&mut self, control: FromServer, now: Time) {
        match control {
            FromServer::Ack { n } => match self.outgoing.acknowledge(n) {
                Ok(News::Some) => {
                    self.tell_saved();
                    self.finish_if_possible(now);
                }
                Ok(News::None) => {}
                Err(error) => self.violated(&Misfit::FromTheFuture(error).to_string()),
            },
            FromServer::Skip { n } => self.incoming.skipped(n, now),
            FromServer::Presence(presence) => self.events.push_back(Event::Presence(presence)),
            FromServer::Welcome(_) => self.violated("a second welcome on one connection"),
            FromServer::Pong | FromServer::Error(_) | FromServer::Unknown => {}
        }
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FromTheFuture(FromTheFuture { written }) => {
                write!(f, "more was acknowledged than the {written} messages sent")
            }
            Self::TakenBack { acknowledged } => {
                write!(
                    f,
                    "of {acknowledged} messages acknowledged some are said to be missing"
                )
            }
        }
    }
}
