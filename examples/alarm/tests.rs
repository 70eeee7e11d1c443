#[path = "../support/client.rs"]
mod client;
#[path = "../support/node.rs"]
mod node;

use std::time::Duration;

use abide_actors::Outgoing;
use serde_json::json;

use self::client::Client;
use self::node::{Node, code};
use crate::reminders::{Fired, Reminder, Reminders};

async fn remind(node: &Node, name: &str, in_ms: u64, until_heard: bool) {
    let arguments = json!({
        "name": name, "in_ms": in_ms, "text": "the tea is ready", "until_heard": until_heard,
    });
    node.call::<()>("ada", "remind", arguments).await.unwrap();
}

async fn pending(node: &Node) -> Vec<String> {
    let pending: Vec<Reminder> = node.call("ada", "pending", json!({})).await.unwrap();
    pending.into_iter().map(|reminder| reminder.name).collect()
}

async fn fired(node: &Node) -> Vec<(String, u32)> {
    let history: Vec<Fired> = node.call("ada", "history", json!({})).await.unwrap();
    history.into_iter().map(|fired| (fired.name, fired.retries)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reminder_fires_at_its_time_even_after_a_crash() {
    let node = Node::start::<Reminders>("reminders");
    remind(&node, "tea", 5_000, false).await;
    remind(&node, "bread", 60_000, false).await;
    let node = node.crash();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(pending(&node).await, ["bread", "tea"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(pending(&node).await, ["bread"]);
    assert_eq!(fired(&node).await, [("tea".to_owned(), 0)]);
}

#[tokio::test(start_paused = true)]
async fn sessions_hear_a_reminder_as_json() {
    let node = Node::start::<Reminders>("reminders");
    let mut client = Client::connect(&node.runtime, "reminders", "ada", "").await.unwrap();
    remind(&node, "tea", 1_000, false).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let Some(Outgoing::Frame(frame)) = client.next().await else { panic!("no frame") };
    let heard: Fired = serde_json::from_str(frame.as_text().unwrap()).unwrap();
    assert_eq!((heard.name.as_str(), heard.text.as_str()), ("tea", "the tea is ready"));
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_must_be_heard_is_retried_until_somebody_listens() {
    let node = Node::start::<Reminders>("reminders");
    remind(&node, "tea", 1_000, true).await;
    // Fails after 1 s, and again 2 s and 4 s later, each with up to a quarter more.
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(fired(&node).await, []);
    assert_eq!(pending(&node).await, ["tea"]);
    let mut client = Client::connect(&node.runtime, "reminders", "ada", "").await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(client.next().await.is_some());
    assert_eq!(fired(&node).await, [("tea".to_owned(), 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_reminder_does_not_fire() {
    let node = Node::start::<Reminders>("reminders");
    remind(&node, "tea", 1_000, false).await;
    assert!(node.call::<bool>("ada", "cancel", json!(["tea"])).await.unwrap());
    assert!(!node.call::<bool>("ada", "cancel", json!(["tea"])).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fired(&node).await, []);
    let nameless = json!({"name": "", "in_ms": 1, "text": ""});
    assert_eq!(code(node.call::<()>("ada", "remind", nameless).await), "invalid-name");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_says_something_is_not_harmed() {
    let node = Node::start::<Reminders>("reminders");
    let mut client = Client::connect(&node.runtime, "reminders", "ada", "").await.unwrap();
    client.send("hello?").await;
    assert_eq!(client.next().await, None);
}
