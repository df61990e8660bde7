//! Where unsafe code may stand.

use crate::report::Faults;
use crate::sources::{sources, words};

/// The modules that may contain `unsafe`, each with its reason.
const UNSAFE_MODULES: &[(&str, &str)] = &[
    ("executor-core/tests/loom.rs", "models of an executor, which names itself as the owner of a task"),
    ("executor-core/src/cell/remote.rs", "asks the owner of a task that runs in another process"),
    ("executor-core/src/remote.rs", "calls a function that was named to another process"),
    ("executor-core/src/submit/call.rs", "the types of a call, on the parent's side of a process boundary"),
    ("executor-core/src/map/chunk_work.rs", "the types of a chunk, on the parent's side of a process boundary"),
    ("executor-wire/src/initializer.rs", "the types of an initializer, in the worker"),
    ("executor-wire/examples/pipe.rs", "calls a function of which it has only the address"),
    ("executor-wire/src/call.rs", "the types of a call, in the worker"),
    ("executor-wire/src/stop.rs", "the stop flag of a call, by a pointer into the stack of who runs it"),
    ("executor-wire/src/trampoline.rs", "calls a function of which it has only the address"),
    ("executor-core/src/map/single_work.rs", "the types of a single input, on the parent's side of a process boundary"),
    ("executor-core/src/cell/callback.rs", "the callbacks' list, linked by hand so that adding one takes no lock"),
    ("executor-core/src/cell/ready_list.rs", "done members of a set, linked through their cells"),
    ("executor-core/src/cell/remote_work.rs", "the work of a cell, types erased, on its way to another process"),
    ("executor-core/src/task.rs", "makes the handle of a cell; the work taken back from a refused task"),
    ("executor-core/src/waiting/help.rs", "runs awaited tasks on behalf of their handles"),
    ("executor-core/src/cell.rs", "the allocation shared by a task, its future and its waiters"),
    ("executor-core/src/cell/clock.rs", "deadlines that refer to a cell"),
    ("executor-core/src/cell/clock/tests.rs", "an owner that outlives its task"),
    ("executor-core/src/completion/set.rs", "the handles of the set's members"),
    ("executor-core/src/cell/current.rs", "what a thread is doing, by pointers into its own stack"),
    ("executor-core/src/submit.rs", "arguments taken back out of a task that was not accepted"),
    ("executor-core/src/fork.rs", "a page that the kernel wipes in forks, and statics that a fork has anew"),
    ("executor-wire/src/fuzzing/memory.rs", "counts allocations as the global allocator"),
    ("executor-core/src/fuzzing/reply.rs", "an executor, which names itself as the owner of a task; a worker's code"),
    ("executor-core/src/cell/header.rs", "the state word and the fields whose owner it names"),
    ("executor-core/src/future.rs", "the unique handle of a cell"),
    ("executor-wire/src/large_pages.rs", "a hint about memory, by its address"),
    ("executor-core/src/sync/futex_waitv.rs", "names a part of a word to the kernel, which compares its bytes"),
    ("executor-core/src/map.rs", "arguments taken back out of a task that was not accepted"),
    ("executor-core/src/cell/observer.rs", "the slot through which a cell tells who waits"),
    ("executor-wire/src/output.rs", "bytes written into windows of memory that lies anywhere"),
    ("executor-core/src/future/promise.rs", "the producer's handle of a cell"),
    ("executor-core/src/queue.rs", "intrusive queue of tasks"),
    ("executor-core/src/future/shared.rs", "lends the outcome of a cell to several threads"),
    ("executor-core/src/sync.rs", "parking by address, and the cell that a model checker replaces"),
    ("executor-core/src/cell/task.rs", "the executor's handle of a cell"),
    ("executor-core/src/cell/worker.rs", "runs awaited tasks on behalf of their handles"),
    ("executor-core/src/waiting.rs", "helps and sleeps on a cell by its address"),
    ("process-core/src/take_over.rs", "a constructor of the executable, and the environment before there are threads"),
    ("process-core/src/begin.rs", "an entry point found at an offset of the executable"),
    ("process-core/src/system/linux/beginning.rs", "signals as they are at a program's start; ends the process"),
    ("process-core/src/memory/buffer.rs", "sealed memory as a slice"),
    ("process-executor/src/fuzzing/worker.rs", "a worker's code, and writes anywhere into shared memory"),
    ("process-core/src/attachments.rs", "what is being encoded and decoded, by pointers into the stack of the thread"),
    ("process-core/src/constructors.rs", "runs constructors of the executable, by the loader's table of them"),
    ("process-core/src/function.rs", "a trampoline found at an offset of the executable"),
    ("process-core/src/image.rs", "the program headers of the running executable"),
    ("process-executor/src/dispatch/ring.rs", "copies into memory that a worker shares"),
    ("process-executor/src/dispatch/ring/replies.rs", "copies out of memory that a worker shares"),
    ("process-executor/src/protocol/layout.rs", "what lies where in memory that a worker shares"),
    ("process-core/src/system/linux/mapping.rs", "memory that is mapped, given back, and filled"),
    ("process-executor/src/ipc_channel/message.rs", "the ends of channels, which came as descriptors"),
    ("process-executor/src/pool/packing.rs", "hands out windows of its own memory"),
    ("process-executor/src/pool/submission.rs", "names the pool as the owner of its tasks"),
    ("process-core/src/memory/shared_buffer.rs", "bytes as numbers"),
    ("process-core/src/untrusted_file.rs", "books that are never dropped"),
    ("process-core/src/system/linux/modules.rs", "the tables of the dynamic loader; the auxiliary vector"),
    ("process-core/src/system/linux/descriptors.rs", "closes what a process inherited"),
    ("process-core/src/system/linux/machine.rs", "asks for limits and memory"),
    ("process-core/src/system/linux/processes.rs", "gives up the terminal"),
    ("process-executor/tests/it/beginnings.rs", "reads the auxiliary vector"),
    ("process-executor/tests/it/privileges.rs", "a program that drops its privileges"),
    ("process-executor/tests/it/processes.rs", "a debugger"),
    ("process-executor/tests/it/hostile.rs", "tasks that do what no task should"),
    ("process-executor/tests/ipc/lost_files.rs", "a program that closes what it does not own"),
    ("process-executor/tests/it/leftovers.rs", "tasks with exit handlers"),
    ("process-executor/tests/it/liars.rs", "tasks that write over what their worker shares with its parent"),
    ("process-executor/tests/it/limits.rs", "a task with a signal handler"),
    ("process-executor/tests/it/orders.rs", "a task with a signal handler"),
    ("process-executor/tests/it/parent.rs", "a program that forks"),
    ("process-executor/tests/it/sandbox.rs", "a filter for system calls"),
    ("process-executor/tests/it/states.rs", "a task with a signal handler"),
    ("process-executor/tests/it/support.rs", "tasks that crash"),
    ("process-executor/tests/it/system_calls.rs", "signals, filters of system calls, terminals"),
    ("benches/compare/src/peers/spinning.rs", "two processes that share memory"),
    ("executor-conformance/src/on_purpose.rs", "a constructor of the executable"),
    (".ci/no_clock.rs", "a function that another language calls, and one of it"),
    ("examples/lint_rs/report.rs", "none: a table with that word in it"),
    ("examples/chaos/accident.rs", "a task that writes where it must not"),
    ("process-executor/src/worker.rs", "runs the initializer that the parent named; leaves the process"),
    ("process-executor/src/worker/reply.rs", "copies into memory shared with the parent"),
    ("process-executor/src/worker/running.rs", "hands out windows of memory shared with the parent"),
    ("process-executor/src/worker/shared_memory.rs", "reads inputs in memory shared with the parent"),
    ("process-executor/src/worker/tasks.rs", "runs the functions that the parent named"),
    ("tests/program/forks.rs", "a program that forks"),
    ("tests/program/last_moments.rs", "a program with an exit handler"),
    ("thread-executor/src/pool.rs", "names the pool as the owner of the tasks in its queue"),
    ("thread-executor/src/scope.rs", "tasks that borrow from the stack of the caller"),
    ("benches/compare/src/allocator.rs", "counts allocations as the global allocator"),
];

#[test]
fn unsafe_stays_in_its_modules() {
    let word = ["uns", "afe"].concat();
    let mut faults = Faults::default();
    for file in sources().iter().filter(|file| !UNSAFE_MODULES.iter().any(|(path, _)| *path == file.path)) {
        for (number, code) in file.code_lines() {
            if words(code).any(|found| found == word) {
                faults.add(file, number, &format!("{word} code outside the modules of UNSAFE_MODULES"));
            }
        }
    }
    faults.check();
}

#[test]
fn the_list_of_modules_with_unsafe_code_is_current() {
    let word = ["uns", "afe"].concat();
    let sources = sources();
    let mut faults = Faults::default();
    for (path, reason) in UNSAFE_MODULES {
        let file = sources.iter().find(|file| file.path == *path);
        if !file.is_some_and(|file| file.code_lines().any(|(_, code)| words(code).any(|found| found == word))) {
            faults.say(format!("{path} ({reason}) has no {word} code: take it off UNSAFE_MODULES"));
        }
    }
    faults.check();
}
