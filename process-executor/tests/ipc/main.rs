//! Tests of the transport over ipc-channel: what may be in arguments and results, and what happens where it goes wrong.

#[path = "../it/child.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod child;
mod drops;
mod lost_files;
mod map;
#[path = "../it/processes.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod processes;
#[path = "../../../thread-executor/tests/it/watchdog.rs"]
mod watchdog;

use executor_core::{CodecPhase, ExecutorExt, Future, TaskError, TaskOptions};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender, IpcSharedMemory};
use process_executor::{ProcessPoolExecutor, SharedBuffer, TransportKind, WorkerOutput};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{PidfdFlags, Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::fs;
use std::time::Duration;
use watchdog::{step, watched};

/// Never passes in a healthy run.
const LONG: Duration = Duration::from_secs(60);

fn pool(workers: usize) -> ProcessPoolExecutor {
    let builder = ProcessPoolExecutor::builder().workers(workers).stderr(WorkerOutput::Null);
    builder.transport(TransportKind::IpcChannel).build().unwrap()
}

#[track_caller]
fn outcome<R>(future: Future<R>) -> Result<R, TaskError> {
    step(format!("the outcome that is asked for at {}", std::panic::Location::caller()));
    future.result_timeout(LONG).unwrap_or_else(|_| panic!("no outcome after {LONG:?}"))
}

#[track_caller]
fn codec_error<R: Debug>(future: Future<R>) -> (CodecPhase, String) {
    match outcome(future) {
        Err(TaskError::Codec(error)) => (error.phase(), error.message().to_owned()),
        other => panic!("no codec error: {other:?}"),
    }
}

fn descriptors_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn double(number: u64) -> u64 {
    2 * number
}

fn own_descriptors(_: ()) -> usize {
    descriptors_of(std::process::id())
}

/// The pool still does what it is for.
#[track_caller]
fn assert_works(pool: &ProcessPoolExecutor) {
    let futures: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
    let results: Vec<_> = futures.into_iter().map(|future| outcome(future).unwrap()).collect();
    assert_eq!(results, (0..20).map(double).collect::<Vec<_>>());
}

// What may be in arguments and results.

#[test]
fn plain_values_cross() {
    watched(|| {
        let pool = pool(2);
        assert_works(&pool);
        let text = outcome(pool.submit(|n: usize| "x".repeat(n), 100).unwrap()).unwrap();
        assert_eq!(text.len(), 100);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.failed), (21, 0));
        assert!(stats.bytes_sent > 0 && stats.bytes_received > 100, "{stats:?}");
    });
}

#[test]
fn values_of_any_size_cross() {
    watched(|| {
        let pool = pool(1);
        for length in [0, 1, 30, 31, 32_000, 32_768, 40_000, 65_536, 212_000, 300_000, 5_000_000] {
            let bytes: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let turned = |mut bytes: Vec<u8>| {
                bytes.reverse();
                bytes
            };
            let mut result = outcome(pool.submit(turned, bytes.clone()).unwrap()).unwrap();
            result.reverse();
            assert!(result == bytes, "{length} bytes");
        }
    });
}

fn count_to(args: (IpcSender<u64>, u64)) -> u64 {
    let (sender, count) = args;
    (0..count).for_each(|number| sender.send(number).unwrap());
    count
}

#[test]
fn a_task_streams_through_a_sender() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let future = pool.submit(count_to, (sender, 10_000)).unwrap();
        for number in 0..10_000 {
            assert_eq!(receiver.recv().unwrap(), number);
        }
        assert_eq!(outcome(future).unwrap(), 10_000);
        assert!(receiver.recv().is_err(), "the task's sender is closed");
    });
}

fn sum_of(receiver: IpcReceiver<u64>) -> u64 {
    let mut sum = 0;
    while let Ok(number) = receiver.recv() {
        sum += number;
    }
    sum
}

#[test]
fn a_task_reads_from_a_receiver() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let future = pool.submit(sum_of, receiver).unwrap();
        (1..=1000).for_each(|number| sender.send(number).unwrap());
        drop(sender);
        assert_eq!(outcome(future).unwrap(), 500_500);
    });
}

#[test]
fn memory_is_shared_both_ways() {
    watched(|| {
        let pool = pool(1);
        let inverted = |memory: IpcSharedMemory| {
            let inverted: Vec<u8> = memory.iter().map(|byte| !byte).collect();
            IpcSharedMemory::from_bytes(&inverted)
        };
        let memory = IpcSharedMemory::from_byte(1, 1 << 20);
        let result = outcome(pool.submit(inverted, memory).unwrap()).unwrap();
        assert_eq!(result.len(), 1 << 20);
        assert!(result.iter().all(|byte| *byte == !1));
    });
}

#[test]
fn channels_come_back_in_results() {
    watched(|| {
        let pool = pool(1);
        let open = |greeting: String| {
            let (sender, receiver) = ipc::channel().unwrap();
            sender.send(greeting).unwrap();
            (sender, receiver)
        };
        let (sender, receiver) = outcome(pool.submit(open, "good day".to_owned()).unwrap()).unwrap();
        sender.send("good night".to_owned()).unwrap();
        assert_eq!(receiver.recv().unwrap(), "good day");
        assert_eq!(receiver.recv().unwrap(), "good night");
    });
}

#[derive(Serialize, Deserialize)]
struct Errand {
    name: String,
    answer: IpcSender<(String, u64)>,
    questions: Vec<IpcReceiver<u64>>,
    memory: Option<IpcSharedMemory>,
}

fn run_errand((factor, errand, large): (u64, Errand, Vec<u8>)) -> (usize, Vec<IpcReceiver<u64>>) {
    let memory = errand.memory.map_or(0, |memory| memory.len());
    for questions in &errand.questions {
        errand.answer.send((errand.name.clone(), factor * questions.recv().unwrap())).unwrap();
    }
    (memory + large.len(), errand.questions)
}

/// Handles in a struct in a tuple, with a value that travels in memory of its own.
#[test]
fn handles_cross_wherever_they_are() {
    watched(|| {
        let pool = pool(1);
        let (answer, answers) = ipc::channel().unwrap();
        let (asks, questions): (Vec<_>, Vec<_>) = (0..5).map(|_| ipc::channel::<u64>().unwrap()).unzip();
        for (number, ask) in (0..).zip(&asks) {
            ask.send(number).unwrap();
        }
        let memory = Some(IpcSharedMemory::from_byte(7, 1000));
        let errand = Errand { name: "sum".to_owned(), answer, questions, memory };
        let (bytes, questions) = outcome(pool.submit(run_errand, (3, errand, vec![0; 200_000])).unwrap()).unwrap();
        assert_eq!((bytes, questions.len()), (201_000, 5));
        for number in 0..5 {
            assert_eq!(answers.recv().unwrap(), ("sum".to_owned(), 3 * number));
        }
        asks[4].send(44).unwrap();
        assert_eq!(questions[4].recv().unwrap(), 44);
    });
}

#[test]
fn shared_buffers_cross_as_well() {
    watched(|| {
        let pool = pool(1);
        let buffer = SharedBuffer::from_slice(&[5; 100_000]).unwrap();
        let back =
            outcome(pool.submit(|buffer: SharedBuffer| (buffer.len(), buffer), buffer.clone()).unwrap()).unwrap();
        assert_eq!(back, (100_000, buffer));
    });
}

#[test]
fn a_future_dropped_leaves_no_channel_open() {
    watched(|| {
        let pool = pool(1);
        assert_works(&pool);
        let here = descriptors_of(std::process::id());
        for _ in 0..100 {
            let (sender, receiver) = ipc::channel::<u64>().unwrap();
            drop(pool.submit(|sender: IpcSender<u64>| sender, sender).unwrap());
            assert!(receiver.recv().is_err(), "nobody has the sender any more");
        }
        assert_works(&pool);
        // Other tests open descriptors meanwhile, but not hundreds.
        assert!(descriptors_of(std::process::id()) < here + 90);
    });
}

#[test]
fn pending_tasks_need_no_descriptors() {
    watched(|| {
        let pool = pool(1);
        assert_works(&pool);
        let (gate, passes) = ipc::channel::<()>().unwrap();
        let first = pool.submit(|passes: IpcReceiver<()>| drop(passes.recv()), passes).unwrap();
        let (sender, receiver) = ipc::channel().unwrap();
        let here = descriptors_of(std::process::id());
        let futures: Vec<_> = (0..3000).map(|_| pool.submit(count_to, (sender.clone(), 1)).unwrap()).collect();
        assert!(descriptors_of(std::process::id()) < here + 500);
        drop(gate);
        outcome(first).unwrap();
        for future in futures {
            assert_eq!(outcome(future).unwrap(), 1);
            assert_eq!(receiver.recv().unwrap(), 0);
        }
    });
}

// Where it goes wrong.

/// A parent that has no descriptors left: a process of its own, since a limit is the whole process's.
fn scarce_parent(_: ()) -> (bool, u64, bool) {
    let pool = pool(1);
    assert_works(&pool);
    let open = |()| ipc::channel::<u64>().unwrap();
    limit_descriptors(Some(3));
    let scarce = codec_error(pool.submit(open, ()).unwrap());
    let plain = outcome(pool.submit(double, 4).unwrap()).unwrap();
    limit_descriptors(None);
    let plenty = outcome(pool.submit(open, ()).unwrap()).is_ok();
    (scarce.0 == CodecPhase::DecodeResult, plain, plenty)
}

#[test]
fn a_parent_without_descriptors_fails_what_needs_them() {
    watched(|| {
        let outer = ProcessPoolExecutor::builder().workers(1).stderr(WorkerOutput::Null).build().unwrap();
        assert_eq!(outcome(outer.submit(scarce_parent, ()).unwrap()).unwrap(), (true, 8, true));
    });
}

/// No descriptors for the first worker's channels.
fn poor_parent(_: ()) -> (bool, u64) {
    let pool = pool(1);
    limit_descriptors(Some(3));
    let broken = matches!(outcome(pool.submit(double, 1).unwrap()), Err(TaskError::Broken(..)));
    limit_descriptors(None);
    (broken, outcome(pool.submit(double, 4).unwrap()).unwrap())
}

#[test]
fn a_start_without_descriptors_is_tried_again() {
    watched(|| {
        let outer = ProcessPoolExecutor::builder().workers(1).stderr(WorkerOutput::Null).build().unwrap();
        assert_eq!(outcome(outer.submit(poor_parent, ()).unwrap()).unwrap(), (true, 8));
    });
}

/// A task whose worker is found dead has not lost its channels.
#[test]
fn an_idle_worker_killed_costs_nothing() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..20 {
            let pid = outcome(pool.submit(|()| std::process::id(), ()).unwrap()).unwrap();
            let process = processes::identifier(pid);
            let end = rustix::process::pidfd_open(process, PidfdFlags::empty()).unwrap();
            processes::send(pid, Signal::KILL);
            // Its descriptors are closed by then.
            rustix::event::poll(&mut [PollFd::new(&end, PollFlags::IN)], None).unwrap();
            let (sender, receiver) = ipc::channel().unwrap();
            assert_eq!(outcome(pool.submit(count_to, (sender, 1)).unwrap()).unwrap(), 1);
            assert_eq!(receiver.recv().unwrap(), 0);
        }
    });
}

/// Serializes a channel, then fails.
#[derive(Debug, Deserialize)]
struct Torn(IpcSender<u64>);

impl Serialize for Torn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)?;
        Err(serde::ser::Error::custom("it tore"))
    }
}

#[test]
fn what_fails_to_be_encoded_does_not_go_elsewhere() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel::<u64>().unwrap();
        let (phase, text) = codec_error(pool.submit(|_: Torn| (), Torn(sender)).unwrap());
        assert_eq!((phase, text.contains("it tore")), (CodecPhase::EncodeArgument, true), "{text}");
        assert!(receiver.recv().is_err(), "the channel of the argument is closed");
        let torn = |()| Torn(ipc::channel().unwrap().0);
        let (phase, text) = codec_error(pool.submit(torn, ()).unwrap());
        assert_eq!((phase, text.contains("it tore")), (CodecPhase::EncodeResult, true), "{text}");
        // The next one has its own channels.
        let (sender, receiver) = ipc::channel().unwrap();
        assert_eq!(outcome(pool.submit(count_to, (sender, 1)).unwrap()).unwrap(), 1);
        assert_eq!(receiver.recv().unwrap(), 0);
    });
}

/// Does not want what it is given.
#[derive(Debug, Serialize)]
struct Unreadable(Vec<IpcSender<u64>>);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it cannot be read"))
    }
}

#[test]
fn what_fails_to_be_decoded_is_closed() {
    watched(|| {
        let pool = pool(1);
        let before = outcome(pool.submit(own_descriptors, ()).unwrap()).unwrap();
        for _ in 0..10 {
            let (sender, receiver) = ipc::channel::<u64>().unwrap();
            let (phase, text) = codec_error(pool.submit(|_: Unreadable| (), Unreadable(vec![sender; 3])).unwrap());
            assert_eq!((phase, text.contains("cannot be read")), (CodecPhase::DecodeArgument, true), "{text}");
            assert!(receiver.recv().is_err(), "the worker has closed it");
        }
        assert_eq!(outcome(pool.submit(own_descriptors, ()).unwrap()).unwrap(), before);
        let (sender, receiver) = ipc::channel::<u64>().unwrap();
        let future = pool.submit(|sender: IpcSender<u64>| Unreadable(vec![sender; 3]), sender).unwrap();
        assert_eq!(codec_error(future).0, CodecPhase::DecodeResult);
        assert!(receiver.recv().is_err(), "this process has closed it");
    });
}

#[test]
fn too_many_handles_are_the_tasks_own_error() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel::<u64>().unwrap();
        let (phase, text) = codec_error(pool.submit(|all: Vec<IpcSender<u64>>| all.len(), vec![sender; 100]).unwrap());
        assert_eq!((phase, text.contains("64")), (CodecPhase::EncodeArgument, true), "{text}");
        assert!(receiver.recv().is_err(), "all are closed");
        let many = |count: usize| vec![ipc::channel::<u64>().unwrap().0; count];
        assert_eq!(codec_error(pool.submit(many, 100).unwrap()).0, CodecPhase::EncodeResult);
        assert_eq!(outcome(pool.submit(many, 50).unwrap()).unwrap().len(), 50);
    });
}

/// Leaves this process no descriptor, or as many as it likes.
fn limit_descriptors(most: Option<u64>) {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    let limit = Rlimit { current: most.or(maximum), maximum };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn a_worker_without_descriptors_fails_what_needs_them() {
    watched(|| {
        let pool = pool(1);
        outcome(pool.submit(|()| limit_descriptors(Some(3)), ()).unwrap()).unwrap();
        let (sender, _receiver) = ipc::channel::<u64>().unwrap();
        assert_eq!(codec_error(pool.submit(count_to, (sender, 1)).unwrap()).0, CodecPhase::DecodeArgument);
        let memory = IpcSharedMemory::from_byte(1, 10);
        assert_eq!(
            codec_error(pool.submit(|memory: IpcSharedMemory| memory.len(), memory).unwrap()).0,
            CodecPhase::DecodeArgument
        );
        assert_works(&pool);
        outcome(pool.submit(|()| limit_descriptors(None), ()).unwrap()).unwrap();
        let (sender, _receiver) = ipc::channel::<u64>().unwrap();
        assert_eq!(outcome(pool.submit(count_to, (sender, 1)).unwrap()).unwrap(), 1);
        assert_eq!(pool.stats().deaths, 0);
    });
}

fn wait_for_ever(sender: IpcSender<u32>) {
    sender.send(std::process::id()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_worker_killed_costs_one_task() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let dying = pool.submit(wait_for_ever, sender).unwrap();
        let pid = receiver.recv().unwrap();
        let (behind, numbers) = ipc::channel().unwrap();
        let behind = pool.submit(count_to, (behind, 2)).unwrap();
        processes::send(pid, Signal::KILL);
        let Err(TaskError::WorkerDied(death)) = outcome(dying) else { panic!("no death") };
        assert!(death.to_string().contains("SIGKILL"), "{death}");
        assert!(receiver.recv().is_err(), "its channel is closed");
        assert_eq!(outcome(behind).unwrap(), 2);
        assert_eq!((numbers.recv().unwrap(), numbers.recv().unwrap()), (0, 1));
        assert_works(&pool);
    });
}

/// The worker is killed while a large input is on its way to it and nobody reads.
#[test]
fn a_worker_killed_with_a_large_message_before_it_blocks_nobody() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..5 {
            let pid = outcome(pool.submit(|()| std::process::id(), ()).unwrap()).unwrap();
            processes::stop(pid);
            let future = pool.submit(|bytes: Vec<u8>| bytes.len(), vec![1; 3_000_000]).unwrap();
            while !future.is_running() {
                std::thread::yield_now();
            }
            processes::send(pid, Signal::KILL);
            assert_eq!(outcome(future).unwrap(), 3_000_000, "it had not begun, and ran elsewhere");
        }
        assert_eq!(pool.stats().deaths, 5);
    });
}

fn die_first(args: (String, Option<IpcSender<u64>>)) -> bool {
    if fs::create_dir(&args.0).is_ok() {
        processes::send(std::process::id(), Signal::KILL);
    }
    fs::remove_dir(&args.0).is_ok()
}

#[test]
fn a_task_with_channels_is_not_retried_with_others() {
    watched(|| {
        let pool = pool(1);
        let folder = |name: &str| {
            let folder = std::env::temp_dir().join(format!("process-executor-ipc-{}-{name}", std::process::id()));
            folder.into_os_string().into_string().unwrap()
        };
        let retried = || TaskOptions::new().retries(1);
        let plain = pool.submit_with(retried(), die_first, (folder("plain"), None)).unwrap();
        assert!(outcome(plain).unwrap(), "what is plain is sent again");
        let (sender, _receiver) = ipc::channel::<u64>().unwrap();
        let (phase, text) =
            codec_error(pool.submit_with(retried(), die_first, (folder("rich"), Some(sender))).unwrap());
        assert_eq!((phase, text.contains("again")), (CodecPhase::DecodeArgument, true), "{text}");
        fs::remove_dir(folder("rich")).unwrap();
    });
}

#[test]
fn a_task_is_stopped_and_timed_out() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let future = pool.submit(wait_for_ever, sender).unwrap();
        receiver.recv().unwrap();
        let _ = future.stop();
        assert!(matches!(outcome(future), Err(TaskError::Cancelled(_))));
        let (sender, _receiver) = ipc::channel().unwrap();
        let options = TaskOptions::new().run_timeout(Duration::from_millis(20));
        let future = pool.submit_with(options, wait_for_ever, sender).unwrap();
        assert!(matches!(outcome(future), Err(TaskError::TimedOut(_))));
        assert_works(&pool);
    });
}

#[test]
fn a_queued_task_is_cancelled_and_its_channels_closed() {
    watched(|| {
        let pool = pool(1);
        let (sender, receiver) = ipc::channel().unwrap();
        let _running = pool.submit(wait_for_ever, sender).unwrap();
        receiver.recv().unwrap();
        let (sender, numbers) = ipc::channel().unwrap();
        let queued = pool.submit(count_to, (sender, 1)).unwrap();
        assert!(queued.cancel());
        pool.kill_workers();
        drop((queued, pool));
        assert!(numbers.recv().is_err());
    });
}

#[test]
fn a_callback_may_wait_for_its_worker() {
    watched(|| {
        let pool = std::sync::Arc::new(pool(1));
        let (done, finished) = std::sync::mpsc::channel();
        let inner = pool.clone();
        let future = pool.submit(double, 1).unwrap();
        future.add_done_callback(move |_| {
            let _ = done.send(inner.submit(double, 21).unwrap().result());
        });
        assert_eq!(finished.recv_timeout(LONG).unwrap().unwrap(), 42);
    });
}

#[test]
fn workers_that_cannot_start_break_the_pool_in_time() {
    watched(|| {
        let builder =
            ProcessPoolExecutor::builder().workers(2).stderr(WorkerOutput::Null).transport(TransportKind::IpcChannel);
        let pool = builder.initializer(|| -> Result<(), String> { std::process::abort() }).build().unwrap();
        let (sender, receiver) = ipc::channel().unwrap();
        let futures = [(sender.clone(), 1), (sender, 2)].map(|args| pool.submit(count_to, args).unwrap());
        for future in futures {
            assert!(matches!(outcome(future), Err(TaskError::Broken(..))));
        }
        let chunks: Vec<_> = pool.map(double, 0..10).collect();
        assert!(chunks.iter().all(Result::is_err));
        drop(pool);
        assert!(receiver.recv().is_err(), "what was never sent is closed");
    });
}

/// A chunk that was never packed ends item by item.
#[test]
fn a_map_over_workers_that_cannot_start_ends() {
    watched(|| {
        let builder =
            ProcessPoolExecutor::builder().workers(1).stderr(WorkerOutput::Null).transport(TransportKind::IpcChannel);
        let pool = builder.initializer(|| -> Result<(), String> { Err("no ink".to_owned()) }).build().unwrap();
        let items: Vec<_> = pool.map(double, 0..10).collect();
        assert!(!items.is_empty() && items.iter().all(Result::is_err), "{items:?}");
    });
}
