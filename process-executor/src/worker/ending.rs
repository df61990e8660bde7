//! How a worker ends itself where it cannot go on.

use crate::protocol::layout::{LastWord, Shared};
use process_core::system;
use rustix::process::Signal;

/// Ends this process and the group that it was made the leader of, and leaves word why in case its parent is still there. If a
/// task has moved the process to another group, that group stays.
pub(crate) fn end_group(shared: &Shared, why: LastWord) -> ! {
    shared.leave_word(why);
    let _ = system::signal_group(std::process::id(), Signal::KILL);
    system::end_at_once(0)
}
