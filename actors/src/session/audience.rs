//! To whom a broadcast goes.

use std::sync::Arc;

use super::{Session, SessionId};

/// To whom a broadcast goes: [`Context::broadcast_with`](crate::Context::broadcast_with).
///
/// Who that is, is settled when the turn ends: those who are on the object then, with the tags they
/// have then.
/// ```
/// # extern crate abide_actors as abide;
/// # use abide::{Audience, Context, Frame, Session, actor};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize)] struct Room;
/// #[actor]
/// impl Room {
///     fn message(&mut self, ctx: &mut Context<Self>, from: &Session, frame: Frame) {
///         ctx.broadcast_with(Audience::tagged("red").except(from), frame.lossy());
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    tag: Option<Arc<str>>,
    except: Vec<SessionId>,
}

impl Audience {
    /// All sessions of the object.
    #[must_use]
    pub fn all() -> Self {
        Self {
            tag: None,
            except: Vec::new(),
        }
    }

    /// The sessions with this tag.
    #[must_use]
    pub fn tagged(tag: impl Into<Arc<str>>) -> Self {
        Self {
            tag: Some(tag.into()),
            except: Vec::new(),
        }
    }

    /// But not this one; usually the one it came from.
    #[must_use]
    pub fn except(mut self, session: &Session) -> Self {
        self.except.push(session.id());
        self
    }

    /// But none of these.
    #[must_use]
    pub fn except_all<'a>(mut self, sessions: impl IntoIterator<Item = &'a Session>) -> Self {
        self.except.extend(sessions.into_iter().map(Session::id));
        self
    }

    /// The tag, and who is left out.
    pub(crate) fn into_parts(self) -> (Option<Arc<str>>, Excepted) {
        (self.tag, Excepted::new(self.except))
    }
}

/// Sessions a broadcast leaves out. Sorted, so that leaving out many costs each receiver little.
pub(crate) struct Excepted(Vec<SessionId>);

impl Excepted {
    fn new(mut sessions: Vec<SessionId>) -> Self {
        sessions.sort_unstable();
        Self(sessions)
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.0.binary_search(&session).is_ok()
    }
}
