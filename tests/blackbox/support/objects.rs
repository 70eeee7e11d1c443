//! Actors to test the server with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use abide::prelude::*;
use abide::{BodyError, MessageRate, Running};
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::PATIENCE;
use super::http::Client;

/// Doors that turns wait at until the test opens them, by object name.
static DOORS: LazyLock<Mutex<HashMap<String, Door>>> = LazyLock::new(Mutex::default);

/// One door: who has come to it, and who may pass.
#[derive(Clone)]
pub(crate) struct Door {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

/// The door of an object.
pub(crate) fn door(name: &str) -> Door {
    let closed = || Arc::new(Semaphore::new(0));
    let mut doors = DOORS.lock().unwrap();
    doors
        .entry(name.to_owned())
        .or_insert_with(|| Door {
            arrived: closed(),
            open: closed(),
        })
        .clone()
}

impl Door {
    /// Waits until a turn stands at the door.
    pub(crate) async fn arrived(&self) {
        let arrived = timeout(PATIENCE, self.arrived.acquire()).await;
        arrived.expect("a turn comes to the door").unwrap().forget();
    }

    /// Lets one turn pass.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}

/// A client that has called an object to wait at its door.
pub(crate) async fn waiting(server: &Running, name: &str) -> Client {
    let mut client = Client::connect(server.addr()).await;
    let head =
        format!("POST /v1/tally/{name}/wait HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    client.write(head.as_bytes()).await;
    client
}

/// A number, and every way a call can go.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    total: u64,
}

#[actor]
impl Tally {
    /// Adds and returns the total.
    #[call]
    fn add(&mut self, by: u64, note: Option<String>) -> u64 {
        drop(note);
        self.total += by;
        self.total
    }

    /// The total.
    #[call]
    fn total(&self) -> u64 {
        self.total
    }

    /// Greets.
    #[call]
    fn greet(&self, name: String, times: Option<u32>) -> Vec<String> {
        vec![format!("hello {name}"); times.unwrap_or(1) as usize]
    }

    /// Returns what came, so that encodings can be compared.
    #[call]
    fn echo(&self, value: serde_json::Value) -> serde_json::Value {
        value
    }

    /// Refuses, after a change that must not last.
    #[call]
    fn refuse(&mut self) -> Result<u64, ActorError> {
        self.total += 1_000;
        Err(ActorError::new("not-today", "come back tomorrow")
            .status(409)
            .data(serde_json::json!({ "day": 1 })))
    }

    /// Panics, after a change that must not last.
    #[call]
    fn explode(&mut self) -> u64 {
        self.total += 1_000;
        panic!("as the test asked")
    }

    /// Waits at the object's door, then adds one.
    #[call]
    async fn wait(&mut self, ctx: &mut Context<Self>) -> u64 {
        door(ctx.name().expect("the tests use names")).pass().await;
        self.total += 1;
        self.total
    }

    /// A map that JSON has no form for.
    #[call]
    fn unencodable(&self) -> HashMap<Vec<u8>, u8> {
        HashMap::from([(vec![1], 1)])
    }
}

/// A room that echoes, tells everybody, and closes on request.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Room {
    /// Close codes of those who left, in order.
    left: Vec<u16>,
}

/// Bytes that everybody is to hear.
fn is_told(frame: &Frame) -> bool {
    matches!(frame, Frame::Binary(bytes) if bytes.starts_with(b"tell"))
}

/// And that everybody is to hear twice.
fn is_told_twice(frame: &Frame) -> bool {
    matches!(frame, Frame::Binary(bytes) if bytes.starts_with(b"twice"))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    refuse: Option<u16>,
    protocol: Option<String>,
    rate: Option<u32>,
    burst: u32,
}

#[actor]
impl Room {
    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), Refusal> {
        let entry: Entry = request
            .query()
            .map_err(|error| Refusal::new(error.to_string()).status(400))?;
        if let Some(status) = entry.refuse {
            return Err(Refusal::new("the room is private").status(status));
        }
        if let Some(protocol) = entry.protocol.or(request.protocols.first().cloned()) {
            session.accept_protocol(&protocol);
        }
        if let Some(per_second) = entry.rate {
            let burst = entry.burst;
            session.limit_rate(MessageRate { per_second, burst });
        }
        ctx.set_auto_response("ping", "pong");
        session.send("welcome");
        Ok(())
    }

    async fn message(&mut self, ctx: &mut Context<Self>, session: &Session, frame: Frame) {
        match frame.as_text() {
            Some("close") => session.close(4_000, "as you wish"),
            Some("wait") => {
                door(ctx.name().expect("the tests use names")).pass().await;
                session.send("waited");
            }
            Some("all") => ctx.broadcast("to all"),
            Some("flood") => {
                for _ in 0..64 {
                    session.send(vec![0; 64 << 10]);
                }
            }
            Some("flood all") => {
                for _ in 0..16 {
                    ctx.broadcast(vec![0; 64 << 10]);
                }
                session.send("flooded");
            }
            Some("tell-big") => ctx.broadcast(vec![0; 64 << 10]),
            Some(told) if told.starts_with("tell") => ctx.broadcast(frame),
            None if is_told(&frame) => ctx.broadcast(frame),
            None if is_told_twice(&frame) => {
                ctx.broadcast(frame.clone());
                ctx.broadcast(frame);
            }
            _ => session.send(frame),
        }
    }

    fn disconnected(&mut self, ctx: &mut Context<Self>, _session: &Session, close: &Close) {
        self.left.push(close.code);
        door(&format!("left {}", ctx.name().unwrap_or_default()))
            .arrived
            .add_permits(1);
    }

    /// Close codes of those who left.
    #[call]
    fn left(&self) -> Vec<u16> {
        self.left.clone()
    }

    /// How many are here.
    #[call]
    fn present(&self, ctx: &Context<Self>) -> usize {
        ctx.session_count()
    }
}

/// Raw HTTP.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Site {
    requests: u64,
}

#[actor]
impl Site {
    async fn fetch(&mut self, request: Request<Body>) -> Result<Response<Body>, ActorError> {
        self.requests += 1;
        let (head, body) = request.into_parts();
        let answer = Response::builder()
            .header("x-path", head.uri.to_string())
            .header("x-method", head.method.as_str())
            .header(
                "x-saw-connection",
                head.headers.contains_key("connection").to_string(),
            )
            .header("connection", "x-private")
            .header("x-private", "1");
        let body = match head.uri.path() {
            "/echo" => Body::from_stream(body.into_stream()),
            "/count" => {
                let size = body
                    .bytes(64 << 20)
                    .await
                    .map_err(|error| ActorError::new("body", error.to_string()).status(400))?;
                Body::from(size.len().to_string())
            }
            "/stream" => {
                let pieces = ["one ", "two ", "three"];
                Body::from_stream(
                    stream::iter(pieces).map(|piece| Ok(Bytes::from_static(piece.as_bytes()))),
                )
            }
            "/endless" => {
                let piece = Bytes::from(vec![b'x'; 64 << 10]);
                Body::from_stream(stream::repeat_with(move || Ok(piece.clone())))
            }
            "/slow" => Body::from_stream(stream::iter(0..6).then(async |_| {
                tokio::time::sleep(std::time::Duration::from_millis(80)).await;
                Ok(Bytes::from_static(b"slow"))
            })),
            "/broken" => {
                let pieces = [
                    Ok(Bytes::from_static(b"begun")),
                    Err(BodyError::new("broke off")),
                ];
                Body::from_stream(stream::iter(pieces))
            }
            "/teapot" => return Ok(answer.status(418).body(Body::from("short and stout"))?),
            _ => Body::from(self.requests.to_string()),
        };
        Ok(answer.body(body)?)
    }
}
