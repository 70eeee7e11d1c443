//! Alarms that recur: the commit of each turn sets the next time, and none is lost by a crash.

use std::cell::{Cell, RefCell};

use abide::AlarmStatus;
use abide::prelude::*;
use abide_actors::testing::{BEGINNING, World};
use abide_actors::{Limits, Parked};
use fastrand::Rng;

use crate::seeds::each_seed;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

thread_local! {
    /// The times handlers were entered for, and when, whatever became of the turn.
    static ENTERED: RefCell<Vec<(u64, u64)>> = RefCell::default();
    /// How many of the next turns fail.
    static FAILS: Cell<u32> = const { Cell::new(0) };
}

/// Keeps the times its alarm has handled.
#[derive(Default, Serialize, Deserialize)]
struct Almanac {
    /// For which time, and at which, in milliseconds since the beginning.
    handled: Vec<(u64, u64)>,
    end_after: Option<usize>,
}

fn since_beginning(at: Timestamp) -> u64 {
    at.0 - BEGINNING.0
}

#[actor]
impl Almanac {
    #[call]
    fn begin(
        &mut self,
        ctx: &mut Context<Self>,
        expression: String,
        zone: String,
    ) -> Result<(), ActorError> {
        Ok(ctx.set_alarm("it", Cron::new(&expression, &zone)?)?)
    }

    /// Both, or none: the second cannot be set.
    #[call]
    fn begin_two(&mut self, ctx: &mut Context<Self>, second: String) -> Result<(), CallError> {
        ctx.set_alarm("first", Cron::new("@hourly", "UTC")?)?;
        ctx.set_alarm("second", Cron::new(&second, "UTC")?)
    }

    #[call]
    fn set_once(&mut self, ctx: &mut Context<Self>, after_ms: u64) -> Result<(), CallError> {
        ctx.set_alarm("it", Duration::from_millis(after_ms))
    }

    #[call]
    fn end_after(&mut self, times: usize) {
        self.end_after = Some(times);
    }

    #[call]
    fn cancel(&mut self, ctx: &mut Context<Self>) {
        ctx.cancel_alarm("it");
    }

    #[call]
    fn handled(&self) -> Vec<(u64, u64)> {
        self.handled.clone()
    }

    /// Name, next time, expression, failures, error, why parked.
    #[call]
    fn alarms(&self, ctx: &Context<Self>) -> Vec<String> {
        let alarms = ctx.alarms().into_iter();
        alarms
            .map(|alarm| {
                let due = alarm.due.map(since_beginning);
                let cron = alarm.cron.map(|cron| cron.to_string());
                let error = alarm.last_error.map(|error| error.message.to_string());
                let why = alarm.parked.map(|(_since, why)| why);
                let AlarmStatus { name, retries, .. } = alarm;
                format!("{name} {due:?} {cron:?} {retries} {error:?} {why:?}")
            })
            .collect()
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), ActorError> {
        let times = (since_beginning(alarm.scheduled), since_beginning(ctx.now()));
        ENTERED.with_borrow_mut(|entered| entered.push(times));
        self.handled.push(times);
        if FAILS.get() > 0 {
            FAILS.set(FAILS.get() - 1);
            return Err(ActorError::new("planned", "as it was told to"));
        }
        if self.end_after.is_some_and(|end| self.handled.len() >= end) {
            ctx.cancel_alarm(&alarm.name);
        }
        Ok(())
    }
}

fn run(limits: Limits, test: impl AsyncFnOnce(&mut World)) {
    ENTERED.set(Vec::new());
    FAILS.set(0);
    World::builder()
        .limits(limits)
        .actor::<Almanac>("almanac")
        .run(test);
}

async fn begin(world: &World, expression: &str, zone: &str) {
    let almanac = world.actor::<Almanac>("a");
    let begun = almanac.begin(expression.to_owned(), zone.to_owned());
    begun.await.unwrap();
}

/// The times it was handled for.
async fn handled(world: &World) -> Vec<u64> {
    let handled = world.actor::<Almanac>("a").handled().await.unwrap();
    handled
        .into_iter()
        .map(|(scheduled, _at)| scheduled)
        .collect()
}

async fn alarms(world: &World) -> Vec<String> {
    world.actor::<Almanac>("a").alarms().await.unwrap()
}

async fn pass(world: &World, ms: u64) {
    world.advance(Duration::from_millis(ms)).await;
}

#[test]
fn it_recurs_at_each_of_its_times() {
    run(Limits::default(), async |world| {
        begin(world, "0 */6 * * *", "UTC").await;
        assert_eq!(
            alarms(world).await,
            [format!(
                "it Some({}) Some(\"0 */6 * * * UTC\") 0 None None",
                6 * HOUR_MS
            )]
        );
        pass(world, DAY_MS + HOUR_MS).await;
        assert_eq!(handled(world).await, [6, 12, 18, 24].map(|h| h * HOUR_MS));
        for (scheduled, at) in ENTERED.take() {
            assert!(
                (scheduled..scheduled + 10).contains(&at),
                "{scheduled} at {at}"
            );
        }
    });
}

/// The world begins on 2026-01-01. In Berlin 02:30 does not exist on 2026-03-29, and exists twice on
/// 2026-10-25.
#[test]
fn a_daily_one_happens_once_a_day_where_clocks_change() {
    run(Limits::default(), async |world| {
        begin(world, "30 2 * * *", "Europe/Berlin").await;
        pass(world, 366 * DAY_MS).await;
        let handled = handled(world).await;
        // 2027-01-01 as well, but for the hours of the first day that were before.
        assert_eq!(handled.len(), 366);
        let hour_of = |day: usize| handled[day] % DAY_MS / 60_000;
        // By UTC: 01:30 in winter, 00:30 in summer.
        let spring = 31 + 28 + 28;
        assert_eq!(
            [hour_of(spring - 1), hour_of(spring), hour_of(spring + 1)],
            [90, 60, 30]
        );
        let autumn = 31 + 28 + 31 + 30 + 31 + 30 + 31 + 31 + 30 + 24;
        assert_eq!(
            [hour_of(autumn - 1), hour_of(autumn), hour_of(autumn + 1)],
            [30, 30, 90]
        );
        for pair in handled.windows(2) {
            assert_eq!(pair[1] / DAY_MS - pair[0] / DAY_MS, 1, "one on each day");
        }
    });
}

/// Down from 00:30 to 03:30: three times have passed, one turn stands for them, and the next is the next.
#[test]
fn times_that_passed_while_the_node_was_down_are_one_turn() {
    run(Limits::default(), async |world| {
        begin(world, "@hourly", "UTC").await;
        pass(world, HOUR_MS / 2).await;
        // A node that can neither commit nor be reached is as good as down, and what it tries meanwhile
        // is not committed.
        world.store().refuse_writes(Some("the disk is full"));
        pass(world, 3 * HOUR_MS).await;
        world.crash().await;
        pass(world, HOUR_MS).await;
        assert_eq!(handled(world).await, [HOUR_MS, 4 * HOUR_MS]);
    });
}

/// **all-or-nothing**: the handler's writes and the next time are one commit.
#[test]
fn a_crash_before_the_turn_is_durable_repeats_that_turn() {
    run(Limits::default(), async |world| {
        begin(world, "@hourly", "UTC").await;
        pass(world, HOUR_MS - 1).await;
        world.store().hold_commits();
        pass(world, HOUR_MS / 2).await;
        assert_eq!(handled_in_memory().len(), 1);
        world.crash().await;
        pass(world, 1_000).await;
        let entered = ENTERED.take();
        assert_eq!(
            entered.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            [HOUR_MS, HOUR_MS]
        );
        assert_eq!(handled(world).await, [HOUR_MS], "the first turn never was");
        pass(world, HOUR_MS).await;
        assert_eq!(handled(world).await, [HOUR_MS, 2 * HOUR_MS]);
    });
}

fn handled_in_memory() -> Vec<(u64, u64)> {
    ENTERED.with_borrow(Vec::clone)
}

#[test]
fn its_turn_may_end_it_and_a_call_may_replace_it() {
    run(Limits::default(), async |world| {
        begin(world, "@hourly", "UTC").await;
        world.actor::<Almanac>("a").end_after(2).await.unwrap();
        pass(world, 6 * HOUR_MS).await;
        assert_eq!(handled(world).await, [HOUR_MS, 2 * HOUR_MS]);
        assert!(alarms(world).await.is_empty());
        begin(world, "@daily", "UTC").await;
        world.actor::<Almanac>("a").end_after(100).await.unwrap();
        world.actor::<Almanac>("a").set_once(1_000).await.unwrap();
        pass(world, 3 * DAY_MS).await;
        assert_eq!(handled(world).await.len(), 3, "it was made a single one");
        begin(world, "@daily", "UTC").await;
        world.actor::<Almanac>("a").cancel().await.unwrap();
        pass(world, 3 * DAY_MS).await;
        assert_eq!(handled(world).await.len(), 3);
    });
}

#[test]
fn an_invalid_one_is_refused_and_changes_nothing() {
    run(Limits::default(), async |world| {
        let almanac = world.actor::<Almanac>("a");
        let error = almanac
            .begin_two("0 0 30 2 *".to_owned())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cron expression '0 0 30 2 *': it never occurs"
        );
        assert!(matches!(&error, CallError::Actor(error) if error.code == "invalid-cron"));
        assert!(
            alarms(world).await.is_empty(),
            "the first was not set either"
        );
    });
}

/// Failures are retried as of any alarm; times that pass meanwhile are not made up for.
#[test]
fn one_that_fails_is_retried_and_then_goes_on_with_the_calendar() {
    run(Limits::default(), async |world| {
        begin(world, "* * * * *", "UTC").await;
        FAILS.set(6);
        pass(world, 100_000).await;
        let status = alarms(world).await;
        assert!(
            status[0].contains("5 Some(\"as it was told to\") None"),
            "{status:?}"
        );
        world.crash().await;
        // 2 + 4 + 8 + 16 + 32 + 64 s and up to a quarter more after the first minute.
        pass(world, 200_000).await;
        let handled = handled(world).await;
        let minutes: Vec<_> = handled.iter().map(|at| at / 60_000).collect();
        assert!(
            [&[1, 4, 5][..], &[1, 4]].contains(&&minutes[..]),
            "{minutes:?}"
        );
    });
}

#[test]
fn one_that_fails_too_often_is_parked_and_goes_on_when_it_is_run() {
    let limits = Limits {
        alarm_retries_max: Some(2),
        ..Limits::default()
    };
    run(limits, async |world| {
        begin(world, "@hourly", "UTC").await;
        FAILS.set(3);
        pass(world, 5 * HOUR_MS).await;
        world.crash().await;
        assert_eq!(
            alarms(world).await,
            [format!(
                "it None Some(\"@hourly UTC\") 3 Some(\"as it was told to\") Some({:?})",
                Parked::Failures
            )]
        );
        super::parked::run_alarm(world, "almanac", "a", "it")
            .await
            .unwrap();
        pass(world, HOUR_MS + 1_000).await;
        assert_eq!(handled(world).await, [HOUR_MS, 6 * HOUR_MS]);
    });
}

/// The disk stalls, commits are lost, handlers fail, the node crashes and restarts at any moment. Every time of
/// the calendar is handled by a turn for it or for an earlier one that was late, no time is handled
/// twice, and none too early.
#[test]
fn random_crashes_lose_no_time_and_repeat_none() {
    each_seed(30, |seed| {
        run(Limits::default(), async |world| {
            let mut rng = Rng::with_seed(seed);
            begin(world, "*/10 * * * * *", "UTC").await;
            for _step in 0..40 {
                match rng.u8(..8) {
                    0 => world.store().hold_commits(),
                    1 | 2 => world.crash().await,
                    3 => {
                        world.store().release_commits();
                        world.restart().await;
                    }
                    4 => FAILS.set(rng.u32(..3)),
                    _ => world.store().release_commits(),
                }
                pass(world, rng.u64(..25_000)).await;
            }
            world.store().release_commits();
            // One time may have failed in step after step. Two more failures may still come, and no retry
            // waits for longer than 1,280 s.
            pass(world, 3 * 1_280_000).await;
            let now = since_beginning(world.now());
            let handled = world.actor::<Almanac>("a").handled().await.unwrap();
            let mut last = (0, 0);
            for (scheduled, at) in handled {
                assert!(at >= scheduled, "{scheduled} at {at}: early");
                assert!(scheduled > last.0, "{scheduled} twice");
                assert_eq!(scheduled % 10_000, 0);
                // Between the last turn and this time there was no other: none was left out.
                assert!(
                    scheduled <= last.1 + 10_000,
                    "left out between {last:?} and {scheduled}"
                );
                last = (scheduled, at);
            }
            assert!(last.0 + 20_000 > now, "it stopped at {last:?}");
        });
    });
}
