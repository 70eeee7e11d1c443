//! HTTP/1.1 with kept-alive connections; one attempt of one request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::{CallError, Cause, InvalidAddress};
use crate::problem::Problem;

/// Largest answer that is read; the largest setting of a server's `body_size_max`.
const ANSWER_SIZE_MAX_BYTES: usize = 64 << 20;

/// A connection that was idle for longer is not used again. Below the server's default of
/// `keep_alive_timeout`, 75 s, so that a request rarely meets a connection that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// The connections to a server.
#[derive(Debug, Clone)]
pub(crate) struct Transport(legacy::Client<Connector, Full<Bytes>>);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    pub(crate) fn new() -> Result<Self, InvalidAddress> {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector()?);
        Ok(Self(client))
    }

    /// Sends it once; the body of a success, or why there is none.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Bytes, CallError> {
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing
            .url
            .parse()
            .map_err(|error| CallError::Arguments(Cause::from(error)))?;
        *request.headers_mut() = outgoing.headers;
        let response = self.0.request(request).await.map_err(|error| {
            if error.is_connect() {
                CallError::Unreachable(error.into())
            } else {
                CallError::Lost(error.into())
            }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX_BYTES);
        let body = body.collect().await.map_err(CallError::Lost)?.to_bytes();
        answer(status, body)
    }
}

fn answer(status: StatusCode, body: Bytes) -> Result<Bytes, CallError> {
    if status.is_success() {
        return Ok(body);
    }
    Err(match Problem::read(status.as_u16(), &body) {
        Some(problem) => CallError::Refused(Box::new(problem)),
        None => CallError::Unexpected {
            status: status.as_u16(),
        },
    })
}

#[cfg(not(feature = "tls"))]
fn connector() -> Result<Connector, InvalidAddress> {
    Ok(plain())
}

/// With `https://` too, and the certificates the system trusts.
#[cfg(feature = "tls")]
fn connector() -> Result<Connector, InvalidAddress> {
    let mut plain = plain();
    plain.enforce_http(false);
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| InvalidAddress::NoCertificates(error.to_string()))?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(plain))
}

fn plain() -> HttpConnector {
    let mut plain = HttpConnector::new();
    plain.set_nodelay(true);
    plain
}
