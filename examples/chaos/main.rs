//! Everything that can go wrong with a task, one accident after the other, and a pool that goes on.
//!
//! ```text
//! cargo run --example chaos
//! ```

#[cfg(target_os = "linux")]
mod accident;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod redact;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    program::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), &'static str> {
    Err("chaos needs worker processes, and these need Linux")
}
