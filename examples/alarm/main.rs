//! Reminders with durable alarms: stop the server, start it later, and they still come.
//!
//! ```text
//! cargo run --example alarm
//!
//! curl -X POST http://127.0.0.1:7878/v1/reminders/ada/remind -H 'Content-Type: application/json' \
//!      -d '{"name": "tea", "in_ms": 5000, "text": "the tea is ready"}'
//! curl http://127.0.0.1:7878/v1/reminders/ada/pending     # for five seconds
//! curl http://127.0.0.1:7878/v1/reminders/ada/history     # from then on
//!
//! curl -X POST http://127.0.0.1:7878/v1/reminders/ada/remind_by_calendar -H 'Content-Type: application/json' \
//!      -d '{"name": "standup", "cron": "45 9 * * MON-FRI", "zone": "Europe/Berlin", "text": "stand up"}'
//! abide alarms                                            # what is pending, at the listener for operators
//! websocat ws://127.0.0.1:7878/v1/reminders/ada           # hears it when it fires
//! ```
//! With `"until_heard": true` and nobody connected the alarm fails and is retried, after 2 s, 4 s,
//! 8 s; the history says how often.

mod reminders;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::reminders::Reminders;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder()
        .actor::<Reminders>("reminders")
        .run()
        .await
}
