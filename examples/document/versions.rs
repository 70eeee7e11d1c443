//! Earlier states of a document, kept beside it.
//!
//! ```text
//! versions             the list of them
//! v/{number}/{piece}   one: an update of the whole document, compressed, in pieces
//! ```
//! One is kept ten minutes after a change when none was kept since, before another one is
//! restored, and whenever somebody gives the document of the moment a name. `thinning.rs` says
//! which are given up.

use abide::prelude::*;

use super::replica::{Replica, decode};
use super::thinning::{SIZE_MAX_BYTES, surplus};
use super::{Document, refusal};

/// The row of the list.
const LIST: &str = "versions";
/// Largest piece of a version.
const PIECE_SIZE_MAX_BYTES: usize = 64 * 1024;
/// Versions with a name: at most so many, and at most half of the room, so that there is always
/// some for those without.
const NAMED_MAX: usize = 50;
const NAMED_SIZE_MAX_BYTES: u64 = SIZE_MAX_BYTES / 2;
/// Longest name, characters.
const NAME_SIZE_MAX_CHARS: usize = 100;

/// All versions of a document, in the order of time; stored as a row of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    kept: Vec<Kept>,
    /// Number of the newest there has been.
    newest: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    pub(crate) cause: Cause,
    /// As stored.
    pub(crate) size_bytes: u64,
    pub(crate) pieces: u64,
    /// How many changes the document had had.
    pub(crate) changes: u64,
}

/// Why it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// Time had passed.
    Automatic,
    /// Somebody gave it this name.
    Named(String),
    /// The version of this number was about to be restored.
    Restore(u64),
}

/// A version, as calls tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Version {
    /// Counts the versions of the document.
    pub(crate) number: u64,
    /// When it was kept, in milliseconds since 1970.
    pub(crate) at: u64,
    /// The name somebody gave it; versions with a name are kept until they are deleted.
    pub(crate) name: Option<String>,
    /// The version whose restoring it was kept for: to restore this one undoes that.
    pub(crate) before_restoring: Option<u64>,
    /// Stored bytes.
    pub(crate) bytes: u64,
}

impl Versions {
    pub(crate) async fn load(ctx: &Context<Document>) -> Result<Self, CallError> {
        Ok(ctx.storage().get(LIST).await?.unwrap_or_default())
    }

    /// All of them, the newest first.
    pub(crate) fn list(&self) -> Vec<Version> {
        self.kept.iter().rev().map(Version::of).collect()
    }

    /// The newest one, when nothing was changed since.
    pub(crate) fn current(&self, changes: u64) -> Option<u64> {
        let newest = self.kept.last()?;
        (newest.changes == changes).then_some(newest.number)
    }

    /// Stages one more and gives up those that are too many; answers its number.
    pub(crate) fn keep(
        &mut self,
        ctx: &mut Context<Document>,
        cause: Cause,
        snapshot: &[u8],
        changes: u64,
    ) -> Result<u64, ActorError> {
        let packed = Bytes::from(lz4_flex::compress_prepend_size(snapshot));
        let size_bytes = packed.len() as u64;
        if let Cause::Named(name) = &cause {
            check_name(name)?;
            self.check_room(size_bytes)?;
        }
        self.newest += 1;
        let number = self.newest;
        let mut pieces = 0;
        for start in (0..packed.len()).step_by(PIECE_SIZE_MAX_BYTES) {
            let end = packed.len().min(start + PIECE_SIZE_MAX_BYTES);
            let piece = packed.slice(start..end);
            ctx.storage_mut().put_bytes(&row(number, pieces), piece)?;
            pieces += 1;
        }
        self.kept.push(Kept {
            number,
            at_ms: ctx.now().0,
            cause,
            size_bytes,
            pieces,
            changes,
        });
        for number in surplus(&self.kept, ctx.now().0) {
            self.drop_rows(ctx, number)?;
        }
        self.store(ctx)?;
        Ok(number)
    }

    /// Stages a new name, which keeps the version from being given up.
    pub(crate) fn name(
        &mut self,
        ctx: &mut Context<Document>,
        number: u64,
        name: String,
    ) -> Result<Version, ActorError> {
        check_name(&name)?;
        let kept = self.find(number)?;
        if !kept.is_named() {
            self.check_room(kept.size_bytes)?;
        }
        let kept = self.kept.iter_mut().find(|kept| kept.number == number);
        let kept = kept.expect("it was found a moment ago");
        kept.cause = Cause::Named(name);
        let version = Version::of(kept);
        self.store(ctx)?;
        Ok(version)
    }

    /// Stages its removal.
    pub(crate) fn delete(
        &mut self,
        ctx: &mut Context<Document>,
        number: u64,
    ) -> Result<(), ActorError> {
        self.find(number)?;
        self.drop_rows(ctx, number)?;
        Ok(self.store(ctx)?)
    }

    /// The document as it was.
    pub(crate) async fn open(
        &self,
        ctx: &Context<Document>,
        number: u64,
    ) -> Result<(Version, Replica), ActorError> {
        let kept = self.find(number)?;
        let mut packed = Vec::new();
        for piece in 0..kept.pieces {
            let bytes = ctx.storage().get_bytes(&row(number, piece)).await?;
            packed.extend_from_slice(&bytes.ok_or_else(|| damaged("a row is missing"))?);
        }
        let snapshot = lz4_flex::decompress_size_prepended(&packed)
            .map_err(|problem| damaged(&problem.to_string()))?;
        // Nobody writes to it, so the number it would write under does not matter.
        let mut replica = Replica::new(0);
        let applied = decode(&snapshot).and_then(|update| replica.recall(update));
        applied.map_err(|problem| damaged(&problem.to_string()))?;
        Ok((Version::of(kept), replica))
    }

    fn find(&self, number: u64) -> Result<&Kept, ActorError> {
        let found = self.kept.iter().find(|kept| kept.number == number);
        found.ok_or_else(|| {
            let message = format!("the document has no version {number}");
            refusal("no-such-version", message, 404)
        })
    }

    /// Whether there may be one more with a name, of so many bytes.
    fn check_room(&self, more_bytes: u64) -> Result<(), ActorError> {
        let named = self.kept.iter().filter(|kept| kept.is_named());
        let (count, bytes) = named.fold((0, 0), |(count, bytes), kept| {
            (count + 1, bytes + kept.size_bytes)
        });
        if count < NAMED_MAX && bytes + more_bytes <= NAMED_SIZE_MAX_BYTES {
            return Ok(());
        }
        let message = format!(
            "a document keeps {NAMED_MAX} versions with a name, of {NAMED_SIZE_MAX_BYTES} bytes \
             together: delete one first"
        );
        Err(refusal("too-many-versions", message, 409))
    }

    fn drop_rows(&mut self, ctx: &mut Context<Document>, number: u64) -> Result<(), CallError> {
        let Some(at) = self.kept.iter().position(|kept| kept.number == number) else {
            return Ok(());
        };
        let kept = self.kept.remove(at);
        for piece in 0..kept.pieces {
            ctx.storage_mut().delete(&row(number, piece))?;
        }
        Ok(())
    }

    fn store(&self, ctx: &mut Context<Document>) -> Result<(), CallError> {
        ctx.storage_mut().put(LIST, self)
    }
}

impl Version {
    fn of(kept: &Kept) -> Self {
        let (name, before_restoring) = match &kept.cause {
            Cause::Automatic => (None, None),
            Cause::Named(name) => (Some(name.clone()), None),
            Cause::Restore(number) => (None, Some(*number)),
        };
        Self {
            number: kept.number,
            at: kept.at_ms,
            name,
            before_restoring,
            bytes: kept.size_bytes,
        }
    }
}

fn check_name(name: &str) -> Result<(), ActorError> {
    let chars = name.chars().count();
    if (1..=NAME_SIZE_MAX_CHARS).contains(&chars) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("a name has 1 to {NAME_SIZE_MAX_CHARS} characters in one line");
    Err(refusal("invalid-name", message, 400))
}

fn damaged(problem: &str) -> ActorError {
    let message = format!("the stored version cannot be read: {problem}");
    refusal("version-unreadable", message, 500)
}

fn row(number: u64, piece: u64) -> String {
    format!("v/{number:020}/{piece:020}")
}
