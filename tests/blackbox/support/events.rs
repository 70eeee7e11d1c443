//! A client of server-sent events that shows what came, as it came.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// One stream, client's side.
pub(crate) struct EventStream {
    pub(crate) socket: TcpStream,
    pub(crate) head: String,
    /// What a client would resume from that has got no frame.
    pub(crate) welcome_id: String,
    /// Bytes of the body as they are on the wire: in chunks.
    wire: Vec<u8>,
    /// Text that no event was made of yet.
    text: String,
    /// The last chunk has come.
    is_over: bool,
}

/// What was between two empty lines.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    /// Nothing but a comment.
    pub(crate) is_comment: bool,
}

impl EventStream {
    /// Opens a stream, checks its head, and reads the two blocks that are always first.
    pub(crate) async fn enter(to: SocketAddr, path: &str) -> Self {
        let (mut stream, welcome) = Self::enter_with(to, path, &[]).await;
        assert_eq!(welcome["resumed"], false);
        assert_eq!(stream.event().await.data, "welcome");
        stream
    }

    /// The same with more headers; reads no frame, shows the welcome.
    pub(crate) async fn enter_with(
        to: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Self, serde_json::Value) {
        let socket = TcpStream::connect(to).await.unwrap();
        Self::over(socket, path, headers).await
    }

    /// Over a socket that a test has made to its liking.
    pub(crate) async fn over(
        mut socket: TcpStream,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Self, serde_json::Value) {
        let mut request =
            format!("GET {path} HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self {
            socket,
            head: String::new(),
            welcome_id: String::new(),
            wire: Vec::new(),
            text: String::new(),
            is_over: false,
        };
        let end = loop {
            if let Some(at) = stream.wire.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(stream.read().await, "the server answers");
        };
        stream.head = String::from_utf8(stream.wire.drain(..end).collect()).unwrap();
        assert!(stream.head.starts_with("HTTP/1.1 200"), "{}", stream.head);
        assert!(stream.head.contains("content-type: text/event-stream\r\n"));
        let retry = stream.block().await.unwrap();
        assert_eq!(retry.retry.as_deref(), Some("1000"));
        let welcome = stream.block().await.unwrap();
        assert_eq!(welcome.name, "welcome");
        stream.welcome_id = welcome.id.unwrap();
        (stream, serde_json::from_str(&welcome.data).unwrap())
    }

    /// The next event that is no comment.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("the stream goes on");
            if !block.is_comment {
                return block;
            }
        }
    }

    /// The next block, of whatever kind; `None` when the stream has ended as it should.
    pub(crate) async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(parse(&block));
            }
            if self.is_over {
                assert_eq!(self.text, "", "the stream ended within an event");
                return None;
            }
            if !self.chunk() {
                assert!(self.read().await, "the stream broke off");
            }
        }
    }

    /// Takes one chunk off the wire, if there is one whole.
    fn chunk(&mut self) -> bool {
        let Some(line) = self.wire.windows(2).position(|w| w == b"\r\n") else {
            return false;
        };
        let size = std::str::from_utf8(&self.wire[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let end = line + 2 + size + 2;
        if self.wire.len() < end {
            return false;
        }
        let chunk: Vec<u8> = self.wire.drain(..end).collect();
        self.text
            .push_str(std::str::from_utf8(&chunk[line + 2..end - 2]).unwrap());
        self.is_over = size == 0;
        true
    }

    async fn read(&mut self) -> bool {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.wire)).await;
        read.expect("the server says something or closes")
            .unwrap_or(0)
            > 0
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    let mut data: Vec<&str> = Vec::new();
    let mut is_comment = true;
    for line in block.trim_end_matches('\n').split('\n') {
        let (field, value) = line.split_once(':').expect("every line has a colon");
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => continue,
            "data" => data.push(value),
            "event" => event.name = value.to_owned(),
            "id" => event.id = Some(value.to_owned()),
            "retry" => event.retry = Some(value.to_owned()),
            other => panic!("unknown field {other}"),
        }
        is_comment = false;
    }
    event.data = data.join("\n");
    event.is_comment = is_comment;
    event
}
