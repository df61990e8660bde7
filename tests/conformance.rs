//! The contract, run against every executor of this library and every shape of it that changes how it works inside.

use std::error::Error;
use std::time::Duration;

use concurrent_futures::{Executor, SerialExecutor, ThreadPoolBuilder, ThreadPoolExecutor};
use executor_conformance::{Config, Subject, Traits, contract_gaps, run_all};

type Built = Result<Box<dyn Executor>, Box<dyn Error>>;

/// What a thread pool can do.
const THREADS: Traits = Traits {
    concurrent: true,
    max_workers: usize::MAX,
    max_queue: usize::MAX,
    bounded: true,
    sized: true,
    initializer: true,
    in_process: true,
    time_limits: true,
};

/// Builds a pool as the case wants it; `finish` sets what the subject is about.
fn thread_pool(config: &Config, workers: usize, finish: fn(ThreadPoolBuilder) -> ThreadPoolBuilder) -> Built {
    let mut builder = finish(ThreadPoolExecutor::builder().workers(config.workers.unwrap_or(workers)));
    if let Some(capacity) = config.queue_capacity {
        builder = builder.queue_capacity(capacity);
    }
    if let Some(initializer) = config.initializer {
        builder = builder.initializer(initializer);
    }
    Ok(Box::new(builder.build()?))
}

/// Runs every case that applies. The report, with what does not apply and why, is shown if one fails or on request.
#[expect(clippy::print_stdout, reason = "the test harness keeps it back")]
fn check(subject: &Subject) {
    let report = run_all(subject);
    println!("{report}");
    report.assert_passed();
}

#[test]
fn serial() {
    let traits = Traits {
        concurrent: false,
        max_workers: 1,
        max_queue: usize::MAX,
        bounded: false,
        sized: false,
        initializer: false,
        in_process: true,
        time_limits: true,
    };
    let factory = |_: &Config| -> Built { Ok(Box::new(SerialExecutor::new())) };
    check(&Subject { name: "serial", factory, traits });
}

#[test]
fn threads() {
    let factory = |config: &Config| thread_pool(config, 3, |builder| builder);
    check(&Subject { name: "threads", factory, traits: THREADS });
}

/// One worker, whatever a case asks for: no case may depend on a second one.
#[test]
fn threads_one_worker() {
    let factory = |config: &Config| {
        let workers = config.workers.map(|workers| workers.min(1));
        thread_pool(&Config { workers, ..*config }, 1, |builder| builder)
    };
    let traits = Traits { max_workers: 1, ..THREADS };
    check(&Subject { name: "threads, one worker", factory, traits });
}

/// A short queue: every burst of submissions has to wait for capacity.
#[test]
fn threads_bounded_queue() {
    const CAPACITY: usize = 10;
    let factory = |config: &Config| thread_pool(config, 2, |builder| builder.queue_capacity(CAPACITY));
    let traits = Traits { max_queue: CAPACITY, ..THREADS };
    check(&Subject { name: "threads, bounded queue", factory, traits });
}

/// Workers that retire as soon as they are idle: every case meets threads that end and threads that start.
#[test]
fn threads_keep_alive() {
    let factory = |config: &Config| thread_pool(config, 3, |builder| builder.keep_alive(Duration::from_millis(1)));
    check(&Subject { name: "threads, keep alive", factory, traits: THREADS });
}

/// Each behaviour of the contract has a case, another test, or a reason why not.
#[test]
fn contract_is_covered() {
    let gaps = contract_gaps(include_str!("../docs/contract.md"));
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[cfg(target_os = "linux")]
mod processes {
    use super::{Built, THREADS, check};
    use concurrent_futures::{Executor, ExecutorExt, ThreadPoolExecutor};
    use executor_conformance::{Config, Subject, Traits};
    use process_executor::{ProcessPoolBuilder, ProcessPoolExecutor, TransportKind};
    use std::error::Error;
    use std::time::Duration;

    /// What a pool of processes can do.
    const PROCESSES: Traits = Traits { in_process: false, ..THREADS };

    fn process_pool(config: &Config, workers: usize, finish: fn(ProcessPoolBuilder) -> ProcessPoolBuilder) -> Built {
        let mut builder = finish(ProcessPoolExecutor::builder().workers(config.workers.unwrap_or(workers)));
        if let Some(capacity) = config.queue_capacity {
            builder = builder.queue_capacity(capacity);
        }
        if let Some(initializer) = config.initializer {
            builder = builder.initializer(initializer);
        }
        Ok(Box::new(builder.build()?))
    }

    #[test]
    fn three_workers() {
        let factory = |config: &Config| process_pool(config, 3, |builder| builder);
        check(&Subject { name: "processes", factory, traits: PROCESSES });
    }

    /// One worker, whatever a case asks for.
    #[test]
    fn one_worker() {
        let factory = |config: &Config| {
            let workers = config.workers.map(|workers| workers.min(1));
            process_pool(&Config { workers, ..*config }, 1, |builder| builder)
        };
        let traits = Traits { max_workers: 1, ..PROCESSES };
        check(&Subject { name: "processes, one worker", factory, traits });
    }

    /// A short queue: every burst of submissions has to wait for capacity.
    #[test]
    fn bounded_queue() {
        const CAPACITY: usize = 10;
        let factory = |config: &Config| process_pool(config, 2, |builder| builder.queue_capacity(CAPACITY));
        let traits = Traits { max_queue: CAPACITY, ..PROCESSES };
        check(&Subject { name: "processes, bounded queue", factory, traits });
    }

    /// Workers that are replaced all the time.
    #[test]
    fn short_lived() {
        let factory = |config: &Config| {
            process_pool(config, 3, |builder| builder.max_tasks_per_child(100).keep_alive(Duration::from_millis(1)))
        };
        check(&Subject { name: "processes, short-lived", factory, traits: PROCESSES });
    }

    /// The other transport: messages, one task at a time.
    #[test]
    fn ipc_channel() {
        let factory = |config: &Config| process_pool(config, 3, |builder| builder.transport(TransportKind::IpcChannel));
        check(&Subject { name: "processes, ipc-channel", factory, traits: PROCESSES });
    }

    /// One initializer fits threads and processes: the bounds are the same, whatever the error is.
    #[test]
    fn an_initializer_fits_both_pools() {
        fn fits<E: Into<Box<dyn Error + Send + Sync>> + 'static>(initializer: fn() -> Result<(), E>, works: bool) {
            let threads = ThreadPoolExecutor::builder().workers(1).initializer(initializer).build().unwrap();
            let processes = ProcessPoolExecutor::builder().workers(1).initializer(initializer).build().unwrap();
            let pools: [&dyn Executor; 2] = [&threads, &processes];
            for pool in pools {
                let outcome = pool.submit(|number: u32| number, 7).map(|future| future.result().is_ok());
                assert_eq!(outcome.unwrap_or(false), works);
            }
        }
        fits(|| Ok::<(), std::convert::Infallible>(()), true);
        fits(|| Err("a text".to_owned()), false);
        fits(|| Err("a text"), false);
        fits(|| Err(std::io::Error::other("an error")), false);
        fits(|| Err(Box::<dyn Error + Send + Sync>::from("a boxed error")), false);
    }
}
