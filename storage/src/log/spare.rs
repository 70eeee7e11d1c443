//! The next segment, ready before it is needed: filling one with zeros takes far longer than a
//! commit may wait.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::disk::{Disk, LogFile};
use super::segment::{self, SegmentHeader};
use super::{is_spare, segment_path};
use crate::clock;

/// Spares kept at most; more used segments are removed. Two, because one checkpoint may free
/// several segments at once and the next ones are needed at the same pace.
const SPARES_MAX: usize = 2;
/// Zeros written between two syncs, bytes: small enough that the commits' own syncs do not wait long.
const CHUNK_SIZE_BYTES: usize = 1 << 20;
/// Longest pause between two chunks.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Who makes spares ahead of their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpareMaker {
    /// A thread of their own.
    Thread,
    /// Nobody: each is made when it is needed, or was a segment before.
    #[cfg_attr(
        not(feature = "test-util"),
        expect(dead_code, reason = "for stores without threads")
    )]
    Nobody,
}

/// A file of the full segment size, waiting for its header and name, and for the sync that comes
/// before the name.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn LogFile>,
}

/// Keeps spares, and owns the thread that makes them.
#[derive(Debug)]
pub(super) struct Spares {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    size_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Spare>,
    /// The last attempt failed; the next one is made when a spare is asked for again.
    has_failed: bool,
    last_number: u64,
    stopping: bool,
}

impl Spares {
    /// Takes over the complete spares that an earlier process left, removes the others, and
    /// starts the thread, if there is to be one.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        folder: &Path,
        size_bytes: u64,
        maker: SpareMaker,
    ) -> io::Result<Self> {
        let mut state = State::default();
        let names = disk.list(folder)?;
        for path in names.iter().filter(|path| is_spare(path)).cloned() {
            state.last_number = state.last_number.max(spare_number(&path));
            // A spare grows while it is filled: one of full size was filled to its end, or made
            // in a hurry, which is slower and no less right.
            let file = disk.open(&path)?;
            let is_wanted = state.ready.len() < SPARES_MAX
                && file.size_bytes()? == size_bytes
                && !is_segment_too(&*file, folder, &names)?;
            if is_wanted {
                state.ready.push(Spare { path, file });
            } else {
                disk.remove(&path)?;
            }
        }
        let shared = Arc::new(Shared {
            disk,
            folder: folder.into(),
            size_bytes,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let thread = match maker {
            SpareMaker::Nobody => None,
            SpareMaker::Thread => {
                let shared = shared.clone();
                let thread = thread::Builder::new().name("abide-log-spare".into());
                Some(thread.spawn(move || shared.run())?)
            }
        };
        Ok(Self { shared, thread })
    }

    /// A spare, if one is ready; another one is made in any case.
    pub(super) fn take(&self) -> Option<Spare> {
        let mut state = self.shared.state.lock();
        state.has_failed = false;
        self.shared.changed.notify_all();
        state.ready.pop()
    }

    /// A spare with a hole instead of zeros, made while the caller waits. Syncs into it take twice
    /// as long, which is still far less than filling it first; after its first use it is like any
    /// other.
    pub(super) fn make_in_a_hurry(&self) -> io::Result<Spare> {
        let last_byte = self.shared.size_bytes - 1;
        self.shared.make(|file| file.write_at(&[0], last_byte))
    }

    /// Whether the last attempt of the thread to make one has failed.
    #[cfg(test)]
    pub(super) fn has_failed(&self) -> bool {
        self.shared.state.lock().has_failed
    }

    /// The way for used segments to become spares, for other threads.
    pub(super) fn recycler(&self) -> Recycler {
        Recycler(self.shared.clone())
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            _ = thread.join();
        }
    }
}

/// Makes spares of used segments.
#[derive(Debug, Clone)]
pub(super) struct Recycler(Arc<Shared>);

impl Recycler {
    /// Renames the used segment to a spare, or removes it when it is of no use.
    pub(super) fn recycle(&self, path: &Path) -> io::Result<()> {
        let shared = &*self.0;
        let file = shared.disk.open(path)?;
        let wanted =
            file.size_bytes()? == shared.size_bytes && shared.state.lock().ready.len() < SPARES_MAX;
        if !wanted {
            return shared.disk.remove(path);
        }
        let spare = shared.next_path();
        shared.disk.rename(path, &spare)?;
        // The new name must be durable before the file gets a new header, or a power cut could
        // leave a segment whose header is that of another.
        shared.disk.sync_folder(&shared.folder)?;
        shared.state.lock().ready.push(Spare { path: spare, file });
        shared.changed.notify_all();
        Ok(())
    }
}

impl Shared {
    fn run(&self) {
        loop {
            {
                let mut state = self.state.lock();
                while !state.stopping && (!state.ready.is_empty() || state.has_failed) {
                    self.changed.wait(&mut state);
                }
                if state.stopping {
                    return;
                }
            }
            let stop = || self.state.lock().stopping;
            let made =
                self.make(|file| fill_with_zeros(file, self.size_bytes, Pace::Background, stop));
            let mut state = self.state.lock();
            match made {
                Ok(spare) => state.ready.push(spare),
                Err(_) if state.stopping => return,
                Err(error) => {
                    tracing::warn!(%error, "no spare segment could be made");
                    state.has_failed = true;
                }
            }
        }
    }

    fn make(&self, fill: impl FnOnce(&dyn LogFile) -> io::Result<()>) -> io::Result<Spare> {
        let path = self.next_path();
        let file = self.disk.create(&path)?;
        fill(&*file).inspect_err(|_| {
            // What is left of it would take space that is needed just now.
            if let Err(error) = self.disk.remove(&path) {
                tracing::warn!(file = %path.display(), %error, "an incomplete spare stays behind");
            }
        })?;
        Ok(Spare { path, file })
    }

    fn next_path(&self) -> PathBuf {
        let mut state = self.state.lock();
        state.last_number += 1;
        self.folder.join(format!("spare-{}.tmp", state.last_number))
    }
}

/// Whether the file may have a second name, as a segment: a rename makes a spare a segment and a segment a
/// spare, and a power cut in the middle of it may leave both names. Then it is the log's, and a new
/// header would make its records those of another segment.
fn is_segment_too(file: &dyn LogFile, folder: &Path, names: &[PathBuf]) -> io::Result<bool> {
    let mut bytes = [0; segment::HEADER_SIZE_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    let header = SegmentHeader::decode(&bytes[..read]);
    Ok(header.is_ok_and(|header| names.contains(&segment_path(folder, header.number))))
}

/// The number in the name of a spare; 0 for a name without.
fn spare_number(path: &Path) -> u64 {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    stem.strip_prefix("spare-")
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// How a file is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Somebody waits: nothing is synced, because the sync of the header comes next.
    Hurry,
    /// Durable, and the disk is left to others half of the time.
    Background,
}

/// Writes zeros up to `size_bytes`, unless told to stop.
pub(super) fn fill_with_zeros(
    file: &dyn LogFile,
    size_bytes: u64,
    pace: Pace,
    stop: impl Fn() -> bool,
) -> io::Result<()> {
    let zeros = vec![0; CHUNK_SIZE_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        if stop() {
            return Err(io::Error::other("the store is closing"));
        }
        let started = clock::now();
        let rest = size_bytes - offset;
        let chunk = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(CHUNK_SIZE_BYTES);
        file.write_at(&zeros[..chunk], offset)?;
        offset += chunk as u64;
        if pace == Pace::Background {
            file.sync()?;
            thread::sleep(clock::now().duration_since(started).min(PAUSE_MAX));
        }
    }
    Ok(())
}
