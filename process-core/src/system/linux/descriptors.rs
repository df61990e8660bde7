//! Descriptors in general: none of ours is a standard one, and those that were inherited are closed.

use rustix::event::{EventfdFlags, epoll as event_poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io;

/// The first number that is neither standard input, output nor error.
const BEYOND_STANDARD: RawFd = 3;

/// Moves a descriptor away from the standard numbers. A program that has closed those would get one of ours under such a number,
/// and print into it.
pub(super) fn beyond_standard(file: OwnedFd) -> io::Result<OwnedFd> {
    if file.as_raw_fd() >= BEYOND_STANDARD {
        return Ok(file);
    }
    duplicate(file)
}

/// Takes the standard numbers that are free until the result is dropped, so that what a library opens meanwhile gets others.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn occupy_standard() -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    loop {
        let file = open_nothing()?;
        if file.as_raw_fd() >= BEYOND_STANDARD {
            return Ok(taken);
        }
        taken.push(file);
    }
}

/// Opens a file that has nothing to read and takes whatever is written.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn null_device() -> io::Result<OwnedFd> {
    beyond_standard(open_nothing()?)
}

/// Opens the null device. Without `/dev`, returns a descriptor that behaves as a closed one but holds its number: nothing is
/// stored, and the next file that is opened does not get what is printed.
fn open_nothing() -> io::Result<OwnedFd> {
    let open = |path: &str, flags: OFlags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    Ok(open("/dev/null", OFlags::RDWR).or_else(|_| open("/", OFlags::PATH))?)
}

/// Opens the null device on each of the standard numbers that is closed.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn fill_standard() -> io::Result<()> {
    let is_closed = |file: BorrowedFd<'_>| rustix::io::fcntl_getfd(file) == Err(Errno::BADF);
    let all = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    if all.into_iter().any(is_closed) {
        let nothing = null_device()?;
        let [input, output, error] = all.map(is_closed);
        input.then(|| rustix::stdio::dup2_stdin(&nothing)).transpose()?;
        output.then(|| rustix::stdio::dup2_stdout(&nothing)).transpose()?;
        error.then(|| rustix::stdio::dup2_stderr(&nothing)).transpose()?;
    }
    Ok(())
}

/// Moves the file that is standard input to another number, and leaves the null device in its place.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn take_stdin() -> io::Result<OwnedFd> {
    // Far from where the files of tasks are, as long as so many are allowed.
    const FAR: RawFd = 100;
    let stdin = rustix::stdio::stdin();
    let file = rustix::io::fcntl_dupfd_cloexec(stdin, FAR)
        .or_else(|_| rustix::io::fcntl_dupfd_cloexec(stdin, BEYOND_STANDARD))?;
    rustix::stdio::dup2_stdin(null_device()?)?;
    Ok(file)
}

/// Returns another descriptor of the same file.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn duplicate(file: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(file, BEYOND_STANDARD)?)
}

/// Leaves a descriptor open, and its number alone: the number is nobody's, or another file's by now.
pub fn leave(file: OwnedFd) {
    let _ = file.into_raw_fd();
}

/// Returns what tells the file of a descriptor from another that took its number.
pub fn file_identity(file: impl AsFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(file).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Makes a counter that can be waited for: it is readable unless it is 0.
///
/// # Errors
///
/// `eventfd` fails.
pub fn event_counter(count: u32) -> io::Result<OwnedFd> {
    beyond_standard(rustix::event::eventfd(count, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Makes a set of descriptors to wait for.
///
/// # Errors
///
/// `epoll_create1` fails.
pub fn epoll() -> io::Result<OwnedFd> {
    beyond_standard(event_poll::create(event_poll::CreateFlags::CLOEXEC)?)
}

/// Closes every descriptor but the standard three: a child would keep those open that its parent was given without
/// close-on-exec. For a process that has opened none of its own yet, and has no other thread.
///
/// # Errors
///
/// The system closes none and lists none.
pub fn close_inherited() -> io::Result<()> {
    // SAFETY: the very start of a process; nothing in it owns a descriptor from 3 up.
    if unsafe { libc::syscall(libc::SYS_close_range, BEYOND_STANDARD, libc::c_uint::MAX, 0) } == 0 {
        return Ok(());
    }
    // A kernel before 5.9, or a filter of system calls.
    let refused = io::Error::last_os_error();
    let open = open_descriptors()
        .map_err(|error| io::Error::other(format!("close_range says: {refused}; {DESCRIPTORS}: {error}")))?;
    for number in open.into_iter().filter(|number| *number >= BEYOND_STANDARD) {
        // SAFETY: as above. One of them is closed already: the folder that they were read from.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Lists the descriptors of this process.
const DESCRIPTORS: &str = "/proc/self/fd";

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(DESCRIPTORS)? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // At least the folder itself is open.
    if open.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(open) }
}
