//! Descriptors that another process has sent, which may be anything: to close one may take for ever.
//!
//! A socket with unsent data and SO_LINGER, a file of a network or of a process that does not answer: the last `close` waits for
//! them, or each. So whoever drops one hands it to a thread that may wait.
//!
//! A child that is started meanwhile has copies of all descriptors until it runs its program, which closes them. It would be the
//! child that waits, if its close was the last. So what was refused stays in the socket that it came by, until the thread that
//! may wait has closed the copies of it and takes it out there; and no worker is started before the copies are closed.

use crate::system::{self, leave};
use executor_core::fork::PerProcess;
use parking_lot::Mutex;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A descriptor whose close may block. Dropped, it is closed on a thread for that purpose.
#[derive(Debug)]
pub(crate) struct UntrustedFile(Option<OwnedFd>);

impl UntrustedFile {
    pub(crate) fn new(file: OwnedFd) -> Self {
        Self(Some(file))
    }

    /// Returns the descriptor, once it is known what it is.
    pub(crate) fn into_trusted(mut self) -> Option<OwnedFd> {
        self.0.take()
    }

    /// Takes it out; nothing is left here.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Leaves its number alone, which is another's by now.
    pub(crate) fn leave(&mut self) {
        self.0.take().into_iter().for_each(leave);
    }

    /// Closes it in this thread, which it does not block as the caller knows.
    pub(crate) fn close_here(&mut self) {
        drop(self.0.take());
    }
}

impl AsFd for UntrustedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("open until it is dropped").as_fd()
    }
}

impl Drop for UntrustedFile {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            close_elsewhere(Waste { copies: vec![file], socket: None });
        }
    }
}

/// So many threads may be blocked at once. After that, descriptors stay open until one of them goes on: few, since each worker
/// that sends what it should not is ended for the first.
const MOST_THREADS: usize = 4;

/// What is not closed after so long blocks.
const LONGEST: Duration = Duration::from_millis(100);

/// All that such a thread does is to close.
const STACK: usize = 64 * 1024;

/// Closes a socket in which descriptors wait that nobody takes, and copies of some of these.
pub(crate) fn close_with_contents(mut socket: UntrustedFile, copies: Vec<UntrustedFile>) {
    let copies = copies.into_iter().filter_map(UntrustedFile::into_trusted).collect();
    close_elsewhere(Waste { copies, socket: socket.0.take() });
}

/// What is to be closed, the copies first.
#[derive(Debug)]
struct Waste {
    copies: Vec<OwnedFd>,
    /// What waits in it is taken out before it is closed.
    socket: Option<OwnedFd>,
}

#[derive(Debug, Default)]
struct Closing {
    waste: VecDeque<Waste>,
    /// None of them is idle: one that finds nothing to close ends.
    threads: usize,
    /// Copies of so many are not closed yet.
    open: usize,
    /// When the last of them came.
    last: Option<Instant>,
}

/// One for the process: what blocks does so whichever pool it is of. A fork starts without threads, and with a lock of its own.
static CLOSING: PerProcess<Mutex<Closing>> = PerProcess::new(Mutex::default);

#[cfg(test)]
executor_core::local! {
    static HANDED_ON: std::cell::Cell<usize> = std::cell::Cell::new(0);
}

/// How often this thread has left a close to another.
#[cfg(test)]
pub(crate) fn handed_on() -> usize {
    HANDED_ON.get()
}

fn close_elsewhere(waste: Waste) {
    #[cfg(test)]
    HANDED_ON.set(HANDED_ON.get() + 1);
    let mut closing = CLOSING.get().lock();
    closing.waste.push_back(waste);
    closing.open += 1;
    closing.last = Some(Instant::now());
    if closing.threads < MOST_THREADS {
        let builder = std::thread::Builder::new().name("process-pool-closing".to_owned()).stack_size(STACK);
        // If there is no thread to be had, the next one closes this, too.
        closing.threads += usize::from(builder.spawn(close_all).is_ok());
    }
}

/// Whether a child that is started now could get copies of what is about to be closed. A close that blocks takes the descriptor
/// away before it does.
pub(crate) fn is_closing() -> bool {
    let closing = CLOSING.get().lock();
    closing.open > 0 && closing.last.is_some_and(|last| last.elapsed() < LONGEST)
}

fn close_all() {
    while let Some(Waste { copies, socket }) = next() {
        drop(copies);
        CLOSING.get().lock().open -= 1;
        if let Some(socket) = &socket {
            system::empty(socket);
        }
    }
}

fn next() -> Option<Waste> {
    let mut closing = CLOSING.get().lock();
    let waste = closing.waste.pop_front();
    closing.threads -= usize::from(waste.is_none());
    waste
}

#[cfg(test)]
mod tests {
    use super::{CLOSING, MOST_THREADS, UntrustedFile};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// A socket of which `close` blocks: its partner does not read, and it waits for that.
    fn socket_that_blocks(partner: &TcpListener) -> (TcpStream, TcpStream) {
        let mut socket = TcpStream::connect(partner.local_addr().unwrap()).unwrap();
        let (peer, _) = partner.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        while socket.write(&[0; 1 << 16]).is_ok() {}
        socket.set_nonblocking(false).unwrap();
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::from_secs(60_000))).unwrap();
        (socket, peer)
    }

    /// More than there are threads, and none of them keeps the one that drops them.
    #[test]
    fn whoever_drops_them_goes_on() {
        let partner = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut peers = Vec::new();
        for _ in 0..=MOST_THREADS {
            let (socket, peer) = socket_that_blocks(&partner);
            drop(UntrustedFile::new(socket.into()));
            peers.push(peer);
        }
        assert!(CLOSING.get().lock().threads <= MOST_THREADS);
        // Now they are read, and all are closed.
        for mut peer in peers {
            std::io::copy(&mut (&mut peer).take(u64::MAX), &mut std::io::sink()).unwrap();
        }
    }
}
