//! What a worker hands over: memory that it did not seal, files that nobody can close. Its parent looks at it, or does without.

use crate::bytes::MIB;
use crate::child;
use crate::liars::{BUFFER, connection, message_of};
use crate::processes;
use crate::support::{SHORT, assert_works, double, only_death, outcome, own_pid, quiet, until, wait_for_ever};
use crate::watchdog::{step, watched};
use executor_core::{CodecPhase, ExecutorExt, MapOptions, TaskError, TaskOptions};
use process_executor::{SharedBuffer, TransportKind};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Hands a file to the parent as memory of that length. Returns false if the parent listens no more.
fn hand_over(id: u64, file: BorrowedFd<'_>, count: usize, length: usize) -> bool {
    let files = vec![file; count];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
    let message = message_of([BUFFER, id, length as u64, 0]);
    let sent = rustix::net::sendmsg(connection(), &[IoSlice::new(&message)], &mut ancillary, SendFlags::NOSIGNAL);
    sent.is_ok()
}

/// A socket whose last close waits for its partner, who does not read.
fn socket_that_blocks(port: u16) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    while socket.write(&[0; 1 << 16]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::from_secs(60_000))).unwrap();
    socket
}

fn hand_over_sockets((port, count): (u16, usize)) {
    let socket = socket_that_blocks(port);
    hand_over(1, socket.as_fd(), count, 10);
    // From now on nobody has it but whoever reads that.
    drop(socket);
    wait_for_ever();
}

/// One, as many as a message can have, and more workers than there are threads for closing: each costs the worker, and
/// nobody waits.
#[test]
fn sockets_that_cannot_be_closed() {
    watched(|| {
        let partner = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = partner.local_addr().unwrap().port();
        let pool = quiet(2).build().unwrap();
        assert_works(&pool);
        for count in [1, 2, 253, 1, 1, 1] {
            let task = pool.submit(hand_over_sockets, (port, count)).unwrap();
            let limited = TaskOptions::new().run_timeout(SHORT);
            let limited = pool.submit_with(limited, |()| -> () { wait_for_ever() }, ()).unwrap();
            assert!(outcome("a task with a limit", limited).unwrap_err().is_timed_out());
            let death = only_death(outcome(&format!("a task that sends {count} sockets"), task));
            let reason =
                if count == 1 { "memory that is not sealed against change" } else { "more descriptors than it should" };
            assert!(death.contains(&format!("SIGKILL, by its pool: it handed over {reason}")), "{death}");
            assert_works(&pool);
        }
        step("the end");
        pool.kill_workers();
        drop(pool);
    });
}

/// Sockets that came when nobody looks: they go with the worker's connection.
#[test]
fn sockets_that_nobody_has_taken_in() {
    fn hand_over_and_die(port: u16) {
        let socket = socket_that_blocks(port);
        for id in 0..20 {
            // The first is the end of the connection for the parent.
            if !hand_over(id, socket.as_fd(), 1, 10) {
                break;
            }
        }
        crate::support::kill_self();
    }
    watched(|| {
        let partner = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = partner.local_addr().unwrap().port();
        let pool = quiet(2).build().unwrap();
        for _ in 0..3 {
            let task = pool.submit(hand_over_and_die, port).unwrap();
            let error = outcome("a task that sends sockets and dies", task).unwrap_err();
            assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
            assert_works(&pool);
        }
        step("the end");
        drop(pool);
    });
}

/// Resident memory of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

const LENGTH: usize = 16 * MIB;

/// Memory with these seals, handed over again and again as other memory each time.
fn hand_over_memory(seals: u32) {
    let file = rustix::fs::memfd_create("memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    std::fs::File::from(file.try_clone().unwrap()).write_all(&vec![1; LENGTH]).unwrap();
    rustix::fs::fcntl_add_seals(&file, SealFlags::from_bits_retain(seals)).unwrap();
    // As fast as the parent takes it in, until it does not any more.
    (0..40).all(|id| hand_over(id, file.as_fd(), 1, LENGTH));
    wait_for_ever();
}

#[test]
fn memory_that_is_not_sealed_costs_its_worker_alone() {
    watched(|| child::run("handovers::memory_program", "1", |_| ()));
}

#[test]
fn memory_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = quiet(2).build().unwrap();
        assert_works(&pool);
        let length = SealFlags::SHRINK | SealFlags::GROW;
        let before = resident();
        for seals in [SealFlags::empty(), length, length | SealFlags::FUTURE_WRITE, SealFlags::WRITE] {
            let task = pool.submit(hand_over_memory, seals.bits()).unwrap();
            let death = only_death(outcome(&format!("a task that hands over memory with {seals:?}"), task));
            assert!(death.contains("by its pool: it handed over memory that is not sealed against change"), "{death}");
            assert_works(&pool);
        }
        let after = resident();
        assert!(after < before + 2 * LENGTH, "{before} bytes became {after}");
    });
}

/// What is sealed is taken in, but costs nothing until a reply names it.
#[test]
fn memory_that_no_reply_names() {
    fn hand_over_sealed(_: ()) -> u32 {
        let file = rustix::fs::memfd_create("memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        std::fs::File::from(file.try_clone().unwrap()).write_all(&[1; 100]).unwrap();
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).unwrap();
        assert!((0..100).all(|id| hand_over(id, file.as_fd(), 1, 100)));
        std::process::id()
    }
    watched(|| {
        let pool = quiet(1).build().unwrap();
        let pid = outcome("a task that hands memory over", pool.submit(hand_over_sealed, ()).unwrap()).unwrap();
        assert_eq!(outcome("the next", pool.submit(double, 2).unwrap()).unwrap(), 4);
        assert_eq!(outcome("the next but one", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
    });
}

/// A result whose decoding fails before it comes to the memory in it.
#[derive(Debug)]
struct Unread(SharedBuffer);

impl Serialize for Unread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("it is not read"))
    }
}

/// A result whose encoding fails after it has come to the memory in it.
#[derive(Debug, Deserialize)]
struct Torn(SharedBuffer);

impl Serialize for Torn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)?;
        Err(serde::ser::Error::custom("it tore"))
    }
}

/// The memory of a reply that nobody comes to read is freed all the same, while its worker goes on.
#[test]
fn memory_that_nobody_reads() {
    watched(|| {
        for transport in ["memory", "ipc"] {
            child::run("handovers::unread_program", transport, |_| ());
        }
    });
}

#[test]
fn unread_program() {
    fn unread(length: usize) -> Unread {
        Unread(SharedBuffer::build(length, |_| ()).unwrap())
    }
    fn torn(length: usize) -> Torn {
        Torn(SharedBuffer::build(length, |_| ()).unwrap())
    }
    #[track_caller]
    fn assert_phase<R: std::fmt::Debug>(outcome: Result<R, TaskError>, phase: CodecPhase) {
        let Err(TaskError::Codec(error)) = outcome else { panic!("no codec error: {outcome:?}") };
        assert_eq!(error.phase(), phase, "{error}");
    }
    let Some(transport) = child::argument() else { return };
    watched(|| {
        let transport = if transport == "ipc" { TransportKind::IpcChannel } else { TransportKind::SharedMemory };
        let pool = quiet(1).transport(transport).build().unwrap();
        let pid = outcome("the first task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let made =
            outcome("a result that is read", pool.submit(|()| SharedBuffer::build(1, |_| ()).unwrap(), ()).unwrap());
        drop(made.unwrap());
        let files = || processes::descriptors(std::process::id()).len();
        let before = files();
        for length in 0..100 {
            let task = pool.submit(unread, length).unwrap();
            assert_phase(outcome("a result that is not read", task), CodecPhase::DecodeResult);
            let task = pool.submit(torn, length).unwrap();
            assert_phase(outcome("a result that is not written", task), CodecPhase::EncodeResult);
        }
        step("a map of results that are not read");
        for outcome in pool.map_with(MapOptions::new().chunk_size(20), unread, 0..100) {
            assert_phase(outcome, CodecPhase::DecodeResult);
        }
        until("all of that memory is freed", || files() <= before);
        assert_eq!(outcome("the last task", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
    });
}
