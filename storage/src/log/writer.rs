//! Appending groups, rolling to the next segment, letting used segments go.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::replay::{FoundSegment, Replayed};
use super::segment::{self, SegmentHeader};
use super::spare::{Pace, Recycler, Spare, SpareMaker, Spares, fill_with_zeros};
use super::{Disk, LogFile, is_disk_full, record, segment_path};
use crate::id::Timestamp;
use crate::teeth::{Tooth, broken};

/// Sizes of segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOptions {
    /// Size of the first segment of a new store, bytes.
    pub(crate) first_segment_size_bytes: u64,
    /// Size of all others, bytes.
    pub(crate) segment_size_bytes: u64,
    /// Who makes them ahead of their use.
    pub(crate) spare_maker: SpareMaker,
}

/// The writing end of the log. Owned by the committer.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    current: Current,
    spares: Spares,
    closed: Arc<ClosedSegments>,
    /// Reused for every record.
    buffer: Vec<u8>,
    next_sequence: u64,
    /// When the last group was written. Times never go back, whatever the machine's clock does.
    last_time: Timestamp,
}

#[derive(Debug)]
struct Current {
    header: SegmentHeader,
    file: Arc<dyn LogFile>,
    path: PathBuf,
    /// Where the next record goes.
    offset: u64,
}

/// Why a group was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// There is no space. The log is as it was before: effect *none*.
    DiskFull(io::Error),
    /// The record may or may not be durable. Nothing may be appended any more.
    Failed(io::Error),
}

impl AppendError {
    fn into_io(self) -> io::Error {
        match self {
            Self::DiskFull(error) | Self::Failed(error) => error,
        }
    }
}

impl Log {
    /// Continues the log that `replayed` describes, made durable before anybody can see it, or starts one.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        replayed: Replayed,
        options: LogOptions,
    ) -> io::Result<Self> {
        let file = make_durable(&*disk, folder, &replayed)?;
        let Replayed {
            next_sequence,
            last_time,
            mut segments,
            ..
        } = replayed;
        let current = match file.zip(segments.pop()) {
            Some((file, last)) => Current {
                header: last.header,
                file,
                path: last.path,
                offset: last.end as u64,
            },
            None => {
                let first = make_first(&*disk, folder, options.first_segment_size_bytes)?;
                start_segment(&*disk, folder, first, 1, next_sequence)
                    .map_err(AppendError::into_io)?
            }
        };
        let spares = Spares::start(
            disk.clone(),
            folder,
            options.segment_size_bytes,
            options.spare_maker,
        )?;
        let closed = Arc::new(ClosedSegments {
            closed: Mutex::new(segments),
            recycler: spares.recycler(),
            in_use: RwLock::new(()),
        });
        Ok(Self {
            disk,
            folder: folder.into(),
            current,
            spares,
            closed,
            buffer: Vec::new(),
            next_sequence,
            last_time,
        })
    }

    /// The closed segments, for the checkpointer.
    pub(crate) fn closed(&self) -> Arc<ClosedSegments> {
        self.closed.clone()
    }

    /// Where the log lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file system it uses.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Appends one group and makes it durable: one write, one sync. Answers the bytes written.
    pub(crate) fn append<'a>(
        &mut self,
        commits: impl ExactSizeIterator<Item = &'a Bytes>,
    ) -> Result<u64, AppendError> {
        let count = u32::try_from(commits.len()).expect("a group is below 4 G commits");
        let time = self.disk.time().max(self.last_time);
        record::begin(&mut self.buffer, time);
        commits.for_each(|commit| self.buffer.extend_from_slice(commit));
        let size_bytes = record::size_bytes(self.buffer.len() - record::HEADER_SIZE_BYTES) as u64;
        // A segment that an older release began stays as it is: a segment has one format.
        let is_old = self.current.header.format != segment::FORMAT;
        if is_old || self.current.offset + size_bytes > self.current.header.size_bytes {
            self.roll()?;
        }
        assert!(
            self.current.offset + size_bytes <= self.current.header.size_bytes,
            "a group of {size_bytes} bytes must fit into a segment"
        );
        record::finish(
            &mut self.buffer,
            &self.current.header,
            self.next_sequence,
            count,
        );
        // On a full disk the end of the log stays where it was: the next record is written over
        // what there is of this one, which, being incomplete, is no valid record.
        self.current
            .file
            .write_at(&self.buffer, self.current.offset)
            .map_err(failure)?;
        self.sync().map_err(AppendError::Failed)?;
        self.current.offset += size_bytes;
        self.next_sequence += u64::from(count);
        self.last_time = time;
        Ok(size_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if broken(Tooth::AcknowledgeBeforeSync) {
            return Ok(());
        }
        match self.current.file.sync() {
            Err(_) if broken(Tooth::RetryFailedSync) => self.current.file.sync(),
            synced => synced,
        }
    }

    /// Goes on in a new segment.
    fn roll(&mut self) -> Result<(), AppendError> {
        let spare = match self.spares.take() {
            Some(spare) => spare,
            None => self.spares.make_in_a_hurry().map_err(failure)?,
        };
        let number = self.current.header.number + 1;
        let next = start_segment(&*self.disk, &self.folder, spare, number, self.next_sequence)?;
        let closed = std::mem::replace(&mut self.current, next);
        self.closed.closed.lock().push(FoundSegment {
            path: closed.path,
            header: closed.header,
            next_sequence: self.next_sequence,
            last_record: 0,
            end: usize::try_from(closed.offset).unwrap_or(usize::MAX),
        });
        Ok(())
    }
}

/// Segments that are full, oldest first.
#[derive(Debug)]
pub(crate) struct ClosedSegments {
    closed: Mutex<Vec<FoundSegment>>,
    recycler: Recycler,
    /// Read-locked while somebody reads the log's files, write-locked while one of them goes.
    in_use: RwLock<()>,
}

impl ClosedSegments {
    /// Keeps every segment for as long as the guard lives.
    pub(crate) fn keep_all(&self) -> RwLockReadGuard<'_, ()> {
        self.in_use.read()
    }

    /// As a guard that nobody reads the log's files, or anything else kept with them; `None` when
    /// somebody does.
    pub(crate) fn nobody_reads(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.in_use.try_write()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.closed.lock().len()
    }

    /// Sequence of the last commit in the segments that hold none after `checkpoint`.
    pub(crate) fn last_sequence_within(&self, checkpoint: u64) -> Option<u64> {
        let closed = self.closed.lock();
        let within = closed
            .iter()
            .take_while(|one| one.next_sequence <= checkpoint + 1);
        within.last().map(|last| last.next_sequence - 1)
    }

    /// Lets go of the segments that hold no commit after `checkpoint`, which must be durable. While
    /// somebody reads them they stay, until it is called again.
    pub(crate) fn release(&self, checkpoint: u64) -> io::Result<()> {
        loop {
            let Some(_alone) = self.nobody_reads() else {
                return Ok(());
            };
            let released = {
                let mut closed = self.closed.lock();
                match closed.first() {
                    Some(first) if first.next_sequence <= checkpoint + 1 => closed.remove(0),
                    _ => return Ok(()),
                }
            };
            self.recycler.recycle(&released.path)?;
        }
    }
}

/// Makes durable what replay found, which may have been in the page cache only. Answers the last segment's file.
///
/// The last record is written once more for that: the process before may have ended because its sync failed, and then
/// the kernel takes the record's pages for clean, and a sync alone would answer `Ok` for what no disk ever got. No record
/// before it can be like that, as nothing is appended after a sync that failed.
pub(crate) fn make_durable(
    disk: &dyn Disk,
    folder: &Path,
    replayed: &Replayed,
) -> io::Result<Option<Arc<dyn LogFile>>> {
    let Some((last, before)) = replayed.segments.split_last() else {
        return Ok(None);
    };
    for found in before {
        disk.open(&found.path)?.sync()?;
    }
    let file = disk.open(&last.path)?;
    write_again(&*file, last.last_record, last.end)?;
    file.sync()?;
    // Names of segments, too, may not have been durable yet.
    disk.sync_folder(folder)?;
    Ok(Some(file))
}

/// Makes the log of a restored or repaired store go on in a new segment: empty, with `next_sequence` for
/// its first commit.
pub(crate) fn create(
    disk: &dyn Disk,
    folder: &Path,
    (number, next_sequence): (u64, u64),
    size_bytes: u64,
) -> io::Result<()> {
    let first = make_first(disk, folder, size_bytes)?;
    start_segment(disk, folder, first, number, next_sequence).map_err(AppendError::into_io)?;
    Ok(())
}

/// The first segment of a store before it has a header.
fn make_first(disk: &dyn Disk, folder: &Path, size_bytes: u64) -> io::Result<Spare> {
    let path = folder.join("spare-first.tmp");
    if disk.list(folder)?.contains(&path) {
        disk.remove(&path)?;
    }
    let file = disk.create(&path)?;
    fill_with_zeros(&*file, size_bytes, Pace::Hurry, || false)?;
    Ok(Spare { path, file })
}

/// Turns a spare into the segment `number`: its header is durable before it gets its name, its
/// name before it gets records. Without space the spare goes: it would take some of what is needed.
fn start_segment(
    disk: &dyn Disk,
    folder: &Path,
    spare: Spare,
    number: u64,
    first_sequence: u64,
) -> Result<Current, AppendError> {
    let Spare {
        path: spare_path,
        file,
    } = spare;
    let path = segment_path(folder, number);
    let named = write_header(&*file, number, first_sequence).and_then(|header| {
        disk.rename(&spare_path, &path)?;
        Ok(header)
    });
    let header = named.map_err(|error| {
        let failure = failure(error);
        if matches!(failure, AppendError::DiskFull(_))
            && let Err(error) = disk.remove(&spare_path)
        {
            tracing::warn!(file = %spare_path.display(), %error, "an unused spare stays behind");
        }
        failure
    })?;
    // From here on the log may already have this segment: going on in the one before it would
    // write commits twice under one sequence.
    disk.sync_folder(folder).map_err(AppendError::Failed)?;
    Ok(Current {
        header,
        file,
        path,
        offset: segment::HEADER_SIZE_BYTES as u64,
    })
}

/// Makes the header of a spare durable.
fn write_header(file: &dyn LogFile, number: u64, first_sequence: u64) -> io::Result<SegmentHeader> {
    let header = SegmentHeader {
        format: segment::FORMAT,
        number,
        first_sequence,
        salt: fastrand::u64(..),
        size_bytes: file.size_bytes()?,
    };
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    Ok(header)
}

/// Makes these bytes of a file dirty, so that the next sync writes them whatever became of the last one.
fn write_again(file: &dyn LogFile, start: usize, end: usize) -> io::Result<()> {
    if start == end {
        return Ok(());
    }
    let mut bytes = vec![0; end - start];
    if file.read_at(&mut bytes, start as u64)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.write_at(&bytes, start as u64)
}

fn failure(error: io::Error) -> AppendError {
    if is_disk_full(&error) {
        AppendError::DiskFull(error)
    } else {
        AppendError::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{DiskFault, DiskOperation, FaultDisk, PowerSwitch};
    use crate::log::{RealDisk, replay};

    const OPTIONS: LogOptions = LogOptions {
        first_segment_size_bytes: 8 << 10,
        segment_size_bytes: 16 << 10,
        spare_maker: SpareMaker::Thread,
    };

    fn open(folder: &Path, checkpoint: u64) -> (Log, Vec<(u64, Bytes)>) {
        let mut seen = Vec::new();
        let mut visit = |sequence, payload| {
            seen.push((sequence, payload));
            Ok(())
        };
        let replayed = replay(&RealDisk, folder, checkpoint, &mut visit).unwrap();
        (
            Log::open(Arc::new(RealDisk), folder, replayed, OPTIONS).unwrap(),
            seen,
        )
    }

    fn segments(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains(".log")).collect();
        names.sort();
        names
    }

    fn group(fill: u8) -> Vec<Bytes> {
        vec![vec![fill; 1_500].into(), vec![fill; 500].into()]
    }

    #[test]
    fn groups_come_back_across_segments() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, seen) = open(folder.path(), 0);
        assert!(seen.is_empty());
        for fill in 0..20 {
            log.append(group(fill).iter()).unwrap();
        }
        drop(log);
        assert!(
            segments(folder.path()).len() > 2,
            "{:?}",
            segments(folder.path())
        );
        let (mut log, seen) = open(folder.path(), 0);
        let wanted: Vec<_> = (0..20)
            .map(|fill| (u64::from(fill) * 2 + 1, group(fill).concat().into()))
            .collect();
        assert_eq!(seen, wanted);
        // It goes on where it was.
        log.append(group(99).iter()).unwrap();
        drop(log);
        assert_eq!(open(folder.path(), 0).1.len(), 21);
        // Only what the engine lacks is read: the group of commit 20, and those after it.
        assert_eq!(
            open(folder.path(), 19).1,
            [&wanted[9..], &open(folder.path(), 40).1].concat()
        );
    }

    /// A used segment still holds its old records. They must read as its end, not as commits, and
    /// not as damage.
    #[test]
    fn records_of_a_former_use_are_no_records() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = open(folder.path(), 0);
        let history = log.closed();
        for fill in 0..100 {
            log.append(group(fill).iter()).unwrap();
            history.release(log.next_sequence - 1).unwrap();
            assert!(segments(folder.path()).len() <= 2);
        }
        let last = log.next_sequence - 1;
        drop(log);
        let (_, seen) = open(folder.path(), last - 2);
        assert_eq!(seen, [(last - 1, group(99).concat().into())]);
    }

    /// 1. A segment is renamed to a spare, or a spare to a segment, and the power goes.
    /// 2. The file has both names afterwards: not all file systems rename in one step.
    /// 3. The log goes on, and needs spares. It must not begin a segment in one that it still has.
    #[test]
    fn a_segment_that_is_named_as_a_spare_too_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = open(folder.path(), 0);
        while log.current.header.number < 4 {
            log.append(group(1).iter()).unwrap();
        }
        drop(log);
        for (number, spare) in [(2, "spare-1.tmp"), (4, "spare-77.tmp")] {
            let spare = folder.path().join(spare);
            _ = std::fs::remove_file(&spare);
            std::fs::hard_link(segment_path(folder.path(), number), spare).unwrap();
        }
        let (mut log, before) = open(folder.path(), 0);
        while log.current.header.number < 7 {
            log.append(group(2).iter()).unwrap();
        }
        drop(log);
        let (_, after) = open(folder.path(), 0);
        assert!(after.len() > before.len());
        assert_eq!(after[..before.len()], before);
    }

    /// The thread that makes spares cannot make the first one: the roll has to.
    #[test]
    fn a_segment_made_in_a_hurry_is_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultDisk::new(PowerSwitch::never());
        // The first file is the first segment.
        disk.fault_at(DiskOperation::Create, 2, DiskFault::Fail);
        let replayed = replay(&disk, folder.path(), 0, &mut |_, _| Ok(())).unwrap();
        let mut log = Log::open(Arc::new(disk), folder.path(), replayed, OPTIONS).unwrap();
        while !log.spares.has_failed() {
            std::thread::yield_now();
        }
        while log.current.header.number == 1 {
            log.append(group(1).iter()).unwrap();
        }
        let size_bytes = log.current.file.size_bytes().unwrap();
        assert_eq!(size_bytes, OPTIONS.segment_size_bytes);
        assert_eq!(log.current.header.size_bytes, size_bytes);
        log.append(group(2).iter()).unwrap();
        let last = log.next_sequence - 1;
        drop(log);
        let (_, seen) = open(folder.path(), last - 2);
        assert_eq!(seen, [(last - 1, group(2).concat().into())]);
    }

    #[test]
    fn a_lost_segment_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = open(folder.path(), 0);
        for fill in 0..20 {
            log.append(group(fill).iter()).unwrap();
        }
        drop(log);
        let names = segments(folder.path());
        let replayed = |checkpoint| {
            replay(&RealDisk, folder.path(), checkpoint, &mut |_, _| Ok(())).map(|_| ())
        };
        std::fs::remove_file(folder.path().join(&names[1])).unwrap();
        assert!(replayed(0).is_err(), "one in the middle");
        std::fs::remove_file(folder.path().join(&names[0])).unwrap();
        assert!(replayed(0).is_err(), "the first ones");
        assert!(replayed(39).is_ok(), "the engine has what was in them");
        assert!(replayed(41).is_err(), "the engine is ahead of the log");
    }
}
