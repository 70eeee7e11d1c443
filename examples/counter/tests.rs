#[path = "../support/node.rs"]
mod node;

use serde_json::json;

use self::node::{Node, START, code};
use crate::counter::Counter;

#[tokio::test(start_paused = true)]
async fn what_was_counted_survives_a_crash() {
    let node = Node::start::<Counter>("counter");
    assert_eq!(node.call("visits", "get", json!({})).await, Ok(0));
}
