//! Alarms that never end: the loop guard parks them, the budget slows them down, and neither
//! touches anybody else.

use std::cell::RefCell;
use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::testing::{BEGINNING, World};
use abide_actors::{AlarmQuery, AlarmState, Limits, Parked};

thread_local! {
    /// When alarms fired, milliseconds since the beginning, by object.
    static FIRED: RefCell<BTreeMap<String, Vec<u64>>> = RefCell::default();
}

fn fired(object: &str) -> Vec<u64> {
    FIRED.with_borrow(|fired| fired.get(object).cloned().unwrap_or_default())
}

/// Its alarm sets the next one so much later, under one name or under ever new ones.
#[derive(Default, Serialize, Deserialize)]
struct Runaway {
    after_ms: u64,
    names: Names,
    turns: u64,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
enum Names {
    #[default]
    Same,
    Changing,
}

#[actor]
impl Runaway {
    #[call]
    fn begin(
        &mut self,
        ctx: &mut Context<Self>,
        after_ms: u64,
        names: Names,
    ) -> Result<(), CallError> {
        (self.after_ms, self.names) = (after_ms, names);
        ctx.set_alarm("0", Duration::ZERO)
    }

    #[call]
    fn set_many(&mut self, ctx: &mut Context<Self>, count: u64) -> Result<(), CallError> {
        self.after_ms = u64::MAX;
        (0..count).try_for_each(|number| ctx.set_alarm(&number.to_string(), Duration::ZERO))
    }

    #[call]
    fn turns(&self) -> u64 {
        self.turns
    }

    #[call]
    fn parked(&self, ctx: &Context<Self>) -> Vec<(String, String)> {
        let parked = ctx.alarms().into_iter().filter_map(|alarm| {
            let (_since, why) = alarm.parked?;
            Some((alarm.name.to_string(), why.as_str().to_owned()))
        });
        parked.collect()
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), CallError> {
        self.turns += 1;
        let at = ctx.now().0 - BEGINNING.0;
        let object = ctx.name().unwrap_or_default().to_owned();
        FIRED.with_borrow_mut(|fired| fired.entry(object).or_default().push(at));
        if self.after_ms == u64::MAX {
            return Ok(());
        }
        let name = match self.names {
            Names::Same => alarm.name.to_string(),
            Names::Changing => (self.turns % 3).to_string(),
        };
        ctx.set_alarm(&name, Duration::from_millis(self.after_ms))
    }
}

fn run(limits: Limits, test: impl AsyncFnOnce(&mut World)) {
    FIRED.set(BTreeMap::new());
    World::builder()
        .limits(limits)
        .actor::<Runaway>("runaway")
        .run(test);
}

async fn pass(world: &World, seconds: u64) {
    world.advance(Duration::from_secs(seconds)).await;
}

/// Also when it takes another name each time, and when the node crashes meanwhile: the count of links
/// is part of the alarm. The turns before are committed; the one that would come next is parked.
#[test]
fn a_loop_is_parked_with_its_reason() {
    let limits = Limits {
        alarm_chain_max: Some(500),
        alarm_burst_max: 50,
        ..Limits::default()
    };
    for names in [Names::Same, Names::Changing] {
        run(limits.clone(), async |world| {
            let runaway = world.actor::<Runaway>("r");
            runaway.begin(0, names).await.unwrap();
            pass(world, 2).await;
            let before = fired("r").len();
            assert!((1..500).contains(&before), "{before}");
            world.crash().await;
            pass(world, 60).await;
            let runaway = world.actor::<Runaway>("r");
            assert_eq!(
                runaway.turns().await.unwrap(),
                501,
                "the first and 500 links"
            );
            let parked = runaway.parked().await.unwrap();
            assert_eq!(parked.len(), 1);
            assert_eq!(parked[0].1, "loop");
            let query = AlarmQuery {
                state: AlarmState::Parked,
                namespace: None,
                after: None,
                limit: 10,
            };
            let page = world.runtime().alarms(query).await.unwrap();
            assert_eq!(page.alarms[0].1.parked.unwrap().1, Parked::Loop);
            assert_eq!(world.runtime().alarm_stats().parked, 1);
            // Run again it counts anew.
            super::parked::run_alarm(world, "runaway", "r", &parked[0].0)
                .await
                .unwrap();
            pass(world, 60).await;
            assert_eq!(world.actor::<Runaway>("r").turns().await.unwrap(), 1_002);
        });
    }
}

/// What takes a moment between two turns is no loop, however long it goes on.
#[test]
fn one_that_recurs_after_a_while_is_never_parked() {
    let limits = Limits {
        alarm_chain_max: Some(100),
        ..Limits::default()
    };
    run(limits, async |world| {
        let runaway = world.actor::<Runaway>("r");
        runaway.begin(50, Names::Same).await.unwrap();
        pass(world, 60).await;
        assert!(fired("r").len() > 1_000, "{}", fired("r").len());
        assert!(runaway.parked().await.unwrap().is_empty());
        assert_eq!(world.runtime().alarm_stats().slowed, 0);
    });
}

#[test]
fn an_object_above_its_budget_is_slowed_down_to_it_and_others_are_not() {
    let limits = Limits {
        alarm_chain_max: None,
        alarm_rate_max: 10,
        alarm_burst_max: 50,
        ..Limits::default()
    };
    run(limits, async |world| {
        world
            .actor::<Runaway>("r")
            .begin(0, Names::Same)
            .await
            .unwrap();
        world
            .actor::<Runaway>("steady")
            .begin(200, Names::Same)
            .await
            .unwrap();
        pass(world, 10).await;
        let turns = fired("r").len();
        // The burst, and ten in each of ten seconds.
        assert!((145..=151).contains(&turns), "{turns}");
        assert!(fired("steady").len() >= 49, "{}", fired("steady").len());
        assert!(world.runtime().alarm_stats().slowed >= 90);
    });
}

/// All of an object's alarms at once are more than its burst: each has its place in a row, none
/// is lost, and a crash in the middle only begins the row again.
#[test]
fn alarms_above_the_burst_fire_one_after_the_other() {
    let limits = Limits {
        alarm_rate_max: 100,
        alarm_burst_max: 100,
        ..Limits::default()
    };
    run(limits, async |world| {
        world.actor::<Runaway>("r").set_many(1_000).await.unwrap();
        pass(world, 2).await;
        let begun = fired("r").len();
        assert!((250..=320).contains(&begun), "{begun}");
        world.crash().await;
        pass(world, 10).await;
        assert_eq!(world.actor::<Runaway>("r").turns().await.unwrap(), 1_000);
    });
}
