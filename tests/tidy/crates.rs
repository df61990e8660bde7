//! Which crate may use which, and what each says of itself.

use crate::report::Faults;
use crate::sources::files;

/// Which crates of ours a crate may use; dev-dependencies are looked at apart.
const ARROWS: &[(&str, &[&str])] = &[
    ("concurrent-futures", &["executor-core", "thread-executor", "process-executor"]),
    ("thread-executor", &["executor-core"]),
    ("process-executor", &["executor-core", "executor-wire", "process-core"]),
    ("process-core", &["executor-wire"]),
    ("executor-core", &["executor-wire"]),
    ("executor-wire", &[]),
    ("executor-conformance", &["executor-core"]),
    ("compare", &["executor-core", "thread-executor", "process-executor"]),
    ("stress", &["executor-core", "thread-executor", "process-executor"]),
    ("concurrent-futures-fuzz", &["executor-core", "executor-wire", "process-core", "process-executor"]),
];

/// What only tests may use, on top of [`ARROWS`].
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("concurrent-futures", &["executor-conformance"]),
    ("thread-executor", &["executor-conformance"]),
    // Itself, with all features.
    ("process-executor", &["executor-conformance", "process-executor"]),
];

#[test]
fn crates_depend_only_along_the_arrows() {
    let members: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let mut seen = Vec::new();
    for manifest in files().iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let Some(name) = manifest_name(&manifest.text) else {
            continue;
        };
        assert!(members.contains(&name.as_str()), "{}: ARROWS does not name {name}", manifest.path);
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

/// What the manifest of a package says that others can find, read and build.
const SAID_OF_PACKAGES: &[&str] = &[
    "categories.workspace = true",
    "description = \"",
    "documentation = \"https://docs.rs/concurrent-futures",
    "include = [\"/src\", \"/README.md\"",
    "keywords.workspace = true",
    "license.workspace = true",
    "name = \"concurrent-futures",
    "readme = \"README.md\"",
    "repository.workspace = true",
    "rust-version.workspace = true",
    "version.workspace = true",
    "[package.metadata.docs.rs]",
];

#[test]
fn packages_say_what_they_are() {
    let mut faults = Faults::default();
    for manifest in files().iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        if manifest.text.contains("[package]\n") && !manifest.text.contains("\npublish = false\n") {
            let lines: Vec<&str> = manifest.text.lines().collect();
            for said in SAID_OF_PACKAGES.iter().filter(|said| !lines.iter().any(|line| line.starts_with(**said))) {
                faults.say(format!("{}: no line that begins with `{said}`", manifest.path));
            }
        }
    }
    faults.check();
}

fn targets<'a>(arrows: &[(&str, &'a [&'a str])], name: &str) -> &'a [&'a str] {
    arrows.iter().find(|(from, _)| *from == name).map_or(&[], |(_, to)| to)
}

/// The crate of a manifest by the name that it has in the workspace: its library's, or else its package's.
fn manifest_name(manifest: &str) -> Option<String> {
    let name_in = |section: &str| {
        let lines = manifest.split(section).nth(1)?.lines().take_while(|line| !line.starts_with('['));
        lines.into_iter().find_map(|line| line.strip_prefix("name = \"")).map(|name| name.trim_end_matches('"'))
    };
    name_in("[lib]\n").or_else(|| name_in("[package]\n")).map(|name| name.replace('_', "-"))
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
