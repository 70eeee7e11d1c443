//! Clients that come, call once, and have only so much patience.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::second::Second;
use crate::calls::{Connection, connect, describe};
use crate::options::{Options, Overload};

/// What all clients send.
pub(super) struct Plan {
    server: String,
    paths: Vec<Uri>,
    arguments: Bytes,
    pub(super) patience: Duration,
    /// Whether the server is told how long its client waits.
    tells: bool,
    /// Calls that may be open at one time: a bound on sockets.
    open_max: usize,
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
            open_max: overload.clients as usize,
        })
    }
}

/// The clients of one phase.
pub(super) struct Clients {
    plan: Rc<Plan>,
    start: Instant,
    pub(super) seconds: RefCell<Vec<Second>>,
    /// Connections whose call has ended well, for whoever comes next.
    idle: RefCell<Vec<Connection>>,
    open: Cell<usize>,
}

impl Clients {
    pub(super) fn new(plan: Rc<Plan>, seconds: usize) -> Rc<Self> {
        Rc::new(Self {
            plan,
            start: Instant::now(),
            seconds: RefCell::new((0..seconds).map(|_| Second::default()).collect()),
            idle: RefCell::default(),
            open: Cell::new(0),
        })
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// So many clients, each with one call after the other until the end.
    pub(super) async fn closed_loop(self: Rc<Self>, count: usize, end: Instant) {
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let clients = self.clone();
            tasks.spawn_local(async move {
                let mut call = number;
                while Instant::now() < end {
                    clients.step(call, Instant::now()).await;
                    call += 1;
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// A new client at each moment, whatever has become of those before.
    pub(super) async fn open_loop(self: Rc<Self>, rate: f64, end: Instant) {
        let mut tasks = JoinSet::new();
        for call in 0_u32.. {
            let due = self.start + Duration::from_secs_f64(f64::from(call) / rate);
            if due >= end {
                break;
            }
            sleep_until(due).await;
            let clients = self.clone();
            tasks.spawn_local(async move { clients.step(call as usize, due).await });
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    /// One call that was due at that moment, with its place in the books.
    async fn step(&self, call: usize, due: Instant) {
        let second = usize::try_from((due - self.start).as_secs()).unwrap_or(usize::MAX);
        self.note(second, |second| second.begin(due.elapsed()));
        let give_up = due + self.plan.patience;
        // Too late by the driver's own doing, or for want of sockets: never sent.
        let outcome = if self.open.get() >= self.plan.open_max || Instant::now() >= give_up {
            Err("unsent".to_owned())
        } else {
            self.open.set(self.open.get() + 1);
            let answered = timeout_at(give_up, self.call(call)).await;
            self.open.set(self.open.get() - 1);
            // Dropping the call has closed its connection.
            answered.unwrap_or_else(|_elapsed| Err("gave-up".to_owned()))
        };
        self.note(second, |second| second.end(due.elapsed(), outcome));
    }

    fn note(&self, second: usize, what: impl FnOnce(&mut Second)) {
        if let Some(second) = self.seconds.borrow_mut().get_mut(second) {
            what(second);
        }
    }

    async fn call(&self, call: usize) -> Result<(), String> {
        let plan = &self.plan;
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) if !connection.requests.is_closed() => connection,
            _ => connect(&plan.server)
                .await
                .map_err(|_| "no-connection".to_owned())?,
        };
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
        self.idle.borrow_mut().push(connection);
        if status.is_success() {
            return Ok(());
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = problem["code"].as_str();
        Err(code.map_or_else(|| format!("status-{}", status.as_u16()), str::to_owned))
    }
}
