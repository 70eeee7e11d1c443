//! Clients that come in crowds or keep the server waiting: each gets its answer, and those who
//! behave go on. How fast they go on is measured in benches, not here.

use std::net::SocketAddr;
use std::time::Duration;

use abide::config::{Size, Span};
use abide::{Config, Running};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::http::{Client, get, post, send};
use crate::support::objects::{door, waiting};
use crate::support::socket::Socket;
use crate::support::{PATIENCE, config, raise_open_files_limit, server_with};

/// A call that must go well while others do not.
async fn is_served(server: &Running, object: &str) {
    let path = format!("/v1/tally/{object}/add");
    let reply = post(server.addr(), &path, r#"{"by":1}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// One metric of the server.
async fn metric(server: &Running, name: &str) -> u64 {
    let text = get(server.admin_addr(), "/metrics").await;
    let line = text.text().lines().find(|line| {
        let mut words = line.split(' ');
        words.next() == Some(name)
    });
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until the metric is what it should come to.
async fn until(server: &Running, name: &str, wanted: impl Fn(u64) -> bool) {
    let coming = async {
        while !wanted(metric(server, name).await) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, coming)
        .await
        .unwrap_or_else(|_| panic!("{name} does not come to what it should"));
}

async fn crowd(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(TcpStream::connect(to).await.unwrap());
    }
    crowd
}

/// What the server says before it closes.
async fn last_words(mut socket: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset instead of an end is a close as well.
    let read = timeout(PATIENCE, socket.read_to_end(&mut said)).await;
    drop(read.expect("the server closes"));
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_flood_of_connections_leaves_those_there_are_alone() {
    raise_open_files_limit();
    let server = server_with(Config {
        connections_max: 8,
        // Those that hold the places say nothing; they are to stay for as long as the flood takes.
        header_read_timeout: Span::secs(60),
        ..config()
    })
    .await;
    let mut first = Client::connect(server.addr()).await;
    assert_eq!(first.send("GET", "/health", &[], b"").await.status, 200);
    let places = crowd(server.addr(), 7).await;
    until(&server, "abide_connections", |count| count >= 9).await;

    let words = join_all(crowd(server.addr(), 200).await.into_iter().map(last_words)).await;
    for said in &words {
        assert!(
            said.is_empty() || said.contains("too-many-connections"),
            "{said}"
        );
    }
    assert!(words.iter().any(|said| !said.is_empty()));
    assert_eq!(
        metric(&server, "abide_connections_refused_total").await,
        200
    );
    for _ in 0..20 {
        assert_eq!(first.send("GET", "/health", &[], b"").await.status, 200);
    }
    drop(places);
    until(&server, "abide_connections", |count| count <= 3).await;
    is_served(&server, "later").await;
}

#[tokio::test]
async fn thousands_of_silent_connections_are_let_go() {
    raise_open_files_limit();
    let server = server_with(Config {
        header_read_timeout: Span::millis(300),
        ..config()
    })
    .await;
    let silent = crowd(server.addr(), 1_500).await;
    let mut dribbling = crowd(server.addr(), 500).await;
    for socket in &mut dribbling {
        socket.write_all(b"POST /v1/tally/x/add HT").await.unwrap();
    }
    is_served(&server, "among-the-silent").await;
    for said in join_all(silent.into_iter().chain(dribbling).map(last_words)).await {
        assert_eq!(said, "");
    }
    is_served(&server, "after-the-silent").await;
}

#[tokio::test]
async fn bodies_that_never_end_keep_nobody_waiting() {
    let server = server_with(Config {
        calls_max: 1,
        ..config()
    })
    .await;
    let head = b"POST /v1/tally/slow/add HTTP/1.1\r\nhost: x\r\nabide-deadline-ms: 300\r\n\
                 content-length: 100\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(server.addr()).await;
        client.write(head).await;
        slow.push(client);
    }
    // A body that has not come takes no place, though there is only one.
    is_served(&server, "quick").await;
    for mut client in slow {
        let answer = client.response().await.unwrap();
        answer.problem(408, "body-timeout");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_let_go() {
    let server = server_with(Config {
        keep_alive_timeout: Span::millis(300),
        header_read_timeout: Span::millis(300),
        ..config()
    })
    .await;
    // More than the buffers of both kernels hold.
    let name = "x".repeat(1 << 10);
    let whole =
        format!("GET /v1/tally/x/greet?name={name}&times=30000 HTTP/1.1\r\nhost: x\r\n\r\n");
    let streamed = "GET /v1/site/x/-/endless HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    for request in [whole, streamed] {
        let mut unreading = TcpStream::connect(server.addr()).await.unwrap();
        unreading.write_all(request.as_bytes()).await.unwrap();
        // Its first byte: the server is at it.
        unreading.read_exact(&mut [0]).await.unwrap();
        // What is left is the one that asks.
        until(&server, "abide_connections", |count| count == 1).await;
        drop(unreading);
    }
    is_served(&server, "after-the-unreading").await;
}

#[tokio::test]
async fn a_response_that_is_read_slowly_is_not_cut_off() {
    let server = server_with(Config {
        keep_alive_timeout: Span::millis(200),
        header_read_timeout: Span::millis(200),
        ..config()
    })
    .await;
    let mut client = Client::connect(server.addr()).await;
    client
        .write(b"GET /v1/site/x/-/slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let response = client.response().await.expect("all of it comes");
    assert_eq!(response.text(), "slow".repeat(6));
}

#[tokio::test]
async fn a_huge_url_and_a_huge_header_are_refused() {
    let server = server_with(Config {
        header_size_max: Size::mib(1),
        ..config()
    })
    .await;
    let url = format!("/v1/tally/{}/add", "x".repeat(70_000));
    assert_eq!(
        send(server.addr(), "POST", &url, &[], b"").await.status,
        414
    );
    let huge = "x".repeat(2 << 20);
    let mut client = Client::connect(server.addr()).await;
    let head = format!("GET /health HTTP/1.1\r\nhost: x\r\nx-huge: {huge}\r\n\r\n");
    client.write(head.as_bytes()).await;
    // The answer, or a reset that overtook it: the client was still sending.
    if let Some(answer) = client.response().await {
        assert_eq!(answer.status, 431);
    }
    is_served(&server, "after-the-huge").await;
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    let server = server_with(config()).await;
    let mut client = Client::connect(server.addr()).await;
    let head = "POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-length: 1000000000000\r\n\r\n";
    client.write(head.as_bytes()).await;
    let answer = client.response().await.unwrap();
    answer.problem(413, "body-too-large");
}

#[tokio::test]
async fn a_flood_of_pipelined_requests_is_answered_in_order_beside_others() {
    let server = server_with(config()).await;
    let mut flood = Client::connect(server.addr()).await;
    let one = "POST /v1/tally/piped/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
               content-length: 8\r\n\r\n{\"by\":1}";
    flood.write(one.repeat(500).as_bytes()).await;
    is_served(&server, "beside-the-flood").await;
    for count in 1..=500 {
        assert_eq!(flood.response().await.unwrap().json(), count);
    }
}

#[tokio::test]
async fn a_flood_of_frames_from_a_client_that_does_not_read_is_held_back_and_given_up() {
    let server = server_with(Config {
        outbound_queue_max: Size::kib(128),
        frame_size_max: Size::kib(64),
        ping_interval: Span::millis(200),
        ping_timeout: Span::secs(4),
        ..config()
    })
    .await;
    let mut other = Socket::enter(server.addr(), "/v1/room/flooded").await;
    let mut flood = Socket::enter(server.addr(), "/v1/room/flooded").await;
    let frame = "x".repeat(60_000);
    // The room sends each back, so no more are read than can be answered.
    let sending = async { while flood.0.send(Message::text(frame.clone())).await.is_ok() {} };
    // This one does read.
    let reading = async {
        loop {
            assert!(other.0.next().await.unwrap().unwrap().is_ping());
        }
    };
    let left = door("left flooded");
    let flooding = async { tokio::join!(sending, left.arrived()) };
    tokio::select! {
        _ = flooding => {}
        () = reading => {}
    }
    let codes = get(server.addr(), "/v1/room/flooded/left").await;
    assert_eq!(codes.json(), serde_json::json!([1_006]));
    other.say("still here").await;
    assert_eq!(other.text().await, "still here");
    is_served(&server, "after-the-frames").await;
}

#[tokio::test]
async fn one_hot_object_leaves_the_others_alone() {
    let server = server_with(Config {
        mailbox_max: 4,
        calls_max: 8,
        ..config()
    })
    .await;
    let mut hot = Vec::new();
    for _ in 0..50 {
        hot.push(waiting(&server, "hot").await);
    }
    door("hot").arrived().await;
    // More callers of the hot object than there are places, and the others have them all the same.
    for number in 0..20 {
        is_served(&server, &format!("cool-{number}")).await;
    }
    for _ in 0..50 {
        door("hot").open();
    }
    let (mut served, mut refused) = (0, 0);
    for mut client in hot {
        let answer = client.response().await.unwrap();
        if answer.status == 200 {
            served += 1;
        } else {
            answer.problem(503, "overloaded");
            refused += 1;
        }
    }
    assert!(served >= 5, "one at the door and four in the mailbox");
    assert!(refused >= 1);
}

#[tokio::test]
async fn calls_beyond_the_places_wait_in_line_and_are_refused_in_the_end() {
    let server = server_with(Config {
        calls_max: 2,
        ..config()
    })
    .await;
    let mut first = waiting(&server, "place-one").await;
    let mut second = waiting(&server, "place-two").await;
    door("place-one").arrived().await;
    door("place-two").arrived().await;
    let mut third = waiting(&server, "in-line").await;
    // A busy machine may let the half second in line pass before anybody looks: once more, then.
    let mut too_slow = 0;
    loop {
        tokio::select! {
            biased;
            () = until(&server, "abide_calls_in_line", |count| count == 1) => break,
            refused = third.response() => drop(refused.unwrap().problem(503, "server-busy")),
        }
        too_slow += 1;
        third = waiting(&server, "in-line").await;
    }
    door("place-one").open();
    let arrived = door("in-line");
    tokio::select! {
        biased;
        () = arrived.arrived() => {}
        refused = third.response() => {
            refused.unwrap().problem(503, "server-busy");
            too_slow += 1;
            third = waiting(&server, "in-line").await;
            arrived.arrived().await;
        }
    }
    assert_eq!(first.response().await.unwrap().json(), 1);

    let mut fourth = waiting(&server, "too-late").await;
    let refused = fourth.response().await.unwrap();
    refused.problem(503, "server-busy");
    assert_eq!(refused.json()["retry_after_ms"], 1_000);
    let refused = metric(&server, "abide_calls_refused_total").await;
    assert_eq!(refused, too_slow + 1);
    // What is no call is served without a place.
    assert_eq!(get(server.addr(), "/health").await.status, 200);
    door("place-two").open();
    door("in-line").open();
    assert_eq!(second.response().await.unwrap().json(), 1);
    assert_eq!(third.response().await.unwrap().json(), 1);
}

#[tokio::test]
async fn bodies_beyond_the_memory_are_refused() {
    let server = server_with(Config {
        memory_max: Size::mib(4),
        ..config()
    })
    .await;
    let head = "POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    let most = vec![b' '; 900_000];
    let mut unfinished = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(server.addr()).await;
        client.write(head.as_bytes()).await;
        client.write(&most).await;
        unfinished.push(client);
    }
    until(&server, "abide_memory_refused_total", |count| count > 0).await;
    until(&server, "abide_memory_used_bytes", |bytes| bytes > 3 << 20).await;
    // Those that were refused hold nothing any more, so memory is free as soon as the others go.
    drop(unfinished);
    until(&server, "abide_memory_used_bytes", |bytes| bytes < 1 << 20).await;
    is_served(&server, "after-the-bodies").await;
}

/// Whether the session is still served.
async fn is_answered(socket: &mut Socket) {
    socket.say("still here").await;
    assert_eq!(socket.text().await, "still here");
}

#[tokio::test]
async fn a_session_that_floods_is_closed_with_1008_and_no_other() {
    let server = server_with(Config {
        session_rate_max: 10,
        session_burst_max: 50,
        ..config()
    })
    .await;
    let mut other = Socket::enter(server.addr(), "/v1/room/rate").await;
    let mut flood = Socket::enter(server.addr(), "/v1/room/rate").await;
    for number in 0..200 {
        flood
            .0
            .feed(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    flood.0.flush().await.unwrap();
    let mut answered = 0;
    let close = loop {
        match flood.next().await {
            Message::Close(close) => break close.unwrap(),
            Message::Text(text) => {
                assert_eq!(text, answered.to_string());
                answered += 1;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(close.code), 1008);
    assert_eq!(
        close.reason,
        "more than 10 messages a second, or 50 at once"
    );
    // Those within the burst, and those of the time it took.
    assert!((50..200).contains(&answered), "{answered}");
    is_answered(&mut other).await;
    // It may come again; what it may send is then whole.
    is_answered(&mut Socket::enter(server.addr(), "/v1/room/rate").await).await;
}

#[tokio::test]
async fn what_is_answered_below_the_object_counts_too() {
    let server = server_with(Config {
        session_rate_max: 1,
        session_burst_max: 3,
        ..config()
    })
    .await;
    let mut flood = Socket::enter(server.addr(), "/v1/room/auto-rate").await;
    for _ in 0..20 {
        flood.0.feed(Message::text("ping")).await.unwrap();
    }
    flood.0.flush().await.unwrap();
    assert_eq!(u16::from(flood.closed().await.code), 1008);
}

#[tokio::test]
async fn an_actor_chooses_the_rate_of_a_session() {
    let server = server_with(Config {
        session_rate_max: 1,
        session_burst_max: 1,
        ..config()
    })
    .await;
    // Once unbounded, once bounded more than others.
    let mut free = Socket::enter(server.addr(), "/v1/room/chosen?rate=0&burst=0").await;
    for _ in 0..100 {
        is_answered(&mut free).await;
    }
    let mut bounded = Socket::enter(server.addr(), "/v1/room/chosen?rate=1&burst=4").await;
    for _ in 0..4 {
        is_answered(&mut bounded).await;
    }
    for _ in 0..8 {
        bounded.0.feed(Message::text("more")).await.unwrap();
    }
    bounded.0.flush().await.unwrap();
    let close = bounded.closed().await;
    assert_eq!(close.reason, "more than 1 messages a second, or 4 at once");
    is_answered(&mut free).await;
}
