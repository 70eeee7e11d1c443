//! The dialect of `@hocuspocus/provider`: y-protocols with the document's name before each message,
//! and a few messages more.
//!
//! ```text
//! name 0 …         sync, as in y-protocols
//! name 1 bytes     awareness, as there
//! name 2 0 token   "let me in"; after it the provider's version, or nothing
//! name 2 2 scope   "you are in"
//! name 2 1 reason  "you are not"
//! name 3           "tell me the awareness you know"
//! name 5 text      a message of the application's own
//! name 7           "I am done with this document"
//! name 8 1         "the change you sent is saved"
//! ```
//! A session speaks it when its URL ends with `?protocol=hocuspocus`. The address has the name
//! already, so a socket carries one document: the one it was opened for.

use abide::prelude::*;

use super::Document;
use super::protocol;
use super::sync::Problem;
use super::wire::{Malformed, Reader, write_bytes, write_number};

/// Tag of the sessions that speak it, and its name in the query.
pub(super) const HOCUSPOCUS: &str = "hocuspocus";

const AUTHENTICATION: u64 = 2;
const STATELESS: u64 = 5;
const CLOSE: u64 = 7;
const SYNC_STATUS: u64 = 8;

const TOKEN: u64 = 0;
const PERMISSION_DENIED: u64 = 1;
const AUTHENTICATED: u64 = 2;

/// One message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// One that y-protocols has, too.
    Shared(protocol::Message<'a>),
    /// It shows its token.
    Token,
    /// Something for an application on the server.
    Stateless,
    /// It wants no more of the document.
    Close,
}

impl<'a> Message<'a> {
    /// The message of a frame, and the name of the document it is for.
    pub(crate) fn read(frame: &'a [u8]) -> Result<(&'a str, Self), Malformed> {
        let mut reader = Reader::new(frame);
        let name = reader.text()?;
        let message = match reader.peek_number()? {
            AUTHENTICATION => {
                reader.number()?;
                if reader.number()? != TOKEN {
                    return Err(Malformed::Unsupported("clients only show a token"));
                }
                reader.text()?;
                if !reader.is_empty() {
                    reader.text()?;
                }
                Self::Token
            }
            STATELESS => {
                reader.number()?;
                reader.text()?;
                Self::Stateless
            }
            CLOSE => {
                reader.number()?;
                Self::Close
            }
            _ => Self::Shared(protocol::Message::read(&mut reader)?),
        };
        if reader.is_empty() {
            Ok((name, message))
        } else {
            Err(Malformed::Content("bytes follow the message"))
        }
    }
}

impl Document {
    /// Handles one frame of a session that speaks it.
    pub(super) async fn receive_named(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: &[u8],
    ) -> Result<(), Problem> {
        let (name, message) = Message::read(frame)?;
        if Some(name) != ctx.name() {
            session.send(named(name, &permission_denied()));
            return Ok(());
        }
        match message {
            // Whoever may open a session may read and write, so there is nothing to check.
            Message::Token => {
                session.send(named(name, &authenticated()));
                self.tell_awareness(ctx, session);
            }
            // No application hears it here, as in Hocuspocus without the hook for it.
            Message::Stateless => {}
            Message::Close => session.close(Close::NORMAL, "the client is done"),
            Message::Shared(message) => {
                let answer = match message {
                    protocol::Message::Step1(_) => {
                        Some(protocol::step_1(&self.replica.state_vector()))
                    }
                    protocol::Message::Changes(_) => Some(saved()),
                    _ => None,
                };
                self.handle(ctx, session, message).await?;
                if let Some(answer) = answer {
                    session.send(named(name, &answer));
                }
            }
        }
        Ok(())
    }
}

/// The message as this dialect frames it.
pub(super) fn named(name: &str, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(name.len() + message.len() + 4);
    write_bytes(&mut frame, name.as_bytes());
    frame.extend_from_slice(message);
    frame
}

fn authenticated() -> Vec<u8> {
    authentication(AUTHENTICATED, "read-write")
}

fn permission_denied() -> Vec<u8> {
    authentication(
        PERMISSION_DENIED,
        "this address is that of another document",
    )
}

fn authentication(kind: u64, text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    write_number(&mut message, AUTHENTICATION);
    write_number(&mut message, kind);
    write_bytes(&mut message, text.as_bytes());
    message
}

/// One change is durable: like every frame, this leaves when all that was staged before it is.
fn saved() -> Vec<u8> {
    let mut message = Vec::new();
    write_number(&mut message, SYNC_STATUS);
    write_number(&mut message, 1);
    message
}
