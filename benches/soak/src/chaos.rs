//! What happens to the server and to the connections, and when.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::Common;
use crate::options::{Options, Plan};
use crate::proxy::{Cut, Scissors};
use crate::restarts::How;
use crate::server::Server;

/// Drains of the plan `resume`.
const RESUME_DRAINS: u32 = 3;

/// How long sessions may take to open or to resume before the run is given up.
const OPEN_MAX: Duration = Duration::from_secs(120);

/// Goes on until the time is over.
///
/// # Errors
/// When the server does not end or start as it should.
pub(crate) async fn run(
    options: &Options,
    server: &mut Server,
    scissors: &Scissors,
    common: &Common,
) -> anyhow::Result<()> {
    opened(common, options.sessions).await?;
    if options.plan == Plan::Resume {
        return resume(options, server, common).await;
    }
    let mut random = fastrand::Rng::with_seed(options.seed);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let every = Duration::from_secs(options.every);
    let mut stretch = Instant::now();
    let mut next_end = within(stretch, every, &mut random);
    let mut next_cut = Instant::now();
    let mut drained_last = random.bool();
    while Instant::now() < end {
        tokio::select! {
            () = sleep_until(end) => {}
            () = sleep_until(next_end), if options.plan != Plan::Cuts => {
                let how = match options.plan {
                    Plan::Drains => How::Drained,
                    Plan::Kills => How::Killed,
                    _ if drained_last => How::Killed,
                    _ => How::Drained,
                };
                drained_last = how == How::Drained;
                restart(server, common, how)?;
                stretch += every;
                next_end = within(stretch, every, &mut random);
            }
            () = sleep_until(next_cut), if options.cuts > 0.0 => {
                let how = if random.u32(0..4) == 0 { Cut::HalfOpen } else { Cut::Both };
                common.report.lock().cuts += u32::from(scissors.cut(&mut random, how));
                next_cut = Instant::now() + Duration::from_secs_f64(2.0 * random.f64() / options.cuts);
            }
        }
    }
    Ok(())
}

/// Drains under load, one after the other.
async fn resume(options: &Options, server: &mut Server, common: &Common) -> anyhow::Result<()> {
    for _ in 0..RESUME_DRAINS {
        sleep(Duration::from_secs(5)).await;
        let before = common.opened.load(Ordering::Relaxed);
        restart(server, common, How::Drained)?;
        let listening = Instant::now();
        opened(common, before + options.sessions).await?;
        common.report.lock().all_back.push(listening.elapsed());
    }
    sleep(Duration::from_secs(2)).await;
    Ok(())
}

fn restart(server: &mut Server, common: &Common, how: How) -> anyhow::Result<()> {
    {
        let mut report = common.report.lock();
        match how {
            How::Drained => report.drains += 1,
            How::Killed => report.kills += 1,
        }
    }
    let asked = Instant::now();
    wait_blocking(|| server.restart(how))?;
    common.report.lock().down.push(asked.elapsed());
    Ok(())
}

/// The server's end and start are waited for, while the sessions go on.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench has no storage threads, and waits for a process"
)]
fn wait_blocking<T>(wait: impl FnOnce() -> T) -> T {
    block_in_place(wait)
}

/// Waits until so many sessions have been opened or resumed since the beginning.
async fn opened(common: &Common, wanted: usize) -> anyhow::Result<()> {
    let until = Instant::now() + OPEN_MAX;
    loop {
        let opened = common.opened.load(Ordering::Relaxed);
        if opened >= wanted {
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "{opened} of {wanted} sessions are open"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// A random moment in the middle of a stretch, so that two never come at once.
fn within(stretch: Instant, every: Duration, random: &mut fastrand::Rng) -> Instant {
    stretch + every.mul_f64(0.2 + 0.6 * random.f64())
}
