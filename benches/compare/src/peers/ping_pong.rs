//! Two processes and a Unix stream socket: what a round trip of bare blocking reads and writes costs.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::each;
use crate::helper::{self, Helper, Part};

/// About what a task with a small argument, or its result, takes.
const MESSAGE: usize = 64;

/// The near end, and the process at the far one.
pub(crate) struct PingPong {
    socket: UnixStream,
    _far: Helper,
}

impl PingPong {
    pub(crate) fn new() -> Self {
        let (socket, far) = UnixStream::pair().expect("a socket pair can be made");
        let far = Helper::start(&mut helper::command(Part::Echo), OwnedFd::from(far));
        Self { socket, _far: far }
    }

    /// Times so many round trips.
    pub(crate) fn round_trips(&mut self, count: u64) -> Duration {
        let (sent, mut received) = ([7; MESSAGE], [0; MESSAGE]);
        let elapsed = each(count, |_| {
            self.socket.write_all(&sent).expect("the far end reads");
            self.socket.read_exact(&mut received).expect("the far end answers");
        });
        assert_eq!(sent, received);
        elapsed
    }
}

/// The far end: sends everything back until the near end closes.
pub(crate) fn echo() {
    let input = io::stdin().as_fd().try_clone_to_owned().expect("standard input is the socket");
    let mut socket = UnixStream::from(input);
    let mut message = [0; MESSAGE];
    while socket.read_exact(&mut message).is_ok() {
        socket.write_all(&message).expect("the near end reads");
    }
}
