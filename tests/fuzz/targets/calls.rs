//! Arguments from bytes, in every encoding, into the methods of the counter and the map.

use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{Access, Call, CallError, Deadline, Encoding, Payload};
use serde_json::{Value, json};

use super::objects::{counter::Counter, in_world};
use super::parts::{Part, join, parts};

const METHODS: [(&str, &str); 8] = [
    ("counter", "increment"),
    ("counter", "decrement"),
    ("counter", "get"),
    ("counter", "reset"),
    ("kv", "get"),
    ("kv", "put"),
    ("kv", "delete"),
    ("kv", "list"),
];
const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::MessagePack, Encoding::Query];
/// Kinds of parts from here on let time pass, so that what expires does.
const TIME_PASSES: u8 = 0xf0;

/// Calls, one after the other; the node then crashes and must know what it knew.
pub(super) fn run(data: &[u8]) {
    in_world(async |world| {
        for part in parts(data) {
            if part.kind >= TIME_PASSES {
                world.advance(Duration::from_secs(part.kind.into())).await;
            } else {
                call(world, &part).await;
            }
        }
        let before = look(world).await;
        world.crash().await;
        assert_eq!(look(world).await, before);
    });
}

async fn call(world: &World, part: &Part<'_>) {
    let kind = usize::from(part.kind);
    let (namespace, method) = METHODS[kind % METHODS.len()];
    let encoding = ENCODINGS[kind / METHODS.len() % ENCODINGS.len()];
    let arguments = Payload {
        encoding,
        bytes: part.bytes.to_vec().into(),
    };
    let mut call = Call::new(method, arguments, Deadline::after(Duration::from_secs(60)));
    call.reply_encoding = encoding.for_reply();
    if encoding == Encoding::Query {
        call.access = Access::Read;
    }
    let target = world
        .runtime()
        .target(namespace, "fuzzed")
        .expect("it is registered");
    match world.runtime().call(&target, call).await {
        Ok(reply) => {
            let value = reply.payload.decode::<Value>();
            value.unwrap_or_else(|error| panic!("{namespace}/{method} answered {error}"));
        }
        Err(
            CallError::InvalidArguments { .. }
            | CallError::Actor(_)
            | CallError::NotARead { .. }
            | CallError::LimitExceeded { .. },
        ) => {}
        Err(error) => panic!("{namespace}/{method}: {error:?}"),
    }
}

/// All that both objects hold.
async fn look(world: &World) -> (u64, Value) {
    let count = world.actor::<Counter>("fuzzed").get().await;
    let entries = world.call("kv", "fuzzed", "list", json!({})).await;
    (
        count.expect("a counter can be read"),
        entries.expect("a map can be listed"),
    )
}

/// A call of each method in each encoding, and a few together.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let put = json!({"key": "theme", "value": {"dark": [true, null, 1.5]}, "ttl_ms": 1_000});
    let list = json!({"prefix": "t", "after": "theme", "limit": 1});
    let packed = |value: &Value| {
        let payload = Payload::encode(value, Encoding::MessagePack);
        payload.expect("JSON fits MessagePack").bytes.to_vec()
    };
    let (json, packs, query) = (0, 8, 16);
    let (put_text, list_text) = (put.to_string(), list.to_string());
    vec![
        join(&[(json, br#"{"by":2}"#), (json + 1, b"[1]"), (json + 2, b"")]),
        join(&[(packs, &packed(&json!({"by": 2}))), (packs + 3, b"")]),
        join(&[(query + 2, b"")]),
        join(&[
            (json + 5, put_text.as_bytes()),
            (json + 7, list_text.as_bytes()),
        ]),
        join(&[(packs + 5, &packed(&put)), (packs + 7, &packed(&list))]),
        join(&[
            (json + 5, put_text.as_bytes()),
            (query + 4, b"key=theme"),
            (query + 7, b"prefix=t&limit=10&after=a%20b"),
            (0xf0, b""),
            (query + 4, b"key=theme"),
        ]),
        join(&[
            (
                json + 5,
                br#"{"key":"a","value":0,"ttl_ms":18446744073709551615}"#,
            ),
            (json + 5, br#"{"key":"a","value":0,"if_revision":1}"#),
            (json + 6, br#"{"key":"a","if_revision":2}"#),
        ]),
        join(&[
            (json, br#"{"by":18446744073709551615}"#),
            (json, br#"{"by":1}"#),
        ]),
    ]
}
