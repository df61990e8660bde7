//! Each rule of CONTRIBUTING.md says what checks it, and each check stands behind a rule.

use std::collections::BTreeSet;

use crate::report::Faults;
use crate::sources::{files, read, root};

/// What a rule says where nothing checks it but a reader.
const JUDGEMENT: &str = "judgement";

/// Sections that state no rules.
const WITHOUT_RULES: &[&str] = &["Build and test", "Fuzzing"];

#[test]
fn every_rule_is_checked_or_marked_as_judgement() {
    let text = read("CONTRIBUTING.md");
    let mut faults = Faults::default();
    let mut rules = 0;
    for section in text.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        let rows: Vec<Vec<&str>> = body.lines().filter_map(cells).skip(2).collect();
        if rows.is_empty() && !WITHOUT_RULES.contains(&heading) && !heading.ends_with(&format!("({JUDGEMENT})")) {
            faults.say(format!("`## {heading}` states rules outside of a table: mark it with ({JUDGEMENT})"));
        }
        for row in &rows {
            let checker = row.last().copied().unwrap_or_default();
            if row.len() != 3 || (checker != JUDGEMENT && checkers(checker).next().is_none()) {
                faults.say(format!("a rule without a check, that is not marked: {}", row.join(" | ")));
            }
            for path in checkers(checker).filter(|path| !root().join(path).is_file()) {
                faults.say(format!("no {path}, which is said to check: {}", row[0]));
            }
        }
        rules += rows.len();
    }
    assert!(rules > 0, "CONTRIBUTING.md has no table of rules");
    faults.check();
}

#[test]
fn every_check_stands_behind_a_rule() {
    let text = read("CONTRIBUTING.md");
    let named: BTreeSet<&str> = text.lines().filter_map(cells).flat_map(|row| checkers(row[row.len() - 1])).collect();
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.path.starts_with("tests/tidy/") && file.text.contains("\n#[test]\n"))
    {
        if !named.contains(file.path.as_str()) && !file.path.ends_with("/rules.rs") {
            faults.say(format!("{} checks what no rule of CONTRIBUTING.md says", file.path));
        }
    }
    faults.check();
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

/// The paths in backticks.
fn checkers(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
