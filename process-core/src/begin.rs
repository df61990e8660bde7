//! How a process that was taken over comes to its entry point: it sorts what it inherits, hears where to begin, and goes there.

use crate::connection::{BEGIN, Connection, REFUSED};
use crate::entry::{Entry, ExitCode};
use crate::frame::{self, Received, Receiver};
use crate::image::Image;
use crate::memory::Buffer;
use crate::refusal::Refusal;
use crate::system;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Pid;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How often a process that waits for its parent looks whether that is still there, beside listening for the end of the connection.
pub const LOOK_FOR_PARENT: Duration = Duration::from_secs(1);

/// What a process ends with that panicked, as a program does.
const PANICKED: i32 = 101;

/// Why a process did not begin; `None`: its parent is gone, so that nobody is left who could be told, or has been told.
type NotBegun = Option<io::Error>;

/// Makes this process what its parent has started it for, and ends it when that is over. On the main thread, maybe before `main`.
pub(crate) fn become_child() -> ! {
    let (entry, connection) = match begin() {
        Ok(begun) => begun,
        Err(Some(error)) => Refusal::Failed.end(&format!("a worker process could not begin: {error}")),
        Err(None) => Refusal::Failed.end_silently(),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| entry(connection)));
    end_in_order(ended.map_or(PANICKED, ExitCode::number))
}

/// Ends the process as any program ends, with what is left to be printed, the exit handlers that were registered meanwhile, and the
/// profile of a build that measures coverage. All of that may hang: it is the last thing that happens here.
#[expect(clippy::disallowed_methods, reason = "no destructor of ours is left to run; nobody calls this from a program")]
fn end_in_order(code: i32) -> ! {
    std::process::exit(code)
}

fn begin() -> Result<(Entry, Connection), NotBegun> {
    let parent = system::parent();
    system::continue_without_parent();
    // Before anything is opened, which would get those numbers.
    system::fill_standard()?;
    let closed = system::close_inherited();
    let socket = system::take_stdin()?;
    system::leave_terminal();
    system::settle_signals();
    system::limit_waiting(&socket, LOOK_FOR_PARENT)?;
    let mut receiver = Receiver::default();
    let (words, attachments) = hear(&mut receiver, &socket, parent)?;
    let [BEGIN, digest, offset, count] = words else { return Err(Some(unknown("what it is told"))) };
    let entry = closed.and_then(|()| find(digest, offset));
    let entry = entry.map_err(|error| refuse(&socket, error))?;
    if attachments.len() as u64 != count {
        let text = "the descriptors that it is given did not come; raise the limit on open files (ulimit -n)";
        return Err(refuse(&socket, io::Error::other(text)));
    }
    Ok((entry, Connection::of_child(socket, receiver, parent, attachments)))
}

fn hear(
    receiver: &mut Receiver,
    socket: &OwnedFd,
    parent: Option<Pid>,
) -> Result<(frame::Words, Vec<OwnedFd>), NotBegun> {
    loop {
        match receiver.receive(socket, true) {
            Received::Frame(words, files) => return Ok((words, files)),
            // A fork of the parent's may hold the other end of the socket.
            Received::Nothing if system::parent() == parent => {}
            Received::Nothing | Received::End => return Err(None),
        }
    }
}

fn unknown(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} by its standard input is not what a parent says"))
}

/// Finds the function of that name, in the same executable as the parent's.
fn find(digest: u64, offset: u64) -> io::Result<Entry> {
    let image = Image::of_this_process().map_err(io::Error::other)?;
    if image.digest() != digest {
        return Err(io::Error::other(
            "the process runs another executable than its parent; a wrapper or loader started it?",
        ));
    }
    let code = image.code_at(offset).ok_or_else(|| unknown("where it is to begin, as it is told"))?;
    // SAFETY: in this executable's code, which is the parent's; that an entry point begins there is the word of the parent, which
    // started this process.
    Ok(unsafe { std::mem::transmute::<*const (), Entry>(code) })
}

/// Tells the parent why this process does not begin. Returns the error if the parent does not hear it.
fn refuse(socket: &OwnedFd, error: io::Error) -> NotBegun {
    let text = error.to_string();
    let told = Buffer::copy_of(text.as_bytes())
        .and_then(|memory| frame::send(socket, [REFUSED, memory.length(), 0, 0], &[memory.file().as_fd()]));
    told.is_err().then_some(error)
}
