//! What `get` and `list` see of a turn's own writes, compared with a `BTreeMap`.

use std::collections::BTreeMap;
use std::ops::Bound;

use abide::prelude::*;
use abide_actors::testing::World;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

/// One thing done to a map.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    Put(String, u64),
    Delete(String),
    Get(String),
    List {
        range: Range,
        order: Order,
        limit: Option<usize>,
    },
}

/// Which keys to list.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Range {
    All,
    Prefix(String),
    Between(Bound<String>, Bound<String>),
    After(String),
}

/// From which end to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Order {
    Forward,
    Reverse,
}

/// Whether a turn fails after its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Well,
    Badly,
}

type Rows = Vec<(String, u64)>;

#[derive(Default, Serialize, Deserialize)]
struct Map;

#[actor]
impl Map {
    /// Takes the steps in one turn, and says what each one that looks has seen.
    #[call]
    async fn turn(
        &mut self,
        ctx: &mut Context<Self>,
        steps: Vec<Step>,
        end: End,
    ) -> Result<Vec<Rows>, ActorError> {
        let mut storage = ctx.storage_mut();
        let mut seen = Vec::new();
        for step in steps {
            match step {
                Step::Put(key, value) => storage.put(&key, &value)?,
                Step::Delete(key) => storage.delete(&key)?,
                Step::Get(key) => {
                    let value = storage.get(&key).await?;
                    seen.push(value.map(|value| (key, value)).into_iter().collect());
                }
                Step::List {
                    range,
                    order,
                    limit,
                } => {
                    seen.push(storage.list(keys(&range, order, limit)).await?);
                }
            }
        }
        if end == End::Badly {
            Err(ActorError::new("asked-to-fail", "none of it happened"))
        } else {
            Ok(seen)
        }
    }
}

fn keys(range: &Range, order: Order, limit: Option<usize>) -> Keys {
    let keys = match range {
        Range::All | Range::After(_) => Keys::all(),
        Range::Prefix(prefix) => Keys::prefix(prefix),
        Range::Between(start, end) => Keys::range((
            start.as_ref().map(String::as_str),
            end.as_ref().map(String::as_str),
        )),
    };
    let keys = if order == Order::Reverse {
        keys.reverse()
    } else {
        keys
    };
    let keys = if let Range::After(key) = range {
        keys.after(key)
    } else {
        keys
    };
    match limit {
        Some(limit) => keys.limit(limit),
        None => keys,
    }
}

/// What the steps do to a plain map, and what they see in it.
fn model(map: &mut BTreeMap<String, u64>, steps: &[Step]) -> Vec<Rows> {
    let mut seen = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, value) => _ = map.insert(key.clone(), *value),
            Step::Delete(key) => _ = map.remove(key),
            Step::Get(key) => {
                seen.push(
                    map.get_key_value(key)
                        .map(|(k, v)| (k.clone(), *v))
                        .into_iter()
                        .collect(),
                );
            }
            Step::List {
                range,
                order,
                limit,
            } => {
                let wanted = |key: &String| match range {
                    Range::All => true,
                    Range::Prefix(prefix) => key.starts_with(prefix),
                    Range::Between(start, end) => {
                        let after_start = match start {
                            Bound::Included(start) => key >= start,
                            Bound::Excluded(start) => key > start,
                            Bound::Unbounded => true,
                        };
                        let before_end = match end {
                            Bound::Included(end) => key <= end,
                            Bound::Excluded(end) => key < end,
                            Bound::Unbounded => true,
                        };
                        after_start && before_end
                    }
                    Range::After(last) if *order == Order::Reverse => key < last,
                    Range::After(last) => key > last,
                };
                let rows = map.iter().filter(|(key, _)| wanted(key));
                let mut rows: Rows = rows.map(|(key, value)| (key.clone(), *value)).collect();
                if *order == Order::Reverse {
                    rows.reverse();
                }
                rows.truncate(limit.unwrap_or(usize::MAX));
                seen.push(rows);
            }
        }
    }
    seen
}

/// Few and similar keys, so that ranges and prefixes meet: also one at the end of all text.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,2}",
        1 => Just("a/".to_owned()),
        1 => Just("a0".to_owned()),
        1 => Just("\u{10ffff}".to_owned()),
        1 => Just("b\u{ff}".to_owned()),
    ]
}

fn bound() -> impl Strategy<Value = Bound<String>> {
    prop_oneof![
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop_oneof![Just(Order::Forward), Just(Order::Reverse)];
    let range = prop_oneof![
        Just(Range::All),
        prop_oneof![key(), Just(String::new())].prop_map(Range::Prefix),
        (bound(), bound()).prop_map(|(start, end)| Range::Between(start, end)),
        key().prop_map(Range::After),
    ];
    prop_oneof![
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => key().prop_map(Step::Delete),
        2 => key().prop_map(Step::Get),
        4 => (range, order, prop::option::of(0_usize..5))
            .prop_map(|(range, order, limit)| Step::List { range, order, limit }),
    ]
}

/// The steps of a turn, and how it ends.
fn turn() -> impl Strategy<Value = (Vec<Step>, End)> {
    (
        prop::collection::vec(step(), 1..20),
        prop_oneof![4 => Just(End::Well), 1 => Just(End::Badly)],
    )
}

proptest! {
    #[test]
    fn a_turn_sees_its_own_writes_and_those_before(
        turns in prop::collection::vec(turn(), 1..6),
    ) {
        World::builder().actor::<Map>("map").run(async |world| {
            let mut map = BTreeMap::new();
            for (steps, end) in turns {
                let before = map.clone();
                let expected = model(&mut map, &steps);
                match world.actor::<Map>("a").turn(steps, end).await {
                    Ok(seen) => assert_eq!(seen, expected),
                    Err(error) => {
                        assert_eq!(end, End::Badly, "{error:?}");
                        map = before;
                    }
                }
            }
            world.crash().await;
            let all = Step::List { range: Range::All, order: Order::Forward, limit: None };
            let left = world.actor::<Map>("a").turn(vec![all], End::Well).await.unwrap();
            assert_eq!(left, [map.into_iter().collect::<Rows>()], "what is durable");
        });
    }
}
