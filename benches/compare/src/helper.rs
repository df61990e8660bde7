//! Processes that this program starts of itself to play one part: the other end of a ping-pong, a receiver of memory,
//! a child that ends at once, a parent of a given size.
//!
//! `compare helper PART [ARGUMENT..]` is looked at before anything else in `main`, so that a helper costs no more than
//! its part.

use std::env;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::peers::{ipc_memory, ping_pong, spinning};
use crate::process_rows::starts;

const MARKER: &str = "helper";

/// What a helper does.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// Ends at once.
    Exit,
    /// Sends back what comes over the socket that is its standard input.
    Echo,
    /// Answers in the shared memory that is its standard input.
    Spin,
    /// Sums pages of memory that comes over ipc-channel.
    PageSums,
    /// Grows to a size, then times the start of pools.
    LargeParent,
}

impl Part {
    const ALL: [Self; 5] = [Self::Exit, Self::Echo, Self::Spin, Self::PageSums, Self::LargeParent];

    const fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Echo => "echo",
            Self::Spin => "spin",
            Self::PageSums => "page-sums",
            Self::LargeParent => "large-parent",
        }
    }

    fn play(self, arguments: impl Iterator<Item = OsString>) {
        // A helper must not outlive a program that was killed; the thread that starts helpers is the main one.
        if !matches!(self, Self::Exit) {
            set_parent_process_death_signal(Some(Signal::KILL)).expect("the kernel has parent death signals");
        }
        match self {
            Self::Exit => {}
            Self::Echo => ping_pong::echo(),
            Self::Spin => spinning::answer(),
            Self::PageSums => ipc_memory::serve(arguments),
            Self::LargeParent => starts::large_parent(arguments),
        }
    }
}

/// Plays the part that the command line asks for; `false` when it asks for none.
pub(crate) fn took_over() -> bool {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != MARKER) {
        return false;
    }
    let name = arguments.next().unwrap_or_default();
    let part = Part::ALL.into_iter().find(|part| name == part.name());
    part.expect("a helper is started with the name of its part").play(arguments);
    true
}

/// The command line of a helper.
pub(crate) fn command(part: Part) -> Command {
    let mut command = Command::new(env::current_exe().expect("the program knows where it is"));
    command.args([MARKER, part.name()]);
    command
}

/// A helper that runs until it is dropped.
pub(crate) struct Helper(Child);

impl Helper {
    /// Starts one with this standard input.
    pub(crate) fn start(command: &mut Command, input: OwnedFd) -> Self {
        Self(command.stdin(Stdio::from(input)).spawn().expect("this program can be started again"))
    }

    /// Starts one that inherits everything.
    pub(crate) fn start_plain(command: &mut Command) -> Self {
        Self(command.spawn().expect("this program can be started again"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is to leave no zombie.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}
