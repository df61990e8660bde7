//! Starts a process of this program at a function of its own, hands it a value with a file and shared memory in it, and prints what it
//! answers.
//!
//! `cargo run -p concurrent-futures-process-core --example handover`; with the argument `forget` and without the feature `before-main`,
//! no process can be started.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use process_core::{Connection, ExitCode, Handle, Settings, SharedBuffer, start};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write, pipe};
use std::os::fd::OwnedFd;

/// What the other process is to do. The file and the memory travel as descriptors; nothing is copied.
#[derive(Serialize, Deserialize)]
struct Order {
    title: String,
    numbers: SharedBuffer,
    report: Handle,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    process: u32,
    sum: u64,
}

/// Where the other process begins, instead of `main`.
fn accountant(connection: Connection) -> ExitCode {
    match account(&connection) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn account(connection: &Connection) -> io::Result<()> {
    let order: Order = connection.receive()?;
    let sum = order.numbers.typed::<u64>().unwrap_or_default().iter().sum();
    let mut report = File::from(order.report.duplicate()?);
    writeln!(report, "{}: {sum}", order.title)?;
    connection.send(&Answer { process: std::process::id(), sum })
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() != Some("forget") {
        // First in `main`; only needed without the feature `before-main`.
        process_core::init();
    }
    let mut started = start(accountant, &Settings::default(), &[])?;
    let (mut reader, writer) = pipe()?;
    let numbers: Vec<u64> = (1..=100_000).collect();
    started.connection.send(&Order {
        title: "sum of the first numbers".to_owned(),
        numbers: SharedBuffer::from_typed(&numbers)?,
        report: Handle::from(OwnedFd::from(writer)),
    })?;
    let answer: Answer = started.connection.receive()?;
    let mut report = String::new();
    reader.read_to_string(&mut report)?;
    let status = started.process.wait()?.ok_or("somebody else has reaped the process")?;
    print!("{report}");
    println!("another process: {}", answer.process != std::process::id());
    println!("the same answer: {}", answer.sum == numbers.iter().sum::<u64>());
    println!("{status}");
    Ok(())
}
