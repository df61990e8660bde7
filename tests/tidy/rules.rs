//! Every rule that CONTRIBUTING.md states is checked by something that exists, or marked as judgement.

use crate::report::Faults;
use crate::sources::{between, read, root};

const PAGE: &str = "CONTRIBUTING.md";

#[test]
fn every_rule_is_checked_or_judged() {
    let page = read(PAGE);
    let rules = between(&page, "| --- | --- | --- |\n", "\n\n");
    let mut faults = Faults::default();
    for rule in rules.lines() {
        let cells: Vec<&str> = rule.trim_matches('|').split(" | ").map(str::trim).collect();
        let [text, _why, checked_by] = cells[..] else {
            faults.say(format!("{PAGE}: a rule has a reason and a check: {rule}"));
            continue;
        };
        let mut checks = checked_by.split('`').skip(1).step_by(2).peekable();
        if checked_by != "judgement" && checks.peek().is_none() {
            faults.say(format!("{PAGE}: neither checked nor judgement: {text}"));
        }
        for missing in checks.filter(|check| !root().join(check).is_file()) {
            faults.say(format!("{PAGE}: no {missing}, which is to check: {text}"));
        }
    }
    faults.check();
}
