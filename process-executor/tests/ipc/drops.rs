//! Results with destructors that end their worker: the reply was sent by then, and counts.

use crate::watchdog::{step, watched};
use crate::{assert_works, outcome, pool};
use executor_core::{ExecutorExt, MapOptions};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

/// A result whose destructor, in the worker, says that it runs and does what it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Deadly {
    number: u64,
    end: End,
    /// There in the worker that made it.
    #[serde(skip)]
    told: Option<IpcSender<u64>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum End {
    Usual,
    Panic,
    Abort,
    Never,
}

impl Drop for Deadly {
    fn drop(&mut self) {
        let Some(told) = &self.told else { return };
        told.send(self.number).unwrap();
        match self.end {
            End::Usual => {}
            End::Panic => panic!("a destructor, on purpose"),
            End::Abort => std::process::abort(),
            End::Never => loop {
                std::thread::park();
            },
        }
    }
}

fn make((number, end, told): (u64, End, IpcSender<u64>)) -> Deadly {
    Deadly { number, end, told: Some(told) }
}

/// The same with so much in it that its reply is memory of its own.
fn make_large(args: (u64, End, IpcSender<u64>)) -> (Vec<u8>, Deadly) {
    (vec![7; 2_000_000], make(args))
}

/// The same with a channel in it.
fn make_with_channel(args: (u64, End, IpcSender<u64>)) -> (IpcReceiver<u64>, Deadly) {
    let (sender, receiver) = ipc::channel().unwrap();
    sender.send(args.0).unwrap();
    (receiver, make(args))
}

#[test]
fn a_destructor_that_ends_the_worker_costs_no_result() {
    watched(|| {
        let pool = pool(1);
        let (told, dropped) = ipc::channel().unwrap();
        for (number, end) in (0..).zip([End::Usual, End::Abort, End::Panic, End::Abort]) {
            let result = outcome(pool.submit(make, (number, end, told.clone())).unwrap()).unwrap();
            assert_eq!(result.number, number);
        }
        let large = outcome(pool.submit(make_large, (4, End::Abort, told.clone())).unwrap()).unwrap();
        assert_eq!((large.0.len(), large.1.number), (2_000_000, 4));
        let rich = outcome(pool.submit(make_with_channel, (5, End::Abort, told.clone())).unwrap()).unwrap();
        assert_eq!((rich.0.recv().unwrap(), rich.1.number), (5, 5));
        for number in 0..6 {
            assert_eq!(dropped.recv().unwrap(), number, "each is dropped once");
        }
        assert_works(&pool);
        assert_eq!((pool.stats().failed, pool.stats().deaths), (0, 4));
    });
}

#[test]
fn a_destructor_of_an_item_that_ends_the_worker_costs_no_item() {
    watched(|| {
        let pool = pool(1);
        let (told, dropped) = ipc::channel().unwrap();
        let end = |number| if number % 3 == 2 { End::Abort } else { End::Usual };
        let inputs = (0..9).map(|number| (number, end(number), told.clone()));
        step("a map of deadly results");
        let results = pool.map_with(MapOptions::new().chunk_size(1), make, inputs);
        assert!(results.map(|result| result.unwrap().number).eq(0..9));
        for number in 0..9 {
            assert_eq!(dropped.recv().unwrap(), number, "each ran once");
        }
        assert_eq!(pool.stats().failed, 0);
    });
}

/// Its worker is ended, but the result was there.
#[test]
fn a_destructor_that_never_ends_costs_no_result() {
    watched(|| {
        let pool = pool(1);
        let (told, dropped) = ipc::channel().unwrap();
        let future = pool.submit(make, (1, End::Never, told)).unwrap();
        assert_eq!(dropped.recv().unwrap(), 1);
        future.stop();
        assert_eq!(outcome(future).unwrap().number, 1);
    });
}
