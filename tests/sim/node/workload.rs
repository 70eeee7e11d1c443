//! What the clients of a simulated node do, and write down.
//!
//! A new feature joins here: an arm in [`Client::run`], a method that records what its client may
//! conclude, and, when that is not about an object's value, a check in `checks.rs`.

use std::task::Poll;
use std::time::Duration;

use abide::{Call, CallError, Deadline, IdempotencyKey, Payload};
use abide_actors::Reply;
use abide_storage::Effect;
use futures_util::poll;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Sim;
use super::checks;
use super::history::{Action, Operation, Outcome, SetAlarm};
use super::machine::{NAMESPACE, Node};
use super::subject::{Audit, Read, Seen};

/// The objects there are: few, so that clients meet.
pub(super) const OBJECTS: [&str; 3] = ["a", "b", "c"];
/// How often a call with an idempotency key is repeated before its client gives up.
const REPEATS_MAX: u32 = 6;
/// Deadline of a patient client.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client.
pub(super) struct Client<'a> {
    pub(super) sim: &'a Sim,
    pub(super) name: usize,
    pub(super) random: fastrand::Rng,
}

/// What a client knows after a call that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing has changed.
    None,
    Unknown,
}

/// How a client goes about a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Once,
    /// With an idempotency key, and repeats.
    UntilKnown,
}

impl Client<'_> {
    /// Does so many things, one after the other.
    pub(super) async fn run(mut self, count: u32) {
        for _ in 0..count {
            let pause = self.random.u64(0..25);
            sleep(Duration::from_millis(pause)).await;
            if self.sim.is_over() {
                return;
            }
            match self.random.u8(0..110) {
                0..24 => self.write(Manner::Once).await,
                24..40 => self.write(Manner::UntilKnown).await,
                40..58 => self.get().await,
                58..64 => self.refuse().await,
                64..69 => self.relay().await,
                69..75 => self.give().await,
                75..85 => self.write_and_look().await,
                85..90 => self.wake().await,
                90..100 => self.session().await,
                _ => self.lasting_session().await,
            }
        }
    }

    pub(super) fn any_object(&mut self) -> &'static str {
        OBJECTS[self.random.usize(0..OBJECTS.len())]
    }

    /// Zero mostly; at times long enough for other things to happen meanwhile.
    fn any_pause_ms(&mut self) -> u64 {
        if self.random.u8(0..4) == 0 {
            self.random.u64(1..40)
        } else {
            0
        }
    }

    async fn write(&mut self, manner: Manner) {
        let object = self.any_object();
        let (action, number) = (self.any_write(), self.sim.next_number());
        let pause_ms = self.any_pause_ms();
        let (method, arguments) = match action {
            Action::Put(value) => ("put", json!([number, value, pause_ms])),
            Action::Add(by) => ("add", json!([number, by, pause_ms])),
            Action::Get | Action::Refuse => unreachable!("these write nothing"),
        };
        let repeats = manner == Manner::UntilKnown;
        let key = repeats.then(|| format!("key-{number}"));
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: {action:?} on {object}",
            self.name
        ));
        let mut outcome = self
            .call::<Seen>(object, method, arguments.clone(), key.as_deref())
            .await;
        if repeats {
            outcome = self
                .repeat(object, method, &arguments, key.as_deref(), outcome)
                .await;
        }
        self.ended(number, object, action, begun, outcome);
    }

    fn any_write(&mut self) -> Action {
        match self.random.u8(0..4) {
            0 => Action::Put(self.random.i64(0..1_000_000)),
            _ => Action::Add(self.random.i64(1..1_000)),
        }
    }

    /// Repeats a call until its outcome is known, and at times once more.
    async fn repeat(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Value,
        key: Option<&str>,
        first: Result<Seen, Trouble>,
    ) -> Result<Seen, Trouble> {
        let mut outcome = first;
        let mut is_unknown = first == Err(Trouble::Unknown);
        for _ in 0..REPEATS_MAX {
            if outcome.is_ok() && self.random.bool() {
                break;
            }
            let pause = self.random.u64(1..60);
            sleep(Duration::from_millis(pause)).await;
            let again = self
                .call::<Seen>(object, method, arguments.clone(), key)
                .await;
            is_unknown |= again == Err(Trouble::Unknown);
            match (outcome, again) {
                (Ok(first), Ok(again)) => {
                    self.sim
                        .judged(checks::repeat_is_the_same(object, first, again));
                }
                (Err(_), again) => outcome = again,
                (Ok(_), Err(_)) => {}
            }
        }
        outcome.map_err(|_| {
            if is_unknown {
                Trouble::Unknown
            } else {
                Trouble::None
            }
        })
    }

    async fn get(&mut self) {
        let object = self.any_object();
        self.get_from(object).await;
    }

    async fn get_from(&mut self, object: &str) {
        let number = self.sim.next_number();
        let pause_ms = self.any_pause_ms();
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: Get on {object}",
            self.name
        ));
        let read = self
            .call::<Read>(object, "get", json!([pause_ms]), None)
            .await;
        if let Ok(read) = &read {
            self.sim.judged(checks::read_is_whole(object, read));
        }
        self.ended(
            number,
            object,
            Action::Get,
            begun,
            read.map(|read| read.seen),
        );
    }

    async fn refuse(&mut self) {
        let (object, number) = (self.any_object(), self.sim.next_number());
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: Refuse on {object}",
            self.name
        ));
        let outcome = self
            .call::<Seen>(object, "refuse", json!([number]), None)
            .await;
        self.ended(number, object, Action::Refuse, begun, outcome);
    }

    /// An addition by way of another object.
    async fn relay(&mut self) {
        let (from, to, number) = (self.any_object(), self.any_object(), self.sim.next_number());
        let by = self.random.i64(1..1_000);
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: relay {by} from {from} to {to}",
            self.name
        ));
        let outcome = self
            .call::<Seen>(from, "relay", json!([to, number, by]), None)
            .await;
        // The object between may fail after the one behind it has done its part.
        let outcome = outcome.map_err(|_| Trouble::Unknown);
        self.ended(number, to, Action::Add(by), begun, outcome);
    }

    /// A turn that sends a message: both happen, once, or neither.
    async fn give(&mut self) {
        let (from, to) = (self.any_object(), self.any_object());
        let (number, sent) = (self.sim.next_number(), self.sim.next_number());
        let by = self.random.i64(1..1_000);
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: {from} gives {by} to {to} as {sent}",
            self.name
        ));
        let arguments = json!([number, sent, to, by]);
        let outcome = self.call::<Seen>(from, "give", arguments, None).await;
        self.ended(number, from, Action::Add(-by), begun, outcome);
        self.sim.history.borrow_mut().operations.push(Operation {
            number: sent,
            object: to.to_owned(),
            action: Action::Add(by),
            begun,
            // Until the run ends.
            ended: u64::MAX,
            outcome: match outcome {
                Ok(_) => Outcome::Done,
                Err(Trouble::None) => Outcome::Failed,
                Err(Trouble::Unknown) => Outcome::Unknown,
            },
        });
    }

    /// An addition, and at the same moment something that shows what it may have done: nothing may,
    /// before the addition is durable.
    async fn write_and_look(&mut self) {
        let (object, to) = (self.any_object(), self.any_object());
        let (number, by) = (self.sim.next_number(), self.random.i64(1..1_000));
        let Some(node) = self.sim.node().await else {
            return;
        };
        let begun = self.sim.event(format_args!(
            "client {} begins {number}: Add({by}) on {object}, and looks",
            self.name
        ));
        let arguments = json!([number, by, 0]);
        let adding = place(&node, object, "add", &arguments, None, PATIENCE);
        let mut adding = std::pin::pin!(adding);
        // From here on it is in the mailbox, unless it was refused.
        let at_once = poll!(adding.as_mut());
        if self.random.u8(0..3) > 0 {
            // What this brings is noted by the object that hears.
            _ = self.call::<()>(object, "tell", json!([to]), None).await;
        } else {
            self.get_from(object).await;
        }
        let outcome = match at_once {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => adding.await,
        };
        let outcome = self.understood(outcome);
        self.ended(number, object, Action::Add(by), begun, outcome);
    }

    async fn wake(&mut self) {
        let (object, number) = (self.any_object(), self.sim.next_number());
        let failures = self.random.u8(0..3);
        let after_ms = self.random.u64(0..400);
        let name = format!("w{number}/{failures}");
        let outcome = self
            .call::<u64>(object, "wake", json!([name, after_ms]), None)
            .await;
        self.sim.event(format_args!(
            "client {} sets {name} on {object}: {outcome:?}",
            self.name
        ));
        let object = object.to_owned();
        self.sim.history.borrow_mut().alarms.push(SetAlarm {
            object,
            name,
            due_ms: outcome.ok(),
            is_refused: outcome == Err(Trouble::None),
        });
    }

    /// Writes down how an operation ended.
    pub(super) fn ended(
        &mut self,
        number: u64,
        object: &str,
        action: Action,
        begun: u64,
        outcome: Result<Seen, Trouble>,
    ) {
        let ended = self.sim.event(format_args!(
            "client {} ends {number}: {outcome:?}",
            self.name
        ));
        let mut history = self.sim.history.borrow_mut();
        if let Ok(seen) = outcome {
            history.sighted(object, seen, ended);
        }
        history.operations.push(Operation {
            number,
            object: object.to_owned(),
            action,
            begun,
            ended,
            outcome: match outcome {
                Ok(seen) => Outcome::Ok(seen),
                Err(Trouble::None) => Outcome::Failed,
                Err(Trouble::Unknown) => Outcome::Unknown,
            },
        });
    }

    /// One call; the client may be hasty, or vanish in the middle.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        object: &str,
        method: &str,
        arguments: Value,
        key: Option<&str>,
    ) -> Result<T, Trouble> {
        let Some(node) = self.sim.node().await else {
            return Err(Trouble::None);
        };
        let wait = match self.random.u8(0..5) {
            0 => Duration::from_millis(self.random.u64(2..80)),
            _ => PATIENCE,
        };
        let vanishes_after = match self.random.u8(0..20) {
            0 => Duration::from_millis(self.random.u64(0..50)),
            _ => Duration::from_secs(3_600),
        };
        let calling = place(&node, object, method, &arguments, key, wait);
        let answer = tokio::select! {
            biased;
            () = sleep(vanishes_after) => return Err(Trouble::Unknown),
            answer = calling => answer,
        };
        self.understood(answer)
    }

    /// What the client makes of the answer.
    fn understood<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Trouble> {
        match answer {
            None => Err(Trouble::Unknown),
            Some(Ok(reply)) => {
                let value = serde_json::from_slice(&reply.payload.bytes);
                Ok(value.expect("a reply is what the method returns"))
            }
            Some(Err(error)) => {
                self.sim.judged(checks::error_may_be(&error));
                Err(match error.effect() {
                    Effect::None => Trouble::None,
                    Effect::Unknown => Trouble::Unknown,
                })
            }
        }
    }
}

/// The answer to a call; `None` when the process has ended before there was one.
type Answer = Option<Result<Reply, CallError>>;

/// Calls a method of an object.
async fn place(
    node: &Node,
    object: &str,
    method: &str,
    arguments: &Value,
    key: Option<&str>,
    wait: Duration,
) -> Answer {
    let arguments = Payload::json(arguments.to_string());
    let mut call = Call::new(method, arguments, Deadline::after(wait));
    call.idempotency_key = key.map(|key| IdempotencyKey::new(key).expect("visible ASCII"));
    let target = node.runtime.target(NAMESPACE, object);
    let target = target.expect("the namespace is there");
    tokio::select! {
        biased;
        () = node.is_gone.cancelled() => None,
        answer = node.runtime.call(&target, call) => Some(answer),
    }
}

/// All that an object knows, asked for until it answers.
pub(super) async fn audit(node: &Node, object: &str) -> Result<Audit, String> {
    let target = node
        .runtime
        .target(NAMESPACE, object)
        .expect("the namespace is there");
    let mut last = None;
    for _ in 0..20 {
        let call = Call::new("audit", Payload::json("[]"), Deadline::after(PATIENCE));
        match node.runtime.call(&target, call).await {
            Ok(reply) => {
                let audit = serde_json::from_slice(&reply.payload.bytes);
                return Ok(audit.expect("a reply is what the method returns"));
            }
            Err(error) => last = Some(error),
        }
        sleep(Duration::from_millis(500)).await;
    }
    Err(format!("{object} cannot be asked: {last:?}"))
}
