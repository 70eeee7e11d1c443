//! Changes by call: what is written, and what of others' stays.

use proptest::prelude::*;
use serde_json::json;
use yrs::sync::{Message, SyncMessage};
use yrs::{Any, Array, Doc, Text, Transact};

use super::peer::Peer;
use super::{call, in_world, refused, text, write};
use crate::document::edit::{Edit, between, is_place, replacing};
use crate::document::replica::{Replica, decode};

#[test]
fn what_is_inserted_and_replaced_is_seen_by_editors_and_survives() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "one 😀 two, TODO, TODO").await;
        call(world, "insert", json!({"at": 6, "text": "!"}))
            .await
            .unwrap();
        let count = call(world, "replace", json!({"find": "TODO", "with": "done"})).await;
        assert_eq!(count.unwrap(), json!(2));
        let none = call(world, "replace", json!({"find": "absent", "with": ""})).await;
        assert_eq!(none.unwrap(), json!(0));
        ada.listen().await;
        assert_eq!(ada.text(), "one 😀! two, done, done");
        world.crash().await;
        assert_eq!(text(world).await, "one 😀! two, done, done");
    });
}

#[test]
fn a_text_written_as_a_whole_leaves_what_others_write_meanwhile() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "first line\nsecond line\nthird line\n").await;
        // Ada writes before she hears of it, at the end of a line that stays.
        let hers = ada.insert_silently(10, " by Ada");
        write(world, "first line\nanother line\nthird line\n").await;
        ada.say(Message::Sync(SyncMessage::Update(hers))).await;
        ada.listen().await;
        let merged = "first line by Ada\nanother line\nthird line\n";
        assert_eq!((ada.text().as_str(), &*text(world).await), (merged, merged));
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    in_world(async |world| {
        write(world, "a😀b").await;
        for at in [2, 5, u32::MAX] {
            let refusal = refused(world, "insert", json!({"at": at, "text": "x"})).await;
            assert_eq!(refusal, ("no-such-place".to_owned(), 422));
        }
        let refusal = refused(world, "replace", json!({"find": "", "with": "x"})).await;
        assert_eq!(refusal, ("nothing-to-find".to_owned(), 400));
        let many = "ab".repeat(2_000);
        write(world, &many).await;
        let refusal = refused(world, "replace", json!({"find": "a", "with": "x"})).await;
        assert_eq!(refusal, ("too-many-places".to_owned(), 422));
        let page = "x".repeat(1024 * 1024);
        call(world, "append", json!({"text": page})).await.unwrap();
        for (method, arguments) in [
            ("append", json!({"text": page})),
            ("insert", json!({"at": 0, "text": page})),
            (
                "replace",
                json!({"find": &page[..1024 * 1024], "with": format!("{page}{page}")}),
            ),
            ("write", json!({"text": format!("{page}{page}")})),
        ] {
            let refusal = refused(world, method, arguments).await;
            assert_eq!(refusal, ("document-too-large".to_owned(), 413), "{method}");
        }
        assert_eq!(text(world).await, many + &page);
    });
}

/// A place in the letters is no place in a text with a picture in it, so nothing is written there.
#[test]
fn a_text_with_more_than_text_in_it_is_left_alone() {
    let doc = Doc::with_client_id(7_u64);
    let field = doc.get_or_insert_text("codemirror");
    let array = doc.get_or_insert_array("list");
    let mut transaction = doc.transact_mut();
    field.insert(&mut transaction, 0, "picture");
    field.insert_embed(&mut transaction, 3, Any::from("image"));
    array.push_back(&mut transaction, 1_i64);
    let update = transaction.encode_update_v1();
    drop(transaction);
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.say(Message::Sync(SyncMessage::Update(update))).await;
        for (method, arguments) in [
            ("write", json!({"text": "x"})),
            ("replace", json!({"find": "p", "with": "x"})),
            ("insert", json!({"at": 0, "text": "x"})),
            ("write", json!({"text": "x", "field": "list"})),
        ] {
            let refusal = refused(world, method, arguments).await;
            assert_eq!(refusal, ("not-plain-text".to_owned(), 409), "{method}");
        }
        assert_eq!(text(world).await, "picture");
    });
}

#[test]
fn many_differences_become_one_edit() {
    let before: String = (0..3_000).map(|line| format!("{line}\n")).collect();
    let after = before.replace("1\n", "1!\n");
    assert!(between(&before, &after).len() < 1_000);
    let after: String = (0..3_000)
        .map(|line| format!("{line}{}\n", if line % 2 == 0 { "" } else { "!" }))
        .collect();
    let [edit] = &between(&before, &after)[..] else {
        panic!("more than one edit")
    };
    assert_eq!(edit.at, 3, "what is the same at the beginning stays");
    assert_eq!(replacing(&before, "\n", ""), None);
}

#[test]
fn places_are_between_characters() {
    let places: Vec<u32> = (0..6).filter(|at| is_place("a😀b", *at)).collect();
    assert_eq!(places, [0, 1, 3, 4]);
    assert!(is_place("", 0) && !is_place("", 1));
}

proptest! {
    /// Whatever the two texts are, the edits make one of the other, in the CRDT as on paper.
    #[test]
    fn edits_make_one_text_of_another(
        before in "[ab\n😀]{0,40}", after in "[ab\n😀]{0,40}",
    ) {
        let edits = between(&before, &after);
        prop_assert!(edits.iter().is_sorted_by_key(|edit: &Edit<'_>| edit.at));
        let mut replica = Replica::new(1 << 20);
        replica.append("t", &before);
        let update = replica.edit("t", &edits);
        prop_assert_eq!(replica.plain_text("t"), Some(after));
        prop_assert!(decode(&update).is_ok());
    }
}
