//! Calls by HTTP on kept-alive connections.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::options::{Calls, Options};
use crate::process;
use crate::recorder::Recorder;
use crate::schedule::{Due, Schedule};

/// How long a lane waits before it tries a broken connection again.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

/// Runs the scenario to its end.
///
/// # Errors
/// When the server cannot be reached at the start; later failures are counted.
pub(crate) async fn run(options: &Options, calls: &Calls) -> anyhow::Result<Outcome> {
    let recorder = Rc::new(Recorder::new());
    let paths: Rc<[Uri]> = (0..options.objects)
        .map(|number| {
            let object = options.object(number);
            let path = format!("/v1/{}/{object}/{}", calls.namespace, calls.method);
            path.parse().with_context(|| format!("'{path}' is no path"))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut connections = Vec::new();
    for _ in 0..calls.connections {
        connections.push(connect(&options.server).await?);
    }
    let schedule = Schedule::starting_now(options, calls.connections);
    let usage = process::watch(options, schedule)?;
    let mut lanes = JoinSet::new();
    for (number, connection) in (0..).zip(connections) {
        let lane = Lane {
            server: options.server.clone(),
            paths: paths.clone(),
            arguments: calls.arguments.clone().into(),
            schedule,
            recorder: recorder.clone(),
            connection,
        };
        lanes.spawn_local(lane.run(number));
    }
    while let Some(ended) = lanes.join_next().await {
        ended.context("a lane panicked")?;
    }
    Ok(Outcome {
        recorder,
        usage: usage.await.context("the watch panicked")??,
    })
}

/// One connection and its share of the calls, one at a time.
struct Lane {
    server: String,
    paths: Rc<[Uri]>,
    arguments: Bytes,
    schedule: Schedule,
    recorder: Rc<Recorder>,
    connection: Connection,
}

/// The task drives the socket and ends when the connection does or is dropped.
pub(crate) struct Connection {
    pub(crate) requests: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Lane {
    async fn run(mut self, number: u32) {
        let schedule = self.schedule;
        // Each connection's calls walk over all objects, each connection from its own.
        for (call, due) in (number as usize..).zip(schedule.of_lane(number)) {
            let late = schedule.wait(due).await;
            self.recorder.started(due, late, 1);
            let path = self.paths[call % self.paths.len()].clone();
            if let Err(failure) = self.call(path, due).await {
                self.recorder.failed(failure);
            }
        }
    }

    async fn call(&mut self, path: Uri, due: Due) -> Result<(), String> {
        if self.connection.requests.ready().await.is_err() {
            self.reconnect().await?;
        }
        let mut request = Request::post(path).header("host", &self.server);
        if !self.arguments.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(self.arguments.clone()))
            .map_err(describe)?;
        let response = self
            .connection
            .requests
            .send_request(request)
            .await
            .map_err(describe)?;
        let status = response.status();
        // The reply is there when its last byte is.
        response.into_body().collect().await.map_err(describe)?;
        if !status.is_success() {
            return Err(format!("status {}", status.as_u16()));
        }
        if due.measured {
            self.recorder.completed(self.schedule.since(due.after));
        }
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), String> {
        match connect(&self.server).await {
            Ok(connection) => self.connection = connection,
            Err(error) => {
                tokio::time::sleep(RECONNECT_AFTER).await;
                return Err(format!("{error:#}"));
            }
        }
        Ok(())
    }
}

pub(crate) async fn connect(server: &str) -> anyhow::Result<Connection> {
    let unreachable = || format!("no connection to {server}");
    let socket = TcpStream::connect(server).await.with_context(unreachable)?;
    socket.set_nodelay(true)?;
    // A close is a reset, which leaves no port waiting: a run may close more than there are.
    socket.set_zero_linger()?;
    let (requests, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .with_context(unreachable)?;
    let mut driver = JoinSet::new();
    // How it ends is told to the call it carries.
    driver.spawn_local(async move { drop(connection.await) });
    Ok(Connection {
        requests,
        _driver: driver,
    })
}

pub(crate) fn describe(error: impl std::fmt::Display) -> String {
    error.to_string()
}
