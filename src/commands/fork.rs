//! `abide fork`: an object becomes two.

use clap::Args;
use http::Method;

use super::admin::{Admin, plain};
use super::object::{ObjectName, Terms};
use crate::admin_client::segment;
use crate::error::Result;
use crate::protocol::{Fork, Replaced};

/// Makes another object a copy of one on a running server, as it is now or as it was.
///
/// The copy has state, stored rows and alarms. It has none of the replies that the original keeps
/// for idempotency keys, and sends none of the messages the original has on their way.
#[derive(Debug, Args)]
pub(crate) struct ForkObject {
    /// The object: namespace/name, or namespace/id:<64 hex digits>.
    object: ObjectName,
    /// The object to make, of the same kind: namespace/name. The same one sets it back (--at, --replace).
    to: ObjectName,
    /// As it was after a commit or at a time such as 2026-11-23T13:40:00Z, from the server's history.
    #[arg(long, value_name = "COMMIT|TIME")]
    at: Option<String>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    admin: Admin,
}

impl ForkObject {
    pub(super) async fn run(self) -> Result<()> {
        let mut path = format!("{}/fork?{}", self.object.path(), self.terms.query());
        if let Some(at) = &self.at {
            path.push_str("&at=");
            path.push_str(&segment(at));
        }
        let to = self.to.to_string();
        let client = self.admin.client()?;
        let replaced: Replaced = client.change(Method::POST, &path, &Fork { to }).await?;
        self.admin.print(&replaced, |replaced| {
            format!(
                "{} is at version {}",
                plain(&replaced.object),
                replaced.version
            )
        });
        Ok(())
    }
}
