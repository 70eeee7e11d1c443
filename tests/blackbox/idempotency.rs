//! The header `Idempotency-Key`: a call sent again takes effect once, through a SIGKILL too.

use std::net::SocketAddr;
use std::time::Duration;

use abide::Config;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::http::{Client, Response, get, send};
use crate::support::process::Abide;
use crate::support::{config, server, server_with};

async fn call(to: SocketAddr, path: &str, key: &str, json: &str) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    send(to, "POST", path, &headers, json.as_bytes()).await
}

/// The value of a reply, and whether it is that of an earlier call.
fn value(reply: &Response) -> (u64, bool) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let replayed = reply.header("idempotent-replayed");
    assert!(matches!(replayed, None | Some("true")), "{replayed:?}");
    (reply.json().as_u64().unwrap(), replayed.is_some())
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_first_reply() {
    let server = server().await;
    let add = async |key: &str, json: &str| {
        let reply = call(server.addr(), "/v1/tally/a/add", key, json).await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        value(&reply)
    };
    assert_eq!(add("k", r#"{"by":2}"#).await, (2, false));
    assert_eq!(add("other", r#"{"by":3}"#).await, (5, false));
    assert_eq!(add("k", r#"{"by":2}"#).await, (2, true));
    assert_eq!(add("\"k\"", r#"{"by":2}"#).await, (2, true), "quoted");
    assert_eq!(get(server.addr(), "/v1/tally/a/total").await.json(), 5);
}

#[tokio::test]
async fn a_key_of_another_call_is_refused() {
    let server = server().await;
    let first = call(server.addr(), "/v1/tally/a/add", "k", r#"{"by":2}"#).await;
    assert_eq!(first.json(), 2);
    for (method, json) in [("add", r#"{"by":3}"#), ("explode", r#"{"by":2}"#)] {
        let path = format!("/v1/tally/a/{method}");
        let refused = call(server.addr(), &path, "k", json).await;
        refused.problem(422, "idempotency-key-reused");
        assert_eq!(refused.json()["effect"], "none");
    }
    assert_eq!(get(server.addr(), "/v1/tally/a/total").await.json(), 2);
}

/// What failed left nothing, so that a repeat runs it again.
#[tokio::test]
async fn a_failed_call_is_not_kept() {
    let server = server().await;
    for _ in 0..2 {
        call(server.addr(), "/v1/tally/a/refuse", "k", "")
            .await
            .problem(409, "not-today");
        call(server.addr(), "/v1/tally/a/explode", "l", "")
            .await
            .problem(500, "actor-panicked");
    }
    let reply = call(server.addr(), "/v1/tally/a/add", "k", r#"{"by":1}"#).await;
    assert_eq!(value(&reply), (1, false));
}

#[tokio::test]
async fn a_read_ignores_the_key() {
    let server = server().await;
    let total = async |verb: &str| {
        let headers = [("idempotency-key", "k")];
        let reply = send(server.addr(), verb, "/v1/tally/a/total", &headers, b"").await;
        value(&reply)
    };
    assert_eq!(total("POST").await, (0, false));
    call(server.addr(), "/v1/tally/a/add", "k", r#"{"by":1}"#).await;
    assert_eq!(total("POST").await, (1, false));
    assert_eq!(total("GET").await, (1, false));
}

#[tokio::test]
async fn an_object_with_too_many_keys_says_so() {
    let server = server_with(Config {
        idempotency_keys_max: 2,
        ..config()
    })
    .await;
    let add = async |key: &str| call(server.addr(), "/v1/tally/a/add", key, r#"{"by":1}"#).await;
    add("a").await;
    add("b").await;
    let full = add("c").await;
    full.problem(429, "idempotency-keys-full");
    assert_eq!(full.json()["effect"], "none");
    let day_ms = 24 * 60 * 60 * 1_000;
    let wait_ms = full.json()["retry_after_ms"].as_u64().unwrap();
    assert!((1..=day_ms).contains(&wait_ms), "{wait_ms}");
    assert!(full.header("retry-after").is_some());
    assert_eq!(value(&add("a").await), (1, true));
    let other = call(server.addr(), "/v1/tally/b/add", "c", r#"{"by":1}"#).await;
    assert_eq!(value(&other), (1, false));
}

/// Killed after each of many calls, the server answers each repeat as it did before.
#[tokio::test]
async fn a_kill_between_call_and_repeat_makes_no_second_effect() {
    for engine in ["sled", "redb"] {
        let folder = tempfile::tempdir().unwrap();
        let mut given: Vec<(String, u64)> = vec![];
        for round in 0..3 {
            let running = Abide::start_with(folder.path(), &["--engine", engine]);
            let add = async |key: &str| {
                let path = "/v1/counter/a/increment";
                value(&call(running.addr, path, key, r#"{"by":1}"#).await)
            };
            for (key, first) in &given {
                assert_eq!(add(key).await, (*first, true), "{engine}, {key}");
            }
            for number in 0..20 {
                let key = format!("{round}-{number}");
                let (first, replayed) = add(&key).await;
                assert!(!replayed, "{engine}, {key}");
                given.push((key, first));
            }
            running.kill();
        }
        let running = Abide::start_with(folder.path(), &["--engine", engine]);
        let get = get(running.addr, "/v1/counter/a/get").await;
        assert_eq!(get.json(), json!(given.len()), "{engine}");
    }
}

/// Clients that repeat a call until it is answered, while the server is killed under them.
#[tokio::test]
async fn calls_repeated_through_kills_take_effect_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Abide::start(folder.path());
    for number in 0..8 {
        let key = format!("call-{number}");
        let headers = [("idempotency-key", &*key)];
        // Sent, and the server killed before, while or after it is handled.
        let addr = running.addr;
        let mut client = Client::connect(addr).await;
        let mut under_way = JoinSet::new();
        under_way.spawn(async move {
            let head = format!(
                "POST /v1/counter/b/increment HTTP/1.1\r\nhost: x\r\nidempotency-key: call-{number}\r\ncontent-length: 8\r\n\r\n{{\"by\":1}}"
            );
            client.write(head.as_bytes()).await;
            client.response().await
        });
        tokio::time::sleep(Duration::from_micros(300 * number)).await;
        running.kill();
        let before = under_way.join_next().await.unwrap().unwrap();

        running = Abide::start(folder.path());
        let path = "/v1/counter/b/increment";
        let reply = send(running.addr, "POST", path, &headers, br#"{"by":1}"#).await;
        assert_eq!(value(&reply).0, number + 1);
        if let Some(before) = before {
            assert_eq!((value(&before).0, value(&reply).1), (number + 1, true));
        }
    }
}
