//! A crowd on an object that shows who is here: they come, and then all come again at once.
//!
//! What counts is what that costs: bytes and messages to each of them, and time of the server.
//! Both waves are told by themselves; the second begins with the loss of every connection, as a
//! restart of the server would.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::options::{Options, Presence};
use crate::process;
use crate::sessions::open;

/// A wave is over when nothing has been told for so long.
const QUIET: Duration = Duration::from_secs(3);

/// Handshakes under way at one time.
const HANDSHAKES: usize = 64;

/// Comes, waits until it is quiet, and comes again.
///
/// # Errors
/// When a session is refused or lost, or somebody was not told who is here.
pub(crate) async fn run(
    options: &Options,
    presence: &Presence,
) -> anyhow::Result<serde_json::Value> {
    let object = options.object(0);
    let (come, first) = wave(options, presence, &object).await?;
    drop(first);
    let (again, second) = wave(options, presence, &object).await?;
    drop(second);
    Ok(json!({
        "scenario": options.scenario.name(),
        "members": presence.members,
        "come": come,
        "again": again,
    }))
}

/// What one member was told.
#[derive(Default)]
struct Told {
    messages: Cell<u64>,
    bytes: Cell<u64>,
    count: Cell<u64>,
    last: Cell<Option<Instant>>,
    lost: Cell<bool>,
}

async fn wave(
    options: &Options,
    presence: &Presence,
    object: &str,
) -> anyhow::Result<(serde_json::Value, JoinSet<()>)> {
    let began = Instant::now();
    let cpu_before = options.server_pid.map(process::cpu_time).transpose()?;
    let opening = (0..presence.members).map(|number| {
        let object = format!("{object}?member{number:05}");
        async move { open(&options.server, &presence.namespace, &object).await }
    });
    let mut readers = JoinSet::new();
    let mut all: Vec<Rc<Told>> = Vec::new();
    let mut opened = stream::iter(opening).buffer_unordered(HANDSHAKES);
    while let Some(mut socket) = opened.try_next().await? {
        let told = Rc::new(Told::default());
        all.push(told.clone());
        readers.spawn_local(async move {
            while let Some(Ok(message)) = socket.next().await {
                if let Ok(text) = message.to_text() {
                    told.take(text);
                }
            }
            told.lost.set(true);
        });
    }
    let opened_after = began.elapsed();
    let last = loop {
        tokio::time::sleep(QUIET / 10).await;
        let last = all.iter().filter_map(|told| told.last.get()).max();
        let last = last.unwrap_or(began);
        if last.elapsed() >= QUIET {
            break last;
        }
    };
    let lost = all.iter().filter(|told| told.lost.get()).count();
    ensure!(lost == 0, "the server closed {lost} sessions");
    let members = u64::from(presence.members);
    let wrong = all
        .iter()
        .filter(|told| told.count.get() != members)
        .count();
    ensure!(
        wrong == 0,
        "{wrong} members were not told that there are {members}"
    );
    let cpu_after = options.server_pid.map(process::cpu_time).transpose()?;
    let sum = |figure: fn(&Told) -> u64| all.iter().map(|told| figure(told)).sum::<u64>();
    let most = all
        .iter()
        .map(|told| told.bytes.get())
        .max()
        .context("nobody came")?;
    let cpu = cpu_after
        .zip(cpu_before)
        .map(|(after, before)| after.saturating_sub(before));
    let report = json!({
        "opened_s": crate::rounded(opened_after.as_secs_f64()),
        "quiet_s": crate::rounded((last - began).as_secs_f64()),
        "messages": sum(|told| told.messages.get()),
        "bytes": sum(|told| told.bytes.get()),
        "bytes_most": most,
        "server_cpu_s": cpu.map(|cpu| crate::rounded(cpu.as_secs_f64())),
    });
    Ok((report, readers))
}

impl Told {
    fn take(&self, text: &str) {
        self.messages.set(self.messages.get() + 1);
        self.bytes.set(self.bytes.get() + text.len() as u64);
        self.last.set(Some(Instant::now()));
        self.count.set(count_of(text).unwrap_or(0));
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
    use super::count_of;

    #[test]
    fn a_message_says_how_many_there_are() {
        let message = r#"{"type":"presence","count":10000,"left":["member00001"]}"#;
        assert_eq!(count_of(message), Some(10_000));
        assert_eq!(count_of("hello"), None);
    }
}
