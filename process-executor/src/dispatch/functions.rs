//! Functions by number: the parent tells each worker once what a number means, by offsets in the executable that both run.

use crate::protocol::layout::FUNCTIONS;
use executor_core::remote::Function;
use process_core::function::FunctionName;
use process_core::image::Image;
use std::collections::HashMap;

/// What is known of a function.
#[derive(Debug)]
pub(crate) struct KnownFunction {
    pub(crate) name: FunctionName,
    /// How long a task of it takes, as far as seen, in nanoseconds.
    pub(crate) estimate: u32,
}

/// What a task of a function never seen before is taken to cost: so much that nothing is put behind it.
pub(crate) const UNKNOWN_COST: u32 = 1_000_000;

/// The functions of a pool.
#[derive(Debug, Default)]
pub(crate) struct FunctionTable {
    known: Vec<KnownFunction>,
    numbers: HashMap<(usize, usize), u32>,
    /// The last one asked for: most programs ask for the same again and again.
    last: Option<((usize, usize), u32)>,
}

/// Why a function has no number.
pub(crate) enum NoNumber {
    /// It is not part of the executable.
    Foreign,
    /// There are too many of them.
    TooMany,
}

impl FunctionTable {
    /// Returns the number of a function.
    pub(crate) fn number(&mut self, function: Function, image: &Image) -> Result<u32, NoNumber> {
        let key = (std::ptr::from_ref(function.trampoline).addr(), function.code.addr());
        if let Some((last, number)) = self.last
            && last == key
        {
            return Ok(number);
        }
        let number = match self.numbers.get(&key) {
            Some(&number) => number,
            None => self.add(key, function, image)?,
        };
        self.last = Some((key, number));
        Ok(number)
    }

    fn add(&mut self, key: (usize, usize), function: Function, image: &Image) -> Result<u32, NoNumber> {
        let name = FunctionName::of(function, image).ok_or(NoNumber::Foreign)?;
        let number = u32::try_from(self.known.len()).ok().filter(|number| (*number as usize) < FUNCTIONS);
        let number = number.ok_or(NoNumber::TooMany)?;
        self.known.push(KnownFunction { name, estimate: UNKNOWN_COST });
        self.numbers.insert(key, number);
        Ok(number)
    }

    pub(crate) fn get(&self, number: u32) -> &KnownFunction {
        &self.known[number as usize]
    }

    /// Returns all functions from a number on.
    pub(crate) fn since(&self, number: u32) -> &[KnownFunction] {
        self.known.get(number as usize..).unwrap_or_default()
    }

    /// Learns how long a task took.
    pub(crate) fn learn(&mut self, number: u32, elapsed: u32) {
        let known = &mut self.known[number as usize];
        known.estimate = if known.estimate == UNKNOWN_COST {
            elapsed.max(1)
        } else {
            // A quarter of the new in three quarters of the old.
            ((3 * u64::from(known.estimate) + u64::from(elapsed)) / 4).max(1) as u32
        };
    }
}
