//! House rules that a machine can check: heads, sizes, crate arrows, forbidden words, documents that must agree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines. What does not fit in a head is not reviewed.
const MAX_LINES: usize = 600;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// The modules that may contain `unsafe`, each with its reason.
const UNSAFE_MODULES: &[(&str, &str)] = &[
    ("executor-core/tests/loom.rs", "models of an executor, which names itself as the owner of a task"),
    ("executor-core/src/away.rs", "asks the owner of a task that runs in another process"),
    ("executor-core/src/remote.rs", "calls a function that was named to another process"),
    ("executor-core/src/remote/call.rs", "the types of a call, on both sides of a process boundary"),
    ("executor-core/src/remote/chunk.rs", "the types of a chunk, on both sides of a process boundary"),
    ("executor-core/src/remote/initializer.rs", "the types of an initializer, in the worker"),
    ("executor-core/src/remote/single.rs", "the types of a single input, on the parent's side of a process boundary"),
    ("executor-core/src/callback.rs", "the callbacks' list, linked by hand so that adding one takes no lock"),
    ("executor-core/src/cell.rs", "the allocation shared by a task, its future and its waiters"),
    ("executor-core/src/clock.rs", "deadlines that refer to a cell"),
    ("executor-core/src/completion.rs", "done members of a set, linked through their cells"),
    ("executor-core/src/current.rs", "what a thread is doing, by pointers into its own stack"),
    ("executor-core/src/executor.rs", "arguments taken back out of a task that was not accepted"),
    ("executor-core/src/fork.rs", "a page that the kernel wipes in forks, and statics that a fork has anew"),
    ("executor-core/src/fuzzing/memory.rs", "counts allocations as the global allocator"),
    ("executor-core/src/fuzzing/reply.rs", "an executor, which names itself as the owner of a task; a worker's code"),
    ("executor-core/src/header.rs", "the state word and the fields whose owner it names"),
    ("executor-core/src/future.rs", "the unique handle of a cell"),
    ("executor-core/src/large_pages.rs", "a hint about memory, by its address"),
    ("executor-core/src/futex_waitv.rs", "names a part of a word to the kernel, which compares its bytes"),
    ("executor-core/src/map.rs", "arguments taken back out of a task that was not accepted"),
    ("executor-core/src/observer.rs", "the slot through which a cell tells who waits"),
    ("executor-core/src/output.rs", "bytes written into windows of memory that lies anywhere"),
    ("executor-core/src/promise.rs", "the producer's handle of a cell"),
    ("executor-core/src/queue.rs", "intrusive queue of tasks"),
    ("executor-core/src/shared_future.rs", "lends the outcome of a cell to several threads"),
    ("executor-core/src/sync.rs", "parking by address, and the cell that a model checker replaces"),
    ("executor-core/src/task.rs", "the executor's handle of a cell"),
    ("executor-core/src/worker.rs", "runs awaited tasks on behalf of their handles"),
    ("executor-core/src/waiting.rs", "helps and sleeps on a cell by its address"),
    (
        "process-executor/src/before_main.rs",
        "a constructor of the executable, and the environment before there are threads",
    ),
    ("process-executor/src/buffer.rs", "sealed memory as a slice"),
    ("process-executor/src/fuzzing/worker.rs", "a worker's code, and writes anywhere into shared memory"),
    ("process-executor/src/carrier.rs", "what is being packed and unpacked, by pointers into the stack of who does"),
    ("process-executor/src/constructors.rs", "runs constructors of the executable, by the loader's table of them"),
    ("process-executor/src/function.rs", "a trampoline found at an offset of the executable"),
    ("process-executor/src/image.rs", "the program headers of the running executable"),
    ("process-executor/src/lane.rs", "copies in and out of memory that a worker shares"),
    ("process-executor/src/layout.rs", "what lies where in memory that a worker shares"),
    ("process-executor/src/mapping.rs", "memory that is mapped, given back, and filled"),
    ("process-executor/src/parcel.rs", "the ends of channels, which came as descriptors"),
    ("process-executor/src/pool/packing.rs", "hands out windows of its own memory"),
    ("process-executor/src/pool/submission.rs", "names the pool as the owner of its tasks"),
    ("process-executor/src/shared_buffer.rs", "bytes as numbers"),
    ("process-executor/src/loader.rs", "the auxiliary vector"),
    ("process-executor/src/system.rs", "closes what a process inherited; gives up its terminal"),
    ("process-executor/tests/it/privileges.rs", "a program that drops its privileges"),
    ("process-executor/tests/it/processes.rs", "a debugger"),
    ("process-executor/tests/it/hostile.rs", "tasks that do what no task should"),
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
    ("process-executor/src/worker/inheritance.rs", "signals as they are at a program's start"),
    ("process-executor/src/worker/reply.rs", "copies into memory shared with the parent"),
    ("process-executor/src/worker/running.rs", "hands out windows of memory shared with the parent"),
    ("process-executor/src/worker/tasks.rs", "runs the functions that the parent named"),
    ("tests/program/forks.rs", "a program that forks"),
    ("tests/program/last_moments.rs", "a program with an exit handler"),
    ("thread-executor/src/pool.rs", "names the pool as the owner of the tasks in its queue"),
    ("thread-executor/src/scope.rs", "tasks that borrow from the stack of the caller"),
    ("thread-executor/src/sync.rs", "parking by address, and the cell that a model checker replaces"),
    ("benches/compare/src/allocator.rs", "counts allocations as the global allocator"),
];

/// Which crates of ours a crate may use; dev-dependencies are looked at apart.
const ARROWS: &[(&str, &[&str])] = &[
    ("concurrent-futures", &["executor-core", "thread-executor", "process-executor"]),
    ("executor-core", &[]),
    ("thread-executor", &["executor-core"]),
    ("process-executor", &["executor-core"]),
    ("executor-conformance", &["executor-core"]),
    ("compare", &["concurrent-futures", "executor-core", "thread-executor", "process-executor"]),
    ("concurrent-futures-fuzz", &["executor-core", "process-executor"]),
];

/// What only tests may use, on top of [`ARROWS`].
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("concurrent-futures", &["executor-conformance"]),
    ("thread-executor", &["executor-conformance"]),
    ("process-executor", &["executor-conformance"]),
];

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
const WITH_DESCRIPTORS: &[&str] = &["process-executor/src/system.rs", "process-executor/src/fuzzing/message.rs"];

/// The same, but for the files that are named: declarations of values that a thread destroys when it ends, where to ask for them is
/// a panic that aborts the program.
const THREAD_LOCAL: &[(&[&str], &str)] =
    &[(&["thread_lo", "cal!"], "declare it by `local!` or `kept!` of executor-core, which are never a panic")];
const WITH_THREAD_LOCAL: &[(&str, &str)] = &[
    ("executor-core/src/local.rs", "what those two are made of"),
    ("executor-core/src/sync.rs", "the same in a model"),
    ("executor-core/src/codec/tests.rs", "a test"),
    ("executor-core/src/fuzzing/memory.rs", "for fuzzers only; numbers"),
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
fn every_source_file_says_what_it_is() {
    let mut faults = Faults::default();
    for file in sources().iter().filter(|file| !file.is_under("tests/compile_fail")) {
        if !file.text.starts_with("//! ") {
            faults.add(file, 1, "starts with `//! ` and one sentence on what the file is");
        }
    }
    faults.check();
}

#[test]
fn files_fit_in_a_head() {
    let mut faults = Faults::default();
    for file in sources() {
        let allowed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        let lines = file.text.lines().count();
        if lines > MAX_LINES && !allowed {
            faults.add(&file, MAX_LINES, &format!("{lines} lines; split it at a noun, {MAX_LINES} are allowed"));
        }
    }
    faults.check();
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let members: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let mut seen = Vec::new();
    for manifest in files().iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let Some(name) = manifest_name(&manifest.text) else {
            continue;
        };
        for (section, dependency) in dependencies(&manifest.text) {
            if !members.contains(&dependency.as_str()) {
                continue;
            }
            let mut allowed = targets(ARROWS, &name).to_vec();
            if section.contains("dev-dependencies") {
                allowed.extend(targets(TEST_ARROWS, &name));
            }
            assert!(
                allowed.contains(&dependency.as_str()),
                "{}: [{section}] names {dependency}; {name} may use only {allowed:?}, see ARROWS",
                manifest.path
            );
        }
        seen.push(name);
    }
    for member in members {
        assert!(seen.iter().any(|name| name == member), "ARROWS names {member}, which has no Cargo.toml");
    }
}

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
fn nothing_is_left_unfinished() {
    let mut faults = Faults::default();
    for file in sources() {
        for (number, code) in file.code_lines() {
            faults.search(&file, number, code, UNFINISHED);
            if file.is_library() {
                faults.search(&file, number, code, NOT_IN_LIBRARIES);
            }
            if file.path.starts_with("process-executor/src/") && !WITH_DESCRIPTORS.contains(&file.path.as_str()) {
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
fn the_readme_shows_the_compiled_examples() {
    let readme = read("README.md");
    let examples = ["examples/readme_threads.rs", "examples/readme_processes.rs"];
    let blocks = code_blocks(&readme, "rust");
    assert_eq!(blocks.len(), examples.len(), "each block of Rust in README.md has an example; name a new one here");
    for (block, path) in blocks.iter().zip(examples) {
        let example = read(path);
        let body = between(&example, "// README:begin\n", "// README:end");
        assert_eq!(block, body, "README.md and {path} differ");
    }

    let switch = code_blocks(&readme, "diff").concat();
    let old = switch.lines().find_map(|line| line.strip_prefix('-')).expect("README.md shows the switch as a diff");
    assert!(
        blocks[0].lines().any(|line| line == old),
        "the README's diff removes a line that the example does not have"
    );
}

#[test]
fn the_readme_and_the_gate_run_the_same_tests() {
    let readme = read("README.md");
    let shell = code_blocks(&readme, "sh").concat();
    let in_readme = shell
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .find(|line| line.starts_with("cargo test"))
        .expect("README.md names a test command");
    let gate = read(".ci/run");
    let in_gate = between(&gate, "test_command=\"", "\"");
    assert_eq!(in_readme, in_gate, "README.md and .ci/run run different tests");
    assert!(gate.contains("$test_command\n"), ".ci/run no longer runs its test command");
}

#[test]
fn the_changelog_names_the_version() {
    let manifest = read("Cargo.toml");
    let version = between(&manifest, "[workspace.package]\nversion = \"", "\"");
    let heading = format!("## [{version}]");
    assert!(
        read("CHANGELOG.md").lines().any(|line| line.starts_with(&heading)),
        "CHANGELOG.md has no heading `{heading}`"
    );
}

#[test]
fn the_lists_of_this_file_are_current() {
    for (path, reason) in LONG_FILES.iter().chain(UNSAFE_MODULES).chain(WITH_THREAD_LOCAL) {
        assert!(root().join(path).is_file(), "{path} ({reason}) does not exist; take it off the list");
    }
}

// --- files ----------------------------------------------------------------------------------------------------------

/// A text file of the project; the path is relative to the root and written with `/`.
struct TextFile {
    path: String,
    text: String,
}

impl TextFile {
    fn is_under(&self, folder: &str) -> bool {
        self.path.contains(&format!("{folder}/"))
    }

    /// Code that users link; model checkers' stand-ins and tests inside it are few and held to the same rules.
    fn is_library(&self) -> bool {
        ["src/", "executor-core/src/", "thread-executor/src/", "process-executor/src/"]
            .iter()
            .any(|folder| self.path.starts_with(folder))
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines without their comments; good enough for words that do not occur in strings.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources() -> Vec<TextFile> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// Every text file of the project, in the order of the paths: all but what is built, what git keeps for itself, and the bytes
/// that fuzzers found.
fn files() -> Vec<TextFile> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder of the project is readable") {
            let name = entry.expect("a folder of the project is readable").file_name();
            let path = folder.join(&name);
            let name = name.to_string_lossy();
            if [".git", "corpus", "artifacts"].contains(&&*name) || name.starts_with("target") {
                continue;
            }
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(root().join(&path)) {
                found.insert(path.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    found.into_iter().map(|(path, text)| TextFile { path, text }).collect()
}

// --- reading manifests and documents ----------------------------------------------------------------------------------

fn targets<'a>(arrows: &[(&str, &'a [&'a str])], name: &str) -> &'a [&'a str] {
    arrows.iter().find(|(from, _)| *from == name).map_or(&[], |(_, to)| to)
}

fn manifest_name(manifest: &str) -> Option<String> {
    let package = manifest.split("[package]\n").nth(1)?;
    package.lines().find_map(|line| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned()))
}

/// Every dependency with the section that names it; the workspace's own table only gives versions, so it does not count.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            // `[dependencies.name]`, a table of its own for one dependency.
            if let Some((table, name)) = section.split_once("dependencies.").filter(|_| !section.contains("workspace"))
            {
                found.push((format!("{table}dependencies"), name.to_owned()));
            }
        } else if section.ends_with("dependencies") && section != "workspace.dependencies" {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                found.push((section.clone(), name.trim_matches('"').to_owned()));
            }
        }
    }
    found
}

fn code_blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.by_ref().any(|line| line == fence) {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect());
    }
    blocks
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let from = text.find(begin).unwrap_or_else(|| panic!("no `{begin}`")) + begin.len();
    let length = text[from..].find(end).unwrap_or_else(|| panic!("no `{end}` after `{begin}`"));
    &text[from..from + length]
}

fn comment_of(line: &str) -> &str {
    line.find("//").map_or("", |start| &line[start..])
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

// --- report ---------------------------------------------------------------------------------------------------------

/// What was found wrong: a test names every fault at once, so that one run is enough to repair them.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, file: &TextFile, line: usize, what: &str) {
        self.0.push(format!("{}:{line}: {what}", file.path));
    }

    fn search(&mut self, file: &TextFile, number: usize, code: &str, table: &[(&[&str], &str)]) {
        for (pieces, advice) in table {
            let text = pieces.concat();
            if code.contains(&text) {
                self.add(file, number, &format!("`{text}`: {advice}"));
            }
        }
    }

    fn check(self) {
        assert!(self.0.is_empty(), "{} faults:\n{}", self.0.len(), self.0.join("\n"));
    }
}
