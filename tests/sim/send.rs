//! `ctx.send`: a message takes effect exactly once when its turn is committed, and never when it is not.

mod bounds;
mod failures;
mod images;
mod schedule;
mod steps;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use abide_storage::{Direction, Effect, Object, Scan, Section, Store};

use crate::support::{begin, is_open, note, settle, take_notes};

/// Pays others, and is paid.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    paid: u64,
    received: Vec<u64>,
}

#[actor]
impl Account {
    /// Pays another account.
    #[call]
    fn pay(&mut self, ctx: &mut Context<Self>, to: String, sum: u64) -> Result<(), CallError> {
        self.paid += sum;
        ctx.send::<Self>(&to).receive(sum)
    }

    /// Pays another account each of the sums.
    #[call]
    fn pay_all(
        &mut self,
        ctx: &mut Context<Self>,
        to: String,
        sums: Vec<u64>,
    ) -> Result<(), CallError> {
        for sum in sums {
            self.paid += sum;
            ctx.send::<Self>(&to).receive(sum)?;
        }
        Ok(())
    }

    #[call]
    fn pay_and_refuse(&mut self, ctx: &mut Context<Self>, to: String) -> Result<(), ActorError> {
        self.paid += 1;
        ctx.send::<Self>(&to).receive(1)?;
        Err(ActorError::new("no", "it was only a try"))
    }

    #[call]
    fn receive(&mut self, sum: u64) {
        note(format!("receive {sum}"));
        self.received.push(sum);
    }

    /// Has the other account refuse the sum.
    #[call]
    fn insult(&mut self, ctx: &mut Context<Self>, to: String) -> Result<(), CallError> {
        ctx.send::<Self>(&to).refuse()
    }

    #[call]
    fn refuse(&mut self) -> Result<(), ActorError> {
        note("refuse");
        self.received.push(666);
        Err(ActorError::new("refused", "not like this"))
    }

    #[call]
    fn frighten(&mut self, ctx: &mut Context<Self>, to: String) -> Result<(), CallError> {
        ctx.send::<Self>(&to).panic()
    }

    #[call]
    fn panic(&mut self) {
        note("panic");
        panic!("as the test asked for");
    }

    /// Keeps the object from everyone else.
    #[call]
    async fn nap(&mut self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Takes its time and changes nothing.
    #[call]
    async fn ponder(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Goes to and fro between two accounts until nothing is left.
    #[call]
    fn bounce(
        &mut self,
        ctx: &mut Context<Self>,
        other: String,
        left: u64,
    ) -> Result<(), CallError> {
        self.received.push(left);
        let me = ctx.name().unwrap_or_default().to_owned();
        match left {
            0 => Ok(()),
            left => ctx.send::<Self>(&other).bounce(me, left - 1),
        }
    }

    /// Changes nothing.
    #[call]
    fn look(&mut self) {
        note("look");
    }

    #[call]
    fn have_looked(&mut self, ctx: &mut Context<Self>, to: String) -> Result<(), CallError> {
        ctx.send::<Self>(&to).look()
    }

    #[call]
    fn state(&self) -> (u64, Vec<u64>) {
        (self.paid, self.received.clone())
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    world_with(Limits::default(), test)
}

fn world_with<T>(limits: Limits, test: impl AsyncFnOnce(&mut World) -> T) -> T {
    let builder = World::builder().actor::<Account>("account");
    builder.limits(limits).run(test)
}

async fn pay(world: &World, from: &str, to: &str, sum: u64) -> Result<(), CallError> {
    let from = world.actor::<Account>(from);
    from.pay(to.to_owned(), sum).await
}

async fn paid(world: &World, name: &str) -> u64 {
    world.actor::<Account>(name).state().await.unwrap().0
}

async fn received(world: &World, name: &str) -> Vec<u64> {
    world.actor::<Account>(name).state().await.unwrap().1
}

fn object(world: &World, name: &str) -> Object {
    world.runtime().target("account", name).unwrap().object
}

async fn rows(world: &World, name: &str, section: Section) -> usize {
    let scan = Scan {
        section,
        start: std::ops::Bound::Unbounded,
        end: std::ops::Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    let rows = world.store().scan(&object(world, name), scan).await;
    rows.unwrap().len()
}

/// Lets what is held become durable and what follows from it happen, so many times; then commits are
/// held again.
async fn let_through(world: &World, times: usize) {
    for _ in 0..times {
        world.store().release_commits();
        world.store().hold_commits();
        settle(world).await;
    }
}

/// Nothing is on its way: no row of a message, and nothing that would wake a sender.
async fn assert_all_quiet(world: &World, names: &[&str]) {
    for name in names {
        assert_eq!(rows(world, name, Section::Outgoing).await, 0, "{name}");
    }
    assert_eq!(world.store().alarms(None, 9).await.unwrap(), []);
}

#[test]
fn a_message_takes_effect_once_and_leaves_nothing_behind() {
    world(async |world| {
        pay(world, "a", "b", 5).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "b").await, [5]);
        assert_all_quiet(world, &["a", "b"]).await;
        world.crash().await;
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(paid(world, "a").await, 5);
        assert_eq!(received(world, "b").await, [5]);
        assert_eq!(take_notes(), ["receive 5"]);
        assert_eq!(world.runtime().stats().activations, 2);
    });
}

#[test]
fn a_failed_turn_sends_nothing() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        let error = a.pay_and_refuse("b".to_owned()).await.unwrap_err();
        assert!(matches!(error, CallError::Actor(_)), "{error:?}");
        world.store().refuse_writes(Some("maintenance"));
        assert!(pay(world, "a", "b", 5).await.is_err());
        world.store().refuse_writes(None);
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes(), [""; 0]);
        assert_eq!(paid(world, "a").await, 0);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// 1. The sender's turn is over, its commit is on its way to the disk.
/// 2. Were the message to leave now, a crash could take the turn back and not the message.
#[test]
fn a_message_leaves_when_its_turn_is_durable() {
    world(async |world| {
        world.store().hold_commits();
        let mut call = begin(world, pay(world, "a", "b", 5)).await;
        world.advance(Duration::from_secs(5)).await;
        assert!(is_open(&mut call).await);
        assert_eq!(take_notes(), [""; 0]);
        world.store().release_commits();
        call.await.unwrap();
        settle(world).await;
        assert_eq!(take_notes(), ["receive 5"]);
    });
}

#[test]
fn messages_to_one_object_arrive_in_the_order_they_were_sent() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        for turn in 0..10 {
            let sums = (turn * 10..turn * 10 + 10).collect();
            a.pay_all("b".to_owned(), sums).await.unwrap();
            pay(world, "a", "c", turn).await.unwrap();
        }
        world.advance(Duration::from_secs(1)).await;
        assert!(received(world, "b").await.into_iter().eq(0..100));
        assert!(received(world, "c").await.into_iter().eq(0..10));
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn an_object_sends_to_itself() {
    world(async |world| {
        pay(world, "a", "a", 5).await.unwrap();
        let a = world.actor::<Account>("a");
        a.bounce("a".to_owned(), 3).await.unwrap();
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(received(world, "a").await, [5, 3, 2, 1, 0]);
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn two_objects_send_to_and_fro_through_restarts() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        a.bounce("b".to_owned(), 100).await.unwrap();
        for _ in 0..3 {
            world.store().hold_commits();
            settle(world).await;
            world.crash().await;
            settle(world).await;
            world.restart().await;
        }
        world.advance(Duration::from_secs(60)).await;
        let own = |of: u64| (0..=100).rev().filter(move |left| left % 2 == of);
        assert!(received(world, "a").await.into_iter().eq(own(0)));
        assert!(received(world, "b").await.into_iter().eq(own(1)));
        assert_all_quiet(world, &["a", "b"]).await;
    });
}

/// It must be told from a repetition all the same.
#[test]
fn a_message_whose_turn_changes_nothing_is_heard_once() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        world.store().hold_commits();
        let call = begin(world, a.have_looked("b".to_owned())).await;
        // The sender's commit, and the receiver's; not the deletion.
        let_through(world, 2).await;
        call.await.unwrap();
        drop(a);
        assert_eq!(take_notes(), ["look"]);
        world.crash().await;
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes(), [""; 0]);
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn what_can_never_arrive_is_refused_at_once() {
    /// Sends what it is told to.
    #[derive(Debug)]
    struct Raw;
    impl abide_actors::Kind for Raw {
        fn description(&self) -> &abide_actors::Description {
            static DESCRIPTION: std::sync::LazyLock<abide_actors::Description> =
                std::sync::LazyLock::new(|| abide_actors::Description {
                    methods: vec![abide_actors::MethodDescription {
                        name: "send",
                        documentation: "",
                        access: abide_actors::Access::Write,
                        arguments: serde_json::Value::Null,
                        returns: serde_json::Value::Null,
                        definitions: serde_json::Map::new(),
                    }],
                    ..Default::default()
                });
            &DESCRIPTION
        }
        fn load(&self, _: Option<&[u8]>) -> Result<Box<dyn abide_actors::Incarnation>, String> {
            Ok(Box::new(Raw))
        }
    }
    impl abide_actors::Incarnation for Raw {
        fn turn<'a>(
            &'a mut self,
            cx: abide_actors::TurnContext,
            message: abide_actors::Message,
        ) -> abide_storage::BoxFuture<'a, Result<abide_actors::Answer, CallError>> {
            Box::pin(async move {
                let abide_actors::Message::Call(call) = message else {
                    return Ok(abide_actors::Answer::Nothing);
                };
                let (namespace, name, method): (String, String, String) =
                    call.arguments.decode().unwrap();
                cx.send(&namespace, &name, &method, abide::Payload::json("[7]"))?;
                Ok(abide_actors::Answer::Value(abide::Payload::json("null")))
            })
        }
        fn read<'a>(
            &'a self,
            _: abide_actors::TurnContext,
            _: std::sync::Arc<abide::Call>,
        ) -> abide_storage::BoxFuture<'a, Result<abide::Payload, CallError>> {
            Box::pin(async { Ok(abide::Payload::none()) })
        }
        fn encode(&self, _: &mut Vec<u8>) -> Result<(), String> {
            Ok(())
        }
    }
    let builder = World::builder().actor::<Account>("account");
    builder
        .kind("raw", std::sync::Arc::new(Raw))
        .run(async |world| {
            let send = async |namespace: &str, name: &str, method: &str| {
                let arguments = serde_json::json!([namespace, name, method]);
                world.call("raw", "r", "send", arguments).await
            };
            let error = send("nobody", "b", "receive").await.unwrap_err();
            assert!(
                matches!(error, CallError::UnknownNamespace { .. }),
                "{error:?}"
            );
            let error = send("account", "", "receive").await.unwrap_err();
            assert!(
                matches!(error, CallError::InvalidObject { .. }),
                "{error:?}"
            );
            for method in ["recieve", "state"] {
                let error = send("account", "b", method).await.unwrap_err();
                assert!(
                    matches!(error, CallError::UnknownMethod { .. }),
                    "{error:?}"
                );
                assert_eq!(error.effect(), Effect::None);
            }
            send("account", "b", "receive").await.unwrap();
            settle(world).await;
            assert_eq!(take_notes(), ["receive 7"]);
        });
}
