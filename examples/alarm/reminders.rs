//! Reminders: one durable alarm each. They survive restarts, and one that must be heard is
//! retried by the runtime until somebody listens.

use std::collections::{BTreeMap, VecDeque};

use abide::prelude::*;

/// Reminders that have fired and are remembered; older ones are forgotten.
const HISTORY_MAX: usize = 100;
/// Longest name: it is the name of the alarm, too.
const NAME_SIZE_MAX_BYTES: usize = 256;
/// Reminders waiting at once.
const PENDING_MAX: usize = 1_000;

/// The reminders of one person, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reminders {
    pending: BTreeMap<String, Pending>,
    history: VecDeque<Fired>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    text: String,
    at: Timestamp,
    until_heard: bool,
    cron: Option<Cron>,
}

/// One reminder that waits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Reminder {
    /// Chosen by who set it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// When it was set for, Unix milliseconds.
    pub(crate) at: u64,
}

/// One reminder that has fired.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Fired {
    /// Chosen by who set it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// When it fired, Unix milliseconds.
    pub(crate) at: u64,
    /// How often it had failed before, because nobody was there to hear it.
    pub(crate) retries: u32,
}

#[actor]
impl Reminders {
    /// Says `text` in `in_ms` milliseconds to every session, and into the history. The same name
    /// again replaces the first. With `until_heard` it fires only once somebody is connected.
    #[call]
    fn remind(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        in_ms: u64,
        text: String,
        until_heard: Option<bool>,
    ) -> Result<(), ActorError> {
        self.check(&name)?;
        let at = ctx.now() + Duration::from_millis(in_ms);
        ctx.set_alarm(&name, at)?;
        self.pending.insert(
            name,
            Pending {
                text,
                at,
                until_heard: until_heard.unwrap_or(false),
                cron: None,
            },
        );
        Ok(())
    }

    /// Says `text` again and again, whenever the clocks of a time zone show a time of the cron
    /// expression, until it is cancelled.
    #[call]
    fn remind_by_calendar(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        cron: String,
        zone: String,
        text: String,
    ) -> Result<(), ActorError> {
        self.check(&name)?;
        let cron = Cron::new(&cron, &zone)?;
        ctx.set_alarm(&name, cron.clone())?;
        let pending = Pending {
            text,
            at: ctx.alarm(&name).unwrap_or_default(),
            until_heard: false,
            cron: Some(cron),
        };
        self.pending.insert(name, pending);
        Ok(())
    }

    /// Takes a reminder back; whether there was one.
    #[call]
    fn cancel(&mut self, ctx: &mut Context<Self>, name: String) -> bool {
        ctx.cancel_alarm(&name);
        self.pending.remove(&name).is_some()
    }

    /// The reminders that wait, by name.
    #[call]
    fn pending(&self) -> Vec<Reminder> {
        let waiting = self.pending.iter().map(|(name, pending)| Reminder {
            name: name.clone(),
            text: pending.text.clone(),
            at: pending.at.0,
        });
        waiting.collect()
    }

    /// What has fired, oldest first.
    #[call]
    fn history(&self) -> Vec<Fired> {
        self.history.iter().cloned().collect()
    }

    /// Lets everybody listen.
    fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}

    /// An alarm whose turn fails is not lost: nothing of the turn is kept, and the runtime tries
    /// again after 2 s, 4 s, 8 s and so on. Here a failure is chosen: nobody was listening.
    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), ActorError> {
        // None: it was cancelled while it was on its way.
        let Some(mut reminder) = self.pending.remove(&*alarm.name) else {
            return Ok(());
        };
        if reminder.until_heard && ctx.session_count() == 0 {
            return Err(ActorError::new(
                "nobody-listens",
                "no session is open to hear it",
            ));
        }
        let fired = Fired {
            name: alarm.name.to_string(),
            text: reminder.text.clone(),
            at: ctx.now().0,
            retries: alarm.retries,
        };
        ctx.broadcast_json(&fired)?;
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(fired);
        // The runtime sets an alarm that recurs for its next time, in this turn's commit.
        if let Some(next) = reminder
            .cron
            .as_ref()
            .and_then(|cron| cron.next_after(ctx.now()))
        {
            reminder.at = next;
            self.pending.insert(alarm.name.to_string(), reminder);
        }
        Ok(())
    }
}

impl Reminders {
    /// Whether one more of this name may wait.
    fn check(&self, name: &str) -> Result<(), ActorError> {
        if name.is_empty() || name.len() > NAME_SIZE_MAX_BYTES {
            let message = format!("a name has 1 to {NAME_SIZE_MAX_BYTES} bytes");
            return Err(ActorError::new("invalid-name", message));
        }
        if self.pending.len() >= PENDING_MAX && !self.pending.contains_key(name) {
            let message = format!("{PENDING_MAX} reminders are waiting already");
            return Err(ActorError::new("too-many-reminders", message).status(409));
        }
        Ok(())
    }
}
