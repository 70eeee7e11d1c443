//! `abide alarms`: what will fire, what is parked, and running one now.

use clap::Args;
use http::Method;
use jiff::Timestamp;

use super::admin::{Admin, plain};
use super::object::ObjectName;
use crate::admin_client::segment;
use crate::error::Result;
use crate::protocol::alarms::{ListedAlarm, ListedAlarms, RunAlarm, RunningAlarm};

/// Lists the alarms of a running server in order of time, or has one run now.
///
/// A parked alarm fires no more until it is run, or set again by its object: it has failed too often,
/// or was part of a loop.
#[derive(Debug, Args)]
pub(crate) struct Alarms {
    /// Lists those that are parked, with their last error, instead of those that will fire.
    #[arg(long, conflicts_with = "run")]
    parked: bool,
    /// Only those of this namespace.
    #[arg(long, conflicts_with = "run")]
    namespace: Option<String>,
    /// So many at most.
    #[arg(long, default_value_t = 100, conflicts_with = "run")]
    limit: usize,
    /// Has an alarm of this object run now, parked or not; its failures are counted anew.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    run: Option<ObjectName>,
    /// Name of the alarm to run; without it, the unnamed one.
    #[arg(long, value_name = "NAME", requires = "run")]
    alarm: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

impl Alarms {
    pub(super) async fn run(self) -> Result<()> {
        match &self.run {
            Some(object) => self.run_one(object).await,
            None => self.list().await,
        }
    }

    async fn run_one(&self, object: &ObjectName) -> Result<()> {
        let asked = RunAlarm {
            object: object.to_string(),
            alarm: self.alarm.clone().unwrap_or_default(),
        };
        let client = self.admin.client()?;
        let running: RunningAlarm = client
            .change(Method::POST, "/admin/v1/alarms/run", &asked)
            .await?;
        self.admin.print(&running, |running| {
            let due = moment(running.due_ms);
            format!(
                "alarm '{}' of {} runs now, {due}",
                asked.alarm, asked.object
            )
        });
        Ok(())
    }

    async fn list(&self) -> Result<()> {
        let client = self.admin.client()?;
        let mut left = self.limit;
        let mut after = None;
        while left > 0 {
            let page: ListedAlarms = client.get(&self.path(left, after.as_deref())).await?;
            left = left.saturating_sub(page.alarms.len());
            for alarm in page.alarms {
                self.admin.output(&alarm, describe)?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn path(&self, limit: usize, after: Option<&str>) -> String {
        let state = if self.parked { "parked" } else { "pending" };
        let mut path = format!("/admin/v1/alarms?state={state}&limit={limit}");
        for (key, value) in [("namespace", self.namespace.as_deref()), ("after", after)] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", segment(value)));
            }
        }
        path
    }
}

/// One line: when, whose, which, and what is known of its failures.
fn describe(alarm: &ListedAlarm) -> String {
    let when = match (alarm.due_ms, &alarm.parked) {
        (Some(due), _) => moment(due),
        (None, Some(why)) => format!("parked {} ({why})", moment(alarm.parked_at_ms.unwrap_or(0))),
        (None, None) => "parked".to_owned(),
    };
    let mut line = format!("{when}\t{}\t'{}'", alarm.object, plain(&alarm.alarm));
    if let Some(cron) = &alarm.cron {
        line.push_str(&format!("\tcron {cron}"));
    }
    if alarm.retries > 0 {
        line.push_str(&format!("\t{} failures", alarm.retries));
    }
    if let Some(error) = &alarm.last_error {
        line.push_str(&format!("\t{}", plain(error)));
    }
    line
}

/// A time for people; one beyond the calendar as its number.
fn moment(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| format!("{unix_ms} ms"), |moment| format!("{moment:.0}"))
}

#[cfg(test)]
mod tests {
    use super::{ListedAlarm, describe};

    #[test]
    fn a_line_says_when_whose_and_why() {
        let pending = ListedAlarm {
            object: "chat/id:0".into(),
            alarm: "tea".into(),
            scheduled_ms: 1_767_225_600_000,
            due_ms: Some(1_767_225_601_500),
            cron: Some("@daily UTC".into()),
            retries: 0,
            last_error: None,
            failed_at_ms: None,
            parked: None,
            parked_at_ms: None,
        };
        assert_eq!(
            describe(&pending),
            "2026-01-01T00:00:01Z\tchat/id:0\t'tea'\tcron @daily UTC"
        );
        let parked = ListedAlarm {
            due_ms: None,
            cron: None,
            retries: 4,
            last_error: Some("it is\nbroken".into()),
            parked: Some("failures".into()),
            parked_at_ms: Some(1_767_225_602_000),
            ..pending
        };
        assert_eq!(
            describe(&parked),
            "parked 2026-01-01T00:00:02Z (failures)\tchat/id:0\t'tea'\t4 failures\tit is\\nbroken"
        );
    }
}
