//! The actor under simulation: a register that is also a counter, kept three times, with alarms,
//! sessions and calls to its like.

use std::collections::BTreeMap;

use abide::prelude::*;

use super::probe::{self, Life};

/// The query of a session that wants to be durable.
pub(crate) const DURABLE: &str = "durable";

/// What an object shows of itself in every answer and every frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Turns that have changed the value.
    pub(crate) turns: u64,
    /// The operation of the last of them. No two operations have the same number.
    pub(crate) last: u64,
    pub(crate) value: i64,
}

/// What a read shows: the value from all the places where it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) seen: Seen,
    /// The value in two rows beside the state.
    pub(crate) rows: [i64; 2],
}

/// All that an object knows, for the end of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audit {
    pub(crate) seen: Seen,
    pub(crate) rows: [i64; 2],
    /// How often each alarm's handler has taken effect, by the state and by rows.
    pub(crate) rang: BTreeMap<String, u32>,
    pub(crate) rang_rows: BTreeMap<String, u32>,
}

/// A frame to a session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Frames to this session are numbered from 1.
    pub(crate) number: u64,
    pub(crate) seen: Seen,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Subject {
    seen: Seen,
    rang: BTreeMap<String, u32>,
    #[serde(skip)]
    life: Life,
}

#[actor]
impl Subject {
    #[call]
    async fn add(
        &mut self,
        ctx: &mut Context<Self>,
        op: u64,
        by: i64,
        pause_ms: u64,
    ) -> Result<Seen, CallError> {
        let value = self.seen.value.wrapping_add(by);
        self.change(ctx, op, value, pause_ms).await
    }

    #[call]
    async fn put(
        &mut self,
        ctx: &mut Context<Self>,
        op: u64,
        value: i64,
        pause_ms: u64,
    ) -> Result<Seen, CallError> {
        self.change(ctx, op, value, pause_ms).await
    }

    /// Changes everything and fails.
    #[call]
    async fn refuse(&mut self, ctx: &mut Context<Self>, op: u64) -> Result<Seen, ActorError> {
        self.change(ctx, op, -1, 0).await?;
        ctx.set_alarm(&format!("refused-{op}"), Duration::from_millis(1))?;
        Err(ActorError::new("refused", "on purpose"))
    }

    #[call]
    async fn get(&self, ctx: &Context<Self>, pause_ms: u64) -> Result<Read, CallError> {
        let rows = rows(ctx).await?;
        if pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        Ok(Read {
            seen: self.seen,
            rows,
        })
    }

    /// Hands an addition on to another object.
    #[call]
    async fn relay(
        &mut self,
        ctx: &mut Context<Self>,
        to: String,
        op: u64,
        by: i64,
    ) -> Result<Seen, CallError> {
        let _turn = self.life.enter(ctx.name().unwrap_or_default());
        ctx.actor::<Self>(&to).add(op, by, 0).await
    }

    /// Takes something off the value and sends it to another object, as one turn.
    #[call]
    async fn give(
        &mut self,
        ctx: &mut Context<Self>,
        op: u64,
        sent_op: u64,
        to: String,
        by: i64,
    ) -> Result<Seen, CallError> {
        ctx.send::<Self>(&to).add(sent_op, by, 0)?;
        let value = self.seen.value.wrapping_sub(by);
        self.change(ctx, op, value, 0).await
    }

    /// Tells another object what this one has seen. That must be durable by then.
    #[call]
    async fn tell(&mut self, ctx: &mut Context<Self>, to: String) -> Result<(), CallError> {
        let _turn = self.life.enter(ctx.name().unwrap_or_default());
        let about = ctx.name().unwrap_or_default().to_owned();
        ctx.actor::<Self>(&to).hear(about, self.seen).await
    }

    /// Hears of another object.
    #[call]
    fn hear(&mut self, about: String, seen: Seen) {
        probe::sighted(&about, seen);
    }

    #[call]
    fn wake(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        after_ms: u64,
    ) -> Result<u64, CallError> {
        let at = ctx.now() + Duration::from_millis(after_ms);
        ctx.set_alarm(&name, at)?;
        Ok(at.0)
    }

    #[call]
    async fn audit(&self, ctx: &Context<Self>) -> Result<Audit, CallError> {
        let rang = ctx.storage().list::<u32>(Keys::prefix("rang/")).await?;
        let name = |key: String| key.trim_start_matches("rang/").to_owned();
        Ok(Audit {
            seen: self.seen,
            rows: rows(ctx).await?,
            rang: self.rang.clone(),
            rang_rows: rang
                .into_iter()
                .map(|(key, count)| (name(key), count))
                .collect(),
        })
    }

    /// Fails as often as the alarm's name says: `name/failures`.
    async fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), ActorError> {
        let object = ctx.name().unwrap_or_default().to_owned();
        let _turn = self.life.enter(&object);
        probe::attempted(&object, &alarm, ctx.now());
        let count = self.rang.entry(alarm.name.to_string()).or_default();
        *count += 1;
        let count = *count;
        ctx.storage_mut()
            .put(&format!("rang/{}", alarm.name), &count)?;
        let failures = alarm
            .name
            .rsplit_once('/')
            .and_then(|(_, text)| text.parse().ok());
        if alarm.retries < failures.unwrap_or(0) {
            return Err(ActorError::new("not-yet", "on purpose"));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(())
    }

    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        if request.query == DURABLE {
            session.set_durable()?;
        }
        // The new session is told like all the others.
        tell_all(ctx, self.seen);
        Ok(())
    }

    /// A frame is an addition: `op by`.
    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        _session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        let text = frame.as_text().unwrap_or_default();
        let Some((op, by)) = text.split_once(' ') else {
            return Err(ActorError::new("no-addition", "a frame is `op by`"));
        };
        let (op, by): (u64, i64) = (op.parse()?, by.parse()?);
        let value = self.seen.value.wrapping_add(by);
        self.change(ctx, op, value, 0).await?;
        Ok(())
    }
}

impl Subject {
    /// One turn that changes the state, two rows and every session.
    async fn change(
        &mut self,
        ctx: &mut Context<Self>,
        op: u64,
        value: i64,
        pause_ms: u64,
    ) -> Result<Seen, CallError> {
        let _turn = self.life.enter(ctx.name().unwrap_or_default());
        ctx.storage_mut().put("left", &value)?;
        self.seen = Seen {
            turns: self.seen.turns + 1,
            last: op,
            value,
        };
        if pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        ctx.storage_mut().put("right", &value)?;
        // Fills segments of the log, so that they roll.
        ctx.storage_mut().put("ballast", &"x".repeat(300))?;
        tell_all(ctx, self.seen);
        Ok(self.seen)
    }
}

async fn rows(ctx: &Context<Subject>) -> Result<[i64; 2], CallError> {
    let left = ctx.storage().get::<i64>("left").await?;
    let right = ctx.storage().get::<i64>("right").await?;
    Ok([left.unwrap_or(0), right.unwrap_or(0)])
}

fn tell_all(ctx: &mut Context<Subject>, seen: Seen) {
    for session in ctx.sessions() {
        let number = session.attachment::<u64>().unwrap_or(0) + 1;
        let told = Told { number, seen };
        let sent = session
            .attach(&number)
            .and_then(|()| session.send_json(&told));
        sent.expect("a few numbers always encode");
    }
}
