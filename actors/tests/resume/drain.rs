//! A drain beside a client's message that is under way: the message counts as received, or it comes again
//! after the restart, and never both.
//!
//! More than one thing sees to that: activations end, with all they hold durable, before sessions are
//! stored; an object whose sessions are not settled is asked again; and no turn runs once they are stored.

use std::future::Future;
use std::time::Duration;

use abide_actors::{Close, Limits};

use crate::client::{Acknowledge, Client};
use crate::story::{assert_whole, heard, world};

/// 1. The turn on a message is over, its commit is held back.
/// 2. The node is drained, and waits.
/// 3. The commit becomes durable.
/// 4. The client is back after the restart.
#[test]
fn a_drain_waits_for_a_message_that_is_not_durable_yet() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        world.store().hold_commits();
        ada.send("one");
        ada.settle().await;
        assert_eq!((ada.acked, ada.unacknowledged()), (0, 1));
        let node = world.runtime().clone();
        let slow_disk = async {
            for _ in 0..50 {
                ada.pump(Acknowledge::No).await;
                world.advance(Duration::from_millis(20)).await;
            }
            assert_eq!((ada.acked, &ada.close), (0, &None));
            world.store().release_commits();
            ada.settle().await;
        };
        tokio::join!(node.drain(), slow_disk);
        assert_eq!(ada.close.as_ref().unwrap().code, Close::RESTART);
        world.restart().await;
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["one"]);
        assert_whole(&ada.got, 1);
    });
}

/// 1. A message finds the mailbox full, and waits with its connection.
/// 2. The object has long had room, and sleeps, when the node is drained and asks it to store its sessions.
/// 3. Before it comes to that, the connection hands the message over.
#[test]
fn a_message_that_slips_in_behind_a_drain_is_there_once() {
    let limits = Limits {
        mailbox_messages_max: 2,
        ..Limits::default()
    };
    world().limits(limits).run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        let mut others = Vec::new();
        for name in ["bob", "cal", "dan"] {
            others.push(Client::new(world, name).await);
        }
        ada.settle().await;
        others[0].send("wait 2000");
        world.advance(Duration::from_millis(1)).await;
        others[1].send("takes a place");
        others[2].send("takes the last place");
        ada.send("slips in");
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        {
            let drain = world.runtime().drain();
            tokio::pin!(drain);
            std::future::poll_fn(|cx| {
                let drained = drain.as_mut().poll(cx);
                // What another thread could do between any two steps of the drain.
                while ada.take_one(cx) {}
                drained
            })
            .await;
        }
        world.restart().await;
        ada.pump(Acknowledge::No).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["slips in"]);
        assert_eq!(ada.unacknowledged(), 0);
        assert_whole(&ada.got, 4);
    });
}
