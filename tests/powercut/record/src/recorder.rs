//! What is watched, and the writing of the trace.

use std::collections::HashMap;
use std::env;
use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::{AT_FDCWD, c_int, off_t};

use crate::format::{HEADER_SIZE_BYTES, Kind};

static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

/// What this process was asked to record.
pub(crate) struct Recorder {
    root: Vec<u8>,
    state: Mutex<State>,
}

pub(crate) struct State {
    trace: c_int,
    /// Device and inode of what was made under the root, and the root.
    nodes: HashMap<(u64, u64), u32>,
    next_node: u32,
    next_ticket: u64,
    open: HashMap<c_int, u32>,
    /// Reused for every record.
    buffer: Vec<u8>,
}

/// A node that an open descriptor names, with everything locked.
pub(crate) struct Watched {
    pub(crate) state: MutexGuard<'static, State>,
    pub(crate) node: u32,
}

impl Recorder {
    /// The recorder, when this process is recorded.
    pub(crate) fn get() -> Option<&'static Self> {
        RECORDER.get_or_init(Self::start).as_ref()
    }

    /// The recorder and the path relative to the root, when it is watched.
    pub(crate) fn of_path(folder: c_int, path: &[u8]) -> Option<(&'static Self, Vec<u8>)> {
        let recorder = Self::get()?;
        let path = absolute(folder, path);
        let rest = path.strip_prefix(&recorder.root[..])?;
        match rest.strip_prefix(b"/") {
            Some(name) => Some((recorder, name.to_vec())),
            None if rest.is_empty() => Some((recorder, Vec::new())),
            None => None,
        }
    }

    /// The node of an open descriptor, when it is watched.
    pub(crate) fn of_fd(fd: c_int) -> Option<Watched> {
        let state = Self::get()?.lock();
        let node = *state.open.get(&fd)?;
        Some(Watched { state, node })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the root has something of this name. Asked under the lock.
    pub(crate) fn exists(&self, name: &[u8]) -> bool {
        let path = [&self.root[..], b"/", name].concat();
        let Ok(path) = CString::new(path) else {
            return false;
        };
        // SAFETY: the path ends with a zero.
        unsafe { libc::faccessat(AT_FDCWD, path.as_ptr(), libc::F_OK, 0) == 0 }
    }

    fn start() -> Option<Self> {
        let root = env::var_os("ABIDE_RECORD_ROOT")?.into_vec();
        let trace = CString::new(env::var_os("ABIDE_RECORD_TRACE")?.into_vec()).ok()?;
        let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC | libc::O_CLOEXEC;
        let path = CString::new(root.clone()).ok()?;
        // SAFETY: both paths end with a zero. The kernel is asked itself, because `open` is ours.
        let (trace, folder) = unsafe {
            let folder = libc::O_RDONLY | libc::O_CLOEXEC;
            (
                libc::syscall(libc::SYS_openat, AT_FDCWD, trace.as_ptr(), flags, 0o644),
                libc::syscall(libc::SYS_openat, AT_FDCWD, path.as_ptr(), folder, 0),
            )
        };
        let (Ok(trace @ 0..), Ok(folder @ 0..)) = (c_int::try_from(trace), c_int::try_from(folder))
        else {
            die("the root or the trace cannot be opened");
        };
        let nodes = HashMap::from([(identity(folder), 0)]);
        // SAFETY: the descriptor is ours.
        unsafe { libc::syscall(libc::SYS_close, folder) };
        Some(Self {
            root,
            state: Mutex::new(State {
                trace,
                nodes,
                next_node: 1,
                next_ticket: 0,
                open: HashMap::new(),
                buffer: Vec::new(),
            }),
        })
    }
}

impl State {
    /// Notes a new file or folder, which `fd` has open.
    pub(crate) fn made(&mut self, kind: Kind, fd: c_int, name: &[u8]) {
        let node = self.next_node;
        self.next_node += 1;
        // The inode may be that of a file that is gone.
        self.nodes.insert(identity(fd), node);
        self.record(kind, node, 0, &[name]);
    }

    /// Watches a descriptor from now on.
    pub(crate) fn opened(&mut self, fd: c_int) -> u32 {
        let Some(&node) = self.nodes.get(&identity(fd)) else {
            die("a watched file was not made by this process");
        };
        self.open.insert(fd, node);
        node
    }

    pub(crate) fn closed(&mut self, fd: c_int) {
        self.open.remove(&fd);
    }

    /// Watches `copy` if `fd` is watched.
    pub(crate) fn duplicated(&mut self, fd: c_int, copy: c_int) {
        match self.open.get(&fd).copied() {
            Some(node) => self.open.insert(copy, node),
            None => self.open.remove(&copy),
        };
    }

    pub(crate) fn next_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Appends a record to the trace.
    pub(crate) fn record(&mut self, kind: Kind, node: u32, number: u64, payload: &[&[u8]]) {
        let size: usize = payload.iter().map(|part| part.len()).sum();
        let Ok(size_field) = u32::try_from(size) else {
            die("a write of 4 GiB or more");
        };
        self.buffer.clear();
        self.buffer.reserve(HEADER_SIZE_BYTES + size);
        self.buffer.push(kind as u8);
        self.buffer.extend_from_slice(&node.to_le_bytes());
        self.buffer.extend_from_slice(&number.to_le_bytes());
        self.buffer.extend_from_slice(&size_field.to_le_bytes());
        payload
            .iter()
            .for_each(|part| self.buffer.extend_from_slice(part));
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            // SAFETY: the buffer is ours. The kernel is asked itself, because `write` is ours.
            let written =
                unsafe { libc::syscall(libc::SYS_write, self.trace, rest.as_ptr(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => die("the trace cannot be written"),
            }
        }
    }
}

/// The path from the root of the file system. Links and dots are left as they are: the driver uses neither.
fn absolute(folder: c_int, path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    let base = if folder == AT_FDCWD {
        env::current_dir()
    } else {
        std::fs::read_link(PathBuf::from(format!("/proc/self/fd/{folder}")))
    };
    let base = base.unwrap_or_default();
    let path: &Path = OsStr::from_bytes(path).as_ref();
    base.join(path).into_os_string().into_vec()
}

fn status(fd: c_int) -> Option<libc::stat> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the kernel fills it, or says that it did not.
    unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init()) }
}

fn identity(fd: c_int) -> (u64, u64) {
    status(fd).map_or((0, 0), |status| (status.st_dev, status.st_ino))
}

pub(crate) fn is_open(fd: c_int) -> bool {
    status(fd).is_some()
}

pub(crate) fn size_bytes(fd: c_int) -> off_t {
    status(fd).map_or(0, |status| status.st_size)
}

/// Where the next `write` goes.
pub(crate) fn position(fd: c_int) -> off_t {
    // SAFETY: two questions about a descriptor.
    unsafe {
        if libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFL) & i64::from(libc::O_APPEND) != 0 {
            size_bytes(fd)
        } else {
            libc::lseek(fd, 0, libc::SEEK_CUR)
        }
    }
}

/// Ends the process: a trace with a gap proves nothing.
pub(crate) fn die(why: &str) -> ! {
    let line = format!("abide-powercut-record: {why}\n");
    // SAFETY: the text is ours.
    unsafe {
        libc::syscall(libc::SYS_write, 2, line.as_ptr(), line.len());
        libc::abort()
    }
}
