//! `SharedBuffer` as argument and result, alone and many at once, in maps, through deaths, from pool to pool.

use crate::bytes::{KIB, MIB};
use crate::child;
use crate::processes;
use crate::support::{Scratch, append, assert_works, kill_self, only_death, outcome, own_pid, pool, read_lines, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions, TaskOptions};
use process_executor::{ProcessPoolExecutor, SharedBuffer};
use std::collections::HashSet;

fn filled(length: usize, with: u8) -> SharedBuffer {
    SharedBuffer::build(length, |bytes| bytes.fill(with)).unwrap()
}

fn sum(buffer: SharedBuffer) -> u64 {
    buffer.iter().map(|byte| u64::from(*byte)).sum()
}

fn echo(buffer: SharedBuffer) -> SharedBuffer {
    buffer
}

fn make((length, with): (usize, u8)) -> SharedBuffer {
    filled(length, with)
}

fn address(buffer: &SharedBuffer) -> usize {
    buffer.as_ptr().addr()
}

const SIZES: [usize; 10] = [0, 1, 63, 64, 65, 4096, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB];

#[test]
fn arguments_and_results() {
    watched(|| {
        let pool = pool(1);
        for size in SIZES {
            let buffer = filled(size, 3);
            let task = pool.submit(sum, buffer.clone()).unwrap();
            assert_eq!(outcome(&format!("an argument of {size} bytes"), task).unwrap(), 3 * size as u64);
            let back = outcome("what was sent", pool.submit(echo, buffer.clone()).unwrap()).unwrap();
            assert_eq!(back, buffer);
            let made = outcome("a result", pool.submit(make, (size, 7)).unwrap()).unwrap();
            assert!(made.len() == size && made.iter().all(|byte| *byte == 7));
        }
        let large = filled(64 * MIB, 1);
        let back = outcome("64 MiB", pool.submit(echo, large.clone()).unwrap()).unwrap();
        assert!(back == large);
        assert_works(&pool);
    });
}

/// What comes back is the same memory, not a copy.
#[test]
fn no_copy_comes_back() {
    watched(|| {
        let pool = pool(1);
        let buffer = filled(MIB, 3);
        let back = outcome("what was sent", pool.submit(echo, buffer.clone()).unwrap()).unwrap();
        assert_eq!(address(&back), address(&buffer));
    });
}

/// The same buffer for many tasks is sent to each worker once.
#[test]
fn the_same_buffer_many_times() {
    fn address_and_pid(buffer: SharedBuffer) -> (u32, usize, u64) {
        (std::process::id(), address(&buffer), sum(buffer))
    }
    watched(|| {
        let pool = pool(2);
        let buffer = filled(10_000, 3);
        let tasks: Vec<_> = (0..300).map(|_| pool.submit(address_and_pid, buffer.clone()).unwrap()).collect();
        let mut seen = HashSet::new();
        for task in tasks {
            let (pid, address, sum) = outcome("one of many", task).unwrap();
            assert_eq!(sum, 30_000);
            seen.insert((pid, address));
        }
        assert!(seen.len() <= 2, "it was sent more than once: {seen:?}");
        for worker in pool.worker_infos() {
            let memories = processes::descriptors(worker.pid()).iter().filter(|(_, to)| to.contains("memfd")).count();
            assert!(memories <= 1, "{memories} in worker {}", worker.pid());
        }
    });
}

#[test]
fn clones_in_one_value() {
    fn addresses((first, others, last): (SharedBuffer, Vec<SharedBuffer>, Option<SharedBuffer>)) -> (usize, u64) {
        let all: Vec<_> = std::iter::once(first).chain(others).chain(last).collect();
        let different: HashSet<_> = all.iter().map(address).collect();
        (different.len(), all.into_iter().map(sum).sum())
    }
    fn clones(length: usize) -> Vec<SharedBuffer> {
        vec![filled(length, 5); 10]
    }
    watched(|| {
        let pool = pool(1);
        let buffer = filled(1000, 1);
        let value = (buffer.clone(), vec![buffer.clone(); 5], Some(buffer));
        assert_eq!(outcome("clones", pool.submit(addresses, value).unwrap()).unwrap(), (1, 7000));
        let back = outcome("clones as a result", pool.submit(clones, 1000).unwrap()).unwrap();
        assert_eq!(back.iter().map(address).collect::<HashSet<_>>().len(), 1);
        assert_eq!(back.into_iter().map(sum).sum::<u64>(), 50_000);
    });
}

/// More buffers in one value than a socket holds at once.
#[test]
fn many_buffers_in_one_value() {
    const MANY: u64 = 300;
    fn sums(buffers: Vec<SharedBuffer>) -> Vec<u64> {
        buffers.into_iter().map(sum).collect()
    }
    fn many(count: u64) -> Vec<SharedBuffer> {
        (0..count).map(|number| filled(number as usize, 2)).collect()
    }
    watched(|| {
        let pool = pool(1);
        for _ in 0..3 {
            let task = pool.submit(sums, (0..MANY).map(|number| filled(number as usize, 1)).collect()).unwrap();
            assert_eq!(outcome("many in an argument", task).unwrap(), (0..MANY).collect::<Vec<_>>());
            let back = outcome("many in a result", pool.submit(many, MANY).unwrap()).unwrap();
            assert_eq!(sums(back), (0..MANY).map(|number| 2 * number).collect::<Vec<_>>());
        }
        assert_works(&pool);
    });
}

#[test]
fn in_a_map() {
    fn both((buffer, number): (SharedBuffer, u8)) -> (SharedBuffer, SharedBuffer) {
        let made = filled(usize::from(number), number);
        (buffer, made)
    }
    watched(|| {
        let pool = pool(2);
        let buffer = filled(5000, 1);
        for size in [1, 7, 100] {
            let inputs = (0..100).map(|number| (buffer.clone(), number));
            step(format!("a map in chunks of {size}"));
            let outcomes = pool.map_with(MapOptions::new().chunk_size(size), both, inputs);
            for (number, outcome) in (0..).zip(outcomes) {
                let (back, made) = outcome.unwrap();
                assert_eq!(back, buffer);
                assert!(made.len() == usize::from(number) && made.iter().all(|byte| *byte == number));
            }
        }
    });
}

/// Results that were complete keep their buffers when their worker dies; what follows gets its own again.
#[test]
fn in_a_map_with_deaths() {
    fn make_or_die((buffer, number): (SharedBuffer, u8)) -> SharedBuffer {
        if number % 10 == 3 {
            kill_self();
        }
        filled(buffer.len() + usize::from(number), number)
    }
    watched(|| {
        let pool = pool(1);
        let buffer = filled(5000, 1);
        step("a map in which workers die");
        let inputs = (0..40).map(|number| (buffer.clone(), number));
        let outcomes: Vec<_> = pool.map_with(MapOptions::new().chunk_size(20), make_or_die, inputs).collect();
        for (number, outcome) in (0..).zip(outcomes) {
            if number % 10 == 3 {
                only_death(outcome);
                continue;
            }
            let made = outcome.unwrap();
            assert!(made.len() == 5000 + usize::from(number) && made.iter().all(|byte| *byte == number));
        }
    });
}

/// A task that is run again finds its buffers again, in another worker.
#[test]
fn in_a_retry() {
    fn die_once((log, buffer): (String, SharedBuffer)) -> u64 {
        append(&log, "run\n");
        if read_lines(&log).len() == 1 {
            kill_self();
        }
        sum(buffer)
    }
    watched(|| {
        let pool = pool(1);
        let scratch = Scratch::new();
        let options = TaskOptions::new().retries(1);
        let task = pool.submit_with(options, die_once, (scratch.path("log"), filled(MIB, 1))).unwrap();
        assert_eq!(outcome("the second run", task).unwrap(), MIB as u64);
    });
}

/// The memory outlives the worker that made it, and the pool.
#[test]
fn outlives_worker_and_pool() {
    watched(|| {
        let pool = pool(1);
        let made = pool.submit(make, (MIB, 7)).unwrap();
        made.wait();
        let pid = pool.worker_infos()[0].pid();
        processes::send(pid, rustix::process::Signal::KILL);
        until("the death is noticed", || pool.stats().deaths == 1);
        let made = outcome("a result of a dead worker", made).unwrap();
        let late = pool.submit(make, (MIB, 8)).unwrap();
        step("the end of the pool");
        drop(pool);
        assert!(made.iter().all(|byte| *byte == 7));
        assert!(outcome("a result of a dropped pool", late).unwrap().iter().all(|byte| *byte == 8));
    });
}

/// From a pool to a pool inside of a task, and back.
#[test]
fn through_a_nested_pool() {
    fn nested(buffer: SharedBuffer) -> (SharedBuffer, SharedBuffer) {
        let pool = pool(1);
        let back = pool.submit(echo, buffer).unwrap().result().unwrap();
        let made = pool.submit(make, (1000, 9)).unwrap().result().unwrap();
        (back, made)
    }
    watched(|| {
        let pool = pool(1);
        let buffer = filled(MIB, 4);
        let (back, made) = outcome("a nested pool", pool.submit(nested, buffer.clone()).unwrap()).unwrap();
        assert!(back == buffer && made == filled(1000, 9));
    });
}

#[test]
fn typed() {
    fn scale(values: SharedBuffer) -> SharedBuffer {
        let scaled: Vec<f64> = values.typed::<f64>().unwrap().iter().map(|value| value * 2.0).collect();
        SharedBuffer::from_typed(&scaled).unwrap()
    }
    watched(|| {
        let pool = pool(1);
        let values = SharedBuffer::from_typed(&[1.5_f64, -2.0, f64::INFINITY]).unwrap();
        let scaled = outcome("typed values", pool.submit(scale, values).unwrap()).unwrap();
        assert_eq!(scaled.typed::<f64>().unwrap(), [3.0, -4.0, f64::INFINITY]);
        assert_eq!(scaled.typed::<u128>(), None);
        assert_eq!(filled(0, 0).typed::<u64>(), Some(&[][..]));
    });
}

/// Whatever is done with a future, no memory is left in the parent.
#[test]
fn nothing_is_kept() {
    watched(|| {
        for what in ["dropped", "taken", "unread", "cancelled", "panicked", "mapped", "map dropped"] {
            child::run("shared_buffers::kept_program", what, |_| ());
        }
    });
}

fn refuse(buffer: SharedBuffer) -> SharedBuffer {
    panic!("{} bytes, on purpose", buffer.len())
}

fn use_buffers(pool: &ProcessPoolExecutor, what: &str) {
    let buffer = || filled(1000, 2);
    let options = MapOptions::new().chunk_size(4);
    match what {
        "dropped" => drop(pool.submit(make, (1000, 1)).unwrap()),
        "taken" => drop(outcome(what, pool.submit(echo, buffer()).unwrap())),
        "unread" => pool.submit(make, (1000, 3)).unwrap().wait(),
        "cancelled" => _ = pool.submit(echo, buffer()).unwrap().cancel(),
        "panicked" => assert!(outcome(what, pool.submit(refuse, buffer()).unwrap()).is_err()),
        "mapped" => assert_eq!(pool.map_with(options, echo, vec![buffer(); 10]).count(), 10),
        "map dropped" => assert_eq!(pool.map_with(options, make, vec![(100, 1); 20]).take(3).count(), 3),
        other => panic!("unknown: {other}"),
    }
}

#[test]
fn kept_program() {
    let Some(what) = child::argument() else { return };
    watched(|| {
        let pool = pool(1);
        outcome("a first task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let memories =
            || processes::descriptors(std::process::id()).iter().filter(|(_, to)| to.contains("/memfd:")).count();
        let before = memories();
        (0..30).for_each(|_| use_buffers(&pool, &what));
        until(&format!("all memory is given up, {what}"), || {
            outcome("a last task", pool.submit(own_pid, ()).unwrap()).unwrap();
            memories() <= before
        });
    });
}
