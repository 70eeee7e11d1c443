//! A page of alarms may end in the middle of a moment. The scheduler and the store must agree on
//! which alarms of that moment come before its end.

use std::time::Duration;

use abide::Object;
use abide_actors::testing::{BEGINNING, World};
use serde_json::json;

use super::{Bell, PAGE, rung};

const OBJECTS: usize = 60;
const EACH: usize = 100;
/// The object with the last alarm of the first page, counted in the order of ids.
const BORDER: usize = (PAGE - 1) / EACH;
/// When every alarm is due.
const AT_MS: u64 = BEGINNING.0 + 60_000;

/// Objects of two namespaces in the order of their ids, which mixes the namespaces. The border
/// falls to the first namespace, so whoever compares namespaces before ids takes the second's
/// alarms on this side of the border to be beyond it.
fn objects(world: &World) -> Vec<(Object, String)> {
    let of_attempt = |attempt: usize| {
        let object = |number: usize| {
            let namespace = ["first", "second"][number % 2];
            let name = format!("{attempt}-{number}");
            let target = world.runtime().target(namespace, &name).unwrap();
            (target.object, name)
        };
        let mut objects: Vec<_> = (0..OBJECTS).map(object).collect();
        objects.sort_by_key(|(object, _)| object.id);
        objects
    };
    let fits = |objects: &Vec<(Object, String)>| is_of(&objects[BORDER], "first");
    let found = (0..).map(of_attempt).find(fits);
    found.expect("one attempt in two fits")
}

fn is_of((object, _): &(Object, String), namespace: &str) -> bool {
    object.namespace.as_str() == namespace
}

/// A node that was started over all these alarms, and has read the first page of them.
fn with_one_moment(test: impl AsyncFnOnce(&World, &[(Object, String)])) {
    let world = World::builder()
        .actor::<Bell>("first")
        .actor::<Bell>("second");
    world.run(async |world| {
        let objects = objects(world);
        for (object, name) in &objects {
            let namespace = object.namespace.as_str();
            let set = world
                .call(namespace, name, "set", json!([EACH, AT_MS]))
                .await;
            set.unwrap();
        }
        world.crash().await;
        world.advance(Duration::from_secs(1)).await;
        test(world, &objects).await;
    });
}

/// 1. The node reads the first page, whose end is an alarm of the first namespace.
/// 2. Alarms of the second namespace in that page must not be dropped as if a later page held
///    them: it begins after the end, and they are before it.
#[test]
fn a_page_is_taken_whole_when_its_moment_is_shared_by_two_namespaces() {
    with_one_moment(async |world, _| {
        world.advance(Duration::from_secs(70)).await;
        assert_eq!(rung().len(), OBJECTS * EACH);
    });
}

/// 1. The node reads the first page, as above.
/// 2. An object of the second namespace sets an alarm for the same moment. By its id it comes
///    before the page's end, so no later page will hold it.
#[test]
fn an_alarm_set_for_the_moment_at_which_a_page_ends_rings() {
    with_one_moment(async |world, objects| {
        let (_, name) = objects[..BORDER]
            .iter()
            .find(|object| is_of(object, "second"))
            .expect("the namespaces are mixed");
        let set = world.call("second", name, "set_one", json!([AT_MS])).await;
        set.unwrap();
        world.advance(Duration::from_secs(70)).await;
        assert!(rung().contains(&format!("second/{name} ")));
    });
}
