//! Players without screens, for load: `arena bots 200 duel`. They fly about at random and shoot, send
//! an input per tick as the page does, and say what comes back.

use std::cell::Cell;
use std::io::Write as _;
use std::time::Duration;

use abide::sync::Replica;
use futures_util::future::{join, join_all};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::world::body::Keys;
use crate::world::rules::TICK;

/// Whatever went wrong; it is only said.
type Failure = Box<dyn std::error::Error>;

const REPORT_EVERY: Duration = Duration::from_secs(10);
/// Bots come one after the other, not all at once.
const COMES_EVERY: Duration = Duration::from_millis(15);
/// Every so many ticks a bot changes its mind.
const WHIM_TICKS: u32 = 9;
/// One bot in so many takes in what it is sent, to see that it fits; to decode for all would
/// measure the bots.
const LISTENS: u64 = 20;

/// What all bots have seen since the last report.
#[derive(Debug, Default)]
struct Seen {
    here: Cell<u64>,
    frames: Cell<u64>,
    bytes: Cell<u64>,
    failures: Cell<u64>,
}

/// Runs until it is interrupted. Arguments: how many, the room, the server.
///
/// # Errors
/// When an argument is none.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let count: u64 = match arguments.first() {
        Some(count) => count.parse()?,
        None => 50,
    };
    let room = arguments.get(1).map_or("nebula-1", String::as_str);
    let server = arguments.get(2).map_or("127.0.0.1:7878", String::as_str);
    let url = format!("ws://{server}/v1/arena/{room}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let seen = Seen::default();
    let bots = (0..count).map(|number| stay(&url, number, &seen));
    runtime.block_on(join(join_all(bots), report(&seen)));
    Ok(())
}

/// One bot, that comes back whenever it is thrown out.
async fn stay(url: &str, number: u64, seen: &Seen) {
    let place = u32::try_from(number).unwrap_or_default();
    sleep(COMES_EVERY * place).await;
    loop {
        if let Err(error) = play(url, number, seen).await {
            add(&seen.failures, 1);
            say(&format!("bot {number}: {error}"));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn play(url: &str, number: u64, seen: &Seen) -> Result<(), Failure> {
    let (mut socket, _) = connect_async(url).await?;
    let token = format!("bot-{number:0>16}");
    let join = serde_json::json!({"type": "join", "name": format!("Bot {number}"), "token": token});
    socket.send(Message::text(join.to_string())).await?;
    add(&seen.here, 1);
    let mut replica = Replica::new();
    let mut random = fastrand::Rng::with_seed(number);
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut keys, mut input) = (0, 0_u32);
    let ended = loop {
        tokio::select! {
            _ = clock.tick() => {
                input += 1;
                if input % WHIM_TICKS == 1 {
                    keys = random.u8(..) & (Keys::THRUST | Keys::LEFT | Keys::RIGHT | Keys::FIRE);
                }
                let mut frame = vec![keys];
                frame.extend(input.to_le_bytes());
                if let Err(error) = socket.send(Message::binary(frame)).await {
                    break Err(error.into());
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    note(seen, bytes.len());
                    if number.is_multiple_of(LISTENS) && let Err(error) = replica.apply(&bytes) {
                        break Err(error.into());
                    }
                }
                Some(Ok(Message::Text(text))) => note(seen, text.len()),
                Some(Ok(Message::Close(close))) => break Err(format!("closed: {close:?}").into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error.into()),
                None => break Err("the connection ended".into()),
            }
        }
    };
    seen.here.set(seen.here.get().saturating_sub(1));
    ended
}

async fn report(seen: &Seen) {
    loop {
        sleep(REPORT_EVERY).await;
        let seconds = REPORT_EVERY.as_secs();
        let per_bot = |sum: u64| sum / seconds / seen.here.get().max(1);
        say(&format!(
            "{} bots; each gets {} frames and {} bytes a second; {} thrown out",
            seen.here.get(),
            per_bot(seen.frames.take()),
            per_bot(seen.bytes.take()),
            seen.failures.take(),
        ));
    }
}

fn note(seen: &Seen, bytes: usize) {
    add(&seen.frames, 1);
    add(&seen.bytes, bytes as u64);
}

fn add(to: &Cell<u64>, more: u64) {
    to.set(to.get() + more);
}

fn say(line: &str) {
    // Nobody reads on: nothing to be done about it.
    drop(writeln!(std::io::stdout(), "{line}"));
}
