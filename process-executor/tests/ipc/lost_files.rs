//! A program that closes the pool's descriptors by their numbers, as it does that makes itself a daemon.

use crate::watchdog::{step, watched};
use crate::{assert_works, child, double, outcome, pool, wait_for_ever};
use executor_core::{ExecutorExt, TaskError};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use process_executor::ProcessPoolExecutor;
use std::fs::File;

#[test]
fn a_program_closes_all_descriptors() {
    watched(|| {
        for how in ["busy", "at rest"] {
            child::run("lost_files::closing_program", how, |_| ());
        }
    });
}

fn take_numbers() -> Vec<File> {
    (0..300).map(|_| File::open("/dev/null").unwrap()).collect()
}

fn say_and_wait((begun, passes): (IpcSender<()>, IpcReceiver<()>)) {
    begun.send(()).unwrap();
    let _ = passes.recv();
}

/// Has each of the two workers begun a task, so that no thread is just using a descriptor.
fn begin_both(pool: &ProcessPoolExecutor) {
    let (begun, begins) = ipc::channel().unwrap();
    let (gates, starts): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (gate, passes) = ipc::channel::<()>().unwrap();
            (gate, pool.submit(say_and_wait, (begun.clone(), passes)).unwrap())
        })
        .unzip();
    (0..2).for_each(|_| begins.recv().unwrap());
    drop(gates);
    starts.into_iter().for_each(|start| outcome(start).unwrap());
    assert_works(pool);
}

#[test]
fn closing_program() {
    let Some(how) = child::argument() else { return };
    watched(|| {
        let pool = pool(2);
        begin_both(&pool);
        let held = (how == "busy").then(|| {
            let (sender, receiver) = ipc::channel().unwrap();
            let task = pool.submit(wait_for_ever, sender).unwrap();
            receiver.recv().unwrap();
            task
        });
        // SAFETY: none for this process: descriptors that others own are closed. That is what is tested.
        unsafe { libc::close_range(3, 1024, 0) };
        let files = take_numbers();
        step("no task is taken");
        let refused = loop {
            match pool.submit(double, 1) {
                Ok(task) => drop(outcome(task)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(refused.contains("closed the pool's descriptors"), "{refused}");
        if let Some(task) = held {
            let death = outcome(task).unwrap_err();
            assert!(matches!(death, TaskError::WorkerDied(_)), "{death}");
            assert!(death.to_string().contains("closed the pool's descriptors"), "{death}");
        }
        step("the end");
        drop(pool);
        for file in &files {
            // Nobody has closed it.
            file.metadata().unwrap();
        }
        drop(files);
    });
}
