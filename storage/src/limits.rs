//! What one commit may be.

use crate::batch::{Commit, KEY_SIZE_MAX_BYTES, Write};
use crate::store::CommitError;

/// Default of the largest encoded commit, bytes: what one group of the log holds with ease.
pub(crate) const COMMIT_SIZE_MAX_BYTES_DEFAULT: usize = 8 << 20;

/// What a row takes besides key and value, bytes, rounded up.
const ROW_OVERHEAD_BYTES: usize = 16;

/// Refuses a commit that is larger than the limit, or has a key longer than keys may be.
pub(crate) fn check(commit: &Commit, limit_bytes: usize) -> Result<(), CommitError> {
    let mut size_bytes = 0_usize;
    for write in &commit.batch.writes {
        let (key, value_size_bytes) = match write {
            Write::Put { key, value, .. } => (key, value.len()),
            Write::Delete { key, .. } => (key, 0),
            Write::ScheduleAlarm { name, .. } | Write::UnscheduleAlarm { name, .. } => (name, 0),
        };
        if key.len() > KEY_SIZE_MAX_BYTES {
            let (size_bytes, limit_bytes) = (key.len(), KEY_SIZE_MAX_BYTES);
            return Err(CommitError::TooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        size_bytes += ROW_OVERHEAD_BYTES + key.len() + value_size_bytes;
    }
    if size_bytes > limit_bytes {
        return Err(CommitError::TooLarge {
            size_bytes,
            limit_bytes,
        });
    }
    Ok(())
}
