//! T3: what worker threads are called.

use crate::child;
use crate::support::{Gate, pool, thread_name};
use crate::watchdog::watched;
use executor_core::{BuildError, ExecutorExt, MapOptions, TaskError};
use thread_executor::ThreadPoolExecutor;

/// Returns the names of all workers of a pool, each of which it keeps inside a task.
fn names(pool: &ThreadPoolExecutor, workers: usize) -> Vec<String> {
    let gate = Gate::new();
    let spawn = || {
        let pass = gate.pass();
        pool.spawn(move || {
            pass.go();
            thread_name()
        })
    };
    let futures: Vec<_> = (0..workers).map(|_| spawn().unwrap()).collect();
    gate.wait_arrivals(workers);
    gate.open();
    let mut names: Vec<_> = futures.into_iter().map(|future| future.result().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn t3_prefix_and_number_from_zero() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(3).thread_name_prefix("paint").build().unwrap();
        assert_eq!(names(&pool, 3), ["paint_0", "paint_1", "paint_2"]);
    });
}

#[test]
fn t3_the_first_worker_has_the_number_zero() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(5).thread_name_prefix("first").build().unwrap();
        assert_eq!(pool.spawn(thread_name).unwrap().result().unwrap(), "first_0");
    });
}

/// E7: the error of a panic names its thread, as the message on standard error does.
#[test]
fn t3_a_panic_names_its_thread() {
    fn fall(number: u8) {
        panic!("{number}, on purpose");
    }
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("painter").build().unwrap();
        let alone = pool.spawn(|| fall(9)).unwrap().result();
        let options = MapOptions::new().chunk_size(2);
        let mapped = pool.map_with(options, fall, 0..4);
        for outcome in mapped.chain([alone]) {
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains(", panicked in thread painter_0 at "), "{error}");
            let TaskError::Panicked(panic) = error else { panic!("no panic came") };
            assert_eq!((panic.worker(), panic.pid()), (Some("painter_0"), None));
        }
    });
}

/// Other tests may build pools in between: the numbers rise, and all threads of a pool share one.
#[test]
fn t3_default_prefix_counts_the_pools() {
    watched(|| {
        let mut before = None;
        for _ in 0..3 {
            let names = names(&pool(2), 2);
            let split = |name: &String| {
                let (pool, thread) = name.rsplit_once('_').unwrap();
                (pool.strip_prefix("ThreadPoolExecutor-").unwrap().parse::<u64>().unwrap(), thread.to_owned())
            };
            let (first, second) = (split(&names[0]), split(&names[1]));
            assert_eq!((first.0, first.1.as_str(), second.1.as_str()), (second.0, "0", "1"));
            assert!(before < Some(first.0), "{before:?} then {}", first.0);
            before = Some(first.0);
        }
    });
}

#[test]
fn t3_default_prefix_counts_from_zero() {
    watched(|| child::run("naming::child_of_default_prefix", "", |_| ()));
}

#[test]
fn child_of_default_prefix() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let named = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("other").build().unwrap();
        let (first, second) = (pool(1), pool(1));
        // Pools are numbered as they are built, not as their first tasks come; a pool with a name is not counted.
        assert_eq!(second.spawn(thread_name).unwrap().result().unwrap(), "ThreadPoolExecutor-1_0");
        assert_eq!(first.spawn(thread_name).unwrap().result().unwrap(), "ThreadPoolExecutor-0_0");
        assert_eq!(named.spawn(thread_name).unwrap().result().unwrap(), "other_0");
    });
}

#[test]
fn t3_any_text_is_a_prefix() {
    watched(|| {
        for prefix in ["", "a name of more letters than the system keeps", "größe 🦀", "with space_1"] {
            let pool = ThreadPoolExecutor::builder().workers(1).thread_name_prefix(prefix).build().unwrap();
            assert_eq!(pool.spawn(thread_name).unwrap().result().unwrap(), format!("{prefix}_0"));
        }
    });
}

/// NUL, which no thread's name can contain, is refused by the builder, not at the first task.
#[test]
fn t3_nul_is_refused() {
    watched(|| {
        let error = ThreadPoolExecutor::builder().thread_name_prefix("a\0b").build().unwrap_err();
        assert!(matches!(error, BuildError::Invalid { .. }));
        assert!(error.to_string().contains("thread_name_prefix"), "{error}");
    });
}
