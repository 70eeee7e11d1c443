//! An object that writes down every message it hears, and tells all its sessions.
//!
//! A client sends `<client> <number>`, its own numbers from one on. Each message becomes one line of
//! the object, numbered too: `l <line> <client> <number>`, to everybody. A new session is told first
//! where the object stands: `s <run> <lines> <upto> <beyond,beyond,…>`, where the last two say
//! which of this client's messages it has heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use abide::prelude::*;

/// Which start of the server this is, by the driver's count.
static RUN: LazyLock<u32> = LazyLock::new(|| {
    let told = std::env::var("ABIDE_SOAK_RUN");
    told.ok().and_then(|run| run.parse().ok()).unwrap_or(0)
});

/// What has been heard, and in which order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    lines: u64,
    heard: BTreeMap<u32, Heard>,
    /// Messages that came again.
    doubled: u64,
    /// Messages that came when one before them had not.
    unordered: u64,
}

/// What one client was heard to say.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Heard {
    /// All up to here.
    upto: u64,
    /// And these: after a crash a client sends again what was lost, behind what it had not sent yet.
    beyond: BTreeSet<u64>,
}

/// All accounts, for the end of a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Totals {
    lines: u64,
    doubled: u64,
    unordered: u64,
    /// Client, all heard up to, how many beyond.
    heard: Vec<(u32, u64, usize)>,
}

/// What a client says in the query.
#[derive(Debug, Deserialize)]
struct Who {
    client: u32,
    /// Whether the session is to live through SIGKILL.
    #[serde(default)]
    durable: bool,
}

#[actor]
impl Ledger {
    fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        let who: Who = request
            .query()
            .map_err(|error| Refusal::new(error.to_string()).status(400))?;
        if who.durable {
            session.set_durable()?;
        }
        let heard = self.heard.get(&who.client).cloned().unwrap_or_default();
        let beyond: Vec<_> = heard.beyond.iter().map(u64::to_string).collect();
        session.send(format!(
            "s {} {} {} {}",
            *RUN,
            self.lines,
            heard.upto,
            beyond.join(",")
        ));
        Ok(())
    }

    fn message(
        &mut self,
        ctx: &mut Context<Self>,
        _session: &Session,
        frame: Frame,
    ) -> Result<(), Refusal> {
        let said = frame.as_text().and_then(|text| text.split_once(' '));
        let said =
            said.and_then(|(client, number)| Some((client.parse().ok()?, number.parse().ok()?)));
        let (client, number): (u32, u64) =
            said.ok_or_else(|| Refusal::new("a message is '<client> <number>'"))?;
        let heard = self.heard.entry(client).or_default();
        if number <= heard.upto || heard.beyond.contains(&number) {
            self.doubled += 1;
        } else if number == heard.upto + 1 {
            heard.upto = number;
            while heard.beyond.remove(&(heard.upto + 1)) {
                heard.upto += 1;
            }
        } else {
            self.unordered += 1;
            heard.beyond.insert(number);
        }
        self.lines += 1;
        ctx.broadcast(format!("l {} {client} {number}", self.lines));
        Ok(())
    }

    /// All accounts.
    #[call]
    fn totals(&self) -> Totals {
        let heard = self.heard.iter();
        Totals {
            lines: self.lines,
            doubled: self.doubled,
            unordered: self.unordered,
            heard: heard
                .map(|(client, heard)| (*client, heard.upto, heard.beyond.len()))
                .collect(),
        }
    }
}
