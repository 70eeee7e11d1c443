//! Rows of durable sessions become sessions, and the journal of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_storage::{Timestamp, Version};

use super::Told;
use super::journal::{Entry, Journal, Line};
use crate::session::kept::row::{
    Addressee, CountsRow, Key, SessionRow, StoredMessage, TurnMessage,
};
use crate::session::kept::{COUNT_MAX, Restored, RestoredSession};
use crate::session::{Close, SessionCore, SessionId, SessionSet};

/// All that rows tell of one durable session.
pub(crate) struct Past {
    row: SessionRow,
    counts: CountsRow,
    base: u64,
    /// What it was sent by turns whose rows are there, by number.
    messages: BTreeMap<u64, (Version, TurnMessage)>,
    /// Rows are missing, or do not fit each other.
    has_gap: bool,
}

impl Past {
    pub(crate) fn new(row: SessionRow, counts: CountsRow) -> Self {
        Self {
            base: counts.base,
            row,
            counts,
            messages: BTreeMap::new(),
            has_gap: false,
        }
    }

    pub(crate) fn has_gap(&mut self) {
        self.has_gap = true;
    }

    /// A turn has sent it something; turns come in their order.
    pub(crate) fn sent(&mut self, version: Version, to: &Addressee, messages: &[TurnMessage]) {
        if to.first > COUNT_MAX || to.base > COUNT_MAX {
            self.has_gap = true;
            return;
        }
        self.base = self.base.max(to.base);
        for (number, index) in (to.first..).zip(&to.messages) {
            let message = usize::try_from(*index).ok().and_then(|i| messages.get(i));
            let last = self.messages.last_key_value().map_or(0, |(last, _)| *last);
            match message {
                Some(message) if number > last => {
                    self.messages.insert(number, (version, message.clone()));
                }
                _ => self.has_gap = true,
            }
        }
    }

    /// The last number that was given.
    fn last(&self) -> u64 {
        let last = self.messages.last_key_value().map_or(0, |(last, _)| *last);
        last.max(self.base)
    }

    /// Why the session does not go on.
    fn over(&self) -> Option<Close> {
        if let Some(over) = &self.counts.over {
            return Some(over.clone().into());
        }
        let reason = "what was stored of the session cannot be read";
        self.has_gap
            .then(|| Close::new(Close::INTERNAL_ERROR, reason))
    }

    /// What of it the client may still want.
    fn line(&self) -> Line {
        let mut line = Line::default();
        for (number, (version, message)) in &self.messages {
            line.push(*number, *version, message);
        }
        line.sent = self.last();
        line.acknowledge(self.base);
        line
    }

    fn entry(&self, core: Arc<SessionCore>, line: Line) -> Entry {
        Entry {
            core,
            received: self.counts.received,
            base: self.base,
            is_over: false,
            line,
        }
    }

    /// The session's row with what it was sent, as that of an ordinary session has it.
    fn as_row(&self, line: &Line) -> SessionRow {
        let sent = self.last();
        let kept = line.kept.keys().filter_map(|number| {
            let (key, frame) = match &self.messages[number].1 {
                TurnMessage::Reliable(frame) => (None, frame.clone()),
                TurnMessage::Latest(key, frame) => (Some(key.clone()), frame.clone()),
                TurnMessage::Lossy => return None,
            };
            let number = *number;
            Some(StoredMessage { number, key, frame })
        });
        SessionRow {
            sent,
            written: self.base,
            forgotten: self.base,
            received: self.counts.received,
            kept: kept.collect(),
            ..self.row.clone()
        }
    }
}

impl Journal {
    /// Adds the sessions to what is restored, those over too, and makes the journal. `make` makes a session of
    /// a row that is sound.
    pub(crate) fn restore(
        wake: Timestamp,
        durable: BTreeMap<SessionId, Past>,
        set: &SessionSet,
        make: impl Fn(SessionId, SessionRow) -> Option<Arc<SessionCore>>,
        restored: &mut Restored,
    ) {
        let mut journal = Self {
            wake: Some(wake),
            ..Self::default()
        };
        for (id, past) in durable {
            let rows = [Key::Session(id), Key::Counts(id)];
            match set.ended(id) {
                // The object knows of its end, and only its rows are left.
                Some((_, Told::Yes)) => {
                    journal.gone.extend(rows);
                    journal.ended.push(id);
                    journal.know(&past);
                }
                // The turn on its end could not be committed, and comes again.
                Some((core, Told::No)) => {
                    journal.know(&past);
                    let mut entry = past.entry(core, Line::default());
                    (entry.line.sent, entry.is_over) = (past.last(), true);
                    journal.sessions.insert(id, entry);
                }
                None => {
                    journal.know(&past);
                    journal.restore_one(id, past, set, &make, restored);
                }
            }
        }
        let needless = journal.turns.extract_if(.., |_, wanted| *wanted == 0);
        let needless: Vec<Key> = needless.map(|(version, _)| Key::Turn(version)).collect();
        journal.gone.extend(needless);
        restored.journal = Some(Box::new(journal));
    }

    fn restore_one(
        &mut self,
        id: SessionId,
        past: Past,
        set: &SessionSet,
        make: &impl Fn(SessionId, SessionRow) -> Option<Arc<SessionCore>>,
        restored: &mut Restored,
    ) {
        let over = past.over();
        let (place, presence) = (past.row.place, past.row.presence.clone());
        let mut line = past.line();
        let member = set.get(id);
        let core = match &member {
            Some(core) => core.clone(),
            None => {
                let Some(core) = make(id, past.as_row(&line)) else {
                    restored.unreadable.push(format!("durable session {id}"));
                    let writes = &mut restored.deletes.writes;
                    writes.extend([Key::Session(id).delete(), Key::Counts(id).delete()]);
                    return;
                };
                core.make_durable();
                core
            }
        };
        line.acknowledge(core.outbound.acknowledged());
        let is_over = over.is_some();
        if is_over {
            line.forget();
        }
        for kept in line.kept.values() {
            *self.turns.entry(kept.version).or_default() += 1;
            self.wanted += 1;
        }
        if let Some(close) = over {
            core.outbound.close(close);
        } else if core
            .outbound
            .sent_while_open()
            .is_some_and(|sent| sent != line.sent)
        {
            // A commit of which nobody knew the outcome has become durable, and what it sent was dropped.
            let reason = "what was sent to this session could not be stored";
            let close = Close::new(Close::INTERNAL_ERROR, reason);
            core.outbound.close(close);
        }
        restored.sessions.push(RestoredSession {
            core: core.clone(),
            place,
            presence,
            is_durable: true,
        });
        let mut entry = past.entry(core, line);
        entry.is_over = is_over;
        if !entry.is_over && entry.line.acknowledged > entry.base {
            self.unrecorded.insert(id);
        }
        self.sessions.insert(id, entry);
    }

    /// Notes the rows in which its messages are; who wants them is counted later.
    fn know(&mut self, past: &Past) {
        for (version, _) in past.messages.values() {
            self.turns.entry(*version).or_default();
        }
    }
}
