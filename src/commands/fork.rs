//! `abide fork`: an object becomes two.

use clap::Args;
use http::Method;

use super::admin::Admin;
use super::object::{ObjectName, Terms};
use crate::error::Result;
use crate::protocol::{Fork, Replaced};

/// Makes another object a copy of one, as it is now, on a running server.
///
/// The copy has state, stored rows and alarms. It has none of the replies that the original keeps
/// for idempotency keys, and sends none of the messages the original has on their way.
#[derive(Debug, Args)]
pub(crate) struct ForkObject {
    /// The object: namespace/name, or namespace/id:<64 hex digits>.
    object: ObjectName,
    /// The object to make, of the same kind: namespace/name.
    to: ObjectName,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    admin: Admin,
}

impl ForkObject {
    pub(super) async fn run(self) -> Result<()> {
        let path = format!("{}/fork?{}", self.object.path(), self.terms.query());
        let to = self.to.to_string();
        let client = self.admin.client()?;
        let replaced: Replaced = client.change(Method::POST, &path, &Fork { to }).await?;
        self.admin.print(&replaced, |replaced| {
            format!("{} is at version {}", replaced.object, replaced.version)
        });
        Ok(())
    }
}
