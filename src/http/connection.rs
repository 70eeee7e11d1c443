//! One connection: hyper, the routes, the request ids, and an end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service as _;

use super::app::App;
use super::patience::{Busy, Patience, Watched};
use crate::problem::Problem;
use crate::protocol::{REQUEST_ID, RequestId};

/// Serves one connection until either side ends it, its patience runs out, or the drain has let
/// its last request finish.
pub(crate) async fn serve(
    socket: TcpStream,
    place: OwnedSemaphorePermit,
    router: Router,
    app: Arc<App>,
) {
    let patience = Patience::new(&app.config);
    // A token of its own: waiting on the shared one would meet every other connection at its lock.
    let draining = app.draining.child_token();
    let io = TokioIo::new(Watched::new(socket, patience.clone(), place));
    let service = {
        let (app, patience) = (app.clone(), patience.clone());
        service_fn(move |request| {
            let id = RequestId::of(request.headers(), || app.clock.now());
            answer(router.clone(), request, id, patience.begin(), app.clone())
        })
    };
    let header_size_max = app.config.header_size_max.as_usize();
    let connection = http1::Builder::new()
        .max_headers(app.config.header_count_max)
        .max_header_size(header_size_max)
        .max_buf_size(header_size_max.max(BUFFER_SIZE_MAX_BYTES))
        // `Patience` does this, with one timer for the whole connection.
        .header_read_timeout(None)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut exhausted = pin!(patience.exhausted());
    loop {
        tokio::select! {
            biased; // the work first: the others matter only while it waits
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection broke off");
                }
                break;
            }
            () = draining.cancelled(), if !draining_seen(&connection_state) => {}
            () = &mut exhausted => break,
        }
    }
    app.metrics.connection_closed();
}
