//! Sockets that carry descriptors.

use super::descriptors::beyond_standard;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Makes two connected ends of a stream.
///
/// # Errors
///
/// `socketpair` fails.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::STREAM)
}

/// Makes two connected ends that keep messages apart.
///
/// # Errors
///
/// `socketpair` fails.
pub fn packet_socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::SEQPACKET)
}

fn pair_of(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((beyond_standard(one)?, beyond_standard(other)?))
}

/// Returns whether a descriptor is a socket of the kind that a process has with its parent.
#[must_use]
pub fn is_stream_socket(file: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_type(file) == Ok(SocketType::STREAM)
        && rustix::net::sockopt::socket_domain(file) == Ok(AddressFamily::UNIX)
}

/// Returns whether a descriptor is a socket that keeps messages apart.
pub fn is_packet_socket(file: impl AsFd) -> bool {
    rustix::net::sockopt::socket_type(file) == Ok(SocketType::SEQPACKET)
}

/// The most descriptors that the system takes in one message.
pub const MOST_DESCRIPTORS: usize = 253;

/// Sends bytes, all or none, with descriptors; never blocks. Returns how many bytes were sent.
///
/// # Errors
///
/// `sendmsg` fails, or there are too many descriptors.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = retry_on_intr(|| rustix::net::sendmsg(&socket, &[IoSlice::new(bytes)], &mut ancillary, flags))?;
    Ok(sent)
}

/// Waits until there is something to read, or the end.
///
/// # Errors
///
/// `poll` fails.
pub fn wait_readable(file: impl AsFd) -> io::Result<()> {
    retry_on_intr(|| poll(&mut [PollFd::new(&file, PollFlags::IN)], None))?;
    Ok(())
}

/// Waits until a socket takes something, or its other end is gone.
///
/// # Errors
///
/// `poll` fails.
pub fn wait_writable(socket: impl AsFd) -> io::Result<()> {
    retry_on_intr(|| poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None))?;
    Ok(())
}

/// Receives bytes from a process that is trusted, and the descriptors that came with them. Returns how many bytes came; 0: the
/// other end is gone. `wait`: blocks until something comes.
///
/// It waits in `recvmsg` itself, which keeps to the socket that it was given; `poll` asks for the number again, which may be
/// another file's by then.
///
/// # Errors
///
/// `recvmsg` fails; `WouldBlock`: nothing has come.
pub fn receive(socket: impl AsFd, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>, wait: bool) -> io::Result<usize> {
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

/// What [`peek`] finds.
#[derive(Debug)]
pub struct Peeked {
    /// How many bytes; 0: the other end is gone.
    pub bytes: usize,
    /// Copies of the first descriptors. Any of them may be a file whose close blocks.
    pub files: Vec<OwnedFd>,
    /// There are more descriptors than those.
    pub has_more: bool,
}

/// Copies the first bytes that wait in a socket, up to and with the first ones that have descriptors, and one or two of those;
/// leaves all of them there.
///
/// As long as they wait in the socket, no close of these copies is the last of a file, nor is the kernel's close of those that
/// find no room in this process. What the kernel cannot hand over when a message leaves the socket it closes at once, in the
/// thread that receives, which may block there.
///
/// # Errors
///
/// `recvmsg` fails; `WouldBlock`: nothing waits.
pub fn peek(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<Peeked> {
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
                    Ok(file) => files.push(file),
                    Err(_) => has_more = true,
                }
            }
        }
    }
    Ok(Peeked { bytes: peeked.bytes, files, has_more })
}

/// Takes so many bytes out of a socket, which [`peek`] has found there. Descriptors that wait with them go: the caller has copies.
///
/// # Errors
///
/// `recv` fails; `UnexpectedEof`: there are fewer bytes.
pub fn discard(socket: impl AsFd, mut count: usize) -> io::Result<()> {
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

/// Takes all that waits out of a socket to which nobody can send any more. Blocks where the last close of a descriptor does that
/// waits there.
pub fn empty(socket: impl AsFd) {
    while discard(&socket, 1).is_ok() {}
}

/// Has a socket wait no longer than `limit` for something to receive.
///
/// # Errors
///
/// `setsockopt` fails.
pub fn limit_waiting(socket: impl AsFd, limit: Duration) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_timeout(socket, rustix::net::sockopt::Timeout::Recv, Some(limit))?)
}

/// Returns how many bytes could be received without waiting; more than there can be if the system does not say.
pub fn bytes_waiting(socket: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(socket).unwrap_or(u64::MAX)
}
