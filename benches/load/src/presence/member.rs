//! One member: what it was told, and how it stays.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, tungstenite};

use crate::sessions;

/// What begins a control message of `abide.v1`, and no other text.
const CONTROL: char = '\u{10}';

/// The longest pauses before another attempt, as our clients make them: after a restart, after a
/// failure, and what that doubles to.
const PAUSE_RESTART: Duration = Duration::from_secs(1);
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Attempts in a row: a minute of them.
const TRIES_MAX: u32 = 15;
/// Addresses that members come from: 10,000 who leave one and come again at once would look for free ports
/// longer than the server takes to let them in.
const SOURCES: u32 = 32;
/// An attempt without a welcome is given up.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);

/// Where a member goes, and what it was told there.
#[derive(Debug)]
pub(crate) struct Member {
    server: SocketAddr,
    /// Last byte of the address it comes from.
    source: u8,
    /// Of its object, with the name it shows.
    url: String,
    kind: Kind,
    /// How often it has got in, and when it did the last time.
    pub(crate) came: Cell<u32>,
    pub(crate) came_at: Cell<Option<Instant>>,
    pub(crate) told: Told,
    /// Why it was not let in, each time.
    pub(crate) refused: RefCell<Vec<String>>,
    /// Why it is gone for good.
    pub(crate) lost: RefCell<Option<String>>,
}

/// What becomes of a member whose connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is gone.
    Plain,
    /// It comes back with its token; to be a newcomer again is to be lost.
    Resumes,
}

/// Figures of one wave.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) messages: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    pub(crate) count: Cell<u64>,
    /// When it was told anything.
    pub(crate) last: Cell<Option<Instant>>,
    /// Since when `count` is what it is.
    pub(crate) counted: Cell<Option<Instant>>,
}

type Socket = WebSocketStream<TcpStream>;

impl Member {
    pub(crate) fn new(server: SocketAddr, object: &str, number: u32, kind: Kind) -> Self {
        Self {
            server,
            source: 2 + u8::try_from(number % SOURCES).expect("less than 32"),
            url: format!("ws://{server}/v1/{object}?member{number:05}"),
            kind,
            came: Cell::new(0),
            came_at: Cell::new(None),
            told: Told::default(),
            refused: RefCell::default(),
            lost: RefCell::default(),
        }
    }

    /// Comes for the first time.
    ///
    /// # Errors
    /// When it is not let in for good.
    pub(crate) async fn come(self: Rc<Self>) -> anyhow::Result<Present> {
        let (socket, token) = self.get_in(None).await?;
        Ok(Present {
            member: self,
            socket,
            token,
        })
    }

    /// Tries until it is let in.
    async fn get_in(&self, token: Option<&str>) -> anyhow::Result<(Socket, Option<String>)> {
        let mut pause_max = PAUSE_FIRST;
        for _ in 0..TRIES_MAX {
            let refused = match timeout(WELCOME_WITHIN, self.enter(token)).await {
                Ok(Ok(entered)) => return Ok(entered),
                Ok(Err(error)) => error.downcast::<Passing>()?,
                Err(_) => Passing("no welcome".to_owned()),
            };
            self.refused.borrow_mut().push(refused.0);
            sleep(pause_max.mul_f64(fastrand::f64())).await;
            pause_max = (pause_max * 2).min(PAUSE_MAX);
        }
        let why = self.refused.borrow().last().cloned();
        bail!("refused {TRIES_MAX} times, at last: {why:?}")
    }

    /// A connection, and what to resume with.
    async fn enter(&self, token: Option<&str>) -> anyhow::Result<(Socket, Option<String>)> {
        let socket = sessions::connect_from(self.server, self.source).await;
        let socket = socket.map_err(|error| Passing(error.to_string()))?;
        let mut request = self.url.as_str().into_client_request()?;
        if self.kind == Kind::Plain {
            let socket = sessions::handshake(request, socket).await;
            let socket = socket.map_err(passing)?;
            self.has_come();
            return Ok((socket, None));
        }
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offered(token).parse()?);
        let socket = sessions::handshake(request, socket).await;
        let mut socket = socket.map_err(passing)?;
        let Some(Ok(first)) = socket.next().await else {
            return Err(Passing("no welcome".to_owned()).into());
        };
        let token = welcomed(first.to_text()?, token)?;
        self.has_come();
        Ok((socket, Some(token)))
    }

    fn has_come(&self) {
        self.came.set(self.came.get() + 1);
        self.came_at.set(Some(Instant::now()));
    }
}

/// A member that is there.
pub(crate) struct Present {
    pub(crate) member: Rc<Member>,
    socket: Socket,
    token: Option<String>,
}

impl Present {
    /// Listens, and comes back after a restart. Ends when it is lost, and says why.
    pub(crate) async fn stay(mut self) {
        loop {
            let ended = self.listen().await;
            let is_restart = ended == "closed with 1012";
            if !is_restart || self.member.kind == Kind::Plain {
                return self.is_lost(ended);
            }
            sleep(PAUSE_RESTART.mul_f64(fastrand::f64())).await;
            match self.member.get_in(self.token.as_deref()).await {
                Ok(entered) => (self.socket, self.token) = entered,
                Err(error) => return self.is_lost(format!("{error:#}")),
            }
        }
    }

    fn is_lost(&self, why: String) {
        self.member.lost.replace(Some(why));
    }

    /// Takes in what it is told until the connection ends; says how it did.
    async fn listen(&mut self) -> String {
        let mut ended = None;
        loop {
            match self.socket.next().await {
                // The answer to it leaves with the next reading.
                Some(Ok(Message::Close(Some(close)))) => {
                    ended = Some(format!("closed with {}", u16::from(close.code)));
                }
                Some(Ok(message)) => {
                    if let Ok(text) = message.to_text() {
                        self.member.told.take(text);
                    }
                }
                Some(Err(error)) => return ended.unwrap_or_else(|| error.to_string()),
                None => return ended.unwrap_or_else(|| "the connection ended".to_owned()),
            }
        }
    }
}

impl Told {
    fn take(&self, text: &str) {
        self.messages.set(self.messages.get() + 1);
        self.bytes.set(self.bytes.get() + text.len() as u64);
        let now = Instant::now();
        self.last.set(Some(now));
        if let Some(count) = count_of(text)
            && self.count.replace(count) != count
        {
            self.counted.set(Some(now));
        }
    }

    /// The next wave begins.
    pub(crate) fn reset(&self) {
        self.messages.take();
        self.bytes.take();
        self.count.take();
        self.last.take();
        self.counted.take();
    }
}

/// It was not let in, but may be the next time; why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Passing(String);

/// A handshake that failed; only an answer that is no 503 would be the same the next time.
fn passing(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(tungstenite::Error::Http(answer)) if answer.status() != 503 => error,
        _ => Passing(error.root_cause().to_string()).into(),
    }
}

fn offered(token: Option<&str>) -> String {
    match token {
        // It has got no data message: presence is told by control messages, which are not counted.
        Some(token) => format!("abide.v1, abide.resume.{token}.0"),
        None => "abide.v1".to_owned(),
    }
}

/// The token of a welcome. Who came with one must not be taken for a newcomer.
fn welcomed(text: &str, before: Option<&str>) -> anyhow::Result<String> {
    let control = text.strip_prefix(CONTROL).context("no control message")?;
    let control: Value = serde_json::from_str(control)?;
    // Too busy, or about to end.
    if control["type"] == "error" && control["status"] == 503 {
        let code = control["code"].as_str().unwrap_or_default();
        return Err(Passing(code.to_owned()).into());
    }
    match control["token"].as_str() {
        Some(token) if control["resumed"] == before.is_some() => Ok(token.to_owned()),
        _ => bail!("not welcomed as was due: {text}"),
    }
}

/// The `count` of a message; the rest of it would cost the driver more than the server.
fn count_of(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("\"count\":")?;
    let digits = after.find(|c: char| !c.is_ascii_digit())?;
    after[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_many_there_are() {
        let message = r#"{"type":"presence","count":10000,"left":["member00001"]}"#;
        assert_eq!(count_of(message), Some(10_000));
        assert_eq!(count_of("hello"), None);
    }

    #[test]
    fn who_resumes_must_not_be_taken_for_a_newcomer() {
        let resumed = "\u{10}{\"type\":\"welcome\",\"token\":\"T\",\"resumed\":true}";
        let new = "\u{10}{\"type\":\"welcome\",\"token\":\"T\",\"resumed\":false}";
        assert_eq!(welcomed(resumed, Some("T")).unwrap(), "T");
        assert_eq!(welcomed(new, None).unwrap(), "T");
        assert!(!welcomed(new, Some("T")).unwrap_err().is::<Passing>());
        let full = "\u{10}{\"type\":\"error\",\"status\":503,\"code\":\"draining\"}";
        assert!(welcomed(full, Some("T")).unwrap_err().is::<Passing>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_is_known_since_it_changed() {
        let told = Told::default();
        told.take(r#"{"type":"presence","count":2,"sync":[]}"#);
        let since = told.counted.get();
        sleep(Duration::from_secs(1)).await;
        told.take(r#"{"type":"presence","count":2,"updated":[]}"#);
        assert_eq!((told.messages.get(), told.count.get()), (2, 2));
        assert_eq!(told.counted.get(), since);
        assert!(told.last.get() > since);
    }
}
