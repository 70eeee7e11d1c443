//! Calls over HTTP.

use serde_json::json;

use crate::support::http::{Client, get, post, send};
use crate::support::objects::{door, waiting};
use crate::support::server;

#[tokio::test]
async fn arguments_go_by_name_by_position_or_not_at_all() {
    let server = server().await;
    assert_eq!(
        post(server.addr(), "/v1/tally/a/add", r#"{"by":2}"#)
            .await
            .json(),
        2
    );
    assert_eq!(
        post(server.addr(), "/v1/tally/a/add", r#"[3,"a note"]"#)
            .await
            .json(),
        5
    );
    assert_eq!(
        send(server.addr(), "POST", "/v1/tally/a/total", &[], b"")
            .await
            .json(),
        5
    );
    assert_eq!(
        post(server.addr(), "/v1/tally/other/total", "{}")
            .await
            .json(),
        0
    );
}

#[tokio::test]
async fn messagepack_is_answered_in_messagepack() {
    let server = server().await;
    let value = json!({ "value": { "list": [1, 2.5, null, "é"] } });
    let body = rmp_serde::to_vec_named(&value).unwrap();
    for name in [
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
    ] {
        let reply = send(
            server.addr(),
            "POST",
            "/v1/tally/a/echo",
            &[("content-type", name)],
            &body,
        )
        .await;
        assert_eq!(reply.header("content-type"), Some("application/msgpack"));
        let decoded: serde_json::Value = rmp_serde::from_slice(&reply.body).unwrap();
        assert_eq!(decoded, value["value"]);
    }
    let accept = [
        ("content-type", "application/json"),
        ("accept", "application/msgpack"),
    ];
    let reply = send(
        server.addr(),
        "POST",
        "/v1/tally/a/add",
        &accept,
        br#"{"by":7}"#,
    )
    .await;
    assert_eq!((reply.status, &*reply.body), (200, &[7][..]));
}

#[tokio::test]
async fn a_read_takes_its_arguments_from_the_query() {
    let server = server().await;
    let reply = get(server.addr(), "/v1/tally/a/greet?name=Ada%20%26+co&times=2").await;
    assert_eq!(reply.json(), json!(["hello Ada & co", "hello Ada & co"]));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn a_read_that_is_known_is_not_sent_again() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let first = client.send("GET", "/v1/tally/a/total", &[], b"").await;
    let etag = first.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("\"v0-"), "{etag}");

    let known = [("if-none-match", &*etag)];
    let again = client.send("GET", "/v1/tally/a/total", &known, b"").await;
    assert_eq!(
        (again.status, again.header("etag"), again.body.len()),
        (304, Some(&*etag), 0)
    );

    client
        .send("POST", "/v1/tally/a/add", &[], br#"{"by":1}"#)
        .await;
    let changed = client.send("GET", "/v1/tally/a/total", &known, b"").await;
    assert_eq!((changed.status, changed.json()), (200, json!(1)));
    assert!(changed.header("etag").unwrap().starts_with("\"v1-"));
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let head = client.send("HEAD", "/v1/tally/a/total", &[], b"").await;
    let get = client.send("GET", "/v1/tally/a/total", &[], b"").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("etag"), get.header("etag"));
    assert_eq!(head.header("content-length"), Some("1"));
}

#[tokio::test]
async fn names_are_any_text_and_ids_name_the_same_object() {
    let server = server().await;
    let path = "/v1/tally/R%C3%A4ume%2F7%20%F0%9F%8E%B2/add";
    assert_eq!(post(server.addr(), path, r#"{"by":4}"#).await.json(), 4);

    let namespace = abide::Namespace::new("tally").unwrap();
    let id = abide::ObjectId::from_name(&namespace, "Räume/7 🎲");
    assert_eq!(
        get(server.addr(), &format!("/v1/tally/id:{id}/total"))
            .await
            .json(),
        4
    );
}

#[tokio::test]
async fn an_actors_refusal_is_a_problem_and_undoes_the_turn() {
    let server = server().await;
    let reply = post(server.addr(), "/v1/tally/a/refuse", "").await;
    assert_eq!(reply.problem(409, "not-today"), "come back tomorrow");
    assert_eq!(reply.json()["data"]["day"], 1);
    assert_eq!(reply.json()["type"], "/errors/actor-error");
    assert_eq!(reply.json()["effect"], "none");
    assert_eq!(get(server.addr(), "/v1/tally/a/total").await.json(), 0);
}

#[tokio::test]
async fn a_panic_undoes_the_turn_and_spares_the_server() {
    let server = server().await;
    post(server.addr(), "/v1/tally/a/add", r#"{"by":1}"#).await;
    let reply = post(server.addr(), "/v1/tally/a/explode", "").await;
    reply.problem(500, "actor-panicked");
    assert_eq!(get(server.addr(), "/v1/tally/a/total").await.json(), 1);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_changes_nothing() {
    let server = server().await;
    let deadline = [("abide-deadline-ms", "40")];
    let reply = send(server.addr(), "POST", "/v1/tally/late/wait", &deadline, b"").await;
    reply.problem(504, "deadline-exceeded");
    assert_eq!(reply.json()["effect"], "none");
    assert_eq!(get(server.addr(), "/v1/tally/late/total").await.json(), 0);
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let request = "POST /v1/tally/a/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{\"by\":1}";
    client.write(request.repeat(20).as_bytes()).await;
    for total in 1..=20 {
        assert_eq!(client.response().await.unwrap().json(), total);
    }
}

#[tokio::test]
async fn one_waiting_object_keeps_no_other_waiting() {
    let server = server().await;
    let mut waiting = waiting(&server, "held").await;
    door("held").arrived().await;
    assert_eq!(
        post(server.addr(), "/v1/tally/free/add", r#"{"by":1}"#)
            .await
            .json(),
        1
    );
    door("held").open();
    assert_eq!(waiting.response().await.unwrap().json(), 1);
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() {
    let server = server().await;
    let own = [("x-request-id", "order-66")];
    let reply = send(server.addr(), "POST", "/v1/tally/a/nothing", &own, b"").await;
    reply.problem(404, "unknown-method");
    assert_eq!(reply.header("x-request-id"), Some("order-66"));
    let made = get(server.addr(), "/v1/tally/a/total").await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 26);
}
