//! Limits of tasks and of workers: run and queue timeouts, `stop`, retries, tasks per worker, idle time.

use crate::processes;
use crate::support::{
    Gate, LONG, Pass, SHORT, Scratch, append, assert_works, double, kill_self, only_death, outcome, own_pid, pool,
    quiet, read_lines, until,
};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions, Stop, TaskError, TaskOptions, is_stop_requested};
use rustix::process::Signal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A limit that passes for what never ends, and not for what ends at once, however busy the machine is.
const AMPLE: Duration = Duration::from_secs(2);

fn for_ever(pass: Pass) {
    pass.arrive();
    loop {
        std::hint::spin_loop();
    }
}

fn hold(pass: Pass) -> u32 {
    pass.go();
    std::process::id()
}

fn work_for(time: Duration) -> Duration {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
    time
}

#[track_caller]
fn assert_timed_out<R: std::fmt::Debug>(outcome: Result<R, TaskError>, limit: Duration) {
    match outcome {
        Err(TaskError::TimedOut(expired)) => assert_eq!(expired.limit(), limit),
        other => panic!("no limit passed: {other:?}"),
    }
}

#[test]
fn a_run_limit_ends_the_worker() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        for round in 1..=2 {
            let options = TaskOptions::new().run_timeout(SHORT);
            let endless = pool.submit_with(options, for_ever, gate.pass()).unwrap();
            let behind = pool.submit(double, 4).unwrap();
            assert_timed_out(outcome("an endless task", endless), SHORT);
            assert_eq!(outcome("the one behind", behind).unwrap(), 8);
            // Once each, or not at all on a machine where the limit passes before the first step of the task.
            assert!(gate.arrivals().len() <= round);
        }
        assert!(gate.arrivals().into_iter().all(|pid| processes::state(pid).is_none()));
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.restarts), (2, 2));
    });
}

/// The pool's own limit is for every task that has none.
#[test]
fn a_run_limit_of_the_pool() {
    watched(|| {
        let pool = quiet(2).run_timeout(SHORT).build().unwrap();
        let gate = Gate::new();
        let endless: Vec<_> = (0..4).map(|_| pool.submit(for_ever, gate.pass()).unwrap()).collect();
        for task in endless {
            assert_timed_out(outcome("an endless task", task), SHORT);
        }
        // A task's own limit is in place of the pool's.
        let options = TaskOptions::new().run_timeout(LONG);
        let long = pool.submit_with(options, work_for, 5 * SHORT).unwrap();
        assert_eq!(outcome("a longer task", long).unwrap(), 5 * SHORT);
    });
}

/// A worker that was stopped (SIGSTOP) hears of no limit itself; it is ended all the same.
#[test]
fn a_run_limit_of_a_stopped_worker() {
    fn stand_still(_: ()) {
        processes::send(std::process::id(), Signal::STOP);
        loop {
            thread::park();
        }
    }
    watched(|| {
        let pool = pool(1);
        let options = TaskOptions::new().run_timeout(SHORT);
        let stopped = pool.submit_with(options, stand_still, ()).unwrap();
        let behind = pool.submit(double, 4).unwrap();
        assert_timed_out(outcome("a task that stands still", stopped), SHORT);
        assert_eq!(outcome("the one behind", behind).unwrap(), 8);
    });
}

/// One that was stopped while it had nothing to do does not begin; another one does.
#[test]
fn a_run_limit_of_a_worker_that_was_stopped_before() {
    watched(|| {
        let pool = pool(1);
        let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        processes::stop(pid);
        let options = TaskOptions::new().run_timeout(AMPLE);
        let task = pool.submit_with(options, own_pid, ()).unwrap();
        assert_ne!(outcome("a task for a worker that stands still", task).unwrap(), pid);
        assert_works(&pool);
    });
}

/// A limit of nothing is over as soon as the task begins, and costs no more than that.
#[test]
fn a_run_limit_of_nothing() {
    watched(|| {
        let pool = pool(2);
        for _ in 0..20 {
            let options = TaskOptions::new().run_timeout(Duration::ZERO);
            let task = pool.submit_with(options, work_for, LONG).unwrap();
            assert_timed_out(outcome("a task without time", task), Duration::ZERO);
        }
        assert_works(&pool);
    });
}

/// A value that takes for ever to encode, in a worker, or to decode.
#[derive(Debug)]
struct Endless(bool);

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 {
            loop {
                std::hint::spin_loop();
            }
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)?;
        loop {
            std::hint::spin_loop();
        }
    }
}

/// Encoding and decoding in the worker are part of the run, and can be stopped as it can.
#[test]
fn a_run_limit_of_decoding_and_encoding() {
    watched(|| {
        let pool = pool(1);
        let limited = || TaskOptions::new().run_timeout(SHORT);
        let decoding = pool.submit_with(limited(), |_: Endless| (), Endless(false)).unwrap();
        assert_timed_out(outcome("an argument that is never decoded", decoding), SHORT);
        let encoding = pool.submit_with(limited(), Endless, true).unwrap();
        assert_timed_out(outcome("a result that is never encoded", encoding), SHORT);
        let decoding = pool.submit(|_: Endless| (), Endless(false)).unwrap();
        until("it is being decoded", || decoding.is_running());
        decoding.stop();
        assert!(outcome("an argument whose decoding is stopped", decoding).unwrap_err().is_cancelled());
        assert_works(&pool);
    });
}

/// Each item has the limit for itself, however long the chunk takes; the one that is too slow is lost alone.
#[test]
fn a_run_limit_of_items() {
    const LIMIT: Duration = AMPLE;
    watched(|| {
        let pool = quiet(1).run_timeout(LIMIT).build().unwrap();
        let times = (0..14).map(|number| if number == 7 { 100 * LIMIT } else { LIMIT / 10 });
        step("a map with one item that is too slow");
        let outcomes: Vec<_> = pool.map_with(MapOptions::new().chunk_size(14), work_for, times).collect();
        assert_eq!(outcomes.len(), 14);
        for (number, outcome) in outcomes.into_iter().enumerate() {
            match number {
                7 => assert_timed_out(outcome, LIMIT),
                _ => assert_eq!(outcome.unwrap(), LIMIT / 10),
            }
        }
    });
}

/// The limit of a map is in place of the pool's, be it shorter or longer.
#[test]
fn a_run_limit_of_a_map() {
    const LIMIT: Duration = AMPLE;
    fn hold_one(number: u32) -> u32 {
        if number == 3 {
            loop {
                thread::park();
            }
        }
        std::process::id()
    }
    watched(|| {
        for builder in [quiet(1), quiet(1).run_timeout(LONG)] {
            let pool = builder.build().unwrap();
            step("a map with one item that never ends");
            let options = MapOptions::new().chunk_size(6).run_timeout(LIMIT);
            let mut outcomes: Vec<_> = pool.map_with(options, hold_one, 0..6).collect();
            assert_timed_out(outcomes.remove(3), LIMIT);
            let pids: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
            // The worker was ended; the rest of the chunk ran in another.
            let (before, after) = pids.split_at(3);
            assert!(before.iter().all(|pid| *pid == before[0]) && after.iter().all(|pid| *pid == after[0]), "{pids:?}");
            assert!(before[0] != after[0] && processes::state(before[0]).is_none(), "{pids:?}");
            assert_eq!((pool.stats().deaths, pool.stats().restarts), (1, 1));
            assert_works(&pool);
        }
        let strict = quiet(1).run_timeout(SHORT).build().unwrap();
        for limit in [LONG, Duration::MAX] {
            let options = MapOptions::new().chunk_size(2).run_timeout(limit);
            let outcomes: Vec<_> = strict.map_with(options, work_for, [3 * SHORT; 4]).collect();
            assert!(outcomes.into_iter().all(|outcome| outcome.is_ok_and(|time| time == 3 * SHORT)));
        }
    });
}

/// The time in the queue is not counted.
#[test]
fn a_run_limit_does_not_count_the_queue() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let holding = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let limit = AMPLE;
        let waiting = pool.submit_with(TaskOptions::new().run_timeout(limit), double, 4).unwrap();
        // A limit of the same length that does count the queue shows that the time has passed.
        let probe = pool.submit_with(TaskOptions::new().queue_timeout(limit), double, 5).unwrap();
        assert_timed_out(outcome("a task that does not begin", probe), limit);
        assert!(!waiting.is_done());
        gate.open();
        outcome("the first", holding).unwrap();
        assert_eq!(outcome("the one that waited", waiting).unwrap(), 8);
    });
}

/// A limit that passes while its task returns costs, at most, that task: never the one that begins meanwhile.
#[test]
fn a_run_limit_costs_no_sibling() {
    watched(|| {
        let pool = pool(2);
        let limit = Duration::from_millis(2);
        for round in 0..60_u64 {
            let near = limit.mul_f64(0.9 + 0.005 * round as f64);
            let timed = pool.submit_with(TaskOptions::new().run_timeout(limit), work_for, near).unwrap();
            let siblings: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
            match outcome("a task that takes about as long as it may", timed) {
                Ok(time) => assert_eq!(time, near),
                other => assert_timed_out(other, limit),
            }
            for (number, sibling) in (0..).zip(siblings) {
                let result = outcome(&format!("sibling {number} of round {round}"), sibling);
                assert_eq!(result.unwrap(), 2 * number);
            }
        }
    });
}

#[test]
fn a_queue_limit_ends_what_has_not_begun() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let holding = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let late: Vec<_> = (0..300)
            .map(|number| pool.submit_with(TaskOptions::new().queue_timeout(SHORT), double, number).unwrap())
            .collect();
        late.into_iter().for_each(|task| assert_timed_out(outcome("a late task", task), SHORT));
        assert_eq!(pool.stats().queued, 0);
        gate.open();
        outcome("the first", holding).unwrap();
        assert_works(&pool);
        assert_eq!(pool.stats().completed, 9);
    });
}

/// The worker and what it has started are gone when the future is done.
#[test]
fn stop_ends_the_worker_and_its_children() {
    fn wait_for_child(notes: String) {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        append(notes, &format!("{}\n{}\n", std::process::id(), child.id()));
        child.wait().unwrap();
    }
    watched(|| {
        let pool = pool(1);
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let task = pool.submit(wait_for_child, notes.clone()).unwrap();
        let queued = pool.submit(double, 4).unwrap();
        let dropped = pool.submit(double, 5).unwrap();
        until("the child runs", || read_lines(&notes).len() == 2);
        assert_eq!(dropped.stop(), Stop::Cancelled);
        assert_eq!(task.stop(), Stop::Requested);
        let error = outcome("the stopped task", task).unwrap_err();
        assert!(error.is_cancelled() && error.to_string().contains("stopped"), "{error}");
        let pids: Vec<u32> = read_lines(&notes).iter().map(|line| line.parse().unwrap()).collect();
        assert_eq!(processes::state(pids[0]), None);
        // Killed by then; that it has ended is for its new parent to see.
        until("the child is gone", || !processes::is_alive(pids[1]));
        assert_eq!(outcome("the queued one", queued).unwrap(), 8);
        assert_works(&pool);
    });
}

/// Where the handler of a stopped task writes.
static NOTES: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note_signal(_: libc::c_int) {
    // SAFETY: `write` is allowed in a signal handler; text and length belong together.
    unsafe { libc::write(NOTES.load(Ordering::SeqCst), c"TERM\n".as_ptr().cast(), 5) };
}

/// From now on SIGTERM writes a line into the file.
fn handle_terminate(notes: &str) {
    use std::os::fd::IntoRawFd;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(notes).unwrap();
    NOTES.store(file.into_raw_fd(), Ordering::SeqCst);
    let handler: extern "C" fn(libc::c_int) = note_signal;
    // SAFETY: the handler does nothing that is forbidden there.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
}

fn unresponsive((notes, pass): (String, Pass)) {
    handle_terminate(&notes);
    pass.arrive();
    loop {
        thread::park();
    }
}

/// A task that handles SIGTERM is heard out; when the grace is over it is killed.
#[test]
fn stop_gives_grace() {
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        for grace in [Duration::ZERO, AMPLE] {
            let pool = quiet(1).stop_grace(grace).build().unwrap();
            let gate = Gate::new();
            let task = pool.submit(unresponsive, (notes.clone(), gate.pass())).unwrap();
            gate.wait_arrivals(1);
            let begin = Instant::now();
            assert_eq!(task.stop(), Stop::Requested);
            assert!(outcome("a task that does not listen", task).unwrap_err().is_cancelled());
            assert!(begin.elapsed() >= grace);
            assert_eq!(read_lines(&notes).len(), usize::from(!grace.is_zero()));
            assert_works(&pool);
        }
    });
}

/// A task that ends by itself after it was asked to: its worker must not be killed later, under another task.
#[test]
fn stop_costs_no_later_task() {
    fn listen((notes, pass): (String, Pass)) -> u32 {
        handle_terminate(&notes);
        pass.arrive();
        until("it is asked to end", || read_lines(&notes).len() == 1);
        7
    }
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let grace = Duration::from_millis(200);
        let pool = quiet(1).stop_grace(grace).build().unwrap();
        let gate = Gate::new();
        let task = pool.submit(listen, (notes, gate.pass())).unwrap();
        gate.wait_arrivals(1);
        assert_eq!(task.stop(), Stop::Requested);
        match outcome("a task that listens", task) {
            Ok(result) => assert_eq!(result, 7),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
        // Longer than the grace.
        let next = pool.submit(work_for, 3 * grace).unwrap();
        assert_eq!(outcome("the next task", next).unwrap(), 3 * grace);
    });
}

/// The same for tasks that look at their flag, and return at about the time their worker is ended.
#[test]
fn stop_costs_no_sibling() {
    fn cooperative(pass: Pass) -> u32 {
        pass.arrive();
        while !is_stop_requested() {
            std::hint::spin_loop();
        }
        7
    }
    watched(|| {
        let pool = pool(1);
        for round in 0..60 {
            let gate = Gate::new();
            let task = pool.submit(cooperative, gate.pass()).unwrap();
            let siblings: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
            gate.wait_arrivals(1);
            task.stop();
            match outcome("a task that listens", task) {
                Ok(result) => assert_eq!(result, 7),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
            for (number, sibling) in (0..).zip(siblings) {
                let result = outcome(&format!("sibling {number} of round {round}"), sibling);
                assert_eq!(result.unwrap(), 2 * number);
            }
        }
    });
}

#[test]
fn stop_of_a_stopped_worker() {
    fn stand_still(pass: Pass) {
        pass.arrive();
        processes::send(std::process::id(), Signal::STOP);
        loop {
            thread::park();
        }
    }
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let task = pool.submit(stand_still, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let pid = gate.arrivals()[0];
        processes::wait_until_stopped(pid);
        assert_eq!(task.stop(), Stop::Requested);
        assert!(outcome("a task that stands still", task).unwrap_err().is_cancelled());
        assert_works(&pool);
    });
}

/// Notes each run; ends its process in the first ones.
fn die_first((log, times): (String, usize)) -> usize {
    append(&log, &format!("{}\n", std::process::id()));
    let runs = read_lines(&log).len();
    if runs <= times {
        kill_self();
    }
    runs
}

#[test]
fn retries_are_counted() {
    watched(|| {
        let pool = pool(2);
        let scratch = Scratch::new();
        let enough = TaskOptions::new().retries(5);
        let task = pool.submit_with(enough, die_first, (scratch.path("enough"), 2)).unwrap();
        assert_eq!(outcome("the third run", task).unwrap(), 3);
        let log = scratch.path("too few");
        let task = pool.submit_with(TaskOptions::new().retries(3), die_first, (log.clone(), usize::MAX)).unwrap();
        let Err(TaskError::WorkerDied(death)) = outcome("a fatal task", task) else { panic!("it lives") };
        let pids: Vec<_> = death.deaths().iter().map(|death| death.pid().to_string()).collect();
        assert_eq!(pids, read_lines(&log));
        assert_eq!(pids.len(), 4);
        assert!(death.to_string().matches("; then ").count() == 3, "{death}");
        let stats = pool.stats();
        assert_eq!((stats.deaths, stats.failed, stats.completed), (6, 1, 1));
    });
}

/// Only deaths are retried: no panic, no limit, no stop, and nothing without being asked.
#[test]
fn retries_are_for_deaths_alone() {
    fn note_and_fail((log, how): (String, u32)) {
        append(log, "run\n");
        match how {
            0 => panic!("on purpose"),
            1 => kill_self(),
            _ => loop {
                thread::park();
            },
        }
    }
    watched(|| {
        let pool = pool(1);
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let submit = |options, how| pool.submit_with(options, note_and_fail, (log.clone(), how)).unwrap();
        assert!(outcome("a panic", submit(TaskOptions::new().retries(3), 0)).unwrap_err().is_panic());
        only_death(outcome("a death", submit(TaskOptions::new(), 1)));
        assert_timed_out(outcome("a limit", submit(TaskOptions::new().retries(3).run_timeout(AMPLE), 2)), AMPLE);
        let stopped = submit(TaskOptions::new().retries(3), 2);
        until("the last one runs", || read_lines(&log).len() == 4);
        stopped.stop();
        assert!(outcome("a stopped task", stopped).unwrap_err().is_cancelled());
        assert_eq!(read_lines(&log).len(), 4);
    });
}

#[test]
fn p11_tasks_per_worker() {
    watched(|| {
        let pool = quiet(1).max_tasks_per_child(3).build().unwrap();
        let pids: Vec<_> = (0..9).map(|_| outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap()).collect();
        for group in pids.chunks(3) {
            assert!(group.iter().all(|pid| *pid == group[0]), "{pids:?}");
        }
        assert!(pids[0] != pids[3] && pids[3] != pids[6], "{pids:?}");
        // They ended because they should: none of them died.
        assert_eq!(pool.stats().deaths, 0);
        until("the last has ended", || processes::state(pids[8]).is_none());
    });
}

/// P13, P14: a backlog larger than the workers can do in their time.
#[test]
fn p14_a_backlog() {
    watched(|| {
        let pool = quiet(2).max_tasks_per_child(5).build().unwrap();
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let note = |log: String| append(log, &format!("{}\n", std::process::id()));
        let tasks: Vec<_> = (0..60).map(|_| pool.submit(note, log.clone()).unwrap()).collect();
        drop(pool);
        assert!(tasks.into_iter().all(|task| task.result().is_ok()));
        let mut counts = std::collections::HashMap::new();
        read_lines(&log).into_iter().for_each(|pid| *counts.entry(pid).or_insert(0) += 1);
        assert_eq!(counts.values().sum::<i32>(), 60);
        assert!(counts.values().all(|count| *count <= 5), "{counts:?}");
    });
}

/// T5 in its better form: an idle worker ends after a while, and another comes when there is work.
#[test]
fn t5_idle_workers_end() {
    watched(|| {
        let pool = quiet(2).keep_alive(SHORT).build().unwrap();
        for _ in 0..3 {
            assert_works(&pool);
            until("all workers have ended", || pool.worker_infos().is_empty());
        }
        let stats = pool.stats();
        assert_eq!((stats.deaths, stats.failed, stats.workers), (0, 0, 0));
        // One that is at work does not end.
        assert_eq!(outcome("a longer task", pool.submit(work_for, 5 * SHORT).unwrap()).unwrap(), 5 * SHORT);
    });
}
