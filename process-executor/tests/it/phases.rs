//! P1, D2, D4, D5, D8, D12, D14: a worker is killed at each stage of its life, and of a task's way. It costs the task that
//! was running, and nothing else.

use crate::bytes::{Bytes, MIB};
use crate::processes;
use crate::support::{
    Gate, LONG, Pass, SHORT, assert_works, double, kill_self, only_death, outcome, own_pid, pool, quiet, ready_worker,
    until,
};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown, SubmitError, TaskError};
use process_executor::{ProcessPoolExecutor, WorkerState};
use rustix::process::Signal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::thread;

const BIG: usize = 64 * MIB;

fn hold(pass: Pass) -> u32 {
    pass.go();
    std::process::id()
}

/// An initializer that ends when the gate is open.
fn hold_at_start(pass: Pass) -> Result<(), String> {
    pass.go();
    Ok(())
}

fn kill(pid: u32) {
    processes::send(pid, Signal::KILL);
}

/// Submits tasks behind the one that is to die; all must go on elsewhere.
fn siblings(pool: &ProcessPoolExecutor) -> Vec<executor_core::Future<u64>> {
    (0..5).map(|number| pool.submit(double, number).unwrap()).collect()
}

#[track_caller]
fn assert_untouched(siblings: Vec<executor_core::Future<u64>>) {
    let results: Vec<_> = siblings.into_iter().map(|future| outcome("a sibling", future).unwrap()).collect();
    assert_eq!(results, [0, 2, 4, 6, 8]);
}

/// No task has begun, so none is lost.
#[test]
fn p1_killed_before_the_handshake() {
    watched(|| {
        let pool;
        let gate = Gate::new();
        pool = quiet(1).initializer_with(hold_at_start, gate.pass()).build().unwrap();
        let tasks = siblings(&pool);
        gate.wait_arrivals(1);
        let first = gate.arrivals()[0];
        let listed: Vec<_> = pool.worker_infos().iter().map(|worker| (worker.pid(), worker.state())).collect();
        assert_eq!(listed, [(first, WorkerState::Starting)]);
        kill(first);
        gate.wait_arrivals(2);
        gate.open();
        assert_untouched(tasks);
        assert_ne!(pool.worker_infos()[0].pid(), first);
        assert_works(&pool);
        assert_eq!(pool.stats().restarts, 1);
    });
}

/// The same at whatever instruction it happens to be, the handshake included.
#[test]
fn p1_killed_as_soon_as_it_is_there() {
    watched(|| {
        for round in 0..20 {
            let pool = pool(1);
            let tasks = siblings(&pool);
            step(format!("round {round}: a worker in the list"));
            let pid = loop {
                if let Some(worker) = pool.worker_infos().first() {
                    break worker.pid();
                }
            };
            for _ in 0..round * 1000 {
                std::hint::spin_loop();
            }
            kill(pid);
            let mut lost = 0;
            for (number, task) in tasks.into_iter().enumerate() {
                match outcome("a task", task) {
                    Ok(result) => assert_eq!(result, 2 * number as u64),
                    Err(TaskError::WorkerDied(_)) => lost += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(lost <= 1, "one worker died, and {lost} tasks with it");
        }
    });
}

/// A worker that never says it is ready is given up, and so is the pool when it keeps happening: with the reason.
#[test]
fn p17_never_ready() {
    watched(|| {
        let pool;
        let gate = Gate::new();
        pool = quiet(2).start_timeout(SHORT).initializer_with(hold_at_start, gate.pass()).build().unwrap();
        let tasks = siblings(&pool);
        for task in tasks {
            let Err(TaskError::Broken(_, broken)) = outcome("a task for workers that do not come", task) else {
                panic!("it is not broken")
            };
            assert!(broken.to_string().contains("not ready after 20ms"), "{broken}");
        }
        assert!(matches!(pool.submit(double, 1), Err(SubmitError::Broken(_))));
        step("the end of a pool whose workers do not come");
        pool.shutdown(Shutdown::wait());
        assert!(gate.arrivals().into_iter().all(|pid| !processes::is_alive(pid)));
    });
}

#[test]
fn p1_killed_while_idle() {
    watched(|| {
        let pool = pool(1);
        let first = pool.submit(own_pid, ()).unwrap().result().unwrap();
        until("it is idle", || pool.stats().idle == 1);
        kill(first);
        until("the death is noticed", || pool.stats().deaths == 1);
        assert_ne!(outcome("a task after the death", pool.submit(own_pid, ()).unwrap()).unwrap(), first);
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.deaths, stats.restarts), (0, 1, 1));
    });
}

/// The task may be given to the dying before the death is known; it is not lost unless it began.
#[test]
fn p1_killed_while_a_task_is_on_its_way() {
    watched(|| {
        let pool = pool(1);
        for round in 0..20 {
            let pid = outcome("a first task", pool.submit(own_pid, ()).unwrap()).unwrap();
            kill(pid);
            let task = pool.submit(own_pid, ()).unwrap();
            match outcome(&format!("the task of round {round}"), task) {
                Ok(other) => assert_ne!(pid, other),
                // It was quicker than the signal.
                Err(error) => assert!(matches!(error, TaskError::WorkerDied(_)), "{error}"),
            }
        }
        assert_works(&pool);
    });
}

/// An argument whose reading does not end before the gate opens.
#[derive(Debug, Serialize)]
struct Slow(Bytes, Pass);

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, pass) = <(Bytes, Pass)>::deserialize(deserializer)?;
        pass.go();
        if bytes.is_pattern() { Ok(Self(bytes, pass)) } else { Err(D::Error::custom("other bytes")) }
    }
}

fn length(argument: Slow) -> usize {
    argument.0.0.len()
}

fn killed_while_reading(bytes: usize) {
    let pool = pool(1);
    let gate = Gate::new();
    let task = pool.submit(length, Slow(Bytes::pattern(bytes), gate.pass())).unwrap();
    let siblings = siblings(&pool);
    gate.wait_arrivals(1);
    kill(gate.arrivals()[0]);
    let death = only_death(outcome("the task whose argument was being read", task));
    assert!(death.contains("signal 9") && death.contains("decoding the argument"), "{death}");
    assert_untouched(siblings);
    gate.open();
    let again = pool.submit(length, Slow(Bytes::pattern(bytes), gate.pass())).unwrap();
    assert_eq!(outcome("the same again", again).unwrap(), bytes);
}

#[test]
fn d4_killed_while_reading_a_small_argument() {
    watched(|| killed_while_reading(3));
}

#[test]
fn d4_killed_while_reading_a_big_argument() {
    watched(|| killed_while_reading(BIG));
}

#[test]
fn d5_killed_while_running() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let task = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let siblings = siblings(&pool);
        let pid = gate.arrivals()[0];
        kill(pid);
        let death = only_death(outcome("the killed task", task));
        assert!(death.contains("signal 9") && death.contains("while running"), "{death}");
        assert!(death.contains(&format!("pid {pid}")), "{death}");
        assert_untouched(siblings);
        assert_eq!(pool.stats().failed, 1);
    });
}

/// A result that kills the worker in the middle of its own encoding. The parent's copy does not.
#[derive(Debug, Deserialize)]
struct Half(Bytes);

impl Serialize for Half {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0, Deadly).serialize(serializer)
    }
}

struct Deadly;

impl Serialize for Deadly {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        kill_self()
    }
}

fn half(bytes: usize) -> Half {
    Half(Bytes::pattern(bytes))
}

fn killed_while_writing(bytes: usize) {
    let pool = pool(1);
    let task = pool.submit(half, bytes).unwrap();
    let siblings = siblings(&pool);
    let death = only_death(outcome("the task whose result was being written", task));
    assert!(death.contains("signal 9") && death.contains("encoding the result"), "{death}");
    assert_untouched(siblings);
}

#[test]
fn d8_killed_while_writing_a_small_result() {
    watched(|| killed_while_writing(3));
}

#[test]
fn d8_killed_while_writing_a_big_result() {
    watched(|| killed_while_writing(BIG));
}

/// Results that are complete count, whatever becomes of their worker.
#[test]
fn p1_killed_after_the_result() {
    watched(|| {
        let pool = pool(2);
        for round in 0..30_u64 {
            let task = pool.submit(double, round).unwrap();
            task.wait();
            for worker in pool.worker_infos() {
                kill(worker.pid());
            }
            assert_eq!(outcome("a task that was over", task).unwrap(), 2 * round);
        }
        until("the last are noticed", || pool.stats().workers == 0);
        assert_works(&pool);
    });
}

#[test]
fn d12_killed_after_shutdown_was_called() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let task = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let siblings = siblings(&pool);
        pool.shutdown(Shutdown::no_wait());
        kill(gate.arrivals()[0]);
        step("a shutdown during which the worker dies");
        pool.shutdown_timeout(LONG).unwrap();
        let death = only_death(outcome("the killed task", task));
        assert!(death.contains("signal 9"), "{death}");
        assert_untouched(siblings);
        assert_eq!(pool.stats().workers, 0);
    });
}

/// Workers that are being told to end are killed at whatever point of it.
#[test]
fn d12_killed_while_retiring() {
    watched(|| {
        for round in 0..30 {
            let pool = pool(2);
            assert_works(&pool);
            step(format!("round {round}: a shutdown against kills"));
            thread::scope(|scope| {
                scope.spawn(|| pool.shutdown(Shutdown::wait()));
                for worker in pool.worker_infos() {
                    for _ in 0..round * 200 {
                        std::hint::spin_loop();
                    }
                    kill(worker.pid());
                }
            });
            assert_eq!(pool.stats().workers, 0);
        }
    });
}

#[test]
fn d14_crashes_while_big_arguments_are_on_their_way() {
    fn crash(_: Bytes) -> u32 {
        std::process::abort()
    }
    watched(|| {
        let pool = pool(2);
        let tasks: Vec<_> = (0..8).map(|_| pool.submit(crash, Bytes::pattern(8 * MIB)).unwrap()).collect();
        for task in tasks {
            let death = only_death(outcome("a task that crashes", task));
            assert!(death.contains("SIGABRT"), "{death}");
        }
        assert_works(&pool);
        assert_eq!(pool.stats().deaths, 8);
    });
}

/// A killed worker is ready again soon, whoever waits: here, an async task.
#[test]
fn p1_awaited_while_it_dies() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let task = pool.submit(hold, gate.pass()).unwrap();
        let next = pool.submit(double, 4).unwrap();
        gate.wait_arrivals(1);
        kill(ready_worker(&pool));
        step("awaited futures");
        let (lost, kept) = futures::executor::block_on(async { (task.await, next.await) });
        only_death(lost);
        assert_eq!(kept.unwrap(), 8);
    });
}
