//! An HTTP/1.1 client that sends exactly what it is told and shows exactly what came.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// One connection.
pub(crate) struct Client {
    socket: TcpStream,
    received: Vec<u8>,
}

/// What became of bytes that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    All,
    /// The server closed before it had read them.
    NotAll,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One request on a connection of its own.
pub(crate) async fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    Client::connect(to)
        .await
        .send(method, path, headers, body)
        .await
}

/// A GET on a connection of its own.
pub(crate) async fn get(to: SocketAddr, path: &str) -> Response {
    send(to, "GET", path, &[], b"").await
}

/// A POST of JSON on a connection of its own.
pub(crate) async fn post(to: SocketAddr, path: &str, json: &str) -> Response {
    send(
        to,
        "POST",
        path,
        &[("content-type", "application/json")],
        json.as_bytes(),
    )
    .await
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(to).await.unwrap(),
            received: Vec::new(),
        }
    }

    /// One request and its response; the connection stays open for the next.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: test\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(&[head.as_bytes(), body].concat()).await;
        self.response_to(method)
            .await
            .expect("the server answers before it closes")
    }

    /// Any bytes; whether the server took them all.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Taken {
        let written = timeout(PATIENCE, self.socket.write_all(bytes)).await;
        match written.expect("the server reads or closes") {
            Ok(()) => Taken::All,
            Err(_) => Taken::NotAll,
        }
    }

    /// Waits until these bytes have come; they stay to be read.
    pub(crate) async fn until(&mut self, wanted: &[u8]) {
        while find(&self.received, wanted).is_none() {
            assert!(self.read().await > 0, "closed before it came");
        }
    }

    /// The next response; `None` when the server closes instead.
    pub(crate) async fn response(&mut self) -> Option<Response> {
        self.response_to("GET").await
    }

    async fn response_to(&mut self, method: &str) -> Option<Response> {
        let head_end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            if self.read().await == 0 {
                return None;
            }
        };
        let head = String::from_utf8(self.received.drain(..head_end).collect()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        let bodiless = method == "HEAD" || status == 304 || status < 200;
        response.body = match (
            bodiless,
            response.header("content-length"),
            response.header("transfer-encoding"),
        ) {
            (true, ..) => Vec::new(),
            (_, Some(size), _) => self.take(size.parse().unwrap()).await?,
            (_, _, Some("chunked")) => self.chunks().await?,
            _ => {
                while self.read().await > 0 {}
                std::mem::take(&mut self.received)
            }
        };
        Some(response)
    }

    /// Whether the server has closed the connection, with nothing more to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.received.is_empty() && self.read().await == 0
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(at) = find(&self.received, b"\r\n") {
                    break at;
                }
                if self.read().await == 0 {
                    return None;
                }
            };
            let line: Vec<u8> = self.received.drain(..line_end + 2).collect();
            let size =
                usize::from_str_radix(std::str::from_utf8(&line[..line_end]).unwrap(), 16).unwrap();
            let chunk = self.take(size + 2).await?;
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        while self.received.len() < size {
            if self.read().await == 0 {
                return None;
            }
        }
        Some(self.received.drain(..size).collect())
    }

    /// A reset counts as a close: both end what can be read.
    async fn read(&mut self) -> usize {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.received)).await;
        read.expect("the server answers or closes").unwrap_or(0)
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that this is a problem with this status and code, and that it is consistent in
    /// itself; returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(
            (self.status, body["code"].as_str()),
            (status, Some(code)),
            "{body:#}"
        );
        assert_eq!(body["status"], status);
        let id = self
            .header("x-request-id")
            .expect("every response has a request id");
        assert_eq!(body["instance"], format!("/requests/{id}"));
        body["detail"].as_str().unwrap().to_owned()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
