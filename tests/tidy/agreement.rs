//! Documents that must say the same as other files.

use std::collections::BTreeSet;

use crate::report::Faults;
use crate::sources::{LIBRARIES, between, code_blocks, files, read};

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
fn the_map_names_every_file_and_folder() {
    let map = read("ARCHITECTURE.md");
    let named: BTreeSet<&str> = map.split('`').skip(1).step_by(2).collect();
    // The roots of crates, and what a usual build does not have, are told in words.
    let told = ["lib.rs", "fuzzing.rs", "fuzzing"];
    let is_named = |child: &str| {
        let folder = format!("{child}/");
        told.contains(&child) || named.iter().any(|name| *name == child || name.starts_with(&folder))
    };
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.is_library()) {
        let source = LIBRARIES.iter().find(|folder| file.path.starts_with(**folder));
        let child = source.and_then(|folder| file.path[folder.len()..].split('/').next()).unwrap_or_default();
        if !is_named(child) {
            faults.add(file, 1, &format!("ARCHITECTURE.md does not name `{child}`"));
        }
    }
    faults.check();
}
