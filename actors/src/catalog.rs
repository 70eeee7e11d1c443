//! A node's map from object id to what lives of the object: mailbox, sessions, activation.
//! The only code that starts an activation or forgets an object.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abide_storage::{Object, ObjectId};
use dashmap::DashMap;

use crate::activation;
use crate::call::CallError;
use crate::evict::Usage;
use crate::mailbox::{Admission, Envelope, Mailbox, NotPushed, Pushed};
use crate::node::{Node, Target};
use crate::presence::Home;
use crate::registry::Entry;
use crate::session::SessionSet;
use crate::tasks::TaskKind;
use crate::teeth::{Tooth, broken};

/// All that a node holds of one object that is active or has sessions.
pub(crate) struct Slot {
    pub(crate) target: Target,
    pub(crate) entry: Arc<Entry>,
    pub(crate) mailbox: Mailbox,
    pub(crate) sessions: SessionSet,
    /// What the activation takes, and when it was last of use.
    pub(crate) usage: Usage,
    /// **single-activation**: true while an activation of this object exists on this node.
    live: AtomicBool,
}

impl Slot {
    pub(crate) fn object(&self) -> &Object {
        &self.target.object
    }

    /// Where the object's presence is at home.
    pub(crate) fn home<'a>(&'a self, node: &'a Node) -> Home<'a> {
        Home {
            node,
            object: self.object().id,
            sessions: &self.sessions,
        }
    }

    /// Whether an activation of the object exists just now.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }
}

/// How ids are spread over the map: by a secret of the process, because clients choose names. A
/// test wants the same order again.
#[cfg(not(feature = "test-util"))]
type Hashing = std::hash::RandomState;
#[cfg(feature = "test-util")]
type Hashing = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Catalog {
    slots: DashMap<ObjectId, Arc<Slot>, Hashing>,
    /// Activations there are now.
    pub(crate) activations: AtomicUsize,
}

/// There was no room for the message; here it is back.
pub(crate) struct Full {
    pub(crate) envelope: Envelope,
    /// Messages that wait for the object.
    pub(crate) waiting: usize,
    pub(crate) what: What,
}

/// What there was no room in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Mailbox,
    Memory,
}

impl Catalog {
    /// The object's slot, made when there is none.
    pub(crate) fn slot(&self, node: &Node, target: &Target) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(&target.object.id) {
            return slot.clone();
        }
        let entry = node.registry.get(target.object.namespace.as_str());
        let entry = entry
            .expect("a target names a registered namespace")
            .clone();
        let make = || {
            Arc::new(Slot {
                target: target.clone(),
                entry,
                mailbox: Mailbox::new(&node.memory),
                sessions: SessionSet::default(),
                usage: Usage::default(),
                live: AtomicBool::new(false),
            })
        };
        self.slots
            .entry(target.object.id)
            .or_insert_with(make)
            .clone()
    }

    /// Hands a message to the object, activating it when it is not active. Gives back the slot that
    /// took it.
    #[expect(
        clippy::result_large_err,
        reason = "what comes back is the message; a box would cost an overloaded node an allocation"
    )]
    pub(crate) fn push(
        &self,
        node: &Arc<Node>,
        target: &Target,
        mut envelope: Envelope,
        admission: Admission,
    ) -> Result<Arc<Slot>, Full> {
        loop {
            let slot = self.slot(node, target);
            match slot.mailbox.push(envelope, admission) {
                Ok(Pushed::Queued) => return Ok(slot),
                Ok(Pushed::StartActivation) => {
                    self.start(node, slot.clone());
                    return Ok(slot);
                }
                // Between the look-up and the push the object was forgotten: look again, the next
                // look-up makes a new slot.
                Err(NotPushed::Retired(back)) => envelope = back,
                Err(NotPushed::Full { envelope, waiting }) => {
                    let what = What::Mailbox;
                    return Err(Full {
                        envelope,
                        waiting,
                        what,
                    });
                }
                Err(NotPushed::NoMemory(envelope)) => {
                    // A slot made for nothing: who asks for many objects must not fill the map.
                    self.forget_if_unused(&slot);
                    let (waiting, what) = (slot.mailbox.len(), What::Memory);
                    return Err(Full {
                        envelope,
                        waiting,
                        what,
                    });
                }
            }
        }
    }

    fn start(&self, node: &Arc<Node>, slot: Arc<Slot>) {
        let before = self.activations.fetch_add(1, Ordering::Relaxed);
        let most = node.limits.activations_max;
        if before >= most {
            node.evictor.crowded();
        }
        // Made here, not in the task: a task that is dropped before it ever ran gives back, too.
        let mut owner = Owner {
            node: node.clone(),
            slot,
            released: false,
        };
        node.tasks
            .spawn(TaskKind::Object, "activation", async move {
                loop {
                    owner.slot.usage.begin();
                    let live = Live::claim(&owner.slot);
                    in_bursts(&owner.slot, activation::run(&owner.node, &owner.slot)).await;
                    drop(live);
                    owner.released = owner.slot.mailbox.release_if_empty();
                    if owner.released {
                        break;
                    }
                }
            });
    }

    /// Whether an activation of the object exists just now.
    pub(crate) fn is_active(&self, id: &ObjectId) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.is_live())
    }

    /// Asks every activation to end once its mailbox is empty.
    pub(crate) fn evict_all(&self) {
        self.each(|slot| {
            slot.mailbox.evict();
        });
    }

    /// Shows every slot there is. The map's shards are locked one by one meanwhile, so what is done
    /// with a slot must be short, and must not come back to the map.
    pub(crate) fn each(&self, mut see: impl FnMut(&Slot)) {
        self.slots.iter().for_each(|slot| see(&slot));
    }

    /// The object's slot, when there is one.
    pub(crate) fn get(&self, id: ObjectId) -> Option<Arc<Slot>> {
        self.slots.get(&id).map(|slot| slot.clone())
    }

    /// Forgets an object that has neither activation nor sessions.
    pub(crate) fn forget_if_unused(&self, slot: &Arc<Slot>) {
        self.slots.remove_if(&slot.object().id, |_, known| {
            Arc::ptr_eq(known, slot) && known.sessions.is_unused() && known.mailbox.retire()
        });
    }

    /// The slots there are; a snapshot.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.iter().map(|slot| slot.clone()).collect()
    }
}

/// Runs an activation, and tells where what it lets out in one go ends.
async fn in_bursts(slot: &Slot, activation: impl Future<Output = ()>) {
    let mut activation = std::pin::pin!(activation);
    std::future::poll_fn(|cx| {
        slot.sessions.bursts().begin();
        activation.as_mut().poll(cx)
    })
    .await;
}

/// **single-activation**: there is at most one of these for a slot.
struct Live<'a>(&'a AtomicBool);

impl<'a> Live<'a> {
    fn claim(slot: &'a Slot) -> Self {
        let twin = slot.live.swap(true, Ordering::AcqRel);
        assert!(
            !twin || broken(Tooth::InterleaveTurns),
            "single-activation: {} is active already",
            slot.object()
        );
        Self(&slot.live)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Owns the receiving end of a slot's mailbox for the life of its task. When the task is torn
/// down half-way (actor code panicked where nobody catches it, or the node's tokio runtime ends),
/// the mailbox is given back, so that the object is not stuck, and what it held is answered.
struct Owner {
    node: Arc<Node>,
    slot: Arc<Slot>,
    released: bool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.released {
            for envelope in self.slot.mailbox.abandon() {
                activation::reject(&self.node, &self.slot, envelope, &CallError::Dropped);
            }
        }
        self.node
            .catalog
            .activations
            .fetch_sub(1, Ordering::Relaxed);
        self.node.catalog.forget_if_unused(&self.slot);
    }
}
