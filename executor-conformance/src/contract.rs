//! Compares the cases with the page that lists the contract: each behaviour has a case, another test, or a reason why not.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::run::cases;

/// One line of the page.
struct Behaviour<'a> {
    number: &'a str,
    /// What holds it: the names of cases, and files of other tests.
    held_by: Vec<&'a str>,
    /// Nothing does, and the line says why.
    is_exempt: bool,
}

/// Returns everything wrong between `page`, the text of `docs/contract.md`, and the cases: a behaviour that nothing holds, a
/// case that is named and does not exist or does not cite the number, a number that is cited and not listed, a name of two
/// cases. Empty is right.
#[must_use]
pub fn contract_gaps(page: &str) -> Vec<String> {
    let behaviours: Vec<Behaviour<'_>> = page.lines().filter_map(behaviour).collect();
    let listed: BTreeSet<&str> = behaviours.iter().map(|behaviour| behaviour.number).collect();
    let all = cases();
    let mut gaps = Vec::new();
    if listed.len() != behaviours.len() || listed.is_empty() {
        gaps.push("the page lists no behaviour, or one of them twice".to_owned());
    }
    for behaviour in &behaviours {
        gaps.extend(gaps_of(behaviour, all));
    }
    for case in all {
        let unknown = case.contract.iter().filter(|number| !listed.contains(**number));
        gaps.extend(unknown.map(|number| format!("{} cites {number}, which the page does not list", case.name)));
    }
    gaps.extend(duplicate_names(all).map(|name| format!("{name} names two cases")));
    gaps
}

/// Reads a line such as ``| F1 | A new future is pending. | `future.new_is_pending` |``.
fn behaviour(line: &str) -> Option<Behaviour<'_>> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let (number, _text, held_by) = (cells.next()?, cells.next()?, cells.next()?);
    let digits = number.strip_prefix(|part: char| part.is_ascii_uppercase())?;
    digits.parse::<u32>().ok()?;
    Some(Behaviour {
        number,
        held_by: held_by.split('`').skip(1).step_by(2).collect(),
        is_exempt: held_by.starts_with("none: "),
    })
}

fn gaps_of(behaviour: &Behaviour<'_>, all: &[Case]) -> Vec<String> {
    let Behaviour { number, held_by, is_exempt } = behaviour;
    let mut gaps = Vec::new();
    if *is_exempt != held_by.is_empty() {
        gaps.push(format!("{number} has neither a test nor a reason why not, or both"));
    }
    let is_case = |name: &&&str| !name.contains('/');
    for name in held_by.iter().filter(is_case) {
        match all.iter().find(|case| case.name == *name) {
            Some(case) if case.contract.contains(number) => {}
            Some(_) => gaps.push(format!("{number} is said to be held by {name}, which does not cite it")),
            None => gaps.push(format!("{number} is said to be held by {name}, which does not exist")),
        }
    }
    if !held_by.iter().any(|name| is_case(&name)) && all.iter().any(|case| case.contract.contains(number)) {
        gaps.push(format!("{number} is cited by a case, and its line names none"));
    }
    gaps
}

fn duplicate_names(all: &[Case]) -> impl Iterator<Item = &'static str> {
    let mut seen = BTreeSet::new();
    all.iter().map(|case| case.name).filter(move |name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::contract_gaps;

    #[test]
    fn a_line_is_compared_with_the_cases() {
        let gaps = |line: &str| {
            let gaps = contract_gaps(line);
            let own = gaps.into_iter().filter(|gap| gap.starts_with("F1 ") || gap.starts_with("F5 "));
            own.collect::<Vec<_>>()
        };
        assert!(gaps("| F1 | New. | `future.new_is_pending` |").is_empty());
        assert!(gaps("| F1 | New. | |").iter().any(|gap| gap.contains("neither")));
        assert!(gaps("| F1 | New. | none: why |").iter().any(|gap| gap.contains("names none")));
        assert!(gaps("| F1 | New. | `future.unknown` |").iter().any(|gap| gap.contains("does not exist")));
        assert!(
            gaps("| F1 | New. | `cancel.pending_is_done_at_once` |").iter().any(|gap| gap.contains("does not cite"))
        );
        assert!(contract_gaps("").iter().any(|gap| gap.contains("lists no behaviour")));
    }
}
