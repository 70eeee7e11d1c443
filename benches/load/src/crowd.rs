//! A crowd on one object: how many sessions it takes, what each costs, how soon one frame has reached all.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, tungstenite};

use crate::options::{Crowd, Options};
use crate::{process, rounded, sessions};

/// Sessions that are being opened at one time.
const OPENING: usize = 32;
/// Sessions from one source address: about 28,000 ports are given out for each on Linux.
const PER_SOURCE: usize = 20_000;
/// How long all of the crowd may take to get one frame.
const BROADCAST_MAX: Duration = Duration::from_secs(120);

type Session = WebSocketStream<TcpStream>;

/// Runs the scenario to its end.
///
/// # Errors
/// When no session is accepted, or a frame does not reach one that was. That there are fewer sessions than
/// wanted is a result, told with its reason.
pub(crate) async fn run(options: &Options, crowd: &Crowd) -> anyhow::Result<Value> {
    let server: SocketAddr = options.server.parse().context("--server is an address")?;
    let object = options.object(0);
    let url = format!("ws://{server}/v1/{}/{object}", crowd.namespace);
    let resident = || options.server_pid.map(process::resident_bytes).transpose();

    let before = resident()?;
    let began = Instant::now();
    let (mut members, refused) = gather(server, &url, crowd.sessions as usize).await;
    let gathered = began.elapsed();
    ensure!(!members.is_empty(), "no session was accepted: {refused:?}");
    sleep(options.duration).await;
    let each = match (before, resident()?) {
        (Some(before), Some(after)) => Some(after.saturating_sub(before) / members.len() as u64),
        _ => None,
    };
    let mut rounds = Vec::new();
    for round in 0..crowd.rounds {
        rounds.push(broadcast(&mut members, round).await?);
    }
    rounds.sort();
    let millis = |time: Duration| rounded(time.as_secs_f64() * 1e3);
    Ok(json!({
        "scenario": options.scenario.name(),
        "sessions_wanted": crowd.sessions,
        "sessions": members.len(),
        "refused": refused,
        "opened_per_s": rounded(members.len() as f64 / gathered.as_secs_f64()),
        "server_bytes_per_session": each,
        "broadcasts": rounds.len(),
        "broadcast_ms_median": rounds.get(rounds.len() / 2).copied().map(millis),
        "broadcast_ms_max": rounds.last().copied().map(millis),
    }))
}

/// Opens sessions until there are as many as wanted or one does not open; then says why.
async fn gather(server: SocketAddr, url: &str, wanted: usize) -> (Vec<Session>, Option<String>) {
    let mut opening = stream::iter(0..wanted)
        .map(|number| open(server, url, number))
        .buffer_unordered(OPENING);
    let mut members = Vec::new();
    while let Some(opened) = opening.next().await {
        match opened {
            Ok(session) => members.push(session),
            Err(error) => return (members, Some(format!("{error:#}"))),
        }
    }
    (members, None)
}

async fn open(server: SocketAddr, url: &str, number: usize) -> anyhow::Result<Session> {
    let source = u8::try_from(2 + number / PER_SOURCE).context("too many sessions")?;
    let socket = sessions::connect_from(server, source).await?;
    sessions::handshake(url, socket).await
}

/// One member says something; how long until the last one has heard it.
async fn broadcast(members: &mut [Session], round: u32) -> anyhow::Result<Duration> {
    let frame = Message::text(format!("round {round}"));
    let began = Instant::now();
    members[0].send(frame.clone()).await?;
    for (number, member) in members.iter_mut().enumerate() {
        let heard = timeout(BROADCAST_MAX, hear(member, &frame)).await;
        heard
            .with_context(|| format!("session {number} has not got round {round}"))?
            .with_context(|| format!("session {number} ended before round {round}"))?;
    }
    Ok(began.elapsed())
}

async fn hear(member: &mut Session, frame: &Message) -> Result<(), tungstenite::Error> {
    loop {
        match member.next().await {
            Some(Ok(message)) if message == *frame => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Err(tungstenite::Error::ConnectionClosed),
        }
    }
}
