//! Alarms of activations whose task is torn down half-way: a panic where the runtime expects none,
//! in the code that encodes or decodes an actor's state.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::testing::World;
use serde::{Deserializer, Serializer};

use crate::support::begin;

thread_local! {
    /// What panics the next time, once.
    static BREAKS: Cell<Option<Breaks>> = const { Cell::new(None) };
    static FIRED: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Encoding,
    Decoding,
}

fn break_if_told(what: Breaks) {
    if BREAKS.get() == Some(what) {
        BREAKS.set(None);
        panic!("as it was told to");
    }
}

/// A number whose encoding panics on command.
#[derive(Default)]
struct Glass(u64);

impl Serialize for Glass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        break_if_told(Breaks::Encoding);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Glass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        break_if_told(Breaks::Decoding);
        u64::deserialize(deserializer).map(Self)
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Vase {
    glass: Glass,
}

#[actor]
impl Vase {
    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, after_s: u64) -> Result<(), CallError> {
        self.glass.0 += 1;
        ctx.set_alarm("", Duration::from_secs(after_s))
    }

    #[call]
    fn touch(&mut self) {
        self.glass.0 += 1;
    }

    fn alarm(&mut self, _alarm: Alarm) {
        FIRED.set(FIRED.get() + 1);
    }
}

/// The task is torn down by the alarm's own turn, which leaves no trace in the store.
#[test]
fn an_alarm_whose_turn_is_torn_down_fires_again() {
    for breaks in [Breaks::Encoding, Breaks::Decoding] {
        FIRED.set(0);
        World::builder().actor::<Vase>("vase").run(async |world| {
            world.actor::<Vase>("a").set(60).await.unwrap();
            // Long enough to be passivated before, so that the alarm has to decode the state.
            world.advance(Duration::from_secs(30)).await;
            BREAKS.set(Some(breaks));
            world.advance(Duration::from_secs(32)).await;
            let torn = u64::from(breaks == Breaks::Encoding);
            assert_eq!(BREAKS.get(), None, "the alarm came");
            world.advance(Duration::from_secs(3_600)).await;
            assert_eq!(
                FIRED.get(),
                torn + 1,
                "once for the turn that was torn down, and again"
            );
        });
    }
}

/// 1. A turn has set an alarm; its commit is on its way. 2. The next turn tears the task down.
/// 3. The commit becomes durable: though nobody was told, the alarm is set, so it must fire.
#[test]
fn an_alarm_set_before_a_teardown_fires() {
    FIRED.set(0);
    World::builder().actor::<Vase>("vase").run(async |world| {
        let world = &*world;
        world.store().hold_commits();
        let set = begin(world, async { world.actor::<Vase>("a").set(60).await }).await;
        BREAKS.set(Some(Breaks::Encoding));
        world.actor::<Vase>("a").touch().await.unwrap_err();
        world.store().release_commits();
        // Its caller was told "unknown".
        drop(set.await);
        world.advance(Duration::from_secs(3_600)).await;
        assert_eq!(FIRED.get(), 1);
    });
}
