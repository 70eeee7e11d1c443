//! Stored updates: several to a page, in the order they came, and those of before there were pages.

use abide_actors::testing::World;
use abide_storage::{Commit, Section, Store, Version, Write, WriteBatch};
use bytes::Bytes;
use yrs::sync::{Message, SyncMessage};

use super::peer::Peer;
use super::sync::{row, rows};
use super::{in_world, text, updates};

/// `a` by client 1 at the start of `codemirror`, as Yjs writes it; then `b` behind it.
const A: &[u8] = b"\x01\x01\x01\x00\x04\x01\x0acodemirror\x01a\x00";
const B: &[u8] = b"\x01\x01\x01\x01\x84\x01\x00\x01b\x00";

fn page(number: u64) -> String {
    format!("p/{number:020}")
}

async fn say(peer: &mut Peer, update: &[u8]) {
    let update = update.to_vec();
    peer.say(Message::Sync(SyncMessage::Update(update))).await;
}

/// These bytes are on disks: a change here is a new form of page, with a prefix of its own.
#[test]
fn golden_page() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 9).await;
        say(&mut ada, A).await;
        say(&mut ada, B).await;
        let expected = [&[20], A, &[10], B].concat();
        assert_eq!(row(world, &page(0)).await, expected);
        assert_eq!(text(world).await, "ab");
    });
}

#[test]
fn a_page_that_is_full_is_left_alone_and_one_with_room_goes_on_after_a_crash() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "1").await;
        world.crash().await;
        ada.reconnect(world).await;
        ada.insert(1, "2").await;
        ada.insert(2, &"x".repeat(600)).await;
        let full = row(world, &page(0)).await;
        world.crash().await;
        ada.reconnect(world).await;
        ada.insert(602, "3").await;
        ada.insert(603, "4").await;
        assert_eq!(row(world, &page(0)).await, full);
        let keys: Vec<_> = rows(world).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [page(0), page(3)]);
        world.crash().await;
        assert_eq!(text(world).await, format!("12{}34", "x".repeat(600)));
        assert_eq!(updates(world).await, 5);
    });
}

/// The page is in memory, too, and must not keep what a turn could not store.
#[test]
fn an_update_that_could_not_be_stored_is_not_stored_with_the_next_one() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, 1).await, Peer::open(world, 2).await);
        ada.insert(0, "kept").await;
        let before = row(world, &page(0)).await.len();
        world.store().refuse_writes(Some("the disk is full"));
        ada.insert(4, " lost").await;
        world.store().refuse_writes(None);
        bob.listen().await;
        bob.insert(4, "!").await;
        assert_eq!(updates(world).await, 2);
        assert!(row(world, &page(0)).await.len() > before);
        world.crash().await;
        assert_eq!(text(world).await, "kept!");
    });
}

#[test]
fn rows_of_one_update_each_are_read_and_go_with_the_next_snapshot() {
    in_world(async |world| {
        write_as_before_pages(world, &[A, B]).await;
        assert_eq!(text(world).await, "ab");
        assert_eq!(updates(world).await, 2);
        let mut ada = Peer::open(world, 7).await;
        ada.insert(2, "c").await;
        let keys: Vec<_> = rows(world).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [page(2), single(0), single(1)]);
        world.crash().await;
        assert_eq!(text(world).await, "abc");
        ada.reconnect(world).await;
        for at in 3..201 {
            ada.insert(at, "x").await;
        }
        let keys: Vec<_> = rows(world).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [format!("s/{:020}", 0)]);
        world.crash().await;
        assert_eq!(text(world).await, format!("abc{}", "x".repeat(198)));
    });
}

#[test]
fn a_missing_page_keeps_the_document_closed() {
    in_world(async |world| {
        write_as_before_pages(world, &[A, B]).await;
        let gone = Write::Delete {
            section: Section::Data,
            key: single(1).into(),
        };
        write(world, vec![gone]).await;
        let Err(refused) = world.connect("document", "notes", "").await else {
            panic!("it opened without somebody's words");
        };
        let problem = format!("{refused:?}");
        assert!(problem.contains("document-unreadable"), "{problem}");
    });
}

fn single(number: u64) -> String {
    format!("u/{number:020}")
}

/// The document's state was what it is now: counts.
async fn write_as_before_pages(world: &World, updates: &[&[u8]]) {
    let size_bytes: usize = updates.iter().map(|update| update.len()).sum();
    let counts = [0, updates.len(), size_bytes, 0, 0];
    let state: Vec<u8> = [1]
        .into_iter()
        .chain(counts.map(|count| u8::try_from(count).unwrap()))
        .collect();
    let mut writes = vec![Write::Put {
        section: Section::State,
        key: Bytes::new(),
        value: state.into(),
    }];
    for (number, update) in (0..).zip(updates) {
        writes.push(Write::Put {
            section: Section::Data,
            key: single(number).into(),
            value: Bytes::copy_from_slice(update),
        });
    }
    write(world, writes).await;
}

/// Commits to the object's rows behind its back, while it is not active.
async fn write(world: &World, writes: Vec<Write>) {
    let target = world.runtime().target("document", "notes").unwrap();
    let object = target.object.clone();
    let opened = world.store().open(&object).await.unwrap();
    let commit = Commit {
        object: object.clone(),
        name: Some("notes".into()),
        epoch: opened.epoch,
        version: Version(opened.version.0 + 1),
        batch: WriteBatch { writes },
    };
    world.store().commit(commit).unwrap().await.unwrap();
    world.store().close(&object, opened.epoch);
}
