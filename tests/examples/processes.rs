//! The examples that need worker processes, and what only worker processes do in the others.

use std::fs;

use crate::tree::{hash_tree, new_tree, sha256sum, write, write_terabyte};

use super::*;

/// A depth of nesting that overflows the stack of any parser that calls itself for each level.
const DEEP: usize = 100_000;

#[test]
fn chaos_tells_each_accident_and_goes_on() {
    let expected = include_str!("chaos.txt");
    for workers in ["1", "2", "4"] {
        let ended = run("chaos", ["--workers", workers]).assert_code(0);
        assert_eq!((ended.stdout(), &*ended.stderr), (expected, ""), "{workers} workers");
    }
}

#[test]
fn chaos_tells_the_numbers_if_asked() {
    let ended = run("chaos", ["--exact"]).assert_code(0);
    let text = ended.stdout();
    assert!(!text.contains('#') && text.contains("(pid ") && text.contains("accident.rs:"), "{text}");
    assert_eq!(text.lines().count(), include_str!("chaos.txt").lines().count(), "{text}");
}

#[test]
fn the_example_of_the_readme_survives_its_tasks() {
    let ended = run("readme_processes", [""; 0]).assert_code(0);
    let lines: Vec<_> = ended.stdout().lines().collect();
    let ["1", crashed, "2", hung, panicked, "4"] = lines[..] else { panic!("{ended:#?}") };
    assert!(crashed.contains("SIGABRT"), "{crashed}");
    assert!(hung.contains("longer than its limit of 5s"), "{hung}");
    assert!(panicked.contains("a number: ParseIntError"), "{panicked}");
}

/// Four files that count, one that is not valid Rust, and one that is not meant to be. The word for code with a risk is put
/// in as the files are written: this file may not contain it.
const SOURCES: [(&str, &str); 6] = [
    ("a.rs", "//! TODO: and the rest\nfn f() { RISKY { g(); RISKY {} } } // FIXME\n"),
    ("b/long.rs", "impl A {\n    fn long() {\n\n\n    }\n    fn short() {\n\n    }\n}\n"),
    ("b/script.rs", "#!/usr/bin/env -S 'cargo\n#![no_std] /* TODO TODO */\nfn f() { \"TODO\"; todo() }\n"),
    ("not.txt", "// TODO"),
    ("wrong.rs", "fn (\n"),
    ("z/last.rs", "\u{feff}fn ü() {} // ü TODO\n"),
];

fn risky(text: &str) -> String {
    text.replace("RISKY", &["uns", "afe"].concat())
}

#[test]
fn lint_rs_goes_on_over_a_file_that_ends_its_worker() {
    let tree = new_tree();
    for (name, text) in SOURCES {
        write(tree.path().join(name), risky(text));
    }
    write(tree.path().join("deep.rs"), format!("fn deep() {{ {}{} }}", "(".repeat(DEEP), ")".repeat(DEEP)));
    let expected = include_str!("lint_rs.txt");
    for workers in ["1", "3"] {
        let options = ["--workers", workers, "--longest-function", "3", "--worst", "3"].map(OsStr::new);
        let ended = run("lint_rs", options.into_iter().chain([tree.path().as_os_str()])).assert_code(1);
        assert_eq!(ended.stdout(), expected, "{workers} workers");
        let lines: Vec<_> = ended.stderr.lines().collect();
        let [deep, wrong] = lines[..] else { panic!("{ended:#?}") };
        let prefix = format!("lint_rs: {}/", tree.path().display());
        assert!(deep.starts_with(&format!("{prefix}deep.rs: its worker was killed by signal ")), "{deep}");
        assert!(wrong.starts_with(&format!("{prefix}wrong.rs: is not Rust: ")), "{wrong}");
    }
}

/// Chunks of many files, some of which end their worker.
#[test]
fn lint_rs_loses_the_one_file_of_many() {
    let tree = new_tree();
    for number in 0..500 {
        write(tree.path().join(format!("{number:03}.rs")), risky("fn f() { RISKY { g() } }\n"));
    }
    let deep = format!("const DEEP: () = {}{};", "(".repeat(DEEP), ")".repeat(DEEP));
    let lost = ["000.rs", "123.rs", "124.rs", "499.rs"];
    for name in lost {
        write(tree.path().join(name), &deep);
    }
    let ended = run("lint_rs", [tree.path()]).assert_code(1);
    assert_eq!(numbers(ended.stdout())[..4], [496, 0, 4, 496], "{ended:#?}");
    let named: Vec<_> =
        ended.stderr.lines().filter_map(|line| line.split('/').next_back()?.split(':').next()).collect();
    assert_eq!(named, lost, "{ended:#?}");
}

#[test]
fn lint_rs_without_anything_to_complain_about() {
    let tree = new_tree();
    write(tree.path().join("fine.rs"), "fn main() {}\n");
    let ended = run("lint_rs", [tree.path()]).assert_code(0);
    assert!(ended.stderr.is_empty() && !ended.stdout().contains("file\n"), "{ended:#?}");
    assert_eq!(numbers(ended.stdout()), [1, 0, 0, 1, 0, 0, 0, 60]);
    let ended = run("lint_rs", [tree.path().join("missing")]).assert_code(1);
    assert!(ended.stderr.contains("/missing: cannot be read: No such file"), "{ended:#?}");
}

/// A program that may open hardly any file cannot talk to a worker.
#[test]
fn hash_tree_falls_back_to_threads_and_says_so() {
    let tree = new_tree();
    write(tree.path().join("file"), "content");
    let hash = |executor: &str| {
        let limited = hash_tree(executor, tree.path());
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 6; exec \"$@\"", "sh"]).arg(limited.get_program()).args(limited.get_args());
        shell.env_remove("CONCURRENT_FUTURES_WORKERS");
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(&mut shell).end()
    };
    let ended = hash("processes:1?").assert_code(0);
    assert_eq!(ended.stdout, sha256sum([tree.path().join("file")]));
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [warning, closing] = lines[..] else { panic!("{ended:#?}") };
    assert!(warning.starts_with("hash_tree: a pool of processes: "), "{warning}");
    assert!(warning.contains("Too many open files") && warning.ends_with("; using threads instead"), "{warning}");
    assert!(closing.starts_with("1 file, 7 bytes, "), "{closing}");
    hash("processes:1").assert_code(1);
}

#[test]
fn hash_tree_goes_on_when_a_worker_is_killed() {
    let tree = new_tree();
    let root = tree.path();
    write(root.join("1"), "first");
    let endless = root.join("2 endless");
    write_terabyte(&endless);
    write(root.join("3"), "last");
    let running = Running::start(&mut hash_tree("processes:1", root));
    let worker = worker_that_opened(&endless, &running);
    let killed = Command::new("kill").args(["-KILL", &worker]).status().expect("kill is installed");
    assert!(killed.success(), "{killed}");
    let ended = running.end().assert_code(1);
    assert_eq!(ended.stdout, sha256sum(["1", "3"].map(|name| root.join(name))));
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [lost, closing] = lines[..] else { panic!("{ended:#?}") };
    assert!(lost.contains(&format!("(pid {worker}) was killed by signal 9 (SIGKILL")), "{lost}");
    assert!(closing.starts_with("2 files, 9 bytes, ") && closing.ends_with(", 1 error"), "{closing}");
}

/// Waits until a child of the program has the file open, and returns its process id.
fn worker_that_opened(file: &Path, running: &Running) -> String {
    let begun = Instant::now();
    loop {
        let worker = children(running.child.id()).into_iter().find(|child| has_open(child, file));
        if let Some(worker) = worker {
            return worker;
        }
        assert!(begun.elapsed() < LIMIT, "hung: no worker of {} opened {file:?} within {LIMIT:?}", running.what);
        thread::sleep(LOOK);
    }
}

fn children(parent: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("there is /proc").flatten();
    let is_child = |name: &String| {
        let status = fs::read_to_string(format!("/proc/{name}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == parent.to_string()))
    };
    processes.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_child).collect()
}

fn has_open(process: &str, file: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
    descriptors.is_ok_and(|mut all| {
        all.any(|one| one.and_then(|one| fs::read_link(one.path())).is_ok_and(|link| link == file))
    })
}
