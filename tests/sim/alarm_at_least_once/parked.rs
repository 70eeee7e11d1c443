//! Alarms that fire no more: they are seen over all objects, and an operator runs them again.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::testing::World;
use abide_actors::{AlarmPage, AlarmQuery, AlarmState, Deadline, Limits, Parked};
use abide_storage::{CommitError, Namespace};

thread_local! {
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

/// Its alarms fail while the test says so.
#[derive(Default, Serialize, Deserialize)]
struct Fragile {
    fired: u64,
}

#[actor]
impl Fragile {
    #[call]
    fn set(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        after_s: u64,
    ) -> Result<(), CallError> {
        ctx.set_alarm(&name, Duration::from_secs(after_s))
    }

    #[call]
    fn cancel(&mut self, ctx: &mut Context<Self>, name: String) {
        ctx.cancel_alarm(&name);
    }

    #[call]
    fn fired(&self) -> u64 {
        self.fired
    }

    fn alarm(&mut self, _alarm: Alarm) -> Result<(), ActorError> {
        if BROKEN.get() {
            return Err(ActorError::new("broken", "it is broken"));
        }
        self.fired += 1;
        Ok(())
    }
}

fn run(test: impl AsyncFnOnce(&mut World)) {
    BROKEN.set(true);
    let limits = Limits {
        alarm_retries_max: Some(1),
        ..Limits::default()
    };
    World::builder()
        .limits(limits)
        .actor::<Fragile>("fragile")
        .actor::<Fragile>("other")
        .run(test);
}

pub(super) async fn run_alarm(
    world: &World,
    namespace: &str,
    object: &str,
    name: &str,
) -> Result<Timestamp, CallError> {
    let target = world.runtime().target(namespace, object).unwrap();
    let deadline = Deadline::after(Duration::from_secs(10));
    world.runtime().run_alarm(&target, name, deadline).await
}

async fn set(world: &World, object: &str, name: &str, after_s: u64) {
    let arguments = serde_json::json!([name, after_s]);
    world
        .call("fragile", object, "set", arguments)
        .await
        .unwrap();
}

async fn fired(world: &World, object: &str) -> u64 {
    let fired = world.call("fragile", object, "fired", serde_json::json!([]));
    fired.await.unwrap().as_u64().unwrap()
}

async fn list(world: &World, state: AlarmState) -> AlarmPage {
    let query = AlarmQuery {
        state,
        namespace: None,
        after: None,
        limit: 100,
    };
    world.runtime().alarms(query).await.unwrap()
}

/// Names of the alarms, and when they fire.
async fn names(world: &World, state: AlarmState) -> Vec<(String, Option<Timestamp>)> {
    let page = list(world, state).await;
    assert!(page.next.is_none());
    let alarms = page.alarms.into_iter();
    alarms
        .map(|(_object, alarm)| (alarm.name.to_string(), alarm.due))
        .collect()
}

async fn pass(world: &World, seconds: u64) {
    world.advance(Duration::from_secs(seconds)).await;
}

#[test]
fn parked_ones_are_listed_with_their_error_and_run_through_crashes() {
    run(async |world| {
        set(world, "a", "tea", 10).await;
        set(world, "b", "", 20).await;
        set(world, "c", "far", 1_000_000).await;
        pass(world, 60).await;
        world.crash().await;
        let page = list(world, AlarmState::Parked).await;
        let [(object, tea), (_, unnamed)] = &page.alarms[..] else {
            panic!("{page:?}");
        };
        assert_eq!(
            (&*tea.name, &*unnamed.name),
            ("tea", ""),
            "in order of parking"
        );
        assert_eq!(
            *object,
            world.runtime().target("fragile", "a").unwrap().object
        );
        let (since, why) = tea.parked.unwrap();
        assert_eq!((why, tea.due, tea.retries), (Parked::Failures, None, 2));
        assert!(since > tea.scheduled && since <= world.now());
        let error = tea.last_error.as_ref().unwrap();
        assert_eq!((&*error.message, error.at), ("it is broken", since));
        assert_eq!(
            names(world, AlarmState::Pending).await.len(),
            1,
            "the far one"
        );

        // Run while it is still broken: it is tried as often as before, then parked again.
        run_alarm(world, "fragile", "a", "tea").await.unwrap();
        pass(world, 60).await;
        assert_eq!(names(world, AlarmState::Parked).await.len(), 2);
        BROKEN.set(false);
        let due = run_alarm(world, "fragile", "a", "tea").await.unwrap();
        assert_eq!(due, world.now());
        // The node dies before it fires. That it is to fire was durable.
        world.crash().await;
        pass(world, 1).await;
        assert_eq!((fired(world, "a").await, fired(world, "b").await), (1, 0));
        assert_eq!(
            names(world, AlarmState::Parked).await,
            [(String::new(), None)]
        );
    });
}

#[test]
fn a_pending_one_is_run_ahead_of_its_time_and_only_once() {
    run(async |world| {
        BROKEN.set(false);
        set(world, "a", "far", 1_000_000).await;
        run_alarm(world, "fragile", "a", "far").await.unwrap();
        pass(world, 1).await;
        assert_eq!(fired(world, "a").await, 1);
        assert!(names(world, AlarmState::Pending).await.is_empty());
        pass(world, 2_000_000).await;
        assert_eq!(fired(world, "a").await, 1);
    });
}

#[test]
fn one_that_is_not_there_is_an_error() {
    run(async |world| {
        let unknown = run_alarm(world, "fragile", "never written", "tea").await;
        assert!(
            matches!(unknown, Err(CallError::UnknownAlarm { .. })),
            "{unknown:?}"
        );
        set(world, "a", "tea", 100).await;
        let unknown = run_alarm(world, "fragile", "a", "coffee").await;
        assert!(
            matches!(unknown, Err(CallError::UnknownAlarm { .. })),
            "{unknown:?}"
        );
    });
}

/// The wish of an operator that could not be committed has had no effect.
#[test]
fn a_run_that_cannot_be_stored_is_refused_and_changes_nothing() {
    run(async |world| {
        set(world, "a", "tea", 10).await;
        pass(world, 60).await;
        BROKEN.set(false);
        let reason = || CommitError::Refused {
            reason: "the test".into(),
        };
        world.store().fail_next_commit(reason());
        let refused = run_alarm(world, "fragile", "a", "tea").await;
        assert!(refused.is_err(), "{refused:?}");
        pass(world, 60).await;
        assert_eq!(fired(world, "a").await, 0);
        assert_eq!(names(world, AlarmState::Parked).await.len(), 1);
        run_alarm(world, "fragile", "a", "tea").await.unwrap();
        pass(world, 1).await;
        assert_eq!(fired(world, "a").await, 1);
    });
}

#[test]
fn one_that_is_set_anew_or_cancelled_leaves_the_list() {
    run(async |world| {
        set(world, "a", "tea", 10).await;
        set(world, "b", "tea", 10).await;
        pass(world, 60).await;
        assert_eq!(names(world, AlarmState::Parked).await.len(), 2);
        set(world, "a", "tea", 10).await;
        let cancelled = world.call("fragile", "b", "cancel", serde_json::json!(["tea"]));
        cancelled.await.unwrap();
        world.crash().await;
        assert!(names(world, AlarmState::Parked).await.is_empty());
    });
}

#[test]
fn a_listing_goes_on_where_it_ended_and_keeps_to_a_namespace() {
    run(async |world| {
        for number in 0..700 {
            let (object, name) = (format!("{}", number % 7), format!("{number:03}"));
            set(world, &object, &name, 10 + number).await;
        }
        let arguments = serde_json::json!(["elsewhere", 300]);
        world.call("other", "o", "set", arguments).await.unwrap();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = AlarmQuery {
                state: AlarmState::Pending,
                namespace: Some(Namespace::new("fragile").unwrap()),
                after,
                limit: 99,
            };
            let page = world.runtime().alarms(query).await.unwrap();
            assert!(page.alarms.len() <= 99);
            found.extend(
                page.alarms
                    .into_iter()
                    .map(|(_, alarm)| alarm.name.to_string()),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..700).map(|number| format!("{number:03}")).collect();
        assert_eq!(found, expected);
    });
}

/// What counts it, and the log, say what is stored: not each try to store it.
#[test]
fn one_whose_parking_cannot_be_stored_is_not_parked_yet() {
    run(async |world| {
        set(world, "a", "tea", 1).await;
        let parked = || world.runtime().alarm_stats().parked;
        // The first failure is stored, the next one would park it.
        world.advance(Duration::from_secs(2)).await;
        world.store().refuse_writes(Some("the disk is full"));
        world.advance(Duration::from_secs(10)).await;
        assert_eq!(parked(), 0);
        world.store().refuse_writes(None);
        world.advance(Duration::from_secs(5)).await;
        assert_eq!(parked(), 1);
        assert_eq!(list(world, AlarmState::Parked).await.alarms.len(), 1);
    });
}
