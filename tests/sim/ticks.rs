//! **ticks**: at their rate while somebody is connected, and what becomes of those that were missed.

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use tokio::time::{Instant, sleep};

use crate::support::{note, take_notes};

/// Notes each tick: its number, what was missed, how late it is.
#[derive(Default, Serialize, Deserialize)]
struct Game {
    #[serde(skip)]
    slow: Option<(u64, Duration)>,
    #[serde(skip)]
    fails: Option<u64>,
    #[serde(skip)]
    notes_nothing: bool,
    every_micros: u64,
    catch_up: u32,
    ticks: u64,
    inputs: u64,
}

#[actor]
impl Game {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        if self.every_micros > 0 {
            let tick = Tick::every(Duration::from_micros(self.every_micros));
            ctx.set_tick(tick.catch_up(self.catch_up));
        }
    }

    #[call]
    fn begin(&mut self, ctx: &mut Context<Self>, micros: u64, catch_up: u32) {
        (self.every_micros, self.catch_up) = (micros, catch_up);
        self.activated(ctx);
    }

    #[call]
    fn fail(&mut self, number: u64) {
        self.fails = Some(number);
    }

    /// The tick of this number takes so long; from it on all do when it is 0.
    #[call]
    fn slow(&mut self, number: u64, millis: u64) {
        self.slow = Some((number, Duration::from_millis(millis)));
    }

    #[call]
    fn hush(&mut self) {
        self.notes_nothing = true;
    }

    #[call]
    fn ticks(&self) -> u64 {
        self.ticks
    }

    #[call]
    fn inputs(&self) -> u64 {
        self.inputs
    }

    fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}

    fn message(&mut self, _session: &Session, _frame: Frame) {
        self.inputs += 1;
    }

    fn deactivating(&mut self) {
        note("deactivating");
    }

    async fn tick(&mut self, ticked: &Ticked) -> Result<(), ActorError> {
        self.ticks += 1;
        if !self.notes_nothing {
            let Ticked {
                number,
                missed,
                late,
                ..
            } = ticked;
            note(format!("{number}/{missed}/{}", late.as_millis()));
        }
        if let Some((number, takes)) = self.slow
            && (number == 0 || number == ticked.number)
        {
            sleep(takes).await;
        }
        if self.fails == Some(ticked.number) {
            return Err(std::io::Error::other("as it was told").into());
        }
        Ok(())
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder().actor::<Game>("game").run(test)
}

const TICK: Duration = Duration::from_millis(100);

async fn begin(world: &World, catch_up: u32) {
    let game = world.actor::<Game>("a");
    game.begin(100_000, catch_up).await.unwrap();
    take_notes();
}

/// 30 times a second is no whole number of milliseconds, which is what the timer knows.
#[test]
fn an_hour_of_ticks_is_not_one_off() {
    world(async |world| {
        let _player = world.connect("game", "a", "").await.unwrap();
        let game = world.actor::<Game>("a");
        game.hush().await.unwrap();
        game.begin(33_333, 0).await.unwrap();
        let began = Instant::now();
        world.advance(Duration::from_secs(3_600)).await;
        let due = began.elapsed().as_micros() / 33_333;
        let ticks = game.ticks().await.unwrap();
        assert!(
            u128::from(ticks).abs_diff(due) <= 1,
            "{ticks} ticks, {due} were due"
        );
    });
}

/// 1. Nobody is there: nothing ticks. 2. A player comes: it does. 3. A second one comes and goes:
///    the grid stays. 4. The last one leaves: it ends. 5. Another comes: the count goes on.
#[test]
fn it_ticks_while_somebody_is_connected() {
    world(async |world| {
        begin(world, 0).await;
        world.advance(10 * TICK).await;
        assert_eq!(take_notes().len(), 0);

        let ann = world.connect("game", "a", "").await.unwrap();
        world.advance(2 * TICK + TICK / 2).await;
        assert_eq!(
            take_notes(),
            ["1/0/0", "2/0/0"],
            "the first after one interval"
        );

        let bob = world.connect("game", "a", "").await.unwrap();
        world.advance(TICK).await;
        bob.close(1000, "");
        world.advance(TICK).await;
        assert_eq!(take_notes(), ["3/0/0", "4/0/0"]);

        drop(ann);
        world.advance(10 * TICK).await;
        assert_eq!(take_notes().len(), 0);

        let _eve = world.connect("game", "a", "").await.unwrap();
        world.advance(TICK + TICK / 2).await;
        assert_eq!(
            take_notes(),
            ["5/0/0"],
            "nothing was missed: nobody was there"
        );
    });
}

/// Tick 2 takes three and a half intervals: 3, 4 and 5 are due when it ends.
#[test]
fn what_was_missed_is_skipped_and_told() {
    world(async |world| {
        let _player = world.connect("game", "a", "").await.unwrap();
        begin(world, 0).await;
        world.actor::<Game>("a").slow(2, 350).await.unwrap();
        world.advance(7 * TICK + TICK / 2).await;
        assert_eq!(
            take_notes(),
            ["1/0/0", "2/0/0", "5/2/50", "6/0/0", "7/0/0"],
            "and the grid is where it was"
        );
    });
}

#[test]
fn what_was_missed_is_caught_up_with_as_far_as_wanted() {
    let notes = |catch_up| {
        world(async |world| {
            let _player = world.connect("game", "a", "").await.unwrap();
            begin(world, catch_up).await;
            world.actor::<Game>("a").slow(2, 350).await.unwrap();
            world.advance(6 * TICK + TICK / 2).await;
            take_notes()
        })
    };
    assert_eq!(
        notes(5),
        ["1/0/0", "2/0/0", "3/0/250", "4/0/150", "5/0/50", "6/0/0"]
    );
    assert_eq!(
        notes(1),
        ["1/0/0", "2/0/0", "4/1/150", "5/0/50", "6/0/0"],
        "at most one more than is due, the oldest are skipped"
    );
}

/// Ticks that take twice as long as their interval, with and without catching up: there is always one
/// due, and the player is heard all the same.
#[test]
fn ticks_that_take_too_long_do_not_keep_messages_from_coming() {
    for catch_up in [0, 1_000] {
        world(async |world| {
            let mut player = world.connect("game", "a", "").await.unwrap();
            begin(world, catch_up).await;
            world.actor::<Game>("a").slow(0, 200).await.unwrap();
            world.advance(5 * TICK).await;
            let sent = Instant::now();
            for _ in 0..5 {
                player.send("input").await;
            }
            assert!(sent.elapsed() <= 12 * TICK, "a message between two ticks");
            assert_eq!(world.actor::<Game>("a").inputs().await.unwrap(), 5);
        });
    }
}

#[test]
fn an_object_that_ticks_for_nobody_is_passivated_and_one_with_sessions_is_not() {
    let idle_timeout = Duration::from_secs(1);
    let limits = Limits {
        idle_timeout,
        ..Limits::default()
    };
    let builder = World::builder().actor::<Game>("game").limits(limits);
    builder.run(async |world| {
        let player = world.connect("game", "a", "").await.unwrap();
        begin(world, 0).await;
        world.actor::<Game>("a").hush().await.unwrap();
        world.advance(10 * idle_timeout).await;
        assert_eq!(world.runtime().stats().activations, 1, "its player waits");
        // The player is gone without a word: `disconnected` does not run, and is no message.
        drop(player);
        world.advance(2 * idle_timeout).await;
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(take_notes(), ["deactivating"]);
    });
}

#[test]
fn a_tick_that_fails_does_not_end_the_others() {
    world(async |world| {
        let _player = world.connect("game", "a", "").await.unwrap();
        begin(world, 0).await;
        world.actor::<Game>("a").fail(2).await.unwrap();
        world.advance(4 * TICK + TICK / 2).await;
        assert_eq!(take_notes(), ["1/0/0", "2/0/0", "3/0/0", "4/0/0"]);
        assert_eq!(world.actor::<Game>("a").ticks().await.unwrap(), 3);
    });
}

/// The turn goes beyond its deadline, which ends the activation. No message comes, and the players wait.
#[test]
fn an_activation_that_failed_while_it_ticked_comes_back() {
    world(async |world| {
        let _player = world.connect("game", "a", "").await.unwrap();
        begin(world, 0).await;
        world.actor::<Game>("a").slow(1, 31_000).await.unwrap();
        world.advance(Duration::from_secs(35)).await;
        let notes = take_notes();
        assert_eq!(
            notes[..3],
            ["1/0/0", "1/0/0", "2/0/0"],
            "a new activation counts anew"
        );
        assert!(notes.len() > 20, "{notes:?}");
    });
}

/// The node wants the memory of the object, or rather has one activation too many.
#[test]
fn an_object_that_is_evicted_goes_on_ticking() {
    let limits = Limits {
        activations_max: 1,
        ..Limits::default()
    };
    let builder = World::builder().actor::<Game>("game").limits(limits);
    builder.run(async |world| {
        let _player = world.connect("game", "a", "").await.unwrap();
        begin(world, 0).await;
        world.advance(TICK).await;
        for _ in 0..3 {
            world.actor::<Game>("b").ticks().await.unwrap();
            world.advance(TICK / 4).await;
        }
        world.advance(Duration::from_secs(3)).await;
        let notes = take_notes();
        assert!(notes.contains(&"deactivating".to_owned()), "{notes:?}");
        assert!(notes.len() > 15, "{notes:?}");
    });
}
