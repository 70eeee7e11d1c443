//! Frames from the object: counted, and acknowledged in time for the server to forget them.

use super::Time;

/// An acknowledgement is due at the latest after so many data messages, …
const MESSAGES_MAX: u64 = 32;
/// … so many bytes, …
const SIZE_MAX_BYTES: usize = 64 << 10;
/// … or so long after the first that is not acknowledged.
const WAIT_MAX: Time = Time::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Incoming {
    taken: u64,
    acknowledged: u64,
    unacknowledged_bytes: usize,
    /// When the acknowledgement is due at the latest.
    due: Option<Time>,
}

impl Incoming {
    /// A data message was taken.
    pub(crate) fn took(&mut self, size_bytes: usize, now: Time) {
        self.taken += 1;
        self.unacknowledged_bytes += size_bytes;
        self.note(now);
    }

    /// So many will not come, and count as taken.
    pub(crate) fn skipped(&mut self, count: u64, now: Time) {
        self.taken = self.taken.saturating_add(count);
        self.note(now);
    }

    fn note(&mut self, now: Time) {
        let full = self.taken - self.acknowledged >= MESSAGES_MAX
            || self.unacknowledged_bytes >= SIZE_MAX_BYTES;
        let due = if full { now } else { now + WAIT_MAX };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// How many were taken since the session began.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// When an acknowledgement has to be written.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    /// The count to acknowledge now, if it is time.
    pub(crate) fn acknowledge(&mut self, now: Time) -> Option<u64> {
        self.due.filter(|due| *due <= now)?;
        self.settled();
        Some(self.taken)
    }

    /// A new connection has told the server the count.
    pub(crate) fn settled(&mut self) {
        self.acknowledged = self.taken;
        self.unacknowledged_bytes = 0;
        self.due = None;
    }

    /// Another session begins.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(100);

    #[test]
    fn a_second_after_the_first_whatever_follows() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.due(), None);
        incoming.took(1, NOW);
        incoming.took(1, NOW + Time::from_millis(900));
        let due = NOW + Time::from_secs(1);
        assert_eq!(incoming.due(), Some(due));
        assert_eq!(incoming.acknowledge(due - Time::from_millis(1)), None);
        assert_eq!(incoming.acknowledge(due), Some(2));
        assert_eq!(incoming.due(), None);
    }

    #[test]
    fn at_once_after_32_messages_or_64_kib() {
        let mut incoming = Incoming::default();
        for _ in 0..31 {
            incoming.took(1, NOW);
        }
        assert_eq!(incoming.acknowledge(NOW), None);
        incoming.took(1, NOW);
        assert_eq!(incoming.acknowledge(NOW), Some(32));
        incoming.took(65_536, NOW);
        assert_eq!(incoming.acknowledge(NOW), Some(33));
    }

    #[test]
    fn what_was_skipped_counts_as_taken() {
        let mut incoming = Incoming::default();
        incoming.skipped(40, NOW);
        assert_eq!(
            (incoming.taken(), incoming.acknowledge(NOW)),
            (40, Some(40))
        );
    }
}
