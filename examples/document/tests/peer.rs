//! A Yjs client: its own document, and a session.

use abide_actors::testing::{TestSession, World};
use abide_actors::{Close, Frame};
use yrs::sync::{Awareness, AwarenessUpdate, Message, SyncMessage};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{ClientID, Doc, GetString, OffsetKind, Options, ReadTxn, Text, Transact, Update};

pub(crate) struct Peer {
    pub(crate) session: TestSession,
    pub(crate) awareness: Awareness,
    /// How many frames of which kind have come: updates, awareness, queries.
    pub(crate) updates: usize,
    pub(crate) told: usize,
    pub(crate) asked: usize,
}

impl Peer {
    /// A client in sync with the document.
    pub(crate) async fn open(world: &World, client: u64) -> Self {
        let mut options = Options::with_client_id(ClientID::new(client));
        options.offset_kind = OffsetKind::Utf16;
        let awareness = Awareness::new(Doc::with_options(options));
        let session = world.connect("document", "notes", "").await.unwrap();
        let mut peer = Self {
            session,
            awareness,
            updates: 0,
            told: 0,
            asked: 0,
        };
        let state = peer.doc().transact().state_vector();
        peer.say(Message::Sync(SyncMessage::SyncStep1(state))).await;
        peer.listen().await;
        peer
    }

    /// The same client on a new session, as after a lost connection.
    pub(crate) async fn reconnect(&mut self, world: &World) {
        self.session = world.connect("document", "notes", "").await.unwrap();
        let state = self.doc().transact().state_vector();
        self.say(Message::Sync(SyncMessage::SyncStep1(state))).await;
        self.listen().await;
    }

    pub(crate) fn doc(&self) -> Doc {
        self.awareness.doc().clone()
    }

    pub(crate) fn text(&self) -> String {
        let text = self.doc().get_or_insert_text("codemirror");
        text.get_string(&self.doc().transact())
    }

    /// Writes at a place, and says so.
    pub(crate) async fn insert(&mut self, at: u32, addition: &str) {
        let update = self.insert_silently(at, addition);
        self.say(Message::Sync(SyncMessage::Update(update))).await;
    }

    /// Writes at a place; answers the update that is yet to be said.
    pub(crate) fn insert_silently(&mut self, at: u32, addition: &str) -> Vec<u8> {
        let doc = self.doc();
        let text = doc.get_or_insert_text("codemirror");
        let mut transaction = doc.transact_mut();
        text.insert(&mut transaction, at, addition);
        transaction.encode_update_v1()
    }

    /// Deletes everything.
    pub(crate) async fn clear(&mut self) {
        let doc = self.doc();
        let size = doc.get_or_insert_text("codemirror").len(&doc.transact());
        self.delete(0, size).await;
    }

    /// Deletes so much from a place on.
    pub(crate) async fn delete(&mut self, at: u32, size: u32) {
        let doc = self.doc();
        let text = doc.get_or_insert_text("codemirror");
        let mut transaction = doc.transact_mut();
        text.remove_range(&mut transaction, at, size);
        let update = transaction.encode_update_v1();
        drop(transaction);
        self.say(Message::Sync(SyncMessage::Update(update))).await;
    }

    /// Tells a new state of its own.
    pub(crate) async fn point(&mut self, state: &str) {
        self.awareness.set_local_state_raw(state);
        let own = self
            .awareness
            .update_with_clients([self.awareness.client_id()])
            .unwrap();
        self.say(Message::Awareness(own)).await;
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.session.send(message.encode_v1()).await;
    }

    /// Reads all that has come, and does what a client does with it.
    pub(crate) async fn listen(&mut self) {
        for frame in self.session.arrived().await {
            let Frame::Binary(bytes) = frame else {
                panic!("a text frame: {frame:?}")
            };
            match Message::decode_v1(&bytes).unwrap() {
                Message::Sync(SyncMessage::SyncStep1(state)) => {
                    let lacking = self.doc().transact().encode_state_as_update_v1(&state);
                    self.say(Message::Sync(SyncMessage::SyncStep2(lacking)))
                        .await;
                }
                Message::Sync(SyncMessage::SyncStep2(update)) => self.apply(&update),
                Message::Sync(SyncMessage::Update(update)) => {
                    self.updates += 1;
                    self.apply(&update);
                }
                Message::Awareness(update) => {
                    self.told += 1;
                    self.awareness.apply_update(update).unwrap();
                }
                Message::AwarenessQuery => {
                    self.asked += 1;
                    let all = self.awareness.update().unwrap();
                    self.say(Message::Awareness(all)).await;
                }
                other => panic!("not a message for a client: {other:?}"),
            }
        }
    }

    fn apply(&self, update: &[u8]) {
        let update = Update::decode_v1(update).unwrap();
        self.doc().transact_mut().apply_update(update).unwrap();
    }

    /// What it knows of another client.
    pub(crate) fn sees(&self, client: u64) -> Option<String> {
        self.awareness
            .state::<serde_json::Value>(ClientID::new(client))
            .map(|state| state.to_string())
    }

    pub(crate) async fn closed(&mut self) -> Close {
        self.session.closed().await.expect("the session is closed")
    }

    /// All it knows of everybody.
    pub(crate) fn all_it_knows(&self) -> AwarenessUpdate {
        self.awareness.update().unwrap()
    }
}
