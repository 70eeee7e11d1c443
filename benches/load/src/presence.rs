//! A crowd on an object that shows who is here: they come, and then all come again at once.
//!
//! What counts is what that costs: bytes and messages to each of them, and time of the server.
//! Both waves are told by themselves. The second begins with the loss of every connection: either
//! the driver drops them, and everybody comes anew, or it restarts the server, and everybody
//! resumes.

mod member;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::options::{Options, Presence};
use crate::served::Served;
use crate::{process, rounded};
use member::{Kind, Member};

/// A wave is over when nothing has been told for so long.
const QUIET: Duration = Duration::from_secs(3);

/// Handshakes under way at one time.
const HANDSHAKES: usize = 64;

/// How long everybody may take to resume.
const RESUME_MAX: Duration = Duration::from_secs(120);

/// Comes, waits until it is quiet, and comes again.
///
/// # Errors
/// When a session is refused or lost, or somebody was not told who is here.
pub(crate) async fn run(options: &Options, presence: &Presence) -> anyhow::Result<Value> {
    let (come, again) = match &presence.restart {
        None => {
            let come = come_and_leave(options, presence).await?;
            (come, come_and_leave(options, presence).await?)
        }
        Some(program) => {
            let (program, listen) = (program.clone(), options.server.clone());
            let served = spawn_blocking(|| Served::start(program, listen)).await??;
            come_and_resume(options, presence, served).await?
        }
    };
    Ok(json!({
        "scenario": options.scenario.name(),
        "members": presence.members,
        "come": come,
        "again": again,
    }))
}

/// As many members as wanted come, and leave when they have been told all.
async fn come_and_leave(options: &Options, presence: &Presence) -> anyhow::Result<Value> {
    let mut crowd = Crowd::new(options, presence, Kind::Plain)?;
    let cpu = Cpu::since_now(options.server_pid)?;
    let began = Instant::now();
    crowd.come().await?;
    crowd.quiet(began).await?;
    crowd.report(began, &cpu)
}

/// The server is restarted under them.
async fn come_and_resume(
    options: &Options,
    presence: &Presence,
    mut served: Served,
) -> anyhow::Result<(Value, Value)> {
    let mut crowd = Crowd::new(options, presence, Kind::Resumes)?;
    let cpu = Cpu::since_now(Some(served.pid()))?;
    let began = Instant::now();
    crowd.come().await?;
    crowd.quiet(began).await?;
    let come = crowd.report(began, &cpu)?;

    crowd.forget();
    let ended = Instant::now();
    let served = spawn_blocking(move || served.restart().map(|()| served)).await??;
    let (back, cpu) = (Instant::now(), Cpu::of_all(served.pid()));
    crowd.all_resumed(back).await?;
    crowd.quiet(back).await?;
    let mut again = crowd.report(back, &cpu)?;
    again["down_s"] = json!(rounded((back - ended).as_secs_f64()));
    Ok((come, again))
}

/// All members; they are gone when it is dropped.
struct Crowd {
    members: Vec<Rc<Member>>,
    readers: JoinSet<()>,
}

impl Crowd {
    fn new(options: &Options, presence: &Presence, kind: Kind) -> anyhow::Result<Self> {
        let server = options.server.parse().context("--server is an address")?;
        let object = format!("{}/{}", presence.namespace, options.object(0));
        let member = |number| Rc::new(Member::new(server, &object, number, kind));
        Ok(Self {
            members: (0..presence.members).map(member).collect(),
            readers: JoinSet::new(),
        })
    }

    /// Everybody comes, and stays.
    async fn come(&mut self) -> anyhow::Result<()> {
        let coming: Vec<_> = self.members.iter().cloned().map(Member::come).collect();
        let mut coming = stream::iter(coming)
            .map(Ok)
            .try_buffer_unordered(HANDSHAKES);
        while let Some(present) = coming.try_next().await? {
            self.readers.spawn_local(present.stay());
        }
        Ok(())
    }

    /// What was told so far belongs to the wave before.
    fn forget(&self) {
        for member in &self.members {
            member.told.reset();
        }
    }

    /// Waits until everybody is there for the second time.
    async fn all_resumed(&self, since: Instant) -> anyhow::Result<()> {
        while self.members.iter().any(|member| member.came.get() < 2) {
            self.all_there()?;
            ensure!(since.elapsed() < RESUME_MAX, "not all have resumed");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Waits until nobody is told anything any more, and everybody knows how many they are.
    async fn quiet(&self, since: Instant) -> anyhow::Result<()> {
        loop {
            sleep(QUIET / 10).await;
            let told = self
                .members
                .iter()
                .filter_map(|member| member.told.last.get());
            if told.max().unwrap_or(since).elapsed() >= QUIET {
                break;
            }
        }
        self.all_there()?;
        let all = self.members.len() as u64;
        let wrong = self.members.iter();
        let wrong = wrong
            .filter(|member| member.told.count.get() != all)
            .count();
        ensure!(
            wrong == 0,
            "{wrong} members were not told that there are {all}"
        );
        Ok(())
    }

    fn all_there(&self) -> anyhow::Result<()> {
        let lost = self
            .members
            .iter()
            .filter_map(|member| member.lost.borrow().clone());
        let lost: Vec<String> = lost.collect();
        match lost.first() {
            Some(why) => bail!("{} members are gone: {why}", lost.len()),
            None => Ok(()),
        }
    }

    /// How often members were not let in at first, by the reason.
    fn refused(&self) -> BTreeMap<String, u64> {
        let mut refused = BTreeMap::new();
        for why in self.members.iter().flat_map(|member| member.refused.take()) {
            *refused.entry(why).or_default() += 1;
        }
        refused
    }

    fn report(&self, since: Instant, cpu: &Cpu) -> anyhow::Result<Value> {
        let told = || self.members.iter().map(|member| &member.told);
        let seconds = |at: Option<Instant>| {
            let at = at.context("nobody was told anything")?;
            anyhow::Ok(rounded((at - since).as_secs_f64()))
        };
        let came = self
            .members
            .iter()
            .filter_map(|member| member.came_at.get());
        let mut came: Vec<Instant> = came.collect();
        came.sort_unstable();
        Ok(json!({
            "opened_median_s": seconds(came.get(came.len() / 2).copied())?,
            "opened_p99_s": seconds(came.get(came.len() * 99 / 100).copied())?,
            "opened_s": seconds(came.last().copied())?,
            "all_know_s": seconds(told().filter_map(|told| told.counted.get()).max())?,
            "quiet_s": seconds(told().filter_map(|told| told.last.get()).max())?,
            "refused": self.refused(),
            "messages": told().map(|told| told.messages.get()).sum::<u64>(),
            "bytes": told().map(|told| told.bytes.get()).sum::<u64>(),
            "bytes_most": told().map(|told| told.bytes.get()).max(),
            "server_cpu_s": cpu.used_s()?,
        }))
    }
}

/// What the server's process has used.
struct Cpu {
    pid: Option<u32>,
    before: Duration,
}

impl Cpu {
    fn since_now(pid: Option<u32>) -> anyhow::Result<Self> {
        let before = pid.map(process::cpu_time).transpose()?.unwrap_or_default();
        Ok(Self { pid, before })
    }

    /// From the start of the process.
    fn of_all(pid: u32) -> Self {
        Self {
            pid: Some(pid),
            before: Duration::ZERO,
        }
    }

    fn used_s(&self) -> anyhow::Result<Option<f64>> {
        let used = self.pid.map(process::cpu_time).transpose()?;
        Ok(used.map(|used| rounded(used.saturating_sub(self.before).as_secs_f64())))
    }
}
