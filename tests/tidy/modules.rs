//! The modules of each crate: an arrow goes down only, between the folders of a crate and between the files of a folder.
//!
//! A module uses another if it names anything of it; what a module only passes on by `pub use`, it does not use. A folder is
//! what lies under one module of the crate's root.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{Names, Path};
use crate::report::Faults;
use crate::sources::sources;

/// The crates by their folders.
const CRATES: &[&str] = &[
    "benches/compare",
    "executor-conformance",
    "executor-core",
    "executor-wire",
    "process-core",
    "process-executor",
    "stress",
    "thread-executor",
    "",
];

/// Folders whose files may use each other in circles, each with its reason.
const ONE_PIECE: &[(&str, &str)] = &[("executor-core/src/cell", "its files are one state machine")];

#[test]
fn modules_use_each_other_only_downwards() {
    let mut faults = Faults::default();
    let mut in_one_piece = BTreeSet::new();
    for folder in CRATES {
        let uses = uses_within(folder);
        for circle in circles(&by_room(&uses)).into_iter().chain(circles(&within_rooms(&uses))) {
            if let Some(piece) = piece_of(&circle) {
                in_one_piece.insert(piece);
                continue;
            }
            let arrows: BTreeSet<&str> = arrows_within(&uses, &circle).collect();
            let arrows: Vec<&str> = arrows.into_iter().collect();
            faults.say(format!("a circle of {}. The arrows:\n    {}", circle.join(", "), arrows.join("\n    ")));
        }
    }
    for (folder, reason) in ONE_PIECE.iter().filter(|(folder, _)| !in_one_piece.contains(folder)) {
        faults.say(format!("{folder} ({reason}) has no circle: take it off ONE_PIECE"));
    }
    faults.check();
}

/// The folder in one piece that a circle of files lies in.
fn piece_of(circle: &[String]) -> Option<&'static str> {
    let holds = |folder: &str| {
        circle.iter().all(|file| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with(['/', '.'])))
    };
    ONE_PIECE.iter().map(|(folder, _)| *folder).find(|folder| holds(folder))
}

/// One file names something of another.
struct Use {
    /// Files, as paths from the project's root.
    from: String,
    to: String,
    /// The same as folders of the crate.
    from_room: String,
    to_room: String,
    /// Where it stands, for people.
    place: String,
}

/// Every use of one file of a crate by another.
fn uses_within(folder: &str) -> Vec<Use> {
    let source = if folder.is_empty() { "src/".to_owned() } else { format!("{folder}/src/") };
    let mut names = Names::default();
    let mut paths: BTreeMap<Path, String> = BTreeMap::new();
    for file in sources().iter().filter(|file| file.path.starts_with(&source)) {
        let module = module_of(&file.path[source.len()..]);
        names.read(&module, &file.text);
        paths.insert(module, file.path.clone());
    }
    let is_test = |module: &Path| names.for_tests.iter().any(|test| module.starts_with(test));
    let files: BTreeSet<Path> = paths.keys().filter(|module| !is_test(module)).cloned().collect();
    let room = |module: &Path| format!("{source}{}", module.first().map_or("lib", String::as_str));
    let mut uses = Vec::new();
    for mention in names.uses().filter(|mention| !is_test(&mention.from)) {
        let (from, to) = (names.home(&mention.from, &files), names.home(&mention.to, &files));
        if from != to && !is_test(&mention.to) {
            uses.push(Use {
                from_room: room(&from),
                to_room: room(&to),
                place: format!("{}:{} uses {}", paths[&from], mention.line, paths[&to]),
                from: paths[&from].clone(),
                to: paths[&to].clone(),
            });
        }
    }
    uses
}

/// `lib.rs` and `main.rs` are the root, `a.rs` and `a/mod.rs` are `a`, `a/b.rs` is `a::b`.
fn module_of(file: &str) -> Path {
    let mut module: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if ["lib", "main", "mod"].contains(&module[module.len() - 1].as_str()) {
        module.pop();
    }
    module
}

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Between the folders of a crate.
fn by_room(uses: &[Use]) -> Graph<'_> {
    graph(uses.iter().filter(|found| found.from_room != found.to_room), |found| (&found.from_room, &found.to_room))
}

/// Between the files of one folder.
fn within_rooms(uses: &[Use]) -> Graph<'_> {
    graph(uses.iter().filter(|found| found.from_room == found.to_room), |found| (&found.from, &found.to))
}

fn graph<'a>(uses: impl Iterator<Item = &'a Use>, ends: impl Fn(&'a Use) -> (&'a String, &'a String)) -> Graph<'a> {
    let mut graph = Graph::new();
    for (from, to) in uses.map(ends) {
        graph.entry(from).or_default().insert(to);
    }
    graph
}

/// All that lies in circles, those together that reach each other.
fn circles(graph: &Graph<'_>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = graph.keys().map(|from| (*from, reachable(graph, from))).collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (name, reached) in reach.iter().filter(|(name, reached)| reached.contains(*name)) {
        if found.iter().any(|circle| circle.iter().any(|member| member == name)) {
            continue;
        }
        let circle = reached.iter().filter(|other| reach.get(*other).is_some_and(|back| back.contains(name)));
        found.push(circle.map(|&member| member.to_owned()).collect());
    }
    found
}

fn reachable<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(graph.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Where the members of a circle use each other.
fn arrows_within<'a>(uses: &'a [Use], circle: &'a [String]) -> impl Iterator<Item = &'a str> {
    let is_in = |room: &String, file: &String| circle.contains(room) || circle.contains(file);
    let arrows = uses.iter().filter(move |found| {
        (is_in(&found.from_room, &found.from) && is_in(&found.to_room, &found.to))
            && (found.from_room != found.to_room || circle.contains(&found.from))
    });
    arrows.map(|found| found.place.as_str())
}

#[test]
fn a_circle_is_found() {
    let pairs = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
    let mut graph = Graph::new();
    for (from, to) in pairs {
        graph.entry(from).or_default().insert(to);
    }
    assert_eq!(circles(&graph), [["b", "c"]]);
}

#[test]
fn what_is_passed_on_is_used_where_it_is_written() {
    let mut names = Names::default();
    let module = |path: &str| -> Path { path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect() };
    names.read(&module(""), "mod a; mod b; pub use b::c::{self, Thing as Other};");
    names.read(&module("a"), "use crate::{Other, b::{self, c::Thing}}; fn f() { b::g(); super::Other::new() }");
    names.read(&module("b"), "pub mod c; #[cfg(test)] mod tests { use crate::a; }");
    let files = ["", "a", "b", "b::c"].map(module).into_iter().collect();
    let homes: BTreeSet<Path> = names
        .uses()
        .filter(|mention| mention.from == module("a"))
        .map(|mention| names.home(&mention.to, &files))
        .collect();
    assert_eq!(homes, [module("b"), module("b::c")].into_iter().collect());
    assert!(names.for_tests.contains(&module("b::tests")));
    assert!(!names.mentions.iter().any(|mention| mention.from.starts_with(&module("b::tests"))));
}
