//! Panics of actor code where the runtime calls it without its name: when a value is made, encoded
//! and dropped. Whatever it was doing then, the object must go on afterwards.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::Stats;
use abide_actors::testing::{TestSession, World};
use abide_storage::Effect;
use serde::{Deserializer, Serializer};
use tokio::time::timeout;

use crate::support::{begin, note, settle, take_notes};

/// When the alarm of every object here is due.
const ALARM_AFTER: Duration = Duration::from_secs(600);

/// Code of the actor that it never calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Default,
    Deserialize,
    Serialize,
    Drop,
}

thread_local! {
    /// Where the code panics when it comes there next.
    static MINE: Cell<Option<Place>> = const { Cell::new(None) };
}

fn pass(place: Place) {
    if MINE.get() == Some(place) {
        MINE.set(None);
        panic!("a mine in {place:?}");
    }
}

/// A number with the mine in it.
struct Mined(u64);

impl Default for Mined {
    fn default() -> Self {
        pass(Place::Default);
        Self(0)
    }
}

impl Serialize for Mined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pass(Place::Serialize);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mined {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pass(Place::Deserialize);
        u64::deserialize(deserializer).map(Self)
    }
}

impl Drop for Mined {
    fn drop(&mut self) {
        pass(Place::Drop);
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Fragile {
    value: Mined,
}

fn failure() -> ActorError {
    ActorError::new("failed", "as it was told to")
}

#[actor]
impl Fragile {
    #[call]
    fn add(&mut self, by: u64) -> u64 {
        self.value.0 += by;
        self.value.0
    }

    /// A turn that is undone, for which the value is dropped and made again.
    #[call]
    fn fail(&mut self) -> Result<(), ActorError> {
        self.value.0 += 1;
        Err(failure())
    }

    #[call]
    fn set_alarm(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        ctx.set_alarm("", ALARM_AFTER)
    }

    fn connected(&mut self, _: &Session, request: &ConnectRequest) -> Result<(), ActorError> {
        if request.query == "fail" {
            Err(failure())
        } else {
            Ok(())
        }
    }

    fn message(&mut self, session: &Session, frame: Frame) -> Result<(), ActorError> {
        if frame.as_text() == Some("fail") {
            return Err(failure());
        }
        session.send(frame);
        Ok(())
    }

    /// Fails as long as the mine is laid.
    fn disconnected(&mut self, _: &Session, _: &Close) -> Result<(), ActorError> {
        if MINE.get().is_some() {
            return Err(failure());
        }
        note("left");
        Ok(())
    }

    /// Fails as long as the mine is laid.
    fn alarm(&mut self, _alarm: Alarm) -> Result<(), ActorError> {
        if MINE.get().is_some() {
            return Err(failure());
        }
        note("alarm");
        Ok(())
    }
}

/// What became of the session that was on the object.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Open,
    Closed(u16),
}

async fn look(session: &mut TestSession) -> After {
    session.send("still there?").await;
    let closed = timeout(Duration::from_secs(1), session.closed()).await;
    if let Ok(Some(close)) = closed {
        return After::Closed(close.code);
    }
    let arrived = session.arrived().await;
    assert_eq!(arrived.last(), Some(&"still there?".into()));
    After::Open
}

/// An object that has an alarm and a session, and whose state is its default or is not.
async fn arrange(world: &World, value: u64) -> TestSession {
    let fragile = world.actor::<Fragile>("a");
    fragile.add(value).await.unwrap();
    fragile.set_alarm().await.unwrap();
    world.connect("fragile", "a", "").await.unwrap()
}

/// The object is as good as new: it answers, its alarm comes, and in the end nothing is left of it.
async fn assert_well(world: &World, session: TestSession) {
    let fragile = world.actor::<Fragile>("a");
    let before = fragile.add(0).await.unwrap();
    assert_eq!(fragile.add(1).await.unwrap(), before + 1);
    world.advance(2 * ALARM_AFTER).await;
    assert!(take_notes().contains(&"alarm".to_owned()));
    drop(session);
    world.advance(Duration::from_secs(60)).await;
    assert_eq!(
        world.runtime().stats(),
        Stats::default(),
        "nothing is left behind"
    );
}

fn world<T>(test: impl AsyncFnOnce(&World) -> T) -> T {
    World::builder()
        .actor::<Fragile>("fragile")
        .run(async |world| test(world).await)
}

/// Lays the mine, and has three messages come at the same time, of which the first one meets it.
async fn meet(world: &World, place: Place, first: &str, session: &mut TestSession) {
    MINE.set(Some(place));
    let answered = async {
        let first = world.call("fragile", "a", first, serde_json::json!({}));
        let second = world.actor::<Fragile>("a");
        tokio::join!(first, second.add(1), session.send("hello"))
    };
    let answered = timeout(Duration::from_secs(10), answered).await;
    let (first, _, ()) = answered.expect("each of the three is answered");
    first.unwrap_err();
    assert_eq!(MINE.get(), None, "the mine was met");
}

/// The object is to be activated for the first of three messages, and has no value yet.
#[test]
fn an_object_outlives_a_panic_in_default() {
    world(async |world| {
        let mut session = arrange(world, 0).await;
        world.advance(Duration::from_secs(20)).await;
        meet(world, Place::Default, "set_alarm", &mut session).await;
        assert_eq!(look(&mut session).await, After::Open);
        assert_well(world, session).await;
    });
}

/// The same with a value that was stored.
#[test]
fn an_object_outlives_a_panic_in_deserialize() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        world.advance(Duration::from_secs(20)).await;
        meet(world, Place::Deserialize, "set_alarm", &mut session).await;
        assert_eq!(look(&mut session).await, After::Open);
        assert_well(world, session).await;
    });
}

/// Not when the object is activated, but when a failed turn is undone.
#[test]
fn an_object_outlives_a_panic_in_deserialize_when_a_turn_is_undone() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        meet(world, Place::Deserialize, "fail", &mut session).await;
        assert_eq!(look(&mut session).await, After::Open);
        assert_well(world, session).await;
    });
}

/// The turn has succeeded, and its value is to be encoded for the commit.
#[test]
fn an_object_outlives_a_panic_in_serialize() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        meet(world, Place::Serialize, "set_alarm", &mut session).await;
        assert_eq!(look(&mut session).await, After::Open);
        assert_well(world, session).await;
    });
}

/// A turn is undone, and with it its value. The activation's task is torn down: nothing but the
/// drops of what it holds can answer those that wait.
#[test]
fn an_object_outlives_a_panic_in_drop() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        meet(world, Place::Drop, "fail", &mut session).await;
        let closed = After::Closed(Close::INTERNAL_ERROR);
        assert_eq!(look(&mut session).await, closed, "its frame was lost");
        assert_well(world, session).await;
    });
}

/// The activation has come to its end.
#[test]
fn an_object_outlives_a_panic_in_drop_when_it_is_passivated() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        MINE.set(Some(Place::Drop));
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(MINE.get(), None, "it was passivated");
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(look(&mut session).await, After::Open);
        assert_well(world, session).await;
    });
}

/// The same when nobody is on the object: the end of its task is the end of all the node has of it.
#[test]
fn an_object_is_forgotten_when_drop_panics_at_its_end() {
    world(async |world| {
        world.actor::<Fragile>("a").add(1).await.unwrap();
        MINE.set(Some(Place::Drop));
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(MINE.get(), None, "it was passivated");
        assert_eq!(world.runtime().stats(), Stats::default());
    });
}

/// 1. A frame is handled. The answer to it waits for the disk.
/// 2. The next turn tears the activation down, and the answer with it.
/// 3. The client must hear that, or it waits for ever.
#[test]
fn a_session_hears_of_an_answer_lost_when_drop_panics() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        let fragile = world.actor::<Fragile>("a");
        world.store().hold_commits();
        let add = begin(world, fragile.add(1)).await;
        session.send("answer me").await;
        MINE.set(Some(Place::Drop));
        fragile.fail().await.unwrap_err();
        let lost = add.await.unwrap_err();
        assert_eq!(
            lost.effect(),
            Effect::Unknown,
            "the disk may have it or not"
        );
        let close = session.closed().await.expect("it is closed");
        assert_eq!(close.code, Close::INTERNAL_ERROR);
        world.store().release_commits();
        assert_well(world, session).await;
    });
}

/// The turn that is undone is that of a frame: its transport must not wait for ever to read on.
#[test]
fn a_session_outlives_its_frame_when_drop_panics() {
    world(async |world| {
        let mut session = arrange(world, 5).await;
        MINE.set(Some(Place::Drop));
        let sent = timeout(Duration::from_secs(10), session.send("fail")).await;
        sent.expect("the transport may read on, or is closed");
        let closed = After::Closed(Close::INTERNAL_ERROR);
        assert_eq!(look(&mut session).await, closed);
        assert_well(world, session).await;
    });
}

/// The turn that is undone is that of a session that comes: it was never on the object, which must
/// not hear of its end either.
#[test]
fn a_client_is_answered_when_drop_panics() {
    world(async |world| {
        let session = arrange(world, 5).await;
        MINE.set(Some(Place::Drop));
        let connected = world.connect("fragile", "a", "fail");
        let connected = timeout(Duration::from_secs(10), connected).await;
        connected.expect("it is answered").unwrap_err();
        assert_eq!(MINE.get(), None, "the mine was met");
        settle(world).await;
        assert_eq!(world.runtime().stats().sessions, 1);
        assert_eq!(take_notes(), [""; 0]);
        assert_well(world, session).await;
    });
}

/// The turn that is undone is that of the alarm, which the scheduler has let go of.
#[test]
fn an_alarm_outlives_its_turn_when_drop_panics() {
    world(async |world| {
        let session = arrange(world, 5).await;
        world.advance(ALARM_AFTER - Duration::from_secs(1)).await;
        world.actor::<Fragile>("a").add(1).await.unwrap();
        MINE.set(Some(Place::Drop));
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(MINE.get(), None, "the mine was met");
        assert_well(world, session).await;
    });
}

/// The turn that is undone is that of a session's end, which the object has not taken note of.
#[test]
fn a_sessions_end_outlives_its_turn_when_drop_panics() {
    world(async |world| {
        let session = arrange(world, 5).await;
        MINE.set(Some(Place::Drop));
        drop(session);
        world.advance(Duration::from_secs(5)).await;
        assert_eq!(MINE.get(), None, "the mine was met");
        assert_eq!(take_notes(), ["left"]);
        let next = world.connect("fragile", "a", "").await.unwrap();
        assert_well(world, next).await;
    });
}
