//! What was tried, what the store said of it, and what may be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::{CommitError, Effect, Health, LogStore, Object, Store};
use bytes::Bytes;

/// What the store said of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Durable,
    /// Refused or taken back: effect *none*.
    Nothing,
    Unknown,
}

/// Commits of all objects, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    tried: BTreeMap<u32, Vec<(u64, Outcome)>>,
    last: u64,
    /// The last commit before the operation.
    last_before: u64,
}

impl History {
    /// One commit of an object. Both of its rows begin with its number.
    pub(crate) async fn commit(
        &mut self,
        store: &Arc<LogStore>,
        number: u32,
        size_bytes: usize,
    ) -> Outcome {
        self.last += 1;
        let outcome = commit(store, number, self.last, size_bytes).await;
        let tried = self.tried.entry(number).or_default();
        tried.push((self.last, outcome));
        if outcome == Outcome::Unknown {
            let health = store.health();
            assert!(
                matches!(health, Health::Failed(_)),
                "unknown, but {health:?}"
            );
        }
        outcome
    }

    /// From here on it is the operation.
    pub(crate) fn begin(&mut self) {
        self.last_before = self.last;
    }

    /// Whether a commit of the operation ended like this.
    pub(crate) fn has(&self, wanted: Outcome) -> bool {
        let mut tried = self.tried.values().flatten();
        tried.any(|(number, outcome)| *number > self.last_before && *outcome == wanted)
    }

    /// Looks at every object, and holds what is found against what was said. What is found is certain
    /// from now on.
    pub(crate) async fn compare(&mut self, store: &Arc<LogStore>, at: &str) {
        let shared: Arc<dyn Store> = store.clone();
        for (number, tried) in &mut self.tried {
            let activation = Activation::open(&shared, object(*number)).await.unwrap();
            let [found, twin] = [activation.get("a").await, activation.get("b").await].map(read);
            assert_eq!(found, twin, "{at}: object {number} has half of a commit");
            let durable = tried
                .iter()
                .rposition(|(_, outcome)| *outcome == Outcome::Durable);
            let allowed: Vec<_> = tried[durable.unwrap_or(0)..]
                .iter()
                .filter(|(_, outcome)| *outcome != Outcome::Nothing)
                .map(|(number, _)| *number)
                .chain(durable.is_none().then_some(0))
                .collect();
            assert!(
                allowed.contains(&found),
                "{at}: object {number} is at {found}, of {tried:?}"
            );
            *tried = vec![(found, Outcome::Durable)];
        }
    }
}

fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

fn read(value: Option<Bytes>) -> u64 {
    value.map_or(0, |value| {
        u64::from_le_bytes(value[..8].try_into().unwrap())
    })
}

async fn commit(store: &Arc<LogStore>, number: u32, value: u64, size_bytes: usize) -> Outcome {
    let shared: Arc<dyn Store> = store.clone();
    let Ok(mut activation) = Activation::open(&shared, object(number)).await else {
        // It cannot be read: nothing was handed in.
        return Outcome::Nothing;
    };
    let bytes = |size| Bytes::from([value.to_le_bytes().to_vec(), vec![7; size]].concat());
    let writes = vec![put("a", bytes(size_bytes)), put("b", bytes(0))];
    let answered = match activation.try_commit(writes) {
        Ok(ticket) => ticket.await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(()) => Outcome::Durable,
        Err(CommitError::Unknown) => Outcome::Unknown,
        Err(error) => {
            assert_eq!(error.effect(), Effect::None, "{error}");
            Outcome::Nothing
        }
    }
}
