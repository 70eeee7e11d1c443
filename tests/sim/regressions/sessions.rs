//! Sessions that saw, kept or lost what they should not.

use abide::prelude::*;
use abide_actors::testing::{TestSession, World};
use abide_storage::CommitError;

use crate::support::{begin, note, settle, take_notes};

/// Writes in most turns. A session that comes with a query gets it as its tag.
#[derive(Default, Serialize, Deserialize)]
struct Hall {
    turns: u64,
    left: u64,
}

#[actor]
impl Hall {
    fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        self.turns += 1;
        if request.query == "refuse" {
            return Err(Refusal::new("as it was told to").into());
        }
        session.set_tags(Some(&request.query).filter(|tag| !tag.is_empty()))?;
        Ok(())
    }

    fn message(&mut self, session: &Session, frame: Frame) -> Result<(), ActorError> {
        if frame.as_text() == Some("fail") {
            return Err(ActorError::new("failed", "as it was told to"));
        }
        self.turns += 1;
        session.send(frame);
        Ok(())
    }

    fn disconnected(&mut self, _session: &Session, close: &Close) {
        note(format!("left with {}", close.code));
        self.left += 1;
    }

    #[call]
    fn write(&mut self) {
        self.turns += 1;
    }

    /// Gives the sessions with one tag another one.
    #[call]
    fn retag(
        &mut self,
        ctx: &mut Context<Self>,
        from: String,
        to: String,
    ) -> Result<(), CallError> {
        self.turns += 1;
        let sessions = ctx.sessions_tagged(&from);
        sessions
            .iter()
            .try_for_each(|session| session.set_tags([&to]))
    }

    #[call]
    fn broadcast(&mut self, ctx: &mut Context<Self>, tag: Option<String>, text: String) {
        self.turns += 1;
        match tag {
            Some(tag) => ctx.broadcast_to(&tag, text),
            None => ctx.broadcast(text),
        }
    }

    /// Sends to a tag, and then gives it to the sessions of another one.
    #[call]
    fn send_and_retag(
        &mut self,
        ctx: &mut Context<Self>,
        tag: String,
        from: String,
    ) -> Result<(), CallError> {
        ctx.broadcast_to(&tag, "sent first");
        self.retag(ctx, from, tag)
    }

    /// Has every session carry a tag and an attachment.
    #[call]
    fn mark(&mut self, ctx: &mut Context<Self>, mark: String) -> Result<(), CallError> {
        self.turns += 1;
        for session in ctx.sessions() {
            session.set_tags([&mark])?;
            session.attach(&mark)?;
        }
        Ok(())
    }

    /// Notes who is there and what they carry, and writes nothing.
    #[call]
    fn look(&mut self, ctx: &mut Context<Self>) {
        let marks = ctx.sessions().into_iter().map(|session| {
            let attached = session.attachment::<String>().unwrap_or_default();
            format!("{}={attached}", session.tags().join(","))
        });
        note(format!("{:?}", marks.collect::<Vec<_>>()));
    }

    #[call]
    fn left(&self) -> u64 {
        self.left
    }
}

fn world<T>(test: impl AsyncFnOnce(&World) -> T) -> T {
    World::builder()
        .actor::<Hall>("hall")
        .run(async |world| test(world).await)
}

async fn join(world: &World, tag: &str) -> TestSession {
    world.connect("hall", "a", tag).await.unwrap()
}

async fn texts(session: &mut TestSession) -> Vec<String> {
    let frames = session.arrived().await;
    let text = |frame: &Frame| frame.as_text().expect("the hall sends text").to_owned();
    frames.iter().map(text).collect()
}

fn disk_full() -> CommitError {
    CommitError::DiskFull {
        available_bytes: 1,
        reserve_bytes: 2,
    }
}

/// 1. A frame is handled. The answer waits for the disk.
/// 2. The next one fails, which closes the session.
/// 3. The close must not overtake the answer: the client would take the first for lost, too.
#[test]
fn the_close_after_a_failed_frame_comes_behind_the_answer_to_the_one_before() {
    world(async |world| {
        let mut session = join(world, "").await;
        world.store().hold_commits();
        session.send("good").await;
        session.send("fail").await;
        assert!(texts(&mut session).await.is_empty(), "nothing is durable");
        world.store().release_commits();
        assert_eq!(session.next_text().await.as_deref(), Some("good"));
        let close = session.closed().await.expect("it is closed");
        assert_eq!(close.code, Close::INTERNAL_ERROR);
    });
}

/// 1. A turn changes tags and attachment; the next turn sees that at once.
/// 2. The commit fails. The object is activated again and knows nothing of the change, which
///    lives beside it: the session that carries it must go.
#[test]
fn a_session_does_not_outlive_a_change_whose_commit_failed() {
    world(async |world| {
        let hall = world.actor::<Hall>("a");
        let mut session = join(world, "").await;
        world.store().hold_commits();
        world.store().fail_next_commit(disk_full());
        let mark = begin(world, hall.mark("new".into())).await;
        let look = begin(world, hall.look()).await;
        assert_eq!(take_notes(), [r#"["new=new"]"#]);

        world.store().release_commits();
        mark.await.unwrap_err();
        look.await.unwrap_err();
        let close = session.closed().await.expect("it is closed");
        assert_eq!(close.code, Close::INTERNAL_ERROR);
        settle(world).await;
        take_notes();
        hall.look().await.unwrap();
        assert_eq!(take_notes(), ["[]"]);
    });
}

/// A commit that is refused before it is accepted: nobody has seen the change, so it is only undone.
#[test]
fn a_session_outlives_a_change_whose_commit_was_refused() {
    world(async |world| {
        let hall = world.actor::<Hall>("a");
        let mut session = join(world, "").await;
        hall.mark("old".into()).await.unwrap();
        world.store().refuse_writes(Some("the disk is full"));
        hall.mark("new".into()).await.unwrap_err();
        hall.look().await.unwrap();
        assert_eq!(take_notes(), [r#"["old=old"]"#]);
        world.store().refuse_writes(None);
        session.send("still there").await;
        assert_eq!(session.next_text().await.as_deref(), Some("still there"));
    });
}

/// 1. A turn sends to a tag. The frame waits for the disk.
/// 2. The next turns take the tag from who had it and give it to somebody else; others join.
/// 3. When the frame leaves it goes to those it was meant for.
#[test]
fn a_held_broadcast_goes_to_those_who_had_the_tag_when_its_turn_ended() {
    world(async |world| {
        let hall = world.actor::<Hall>("a");
        let (mut blue, mut red) = (join(world, "blue").await, join(world, "red").await);
        world.store().hold_commits();
        let sent = begin(world, hall.broadcast(Some("blue".into()), "to blue".into())).await;
        let sent_to_all = begin(world, hall.broadcast(None, "to all".into())).await;
        let away = begin(world, hall.retag("blue".into(), "grey".into())).await;
        let here = begin(world, hall.retag("red".into(), "blue".into())).await;
        let late = begin(world, join(world, "blue")).await;

        world.store().release_commits();
        sent.await.unwrap();
        sent_to_all.await.unwrap();
        away.await.unwrap();
        here.await.unwrap();
        assert_eq!(texts(&mut blue).await, ["to blue", "to all"]);
        assert_eq!(texts(&mut red).await, ["to all"]);
        assert_eq!(texts(&mut late.await).await, [""; 0]);
    });
}

/// The tags that count are those at the end of the turn, not when it sent the frame.
#[test]
fn a_broadcast_goes_to_those_who_got_the_tag_in_the_same_turn() {
    world(async |world| {
        let (mut blue, mut red) = (join(world, "blue").await, join(world, "red").await);
        let hall = world.actor::<Hall>("a");
        hall.send_and_retag("blue".into(), "red".into())
            .await
            .unwrap();
        assert_eq!(texts(&mut blue).await, ["sent first"]);
        assert_eq!(texts(&mut red).await, ["sent first"]);
    });
}

/// Has a session leave while its turn cannot be committed; the object must hear of it again.
fn leave(spoil: impl AsyncFnOnce(&World), mend: impl AsyncFnOnce(&World)) {
    world(async |world| {
        let session = join(world, "").await;
        spoil(world).await;
        session.close(4000, "bye");
        settle(world).await;
        assert_eq!(
            take_notes().first().map(String::as_str),
            Some("left with 4000")
        );
        mend(world).await;
        world.advance(Duration::from_secs(5)).await;
        assert_eq!(
            world.actor::<Hall>("a").left().await.unwrap(),
            1,
            "once is stored"
        );
        assert_eq!(
            take_notes().last().map(String::as_str),
            Some("left with 4000")
        );
    });
}

#[test]
fn a_sessions_end_is_told_again_when_its_commit_was_refused() {
    let spoil = async |world: &World| world.store().refuse_writes(Some("the disk is full"));
    leave(spoil, async |world| world.store().refuse_writes(None));
}

#[test]
fn a_sessions_end_is_told_again_when_its_commit_failed() {
    let spoil = async |world: &World| world.store().fail_next_commit(disk_full());
    leave(spoil, async |_| {});
}

/// The commit that fails is that of the turn before, whose fall takes this one with it.
#[test]
fn a_sessions_end_is_told_again_when_an_earlier_commit_failed() {
    let spoil = async |world: &World| {
        world.store().hold_commits();
        world.store().fail_next_commit(disk_full());
        drop(begin(world, world.actor::<Hall>("a").write()).await);
    };
    leave(spoil, async |world| world.store().release_commits());
}

/// 1. A turn waits for the disk, so the answer to every later one waits, too.
/// 2. A client asks for a session and is refused; it has not heard of that yet.
/// 3. The next turn must not find it among the sessions.
#[test]
fn a_refused_session_is_not_there_for_the_next_turn() {
    world(async |world| {
        let hall = world.actor::<Hall>("a");
        world.store().hold_commits();
        let write = begin(world, hall.write()).await;
        let connect = begin(world, world.connect("hall", "a", "refuse")).await;
        let look = begin(world, hall.look()).await;
        assert_eq!(take_notes(), ["[]"]);
        world.store().release_commits();
        write.await.unwrap();
        assert!(matches!(connect.await, Err(ConnectError::Refused(_))));
        look.await.unwrap();
    });
}

/// The same when the turn fails.
#[test]
fn a_session_whose_turn_failed_is_not_there_for_the_next_turn() {
    world(async |world| {
        let hall = world.actor::<Hall>("a");
        world.store().hold_commits();
        let write = begin(world, hall.write()).await;
        world.store().refuse_writes(Some("the disk is full"));
        let connect = begin(world, world.connect("hall", "a", "")).await;
        let look = begin(world, hall.look()).await;
        assert_eq!(take_notes(), ["[]"]);
        world.store().release_commits();
        write.await.unwrap();
        assert!(matches!(connect.await, Err(ConnectError::Call(_))));
        look.await.unwrap();
    });
}
