//! As many sessions on one object as it may have: the figure the limits promise, without the sockets that few
//! machines have so many of.

use std::time::Duration;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::{TestSession, World};
use futures_util::future::try_join_all;

const CROWD: usize = 100_000;

/// Says something to everybody.
#[derive(Default, Serialize, Deserialize)]
struct Hall {
    said: u64,
}

#[actor]
impl Hall {
    #[call]
    fn say(&mut self, ctx: &mut Context<Self>) -> u64 {
        self.said += 1;
        ctx.broadcast(self.said.to_string());
        self.said
    }

    fn connected(&mut self, session: &Session, request: &ConnectRequest) -> Result<(), CallError> {
        session.set_tags([&request.query])
    }
}

/// Whether each has heard exactly this since it was last asked.
async fn all_heard(crowd: &mut [TestSession], said: u64) {
    for session in crowd {
        assert_eq!(session.next_text().await, Some(said.to_string()));
    }
}

/// Slower than others of its kind (some seconds): it is 100,000 turns, and as many queues filled twice.
#[test]
fn a_hundred_thousand_sessions_are_on_one_object_and_hear_it() {
    let limits = Limits {
        memory_max_bytes: 2 << 30,
        ..Limits::default()
    };
    assert_eq!(limits.sessions_per_object_max, CROWD);
    let builder = World::builder().actor::<Hall>("hall").limits(limits);
    builder.run(async |world| {
        let mut crowd = Vec::with_capacity(CROWD);
        for group in 0..CROWD / 1_000 {
            let query = format!("row-{}", group % 10);
            let group = (0..1_000).map(|_| world.connect("hall", "a", &query));
            crowd.extend(try_join_all(group).await.unwrap());
        }
        let refused = world.connect("hall", "a", "").await.unwrap_err();
        assert!(matches!(refused, ConnectError::TooManySessions { .. }));
        assert_eq!(world.runtime().stats().sessions, CROWD);

        let said = world.actor::<Hall>("a").say().await.unwrap();
        all_heard(&mut crowd, said).await;
        // They outlive the activation: the next one says it to the same crowd.
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        let said = world.actor::<Hall>("a").say().await.unwrap();
        assert_eq!(said, 2);
        all_heard(&mut crowd, said).await;

        drop(crowd);
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(world.runtime().stats().sessions, 0);
    });
}
