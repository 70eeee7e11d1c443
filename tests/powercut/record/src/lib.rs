//! Preloaded into a process (`LD_PRELOAD`), writes down every change the process makes to the files
//! under one folder, with its bytes, and every sync.
//!
//! `ABIDE_RECORD_ROOT` names the folder, which must exist and be empty; `ABIDE_RECORD_TRACE` the
//! file the trace goes to (`format.rs`). Without them everything is passed on.
//!
//! The functions of the C library that change files are replaced by ones that ask the kernel
//! themselves and note what it did, both under one lock: so the trace has the order in which the
//! changes were made. A sync is two records and holds no lock while it runs: writes go on during it, and it
//! covers only those before its first record.
//!
//! What cannot be seen from here (a file mapped for writing, a second name for a file) ends the
//! process. What was forgotten here shows: the driver compares the replayed trace with the folder.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(
    unsafe_code,
    reason = "stands in for functions of the C library, whose arguments are pointers"
)]
#![expect(
    clippy::missing_safety_doc,
    reason = "every function here has the contract of the one it stands in for"
)]
#![expect(
    missing_docs,
    reason = "every function here is documented in the manual, section 2"
)]

use std::ffi::CStr;
use std::slice;

use libc::{
    AT_FDCWD, AT_REMOVEDIR, c_char, c_int, c_long, c_uint, c_void, iovec, mode_t, off_t, size_t,
    ssize_t,
};

use format::Kind;
use recorder::{Recorder, Watched, die};

mod format;
mod recorder;

/// Asks the kernel itself: the C library's own function is the one that is replaced here.
macro_rules! kernel {
    ($name:ident $(, $argument:expr)*) => {
        // SAFETY: the arguments are those that the caller gave to the function of this name, and
        // the kernel checks them.
        unsafe { libc::syscall(libc::$name $(, $argument)*) }
    };
}

fn int(result: c_long) -> c_int {
    c_int::try_from(result).unwrap_or(-1)
}

fn size(result: c_long) -> ssize_t {
    ssize_t::try_from(result).unwrap_or(-1)
}

/// The path as bytes.
///
/// # Safety
/// `path` is null or ends with a zero.
unsafe fn bytes<'a>(path: *const c_char) -> &'a [u8] {
    if path.is_null() {
        return b"";
    }
    // SAFETY: the caller gives what C calls a string.
    unsafe { CStr::from_ptr(path) }.to_bytes()
}

// ── Names ──

#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
) -> c_int {
    let call = || int(kernel!(SYS_openat, folder, path, flags, mode));
    // SAFETY: the path is what the caller of `openat` gave.
    let Some((recorder, name)) = Recorder::of_path(folder, unsafe { bytes(path) }) else {
        return call();
    };
    let mut state = recorder.lock();
    let is_made = flags & libc::O_CREAT != 0 && !recorder.exists(&name);
    let fd = call();
    if fd >= 0 {
        if is_made {
            state.made(Kind::File, fd, &name);
        }
        let node = state.opened(fd);
        if !is_made && flags & libc::O_TRUNC != 0 {
            state.record(Kind::Resize, node, 0, &[]);
        }
    }
    fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(f: c_int, p: *const c_char, flags: c_int, m: mode_t) -> c_int {
    // SAFETY: the same function.
    unsafe { openat(f, p, flags, m) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the same function, from the working directory.
    unsafe { openat(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the same function, from the working directory.
    unsafe { openat(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
    // SAFETY: what the manual says `creat` is.
    unsafe { openat(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
    let call = || int(kernel!(SYS_mkdirat, folder, path, mode));
    // SAFETY: the path is what the caller of `mkdirat` gave.
    let Some((recorder, name)) = Recorder::of_path(folder, unsafe { bytes(path) }) else {
        return call();
    };
    let mut state = recorder.lock();
    let result = call();
    if result == 0 {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let fd = int(kernel!(SYS_openat, folder, path, flags, 0));
        state.made(Kind::Folder, fd, &name);
        kernel!(SYS_close, fd);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the same function, from the working directory.
    unsafe { mkdirat(AT_FDCWD, path, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    let call = || int(kernel!(SYS_unlinkat, folder, path, flags));
    // SAFETY: the path is what the caller of `unlinkat` gave.
    let Some((recorder, name)) = Recorder::of_path(folder, unsafe { bytes(path) }) else {
        return call();
    };
    let mut state = recorder.lock();
    let result = call();
    if result == 0 {
        state.record(Kind::Remove, 0, 0, &[&name]);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the same function, from the working directory.
    unsafe { unlinkat(AT_FDCWD, path, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the same function, from the working directory and for folders.
    unsafe { unlinkat(AT_FDCWD, path, AT_REMOVEDIR) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat2(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let call = || {
        int(kernel!(
            SYS_renameat2,
            from_folder,
            from,
            to_folder,
            to,
            flags
        ))
    };
    // SAFETY: the paths are what the caller gave.
    let (old, new) = unsafe { (bytes(from), bytes(to)) };
    let old = Recorder::of_path(from_folder, old);
    match (old, Recorder::of_path(to_folder, new)) {
        (None, None) => call(),
        (Some((recorder, old)), Some((_, new))) if flags & !libc::RENAME_NOREPLACE == 0 => {
            let mut state = recorder.lock();
            let result = call();
            if result == 0 {
                state.record(Kind::Rename, 0, 0, &[&old, b"\0", &new]);
            }
            result
        }
        _ => die("a rename into or out of the watched folder, or an exchange"),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
) -> c_int {
    // SAFETY: the same function without flags.
    unsafe { renameat2(from_folder, from, to_folder, to, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the same function, from the working directory and without flags.
    unsafe { renameat2(AT_FDCWD, from, AT_FDCWD, to, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the path is what the caller gave.
    if Recorder::of_path(to_folder, unsafe { bytes(to) }).is_some() {
        die("a second name for a file of the watched folder");
    }
    int(kernel!(SYS_linkat, from_folder, from, to_folder, to, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the same function, from the working directory.
    unsafe { linkat(AT_FDCWD, from, AT_FDCWD, to, 0) }
}

// ── Bytes ──

/// Writes and notes the bytes that were taken; `offset` is `None` for the file's own position.
///
/// # Safety
/// The parts are what a caller of `writev` gives.
unsafe fn write_noted(
    fd: c_int,
    offset: Option<off_t>,
    parts: &[iovec],
    call: impl FnOnce() -> c_long,
) -> ssize_t {
    let Some(Watched { mut state, node }) = Recorder::of_fd(fd) else {
        return size(call());
    };
    let offset = offset.unwrap_or_else(|| recorder::position(fd));
    let result = size(call());
    let mut left = usize::try_from(result).unwrap_or(0);
    let mut taken: Vec<&[u8]> = Vec::with_capacity(parts.len());
    for part in parts {
        let count = left.min(part.iov_len);
        if count > 0 {
            // SAFETY: the kernel has just read these bytes.
            taken.push(unsafe { slice::from_raw_parts(part.iov_base.cast(), count) });
            left -= count;
        }
    }
    if !taken.is_empty() {
        state.record(Kind::Write, node, offset.cast_unsigned(), &taken);
    }
    result
}

fn part(buffer: *const c_void, size: size_t) -> [iovec; 1] {
    [iovec {
        iov_base: buffer.cast_mut(),
        iov_len: size,
    }]
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    let call = || kernel!(SYS_write, fd, buffer, size);
    // SAFETY: the buffer is what the caller of `write` gave.
    unsafe { write_noted(fd, None, &part(buffer, size), call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    offset: off_t,
) -> ssize_t {
    let call = || kernel!(SYS_pwrite64, fd, buffer, size, offset);
    // SAFETY: the buffer is what the caller of `pwrite` gave.
    unsafe { write_noted(fd, Some(offset), &part(buffer, size), call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, b: *const c_void, s: size_t, o: off_t) -> ssize_t {
    // SAFETY: the same function.
    unsafe { pwrite(fd, b, s, o) }
}

/// # Safety
/// As for `writev`.
unsafe fn parts<'a>(parts: *const iovec, count: c_int) -> &'a [iovec] {
    match usize::try_from(count) {
        // SAFETY: the caller gives this many parts.
        Ok(count) if count > 0 && !parts.is_null() => unsafe {
            slice::from_raw_parts(parts, count)
        },
        _ => &[],
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    let call = || kernel!(SYS_writev, fd, list, count);
    // SAFETY: the parts are what the caller of `writev` gave.
    unsafe { write_noted(fd, None, parts(list, count), call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev(fd: c_int, list: *const iovec, n: c_int, at: off_t) -> ssize_t {
    // The kernel takes the offset in two halves; the upper one is unused on 64-bit machines.
    let call = || kernel!(SYS_pwritev, fd, list, n, at, 0);
    // SAFETY: the parts are what the caller of `pwritev` gave.
    unsafe { write_noted(fd, Some(at), parts(list, n), call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev64(fd: c_int, list: *const iovec, n: c_int, at: off_t) -> ssize_t {
    // SAFETY: the same function.
    unsafe { pwritev(fd, list, n, at) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, size: off_t) -> c_int {
    let call = || int(kernel!(SYS_ftruncate, fd, size));
    let Some(Watched { mut state, node }) = Recorder::of_fd(fd) else {
        return call();
    };
    let result = call();
    if result == 0 {
        state.record(Kind::Resize, node, size.cast_unsigned(), &[]);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, size: off_t) -> c_int {
    // SAFETY: the same function.
    unsafe { ftruncate(fd, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, size: off_t) -> c_int {
    let call = || int(kernel!(SYS_fallocate, fd, mode, offset, size));
    let Some(Watched { mut state, node }) = Recorder::of_fd(fd) else {
        return call();
    };
    if mode & !libc::FALLOC_FL_KEEP_SIZE != 0 {
        die("a fallocate that changes bytes of a watched file");
    }
    let result = call();
    let end = offset + size;
    if result == 0 && mode == 0 && end > recorder::size_bytes(fd) {
        state.record(Kind::Resize, node, end.cast_unsigned(), &[]);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, size: off_t) -> c_int {
    // SAFETY: the same function.
    unsafe { fallocate(fd, mode, offset, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    address: *mut c_void,
    size: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    let writes = protection & libc::PROT_WRITE != 0 && flags & libc::MAP_SHARED != 0;
    if writes && Recorder::of_fd(fd).is_some() {
        die("a watched file is mapped for writing, which cannot be seen from here");
    }
    kernel!(SYS_mmap, address, size, protection, flags, fd, offset) as *mut c_void
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    size: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: the same function.
    unsafe { mmap(address, size, protection, flags, fd, offset) }
}

// ── Syncs. `sync_file_range` is passed on and not noted: it makes nothing durable. ──

fn sync_noted(fd: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let Some(Watched { mut state, node }) = Recorder::of_fd(fd) else {
        return call();
    };
    let ticket = state.next_ticket();
    state.record(Kind::SyncBegin, node, ticket, &[]);
    drop(state);
    let result = call();
    if result == 0
        && let Some(recorder) = Recorder::get()
    {
        recorder.lock().record(Kind::SyncEnd, node, ticket, &[]);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync_noted(fd, || int(kernel!(SYS_fsync, fd)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync_noted(fd, || int(kernel!(SYS_fdatasync, fd)))
}

// ── Descriptors ──

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    let Some(recorder) = Recorder::get() else {
        return int(kernel!(SYS_close, fd));
    };
    // Under the lock, because the number is free at once.
    let mut state = recorder.lock();
    state.closed(fd);
    int(kernel!(SYS_close, fd))
}

fn duplicate_noted(fd: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let Some(recorder) = Recorder::get() else {
        return call();
    };
    let mut state = recorder.lock();
    let copy = call();
    if copy >= 0 {
        state.duplicated(fd, copy);
    }
    copy
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup(fd: c_int) -> c_int {
    duplicate_noted(fd, || int(kernel!(SYS_dup, fd)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup3(fd: c_int, copy: c_int, flags: c_int) -> c_int {
    duplicate_noted(fd, || int(kernel!(SYS_dup3, fd, copy, flags)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup2(fd: c_int, copy: c_int) -> c_int {
    if fd == copy {
        // `dup3` refuses what `dup2` answers with the descriptor, if it is one.
        return if recorder::is_open(fd) { fd } else { -1 };
    }
    duplicate_noted(fd, || int(kernel!(SYS_dup3, fd, copy, 0)))
}

/// Takes its argument as a number whatever it is: on the processors this is built for it lies in the same register.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    let call = || int(kernel!(SYS_fcntl, fd, command, argument));
    match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => duplicate_noted(fd, call),
        _ => call(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int {
    // SAFETY: the same function.
    unsafe { fcntl(fd, command, argument) }
}
