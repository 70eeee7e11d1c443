//! Whether what clients saw of one object could have happened one operation after the other.
//!
//! The search is that of Wing and Gong, "Testing and verifying concurrent objects" (1993): take any
//! operation that began before every other open one ended, apply it to the model, go on; step back
//! when the model would have answered otherwise. As in Lowe, "Testing for linearizability"
//! (2017), and in Porcupine, it remembers which sets of operations led to which value, and
//! each object is checked for itself, which is enough (Herlihy and Wing, 1990: linearizability is
//! local). An operation of unknown outcome has no end and may be left out.

use std::collections::HashSet;

use super::history::{Action, Operation, Outcome};

/// Operations on one object, at most: they are a set of bits.
const OPERATIONS_MAX: usize = 128;
/// Steps after which the search gives up. A history that is in order takes about as many as it has
/// operations; this is some seconds.
const STEPS_MAX: u64 = 300_000;

/// How the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Linearizable,
    NotLinearizable,
    /// It took too long.
    GaveUp,
}

/// An operation as the search sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) begun: u64,
    /// `None`: it may take effect at any time, or never.
    pub(super) answered: Option<Answered>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) ended: u64,
    /// The value that its client saw, after it, if it was shown one.
    pub(super) value: Option<i64>,
}

impl Step {
    /// `None` for an operation that cannot have had an effect, and showed nothing.
    pub(super) fn of(operation: &Operation) -> Option<Self> {
        let answered = match &operation.outcome {
            Outcome::Failed => return None,
            Outcome::Unknown if operation.action == Action::Get => return None,
            Outcome::Unknown => None,
            Outcome::Ok(seen) => Some(Answered {
                ended: operation.ended,
                value: Some(seen.value),
            }),
            Outcome::Done => Some(Answered {
                ended: operation.ended,
                value: None,
            }),
        };
        Some(Self {
            action: operation.action,
            begun: operation.begun,
            answered,
        })
    }

    /// The value after it, when its client saw no other.
    pub(super) fn apply(&self, value: i64) -> Option<i64> {
        let after = match self.action {
            Action::Add(by) => value.wrapping_add(by),
            Action::Put(value) => value,
            Action::Get => value,
            Action::Refuse => return None,
        };
        let seen = self.value_seen();
        seen.is_none_or(|seen| seen == after).then_some(after)
    }

    fn value_seen(&self) -> Option<i64> {
        self.answered.and_then(|answered| answered.value)
    }
}

/// Looks for an order of the steps, from the value 0.
///
/// # Panics
/// When there are more than [`OPERATIONS_MAX`].
pub(super) fn check(steps: &[Step]) -> Verdict {
    assert!(steps.len() <= OPERATIONS_MAX, "{} operations", steps.len());
    let mut search = Search {
        steps,
        required: bits(steps, |step| step.answered.is_some()),
        known: HashSet::new(),
        steps_left: STEPS_MAX,
    };
    match search.go_on(0, 0) {
        _ if search.steps_left == 0 => Verdict::GaveUp,
        true => Verdict::Linearizable,
        false => Verdict::NotLinearizable,
    }
}

struct Search<'a> {
    steps: &'a [Step],
    /// Those that must find a place.
    required: u128,
    /// What has been tried in vain.
    known: HashSet<(u128, i64)>,
    steps_left: u64,
}

impl Search<'_> {
    /// Whether the steps that are not `done` can follow on this value.
    fn go_on(&mut self, done: u128, value: i64) -> bool {
        if done & self.required == self.required {
            return true;
        }
        if self.steps_left == 0 || !self.known.insert((done, value)) {
            return false;
        }
        self.steps_left -= 1;
        let open = |at: usize| done & (1 << at) == 0;
        // Whatever begins after an open one has ended comes after it.
        let ends = self.steps.iter().enumerate().filter(|(at, _)| open(*at));
        let first_end = ends
            .filter_map(|(_, step)| Some(step.answered?.ended))
            .min();
        let first_end = first_end.unwrap_or(u64::MAX);
        // Those whose place is known by what they showed come first: mostly that is all it takes.
        for shows in [true, false] {
            for at in (0..self.steps.len()).filter(|at| open(*at)) {
                let step = self.steps[at];
                if step.value_seen().is_some() != shows || step.begun > first_end {
                    continue;
                }
                if let Some(after) = step.apply(value)
                    && self.go_on(done | 1 << at, after)
                {
                    return true;
                }
            }
        }
        false
    }
}

fn bits(steps: &[Step], which: impl Fn(&Step) -> bool) -> u128 {
    let chosen = steps.iter().enumerate().filter(|(_, step)| which(step));
    chosen.fold(0, |bits, (at, _)| bits | 1 << at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: Action, begun: u64, ended: u64, value: i64) -> Step {
        let value = Some(value);
        let answered = Some(Answered { ended, value });
        Step {
            action,
            begun,
            answered,
        }
    }

    fn unknown(action: Action, begun: u64) -> Step {
        Step {
            action,
            begun,
            answered: None,
        }
    }

    use Action::{Add, Get, Put};
    use Verdict::{Linearizable, NotLinearizable};

    #[test]
    fn histories_that_can_be_put_in_order_pass() {
        let good: [&[Step]; 6] = [
            &[],
            &[step(Add(1), 1, 2, 1), step(Get, 3, 4, 1)],
            // Two that overlap may come in either order.
            &[step(Add(1), 1, 4, 3), step(Add(2), 2, 3, 2)],
            // A read beside a write sees it or does not.
            &[
                step(Put(7), 1, 6, 7),
                step(Get, 2, 3, 0),
                step(Get, 4, 5, 7),
            ],
            // What is unknown happens late, or never.
            &[unknown(Add(5), 1), step(Get, 2, 3, 0), step(Get, 4, 5, 5)],
            &[
                unknown(Add(5), 1),
                step(Get, 2, 3, 0),
                step(Add(1), 4, 5, 1),
            ],
        ];
        for history in good {
            assert_eq!(check(history), Linearizable, "{history:?}");
        }
    }

    /// A message that was sent: it happens by the end, once, and nobody is told.
    #[test]
    fn what_is_done_unseen_happens_once() {
        let sent = Step {
            answered: Some(Answered {
                ended: 10,
                value: None,
            }),
            ..unknown(Add(5), 1)
        };
        let audit = |value| step(Get, 11, 12, value);
        assert_eq!(check(&[sent, step(Get, 2, 3, 0), audit(5)]), Linearizable);
        assert_eq!(check(&[sent, audit(0)]), NotLinearizable, "it is lost");
        assert_eq!(check(&[sent, audit(10)]), NotLinearizable, "it came twice");
    }

    #[test]
    fn each_kind_of_bad_history_is_refused() {
        let bad: [(&str, &[Step]); 6] = [
            ("a lost write", &[step(Add(1), 1, 2, 1), step(Get, 3, 4, 0)]),
            (
                "a stale read",
                &[
                    step(Put(1), 1, 2, 1),
                    step(Put(2), 3, 4, 2),
                    step(Get, 5, 6, 1),
                ],
            ),
            (
                "a lost update",
                &[step(Add(1), 1, 4, 1), step(Add(1), 2, 3, 1)],
            ),
            (
                "an effect twice",
                &[step(Add(1), 1, 2, 1), step(Get, 3, 4, 2)],
            ),
            (
                "a read that goes back",
                &[
                    step(Put(7), 1, 8, 7),
                    step(Get, 2, 3, 7),
                    step(Get, 4, 5, 0),
                ],
            ),
            (
                "an unknown one that is there and gone",
                &[unknown(Add(5), 1), step(Get, 2, 3, 5), step(Get, 4, 5, 0)],
            ),
        ];
        for (what, history) in bad {
            assert_eq!(check(history), NotLinearizable, "{what}");
        }
    }

    /// Every order of every choice of the unknown ones, as one would try them by hand.
    fn by_hand(steps: &[Step], value: i64) -> bool {
        if steps.iter().all(|step| step.answered.is_none()) {
            return true;
        }
        (0..steps.len()).any(|at| {
            let mut rest = steps.to_vec();
            let first = rest.remove(at);
            let follows = |other: &Step| {
                other
                    .answered
                    .is_none_or(|other| first.begun <= other.ended)
            };
            rest.iter().all(follows)
                && first
                    .apply(value)
                    .is_some_and(|after| by_hand(&rest, after))
        })
    }

    #[test]
    fn small_histories_are_judged_as_by_hand() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for _ in 0..4_000 {
            let count = random.usize(1..=6);
            // Small values, so that many histories are in order by luck.
            let steps: Vec<Step> = (0..count)
                .map(|_| {
                    let action = match random.u8(0..3) {
                        0 => Add(random.i64(1..=2)),
                        1 => Put(random.i64(0..=2)),
                        _ => Get,
                    };
                    let begun = random.u64(0..8);
                    match random.u8(0..4) {
                        0 if action != Get => unknown(action, begun),
                        _ => step(action, begun, begun + random.u64(1..6), random.i64(0..=3)),
                    }
                })
                .collect();
            let expected = by_hand(&steps, 0);
            refused += u32::from(!expected);
            assert_eq!(check(&steps) == Linearizable, expected, "{steps:?}");
        }
        assert!(
            (500..3_500).contains(&refused),
            "{refused} of 4,000 were refused"
        );
    }
}
