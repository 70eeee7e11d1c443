//! The commands' way to a running server: small requests to its listener for operators.
//!
//! One connection per request, because a command makes few. What is not known stays told as not
//! known: a connection that breaks after the request was sent is [`AdminError::AnswerLost`].

mod error;
mod lines;

use std::io;
use std::time::Duration;

use abide_actors::{TaskKind, Tasks};
use bytes::{Bytes, BytesMut};
use http::uri::Authority;
use http::{Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use error::AdminError;
pub(crate) use lines::Lines;
use lines::next_chunk;

use crate::protocol::Refused;

/// Longest wait for a connection. A listener on this machine or a near one answers at once.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest silence of the server; work that takes longer tells how far it is. One object is done sooner,
/// unless it waits for others that are on their way: then it is given up, and its outcome unknown.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Largest answer that comes whole; the largest is one object.
const ANSWER_SIZE_MAX_BYTES: usize = 1 << 30;

/// The way to one server.
#[derive(Debug)]
pub(crate) struct AdminClient {
    authority: Authority,
}

impl AdminClient {
    /// For the server whose listener for operators has this address: `http://host:port`.
    pub(crate) fn new(url: &str) -> Result<Self, AdminError> {
        let invalid = || AdminError::InvalidUrl {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_invalid| invalid())?;
        // No encryption here: a listener elsewhere is reached through a tunnel of one's own.
        let is_plain = uri.scheme_str().is_none_or(|scheme| scheme == "http");
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        match uri.authority() {
            Some(authority) if is_plain && is_bare => Ok(Self {
                authority: authority.clone(),
            }),
            _ => Err(invalid()),
        }
    }

    /// Asks for an answer that comes in lines.
    pub(crate) async fn lines<I: DeserializeOwned, E: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Lines<I, E>, AdminError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        Ok(Lines::of(&self.authority, response))
    }

    /// Changes something that takes its time: the answer comes in lines.
    pub(crate) async fn change_in_lines<B, I, E>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<Lines<I, E>, AdminError>
    where
        B: Serialize,
        I: DeserializeOwned,
        E: DeserializeOwned,
    {
        let response = self.send(method, path, encode(body)).await?;
        Ok(Lines::of(&self.authority, response))
    }

    /// Asks for one value.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_ours(error.to_string()))
    }

    /// Asks for one text, as it is.
    pub(crate) async fn text(&self, path: &str) -> Result<String, AdminError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let body = self.whole(response).await?;
        String::from_utf8(body.into()).map_err(|error| self.not_ours(error.to_string()))
    }

    /// Changes something, and says what came of it.
    pub(crate) async fn change<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, AdminError> {
        self.change_with(method, path, encode(body)).await
    }

    /// The same with a body that is JSON already.
    pub(crate) async fn change_with<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, AdminError> {
        let response = self.send(method, path, body).await?;
        let body = self.whole(response).await?;
        // A success, and not of what: it may have been this.
        serde_json::from_slice(&body).map_err(|error| self.lost(error))
    }

    /// One request; an answer that is no success is an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, AdminError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_invalid| AdminError::InvalidUrl {
                url: path.to_owned(),
            })?;
        let socket = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| self.lost(error))?;
        // It ends with the answer, or with whoever waits for it.
        Tasks::default().spawn(TaskKind::Object, "admin client", async move {
            drop(connection.await);
        });
        let response = timeout(SILENCE_MAX, sender.send_request(request))
            .await
            .map_err(|elapsed| self.lost(elapsed))?
            .map_err(|error| self.lost(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.whole(response).await?;
        match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => Err(refused.into()),
            // A proxy, which may have passed the request on.
            Err(_) if status.is_server_error() => Err(self.lost(format!("it answered {status}"))),
            Err(_) => Err(self.not_ours(format!("it answered {status}"))),
        }
    }

    async fn connect(&self) -> Result<TcpStream, AdminError> {
        let host = self.authority.host();
        // A literal of IPv6 wears brackets in a URL only.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(80);
        let connecting = timeout(CONNECT_MAX, TcpStream::connect((host, port)));
        connecting
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| AdminError::NoServer {
                authority: self.authority.to_string(),
                source,
            })
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, AdminError> {
        let mut body = response.into_body();
        let mut whole = BytesMut::new();
        while let Some(chunk) = next_chunk(&mut body, &self.authority).await? {
            if whole.len() + chunk.len() > ANSWER_SIZE_MAX_BYTES {
                let found = format!("its answer is larger than {ANSWER_SIZE_MAX_BYTES} bytes");
                return Err(self.not_ours(found));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    fn lost(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AdminError {
        AdminError::lost(&self.authority, source)
    }

    fn not_ours(&self, found: String) -> AdminError {
        AdminError::not_ours(&self.authority, found)
    }
}

fn encode<B: Serialize>(body: &B) -> Bytes {
    let bytes = serde_json::to_vec(body).expect("a request has string keys only");
    bytes.into()
}

/// What a path segment or a value of a query may hold as it is (RFC 3986, unreserved).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Any text as one segment of a path, or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::{AdminClient, segment};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for right in ["http://127.0.0.1:7879", "http://[::1]:1/", "localhost:7879"] {
            assert!(AdminClient::new(right).is_ok(), "{right}");
        }
        for wrong in ["https://a:1", "http://a:1/v1", "", "/x", "http://a:1/?q"] {
            let error = AdminClient::new(wrong).unwrap_err();
            assert!(error.to_string().contains("write http://"), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_one_segment_whatever_it_holds() {
        assert_eq!(segment("a/b c%é?"), "a%2Fb%20c%25%C3%A9%3F");
    }
}
