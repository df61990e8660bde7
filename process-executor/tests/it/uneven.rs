//! D3, M11: a chunk of `map` whose rest is shared while it runs, and what ends its workers meanwhile.

use crate::support::{kill_self, quiet};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions, TaskError};
use std::thread;
use std::time::Duration;

const COUNT: u64 = 120;

/// Work for some milliseconds; some inputs are deadly.
fn work(number: u64) -> (u64, u32) {
    thread::sleep(Duration::from_millis(3));
    if number % 40 == 20 {
        kill_self();
    }
    (number, std::process::id())
}

/// Each death costs the input that was running, and no other, wherever the parts of the chunk are.
#[test]
fn d3_deaths_in_a_shared_chunk_cost_an_input_each() {
    watched(|| {
        let pool = quiet(2).build().unwrap();
        let mut maps = 0;
        for options in [MapOptions::new(), MapOptions::new().unordered()] {
            step("a chunk that is shared while its workers die");
            let options = options.chunk_size(COUNT as usize);
            let mut done = Vec::new();
            let mut workers = Vec::new();
            let mut deaths = 0;
            for outcome in pool.map_with(options, work, 0..COUNT) {
                match outcome {
                    Ok((number, pid)) => {
                        done.push(number);
                        workers.push(pid);
                    }
                    Err(TaskError::WorkerDied(_)) => deaths += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            done.sort_unstable();
            workers.sort_unstable();
            workers.dedup();
            assert_eq!(deaths, 3);
            assert!(done.into_iter().eq((0..COUNT).filter(|number| number % 40 != 20)), "each of the others once");
            assert!(workers.len() > 1, "one worker after the other, or several at once");
            maps += 1;
            let stats = pool.stats();
            assert_eq!((stats.queued, stats.running), (0, 0));
            assert_eq!(
                stats.completed + stats.failed,
                maps,
                "however many workers share a chunk, it is one task: {stats:?}"
            );
        }
    });
}
