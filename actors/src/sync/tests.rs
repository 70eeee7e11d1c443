use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::{Applied, Bounds, Error, Field, Replica, RowId, Table, Value, wire};
use crate::session::Frame;

const TOPICS: [&str; 3] = ["map/a", "map/b", "map"];
const CLIENTS: usize = 3;

fn fields() -> Vec<Field> {
    vec![
        Field::fixed("x", 8),
        Field::fixed("y", 8),
        Field::new("name"),
        Field::new("hit"),
    ]
}

fn row(x: f64, y: f64, name: &str, hits: u8) -> Vec<Value> {
    vec![x.into(), y.into(), name.into(), (hits > 0).into()]
}

fn bytes(frame: &Frame) -> &[u8] {
    let Frame::Binary(bytes) = frame else {
        panic!("frames of tables are binary");
    };
    bytes
}

fn apply(replica: &mut Replica, frames: &[Frame]) {
    for frame in frames {
        replica.apply(bytes(frame)).unwrap();
    }
}

/// What the table has in a topic, the way a replica tells it.
fn rows_of(table: &Table, topic: &str) -> BTreeMap<RowId, Vec<Value>> {
    let ids = table.rows(topic);
    ids.map(|id| (id, table.get(id).unwrap())).collect()
}

/// Clients that watch topics, as sessions with tags would: each gets the frames of its tags.
struct Watchers {
    tags: [BTreeSet<&'static str>; CLIENTS],
    replicas: [Replica; CLIENTS],
}

impl Watchers {
    fn watch(&mut self, table: &mut Table, client: usize, topic: &'static str) {
        if self.tags[client].insert(topic) {
            apply(&mut self.replicas[client], &table.snapshot(topic));
        }
    }

    fn leave(&mut self, client: usize, topic: &'static str) {
        if self.tags[client].remove(topic) {
            apply(&mut self.replicas[client], &[wire::end_of(topic)]);
        }
    }

    fn publish(&mut self, patches: &[(std::sync::Arc<str>, Frame)]) {
        for (topic, frame) in patches {
            for client in 0..CLIENTS {
                if self.tags[client].contains(&**topic) {
                    apply(&mut self.replicas[client], std::slice::from_ref(frame));
                }
            }
        }
    }

    fn assert_equal(&self, table: &Table) {
        for (tags, replica) in self.tags.iter().zip(&self.replicas) {
            let watched: BTreeSet<&str> = replica.topics().collect();
            assert_eq!(watched, tags.iter().copied().collect());
            for topic in tags {
                let seen: BTreeMap<_, _> = replica.rows(topic).collect();
                assert_eq!(seen, rows_of(table, topic), "topic {topic}");
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32, usize, f64, f64, String, u8),
    Set(u32, f64),
    Remove(u32),
    Flush,
    Watch(usize, usize),
    Leave(usize, usize),
    /// A turn that publishes before a client's topics change: the newcomer gets the patch first.
    WatchAfterFlush(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..6_u32;
    let place = || prop_oneof![-50.0..50.0, Just(0.0), Just(0.01), Just(1e9)];
    let client = || 0..CLIENTS;
    let topic = || 0..TOPICS.len();
    prop_oneof![
        6 => (id(), topic(), place(), place(), "[a-zé]{0,3}", 0..2_u8)
            .prop_map(|(id, at, x, y, name, hits)| Step::Put(id, at, x, y, name, hits)),
        3 => (id(), place()).prop_map(|(id, x)| Step::Set(id, x)),
        2 => id().prop_map(Step::Remove),
        3 => Just(Step::Flush),
        2 => (client(), topic()).prop_map(|(client, topic)| Step::Watch(client, topic)),
        1 => (client(), topic()).prop_map(|(client, topic)| Step::Leave(client, topic)),
        1 => (client(), topic()).prop_map(|(client, topic)| Step::WatchAfterFlush(client, topic)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The promise of the module: after each tick every client has what the server has, of the
    /// topics it watches, whenever it came and whatever moved where.
    #[test]
    fn replicas_equal_the_table_restricted_to_their_topics(
        steps in proptest::collection::vec(step(), 1..60),
        frame_size_max_bytes in prop_oneof![Just(1_usize), Just(40), Just(64 * 1024)],
    ) {
        let bounds = Bounds { frame_size_max_bytes, ..Bounds::default() };
        let mut table = Table::new("map", fields()).bounds(bounds);
        let mut watchers = Watchers { tags: Default::default(), replicas: Default::default() };
        let mut tick = 0;
        for step in steps {
            match step {
                Step::Put(id, topic, x, y, name, hits) => {
                    table.put(RowId(id), TOPICS[topic], &row(x, y, &name, hits)).unwrap();
                }
                Step::Set(id, x) => match table.set(RowId(id), 0, x) {
                    Ok(()) => {}
                    Err(error) => prop_assert_eq!(error, Error::UnknownRow(RowId(id))),
                },
                Step::Remove(id) => table.remove(RowId(id)),
                Step::Flush => {
                    tick += 1;
                    watchers.publish(&table.flush(tick));
                    watchers.assert_equal(&table);
                }
                Step::Watch(client, topic) => watchers.watch(&mut table, client, TOPICS[topic]),
                Step::Leave(client, topic) => watchers.leave(client, TOPICS[topic]),
                Step::WatchAfterFlush(client, topic) => {
                    tick += 1;
                    let patches = table.flush(tick);
                    // Its tag is there when the turn ends, so the patch reaches it, before the snapshot.
                    let topic = TOPICS[topic];
                    if watchers.tags[client].insert(topic) {
                        watchers.publish(&patches);
                        apply(&mut watchers.replicas[client], &table.snapshot(topic));
                    } else {
                        watchers.publish(&patches);
                    }
                    watchers.assert_equal(&table);
                }
            }
        }
        watchers.publish(&table.flush(tick + 1));
        watchers.assert_equal(&table);
    }

    #[test]
    fn no_bytes_break_a_replica(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        cut in 0_usize..200,
        flipped in 0_usize..200,
    ) {
        let mut table = Table::new("map", fields());
        table.put(RowId(1), "map", &row(1.0, 2.0, "Ada", 0)).unwrap();
        let frame = table.snapshot("map").remove(0);
        let mut replica = Replica::new();
        apply(&mut replica, std::slice::from_ref(&frame));
        drop(replica.apply(&bytes));
        let mut damaged = super::tests::bytes(&frame).to_vec();
        let at = flipped % damaged.len();
        damaged[at] ^= 1 << (flipped % 8);
        damaged.truncate(cut);
        drop(replica.apply(&damaged));
        // Whatever it took in, its rows can still be read.
        let topics: Vec<String> = replica.topics().map(str::to_owned).collect();
        for topic in topics {
            prop_assert!(replica.rows(&topic).count() <= 1_000);
        }
    }
}

#[test]
fn frames_are_as_documented_byte_for_byte() {
    let mut table = Table::new("map", vec![Field::fixed("x", 8), Field::new("name")]);
    table
        .put(RowId(7), "map/a", &[100.5.into(), "Ada".into()])
        .unwrap();
    assert_eq!(
        hex(&table.snapshot("map/a")[0]),
        "9600a56d61702f61009\
        4a17808a46e616d6500\
        9194070\
        3cd0324a3416461\
        90"
    );
    let patch = |table: &mut Table, tick| hex(&table.flush(tick)[0].1);
    // The row is new to the topic since the last tick, so it is told whole.
    assert_eq!(
        patch(&mut table, 300),
        "9501a56d61702f61cd012c91940703cd0324a341646190"
    );
    table.set(RowId(7), 0, -0.5).unwrap();
    assert_eq!(patch(&mut table, 301), "9501a56d61702f61cd012d91930701fc90");
    table.remove(RowId(7));
    assert_eq!(patch(&mut table, 302), "9501a56d61702f61cd012e909107");
    assert_eq!(hex(&wire::end_of("map/a")), "9202a56d61702f61");
}

fn hex(frame: &Frame) -> String {
    bytes(frame)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn what_did_not_change_costs_nothing() {
    let mut table = Table::new("map", fields());
    table
        .put(RowId(1), "map", &row(1.0, 2.0, "Ada", 0))
        .unwrap();
    assert_eq!(table.flush(1).len(), 1);
    // The same again, a change smaller than a step, and a change of what is watched elsewhere.
    table
        .put(RowId(1), "map", &row(1.0, 2.05, "Ada", 0))
        .unwrap();
    assert!(table.flush(2).is_empty());
    table
        .put(RowId(1), "map", &row(1.0, 2.07, "Ada", 0))
        .unwrap();
    assert_eq!(table.flush(3).len(), 1);
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let bounds = Bounds {
        rows_max: 1,
        text_size_max_bytes: 3,
        ..Bounds::default()
    };
    let mut table = Table::new("map", fields()).bounds(bounds);
    table
        .put(RowId(1), "map", &row(1.0, 2.0, "Ada", 0))
        .unwrap();
    drop(table.flush(1));
    for (id, topic, values) in [
        (2, "map", row(0.0, 0.0, "", 0)),
        (1, "map", vec![0.0.into()]),
        (1, "maps", row(0.0, 0.0, "", 0)),
        (1, "room", row(0.0, 0.0, "", 0)),
        (1, "map", row(f64::NAN, 0.0, "", 0)),
        (1, "map", row(0.0, f64::INFINITY, "", 0)),
        (1, "map", row(9e15, 0.0, "", 0)),
        (1, "map", row(0.0, 0.0, "Adam", 0)),
    ] {
        let refused = table.put(RowId(id), topic, &values).unwrap_err();
        assert!(!refused.to_string().is_empty());
        assert_eq!(
            table.get(RowId(1)),
            Some(row(1.0, 2.0, "Ada", 0)),
            "{refused}"
        );
        assert!(table.flush(2).is_empty(), "{refused}");
    }
    assert_eq!(
        table.set(RowId(9), 0, 0.0),
        Err(Error::UnknownRow(RowId(9)))
    );
    assert_eq!(table.set(RowId(1), 4, 0.0), Err(Error::UnknownField(4)));
    assert_eq!((table.len(), table.topic(RowId(1))), (1, Some("map")));
}

#[test]
fn a_patch_of_a_topic_without_a_snapshot_and_a_later_kind_are_ignored() {
    let mut table = Table::new("map", fields());
    table
        .put(RowId(1), "map", &row(1.0, 2.0, "Ada", 0))
        .unwrap();
    let patches = table.flush(1);
    let mut replica = Replica::new();
    assert_eq!(replica.apply(bytes(&patches[0].1)), Ok(Applied::Ignored));
    assert_eq!(replica.apply(&[0x91, 9]), Ok(Applied::Ignored));
    assert_eq!(replica.topics().count(), 0);
}

#[test]
fn large_changes_come_in_frames_of_bounded_size() {
    let bounds = Bounds {
        frame_size_max_bytes: 1_000,
        ..Bounds::default()
    };
    let mut table = Table::new("map", fields()).bounds(bounds);
    for id in 0..500 {
        table
            .put(RowId(id), "map", &row(f64::from(id), 0.0, "somebody", 1))
            .unwrap();
    }
    let snapshot = table.snapshot("map");
    let patches = table.flush(1);
    for frame in snapshot
        .iter()
        .chain(patches.iter().map(|(_, frame)| frame))
    {
        assert!(frame.size_bytes() < 1_100, "{} bytes", frame.size_bytes());
    }
    assert!(snapshot.len() > 5);
    let mut replica = Replica::new();
    apply(&mut replica, &snapshot);
    assert_eq!(replica.rows("map").count(), 500);
}

/// The figures in the module's documentation.
#[test]
fn sizes_beside_json() {
    let names = ["x", "y", "vx", "vy", "angle", "hull", "name", "colour"];
    let scales = [8, 8, 8, 8, 1_000, 1, 0, 1];
    let fields = names.iter().zip(scales);
    let mut table = Table::new(
        "map",
        fields
            .map(|(name, scale)| Field::fixed(name, scale))
            .collect(),
    );
    let ship = |id: u32, tick: f64| -> [f64; 5] {
        let angle = (f64::from(id) + tick * 0.2) % std::f64::consts::TAU;
        let (vx, vy) = (angle.cos() * 310.0, angle.sin() * 310.0);
        let at = f64::from(id) * 117.3;
        [
            at + vx * 0.05 * tick,
            5_800.0 - at + vy * 0.05 * tick,
            vx,
            vy,
            angle,
        ]
    };
    let hull = |id: u32, tick: f64| if id == 17 && tick > 0.0 { 3.0 } else { 4.0 };
    let mut put = |tick: f64| {
        for id in 0..50 {
            let mut values: Vec<Value> = ship(id, tick).map(Value::from).to_vec();
            let name = format!("Pilot {id}");
            values.extend([
                hull(id, tick).into(),
                (&*name).into(),
                (id * 7 % 360).into(),
            ]);
            table.put(RowId(id), "map", &values).unwrap();
        }
    };
    put(0.0);
    let objects = |tick: f64, whole: bool| {
        let ships: Vec<_> = (0..50)
            .map(|id| {
                let [x, y, vx, vy, angle] = ship(id, tick);
                let mut ship =
                    json!({"id": id, "x": x, "y": y, "vx": vx, "vy": vy, "angle": angle});
                if whole || id == 17 {
                    ship["hull"] = json!(hull(id, tick));
                }
                if whole {
                    ship["name"] = json!(format!("Pilot {id}"));
                    ship["colour"] = json!(id * 7 % 360);
                }
                ship
            })
            .collect();
        json!({"topic": "map", "tick": 1_000, "ships": ships})
            .to_string()
            .len()
    };
    let arrays = json!([
        1,
        "map",
        1_000,
        (0..50)
            .map(|id| {
                let rounded: Vec<i64> = ship(id, 1.0)
                    .iter()
                    .zip(scales)
                    .map(|(value, scale)| {
                        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
                        let rounded = (value * f64::from(scale)).round() as i64;
                        rounded
                    })
                    .collect();
                json!([id, 31, rounded])
            })
            .collect::<Vec<_>>()
    ])
    .to_string()
    .len();
    drop(table.flush(999));
    let snapshot = table.snapshot("map")[0].size_bytes();
    let mut put = |tick: f64| {
        for id in 0..50 {
            for (field, value) in ship(id, tick).into_iter().enumerate() {
                table.set(RowId(id), field, value).unwrap();
            }
            table.set(RowId(id), 5, hull(id, tick)).unwrap();
        }
    };
    put(1.0);
    let patch = table.flush(1_000)[0].1.size_bytes();
    let sizes = (
        patch,
        objects(1.0, false),
        arrays,
        snapshot,
        objects(0.0, true),
    );
    assert_eq!(sizes, (904, 6_396, 1_845, 1_577, 7_551));
}
