//! One rule of presence per test.

use abide_actors::{
    Limits, PRESENCE_KEY_SIZE_MAX_BYTES, PRESENCE_STATE_SIZE_MAX_BYTES, PresenceRefused,
};
use abide_storage::CommitError;
use serde_json::json;

use super::*;
use crate::support::{begin, settle, take_notes};

async fn heard(session: &mut TestSession) -> Vec<String> {
    let frames = session.arrived().await;
    frames
        .iter()
        .map(|frame| frame.as_text().unwrap().to_owned())
        .collect()
}

#[test]
fn who_watches_is_told_who_is_here_and_what_changes() {
    world(Limits::default(), async |world| {
        let mut ann = guest(world, r#"as ann {"on":1};watch"#).await;
        let mut bob = guest(world, "present 2").await;
        told(world).await;
        let bob_id = world.actor::<Club>("a").who().await.unwrap()[1].replace("=2", "");
        assert_eq!(
            heard(&mut ann).await,
            [
                r#"{"type":"presence","count":1,"sync":[["ann",{"on":1}]]}"#.to_owned(),
                format!(r#"{{"type":"presence","count":2,"joined":[["{bob_id}",2]]}}"#),
            ]
        );
        bob.send("present [3]").await;
        ann.send("as eve 4").await;
        told(world).await;
        assert_eq!(
            heard(&mut ann).await,
            [format!(
                r#"{{"type":"presence","count":2,"joined":[["eve",4]],"updated":[["{bob_id}",[3]]],"left":["ann"]}}"#
            )]
        );
        drop(bob);
        told(world).await;
        ann.send("absent").await;
        told(world).await;
        ann.send("unwatch;present 5").await;
        told(world).await;
        assert_eq!(
            heard(&mut ann).await,
            [
                format!(r#"{{"type":"presence","count":1,"left":["{bob_id}"]}}"#),
                r#"{"type":"presence","count":0,"left":["eve"]}"#.to_owned(),
            ]
        );
    });
}

/// Two objects; a member with two sessions counts once, and a message for each that watches.
#[test]
fn members_and_messages_are_counted_for_operators() {
    world(Limits::default(), async |world| {
        let counted = || {
            let stats = world.runtime().stats();
            (stats.presence_members, stats.presence_messages)
        };
        assert_eq!(counted(), (0, 0));
        let _ann = guest(world, "as ann 1;watch").await;
        told(world).await;
        assert_eq!(counted(), (1, 1));
        let _ann_again = guest(world, "as ann 2;watch").await;
        told(world).await;
        assert_eq!(
            counted(),
            (1, 3),
            "the new state for the one, all for the other"
        );
        let mut elsewhere = world.connect("deaf", "b", "").await.unwrap();
        elsewhere.send("here").await;
        told(world).await;
        assert_eq!(counted(), (2, 3), "nobody watches there");
        let bob = guest(world, "as bob 1").await;
        told(world).await;
        assert_eq!(counted(), (3, 5));
        drop(bob);
        told(world).await;
        assert_eq!(counted(), (2, 7));
    });
}

#[test]
fn nothing_is_shown_before_it_is_durable() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let mut ann = guest(world, "as ann 1").await;
        told(world).await;
        let mut mirror = Mirror::default();
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=1"]);

        world.store().hold_commits();
        ann.send("as ann 2;who").await;
        let bob = begin(world, world.connect("club", "a", "as bob 1;watch")).await;
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=1"]);
        // The object's own turns see it at once.
        ann.send("who;absent;who").await;
        assert_eq!(
            take_notes()[1..],
            ["who: ann=2", "who: ann=2 bob=1", "who: bob=1"]
        );

        world.store().release_commits();
        let mut bob = bob.await.unwrap();
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["bob=1"]);
        assert_eq!(shown(&mut Mirror::default(), &mut bob).await, ["bob=1"]);
    });
}

#[test]
fn of_a_failed_turn_and_a_refused_client_nothing_is_shown() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let refused = world
            .connect("club", "a", "as eve 1;watch;who;refuse")
            .await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))));
        let mut ann = guest(world, "present 1").await;
        ann.send("as ann 2;fail").await;
        ann.closed().await.unwrap();
        told(world).await;
        let notes = take_notes();
        assert!(notes.contains(&"who: eve=1".to_owned()), "{notes:?}");
        assert!(notes.contains(&"after one left: ".to_owned()), "{notes:?}");
        assert_eq!(shown(&mut Mirror::default(), &mut watcher).await, [""; 0]);
    });
}

/// 1. What a turn and a newcomer show is on its way. 2. Their commits fail, and the activation ends.
/// 3. The next one knows nothing of it.
#[test]
fn of_a_failed_commit_nothing_is_shown_and_nothing_remembered() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let mut bystander = guest(world, "as bea 0").await;
        let mut ann = guest(world, "as ann 1").await;
        let failure = CommitError::DiskFull {
            available_bytes: 0,
            reserve_bytes: 1,
        };
        world.store().hold_commits();
        world.store().fail_next_commit(failure);
        ann.send("as ann 2;watch;as bea 2").await;
        let eve = begin(world, world.connect("club", "a", "as eve 1;watch")).await;
        world.store().release_commits();
        eve.await.unwrap_err();
        assert_eq!(ann.closed().await.unwrap().code, Close::INTERNAL_ERROR);
        told(world).await;
        bystander.send("who").await;
        assert_eq!(take_notes().last().unwrap(), "who: bea=0");
        told(world).await;
        let mut mirror = Mirror::default();
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["bea=0"]);
        assert_eq!(mirror.count, 1);
    });
}

#[test]
fn it_outlives_the_activation_and_wakes_nobody() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let mut ann = guest(world, "as ann 1").await;
        let mut mirror = Mirror::default();
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=1"]);
        take_notes();

        ann.presence(Some(json!({"x": 7}))).unwrap();
        watcher.presence(Some(json!("me, too"))).unwrap();
        told(world).await;
        mirror.read(&mut watcher).await;
        assert_eq!(mirror.members["ann"], json!({"x": 7}), "its key is kept");
        assert_eq!(mirror.count, 2);
        watcher.presence(None).unwrap();
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, [r#"ann={"x":7}"#]);
        assert_eq!(take_notes(), [""; 0], "nobody was woken");

        ann.send("who").await;
        assert_eq!(take_notes(), ["activated", r#"who: ann={"x":7}"#]);
        drop(ann);
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, [""; 0]);
    });
}

#[test]
fn sessions_of_one_key_are_one_member_with_the_last_state_of_those_here() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let mut mirror = Mirror::default();
        let mut first = guest(world, "as ann 1").await;
        let second = guest(world, "as ann 2").await;
        let mut third = guest(world, "as ann 3").await;
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=3"]);
        third.send("as bob 3").await;
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=2", "bob=3"]);
        drop(second);
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=1", "bob=3"]);
        assert_eq!(mirror.count, 2);
        take_notes();
        first.send("absent").await;
        drop(third);
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, [""; 0]);
        assert_eq!(take_notes(), ["after one left: "]);
    });
}

/// 1. A session's turn is under way, and shows it. 2. The client goes. 3. The turn ends.
#[test]
fn a_session_that_ends_during_its_own_turn_is_not_left_behind() {
    for commits_late in [false, true] {
        world(Limits::default(), async |world| {
            let mut watcher = guest(world, "watch").await;
            let mut ann = guest(world, "").await;
            if commits_late {
                world.store().hold_commits();
            }
            let ended = async {
                // The frame is handed over, and the client does not wait for it.
                let sent = ann.send("as ann 1;watch;wait 500;present 2");
                drop(tokio::time::timeout(Duration::from_millis(100), sent).await);
                drop(ann);
            };
            ended.await;
            world.advance(Duration::from_secs(1)).await;
            world.store().release_commits();
            world.advance(Duration::from_secs(1)).await;
            let mut mirror = Mirror::default();
            assert_eq!(shown(&mut mirror, &mut watcher).await, [""; 0]);
            assert_eq!(world.actor::<Club>("a").who().await.unwrap(), [""; 0]);
        });
    }
}

#[test]
fn who_leaves_an_object_that_does_not_listen_has_left() {
    world(Limits::default(), async |world| {
        let mut watcher = world.connect("deaf", "a", "").await.unwrap();
        watcher.send("watch").await;
        let mut ann = world.connect("deaf", "a", "").await.unwrap();
        ann.send("hi").await;
        told(world).await;
        let mut mirror = Mirror::default();
        mirror.read(&mut watcher).await;
        assert_eq!((mirror.count, mirror.members.len()), (1, 1));
        drop(ann);
        told(world).await;
        mirror.read(&mut watcher).await;
        assert_eq!((mirror.count, mirror.members.len()), (0, 0));
    });
}

#[test]
fn it_is_told_ten_times_a_second_at_most_and_the_last_state_wins() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let ann = guest(world, "as ann 0").await;
        told(world).await;
        let mut mirror = Mirror::default();
        mirror.read(&mut watcher).await;
        let before = mirror.messages;
        for at in 0..1_000 {
            ann.presence(Some(json!(at))).unwrap();
            world.advance(Duration::from_millis(1)).await;
        }
        told(world).await;
        assert_eq!(shown(&mut mirror, &mut watcher).await, ["ann=999"]);
        let told = mirror.messages - before;
        assert!((10..=12).contains(&told), "{told} messages in a second");
    });
}

#[test]
fn who_leaves_and_comes_back_at_once_has_not_left() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let mut ann = guest(world, "as ann 0").await;
        let bob = guest(world, "as bob 0").await;
        told(world).await;
        heard(&mut watcher).await;
        // The first change is told at once, so that the others are of one round.
        ann.send("as ann 1").await;
        drop(bob);
        drop(ann);
        let mut both = vec![
            guest(world, "as ann 1").await,
            guest(world, "as bob 0").await,
        ];
        told(world).await;
        assert_eq!(
            heard(&mut watcher).await,
            [r#"{"type":"presence","count":2,"updated":[["ann",1]]}"#]
        );
        both.clear();
    });
}

#[test]
fn what_clients_say_of_themselves_is_checked() {
    world(Limits::default(), async |world| {
        let mut watcher = guest(world, "watch").await;
        let ann = guest(world, "").await;
        let too_large = json!("x".repeat(PRESENCE_STATE_SIZE_MAX_BYTES - 1));
        let size_bytes = PRESENCE_STATE_SIZE_MAX_BYTES + 1;
        assert_eq!(
            ann.presence(Some(too_large)),
            Err(PresenceRefused::TooLarge { size_bytes })
        );
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(
            ann.presence(Some(nested(33))),
            Err(PresenceRefused::TooDeep)
        );
        told(world).await;
        assert_eq!(shown(&mut Mirror::default(), &mut watcher).await, [""; 0]);
        ann.presence(Some(nested(32))).unwrap();

        world.actor::<Club>("a").forbid().await.unwrap();
        assert_eq!(
            ann.presence(Some(json!(1))),
            Err(PresenceRefused::NotAllowed)
        );
        assert_eq!(ann.presence(None), Err(PresenceRefused::NotAllowed));
        let deaf = world.connect("deaf", "a", "").await.unwrap();
        assert_eq!(
            deaf.presence(Some(json!(1))),
            Err(PresenceRefused::NotAllowed)
        );
    });
}

#[test]
fn what_actors_say_is_checked() {
    world(Limits::default(), async |world| {
        let mut ann = guest(world, "").await;
        let state = json!("x".repeat(PRESENCE_STATE_SIZE_MAX_BYTES - 2));
        let key = "k".repeat(PRESENCE_KEY_SIZE_MAX_BYTES);
        ann.send(format!("as {key} {state}")).await;
        assert_eq!(world.actor::<Club>("a").who().await.unwrap().len(), 1);
        ann.send(format!("as {key}k 1")).await;
        let close = ann.closed().await.unwrap();
        assert!(close.reason.contains("256 bytes"), "{close:?}");
        let mut bob = guest(world, "").await;
        bob.send(format!(
            "present {}",
            json!("x".repeat(PRESENCE_STATE_SIZE_MAX_BYTES - 1))
        ))
        .await;
        let close = bob.closed().await.unwrap();
        assert!(close.reason.contains("4096 bytes"), "{close:?}");
    });
}

#[test]
fn all_that_was_charged_comes_back() {
    world(Limits::default(), async |world| {
        let before = world.runtime().memory().used_bytes();
        let guests = [
            guest(world, r#"as ann {"a":1};watch"#).await,
            guest(world, "as ann 2").await,
            guest(world, "present 3;watch").await,
        ];
        guests[0].presence(Some(json!("a longer one"))).unwrap();
        settle(world).await;
        assert!(world.runtime().memory().used_bytes() > before);
        drop(guests);
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(world.runtime().stats().objects, 0);
        assert_eq!(world.runtime().memory().used_bytes(), before);
    });
}
