//! Objects as values: an export is one moment of its object, a replacement happens whole or not at
//! all, and what lies between objects is not copied.

use abide::prelude::*;
use abide::{Call, Deadline, IdempotencyKey, Payload};
use abide_actors::testing::{BEGINNING, World};
use abide_actors::{ImageError, Precondition, Target};
use abide_storage::{Aftermath, CommitError, ObjectImage, Room, Section, Store};

use crate::seeds::each_seed;
use crate::support::{begin, is_open, note, settle, take_notes};

/// An hour after the beginning of a world; the alarm of a chest is as many seconds later as its
/// number says.
const WAKES: Timestamp = Timestamp(BEGINNING.0 + 3_600_000);

/// What a call sees of a chest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
struct Seen {
    number: u64,
    memory: u64,
    row: Option<u64>,
    only: Vec<u64>,
    alarm: Option<u64>,
}

impl Seen {
    /// A chest that was filled with the number, and activated since.
    fn stored(number: u64) -> Self {
        Self {
            number,
            memory: 0,
            row: Some(number),
            only: vec![number],
            alarm: Some(number),
        }
    }
}

/// Something in every section, all of it telling the same number.
#[derive(Default, Serialize, Deserialize)]
struct Chest {
    number: u64,
    #[serde(skip)]
    memory: u64,
}

#[actor]
impl Chest {
    fn activated(&mut self) {
        note("activated");
    }

    #[call]
    fn fill(&mut self, ctx: &mut Context<Self>, number: u64) -> Result<u64, CallError> {
        let last = format!("only-{}", self.number);
        self.number = number;
        self.memory = number;
        let due = Timestamp(WAKES.0 + 1_000 * number);
        ctx.set_alarm("wake", due)?;
        let mut storage = ctx.storage_mut();
        storage.delete(&last)?;
        storage.put(&format!("only-{number}"), &number)?;
        storage.put("number", &number)?;
        Ok(number)
    }

    /// Fills it in a turn that takes its time between its writes.
    #[call]
    async fn fill_slowly(
        &mut self,
        ctx: &mut Context<Self>,
        number: u64,
    ) -> Result<u64, CallError> {
        ctx.storage_mut().put("number", &u64::MAX)?;
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.fill(ctx, number)
    }

    #[call]
    async fn seen(&self, ctx: &Context<Self>) -> Result<Seen, CallError> {
        let storage = ctx.storage();
        let only = storage.list::<u64>(Keys::prefix("only-")).await?;
        Ok(Seen {
            number: self.number,
            memory: self.memory,
            row: storage.get("number").await?,
            only: only.into_iter().map(|(_, number)| number).collect(),
            alarm: ctx.alarm("wake").map(|at| (at.0 - WAKES.0) / 1_000),
        })
    }

    fn alarm(&mut self, alarm: Alarm) {
        note(format!("alarm {} of {}", alarm.name, self.number));
        self.number = 0;
    }

    fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}

    fn disconnected(&mut self, _session: &Session, close: &Close) {
        note(format!("disconnected {}", close.code));
    }

    fn deactivating(&mut self) {
        note("deactivating");
    }
}

/// Not a chest, and its state is one: nothing.
#[derive(Default, Serialize, Deserialize)]
struct Other {}

#[actor]
impl Other {
    #[call]
    fn poke(&mut self) {}
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder()
        .actor::<Chest>("chest")
        .actor::<Chest>("coffer")
        .actor::<Other>("other")
        .run(test)
}

fn target(world: &World, namespace: &str, name: &str) -> Target {
    world.runtime().target(namespace, name).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

async fn export(world: &World, name: &str) -> Result<ObjectImage, ImageError> {
    let target = target(world, "chest", name);
    world.runtime().export(&target, soon()).await
}

async fn replace(
    world: &World,
    name: &str,
    image: ObjectImage,
    precondition: Precondition,
) -> Result<Version, ImageError> {
    let target = target(world, "chest", name);
    let runtime = world.runtime();
    runtime.replace(&target, image, precondition, soon()).await
}

async fn fill(world: &World, name: &str, number: u64) {
    let call = world.call("chest", name, "fill", serde_json::json!([number]));
    call.await.unwrap();
}

async fn seen(world: &World, name: &str) -> Seen {
    let call = world.call("chest", name, "seen", serde_json::json!([]));
    serde_json::from_value(call.await.unwrap()).unwrap()
}

/// The number that every part of the image tells.
fn number_of(world: &World, image: &ObjectImage) -> u64 {
    let view = world.runtime().view(image).unwrap();
    let number = view.state.unwrap()["number"].as_u64().unwrap();
    let row = |key: String| image.rows.get(&(Section::Data, key.into()));
    let decoded: u64 = abide_storage::codec::decode(row("number".into()).unwrap()).unwrap();
    assert_eq!(decoded, number, "a row of another moment");
    assert!(row(format!("only-{number}")).is_some(), "a row is missing");
    assert_eq!(image.section(Section::Data).count(), 2);
    let alarm = &view.alarms["wake"];
    assert_eq!(alarm.due.unwrap().0, WAKES.0 + 1_000 * number);
    number
}

#[test]
fn an_export_is_one_moment_however_turns_run() {
    each_seed(30, |seed| {
        world(async |world| {
            let mut rng = fastrand::Rng::with_seed(seed);
            fill(world, "a", 0).await;
            let mut calls = Vec::new();
            let mut exports = Vec::new();
            for number in 1..20 {
                let method = if rng.bool() { "fill" } else { "fill_slowly" };
                let arguments = serde_json::json!([number]);
                calls.push(world.call("chest", "a", method, arguments));
                for _ in 0..rng.usize(..3) {
                    exports.push(export(world, "a"));
                }
            }
            let calls = futures_util::future::join_all(calls);
            let exports = futures_util::future::join_all(exports);
            let (calls, exports) = futures_util::future::join(calls, exports).await;
            assert!(calls.iter().all(Result::is_ok));
            for image in exports {
                let image = image.unwrap();
                assert_eq!(number_of(world, &image) + 1, image.version.0);
            }
        });
    });
}

#[test]
fn an_export_waits_until_what_it_tells_is_durable_and_runs_no_code() {
    world(async |world| {
        fill(world, "a", 1).await;
        let quiet = export(world, "never").await;
        assert!(matches!(quiet, Err(ImageError::Absent { .. })));
        assert_eq!(take_notes(), ["activated"], "of the call");

        world.store().hold_commits();
        let mut call = begin(
            world,
            world.call("chest", "a", "fill", serde_json::json!([2])),
        )
        .await;
        let mut exporting = begin(world, export(world, "a")).await;
        assert!(is_open(&mut exporting).await);
        world.store().release_commits();
        assert_eq!(number_of(world, &exporting.await.unwrap()), 2);
        assert!(!is_open(&mut call).await);
        assert_eq!(seen(world, "a").await.memory, 2, "the activation went on");
        assert!(take_notes().is_empty());

        world.advance(Duration::from_secs(60)).await;
        take_notes();
        assert_eq!(number_of(world, &export(world, "a").await.unwrap()), 2);
        assert!(take_notes().is_empty(), "a passivated object stays so");
    });
}

#[test]
fn an_object_is_set_back_as_a_whole() {
    world(async |world| {
        fill(world, "a", 1).await;
        let image = export(world, "a").await.unwrap();
        fill(world, "a", 2).await;
        let mut session = world.connect("chest", "a", "").await.unwrap();
        take_notes();

        let none = replace(world, "a", image.clone(), Precondition::Absent).await;
        assert!(matches!(
            none,
            Err(ImageError::Exists {
                version: Version(2),
                ..
            })
        ));
        let old = Precondition::Version(Version(1));
        let none = replace(world, "a", image.clone(), old).await;
        assert!(matches!(none, Err(ImageError::VersionMismatch { .. })));
        assert!(take_notes().is_empty(), "the activation was left alone");
        assert_eq!(seen(world, "a").await.memory, 2);

        let current = Precondition::Version(Version(2));
        let version = replace(world, "a", image.clone(), current).await.unwrap();
        assert_eq!(version, Version(3), "it goes on");
        assert_eq!(session.closed().await.unwrap().code, Close::RESTART);
        assert_eq!(seen(world, "a").await, Seen::stored(1));
        settle(world).await;
        assert_eq!(
            take_notes(),
            ["deactivating", "activated", "disconnected 1012"]
        );

        // Without an activation it is refused just so.
        world.advance(Duration::from_secs(60)).await;
        let none = replace(world, "a", image, Precondition::Absent).await;
        assert!(matches!(
            none,
            Err(ImageError::Exists {
                version: Version(3),
                ..
            })
        ));
        take_notes();

        // The alarm of the image fires, once, and no other.
        world.advance(Duration::from_secs(3_600 + 10)).await;
        let alarms: Vec<_> = take_notes()
            .into_iter()
            .filter(|note| note.starts_with("alarm"))
            .collect();
        assert_eq!(alarms, ["alarm wake of 1"]);
    });
}

/// At each step the node dies, or the commit fails: the old object, or the new one.
#[test]
fn a_replacement_is_all_or_nothing() {
    world(async |world| {
        fill(world, "from", 1).await;
        fill(world, "a", 2).await;
        let image = export(world, "from").await.unwrap();
        let any = Precondition::None;

        // The node dies while the commit is on its way.
        world.store().hold_commits();
        let replacing = begin(world, replace(world, "a", image.clone(), any)).await;
        assert_eq!(world.store().held_commits(), 1);
        drop(replacing);
        world.crash().await;
        assert_eq!(seen(world, "a").await, Seen::stored(2));

        // The commit is refused, or fails.
        let full = CommitError::DiskFull {
            available_bytes: 0,
            reserve_bytes: 1,
        };
        world.store().fail_next_commit(full.clone());
        let failed = replace(world, "a", image.clone(), any).await;
        let failed = failed.unwrap_err();
        assert!(
            matches!(&failed, ImageError::Call(CallError::Commit(error)) if *error == full),
            "{failed}"
        );
        world.store().refuse_writes(Some("closing"));
        assert!(replace(world, "a", image.clone(), any).await.is_err());
        world.store().refuse_writes(None);
        assert_eq!(seen(world, "a").await, Seen::stored(2));

        // Nobody can say what became of it: it is there whole, or not at all.
        for (aftermath, number) in [(Aftermath::Dropped, 2), (Aftermath::Applied, 1)] {
            world.store().lose_next_commit(aftermath);
            let unknown = replace(world, "a", image.clone(), any).await.unwrap_err();
            let ImageError::Call(error) = unknown else {
                panic!("{unknown}");
            };
            assert_eq!(error.effect(), abide_storage::Effect::Unknown);
            assert_eq!(seen(world, "a").await, Seen::stored(number));
        }
        world.crash().await;
        assert_eq!(seen(world, "a").await, Seen::stored(1));
        world.advance(Duration::from_secs(3_600 + 10)).await;
        assert_eq!(seen(world, "a").await.number, 0, "its alarm fired");
    });
}

/// Another node takes the object between the look at it and the commit.
#[test]
fn a_replacement_is_fenced() {
    world(async |world| {
        fill(world, "from", 1).await;
        fill(world, "a", 2).await;
        let image = export(world, "from").await.unwrap();
        // Passivated, so that the replacement holds the object already while it waits for room.
        world.advance(Duration::from_secs(60)).await;
        world.store().set_room(Room::Full);
        let replacing = begin(world, replace(world, "a", image, Precondition::None)).await;
        let object = target(world, "chest", "a").object;
        let other = world.store().open(&object).await.unwrap();
        world.store().set_room(Room::Free);
        let refused = replacing.await.unwrap_err();
        assert!(
            matches!(
                &refused,
                ImageError::Call(CallError::Commit(CommitError::Fenced { .. }))
            ),
            "{refused}"
        );
        world.store().close(&object, other.epoch);
        assert_eq!(seen(world, "a").await, Seen::stored(2));
    });
}

/// Turns before it are in what is replaced; turns after it begin with what was put there.
#[test]
fn a_replacement_has_its_place_among_the_turns() {
    world(async |world| {
        fill(world, "from", 9).await;
        fill(world, "a", 1).await;
        let image = export(world, "from").await.unwrap();
        let before = world.call("chest", "a", "fill_slowly", serde_json::json!([2]));
        let replacing = replace(world, "a", image, Precondition::Version(Version(2)));
        let after = world.call("chest", "a", "seen", serde_json::json!([]));
        let (before, replaced, after) = futures_util::future::join3(before, replacing, after).await;
        before.unwrap();
        assert_eq!(replaced.unwrap(), Version(3));
        let after: Seen = serde_json::from_value(after.unwrap()).unwrap();
        assert_eq!(after, Seen::stored(9));
    });
}

/// Sends the call with its key; whether it was answered from what is kept.
async fn keyed(world: &World, name: &str, number: u64) -> bool {
    let call = Call {
        idempotency_key: Some(IdempotencyKey::new("once").unwrap()),
        ..Call::new("fill", Payload::json(format!("[{number}]")), soon())
    };
    let target = target(world, "chest", name);
    world.runtime().call(&target, call).await.unwrap().replayed
}

/// A kept reply goes with the effect it tells of.
#[test]
fn kept_replies_are_set_back_with_their_effects_and_stay_with_their_object() {
    world(async |world| {
        fill(world, "a", 1).await;
        let without = export(world, "a").await.unwrap();
        assert!(!keyed(world, "a", 2).await);
        assert!(keyed(world, "a", 2).await);
        let with = export(world, "a").await.unwrap();
        replace(world, "a", without, Precondition::None)
            .await
            .unwrap();
        assert!(
            !keyed(world, "a", 2).await,
            "its effect is gone, so it has it again"
        );
        replace(world, "a", with.clone(), Precondition::None)
            .await
            .unwrap();
        assert!(keyed(world, "a", 2).await);

        replace(world, "fork", with, Precondition::Absent)
            .await
            .unwrap();
        assert_eq!(seen(world, "fork").await, Seen::stored(2));
        assert!(
            !keyed(world, "fork", 2).await,
            "the key was given to the other's caller"
        );
    });
}

#[test]
fn a_fork_is_of_the_same_kind() {
    world(async |world| {
        fill(world, "a", 1).await;
        let image = export(world, "a").await.unwrap();
        let runtime = world.runtime();
        let absent = Precondition::Absent;
        for (namespace, fits) in [("coffer", true), ("other", false)] {
            let target = target(world, namespace, "a");
            let forked = runtime
                .replace(&target, image.clone(), absent, soon())
                .await;
            match forked {
                Ok(version) => assert!(fits && version == Version(1)),
                Err(error) => {
                    assert!(
                        !fits && matches!(error, ImageError::OtherKind { .. }),
                        "{error}"
                    );
                }
            }
        }
        let number = world
            .call("coffer", "a", "seen", serde_json::json!([]))
            .await
            .unwrap();
        assert_eq!(number["number"], 1);
    });
}

#[test]
fn an_image_that_cannot_be_right_touches_nothing() {
    world(async |world| {
        fill(world, "a", 1).await;
        assert!(!keyed(world, "a", 2).await);
        let right = export(world, "a").await.unwrap();
        take_notes();
        let wrong = |section, key: &'static [u8], value: &'static [u8]| {
            let mut image = right.clone();
            image.rows.insert((section, key.into()), value.into());
            image
        };
        let mut uncounted = right.clone();
        uncounted.rows.remove(&(Section::Idempotency, "n".into()));
        for image in [
            wrong(Section::State, b"", b""),
            wrong(Section::State, b"", b"\x01\xff"),
            wrong(Section::State, b"", b"\x01\x01\x01"),
            wrong(Section::State, b"key", b"\x01\x01"),
            wrong(Section::Alarm, b"wake", b"\x01"),
            wrong(Section::Alarm, b"\xff", b"\x01\x05\x00\x00"),
            wrong(Section::Idempotency, b"x", b""),
            wrong(Section::Idempotency, b"kmore", b"\x01"),
            wrong(Section::Idempotency, b"eshort", b""),
            uncounted,
        ] {
            let refused = replace(world, "a", image.clone(), Precondition::None).await;
            assert!(
                matches!(refused, Err(ImageError::Invalid { .. })),
                "{image:?}: {refused:?}"
            );
        }
        assert_eq!(
            seen(world, "a").await.memory,
            2,
            "not even the activation ended"
        );
        assert_eq!(export(world, "a").await.unwrap(), right);
        assert!(take_notes().is_empty());
    });
}

#[test]
fn an_object_whose_state_cannot_be_read_can_be_replaced_and_exported() {
    world(async |world| {
        fill(world, "from", 1).await;
        let image = export(world, "from").await.unwrap();
        fill(world, "a", 2).await;
        world.restart().await;
        let object = target(world, "chest", "a").object;
        let opened = world.store().open(&object).await.unwrap();
        let damaged = abide_storage::Write::Put {
            section: Section::State,
            key: Bytes::new(),
            value: "no state".into(),
        };
        let commit = abide_storage::Commit {
            object: object.clone(),
            name: None,
            epoch: opened.epoch,
            version: opened.version.next(),
            batch: abide_storage::WriteBatch {
                writes: vec![damaged],
            },
        };
        world.store().commit(commit).unwrap().await.unwrap();
        world.store().close(&object, opened.epoch);
        let call = world
            .call("chest", "a", "seen", serde_json::json!([]))
            .await;
        assert!(matches!(call, Err(CallError::StateUnreadable { .. })));
        let seen_by_people = export(world, "a").await.unwrap();
        assert_eq!(world.runtime().view(&seen_by_people).unwrap().state, None);
        replace(world, "a", image, Precondition::None)
            .await
            .unwrap();
        assert_eq!(seen(world, "a").await, Seen::stored(1));
    });
}

/// Many objects, calls, replacements and crashes: each is always what one of them made it.
#[test]
fn random_schedules_of_replacements_leave_whole_objects() {
    each_seed(40, |seed| {
        let builder = World::builder().actor::<Chest>("chest");
        builder.seed(seed).run(async |world| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let names = ["a", "b", "c"];
            let mut expected = [0, 0, 0];
            for (at, name) in names.iter().enumerate() {
                expected[at] = at as u64;
                fill(world, name, expected[at]).await;
            }
            for number in 10..40 {
                let (at, from) = (rng.usize(..3), rng.usize(..3));
                match rng.u8(..6) {
                    0 => {
                        let image = export(world, names[from]).await.unwrap();
                        let any = Precondition::None;
                        replace(world, names[at], image, any).await.unwrap();
                        expected[at] = expected[from];
                    }
                    1 => {
                        let image = export(world, names[from]).await.unwrap();
                        world.store().hold_commits();
                        let any = Precondition::None;
                        drop(begin_or_done(world, replace(world, names[at], image, any)).await);
                        world.crash().await;
                    }
                    2 => world.crash().await,
                    3 => world.advance(Duration::from_secs(20)).await,
                    _ => {
                        let arguments = serde_json::json!([number]);
                        let call = world.call("chest", names[at], "fill", arguments);
                        call.await.unwrap();
                        expected[at] = number;
                    }
                }
                for (at, name) in names.iter().enumerate() {
                    let is = seen(world, name).await;
                    let whole = Seen {
                        memory: is.memory,
                        ..Seen::stored(expected[at])
                    };
                    assert_eq!(is, whole, "{name}");
                }
            }
        });
    });
}

/// Begins it; it may have nothing to write, and be done at once.
async fn begin_or_done<T>(world: &World, work: impl Future<Output = T>) -> Option<T> {
    let mut work = Box::pin(work);
    let first = futures_util::poll!(&mut work);
    settle(world).await;
    match first {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}
