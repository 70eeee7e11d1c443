//! What presence costs when many come and go: bounded for each watcher, for all of an object's
//! together, and at no other object's expense.

use std::task::{Context, Poll, Waker};

use abide_actors::{Connection, Deadline, Limits, Outgoing};
use futures_util::future::join_all;
use serde_json::json;

use super::*;

/// What `actors/src/presence/board.rs` promises of one object, in bytes each second.
const RATE: f64 = 32.0 * 1024.0 * 1024.0;
/// What a message counts there beside its bytes.
const OVERHEAD_BYTES: usize = 1024;
/// Syncs of one round, and what the last of them may be too much.
const SYNC_ROUND_BYTES: usize = 3 * 1024 * 1024 + 128 * 1024;

/// A client that reads as fast as it is told, or not at all.
struct Reader {
    connection: Connection,
    texts: Vec<String>,
    messages: usize,
    bytes: usize,
}

impl Reader {
    async fn enter(world: &World, object: &str, orders: &str) -> Self {
        let target = world.runtime().target("club", object).unwrap();
        let request = ConnectRequest {
            query: orders.to_owned(),
            ..ConnectRequest::default()
        };
        let deadline = Deadline::after(Duration::from_secs(60));
        let connection = world.runtime().connect(&target, request, deadline);
        Self {
            connection: connection.await.unwrap(),
            texts: Vec::new(),
            messages: 0,
            bytes: 0,
        }
    }

    /// Takes what has come; `keep` it to look at.
    fn read(&mut self, keep: Keep) {
        let cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(outgoing) = self.connection.poll_outgoing(&cx) {
            match outgoing {
                Outgoing::Frame(frame) => {
                    let text = frame.as_text().unwrap();
                    self.messages += 1;
                    self.bytes += text.len();
                    if keep == Keep::Texts {
                        self.texts.push(text.to_owned());
                    }
                }
                Outgoing::Readable => {}
                other => panic!("{other:?} after {} bytes", self.bytes),
            }
        }
    }

    fn mirror(&self) -> Mirror {
        let mut mirror = Mirror::default();
        for text in &self.texts {
            mirror.apply(&serde_json::from_str(text).unwrap());
        }
        mirror
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Texts,
    Figures,
}

/// Members as people name them, with a state as people have it.
fn orders(number: usize) -> String {
    format!(r##"as user{number} {{"name":"user{number}","colour":"#a0b1c2"}};watch"##)
}

/// A crowd of readers, of whom every hundredth is looked at closely.
#[derive(Default)]
struct Crowd {
    readers: Vec<Reader>,
    /// What those who have left were told.
    left: (usize, usize),
}

impl Crowd {
    async fn enter(&mut self, world: &World, count: usize) {
        let first = self.readers.len();
        let entering = (first..first + count)
            .map(async |number| Reader::enter(world, "a", &orders(number)).await);
        self.readers.extend(join_all(entering).await);
    }

    fn leave(&mut self, count: usize) {
        for reader in self.readers.drain(..count) {
            self.left.0 += reader.messages;
            self.left.1 += reader.bytes;
        }
    }

    /// Lets time pass; everybody reads all the while.
    async fn pass(&mut self, world: &World, time: Duration) {
        let step = time.min(Duration::from_millis(250));
        for _ in 0..time.as_millis() / step.as_millis() {
            world.advance(step).await;
            for (number, reader) in self.readers.iter_mut().enumerate() {
                let keep = if number % 100 == 0 {
                    Keep::Texts
                } else {
                    Keep::Figures
                };
                reader.read(keep);
            }
        }
    }

    fn messages(&self) -> usize {
        self.left.0
            + self
                .readers
                .iter()
                .map(|reader| reader.messages)
                .sum::<usize>()
    }

    fn bytes(&self) -> usize {
        self.left.1
            + self
                .readers
                .iter()
                .map(|reader| reader.bytes)
                .sum::<usize>()
    }

    fn worst_bytes(&self) -> usize {
        self.readers
            .iter()
            .map(|reader| reader.bytes)
            .max()
            .unwrap_or(0)
    }
}

/// A restart under 10,000 members: all of them come again, and each watches.
#[test]
fn ten_thousand_who_come_again_are_told_in_bounds() {
    const CROWD: usize = 10_000;
    const PER_STEP: usize = 500;
    world(Limits::default(), async |world| {
        let mut crowd = Crowd::default();
        let began = world.now();
        while crowd.readers.len() < CROWD {
            crowd.enter(world, PER_STEP).await;
            crowd.pass(world, Duration::from_millis(50)).await;
        }
        crowd.pass(world, Duration::from_secs(20)).await;
        let mut listed = crowd.readers[0].mirror();
        assert_eq!((listed.count, listed.members.len()), (CROWD as u64, 256));
        for reader in crowd.readers.iter().step_by(100) {
            let mirror = reader.mirror();
            assert_eq!(mirror.syncs, 1);
            assert_eq!(
                (mirror.count, &mirror.members),
                (listed.count, &listed.members)
            );
        }
        let seconds = (world.now().0 - began.0) as f64 / 1_000.0;
        let (messages, bytes) = (crowd.messages(), crowd.bytes());
        let largest = 64 * 1024 + 1_024;
        println!(
            "{CROWD} came: {messages} messages, {bytes} bytes, {} to the one told most",
            crowd.worst_bytes()
        );
        let cost = (bytes + OVERHEAD_BYTES * messages) as f64;
        let unpaid = (SYNC_ROUND_BYTES + CROWD * (largest + OVERHEAD_BYTES)) as f64;
        assert!(cost <= RATE * seconds + unpaid, "{cost} in {seconds} s");
        // One listing and a few dozen counts each: most of them came when the list was full.
        assert!(crowd.worst_bytes() < 64 * 1024, "{}", crowd.worst_bytes());
        assert!(bytes < CROWD * 24 * 1024, "{bytes}");

        // Nine of ten leave, those here for the longest first: the whole list changes again and again.
        let (before, began) = (
            crowd.messages() * OVERHEAD_BYTES + crowd.bytes(),
            world.now(),
        );
        while crowd.readers.len() > CROWD / 10 {
            crowd.leave(PER_STEP);
            crowd.pass(world, Duration::from_millis(50)).await;
        }
        crowd.pass(world, Duration::from_secs(20)).await;
        let seconds = (world.now().0 - began.0) as f64 / 1_000.0;
        let cost = (crowd.messages() * OVERHEAD_BYTES + crowd.bytes() - before) as f64;
        println!(
            "{} left: {cost} bytes' worth in {seconds} s",
            CROWD / 10 * 9
        );
        assert!(cost <= RATE * seconds + unpaid, "{cost} in {seconds} s");
        listed = crowd.readers[0].mirror();
        assert_eq!(
            (listed.count, listed.members.len()),
            (CROWD as u64 / 10, 256)
        );
    });
}

/// A thousand watch ten whose large states change a hundred times a second.
#[test]
fn a_crowd_is_told_at_a_rate_however_much_changes() {
    world(Limits::default(), async |world| {
        let mut members = Vec::new();
        for number in 0..10 {
            members.push(Reader::enter(world, "a", &format!("as user{number} 0")).await);
        }
        let watching = (0..1_000).map(async |_| Reader::enter(world, "a", "watch").await);
        let mut watchers = join_all(watching).await;
        let began = world.now();
        for at in 0..1_000 {
            let state = json!({ "at": at, "long": "x".repeat(4_000) });
            for member in &members {
                member.connection.presence(Some(&state)).unwrap();
            }
            world.advance(Duration::from_millis(10)).await;
            for reader in &mut watchers {
                reader.read(Keep::Figures);
            }
        }
        let seconds = (world.now().0 - began.0) as f64 / 1_000.0;
        let bytes: usize = watchers.iter().map(|reader| reader.bytes).sum();
        let messages: usize = watchers.iter().map(|reader| reader.messages).sum();
        let cost = (bytes + OVERHEAD_BYTES * messages) as f64;
        let unpaid = (watchers.len() * (10 * 4_096 + OVERHEAD_BYTES)) as f64;
        assert!(cost <= RATE * seconds + unpaid, "{cost} in {seconds} s");
        assert!(
            cost >= RATE * seconds / 2.0,
            "no slower than it has to be: {cost}"
        );
        world.advance(Duration::from_secs(3)).await;
        watchers[0].read(Keep::Texts);
        let last: Value = serde_json::from_str(watchers[0].texts.last().unwrap()).unwrap();
        assert_eq!(last["updated"][0][1]["at"], 999);
    });
}

#[test]
fn those_here_for_the_longest_are_listed_and_all_are_counted() {
    world(Limits::default(), async |world| {
        let mut crowd = Crowd::default();
        crowd.enter(world, 300).await;
        crowd.pass(world, Duration::from_secs(1)).await;
        let mut late = Reader::enter(world, "a", "watch").await;
        let shown = |late: &mut Reader| {
            late.read(Keep::Texts);
            late.mirror()
        };
        crowd.pass(world, Duration::from_secs(1)).await;
        let mirror = shown(&mut late);
        assert_eq!((mirror.count, mirror.members.len()), (300, 256));
        let users: Vec<String> = (0..300).map(|number| format!("user{number}")).collect();
        assert!(
            users[..256]
                .iter()
                .all(|user| mirror.members.contains_key(user))
        );

        let (text, unlisted) = (late.texts.len(), &crowd.readers[299]);
        unlisted
            .connection
            .presence(Some(&json!("nobody sees it")))
            .unwrap();
        crowd.pass(world, Duration::from_secs(1)).await;
        assert_eq!(shown(&mut late), mirror);
        assert_eq!(late.texts.len(), text, "there is nothing to tell");

        crowd.leave(10);
        crowd.pass(world, Duration::from_secs(1)).await;
        let mirror = shown(&mut late);
        assert_eq!((mirror.count, mirror.members.len()), (290, 256));
        assert!(
            users[10..266]
                .iter()
                .all(|user| mirror.members.contains_key(user))
        );
    });
}

#[test]
fn a_listing_is_bounded_in_bytes_too() {
    world(Limits::default(), async |world| {
        let state = json!("x".repeat(4_000));
        let mut members = Vec::new();
        for number in 0..100 {
            members.push(Reader::enter(world, "a", &format!("as user{number:02} {state}")).await);
        }
        let mut watcher = Reader::enter(world, "a", "watch").await;
        told(world).await;
        watcher.read(Keep::Texts);
        let mirror = watcher.mirror();
        assert_eq!((mirror.count, mirror.members.len()), (100, 16));
        assert!(mirror.members.contains_key("user00") && mirror.members.contains_key("user15"));
        assert!(watcher.bytes <= 64 * 1024 + 1_024, "{}", watcher.bytes);
        // Smaller ones make room for others.
        for member in &members[..16] {
            member.connection.presence(Some(&json!(0))).unwrap();
        }
        told(world).await;
        watcher.read(Keep::Texts);
        assert_eq!(watcher.mirror().members.len(), 32);
    });
}

/// Presence fills no more than its share of a client's queue, and so closes nobody.
#[test]
fn a_watcher_that_does_not_read_is_told_all_again_when_it_does() {
    let limits = Limits {
        outbound_max_bytes: 64 * 1024,
        ..Limits::default()
    };
    world(limits, async |world| {
        let ann = Reader::enter(world, "a", "as ann 0").await;
        let mut slow = Reader::enter(world, "a", "watch").await;
        let mut quick = Reader::enter(world, "a", "watch").await;
        for at in 0..100 {
            let state = json!({ "at": at, "long": "x".repeat(3_000) });
            ann.connection.presence(Some(&state)).unwrap();
            told(world).await;
            quick.read(Keep::Texts);
        }
        assert!(quick.messages >= 100);
        slow.read(Keep::Texts);
        assert!(slow.bytes < 64 * 1024, "{}", slow.bytes);
        assert_ne!(slow.mirror().members, quick.mirror().members);
        // Nothing else happens, and it is told all the same.
        world.advance(Duration::from_millis(1_001)).await;
        slow.read(Keep::Texts);
        let mirror = slow.mirror();
        assert_eq!((mirror.syncs, mirror.count), (2, 1));
        assert_eq!(mirror.members, quick.mirror().members);
        // And from then on as everybody.
        ann.connection.presence(Some(&json!(100))).unwrap();
        told(world).await;
        slow.read(Keep::Texts);
        quick.read(Keep::Texts);
        assert_eq!(slow.mirror().shows(), ["ann=100"]);
        assert_eq!((slow.mirror().syncs, quick.mirror().syncs), (2, 1));
    });
}

/// A thousand come at once to a long list: a sync for all of them at one time would be 60 MB.
#[test]
fn a_crowd_that_comes_at_once_is_served_in_rounds() {
    world(Limits::default(), async |world| {
        let mut members = Vec::new();
        for number in 0..250 {
            let state = json!("x".repeat(240));
            members.push(Reader::enter(world, "a", &format!("as user{number:03} {state}")).await);
        }
        let watching = (0..1_000).map(async |_| Reader::enter(world, "a", "watch").await);
        let mut watchers = join_all(watching).await;
        let (mut served, mut most) = (Vec::new(), 0);
        for at in 0..400 {
            members[0].connection.presence(Some(&json!(at))).unwrap();
            world.advance(Duration::from_millis(10)).await;
            let before: usize = watchers.iter().map(|reader| reader.bytes).sum();
            watchers
                .iter_mut()
                .for_each(|reader| reader.read(Keep::Texts));
            let after: usize = watchers.iter().map(|reader| reader.bytes).sum();
            most = most.max(after - before);
            served.push(watchers.iter().filter(|reader| reader.messages > 0).count());
        }
        assert!(most <= 2 * SYNC_ROUND_BYTES, "{most} bytes in 10 ms");
        assert!(served[20] > 0 && served[20] < 500, "{served:?}");
        assert_eq!(served[399], 1_000);
        told(world).await;
        for (number, reader) in watchers.iter_mut().enumerate() {
            reader.read(Keep::Texts);
            let mirror = reader.mirror();
            assert_eq!(mirror.syncs, 1, "watcher {number}");
            assert_eq!(mirror.members["user000"], 399, "watcher {number}");
        }
    });
}

#[test]
fn a_crowded_object_does_not_keep_others_waiting() {
    world(Limits::default(), async |world| {
        let mut crowd = Crowd::default();
        for _ in 0..4 {
            crowd.enter(world, 500).await;
        }
        let ann = Reader::enter(world, "calm", "as ann 0").await;
        let mut watcher = Reader::enter(world, "calm", "watch").await;
        told(world).await;
        watcher.read(Keep::Texts);
        for at in 1..=20 {
            for member in crowd.readers.iter().take(10) {
                member.connection.presence(Some(&json!(at))).unwrap();
            }
            ann.connection.presence(Some(&json!(at))).unwrap();
            told(world).await;
            watcher.read(Keep::Texts);
            assert_eq!(watcher.mirror().shows(), [format!("ann={at}")]);
            crowd.pass(world, Duration::from_millis(50)).await;
        }
    });
}
