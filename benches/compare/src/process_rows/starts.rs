//! `worker_start` and `worker_start_8gib`: from nothing to the first result of a pool of one worker.

use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use executor_core::ExecutorExt;
use process_executor::TransportKind;

use super::{Row, Target};
use crate::helper::{self, Part};
use crate::peers::our_processes::{self, TRANSPORTS};
use crate::peers::{each, noop};
use crate::rounds::Contender;
use crate::rows::scaled;

const POSIX_SPAWN: &str = "posix_spawn of itself";
const SMALL_PARENT: &str = "itself with 10 MiB";

pub(super) const TARGETS: &[Target] = &[Target::new(POSIX_SPAWN, 2.0)];
pub(super) const LARGE_TARGETS: &[Target] = &[Target::new(SMALL_PARENT, 1.2)];

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Starts in one run.
const STARTS: u64 = 50;

/// A child that ends at once is the least that a start can cost: the same executable is loaded and waited for.
pub(super) fn small(scale: f64) -> Row {
    let starts = scaled(STARTS, scale);
    let ours = |name, transport| Contender::new(name, move || start_pools(transport, starts));
    Row::new(starts, ours).with(Contender::new(POSIX_SPAWN, move || each(starts, |_| spawn_itself())))
}

fn spawn_itself() {
    let status = helper::command(Part::Exit).status().expect("this program can be started again");
    assert!(status.success());
}

/// Shutting the pools down is not timed.
fn start_pools(transport: TransportKind, count: u64) -> Duration {
    let one = |input| {
        let start = Instant::now();
        let pool = our_processes::pool(1, transport);
        let result = pool.submit(noop, input).expect("the pool is open").result();
        let elapsed = start.elapsed();
        assert_eq!(result.expect("the task returns"), input);
        elapsed
    };
    (0..count).map(one).sum()
}

/// The parents are processes of their own, so that no other row runs with so much memory.
pub(super) fn large(scale: f64) -> Row {
    let wanted = ((8.0 * GIB as f64 * scale) as u64).max(10 * MIB);
    let resident = wanted.min(available_memory() / 2);
    let starts = scaled(STARTS, scale);
    let parent = |name, bytes, transport: usize| {
        Contender::measured_elsewhere(name, move || nanoseconds_in_parent_of(bytes, starts, transport))
    };
    let mut row = Row::new(starts, |name, transport| parent(name, resident, index(transport)));
    row.contenders.push(parent(SMALL_PARENT, 10 * MIB, 0));
    row.note = (resident < 8 * GIB).then(|| format!("only {:.1} GiB resident", resident as f64 / GIB as f64));
    row
}

fn index(transport: TransportKind) -> usize {
    TRANSPORTS.iter().position(|&(_, other)| other == transport).expect("every transport is listed")
}

fn nanoseconds_in_parent_of(bytes: u64, starts: u64, transport: usize) -> f64 {
    let arguments = [bytes.to_string(), starts.to_string(), transport.to_string()];
    let output =
        helper::command(Part::LargeParent).args(arguments).output().expect("this program can be started again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the helper prints one number")
}

/// The helper's part: so many bytes resident, so many starts, by which transport.
pub(crate) fn large_parent(mut arguments: impl Iterator<Item = OsString>) {
    let mut number = || -> u64 {
        let argument = arguments.next().and_then(|argument| argument.into_string().ok());
        argument.and_then(|argument| argument.parse().ok()).expect("a number")
    };
    let (bytes, starts, transport) = (number() as usize, number(), number() as usize);
    let mut memory: Vec<u8> = Vec::with_capacity(bytes);
    memory.resize(bytes, 1);
    black_box(&mut memory);
    // The first start after so much writing finds all caches cold, and memory that the host has to bring: it warms up.
    let _ = start_pools(TRANSPORTS[transport].1, 1);
    let elapsed = start_pools(TRANSPORTS[transport].1, starts);
    black_box(&mut memory);
    writeln!(io::stdout(), "{}", elapsed.as_secs_f64() * 1e9 / starts as f64).expect("the parent reads");
}

fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("this row needs Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("the kernel says how much memory is available") * 1024
}
