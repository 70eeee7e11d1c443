//! What actor code sees of its object, and what it can have happen.

mod storage;
mod when;

use std::fmt;
use std::marker::PhantomData;

use abide_storage::{ObjectId, Timestamp, Version};
use serde::Serialize;

pub use storage::{Storage, StorageMut};
pub use when::When;

use crate::actor::Actor;
use crate::alarm::AlarmStatus;
use crate::call::{CallError, Deadline, Origin};
use crate::handle::{Callee, Recipient};
use crate::presence::Member;
use crate::session::{Audience, Delivery, Frame, Session};
use crate::tick::Tick;
use crate::turn::TurnContext;

/// One turn's view of its object: an optional first argument of every call and callback.
///
/// Methods that only look take `&self`, those that have something happen take `&mut self`; a call
/// that only reads gets a `&Context`, so it cannot write. Everything that happens is *staged*: it
/// is committed and sent when the turn has succeeded, and never when it has not.
pub struct Context<A: ?Sized> {
    turn: TurnContext,
    actor: PhantomData<fn() -> Box<A>>,
}

impl<A: ?Sized> Context<A> {
    pub(crate) fn new(turn: TurnContext) -> Self {
        Self {
            turn,
            actor: PhantomData,
        }
    }

    /// The object's id.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.turn.object().id
    }

    /// The object's name; `None` as long as it has only been addressed by id.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.turn.name()
    }

    /// The object's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.turn.namespace()
    }

    /// How many commits the object has had before this turn.
    #[must_use]
    pub fn version(&self) -> Version {
        self.turn.version()
    }

    /// Wall time. In a test world it is virtual, so use it instead of the system's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.turn.now()
    }

    /// When the turn is undone if it is not done. Calls to other objects inherit it.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.turn.deadline()
    }

    /// Where the message comes from, for logs.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.turn.origin()
    }

    /// A random number, not for secrets. In a test world it follows from the seed.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        self.turn.random_u64()
    }

    /// The object's key-value map, to read.
    #[must_use]
    pub fn storage(&self) -> Storage<'_> {
        Storage::new(&self.turn)
    }

    /// The object's key-value map, to read and write.
    #[must_use]
    pub fn storage_mut(&mut self) -> StorageMut<'_> {
        StorageMut::new(&self.turn)
    }

    /// Sets an alarm: the callback `alarm` runs at that time or soon after, through restarts and
    /// crashes. One of the same name is replaced; the classic single alarm has the name `""`. A time
    /// that has passed means at once.
    ///
    /// With a [`Cron`](crate::Cron) it recurs: the commit of each of its turns sets it for the next time, unless the
    /// turn sets or cancels it itself. Times that pass while the server is down are one turn, not
    /// many; [`Alarm::scheduled`](crate::Alarm::scheduled) is the first of them.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the object has too many alarms or the name is too long;
    /// nothing is staged.
    pub fn set_alarm(&mut self, name: &str, when: impl Into<When>) -> Result<(), CallError> {
        self.turn.stage_alarm(name, when.into())
    }

    /// Cancels an alarm; of one that is not set it does nothing.
    pub fn cancel_alarm(&mut self, name: &str) {
        self.turn.cancel_alarm(name);
    }

    /// When an alarm is due, with what this turn has staged. `None` while its callback runs.
    #[must_use]
    pub fn alarm(&self, name: &str) -> Option<Timestamp> {
        self.turn.alarm(name)
    }

    /// The object's alarms by name, with what this turn has staged: when each fires next, how often
    /// it has failed, why it is parked. The one whose callback runs is not among them.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmStatus> {
        self.turn.alarms()
    }

    /// The object's sessions, in the order they came.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.turn.sessions(None)
    }

    /// The object's sessions with this tag, in the order they came.
    #[must_use]
    pub fn sessions_tagged(&self, tag: &str) -> Vec<Session> {
        self.turn.sessions(Some(tag))
    }

    /// How many sessions the object has.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.turn.session_count()
    }

    /// Sends a frame to all sessions of the object; of any [`Class`](crate::Class), as
    /// [`Session::send`] does.
    pub fn broadcast(&mut self, delivery: impl Into<Delivery>) {
        self.broadcast_with(Audience::all(), delivery);
    }

    /// Sends a value as a JSON text frame to all sessions of the object. It is encoded once.
    ///
    /// # Errors
    /// [`CallError::Unencodable`]; nothing is staged.
    pub fn broadcast_json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CallError> {
        self.broadcast(Frame::json(value)?);
        Ok(())
    }

    /// Sends a frame to the sessions with this tag.
    pub fn broadcast_to(&mut self, tag: &str, delivery: impl Into<Delivery>) {
        self.broadcast_with(Audience::tagged(tag), delivery);
    }

    /// Sends a frame to all sessions but these: usually those it came from.
    pub fn broadcast_except(&mut self, delivery: impl Into<Delivery>, except: &[&Session]) {
        let except = except.iter().copied();
        self.broadcast_with(Audience::all().except_all(except), delivery);
    }

    /// Sends a frame to an audience of one's choice, for instance those with a tag but one. It is
    /// encoded once, and its bytes are shared.
    pub fn broadcast_with(&mut self, audience: Audience, delivery: impl Into<Delivery>) {
        self.turn.broadcast(delivery.into(), audience);
    }

    /// Answers every frame equal to `request` with `response` without waking the object: for
    /// pings of the application's own protocol. Replaces an earlier pair; forgotten when the object
    /// has neither activation nor sessions.
    pub fn set_auto_response(&mut self, request: impl Into<Frame>, response: impl Into<Frame>) {
        self.turn
            .set_auto_response(Some((request.into(), response.into())));
    }

    /// Ends the automatic answer; such frames reach `message` again.
    pub fn clear_auto_response(&mut self) {
        self.turn.set_auto_response(None);
    }

    /// Who is here, in the order they came: the members that sessions were shown as
    /// ([`Session::present`]), with what this turn has staged. All of them, so the cost grows with
    /// the crowd; watchers are shown no more than `presence_listed_max`.
    #[must_use]
    pub fn presence(&self) -> Vec<Member> {
        self.turn.presence()
    }

    /// How many are here.
    #[must_use]
    pub fn presence_count(&self) -> usize {
        self.turn.presence_count()
    }

    /// Lets clients set, and take back, what their own session is shown with, without waking the
    /// object: for cursors and the like. What they say is checked for its size and nothing else, so
    /// what others must be able to trust belongs into the key of [`Session::present_as`]. Forgotten
    /// when the object has neither activation nor sessions, so set it in `activated`.
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "it sets what it is named after"
    )]
    pub fn allow_client_presence(&mut self, allow: bool) {
        self.turn.allow_client_presence(allow);
    }

    /// Runs the callback `tick` at this rate from now on, while at least one session is connected; `None`
    /// ends that. It lives in memory and is gone with the activation, so set it in `activated`; while
    /// there are sessions it keeps the activation. For what must happen, set an alarm.
    /// ```
    /// # extern crate abide_actors as abide;
    /// # use abide::{ConnectRequest, Context, Session, Tick, Ticked, actor};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Default, Serialize, Deserialize)] struct Game { step: u64 }
    /// #[actor]
    /// impl Game {
    ///     fn activated(&mut self, ctx: &mut Context<Self>) {
    ///         ctx.set_tick(Tick::per_second(20));
    ///     }
    ///     fn tick(&mut self, ctx: &mut Context<Self>, ticked: &Ticked) {
    ///         self.step += 1 + ticked.missed;
    ///         ctx.broadcast(self.step.to_string());
    ///     }
    /// #   fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}
    /// }
    /// ```
    pub fn set_tick(&mut self, tick: impl Into<Option<Tick>>) {
        self.turn.set_tick(tick.into());
    }

    /// Ends the activation after this turn, as if it had been idle long enough.
    pub fn passivate(&mut self) {
        self.turn.passivate();
    }

    /// A typed handle to another object: one async method per call.
    ///
    /// The call is made at once, not when this turn commits: should this turn fail afterwards, what
    /// the other object did stays done. The namespace is the one `B` is registered under; if it
    /// is registered several times, use [`actor_in`](Self::actor_in).
    /// ```
    /// # extern crate abide_actors as abide;
    /// # use abide::{CallError, Context, actor};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Default, Serialize, Deserialize)] struct Counter { value: u64 }
    /// # #[actor] impl Counter {
    /// #     #[call] fn increment(&mut self, by: u64) -> u64 { self.value += by; self.value }
    /// # }
    /// # #[derive(Default, Serialize, Deserialize)] struct Page;
    /// #[actor]
    /// impl Page {
    ///     #[call]
    ///     async fn visit(&mut self, ctx: &mut Context<Self>) -> Result<u64, CallError> {
    ///         ctx.actor::<Counter>("visits").increment(1).await
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn actor<B: Actor>(&self, name: &str) -> B::Handle<'_> {
        Callee::of::<B>(&self.turn, name).into()
    }

    /// A typed handle to another object in a namespace of one's choice.
    #[must_use]
    pub fn actor_in<B: Actor>(&self, namespace: &str, name: &str) -> B::Handle<'_> {
        Callee::within(&self.turn, namespace, name).into()
    }

    /// Sends a message to another object, or to this one: one method per call that may write.
    ///
    /// Unlike a call it is part of the turn: it is stored with the turn's commit, leaves when that
    /// is durable, and takes effect exactly once, through crashes of either side; a turn that fails has
    /// sent nothing. Nobody waits for an answer: what the method returns is dropped, an `Err` of it goes
    /// to the log. Messages to one object arrive in the order they were sent; one that finds its receiver
    /// overloaded or failing is tried again for seven days.
    /// ```
    /// # extern crate abide_actors as abide;
    /// # use abide::{CallError, Context, actor};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Default, Serialize, Deserialize)] struct Account { balance: u64 }
    /// #[actor]
    /// impl Account {
    ///     #[call]
    ///     fn pay(&mut self, ctx: &mut Context<Self>, to: String, sum: u64) -> Result<(), CallError> {
    ///         self.balance = self.balance.saturating_sub(sum);
    ///         ctx.send::<Account>(&to).receive(sum) // both happen, or neither
    ///     }
    ///     #[call]
    ///     fn receive(&mut self, sum: u64) { self.balance += sum; }
    /// }
    /// ```
    #[must_use]
    pub fn send<B: Actor>(&mut self, name: &str) -> B::Recipient<'_> {
        Recipient::of::<B>(&self.turn, name).into()
    }

    /// Sends a message to an object in a namespace of one's choice.
    #[must_use]
    pub fn send_in<B: Actor>(&mut self, namespace: &str, name: &str) -> B::Recipient<'_> {
        Recipient::within(&self.turn, namespace, name).into()
    }
}

impl<A: ?Sized> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.turn.object())
    }
}
