//! P19, P20: `terminate_workers` and `kill_workers`, in every state; and what `workers` and `stats` say meanwhile.

use crate::processes;
use crate::support::{Gate, Pass, assert_works, double, only_death, outcome, own_pid, pool, quiet, until};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown, SubmitError, TaskError, TaskOptions};
use process_executor::{ProcessPoolExecutor, WorkerState};
use std::time::Duration;

type Order = fn(&ProcessPoolExecutor);

const ORDERS: [(&str, Order); 2] =
    [("SIGTERM", ProcessPoolExecutor::terminate_workers), ("SIGKILL", ProcessPoolExecutor::kill_workers)];

fn for_ever(pass: Pass) {
    pass.arrive();
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn p19_running_ones_die_and_queued_ones_are_cancelled() {
    watched(|| {
        for (signal, order) in ORDERS {
            let pool = pool(2);
            let gate = Gate::new();
            let running: Vec<_> = (0..2).map(|_| pool.submit(for_ever, gate.pass()).unwrap()).collect();
            gate.wait_arrivals(2);
            let queued: Vec<_> = (0..300).map(|number| pool.submit(double, number).unwrap()).collect();
            step(format!("{signal} to all, which does not wait"));
            order(&pool);
            assert!(queued.iter().all(executor_core::Future::is_cancelled));
            assert!(matches!(pool.submit(double, 1), Err(SubmitError::ShutDown)));
            for task in running {
                let death = only_death(outcome("a running task", task));
                assert!(death.contains(signal), "{death}");
            }
            step("the end");
            pool.shutdown(Shutdown::wait());
            assert!(gate.arrivals().into_iter().all(|pid| processes::state(pid).is_none()));
            assert_eq!((pool.stats().cancelled, pool.worker_infos().len()), (300, 0));
        }
    });
}

/// What may be retried is not, once the end was ordered: no worker would take it.
#[test]
fn p19_with_retries() {
    watched(|| {
        for (signal, order) in ORDERS {
            let pool = pool(1);
            let gate = Gate::new();
            let options = TaskOptions::new().retries(5);
            let running = pool.submit_with(options, for_ever, gate.pass()).unwrap();
            gate.wait_arrivals(1);
            order(&pool);
            let Err(error) = outcome("a task that could be retried", running) else { panic!("it has ended") };
            assert!(matches!(error, TaskError::WorkerDied(_)), "{signal}: {error}");
            step("the end");
            pool.shutdown(Shutdown::wait());
            assert_eq!(gate.arrivals().len(), 1);
        }
    });
}

/// The rest of a chunk whose item dies by the order is not left waiting either.
#[test]
fn p19_during_a_map() {
    watched(|| {
        for (_, order) in ORDERS {
            let pool = pool(2);
            let gate = Gate::new();
            let options = executor_core::MapOptions::new().chunk_size(5).buffer(20);
            let map = pool.map_with(options, for_ever, (0..100).map(|_| gate.pass()));
            gate.wait_arrivals(2);
            order(&pool);
            step("the rest of a map");
            let outcomes: Vec<_> = map.collect();
            assert!(outcomes.iter().all(Result::is_err));
            let died = outcomes.iter().filter(|outcome| matches!(outcome, Err(TaskError::WorkerDied(_)))).count();
            assert!(died >= 2, "{outcomes:?}");
        }
    });
}

/// A large chunk is ended as a whole, not item by item by way of the queue.
#[test]
fn p19_during_a_chunk_of_many_items() {
    const ITEMS: u64 = 1_000_000;
    fn hold_the_first(pass: Option<Pass>) {
        pass.into_iter().for_each(for_ever);
    }
    watched(|| {
        for (_, order) in ORDERS {
            let pool = pool(1);
            let gate = Gate::new();
            let options = executor_core::MapOptions::new().chunk_size(ITEMS as usize);
            let map = pool.map_with(options, hold_the_first, (0..ITEMS).map(|item| (item == 0).then(|| gate.pass())));
            gate.wait_arrivals(1);
            order(&pool);
            step("the rest of a large chunk");
            let mut outcomes = map.map(Result::unwrap_err);
            assert!(matches!(outcomes.next(), Some(TaskError::WorkerDied(_))));
            assert_eq!(outcomes.filter(TaskError::is_cancelled).count() as u64, ITEMS - 1);
            assert_eq!((pool.stats().completed, pool.stats().failed), (0, 1));
        }
    });
}

/// A shutdown that cancels what a worker is just being started for leaves nothing behind: no future that is not done, and
/// no process.
#[test]
fn d12_cancelled_while_a_worker_is_being_started() {
    watched(|| {
        for round in 0..200 {
            step(format!("round {round}"));
            let name = format!("started-in-vain-{round}");
            let pool = quiet(1).worker_name_prefix(&name).build().unwrap();
            let tasks: Vec<_> = (0..4).map(|number| pool.submit(double, number).unwrap()).collect();
            for _ in 0..round * 1_000 {
                std::hint::spin_loop();
            }
            match round % 4 {
                0 => pool.terminate_workers(),
                1 => pool.kill_workers(),
                // What runs may be done a moment later, so that is asked last.
                2 => assert!(tasks.iter().all(|task| task.cancel() || task.is_running() || task.is_done())),
                _ => pool.shutdown(Shutdown::no_wait().cancel_futures()),
            }
            pool.shutdown(Shutdown::wait());
            assert!(tasks.iter().all(executor_core::Future::is_done), "round {round}");
            let children = processes::children(std::process::id()).into_iter();
            let left: Vec<_> = children.map(processes::command_line).filter(|line| line.contains(&name)).collect();
            assert!(left.is_empty(), "round {round}: {left:?}");
        }
    });
}

#[test]
fn p20_harmless_where_there_is_nothing_to_end() {
    watched(|| {
        for (_, order) in ORDERS {
            let unused = pool(2);
            order(&unused);
            assert!(matches!(unused.submit(double, 1), Err(SubmitError::ShutDown)));
            step("the end of a pool that was never used");
            unused.shutdown(Shutdown::wait());
            order(&unused);

            let used = pool(2);
            assert_works(&used);
            order(&used);
            order(&used);
            step("the end of an idle pool");
            used.shutdown(Shutdown::wait());
            order(&used);
        }
    });
}

/// While workers start, none is left over and no task is left waiting.
#[test]
fn p19_while_workers_start() {
    watched(|| {
        for (signal, order) in ORDERS {
            for round in 0..10 {
                let pool = pool(2);
                let tasks: Vec<_> = (0..4).map(|number| pool.submit(double, number).unwrap()).collect();
                for _ in 0..round * 20_000 {
                    std::hint::spin_loop();
                }
                order(&pool);
                for (number, task) in (0..).zip(tasks) {
                    match outcome(&format!("task {number} of round {round} with {signal}"), task) {
                        Ok(result) => assert_eq!(result, 2 * number),
                        Err(TaskError::Cancelled(_) | TaskError::WorkerDied(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                step(format!("the end of round {round}"));
                pool.shutdown(Shutdown::wait());
                assert!(pool.worker_infos().is_empty());
            }
        }
    });
}

/// A worker that ignores SIGTERM is killed after the grace.
#[test]
fn p19_ignored() {
    fn ignore(pass: Pass) {
        // SAFETY: a signal is ignored from now on.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        for_ever(pass);
    }
    watched(|| {
        let pool = quiet(1).stop_grace(Duration::from_millis(50)).build().unwrap();
        let gate = Gate::new();
        let task = pool.submit(ignore, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        pool.terminate_workers();
        let death = only_death(outcome("a task that ignores the order", task));
        assert!(death.contains("SIGKILL"), "{death}");
    });
}

#[test]
fn workers_and_stats_tell() {
    fn hold(pass: Pass) {
        pass.go();
    }
    watched(|| {
        let pool = pool(2);
        assert!(pool.worker_infos().is_empty());
        // One method means one thing, through whatever pointer the pool is reached.
        let shared = std::sync::Arc::new(&pool);
        assert_eq!([pool.workers(), shared.workers()], [2, 2]);
        let pid = outcome("the first task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let [worker] = &pool.worker_infos()[..] else { panic!("P8: one task starts one worker") };
        assert_eq!((worker.pid(), worker.index(), worker.tasks_done()), (pid, 0, 1));
        assert_eq!(worker.state(), WorkerState::Idle);
        assert!(worker.memory().unwrap() > 0);
        let gate = Gate::new();
        let holding: Vec<_> = (0..2).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        gate.wait_arrivals(2);
        assert!(pool.worker_infos().iter().all(|worker| worker.state() == WorkerState::Busy));
        assert_eq!(pool.worker_infos().iter().map(process_executor::WorkerInfo::index).collect::<Vec<_>>(), [0, 1]);
        let queued = pool.submit(double, 1).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.idle, stats.running, stats.queued), (2, 0, 2, 1));
        gate.open();
        holding.into_iter().for_each(|task| outcome("a task", task).unwrap());
        assert_eq!(outcome("the queued one", queued).unwrap(), 2);
        until("all is quiet", || pool.stats().idle == 2);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.failed, stats.queued, stats.deaths, stats.restarts), (4, 0, 0, 0, 0));
        assert!(stats.bytes_sent > 0 && stats.bytes_received > 0);
        let done: u64 = pool.worker_infos().iter().map(process_executor::WorkerInfo::tasks_done).sum();
        assert_eq!(done, 4);
        let workers = pool.worker_infos();
        pool.shutdown(Shutdown::wait());
        assert!(workers.iter().all(|worker| worker.memory().is_none()));
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.deaths, stats.completed), (0, 0, 4));
    });
}

/// P8, P10: no more workers than tasks, and never more than there may be.
#[test]
fn p10_saturation() {
    fn hold(pass: Pass) {
        pass.go();
    }
    watched(|| {
        let pool = pool(3);
        let gate = Gate::new();
        let tasks: Vec<_> = (0..45).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        gate.wait_arrivals(3);
        assert_eq!(pool.worker_infos().len(), 3);
        assert_eq!(gate.arrivals().len(), 3);
        gate.open();
        tasks.into_iter().for_each(|task| outcome("a task", task).unwrap());
        let mut pids = gate.arrivals();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 3);
    });
}

/// P8: an idle worker is used again before another is started.
#[test]
fn p8_reuse() {
    watched(|| {
        let pool = pool(4);
        let first = outcome("the first", pool.submit(own_pid, ()).unwrap()).unwrap();
        for _ in 0..50 {
            assert_eq!(outcome("the next", pool.submit(own_pid, ()).unwrap()).unwrap(), first);
        }
        assert_eq!(pool.worker_infos().len(), 1);
    });
}
