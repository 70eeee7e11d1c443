//! Builds the components bottom-up, stops them top-down.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use abide_actors::{Actor, ActorKind, Clock, Kind, Limits, MessageRate, Runtime, TaskKind, Tasks};
use abide_storage::{EngineKind, LogStore, MemoryStore, Options, Store};
use clap::Parser as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::assets::{Asset, Site};
use crate::cli::{Cli, Task};
use crate::config::{Config, Engine};
use crate::error::{Error, Result};
use crate::http::{self, Admission, App, Listener};
use crate::memory;
use crate::signals::StopSignals;
use crate::stdout;
use crate::telemetry::{self, Metrics};

/// Connections of the admin listener; it has few clients.
const ADMIN_CONNECTIONS_MAX: usize = 256;
/// Connections that may wait to be accepted; Linux allows as many unless it is told otherwise (`net.core.somaxconn`).
/// After a restart all clients come at once. One that finds no place in the queue is not told: its system
/// asks again after one second, three, seven.
const BACKLOG: u32 = 4_096;

/// The way in: [`Server::builder`].
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// Begins a server: register actors, then [`run`](Builder::run) it.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            config: None,
            kinds: Vec::new(),
            assets: Vec::new(),
        }
    }
}

/// A server before it starts.
#[derive(Debug)]
pub struct Builder {
    config: Option<Config>,
    kinds: Vec<(String, Arc<dyn Kind>)>,
    assets: Vec<(String, Vec<Asset>)>,
}

/// What a program registers: namespaces with the kinds of their actors.
pub(crate) type Registered = [(String, Arc<dyn Kind>)];

impl Builder {
    /// Registers a Rust actor under a namespace: `[a-z0-9][a-z0-9_-]*`, at most 64 bytes. One that
    /// is not well formed, or registered twice, is an error when the server starts.
    #[must_use]
    pub fn actor<A: Actor>(self, namespace: &str) -> Self {
        self.kind(namespace, ActorKind::<A>::new())
    }

    /// Registers any kind of actor under a namespace.
    #[must_use]
    pub fn kind(mut self, namespace: &str, kind: Arc<dyn Kind>) -> Self {
        self.kinds.push((namespace.to_owned(), kind));
        self
    }

    /// Serves files of the program below a path of the public listener, beside `/v1`: the page of a
    /// game, say, that then calls its objects and opens sessions on them from the same origin.
    ///
    /// Files have a strong `ETag` and are asked for again each time, unless they are
    /// [immutable](Asset::immutable). A folder with an `index.html` answers with it. At `/` the page
    /// takes the place of the landing page. The content security policy allows what this server
    /// serves and nothing else: no inline scripts and styles, nothing from another host.
    ///
    /// Paths that are not well formed, taken twice or the server's own are an error when the server
    /// starts.
    ///
    /// ```
    /// use abide::{Config, Server, assets};
    ///
    /// # fn main() -> abide::Result<()> {
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let config = Config {
    /// #     listen: ([127, 0, 0, 1], 0).into(),
    /// #     admin_listen: ([127, 0, 0, 1], 0).into(),
    /// #     engine: abide::config::Engine::Memory,
    /// #     ..Config::default()
    /// # };
    /// let server = Server::builder()
    ///     .assets("/arena", assets!("http/landing/": "index.html", "main.js"))
    ///     .config(config)
    ///     .start()
    ///     .await?;
    /// println!("open http://{}/arena/", server.addr());
    /// # server.stop().await;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[must_use]
    pub fn assets(mut self, prefix: &str, files: &[Asset]) -> Self {
        self.assets.push((prefix.to_owned(), files.to_owned()));
        self
    }

    /// Uses these settings and looks at nothing else: no flags, no environment, no file.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// The whole of a `main`: reads flags, environment and `abide.toml`, makes a tokio runtime of
    /// as many threads as they say, [runs](Self::run), and prints why when that fails.
    ///
    /// Exit codes: 0 after a drain, 1 when the server could not start, 2 for a malformed
    /// command line, 130 or 143 when a signal came before it served, or a second one cut the drain
    /// short. Of the other commands:
    /// 0 done, 1 failed or refused, 2 malformed, 3 no server answers, 4 the outcome is unknown.
    pub fn main(mut self) -> ExitCode {
        let outcome = self.settle_task().and_then(|task| match task {
            Task::Run(command) => {
                let runtime = tokio_runtime(1).map_err(Error::Process)?;
                runtime.block_on(command.run(&self.kinds))
            }
            Task::Serve(config) => {
                let runtime = tokio_runtime(config.thread_count()).map_err(Error::Process)?;
                runtime.block_on(self.config(*config).serve_until_signal())
            }
        });
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Not the log: its filter may be set to hide this, and people must see it.
                #[expect(clippy::print_stderr, reason = "the last words of the process")]
                {
                    eprintln!("error: {error:?}");
                }
                ExitCode::from(error.exit_code())
            }
        }
    }

    /// Serves until SIGTERM or SIGINT, then drains. Reads flags, environment and `abide.toml`,
    /// unless [`config`](Self::config) was called. The setting `threads` is not obeyed: the caller's
    /// runtime is used; see [`main`](Self::main).
    ///
    /// # Errors
    /// [`Error`]: the server could not start.
    ///
    /// # Cancel safety
    /// No: dropping it is like a crash. Nothing acknowledged is lost.
    pub async fn run(mut self) -> Result<()> {
        match self.settle_task()? {
            Task::Run(command) => command.run(&self.kinds).await,
            Task::Serve(config) => self.config(*config).serve_until_signal().await,
        }
    }

    /// Starts serving and comes back; for tests and for programs with an end of their own. Uses
    /// the default settings unless [`config`](Self::config) was called. Catches no signals.
    ///
    /// # Errors
    /// [`Error`]; what had been started is stopped.
    ///
    /// # Cancel safety
    /// No: the data folder may stay locked until the process ends.
    pub async fn start(self) -> Result<Running> {
        let config = self.config.unwrap_or_default();
        config.validate()?;
        let mut site = Site::default();
        for (prefix, files) in &self.assets {
            site.add(prefix, files)?;
        }
        let public = bind("listen", config.listen)?;
        let admin = bind("admin_listen", config.admin_listen)?;
        let address = |socket: &TcpListener| socket.local_addr().map_err(Error::Process);
        let (addr, admin_addr) = (address(&public)?, address(&admin)?);

        let opened = open_store(&config).await?;
        let mut builder = Runtime::builder(opened.store.clone()).limits(limits(&config));
        for (namespace, kind) in self.kinds {
            builder = builder.register(&namespace, kind)?;
        }
        let clock = Clock::system();
        let app = Arc::new(App {
            runtime: builder.start(),
            store: opened.store,
            log_store: opened.log,
            started: clock.now(),
            clock,
            metrics: Arc::new(Metrics::default()),
            admission: Arc::new(Admission::new(config.calls_max, config.thread_count())),
            tasks: Tasks::default(),
            draining: CancellationToken::new(),
            config,
        });
        let stopped = CancellationToken::new();
        let public = Listener {
            socket: public,
            router: http::routes(app.clone(), site),
            connections_max: app.config.connections_max,
            tasks: app.tasks.clone(),
            stop: app.draining.clone(),
            app: app.clone(),
        };
        let admin = Listener {
            socket: admin,
            router: http::admin_routes(app.clone()),
            connections_max: ADMIN_CONNECTIONS_MAX,
            tasks: Tasks::default(),
            stop: stopped.clone(),
            app: app.clone(),
        };
        app.tasks
            .spawn(TaskKind::Background, "listener", public.run());
        let watched = app.clone();
        Tasks::default().spawn(TaskKind::Background, "watch", async move {
            tokio::select! {
                ((), ()) = async {
                    tokio::join!(watched.admission.adapt(), memory::watch(watched.runtime.memory()))
                } => {}
                () = watched.draining.cancelled() => {}
            }
        });
        Tasks::default().spawn(TaskKind::Background, "admin listener", admin.run());
        Ok(Running {
            app,
            addr,
            admin_addr,
            stopped,
        })
    }

    /// The settings given, or what the command line asks for.
    fn settle_task(&mut self) -> Result<Task> {
        match self.config.take() {
            Some(config) => Ok(Task::Serve(Box::new(config))),
            None => Ok(Cli::parse().task()?),
        }
    }

    async fn serve_until_signal(self) -> Result<()> {
        if let Some(config) = &self.config {
            telemetry::start(config);
        }
        raise_open_files_limit();
        let mut signals = StopSignals::catch().map_err(Error::Process)?;
        let running = tokio::select! {
            biased; // one that has started is drained
            running = self.start() => running?,
            code = signals.next() => {
                tracing::warn!("asked to stop before it served");
                // An opening that is cut short is finished by the next one.
                std::process::exit(code)
            }
        };
        stdout::print(&format!("{}\n", running.greeting()));
        signals.next().await;
        let second = async {
            signals.settle().await;
            signals.next().await
        };
        tokio::select! {
            () = running.stop() => Ok(()),
            code = second => {
                tracing::warn!("second signal: exiting without waiting for the drain");
                // Safe at any moment: that is what the commit log is for.
                std::process::exit(code)
            }
        }
    }
}

/// A server that serves. Dropping it leaves it running until its tokio runtime ends.
pub struct Running {
    app: Arc<App>,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    /// Ends the admin listener, which outlives the drain to tell about it.
    stopped: CancellationToken,
}

impl Running {
    /// Address of the public listener, with the port it got.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address of the admin listener, with the port it got.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Drains: readiness off, no new connections, turns under way finish and become durable,
    /// sessions close with 1012, the store is shut down. After `drain_deadline` what still runs
    /// is cut off; nothing acknowledged is lost by that.
    ///
    /// # Cancel safety
    /// No: dropping it is like a crash.
    pub async fn stop(self) {
        let Self { app, stopped, .. } = self;
        tracing::info!("draining");
        app.draining.cancel();
        let drain = async {
            app.runtime.drain().await;
            app.tasks.ended().await;
            // Sessions that ended meanwhile have had their last turn; wait for its commit too.
            app.runtime.drain().await;
        };
        let deadline = app.config.drain_deadline.duration();
        if tokio::time::timeout(deadline, drain).await.is_err() {
            tracing::warn!(
                ?deadline,
                "the drain took too long: cutting off what still runs"
            );
        }
        app.store.shutdown().await;
        stopped.cancel();
        tracing::info!("stopped");
    }

    /// The line that says where it is.
    fn greeting(&self) -> String {
        let config = &self.app.config;
        let data = match config.engine {
            Engine::Memory => "data in memory only".to_owned(),
            Engine::Sled | Engine::Redb => format!("data in {}", config.data.display()),
        };
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "abide {version} on http://{}, admin on http://{}, {data}",
            self.addr, self.admin_addr
        )
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// A store, and what of it has metrics.
struct OpenStore {
    store: Arc<dyn Store>,
    log: Option<Arc<LogStore>>,
}

async fn open_store(config: &Config) -> Result<OpenStore> {
    let engine = match config.engine {
        Engine::Memory => {
            return Ok(OpenStore {
                store: Arc::new(MemoryStore::new()),
                log: None,
            });
        }
        Engine::Sled => EngineKind::Sled,
        Engine::Redb => EngineKind::Redb,
    };
    let options = Options {
        engine,
        disk_reserve_bytes: config.disk_reserve.as_usize() as u64,
        history_age: config.history_age.duration(),
        history_size_bytes: config.history_size.as_usize() as u64,
        ..Options::default()
    };
    let path = config.data.clone();
    let opening = tokio::task::spawn_blocking(move || LogStore::open(&path, options));
    let log = opening
        .await
        .map_err(|panicked| Error::Process(panicked.into()))??;
    tracing::info!(report = ?log.open_report(), "store opened");
    Ok(OpenStore {
        store: log.clone(),
        log: Some(log),
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        idle_timeout: config.idle_timeout.duration(),
        turn_timeout: config.turn_timeout.duration(),
        mailbox_messages_max: config.mailbox_max,
        stage_max_bytes: config.stage_size_max.as_usize(),
        outbound_max_bytes: config.outbound_queue_max.as_usize(),
        resume_window: config.resume_window.duration(),
        resume_buffer_max_bytes: config.resume_buffer_max.as_usize(),
        message_rate: MessageRate {
            per_second: config.session_rate_max,
            burst: config.session_burst_max,
        },
        sessions_per_object_max: config.sessions_per_object_max,
        presence_listed_max: config.presence_listed_max,
        idempotency_retention: config.idempotency_retention.duration(),
        idempotency_keys_max: config.idempotency_keys_max,
        send_retention: config.send_retention.duration(),
        outbox_messages_max: config.outbox_messages_max,
        outbox_max_bytes: config.outbox_size_max.as_usize(),
        senders_per_object_max: config.senders_per_object_max,
        activations_max: config.activations_max,
        memory_max_bytes: config.memory_budget_bytes(),
        alarms_per_object_max: config.alarms_per_object_max,
        alarm_retries_max: (config.alarm_retries_max > 0).then_some(config.alarm_retries_max),
        alarm_rate_max: config.alarm_rate_max,
        alarm_burst_max: config.alarm_burst_max,
        alarm_chain_max: (config.alarm_chain_max > 0).then_some(config.alarm_chain_max),
        alarms_in_flight_max: config.alarms_in_flight_max,
        ..Limits::default()
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener> {
    listen(address).map_err(|source| Error::Listen {
        key,
        address,
        source,
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else connections of the process before this one would keep the port for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn tokio_runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        // One thread needs no locks between threads, and no other to wake.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build()
}

/// Every connection is an open file, and many systems allow 1,024 where the process may ask for
/// more. It is only asked for: the accept loop lives with whatever there is.
fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
