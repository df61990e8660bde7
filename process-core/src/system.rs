//! The operating system: every system call of this crate, by what it is needed for.
//!
//! A function here covers one or two calls, and its content is the choice of their flags: every descriptor is closed on exec and
//! none is a standard one, nothing has a name, and nothing blocks unless it says so. **Descriptors of ours are made here alone.**
//!
//! Another system needs these functions with the same promises, in a folder beside `linux`; what stands on top of them needs no
//! change.

mod linux;

pub use linux::beginning::{
    continue_without_parent, end_at_once, is_main_thread, is_privileged, parent, settle_signals, write_error,
};
pub use linux::descriptors::{
    close_inherited, duplicate, epoll, event_counter, file_identity, fill_standard, leave, null_device,
    occupy_standard, take_stdin,
};
pub use linux::futex::{sleep_while, wake, wake_one};
pub use linux::machine::{
    Resource, check_file_size, limit_of, monotonic_nanoseconds, out_of_memory_kills, own_memory, physical_memory,
    resident_memory,
};
pub use linux::mapping::{Access, LargePages, Mapping};
pub use linux::memory::{
    Unfit, anonymous_memory, check_sealed, fill_fresh, fill_holes, grow, growing_memory, is_sealed, seal_for_reading,
    write_all,
};
pub use linux::modules::{Module, ProgramHeader, each_module, has_loader};
pub use linux::processes::{
    ChildState, Credentials, end_of_process, is_blocked, is_exiting, leads_its_group, leave_terminal, signal_group,
    signal_process, state_of_child,
};
pub use linux::sockets::{
    MOST_DESCRIPTORS, Peeked, bytes_waiting, discard, empty, is_packet_socket, is_stream_socket, limit_waiting,
    packet_socket_pair, peek, receive, send, socket_pair, wait_readable, wait_writable,
};
