//! Threads that sleep for a result hear the workers' bells themselves.

use crate::child;
use crate::processes;
use crate::support::{Gate, Pass, SHORT, double, outcome, pool, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, Promise, as_completed};
use std::fs;
use std::thread;
use std::time::Duration;

fn hold(pass: Pass) {
    pass.go();
}

/// Returns whether the system has the call by which threads listen: since Linux 5.16, unless a container forbids it.
fn can_listen() -> bool {
    use rustix::thread::{ClockId, futex};
    // No words at all are an error of their own.
    futex::waitv(&[], futex::WaitvFlags::empty(), None, ClockId::Monotonic) == Err(rustix::io::Errno::INVAL)
}

/// The threads of this process that sleep in that call.
fn listeners() -> usize {
    let call = format!("{} ", libc::SYS_futex_waitv);
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    threads
        .filter(|thread| fs::read_to_string(thread.path().join("syscall")).is_ok_and(|now| now.starts_with(&call)))
        .count()
}

/// How often the pool's own threads have gone to sleep.
fn switches_of_the_pool() -> u64 {
    processes::wake_ups(std::process::id(), "process-pool")
}

/// From the worker to the thread that waits, with nobody in between.
#[test]
fn a_sleeping_thread_is_woken_by_the_worker() {
    watched(|| child::run("listening::sleeping_program", "1", |_| ()));
}

#[test]
fn sleeping_program() {
    if child::argument().is_none() || !can_listen() {
        return;
    }
    watched(|| {
        let pool = pool(1);
        assert_eq!(outcome("a first task", pool.submit(double, 1).unwrap()).unwrap(), 2);
        // Other threads of the program may be at work in single rounds, but not in all.
        until("only the waiting thread wakes up", || {
            let gate = Gate::new();
            let future = pool.submit(hold, gate.pass()).unwrap();
            gate.wait_arrivals(1);
            thread::scope(|scope| {
                let waiting = scope.spawn(|| future.wait());
                until("the thread listens", || listeners() == 1);
                let before = switches_of_the_pool();
                gate.open();
                waiting.join().unwrap();
                before == switches_of_the_pool()
            })
        });
    });
}

/// One worker is busy for long, what lay behind its task was taken over and is over: nobody has anything to look for.
#[test]
fn a_pool_with_a_long_task_rests() {
    watched(|| child::run("listening::resting_program", "1", |_| ()));
}

#[test]
fn resting_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(2);
        let gates = [Gate::new(), Gate::new()];
        let long: Vec<_> = gates.iter().map(|gate| pool.submit(hold, gate.pass()).unwrap()).collect();
        gates.iter().for_each(|gate| gate.wait_arrivals(1));
        let behind: Vec<_> = (0..4).map(|number| pool.submit(double, number).unwrap()).collect();
        gates[1].open();
        for (number, behind) in (0..).zip(behind) {
            assert_eq!(outcome("one of those behind", behind).unwrap(), 2 * number);
        }
        // It looks now and then, but not all the time.
        until("the pool rests for a while", || processes::rests(switches_of_the_pool));
        gates[0].open();
        long.into_iter().for_each(|long| outcome("a long one", long).unwrap());
    });
}

#[test]
fn a_limit_ends_the_sleep() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let future = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        step("a wait with a limit");
        assert!(!future.wait_timeout(SHORT));
        let Err(future) = future.result_timeout(SHORT) else { panic!("it has not ended") };
        let Err(unfinished) = as_completed([future]).timeout(SHORT).next().unwrap() else { panic!("it has not ended") };
        drop(unfinished);
        gate.open();
    });
}

/// Each is woken, although a bell wakes one of them.
#[test]
fn many_threads_sleep() {
    watched(|| {
        let pool = pool(3);
        for round in 0..20 {
            let gate = Gate::new();
            let futures: Vec<_> = (0..3).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
            let more: Vec<_> = (0..13).map(|number| pool.submit(double, number).unwrap()).collect();
            gate.wait_arrivals(3);
            step(format!("round {round}: sixteen threads that wait"));
            thread::scope(|scope| {
                futures.into_iter().for_each(|future| _ = scope.spawn(|| future.result().unwrap()));
                for (number, future) in (0..).zip(more) {
                    scope.spawn(move || assert_eq!(future.result().unwrap(), 2 * number));
                }
                gate.open();
            });
        }
    });
}

/// A sleeping thread hears the bells of all pools, and of what is no task of a pool at all.
#[test]
fn a_thread_sleeps_for_several() {
    watched(|| {
        let pools = [pool(1), pool(2)];
        for round in 0..20 {
            let gates = [Gate::new(), Gate::new()];
            let (promise, promised) = Promise::new();
            let mut all: Vec<_> =
                pools.iter().zip(&gates).map(|(pool, gate)| pool.submit(hold, gate.pass()).unwrap()).collect();
            all.push(promised);
            gates.iter().for_each(|gate| gate.wait_arrivals(1));
            step(format!("round {round}: one of three after the other"));
            let (sender, ended) = std::sync::mpsc::channel();
            let waiting = thread::spawn(move || as_completed(all).for_each(|outcome| sender.send(outcome).unwrap()));
            let mut ends: Vec<Box<dyn FnOnce()>> = vec![Box::new(move || _ = promise.set_result(()))];
            ends.extend(gates.into_iter().map(|gate| -> Box<dyn FnOnce()> { Box::new(move || gate.open()) }));
            ends.rotate_left(round % 3);
            for end in ends {
                end();
                ended.recv().unwrap().result().unwrap();
            }
            waiting.join().unwrap();
        }
    });
}

/// A bell that a thread hears as it gives up, or would have heard, had it not, is heard by somebody else.
#[test]
fn a_thread_that_gives_up_takes_no_bell_along() {
    /// Takes about as long as the waits last.
    fn spin(rounds: u64) -> u64 {
        (0..rounds).map(std::hint::black_box).fold(0, u64::wrapping_add)
    }
    watched(|| {
        let pool = pool(2);
        let gate = Gate::new();
        let never = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        for round in 0..2000 {
            let (sender, receiver) = std::sync::mpsc::channel();
            let future = pool.submit(spin, 10 * (round % 100)).unwrap();
            future.add_done_callback(move |outcome| sender.send(outcome.is_ok()).unwrap());
            assert!(!never.wait_timeout(Duration::from_micros(round % 60)));
            step(format!("round {round}, told by a callback"));
            assert!(receiver.recv().unwrap());
        }
        gate.open();
        outcome("the one that held out", never).unwrap();
    });
}
