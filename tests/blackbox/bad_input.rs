//! Everything a client can get wrong, and what it is told.

use abide::{Namespace, ObjectId};

use crate::support::http::{Client, Taken, get, post, send};
use crate::support::server;

#[tokio::test]
async fn an_unknown_namespace_or_method() {
    let server = server().await;
    let detail = post(server.addr(), "/v1/tolly/x/add", "{}")
        .await
        .problem(404, "unknown-namespace");
    assert!(detail.contains("'tolly'"), "{detail}");
    let detail = post(server.addr(), "/v1/tally/x/ad", "{}")
        .await
        .problem(404, "unknown-method");
    assert!(
        detail.contains("'ad'") && detail.contains("add, total"),
        "{detail}"
    );
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_named_with_what_was_expected() {
    let server = server().await;
    let detail = async |body: &str| {
        post(server.addr(), "/v1/tally/x/add", body)
            .await
            .problem(400, "invalid-arguments")
    };
    let missing = detail("{}").await;
    assert!(
        missing.contains("'add'") && missing.contains("missing field `by`"),
        "{missing}"
    );
    let wrong = detail(r#"{"by":"two"}"#).await;
    assert!(
        wrong.contains("`by`") && wrong.contains("expected u64"),
        "{wrong}"
    );
    let unknown = detail(r#"{"by":1,"bye":2}"#).await;
    assert!(unknown.contains("`bye`"), "{unknown}");
    let many = detail("[1,null,3]").await;
    assert!(many.contains("trailing"), "{many}");
    let scalar = detail("7").await;
    assert!(scalar.contains("integer `7`"), "{scalar}");
    let absent = detail("").await;
    assert!(absent.contains("missing field `by`"), "{absent}");

    let query = get(server.addr(), "/v1/tally/x/greet?name=a&times=many").await;
    let detail = query.problem(400, "invalid-arguments");
    assert!(detail.contains("times"), "{detail}");
}

#[tokio::test]
async fn json_and_messagepack_that_are_none() {
    let server = server().await;
    for body in ["{", "{\"by\":1}}", "{\"by\":1,}", "nonsense", "\u{feff}{}"] {
        post(server.addr(), "/v1/tally/x/add", body)
            .await
            .problem(400, "invalid-arguments");
    }
    let invalid_utf8 = b"{\"by\":1,\"note\":\"\xff\"}";
    let reply = send(server.addr(), "POST", "/v1/tally/x/add", &[], invalid_utf8).await;
    reply.problem(400, "invalid-arguments");
    let msgpack = [("content-type", "application/msgpack")];
    for body in [
        &b"\xc1"[..],
        b"\x81",
        b"\x81\xa2by",
        b"\x91\x01\x01",
        b"\xdf\xff\xff\xff\xff",
    ] {
        let reply = send(server.addr(), "POST", "/v1/tally/x/add", &msgpack, body).await;
        reply.problem(400, "invalid-arguments");
    }
}

/// Deep nesting must end in an error, not in the end of the stack.
#[tokio::test]
async fn nesting_that_would_take_the_stack() {
    let server = server().await;
    let deep = format!("{{\"value\":{}", "[".repeat(500_000));
    post(server.addr(), "/v1/tally/x/echo", &deep)
        .await
        .problem(400, "invalid-arguments");
}

#[tokio::test]
async fn object_ids_that_are_malformed_or_foreign() {
    let server = server().await;
    for digits in ["", "12", &"g".repeat(64), &"a".repeat(65)] {
        let detail = get(server.addr(), &format!("/v1/tally/id:{digits}/total"))
            .await
            .problem(400, "invalid-object");
        assert!(detail.contains("64 hex digits"), "{detail}");
    }
    let room = ObjectId::from_name(&Namespace::new("room").unwrap(), "x");
    let detail = get(server.addr(), &format!("/v1/tally/id:{room}/total"))
        .await
        .problem(400, "invalid-object");
    assert!(
        detail.contains("does not belong to this namespace"),
        "{detail}"
    );
}

#[tokio::test]
async fn names_that_are_too_long_empty_or_not_text() {
    let server = server().await;
    let longest = "x".repeat(1_024);
    assert_eq!(
        get(server.addr(), &format!("/v1/tally/{longest}/total"))
            .await
            .status,
        200
    );
    let detail = get(server.addr(), &format!("/v1/tally/{longest}y/total"))
        .await
        .problem(400, "invalid-object");
    assert!(detail.contains("1025 bytes"), "{detail}");
    get(server.addr(), "/v1/tally//total")
        .await
        .problem(400, "invalid-object");
    let detail = get(server.addr(), "/v1/tally/%ff%fe/total")
        .await
        .problem(400, "invalid-object");
    assert!(detail.contains("UTF-8"), "{detail}");
    get(server.addr(), "/v1/tally/x/%ff")
        .await
        .problem(400, "invalid-object");
}

/// The whole body is read, though none of it is wanted: closing at once would reset the
/// connection, and many a client would never see why.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_words() {
    let server = server().await;
    // More than the socket's buffers hold, so that the answer must find a client still sending.
    let size = 8 << 20;
    let head =
        format!("POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n");
    let mut announced = Client::connect(server.addr()).await;
    announced.write(head.as_bytes()).await;
    assert_eq!(announced.write(&vec![b' '; size]).await, Taken::All);
    let reply = announced.response().await.unwrap();
    assert_eq!(
        reply.problem(413, "body-too-large"),
        "the body is larger than 1048576 bytes"
    );

    let head = "POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [b"80000\r\n", &vec![b' '; 0x80000][..], b"\r\n"].concat();
    let mut chunked = Client::connect(server.addr()).await;
    chunked.write(head.as_bytes()).await;
    for _ in 0..16 {
        assert_eq!(chunked.write(&chunk).await, Taken::All);
    }
    chunked.write(b"0\r\n\r\n").await;
    chunked
        .response()
        .await
        .unwrap()
        .problem(413, "body-too-large");
}

/// A client that asks before it sends is answered before it sends.
#[tokio::test]
async fn a_body_announced_as_too_large_is_never_asked_for() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let head = "POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\nexpect: 100-continue\r\n\r\n";
    client.write(head.as_bytes()).await;
    client
        .response()
        .await
        .unwrap()
        .problem(413, "body-too-large");
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_framed_wrong() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    client
        .write(
            b"POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        )
        .await;
    client
        .response()
        .await
        .unwrap()
        .problem(400, "body-unreadable");
    let mut client = Client::connect(server.addr()).await;
    client.write(b"this is not HTTP\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 400);
}

#[tokio::test]
async fn headers_that_cannot_be_obeyed() {
    let server = server().await;
    let call = async |name: &str, value: &str| {
        send(
            server.addr(),
            "POST",
            "/v1/tally/x/add",
            &[(name, value)],
            br#"{"by":1}"#,
        )
        .await
    };
    call("content-type", "text/csv")
        .await
        .problem(415, "unsupported-media-type");
    let form = call("content-type", "application/x-www-form-urlencoded").await;
    assert!(
        form.problem(415, "unsupported-media-type")
            .contains("curl: --json")
    );
    call("abide-deadline-ms", "soon")
        .await
        .problem(400, "invalid-deadline");
    call("abide-deadline-ms", "999999999")
        .await
        .problem(400, "invalid-deadline");
    let too_long = "k".repeat(256);
    for key in ["", "a b", "\"k", "\"\"", &too_long] {
        call("idempotency-key", key)
            .await
            .problem(400, "idempotency-key-invalid");
    }
    let twice = [("idempotency-key", "k"), ("idempotency-key", "k")];
    send(
        server.addr(),
        "POST",
        "/v1/tally/x/add",
        &twice,
        br#"{"by":1}"#,
    )
    .await
    .problem(400, "idempotency-key-invalid");
    assert_eq!(
        get(server.addr(), "/v1/tally/x/total").await.json(),
        0,
        "none of them was called"
    );
}

#[tokio::test]
async fn a_write_by_get() {
    let server = server().await;
    let reply = get(server.addr(), "/v1/tally/x/add?by=1").await;
    reply.problem(405, "not-a-read");
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_reply_that_the_encoding_has_no_form_for() {
    let server = server().await;
    get(server.addr(), "/v1/tally/x/unencodable")
        .await
        .problem(500, "unencodable");
    let msgpack = [("accept", "application/msgpack")];
    assert_eq!(
        send(
            server.addr(),
            "GET",
            "/v1/tally/x/unencodable",
            &msgpack,
            b""
        )
        .await
        .status,
        200
    );
}
