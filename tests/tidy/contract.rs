//! The numbers of docs/contract.md: the files that it names cite them, and tests cite no others.

use std::collections::BTreeSet;

use crate::report::Faults;
use crate::sources::{TextFile, comment_of, files, read, words};

const PAGE: &str = "docs/contract.md";

/// The folders of tests that cite the contract, beside the cases, which `contract_gaps` looks at.
const CITING: &[&str] = &["thread-executor/tests", "process-executor/tests", "tests/program"];

/// The parts of the contract.
const PARTS: &str = "FWAEMSTIPDH";

#[test]
fn files_cite_what_the_contract_says_they_hold() {
    let files = files();
    let page = read(PAGE);
    let mut faults = Faults::default();
    for (number, file) in page.lines().flat_map(files_of) {
        match files.iter().find(|other| other.path == file) {
            Some(file) if cited(file).contains(number) => {}
            _ => faults.say(format!("{PAGE}: {number} is held by {file}, which does not cite it")),
        }
    }
    faults.check();
}

#[test]
fn tests_cite_only_what_the_contract_lists() {
    let page = read(PAGE);
    let listed: BTreeSet<&str> = page.lines().filter_map(number_of).collect();
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.is_rust() && CITING.iter().any(|folder| file.is_under(folder))) {
        for number in cited(file).iter().filter(|number| !listed.contains(number.as_str())) {
            faults.say(format!("{}: cites {number}, which {PAGE} does not list", file.path));
        }
    }
    faults.check();
}

/// The number of a line such as `| F1 | .. | .. |`.
fn number_of(line: &str) -> Option<&str> {
    let number = line.strip_prefix("| ")?.split(' ').next()?;
    is_number(number).then_some(number)
}

/// The files that a line names, with its number.
fn files_of(line: &str) -> Vec<(&str, &str)> {
    let Some(number) = number_of(line) else { return Vec::new() };
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| span.contains('/')).map(|file| (number, file)).collect()
}

/// The numbers in the comments of a file, and those that the names of its tests begin with: `d2_d3_exits` has two.
fn cited(file: &TextFile) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in file.numbered() {
        found.extend(words(comment_of(line)).filter(|word| is_number(word)).map(str::to_owned));
        if let Some(name) = line.trim_start().strip_prefix("fn ") {
            let numbers = name.split('_').map(str::to_uppercase).take_while(|word| is_number(word));
            found.extend(numbers);
        }
    }
    found
}

fn is_number(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|part| PARTS.contains(part))
        && (2..=3).contains(&word.len())
        && letters.all(|letter| letter.is_ascii_digit())
}
