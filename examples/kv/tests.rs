#[path = "../support/node.rs"]
mod node;

use std::ops::Bound;
use std::time::Duration;

use abide_actors::{Call, CallError, Deadline, Payload};
use abide_storage::{Direction, Scan, Section, Store, Version};
use serde_json::{Value, json};

use self::node::{Node, code};
use crate::kv::{Kv, Page, Written};

async fn put(node: &Node, arguments: Value) -> Result<Written, CallError> {
    node.call("map", "put", arguments).await
}

/// The value under a key; `null` when there is none.
async fn get(node: &Node, key: &str) -> Value {
    let entry: Value = node.call("map", "get", json!([key])).await.unwrap();
    entry.get("value").cloned().unwrap_or_default()
}

async fn list(node: &Node, arguments: Value) -> (Vec<String>, Option<String>) {
    let page: Page = node.call("map", "list", arguments).await.unwrap();
    (page.entries.into_iter().map(|keyed| keyed.key).collect(), page.next)
}

/// How many rows the map has in the store.
async fn rows(node: &Node) -> usize {
    let target = node.runtime.target("kv", "map").unwrap();
    let (start, end) = (Bound::Unbounded, Bound::Unbounded);
    let (section, direction, limit) = (Section::Data, Direction::Forward, usize::MAX);
    let all = Scan { section, start, end, direction, limit };
    node.store.scan(&target.object, all).await.unwrap().len()
}

async fn version(node: &Node) -> Version {
    let target = node.runtime.target("kv", "map").unwrap();
    let list = Call::new("list", Payload::none(), Deadline::after(node::PATIENCE));
    node.runtime.call(&target, list).await.unwrap().version
}

#[tokio::test(start_paused = true)]
async fn values_of_any_shape_survive_a_crash() {
    let node = Node::start::<Kv>("kv");
    let value = json!({"dark": true, "sizes": [1, 2.5, null], "name": "ä"});
    put(&node, json!({"key": "theme", "value": value})).await.unwrap();
    let node = node.crash();
    assert_eq!(get(&node, "theme").await, value);
    assert!(node.call::<bool>("map", "delete", json!(["theme"])).await.unwrap());
    assert!(!node.call::<bool>("map", "delete", json!(["theme"])).await.unwrap());
    assert_eq!(get(&node, "theme").await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_put_at_another_revision_changes_nothing_and_names_the_current_one() {
    let node = Node::start::<Kv>("kv");
    let created = json!({"key": "a", "value": 1, "if_revision": 0});
    let revision = put(&node, created.clone()).await.unwrap().revision;
    let Err(CallError::Actor(conflict)) = put(&node, created).await else { panic!("no conflict") };
    assert_eq!((&*conflict.code, conflict.status), ("revision-conflict", 409));
    assert_eq!(conflict.data.as_deref(), Some(&json!({"current": revision})));
    assert_eq!(get(&node, "a").await, json!(1));

    let changed = json!({"key": "a", "value": 2, "if_revision": revision});
    assert!(put(&node, changed).await.unwrap().revision > revision);
    let stale = json!({"key": "a", "if_revision": revision});
    assert_eq!(code(node.call::<bool>("map", "delete", stale).await), "revision-conflict");
    assert_eq!(get(&node, "a").await, json!(2));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_back_does_not_get_an_old_revision() {
    let node = Node::start::<Kv>("kv");
    let first = put(&node, json!({"key": "a", "value": 1})).await.unwrap();
    node.call::<bool>("map", "delete", json!(["a"])).await.unwrap();
    let second = put(&node, json!({"key": "a", "value": 1})).await.unwrap();
    assert_ne!(first.revision, second.revision);
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_gone_at_its_time_and_one_put_again_is_not() {
    let node = Node::start::<Kv>("kv");
    put(&node, json!({"key": "short", "value": 1, "ttl_ms": 1_000})).await.unwrap();
    put(&node, json!({"key": "renewed", "value": 1, "ttl_ms": 1_000})).await.unwrap();
    put(&node, json!({"key": "renewed", "value": 2, "ttl_ms": 60_000})).await.unwrap();
    put(&node, json!({"key": "kept", "value": 1, "ttl_ms": 1_000})).await.unwrap();
    put(&node, json!({"key": "kept", "value": 2})).await.unwrap();
    assert_eq!(get(&node, "short").await, json!(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(list(&node, json!({})).await.0, ["kept", "renewed"]);
    // To who puts under a condition it is as if it had never been.
    put(&node, json!({"key": "short", "value": 3, "if_revision": 0})).await.unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(list(&node, json!({})).await.0, ["kept", "short"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_entry_is_not_told_before_the_alarm_has_removed_it() {
    let node = Node::start::<Kv>("kv");
    put(&node, json!({"key": "a", "value": 1, "ttl_ms": 0})).await.unwrap();
    assert_eq!(get(&node, "a").await, Value::Null);
    assert_eq!(list(&node, json!({})).await.0, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn many_entries_that_expire_together_are_removed_in_several_turns() {
    let node = Node::start::<Kv>("kv");
    for number in 0..1_200 {
        let key = format!("{number:04}");
        put(&node, json!({"key": key, "value": 1, "ttl_ms": 60_000})).await.unwrap();
    }
    put(&node, json!({"key": "kept", "value": 1})).await.unwrap();
    assert_eq!(rows(&node).await, 2 * 1_200 + 1);
    let Version(commits) = version(&node).await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(rows(&node).await, 1);
    assert_eq!(version(&node).await, Version(commits + 3));
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_through_a_prefix_page_by_page() {
    let node = Node::start::<Kv>("kv");
    for key in ["b", "user/1", "user/2", "user/3", "z"] {
        put(&node, json!({"key": key, "value": null})).await.unwrap();
    }
    let first = list(&node, json!({"prefix": "user/", "limit": 2})).await;
    assert_eq!(first, (vec!["user/1".to_owned(), "user/2".to_owned()], Some("user/2".to_owned())));
    let rest = json!({"prefix": "user/", "limit": 2, "after": "user/2"});
    assert_eq!(list(&node, rest).await, (vec!["user/3".to_owned()], None));
    let from_before = json!({"prefix": "user/", "after": "a"});
    assert_eq!(list(&node, from_before).await.0, ["user/1", "user/2", "user/3"]);
    let from_behind = json!({"prefix": "user/", "after": "z"});
    assert_eq!(list(&node, from_behind).await.0, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let node = Node::start::<Kv>("kv");
    let long = json!({"key": "k".repeat(513), "value": 1});
    assert_eq!(code(put(&node, long).await), "key-too-long");
    let large = json!({"key": "a", "value": "v".repeat(256 * 1024)});
    assert_eq!(code(put(&node, large).await), "value-too-large");
}
