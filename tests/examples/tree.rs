//! `hash_tree` against `sha256sum`, and against everything that can be wrong with a tree.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;

use tempfile::TempDir;

use super::*;

const TERABYTE: u64 = 1 << 40;

/// The user `nobody`, who may read only what all may read.
const NOBODY: u32 = 65534;

pub(crate) fn new_tree() -> TempDir {
    tempfile::tempdir().expect("the folder for temporary files is writable")
}

#[track_caller]
pub(crate) fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a path in a tree")).expect("directories can be made");
    fs::write(path, content).unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
}

/// Makes a file that takes hours to hash and no room on the disk.
pub(crate) fn write_terabyte(path: &Path) {
    File::create(path).and_then(|file| file.set_len(TERABYTE)).expect("the file system knows sparse files");
}

pub(crate) fn hash_tree(executor: &str, path: &Path) -> Command {
    command("hash_tree", [OsStr::new("--executor"), executor.as_ref(), path.as_os_str()])
}

fn hashed(executor: &str, path: &Path) -> Ended {
    Running::start(&mut hash_tree(executor, path)).end()
}

/// Returns what `sha256sum` prints for these files in this order.
pub(crate) fn sha256sum(paths: impl IntoIterator<Item: AsRef<OsStr>>) -> Vec<u8> {
    let output = Command::new("sha256sum").arg("--").args(paths).output().expect("sha256sum is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Returns what `sha256sum` prints for the regular files under a path in byte order, by the system's own tools alone.
fn reference(path: &Path) -> Vec<u8> {
    let script = r#"find "$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --"#;
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(path).output().expect("sh is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[track_caller]
fn assert_checked_by_sha256sum(sums: &[u8]) {
    let folder = new_tree();
    let file = folder.path().join("sums");
    write(&file, sums);
    let output = Command::new("sha256sum").args(["--check", "--strict", "--quiet"]).arg(&file).output();
    let output = output.expect("sha256sum is installed");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

/// Returns the errors of a run, each `PATH: REASON` with the path relative to the tree, and the closing line.
#[track_caller]
fn errors_and_closing<'a>(ended: &'a Ended, tree: &Path) -> (Vec<&'a str>, &'a str) {
    let mut lines: Vec<_> = ended.stderr.lines().collect();
    let closing = lines.pop().unwrap_or_else(|| panic!("no closing line: {ended:#?}"));
    let prefix = format!("hash_tree: {}/", tree.display());
    let relative = |line: &'a str| line.strip_prefix(&prefix).unwrap_or_else(|| panic!("odd error: {line}"));
    (lines.into_iter().map(relative).collect(), closing)
}

/// Makes empty, small and large files, on several levels, with names that sort unlike their paths.
fn sound_tree() -> TempDir {
    let tree = new_tree();
    let root = tree.path();
    write(root.join("empty"), "");
    write(root.join("two pieces and a bit"), vec![7; (2 << 20) + 5]);
    write(root.join("exactly one piece"), vec![8; 1 << 20]);
    for name in ["a/b", "a.txt", "a/b.d/c", "a-b", "ab", "-dash", ".hidden/.file", "ünïcödé", "two  spaces "] {
        write(root.join(name), name);
    }
    for number in 0..300 {
        write(root.join(format!("many/{}/{number}", number % 7)), number.to_string());
    }
    fs::create_dir(root.join("nothing inside")).expect("directories can be made");
    tree
}

#[test]
fn prints_what_sha256sum_prints_whatever_the_executor() {
    let tree = sound_tree();
    let expected = reference(tree.path());
    for &executor in EXECUTORS {
        let ended = hashed(executor, tree.path()).assert_code(0);
        assert!(ended.stdout == expected, "{executor}: {}", String::from_utf8_lossy(&ended.stdout));
        let (errors, closing) = errors_and_closing(&ended, tree.path());
        assert!(errors.is_empty(), "no errors and no progress bar in a pipe: {ended:#?}");
        assert!(closing.starts_with("312 files, 3146584 bytes, ") && closing.ends_with(" MB/s"), "{closing}");
    }
    assert_checked_by_sha256sum(&expected);
}

#[test]
fn hashes_real_sources() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("executor-core");
    let serial = hashed("serial", &sources).assert_code(0);
    let threads = hashed("threads", &sources).assert_code(0);
    assert!(serial.stdout == threads.stdout && !serial.stdout.is_empty());
    assert_checked_by_sha256sum(&serial.stdout);
}

#[test]
fn escapes_names_as_sha256sum_does() {
    let tree = new_tree();
    let root = tree.path();
    for name in ["back\\slash", "new\nline", "carriage\rreturn", "all\\of\r\nthem/\\"] {
        write(root.join(name), "");
    }
    // The hash of nothing.
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let names = [r"all\\of\r\nthem/\\", r"back\\slash", r"carriage\rreturn", r"new\nline"];
    let expected: String = names.iter().map(|name| format!("\\{hash}  {}/{name}\n", root.display())).collect();
    for &executor in EXECUTORS {
        let ended = hashed(executor, root).assert_code(0);
        assert_eq!(ended.stdout(), expected, "{executor}");
    }
    // Carriage returns are new to sha256sum and left out here.
    let others = ["back\\slash", "new\nline"].map(|name| root.join(name));
    let lines: Vec<_> = expected.lines().filter(|line| !line.contains(r"\r")).collect();
    assert_eq!(String::from_utf8_lossy(&sha256sum(others)), lines.join("\n") + "\n");
}

#[test]
#[cfg(target_os = "linux")] // Other systems refuse such names.
fn names_that_are_not_utf8_come_out_as_they_are() {
    let tree = new_tree();
    let name = OsString::from_vec(b"caf\xe9\xff".to_vec());
    write(tree.path().join(&name), "content");
    symlink("nowhere", tree.path().join(OsStr::from_bytes(b"link\xfe"))).expect("links can be made");
    for &executor in EXECUTORS {
        let ended = hashed(executor, tree.path()).assert_code(1);
        assert_eq!(ended.stdout, sha256sum([tree.path().join(&name)]), "{executor}");
        assert_checked_by_sha256sum(&ended.stdout);
        assert!(ended.stderr.contains(r#"/link\xFE": broken link to "nowhere""#), "one readable line: {ended:#?}");
    }
}

#[test]
fn an_empty_tree_is_no_files() {
    let tree = new_tree();
    for &executor in EXECUTORS {
        let ended = hashed(executor, tree.path()).assert_code(0);
        let (errors, closing) = errors_and_closing(&ended, tree.path());
        assert!(ended.stdout.is_empty() && errors.is_empty(), "{ended:#?}");
        assert!(closing.starts_with("0 files, 0 bytes, ") && closing.ends_with(" s, 0.0 MB/s"), "{closing}");
    }
}

#[test]
fn a_path_that_does_not_exist_is_an_error() {
    let tree = new_tree();
    for &executor in EXECUTORS {
        let ended = hashed(executor, &tree.path().join("missing")).assert_code(1);
        let (errors, closing) = errors_and_closing(&ended, tree.path());
        assert_eq!(errors, ["missing: No such file or directory"]);
        assert!(ended.stdout.is_empty() && closing.ends_with(", 1 error"), "{ended:#?}");
    }
}

#[test]
fn a_path_may_be_a_file_or_a_link() {
    let tree = new_tree();
    let (file, folder) = (tree.path().join("folder/file"), tree.path().join("folder"));
    let (to_file, to_folder) = (tree.path().join("to file"), tree.path().join("to folder"));
    write(&file, "content");
    symlink(&file, &to_file).expect("links can be made");
    symlink(&folder, &to_folder).expect("links can be made");
    for (path, printed) in [(&file, &file), (&to_file, &to_file), (&to_folder, &to_folder.join("file"))] {
        let ended = hashed("threads", path).assert_code(0);
        assert_eq!(ended.stdout, sha256sum([printed]), "{path:?}");
        assert!(ended.stderr.starts_with("1 file, 7 bytes, "), "{ended:#?}");
    }
}

#[test]
fn relative_paths_are_printed_as_given() {
    let tree = sound_tree();
    for path in [".", "./", "a", "a/", "a/../a", "many//3"] {
        let ended = Running::start(hash_tree("threads", Path::new(path)).current_dir(tree.path())).end();
        let script = format!("find {path} -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --");
        let output = Command::new("sh").args(["-c", &script]).current_dir(tree.path()).output().expect("sh runs");
        assert_eq!(ended.assert_code(0).stdout(), String::from_utf8_lossy(&output.stdout), "{path}");
    }
}

#[test]
fn links_are_not_followed_and_broken_ones_reported() {
    let tree = new_tree();
    let root = tree.path();
    write(root.join("folder/file"), "content");
    let links = [
        ("sound", "folder/file"),
        ("up", ".."),
        ("folder/cycle", "../folder"),
        ("broken", "nowhere"),
        ("folder/loop", "loop"),
    ];
    for (link, target) in links {
        symlink(target, root.join(link)).expect("links can be made");
    }
    for &executor in EXECUTORS {
        let ended = hashed(executor, root).assert_code(1);
        assert_eq!(ended.stdout, sha256sum([root.join("folder/file")]), "{executor}");
        let (errors, closing) = errors_and_closing(&ended, root);
        assert_eq!(errors[0], r#"broken: broken link to "nowhere": No such file or directory"#);
        assert!(errors[1].starts_with(r#"folder/loop: broken link to "loop": "#), "{errors:?}");
        assert!(errors.len() == 2 && closing.ends_with(", 2 errors"), "{ended:#?}");
    }
}

/// Opening a pipe that nobody writes to would never return.
#[test]
fn what_is_no_file_is_never_opened() {
    let tree = new_tree();
    let root = tree.path();
    write(root.join("file"), "content");
    let made = Command::new("mkfifo").arg(root.join("fifo")).status().expect("mkfifo is installed");
    assert!(made.success());
    let _socket = UnixListener::bind(root.join("socket")).expect("the path is short enough for a socket");
    let ended = hashed("threads", root).assert_code(0);
    assert_eq!(ended.stdout, sha256sum([root.join("file")]));
    let (errors, _) = errors_and_closing(&ended, root);
    assert!(errors.is_empty(), "{ended:#?}");
    let ended = hashed("threads", &root.join("fifo")).assert_code(1);
    assert!(ended.stderr.contains("fifo: neither a directory nor a regular file"), "{ended:#?}");
}

/// Copies a program, by another process: a file that is open for writing, if only in another test's fork, cannot be run.
fn install(from: &Path, to: &Path) {
    let done = Command::new("install").args(["-m", "755"]).arg(from).arg(to).status().expect("install is installed");
    assert!(done.success(), "cannot copy {from:?} to {to:?}");
}

#[test]
fn what_may_not_be_read_is_reported_and_the_rest_goes_on() {
    let tree = new_tree();
    let root = tree.path();
    for name in ["1", "2 secret", "3 secret/hidden", "4"] {
        write(root.join(name), name);
    }
    // The folder that the example is built in may be closed to others.
    let open_to_all = new_tree();
    let program = open_to_all.path().join("hash_tree");
    install(&example("hash_tree"), &program);
    for folder in [root, open_to_all.path()] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::set_permissions(root.join("2 secret"), Permissions::from_mode(0o000)).expect("it is ours");
    fs::set_permissions(root.join("3 secret"), Permissions::from_mode(0o000)).expect("it is ours");
    // Permissions do not bind root, so root becomes another user.
    let is_root = File::open(root.join("2 secret")).is_ok();
    for &executor in EXECUTORS {
        let mut command = Command::new(&program);
        command.args(["--executor", executor]).arg(root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(root);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ended = Running::start(&mut command).end().assert_code(1);
        assert_eq!(ended.stdout, sha256sum(["1", "4"].map(|name| root.join(name))), "{executor}");
        let (errors, closing) = errors_and_closing(&ended, root);
        assert_eq!(errors, ["2 secret: Permission denied", "3 secret/: Permission denied"]);
        assert!(closing.starts_with("2 files, ") && closing.ends_with(", 2 errors"), "{closing}");
    }
    fs::set_permissions(root.join("3 secret"), Permissions::from_mode(0o700)).expect("it is ours");
}

/// The first page of a process's memory is never mapped: the file opens, and its first read fails.
#[test]
#[cfg(target_os = "linux")]
fn a_failing_read_is_reported() {
    for &executor in EXECUTORS {
        let ended = hashed(executor, Path::new("/proc/self/mem")).assert_code(1);
        assert!(ended.stdout.is_empty(), "{ended:#?}");
        assert!(ended.stderr.starts_with("hash_tree: /proc/self/mem: Input/output error\n"), "{ended:#?}");
    }
}

/// Two files vanish after the listing named them and before their turn.
///
/// The first line proves that the root was listed. The only worker is then busy with the endless file, until the
/// test cuts it short.
#[test]
fn a_file_that_vanishes_is_reported() {
    let tree = new_tree();
    let root = tree.path();
    for name in ["1 first", "3 vanishes", "4 vanishes/inside", "5 stays"] {
        write(root.join(name), name);
    }
    let endless = root.join("2 endless");
    write_terabyte(&endless);
    let running = Running::start(&mut hash_tree("threads:1", root));
    let first = running.line();
    fs::remove_file(root.join("3 vanishes")).expect("it is ours");
    File::options().write(true).open(&endless).and_then(|file| file.set_len(0)).expect("it is ours");
    let ended = running.end().assert_code(1);
    fs::remove_file(&endless).expect("it is ours");
    assert_eq!(first, sha256sum([root.join("1 first")]));
    let (errors, closing) = errors_and_closing(&ended, root);
    assert_eq!(errors, ["3 vanishes: No such file or directory"]);
    assert!(closing.starts_with("4 files, ") && closing.ends_with(", 1 error"), "{closing}");
    let ends: Vec<_> = ended.stdout().lines().map(|line| line.rsplit('/').next().unwrap_or(line)).collect();
    assert_eq!(ends, ["2 endless", "inside", "5 stays"]);
}

#[test]
fn ctrl_c_ends_promptly_and_in_order() {
    for executor in parallel_executors() {
        let tree = new_tree();
        let root = tree.path();
        write(root.join("0"), "first");
        for number in 1..100 {
            write_terabyte(&root.join(number.to_string()));
        }
        let running = Running::start(&mut hash_tree(executor, root));
        let first = running.line();
        interrupt(&running.child);
        let ended = running.end().assert_code(130);
        assert_eq!(first, sha256sum([root.join("0")]), "{executor}");
        assert!(ended.stdout.is_empty(), "nothing but the first file was hashed: {ended:#?}");
        let (errors, closing) = errors_and_closing(&ended, root);
        assert!(errors.is_empty(), "what was stopped is no error: {ended:#?}");
        assert!(closing.starts_with("interrupted: 1 file, 5 bytes, "), "{closing}");
    }
}

/// The serial executor hashes within the call that submits, where only the task itself can notice the signal.
#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_ends_the_serial_executor() {
    let tree = new_tree();
    let endless = tree.path().join("endless");
    write_terabyte(&endless);
    let running = Running::start(&mut hash_tree("serial", tree.path()));
    wait_until_open(&running, &endless);
    interrupt(&running.child);
    let ended = running.end().assert_code(130);
    assert!(ended.stdout.is_empty() && ended.stderr.starts_with("interrupted: 0 files, 0 bytes, "), "{ended:#?}");
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is installed");
    assert!(sent.success(), "{sent}");
}

/// Waits until a program has a file open.
fn wait_until_open(running: &Running, file: &Path) {
    let begun = Instant::now();
    let descriptors = PathBuf::from(format!("/proc/{}/fd", running.child.id()));
    let is_open = || {
        let open: BTreeSet<_> = fs::read_dir(&descriptors)?.flatten().flat_map(|fd| fs::read_link(fd.path())).collect();
        io::Result::Ok(open.contains(file))
    };
    while !is_open().unwrap_or(false) {
        assert!(begun.elapsed() < LIMIT, "hung: {} did not open {file:?} within {LIMIT:?}", running.what);
        thread::sleep(LOOK);
    }
}

/// As in `hash_tree | head` when head has ended: tasks that still run must not keep the program.
#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let tree = new_tree();
    write(tree.path().join("0"), "first");
    for number in 1..100 {
        write_terabyte(&tree.path().join(number.to_string()));
    }
    for executor in parallel_executors() {
        let (reader, writer) = io::pipe().expect("pipes can be made");
        drop(reader);
        let ended = Running::start(hash_tree(executor, tree.path()).stdout(writer)).end().assert_code(0);
        assert_eq!(ended.stderr, "", "{executor}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let tree = sound_tree();
    let full = File::options().write(true).open("/dev/full").expect("Linux has this device");
    let ended = Running::start(hash_tree("threads", tree.path()).stdout(full)).end().assert_code(1);
    assert_eq!(ended.stderr, "hash_tree: standard output: cannot write the digests: No space left on device\n");
}

/// A `rustc` of the test's own names the folder.
#[test]
fn without_a_path_it_hashes_the_library_of_the_toolchain() {
    let tree = new_tree();
    let root = tree.path();
    write(root.join("lib/libstd.so"), "library");
    write(root.join("not/hashed"), "");
    write(root.join("bin/script"), format!("#!/bin/sh\necho '{}'\n", root.display()));
    install(&root.join("bin/script"), &root.join("bin/rustc"));
    let run = |path: &Path| Running::start(command("hash_tree", [""; 0]).env("PATH", path)).end();
    let ended = run(&root.join("bin")).assert_code(0);
    assert_eq!(ended.stdout, sha256sum([root.join("lib/libstd.so")]));
    let ended = run(&root.join("not")).assert_code(1);
    assert!(ended.stderr.contains("cannot run `rustc --print sysroot`"), "{ended:#?}");
    assert!(ended.stderr.contains("name the directory to hash"), "{ended:#?}");
}

#[test]
fn the_number_of_workers_can_be_given_apart() {
    let tree = sound_tree();
    let expected = reference(tree.path());
    for workers in ["1", "3", "50%", "physical"] {
        let args = [OsStr::new("--workers"), workers.as_ref(), tree.path().as_os_str()];
        let ended = run("hash_tree", args).assert_code(0);
        assert!(ended.stdout == expected, "{workers}");
    }
    for workers in ["0", "0%", "-1", "some", ""] {
        let ended = run("hash_tree", [&format!("--workers={workers}")]).assert_code(2);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("--workers"), "{workers}: {ended:#?}");
    }
}
