//! One stored alarm, in every form that releases have written it.

use std::sync::Arc;

use abide_storage::Timestamp;
use abide_storage::codec::{self, DecodeError};
use serde::{Deserialize, Serialize};

use super::cron::CronText;

/// Parked alarms lie in the index by time under this time and the one they were parked at: far
/// behind all that will ever be due, so nothing fires them, and in an order that can be listed.
/// 2⁶³ ms are 292 million years.
pub(crate) const PARKED_FROM: Timestamp = Timestamp(1 << 63);
/// What lies behind the parked ones: an alarm that an early release set for the end of time.
pub(crate) const PARKED_UNTIL: Timestamp = Timestamp((1 << 63) + (1 << 48));
/// The latest an alarm can be due.
pub(crate) const NEVER: Timestamp = Timestamp((1 << 63) - 1);

/// The form of the row that this release writes.
const FORM: u8 = 2;
/// Of the error of a failed turn this much is kept, bytes.
const FAILURE_SIZE_MAX_BYTES: usize = 512;

/// One stored alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmRow {
    /// When actor code set it for, or the time by its cron expression.
    pub(crate) scheduled: Timestamp,
    pub(crate) standing: Standing,
    /// Failures in a row.
    pub(crate) retries: u32,
    /// How many alarms before it were each set, for at once, by the one before: the loop guard.
    pub(crate) chain: u32,
    /// When it is to recur.
    pub(crate) cron: Option<CronText>,
    /// The last failure; kept until the alarm has succeeded.
    pub(crate) failure: Option<Failure>,
}

/// Whether an alarm is going to fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It is to fire: when it was set for, or at the next retry.
    Due(Timestamp),
    /// It waits for an operator, or to be set again.
    Parked {
        /// Unix time 0 when the release that parked it did not note the time.
        since: Timestamp,
        why: Parked,
    },
}

/// Why an alarm is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Parked {
    /// It has failed more than `alarm_retries_max` times in a row.
    Failures,
    /// Its chain of alarms, each of which set the next one for at once, had `alarm_chain_max` links.
    Loop,
    /// This release cannot tell when its cron expression occurs next.
    Schedule,
}

impl Parked {
    /// One word, for logs and listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Loop => "loop",
            Self::Schedule => "schedule",
        }
    }
}

/// A turn that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) at: Timestamp,
    pub(crate) error: Arc<str>,
}

impl Failure {
    pub(crate) fn new(at: Timestamp, error: &str) -> Self {
        let end = error.floor_char_boundary(FAILURE_SIZE_MAX_BYTES);
        let error = error[..end].into();
        Self { at, error }
    }
}

/// The row as release 0.1.0 wrote it at first.
#[derive(Deserialize)]
struct FirstForm {
    scheduled: Timestamp,
    /// `None`: parked.
    due: Option<Timestamp>,
    retries: u32,
}

impl From<FirstForm> for AlarmRow {
    fn from(first: FirstForm) -> Self {
        let parked = Standing::Parked {
            since: Timestamp(0),
            why: Parked::Failures,
        };
        Self {
            scheduled: first.scheduled,
            standing: first.due.map_or(parked, Standing::Due),
            retries: first.retries,
            chain: 0,
            cron: None,
            failure: None,
        }
    }
}

impl AlarmRow {
    /// A new alarm, for a moment that may have passed.
    pub(crate) fn new(scheduled: Timestamp) -> Self {
        Self {
            scheduled,
            standing: Standing::Due(scheduled.min(NEVER)),
            retries: 0,
            chain: 0,
            cron: None,
            failure: None,
        }
    }

    /// When it is to fire; `None` when it is parked.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Due(due) => Some(due),
            Standing::Parked { .. } => None,
        }
    }

    /// Where the index by time has it.
    pub(crate) fn indexed_at(&self) -> Timestamp {
        match self.standing {
            Standing::Due(due) => due,
            Standing::Parked { since, .. } => {
                Timestamp((PARKED_FROM.0 + since.0.min(1 << 47)).min(PARKED_UNTIL.0))
            }
        }
    }

    /// The row after the alarm's turn has succeeded at `now`: none, or that of its next time by the
    /// calendar. Times that have passed meanwhile, as while the node was down, were all handled
    /// by this one turn. A clock that was set back does not repeat the time just handled.
    pub(crate) fn recurring(self, now: Timestamp) -> Option<Self> {
        let cron = self.cron?;
        let next = cron.next_after(now.max(self.scheduled));
        let row = Self {
            cron: Some(cron),
            ..Self::new(next.as_ref().copied().unwrap_or(self.scheduled))
        };
        Some(match next {
            Ok(_) => row,
            Err(invalid) => Self {
                failure: Some(Failure::new(now, &invalid.to_string())),
                ..row.parked(now, Parked::Schedule)
            },
        })
    }

    pub(crate) fn parked(mut self, since: Timestamp, why: Parked) -> Self {
        self.standing = Standing::Parked { since, why };
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode_form(FORM, self, &mut bytes).expect("numbers and text always encode");
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec::form(bytes)? {
            1 => codec::decode::<FirstForm>(bytes).map(Self::from),
            FORM => codec::decode_form(bytes),
            newer => {
                let detail = format!("form {newer} of an alarm was written by a newer release");
                Err(DecodeError::Malformed(detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> AlarmRow {
        AlarmRow::new(Timestamp(7))
    }

    /// These bytes are on disks: a change here is a new form, never a new expectation.
    #[test]
    fn golden_bytes_of_form_2() {
        assert_eq!(row().encode(), [2, 2, 7, 0, 7, 0, 0, 0, 0]);
        let whole = AlarmRow {
            retries: 3,
            chain: 4,
            cron: Some(CronText {
                expression: "@daily".into(),
                zone: "UTC".into(),
            }),
            failure: Some(Failure::new(Timestamp(8), "no")),
            ..row()
        };
        let head = |standing: &[u8]| [&[2, 2, 7][..], standing, &[3, 4, 1, 6]].concat();
        let tail = b"@daily\x03UTC\x01\x08\x02no";
        let bytes = whole.encode();
        assert_eq!(bytes, [&head(&[0, 7])[..], tail].concat());
        assert_eq!(AlarmRow::decode(&bytes), Ok(whole.clone()));
        let reasons = [Parked::Failures, Parked::Loop, Parked::Schedule];
        for (number, why) in (0..).zip(reasons) {
            let parked = whole.clone().parked(Timestamp(9), why);
            let bytes = parked.encode();
            assert_eq!(bytes, [&head(&[1, 9, number])[..], tail].concat());
            assert_eq!(AlarmRow::decode(&bytes), Ok(parked));
        }
    }

    /// What release 0.1.0 wrote at first: scheduled, perhaps due, retries.
    #[test]
    fn form_1_is_read() {
        let set = AlarmRow::decode(&[1, 7, 1, 9, 2]).unwrap();
        assert_eq!(
            (set.scheduled, set.due(), set.retries),
            (Timestamp(7), Some(Timestamp(9)), 2)
        );
        let parked = AlarmRow::decode(&[1, 7, 0, 5]).unwrap();
        assert_eq!((parked.due(), parked.retries), (None, 5));
        assert_eq!(parked.indexed_at(), PARKED_FROM);
    }

    #[test]
    fn one_without_a_cron_expression_is_gone_when_it_is_handled() {
        assert_eq!(row().recurring(Timestamp(8)), None);
    }

    #[test]
    fn one_with_a_cron_expression_recurs_once_for_all_times_that_passed() {
        let hourly = CronText {
            expression: "@hourly".into(),
            zone: "UTC".into(),
        };
        let hour = |number: u64| Timestamp(number * 3_600_000);
        let row = AlarmRow {
            cron: Some(hourly),
            retries: 4,
            chain: 5,
            failure: Some(Failure::new(hour(2), "no")),
            ..AlarmRow::new(hour(1))
        };
        let next = |now| row.clone().recurring(now).unwrap();
        let after = next(Timestamp(hour(5).0 + 1));
        assert_eq!((after.scheduled, after.due()), (hour(6), Some(hour(6))));
        assert_eq!((after.retries, after.chain, &after.failure), (0, 0, &None));
        assert_eq!(next(hour(6)).scheduled, hour(7));
        assert_eq!(
            next(hour(0)).scheduled,
            hour(2),
            "a clock that was set back"
        );
    }

    /// The time zones of another release may lack one that an alarm was stored with.
    #[test]
    fn one_whose_next_time_cannot_be_told_is_parked() {
        let lost = CronText {
            expression: "@hourly".into(),
            zone: "Europe/Atlantis".into(),
        };
        let row = AlarmRow {
            cron: Some(lost.clone()),
            ..row()
        };
        let parked = row.recurring(Timestamp(8)).unwrap();
        let (since, why) = (Timestamp(8), Parked::Schedule);
        assert_eq!(parked.standing, Standing::Parked { since, why });
        assert_eq!(parked.cron, Some(lost));
        assert!(parked.failure.unwrap().error.contains("no time zone"));
    }

    #[test]
    fn a_newer_form_is_named_as_such() {
        let error = AlarmRow::decode(&[2, 3, 7]).unwrap_err();
        assert!(error.to_string().contains("newer release"), "{error}");
    }

    #[test]
    fn parked_rows_lie_behind_all_that_can_be_due() {
        let never = AlarmRow::new(Timestamp(u64::MAX));
        assert_eq!(never.scheduled, Timestamp(u64::MAX));
        assert_eq!(never.due(), Some(NEVER));
        for since in [0, 1_767_225_600_000, u64::MAX] {
            let parked = row().parked(Timestamp(since), Parked::Loop);
            let place = parked.indexed_at();
            assert!(NEVER < place && PARKED_FROM <= place && place < PARKED_UNTIL);
        }
    }

    #[test]
    fn of_a_long_error_the_beginning_is_kept() {
        let failure = Failure::new(Timestamp(0), &"ä".repeat(400));
        assert_eq!(&*failure.error, "ä".repeat(256));
    }
}
