#[path = "../support/node.rs"]
mod node;

use std::time::Duration;

use serde_json::json;

use self::node::{Node, code};
use crate::rate_limiter::{Decision, RateLimiter};

async fn take(node: &Node, cost: u32) -> Decision {
    node.call("ada", "take", json!({ "cost": cost })).await.unwrap()
}

fn allowed(remaining: u64) -> Decision {
    Decision { allowed: true, remaining, retry_after_ms: 0 }
}

fn refused(remaining: u64, retry_after_ms: u64) -> Decision {
    Decision { allowed: false, remaining, retry_after_ms }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_long_to_wait_and_waiting_so_long_is_enough() {
    let node = Node::start::<RateLimiter>("rate_limiter");
    assert_eq!(take(&node, 8).await, allowed(2));
    assert_eq!(take(&node, 3).await, refused(2, 200));
    tokio::time::advance(Duration::from_millis(199)).await;
    assert_eq!(take(&node, 3).await, refused(2, 1));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(take(&node, 3).await, allowed(0));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_never_holds_more_than_its_burst() {
    let node = Node::start::<RateLimiter>("rate_limiter");
    take(&node, 10).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(take(&node, 10).await, allowed(0));
    assert_eq!(code(node.call::<Decision>("ada", "take", json!([11])).await), "cost-too-high");
}

#[tokio::test(start_paused = true)]
async fn a_crash_does_not_refill_the_bucket() {
    let node = Node::start::<RateLimiter>("rate_limiter");
    take(&node, 10).await;
    let node = node.crash();
    assert_eq!(take(&node, 1).await, refused(0, 200));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_bucket_keeps_what_fits() {
    let node = Node::start::<RateLimiter>("rate_limiter");
    let rate = json!({"burst": 4, "per_second": 1});
    node.call::<()>("ada", "configure", rate).await.unwrap();
    assert_eq!(take(&node, 4).await, allowed(0));
    assert_eq!(take(&node, 1).await, refused(0, 1_000));
    let nothing = json!({"burst": 4, "per_second": 0});
    assert_eq!(code(node.call::<()>("ada", "configure", nothing).await), "invalid-rate");
}
