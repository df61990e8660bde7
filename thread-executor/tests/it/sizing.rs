//! T2, E4: how many workers. The environment is tested in processes of their own.

use crate::child;
use crate::support::pool;
use crate::watchdog::watched;
use executor_core::{Executor, WORKERS_VARIABLE, WorkerCount};
use std::ffi::OsStr;
use std::process::Command;
use thread_executor::ThreadPoolExecutor;

const CHILD: &str = "sizing::child_of_sizes";

/// Runs a child whose default pool must have `expected` workers.
fn expect(value: &str, expected: usize) {
    child::run(CHILD, &expected.to_string(), |command| {
        command.env(WORKERS_VARIABLE, value);
    });
}

/// Runs a child that must not be able to build its default pool; the error has to name the variable and quote `found`.
fn refuse(value: &OsStr, found: &str) {
    child::run(CHILD, &format!("refuse {found}"), |command| {
        command.env(WORKERS_VARIABLE, value);
    });
}

/// The argument is the expected default.
#[test]
fn child_of_sizes() {
    let Some(expected) = child::argument() else { return };
    watched(|| {
        // A count in the code overrides the environment, valid or not.
        assert_eq!(ThreadPoolExecutor::with_workers(3).unwrap().workers(), 3);
        assert_eq!(ThreadPoolExecutor::builder().workers(WorkerCount::Exactly(2)).build().unwrap().workers(), 2);
        let built = [ThreadPoolExecutor::new(), ThreadPoolExecutor::builder().thread_name_prefix("any").build()];
        for pool in built {
            match expected.strip_prefix("refuse ") {
                None => assert_eq!(pool.unwrap().workers().to_string(), expected),
                Some(found) => {
                    let text = pool.unwrap_err().to_string();
                    assert!(text.contains(WORKERS_VARIABLE) && text.contains(found), "{text}");
                }
            }
        }
    });
}

#[test]
fn t2_the_variable_gives_a_number() {
    watched(|| {
        expect("8", 8);
        expect(" 1\n", 1);
    });
}

#[test]
fn t2_the_variable_gives_a_share() {
    watched(|| {
        for share in [50, 100, 250] {
            expect(&format!("{share}%"), WorkerCount::Percent(share).resolve().unwrap());
        }
        // Never zero.
        expect("1%", WorkerCount::Percent(1).resolve().unwrap().max(1));
    });
}

#[test]
fn t2_the_variable_asks_for_physical_cores() {
    watched(|| {
        let all = WorkerCount::Percent(100).resolve().unwrap();
        let physical = WorkerCount::Physical.resolve().unwrap();
        assert!((1..=all).contains(&physical));
        expect("physical", physical);
    });
}

#[test]
fn t2_values_without_sense_name_the_variable() {
    watched(|| {
        for bad in ["", "0", "0%", "-1", "%", "many", "8.5", "PHYSICAL", "8 workers", "99999999999999999999999"] {
            refuse(OsStr::new(bad), &format!("{bad:?}"));
        }
    });
}

#[cfg(unix)]
#[test]
fn t2_values_that_are_no_text_name_the_variable() {
    use std::os::unix::ffi::OsStrExt;
    watched(|| refuse(OsStr::from_bytes(b"8\xff"), "8"));
}

#[test]
fn t2_the_default_is_what_the_process_may_use() {
    watched(|| {
        let usable = WorkerCount::Percent(100).resolve().unwrap();
        child::run(CHILD, &usable.to_string(), |command| {
            command.env_remove(WORKERS_VARIABLE);
        });
    });
}

/// A process that may use one processor has one worker, however large the machine.
#[cfg(target_os = "linux")]
#[test]
fn t2_the_default_follows_the_affinity() {
    watched(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        let processor = list.trim().split([',', '-']).next().unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", processor]).arg(std::env::current_exe().unwrap()).args(child::arguments(CHILD));
        command.env(child::VARIABLE, "1").env_remove(WORKERS_VARIABLE);
        // Without `taskset` this cannot be tested.
        if let Ok(output) = command.output() {
            child::assert_passed(CHILD, "one processor", &output);
        }
    });
}

#[test]
fn e4_no_worker_is_refused() {
    watched(|| {
        let built = [
            ThreadPoolExecutor::with_workers(0),
            ThreadPoolExecutor::builder().workers(WorkerCount::Exactly(0)).build(),
            ThreadPoolExecutor::builder().workers(WorkerCount::Percent(0)).build(),
        ];
        for pool in built {
            assert!(pool.unwrap_err().to_string().contains("workers"));
        }
        assert!(ThreadPoolExecutor::builder().queue_capacity(0).build().unwrap_err().to_string().contains("capacity"));
    });
}

#[test]
fn t2_a_pool_may_have_far_more_workers_than_tasks() {
    watched(|| {
        let pool = pool(5000);
        assert_eq!(pool.workers(), 5000);
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
        assert_eq!(pool.stats().workers, 1);
    });
}
