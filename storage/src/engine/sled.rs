//! sled 0.34 as an engine, made to survive power loss. The only file that names sled.
//!
//! By itself sled 0.34 does not: its `flush` uses `sync_file_range`, which is no durability; it
//! never syncs its `conf` file nor its folders; large values become files that are not synced.
//! So, as a recorded power-cut test of this recipe showed to hold:
//!
//! - `flush_every_ms(None)`, and after every flush our own `fdatasync` of its `db` file;
//! - `conf` and the folders are synced once after they were created;
//! - no large values: what is over 4 KiB is cut into pieces (`pieces.rs`);
//! - one tree, because a batch is atomic in one tree only;
//! - what sled writes while it opens, and does not open with again when it was cut short, is
//!   removed first: a draft of a snapshot that is not whole, and such a `conf`.

use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use self::pieces::{Head, PIECES};
use super::{Engine, EngineError, Row, is_empty_range};
use crate::store::Direction;

mod pieces;

/// How often, and after what pause, opening is tried while the files are held: 2 s in all.
const OPEN_ATTEMPTS: u32 = 200;
const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// An engine over sled.
#[derive(Debug)]
pub struct SledEngine {
    db: sled::Db,
    /// The file that all of sled's rows are in, opened a second time to sync it.
    file: File,
    folder: PathBuf,
}

impl SledEngine {
    /// Opens the engine in this folder, or creates it there.
    ///
    /// # Errors
    /// [`EngineError`] when sled cannot open its files or they cannot be synced. Opening again may succeed.
    pub fn open(folder: &Path, cache_size_bytes: u64) -> Result<Self, EngineError> {
        remove_cut_short(folder)?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(cache_size_bytes)
            .flush_every_ms(None);
        let db = open_when_free(&config)?;
        db.flush()?;
        let file = File::open(folder.join("db"))?;
        file.sync_all()?;
        sync_names(folder)?;
        Ok(Self {
            db,
            file,
            folder: folder.into(),
        })
    }

    /// The value that a row of the tree stands for, or `None` when the row went meanwhile.
    fn resolve(&self, key: &[u8], stored: sled::IVec) -> Result<Option<Bytes>, EngineError> {
        let mut stored = stored;
        loop {
            let missing = match Head::decode(&stored)? {
                Head::Inline(value) => return Ok(Some(Bytes::copy_from_slice(value))),
                Head::Cut {
                    side,
                    count,
                    size_bytes,
                } => match self.join_pieces(key, side, count, size_bytes)? {
                    Ok(value) => return Ok(Some(value)),
                    Err(missing) => missing,
                },
            };
            // The value may have been replaced between our two reads: then the head is another.
            match self.db.get(key)? {
                None => return Ok(None),
                Some(present) if present == stored => return Err(missing),
                Some(present) => stored = present,
            }
        }
    }

    /// The pieces of a value as one, or the error to report if no writer explains it.
    fn join_pieces(
        &self,
        key: &[u8],
        side: u8,
        count: u32,
        size_bytes: usize,
    ) -> Result<Result<Bytes, EngineError>, EngineError> {
        let mut value = Vec::new();
        for number in 0..count {
            match self.db.get(pieces::key(key, side, number))? {
                Some(piece) => value.extend_from_slice(&piece),
                None => return Ok(Err(pieces::missing(key, number))),
            }
        }
        Ok(if value.len() == size_bytes {
            Ok(value.into())
        } else {
            Err(pieces::missing(key, count))
        })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        if value.len() <= pieces::SIZE_MAX_BYTES {
            let old = self.db.insert(key, Head::Inline(value).encode())?;
            return self.remove_pieces(key, old);
        }
        // The pieces go to the side that the present value does not use, and the head follows
        // them: sled keeps its writes in order, so that a head never lacks its pieces.
        let side = match self.db.get(key)? {
            Some(stored) => Head::decode(&stored)?.other_side(),
            None => 0,
        };
        let mut count = 0;
        for piece in value.chunks(pieces::SIZE_MAX_BYTES) {
            self.db.insert(pieces::key(key, side, count), piece)?;
            count += 1;
        }
        let head = Head::Cut {
            side,
            count,
            size_bytes: value.len(),
        };
        let old = self.db.insert(key, head.encode())?;
        self.remove_pieces(key, old)
    }

    fn remove_pieces(&self, key: &[u8], head: Option<sled::IVec>) -> Result<(), EngineError> {
        let Some(stored) = head else { return Ok(()) };
        if let Head::Cut { side, count, .. } = Head::decode(&stored)? {
            for number in 0..count {
                self.db.remove(pieces::key(key, side, number))?;
            }
        }
        Ok(())
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        match self.db.get(key)? {
            Some(stored) => self.resolve(key, stored),
            None => Ok(None),
        }
    }

    fn scan(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        // Pieces are no rows.
        let end = if matches!(end, Bound::Unbounded) {
            Bound::Excluded(PIECES)
        } else {
            end
        };
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        let rows: &mut dyn Iterator<Item = _> = match direction {
            Direction::Forward => &mut self.db.range::<&[u8], _>((start, end)),
            Direction::Reverse => &mut self.db.range::<&[u8], _>((start, end)).rev(),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            let Some((key, stored)) = rows.next().transpose()? else {
                break;
            };
            if let Some(value) = self.resolve(&key, stored)? {
                found.push((Bytes::copy_from_slice(&key), value));
            }
        }
        Ok(found)
    }

    fn apply(&self, rows: &[Row]) -> Result<(), EngineError> {
        for row in rows {
            match &row.value {
                Some(value) => self.put(&row.key, value)?,
                None => {
                    let old = self.db.remove(&row.key)?;
                    self.remove_pieces(&row.key, old)?;
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db.flush()?;
        self.file.sync_data()?;
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, EngineError> {
        Ok(folder_size_bytes(&self.folder)?)
    }
}

impl From<sled::Error> for EngineError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Opens sled's files once nobody holds them. Threads of a former opening in this very process
/// may hold them for a moment after it was dropped; other processes are kept out by the data
/// folder's own lock.
fn open_when_free(config: &sled::Config) -> Result<sled::Db, sled::Error> {
    for _ in 0..OPEN_ATTEMPTS {
        match config.open() {
            Err(sled::Error::Io(error)) if is_held(&error) => thread::sleep(OPEN_PAUSE),
            result => return result,
        }
    }
    config.open()
}

fn is_held(error: &io::Error) -> bool {
    // sled wraps the error of the lock into one of kind `Other`, and keeps its text only.
    error.to_string().contains("could not acquire lock")
}

/// Removes what sled was writing when the process died or the power went, and would not open with.
///
/// - `conf` is written without a sync. It is durable before anything else is ([`sync_names`]), so one
///   that is not whole is of a creation that did not finish; sled writes a missing one again.
/// - `snap.….generating` is a snapshot before its rename. sled takes it for a snapshot, the newest
///   one, and stops at a wrong byte of it. One that is whole must stay: sled syncs it, renames it and
///   overwrites what no longer counts with it, in this order but for the rename, which it does not sync.
///   The snapshot before it is of no use then. Our sync makes its name durable before sled goes on.
fn remove_cut_short(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut keeps_draft = false;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_draft = name.starts_with("snap.") && name.ends_with(".generating");
        let is_whole = match &*name {
            _ if is_draft => is_whole_snapshot,
            "conf" => is_whole_conf,
            _ => continue,
        };
        if !is_whole(&fs::read(entry.path())?) {
            fs::remove_file(entry.path())?;
        } else if is_draft {
            keeps_draft = true;
        }
    }
    if keeps_draft {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Whether these are lines of text and four bytes of checksum, as sled writes them.
fn is_whole_conf(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(text, _)| text.starts_with(b"segment_size: ") && text.ends_with(b"\n"))
}

/// Whether these are a snapshot, its length and its checksum.
fn is_whole_snapshot(bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk::<4>().and_then(|(rest, checksum)| {
        let (snapshot, size) = rest.split_last_chunk::<8>()?;
        Some((
            snapshot,
            u64::from_le_bytes(*size),
            u32::from_le_bytes(*checksum),
        ))
    });
    parts.is_some_and(|(snapshot, size_bytes, checksum)| {
        snapshot.len() as u64 == size_bytes && crc32fast::hash(snapshot) == checksum
    })
}

/// Makes durable what sled creates and never syncs.
fn sync_names(folder: &Path) -> io::Result<()> {
    for name in ["conf", "blobs"] {
        let path = folder.join(name);
        if path.exists() {
            File::open(path)?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn folder_size_bytes(folder: &Path) -> io::Result<u64> {
    let mut size_bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // sled replaces its snapshot files at any time.
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let is_folder = metadata.is_dir();
        size_bytes += if is_folder {
            folder_size_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(size_bytes)
}
