#[path = "../support/client.rs"]
mod client;
#[path = "../support/node.rs"]
mod node;

use std::time::Duration;

use abide_actors::{ConnectError, Outgoing};
use serde_json::{Value, json};

use self::client::Client;
use self::node::{Node, code};
use crate::chat::Chat;

async fn enter(node: &Node, query: &str) -> Result<Client, ConnectError> {
    Client::connect(&node.runtime, "chat", "lobby", query).await
}

async fn entered(node: &Node, name: &str) -> Client {
    let mut client = enter(node, &format!("name={name}")).await.unwrap();
    assert_eq!(heard(&mut client).await["type"], "welcome");
    client
}

/// The next frame; `null` when there is none.
async fn heard(client: &mut Client) -> Value {
    match client.next().await {
        Some(Outgoing::Frame(frame)) => serde_json::from_str(frame.as_text().unwrap()).unwrap(),
        Some(other) => panic!("not a frame: {other:?}"),
        None => Value::Null,
    }
}

/// What a `line` frame says, by whom.
async fn line(client: &mut Client) -> (String, String) {
    let line = heard(client).await;
    assert_eq!(line["type"], "line", "{line}");
    (line["from"].as_str().unwrap().to_owned(), line["text"].as_str().unwrap().to_owned())
}

fn said(from: &str, text: &str) -> (String, String) {
    (from.to_owned(), text.to_owned())
}

async fn history(node: &Node, arguments: Value) -> Vec<u64> {
    let lines: Vec<Value> = node.call("lobby", "history", arguments).await.unwrap();
    lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn everybody_hears_what_is_said_also_who_says_it() {
    let node = Node::start::<Chat>("chat");
    let (mut ada, mut bob) = (entered(&node, "Ada").await, entered(&node, "Bob").await);
    assert_eq!(heard(&mut ada).await["type"], "joined");
    ada.send(r#"{"type":"say","text":"hello"}"#).await;
    bob.send("hi, by hand").await;
    bob.send("[1, 2]").await;
    node.call::<Value>("lobby", "post", json!(["backend", "deployed"])).await.unwrap();
    for client in [&mut ada, &mut bob] {
        assert_eq!(line(client).await, said("Ada", "hello"));
        assert_eq!(line(client).await, said("Bob", "hi, by hand"));
        assert_eq!(line(client).await, said("Bob", "[1, 2]"));
        assert_eq!(line(client).await, said("backend", "deployed"));
        assert_eq!(heard(client).await, Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_told_who_is_here_and_what_was_said() {
    let node = Node::start::<Chat>("chat");
    for number in 1..=60 {
        node.call::<Value>("lobby", "post", json!(["Ada", number.to_string()])).await.unwrap();
    }
    let node = node.crash();
    let _ada = entered(&node, "Ada").await;
    let mut bob = enter(&node, "name=%20Bob%20").await.unwrap();
    let welcome = heard(&mut bob).await;
    assert_eq!((&welcome["you"], &welcome["members"]), (&json!("Bob"), &json!(["Ada", "Bob"])));
    let lines = welcome["history"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0]["seq"], &lines[49]["text"]), (50, &json!(11), &json!("60")));
    assert!(lines[0]["at"].is_u64());
}

#[tokio::test(start_paused = true)]
async fn a_name_is_here_from_its_first_session_to_its_last() {
    let node = Node::start::<Chat>("chat");
    let mut ada = entered(&node, "Ada").await;
    let (first, second) = (entered(&node, "Bob").await, entered(&node, "Bob").await);
    let joined = json!({"type": "joined", "name": "Bob", "members": ["Ada", "Bob"]});
    assert_eq!(heard(&mut ada).await, joined);
    drop(first);
    assert_eq!(heard(&mut ada).await, Value::Null);
    drop(second);
    let left = json!({"type": "left", "name": "Bob", "members": ["Ada"]});
    assert_eq!(heard(&mut ada).await, left);
}

#[tokio::test(start_paused = true)]
async fn presence_outlives_the_activation() {
    let node = Node::start::<Chat>("chat");
    let mut ada = entered(&node, "Ada").await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(node.runtime.stats().activations, 0);
    let members: Vec<String> = node.call("lobby", "members", json!({})).await.unwrap();
    assert_eq!(members, ["Ada"]);
    ada.send("still here").await;
    assert_eq!(line(&mut ada).await, said("Ada", "still here"));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_proper_name_is_refused() {
    let node = Node::start::<Chat>("chat");
    let long = format!("name={}", "x".repeat(41));
    for query in ["", "nam=Ada", "name=", "name=%20", "name=a%07b", &long] {
        let Err(ConnectError::Refused(refusal)) = enter(&node, query).await else {
            panic!("{query} was not refused");
        };
        assert_eq!(refusal.status, 400, "{query}: {refusal}");
    }
    let members: Vec<String> = node.call("lobby", "members", json!({})).await.unwrap();
    assert_eq!(members, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_told_to_its_author_alone() {
    let node = Node::start::<Chat>("chat");
    let (mut ada, mut bob) = (entered(&node, "Ada").await, entered(&node, "Bob").await);
    heard(&mut ada).await;
    let long = "x".repeat(4_001);
    for (frame, code) in [
        (r#"{"type":"dance"}"#, "not-understood"),
        (r#"{"type":"say"}"#, "not-understood"),
        ("   ", "empty-text"),
        (&long, "text-too-long"),
    ] {
        ada.send(frame).await;
        let error = heard(&mut ada).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)));
    }
    ada.send(vec![1, 2, 3]).await;
    assert_eq!(heard(&mut ada).await["code"], "not-text");
    assert_eq!(heard(&mut bob).await, Value::Null);
    assert_eq!(history(&node, json!({})).await, [0; 0]);
    let nameless = node.call::<Value>("lobby", "post", json!(["", "hello"])).await;
    assert_eq!(code(nameless), "invalid-name");
}

#[tokio::test(start_paused = true)]
async fn a_room_forgets_all_but_its_newest_thousand_lines() {
    let node = Node::start::<Chat>("chat");
    for _ in 0..1_005 {
        node.call::<Value>("lobby", "post", json!(["Ada", "again"])).await.unwrap();
    }
    assert_eq!(history(&node, json!({"limit": 2})).await, [1_004, 1_005]);
    assert_eq!(history(&node, json!({"before": 9})).await, [6, 7, 8]);
    assert_eq!(history(&node, json!({"before": 500, "limit": 900})).await.len(), 200);
}
