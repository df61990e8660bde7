//! Models of the queue: pushes, pops, refills of its ring, a sleeper's announcement, a closing.

use super::run;
use executor_core::queue::{Awake, Pushed, TaskQueue};
use executor_core::task::Task;
use loom::sync::Arc;
use loom::thread;

#[test]
fn two_producers_and_a_consumer_keep_order_and_lose_nothing() {
    loom::model(|| {
        let queue = Arc::new(TaskQueue::new());
        let (one, first) = Task::from_closure(|| 1);
        let (two, second) = Task::from_closure(|| 2);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(one).map(drop).unwrap())
        };
        let _ = queue.push(two).unwrap();
        // One look while the other push may be half done, the rest after it.
        let mut popped = usize::from(queue.pop().map(run).is_some());
        producer.join().unwrap();
        while let Some(task) = queue.pop() {
            run(task);
            popped += 1;
        }
        assert_eq!(popped, 2);
        assert_eq!((first.result().unwrap(), second.result().unwrap()), (1, 2));
        assert!(queue.is_empty());
    });
}

/// The numbers of the tasks of a queue, in the order in which they began.
type Begun = std::sync::Arc<std::sync::Mutex<Vec<usize>>>;

/// A queue with tasks that note when they begin.
fn queue_of(count: usize, begun: &Begun) -> Arc<TaskQueue> {
    let queue = TaskQueue::new();
    for number in 0..count {
        let begun = begun.clone();
        let (task, _future) = Task::from_closure(move || begun.lock().unwrap().push(number));
        assert_eq!(queue.push(task).unwrap(), Pushed::Quiet);
    }
    Arc::new(queue)
}

fn run_all(queue: &TaskQueue) {
    while let Some(task) = queue.pop() {
        run(task);
    }
}

#[test]
fn two_consumers_take_each_task_once_and_the_oldest_first() {
    // The refiller takes one, a ring of a model two; so that there are two refills, and each slot is used twice.
    const TASKS: usize = 6;
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let begun = Begun::default();
        let queue = queue_of(TASKS, &begun);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || run_all(&queue))
        };
        run_all(&queue);
        other.join().unwrap();
        assert!(queue.is_empty());
        let begun = begun.lock().unwrap();
        // All older tasks have begun when one does, but for the one that the other consumer has in its hand.
        assert!(begun.iter().enumerate().all(|(place, number)| *number <= place + 1), "{begun:?}");
        let mut sorted = begun.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..TASKS));
    });
}

#[test]
fn a_sleeper_that_emptied_the_ring_is_seen_by_the_push_or_sees_the_task() {
    const TASKS: usize = 3;
    loom::model(|| {
        let begun = Begun::default();
        let queue = queue_of(TASKS, &begun);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(Task::from_closure(|| ()).0).unwrap())
        };
        for _ in 0..TASKS {
            while queue.pop().map(run).is_none() {
                // The push is half done, and hides the task before it.
                thread::yield_now();
            }
        }
        let announced = queue.announce_sleep();
        let pushed = producer.join().unwrap();
        match announced {
            Ok(()) => assert_eq!(pushed, Pushed::WakeOne),
            Err(reason) => assert_eq!((reason, pushed), (Awake::Tasks, Pushed::Quiet)),
        }
        assert!(begun.lock().unwrap().iter().copied().eq(0..TASKS));
        assert!(queue.pop().is_some() && queue.is_empty());
    });
}

#[test]
fn a_sleeper_is_seen_by_the_push_or_sees_the_task() {
    loom::model(|| {
        let queue = Arc::new(TaskQueue::new());
        let (task, future) = Task::from_closure(|| ());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(task).unwrap())
        };
        let announced = queue.announce_sleep();
        let pushed = producer.join().unwrap();
        match announced {
            Ok(()) => assert_eq!(pushed, Pushed::WakeOne),
            Err(reason) => assert_eq!((reason, pushed), (Awake::Tasks, Pushed::Quiet)),
        }
        drop(future);
    });
}

#[test]
fn a_push_is_refused_or_drained_by_the_closer() {
    loom::model(|| {
        let queue = Arc::new(TaskQueue::new());
        let (task, future) = Task::from_closure(|| 1);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(task).is_ok())
        };
        queue.close();
        let accepted = producer.join().unwrap();
        assert_eq!(queue.pop().map(run).is_some(), accepted);
        assert!(queue.pop().is_none());
        assert_eq!(future.result().is_ok(), accepted);
    });
}
