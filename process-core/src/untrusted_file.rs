//! Descriptors that another process has sent, which may be anything: to close one may take for ever.
//!
//! For a socket with unsent data and SO_LINGER, or a file of a network or of a process that does not answer, the last `close` waits,
//! or each. So one that is dropped is handed to a thread that may wait.
//!
//! A child that is started meanwhile has copies of all descriptors until it runs its program, which closes them; if that close was the
//! last, the child would wait. So what was refused stays in the socket that it came by until the thread that may wait has closed the
//! copies of it and takes it out there; and no child is started before the copies are closed ([`is_closing`]).

use crate::system::{self, leave};
use parking_lot::Mutex;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

/// A descriptor whose close may block. Dropped, it is closed on a thread for that purpose.
#[derive(Debug)]
pub struct UntrustedFile(Option<OwnedFd>);

impl UntrustedFile {
    /// Takes a descriptor of which nothing is known.
    #[must_use]
    pub fn new(file: OwnedFd) -> Self {
        Self(Some(file))
    }

    /// Returns the descriptor, whose close does not block, as the caller knows by now.
    #[must_use]
    pub fn into_trusted(mut self) -> Option<OwnedFd> {
        self.0.take()
    }

    /// Takes it out; nothing is left here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Leaves its number alone, which is another file's by now.
    pub fn leave(&mut self) {
        self.0.take().into_iter().for_each(leave);
    }

    /// Closes it in this thread, where that does not block, as the caller knows.
    pub fn close_here(&mut self) {
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

/// So many threads may be blocked at once. After that, descriptors stay open until one of them goes on: few, since a worker that sends
/// what it must not is ended for the first.
const MOST_THREADS: usize = 4;

/// A close that takes longer blocks.
const LONGEST: Duration = Duration::from_millis(100);

/// Enough for a thread that only closes.
const STACK: usize = 64 * 1024;

/// Closes a socket in which descriptors wait that nobody takes, and copies of some of these.
pub fn close_with_contents(mut socket: UntrustedFile, copies: Vec<UntrustedFile>) {
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

/// Returns the books of this process. A fork has none of these threads, and maybe a lock that nobody opens: it begins books of its own,
/// and leaves the others as they are. They are asked for so rarely that a system call each time does not matter.
fn closing() -> &'static Mutex<Closing> {
    static CURRENT: AtomicPtr<(u32, Mutex<Closing>)> = AtomicPtr::new(ptr::null_mut());
    let here = std::process::id();
    // ORDERING: Acquire, with the exchange below: the books are seen whole.
    let current = CURRENT.load(Ordering::Acquire);
    // SAFETY: null, or books that are never dropped.
    if let Some((process, closing)) = unsafe { current.as_ref() }
        && *process == here
    {
        return closing;
    }
    let new = Box::into_raw(Box::new((here, Mutex::default())));
    // ORDERING: AcqRel: Release, with the load above; Acquire, to see the books of a faster thread.
    let books = match CURRENT.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(faster) => {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
            faster
        }
    };
    // SAFETY: books of this process, which are never dropped.
    unsafe { &(*books).1 }
}

executor_wire::local! {
    static HANDED_ON: Cell<usize> = Cell::new(0);
}

/// Returns how often this thread has left a close to another.
#[must_use]
pub fn handed_on() -> usize {
    HANDED_ON.get()
}

fn close_elsewhere(waste: Waste) {
    HANDED_ON.set(HANDED_ON.get() + 1);
    let mut closing = closing().lock();
    closing.waste.push_back(waste);
    closing.open += 1;
    closing.last = Some(Instant::now());
    if closing.threads < MOST_THREADS {
        let builder = std::thread::Builder::new().name("process-pool-closing".to_owned()).stack_size(STACK);
        // If there is no thread to be had, the next one closes this, too.
        closing.threads += usize::from(builder.spawn(close_all).is_ok());
    }
}

/// Returns whether a child that is started now could get copies of what is about to be closed. A close that blocks takes the
/// descriptor away before it does.
#[must_use]
pub fn is_closing() -> bool {
    let closing = closing().lock();
    closing.open > 0 && closing.last.is_some_and(|last| last.elapsed() < LONGEST)
}

fn close_all() {
    while let Some(Waste { copies, socket }) = next() {
        drop(copies);
        closing().lock().open -= 1;
        if let Some(socket) = &socket {
            system::empty(socket);
        }
    }
}

fn next() -> Option<Waste> {
    let mut closing = closing().lock();
    let waste = closing.waste.pop_front();
    closing.threads -= usize::from(waste.is_none());
    waste
}

#[cfg(test)]
mod tests {
    use super::{MOST_THREADS, UntrustedFile, closing};
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
        assert!(closing().lock().threads <= MOST_THREADS);
        // Now they are read, and all are closed.
        for mut peer in peers {
            std::io::copy(&mut (&mut peer).take(u64::MAX), &mut std::io::sink()).unwrap();
        }
    }
}
