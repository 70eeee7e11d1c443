//! Changes the server makes itself, when it is asked to by a call. To the editors they are edits
//! like those of anybody else: durable before they are seen, merged with what others write.

use abide::prelude::*;

use super::edit::{self, Edit};
use super::versions::Cause;
use super::{Document, SIZE_MAX_BYTES, refusal};

/// What restoring a version did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Restored {
    /// The version that has what was there before: restoring it undoes this. `None` when there was
    /// nothing to change.
    pub(crate) undo: Option<u64>,
}

impl Document {
    /// Puts text at a place.
    pub(super) fn put_in(
        &mut self,
        ctx: &mut Context<Self>,
        field: &str,
        at: u32,
        text: &str,
    ) -> Result<(), ActorError> {
        if !edit::is_place(&self.plain(field)?, at) {
            let message = format!("{at} is beyond the text, or in the middle of a character");
            return Err(refusal("no-such-place", message, 422));
        }
        let edit = Edit {
            at,
            removed: 0,
            inserted: text,
        };
        self.change(ctx, field, &[edit])
    }

    /// Puts `with` in the place of every `find`; answers of how many.
    pub(super) fn put_for(
        &mut self,
        ctx: &mut Context<Self>,
        field: &str,
        find: &str,
        with: &str,
    ) -> Result<usize, ActorError> {
        if find.is_empty() {
            return Err(refusal("nothing-to-find", "'find' is empty", 400));
        }
        let edits = edit::replacing(&self.plain(field)?, find, with).ok_or_else(|| {
            let message = "there are too many places for one change: find a longer text";
            refusal("too-many-places", message, 422)
        })?;
        self.change(ctx, field, &edits)?;
        Ok(edits.len())
    }

    /// Makes the field say `text`, and changes no more than that takes.
    pub(super) fn put_all(
        &mut self,
        ctx: &mut Context<Self>,
        field: &str,
        text: &str,
    ) -> Result<(), ActorError> {
        let edits = edit::between(&self.plain(field)?, text);
        self.change(ctx, field, &edits)
    }

    /// Makes a field say what it said in a version. What it says now is kept as a version first.
    pub(super) async fn put_back(
        &mut self,
        ctx: &mut Context<Self>,
        field: &str,
        number: u64,
    ) -> Result<Restored, ActorError> {
        let (_, then) = self.versions.open(ctx, number).await?;
        let text = then.plain_text(field).ok_or_else(|| not_plain(field))?;
        let now = self.plain(field)?;
        let edits = edit::between(&now, &text);
        if edits.is_empty() {
            return Ok(Restored { undo: None });
        }
        let undo = match self.versions.current(self.log.changes()) {
            Some(current) => current,
            None => self.keep_version(ctx, Cause::Restore(number))?,
        };
        self.change(ctx, field, &edits)?;
        Ok(Restored { undo: Some(undo) })
    }

    /// Keeps the document as it is now.
    pub(super) fn keep_version(
        &mut self,
        ctx: &mut Context<Self>,
        cause: Cause,
    ) -> Result<u64, ActorError> {
        let (snapshot, changes) = (self.replica.snapshot(), self.log.changes());
        self.versions.keep(ctx, cause, &snapshot, changes)
    }

    fn plain(&self, field: &str) -> Result<String, ActorError> {
        self.replica
            .plain_text(field)
            .ok_or_else(|| not_plain(field))
    }

    fn change(
        &mut self,
        ctx: &mut Context<Self>,
        field: &str,
        edits: &[Edit<'_>],
    ) -> Result<(), ActorError> {
        if edits.is_empty() {
            return Ok(());
        }
        self.check_room(ctx, edits.iter().map(|edit| edit.inserted.len()).sum())?;
        let update = self.replica.edit(field, edits);
        Ok(self.record(ctx, &update, &[])?)
    }

    /// Refuses so many bytes more when the document would be too large.
    pub(super) fn check_room(
        &mut self,
        ctx: &mut Context<Self>,
        more: usize,
    ) -> Result<(), ActorError> {
        if self.make_room(ctx, more)? {
            return Ok(());
        }
        let message = format!("a document has {SIZE_MAX_BYTES} bytes at most");
        Err(refusal("document-too-large", message, 413))
    }
}

fn not_plain(field: &str) -> ActorError {
    let message = format!("'{field}' is no plain text: it has formats, elements or values");
    refusal("not-plain-text", message, 409)
}
