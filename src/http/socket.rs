//! Sessions over WebSocket: `GET /v1/{namespace}/{name}` with an upgrade.
//!
//! The object is asked first; only when it has accepted does the client get its 101, so a refusal
//! is an ordinary HTTP response that tells why. A client that speaks `abide.v1` gets its 101 at once, and
//! all answers behind it, because a browser cannot see the status of a refused handshake.

mod handshake;
mod heartbeat;
mod pump;
mod refusal;
mod stream;
mod wire;

use std::sync::Arc;

use abide_actors::{ConnectError, ConnectRequest, Connection, InvalidToken, Resumption, TaskKind};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::app::{App, origin};
use super::patience::Watched;
use super::sse;
use crate::problem::{Problem, UPGRADE_REQUIRED};
use crate::protocol::session::{Offer, SUBPROTOCOL};
use crate::protocol::{Address, RequestId};
use handshake::Handshake;
use pump::Pump;
use stream::SessionStream;

/// An idle session costs its buffers. The reading one grows for a larger frame and shrinks again, and is not what a
/// read of the socket is bounded by (`lean.rs`); the writing one holds what is sent at once.
const READ_BUFFER_SIZE_BYTES: usize = 512;
const WRITE_BUFFER_SIZE_BYTES: usize = 16 << 10;

/// What a kind can ask for: the most that one commit takes, so that nothing larger could be kept.
const FRAME_SIZE_ASKED_MAX_BYTES: usize = 8 << 20;

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Messages of the application, and nothing else.
    Plain,
    /// `abide.v1`.
    Abide,
}

/// Opens a session.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    mut request: Request,
) -> Result<Response, Problem> {
    let Some(handshake) = Handshake::read(request.headers())? else {
        if sse::is_asked(request.method(), request.headers()) {
            return sse::open(app, request).await;
        }
        return Err(no_session());
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    if handshake.offer != Offer::Plain {
        let response = switching(&handshake.accept, Some(SUBPROTOCOL));
        let serving = welcome(upgrade, head, handshake, app.clone());
        app.tasks.spawn(TaskKind::Object, "session", serving);
        return Ok(response);
    }
    let accept = handshake.accept.clone();
    let connection = connect(&app, &head, handshake).await?;
    let response = switching(&accept, connection.protocol().as_deref());
    let frame_size_max = frame_size_max(&app, head.uri.path());
    let pumping = pump(upgrade, connection, frame_size_max, app.clone());
    app.tasks.spawn(TaskKind::Object, "session", pumping);
    Ok(response)
}

/// Asks the object.
async fn connect(app: &App, head: &Parts, handshake: Handshake) -> Result<Connection, Problem> {
    let deadline = app.deadline(&head.headers)?;
    let address = Address::parse(head.uri.path())?;
    let target = app.runtime.target(&address.namespace, &address.name)?;
    let resumption = match handshake.offer {
        Offer::Plain | Offer::Incomplete => Resumption::Plain,
        Offer::New => Resumption::New,
        Offer::Resume { token, received } => Resumption::Resume { token, received },
        Offer::Malformed => return Err(ConnectError::from(InvalidToken).into()),
    };
    let connect = ConnectRequest {
        query: head.uri.query().unwrap_or_default().to_owned(),
        protocols: handshake.protocols,
        origin: origin(head),
        resumption,
        receives_only: false,
    };
    let _place = app.admit(&target, deadline).await?;
    Ok(app.runtime.connect(&target, connect, deadline).await?)
}

/// Takes the socket over, and asks the object then: for clients that speak `abide.v1`.
async fn welcome(upgrade: OnUpgrade, head: Parts, handshake: Handshake, app: Arc<App>) {
    let Ok(upgraded) = upgrade.await else { return };
    let frame_size_max = frame_size_max(&app, head.uri.path());
    let mut socket = take_over(upgraded, Dialect::Abide, frame_size_max, &app).await;
    match connect(&app, &head, handshake).await {
        Ok(connection) => {
            drop(head);
            Pump::new(socket, connection, &app).run().await;
        }
        Err(problem) => {
            let id = head.extensions.get::<RequestId>().cloned();
            let id = id.unwrap_or_else(|| RequestId::fresh(app.clock.now(), fastrand::u128(..)));
            refusal::say(&mut socket, &problem, &id).await;
        }
    }
}

/// 101 with the proof that we understood, and the subprotocol the object chose.
fn switching(accept: &str, protocol: Option<&str>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(accept).expect("base 64 is a header value");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // One the client did not offer would make it hang up, and what it offered is a header value.
    if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Takes the socket over from hyper once the 101 is out, and pumps until the session ends.
async fn pump(upgrade: OnUpgrade, connection: Connection, frame_size_max: usize, app: Arc<App>) {
    // An error means that the client went away before it had its 101. Dropping the connection
    // then tells the object.
    let Ok(upgraded) = upgrade.await else { return };
    let socket = take_over(upgraded, Dialect::Plain, frame_size_max, &app).await;
    Pump::new(socket, connection, &app).run().await;
}

/// Bytes a message of a client may have: as many as the setting says, or as the kind asks for beyond it.
fn frame_size_max(app: &App, path: &str) -> usize {
    let set = app.config.frame_size_max.as_usize();
    let address = Address::parse(path).ok();
    let description = address.and_then(|address| app.runtime.description(&address.namespace));
    let asked = description.and_then(|description| description.frame_size_max_bytes);
    set.max(asked.unwrap_or(0).min(FRAME_SIZE_ASKED_MAX_BYTES))
}

/// The bare socket as a WebSocket, without hyper around it. A function of its own, because what
/// is left of hyper must be gone before the session begins: even an empty rest of its buffer
/// keeps all 8 KiB of it.
async fn take_over(
    upgraded: Upgraded,
    dialect: Dialect,
    frame_size_max: usize,
    app: &App,
) -> WebSocketStream<SessionStream> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_SIZE_BYTES)
        .write_buffer_size(WRITE_BUFFER_SIZE_BYTES)
        .max_frame_size(Some(frame_size_max))
        .max_message_size(Some(frame_size_max));
    let parts = upgraded
        .downcast::<TokioIo<Watched>>()
        .expect("every connection is served over one");
    let socket = SessionStream::new(parts.io.into_inner(), dialect, app.metrics.clone());
    let early = parts.read_buf;
    if early.is_empty() {
        drop(early);
        WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await
    } else {
        // Frames that came right behind the handshake.
        WebSocketStream::from_partially_read(socket, early.into(), Role::Server, Some(config)).await
    }
}

/// Why a plain GET opens no session.
fn no_session() -> Problem {
    let said = "a session is opened by a WebSocket or by 'accept: text/event-stream': send the headers \
                of either, or add a method to the path for a call";
    Problem::new(&UPGRADE_REQUIRED, said).header(header::UPGRADE, "websocket")
}
