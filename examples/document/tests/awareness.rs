//! Awareness: who is here, and where they point.

use std::time::Duration;

use yrs::sync::Message;

use super::in_world;
use super::peer::Peer;

const ADA: u64 = 11;
const BOB: u64 = 22;

fn at(cursor: u32) -> String {
    format!(r#"{{"cursor":{cursor}}}"#)
}

#[test]
fn everybody_sees_where_others_point_and_the_echo_keeps_a_lone_client_connected() {
    in_world(async |world| {
        let mut ada = Peer::open(world, ADA).await;
        ada.point(&at(1)).await;
        ada.listen().await;
        assert_eq!(ada.told, 1);
        let mut bob = Peer::open(world, BOB).await;
        assert_eq!(bob.sees(ADA), Some(at(1)), "a newcomer is told");
        bob.point(&at(2)).await;
        ada.point(&at(3)).await;
        ada.listen().await;
        bob.listen().await;
        assert_eq!((ada.sees(BOB), bob.sees(ADA)), (Some(at(2)), Some(at(3))));
    });
}

#[test]
fn what_clients_repeat_of_each_other_is_not_passed_on() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, ADA).await, Peer::open(world, BOB).await);
        ada.point(&at(1)).await;
        bob.point(&at(2)).await;
        ada.listen().await;
        bob.listen().await;
        let told = (ada.told, bob.told);
        for peer in [&mut ada, &mut bob] {
            let all = peer.all_it_knows();
            peer.say(Message::Awareness(all)).await;
        }
        ada.listen().await;
        bob.listen().await;
        assert_eq!((ada.told, bob.told), told);
    });
}

#[test]
fn a_client_whose_session_ends_is_gone_even_if_another_repeated_it() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, ADA).await, Peer::open(world, BOB).await);
        ada.point(&at(1)).await;
        bob.point(&at(2)).await;
        bob.listen().await;
        let echo = bob.all_it_knows();
        drop(ada.session);
        bob.listen().await;
        assert_eq!(bob.sees(ADA), None);
        bob.say(Message::Awareness(echo)).await;
        assert_eq!(
            Peer::open(world, 33).await.sees(ADA),
            None,
            "a late echo revives nobody"
        );
    });
}

#[test]
fn a_client_on_a_new_session_stays_when_its_old_one_is_found_dead() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, ADA).await, Peer::open(world, BOB).await);
        bob.point(&at(2)).await;
        ada.point(&at(1)).await;
        let old = std::mem::replace(
            &mut ada.session,
            world.connect("document", "notes", "").await.unwrap(),
        );
        ada.point(&at(5)).await;
        drop(old);
        bob.listen().await;
        assert_eq!(bob.sees(ADA), Some(at(5)));
    });
}

#[test]
fn after_hibernation_clients_are_asked_and_one_that_left_is_gone() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, ADA).await, Peer::open(world, BOB).await);
        ada.point(&at(1)).await;
        bob.point(&at(2)).await;
        ada.listen().await;
        bob.listen().await;
        world.advance(Duration::from_mins(1)).await;
        assert_eq!(world.runtime().stats().activations, 0);

        // Bob repeats both states first; Ada's must not become his.
        let all = bob.all_it_knows();
        bob.say(Message::Awareness(all)).await;
        ada.listen().await;
        bob.listen().await;
        assert_eq!((ada.asked, bob.asked), (1, 1));
        drop(ada.session);
        bob.listen().await;
        assert_eq!(bob.sees(ADA), None);
        assert_eq!(Peer::open(world, 33).await.sees(BOB), Some(at(2)));
    });
}

#[test]
fn a_client_that_leaves_during_hibernation_is_told_to_have_left() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, ADA).await, Peer::open(world, BOB).await);
        for cursor in 0..5 {
            ada.point(&at(cursor)).await;
        }
        bob.listen().await;
        world.advance(Duration::from_mins(1)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        drop(ada.session);
        bob.listen().await;
        assert_eq!(bob.sees(ADA), None);
    });
}
