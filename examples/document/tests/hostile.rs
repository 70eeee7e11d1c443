//! Clients that say what no client should: their session ends, and nobody else notices.

use abide_actors::{Close, Frame};
use proptest::prelude::*;

use super::peer::Peer;
use super::{in_world, text};
use crate::document::replica::{News, Replica, decode};

/// An update by Yjs 13.6.33 with every kind of content: text with formats and embeds, a map with
/// every type of value, nested arrays, maps, texts and XML, a subdocument, deletions, two clients.
const YJS_UPDATE: &str = "0201858080800800c44d114d05025859254d0004010a636f64656d6972726f72026865844d01016c814d0202844d040c2077c3b6726c6420f09f9880464d0004626f6c640474727565c64d0e4d00046c696e6b0c7b2268726566223a2278227dc64d044d0504626f6c64046e756c6cc64d104d05046c696e6b046e756c6cc64d014d0204626f6c64046e756c6cc64d124d02046c696e6b046e756c6cc54d134d02117b22696d616765223a22612e706e67227dc64d144d0204626f6c640474727565c64d154d02046c696e6b0c7b2268726566223a2278227d2801036d6170016e017e2801036d61700175017f2801036d61700169017d2a2801036d6170036e6567017df0c5082801036d61700166017c3fc000002801036d61700164017b3ff199999999999a2801036d617003626967017a00000002dfdc1c352801036d6170016201782801036d61700173017704746578742301036d61700362696e030102032101036d6170066e65737465640101010361727201884d2202770374776f75017d03c14d224d2302c74d264d230204004d2702696e834d24020908070103786d6c030170874d2b0604004d2c02787428004d2b05636c6173730177016307004d2b0604004d3005696e6e65722901036d617003737562057375622d317601086175746f4c6f616478014d03030221022502";
const YJS_STATE_VECTOR: &str = "028580808008024d37";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// A sync message of the given step.
fn sync(step: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, step];
    crate::document::wire::write_bytes(&mut frame, content);
    frame
}

/// An update of one client with one struct: plain values in the map `m`.
fn values(content: &[u8]) -> Vec<u8> {
    let mut update = vec![1, 1, 5, 0, 0x28, 1, 1, b'm', 1, b'k'];
    update.extend_from_slice(content);
    update.push(0);
    update
}

#[test]
fn what_yjs_writes_is_accepted_and_comes_back_the_same() {
    let update = bytes(YJS_UPDATE);
    let mut replica = Replica::new(9);
    let news = replica.apply(decode(&update).unwrap());
    assert_eq!(news, Ok(News::Whole));
    assert_eq!(replica.text("codemirror"), "helXY wörld 😀");
    assert_eq!(replica.apply(decode(&update).unwrap()), Ok(News::None));

    let mut copy = Replica::new(10);
    copy.apply(decode(&replica.snapshot()).unwrap()).unwrap();
    assert_eq!(copy.text("codemirror"), "helXY wörld 😀");
    assert!(copy.changes_since(&bytes(YJS_STATE_VECTOR)).is_ok());
}

/// A client that comes back brings what it wrote meanwhile together with what is known already.
#[test]
fn of_an_update_that_is_known_in_part_only_the_rest_is_news() {
    let first = [&[1, 1, 1, 0, 4, 1, 10][..], b"codemirror", b"\x01a\0"].concat();
    let both = [&[1, 1, 1, 0, 4, 1, 10][..], b"codemirror", b"\x02ab\0"].concat();
    let mut replica = Replica::new(9);
    let mut apply = |update: &[u8]| replica.apply(decode(update).unwrap()).unwrap();
    assert_eq!(apply(&first), News::Whole);
    // `b`, behind what client 1 wrote at clock 0.
    let rest = [1, 1, 1, 1, 0x84, 1, 0, 1, b'b', 0].to_vec();
    assert_eq!(apply(&both), News::Changes(rest));
    assert_eq!(apply(&both), News::None);
    let deletion = [0, 1, 1, 1, 0, 1];
    assert_eq!(apply(&deletion), News::Changes(deletion.to_vec()));
    assert_eq!(apply(&deletion), News::None);
    assert_eq!(replica.text("codemirror"), "b");
}

#[test]
fn a_malformed_frame_ends_its_session_and_harms_nothing_else() {
    let nothing_left = u64::MAX.to_le_bytes();
    let (content, kind) = (Close::INVALID_PAYLOAD, Close::UNSUPPORTED);
    let frames: Vec<(&str, Frame, u16)> = vec![
        ("text", "hello".into(), kind),
        ("unknown message", vec![9].into(), kind),
        ("unknown sync step", sync(3, &[]).into(), kind),
        ("cut off", vec![0].into(), content),
        ("length beyond the end", vec![0, 2, 100, 1].into(), content),
        (
            "number too large",
            [&[0, 2][..], &[0xFF; 10]].concat().into(),
            content,
        ),
        ("no update", sync(2, &nothing_left).into(), content),
        (
            "bytes after the update",
            sync(2, &[0, 0, 0]).into(),
            content,
        ),
        // Each would make the decoder reserve memory for four billion things.
        (
            "many clients in an update",
            sync(2, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]).into(),
            content,
        ),
        (
            "many clients in a state",
            sync(0, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).into(),
            content,
        ),
        (
            "many values",
            sync(2, &values(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F])).into(),
            content,
        ),
        (
            "clock beyond 32 bits",
            sync(0, &[1, 5, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F]).into(),
            content,
        ),
        // A megabyte of "an array of one" would use up the stack.
        (
            "deep nesting",
            sync(2, &values(&[&[1][..], &[117, 1].repeat(500_000)].concat())).into(),
            content,
        ),
        (
            "awareness that is not JSON",
            vec![1, 5, 1, 7, 1, 1, b'{'].into(),
            content,
        ),
        ("awareness with a lie", vec![1, 1, 200].into(), content),
    ];
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, 1).await, Peer::open(world, 2).await);
        ada.insert(0, "unharmed").await;
        for (what, frame, code) in frames {
            let mut stranger = Peer::open(world, 3).await;
            stranger.session.send(frame).await;
            assert_eq!(stranger.closed().await.code, code, "{what}");
        }
        ada.insert(8, "!").await;
        bob.listen().await;
        assert_eq!(
            (text(world).await.as_str(), bob.text().as_str()),
            ("unharmed!", "unharmed!")
        );
        assert_eq!(bob.updates, 2);
    });
}

#[test]
fn several_messages_in_one_frame_are_all_read() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let (first, second) = (
            ada.insert_silently(0, "one "),
            ada.insert_silently(4, "two"),
        );
        ada.session
            .send([sync(2, &first), sync(2, &second)].concat())
            .await;
        assert_eq!(text(world).await, "one two");
    });
}

/// Found by fuzzing: the CRDT shows such a change at once, but leaves it out when it is asked for
/// what is new; it was on the screen and not on the disk.
#[test]
fn a_change_whose_predecessor_is_missing_is_kept_like_one_that_is_shown() {
    // By client 10 from clock 35 on, in front of the first letter of client 1.
    let letters = [&[1, 1, 1, 0, 4, 1, 10][..], b"codemirror", b"\x02ab\0"].concat();
    let beyond = [&[1, 1, 10, 35, 0x44, 1, 0, 4][..], b"fork\0"].concat();
    let mut replica = Replica::new(9);
    replica.apply(decode(&letters).unwrap()).unwrap();
    let news = replica.apply(decode(&beyond).unwrap());
    assert_eq!(news, Ok(News::Whole));
    assert_eq!(replica.text("codemirror"), "forkab");
    in_world(async |world| {
        let mut ada = Peer::open(world, 2).await;
        ada.session.send(sync(2, &letters)).await;
        ada.session.send(sync(2, &beyond)).await;
        assert_eq!(text(world).await, "forkab");
        world.crash().await;
        assert_eq!(text(world).await, "forkab");
    });
}

/// Found by fuzzing: a live document showed it elsewhere than the same document made anew.
#[test]
fn a_change_between_a_place_and_itself_is_refused() {
    let between = |right: u8| {
        let neighbours = [1, 1, 2, 0, 0xc4, 1, 1, 1, right];
        [&neighbours[..], b"\x02ab\0"].concat()
    };
    assert!(decode(&between(2)).is_ok());
    assert!(decode(&between(1)).is_err());
}

proptest! {
    /// Whatever is done to an update, reading it ends in an answer: no panic, no abort.
    #[test]
    fn a_damaged_update_is_read_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut update = bytes(YJS_UPDATE);
        for (at, byte) in damage {
            let at = at.index(update.len());
            update[at] = byte;
        }
        let end = cut.index(2 * update.len()).min(update.len());
        drop(decode(&update[..end]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&bytes));
        drop(Replica::new(1).changes_since(&bytes));
    }
}
