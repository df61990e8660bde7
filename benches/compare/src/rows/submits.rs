//! `submit_collect`, `round_trip` and `producers_4`: no-op tasks through every peer.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::{Row, scaled, timed};
use crate::peers::{
    Peer, crossbeam_workers::CrossbeamWorkers, expected_sum, ours::Ours, rayon_spawn::RayonSpawn,
    rusty_pool::RustyPool, threadpool::Threadpool, tokio_blocking::TokioBlocking, tokio_spawn::TokioSpawn,
};
use crate::rounds::Contender;

const PRODUCERS: usize = 4;

/// A list of one contender for each peer, each running the given generic workload on its own pool.
macro_rules! contenders {
    ($workload:ident, $count:expr) => {
        vec![
            contender("ours", Ours::new(), $count, $workload),
            contender("rayon spawn", RayonSpawn::new(), $count, $workload),
            contender("crossbeam-channel workers", CrossbeamWorkers::new(), $count, $workload),
            contender("threadpool", Threadpool::new(), $count, $workload),
            contender("rusty_pool evaluate", RustyPool::new(), $count, $workload),
            contender("tokio spawn", TokioSpawn::new(), $count, $workload),
            contender("tokio spawn_blocking", TokioBlocking::new(), $count, $workload),
        ]
    };
}

/// Everything is submitted by one thread, then everything is collected by it.
pub(super) fn submit_collect(scale: f64) -> Row {
    let count = scaled(1_000_000, scale);
    Row { tasks: count, contenders: contenders!(submit_then_collect, count) }
}

/// One task at a time: submit, wait, submit, wait.
pub(super) fn round_trip(scale: f64) -> Row {
    let count = scaled(100_000, scale);
    Row { tasks: count, contenders: contenders!(one_at_a_time, count) }
}

/// Four threads submit to the same pool and each collects what it submitted.
pub(super) fn producers(scale: f64) -> Row {
    let each = scaled(250_000, scale);
    Row { tasks: each * PRODUCERS as u64, contenders: contenders!(four_producers, each) }
}

fn contender<P: Peer + 'static>(
    name: &'static str,
    peer: P,
    count: u64,
    workload: fn(&Arc<P>, u64) -> Duration,
) -> Contender {
    let peer = Arc::new(peer);
    Contender::new(name, move || workload(&peer, count))
}

fn submit_then_collect<P: Peer>(peer: &Arc<P>, count: u64) -> Duration {
    let (elapsed, sum) = timed(|| submit_all(&**peer, count));
    assert_eq!(sum, expected_sum(count));
    elapsed
}

fn one_at_a_time<P: Peer>(peer: &Arc<P>, count: u64) -> Duration {
    let (elapsed, sum) =
        timed(|| (0..count).map(|input| peer.wait(peer.submit(black_box(input)))).fold(0, u64::wrapping_add));
    assert_eq!(sum, expected_sum(count));
    elapsed
}

/// From the first producer's start to the last one's end by their own clocks: with more threads than cores, the thread
/// that started them may get to read a clock only when they are done.
fn four_producers<P: Peer + 'static>(peer: &Arc<P>, each: u64) -> Duration {
    let barrier = Arc::new(Barrier::new(PRODUCERS));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let (peer, barrier) = (Arc::clone(peer), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                let start = Instant::now();
                let sum = submit_all(&*peer, each);
                assert_eq!(sum, expected_sum(each));
                (start, Instant::now())
            })
        })
        .collect();
    let times: Vec<_> = producers.into_iter().map(|producer| producer.join().expect("no producer panics")).collect();
    let start = times.iter().map(|&(start, _)| start).min().expect("there are producers");
    let end = times.iter().map(|&(_, end)| end).max().expect("there are producers");
    end - start
}

fn submit_all<P: Peer>(peer: &P, count: u64) -> u64 {
    let mut handles = Vec::with_capacity(count as usize);
    for input in 0..count {
        handles.push(peer.submit(black_box(input)));
    }
    black_box(peer.collect(handles))
}
