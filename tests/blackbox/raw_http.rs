//! Raw HTTP to the `fetch` callback.

use crate::support::http::{Client, get, send};
use crate::support::server;

#[tokio::test]
async fn the_object_sees_its_own_path_and_query() {
    let server = server().await;
    for (path, seen) in [
        ("/v1/site/x/-/a/b%20c?d=1&e", "/a/b%20c?d=1&e"),
        ("/v1/site/x/-/", "/"),
        ("/v1/site/x/-", "/"),
        ("/v1/site/x/-?q", "/?q"),
    ] {
        let reply = send(server.addr(), "DELETE", path, &[], b"").await;
        assert_eq!(reply.header("x-path"), Some(seen));
        assert_eq!(reply.header("x-method"), Some("DELETE"));
    }
}

#[tokio::test]
async fn headers_of_the_connection_stay_with_it() {
    let server = server().await;
    let reply = send(
        server.addr(),
        "GET",
        "/v1/site/x/-/",
        &[("connection", "keep-alive")],
        b"",
    )
    .await;
    assert_eq!(reply.header("x-saw-connection"), Some("false"));
    assert_eq!(reply.header("x-private"), None);
}

#[tokio::test]
async fn status_and_body_are_the_objects_own() {
    let server = server().await;
    let reply = get(server.addr(), "/v1/site/x/-/teapot").await;
    assert_eq!((reply.status, reply.text()), (418, "short and stout"));
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_body_comes_back_in_the_pieces_it_was_made_of() {
    let server = server().await;
    assert_eq!(
        get(server.addr(), "/v1/site/x/-/stream").await.text(),
        "one two three"
    );
}

/// The response begins while the request is still being sent: nothing waits for the whole.
#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let head = "POST /v1/site/x/-/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write(head.as_bytes()).await;
    client.write(b"5\r\nfirst\r\n").await;
    client.until(b"first").await;
    client.write(b"6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().text(), "firstsecond");
}

#[tokio::test]
async fn a_request_larger_than_a_calls_body_is_streamed() {
    let server = server().await;
    let body = vec![7; 8 << 20];
    let reply = send(server.addr(), "PUT", "/v1/site/x/-/count", &[], &body).await;
    assert_eq!(reply.text(), (8 << 20).to_string());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_mistaken_for_a_whole_one() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    client
        .write(b"GET /v1/site/x/-/broken HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(
        client.response().await.is_none(),
        "the connection ends without the last chunk"
    );
}

#[tokio::test]
async fn objects_without_the_callback_say_so() {
    let server = server().await;
    let reply = get(server.addr(), "/v1/tally/x/-/").await;
    assert_eq!(
        reply.problem(404, "no-callback"),
        "objects of 'tally' do not have the callback 'fetch'"
    );
}
