//! One connection: hyper, the routes, the request ids, and an end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::{Request, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::app::App;
use super::patience::{AcknowledgedWithin, Busy, Patience, Watched};
use crate::problem::Problem;
use crate::protocol::{REQUEST_ID, RequestId};

/// Bound of hyper's buffers: what one read or one write of a body is at most.
const BUFFER_SIZE_MAX_BYTES: usize = 64 << 10;

/// What an open connection costs while it speaks HTTP: its task and hyper's buffers.
const CONNECTION_BYTES: usize = 16 << 10;

/// Serves one connection until either side ends it, its patience runs out, or it is stopped and
/// its last request has finished.
pub(crate) async fn serve(
    socket: TcpStream,
    place: OwnedSemaphorePermit,
    router: Router,
    app: Arc<App>,
    stop: CancellationToken,
) {
    let mut held = app.runtime.memory().charge();
    held.add(CONNECTION_BYTES);
    let patience = Patience::new(&app.config);
    let io = TokioIo::new(Watched::new(socket, patience.clone(), place));
    let service = service_fn(|request: Request<Incoming>| {
        let id = RequestId::of(request.headers(), || app.clock.now());
        answer(router.clone(), request, id, patience.begin(), &app)
    });
    let header_size_max = app.config.header_size_max.as_usize();
    let connection = http1::Builder::new()
        .max_header_size(header_size_max)
        .max_buf_size(header_size_max.max(BUFFER_SIZE_MAX_BYTES))
        // `Patience` does this, with one timer for the whole connection.
        .header_read_timeout(None)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut exhausted = pin!(patience.exhausted());
    let mut shutting_down = false;
    loop {
        tokio::select! {
            biased; // the work first: the others matter only while it waits
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection broke off");
                }
                break;
            }
            () = stop.cancelled(), if !shutting_down => {
                shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut exhausted => break,
        }
    }
    app.metrics.connection_closed();
}

/// One request through the routes. Whatever comes back, a response or a problem, carries the id.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    id: RequestId,
    busy: Busy,
    app: &App,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(id.clone());
    let Ok(mut response) = router.call(request.map(Body::new)).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // The router says which methods it takes on the carrier. Its other headers describe the
        // carrier's empty body.
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.respond(&id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    response.headers_mut().insert(REQUEST_ID, id.header());
    app.metrics.request_answered(response.status());
    if let Some(within) = response.extensions_mut().remove::<AcknowledgedWithin>() {
        busy.require_acknowledgements(within);
    }
    if response.body().size_hint().exact().is_none() {
        // Streamed: the connection is busy until the last piece has been handed over.
        response = response.map(|body| Body::new(Streamed { body, _busy: busy }));
    }
    Ok(response)
}

/// A body that keeps its connection busy.
struct Streamed {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
