//! `process_round_trip`: one no-op task at a time, beside what two processes can do with less than a pool.

use std::hint::black_box;
use std::time::Duration;

use super::{PYTHON_EXECUTOR, Row, Target};
use crate::peers::ping_pong::PingPong;
use crate::peers::{Peer, each, our_processes::OurProcesses, procspawn_pool::ProcspawnPool, python, spinning};
use crate::rounds::Contender;
use crate::rows::scaled;

const PING_PONG: &str = "socket ping-pong, blocking";
const PROCSPAWN: &str = "procspawn Pool";

/// Spinning is the machine's limit, not a pool; it has no target.
pub(super) const TARGETS: &[Target] =
    &[Target::new(PING_PONG, 0.05), Target::new(PYTHON_EXECUTOR, 0.03), Target::new(PROCSPAWN, 0.03)];

/// Each does as many tasks as take it some tenths of a second.
pub(super) fn build(scale: f64) -> Row {
    let (fast, slow) = (scaled(50_000, scale), scaled(2_000, scale));
    let ours = |name, transport| {
        let pool = OurProcesses::new(transport);
        Contender::new(name, move || one_at_a_time(&pool, fast))
    };
    let (mut ping_pong, procspawn) = (PingPong::new(), ProcspawnPool::new());
    Row::new(fast, ours)
        .with(Contender::with_tasks("shared memory, spinning", 10 * fast, spinning::round_trips))
        .with(Contender::with_tasks(PING_PONG, 5 * slow, move |count| ping_pong.round_trips(count)))
        .with(Contender::with_tasks(PROCSPAWN, slow, move |count| one_at_a_time(&procspawn, count)))
        .with_python(PYTHON_EXECUTOR, python::ROUND_TRIP, vec![slow])
}

fn one_at_a_time<P: Peer>(peer: &P, count: u64) -> Duration {
    each(count, |input| assert_eq!(peer.wait(peer.submit(black_box(input))), input))
}
