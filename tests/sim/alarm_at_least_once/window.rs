//! More alarms than the scheduler keeps in memory: it sees a window onto the beginning of the
//! store's index, and what is outside must neither be lost nor wait behind what is inside.

use std::cell::RefCell;
use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use abide_storage::Store;
use fastrand::Rng;
use tokio::time::sleep;

use crate::slow_store::{Node, Takes};

/// Alarms of one object; the limit is 1,024.
const EACH: usize = 1_000;

thread_local! {
    /// How often each alarm of each object fired, and how late it was at most, ms.
    static FIRED: RefCell<BTreeMap<(String, String), (u64, u64)>> = RefCell::default();
}

/// Sets many alarms. Its state is small, so that many of them can fire in a test.
#[derive(Default, Serialize, Deserialize)]
struct Crowd {}

#[actor]
impl Crowd {
    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, after_ms: Vec<u64>) -> Result<(), CallError> {
        for (number, after_ms) in after_ms.into_iter().enumerate() {
            ctx.set_alarm(&number.to_string(), Duration::from_millis(after_ms))?;
        }
        Ok(())
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) {
        let late_ms = ctx.now().0 - alarm.scheduled.0;
        let key = (
            ctx.name().unwrap_or_default().to_owned(),
            alarm.name.to_string(),
        );
        FIRED.with_borrow_mut(|fired| {
            let (times, latest_ms) = fired.entry(key).or_default();
            *times += 1;
            *latest_ms = late_ms.max(*latest_ms);
        });
    }
}

fn fired() -> BTreeMap<(String, String), (u64, u64)> {
    FIRED.with_borrow(BTreeMap::clone)
}

/// Twenty thousand alarms over an hour, set in no order, so that the window overflows and is read
/// again page by page; in the middle the node crashes.
#[test]
fn twenty_thousand_alarms_all_fire_in_time() {
    World::builder().actor::<Crowd>("crowd").run(async |world| {
        let mut rng = Rng::with_seed(20_000);
        for object in 0..20 {
            let after_ms = (0..EACH).map(|_| rng.u64(60_000..3_600_000)).collect();
            world
                .actor::<Crowd>(&format!("{object}"))
                .set(after_ms)
                .await
                .unwrap();
        }
        world.advance(Duration::from_secs(1_800)).await;
        world.crash().await;
        world.advance(Duration::from_secs(1_810)).await;
        let fired = fired();
        assert_eq!(fired.len(), 20 * EACH);
        for (alarm, (times, late_ms)) in fired {
            assert_eq!(
                times, 1,
                "{alarm:?}: nothing but a crash inside a turn makes it two"
            );
            assert!(late_ms < 1_000, "{alarm:?} was {late_ms} ms late");
        }
    });
}

/// Twenty thousand alarms of twenty objects, a minute from now.
async fn set_all_at_once(world: &World) {
    for object in 0..20 {
        let name = format!("{object}");
        world
            .actor::<Crowd>(&name)
            .set(vec![60_000; EACH])
            .await
            .unwrap();
    }
}

/// Twenty thousand alarms for the same second: they are spread out, not dropped, and the mailbox
/// of each object, which holds fewer, is no reason to lose one.
#[test]
fn twenty_thousand_alarms_for_the_same_moment_all_fire() {
    World::builder().actor::<Crowd>("crowd").run(async |world| {
        set_all_at_once(world).await;
        world.advance(Duration::from_secs(59)).await;
        // Nothing can be committed when they fall due, so each of them is put off; the next node
        // finds them all overdue.
        world.store().refuse_writes(Some("the disk is full"));
        world.advance(Duration::from_secs(2)).await;
        world.restart().await;
        world.store().refuse_writes(None);
        world.advance(Duration::from_secs(30)).await;
        assert_eq!(fired().len(), 20 * EACH);
        let left = world.store().alarms(None, 1).await.unwrap();
        assert_eq!(left, [], "each has been handled in a commit of its own");
    });
}

/// Twenty thousand alarms for the same second, of objects that are all above their budget: what is put
/// off fills the window many times. Each alarm takes its object's budget once.
#[test]
fn twenty_thousand_alarms_above_their_budget_fire_at_its_rate() {
    let limits = Limits {
        alarm_rate_max: 100,
        alarm_burst_max: 1,
        ..Limits::default()
    };
    let world = World::builder().actor::<Crowd>("crowd").limits(limits);
    world.run(async |world| {
        set_all_at_once(world).await;
        // A thousand of one object, a hundred each second; the last objects begin when the window has
        // room for them.
        world.advance(Duration::from_secs(60 + 10 + 10)).await;
        assert_eq!(fired().len(), 20 * EACH);
    });
}

/// A node that has just been started over five thousand alarms, which is more than one page: one
/// every 20 ms from the first minute on.
async fn begin_with_two_pages(test: impl AsyncFnOnce(&Node)) {
    let mut node = Node::start::<Crowd>(Takes {
        pages: Duration::from_millis(500),
        ..Takes::default()
    });
    for object in 0..5 {
        let after_ms = (0..EACH as u64)
            .map(|alarm| 60_000 + object * 20_000 + alarm * 20)
            .collect();
        set(&node, &format!("{object}"), after_ms).await;
    }
    node.restart::<Crowd>().await;
    test(&node).await;
}

async fn set(node: &Node, name: &str, after_ms: Vec<u64>) {
    let arguments = serde_json::json!([after_ms]);
    node.call(name, "set", arguments).await.unwrap();
}

async fn until_reading(node: &Node) {
    let begun = node.store.page_is_awaited();
    let begun = tokio::time::timeout(Duration::from_secs(600), begun).await;
    begun.expect("a page is read");
}

/// An alarm is committed while the second page is being read. It belongs behind the window's end,
/// so the scheduler relies on the page, and it is not in the page, which is older.
#[test]
fn an_alarm_set_while_a_page_is_read_fires() {
    World::builder().run(async |_| {
        begin_with_two_pages(async |node| {
            sleep(Duration::from_secs(10)).await;
            until_reading(node).await;
            assert!(
                fired().len() > 4_000,
                "the second page is read when the first is used up"
            );
            set(node, "late", vec![600_000]).await;
            assert!(node.store.is_reading());
            sleep(Duration::from_secs(3_600)).await;
            assert_eq!(fired().len(), 5 * EACH + 1);
        })
        .await;
    });
}

/// A far alarm is committed while the first page is being read. It is in the window before the
/// window has an end; those between must not wait for it.
#[test]
fn a_far_alarm_set_while_the_first_page_is_read_holds_no_other_back() {
    World::builder().run(async |_| {
        begin_with_two_pages(async |node| {
            until_reading(node).await;
            set(node, "far", vec![36_000_000]).await;
            assert!(node.store.is_reading());
            sleep(Duration::from_secs(3_600)).await;
            assert_eq!(fired().len(), 5 * EACH);
            sleep(Duration::from_secs(36_000)).await;
            assert_eq!(fired().len(), 5 * EACH + 1);
        })
        .await;
    });
}
