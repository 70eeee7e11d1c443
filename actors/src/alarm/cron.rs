//! Alarms that recur by the calendar: a cron expression and the time zone it is meant in.
//!
//! The expression is kept as text and parsed when the next time is wanted: a parsed one takes
//! kilobytes, and a million alarms have one each. Time zones are those of the IANA database that
//! is built in, so every node and every machine knows the same rules.

use std::fmt;
use std::sync::Arc;

use abide_storage::Timestamp;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// Longest expression, bytes; every field spelled out as a list is shorter.
const EXPRESSION_SIZE_MAX_BYTES: usize = 512;
/// 2024-01-01 00:00 UTC. An expression is valid when it occurs after this: calendars repeat, so one
/// that does occurs again and again, and no clock needs to be asked.
const ANY_TIME: Timestamp = Timestamp(1_704_067_200_000);

/// When an alarm recurs: a cron expression, read in a time zone.
///
/// Five fields, minute to day of the week, or six with seconds in front; lists, ranges, steps, names
/// (`MON-FRI`, `JAN`), `L` for the last day, `#` for the n-th weekday, and `@hourly`, `@daily`,
/// `@weekly`, `@monthly`, `@yearly`. The zone is a name of the IANA database, such as
/// `Europe/Berlin`, or `UTC`.
///
/// **Where clocks change**, an expression with one value each for second, minute and hour (`30 2 * * *`)
/// happens exactly once a day: a time that does not exist is taken at the end of the gap (03:00),
/// one that exists twice at the first of the two. Any other (`*/15 * * * *`, `30 2,14 * * *`) happens
/// at each time that the clock shows: not at all in the gap, twice in the hour that comes twice,
/// so that every quarter of an hour stays every quarter of an hour.
///
/// ```
/// # extern crate abide_actors as abide;
/// # use abide::{Alarm, ActorError, Context, Cron, actor};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize)] struct Report;
/// #[actor]
/// impl Report {
///     #[call]
///     fn begin(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
///         ctx.set_alarm("report", Cron::new("0 9 * * MON-FRI", "Europe/Berlin")?)?;
///         Ok(())
///     }
///     fn alarm(&mut self, _alarm: Alarm) { /* at nine on every weekday */ }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CronText", into = "CronText")]
pub struct Cron(CronText);

impl Cron {
    /// Reads an expression and a time zone.
    ///
    /// # Errors
    /// [`InvalidCron`]: one of the two is not well formed, or the expression never occurs, like the
    /// thirtieth of February.
    pub fn new(expression: &str, zone: &str) -> Result<Self, InvalidCron> {
        Self::try_from(CronText {
            expression: expression.into(),
            zone: zone.into(),
        })
    }

    /// The expression, as given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.0.expression
    }

    /// The name of the time zone, as given.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.0.zone
    }

    /// The first time it occurs after `after`; `None` beyond the end of the calendar.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.next_after(after).ok()
    }

    pub(crate) fn text(&self) -> &CronText {
        &self.0
    }

    /// Of a row that a `Cron` was stored in.
    pub(crate) fn stored(text: CronText) -> Self {
        Self(text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression(), self.zone())
    }
}

impl TryFrom<CronText> for Cron {
    type Error = InvalidCron;

    fn try_from(text: CronText) -> Result<Self, InvalidCron> {
        text.next_after(ANY_TIME)?;
        Ok(Self(text))
    }
}

impl From<Cron> for CronText {
    fn from(cron: Cron) -> Self {
        cron.0
    }
}

/// A [`Cron`] as it is stored. It was valid when it was; a release whose time zones differ may
/// have to refuse it, and that must not keep the object from being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CronText {
    pub(crate) expression: Arc<str>,
    pub(crate) zone: Arc<str>,
}

impl CronText {
    /// The first time it occurs after `after`.
    pub(crate) fn next_after(&self, after: Timestamp) -> Result<Timestamp, InvalidCron> {
        if self.expression.len() > EXPRESSION_SIZE_MAX_BYTES {
            return Err(self.invalid(format!(
                "the expression has {} bytes, {EXPRESSION_SIZE_MAX_BYTES} at most",
                self.expression.len()
            )));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let pattern = parser
            .parse(&self.expression)
            .map_err(|error| self.invalid(error.to_string()))?;
        let zone = self.time_zone()?;
        let after = i64::try_from(after.0)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .ok_or_else(|| self.invalid("it does not occur again".to_owned()))?
            .to_zoned(zone);
        let next = pattern
            .find_next_occurrence(&after, false)
            .map_err(|_| self.invalid("it never occurs".to_owned()))?;
        u64::try_from(next.timestamp().as_millisecond())
            .map(Timestamp)
            .map_err(|_| self.invalid("it occurs before 1970 only".to_owned()))
    }

    fn time_zone(&self) -> Result<TimeZone, InvalidCron> {
        let known = TimeZoneDatabase::bundled().get(&self.zone);
        known.map_err(|_| {
            let shown: String = self.zone.chars().take(80).collect();
            self.invalid(format!("no time zone '{shown}' is known"))
        })
    }

    fn invalid(&self, problem: String) -> InvalidCron {
        InvalidCron {
            expression: self.expression.chars().take(80).collect(),
            problem,
        }
    }
}

/// A cron expression or time zone that cannot be used. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cron expression '{expression}': {problem}")]
pub struct InvalidCron {
    expression: String,
    problem: String,
}

#[cfg(test)]
mod tests;
