//! Versions: kept by themselves and by name, read, given up, and gone back to.

use std::time::Duration;

use abide_actors::CallError;
use abide_actors::testing::World;
use serde_json::{Value, json};
use yrs::sync::{Message, SyncMessage};

use super::peer::Peer;
use super::{call, in_world, refused, text, write};

const INTERVAL: Duration = Duration::from_secs(10 * 60 + 1);

async fn versions(world: &World) -> Vec<Value> {
    let all = call(world, "versions", json!({})).await.unwrap();
    all.as_array().unwrap().clone()
}

async fn said(world: &World, number: u64) -> String {
    let past = call(world, "version", json!({ "number": number }))
        .await
        .unwrap();
    past["text"].as_str().unwrap().to_owned()
}

async fn save(world: &World, name: &str) -> Result<u64, CallError> {
    let number = call(world, "save_version", json!({ "name": name })).await?;
    Ok(number.as_u64().unwrap())
}

async fn restore(world: &World, number: u64) -> Option<u64> {
    let restored = call(world, "restore", json!({ "number": number }))
        .await
        .unwrap();
    restored["undo"].as_u64()
}

#[test]
fn a_version_is_kept_ten_minutes_after_a_change_and_not_without_one() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "first").await;
        assert_eq!(versions(world).await, Vec::<Value>::new());
        world.advance(INTERVAL).await;
        ada.insert(5, ", second").await;
        world.advance(INTERVAL).await;
        world.advance(INTERVAL * 10).await;
        world.crash().await;
        assert_eq!(versions(world).await.len(), 2);
        assert_eq!(said(world, 1).await, "first");
        assert_eq!(said(world, 2).await, "first, second");
    });
}

#[test]
fn what_has_a_name_already_is_not_kept_a_second_time() {
    in_world(async |world| {
        write(world, "text").await;
        save(world, "mine").await.unwrap();
        world.advance(INTERVAL).await;
        assert_eq!(versions(world).await.len(), 1);
        write(world, "another text").await;
        world.advance(INTERVAL).await;
        assert_eq!(versions(world).await.len(), 2);
    });
}

/// The alarm is in the commit of the change, so a crash in between loses no version.
#[test]
fn a_version_is_kept_though_the_node_crashes_meanwhile() {
    in_world(async |world| {
        write(world, "before the crash").await;
        world.crash().await;
        world.advance(INTERVAL).await;
        assert_eq!(said(world, 1).await, "before the crash");
    });
}

#[test]
fn to_restore_is_an_edit_that_merges_and_can_be_undone() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let mut bob = Peer::open(world, 2).await;
        ada.insert(0, "title\nfirst draft\nend\n").await;
        let draft = save(world, "draft").await.unwrap();
        ada.insert(11, " and much more").await;
        bob.listen().await;
        let now = "title\nfirst and much more draft\nend\n";
        assert_eq!(bob.text(), now);

        // Bob is offline while it is restored, and writes into a line that both have.
        let offline = bob.insert_silently(5, " by Bob");
        let undo = restore(world, draft).await.unwrap();
        bob.say(Message::Sync(SyncMessage::Update(offline))).await;
        ada.listen().await;
        bob.listen().await;
        let merged = "title by Bob\nfirst draft\nend\n";
        for read in [ada.text(), bob.text(), text(world).await] {
            assert_eq!(read, merged);
        }
        let kept = &versions(world).await[0];
        assert_eq!(
            (&kept["number"], &kept["before_restoring"]),
            (&json!(undo), &json!(draft))
        );

        // Bob's words came after it, so undoing takes them back, too; and that can be undone.
        let redo = restore(world, undo).await.unwrap();
        assert_eq!(text(world).await, now);
        assert!(restore(world, redo).await.is_some());
        world.crash().await;
        assert_eq!(text(world).await, merged);
        assert_eq!(
            restore(world, redo).await,
            None,
            "there is nothing to change"
        );
    });
}

#[test]
fn a_restore_that_cannot_be_committed_leaves_everything_as_it_was() {
    in_world(async |world| {
        write(world, "old\n").await;
        let old = save(world, "old").await.unwrap();
        write(world, "new\n").await;
        world.store().refuse_writes(Some("the disk is full"));
        let failed = call(world, "restore", json!({ "number": old })).await;
        assert!(matches!(failed, Err(CallError::Commit(_))), "{failed:?}");
        world.store().refuse_writes(None);
        assert_eq!(text(world).await, "new\n");
        assert_eq!(versions(world).await.len(), 1);
        assert_eq!(restore(world, old).await, Some(2));
        assert_eq!(text(world).await, "old\n");
    });
}

#[test]
fn a_version_is_named_renamed_and_deleted() {
    in_world(async |world| {
        write(world, "text").await;
        world.advance(INTERVAL).await;
        let named = call(world, "name_version", json!({"number": 1, "name": "good"})).await;
        assert_eq!(named.unwrap()["name"], "good");
        let renamed = call(
            world,
            "name_version",
            json!({"number": 1, "name": "better"}),
        )
        .await;
        assert_eq!(renamed.unwrap()["name"], "better");
        world.crash().await;
        assert_eq!(versions(world).await[0]["name"], "better");
        call(world, "delete_version", json!({"number": 1}))
            .await
            .unwrap();
        world.crash().await;
        assert!(versions(world).await.is_empty());
        let nothing = ("no-such-version".to_owned(), 404);
        for (method, arguments) in [
            ("version", json!({"number": 1})),
            ("restore", json!({"number": 1})),
            ("delete_version", json!({"number": 1})),
            ("name_version", json!({"number": 1, "name": "x"})),
        ] {
            assert_eq!(refused(world, method, arguments).await, nothing, "{method}");
        }
        // A number is not given out again.
        assert_eq!(save(world, "next").await.unwrap(), 2);
    });
}

#[test]
fn names_are_one_line_of_a_hundred_characters() {
    in_world(async |world| {
        for name in ["", "two\nlines", &"x".repeat(101)] {
            let refusal = refused(world, "save_version", json!({ "name": name })).await;
            assert_eq!(refusal, ("invalid-name".to_owned(), 400));
        }
        save(world, &"ö".repeat(100)).await.unwrap();
    });
}

#[test]
fn named_versions_are_bounded_in_number_and_in_bytes() {
    in_world(async |world| {
        for number in 1..=50 {
            assert_eq!(save(world, "one").await.unwrap(), number);
        }
        let full = ("too-many-versions".to_owned(), 409);
        assert_eq!(
            refused(world, "save_version", json!({"name": "one"})).await,
            full
        );
        call(world, "delete_version", json!({"number": 7}))
            .await
            .unwrap();
        save(world, "one").await.unwrap();
        // To rename one takes no room.
        call(world, "name_version", json!({"number": 1, "name": "x"}))
            .await
            .unwrap();
    });
    in_world(async |world| {
        write(world, &noise(1_200_000)).await;
        save(world, "large").await.unwrap();
        let full = ("too-many-versions".to_owned(), 409);
        assert_eq!(
            refused(world, "save_version", json!({"name": "one"})).await,
            full
        );
        // There is still room for those without a name, of which the oldest goes.
        for _ in 0..6 {
            call(world, "append", json!({"text": "."})).await.unwrap();
            world.advance(INTERVAL).await;
        }
        let kept = versions(world).await;
        let bytes: u64 = kept.iter().map(|one| one["bytes"].as_u64().unwrap()).sum();
        assert!(kept.len() == 3 && bytes <= 4 * 1024 * 1024, "{kept:?}");
        assert_eq!(
            (kept[0]["number"].as_u64(), &kept[2]["name"]),
            (Some(7), &json!("large"))
        );
    });
}

/// Text that does not compress: each character is one of thousands, by chance.
fn noise(size_bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from_u32(0x4E00 + u32::try_from(state >> 40).unwrap() % 0x5000).unwrap()
    };
    let mut text = String::new();
    while text.len() < size_bytes {
        text.push(next());
    }
    text
}

/// The bytes of the list as the first release wrote them: later ones must read them.
#[test]
fn the_list_is_stored_as_ever() {
    use crate::document::versions::Versions;
    in_world(async |world| {
        write(world, "a").await;
        save(world, "b").await.unwrap();
        let row = super::sync::row(world, "versions").await;
        let golden = b"\x01\x01\x01\xfd\x00\xa8\xda\x76\x9b\x01\x00\x00\x01\x01b\x21\x01\x01\x01";
        assert_eq!(row[..], golden[..]);
        let read: Versions = abide_storage::codec::decode(golden).unwrap();
        assert_eq!(read.list().len(), 1);
    });
}
