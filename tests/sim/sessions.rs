//! **sessions**: who is on an object, what reaches them, and what they outlive.

mod crowd;
mod ends;

use abide::prelude::*;
use abide_actors::testing::{TestSession, World};
use abide_actors::{Connection, Incoming, Outgoing};
use futures_util::future::join_all;

use crate::seeds::each_seed;
use crate::support::{begin, note, settle, take_notes};

/// A room that notes who comes, what they say and how they leave.
#[derive(Default, Serialize, Deserialize)]
struct Room {
    heard: u64,
}

/// What a session of the room carries.
#[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
struct Guest {
    name: String,
    frames: u64,
}

#[actor]
impl Room {
    fn activated(&mut self) {
        note("activated");
    }

    #[call]
    fn say(&mut self, ctx: &mut Context<Self>, text: String) {
        self.heard += 1;
        ctx.broadcast(text);
    }

    #[call]
    fn say_to(&mut self, ctx: &mut Context<Self>, tag: String, text: String) {
        ctx.broadcast_to(&tag, text);
    }

    #[call]
    async fn say_slowly(&mut self, ctx: &mut Context<Self>, text: String) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.say(ctx, text);
    }

    #[call]
    fn answer(&mut self, ctx: &mut Context<Self>, request: String, response: String) {
        ctx.set_auto_response(request, response);
    }

    #[call]
    fn no_answer(&mut self, ctx: &mut Context<Self>) {
        ctx.clear_auto_response();
    }

    #[call]
    fn guests(&self, ctx: &Context<Self>) -> Vec<String> {
        let guests = ctx
            .sessions()
            .into_iter()
            .map(|guest| guest.attachment::<Guest>());
        guests.map(|guest| guest.unwrap_or_default().name).collect()
    }

    #[call]
    fn close(&mut self, ctx: &mut Context<Self>, tag: String) {
        for session in ctx.sessions_tagged(&tag) {
            session.send("last");
            session.close(4001, "leave");
            session.send("too late");
            session.close(4002, "the first close counts");
        }
    }

    async fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        let name = &*request.query;
        note(format!("connected {name}"));
        if name == "slow" {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if name == "stranger" {
            return Err(ConnectError::Refused(
                Refusal::new("who are you").status(401),
            ));
        }
        if let Some(protocol) = request.protocols.last() {
            session.accept_protocol(protocol);
        }
        session.set_tags([name, "guest"])?;
        session.attach(&Guest {
            name: name.to_owned(),
            frames: 0,
        })?;
        session.send(format!("welcome {name}"));
        Ok(())
    }

    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        let mut guest: Guest = session.attachment().unwrap_or_default();
        let text = frame.as_text().unwrap_or_default();
        if let Some(("wait", millis)) = text.split_once(' ') {
            tokio::time::sleep(Duration::from_millis(millis.parse()?)).await;
        }
        guest.frames += 1;
        note(format!("{} {} {text}", guest.name, guest.frames));
        self.heard += 1;
        session.attach(&guest)?;
        session.send(format!("heard {text}"));
        ctx.broadcast_except(format!("{} said {text}", guest.name), &[session]);
        Ok(())
    }

    fn disconnected(&mut self, ctx: &mut Context<Self>, session: &Session, close: &Close) {
        let guest: Guest = session.attachment().unwrap_or_default();
        note(format!("disconnected {} {}", guest.name, close.code));
        session.send("nobody hears this");
        ctx.broadcast(format!("{} left", guest.name));
    }
}

/// Takes frames, and has nothing to say about who sends them.
#[derive(Default, Serialize, Deserialize)]
struct Open;

#[actor]
impl Open {
    fn message(&mut self, session: &Session, frame: Frame) {
        session.send(frame);
    }
}

/// Accepts sessions, and takes no frames.
#[derive(Default, Serialize, Deserialize)]
struct Speaker;

#[actor]
impl Speaker {
    fn connected(&mut self, session: &Session, _request: &ConnectRequest) {
        session.send("listen");
    }
}

/// Has no sessions.
#[derive(Default, Serialize, Deserialize)]
struct Hermit;

#[actor]
impl Hermit {
    #[call]
    fn alone(&self) -> bool {
        true
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder()
        .actor::<Room>("room")
        .actor::<Open>("open")
        .actor::<Speaker>("speaker")
        .actor::<Hermit>("hermit")
        .run(test)
}

async fn guest(world: &World, name: &str) -> TestSession {
    let mut session = world.connect("room", "a", name).await.unwrap();
    assert_eq!(session.next_text().await, Some(format!("welcome {name}")));
    session
}

async fn guests(world: &World) -> Vec<String> {
    world.actor::<Room>("a").guests().await.unwrap()
}

/// The frames that have arrived, as text.
async fn heard(session: &mut TestSession) -> Vec<String> {
    let frames = session.arrived().await;
    frames
        .iter()
        .map(|frame| frame.as_text().unwrap().to_owned())
        .collect()
}

#[test]
fn an_actor_accepts_and_refuses() {
    world(async |world| {
        let _ann = guest(world, "ann").await;
        let refused = world.connect("room", "a", "stranger").await.unwrap_err();
        let ConnectError::Refused(refusal) = refused else {
            panic!("not refused: {refused:?}")
        };
        assert_eq!((refusal.status, &*refusal.reason), (401, "who are you"));
        assert_eq!(guests(world).await, ["ann"]);
    });
}

#[test]
fn without_the_callback_those_who_take_frames_accept_and_others_refuse() {
    world(async |world| {
        let mut open = world.connect("open", "a", "").await.unwrap();
        open.send("echo").await;
        assert_eq!(open.next_text().await.as_deref(), Some("echo"));

        let mut speaker = world.connect("speaker", "a", "").await.unwrap();
        speaker.send("is ignored, and the next one is read").await;
        speaker.send("as well").await;
        assert_eq!(heard(&mut speaker).await, ["listen"]);

        let error = world.connect("hermit", "a", "").await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Call(CallError::NoCallback { .. })),
            "{error:?}"
        );
    });
}

#[test]
fn an_actor_chooses_among_the_offered_subprotocols() {
    world(async |world| {
        let target = world.runtime().target("room", "a").unwrap();
        let deadline = abide::Deadline::after(Duration::from_secs(1));
        let protocols = vec!["v1".to_owned(), "v2".to_owned()];
        let request = ConnectRequest {
            protocols,
            ..ConnectRequest::default()
        };
        let connection = world
            .runtime()
            .connect(&target, request, deadline)
            .await
            .unwrap();
        assert_eq!(connection.protocol().as_deref(), Some("v2"));
    });
}

#[test]
fn a_broadcast_reaches_the_tag_and_not_those_excepted() {
    world(async |world| {
        let (mut ann, mut bob) = (guest(world, "ann").await, guest(world, "bob").await);
        let room = world.actor::<Room>("a");
        room.say_to("guest".into(), "to guests".into())
            .await
            .unwrap();
        room.say_to("bob".into(), "to bob".into()).await.unwrap();
        room.say_to("eve".into(), "to nobody".into()).await.unwrap();
        ann.send("hi").await;
        assert_eq!(heard(&mut ann).await, ["to guests", "heard hi"]);
        assert_eq!(
            heard(&mut bob).await,
            ["to guests", "to bob", "ann said hi"]
        );
    });
}

/// 1. A broadcast is staged; its commit is on its way.
/// 2. A client joins. 3. Both become durable: the broadcast was not for the client.
#[test]
fn a_broadcast_does_not_reach_who_joined_later() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        let room = world.actor::<Room>("a");
        world.store().hold_commits();
        let say = begin(world, room.say("before bob".into())).await;
        let bob = begin(world, world.connect("room", "a", "bob")).await;
        let say_again = begin(world, room.say("after bob".into())).await;
        world.store().release_commits();
        say.await.unwrap();
        say_again.await.unwrap();
        assert_eq!(heard(&mut ann).await, ["before bob", "after bob"]);
        assert_eq!(
            heard(&mut bob.await.unwrap()).await,
            ["welcome bob", "after bob"]
        );
    });
}

#[test]
fn an_automatic_answer_wakes_nobody() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        let room = world.actor::<Room>("a");
        room.answer("ping".into(), "pong".into()).await.unwrap();
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        take_notes();
        ann.send("ping").await;
        assert_eq!(ann.next_text().await.as_deref(), Some("pong"));
        ann.send(b"ping".to_vec()).await;
        assert_eq!(
            ann.next_text().await.as_deref(),
            Some("heard "),
            "bytes are not the text"
        );
        assert_eq!(
            take_notes(),
            ["activated", "ann 1 "],
            "the first one woke nobody"
        );

        room.no_answer().await.unwrap();
        ann.send("ping").await;
        assert_eq!(ann.next_text().await.as_deref(), Some("heard ping"));
    });
}

#[test]
fn sessions_outlive_the_activation() {
    world(async |world| {
        let (mut ann, mut bob) = (guest(world, "ann").await, guest(world, "bob").await);
        ann.send("one").await;
        world.advance(Duration::from_secs(11)).await;
        let stats = world.runtime().stats();
        assert_eq!(
            (stats.activations, stats.sessions, stats.objects),
            (0, 2, 1)
        );
        take_notes();

        heard(&mut bob).await;
        ann.send("two").await;
        assert_eq!(
            take_notes(),
            ["activated", "ann 2 two"],
            "the attachment was kept"
        );
        assert_eq!(
            heard(&mut bob).await,
            ["ann said two"],
            "so were the other sessions"
        );
        world
            .actor::<Room>("a")
            .say_to("ann".into(), "tagged".into())
            .await
            .unwrap();
        assert_eq!(
            heard(&mut ann).await.last().unwrap(),
            "tagged",
            "and the tags"
        );

        drop((ann, bob));
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(
            world.runtime().stats().objects,
            0,
            "nothing is left of the object in memory"
        );
    });
}

/// Many clients with handlers of random length: each client's frames are handled, and answered,
/// in the order sent.
#[test]
fn the_frames_of_a_session_keep_their_order() {
    each_seed(20, |seed| {
        world(async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut sessions = Vec::new();
            for client in 0..5 {
                sessions.push(guest(world, &client.to_string()).await);
            }
            take_notes();
            let plans: Vec<Vec<u64>> = (0..5)
                .map(|_| (0..10).map(|_| random.u64(0..20)).collect())
                .collect();
            join_all(
                sessions
                    .iter_mut()
                    .zip(&plans)
                    .map(async |(session, plan)| {
                        for millis in plan {
                            session.send(format!("wait {millis}")).await;
                        }
                    }),
            )
            .await;
            let notes = take_notes();
            for (client, (session, plan)) in sessions.iter_mut().zip(&plans).enumerate() {
                let expected = (1..)
                    .zip(plan)
                    .map(|(at, ms)| format!("{client} {at} wait {ms}"));
                let own = notes
                    .iter()
                    .filter(|note| note.starts_with(&format!("{client} ")));
                assert_eq!(
                    own.cloned().collect::<Vec<_>>(),
                    expected.collect::<Vec<_>>()
                );
                let mut answers = heard(session).await;
                answers.retain(|frame| frame.starts_with("heard"));
                let expected = plan.iter().map(|millis| format!("heard wait {millis}"));
                assert_eq!(answers, expected.collect::<Vec<_>>());
            }
        });
    });
}

/// What a transport does once, without waiting.
async fn poll(connection: &mut Connection) -> Option<Outgoing> {
    let outgoing = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match connection.poll_outgoing(cx) {
            std::task::Poll::Ready(outgoing) => Some(outgoing),
            std::task::Poll::Pending => None,
        })
    });
    outgoing.await
}

#[test]
fn the_next_frame_is_read_when_the_last_one_was_handled() {
    world(async |world| {
        let target = world.runtime().target("open", "a").unwrap();
        let deadline = abide::Deadline::after(Duration::from_secs(1));
        let connect = world
            .runtime()
            .connect(&target, ConnectRequest::default(), deadline);
        let mut connection = connect.await.unwrap();
        assert_eq!(poll(&mut connection).await, None);
        assert_eq!(connection.deliver("one".into()), Incoming::Accepted);
        assert_eq!(
            poll(&mut connection).await,
            None,
            "nobody has handled it yet: do not read on"
        );
        settle(world).await;
        assert_eq!(
            poll(&mut connection).await,
            Some(Outgoing::Frame("one".into()))
        );
        assert_eq!(poll(&mut connection).await, Some(Outgoing::Readable));
        assert_eq!(poll(&mut connection).await, None, "it is said once");
    });
}

#[test]
fn a_client_that_sends_faster_than_it_is_handled_is_paced() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        let before = world.now();
        for _ in 0..3 {
            ann.send("wait 1000").await;
        }
        assert!(
            world.now().0 - before.0 >= 3_000,
            "each frame waited for the one before"
        );
    });
}
