//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};

/// Puts a fixed rate of calls or frames on a running server and prints one line of JSON.
///
/// Latencies are counted from the moment an operation should have started. `started_late_us` says
/// how late operations left the driver: on sessions that is the driver's own doing, on calls it also
/// grows when every connection waits for a reply.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Address of the server.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:7878",
        global = true
    )]
    pub(crate) server: String,

    /// Operations to start per second, over all connections or sessions.
    #[arg(long, default_value_t = 1_000.0, value_parser = positive, global = true)]
    pub(crate) rate: f64,

    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, global = true)]
    pub(crate) duration: Duration,

    /// Seconds of the same load before, not measured.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds, global = true)]
    pub(crate) warmup: Duration,

    /// Objects the load is spread over, evenly.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..), global = true)]
    pub(crate) objects: u32,

    /// Beginning of the objects' names; a new one for each process unless given, so that every run
    /// meets new objects.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) prefix: Option<String>,

    /// Process whose CPU time and memory are reported; Linux only.
    #[arg(long, value_name = "PID", global = true)]
    pub(crate) server_pid: Option<u32>,

    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

const EXAMPLES: &str = "\
Examples:
  abide-load calls --rate 5000 --objects 64 --connections 64 --server-pid $(pidof abide)
  abide-load sessions --namespace room --sessions 100 --objects 10 --rate 2000 --expect all";

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Calls by HTTP: `POST /v1/{namespace}/{object}/{method}`.
    Calls(Calls),
    /// Calls at a multiple of what the server can handle; prints each second, and PASS or FAIL.
    Overload(Overload),
    /// Frames on WebSocket sessions: `/v1/{namespace}/{object}`.
    Sessions(Sessions),
    /// Members that come, and come again at once: what presence tells them, and costs. Each is a
    /// socket, so mind `ulimit -n` of both processes.
    Presence(Presence),
    /// As many sessions as possible on one object, and frames to all of them. `--duration` is how long they
    /// are left alone before. Against loopback it uses several source addresses, because one has too few ports.
    Crowd(Crowd),
}

#[derive(Debug, Args)]
pub(crate) struct Calls {
    /// Namespace of the objects.
    #[arg(long, default_value = "counter")]
    pub(crate) namespace: String,

    /// Method that is called.
    #[arg(long, default_value = "increment")]
    pub(crate) method: String,

    /// Arguments as JSON; none sends no body.
    #[arg(long, value_name = "JSON", default_value = "")]
    pub(crate) arguments: String,

    /// Kept-alive connections; each carries one call at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Overload {
    /// Namespace of the objects.
    #[arg(long, default_value = "counter")]
    pub(crate) namespace: String,

    /// Method that is called.
    #[arg(long, default_value = "work")]
    pub(crate) method: String,

    /// Arguments as JSON; none sends no body.
    #[arg(long, value_name = "JSON", default_value = "[20000000]")]
    pub(crate) arguments: String,

    /// Times the peak that is offered; `--duration` says for how long.
    #[arg(long, default_value_t = 4.0, value_parser = positive)]
    pub(crate) factor: f64,

    /// Seconds of the closed loop that finds the peak.
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    pub(crate) peak: Duration,

    /// Calls that may be open at one time, each on a connection; further ones count as unsent.
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,

    /// Seconds after which a client gives a call up and closes its connection.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) patience: Duration,

    /// Do not tell the server how long the client waits.
    #[arg(long)]
    pub(crate) silent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sessions {
    /// Namespace of the objects.
    #[arg(long, default_value = "echo")]
    pub(crate) namespace: String,

    /// Sessions, spread over the objects.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,

    /// Size of a frame; its first 16 bytes say which run and which moment it belongs to.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..))]
    pub(crate) size: u32,

    /// Who receives a frame: decides how many deliveries are missed.
    #[arg(long, value_enum, default_value = "sender")]
    pub(crate) expect: Expect,
}

#[derive(Debug, Args)]
pub(crate) struct Presence {
    /// Namespace of the object.
    #[arg(long, default_value = "lobby")]
    pub(crate) namespace: String,

    /// Members, all on one object.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,

    /// Starts this server itself, at `--server` and on a folder of its own, and restarts it after
    /// the first wave: members resume, instead of coming anew.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) restart: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Crowd {
    /// Namespace of the object: what one says, all have to hear.
    #[arg(long, default_value = "room")]
    pub(crate) namespace: String,

    /// Sessions to open. Both processes need as many open files (`ulimit -n`).
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,

    /// Frames to all.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,
}

/// Who receives what a session sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Expect {
    /// The sender alone: an echo.
    Sender,
    /// Every session of the object, the sender too: a room.
    All,
    /// Every session of the object but the sender.
    Others,
}

impl Options {
    /// Name of the n-th object.
    pub(crate) fn object(&self, number: u32) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}-{number}"),
            None => format!("load-{}-{number}", std::process::id()),
        }
    }
}

impl Scenario {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Calls(_) => "calls",
            Self::Overload(_) => "overload",
            Self::Sessions(_) => "sessions",
            Self::Presence(_) => "presence",
            Self::Crowd(_) => "crowd",
        }
    }
}

fn positive(text: &str) -> anyhow::Result<f64> {
    let value: f64 = text.parse().context("a number is expected")?;
    ensure!(value.is_finite() && value > 0.0, "it must be above 0");
    Ok(value)
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let value: f64 = text.parse().context("a number of seconds is expected")?;
    Duration::try_from_secs_f64(value).context("it must be 0 or more and not astronomic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        for rate in ["0", "-1", "NaN", "inf", "x"] {
            assert!(
                Options::try_parse_from(["abide-load", "calls", "--rate", rate]).is_err(),
                "{rate}"
            );
        }
    }
}
