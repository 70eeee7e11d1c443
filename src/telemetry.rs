//! The log, and one table of everything that is counted.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abide_actors::{AlarmStats, NamespaceInfo, Stats};
use abide_storage::StoreMetrics;
use http::StatusCode;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::http::App;
use crate::memory;

/// Starts logging to standard error, unless the program has a subscriber of its own.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.log_filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An error says that there is a subscriber already, which then is the one the program wants.
    drop(match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    });
}

/// Whether every directive of a filter is understood; [`start`] leaves out what is not.
pub(crate) fn check_filter(filter: &str) -> Result<(), impl std::fmt::Display> {
    EnvFilter::builder().parse(filter).map(drop)
}

/// What the server itself counts; the rest is asked of the runtime.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    connections_closed: AtomicU64,
    /// By the first digit of the status, 1 to 5.
    requests: [AtomicU64; 5],
    frames_received: AtomicU64,
    frames_sent: AtomicU64,
    frame_bytes_sent: AtomicU64,
}

impl Metrics {
    pub(crate) fn connection_opened(&self) {
        self.connections_accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.requests[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what one poll of a session moved; most polls move one or none.
    pub(crate) fn frames(&self, received: u64, sent: u64) {
        if received > 0 {
            self.frames_received.fetch_add(received, Ordering::Relaxed);
        }
        if sent > 0 {
            self.frames_sent.fetch_add(sent, Ordering::Relaxed);
        }
    }

    /// Adds what one poll of a session wrote, without what the protocol puts around it.
    pub(crate) fn frame_bytes_sent(&self, bytes: u64) {
        if bytes > 0 {
            self.frame_bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// Everything there is to read when the metrics are asked for.
struct Snapshot {
    app: Arc<App>,
    runtime: Stats,
    alarms: AlarmStats,
}

/// One metric of an `S`. Names end in their unit, counters in `_total`.
struct Metric<S> {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&S) -> u64,
}

static METRICS: &[Metric<Snapshot>] = &[
    Metric {
        name: "abide_uptime_seconds",
        kind: "gauge",
        help: "Time since the server started.",
        read: |s| s.app.uptime().as_secs(),
    },
    Metric {
        name: "abide_connections",
        kind: "gauge",
        help: "Connections open on both listeners that still speak HTTP.",
        read: |s| {
            let closed = load(&s.app.metrics.connections_closed);
            load(&s.app.metrics.connections_accepted).saturating_sub(closed)
        },
    },
    Metric {
        name: "abide_connections_accepted_total",
        kind: "counter",
        help: "Connections taken on both listeners.",
        read: |s| load(&s.app.metrics.connections_accepted),
    },
    Metric {
        name: "abide_connections_refused_total",
        kind: "counter",
        help: "Connections answered with 503 because there were too many.",
        read: |s| load(&s.app.metrics.connections_refused),
    },
    Metric {
        name: "abide_frames_received_total",
        kind: "counter",
        help: "Messages from clients of sessions.",
        read: |s| load(&s.app.metrics.frames_received),
    },
    Metric {
        name: "abide_frames_sent_total",
        kind: "counter",
        help: "Messages to clients of sessions, over WebSocket or as server-sent events.",
        read: |s| load(&s.app.metrics.frames_sent),
    },
    Metric {
        name: "abide_frame_sent_bytes_total",
        kind: "counter",
        help: "Payload of WebSocket messages to clients.",
        read: |s| load(&s.app.metrics.frame_bytes_sent),
    },
    Metric {
        name: "abide_frames_dropped_total",
        kind: "counter",
        help: "Lossy frames dropped because much was waiting for the client, or it was away.",
        read: |s| s.runtime.frames_dropped,
    },
    Metric {
        name: "abide_frames_replaced_total",
        kind: "counter",
        help: "Waiting frames in whose place a newer one of their key was sent.",
        read: |s| s.runtime.frames_replaced,
    },
    Metric {
        name: "abide_sessions_too_slow_total",
        kind: "counter",
        help: "Sessions closed with 1013 because their client did not read fast enough.",
        read: |s| s.runtime.sessions_too_slow,
    },
    Metric {
        name: "abide_presence_members",
        kind: "gauge",
        help: "Who is here, by the presence of all objects together.",
        read: |s| s.runtime.presence_members as u64,
    },
    Metric {
        name: "abide_presence_messages_total",
        kind: "counter",
        help: "Messages about who is here to sessions that watch, one for each of them.",
        read: |s| s.runtime.presence_messages,
    },
    Metric {
        name: "abide_objects",
        kind: "gauge",
        help: "Objects that are active or have sessions.",
        read: |s| s.runtime.objects as u64,
    },
    Metric {
        name: "abide_activations",
        kind: "gauge",
        help: "Activations in memory.",
        read: |s| s.runtime.activations as u64,
    },
    Metric {
        name: "abide_sessions",
        kind: "gauge",
        help: "Sessions open.",
        read: |s| s.runtime.sessions as u64,
    },
    Metric {
        name: "abide_sends_handled_total",
        kind: "counter",
        help: "Messages between objects that their receivers have handled.",
        read: |s| s.runtime.sends_handled,
    },
    Metric {
        name: "abide_sends_refused_total",
        kind: "counter",
        help: "Messages between objects that their receivers have answered with an error.",
        read: |s| s.runtime.sends_refused,
    },
    Metric {
        name: "abide_sends_retried_total",
        kind: "counter",
        help: "Attempts to deliver a message between objects that are repeated.",
        read: |s| s.runtime.sends_retried,
    },
    Metric {
        name: "abide_sends_dropped_total",
        kind: "counter",
        help: "Messages between objects given up: expired, or their receiver failed too often.",
        read: |s| s.runtime.sends_dropped,
    },
    Metric {
        name: "abide_evictions_total",
        kind: "counter",
        help: "Activations asked to end because the server wanted their memory.",
        read: |s| s.runtime.evictions,
    },
    Metric {
        name: "abide_memory_used_bytes",
        kind: "gauge",
        help: "Memory of objects, sessions and what waits for them, as counted.",
        read: |s| s.app.runtime.memory().used_bytes() as u64,
    },
    Metric {
        name: "abide_memory_max_bytes",
        kind: "gauge",
        help: "The most that may be: above it what needs more is refused.",
        read: |s| s.app.runtime.memory().max_bytes() as u64,
    },
    Metric {
        name: "abide_memory_refused_total",
        kind: "counter",
        help: "Messages and bodies refused because the memory was used up.",
        read: |s| s.app.runtime.memory().refused_count(),
    },
    Metric {
        name: "abide_resident_bytes",
        kind: "gauge",
        help: "Memory the process has in use; 0 where the system does not say.",
        read: |_| memory::resident_bytes().unwrap_or(0) as u64,
    },
    Metric {
        name: "abide_call_places",
        kind: "gauge",
        help: "Calls that may be handled at one time just now.",
        read: |s| s.app.admission.places() as u64,
    },
    Metric {
        name: "abide_calls_in_line",
        kind: "gauge",
        help: "Calls that wait for a place.",
        read: |s| s.app.admission.in_line() as u64,
    },
    Metric {
        name: "abide_calls_refused_total",
        kind: "counter",
        help: "Calls answered with 503 because too many were handled already.",
        read: |s| s.app.admission.refused_count(),
    },
    Metric {
        name: "abide_lag_micros",
        kind: "gauge",
        help: "How long a task that was ready last waited for a thread.",
        read: |s| u64::try_from(s.app.admission.lag().as_micros()).unwrap_or(u64::MAX),
    },
    Metric {
        name: "abide_alarms_in_flight",
        kind: "gauge",
        help: "Objects with alarms that have fired and whose turns are not over.",
        read: |s| s.alarms.in_flight as u64,
    },
    Metric {
        name: "abide_alarms_fired_total",
        kind: "counter",
        help: "Alarms handed to their objects, retries included.",
        read: |s| s.alarms.fired,
    },
    Metric {
        name: "abide_alarms_slowed_total",
        kind: "counter",
        help: "Alarms put off because their object fires more than alarm_rate_max.",
        read: |s| s.alarms.slowed,
    },
    Metric {
        name: "abide_alarms_parked_total",
        kind: "counter",
        help: "Alarms that fire no more until they are run or set again: a human must look.",
        read: |s| s.alarms.parked,
    },
];

/// Those of a store with a commit log.
static STORE_METRICS: &[Metric<StoreMetrics>] = &[
    Metric {
        name: "abide_commits_total",
        kind: "counter",
        help: "Commits that have become durable.",
        read: |m| m.commits,
    },
    Metric {
        name: "abide_commit_groups_total",
        kind: "counter",
        help: "Groups of commits written to the log: one write and one sync each.",
        read: |m| m.groups,
    },
    Metric {
        name: "abide_logged_bytes_total",
        kind: "counter",
        help: "Bytes written to the commit log.",
        read: |m| m.logged_bytes,
    },
    Metric {
        name: "abide_checkpoints_total",
        kind: "counter",
        help: "Checkpoints completed.",
        read: |m| m.checkpoints,
    },
    Metric {
        name: "abide_overlay_bytes",
        kind: "gauge",
        help: "Commits that are in the log and not yet in the engine, as estimated.",
        read: |m| m.overlay_bytes,
    },
    Metric {
        name: "abide_commit_queue_bytes",
        kind: "gauge",
        help: "Commits on their way to the disk.",
        read: |m| m.queue_bytes,
    },
    Metric {
        name: "abide_store_failed",
        kind: "gauge",
        help: "1 when the store acknowledges nothing any more until a restart.",
        read: |m| u64::from(m.is_poisoned),
    },
];

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The metrics in Prometheus' text format.
pub(crate) fn render(app: &Arc<App>) -> String {
    let snapshot = Snapshot {
        app: app.clone(),
        runtime: app.runtime.stats(),
        alarms: app.runtime.alarm_stats(),
    };
    let mut text = String::new();
    table(&mut text, METRICS, &snapshot);
    if let Some(store) = &app.log_store {
        table(&mut text, STORE_METRICS, &store.metrics());
    }
    head(
        &mut text,
        "abide_http_requests_total",
        "counter",
        "Requests answered, by class of status.",
    );
    for (class, count) in (1..).zip(&app.metrics.requests) {
        let label = format!("{{class=\"{class}xx\"}}");
        sample(&mut text, "abide_http_requests_total", &label, load(count));
    }
    let namespaces = app.runtime.namespaces();
    by_namespace(
        &mut text,
        &namespaces,
        "abide_namespace_activations",
        "Activations in memory",
        |n| n.activations,
    );
    by_namespace(
        &mut text,
        &namespaces,
        "abide_namespace_sessions",
        "Sessions open",
        |n| n.sessions,
    );
    text
}

/// Each metric with its one sample.
fn table<S>(text: &mut String, metrics: &[Metric<S>], of: &S) {
    for metric in metrics {
        head(text, metric.name, metric.kind, metric.help);
        sample(text, metric.name, "", (metric.read)(of));
    }
}

/// One gauge with a sample for each namespace.
fn by_namespace(
    text: &mut String,
    namespaces: &[NamespaceInfo],
    name: &str,
    help: &str,
    read: fn(&NamespaceInfo) -> usize,
) {
    head(text, name, "gauge", &format!("{help}, by namespace."));
    for info in namespaces {
        let label = format!("{{namespace=\"{}\"}}", info.name);
        sample(text, name, &label, read(info) as u64);
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(STRING);
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    writeln!(text, "{name}{labels} {value}").expect(STRING);
}

const STRING: &str = "writing to a string does not fail";
