//! Which object's turn waits for which: a cycle among them could never be answered.

use std::collections::HashMap;
use std::sync::Arc;

use abide_storage::Object;
use parking_lot::Mutex;

use crate::call::{CallChain, CallError};

/// The calls between objects of this node that are under way, as edges "waits for".
///
/// A turn that calls adds its edge, then looks whether the callee, directly or through others,
/// waits for the caller. The edge comes first: of two turns that close a cycle at the same moment
/// at least one sees the other's edge. (Wait-for graphs: Coffman et al., "System Deadlocks", 1971.)
#[derive(Default)]
pub(crate) struct WaitGraph(Arc<Mutex<Edges>>);

/// Caller to callees; a turn may have several calls open.
type Edges = HashMap<Object, Vec<Object>>;

/// An edge; dropping it takes it out.
pub(crate) struct Wait {
    edges: Arc<Mutex<Edges>>,
    caller: Object,
    callee: Object,
}

impl WaitGraph {
    /// Enters that `caller`, called through `chain`, waits for `callee`.
    pub(crate) fn wait(
        &self,
        caller: &Object,
        callee: &Object,
        chain: &CallChain,
    ) -> Result<Wait, CallError> {
        let wait = Wait {
            edges: self.0.clone(),
            caller: caller.clone(),
            callee: callee.clone(),
        };
        let path = {
            let mut edges = self.0.lock();
            edges
                .entry(caller.clone())
                .or_default()
                .push(callee.clone());
            path(&edges, callee, caller)
        };
        let cycle = path.map(|path| std::iter::once(caller.clone()).chain(path).collect());
        match cycle.or_else(|| cycle_through(chain, caller, callee)) {
            Some(chain) => Err(CallError::Deadlock { chain }),
            None => Ok(wait),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut edges = self.edges.lock();
        if let Some(callees) = edges.get_mut(&self.caller) {
            if let Some(at) = callees.iter().position(|callee| *callee == self.callee) {
                callees.swap_remove(at);
            }
            if callees.is_empty() {
                edges.remove(&self.caller);
            }
        }
    }
}

/// The chain came with the call, so it also knows objects that are not of this node.
fn cycle_through(chain: &CallChain, caller: &Object, callee: &Object) -> Option<Vec<Object>> {
    let objects = chain.objects();
    let from = objects.iter().position(|object| object == callee)?;
    let rest = [caller.clone(), callee.clone()];
    Some(objects[from..].iter().cloned().chain(rest).collect())
}

/// The objects from `from` to `to`, both included, each waiting for the next. Breadth first.
fn path(edges: &Edges, from: &Object, to: &Object) -> Option<Vec<Object>> {
    let mut reached: Vec<(&Object, Option<usize>)> = vec![(from, None)];
    let mut next = 0;
    while let Some((object, _)) = reached.get(next).copied() {
        if object == to {
            let back = std::iter::successors(Some(next), |at| reached[*at].1);
            let mut path: Vec<_> = back.map(|at| reached[at].0.clone()).collect();
            path.reverse();
            return Some(path);
        }
        for callee in edges.get(object).into_iter().flatten() {
            if !reached.iter().any(|(known, _)| *known == callee) {
                reached.push((callee, Some(next)));
            }
        }
        next += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use abide_storage::{Namespace, ObjectId};

    use super::*;

    fn object(name: &str) -> Object {
        let namespace = Namespace::new("test").unwrap();
        Object {
            id: ObjectId::from_name(&namespace, name),
            namespace,
        }
    }

    #[test]
    fn two_turns_that_call_each_other_are_found() {
        let (a, b, c) = (object("a"), object("b"), object("c"));
        let graph = WaitGraph::default();
        let none = CallChain::default();
        let first = graph.wait(&a, &b, &none).unwrap();
        let _second = graph.wait(&b, &c, &none).unwrap();
        let Err(CallError::Deadlock { chain }) = graph.wait(&c, &a, &none) else {
            panic!("c waits for a, a for b, b for c");
        };
        assert_eq!(chain, [c.clone(), a.clone(), b.clone(), c.clone()]);
        drop(first);
        assert!(
            graph.wait(&c, &a, &none).is_ok(),
            "the refused edge and a's are gone"
        );
    }

    #[test]
    fn an_object_cannot_call_itself_or_who_called_it() {
        let (a, b) = (object("a"), object("b"));
        let graph = WaitGraph::default();
        let itself = graph.wait(&a, &a, &CallChain::default());
        assert!(
            matches!(itself, Err(CallError::Deadlock { chain }) if chain == [a.clone(), a.clone()])
        );
        let called_by_a = CallChain::default().and(a.clone());
        let back = graph.wait(&b, &a, &called_by_a);
        assert!(matches!(back, Err(CallError::Deadlock { chain }) if chain == [a.clone(), b, a]));
        assert!(
            graph.0.lock().is_empty(),
            "refused calls leave no edge behind"
        );
    }
}
