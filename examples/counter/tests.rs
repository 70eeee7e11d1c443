#[path = "../support/node.rs"]
mod node;

use serde_json::json;

use self::node::{Node, code};
use crate::counter::Counter;

async fn count(node: &Node, method: &str, arguments: serde_json::Value) -> u64 {
    node.call("visits", method, arguments).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_survives_a_crash() {
    let node = Node::start::<Counter>("counter");
    assert_eq!(count(&node, "get", json!({})).await, 0);
    assert_eq!(count(&node, "increment", json!({"by": 2})).await, 2);
    assert_eq!(count(&node, "increment", json!([3])).await, 5);
    let node = node.crash();
    assert_eq!(count(&node, "get", json!({})).await, 5);
    assert_eq!(count(&node, "reset", json!({})).await, 5);
    assert_eq!(count(&node, "get", json!({})).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_counter_that_would_overflow_stays_as_it_was() {
    let node = Node::start::<Counter>("counter");
    assert_eq!(count(&node, "increment", json!({"by": u64::MAX})).await, u64::MAX);
    let refused = node.call::<u64>("visits", "increment", json!({"by": 1})).await;
    assert_eq!(code(refused), "counter-overflow");
    assert_eq!(count(&node, "get", json!({})).await, u64::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_counter_stops_at_zero() {
    let node = Node::start::<Counter>("counter");
    count(&node, "increment", json!({"by": 2})).await;
    assert_eq!(count(&node, "decrement", json!({"by": 3})).await, 0);
}
