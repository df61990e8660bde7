//! Text that has no place here.

use crate::report::Faults;
use crate::sources::{comment_of, files, root, sources, words};

/// Text that has no place in the sources, in pieces so that this file does not find itself.
const UNFINISHED: &[(&[&str], &str)] = &[
    (&["todo", "!("], "write it, or return an error that says it is not there"),
    (&["unimplemented", "!("], "write it, or return an error that says it is not there"),
    (&["dbg", "!("], "a leftover of debugging"),
    (&["#[ig", "nore"], "a test that never runs protects nothing; delete it or make it fast"),
];

/// Text that has no place in library code, in pieces for the same reason.
const NOT_IN_LIBRARIES: &[(&[&str], &str)] = &[
    (&["thread::sp", "awn("], "panics when the system refuses a thread; use thread::Builder and report the error"),
    (&["thread::sl", "eep("], "sleeping is not synchronisation; wait for the event"),
    (&["Instant::now() ", "+"], "panics beyond the end of the clock; use deadline_after"),
    (&["Instant::now()", ".checked_add("], "there is one way to make a deadline; use deadline_after"),
];

/// What makes descriptors. In the pool of processes that is for one file, which sees to it that none is a standard one.
const MAKES_DESCRIPTORS: &[(&[&str], &str)] = &[
    (&["memfd_", "create("], "ask `system`, whose descriptors are never standard ones"),
    (&["socket", "pair("], "ask `system`, whose descriptors are never standard ones"),
    (&["event", "fd("], "ask `system`, whose descriptors are never standard ones"),
    (&["epoll::", "create("], "ask `system`, whose descriptors are never standard ones"),
    (&["pidfd_", "open("], "ask `system`, whose descriptors are never standard ones"),
    (&["fcntl_", "dupfd"], "ask `system`, whose descriptors are never standard ones"),
    (&["Stdio::", "null("], "opens `/dev/null`, which may not be there, at any number; ask `system::null_device`"),
];
const WITH_DESCRIPTORS: &[&str] = &["process-core/src/system/", "process-executor/src/fuzzing/message.rs"];

/// The same, but for the files that are named: declarations of values that a thread destroys when it ends, where to ask for them is
/// a panic that aborts the program.
const THREAD_LOCAL: &[(&[&str], &str)] =
    &[(&["thread_lo", "cal!"], "declare it by `local!` or `kept!` of executor-core, which are never a panic")];
const WITH_THREAD_LOCAL: &[(&str, &str)] = &[
    ("executor-wire/src/local.rs", "what those two are made of"),
    ("executor-core/src/sync.rs", "the same in a model"),
    ("executor-wire/src/codec/tests.rs", "a test"),
    ("executor-wire/src/fuzzing/memory.rs", "for fuzzers only; numbers"),
    ("process-executor/src/fuzzing/client.rs", "for fuzzers only"),
];

/// Text that says more about a workplace than about the project: paths of one machine, hosts of one registry.
const PRIVATE_TEXT: &[&[&str]] = &[
    &["/wo", "rk/"],
    &["/ro", "ot/"],
    &["/tm", "p/target"],
    &["crates", ".io"],
    &["py", "pi.org"],
    &["registry.npm", "js"],
];

/// The same for whole words, looked for in documents and comments only.
const PRIVATE_WORDS: &[&[&str]] = &[&["sess", "ion"], &["pro", "mpt"]];

#[test]
fn nothing_is_left_unfinished() {
    let mut faults = Faults::default();
    for file in sources() {
        for (number, code) in file.code_lines() {
            faults.search(&file, number, code, UNFINISHED);
            if file.is_library() {
                faults.search(&file, number, code, NOT_IN_LIBRARIES);
            }
            let is_of_processes =
                ["process-core/src/", "process-executor/src/"].iter().any(|folder| file.path.starts_with(folder));
            if is_of_processes && !WITH_DESCRIPTORS.iter().any(|path| file.path.starts_with(path)) {
                faults.search(&file, number, code, MAKES_DESCRIPTORS);
            }
            if file.is_library() && !WITH_THREAD_LOCAL.iter().any(|(path, _)| *path == file.path) {
                faults.search(&file, number, code, THREAD_LOCAL);
            }
        }
    }
    faults.check();
}

#[test]
fn text_files_are_clean() {
    let mut faults = Faults::default();
    for file in files() {
        for (number, line) in file.numbered() {
            if line.ends_with([' ', '\t', '\r']) {
                faults.add(&file, number, "trailing whitespace");
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            faults.add(&file, file.text.lines().count(), "no newline at the end");
        }
    }
    faults.check();
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let texts: Vec<String> = PRIVATE_TEXT.iter().map(|pieces| pieces.concat()).collect();
    let banned: Vec<String> = PRIVATE_WORDS.iter().map(|pieces| pieces.concat()).collect();
    let mut faults = Faults::default();
    // Cargo writes its lock file, with the registry's address in it.
    for file in files().iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (number, line) in file.numbered() {
            for text in texts.iter().filter(|text| line.to_lowercase().contains(text.as_str())) {
                faults.add(file, number, &format!("says `{text}`"));
            }
            let prose = if file.path.ends_with(".rs") { comment_of(line) } else { line };
            for word in words(&prose.to_lowercase()).filter(|word| banned.iter().any(|banned| banned == word)) {
                faults.add(file, number, &format!("says `{word}`"));
            }
        }
    }
    faults.check();
}

#[test]
fn the_lists_of_this_file_are_current() {
    for (path, reason) in WITH_THREAD_LOCAL {
        assert!(root().join(path).is_file(), "{path} ({reason}) does not exist; take it off the list");
    }
}
