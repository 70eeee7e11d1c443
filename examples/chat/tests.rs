use std::time::Duration;

use abide_actors::testing::{TestSession, World};
use abide_actors::{CallError, ConnectError, Frame};
use serde_json::{Value, json};

use crate::chat::Chat;

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Chat>("chat").run(test);
}

/// A session that has read its welcome.
async fn entered(world: &World, name: &str) -> TestSession {
    let mut session = world
        .connect("chat", "lobby", &format!("name={name}"))
        .await
        .unwrap();
    assert_eq!(session.next_json().await.unwrap()["type"], "welcome");
    session
}

/// What has come by now.
async fn heard(session: &mut TestSession) -> Vec<Value> {
    let frames = session.arrived().await;
    frames
        .iter()
        .map(|frame| serde_json::from_str(frame.as_text().unwrap()).unwrap())
        .collect()
}

/// What was said, by whom, in what has come by now.
async fn lines(session: &mut TestSession) -> Vec<(String, String)> {
    let heard = heard(session).await;
    let lines = heard.iter().filter(|event| event["type"] == "line");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines
        .map(|line| (text(&line["from"]), text(&line["text"])))
        .collect()
}

fn said(from: &str, text: &str) -> (String, String) {
    (from.to_owned(), text.to_owned())
}

async fn post(world: &World, from: &str, text: &str) -> Result<u64, CallError> {
    let lobby = world.actor::<Chat>("lobby");
    Ok(lobby.post(from.to_owned(), text.to_owned()).await?.seq)
}

async fn history(world: &World, before: Option<u64>, limit: Option<u32>) -> Vec<u64> {
    let lines = world
        .actor::<Chat>("lobby")
        .history(before, limit)
        .await
        .unwrap();
    lines.into_iter().map(|line| line.seq).collect()
}

async fn members(world: &World) -> Vec<String> {
    world.actor::<Chat>("lobby").members().await.unwrap()
}

#[test]
fn everybody_hears_what_is_said_also_who_says_it() {
    in_world(async |world| {
        let (mut ada, mut bob) = (entered(world, "Ada").await, entered(world, "Bob").await);
        ada.send(r#"{"type":"say","text":"hello"}"#).await;
        bob.send("hi, by hand").await;
        bob.send("[1, 2]").await;
        post(world, "backend", "deployed").await.unwrap();
        for session in [&mut ada, &mut bob] {
            let expected = [
                said("Ada", "hello"),
                said("Bob", "hi, by hand"),
                said("Bob", "[1, 2]"),
                said("backend", "deployed"),
            ];
            assert_eq!(lines(session).await, expected);
        }
    });
}

#[test]
fn a_newcomer_is_told_who_is_here_and_what_was_said() {
    in_world(async |world| {
        for number in 1..=60 {
            post(world, "Ada", &number.to_string()).await.unwrap();
        }
        world.crash().await;
        let _ada = entered(world, "Ada").await;
        let mut bob = world
            .connect("chat", "lobby", "name=%20Bob%20")
            .await
            .unwrap();
        let welcome = bob.next_json().await.unwrap();
        assert_eq!(
            (&welcome["you"], &welcome["members"]),
            (&json!("Bob"), &json!(["Ada", "Bob"]))
        );
        let lines = welcome["history"].as_array().unwrap();
        assert_eq!(lines.len(), 50);
        assert_eq!(
            (&lines[0]["seq"], &lines[49]["text"]),
            (&json!(11), &json!("60"))
        );
        assert!(lines[0]["at"].is_u64());
    });
}

#[test]
fn a_name_is_here_from_its_first_session_to_its_last() {
    in_world(async |world| {
        let mut ada = entered(world, "Ada").await;
        let (first, second) = (entered(world, "Bob").await, entered(world, "Bob").await);
        let joined = json!({"type": "joined", "name": "Bob", "members": ["Ada", "Bob"]});
        assert_eq!(heard(&mut ada).await, [joined]);
        first.close(1000, "");
        assert_eq!(heard(&mut ada).await, [Value::Null; 0]);
        drop(second);
        let left = json!({"type": "left", "name": "Bob", "members": ["Ada"]});
        assert_eq!(heard(&mut ada).await, [left]);
    });
}

#[test]
fn presence_outlives_the_activation() {
    in_world(async |world| {
        let mut ada = entered(world, "Ada").await;
        world.advance(Duration::from_mins(1)).await;
        assert_eq!(
            world.runtime().stats().activations,
            0,
            "the room hibernates"
        );
        assert_eq!(members(world).await, ["Ada"]);
        ada.send("still here").await;
        assert_eq!(lines(&mut ada).await, [said("Ada", "still here")]);
    });
}

#[test]
fn a_client_without_a_proper_name_is_refused() {
    in_world(async |world| {
        let long = format!("name={}", "x".repeat(41));
        for query in ["", "nam=Ada", "name=", "name=%20", "name=a%07b", &long] {
            let answer = world.connect("chat", "lobby", query).await;
            let Err(ConnectError::Refused(refusal)) = answer else {
                panic!("'{query}' was not refused");
            };
            assert_eq!(refusal.status, 400, "{query}: {refusal}");
        }
        assert_eq!(members(world).await, [""; 0]);
    });
}

#[test]
fn what_is_not_understood_is_told_to_its_author_alone() {
    in_world(async |world| {
        let (mut ada, mut bob) = (entered(world, "Ada").await, entered(world, "Bob").await);
        heard(&mut ada).await;
        for (frame, code) in [
            (Frame::from(r#"{"type":"dance"}"#), "not-understood"),
            (Frame::from(r#"{"type":"say"}"#), "not-understood"),
            (Frame::from("   "), "empty-text"),
            (Frame::from("x".repeat(4_001)), "text-too-long"),
            (Frame::from(vec![1, 2, 3]), "not-text"),
        ] {
            ada.send(frame).await;
            let error = ada.next_json().await.unwrap();
            assert_eq!(
                (&error["type"], &error["code"]),
                (&json!("error"), &json!(code))
            );
        }
        assert_eq!(heard(&mut bob).await, [Value::Null; 0]);
        assert_eq!(history(world, None, None).await, [0; 0]);
        let nameless = post(world, "", "hello").await;
        assert!(matches!(nameless, Err(CallError::Actor(error)) if error.code == "invalid-name"));
    });
}

#[test]
fn a_line_that_cannot_be_stored_is_not_heard() {
    in_world(async |world| {
        let (mut ada, mut bob) = (entered(world, "Ada").await, entered(world, "Bob").await);
        world.store().refuse_writes(Some("the disk is full"));
        ada.send("lost").await;
        world.store().refuse_writes(None);
        assert_eq!(lines(&mut bob).await, []);
        assert_eq!(
            post(world, "backend", "kept").await.unwrap(),
            1,
            "no number was used up"
        );
        assert_eq!(lines(&mut bob).await, [said("backend", "kept")]);
    });
}

#[test]
fn a_room_forgets_all_but_its_newest_thousand_lines() {
    in_world(async |world| {
        for _ in 0..1_005 {
            post(world, "Ada", "again").await.unwrap();
        }
        assert_eq!(history(world, None, Some(2)).await, [1_004, 1_005]);
        assert_eq!(history(world, Some(9), None).await, [6, 7, 8]);
        assert_eq!(history(world, Some(500), Some(900)).await.len(), 200);
    });
}
