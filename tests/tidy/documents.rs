//! What documents name exists: paths, types, functions, tests, and the targets of links.

use std::collections::BTreeSet;
use std::path::Path;

use crate::report::Faults;
use crate::sources::{TextFile, files, root, words};

/// Names in backticks that are not of this project, by whose they are.
const FOREIGN: &[(&str, &[&str])] = &[(
    "Python",
    &[
        "ALL_COMPLETED",
        "BrokenProcessPool",
        "BrokenThreadPool",
        "CancelledError",
        "FIRST_EXCEPTION",
        "InvalidStateError",
        "TimeoutError",
        "set_running_or_notify_cancel",
    ],
)];

#[test]
fn what_documents_name_exists() {
    let files = files();
    let paths: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let foreign = FOREIGN.iter().flat_map(|(_, names)| names.iter().copied());
    let in_sources = files.iter().filter(|file| !file.path.ends_with(".md") && !file.path.ends_with("Cargo.lock"));
    let names: BTreeSet<&str> = in_sources.flat_map(|file| words(&file.text)).chain(foreign).collect();
    let mut faults = Faults::default();
    for file in files.iter().filter(|file| is_document(&file.path)) {
        for (number, span) in spans(file) {
            if let Some(path) = as_path(span) {
                if !exists(path, &paths) {
                    faults.add(file, number, &format!("no file or folder `{path}`"));
                }
            } else if let Some(unknown) = as_names(span).find(|name| !names.contains(name)) {
                faults.add(
                    file,
                    number,
                    &format!("nothing is named `{unknown}`, neither in the sources nor in FOREIGN"),
                );
            }
        }
    }
    faults.check();
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().expect("a file lies in a folder");
        for (number, line) in file.numbered() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://")) {
                let (path, heading) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { root().join(&file.path) } else { root().join(folder).join(path) };
                if !path.exists() {
                    faults.add(file, number, &format!("no file {target}"));
                } else if !heading.is_empty() && !headings(&path).contains(heading) {
                    faults.add(file, number, &format!("no heading {target}"));
                }
            }
        }
    }
    faults.check();
}

/// The history names what was, not what is.
fn is_document(path: &str) -> bool {
    path.ends_with(".md") && path != "CHANGELOG.md"
}

/// What stands in backticks, outside of blocks of code, with the line.
fn spans(file: &TextFile) -> Vec<(usize, &str)> {
    let mut in_block = false;
    let mut found = Vec::new();
    for (number, line) in file.numbered() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span)));
        }
    }
    found
}

/// A file or folder of the project: it has a slash in it, or an ending that files have.
fn as_path(span: &str) -> Option<&str> {
    let path = span.split([' ', '<', ':']).next().unwrap_or_default();
    let is_one =
        path.contains('/') || [".rs", ".md", ".toml", ".lock", ".svg", ".py"].iter().any(|end| path.ends_with(end));
    let is_ours =
        !path.starts_with(['/', '~', '-', '\'', '"', '.']) || path.starts_with(".ci/") || path.starts_with(".github/");
    (is_one && is_ours && !path.is_empty() && !path.contains(['(', '*', '$', '='])).then_some(path)
}

/// From the root, or the end of a path: `pool/packing.rs` is one in any crate.
fn exists(path: &str, paths: &BTreeSet<String>) -> bool {
    let path = path.trim_end_matches('/');
    // The bytes that fuzzers found are not among the text files.
    root().join(path).exists()
        || root().join("fuzz").join(path).exists()
        || paths.iter().any(|file| {
            let file = format!("/{file}");
            file.ends_with(&format!("/{path}")) || file.contains(&format!("/{path}/"))
        })
}

/// Names of Rust: `Type`, `Type::function`, `function()`, `a_test`, `CONSTANT`. A single lowercase word may be anything.
fn as_names(span: &str) -> impl Iterator<Item = &str> {
    let whole = span.trim_end_matches("()").trim_end_matches('!');
    let is_name = |name: &str| {
        name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let parts: Vec<&str> = whole.split("::").collect();
    let is_path = parts.iter().all(|part| is_name(part));
    // `large_vec_16mib`, `_256mib`: the end of a name that stands before it.
    let is_rest = whole.starts_with('_');
    let says_something =
        parts.len() > 1 || span.ends_with("()") || whole.contains('_') || whole.contains(char::is_uppercase);
    parts.into_iter().filter(move |_| is_path && says_something && !is_rest)
}

/// The headings of a document, as links name them.
fn headings(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |letter: char| letter.is_alphanumeric() || ['-', '_', ' '].contains(&letter);
    headings
        .map(|heading| {
            heading.to_lowercase().chars().filter(|letter| kept(*letter)).collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn spans_are_paths_or_names() {
    assert_eq!(as_path("pool/packing.rs"), Some("pool/packing.rs"));
    assert_eq!(as_path("fuzz/corpus/<target>"), Some("fuzz/corpus/"));
    assert_eq!(as_path("/proc/self/exe"), None);
    assert_eq!(as_names("Future::result()").collect::<Vec<_>>(), ["Future", "result"]);
    assert_eq!(as_names("processes:50%").count(), 0);
    assert_eq!(as_names("threads").count(), 0);
}
