use std::sync::Arc;

use abide_storage::{MemoryStore, Namespace, ObjectId, codec};

use super::*;
use crate::clock::Clock;
use crate::node::Node;
use crate::presence::Change;
use crate::registry::{Limits, Registry};
use crate::rng::Rng;
use crate::session::{SessionId, SessionSet};

struct House {
    node: Arc<Node>,
    sessions: SessionSet,
}

impl House {
    fn new() -> Self {
        let (store, registry) = (Arc::new(MemoryStore::new()), Registry::default());
        let (rng, limits) = (Rng::from_seed(0), Limits::default());
        Self {
            node: Node::new(store, Clock::system(), rng, limits, registry),
            sessions: SessionSet::default(),
        }
    }

    fn home(&self) -> Home<'_> {
        let namespace = Namespace::new("house").unwrap();
        Home {
            node: &self.node,
            object: ObjectId::from_name(&namespace, "a"),
            sessions: &self.sessions,
        }
    }

    fn enter(&self, id: u64) -> Arc<SessionCore> {
        let session = SessionCore::new(SessionId(id), 1024, &self.node.memory);
        assert!(self.sessions.insert(session.clone(), 100));
        session
    }

    fn show(&self, change: &Change) {
        self.sessions.presence().show(self.home(), change);
    }

    fn present(&self, session: &Arc<SessionCore>, key: Option<&str>, state: u64) {
        self.show(&Change::present(session, key, &state).unwrap());
    }

    fn members(&self) -> Vec<String> {
        let see = |roster: &crate::presence::Roster| {
            let members = roster.members();
            members.map(|member| format!("{member:?}")).collect()
        };
        self.sessions.presence().view(&self.sessions, &[], see)
    }
}

#[tokio::test]
async fn who_was_here_is_here_again_in_whatever_order_they_come() {
    let before = House::new();
    let sessions: Vec<_> = (1..=5).map(|id| before.enter(id)).collect();
    before.present(&sessions[0], Some("ann"), 1);
    before.present(&sessions[1], None, 2);
    before.present(&sessions[2], Some("ann"), 3);
    before.present(&sessions[3], Some("bob"), 4);
    before.present(&sessions[0], Some("bob"), 5);
    before.show(&Change::Watch(sessions[4].clone()));
    before.show(&Change::ClientsMay(true));
    assert_eq!(before.members(), ["ann: 3", "2: 2", "bob: 5"]);
    let presence = before.sessions.presence();
    let images: Vec<_> = sessions
        .iter()
        .map(|session| presence.image(session))
        .collect();

    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let after = House::new();
        for index in order {
            let session = after.enter(index as u64 + 1);
            let image = images[index].clone();
            after
                .sessions
                .presence()
                .restore(after.home(), &session, image);
        }
        assert_eq!(after.members(), ["ann: 3", "2: 2", "bob: 5"], "{order:?}");
        let again = sessions
            .iter()
            .map(|session| after.sessions.presence().image(session));
        assert_eq!(again.collect::<Vec<_>>(), images, "{order:?}");
        // Who comes now comes last, and a member loses a session as ever.
        let late = after.enter(6);
        after.present(&late, None, 6);
        after.sessions.remove(&sessions[0]);
        assert_eq!(after.members(), ["ann: 3", "2: 2", "bob: 4", "6: 6"]);
    }
}

/// What a turn sees of what is under way leaves no trace, whatever that is.
#[tokio::test]
async fn to_look_ahead_changes_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let house = House::new();
    let sessions: Vec<_> = (1..=6).map(|id| house.enter(id)).collect();
    let presence = house.sessions.presence();
    let images = || {
        sessions
            .iter()
            .map(|session| presence.image(session))
            .collect::<Vec<_>>()
    };
    for step in 0..500 {
        let changes: Vec<_> = (0..random.usize(0..6))
            .map(|_| Arc::new(random_change(&mut random, &sessions)))
            .collect();
        let before = (house.members(), images());
        let ahead = presence.view(&house.sessions, &changes, |roster| {
            roster.members().cloned().collect::<Vec<_>>()
        });
        assert_eq!((house.members(), images()), before, "step {step}");
        changes.iter().for_each(|change| house.show(change));
        let ahead: Vec<_> = ahead.iter().map(|member| format!("{member:?}")).collect();
        assert_eq!(house.members(), ahead, "step {step}");
    }
}

fn random_change(random: &mut fastrand::Rng, sessions: &[Arc<SessionCore>]) -> Change {
    let session = &sessions[random.usize(0..sessions.len())];
    let key = format!("key{}", random.u8(0..3));
    match random.u8(0..4) {
        0 => Change::Absent(session.clone()),
        1 => Change::present(session, None, &random.u8(..)).unwrap(),
        _ => Change::present(session, Some(&key), &random.u8(..)).unwrap(),
    }
}

/// Rows that do not fit together must not stop an object.
#[tokio::test]
async fn images_that_contradict_each_other_are_all_taken() {
    let house = House::new();
    for (session, id) in [(1, "ann"), (2, "bob"), (3, "ann"), (3, "eve")] {
        let member = Some(MemberImage {
            id: id.to_owned(),
            state: session.to_string(),
            since: 7,
            order: 7,
        });
        let image = PresenceImage {
            member,
            ..PresenceImage::default()
        };
        let session = SessionCore::new(SessionId(session), 1024, &house.node.memory);
        house
            .sessions
            .presence()
            .restore(house.home(), &session, image);
    }
    assert_eq!(house.members(), ["ann: 1", "bob: 2", "eve: 3"]);
    for session in 1..=3 {
        house.sessions.presence().gone(SessionId(session));
    }
    assert_eq!(house.members(), [""; 0]);
    assert_eq!(house.node.memory.used_bytes(), 0);
}

#[tokio::test]
async fn one_that_is_nothing_here_leaves_nothing() {
    let house = House::new();
    let session = house.enter(1);
    let image = house.sessions.presence().image(&session);
    assert_eq!(image, PresenceImage::default());
    house
        .sessions
        .presence()
        .restore(house.home(), &session, image);
    assert!(house.sessions.presence().0.lock().is_none());
}

/// **readable-forever**: a part of the row of a session.
#[test]
fn its_bytes_do_not_change() {
    let image = PresenceImage {
        member: Some(MemberImage {
            id: "ann".into(),
            state: "{}".into(),
            since: 5,
            order: 300,
        }),
        watches: true,
        clients_may: false,
    };
    let mut bytes = Vec::new();
    codec::encode(&image, &mut bytes).unwrap();
    assert_eq!(codec::decode::<PresenceImage>(&bytes).unwrap(), image);
    assert_eq!(bytes, GOLDEN);
}

/// Format byte, member (id, state, since, order), watches, clients may not.
const GOLDEN: &[u8] = b"\x01\x01\x03ann\x02{}\x05\xfb\x2c\x01\x01\x00";
