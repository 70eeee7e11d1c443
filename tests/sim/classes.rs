//! **classes**: what becomes of a frame of each class when its client lags, and to whom broadcasts go.

use abide::Delivery;
use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::{TestSession, World};

use crate::support::settle;

/// What one session may have waiting. A frame of `LARGE_BYTES` takes a fifth of it.
const OUTBOUND_MAX_BYTES: usize = 2_000;
const LARGE_BYTES: usize = 330;

/// Sends what it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Board;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum As {
    Reliable,
    Latest,
    Lossy,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lag {
    queued_bytes: usize,
    dropped: u64,
    replaced: u64,
}

#[actor]
impl Board {
    fn connected(&mut self, session: &Session, request: &ConnectRequest) -> Result<(), CallError> {
        session.set_tags(request.query.split(','))
    }

    /// The first word is the key.
    #[call]
    fn show(&mut self, ctx: &mut Context<Self>, how: As, text: String) {
        let key = text.split(' ').next().unwrap_or_default().to_owned();
        let frame = Frame::from(&*text);
        ctx.broadcast(match how {
            As::Reliable => Delivery::from(frame),
            As::Latest => frame.latest(key),
            As::Lossy => frame.lossy(),
        });
    }

    #[call]
    fn show_to(&mut self, ctx: &mut Context<Self>, tag: Option<String>, but: String) {
        let audience = tag.map_or_else(Audience::all, Audience::tagged);
        let but = ctx.sessions_tagged(&but);
        ctx.broadcast_with(audience.except_all(&but), "seen");
    }

    #[call]
    fn lag(&self, ctx: &Context<Self>) -> Vec<Lag> {
        let sessions = ctx.sessions().into_iter();
        let lag = sessions.map(|session| Lag {
            queued_bytes: session.queued_bytes(),
            dropped: session.dropped_frames(),
            replaced: session.replaced_frames(),
        });
        lag.collect()
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    let limits = Limits {
        outbound_max_bytes: OUTBOUND_MAX_BYTES,
        ..Limits::default()
    };
    World::builder()
        .actor::<Board>("board")
        .limits(limits)
        .run(test)
}

async fn show(world: &World, how: As, text: &str) {
    let board = world.actor::<Board>("a");
    board.show(how, text.to_owned()).await.unwrap();
}

async fn heard(session: &mut TestSession) -> Vec<String> {
    let frames = session.arrived().await;
    let texts = frames
        .iter()
        .map(|frame| frame.as_text().unwrap().trim_end());
    texts.map(str::to_owned).collect()
}

fn large(text: &str) -> String {
    format!("{text:LARGE_BYTES$}")
}

/// Reads all the time, next to one that never does.
#[test]
fn who_lags_gets_the_newest_of_each_key_and_who_reads_gets_all() {
    world(async |world| {
        let mut slow = world.connect("board", "a", "").await.unwrap();
        let mut quick = world.connect("board", "a", "").await.unwrap();
        let mut quick_heard = Vec::new();
        for n in 0..50 {
            show(world, As::Latest, &format!("ann {n}")).await;
            show(world, As::Latest, &format!("bob {n}")).await;
            quick_heard.extend(heard(&mut quick).await);
        }
        assert_eq!(quick_heard.len(), 100);
        let lag = world.actor::<Board>("a").lag().await.unwrap();
        assert_eq!((lag[0].replaced, lag[1].replaced), (98, 0));
        assert_eq!((lag[0].dropped, lag[1].queued_bytes), (0, 0));
        assert_eq!(heard(&mut slow).await, ["ann 49", "bob 49"]);
        assert_eq!(world.runtime().stats().frames_replaced, 98);
    });
}

#[test]
fn lossy_frames_are_dropped_before_they_could_end_a_session() {
    world(async |world| {
        let mut slow = world.connect("board", "a", "").await.unwrap();
        for n in 0..20 {
            show(world, As::Lossy, &large(&format!("lossy {n}"))).await;
        }
        show(world, As::Reliable, &large("must arrive")).await;
        let lag = world.actor::<Board>("a").lag().await.unwrap();
        assert_eq!((lag[0].dropped, lag[0].replaced), (18, 0));
        assert!(lag[0].queued_bytes <= OUTBOUND_MAX_BYTES);
        assert_eq!(
            heard(&mut slow).await,
            ["lossy 0", "lossy 1", "must arrive"]
        );
        let stats = world.runtime().stats();
        assert_eq!((stats.frames_dropped, stats.sessions_too_slow), (18, 0));
    });
}

#[test]
fn a_state_that_would_be_missing_for_good_ends_the_session_like_any_other_frame() {
    for how in [As::Reliable, As::Latest] {
        world(async |world| {
            let mut slow = world.connect("board", "a", "").await.unwrap();
            for key in 0..6 {
                show(world, how, &large(&key.to_string())).await;
            }
            let close = slow.closed().await.unwrap();
            assert_eq!(close.code, Close::TRY_AGAIN_LATER);
            assert_eq!(slow.next().await, None);
            assert_eq!(world.runtime().stats().sessions_too_slow, 1);
            settle(world).await;
            assert_eq!(world.actor::<Board>("a").lag().await.unwrap(), []);
        });
    }
}

#[test]
fn an_audience_is_a_tag_less_those_excepted() {
    world(async |world| {
        let mut ann = world.connect("board", "a", "ann,red").await.unwrap();
        let mut bob = world.connect("board", "a", "bob,red").await.unwrap();
        let mut eve = world.connect("board", "a", "eve,blue").await.unwrap();
        let board = world.actor::<Board>("a");
        let mut reached = async || {
            let mut reached = Vec::new();
            for (name, session) in [("ann", &mut ann), ("bob", &mut bob), ("eve", &mut eve)] {
                if !heard(session).await.is_empty() {
                    reached.push(name);
                }
            }
            reached
        };
        let red = || Some("red".to_owned());
        board.show_to(red(), "ann".into()).await.unwrap();
        assert_eq!(reached().await, ["bob"]);
        board.show_to(red(), "eve".into()).await.unwrap();
        assert_eq!(
            reached().await,
            ["ann", "bob"],
            "to leave out who is not meant is no error"
        );
        board.show_to(None, "red".into()).await.unwrap();
        assert_eq!(reached().await, ["eve"]);
        board.show_to(None, String::new()).await.unwrap();
        assert_eq!(reached().await, ["ann", "bob", "eve"]);
    });
}
