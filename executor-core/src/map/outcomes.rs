//! [`Outcomes`]: those of a chunk, values close together, and the few errors with their places.
//!
//! A `Result` for each input would be two to three times as large as a small value, and all of it crosses from one
//! processor's cache to another's.

use crate::cell::outcome::Outcome;
use crate::error::TaskError;
use std::collections::VecDeque;

/// A queue of outcomes: pushed in input order by the worker, popped in the same order by the reader.
pub(crate) struct Outcomes<R> {
    values: VecDeque<R>,
    /// Each with the number of values before it, those that were popped included.
    errors: VecDeque<(usize, TaskError)>,
    /// How many values were popped so far.
    popped: usize,
}

impl<R> Outcomes<R> {
    pub(crate) fn new() -> Self {
        Self { values: VecDeque::new(), errors: VecDeque::new(), popped: 0 }
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.values.reserve(more);
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.errors.len()
    }

    /// Returns how many of them are errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors.len()
    }

    /// Returns how many bytes are reserved for values to come.
    pub(crate) fn unused(&self) -> usize {
        (self.values.capacity() - self.values.len()).saturating_mul(size_of::<R>())
    }

    /// Frees most of what is reserved for values to come.
    pub(crate) fn shrink(&mut self) {
        self.values.shrink_to(2 * self.values.len());
    }

    #[inline]
    pub(crate) fn push_value(&mut self, value: R) {
        self.values.push_back(value);
    }

    pub(crate) fn push_error(&mut self, error: TaskError) {
        self.errors.push_back((self.popped + self.values.len(), error));
    }

    /// Always inlined, as is its only caller.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Outcome<R>> {
        if self.errors.front().is_some_and(|&(before, _)| before == self.popped) {
            return self.errors.pop_front().map(|(_, error)| Err(error));
        }
        let value = self.values.pop_front()?;
        self.popped += 1;
        Some(Ok(value))
    }
}

#[cfg(test)]
mod tests {
    use super::Outcomes;
    use crate::error::TaskError;

    #[test]
    fn order_is_kept_around_errors() {
        let mut outcomes = Outcomes::new();
        for round in 0..2 {
            let base = 10 * round;
            outcomes.push_error(TaskError::Taken);
            outcomes.push_value(base + 1);
            outcomes.push_error(TaskError::Taken);
            outcomes.push_error(TaskError::Taken);
            outcomes.push_value(base + 2);
            assert_eq!(outcomes.len(), 5);
            let popped: Vec<_> = std::iter::from_fn(|| outcomes.pop()).map(Result::ok).collect();
            assert_eq!(popped, [None, Some(base + 1), None, None, Some(base + 2)]);
        }
    }
}
