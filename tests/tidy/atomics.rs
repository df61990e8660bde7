//! Every atomic operation that is not plainly relaxed says which operation it pairs with.

use std::collections::BTreeSet;

use crate::report::Faults;
use crate::sources::{TextFile, sources, words};

/// How many lines above an operation, within its statement or right before it, the comment may end.
const REACH: usize = 4;

const STRONG: &[&str] = &["Acquire", "Release", "AcqRel", "SeqCst"];

#[test]
fn strong_orderings_name_their_partner() {
    let sources = sources();
    let names: BTreeSet<&str> = sources.iter().flat_map(|file| words(&file.text)).collect();
    let mut faults = Faults::default();
    for file in sources.iter().filter(|file| file.is_library()) {
        for line in alone_in(file, &names) {
            faults.add(file, line, "an ordering without `// ORDERING:` and the name of its partner");
        }
    }
    faults.check();
}

/// The lines with an operation that is not relaxed and has no comment that names something that exists.
fn alone_in(file: &TextFile, names: &BTreeSet<&str>) -> Vec<usize> {
    let lines: Vec<&str> = file.text.lines().collect();
    let is_strong = |line: &&str| {
        let code = line.split("//").next().unwrap_or_default();
        !code.trim_start().starts_with("use ") && STRONG.iter().any(|name| code.contains(&format!("Ordering::{name}")))
    };
    (0..lines.len())
        .filter(|&at| {
            is_strong(&lines[at]) && !comment_before(&lines, at).is_some_and(|comment| has_partner(&comment, names))
        })
        .map(|at| at + 1)
        .collect()
}

/// The comment `// ORDERING:` that belongs to a line: the nearest one above it, not across a blank line.
fn comment_before(lines: &[&str], at: usize) -> Option<String> {
    let from = at.saturating_sub(REACH);
    let above = (0..=at).rev().take_while(|&line| line >= from || lines[line].trim_start().starts_with("//"));
    let start =
        above.take_while(|&line| !lines[line].trim().is_empty()).find(|&line| lines[line].contains("// ORDERING:"))?;
    let more = lines[start + 1..].iter().take_while(|line| line.trim_start().starts_with("//")).copied();
    Some(std::iter::once(lines[start]).chain(more).collect::<Vec<&str>>().join(" "))
}

/// A name in backticks that is one, or a word that points at the same function.
fn has_partner(comment: &str, names: &BTreeSet<&str>) -> bool {
    let named = comment.split('`').skip(1).step_by(2).any(|span| words(span).any(|word| names.contains(word)));
    named || words(comment).any(|word| ["above", "below"].contains(&word))
}

#[test]
fn a_comment_belongs_to_what_follows_it() {
    let lines = ["// ORDERING: pairs with", "// `push`.", "a", "b", "", "c"];
    assert_eq!(comment_before(&lines, 3).as_deref(), Some("// ORDERING: pairs with // `push`."));
    assert_eq!(comment_before(&lines, 5), None);
    let names = BTreeSet::from(["push"]);
    assert!(has_partner("// ORDERING: pairs with `Queue::push`.", &names));
    assert!(!has_partner("// ORDERING: publishes `it`.", &names));
}
