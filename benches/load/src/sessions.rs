//! Frames on WebSocket sessions.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Outcome;
use crate::options::{Expect, Options, Sessions};
use crate::process;
use crate::recorder::Recorder;
use crate::schedule::{Due, Schedule};

/// How long deliveries may be late after the last frame was sent before they count as missing.
const LAST_DELIVERIES: Duration = Duration::from_secs(3);

/// How often the end of the run looks whether anything is still missing.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Marks the frames of this driver, so that an object may send others.
const MARK: u64 = u64::from_be_bytes(*b"abideld1");

/// Runs the scenario to its end.
///
/// # Errors
/// When a session is refused; later failures are counted.
pub(crate) async fn run(options: &Options, sessions: &Sessions) -> anyhow::Result<Outcome> {
    let recorder = Rc::new(Recorder::new());
    let mut sockets = Vec::new();
    for number in 0..sessions.sessions {
        let object = options.object(number % options.objects);
        sockets.push(open(&options.server, &sessions.namespace, &object).await?);
    }
    let (over, is_over) = watch::channel(false);
    let schedule = Schedule::starting_now(options, sessions.sessions);
    let usage = process::watch(options, schedule)?;
    let mut lanes = JoinSet::new();
    for (number, socket) in (0..).zip(sockets) {
        let lane = Lane {
            socket,
            schedule,
            size: sessions.size as usize,
            deliveries: deliveries(sessions, options.objects, number),
            recorder: recorder.clone(),
        };
        lanes.spawn_local(lane.run(number, is_over.clone()));
    }
    tokio::time::sleep_until(schedule.measured_until()).await;
    wait_for_the_last(&recorder).await;
    over.send_replace(true);
    while let Some(ended) = lanes.join_next().await {
        ended.context("a lane panicked")?;
    }
    Ok(Outcome {
        recorder,
        usage: usage.await.context("the watch panicked")??,
    })
}

/// How many sessions receive a frame of this one.
fn deliveries(sessions: &Sessions, objects: u32, number: u32) -> u64 {
    let object = number % objects;
    let members = (0..sessions.sessions)
        .filter(|other| other % objects == object)
        .count() as u64;
    match sessions.expect {
        Expect::Sender => 1,
        Expect::All => members,
        Expect::Others => members - 1,
    }
}

async fn wait_for_the_last(recorder: &Recorder) {
    let all_there = async {
        // The frames due at the very end are sent by lanes that wake after this.
        tokio::time::sleep(LOOK_EVERY).await;
        while recorder.missing_count() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // What has not come by then is told as missing.
    drop(tokio::time::timeout(LAST_DELIVERIES, all_there).await);
}

/// One session and its share of the frames.
struct Lane {
    socket: WebSocketStream<TcpStream>,
    schedule: Schedule,
    size: usize,
    /// Sessions a frame should reach.
    deliveries: u64,
    recorder: Rc<Recorder>,
}

impl Lane {
    async fn run(mut self, number: u32, mut over: watch::Receiver<bool>) {
        let mut dues = self.schedule.of_lane(number);
        let mut next = dues.next();
        loop {
            tokio::select! {
                biased; // what has arrived is counted before more is sent
                received = self.socket.next() => match received {
                    Some(Ok(message)) => self.receive(&message),
                    Some(Err(error)) => return self.recorder.failed(error.to_string()),
                    None => return self.recorder.failed("the server closed a session"),
                },
                (due, late) = wait(&self.schedule, next) => {
                    next = dues.next();
                    self.recorder.started(due, late, self.deliveries);
                    if let Err(error) = self.send(due).await {
                        return self.recorder.failed(error.to_string());
                    }
                }
                ended = over.wait_for(|over| *over) => {
                    // Nobody waits for the answer to a close: the run is over.
                    drop(ended);
                    drop(self.socket.close(None).await);
                    return;
                }
            }
        }
    }

    async fn send(&mut self, due: Due) -> Result<(), Error> {
        self.socket
            .send(Message::Binary(frame(due, self.size)))
            .await
    }

    fn receive(&self, message: &Message) {
        let Message::Binary(bytes) = message else {
            return;
        };
        if let Some(due) = moment_of(bytes).filter(|due| due.measured) {
            self.recorder.completed(self.schedule.since(due.after));
        }
    }
}

/// Waits for the next frame's moment, for ever when there is none.
async fn wait(schedule: &Schedule, next: Option<Due>) -> (Due, Duration) {
    match next {
        Some(due) => (due, schedule.wait(due).await),
        None => std::future::pending().await,
    }
}

/// `[mark 8][moment 8][padding]`, big-endian; the moment is in nanoseconds, its lowest bit says
/// whether it is measured.
fn frame(due: Due, size: usize) -> Bytes {
    let nanos = u64::try_from(due.after.as_nanos()).expect("a run is shorter than 584 years");
    let mut bytes = BytesMut::with_capacity(size);
    bytes.put_u64(MARK);
    bytes.put_u64(nanos & !1 | u64::from(due.measured));
    bytes.resize(size, b'.');
    bytes.freeze()
}

fn moment_of(bytes: &[u8]) -> Option<Due> {
    let (mark, rest) = bytes.split_first_chunk()?;
    let moment = u64::from_be_bytes(*rest.first_chunk()?);
    let due = Due {
        after: Duration::from_nanos(moment & !1),
        measured: moment & 1 == 1,
    };
    (u64::from_be_bytes(*mark) == MARK).then_some(due)
}

/// Opens a session on an object.
pub(crate) async fn open(
    server: &str,
    namespace: &str,
    object: &str,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let url = format!("ws://{server}/v1/{namespace}/{object}");
    let socket = TcpStream::connect(server)
        .await
        .with_context(|| format!("no connection to {server}"))?;
    handshake(&*url, socket).await
}

/// A connection to a server on this machine comes from one of many source addresses: each has ports of its
/// own, and the fewer of them are taken, the sooner the kernel finds one.
pub(crate) async fn connect_from(server: SocketAddr, source: u8) -> io::Result<TcpStream> {
    let socket = match server {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if server.is_ipv4() && server.ip().is_loopback() {
        // Every address of 127/8 is this machine.
        socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, source)), 0).into())?;
    }
    socket.connect(server).await
}

/// A session over a connection.
pub(crate) async fn handshake(
    request: impl IntoClientRequest,
    socket: TcpStream,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let request = request.into_client_request()?;
    let url = request.uri().clone();
    socket.set_nodelay(true)?;
    // Thousands of sessions in one process: the default of 128 KiB each would be the driver's.
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(4096);
    let (session, _) = client_async_with_config(request, socket, Some(config))
        .await
        .with_context(|| format!("{url} did not become a session"))?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_when_it_should_have_been_sent() {
        for measured in [false, true] {
            let due = Due {
                after: Duration::from_nanos(123_456_788),
                measured,
            };
            let frame = frame(due, 64);
            assert_eq!(frame.len(), 64);
            assert_eq!(moment_of(&frame), Some(due));
        }
    }

    #[test]
    fn frames_of_others_are_not_counted() {
        assert_eq!(moment_of(b"short"), None);
        assert_eq!(moment_of(&[0; 64]), None);
    }

    #[test]
    fn members_are_those_of_the_same_object() {
        let sessions = |expect| Sessions {
            namespace: "room".to_owned(),
            sessions: 5,
            size: 16,
            expect,
        };
        // Five sessions on two objects: 0, 2, 4 and 1, 3.
        assert_eq!(deliveries(&sessions(Expect::All), 2, 0), 3);
        assert_eq!(deliveries(&sessions(Expect::Others), 2, 1), 1);
        assert_eq!(deliveries(&sessions(Expect::Sender), 2, 1), 1);
    }
}
