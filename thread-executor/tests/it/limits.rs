//! Queue and run limits of single tasks on a pool.

use crate::support::{CountDrop, Counter, Gate, LONG, occupy, pool};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions, Stop, TaskError, TaskOptions, as_completed, is_stop_requested};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

fn until_stopped() {
    while !is_stop_requested() {
        thread::yield_now();
    }
}

#[test]
fn a_run_limit_ends_the_future_and_asks_the_task() {
    watched(|| {
        let pool = pool(1);
        for limit in [Duration::ZERO, SHORT] {
            let gate = Gate::new();
            let pass = gate.pass();
            let future = pool
                .spawn_with(TaskOptions::new().run_timeout(limit), move || {
                    until_stopped();
                    pass.go();
                })
                .unwrap();
            // The future is done while the task still runs.
            gate.wait_arrivals(1);
            step("a future whose task is still inside");
            let Err(TaskError::TimedOut(expired)) = future.result() else { panic!("no limit passed") };
            assert_eq!(expired.limit(), limit);
            assert_eq!(pool.stats().running, 1);
            gate.open();
            // The next task is not asked to stop.
            assert!(!pool.spawn(is_stop_requested).unwrap().result().unwrap());
        }
    });
}

/// In `map` each input has the limit to itself: its outcome is there while its function still runs, and no input waits for it.
#[test]
fn a_run_limit_of_a_map_is_per_input() {
    static GATE: OnceLock<Gate> = OnceLock::new();
    fn hold_one(number: u32) -> u32 {
        if number == 2 {
            until_stopped();
            GATE.get().unwrap().pass().go();
        }
        number
    }
    watched(|| {
        let gate = GATE.get_or_init(Gate::new);
        let pool = pool(2);
        let options = MapOptions::new().chunk_size(5).run_timeout(2000 * SHORT);
        step("a map with one item that goes on");
        let mut outcomes: Vec<_> = pool.map_with(options, hold_one, 0..5).collect();
        assert_eq!(pool.stats().running, 1);
        gate.open();
        let error = outcomes.remove(2).unwrap_err();
        assert!(error.is_timed_out() && error.to_string().contains("input 2 of map"), "{error}");
        assert_eq!(outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 3, 4]);
    });
}

/// A value that comes too late is dropped, once, and so is the payload of a late panic.
#[test]
fn the_late_result_of_an_expired_task_is_dropped() {
    watched(|| {
        let pool = pool(1);
        let drops = Counter::default();
        let value = CountDrop(drops.clone());
        let options = || TaskOptions::new().run_timeout(SHORT);
        let late = pool
            .spawn_with(options(), move || {
                until_stopped();
                value
            })
            .unwrap();
        assert!(matches!(late.result(), Err(TaskError::TimedOut(_))));
        let panicking = pool
            .spawn_with(options(), || {
                until_stopped();
                panic!("after the limit, on purpose");
            })
            .unwrap();
        assert!(matches!(panicking.result(), Err(TaskError::TimedOut(_))));
        pool.spawn(|| ()).unwrap().result().unwrap();
        assert_eq!(drops.get(), 1);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.failed, stats.running), (2, 1, 0));
    });
}

#[test]
fn a_run_limit_does_not_count_the_queue() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let waiting = pool.spawn_with(TaskOptions::new().run_timeout(SHORT), is_stop_requested).unwrap();
        // A limit of the same length that does count it shows that the time has passed.
        let probe = pool.spawn_with(TaskOptions::new().queue_timeout(SHORT), || ()).unwrap();
        assert!(probe.result().unwrap_err().is_timed_out());
        assert!(!waiting.is_done());
        gate.open();
        match waiting.result() {
            Ok(asked) => assert!(!asked),
            // The machine stood still between start and end for as long as the limit.
            Err(error) => assert!(error.is_timed_out()),
        }
    });
}

#[test]
fn a_queue_limit_ends_what_has_not_begun() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let (ran, drops) = (Counter::default(), Counter::default());
        for limit in [Duration::ZERO, SHORT] {
            let (ran, value) = (ran.clone(), CountDrop(drops.clone()));
            let options = TaskOptions::new().queue_timeout(limit);
            let task = move || {
                let _value = value;
                ran.add()
            };
            let late = pool.spawn_with(options, task).unwrap();
            let Err(TaskError::TimedOut(expired)) = late.result() else { panic!("it waits for ever") };
            assert_eq!(expired.limit(), limit);
        }
        // Dropped at the limit, not when a worker takes the task.
        assert_eq!((ran.get(), drops.get()), (0, 2));
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.failed), (0, 2));
        gate.open();
        pool.spawn(|| ()).unwrap().result().unwrap();
        assert_eq!(ran.get(), 0);
    });
}

#[test]
fn a_task_that_begins_in_time_meets_its_queue_limit() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..500 {
            let options = TaskOptions::new().queue_timeout(LONG).run_timeout(LONG);
            assert_eq!(pool.spawn_with(options, || 1).unwrap().result().unwrap(), 1);
        }
        // It began in time, however long it runs.
        let (gate, options) = (Gate::new(), TaskOptions::new().queue_timeout(Duration::from_secs(30)));
        let pass = gate.pass();
        let running = pool.spawn_with(options, move || pass.go()).unwrap();
        gate.wait_arrivals(1);
        gate.open();
        running.result().unwrap();
    });
}

#[test]
fn endless_limits_never_pass() {
    watched(|| {
        let pool = pool(1);
        let options = TaskOptions::new().queue_timeout(Duration::MAX).run_timeout(Duration::MAX);
        assert_eq!(pool.spawn_with(options, || 1).unwrap().result().unwrap(), 1);
        assert!(pool.spawn(|| ()).unwrap().wait_timeout(Duration::MAX));
    });
}

/// The task either begins in time or expires, and the numbers say which.
#[test]
fn a_queue_limit_races_with_the_start() {
    watched(|| {
        let pool = pool(2);
        let ran = Counter::default();
        let mut expired = 0;
        for round in 0..1000_u64 {
            let (count, limit) = (ran.clone(), Duration::from_micros(round % 50));
            let future = pool.spawn_with(TaskOptions::new().queue_timeout(limit), move || count.add()).unwrap();
            step(format!("round {round}: a queue limit of {limit:?}"));
            match future.result() {
                Ok(_) => {}
                Err(TaskError::TimedOut(_)) => expired += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(ran.get() as u64 + expired, 1000);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.failed, stats.queued), (ran.get() as u64, expired, 0));
    });
}

#[test]
fn limits_race_with_cancel_and_end() {
    watched(|| {
        let pool = pool(2);
        for round in 0..500_u64 {
            let limit = Duration::from_micros(round % 80);
            let options = TaskOptions::new().queue_timeout(limit).run_timeout(limit);
            let future = pool.spawn_with(options, || ()).unwrap();
            let cancelled = round % 3 == 0 && future.cancel();
            step(format!("round {round}: limits of {limit:?}"));
            match future.result() {
                Ok(()) => assert!(!cancelled),
                Err(error) => assert!(if cancelled { error.is_cancelled() } else { error.is_timed_out() }),
            }
        }
        // A run limit may end a future whose task is about to return.
        crate::support::until("the last task is over", || pool.stats().running == 0);
        assert_eq!(pool.stats().queued, 0);
    });
}

/// A callback of a future that a limit ends sees the limit; it may wait for another limit without holding it up.
#[test]
fn a_callback_of_an_expired_future_holds_up_no_other_limit() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let gate = occupy(&pool, 1);
        let (done, wait_done) = channel();
        let options = || TaskOptions::new().queue_timeout(SHORT);
        let first = pool.spawn_with(TaskOptions::new().queue_timeout(Duration::from_millis(20)), || ()).unwrap();
        let own = pool.clone();
        first.add_done_callback(move |outcome| {
            let second = own.spawn_with(options(), || ()).unwrap();
            done.send((outcome.is_err(), second.result().unwrap_err().is_timed_out())).unwrap();
        });
        step("a callback that waits for another limit");
        assert_eq!(wait_done.recv().unwrap(), (true, true));
        gate.open();
    });
}

/// The same for the destructor of what the task captured: it runs when the limit passes, and must not stop the clock for
/// all others. A captured pool is such a value: its drop waits for its own tasks and their limits.
#[test]
fn a_destructor_of_an_expired_task_holds_up_no_other_limit() {
    struct WaitOnDrop(std::sync::mpsc::Receiver<()>, crate::support::Pass);
    impl Drop for WaitOnDrop {
        fn drop(&mut self) {
            self.1.arrive();
            // If the test fails, the other end is dropped, which ends the wait.
            let _ = self.0.recv();
        }
    }
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let inside = Gate::new();
        let (done, wait_done) = channel::<()>();
        let value = WaitOnDrop(wait_done, inside.pass());
        let first = pool.spawn_with(TaskOptions::new().queue_timeout(SHORT), move || drop(value)).unwrap();
        inside.wait_arrivals(1);
        let second = pool.spawn_with(TaskOptions::new().queue_timeout(SHORT), || ()).unwrap();
        // Far longer than the limit, so that only this test fails and not all that use limits meanwhile.
        let in_time = second.wait_timeout(Duration::from_secs(30));
        drop(done);
        assert!(in_time, "a limit of a millisecond was held up by another task's destructor");
        assert!(first.result().unwrap_err().is_timed_out());
        gate.open();
    });
}

#[test]
fn stop_asks_and_cancels() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let pass = gate.pass();
        let running = pool
            .spawn(move || {
                pass.arrive();
                until_stopped();
                "stopped"
            })
            .unwrap();
        gate.wait_arrivals(1);
        let queued = pool.spawn(|| ()).unwrap();
        assert_eq!(queued.stop(), Stop::Cancelled);
        assert_eq!(running.stop(), Stop::Requested);
        assert_eq!(running.result().unwrap(), "stopped");
    });
}

/// Of many limits of many lengths, none is forgotten.
#[test]
fn many_limits_at_once_are_all_kept() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let limited = |number: u64| {
            let options = TaskOptions::new().queue_timeout(Duration::from_micros(number * 7919 % 3000));
            pool.spawn_with(options, || ()).unwrap()
        };
        let futures: Vec<_> = (0..2000).map(limited).collect();
        step("two thousand queue limits");
        assert!(as_completed(futures).all(|future| future.result().unwrap_err().is_timed_out()));
        assert_eq!(pool.stats().failed, 2000);
        gate.open();
    });
}

/// Runs in a process of its own, since it uses up the threads that end expired tasks.
#[cfg(target_os = "linux")]
#[test]
fn expired_tasks_have_a_bounded_number_of_threads() {
    watched(|| crate::child::run("limits::child_whose_destructors_block", "", |_| ()));
}

#[cfg(target_os = "linux")]
#[test]
fn child_whose_destructors_block() {
    use crate::support::{threads_named, until};
    const MOST: usize = 64;
    const TASKS: usize = 3 * MOST;
    struct GoOnDrop(crate::support::Pass);
    impl Drop for GoOnDrop {
        fn drop(&mut self) {
            self.0.go();
        }
    }
    if crate::child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(2);
        let (task, destructor) = (occupy(&pool, 1), Gate::new());
        let ran = Counter::default();
        // The other worker is free for tasks with run limits.
        let fill = occupy(&pool, 1);
        let blocked: Vec<_> = (1..=TASKS)
            .map(|number| {
                // Each expires at a moment of its own.
                let limit = Duration::from_micros(number as u64 * 500);
                let (value, ran) = (GoOnDrop(destructor.pass()), ran.clone());
                let future = pool.spawn_with(TaskOptions::new().queue_timeout(limit), move || drop(value)).unwrap();
                future.add_done_callback(move |outcome| {
                    assert!(outcome.as_ref().is_err_and(|error| error.is_timed_out()));
                    ran.add();
                });
                future
            })
            .collect();
        destructor.wait_arrivals(MOST);
        until("all have left the queue", || pool.stats().queued == 0);
        fill.open();
        for _ in 0..10 {
            let limited = pool.spawn_with(TaskOptions::new().run_timeout(SHORT), until_stopped).unwrap();
            step("a run limit while destructors block");
            assert!(limited.result().unwrap_err().is_timed_out());
            assert_eq!(threads_named("task-expired"), MOST);
        }
        assert_eq!(ran.get(), 0);
        destructor.open();
        step("all callbacks");
        assert!(as_completed(blocked).all(|future| future.result().unwrap_err().is_timed_out()));
        assert_eq!(ran.get(), TASKS);
        until("idle threads have ended", || threads_named("task-expired") == 0);
        task.open();
    });
}
