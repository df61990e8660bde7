//! Tests of the process pool where things go wrong: workers, parents, tasks and the machine fail on purpose, and everything
//! else must go on.
//!
//! Numbers such as P6 or D12 are those of the contract. Each test injects the real thing (a signal, a crash, a limit of the
//! system), runs under a watchdog, and waits for events, never for time.

mod bytes;
mod child;
mod processes;
#[path = "../../../thread-executor/tests/it/program.rs"]
mod program;
mod support;
mod system_calls;
#[path = "../../../thread-executor/tests/it/watchdog.rs"]
mod watchdog;

mod callbacks;
mod cancels;
mod executable;
mod matrix;
mod phases;
mod random_kills;
mod unnoticed;

mod beginnings;
mod parent;
mod proof;
mod states;

mod limits;
mod listening;
mod memory;
mod nested;
mod orders;
mod privileges;
mod restarts;
mod settings;
mod unattended;
mod uneven;
mod unreaped;

mod handovers;
mod hostile;
mod large;
mod leftovers;
mod liars;
mod sandbox;
mod scarce;
mod shared_buffers;
mod sizes;
