//! What fails, what is replaced, and who has no use for durable sessions.

use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{
    Close, ConnectError, ConnectRequest, Context, Deadline, Precondition, Resumption, Session,
    actor,
};
use abide_storage::{Aftermath, CommitError};
use serde::{Deserialize, Serialize};

use super::{Scribe, add, crash, rows, world};
use crate::client::{Acknowledge, Client, connect};

fn full() -> CommitError {
    CommitError::DiskFull {
        available_bytes: 1,
        reserve_bytes: 2,
    }
}

/// A commit that fails takes back the messages of its turn with their numbers, and the next turn's have them.
#[test]
fn a_commit_that_fails_leaves_no_gap() {
    for error in [CommitError::Unknown, full()] {
        world().run(async |world| {
            let mut ada = Client::new(world, "ada").await;
            ada.settle().await;
            let book = world.actor::<Scribe>("book");
            book.tell("ada".into(), "a".into()).await.unwrap();
            world.store().fail_next_commit(error.clone());
            let failed = book.tell("ada".into(), "never".into()).await;
            assert!(failed.is_err());
            book.tell("ada".into(), "b".into()).await.unwrap();
            crash(world, &mut [&mut ada]).await;
            let book = world.actor::<Scribe>("book");
            book.tell("ada".into(), "c".into()).await.unwrap();
            assert!(ada.resume(world).await);
            ada.settle().await;
            assert_eq!(ada.got[1..], ["a", "b", "c"]);
        });
    }
}

/// A commit of which nobody knows whether it is durable, and is: what it has sent did not leave, and its numbers
/// are taken. The session ends rather than having two messages of one number.
#[test]
fn a_commit_of_unknown_outcome_never_gives_a_number_twice() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let book = world.actor::<Scribe>("book");
        world.store().lose_next_commit(Aftermath::Applied);
        assert!(book.tell("ada".into(), "a".into()).await.is_err());
        book.tell("ada".into(), "b".into()).await.unwrap();
        ada.pump(Acknowledge::Yes).await;
        assert_eq!(ada.got, ["from 0"]);
        assert_eq!(ada.close.unwrap().code, Close::INTERNAL_ERROR);
    });
}

#[test]
fn a_session_whose_first_commit_fails_is_none() {
    world().run(async |world| {
        add(world).await;
        world.store().fail_next_commit(full());
        let refused = connect(world.runtime(), "ada", Resumption::New).await;
        assert!(refused.is_err());
        let guests = async |world: &World| world.actor::<Scribe>("book").guests().await.unwrap();
        assert_eq!(guests(world).await, []);
        assert_eq!(rows(world).await, 0);
        crash(world, &mut []).await;
        assert_eq!(guests(world).await, []);
    });
}

/// The object that the sessions were told of is no more, and neither are they after a crash.
#[test]
fn a_replaced_object_has_no_session_of_before() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        add(world).await;
        let target = world.runtime().target("ledger", "book").unwrap();
        let deadline = || Deadline::after(Duration::from_secs(5));
        let image = world.runtime().export(&target, deadline()).await.unwrap();
        add(world).await;
        let replaced = world
            .runtime()
            .replace(&target, image, Precondition::None, deadline());
        replaced.await.unwrap();
        assert_eq!(rows(world).await, 0);
        crash(world, &mut [&mut ada]).await;
        assert!(!ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got, ["from 1"]);
    });
}

/// Takes no frames and is told of no end; what it says is heard all the same, and the rows go with the session.
#[derive(Default, Serialize, Deserialize)]
struct Herald;

#[actor]
impl Herald {
    #[call]
    fn cry(&mut self, ctx: &mut Context<Self>, text: String) {
        ctx.broadcast(text);
    }

    fn connected(
        &mut self,
        session: &Session,
        _request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        session.set_durable()?;
        Ok(())
    }
}

#[test]
fn an_object_that_takes_no_frames_counts_them() {
    let world = World::builder().actor::<Herald>("ledger");
    world.run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("anybody?");
        ada.settle().await;
        assert_eq!(ada.acked, 1);
        crash(world, &mut [&mut ada]).await;
        let book = world.actor::<Herald>("book");
        book.cry("hear".into()).await.unwrap();
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        ada.send("hello?");
        ada.settle().await;
        assert_eq!((&ada.got[..], ada.acked), (&["hear".to_owned()][..], 2));
        ada.connection.take().unwrap().left(Close::new(1000, ""));
        world.advance(Duration::from_millis(5)).await;
        assert_eq!(rows(world).await, 0);
    });
}

/// One that cannot say what it has got would keep everything.
#[test]
fn a_client_that_only_receives_has_no_durable_session() {
    world().run(async |world| {
        let target = world.runtime().target("ledger", "book").unwrap();
        let request = ConnectRequest {
            query: "ada".to_owned(),
            resumption: Resumption::New,
            receives_only: true,
            ..ConnectRequest::default()
        };
        let deadline = Deadline::after(Duration::from_secs(5));
        let connection = world.runtime().connect(&target, request, deadline).await;
        drop(connection.unwrap());
        crash(world, &mut []).await;
        assert_eq!(world.actor::<Scribe>("book").guests().await.unwrap(), []);
    });
}
