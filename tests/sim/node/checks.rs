//! What must be true whatever happened. Each function is one checker: the first ones of a history, the
//! last ones of one answer, while it happens.

use std::collections::{BTreeMap, HashMap, HashSet};

use abide::CallError;
use abide_actors::testing::BEGINNING;

use super::history::{History, Outcome, Violation};
use super::linear::{self, Step, Verdict};
use super::machine::MAILBOX_MESSAGES_MAX;
use super::probe::{Attempt, Notes};
use super::subject::{Audit, Read, Seen, Told};
use super::workload::OBJECTS;

/// Everything that can be said after a run.
pub(super) fn check(
    history: &History,
    notes: &Notes,
    audits: &[(String, Audit)],
) -> Vec<Violation> {
    let mut found = history.violations.clone();
    let mut say = |of, what: String| found.push(Violation { of, what });
    product_assertions(notes, &mut say);
    one_turn(notes, &mut say);
    whole_objects(audits, &mut say);
    no_fork(history, &mut say);
    never_back(history, &mut say);
    failed_is_never_seen(history, &mut say);
    alarms_ring_once(history, audits, &mut say);
    alarms_are_not_early(history, notes, &mut say);
    retries_are_counted(notes, &mut say);
    linearizable(history, &mut say);
    found
}

/// The product says itself that a promise is broken.
pub(super) fn product_assertions(notes: &Notes, say: &mut impl FnMut(&'static str, String)) {
    if let Some(panic) = notes.panics.first() {
        say("assertion", panic.clone());
    }
}

pub(super) fn one_turn(notes: &Notes, say: &mut impl FnMut(&'static str, String)) {
    for object in &notes.interleaved {
        say(
            "one-turn",
            format!("two turns of {object} were open at the same time"),
        );
    }
}

/// **all-or-nothing**: what one commit wrote is all there at the end.
pub(super) fn whole_objects(
    audits: &[(String, Audit)],
    say: &mut impl FnMut(&'static str, String),
) {
    for (object, audit) in audits {
        if audit.rows != [audit.seen.value; 2] || audit.rang != audit.rang_rows {
            say(
                "all-or-nothing",
                format!("{object} is not whole: {audit:?}"),
            );
        }
    }
}

/// **durable-before-visible**: no two turns of an object have the same number. When a write that
/// was seen is lost, another one takes its number.
pub(super) fn no_fork(history: &History, say: &mut impl FnMut(&'static str, String)) {
    let mut known: HashMap<(&str, u64), Seen> = HashMap::new();
    for sighting in &history.sightings {
        let key = (sighting.object.as_str(), sighting.seen.turns);
        let first = *known.entry(key).or_insert(sighting.seen);
        if first != sighting.seen {
            let (object, seen) = (&sighting.object, sighting.seen);
            let what = format!("{object} was seen as {first:?} and as {seen:?}");
            return say("durable-before-visible", what);
        }
    }
}

/// **durable-before-visible**: what was seen once is seen by everybody who asks afterwards.
pub(super) fn never_back(history: &History, say: &mut impl FnMut(&'static str, String)) {
    let mut highest: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
    for sighting in &history.sightings {
        let seen = highest.entry(&sighting.object).or_default();
        let before = seen.last().map_or(0, |(_, turns)| *turns);
        seen.push((sighting.at, before.max(sighting.seen.turns)));
    }
    for operation in &history.operations {
        let Outcome::Ok(seen) = operation.outcome else {
            continue;
        };
        let known = highest
            .get(operation.object.as_str())
            .map_or(&[][..], Vec::as_slice);
        // Of a repeated call the answer is as old as its first effect: it is in order by the other checkers.
        let before = known.partition_point(|(at, _)| *at < operation.begun);
        let least = before.checked_sub(1).map_or(0, |at| known[at].1);
        if seen.turns < least {
            let what = format!("{operation:?} began after turn {least} was seen");
            return say("durable-before-visible", what);
        }
    }
}

/// **all-or-nothing**: an operation that was said to have no effect has none.
pub(super) fn failed_is_never_seen(history: &History, say: &mut impl FnMut(&'static str, String)) {
    let refused = |action| action == super::history::Action::Refuse;
    let failed: HashSet<u64> = history
        .operations
        .iter()
        .filter(|operation| operation.outcome == Outcome::Failed || refused(operation.action))
        .map(|operation| operation.number)
        .collect();
    let seen = history
        .sightings
        .iter()
        .find(|sighting| failed.contains(&sighting.seen.last));
    if let Some(sighting) = seen {
        say(
            "all-or-nothing",
            format!("what has failed was seen: {sighting:?}"),
        );
    }
}

/// **alarm-at-least-once**, and its effect exactly once: handler and clearing are one commit.
pub(super) fn alarms_ring_once(
    history: &History,
    audits: &[(String, Audit)],
    say: &mut impl FnMut(&'static str, String),
) {
    let rang: BTreeMap<&str, &BTreeMap<String, u32>> = audits
        .iter()
        .map(|(object, audit)| (object.as_str(), &audit.rang))
        .collect();
    for alarm in &history.alarms {
        let Some(rang) = rang.get(alarm.object.as_str()) else {
            continue;
        };
        let count = rang.get(&alarm.name).copied().unwrap_or(0);
        let is_right = match (alarm.due_ms, alarm.is_refused) {
            (Some(_), _) => count == 1,
            (None, true) => count == 0,
            (None, false) => count <= 1,
        };
        if !is_right {
            return say(
                "alarm-at-least-once",
                format!("{alarm:?} rang {count} times"),
            );
        }
    }
    let set: HashSet<(&str, &str)> = history
        .alarms
        .iter()
        .map(|alarm| (&*alarm.object, &*alarm.name))
        .collect();
    for (object, rang) in rang {
        let rang = rang.iter().filter(|(_, count)| **count > 0);
        for (name, _) in rang.filter(|(name, _)| !set.contains(&(object, name))) {
            let of = match name.starts_with("refused") {
                true => "all-or-nothing",
                false => "alarm-at-least-once",
            };
            say(of, format!("{name} rang in {object}, and nobody set it"));
        }
    }
}

pub(super) fn alarms_are_not_early(
    history: &History,
    notes: &Notes,
    say: &mut impl FnMut(&'static str, String),
) {
    let due: HashMap<(&str, &str), u64> = history
        .alarms
        .iter()
        .filter_map(|alarm| Some(((&*alarm.object, &*alarm.name), alarm.due_ms?)))
        .collect();
    for attempt in &notes.attempts {
        let due = due.get(&(&*attempt.object, &*attempt.name)).copied();
        if attempt.at < attempt.scheduled || due.is_some_and(|due| attempt.at.0 < due) {
            let at_ms = attempt.at.0 - BEGINNING.0;
            return say(
                "alarm-at-least-once",
                format!("{attempt:?} rang too early, at {at_ms} ms"),
            );
        }
    }
}

/// **alarm-at-least-once**: failures are counted through passivations and crashes.
pub(super) fn retries_are_counted(notes: &Notes, say: &mut impl FnMut(&'static str, String)) {
    let mut known: HashMap<(&str, &str), &Attempt> = HashMap::new();
    for attempt in &notes.attempts {
        let key = (&*attempt.object, &*attempt.name);
        if let Some(before) = known.insert(key, attempt)
            && attempt.retries < before.retries
        {
            let what = format!("{attempt:?} has forgotten failures: {before:?}");
            return say("alarm-at-least-once", what);
        }
    }
}

/// Each object is a register and a counter at once, and behaves as if it did one thing at a time.
pub(super) fn linearizable(history: &History, say: &mut impl FnMut(&'static str, String)) {
    for object in OBJECTS {
        let of_it = history
            .operations
            .iter()
            .filter(|operation| operation.object == object);
        let mut steps: Vec<Step> = of_it.filter_map(Step::of).collect();
        steps.sort_by_key(|step| step.begun);
        match linear::check(&steps) {
            Verdict::Linearizable => {}
            Verdict::NotLinearizable => {
                let what = format!("what was seen of {object} fits no order of its operations");
                say("linearizability", what);
            }
            // Not a proof of anything, but it must not pass for one either.
            Verdict::GaveUp => {
                let what = format!("the search for an order of {object}'s operations gave up");
                say("linearizability", what);
            }
        }
    }
}

/// Errors that must not be, whatever fails: **lossless-passivation** and **bounded**.
pub(super) fn error_may_be(error: &CallError) -> Result<(), Violation> {
    match error {
        CallError::Dropped => Err(Violation::new(
            "lossless-passivation",
            "a call was dropped while its node ran",
        )),
        CallError::Overloaded { waiting, .. } if *waiting > MAILBOX_MESSAGES_MAX => {
            let what = format!("{waiting} messages waited in a mailbox");
            Err(Violation::new("bounded", what))
        }
        _ => Ok(()),
    }
}

/// **all-or-nothing**: state and rows are of one commit in every read.
pub(super) fn read_is_whole(object: &str, read: &Read) -> Result<(), Violation> {
    let Read { seen, rows } = read;
    if *rows == [seen.value; 2] {
        return Ok(());
    }
    let what = format!("{object} shows value {} beside rows {rows:?}", seen.value);
    Err(Violation::new("all-or-nothing", what))
}

/// **idempotency**: a repeat gets the first answer.
pub(super) fn repeat_is_the_same(object: &str, first: Seen, again: Seen) -> Result<(), Violation> {
    if first == again {
        return Ok(());
    }
    let what = format!("a call to {object} was answered {first:?}, repeated {again:?}");
    Err(Violation::new("idempotency", what))
}

/// **resume**: a client hears of its messages that they have taken effect, and then never again that they
/// have not, nor of more than it gave.
pub(super) fn count_may_be(count: u64, least: usize, most: usize) -> Result<usize, Violation> {
    match usize::try_from(count) {
        Ok(count) if (least..=most).contains(&count) => Ok(count),
        _ => {
            let what = format!("{count} messages have taken effect of {most}, {least} before");
            Err(Violation::new("resume", what))
        }
    }
}

/// **session-order**: the frames of one session come without a gap, and never show less than before.
#[derive(Debug, Default)]
pub(super) struct SessionOrder {
    frames: u64,
    turns: u64,
}

impl SessionOrder {
    /// The next frame.
    pub(super) fn take(&mut self, object: &str, told: &Told) -> Result<(), Violation> {
        let (due, before) = (self.frames + 1, self.turns);
        (self.frames, self.turns) = (told.number, told.seen.turns);
        if told.number == due && told.seen.turns >= before {
            return Ok(());
        }
        let what = format!(
            "a session on {object} got {told:?} where frame {due} was due, after turn {before}"
        );
        Err(Violation::new("session-order", what))
    }
}

#[cfg(test)]
mod tests;
