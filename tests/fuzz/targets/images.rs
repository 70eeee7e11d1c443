//! Files of objects from bytes, into a counter and a map that are there already.

use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{AlarmView, CallError, Deadline, ImageError, Precondition, Target};
use abide_storage::{ObjectImage, Section};
use serde_json::{Value, json};

use super::objects::in_world;

/// The objects that are replaced, with a method that reads all of each.
const OBJECTS: [(&str, &str); 2] = [("counter", "get"), ("kv", "list")];

/// What is an image replaces both objects, or is refused and has changed nothing. What took it over
/// is that image, before and after a crash.
pub(super) fn run(data: &[u8]) {
    let Some(image) = abide::fuzzing::object_file(data) else {
        return;
    };
    in_world(async |world| {
        for (namespace, _) in OBJECTS {
            fill(world, namespace).await;
            let before = export(world, namespace).await;
            let target = target(world, namespace);
            let replaced = world
                .runtime()
                .replace(&target, image.clone(), Precondition::None, soon())
                .await;
            let after = export(world, namespace).await;
            match replaced {
                Ok(_) if rings_at_once(world, &image) => {}
                Ok(_) if image.id == target.object.id => assert_same(&after, &image),
                Ok(_) => assert_same(&after, &image.clone().for_another()),
                Err(ImageError::Invalid { .. } | ImageError::OtherKind { .. }) => {
                    assert_eq!(after, before);
                }
                Err(error) => panic!("{namespace}: {error:?}"),
            }
        }
        let before = look(world).await;
        world.crash().await;
        assert_eq!(look(world).await, before);
    });
}

/// An alarm that is due already is handled, and changes what it finds.
fn rings_at_once(world: &World, image: &ObjectImage) -> bool {
    let view = world.runtime().view(image).expect("it was taken");
    let due = |alarm: &AlarmView| alarm.due.is_some_and(|due| due <= world.now());
    view.alarms.values().any(due)
}

/// Alarms are compared by name: their rows are written anew, in the shortest form.
fn assert_same(one: &ObjectImage, other: &ObjectImage) {
    let names = |image: &ObjectImage| {
        let names = image.section(Section::Alarm);
        names.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(one), names(other));
    let rest = |image: &ObjectImage| image.clone().without(Section::Alarm).rows;
    assert_eq!(rest(one), rest(other));
}

fn target(world: &World, namespace: &str) -> Target {
    let target = world.runtime().target(namespace, "fuzzed");
    target.expect("it is registered")
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

async fn fill(world: &World, namespace: &str) {
    let (method, arguments) = match namespace {
        "counter" => ("increment", json!([7])),
        _ => ("put", json!({"key": "k", "value": 1, "ttl_ms": 60_000})),
    };
    let filled = world.call(namespace, "fuzzed", method, arguments).await;
    filled.expect("it takes that");
}

async fn export(world: &World, namespace: &str) -> ObjectImage {
    let target = target(world, namespace);
    let image = world.runtime().export(&target, soon()).await;
    image.expect("it was written")
}

/// What each says of itself: rows of the key-value storage are bytes to the runtime, so an actor may
/// refuse some, but it must not fail in another way.
async fn look(world: &World) -> Vec<Value> {
    let mut seen = Vec::new();
    for (namespace, method) in OBJECTS {
        let said = world.call(namespace, "fuzzed", method, json!({})).await;
        seen.push(match said {
            Ok(value) => value,
            Err(CallError::Actor(refusal)) => refusal.message.into(),
            Err(CallError::Panicked) => panic!("{namespace} panicked on an image it took"),
            Err(error) => error.to_string().into(),
        });
    }
    seen
}

/// Exports of the objects, and files that are wrong in one way each.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    in_world(async |world| {
        for (namespace, _) in OBJECTS {
            fill(world, namespace).await;
            let image = export(world, namespace).await;
            let view = world.runtime().view(&image).expect("it is registered");
            seeds.push(abide::fuzzing::object_text(&image, view));
        }
    });
    let text = String::from_utf8(seeds[1].clone()).expect("a file is text");
    let wrong = [
        text.replace("abide-object-1", "abide-object-2"),
        text.replace("\"kv\"", "\"counter\""),
        text.replace("\"fuzzed\"", "null"),
        text.replace("\"data\"", "\"replies\""),
    ];
    seeds.extend(wrong.map(String::into_bytes));
    seeds
}
