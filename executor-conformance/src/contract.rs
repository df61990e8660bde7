//! Which behaviour of the contract is held by which case, and why some have none.

use std::collections::BTreeSet;

use crate::case::cases;

/// The parts of the contract that an in-process executor has, with the highest number of each.
const PARTS: &[(&str, u32)] = &[("F", 30), ("W", 15), ("A", 10), ("E", 7), ("M", 23), ("S", 19), ("T", 10), ("I", 7)];

/// The hard lessons are advice, so not each must be cited; but a citation must name one that exists.
const LESSONS: (&str, u32) = ("H", 70);

/// A behaviour that has no case here, and why.
#[derive(Debug, Clone, Copy)]
pub struct Exemption {
    /// The contract number.
    pub number: &'static str,
    /// What holds it instead, or why nothing has to.
    pub reason: &'static str,
}

const fn exempt(number: &'static str, reason: &'static str) -> Exemption {
    Exemption { number, reason }
}

const EXEMPTIONS: &[Exemption] = &[
    exempt("W12", "the condition is an enum or a closure: an unknown one does not compile"),
    exempt("M23", "the map borrows its executor: dropping the executor first does not compile"),
    exempt(
        "S11",
        "no exit hooks: an executor ends when it is dropped, and `main` returning drops nothing that is leaked",
    ),
    exempt("S13", "no exit hooks: nothing marks the process as ending, so nothing refuses work for it"),
    exempt("S16", "only worker processes are replaced after a number of tasks; process-executor's own tests hold it"),
    exempt("T3", "thread names are no part of the Executor trait; thread-executor's own tests hold them"),
    exempt("T7", "the library never forks, and Rust has no safe fork to survive"),
    exempt("I3", "an initializer is a function by its type: anything else does not compile"),
    exempt("I4", "no executor owns named resources; process-executor's own tests look that nothing is left"),
    exempt("I7", "managers and sub-interpreters are no part of this library"),
];

/// The behaviours without a case.
pub fn exemptions() -> &'static [Exemption] {
    EXEMPTIONS
}

/// Everything wrong with the coverage: numbers with neither case nor exemption, exemptions that a case contradicts,
/// citations of numbers that do not exist, and case names used twice. Empty is right.
pub fn contract_gaps() -> Vec<String> {
    let all: BTreeSet<String> = PARTS.iter().flat_map(|&part| numbers(part)).collect();
    let lessons: BTreeSet<String> = numbers(LESSONS).collect();
    let cited: BTreeSet<&str> = cases().iter().flat_map(|case| case.contract).copied().collect();
    let exempted: BTreeSet<&str> = EXEMPTIONS.iter().map(|exemption| exemption.number).collect();

    let mut gaps = Vec::new();
    for number in &all {
        match (cited.contains(number.as_str()), exempted.contains(number.as_str())) {
            (false, false) => gaps.push(format!("{number} has neither a case nor an exemption")),
            (true, true) => gaps.push(format!("{number} has a case, so its exemption is out of date")),
            _ => {}
        }
    }
    let known = |number: &str| all.contains(number) || lessons.contains(number);
    gaps.extend(
        cited.union(&exempted).filter(|number| !known(number)).map(|number| format!("{number} does not exist")),
    );
    gaps.extend(duplicate_names().map(|name| format!("{name} names two cases")));
    gaps
}

fn numbers((part, highest): (&str, u32)) -> impl Iterator<Item = String> {
    (1..=highest).map(move |number| format!("{part}{number}"))
}

fn duplicate_names() -> impl Iterator<Item = &'static str> {
    let mut seen = BTreeSet::new();
    cases().iter().map(|case| case.name).filter(move |name| !seen.insert(*name))
}
