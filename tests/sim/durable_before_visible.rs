//! **durable-before-visible**: no reply, frame, close, accepted session, alarm or call to another
//! object leaves before the writes it may reveal are durable.
//!
//! Most tests hold the store's commits, look that nothing has left, and release them.

use abide::prelude::*;
use abide_actors::testing::{TestSession, World};
use abide_storage::Aftermath;

use crate::seeds::each_seed;
use crate::support::{begin, is_open, note, settle, take_notes};

/// Writes in every turn, and shows what it wrote in every way there is.
#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    total: u64,
}

#[actor]
impl Ledger {
    #[call]
    fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        note(format!("add {}", self.total));
        self.total
    }

    #[call]
    async fn add_slowly(&mut self, by: u64) -> u64 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.add(by)
    }

    #[call]
    fn total(&self) -> u64 {
        self.total
    }

    /// A failed turn writes nothing, but its error tells what an earlier turn wrote.
    #[call]
    fn refuse(&mut self) -> Result<(), ActorError> {
        Err(ActorError::new(
            "refused",
            format!("total is {}", self.total),
        ))
    }

    #[call]
    fn announce(&mut self, ctx: &mut Context<Self>, by: u64) -> u64 {
        self.total += by;
        ctx.broadcast(format!("total is {}", self.total));
        self.total
    }

    #[call]
    fn dismiss(&mut self, ctx: &mut Context<Self>) {
        self.total += 1;
        for session in ctx.sessions() {
            session.close(4000, format!("total is {}", self.total));
        }
    }

    #[call]
    fn wake_soon(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        self.total += 1;
        ctx.set_alarm("soon", Duration::from_secs(1))
    }

    #[call]
    fn answer_pings(&mut self, ctx: &mut Context<Self>) {
        self.total += 1;
        ctx.set_auto_response("ping", format!("total is {}", self.total));
    }

    /// Tells another ledger what this one wrote in earlier turns.
    #[call]
    async fn pass_on(&mut self, ctx: &mut Context<Self>, to: String) -> Result<u64, CallError> {
        note(format!("passing on {}", self.total));
        ctx.actor::<Self>(&to).add(self.total).await
    }

    /// The same from a read.
    #[call]
    async fn tell(&self, ctx: &Context<Self>, to: String) -> Result<u64, CallError> {
        ctx.actor::<Self>(&to).add(self.total).await
    }

    #[call]
    fn tag(&mut self, ctx: &mut Context<Self>, tag: String) -> Result<(), CallError> {
        self.total += 1;
        ctx.sessions()
            .iter()
            .try_for_each(|session| session.set_tags([&tag]))
    }

    #[call]
    fn announce_to(&mut self, ctx: &mut Context<Self>, tag: String) {
        self.total += 1;
        ctx.broadcast_to(&tag, format!("total is {}", self.total));
    }

    fn connected(&mut self, session: &Session, request: &ConnectRequest) -> Result<(), Refusal> {
        self.total += 1;
        session.send(format!("welcome, total is {}", self.total));
        if request.query == "refuse" {
            return Err(Refusal::new(format!("total is {}", self.total)));
        }
        Ok(())
    }

    fn message(&mut self, session: &Session, frame: Frame) -> Result<(), ActorError> {
        if frame.as_text() == Some("fail") {
            return Err(ActorError::new(
                "refused",
                format!("total is {}", self.total),
            ));
        }
        self.total += 1;
        session.send(format!("total is {}", self.total));
        Ok(())
    }

    fn alarm(&mut self, alarm: Alarm) {
        note(format!("alarm {}", alarm.name));
    }

    fn fetch(&mut self, _request: Request<Body>) -> Response<Body> {
        self.total += 1;
        Response::new(format!("total is {}", self.total).into())
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder().actor::<Ledger>("ledger").run(test)
}

async fn joined(world: &World) -> TestSession {
    let mut session = world.connect("ledger", "a", "").await.unwrap();
    assert!(session.next_text().await.unwrap().starts_with("welcome"));
    session
}

fn text(frames: &[Frame]) -> Vec<&str> {
    frames.iter().filter_map(Frame::as_text).collect()
}

#[test]
fn a_reply_waits_for_its_turns_commit() {
    world(async |world| {
        world.store().hold_commits();
        let mut add = begin(world, async { world.actor::<Ledger>("a").add(3).await }).await;
        assert_eq!(
            take_notes(),
            ["add 3"],
            "the turn is over, only its reply is held"
        );
        assert!(is_open(&mut add).await, "the commit is not durable");
        world.store().release_commits();
        assert_eq!(add.await.unwrap(), 3);
    });
}

#[test]
fn a_response_to_raw_http_waits_for_its_turns_commit() {
    world(async |world| {
        world.store().hold_commits();
        let target = world.runtime().target("ledger", "a").unwrap();
        let deadline = abide::Deadline::after(Duration::from_secs(60));
        let request = Request::new(Body::empty());
        let response = world
            .runtime()
            .fetch(&target, request, deadline, Default::default());
        let mut response = begin(world, response).await;
        assert!(is_open(&mut response).await, "the commit is not durable");
        world.store().release_commits();
        let body = response
            .await
            .unwrap()
            .into_body()
            .bytes(100)
            .await
            .unwrap();
        assert_eq!(body, "total is 1");
    });
}

#[test]
fn a_read_waits_for_the_writes_it_saw() {
    world(async |world| {
        let ledger = world.actor::<Ledger>("a");
        ledger.add(1).await.unwrap();
        world.store().hold_commits();
        let add = begin(world, ledger.add(2)).await;
        let mut total = begin(world, ledger.total()).await;
        assert!(is_open(&mut total).await, "it read what is not durable");
        world.store().release_commits();
        assert_eq!((add.await.unwrap(), total.await.unwrap()), (3, 3));
    });
}

#[test]
fn a_read_of_what_is_durable_does_not_wait_for_other_objects() {
    world(async |world| {
        let (a, b) = (world.actor::<Ledger>("a"), world.actor::<Ledger>("b"));
        b.add(5).await.unwrap();
        world.store().hold_commits();
        let _add = begin(world, a.add(2)).await;
        assert_eq!(b.total().await.unwrap(), 5);
    });
}

#[test]
fn an_error_waits_for_the_earlier_writes_it_reveals() {
    world(async |world| {
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let _add = begin(world, ledger.add(7)).await;
        let mut refused = begin(world, ledger.refuse()).await;
        assert!(
            is_open(&mut refused).await,
            "its message names a total that is not durable"
        );
        world.store().release_commits();
        assert_eq!(refused.await.unwrap_err().to_string(), "total is 7");
    });
}

#[test]
fn frames_and_closes_wait_and_leave_in_order() {
    world(async |world| {
        let mut session = joined(world).await;
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let announce = begin(world, ledger.announce(1)).await;
        session.send("hello").await;
        let dismiss = begin(world, ledger.dismiss()).await;
        assert!(
            session.arrived().await.is_empty(),
            "nothing of the three turns is durable"
        );

        world.store().release_commits();
        let arrived = session.arrived().await;
        assert_eq!(text(&arrived), ["total is 2", "total is 3"]);
        assert_eq!(session.closed().await.unwrap().reason, "total is 4");
        announce.await.unwrap();
        dismiss.await.unwrap();
    });
}

/// 1. A turn sends a frame to a session; its commit is on its way.
/// 2. A frame from the session fails, which closes the session and says why.
/// 3. The close must neither overtake the first turn's frame nor tell of its writes.
#[test]
fn the_close_after_a_failed_frame_waits_for_earlier_turns() {
    world(async |world| {
        let mut session = joined(world).await;
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let announce = begin(world, ledger.announce(1)).await;
        session.send("fail").await;
        assert!(
            session.arrived().await.is_empty(),
            "the first turn is not durable"
        );
        world.store().release_commits();
        announce.await.unwrap();
        assert_eq!(session.next_text().await.as_deref(), Some("total is 2"));
        let close = session.closed().await.unwrap();
        assert_eq!(
            (close.code, &*close.reason),
            (Close::INTERNAL_ERROR, "total is 2")
        );
    });
}

#[test]
fn a_session_is_accepted_or_refused_when_its_turn_is_durable() {
    world(async |world| {
        world.store().hold_commits();
        let mut accepted = begin(world, world.connect("ledger", "a", "")).await;
        let mut refused = begin(world, world.connect("ledger", "a", "refuse")).await;
        assert!(is_open(&mut accepted).await && is_open(&mut refused).await);
        world.store().release_commits();
        let welcome = accepted.await.unwrap().next_text().await;
        assert_eq!(welcome.as_deref(), Some("welcome, total is 1"));
        assert_eq!(
            refused.await.unwrap_err().to_string(),
            "refused: total is 2"
        );
    });
}

#[test]
fn an_alarm_fires_only_once_it_is_durable() {
    world(async |world| {
        world.store().hold_commits();
        let ledger = world.actor::<Ledger>("a");
        let wake = begin(world, ledger.wake_soon()).await;
        world.advance(Duration::from_secs(5)).await;
        assert!(
            take_notes().is_empty(),
            "a crash now would take the alarm back"
        );
        world.store().release_commits();
        wake.await.unwrap();
        settle(world).await;
        assert_eq!(take_notes(), ["alarm soon"]);
    });
}

#[test]
fn a_call_to_another_object_waits_for_earlier_turns() {
    world(async |world| {
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let add = begin(world, ledger.add(4)).await;
        let pass_on = begin(world, ledger.pass_on("b".into())).await;
        assert_eq!(
            take_notes(),
            ["add 4", "passing on 4"],
            "b has not heard of it"
        );
        world.store().release_commits();
        assert_eq!((add.await.unwrap(), pass_on.await.unwrap()), (4, 4));
        assert_eq!(take_notes(), ["add 4"], "that was b");
    });
}

#[test]
fn a_call_from_a_read_waits_for_earlier_turns() {
    world(async |world| {
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let add = begin(world, ledger.add(4)).await;
        let tell = begin(world, ledger.tell("b".into())).await;
        assert_eq!(take_notes(), ["add 4"], "b has not heard of it");
        world.store().release_commits();
        assert_eq!((add.await.unwrap(), tell.await.unwrap()), (4, 4));
    });
}

/// The turn that makes the automatic answer known is not durable, so neither may the answer be
/// given.
#[test]
fn an_automatic_answer_waits_for_the_turn_that_set_it() {
    world(async |world| {
        let mut session = joined(world).await;
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let answer_pings = begin(world, ledger.answer_pings()).await;
        session.send("ping").await;
        assert!(
            session.arrived().await.is_empty(),
            "a crash now would take the total back"
        );
        world.store().release_commits();
        answer_pings.await.unwrap();
        assert_eq!(
            text(&session.arrived().await),
            ["total is 3"],
            "the actor answered itself"
        );
        session.send("ping").await;
        assert_eq!(
            text(&session.arrived().await),
            ["total is 2"],
            "now it is answered below"
        );
    });
}

/// 1. A turn sends to everyone tagged `board`; its commit is on its way.
/// 2. A later turn gives the tag to a session.
/// 3. The first turn's frame must not reach it: it had not the tag when the frame was sent.
#[test]
fn a_held_broadcast_reaches_those_who_had_the_tag_when_it_was_sent() {
    world(async |world| {
        let mut session = joined(world).await;
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let announce = begin(world, ledger.announce_to("board".into())).await;
        let tag = begin(world, ledger.tag("board".into())).await;
        world.store().release_commits();
        announce.await.unwrap();
        tag.await.unwrap();
        assert_eq!(
            text(&session.arrived().await),
            [""; 0],
            "it was told before it was tagged"
        );
    });
}

#[test]
fn turns_run_ahead_of_the_disk_and_their_effects_leave_in_order() {
    world(async |world| {
        let mut session = joined(world).await;
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let mut open = Vec::new();
        for _ in 0..20 {
            open.push(begin(world, ledger.announce(1)).await);
        }
        assert_eq!(
            world.store().held_commits(),
            20,
            "no turn waited for the one before"
        );
        world.store().release_commits();
        for (before, announce) in open.into_iter().enumerate() {
            assert_eq!(announce.await.unwrap(), before as u64 + 2);
        }
        let expected: Vec<_> = (2..22).map(|total| format!("total is {total}")).collect();
        assert_eq!(text(&session.arrived().await), expected);
    });
}

#[test]
fn an_effect_does_not_wait_for_later_turns() {
    world(async |world| {
        let ledger = world.actor::<Ledger>("a");
        world.store().hold_commits();
        let mut first = begin(world, ledger.add(1)).await;
        let mut second = begin(world, ledger.add_slowly(1)).await;
        // The first becomes durable while the second is still at it; the second's commit is held.
        world.store().release_commits();
        world.store().hold_commits();
        settle(world).await;
        assert!(!is_open(&mut first).await, "its own commit is durable");
        world.advance(Duration::from_secs(2)).await;
        assert!(is_open(&mut second).await, "this one's is not");
        world.store().release_commits();
        assert_eq!(second.await.unwrap(), 2);
    });
}

/// Whatever the schedule: what a client was told before a crash is there after it.
#[test]
fn nothing_a_client_was_told_is_lost_in_a_crash() {
    each_seed(200, |seed| {
        world(async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut told = 0;
            for _ in 0..3 {
                told = crash_at_some_time(world, &mut random, told).await;
                world.crash().await;
                let total = world.actor::<Ledger>("a").total().await.unwrap();
                assert!(total >= told, "{told} was told, a crash left {total}");
            }
            assert!(told > 0, "the first session alone was told something");
        });
    });
}

/// Calls, frames, slow disks; the highest total any client was told.
async fn crash_at_some_time(world: &World, random: &mut fastrand::Rng, mut told: u64) -> u64 {
    let ledger = world.actor::<Ledger>("a");
    // Connecting writes, and must not wait for a held commit here.
    let mut session = joined(world).await;
    told = told.max(ledger.total().await.unwrap());
    let mut open = Vec::new();
    for _ in 0..random.usize(1..30) {
        match random.u8(0..8) {
            0 => world.store().hold_commits(),
            1 => world.store().release_commits(),
            2 => session.send("hello").await,
            3 => open.push(begin(world, ledger.announce(random.u64(1..5))).await),
            4 => open.push(begin(world, ledger.total()).await),
            5 if random.u8(0..5) == 0 => {
                // Held, it would keep the next activation waiting, and the session's frames too.
                world.store().release_commits();
                let afterwards = [Aftermath::Applied, Aftermath::Dropped];
                world
                    .store()
                    .lose_next_commit(afterwards[random.usize(0..2)]);
                ledger.add(1).await.unwrap_err();
            }
            _ => open.push(begin(world, ledger.add(random.u64(1..5))).await),
        }
        for mut call in std::mem::take(&mut open) {
            match futures_util::poll!(&mut call) {
                std::task::Poll::Ready(total) => told = told.max(total.unwrap_or(0)),
                std::task::Poll::Pending => open.push(call),
            }
        }
        for frame in text(&session.arrived().await) {
            let total = frame
                .strip_prefix("total is ")
                .and_then(|total| total.parse().ok());
            told = told.max(total.unwrap_or(0));
        }
    }
    told
}
