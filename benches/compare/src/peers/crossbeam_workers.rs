//! The pool people write by hand: threads that take boxed closures from a crossbeam channel, results by oneshot.

use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{Peer, WORKERS, noop};

type Job = Box<dyn FnOnce() + Send>;

/// The channel's sending end, and the threads behind it.
pub(crate) struct CrossbeamWorkers {
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

impl CrossbeamWorkers {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = unbounded();
        let workers = (0..WORKERS)
            .map(|_| {
                let queue: Receiver<Job> = queue.clone();
                thread::spawn(move || queue.iter().for_each(|job| job()))
            })
            .collect();
        Self { jobs: Some(jobs), workers }
    }
}

impl Peer for CrossbeamWorkers {
    type Handle = oneshot::Receiver<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            let _ = sender.send(noop(input));
        });
        let jobs = self.jobs.as_ref().expect("only drop closes the channel");
        jobs.send(job).expect("the workers live as long as the channel");
        receiver
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.recv().expect("the task sends")
    }
}

impl Drop for CrossbeamWorkers {
    fn drop(&mut self) {
        // Closing the channel is what ends the workers.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            worker.join().expect("no task panics");
        }
    }
}
