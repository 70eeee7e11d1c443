//! What is set, or put off, while the scheduler reads on in the store.

use abide::prelude::*;
use abide_actors::testing::{BEGINNING, World};
use abide_actors::{Call, Deadline, Limits, Payload};
use futures_util::future::join_all;
use serde_json::json;

use super::{Bell, EACH, PAGE, UNREADABLE, rung};
use crate::slow_store::{Node, Takes};
use crate::support::begin;

/// As many as have no place in one page.
const OBJECTS: usize = PAGE / EACH + 1;

/// When the alarms of an object are due; those of the last one begin in the first page and end in
/// the second.
fn due_ms(object: usize) -> u64 {
    BEGINNING.0 + 60_000 + 1_000 * object as u64
}

/// A node that begins to read the alarms of all objects, and is kept from reading them.
async fn reading_node() -> Node {
    let mut node = Node::start::<Bell>(Takes::default());
    for object in 0..OBJECTS {
        let bell = object.to_string();
        let set = node.call(&bell, "set", json!([EACH, due_ms(object)]));
        set.await.unwrap();
    }
    node.store.hold_pages();
    node.restart::<Bell>().await;
    node.store.page_is_awaited().await;
    node
}

/// The same, after the first page: its alarms have rung, and it begins to read the second.
async fn node_reading_on() -> Node {
    let node = reading_node().await;
    node.store.release_pages();
    tokio::time::sleep(Duration::from_secs(30)).await;
    node.store.hold_pages();
    node.store.page_is_awaited().await;
    assert_eq!(rung().len(), PAGE, "the first page is used up");
    node
}

async fn set_one(node: &Node, name: &str, after: Duration) {
    let at = BEGINNING + after;
    node.call(name, "set_one", json!([at.0])).await.unwrap();
}

/// Waits until all but the first page have rung, and gives what else has.
async fn rest(node: &Node) -> Vec<String> {
    node.store.release_pages();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let (many, other): (Vec<_>, _) = rung().into_iter().partition(|alarm| !alarm.ends_with(' '));
    assert_eq!(many.len(), OBJECTS * EACH - PAGE);
    other
}

/// 1. The scheduler reads the second page.
/// 2. An alarm is set. It is behind the window's end, where a page will bring it.
/// 3. The page that comes is older than the alarm.
#[test]
fn an_alarm_set_while_the_next_page_is_read_rings() {
    World::builder().run(async |_| {
        let node = node_reading_on().await;
        set_one(&node, "late", Duration::from_secs(300)).await;
        assert_eq!(rest(&node).await, ["slow/late "]);
    });
}

/// As above, but the page does not come: the alarm must stay, and so must the place at which to
/// read again.
#[test]
fn an_alarm_set_while_the_next_page_cannot_be_read_rings() {
    World::builder().run(async |_| {
        let node = node_reading_on().await;
        set_one(&node, "late", Duration::from_secs(300)).await;
        node.store.fail_next_page();
        assert_eq!(rest(&node).await, ["slow/late "]);
    });
}

/// 1. The node starts and reads the first page.
/// 2. An alarm is set for a day on which nobody looks yet. The window has no end, so it takes it.
/// 3. The first page comes. Once its alarms have rung the window still holds the far one, and
///    those between must not wait for it.
#[test]
fn a_far_alarm_set_while_the_first_page_is_read_keeps_none_waiting() {
    World::builder().run(async |_| {
        let node = reading_node().await;
        set_one(&node, "far", Duration::from_secs(86_400)).await;
        node.store.release_pages();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(rung().len(), OBJECTS * EACH);
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(rung().into_iter().collect::<Vec<_>>(), ["slow/far "]);
    });
}

/// A world that was started over more than a page of alarms, the first of them of these objects.
async fn start_behind(world: &mut World, names: &[&str]) {
    for (before, name) in (1..).zip(names) {
        let at_ms = due_ms(0) - 500 * before;
        world.actor::<Bell>(name).set(1, at_ms).await.unwrap();
    }
    for object in 0..OBJECTS {
        let name = object.to_string();
        let bell = world.actor::<Bell>(&name);
        bell.set(EACH as u64, due_ms(object)).await.unwrap();
    }
    world.crash().await;
}

/// 1. Two objects cannot be activated. Their alarms are put off again and again, not at the same
///    time: there is always one in the window.
/// 2. The pages behind must be read all the same.
#[test]
fn alarms_of_unreadable_objects_keep_none_waiting() {
    World::builder().actor::<Bell>("bell").run(async |world| {
        start_behind(world, &["unreadable 1", "unreadable 2"]).await;
        UNREADABLE.set(true);
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(rung().len(), OBJECTS * EACH);
        UNREADABLE.set(false);
        world.advance(Duration::from_secs(60)).await;
        let late: Vec<_> = rung().into_iter().collect();
        assert_eq!(late, ["bell/unreadable 1 0", "bell/unreadable 2 0"]);
    });
}

/// The same with an object whose mailbox is full.
#[test]
fn an_alarm_for_a_full_mailbox_keeps_none_waiting() {
    let limits = Limits {
        mailbox_messages_max: 64,
        turn_timeout: Duration::from_secs(3_600),
        ..Limits::default()
    };
    let world = World::builder().actor::<Bell>("bell").limits(limits);
    world.run(async |world| {
        start_behind(world, &["busy"]).await;
        let work = || work(world, "busy", Duration::from_secs(900));
        let at_work = begin(world, work()).await;
        let waiting = begin(world, join_all((0..64).map(|_| work()))).await;
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(rung().len(), OBJECTS * EACH);
        drop((at_work, waiting));
        world.advance(Duration::from_secs(600)).await;
        assert!(rung().contains("bell/busy 0"));
    });
}

async fn work(world: &World, name: &str, time: Duration) {
    let target = world.runtime().target("bell", name).unwrap();
    let arguments = Payload::json(json!([time.as_secs()]).to_string());
    let call = Call::new("work", arguments, Deadline::after(2 * time));
    world.runtime().call(&target, call).await.unwrap();
}
