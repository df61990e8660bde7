//! The operating system: shared memory, sockets that carry descriptors, futexes, signals. Linux.
//!
//! Everything here is a thin cover over one or two system calls, with the choice of flags as its content: every descriptor is
//! closed on exec and none is a standard one, nothing has a name, nothing blocks but what says so.
//!
//! **Descriptors of ours come from here alone**, and each has gone through [`beyond_standard`].

use crate::untrusted_file::UntrustedFile;
use rustix::event::{EventfdFlags, epoll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::thread::futex;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The first number that is neither standard input, output nor error.
const BEYOND_STANDARD: RawFd = 3;

/// Moves a descriptor away from the standard numbers. A program may have closed those, and its next descriptors get them; who
/// prints then writes into whatever it is.
fn beyond_standard(file: OwnedFd) -> io::Result<OwnedFd> {
    if file.as_raw_fd() >= BEYOND_STANDARD {
        return Ok(file);
    }
    duplicate(file)
}

/// Takes those of the standard numbers that are free, until the result is dropped: what a library opens meanwhile gets others.
pub(crate) fn occupy_standard() -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    loop {
        let file = open_nothing()?;
        if file.as_raw_fd() >= BEYOND_STANDARD {
            return Ok(taken);
        }
        taken.push(file);
    }
}

/// Opens what has nothing to read and takes whatever is written.
pub(crate) fn null_device() -> io::Result<OwnedFd> {
    beyond_standard(open_nothing()?)
}

/// Without `/dev`, it is a number that behaves as if it were closed, but is taken: neither is anything stored, nor does the
/// next file that is opened get what is printed.
fn open_nothing() -> io::Result<OwnedFd> {
    let open = |path: &str, flags: OFlags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    Ok(open("/dev/null", OFlags::RDWR).or_else(|_| open("/", OFlags::PATH))?)
}

/// Opens the null device on each of the standard numbers that is closed.
pub(crate) fn fill_standard() -> io::Result<()> {
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

/// Moves the file that is standard input to a place of its own, and leaves the null device there.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    // Far from where the files of tasks are, as long as so many are allowed.
    const FAR: RawFd = 100;
    let stdin = rustix::stdio::stdin();
    let file = rustix::io::fcntl_dupfd_cloexec(stdin, FAR)
        .or_else(|_| rustix::io::fcntl_dupfd_cloexec(stdin, BEYOND_STANDARD))?;
    rustix::stdio::dup2_stdin(null_device()?)?;
    Ok(file)
}

/// Another descriptor of the same file.
pub(crate) fn duplicate(file: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(file, BEYOND_STANDARD)?)
}

/// A counter that can be waited for; it can be read unless it is 0.
pub(crate) fn event_counter(count: u32) -> io::Result<OwnedFd> {
    beyond_standard(rustix::event::eventfd(count, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// A set of descriptors to wait for.
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    beyond_standard(epoll::create(epoll::CreateFlags::CLOEXEC)?)
}

/// A descriptor that is readable once a child has ended.
pub(crate) fn end_of_process(pid: Pid) -> io::Result<OwnedFd> {
    beyond_standard(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Anonymous memory of a fixed size behind a descriptor: no name, no file, gone with its last descriptor and mapping.
pub(crate) fn anonymous_memory(name: &str, length: usize) -> io::Result<OwnedFd> {
    let file = growing_memory(name)?;
    grow(&file, length)?;
    rustix::fs::fcntl_add_seals(&file, LENGTH)?;
    Ok(file)
}

/// The same with no size yet: what is written makes it longer.
pub(crate) fn growing_memory(name: &str) -> io::Result<OwnedFd> {
    beyond_standard(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// How the C library names what is limited.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

/// Returns what this process may have of something; `None`: as much as it likes, or the system does not say. Not by rustix, which
/// panics where a sandbox refuses the call.
pub(crate) fn limit_of(resource: Resource) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call fills the value that it is given, or leaves it.
    let is_told = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
    (is_told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Refuses a length beyond the limit on the size of files, which holds for memory behind a descriptor as well. The kernel's own
/// refusal is a signal, SIGXFSZ, which ends whoever does not ignore it.
pub(crate) fn check_file_size(length: usize) -> io::Result<()> {
    match limit_of(libc::RLIMIT_FSIZE).filter(|limit| length as u64 > *limit) {
        None => Ok(()),
        Some(limit) => {
            let text = format!(
                "{length} bytes are needed, and the limit on the size of files is {limit} bytes (RLIMIT_FSIZE, `ulimit -f`)"
            );
            Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
        }
    }
}

/// Makes memory longer.
pub(crate) fn grow(file: impl AsFd, length: usize) -> io::Result<()> {
    check_file_size(length)?;
    Ok(rustix::fs::ftruncate(file, length as u64)?)
}

/// Takes the memory for some bytes now, which were never written: they would not be there.
pub(crate) fn fill_fresh(file: impl AsFd, length: usize) -> io::Result<()> {
    const ZEROS: &[u8] = &[0; 4096];
    if fill_holes(&file, 0..length).is_ok() {
        return Ok(());
    }
    // A sandbox may know no `fallocate`; where there is no memory, this fails as well.
    (0..length)
        .step_by(ZEROS.len())
        .try_for_each(|start| write_all(&file, start, &ZEROS[..ZEROS.len().min(length - start)]))
}

/// Takes the memory for some bytes now, whatever is in them.
pub(crate) fn fill_holes(file: impl AsFd, bytes: Range<usize>) -> io::Result<()> {
    let (start, length) = (bytes.start as u64, bytes.len() as u64);
    if length > 0 {
        check_file_size(bytes.end)?;
        retry_on_intr(|| rustix::fs::fallocate(&file, FallocateFlags::empty(), start, length))?;
    }
    Ok(())
}

/// Writes all bytes from `start` on.
pub(crate) fn write_all(file: impl AsFd, mut start: usize, mut bytes: &[u8]) -> io::Result<()> {
    check_file_size(start.saturating_add(bytes.len()))?;
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(&file, bytes, start as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => (start, bytes) = (start + written, &bytes[written..]),
        }
    }
    Ok(())
}

/// Bytes of memory that the machine has, if it says so.
pub(crate) fn physical_memory() -> Option<u64> {
    let mut memory = MaybeUninit::<libc::sysinfo>::uninit();
    // SAFETY: the call fills what it is given, or says that it has not.
    let memory = unsafe { (libc::sysinfo(memory.as_mut_ptr()) == 0).then(|| memory.assume_init()) }?;
    Some((memory.totalram as u64).saturating_mul(memory.mem_unit.into()))
}

/// Seals memory against all change, for ever, also of its length. No writable mapping of it may exist.
pub(crate) fn seal_for_reading(file: impl AsFd) -> io::Result<()> {
    // The kernel gives up if it finds pages in use for a moment, by its own housekeeping; the moment passes.
    for _ in 0..SEAL_TRIES {
        match rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | LENGTH | SealFlags::SEAL) {
            Err(Errno::BUSY) => std::thread::yield_now(),
            sealed => return Ok(sealed?),
        }
    }
    Err(Errno::BUSY.into())
}

/// Seals against another length.
const LENGTH: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

const SEAL_TRIES: u32 = 8;

/// Whether a descriptor is memory that can never change, whoever made it.
///
/// It may be anything that a descriptor can be, of which some block whoever looks at them. This question does not: the kernel
/// answers it from its own memory, and says no of all that is not memory.
pub(crate) fn is_sealed(file: impl AsFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(LENGTH | SealFlags::WRITE))
}

/// Checks memory that another process made and says to be so long: it can never change, and all of it is there.
pub(crate) fn check_sealed(file: impl AsFd, length: u64) -> Result<(), Unfit> {
    const BLOCK: u64 = 512;
    if !is_sealed(&file) {
        return Err(Unfit::Unsealed);
    }
    let stat = rustix::fs::fstat(file).map_err(|_| Unfit::Unsealed)?;
    if u64::try_from(stat.st_size) != Ok(length) {
        return Err(Unfit::OtherLength);
    }
    // A few bytes are enough to make a file of any length with nothing in it, which costs memory only whoever reads it.
    let there = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
    if there < length { Err(Unfit::Missing) } else { Ok(()) }
}

/// What is wrong with memory that another process made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("memory that is not sealed against change")]
    Unsealed,
    #[error("memory that is not as long as was said")]
    OtherLength,
    #[error("memory that is not there")]
    Missing,
}

/// Two connected ends.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::STREAM)
}

/// Two connected ends that keep messages apart.
pub(crate) fn packet_socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::SEQPACKET)
}

fn pair_of(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((beyond_standard(one)?, beyond_standard(other)?))
}

/// Whether a descriptor is a socket of the kind that a pool has with its workers.
pub(crate) fn is_stream_of_a_pool(file: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_type(file) == Ok(SocketType::STREAM)
        && rustix::net::sockopt::socket_domain(file) == Ok(AddressFamily::UNIX)
}

/// Whether a descriptor is a socket that keeps messages apart.
pub(crate) fn is_packet_socket(file: impl AsFd) -> bool {
    rustix::net::sockopt::socket_type(file) == Ok(SocketType::SEQPACKET)
}

/// The most descriptors in one message of ours.
const MOST_DESCRIPTORS: usize = 4;

/// Sends bytes, all or none, with descriptors; never blocks.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = retry_on_intr(|| rustix::net::sendmsg(&socket, &[IoSlice::new(bytes)], &mut ancillary, flags))?;
    Ok(sent)
}

/// Receives bytes, and the descriptors that came along, from a process that is trusted. 0 bytes: the other end is gone. `wait`:
/// blocks until something comes.
///
/// It waits in `recvmsg` itself, which keeps to the socket it was given; `poll` asks for the number again, which may be
/// another file's by then.
pub(crate) fn receive(
    socket: impl AsFd,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    wait: bool,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = if wait { RecvFlags::CMSG_CLOEXEC } else { RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT };
    let received =
        retry_on_intr(|| rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut *bytes)], &mut ancillary, flags))?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            // One that finds no other place is lost, as where the kernel finds none.
            descriptors.extend(received.filter_map(|file| beyond_standard(file).ok()));
        }
    }
    Ok(received.bytes)
}

/// What `peek` finds.
pub(crate) struct Peeked {
    /// 0: the other end is gone.
    pub(crate) bytes: usize,
    pub(crate) files: Vec<UntrustedFile>,
    /// There are more descriptors than those.
    pub(crate) has_more: bool,
}

/// Copies the first bytes that wait in a socket, up to and with the first ones that have descriptors, and one or two of those;
/// leaves all of them there.
///
/// As long as they wait in the socket, nothing that is done with these copies closes a file for good, nor does the kernel with
/// those that found no room in this process. What it does not hand over when it takes a message out of a socket, it closes at
/// once, in the thread that receives, which may block there.
pub(crate) fn peek(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<Peeked> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT | RecvFlags::PEEK;
    let peeked =
        retry_on_intr(|| rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut *bytes)], &mut ancillary, flags))?;
    let (mut files, mut has_more) = (Vec::new(), peeked.flags.contains(ReturnFlags::CTRUNC));
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            for file in received {
                match beyond_standard(file) {
                    Ok(file) => files.push(UntrustedFile::new(file)),
                    Err(_) => has_more = true,
                }
            }
        }
    }
    Ok(Peeked { bytes: peeked.bytes, files, has_more })
}

/// Takes so many bytes out of a socket, which `peek` has found there. Descriptors that wait with them go: the caller has copies.
pub(crate) fn discard(socket: impl AsFd, mut count: usize) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while count > 0 {
        let most = count.min(bytes.len());
        match retry_on_intr(|| rustix::net::recv(&socket, &mut bytes[..most], RecvFlags::DONTWAIT))?.0 {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            taken => count -= taken,
        }
    }
    Ok(())
}

/// Takes all that waits out of a socket to which nobody can send any more. Blocks where the last close of a descriptor does
/// that waits there.
pub(crate) fn empty(socket: impl AsFd) {
    while discard(&socket, 1).is_ok() {}
}

/// Has a socket wait no longer than that for something to receive.
pub(crate) fn limit_waiting(socket: impl AsFd, limit: Duration) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_timeout(socket, rustix::net::sockopt::Timeout::Recv, Some(limit))?)
}

/// How many bytes could be received without waiting; more than there can be if nobody says.
pub(crate) fn bytes_waiting(socket: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(socket).unwrap_or(u64::MAX)
}

/// Sleeps while `word` is `expected`, until woken or `limit` has passed. May return early.
pub(crate) fn sleep_while(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let limit = limit.and_then(|limit| limit.try_into().ok());
    // Not private to this process: the word lies in memory shared with another.
    let _ = futex::wait(word, futex::Flags::empty(), expected, limit.as_ref());
}

/// Wakes who sleeps on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

/// Wakes one of those who sleep on `word`; false if nobody does.
pub(crate) fn wake_one(word: &AtomicU32) -> bool {
    futex::wake(word, futex::Flags::empty(), 1).is_ok_and(|woken| woken > 0)
}

/// Signals a process group by its leader's number. Only before the leader was reaped: until then the number is taken. An
/// error if there is nobody in the group.
pub(crate) fn signal_group(leader: u32, signal: Signal) -> io::Result<()> {
    let group = i32::try_from(leader).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(rustix::process::kill_process_group(group, signal)?)
}

/// Whether a process is about to end, whatever has brought that about: it runs nothing of its own any more.
pub(crate) fn is_exiting(pid: u32) -> bool {
    const PF_EXITING: u64 = 4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain anything. The flags are the seventh number behind it, the state counted as one.
    let flags = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildState {
    /// It has not ended, or somebody who traces it has not seen yet that it has.
    Running,
    /// It has ended, and still has its number.
    Ended,
    /// Somebody has reaped it.
    Reaped,
}

/// Tells how far a child is; never waits.
pub(crate) fn state_of_child(pid: u32) -> ChildState {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return ChildState::Reaped };
    match retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), look)) {
        Ok(None) => ChildState::Running,
        Ok(Some(_)) => ChildState::Ended,
        Err(_) => ChildState::Reaped,
    }
}

/// Whose rights this process has: its real user and group, and its effective ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    user: u32,
    group: u32,
    effective_user: u32,
    effective_group: u32,
}

impl Credentials {
    pub(crate) fn now() -> Self {
        Self {
            user: rustix::process::getuid().as_raw(),
            group: rustix::process::getgid().as_raw(),
            effective_user: rustix::process::geteuid().as_raw(),
            effective_group: rustix::process::getegid().as_raw(),
        }
    }

    /// Whether what a process started now would be another's than what was started `before`. Rights that were only put
    /// aside, to be taken up again, do not count: a process that is started meanwhile may not become a worker.
    pub(crate) fn differ_for_good(&self, before: &Self) -> bool {
        let are_whole = self.user == self.effective_user && self.group == self.effective_group;
        are_whole && self != before
    }
}

/// Whether a process is in the group that bears its number.
pub(crate) fn leads_its_group(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some() && rustix::process::getpgid(pid).ok() == pid
}

/// The time since an arbitrary moment, the same moment for all processes, in nanoseconds.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

/// A descriptor's identity, which another that took its number has not.
pub(crate) fn file_identity(file: impl AsFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(file).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_memory(pid: u32) -> Option<u64> {
    statm(pid).map(|(resident, _)| resident)
}

/// The same without what it shares with others: files, and memory that it was handed.
pub(crate) fn own_memory(pid: u32) -> Option<u64> {
    statm(pid).map(|(resident, shared)| resident.saturating_sub(shared))
}

fn statm(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let page = rustix::param::page_size() as u64;
    let mut bytes = text.split_whitespace().skip(1).map(|pages| Some(pages.parse::<u64>().ok()? * page));
    Some((bytes.next()??, bytes.next()??))
}

/// Whether a thread of this process waits for something else than a processor. One of which nothing is known counts as one
/// that does.
pub(crate) fn is_blocked(thread: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.as_raw_pid()));
    // The state follows the name, which may contain anything but ends with the last parenthesis.
    let state = stat.ok().and_then(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next());
    state != Some('R')
}

/// Closes every descriptor but the standard three: those that the parent itself was given without close-on-exec would else
/// be kept open by each worker. For a process that has opened none of its own yet, and has no other thread.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: a worker at its very start; nothing in this process owns a descriptor from 3 up.
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

/// Leaves a descriptor as it is: its number is nobody's, or somebody else's by now.
pub(crate) fn leave(file: OwnedFd) {
    let _ = file.into_raw_fd();
}

/// Gives up the terminal that controls this process, if there is one. What this process and those that it starts do there from now
/// on is no more controlled than what they do to any other file: they are not stopped for it.
pub(crate) fn leave_terminal() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty());
    let standard = [rustix::stdio::stdout(), rustix::stdio::stderr()];
    // Without `/dev`, one of those may still lead there.
    for file in terminal.iter().map(AsFd::as_fd).chain(standard) {
        // SAFETY: the request takes no argument, and concerns this process alone, which leads no group of terminals.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCNOTTY) } == 0 {
            return;
        }
    }
}
