//! What each helper does.

use std::env;
use std::ffi::OsString;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::helper::{MARKER, Part};
use crate::peers::{ipc_memory, ping_pong, spinning};
use crate::process_rows::starts;

/// Plays the part that the command line asks for; `false` when it asks for none.
pub(crate) fn took_over() -> bool {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != MARKER) {
        return false;
    }
    let name = arguments.next().unwrap_or_default();
    let part = Part::ALL.into_iter().find(|part| name == part.name());
    play(part.expect("a helper is started with the name of its part"), arguments);
    true
}

fn play(part: Part, arguments: impl Iterator<Item = OsString>) {
    // A helper must not outlive a program that was killed; the thread that starts helpers is the main one.
    if !matches!(part, Part::Exit) {
        set_parent_process_death_signal(Some(Signal::KILL)).expect("the kernel has parent death signals");
    }
    match part {
        Part::Exit => {}
        Part::Echo => ping_pong::echo(),
        Part::Spin => spinning::answer(),
        Part::PageSums => ipc_memory::serve(arguments),
        Part::LargeParent => starts::large_parent(arguments),
    }
}
