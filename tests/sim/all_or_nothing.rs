//! **all-or-nothing**: a turn happens whole or not at all, and a failed commit says whether its
//! effect is none or unknown.

mod commits;

use std::time::Duration;

use abide::prelude::*;
use abide_actors::testing::{TestSession, World};
use abide_storage::Effect;

use crate::seeds::each_seed;
use crate::support::{begin, note, settle, take_notes};

/// How a turn ends that has changed everything there is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Well,
    Error,
    Panic,
    /// It runs until its deadline.
    Overrun,
    /// It stages more than a turn may.
    Overstaged,
    /// What it wrote is more than one commit takes.
    TooLarge,
    /// The store takes no writes.
    Refused,
}

const FAILURES: [End; 6] = [
    End::Error,
    End::Panic,
    End::Overrun,
    End::Overstaged,
    End::TooLarge,
    End::Refused,
];

impl End {
    fn from_name(name: &str) -> Self {
        serde_json::from_value(name.into()).expect("the tests send names of ends")
    }

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// An actor with something of every kind in it.
#[derive(Default, Serialize, Deserialize)]
struct Vault {
    value: u64,
    #[serde(skip)]
    memory: u64,
}

/// Everything of a vault that a turn can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    value: u64,
    memory: u64,
    rows: Vec<(String, u64)>,
    alarms: Vec<Option<u64>>,
    observers: Vec<(Vec<String>, Option<String>)>,
}

#[actor]
impl Vault {
    fn activated(&mut self) {
        self.memory = 7;
    }

    /// The state the failing turns start from.
    #[call]
    fn prepare(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        self.value = 1;
        ctx.set_alarm("kept", Duration::from_secs(3_600))?;
        let mut storage = ctx.storage_mut();
        storage.put("kept", &1_u64)?;
        storage.put("doomed", &1_u64)
    }

    #[call]
    async fn change(&mut self, ctx: &mut Context<Self>, end: End) -> Result<u64, ActorError> {
        self.turn_upside_down(ctx, end).await?;
        Ok(self.value)
    }

    #[call]
    fn add(&mut self, ctx: &mut Context<Self>, by: u64) -> u64 {
        self.value += by;
        ctx.broadcast(format!("value is {}", self.value));
        self.value
    }

    #[call]
    fn wake(&mut self, ctx: &mut Context<Self>, name: String) -> Result<(), CallError> {
        ctx.set_alarm(&name, Duration::from_secs(1))
    }

    #[call]
    fn mark(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        self.value += 1;
        ctx.set_auto_response("ping", "marked");
        ctx.sessions_tagged("old").iter().try_for_each(|session| {
            session.set_tags(["new"])?;
            session.attach(&"new")
        })
    }

    /// One random change of many, for the comparison with a model.
    #[call]
    async fn random(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        value: u64,
        end: End,
    ) -> Result<(), ActorError> {
        self.value += value;
        match value % 3 {
            0 => ctx.storage_mut().delete(&key)?,
            _ => ctx.storage_mut().put(&key, &value)?,
        }
        come_to(ctx, end).await
    }

    #[call]
    async fn look(&self, ctx: &Context<Self>) -> Result<Seen, CallError> {
        let alarms = ["kept", "new", "Error"].map(|name| ctx.alarm(name).map(|at| at.0));
        let observers = ctx.sessions().into_iter().map(|session| {
            let tags = session.tags().iter().map(|tag| tag.to_string()).collect();
            (tags, session.attachment())
        });
        Ok(Seen {
            value: self.value,
            memory: self.memory,
            rows: ctx.storage().list(Keys::all().limit(100)).await?,
            alarms: alarms.into(),
            observers: observers.collect(),
        })
    }

    #[call]
    async fn wait_and_look(&self, ctx: &Context<Self>) -> Result<u64, CallError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.look(ctx).await.map(|seen| seen.value)
    }

    #[call]
    fn sessions(&self, ctx: &Context<Self>) -> usize {
        ctx.session_count()
    }

    async fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        match &*request.query {
            "" => Ok(()),
            "observer" => {
                session.set_tags(["old"])?;
                session.attach(&"old")?;
                Ok(())
            }
            "refuse" => Err(ConnectError::Refused(Refusal::new("no"))),
            "write" => {
                self.value += 1;
                Ok(())
            }
            end => {
                session.send("never");
                session.set_tags(["new"])?;
                let ended = self.turn_upside_down(ctx, End::from_name(end)).await;
                ended.map_err(|error| CallError::Actor(error).into())
            }
        }
    }

    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        match frame.as_text() {
            Some("ping") => {
                session.send("no automatic answer");
                Ok(())
            }
            Some("count") => {
                self.value += 1;
                session.send(format!("value is {}", self.value));
                Ok(())
            }
            end => {
                self.turn_upside_down(ctx, End::from_name(end.unwrap_or_default()))
                    .await
            }
        }
    }

    fn disconnected(&mut self, _session: &Session, close: &Close) {
        note(format!("disconnected {}", close.code));
    }

    async fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), ActorError> {
        self.turn_upside_down(ctx, End::from_name(&alarm.name))
            .await
    }

    async fn fetch(
        &mut self,
        ctx: &mut Context<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, ActorError> {
        let end = End::from_name(request.uri().path().trim_start_matches('/'));
        self.turn_upside_down(ctx, end).await?;
        Ok(Response::new(Body::empty()))
    }

    fn tick(&mut self) {
        note("tick");
    }
}

impl Vault {
    /// Changes something of every kind, then comes to its end.
    async fn turn_upside_down(
        &mut self,
        ctx: &mut Context<Self>,
        end: End,
    ) -> Result<(), ActorError> {
        note("upside down");
        self.value += 100;
        self.memory += 100;
        let mut storage = ctx.storage_mut();
        storage.put("kept", &100_u64)?;
        storage.put("new", &100_u64)?;
        storage.delete("doomed")?;
        ctx.cancel_alarm("kept");
        ctx.set_alarm("new", Duration::from_secs(60))?;
        for observer in ctx.sessions_tagged("old") {
            observer.set_tags(["new"])?;
            observer.attach(&"new")?;
            observer.send("never");
            observer.close(4000, "never");
        }
        ctx.broadcast("never");
        ctx.set_auto_response("ping", "never");
        ctx.set_tick(Tick::every(Duration::from_millis(10)).always());
        ctx.passivate();
        come_to(ctx, end).await
    }
}

async fn come_to(ctx: &mut Context<Vault>, end: End) -> Result<(), ActorError> {
    match end {
        End::Well | End::Refused => Ok(()),
        End::Error => Err(ActorError::new(
            "changed-my-mind",
            "the turn ends in an error",
        )),
        End::Panic => panic!("this test's actor panics on purpose"),
        End::Overrun => std::future::pending().await,
        End::Overstaged => Ok(ctx.storage_mut().put_bytes("big", vec![0; 17 << 20])?),
        End::TooLarge => Ok(ctx.storage_mut().put_bytes("big", vec![0; 9 << 20])?),
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder().actor::<Vault>("vault").run(test)
}

/// The messages a turn can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Call,
    Fetch,
    Frame,
    Connect,
    Alarm,
}

const CARRIERS: [Carrier; 5] = [
    Carrier::Call,
    Carrier::Fetch,
    Carrier::Frame,
    Carrier::Connect,
    Carrier::Alarm,
];

/// Has one turn done, and waits until it has failed.
async fn have_done(world: &World, carrier: Carrier, end: End) {
    let deadline = abide::Deadline::after(Duration::from_secs(60));
    let effect = match carrier {
        Carrier::Call => world
            .actor::<Vault>("a")
            .change(end)
            .await
            .unwrap_err()
            .effect(),
        Carrier::Fetch => {
            let target = world.runtime().target("vault", "a").unwrap();
            let uri = format!("/{}", end.name());
            let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
            let fetched = world
                .runtime()
                .fetch(&target, request, deadline, Default::default());
            fetched.await.unwrap_err().effect()
        }
        Carrier::Connect => match world.connect("vault", "a", &end.name()).await.unwrap_err() {
            ConnectError::Call(error) => error.effect(),
            other => panic!("the turn failed, it did not refuse: {other}"),
        },
        Carrier::Frame => {
            // Accepted while the store still took writes.
            let mut sender = world.connect("vault", "a", "").await.unwrap();
            sender.send(end.name()).await;
            let close = sender.closed().await.unwrap();
            assert_eq!(close.code, Close::INTERNAL_ERROR);
            Effect::None
        }
        Carrier::Alarm => {
            // Set by `before`; it is retried 2 s later at the earliest.
            world.advance(Duration::from_secs(1)).await;
            if end == End::Overrun {
                world.advance(Duration::from_secs(30)).await;
            }
            Effect::None
        }
    };
    assert_eq!(effect, Effect::None, "nothing has happened");
    settle(world).await;
}

#[test]
fn of_a_failed_turn_nothing_remains() {
    for end in FAILURES {
        for carrier in CARRIERS {
            world(async |world| nothing_remains(world, carrier, end).await);
        }
    }
}

async fn nothing_remains(world: &mut World, carrier: Carrier, end: End) {
    let case = format!("a {carrier:?} that ends in {end:?}");
    let vault = world.actor::<Vault>("a");
    let mut observer = world.connect("vault", "a", "observer").await.unwrap();
    vault.prepare().await.unwrap();
    if carrier == Carrier::Alarm {
        vault.wake(end.name()).await.unwrap();
    }
    let before = vault.look().await.unwrap();
    assert_eq!(
        before.observers,
        [(vec!["old".to_owned()], Some("old".to_owned()))],
        "{case}"
    );
    take_notes();

    world
        .store()
        .refuse_writes((end == End::Refused).then_some("this test refuses writes"));
    have_done(world, carrier, end).await;
    world.store().refuse_writes(None);

    let notes = take_notes();
    assert_eq!(
        notes.iter().filter(|note| *note == "upside down").count(),
        1,
        "{case}: {notes:?}"
    );
    assert!(!notes.contains(&"tick".to_owned()), "{case}: {notes:?}");
    if !matches!(end, End::Panic | End::Overrun) {
        assert_eq!(
            world.runtime().stats().activations,
            1,
            "{case}: passivate() was undone, too"
        );
    }
    assert_eq!(vault.look().await.unwrap(), before, "{case}");
    assert_eq!(observer.arrived().await, [], "{case}");
    observer.send("ping").await;
    assert_eq!(
        observer.next_text().await.as_deref(),
        Some("no automatic answer"),
        "{case}"
    );

    if (carrier, end) == (Carrier::Alarm, End::Refused) {
        // Not even its failure could be written down, so it would fire at once, and succeed.
        return;
    }
    // What a crash leaves is the same, but for the sessions.
    world.crash().await;
    let after_crash = world.actor::<Vault>("a").look().await.unwrap();
    assert_eq!(
        after_crash,
        Seen {
            observers: Vec::new(),
            ..before
        },
        "{case}"
    );
}

#[test]
fn of_a_turn_that_succeeds_everything_remains() {
    world(async |world| {
        let vault = world.actor::<Vault>("a");
        let mut observer = world.connect("vault", "a", "observer").await.unwrap();
        vault.prepare().await.unwrap();
        vault.change(End::Well).await.unwrap();
        let seen = vault.look().await.unwrap();
        assert_eq!((seen.value, seen.rows.len()), (101, 2));
        assert_eq!(seen.rows, [("kept".into(), 100), ("new".into(), 100)]);
        assert!(seen.alarms[0].is_none() && seen.alarms[1].is_some());
        assert_eq!(
            observer.arrived().await,
            ["never".into()],
            "sent before the close"
        );
        assert_eq!(observer.closed().await.unwrap().code, 4000);
    });
}

/// Random turns with random ends: after each one, what is there is what a model of the successful
/// ones has.
#[test]
fn random_failures_leave_what_the_model_has() {
    each_seed(40, |seed| {
        world(async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut model = std::collections::BTreeMap::new();
            let mut total = 0;
            for _ in 0..30 {
                let (key, value) = (format!("k{}", random.u8(0..6)), random.u64(1..100));
                let end = match random.u8(0..12) {
                    0 => End::Error,
                    1 => End::Panic,
                    2 => End::Overrun,
                    3 => End::Refused,
                    4 => End::TooLarge,
                    _ => End::Well,
                };
                world
                    .store()
                    .refuse_writes((end == End::Refused).then_some("refused"));
                let done = world
                    .actor::<Vault>("a")
                    .random(key.clone(), value, end)
                    .await;
                world.store().refuse_writes(None);
                assert_eq!(done.is_ok(), end == End::Well, "{done:?}");
                if done.is_ok() {
                    total += value;
                    match value % 3 {
                        0 => model.remove(&key),
                        _ => model.insert(key, value),
                    };
                }
                if random.u8(0..10) == 0 {
                    world.crash().await;
                }
                let seen = world.actor::<Vault>("a").look().await.unwrap();
                assert_eq!(seen.value, total);
                assert_eq!(seen.rows, model.clone().into_iter().collect::<Vec<_>>());
            }
        });
    });
}

#[test]
fn a_session_whose_connect_failed_was_never_there() {
    world(async |world| {
        for end in FAILURES.into_iter().filter(|end| *end != End::Refused) {
            take_notes();
            world.connect("vault", "a", &end.name()).await.unwrap_err();
            world.connect("vault", "a", "refuse").await.unwrap_err();
            assert_eq!(
                world.actor::<Vault>("a").sessions().await.unwrap(),
                0,
                "{end:?}"
            );
            assert_eq!(
                take_notes(),
                ["upside down"],
                "disconnected was not called, {end:?}"
            );
            assert_eq!(world.runtime().stats().sessions, 0);
        }
    });
}

/// 1. A turn's commit is on its way to the disk, so the answers of later turns are held.
/// 2. Two clients ask for sessions; one gets an error, one is refused.
/// 3. The turn after that must not find them among its sessions.
#[test]
fn a_session_that_was_not_accepted_is_not_seen_by_the_next_turn() {
    world(async |world| {
        let vault = world.actor::<Vault>("a");
        world.store().hold_commits();
        let _add = begin(world, vault.add(1)).await;
        let _failed = begin(world, world.connect("vault", "a", "Error")).await;
        let _refused = begin(world, world.connect("vault", "a", "refuse")).await;
        let sessions = begin(world, vault.sessions()).await;
        world.store().release_commits();
        assert_eq!(sessions.await.unwrap(), 0);
    });
}

/// The observer is of use only if it would have been told.
#[test]
fn an_observer_hears_of_a_turn_that_succeeds() {
    world(async |world| {
        let mut observer: TestSession = world.connect("vault", "a", "observer").await.unwrap();
        world.actor::<Vault>("a").add(1).await.unwrap();
        assert_eq!(observer.arrived().await, ["value is 1".into()]);
    });
}
