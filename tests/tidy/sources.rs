//! The files of the project, and a Rust file as tokens.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A text file of the project; the path is relative to the root and written with `/`.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
    syntax: OnceLock<syn::File>,
}

impl TextFile {
    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.contains(&format!("{folder}/"))
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Code that users link; model checkers' stand-ins and tests inside it are few and held to the same rules.
    pub(crate) fn is_library(&self) -> bool {
        LIBRARIES.iter().any(|folder| self.path.starts_with(folder))
    }

    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines without their comments; good enough for words that do not occur in strings.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }

    /// The file as the compiler's parser sees it, with the places of everything in it.
    pub(crate) fn syntax(&self) -> &syn::File {
        self.syntax.get_or_init(|| syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path)))
    }
}

/// The folders of code that users link.
pub(crate) const LIBRARIES: &[&str] = &[
    "src/",
    "executor-core/src/",
    "executor-wire/src/",
    "process-core/src/",
    "process-executor/src/",
    "thread-executor/src/",
];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of Rust, but for programs that must not compile.
pub(crate) fn sources() -> Vec<TextFile> {
    files().into_iter().filter(TextFile::is_rust).collect()
}

/// Every text file of the project, in the order of the paths: all but what is built, what git keeps for itself, and the bytes
/// that fuzzers found.
pub(crate) fn files() -> Vec<TextFile> {
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
    found.into_iter().map(|(path, text)| TextFile { path, text, syntax: OnceLock::new() }).collect()
}

pub(crate) fn code_blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.by_ref().any(|line| line == fence) {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect());
    }
    blocks
}

pub(crate) fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let from = text.find(begin).unwrap_or_else(|| panic!("no `{begin}`")) + begin.len();
    let length = text[from..].find(end).unwrap_or_else(|| panic!("no `{end}` after `{begin}`"));
    &text[from..from + length]
}

pub(crate) fn comment_of(line: &str) -> &str {
    line.find("//").map_or("", |start| &line[start..])
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}
