//! Processes that this program starts of itself to play one part: the other end of a ping-pong, a receiver of memory,
//! a child that ends at once, a parent of a given size.
//!
//! `compare helper PART [ARGUMENT..]` is looked at before anything else in `main`, so that a helper costs no more than
//! its part.

use std::env;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

pub(crate) const MARKER: &str = "helper";

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
    pub(crate) const ALL: [Self; 5] = [Self::Exit, Self::Echo, Self::Spin, Self::PageSums, Self::LargeParent];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Echo => "echo",
            Self::Spin => "spin",
            Self::PageSums => "page-sums",
            Self::LargeParent => "large-parent",
        }
    }
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
