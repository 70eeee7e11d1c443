//! `abide-soak`: thousands of sessions through kills, drains and lost connections, every frame of
//! both directions accounted for.
//!
//! ```text
//! cargo build --release -p abide-soak
//! target/release/abide-soak                                  # 2,000 sessions, ten minutes
//! target/release/abide-soak --sessions 50 --objects 5 --seconds 20 --every 8
//! target/release/abide-soak --plan durable                   # sessions that live through SIGKILL
//! target/release/abide-soak --plan resume                    # how long until all have resumed
//! ```
//! It prints one line of JSON, then what was wrong, then PASS or FAIL, which is its exit code too.
//! `server/ledger.rs` is the object, `witness.rs` says what must hold.
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]

mod chaos;
mod client;
mod options;
mod proxy;
mod report;
mod restarts;
mod server;
mod totals;
mod witness;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{Account, Common, Phase, Place};
use crate::options::Options;
use crate::proxy::Scissors;
use crate::restarts::Restarts;
use crate::server::Server;
use crate::witness::{Fault, Witness};

/// How long everything sent may take to be acknowledged and shown at the end.
const SETTLE_MAX: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("abide-soak: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> anyhow::Result<bool> {
    raise_open_files_limit()?;
    let folder = tempfile::tempdir_in(&options.folder)?;
    let restarts = Arc::new(Restarts::default());
    let mut server = Server::start(
        &options.program()?,
        &folder.path().join("store"),
        &options.engine,
        restarts.clone(),
    )?;
    let began = Instant::now();
    let common = Arc::new(Common {
        report: Mutex::default(),
        opened: AtomicUsize::new(0),
        settled: AtomicUsize::new(0),
        sabotage: options.sabotage,
    });
    let scissors = Scissors::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = listener.local_addr()?;
    let mut carrying = JoinSet::new();
    carrying.spawn(proxy::carry(listener, server.addr(), scissors.clone()));

    let (phase, seen) = watch::channel(Phase::Load);
    let pages: Vec<_> = (0..options.objects).map(|_| Arc::default()).collect();
    let mut clients = JoinSet::new();
    for number in 0..options.sessions {
        let object = number % options.objects;
        // Those that can be cut are spread over the objects.
        let through = if number % 4 == 3 {
            proxy
        } else {
            server.addr()
        };
        let place = Place {
            number: u32::try_from(number)? + 1,
            object,
            address: format!("http://{through}"),
            pause: options.pause(),
            lives: options.lives(),
        };
        let page = Arc::<Mutex<_>>::clone(&pages[object]);
        let witness = Witness::new(page, restarts.clone(), options.lives());
        clients.spawn(client::run(place, witness, common.clone(), seen.clone()));
    }

    chaos::run(&options, &mut server, &scissors, &common).await?;
    phase.send_replace(Phase::Settle);
    let settled = settle(&common, options.sessions).await;
    // The last lines of others may still be on their way to those that have settled themselves.
    sleep(Duration::from_millis(500)).await;
    phase.send_replace(Phase::End);
    let accounts = clients.join_all().await;
    let accounts: Vec<Account> = accounts.into_iter().collect::<anyhow::Result<_>>()?;
    if settled < options.sessions {
        let said = format!("{} sessions do not settle", options.sessions - settled);
        common.report.lock().fault("the run", &Fault::Totals(said));
    }
    totals::compare(server.addr(), &options, &accounts, &common).await?;
    server
        .end(restarts::How::Drained)
        .context("the last drain")?;

    let report = common.report.lock();
    println!(
        "{}",
        report.json(options.sessions, options.objects, began.elapsed())
    );
    for told in report.told() {
        println!("{told}");
    }
    println!("{}", if report.passed() { "PASS" } else { "FAIL" });
    Ok(report.passed())
}

/// Waits until nothing is under way; how many sessions that is true of.
async fn settle(common: &Common, sessions: usize) -> usize {
    let until = Instant::now() + SETTLE_MAX;
    loop {
        let settled = common.settled.load(Ordering::Relaxed);
        if settled == sessions || Instant::now() >= until {
            return settled;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A session is a file here, and two more when it goes through the proxy.
fn raise_open_files_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")
}
