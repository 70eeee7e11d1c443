//! `abide objects`: what there is in a namespace.

use clap::Args;

use super::admin::{Admin, plain};
use crate::admin_client::segment;
use crate::error::Result;
use crate::protocol::{ListedObject, Listing};

/// Lists the objects of a namespace that have been written, in order of their ids.
#[derive(Debug, Args)]
pub(crate) struct Objects {
    /// The namespace.
    namespace: String,
    /// Only those whose name begins so.
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    admin: Admin,
}

impl Objects {
    pub(super) async fn run(self) -> Result<()> {
        let path = format!(
            "/admin/v1/objects/{}?prefix={}",
            segment(&self.namespace),
            segment(&self.prefix)
        );
        let client = self.admin.client()?;
        let mut lines = client.lines::<ListedObject, Listing>(&path).await?;
        while let Some(object) = lines.next().await? {
            self.admin.output(&object, |object| {
                let name = object.name.as_deref().map_or("-".to_owned(), plain);
                format!("{}\tversion {}\t{name}", object.id, object.version)
            })?;
        }
        if let Some(listing) = lines.end() {
            self.admin
                .output(&listing, |listing| format!("{} objects", listing.objects))?;
        }
        Ok(())
    }
}
