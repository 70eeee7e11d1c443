use std::ops::Bound;
use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{Call, CallError, Deadline, Payload};
use abide_storage::{Direction, Scan, Section, Store, Version};
use serde_json::{Value, json};

use crate::kv::Kv;
use crate::kv::entry::Written;

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Kv>("kv").run(test);
}

/// By name, as a client would: most of the arguments are optional.
async fn put(world: &World, arguments: Value) -> Result<Written, CallError> {
    let written = world.call("kv", "map", "put", arguments).await?;
    Ok(serde_json::from_value(written).unwrap())
}

/// The value under a key; `null` when there is none.
async fn get(world: &World, key: &str) -> Value {
    let entry = world.actor::<Kv>("map").get(key.to_owned()).await.unwrap();
    entry.map_or(Value::Null, |entry| entry.value)
}

async fn delete(world: &World, key: &str) -> bool {
    world
        .actor::<Kv>("map")
        .delete(key.to_owned(), None)
        .await
        .unwrap()
}

/// The keys of a page, and where the next begins.
async fn list(world: &World, arguments: Value) -> (Vec<String>, Option<String>) {
    let page = world.call("kv", "map", "list", arguments).await.unwrap();
    let keys = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|keyed| keyed["key"].as_str().unwrap());
    (
        keys.map(str::to_owned).collect(),
        page["next"].as_str().map(str::to_owned),
    )
}

fn code(answer: Result<Written, CallError>) -> String {
    match answer {
        Err(CallError::Actor(refusal)) => refusal.code.into_owned(),
        other => panic!("not a refusal: {other:?}"),
    }
}

/// How many rows the map has in the store.
async fn rows(world: &World) -> usize {
    let target = world.runtime().target("kv", "map").unwrap();
    let all = Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    world.store().scan(&target.object, all).await.unwrap().len()
}

/// How many commits the map has seen.
async fn commits(world: &World) -> u64 {
    let target = world.runtime().target("kv", "map").unwrap();
    let deadline = Deadline::after(Duration::from_secs(1));
    let list = Call::new("list", Payload::none(), deadline);
    let Version(commits) = world.runtime().call(&target, list).await.unwrap().version;
    commits
}

#[test]
fn values_of_any_shape_survive_a_crash() {
    in_world(async |world| {
        let value = json!({"dark": true, "sizes": [1, 2.5, null], "name": "ä"});
        put(world, json!({"key": "theme", "value": value}))
            .await
            .unwrap();
        world.crash().await;
        assert_eq!(get(world, "theme").await, value);
        assert!(delete(world, "theme").await);
        assert!(!delete(world, "theme").await);
        assert_eq!(get(world, "theme").await, Value::Null);
    });
}

#[test]
fn a_put_at_another_revision_changes_nothing_and_names_the_current_one() {
    in_world(async |world| {
        let created = json!({"key": "a", "value": 1, "if_revision": 0});
        let revision = put(world, created.clone()).await.unwrap().revision;
        let Err(CallError::Actor(conflict)) = put(world, created).await else {
            panic!("no conflict");
        };
        assert_eq!(
            (&*conflict.code, conflict.status),
            ("revision-conflict", 409)
        );
        assert_eq!(
            conflict.data.as_deref(),
            Some(&json!({"current": revision}))
        );
        assert_eq!(get(world, "a").await, json!(1));

        let changed = json!({"key": "a", "value": 2, "if_revision": revision});
        assert!(put(world, changed).await.unwrap().revision > revision);
        let stale = world
            .actor::<Kv>("map")
            .delete("a".to_owned(), Some(revision))
            .await;
        assert!(matches!(stale, Err(CallError::Actor(error)) if error.code == "revision-conflict"));
        assert_eq!(get(world, "a").await, json!(2));
    });
}

#[test]
fn a_key_that_comes_back_does_not_get_an_old_revision() {
    in_world(async |world| {
        let first = put(world, json!({"key": "a", "value": 1})).await.unwrap();
        delete(world, "a").await;
        let second = put(world, json!({"key": "a", "value": 1})).await.unwrap();
        assert_ne!(first.revision, second.revision);
    });
}

#[test]
fn an_entry_is_gone_at_its_time_and_one_put_again_is_not() {
    in_world(async |world| {
        put(world, json!({"key": "short", "value": 1, "ttl_ms": 1_000}))
            .await
            .unwrap();
        put(
            world,
            json!({"key": "renewed", "value": 1, "ttl_ms": 1_000}),
        )
        .await
        .unwrap();
        put(
            world,
            json!({"key": "renewed", "value": 2, "ttl_ms": 60_000}),
        )
        .await
        .unwrap();
        put(world, json!({"key": "kept", "value": 1, "ttl_ms": 1_000}))
            .await
            .unwrap();
        put(world, json!({"key": "kept", "value": 2}))
            .await
            .unwrap();
        assert_eq!(get(world, "short").await, json!(1));
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(list(world, json!({})).await.0, ["kept", "renewed"]);
        put(world, json!({"key": "short", "value": 3, "if_revision": 0}))
            .await
            .unwrap();
        world.advance(Duration::from_mins(2)).await;
        assert_eq!(list(world, json!({})).await.0, ["kept", "short"]);
    });
}

#[test]
fn an_expired_entry_is_not_told_while_the_alarm_cannot_remove_it() {
    in_world(async |world| {
        put(world, json!({"key": "a", "value": 1, "ttl_ms": 1_000}))
            .await
            .unwrap();
        world.store().refuse_writes(Some("the disk is full"));
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(
            rows(world).await,
            2,
            "the entry and its expiry are still stored"
        );
        assert_eq!(get(world, "a").await, Value::Null);
        assert_eq!(list(world, json!({})).await.0, [""; 0]);
        world.store().refuse_writes(None);
        // To one who puts under a condition it is as if it had never been.
        put(world, json!({"key": "a", "value": 2, "if_revision": 0}))
            .await
            .unwrap();
        world.advance(Duration::from_mins(2)).await;
        assert_eq!(rows(world).await, 1);
        assert_eq!(get(world, "a").await, json!(2));
    });
}

#[test]
fn many_entries_that_expire_together_are_removed_in_several_turns() {
    in_world(async |world| {
        for number in 0..1_200 {
            let key = format!("{number:04}");
            put(world, json!({"key": key, "value": 1, "ttl_ms": 60_000}))
                .await
                .unwrap();
        }
        put(world, json!({"key": "kept", "value": 1}))
            .await
            .unwrap();
        assert_eq!(rows(world).await, 2 * 1_200 + 1);
        let before = commits(world).await;
        world.advance(Duration::from_mins(2)).await;
        assert_eq!(rows(world).await, 1);
        assert_eq!(commits(world).await, before + 3);
    });
}

#[test]
fn a_listing_goes_through_a_prefix_page_by_page() {
    in_world(async |world| {
        for key in ["b", "user/1", "user/2", "user/3", "z"] {
            put(world, json!({"key": key, "value": null}))
                .await
                .unwrap();
        }
        let (keys, next) = list(world, json!({"prefix": "user/", "limit": 2})).await;
        assert_eq!(
            (keys, next.as_deref()),
            (vec!["user/1".into(), "user/2".into()], Some("user/2"))
        );
        let rest = json!({"prefix": "user/", "limit": 2, "after": "user/2"});
        assert_eq!(list(world, rest).await, (vec!["user/3".into()], None));
        let from_before = json!({"prefix": "user/", "after": "a"});
        assert_eq!(
            list(world, from_before).await.0,
            ["user/1", "user/2", "user/3"]
        );
        let from_behind = json!({"prefix": "user/", "after": "z"});
        assert_eq!(list(world, from_behind).await.0, [""; 0]);
    });
}

#[test]
fn what_is_too_large_is_refused() {
    in_world(async |world| {
        let long = json!({"key": "k".repeat(513), "value": 1});
        assert_eq!(code(put(world, long).await), "key-too-long");
        let large = json!({"key": "a", "value": "v".repeat(256 * 1024)});
        assert_eq!(code(put(world, large).await), "value-too-large");
    });
}
