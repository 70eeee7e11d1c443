//! One client: a connection, one call at a time, and only so much patience.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Seconds;
use crate::calls::{Connection, connect, describe};
use crate::options::{Options, Overload};

/// What all clients send.
pub(super) struct Plan {
    server: String,
    paths: Vec<Uri>,
    arguments: Bytes,
    patience: Duration,
    /// Whether the server is told how long its client waits.
    tells: bool,
}

impl Plan {
    pub(super) fn of(options: &Options, overload: &Overload) -> anyhow::Result<Self> {
        let path = |number| {
            let object = options.object(number);
            let path = format!("/v1/{}/{object}/{}", overload.namespace, overload.method);
            path.parse().with_context(|| format!("'{path}' is no path"))
        };
        Ok(Self {
            server: options.server.clone(),
            paths: (0..options.objects)
                .map(path)
                .collect::<anyhow::Result<_>>()?,
            arguments: overload.arguments.clone().into(),
            patience: overload.patience,
            tells: !overload.silent,
        })
    }
}

pub(super) struct Client {
    plan: Rc<Plan>,
    seconds: Seconds,
    start: Instant,
    connection: Option<Connection>,
}

impl Client {
    pub(super) fn new(plan: Rc<Plan>, seconds: Seconds, start: Instant) -> Self {
        Self {
            plan,
            seconds,
            start,
            connection: None,
        }
    }

    /// One call after the other, until the end.
    pub(super) async fn closed_loop(mut self, number: u32, end: Instant) {
        let mut call = number as usize;
        while Instant::now() < end {
            self.step(call, Instant::now()).await;
            call += 1;
        }
    }

    /// This client's share of calls at a rate, each at its moment or as soon after it as the one
    /// before has ended.
    pub(super) async fn open_loop(mut self, number: u32, clients: u32, rate: f64, end: Instant) {
        for call in (u64::from(number)..).step_by(clients as usize) {
            let due = self.start + Duration::from_secs_f64(call as f64 / rate);
            if due >= end {
                return;
            }
            sleep_until(due).await;
            let path = usize::try_from(call).unwrap_or_default();
            self.step(path, due).await;
        }
    }

    /// One call that was due at that moment, with its place in the books.
    async fn step(&mut self, call: usize, due: Instant) {
        let second = usize::try_from((due - self.start).as_secs()).unwrap_or(usize::MAX);
        if let Some(second) = self.seconds.borrow_mut().get_mut(second) {
            second.begin();
        }
        let give_up = due + self.plan.patience;
        let outcome = if Instant::now() >= give_up {
            // The connection was busy all the time; nothing was sent.
            Err("unsent".to_owned())
        } else {
            match timeout_at(give_up, self.call(call)).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => {
                    self.connection = None;
                    Err("gave-up".to_owned())
                }
            }
        };
        if let Some(second) = self.seconds.borrow_mut().get_mut(second) {
            second.end(due.elapsed(), outcome);
        }
    }

    async fn call(&mut self, call: usize) -> Result<(), String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.requests.is_closed() => connection,
            _ => connect(&self.plan.server)
                .await
                .map_err(|_| "no-connection".to_owned())?,
        };
        let plan = &self.plan;
        let path = plan.paths[call % plan.paths.len()].clone();
        let mut request = Request::post(path).header("host", &plan.server);
        if plan.tells {
            let millis = plan.patience.as_millis().to_string();
            request = request.header("abide-deadline-ms", millis);
        }
        if !plan.arguments.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(plan.arguments.clone()))
            .map_err(describe)?;
        let sent = async {
            connection.requests.ready().await?;
            let response = connection.requests.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            hyper::Result::Ok((status, body))
        };
        let (status, body) = sent.await.map_err(|_| "broken-off".to_owned())?;
        self.connection = Some(connection);
        if status.is_success() {
            return Ok(());
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = problem["code"].as_str();
        Err(code.map_or_else(|| format!("status-{}", status.as_u16()), str::to_owned))
    }
}
