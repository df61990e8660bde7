//! `process_submit_collect`: everything is submitted by one thread, then everything is collected by it.

use std::hint::black_box;
use std::time::Duration;

use process_executor::TransportKind;

use super::{OUR_THREADS, PYTHON_POOL, Row, Target};
use crate::peers::{Peer, expected_sum, our_processes::OurProcesses, ours::Ours, python};
use crate::rounds::Contender;
use crate::rows::{scaled, timed};

pub(super) const TARGETS: &[Target] = &[Target::new(OUR_THREADS, 3.0), Target::new(PYTHON_POOL, 0.02)];

pub(super) fn build(scale: f64) -> Row {
    let count = scaled(1_000_000, scale);
    let ours = |name, transport| {
        let pool = OurProcesses::new(transport);
        // Each costs as much as dozens over the other; a million would take half a minute.
        let count = if transport == TransportKind::IpcChannel { scaled(20_000, scale) } else { count };
        Contender::with_tasks(name, count, move |count| submit_then_collect(&pool, count))
    };
    let threads = Ours::new();
    Row::new(count, ours).with(Contender::new(OUR_THREADS, move || submit_then_collect(&threads, count))).with_python(
        PYTHON_POOL,
        python::SUBMIT_COLLECT,
        vec![scaled(20_000, scale)],
    )
}

fn submit_then_collect<P: Peer>(peer: &P, count: u64) -> Duration {
    let (elapsed, sum) = timed(|| {
        let mut handles = Vec::with_capacity(count as usize);
        handles.extend((0..count).map(|input| peer.submit(black_box(input))));
        peer.collect(handles)
    });
    assert_eq!(sum, expected_sum(count));
    elapsed
}
