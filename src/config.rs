//! What can be set, and how: flags over environment over `abide.toml` over defaults.
//!
//! Every setting has one name: `body_size_max` in the file, `--body-size-max` on the command
//! line, `ABIDE_BODY_SIZE_MAX` in the environment.

mod flags;
mod host_names;
mod settings;
mod units;

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{memory, telemetry};
pub(crate) use flags::Settings;
pub use host_names::{HostNames, InvalidHostName};
use settings::settings;
pub use units::{InvalidQuantity, Size, Span};

settings! {
    /// Address of the public listener: calls, sessions, the landing page.
    /// Loopback, because serving a network is a decision; port 0 takes any free one.
    listen: SocketAddr, "ABIDE_LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, 7878));

    /// Address of the operators' listener: /healthz, /readyz, /metrics, and the admin API that
    /// commands like `abide export` use. It asks for no password, so it belongs on loopback or a
    /// private network.
    admin_listen: SocketAddr, "ABIDE_ADMIN_LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, 7879));

    /// Names by which the admin API is reached, with commas between them, beside IP addresses and
    /// localhost. Others are refused, so that no web page can borrow the listener by a name of its own.
    admin_names: HostNames, "ABIDE_ADMIN_NAMES", HostNames::default();

    /// Folder of the store; made when it is missing. One process uses it at a time.
    data: PathBuf, "ABIDE_DATA", PathBuf::from("./abide-data");

    /// What keeps the rows behind the commit log: sled, redb, or memory (nothing outlives the process).
    engine: Engine, "ABIDE_ENGINE", Engine::Sled;

    /// Threads that run actors and connections; 0 means one for each CPU there is. Only the
    /// `abide` binary obeys: a program of yours has made its own runtime.
    threads: usize, "ABIDE_THREADS", 0, 0 => 1_024;

    /// Form of the log on standard error: text for people, json for machines.
    log_format: LogFormat, "ABIDE_LOG_FORMAT", LogFormat::Text;

    /// Space kept free on the disk of the data folder. Below it writes are refused with 507 and reads
    /// go on, so that the store never meets the very end of the disk; it recovers by itself.
    disk_reserve: Size, "ABIDE_DISK_RESERVE", Size::mib(64), Size::mib(1) => Size::gib(1_024);

    /// What the past may take on disk, in the data folder's history/: commits, and copies of the
    /// store to begin with. abide restore goes back in it. 0 keeps none; backups need it only to
    /// be incremental however long the log does not reach back.
    history_size: Size, "ABIDE_HISTORY_SIZE", Size::gib(1), Size::bytes(0) => Size::gib(65_536);

    /// How far back the past is kept, as long as history_size allows.
    history_age: Span, "ABIDE_HISTORY_AGE", Span::secs(604_800), Span::secs(60) => Span::secs(31_536_000);

    /// What is logged: a level, or directives such as "info,abide_storage=debug".
    log_filter: String, "ABIDE_LOG_FILTER", "info".to_owned();

    /// Connections of the public listener at one time; one more is answered with 503. Each
    /// needs a file descriptor, so raise the limit of the process (ulimit -n) with it.
    connections_max: usize, "ABIDE_CONNECTIONS_MAX", 65_536, 1 => 1_048_576;

    /// Largest head of a request, all header lines together; a larger one, or one of more than 100
    /// lines, is answered with 431.
    header_size_max: Size, "ABIDE_HEADER_SIZE_MAX", Size::kib(16), Size::kib(8) => Size::mib(1);

    /// How long a client may take from the first byte of a request to the end of its headers.
    /// Ends connections that are held open by dribbling bytes.
    header_read_timeout: Span, "ABIDE_HEADER_READ_TIMEOUT", Span::secs(10), Span::millis(100) => Span::secs(300);

    /// How long an idle connection is kept for the next request. Longer than the idle time of
    /// common load balancers (60s), so that they, not we, close first.
    keep_alive_timeout: Span, "ABIDE_KEEP_ALIVE_TIMEOUT", Span::secs(75), Span::millis(100) => Span::secs(3_600);

    /// Largest body of a call; a larger one is answered with 413. It is held in memory whole.
    body_size_max: Size, "ABIDE_BODY_SIZE_MAX", Size::mib(1), Size::kib(1) => Size::mib(64);

    /// How long a call may take when its client does not say (header Abide-Deadline-Ms).
    call_deadline: Span, "ABIDE_CALL_DEADLINE", Span::secs(30), Span::millis(1) => Span::secs(3_600);

    /// The longest deadline a client may ask for.
    call_deadline_max: Span, "ABIDE_CALL_DEADLINE_MAX", Span::secs(300), Span::millis(1) => Span::secs(3_600);

    /// Largest message of a WebSocket client, all its fragments together; a larger one closes
    /// the session with 1009.
    frame_size_max: Size, "ABIDE_FRAME_SIZE_MAX", Size::mib(1), Size::bytes(125) => Size::mib(64);

    /// Silence after which a session is pinged, to keep middleboxes from forgetting it.
    ping_interval: Span, "ABIDE_PING_INTERVAL", Span::secs(30), Span::millis(50) => Span::secs(3_600);

    /// Silence after which a session is taken for dead. Counted in whole ping intervals, and longer
    /// than one.
    ping_timeout: Span, "ABIDE_PING_TIMEOUT", Span::secs(60), Span::millis(100) => Span::secs(7_200);

    /// Messages a session may send per second in the long run; above, it is closed with 1008. 0 sets no bound.
    /// An actor may choose another rate for a session. A game sends 20 to 60.
    session_rate_max: u32, "ABIDE_SESSION_RATE_MAX", 1_000, 0 => 1_000_000;

    /// Messages a session may send at once, after a pause. What a client has gathered while it was offline comes so.
    session_burst_max: u32, "ABIDE_SESSION_BURST_MAX", 10_000, 1 => 1_000_000;

    /// Bytes that may wait for one session to read them; above, it is closed with 1013. Must hold
    /// one frame of the largest size and then some.
    outbound_queue_max: Size, "ABIDE_OUTBOUND_QUEUE_MAX", Size::mib(2), Size::kib(64) => Size::gib(1);

    /// Members that those who watch an object's presence are shown, the ones here for the longest;
    /// all are counted. Their ids and states have 256 bytes each on average, and a quarter of the
    /// outbound queue together.
    presence_listed_max: usize, "ABIDE_PRESENCE_LISTED_MAX", 256, 1 => 4_096;

    /// How long a session that can be resumed (docs/protocol.md) is kept without a connection. What is sent
    /// to it meanwhile waits, within outbound_queue_max.
    resume_window: Span, "ABIDE_RESUME_WINDOW", Span::secs(60), Span::millis(100) => Span::secs(86_400);

    /// Bytes kept of what was written to such a session, until its client acknowledges them. A client that
    /// comes back from before what is kept gets a new session.
    resume_buffer_max: Size, "ABIDE_RESUME_BUFFER_MAX", Size::kib(256), Size::bytes(0) => Size::gib(1);

    /// Idle time before an activation is passivated. Its state stays on disk, its sessions stay open.
    idle_timeout: Span, "ABIDE_IDLE_TIMEOUT", Span::secs(10), Span::millis(10) => Span::secs(86_400);

    /// Longest a turn may run, whatever its caller's deadline: it keeps its object from all others.
    turn_timeout: Span, "ABIDE_TURN_TIMEOUT", Span::secs(30), Span::millis(10) => Span::secs(3_600);

    /// Messages that may wait for one object; one more is answered with 503.
    mailbox_max: usize, "ABIDE_MAILBOX_MAX", 1_024, 1 => 1_048_576;

    /// Writes and frames one turn may stage; more fails the turn. Held in memory until its commit.
    stage_size_max: Size, "ABIDE_STAGE_SIZE_MAX", Size::mib(16), Size::kib(64) => Size::gib(1);

    /// Calls, handshakes and raw requests handled at one time. Others wait in a line of the same
    /// length for half a second at most, then get 503. A busy processor lowers it by itself.
    calls_max: usize, "ABIDE_CALLS_MAX", 16_384, 1 => 1_048_576;

    /// Memory that objects, sessions and what waits for them may take; 0B means half of what the
    /// machine or its container has. Near it idle objects are evicted, at it what needs more gets 503.
    /// The store's caches and what an actor keeps outside its state come on top.
    memory_max: Size, "ABIDE_MEMORY_MAX", Size::bytes(0), Size::bytes(0) => Size::gib(16_384);

    /// Sessions on one object.
    sessions_per_object_max: usize, "ABIDE_SESSIONS_PER_OBJECT_MAX", 100_000, 1 => 1_048_576;

    /// How long an object keeps the reply of a call that came with the header Idempotency-Key, for
    /// whoever sends the call again.
    idempotency_retention: Span, "ABIDE_IDEMPOTENCY_RETENTION", Span::secs(86_400), Span::secs(1) => Span::secs(2_592_000);

    /// Replies one object keeps for idempotency keys; a call with one more key is answered with 429.
    /// They are part of the object on disk, not in memory.
    idempotency_keys_max: usize, "ABIDE_IDEMPOTENCY_KEYS_MAX", 10_000, 1 => 1_000_000;

    /// How long a message from one object to another is tried before it is dropped.
    send_retention: Span, "ABIDE_SEND_RETENTION", Span::secs(604_800), Span::secs(1) => Span::secs(2_592_000);

    /// Messages to other objects that one object has on their way; a call that would send one more is
    /// answered with 503. They are in memory as long as the object is.
    outbox_messages_max: usize, "ABIDE_OUTBOX_MESSAGES_MAX", 4_096, 1 => 1_000_000;

    /// Bytes of these messages.
    outbox_size_max: Size, "ABIDE_OUTBOX_SIZE_MAX", Size::mib(4), Size::kib(64) => Size::gib(1);

    /// Senders whose messages one object tells from repeated ones; those of more wait. They are part
    /// of the object on disk, not in memory.
    senders_per_object_max: usize, "ABIDE_SENDERS_PER_OBJECT_MAX", 100_000, 1 => 100_000_000;

    /// Alarms of one object, parked ones included; one more fails the turn that sets it. They are loaded
    /// with their object.
    alarms_per_object_max: usize, "ABIDE_ALARMS_PER_OBJECT_MAX", 1_024, 1 => 65_536;

    /// Retries of an alarm in a row; when the last one fails, too, it is parked until an operator runs it.
    /// 0: it is retried for ever, at last every 1,024 seconds.
    alarm_retries_max: u32, "ABIDE_ALARM_RETRIES_MAX", 0, 0 => 1_000_000;

    /// Alarms of one object that fire in a second, in the long run. More are slowed down to that, with a
    /// warning: an alarm that always sets itself for at once should not take the server.
    alarm_rate_max: u32, "ABIDE_ALARM_RATE_MAX", 100, 1 => 100_000;

    /// Alarms of one object that may fire at once before alarm_rate_max slows them down.
    alarm_burst_max: u32, "ABIDE_ALARM_BURST_MAX", 2_048, 1 => 1_000_000;

    /// Alarms in a row, each set by the one before for at once, after which the next is parked as a
    /// loop; 0: they go on for ever, as fast as alarm_rate_max lets them.
    alarm_chain_max: u32, "ABIDE_ALARM_CHAIN_MAX", 10_000, 0 => 1_000_000_000;

    /// Objects on the whole server with alarms whose turns are not over; due alarms of others wait for
    /// them. Alarms of one object count once, since its turns come one after the other.
    alarms_in_flight_max: usize, "ABIDE_ALARMS_IN_FLIGHT_MAX", 4_096, 1 => 1_048_576;

    /// Activations before idle ones are evicted: those out of use for the longest.
    activations_max: usize, "ABIDE_ACTIVATIONS_MAX", 1_000_000, 1 => 100_000_000;

    /// How long a drain (SIGTERM) may take before what still runs is cut off. Keep it below the
    /// time your supervisor waits before SIGKILL. Nothing acknowledged is lost either way.
    drain_deadline: Span, "ABIDE_DRAIN_DEADLINE", Span::secs(30), Span::millis(0) => Span::secs(3_600);
}

/// What keeps the rows behind the commit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// sled 0.34, the default.
    Sled,
    /// redb.
    Redb,
    /// Nothing on disk: everything is gone with the process. For tests and demonstrations.
    Memory,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A setting that cannot be used. Nothing has been started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named cannot be read.
    #[error("configuration file {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML, or has a key that is none, or a value of the wrong kind.
    #[error("configuration file {}: {problem}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Key, line and what was expected.
        problem: String,
    },
    /// A value outside its range.
    #[error("{key} = {value} is out of range: {min} to {max}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// The smallest value it takes.
        min: String,
        /// The largest.
        max: String,
    },
    /// Values that do not go together, or one that cannot be understood.
    #[error("{0}")]
    Contradiction(String),
}

/// File that is read when none is named.
const FILE_DEFAULT: &str = "abide.toml";

impl Config {
    /// Memory for the objects: `memory_max`, or half of what there is.
    #[must_use]
    pub fn memory_budget_bytes(&self) -> usize {
        match self.memory_max.as_usize() {
            0 => memory::default_budget_bytes(),
            bytes => bytes,
        }
    }

    /// Checks every value against its range, and those that depend on each other.
    ///
    /// # Errors
    /// [`ConfigError`], naming key, value and range. No effect.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_ranges(self)?;
        let contradiction = if self.ping_timeout <= self.ping_interval {
            format!(
                "ping_timeout = {} is no longer than ping_interval = {}: every quiet session would be taken for dead",
                self.ping_timeout, self.ping_interval
            )
        } else if self.outbound_queue_max.as_usize() < self.frame_size_max.as_usize() + FRAME_ROOM {
            format!(
                "outbound_queue_max = {} cannot hold a frame of frame_size_max = {}: it must be larger by {} at least",
                self.outbound_queue_max,
                self.frame_size_max,
                Size::bytes(FRAME_ROOM as u64)
            )
        } else if self.call_deadline_max < self.call_deadline {
            format!(
                "call_deadline_max = {} is shorter than call_deadline = {}",
                self.call_deadline_max, self.call_deadline
            )
        } else if self.memory_max != Size::bytes(0) && self.memory_max < MEMORY_MIN {
            format!(
                "memory_max = {} is too little to serve anything: {MEMORY_MIN} at least, or 0B for half of the machine",
                self.memory_max
            )
        } else if self.listen == self.admin_listen && self.listen.port() != 0 {
            format!("listen and admin_listen are both {}", self.listen)
        } else if let Err(invalid) = telemetry::check_filter(&self.log_filter) {
            format!("log_filter = '{}': {invalid}", self.log_filter)
        } else {
            return Ok(());
        };
        Err(ConfigError::Contradiction(contradiction))
    }

    /// Lays the command line (and environment) over the file over the defaults, and validates.
    ///
    /// # Errors
    /// [`ConfigError`]. No effect.
    pub(crate) fn load(arguments: Layer, file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = match file {
            Some(path) => read_file(path)?,
            None if Path::new(FILE_DEFAULT).exists() => read_file(Path::new(FILE_DEFAULT))?,
            None => Layer::default(),
        };
        let config = arguments.over(file).into_config();
        config.validate()?;
        Ok(config)
    }

    /// Threads to run on: `threads`, or as many as there are CPUs.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// Room for some connections, objects and bodies: below it every call would be refused.
const MEMORY_MIN: Size = Size::mib(4);

/// What a frame costs in the outbound queue beside its payload, rounded up with ease.
const FRAME_ROOM: usize = 1_024;

/// Reads one `abide.toml`.
pub(crate) fn read_file(path: &Path) -> Result<Layer, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    })
}

fn check_range<T: PartialOrd + fmt::Debug>(
    key: &'static str,
    value: &T,
    min: &T,
    max: &T,
) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let text = |value: &T| format!("{value:?}");
    Err(ConfigError::OutOfRange {
        key,
        value: text(value),
        min: text(min),
        max: text(max),
    })
}

/// One setting of the printed reference.
struct Entry {
    key: &'static str,
    documentation: &'static [&'static str],
    env: &'static str,
    default: String,
    range: Option<(String, String)>,
}

/// The default `abide.toml`: every key with unit, default, range and reason.
pub(crate) fn default_file() -> String {
    let mut text = String::from(
        "# Settings of Abide, all at their defaults. A flag (--body-size-max) or environment variable\n\
         # (ABIDE_BODY_SIZE_MAX) of the same name goes before the file.\n",
    );
    for Entry {
        key,
        documentation,
        env,
        default,
        range,
    } in reference()
    {
        text.push('\n');
        for line in documentation {
            text.push_str("# ");
            text.push_str(line.trim());
            text.push('\n');
        }
        let written = match range {
            Some((min, max)) => {
                writeln!(
                    text,
                    "# From {min} to {max}. Environment: {env}.\n{key} = {default}"
                )
            }
            None => writeln!(text, "# Environment: {env}.\n{key} = {default}"),
        };
        written.expect("writing to a string does not fail");
    }
    text
}

fn toml_value<T: Serialize>(value: &T) -> String {
    toml::Value::try_from(value)
        .expect("every setting has a TOML form")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError, Layer, Size, Span, default_file};

    #[test]
    fn the_printed_file_is_the_defaults() {
        let layer: Layer = toml::from_str(&default_file()).unwrap();
        assert_eq!(layer.into_config(), Config::default());
    }

    #[test]
    fn the_defaults_are_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn the_reference_does_not_change_unnoticed() {
        insta::assert_snapshot!(default_file());
    }

    #[test]
    fn an_upper_layer_wins() {
        let file: Layer = toml::from_str("body_size_max = \"2MiB\"\nmailbox_max = 7").unwrap();
        let flags = Layer {
            mailbox_max: Some(9),
            ..Layer::default()
        };
        let config = flags.over(file).into_config();
        assert_eq!(
            (config.body_size_max, config.mailbox_max),
            (Size::mib(2), 9)
        );
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let config = Config {
            body_size_max: Size::gib(1),
            ..Config::default()
        };
        let error = config.validate().unwrap_err();
        assert!(matches!(
            error,
            ConfigError::OutOfRange {
                key: "body_size_max",
                ..
            }
        ));
        assert_eq!(
            error.to_string(),
            "body_size_max = 1GiB is out of range: 1KiB to 64MiB"
        );
    }

    #[test]
    fn a_log_filter_that_is_none_is_refused() {
        let with = |log_filter: &str| Config {
            log_filter: log_filter.to_owned(),
            ..Config::default()
        };
        for right in ["", "off", "warn", "info,abide_storage=debug"] {
            with(right).validate().unwrap();
        }
        for wrong in ["info,abide=debgu", "="] {
            let said = with(wrong).validate().unwrap_err().to_string();
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        // As long as the interval leaves no time between the first ping and the end.
        for ping_timeout in [Span::secs(1), Span::secs(30)] {
            let config = Config {
                ping_timeout,
                ..Config::default()
            };
            let said = config.validate().unwrap_err().to_string();
            assert!(said.contains("ping_interval = 30s"), "{said}");
        }
        let config = Config {
            outbound_queue_max: Size::kib(512),
            ..Config::default()
        };
        assert!(
            config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("frame_size_max = 1MiB")
        );
    }
}
