//! I1 to I6 and the rest of the builder: initializers, environment, folder, output, priority, names.

use crate::child;
use crate::processes;
use crate::support::{
    Gate, LONG, Pass, Scratch, append, assert_works, double, exit, kill_self, outcome, own_pid, quiet, read_lines,
    until,
};
use crate::watchdog::{step, watched};
use executor_core::{BuildError, Executor, ExecutorExt, MapOptions, Shutdown, SubmitError, TaskError, TaskOptions};
use process_executor::{ProcessPoolBuilder, ProcessPoolExecutor, WorkerOutput};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

static PREPARED: OnceLock<String> = OnceLock::new();

fn note_start(log: String) -> Result<(), String> {
    append(&log, &format!("{}\n", std::process::id()));
    PREPARED.set(log).map_err(|log| format!("{log} for the second time"))
}

fn prepared(_: ()) -> (u32, Option<String>) {
    (std::process::id(), PREPARED.get().cloned())
}

/// Ends its worker at the start, as long as there is such a file; notes each start.
fn die_while_there_is((file, log): (PathBuf, String)) -> Result<(), String> {
    append(&log, "started\n");
    if file.exists() {
        kill_self();
    }
    Ok(())
}

/// What ends workers at their start may pass; as long as another is at work, it is tried again.
#[test]
fn starts_that_fail_beside_a_worker() {
    watched(|| {
        let scratch = Scratch::new();
        let (file, log) = (PathBuf::from(scratch.path("file")), scratch.path("log"));
        let pool = quiet(2).initializer_with(die_while_there_is, (file.clone(), log.clone())).build().unwrap();
        let gate = Gate::new();
        let holding = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
        gate.wait_arrivals(1);
        std::fs::write(&file, "").unwrap();
        let waiting = pool.submit(own_pid, ()).unwrap();
        let behind = pool.submit(double, 4).unwrap();
        until("some starts have failed", || read_lines(&log).len() >= 5);
        std::fs::remove_file(&file).unwrap();
        assert_ne!(outcome("a task for a worker that did not start", waiting).unwrap(), gate.arrivals()[0]);
        assert_eq!(outcome("the one behind", behind).unwrap(), 8);
        gate.open();
        outcome("the first", holding).unwrap();
    });
}

#[test]
fn i1_once_per_worker() {
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let pool = quiet(3).initializer_with(note_start, log.clone()).build().unwrap();
        for _ in 0..50 {
            let (pid, prepared) = outcome("a task", pool.submit(prepared, ()).unwrap()).unwrap();
            assert_eq!(prepared.as_deref(), Some(&*log));
            assert!(read_lines(&log).contains(&pid.to_string()));
        }
        // A replacement is prepared, too.
        let died: Result<(), _> = outcome("an exit", pool.submit(|_: ()| exit(1), ()).unwrap());
        assert!(died.is_err());
        assert!(outcome("a task", pool.submit(prepared, ()).unwrap()).unwrap().1.is_some());
        let mut starts = read_lines(&log);
        let count = starts.len();
        starts.sort();
        starts.dedup();
        assert_eq!(starts.len(), count);
        assert!(PREPARED.get().is_none(), "it ran in the parent");
    });
}

/// Expects that a pool with such an initializer is broken, says why, and starts no more than a few workers.
fn breaks(builder: ProcessPoolBuilder, log: &str, words: &[&str]) {
    let pool = builder.build().unwrap();
    let tasks: Vec<_> = (0..20).filter_map(|number| pool.submit(double, number).ok()).collect();
    assert!(!tasks.is_empty());
    for task in tasks {
        let Err(TaskError::Broken(_, broken)) = outcome("a task for a broken pool", task) else { panic!("it ran") };
        for word in words {
            assert!(broken.to_string().contains(word), "{word:?} is missing in {broken}");
        }
    }
    let Err(SubmitError::Broken(broken)) = pool.submit(double, 1) else { panic!("it takes another task") };
    assert!(broken.to_string().contains(words[0]));
    assert!(matches!(pool.try_submit(double, 1), Err(executor_core::TrySubmitError::Refused(..))));
    step("the end of a broken pool");
    pool.shutdown(Shutdown::wait());
    let starts = read_lines(log).len();
    assert!((1..=6).contains(&starts), "{starts} workers were started");
    assert!(pool.worker_infos().is_empty());
}

#[test]
fn i2_i5_i6_an_error() {
    fn fail(log: String) -> Result<(), String> {
        append(&log, "start\n");
        Err("no database, on purpose".to_owned())
    }
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        breaks(quiet(2).initializer_with(fail, log.clone()), &log, &["initializer", "no database, on purpose"]);
    });
}

#[test]
fn i2_i6_a_panic() {
    fn panics(log: String) -> Result<(), String> {
        append(&log, "start\n");
        panic!("no luck, on purpose")
    }
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        breaks(
            quiet(2).initializer_with(panics, log.clone()),
            &log,
            &["initializer", "panicked", "no luck, on purpose"],
        );
    });
}

#[test]
fn i2_i6_an_exit() {
    fn exits(log: String) -> Result<(), String> {
        append(&log, "start\n");
        exit(9)
    }
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        breaks(quiet(2).initializer_with(exits, log.clone()), &log, &["exited with code 9", "before it was ready"]);
    });
}

#[test]
fn i2_i6_a_signal() {
    fn dies(log: String) -> Result<(), String> {
        append(&log, "start\n");
        std::process::abort()
    }
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        breaks(quiet(2).initializer_with(dies, log.clone()), &log, &["SIGABRT", "before it was ready"]);
    });
}

/// The replacement's initializer fails: what is queued is told, what is running elsewhere is not disturbed.
#[test]
fn i2_a_later_error() {
    fn fail_the_second_time(log: String) -> Result<(), String> {
        append(&log, "start\n");
        if read_lines(&log).len() > 1 { Err("only once, on purpose".to_owned()) } else { Ok(()) }
    }
    watched(|| {
        let scratch = Scratch::new();
        let pool = quiet(1).initializer_with(fail_the_second_time, scratch.path("log")).build().unwrap();
        assert_works(&pool);
        let died: Result<(), _> = outcome("an exit", pool.submit(|_: ()| exit(1), ()).unwrap());
        assert!(matches!(died, Err(TaskError::WorkerDied(_))));
        let Ok(task) = pool.submit(double, 1) else { return };
        let error = outcome("a task for a worker that does not come", task).unwrap_err();
        assert!(error.to_string().contains("only once, on purpose"), "{error}");
    });
}

#[test]
fn i3_an_argument_that_cannot_be_carried() {
    #[derive(Debug, serde::Deserialize)]
    struct Stubborn;
    impl serde::Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it stays here"))
        }
    }
    watched(|| {
        let refused = quiet(1).initializer_with(|_: Stubborn| Ok::<(), String>(()), Stubborn).build();
        let Err(error @ BuildError::Unavailable { .. }) = refused else { panic!("it is built") };
        assert!(error.to_string().contains("it stays here"), "{error}");
    });
}

#[test]
fn environment_and_folder() {
    fn look(name: String) -> (Option<String>, PathBuf, Option<String>) {
        let own = std::env::var("CONCURRENT_FUTURES_WORKER_PROCESS").ok();
        (std::env::var(name).ok(), std::env::current_dir().unwrap(), own)
    }
    watched(|| {
        let scratch = Scratch::new();
        let folder = scratch.folder().canonicalize().unwrap();
        let pool = quiet(1).env("ONE", "first").env("ONE", "ünï =code").current_dir(&folder).build().unwrap();
        let seen = outcome("a look around", pool.submit(look, "ONE".to_owned()).unwrap()).unwrap();
        assert_eq!(seen, (Some("ünï =code".to_owned()), folder, None));
        assert!(std::env::var("ONE").is_err());
    });
}

#[test]
fn output_inherited_and_not() {
    watched(|| {
        let output = child::run("settings::output_program", "1", |_| ());
        let (out, err) = (child::text(&output.stdout), child::text(&output.stderr));
        assert!(out.contains("inherited out") && err.contains("inherited err"), "{out}\n{err}");
        assert!(!out.contains("null out") && !err.contains("null err"), "{out}\n{err}");
    });
}

fn speak(how: String) {
    use std::io::Write;
    // Not whole lines: what is printed goes out when the worker falls silent, not only at a line's end.
    let _ = write!(std::io::stdout(), "{how} out");
    let _ = write!(std::io::stderr(), "{how} err");
}

#[test]
fn output_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let loud = ProcessPoolExecutor::builder().workers(1).build().unwrap();
        outcome("a loud task", loud.submit(speak, "inherited".to_owned()).unwrap()).unwrap();
        let silent = quiet(1).stdout(WorkerOutput::Null).build().unwrap();
        outcome("a silent task", silent.submit(speak, "null".to_owned()).unwrap()).unwrap();
        let pid = silent.worker_infos()[0].pid();
        let leads: Vec<_> = processes::descriptors(pid).into_iter().take(3).map(|(_, leads)| leads).collect();
        assert_eq!(leads, ["/dev/null"; 3]);
    });
}

#[test]
fn priority() {
    fn own_priority(_: ()) -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }
    watched(|| {
        let before = own_priority(());
        let pool = quiet(1).nice(5).build().unwrap();
        assert_eq!(outcome("a look", pool.submit(own_priority, ()).unwrap()).unwrap(), (before + 5).min(19));
        assert_eq!(own_priority(()), before);
    });
}

#[test]
fn names() {
    fn own_name(_: ()) -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }
    fn thread_names(_: ()) -> Vec<String> {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        threads.map(|thread| std::fs::read_to_string(thread.path().join("comm")).unwrap().trim().to_owned()).collect()
    }
    watched(|| {
        let named = quiet(2).worker_name_prefix("résize").build().unwrap();
        let pid = outcome("a task", named.submit(own_pid, ()).unwrap()).unwrap();
        let line = processes::command_line(pid);
        assert!(line.contains(&format!("worker résize_0 of {}", std::process::id())), "{line}");
        assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "résize_0\n");
        // For the program the name is whole, for the system its first 15 bytes.
        let own = outcome("a task", named.submit(own_name, ()).unwrap()).unwrap();
        assert!(own == "résize_0" || own == "résize_1", "{own}");
        let threads = outcome("a task", named.submit(thread_names, ()).unwrap()).unwrap();
        assert!(threads.contains(&"résize_0".to_owned()), "{threads:?}");
        let unnamed = quiet(1).build().unwrap();
        let pid = outcome("a task", unnamed.submit(own_pid, ()).unwrap()).unwrap();
        let line = processes::command_line(pid);
        assert!(line.contains("worker ProcessPoolExecutor-"), "{line}");
        // Longer than the system's names, in the midst of a character.
        let long = quiet(1).worker_name_prefix("äöüäöüäöüäöü").build().unwrap();
        assert_eq!(outcome("a task", long.submit(own_name, ()).unwrap()).unwrap(), "äöüäöüäöüäöü_0");
        let threads = outcome("a task", long.submit(thread_names, ()).unwrap()).unwrap();
        assert!(threads.contains(&"äöüäöüä".to_owned()), "{threads:?}");
    });
}

/// E7: a panic says in which worker it happened, also that of an item in a chunk.
#[test]
fn names_in_the_errors_of_panics() {
    fn fall(number: u8) {
        panic!("{number}, on purpose");
    }
    watched(|| {
        let pool = quiet(2).worker_name_prefix("painter").build().unwrap();
        let alone = pool.submit(fall, 0).unwrap();
        let mapped = pool.map_with(MapOptions::new().chunk_size(2), fall, 1..9);
        let mut outcomes: Vec<_> = mapped.collect();
        outcomes.push(outcome("a panic", alone));
        let workers = pool.worker_infos();
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            let text = error.to_string();
            let TaskError::Panicked(panic) = error else { panic!("{text}") };
            let (name, pid) = (panic.worker().unwrap(), panic.pid().unwrap());
            let worker = workers.iter().find(|worker| worker.pid() == pid).expect("it is a worker's number");
            assert_eq!(name, format!("painter_{}", worker.index()));
            assert!(text.contains(&format!(", panicked in worker {name} (pid {pid}) at ")), "{text}");
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    watched(|| {
        let refused = [
            quiet(1).queue_capacity(0).build(),
            quiet(1).max_tasks_per_child(0).build(),
            quiet(1).worker_name_prefix("a\0b").build(),
            ProcessPoolExecutor::builder().workers(0).build(),
            quiet(1).soft_memory_limit(0).build(),
            quiet(1).hard_memory_limit(0).build(),
            quiet(1).start_timeout(Duration::ZERO).build(),
            quiet(1).restart_intensity(0, LONG).build(),
            quiet(1).restart_intensity(1, Duration::ZERO).build(),
            quiet(1).nice(40).build(),
            quiet(1).env("A\0B", "1").build(),
            quiet(1).env("A=B", "1").build(),
            quiet(1).env("", "1").build(),
            quiet(1).env("A", "1\0").build(),
            quiet(1).current_dir("/does/not/exist").build(),
            quiet(1).current_dir("/proc/self/exe").build(),
            quiet(1).current_dir("/a\0b").build(),
        ];
        for pool in refused {
            assert!(matches!(pool, Err(BuildError::Invalid { .. })), "{pool:?}");
        }
    });
}

/// Any duration may be given, also one beyond the end of the clock, which never passes.
#[test]
fn no_duration_is_too_long() {
    watched(|| {
        let builder = quiet(1).stop_grace(Duration::MAX).start_timeout(Duration::MAX).keep_alive(Duration::MAX);
        let pool = builder.run_timeout(Duration::MAX).restart_intensity(1, Duration::MAX).build().unwrap();
        let gate = Gate::new();
        let options = TaskOptions::new().run_timeout(Duration::MAX).queue_timeout(Duration::MAX);
        let endless = pool.submit_with(options.clone(), |pass: Pass| pass.go(), gate.pass()).unwrap();
        gate.wait_arrivals(1);
        endless.stop();
        assert!(outcome("a stopped task", endless).unwrap_err().is_cancelled());
        assert_works(&pool);
        let timely = pool.submit_with(options, double, 4).unwrap();
        assert_eq!(timely.result_timeout(Duration::MAX).unwrap().unwrap(), 8);
        let map = MapOptions::new().timeout(Duration::MAX).run_timeout(Duration::MAX);
        assert_eq!(pool.map_with(map, double, [4]).next().unwrap().unwrap(), 8);
        pool.shutdown_timeout(Duration::MAX).unwrap();
    });
}
