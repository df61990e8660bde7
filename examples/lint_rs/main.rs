//! Parses every Rust file under a directory and counts what a reviewer would look at first.
//!
//! ```text
//! cargo run --release --example lint_rs -- some/folder
//! ```
//!
//! A parser that calls itself for every level of nesting can be made to overflow its stack, and there is no catching that:
//! the process is gone. Here it is the process of a worker. The file is named, and the rest is parsed.

#[cfg(target_os = "linux")]
mod lint;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod walk;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    program::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), &'static str> {
    Err("lint_rs needs worker processes, and these need Linux")
}
