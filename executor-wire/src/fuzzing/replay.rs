//! The corpus of a fuzzer, run by a test: each file, beginnings of it, and a number of mutations, the same in each run.
//!
//! No replacement for the fuzzer, which sees where its bytes lead; but it runs everywhere, and what was found once stays found.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// Inputs are no longer than this.
const LONGEST: usize = 4096;
/// Bytes that often mean something: lengths, tags, and the ends of numbers.
const TELLING: [u8; 12] = [0, 1, 2, 3, 4, 5, 16, 64, 127, 128, 254, 255];

/// Runs `run` with the corpus of `target`, with so many beginnings of each file, or all, and with so many mutations.
///
/// # Panics
///
/// As `run` does, with the input in words. If there is no corpus.
pub fn replay(target: &str, beginnings: usize, mutations: usize, run: fn(&[u8])) {
    let corpus = corpus(target);
    for input in &corpus {
        let step = input.len().div_ceil(beginnings).max(1);
        for end in (0..input.len()).step_by(step) {
            attempt(target, run, &input[..end]);
        }
        attempt(target, run, input);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..mutations {
        let mut input = random.choose(&corpus).clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &corpus, &mut random);
        }
        input.truncate(LONGEST);
        attempt(target, run, &input);
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file of the corpus").path()).collect();
    // As the system lists them is another order on each machine.
    paths.sort();
    assert!(!paths.is_empty(), "{} has no inputs", folder.display());
    paths.iter().map(|path| fs::read(path).expect("a file of the corpus")).collect()
}

/// Runs one input. Should it panic, says which it was: a file of these bytes in the corpus makes it a test for ever.
fn attempt(target: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let bytes: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("the input of {target} that failed, as `xxd -r -p` reads it: {bytes}");
        let _ = catch_unwind(|| panic!("{text}"));
        resume_unwind(panic);
    }
}

/// Changes an input a little.
fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let place = random.below(input.len() + 1);
    let length = random.below(input.len() - place + 1).min(1 << random.below(9));
    match random.below(9) {
        0 => input.insert(place, random.byte()),
        1 => drop(input.drain(place..place + length)),
        2 => {
            let copy = input[place..place + length].to_vec();
            input.splice(place..place, copy);
        }
        3 => {
            let other = random.choose(corpus);
            input.truncate(place);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        4 => {
            // A number as long as it gets.
            input.splice(place..place + length, [255; 9].into_iter().chain([1]));
        }
        _ if place == input.len() => input.push(random.byte()),
        5 => input[place] ^= 1 << random.below(8),
        6 => input[place] = input[place].wrapping_add_signed(if random.below(2) == 0 { 1 } else { -1 }),
        _ => input[place] = random.byte(),
    }
}

/// Numbers without order (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 { self.next() as u8 } else { *self.choose(&TELLING) }
    }
}
