//! `map` over ipc-channel: plain inputs in chunks, inputs and results with channels one by one.

use crate::watchdog::watched;
use crate::{Torn, assert_works, count_to, double, pool, processes};
use executor_core::{CodecPhase, ExecutorExt, MapOptions, TaskError};
use ipc_channel::ipc::{self, IpcSender, IpcSharedMemory};
use rustix::process::Signal;

#[test]
fn takes_plain_items() {
    watched(|| {
        let pool = pool(2);
        let results: Result<Vec<u64>, _> = pool.map(double, 0..10_000).collect();
        assert_eq!(results.unwrap(), (0..10_000).map(double).collect::<Vec<_>>());
        let lengths: Vec<_> =
            pool.map(|n: usize| vec![1_u8; n], [10, 100_000, 1_000_000]).map(|item| item.unwrap().len()).collect();
        assert_eq!(lengths, [10, 100_000, 1_000_000]);
    });
}

#[test]
fn takes_channels_one_by_one() {
    watched(|| {
        let pool = pool(2);
        let alone = || MapOptions::new().chunk_size(1);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..200).map(|_| ipc::channel::<u64>().unwrap()).unzip();
        let counts: Vec<_> = pool.map_with(alone(), count_to, senders.into_iter().zip(0..)).collect();
        assert_eq!(counts.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
        for (count, receiver) in (0..).zip(receivers) {
            assert_eq!(std::iter::from_fn(|| receiver.recv().ok()).count(), count);
        }
        let open = |number: u64| {
            let (sender, receiver) = ipc::channel().unwrap();
            sender.send(number).unwrap();
            (receiver, IpcSharedMemory::from_byte(1, number as usize))
        };
        for (number, opened) in (0..200).zip(pool.map_with(alone(), open, 0..200)) {
            let (receiver, memory) = opened.unwrap();
            assert_eq!((receiver.recv().unwrap(), memory.len() as u64), (number, number));
        }
        // Taken in the order of their ends, and not taken at all.
        for opened in pool.map_with(alone().unordered(), open, 0..20).take(10) {
            drop(opened.unwrap());
        }
        assert_works(&pool);
    });
}

/// One input of many fails: by itself, by its channels, by its worker's death. The others do not notice.
#[test]
fn has_failures_of_single_inputs() {
    watched(|| {
        fn fail_in_turn((number, sender): (u64, IpcSender<u64>)) -> Result<IpcSender<u64>, Torn> {
            match number % 5 {
                1 => panic!("on purpose"),
                2 => processes::send(std::process::id(), Signal::KILL),
                _ => sender.send(number).unwrap(),
            }
            if number % 5 == 3 { Err(Torn(sender)) } else { Ok(sender) }
        }
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let inputs = (0..20).map(|number| (number, sender.clone()));
        let outcomes = pool.map_with(MapOptions::new().chunk_size(1), fail_in_turn, inputs);
        for (number, outcome) in (0..).zip(outcomes) {
            match (number % 5, outcome) {
                (0 | 4, Ok(Ok(sender))) => sender.send(100 + number).unwrap(),
                (1, Err(TaskError::Panicked(panic))) => assert_eq!(panic.info().input(), Some(number)),
                (2, Err(TaskError::WorkerDied(death))) => assert_eq!(death.info().input(), Some(number)),
                (3, Err(TaskError::Codec(error))) => assert_eq!(error.phase(), CodecPhase::EncodeResult),
                (_, other) => panic!("input {number}: {other:?}"),
            }
        }
        drop(sender);
        let mut sent: Vec<_> = std::iter::from_fn(|| receiver.recv().ok()).collect();
        sent.sort();
        let by_tasks = (0..20).filter(|number| !matches!(number % 5, 1 | 2));
        let by_results = (100..120).filter(|number| matches!(number % 5, 0 | 4));
        assert_eq!(sent, by_tasks.chain(by_results).collect::<Vec<_>>());
    });
}

#[test]
fn refuses_channels_in_chunks_item_by_item() {
    watched(|| {
        let pool = pool(1);
        let channels: Vec<_> = (0..3).map(|_| ipc::channel::<u64>().unwrap()).collect();
        let senders = channels.iter().map(|(sender, _)| (sender.clone(), 1));
        for item in pool.map(count_to, senders) {
            let Err(TaskError::Codec(error)) = item else { panic!("{item:?}") };
            assert!(error.message().contains("chunk_size(1)"), "{error}");
        }
        let open = |number: u64| if number == 1 { Some(ipc::channel::<u64>().unwrap().0) } else { None };
        let items: Vec<_> = pool.map(open, 0..3).collect();
        assert!(matches!((&items[0], &items[2]), (Ok(None), Ok(None))), "{items:?}");
        let Err(TaskError::Codec(error)) = &items[1] else { panic!("{items:?}") };
        assert_eq!(error.phase(), CodecPhase::EncodeResult);
        assert_works(&pool);
    });
}
